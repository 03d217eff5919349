// SPDX-License-Identifier: BSD-3-Clause
// Segments and look-up. What changes buckets is in store_chain.c and store_grow.c.
#include <errno.h>

#include "store/store_internal.h"

#define BUCKET_ALIGN sizeof(struct store_bucket)

int store_index_open(struct store_index *ix, struct mem_domain *mem)
{
	size_t bytes = STORE_BUCKETS_FIRST * sizeof(struct store_bucket);

	*ix = (struct store_index){
		.group_bits = STORE_GROUP_BITS_FIRST,
		.group_mask = (1u << STORE_GROUP_BITS_FIRST) - 1,
		.wide = STORE_GROUP_MIN,
		.buckets = STORE_BUCKETS_FIRST,
		.segments = 1,
		.segments_cap = STORE_SEGMENTS_MIN,
	};
	ix->segment = mem_try_alloc(
		mem, MEM_INDEX, STORE_SEGMENTS_MIN * sizeof(struct store_bucket *), NULL);
	if (!ix->segment)
		return -ENOMEM;
	ix->segment[0] = mem_try_alloc_aligned(mem, MEM_INDEX, BUCKET_ALIGN, bytes, NULL);
	if (!ix->segment[0])
		goto fail;
	memset(ix->segment[0], 0, bytes);
	return 0;
fail:
	mem_free(mem, MEM_INDEX, ix->segment, ix->segments_cap * sizeof(struct store_bucket *));
	ix->segment = NULL;
	return -ENOMEM;
}

void store_index_segment_free(struct store_index *ix, struct mem_domain *mem, uint32_t bucket)
{
	uint32_t i = store_index_place(bucket).segment;

	mem_free_aligned(mem, MEM_INDEX, ix->segment[i], BUCKET_ALIGN,
		store_index_segment_buckets(bucket) * sizeof(struct store_bucket));
	ix->segment[i] = NULL;
}

void store_index_close(struct store_index *ix, struct mem_domain *mem)
{
	uint32_t bucket = 0;

	for (uint32_t i = 0; i < ix->segments; i++) {
		uint32_t n = store_index_segment_buckets(bucket);

		if (ix->segment[i])
			store_index_segment_free(ix, mem, bucket);
		bucket += n;
	}
	mem_free(mem, MEM_INDEX, ix->segment, ix->segments_cap * sizeof(struct store_bucket *));
	*ix = (struct store_index){0};
}

uint64_t store_index_growth_bytes(const struct store_index *ix)
{
	uint64_t bytes;

	if (store_index_place(ix->buckets).segment < ix->segments)
		return 0;
	bytes = (uint64_t)store_index_segment_buckets(ix->buckets) * sizeof(struct store_bucket);
	if (ix->segments == ix->segments_cap) // old and new directory for a moment
		bytes += ix->segments_cap * 2 * sizeof(struct store_bucket *);
	return bytes;
}

int store_index_extend(struct store_index *ix, struct mem_domain *mem)
{
	size_t bytes = store_index_segment_buckets(ix->buckets) * sizeof(struct store_bucket);
	size_t cap_bytes = ix->segments_cap * sizeof(struct store_bucket *);

	base_assert(store_index_place(ix->buckets).segment == ix->segments);
	if (ix->segments == ix->segments_cap) {
		void *p = mem_try_realloc(
			mem, MEM_INDEX, ix->segment, cap_bytes, cap_bytes * 2, NULL);

		if (!p)
			return -ENOMEM;
		ix->segment = p;
		ix->segments_cap *= 2;
	}
	// Not cleared: a split clears the bucket that it brings into use.
	ix->segment[ix->segments] =
		mem_try_alloc_aligned(mem, MEM_INDEX, BUCKET_ALIGN, bytes, NULL);
	if (!ix->segment[ix->segments])
		return -ENOMEM;
	ix->segments++;
	return 0;
}

void store_index_cut(struct store_index *ix, struct mem_domain *mem)
{
	struct store_place p = store_index_place(ix->buckets);

	base_assert(p.at == 0 && p.segment == ix->segments - 1);
	store_index_segment_free(ix, mem, ix->buckets);
	ix->segments--;
}

struct key {
	const char *key;
	uint8_t len;
};

static inline bool item_has_key(struct store_item *it, const void *arg)
{
	const struct key *key = arg;

	return store_item_has_key(it, key->key, key->len);
}

uint64_t *store_bucket_find(struct store_bucket *b, unsigned tag, const char *key, uint8_t key_len)
{
	struct key k = {key, key_len};

	return store_bucket_seek(b, tag, item_has_key, &k);
}

uint64_t *store_index_locate(
	const struct store_index *ix, const struct store_item *it, uint64_t hash)
{
	struct store_spot at = store_index_spot(ix, hash);

	return store_bucket_slot(store_index_bucket(ix, at.bucket), store_slot_make(it, at.tag));
}
