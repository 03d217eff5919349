// SPDX-License-Identifier: BSD-3-Clause
// A jemalloc arena over a page source: exact counters under random load, memory that comes back,
// nothing that the request path waits for, an end of the region.
#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "mem_test.h"

#define MIB    ((uint64_t)1 << 20)
#define BLOCKS 4000

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t huge_free(void)
{
	struct mem_machine m;

	return mem_machine_read(&m, "") == 0 ? m.huge_free[0] : 0;
}

static struct mem_domain *domain_open(enum mem_source_kind kind, uint64_t region_bytes)
{
	struct mem_domain *d = NULL;

	assert_int_equal(mem_domain_open(&d,
				 &(struct mem_options){.name = "test",
					 .numa_node = -1,
					 .source = kind,
					 .region_bytes = region_bytes,
					 .ahead_bytes = 4 * MIB,
					 .dirty_decay_ms = 1,
					 .now_ns = clock_ns}),
		0);
	return d;
}

struct block {
	char *p;
	size_t size;
};

static void block_change(struct mem_domain *d, struct block *b, struct base_rng *rng)
{
	uint64_t top = base_rng_below(rng, 50) == 0 ? 300000 : 3000;
	size_t size = 1 + base_rng_below(rng, top);

	if (b->p != NULL) {
		assert_int_equal(b->p[0], (char)b->size);
		assert_int_equal(b->p[b->size - 1], (char)b->size);
		mem_free(d, MEM_ITEMS, b->p, b->size);
		b->p = NULL;
	}
	if (base_rng_below(rng, 5) == 0)
		return;
	if (base_rng_below(rng, 4) == 0) {
		b->p = mem_try_calloc(d, MEM_ITEMS, size, NULL);
		assert_non_null(b->p);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(b->p[i], 0);
	} else {
		b->p = mem_try_alloc(d, MEM_ITEMS, size, NULL);
		assert_non_null(b->p);
	}
	b->size = size;
	b->p[0] = b->p[size - 1] = (char)size;
}

static void upkeep(struct mem_domain *d, uint64_t now_us)
{
	mem_domain_upkeep(d, now_us);
	mem_purge_slice(d, now_us);
}

static void blocks_free(struct mem_domain *d, struct block *block, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (block[i].p != NULL) {
			mem_free(d, MEM_ITEMS, block[i].p, block[i].size);
			block[i].p = NULL;
		}
}

// Fills, shrinks and fills again, so that extents travel all the way to the system and back.
static void random_load(struct mem_domain *d)
{
	struct block *block = mem_alloc(d, MEM_OTHER, BLOCKS * sizeof(*block));
	struct base_rng rng;
	uint64_t now_us = 1;

	base_rng_seed(&rng, 11);
	memset(block, 0, BLOCKS * sizeof(*block));
	mem_thread_mark(d);
	for (int i = 0; i < 200000; i++) {
		size_t most = i / 20000 % 2 == 0 ? BLOCKS : BLOCKS / 20;

		if (i % 20000 == 0)
			blocks_free(d, block + most, BLOCKS - most);
		block_change(d, &block[base_rng_below(&rng, most)], &rng);
		now_us += 20;
		upkeep(d, now_us);
		assert_int_equal(mem_held_by_thread(d), mem_used(d));
	}
	blocks_free(d, block, BLOCKS);
	assert_int_equal(mem_held_by_thread(d), mem_used(d));
	mem_free(d, MEM_OTHER, block, BLOCKS * sizeof(*block));
	assert_int_equal(mem_held_by_thread(d), 0);
	assert_int_equal(mem_used(d), 0);
}

static void *load_in_a_thread(void *arg)
{
	struct mem_domain *d = arg;
	struct mem_domain_stats st;
	uint64_t now_us = 1000000000;

	if (mem_domain_bind(d) < 0)
		return NULL;
	random_load(d);
	mem_domain_stats_read(d, &st);
	assert_true(st.returned_bytes > 0);
	mem_domain_unbind(d);
	mem_purge_start(d);
	while (mem_purge_slice(d, now_us) == MEM_SLICE_MORE)
		;
	mem_domain_stats_read(d, &st);
	assert_true(st.held_bytes < 4 * MIB);
	return d;
}

