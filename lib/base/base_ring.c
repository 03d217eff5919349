// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <sys/mman.h>

#include "base/base_ring.h"

int base_ring_open(struct base_ring *r, uint32_t bytes)
{
	void *at;

	base_assert((bytes & (bytes - 1)) == 0 && bytes >= 2 * BASE_RING_WORD);
	memset(r, 0, sizeof(*r));
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		-1, 0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	r->word = at;
	r->mask = bytes / BASE_RING_WORD - 1;
	return 0;
}

void base_ring_close(struct base_ring *r)
{
	if (r->word != NULL)
		munmap(r->word, base_ring_words(r) * BASE_RING_WORD);
	r->word = NULL;
}

// ---- the writer's side --------------------------------------------------------------------------
// Words at the end that are passed over.
static uint64_t ring_skip(const struct base_ring *r, uint64_t words)
{
	uint64_t end = base_ring_words(r) - (r->head & r->mask);

	return end < words ? end : 0;
}

void *base_ring_room(struct base_ring *r, uint64_t words)
{
	uint64_t skip = ring_skip(r, words), head = r->head + skip;

	if (head + words - r->tail_seen > base_ring_words(r)) {
		r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
		if (head + words - r->tail_seen > base_ring_words(r))
			return NULL;
	}
	if (skip > 0) // one word says it: more may not be left
		r->word[r->head & r->mask] = 0;
	return &r->word[head & r->mask];
}

void base_ring_publish(struct base_ring *r, uint64_t words)
{
	uint64_t head = r->head + ring_skip(r, words) + words;

	base_assert(head - r->tail_seen <= base_ring_words(r));
	__atomic_store_n(&r->head, head, __ATOMIC_RELEASE);
}

uint64_t base_ring_used(struct base_ring *r)
{
	r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
	return r->head - r->tail_seen;
}

// ---- the reader's side --------------------------------------------------------------------------
const void *base_ring_peek(struct base_ring *r)
{
	uint64_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE), at = r->tail & r->mask;

	if (r->tail == head)
		return NULL;
	if (r->word[at] != 0)
		return &r->word[at];
	// a skip, with a record behind it: it was published with that
	__atomic_store_n(&r->tail, r->tail + base_ring_words(r) - at, __ATOMIC_RELEASE);
	base_assert(r->tail < head);
	return r->word;
}

void base_ring_pass(struct base_ring *r, uint64_t words)
{
	__atomic_store_n(&r->tail, r->tail + words, __ATOMIC_RELEASE);
}
