// SPDX-License-Identifier: BSD-3-Clause
// Items in one block and in two: every size keeps its bytes, takes what is counted for it, and
// wastes little.
#include "store_test.h"

#define HEADER    24u
#define KEY       "12345678901234567890"
#define KEY_BYTES 20u

static char byte_of(uint32_t i)
{
	return (char)(i * 7 + (i >> 8));
}

static char *value_make(uint32_t bytes)
{
	char *value = malloc(bytes + 1);

	for (uint32_t i = 0; i < bytes; i++)
		value[i] = byte_of(i);
	return value;
}

// Set, read, deleted; what it takes is what was counted.
static void size_check(struct shard *t, const char *value, uint32_t bytes, uint32_t client_flags)
{
	struct store_key k = shard_key(KEY);
	uint64_t used = mem_used_class(t->mem, MEM_ITEMS), slack = mem_slack(t->mem);
	struct store_memory m;
	struct store_item *it;

	assert_int_equal(store_reserve(t->s, &k, client_flags, 0, bytes, &it), STORE_OK);
	for (uint32_t at = 0, n; at < bytes; at += n) {
		n = (uint32_t)base_min_u64(bytes - at, at % 3 ? 1460 : 77);
		store_value_write(it, at, value + at, n);
	}
	m = store_item_memory(t->s, it);
	assert_int_equal(mem_used_class(t->mem, MEM_ITEMS), used + m.held_bytes);
	assert_int_equal(mem_slack(t->mem), slack + m.held_bytes - m.asked_bytes);
	store_commit(t->s, it, k.hash, 0);
	assert_int_equal(shard_n(t)->item_bytes, m.held_bytes);
	assert_value_bytes(it, value);
	assert_memory_equal(store_item_key(it), KEY, KEY_BYTES);
	assert_int_equal(store_item_client_flags(it), client_flags);
	store_delete(t->s, it, k.hash);
	assert_int_equal(mem_used_class(t->mem, MEM_ITEMS), used);
	assert_int_equal(mem_slack(t->mem), slack);
}

static void test_every_size_about_every_class_comes_back(void **state)
{
	struct store_settings set;
	struct shard t;
	char *value = value_make(1 << 20);

	shard_open(&t, (struct store_options){.item_bytes_max = 2 << 20});
	set = store_settings_get(t.s);
	set.lazyfree = 0;
	assert_int_equal(store_settings_set(t.s, &set), 0);
	for (uint64_t class = 64; class <= 1 << 20; class = mem_size_round(class + 1)) {
		uint64_t step = mem_size_step(class + 1);

		// about the class itself, and where a second piece of each class begins and ends
		for (uint64_t rest = 0; rest < step;
			rest = rest < 8 ? 8 : mem_size_round(rest + 1)) {
			for (uint64_t item = class + rest - 9; item <= class + rest + 9; item++) {
				if (item < HEADER + KEY_BYTES || item > 1 << 20)
					continue;
				size_check(&t, value, (uint32_t)(item - HEADER - KEY_BYTES), 0);
				if (item >= HEADER + 4 + KEY_BYTES)
					size_check(&t, value,
						(uint32_t)(item - HEADER - 4 - KEY_BYTES), 7);
			}
		}
	}
	free(value);
	shard_close(&t);
}

struct waste {
	uint64_t asked, taken; // of items of 1 to 14 KiB
};

// With the page that large blocks have more.
static void waste_check(
	struct waste *w, uint64_t item_bytes, const struct store_memory *m, uint32_t tail_bytes)
{
#ifdef MEM_JEMALLOC
	uint64_t one = mem_size_taken(item_bytes), taken = m->held_bytes;

	taken += item_bytes > 2 * MEM_SMALL_MAX - 8 ||
			(tail_bytes == 0 && item_bytes > MEM_SMALL_MAX)
		? 4096
		: 0;
	taken += tail_bytes > MEM_SMALL_MAX ? 4096 : 0;
	assert_true(taken <= one);
	assert_int_equal(tail_bytes > 0,
		taken <= one - base_max_u64(32, one / (item_bytes > 4096 ? 32 : 16)));
	if (item_bytes > 1024 && item_bytes <= MEM_SMALL_MAX) {
		assert_true(taken * 100 <= item_bytes * 109);
		w->asked += item_bytes;
		w->taken += taken;
	} else if (item_bytes > MEM_SMALL_MAX && item_bytes <= 2 * MEM_SMALL_MAX - 8) {
		assert_true(taken * 100 <= item_bytes * 110);
	}
#else
	(void)w, (void)item_bytes, (void)m, (void)tail_bytes;
#endif
}

