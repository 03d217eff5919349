// SPDX-License-Identifier: BSD-3-Clause
// The replies to `stats`, `stats settings`, `stats items` and `stats slabs`: memcached 1.6.45's
// keys in its order, since monitors read them all. What has no counterpart here is 0 or off; all
// items are shown as one slab class. `stats memory`, `stats alarms`, `stats doctor` and `stats
// shards` are our own.

#include <stdio.h>

#include "worker/worker_admin.h"

#define SLAB_CLASSES 64 // memcached's

struct stat_out {
	char *buf;
	size_t len, size;
};

static void stat_text(struct stat_out *o, const char *name, const char *value)
{
	int n = snprintf(o->buf + o->len, o->size - o->len, "STAT %s %s\r\n", name, value);

	base_assert(n > 0 && o->len + (size_t)n < o->size);
	o->len += (size_t)n;
}

static void stat_u64(struct stat_out *o, const char *name, uint64_t value)
{
	char text[24];

	text[base_u64_format(text, value)] = '\0';
	stat_text(o, name, text);
}

static void stat_seconds(struct stat_out *o, const char *name, uint64_t us)
{
	char text[40];

	snprintf(text, sizeof(text), "%llu.%06llu", (unsigned long long)(us / 1000000),
		(unsigned long long)(us % 1000000));
	stat_text(o, name, text);
}

static void stat_raw(struct stat_out *o, const char *text)
{
	size_t n = strlen(text);

	base_assert(o->len + n < o->size);
	memcpy(o->buf + o->len, text, n);
	o->len += n;
}

static uint64_t stat_log2(uint64_t v)
{
	return v == 0 ? 0 : 63 - (uint64_t)__builtin_clzll(v);
}

static void general_process(
	struct stat_out *o, const struct worker *w, const struct worker_counters *c)
{
	stat_u64(o, "pid", w->settings->pid);
	stat_u64(o, "uptime", w->now.wall_s - w->settings->start_wall_s);
	stat_u64(o, "time", w->now.wall_s);
	stat_text(o, "version", "1.6.45-lcached-" LC_VERSION);
	stat_text(o, "libevent", "none");
	stat_u64(o, "pointer_size", 64);
	stat_seconds(o, "rusage_user", c->busy_us);
	stat_text(o, "rusage_system", "0.000000");
	stat_u64(o, "max_connections", w->orders.access.conns_max);
	stat_u64(o, "curr_connections", c->conns);
	stat_u64(o, "total_connections", c->conns_total);
	stat_u64(o, "rejected_connections", c->conns_refused + c->tcp.conns_refused);
	stat_u64(o, "connection_structures", c->conns);
	stat_u64(o, "response_obj_oom", 0);
	stat_u64(o, "response_obj_count", c->slots_out);
	stat_u64(o, "response_obj_bytes", c->slots_out * sizeof(struct worker_slot));
	stat_u64(o, "read_buf_count", 0);
	stat_u64(o, "read_buf_bytes", c->mem_used[MEM_INPUT]);
	stat_u64(o, "read_buf_bytes_free", 0);
	stat_u64(o, "read_buf_oom", 0);
	stat_u64(o, "reserved_fds", 0);
}

static void general_commands(
	struct stat_out *o, const struct worker *w, const struct worker_counters *c)
{
	stat_u64(o, "cmd_get", c->exec.cmd_get);
	stat_u64(o, "cmd_set", c->exec.cmd_set);
	stat_u64(o, "cmd_flush", c->exec.cmd_flush);
	stat_u64(o, "cmd_touch", c->exec.cmd_touch);
	stat_u64(o, "cmd_meta", c->exec.cmd_meta);
	stat_u64(o, "get_hits", c->exec.get_hits);
	stat_u64(o, "get_misses", c->exec.get_misses);
	stat_u64(o, "get_expired", c->exec.get_expired);
	stat_u64(o, "get_flushed", c->exec.get_flushed);
	stat_u64(o, "delete_misses", c->exec.delete_misses);
	stat_u64(o, "delete_hits", c->exec.delete_hits);
	stat_u64(o, "incr_misses", c->exec.incr_misses);
	stat_u64(o, "incr_hits", c->exec.incr_hits);
	stat_u64(o, "decr_misses", c->exec.decr_misses);
	stat_u64(o, "decr_hits", c->exec.decr_hits);
	stat_u64(o, "cas_misses", c->exec.cas_misses);
	stat_u64(o, "cas_hits", c->exec.cas_hits);
	stat_u64(o, "cas_badval", c->exec.cas_badval);
	stat_u64(o, "touch_hits", c->exec.touch_hits);
	stat_u64(o, "touch_misses", c->exec.touch_misses);
	stat_u64(o, "store_too_large", c->exec.store_too_large);
	stat_u64(o, "store_no_memory", c->exec.store_no_memory);
	stat_u64(o, "auth_cmds", c->auth_cmds);
	stat_u64(o, "auth_errors", c->auth_errors);
	if (w->orders.access.idle_s != 0) // as memcached: else there is no such key
		stat_u64(o, "idle_kicks", c->idle_kicks);
}

