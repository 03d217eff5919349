// SPDX-License-Identifier: BSD-3-Clause
// What is worth moving: slabs with room, by the figures of their bin; 2 MiB pages, by how many
// would do.
#include "mem/mem_internal.h"
#include "mem/mem_source.h"

#define SPARSE_WHOLE  256 // of mem_bin_sparse
#define SPARSE_FAVOUR 8   // a slab may be an eighth fuller than the mean
#define PAGES_SPARE   64  // of the used pages: left free below the watermark
#define WINDOW_PART   64  // of the used pages: in a window

// The slab that is being filled counts as half full: it is among those held, not among the partly
// filled.
uint8_t mem_bin_sparse(const struct mem_bin *b)
{
	uint64_t full = b->slabs - base_min_u64(b->slabs, b->nonfull_slabs + 1);
	uint64_t elsewhere = full * b->slab_regions + b->slab_regions / 2;
	uint64_t used, share;

	if (b->nonfull_slabs == 0 || b->slab_regions < 2)
		return 0;
	used = b->regions - base_min_u64(b->regions, elsewhere);
	used = base_max_u64(used, b->nonfull_slabs); // none is empty
	share = (used + used / SPARSE_FAVOUR) * SPARSE_WHOLE / (b->nonfull_slabs * b->slab_regions);
	// Rounded up: of two blocks one is half.
	return (uint8_t)base_min_u64(share + 1, SPARSE_WHOLE - 1);
}

uintptr_t mem_watermark(const struct mem_domain *d)
{
	const struct mem_source *s = d->source;
	uint64_t used, bytes;

	if (s == NULL || source_scatter_pages(s) <= s->used_pages / PAGES_SPARE)
		return 0;
	used = s->used_pages;
	bytes = (used + used / PAGES_SPARE) * SOURCE_PAGE + SOURCE_CHUNK;
	bytes -= bytes % SOURCE_CHUNK;
	return bytes < s->taken ? (uintptr_t)s->base + bytes : 0;
}

uintptr_t mem_page_of(const void *block)
{
	return (uintptr_t)block & ~(uintptr_t)(SOURCE_CHUNK - 1);
}

uintptr_t mem_window(const struct mem_domain *d, uintptr_t mark, uintptr_t top)
{
	const struct mem_source *s = d->source;
	size_t lowest = (mark - (uintptr_t)s->base) / SOURCE_CHUNK, chunk = s->chunks;
	uint64_t pages = 0, most = s->used_pages / WINDOW_PART;

	if (top < (uintptr_t)s->base + s->bytes)
		chunk = (top - (uintptr_t)s->base) / SOURCE_CHUNK;
	base_assert(chunk > lowest);
	do {
		pages += s->chunk[--chunk].used_n;
	} while (chunk > lowest && pages + s->chunk[chunk - 1].used_n <= most);
	return (uintptr_t)s->base + chunk * SOURCE_CHUNK;
}
