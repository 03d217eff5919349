// SPDX-License-Identifier: BSD-3-Clause
// Counters of all modules of one worker in one struct, and their sums.

#include "worker/worker_admin.h"

// Every field is a uint64_t, so that sums and snapshots need no list of them.
static_assert(sizeof(struct worker_counters) % sizeof(uint64_t) == 0, "words only");
static_assert(_Alignof(struct worker_counters) == sizeof(uint64_t), "words only");

void worker_counters_collect(struct worker *w, struct worker_counters *out)
{
	*out = w->n;
	out->store = *store_counters_get(w->store);
	out->exec = w->exec.n;
	out->net = *net_counters_get(w->net);
	out->tcp = *tcp_counters_get(w->tcp);
	out->slots_out = w->slots_out;
	out->limit_bytes = w->orders.limit_bytes;
	for (int i = 0; i < MEM_CLASSES; i++)
		out->mem_used[i] = mem_used_class(w->mem, (enum mem_class)i);
	out->mem_held = mem_held_by_thread(w->mem);
	out->mem_slack = mem_slack(w->mem);
}

// What is there now, and the time of our work, which stands for the process' own: not counted
// from a reset on.
static const size_t gauges[] = {
	offsetof(struct worker_counters, store.items),
	offsetof(struct worker_counters, store.item_bytes),
	offsetof(struct worker_counters, store.buckets),
	offsetof(struct worker_counters, store.overflow_buckets),
	offsetof(struct worker_counters, store.pinned_bytes),
	offsetof(struct worker_counters, store.deadlines),
	offsetof(struct worker_counters, store.deadlines_ttl_ms),
	offsetof(struct worker_counters, store.deadlines_stale_milli),
	offsetof(struct worker_counters, conns),
	offsetof(struct worker_counters, tcp.time_wait_now),
	offsetof(struct worker_counters, tcp.half_open_now),
	offsetof(struct worker_counters, slots_out),
	offsetof(struct worker_counters, busy_us),
	offsetof(struct worker_counters, dumps_now),
	offsetof(struct worker_counters, watchers),
	offsetof(struct worker_counters, detail_prefixes),
	offsetof(struct worker_counters, limit_bytes),
	offsetof(struct worker_counters, mem_held),
	offsetof(struct worker_counters, mem_slack),
};

static uint64_t *counter_at(struct worker_counters *c, size_t offset)
{
	return (uint64_t *)(void *)((char *)c + offset);
}

void worker_counters_reset(struct worker *w)
{
	worker_counters_collect(w, &w->reset);
	for (size_t i = 0; i < BASE_ARRAY_LEN(gauges); i++)
		*counter_at(&w->reset, gauges[i]) = 0;
	memset(w->reset.mem_used, 0, sizeof(w->reset.mem_used));
}

void worker_counters_shown(struct worker *w, struct worker_counters *out)
{
	worker_counters_collect(w, out);
	for (size_t at = 0; at < sizeof(*out); at += sizeof(uint64_t))
		*counter_at(out, at) -= *counter_at(&w->reset, at);
}

void worker_counters_add(struct worker_counters *into, const struct worker_counters *from)
{
	uint64_t *to = (uint64_t *)(void *)into;
	const uint64_t *f = (const uint64_t *)(const void *)from;

	for (size_t i = 0; i < sizeof(*into) / sizeof(uint64_t); i++)
		to[i] += f[i];
}
