// SPDX-License-Identifier: BSD-3-Clause
// What who moves blocks is told, and the moving.
#include <errno.h>

#include "mem_test.h"

#define BLOCKS 4096u

static bool arenas(void)
{
	return strncmp(mem_backend_name(), "jemalloc", 8) == 0;
}

static void test_a_bin_says_which_slabs_are_worth_emptying(void **state)
{
	struct mem_bin b = {.region_bytes = 64, .slab_bytes = 4096, .slab_regions = 64};

	assert_int_equal(mem_bin_sparse(&b), 0); // there are none
	b.slabs = 11;
	b.regions = 11 * 64;
	assert_int_equal(mem_bin_sparse(&b), 0); // none has room
	// One being filled, 2 full, 8 of 16 blocks each: up to 18 of 64.
	b.nonfull_slabs = 8;
	b.regions = 32 + 2 * 64 + 8 * 16;
	assert_int_equal(mem_bin_sparse(&b), 18 * 256 / 64 + 1);
	// Nearly full: never above a full one.
	b.regions = 32 + 2 * 64 + 8 * 63;
	assert_int_equal(mem_bin_sparse(&b), 255);
	// The figures of two moments: no sense, and no harm.
	b.regions = 1;
	assert_in_range(mem_bin_sparse(&b), 1, 256 / 8);
	// Two to a slab: one of them is in use wherever there is room.
	b = (struct mem_bin){.region_bytes = 14336,
		.slab_bytes = 28672,
		.slab_regions = 2,
		.slabs = 10,
		.nonfull_slabs = 9,
		.regions = 10};
	assert_in_range(mem_bin_sparse(&b), 128, 255);
}

static void test_a_slab_is_compared_with_its_bin(void **state)
{
	struct mem_bin bin[MEM_BINS];
	unsigned n = mem_bins_read(NULL, bin);

	for (unsigned i = 0; i < n; i++) {
		uint8_t sparse[MEM_BINS] = {0};
		struct mem_slab slab = {.blocks = bin[i].slab_regions, .bytes = bin[i].slab_bytes};

		sparse[i] = 128;
		assert_false(mem_slab_is_sparse(&slab, sparse)); // full
		if (slab.blocks == 1)
			continue;
		slab.free = 1;
		assert_int_equal(mem_slab_is_sparse(&slab, sparse), slab.blocks == 2);
		slab.free = (slab.blocks + 1) / 2;
		assert_true(mem_slab_is_sparse(&slab, sparse));
		sparse[i] = 0;
		memset(sparse, 255, i);
		memset(sparse + i + 1, 255, MEM_BINS - i - 1);
		assert_false(mem_slab_is_sparse(&slab, sparse)); // others are
	}
	assert_false(
		mem_slab_is_sparse(&(struct mem_slab){.free = 0, .blocks = 1, .bytes = 1 << 20},
			(uint8_t[MEM_BINS]){255}));
}

static void test_slabs_are_told_for_many_blocks_at_once(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *p[BLOCKS];
	struct mem_slab slab[BLOCKS];
	unsigned with_room = 0;

	for (unsigned i = 0; i < BLOCKS; i++)
		p[i] = mem_try_alloc(d, MEM_ITEMS, i == 7 ? 100000 : 300, NULL);
	if (!arenas()) {
		assert_int_equal(mem_slabs_query(d, p, BLOCKS, slab), -ENOTSUP);
		goto done;
	}
	assert_int_equal(mem_slabs_query(d, p, BLOCKS, slab), 0);
	for (unsigned i = 0; i < BLOCKS; i++) {
		with_room += slab[i].free > 0;
		assert_int_equal(slab[i].blocks > 1, i != 7);
	}
	assert_int_equal(slab[0].bytes / slab[0].blocks, 320);
	assert_true(with_room <= slab[0].blocks);
	assert_true(slab[7].bytes >= 100000);
	assert_int_equal(mem_slabs_query(d, p, 0, slab), 0);
done:
	for (unsigned i = 0; i < BLOCKS; i++)
		mem_free(d, MEM_ITEMS, p[i], i == 7 ? 100000 : 300);
	mem_domain_close(d);
}

static bool fails(void *arg)
{
	return true;
}

static void test_a_block_moves_with_its_bytes_and_uncounted(void **state)
{
	struct mem_domain *d = test_domain_open();
	char *p = mem_try_alloc(d, MEM_ITEMS, 1000, NULL), *moved;
	uint64_t used = mem_used(d), slack = mem_slack(d);

	memset(p, 'x', 1000);
	mem_fault_set(d, fails, NULL);
	assert_null(mem_try_move(d, MEM_ITEMS, p, 1000, NULL));
	mem_fault_set(d, NULL, NULL);
	moved = mem_try_move(d, MEM_ITEMS, p, 1000, NULL);
	assert_non_null(moved);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(moved[i], 'x');
	assert_int_equal(mem_used(d), used);
	assert_int_equal(mem_slack(d), slack);
	mem_free(d, MEM_ITEMS, moved, 1000);
	mem_domain_close(d);
}

