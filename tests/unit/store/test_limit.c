// SPDX-License-Identifier: BSD-3-Clause
#include "store_test.h"

#define LIMIT (4u << 20)

static void test_the_limit_holds_at_all_times(void **state)
{
	struct base_rng rng;
	struct shard t;

	base_rng_seed(&rng, 3);
	shard_open(&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_LRU});
	for (uint64_t i = 0; i < 300000; i++) {
		// phases of small and large items, so that the index wants to grow at the limit
		uint32_t bytes = (uint32_t)base_rng_below(&rng, i / 50000 % 2 ? 8 : 2000);
		char buf[32];
		struct store_key k = shard_key_number(buf, i);
		struct store_item *it;

		assert_int_equal(store_reserve(t.s, &k, 0, 0, bytes, &it), STORE_OK);
		assert_true(shard_used(&t) <= LIMIT);
		store_commit(t.s, it, k.hash, 0);
		assert_true(shard_used(&t) <= LIMIT);
		if (i % 100 == 0)
			store_step(t.s, 16);
		assert_true(shard_used(&t) <= LIMIT);
	}
	assert_true(shard_n(&t)->evicted > 200000);
	assert_true(shard_n(&t)->splits > 1000);
	shard_close(&t);
}

static void test_without_eviction_the_limit_refuses(void **state)
{
	struct shard t;
	uint64_t stored = 0;
	struct store_item *it;

	shard_open(&t, (struct store_options){.limit_bytes = LIMIT});
	while (shard_set_number(&t, stored, 100))
		stored++;
	assert_in_range(stored, LIMIT / 190, LIMIT / 125);
	assert_true(shard_used(&t) <= LIMIT);
	for (uint64_t i = 0; i < stored; i++)
		assert_non_null(shard_find_number(&t, i));
	assert_int_equal(shard_n(&t)->evicted, 0);
	assert_int_equal(shard_n(&t)->no_memory, 1);
	it = shard_find_number(&t, 5);
	store_delete(t.s, it, base_hash(store_item_key(it), store_item_key_len(it)));
	assert_true(shard_set_number(&t, stored, 100));
	shard_close(&t);
}

static void test_a_large_item_displaces_many_small_ones(void **state)
{
	struct shard t;

	shard_open(&t,
		(struct store_options){.limit_bytes = LIMIT,
			.item_bytes_max = 64 << 20,
			.policy = STORE_ALLKEYS_LRU});
	for (uint64_t i = 0; i < 60000; i++)
		assert_true(shard_set_number(&t, i, 8));
	assert_non_null(shard_set_for(&t, "large", NULL, LIMIT / 2, 0));
	assert_true(shard_used(&t) <= LIMIT);
	assert_null(shard_set_for(&t, "larger", NULL, LIMIT + 1, 0)); // cannot ever fit
	assert_true(shard_n(&t)->items > 1000); // and nothing was evicted for it
	for (uint64_t i = 0; i < 1000; i++) // small ones come in again: the large one grows idle
		assert_true(shard_set_number(&t, i, 8));
	shard_close(&t);
}

static void test_an_index_that_has_emptied_still_finds_what_to_evict(void **state)
{
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = 32 << 20, .policy = STORE_ALLKEYS_LRU});
	for (uint64_t i = 0; i < 400000; i++)
		shard_set_number(&t, i, 8);
	for (uint64_t i = 0; i < 200; i++) { // about 25 large items are left
		shard_sleep(&t, 1);
		assert_true(shard_set_number(&t, 1000000 + i, 1000000));
	}
	assert_in_range(shard_n(&t)->items, 10, 40);
	assert_true(shard_used(&t) <= 32 << 20);
	shard_close(&t);
}

// What is left in the pool then may name buckets that have merged away, whose segments are gone.
static void test_candidates_outlive_their_buckets(void **state)
{
	const uint64_t old = 8; // half of the pool
	uint64_t n = old;
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = 32 << 20, .policy = STORE_ALLKEYS_LRU});
	for (uint64_t i = 0; i < old; i++)
		assert_true(shard_set_number(&t, i, 8));
	shard_sleep(&t, 1000);
	for (; shard_n(&t)->evicted < 50; n++) {
		assert_true(shard_set_number(&t, n, 8));
		if (n % 100000 == 0)
			shard_sleep(&t, 10);
	}
	for (uint64_t i = old; i < n; i++) {
		char buf[32];
		struct store_key k = shard_key_number(buf, i);
		struct store_item *it = store_find(t.s, k.key, k.len, k.hash);

		if (it)
			store_delete(t.s, it, k.hash);
	}
	while (store_step(t.s, 70))
		;
	assert_in_range(shard_n(&t)->items, 1, old);
	assert_true(shard_n(&t)->merges > 1000);
	for (uint64_t i = 0; i < 60; i++)
		assert_true(shard_set_number(&t, n + i, 1000000));
	assert_true(shard_n(&t)->evicted > 50 + old + 20);
	assert_true(shard_used(&t) <= 32 << 20);
	shard_close(&t);
}

