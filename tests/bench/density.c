// SPDX-License-Identifier: BSD-3-Clause
// How many items fit into so much resident memory: lib/store in a bound domain, as a worker has it,
// without the network.
//
//	bench_density VALUE_BYTES|etc|zippydb RSS_BYTES
//
// Keys of 20 B. Fills until the process has grown by RSS_BYTES since the empty store; one JSON
// object.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sizes.h"
#include "store/store.h"

#define KEY_BYTES    20
#define LOOK_BYTES   (UINT64_C(1) << 19) // of keys and values between looks at the resident size
#define TURN_SETS    16
#define UPKEEP_ITEMS 32

static uint64_t rss_bytes(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	base_assert(f && fscanf(f, "%*s %llu", &pages) == 1);
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool item_set(struct store *s, uint64_t number, uint32_t value_bytes)
{
	char text[KEY_BYTES];
	struct store_key key = {.key = text, .len = KEY_BYTES};
	struct store_item *it;

	memset(text, 'k', sizeof(text));
	base_u64_format(text, number);
	key.hash = base_hash(text, sizeof(text));
	if (store_reserve(s, &key, 0, 0, value_bytes, &it) != STORE_OK)
		return false;
	store_value_fill(it, 0, 'v', value_bytes);
	store_commit(s, it, key.hash, 0);
	return true;
}

static void fill(struct store *s, struct mem_domain *mem, const char *value, uint64_t until_bytes)
{
	const struct sizes *sizes = !strcmp(value, sizes_etc.name) ? &sizes_etc
		: !strcmp(value, sizes_zippydb.name)               ? &sizes_zippydb
								   : NULL;
	uint32_t bytes = (uint32_t)strtoul(value, NULL, 10);
	struct base_now now = {.mono_us = 1000000, .wall_s = 1600000000};
	uint64_t since = 0;

	for (uint64_t i = 0;; i++) {
		if (sizes)
			bytes = sizes_of(sizes, (uint32_t)i);
		base_assert(item_set(s, i, bytes));
		if (i % TURN_SETS == 0) {
			now.mono_us += TURN_SETS;
			store_turn(s, now);
			store_step(s, UPKEEP_ITEMS);
			mem_domain_upkeep(mem, now.mono_us);
		}
		since += bytes + KEY_BYTES;
		if (since < LOOK_BYTES)
			continue;
		since = 0;
		if (rss_bytes() >= until_bytes)
			return;
	}
}

int main(int argc, char **argv)
{
	struct mem_options mo = {.name = "bench", .numa_node = -1, .source = MEM_SOURCE_PAGES};
	struct store_options so = {
		.seed = 1, .item_bytes_max = 1 << 20, .policy = STORE_NOEVICTION, .samples = 5};
	const struct store_counters *n;
	struct store *s;
	uint64_t start_bytes;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_density VALUE_BYTES|etc|zippydb RSS_BYTES\n");
		return 2;
	}
	base_assert(mem_domain_open(&so.mem, &mo) == 0 && mem_domain_bind(so.mem) == 0);
	base_assert(store_open(&s, &so) == 0);
	start_bytes = rss_bytes();
	fill(s, so.mem, argv[1], start_bytes + strtoull(argv[2], NULL, 10));
	n = store_counters_get(s);
	printf("{\"items\": %llu, \"rss_bytes\": %llu, \"item_bytes\": %llu, "
	       "\"index_bytes\": %llu, \"allocator\": \"%s\"}\n",
		(unsigned long long)n->items, (unsigned long long)(rss_bytes() - start_bytes),
		(unsigned long long)mem_used_class(so.mem, MEM_ITEMS),
		(unsigned long long)mem_used_class(so.mem, MEM_INDEX), mem_backend_name());
	return 0; // the system takes it all back
}
