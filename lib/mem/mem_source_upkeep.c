// SPDX-License-Identifier: BSD-3-Clause
// The page source's upkeep: pages made ready from the low end, where jemalloc takes the next ones,
// and free pages given back from the high end. Giving back stops at twice what is kept ready, so
// that the two never chase each other.
#include <errno.h>
#include <sys/mman.h>

#include "mem/mem_source.h"

#define READY_STEP    16      // kernel pages touched in one step
#define CLEAR_STEP    16      // stale pages cleared in one step
#define RETURN_STEP   64      // kernel pages given back in one step
#define LOOK_STEP     64      // chunks looked at in one step
#define RETRY_US      1000000 // after the system refused a page
#define PASS_LEAST_US 10000   // between passes that look for pages due

static bool is_ready(const struct source_chunk *c)
{
	return c->held_n == SOURCE_PAGES && c->stale_n == 0;
}

// Free pages that are held and clean.
static uint64_t ready_pages(const struct mem_source *s)
{
	return s->held_pages - s->used_pages - s->stale_pages;
}

static void clear_step(struct mem_source *s, size_t chunk)
{
	struct source_chunk *c = &s->chunk[chunk];

	mem_source_leave(s, c);
	mem_source_clear(s, chunk, 0, SOURCE_PAGES, CLEAR_STEP);
	mem_source_enter(s, c);
}

// False: the system has no page.
static bool touch_step(struct mem_source *s, size_t chunk)
{
	struct source_chunk *c = &s->chunk[chunk];
	size_t first = 0, last;
	bool ok;

	while (first < SOURCE_PAGES && (c->held[first / 64] >> (first % 64) & 1) != 0)
		first++;
	last = first + READY_STEP < SOURCE_PAGES ? first + READY_STEP : SOURCE_PAGES;
	mem_source_leave(s, c);
	ok = mem_source_touch(s, chunk, first, last) == 0;
	c->changed_us = s->now_us;
	mem_source_enter(s, c);
	return ok;
}

// Whatever is stale is cleared, from the low end, where the arena takes what it takes again: else
// the request that takes it would have to.
static enum mem_slice stale_clear(struct mem_source *s)
{
	size_t looked = 0, end = s->writable / SOURCE_CHUNK;

	while (s->stale_low < end && s->chunk[s->stale_low].stale_n == 0) {
		s->stale_low++;
		if (++looked == LOOK_STEP)
			return MEM_SLICE_MORE;
	}
	if (s->stale_low == end)
		return MEM_SLICE_DONE;
	clear_step(s, s->stale_low);
	return MEM_SLICE_MORE;
}

// A chunk was made present. Large pages are touched by the owner too, at no cost since they are there,
// because a device may have to be told.
static bool made_enter(struct mem_source *s, uint64_t made)
{
	struct source_chunk *c = &s->chunk[(made & ~SOURCE_REFUSED) - 1];

	if (made & SOURCE_REFUSED)
		return false;
	if (s->large)
		return touch_step(s, made - 1);
	mem_source_leave(s, c);
	memset(c->held, 0xff, sizeof(c->held));
	c->changed_us = s->now_us;
	mem_source_enter(s, c);
	return true;
}

// Zeroing 2 MiB takes the kernel up to a fraction of a millisecond, which is not the owner's to spend.
static enum mem_slice chunk_ask(struct mem_source *s, size_t chunk)
{
	uint64_t made = __atomic_load_n(&s->made, __ATOMIC_ACQUIRE);

	if (made != 0) {
		__atomic_store_n(&s->made, 0, __ATOMIC_RELAXED);
		if (made_enter(s, made))
			return MEM_SLICE_MORE;
		s->map_retry_us = s->now_us + RETRY_US;
	} else if (__atomic_load_n(&s->asked, __ATOMIC_RELAXED) == 0) {
		__atomic_store_n(&s->asked, chunk + 1, __ATOMIC_RELEASE);
	}
	return MEM_SLICE_DONE;
}

static bool is_asked_for(const struct mem_source *s, size_t chunk)
{
	return __atomic_load_n(&s->asked, __ATOMIC_RELAXED) == chunk + 1 ||
		__atomic_load_n(&s->made, __ATOMIC_RELAXED) == chunk + 1;
}

static enum mem_slice absent_touch(struct mem_source *s)
{
	size_t looked = 0, end = s->writable / SOURCE_CHUNK;

	if (s->now_us < s->map_retry_us)
		return MEM_SLICE_DONE;
	while (s->low < end && is_ready(&s->chunk[s->low])) {
		s->low++;
		if (++looked == LOOK_STEP)
			return MEM_SLICE_MORE;
	}
	if (s->low == end)
		return mem_source_open_more(s) ? MEM_SLICE_MORE : MEM_SLICE_DONE;
	if (__atomic_load_n(&s->helped, __ATOMIC_RELAXED))
		return chunk_ask(s, s->low);
	if (touch_step(s, s->low))
		return MEM_SLICE_MORE;
	s->map_retry_us = s->now_us + RETRY_US;
	return MEM_SLICE_DONE;
}

