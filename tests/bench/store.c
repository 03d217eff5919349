// SPDX-License-Identifier: BSD-3-Clause
// lib/store alone, as fast as one core goes: operations on keys drawn evenly from all, in batches
// whose index lines and items are fetched ahead, as a worker does it with the requests of a turn.
//
//	bench_store ITEMS ROUNDS pages|thp|huge
//
// Keys and values of 32 B. One JSON object a line: what was done, and the nanoseconds of processor
// time that an operation took, making the key and its hash included. The rounds of all kinds in
// turn.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/store.h"

#define KEY_BYTES    32
#define VALUE_BYTES  32
#define BATCH        32
#define ROUND_OPS    (UINT64_C(1) << 22)
#define UPKEEP_ITEMS 64
#define REGION_BYTES (UINT64_C(2) << 30)

struct bench {
	struct store *store;
	struct base_rng rng;
	struct base_now now;
	uint64_t items, sum;
	char key[BATCH][KEY_BYTES], value[VALUE_BYTES];
	struct store_look look[BATCH];
};

enum kind { GET, GET_MISS, SET, DELETE_AND_SET, KINDS };
static const char *const kind_names[KINDS] = {
	"get", "get of what is not there", "set", "delete, then set"};

static double thread_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Eight letters of `n`, written at once: bytes by themselves would hold up who reads them as words,
// as hashing does.
static uint64_t key_letters(uint64_t n)
{
	n = (n | n << 16) & UINT64_C(0x0000ffff0000ffff);
	n = (n | n << 8) & UINT64_C(0x00ff00ff00ff00ff);
	n = (n | n << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return n + UINT64_C(0x6161616161616161);
}

// Keys first .. first + BATCH - 1, or drawn from `span` keys from `first` on.
static void batch_make(struct bench *b, uint64_t first, uint64_t span)
{
	for (unsigned i = 0; i < BATCH; i++) {
		uint64_t n = key_letters(first + (span > 0 ? base_rng_below(&b->rng, span) : i));

		memcpy(b->key[i], &n, sizeof(n)); // the rest of it is the same in all
		store_look_begin(b->store, base_hash(b->key[i], KEY_BYTES), &b->look[i]);
	}
	store_looks_fetch(b->store, b->look, BATCH);
}

static struct store_item *item_find(struct bench *b, unsigned i)
{
	return store_look_find(b->store, &b->look[i], b->key[i], KEY_BYTES);
}

static void item_get(struct bench *b, unsigned i)
{
	struct store_item *it = item_find(b, i);
	char value[VALUE_BYTES];
	uint32_t n;

	if (it == NULL)
		return;
	store_touch_access(b->store, it);
	memcpy(value, store_value_at(it, 0, &n), VALUE_BYTES);
	b->sum += (uint64_t)value[0];
}

static void item_set(struct bench *b, unsigned i)
{
	const struct store_key key = {b->key[i], KEY_BYTES, b->look[i].hash};
	struct store_item *it;

	base_assert(store_reserve(b->store, &key, 0, 0, VALUE_BYTES, &it) == STORE_OK);
	store_value_write(it, 0, b->value, VALUE_BYTES);
	store_commit(b->store, it, b->look[i].hash, 0);
}

static void item_delete(struct bench *b, unsigned i)
{
	struct store_item *it = item_find(b, i);

	if (it != NULL) // drawn twice in a batch
		store_delete(b->store, it, b->look[i].hash);
}

static void turn(struct bench *b)
{
	b->now.mono_us += BATCH;
	store_turn(b->store, b->now);
	store_step(b->store, UPKEEP_ITEMS);
}

static void batch_run(struct bench *b, enum kind kind)
{
	turn(b);
	batch_make(b, kind == GET_MISS ? b->items : 0, b->items);
	for (unsigned i = 0; i < BATCH; i++) {
		if (kind == GET || kind == GET_MISS) {
			item_get(b, i);
			continue;
		}
		if (kind == DELETE_AND_SET)
			item_delete(b, i);
		item_set(b, i);
	}
}

static void round_run(struct bench *b, enum kind kind)
{
	double start_s = thread_s();

	for (uint64_t i = 0; i < ROUND_OPS; i += BATCH)
		batch_run(b, kind);
	printf("{\"case\": \"%s\", \"ns\": %.2f}\n", kind_names[kind],
		(thread_s() - start_s) * 1e9 / ROUND_OPS);
}

static void load(struct bench *b)
{
	double start_s = thread_s();

	for (uint64_t first = 0; first < b->items; first += BATCH) {
		turn(b);
		batch_make(b, first, 0);
		for (unsigned i = 0; i < BATCH; i++)
			item_set(b, i);
	}
	printf("{\"case\": \"set of a new key\", \"ns\": %.2f}\n",
		(thread_s() - start_s) * 1e9 / (double)b->items);
}

int main(int argc, char **argv)
{
	struct mem_options mo = {.name = "bench", .numa_node = -1, .source = MEM_SOURCE_PAGES};
	struct store_options so = {
		.seed = 1, .item_bytes_max = 1 << 20, .policy = STORE_ALLKEYS_LRU, .samples = 5};
	struct bench b = {.now = {.mono_us = 1000000, .wall_s = 1600000000}};

	if (argc != 4) {
		fprintf(stderr, "usage: bench_store ITEMS ROUNDS pages|thp|huge\n");
		return 2;
	}
	mo.thp = !strcmp(argv[3], "thp");
	if (!strcmp(argv[3], "huge")) {
		mo.source = MEM_SOURCE_HUGE;
		mo.region_bytes = REGION_BYTES;
	}
	memset(b.value, 'v', sizeof(b.value));
	b.items = strtoull(argv[1], NULL, 10);
	base_assert(b.items >= BATCH && b.items % BATCH == 0 && b.items <= UINT32_MAX / 2);
	memset(b.key, 'k', sizeof(b.key));
	base_rng_seed(&b.rng, 5);
	base_assert(mem_domain_open(&so.mem, &mo) == 0 && mem_domain_bind(so.mem) == 0);
	base_assert(store_open(&b.store, &so) == 0);
	load(&b);
	for (uint64_t n = strtoull(argv[2], NULL, 10); n > 0; n--) {
		for (unsigned kind = 0; kind < KINDS; kind++)
			round_run(&b, kind);
	}
	fprintf(stderr, "%llu\n", (unsigned long long)b.sum); // the values were read
	return 0;                                             // the system takes it all back
}
