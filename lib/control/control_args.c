// SPDX-License-Identifier: BSD-3-Clause
// The command line and the configuration file.

#include <errno.h>

#include "control/control_internal.h"

#define HUGEPAGE_BYTES (UINT64_C(2) << 20)
#define MAXMEMORY_MIN  (UINT64_C(1) << 20) // as of bytes

// ---- the file ----------------------------------------------------------------------------------
static int config_line(struct control_config *cfg, const char *file, unsigned number, char *line,
	char *err, size_t err_len)
{
	char *save, *name, *value, why[300];

	line[strcspn(line, "#\r\n")] = '\0';
	name = strtok_r(line, " \t", &save);
	if (name == NULL)
		return 0;
	value = strtok_r(NULL, " \t", &save);
	if (value == NULL || strtok_r(NULL, " \t", &save) != NULL) {
		snprintf(err, err_len, "%s:%u: '%s' wants one value", file, number, name);
		return -EINVAL;
	}
	if (strcmp(name, "config") == 0) {
		snprintf(err, err_len, "%s:%u: a file cannot name another", file, number);
		return -EINVAL;
	}
	if (control_config_set(cfg, name, value, why, sizeof(why)) < 0) {
		snprintf(err, err_len, "%s:%u: %s", file, number, why);
		return -EINVAL;
	}
	return 0;
}

int control_line_read(FILE *f, char line[CONTROL_LINE_MAX])
{
	if (fgets(line, CONTROL_LINE_MAX, f) == NULL)
		return 0;
	return strlen(line) < CONTROL_LINE_MAX - 1 || strchr(line, '\n') != NULL ? 1 : -E2BIG;
}

static int config_file_load(struct control_config *cfg, const char *file, char *err, size_t err_len)
{
	FILE *f = fopen(file, "re");
	char line[CONTROL_LINE_MAX];
	unsigned number = 0;
	int rc;

	if (f == NULL) {
		snprintf(err, err_len, "%s: %s", file, strerror(errno));
		return -EINVAL;
	}
	while ((rc = control_line_read(f, line)) > 0) {
		rc = config_line(cfg, file, ++number, line, err, err_len);
		if (rc < 0)
			break;
	}
	if (rc == -E2BIG) {
		snprintf(err, err_len, "%s:%u: longer than %d bytes", file, number + 1,
			CONTROL_LINE_MAX - 2);
		rc = -EINVAL;
	}
	if (rc == 0 && ferror(f)) { // a folder opens, but cannot be read
		snprintf(err, err_len, "%s: %s", file, strerror(errno));
		rc = -EINVAL;
	}
	fclose(f);
	return rc;
}

// ---- the command line --------------------------------------------------------------------------
static int option_unknown(const char *word, const char *name, char *err, size_t err_len)
{
	const char *near = base_name_nearest(name, control_config_name);

	snprintf(err, err_len, "unknown option '%.200s' (%s%s)", word,
		near ? "nearest: --" : "lcached -h lists them", near ? near : "");
	return -EINVAL;
}

// Reads the option at argv[*i]; advances past its value.
static int args_option(struct control_config *cfg, int argc, char **argv, int *i, bool file_only,
	char *err, size_t err_len)
{
	const char *word = argv[*i], *value = NULL;
	const struct control_option *o = NULL;
	char name[64], why[256];

	if (word[0] == '-' && word[1] == '-') {
		size_t n = strcspn(word + 2, "=");

		snprintf(name, sizeof(name), "%.*s", (int)base_min_u64(n, sizeof(name) - 1),
			word + 2);
		o = control_option_find(name);
		value = word[2 + n] == '=' ? word + 2 + n + 1 : NULL;
	} else if (word[0] == '-' && word[1] != '\0') {
		o = control_option_letter(word[1]);
		value = word[2] != '\0' ? word + 2 : NULL;
	}
	if (o == NULL)
		return option_unknown(
			word, word[0] == '-' && word[1] == '-' ? name : "", err, err_len);
	if (o->type == CONTROL_OPTION_YES_NO && value == NULL &&
		(*i + 1 >= argc || argv[*i + 1][0] == '-')) {
		value = "yes"; // memcached's spelling of such options
	} else if (control_option_takes_value(o) && value == NULL) {
		if (*i + 1 >= argc) {
			snprintf(err, err_len, "%s wants a value", word);
			return -EINVAL;
		}
		value = argv[++*i];
	} else if (!control_option_takes_value(o) && value != NULL) {
		if (word[1] == '-') {
			snprintf(err, err_len, "%s takes no value", word);
			return -EINVAL;
		}
		// -vv: letters without values may stand together
		for (const char *p = value; *p != '\0'; p++) {
			const struct control_option *more = control_option_letter(*p);

			if (more == NULL || control_option_takes_value(more)) {
				snprintf(err, err_len,
					"unknown option '%s' (lcached -h lists them)", word);
				return -EINVAL;
			}
			if (!file_only)
				control_option_value_set(cfg, more, "", why, sizeof(why));
		}
	}
	if (file_only && o->offset != offsetof(struct control_config, file))
		return 0;
	if (control_option_value_set(cfg, o, value ? value : "", why, sizeof(why)) < 0) {
		snprintf(err, err_len, "%s: %s", word, why);
		return -EINVAL;
	}
	return 0;
}

static int args_pass(struct control_config *cfg, int argc, char **argv, int *eal_args,
	bool file_only, char *err, size_t err_len)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			*eal_args = i + 1;
			return 0;
		}
		if (args_option(cfg, argc, argv, &i, file_only, err, err_len) < 0)
			return -EINVAL;
	}
	*eal_args = argc;
	return 0;
}

