// SPDX-License-Identifier: BSD-3-Clause
// Allocation calls over jemalloc. A bound domain passes no flags: its thread's arena and automatic
// tcache serve it. An unbound one names both: MALLOCX_ARENA without a tcache flag would go through
// the thread's tcache, which hands out other arenas' memory.
#pragma once

#include <jemalloc/jemalloc.h>

#include "mem/mem_internal.h"

// The class of 8 bytes is aligned to 8; from 16 on every class is a multiple of 16.
#define HOT_SIZE_MIN 16

static inline int hot_align_flag(size_t align)
{
	return align == 0 ? 0 : MALLOCX_LG_ALIGN(__builtin_ctzl(align));
}

// The bytes that a request gets; 0 where no size class is large enough. Small ones are reckoned
// rather than asked for, several times a set; mem_backend_probe has compared the two.
static inline size_t hot_usable(size_t size, size_t align)
{
	if (base_likely(align == 0 && size <= MEM_SMALL_MAX))
		return mem_size_round(size);
	return nallocx(size, hot_align_flag(align));
}

// The bytes that block p, asked for with size and align, holds.
static inline size_t hot_held(const void *p, size_t size, size_t align)
{
	(void)p;
	return hot_usable(size, align);
}

static inline void *hot_alloc(const struct mem_domain *d, size_t size, size_t align, bool zero)
{
	return mallocx(size, d->alloc_flags | hot_align_flag(align) | (zero ? MALLOCX_ZERO : 0));
}

static inline void *hot_realloc(const struct mem_domain *d, void *p, size_t new_size)
{
	return rallocx(p, new_size, d->alloc_flags);
}

static inline void hot_free(const struct mem_domain *d, void *p, size_t size, size_t align)
{
	sdallocx(p, size, d->free_flags | hot_align_flag(align));
}

// Past the thread cache, for blocks that are moved: it would hand out the blocks that they leave.
static inline void *hot_alloc_direct(const struct mem_domain *d, size_t size, size_t align)
{
	return mallocx(
		size, (int)MALLOCX_ARENA(d->arena) | MALLOCX_TCACHE_NONE | hot_align_flag(align));
}

static inline void hot_free_direct(const struct mem_domain *d, void *p, size_t size, size_t align)
{
	(void)d;
	sdallocx(p, size, MALLOCX_TCACHE_NONE | hot_align_flag(align));
}
