// SPDX-License-Identifier: BSD-3-Clause
// The option table, and what is read from it: values checked and set, shown, listed.

#include <errno.h>
#include <stdlib.h>

#include "control/control_internal.h"

#define AT(field)         ((uint16_t)offsetof(struct control_config, field))
#define MAXMEMORY_PERCENT 75 // of 0
#define GIB               (UINT64_C(1) << 30)

static const struct control_option options[] = {
	{"maxmemory", 0, CONTROL_OPTION_MAXMEMORY, true, AT(maxmemory_bytes), 1 << 20, GIB << 10,
		"64mb", "BYTES|N%",
		"used_memory is held below this; k kb m mb g gb, or a part of memory-region, else "
		"of "
		"the machine; 0: 75%"},
	{NULL, 'm', CONTROL_OPTION_MEGABYTES, false, AT(maxmemory_bytes), 1, 1 << 20, NULL, "MB",
		"the same in megabytes"},
	{"maxmemory-policy", 0, CONTROL_OPTION_POLICY, true, AT(policy), 0, 0, "allkeys-lru",
		"POLICY",
		"what goes at the limit: noeviction (an error is answered), allkeys-lru, "
		"allkeys-lfu, allkeys-random, volatile-lru, volatile-lfu, volatile-random, "
		"volatile-ttl, allkeys-s3fifo, volatile-s3fifo, allkeys-s3fifo-size"},
	{NULL, 'M', CONTROL_OPTION_NOEVICTION, false, AT(policy), 0, 0, NULL, NULL,
		"the same as --maxmemory-policy noeviction"},
	{"maxmemory-samples", 0, CONTROL_OPTION_NUMBER, true, AT(samples), 1, 64, "5", "N",
		"keys looked at for one eviction"},
	{"maxmemory-eviction-tenacity", 0, CONTROL_OPTION_NUMBER, true, AT(tenacity), 0, 100, "10",
		"N", "how much a turn's requests evict beyond what they need"},
	{"lfu-log-factor", 0, CONTROL_OPTION_NUMBER, true, AT(lfu_log_factor), 0, 1000000, "10",
		"N", "how many hits a step of the LFU counter takes"},
	{"lfu-decay-time", 0, CONTROL_OPTION_NUMBER, true, AT(lfu_decay_min), 0, 65535, "1",
		"MINUTES", "after which the LFU counter loses one; 0: never"},
	{"active-expire-effort", 0, CONTROL_OPTION_NUMBER, true, AT(expire_effort), 1, 10, "1", "N",
		"how much of a worker's time goes into items that are due"},
	{"expire-index", 0, CONTROL_OPTION_YES_NO, true, AT(expire_index), 0, 0, "yes", "YES|NO",
		"an index of deadlines finds what is due; no: sampling does, as in Redis"},
	{"hz", 0, CONTROL_OPTION_NUMBER, true, AT(hz), 1, 500, "10", "N",
		"looks a second at the deadlines of a sample; without expire-index, slow cycles"},
	{"lazyfree-lazy-eviction", 0, CONTROL_OPTION_YES_NO, true, AT(lazy_eviction), 0, 0, "yes",
		"YES|NO", "large items that are evicted are freed by and by"},
	{"lazyfree-lazy-expire", 0, CONTROL_OPTION_YES_NO, true, AT(lazy_expire), 0, 0, "yes",
		"YES|NO", "... that expire"},
	{"lazyfree-lazy-server-del", 0, CONTROL_OPTION_YES_NO, true, AT(lazy_server_del), 0, 0,
		"yes", "YES|NO", "... that are replaced"},
	{"lazyfree-lazy-user-del", 0, CONTROL_OPTION_YES_NO, true, AT(lazy_user_del), 0, 0, "yes",
		"YES|NO", "... that are deleted"},
	{"lazyfree-lazy-user-flush", 0, CONTROL_OPTION_YES_NO, true, AT(lazy_user_flush), 0, 0,
		"yes", "YES|NO", "a flush frees by and by; no: before it is answered"},
	{"lazyfree-idle-threshold", 0, CONTROL_OPTION_NUMBER, true, AT(lazy_idle_percent), 0, 100,
		"50", "PERCENT", "of empty polls, from which on all that waits is freed"},
	{"activedefrag", 0, CONTROL_OPTION_YES_NO, true, AT(defrag), 0, 0, "no", "YES|NO",
		"items are moved out of slabs and pages that are mostly empty"},
	{"active-defrag-ignore-bytes", 0, CONTROL_OPTION_BYTES, true, AT(defrag_ignore_bytes), 0,
		GIB << 10, "100mb", "BYTES",
		"of fragmentation, over all workers, for which it does not begin"},
	{"active-defrag-threshold-lower", 0, CONTROL_OPTION_NUMBER, true, AT(defrag_lower), 0, 1000,
		"10", "PERCENT", "of what is allocated: fragmentation from which on it begins"},
	{"active-defrag-threshold-upper", 0, CONTROL_OPTION_NUMBER, true, AT(defrag_upper), 0, 1000,
		"100", "PERCENT", "... from which on it takes all the time it may"},
	{"active-defrag-cycle-min", 0, CONTROL_OPTION_NUMBER, true, AT(defrag_cycle_min), 1, 99,
		"1", "PERCENT", "of a worker's time, at the lower threshold"},
	{"active-defrag-cycle-max", 0, CONTROL_OPTION_NUMBER, true, AT(defrag_cycle_max), 1, 99,
		"25", "PERCENT", "... at the upper one"},
	{"upkeep-slice-us", 0, CONTROL_OPTION_NUMBER, true, AT(upkeep_slice_us), 5, 1000, "50",
		"MICROSECONDS", "that a worker's turn spends on upkeep at most"},
	{"maxmemory-clients", 0, CONTROL_OPTION_SHARE, true, AT(clients_max), 0, GIB << 10, "0",
		"BYTES|N%",
		"of all clients' buffers, or a part of maxmemory; the largest client is "
		"dropped beyond it; 0: no limit"},
	{"client-output-buffer-limit", 0, CONTROL_OPTION_BYTES, false, AT(client_output_bytes),
		64 << 10, GIB, "4mb", "BYTES",
		"of replies waiting, from which on a client's requests are not read"},
	{"client-query-buffer-limit", 0, CONTROL_OPTION_BYTES, false, AT(client_query_bytes),
		16 << 10, 16 << 20, "256kb", "BYTES",
		"of requests received and not yet executed: a client's receive window"},
	{"memory-region", 0, CONTROL_OPTION_BYTES, false, AT(region_bytes), 0, GIB << 10, "0",
		"BYTES", "hugepages reserved at start, over all workers; 0: ordinary pages"},
	{"jemalloc-dirty-decay-ms", 0, CONTROL_OPTION_DECAY, true, AT(dirty_decay_ms), 0, 0,
		"10000", "MS", "free pages go back to the system after that; -1: never"},
	{"jemalloc-muzzy-decay-ms", 0, CONTROL_OPTION_DECAY, true, AT(muzzy_decay_ms), 0, 0, "0",
		"MS", "how long the system may leave them to us first; -1: always"},
	{"jemalloc-bg-thread", 0, CONTROL_OPTION_YES_NO, true, AT(background_thread), 0, 0, "yes",
		"YES|NO", "the control core gives back what is not a worker's"},
	{"disable-thp", 0, CONTROL_OPTION_YES_NO, false, AT(disable_thp), 0, 0, "yes", "YES|NO",
		"no transparent hugepages"},
	{"port", 'p', CONTROL_OPTION_NUMBER, false, AT(tcp_port), 0, 65535, "11211", "PORT",
		"TCP port; 0: off"},
	{"udp-port", 'U', CONTROL_OPTION_NUMBER, false, AT(udp_port), 0, 65535, "0", "PORT",
		"UDP port; 0: off"},
	{"udp-shard-ports", 0, CONTROL_OPTION_YES_NO, false, AT(udp_shard_ports), 0, 0, "no",
		"YES|NO",
		"a UDP port for each worker's keys, from udp-port on; each of them takes any key"},
	{"udp-allow", 0, CONTROL_OPTION_LIST, true, AT(udp_allow), 0, 0, "none", "PREFIX,...",
		"sources whose answers over UDP have no limit: prefixes of either family, all or "
		"none"},
	{"udp-amplification", 0, CONTROL_OPTION_NUMBER, true, AT(udp_factor), 1, 100000, "1", "N",
		"an answer over UDP to any other source is at most so many times as large as its "
		"request"},
	{"udp-rate", 0, CONTROL_OPTION_BYTES, true, AT(udp_rate), 0, GIB << 10, "1mb", "BYTES",
		"a second that answers to others take, for each /24 or /64; 0: no limit"},
	{"allow", 0, CONTROL_OPTION_LIST, true, AT(allow), 0, 0, "all", "PREFIX,...",
		"sources that may talk to the server, over TCP and UDP: prefixes of either family, "
		"all or none"},
	{"workers", 't', CONTROL_OPTION_NUMBER, false, AT(workers), 1, WORKER_MAX, "1", "N",
		"polling cores, one shard each"},
	{"tcp-congestion", 0, CONTROL_OPTION_CONGESTION, false, AT(tcp_congestion), 1, 0, "cubic",
		"NAME", "congestion control: cubic (RFC 9438), newreno"},
	{"tcp-ecn", 0, CONTROL_OPTION_YES_NO, false, AT(tcp_ecn), 0, 0, "no", "YES|NO",
		"explicit congestion notification (RFC 3168)"},
	{"tcp-keepalive", 0, CONTROL_OPTION_NUMBER, false, AT(tcp_keepalive_s), 0, 1000000, "7200",
		"SECONDS", "of silence, after which a client is asked whether it lives; 0: never"},
	{"tcp-user-timeout", 0, CONTROL_OPTION_NUMBER, false, AT(tcp_user_timeout_s), 0, 1000000,
		"0", "SECONDS",
		"of silence of a client that owes an acknowledgement, after which it is dropped; "
		"0: "
		"after 15 retransmissions"},
	{"protocol", 'B', CONTROL_OPTION_PROTOCOL, false, AT(protocol), 1, 0, "auto", "NAME",
		"what clients speak: ascii, binary, or auto, by their first byte"},
	{"auth-file", 'Y', CONTROL_OPTION_TEXT, false, AT(auth_file), 0, 0, "", "FILE",
		"lines of NAME:PASSWORD: TCP clients must say who they are, in text (in binary "
		"with "
		"enable-sasl); read again on SIGHUP; no UDP"},
	{"enable-sasl", 0, CONTROL_OPTION_YES_NO, false, AT(sasl), 0, 0, "no", "YES|NO",
		"binary clients alone, with SASL PLAIN; users of auth-file, or of the file that "
		"MEMCACHED_SASL_PWDB names; no UDP"},
	{NULL, 'S', CONTROL_OPTION_FLAG, false, AT(sasl), 0, 0, NULL, NULL,
		"the same as --enable-sasl yes"},
	{"item-size-max", 'I', CONTROL_OPTION_ITEM_BYTES, false, AT(item_bytes_max), 1024, GIB,
		"1mb", "SIZE", "largest item; 1k to 1g, units of 1,024"},
	{"maxconns", 'c', CONTROL_OPTION_NUMBER, true, AT(conns_max), 1, 1 << 20, "1024", "N",
		"TCP connections, over all workers; while serving, up to what it was at start"},
	{"maxconns-per-source", 0, CONTROL_OPTION_NUMBER, true, AT(conns_source), 0, 1 << 20, "0",
		"N", "... of one IPv4 address, or one /64 of IPv6; 0: no limit"},
	{"idle-timeout", 0, CONTROL_OPTION_NUMBER, true, AT(idle_timeout_s), 0, 1000000, "0",
		"SECONDS", "of silence, after which a client is sent away; 0: never"},
	{NULL, 'o', CONTROL_OPTION_EXTENDED, false, AT(idle_timeout_s), 0, 0, NULL,
		"NAME=VALUE,...", "options by memcached's names: idle_timeout=60"},
	{"address", 'l', CONTROL_OPTION_PREFIX, false, AT(address), 0, 0, "", "ADDR/LEN",
		"own address and prefix, of either family; may be repeated; else the driver "
		"file's"},
	{"gateway", 0, CONTROL_OPTION_ADDRESS, false, AT(gateway), 0, 0, "", "ADDR",
		"default gateway, one a family; else the driver file's"},
	{"driver", 'd', CONTROL_OPTION_TEXT, false, AT(driver), 1, 0, "tap", "NAME|FILE",
		"driver configuration: a name in drivers-config, or a file"},
	{"config", 'f', CONTROL_OPTION_TEXT, false, AT(file), 1, 0, "", "FILE",
		"configuration file: lines of `name value`"},
	{"idle-sleep-us", 0, CONTROL_OPTION_NUMBER, true, AT(idle_sleep_us), 0, 100000, "50", "US",
		"longest sleep of a worker that finds nothing to do; 0: always poll"},
	{"slowlog-log-slower-than", 0, CONTROL_OPTION_DECAY, true, AT(slower_than_us), 0, 0,
		"10000", "US", "requests that took longer are kept in a list; -1: none are"},
	{"user", 'u', CONTROL_OPTION_TEXT, false, AT(user), 0, 0, "", "USER",
		"to become when the device is there; empty: root stays root"},
	{"telemetry-group", 0, CONTROL_OPTION_TEXT, false, AT(telemetry_group), 0, 0, "", "GROUP",
		"of the telemetry socket, and may reach it; else the group of -u"},
	{"telemetry-mode", 0, CONTROL_OPTION_TEXT, false, AT(telemetry_mode), 0, 0, "", "OCTAL",
		"of the telemetry socket; else 0770 where it has a group"},
	{"flight-dir", 0, CONTROL_OPTION_TEXT, true, AT(flight_dir), 1, 0, "/var/tmp", "DIR",
		"where the flight recorder is written to"},
	{"capture-dir", 0, CONTROL_OPTION_TEXT, false, AT(capture_dir), 1, 0, "/var/tmp", "DIR",
		"where packet captures are written to"},
	{"snapshot-dir", 0, CONTROL_OPTION_TEXT, false, AT(snapshot_dir), 0, 0, "", "DIR",
		"where snapshots are written to; empty: none are"},
	{"snapshot-on-exit", 0, CONTROL_OPTION_TEXT, false, AT(snapshot_on_exit), 0, 0, "", "FILE",
		"name in snapshot-dir that all items are written to when the server ends"},
	{"restore", 0, CONTROL_OPTION_TEXT, false, AT(restore), 0, 0, "", "FILE",
		"snapshot that is read before the server is ready: a name in snapshot-dir, or a "
		"path; that of snapshot-on-exit may be missing"},
	{"restore-or-empty", 0, CONTROL_OPTION_YES_NO, false, AT(restore_or_empty), 0, 0, "no",
		"YES|NO", "start empty where that file is missing, torn or corrupted"},
	{"enable-shutdown", 0, CONTROL_OPTION_YES_NO, false, AT(shutdown_enabled), 0, 0, "no",
		"YES|NO", "clients may end the server with the command shutdown"},
	{NULL, 'A', CONTROL_OPTION_FLAG, false, AT(shutdown_enabled), 0, 0, NULL, NULL,
		"the same as --enable-shutdown yes"},
	{"disable-flush-all", 0, CONTROL_OPTION_YES_NO, false, AT(flush_disabled), 0, 0, "no",
		"YES|NO", "the command flush_all is refused"},
	{NULL, 'F', CONTROL_OPTION_FLAG, false, AT(flush_disabled), 0, 0, NULL, NULL,
		"the same as --disable-flush-all yes"},
	{"disable-dumping", 0, CONTROL_OPTION_YES_NO, false, AT(dump_disabled), 0, 0, "no",
		"YES|NO",
		"lru_crawler metadump and mgdump, stats cachedump and stats detail are refused"},
	{NULL, 'X', CONTROL_OPTION_FLAG, false, AT(dump_disabled), 0, 0, NULL, NULL,
		"the same as --disable-dumping yes"},
	{"disable-watch", 0, CONTROL_OPTION_YES_NO, false, AT(watch_disabled), 0, 0, "no", "YES|NO",
		"the command watch is refused"},
	{NULL, 'W', CONTROL_OPTION_FLAG, false, AT(watch_disabled), 0, 0, NULL, NULL,
		"the same as --disable-watch yes"},
	{"debug-commands", 0, CONTROL_OPTION_YES_NO, false, AT(debug_enabled), 0, 0, "no", "YES|NO",
		"debugtime SECONDS moves the clock: for tests, not for service"},
	{"detail-enabled", 0, CONTROL_OPTION_YES_NO, true, AT(detail), 0, 0, "no", "YES|NO",
		"requests are counted by their keys' prefixes, for stats detail dump; clients' "
		"stats detail on|off changes it, too"},
	{"stat-key-prefix", 0, CONTROL_OPTION_DELIMITER, false, AT(prefix_delimiter), 0, 0, ":",
		"CHAR", "the character that ends a prefix"},
	{NULL, 'D', CONTROL_OPTION_DETAIL, false, AT(prefix_delimiter), 0, 0, NULL, "CHAR",
		"the same, and --detail-enabled yes"},
	{"track-sizes", 0, CONTROL_OPTION_YES_NO, true, AT(track_sizes), 0, 0, "no", "YES|NO",
		"stats sizes counts the items of each size, by a walk over all of them"},
	{"verbosity", 0, CONTROL_OPTION_NUMBER, true, AT(verbosity), 0, 2, "0", "N",
		"0: warnings and errors, 1: more, 2: everything"},
	{NULL, 'v', CONTROL_OPTION_COUNT, false, AT(verbosity), 0, 2, NULL, NULL,
		"more log lines; may be repeated"},
	{"version", 'V', CONTROL_OPTION_FLAG, false, AT(version), 0, 0, NULL, NULL,
		"print the version"},
	{"help", 'h', CONTROL_OPTION_FLAG, false, AT(help), 0, 0, NULL, NULL, "print this"},
	{"help-man", 0, CONTROL_OPTION_FLAG, false, AT(help_man), 0, 0, NULL, NULL,
		"print the manual page"},
	{"help-markdown", 0, CONTROL_OPTION_FLAG, false, AT(help_markdown), 0, 0, NULL, NULL,
		"print the options as a table in Markdown"},
};

