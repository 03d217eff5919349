// SPDX-License-Identifier: BSD-3-Clause
// mem: allocation with exact accounting, after Redis' zmalloc. A domain is one owner's memory: a
// jemalloc arena with its thread cache, and one cache line of counters that only the owner writes.
//
// Owner thread: the thread that bound the domain (mem_domain_bind). An unbound domain uses an
// explicit arena and tcache and may be driven by any one thread at a time (the simulator does).
// Counters may be read by any thread: they are single-writer, relaxed atomics.
//
//	struct mem_domain *d;
//	mem_domain_open(&d, &(struct mem_options){.name = "worker 0", .numa_node = -1});
//	mem_domain_bind(d);
//	size_t usable;
//	void *p = mem_try_alloc(d, MEM_ITEMS, 100, &usable);
//	mem_free(d, MEM_ITEMS, p, usable);
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct mem_domain;

// What the bytes are for. Their sums give used_memory_overhead and used_memory_dataset.
enum mem_class {
	MEM_ITEMS,  // items: header, key, value
	MEM_INDEX,  // the shard's index
	MEM_CONNS,  // connections: TCP and protocol state
	MEM_INPUT,  // bytes received and not yet executed
	MEM_OUTPUT, // replies not yet handed to TCP
	MEM_OTHER,  // all else: tables made at start
	MEM_CLASSES,
};

// Where a domain's pages come from. Only jemalloc has arenas; the other back ends take SYSTEM and
// PAGES alike, and refuse HUGE and GIVEN with -ENOTSUP.
enum mem_source_kind {
	MEM_SOURCE_SYSTEM, // the allocator maps for itself: threads that run no upkeep
	MEM_SOURCE_PAGES,  // one reserved range of kernel pages: workers without hugepages
	MEM_SOURCE_HUGE,   // a region of 2 MiB hugepages, reserved at open on numa_node
	MEM_SOURCE_GIVEN,  // memory that device.region hands over whole
};

// How a device gets to see the memory (lib/port fills it in; all NULL where none has to).
struct mem_device {
	void *arg;
	// HUGE: a 2 MiB page is about to be used (0, or -errno: it is not used), or given back.
	int (*page_map)(void *arg, void *addr, size_t bytes);
	void (*page_unmap)(void *arg, void *addr, size_t bytes);
	// GIVEN: `bytes` (whole 2 MiB, so aligned) of memory on the node, or NULL; and their
	// return. Pages of such a region are never given back to the system.
	void *(*region)(void *arg, size_t bytes, int numa_node);
	void (*region_free)(void *arg, void *addr, size_t bytes);
};

struct mem_options {
	const char *name; // for messages; copied
	int numa_node;    // preferred node, or -1
	enum mem_source_kind source;
	bool thp; // PAGES: ask for transparent hugepages
	// HUGE, GIVEN: the region's size, rounded up to 2 MiB. PAGES: address space; 0 for four
	// times the machine's memory.
	uint64_t region_bytes;
	uint64_t ahead_bytes; // kept touched and clean ahead of need; 0: 4 MiB, or 16 in hugepages
	int64_t dirty_decay_ms;   // free pages go back after that; 0: 10,000; -1: never
	uint64_t (*now_ns)(void); // times the page source's calls; NULL: they are not timed
	struct mem_device device; // copied
	// Called when mem_alloc and its like have no memory, after the sizes were logged and before
	// the process stops. May be NULL.
	void (*oom)(void *arg, const char *name, enum mem_class c, size_t size);
	void *oom_arg;
};

// The back end this build uses: "jemalloc-5.3.0-0-g...", "tcmalloc-2.10", "libc".
const char *mem_backend_name(void);

// Looks for every mallctl name that lcached relies on. 0, or -ENOTSUP with each missing name
// logged. To be called once at start.
int mem_backend_probe(void);

// Makes a domain with an arena of its own where the back end has arenas. 0, -ENOMEM or -errno.
int mem_domain_open(struct mem_domain **d, const struct mem_options *opt);
// Destroys the domain and its arena: MEM_OTHER blocks that are left are gone with it, and every
// other byte must have come back (asserted). To be called by the owner, or after its thread's end.
// An arena that also holds what others allocated (the C library on the owner's thread) is not
// destroyed: its free pages go back to the system.
void mem_domain_close(struct mem_domain *d);
// Makes the calling thread the owner: its arena and automatic tcache serve the domain from now on,
// and its pages come from the domain's memory node. One domain a thread at a time. Blocks got
// before may be freed after, and the other way round. 0 or -errno.
int mem_domain_bind(struct mem_domain *d);
void mem_domain_unbind(struct mem_domain *d);

