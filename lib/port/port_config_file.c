// SPDX-License-Identifier: BSD-3-Clause
// Driver configuration files: found by name, read line by line.
#include "port/port_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "port/port_paths.h"

#define LINE_MAX_BYTES 512
#define FILE_MAX_LINES 2000

static bool is_path(const char *name)
{
	size_t len = strlen(name);

	return strchr(name, '/') || (len > 5 && !strcmp(name + len - 5, ".conf"));
}

// Of an installation that was put elsewhere than it was configured for: PREFIX/bin/lcached's files
// are in PREFIX/share/lcached.
static void beside_program(char *dir, size_t len)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	dir[0] = '\0';
	if (n <= 0)
		return;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	if (snprintf(dir, len, "%s/../share/lcached/drivers-config", exe) >= (int)len)
		dir[0] = '\0';
}

// Finds NAME.conf in the directories, in their order. 0 or -ENOENT with the places named in err.
static int file_find(const char *name, char *path, size_t path_len, char *err, size_t err_len)
{
	char beside[PATH_MAX];
	const char *const dirs[] = {
		"drivers-config", PORT_DRIVERS_SOURCE, PORT_DRIVERS_INSTALLED, beside};

	beside_program(beside, sizeof(beside));
	if (is_path(name)) {
		snprintf(path, path_len, "%s", name);
		return 0;
	}
	for (unsigned i = 0; i < BASE_ARRAY_LEN(dirs); i++) {
		int n = snprintf(path, path_len, "%s/%s.conf", dirs[i], name);

		if (n > 0 && (size_t)n < path_len && access(path, R_OK) == 0)
			return 0;
	}
	snprintf(err, err_len,
		"%s: no such driver configuration (looked for %.64s.conf in ./%s, %s, %s)", name,
		name, dirs[0], dirs[1], dirs[2]);
	return -ENOENT;
}

// The file's name without directory and .conf.
static void name_take(struct port_config *cfg, const char *path)
{
	const char *base = strrchr(path, '/');
	size_t len;

	base = base ? base + 1 : path;
	len = strlen(base);
	if (len > 5 && !strcmp(base + len - 5, ".conf"))
		len -= 5;
	if (len >= sizeof(cfg->name))
		len = sizeof(cfg->name) - 1;
	memcpy(cfg->name, base, len);
	cfg->name[len] = '\0';
}

// Cuts the line to `name value`; a comment starts with # at the line's start or after white space.
// Returns false for a line with nothing in it.
static bool line_split(char *line, char **name, char **value)
{
	size_t len;

	for (char *p = line; *p; p++) {
		if (*p == '#' && (p == line || p[-1] == ' ' || p[-1] == '\t')) {
			*p = '\0';
			break;
		}
	}
	len = strlen(line);
	while (len && strchr(" \t\r\n", line[len - 1]))
		line[--len] = '\0';
	*name = line + strspn(line, " \t");
	if (!**name)
		return false;
	*value = *name + strcspn(*name, " \t");
	if (**value) {
		*(*value)++ = '\0';
		*value += strspn(*value, " \t");
	}
	return true;
}

static int line_take(struct port_config *cfg, char *line, unsigned number, unsigned *seen,
	char *err, size_t err_len)
{
	char *name, *value;
	bool list;
	int i;

	if (!line_split(line, &name, &value))
		return 0;
	i = port_setting_find(name, &list);
	if (i >= 0 && !list) {
		if (seen[i]) {
			snprintf(err, err_len, "%s: given twice (first on line %u)", name, seen[i]);
			return -EINVAL;
		}
		seen[i] = number;
	}
	return port_config_set(cfg, name, value, err, err_len);
}

static int lines_read(struct port_config *cfg, FILE *f, unsigned *number, char *err, size_t err_len)
{
	unsigned seen[PORT_SETTINGS_MAX] = {0};
	char line[LINE_MAX_BYTES];
	int rc = 0;

	while (!rc && fgets(line, sizeof(line), f)) {
		++*number;
		if (!strchr(line, '\n') && !feof(f)) {
			snprintf(err, err_len, "line longer than %d bytes", LINE_MAX_BYTES - 2);
			rc = -EINVAL;
		} else if (*number > FILE_MAX_LINES) {
			snprintf(err, err_len, "more than %d lines", FILE_MAX_LINES);
			rc = -EINVAL;
		} else {
			rc = line_take(cfg, line, *number, seen, err, err_len);
		}
	}
	if (!rc && ferror(f)) {
		snprintf(err, err_len, "cannot be read: %s", strerror(errno));
		rc = -EIO;
	}
	return rc;
}

int port_config_load(struct port_config *cfg, const char *name_or_file, char *err, size_t err_len)
{
	char path[PATH_MAX], why[320];
	unsigned number = 0;
	FILE *f;
	int rc;

	port_config_init(cfg);
	rc = file_find(name_or_file, path, sizeof(path), err, err_len);
	if (rc)
		return rc;
	f = fopen(path, "re");
	if (!f) {
		rc = -errno;
		snprintf(err, err_len, "%s: cannot be opened: %s", path, strerror(errno));
		return rc;
	}
	name_take(cfg, path);
	rc = lines_read(cfg, f, &number, why, sizeof(why));
	fclose(f);
	if (rc) {
		snprintf(err, err_len, "%s:%u: %s", path, number, why);
		return rc;
	}
	rc = port_config_check(cfg, why, sizeof(why));
	if (rc)
		snprintf(err, err_len, "%s: %s", path, why);
	return rc;
}
