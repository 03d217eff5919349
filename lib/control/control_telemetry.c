// SPDX-License-Identifier: BSD-3-Clause
// Telemetry commands. Metric names are those of Redis' INFO where Redis has the thing, else
// memcached's.

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/control_internal.h"

#define WORKERS_SHOWN 32 // in one reply of 16 KB

struct metric {
	const char *name;
	uint64_t value;
};

static void metrics_add(struct rte_tel_data *d, const struct metric *m, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rte_tel_data_add_dict_u64(d, m[i].name, m[i].value);
}

// ---- /lcached/info -----------------------------------------------------------------------------
static void info_server(struct control *c, struct rte_tel_data *d)
{
	rte_tel_data_add_dict_string(d, "lcached_version", LC_VERSION);
	rte_tel_data_add_dict_string(d, "driver", c->driver);
	rte_tel_data_add_dict_string(d, "offloads", c->offloads);
	metrics_add(d,
		(struct metric[]){
			{"process_id", (uint64_t)getpid()},
			{"uptime_in_seconds", (c->now.mono_us - c->start.mono_us) / 1000000},
			{"workers", c->workers},
			{"workers_stalled", c->total.stalled},
			{"tcp_port", c->cfg->tcp_port},
			{"udp_port", c->cfg->udp_port},
		},
		6);
}

static void info_memory(struct control *c, struct rte_tel_data *d)
{
	struct control_metrics m = {0};

	control_memory_refresh(c);
	control_memory_metrics(c, &m);
	control_metrics_reply(&m, d);
}

static void info_stats(struct control *c, struct rte_tel_data *d)
{
	const struct worker_counters *n = &c->total.sum;
	const struct metric m[] = {
		{"connected_clients", n->conns},
		{"total_connections_received", n->conns_total},
		{"evicted_clients", n->evicted_clients},
		{"rejected_connections", n->conns_refused + n->tcp.conns_refused},
		{"rejected_connections_source", n->conns_source_refused},
		{"disallowed_connections", n->conns_disallowed},
		{"idle_kicks", n->idle_kicks},
		{"auth_cmds", n->auth_cmds},
		{"auth_errors", n->auth_errors},
		{"total_commands_processed", n->requests},
		{"total_commands_remote", n->requests_remote},
		{"total_net_input_bytes", n->bytes_read},
		{"total_net_output_bytes", n->bytes_written},
		{"keyspace_keys", n->store.items},
		{"keyspace_deadlines", n->store.deadlines},
		{"keyspace_hits", n->exec.get_hits},
		{"keyspace_misses", n->exec.get_misses},
		{"cmd_get", n->exec.cmd_get},
		{"cmd_set", n->exec.cmd_set},
		{"evicted_keys", n->store.evicted},
		{"expired_keys", n->store.expired},
		{"expired_keys_active", n->store.expired_active},
		{"lazyfreed_objects", n->store.lazyfreed_objects},
		{"lazyfree_pending_objects", n->store.lazyfree_pending_objects},
		{"lazyfree_pending_bytes", n->store.lazyfree_pending_bytes},
		{"lazyfreed_eviction", n->store.lazyfreed_eviction},
		{"lazyfreed_expire", n->store.lazyfreed_expire},
		{"lazyfreed_server_del", n->store.lazyfreed_server_del},
		{"lazyfreed_user_del", n->store.lazyfreed_user_del},
		{"lazyfreed_user_flush", n->store.lazyfreed_user_flush},
		{"lazyfreed_release", n->store.lazyfreed_release},
		{"udp_requests", n->udp_requests},
		{"udp_quick", n->udp_quick},
		{"udp_malformed", n->udp_malformed},
		{"udp_dropped", n->udp_dropped},
		{"udp_refused", n->udp_refused},
		{"udp_amplified", n->udp_amplified},
		{"udp_limited", n->udp_limited},
		{"protocol_errors", n->protocol_errors},
		{"parse_stalls", n->stalls},
		{"detail_prefixes", n->detail_prefixes},
		{"detail_left_out", n->detail_left_out},
	};

	metrics_add(d, m, BASE_ARRAY_LEN(m));
}

