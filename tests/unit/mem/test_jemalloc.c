// SPDX-License-Identifier: BSD-3-Clause
// What only jemalloc can answer: whose arena a block lies in, and what it counted itself.
#include <jemalloc/jemalloc.h>
#include <pthread.h>

#include "mem/mem_jemalloc_conf.h"
#include "mem_test.h"

static unsigned int arena_of(void *p)
{
	unsigned int arena = UINT32_MAX;
	size_t len = sizeof(arena);

	assert_int_equal(mallctl("arenas.lookup", &arena, &len, &p, sizeof(p)), 0);
	return arena;
}

// What jemalloc says this thread holds, over all arenas.
static uint64_t thread_held(void)
{
	uint64_t in = 0, out = 0;
	size_t len = sizeof(in);

	mallctl("thread.allocated", &in, &len, NULL, 0);
	mallctl("thread.deallocated", &out, &len, NULL, 0);
	return in - out;
}

struct block {
	void *p;
	size_t size, usable, align;
	enum mem_class class;
};

static void block_free(struct mem_domain *d, struct block *b)
{
	if (b->align > 0)
		mem_free_aligned(d, b->class, b->p, b->align, b->size);
	else
		mem_free(d, b->class, b->p, b->size);
	b->p = NULL;
}

static void block_change(struct mem_domain *d, struct block *b, struct base_rng *rng)
{
	size_t size = 1 + base_rng_below(rng, 1 + base_rng_below(rng, 200000));

	if (b->p != NULL && b->align == 0 && base_rng_below(rng, 2) == 0) {
		b->p = mem_try_realloc(d, b->class, b->p, b->size, size, &b->usable);
		b->size = size;
		return;
	}
	if (b->p != NULL)
		block_free(d, b);
	b->size = size;
	b->class = (enum mem_class)base_rng_below(rng, MEM_CLASSES);
	b->align = base_rng_below(rng, 4) == 0 ? (size_t)16 << base_rng_below(rng, 10) : 0;
	if (b->align > 0)
		b->p = mem_try_alloc_aligned(d, b->class, b->align, size, &b->usable);
	else if (base_rng_below(rng, 2) == 0)
		b->p = mem_try_alloc(d, b->class, size, &b->usable);
	else
		b->p = mem_try_calloc(d, b->class, size, &b->usable);
}

#define BLOCKS 500

static void check_counts(struct mem_domain *d)
{
	static struct block blocks[BLOCKS];
	uint64_t start = thread_held();
	struct base_rng rng;

	base_rng_seed(&rng, 77);
	for (int i = 0; i < 40000; i++) {
		struct block *b = &blocks[base_rng_below(&rng, BLOCKS)];
		uint64_t used = mem_used(d), held = thread_held();

		block_change(d, b, &rng);
		assert_non_null(b->p);
		assert_int_equal(b->usable, sallocx(b->p, 0));
		assert_int_equal(mem_used(d) - used, thread_held() - held);
	}
	for (int c = 0; c < MEM_CLASSES; c++) {
		uint64_t sum = 0;

		for (int i = 0; i < BLOCKS; i++)
			sum += blocks[i].p != NULL && (int)blocks[i].class == c ? blocks[i].usable
										: 0;
		assert_int_equal(mem_used_class(d, (enum mem_class)c), sum);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i].p != NULL)
			block_free(d, &blocks[i]);
	assert_int_equal(thread_held(), start);
}

// Unless $MALLOC_CONF says so itself.
static void a_flush_of_a_bin_is_short(void **state)
{
	unsigned int slots = 0;
	size_t len = sizeof(slots);

	if (getenv("MALLOC_CONF"))
		skip();
	assert_int_equal(mallctl("opt.tcache_nslots_small_max", &slots, &len, NULL, 0), 0);
	assert_int_equal(slots, JEMALLOC_BIN_SLOTS);
}

static void unbound_counts_equal_jemallocs_own_to_the_byte(void **state)
{
	struct mem_domain *d = test_domain_open();

	check_counts(d);
	mem_domain_close(d);
}

static void bound_counts_equal_jemallocs_own_to_the_byte(void **state)
{
	struct mem_domain *d = test_domain_open();

	assert_int_equal(mem_domain_bind(d), 0);
	check_counts(d);
	mem_domain_close(d);
}

// The C library's frees leave blocks of other arenas in the thread's cache; two domains of one
// thread must still each get their own arena's memory, small and large, again and again.
static void unbound_domains_in_one_thread_have_their_own_arenas(void **state)
{
	struct mem_domain *d[2] = {test_domain_open(), test_domain_open()};
	unsigned int arenas[2] = {0};

	for (int round = 0; round < 200; round++) {
		for (size_t size = 20; size < 100000; size *= 3) {
			free(malloc(size));
			for (int i = 0; i < 2; i++) {
				void *p = mem_alloc(d[i], MEM_ITEMS, size);

				if (arenas[i] == 0)
					arenas[i] = arena_of(p);
				assert_int_equal(arena_of(p), arenas[i]);
				mem_free(d[i], MEM_ITEMS, p, size);
			}
		}
	}
	assert_int_not_equal(arenas[0], arenas[1]);
	assert_int_not_equal(arenas[0], 0);
	mem_domain_close(d[0]);
	mem_domain_close(d[1]);
}

