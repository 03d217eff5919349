// SPDX-License-Identifier: BSD-3-Clause
// The owner's upkeep of its domain, in slices, and what readers see of it.
//
//	in use --free--> the arena's --purge--> the source's --return--> the system's
//	                 up to PURGE_BYTES      for dirty_decay_ms
#include "mem/mem_internal.h"
#include "mem/mem_source.h"

// Free extents that an arena may keep in its own hands. Moving them takes jemalloc about half a
// microsecond an extent, and the smallest extent is a page: so a move is short, because it is
// made as soon as there is so much to move.
// An extent that nothing has touched for long takes two: who frees much at once asks for moves of
// fewer.
#define PURGE_BYTES      ((uint64_t)512 << 10)
#define PURGE_SOON_BYTES ((uint64_t)64 << 10)

enum mem_slice mem_domain_upkeep(struct mem_domain *d, uint64_t now_us)
{
	return d->source == NULL ? MEM_SLICE_DONE : mem_source_ready(d->source, now_us);
}

bool mem_domain_help(struct mem_domain *d)
{
	return d->source != NULL && mem_source_help(d->source);
}

static bool purge_all_wanted(const struct mem_domain *d)
{
	return __atomic_load_n(&d->purge_all, __ATOMIC_RELAXED);
}

enum mem_slice mem_purge_slice(struct mem_domain *d, uint64_t now_us)
{
	int64_t decay_ms = __atomic_load_n(&d->dirty_decay_ms, __ATOMIC_RELAXED);
	bool all = purge_all_wanted(d);
	uint64_t dirty;

	if (d->source == NULL) {
		if (all)
			__atomic_store_n(&d->purge_all, false, __ATOMIC_RELAXED);
		return MEM_SLICE_DONE;
	}
	dirty = mem_backend_dirty(d);
	if (dirty > PURGE_BYTES || ((all || d->purge_soon) && dirty > 0)) {
		d->purge_soon = false;
		mem_backend_purge(d);
		return MEM_SLICE_MORE;
	}
	if (decay_ms < 0 && !all)
		return MEM_SLICE_DONE;
	if (mem_source_return(d->source, now_us,
		    (uint64_t)base_max_u64(0, (uint64_t)decay_ms) * 1000, all) == MEM_SLICE_MORE)
		return MEM_SLICE_MORE;
	if (all)
		__atomic_store_n(&d->purge_all, false, __ATOMIC_RELAXED);
	return MEM_SLICE_DONE;
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
	__atomic_store_n(&d->purge_all, true, __ATOMIC_RELAXED);
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

void mem_hook_times_read(const struct mem_domain *d, struct base_hist *out)
{
	memset(out, 0, sizeof(*out));
	if (d->source != NULL)
		base_hist_merge(out, &d->source->call_ns);
}
