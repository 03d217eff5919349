// SPDX-License-Identifier: BSD-3-Clause
// The deadline index: what is due goes by itself, in steps, and costs nothing while nothing is.
#include "store_test.h"

static void set_for(struct shard *t, uint64_t number, uint64_t seconds)
{
	char buf[32];

	shard_key_number(buf, number);
	assert_non_null(
		shard_set_for(t, buf, NULL, 20, seconds ? (uint32_t)(t->now.wall_s + seconds) : 0));
}

static void steps_until_done(struct shard *t)
{
	for (unsigned i = 0; store_step(t->s, 64); i++)
		assert_true(i < 1000000);
}

static void test_what_is_due_goes_unasked(void **state)
{
	uint64_t n = 100000;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; i < n; i++)
		set_for(&t, i, i % 2 ? 0 : 10 + i % 100);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->deadlines, n / 2);
	assert_int_equal(shard_n(&t)->items, n);
	shard_sleep(&t, 59);
	steps_until_done(&t);
	// deadlines of 10, 12 ... 108 seconds: half of them have passed at 59
	assert_int_equal(shard_n(&t)->expired_active, n / 4);
	assert_int_equal(shard_n(&t)->items, n - n / 4);
	shard_sleep(&t, 59);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->items, n / 2);
	assert_int_equal(shard_n(&t)->deadlines, 0);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(shard_find_number(&t, i) != NULL, i % 2);
	shard_close(&t);
}

static void test_a_step_is_bounded(void **state)
{
	uint64_t most = 0;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; i < 50000; i++)
		set_for(&t, i, 10);
	shard_sleep(&t, 10);
	for (bool more = true; more;) {
		uint64_t before = shard_n(&t)->items;

		more = store_step(t.s, 64);
		most = base_max_u64(most, before - shard_n(&t)->items);
	}
	assert_int_equal(shard_n(&t)->items, 0);
	assert_in_range(most, 1, 64 + 56); // a bucket is finished once begun
	shard_close(&t);
}

static void test_a_deadline_that_moves_is_followed(void **state)
{
	struct store_item *it;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	it = shard_set_for(&t, "later", "x", 1, (uint32_t)t.now.wall_s + 10);
	store_deadline_set(t.s, it, (uint32_t)t.now.wall_s + 100);
	it = shard_set_for(&t, "sooner", "x", 1, (uint32_t)t.now.wall_s + 100);
	store_deadline_set(t.s, it, (uint32_t)t.now.wall_s + 10);
	it = shard_set_for(&t, "never", "x", 1, (uint32_t)t.now.wall_s + 10);
	store_deadline_set(t.s, it, 0);
	it = shard_set_for(&t, "at last", "x", 1, 0);
	store_deadline_set(t.s, it, (uint32_t)t.now.wall_s + 20);
	shard_sleep(&t, 10);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->items, 3);
	assert_null(shard_find(&t, "sooner"));
	shard_sleep(&t, 10);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->items, 2);
	assert_null(shard_find(&t, "at last"));
	shard_sleep(&t, 80);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->items, 1);
	assert_non_null(shard_find(&t, "never"));
	shard_close(&t);
}

// A reader's reference keeps the bytes, not the item.
static void test_what_is_held_goes_as_well(void **state)
{
	struct store_item *it;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	it = shard_set_for(&t, "key", "value", 5, (uint32_t)t.now.wall_s + 10);
	store_ref(t.s, it);
	shard_sleep(&t, 10);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->items, 0);
	assert_true(shard_n(&t)->pinned_bytes > 0);
	assert_value(it, "value");
	store_unref(t.s, it);
	shard_close(&t);
}

static void test_the_index_of_deadlines_takes_under_8_bytes_a_key(void **state)
{
	uint64_t n = 1000000, without, with;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; i < n; i++)
		set_for(&t, i, 0);
	steps_until_done(&t); // growth that is due
	without = mem_used_class(t.mem, MEM_INDEX);
	for (uint64_t i = 0; i < n; i++)
		set_for(&t, i, 1000);
	with = mem_used_class(t.mem, MEM_INDEX);
	print_message("deadlines take %.2f bytes a key\n", (double)(with - without) / (double)n);
	assert_true(with - without < n * 8);
	for (uint64_t i = 0; i < n; i++)
		set_for(&t, i, 0);
	assert_int_equal(mem_used_class(t.mem, MEM_INDEX), without);
	shard_close(&t);
}

static void test_flush_and_narrowing_take_deadlines_along(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; i < 100000; i++)
		set_for(&t, i, 100);
	for (uint64_t i = 0; i < 100000; i++) {
		char buf[32];

		if (i % 100)
			store_delete(t.s, shard_find_number(&t, i), shard_key_number(buf, i).hash);
	}
	steps_until_done(&t); // the index narrows
	assert_true(shard_n(&t)->merges > 1000);
	assert_int_equal(shard_n(&t)->deadlines, 1000);
	shard_sleep(&t, 100);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->items, 0);
	for (uint64_t i = 0; i < 100000; i++)
		set_for(&t, i, 100);
	store_flush(t.s, 0);
	for (uint64_t i = 0; i < 1000; i++)
		set_for(&t, i, 200);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->deadlines, 1000);
	shard_close(&t);
}

static bool fail_all(void *arg)
{
	return *(const bool *)arg;
}

// Without memory for its entry an item is found when it is read.
static void test_no_memory_for_an_entry(void **state)
{
	struct store_item *it;
	bool fail = true;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	it = shard_set(&t, "key", "value");
	mem_fault_set(t.mem, fail_all, &fail);
	store_deadline_set(t.s, it, (uint32_t)t.now.wall_s + 10);
	assert_int_equal(shard_n(&t)->deadlines_missed, 1);
	fail = false;
	shard_sleep(&t, 10);
	steps_until_done(&t);
	assert_int_equal(shard_n(&t)->items, 1);
	assert_null(shard_find(&t, "key"));
	assert_int_equal(shard_n(&t)->items, 0);
	mem_fault_set(t.mem, NULL, NULL);
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_due_goes_unasked),
		cmocka_unit_test(test_a_step_is_bounded),
		cmocka_unit_test(test_a_deadline_that_moves_is_followed),
		cmocka_unit_test(test_what_is_held_goes_as_well),
		cmocka_unit_test(test_the_index_of_deadlines_takes_under_8_bytes_a_key),
		cmocka_unit_test(test_flush_and_narrowing_take_deadlines_along),
		cmocka_unit_test(test_no_memory_for_an_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