// Allocates `size` bytes (0 < size < SIZE_MAX/2, else NULL), aligned to 16. *usable (may be NULL)
// gets the bytes really held, which are what is counted. NULL when there is no memory: never
// aborts.
void *mem_try_alloc(struct mem_domain *d, enum mem_class c, size_t size, size_t *usable);
void *mem_try_calloc(struct mem_domain *d, enum mem_class c, size_t size, size_t *usable);
// As above with an alignment (a power of two, 16 to 2 MiB). Free with mem_free_aligned.
void *mem_try_alloc_aligned(
	struct mem_domain *d, enum mem_class c, size_t align, size_t size, size_t *usable);
size_t mem_free_aligned(struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size);
// Grows or shrinks; `size` is the old requested or usable size. NULL leaves the block as it was.
void *mem_try_realloc(struct mem_domain *d, enum mem_class c, void *p, size_t size, size_t new_size,
	size_t *usable);

// For infrastructure at set-up: no memory logs name, class, sizes and what is in use, calls the
// domain's oom handler and stops the process.
void *mem_alloc(struct mem_domain *d, enum mem_class c, size_t size);
void *mem_calloc(struct mem_domain *d, enum mem_class c, size_t size, size_t *usable);
void *mem_realloc(struct mem_domain *d, enum mem_class c, void *p, size_t size, size_t new_size,
	size_t *usable);
void *mem_alloc_aligned(
	struct mem_domain *d, enum mem_class c, size_t align, size_t size, size_t *usable);

// Returns a block. `size`: the size asked for, or any from there up to its usable size; the slack
// counter is exact if it is the size asked for, or last noted. Returns the bytes it held.
size_t mem_free(struct mem_domain *d, enum mem_class c, void *p, size_t size);
// The owner now uses new_size of a block that it asked size for, in place: keeps the slack counter
// true. Both lie in one size class.
void mem_size_note(struct mem_domain *d, size_t size, size_t new_size);
// How far apart the size classes lie around `size`, and the class that a request of it falls into,
// by jemalloc's spacing whatever the back end: multiples of 16 up to 128, then four classes a
// doubling.
static inline uint64_t mem_size_step(uint64_t size)
{
	return size <= 128 ? 16 : UINT64_C(1) << (61 - __builtin_clzll(size - 1));
}

static inline uint64_t mem_size_round(uint64_t size)
{
	uint64_t step = mem_size_step(size);

	return (size + step - 1) & ~(step - 1);
}

// Above this class each block has pages of its own, and one more of them than it says (in which it
// begins anywhere): jemalloc's cache_oblivious, which Debian's build cannot turn off.
#define MEM_SMALL_MAX 14336u
#define MEM_PADDING   4096u

// The memory that a request of `size` takes, with that page.
static inline uint64_t mem_size_taken(uint64_t size)
{
	uint64_t class = mem_size_round(size);

	return class + (class > MEM_SMALL_MAX ? MEM_PADDING : 0);
}

// The usable size that a request of `size` gets, without allocating; 0 when it is never granted.
size_t mem_usable(const struct mem_domain *d, size_t size);

// Bytes in use, by class and in total. Any thread.
uint64_t mem_used_class(const struct mem_domain *d, enum mem_class c);
// What counts against maxmemory: items and index. Any thread.
uint64_t mem_used_stored(const struct mem_domain *d);
uint64_t mem_used(const struct mem_domain *d);

// Usable bytes less those asked for, which is internal fragmentation: in all, and of blocks of one
// size class (more than mem_size_class_bytes(i - 1) and at most mem_size_class_bytes(i); the last
// takes all that are larger). Any thread.
#define MEM_SIZE_CLASSES 104
uint64_t mem_slack(const struct mem_domain *d);
uint64_t mem_slack_class(const struct mem_domain *d, unsigned int i);
size_t mem_size_class_bytes(unsigned int i);

