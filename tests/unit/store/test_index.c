// SPDX-License-Identifier: BSD-3-Clause
#include "store_test.h"

static void test_growth_to_two_million_goes_in_bounded_steps(void **state)
{
	const uint64_t count = 2000000;
	uint64_t splits_most = 0;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	assert_true(shard_used(&t) < 10240); // an empty shard costs little
	for (uint64_t i = 0; i < count; i++) {
		uint64_t splits = shard_n(&t)->splits;

		assert_true(shard_set_number(&t, i, 4));
		splits = shard_n(&t)->splits - splits;
		splits_most = splits > splits_most ? splits : splits_most;
	}
	assert_in_range(splits_most, 1, 2);
	assert_int_equal(shard_n(&t)->items, count);
	assert_true(shard_n(&t)->overflow_buckets * 3 < shard_n(&t)->buckets);
	for (uint64_t i = 0; i < count; i++)
		assert_non_null(shard_find_number(&t, i));
	assert_null(shard_find_number(&t, count));
	splits_most = shard_n(&t)->splits;
	while (store_step(t.s, 100)) // the clock's sweep; nothing else was left behind
		;
	assert_int_equal(shard_n(&t)->splits, splits_most);
	shard_close(&t);
}

// Looked at all along the way, as linear hashing is worst in the middle of a round.
static void test_header_and_index_take_at_most_40_bytes_a_key(void **state)
{
	double worst = 0;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 1; i <= 1000000; i++) {
		double index;

		assert_true(shard_set_number(&t, i, 4));
		if (i < 100000 || (i % 10000 && i != 1000000))
			continue;
		index = (double)mem_used_class(t.mem, MEM_INDEX) / (double)i;
		worst = index > worst ? index : worst;
	}
	print_message("index: at worst %.2f bytes a key from 100,000 keys on\n", worst);
	assert_true(sizeof(struct store_item) + worst <= 40);
	shard_close(&t);
}

static void test_memory_of_overflow_lines_comes_back_with_deletes(void **state)
{
	struct shard t;
	uint64_t n = 100000;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; i < n; i++)
		shard_set_number(&t, i, 4);
	assert_true(shard_n(&t)->overflow_buckets > 0);
	for (uint64_t i = 0; i < n; i++) {
		char buf[32];
		struct store_key k = shard_key_number(buf, i);
		struct store_item *it = store_find(t.s, k.key, k.len, k.hash);

		assert_non_null(it);
		store_delete(t.s, it, k.hash);
		if (i % 1000 == 0)
			assert_non_null(shard_find_number(&t, i + (n - i) / 2));
	}
	assert_int_equal(shard_n(&t)->items, 0);
	assert_int_equal(shard_n(&t)->overflow_buckets, 0);
	assert_int_equal(mem_used_class(t.mem, MEM_ITEMS), 0);
	shard_close(&t);
}

static void test_an_emptied_index_narrows_in_steps_and_grows_again(void **state)
{
	struct shard t;
	uint64_t n = 300000, widest;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; i < n; i++)
		shard_set_number(&t, i, 4);
	widest = mem_used_class(t.mem, MEM_INDEX);
	for (uint64_t i = 0; i < n; i++) {
		char buf[32];
		struct store_key k = shard_key_number(buf, i);

		if (i % 100)
			store_delete(t.s, store_find(t.s, k.key, k.len, k.hash), k.hash);
	}
	for (bool more = true; more;) {
		uint64_t merges = shard_n(&t)->merges;

		more = store_step(t.s, 70);
		assert_true(shard_n(&t)->merges - merges <= 11);
	}
	assert_true(mem_used_class(t.mem, MEM_INDEX) < widest / 20);
	assert_in_range(shard_n(&t)->buckets, n / 100 / 4, n / 100 / 2);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(shard_find_number(&t, i) != NULL, i % 100 == 0);
	for (uint64_t i = 0; i < n; i++)
		shard_set_number(&t, i, 4);
	for (uint64_t i = 0; i < n; i++)
		assert_non_null(shard_find_number(&t, i));
	shard_close(&t);
}

