// SPDX-License-Identifier: BSD-3-Clause
// The clock of accesses. It counts requests, not time: a tick is as many accesses as a 1,024th of
// the items, so that it is as fine at millions of requests a second as at ten, and stands still
// when nothing happens. For who asks how long an item has been idle, the tick at which each of the
// last periods of 1, 16, 256 and 4,096 seconds began is kept.
#include "store/store_internal.h"

#define TICK_SHIFT   10 // accesses a tick: one, and items >> TICK_SHIFT
#define PERIOD_SHIFT 4  // a level's period is 16 of the one below

// Stamps are turned to at most this age by each pass of the sweep, and a pass takes a quarter of
// the range: none ever wraps.
#define AGE_MAX           0x800000u
#define SWEEP_SHIFT_CLOCK 22
#define SWEEP_SHIFT_FIFO  19

void store_clock_tick(struct store *s)
{
	s->clock.ticks++;
	s->clock.left = (uint32_t)(s->n.items >> TICK_SHIFT);
}

static void periods_begin(struct store_clock *c, uint64_t second)
{
	for (unsigned k = 0; k < STORE_CLOCK_LEVELS; k++) {
		uint64_t before = c->second >> (PERIOD_SHIFT * k);
		uint64_t now = second >> (PERIOD_SHIFT * k);

		if (now - before > STORE_CLOCK_PERIODS)
			before = now - STORE_CLOCK_PERIODS;
		while (before < now)
			c->start[k][++before % STORE_CLOCK_PERIODS] = c->ticks;
	}
	c->second = second;
}

// How long a tick takes at present. Time in which nothing happened does not count: after a night
// the first ticks would seem to take hours.
static void tick_measure(struct store_clock *c, uint64_t now_us)
{
	uint64_t ticks = c->ticks - c->turn_ticks;

	if (ticks > 0) {
		double us = (double)(now_us - c->turn_us) / (double)ticks;

		c->tick_us = c->tick_us > 0 ? c->tick_us * 0.75 + us * 0.25 : us;
	}
	c->turn_us = now_us;
	c->turn_ticks = c->ticks;
}

void store_clock_turn(struct store *s)
{
	struct store_clock *c = &s->clock;
	uint64_t second = s->now.mono_us / 1000000;

	s->minute = (uint16_t)(second / 60);
	if (base_likely(second == c->second))
		return;
	if (c->second == 0) {
		c->second = c->second_first = second;
		c->turn_us = s->now.mono_us;
		c->turn_ticks = c->ticks;
	}
	tick_measure(c, s->now.mono_us);
	if (c->moved) // what comes now must not look like what was
		store_clock_tick(s);
	c->moved = false;
	periods_begin(c, second);
}

// Of a level: the last period that began at or before the tick. False: it was before them all.
static bool period_find(const struct store_clock *c, unsigned k, uint64_t tick, uint64_t *period)
{
	uint64_t high = c->second >> (PERIOD_SHIFT * k);
	uint64_t low = high -
		base_min_u64(
			STORE_CLOCK_PERIODS - 1, high - (c->second_first >> (PERIOD_SHIFT * k)));
	const uint64_t *start = c->start[k];

	if (start[low % STORE_CLOCK_PERIODS] > tick)
		return false;
	while (low < high) {
		uint64_t mid = (low + high + 1) / 2;

		if (start[mid % STORE_CLOCK_PERIODS] <= tick)
			low = mid;
		else
			high = mid - 1;
	}
	*period = low;
	return true;
}

uint64_t store_clock_idle_s(const struct store *s, uint64_t tick)
{
	const struct store_clock *c = &s->clock;
	uint64_t period;

	for (unsigned k = 0; k < STORE_CLOCK_LEVELS; k++)
		if (period_find(c, k, tick, &period))
			return c->second -
				base_max_u64(period << (PERIOD_SHIFT * k), c->second_first);
	return c->second - c->second_first;
}

// ---- the sweep ----------------------------------------------------------------------------------

static void item_sweep(struct store *s, struct store_item *it)
{
	uint32_t now = (uint32_t)s->clock.ticks;

	uint32_t access;

	store_access_convert(s, it);
	access = store_item_access(it);
	switch (store_item_field(it)) {
	case STORE_FIELD_CLOCK:
		if (((now - access) & STORE_TICK_MASK) > AGE_MAX)
			access = now - AGE_MAX;
		break;
	case STORE_FIELD_FIFO: // the queue's entry knows the stamp of a small one
		if ((access & STORE_FIFO_MAIN) &&
			((now - access) & STORE_FIFO_STAMP) > STORE_FIFO_AGE_MAX)
			access = (access & ~STORE_FIFO_STAMP) |
				((now - STORE_FIFO_AGE_MAX) & STORE_FIFO_STAMP);
		break;
	case STORE_FIELD_LFU: // minutes wrap after 45 days, as Redis' do
		break;
	}
	it->access_key_len = access << 8 | store_item_key_len(it);
}

static void bucket_sweep(struct store *s, uint32_t bucket)
{
	struct store_bucket *b = store_index_bucket(&s->live, bucket);
	const uint64_t *slot;

	store_bucket_items_prefetch(b);
	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));)
		item_sweep(s, store_slot_item(*slot));
}

bool store_clock_sweep(struct store *s, unsigned *buckets_max)
{
	struct store_clock *c = &s->clock;
	unsigned shift = s->traits->queues ? SWEEP_SHIFT_FIFO : SWEEP_SHIFT_CLOCK;
	uint64_t goal = (uint64_t)s->live.buckets * (c->ticks - c->sweep_ticks) >> shift;

	if (c->sweep_now || goal > s->live.buckets)
		goal = s->live.buckets;
	for (; c->sweep_bucket<goal && * buckets_max> 0; --*buckets_max)
		bucket_sweep(s, c->sweep_bucket++);
	if (c->sweep_bucket < goal)
		return true;
	if (c->sweep_bucket < s->live.buckets)
		return false;
	c->sweep_bucket = 0;
	c->sweep_ticks = c->ticks;
	if (c->sweep_now && !s->traits->queues) {
		if (s->n.small_items > 0)
			return true; // merges took some to where the pass had been: once more
		store_fifo_close(s, &s->small);
		store_ghost_close(s, &s->ghost);
	}
	c->sweep_now = false;
	return false;
}
