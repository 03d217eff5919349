// SPDX-License-Identifier: BSD-3-Clause
// How long freeing much holds a worker: lib/store in a bound domain, driven turn by turn as a worker
// drives it.
//
//	bench_lazyfree VALUE_BYTES FLUSH_ITEMS
//
// Deletes and replaces a value of that size, then flushes that many items; in each turn that
// follows a key is set and read. Turns with nothing to free, and such that only read items at random,
// show what the machine itself takes. Times are CPU time of the thread (what another process takes from
// it is not the store's doing), beside the clock's. One JSON object a case.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/store.h"

#define KEY_BYTES     20
#define SMALL_BYTES   32
#define UPKEEP_ITEMS  32
#define TURNS_MAX     50000000u
#define SETTLED_TURNS 1000    // turns to go on for when nothing is left to free
#define QUIET_TURNS   2000000 // with nothing to free, for comparison
#define READ_TURNS    700000 // that read as many items as a turn frees: what the machine alone does
#define READ_ITEMS    28

struct rig {
	struct mem_domain *mem;
	struct store *s;
	struct base_now now;
	struct base_hist cpu_ns;
	uint64_t wall_max_ns, turns, start_ns;
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

static bool act_time(struct rig *r, enum act act)
{
	uint64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	bool more = act_do(r, act);

	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	base_hist_add(&r->cpu_ns, cpu);
	r->wall_max_ns = base_max_u64(r->wall_max_ns, wall);
	r->now.mono_us += wall / 1000 + 1;
	r->turns++;
	return more;
}

// The act, then turns until nothing was left to free for so many.
static void measure(struct rig *r, const char *name, enum act act, uint64_t count, uint64_t settled)
{
	uint64_t used = mem_used(r->mem), act_ns, idle = 0;
	enum act turn = act == ACT_READ ? ACT_READ : ACT_TURN;

	r->cpu_ns = (struct base_hist){0};
	r->wall_max_ns = r->turns = 0;
	r->start_ns = clock_ns(CLOCK_MONOTONIC);
	act_time(r, act);
	act_ns = r->cpu_ns.max;
	while (idle < settled && r->turns < TURNS_MAX)
		idle = act_time(r, turn) ? 0 : idle + 1;
	printf("{\"case\": \"%s\", \"count\": %llu, \"freed_bytes\": %llu, \"turns\": %llu, "
	       "\"seconds\": %.3f, \"act_us\": %.2f, \"max_us\": %.2f, \"p999_us\": %.2f, "
	       "\"p50_us\": %.2f, \"wall_max_us\": %.2f}\n",
		name, (unsigned long long)count, (unsigned long long)(used - mem_used(r->mem)),
		(unsigned long long)r->turns,
		(double)(clock_ns(CLOCK_MONOTONIC) - r->start_ns) / 1e9, (double)act_ns / 1e3,
		(double)r->cpu_ns.max / 1e3, (double)base_hist_quantile(&r->cpu_ns, 0.999) / 1e3,
		(double)base_hist_quantile(&r->cpu_ns, 0.5) / 1e3, (double)r->wall_max_ns / 1e3);
	fflush(stdout);
}

static void quiet_turns(struct rig *r)
{
	for (unsigned i = 0; i < 100000; i++)
		act_do(r, ACT_TURN);
}

int main(int argc, char **argv)
{
	struct mem_options mo = {.name = "bench", .numa_node = -1, .source = MEM_SOURCE_PAGES};
	struct store_options so = {
		.seed = 1, .item_bytes_max = 1 << 30, .policy = STORE_NOEVICTION, .samples = 5};
	struct rig r = {.now = {.mono_us = 1000000, .wall_s = 1600000000}};
	uint64_t value_bytes;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_lazyfree VALUE_BYTES FLUSH_ITEMS\n");
		return 2;
	}
	value_bytes = strtoull(argv[1], NULL, 10);
	r.items = strtoull(argv[2], NULL, 10);
	base_rng_seed(&r.rng, 1);
	base_assert(mem_domain_open(&r.mem, &mo) == 0 && mem_domain_bind(r.mem) == 0);
	so.mem = r.mem;
	base_assert(store_open(&r.s, &so) == 0);
	store_turn(r.s, r.now);
	quiet_turns(&r);
	item_set(&r, 0, (uint32_t)value_bytes);
	measure(&r, "delete", ACT_DELETE, value_bytes, SETTLED_TURNS);
	item_set(&r, 0, (uint32_t)value_bytes);
	measure(&r, "replace", ACT_REPLACE, value_bytes, SETTLED_TURNS);
	for (uint64_t i = 0; i < r.items; i++)
		item_set(&r, i, SMALL_BYTES);
	quiet_turns(&r);
	measure(&r, "nothing", ACT_TURN, 0, QUIET_TURNS);
	measure(&r, "reading", ACT_READ, 0, READ_TURNS);
	measure(&r, "flush", ACT_FLUSH, r.items, SETTLED_TURNS);
	return 0;
}