// The check of the counters against jemalloc's own: at the mark both are made equal; from then on
// mem_held_by_thread (jemalloc's thread.allocated less thread.deallocated of the owner's thread,
// moved by a constant) equals mem_used, unless something on this thread allocated past the domain.
// Owner, while bound. Where the back end does not tell, both are mem_used.
void mem_thread_mark(struct mem_domain *d);
uint64_t mem_held_by_thread(const struct mem_domain *d);

// Test seam: `fail(arg)` is asked before each allocation and fails it by returning true.
void mem_fault_set(struct mem_domain *d, bool (*fail)(void *arg), void *arg);

// ---- upkeep by the owner --------------------------------------------------------------------
// Each call does at most one bounded piece of work and says whether there is more to do now.
enum mem_slice { MEM_SLICE_DONE, MEM_SLICE_MORE };

// Makes pages ready ahead of need: maps and touches the next 64 KiB (one 2 MiB page where pages are
// large), or clears used ones. For idle turns. A few nanoseconds when there is nothing to do.
enum mem_slice mem_domain_upkeep(struct mem_domain *d, uint64_t now_us);
// Control core, while the domain is open: makes the 2 MiB present that the owner's upkeep asked
// for, which takes a fraction of a millisecond. From the first call on the owner leaves that to its
// caller. True when it did something.
bool mem_domain_help(struct mem_domain *d);
// Gives memory back: moves freed extents from jemalloc to the page source, as many as have lately
// taken some 10 us, and what was more than enough for dirty_decay_ms to the system, at most 64
// kernel pages or one 2 MiB page. For every turn. A few nanoseconds when there is nothing to do.
enum mem_slice mem_purge_slice(struct mem_domain *d, uint64_t now_us);
// Owner, between pieces of much that it frees: when 64 KiB of freed extents have gathered, the next
// mem_purge_slice is told to move them, so that they are few. True: it was told just now, and what
// is left to free had better wait for it. Who goes on without a slice in between gets false.
bool mem_purge_ask(struct mem_domain *d);
// From any thread: the owner's next slices flush its thread cache, and give back all that is free,
// whatever its age.
void mem_purge_start(struct mem_domain *d);
// Any thread: whether they are still at it.
bool mem_purge_running(const struct mem_domain *d);
// jemalloc-dirty-decay-ms of this domain's pages; -1: never. Any thread.
void mem_domain_decay_set(struct mem_domain *d, int64_t dirty_ms);

// ---- moving blocks ----------------------------------------------------------------------------
// What the slab of a block holds. (As jemalloc's utilization.batch_query writes it.)
struct mem_slab {
	size_t free;   // blocks that it has room for
	size_t blocks; // ... of so many; 1: the block has pages of its own
	size_t bytes;
};
// Asks for the slabs of n blocks at once: from 64 on some 4 ns each, one alone 70. Without a lock.
// Owner. 0, or -ENOTSUP where the back end does not tell.
int mem_slabs_query(
	const struct mem_domain *d, void *const *block, unsigned n, struct mem_slab *out);

// Moves a block that was asked for with `size` (and no alignment): makes a copy, copies `size`
// bytes, frees the old one, all past the thread cache. The counters say the same before and after.
// NULL: it stays, as there is no memory, or the copy would lie in the same slab (that is not asked
// where `slab` is NULL). Owner.
void *mem_try_move(
	struct mem_domain *d, enum mem_class c, void *p, size_t size, const struct mem_slab *slab);

// Hugepage mode: moving what lies high to where pages are in use already.
//
//	mark = mem_watermark(d);
//	for (top = UINTPTR_MAX; top > mark; top = from) {
//		from = mem_window(d, mark, top);
//		mem_moves_begin(d);
//		for each block in [from, top): mem_try_lower(d, c, block, align, size, from);
//		while (mem_moves_end(d, false, 100) == 0)
//			;
//	}
//	for each block above mark: mem_try_lower(d, c, block, align, size, mem_page_of(block));
//	while (mem_moves_end(d, true, 100) == 0)
//		;
//
// What lies at this address or above would find room below it, if the holes there were long enough
// for all of it; what stays is gathered by the last loop. 0: there is nothing to be gained.
uintptr_t mem_watermark(const struct mem_domain *d);
// Where a window begins that ends at `top`, at `mark` at the lowest: in it lies a 64th of what is
// used, or one 2 MiB page.
uintptr_t mem_window(const struct mem_domain *d, uintptr_t mark, uintptr_t top);
// The 2 MiB page in which a block begins.
uintptr_t mem_page_of(const void *block);
// Also every some moves: has free extents lie with the page source, as the arena takes those in its
// own hands first, wherever they are. Microseconds.
void mem_moves_begin(struct mem_domain *d);
// As mem_try_move, to an address below `below`, for any alignment (0: none was asked). The old
// block, and a copy that came to lie too high, are kept, so that no high slab gets room while the
// window is emptied: counted as MEM_OTHER, at most an eighth of what is used.
void *mem_try_lower(struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size,
	uintptr_t below);