static void info_net(struct control *c, struct rte_tel_data *d)
{
	const struct worker_counters *n = &c->total.sum;

	metrics_add(d,
		(struct metric[]){
			{"rx_packets", n->rx_packets},
			{"tx_packets", n->tx_packets},
			{"tx_waited", n->tx_waited},
			{"tx_dropped", n->tx_dropped},
			{"steered", n->steered},
			{"steer_dropped", n->steer_dropped},
			{"net_bad_ether", n->net.bad_ether},
			{"net_bad_vlan", n->net.bad_vlan},
			{"net_bad_arp", n->net.bad_arp},
			{"net_bad_ip_header", n->net.bad_ip_header},
			{"net_bad_ip_checksum", n->net.bad_ip_checksum},
			{"net_bad_ip_length", n->net.bad_ip_length},
			{"net_not_ours", n->net.not_ours},
			{"net_unknown_proto", n->net.unknown_proto},
			{"net_bad_udp", n->net.bad_udp},
			{"net_bad_udp_checksum", n->net.bad_udp_checksum},
			{"net_bad_icmp", n->net.bad_icmp},
			{"net_bad_ext", n->net.bad_ext},
			{"net_bad_nd", n->net.bad_nd},
			{"net_bad_mld", n->net.bad_mld},
			{"net_mld_queries", n->net.mld_rx},
			{"net_mld_reports", n->net.mld_tx},
			{"net_bad_source", n->net.bad_source},
			{"net_too_big", n->net.too_big},
			{"net_too_big_ignored", n->net.too_big_ignored},
			{"net_address_conflicts", n->net.arp_conflicts},
			{"net_frag_dropped", n->net.frag_dropped},
			{"net_neigh_dropped", n->net.neigh_dropped},
			{"net_no_mbuf", n->net.no_mbuf},
			{"net_no_route", n->net.no_route},
		},
		30);
}

static void info_tcp(struct control *c, struct rte_tel_data *d)
{
	const struct tcp_counters *n = &c->total.sum.tcp;
	const struct metric m[] = {
		{"tcp_rx_segments", n->rx_segments},
		{"tcp_tx_segments", n->tx_segments},
		{"tcp_tx_big", n->tx_big},
		{"tcp_passive_opens", n->passive_opens},
		{"tcp_resets_in", n->resets_in},
		{"tcp_resets_out", n->resets_out},
		{"tcp_retransmits", n->retransmits},
		{"tcp_fast_retransmits", n->fast_retransmits},
		{"tcp_rto_fires", n->rto_fires},
		{"tcp_loss_probes", n->loss_probes},
		{"tcp_reorder_waits", n->reorder_waits},
		{"tcp_reneged", n->reneged},
		{"tcp_undone", n->undone},
		{"tcp_dsacks_in", n->dsacks_in},
		{"tcp_dsacks_out", n->dsacks_out},
		{"tcp_ecn_cuts", n->ecn_cuts},
		{"tcp_ecn_marks_in", n->ecn_marks_in},
		{"tcp_out_of_order", n->out_of_order},
		{"tcp_duplicates", n->duplicates},
		{"tcp_keepalive_drops", n->keepalive_drops},
		{"tcp_cookies_out", n->cookies_out},
		{"tcp_cookies_in", n->cookies_in},
		{"tcp_cookies_bad", n->cookies_bad},
		{"tcp_challenges", n->challenges},
		{"tcp_answers_held", n->answers_held},
		{"tcp_bad_header", n->bad_header},
		{"tcp_bad_flags", n->bad_flags},
		{"tcp_bad_checksum", n->bad_checksum},
		{"tcp_bad_option", n->bad_option},
		{"tcp_bad_ack", n->bad_ack},
		{"tcp_bad_sack", n->bad_sack},
		{"tcp_bad_fin", n->bad_fin},
		{"tcp_old_timestamp", n->old_timestamp},
		{"tcp_no_conn", n->no_conn},
		{"tcp_outside_window", n->outside_window},
		{"tcp_ooo_dropped", n->ooo_dropped},
		{"tcp_rcv_pruned", n->rcv_pruned},
		{"tcp_syn_dropped", n->syn_dropped},
		{"tcp_no_memory", n->no_memory},
		{"tcp_conns_refused", n->conns_refused},
		{"tcp_not_admitted", n->not_admitted},
		{"tcp_too_big", n->too_big},
		{"tcp_too_big_ignored", n->too_big_ignored},
		{"tcp_black_holes", n->black_holes},
		{"tcp_time_wait", n->time_wait_now},
		{"tcp_half_open", n->half_open_now},
	};

	metrics_add(d, m, BASE_ARRAY_LEN(m));
}

