// SPDX-License-Identifier: BSD-3-Clause
// Buckets of the index: two cache lines and what hangs on them. Internal to lib/store. Why they are
// built like this: docs/decisions/0005.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "store/store.h"

//	bucket   line 0: slot 0 .. 7   line 1: slot 0 .. 7        128 B
//	node     slot 0 .. 3                                       32 B
//
//	slot     | tag: 16 | item: 48, the low 4 bits of which are 0 | filter: 2 | due | link |
//
// A bit of its tag says which line is an item's home. It lies in the other when its own is full,
// and in a node when both are. The last slot of a bucket or node that overflows is a link to the
// next node, which has at least two items. While there are nodes, both lines are full and so are
// all nodes but the first, which is filled from the left; a line without may have gaps anywhere.
// The 16 filter bits of a line belong to the line, not to the items in it: they say which tags of
// its own lie outside.
#define STORE_LINE_SLOTS   8u
#define STORE_BUCKET_SLOTS 16u
#define STORE_NODE_SLOTS   4u

struct store_bucket {
	uint64_t slot[STORE_BUCKET_SLOTS];
} __attribute__((aligned(2 * BASE_CACHE_LINE)));
static_assert(sizeof(struct store_bucket) == 2 * BASE_CACHE_LINE, "a bucket is two lines");

struct store_node {
	uint64_t slot[STORE_NODE_SLOTS];
};

#define STORE_SLOT_LINK    UINT64_C(1)
#define STORE_SLOT_DUE     UINT64_C(2) // as STORE_ITEM_DUE of the item
#define STORE_SLOT_FILTER  UINT64_C(12)
#define STORE_SLOT_BITS    UINT64_C(15)
#define STORE_POINTER_BITS 48
#define STORE_POINTER_MASK (((UINT64_C(1) << STORE_POINTER_BITS) - 1) & ~STORE_SLOT_BITS)

// ---- tags ---------------------------------------------------------------------------------------
//
//	tag   | place: 2 | level: 1 | place: 12 | line: 1 |  bits 32-47 of the hash, but for level
//
// As a fraction of 2^16 the tag places its item among the buckets of a group. `level` is the
// hash's bit by which the group will split, or did.
#define STORE_TAG_LINE   1u
#define STORE_TAG_LEVEL  0x2000u
#define STORE_GROUP_MIN  4u // buckets of a group; the two bits above `level` tell them apart
#define STORE_GROUP_MAX  (2 * STORE_GROUP_MIN)
#define STORE_FILTER_MAX 16u
#define STORE_TAG_LOW    (2 * STORE_FILTER_MAX - 1) // of a tag: its line, and its bit there

static inline unsigned store_slot_tag(uint64_t slot)
{
	return (unsigned)(slot >> STORE_POINTER_BITS);
}

static inline struct store_item *store_slot_item(uint64_t slot)
{
	return (struct store_item *)(uintptr_t)(slot & STORE_POINTER_MASK);
}

static inline struct store_node *store_slot_node(uint64_t slot)
{
	return (struct store_node *)(uintptr_t)(slot & STORE_POINTER_MASK);
}

static inline uint64_t store_slot_make(const void *p, unsigned tag)
{
	return (uint64_t)tag << STORE_POINTER_BITS | (uint64_t)(uintptr_t)p;
}

// What is in a slot, and what it replaces; the line's filter stays.
static inline uint64_t store_slot_value(const uint64_t *slot)
{
	return *slot & ~STORE_SLOT_FILTER;
}

static inline void store_slot_set(uint64_t *slot, uint64_t value)
{
	*slot = (*slot & STORE_SLOT_FILTER) | value;
}

// The item and its tag alone. That of a link is none that an item could have.
static inline uint64_t store_slot_key(uint64_t slot)
{
	return slot & ~(STORE_SLOT_FILTER | STORE_SLOT_DUE);
}

static inline uint64_t *store_bucket_line(struct store_bucket *b, unsigned tag)
{
	return &b->slot[(tag & STORE_TAG_LINE) * STORE_LINE_SLOTS];
}

// Two filter bits a slot, chosen by four bits of the tag.
static inline unsigned store_filter_at(unsigned tag)
{
	return tag >> 1 & (STORE_FILTER_MAX - 1);
}

