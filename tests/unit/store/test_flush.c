// SPDX-License-Identifier: BSD-3-Clause
#include "store_test.h"

static void set_many(struct shard *t, uint64_t from, uint64_t count)
{
	for (uint64_t i = from; i < from + count; i++)
		assert_true(shard_set_number(t, i, 20));
}

static uint64_t found_many(struct shard *t, uint64_t from, uint64_t count)
{
	uint64_t found = 0;

	for (uint64_t i = from; i < from + count; i++)
		found += shard_find_number(t, i) != NULL;
	return found;
}

static void test_a_flush_hides_all_at_once_and_nothing_later(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	set_many(&t, 0, 50000);
	store_flush(t.s, 0);
	assert_int_equal(shard_n(&t)->items, 0);
	assert_int_equal(shard_n(&t)->flushed, 50000);
	assert_int_equal(found_many(&t, 0, 50000), 0);
	set_many(&t, 25000, 50000); // in the same second
	assert_int_equal(found_many(&t, 0, 25000), 0);
	assert_int_equal(found_many(&t, 25000, 50000), 50000);
	while (store_step(t.s, 1000))
		;
	assert_int_equal(found_many(&t, 0, 75000), 50000);
	shard_close(&t);
}

static void test_memory_of_a_flush_comes_back_in_bounded_slices(void **state)
{
	struct shard t;
	uint64_t empty, before, slices = 0;

	shard_open(&t, (struct store_options){0});
	empty = shard_used(&t);
	set_many(&t, 0, 50000);
	before = shard_used(&t);
	store_flush(t.s, 0);
	assert_true(shard_used(&t) > before / 10 * 9); // not done in the flush itself
	for (bool more = true; more; slices++) {
		uint64_t was = shard_used(&t);

		more = store_step(t.s, 256);
		// 256 items and the rest of a bucket, of 64 bytes each; a segment
		assert_true(was - shard_used(&t) <= (256 + 70) * 64 + (64 << 10));
	}
	assert_true(slices >= 50000 / (256 + 70));
	assert_true(shard_used(&t) <= empty + 2 * 64); // spare lines
	shard_close(&t);
}

static void test_flushes_upon_flushes_before_the_first_is_reclaimed(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	set_many(&t, 0, 20000);
	for (uint64_t i = 0; i < 1000; i++) { // more than any small epoch could count
		store_flush(t.s, 0);
		assert_int_equal(found_many(&t, 0, 100), 0);
		set_many(&t, i % 100, 1);
		assert_int_equal(found_many(&t, 0, 100), 1);
	}
	assert_true(mem_used_class(t.mem, MEM_INDEX) < (1 << 20)); // no queue of old indexes
	store_flush(t.s, 0);
	while (store_step(t.s, 1000))
		;
	assert_int_equal(found_many(&t, 0, 20000), 0);
	assert_int_equal(mem_used_class(t.mem, MEM_ITEMS), 0);
	shard_close(&t);
}

static void test_a_delayed_flush_takes_what_is_stored_before_its_time(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	set_many(&t, 0, 100);
	store_flush(t.s, t.now.wall_s + 10);
	shard_sleep(&t, 9);
	assert_int_equal(found_many(&t, 0, 100), 100);
	set_many(&t, 100, 100); // after the order, before its time
	shard_sleep(&t, 1);
	assert_int_equal(found_many(&t, 0, 200), 0);
	set_many(&t, 200, 100); // in the very second
	shard_sleep(&t, 100);
	assert_int_equal(found_many(&t, 0, 300), 100);
	shard_close(&t);
}

static void test_there_is_one_pending_flush_and_the_last_order_counts(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	set_many(&t, 0, 10);
	store_flush(t.s, t.now.wall_s + 5);
	store_flush(t.s, t.now.wall_s + 20);
	shard_sleep(&t, 10);
	assert_int_equal(found_many(&t, 0, 10), 10);
	store_flush(t.s, 0); // at once; takes the pending one's place
	set_many(&t, 0, 10);
	shard_sleep(&t, 50);
	assert_int_equal(found_many(&t, 0, 10), 10);
	shard_close(&t);
}

static void test_readers_keep_flushed_values(void **state)
{
	struct shard t;
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	set_many(&t, 0, 10000);
	it = shard_set(&t, "held", "value");
	store_ref(t.s, it);
	store_flush(t.s, 0);
	assert_value(it, "value");
	while (store_step(t.s, 1000))
		;
	assert_value(it, "value");
	assert_true(shard_n(&t)->pinned_bytes > 0);
	store_unref(t.s, it);
	assert_int_equal(mem_used_class(t.mem, MEM_ITEMS), 0);

	it = shard_set(&t, "held", "value"); // given back before the reclaim gets there
	set_many(&t, 0, 10000);
	store_ref(t.s, it);
	store_flush(t.s, 0);
	store_unref(t.s, it);
	while (store_step(t.s, 1000))
		;
	assert_int_equal(mem_used_class(t.mem, MEM_ITEMS), 0);
	shard_close(&t);
}

static void test_an_item_reserved_before_a_flush_may_be_committed_after_it(void **state)
{
	struct shard t;
	struct store_key k = shard_key("late");
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	set_many(&t, 0, 1000);
	assert_int_equal(store_reserve(t.s, &k, 0, 0, 1, &it), STORE_OK);
	store_flush(t.s, 0);
	store_commit(t.s, it, k.hash, 0);
	assert_non_null(shard_find(&t, "late"));
	shard_close(&t);
}

static bool fail_all(void *arg)
{
	return true;
}

static void test_a_flush_needs_no_memory(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	set_many(&t, 0, 10000);
	mem_fault_set(t.mem, fail_all, NULL);
	store_flush(t.s, 0);
	mem_fault_set(t.mem, NULL, NULL);
	assert_int_equal(found_many(&t, 0, 10000), 0);
	set_many(&t, 0, 10000);
	assert_int_equal(found_many(&t, 0, 10000), 10000);
	shard_close(&t);
}

static void test_room_comes_from_what_was_flushed_before_anything_is_evicted(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){.limit_bytes = 4 << 20, .policy = STORE_ALLKEYS_LRU});
	set_many(&t, 0, 40000);
	assert_int_equal(shard_n(&t)->evicted, 0);
	store_flush(t.s, 0);
	set_many(&t, 0, 40000); // no store_step between
	assert_int_equal(shard_n(&t)->evicted, 0);
	assert_int_equal(found_many(&t, 0, 40000), 40000);
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flush_hides_all_at_once_and_nothing_later),
		cmocka_unit_test(test_memory_of_a_flush_comes_back_in_bounded_slices),
		cmocka_unit_test(test_flushes_upon_flushes_before_the_first_is_reclaimed),
		cmocka_unit_test(test_a_delayed_flush_takes_what_is_stored_before_its_time),
		cmocka_unit_test(test_there_is_one_pending_flush_and_the_last_order_counts),
		cmocka_unit_test(test_readers_keep_flushed_values),
		cmocka_unit_test(test_an_item_reserved_before_a_flush_may_be_committed_after_it),
		cmocka_unit_test(test_a_flush_needs_no_memory),
		cmocka_unit_test(test_room_comes_from_what_was_flushed_before_anything_is_evicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
