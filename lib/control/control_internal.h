// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/control share.
#pragma once

#include <pthread.h>

#include "control/control.h"
#include "control/control_alarm.h"
#include "control/control_defrag.h"
#include "control/control_ledger.h"
#include "control/control_pace.h"

// ---- options -----------------------------------------------------------------------------------
enum control_option_type {
	CONTROL_OPTION_BYTES,      // with Redis' units
	CONTROL_OPTION_ITEM_BYTES, // with memcached's
	CONTROL_OPTION_MEGABYTES,  // -m: a plain number of MiB, written to a bytes field
	CONTROL_OPTION_MAXMEMORY,  // bytes with Redis' units, a percentage, or 0
	CONTROL_OPTION_SHARE,      // bytes with Redis' units, or CONTROL_PERCENT and a percentage
	CONTROL_OPTION_NUMBER,
	CONTROL_OPTION_DECAY, // milliseconds (or what `value` says), or -1
	CONTROL_OPTION_YES_NO,
	CONTROL_OPTION_TEXT,
	CONTROL_OPTION_DELIMITER, // one character
	CONTROL_OPTION_DETAIL,    // -D: the same, and detail-enabled
	CONTROL_OPTION_POLICY,
	CONTROL_OPTION_CONGESTION,
	CONTROL_OPTION_PROTOCOL,
	CONTROL_OPTION_PREFIX,     // A.B.C.D/LEN
	CONTROL_OPTION_ADDRESS,    // A.B.C.D
	CONTROL_OPTION_LIST,       // prefixes with commas between, all or none
	CONTROL_OPTION_EXTENDED,   // -o NAME=VALUE,...: other options
	CONTROL_OPTION_NOEVICTION, // -M: no value
	CONTROL_OPTION_COUNT,      // -v: no value, counts up
	CONTROL_OPTION_FLAG,       // -h, -V: no value
};

struct control_option {
	const char *name; // NULL: short only
	char letter;      // 0: none
	uint8_t type;
	bool live;
	uint16_t offset;
	uint64_t min, max;
	const char *start; // default, as text
	const char *value; // in --help
	const char *help;
};

// NULL: there is no such option.
const struct control_option *control_option_find(const char *name);
const struct control_option *control_option_letter(char letter);
bool control_option_takes_value(const struct control_option *o);
// The table in its order; NULL at the end.
const struct control_option *control_option_at(unsigned i);
// "1 to 64", or nothing where a value is no number.
void control_option_range(const struct control_option *o, char *buf, size_t len);
// 0 or -EINVAL with what is wrong about the value in err.
int control_option_value_set(struct control_config *cfg, const struct control_option *o,
	const char *value, char *err, size_t err_len);

#define CONTROL_LINE_MAX 1024 // of a configuration file, with its end

// The next line, with its end if it has one: 1. 0 at the file's end (or ferror), -E2BIG where it
// does not fit.
int control_line_read(FILE *f, char line[CONTROL_LINE_MAX]);

// ---- the control core --------------------------------------------------------------------------
struct control_calls; // commands posted by telemetry threads

// What the last tick saw. used_memory is Redis' word for bytes counted by lib/mem.
struct control_totals {
	struct worker_counters sum;
	uint64_t used_bytes, used_peak_bytes, used_startup_bytes;
	uint64_t peak_wall_s;
	unsigned stalled;
};

// Process figures, as old as their times say.
struct control_memory {
	uint64_t system_bytes; // of the machine
	uint64_t packet_bytes; // DPDK's
	bool packets_huge;
	uint64_t rss_bytes, rss_used_bytes, rss_us; // resident and used_memory at the same moment
	struct mem_process process;
	uint64_t process_us, decay_us; // when last
	uint64_t private_dirty_bytes, private_dirty_us;
	uint64_t startup_overhead_bytes;      // index, connections, buffers at ready
	uint64_t evicted_before, evicting_us; // evictions seen, and when last
};

struct control_health { // control_health.c
	struct control_alarms alarms;
	uint64_t look_us, device_us; // when last
	bool link_seen;              // the device has had a link
};

struct control_latency { // control_latency.c
	uint64_t rolled_us;
	struct base_hist older[WORKER_KINDS], newer[WORKER_KINDS]; // copies, one window apart
};

struct control_admin {                     // control_admin.c: what clients have asked for
	uint64_t memlimit_seq[WORKER_MAX]; // the last that was answered
	bool memlimit_refused[WORKER_MAX];
	uint32_t verbosity_seq[WORKER_MAX];
	uint32_t watch_seq[WORKER_MAX]; // the last that is in the orders
	uint64_t verbosity;             // that the log has
	bool detail;                    // as it was when it was last looked at
	bool shutdown;
	uint64_t doctor_us; // when its lines were last written
};

