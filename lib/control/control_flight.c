// SPDX-License-Identifier: BSD-3-Clause
// /lcached/flight/dump: what the workers recorded, to a file.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "control/control_internal.h"

static int dump_write(struct control *c, const char *path)
{
	struct flight *flight[WORKER_MAX];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return -errno;
	for (unsigned i = 0; i < c->workers; i++)
		flight[i] = worker_group_flight(c->group, i);
	rc = flight_write(fd, flight, c->workers, c->now);
	if (close(fd) && !rc)
		rc = -errno;
	if (rc)
		unlink(path);
	return rc;
}

int control_flight_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	char path[CONTROL_TEXT_MAX + 64], error[CONTROL_TEXT_MAX + 128];
	int rc;

	snprintf(path, sizeof(path), "%s/lcached-%d-%llu.flight", c->cfg->flight_dir, (int)getpid(),
		(unsigned long long)(c->now.mono_us / 1000));
	rc = dump_write(c, path);
	rte_tel_data_start_dict(d);
	if (rc) {
		snprintf(error, sizeof(error), "%s: %s", path, strerror(-rc));
		rte_tel_data_add_dict_string(d, "error", error);
		return 0;
	}
	rte_tel_data_add_dict_string(d, "file", path);
	rte_tel_data_add_dict_string(d, "decode", "lcflight FILE");
	return 0;
}
