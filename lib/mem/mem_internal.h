// SPDX-License-Identifier: BSD-3-Clause
// The inside of a memory domain, and what a back end provides.
//
//	+-------------------------------------------------------------+
//	| used[ITEMS] [INDEX] [CONNS] [INPUT] [OUTPUT] [OTHER]        |  line 0: the owner writes,
//	+-------------------------------------------------------------+  any thread reads
//	| alloc_flags free_flags | fail fail_arg | arena tcache | ... |  lines 1-4: written by
//	+-------------------------------------------------------------+  open, bind, unbind
//	| slack[one a size class]                                     |  the owner writes, any
//	+-------------------------------------------------------------+  thread reads
#pragma once

#include <pthread.h>
#include <stdalign.h>

#include "base/base.h"
#include "mem/mem.h"

enum mem_purge { MEM_PURGE_NONE, MEM_PURGE_ASKED, MEM_PURGE_ALL }; // ALL: the cache is flushed

struct mem_domain {
	alignas(BASE_CACHE_LINE) uint64_t used[MEM_CLASSES]; // bytes; relaxed atomics, one writer

	alignas(BASE_CACHE_LINE) int alloc_flags; // jemalloc: 0 while bound, else arena and tcache
	int free_flags;                           // jemalloc: 0 while bound, else tcache
	bool (*fail)(void *arg);
	void *fail_arg;

	unsigned int arena, tcache; // jemalloc
	unsigned int arena_before;  // jemalloc: the owner thread's arena before bind
	int numa_node;
	bool bound;
	uint32_t purge_all;   // atomic, enum mem_purge: asked for by anybody, the rest by the owner
	bool purge_soon;      // set and cleared by the owner: the next slice moves what there is
	uint64_t purge_bytes; // free extents of so much are moved; follows the time that takes
	int64_t dirty_decay_ms;           // atomic: set by anybody
	struct mem_source *source;        // NULL under MEM_SOURCE_SYSTEM
	struct arena_hooks *hooks;        // jemalloc: over the source
	const size_t *active_pages;       // jemalloc's counter of the arena, or NULL
	size_t decay_mib[3];              // jemalloc: arena.<arena>.dirty_decay_ms
	size_t slabs_mib[3];              // jemalloc: experimental.utilization.batch_query
	struct mem_kept *moved, *refused; // of mem_try_lower: old blocks, copies of no use
	uint64_t kept_bytes;              // of both
	// jemalloc's counters of the owner thread while bound, and what to add for
	// mem_held_by_thread
	const uint64_t *thread_in, *thread_out;
	uint64_t thread_offset;
	void (*oom)(void *arg, const char *name, enum mem_class c, size_t size);
	void *oom_arg;
	pthread_t owner; // while bound
	char name[32];

	// Usable less asked for, modulo 2^64 (mem_slack_class cuts it); relaxed atomics, one
	// writer.
	alignas(BASE_CACHE_LINE) uint64_t slack[MEM_SIZE_CLASSES];
};

static_assert(sizeof(uint64_t[MEM_CLASSES]) <= BASE_CACHE_LINE, "counters fill one line");
static_assert(offsetof(struct mem_domain, alloc_flags) == BASE_CACHE_LINE, "flags in the next");

// After the source is there.
void mem_purge_init(struct mem_domain *d);

// Set-up, one implementation a back end (mem_jemalloc.c, mem_tcmalloc.c, mem_libc.c). The blocks
// that hold domains are not counted and lie in no domain's arena.
struct mem_domain *mem_backend_domain_new(void);
void mem_backend_domain_free(struct mem_domain *d);
// Over d->source where that is set: only where mem_backend_has_arenas.
bool mem_backend_has_arenas(void);
int mem_backend_open(struct mem_domain *d);
// False: the arena stays, and its page source with it, because others have memory there.
bool mem_backend_close(struct mem_domain *d);
int mem_backend_bind(struct mem_domain *d);
void mem_backend_unbind(struct mem_domain *d); // by the owner thread, or after its end
void mem_backend_process_read(struct mem_process *out);
// Free bytes that the arena over a source keeps in its own hands.
uint64_t mem_backend_dirty(const struct mem_domain *d);
// Moves them to the source. Owner.
void mem_backend_purge(struct mem_domain *d);
// What the owner's thread cache holds goes back to its slabs. Owner.
void mem_backend_cache_flush(struct mem_domain *d);
void mem_backend_domain_stats(const struct mem_domain *d, struct mem_domain_stats *out);