static int cmd_info(struct control *c, const char *params, struct rte_tel_data *d)
{
	static const struct {
		const char *name;
		void (*write)(struct control *c, struct rte_tel_data *d);
	} section[] = {
		{"server", info_server},
		{"memory", info_memory},
		{"stats", info_stats},
		{"net", info_net},
		{"tcp", info_tcp},
	};
	bool any = false;

	rte_tel_data_start_dict(d);
	for (size_t i = 0; i < BASE_ARRAY_LEN(section); i++) {
		if (params == NULL || strcmp(params, section[i].name) == 0) {
			section[i].write(c, d);
			any = true;
		}
	}
	if (!any)
		rte_tel_data_add_dict_string(
			d, "error", "sections: server, memory, stats, net, tcp");
	return 0;
}

// ---- workers -----------------------------------------------------------------------------------
static void worker_reply(struct control *c, unsigned i, struct rte_tel_data *d)
{
	const struct worker_report *r = &c->report[i];
	uint64_t used = 0, age_us;

	age_us = c->now.mono_us > r->heartbeat_us ? c->now.mono_us - r->heartbeat_us : 0;
	for (int k = 0; k < MEM_CLASSES; k++)
		used += r->n.mem_used[k];
	metrics_add(d,
		(struct metric[]){
			{"heartbeat_age_us", age_us},
			{"stalled", c->stalled[i]},
			{"turns", r->n.turns},
			{"turns_idle", r->n.turns_idle},
			{"busy_us", r->n.busy_us},
			{"connections", r->n.conns},
			{"requests", r->n.requests},
			{"requests_remote", r->n.requests_remote},
			{"rx_packets", r->n.rx_packets},
			{"tx_packets", r->n.tx_packets},
			{"tx_dropped", r->n.tx_dropped},
			{"keys", r->n.store.items},
			{"evicted_keys", r->n.store.evicted},
			{"expired_keys", r->n.store.expired},
			{"used_memory", used},
			{"limit_bytes", r->n.limit_bytes},
			{"slots_out", r->n.slots_out},
		},
		17);
}

static int cmd_workers(struct control *c, const char *params, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	return control_workers_reply(c, "/lcached/worker", WORKERS_SHOWN, worker_reply, d);
}

static int cmd_worker(struct control *c, const char *params, struct rte_tel_data *d)
{
	unsigned worker;

	rte_tel_data_start_dict(d);
	if (control_worker_named(c, "/lcached/worker", params, &worker, d))
		worker_reply(c, worker, d);
	return 0;
}

// ---- configuration -----------------------------------------------------------------------------
// A list may be longer than DPDK takes at a time.
static void config_value_reply(struct rte_tel_data *d, const char *key, const char *value)
{
	if (strlen(value) < RTE_TEL_MAX_STRING_LEN)
		rte_tel_data_add_dict_string(d, key, value);
	else
		control_text_reply(d, key, value);
}

static int cmd_config(struct control *c, const char *params, struct rte_tel_data *d)
{
	char value[CONTROL_VALUE_MAX];
	const char *name;

	rte_tel_data_start_dict(d);
	for (unsigned i = 0; (name = control_config_name(i)) != NULL; i++) {
		char key[64];
		size_t k;

		if (params != NULL && strcmp(params, name) != 0)
			continue;
		// DPDK allows letters, digits, '_' and '/' in names
		for (k = 0; name[k] != '\0' && k < sizeof(key) - 1; k++)
			key[k] = name[k] == '-' ? '_' : name[k];
		key[k] = '\0';
		if (control_config_get(c->cfg, name, value, sizeof(value)) == 0)
			config_value_reply(d, key, value);
		if (params != NULL)
			return 0;
	}
	if (params != NULL)
		rte_tel_data_add_dict_string(d, "error", "unknown option");
	return 0;
}

static int config_change(
	struct control *c, struct rte_tel_data *d, const char *name, const char *value)
{
	char lines[512] = "";
	enum mem_verdict fits;
	int rc = control_config_change(c, name, value, &fits, lines, sizeof(lines));

	if (rc != 0)
		return rc;
	if (fits != MEM_TOO_MUCH)
		rte_tel_data_add_dict_string(d, "status", "ok");
	if (fits != MEM_FITS)
		control_text_reply(d, fits == MEM_TOO_MUCH ? "error" : "warning", lines);
	return 0;
}