static void test_pinned_items_are_passed_over(void **state)
{
	struct store_item *held[200];
	struct shard t;

	shard_open(&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_LRU});
	for (unsigned i = 0; i < 200; i++) {
		assert_true(shard_set_number(&t, i, 1000));
		held[i] = shard_find_number(&t, i);
		store_ref(t.s, held[i]);
	}
	shard_sleep(&t, 100);
	for (uint64_t i = 1000; i < 50000; i++)
		assert_true(shard_set_number(&t, i, 100));
	for (unsigned i = 0; i < 200; i++) { // the oldest by far, and all there
		assert_ptr_equal(shard_find_number(&t, i), held[i]);
		store_unref(t.s, held[i]);
	}
	for (uint64_t i = 1000; i < 50000; i++)
		assert_true(shard_set_number(&t, i, 100));
	assert_null(shard_find_number(&t, 0));
	shard_close(&t);
}

static void test_all_pinned_is_no_memory_and_passes(void **state)
{
	struct store_item *held[2000];
	unsigned count = 0;
	struct shard t;

	shard_open(&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_LRU});
	while (shard_set_number(&t, count, 10000)) {
		held[count] = shard_find_number(&t, count);
		store_ref(t.s, held[count++]);
		assert_true(count < 2000);
	}
	assert_int_equal(shard_n(&t)->evicted, 0);
	assert_true(shard_used(&t) <= LIMIT);
	store_unref(t.s, held[0]);
	assert_true(shard_set_number(&t, count, 10000));
	assert_null(shard_find_number(&t, 0));
	for (unsigned i = 1; i < count; i++)
		store_unref(t.s, held[i]);
	shard_close(&t);
}

static void test_a_candidate_that_a_reader_takes_is_no_candidate_any_more(void **state)
{
	struct store_item *held[1000];
	uint64_t evicted;
	struct shard t;

	shard_open(&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_LRU});
	for (unsigned i = 0; i < 1000; i++) { // the last ones evict, and leave candidates behind
		shard_sleep(&t, 1);
		assert_true(shard_set_number(&t, i, 5000));
	}
	evicted = shard_n(&t)->evicted;
	assert_true(evicted > 0);
	for (unsigned i = 0; i < 1000; i++)
		if ((held[i] = shard_find_number(&t, i)))
			store_ref(t.s, held[i]);
	assert_false(shard_set_number(&t, 1000, 20000));
	assert_int_equal(shard_n(&t)->evicted, evicted);
	assert_int_equal(shard_n(&t)->pinned_bytes, 0);
	for (unsigned i = 0; i < 1000; i++)
		if (held[i])
			store_unref(t.s, held[i]);
	assert_true(shard_set_number(&t, 1000, 20000));
	shard_close(&t);
}

// Nothing that eviction could do would bring these bytes back.
static void test_values_that_readers_keep_do_not_push_others_out(void **state)
{
	struct store_item *held;
	struct shard t;

	shard_open(&t,
		(struct store_options){.limit_bytes = LIMIT,
			.item_bytes_max = 64 << 20,
			.policy = STORE_ALLKEYS_LRU});
	held = shard_set_for(&t, "a", NULL, LIMIT / 2, 0);
	store_ref(t.s, held);
	store_delete(t.s, held, shard_key("a").hash);
	for (uint64_t i = 0; i < 20000; i++)
		shard_set_number(&t, i, 100);
	assert_int_equal(shard_n(&t)->evicted, 0);
	assert_true(shard_n(&t)->pinned_bytes >= LIMIT / 2);
	assert_true(shard_used(&t) - shard_n(&t)->pinned_bytes <= LIMIT);
	store_unref(t.s, held);
	assert_int_equal(shard_n(&t)->pinned_bytes, 0);
	shard_close(&t);
}

