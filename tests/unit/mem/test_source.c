// SPDX-License-Identifier: BSD-3-Clause
// The page source alone: states of pages against a model, upkeep, giving back, a device's calls.
// Hugepage cases are skipped where the machine has none.
#include <errno.h>
#include <sys/mman.h>

#include "mem/mem_source.h"

#include "mem_test.h"

#define MIB ((uint64_t)1 << 20)

static struct mem_source *source_open(struct mem_options opt)
{
	struct mem_source *s = NULL;

	opt.name = "test";
	opt.numa_node = -1;
	return mem_source_open(&s, &opt) == 0 ? s : NULL;
}

static struct mem_source *pages_open(void)
{
	struct mem_source *s = source_open((struct mem_options){
		.source = MEM_SOURCE_PAGES, .region_bytes = 64 * MIB, .ahead_bytes = MIB});

	assert_non_null(s);
	return s;
}

static struct mem_domain_stats stats_of(const struct mem_source *s)
{
	struct mem_domain_stats st = {0};

	mem_source_stats_read(s, &st);
	return st;
}

// Pages of [addr, addr + bytes) that the kernel says are resident.
static size_t resident_pages(void *addr, size_t bytes)
{
	static unsigned char vec[SOURCE_PAGES * 64];
	size_t n = 0;

	assert_true(bytes / SOURCE_PAGE <= sizeof(vec));
	assert_int_equal(mincore(addr, bytes, vec), 0);
	for (size_t i = 0; i < bytes / SOURCE_PAGE; i++)
		n += vec[i] & 1;
	return n;
}

static void opening_makes_pages_ready_ahead(void **state)
{
	struct mem_source *s = pages_open();
	struct mem_domain_stats st = stats_of(s);

	assert_int_equal(st.region_bytes, 64 * MIB);
	assert_true(st.ready_bytes >= MIB);
	assert_int_equal(st.held_bytes, st.ready_bytes);
	assert_int_equal(resident_pages(s->base, s->bytes) * SOURCE_PAGE, st.held_bytes);
	mem_source_close(s);
}

static void taken_addresses_follow_each_other_aligned_until_the_end(void **state)
{
	struct mem_source *s = pages_open();
	char *a = mem_source_take(s, NULL, SOURCE_PAGE, SOURCE_PAGE);
	char *b = mem_source_take(s, NULL, SOURCE_PAGE, 64 << 10);

	assert_ptr_equal(a, s->base);
	assert_int_equal((uintptr_t)b % (64 << 10), 0);
	assert_true(b > a);
	assert_null(mem_source_take(s, a, SOURCE_PAGE, SOURCE_PAGE));
	assert_ptr_equal(
		mem_source_take(s, b + SOURCE_PAGE, SOURCE_PAGE, SOURCE_PAGE), b + SOURCE_PAGE);
	assert_null(mem_source_take(s, NULL, 64 * MIB, SOURCE_PAGE));
	assert_non_null(mem_source_take(s, NULL, 63 * MIB, SOURCE_PAGE));
	assert_null(mem_source_take(s, NULL, 2 * MIB, SOURCE_PAGE));
	mem_source_close(s);
}

#define MODEL_PAGES 4096 // 16 MiB

// Each committed page must read zero, hold what was written to it, and be resident.
static void commit_gives_zeroes_and_counts_as_a_model_says(void **state)
{
	struct mem_source *s = pages_open();
	static uint8_t used[MODEL_PAGES];
	struct base_rng rng;
	uint64_t now_us = 1, used_n = 0;
	char *base = mem_source_take(s, NULL, MODEL_PAGES * SOURCE_PAGE, SOURCE_PAGE);

	assert_non_null(base);
	base_rng_seed(&rng, 5);
	memset(used, 0, sizeof(used));
	for (int i = 0; i < 20000; i++) {
		size_t from = base_rng_below(&rng, MODEL_PAGES), n = 0, most;
		bool was = used[from];

		most = 1 + base_rng_below(&rng, base_rng_below(&rng, 20) == 0 ? 1500 : 40);
		while (n < most && from + n < MODEL_PAGES && used[from + n] == was)
			n++;
		if (was) {
			mem_source_decommit(s, base + from * SOURCE_PAGE, n * SOURCE_PAGE);
			used_n -= n;
		} else {
			assert_int_equal(
				mem_source_commit(s, base + from * SOURCE_PAGE, n * SOURCE_PAGE),
				0);
			used_n += n;
		}
		for (size_t k = from; k < from + n; k++) {
			uint64_t *word = (uint64_t *)(void *)(base + k * SOURCE_PAGE + 512);

			if (!was) {
				assert_int_equal(*word, 0);
				*word = k + 1;
			} else {
				assert_int_equal(*word, k + 1);
			}
			used[k] = !was;
		}
		now_us += 100;
		if (i % 3 == 0)
			mem_source_ready(s, now_us);
		else
			mem_source_return(s, now_us, 5000, i % 1000 < 20);
		assert_int_equal(stats_of(s).committed_bytes, used_n * SOURCE_PAGE);
	}
	assert_int_equal(resident_pages(s->base, s->bytes) * SOURCE_PAGE, stats_of(s).held_bytes);
	assert_true(stats_of(s).returned_bytes > 0);
	mem_source_close(s);
}

