// SPDX-License-Identifier: BSD-3-Clause
// jemalloc: an arena and an explicit tcache a domain.
//
// bind makes the arena the thread's own, and its automatic tcache the domain's. Both ends of the
// binding flush that cache, so that neither side is handed the other's memory.
#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <stdio.h>

#include "mem/mem_internal.h"

// Every mallctl name that lcached relies on.
static const char *const names[] = {
	"arena.0.decay",
	"arena.0.destroy",
	"arena.0.purge",
	"arena.0.retain_grow_limit",
	"arenas.bin.0.size",
	"arenas.create",
	"arenas.nbins",
	"arenas.quantum",
	"background_thread",
	"epoch",
	"experimental.arenas_create_ext",
	"experimental.utilization.batch_query",
	"stats.active",
	"stats.allocated",
	"stats.arenas.0.large.allocated",
	"stats.arenas.0.resident",
	"stats.arenas.0.small.allocated",
	"stats.mapped",
	"stats.resident",
	"stats.retained",
	"tcache.create",
	"tcache.destroy",
	"tcache.flush",
	"thread.arena",
	"thread.tcache.flush",
};

const char *mem_backend_name(void)
{
	return "jemalloc-" JEMALLOC_VERSION;
}

int mem_backend_probe(void)
{
	size_t mib[8], depth;
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
	return rc;
}

// A control of one arena: "PREFIX.<arena>.SUFFIX". 0 or -errno.
static int arena_ctl(
	const char *prefix, unsigned int arena, const char *suffix, void *old, size_t *old_len)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%u.%s", prefix, arena, suffix);
	return -mallctl(name, old, old_len, NULL, 0);
}

struct mem_domain *mem_backend_domain_new(void)
{
	return mallocx(sizeof(struct mem_domain),
		MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(BASE_CACHE_LINE));
}

void mem_backend_domain_free(struct mem_domain *d)
{
	sdallocx(d, sizeof(*d), MALLOCX_TCACHE_NONE | MALLOCX_ALIGN(BASE_CACHE_LINE));
}

static void flags_unbound(struct mem_domain *d)
{
	d->free_flags = (int)MALLOCX_TCACHE(d->tcache);
	d->alloc_flags = (int)MALLOCX_ARENA(d->arena) | d->free_flags;
}

int mem_backend_open(struct mem_domain *d)
{
	size_t len = sizeof(d->arena);
	int rc = mallctl("arenas.create", &d->arena, &len, NULL, 0);

	if (rc != 0)
		return -rc;
	len = sizeof(d->tcache);
	rc = mallctl("tcache.create", &d->tcache, &len, NULL, 0);
	if (rc != 0) {
		arena_ctl("arena", d->arena, "destroy", NULL, NULL);
		return -rc;
	}
	flags_unbound(d);
	return 0;
}

int mem_backend_bind(struct mem_domain *d)
{
	size_t len = sizeof(d->arena_before);
	int rc;

	mallctl("tcache.flush", NULL, NULL, &d->tcache, sizeof(d->tcache));
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	rc = mallctl("thread.arena", &d->arena_before, &len, &d->arena, sizeof(d->arena));
	if (rc != 0)
		return -rc;
	d->alloc_flags = 0;
	d->free_flags = 0;
	return 0;
}

// A thread that has ended took its cache and its binding with it: only the flags are left.
void mem_backend_unbind(struct mem_domain *d)
{
	if (pthread_equal(d->owner, pthread_self())) {
		mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
		mallctl("thread.arena", NULL, NULL, &d->arena_before, sizeof(d->arena_before));
	}
	flags_unbound(d);
}

static uint64_t arena_allocated(unsigned int arena)
{
	uint64_t epoch = 1;
	size_t small = 0, large = 0, len = sizeof(size_t);

	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	if (arena_ctl("stats.arenas", arena, "small.allocated", &small, &len) != 0 ||
		arena_ctl("stats.arenas", arena, "large.allocated", &large, &len) != 0)
		return UINT64_MAX;
	return small + large;
}

// Destroying an arena drops every block in it. What the C library allocated on the owner's thread
// lies there too, so it goes only when nothing is left in it but what the domain counts.
void mem_backend_close(struct mem_domain *d)
{
	uint64_t allocated, ours = mem_used(d);

	mallctl("tcache.destroy", NULL, NULL, &d->tcache, sizeof(d->tcache));
	allocated = arena_allocated(d->arena);
	if (allocated == ours && arena_ctl("arena", d->arena, "destroy", NULL, NULL) == 0)
		return;
	base_debug("%s: arena %u stays: %llu bytes in it are not the domain's", d->name, d->arena,
		(unsigned long long)(allocated - ours));
	arena_ctl("arena", d->arena, "purge", NULL, NULL);
}

static uint64_t stat_read(const char *name)
{
	size_t value = 0, len = sizeof(value);

	return mallctl(name, &value, &len, NULL, 0) == 0 ? value : 0;
}

void mem_backend_process_read(struct mem_process *out)
{
	uint64_t epoch = 1;

	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	out->allocated_bytes = stat_read("stats.allocated");
	out->active_bytes = stat_read("stats.active");
	out->resident_bytes = stat_read("stats.resident");
	out->retained_bytes = stat_read("stats.retained");
	out->mapped_bytes = stat_read("stats.mapped");
}

void mem_purge(void)
{
	arena_ctl("arena", MALLCTL_ARENAS_ALL, "purge", NULL, NULL);
}

int mem_background_set(bool on)
{
	return -mallctl("background_thread", NULL, NULL, &on, sizeof(on));
}
