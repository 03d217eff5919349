// SPDX-License-Identifier: BSD-3-Clause
// What the files of the jemalloc back end share.
#pragma once

#include <jemalloc/jemalloc.h>

#include "mem/mem_internal.h"
#include "mem/mem_source.h"

// An arena's way to its page source. Lives as long as the arena.
struct arena_hooks {
	extent_hooks_t hooks;
	struct mem_source *source;
};

// Makes d->arena over d->source, with d->hooks. 0 or -errno.
int jemalloc_arena_over(struct mem_domain *d);
// Whether an arena stands on a page source.
bool jemalloc_arena_over_source(unsigned int arena);
// A control of one arena: "PREFIX.<arena>.SUFFIX", read, written or called. 0 or -errno.
int jemalloc_arena_ctl(const char *prefix, unsigned int arena, const char *suffix, void *old,
	size_t *old_len, void *value, size_t len);
void jemalloc_epoch(void);
