// SPDX-License-Identifier: BSD-3-Clause
// systemd's sd_notify protocol: lines of NAME=VALUE in a datagram to the socket that $NOTIFY_SOCKET
// names. Main alone sends; nobody waits for a service manager that does not read.

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lcached.h"

#define BUSY_US 5000000

void lcached_notify_open(struct lcached_notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET"), *us = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path != NULL ? strlen(path) : 0;
	uint64_t value;

	*n = (struct lcached_notify){.fd = -1};
	if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@') // an abstract name
		to.sun_path[0] = '\0';
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd >= 0 &&
		connect(n->fd, (const struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		base_warn("NOTIFY_SOCKET %s: nobody is told when the server is ready", path);
		close(n->fd);
		n->fd = -1;
	}
	if (us == NULL || base_u64_parse(us, strlen(us), &value) < 0 ||
		(pid != NULL && strtol(pid, NULL, 10) != getpid()))
		return;
	n->watchdog_us = value / 2;
}

void lcached_notify_send(const struct lcached_notify *n, const char *state)
{
	if (n->fd >= 0)
		(void)!send(n->fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void lcached_notify_alive(struct lcached_notify *n, uint64_t now_us)
{
	if (n->fd < 0 || n->watchdog_us == 0 || now_us - n->alive_us < n->watchdog_us)
		return;
	n->alive_us = now_us;
	lcached_notify_send(n, "WATCHDOG=1");
}

void lcached_notify_busy(struct lcached_notify *n, uint64_t now_us)
{
	if (n->fd < 0 || now_us - n->busy_us < BUSY_US)
		return;
	n->busy_us = now_us;
	lcached_notify_send(n, "EXTEND_TIMEOUT_USEC=60000000");
}

void lcached_notify_close(struct lcached_notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}
