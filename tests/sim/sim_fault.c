// SPDX-License-Identifier: BSD-3-Clause
// Faults of the server's surroundings: allocations that fail, packet pools that are empty, workers
// that miss their turns. Each begins in a random millisecond and lasts some of them.

#include "sim.h"

#define LOOK_US   1000
#define MEMORY_US 20000 // most that one lasts
#define POOL_US   30000
#define STALL_US  20000
#define REFUSE_IN 4 // of so many allocations one fails meanwhile
#define POOL_LEFT 64
#define AFTER_US  3000000 // what began under a fault is over then

static bool allocation_fails(void *arg)
{
	struct sim *s = arg;
	bool any = false;

	for (unsigned i = 0; i < s->cfg.workers; i++)
		any |= s->now.mono_us < s->fault.memory_until_us[i];
	if (!any || sim_pick(&s->fault.rng, REFUSE_IN) != 0)
		return false;
	s->fault.refusals++;
	return true;
}

void sim_fault_open(struct sim *s)
{
	struct sim_fault *f = &s->fault;

	base_rng_seed(&f->rng, s->cfg.seed ^ 0x6661756c74ull);
	f->on = true;
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		if (s->cfg.fault_memory > 0)
			mem_fault_set(s->server.mem[i], allocation_fails, s);
		if (s->cfg.fault_pool > 0)
			f->held[i] =
				sim_alloc(s, s->server.queue[i].pool->size * sizeof(*f->held[i]));
	}
}

static void pool_take(struct sim *s, unsigned i)
{
	struct rte_mempool *pool = s->server.queue[i].pool;
	struct sim_fault *f = &s->fault;
	unsigned leave = (unsigned)sim_pick(&f->rng, POOL_LEFT);

	while (f->held_count[i] < pool->size && rte_mempool_avail_count(pool) > leave) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		if (m == NULL)
			break;
		f->held[i][f->held_count[i]++] = m;
	}
	f->pools++;
}

static void pool_give(struct sim *s, unsigned i)
{
	struct sim_fault *f = &s->fault;

	while (f->held_count[i] > 0)
		rte_pktmbuf_free(f->held[i][--f->held_count[i]]);
}

static void worker_look(struct sim *s, unsigned i)
{
	const struct sim_config *c = &s->cfg;
	struct sim_fault *f = &s->fault;
	uint64_t now_us = s->now.mono_us;

	if (now_us >= f->pool_until_us[i])
		pool_give(s, i);
	if (!f->on)
		return;
	if (now_us >= f->memory_until_us[i] && sim_chance(&f->rng, c->fault_memory))
		f->memory_until_us[i] = now_us + sim_pick(&f->rng, MEMORY_US);
	if (now_us >= f->pool_until_us[i] && sim_chance(&f->rng, c->fault_pool)) {
		f->pool_until_us[i] = now_us + sim_pick(&f->rng, POOL_US);
		pool_take(s, i);
	}
	if (now_us >= f->stall_until_us[i] && sim_chance(&f->rng, c->fault_stall)) {
		f->stall_until_us[i] = now_us + sim_pick(&f->rng, STALL_US);
		f->stalls++;
	}
	if (now_us < f->memory_until_us[i] || now_us < f->pool_until_us[i] ||
		now_us < f->stall_until_us[i])
		f->last_us = now_us;
}

void sim_fault_turn(struct sim *s)
{
	const struct sim_config *c = &s->cfg;
	struct sim_fault *f = &s->fault;

	if (s->now.mono_us < f->look_us || c->fault_memory + c->fault_pool + c->fault_stall == 0)
		return;
	f->look_us = s->now.mono_us + LOOK_US;
	for (unsigned i = 0; i < c->workers; i++)
		worker_look(s, i);
}

void sim_fault_end(struct sim *s)
{
	struct sim_fault *f = &s->fault;

	f->on = false;
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		f->memory_until_us[i] = f->pool_until_us[i] = f->stall_until_us[i] = 0;
		pool_give(s, i);
	}
}

void sim_fault_close(struct sim *s)
{
	sim_fault_end(s);
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		if (s->fault.held[i] != NULL)
			sim_free(s, s->fault.held[i],
				s->server.queue[i].pool->size * sizeof(*s->fault.held[i]));
	}
}

bool sim_fault_possible(const struct sim *s)
{
	return s->cfg.fault_memory > 0;
}