static void load_run(struct mem_domain *d)
{
	pthread_t thread;
	void *ok = NULL;

	assert_int_equal(pthread_create(&thread, NULL, load_in_a_thread, d), 0);
	pthread_join(thread, &ok);
	assert_ptr_equal(ok, d);
	mem_domain_close(d);
}

static uint64_t committed(struct mem_domain *d)
{
	struct mem_domain_stats st;

	mem_domain_stats_read(d, &st);
	return st.committed_bytes;
}

static void what_is_freed_in_pieces_is_handed_on_when_asked_for(void **state)
{
	struct mem_domain *d = domain_open(MEM_SOURCE_PAGES, 0);
	void *large, *less;
	uint64_t before;

	large = mem_alloc(d, MEM_OTHER, 128 << 10);
	less = mem_alloc(d, MEM_OTHER, 40 << 10);
	mem_purge_start(d);
	while (mem_purge_slice(d, 1) == MEM_SLICE_MORE)
		;
	before = committed(d);
	mem_free(d, MEM_OTHER, less, 40 << 10); // neither is of a size that caches keep
	assert_false(mem_purge_ask(d));
	mem_free(d, MEM_OTHER, large, 128 << 10);
	assert_int_equal(mem_purge_slice(d, 2), MEM_SLICE_DONE); // far below what it moves unasked
	assert_int_equal(committed(d), before);
	assert_true(mem_purge_ask(d));
	assert_false(mem_purge_ask(d)); // once: who goes on does not wait for ever
	assert_int_equal(mem_purge_slice(d, 3), MEM_SLICE_MORE);
	assert_true(committed(d) <= before - (128 << 10));
	assert_false(mem_purge_ask(d));
	mem_domain_close(d);
}

// A clock for moves of extents: each asks it twice, so takes two microseconds.
static uint64_t slow_ns;

static uint64_t slow_clock_ns(void)
{
	return slow_ns += 1000;
}

#define PAGES_FREED 16384

// Four blocks of 1 KiB fill a slab of one page. Every other goes, so that none are joined: the most
// extents for their bytes.
static void a_slice_moves_no_more_extents_than_it_has_time_for(void **state)
{
	static void *block[4 * PAGES_FREED];
	struct mem_domain *d = NULL;
	struct base_hist hist;
	uint64_t longest_ns = 0;

	assert_int_equal(mem_domain_open(&d,
				 &(struct mem_options){.name = "test",
					 .numa_node = -1,
					 .source = MEM_SOURCE_PAGES,
					 .now_ns = slow_clock_ns}),
		0);
	assert_int_equal(mem_domain_bind(d), 0);
	for (int i = 0; i < 4 * PAGES_FREED; i++)
		block[i] = mem_alloc(d, MEM_OTHER, 1024);
	for (int i = 0; i < 4 * PAGES_FREED; i++) {
		uint64_t began_ns;

		if (((uintptr_t)block[i] >> 12 & 1) != 0)
			continue;
		mem_free(d, MEM_OTHER, block[i], 1024);
		began_ns = slow_ns;
		mem_purge_slice(d, 1);
		if (i > PAGES_FREED) // it had to learn
			longest_ns = base_max_u64(longest_ns, slow_ns - began_ns);
	}
	mem_work_times_read(d, MEM_WORK_PURGE, &hist);
	assert_in_range(longest_ns, 10000, 60000);
	assert_true(hist.count > 100);
	mem_domain_close(d);
}

// They would purge our arenas never, and be woken for each extent.
static void freeing_wakes_no_thread_of_the_allocators(void **state)
{
	struct mem_domain *d;
	uint64_t runs = 1, epoch = 1;
	size_t len = sizeof(runs);
	bool on = true;

	assert_int_equal(mallctl("background_thread", NULL, NULL, &on, sizeof(on)), 0);
	d = domain_open(MEM_SOURCE_PAGES, 0);
	assert_int_equal(mem_domain_bind(d), 0);
	for (int i = 0; i < 1000; i++) {
		mem_free(d, MEM_OTHER, mem_alloc(d, MEM_OTHER, 100000), 100000);
		mem_purge_slice(d, (uint64_t)i);
		if (i % 100 == 0)
			usleep(1000);
	}
	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	assert_int_equal(mallctl("stats.background_thread.num_runs", &runs, &len, NULL, 0), 0);
	assert_int_equal(runs, 0);
	mem_domain_close(d);
}