static void general_traffic(
	struct stat_out *o, const struct worker *w, const struct worker_counters *c)
{
	stat_u64(o, "bytes_read", c->bytes_read);
	stat_u64(o, "bytes_written", c->bytes_written);
	stat_u64(o, "limit_maxbytes", w->orders.maxmemory_bytes);
	stat_u64(o, "accepting_conns", 1);
	stat_u64(o, "listen_disabled_num", 0);
	stat_u64(o, "time_in_listen_disabled_us", 0);
	stat_u64(o, "threads", w->count);
	stat_u64(o, "conn_yields", c->stalls);
}

static void general_internals(
	struct stat_out *o, const struct worker *w, const struct worker_counters *c)
{
	stat_u64(o, "hash_power_level", stat_log2(c->store.buckets));
	stat_u64(o, "hash_bytes", c->mem_used[MEM_INDEX]);
	stat_u64(o, "hash_is_expanding", 0);
	stat_u64(o, "slab_reassign_rescues", 0);
	stat_u64(o, "slab_reassign_chunk_rescues", 0);
	stat_u64(o, "slab_reassign_inline_reclaim", 0);
	stat_u64(o, "slab_reassign_busy_items", 0);
	stat_u64(o, "slab_reassign_busy_deletes", 0);
	stat_u64(o, "slab_reassign_busy_nomem", 0);
	stat_text(o, "slab_reassign_last_busy_status", "0");
	stat_u64(o, "slab_reassign_running", 0);
	stat_u64(o, "slabs_moved", 0);
	stat_u64(o, "lru_crawler_running", c->dumps_now);
	stat_u64(o, "lru_crawler_starts", c->dumps);
	stat_u64(o, "lru_maintainer_juggles", 0);
	stat_u64(o, "malloc_fails", c->store.no_memory);
	stat_u64(o, "log_worker_dropped", 0);
	stat_u64(o, "log_worker_written", c->watch_written);
	stat_u64(o, "log_watcher_skipped", c->watch_skipped);
	stat_u64(o, "log_watcher_sent", c->watch_sent);
	stat_u64(o, "log_watchers", c->watchers);
	stat_u64(o, "unexpected_napi_ids", 0);
	stat_u64(o, "round_robin_fallback", 0);
}

static void general_items(
	struct stat_out *o, const struct worker *w, const struct worker_counters *c)
{
	stat_u64(o, "bytes", c->store.item_bytes);
	stat_u64(o, "curr_items", c->store.items);
	stat_u64(o, "total_items", c->store.items_total);
	stat_u64(o, "slab_global_page_pool", 0);
	stat_u64(o, "expired_unfetched", c->store.expired_unfetched);
	stat_u64(o, "evicted_unfetched", c->store.evicted_unfetched);
	stat_u64(o, "evicted_active", 0);
	stat_u64(o, "evictions", c->store.evicted);
	stat_u64(o, "reclaimed", c->store.reclaimed);
	stat_u64(o, "crawler_reclaimed", c->store.expired_active);
	stat_u64(o, "crawler_items_checked", 0);
	stat_u64(o, "lrutail_reflocked", 0);
	stat_u64(o, "moves_to_cold", 0);
	stat_u64(o, "moves_to_warm", 0);
	stat_u64(o, "moves_within_lru", 0);
	stat_u64(o, "direct_reclaims", c->store.evicted);
	stat_u64(o, "lru_bumps_dropped", 0);
}

static void stat_general(
	struct stat_out *o, const struct worker *w, const struct worker_counters *c)
{
	general_process(o, w, c);
	general_commands(o, w, c);
	general_traffic(o, w, c);
	general_internals(o, w, c);
	general_items(o, w, c);
	stat_raw(o, "END\r\n");
}

