// SPDX-License-Identifier: BSD-3-Clause
// Defrag: what it moves, what it leaves alone, and that nobody sees it but the allocator.
#include "store_test.h"

#define KEYS 40000u

// What is left of the units.
static unsigned defrag_step(struct shard *t, unsigned units)
{
	store_work_step(t->s, STORE_WORK_DEFRAG, &units);
	return units;
}

static uint32_t value_bytes_of(uint64_t number)
{
	return (uint32_t)(number * 2654435761u % 1900);
}

static bool value_set(struct shard *t, uint64_t number, uint32_t bytes)
{
	char key[32], value[16384];
	struct store_key k = shard_key_number(key, number);
	struct store_item *it;

	for (uint32_t i = 0; i < bytes; i++)
		value[i] = (char)(number * 7 + i);
	if (store_reserve(t->s, &k, 0, 0, bytes, &it) != STORE_OK)
		return false;
	store_value_write(it, 0, value, bytes);
	store_commit(t->s, it, k.hash, number + 1);
	return true;
}

static void value_check(struct shard *t, uint64_t number, uint32_t bytes)
{
	struct store_item *it = shard_find_number(t, number);
	char value[16384];

	assert_non_null(it);
	assert_int_equal(it->value_bytes, bytes);
	assert_int_equal(it->cas, number + 1);
	for (uint32_t i = 0; i < bytes; i++)
		value[i] = (char)(number * 7 + i);
	assert_value_bytes(it, value);
}

static void number_delete(struct shard *t, uint64_t number)
{
	char key[32];
	struct store_key k = shard_key_number(key, number);

	store_delete(t->s, shard_find_number(t, number), k.hash);
}

// Fills, and leaves one of `parts`.
static void keys_fill(struct shard *t, uint64_t keys, unsigned parts)
{
	for (uint64_t i = 0; i < keys; i++)
		assert_true(value_set(t, i, value_bytes_of(i)));
	for (uint64_t i = 0; i < keys; i++)
		if (base_hash(&i, sizeof(i)) % parts)
			number_delete(t, i);
}

static void fill_sparse(struct shard *t, unsigned parts)
{
	keys_fill(t, KEYS, parts);
}

static void keys_check(struct shard *t, uint64_t keys, unsigned parts)
{
	for (uint64_t i = 0; i < keys; i++)
		if (base_hash(&i, sizeof(i)) % parts == 0)
			value_check(t, i, value_bytes_of(i));
}

static void sparse_check(struct shard *t, unsigned parts)
{
	keys_check(t, KEYS, parts);
}

static bool arenas(void)
{
	return strncmp(mem_backend_name(), "jemalloc", 8) == 0;
}

static double frag_ratio(struct shard *t)
{
	struct mem_process p;
	struct mem_domain_stats st;

	mem_process_read(&p); // makes the figures new
	mem_domain_stats_read(t->mem, &st);
	return mem_frag_ratio(st.small_frag_bytes, st.allocated_bytes);
}

// As the control core makes it: of the arena's bins, or everything where there are none.
static struct store_defrag_plan plan_make(struct shard *t, uint32_t seq)
{
	struct store_defrag_plan plan = {.seq = seq, .all = !arenas()};
	struct mem_bin bin[MEM_BINS];
	struct mem_process p;
	unsigned n;

	mem_process_read(&p);
	n = mem_bins_read(t->mem, bin);
	for (unsigned i = 0; i < n; i++)
		plan.sparse[i] = mem_bin_sparse(&bin[i]);
	return plan;
}

// To its end; returns the slices that it took.
static unsigned pass_run(struct shard *t, const struct store_defrag_plan *plan)
{
	unsigned slices = 0;

	store_defrag_set(t->s, plan);
	while (defrag_step(t, 100) == 0)
		assert_true(++slices < 1000000);
	assert_int_equal(shard_n(t)->defrag_running, 0);
	return slices;
}