struct control_capture {     // of the workers' frames
	struct capture *now; // NULL: none
	bool ending;         // the workers are told to leave it
	bool left;           // they have: the writer comes to its end
	pthread_t writer;    // as long as there is one
	uint64_t waiter;     // the last call that waits for its end
	struct capture_state last;
	char path[CAPTURE_PATH_MAX]; // of the last one; empty: there was none
};

// The scheduler of a worker's upkeep, and its report as the tick before saw it.
struct control_upkeep {
	struct control_pace pace;
	struct control_defrag defrag;
	uint64_t beat_us, busy_us, upkeep_ns;
	uint64_t flushed; // up to which its pages have been given back
};

struct control_purge {
	bool running;
	uint64_t began_us, took_us;         // of the last one
	uint64_t before_bytes, after_bytes; // resident, hugepages included
	uint64_t automatic;                 // of a shard, after a flush
	uint64_t waiter, asked_us;          // the last call that asked for one, and when
};

struct control_snapshot {
	struct snapshot *now; // NULL: none
	bool leaving;         // the writer has ended, the workers are told to leave it
	pthread_t writer;     // until then
	uint64_t began_us, took_us;
	struct snapshot_state last;
	char path[SNAPSHOT_PATH_MAX]; // of this or the last one; empty: there was none
};

struct control_access { // control_access.c
	struct access_list *allow, *udp_allow;
	struct access_list *old[2]; // that workers may still read; NULL: none
	uint64_t seq;               // of the changes
	uint64_t conns_max;         // at start: what tables have room for
};

struct control {
	struct control_config *cfg;
	struct worker_group *group;
	struct mem_domain *mem;
	const char *driver, *offloads;
	unsigned workers;
	struct base_now start, now;
	struct control_totals total;
	struct worker_orders orders; // the same for every worker, but for limit_bytes
	struct control_ledger ledger;
	struct control_upkeep upkeep[WORKER_MAX];
	uint64_t defrag_us;       // when its figures were last looked at
	uint64_t defrag_begun_us; // 0: no worker defragments
	uint64_t defrag_spent_us; // ... while one did, before that
	struct worker_report report[WORKER_MAX];
	bool stalled[WORKER_MAX];
	struct control_calls *calls;
	unsigned call_wait_s;                  // what a caller waits at most
	struct mem_domain *domain[WORKER_MAX]; // NULL: not yet, or no more
	struct control_memory memory;
	struct worker_probe probe; // the last question about a key
	uint64_t serving;          // the call that is being run ...
	uint64_t asker;            // ... whose the question is; 0: nobody's
	unsigned probe_worker;
	struct control_capture capture;
	struct control_purge purge;
	struct control_snapshot snapshot;
	struct control_access access;
	struct control_admin admin;
	const struct port *port; // NULL: not told
	struct control_health health;
	struct control_latency latency;
	uint64_t active_us;                   // when something last wanted ticks soon
	uint64_t used_before, pressed_before; // of the tick before
};

// Between this tick and the next.
long control_tick_us(const struct control *c);

// Makes bytes of a percentage. 0 or -EINVAL with the reason in err.
int control_maxmemory_resolve(struct control_config *cfg, char *err, size_t err_len);
// 0, or -EINVAL with what does not go together in err.
int control_config_check(const struct control_config *cfg, char *err, size_t err_len);
// maxmemory-clients in bytes; 0: no limit.
uint64_t control_clients_bytes(const struct control_config *cfg);
#define CONTROL_AGAIN 1

// Answers one command; on the control core. 0, -1, or CONTROL_AGAIN: not yet, run it next tick.
int control_command_run(
	struct control *c, const char *command, const char *params, struct rte_tel_data *reply);
void control_orders_push(struct control *c);

int control_calls_open(struct control *c);
void control_calls_close(struct control *c);
void control_calls_serve(struct control *c);

// ---- figures of memory -------------------------------------------------------------------------
enum control_metric_type { CONTROL_METRIC_U64, CONTROL_METRIC_I64, CONTROL_METRIC_TEXT };

struct control_metric {
	const char *name;
	enum control_metric_type type;
	uint64_t value; // U64; I64 as two's complement
	char text[64];
};

#define CONTROL_METRICS_MAX 96

struct control_metrics {
	unsigned count;
	struct control_metric row[CONTROL_METRICS_MAX];
};