static int cmd_config_set(struct control *c, const char *params, struct rte_tel_data *d)
{
	const char *eq = params != NULL ? strchr(params, '=') : NULL;
	char name[64];

	rte_tel_data_start_dict(d);
	if (eq == NULL || (size_t)(eq - params) >= sizeof(name)) {
		rte_tel_data_add_dict_string(d, "error", "wanted: NAME=VALUE");
		return 0;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(eq - params), params);
	if (control_config_live(name) == 0) {
		rte_tel_data_add_dict_string(d, "error", "this option is read at start only");
		return 0;
	}
	return config_change(c, d, name, eq + 1);
}

static int cmd_config_rewrite(struct control *c, const char *params, struct rte_tel_data *d)
{
	char err[512];

	rte_tel_data_start_dict(d);
	if (control_config_rewrite(c->cfg, err, sizeof(err)) < 0)
		control_text_reply(d, "error", err);
	else
		rte_tel_data_add_dict_string(d, "status", "ok");
	return 0;
}

void control_flush(struct control *c)
{
	c->orders.flush_seq++;
	control_orders_push(c);
}

static int cmd_flush(struct control *c, const char *params, struct rte_tel_data *d)
{
	control_flush(c);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "status", "started");
	return 0;
}

// ---- table -------------------------------------------------------------------------------------
const struct control_command control_commands[] = {
	{"/lcached/info", "figures of the server; a section: server, memory, stats, net, tcp"},
	{"/lcached/memory", "memory in use, of the server and of each worker; a worker's number"},
	{"/lcached/memory/bins", "small size classes of the allocator; a worker's number, or all"},
	{"/lcached/memory/doctor", "what stands out, and what to do about it"},
	{"/lcached/memory/usage", "what a key takes; the key"},
	{"/lcached/memory/malloc_stats", "the allocator's own report; the page's number"},
	{"/lcached/memory/purge", "give free memory back to the system; state: of the last time"},
	{"/lcached/upkeep", "how long turns and slices of upkeep took; a worker's number"},
	{"/lcached/latency", "how long requests took, by kind; a worker's number"},
	{"/lcached/latency/recent", "the same of the last 5 to 10 seconds"},
	{"/lcached/latency/slow", "the slowest requests of the last hour, with their parts"},
	{"/lcached/latency/reset", "forget how long requests took"},
	{"/lcached/alarms", "what is wrong now, and since when"},
	{"/lcached/workers", "every worker: load, keys, memory"},
	{"/lcached/worker", "one worker; its number"},
	{"/lcached/shards", "how a client finds a key's shard, and its UDP port"},
	{"/lcached/config", "configuration; an option's name, or nothing for all"},
	{"/lcached/config/set", "change an option while serving: NAME=VALUE"},
	{"/lcached/config/rewrite", "write the configuration file as options are now"},
	{"/lcached/flush", "forget every item"},
	{"/lcached/flight/dump", "write the flight recorder to a file in flight-dir"},
	{"/lcached/snapshot",
		"write all items to a file in snapshot-dir; its name, or nothing for "
		"the one that runs, or the last one"},
	{"/lcached/capture", "the packet capture that runs, or the last one"},
	{"/lcached/capture/start",
		"write frames to a pcapng file in capture-dir: file=NAME, and "
		"filter, snaplen, size, packets, seconds as KEY=VALUE"},
	{"/lcached/capture/stop", "end it; answers when the file is whole"},
	{NULL, NULL},
};

static int (*const control_command_fn[])(
	struct control *c, const char *params, struct rte_tel_data *d) = {
	cmd_info,
	control_memory_command,
	control_bins_command,
	control_doctor_command,
	control_usage_command,
	control_malloc_stats_command,
	control_purge_command,
	control_upkeep_command,
	control_latency_command,
	control_latency_recent_command,
	control_latency_slow_command,
	control_latency_reset_command,
	control_alarms_command,
	cmd_workers,
	cmd_worker,
	control_shards_command,
	cmd_config,
	cmd_config_set,
	cmd_config_rewrite,
	cmd_flush,
	control_flight_command,
	control_snapshot_command,
	control_capture_command,
	control_capture_start_command,
	control_capture_stop_command,
};

static_assert(BASE_ARRAY_LEN(control_command_fn) + 1 == BASE_ARRAY_LEN(control_commands),
	"a function for each command");

int control_command_run(
	struct control *c, const char *command, const char *params, struct rte_tel_data *reply)
{
	if (params != NULL && *params == '\0')
		params = NULL;
	for (size_t i = 0; i < BASE_ARRAY_LEN(control_command_fn); i++) {
		if (strcmp(control_commands[i].name, command) == 0)
			return control_command_fn[i](c, params, reply);
	}
	return -1;
}
