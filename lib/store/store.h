// SPDX-License-Identifier: BSD-3-Clause
// store: one shard. Items in the owner's memory domain, an index of cache-line buckets that grows a
// bucket at a time, lazy expiry, a byte limit held by evicting, references for readers.
//
// Owner thread: the worker that opened it. Nothing here may be called from another thread, but for
// reading the bytes of an item that it holds a reference on (a referenced item never changes; where
// they lie is asked by the owner), or filling one that the owner has reserved for it.
//
//	store_turn(s, now);
//	uint64_t h = base_hash(key, key_len);
//	struct store_item *it = store_find(s, key, key_len, h);
//	if (it && store_ref(s, it)) { ... store_value_spans(it, span) ...; store_unref(s, it); }
//
// Reserve, fill, commit: a half-written item is never visible.
//
//	struct store_item *it;
//	if (store_reserve(s, &(struct store_key){key, key_len, h}, 0, 0, n, &it) == STORE_OK) {
//		store_value_write(it, 0, bytes, n);
//		store_commit(s, it, h, 0);
//	}
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "mem/mem.h"

struct store;

enum store_verdict {
	STORE_OK,
	STORE_NO_MEMORY, // the limit holds and nothing could be evicted, or the allocator failed
	STORE_TOO_LARGE, // above item_bytes_max
};

// item bits
#define STORE_ITEM_LINKED  0x01  // in the index
#define STORE_ITEM_FETCHED 0x02  // read since it was stored
#define STORE_ITEM_STALE   0x04  // meta: invalidated, still served (X)
#define STORE_ITEM_WON     0x08  // meta: one client has been told to recache (W was sent)
#define STORE_ITEM_CFLAGS  0x10  // 4 bytes of client flags stand before the key
#define STORE_ITEM_NUMBER  0x20  // the value is digits, then blanks (lib/exec/exec_number.c)
#define STORE_ITEM_BASE64  0x40  // meta b: clients know the key in base64
#define STORE_ITEM_PRIVATE 0x80  // reserved, and not committed
#define STORE_ITEM_FIELD   0x300 // what the access field holds: enum store_field
#define STORE_ITEM_DUE     0x400 // counted in the deadline index
#define STORE_ITEM_SPLIT   0x800 // the value goes on in a second block, its address before it

//   0         8           12             16            20      22      24
//   +---------+-----------+--------------+-------------+-------+-------+---------+-----+-------+
//   | cas u64 | deadline  | access:24    | value bytes | refs  | bits  | cflags  | key | value |
//   |         | u32, s    | key_len:8    | u32         | u16   | u16   | (0 / 4) |     |       |
//   +---------+-----------+--------------+-------------+-------+-------+---------+-----+-------+
// Where that saves memory the value's end lies in a block of its own, and the address of that (8
// bytes, at any alignment) between key and value: STORE_ITEM_SPLIT.
struct store_item {
	uint64_t cas;
	uint32_t deadline_s;     // in the seconds of base_now.wall_s; 0: never expires
	uint32_t access_key_len; // high 24 bits: the policy's (store_policy.c); low 8: key length
	uint32_t value_bytes;
	uint16_t refs; // 1 while linked or reserved, +1 a reader
	uint16_t bits;
	char data[];
};
static_assert(sizeof(struct store_item) == 24, "header and index stay within 40 bytes a key");

static inline uint8_t store_item_key_len(const struct store_item *it)
{
	return (uint8_t)it->access_key_len;
}

static inline char *store_item_key(struct store_item *it)
{
	return it->data + (it->bits & STORE_ITEM_CFLAGS ? 4 : 0);
}

static inline uint32_t store_item_client_flags(const struct store_item *it)
{
	uint32_t f = 0;

	if (it->bits & STORE_ITEM_CFLAGS)
		memcpy(&f, it->data, sizeof(f));
	return f;
}

// ---- a value's bytes: in one place, or in two ---------------------------------------------------
struct store_span {
	char *at;
	uint32_t bytes;
};

// store_value_spans for STORE_ITEM_SPLIT.
void store_split_spans(struct store_item *it, struct store_span out[2]);