void control_metric_add(struct control_metrics *m, const char *name, uint64_t value);
void control_metric_add_diff(struct control_metrics *m, const char *name, uint64_t a, uint64_t b);
void control_metric_add_ratio(struct control_metrics *m, const char *name, double ratio);
void control_metric_add_text(struct control_metrics *m, const char *name, const char *text);
void control_metrics_reply(const struct control_metrics *m, struct rte_tel_data *d);
// "STAT name value\r\n" lines; the length.
size_t control_metrics_stat(const struct control_metrics *m, char *buf, size_t len);
// A text of any length under name, name_2, ...: DPDK takes 127 characters at a time.
void control_text_reply(struct rte_tel_data *d, const char *name, const char *text);
// The first piece of a text, at most `most` characters, cut at a blank where there is one.
size_t control_text_piece(const char *text, size_t most);

// A worker's figures into its dictionary.
typedef void control_worker_fill(struct control *c, unsigned worker, struct rte_tel_data *d);
// Dictionaries worker_0, worker_1, ...: `most` at most, with a word on how to ask for the others.
// -1: they have no room.
int control_workers_reply(struct control *c, const char *command, unsigned most,
	control_worker_fill *fill, struct rte_tel_data *d);
// Whether params is a worker's number, and which; else the reply is an error.
bool control_worker_named(const struct control *c, const char *command, const char *params,
	unsigned *worker, struct rte_tel_data *d);

// control_memory.c: each tick; on request; a change of options. msg: a warning or a refusal.
void control_memory_tick(struct control *c);
void control_memory_refresh(struct control *c);
void control_memory_ready(struct control *c);
void control_memory_apply(struct control *c);
// The sums that several reports share.
struct control_sums {
	uint64_t used, rss, overhead, dataset, slack, pinned, clients, held_huge;
};
struct control_sums control_memory_sums(const struct control *c);
void control_memory_metrics(struct control *c, struct control_metrics *m);
void control_memory_worker_metrics(struct control *c, unsigned i, struct control_metrics *m);

// control_upkeep.c: at the start; each tick: true when an order has changed.
void control_upkeep_init(struct control *c);
bool control_upkeep_tick(struct control *c);
void control_defrag_metrics(const struct control *c, struct control_metrics *m);
// What counts against the worker's allowance.
uint64_t control_shard_bytes(const struct worker_counters *n);

// control_purge.c: each tick, after control_upkeep_tick.
void control_purge_tick(struct control *c);

// control_admin.c: each tick.
void control_admin_tick(struct control *c);
// An option is changed while serving; *fits: MEM_TOO_MUCH, and it is not, for want of room in the
// machine or because the value is wrong; `lines` gets why, and a warning where it is tight. 0, or
// CONTROL_AGAIN.
int control_config_change(struct control *c, const char *name, const char *value,
	enum mem_verdict *fits, char *lines, size_t len);

// control_doctor.c: lines for `stats doctor`.
void control_doctor_publish(struct control *c);

// control_capture.c: each tick; the worker's end of the capture that runs, or NULL.
void control_capture_tick(struct control *c);
struct capture_tap *control_capture_tap(struct control *c, unsigned worker);

// control_access.c: at the start; when no worker is left; each tick.
int control_access_open(struct control *c);
void control_access_close(struct control *c);
void control_access_tick(struct control *c);
// Before `wanted` takes the place of the present configuration. 0, CONTROL_AGAIN, or -EINVAL with
// the reason in err.
int control_access_change(
	struct control *c, const struct control_config *wanted, char *err, size_t err_len);
struct worker_access control_access_orders(const struct control *c);

// control_snapshot.c: each tick; the worker's end of the one that runs, or NULL.
void control_snapshot_tick(struct control *c);
struct snapshot_tap *control_snapshot_tap(struct control *c, unsigned worker);
void control_snapshot_workers_gone(struct control *c);
// control_health.c, control_latency.c: each tick.
void control_health_tick(struct control *c);
void control_latency_tick(struct control *c);

// Commands.
int control_alarms_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_latency_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_latency_recent_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_latency_slow_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_latency_reset_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_capture_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_capture_start_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_capture_stop_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_snapshot_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_memory_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_bins_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_doctor_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_flight_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_upkeep_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_purge_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_usage_command(struct control *c, const char *params, struct rte_tel_data *d);
// control_shards.c
int control_shards_command(struct control *c, const char *params, struct rte_tel_data *d);
int control_malloc_stats_command(struct control *c, const char *params, struct rte_tel_data *d);
