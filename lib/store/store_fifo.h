// SPDX-License-Identifier: BSD-3-Clause
// What the queue policies keep beside items: a queue of new keys, and fingerprints of what has gone.
// Internal to lib/store.
#pragma once

#include "store/store.h"

// A queue of 8-byte entries in pages. An entry whose item has gone is stale, and dropped when met.
//   +----------------------+--------------------+
//   | hash: bits 0-47   48 | stamp: low bits 16 |
//   +----------------------+--------------------+
#define STORE_FIFO_ENTRIES 511u
struct store_fifo_block {
	struct store_fifo_block *next;
	uint64_t entry[STORE_FIFO_ENTRIES];
};
static_assert(sizeof(struct store_fifo_block) == 4096, "a page");

struct store_fifo {
	struct store_fifo_block *head, *tail;
	uint32_t head_at, tail_at; // first entry not taken; first place not filled
	uint64_t count;
};

// False: no memory, or no room for it below the limit.
bool store_fifo_push(struct store *s, struct store_fifo *f, uint64_t entry);
// Bytes that the next push takes.
static inline uint64_t store_fifo_room(const struct store_fifo *f)
{
	return !f->tail || f->tail_at == STORE_FIFO_ENTRIES ? sizeof(struct store_fifo_block) : 0;
}
// False: it is empty.
bool store_fifo_pop(struct store *s, struct store_fifo *f, uint64_t *entry);
// Frees the first page, whatever is in it.
void store_fifo_behead(struct store *s, struct store_fifo *f);
void store_fifo_close(struct store *s, struct store_fifo *f);

// Fingerprints in lines of 31, each overwritten in turn: a queue of `capacity` keys, nearly.
#define STORE_GHOST_WAYS  31u
#define STORE_GHOST_LINES 64u // of a page
struct store_ghost_line {
	uint16_t cursor; // the next to be overwritten
	uint16_t print[STORE_GHOST_WAYS];
};
static_assert(sizeof(struct store_ghost_line) == BASE_CACHE_LINE, "looked up by one line");

struct store_ghost {
	struct store_ghost_line **page; // NULL where nothing was put yet
	uint32_t pages, trim;           // trim: the next of those not in use to be freed
	uint64_t lines;                 // in use, of pages * STORE_GHOST_LINES
};

// Remembers a key; `capacity` is how many are to be remembered at present.
void store_ghost_put(struct store *s, struct store_ghost *g, uint64_t hash, uint64_t capacity);
// True when the key was remembered; it is forgotten.
bool store_ghost_take(struct store_ghost *g, uint64_t hash);
void store_ghost_close(struct store *s, struct store_ghost *g);
