// SPDX-License-Identifier: BSD-3-Clause
// The allocation calls and their counters. Every call counts the bytes that the block holds, and
// those of them that were not asked for, in lines that the owner alone writes: a plain load, an add
// and a store each.
#include <stdlib.h>

#include "mem/mem_internal.h"
#if defined(MEM_JEMALLOC)
#include "mem/mem_hot_jemalloc.h"
#elif defined(MEM_TCMALLOC)
#include "mem/mem_hot_tcmalloc.h"
#else
#include "mem/mem_hot_libc.h"
#endif

// What is kept while blocks are moved lower: a part of what is used, and a slab of each bin.
#define KEPT_PART   8
#define KEPT_BYTES  ((uint64_t)1 << 20)
#define LOWER_TRIES 16

static const char *const class_names[] = {
	[MEM_ITEMS] = "items",
	[MEM_INDEX] = "index",
	[MEM_CONNS] = "connections",
	[MEM_INPUT] = "input",
	[MEM_OUTPUT] = "output",
	[MEM_OTHER] = "other",
};
static_assert(BASE_ARRAY_LEN(class_names) == MEM_CLASSES, "a name for each class");

static inline uint64_t relaxed_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void relaxed_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, relaxed_read(counter) + n, __ATOMIC_RELAXED);
}

// jemalloc's spacing: multiples of 16 up to 64, then four classes a doubling.
static inline unsigned int size_class(size_t held)
{
	unsigned int lg, i;

	if (held <= 64)
		return held == 0 ? 0 : (unsigned int)(held - 1) / 16;
	lg = 63 - (unsigned int)__builtin_clzl(held - 1);
	i = 4 * (lg - 5) + (unsigned int)((held - 1) >> (lg - 2) & 3);
	return i < MEM_SIZE_CLASSES ? i : MEM_SIZE_CLASSES - 1;
}

size_t mem_size_class_bytes(unsigned int i)
{
	base_assert(i < MEM_SIZE_CLASSES);
	return i < 4 ? (i + 1) * 16 : (size_t)(i % 4 + 5) << (i / 4 + 3);
}

// A block that holds `held` bytes was got (sign 1) or returned (sign -1), for `size` bytes.
static inline void slack_count(struct mem_domain *d, size_t held, size_t size, uint64_t sign)
{
	relaxed_add(&d->slack[size_class(held)], sign * (held - size));
}

static inline void count_add(struct mem_domain *d, enum mem_class c, size_t bytes)
{
	relaxed_add(&d->used[c], bytes);
}

