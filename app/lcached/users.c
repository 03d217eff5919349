// SPDX-License-Identifier: BSD-3-Clause
// Who may speak: read at the start, and again on SIGHUP.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lcached.h"

int lcached_users_check(struct lcached *s, char *err, size_t err_len)
{
	const char *path = s->cfg.auth_file;

	if (path[0] == '\0' && s->cfg.sasl)
		path = getenv("MEMCACHED_SASL_PWDB"); // as memcached does
	if (path == NULL) {
		snprintf(err, err_len,
			"enable-sasl: no users: give auth-file, or MEMCACHED_SASL_PWDB");
		return -EINVAL;
	}
	if (path[0] == '\0')
		return 0;
	s->users_path = path;
	return control_users_load(path, &s->users, err, err_len);
}

void lcached_users_set(struct lcached *s)
{
	if (s->users_path == NULL)
		return;
	worker_users_set(s->group, &s->users);
	explicit_bzero(&s->users, sizeof(s->users));
}

void lcached_users_reload(struct lcached *s)
{
	char err[512];

	if (s->users_path == NULL)
		return;
	if (control_users_load(s->users_path, &s->users, err, sizeof(err)) < 0) {
		base_warn("users stay as they are: %s", err);
		return;
	}
	base_info("users: %u read from %s", (unsigned)s->users.count, s->users_path);
	lcached_users_set(s);
}