// What no single value shows.
static int snapshot_check(const struct control_config *cfg, char *err, size_t err_len)
{
	char why[256];

	if (cfg->snapshot_on_exit[0] == '\0')
		return 0;
	if (cfg->snapshot_dir[0] == '\0') {
		snprintf(err, err_len, "snapshot-on-exit: snapshot-dir is empty");
		return -EINVAL;
	}
	if (snapshot_name_check(cfg->snapshot_on_exit, why, sizeof(why)) < 0) {
		snprintf(err, err_len, "snapshot-on-exit: %s", why);
		return -EINVAL;
	}
	return 0;
}

// Who has to say who he is says it over TCP, in the language in which he is asked.
static int access_check(const struct control_config *cfg, char *err, size_t err_len)
{
	const char *option = cfg->sasl ? "enable-sasl" : "auth-file";
	const char *other = cfg->sasl ? "ascii" : "binary";

	if (!cfg->sasl && cfg->auth_file[0] == '\0')
		return 0;
	if (strcmp(cfg->protocol, other) == 0) {
		snprintf(err, err_len, "%s: protocol is %s", option, other);
		return -EINVAL;
	}
	if (cfg->udp_port != 0) {
		snprintf(err, err_len, "%s: UDP cannot authenticate: udp-port must be 0", option);
		return -EINVAL;
	}
	return 0;
}

static int telemetry_check(const struct control_config *cfg, char *err, size_t err_len)
{
	const char *mode = cfg->telemetry_mode;
	size_t n = strlen(mode);

	if (n <= 4 && strspn(mode, "01234567") == n && (n < 4 || mode[0] == '0'))
		return 0;
	snprintf(err, err_len, "telemetry-mode: '%.16s' is not an octal mode (0770)", mode);
	return -EINVAL;
}

int control_config_check(const struct control_config *cfg, char *err, size_t err_len)
{
	if (access_check(cfg, err, err_len) < 0)
		return -EINVAL;
	if (cfg->tcp_port == 0 && cfg->udp_port == 0) {
		snprintf(err, err_len, "port and udp-port are both 0: nothing to serve");
		return -EINVAL;
	}
	if (cfg->udp_shard_ports && cfg->udp_port == 0) {
		snprintf(err, err_len, "udp-shard-ports: udp-port is 0: UDP is off");
		return -EINVAL;
	}
	if (cfg->udp_shard_ports && cfg->udp_port + cfg->workers - 1 > UINT16_MAX) {
		snprintf(err, err_len,
			"udp-shard-ports: %llu ports from udp-port %llu on end beyond 65535",
			(unsigned long long)cfg->workers, (unsigned long long)cfg->udp_port);
		return -EINVAL;
	}
	if (cfg->region_bytes > 0 && cfg->region_bytes < cfg->workers * HUGEPAGE_BYTES) {
		snprintf(err, err_len,
			"memory-region: %llu bytes are less than a hugepage of 2mb for each of "
			"%llu "
			"workers",
			(unsigned long long)cfg->region_bytes, (unsigned long long)cfg->workers);
		return -EINVAL;
	}
	if (cfg->maxmemory_percent > 0 && cfg->maxmemory_bytes < MAXMEMORY_MIN) {
		snprintf(err, err_len, "maxmemory: %llu%% are %llu bytes, less than 1mb",
			(unsigned long long)cfg->maxmemory_percent,
			(unsigned long long)cfg->maxmemory_bytes);
		return -EINVAL;
	}
	if (snapshot_check(cfg, err, err_len) < 0 || telemetry_check(cfg, err, err_len) < 0)
		return -EINVAL;
	if (cfg->item_bytes_max > cfg->maxmemory_bytes / 2) {
		snprintf(err, err_len, "item-size-max: %llu is more than half of maxmemory (%llu)",
			(unsigned long long)cfg->item_bytes_max,
			(unsigned long long)cfg->maxmemory_bytes);
		return -EINVAL;
	}
	return 0;
}

// The addresses of the command line stand in place of the file's, not beside them.
static int args_main_pass(
	struct control_config *cfg, int argc, char **argv, int *eal_args, char *err, size_t err_len)
{
	char address[CONTROL_TEXT_MAX], gateway[CONTROL_TEXT_MAX];

	memcpy(address, cfg->address, sizeof(address));
	memcpy(gateway, cfg->gateway, sizeof(gateway));
	cfg->address[0] = cfg->gateway[0] = '\0';
	if (args_pass(cfg, argc, argv, eal_args, false, err, err_len) < 0)
		return -EINVAL;
	if (cfg->address[0] == '\0')
		memcpy(cfg->address, address, sizeof(address));
	if (cfg->gateway[0] == '\0')
		memcpy(cfg->gateway, gateway, sizeof(gateway));
	return 0;
}

// The command line wins over the file, so the file that it names is read first.
int control_config_args(
	struct control_config *cfg, int argc, char **argv, int *eal_args, char *err, size_t err_len)
{
	if (args_pass(cfg, argc, argv, eal_args, true, err, err_len) < 0)
		return -EINVAL;
	if (cfg->file[0] != '\0' && config_file_load(cfg, cfg->file, err, err_len) < 0)
		return -EINVAL;
	if (args_main_pass(cfg, argc, argv, eal_args, err, err_len) < 0)
		return -EINVAL;
	if (control_maxmemory_resolve(cfg, err, err_len) < 0)
		return -EINVAL;
	return control_config_check(cfg, err, err_len);
}