static void test_it_stays_where_the_place_would_be_no_better(void **state)
{
	struct mem_domain *d = test_domain_open();
	char *low = mem_try_alloc(d, MEM_ITEMS, 1000, NULL);
	char *p = mem_try_alloc(d, MEM_ITEMS, 1000, NULL), *moved;
	const struct mem_slab slab = {.free = 1, .blocks = 20, .bytes = 20480};

	if (!arenas())
		goto done;
	assert_true(low < p); // of one slab, which is being filled
	assert_null(mem_try_move(d, MEM_ITEMS, p, 1000, &slab));
	assert_null(mem_try_lower(d, MEM_ITEMS, p, 0, 1000, (uintptr_t)p));
	assert_int_equal(mem_used_class(d, MEM_OTHER) % 1024, 0); // kept, and counted
	assert_in_range(mem_used_class(d, MEM_OTHER), 1024, 64 * 1024);
	assert_int_equal(mem_moves_end(d, false, 10), 10);
	assert_int_equal(mem_moves_end(d, true, 1), 0);
	assert_int_equal(mem_moves_end(d, true, 1000) > 0, true);
	assert_int_equal(mem_used_class(d, MEM_OTHER), 0);
	mem_free(d, MEM_ITEMS, low, 1000);
	mem_cache_flush(d); // it is the slab's again
	moved = mem_try_lower(d, MEM_ITEMS, p, 0, 1000, (uintptr_t)p);
	assert_ptr_equal(moved, low);
	assert_int_equal(mem_used_class(d, MEM_OTHER), 1024); // where it was
	assert_int_equal(mem_moves_end(d, false, 1), 0);
	assert_int_equal(mem_moves_end(d, false, 1), 1);
	p = moved;
	low = NULL;
done:
	if (low)
		mem_free(d, MEM_ITEMS, low, 1000);
	mem_free(d, MEM_ITEMS, p, 1000);
	mem_domain_close(d);
}

#define LARGE 16384u

static void blocks_lower(struct mem_domain *d, char **p, unsigned n, uintptr_t mark)
{
	for (uintptr_t top = UINTPTR_MAX, from; top > mark; top = from) {
		from = mem_window(d, mark, top);
		for (unsigned i = 0; i < n; i += 8) {
			char *moved;

			if ((uintptr_t)p[i] < from || (uintptr_t)p[i] >= top)
				continue;
			mem_moves_begin(d);
			moved = mem_try_lower(d, MEM_ITEMS, p[i], 0, LARGE, from);
			p[i] = moved ? moved : p[i];
		}
		assert_int_equal(mem_moves_end(d, false, 10000) > 0, true);
	}
	assert_true(mem_moves_end(d, true, 10000) > 0);
}

// What is left of many blocks, one in 8, lies all over the range: moved below the mark it leaves
// pages empty, and then there is no mark any more.
static void test_above_the_watermark_lies_what_has_room_below(void **state)
{
	struct mem_options opt = {.name = "test",
		.numa_node = -1,
		.source = MEM_SOURCE_PAGES,
		.thp = true,
		.region_bytes = 256 << 20};
	static char *p[6400];
	struct mem_domain *d;
	struct mem_domain_stats before, after;
	uintptr_t mark;

	assert_int_equal(mem_domain_open(&d, &opt), 0);
	assert_int_equal(mem_watermark(d), 0);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(p); i++)
		assert_non_null(p[i] = mem_try_alloc(d, MEM_ITEMS, LARGE, NULL));
	for (unsigned i = 0; i < BASE_ARRAY_LEN(p); i++)
		if (i % 8)
			mem_free(d, MEM_ITEMS, p[i], LARGE);
	mem_cache_flush(d);
	mem_moves_begin(d);
	mem_domain_stats_read(d, &before);
	mark = mem_watermark(d);
	if (arenas()) {
		assert_true(mark > 0);
		blocks_lower(d, p, BASE_ARRAY_LEN(p), mark);
		mem_purge_start(d);
		while (mem_purge_slice(d, 1) == MEM_SLICE_MORE)
			;
		mem_domain_stats_read(d, &after);
		print_message("%lu MiB used, held %lu, after %lu\n",
			(unsigned long)(mem_used(d) >> 20),
			(unsigned long)(before.held_bytes >> 20),
			(unsigned long)(after.held_bytes >> 20));
		assert_true(before.held_bytes > 5 * mem_used(d));
		assert_true(after.held_bytes < mem_used(d) * 2); // of 20 KiB and a page a block
	}
	for (unsigned i = 0; i < BASE_ARRAY_LEN(p); i += 8)
		mem_free(d, MEM_ITEMS, p[i], LARGE);
	mem_domain_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bin_says_which_slabs_are_worth_emptying),
		cmocka_unit_test(test_a_slab_is_compared_with_its_bin),
		cmocka_unit_test(test_slabs_are_told_for_many_blocks_at_once),
		cmocka_unit_test(test_a_block_moves_with_its_bytes_and_uncounted),
		cmocka_unit_test(test_it_stays_where_the_place_would_be_no_better),
		cmocka_unit_test(test_above_the_watermark_lies_what_has_room_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