static void what_is_ready_is_committed_without_waiting(void **state)
{
	struct mem_source *s = pages_open();
	char *p = mem_source_take(s, NULL, 512 << 10, SOURCE_PAGE);

	assert_int_equal(mem_source_commit(s, p, 512 << 10), 0);
	assert_int_equal(stats_of(s).late_commits, 0);
	p = mem_source_take(s, NULL, 8 * MIB, SOURCE_PAGE);
	assert_int_equal(mem_source_commit(s, p, 8 * MIB), 0);
	assert_int_equal(stats_of(s).late_commits, 1);
	assert_true(stats_of(s).late_bytes >= 5 * MIB);
	mem_source_close(s);
}

static void free_pages_go_back_after_the_decay_time_and_not_before(void **state)
{
	struct mem_source *s = pages_open();
	char *p = mem_source_take(s, NULL, 32 * MIB, SOURCE_PAGE);
	uint64_t now_us = 1000000;

	mem_source_ready(s, now_us);
	assert_int_equal(mem_source_commit(s, p, 32 * MIB), 0);
	mem_source_decommit(s, p, 32 * MIB);
	for (int i = 0; i < 10000; i++)
		mem_source_return(s, now_us + 900000, 1000000, false);
	assert_int_equal(stats_of(s).returned_bytes, 0);
	for (int i = 0; i < 100000; i++)
		mem_source_return(s, now_us + 1100000 + (uint64_t)i * 10, 1000000, false);
	// twice what is kept ahead stays
	assert_in_range(stats_of(s).held_bytes, 2 * MIB - (256 << 10), 2 * MIB);
	while (mem_source_return(s, now_us, 0, true) == MEM_SLICE_MORE)
		;
	assert_int_equal(stats_of(s).held_bytes, 0);
	assert_int_equal(resident_pages(s->base, s->bytes), 0);
	mem_source_close(s);
}

// As under eviction: somewhere in every 2 MiB a page is used and freed all the time. The others are
// free all the same.
static void free_pages_go_back_though_their_neighbours_come_and_go(void **state)
{
	struct mem_source *s = pages_open();
	char *p = mem_source_take(s, NULL, 32 * MIB, SOURCE_PAGE);
	uint64_t now_us = 1000000;

	assert_int_equal(mem_source_commit(s, p, 32 * MIB), 0);
	for (size_t at = 0; at < 32 * MIB; at += 2 * SOURCE_PAGE)
		mem_source_decommit(s, p + at, SOURCE_PAGE);
	for (int ms = 0; ms < 2000; ms++, now_us += 1000) {
		char *one = p + ms % 16 * SOURCE_CHUNK;

		assert_int_equal(mem_source_commit(s, one, SOURCE_PAGE), 0);
		mem_source_decommit(s, one, SOURCE_PAGE);
		mem_source_ready(s, now_us);
		for (int turn = 0; turn < 10; turn++)
			mem_source_return(s, now_us, 1000000, false);
	}
	assert_in_range(stats_of(s).held_bytes, 16 * MIB, 20 * MIB);
	// and are not fetched back
	assert_in_range(stats_of(s).returned_bytes, 12 * MIB, 18 * MIB);
	mem_source_close(s);
}

// What was needed within the decay time may be needed again.
static void pages_that_are_needed_now_and_then_stay(void **state)
{
	struct mem_source *s = pages_open();
	char *p = mem_source_take(s, NULL, 32 * MIB, SOURCE_PAGE);
	uint64_t now_us = 1000000;

	for (int round = 0; round < 10; round++) {
		assert_int_equal(mem_source_commit(s, p, 32 * MIB), 0);
		mem_source_return(s, now_us, 1000000, false);
		mem_source_decommit(s, p, 32 * MIB);
		for (int ms = 0; ms < 800; ms++, now_us += 1000)
			mem_source_return(s, now_us, 1000000, false);
	}
	assert_int_equal(stats_of(s).returned_bytes, 0);
	mem_source_close(s);
}

static void upkeep_with_nothing_to_do_is_done_at_once(void **state)
{
	struct mem_source *s = pages_open();

	assert_int_equal(mem_source_ready(s, 1), MEM_SLICE_DONE);
	assert_int_equal(mem_source_return(s, 1, 0, false), MEM_SLICE_DONE);
	mem_source_close(s);
}