static void test_expired_items_go_before_live_ones(void **state)
{
	struct shard t;
	uint64_t live = 0;

	shard_open(&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_LRU});
	for (uint64_t i = 0; i < 20000; i++) {
		char buf[32];

		shard_key_number(buf, i);
		shard_set_for(&t, buf, NULL, 50, i % 2 ? (uint32_t)t.now.wall_s + 1 : 0);
	}
	assert_int_equal(shard_n(&t)->evicted, 0);
	shard_sleep(&t, 2);
	for (uint64_t i = 20000; i < 40000 && shard_n(&t)->reclaimed < 1000; i++)
		shard_set_number(&t, i, 300);
	for (uint64_t i = 0; i < 20000; i += 2)
		live += shard_find_number(&t, i) != NULL;
	assert_true(shard_n(&t)->reclaimed >= 1000);
	assert_true(shard_n(&t)->evicted < shard_n(&t)->reclaimed / 4);
	assert_true(live + shard_n(&t)->evicted >= 10000);
	shard_close(&t);
}

static void test_a_cut_is_reached_by_steps_and_by_reserves(void **state)
{
	struct shard t;
	unsigned steps = 0;
	uint64_t used;

	shard_open(
		&t, (struct store_options){.limit_bytes = 16 << 20, .policy = STORE_ALLKEYS_LRU});
	for (uint64_t i = 0; i < 100000; i++)
		shard_set_number(&t, i, 100);
	store_limit_set(t.s, 12 << 20);
	used = shard_used(&t);
	for (uint64_t i = 0; i < 1000; i++) { // reserves alone: each brings it down
		assert_true(shard_set_number(&t, 1000000 + i, 100));
		assert_true(shard_used(&t) < used || used <= 12 << 20);
		used = shard_used(&t);
	}
	store_limit_set(t.s, 8 << 20);
	for (bool more = true; more; steps++) {
		uint64_t evicted = shard_n(&t)->evicted;

		more = store_step(t.s, 64);
		assert_true(shard_n(&t)->evicted - evicted <= 64 / 5);
	}
	assert_true(steps > 100);
	assert_true(shard_used(&t) <= 8 << 20);
	assert_false(store_step(t.s, 64));
	store_limit_set(t.s, 0);
	for (uint64_t i = 0; i < 100000; i++)
		assert_true(shard_set_number(&t, i, 100));
	assert_true(shard_used(&t) > 8 << 20);
	shard_close(&t);
}

// 32 MiB of small items have 6 MiB of index: that has to go as well.
static void test_a_cut_below_the_size_of_the_index_is_reached_too(void **state)
{
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = 32 << 20, .policy = STORE_ALLKEYS_LRU});
	for (uint64_t i = 0; i < 500000; i++)
		shard_set_number(&t, i, 8);
	assert_true(mem_used_class(t.mem, MEM_INDEX) > 4 << 20);
	store_limit_set(t.s, 1 << 20);
	while (store_step(t.s, 64))
		;
	assert_true(shard_used(&t) <= 1 << 20);
	assert_true(shard_n(&t)->items > 5000);
	for (uint64_t i = 0; i < 50000; i++) {
		assert_true(shard_set_number(&t, i, 8));
		assert_true(shard_used(&t) <= 1 << 20);
	}
	shard_close(&t);
}

static bool fail_above(void *arg)
{
	const struct shard *t = arg;

	return shard_used(t) > 2 << 20;
}

// A region may be used up below the limit.
static void test_a_refusing_allocator_makes_room_by_evicting(void **state)
{
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = 64 << 20, .policy = STORE_ALLKEYS_LRU});
	mem_fault_set(t.mem, fail_above, &t);
	for (uint64_t i = 0; i < 50000; i++)
		assert_true(shard_set_number(&t, i, 100));
	assert_true(shard_n(&t)->evicted > 10000);
	assert_true(shard_n(&t)->items > 10000);
	mem_fault_set(t.mem, NULL, NULL);
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_limit_holds_at_all_times),
		cmocka_unit_test(test_without_eviction_the_limit_refuses),
		cmocka_unit_test(test_a_large_item_displaces_many_small_ones),
		cmocka_unit_test(test_an_index_that_has_emptied_still_finds_what_to_evict),
		cmocka_unit_test(test_candidates_outlive_their_buckets),
		cmocka_unit_test(test_pinned_items_are_passed_over),
		cmocka_unit_test(test_all_pinned_is_no_memory_and_passes),
		cmocka_unit_test(test_a_candidate_that_a_reader_takes_is_no_candidate_any_more),
		cmocka_unit_test(test_values_that_readers_keep_do_not_push_others_out),
		cmocka_unit_test(test_expired_items_go_before_live_ones),
		cmocka_unit_test(test_a_cut_is_reached_by_steps_and_by_reserves),
		cmocka_unit_test(test_a_cut_below_the_size_of_the_index_is_reached_too),
		cmocka_unit_test(test_a_refusing_allocator_makes_room_by_evicting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
