// SPDX-License-Identifier: BSD-3-Clause
// What each policy takes, what it refuses to take, and a switch from one to another.
#include "store_test.h"

#define LIMIT (2u << 20)

static void shard_policy(struct shard *t, enum store_policy policy)
{
	shard_open(t, (struct store_options){.limit_bytes = LIMIT, .policy = policy});
}

static void policy_switch(struct shard *t, enum store_policy policy)
{
	struct store_settings set = store_settings_get(t->s);

	set.policy = (uint8_t)policy;
	assert_int_equal(store_settings_set(t->s, &set), 0);
}

static bool set_for(struct shard *t, uint64_t number, uint32_t bytes, uint64_t seconds)
{
	char buf[32];

	shard_key_number(buf, number);
	return shard_set_for(t, buf, NULL, bytes,
		       seconds ? (uint32_t)(t->now.wall_s + seconds) : 0) != NULL;
}

static uint64_t found(struct shard *t, uint64_t from, uint64_t to, uint64_t step)
{
	uint64_t n = 0;

	for (uint64_t i = from; i < to; i += step)
		n += shard_find_number(t, i) != NULL;
	return n;
}

static void read_all(struct shard *t, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		struct store_item *it = shard_find_number(t, i);

		if (it)
			store_touch_access(t->s, it);
	}
}

static void test_names_are_redis_s(void **state)
{
	static const char *const name[] = {"noeviction", "allkeys-lru", "allkeys-lfu",
		"allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random",
		"volatile-ttl"};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(name); i++) {
		int policy = store_policy_of(name[i]);

		assert_true(policy >= 0);
		assert_string_equal(store_policy_name((unsigned)policy), name[i]);
	}
	assert_true(store_policy_of("lru") < 0);
	assert_null(store_policy_name(STORE_POLICIES));
}

static void test_bad_settings_change_nothing(void **state)
{
	struct store_settings good = store_settings_default(), bad, got;
	struct shard t;

	shard_policy(&t, STORE_ALLKEYS_LRU);
	assert_int_equal(store_settings_set(t.s, &good), 0);
	for (unsigned i = 0; i < 6; i++) {
		bad = good;
		if (i == 0)
			bad.policy = STORE_POLICIES;
		else if (i == 1)
			bad.samples = 0;
		else if (i == 2)
			bad.samples = 65;
		else if (i == 3)
			bad.tenacity = 101;
		else if (i == 4)
			bad.expire_effort = 0;
		else
			bad.expire_effort = 11;
		assert_true(store_settings_set(t.s, &bad) < 0);
		got = store_settings_get(t.s);
		assert_memory_equal(&got, &good, sizeof(good));
	}
	shard_close(&t);
}

// Every third key is read often: LFU keeps those although a scan came after them.
static void test_lfu_keeps_what_is_read_often(void **state)
{
	uint64_t often, scan = 40000;
	struct shard t;

	shard_policy(&t, STORE_ALLKEYS_LFU);
	for (uint64_t i = 0; i < 3000; i++)
		assert_true(set_for(&t, i, 100, 0));
	for (unsigned k = 0; k < 60; k++)
		for (uint64_t i = 0; i < 3000; i += 3)
			store_touch_access(t.s, shard_find_number(&t, i));
	for (uint64_t i = 10000; i < 10000 + scan; i++)
		assert_true(set_for(&t, i, 100, 0));
	often = found(&t, 0, 3000, 3);
	assert_true(often > 950);
	assert_true(found(&t, 1, 3000, 3) < 400);
	// counters lose one a minute: what was read often long ago goes as well
	shard_sleep(&t, 60 * 300);
	for (uint64_t i = 100000; i < 100000 + scan; i++)
		assert_true(set_for(&t, i, 100, 0));
	assert_true(found(&t, 0, 3000, 3) < often / 2);
	shard_close(&t);
}

// Redis' page on LFU: with factor 10 a key of 100 hits has 10, of 1,000 has 18, of 100,000 has 142;
// a new key 5.
static void test_lfu_counter_grows_with_the_logarithm(void **state)
{
	static const struct {
		unsigned hits, low, high;
	} table[] = {{100, 8, 13}, {1000, 15, 23}, {100000, 130, 155}};
	struct shard t;

	shard_policy(&t, STORE_ALLKEYS_LFU);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(table); i++) {
		struct store_item *it = shard_set(&t, "key", "value");

		store_delete(t.s, it, shard_key("key").hash);
		it = shard_set(&t, "key", "value");
		assert_int_equal(it->access_key_len >> 8 & 255, 5);
		for (unsigned k = 0; k < table[i].hits; k++)
			store_touch_access(t.s, it);
		assert_in_range(it->access_key_len >> 8 & 255, table[i].low, table[i].high);
	}
	shard_close(&t);
}

