// SPDX-License-Identifier: BSD-3-Clause
// What lib/store's policies hit on a trace, beside exact LRU and S3-FIFO as published.
//
//	bench_hit_ratio MODE SOURCE REQUESTS_MAX VALUE_BYTES REQUESTS_PER_S PERCENT...
//
// PERCENT is of the trace's distinct keys. In mode "objects" the limit is what one shard holds when
// that many keys are in, and several shards get as many bytes; in mode "bytes" it is that share of
// all values' bytes, in whole MiB (VALUE_BYTES 0: each key has a size of its own); mode "plot" is
// "objects" for one shard of each policy. The references get as many objects as the shards held in
// the mean. One JSON object a line.
//
// Several shards share the limit by lib/control's ledger, a turn of it a millisecond, as the
// server's do. Keys are split evenly, or half of them belong to shard 0 ("half"), or the first
// tenth of them to appear does and no other ("first": Zipf's hottest, a trace's oldest).
// REQUESTS_PER_S is of the time that they see; 0: as many as PERCENT of the keys are.
//
//	bench_hit_ratio dump SOURCE REQUESTS_MAX
//
// writes the trace's keys, 32 bits each, as numbers in the order of their first appearance.
#include <stdio.h>
#include <stdlib.h>

#include "control/control_ledger.h"
#include "sim.h"
#include "sizes.h"
#include "store/store.h"

#define SHARDS_MAX    4
#define TURN_REQUESTS 16
#define UPKEEP_ITEMS  32
#define OBJECT_BYTES  500 // of a value in mode "objects": small beside which index growth is not
#define MIXED_MEAN    325 // of sizes_etc
#define MIB           (UINT64_C(1) << 20)
#define START_US      1000000u
#define TICK_US       1000 // of the control core
#define FIRST_PARTS   10

enum mode { OBJECTS, BYTES, PLOT, MODES };

static const char *const mode_names[MODES] = {"objects", "bytes", "plot"};

enum split { EVEN, HALF, FIRST }; // of the keys over shards

static const char *const split_names[] = {"even", "half", "first"};

struct contestant {
	const char *policy;
	uint8_t samples, shards;
	unsigned modes; // bits of enum mode
	uint8_t seeds;  // runs in mode "objects"
	enum split split;
};

#define IN(mode) (1u << (mode))
#define ALL      (IN(OBJECTS) | IN(BYTES) | IN(PLOT))

static const struct contestant contestants[] = {
	{"allkeys-lru", 3, 1, IN(OBJECTS), 1, EVEN},
	{"allkeys-lru", 10, 1, IN(OBJECTS) | IN(BYTES), 3, EVEN},
	{"allkeys-lru", 5, 1, ALL, 3, EVEN},
	{"allkeys-lru", 5, 4, IN(OBJECTS) | IN(BYTES), 3, EVEN},
	{"allkeys-lru", 5, 4, IN(OBJECTS), 3, HALF},
	{"allkeys-lru", 5, 4, IN(OBJECTS), 3, FIRST},
	{"allkeys-random", 5, 1, IN(OBJECTS) | IN(PLOT), 1, EVEN},
	{"allkeys-lfu", 5, 1, ALL, 1, EVEN},
	{"allkeys-lfu", 10, 1, IN(OBJECTS), 1, EVEN},
	{"allkeys-s3fifo", 5, 1, ALL, 3, EVEN},
	{"allkeys-s3fifo", 5, 4, IN(OBJECTS) | IN(BYTES), 3, EVEN},
	{"allkeys-s3fifo", 5, 4, IN(OBJECTS), 3, HALF},
	{"allkeys-s3fifo", 5, 4, IN(OBJECTS), 3, FIRST},
	{"allkeys-s3fifo-size", 5, 1, IN(OBJECTS) | IN(BYTES), 3, EVEN},
	{"allkeys-s3fifo-size", 5, 4, IN(OBJECTS) | IN(BYTES), 3, EVEN},
};

struct rig {
	const struct trace *trace;
	const struct contestant *who;
	enum mode mode;
	unsigned seed;
	double percent, requests_per_s;
	uint64_t limit_bytes; // mode "bytes"
	uint32_t capacity;    // objects
	uint32_t value_bytes; // 0: a size for each key
	struct mem_domain *mem[SHARDS_MAX];
	struct store *store[SHARDS_MAX];
	struct control_ledger ledger;
	uint64_t dealt_bytes;       // what the ledger deals; 0: nothing yet
	uint64_t limit[SHARDS_MAX]; // that each works under
	uint64_t tick;
	uint64_t hits, refused;
	double held_sum; // of the objects held, a sample a turn once the limit is reached
	uint64_t held_turns;
	bool full;
};

