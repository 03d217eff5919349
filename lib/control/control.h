// SPDX-License-Identifier: BSD-3-Clause
// control: configuration registry, memory ledger, telemetry commands.
//
// Owner thread: main (the control core), but for control_call, which DPDK's telemetry threads make.
//
//	control_config_init(&cfg);
//	if (control_config_args(&cfg, argc, argv, &rest, err, sizeof(err)) < 0) { ...exit 2 }
//	control_open(&c, &cfg, group, mem);
//	for (;;) { control_tick(c, base_now_read()); control_wait(c); }
#pragma once

#include <stdio.h>

#include <rte_telemetry.h>

#include "worker/worker.h"

// ---- configuration -----------------------------------------------------------------------------
#define CONTROL_TEXT_MAX  256
#define CONTROL_VALUE_MAX 768 // any option's value as text
#define CONTROL_PERCENT   (UINT64_C(1) << 63)

struct control_config { // fields are set by the option table alone
	uint64_t maxmemory_bytes;
	uint64_t maxmemory_percent; // that these bytes are; 0: they were given
	uint64_t item_bytes_max;
	uint64_t tcp_port, udp_port;
	bool udp_shard_ports;
	uint64_t workers;
	uint64_t conns_max, conns_source, idle_timeout_s;            // 0: no limit; never
	char allow[CONTROL_VALUE_MAX], udp_allow[CONTROL_VALUE_MAX]; // prefixes, all or none
	uint64_t udp_factor, udp_rate;
	uint64_t clients_max; // bytes, or CONTROL_PERCENT and a percentage of maxmemory
	uint64_t client_output_bytes, client_query_bytes;
	uint64_t policy; // enum store_policy
	uint64_t samples, tenacity, lfu_log_factor, lfu_decay_min, expire_effort, hz;
	bool expire_index;
	bool lazy_eviction, lazy_expire, lazy_server_del, lazy_user_del, lazy_user_flush;
	uint64_t lazy_idle_percent;
	bool defrag;
	uint64_t defrag_ignore_bytes, defrag_lower, defrag_upper, defrag_cycle_min,
		defrag_cycle_max;
	uint64_t idle_sleep_us, upkeep_slice_us;
	uint64_t verbosity;
	bool shutdown_enabled, flush_disabled, dump_disabled, watch_disabled; // commands
	bool debug_enabled;
	bool track_sizes;
	bool detail;                             // count by prefix; clients change it, too
	char prefix_delimiter[CONTROL_TEXT_MAX]; // one character
	int64_t slower_than_us;                  // slow requests; -1: none is
	uint64_t region_bytes;                   // hugepages over all workers; 0: ordinary pages
	int64_t dirty_decay_ms, muzzy_decay_ms;  // -1: never
	bool background_thread, disable_thp;
	char driver[CONTROL_TEXT_MAX];
	char file[CONTROL_TEXT_MAX];
	char address[CONTROL_TEXT_MAX]; // empty: the driver file's
	char gateway[CONTROL_TEXT_MAX];
	char tcp_congestion[CONTROL_TEXT_MAX];
	char protocol[CONTROL_TEXT_MAX];
	char auth_file[CONTROL_TEXT_MAX]; // empty: everybody may speak, unless sasl
	bool sasl;
	uint64_t tcp_keepalive_s, tcp_user_timeout_s; // 0: off
	bool tcp_ecn;
	char user[CONTROL_TEXT_MAX], telemetry_group[CONTROL_TEXT_MAX]; // empty: as it is
	char telemetry_mode[CONTROL_TEXT_MAX];                          // octal; empty: as it is
	char flight_dir[CONTROL_TEXT_MAX], capture_dir[CONTROL_TEXT_MAX];
	char snapshot_dir[CONTROL_TEXT_MAX];     // empty: no snapshots
	char snapshot_on_exit[CONTROL_TEXT_MAX]; // a name in it; empty: none
	char restore[CONTROL_TEXT_MAX];          // a name in it, or a path; empty: none
	bool restore_or_empty;
	bool help, help_man, help_markdown, version;
};

void control_config_init(struct control_config *cfg);
// Reads the command line, after the configuration file that it names. Words after "--" are EAL's:
// *eal_args gets the index of the first of them (argc: none). 0 or -EINVAL with one line in err.
int control_config_args(struct control_config *cfg, int argc, char **argv, int *eal_args, char *err,
	size_t err_len);
// One option by its name. 0, -ENOENT or -EINVAL with one line in err.
int control_config_set(
	struct control_config *cfg, const char *name, const char *value, char *err, size_t err_len);
