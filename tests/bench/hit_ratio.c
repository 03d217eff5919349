// SPDX-License-Identifier: BSD-3-Clause
// What lib/store's policies hit on a trace, beside exact LRU and S3-FIFO as published.
//
//	bench_hit_ratio MODE SOURCE REQUESTS_MAX VALUE_BYTES REQUESTS_PER_S PERCENT...
//
// PERCENT is of the trace's distinct keys. In mode "objects" the limit is what the shards hold when
// that many keys are in; in mode "bytes" it is that share of all values' bytes, in whole MiB (VALUE_BYTES 0: each key has a size of its own); mode
// "plot" is "objects" for one shard of each policy. The references get as many objects as the
// shards held in the mean. One JSON object a line.
//
//	bench_hit_ratio dump SOURCE REQUESTS_MAX
//
// writes the trace's keys, 32 bits each, as numbers in the order of their first appearance.
#include <stdio.h>
#include <stdlib.h>

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

enum mode { OBJECTS, BYTES, PLOT, MODES };

static const char *const mode_names[MODES] = {"objects", "bytes", "plot"};

struct contestant {
	const char *policy;
	uint8_t samples, shards;
	unsigned modes; // bits of enum mode
};

#define IN(mode) (1u << (mode))
#define ALL      (IN(OBJECTS) | IN(BYTES) | IN(PLOT))

static const struct contestant contestants[] = {
	{"allkeys-lru", 3, 1, IN(OBJECTS)},
	{"allkeys-lru", 5, 1, ALL},
	{"allkeys-lru", 10, 1, IN(OBJECTS) | IN(BYTES)},
	{"allkeys-lru", 5, 4, IN(OBJECTS) | IN(BYTES)},
	{"allkeys-random", 5, 1, IN(OBJECTS) | IN(PLOT)},
	{"allkeys-lfu", 5, 1, ALL},
	{"allkeys-lfu", 10, 1, IN(OBJECTS)},
	{"allkeys-s3fifo", 5, 1, ALL},
	{"allkeys-s3fifo", 5, 4, IN(OBJECTS) | IN(BYTES)},
	{"allkeys-s3fifo-size", 5, 1, IN(OBJECTS) | IN(BYTES)},
	{"allkeys-s3fifo-size", 5, 4, IN(OBJECTS) | IN(BYTES)},
};

struct rig {
	const struct trace *trace;
	const struct contestant *who;
	enum mode mode;
	double percent, requests_per_s;
	uint64_t limit_bytes; // mode "bytes"
	uint32_t capacity;    // mode "objects"
	uint32_t value_bytes; // 0: a size for each key
	struct mem_domain *mem[SHARDS_MAX];
	struct store *store[SHARDS_MAX];
	uint64_t hits, refused;
	double held_sum; // of the objects held, a sample a turn once the limit is reached
	uint64_t held_turns;
	bool full;
};

// As workers share keys out.
static unsigned shard_of(uint64_t hash, unsigned shards)
{
	return (unsigned)(((hash >> 48) * shards) >> 16);
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

static void rig_open(struct rig *r)
{
	for (unsigned i = 0; i < r->who->shards; i++) {
		struct mem_options mo = {.name = "bench", .numa_node = -1};
		struct store_options so = {
			.seed = i + 1,
			.limit_bytes = r->mode == BYTES ? r->limit_bytes / r->who->shards : 0,
			.item_bytes_max = 1 << 20,
			.policy = (enum store_policy)store_policy_of(r->who->policy),
			.samples = r->who->samples,
		};

		base_assert(mem_domain_open(&r->mem[i], &mo) == 0);
		so.mem = r->mem[i];
		base_assert(store_open(&r->store[i], &so) == 0);
	}
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
	for (unsigned i = 0; i < r->who->shards; i++)
		store_limit_set(r->store[i],
			mem_used_class(r->mem[i], MEM_ITEMS) +
				mem_used_class(r->mem[i], MEM_INDEX) + BASE_CACHE_LINE);
	r->full = true;
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
	if (r->mode == BYTES && !r->full)
		r->full = rig_evicted(r) > 0;
	if (r->full) {
		r->held_sum += (double)rig_items(r);
		r->held_turns++;
	}
}

static void rig_miss(struct rig *r, struct store *s, const struct store_key *key, uint32_t number)
{
	uint32_t value_bytes = r->value_bytes ? r->value_bytes : sizes_of(&sizes_etc, number);
	struct store_item *it;

	if (r->mode != BYTES && !r->full && rig_items(r) == r->capacity)
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
	s = r->store[shard_of(key.hash, r->who->shards)];
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
	       "\"shards\": %u, \"bytes\": %llu, \"objects\": %u, \"held\": %u, "
	       "\"requests\": %zu, \"refused\": %llu, \"hit\": %.6f, \"lru\": %.6f, "
	       "\"s3fifo\": %.6f}\n",
		r->percent, mode_names[r->mode], r->who->policy, r->who->samples, r->who->shards,
		(unsigned long long)r->limit_bytes, r->capacity, held, r->trace->count,
		(unsigned long long)r->refused, (double)r->hits / n,
		(double)sim_lru_hits(r->trace, held) / n,
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

static void percent_run(
	const struct trace *t, enum mode mode, double percent, uint32_t value_bytes, double rate)
{
	double objects = (double)t->distinct * percent / 100;

	for (unsigned i = 0; i < BASE_ARRAY_LEN(contestants); i++) {
		struct rig r = {
			.trace = t,
			.who = &contestants[i],
			.mode = mode,
			.percent = percent,
			.requests_per_s = rate,
			.capacity = (uint32_t)objects,
			.value_bytes = mode == BYTES ? value_bytes : OBJECT_BYTES,
			.limit_bytes =
				(uint64_t)ceil(objects * (value_bytes ? value_bytes : MIXED_MEAN) /
					(double)MIB) *
				MIB,
		};

		if ((contestants[i].modes & IN(mode)) && store_policy_of(r.who->policy) >= 0)
			rig_run(&r);
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