// EVEN is as workers share keys out.
static unsigned shard_of(const struct rig *r, uint32_t number, uint64_t hash)
{
	unsigned shards = r->who->shards, top = (unsigned)(hash >> 48);

	if (r->who->split == EVEN)
		return (top * shards) >> 16;
	if (r->who->split == HALF ? top >> 15 : number < r->trace->distinct / FIRST_PARTS)
		return 0;
	return 1 + (((top & 0x7fff) * (shards - 1)) >> 15);
}

static uint64_t rig_items(const struct rig *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->who->shards; i++)
		n += store_counters_get(r->store[i])->items;
	return n;
}

static uint64_t rig_evicted(const struct rig *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->who->shards; i++)
		n += store_counters_get(r->store[i])->evicted;
	return n;
}

static uint64_t shard_bytes(const struct rig *r, unsigned i)
{
	return mem_used_class(r->mem[i], MEM_ITEMS) + mem_used_class(r->mem[i], MEM_INDEX);
}

// Orders that changed reach their shards.
static void rig_orders(struct rig *r)
{
	for (unsigned i = 0; i < r->who->shards; i++) {
		if (r->limit[i] == r->ledger.row[i].order_bytes)
			continue;
		r->limit[i] = r->ledger.row[i].order_bytes;
		store_limit_set(r->store[i], r->limit[i]);
	}
}

static void rig_deal(struct rig *r, uint64_t bytes)
{
	r->dealt_bytes = bytes;
	control_ledger_init(&r->ledger, r->who->shards, bytes);
	r->ledger.evicts = true;
	rig_orders(r);
}

// What the control core does each millisecond.
static void rig_tick(struct rig *r)
{
	struct control_shard shard[SHARDS_MAX] = {0};

	for (unsigned i = 0; i < r->who->shards; i++) {
		const struct store_counters *n = store_counters_get(r->store[i]);

		shard[i] = (struct control_shard){
			.used_bytes = shard_bytes(r, i) - n->pinned_bytes,
			.limit_bytes = r->limit[i],
			.orders_seq = r->ledger.seq,
			.pressed = n->evicted + n->no_memory,
			.cold = store_cold(r->store[i]),
		};
	}
	if (control_ledger_turn(&r->ledger, r->dealt_bytes, shard))
		rig_orders(r);
}

static void rig_open(struct rig *r)
{
	for (unsigned i = 0; i < r->who->shards; i++) {
		struct mem_options mo = {.name = "bench", .numa_node = -1};
		struct store_options so = {
			.seed = r->seed * SHARDS_MAX + i,
			.item_bytes_max = 1 << 20,
			.policy = (enum store_policy)store_policy_of(r->who->policy),
			.samples = r->who->samples,
		};

		base_assert(mem_domain_open(&r->mem[i], &mo) == 0);
		so.mem = r->mem[i];
		base_assert(store_open(&r->store[i], &so) == 0);
	}
	if (r->dealt_bytes)
		rig_deal(r, r->dealt_bytes);
}

static void rig_close(struct rig *r)
{
	for (unsigned i = 0; i < r->who->shards; i++) {
		store_close(r->store[i]);
		mem_domain_close(r->mem[i]);
	}
}

// Mode "objects": as much as is held now, and a spare line of the index, is the limit from here on.
static void rig_limit_here(struct rig *r)
{
	rig_deal(r, shard_bytes(r, 0) + BASE_CACHE_LINE);
	r->full = true;
}

static bool rig_is_full(const struct rig *r)
{
	uint64_t used = 0;

	for (unsigned i = 0; i < r->who->shards; i++)
		used += shard_bytes(r, i);
	return rig_evicted(r) > 0 && used > r->dealt_bytes / 100 * 98;
}

static void rig_turn(struct rig *r, uint64_t request)
{
	struct base_now now = {
		.mono_us = START_US + (uint64_t)((double)request * 1e6 / r->requests_per_s),
	};

	now.wall_s = 1600000000 + now.mono_us / 1000000;
	for (unsigned i = 0; i < r->who->shards; i++) {
		store_turn(r->store[i], now);
		store_step(r->store[i], UPKEEP_ITEMS);
	}
	if (r->dealt_bytes && now.mono_us / TICK_US != r->tick) {
		r->tick = now.mono_us / TICK_US;
		rig_tick(r);
	}
	if (r->dealt_bytes && !r->full)
		r->full = rig_is_full(r);
	if (r->full) {
		r->held_sum += (double)rig_items(r);
		r->held_turns++;
	}
}

static void rig_miss(struct rig *r, struct store *s, const struct store_key *key, uint32_t number)
{
	uint32_t value_bytes = r->value_bytes ? r->value_bytes : sizes_of(&sizes_etc, number);
	struct store_item *it;

	if (!r->dealt_bytes && rig_items(r) == r->capacity)
		rig_limit_here(r);
	if (store_reserve(s, key, 0, 0, value_bytes, &it) == STORE_OK)
		store_commit(s, it, key->hash, 0);
	else
		r->refused++;
}