static void test_sparse_slabs_are_emptied_and_nothing_else_changes(void **state)
{
	struct shard t;
	struct store_counters before;
	uint64_t used, slack;
	double ratio[5];

	shard_open(&t, (struct store_options){0});
	fill_sparse(&t, 4);
	used = shard_used(&t);
	slack = mem_slack(t.mem);
	before = *shard_n(&t);
	ratio[0] = frag_ratio(&t);
	for (uint32_t pass = 1; pass < 5; pass++) {
		struct store_defrag_plan plan = plan_make(&t, pass);

		pass_run(&t, &plan);
		ratio[pass] = frag_ratio(&t);
		print_message("pass %u: ratio %.3f to %.3f, %lu moved\n", pass, ratio[pass - 1],
			ratio[pass], (unsigned long)shard_n(&t)->defrag_hits);
	}
	assert_true(shard_n(&t)->defrag_hits > KEYS / 16);
	assert_int_equal(shard_n(&t)->defrag_passes, 4);
	assert_int_equal(shard_used(&t), used);
	assert_int_equal(mem_slack(t.mem), slack);
	assert_int_equal(shard_n(&t)->items, before.items);
	assert_int_equal(shard_n(&t)->item_bytes, before.item_bytes);
	if (arenas()) {
		assert_true(ratio[0] > 2);
		assert_true(ratio[2] < 1.1);
	}
	sparse_check(&t, 4);
	shard_close(&t);
}

// The counters of the thread and the domain's, to the byte, past the thread cache or not.
static void test_moves_are_counted_as_the_allocator_counts_them(void **state)
{
	struct shard t;
	struct store_defrag_plan plan = {.seq = 1, .all = 1};

	shard_open(&t, (struct store_options){0});
	assert_int_equal(mem_domain_bind(t.mem), 0);
	fill_sparse(&t, 3);
	mem_thread_mark(t.mem);
	pass_run(&t, &plan);
	assert_int_equal(mem_held_by_thread(t.mem), mem_used(t.mem));
	assert_true(shard_n(&t)->defrag_hits >= shard_n(&t)->items);
	assert_int_equal(shard_n(&t)->defrag_key_hits, shard_n(&t)->items);
	sparse_check(&t, 3);
	mem_domain_unbind(t.mem);
	shard_close(&t);
}

static void test_what_is_read_stays_and_is_looked_at_once_more(void **state)
{
	struct shard t;
	struct store_defrag_plan plan = {.seq = 1, .all = 1};
	struct store_item *held, *other;

	shard_open(&t, (struct store_options){0});
	held = shard_set(&t, "held", "value");
	assert_true(store_ref(t.s, held));
	pass_run(&t, &plan);
	assert_ptr_equal(shard_find(&t, "held"), held);
	assert_value(held, "value");
	assert_int_equal(shard_n(&t)->defrag_key_misses, 2); // the walk's, and the second look's

	// given back between the two
	plan.seq = 2;
	store_defrag_set(t.s, &plan);
	while (shard_n(&t)->defrag_key_misses == 2)
		assert_int_equal(defrag_step(&t, 1), 0);
	store_unref(t.s, held);
	while (defrag_step(&t, 1) == 0)
		;
	other = shard_find(&t, "held");
	assert_ptr_not_equal(other, held);
	assert_value(other, "value");
	shard_close(&t);
}

static void test_a_reserved_item_stays_where_it_is_filled(void **state)
{
	struct shard t;
	struct store_defrag_plan plan = {.seq = 1, .all = 1};
	struct store_key k = shard_key("key");
	struct store_item *it;

	shard_open(&t, (struct store_options){0});
	assert_int_equal(store_reserve(t.s, &k, 0, 0, 5, &it), STORE_OK);
	pass_run(&t, &plan);
	store_value_write(it, 0, "value", 5);
	store_commit(t.s, it, k.hash, 0);
	assert_value(shard_find(&t, "key"), "value");
	shard_close(&t);
}

static void test_a_plan_is_one_pass_and_can_be_stopped(void **state)
{
	struct shard t;
	struct store_defrag_plan plan = {.seq = 1, .all = 1};
	uint64_t hits;

	shard_open(&t, (struct store_options){0});
	fill_sparse(&t, 2);
	pass_run(&t, &plan);
	hits = shard_n(&t)->defrag_hits;
	assert_int_equal(defrag_step(&t, 100), 100); // the same plan: it is done
	store_defrag_set(t.s, &plan);
	assert_int_equal(defrag_step(&t, 100), 100);
	assert_int_equal(shard_n(&t)->defrag_hits, hits);

	plan.seq = 2;
	store_defrag_set(t.s, &plan);
	assert_int_equal(defrag_step(&t, 100), 0);
	assert_int_equal(shard_n(&t)->defrag_running, 1);
	plan.seq = 0;
	store_defrag_set(t.s, &plan);
	assert_int_equal(defrag_step(&t, 100), 100);
	assert_int_equal(shard_n(&t)->defrag_running, 0);
	hits = shard_n(&t)->defrag_hits;
	assert_int_equal(defrag_step(&t, 100), 100);
	assert_int_equal(shard_n(&t)->defrag_hits, hits);
	assert_int_equal(shard_n(&t)->defrag_passes, 1);
	sparse_check(&t, 2);
	shard_close(&t);
}

