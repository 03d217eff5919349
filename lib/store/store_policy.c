// SPDX-License-Identifier: BSD-3-Clause
// Policies: what each writes into an item's access field, and how it ranks items by it.
//
//	clock   | tick of the last access              24 |
//	LFU     | minute of the last decay   16 | counter 8 |
//	FIFO    | main 1 | frequency 2 | tick of insertion 21 |
#include <errno.h>

#include "store/store_internal.h"

#define TENACITY_MOST   100
#define TENACITY_LINEAR 10 // up to here 50 us for each
#define LFU_INIT        5  // counter of a new key
#define LFU_MAX         255
#define COLD_WEIGHT     64 // evictions over which their coldness is smoothed
#define MINUTE_US       60000000
#define ROOT_STEPS      40 // of Newton's: enough from wherever it starts

#define CLOCK(...) \
	{ \
		.field = STORE_FIELD_CLOCK, __VA_ARGS__ \
	}
#define LFU(...) \
	{ \
		.field = STORE_FIELD_LFU, .evicts = true, __VA_ARGS__ \
	}
#define FIFO(...) \
	{ \
		.field = STORE_FIELD_FIFO, .evicts = true, .queues = true, __VA_ARGS__ \
	}
static const struct store_policy_traits traits[STORE_POLICIES] = {
	[STORE_NOEVICTION] = CLOCK(.name = "noeviction"),
	[STORE_ALLKEYS_LRU] = CLOCK(.name = "allkeys-lru", .evicts = true),
	[STORE_ALLKEYS_LFU] = LFU(.name = "allkeys-lfu"),
	[STORE_ALLKEYS_RANDOM] = CLOCK(.name = "allkeys-random", .evicts = true, .random = true),
	[STORE_VOLATILE_LRU] = CLOCK(.name = "volatile-lru", .evicts = true, .is_volatile = true),
	[STORE_VOLATILE_LFU] = LFU(.name = "volatile-lfu", .is_volatile = true),
	[STORE_VOLATILE_RANDOM] = CLOCK(.name = "volatile-random", .evicts = true,
		.is_volatile = true, .random = true),
	[STORE_VOLATILE_TTL] = CLOCK(.name = "volatile-ttl", .evicts = true, .is_volatile = true,
		.by_deadline = true),
	[STORE_ALLKEYS_S3FIFO] = FIFO(.name = "allkeys-s3fifo"),
	[STORE_VOLATILE_S3FIFO] = FIFO(.name = "volatile-s3fifo", .is_volatile = true),
	[STORE_ALLKEYS_S3FIFO_SIZE] = FIFO(.name = "allkeys-s3fifo-size", .by_size = true),
};

int store_policy_of(const char *name)
{
	for (int i = 0; i < STORE_POLICIES; i++)
		if (strcmp(traits[i].name, name) == 0)
			return i;
	return -EINVAL;
}

const char *store_policy_name(unsigned policy)
{
	return policy < STORE_POLICIES ? traits[policy].name : NULL;
}

// ---- settings -----------------------------------------------------------------------------------

struct store_settings store_settings_default(void)
{
	return (struct store_settings){
		.policy = STORE_ALLKEYS_LRU,
		.samples = 5,
		.tenacity = 10,
		.expire_effort = 1,
		.lazyfree = STORE_LAZY_ALL,
		.lazyfree_idle_percent = 50,
		.lfu_log_factor = 10,
		.lfu_decay_min = 1,
		.expire_index = 1,
		.hz = 10,
	};
}

struct store_settings store_settings_get(const struct store *s)
{
	return s->set;
}

// Redis' time for one command. A turn reads the clock once, so that it becomes a number of
// evictions: one a microsecond, which is about what one takes.
static uint64_t tenacity_evictions(unsigned tenacity)
{
	uint64_t us = 50 * base_min_u64(tenacity, TENACITY_LINEAR);

	if (tenacity == TENACITY_MOST)
		return UINT32_MAX;
	for (unsigned t = TENACITY_LINEAR; t < tenacity; t++)
		us += us * 15 / 100;
	return us;
}