// Frees about `units` of the old blocks, and, at the very end (`all`), of the copies; returns what
// is left of `units`. Some left: all are free.
unsigned mem_moves_end(struct mem_domain *d, bool all, unsigned units);
// Gives what the thread cache holds back to its slabs, before blocks are moved: microseconds.
// Owner.
void mem_cache_flush(struct mem_domain *d);

// ---- figures ----------------------------------------------------------------------------------
// Control core. All figures of the back end are those of the last mem_process_read; those of the
// page source are current. 0 where the back end cannot tell.
struct mem_process {
	uint64_t allocated_bytes, active_bytes, resident_bytes, retained_bytes, mapped_bytes;
	uint64_t muzzy_bytes;      // free pages that the kernel may take (MADV_FREE)
	uint64_t metadata_bytes;   // the back end's own
	uint64_t small_frag_bytes; // free room in slabs of small classes
	uint64_t rss_bytes;        // /proc/self/stat: without hugepages
	uint64_t hugetlb_bytes;    // /proc/self/status: all hugepages of the process
};
void mem_process_read(struct mem_process *out);
// The last two alone, which cost two short reads. 0 or -errno.
int mem_resident_read(uint64_t *rss_bytes, uint64_t *hugetlb_bytes);
// 1 + small_frag / allocated.
double mem_frag_ratio(uint64_t small_frag_bytes, uint64_t allocated_bytes);
// Pages that the process alone holds and has written, hugepages included. Walks the page tables:
// milliseconds a GiB, on request only. 0 or -errno.
int mem_private_dirty_read(uint64_t *bytes);

struct mem_domain_stats {
	// The arena (0 without jemalloc).
	uint64_t allocated_bytes, active_bytes, dirty_bytes, muzzy_bytes, retained_bytes;
	uint64_t resident_bytes, mapped_bytes, small_frag_bytes;
	// The domain's counters.
	uint64_t used_bytes, slack_bytes;
	// The page source (0 under MEM_SOURCE_SYSTEM).
	uint64_t region_bytes;    // address space, or the region's size
	uint64_t taken_bytes;     // of it, handed to the arena so far
	uint64_t committed_bytes; // in use by the arena: active and dirty
	uint64_t held_bytes;      // really held from the system
	uint64_t huge_bytes;      // of those, hugepages (not in the resident set)
	uint64_t ready_bytes;     // held, free and clean
	uint64_t stale_bytes;     // held, free, not yet cleared
	uint64_t scatter_bytes;   // held and free, in pages of 2 MiB of which a part is in use
	uint64_t returned_bytes;  // given back since open
	uint64_t late_commits;    // requests that waited for a page to be mapped or cleared
	uint64_t late_bytes;
	uint64_t failed_commits; // the system had no page
};
void mem_domain_stats_read(const struct mem_domain *d, struct mem_domain_stats *out);
// Bytes of the domain in hugepages: of the above the one that costs nothing. Any thread.
uint64_t mem_domain_huge_bytes(const struct mem_domain *d);
// Nanoseconds that each call of the page source took on a request's path. Any thread; approximate
// while the owner runs.
void mem_hook_times_read(const struct mem_domain *d, struct base_hist *out);
// The same of the slices of upkeep that had something to do.
enum mem_work {
	MEM_WORK_PURGE,  // extents moved from jemalloc to the page source
	MEM_WORK_RETURN, // pages given back to the system
	MEM_WORK_READY,  // pages cleared, touched, or taken over from the control core
	MEM_WORKS,
};
void mem_work_times_read(const struct mem_domain *d, enum mem_work work, struct base_hist *out);

#define MEM_BINS 36 // small size classes of jemalloc 5.3: 8 to 14,336 bytes