// The whole value in order; the second is empty where the first has all.
static inline void store_value_spans(struct store_item *it, struct store_span out[2])
{
	if (base_unlikely(it->bits & STORE_ITEM_SPLIT)) {
		store_split_spans(it, out);
		return;
	}
	out[0] = (struct store_span){store_item_key(it) + store_item_key_len(it), it->value_bytes};
	out[1] = (struct store_span){NULL, 0};
}

// The byte at `from` (at most value_bytes), and how many lie there together up to the value's end.
static inline char *store_value_at(struct store_item *it, uint32_t from, uint32_t *bytes)
{
	struct store_span span[2];

	store_value_spans(it, span);
	if (base_unlikely(from >= span[0].bytes && span[1].bytes > 0)) {
		from -= span[0].bytes;
		span[0] = span[1];
	}
	*bytes = span[0].bytes - from;
	return span[0].at + from;
}

// Writes n bytes at `from`; they lie within the value.
static inline void store_value_write(
	struct store_item *it, uint32_t from, const void *bytes, uint32_t n)
{
	const char *p = bytes;

	base_assert(from + (uint64_t)n <= it->value_bytes);
	while (n > 0) {
		uint32_t room;
		char *to = store_value_at(it, from, &room);

		room = room < n ? room : n;
		memcpy(to, p, room);
		p += room;
		from += room;
		n -= room;
	}
}

// n times the same byte.
void store_value_fill(struct store_item *it, uint32_t from, char byte, uint32_t n);
// The whole value of `source` to `at` of it.
void store_value_copy(struct store_item *it, uint32_t at, struct store_item *source);
// Moves the first n bytes, so that they begin at `to`; where they were and where they go may
// overlap.
void store_value_shift(struct store_item *it, uint32_t to, uint32_t n);

// The value is about to be read: fetches the first line of its second piece.
static inline void store_value_prefetch(const struct store_item *it)
{
	const char *tail;

	if (base_unlikely(it->bits & STORE_ITEM_SPLIT)) {
		memcpy(&tail,
			it->data + (it->bits & STORE_ITEM_CFLAGS ? 4 : 0) + store_item_key_len(it),
			sizeof(tail));
		__builtin_prefetch(tail);
	}
}

// What goes when the limit is reached; Redis' names in small letters. The volatile ones take only
// items that have a deadline, and refuse when there is none left.
enum store_policy {
	STORE_NOEVICTION, // nothing goes: what would grow the shard is refused
	STORE_ALLKEYS_LRU,
	STORE_ALLKEYS_LFU,
	STORE_ALLKEYS_RANDOM,
	STORE_VOLATILE_LRU,
	STORE_VOLATILE_LFU,
	STORE_VOLATILE_RANDOM,
	STORE_VOLATILE_TTL, // the nearest deadline first
	STORE_ALLKEYS_S3FIFO,
	STORE_VOLATILE_S3FIFO,
	STORE_ALLKEYS_S3FIFO_SIZE, // of main, what is old for its size: more objects hit
	STORE_POLICIES,
};

// Whose large items wait in a queue to be freed, a few a step; else they are freed at once.
enum store_lazy {
	STORE_LAZY_EVICTION = 0x01,
	STORE_LAZY_EXPIRE = 0x02,
	STORE_LAZY_SERVER_DEL = 0x04, // replaced by another value
	STORE_LAZY_USER_DEL = 0x08,
	STORE_LAZY_USER_FLUSH = 0x10, // not set: a flush frees all before it returns
	STORE_LAZY_RELEASE = 0x20,    // the last reader's: always
};
#define STORE_LAZY_ALL 0x3f

