// SPDX-License-Identifier: BSD-3-Clause
// Counters of all modules of one worker in one struct, and their sums.

#include "worker/worker_internal.h"

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
}

void worker_counters_add(struct worker_counters *into, const struct worker_counters *from)
{
	uint64_t *to = (uint64_t *)(void *)into;
	const uint64_t *f = (const uint64_t *)(const void *)from;

	for (size_t i = 0; i < sizeof(*into) / sizeof(uint64_t); i++)
		to[i] += f[i];
}
