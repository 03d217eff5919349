// SPDX-License-Identifier: BSD-3-Clause
// Expiry without the deadline index: cycles of sampling, their time, and the index made and given
// up while the shard serves.
#include "store/store_internal.h"
#include "store_test.h"

#define SLICE_US 50
#define UNIT_NS  100

static void set_for(struct shard *t, uint64_t number, uint64_t seconds)
{
	char buf[32];

	shard_key_number(buf, number);
	assert_non_null(
		shard_set_for(t, buf, NULL, 20, seconds ? (uint32_t)(t->now.wall_s + seconds) : 0));
}

static void expire_index(struct shard *t, bool yes)
{
	struct store_settings set = store_settings_get(t->s);

	set.expire_index = yes;
	assert_int_equal(store_settings_set(t->s, &set), 0);
}

static void effort(struct shard *t, unsigned effort)
{
	struct store_settings set = store_settings_get(t->s);

	set.expire_effort = (uint8_t)effort;
	assert_int_equal(store_settings_set(t->s, &set), 0);
}

// One slice of at most SLICE_US at UNIT_NS a unit, whose time is told. Returns the units used.
static unsigned slice(struct shard *t)
{
	const unsigned units = SLICE_US * 1000 / UNIT_NS;
	unsigned used = units - store_expire_step(t->s, units);

	store_expire_spent(t->s, used * (uint64_t)UNIT_NS);
	return used;
}

// Slices for so many milliseconds of turns that take as long as the slice and as much again.
// Returns microseconds spent in them.
static uint64_t turns(struct shard *t, uint64_t ms)
{
	uint64_t end_us = t->now.mono_us + ms * 1000, spent_ns = 0;

	while (t->now.mono_us < end_us) {
		unsigned used = slice(t);

		spent_ns += used * (uint64_t)UNIT_NS;
		t->now.mono_us += 2 * (used * UNIT_NS / 1000) + 10;
		store_turn(t->s, t->now);
	}
	return spent_ns / 1000;
}

static void shard_open_sampled(struct shard *t)
{
	shard_open(t, (struct store_options){0});
	expire_index(t, false);
}

static void test_a_storm_is_sampled_away(void **state)
{
	uint64_t n = 100000;
	struct shard t;

	shard_open_sampled(&t);
	for (uint64_t i = 0; i < n; i++)
		set_for(&t, i, i % 2 ? 10 : 1000);
	assert_int_equal(shard_n(&t)->deadlines, n);
	shard_sleep(&t, 10);
	turns(&t, 1000);
	// of those with a deadline at most a tenth and what chance makes of it may be past
	assert_in_range(shard_n(&t)->items, n / 2, n / 2 * 118 / 100);
	assert_int_equal(shard_n(&t)->deadlines, shard_n(&t)->items);
	effort(&t, 10);
	turns(&t, 5000);
	assert_in_range(shard_n(&t)->items, n / 2, n / 2 * 103 / 100);
	for (uint64_t i = 0; i < n; i += 2)
		assert_non_null(shard_find_number(&t, i));
	shard_close(&t);
}

static void test_a_cycle_ends_with_its_time(void **state)
{
	uint64_t spent_us, calls = 0;
	struct shard t;

	shard_open_sampled(&t);
	turns(&t, 200);
	for (uint64_t i = 0; i < 500000; i++)
		set_for(&t, i, 1);
	shard_sleep(&t, 1);
	// the first one that begins is a slow one, of 25,000 us
	for (spent_us = 0; shard_n(&t)->expire_capped == 0; calls++)
		spent_us += slice(&t) * UNIT_NS / 1000;
	assert_in_range(spent_us, 25000, 25000 + SLICE_US + 20);
	assert_in_range(calls, 25000 / SLICE_US - 20, 25000 / SLICE_US + 1);
	// what comes next is a fast one, at once
	for (spent_us = 0; shard_n(&t)->expire_capped == 1;)
		spent_us += slice(&t) * UNIT_NS / 1000;
	assert_in_range(spent_us, 1000, 1000 + SLICE_US + 20);
	assert_int_equal(slice(&t), 0); // and then none before two such times have passed
	t.now.mono_us += 1999;
	store_turn(t.s, t.now);
	assert_int_equal(slice(&t), 0);
	t.now.mono_us += 1;
	store_turn(t.s, t.now);
	assert_true(slice(&t) > 0);
	assert_true(shard_n(&t)->expire_ns >= 26000000);
	shard_close(&t);
}

// Ten loops a second, of two buckets or three.
static void test_with_nothing_past_little_is_sampled(void **state)
{
	struct shard t;

	shard_open_sampled(&t);
	for (uint64_t i = 0; i < 200000; i++)
		set_for(&t, i, 1000);
	assert_in_range(turns(&t, 1000), 1, 200);
	assert_int_equal(shard_n(&t)->expire_capped, 0);
	shard_close(&t);
}