const struct control_option *control_option_at(unsigned i)
{
	return i < BASE_ARRAY_LEN(options) ? &options[i] : NULL;
}

const struct control_option *control_option_find(const char *name)
{
	for (size_t i = 0; i < BASE_ARRAY_LEN(options); i++) {
		if (options[i].name != NULL && strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}

const struct control_option *control_option_letter(char letter)
{
	for (size_t i = 0; i < BASE_ARRAY_LEN(options); i++) {
		if (options[i].letter == letter)
			return &options[i];
	}
	return NULL;
}

bool control_option_takes_value(const struct control_option *o)
{
	return o->type != CONTROL_OPTION_NOEVICTION && o->type != CONTROL_OPTION_COUNT &&
		o->type != CONTROL_OPTION_FLAG;
}

static uint64_t *option_u64(struct control_config *cfg, const struct control_option *o)
{
	return (uint64_t *)(void *)((char *)cfg + o->offset);
}

static char *option_text(struct control_config *cfg, const struct control_option *o)
{
	return (char *)cfg + o->offset;
}

// memcached's units: k, m and g are powers of 1,024 with or without a b behind them.
static int item_bytes_parse(const char *value, uint64_t *bytes)
{
	size_t n = strlen(value);
	char text[32];

	if (n == 0 || n > sizeof(text) - 2)
		return -EINVAL;
	memcpy(text, value, n + 1);
	if (strchr("kKmMgG", text[n - 1]) != NULL)
		memcpy(text + n, "b", 2);
	return base_bytes_parse(text, bytes);
}

// Bytes in the largest unit that holds them whole: 64kb.
static void size_text(uint64_t bytes, char *buf, size_t len)
{
	static const char unit[][3] = {"", "kb", "mb", "gb"};
	unsigned u = 0;

	while (bytes > 0 && bytes % 1024 == 0 && u + 1 < BASE_ARRAY_LEN(unit)) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, len, "%llu%s", (unsigned long long)bytes, unit[u]);
}

static bool option_is_size(const struct control_option *o)
{
	return o->type == CONTROL_OPTION_BYTES || o->type == CONTROL_OPTION_SHARE ||
		o->type == CONTROL_OPTION_MAXMEMORY || o->type == CONTROL_OPTION_ITEM_BYTES;
}

void control_option_range(const struct control_option *o, char *buf, size_t len)
{
	char min[32], max[32];

	if (o->max == 0 || o->type == CONTROL_OPTION_TEXT || o->type == CONTROL_OPTION_CONGESTION ||
		o->type == CONTROL_OPTION_PROTOCOL) {
		snprintf(buf, len, "%s", "");
		return;
	}
	if (option_is_size(o)) {
		size_text(o->min, min, sizeof(min));
		size_text(o->max, max, sizeof(max));
	} else {
		snprintf(min, sizeof(min), "%llu", (unsigned long long)o->min);
		snprintf(max, sizeof(max), "%llu", (unsigned long long)o->max);
	}
	snprintf(buf, len, "%s to %s", min, max);
}

static int number_set(struct control_config *cfg, const struct control_option *o, const char *value,
	char *err, size_t err_len)
{
	bool size = option_is_size(o);
	char range[80];
	uint64_t v;
	int rc = o->type == CONTROL_OPTION_ITEM_BYTES ? item_bytes_parse(value, &v)
		: size                                ? base_bytes_parse(value, &v)
						      : base_u64_parse(value, strlen(value), &v);

	if (rc < 0 && rc != -ERANGE) {
		snprintf(err, err_len, "'%.64s' is not %s", value,
			size ? "a size (a number, with k, kb, m, mb, g or gb)" : "a number");
		return -EINVAL;
	}
	if (rc < 0 || v < o->min || v > o->max) {
		control_option_range(o, range, sizeof(range));
		snprintf(err, err_len, "%.64s is out of range: %s", value, range);
		return -EINVAL;
	}
	*option_u64(cfg, o) = o->type == CONTROL_OPTION_MEGABYTES ? v << 20 : v;
	if (o->offset == AT(maxmemory_bytes))
		cfg->maxmemory_percent = 0;
	return 0;
}

// A percentage is of the hugepage region if there is one, else of what the machine or its control
// group has.
int control_maxmemory_resolve(struct control_config *cfg, char *err, size_t err_len)
{
	uint64_t whole = cfg->region_bytes;
	struct mem_machine m;

	if (cfg->maxmemory_percent == 0)
		return 0;
	if (whole == 0) {
		if (mem_machine_read(&m, "") < 0) {
			snprintf(err, err_len, "the machine's memory is unknown: give bytes");
			return -EINVAL;
		}
		whole = base_min_u64(m.total_bytes, m.cgroup_limit_bytes);
	}
	cfg->maxmemory_bytes = whole / 100 * cfg->maxmemory_percent;
	return 0;
}

static int maxmemory_set(struct control_config *cfg, const struct control_option *o,
	const char *value, char *err, size_t err_len)
{
	size_t n = strlen(value);
	uint64_t percent = MAXMEMORY_PERCENT;

	if (strcmp(value, "0") != 0) {
		if (n == 0 || value[n - 1] != '%')
			return number_set(cfg, o, value, err, err_len);
		if (base_u64_parse(value, n - 1, &percent) < 0 || percent < 1 || percent > 100) {
			snprintf(err, err_len, "'%.64s' is not a percentage from 1%% to 100%%",
				value);
			return -EINVAL;
		}
	}
	cfg->maxmemory_percent = percent;
	return control_maxmemory_resolve(cfg, err, err_len);
}

// Bytes, or N%.
static int share_set(struct control_config *cfg, const struct control_option *o, const char *value,
	char *err, size_t err_len)
{
	size_t n = strlen(value);
	uint64_t percent;

	if (n == 0 || value[n - 1] != '%')
		return number_set(cfg, o, value, err, err_len);
	if (base_u64_parse(value, n - 1, &percent) < 0 || percent < 1 || percent > 100) {
		snprintf(err, err_len, "'%.64s' is not a percentage from 1%% to 100%%", value);
		return -EINVAL;
	}
	*option_u64(cfg, o) = CONTROL_PERCENT | percent;
	return 0;
}

static int policy_set(struct control_config *cfg, const char *value, char *err, size_t err_len)
{
	int policy = store_policy_of(value), n;

	if (policy >= 0) {
		cfg->policy = (uint64_t)policy;
		return 0;
	}
	n = snprintf(err, err_len, "'%.64s' is not one of", value);
	for (unsigned i = 0; i < STORE_POLICIES && n > 0 && (size_t)n < err_len; i++)
		n += snprintf(
			err + n, err_len - (size_t)n, "%s %s", i ? "," : "", store_policy_name(i));
	return -EINVAL;
}

static int text_set(struct control_config *cfg, const struct control_option *o, const char *value,
	char *err, size_t err_len)
{
	size_t n = strlen(value);

	if (n < o->min || n >= CONTROL_TEXT_MAX) {
		snprintf(err, err_len, "a text of %llu to %d characters is wanted",
			(unsigned long long)o->min, CONTROL_TEXT_MAX - 1);
		return -EINVAL;
	}
	memcpy(option_text(cfg, o), value, n + 1);
	return 0;
}

static int delimiter_set(struct control_config *cfg, const struct control_option *o,
	const char *value, char *err, size_t err_len)
{
	if (strlen(value) != 1 || (unsigned char)*value <= ' ' || *value == 0x7f) {
		snprintf(err, err_len, "'%.64s' is not one character, other than a blank", value);
		return -EINVAL;
	}
	return text_set(cfg, o, value, err, err_len);
}

static const char *protocol_name(unsigned i)
{
	static const char *const names[] = {"auto", "ascii", "binary"};

	static_assert(PROTO_AUTO == 0 && PROTO_ASCII == 1 && PROTO_BINARY_ONLY == 2, "in order");
	return i < BASE_ARRAY_LEN(names) ? names[i] : NULL;
}

enum proto_language control_language(const struct control_config *cfg)
{
	unsigned i = 0;

	if (cfg->sasl)
		return PROTO_BINARY_ONLY;
	if (cfg->auth_file[0] != '\0')
		return PROTO_ASCII;
	while (strcmp(cfg->protocol, protocol_name(i)) != 0)
		i++;
	return (enum proto_language)i;
}

// One of the names that name_at gives, NULL behind the last.
static int name_set(struct control_config *cfg, const struct control_option *o, const char *value,
	const char *(*name_at)(unsigned), char *err, size_t err_len)
{
	const char *name;
	int n;

	for (unsigned i = 0; (name = name_at(i)) != NULL; i++) {
		if (strcmp(value, name) == 0)
			return text_set(cfg, o, value, err, err_len);
	}
	n = snprintf(err, err_len, "'%.64s' is not one of", value);
	for (unsigned i = 0; (name = name_at(i)) != NULL && n > 0; i++) {
		if ((size_t)n >= err_len)
			break;
		n += snprintf(err + n, err_len - (size_t)n, "%s %s", i ? "," : "", name);
	}
	return -EINVAL;
}

static int decay_set(struct control_config *cfg, const struct control_option *o, const char *value,
	char *err, size_t err_len)
{
	int64_t v;

	if (base_i64_parse(value, strlen(value), &v) < 0 || v < -1 || v > INT32_MAX) {
		snprintf(err, err_len, "'%.64s' is not -1 or a number of %s up to %d", value,
			strcmp(o->value, "US") == 0 ? "microseconds" : "milliseconds", INT32_MAX);
		return -EINVAL;
	}
	*(int64_t *)option_u64(cfg, o) = v;
	return 0;
}

static int yes_no_set(struct control_config *cfg, const struct control_option *o, const char *value,
	char *err, size_t err_len)
{
	bool yes = strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0) {
		snprintf(err, err_len, "'%.64s' is not yes or no", value);
		return -EINVAL;
	}
	*(bool *)option_text(cfg, o) = yes;
	return 0;
}

