// SPDX-License-Identifier: BSD-3-Clause
// A ring of records of whole words between two threads: one writes, one reads. A record lies in
// one piece; where it would not fit before the end, a word of zeroes says that nothing follows up
// to it.
//
//	word[]   | record | record |   room   | record | 0 ...skipped |
//	                           ^ head     ^ tail
//
// The writer:                                     The reader:
//	p = base_ring_room(r, words);                     while ((p = base_ring_peek(r)) != NULL) {
//	if (p != NULL) {                                          ...
//		...fill it, its first word not 0...               base_ring_pass(r, words);
//		base_ring_publish(r, words);              }
//	}
#pragma once

#include "base/base.h"

#define BASE_RING_WORD 8u

struct base_ring {
	// the writer's
	_Alignas(BASE_CACHE_LINE) uint64_t head; // in words, ever rising
	uint64_t tail_seen;
	// the reader's
	_Alignas(BASE_CACHE_LINE) uint64_t tail;
	// read-only
	_Alignas(BASE_CACHE_LINE) uint64_t *word;
	uint64_t mask;
};

// bytes: a power of two. Its pages are there: neither side meets a page fault. 0 or -ENOMEM.
int base_ring_open(struct base_ring *r, uint32_t bytes);
// Also of one that was never opened, if it is all zeroes.
void base_ring_close(struct base_ring *r);

// Words that it has in all; a record of up to half of them fits at last, wherever head is.
static inline uint64_t base_ring_words(const struct base_ring *r)
{
	return r->mask + 1;
}

// The writer's: room for so many words in one piece, or NULL. Nothing is taken before it is
// published.
void *base_ring_room(struct base_ring *r, uint64_t words);
// The writer's: what was asked for last, with as many words, is the reader's: one record or
// several, each of which begins with a word that is not 0.
void base_ring_publish(struct base_ring *r, uint64_t words);
// The writer's: words that the reader has not passed.
uint64_t base_ring_used(struct base_ring *r);
// The reader's: the oldest record, or NULL; it stays until it is passed.
const void *base_ring_peek(struct base_ring *r);
// The reader's: the oldest record, of so many words.
void base_ring_pass(struct base_ring *r, uint64_t words);
