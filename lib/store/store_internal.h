// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/store share.
#pragma once

#include "store/store_due.h"
#include "store/store_fifo.h"
#include "store/store_index.h"

#define STORE_CHAIN_LINES_MAX 8   // a chain that is this long and full takes no more items
#define STORE_DRAW            2   // buckets of a round of samples
#define STORE_POOL_MAX        16  // Redis' EVPOOL_SIZE
#define STORE_SPLITS_COMMIT   2   // splits that one commit may do
#define STORE_FLUSH_LINES     128 // lines that a flush reclaims by itself
#define STORE_GROW_WAIT       64  // commits between attempts after a failed allocation

#define STORE_SAMPLES_MAX     64

// What the 24 bits of an item's access field are. Items say it themselves, so that a switch of the
// policy need not touch them: each is turned over when it is met.
enum store_field {
	STORE_FIELD_CLOCK, // tick of the last access
	STORE_FIELD_LFU,   // 16 bits of minutes, 8 bits of logarithmic counter
	STORE_FIELD_FIFO,  // main, frequency 2 bits, 21 bits of the tick of insertion
};
#define STORE_FIELD_SHIFT  8 // of STORE_ITEM_FIELD
#define STORE_TICK_MASK    0xffffffu
#define STORE_FIFO_MAIN    0x800000u
#define STORE_FIFO_FREQ    0x200000u // one of it
#define STORE_FIFO_STAMP   0x1fffffu
#define STORE_FIFO_AGE_MAX 0x100000u // the sweep turns older ones to this age
#define STORE_SIDE_SHARE   16u       // such a page is at most this part of the limit

// The clock of accesses (store_clock.c).
#define STORE_CLOCK_LEVELS  4
#define STORE_CLOCK_PERIODS 64
struct store_clock {
	uint64_t ticks;
	uint32_t left;                // accesses until the next tick
	bool moved;                   // something was accessed since the second began
	uint64_t turn_us, turn_ticks; // when the tick's length was last taken
	double tick_us;               // ... and what it was, smoothed; 0: unknown
	uint64_t second, second_first;
	uint64_t start[STORE_CLOCK_LEVELS][STORE_CLOCK_PERIODS]; // tick at which a period began
	// the sweep that keeps stamps from wrapping
	uint32_t sweep_bucket;
	uint64_t sweep_ticks; // when the pass began
	bool sweep_now;       // the policy was switched: go through at once
};

// A candidate for eviction. `it` may be gone: it is looked for in its bucket before it is followed.
struct store_candidate {
	uint64_t hash;
	struct store_item *it;
	uint64_t score; // when it was sampled; the highest goes first
};

// An index that a flush took away, until its items are freed.
struct store_generation {
	struct store_index ix;
	struct store_due due;
	struct store_fifo small;
	uint32_t cursor; // buckets below are empty, and their whole segments freed
	struct store_generation *next;
};

struct store {
	struct store_index live;
	struct store_due due; // of live
	struct base_now now;
	struct store_clock clock;
	uint16_t minute; // of LFU
	struct mem_domain *mem;

	// ledger
	uint64_t limit_bytes;
	uint64_t headroom_bytes;      // kept free below the limit for the next segment,
	uint64_t side_headroom_bytes; // and for a page of the queue
	uint64_t item_bytes_max;
	uint64_t cas_next, cas_step;
	struct store_generation *dead; // newest first
	uint64_t flush_at_s;           // pending delayed flush; 0: none

	// spare overflow lines: at least one for each reservation, so that commits cannot fail
	struct store_line *spare;
	uint32_t spares, reserved;

	uint32_t grow_wait; // commits until growth is tried again
	struct store_settings set;
	const struct store_policy_traits *traits; // of set.policy
	uint64_t excess_max;  // evictions of a turn's reserves beyond their own need: set.tenacity
	uint64_t excess_left; // of this turn
	struct store_fifo small;
	struct store_ghost ghost;
	struct lazy_entry *lazy_head, *lazy_tail;
	uint32_t idle; // share of empty turns, of 2^16
	double cold;   // of evicted items, smoothed: ticks of age, or LFU's rank
	uint8_t pool_count;
	struct store_candidate pool[STORE_POOL_MAX]; // ascending by score
	uint32_t walk_bucket;                        // where the last walk for a victim ended
	uint64_t drawn[2][STORE_DRAW];               // hashes for the next rounds of samples
	struct base_rng rng;
	struct store_counters n;
};

struct store_policy_traits {
	const char *name;
	enum store_field field;
	bool evicts, is_volatile, random, by_deadline;
	bool queues, by_size;
};

static inline bool store_evicts(const struct store *s)
{
	return s->traits->evicts;
}

static inline bool store_item_expired(const struct store *s, const struct store_item *it)
{
	return it->deadline_s != 0 && it->deadline_s <= s->now.wall_s;
}

static inline enum store_field store_item_field(const struct store_item *it)
{
	return (enum store_field)((it->bits & STORE_ITEM_FIELD) >> STORE_FIELD_SHIFT);
}

static inline uint32_t store_item_access(const struct store_item *it)
{
	return it->access_key_len >> 8;
}