// Where few have a deadline, lines are looked into and items are not.
static void test_rare_deadlines_are_found(void **state)
{
	struct shard t;

	shard_open_sampled(&t);
	for (uint64_t i = 0; i < 200000; i++)
		set_for(&t, i, i % 1000 ? 0 : 5);
	shard_sleep(&t, 5);
	turns(&t, 1000);
	assert_int_equal(shard_n(&t)->deadlines, 0);
	assert_int_equal(shard_n(&t)->items, 200000 - 200);
	assert_int_equal(shard_n(&t)->expired, 200);
	assert_int_equal(turns(&t, 1000), 0);
	shard_close(&t);
}

static uint64_t mean_ttl_ms(const struct shard *t)
{
	return shard_n(t)->deadlines_ttl_ms / shard_n(t)->deadlines;
}

static void ttl_check(bool index)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	expire_index(&t, index);
	for (uint64_t i = 0; i < 100000; i++)
		set_for(&t, i, i % 3 ? 500 + i % 1001 : 0);
	turns(&t, 5000);
	assert_in_range(mean_ttl_ms(&t), 950000, 1050000);
	assert_int_equal(shard_n(&t)->deadlines_stale_milli, 0);
	for (uint64_t i = 0; i < 100000; i++)
		set_for(&t, i, 0);
	turns(&t, 200);
	assert_int_equal(shard_n(&t)->deadlines_ttl_ms, 0);
	shard_close(&t);
}

static void test_the_mean_time_to_live_is_known_in_both_modes(void **state)
{
	ttl_check(true);
	ttl_check(false);
}

static void test_the_stale_share_is_estimated(void **state)
{
	uint64_t stale_milli;
	struct shard t;

	shard_open_sampled(&t);
	turns(&t, 200);
	for (uint64_t i = 0; i < 1000000; i++)
		set_for(&t, i, i % 2 ? 1 : 1000);
	shard_sleep(&t, 1);
	while (shard_n(&t)->expire_capped == 0)
		slice(&t);
	// half of what one cycle met was past: a twentieth of a half
	stale_milli = shard_n(&t)->deadlines_stale_milli / shard_n(&t)->deadlines;
	assert_in_range(stale_milli, 23, 27);
	shard_close(&t);
}

// ---- the index, live ----------------------------------------------------------------------------

static uint64_t index_bytes(const struct shard *t)
{
	return mem_used_class(t->mem, MEM_INDEX);
}

static void test_without_the_index_deadlines_take_no_memory(void **state)
{
	uint64_t without;
	struct shard t;

	shard_open_sampled(&t);
	for (uint64_t i = 0; i < 100000; i++)
		set_for(&t, i, 0);
	without = index_bytes(&t);
	for (uint64_t i = 0; i < 100000; i++)
		set_for(&t, i, 1000);
	assert_int_equal(index_bytes(&t), without);
	assert_int_equal(shard_n(&t)->deadlines, 100000);
	shard_close(&t);
}

static void mixed_fill(struct shard *t, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		set_for(t, i, i % 4 == 0 ? 0 : i % 4 == 1 ? 50 : 1000);
}

// Slices of the switch alone, with sets between them that make the index grow.
static unsigned settle_with_traffic(struct shard *t, uint64_t first)
{
	unsigned slices = 0;

	for (; t->s->due_settling; slices++) {
		unsigned left = store_expire_step(t->s, 64);

		assert_in_range(left, 0, 64);
		mixed_fill(t, first, 4);
		first += 4;
		assert_in_range(slices, 0, 100000);
	}
	return slices;
}

static void test_the_index_is_given_up_and_made_in_slices(void **state)
{
	uint64_t n = 100000, with, items;
	unsigned slices;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	mixed_fill(&t, 0, n);
	with = index_bytes(&t);
	expire_index(&t, false);
	assert_int_equal(index_bytes(&t), with); // nothing at once
	slices = settle_with_traffic(&t, n);
	assert_true(slices > 1000);
	assert_int_equal(t.s->due.items, 0);
	assert_null(t.s->due.root);
	expire_index(&t, true);
	n += slices * 4;
	slices = settle_with_traffic(&t, n);
	n += slices * 4;
	assert_true(slices > 1000);
	items = shard_n(&t)->items;
	assert_int_equal(items, n);
	assert_int_equal(t.s->due.items, n - n / 4);
	assert_int_equal(shard_n(&t)->deadlines, n - n / 4);
	shard_sleep(&t, 50);
	while (store_expire_step(t.s, 64) == 0)
		;
	assert_int_equal(shard_n(&t)->items, n - n / 4);
	shard_sleep(&t, 1000);
	while (store_expire_step(t.s, 64) == 0)
		;
	assert_int_equal(shard_n(&t)->items, n / 4);
	assert_int_equal(shard_n(&t)->deadlines, 0);
	shard_close(&t);
}

