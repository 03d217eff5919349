// SPDX-License-Identifier: BSD-3-Clause
// The allocation calls and their counters. Every call counts the bytes that the block holds, in a
// line that the owner alone writes: a plain load, an add and a store.
#include <stdlib.h>

#include "mem/mem_internal.h"
#if defined(MEM_JEMALLOC)
#include "mem/mem_hot_jemalloc.h"
#elif defined(MEM_TCMALLOC)
#include "mem/mem_hot_tcmalloc.h"
#else
#include "mem/mem_hot_libc.h"
#endif

static const char *const class_names[] = {
	[MEM_ITEMS] = "items",
	[MEM_INDEX] = "index",
	[MEM_CONNS] = "connections",
	[MEM_INPUT] = "input",
	[MEM_OUTPUT] = "output",
	[MEM_OTHER] = "other",
};
static_assert(BASE_ARRAY_LEN(class_names) == MEM_CLASSES, "a name for each class");

static inline uint64_t used_read(const struct mem_domain *d, enum mem_class c)
{
	return __atomic_load_n(&d->used[c], __ATOMIC_RELAXED);
}

static inline void count_add(struct mem_domain *d, enum mem_class c, size_t bytes)
{
	__atomic_store_n(&d->used[c], used_read(d, c) + bytes, __ATOMIC_RELAXED);
}

static inline void count_sub(struct mem_domain *d, enum mem_class c, size_t bytes)
{
	uint64_t used = used_read(d, c);

	base_assert(used >= bytes); // else a block was freed twice, or under another class
	__atomic_store_n(&d->used[c], used - bytes, __ATOMIC_RELAXED);
}

static inline size_t size_clamp(size_t size)
{
	return size < HOT_SIZE_MIN ? HOT_SIZE_MIN : size;
}

static inline bool refused(struct mem_domain *d, size_t size)
{
	if (base_unlikely(size == 0 || size >= SIZE_MAX / 2))
		return true;
	return base_unlikely(d->fail != NULL) && d->fail(d->fail_arg);
}

static inline void *try_alloc(struct mem_domain *d, enum mem_class c, size_t align, size_t size,
	bool zero, size_t *usable)
{
	size_t held;
	void *p;

	base_assert((unsigned int)c < MEM_CLASSES);
	if (refused(d, size))
		return NULL;
	size = size_clamp(size);
	p = hot_alloc(d, size, align, zero);
	if (base_unlikely(p == NULL))
		return NULL;
	held = hot_held(p, size, align);
	count_add(d, c, held);
	if (usable != NULL)
		*usable = held;
	return p;
}

void *mem_try_alloc(struct mem_domain *d, enum mem_class c, size_t size, size_t *usable)
{
	return try_alloc(d, c, 0, size, false, usable);
}

void *mem_try_calloc(struct mem_domain *d, enum mem_class c, size_t size, size_t *usable)
{
	return try_alloc(d, c, 0, size, true, usable);
}

void *mem_try_alloc_aligned(
	struct mem_domain *d, enum mem_class c, size_t align, size_t size, size_t *usable)
{
	base_assert(align >= 16 && align <= 2 << 20 && (align & (align - 1)) == 0);
	return try_alloc(d, c, align, size, false, usable);
}

void *mem_try_realloc(struct mem_domain *d, enum mem_class c, void *p, size_t size, size_t new_size,
	size_t *usable)
{
	size_t held_before, held;
	void *moved;

	base_assert(p != NULL && (unsigned int)c < MEM_CLASSES);
	if (refused(d, new_size))
		return NULL;
	new_size = size_clamp(new_size);
	held_before = hot_held(p, size_clamp(size), 0);
	moved = hot_realloc(d, p, new_size);
	if (base_unlikely(moved == NULL))
		return NULL;
	held = hot_held(moved, new_size, 0);
	count_sub(d, c, held_before);
	count_add(d, c, held);
	if (usable != NULL)
		*usable = held;
	return moved;
}

void *mem_alloc(struct mem_domain *d, enum mem_class c, size_t size)
{
	void *p = mem_try_alloc(d, c, size, NULL);

	if (base_unlikely(p == NULL)) {
		base_error("%s: no memory for %zu bytes of %s", d->name, size, class_names[c]);
		abort();
	}
	return p;
}

static inline void block_free(
	struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size)
{
	base_assert(p != NULL && (unsigned int)c < MEM_CLASSES);
	size = size_clamp(size);
	count_sub(d, c, hot_held(p, size, align));
	hot_free(d, p, size, align);
}

void mem_free(struct mem_domain *d, enum mem_class c, void *p, size_t size)
{
	block_free(d, c, p, 0, size);
}

void mem_free_aligned(struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size)
{
	block_free(d, c, p, align, size);
}

size_t mem_usable(const struct mem_domain *d, size_t size)
{
	(void)d; // the size classes are the back end's, the same for every domain
	if (size == 0 || size >= SIZE_MAX / 2)
		return 0;
	return hot_usable(size_clamp(size), 0);
}

uint64_t mem_used_class(const struct mem_domain *d, enum mem_class c)
{
	base_assert((unsigned int)c < MEM_CLASSES);
	return used_read(d, c);
}

uint64_t mem_used(const struct mem_domain *d)
{
	uint64_t sum = 0;

	for (int c = 0; c < MEM_CLASSES; c++)
		sum += used_read(d, c);
	return sum;
}
