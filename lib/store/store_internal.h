// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/store share.
#pragma once

#include "store/store_index.h"

#define STORE_CHAIN_LINES_MAX 8   // a chain that is this long and full takes no more items
#define STORE_POOL_MAX        16  // Redis' EVPOOL_SIZE
#define STORE_SPLITS_COMMIT   2   // splits that one commit may do
#define STORE_FLUSH_LINES     128 // lines that a flush reclaims by itself
#define STORE_GROW_WAIT       64  // commits between attempts after a failed allocation

#define STORE_CLOCK_SHIFT     14 // the access clock counts 2^14 us
#define STORE_CLOCK_MASK      0xffffffu

// A candidate for eviction. `it` may be gone: it is looked for in its bucket before it is followed.
struct store_candidate {
	uint64_t hash;
	struct store_item *it;
	uint32_t idle; // clock units, when it was sampled
};

// An index that a flush took away, until its items are freed.
struct store_generation {
	struct store_index ix;
	uint32_t cursor; // buckets below are empty, and their whole segments freed
	struct store_generation *next;
};

struct store {
	struct store_index live;
	uint32_t clock; // access clock of this turn
	struct base_now now;
	struct mem_domain *mem;

	// ledger
	uint64_t limit_bytes;
	uint64_t headroom_bytes; // kept free below the limit for the next segment
	uint64_t item_bytes_max;
	uint64_t cas_next, cas_step;
	struct store_generation *dead; // newest first
	uint64_t flush_at_s;           // pending delayed flush; 0: none

	// spare overflow lines: at least one for each reservation, so that commits cannot fail
	struct store_line *spare;
	uint32_t spares, reserved;

	uint32_t grow_wait; // commits until growth is tried again
	enum store_policy policy;
	uint8_t samples, tenacity;
	uint32_t lfu_log_factor, lfu_decay_min;
	uint8_t pool_count;
	struct store_candidate pool[STORE_POOL_MAX]; // ascending by idle
	struct base_rng rng;
	struct store_counters n;
};

static inline bool store_evicts(const struct store *s)
{
	return s->policy != STORE_NOEVICTION;
}

static inline bool store_item_expired(const struct store *s, const struct store_item *it)
{
	return it->deadline_s != 0 && it->deadline_s <= s->now.wall_s;
}

// Clock units since the last access.
static inline uint32_t store_item_idle(const struct store *s, const struct store_item *it)
{
	return (s->clock - (it->access_key_len >> 8)) & STORE_CLOCK_MASK;
}

static inline uint64_t store_item_bytes(const struct store_item *it)
{
	return sizeof(*it) + (it->bits & STORE_ITEM_CFLAGS ? 4 : 0) + store_item_key_len(it) +
		(uint64_t)it->value_bytes;
}

static inline uint64_t store_item_hash(struct store_item *it)
{
	return base_hash(store_item_key(it), store_item_key_len(it));
}

// Bytes that count against the limit.
static inline uint64_t store_charged_bytes(const struct store *s)
{
	uint64_t used = mem_used_class(s->mem, MEM_ITEMS) + mem_used_class(s->mem, MEM_INDEX);

	return used > s->n.pinned_bytes ? used - s->n.pinned_bytes : 0;
}

// ---- lines and links (store_grow.c) ----
// Overflow lines come from the spares and go back there, or to the domain when there are enough.
bool store_spare_ensure(struct store *s);
void store_spare_trim(struct store *s);
void store_line_free(struct store *s, struct store_line *line);
// Puts an item that is not there into the live index.
void store_link(struct store *s, struct store_item *it, uint64_t hash);
// Empties a slot of the live index; `hash` is the item's.
void store_slot_clear(struct store *s, uint64_t *slot, uint64_t hash);
// Splits at most `splits_max` buckets while the index is loaded above its mark. True: there is more
// to split and nothing stands in the way.
bool store_grow(struct store *s, unsigned splits_max);
// Merges at most `merges_max` buckets while the index is loaded below its low mark, and frees
// segments. True: it merged some and there is more.
bool store_shrink(struct store *s, unsigned merges_max);

// ---- items (store_item.c) ----
// Takes the store's reference from an item that is in no index any more.
void store_item_drop(struct store *s, struct store_item *it);
// The same for one that was in the live index: also counts it off.
void store_item_leave(struct store *s, struct store_item *it);
// The same for one whose deadline has passed.
void store_item_expire(struct store *s, struct store_item *it);

// ---- eviction (store_evict.c) ----
// Makes room for `bytes` below the limit. False: it cannot be had.
bool store_room_make(struct store *s, uint64_t bytes);
// Evicts about `bytes` after the allocator refused. False: nothing could be freed.
bool store_room_force(struct store *s, uint64_t bytes);
// Makes room in the chain of `hash` when that is full. False: it cannot be had.
bool store_chain_room_make(struct store *s, uint64_t hash);
// Evicts one item, or reclaims expired ones. False: nothing was found to evict.
bool store_evict_one(struct store *s);

// ---- flush (store_flush.c) ----
// Reclaims at most about `budget` lines and items of flushed generations; returns what is left of
// the budget.
unsigned store_dead_reclaim(struct store *s, unsigned budget);
// Drops every item of the live index in place.
void store_live_empty(struct store *s);