static int address_check(const char *text, bool prefix)
{
	struct base_ip ip;
	uint8_t len;

	return prefix ? base_ip_prefix_parse(text, &ip, &len) : base_ip_parse(text, &ip);
}

// One address, or several with commas between; each time the option is given it adds some.
static int address_set(struct control_config *cfg, const struct control_option *o,
	const char *value, char *err, size_t err_len)
{
	bool prefix = o->type == CONTROL_OPTION_PREFIX;
	const char *before = option_text(cfg, o);
	char all[2 * CONTROL_TEXT_MAX], one[64];

	if (*value == '\0')
		return text_set(cfg, o, value, err, err_len);
	for (const char *p = value; p != NULL; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		int n = snprintf(one, sizeof(one), "%.*s", (int)strcspn(p, ","), p);

		if (n < 0 || (size_t)n >= sizeof(one) || address_check(one, prefix) < 0) {
			snprintf(err, err_len, "'%.80s' is not %s", value,
				prefix ? "an address with its prefix length (198.18.211.2/24, "
					 "fd00::2/64)"
				       : "an address (198.18.211.1, fd00::1)");
			return -EINVAL;
		}
	}
	snprintf(all, sizeof(all), "%s%s%.*s", before, *before ? "," : "", CONTROL_TEXT_MAX, value);
	return text_set(cfg, o, all, err, err_len);
}

