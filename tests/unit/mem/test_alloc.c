// SPDX-License-Identifier: BSD-3-Clause
// Allocation calls over any back end: sizes, alignment, contents, counters by class, failures.
#include "mem_test.h"

#define SIZE_TOP (3u << 20)

static void each_size_is_aligned_counted_and_wholly_usable(void **state)
{
	struct mem_domain *d = test_domain_open();

	for (size_t size = 1; size < SIZE_TOP; size += 1 + size / 50) {
		size_t usable = 0;
		char *p = mem_try_alloc(d, MEM_ITEMS, size, &usable);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(usable >= size);
		assert_int_equal(usable, mem_usable(d, size));
		assert_int_equal(mem_used(d), usable);
		memset(p, 0xa5, usable);
		mem_free(d, MEM_ITEMS, p, size);
		assert_int_equal(mem_used(d), 0);
	}
	mem_domain_close(d);
}

// jemalloc and tcmalloc align their class of 8 bytes to 8: every second block would be off.
static void neighbouring_small_blocks_are_aligned_too(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *blocks[48];

	for (size_t i = 0; i < 48; i++) {
		blocks[i] = mem_alloc(d, MEM_ITEMS, 1 + i % 16);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
	}
	for (size_t i = 0; i < 48; i++)
		mem_free(d, MEM_ITEMS, blocks[i], 1 + i % 16);
	mem_domain_close(d);
}

static void each_alignment_holds_and_is_counted(void **state)
{
	static const size_t sizes[] = {1, 16, 65, 130, 577, 4096, 5000, 14337, 100000, 2 << 20};
	struct mem_domain *d = test_domain_open();

	for (size_t align = 16; align <= 2 << 20; align *= 2) {
		for (size_t i = 0; i < BASE_ARRAY_LEN(sizes); i++) {
			size_t usable = 0, size = sizes[i];
			char *p = mem_try_alloc_aligned(d, MEM_OTHER, align, size, &usable);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % align, 0);
			assert_true(usable >= size);
			assert_int_equal(mem_used_class(d, MEM_OTHER), usable);
			memset(p, 1, usable);
			mem_free_aligned(d, MEM_OTHER, p, align, i & 1 ? size : usable);
			assert_int_equal(mem_used(d), 0);
		}
	}
	mem_domain_close(d);
}

// A block may be returned with any size from the one asked for to the usable one.
static void free_takes_the_requested_the_usable_and_sizes_between(void **state)
{
	struct mem_domain *d = test_domain_open();

	for (size_t size = 1; size < 100000; size += 1 + size / 9) {
		size_t usable = mem_usable(d, size);
		size_t given[] = {size, size + (usable - size) / 2, usable};

		for (int i = 0; i < 3; i++) {
			void *p = mem_try_alloc(d, MEM_INDEX, size, NULL);

			assert_non_null(p);
			mem_free(d, MEM_INDEX, p, given[i]);
			assert_int_equal(mem_used_class(d, MEM_INDEX), 0);
		}
	}
	mem_domain_close(d);
}

static void calloc_clears_memory_used_before(void **state)
{
	struct mem_domain *d = test_domain_open();

	for (size_t size = 8; size <= 1 << 20; size *= 2) {
		char *p = mem_try_alloc(d, MEM_CONNS, size, NULL);

		memset(p, 0xff, size);
		mem_free(d, MEM_CONNS, p, size);
		p = mem_try_calloc(d, MEM_CONNS, size, NULL);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		mem_free(d, MEM_CONNS, p, size);
	}
	mem_domain_close(d);
}