static void counters_equal_the_threads_own_over_kernel_pages(void **state)
{
	load_run(domain_open(MEM_SOURCE_PAGES, 0));
}

static void counters_equal_the_threads_own_over_hugepages(void **state)
{
	uint64_t before = test_huge_held();

	if (huge_free() < 64)
		skip();
	load_run(domain_open(MEM_SOURCE_HUGE, 128 * MIB));
	assert_int_equal(test_huge_held(), before);
}

static void the_source_accounts_for_what_the_arena_has(void **state)
{
	struct mem_domain *d = domain_open(MEM_SOURCE_PAGES, 0);
	struct mem_process process;
	struct mem_domain_stats st;
	void *small[1000], *large = mem_alloc(d, MEM_ITEMS, 5 * MIB);

	for (int i = 0; i < 1000; i++)
		small[i] = mem_alloc(d, MEM_ITEMS, 500);
	mem_process_read(&process);
	mem_domain_stats_read(d, &st);
	assert_true(st.allocated_bytes >= mem_used(d));
	assert_int_equal(st.committed_bytes, st.active_bytes + st.dirty_bytes);
	assert_true(st.held_bytes >= st.committed_bytes);
	assert_int_equal(st.held_bytes, st.committed_bytes + st.ready_bytes + st.stale_bytes);
	assert_true(st.taken_bytes <= st.region_bytes);
	mem_free(d, MEM_ITEMS, large, 5 * MIB);
	for (int i = 0; i < 1000; i++)
		mem_free(d, MEM_ITEMS, small[i], 500);
	mem_domain_close(d);
}

// A write of 1 MiB a millisecond with upkeep in between never waits for the system.
static void growth_at_a_steady_pace_is_never_late(void **state)
{
	struct mem_domain *d = domain_open(MEM_SOURCE_PAGES, 0);
	static struct block block[6400];
	struct mem_domain_stats st;
	struct base_hist hist;

	for (int i = 0; i < 6400; i++) {
		block[i].size = 10000;
		block[i].p = mem_alloc(d, MEM_ITEMS, 10000);
		if (i % 100 == 0)
			while (mem_domain_upkeep(d, (uint64_t)i) == MEM_SLICE_MORE)
				;
	}
	mem_domain_stats_read(d, &st);
	assert_int_equal(st.late_commits, 0);
	mem_hook_times_read(d, &hist);
	assert_true(hist.count > 0);
	blocks_free(d, block, 6400);
	mem_domain_close(d);
}

static void the_end_of_a_region_answers_null_and_memory_comes_back(void **state)
{
	struct mem_domain *d = domain_open(MEM_SOURCE_PAGES, 16 * MIB);
	void *p[4096];
	size_t n = 0, again = 0;

	while (n < 4096 && (p[n] = mem_try_alloc(d, MEM_ITEMS, 8000, NULL)) != NULL)
		n++;
	assert_in_range(n * 8192, 14 * MIB, 16 * MIB);
	assert_null(mem_try_alloc(d, MEM_ITEMS, 8000, NULL));
	for (size_t i = 0; i < n; i++)
		mem_free(d, MEM_ITEMS, p[i], 8000);
	while (again < 4096 && (p[again] = mem_try_alloc(d, MEM_ITEMS, 100000, NULL)) != NULL)
		again++;
	assert_in_range(again * 114688, 12 * MIB, 16 * MIB);
	for (size_t i = 0; i < again; i++)
		mem_free(d, MEM_ITEMS, p[i], 100000);
	mem_domain_close(d);
}

