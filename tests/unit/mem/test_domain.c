// SPDX-License-Identifier: BSD-3-Clause
// Domains over any back end: binding, threads, closing, and the process's figures.
#include <pthread.h>

#include "mem_test.h"

static void blocks_outlive_bind_and_unbind(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *before = mem_alloc(d, MEM_ITEMS, 100), *bound;

	assert_int_equal(mem_domain_bind(d), 0);
	mem_free(d, MEM_ITEMS, before, 100);
	bound = mem_alloc(d, MEM_ITEMS, 100000);
	before = mem_alloc(d, MEM_ITEMS, 100);
	mem_domain_unbind(d);
	mem_free(d, MEM_ITEMS, bound, 100000);
	assert_int_equal(mem_domain_bind(d), 0);
	mem_free(d, MEM_ITEMS, before, 100);
	assert_int_equal(mem_used(d), 0);
	mem_domain_close(d); // while bound
}

static void *allocate_and_end_bound(void *arg)
{
	struct mem_domain *d = arg;
	void **blocks = NULL;

	if (mem_domain_bind(d) < 0)
		return NULL;
	blocks = mem_alloc(d, MEM_ITEMS, 1000 * sizeof(void *));
	for (int i = 0; i < 1000; i++)
		blocks[i] = mem_alloc(d, MEM_ITEMS, 300);
	return blocks;
}

static void domain_of_an_ended_thread_can_be_emptied_and_closed(void **state)
{
	struct mem_domain *d = test_domain_open();
	void **blocks;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, allocate_and_end_bound, d), 0);
	pthread_join(thread, (void **)&blocks);
	assert_non_null(blocks);
	mem_domain_unbind(d);
	for (int i = 0; i < 1000; i++)
		mem_free(d, MEM_ITEMS, blocks[i], 300);
	mem_free(d, MEM_ITEMS, blocks, 1000 * sizeof(void *));
	assert_int_equal(mem_used(d), 0);
	mem_domain_close(d);
}

static void *run_bound(void *arg)
{
	struct mem_domain *d = test_domain_open();
	struct base_rng rng;
	void *blocks[100] = {0};
	size_t sizes[100];

	base_rng_seed(&rng, (uint64_t)(uintptr_t)arg);
	if (mem_domain_bind(d) < 0)
		return NULL;
	for (int i = 0; i < 50000; i++) {
		size_t k = base_rng_below(&rng, 100);

		if (blocks[k] != NULL)
			mem_free(d, MEM_ITEMS, blocks[k], sizes[k]);
		sizes[k] = 1 + base_rng_below(&rng, 20000);
		blocks[k] = mem_alloc(d, MEM_ITEMS, sizes[k]);
	}
	for (int k = 0; k < 100; k++)
		if (blocks[k] != NULL)
			mem_free(d, MEM_ITEMS, blocks[k], sizes[k]);
	mem_domain_close(d);
	return arg;
}

static void domains_of_several_threads_do_not_disturb_each_other(void **state)
{
	pthread_t threads[4];
	void *result;

	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, run_bound, (void *)(i + 1));
	for (uintptr_t i = 0; i < 4; i++) {
		pthread_join(threads[i], &result);
		assert_int_equal((uintptr_t)result, i + 1);
	}
}

struct watch {
	struct mem_domain *d;
	uint64_t low, high;
	int stop;
};

static void *watch_used(void *arg)
{
	struct watch *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		uint64_t used = mem_used_class(w->d, MEM_ITEMS);

		if (used < w->low || used > w->high)
			return w;
	}
	return NULL;
}

static void another_thread_reads_only_counts_that_were_true(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *fixed = mem_alloc(d, MEM_ITEMS, 4096);
	struct watch w = {.d = d, .low = mem_used(d)};
	pthread_t thread;
	void *wrong;

	w.high = w.low + mem_usable(d, 64);
	pthread_create(&thread, NULL, watch_used, &w);
	for (int i = 0; i < 200000; i++)
		mem_free(d, MEM_ITEMS, mem_alloc(d, MEM_ITEMS, 64), 64);
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &wrong);
	assert_null(wrong);
	mem_free(d, MEM_ITEMS, fixed, 4096);
	mem_domain_close(d);
}

