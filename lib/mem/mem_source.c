// SPDX-License-Identifier: BSD-3-Clause
// The page source: taking addresses, and the states of pages (mem_source.h).
#include <errno.h>
#include <sys/mman.h>

#include "mem/mem_source.h"

#define WRITABLE_STEP ((size_t)64 << 20)

static unsigned bits_count(const uint64_t word[SOURCE_WORDS])
{
	unsigned n = 0;

	for (size_t w = 0; w < SOURCE_WORDS; w++)
		n += (unsigned)__builtin_popcountll(word[w]);
	return n;
}

static void totals_change(struct mem_source *s, const struct source_chunk *c, uint64_t sign)
{
	source_add(&s->used_pages, sign * c->used_n);
	source_add(&s->held_pages, sign * c->held_n);
	source_add(&s->stale_pages, sign * c->stale_n);
	if (c->used_n > 0)
		return;
	source_add(&s->empty_held_pages, sign * c->held_n);
	if (c->held_n == SOURCE_PAGES && c->stale_n == 0)
		source_add(&s->clean_chunks, sign);
}

void mem_source_leave(struct mem_source *s, const struct source_chunk *c)
{
	totals_change(s, c, UINT64_MAX); // minus one
}

void mem_source_enter(struct mem_source *s, struct source_chunk *c)
{
	c->used_n = (uint16_t)bits_count(c->used);
	c->held_n = (uint16_t)bits_count(c->held);
	c->stale_n = (uint16_t)bits_count(c->stale);
	base_assert(c->used_n + c->stale_n <= c->held_n);
	totals_change(s, c, 1);
}

// ---- taking addresses --------------------------------------------------------------------------
static bool writable_extend(struct mem_source *s, size_t need)
{
	size_t to = (need + WRITABLE_STEP - 1) & ~(WRITABLE_STEP - 1);

	if (need <= s->writable)
		return true;
	if (to > s->bytes)
		to = s->bytes;
	if (mprotect(s->base + s->writable, to - s->writable, PROT_READ | PROT_WRITE) < 0)
		return false;
	s->writable = to;
	return true;
}

bool mem_source_open_more(struct mem_source *s)
{
	return s->writable < s->bytes && writable_extend(s, s->writable + 1);
}

void *mem_source_take(struct mem_source *s, void *want, size_t bytes, size_t align)
{
	uintptr_t at = (uintptr_t)s->base + s->taken;
	size_t from;

	base_assert(bytes % SOURCE_PAGE == 0 && (align & (align - 1)) == 0);
	from = (size_t)(((at + align - 1) & ~(uintptr_t)(align - 1)) - (uintptr_t)s->base);
	if (from > s->bytes || bytes > s->bytes - from)
		return NULL;
	if (want != NULL && want != s->base + from)
		return NULL;
	if (!writable_extend(s, from + bytes))
		return NULL;
	__atomic_store_n(&s->taken, from + bytes, __ATOMIC_RELAXED);
	return s->base + from;
}