static inline uint32_t store_filter_bit(unsigned tag)
{
	return 1u << store_filter_at(tag);
}

static inline bool store_line_filtered(const uint64_t *line, unsigned tag)
{
	unsigned bit = store_filter_at(tag);

	return line[bit >> 1] >> (2 + (bit & 1)) & 1;
}

static inline void store_line_filter(uint64_t *line, unsigned tag)
{
	unsigned bit = store_filter_at(tag);

	line[bit >> 1] |= UINT64_C(4) << (bit & 1);
}

static inline bool store_bucket_overflows(const struct store_bucket *b)
{
	return b->slot[STORE_BUCKET_SLOTS - 1] & STORE_SLOT_LINK;
}

// ---- all of a bucket ----------------------------------------------------------------------------
//
//	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));)
struct store_walk {
	uint64_t *at, *end;
};

static inline struct store_walk store_bucket_walk(struct store_bucket *b)
{
	return (struct store_walk){b->slot, b->slot + STORE_BUCKET_SLOTS};
}

// Fetches the first node, or once more the bucket.
static inline void store_bucket_node_prefetch(const struct store_bucket *b)
{
	uint64_t last = b->slot[STORE_BUCKET_SLOTS - 1];

	base_prefetch(last & STORE_SLOT_LINK ? (const void *)store_slot_node(last) : b);
}

// What lies in its nodes alone.
static inline struct store_walk store_nodes_walk(struct store_bucket *b)
{
	return (struct store_walk){
		&b->slot[STORE_BUCKET_SLOTS - store_bucket_overflows(b)],
		&b->slot[STORE_BUCKET_SLOTS],
	};
}

// The next slot that has an item, or NULL.
static inline uint64_t *store_walk_next(struct store_walk *w)
{
	while (w->at < w->end) {
		uint64_t *slot = w->at++;

		if (base_unlikely(*slot & STORE_SLOT_LINK)) {
			w->at = store_slot_node(*slot)->slot;
			w->end = w->at + STORE_NODE_SLOTS;
		} else if (base_likely(store_slot_item(*slot))) {
			return slot;
		}
	}
	return NULL;
}

static inline void store_bucket_lines_prefetch(const struct store_bucket *b)
{
	base_prefetch(b);
	base_prefetch(&b->slot[STORE_LINE_SLOTS]);
}

// Fetches the items of a bucket, which are about to be looked at. A slot without one fetches the
// bucket: no branch has to be guessed, so that the fetches of one bucket after the other overlap.
static inline void store_bucket_items_prefetch(struct store_bucket *b)
{
	const uint64_t *slot;

	for (unsigned i = 0; i < STORE_BUCKET_SLOTS; i++) {
		const struct store_item *it = store_slot_item(b->slot[i]);

		base_prefetch(it ? (const void *)it : b);
	}
	for (struct store_walk w = store_nodes_walk(b); (slot = store_walk_next(&w));)
		base_prefetch(store_slot_item(*slot));
}

// ---- look-up ------------------------------------------------------------------------------------

// The slots of a line or a node that have the tag: four bits a slot, the highest of which is set. A
// link or an empty slot may be among them.
static inline uint32_t store_slots_match(const uint64_t *slot, unsigned n, unsigned tag)
{
	uint32_t match = 0;

#ifdef __SSE2__
	const __m128i want = _mm_set1_epi16((short)tag);

	for (unsigned i = 0; i < n; i += 4) {
		const __m128i *p = (const void *)(slot + i);
		__m128i same = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_loadu_si128(p), want),
			_mm_cmpeq_epi16(_mm_loadu_si128(p + 1), want));

		match |= ((uint32_t)_mm_movemask_epi8(same) & 0x8888) << i * 4;
	}
#else
	for (unsigned i = 0; i < n; i++)
		match |= (uint32_t)(slot[i] >> STORE_POINTER_BITS == tag) << (i * 4 + 3);
#endif
	return match;
}