struct mem_bin {
	uint32_t region_bytes;  // of one block
	uint32_t slab_bytes;    // of one slab
	uint32_t slab_regions;  // blocks in a slab
	uint64_t regions;       // blocks in use (or in a thread cache)
	uint64_t slabs;         // slabs held
	uint64_t nonfull_slabs; // of those, with room (the one being filled aside)
	uint64_t frag_bytes;    // slabs * slab_regions * region_bytes - regions * region_bytes
};
// The bins of a domain's arena, or of all (NULL). The number of bins, 0 without jemalloc.
unsigned mem_bins_read(const struct mem_domain *d, struct mem_bin out[MEM_BINS]);
// Which slabs of a bin are worth emptying: those with room of whose blocks at most so many 256ths
// are in use, the mean of the partly filled ones and an eighth. 0: none. Pure.
uint8_t mem_bin_sparse(const struct mem_bin *b);
// Whether a block's slab is one, by mem_bin_sparse of each bin.
static inline bool mem_slab_is_sparse(const struct mem_slab *slab, const uint8_t sparse[MEM_BINS])
{
	uint32_t region;
	unsigned lg;

	if (slab->free == 0 || slab->blocks <= 1)
		return false;
	region = (uint32_t)slab->bytes / (uint32_t)slab->blocks - 1;
	lg = 31 - (unsigned)__builtin_clz(region | 7);
	region = lg < 6 ? (region + 1) / 16 : 4 * lg - 19 + (region >> (lg - 2) & 3);
	return region < MEM_BINS &&
		(slab->blocks - slab->free) * 256 <= sparse[region] * slab->blocks;
}
// The back end's own report, as text, cut at len - 1 bytes. The length, without the end.
size_t mem_stats_text(char *buf, size_t len);

// ---- switches ----------------------------------------------------------------------------------
// Returns free pages of every arena without a page source to the system. Control core, on request.
// Workers' arenas: mem_purge_start.
void mem_purge(void);
// Returns the free pages whose decay time has come, of every arena without a page source, so that
// none of their threads has to. Control core, about every second.
void mem_decay_step(void);
// jemalloc-dirty-decay-ms and jemalloc-muzzy-decay-ms of every arena without a page source, those
// made later too. -1: never; 0: at once. 0, -EINVAL, or -ENOTSUP.
int mem_decay_set(int64_t dirty_ms, int64_t muzzy_ms);
// disable-thp: no transparent hugepages for this process. 0 or -errno.
int mem_thp_disable(void);

// ---- the machine ------------------------------------------------------------------------------
#define MEM_NODES 8

enum mem_thp { MEM_THP_UNKNOWN, MEM_THP_NEVER, MEM_THP_MADVISE, MEM_THP_ALWAYS };

struct mem_machine {
	uint64_t total_bytes, available_bytes;
	uint64_t cgroup_limit_bytes; // the smallest of the groups above; UINT64_MAX: none
	uint64_t cgroup_used_bytes;  // by that group
	unsigned nodes;              // 1 to MEM_NODES
	uint64_t huge_total[MEM_NODES], huge_free[MEM_NODES]; // 2 MiB pages
	enum mem_thp thp;
};
// Control core. `root` is "" but in tests: the directory that proc and sys lie in. 0 or -errno.
int mem_machine_read(struct mem_machine *out, const char *root);
// Writes the command that makes `pages` more hugepages on the node (-1: any).
void mem_huge_advice(
	const struct mem_machine *m, int numa_node, uint64_t pages, char *buf, size_t len);

// What a configuration asks for. Pure.
struct mem_budget {
	uint64_t maxmemory_bytes;
	uint64_t mbuf_bytes;      // packet buffers
	bool mbuf_huge;           // they lie in hugepages
	uint64_t index_bytes;     // what the index may take beyond maxmemory while it grows
	uint64_t region_bytes;    // hugepage regions of all workers; 0: kernel pages
	uint64_t held_huge_bytes; // of the hugepages asked for, those this process holds already
	uint64_t held_bytes;      // the same for other memory
};

enum mem_verdict { MEM_FITS, MEM_TIGHT, MEM_TOO_MUCH };

// Compares with the machine and its cgroup. TIGHT and TOO_MUCH: msg gets one line with the sum and
// what there is.
enum mem_verdict mem_budget_check(
	const struct mem_machine *m, const struct mem_budget *b, char *msg, size_t len);
// "2gb", "512m" (base_bytes_parse), or "40%" of whole. 0, -EINVAL or -ERANGE.
int mem_bytes_parse(const char *s, uint64_t whole, uint64_t *bytes);
