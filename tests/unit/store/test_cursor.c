// SPDX-License-Identifier: BSD-3-Clause
#include "store_test.h"

#define MET_MAX 400000

struct met { // how often a walk has met an item, by its number
	uint8_t *times;
	uint64_t all;
};

static void met_open(struct met *m)
{
	m->times = calloc(MET_MAX, 1);
	m->all = 0;
	assert_non_null(m->times);
}

static uint64_t item_number(struct store_item *it)
{
	char key[256] = {0};
	uint64_t n;

	memcpy(key, store_item_key(it), store_item_key_len(it));
	assert_int_equal(sscanf(key, "key-%lu", &n), 1);
	assert_true(n < MET_MAX);
	return n;
}

static unsigned walk_step(struct shard *t, struct store_cursor *c, struct met *m, unsigned want)
{
	struct store_item *it[STORE_CURSOR_ITEMS];
	unsigned n = store_cursor_next(t->s, c, it, want);

	for (unsigned i = 0; i < n; i++) {
		assert_true(it[i]->bits & STORE_ITEM_LINKED);
		m->times[item_number(it[i])]++;
	}
	m->all += n;
	return n;
}

static void assert_met(const struct met *m, uint64_t from, uint64_t end)
{
	for (uint64_t i = from; i < end; i++)
		assert_true(m->times[i] >= 1);
}

static void set_range(struct shard *t, uint64_t from, uint64_t end)
{
	for (uint64_t i = from; i < end; i++)
		assert_true(shard_set_number(t, i, 4));
}

static void delete_number(struct shard *t, uint64_t number)
{
	struct store_item *it = shard_find_number(t, number);
	char buf[32];

	assert_non_null(it);
	store_delete(t->s, it, shard_key_number(buf, number).hash);
}

static void test_each_item_is_met_once_while_nothing_changes(void **state)
{
	static const uint64_t counts[] = {0, 1, 100, 1000, 12345, 100000};

	for (unsigned k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		struct store_cursor c = {0};
		struct shard t;
		struct met m;

		shard_open(&t, (struct store_options){0});
		met_open(&m);
		set_range(&t, 0, counts[k]);
		while (!c.ended)
			assert_true(walk_step(&t, &c, &m, 16) <= 16);
		assert_int_equal(m.all, counts[k]);
		assert_met(&m, 0, counts[k]);
		free(m.times);
		shard_close(&t);
	}
}

// Growth from 20,000 to 300,000 keys: the groups are doubled four times.
static void test_what_stays_is_met_while_the_index_grows(void **state)
{
	struct store_cursor c = {0};
	uint64_t next = 20000;
	struct shard t;
	struct met m;

	shard_open(&t, (struct store_options){0});
	met_open(&m);
	set_range(&t, 0, next);
	while (!c.ended) {
		walk_step(&t, &c, &m, 16);
		for (unsigned i = 0; i < 64 && next < 300000; i++)
			assert_true(shard_set_number(&t, next++, 4));
	}
	assert_true(next > 150000);
	assert_met(&m, 0, 20000);
	free(m.times);
	shard_close(&t);
}

// Nine of ten are deleted on the way, so that the index narrows under the walk.
static void test_what_stays_is_met_while_the_index_narrows(void **state)
{
	for (unsigned pace = 20; pace <= 2000; pace *= 10) {
		struct store_cursor c = {0};
		uint64_t next = 0, merges;
		struct shard t;
		struct met m;

		shard_open(&t, (struct store_options){0});
		met_open(&m);
		set_range(&t, 0, 200000);
		merges = shard_n(&t)->merges;
		while (!c.ended) {
			walk_step(&t, &c, &m, 16);
			for (unsigned i = 0; i < pace && next < 200000; i++, next++)
				if (next % 10)
					delete_number(&t, next);
			store_step(t.s, 64);
		}
		if (pace >= 200)
			assert_true(shard_n(&t)->merges > merges + 1000);
		for (uint64_t i = 0; i < 200000; i += 10)
			assert_int_equal(m.times[i] >= 1, true);
		free(m.times);
		shard_close(&t);
	}
}

// Up and down by turns, with deletes and sets among what stays, by several seeds.
static void test_what_stays_is_met_whatever_else_happens(void **state)
{
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct store_cursor c = {0};
		struct base_rng rng;
		uint64_t begin = 100000, end = begin;
		bool grows = seed & 1;
		struct shard t;
		struct met m;

		base_rng_seed(&rng, seed);
		shard_open(&t, (struct store_options){0});
		met_open(&m);
		set_range(&t, 0, 3000);
		while (!c.ended) {
			unsigned moves = (unsigned)base_rng_below(&rng, 400);

			walk_step(&t, &c, &m, 1 + (unsigned)base_rng_below(&rng, 40));
			if (base_rng_below(&rng, 60) == 0)
				grows = !grows;
			for (unsigned i = 0; i < moves; i++) {
				if (grows && end < MET_MAX - 1)
					assert_true(shard_set_number(&t, end++, 4));
				else if (!grows && begin < end)
					delete_number(&t, begin++);
			}
			store_step(t.s, (unsigned)base_rng_below(&rng, 2000));
		}
		assert_met(&m, 0, 3000);
		free(m.times);
		shard_close(&t);
	}
}

