// SPDX-License-Identifier: BSD-3-Clause
// jemalloc's extent hooks over a page source.
//
// The arena keeps its free extents (dirty decay -1) and hands them over only when its owner has it
// decay at once for a moment: that calls `decommit`, which changes bits and asks the system for
// nothing. (`arena.<i>.purge` does the same under the lock that holds while statistics are
// refreshed: the owner would wait for another thread.) Without `dalloc` jemalloc keeps the
// addresses; it commits what it takes of them again. So what is committed is what the arena has in
// use or free in its own hands, and their difference is known at any time.
#include <errno.h>
#include <stdio.h>

#include "mem/mem_jemalloc.h"

#define GROW_LIMIT_MIN SOURCE_CHUNK
#define GROW_LIMIT_MAX ((size_t)64 << 20)
#define GROW_PART      64 // of the range: so much may be left unused at its end

static struct mem_source *source_of(extent_hooks_t *hooks)
{
	return base_container_of(hooks, struct arena_hooks, hooks)->source;
}

static void *hook_alloc(extent_hooks_t *hooks, void *want, size_t bytes, size_t align, bool *zero,
	bool *commit, unsigned int arena)
{
	struct mem_source *s = source_of(hooks);
	uint64_t began_ns = source_begin(s);
	void *p = mem_source_take(s, want, bytes, align);

	if (p != NULL && *commit && mem_source_commit(s, p, bytes) < 0)
		p = NULL; // its addresses are lost: the system is out of memory
	*zero = true;     // committed pages are
	source_end(s, &s->call_ns, began_ns);
	return p;
}

static bool hook_commit(extent_hooks_t *hooks, void *addr, size_t bytes, size_t offset,
	size_t length, unsigned int arena)
{
	struct mem_source *s = source_of(hooks);
	uint64_t began_ns = source_begin(s);
	bool failed = mem_source_commit(s, (char *)addr + offset, length) < 0;

	source_end(s, &s->call_ns, began_ns);
	return failed;
}

static bool hook_decommit(extent_hooks_t *hooks, void *addr, size_t bytes, size_t offset,
	size_t length, unsigned int arena)
{
	struct mem_source *s = source_of(hooks);
	uint64_t began_ns = source_begin(s);

	mem_source_decommit(s, (char *)addr + offset, length);
	source_end(s, &s->call_ns, began_ns);
	return false;
}

static bool hook_split(extent_hooks_t *hooks, void *addr, size_t bytes, size_t a, size_t b,
	bool committed, unsigned int arena)
{
	return false;
}

static bool hook_merge(extent_hooks_t *hooks, void *a, size_t a_bytes, void *b, size_t b_bytes,
	bool committed, unsigned int arena)
{
	return false;
}

bool jemalloc_arena_over_source(unsigned int arena)
{
	extent_hooks_t *hooks = NULL;
	size_t len = sizeof(hooks);

	return jemalloc_arena_ctl("arena", arena, "extent_hooks", (void *)&hooks, &len, NULL, 0) ==
		0 &&
		hooks->alloc == hook_alloc;
}

// A refill takes so many addresses at most, and they grow up to it: the end of a small region
// must not be lost to one step.
static size_t grow_limit(const struct mem_source *s)
{
	size_t limit = s->bytes / GROW_PART;

	if (limit < GROW_LIMIT_MIN)
		return GROW_LIMIT_MIN;
	return limit > GROW_LIMIT_MAX ? GROW_LIMIT_MAX : limit;
}

static int arena_create(struct mem_domain *d)
{
	// As jemalloc declares it inside; no public header has it.
	struct {
		extent_hooks_t *hooks;
		bool metadata_use_hooks;
	} config = {
		.hooks = &d->hooks->hooks,
		.metadata_use_hooks = false, // else 2 MiB of the region go to metadata
	};
	size_t len = sizeof(d->arena);

	return -mallctl(
		"experimental.arenas_create_ext", &d->arena, &len, (void *)&config, sizeof(config));
}

// jemalloc's own threads purge these arenas never, but each extent that is freed here would wake
// one: a system call of the owner, and where they share a CPU two switches.
static int threads_stop(void)
{
	bool on = false;

	return -mallctl("background_thread", NULL, NULL, &on, sizeof(on));
}

static int arena_settle(struct mem_domain *d)
{
	size_t len = sizeof(d->active_pages), limit = grow_limit(d->source), depth = 3;
	ssize_t never = -1, at_once = 0;
	char name[64];
	int rc = threads_stop();

	if (rc < 0)
		return rc;
	rc = jemalloc_arena_ctl(
		"arena", d->arena, "dirty_decay_ms", NULL, NULL, &never, sizeof(never));
	if (rc == 0)
		rc = jemalloc_arena_ctl(
			"arena", d->arena, "muzzy_decay_ms", NULL, NULL, &at_once, sizeof(at_once));
	if (rc == 0)
		rc = jemalloc_arena_ctl(
			"arena", d->arena, "retain_grow_limit", NULL, NULL, &limit, sizeof(limit));
	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", d->arena);
	rc = -mallctlnametomib(name, d->decay_mib, &depth);
	if (rc < 0)
		return rc;
	jemalloc_epoch(); // an arena is known to the next name only after that
	return jemalloc_arena_ctl("experimental.arenas", d->arena, "pactivep",
		(void *)&d->active_pages, &len, NULL, 0);
}

int jemalloc_arena_over(struct mem_domain *d)
{
	int rc;

	d->hooks->source = d->source;
	d->hooks->hooks = (extent_hooks_t){.alloc = hook_alloc,
		.commit = hook_commit,
		.decommit = hook_decommit,
		.split = hook_split,
		.merge = hook_merge};
	rc = arena_create(d);
	if (rc < 0)
		return rc;
	rc = arena_settle(d);
	if (rc < 0)
		jemalloc_arena_ctl("arena", d->arena, "destroy", NULL, NULL, NULL, 0);
	return rc;
}

uint64_t mem_backend_dirty(const struct mem_domain *d)
{
	uint64_t committed = source_load(&d->source->used_pages);
	uint64_t active = __atomic_load_n(d->active_pages, __ATOMIC_RELAXED);

	return (committed - base_min_u64(committed, active)) * SOURCE_PAGE;
}

void mem_backend_purge(struct mem_domain *d)
{
	ssize_t at_once = 0, never = -1;

	mallctlbymib(d->decay_mib, 3, NULL, NULL, &at_once, sizeof(at_once));
	mallctlbymib(d->decay_mib, 3, NULL, NULL, &never, sizeof(never));
}