static void bins_add_up(void **state)
{
	struct mem_domain *d = domain_open(MEM_SOURCE_PAGES, 0);
	struct mem_bin bin[MEM_BINS];
	struct mem_process process;
	struct mem_domain_stats st;
	uint64_t frag = 0;
	void *p[1000];
	unsigned n;

	assert_int_equal(mem_domain_bind(d), 0);
	for (int i = 0; i < 1000; i++)
		p[i] = mem_alloc(d, MEM_ITEMS, 200); // 224: slabs of 128
	for (int i = 0; i < 1000; i++)
		if (i % 4 != 0)
			mem_free(d, MEM_ITEMS, p[i], 200);
	mem_domain_unbind(d); // empties the thread's cache
	mem_process_read(&process);
	mem_domain_stats_read(d, &st);
	n = mem_bins_read(d, bin);
	assert_int_equal(n, MEM_BINS);
	for (unsigned i = 0; i < n; i++) {
		frag += bin[i].frag_bytes;
		assert_int_equal(bin[i].slab_bytes / bin[i].region_bytes, bin[i].slab_regions);
		if (bin[i].region_bytes != 224)
			continue;
		assert_int_equal(bin[i].regions, 250);
		assert_in_range(bin[i].slabs, 8, 10);
		assert_true(bin[i].nonfull_slabs > 0);
		assert_true(bin[i].frag_bytes >= (8 * 128 - 250) * 224);
	}
	assert_int_equal(frag, st.small_frag_bytes);
	assert_true(process.small_frag_bytes >= frag);
	for (int i = 0; i < 1000; i += 4)
		mem_free(d, MEM_ITEMS, p[i], 200);
	mem_domain_close(d);
}

static void other_arenas_decay_and_ours_do_not(void **state)
{
	struct mem_domain *plain = test_domain_open(), *d = domain_open(MEM_SOURCE_PAGES, 0);
	ssize_t ms = 0;
	size_t len = sizeof(ms);
	char *p = mem_alloc(d, MEM_ITEMS, 100), *q = mem_alloc(plain, MEM_ITEMS, 100);
	char name[64];
	unsigned arena;

	assert_int_equal(mem_decay_set(1234, 0), 0);
	for (int i = 0; i < 2; i++) {
		size_t n = sizeof(arena);

		assert_int_equal(mallctl("arenas.lookup", &arena, &n,
					 i == 0 ? (void *)&p : (void *)&q, sizeof(p)),
			0);
		snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", arena);
		assert_int_equal(mallctl(name, &ms, &len, NULL, 0), 0);
		assert_int_equal(ms, i == 0 ? -1 : 1234);
	}
	mem_decay_set(10000, 0);
	mem_purge();
	mem_free(d, MEM_ITEMS, p, 100);
	mem_free(plain, MEM_ITEMS, q, 100);
	mem_domain_close(d);
	mem_domain_close(plain);
}

static void arenas_over_sources_come_and_go(void **state)
{
	for (int i = 0; i < 300; i++) {
		struct mem_domain *d = domain_open(MEM_SOURCE_PAGES, 8 * MIB);
		void *p = mem_alloc(d, MEM_ITEMS, 300000);

		mem_alloc(d, MEM_OTHER, 5000);
		mem_free(d, MEM_ITEMS, p, 300000);
		mem_domain_close(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_freed_in_pieces_is_handed_on_when_asked_for),
		cmocka_unit_test(a_slice_moves_no_more_extents_than_it_has_time_for),
		cmocka_unit_test(freeing_wakes_no_thread_of_the_allocators),
		cmocka_unit_test(counters_equal_the_threads_own_over_kernel_pages),
		cmocka_unit_test(counters_equal_the_threads_own_over_hugepages),
		cmocka_unit_test(the_source_accounts_for_what_the_arena_has),
		cmocka_unit_test(growth_at_a_steady_pace_is_never_late),
		cmocka_unit_test(the_end_of_a_region_answers_null_and_memory_comes_back),
		cmocka_unit_test(bins_add_up),
		cmocka_unit_test(other_arenas_decay_and_ours_do_not),
		cmocka_unit_test(arenas_over_sources_come_and_go),
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