static void two_domains_in_one_thread_count_apart(void **state)
{
	struct mem_domain *a = test_domain_open(), *b = test_domain_open();
	void *pa = mem_alloc(a, MEM_ITEMS, 1000), *pb = mem_alloc(b, MEM_ITEMS, 3000);

	assert_int_equal(mem_used(a), mem_usable(a, 1000));
	assert_int_equal(mem_used(b), mem_usable(b, 3000));
	mem_free(a, MEM_ITEMS, pa, 1000);
	assert_int_equal(mem_used(a), 0);
	assert_int_equal(mem_used(b), mem_usable(b, 3000));
	mem_domain_close(a);
	memset(pb, 1, 3000);
	mem_free(b, MEM_ITEMS, pb, 3000);
	mem_domain_close(b);
}

static void a_node_that_exists_or_not_only_changes_preference(void **state)
{
	for (int node = 0; node < 100; node += 99) {
		struct mem_domain *d;

		assert_int_equal(mem_domain_open(&d,
					 &(struct mem_options){.name = "node", .numa_node = node}),
			0);
		assert_int_equal(mem_domain_bind(d), 0);
		mem_free(d, MEM_ITEMS, mem_alloc(d, MEM_ITEMS, 100), 100);
		mem_domain_close(d);
	}
}

static void back_end_is_the_one_built_and_complete(void **state)
{
#if defined(MEM_JEMALLOC)
	const char *prefix = "jemalloc-5.";
#elif defined(MEM_TCMALLOC)
	const char *prefix = "tcmalloc-";
#else
	const char *prefix = "libc";
#endif
	assert_int_equal(strncmp(mem_backend_name(), prefix, strlen(prefix)), 0);
	assert_int_equal(mem_backend_probe(), 0);
}

#ifndef MEM_EXACT // a sanitizer's allocator has no figures
static void process_figures_follow_allocation_and_purge(void **state)
{
	struct mem_domain *d = test_domain_open();
	struct mem_process before, full, after;
	size_t size = 64 << 10;
	void *blocks[1024]; // 64 MiB

	mem_process_read(&before);
	for (int i = 0; i < 1024; i++)
		memset(blocks[i] = mem_alloc(d, MEM_ITEMS, size), 1, size);
	mem_process_read(&full);
	assert_true(full.allocated_bytes >= before.allocated_bytes + mem_used(d));
	assert_true(full.active_bytes >= full.allocated_bytes);
	assert_true(full.resident_bytes >= full.active_bytes);
	assert_true(full.mapped_bytes >= full.active_bytes);
	assert_true(full.rss_bytes >= before.rss_bytes + mem_used(d) * 9 / 10);
	for (int i = 0; i < 1024; i++)
		mem_free(d, MEM_ITEMS, blocks[i], size);
	mem_purge();
	mem_process_read(&after);
	assert_true(after.allocated_bytes < before.allocated_bytes + (1 << 20));
	assert_true(after.rss_bytes < full.rss_bytes - (32 << 20));
	mem_domain_close(d);
}
#endif

#ifdef MEM_JEMALLOC
// Of a thread that frees and then does nothing more.
static void pages_of_other_arenas_decay_in_steps(void **state)
{
	struct mem_domain *d = test_domain_open();
	struct mem_process full, after;
	size_t size = 64 << 10;
	void *blocks[512]; // 32 MiB

	assert_int_equal(mem_decay_set(200, 0), 0);
	for (int i = 0; i < 512; i++)
		memset(blocks[i] = mem_alloc(d, MEM_ITEMS, size), 1, size);
	mem_process_read(&full);
	for (int i = 0; i < 512; i++)
		mem_free(d, MEM_ITEMS, blocks[i], size);
	for (int step = 0; step < 5; step++) {
		usleep(100000);
		mem_decay_step();
	}
	mem_process_read(&after);
	assert_true(after.rss_bytes < full.rss_bytes - (16 << 20));
	assert_int_equal(mem_decay_set(10000, 0), 0);
	mem_domain_close(d);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_outlive_bind_and_unbind),
		cmocka_unit_test(domain_of_an_ended_thread_can_be_emptied_and_closed),
		cmocka_unit_test(domains_of_several_threads_do_not_disturb_each_other),
		cmocka_unit_test(another_thread_reads_only_counts_that_were_true),
		cmocka_unit_test(two_domains_in_one_thread_count_apart),
		cmocka_unit_test(a_node_that_exists_or_not_only_changes_preference),
		cmocka_unit_test(back_end_is_the_one_built_and_complete),
#ifndef MEM_EXACT
		cmocka_unit_test(process_figures_follow_allocation_and_purge),
#endif
#ifdef MEM_JEMALLOC
		cmocka_unit_test(pages_of_other_arenas_decay_in_steps),
#endif
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