int store_policy_apply(struct store *s, const struct store_settings *set)
{
	if (set->policy >= STORE_POLICIES || set->samples == 0 ||
		set->samples > STORE_SAMPLES_MAX || set->tenacity > TENACITY_MOST ||
		set->expire_effort == 0 || set->expire_effort > STORE_EFFORT_MOST ||
		set->expire_index > 1 || set->hz == 0 || set->hz > STORE_HZ_MOST ||
		set->lazyfree > STORE_LAZY_ALL || set->lazyfree_idle_percent > 100)
		return -EINVAL;
	if (s->traits != &traits[set->policy]) {
		store_pool_clear(&s->pool);
		s->cold = 0;
		s->gap_us = 0;
		s->cold_us = s->evicted_us = s->now.mono_us;
		s->clock.sweep_bucket = 0;
		// One that is under way from an earlier switch goes on.
		s->clock.sweep_now |= s->traits && s->traits->field != traits[set->policy].field;
	}
	s->set = *set;
	s->set.lazyfree |= STORE_LAZY_RELEASE;
	s->traits = &traits[set->policy];
	s->excess_max = tenacity_evictions(set->tenacity);
	store_due_mode(s);
	return 0;
}

// ---- the field ----------------------------------------------------------------------------------

static inline uint32_t clock_now(const struct store *s)
{
	return (uint32_t)s->clock.ticks & STORE_TICK_MASK;
}

static inline uint32_t clock_age(const struct store *s, uint32_t access)
{
	return (clock_now(s) - access) & STORE_TICK_MASK;
}

static inline uint32_t lfu_new(const struct store *s)
{
	return (uint32_t)s->minute << 8 | LFU_INIT;
}

// The counter less what the minutes since its last decay take.
static uint32_t lfu_counter(const struct store *s, uint32_t access)
{
	uint32_t counter = access & LFU_MAX;
	uint32_t passed = (uint16_t)(s->minute - (access >> 8));
	uint32_t steps = s->set.lfu_decay_min ? passed / s->set.lfu_decay_min : 0;

	return steps < counter ? counter - steps : 0;
}

static uint32_t lfu_touched(struct store *s, uint32_t access)
{
	uint32_t counter = lfu_counter(s, access);
	uint64_t above = counter > LFU_INIT ? counter - LFU_INIT : 0;

	if (counter < LFU_MAX && base_rng_below(&s->rng, above * s->set.lfu_log_factor + 1) == 0)
		counter++;
	return (uint32_t)s->minute << 8 | counter;
}

static inline void field_set(struct store_item *it, enum store_field field, uint32_t access)
{
	it->access_key_len = access << 8 | store_item_key_len(it);
	it->bits = (uint16_t)((it->bits & ~STORE_ITEM_FIELD) | field << STORE_FIELD_SHIFT);
}

// ---- S3-FIFO's ----------------------------------------------------------------------------------

static inline uint32_t fifo_age(const struct store *s, uint32_t access)
{
	return ((uint32_t)s->clock.ticks - access) & STORE_FIFO_STAMP;
}

static inline uint32_t fifo_touched(uint32_t access)
{
	return (~access & STORE_FIFO_FREQ * 3) ? access + STORE_FIFO_FREQ : access;
}

unsigned store_access_freq(const struct store_item *it)
{
	return store_item_access(it) / STORE_FIFO_FREQ & 3;
}

void store_access_main(struct store *s, struct store_item *it)
{
	uint32_t freq = store_access_freq(it);

	store_small_leave(s, it);
	freq = store_item_small(it) || freq == 0 ? 0 : freq - 1;
	field_set(it, STORE_FIELD_FIFO,
		STORE_FIFO_MAIN | freq * STORE_FIFO_FREQ | (clock_now(s) & STORE_FIFO_STAMP));
}

static uint32_t fifo_begin(struct store *s, const struct store_item *it, uint64_t hash)
{
	uint32_t stamp = clock_now(s) & STORE_FIFO_STAMP;

	return store_s3fifo_enter(s, it, hash, stamp) ? stamp : STORE_FIFO_MAIN | stamp;
}

// ---- all kinds ----------------------------------------------------------------------------------

// Age in ticks; 0 where the field does not tell.
static uint32_t access_age(const struct store *s, const struct store_item *it)
{
	if (store_item_field(it) == STORE_FIELD_CLOCK)
		return clock_age(s, store_item_access(it));
	return store_item_field(it) == STORE_FIELD_FIFO ? fifo_age(s, store_item_access(it)) : 0;
}

// The order by age stays between the clock and the queues; LFU starts anew.
void store_access_turn(struct store *s, struct store_item *it)
{
	enum store_field to = s->traits->field;
	uint32_t age = access_age(s, it), tick;

	if (it->bits & STORE_ITEM_LINKED)
		store_small_leave(s, it);
	if (to == STORE_FIELD_FIFO) {
		tick = (uint32_t)s->clock.ticks - (uint32_t)base_min_u64(age, STORE_FIFO_AGE_MAX);
		field_set(it, to, STORE_FIFO_MAIN | (tick & STORE_FIFO_STAMP));
	} else {
		tick = ((uint32_t)s->clock.ticks - age) & STORE_TICK_MASK;
		field_set(it, to, to == STORE_FIELD_LFU ? lfu_new(s) : tick);
	}
}