// Fixed answers of `stats settings`; the figures between them are put in by stat_settings.
static const char *const settings_fixed[][2] = {
	{"growth_factor", "1.25"},
	{"chunk_size", "24"},
	{"num_threads_per_udp", "1"},
	{"reqs_per_event", "1024"},
	{"cas_enabled", "yes"},
	{"tcp_backlog", "4096"},
	{"maxconns_fast", "yes"},
	{"hashpower_init", "0"},
	{"slab_reassign", "no"},
	{"slab_automove", "0"},
	{"slab_automove_ratio", "0.00"},
	{"slab_automove_window", "0"},
	{"slab_chunk_max", "0"},
	{"lru_crawler", "yes"},
	{"lru_crawler_sleep", "0"},
	{"lru_crawler_tocrawl", "0"},
	{"tail_repair_time", "0"},
	{"hash_algorithm", "xxh3"},
	{"lru_maintainer_thread", "no"},
	{"lru_segmented", "no"},
	{"hot_lru_pct", "0"},
	{"warm_lru_pct", "0"},
	{"hot_max_factor", "0.00"},
	{"warm_max_factor", "0.00"},
	{"temp_lru", "no"},
	{"temporary_ttl", "0"},
	{"idle_timeout", "0"},
	{"watcher_logbuf_size", "0"},
	{"worker_logbuf_size", "262144"}, // worker_tell.c
	{"read_buf_mem_limit", "0"},
	{"track_sizes", "no"},
	{"inline_ascii_response", "no"},
	{"ext_item_size", "0"},
	{"ext_item_age", "0"},
	{"ext_low_ttl", "0"},
	{"ext_recache_rate", "0"},
	{"ext_wbuf_size", "0"},
	{"ext_compact_under", "0"},
	{"ext_drop_under", "0"},
	{"ext_max_sleep", "0"},
	{"ext_max_frag", "0.00"},
	{"slab_automove_freeratio", "0.000"},
	{"ext_drop_unread", "no"},
	{"num_napi_ids", "(null)"},
	{"memory_file", "(null)"},
	{"client_flags_size", "4"},
};

static const char *yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

static void settings_fixed_write(struct stat_out *o, const struct worker *w, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (strcmp(settings_fixed[i][0], "idle_timeout") == 0)
			stat_u64(o, "idle_timeout", w->orders.access.idle_s);
		else if (strcmp(settings_fixed[i][0], "track_sizes") == 0)
			stat_text(o, "track_sizes", yes_no(w->orders.track_sizes));
		else
			stat_text(o, settings_fixed[i][0], settings_fixed[i][1]);
	}
}

static void stat_access(struct stat_out *o, const struct worker_settings *set)
{
	static const char *const language[] = {
		[PROTO_AUTO] = "auto-negotiate",
		[PROTO_ASCII] = "ascii",
		[PROTO_BINARY_ONLY] = "binary",
	};
	bool ascii = set->locked && set->language == PROTO_ASCII;

	stat_text(o, "binding_protocol", language[set->language]);
	stat_text(o, "auth_enabled_sasl", set->locked && !ascii ? "yes" : "no");
	stat_text(o, "auth_enabled_ascii", ascii ? set->auth_file : "no");
}

static void stat_settings(struct stat_out *o, const struct worker *w)
{
	stat_u64(o, "maxbytes", w->orders.maxmemory_bytes);
	stat_u64(o, "maxconns", w->orders.access.conns_max);
	stat_u64(o, "tcpport", w->settings->tcp_port);
	stat_u64(o, "udpport", w->settings->udp_port);
	stat_text(o, "inter", w->settings->address);
	stat_u64(o, "verbosity", w->orders.verbosity);
	stat_text(o, "oldest", "0");
	stat_text(o, "evictions", w->orders.store.policy != STORE_NOEVICTION ? "on" : "off");
	stat_text(o, "domain_socket", "NULL");
	stat_text(o, "umask", "700");
	stat_text(o, "shutdown_command", yes_no(w->settings->shutdown_enabled));
	settings_fixed_write(o, w, 0, 2);
	stat_u64(o, "num_threads", w->count);
	settings_fixed_write(o, w, 2, 3);
	stat_text(o, "stat_key_prefix", (char[]){worker_prefix_delimiter(w), '\0'});
	stat_text(o, "detail_enabled", yes_no(worker_detail_on(w)));
	settings_fixed_write(o, w, 3, 6);
	stat_access(o, w->settings);
	stat_u64(o, "item_size_max", w->settings->item_bytes_max);
	settings_fixed_write(o, w, 6, 17);
	stat_text(o, "flush_enabled", yes_no(!w->settings->flush_disabled));
	stat_text(o, "dump_enabled", yes_no(!w->settings->dump_disabled));
	settings_fixed_write(o, w, 17, BASE_ARRAY_LEN(settings_fixed));
	stat_raw(o, "END\r\n");
}

