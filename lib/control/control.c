// SPDX-License-Identifier: BSD-3-Clause
// The control core's tick: reports in, totals, orders out.

#include <errno.h>

#include "control/control_internal.h"

#define STALL_US     (1000 * 1000) // a worker without a heartbeat for so long is reported
#define TICK_US      1000
#define TICK_IDLE_US 5000
#define ACTIVE_US    (100 * 1000) // after something wanted ticks soon
#define ACTIVE_BYTES (64 << 10)   // that memory grows or shrinks by in a tick

// What may be dealt to the shards for items and index: what is in use for other things
// (connections, tables, this core itself; client buffers aside, which have limits of their own) is
// taken off first.
static uint64_t dealable(const struct control *c)
{
	const struct control_totals *t = &c->total;
	uint64_t other = mem_used(c->mem) + t->sum.mem_used[MEM_OTHER] + t->sum.mem_used[MEM_CONNS];

	return c->cfg->maxmemory_bytes > other ? c->cfg->maxmemory_bytes - other : 0;
}

void control_orders_push(struct control *c)
{
	c->orders.maxmemory_bytes = c->cfg->maxmemory_bytes;
	c->orders.verbosity = (uint32_t)c->cfg->verbosity;
	c->orders.track_sizes = c->cfg->track_sizes;
	c->orders.clients_bytes_max =
		(control_clients_bytes(c->cfg) + c->workers - 1) / c->workers; // 0 stays no limit
	c->orders.slow_us =
		c->cfg->slower_than_us < 0 ? WORKER_SLOW_NEVER : (uint64_t)c->cfg->slower_than_us;
	c->orders.store = control_store_settings(c->cfg);
	c->orders.access = control_access_orders(c);
	c->orders.access_seq = c->access.seq;
	c->orders.ledger_seq = c->ledger.seq;
	for (unsigned i = 0; i < c->workers; i++) {
		c->orders.loan_seq = c->ledger.row[i].loan_answered;
		c->orders.memlimit_seq = c->admin.memlimit_seq[i];
		c->orders.watch_seq = c->admin.watch_seq[i];
		c->orders.memlimit_refused = c->admin.memlimit_refused[i];
		c->orders.capture = control_capture_tap(c, i);
		c->orders.snapshot = control_snapshot_tap(c, i);
		c->orders.limit_bytes = c->ledger.row[i].order_bytes;
		c->orders.pace = c->upkeep[i].pace.order;
		c->orders.defrag = c->upkeep[i].defrag.plan;
		worker_orders_set(c->group, i, &c->orders);
	}
}

static void peak_take(struct control *c, uint64_t used_bytes)
{
	struct control_totals *t = &c->total;

	if (used_bytes > t->used_peak_bytes) {
		t->used_peak_bytes = used_bytes;
		t->peak_wall_s = c->now.wall_s;
	}
}

// By the counters themselves, where the reports may be a millisecond old.
static uint64_t used_now(const struct control *c)
{
	uint64_t used = mem_used(c->mem);

	for (unsigned i = 0; i < c->workers; i++) {
		if (c->domain[i] != NULL)
			used += mem_used(c->domain[i]);
	}
	return used;
}

// Moves allowances; orders go out when one changed. A shard that is given more is about to use it,
// and one that was cut may hold more than its report said: a moment to look at the peak.
static void ledger_turn(struct control *c)
{
	struct control_shard shard[WORKER_MAX];

	for (unsigned i = 0; i < c->workers; i++) {
		const struct worker_counters *n = &c->report[i].n;

		shard[i] = (struct control_shard){
			.used_bytes = control_shard_bytes(n),
			.limit_bytes = n->limit_bytes,
			.orders_seq = c->report[i].ledger_seq,
			.pressed = n->store.evicted + n->store.no_memory,
			.loan_seq = c->report[i].loan_seq,
			.loan_bytes = c->report[i].loan_limit_bytes,
			.cold = c->report[i].cold,
		};
	}
	c->ledger.evicts = c->cfg->policy != STORE_NOEVICTION;
	if (control_ledger_turn(&c->ledger, dealable(c), shard)) {
		c->active_us = c->now.mono_us;
		control_orders_push(c);
		peak_take(c, used_now(c));
	}
}

int control_open(struct control **out, struct control_config *cfg, struct worker_group *group,
	struct mem_domain *mem, const char *driver, const char *offloads)
{
	struct control *c = mem_alloc(mem, MEM_OTHER, sizeof(*c));
	int rc;

	memset(c, 0, sizeof(*c));
	c->cfg = cfg;
	c->group = group;
	c->mem = mem;
	c->driver = driver;
	c->offloads = offloads;
	c->workers = (unsigned)cfg->workers;
	c->orders.phase = WORKER_PHASE_RUN;
	c->orders.detail = worker_detail_latest(group);
	c->admin.detail = c->orders.detail & 1;
	rc = control_access_open(c);
	if (rc == 0)
		rc = control_calls_open(c);
	if (rc < 0) {
		control_access_close(c);
		mem_free(mem, MEM_OTHER, c, sizeof(*c));
		return rc;
	}
	control_memory_apply(c);
	control_ledger_init(&c->ledger, c->workers, dealable(c));
	control_upkeep_init(c);
	control_orders_push(c);
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	control_calls_close(c);
	control_access_close(c);
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
	peak_take(c, t->used_bytes);
}

static uint64_t pressed(const struct control *c)
{
	return c->total.sum.store.evicted + c->total.sum.store.no_memory;
}

// Whether a shard may want what another has.
static bool shards_compete(const struct control *c)
{
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->report[i].loan_seq != c->ledger.row[i].loan_answered)
			return true;
	}
	return c->workers > 1 && pressed(c) != c->pressed_before;
}

// What cannot wait for a slow tick: workers that grow want pages made ready, and parts of
// maxmemory.
static void activity_note(struct control *c)
{
	uint64_t used = c->total.used_bytes, before = c->used_before;
	uint64_t moved = used > before ? used - before : before - used;

	if (moved > ACTIVE_BYTES || c->capture.now != NULL || c->snapshot.now != NULL ||
		shards_compete(c) || c->orders.phase != WORKER_PHASE_RUN)
		c->active_us = c->now.mono_us;
	c->used_before = used;
	c->pressed_before = pressed(c);
}

long control_tick_us(const struct control *c)
{
	return c->now.mono_us - c->active_us < ACTIVE_US ? TICK_US : TICK_IDLE_US;
}

void control_tick(struct control *c, struct base_now now)
{
	c->now = now;
	totals_add(c);
	activity_note(c);
	ledger_turn(c);
	if (control_upkeep_tick(c))
		control_orders_push(c);
	control_purge_tick(c);
	control_access_tick(c);
	control_memory_tick(c);
	control_capture_tick(c);
	control_snapshot_tick(c);
	control_health_tick(c);
	control_latency_tick(c);
	control_admin_tick(c);
	control_calls_serve(c);
}

void control_ready(struct control *c, struct base_now now)
{
	c->start = now;
	control_tick(c, now);
	c->total.used_startup_bytes = c->total.used_bytes;
	control_memory_ready(c);
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

unsigned control_stalled(const struct control *c)
{
	return c->total.stalled;
}

uint64_t control_addresses_taken(const struct control *c)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < c->workers; i++)
		taken |= c->report[i].taken;
	return taken;
}