static void test_evictions_and_expiry_between_the_steps_take_no_other_item(void **state)
{
	struct store_cursor c = {0};
	uint64_t next = 100000, missed = 0;
	struct shard t;
	struct met m;

	shard_open(&t, (struct store_options){.limit_bytes = 2 << 20, .policy = STORE_ALLKEYS_LRU});
	met_open(&m);
	for (uint64_t i = 0; i < 20000; i++) {
		char buf[32];

		shard_key_number(buf, i);
		assert_non_null(shard_set_for(
			&t, buf, NULL, 40, i % 3 ? 0 : (uint32_t)(t.now.wall_s + 1 + i % 7)));
	}
	while (!c.ended) {
		walk_step(&t, &c, &m, 16);
		for (unsigned i = 0; i < 30 && next < MET_MAX; i++)
			shard_set_number(&t, next++, 40);
		if (next % 5000 < 30)
			shard_sleep(&t, 1);
		store_step(t.s, 32);
	}
	assert_true(shard_n(&t)->evicted > 1000);
	assert_true(shard_n(&t)->expired > 1000);
	for (uint64_t i = 0; i < 20000; i++)
		if (shard_find_number(&t, i))
			missed += m.times[i] == 0;
	assert_int_equal(missed, 0);
	free(m.times);
	shard_close(&t);
}

static void test_a_flush_between_the_steps_ends_well(void **state)
{
	struct store_cursor c = {0};
	uint64_t before;
	struct shard t;
	struct met m;

	shard_open(&t, (struct store_options){0});
	met_open(&m);
	set_range(&t, 0, 100000);
	while (m.all < 30000)
		walk_step(&t, &c, &m, 16);
	before = m.all;
	store_flush(t.s, 0);
	set_range(&t, 200000, 200500);
	while (!c.ended) {
		walk_step(&t, &c, &m, 16);
		store_step(t.s, 100);
	}
	assert_true(m.all - before <= 500); // only what was set afterwards
	free(m.times);
	shard_close(&t);
}

// Keys of one bucket, with the same parts: the only time that more come than were wanted.
static void test_a_full_bucket_is_met_whole(void **state)
{
	struct store_item *it[STORE_CURSOR_ITEMS];
	struct store_cursor c = {0};
	unsigned total = 0, taken = 0;
	uint64_t first = 0;
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint64_t i = 0; taken < 40; i++) {
		char buf[32];
		uint64_t h = shard_key_number(buf, i).hash;
		uint64_t group = h & 7, tag = h >> 45 & 7;

		if (taken == 0)
			first = group << 8 | tag;
		if ((group << 8 | tag) != first)
			continue;
		taken++;
		assert_true(shard_set_number(&t, i, 4));
	}
	while (!c.ended) {
		unsigned n = store_cursor_next(t.s, &c, it, 2);

		assert_in_range(n, 0, 2);
		total += n;
	}
	assert_int_equal(total, 40);
	shard_close(&t);
}

static void test_cas_numbers_are_raised_in_step(void **state)
{
	struct shard t;

	shard_open(&t, (struct store_options){.cas_first = 2, .cas_step = 3});
	assert_int_equal(store_cas_peek(t.s), 2);
	store_cas_raise(t.s, 1);
	assert_int_equal(store_cas_peek(t.s), 2);
	store_cas_raise(t.s, 2);
	assert_int_equal(store_cas_peek(t.s), 5);
	store_cas_raise(t.s, 100);
	assert_int_equal(store_cas_next(t.s), 101);
	assert_int_equal(store_cas_next(t.s), 104);
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_item_is_met_once_while_nothing_changes),
		cmocka_unit_test(test_what_stays_is_met_while_the_index_grows),
		cmocka_unit_test(test_what_stays_is_met_while_the_index_narrows),
		cmocka_unit_test(test_what_stays_is_met_whatever_else_happens),
		cmocka_unit_test(test_evictions_and_expiry_between_the_steps_take_no_other_item),
		cmocka_unit_test(test_a_flush_between_the_steps_ends_well),
		cmocka_unit_test(test_a_full_bucket_is_met_whole),
		cmocka_unit_test(test_cas_numbers_are_raised_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