// ---- states of pages ---------------------------------------------------------------------------
// Kernels before 5.14 do not know MADV_POPULATE_WRITE: there kernel pages are written to, which
// faults them in one by one.
static int pages_populate(struct mem_source *s, char *addr, size_t bytes)
{
	if (madvise(addr, bytes, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL || s->kind != MEM_SOURCE_PAGES)
		return errno == EFAULT ? -ENOMEM : -errno; // EFAULT: no hugepage left
	for (size_t i = 0; i < bytes; i += SOURCE_PAGE)
		*(volatile char *)(addr + i) = 0;
	return 0;
}

bool mem_source_help(struct mem_source *s)
{
	uint64_t asked = __atomic_load_n(&s->asked, __ATOMIC_ACQUIRE);

	__atomic_store_n(&s->helped, true, __ATOMIC_RELAXED);
	if (asked == 0)
		return false;
	if (pages_populate(s, source_addr(s, asked - 1, 0), SOURCE_CHUNK) == 0)
		__atomic_store_n(&s->made, asked, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&s->made, asked | SOURCE_REFUSED, __ATOMIC_RELEASE);
	__atomic_store_n(&s->asked, 0, __ATOMIC_RELEASE);
	return true;
}

static int large_touch(struct mem_source *s, size_t chunk)
{
	struct source_chunk *c = &s->chunk[chunk];
	char *addr = source_addr(s, chunk, 0);
	int rc = pages_populate(s, addr, SOURCE_CHUNK);

	if (rc == 0 && s->device.page_map != NULL) {
		rc = s->device.page_map(s->device.arg, addr, SOURCE_CHUNK);
		if (rc < 0)
			madvise(addr, SOURCE_CHUNK, MADV_DONTNEED);
	}
	if (rc == 0)
		memset(c->held, 0xff, sizeof(c->held));
	return rc;
}

// The first run of bits that are `want` in [from, last): its start and end.
static bool run_find(
	const uint64_t *set, bool want, size_t from, size_t last, size_t *start, size_t *end)
{
	size_t i = from;

	while (i < last && (set[i / 64] >> (i % 64) & 1) != want)
		i++;
	*start = i;
	while (i < last && (set[i / 64] >> (i % 64) & 1) == want)
		i++;
	*end = i;
	return *start < last;
}

int mem_source_touch(struct mem_source *s, size_t chunk, size_t first, size_t last)
{
	struct source_chunk *c = &s->chunk[chunk];
	size_t start, end;

	if (s->large)
		return c->held_n > 0 ? 0 : large_touch(s, chunk);
	while (run_find(c->held, false, first, last, &start, &end)) {
		int rc = pages_populate(
			s, source_addr(s, chunk, start), (end - start) * SOURCE_PAGE);

		if (rc < 0)
			return rc;
		for (size_t w = start / 64; w <= (end - 1) / 64; w++)
			c->held[w] |= source_mask(w, start, end);
		first = end;
	}
	return 0;
}

size_t mem_source_clear(struct mem_source *s, size_t chunk, size_t first, size_t last, size_t limit)
{
	struct source_chunk *c = &s->chunk[chunk];
	size_t start, end, done = 0;

	while (done < limit && run_find(c->stale, true, first, last, &start, &end)) {
		if (end - start > limit - done)
			end = start + limit - done;
		memset(source_addr(s, chunk, start), 0, (end - start) * SOURCE_PAGE);
		for (size_t w = start / 64; w <= (end - 1) / 64; w++)
			c->stale[w] &= ~source_mask(w, start, end);
		done += end - start;
		first = end;
	}
	return done;
}

// The pages of [addr, addr + bytes) that lie in one chunk; the next chunk's follow.
static bool part_next(const struct mem_source *s, size_t *at, size_t end, size_t *chunk,
	size_t *first, size_t *last)
{
	size_t stop;

	if (*at >= end)
		return false;
	*chunk = *at / SOURCE_CHUNK;
	stop = (*chunk + 1) * SOURCE_CHUNK;
	if (stop > end)
		stop = end;
	*first = *at % SOURCE_CHUNK / SOURCE_PAGE;
	*last = *first + (stop - *at) / SOURCE_PAGE;
	*at = stop;
	return true;
}

static int part_commit(struct mem_source *s, size_t chunk, size_t first, size_t last)
{
	struct source_chunk *c = &s->chunk[chunk];
	unsigned held = c->held_n, cleared;
	int rc;

	mem_source_leave(s, c);
	rc = mem_source_touch(s, chunk, first, last);
	cleared = c->stale_n > 0 && rc == 0
		? (unsigned)mem_source_clear(s, chunk, first, last, SOURCE_PAGES)
		: 0;
	for (size_t w = first / 64; rc == 0 && w <= (last - 1) / 64; w++) {
		base_assert((c->used[w] & source_mask(w, first, last)) == 0);
		c->used[w] |= source_mask(w, first, last);
	}
	mem_source_enter(s, c);
	source_add(&s->late_pages, cleared + c->held_n - held);
	return rc;
}

static void part_decommit(struct mem_source *s, size_t chunk, size_t first, size_t last)
{
	struct source_chunk *c = &s->chunk[chunk];

	mem_source_leave(s, c);
	for (size_t w = first / 64; w <= (last - 1) / 64; w++) {
		uint64_t mask = source_mask(w, first, last);

		base_assert((c->used[w] & mask) == mask);
		c->used[w] &= ~mask;
		c->stale[w] |= mask;
	}
	mem_source_enter(s, c);
	if (chunk < s->low)
		s->low = chunk;
	if (c->used_n == 0 && chunk < s->empty_low)
		s->empty_low = chunk;
	if (chunk < s->stale_low)
		s->stale_low = chunk;
}

int mem_source_commit(struct mem_source *s, void *addr, size_t bytes)
{
	size_t from = (size_t)((char *)addr - s->base), at = from, chunk, first, last;
	uint64_t late = s->late_pages;
	int rc = 0;

	base_assert(from + bytes <= s->taken && from % SOURCE_PAGE == 0);
	while (rc == 0 && part_next(s, &at, from + bytes, &chunk, &first, &last))
		rc = part_commit(s, chunk, first, last);
	if (s->late_pages != late)
		source_add(&s->late_commits, 1);
	if (rc == 0)
		return 0;
	// What was committed before the chunk that failed goes back.
	source_add(&s->failed_commits, 1);
	if (chunk * SOURCE_CHUNK > from)
		mem_source_decommit(s, addr, chunk * SOURCE_CHUNK - from);
	return rc;
}

void mem_source_decommit(struct mem_source *s, void *addr, size_t bytes)
{
	size_t at = (size_t)((char *)addr - s->base), end = at + bytes, chunk, first, last;

	base_assert(end <= s->taken && at % SOURCE_PAGE == 0);
	while (part_next(s, &at, end, &chunk, &first, &last))
		part_decommit(s, chunk, first, last);
}

void mem_source_stats_read(const struct mem_source *s, struct mem_domain_stats *out)
{
	uint64_t used = source_load(&s->used_pages), held = source_load(&s->held_pages);
	uint64_t stale = source_load(&s->stale_pages);

	out->region_bytes = s->bytes;
	out->taken_bytes = __atomic_load_n(&s->taken, __ATOMIC_RELAXED);
	out->committed_bytes = used * SOURCE_PAGE;
	out->held_bytes = held * SOURCE_PAGE;
	out->huge_bytes = s->kind == MEM_SOURCE_HUGE ? out->held_bytes : 0;
	out->scatter_bytes = source_scatter_pages(s) * SOURCE_PAGE;
	out->stale_bytes = stale * SOURCE_PAGE;
	out->ready_bytes = (held - base_min_u64(held, used + stale)) * SOURCE_PAGE;
	out->returned_bytes = source_load(&s->returned_pages) * SOURCE_PAGE;
	out->late_commits = source_load(&s->late_commits);
	out->late_bytes = source_load(&s->late_pages) * SOURCE_PAGE;
	out->failed_commits = source_load(&s->failed_commits);
}
