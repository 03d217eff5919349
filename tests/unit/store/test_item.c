// SPDX-License-Identifier: BSD-3-Clause
#include "store_test.h"

static void test_a_committed_item_is_found_with_all_it_was_given(void **state)
{
	struct shard t;
	struct store_key k = shard_key("colour");
	struct store_item *it;

	shard_open(&t, (struct store_options){.cas_first = 3, .cas_step = 4});
	assert_null(shard_find(&t, "colour"));
	assert_int_equal(store_reserve(t.s, &k, 0xdeadbeef, 0, 5, &it), STORE_OK);
	assert_null(shard_find(&t, "colour")); // not visible before the commit
	store_value_write(it, 0, "green", 5);
	store_commit(t.s, it, k.hash, 0);
	assert_ptr_equal(shard_find(&t, "colour"), it);
	assert_value(it, "green");
	assert_int_equal(store_item_client_flags(it), 0xdeadbeef);
	assert_int_equal(it->cas, 3);
	assert_int_equal(store_cas_next(t.s), 7);
	assert_null(shard_find(&t, "colou"));
	assert_int_equal(shard_n(&t)->items, 1);
	shard_close(&t);
}

static void test_keys_of_all_lengths_with_any_bytes(void **state)
{
	struct shard t;
	char key[250];

	shard_open(&t, (struct store_options){0});
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned len = 1; len <= 250; len++) {
			struct store_key k = {key, (uint8_t)len, 0};
			struct store_item *it;

			memset(key, (int)len, sizeof(key));
			k.hash = base_hash(key, len);
			if (round == 0) {
				assert_int_equal(store_reserve(t.s, &k, 0, 0, 0, &it), STORE_OK);
				store_commit(t.s, it, k.hash, 0);
			}
			it = store_find(t.s, key, (uint8_t)len, k.hash);
			assert_non_null(it);
			assert_int_equal(store_item_key_len(it), len);
		}
	}
	shard_close(&t);
}

static void test_a_commit_replaces_and_may_set_the_cas_number(void **state)
{
	struct shard t;
	struct store_key k = shard_key("a");
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	shard_set(&t, "a", "old");
	assert_int_equal(store_reserve(t.s, &k, 0, 0, 3, &it), STORE_OK);
	store_value_write(it, 0, "new", 3);
	store_commit(t.s, it, k.hash, 900);
	assert_value(shard_find(&t, "a"), "new");
	assert_int_equal(shard_find(&t, "a")->cas, 900);
	assert_int_equal(shard_n(&t)->items, 1);
	assert_int_equal(shard_n(&t)->items_total, 2);
	shard_close(&t);
}

static void test_an_aborted_item_leaves_no_trace(void **state)
{
	struct shard t;
	struct store_key k = shard_key("a");
	struct store_item *it;
	uint64_t used;

	shard_open(&t, (struct store_options){0});
	shard_set(&t, "a", "old");
	used = shard_used(&t);
	assert_int_equal(store_reserve(t.s, &k, 0, 0, 100000, &it), STORE_OK);
	assert_true(shard_used(&t) >= used + 100000);
	store_abort(t.s, it);
	assert_int_equal(shard_used(&t), used);
	assert_value(shard_find(&t, "a"), "old");
	shard_close(&t);
}

static void test_the_size_limit_counts_header_key_and_value(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){.item_bytes_max = 1024});
	assert_non_null(shard_set_for(&t, "k", NULL, 1024 - 24 - 1, 0));
	assert_null(shard_set_for(&t, "k", NULL, 1024 - 24, 0));
	assert_int_equal(shard_n(&t)->too_large, 1);
	shard_close(&t);
}

static void test_an_item_expires_at_its_deadline(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	shard_set_for(&t, "a", "x", 1, (uint32_t)t.now.wall_s + 10);
	shard_set_for(&t, "never", "x", 1, 0);
	shard_set_for(&t, "past", "x", 1, 1);
	assert_null(shard_find(&t, "past"));
	shard_sleep(&t, 9);
	assert_non_null(shard_find(&t, "a"));
	shard_sleep(&t, 1);
	assert_null(shard_find(&t, "a"));
	assert_non_null(shard_find(&t, "never"));
	assert_int_equal(shard_n(&t)->expired, 2);
	assert_int_equal(shard_n(&t)->expired_unfetched, 2);
	assert_int_equal(shard_n(&t)->items, 1);
	shard_close(&t);
}

static void test_a_deadline_may_move(void **state)
{
	struct shard t;
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	it = shard_set_for(&t, "a", "x", 1, (uint32_t)t.now.wall_s + 10);
	store_deadline_set(t.s, it, (uint32_t)t.now.wall_s + 100);
	shard_sleep(&t, 50);
	assert_non_null(shard_find(&t, "a"));
	store_deadline_set(t.s, it, 0);
	shard_sleep(&t, 100000);
	assert_non_null(shard_find(&t, "a"));
	shard_close(&t);
}