static void test_random_takes_old_and_new_alike(void **state)
{
	uint64_t n = 8000, old, young;
	struct shard t;

	shard_policy(&t, STORE_ALLKEYS_RANDOM);
	for (uint64_t i = 0; i < n; i++)
		assert_true(set_for(&t, i, 100, 0));
	for (uint64_t i = 0; i < 2000; i++) // large, so that about half of what is there goes
		if (shard_n(&t)->evicted < n * 3 / 4)
			assert_true(set_for(&t, 100000 + i, 3000, 0));
	old = found(&t, 0, n / 2, 1);
	young = found(&t, n / 2, n, 1);
	assert_in_range(young, old / 2 + 1, old * 4);
	assert_true(old > 100);
	shard_close(&t);
}

// One in 1,000 has a deadline, and those alone go; when they are gone the store refuses.
static void volatile_takes_only_deadlines(enum store_policy policy)
{
	uint64_t n = 0, with = 0;
	struct store_item *it;
	char buf[32];
	struct shard t;

	shard_policy(&t, policy);
	while (shard_n(&t)->evicted == 0) {
		bool deadline = n % 1000 == 0;

		assert_true(set_for(&t, n, 20, deadline ? 1000000 : 0));
		with += deadline;
		n++;
		assert_true(n < 100000);
	}
	while (set_for(&t, n, 20, 0))
		n++;
	assert_int_equal(shard_n(&t)->evicted, with);
	assert_int_equal(found(&t, 0, n, 1), n - with);
	assert_true(shard_n(&t)->no_memory > 0);
	for (uint64_t i = 1; i < 100; i++) { // what does not grow works on
		it = shard_find_number(&t, i);
		store_touch_access(t.s, it);
		store_deadline_set(t.s, it, (uint32_t)t.now.wall_s + 50);
	}
	assert_true(set_for(&t, n, 20, 0)); // and what has a deadline now makes room
	assert_in_range(found(&t, 1, 100, 1), 10, 98);
	store_delete(t.s, shard_find_number(&t, 200), shard_key_number(buf, 200).hash);
	assert_true(set_for(&t, 200, 20, 0));
	store_flush(t.s, 0);
	assert_true(set_for(&t, n, 20, 0));
	shard_close(&t);
}

static void test_volatile_policies_take_what_has_a_deadline(void **state)
{
	volatile_takes_only_deadlines(STORE_VOLATILE_LRU);
	volatile_takes_only_deadlines(STORE_VOLATILE_LFU);
	volatile_takes_only_deadlines(STORE_VOLATILE_RANDOM);
	volatile_takes_only_deadlines(STORE_VOLATILE_TTL);
}

static void test_volatile_lru_takes_the_idle_of_them(void **state)
{
	uint64_t n = 6000;
	struct shard t;

	shard_policy(&t, STORE_VOLATILE_LRU);
	for (uint64_t i = 0; i < n; i++)
		assert_true(set_for(&t, i, 100, i % 2 ? 100000 : 0));
	shard_sleep(&t, 10);
	read_all(&t, n / 2, n);
	for (uint64_t i = 0; shard_n(&t)->evicted < 1000; i++)
		assert_true(set_for(&t, n + i, 100, 0));
	assert_int_equal(found(&t, 0, n, 2), n / 2);
	assert_true(found(&t, n / 2 + 1, n, 2) > n / 4 - 50);
	shard_close(&t);
}

static void test_volatile_ttl_takes_the_nearest_deadline(void **state)
{
	uint64_t n = 6000, near, far;
	struct shard t;

	shard_policy(&t, STORE_VOLATILE_TTL);
	for (uint64_t i = 0; i < n; i++)
		assert_true(set_for(&t, i, 100, 1000 + i));
	for (uint64_t i = 0; shard_n(&t)->evicted < n / 2; i++)
		assert_true(set_for(&t, n + i, 100, 0));
	near = found(&t, 0, n / 2, 1);
	far = found(&t, n / 2, n, 1);
	print_message("of the nearer half %lu are left, of the farther %lu\n", (unsigned long)near,
		(unsigned long)far);
	assert_true(far > n / 2 * 85 / 100);
	shard_close(&t);
}