// Prefixes of both families, checked.
static int list_set(struct control_config *cfg, const struct control_option *o, const char *value,
	char *err, size_t err_len)
{
	struct access_prefix prefix[ACCESS_PREFIXES_MAX];
	unsigned n;

	if (access_prefixes_parse(value, prefix, &n, err, err_len) < 0)
		return -EINVAL;
	if (strlen(value) >= CONTROL_VALUE_MAX) {
		snprintf(err, err_len, "a list of at most %d characters is wanted",
			CONTROL_VALUE_MAX - 1);
		return -EINVAL;
	}
	strcpy(option_text(cfg, o), value);
	return 0;
}

// memcached's -o: each word is the option of that name, an underscore being a hyphen.
static int extended_set(struct control_config *cfg, const char *value, char *err, size_t err_len)
{
	char words[CONTROL_VALUE_MAX], *save, *one, *eq;
	const struct control_option *known;

	snprintf(words, sizeof(words), "%s", value);
	for (one = strtok_r(words, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
		eq = strchr(one, '=');
		if (eq != NULL)
			*eq = '\0';
		for (char *p = one; *p != '\0'; p++)
			*p = *p == '_' ? '-' : *p;
		known = control_option_find(one);
		if (eq == NULL && (known == NULL || known->type != CONTROL_OPTION_YES_NO)) {
			snprintf(err, err_len, "'%.64s' wants =VALUE", one);
			return -EINVAL;
		}
		if (control_config_set(cfg, one, eq != NULL ? eq + 1 : "yes", err, err_len) < 0)
			return -EINVAL;
	}
	return 0;
}

int control_option_value_set(struct control_config *cfg, const struct control_option *o,
	const char *value, char *err, size_t err_len)
{
	switch ((enum control_option_type)o->type) {
	case CONTROL_OPTION_BYTES:
	case CONTROL_OPTION_ITEM_BYTES:
	case CONTROL_OPTION_MEGABYTES:
	case CONTROL_OPTION_NUMBER:
		return number_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_MAXMEMORY:
		return maxmemory_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_SHARE:
		return share_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_DECAY:
		return decay_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_YES_NO:
		return yes_no_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_TEXT:
		return text_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_DELIMITER:
		return delimiter_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_DETAIL:
		cfg->detail = true;
		return delimiter_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_POLICY:
		return policy_set(cfg, value, err, err_len);
	case CONTROL_OPTION_CONGESTION:
		return name_set(cfg, o, value, tcp_congestion_name, err, err_len);
	case CONTROL_OPTION_PROTOCOL:
		return name_set(cfg, o, value, protocol_name, err, err_len);
	case CONTROL_OPTION_PREFIX:
	case CONTROL_OPTION_ADDRESS:
		return address_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_LIST:
		return list_set(cfg, o, value, err, err_len);
	case CONTROL_OPTION_EXTENDED:
		return extended_set(cfg, value, err, err_len);
	case CONTROL_OPTION_NOEVICTION:
		cfg->policy = STORE_NOEVICTION;
		return 0;
	case CONTROL_OPTION_COUNT:
		cfg->verbosity += cfg->verbosity < o->max;
		return 0;
	case CONTROL_OPTION_FLAG:
		*(bool *)option_text(cfg, o) = true;
		return 0;
	}
	return -EINVAL;
}

void control_config_init(struct control_config *cfg)
{
	char err[128];

	memset(cfg, 0, sizeof(*cfg));
	for (size_t i = 0; i < BASE_ARRAY_LEN(options); i++) {
		if (options[i].start != NULL && options[i].start[0] != '\0') {
			int rc = control_option_value_set(
				cfg, &options[i], options[i].start, err, sizeof(err));

			base_assert(rc == 0);
		}
	}
}

int control_config_set(
	struct control_config *cfg, const char *name, const char *value, char *err, size_t err_len)
{
	const struct control_option *o = control_option_find(name);
	char why[256];

	if (o == NULL || !control_option_takes_value(o)) {
		const char *near = base_name_nearest(name, control_config_name);

		snprintf(err, err_len, "unknown option '%.64s'%s%s", name,
			near ? "; nearest: " : "", near ? near : "");
		return -ENOENT;
	}
	if (control_option_value_set(cfg, o, value, why, sizeof(why)) < 0) {
		snprintf(err, err_len, "%s: %s", name, why);
		return -EINVAL;
	}
	return 0;
}

int control_config_get(const struct control_config *cfg, const char *name, char *buf, size_t len)
{
	const struct control_option *o = control_option_find(name);
	struct control_config *c = (struct control_config *)(uintptr_t)cfg;

	if (o == NULL || !control_option_takes_value(o))
		return -ENOENT;
	switch ((enum control_option_type)o->type) {
	case CONTROL_OPTION_POLICY:
		snprintf(buf, len, "%s", store_policy_name((unsigned)cfg->policy));
		break;
	case CONTROL_OPTION_DECAY:
		snprintf(buf, len, "%lld", (long long)*option_u64(c, o));
		break;
	case CONTROL_OPTION_YES_NO:
		snprintf(buf, len, "%s", *(bool *)option_text(c, o) ? "yes" : "no");
		break;
	case CONTROL_OPTION_TEXT:
	case CONTROL_OPTION_DELIMITER:
	case CONTROL_OPTION_CONGESTION:
	case CONTROL_OPTION_PROTOCOL:
	case CONTROL_OPTION_PREFIX:
	case CONTROL_OPTION_ADDRESS:
	case CONTROL_OPTION_LIST:
		snprintf(buf, len, "%s", option_text(c, o));
		break;
	case CONTROL_OPTION_SHARE:
		snprintf(buf, len, "%llu%s",
			(unsigned long long)(*option_u64(c, o) & ~CONTROL_PERCENT),
			*option_u64(c, o) & CONTROL_PERCENT ? "%" : "");
		break;
	default:
		snprintf(buf, len, "%llu", (unsigned long long)*option_u64(c, o));
	}
	return 0;
}

struct store_settings control_store_settings(const struct control_config *cfg)
{
	return (struct store_settings){
		.policy = (uint8_t)cfg->policy,
		.samples = (uint8_t)cfg->samples,
		.tenacity = (uint8_t)cfg->tenacity,
		.expire_effort = (uint8_t)cfg->expire_effort,
		.lazyfree = (uint8_t)((cfg->lazy_eviction ? STORE_LAZY_EVICTION : 0) |
			(cfg->lazy_expire ? STORE_LAZY_EXPIRE : 0) |
			(cfg->lazy_server_del ? STORE_LAZY_SERVER_DEL : 0) |
			(cfg->lazy_user_del ? STORE_LAZY_USER_DEL : 0) |
			(cfg->lazy_user_flush ? STORE_LAZY_USER_FLUSH : 0)),
		.lazyfree_idle_percent = (uint8_t)cfg->lazy_idle_percent,
		.lfu_decay_min = (uint16_t)cfg->lfu_decay_min,
		.lfu_log_factor = (uint32_t)cfg->lfu_log_factor,
		.expire_index = cfg->expire_index,
		.hz = (uint16_t)cfg->hz,
	};
}

uint64_t control_clients_bytes(const struct control_config *cfg)
{
	if (cfg->clients_max & CONTROL_PERCENT)
		return cfg->maxmemory_bytes / 100 * (cfg->clients_max & ~CONTROL_PERCENT);
	return cfg->clients_max;
}

int control_config_live(const char *name)
{
	const struct control_option *o = control_option_find(name);

	return o == NULL || !control_option_takes_value(o) ? -ENOENT : o->live;
}

const char *control_config_name(unsigned i)
{
	for (size_t k = 0; k < BASE_ARRAY_LEN(options); k++) {
		if (options[k].name != NULL && control_option_takes_value(&options[k]) && i-- == 0)
			return options[k].name;
	}
	return NULL;
}
