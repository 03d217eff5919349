// SPDX-License-Identifier: BSD-3-Clause
// How long freeing much holds a worker: lib/store in a bound domain, driven turn by turn as a
// worker drives it.
//
//	bench_lazyfree VALUE_BYTES FLUSH_ITEMS
//
// Deletes and replaces a value of that size, then flushes that many items; in each turn that
// follows a key is set and read. Times are CPU time of the thread (what another process takes from
// it is not the store's doing). Turns with nothing to free, and such that only read items at
// random, show what the machine itself takes.
//
// All is done several times over, in a process of its own each. The n-th turn does the same each
// time, but for how much freed memory is moved at once (lib/mem goes by the clock), so that the
// fastest of its times is nearest to what it takes by itself: own_max_us is the longest of these,
// max_us the longest of all. One JSON object a case.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

#define KEY_BYTES     20
#define SMALL_BYTES   32
#define UPKEEP_ITEMS  32
#define RUNS          3
#define TURNS_MAX     4000000u
#define TURN_US       5      // on the store's clock: the same each time
#define SETTLED_TURNS 1000   // turns to go on for when nothing is left to free
#define QUIET_TURNS   500000 // with nothing to free, for comparison
#define READ_TURNS    700000 // that read as many items as a turn frees: what the machine alone does
#define READ_ITEMS    28

// Of all runs, in memory that they share.
enum { CASE_DELETE, CASE_REPLACE, CASE_NOTHING, CASE_READING, CASE_FLUSH, CASES };
struct times {
	uint64_t count, freed_bytes, turns;
	double seconds;
	struct base_hist cpu_ns;
	uint32_t turn_ns[TURNS_MAX]; // at the fastest
};

struct rig {
	struct mem_domain *mem;
	struct store *s;
	struct base_now now;
	uint64_t items;
	struct base_rng rng;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct store_key key_make(char text[KEY_BYTES], uint64_t number)
{
	memset(text, 'k', KEY_BYTES);
	base_u64_format(text, number);
	return (struct store_key){text, KEY_BYTES, base_hash(text, KEY_BYTES)};
}

static void item_set(struct rig *r, uint64_t number, uint32_t value_bytes)
{
	char text[KEY_BYTES];
	struct store_key key = key_make(text, number);
	struct store_item *it;

	base_assert(store_reserve(r->s, &key, 0, 0, value_bytes, &it) == STORE_OK);
	store_value_fill(it, 0, 'v', value_bytes);
	store_commit(r->s, it, key.hash, 0);
}

static struct store_item *item_find(struct rig *r, uint64_t number, uint64_t *hash)
{
	char text[KEY_BYTES];
	struct store_key key = key_make(text, number);

