// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/store share.
#pragma once

#include "store/store_cycle.h"
#include "store/store_due.h"
#include "store/store_fifo.h"
#include "store/store_index.h"

#define STORE_BUCKET_ITEMS_MAX 52  // a bucket with so many (12 nodes) takes no more
#define STORE_DRAWN            4   // buckets whose samples are under way; a power of two
#define STORE_POOL_MAX         16  // Redis' EVPOOL_SIZE
#define STORE_SPLITS_COMMIT    1   // buckets that one commit may bring into use
#define STORE_FLUSH_LINES      128 // lines and items that a flush reclaims by itself
#define STORE_GROW_WAIT        64  // commits between attempts after a failed allocation

// What the deadline index may take for an item and for the growth of its commit, kept free with it.
#define STORE_DUE_ROOM    1024

#define STORE_SAMPLES_MAX 64

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

// An item met in its bucket. It may be gone later: it is looked for there before it is followed.
struct store_sample {
	uint64_t slot;   // of the index: the item and its tag
	uint32_t bucket; // where that was
};

// The best candidates for eviction (store_pool.c). They stay in their places; their order is a
// permutation of the places, 4 bits each, the lowest score first; behind `count` the free ones.
struct store_pool {
	uint64_t score[STORE_POOL_MAX]; // when they were sampled; UINT64_MAX: free
	struct store_sample sample[STORE_POOL_MAX];
	uint64_t order;
	unsigned count;
};

// The buckets that samples come from, one after the other, each to its last item.
struct store_sampler {
	uint64_t drawn[STORE_DRAWN]; // random hashes, from `head` round
	unsigned head;
	unsigned at; // slots of its bucket that have been looked at; the nodes' items count on
};

// An index that a flush took away, until its items are freed.
struct store_generation {
	struct store_index ix;
	struct store_due due;
	struct store_fifo small;
	uint32_t cursor; // buckets below are empty, and their whole segments freed
	struct store_generation *next;
};

// A pass of store_defrag.c.
#define STORE_DEFRAG_AGAIN 64
enum store_defrag_walk {
	STORE_DEFRAG_REST,
	STORE_DEFRAG_SLABS,       // all buckets, for sparse slabs,
	STORE_DEFRAG_SLABS_AGAIN, // ... those where somebody read an item once more,
	STORE_DEFRAG_SEGMENTS,    // the index itself, for what lies in a window of high addresses,
	STORE_DEFRAG_PAGES,       // ... all buckets, for that,
	STORE_DEFRAG_WINDOW,      // what was moved is freed; then the next window,
	STORE_DEFRAG_END,         // ... and what else the allocator has kept
};
struct store_defrag {
	struct store_defrag_plan plan;
	uint32_t begun; // the plan's number of the last pass
	enum store_defrag_walk walk;
	uint32_t bucket;           // the next
	unsigned spent;            // units of the batch under way
	uintptr_t mark, from, top; // pages: the watermark, the window
	bool gather;               // what is left above the mark after the last window
	uint64_t segment_most;     // larger ones stay: too long a copy, or no room below the mark
	unsigned agains, again_at;
	uint32_t again[STORE_DEFRAG_AGAIN];
};

struct store {
	struct store_index live;
	uint32_t epoch;       // counts the changes of where keys belong in it
	struct store_due due; // of live
	bool due_keep;        // it is to be kept
	bool due_settling;    // buckets from due_cursor on are still as it was not
	uint32_t due_cursor;
	struct store_cycle cycle;
	struct base_now now;
	struct store_clock clock;
	uint16_t minute; // of LFU
	struct mem_domain *mem;

	// ledger
	uint64_t limit_bytes;
	uint64_t headroom_bytes;      // kept free below the limit for the next segment,
	uint64_t side_headroom_bytes; // and for a page of the queue
	uint64_t refused_bytes;       // what was charged when the allocator refused the last time
	uint64_t item_bytes_max;
	uint64_t cas_next, cas_step;
	struct store_generation *dead;  // newest first
	struct store_generation *fresh; // with the next flush's index, or NULL
	uint64_t flush_at_s;            // pending delayed flush; 0: none

	// spare nodes: at least one for each reservation, so that commits cannot fail
	struct store_node *spare;
	uint32_t spares, reserved;

	void (*evict_tell)(void *arg, struct store_item *it); // NULL: nobody wants to know
	void *evict_tell_arg;