enum mem_slice mem_source_ready(struct mem_source *s, uint64_t now_us)
{
	s->now_us = now_us;
	if (s->stale_pages > 0 && stale_clear(s) == MEM_SLICE_MORE)
		return MEM_SLICE_MORE;
	if (ready_pages(s) >= s->ahead_pages && s->clean_chunks > 0)
		return MEM_SLICE_DONE;
	return absent_touch(s);
}

// ---- giving back --------------------------------------------------------------------------------
// Free pages that could go back.
static uint64_t returnable_pages(const struct mem_source *s)
{
	return s->large ? s->empty_held_pages : s->held_pages - s->used_pages;
}

static size_t large_return(struct mem_source *s, size_t chunk)
{
	struct source_chunk *c = &s->chunk[chunk];
	char *addr = source_addr(s, chunk, 0);

	if (c->used_n > 0 || c->held_n == 0)
		return 0;
	if (s->device.page_unmap != NULL)
		s->device.page_unmap(s->device.arg, addr, SOURCE_CHUNK);
	if (madvise(addr, SOURCE_CHUNK, MADV_DONTNEED) < 0) {
		base_warn("%s: the system takes no page back: %s", s->name, strerror(errno));
		s->keeps = true;
		return 0;
	}
	memset(c->held, 0, sizeof(c->held));
	memset(c->stale, 0, sizeof(c->stale));
	return SOURCE_PAGES;
}

static size_t small_return(struct mem_source *s, size_t chunk)
{
	struct source_chunk *c = &s->chunk[chunk];
	size_t first, last;

	for (first = 0; first < SOURCE_PAGES; first++) // the first page that is held and free
		if (((c->held[first / 64] & ~c->used[first / 64]) >> (first % 64) & 1) != 0)
			break;
	for (last = first; last < SOURCE_PAGES && last - first < RETURN_STEP; last++)
		if (((c->held[last / 64] & ~c->used[last / 64]) >> (last % 64) & 1) == 0)
			break;
	if (first == last)
		return 0;
	if (madvise(source_addr(s, chunk, first), (last - first) * SOURCE_PAGE, MADV_DONTNEED) < 0)
		return 0;
	for (size_t w = first / 64; w <= (last - 1) / 64; w++) {
		c->held[w] &= ~source_mask(w, first, last);
		c->stale[w] &= ~source_mask(w, first, last);
	}
	return last - first;
}

static size_t chunk_return(struct mem_source *s, size_t chunk)
{
	struct source_chunk *c = &s->chunk[chunk];
	size_t n;

	if (is_asked_for(s, chunk))
		return 0;
	mem_source_leave(s, c);
	n = s->large ? large_return(s, chunk) : small_return(s, chunk);
	mem_source_enter(s, c);
	source_add(&s->returned_pages, n);
	if (n > 0 && chunk < s->low)
		s->low = chunk;
	return n;
}

static bool has_returnable(const struct mem_source *s, const struct source_chunk *c)
{
	return s->large ? c->used_n == 0 && c->held_n > 0 : c->held_n > c->used_n;
}

// A pass goes from the highest chunk down. When it has met the end, the next begins no sooner than
// its youngest free page can be due.
static void pass_begin(struct mem_source *s, uint64_t now_us)
{
	s->high = s->writable / SOURCE_CHUNK;
	s->pass_least_us = UINT64_MAX;
	s->pass_us = now_us;
}

static void pass_end(struct mem_source *s, uint64_t now_us, uint64_t decay_us)
{
	uint64_t due = s->pass_least_us == UINT64_MAX ? now_us : s->pass_least_us + decay_us;

	s->high = 0;
	s->pass_due_us = base_max_u64(due, now_us + PASS_LEAST_US);
}

enum mem_slice mem_source_return(struct mem_source *s, uint64_t now_us, uint64_t decay_us, bool all)
{
	uint64_t keep = all ? 0 : 2 * s->ahead_pages;

	s->now_us = now_us;
	if (s->keeps || returnable_pages(s) <= keep)
		return MEM_SLICE_DONE;
	if (s->high == 0) {
		if (!all && now_us < s->pass_due_us)
			return MEM_SLICE_DONE;
		pass_begin(s, now_us);
	}
	for (size_t looked = 0; s->high > 0 && looked < LOOK_STEP; looked++) {
		struct source_chunk *c = &s->chunk[s->high - 1];

		if (has_returnable(s, c)) {
			if (all || c->changed_us + decay_us <= now_us) {
				if (chunk_return(s, s->high - 1) > 0)
					return MEM_SLICE_MORE;
			} else {
				s->pass_least_us = base_min_u64(s->pass_least_us, c->changed_us);
			}
		}
		s->high--;
	}
	if (s->high > 0)
		return MEM_SLICE_MORE;
	pass_end(s, now_us, decay_us);
	return MEM_SLICE_DONE;
}
