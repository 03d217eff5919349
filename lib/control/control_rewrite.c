// SPDX-License-Identifier: BSD-3-Clause
// The configuration file written anew.

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control_internal.h"

#define NAMES_MAX 128 // options that a file may name

// A value as a line of the file has it: a percentage, not the bytes that were computed from it.
static void value_text(const struct control_config *cfg, const char *name, char *buf, size_t len)
{
	if (strcmp(name, "maxmemory") == 0 && cfg->maxmemory_percent > 0)
		snprintf(buf, len, "%llu%%", (unsigned long long)cfg->maxmemory_percent);
	else if (control_config_get(cfg, name, buf, len) < 0)
		buf[0] = '\0';
}

static int name_index(const char *name)
{
	const char *known;

	for (unsigned i = 0; (known = control_config_name(i)) != NULL; i++) {
		if (strcmp(known, name) == 0)
			return (int)i;
	}
	return -ENOENT;
}

// Whether a value means what is configured: 64mb is 67108864.
static bool value_is_current(
	const struct control_config *cfg, const char *name, const char *value, const char *current)
{
	struct control_config scratch;
	char text[CONTROL_VALUE_MAX], err[256];

	control_config_init(&scratch);
	scratch.region_bytes = cfg->region_bytes; // what a percentage is of
	if (control_config_set(&scratch, name, value, err, sizeof(err)) < 0)
		return false;
	value_text(&scratch, name, text, sizeof(text));
	return strcmp(text, current) == 0;
}

static int value_write(FILE *to, const char *name, const char *value, char *err, size_t err_len)
{
	if (strpbrk(value, " \t\r\n#") != NULL) {
		snprintf(err, err_len, "%s: a value with a blank or a # cannot stand in a file",
			name);
		return -EINVAL;
	}
	fprintf(to, "%s %s\n", name, value);
	return 0;
}

// One line of the old file. What names no option stays, and so does a value that is right.
static int line_write(const struct control_config *cfg, const char *line, bool *named, FILE *to,
	char *err, size_t err_len)
{
	char words[CONTROL_LINE_MAX + 1], current[CONTROL_VALUE_MAX], *save, *name, *value;
	int i;

	snprintf(words, sizeof(words), "%s", line);
	words[strcspn(words, "#\r\n")] = '\0';
	name = strtok_r(words, " \t", &save);
	value = name ? strtok_r(NULL, " \t", &save) : NULL;
	i = name ? name_index(name) : -ENOENT;
	if (i < 0 || i >= NAMES_MAX || value == NULL) {
		fputs(line, to);
		return 0;
	}
	if (named[i]) // said above, with all that there is to say
		return 0;
	named[i] = true;
	value_text(cfg, name, current, sizeof(current));
	if (value_is_current(cfg, name, value, current)) {
		fputs(line, to);
		return 0;
	}
	return current[0] != '\0' ? value_write(to, name, current, err, err_len) : 0;
}

// Options that the file did not name, and that are not as they are without being named.
static int rest_write(
	const struct control_config *cfg, const bool *named, FILE *to, char *err, size_t err_len)
{
	struct control_config start;
	char current[CONTROL_VALUE_MAX], first[CONTROL_VALUE_MAX];
	const char *name;
	bool any = false;
	int rc = 0;

	control_config_init(&start);
	for (unsigned i = 0; rc == 0 && (name = control_config_name(i)) != NULL; i++) {
		base_assert(i < NAMES_MAX);
		value_text(cfg, name, current, sizeof(current));
		value_text(&start, name, first, sizeof(first));
		if (named[i] || strcmp(name, "config") == 0 || strcmp(current, first) == 0)
			continue;
		if (!any)
			fputs("\n# Written by config rewrite.\n", to);
		any = true;
		rc = value_write(to, name, current, err, err_len);
	}
	return rc;
}

int control_config_text(
	const struct control_config *cfg, FILE *from, FILE *to, char *err, size_t err_len)
{
	bool named[NAMES_MAX] = {false};
	char line[CONTROL_LINE_MAX + 1];
	int rc;

	while ((rc = control_line_read(from, line)) > 0) {
		if (strchr(line, '\n') == NULL)
			strcat(line, "\n");
		rc = line_write(cfg, line, named, to, err, err_len);
		if (rc < 0)
			return rc;
	}
	if (rc == -E2BIG) {
		snprintf(err, err_len, "a line is longer than %d bytes", CONTROL_LINE_MAX - 2);
		return -EINVAL;
	}
	if (rc == 0)
		rc = rest_write(cfg, named, to, err, err_len);
	if (rc == 0 && ferror(from)) {
		snprintf(err, err_len, "%s", strerror(EIO));
		rc = -EINVAL;
	}
	return rc;
}

// The new file under a name of its own, all of it on the disk. 0 or -errno.
static int file_make(const struct control_config *cfg, const char *path, const char *made, int fd,
	char *err, size_t err_len)
{
	FILE *from = fopen(path, "re"), *to = fdopen(fd, "w");
	struct stat st;
	int rc = -EIO;

	if (from == NULL || to == NULL || fstat(fileno(from), &st) < 0 ||
		fchmod(fd, st.st_mode & 07777) < 0) {
		rc = -errno;
		snprintf(err, err_len, "%s: %s", from == NULL ? path : made, strerror(errno));
	} else if (fchown(fd, st.st_uid, st.st_gid) < 0) {
		rc = -errno;
		snprintf(err, err_len, "%s: a new one cannot have its owner and group: %s", path,
			strerror(errno));
	} else {
		rc = control_config_text(cfg, from, to, err, err_len);
		if (rc == 0 && (fflush(to) != 0 || fsync(fd) < 0)) {
			rc = -errno;
			snprintf(err, err_len, "%s: %s", made, strerror(errno));
		}
	}
	if (from != NULL)
		fclose(from);
	if (to != NULL)
		fclose(to);
	else
		close(fd);
	return rc;
}

static void folder_sync(char *path)
{
	int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

int control_config_rewrite(const struct control_config *cfg, char *err, size_t err_len)
{
	char path[PATH_MAX], made[PATH_MAX + 8];
	int fd, rc;

	if (cfg->file[0] == '\0') {
		snprintf(err, err_len,
			"the server was started without a configuration file (-f FILE)");
		return -ENOENT;
	}
	if (realpath(cfg->file, path) == NULL) { // a link to it stays one
		rc = -errno;
		snprintf(err, err_len, "%s: %s", cfg->file, strerror(errno));
		return rc;
	}
	snprintf(made, sizeof(made), "%s.XXXXXX", path);
	fd = mkostemp(made, O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		snprintf(err, err_len, "%s: %s", made, strerror(errno));
		return rc;
	}
	rc = file_make(cfg, path, made, fd, err, err_len);
	if (rc == 0 && rename(made, path) < 0) {
		rc = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(errno));
	}
	if (rc < 0)
		unlink(made);
	else
		folder_sync(path);
	return rc;
}