static void test_a_flush_ends_a_pass(void **state)
{
	struct shard t;
	struct store_defrag_plan plan = {.seq = 1, .all = 1};
	uint64_t hits;

	shard_open(&t, (struct store_options){0});
	fill_sparse(&t, 2);
	store_defrag_set(t.s, &plan);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(defrag_step(&t, 500), 0);
	store_flush(t.s, 0);
	hits = shard_n(&t)->defrag_hits;
	while (defrag_step(&t, 100) == 0)
		;
	assert_int_equal(shard_n(&t)->defrag_hits, hits); // what goes anyway is not moved
	while (store_step(t.s, 1000))
		;
	assert_int_equal(shard_n(&t)->items, 0);
	shard_close(&t);
}

// Free pages go back; returns the bytes that are held.
static uint64_t pages_return(struct shard *t)
{
	struct mem_domain_stats st;

	mem_purge_start(t->mem);
	while (mem_purge_slice(t->mem, t->now.mono_us) == MEM_SLICE_MORE)
		;
	mem_domain_stats_read(t->mem, &st);
	return st.held_bytes;
}

// Large pages: after the slabs' walk nearly all of them hold something; the second empties most.
static void test_in_large_pages_what_lies_high_is_moved_low(void **state)
{
	struct shard t;
	struct mem_domain_stats st;
	uint64_t live, held[6];

	shard_open_large(&t, (struct store_options){0});
	keys_fill(&t, 3 * KEYS, 4);
	live = shard_used(&t);
	for (uint32_t pass = 0; pass < 6; pass++) {
		struct store_defrag_plan plan = plan_make(&t, pass);

		plan.pages = pass > 2;
		if (pass > 0)
			pass_run(&t, &plan);
		held[pass] = pages_return(&t);
		mem_domain_stats_read(t.mem, &st);
		print_message("live %.1f MiB, pages held %.1f, slabs' waste %.1f\n",
			(double)live / 1048576, (double)held[pass] / 1048576,
			(double)st.small_frag_bytes / 1048576);
	}
	if (arenas()) {
		assert_true(held[0] > live * 2);
		assert_true(held[5] < live * 12 / 10 + (4 << 20)); // and what is kept ready
	}
	assert_int_equal(shard_used(&t), live);
	assert_int_equal(mem_used_class(t.mem, MEM_OTHER), 0);
	keys_check(&t, 3 * KEYS, 4);
	shard_close(&t);
}

static uint64_t pages_defrag(struct shard *t)
{
	uint64_t held = pages_return(t);

	for (uint32_t pass = 1; pass < 6; pass++) {
		struct store_defrag_plan plan = plan_make(t, pass);

		plan.pages = pass > 2;
		pass_run(t, &plan);
		held = pages_return(t);
	}
	return held;
}

#define INDEX_KEYS 900000u

static uint32_t short_bytes_of(uint64_t number)
{
	return value_bytes_of(number) % 120;
}

// Of an index that has grown with many items, each segment of 128 KiB lies elsewhere.
static void test_the_index_is_gathered(void **state)
{
	struct shard t;
	uint64_t live, held;

	if (!arenas())
		skip();
	shard_open_large(&t, (struct store_options){0});
	for (uint64_t i = 0; i < INDEX_KEYS; i++)
		assert_true(value_set(&t, i, short_bytes_of(i)));
	for (uint64_t i = 0; i < INDEX_KEYS; i++)
		if (base_hash(&i, sizeof(i)) % 4)
			number_delete(&t, i);
	live = shard_used(&t);
	held = pages_defrag(&t);
	print_message("index: live %.1f MiB, of it %.1f the index, pages held %.1f\n",
		(double)live / 1048576, (double)mem_used_class(t.mem, MEM_INDEX) / 1048576,
		(double)held / 1048576);
	assert_true(held < live * 12 / 10 + (4 << 20));
	for (uint64_t i = 0; i < INDEX_KEYS; i++)
		if (base_hash(&i, sizeof(i)) % 4 == 0)
			value_check(&t, i, short_bytes_of(i));
	shard_close(&t);
}

