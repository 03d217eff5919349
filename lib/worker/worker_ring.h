// SPDX-License-Identifier: BSD-3-Clause
// A bounded single-producer single-consumer ring of pointers. Each side keeps its own index and a
// copy of the other's on a cache line of its own, and publishes in batches.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

// | consumer's line: tail, seen head | producer's line: head, seen tail | mask | slots ... |
struct worker_ring {
	_Alignas(BASE_CACHE_LINE) uint32_t tail; // writer: consumer; reader: producer
	uint32_t head_seen;                      // consumer alone
	uint32_t tail_next;                      // consumer alone: consumed, not yet published
	_Alignas(BASE_CACHE_LINE) uint32_t head; // writer: producer; reader: consumer
	uint32_t tail_seen;                      // producer alone
	uint32_t head_next;                      // producer alone: filled, not yet published
	_Alignas(BASE_CACHE_LINE) uint32_t mask; // read-only
	void *slot[];
};

static inline size_t worker_ring_bytes(uint32_t capacity)
{
	return sizeof(struct worker_ring) + capacity * sizeof(void *);
}

static inline void worker_ring_init(struct worker_ring *r, uint32_t capacity)
{
	base_assert(capacity > 0 && (capacity & (capacity - 1)) == 0);
	memset(r, 0, sizeof(*r));
	r->mask = capacity - 1;
}

// Producer: false when full. Seen by the consumer after worker_ring_publish.
static inline bool worker_ring_push(struct worker_ring *r, void *p)
{
	if (base_unlikely(r->head_next - r->tail_seen > r->mask)) {
		r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
		if (r->head_next - r->tail_seen > r->mask)
			return false;
	}
	r->slot[r->head_next++ & r->mask] = p;
	return true;
}

static inline void worker_ring_publish(struct worker_ring *r)
{
	if (r->head_next != r->head)
		__atomic_store_n(&r->head, r->head_next, __ATOMIC_RELEASE);
}

// Consumer: NULL when empty. Room is given back by worker_ring_retire.
static inline void *worker_ring_pop(struct worker_ring *r)
{
	if (r->tail_next == r->head_seen) {
		r->head_seen = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
		if (r->tail_next == r->head_seen)
			return NULL;
	}
	return r->slot[r->tail_next++ & r->mask];
}

// Consumer: what the pop after `n` others will return, NULL when that would be none.
static inline void *worker_ring_peek(struct worker_ring *r, uint32_t n)
{
	if (r->head_seen - r->tail_next <= n) {
		r->head_seen = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
		if (r->head_seen - r->tail_next <= n)
			return NULL;
	}
	return r->slot[(r->tail_next + n) & r->mask];
}

static inline void worker_ring_retire(struct worker_ring *r)
{
	if (r->tail_next != r->tail)
		__atomic_store_n(&r->tail, r->tail_next, __ATOMIC_RELEASE);
}