	uint32_t grow_wait; // commits until growth is tried again
	uint64_t expected;  // items that the index is made for (store_expect)
	struct store_settings set;
	const struct store_policy_traits *traits; // of set.policy
	uint64_t excess_max;  // evictions of a turn's reserves beyond their own need: set.tenacity
	uint64_t excess_left; // of this turn
	struct store_fifo small;
	struct store_ghost ghost;
	struct lazy_entry *lazy_head, *lazy_tail;
	uint32_t idle;       // share of empty turns, of 2^16
	double cold;         // of evicted items, smoothed: ticks of age, or LFU's rank
	uint64_t cold_us;    // when the last went that it was taken of
	double gap_us;       // queue policies: between evictions, smoothed
	uint64_t evicted_us; // ... and the time of the last
	struct store_pool pool;
	uint32_t walk_bucket; // where the last walk for a victim ended
	struct store_sampler sampler;
	struct store_defrag defrag;
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

// ---- one piece or two (store_value.c) ----
#define STORE_TAIL_ADDRESS 8   // bytes, in the head
#define STORE_SPLIT_ABOVE  320 // bytes of an item that is never split; also the smallest head
#define STORE_SPLIT_GAIN   32  // bytes that it saves at least,
#define STORE_SPLIT_SHARE  16  // ... and this part of the one block;
#define STORE_SPLIT_LONG \
	4096 // above that half of the part: a line more is little beside the copying
static_assert(sizeof(struct store_item) + 4 + UINT8_MAX + STORE_TAIL_ADDRESS < STORE_SPLIT_ABOVE,
	"the key and the tail's address lie in the head");

struct store_layout {                    // what is asked of the allocator
	uint64_t head_bytes, tail_bytes; // no tail: 0
};

// Where an item of so many bytes (as store_item_bytes counts them) breaks, if it does: at the class
// below, but for sizes of which neither piece needs to have a page in vain.
static inline uint64_t store_split_head(uint64_t bytes)
{
	uint64_t head = (bytes - 1) & ~(mem_size_step(bytes) - 1);

	if (base_unlikely(head >= MEM_SMALL_MAX) && bytes + STORE_TAIL_ADDRESS <= 2 * MEM_SMALL_MAX)
		return MEM_SMALL_MAX;
	return head;
}

static inline struct store_layout store_layout_of(uint64_t bytes)
{
	uint64_t head, tail, one, gain;

	if (base_likely(bytes <= STORE_SPLIT_ABOVE))
		return (struct store_layout){bytes, 0};
	head = store_split_head(bytes);
	tail = bytes + STORE_TAIL_ADDRESS - head;
	one = mem_size_taken(bytes);
	gain = one / (bytes > STORE_SPLIT_LONG ? 2 * STORE_SPLIT_SHARE : STORE_SPLIT_SHARE);
	gain = base_max_u64(gain, STORE_SPLIT_GAIN);
	if (mem_size_taken(head) + mem_size_taken(tail) + gain > one)
		return (struct store_layout){bytes, 0};
	return (struct store_layout){head, tail};
}

static inline uint64_t store_layout_usable(const struct store *s, struct store_layout l)
{
	return mem_usable(s->mem, l.head_bytes) +
		(l.tail_bytes ? mem_usable(s->mem, l.tail_bytes) : 0);
}

// Where the tail's address lies.
static inline char *store_tail_place(struct store_item *it)
{
	return store_item_key(it) + store_item_key_len(it);
}

static inline char *store_tail(struct store_item *it)
{
	char *tail;

	memcpy(&tail, store_tail_place(it), sizeof(tail));
	return tail;
}

// Both pieces, or none: without the header. NULL: no memory.
struct store_item *store_pieces_alloc(struct store *s, struct store_layout l, char **tail);
void store_pieces_free(struct store *s, void *head, char *tail, struct store_layout l);
// An item that is in no queue.
void store_item_free(struct store *s, struct store_item *it);

// Whether two keys of as many bytes are the same. Nothing beyond them is read.
static inline bool store_keys_same(const char *a, const char *b, unsigned len)
{
	uint64_t a8[2], b8[2];
	uint32_t a4[2], b4[2];
	unsigned at;

	if (base_likely(len >= 16)) {
		uint64_t differ = 0;

		for (at = 0;; at = len - at < 32 ? len - 16 : at + 16) { // the last ones overlap
			memcpy(a8, a + at, sizeof(a8));
			memcpy(b8, b + at, sizeof(b8));
			differ |= (a8[0] ^ b8[0]) | (a8[1] ^ b8[1]);
			if (at == len - 16)
				return differ == 0;
		}
	}
	if (len >= 8) {
		memcpy(&a8[0], a, 8);
		memcpy(&b8[0], b, 8);
		memcpy(&a8[1], a + len - 8, 8);
		memcpy(&b8[1], b + len - 8, 8);
		return ((a8[0] ^ b8[0]) | (a8[1] ^ b8[1])) == 0;
	}
	if (len >= 4) {
		memcpy(&a4[0], a, 4);
		memcpy(&b4[0], b, 4);
		memcpy(&a4[1], a + len - 4, 4);
		memcpy(&b4[1], b + len - 4, 4);
		return ((a4[0] ^ b4[0]) | (a4[1] ^ b4[1])) == 0;
	}
	return len == 0 || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
}

static inline bool store_item_has_key(struct store_item *it, const char *key, uint8_t key_len)
{
	return store_item_key_len(it) == key_len &&
		store_keys_same(store_item_key(it), key, key_len);
}

static inline uint64_t store_item_hash(struct store_item *it)
{
	return base_hash(store_item_key(it), store_item_key_len(it));
}

// Bytes that count against the limit.
static inline uint64_t store_charged_bytes(const struct store *s)
{
	uint64_t used = mem_used_stored(s->mem);

	return used > s->n.pinned_bytes ? used - s->n.pinned_bytes : 0;
}

// ---- deadlines ----
// An item that is being linked, or that leaves the live index.
static inline void store_due_enter(struct store *s, struct store_item *it, uint64_t hash)
{
	if (it->deadline_s == 0)
		return;
	s->n.deadlines++;
	if (base_likely(s->due_keep)) {
		if (!store_due_add(
			    s, &s->due, store_index_number(&s->live, hash), it->deadline_s, 1)) {
			s->n.deadlines_missed++;
			return;
		}
		it->bits |= STORE_ITEM_DUE;
	}
	*store_index_locate(&s->live, it, hash) |= STORE_SLOT_DUE;
}

// The slot that it leaves, or what replaces it there, says nothing of deadlines.
static inline void store_due_leave(struct store *s, struct store_item *it, uint32_t bucket)
{
	if (it->deadline_s == 0)
		return;
	s->n.deadlines--;
	if (!(it->bits & STORE_ITEM_DUE))
		return;
	it->bits &= (uint16_t)~STORE_ITEM_DUE;
	store_due_remove(s, &s->due, bucket, 1);
}

static inline uint64_t store_item_usable(const struct store *s, const struct store_item *it)
{
	uint64_t bytes = store_item_bytes(it);

	if (base_likely(!(it->bits & STORE_ITEM_SPLIT)))
		return mem_usable(s->mem, bytes);
	return store_layout_usable(s, store_layout_of(bytes));
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

// ---- buckets (store_chain.c) ----
// Nodes of a bucket that has n items.
static inline uint32_t store_nodes_of(unsigned n)
{
	return n > STORE_BUCKET_SLOTS ? (n - 14) / 3 : 0;
}

// Nodes come from the spares and go back there, or to the domain when there are enough. One spare,
// and `extra` more, for the next reservation. False: no memory.
bool store_spare_ensure(struct store *s, uint32_t extra);
void store_spare_trim(struct store *s);
void store_spare_close(struct store *s);
void store_node_free(struct store *s, struct store_node *node);
// A list of nodes that buckets have given up, for who fills buckets next.
void store_nodes_give(struct store *s, struct store_node **list, struct store_node *node);
void store_nodes_free(struct store *s, struct store_node **list);
// Puts the value of a slot into a bucket of the live index. A node that it needs comes from the
// list or, when that is empty, from the spares. Returns its slot.
uint64_t *store_bucket_put(
	struct store *s, struct store_bucket *b, uint64_t value, struct store_node **nodes);
// Puts an item that is not there into its bucket of the live index.
void store_link(struct store *s, struct store_item *it, struct store_bucket *b, unsigned tag);
// Empties a slot of a bucket of the live index. Another of that bucket may take its place.
void store_bucket_clear(struct store *s, struct store_bucket *b, uint32_t number, uint64_t *slot);

// ---- growth (store_grow.c) ----
// Brings at most `splits_max` buckets into use while the index is loaded above its mark. True:
// there are more to come and nothing stands in the way.
bool store_grow(struct store *s, unsigned splits_max);
// Takes at most `merges_max` buckets out of use while the index is loaded below its low mark, and
// frees segments. True: it did all of them and there may be more.
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
void store_access_turn(struct store *s, struct store_item *it);
static inline void store_access_convert(struct store *s, struct store_item *it)
{
	if (base_unlikely(store_item_field(it) != s->traits->field))
		store_access_turn(s, it);
}
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
bool store_clock_sweep(struct store *s, unsigned *buckets_max);

// An access was made.
static inline void store_clock_count(struct store *s)
{
	s->clock.moved = true;
	if (base_unlikely(s->clock.left-- == 0))
		store_clock_tick(s);
}

// ---- the pool (store_pool.c) ----
void store_pool_clear(struct store_pool *p);
// Offers a sample. A full pool gives up its lowest for a higher one. An item is in it once.
void store_pool_offer(struct store_pool *p, const struct store_sample *sample, uint64_t score);
// Takes the one with the highest score out; returns that. The pool is not empty.
uint64_t store_pool_take(struct store_pool *p, struct store_sample *sample);

// Whether a sample with that score would be taken.
static inline bool store_pool_wants(const struct store_pool *p, uint64_t score)
{
	return p->count < STORE_POOL_MAX || score > p->score[p->order % STORE_POOL_MAX];
}

// The one that would be taken next, or NULL.
static inline const struct store_sample *store_pool_best(const struct store_pool *p)
{
	if (p->count == 0)
		return NULL;
	return &p->sample[p->order >> (p->count - 1) * 4 & (STORE_POOL_MAX - 1)];
}

// ---- eviction (store_evict.c, store_sample.c) ----
// Evicts one item, or reclaims expired ones. False: nothing was found to evict.
bool store_evict_one(struct store *s);
void store_bucket_evict(struct store *s, uint32_t bucket, uint64_t *slot);
// Where a sampled item is, or NULL when it has gone or moved.
uint64_t *store_sample_slot(const struct store *s, const struct store_sample *sample);
void store_sampler_open(struct store *s);
// Up to `want` items at random of those that the policy may evict.
unsigned store_items_sample(struct store *s, struct store_sample *out, unsigned want);

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
// Expires what the index knows to be due, looking at about so many lines and items; returns what
// is left of them.
unsigned store_due_expire(struct store *s, unsigned units);
// The same, and goes on with a cycle of sampling, and with making or giving up the index.
unsigned store_expire_step(struct store *s, unsigned units);

// ---- the deadline index made or given up (store_settle.c) ----
// After settings were applied: whether it is kept.
void store_due_mode(struct store *s);
// Puts right what the index, the items and the slots say of a bucket's deadlines. Returns lines and
// items looked at.
uint32_t store_bucket_settle(struct store *s, uint32_t bucket);
// Goes on with it; returns what is left of the units: it waits for room below the limit, but with
// `force`, or is done.
unsigned store_due_settle(struct store *s, unsigned units, bool force);

// ---- room (store_room.c) ----
// Makes room for `bytes` below the limit. False: it cannot be had.
bool store_room_make(struct store *s, uint64_t bytes);
// Evicts about `bytes` after the allocator refused. False: nothing could be freed.
bool store_room_force(struct store *s, uint64_t bytes);
// Makes room in the chain of `hash` when that is full. False: it cannot be had.
bool store_chain_room_make(struct store *s, uint64_t hash);
// A step down to the limit. True: it is not reached, and another gets nearer.
bool store_room_step(struct store *s, unsigned *budget);

// ---- defrag (store_defrag.c) ----
// Looks at about `units` blocks (a move counts for more); returns what is left of them. Some left:
// there is nothing to do now.
unsigned store_defrag_step(struct store *s, unsigned units);

// ---- flush (store_flush.c) ----
// Reclaims at most about `budget` lines and items of flushed generations; returns what is left of
// the budget.
unsigned store_dead_reclaim(struct store *s, unsigned budget);
// The same, but it stops where freed memory has gathered that the allocator should hand on first.
unsigned store_dead_step(struct store *s, unsigned budget);
// Makes the next flush's index ahead, or frees it where there is little to flush.
void store_fresh_ready(struct store *s);
void store_fresh_close(struct store *s);
// Drops every item of the live index in place.
void store_live_empty(struct store *s);