static void realloc_keeps_contents_and_counts_the_difference(void **state)
{
	struct mem_domain *d = test_domain_open();
	size_t size = 10, usable;
	unsigned char *p = mem_try_alloc(d, MEM_INPUT, size, &usable);
	struct base_rng rng;

	base_rng_seed(&rng, 9);
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)i;
	for (int round = 0; round < 2000; round++) {
		size_t new_size = 1 + base_rng_below(&rng, round % 10 == 0 ? 1 << 20 : 3000);
		size_t kept = base_min_u64(size, new_size);

		p = mem_try_realloc(d, MEM_INPUT, p, round & 1 ? size : usable, new_size, &usable);
		assert_non_null(p);
		assert_true(usable >= new_size);
		assert_int_equal(mem_used_class(d, MEM_INPUT), usable);
		for (size_t i = 0; i < kept; i++)
			if (p[i] != (unsigned char)i)
				fail_msg("byte %zu of %zu lost", i, kept);
		for (size_t i = kept; i < new_size; i++)
			p[i] = (unsigned char)i;
		size = new_size;
	}
	mem_free(d, MEM_INPUT, p, size);
	assert_int_equal(mem_used(d), 0);
	mem_domain_close(d);
}

static void classes_are_counted_apart_and_summed(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *blocks[MEM_CLASSES];
	uint64_t sum = 0;

	for (int c = 0; c < MEM_CLASSES; c++) {
		blocks[c] = mem_try_alloc(d, (enum mem_class)c, 100u << c, NULL);
		sum += mem_usable(d, 100u << c);
	}
	assert_int_equal(mem_used(d), sum);
	for (int c = 0; c < MEM_CLASSES; c++) {
		assert_int_equal(mem_used_class(d, (enum mem_class)c), mem_usable(d, 100u << c));
		mem_free(d, (enum mem_class)c, blocks[c], 100u << c);
		assert_int_equal(mem_used_class(d, (enum mem_class)c), 0);
	}
	mem_domain_close(d);
}

static void sizes_of_zero_and_from_half_the_range_are_refused(void **state)
{
	static const size_t sizes[] = {0, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX - 8, SIZE_MAX};
	struct mem_domain *d = test_domain_open();
	char *p = mem_try_alloc(d, MEM_ITEMS, 50, NULL);
	uint64_t used = mem_used(d);

	memset(p, 'x', 50);
	for (size_t i = 0; i < BASE_ARRAY_LEN(sizes); i++) {
		assert_null(mem_try_alloc(d, MEM_ITEMS, sizes[i], NULL));
		assert_null(mem_try_calloc(d, MEM_ITEMS, sizes[i], NULL));
		assert_null(mem_try_alloc_aligned(d, MEM_ITEMS, 64, sizes[i], NULL));
		assert_null(mem_try_realloc(d, MEM_ITEMS, p, 50, sizes[i], NULL));
		assert_int_equal(mem_usable(d, sizes[i]), 0);
	}
	assert_int_equal(mem_used(d), used);
	assert_int_equal(p[49], 'x');
	mem_free(d, MEM_ITEMS, p, 50);
	mem_domain_close(d);
}

#ifndef MEM_EXACT // the sanitizers' allocators stop the process here
static void more_than_the_system_has_is_refused(void **state)
{
	struct mem_domain *d = test_domain_open();
	char *p = mem_try_alloc(d, MEM_ITEMS, 50, NULL);

	assert_null(mem_try_alloc(d, MEM_ITEMS, SIZE_MAX / 2 - 1, NULL));
	assert_null(mem_try_alloc(d, MEM_ITEMS, (size_t)1 << 50, NULL));
	assert_null(mem_try_realloc(d, MEM_ITEMS, p, 50, (size_t)1 << 50, NULL));
	mem_free(d, MEM_ITEMS, p, 50);
	assert_int_equal(mem_used(d), 0);
	mem_domain_close(d);
}
#endif

struct countdown {
	int left;
};

static bool fail_when_zero(void *arg)
{
	struct countdown *c = arg;

	return c->left-- <= 0;
}