	*hash = key.hash;
	return store_find(r->s, key.key, key.len, key.hash);
}

// ---- what is measured ---------------------------------------------------------------------------

enum act { ACT_TURN, ACT_DELETE, ACT_REPLACE, ACT_FLUSH, ACT_READ };

static bool act_do(struct rig *r, enum act act)
{
	struct store_item *it;
	uint64_t hash;
	bool more = false;

	switch (act) {
	case ACT_DELETE:
		it = item_find(r, 0, &hash);
		store_delete(r->s, it, hash);
		return true;
	case ACT_REPLACE:
		item_set(r, 0, SMALL_BYTES);
		return true;
	case ACT_FLUSH:
		store_flush(r->s, 0);
		return true;
	case ACT_READ:
		for (unsigned i = 0; i < READ_ITEMS; i++)
			item_find(r, base_rng_below(&r->rng, r->items), &hash);
		return false;
	case ACT_TURN:
		break;
	}
	store_turn(r->s, r->now);
	item_set(r, UINT64_C(1) << 40, SMALL_BYTES);
	base_assert(item_find(r, UINT64_C(1) << 40, &hash));
	if (store_step(r->s, UPKEEP_ITEMS))
		more = true;
	// as worker_memory_turn does
	if (mem_purge_slice(r->mem, r->now.mono_us) == MEM_SLICE_MORE)
		return true;
	return mem_domain_upkeep(r->mem, r->now.mono_us) == MEM_SLICE_MORE || more;
}

static bool act_time(struct rig *r, enum act act, struct times *t)
{
	uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	bool more = act_do(r, act);
	uint32_t *least;

	cpu = base_min_u64(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu, UINT32_MAX);
	r->now.mono_us += TURN_US;
	base_hist_add(&t->cpu_ns, cpu);
	base_assert(t->turns < TURNS_MAX);
	least = &t->turn_ns[t->turns++];
	if (*least == 0 || cpu < *least)
		*least = (uint32_t)cpu;
	return more;
}

// The act, then turns until nothing was left to free for so many.
static void measure(struct rig *r, struct times *t, enum act act, uint64_t count, uint64_t settled)
{
	uint64_t used = mem_used(r->mem), idle = 0, start = clock_ns(CLOCK_MONOTONIC);
	enum act turn = act == ACT_READ ? ACT_READ : ACT_TURN;

	t->count = count;
	t->turns = 0;
	act_time(r, act, t);
	while (idle < settled)
		idle = act_time(r, turn, t) ? 0 : idle + 1;
	t->freed_bytes = used - mem_used(r->mem);
	t->seconds += (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9;
}

static void times_print(const char *name, const struct times *t)
{
	uint32_t own = 0;

	for (uint64_t i = 0; i < t->turns; i++)
		own = t->turn_ns[i] > own ? t->turn_ns[i] : own;
	printf("{\"case\": \"%s\", \"count\": %llu, \"freed_bytes\": %llu, \"turns\": %llu, "
	       "\"seconds\": %.3f, \"act_us\": %.2f, \"own_max_us\": %.2f, \"max_us\": %.2f, "
	       "\"p999_us\": %.2f, \"p50_us\": %.2f}\n",
		name, (unsigned long long)t->count, (unsigned long long)t->freed_bytes,
		(unsigned long long)t->turns, t->seconds / RUNS, t->turn_ns[0] / 1e3, own / 1e3,
		(double)t->cpu_ns.max / 1e3, (double)base_hist_quantile(&t->cpu_ns, 0.999) / 1e3,
		(double)base_hist_quantile(&t->cpu_ns, 0.5) / 1e3);
}

static void quiet_turns(struct rig *r)
{
	for (unsigned i = 0; i < 100000; i++)
		act_do(r, ACT_TURN);
}

static uint64_t mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static void run(uint64_t value_bytes, uint64_t items, struct times *t)
{
	// as launch.c does it: how much freed memory is moved at a time follows the time it takes
	struct mem_options mo = {
		.name = "bench", .numa_node = -1, .source = MEM_SOURCE_PAGES, .now_ns = mono_ns};
	struct store_options so = {
		.seed = 1, .item_bytes_max = 1 << 30, .policy = STORE_NOEVICTION, .samples = 5};
	struct rig r = {.now = {.mono_us = 1000000, .wall_s = 1600000000}, .items = items};

	base_rng_seed(&r.rng, 1);
	base_assert(mem_domain_open(&r.mem, &mo) == 0 && mem_domain_bind(r.mem) == 0);
	so.mem = r.mem;
	base_assert(store_open(&r.s, &so) == 0);
	store_turn(r.s, r.now);
	quiet_turns(&r);
	item_set(&r, 0, (uint32_t)value_bytes);
	measure(&r, &t[CASE_DELETE], ACT_DELETE, value_bytes, SETTLED_TURNS);
	item_set(&r, 0, (uint32_t)value_bytes);
	measure(&r, &t[CASE_REPLACE], ACT_REPLACE, value_bytes, SETTLED_TURNS);
	for (uint64_t i = 0; i < items; i++)
		item_set(&r, i, SMALL_BYTES);
	quiet_turns(&r);
	measure(&r, &t[CASE_NOTHING], ACT_TURN, 0, QUIET_TURNS);
	measure(&r, &t[CASE_READING], ACT_READ, 0, READ_TURNS);
	measure(&r, &t[CASE_FLUSH], ACT_FLUSH, items, SETTLED_TURNS);
}

int main(int argc, char **argv)
{
	static const char *const name[CASES] = {"delete", "replace", "nothing", "reading", "flush"};
	struct times *t;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_lazyfree VALUE_BYTES FLUSH_ITEMS\n");
		return 2;
	}
	t = mmap(NULL, CASES * sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		0);
	base_assert(t != MAP_FAILED);
	for (unsigned i = 0; i < RUNS; i++) {
		pid_t pid = fork();
		int status;

		base_assert(pid >= 0);
		if (pid == 0) {
			run(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), t);
			_exit(0);
		}
		base_assert(waitpid(pid, &status, 0) == pid && status == 0);
	}
	for (unsigned i = 0; i < CASES; i++)
		times_print(name[i], &t[i]);
	return 0;
}