static void stat_items(struct stat_out *o, const struct worker_counters *c)
{
	static const char *const zero[] = {"outofmemory", "tailrepairs"};
	static const char *const rest[] = {"crawler_items_checked", "lrutail_reflocked",
		"moves_to_cold", "moves_to_warm", "moves_within_lru", "direct_reclaims",
		"hits_to_hot", "hits_to_warm"};
	char name[64];

	if (c->store.items > 0) {
		stat_u64(o, "items:1:number", c->store.items);
		stat_u64(o, "items:1:number_hot", 0);
		stat_u64(o, "items:1:number_warm", 0);
		stat_u64(o, "items:1:number_cold", c->store.items);
		stat_u64(o, "items:1:age_hot", 0);
		stat_u64(o, "items:1:age_warm", 0);
		stat_u64(o, "items:1:age", 0);
		stat_u64(o, "items:1:mem_requested", c->store.item_bytes);
		stat_u64(o, "items:1:evicted", c->store.evicted);
		stat_u64(o, "items:1:evicted_nonzero", 0);
		stat_u64(o, "items:1:evicted_time", 0);
		for (size_t i = 0; i < BASE_ARRAY_LEN(zero); i++) {
			snprintf(name, sizeof(name), "items:1:%s", zero[i]);
			stat_u64(o, name, 0);
		}
		stat_u64(o, "items:1:reclaimed", c->store.reclaimed);
		stat_u64(o, "items:1:expired_unfetched", c->store.expired_unfetched);
		stat_u64(o, "items:1:evicted_unfetched", c->store.evicted_unfetched);
		stat_u64(o, "items:1:evicted_active", 0);
		stat_u64(o, "items:1:crawler_reclaimed", c->store.expired_active);
		for (size_t i = 0; i < BASE_ARRAY_LEN(rest); i++) {
			snprintf(name, sizeof(name), "items:1:%s", rest[i]);
			stat_u64(o, name, 0);
		}
		stat_u64(o, "items:1:hits_to_cold", c->exec.get_hits);
		stat_u64(o, "items:1:hits_to_temp", 0);
	}
	stat_raw(o, "END\r\n");
}

static void stat_slabs(struct stat_out *o, const struct worker_counters *c)
{
	if (c->store.items > 0) {
		stat_u64(o, "1:chunk_size", c->store.item_bytes / c->store.items);
		stat_u64(o, "1:chunks_per_page", c->store.items);
		stat_u64(o, "1:total_pages", 1);
		stat_u64(o, "1:total_chunks", c->store.items);
		stat_u64(o, "1:used_chunks", c->store.items);
		stat_u64(o, "1:free_chunks", 0);
		stat_u64(o, "1:free_chunks_end", 0);
		stat_u64(o, "1:get_hits", c->exec.get_hits);
		stat_u64(o, "1:cmd_set", c->exec.cmd_set);
		stat_u64(o, "1:delete_hits", c->exec.delete_hits);
		stat_u64(o, "1:incr_hits", c->exec.incr_hits);
		stat_u64(o, "1:decr_hits", c->exec.decr_hits);
		stat_u64(o, "1:cas_hits", c->exec.cas_hits);
		stat_u64(o, "1:cas_badval", c->exec.cas_badval);
		stat_u64(o, "1:touch_hits", c->exec.touch_hits);
	}
	stat_u64(o, "active_slabs", c->store.items > 0);
	stat_u64(o, "total_malloced", c->mem_used[MEM_ITEMS] + c->mem_used[MEM_INDEX]);
	stat_raw(o, "END\r\n");
}

// What the control core has written.
static void stat_lines(struct stat_out *o, const struct worker *w,
	bool get(struct worker_group *g, struct worker_memory_text *out))
{
	struct worker_memory_text lines;

	if (get(w->group, &lines)) {
		base_assert(o->len + lines.len < o->size);
		memcpy(o->buf + o->len, lines.text, lines.len);
		o->len += lines.len;
	}
	stat_raw(o, "END\r\n");
}