static void test_two_pieces_only_where_they_save(void **state)
{
	struct waste waste = {0};
	struct shard t;

	shard_open(&t, (struct store_options){0});
	for (uint32_t bytes = 0; bytes < 140000; bytes += bytes < 5000 ? 1 : 97) {
		struct store_item *it = shard_set_for(&t, KEY, NULL, bytes, 0);
		uint64_t item_bytes = HEADER + KEY_BYTES + bytes;
		bool split = it->bits & STORE_ITEM_SPLIT;
		struct store_memory m = store_item_memory(t.s, it);
		struct store_span span[2];

		store_value_spans(it, span);
		assert_int_equal(split, span[1].bytes > 0);
		assert_int_equal(m.asked_bytes, item_bytes + (split ? 8 : 0));
		if (item_bytes <= 320)
			assert_false(split);
		waste_check(&waste, item_bytes, &m, span[1].bytes);
	}
	assert_true(waste.taken * 1000 <= waste.asked * 1025);
	shard_close(&t);
}

// An append of any length to any length, within the memory that there is or with another tail.
static void test_a_value_that_grows_keeps_its_bytes_and_its_count(void **state)
{
	struct store_settings set;
	char *value = value_make(400000);
	uint32_t moved = 0, kept = 0;
	struct base_rng rng;
	struct shard t;

	base_rng_seed(&rng, 3);
	shard_open(
		&t, (struct store_options){.policy = STORE_ALLKEYS_S3FIFO, .limit_bytes = 8 << 20});
	set = store_settings_get(t.s);
	set.lazyfree = 0;
	assert_int_equal(store_settings_set(t.s, &set), 0);
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t bytes = (uint32_t)base_rng_below(&rng, 1 << (6 + round % 12));
		struct store_item *it = shard_set_for(&t, KEY, value, bytes, 0);

		for (unsigned i = 0; i < 10; i++) {
			uint32_t more = bytes + (uint32_t)base_rng_below(&rng, bytes / 16 + 20);
			uint64_t slack = mem_slack(t.mem);
			struct store_memory had = store_item_memory(t.s, it), has;

			if (!store_value_resize(t.s, it, more))
				break;
			store_value_write(it, bytes, value + bytes, more - bytes);
			bytes = more;
			assert_value_bytes(it, value);
			has = store_item_memory(t.s, it);
			moved += has.held_bytes != had.held_bytes;
			kept++;
			assert_int_equal(shard_n(&t)->item_bytes, has.held_bytes);
			assert_int_equal(mem_used_class(t.mem, MEM_ITEMS), has.held_bytes);
			assert_int_equal(mem_slack(t.mem) - slack,
				has.held_bytes - has.asked_bytes -
					(had.held_bytes - had.asked_bytes));
			assert_int_equal(shard_n(&t)->small_bytes,
				shard_n(&t)->small_items ? has.held_bytes : 0);
		}
	}
	assert_true(moved <= kept);
#ifdef MEM_JEMALLOC
	assert_true(kept > 3000 && moved > 500);
#endif
	assert_true(shard_n(&t)->evicted == 0);
	free(value);
	shard_close(&t);
}

static void test_a_value_is_shifted_over_the_break(void **state)
{
	struct shard t;
	char *value = value_make(4000), expected[4000];

	shard_open(&t, (struct store_options){0});
	for (uint32_t bytes = 280; bytes < 4000; bytes += bytes % 64 < 8 ? 1 : 13) {
		struct store_item *it = shard_set_for(&t, KEY, value, bytes, 0);
		struct store_span span[2];
		uint32_t shift[] = {0, 1, 7, 8, 31, bytes / 2, bytes - 9, bytes};

		store_value_spans(it, span);
		for (unsigned i = 0; i < BASE_ARRAY_LEN(shift); i++) {
			store_value_write(it, 0, value, bytes);
			memcpy(expected, value, bytes);
			memmove(expected + shift[i], expected, bytes - shift[i]);
			store_value_shift(it, shift[i], bytes - shift[i]);
			assert_value_bytes(it, expected);
		}
		store_value_fill(it, span[0].bytes - 3, 'x', bytes - span[0].bytes + 3);
		memset(expected + span[0].bytes - 3, 'x', bytes - span[0].bytes + 3);
		assert_value_bytes(it, expected);
	}
	free(value);
	shard_close(&t);
}