// What may be changed while the shard serves; Redis' names and defaults. No padding: compared
// whole.
struct store_settings {
	uint8_t policy;  // enum store_policy (maxmemory-policy): allkeys-lru
	uint8_t samples; // keys looked at for an eviction (maxmemory-samples), 1..64: 5
	// How much the reserves of a turn evict beyond what they need themselves
	// (maxmemory-eviction-tenacity), 0..100: 10
	uint8_t tenacity;
	uint8_t expire_effort; // active-expire-effort, 1..10: 1
	uint8_t lazyfree;      // of enum store_lazy (lazyfree-lazy-...): all of them
	// From this share of empty polls on the queue is drained (lazyfree-idle-threshold), 0..100:
	// 50
	uint8_t lazyfree_idle_percent;
	uint16_t lfu_decay_min;  // lfu-decay-time; 0: counters never decay: 1
	uint32_t lfu_log_factor; // lfu-log-factor: 10
	// What is due is found by the deadline index (expire-index), and else by sampling: 1. A
	// volatile policy keeps the index whatever this says.
	uint16_t expire_index;
	uint16_t hz; // slow cycles of sampling a second, 1..500: 10
};
static_assert(sizeof(struct store_settings) == 16, "no padding");

struct store_options {
	struct mem_domain *mem;  // borrowed
	uint64_t seed;           // of the sampling generator
	uint64_t limit_bytes;    // of items and index together, pinned_bytes aside; 0: none
	uint64_t item_bytes_max; // -I: largest header + key + value; 0: 1 MiB
	uint64_t cas_first;      // first CAS number: the shard's number + 1 ... (0: 1)
	uint64_t cas_step;       // ... and the step: the number of shards, none repeats (0: 1)
	enum store_policy policy;
	uint8_t samples; // keys looked at for an eviction (Redis maxmemory-samples), 1..64; 0: 5
};

struct store_key {
	const char *key;
	uint8_t len;
	uint64_t hash;
};

// Writer: the owner.
struct store_counters {
	uint64_t items, items_total, item_bytes; // item_bytes: usable bytes of linked items
	uint64_t evicted, evicted_unfetched;
	uint64_t expired, expired_unfetched; // by deadline, wherever met
	uint64_t reclaimed;                  // expired ones met while making room
	uint64_t buckets, overflow_buckets, splits, merges;
	uint64_t splits_deferred; // for want of memory; tried again later
	uint64_t refs_refused;    // a reference count was full: the caller copied
	uint64_t no_memory, too_large;
	uint64_t flushed;          // items that flushes invalidated
	uint64_t pinned_bytes;     // unlinked items that readers still hold
	uint64_t deadlines;        // items that have one
	uint64_t deadlines_missed; // not in the index for want of memory: found when they are read
	// estimates, times deadlines: the mean time to live, and the share that is past its own
	uint64_t deadlines_ttl_ms, deadlines_stale_milli;
	uint64_t expire_ns;      // told to store_expire_spent
	uint64_t expire_capped;  // cycles of sampling that had no time left
	uint64_t expired_active; // expired by store_step
	uint64_t lazyfree_pending_objects, lazyfree_pending_bytes, lazyfreed_objects;
	// what came into the queue, by enum store_lazy
	uint64_t lazyfreed_eviction, lazyfreed_expire, lazyfreed_server_del;
	uint64_t lazyfreed_user_del, lazyfreed_user_flush, lazyfreed_release;
	// S3-FIFO: linked items of the small queue, new keys that were remembered, bytes of the
	// queue and of what is remembered, and times that there was no room for more of them
	uint64_t small_items, small_bytes, ghost_hits, side_bytes, side_deferred;
	// Defrag: blocks moved, their bytes, blocks looked at that stayed; items of which one was
	// moved, and the others; a pass is under way (0, 1); passes that came to their end
	uint64_t defrag_hits, defrag_bytes, defrag_misses, defrag_key_hits, defrag_key_misses;
	uint64_t defrag_running, defrag_passes;
};

// 0, -ENOMEM or -EINVAL.
int store_open(struct store **s, const struct store_options *opt);
// Frees everything. Asserts that no reader holds an item.
void store_close(struct store *s);

// Once a turn, before all else of the turn.
void store_turn(struct store *s, struct base_now now);
struct base_now store_now(const struct store *s);

// Stage 1 and 2 of a batch: fetch the bucket's line; look into it and fetch the likely item's line.
void store_bucket_prefetch(const struct store *s, uint64_t hash);
void store_item_prefetch(const struct store *s, uint64_t hash);

// A look-up of a batch: begun for all of it, then fetched, then found. Each step goes on where the
// one before has been; whatever happens to the shard in between, the answer is store_find's.
struct store_bucket;
struct store_look {
	uint64_t hash;
	struct store_bucket *bucket;
	uint64_t *slot, seen; // where its item most likely is, and what was there; 0: not known
	uint32_t epoch;       // since when bucket and slot are good
	uint16_t tag;
};