// While requests go on: what is stored, replaced, deleted meanwhile is what is found.
static void test_requests_go_on_while_pages_are_emptied(void **state)
{
	struct shard t;
	struct base_rng rng;
	const uint64_t keys = 3 * KEYS;
	uint32_t *bytes = calloc(keys, sizeof(*bytes)); // and 1; 0: not there

	base_rng_seed(&rng, 11);
	shard_open_large(&t, (struct store_options){.policy = STORE_ALLKEYS_LRU});
	keys_fill(&t, keys, 4);
	for (uint64_t i = 0; i < keys; i++)
		if (base_hash(&i, sizeof(i)) % 4 == 0)
			bytes[i] = value_bytes_of(i) + 1;
	for (uint32_t pass = 1; pass < 5; pass++) {
		struct store_defrag_plan plan = plan_make(&t, pass);

		plan.pages = true;
		store_defrag_set(t.s, &plan);
		while (defrag_step(&t, 50) == 0) {
			uint64_t i = base_rng_below(&rng, keys);

			mem_purge_slice(t.mem, t.now.mono_us);
			if (bytes[i] > 0) {
				value_check(&t, i, bytes[i] - 1);
				number_delete(&t, i);
			}
			bytes[i] = (uint32_t)base_rng_below(&rng, 3000) + 1;
			assert_true(value_set(&t, i, bytes[i] - 1));
			store_step(t.s, 20);
		}
	}
	for (uint64_t i = 0; i < keys; i++) {
		if (bytes[i] > 0)
			value_check(&t, i, bytes[i] - 1);
		else
			assert_null(shard_find_number(&t, i));
	}
	free(bytes);
	shard_close(&t);
}

static bool fails(void *arg)
{
	(*(unsigned *)arg)++;
	return true;
}

static void test_without_memory_all_stays(void **state)
{
	struct shard t;
	struct store_defrag_plan plan = {.seq = 1, .all = 1};
	unsigned asked = 0;

	shard_open(&t, (struct store_options){0});
	fill_sparse(&t, 2);
	mem_fault_set(t.mem, fails, &asked);
	pass_run(&t, &plan);
	mem_fault_set(t.mem, NULL, NULL);
	assert_true(asked >= shard_n(&t)->items);
	assert_int_equal(shard_n(&t)->defrag_hits, 0);
	assert_int_equal(shard_n(&t)->defrag_passes, 1);
	sparse_check(&t, 2);
	shard_close(&t);
}

// A slice does what it was told, and a little: a batch, and the block that it was at.
static void test_a_slice_is_bounded(void **state)
{
	struct shard t;
	struct store_defrag_plan plan = {.seq = 1, .all = 1};

	shard_open(&t, (struct store_options){0});
	fill_sparse(&t, 1);
	store_defrag_set(t.s, &plan);
	for (;;) {
		uint64_t hits = shard_n(&t)->defrag_hits;

		if (defrag_step(&t, 50) > 0)
			break;
		assert_true(shard_n(&t)->defrag_hits - hits <= 200);
	}
	assert_true(shard_n(&t)->defrag_hits > KEYS);
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_slabs_are_emptied_and_nothing_else_changes),
		cmocka_unit_test(test_moves_are_counted_as_the_allocator_counts_them),
		cmocka_unit_test(test_what_is_read_stays_and_is_looked_at_once_more),
		cmocka_unit_test(test_a_reserved_item_stays_where_it_is_filled),
		cmocka_unit_test(test_a_plan_is_one_pass_and_can_be_stopped),
		cmocka_unit_test(test_a_flush_ends_a_pass),
		cmocka_unit_test(test_in_large_pages_what_lies_high_is_moved_low),
		cmocka_unit_test(test_the_index_is_gathered),
		cmocka_unit_test(test_requests_go_on_while_pages_are_emptied),
		cmocka_unit_test(test_without_memory_all_stays),
		cmocka_unit_test(test_a_slice_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
