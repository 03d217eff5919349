// SPDX-License-Identifier: BSD-3-Clause
// From root to an ordinary user, once the device is there. The main thread keeps what is needed to
// take the device down again; all other threads keep nothing.

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lcached.h"

int lcached_user_find(struct lcached *s, char *err, size_t err_len)
{
	const char *name = s->cfg.user;
	const struct passwd *pw;
	const struct group *gr;

	s->uid = (uid_t)-1;
	s->telemetry_gid = (gid_t)-1;
	if (*name != '\0') {
		pw = getpwnam(name);
		if (pw == NULL) {
			snprintf(err, err_len, "user: there is no user '%.64s'", name);
			return -EINVAL;
		}
		s->uid = pw->pw_uid;
		s->gid = pw->pw_gid;
		s->telemetry_gid = pw->pw_gid;
	}
	name = s->cfg.telemetry_group;
	if (*name != '\0') {
		gr = getgrnam(name);
		if (gr == NULL) {
			snprintf(err, err_len, "telemetry-group: there is no group '%.64s'", name);
			return -EINVAL;
		}
		s->telemetry_gid = gr->gr_gid;
	}
	return 0;
}

// What the driver does until the device is closed. vfio's is done through descriptors that are
// open.
static uint64_t driver_caps(const char *driver)
{
	static const char *const kernel[] = {
		"net_tap", "net_af_packet", "net_af_xdp", "mlx4", "mlx5", "net_mlx4", "net_mlx5"};
	const uint64_t net = UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW;

	for (size_t i = 0; i < BASE_ARRAY_LEN(kernel); i++) {
		if (strncmp(driver, kernel[i], strlen(kernel[i])) == 0)
			return net;
	}
	return 0;
}

static int caps_set(uint64_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
		{.effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32)}};

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

// glibc changes the user of every thread, and each loses its capabilities by that, but for this
// one, which has asked to keep them and then keeps these.
static int user_become(const struct lcached *s, uint64_t caps)
{
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || initgroups(s->cfg.user, s->gid) < 0 ||
		setresgid(s->gid, s->gid, s->gid) < 0 || setresuid(s->uid, s->uid, s->uid) < 0)
		return -errno;
	return caps_set(caps);
}

// Whether a file can be made anew in its place, with the owner and group that it has.
static bool file_replaceable(const char *file)
{
	char path[PATH_MAX];
	struct stat st;

	if (realpath(file, path) == NULL || stat(path, &st) < 0)
		return false;
	return eaccess(dirname(path), W_OK | X_OK) == 0 && st.st_uid == geteuid() &&
		(st.st_gid == getegid() || group_member(st.st_gid));
}

// The operator's files are written by the user from now on.
static int folders_check(const struct lcached *s)
{
	const struct {
		const char *name, *dir;
		bool must;
	} folder[] = {
		{"snapshot-dir", s->cfg.snapshot_dir, true},
		{"capture-dir", s->cfg.capture_dir, false},
		{"flight-dir", s->cfg.flight_dir, false},
	};

	for (size_t i = 0; i < BASE_ARRAY_LEN(folder); i++) {
		if (*folder[i].dir == '\0' || eaccess(folder[i].dir, W_OK | X_OK) == 0)
			continue;
		base_log(folder[i].must ? BASE_LOG_ERROR : BASE_LOG_WARN,
			"%s %s: user %s cannot write there: %s", folder[i].name, folder[i].dir,
			s->cfg.user, strerror(errno));
		if (folder[i].must)
			return -EACCES;
	}
	if (s->users_path != NULL && eaccess(s->users_path, R_OK) < 0)
		base_warn("%s: user %s cannot read it anew: no reload by SIGHUP", s->users_path,
			s->cfg.user);
	if (s->cfg.file[0] != '\0' && !file_replaceable(s->cfg.file))
		base_warn("config %s: user %s cannot replace it: no config rewrite", s->cfg.file,
			s->cfg.user);
	return 0;
}

int lcached_privileges_drop(struct lcached *s)
{
	uint64_t caps = driver_caps(s->port.driver);
	int rc;

	if (s->uid == (uid_t)-1 || s->uid == 0) {
		if (geteuid() == 0)
			base_info("running as root: -u names a user to become");
		return 0;
	}
	if (geteuid() != 0) {
		base_warn("user %s: not root, the user stays", s->cfg.user);
		return 0;
	}
	rc = user_become(s, caps);
	if (rc < 0) {
		base_error("user %s: %s", s->cfg.user, strerror(-rc));
		return rc;
	}
	// /proc/self stays ours, and a crash leaves a core dump where the system wants one
	prctl(PR_SET_DUMPABLE, 1);
	base_info("user %s, capabilities: %s", s->cfg.user,
		caps ? "NET_ADMIN and NET_RAW of the main thread" : "none");
	return folders_check(s);
}
