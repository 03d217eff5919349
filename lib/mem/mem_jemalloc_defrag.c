// SPDX-License-Identifier: BSD-3-Clause
// jemalloc's answers for who moves blocks.
#include <errno.h>

#include "mem/mem_jemalloc.h"

static_assert(sizeof(struct mem_slab) == 3 * sizeof(size_t), "as batch_query writes it");

int mem_slabs_query(
	const struct mem_domain *d, void *const *block, unsigned n, struct mem_slab *out)
{
	size_t len = n * sizeof(*out);

	if (n == 0)
		return 0;
	// mallctl reads the blocks' addresses through what it takes for a value to be set.
	return -mallctlbymib(d->slabs_mib, BASE_ARRAY_LEN(d->slabs_mib), out, &len,
		(void *)(uintptr_t)block, n * sizeof(*block));
}
