// SPDX-License-Identifier: BSD-3-Clause
// Active expiry. Where the deadline index is kept it says which buckets hold what is due; else
// buckets are gone through in cycles, as Redis samples (store_cycle.c).
#include "store/store_internal.h"

struct met {             // of a bucket's items that have a deadline
	uint32_t min;    // the nearest, of those that stay
	unsigned looked; // lines and items
	uint32_t stay, expired;
	uint64_t ttl_sum_s; // of those that stay
};

static void bucket_due_prefetch(struct store_bucket *b)
{
	const uint64_t *slot;

	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));)
		base_prefetch(*slot & STORE_SLOT_DUE ? (const void *)store_slot_item(*slot) : b);
}

// The first of a bucket that is due, or NULL; then `met` is right about those that stay.
static uint64_t *bucket_due_find(const struct store *s, struct store_bucket *b, struct met *met)
{
	uint64_t *slot;

	met->min = STORE_DUE_NEVER;
	met->stay = 0;
	met->ttl_sum_s = 0;
	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));) {
		const struct store_item *it = store_slot_item(*slot);

		if (!(*slot & STORE_SLOT_DUE))
			continue;
		met->looked++;
		if (store_item_expired(s, it))
			return slot;
		met->stay++;
		met->ttl_sum_s += it->deadline_s - s->now.wall_s;
		met->min = it->deadline_s < met->min ? it->deadline_s : met->min;
	}
	return NULL;
}

// Expires what is due of a bucket and puts its minimum right. Each removal may move others of the
// bucket, so that it is looked through again.
static struct met bucket_expire(struct store *s, uint32_t bucket)
{
	struct store_bucket *b = store_index_bucket(&s->live, bucket);
	struct met met = {.looked = 2};
	uint64_t *slot;

	bucket_due_prefetch(b);
	while ((slot = bucket_due_find(s, b, &met))) {
		struct store_item *it = store_slot_item(*slot);

		store_bucket_clear(s, b, bucket, slot);
		store_item_expire(s, it);
		met.expired++;
	}
	store_due_min_set(&s->due, bucket, met.min);
	return met;
}

unsigned store_due_expire(struct store *s, unsigned units)
{
	uint32_t now_s = (uint32_t)s->now.wall_s, bucket;

	while (units > 0 && store_due_first(&s->due, now_s, &bucket))
		units -= base_min_u64(bucket_expire(s, bucket).looked, units);
	return units;
}

// ---- cycles -------------------------------------------------------------------------------------

// What is told of the deadlines: sums, so that those of several shards may be added up.
static void estimates_tell(struct store *s)
{
	const struct store_cycle *c = &s->cycle;

	s->n.deadlines_ttl_ms = (uint64_t)(c->ttl_ms * (double)s->n.deadlines);
	s->n.deadlines_stale_milli = (uint64_t)(c->stale * 1000 * (double)s->n.deadlines);
}

static void ttl_take(struct store_cycle *c)
{
	if (c->ttl_keys > 0)
		c->ttl_ms = store_cycle_ttl(
			c->ttl_ms, (double)c->ttl_sum_s * 1000 / (double)c->ttl_keys, c->ttl_loops);
	c->ttl_loops = c->ttl_keys = 0;
	c->ttl_sum_s = 0;
}

static void loop_begin(struct store_cycle *c)
{
	c->loop_buckets = c->loop_keys = c->loop_expired = 0;
}

static void cycle_end(struct store *s, const struct store_cycle_pace *pace, bool capped)
{
	struct store_cycle *c = &s->cycle;
	enum store_cycle_kind next;

	ttl_take(c);
	c->stale = store_cycle_stale(c->stale, c->all, c->expired);
	c->kind = STORE_CYCLE_NONE;
	c->capped = capped;
	c->look_us = store_cycle_next_us(c, pace, &next);
	s->n.expire_capped += capped;
	estimates_tell(s);
}

static void cycle_begin(struct store *s, const struct store_cycle_pace *pace)
{
	struct store_cycle *c = &s->cycle;
	uint64_t now_us = s->now.mono_us;

	c->look_us = store_cycle_next_us(c, pace, &c->kind);
	if (now_us < c->look_us) {
		c->kind = STORE_CYCLE_NONE;
		return;
	}
	if (now_us >= c->slow_next_us) {
		c->kind = STORE_CYCLE_SLOW;
		c->slow_next_us = now_us + pace->slow_between_us;
	} else {
		c->fast_began_us = now_us;
	}
	c->look_us = 0;
	c->spent_ns = 0;
	c->covered = 0;
	c->all = c->expired = 0;
	loop_begin(c);
}