static void rig_request(struct rig *r, uint32_t number)
{
	char text[20];
	struct store_key key = {.key = text};
	struct store_item *it;
	struct store *s;

	memset(text, 'k', sizeof(text));
	base_u64_format(text, number);
	key.len = sizeof(text);
	key.hash = base_hash(text, key.len);
	s = r->store[shard_of(r, number, key.hash)];
	it = store_find(s, key.key, key.len, key.hash);
	if (it) {
		r->hits++;
		store_touch_access(s, it);
	} else {
		rig_miss(r, s, &key, number);
	}
}

static void row_print(const struct rig *r, uint32_t held)
{
	double n = (double)r->trace->count;

	printf("{\"percent\": %g, \"mode\": \"%s\", \"policy\": \"%s\", \"samples\": %u, "
	       "\"shards\": %u, \"split\": \"%s\", \"seed\": %u, \"bytes\": %llu, \"objects\": %u, "
	       "\"held\": %u, "
	       "\"requests\": %zu, \"refused\": %llu, \"hit\": %.6f, \"lru\": %.6f, "
	       "\"s3fifo\": %.6f}\n",
		r->percent, mode_names[r->mode], r->who->policy, r->who->samples, r->who->shards,
		split_names[r->who->split], r->seed, (unsigned long long)r->limit_bytes,
		r->capacity, held, r->trace->count, (unsigned long long)r->refused,
		(double)r->hits / n, (double)sim_lru_hits(r->trace, held) / n,
		(double)sim_s3fifo_hits(r->trace, held) / n);
	fflush(stdout);
}

static void rig_run(struct rig *r)
{
	uint32_t held;

	rig_open(r);
	for (size_t i = 0; i < r->trace->count; i++) {
		if (i % TURN_REQUESTS == 0)
			rig_turn(r, i);
		rig_request(r, r->trace->key[i]);
	}
	held = (uint32_t)(r->held_turns ? r->held_sum / (double)r->held_turns + 0.5
					: (double)rig_items(r));
	row_print(r, held);
	rig_close(r);
}

// Returns the bytes that were dealt.
static uint64_t contestant_run(const struct contestant *who, struct rig r)
{
	uint64_t dealt_bytes = 0;
	unsigned seeds = r.mode == OBJECTS ? who->seeds : 1;

	if (!(who->modes & IN(r.mode)) || store_policy_of(who->policy) < 0)
		return r.dealt_bytes;
	r.who = who;
	for (r.seed = 1; r.seed <= seeds; r.seed++) {
		struct rig run = r;

		rig_run(&run);
		dealt_bytes = run.dealt_bytes;
	}
	return dealt_bytes;
}

static void percent_run(
	const struct trace *t, enum mode mode, double percent, uint32_t value_bytes, double rate)
{
	double objects = (double)t->distinct * percent / 100;
	double bytes = objects * (value_bytes ? value_bytes : MIXED_MEAN);
	struct rig r = {
		.trace = t,
		.mode = mode,
		.percent = percent,
		.requests_per_s = rate > 0 ? rate : objects,
		.capacity = (uint32_t)objects,
		.value_bytes = mode == BYTES || value_bytes ? value_bytes : OBJECT_BYTES,
		.limit_bytes = (uint64_t)ceil(bytes / (double)MIB) * MIB,
	};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(contestants); i++) {
		if (mode == BYTES)
			r.dealt_bytes = r.limit_bytes;
		else if (contestants[i].shards == 1)
			r.dealt_bytes = 0;
		r.dealt_bytes = contestant_run(&contestants[i], r);
	}
}

static int usage(void)
{
	fprintf(stderr,
		"usage: bench_hit_ratio objects|bytes|plot SOURCE REQUESTS_MAX VALUE_BYTES "
		"REQUESTS_PER_S PERCENT...\n"
		"       bench_hit_ratio dump SOURCE REQUESTS_MAX\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct trace t;
	unsigned mode = 0;
	int rc = 0;

	if (argc < 4)
		return usage();
	while (mode < MODES && strcmp(argv[1], mode_names[mode]))
		mode++;
	if (mode == MODES ? strcmp(argv[1], "dump") != 0 : argc < 7)
		return usage();
	if (trace_open(&t, argv[2], strtoull(argv[3], NULL, 10)) != 0)
		return 1;
	if (mode == MODES)
		rc = fwrite(t.key, sizeof(*t.key), t.count, stdout) != t.count;
	for (int i = 6; mode < MODES && i < argc; i++)
		percent_run(
			&t, (enum mode)mode, atof(argv[i]), (uint32_t)atoi(argv[4]), atof(argv[5]));
	trace_close(&t);
	return rc;
}