void store_look_begin(const struct store *s, uint64_t hash, struct store_look *look);
void store_looks_fetch(const struct store *s, struct store_look *look, unsigned n);
struct store_item *store_look_find(
	struct store *s, const struct store_look *look, const char *key, uint8_t key_len);

// The live item of that key, or NULL. Expired or flushed: unlinks it, and misses. Does not count as
// an access and takes no reference: the pointer is good until the next call that may unlink.
struct store_item *store_find(struct store *s, const char *key, uint8_t key_len, uint64_t hash);
// Marks an access: the policy's field and FETCHED.
void store_touch_access(struct store *s, struct store_item *it);
// Seconds since the last access (meta l), by the periods of store_clock.c: to the second in the
// last four minutes; whole minutes under LFU.
uint64_t store_item_idle_s(const struct store *s, const struct store_item *it);

// Readers' references. store_ref is false when the count is full (copy the value instead).
bool store_ref(struct store *s, struct store_item *it);
// Also gives back a reserved item that was made for one reader and is never committed.
void store_unref(struct store *s, struct store_item *it);

// Makes an item, not yet visible, with room for value_bytes; evicts to get below the limit. It
// comes with one reference, the caller's, until store_commit or store_abort takes it. deadline_s:
// absolute, 0 = never. Evicts: an item found before is good only if it is referenced.
enum store_verdict store_reserve(struct store *s, const struct store_key *key,
	uint32_t client_flags, uint32_t deadline_s, uint32_t value_bytes, struct store_item **it);
// What limit an item of that size would need that cannot be made within the present one, however
// much is evicted; 0 when it can.
uint64_t store_limit_wanted(const struct store *s, uint8_t key_len, uint64_t value_bytes);
// Links it, replacing what has the key, and gives it the next CAS number, or `cas` when not 0.
// Cannot fail. `it` is good afterwards as if found; other items found before may be gone.
void store_commit(struct store *s, struct store_item *it, uint64_t hash, uint64_t cas);
void store_abort(struct store *s, struct store_item *it);

// Unlinks a linked item. Its memory goes when the last reference does.
void store_delete(struct store *s, struct store_item *it, uint64_t hash);
// In place on a linked item that no reader holds (refs == 1) and that keeps its length: true when
// that is so, and the caller may write the value. Otherwise it must reserve and commit anew.
bool store_writable(const struct store_item *it);
void store_deadline_set(struct store *s, struct store_item *it, uint32_t deadline_s);
uint64_t store_cas_next(struct store *s);
// What store_cas_next would give.
uint64_t store_cas_peek(const struct store *s);
// Numbers given from now on are above `cas`.
void store_cas_raise(struct store *s, uint64_t cas);

// Who is told of each item that is evicted, before it goes; NULL: nobody.
void store_evict_tell(
	struct store *s, void (*tell)(void *arg, struct store_item *it), void *tell_arg);

// A walk over all items in bounded steps. An item that is there from the beginning to the end of
// the walk is met at least once, whatever else comes, goes, expires, is evicted or moved meanwhile;
// twice where the index doubles or halves. What comes or goes meanwhile may be met or not.
//
//	struct store_cursor c = {0};
//	while (!c.ended)
//		for (n = store_cursor_next(s, &c, it, 16), i = 0; i < n; i++) { ... it[i] ... }
struct store_cursor {
	uint32_t at;   // of the hashes' low bits, mirrored: where the present group begins
	uint32_t bits; // groups' bits when it was begun
	uint32_t part; // of the group's tags
	bool ended;
};
#define STORE_CURSOR_ITEMS 192
// The next items, good until the next call that may unlink: about `want` at most, and more only
// where as many have almost the same hash; none where a part of the index is empty. Expired ones
// may be among them. The cursor is a value: who cannot take the items goes back to a copy of it.
unsigned store_cursor_next(struct store *s, struct store_cursor *c,
	struct store_item *out[STORE_CURSOR_ITEMS], unsigned want);

