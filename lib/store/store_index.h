// SPDX-License-Identifier: BSD-3-Clause
// The shard's index: linear hashing over cache lines. Internal to lib/store.
#pragma once

#include "store/store.h"

//   slot 0 .. slot 6                                  next
//   +-----------------+------------------------+     +---------------+
//   | tag: hash 32-47 | item pointer, 48 bits  | x7  | overflow line |
//   +-----------------+------------------------+     +---------------+
// Slots are filled from the left; every line of a chain but the last is full.
#define STORE_SLOTS 7

struct store_line {
	uint64_t slot[STORE_SLOTS]; // 0: empty
	struct store_line *next;
} __attribute__((aligned(BASE_CACHE_LINE)));
static_assert(sizeof(struct store_line) == BASE_CACHE_LINE, "a bucket is one cache line");

// Segments of the bucket array, in buckets: 16 of 2^6, then 8 of each power of two up to 2^14, then
// all of 2^15. A new segment is at most an eighth of what is there.
#define STORE_BUCKETS_FIRST 64u
#define STORE_LEVEL_MIN     9u  // buckets below 2^9 lie in segments like those of 2^9
#define STORE_LEVEL_MAX     18u // from 2^18 on segments stay at 2^15 buckets, 2 MiB
#define STORE_BUCKETS_MAX   (1u << 31)
#define STORE_SEGMENTS_MIN  128u // entries the directory starts with

struct store_index {
	struct store_line **segment; // the directory
	uint32_t low_mask;           // 2^level - 1
	uint32_t buckets;            // low_mask + 1 + the buckets split in this round
	uint32_t segments, segments_cap;
};

struct store_place { // of a bucket number
	uint32_t segment, line;
};

static inline struct store_place store_index_place(uint32_t bucket)
{
	unsigned level = 31u - (unsigned)__builtin_clz(bucket | (1u << STORE_LEVEL_MIN));
	unsigned shift;

	level = level < STORE_LEVEL_MAX ? level : STORE_LEVEL_MAX;
	shift = level - 3;
	return (struct store_place){
		.segment = ((level - STORE_LEVEL_MIN) << 3) + (bucket >> shift),
		.line = bucket & ((1u << shift) - 1),
	};
}

// Buckets of the segment that holds `bucket`.
static inline uint32_t store_index_segment_buckets(uint32_t bucket)
{
	unsigned level = 31u - (unsigned)__builtin_clz(bucket | (1u << STORE_LEVEL_MIN));

	return 1u << ((level < STORE_LEVEL_MAX ? level : STORE_LEVEL_MAX) - 3);
}

static inline struct store_line *store_index_bucket(const struct store_index *ix, uint32_t bucket)
{
	struct store_place p = store_index_place(bucket);

	return ix->segment[p.segment] + p.line;
}

static inline uint32_t store_index_number(const struct store_index *ix, uint64_t hash)
{
	uint32_t b = (uint32_t)hash & (ix->low_mask * 2 + 1);

	return b < ix->buckets ? b : b & ix->low_mask;
}

static inline struct store_line *store_index_chain(const struct store_index *ix, uint64_t hash)
{
	return store_index_bucket(ix, store_index_number(ix, hash));
}

#define STORE_POINTER_BITS 48
#define STORE_POINTER_MASK ((UINT64_C(1) << STORE_POINTER_BITS) - 1)

static inline uint64_t store_slot_make(const struct store_item *it, uint64_t hash)
{
	return (hash >> 32) << STORE_POINTER_BITS | (uint64_t)(uintptr_t)it;
}

static inline struct store_item *store_slot_item(uint64_t slot)
{
	return (struct store_item *)(uintptr_t)(slot & STORE_POINTER_MASK);
}

// A bit for each slot that has the hash's tag. An empty slot has tag 0: look at the pointer too.
static inline uint32_t store_line_match(const struct store_line *line, uint64_t hash)
{
	uint64_t tag = (hash >> 32) & 0xffff;
	uint32_t match = 0;

	for (unsigned i = 0; i < STORE_SLOTS; i++)
		match |= (uint32_t)(line->slot[i] >> STORE_POINTER_BITS == tag) << i;
	return match;
}

static inline unsigned store_line_count(const struct store_line *line)
{
	unsigned n = 0;

	for (unsigned i = 0; i < STORE_SLOTS; i++)
		n += line->slot[i] != 0;
	return n;
}

// Fetches the items of a line, which are about to be looked at. An empty slot fetches the line: no
// branch has to be guessed, so that the fetches of one line after the other overlap.
static inline void store_line_prefetch(const struct store_line *line)
{
	for (unsigned i = 0; i < STORE_SLOTS; i++) {
		const struct store_item *it = store_slot_item(line->slot[i]);

		base_prefetch(it ? (const void *)it : line);
	}
}

// The first 64 buckets. 0 or -ENOMEM.
int store_index_open(struct store_index *ix, struct mem_domain *mem);
// Frees segments and directory; chains are already empty.
void store_index_close(struct store_index *ix, struct mem_domain *mem);
// Bytes that must be allocated before bucket number `buckets` can come into use; 0: none.
uint64_t store_index_growth_bytes(const struct store_index *ix);
// Allocates them. 0 or -ENOMEM.
int store_index_extend(struct store_index *ix, struct mem_domain *mem);
// Frees the last segment, which starts at bucket number `buckets`.
void store_index_cut(struct store_index *ix, struct mem_domain *mem);

// The slot that holds the key, or NULL.
uint64_t *store_index_find(
	const struct store_index *ix, const char *key, uint8_t key_len, uint64_t hash);
// The slot that holds this very item, or NULL. Never follows `it`.
uint64_t *store_index_locate(
	const struct store_index *ix, const struct store_item *it, uint64_t hash);
