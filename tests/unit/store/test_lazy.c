// SPDX-License-Identifier: BSD-3-Clause
// Large items are freed in steps, by how much it matters; small ones at once.
#include "store_test.h"

#define LARGE (256u << 10)

static void shard_fill(struct shard *t, uint64_t limit_bytes, unsigned large)
{
	shard_open(
		t, (struct store_options){.limit_bytes = limit_bytes, .policy = STORE_ALLKEYS_LRU});
	for (unsigned i = 0; i < large; i++)
		assert_true(shard_set_number(t, i, LARGE));
}

static void number_delete(struct shard *t, uint64_t number)
{
	char buf[32];

	store_delete(t->s, shard_find_number(t, number), shard_key_number(buf, number).hash);
}

static void lazy_set(struct shard *t, uint8_t lazyfree)
{
	struct store_settings set = store_settings_get(t->s);

	set.lazyfree = lazyfree;
	assert_int_equal(store_settings_set(t->s, &set), 0);
}

static void test_a_busy_worker_frees_a_few_a_step(void **state)
{
	uint64_t pending;
	struct shard t;

	shard_fill(&t, 0, 100);
	assert_true(shard_set_number(&t, 1000, 100));
	for (uint64_t i = 0; i < 100; i++)
		number_delete(&t, i);
	number_delete(&t, 1000); // a small one is freed at once
	pending = shard_n(&t)->lazyfree_pending_objects;
	assert_int_equal(pending, 100);
	assert_true(shard_n(&t)->lazyfree_pending_bytes >= 100 * (uint64_t)LARGE);
	assert_int_equal(shard_n(&t)->lazyfreed_user_del, 100);
	assert_int_equal(shard_n(&t)->items, 0);
	while (shard_n(&t)->lazyfree_pending_objects > 0) {
		store_step(t.s, 32);
		store_idle_note(t.s, false);
		assert_in_range(pending - shard_n(&t)->lazyfree_pending_objects, 1, 4);
		pending = shard_n(&t)->lazyfree_pending_objects;
	}
	assert_int_equal(shard_n(&t)->lazyfree_pending_bytes, 0);
	assert_int_equal(shard_n(&t)->lazyfreed_objects, 100);
	shard_close(&t);
}

static void test_an_idle_worker_drains(void **state)
{
	unsigned steps = 0;
	struct shard t;

	shard_fill(&t, 0, 200);
	for (uint64_t i = 0; i < 200; i++)
		number_delete(&t, i);
	for (unsigned i = 0; i < 1000; i++)
		store_idle_note(t.s, i % 4 != 0); // three of four polls are empty
	for (; shard_n(&t)->lazyfree_pending_objects > 0; steps++)
		store_step(t.s, 32);
	assert_true(steps <= 200 / 16 + 1);
	shard_close(&t);
}

static void test_over_the_limit_a_step_frees_all_it_may(void **state)
{
	unsigned steps = 0;
	struct shard t;

	shard_fill(&t, 128 << 20, 200);
	for (uint64_t i = 0; i < 200; i++)
		number_delete(&t, i);
	store_limit_set(t.s, 1 << 20);
	for (; shard_n(&t)->lazyfree_pending_objects > 0; steps++)
		store_step(t.s, 64);
	assert_true(steps <= 6);
	shard_close(&t);
}

// What waits in the queue is room that a reserve takes before it evicts anything.
static void test_reserves_take_from_the_queue_first(void **state)
{
	struct shard t;

	shard_fill(&t, 40 * LARGE * 5 / 4, 30);
	for (uint64_t i = 0; i < 20; i++)
		number_delete(&t, i);
	assert_int_equal(shard_n(&t)->lazyfree_pending_objects, 20);
	for (uint64_t i = 100; i < 120; i++)
		assert_true(shard_set_number(&t, i, LARGE));
	assert_int_equal(shard_n(&t)->evicted, 0);
	for (uint64_t i = 200; i < 400; i++) {
		assert_true(shard_set_number(&t, i, LARGE));
		assert_true(shard_used(&t) <= 40 * LARGE * 5 / 4);
	}
	assert_true(shard_n(&t)->lazyfreed_eviction > 100);
	shard_close(&t);
}

static void test_each_way_out_has_its_option(void **state)
{
	struct store_item *it;
	struct shard t;
	char buf[32];

	shard_fill(&t, 0, 8);
	lazy_set(&t, 0);
	number_delete(&t, 0);
	assert_true(shard_set_number(&t, 1, LARGE));
	shard_key_number(buf, 2);
	assert_non_null(shard_set_for(&t, buf, NULL, LARGE, (uint32_t)t.now.wall_s + 1));
	shard_sleep(&t, 2);
	assert_null(shard_find_number(&t, 2));
	assert_int_equal(shard_n(&t)->lazyfree_pending_objects, 0);
	it = shard_find_number(&t, 3); // the last reader's release is lazy whatever is set
	store_ref(t.s, it);
	number_delete(&t, 3);
	store_unref(t.s, it);
	assert_int_equal(shard_n(&t)->lazyfreed_release, 1);
	lazy_set(&t, STORE_LAZY_SERVER_DEL | STORE_LAZY_EXPIRE);
	assert_true(shard_set_number(&t, 4, LARGE));
	assert_int_equal(shard_n(&t)->lazyfreed_server_del, 1);
	shard_key_number(buf, 5);
	assert_non_null(shard_set_for(&t, buf, NULL, LARGE, (uint32_t)t.now.wall_s + 1));
	shard_sleep(&t, 2);
	assert_null(shard_find_number(&t, 5));
	assert_int_equal(shard_n(&t)->lazyfreed_expire, 1);
	number_delete(&t, 6);
	assert_int_equal(shard_n(&t)->lazyfreed_user_del, 0);
	store_flush(t.s, 0); // not lazily: all is free when it returns
	assert_int_equal(shard_n(&t)->items, 0);
	assert_int_equal(shard_n(&t)->lazyfreed_user_flush, 0);
	while (store_step(t.s, 32))
		;
	assert_true(shard_used(&t) < 64 << 10);
	shard_close(&t);
}

static void test_a_value_grows_into_the_slack_of_its_item(void **state)
{
	struct store_item *it;
	uint64_t used, slack;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	it = shard_set_for(&t, "key", NULL, 70, 0); // 97 bytes of 112
	store_value_fill(it, 0, 'v', 70);
	used = shard_used(&t);
	slack = mem_usable(t.mem, 97) - 97;
	assert_true(store_value_resize(t.s, it, 70 + slack));
	assert_int_equal(it->value_bytes, 70 + slack);
	assert_false(store_value_resize(t.s, it, 70 + slack + 1));
	assert_int_equal(shard_used(&t), used);
	store_ref(t.s, it);
	assert_false(store_value_resize(t.s, it, 70)); // somebody reads it
	store_unref(t.s, it);
	assert_true(store_value_resize(t.s, it, 70));
	assert_false(store_value_resize(t.s, it, 1)); // another class: not in place
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_busy_worker_frees_a_few_a_step),
		cmocka_unit_test(test_an_idle_worker_drains),
		cmocka_unit_test(test_over_the_limit_a_step_frees_all_it_may),
		cmocka_unit_test(test_reserves_take_from_the_queue_first),
		cmocka_unit_test(test_each_way_out_has_its_option),
		cmocka_unit_test(test_a_value_grows_into_the_slack_of_its_item),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
