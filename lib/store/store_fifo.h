// SPDX-License-Identifier: BSD-3-Clause
// What the queue policies keep beside items: a queue of new keys, and fingerprints of what has
// gone. Internal to lib/store.
#pragma once

#include "store/store.h"

#define STORE_SIDE_PAGE 4096u // what the queue and the ghosts grow by

// A page, zeroed, below the limit; NULL: there is none, and the reserves that follow make room for
// one.
void *store_side_alloc(struct store *s);
void store_side_free(struct store *s, void *p);

// A queue of 8-byte entries in pages. An entry whose item has gone is stale, and dropped when met.
//   +----------------------+--------------------+
//   | hash: bits 0-47   48 | stamp: low bits 16 |
//   +----------------------+--------------------+
#define STORE_FIFO_ENTRIES 511u
struct store_fifo_block {
	struct store_fifo_block *next;
	uint64_t entry[STORE_FIFO_ENTRIES];
};
static_assert(sizeof(struct store_fifo_block) == STORE_SIDE_PAGE, "a page");

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

// Fingerprints in lines of 32, each line a queue of its own: all together one of `capacity` keys,
// nearly. A print that is taken leaves no hole, so that the older ones of its line stay longer.
#define STORE_GHOST_WAYS  32u
#define STORE_GHOST_LINES 64u // of a page
struct store_ghost_line {
	uint16_t print[STORE_GHOST_WAYS]; // newest first; 0: none from here on
};
static_assert(sizeof(struct store_ghost_line) == BASE_CACHE_LINE, "looked up by one line");

#define STORE_GHOST_PAGES 512u // of a directory
struct store_ghost_directory {
	struct store_ghost_line *page[STORE_GHOST_PAGES]; // NULL where nothing was put yet
};
static_assert(sizeof(struct store_ghost_directory) == STORE_SIDE_PAGE, "a page");

struct store_ghost {
	struct store_ghost_directory **directory; // NULL as pages
	uint32_t directories;
	uint32_t trim;  // the next page of those not in use to be freed
	uint32_t want;  // the page that was missing last
	bool wanted;    // ... and it, or its directory, is to be had
	uint64_t lines; // in use
};

// Remembers a key; `capacity` is how many are to be remembered at present. Takes no memory to speak
// of: where its page is missing the key is forgotten, and the page wanted.
void store_ghost_put(struct store *s, struct store_ghost *g, uint64_t hash, uint64_t capacity);
// Bytes that store_ghost_extend takes.
static inline uint64_t store_ghost_room(const struct store_ghost *g)
{
	return g->wanted ? STORE_SIDE_PAGE : 0;
}
// Has what is wanted, if there is room.
void store_ghost_extend(struct store *s, struct store_ghost *g);
// True when the key was remembered; it is forgotten.
bool store_ghost_take(struct store_ghost *g, uint64_t hash);
void store_ghost_close(struct store *s, struct store_ghost *g);
