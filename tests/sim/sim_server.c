// SPDX-License-Identifier: BSD-3-Clause
// The server: workers and control core as the program has them, each turn in an order of its own.

#include "sim.h"

#define TICK_US        1000
#define IDLE_US        20000 // most that is skipped while nothing is to be done
#define DRAIN_US       5000000
#define LIVE_CHANGE_IN 400 // ticks

static void config_fill(struct sim *s)
{
	struct control_config *k = &s->server.config;
	const struct sim_config *c = &s->cfg;

	control_config_init(k);
	k->workers = c->workers;
	k->maxmemory_bytes = c->maxmemory_bytes;
	k->maxmemory_percent = 0;
	k->item_bytes_max = c->item_bytes_max;
	k->policy = c->policy;
	k->client_query_bytes = c->query_bytes;
	k->client_output_bytes = c->output_bytes;
	k->clients_max = 0;
	k->conns_max = 256;
	strcpy(k->udp_allow, "all");
	k->expire_index = c->expire_index;
	k->hz = c->hz;
	k->defrag_cycle_max = 25;
	k->defrag_cycle_min = 1;
	k->lazy_eviction = c->lazyfree & STORE_LAZY_EVICTION;
	k->lazy_expire = c->lazyfree & STORE_LAZY_EXPIRE;
	k->lazy_server_del = c->lazyfree & STORE_LAZY_SERVER_DEL;
	k->lazy_user_del = c->lazyfree & STORE_LAZY_USER_DEL;
	k->lazy_user_flush = c->lazyfree & STORE_LAZY_USER_FLUSH;
}

static void settings_fill(struct sim *s)
{
	const struct control_config *k = &s->server.config;

	s->server.settings = (struct worker_settings){.maxmemory_bytes = k->maxmemory_bytes,
		.item_bytes_max = k->item_bytes_max,
		.conns_max = (uint32_t)k->conns_max,
		.client_query_bytes = (uint32_t)k->client_query_bytes,
		.client_output_bytes = (uint32_t)k->client_output_bytes,
		.tcp_port = SIM_PORT,
		.udp_port = SIM_PORT,
		.address = "198.18.211.1",
		.addresses = 1,
		.start_wall_s = s->now.wall_s,
		.pid = 1};
}

static void worker_start(struct sim *s, unsigned i)
{
	struct sim_server *v = &s->server;
	const struct control_config *k = &v->config;
	struct mem_options mo = {.name = "worker",
		.numa_node = -1,
		.source = s->cfg.seed % 2 ? MEM_SOURCE_SYSTEM : MEM_SOURCE_PAGES,
		.region_bytes = UINT64_C(2) << 30,
		.ahead_bytes = 64 << 10,
		.dirty_decay_ms = 100};
	int rc = mem_domain_open(&v->mem[i], &mo);

	if (rc == 0)
		rc = worker_open(&v->w[i], v->group,
			&(struct worker_options){.id = i,
				.mem = v->mem[i],
				.port = &v->port,
				.net = &v->net,
				.settings = &v->settings,
				.limit_bytes = k->maxmemory_bytes / k->workers,
				.store = control_store_settings(k),
				.conns_max = (uint32_t)k->conns_max,
				.seed = s->cfg.seed * 16 + i});
	if (rc < 0)
		sim_fail(s, "worker %u does not start: %d", i, rc);
}

void sim_server_open(struct sim *s)
{
	struct sim_server *v = &s->server;
	int rc;

	base_rng_seed(&v->rng, s->cfg.seed ^ 0x736572766572ull);
	config_fill(s);
	settings_fill(s);
	sim_nic_open(s);
	v->net = (struct port_config){.address = {{base_ip4(SIM_SERVER_IP), 24}}, .addresses = 1};
	rc = worker_group_open(&v->group,
		&(struct worker_group_options){.workers = s->cfg.workers,
			.credits = s->cfg.credits,
			.frames = s->cfg.frames});
	if (rc == 0)
		rc = mem_domain_open(
			&v->control_mem, &(struct mem_options){.name = "control", .numa_node = -1});
	if (rc == 0)
		rc = control_open(&v->control, &v->config, v->group, v->control_mem, "sim", "none");
	if (rc < 0)
		sim_fail(s, "the server does not start: %d", rc);
	for (unsigned i = 0; i < s->cfg.workers; i++)
		worker_start(s, i);
	control_domains_set(v->control, v->mem);
	for (unsigned i = 0; i < 5; i++) {
		s->now.mono_us += TICK_US;
		sim_server_turn(s);
	}
	for (unsigned i = 0; i < s->cfg.workers; i++)
		v->control->upkeep[i].defrag.all = s->cfg.defrag;
	control_ready(v->control, s->now);
}