// ---- hugepages ---------------------------------------------------------------------------------
static uint64_t huge_free(void)
{
	struct mem_machine m;
	uint64_t n = 0;

	if (mem_machine_read(&m, "") < 0)
		return 0;
	for (unsigned i = 0; i < m.nodes; i++)
		n += m.huge_free[i];
	return n;
}

struct device {
	uint8_t mapped[64];
	unsigned maps, unmaps, refuse;
	char *base;
};

static int page_map(void *arg, void *addr, size_t bytes)
{
	struct device *dev = arg;

	assert_int_equal(bytes, SOURCE_CHUNK);
	assert_int_equal((uintptr_t)addr % SOURCE_CHUNK, 0);
	if (dev->refuse > 0 && dev->refuse-- > 0)
		return -ENOSPC;
	dev->maps++;
	return 0;
}

static void page_unmap(void *arg, void *addr, size_t bytes)
{
	struct device *dev = arg;

	assert_int_equal(bytes, SOURCE_CHUNK);
	dev->unmaps++;
}

static void hugepages_are_mapped_whole_and_given_back_whole(void **state)
{
	struct device dev = {0};
	uint64_t before = test_huge_held();
	struct mem_source *s;
	char *p;

	if (huge_free() < 16)
		skip();
	s = source_open((struct mem_options){.source = MEM_SOURCE_HUGE,
		.region_bytes = 16 * MIB,
		.ahead_bytes = 2 * MIB,
		.device = {.arg = &dev, .page_map = page_map, .page_unmap = page_unmap}});
	assert_non_null(s);
	p = mem_source_take(s, NULL, 9 * MIB, SOURCE_PAGE);
	assert_int_equal(mem_source_commit(s, p, 9 * MIB), 0);
	memset(p, 1, 9 * MIB);
	assert_int_equal(stats_of(s).huge_bytes, 10 * MIB);
	assert_int_equal(dev.maps, 5);
	mem_source_decommit(s, p + MIB, 7 * MIB); // chunks 1 to 3 whole, parts of 0 and 4
	while (mem_source_return(s, 1, 0, true) == MEM_SLICE_MORE)
		;
	assert_int_equal(dev.unmaps, 3);
	assert_int_equal(stats_of(s).huge_bytes, 4 * MIB);
	assert_int_equal(mem_source_commit(s, p + MIB, MIB), 0);
	for (size_t i = 0; i < MIB; i += 64)
		assert_int_equal(p[MIB + i], 0);
	mem_source_close(s);
	assert_int_equal(dev.unmaps, dev.maps);
	assert_int_equal(test_huge_held(), before);
}

static void with_a_helper_the_owner_only_asks_for_hugepages(void **state)
{
	struct mem_source *s;
	char *p;

	if (huge_free() < 16)
		skip();
	s = source_open((struct mem_options){
		.source = MEM_SOURCE_HUGE, .region_bytes = 16 * MIB, .ahead_bytes = 2 * MIB});
	assert_non_null(s);
	assert_false(mem_source_help(s)); // nothing asked for yet
	p = mem_source_take(s, NULL, 2 * MIB, SOURCE_PAGE);
	assert_int_equal(mem_source_commit(s, p, 2 * MIB), 0);
	assert_int_equal(mem_source_ready(s, 1), MEM_SLICE_DONE);
	assert_int_equal(stats_of(s).held_bytes, 2 * MIB);
	assert_true(mem_source_help(s));
	assert_false(mem_source_help(s));
	assert_int_equal(mem_source_ready(s, 1), MEM_SLICE_MORE);
	assert_int_equal(stats_of(s).ready_bytes, 2 * MIB);
	assert_int_equal(mem_source_ready(s, 1), MEM_SLICE_DONE);
	p = mem_source_take(s, NULL, 2 * MIB, SOURCE_PAGE);
	assert_int_equal(mem_source_commit(s, p, 2 * MIB), 0);
	assert_int_equal(stats_of(s).late_commits, 0);
	mem_source_close(s);
}

static void with_a_helper_kernel_pages_come_by_chunks(void **state)
{
	struct mem_source *s = pages_open();
	char *p = mem_source_take(s, NULL, 32 * MIB, SOURCE_PAGE);
	uint64_t held;

	assert_false(mem_source_help(s));
	assert_int_equal(mem_source_commit(s, p, 4 * MIB), 0);
	held = stats_of(s).held_bytes;
	assert_int_equal(mem_source_ready(s, 1), MEM_SLICE_DONE);
	assert_int_equal(stats_of(s).held_bytes, held);
	// what the owner takes meanwhile and what the helper makes may be the same pages
	assert_int_equal(mem_source_commit(s, p + 4 * MIB, 64 << 10), 0);
	p[4 * MIB] = 77;
	assert_true(mem_source_help(s));
	assert_int_equal(mem_source_ready(s, 1), MEM_SLICE_MORE);
	assert_int_equal(p[4 * MIB], 77);
	assert_int_equal(stats_of(s).held_bytes, 6 * MIB);
	assert_int_equal(resident_pages(s->base, s->bytes) * SOURCE_PAGE, 6 * MIB);
	mem_source_decommit(s, p + 4 * MIB, 64 << 10);
	while (mem_source_return(s, 2, 0, true) == MEM_SLICE_MORE)
		;
	assert_int_equal(resident_pages(s->base, s->bytes) * SOURCE_PAGE, 4 * MIB);
	mem_source_close(s);
}

