// SPDX-License-Identifier: BSD-3-Clause
// The shard's index: an array of buckets in groups that grow by one bucket at a time. Internal to
// lib/store.
#pragma once

#include "store/store_bucket.h"

// Group g of 2^k has the buckets g, 2^k + g, 2 * 2^k + g ...: `wide` of them, and one more where g
// is below `next`. When all groups have twice STORE_GROUP_MIN buckets they are taken for twice as
// many groups of STORE_GROUP_MIN: no bucket moves.
//
// Segments of the array, in buckets: 128 of 2^5, then 64 of each power of two up to 2^13, then all
// of 2^14. A new segment is at most a 64th of what is there.
#define STORE_GROUP_BITS_FIRST 3u
#define STORE_BUCKETS_FIRST    (STORE_GROUP_MIN << STORE_GROUP_BITS_FIRST)
#define STORE_LEVEL_MIN        11u // buckets below 2^11 lie in segments like those of 2^11
#define STORE_LEVEL_MAX        20u // from 2^20 on segments stay at 2^14 buckets, 2 MiB
#define STORE_LEVEL_SHIFT      6u
#define STORE_BUCKETS_MAX      (1u << 31)
#define STORE_SEGMENTS_MIN     128u // entries the directory starts with

struct store_index {
	struct store_bucket **segment; // the directory
	uint32_t group_bits;           // k
	uint32_t group_mask;           // 2^k - 1
	uint32_t wide, next;
	uint32_t buckets; // wide * 2^k + next
	uint32_t segments, segments_cap;
};

struct store_place { // of a bucket number
	uint32_t segment, at;
};

static inline struct store_place store_index_place(uint32_t bucket)
{
	unsigned level = 31u - (unsigned)__builtin_clz(bucket | (1u << STORE_LEVEL_MIN));
	unsigned shift;

	level = level < STORE_LEVEL_MAX ? level : STORE_LEVEL_MAX;
	shift = level - STORE_LEVEL_SHIFT;
	return (struct store_place){
		.segment = ((level - STORE_LEVEL_MIN) << STORE_LEVEL_SHIFT) + (bucket >> shift),
		.at = bucket & ((1u << shift) - 1),
	};
}

// Buckets of the segment that holds `bucket`.
static inline uint32_t store_index_segment_buckets(uint32_t bucket)
{
	unsigned level = 31u - (unsigned)__builtin_clz(bucket | (1u << STORE_LEVEL_MIN));

	return 1u << ((level < STORE_LEVEL_MAX ? level : STORE_LEVEL_MAX) - STORE_LEVEL_SHIFT);
}

static inline struct store_bucket *store_index_bucket(const struct store_index *ix, uint32_t bucket)
{
	struct store_place p = store_index_place(bucket);

	base_assert(ix->segment[p.segment] != NULL);
	return ix->segment[p.segment] + p.at;
}

struct store_spot { // where a hash belongs, and its tag there
	uint32_t bucket;
	unsigned tag;
};

// A group that has not got its first bucket since the groups were doubled has the tags from before:
// the level then is the bit that tells it from its other half.
static inline struct store_spot store_index_spot(const struct store_index *ix, uint64_t hash)
{
	uint32_t group = (uint32_t)hash & ix->group_mask;
	uint32_t grown = group < ix->next, wide = ix->wide + grown;
	unsigned level = ix->group_bits - (wide == STORE_GROUP_MIN);
	unsigned tag = (hash >> 32 & UINT16_MAX & ~STORE_TAG_LEVEL) |
		((uint32_t)hash >> level & 1) * STORE_TAG_LEVEL;

	return (struct store_spot){(tag * wide >> 16) << ix->group_bits | group, tag};
}

static inline uint32_t store_index_number(const struct store_index *ix, uint64_t hash)
{
	return store_index_spot(ix, hash).bucket;
}

// The first buckets. 0 or -ENOMEM.
int store_index_open(struct store_index *ix, struct mem_domain *mem);
// Frees the segment that holds `bucket`, and leaves its place in the directory empty.
void store_index_segment_free(struct store_index *ix, struct mem_domain *mem, uint32_t bucket);
// Frees segments and directory; nodes are gone already.
void store_index_close(struct store_index *ix, struct mem_domain *mem);
// Bytes that must be allocated before bucket number `buckets` can come into use; 0: none.
uint64_t store_index_growth_bytes(const struct store_index *ix);
// Allocates them. 0 or -ENOMEM.
int store_index_extend(struct store_index *ix, struct mem_domain *mem);
// Frees the last segment, which starts at bucket number `buckets`.
void store_index_cut(struct store_index *ix, struct mem_domain *mem);

// The slot that holds this very item, or NULL. Never follows `it`.
uint64_t *store_index_locate(
	const struct store_index *ix, const struct store_item *it, uint64_t hash);
