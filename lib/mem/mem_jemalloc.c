// SPDX-License-Identifier: BSD-3-Clause
// jemalloc: an arena and an explicit tcache a domain.
//
// bind makes the arena the thread's own, and its automatic tcache the domain's. Both ends of the
// binding flush that cache, so that neither side is handed the other's memory.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem/mem_jemalloc.h"
#include "mem/mem_jemalloc_conf.h"

// Every mallctl name that lcached relies on.
static const char *const names[] = {
	"arena.0.decay",
	"arena.0.destroy",
	"arena.0.dirty_decay_ms",
	"arena.0.extent_hooks",
	"arena.0.muzzy_decay_ms",
	"arena.0.purge",
	"arena.0.retain_grow_limit",
	"arenas.bin.0.nregs",
	"arenas.bin.0.size",
	"arenas.bin.0.slab_size",
	"arenas.create",
	"arenas.dirty_decay_ms",
	"arenas.muzzy_decay_ms",
	"arenas.narenas",
	"arenas.nbins",
	"arenas.quantum",
	"background_thread",
	"epoch",
	"experimental.arenas.0.pactivep",
	"experimental.arenas_create_ext",
	"experimental.utilization.batch_query",
	"stats.active",
	"stats.allocated",
	"stats.arenas.0.bins.0.curregs",
	"stats.arenas.0.bins.0.curslabs",
	"stats.arenas.0.bins.0.nonfull_slabs",
	"stats.arenas.0.large.allocated",
	"stats.arenas.0.mapped",
	"stats.arenas.0.pactive",
	"stats.arenas.0.pdirty",
	"stats.arenas.0.pmuzzy",
	"stats.arenas.0.resident",
	"stats.arenas.0.retained",
	"stats.arenas.0.small.allocated",
	"stats.mapped",
	"stats.metadata",
	"stats.resident",
	"stats.retained",
	"tcache.create",
	"tcache.destroy",
	"tcache.flush",
	"thread.allocatedp",
	"thread.arena",
	"thread.deallocatedp",
	"thread.tcache.flush",
};

const char *mem_backend_name(void)
{
	return "jemalloc-" JEMALLOC_VERSION;
}

// mem_size_round reckons what jemalloc rounds small sizes to.
static bool classes_are_known(void)
{
	for (size_t class = 16, next; class <= MEM_SMALL_MAX; class = next) {
		next = mem_size_round(class + 1);
		if (nallocx(class, 0) != class || nallocx(class + 1, 0) != next)
			return false;
	}
	return true;
}

int mem_backend_probe(void)
{
	size_t mib[8], depth;
	unsigned int slots = 0;
	bool stats = false;
	size_t len = sizeof(stats);
	int rc = 0;

	for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
		depth = BASE_ARRAY_LEN(mib);
		if (mallctlnametomib(names[i], mib, &depth) == 0)
			continue;
		base_error("jemalloc lacks %s", names[i]);
		rc = -ENOTSUP;
	}
	if (mallctl("config.stats", &stats, &len, NULL, 0) != 0 || !stats) {
		base_error("jemalloc was built without statistics");
		rc = -ENOTSUP;
	}
	len = sizeof(slots);
	if (mallctl("opt.tcache_nslots_small_max", &slots, &len, NULL, 0) == 0 &&
		slots != JEMALLOC_BIN_SLOTS && getenv("MALLOC_CONF") == NULL)
		base_warn("jemalloc did not take \"%s\"", jemalloc_conf());
	if (!classes_are_known()) {
		base_error("jemalloc was built with other size classes");
		rc = -ENOTSUP;
	}
	return rc;
}

int jemalloc_arena_ctl(const char *prefix, unsigned int arena, const char *suffix, void *old,
	size_t *old_len, void *value, size_t len)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%u.%s", prefix, arena, suffix);
	return -mallctl(name, old, old_len, value, len);
}

void jemalloc_epoch(void)
{
	uint64_t epoch = 1;

	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
}

static void arena_do(unsigned int arena, const char *what)
{
	jemalloc_arena_ctl("arena", arena, what, NULL, NULL, NULL, 0);
}

bool mem_backend_has_arenas(void)
{
	return true;
}

// ---- open, bind, unbind ------------------------------------------------------------------------
static void *block_outside(size_t size)
{
	return mallocx(
		size, MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(BASE_CACHE_LINE));
}

static void block_outside_free(void *p, size_t size)
{
	sdallocx(p, size, MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(BASE_CACHE_LINE));
}

struct mem_domain *mem_backend_domain_new(void)
{
	return block_outside(sizeof(struct mem_domain));
}

void mem_backend_domain_free(struct mem_domain *d)
{
	block_outside_free(d, sizeof(*d));
}

static void flags_unbound(struct mem_domain *d)
{
	d->free_flags = (int)MALLOCX_TCACHE(d->tcache);
	d->alloc_flags = (int)MALLOCX_ARENA(d->arena) | d->free_flags;
}

static int arena_open(struct mem_domain *d)
{
	size_t len = sizeof(d->arena);
	int rc;

	if (d->source == NULL)
		return -mallctl("arenas.create", &d->arena, &len, NULL, 0);
	d->hooks = block_outside(sizeof(*d->hooks));
	if (d->hooks == NULL)
		return -ENOMEM;
	rc = jemalloc_arena_over(d);
	if (rc < 0)
		block_outside_free(d->hooks, sizeof(*d->hooks));
	return rc;
}