static inline void count_sub(struct mem_domain *d, enum mem_class c, size_t bytes)
{
	uint64_t used = relaxed_read(&d->used[c]);

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

// The arena's free extents may only be too small apart: handed to the source, they are joined.
static __attribute__((noinline, cold)) bool extents_join(struct mem_domain *d)
{
	if (d->source == NULL || mem_backend_dirty(d) == 0)
		return false;
	mem_backend_purge(d);
	return true;
}

static inline void *try_alloc(struct mem_domain *d, enum mem_class c, size_t align, size_t size,
	bool zero, size_t *usable)
{
	size_t wanted = size, held;
	void *p;

	base_assert((unsigned int)c < MEM_CLASSES);
	if (refused(d, size))
		return NULL;
	size = size_clamp(size);
	p = hot_alloc(d, size, align, zero);
	if (base_unlikely(p == NULL) && extents_join(d))
		p = hot_alloc(d, size, align, zero);
	if (base_unlikely(p == NULL))
		return NULL;
	held = hot_held(p, size, align);
	count_add(d, c, held);
	slack_count(d, held, wanted, 1);
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
	size_t held_before, held, wanted = new_size;
	void *moved;

	base_assert(p != NULL && (unsigned int)c < MEM_CLASSES);
	if (refused(d, new_size))
		return NULL;
	new_size = size_clamp(new_size);
	held_before = hot_held(p, size_clamp(size), 0);
	moved = hot_realloc(d, p, new_size);
	if (base_unlikely(moved == NULL) && extents_join(d))
		moved = hot_realloc(d, p, new_size);
	if (base_unlikely(moved == NULL))
		return NULL;
	held = hot_held(moved, new_size, 0);
	count_sub(d, c, held_before);
	slack_count(d, held_before, size, UINT64_MAX);
	count_add(d, c, held);
	slack_count(d, held, wanted, 1);
	if (usable != NULL)
		*usable = held;
	return moved;
}

// ---- for infrastructure ------------------------------------------------------------------------
static _Noreturn void out_of_memory(struct mem_domain *d, enum mem_class c, size_t size)
{
	base_error("%s: no memory for %zu bytes of %s (in use: %llu bytes of %s, %llu in all)",
		d->name, size, class_names[c], (unsigned long long)relaxed_read(&d->used[c]),
		class_names[c], (unsigned long long)mem_used(d));
	if (d->oom != NULL)
		d->oom(d->oom_arg, d->name, c, size);
	abort();
}

void *mem_alloc(struct mem_domain *d, enum mem_class c, size_t size)
{
	void *p = mem_try_alloc(d, c, size, NULL);

	if (base_unlikely(p == NULL))
		out_of_memory(d, c, size);
	return p;
}

void *mem_calloc(struct mem_domain *d, enum mem_class c, size_t size, size_t *usable)
{
	void *p = mem_try_calloc(d, c, size, usable);

	if (base_unlikely(p == NULL))
		out_of_memory(d, c, size);
	return p;
}

void *mem_realloc(struct mem_domain *d, enum mem_class c, void *p, size_t size, size_t new_size,
	size_t *usable)
{
	void *moved = mem_try_realloc(d, c, p, size, new_size, usable);

	if (base_unlikely(moved == NULL))
		out_of_memory(d, c, new_size);
	return moved;
}

void *mem_alloc_aligned(
	struct mem_domain *d, enum mem_class c, size_t align, size_t size, size_t *usable)
{
	void *p = mem_try_alloc_aligned(d, c, align, size, usable);

	if (base_unlikely(p == NULL))
		out_of_memory(d, c, size);
	return p;
}

// ---- giving back -------------------------------------------------------------------------------
static inline size_t block_free(
	struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size)
{
	size_t wanted = size, held;

	base_assert(p != NULL && (unsigned int)c < MEM_CLASSES);
	size = size_clamp(size);
	held = hot_held(p, size, align);
	count_sub(d, c, held);
	slack_count(d, held, wanted, UINT64_MAX);
	hot_free(d, p, size, align);
	return held;
}

size_t mem_free(struct mem_domain *d, enum mem_class c, void *p, size_t size)
{
	return block_free(d, c, p, 0, size);
}

size_t mem_free_aligned(struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size)
{
	return block_free(d, c, p, align, size);
}

void mem_size_note(struct mem_domain *d, size_t size, size_t new_size)
{
	size_t held = hot_usable(size_clamp(size), 0);

	base_assert(hot_usable(size_clamp(new_size), 0) == held);
	relaxed_add(&d->slack[size_class(held)], size - new_size);
}

// ---- moving ------------------------------------------------------------------------------------
static bool same_slab(const char *copy, const char *p, const struct mem_slab *slab)
{
	// Slabs lie anywhere, so that a neighbour so near may be taken for the same one.
	return slab != NULL && copy < p + slab->bytes && p < copy + slab->bytes;
}

// A block of `size` bytes takes another's place in the counters.
static void held_change(
	struct mem_domain *d, enum mem_class c, size_t before, size_t held, size_t size)
{
	if (base_likely(held == before)) // always under jemalloc
		return;
	count_add(d, c, held);
	slack_count(d, held, size, 1);
	count_sub(d, c, before);
	slack_count(d, before, size, UINT64_MAX);
}

void *mem_try_move(
	struct mem_domain *d, enum mem_class c, void *p, size_t size, const struct mem_slab *slab)
{
	size_t asked = size_clamp(size);
	char *copy;

	base_assert(p != NULL && (unsigned int)c < MEM_CLASSES);
	if (refused(d, size))
		return NULL;
	copy = hot_alloc_direct(d, asked, 0);
	if (base_unlikely(copy == NULL))
		return NULL;
	if (same_slab(copy, p, slab)) {
		hot_free_direct(d, copy, asked, 0);
		return NULL;
	}
	held_change(d, c, hot_held(p, asked, 0), hot_held(copy, asked, 0), size);
	memcpy(copy, p, size);
	hot_free_direct(d, p, asked, 0);
	return copy;
}

// A block that is kept so that its slab has no room: what was moved, or a copy that was of no use.
// Given back at once, jemalloc would hand it out as the next copy.
struct mem_kept {
	struct mem_kept *next;
	size_t size;
};

static void block_keep(struct mem_domain *d, struct mem_kept **list, void *p, size_t size)
{
	struct mem_kept *kept = p;
	size_t held = hot_held(p, size, 0);

	*kept = (struct mem_kept){*list, size};
	*list = kept;
	d->kept_bytes += held;
	count_add(d, MEM_OTHER, held);
	slack_count(d, held, size, 1);
}

static void kept_free(struct mem_domain *d, struct mem_kept **list)
{
	struct mem_kept *kept = *list;
	size_t size = kept->size, held = hot_held(kept, size, 0);

	*list = kept->next;
	d->kept_bytes -= held;
	count_sub(d, MEM_OTHER, held);
	slack_count(d, held, size, UINT64_MAX);
	hot_free_direct(d, kept, size, 0);
}

unsigned mem_moves_end(struct mem_domain *d, bool all, unsigned units)
{
	for (; units > 0; units--) {
		if (d->moved != NULL)
			kept_free(d, &d->moved);
		else if (all && d->refused != NULL)
			kept_free(d, &d->refused);
		else
			return units;
	}
	return 0;
}

// Blocks with pages of their own, or an alignment, are free at once; and what is too small, where
// no back end rounds it up.
static void lower_leave(
	struct mem_domain *d, struct mem_kept **list, void *p, size_t align, size_t size)
{
	if (align == 0 && size >= sizeof(struct mem_kept) && size <= MEM_SMALL_MAX)
		block_keep(d, list, p, size);
	else
		hot_free_direct(d, p, size, align);
}

// A copy below `below`, if one of a few is: each that is not fills a hole higher up.
static char *lower_copy(struct mem_domain *d, size_t align, size_t size, uintptr_t below)
{
	uint64_t kept_max = mem_used(d) / KEPT_PART + KEPT_BYTES;

	for (unsigned tries = LOWER_TRIES; tries > 0 && d->kept_bytes <= kept_max; tries--) {
		char *copy = hot_alloc_direct(d, size, align);

		if (base_unlikely(copy == NULL) || (uintptr_t)copy < below)
			return copy;
		lower_leave(d, &d->refused, copy, align, size);
		if (align != 0 || size > MEM_SMALL_MAX)
			break; // the next would lie there, too
	}
	return NULL;
}

void *mem_try_lower(
	struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size, uintptr_t below)
{
	size_t asked = size_clamp(size);
	char *copy;

	base_assert(p != NULL && (unsigned int)c < MEM_CLASSES);
	if (refused(d, size))
		return NULL;
	copy = lower_copy(d, align, asked, below);
	if (copy == NULL)
		return NULL;
	held_change(d, c, hot_held(p, asked, align), hot_held(copy, asked, align), size);
	memcpy(copy, p, size);
	lower_leave(d, &d->moved, p, align, asked);
	return copy;
}

// ---- figures -----------------------------------------------------------------------------------
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
	return relaxed_read(&d->used[c]);
}

uint64_t mem_used_stored(const struct mem_domain *d)
{
	return relaxed_read(&d->used[MEM_ITEMS]) + relaxed_read(&d->used[MEM_INDEX]);
}

uint64_t mem_used(const struct mem_domain *d)
{
	uint64_t sum = 0;

	for (int c = 0; c < MEM_CLASSES; c++)
		sum += relaxed_read(&d->used[c]);
	return sum;
}

// A reader may meet the owner between two stores: no figure is shown below 0.
uint64_t mem_slack_class(const struct mem_domain *d, unsigned int i)
{
	uint64_t slack = relaxed_read(&d->slack[i]);

	base_assert(i < MEM_SIZE_CLASSES);
	return slack > INT64_MAX ? 0 : slack;
}

uint64_t mem_slack(const struct mem_domain *d)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MEM_SIZE_CLASSES; i++)
		sum += mem_slack_class(d, i);
	return sum;
}