// Whatever the switch has come to: what is due goes, and what narrows the index is followed.
static void test_a_switch_meets_flushes_expiry_and_narrowing(void **state)
{
	uint64_t n = 100000;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (unsigned round = 0; round < 4; round++) {
		expire_index(&t, round % 2);
		mixed_fill(&t, 0, n);
		expire_index(&t, !(round % 2));
		for (unsigned i = 0; i < 500; i++)
			store_expire_step(t.s, 64);
		assert_true(t.s->due_settling);
		for (uint64_t i = 0; i < n; i++) {
			char buf[32];

			if (i % 100 > 3)
				store_delete(t.s, shard_find_number(&t, i),
					shard_key_number(buf, i).hash);
		}
		while (store_step(t.s, 64)) // narrows
			;
		assert_false(t.s->due_settling);
		assert_int_equal(shard_n(&t)->deadlines, n / 100 * 3);
		shard_sleep(&t, 50);
		while (store_step(t.s, 1000))
			;
		expire_index(&t, round % 2);
		while (store_step(t.s, 64))
			;
		for (unsigned i = 0; i < 20; i++) {
			shard_sleep(&t, 1);
			while (store_step(t.s, 1000))
				;
		}
		assert_in_range(shard_n(&t)->items, n / 100 * 3, n / 100 * 3 + n / 100);
		expire_index(&t, !(round % 2));
		store_flush(t.s, 0);
		assert_false(t.s->due_settling);
		while (store_step(t.s, 1000))
			;
		assert_int_equal(shard_n(&t)->deadlines, 0);
	}
	shard_close(&t);
}

// A volatile policy evicts what the index knows: it is kept for it, and made for it.
static void test_a_volatile_policy_keeps_the_index(void **state)
{
	struct store_settings set;
	struct shard t;

	shard_open(&t, (struct store_options){.limit_bytes = 4 << 20});
	expire_index(&t, false);
	for (uint64_t i = 0; i < 20000; i++)
		set_for(&t, i, i % 2 ? 1000 : 0);
	assert_int_equal(t.s->due.items, 0);
	set = store_settings_get(t.s);
	set.policy = STORE_VOLATILE_TTL;
	assert_int_equal(store_settings_set(t.s, &set), 0);
	store_limit_set(t.s, 1400 << 10); // at once, before any slice
	assert_true(shard_set_number(&t, 1000000, 1000));
	for (uint64_t i = 0; i < 2000; i++)
		assert_true(shard_set_number(&t, 1000001 + i, 100));
	while (store_step(t.s, 64))
		;
	assert_true(shard_n(&t)->evicted > 0);
	assert_int_equal(t.s->due.items, shard_n(&t)->deadlines);
	for (uint64_t i = 0; i < 20000; i += 2)
		assert_non_null(shard_find_number(&t, i));
	set.policy = STORE_ALLKEYS_LRU;
	assert_int_equal(store_settings_set(t.s, &set), 0);
	while (store_step(t.s, 64))
		;
	assert_int_equal(t.s->due.items, 0);
	shard_close(&t);
}

// Nothing due: a look does nothing at all.
static void test_with_nothing_due_a_look_costs_nothing(void **state)
{
	struct shard t;

	for (unsigned index = 0; index < 2; index++) {
		shard_open(&t, (struct store_options){0});
		expire_index(&t, index);
		for (uint64_t i = 0; i < 10000; i++)
			set_for(&t, i, 1000 + i % 7);
		turns(&t, 10);
		for (unsigned i = 0; i < 1000; i++)
			assert_int_equal(store_expire_step(t.s, 64), 64);
		assert_int_equal(
			t.s->due.min, index ? (uint32_t)t.now.wall_s + 1000 : STORE_DUE_NEVER);
		shard_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_storm_is_sampled_away),
		cmocka_unit_test(test_a_cycle_ends_with_its_time),
		cmocka_unit_test(test_with_nothing_past_little_is_sampled),
		cmocka_unit_test(test_rare_deadlines_are_found),
		cmocka_unit_test(test_the_mean_time_to_live_is_known_in_both_modes),
		cmocka_unit_test(test_the_stale_share_is_estimated),
		cmocka_unit_test(test_without_the_index_deadlines_take_no_memory),
		cmocka_unit_test(test_the_index_is_given_up_and_made_in_slices),
		cmocka_unit_test(test_a_switch_meets_flushes_expiry_and_narrowing),
		cmocka_unit_test(test_a_volatile_policy_keeps_the_index),
		cmocka_unit_test(test_with_nothing_due_a_look_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
