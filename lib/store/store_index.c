// SPDX-License-Identifier: BSD-3-Clause
// Segments and look-up. What changes chains is in store_grow.c.
#include <errno.h>

#include "store/store_internal.h"

int store_index_open(struct store_index *ix, struct mem_domain *mem)
{
	size_t bytes = STORE_BUCKETS_FIRST * sizeof(struct store_line);

	*ix = (struct store_index){
		.low_mask = STORE_BUCKETS_FIRST - 1,
		.buckets = STORE_BUCKETS_FIRST,
		.segments = 1,
		.segments_cap = STORE_SEGMENTS_MIN,
	};
	ix->segment = mem_try_alloc(
		mem, MEM_INDEX, STORE_SEGMENTS_MIN * sizeof(struct store_line *), NULL);
	if (!ix->segment)
		return -ENOMEM;
	ix->segment[0] = mem_try_alloc_aligned(mem, MEM_INDEX, BASE_CACHE_LINE, bytes, NULL);
	if (!ix->segment[0])
		goto fail;
	memset(ix->segment[0], 0, bytes);
	return 0;
fail:
	mem_free(mem, MEM_INDEX, ix->segment, ix->segments_cap * sizeof(struct store_line *));
	ix->segment = NULL;
	return -ENOMEM;
}

void store_index_close(struct store_index *ix, struct mem_domain *mem)
{
	uint32_t bucket = 0;

	for (uint32_t i = 0; i < ix->segments; i++) {
		uint32_t n = store_index_segment_buckets(bucket);

		if (ix->segment[i])
			mem_free_aligned(mem, MEM_INDEX, ix->segment[i], BASE_CACHE_LINE,
				n * sizeof(struct store_line));
		bucket += n;
	}
	mem_free(mem, MEM_INDEX, ix->segment, ix->segments_cap * sizeof(struct store_line *));
	*ix = (struct store_index){0};
}

uint64_t store_index_growth_bytes(const struct store_index *ix)
{
	uint64_t bytes;

	if (store_index_place(ix->buckets).segment < ix->segments)
		return 0;
	bytes = (uint64_t)store_index_segment_buckets(ix->buckets) * sizeof(struct store_line);
	if (ix->segments == ix->segments_cap) // old and new directory for a moment
		bytes += ix->segments_cap * 2 * sizeof(struct store_line *);
	return bytes;
}

int store_index_extend(struct store_index *ix, struct mem_domain *mem)
{
	size_t bytes = store_index_segment_buckets(ix->buckets) * sizeof(struct store_line);
	size_t cap_bytes = ix->segments_cap * sizeof(struct store_line *);

	base_assert(store_index_place(ix->buckets).segment == ix->segments);
	if (ix->segments == ix->segments_cap) {
		void *p = mem_try_realloc(
			mem, MEM_INDEX, ix->segment, cap_bytes, cap_bytes * 2, NULL);

		if (!p)
			return -ENOMEM;
		ix->segment = p;
		ix->segments_cap *= 2;
	}
	// Not cleared: a split clears the line it brings into use.
	ix->segment[ix->segments] =
		mem_try_alloc_aligned(mem, MEM_INDEX, BASE_CACHE_LINE, bytes, NULL);
	if (!ix->segment[ix->segments])
		return -ENOMEM;
	ix->segments++;
	return 0;
}

void store_index_cut(struct store_index *ix, struct mem_domain *mem)
{
	struct store_place p = store_index_place(ix->buckets);

	base_assert(p.line == 0 && p.segment == ix->segments - 1);
	mem_free_aligned(mem, MEM_INDEX, ix->segment[p.segment], BASE_CACHE_LINE,
		store_index_segment_buckets(ix->buckets) * sizeof(struct store_line));
	ix->segments--;
}

static inline bool item_has_key(struct store_item *it, const char *key, uint8_t key_len)
{
	return store_item_key_len(it) == key_len && memcmp(store_item_key(it), key, key_len) == 0;
}

uint64_t *store_index_find(
	const struct store_index *ix, const char *key, uint8_t key_len, uint64_t hash)
{
	struct store_line *line = store_index_chain(ix, hash);

	do {
		for (uint32_t m = store_line_match(line, hash); m; m &= m - 1) {
			uint64_t *slot = &line->slot[__builtin_ctz(m)];
			struct store_item *it = store_slot_item(*slot);

			if (base_likely(it && item_has_key(it, key, key_len)))
				return slot;
		}
		line = line->next;
	} while (line);
	return NULL;
}

uint64_t *store_index_locate(
	const struct store_index *ix, const struct store_item *it, uint64_t hash)
{
	struct store_line *line = store_index_chain(ix, hash);
	uint64_t want = store_slot_make(it, hash);

	for (; line; line = line->next)
		for (unsigned i = 0; i < STORE_SLOTS; i++)
			if (line->slot[i] == want)
				return &line->slot[i];
	return NULL;
}
