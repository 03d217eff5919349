// SPDX-License-Identifier: BSD-3-Clause
// The control core's tick: reports in, totals, orders out.

#include <errno.h>

#include "control/control_internal.h"

#define ALLOWANCE_MIN  (64 << 10)
#define ALLOWANCE_STEP (16 << 10)    // smaller changes are not worth an order
#define STALL_US       (1000 * 1000) // a worker without a heartbeat for so long is reported

// A worker's part of maxmemory for items and index: what is in use for other things (connections,
// tables, this core itself; client buffers aside, which have limits of their own) is taken off
// first.
static uint64_t allowance(const struct control *c)
{
	const struct control_totals *t = &c->total;
	uint64_t other = mem_used(c->mem) + t->sum.mem_used[MEM_OTHER] + t->sum.mem_used[MEM_CONNS];
	uint64_t rest = c->cfg->maxmemory_bytes > other ? c->cfg->maxmemory_bytes - other : 0;

	return base_max_u64(rest / c->workers, ALLOWANCE_MIN);
}

void control_orders_push(struct control *c)
{
	struct control_config *cfg = c->cfg;

	c->orders.limit_bytes = allowance(c);
	c->orders.maxmemory_bytes = cfg->maxmemory_bytes;
	c->orders.verbosity = (uint32_t)cfg->verbosity;
	for (unsigned i = 0; i < c->workers; i++)
		worker_orders_set(c->group, i, &c->orders);
}

int control_open(struct control **out, struct control_config *cfg, struct worker_group *group,
	struct mem_domain *mem, const char *driver)
{
	struct control *c = mem_alloc(mem, MEM_OTHER, sizeof(*c));
	int rc;

	memset(c, 0, sizeof(*c));
	c->cfg = cfg;
	c->group = group;
	c->mem = mem;
	c->driver = driver;
	c->workers = (unsigned)cfg->workers;
	c->orders.phase = WORKER_PHASE_RUN;
	rc = control_calls_open(c);
	if (rc < 0) {
		mem_free(mem, MEM_OTHER, c, sizeof(*c));
		return rc;
	}
	control_orders_push(c);
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	control_calls_close(c);
	mem_free(c->mem, MEM_OTHER, c, sizeof(*c));
}

static void heartbeat_check(struct control *c, unsigned i)
{
	uint64_t beat_us = c->report[i].heartbeat_us;
	bool stalled = beat_us != 0 && c->now.mono_us > beat_us + STALL_US;

	if (stalled && !c->stalled[i])
		base_warn("worker %u: no heartbeat for %llu ms", i,
			(unsigned long long)((c->now.mono_us - beat_us) / 1000));
	else if (!stalled && c->stalled[i])
		base_warn("worker %u: is back", i);
	c->stalled[i] = stalled;
	c->total.stalled += stalled;
}

static void totals_add(struct control *c)
{
	struct control_totals *t = &c->total;

	memset(&t->sum, 0, sizeof(t->sum));
	t->stalled = 0;
	t->used_bytes = mem_used(c->mem);
	for (unsigned i = 0; i < c->workers; i++) {
		worker_report_get(c->group, i, &c->report[i]);
		worker_counters_add(&t->sum, &c->report[i].n);
		heartbeat_check(c, i);
	}
	for (int k = 0; k < MEM_CLASSES; k++)
		t->used_bytes += t->sum.mem_used[k];
	if (t->used_bytes > t->used_peak_bytes) {
		t->used_peak_bytes = t->used_bytes;
		t->peak_wall_s = c->now.wall_s;
	}
}

void control_tick(struct control *c, struct base_now now)
{
	uint64_t limit = c->orders.limit_bytes, wanted;

	c->now = now;
	totals_add(c);
	wanted = allowance(c);
	if (wanted > limit + ALLOWANCE_STEP || wanted + ALLOWANCE_STEP < limit)
		control_orders_push(c);
	control_calls_serve(c);
}

void control_ready(struct control *c, struct base_now now)
{
	c->start = now;
	control_tick(c, now);
	c->total.used_startup_bytes = c->total.used_bytes;
}

void control_phase_set(struct control *c, enum worker_phase phase)
{
	c->orders.phase = phase;
	control_orders_push(c);
}

bool control_drained(const struct control *c)
{
	for (unsigned i = 0; i < c->workers; i++) {
		if (!c->report[i].drained)
			return false;
	}
	return true;
}