static void a_device_that_refuses_a_page_fails_the_commit_cleanly(void **state)
{
	struct device dev = {0};
	struct mem_source *s;
	char *p;

	if (huge_free() < 16)
		skip();
	s = source_open((struct mem_options){.source = MEM_SOURCE_HUGE,
		.region_bytes = 16 * MIB,
		.ahead_bytes = 2 * MIB,
		.device = {.arg = &dev, .page_map = page_map, .page_unmap = page_unmap}});
	assert_non_null(s);
	p = mem_source_take(s, NULL, 12 * MIB, SOURCE_PAGE);
	dev.refuse = 1;
	assert_true(mem_source_commit(s, p, 12 * MIB) < 0);
	assert_int_equal(stats_of(s).committed_bytes, 0);
	assert_int_equal(stats_of(s).failed_commits, 1);
	assert_int_equal(mem_source_commit(s, p, 12 * MIB), 0);
	mem_source_close(s);
	assert_int_equal(dev.unmaps, dev.maps);
}

static void more_hugepages_than_there_are_is_refused(void **state)
{
	struct mem_machine m;
	uint64_t pages = 1;

	assert_int_equal(mem_machine_read(&m, ""), 0);
	for (unsigned i = 0; i < m.nodes; i++)
		pages += m.huge_total[i];
	base_log_level_set(BASE_LOG_ERROR);
	assert_null(source_open((struct mem_options){
		.source = MEM_SOURCE_HUGE, .region_bytes = pages * SOURCE_CHUNK}));
}

// ---- memory handed over ------------------------------------------------------------------------
static void *region(void *arg, size_t bytes, int numa_node)
{
	struct device *dev = arg;

	dev->base = aligned_alloc(SOURCE_CHUNK, bytes);
	memset(dev->base, 0x5a, bytes);
	return dev->base;
}

static void region_free(void *arg, void *addr, size_t bytes)
{
	struct device *dev = arg;

	assert_ptr_equal(addr, dev->base);
	free(addr);
	dev->base = NULL;
}

static void memory_handed_over_is_cleared_before_use_and_kept_to_the_end(void **state)
{
	struct device dev = {0};
	struct mem_source *s = source_open((struct mem_options){.source = MEM_SOURCE_GIVEN,
		.region_bytes = 8 * MIB,
		.device = {.arg = &dev, .region = region, .region_free = region_free}});
	char *p;

	assert_non_null(s);
	assert_int_equal(stats_of(s).held_bytes, 8 * MIB);
	p = mem_source_take(s, NULL, 8 * MIB, SOURCE_PAGE);
	assert_int_equal(mem_source_commit(s, p, 8 * MIB), 0);
	for (size_t i = 0; i < 8 * MIB; i += 512)
		assert_int_equal(p[i], 0);
	mem_source_decommit(s, p, 8 * MIB);
	assert_int_equal(mem_source_return(s, 1, 0, true), MEM_SLICE_DONE);
	assert_int_equal(stats_of(s).held_bytes, 8 * MIB);
	mem_source_close(s);
	assert_null(dev.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_makes_pages_ready_ahead),
		cmocka_unit_test(taken_addresses_follow_each_other_aligned_until_the_end),
		cmocka_unit_test(commit_gives_zeroes_and_counts_as_a_model_says),
		cmocka_unit_test(what_is_ready_is_committed_without_waiting),
		cmocka_unit_test(free_pages_go_back_after_the_decay_time_and_not_before),
		cmocka_unit_test(free_pages_go_back_though_their_neighbours_come_and_go),
		cmocka_unit_test(pages_that_are_needed_now_and_then_stay),
		cmocka_unit_test(upkeep_with_nothing_to_do_is_done_at_once),
		cmocka_unit_test(hugepages_are_mapped_whole_and_given_back_whole),
		cmocka_unit_test(with_a_helper_the_owner_only_asks_for_hugepages),
		cmocka_unit_test(with_a_helper_kernel_pages_come_by_chunks),
		cmocka_unit_test(a_device_that_refuses_a_page_fails_the_commit_cleanly),
		cmocka_unit_test(more_hugepages_than_there_are_is_refused),
		cmocka_unit_test(memory_handed_over_is_cleared_before_use_and_kept_to_the_end),
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