// ---- a turn ------------------------------------------------------------------------------------
static void live_change(struct sim *s)
{
	static const char *const what[][2] = {{"maxmemory-samples", "1"},
		{"maxmemory-samples", "10"}, {"active-expire-effort", "10"},
		{"active-expire-effort", "1"}, {"lazyfree-lazy-server-del", "yes"},
		{"lazyfree-lazy-server-del", "no"}, {"lazyfree-lazy-user-del", "yes"},
		{"maxmemory-eviction-tenacity", "100"}, {"maxmemory-eviction-tenacity", "0"},
		{"expire-index", "no"}, {"expire-index", "yes"}, {"hz", "1"}, {"hz", "500"}};
	struct sim_server *v = &s->server;
	unsigned i = (unsigned)sim_pick(&v->rng, BASE_ARRAY_LEN(what));
	char err[256];

	if (control_config_set(&v->config, what[i][0], what[i][1], err, sizeof(err)) < 0)
		sim_fail(s, "%s %s: %s", what[i][0], what[i][1], err);
	control_orders_push(v->control);
}

static void tick(struct sim *s)
{
	struct sim_server *v = &s->server;

	if (s->now.mono_us < v->tick_us)
		return;
	v->tick_us = s->now.mono_us + TICK_US;
	if (s->cfg.live_config && !s->settling && sim_pick(&v->rng, LIVE_CHANGE_IN) == 0)
		live_change(s);
	if (s->cfg.defrag)
		v->control->defrag_us = 0; // looked at each tick
	control_tick(v->control, s->now);
}

void sim_server_turn(struct sim *s)
{
	struct sim_server *v = &s->server;
	unsigned first = (unsigned)sim_pick(&v->rng, s->cfg.workers), work;

	v->busy = false;
	for (unsigned k = 0; k < s->cfg.workers; k++) {
		unsigned i = (first + k) % s->cfg.workers;

		if (s->now.mono_us < s->fault.stall_until_us[i])
			continue;
		worker_turn(v->w[i], s->now, &work);
		v->busy |= work > 0;
	}
	tick(s);
}

uint64_t sim_server_next_us(const struct sim *s)
{
	const struct sim_server *v = &s->server;
	uint64_t next = s->now.mono_us + IDLE_US;

	if (v->busy)
		return s->now.mono_us + s->cfg.step_us;
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		const struct worker *w = v->w[i];
		uint64_t at = base_min_u64(tcp_deadline(w->tcp), w->net_deadline_us);

		if (v->queue[i].head != v->queue[i].tail || w->loan.asked_us != 0)
			at = 0;
		if (s->fault.stall_until_us[i] > s->now.mono_us)
			at = s->fault.stall_until_us[i];
		next = base_min_u64(next, at);
	}
	return base_max_u64(next, s->now.mono_us + s->cfg.step_us);
}

struct worker_counters sim_server_counters(struct sim *s)
{
	struct worker_counters sum = {0}, n;

	for (unsigned i = 0; i < s->cfg.workers; i++) {
		worker_counters_collect(s->server.w[i], &n);
		worker_counters_add(&sum, &n);
	}
	return sum;
}

// ---- the end -----------------------------------------------------------------------------------
void sim_server_drain(struct sim *s)
{
	struct sim_server *v = &s->server;
	uint64_t until_us = s->now.mono_us + DRAIN_US;

	control_phase_set(v->control, WORKER_PHASE_DRAIN);
	while (!control_drained(v->control)) {
		if (s->now.mono_us > until_us)
			sim_fail(s, "the server does not drain");
		s->now.mono_us += TICK_US;
		sim_server_turn(s);
	}
}

void sim_server_close(struct sim *s)
{
	struct sim_server *v = &s->server;

	control_domains_set(v->control, NULL);
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		worker_close(v->w[i]);
		mem_domain_close(v->mem[i]);
	}
	sim_nic_empty(s);
	worker_group_close(v->group);
	control_close(v->control);
	mem_domain_close(v->control_mem);
}
