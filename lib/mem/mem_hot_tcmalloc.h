// SPDX-License-Identifier: BSD-3-Clause
// Allocation calls over gperftools' tcmalloc. There are no arenas; threads have caches. A block's
// size is asked of tcmalloc, because its realloc may keep a block larger than the request needs.
#pragma once

#include <gperftools/nallocx.h>
#include <gperftools/tcmalloc.h>

#include "mem/mem_internal.h"

#define HOT_SIZE_MIN 16 // smaller classes are aligned to 8

// The bytes that a request gets.
static inline size_t hot_usable(size_t size, size_t align)
{
	return tc_nallocx(size, align == 0 ? 0 : __builtin_ctzl(align));
}

// The bytes that block p holds.
static inline size_t hot_held(void *p, size_t size, size_t align)
{
	(void)size, (void)align;
	return tc_malloc_size(p);
}

static inline void *hot_alloc(const struct mem_domain *d, size_t size, size_t align, bool zero)
{
	(void)d;
	if (align == 0)
		return zero ? tc_calloc(1, size) : tc_malloc(size);
	base_assert(!zero);
	return tc_memalign(align, size);
}

static inline void *hot_realloc(const struct mem_domain *d, void *p, size_t new_size)
{
	(void)d;
	return tc_realloc(p, new_size);
}

static inline void hot_free(const struct mem_domain *d, void *p, size_t size, size_t align)
{
	(void)d, (void)size, (void)align;
	tc_free(p);
}

// No way past a cache: as any other.
static inline void *hot_alloc_direct(const struct mem_domain *d, size_t size, size_t align)
{
	return hot_alloc(d, size, align, false);
}

static inline void hot_free_direct(const struct mem_domain *d, void *p, size_t size, size_t align)
{
	hot_free(d, p, size, align);
}