int mem_backend_open(struct mem_domain *d)
{
	size_t len = sizeof(d->tcache), depth = BASE_ARRAY_LEN(d->slabs_mib);
	int rc = arena_open(d);

	if (rc < 0)
		return rc;
	rc = -mallctl("tcache.create", &d->tcache, &len, NULL, 0);
	if (rc < 0) {
		arena_do(d->arena, "destroy");
		if (d->hooks != NULL)
			block_outside_free(d->hooks, sizeof(*d->hooks));
		return rc;
	}
	mallctlnametomib("experimental.utilization.batch_query", d->slabs_mib, &depth);
	flags_unbound(d);
	return 0;
}

static void thread_counters_find(struct mem_domain *d)
{
	size_t len = sizeof(d->thread_in);

	if (mallctl("thread.allocatedp", (void *)&d->thread_in, &len, NULL, 0) != 0 ||
		mallctl("thread.deallocatedp", (void *)&d->thread_out, &len, NULL, 0) != 0)
		d->thread_in = d->thread_out = NULL;
	mem_thread_mark(d);
}

// The explicit cache and the thread's own: which of them serves changes when the domain is bound.
void mem_backend_cache_flush(struct mem_domain *d)
{
	mallctl("tcache.flush", NULL, NULL, &d->tcache, sizeof(d->tcache));
	if (d->free_flags == 0)
		mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
}

int mem_backend_bind(struct mem_domain *d)
{
	size_t len = sizeof(d->arena_before);
	int rc;

	mem_backend_cache_flush(d);
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	rc = mallctl("thread.arena", &d->arena_before, &len, &d->arena, sizeof(d->arena));
	if (rc != 0)
		return -rc;
	d->alloc_flags = 0;
	d->free_flags = 0;
	thread_counters_find(d);
	return 0;
}

// A thread that has ended took its cache and its binding with it: only the flags are left.
void mem_backend_unbind(struct mem_domain *d)
{
	if (pthread_equal(d->owner, pthread_self())) {
		mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
		mallctl("thread.arena", NULL, NULL, &d->arena_before, sizeof(d->arena_before));
	}
	d->thread_in = d->thread_out = NULL;
	flags_unbound(d);
}

// ---- close -------------------------------------------------------------------------------------
static uint64_t arena_allocated(unsigned int arena)
{
	size_t small = 0, large = 0, len = sizeof(size_t);

	jemalloc_epoch();
	if (jemalloc_arena_ctl("stats.arenas", arena, "small.allocated", &small, &len, NULL, 0) !=
			0 ||
		jemalloc_arena_ctl(
			"stats.arenas", arena, "large.allocated", &large, &len, NULL, 0) != 0)
		return UINT64_MAX;
	return small + large;
}

// Destroying an arena drops every block in it. What the C library allocated on the owner's thread
// lies there too, so it goes only when nothing is left in it but what the domain counts.
bool mem_backend_close(struct mem_domain *d)
{
	uint64_t allocated, ours = mem_used(d);

	mallctl("tcache.destroy", NULL, NULL, &d->tcache, sizeof(d->tcache));
	allocated = arena_allocated(d->arena);
	if (allocated == ours &&
		jemalloc_arena_ctl("arena", d->arena, "destroy", NULL, NULL, NULL, 0) == 0) {
		if (d->hooks != NULL)
			block_outside_free(d->hooks, sizeof(*d->hooks));
		return true;
	}
	base_debug("%s: arena %u stays: %llu bytes in it are not the domain's", d->name, d->arena,
		(unsigned long long)(allocated - ours));
	arena_do(d->arena, "purge");
	return false;
}

// ---- switches ----------------------------------------------------------------------------------
// Calls f for every arena that stands on no page source.
static int arenas_each(int (*f)(unsigned int arena, const void *arg), const void *arg)
{
	unsigned int n = 0;
	size_t len = sizeof(n);
	int rc = 0;

	mallctl("arenas.narenas", &n, &len, NULL, 0);
	for (unsigned int i = 0; i < n; i++) {
		bool made = false;
		int one;

		len = sizeof(made);
		jemalloc_arena_ctl("arena", i, "initialized", &made, &len, NULL, 0);
		if (!made || jemalloc_arena_over_source(i))
			continue;
		one = f(i, arg);
		if (one < 0)
			rc = one;
	}
	return rc;
}

static int arena_purge(unsigned int arena, const void *arg)
{
	arena_do(arena, "purge");
	return 0;
}

void mem_purge(void)
{
	arenas_each(arena_purge, NULL);
}

static int arena_decay(unsigned int arena, const void *arg)
{
	arena_do(arena, "decay");
	return 0;
}

void mem_decay_step(void)
{
	arenas_each(arena_decay, NULL);
}

struct decay {
	ssize_t dirty_ms, muzzy_ms;
};

static int arena_decay_set(unsigned int arena, const void *arg)
{
	struct decay decay = *(const struct decay *)arg;
	int rc = jemalloc_arena_ctl("arena", arena, "dirty_decay_ms", NULL, NULL, &decay.dirty_ms,
		sizeof(decay.dirty_ms));

	if (rc == 0)
		rc = jemalloc_arena_ctl("arena", arena, "muzzy_decay_ms", NULL, NULL,
			&decay.muzzy_ms, sizeof(decay.muzzy_ms));
	return rc;
}

int mem_decay_set(int64_t dirty_ms, int64_t muzzy_ms)
{
	struct decay decay = {dirty_ms, muzzy_ms};

	if (dirty_ms < -1 || muzzy_ms < -1)
		return -EINVAL;
	mallctl("arenas.dirty_decay_ms", NULL, NULL, &decay.dirty_ms, sizeof(decay.dirty_ms));
	mallctl("arenas.muzzy_decay_ms", NULL, NULL, &decay.muzzy_ms, sizeof(decay.muzzy_ms));
	jemalloc_epoch(); // else those made since the last one are passed over
	return arenas_each(arena_decay_set, &decay);
}
