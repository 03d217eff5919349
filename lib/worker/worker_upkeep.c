// SPDX-License-Identifier: BSD-3-Clause
// Upkeep in a worker's turn: slices of each kind of work, paid for from the share of its time
// that the control core has ordered for that kind.
//
//	order: us a ms --> credit, by the time that passes --> a slice --> its time is taken off
//
// A turn of 20 us earns, at 250 us a ms, a slice of 5 us: turns under load grow by their share, and
// only idle ones earn long slices. What has nothing to do is looked at once a turn, for a few
// items.

#include "worker/worker_internal.h"

#define LOOK_UNITS      8    // of work that had nothing left
#define SLICE_MIN_NS    2000 // below it the clock would be much of the cost
#define SLICE_UNITS_MAX 4096
#define PIECE_UNITS     256 // between looks at the clock: some 10 to 30 us
#define LEARN_UNITS     4   // a slice that did fewer may have done more than it says
#define LEARN_TIMES     8   // one that took many times as long was interrupted
#define UNIT_NS_FIRST   100
#define UNIT_NS_MAX     20000
#define DEBT_SLICES     10 // what a slice that was interrupted is made to pay at most

void worker_upkeep_open(struct worker *w)
{
	w->orders.pace = worker_pace_default();
	for (unsigned work = 0; work < WORKER_WORKS; work++)
		w->upkeep.purse[work].unit_ns = UNIT_NS_FIRST;
}

struct worker_pace worker_pace_default(void)
{
	struct worker_pace pace = {.slice_us = WORKER_SLICE_US};

	for (unsigned work = 0; work < WORKER_WORKS; work++)
		pace.us_a_ms[work] = WORKER_SHARE_US;
	return pace;
}

const char *worker_work_name(unsigned work)
{
	if (work == WORKER_WORK_SNAPSHOT)
		return "snapshot";
	return store_work_name((enum store_work)work);
}

static bool snapshot_step(struct worker *w, unsigned *units)
{
	if (base_likely(w->orders.snapshot == NULL))
		return false;
	*units = snapshot_tap_slice(w->orders.snapshot, w->store, *units);
	return *units == 0;
}

static bool work_step(struct worker *w, unsigned work, unsigned *units)
{
	if (work == WORKER_WORK_SNAPSHOT)
		return snapshot_step(w, units);
	return store_work_step(w->store, (enum store_work)work, units);
}

static void purse_learn(struct worker_purse *p, uint64_t spent_ns, unsigned done)
{
	uint64_t lately_ns = base_min_u64(spent_ns / done, p->unit_ns * LEARN_TIMES), unit_ns;

	if (done < LEARN_UNITS && lately_ns >= p->unit_ns)
		return;
	unit_ns = (p->unit_ns * 7 + lately_ns) / 8;
	p->unit_ns = base_min_u64(base_max_u64(unit_ns, 1), UNIT_NS_MAX);
}

// What had nothing left at the last time: for a few items, not timed and not paid for.
static void works_look(struct worker *w)
{
	for (unsigned work = 0; work < WORKER_WORKS; work++) {
		unsigned bit = 1u << work, units = LOOK_UNITS;

		if (!(w->upkeep.pending & bit) && w->orders.pace.us_a_ms[work] > 0 &&
			work_step(w, work, &units))
			w->upkeep.pending |= bit;
	}
}

// Piece by piece, until it has done `wanted` units, or its time is over: what a unit has lately
// taken says little where the next part of the shard is another. Returns the units done.
static unsigned slice_run(
	struct worker *w, unsigned work, unsigned wanted, uint64_t budget_ns, uint64_t *spent_ns)
{
	uint64_t began_ns = w->now_ns ? w->now_ns() : 0;
	unsigned done = 0, left = 0;
	bool more = true;

	*spent_ns = 0;
	while (more && left == 0 && done < wanted && *spent_ns < budget_ns) {
		unsigned piece = left = (unsigned)base_min_u64(wanted - done, PIECE_UNITS);

		more = work_step(w, work, &left);
		done += piece - left;
		*spent_ns =
			w->now_ns ? w->now_ns() - began_ns : done * w->upkeep.purse[work].unit_ns;
	}
	if (!more)
		w->upkeep.pending &= ~(1u << work);
	return done;
}

// Returns the nanoseconds that it took.
static uint64_t work_slice(struct worker *w, unsigned work, uint64_t budget_ns)
{
	struct worker_purse *p = &w->upkeep.purse[work];
	uint64_t wanted = base_min_u64(budget_ns / p->unit_ns + 1, SLICE_UNITS_MAX), spent_ns;
	unsigned done = slice_run(w, work, (unsigned)wanted, budget_ns, &spent_ns);

	if (w->now_ns) {
		if (spent_ns > w->times->work_ns[work].max)
			w->times->longest_units[work] = done;
		base_hist_add(&w->times->work_ns[work], spent_ns);
		if (done > 0)
			purse_learn(p, spent_ns, done);
	}
	p->credit_ns -= (int64_t)spent_ns;
	if (work == STORE_WORK_EXPIRE)
		store_expire_spent(w->store, spent_ns);
	w->n.upkeep_slices[work]++;
	w->n.upkeep_ns[work] += spent_ns;
	return spent_ns;
}

// What has passed since the last turn, at the ordered shares. us * (us a ms) are ns.
static void purses_fill(struct worker *w)
{
	const struct worker_pace *pace = &w->orders.pace;
	int64_t most_ns = (int64_t)pace->slice_us * 1000;
	uint64_t passed_us = base_min_u64(w->now.mono_us - w->upkeep.filled_us, 1000000);

	for (unsigned work = 0; work < WORKER_WORKS; work++) {
		int64_t *credit_ns = &w->upkeep.purse[work].credit_ns;

		if (*credit_ns < -most_ns * DEBT_SLICES)
			*credit_ns = -most_ns * DEBT_SLICES;
		*credit_ns += (int64_t)(passed_us * pace->us_a_ms[work]);
		if (*credit_ns > most_ns)
			*credit_ns = most_ns;
	}
}

// Whoever comes first may take the turn's slice alone: they take turns at that.
static unsigned works_run(struct worker *w)
{
	uint64_t left_ns = (uint64_t)w->orders.pace.slice_us * 1000;
	unsigned ran = 0;

	for (unsigned i = 0; i < WORKER_WORKS; i++) {
		unsigned work = (w->upkeep.first + i) % WORKER_WORKS;
		int64_t credit_ns = w->upkeep.purse[work].credit_ns;

		if (!(w->upkeep.pending & 1u << work) || credit_ns < SLICE_MIN_NS ||
			left_ns < SLICE_MIN_NS)
			continue;
		left_ns -= base_min_u64(
			left_ns, work_slice(w, work, base_min_u64((uint64_t)credit_ns, left_ns)));
		w->upkeep.ran |= 1u << work;
		ran++;
	}
	w->upkeep.first = (w->upkeep.first + 1) % WORKER_WORKS;
	return ran;
}

unsigned worker_upkeep_turn(struct worker *w, bool idle)
{
	unsigned ran = 0;

	store_idle_note(w->store, idle);
	w->upkeep.ran = 0;
	if (w->upkeep.pending) {
		purses_fill(w);
		ran = works_run(w);
	}
	w->upkeep.filled_us = w->now.mono_us;
	works_look(w);
	if (worker_memory_turn(w)) {
		w->upkeep.ran |= WORKER_UPKEEP_MEMORY;
		ran++;
	}
	return ran;
}