// How to compute the shard of a key, and the UDP port for it.
static void stat_shards(struct stat_out *o, const struct worker *w)
{
	char name[32];

	stat_text(o, "hash", WORKER_HASH_NAME);
	stat_u64(o, "hash_seed", 0);
	stat_u64(o, "shards", w->count);
	stat_text(o, "owner", WORKER_OWNER_TEXT);
	stat_text(o, "udp_shard_ports", w->settings->udp_shard_ports ? "yes" : "no");
	for (unsigned i = 0; i < w->count; i++) {
		snprintf(name, sizeof(name), "%u:udp_port", i);
		stat_u64(o, name, worker_shard_udp_port(w->settings, i));
	}
	stat_raw(o, "END\r\n");
}

bool worker_words_begin(const char *args, size_t len, const char *words)
{
	size_t at = 0;

	for (; *words != '\0'; words++, at++) {
		if (at == len || args[at] != *words)
			return false;
		while (*words == ' ' && at + 1 < len && args[at + 1] == ' ')
			at++;
	}
	return at == len || args[at] == ' ';
}

// cachedump CLASS LIMIT, in memcached's order of what is wrong.
static const char *cachedump_constant(
	const struct worker *w, const char *args, size_t args_len, uint32_t *limit)
{
	char text[64], *save, *word;
	uint64_t n[2] = {0};

	if (w->settings->dump_disabled)
		return "CLIENT_ERROR stats cachedump not allowed\r\n";
	snprintf(text, sizeof(text), "%.*s", (int)args_len, args);
	strtok_r(text, " ", &save);
	for (unsigned i = 0; i < 2; i++) {
		word = strtok_r(NULL, " ", &save);
		if (word == NULL)
			return "CLIENT_ERROR bad command line\r\n";
		if (base_u64_parse(word, strlen(word), &n[i]) < 0 || n[i] > UINT32_MAX)
			n[i] = UINT64_MAX;
	}
	if (n[0] == UINT64_MAX || n[1] == UINT64_MAX)
		return "CLIENT_ERROR bad command line format\r\n";
	if (n[0] >= SLAB_CLASSES)
		return "CLIENT_ERROR Illegal slab id\r\n";
	*limit = (uint32_t)n[1];
	return n[0] == 1 ? NULL : "END\r\n";
}

const char *worker_stats_constant(
	const struct worker *w, const char *args, size_t args_len, uint32_t *limit)
{
	static const struct {
		const char *words, *answer;
	} constant[] = {
		{"detail", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
		{"extstore", "END\r\n"},
	};
	static const char *const known[] = {"settings", "items", "slabs", "reset", "conns",
		"memory", "shards", "alarms", "doctor", "sizes"};

	if (args_len == 0)
		return NULL;
	if (worker_words_begin(args, args_len, "cachedump"))
		return cachedump_constant(w, args, args_len, limit);
	if (worker_words_begin(args, args_len, "detail") && w->settings->dump_disabled)
		return "CLIENT_ERROR stats detail not allowed\r\n";
	if (worker_words_begin(args, args_len, "sizes") && !w->orders.track_sizes)
		return "STAT sizes_status disabled\r\nEND\r\n";
	if (worker_detail_word(args, args_len) != WORKER_DETAIL_NONE)
		return NULL;
	for (size_t i = 0; i < BASE_ARRAY_LEN(constant); i++) {
		if (worker_words_begin(args, args_len, constant[i].words))
			return constant[i].answer;
	}
	for (size_t i = 0; i < BASE_ARRAY_LEN(known); i++) {
		if (worker_words_begin(args, args_len, known[i]))
			return NULL;
	}
	return "ERROR\r\n";
}

size_t worker_stats_write(const struct worker *w, const struct worker_counters *sum,
	const char *word, char *buf, size_t size)
{
	struct stat_out o = {.buf = buf, .size = size};

	if (strcmp(word, "settings") == 0)
		stat_settings(&o, w);
	else if (strcmp(word, "items") == 0)
		stat_items(&o, sum);
	else if (strcmp(word, "slabs") == 0)
		stat_slabs(&o, sum);
	else if (strcmp(word, "memory") == 0)
		stat_lines(&o, w, worker_memory_text_get);
	else if (strcmp(word, "alarms") == 0)
		stat_lines(&o, w, worker_alarm_text_get);
	else if (strcmp(word, "doctor") == 0)
		stat_lines(&o, w, worker_doctor_text_get);
	else if (strcmp(word, "shards") == 0)
		stat_shards(&o, w);
	else
		stat_general(&o, w, sum);
	return o.len;
}