static void binding_changes_neither_sides_arena(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *p = mem_alloc(d, MEM_ITEMS, 100), *outside = malloc(100);
	unsigned int own = arena_of(p), other = arena_of(outside);

	free(outside); // stays in the thread's cache
	mem_domain_bind(d);
	for (int i = 0; i < 100; i++) {
		void *q = mem_alloc(d, MEM_ITEMS, 100);

		assert_int_equal(arena_of(q), own);
		mem_free(d, MEM_ITEMS, q, 100);
	}
	mem_free(d, MEM_ITEMS, p, 100);
	mem_domain_unbind(d);
	outside = malloc(100);
	assert_int_equal(arena_of(outside), other);
	free(outside);
	mem_domain_close(d);
}

// jemalloc has room for 4,094 arenas: more domains than that can only be had one after the other
// if closing gives the arena back, bound or not.
static void closing_gives_the_arena_back(void **state)
{
	for (int i = 0; i < 4500; i++) {
		struct mem_domain *d = test_domain_open();
		void *p;

		if (i & 1)
			assert_int_equal(mem_domain_bind(d), 0);
		p = mem_alloc(d, MEM_ITEMS, 200);
		mem_alloc(d, MEM_OTHER, 5000); // goes with the domain
		mem_free(d, MEM_ITEMS, p, 200);
		mem_domain_close(d);
	}
}

// What the C library allocated on a bound thread must survive the domain.
static void closing_spares_what_others_allocated_in_the_arena(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *ours, *p;
	char *others;

	mem_domain_bind(d);
	ours = mem_alloc(d, MEM_ITEMS, 100);
	others = strdup("allocated by the C library");
	assert_int_equal(arena_of(others), arena_of(ours));
	mem_free(d, MEM_ITEMS, ours, 100);
	mem_domain_close(d);
	for (int i = 0; i < 1000; i++) {
		p = malloc(27);
		memset(p, 0, 27);
		free(p);
	}
	assert_string_equal(others, "allocated by the C library");
	free(others);
}

static void *hold_binding(void *arg)
{
	pthread_barrier_t *meet = ((void **)arg)[0];

	mem_domain_bind(((void **)arg)[1]);
	pthread_barrier_wait(meet);
	pthread_barrier_wait(meet);
	return NULL;
}

// A caller that closes while the owner's thread lives has made a mistake, but the thread's arena
// must not be pulled away under it.
static void closing_under_a_living_owner_leaves_its_arena(void **state)
{
	struct mem_domain *d = test_domain_open();
	pthread_barrier_t meet;
	void *args[] = {&meet, d};
	pthread_t thread;

	pthread_barrier_init(&meet, NULL, 2);
	pthread_create(&thread, NULL, hold_binding, args);
	pthread_barrier_wait(&meet);
	mem_domain_close(d);
	pthread_barrier_wait(&meet);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&meet);
}

#define LARGE_BLOCKS 100

// What a block takes in pages, against mem_size_taken: the page that large ones have more.
static void large_blocks_take_a_page_more(void **state)
{
	static const size_t size[] = {14336, 14337, 16384, 20480, 98304};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(size); i++) {
		struct mem_domain *d = test_domain_open();
		struct mem_domain_stats before, after;
		void *p[LARGE_BLOCKS];

		mem_process_read(&(struct mem_process){0}); // makes the figures current
		mem_domain_stats_read(d, &before);
		for (unsigned k = 0; k < LARGE_BLOCKS; k++)
			p[k] = mem_alloc(d, MEM_ITEMS, size[i]);
		mem_process_read(&(struct mem_process){0});
		mem_domain_stats_read(d, &after);
		assert_in_range(after.active_bytes - before.active_bytes,
			LARGE_BLOCKS * mem_size_taken(size[i]),
			(LARGE_BLOCKS + 20) * mem_size_taken(size[i])); // a cache fill of slabs
		for (unsigned k = 0; k < LARGE_BLOCKS; k++)
			mem_free(d, MEM_ITEMS, p[k], size[i]);
		mem_domain_close(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_of_a_bin_is_short),
		cmocka_unit_test(unbound_counts_equal_jemallocs_own_to_the_byte),
		cmocka_unit_test(bound_counts_equal_jemallocs_own_to_the_byte),
		cmocka_unit_test(unbound_domains_in_one_thread_have_their_own_arenas),
		cmocka_unit_test(binding_changes_neither_sides_arena),
		cmocka_unit_test(large_blocks_take_a_page_more),
		cmocka_unit_test(closing_gives_the_arena_back),
		cmocka_unit_test(closing_spares_what_others_allocated_in_the_arena),
		cmocka_unit_test(closing_under_a_living_owner_leaves_its_arena),
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
