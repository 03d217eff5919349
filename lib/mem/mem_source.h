// SPDX-License-Identifier: BSD-3-Clause
// The page source under a domain's arena: one range of addresses, handed out from its low end, with
// the state of every 4 KiB page kept outside it.
//
//	base            taken              writable            base + bytes
//	 | in the arena's hands  | open, not taken  | reserved (PROT_NONE) |
//
//	a page:   absent --touch--> ready --commit--> used --decommit--> stale --clear--> ready
//	             ^                 |                                   |
//	             +------ give back to the system (ready or stale) -----+
//
// absent: the system holds nothing there. ready: held, all zero. used: the arena's. stale: held and
// free, with old contents. Commit gives zeroes, as jemalloc takes for granted; where the page is
// not ready it maps or clears in the request's path and counts that as late.
//
// Large pages (hugepages, or THP asked for) are touched, mapped for the device and given back as
// whole 2 MiB chunks; kernel pages one by one.
//
// Owner: the domain's. Totals are relaxed atomics for readers on other threads.
#pragma once

#include "base/base.h"
#include "mem/mem.h"

#define SOURCE_PAGE             ((size_t)4096)
#define SOURCE_CHUNK            ((size_t)2 << 20)
#define SOURCE_PAGES            512 // of a chunk
#define SOURCE_WORDS            (SOURCE_PAGES / 64)
#define SOURCE_AHEAD_BYTES      ((uint64_t)4 << 20)
#define SOURCE_AHEAD_HUGE_BYTES ((uint64_t)16 << 20)
#define SOURCE_AHEAD_PART       16 // of a small region

#define SOURCE_REFUSED          ((uint64_t)1 << 63)

#define SOURCE_WINDOW           8 // parts of the time that pages stay free before they go back

// 2 MiB of the range. used and stale are disjoint parts of held.
struct source_chunk {
	uint64_t used[SOURCE_WORDS], held[SOURCE_WORDS], stale[SOURCE_WORDS];
	uint16_t used_n, held_n, stale_n; // bits set
};

struct mem_source {
	char *base;
	size_t bytes, taken, writable; // writable: bytes that may be touched
	struct source_chunk *chunk;
	size_t chunks;
	enum mem_source_kind kind;
	bool large; // touched and given back by whole chunks
	bool keeps; // nothing goes back: GIVEN, or the kernel cannot
	int numa_node;
	uint64_t ahead_pages;

	// Totals, in pages; written by the owner.
	uint64_t used_pages, held_pages, stale_pages;
	uint64_t empty_held_pages; // held pages of chunks without a used one
	uint64_t clean_chunks;     // chunks that are ready throughout
	uint64_t returned_pages, late_commits, late_pages, failed_commits;

	size_t low;            // no chunk below has a page that is free and not ready
	size_t empty_low;      // no chunk below is without used pages and not ready throughout
	size_t stale_low;      // no chunk below has a stale page
	size_t high;           // the next chunk that giving back looks at, from above; 0: none yet
	bool pass_all;         // it looks for all that is free
	uint64_t pass_due_us;  // no pass before
	uint64_t now_us;       // of the last upkeep
	uint64_t map_retry_us; // after a page that the system refused

	// The least that was free in each part of the decay time; the last part is under way.
	uint64_t free_least[SOURCE_WINDOW];
	unsigned window_at;
	uint64_t window_us; // when that part began

	// A chunk that another thread makes present: its number + 1, or 0. The owner sets `asked`,
	// the helper moves it to `made`, with SOURCE_REFUSED where the system has no memory, and
	// the owner takes it from there.
	uint64_t asked, made;
	bool helped; // atomic: there is a helper

	uint64_t (*now_ns)(void);
	struct base_hist call_ns, work_ns[MEM_WORKS];
	struct mem_device device;
	void *given; // as device.region returned it
	char name[32];
};

// Reserves the range. 0 or -errno, with the reason logged.
int mem_source_open(struct mem_source **s, const struct mem_options *opt);
void mem_source_close(struct mem_source *s);

// Opens more of the reserved range to use, ahead of need. False at its end, or refused.
bool mem_source_open_more(struct mem_source *s);
// Takes addresses from the low end, aligned; `want` (may be NULL) insists on a place. NULL when
// they are used up.
void *mem_source_take(struct mem_source *s, void *want, size_t bytes, size_t align);
// Makes pages the arena's: zeroed and really there. 0, or -ENOMEM with nothing changed.
int mem_source_commit(struct mem_source *s, void *addr, size_t bytes);
void mem_source_decommit(struct mem_source *s, void *addr, size_t bytes);

// Upkeep: one bounded step each (mem_domain_upkeep, mem_purge_slice). decay_us: age at which free
// pages go back.
enum mem_slice mem_source_ready(struct mem_source *s, uint64_t now_us);
enum mem_slice mem_source_return(
	struct mem_source *s, uint64_t now_us, uint64_t decay_us, bool all);

// On another thread: makes the page present that the owner asked for. True when it did.
bool mem_source_help(struct mem_source *s);

void mem_source_stats_read(const struct mem_source *s, struct mem_domain_stats *out);

// ---- shared by mem_source.c and mem_source_upkeep.c --------------------------------------------
static inline uint64_t source_load(const uint64_t *total)
{
	return __atomic_load_n(total, __ATOMIC_RELAXED);
}

static inline void source_add(uint64_t *total, uint64_t n)
{
	__atomic_store_n(total, source_load(total) + n, __ATOMIC_RELAXED);
}

// Where pages are large: free ones of chunks that are in use. Any thread, approximately.
static inline uint64_t source_scatter_pages(const struct mem_source *s)
{
	uint64_t in_use = source_load(&s->used_pages) + source_load(&s->empty_held_pages);

	if (!s->large || s->keeps)
		return 0;
	return source_load(&s->held_pages) - base_min_u64(source_load(&s->held_pages), in_use);
}

static inline uint64_t source_begin(const struct mem_source *s)
{
	return s->now_ns != NULL ? s->now_ns() : 0;
}

static inline void source_end(struct mem_source *s, struct base_hist *hist, uint64_t began_ns)
{
	if (s->now_ns != NULL)
		base_hist_add(hist, s->now_ns() - began_ns);
}

// Bits from..to (exclusive, at most 64) of word w of a chunk's page range [first, last).
static inline uint64_t source_mask(size_t w, size_t first, size_t last)
{
	size_t from = first > w * 64 ? first - w * 64 : 0;
	size_t to = last < w * 64 + 64 ? last - w * 64 : 64;

	return (to == 64 ? UINT64_MAX : (UINT64_C(1) << to) - 1) & ~((UINT64_C(1) << from) - 1);
}

static inline char *source_addr(const struct mem_source *s, size_t chunk, size_t page)
{
	return s->base + chunk * SOURCE_CHUNK + page * SOURCE_PAGE;
}

// Takes a chunk out of the totals before it changes, and puts it back after.
void mem_source_leave(struct mem_source *s, const struct source_chunk *c);
void mem_source_enter(struct mem_source *s, struct source_chunk *c);
// Has the system hold pages [first, last) of a chunk (all of it where pages are large), those that
// are absent. The chunk is out of the totals. 0 or -errno.
int mem_source_touch(struct mem_source *s, size_t chunk, size_t first, size_t last);
// Clears stale pages in [first, last) of a chunk, at most `limit`. Returns how many.
size_t mem_source_clear(
	struct mem_source *s, size_t chunk, size_t first, size_t last, size_t limit);