// Invalidates, at the wall time `at_s` (0, or not after now: at once), everything committed until
// then, in constant time; memory follows in store_step, and before anything is evicted. There is
// one pending time: each call replaces it. Items found before are gone, references stay good.
void store_flush(struct store *s, uint64_t at_s);

// ---- upkeep: in slices, whose size the caller chooses -------------------------------------------
enum store_work {
	STORE_WORK_FREE,   // what flushes have taken away, and what waits for lazy free
	STORE_WORK_EXPIRE, // what is due
	STORE_WORK_ROOM,   // evicts to get below the limit
	STORE_WORK_INDEX,  // grows and narrows it, and goes through the items' access fields
	STORE_WORK_DEFRAG, // moves blocks, when a plan says which (store_defrag_set)
	STORE_WORKS,
};

// One slice of one kind. *units bounds the items and lines looked at (some 10 to 200 ns each; what
// was begun is finished), and gets what is left of it. True when there is more to do and it can be
// done.
bool store_work_step(struct store *s, enum store_work work, unsigned *units);
// A slice of each kind, of so many units. True when any of them has more to do.
bool store_step(struct store *s, unsigned units);
// "free", "expire", "evict", "index", "defrag".
const char *store_work_name(enum store_work work);

// What the last slice of expiry took: a cycle of sampling ends when its time is spent.
void store_expire_spent(struct store *s, uint64_t ns);

// So many items are about to come, in the order of a walk: all of one group of buckets, then of the
// next. Grows the index for them, as far as the limit allows, by at most `splits_max` buckets, and
// keeps it from narrowing. True: there are more to come. 0 items: they have come.
bool store_expect(struct store *s, uint64_t items, unsigned splits_max);

// Whether the worker's turn found nothing to do; once a turn.
void store_idle_note(struct store *s, bool idle);

// In place on a linked item that no reader holds: the value's length changes within the memory that
// the item has, or with another second piece (for which others may be evicted), and the caller
// writes what is new. False: it does not fit, or somebody reads it.
bool store_value_resize(struct store *s, struct store_item *it, uint64_t value_bytes);
// After its value was changed in place: counts and marks as a commit of a new item would. `cas` as
// there.
void store_value_changed(struct store *s, struct store_item *it, uint64_t cas);

// What a pass of defrag moves. No padding: compared whole.
struct store_defrag_plan {
	// A new number starts a pass, once the one before it has come to its end; 0 stops one at
	// once. What else is in the plan holds from now on, for the pass under way, too.
	uint32_t seq;
	uint8_t all;   // every block, wherever it lies: tests
	uint8_t pages; // afterwards, in hugepage mode: empty 2 MiB pages as well
	uint8_t sparse[MEM_BINS];
	uint8_t zero[2];
};
static_assert(sizeof(struct store_defrag_plan) == 44, "no padding");

void store_defrag_set(struct store *s, const struct store_defrag_plan *plan);

// Redis' defaults, with allkeys-lru.
struct store_settings store_settings_default(void);
struct store_settings store_settings_get(const struct store *s);
// Live change. A switch of the policy moves no item: what each tells the new policy about its past
// is turned over when it is met, and by store_step. 0, or -EINVAL and nothing has changed.
int store_settings_set(struct store *s, const struct store_settings *set);
// "allkeys-lru" and so on; -EINVAL or NULL for what is none.
int store_policy_of(const char *name);
const char *store_policy_name(unsigned policy);

// Memory of an item: what it needs (header, flags, key, value, the second piece's address), and
// what the allocator holds for it.
struct store_memory {
	uint64_t asked_bytes, held_bytes;
};
struct store_memory store_item_memory(const struct store *s, const struct store_item *it);

// Live change of the limit; a cut is reached by store_step and by later reserves.
void store_limit_set(struct store *s, uint64_t limit_bytes);

// What compares shards of one policy. How long unused, in microseconds, what the shard would evict
// next is, by what it evicted last and the time since; under S3-FIFO the mean of that and of the
// time in which it would evict all that it holds; for LFU 256 less its counter. 0: unknown, or the
// policy does not look at it.
uint64_t store_cold(const struct store *s);

const struct store_counters *store_counters_get(const struct store *s);