// The present value as text. 0 or -ENOENT.
int control_config_get(const struct control_config *cfg, const char *name, char *buf, size_t len);
// Whether an option exists and may be changed while serving: 1, 0, or -ENOENT.
int control_config_live(const char *name);
// Names in the table's order; NULL at the end.
const char *control_config_name(unsigned i);
// --help, the manual page (man 8), and docs/configuration.md.
void control_config_help(FILE *to);
void control_config_man(FILE *to);
void control_config_markdown(FILE *to);
// The configuration file as it must be for a restart to bring the present values: lines of options
// get their values, comments and order stay, options that differ from their defaults and are not
// named yet follow at the end (Redis' CONFIG REWRITE). 0, or -EINVAL with one line in err.
int control_config_text(
	const struct control_config *cfg, FILE *from, FILE *to, char *err, size_t err_len);
// The same for the file that was read at start, replaced as a whole. 0 or -errno, with one line in
// err.
int control_config_rewrite(const struct control_config *cfg, char *err, size_t err_len);
// What of it the shards obey.
struct store_settings control_store_settings(const struct control_config *cfg);
// What clients may speak.
enum proto_language control_language(const struct control_config *cfg);
// Who may: lines of NAME:PASSWORD. 0, or -EINVAL with one line in err; then there are none. Logs
// once when others may read the file.
int control_users_load(const char *path, struct worker_users *users, char *err, size_t err_len);

// ---- control core ------------------------------------------------------------------------------
struct control;

// cfg, group and mem are borrowed; `driver` and
// `offloads` (what its device does) are shown in reports, and borrowed. 0 or -errno.
int control_open(struct control **c, struct control_config *cfg, struct worker_group *group,
	struct mem_domain *mem, const char *driver, const char *offloads);
void control_close(struct control *c);
// The workers' domains, so that their figures can be read and their decay set; NULL before the
// first of them is closed.
void control_domains_set(struct control *c, struct mem_domain *const *domain);
// What DPDK holds for packets, for the sum that is compared with the machine.
void control_packet_bytes_set(struct control *c, uint64_t bytes, bool hugepages);
// The device, to be looked after: its link, what it loses. Borrowed.
void control_port_set(struct control *c, const struct port *port);
// Whether the machine has room for a configuration. `control`: NULL before the start, else what the
// process holds already is taken off. msg gets one line unless it fits.
enum mem_verdict control_memory_check(const struct control *c, const struct control_config *cfg,
	uint64_t packet_bytes, bool packets_huge, char *msg, size_t len);
// Reads reports, writes orders, answers posted calls.
void control_tick(struct control *c, struct base_now now);
// Sleeps until the next tick is due, or a call is posted: 1 ms while memory grows or shrinks, is
// moved between shards, frames are captured or somebody asks; else 5 ms, since each tick takes a
// core that may be a worker's for some 20 us.
void control_wait(struct control *c);
// Makes present what workers have asked for ahead of need, 2 MiB each at most. Ticks do it, too:
// for who has nothing else to do meanwhile. False: nothing was asked for.
bool control_pages_help(struct control *c);
// The server is ready: used_memory now is used_memory_startup.
void control_ready(struct control *c, struct base_now now);
// Orders every worker into a phase; true once all report it (WORKER_PHASE_DRAIN).
void control_phase_set(struct control *c, enum worker_phase phase);
bool control_drained(const struct control *c);
// All items to a file of that name in snapshot-dir, in the ticks to come. 0 or -errno with one line
// in err.
int control_snapshot_start(struct control *c, const char *name, char *err, size_t err_len);
// Of the one that runs (true), or of the last one.
bool control_snapshot_get(const struct control *c, struct snapshot_state *out);
// Gives up the one that runs, in the ticks to come.
void control_snapshot_cancel(struct control *c);
// A client has asked the server to end (enable-shutdown).
bool control_shutdown_asked(const struct control *c);
// Orders every worker to flush its shard.
void control_flush(struct control *c);
// All workers have left their loops and are closed; EAL is still there. What waits for them ends.
void control_workers_gone(struct control *c);
// Workers that have not reported for a second.
unsigned control_stalled(const struct control *c);
// One bit an own address that the duplicate address check has found with another host.
uint64_t control_addresses_taken(const struct control *c);

// Commands and their help lines, for registration; NULL at the end.
struct control_command {
	const char *name, *help;
};
extern const struct control_command control_commands[];
// Runs a telemetry command on the control core and waits for it, at most five seconds. Any thread.
// 0 or -1, as rte_telemetry wants it.
int control_call(
	struct control *c, const char *command, const char *params, struct rte_tel_data *reply);
// From now on no call is answered: those that wait return, those to come do at once. Before the
// ticks end for good.
void control_calls_refuse(struct control *c);
