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

struct mem_options {
	const char *name; // for messages; copied
	int numa_node;    // preferred node, or -1
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
void mem_free_aligned(struct mem_domain *d, enum mem_class c, void *p, size_t align, size_t size);
// Grows or shrinks; `size` is the old requested or usable size. NULL leaves the block as it was.
void *mem_try_realloc(struct mem_domain *d, enum mem_class c, void *p, size_t size, size_t new_size,
	size_t *usable);

// For infrastructure at set-up: logs name, class and size, and stops the process on failure.
void *mem_alloc(struct mem_domain *d, enum mem_class c, size_t size);

// Returns a block. `size`: the size asked for, or any from there up to its usable size.
void mem_free(struct mem_domain *d, enum mem_class c, void *p, size_t size);
// The usable size that a request of `size` gets, without allocating; 0 when it is never granted.
size_t mem_usable(const struct mem_domain *d, size_t size);

// Bytes in use, by class and in total. Any thread.
uint64_t mem_used_class(const struct mem_domain *d, enum mem_class c);
uint64_t mem_used(const struct mem_domain *d);

// Test seam: `fail(arg)` is asked before each allocation and fails it by returning true.
void mem_fault_set(struct mem_domain *d, bool (*fail)(void *arg), void *arg);

// Process-wide figures from the back end; 0 where it cannot tell. Control core alone.
struct mem_process {
	uint64_t allocated_bytes, active_bytes, resident_bytes, retained_bytes, mapped_bytes;
	uint64_t rss_bytes; // /proc/self/stat
};
void mem_process_read(struct mem_process *out);
// Returns free pages of every arena to the system. Control core, on request.
void mem_purge(void);
// Has threads of the back end's own return free pages, so that no owner does it while it serves
// (jemalloc-bg-thread). They inherit the caller's CPU affinity: to be called by the control core.
// 0, or -ENOTSUP where the back end has none.
int mem_background_set(bool on);
