// SPDX-License-Identifier: BSD-3-Clause
// What jemalloc tells of itself: the process, one arena, its bins, its report. All figures are
// those of the last epoch.
#include <jemalloc/jemalloc.h>
#include <stdio.h>

#include "mem/mem_jemalloc.h"

static uint64_t stat_read(const char *name)
{
	size_t value = 0, len = sizeof(value);

	return mallctl(name, &value, &len, NULL, 0) == 0 ? value : 0;
}

static uint64_t arena_stat(unsigned int arena, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "stats.arenas.%u.%s", arena, what);
	return stat_read(name);
}

// ---- bins --------------------------------------------------------------------------------------
// Names are resolved once: by name each of the 216 figures takes jemalloc half a microsecond, of a
// control core that may share its CPU with a worker.
struct name {
	size_t mib[8], depth;
};

static struct name name_find(const char *name)
{
	struct name n = {.depth = BASE_ARRAY_LEN(n.mib)};

	if (mallctlnametomib(name, n.mib, &n.depth) != 0)
		n.depth = 0;
	return n;
}

// `at`: the place of the bin in the name.
static uint64_t bin_size(struct name *n, unsigned int at, unsigned int bin)
{
	size_t value = 0, len = sizeof(value);

	n->mib[at] = bin;
	return n->depth > 0 && mallctlbymib(n->mib, n->depth, &value, &len, NULL, 0) == 0 ? value
											  : 0;
}

static uint32_t bin_regions(struct name *n, unsigned int at, unsigned int bin)
{
	uint32_t value = 0;
	size_t len = sizeof(value);

	n->mib[at] = bin;
	return n->depth > 0 && mallctlbymib(n->mib, n->depth, &value, &len, NULL, 0) == 0 ? value
											  : 0;
}

#define BIN_CONSTANT 2 // arenas.bin.0.x
#define BIN_FIGURE   4 // stats.arenas.0.bins.0.x
#define ARENA_FIGURE 2

struct bin_names {
	struct name region, slab, regions;          // of the class
	struct name used_regions, slabs, with_room; // of the arena
};

static void bin_names_find(struct bin_names *n, unsigned int arena)
{
	*n = (struct bin_names){
		.region = name_find("arenas.bin.0.size"),
		.slab = name_find("arenas.bin.0.slab_size"),
		.regions = name_find("arenas.bin.0.nregs"),
		.used_regions = name_find("stats.arenas.0.bins.0.curregs"),
		.slabs = name_find("stats.arenas.0.bins.0.curslabs"),
		.with_room = name_find("stats.arenas.0.bins.0.nonfull_slabs"),
	};
	n->used_regions.mib[ARENA_FIGURE] = arena;
	n->slabs.mib[ARENA_FIGURE] = arena;
	n->with_room.mib[ARENA_FIGURE] = arena;
}

static void bin_read(struct bin_names *n, unsigned int i, struct mem_bin *b)
{
	uint64_t room;

	b->region_bytes = (uint32_t)bin_size(&n->region, BIN_CONSTANT, i);
	b->slab_bytes = (uint32_t)bin_size(&n->slab, BIN_CONSTANT, i);
	b->slab_regions = bin_regions(&n->regions, BIN_CONSTANT, i);
	b->regions = bin_size(&n->used_regions, BIN_FIGURE, i);
	b->slabs = bin_size(&n->slabs, BIN_FIGURE, i);
	b->nonfull_slabs = bin_size(&n->with_room, BIN_FIGURE, i);
	room = b->slabs * b->slab_regions;
	b->frag_bytes = (room - base_min_u64(room, b->regions)) * b->region_bytes;
}

static unsigned int bins_count(void)
{
	unsigned int n = 0;
	size_t len = sizeof(n);

	mallctl("arenas.nbins", &n, &len, NULL, 0);
	return n < MEM_BINS ? n : MEM_BINS;
}

unsigned int mem_bins_read(const struct mem_domain *d, struct mem_bin out[MEM_BINS])
{
	unsigned int n = bins_count();
	struct bin_names names;

	bin_names_find(&names, d != NULL ? d->arena : MALLCTL_ARENAS_ALL);
	for (unsigned int i = 0; i < n; i++)
		bin_read(&names, i, &out[i]);
	return n;
}

static uint64_t small_frag(const struct mem_domain *d)
{
	struct mem_bin bin[MEM_BINS];
	unsigned int n = mem_bins_read(d, bin);
	uint64_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += bin[i].frag_bytes;
	return sum;
}

// ---- the process, a domain ---------------------------------------------------------------------
void mem_backend_process_read(struct mem_process *out)
{
	size_t page = 0, len = sizeof(page);

	jemalloc_epoch();
	mallctl("arenas.page", &page, &len, NULL, 0);
	out->allocated_bytes = stat_read("stats.allocated");
	out->active_bytes = stat_read("stats.active");
	out->resident_bytes = stat_read("stats.resident");
	out->retained_bytes = stat_read("stats.retained");
	out->mapped_bytes = stat_read("stats.mapped");
	out->metadata_bytes = stat_read("stats.metadata");
	out->muzzy_bytes = arena_stat(MALLCTL_ARENAS_ALL, "pmuzzy") * page;
	out->small_frag_bytes = small_frag(NULL);
}

void mem_backend_domain_stats(const struct mem_domain *d, struct mem_domain_stats *out)
{
	size_t page = 0, len = sizeof(page);

	mallctl("arenas.page", &page, &len, NULL, 0);
	out->allocated_bytes =
		arena_stat(d->arena, "small.allocated") + arena_stat(d->arena, "large.allocated");
	out->active_bytes = arena_stat(d->arena, "pactive") * page;
	out->dirty_bytes = arena_stat(d->arena, "pdirty") * page;
	out->muzzy_bytes = arena_stat(d->arena, "pmuzzy") * page;
	out->retained_bytes = arena_stat(d->arena, "retained");
	out->resident_bytes = arena_stat(d->arena, "resident");
	out->mapped_bytes = arena_stat(d->arena, "mapped");
	out->small_frag_bytes = small_frag(d);
}

// ---- the report --------------------------------------------------------------------------------
struct text {
	char *buf;
	size_t at, len;
};

static void text_add(void *arg, const char *s)
{
	struct text *t = arg;
	size_t n = strlen(s), room = t->len - 1 - t->at;

	if (n > room)
		n = room;
	memcpy(t->buf + t->at, s, n);
	t->at += n;
}

size_t mem_stats_text(char *buf, size_t len)
{
	struct text t = {.buf = buf, .len = len};

	base_assert(len > 0);
	malloc_stats_print(text_add, &t, "xh"); // without mutexes and the huge page allocator
	buf[t.at] = '\0';
	return t.at;
}