// An item of S3-FIFO's small queue.
static inline bool store_item_small(const struct store_item *it)
{
	return store_item_field(it) == STORE_FIELD_FIFO &&
		!(store_item_access(it) & STORE_FIFO_MAIN);
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

// ---- deadlines ----
// An item that is being linked, or that leaves the live index.
static inline void store_due_enter(struct store *s, struct store_item *it, uint64_t hash)
{
	if (it->deadline_s == 0)
		return;
	if (store_due_add(s, &s->due, store_index_number(&s->live, hash), it->deadline_s, 1))
		it->bits |= STORE_ITEM_DUE;
	else
		s->n.deadlines_missed++;
}

static inline void store_due_leave(struct store *s, struct store_item *it, uint64_t hash)
{
	if (!(it->bits & STORE_ITEM_DUE))
		return;
	it->bits &= (uint16_t)~STORE_ITEM_DUE;
	store_due_remove(s, &s->due, store_index_number(&s->live, hash), 1);
}

static inline uint64_t store_item_usable(const struct store *s, const struct store_item *it)
{
	return mem_usable(s->mem, store_item_bytes(it));
}

// An item of the small queue leaves it.
static inline void store_small_leave(struct store *s, const struct store_item *it)
{
	if (!store_item_small(it))
		return;
	s->n.small_items--;
	s->n.small_bytes -= store_item_usable(s, it);
}

// Whether a page more of the queue's memory is worth making room for.
static inline bool store_side_affordable(const struct store *s)
{
	return !s->limit_bytes || s->limit_bytes >= STORE_SIDE_PAGE * STORE_SIDE_SHARE;
}

// Where reserves stop.
static inline uint64_t store_limit_kept(const struct store *s)
{
	uint64_t kept = s->headroom_bytes + s->side_headroom_bytes;

	return s->limit_bytes > kept ? s->limit_bytes - kept : 0;
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
void store_item_drop(struct store *s, struct store_item *it, enum store_lazy mode);
// The same for one that was in the live index: also counts it off.
void store_item_leave(struct store *s, struct store_item *it, enum store_lazy mode);
// The same for one whose deadline has passed.
void store_item_expire(struct store *s, struct store_item *it);

// ---- what an item knows about its past (store_policy.c) ----
// 0 or -EINVAL.
int store_policy_apply(struct store *s, const struct store_settings *set);
// Of one that is committed: `old` is the item that it replaces, or NULL for a new key.
void store_access_begin(
	struct store *s, struct store_item *it, const struct store_item *old, uint64_t hash);
// Turns the field over to the present policy's kind.
void store_access_convert(struct store *s, struct store_item *it);
// How much it deserves to go; the field is of the present policy's kind.
uint64_t store_item_score(const struct store *s, const struct store_item *it);

// Into the main queue, behind all that is there.
void store_access_main(struct store *s, struct store_item *it);
unsigned store_access_freq(const struct store_item *it);
// An item is about to be evicted for its score.
void store_cold_note(struct store *s, const struct store_item *it);

// ---- the clock (store_clock.c) ----
void store_clock_turn(struct store *s);
void store_clock_tick(struct store *s);
// Seconds since a tick.
uint64_t store_clock_idle_s(const struct store *s, uint64_t tick);
// Goes on with the sweep; at most `buckets_max`. True: it is not where it should be.
bool store_clock_sweep(struct store *s, unsigned buckets_max);

// An access was made.
static inline void store_clock_count(struct store *s)
{
	s->clock.moved = true;
	if (base_unlikely(s->clock.left-- == 0))
		store_clock_tick(s);
}

// ---- eviction (store_evict.c, store_sample.c) ----
// Evicts one item, or reclaims expired ones. False: nothing was found to evict.
bool store_evict_one(struct store *s);
void store_slot_evict(struct store *s, uint64_t *slot, uint64_t hash);
// Up to `want` items at random of those that the policy may evict.
unsigned store_items_sample(struct store *s, struct store_item **out, unsigned want);

// Evicts an item at random of those that the policy may evict. False: the one met is held.
bool store_random_evict(struct store *s);
// One round of sampling offered to the pool. True: expired items were among them and are gone.
bool store_pool_fill(struct store *s);

// ---- S3-FIFO (store_s3fifo.c) ----
bool store_s3fifo_evict(struct store *s);
// Whether a new key goes into the small queue, and is in it now; else it is of the main queue.
bool store_s3fifo_enter(
	struct store *s, const struct store_item *it, uint64_t hash, uint32_t stamp);

// ---- lazy free (store_lazy.c) ----
// Frees an item without references, now or later.
void store_lazy_free(struct store *s, struct store_item *it, enum store_lazy mode);
// Frees the oldest of the queue. False: it is empty.
bool store_lazy_reclaim(struct store *s);
// A step of the queue, of at most `budget` items; returns what is left of the budget.
unsigned store_lazy_step(struct store *s, unsigned budget);

// ---- active expiry (store_expire.c) ----
// Expires what is due, looking at about `budget` items; returns what is left of the budget.
unsigned store_expire_step(struct store *s, unsigned budget);

// ---- room (store_room.c) ----
// Makes room for `bytes` below the limit. False: it cannot be had.
bool store_room_make(struct store *s, uint64_t bytes);
// Evicts about `bytes` after the allocator refused. False: nothing could be freed.
bool store_room_force(struct store *s, uint64_t bytes);
// Makes room in the chain of `hash` when that is full. False: it cannot be had.
bool store_chain_room_make(struct store *s, uint64_t hash);
// A step down to the limit. True: it is not reached, and another gets nearer.
bool store_room_step(struct store *s, unsigned *budget);

// ---- flush (store_flush.c) ----
// Reclaims at most about `budget` lines and items of flushed generations; returns what is left of
// the budget.
unsigned store_dead_reclaim(struct store *s, unsigned budget);
// Drops every item of the live index in place.
void store_live_empty(struct store *s);
