// SPDX-License-Identifier: BSD-3-Clause
// What back ends without arenas share: a domain is its counters.
#include <errno.h>

#include "mem/mem_internal.h"

bool mem_backend_has_arenas(void)
{
	return false;
}

int mem_backend_open(struct mem_domain *d)
{
	return 0;
}

bool mem_backend_close(struct mem_domain *d)
{
	return true;
}

int mem_backend_bind(struct mem_domain *d)
{
	return 0;
}

void mem_backend_unbind(struct mem_domain *d)
{
}

uint64_t mem_backend_dirty(const struct mem_domain *d)
{
	return 0;
}

void mem_backend_purge(struct mem_domain *d)
{
}

void mem_backend_cache_flush(struct mem_domain *d)
{
}

void mem_backend_domain_stats(const struct mem_domain *d, struct mem_domain_stats *out)
{
}

unsigned int mem_bins_read(const struct mem_domain *d, struct mem_bin out[MEM_BINS])
{
	return 0;
}

int mem_slabs_query(
	const struct mem_domain *d, void *const *block, unsigned n, struct mem_slab *out)
{
	return -ENOTSUP;
}

void mem_decay_step(void)
{
}

int mem_decay_set(int64_t dirty_ms, int64_t muzzy_ms)
{
	return dirty_ms < -1 || muzzy_ms < -1 ? -EINVAL : -ENOTSUP;
}
