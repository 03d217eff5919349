// SPDX-License-Identifier: BSD-3-Clause
// A run: open, step until every script is over, look at everything once more, close.

#include <stdarg.h>
#include <stdlib.h>

#include "sim.h"

#define RUN_US     UINT64_C(600000000) // a run that takes longer hangs
#define LEDGER_US  5000
#define OVERDUE_US 20000
#define HOME_US    UINT64_C(70000000) // TIME-WAIT is over by then

// ---- memory ------------------------------------------------------------------------------------
void *sim_alloc(struct sim *s, size_t bytes)
{
	return mem_alloc(s->mem, MEM_OTHER, bytes > 0 ? bytes : 1);
}

void *sim_grow(struct sim *s, void *p, size_t bytes, size_t new_bytes)
{
	return p != NULL ? mem_realloc(s->mem, MEM_OTHER, p, bytes, new_bytes, NULL)
			 : sim_alloc(s, new_bytes);
}

void sim_free(struct sim *s, void *p, size_t bytes)
{
	mem_free(s->mem, MEM_OTHER, p, bytes > 0 ? bytes : 1);
}

int sim_pools_open(struct sim_pools *p)
{
	static const unsigned sizes[SIM_POOLS] = {8191, 1023};
	char name[32];

	for (unsigned i = 0; i < SIM_WORKERS; i++) {
		for (unsigned k = 0; k < SIM_POOLS; k++) {
			snprintf(name, sizeof(name), "worker_%u_%u", i, k);
			p->server[k][i] = rte_pktmbuf_pool_create(
				name, sizes[k], 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
			if (p->server[k][i] == NULL)
				return -ENOMEM;
		}
	}
	for (unsigned i = 0; i < SIM_HOSTS; i++) {
		snprintf(name, sizeof(name), "host_%u", i);
		p->host[i] = rte_pktmbuf_pool_create(
			name, 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
		if (p->host[i] == NULL)
			return -ENOMEM;
	}
	p->scratch = rte_pktmbuf_pool_create(
		"scratch", 7, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return p->scratch != NULL ? 0 : -ENOMEM;
}

void sim_fail(const struct sim *s, const char *fmt, ...)
{
	va_list args;

	if (s->trace.text != NULL)
		fflush(s->trace.text);
	if (s->trace.pcap != NULL)
		fflush(s->trace.pcap);
	printf("seed %llu: FAILED at %llu.%03llu ms: ", (unsigned long long)s->cfg.seed,
		(unsigned long long)(s->now.mono_us / 1000),
		(unsigned long long)(s->now.mono_us % 1000));
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	sim_config_print(&s->cfg);
	printf("replay: scripts/sim --seed %llu\n", (unsigned long long)s->cfg.seed);
	fflush(stdout);
	_Exit(1);
}

// ---- time --------------------------------------------------------------------------------------
static void step(struct sim *s)
{
	s->stamp++;
	sim_link_deliver(s);
	sim_fault_turn(s);
	sim_server_turn(s);
	sim_hosts_turn(s);
	if (s->now.mono_us >= s->ledger_us) {
		s->ledger_us = s->now.mono_us + LEDGER_US;
		sim_ledger_check(s);
	}
	if (s->now.mono_us >= s->overdue_us) {
		s->overdue_us = s->now.mono_us + OVERDUE_US;
		sim_watch_overdue(s);
	}
}

static _Noreturn void never_ends(const struct sim *s)
{
	char text[512];
	int n = 0;

	for (unsigned i = 0; i < s->cfg.clients; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %d:%u+%u%s",
			(int)s->client[i].state, s->client[i].requests, s->client[i].ops,
			s->client[i].verified ? "v" : "");
	for (unsigned i = 0; i < s->cfg.workers; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %u conns %llu bytes",
			tcp_conns(s->server.w[i]->tcp),
			(unsigned long long)mem_used_class(s->server.mem[i], MEM_ITEMS));
	sim_fail(s, "no end after %llu s:%s", (unsigned long long)(RUN_US / 1000000), text);
}

// On to when something happens next.
static void time_pass(struct sim *s)
{
	uint64_t next = sim_server_next_us(s);

	next = base_min_u64(next, sim_hosts_next_us(s));
	next = base_min_u64(next, sim_clients_next_us(s));
	next = base_min_u64(next, sim_dgrams_next_us(s));
	next = base_min_u64(next, sim_link_next_us(s));
	s->now.mono_us = base_max_u64(next, s->now.mono_us + 1);
	s->now.wall_s = SIM_WALL_S + s->now.mono_us / 1000000;
	if (s->now.mono_us > RUN_US)
		never_ends(s);
}

static void run_until(struct sim *s, bool (*over)(const struct sim *s))
{
	while (!over(s)) {
		step(s);
		time_pass(s);
	}
}

static void run_for(struct sim *s, uint64_t us)
{
	uint64_t until = s->now.mono_us + us;

	while (s->now.mono_us < until) {
		step(s);
		time_pass(s);
	}
}

// ---- a run -------------------------------------------------------------------------------------
static bool scripts_over(const struct sim *s)
{
	return sim_clients_done(s) && sim_dgrams_done(s);
}

static void open_all(struct sim *s)
{
	int rc = mem_domain_open(&s->mem, &(struct mem_options){.name = "sim", .numa_node = -1});

	if (rc < 0)
		sim_fail(s, "no memory domain: %d", rc);
	s->now = (struct base_now){.mono_us = 1000000, .wall_s = SIM_WALL_S + 1};
	sim_link_open(s);
	s->watch = sim_watch_open(s);
	sim_hosts_open(s);
	sim_server_open(s);
	sim_fault_open(s);
	sim_clients_open(s);
	sim_dgrams_open(s);
	sim_ledger_open(s);
}

static bool link_empty(const struct sim *s)
{
	return s->link.count == 0;
}

static bool items_gone(const struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		if (mem_used_class(s->server.mem[i], MEM_ITEMS) > 0)
			return false;
	}
	return true;
}

// Connections that a client dropped, and did not tell because the RST was lost.
static void conns_check(struct sim *s)
{
	uint64_t conns = 0, dropped = 0;

	for (unsigned i = 0; i < s->cfg.workers; i++)
		conns += tcp_conns(s->server.w[i]->tcp);
	for (unsigned i = 0; i < s->cfg.clients; i++)
		dropped += s->client[i].resets + s->client[i].refused_conns;
	if (conns > dropped)
		sim_fail(s, "%llu connections are left, clients dropped %llu",
			(unsigned long long)conns, (unsigned long long)dropped);
}

// Nobody is there any more: the cache is made empty, and gives all back.
static void leave_nothing(struct sim *s)
{
	s->link.calm = true;
	run_until(s, link_empty);
	run_for(s, HOME_US);
	conns_check(s);
	s->server.control->orders.flush_seq++;
	control_orders_push(s->server.control);
	run_for(s, 100000);
	sim_server_drain(s); // half a value of somebody who is gone is held until then
	for (unsigned i = 0; i < 1000 && !items_gone(s); i++)
		run_for(s, 10000);
	sim_ledger_home(s);
}

static void mbufs_check(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		unsigned missing = rte_mempool_in_use_count(s->server.queue[i].pool);

		if (missing > 0)
			sim_fail(s, "worker %u: mbufs missing %u", i, missing);
	}
	for (unsigned i = 0; i < s->cfg.hosts; i++) {
		unsigned missing = rte_mempool_in_use_count(s->host[i].pool);

		if (missing > 0)
			sim_fail(s, "host %u: mbufs missing %u", i, missing);
	}
}

static void close_all(struct sim *s)
{
	sim_fault_close(s);
	sim_clients_close(s);
	sim_dgrams_close(s);
	sim_hosts_close(s);
	sim_server_close(s);
	mbufs_check(s);
	sim_watch_close(s);
	sim_link_close(s);
	if (mem_used(s->mem) > 0)
		sim_fail(s, "the simulator leaks %llu bytes", (unsigned long long)mem_used(s->mem));
	mem_domain_close(s->mem);
}

static void totals_add(const struct sim *s, struct sim_totals *sum)
{
	sum->seeds++;
	sum->frames += s->link.sent;
	sum->virtual_us += s->now.mono_us;
	sum->cut += s->link.cut;
	sum->joined += s->link.joined;
	for (unsigned i = 0; i < s->cfg.clients; i++)
		sum->replies += s->client[i].replies;
	for (unsigned i = 0; i < s->cfg.dgram_users; i++)
		sum->replies += s->dgram[i].replies;
}

void sim_run(uint64_t seed, const struct sim_pools *pools, FILE *text, FILE *pcap,
	struct sim_totals *sum, uint64_t *hash)
{
	struct sim *s = calloc(1, sizeof(*s));

	base_assert(s != NULL);
	sim_config_make(&s->cfg, seed);
	s->pools = pools;
	s->trace.text = text;
	s->trace.pcap = pcap;
	open_all(s);
	run_until(s, scripts_over);
	s->settling = true;
	sim_fault_end(s);
	sim_clients_verify(s);
	run_until(s, sim_clients_verified);
	leave_nothing(s);
	close_all(s);
	totals_add(s, sum);
	*hash = s->trace.hash;
	free(s);
}