static inline uint32_t access_touched(struct store *s, const struct store_item *it)
{
	if (s->traits->field == STORE_FIELD_LFU)
		return lfu_touched(s, store_item_access(it));
	if (s->traits->field == STORE_FIELD_FIFO)
		return fifo_touched(store_item_access(it));
	return clock_now(s);
}

// A line that is already as wanted is not written.
void store_touch_access(struct store *s, struct store_item *it)
{
	uint32_t access;

	store_clock_count(s);
	store_access_convert(s, it);
	access = access_touched(s, it) << 8 | store_item_key_len(it);
	if (it->access_key_len != access)
		it->access_key_len = access;
	if (!(it->bits & STORE_ITEM_FETCHED))
		it->bits |= STORE_ITEM_FETCHED;
}

void store_access_begin(
	struct store *s, struct store_item *it, const struct store_item *old, uint64_t hash)
{
	enum store_field field = s->traits->field;

	store_clock_count(s);
	if (old && store_item_field(old) == field) // the key's past goes on, and this is an access
		field_set(it, field, access_touched(s, old));
	else if (field == STORE_FIELD_FIFO)
		field_set(it, field, fifo_begin(s, it, hash));
	else
		field_set(it, field, field == STORE_FIELD_LFU ? lfu_new(s) : clock_now(s));
	if (store_item_small(it)) {
		s->n.small_items++;
		s->n.small_bytes += store_item_usable(s, it);
	}
}

uint64_t store_item_idle_s(const struct store *s, const struct store_item *it)
{
	uint64_t age;

	if (store_item_field(it) == STORE_FIELD_LFU)
		return (uint64_t)(uint16_t)(s->minute - (store_item_access(it) >> 8)) * 60;
	age = base_min_u64(access_age(s, it), s->clock.ticks);
	return store_clock_idle_s(s, s->clock.ticks - age);
}

// ---- ranks --------------------------------------------------------------------------------------

// The time of the last access rather than the idle time: candidates of a minute ago and of now rank
// by the same measure.
uint64_t store_item_score(const struct store *s, const struct store_item *it)
{
	base_assert(store_item_field(it) == s->traits->field);
	if (s->traits->by_deadline)
		return UINT64_MAX - it->deadline_s;
	if (s->traits->field == STORE_FIELD_LFU)
		return LFU_MAX - lfu_counter(s, store_item_access(it));
	if (s->traits->by_size)
		return (access_age(s, it) + UINT64_C(1)) * store_item_usable(s, it);
	return UINT64_MAX - (s->clock.ticks - access_age(s, it));
}

void store_cold_note(struct store *s, const struct store_item *it)
{
	double cold;

	if (s->traits->by_deadline)
		return;
	if (s->traits->field == STORE_FIELD_LFU)
		cold = LFU_MAX + 1 - lfu_counter(s, store_item_access(it));
	else
		cold = access_age(s, it) + 1;
	s->cold = s->cold > 0 ? s->cold + (cold - s->cold) / COLD_WEIGHT : cold;
	s->cold_us = s->now.mono_us;
}

static double geometric_mean(double a, double b)
{
	double x = (a + b) / 2;

	for (unsigned i = 0; i < ROOT_STEPS; i++)
		x = (x + a * b / x) / 2;
	return x;
}

// What would have gone next grows older while nothing goes. How long it takes to go through main
// hardly depends on the shard's size, so that bytes would wander from shard to shard by chance;
// with the time that evicting all of the shard would take it does.
uint64_t store_cold(const struct store *s)
{
	uint64_t since_us = s->now.mono_us - s->cold_us;
	double age_us;

	if (!s->traits->evicts || s->traits->random || s->traits->by_deadline || s->n.items == 0)
		return 0;
	if (s->traits->field == STORE_FIELD_LFU) {
		if (s->cold == 0 || s->set.lfu_decay_min == 0)
			return (uint64_t)s->cold;
		return base_min_u64((uint64_t)s->cold + since_us / MINUTE_US / s->set.lfu_decay_min,
			LFU_MAX + 1);
	}
	age_us = s->cold * s->clock.tick_us + (double)since_us;
	if (!s->traits->queues)
		return (uint64_t)age_us;
	return (uint64_t)geometric_mean(age_us + 1, s->gap_us * (double)s->n.items + 1);
}
