// SPDX-License-Identifier: BSD-3-Clause
// Allocation calls over the C library, for sanitizers and for systems without the others. The
// library does not tell the usable size before it allocates, so requests are rounded to what a
// glibc chunk gives (a multiple of 16 less 8, at least 24) and that is what is counted. Under a
// sanitizer nothing is rounded: every byte past the request must be noticed.
#pragma once

#include <stdlib.h>

#include "mem/mem_internal.h"

#define HOT_SIZE_MIN 1

static inline size_t hot_usable(size_t size, size_t align)
{
	(void)align;
#ifdef MEM_EXACT
	return size;
#else
	return base_max_u64(((size + 8 + 15) & ~(size_t)15) - 8, 24);
#endif
}

static inline size_t hot_held(const void *p, size_t size, size_t align)
{
	(void)p;
	return hot_usable(size, align);
}

static inline void *hot_alloc(const struct mem_domain *d, size_t size, size_t align, bool zero)
{
	void *p;

	(void)d;
	size = hot_usable(size, align);
	if (align == 0)
		return zero ? calloc(1, size) : malloc(size);
	base_assert(!zero);
	return posix_memalign(&p, align, size) == 0 ? p : NULL;
}

static inline void *hot_realloc(const struct mem_domain *d, void *p, size_t new_size)
{
	(void)d;
	return realloc(p, hot_usable(new_size, 0));
}

static inline void hot_free(const struct mem_domain *d, void *p, size_t size, size_t align)
{
	(void)d, (void)size, (void)align;
	free(p);
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
