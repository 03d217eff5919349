// SPDX-License-Identifier: BSD-3-Clause
// Look-ups in batches answer as store_find does, whatever happens between their steps.
#include "store/store_internal.h"
#include "store_test.h"

#define BATCH 100
#define MANY  20000

struct batch {
	char text[BATCH][32];
	struct store_key key[BATCH];
	struct store_look look[BATCH];
};

static void batch_begin(struct shard *t, struct batch *b, uint64_t first)
{
	for (unsigned i = 0; i < BATCH; i++) {
		b->key[i] = shard_key_number(b->text[i], first + i);
		store_look_begin(t->s, b->key[i].hash, &b->look[i]);
	}
}

static struct store_item *batch_find(struct shard *t, const struct batch *b, unsigned i)
{
	return store_look_find(t->s, &b->look[i], b->key[i].key, b->key[i].len);
}

// Returns how many were found.
static unsigned batch_check(struct shard *t, const struct batch *b)
{
	unsigned found = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		struct store_item *it = batch_find(t, b, i);

		assert_ptr_equal(it, shard_find(t, b->text[i]));
		found += it != NULL;
	}
	return found;
}

static void many_set(struct shard *t, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		assert_true(shard_set_number(t, first + i, 8));
}

static void test_finds_items_in_lines_and_in_nodes(void **state)
{
	struct shard t;
	struct batch b;
	unsigned found = 0, unseen = 0;

	shard_open(&t, (struct store_options){0});
	many_set(&t, 0, MANY);
	assert_true(shard_n(&t)->overflow_buckets > 0);
	for (uint64_t k = 0; k < 2 * MANY; k += BATCH) {
		batch_begin(&t, &b, k);
		store_looks_fetch(t.s, b.look, BATCH);
		for (unsigned i = 0; i < BATCH; i++)
			unseen += b.look[i].seen == 0 && k + i < MANY;
		found += batch_check(&t, &b);
	}
	assert_int_equal(found, MANY);
	assert_in_range(unseen, 1, MANY / 8); // those in nodes
	shard_close(&t);
}

static void test_sees_what_grows_and_shrinks_between(void **state)
{
	struct shard t;
	struct batch before, after;
	uint64_t splits;

	shard_open(&t, (struct store_options){0});
	many_set(&t, 0, 1000);
	splits = shard_n(&t)->splits;
	batch_begin(&t, &before, 100);
	batch_begin(&t, &after, 100);
	store_looks_fetch(t.s, before.look, BATCH);
	many_set(&t, 1000, MANY);
	assert_true(shard_n(&t)->splits > splits);
	store_looks_fetch(t.s, after.look, BATCH);
	assert_int_equal(batch_check(&t, &before), BATCH);
	assert_int_equal(batch_check(&t, &after), BATCH);

	batch_begin(&t, &before, 0);
	store_looks_fetch(t.s, before.look, BATCH);
	for (uint64_t i = BATCH / 2; i < 1000 + MANY; i++) {
		struct store_item *it = shard_find_number(&t, i);

		store_delete(t.s, it, store_item_hash(it));
	}
	while (store_step(t.s, 1000))
		;
	assert_true(shard_n(&t)->merges > 0);
	assert_int_equal(batch_check(&t, &before), BATCH / 2);
	shard_close(&t);
}

static void test_sees_what_replaces_an_item(void **state)
{
	struct shard t;
	struct batch b;

	shard_open(&t, (struct store_options){0});
	many_set(&t, 0, BATCH);
	batch_begin(&t, &b, 0);
	store_looks_fetch(t.s, b.look, BATCH);
	assert_non_null(shard_set(&t, "key-1", "another one, of more bytes"));
	store_delete(t.s, shard_find(&t, "key-2"), b.key[2].hash);
	assert_value(batch_find(&t, &b, 1), "another one, of more bytes");
	assert_null(batch_find(&t, &b, 2));
	assert_non_null(shard_set(&t, "key-2", "back"));
	assert_value(batch_find(&t, &b, 2), "back");
	assert_int_equal(batch_check(&t, &b), BATCH);
	shard_close(&t);
}

static void test_a_flush_between_misses(void **state)
{
	struct shard t;
	struct batch b;

	shard_open(&t, (struct store_options){0});
	many_set(&t, 0, MANY);
	batch_begin(&t, &b, 0);
	store_looks_fetch(t.s, b.look, BATCH);
	store_flush(t.s, 0);
	while (store_step(t.s, 1000))
		;
	assert_int_equal(batch_check(&t, &b), 0);
	shard_close(&t);
}

static void test_an_expired_item_goes_when_it_is_found(void **state)
{
	struct shard t;
	struct batch b;

	shard_open(&t, (struct store_options){0});
	assert_non_null(shard_set_for(&t, "key-0", "1", 1, (uint32_t)t.now.wall_s + 1));
	batch_begin(&t, &b, 0);
	store_looks_fetch(t.s, b.look, BATCH);
	assert_non_null(batch_find(&t, &b, 0));
	shard_sleep(&t, 2);
	assert_null(batch_find(&t, &b, 0));
	assert_int_equal(shard_n(&t)->expired, 1);
	assert_int_equal(shard_n(&t)->items, 0);
	shard_close(&t);
}

static void test_keys_of_every_length_are_compared_whole(void **state)
{
	struct shard t;
	char key[251], other[251];
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	for (unsigned len = 1; len <= 250; len++) {
		memset(key, 'k', len);
		key[len] = 0;
		it = shard_set(&t, key, "v");
		assert_true(store_item_has_key(it, key, (uint8_t)len));
		for (unsigned i = 0; i < len; i++) {
			memcpy(other, key, len + 1);
			other[i] ^= 1;
			assert_false(store_item_has_key(it, other, (uint8_t)len));
		}
		assert_false(store_item_has_key(it, key, (uint8_t)(len - 1)));
		assert_ptr_equal(shard_find(&t, key), it);
	}
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_items_in_lines_and_in_nodes),
		cmocka_unit_test(test_sees_what_grows_and_shrinks_between),
		cmocka_unit_test(test_sees_what_replaces_an_item),
		cmocka_unit_test(test_a_flush_between_misses),
		cmocka_unit_test(test_an_expired_item_goes_when_it_is_found),
		cmocka_unit_test(test_keys_of_every_length_are_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
