// SPDX-License-Identifier: BSD-3-Clause
// The page source's upkeep: pages made ready from the low end, where jemalloc takes the next ones,
// and free pages given back from the high end. Giving back stops at twice what is kept ready, and
// at whole chunks that are, so that the two never chase each other.
//
// What may go back is the least that was free at any time of the decay time: so much nobody needed.
// The age of single pages says less: where a few are used and freed all the time the others would
// never become old.
#include <errno.h>
#include <sys/mman.h>

#include "mem/mem_source.h"

#define READY_STEP    16      // kernel pages touched in one step
#define CLEAR_STEP    16      // stale pages cleared in one step
#define RETURN_STEP   64      // kernel pages given back in one step
#define RETURN_CALLS  8       // in so many calls, as they lie apart
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
	uint64_t began_ns = source_begin(s);

	mem_source_leave(s, c);
	mem_source_clear(s, chunk, 0, SOURCE_PAGES, CLEAR_STEP);
	mem_source_enter(s, c);
	source_end(s, &s->work_ns[MEM_WORK_READY], began_ns);
}

// False: the system has no page.
static bool touch_step(struct mem_source *s, size_t chunk)
{
	struct source_chunk *c = &s->chunk[chunk];
	uint64_t began_ns = source_begin(s);
	size_t first = 0, last;
	bool ok;

	while (first < SOURCE_PAGES && (c->held[first / 64] >> (first % 64) & 1) != 0)
		first++;
	last = first + READY_STEP < SOURCE_PAGES ? first + READY_STEP : SOURCE_PAGES;
	mem_source_leave(s, c);
	ok = mem_source_touch(s, chunk, first, last) == 0;
	mem_source_enter(s, c);
	source_end(s, &s->work_ns[MEM_WORK_READY], began_ns);
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

// A chunk was made present. Large pages are touched by the owner too, at no cost since they are
// there, because a device may have to be told.
static bool made_enter(struct mem_source *s, uint64_t made)
{
	struct source_chunk *c = &s->chunk[(made & ~SOURCE_REFUSED) - 1];

	if (made & SOURCE_REFUSED)
		return false;
	if (s->large)
		return touch_step(s, made - 1);
	mem_source_leave(s, c);
	memset(c->held, 0xff, sizeof(c->held));
	mem_source_enter(s, c);
	return true;
}

// Zeroing 2 MiB takes the kernel up to a fraction of a millisecond, which is not the owner's to
// spend.
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

// Of the lowest chunk that lacks some, or of the lowest that is `empty`.
static enum mem_slice absent_touch(struct mem_source *s, bool empty)
{
	size_t looked = 0, end = s->writable / SOURCE_CHUNK;
	size_t *low = empty ? &s->empty_low : &s->low;

	if (s->now_us < s->map_retry_us)
		return MEM_SLICE_DONE;
	while (*low < end && (is_ready(&s->chunk[*low]) || (empty && s->chunk[*low].used_n > 0))) {
		(*low)++;
		if (++looked == LOOK_STEP)
			return MEM_SLICE_MORE;
	}
	if (*low == end)
		return mem_source_open_more(s) ? MEM_SLICE_MORE : MEM_SLICE_DONE;
	if (__atomic_load_n(&s->helped, __ATOMIC_RELAXED))
		return chunk_ask(s, *low);
	if (touch_step(s, *low))
		return MEM_SLICE_MORE;
	s->map_retry_us = s->now_us + RETRY_US;
	return MEM_SLICE_DONE;
}

enum mem_slice mem_source_ready(struct mem_source *s, uint64_t now_us)
{
	s->now_us = now_us;
	if (s->stale_pages > 0 && stale_clear(s) == MEM_SLICE_MORE)
		return MEM_SLICE_MORE;
	if (ready_pages(s) < s->ahead_pages)
		return absent_touch(s, false);
	return s->clean_chunks > 0 ? MEM_SLICE_DONE : absent_touch(s, true);
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

// The first run of free pages from `from` on: held and not used.
static bool free_run_find(
	const struct source_chunk *c, size_t from, size_t most, size_t *start, size_t *end)
{
	size_t i = from;

	while (i < SOURCE_PAGES && ((c->held[i / 64] & ~c->used[i / 64]) >> (i % 64) & 1) == 0)
		i++;
	*start = i;
	while (i < SOURCE_PAGES && i - *start < most &&
		((c->held[i / 64] & ~c->used[i / 64]) >> (i % 64) & 1) != 0)
		i++;
	*end = i;
	return *start < i;
}

static size_t small_return(struct mem_source *s, size_t chunk, size_t most)
{
	struct source_chunk *c = &s->chunk[chunk];
	size_t first, last = 0, done = 0;

	for (unsigned calls = 0; calls < RETURN_CALLS && done < most; calls++) {
		if (!free_run_find(c, last, most - done, &first, &last))
			break;
		if (madvise(source_addr(s, chunk, first), (last - first) * SOURCE_PAGE,
			    MADV_DONTNEED) < 0)
			break;
		for (size_t w = first / 64; w <= (last - 1) / 64; w++) {
			c->held[w] &= ~source_mask(w, first, last);
			c->stale[w] &= ~source_mask(w, first, last);
		}
		done += last - first;
	}
	return done;
}

static size_t chunk_return(struct mem_source *s, size_t chunk, uint64_t most)
{
	struct source_chunk *c = &s->chunk[chunk];
	uint64_t began_ns;
	size_t n;

	if (is_asked_for(s, chunk))
		return 0;
	began_ns = source_begin(s);
	mem_source_leave(s, c);
	n = s->large ? large_return(s, chunk)
		     : small_return(s, chunk, base_min_u64(most, RETURN_STEP));
	mem_source_enter(s, c);
	source_add(&s->returned_pages, n);
	for (unsigned i = 0; i < SOURCE_WINDOW; i++)
		s->free_least[i] -= base_min_u64(n, s->free_least[i]);
	if (n > 0 && chunk < s->low)
		s->low = chunk;
	if (n > 0 && c->used_n == 0 && chunk < s->empty_low)
		s->empty_low = chunk;
	source_end(s, &s->work_ns[MEM_WORK_RETURN], began_ns);
	return n;
}

// Of the stock that stays, some chunks are whole, for what is larger than a hole: else upkeep would
// fill hole after hole on its way to the next.
static bool has_returnable(const struct mem_source *s, const struct source_chunk *c)
{
	if (s->large)
		return c->used_n == 0 && c->held_n > 0;
	if (!s->pass_all && c->used_n == 0 && is_ready(c) &&
		s->clean_chunks * SOURCE_PAGES <= base_max_u64(s->ahead_pages, SOURCE_PAGES))
		return false;
	return c->held_n > c->used_n;
}

// Notes what is free now. A part of the window ends at the first note after its time, so that a gap
// between two notes proves nothing.
static void window_note(struct mem_source *s, uint64_t pages, uint64_t decay_us)
{
	uint64_t *least = &s->free_least[s->window_at];

	*least = base_min_u64(*least, pages);
	if (s->now_us - s->window_us < decay_us / SOURCE_WINDOW)
		return;
	s->window_at = (s->window_at + 1) % SOURCE_WINDOW;
	s->free_least[s->window_at] = pages;
	s->window_us = s->now_us;
}

// Pages to give back now.
static uint64_t due_pages(struct mem_source *s, uint64_t decay_us)
{
	uint64_t keep = 2 * s->ahead_pages, least = returnable_pages(s);

	window_note(s, least, decay_us);
	if (least <= keep)
		return 0;
	for (unsigned i = 0; decay_us > 0 && i < SOURCE_WINDOW; i++)
		least = base_min_u64(least, s->free_least[i]);
	return least - base_min_u64(least, keep);
}

// A pass goes from the highest chunk down, as long as something is due. One that has met the end
// leaves what it could not give back to a later one.
static bool pass_begin(struct mem_source *s, bool all)
{
	if (all != s->pass_all)
		s->high = 0;
	s->pass_all = all;
	if (s->high > 0)
		return true;
	if (!all && s->now_us < s->pass_due_us)
		return false;
	s->high = s->writable / SOURCE_CHUNK;
	return s->high > 0;
}

enum mem_slice mem_source_return(struct mem_source *s, uint64_t now_us, uint64_t decay_us, bool all)
{
	uint64_t due;

	s->now_us = now_us;
	if (s->keeps)
		return MEM_SLICE_DONE;
	due = all ? returnable_pages(s) : due_pages(s, decay_us);
	if (due == 0) {
		s->high = 0;
		return MEM_SLICE_DONE;
	}
	if (!pass_begin(s, all))
		return MEM_SLICE_DONE;
	for (size_t looked = 0; s->high > 0 && looked < LOOK_STEP; looked++) {
		if (has_returnable(s, &s->chunk[s->high - 1]) &&
			chunk_return(s, s->high - 1, due) > 0)
			return MEM_SLICE_MORE;
		s->high--;
	}
	if (s->high > 0)
		return MEM_SLICE_MORE;
	s->pass_due_us = now_us + PASS_LEAST_US;
	return MEM_SLICE_DONE;
}
