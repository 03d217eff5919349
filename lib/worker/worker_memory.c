// SPDX-License-Identifier: BSD-3-Clause
// Memory in a worker's turn: pages made ready and given back, questions about a key answered, the
// reply to `stats memory`.

#include "worker/worker_internal.h"

unsigned worker_memory_turn(struct worker *w)
{
	uint64_t now_us = w->now.mono_us;

	// One slice a turn; what is to be given back comes first.
	if (mem_purge_slice(w->mem, now_us) == MEM_SLICE_MORE)
		return 1;
	return mem_domain_upkeep(w->mem, now_us) == MEM_SLICE_MORE;
}

static uint64_t index_bytes_a_key(struct worker *w)
{
	uint64_t items = store_counters_get(w->store)->items;

	return items == 0 ? 0 : mem_used_class(w->mem, MEM_INDEX) / items;
}

void worker_probe_turn(struct worker *w)
{
	struct worker_probe probe;
	struct worker_probe_answer a = {0};
	struct store_memory memory;
	struct store_item *it;

	if (!worker_probe_next(w, &probe))
		return;
	a.seq = probe.seq;
	it = store_find(w->store, probe.key, (uint8_t)probe.key_len, probe.hash);
	if (it != NULL) {
		a.found = true;
		memory = store_item_memory(w->store, it);
		a.asked_bytes = memory.asked_bytes;
		a.held_bytes = memory.held_bytes;
		a.key_bytes = probe.key_len;
		a.value_bytes = it->value_bytes;
		a.index_bytes = index_bytes_a_key(w);
		a.references = it->refs;
		a.idle_s = store_item_idle_s(w->store, it);
		a.deadline_s = it->deadline_s;
	}
	worker_probe_reply(w, &a);
}
