// SPDX-License-Identifier: BSD-3-Clause
// The inside of a memory domain, and what a back end provides.
//
//	+-------------------------------------------------------------+
//	| used[ITEMS] [INDEX] [CONNS] [INPUT] [OUTPUT] [OTHER]        |  line 0: the owner writes,
//	+-------------------------------------------------------------+  any thread reads
//	| alloc_flags free_flags | fail fail_arg | arena tcache | ... |  lines 1-2: written by
//	+-------------------------------------------------------------+  open, bind, unbind
#pragma once

#include <pthread.h>
#include <stdalign.h>

#include "base/base.h"
#include "mem/mem.h"

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
	pthread_t owner; // while bound
	char name[32];
};

static_assert(sizeof(uint64_t[MEM_CLASSES]) <= BASE_CACHE_LINE, "counters fill one line");
static_assert(offsetof(struct mem_domain, alloc_flags) == BASE_CACHE_LINE, "flags in the next");

// Set-up, one implementation a back end (mem_jemalloc.c, mem_tcmalloc.c, mem_libc.c). The blocks
// that hold domains are not counted and lie in no domain's arena.
struct mem_domain *mem_backend_domain_new(void);
void mem_backend_domain_free(struct mem_domain *d);
int mem_backend_open(struct mem_domain *d);
void mem_backend_close(struct mem_domain *d);
int mem_backend_bind(struct mem_domain *d);
void mem_backend_unbind(struct mem_domain *d); // by the owner thread, or after its end
void mem_backend_process_read(struct mem_process *out);