static void injected_failure_leaves_blocks_and_counters_as_they_were(void **state)
{
	struct mem_domain *d = test_domain_open();
	struct countdown c = {.left = 1};
	size_t usable;
	char *p;

	mem_fault_set(d, fail_when_zero, &c);
	p = mem_try_alloc(d, MEM_ITEMS, 100, &usable);
	assert_non_null(p);
	memset(p, 'y', 100);
	assert_null(mem_try_alloc(d, MEM_ITEMS, 100, NULL));
	assert_null(mem_try_calloc(d, MEM_ITEMS, 100, NULL));
	assert_null(mem_try_alloc_aligned(d, MEM_ITEMS, 64, 100, NULL));
	assert_null(mem_try_realloc(d, MEM_ITEMS, p, 100, 5000, NULL));
	assert_int_equal(mem_used(d), usable);
	assert_int_equal(p[99], 'y');
	mem_fault_set(d, NULL, NULL);
	p = mem_try_realloc(d, MEM_ITEMS, p, 100, 5000, NULL);
	assert_non_null(p);
	assert_int_equal(p[99], 'y');
	mem_free(d, MEM_ITEMS, p, 5000);
	mem_domain_close(d);
}

static bool fail_always(void *arg)
{
	return true;
}

static void alloc_for_infrastructure(void)
{
	struct mem_domain *d = test_domain_open();

	mem_fault_set(d, fail_always, NULL);
	mem_alloc(d, MEM_OTHER, 64);
}

static void free_under_another_class(void)
{
	struct mem_domain *d = test_domain_open();

	mem_free(d, MEM_INDEX, mem_try_alloc(d, MEM_ITEMS, 64, NULL), 64);
}

static void close_with_items_left(void)
{
	struct mem_domain *d = test_domain_open();

	mem_alloc(d, MEM_ITEMS, 64);
	mem_domain_close(d);
}

static void misuse_and_lost_infrastructure_stop_the_process(void **state)
{
	assert_true(test_aborts(alloc_for_infrastructure));
	assert_true(test_aborts(free_under_another_class));
	assert_true(test_aborts(close_with_items_left));
}

// Ten thousand blocks live at once, of all classes, replaced at random: the counters always equal
// the sum of what is held.
static void counters_follow_a_random_run(void **state)
{
	struct block {
		void *p;
		size_t size, usable;
		enum mem_class class;
	} *blocks = calloc(10000, sizeof(*blocks));
	struct mem_domain *d = test_domain_open();
	uint64_t want[MEM_CLASSES] = {0};
	struct base_rng rng;

	base_rng_seed(&rng, 21);
	for (int i = 0; i < 100000; i++) {
		struct block *b = &blocks[base_rng_below(&rng, 10000)];

		if (b->p != NULL) {
			mem_free(d, b->class, b->p, b->size);
			want[b->class] -= b->usable;
		}
		b->size = 1 + base_rng_below(&rng, 1 + base_rng_below(&rng, 4000));
		b->class = (enum mem_class)base_rng_below(&rng, MEM_CLASSES);
		b->p = mem_try_alloc(d, b->class, b->size, &b->usable);
		assert_non_null(b->p);
		want[b->class] += b->usable;
	}
	for (int c = 0; c < MEM_CLASSES; c++)
		assert_int_equal(mem_used_class(d, (enum mem_class)c), want[c]);
	for (int i = 0; i < 10000; i++)
		if (blocks[i].p != NULL)
			mem_free(d, blocks[i].class, blocks[i].p, blocks[i].usable);
	assert_int_equal(mem_used(d), 0);
	mem_domain_close(d);
	free(blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_size_is_aligned_counted_and_wholly_usable),
		cmocka_unit_test(neighbouring_small_blocks_are_aligned_too),
		cmocka_unit_test(each_alignment_holds_and_is_counted),
		cmocka_unit_test(free_takes_the_requested_the_usable_and_sizes_between),
		cmocka_unit_test(calloc_clears_memory_used_before),
		cmocka_unit_test(realloc_keeps_contents_and_counts_the_difference),
		cmocka_unit_test(classes_are_counted_apart_and_summed),
		cmocka_unit_test(sizes_of_zero_and_from_half_the_range_are_refused),
#ifndef MEM_EXACT
		cmocka_unit_test(more_than_the_system_has_is_refused),
#endif
		cmocka_unit_test(injected_failure_leaves_blocks_and_counters_as_they_were),
		cmocka_unit_test(misuse_and_lost_infrastructure_stop_the_process),
		cmocka_unit_test(counters_follow_a_random_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
