// SPDX-License-Identifier: BSD-3-Clause
// What the server counts, compared with what is: the allocator's own count of this thread, the sum
// of what is dealt to the shards, and nothing left where nobody is.

#include "sim.h"

#if defined(MEM_JEMALLOC)
#include <jemalloc/jemalloc.h>
#endif

#define SHARD_MIN (64 << 10) // the least that the ledger deals

// Bytes that the allocator holds for this thread, whatever the arena.
static int64_t thread_bytes(void)
{
#if defined(MEM_JEMALLOC)
	uint64_t in = 0, out = 0;
	size_t len = sizeof(in);

	mallctl("thread.allocated", &in, &len, NULL, 0);
	mallctl("thread.deallocated", &out, &len, NULL, 0);
	return (int64_t)(in - out);
#else
	return 0;
#endif
}

static int64_t counted_bytes(const struct sim *s)
{
	const struct sim_server *v = &s->server;
	uint64_t sum = mem_used(s->mem) + mem_used(v->control_mem);

	for (unsigned i = 0; i < s->cfg.workers; i++)
		sum += mem_used(v->mem[i]);
	return (int64_t)sum;
}

void sim_ledger_open(struct sim *s)
{
	struct worker_counters n = sim_server_counters(s);

	memcpy(s->server.start_bytes, n.mem_used, sizeof(n.mem_used));
	s->allocated_base = thread_bytes() - counted_bytes(s);
}

static void allocator_check(struct sim *s)
{
#if defined(MEM_JEMALLOC)
	int64_t real = thread_bytes() - s->allocated_base, counted = counted_bytes(s);

	if (real != counted)
		sim_fail(s, "the allocator holds %lld bytes, %lld are counted", (long long)real,
			(long long)counted);
#endif
}

static void allowances_check(struct sim *s)
{
	const struct sim_server *v = &s->server;
	uint64_t sum = 0,
		 most = base_max_u64(v->config.maxmemory_bytes, s->cfg.workers * SHARD_MIN);

	for (unsigned i = 0; i < s->cfg.workers; i++)
		sum += v->w[i]->orders.limit_bytes;
	if (sum > most)
		sim_fail(s, "allowances of %llu bytes, maxmemory is %llu", (unsigned long long)sum,
			(unsigned long long)most);
}

static void shard_check(struct sim *s, unsigned i)
{
	struct worker_counters n;
	uint64_t known;

	worker_counters_collect(s->server.w[i], &n);
	known = n.store.item_bytes + n.store.pinned_bytes + n.store.lazyfree_pending_bytes;
	if (n.mem_used[MEM_ITEMS] < known)
		sim_fail(s, "worker %u: items hold %llu bytes, %llu + %llu + %llu are known", i,
			(unsigned long long)n.mem_used[MEM_ITEMS],
			(unsigned long long)n.store.item_bytes,
			(unsigned long long)n.store.pinned_bytes,
			(unsigned long long)n.store.lazyfree_pending_bytes);
	if (n.store.items == 0 && n.store.item_bytes != 0)
		sim_fail(s, "worker %u: no items of %llu bytes", i,
			(unsigned long long)n.store.item_bytes);
	if (!sim_refusal_possible(s) && n.store.evicted > 0)
		sim_fail(s, "worker %u evicts with room for everything", i);
}

void sim_ledger_check(struct sim *s)
{
	allocator_check(s);
	allowances_check(s);
	for (unsigned i = 0; i < s->cfg.workers; i++)
		shard_check(s, i);
}

// Classes that must be as at the start. Tables that only grow lie in others.
void sim_ledger_home(struct sim *s)
{
	static const enum mem_class empty[] = {MEM_ITEMS, MEM_INPUT, MEM_OUTPUT};
	struct worker_counters n = sim_server_counters(s);

	sim_ledger_check(s);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(empty); i++) {
		if (n.mem_used[empty[i]] != 0)
			sim_fail(s, "%llu bytes of class %d are left",
				(unsigned long long)n.mem_used[empty[i]], (int)empty[i]);
	}
	if (n.conns != 0 || n.slots_out != 0 || n.store.pinned_bytes != 0 || n.store.items != 0)
		sim_fail(s, "left: %llu connections, %llu slots, %llu pinned bytes, %llu items",
			(unsigned long long)n.conns, (unsigned long long)n.slots_out,
			(unsigned long long)n.store.pinned_bytes,
			(unsigned long long)n.store.items);
	if (n.mem_used[MEM_CONNS] > s->server.start_bytes[MEM_CONNS])
		sim_fail(s, "connections hold %llu bytes, %llu at the start",
			(unsigned long long)n.mem_used[MEM_CONNS],
			(unsigned long long)s->server.start_bytes[MEM_CONNS]);
}