static void test_splits_drop_what_has_expired(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; i < 10000; i++) {
		char buf[32];

		shard_key_number(buf, i);
		shard_set_for(&t, buf, NULL, 4, (uint32_t)t.now.wall_s + 1);
	}
	shard_sleep(&t, 1);
	for (uint64_t i = 10000; i < 40000; i++)
		shard_set_number(&t, i, 4);
	assert_true(shard_n(&t)->expired > 1000);
	assert_int_equal(shard_n(&t)->items, 40000 - shard_n(&t)->expired);
	for (uint64_t i = 10000; i < 40000; i++)
		assert_non_null(shard_find_number(&t, i));
	shard_close(&t);
}

// Hashes from outside the store may collide as they like: the key decides.
static void test_keys_with_one_hash_are_told_apart_and_bounded(void **state)
{
	struct shard t;
	unsigned found = 0;

	shard_open(&t, (struct store_options){.policy = STORE_ALLKEYS_LRU});
	for (unsigned i = 0; i < 300; i++) {
		char buf[32];
		struct store_key k = shard_key_number(buf, i);
		struct store_item *it;

		k.hash = 0x123456789abcdef0;
		assert_int_equal(store_reserve(t.s, &k, 0, 0, 1, &it), STORE_OK);
		store_commit(t.s, it, k.hash, 0);
		assert_ptr_equal(store_find(t.s, k.key, k.len, k.hash), it);
	}
	for (unsigned i = 0; i < 300; i++) {
		char buf[32];
		struct store_key k = shard_key_number(buf, i);

		found += store_find(t.s, k.key, k.len, 0x123456789abcdef0) != NULL;
	}
	assert_int_equal(
		found, 2 * 8 + 12 * 3); // two lines and twelve nodes, each but one of them linked
	assert_int_equal(shard_n(&t)->evicted, 300 - found);
	shard_close(&t);
}

static bool fail_large(void *arg)
{
	return *(bool *)arg;
}

static void test_growth_that_finds_no_memory_comes_later(void **state)
{
	bool fail = false;
	struct shard t;
	struct store_item *held[1000];

	shard_open(&t, (struct store_options){0});
	mem_fault_set(t.mem, fail_large, &fail);
	for (unsigned i = 0; i < 1000; i++) { // reserved now, committed when nothing can be had
		char buf[32];
		struct store_key k = shard_key_number(buf, i);

		assert_int_equal(store_reserve(t.s, &k, 0, 0, 4, &held[i]), STORE_OK);
	}
	fail = true;
	for (unsigned i = 0; i < 1000; i++) {
		char buf[32];

		store_commit(t.s, held[i], shard_key_number(buf, i).hash, 0);
	}
	assert_int_equal(shard_n(&t)->items, 1000);
	assert_int_equal(shard_n(&t)->buckets, 32);
	assert_true(shard_n(&t)->splits_deferred > 0);
	assert_false(shard_set_number(&t, 1000, 4));
	assert_false(store_step(t.s, 100)); // more to do, but it cannot be done
	fail = false;
	while (store_step(t.s, 100))
		;
	assert_true(shard_n(&t)->buckets > 1000 / 14);
	for (unsigned i = 0; i < 1000; i++)
		assert_non_null(shard_find_number(&t, i));
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth_to_two_million_goes_in_bounded_steps),
		cmocka_unit_test(test_header_and_index_take_at_most_40_bytes_a_key),
		cmocka_unit_test(test_memory_of_overflow_lines_comes_back_with_deletes),
		cmocka_unit_test(test_an_emptied_index_narrows_in_steps_and_grows_again),
		cmocka_unit_test(test_splits_drop_what_has_expired),
		cmocka_unit_test(test_keys_with_one_hash_are_told_apart_and_bounded),
		cmocka_unit_test(test_growth_that_finds_no_memory_comes_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