// One bucket of a loop. Returns lines and items looked at.
static unsigned cycle_bucket(struct store *s)
{
	struct store_cycle *c = &s->cycle;
	struct met met;

	if (c->bucket >= s->live.buckets)
		c->bucket = 0;
	met = bucket_expire(s, c->bucket++);
	c->covered++;
	c->loop_buckets++;
	c->loop_keys += met.stay + met.expired;
	c->loop_expired += met.expired;
	c->ttl_keys += met.stay;
	c->ttl_sum_s += met.ttl_sum_s;
	return met.looked;
}

// After each bucket. A cycle that has seen them all has nothing to find any more.
static void loop_turn(struct store *s, const struct store_cycle_pace *pace)
{
	struct store_cycle *c = &s->cycle;
	uint64_t wanted = base_min_u64(pace->keys, s->n.deadlines);
	bool all = c->covered >= s->live.buckets, again;

	if (c->loop_keys < wanted && c->loop_buckets < pace->keys * STORE_CYCLE_SPARSE && !all)
		return;
	again = !all && store_cycle_again(pace, c->loop_keys, c->loop_expired);
	c->all += c->loop_keys;
	c->expired += c->loop_expired;
	loop_begin(c);
	if (++c->ttl_loops == STORE_CYCLE_TTL_MOST)
		ttl_take(c);
	if (!again)
		cycle_end(s, pace, false);
}

// The index finds what is due; what is told is estimated from a loop's keys.
static unsigned index_look(struct store *s, const struct store_cycle_pace *pace)
{
	struct store_cycle *c = &s->cycle;
	unsigned looked = 0;

	c->all = c->expired = 0;
	c->ttl_loops = 1;
	for (unsigned i = 0; i < pace->keys && c->all < pace->keys && s->due.items > 0; i++) {
		struct met met = bucket_expire(s, store_due_pick(&s->due, base_rng_next(&s->rng)));

		looked += met.looked;
		c->all += met.stay + met.expired;
		c->expired += met.expired;
		c->ttl_keys += met.stay;
		c->ttl_sum_s += met.ttl_sum_s;
	}
	c->slow_next_us = s->now.mono_us + pace->slow_between_us;
	cycle_end(s, pace, false);
	c->look_us = c->slow_next_us;
	return looked;
}

static unsigned cycle_step(struct store *s, unsigned units)
{
	struct store_cycle_pace pace = store_cycle_pace_of(s->set.expire_effort, s->set.hz);
	struct store_cycle *c = &s->cycle;

	if (s->n.deadlines == 0) {
		c->ttl_ms = c->stale = 0;
		c->all = c->expired = 0;
		c->slow_next_us = s->now.mono_us + pace.slow_between_us;
		cycle_end(s, &pace, false);
		return units;
	}
	if (s->due_keep && !s->due_settling)
		return units - (unsigned)base_min_u64(index_look(s, &pace), units);
	if (c->kind == STORE_CYCLE_NONE)
		cycle_begin(s, &pace);
	while (units > 0 && c->kind != STORE_CYCLE_NONE) {
		units -= (unsigned)base_min_u64(cycle_bucket(s), units);
		loop_turn(s, &pace);
	}
	return units;
}

void store_expire_spent(struct store *s, uint64_t ns)
{
	struct store_cycle_pace pace;
	struct store_cycle *c = &s->cycle;

	s->n.expire_ns += ns;
	if (c->kind == STORE_CYCLE_NONE)
		return;
	pace = store_cycle_pace_of(s->set.expire_effort, s->set.hz);
	c->spent_ns += ns;
	if (c->spent_ns < 1000 * (c->kind == STORE_CYCLE_SLOW ? pace.slow_us : pace.fast_us))
		return;
	c->all += c->loop_keys;
	c->expired += c->loop_expired;
	c->ttl_loops += c->loop_keys > 0;
	cycle_end(s, &pace, true);
}

unsigned store_expire_step(struct store *s, unsigned units)
{
	units = store_due_expire(s, units);
	if (units > 0 && base_unlikely(s->now.mono_us >= s->cycle.look_us))
		units = cycle_step(s, units);
	if (units > 0 && base_unlikely(s->due_settling))
		units = store_due_settle(s, units, false);
	return units;
}
