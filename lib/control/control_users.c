// SPDX-License-Identifier: BSD-3-Clause
// The file of users: lines of NAME:PASSWORD, as memcached reads them.

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "control/control_internal.h"

#define LINES_MAX 4096 // of a file, empty ones among them: nobody waits for one without end

// A line without its end. 0 or -EINVAL, with what is wrong in why.
static int user_read(struct worker_users *users, const char *line, char *why, size_t why_len)
{
	struct worker_user *u = &users->user[users->count];
	const char *colon = strchr(line, ':');
	size_t len = strlen(line);

	if (colon == NULL || colon == line) {
		snprintf(why, why_len, "not NAME:PASSWORD");
		return -EINVAL;
	}
	if (len >= sizeof(u->line)) {
		snprintf(why, why_len, "longer than %zu bytes", sizeof(u->line) - 1);
		return -EINVAL;
	}
	if (users->count == WORKER_USERS_MAX) {
		snprintf(why, why_len, "more than %d users", WORKER_USERS_MAX);
		return -EINVAL;
	}
	memcpy(u->line, line, len);
	u->name_len = (uint64_t)(colon - line);
	users->count++;
	return 0;
}

static int users_read(
	FILE *f, const char *path, struct worker_users *users, char *err, size_t err_len)
{
	char line[4 * WORKER_USER_BYTES], why[64];
	unsigned number = 0;
	int rc = 0;

	while (rc == 0 && fgets(line, sizeof(line), f) != NULL) {
		bool whole = strchr(line, '\n') != NULL || feof(f);

		number++;
		line[strcspn(line, "\r\n")] = '\0';
		rc = -EINVAL;
		if (!whole)
			snprintf(why, sizeof(why), "longer than %zu bytes, or no text",
				sizeof(users->user[0].line) - 1);
		else if (number > LINES_MAX)
			snprintf(why, sizeof(why), "more than %d lines", LINES_MAX);
		else
			rc = line[0] != '\0' ? user_read(users, line, why, sizeof(why)) : 0;
		if (rc < 0)
			snprintf(err, err_len, "%s:%u: %s", path, number, why);
	}
	explicit_bzero(line, sizeof(line));
	if (rc == 0 && ferror(f)) {
		snprintf(err, err_len, "%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	if (rc == 0 && users->count == 0) {
		snprintf(err, err_len, "%s: no user in it", path);
		return -EINVAL;
	}
	return rc;
}

int control_users_load(const char *path, struct worker_users *users, char *err, size_t err_len)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	int rc;

	memset(users, 0, sizeof(*users));
	if (f == NULL) {
		snprintf(err, err_len, "%s: %s", path, strerror(errno));
		return -EINVAL;
	}
	setvbuf(f, NULL, _IONBF, 0); // no copy of it stays in a buffer
	rc = users_read(f, path, users, err, err_len);
	if (rc == 0 && fstat(fileno(f), &st) == 0 && (st.st_mode & S_IROTH))
		base_warn("auth-file: everybody on this machine may read %s", path);
	fclose(f);
	if (rc < 0)
		explicit_bzero(users, sizeof(*users));
	return rc;
}
