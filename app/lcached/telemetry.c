// SPDX-License-Identifier: BSD-3-Clause
// DPDK's telemetry callbacks get no argument of ours: the server's control core is found by the one
// global of the project. DPDK never ends its threads, so callers are counted.

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lcached.h"

static struct {
	struct control *control; // writer: main, before registration and at shutdown
	unsigned callers;        // inside on_command
} telemetry;

// ---- the socket's rights -----------------------------------------------------------------------
// The path of a descriptor that is DPDK's telemetry socket.
static bool is_telemetry(int fd, struct sockaddr_un *at)
{
	socklen_t len = sizeof(*at), size = sizeof(int);
	int listens = 0;

	memset(at, 0, sizeof(*at));
	return getsockname(fd, (struct sockaddr *)at, &len) == 0 && at->sun_family == AF_UNIX &&
		len < sizeof(*at) && strstr(at->sun_path, "/dpdk_telemetry.v2") != NULL &&
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
}

// DPDK does not tell which path it took: another process may have been there first.
static bool socket_find(struct sockaddr_un *at)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	bool found = false;

	while (d != NULL && !found && (e = readdir(d)) != NULL)
		found = is_telemetry(atoi(e->d_name), at);
	if (d != NULL)
		closedir(d);
	return found;
}

// The way there: DPDK's folder is everybody's to pass, the one in it the group's.
static int folders_permit(const char *path, gid_t gid)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct stat st;
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	if (chown(dir, (uid_t)-1, gid) < 0 || chmod(dir, 0750) < 0)
		return -errno;
	slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir)
		return 0;
	*slash = '\0';
	if (stat(dir, &st) < 0 || chmod(dir, (st.st_mode & 07777) | 0111) < 0)
		return -errno;
	return 0;
}

int lcached_telemetry_permit(const struct lcached *s)
{
	const char *mode = *s->cfg.telemetry_mode ? s->cfg.telemetry_mode : "0770";
	uid_t uid = geteuid() == 0 ? s->uid : (uid_t)-1;
	struct sockaddr_un at;
	int rc = 0;

	if (*s->cfg.telemetry_mode == '\0' && s->telemetry_gid == (gid_t)-1)
		return 0;
	if (!socket_find(&at)) {
		base_warn("telemetry: no socket: telemetry-mode and telemetry-group say nothing");
		return 0;
	}
	if (s->telemetry_gid != (gid_t)-1)
		rc = folders_permit(at.sun_path, s->telemetry_gid);
	if (rc == 0 && chown(at.sun_path, uid, s->telemetry_gid) < 0)
		rc = -errno;
	if (rc == 0 && chmod(at.sun_path, (mode_t)strtoul(mode, NULL, 8)) < 0)
		rc = -errno;
	if (rc < 0)
		base_error("telemetry socket %s: %s", at.sun_path, strerror(-rc));
	return rc;
}

// ---- commands ----------------------------------------------------------------------------------
static int on_command(const char *cmd, const char *params, struct rte_tel_data *reply)
{
	struct control *c;
	int rc = -1;

	__atomic_fetch_add(&telemetry.callers, 1, __ATOMIC_SEQ_CST);
	c = __atomic_load_n(&telemetry.control, __ATOMIC_SEQ_CST);
	if (c != NULL)
		rc = control_call(c, cmd, params, reply);
	__atomic_fetch_sub(&telemetry.callers, 1, __ATOMIC_SEQ_CST);
	return rc;
}

int lcached_telemetry_open(struct control *control)
{
	__atomic_store_n(&telemetry.control, control, __ATOMIC_SEQ_CST);
	for (const struct control_command *c = control_commands; c->name != NULL; c++) {
		int rc = rte_telemetry_register_cmd(c->name, on_command, c->help);

		if (rc < 0) {
			base_error("telemetry command %s: %s", c->name, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

// Commands cannot be taken back from DPDK; from now on they answer an error. Returns when nobody is
// inside any more: callers that wait are sent home, so it is soon.
void lcached_telemetry_close(void)
{
	struct timespec ms = {.tv_nsec = 1000 * 1000};
	struct control *c = telemetry.control;

	__atomic_store_n(&telemetry.control, NULL, __ATOMIC_SEQ_CST);
	if (c == NULL)
		return;
	control_calls_refuse(c);
	while (__atomic_load_n(&telemetry.callers, __ATOMIC_SEQ_CST) > 0)
		nanosleep(&ms, NULL);
}