static bool fail_second(void *arg)
{
	unsigned *n = arg;

	return ++*n == 2;
}

static bool fail_all(void *arg)
{
	(void)arg;
	return true;
}

static void test_without_the_second_piece_there_is_no_first(void **state)
{
	struct store_key k = shard_key(KEY);
	struct store_item *it;
	struct shard t;
	unsigned n = 0;
	char *value = value_make(1200);

	shard_open(&t, (struct store_options){0});
	shard_set(&t, "other", "value"); // has brought the spare line
	it = shard_set_for(&t, KEY, value, 1000, 0);
	assert_true(it->bits & STORE_ITEM_SPLIT);
	mem_fault_set(t.mem, fail_second, &n);
	assert_int_equal(store_reserve(t.s, &k, 0, 0, 1000, &it), STORE_NO_MEMORY);
	assert_true(n >= 2);
	assert_null(it);
	mem_fault_set(t.mem, fail_all, NULL);
	it = shard_find(&t, KEY);
	assert_false(store_value_resize(t.s, it, 1100)); // a larger tail
	mem_fault_set(t.mem, NULL, NULL);
	assert_int_equal(it->value_bytes, 1000);
	assert_value_bytes(it, value);
	assert_int_equal(shard_n(&t)->item_bytes, mem_used_class(t.mem, MEM_ITEMS));
	free(value);
	shard_close(&t);
}

// A growing tail makes room below the limit, and never at the cost of its own item.
static void test_a_growing_tail_evicts_others(void **state)
{
	struct shard t;
	uint32_t bytes = 100000;

	shard_open(
		&t, (struct store_options){.limit_bytes = 1 << 20, .policy = STORE_ALLKEYS_RANDOM});
	assert_non_null(shard_set_for(&t, KEY, NULL, bytes, 0));
	for (uint64_t i = 0; shard_n(&t)->evicted == 0; i++)
		assert_true(shard_set_number(&t, i, 500));
	for (uint64_t i = 0; i < 20; i++) {
		struct store_item *it = shard_find(&t, KEY);

		if (!it) // evicted by the sets above or below
			it = shard_set_for(&t, KEY, NULL, bytes = 100000, 0);
		if (store_value_resize(t.s, it, bytes + 600)) {
			assert_ptr_equal(shard_find(&t, KEY), it);
			bytes += 600;
		}
		assert_true(shard_used(&t) <= 1 << 20);
		for (uint64_t j = 0; j < 10; j++)
			assert_true(shard_set_number(&t, 10000 + i * 10 + j, 500));
	}
	shard_close(&t);
}

// Head and tail wait in the queue together.
static void test_both_pieces_are_freed_lazily(void **state)
{
	struct store_key k = shard_key(KEY);
	struct store_item *it;
	struct shard t;
	uint64_t held;

	shard_open(&t, (struct store_options){0});
	it = shard_set_for(&t, KEY, NULL, 100000, 0);
	assert_true(it->bits & STORE_ITEM_SPLIT);
	held = store_item_memory(t.s, it).held_bytes;
	assert_true(store_ref(t.s, it));
	store_delete(t.s, it, k.hash);
	assert_int_equal(shard_n(&t)->pinned_bytes, held);
	store_unref(t.s, it);
	assert_int_equal(shard_n(&t)->pinned_bytes, 0);
	assert_int_equal(shard_n(&t)->lazyfree_pending_bytes, held);
	assert_int_equal(mem_used_class(t.mem, MEM_ITEMS), held);
	store_step(t.s, 32);
	assert_int_equal(shard_n(&t)->lazyfree_pending_bytes, 0);
	assert_int_equal(mem_used_class(t.mem, MEM_ITEMS), 0);
	it = shard_set_for(&t, KEY, NULL, 100000, 0);
	assert_non_null(it);
	shard_close(&t); // what waits, or lives, goes with the store
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size_about_every_class_comes_back),
		cmocka_unit_test(test_two_pieces_only_where_they_save),
		cmocka_unit_test(test_a_value_that_grows_keeps_its_bytes_and_its_count),
		cmocka_unit_test(test_a_value_is_shifted_over_the_break),
		cmocka_unit_test(test_without_the_second_piece_there_is_no_first),
		cmocka_unit_test(test_a_growing_tail_evicts_others),
		cmocka_unit_test(test_both_pieces_are_freed_lazily),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