// The slots of which the bits of the mask are those of `want`, in the same way.
static inline uint32_t store_slots_same(
	const uint64_t *slot, unsigned n, uint64_t mask, uint64_t want)
{
	uint32_t match = 0;

#ifdef __SSE2__
	const __m128i masks = _mm_set1_epi64x((long long)mask);
	const __m128i wants = _mm_set1_epi64x((long long)want);

	for (unsigned i = 0; i < n; i += 4) {
		const __m128i *p = (const void *)(slot + i);
		__m128i same = _mm_packs_epi32(
			_mm_cmpeq_epi32(_mm_and_si128(_mm_loadu_si128(p), masks), wants),
			_mm_cmpeq_epi32(_mm_and_si128(_mm_loadu_si128(p + 1), masks), wants));
		uint32_t halves = (uint32_t)_mm_movemask_epi8(same);

		match |= (halves & halves << 2 & 0x8888) << i * 4;
	}
#else
	for (unsigned i = 0; i < n; i++)
		match |= (uint32_t)((slot[i] & mask) == want) << (i * 4 + 3);
#endif
	return match;
}

static inline uint32_t store_slots_free(const uint64_t *slot, unsigned n)
{
	return store_slots_same(slot, n, STORE_POINTER_MASK, 0);
}

static inline unsigned store_match_first(uint32_t match)
{
	return (unsigned)__builtin_ctz(match) >> 2;
}

typedef bool store_item_test(struct store_item *it, const void *arg);

static inline __attribute__((always_inline)) uint64_t *store_slots_seek(
	uint64_t *slot, unsigned n, unsigned tag, store_item_test *test, const void *arg)
{
	for (uint32_t m = store_slots_match(slot, n, tag); m; m &= m - 1) {
		unsigned i = store_match_first(m);

		if (base_likely(!(slot[i] & STORE_SLOT_LINK)) && store_slot_item(slot[i]) &&
			test(store_slot_item(slot[i]), arg))
			return &slot[i];
	}
	return NULL;
}

// The slot of the item with this tag that passes the test, or NULL.
static inline __attribute__((always_inline)) uint64_t *store_bucket_seek(
	struct store_bucket *b, unsigned tag, store_item_test *test, const void *arg)
{
	uint64_t *line = store_bucket_line(b, tag), *last = &b->slot[STORE_BUCKET_SLOTS - 1];
	uint64_t *slot = store_slots_seek(line, STORE_LINE_SLOTS, tag, test, arg);

	if (base_likely(slot) || !store_line_filtered(line, tag))
		return slot;
	line = store_bucket_line(b, ~tag);
	slot = store_slots_seek(line, STORE_LINE_SLOTS, tag, test, arg);
	while (!slot && (*last & STORE_SLOT_LINK)) {
		line = store_slot_node(*last)->slot;
		last = &line[STORE_NODE_SLOTS - 1];
		slot = store_slots_seek(line, STORE_NODE_SLOTS, tag, test, arg);
	}
	return slot;
}

// The slots of both lines that have an item, a bit each.
static inline uint32_t store_bucket_items(const struct store_bucket *b)
{
	uint32_t items = 0;

	for (unsigned i = 0; i < STORE_BUCKET_SLOTS; i++)
		items |= (uint32_t)(store_slot_item(b->slot[i]) != NULL) << i;
	return items & ~((uint32_t)store_bucket_overflows(b) << (STORE_BUCKET_SLOTS - 1));
}

// The slot with this key (as store_slot_key has it), or NULL: all of both lines are compared, so
// that there is nothing to be guessed.
static inline uint64_t *store_bucket_slot(struct store_bucket *b, uint64_t key)
{
	const uint64_t mask = store_slot_key(UINT64_MAX);
	uint64_t *second = b->slot + STORE_LINE_SLOTS, *slot;
	uint64_t match = store_slots_same(b->slot, STORE_LINE_SLOTS, mask, key) |
		(uint64_t)store_slots_same(second, STORE_LINE_SLOTS, mask, key) << 32;

	if (base_likely(match))
		return &b->slot[__builtin_ctzll(match) >> 2];
	for (struct store_walk w = store_nodes_walk(b); (slot = store_walk_next(&w));)
		if (store_slot_key(*slot) == key)
			return slot;
	return NULL;
}

// The slot that holds the key, or NULL.
uint64_t *store_bucket_find(struct store_bucket *b, unsigned tag, const char *key, uint8_t key_len);