static void test_a_switch_takes_the_present_items_along(void **state)
{
	static const enum store_policy order[] = {STORE_ALLKEYS_LFU, STORE_VOLATILE_TTL,
		STORE_ALLKEYS_RANDOM, STORE_ALLKEYS_LRU, STORE_VOLATILE_LFU, STORE_NOEVICTION,
		STORE_ALLKEYS_LRU};
	uint64_t n = 0;
	struct shard t;

	shard_policy(&t, STORE_ALLKEYS_LRU);
	for (unsigned k = 0; k < BASE_ARRAY_LEN(order); k++) {
		for (unsigned i = 0; i < 8000; i++, n++)
			set_for(&t, n, 100, n % 3 ? 0 : 1000);
		policy_switch(&t, order[k]);
		for (unsigned i = 0; i < 1000; i++) // some before the sweep has passed
			set_for(&t, n++, 100, 1000);
		for (unsigned i = 0; store_step(t.s, 64); i++)
			assert_true(i < 100000);
		assert_true(shard_used(&t) <= LIMIT);
		read_all(&t, 0, n);
	}
	// after a switch to LRU what is read last stays
	read_all(&t, n - 1000, n - 500);
	for (unsigned i = 0; i < 2000; i++)
		assert_true(set_for(&t, n + i, 100, 0));
	assert_true(found(&t, n - 1000, n - 500, 1) > 490);
	shard_close(&t);
}

// By it shards are compared, also one that has had nothing to evict for long.
static void test_coldness_is_the_age_of_what_would_go_next(void **state)
{
	static const enum store_policy policy[] = {
		STORE_ALLKEYS_LRU, STORE_VOLATILE_LRU, STORE_ALLKEYS_S3FIFO};

	for (unsigned k = 0; k < BASE_ARRAY_LEN(policy); k++) {
		uint64_t busy;
		struct shard t;

		shard_policy(&t, policy[k]);
		shard_sleep(&t, 100);
		assert_int_equal(store_cold(t.s), 0); // empty
		for (uint64_t i = 0; i < 100000; i++) {
			t.now.mono_us += 100; // the shard turns over in about 2 s
			t.now.wall_s = 1700000000 + t.now.mono_us / 1000000;
			store_turn(t.s, t.now);
			assert_true(set_for(&t, i, 64, 1000));
			for (unsigned n = 0; n < 2 && i % 2; n++)
				store_touch_access(t.s, shard_find_number(&t, i));
		}
		busy = store_cold(t.s);
		assert_in_range(busy, 400000, 4000000);
		shard_sleep(&t, 100);
		assert_true(store_cold(t.s) > busy * 5);
		store_flush(t.s, 0);
		store_turn(t.s, t.now);
		assert_int_equal(store_cold(t.s), 0);
		shard_close(&t);
	}
}

static void test_samples_are_looked_at(void **state)
{
	struct store_settings set = store_settings_default();
	struct shard t;

	set.samples = 64;
	shard_policy(&t, STORE_ALLKEYS_LRU);
	assert_int_equal(store_settings_set(t.s, &set), 0);
	for (uint64_t i = 0; i < 30000; i++)
		assert_true(set_for(&t, i, 100, 0));
	// 64 samples of about 14,000: hardly any of the newer half goes
	assert_true(found(&t, 30000 - 5000, 30000, 1) > 4990);
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_redis_s),
		cmocka_unit_test(test_bad_settings_change_nothing),
		cmocka_unit_test(test_lfu_keeps_what_is_read_often),
		cmocka_unit_test(test_lfu_counter_grows_with_the_logarithm),
		cmocka_unit_test(test_random_takes_old_and_new_alike),
		cmocka_unit_test(test_volatile_policies_take_what_has_a_deadline),
		cmocka_unit_test(test_volatile_lru_takes_the_idle_of_them),
		cmocka_unit_test(test_volatile_ttl_takes_the_nearest_deadline),
		cmocka_unit_test(test_a_switch_takes_the_present_items_along),
		cmocka_unit_test(test_coldness_is_the_age_of_what_would_go_next),
		cmocka_unit_test(test_samples_are_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