static void test_idle_time_counts_from_the_last_access(void **state)
{
	struct shard t;
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	it = shard_set(&t, "a", "x");
	shard_sleep(&t, 5);
	assert_int_equal(store_item_idle_s(t.s, it), 5);
	assert_false(it->bits & STORE_ITEM_FETCHED);
	store_touch_access(t.s, it);
	assert_true(it->bits & STORE_ITEM_FETCHED);
	assert_int_equal(store_item_idle_s(t.s, it), 0);
	assert_int_equal(store_item_key_len(it), 1);
	t.now.mono_us = (UINT64_C(1) << 38) - 1000000; // the clock wraps within these two seconds
	store_turn(t.s, t.now);
	store_touch_access(t.s, it);
	shard_sleep(&t, 3);
	assert_in_range(store_item_idle_s(t.s, it), 2, 3);
	shard_close(&t);
}

static void test_a_reader_keeps_a_replaced_and_a_deleted_value(void **state)
{
	struct shard t;
	struct store_item *old, *gone;
	uint64_t used;

	shard_open(&t, (struct store_options){0});
	old = shard_set(&t, "a", "old value");
	assert_true(store_ref(t.s, old));
	assert_true(store_ref(t.s, old));
	shard_set(&t, "a", "new value");
	assert_value(shard_find(&t, "a"), "new value");
	assert_value(old, "old value");
	assert_int_equal(shard_n(&t)->pinned_bytes, mem_usable(t.mem, 24 + 1 + 9));
	used = shard_used(&t);
	store_unref(t.s, old);
	assert_value(old, "old value");
	store_unref(t.s, old);
	assert_int_equal(shard_n(&t)->pinned_bytes, 0);
	assert_true(shard_used(&t) < used);

	gone = shard_find(&t, "a");
	assert_true(store_ref(t.s, gone));
	store_delete(t.s, gone, shard_key("a").hash);
	assert_null(shard_find(&t, "a"));
	assert_value(gone, "new value");
	store_unref(t.s, gone);
	assert_int_equal(shard_n(&t)->items, 0);
	assert_int_equal(shard_n(&t)->item_bytes, 0);
	shard_close(&t);
}

static void test_an_item_with_a_reader_is_not_writable(void **state)
{
	struct shard t;
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	it = shard_set(&t, "a", "1");
	assert_true(store_writable(it));
	store_ref(t.s, it);
	assert_false(store_writable(it));
	store_unref(t.s, it);
	assert_true(store_writable(it));
	shard_close(&t);
}

static void test_a_full_reference_count_is_refused(void **state)
{
	struct shard t;
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	it = shard_set(&t, "a", "1");
	for (unsigned i = 1; i < 65535; i++)
		assert_true(store_ref(t.s, it));
	assert_false(store_ref(t.s, it));
	assert_int_equal(shard_n(&t)->refs_refused, 1);
	for (unsigned i = 1; i < 65535; i++)
		store_unref(t.s, it);
	assert_true(store_writable(it));
	shard_close(&t);
}

static void test_a_private_copy_is_given_back_like_a_reference(void **state)
{
	struct shard t;
	struct store_key k = shard_key("a");
	struct store_item *copy;
	uint64_t used;

	shard_open(&t, (struct store_options){0});
	shard_set(&t, "a", "1");
	used = shard_used(&t);
	assert_int_equal(store_reserve(t.s, &k, 0, 0, 1, &copy), STORE_OK);
	store_unref(t.s, copy);
	assert_int_equal(shard_used(&t), used);
	assert_int_equal(shard_n(&t)->pinned_bytes, 0);
	shard_close(&t);
}

static void test_prefetches_are_harmless(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){0});
	shard_set(&t, "a", "1");
	store_bucket_prefetch(t.s, shard_key("a").hash);
	store_item_prefetch(t.s, shard_key("a").hash);
	store_item_prefetch(t.s, 0);
	assert_non_null(shard_find(&t, "a"));
	shard_close(&t);
}

static void test_bad_options_are_refused(void **state)
{
	struct mem_options mo = {.name = "test", .numa_node = -1};
	struct store_options opt = {.samples = 65};
	struct store *s;

	assert_int_equal(store_open(&s, &opt), -22);
	opt.samples = 5;
	assert_int_equal(store_open(&s, &opt), -22);
	assert_int_equal(mem_domain_open(&opt.mem, &mo), 0);
	assert_int_equal(store_open(&s, &opt), 0);
	store_close(s);
	mem_domain_close(opt.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_committed_item_is_found_with_all_it_was_given),
		cmocka_unit_test(test_keys_of_all_lengths_with_any_bytes),
		cmocka_unit_test(test_a_commit_replaces_and_may_set_the_cas_number),
		cmocka_unit_test(test_an_aborted_item_leaves_no_trace),
		cmocka_unit_test(test_the_size_limit_counts_header_key_and_value),
		cmocka_unit_test(test_an_item_expires_at_its_deadline),
		cmocka_unit_test(test_a_deadline_may_move),
		cmocka_unit_test(test_idle_time_counts_from_the_last_access),
		cmocka_unit_test(test_a_reader_keeps_a_replaced_and_a_deleted_value),
		cmocka_unit_test(test_an_item_with_a_reader_is_not_writable),
		cmocka_unit_test(test_a_full_reference_count_is_refused),
		cmocka_unit_test(test_a_private_copy_is_given_back_like_a_reference),
		cmocka_unit_test(test_prefetches_are_harmless),
		cmocka_unit_test(test_bad_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
