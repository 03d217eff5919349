// SPDX-License-Identifier: BSD-3-Clause
// The owner's upkeep of its domain, in slices, and what readers see of it.
//
//	in use --free--> the arena's --purge--> the source's --return--> the system's
//	                 up to purge_bytes      not needed for dirty_decay_ms
#include "mem/mem_internal.h"
#include "mem/mem_source.h"

// Free extents that an arena may keep in its own hands. jemalloc moves all of them or none, and
// takes half a microsecond an extent, two for one that nothing has touched for long. The smallest
// is a page: 512 KiB of those took a quarter of a millisecond. So the bytes follow the time that
// the last move took. Who frees much at once asks for a move of PURGE_SOON_BYTES.
#define PURGE_BYTES_LEAST ((uint64_t)64 << 10)
#define PURGE_BYTES_FIRST ((uint64_t)256 << 10)
#define PURGE_BYTES_MOST  ((uint64_t)512 << 10)
#define PURGE_SOON_BYTES  ((uint64_t)64 << 10)
#define PURGE_NS          10000 // a move that takes longer is followed by smaller ones
#define PURGE_SHORT       4     // one of a fourth, by larger ones

enum mem_slice mem_domain_upkeep(struct mem_domain *d, uint64_t now_us)
{
	return d->source == NULL ? MEM_SLICE_DONE : mem_source_ready(d->source, now_us);
}

bool mem_domain_help(struct mem_domain *d)
{
	return d->source != NULL && mem_source_help(d->source);
}

static enum mem_purge purge_state(const struct mem_domain *d)
{
	return (enum mem_purge)__atomic_load_n(&d->purge_all, __ATOMIC_RELAXED);
}

static void purge_state_set(struct mem_domain *d, enum mem_purge state)
{
	__atomic_store_n(&d->purge_all, state, __ATOMIC_RELAXED);
}

void mem_purge_init(struct mem_domain *d)
{
	bool timed = d->source != NULL && d->source->now_ns != NULL;

	d->purge_bytes = timed ? PURGE_BYTES_FIRST : PURGE_BYTES_MOST;
}

static void purge_bytes_follow(struct mem_domain *d, uint64_t bytes, uint64_t took_ns)
{
	if (took_ns > PURGE_NS)
		d->purge_bytes = base_max_u64(d->purge_bytes / 2, PURGE_BYTES_LEAST);
	else if (took_ns < PURGE_NS / PURGE_SHORT && bytes >= d->purge_bytes)
		d->purge_bytes = base_min_u64(d->purge_bytes * 2, PURGE_BYTES_MOST);
}

static void dirty_purge(struct mem_domain *d, uint64_t bytes)
{
	struct mem_source *s = d->source;
	uint64_t began_ns = source_begin(s), took_ns;

	d->purge_soon = false;
	mem_backend_purge(d);
	if (s->now_ns == NULL)
		return;
	took_ns = s->now_ns() - began_ns;
	base_hist_add(&s->work_ns[MEM_WORK_PURGE], took_ns);
	purge_bytes_follow(d, bytes, took_ns);
}

enum mem_slice mem_purge_slice(struct mem_domain *d, uint64_t now_us)
{
	int64_t decay_ms = __atomic_load_n(&d->dirty_decay_ms, __ATOMIC_RELAXED);
	bool all = purge_state(d) != MEM_PURGE_NONE;
	uint64_t dirty, decay_us;

	if (base_unlikely(purge_state(d) == MEM_PURGE_ASKED)) {
		mem_backend_cache_flush(d);
		purge_state_set(d, MEM_PURGE_ALL);
		return MEM_SLICE_MORE;
	}
	if (d->source == NULL) {
		if (all)
			purge_state_set(d, MEM_PURGE_NONE);
		return MEM_SLICE_DONE;
	}
	dirty = mem_backend_dirty(d);
	if (dirty > d->purge_bytes || ((all || d->purge_soon) && dirty > 0)) {
		dirty_purge(d, dirty);
		return MEM_SLICE_MORE;
	}
	if (decay_ms < 0 && !all)
		return MEM_SLICE_DONE;
	decay_us = decay_ms > 0 ? (uint64_t)decay_ms * 1000 : 0;
	if (mem_source_return(d->source, now_us, decay_us, all) == MEM_SLICE_MORE)
		return MEM_SLICE_MORE;
	if (all)
		purge_state_set(d, MEM_PURGE_NONE);
	return MEM_SLICE_DONE;
}

void mem_cache_flush(struct mem_domain *d)
{
	mem_backend_cache_flush(d);
}

void mem_moves_begin(struct mem_domain *d)
{
	uint64_t dirty = d->source != NULL ? mem_backend_dirty(d) : 0;

	if (dirty > 0)
		dirty_purge(d, dirty);
}

bool mem_purge_ask(struct mem_domain *d)
{
	if (d->purge_soon || d->source == NULL || mem_backend_dirty(d) < PURGE_SOON_BYTES)
		return false;
	d->purge_soon = true;
	return true;
}

void mem_purge_start(struct mem_domain *d)
{
	purge_state_set(d, MEM_PURGE_ASKED);
}

bool mem_purge_running(const struct mem_domain *d)
{
	return purge_state(d) != MEM_PURGE_NONE;
}

void mem_domain_decay_set(struct mem_domain *d, int64_t dirty_ms)
{
	__atomic_store_n(&d->dirty_decay_ms, dirty_ms, __ATOMIC_RELAXED);
}

void mem_domain_stats_read(const struct mem_domain *d, struct mem_domain_stats *out)
{
	memset(out, 0, sizeof(*out));
	mem_backend_domain_stats(d, out);
	out->used_bytes = mem_used(d);
	out->slack_bytes = mem_slack(d);
	if (d->source != NULL)
		mem_source_stats_read(d->source, out);
}

uint64_t mem_domain_huge_bytes(const struct mem_domain *d)
{
	if (d->source == NULL || d->source->kind != MEM_SOURCE_HUGE)
		return 0;
	return source_load(&d->source->held_pages) * SOURCE_PAGE;
}

void mem_work_times_read(const struct mem_domain *d, enum mem_work work, struct base_hist *out)
{
	memset(out, 0, sizeof(*out));
	if (d->source != NULL)
		base_hist_merge(out, &d->source->work_ns[work]);
}

void mem_hook_times_read(const struct mem_domain *d, struct base_hist *out)
{
	memset(out, 0, sizeof(*out));
	if (d->source != NULL)
		base_hist_merge(out, &d->source->call_ns);
}
