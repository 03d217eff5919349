// SPDX-License-Identifier: BSD-3-Clause
// What jemalloc tells of itself: the process, one arena, its bins, its report. All figures are those
// of the last epoch.
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
static uint32_t bin_constant(unsigned int bin, const char *what)
{
	char name[64];
	size_t len;
	union {
		uint32_t u32;
		size_t size;
	} value = {.size = 0};

	snprintf(name, sizeof(name), "arenas.bin.%u.%s", bin, what);
	len = strcmp(what, "nregs") == 0 ? sizeof(value.u32) : sizeof(value.size);
	if (mallctl(name, &value, &len, NULL, 0) != 0)
		return 0;
	return len == sizeof(value.u32) ? value.u32 : (uint32_t)value.size;
}

static uint64_t bin_stat(unsigned int arena, unsigned int bin, const char *what)
{
	char suffix[32];

	snprintf(suffix, sizeof(suffix), "bins.%u.%s", bin, what);
	return arena_stat(arena, suffix);
}

static void bin_read(unsigned int arena, unsigned int i, struct mem_bin *b)
{
	uint64_t room;

	b->region_bytes = bin_constant(i, "size");
	b->slab_bytes = bin_constant(i, "slab_size");
	b->slab_regions = bin_constant(i, "nregs");
	b->regions = bin_stat(arena, i, "curregs");
	b->slabs = bin_stat(arena, i, "curslabs");
	b->nonfull_slabs = bin_stat(arena, i, "nonfull_slabs");
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

	for (unsigned int i = 0; i < n; i++)
		bin_read(d != NULL ? d->arena : MALLCTL_ARENAS_ALL, i, &out[i]);
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
