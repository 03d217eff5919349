// SPDX-License-Identifier: BSD-3-Clause
// The C library: no arenas, so a domain is its counters.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "mem/mem_internal.h"

const char *mem_backend_name(void)
{
	return "libc";
}

int mem_backend_probe(void)
{
	base_info("libc has no arenas: no defragmentation, no hugepage regions, no decay, no bins");
	return 0;
}

struct mem_domain *mem_backend_domain_new(void)
{
	return aligned_alloc(BASE_CACHE_LINE, sizeof(struct mem_domain));
}

void mem_backend_domain_free(struct mem_domain *d)
{
	free(d);
}

void mem_backend_process_read(struct mem_process *out)
{
	struct mallinfo2 info = mallinfo2();

	out->allocated_bytes = info.uordblks + info.hblkhd;
	out->active_bytes = info.arena + info.hblkhd;
	out->resident_bytes = out->active_bytes;
	out->mapped_bytes = out->active_bytes;
}

void mem_purge(void)
{
	malloc_trim(0);
}

size_t mem_stats_text(char *buf, size_t len)
{
	FILE *f = fmemopen(buf, len, "w");

	base_assert(len > 0);
	buf[0] = '\0';
	if (f != NULL) {
		malloc_info(0, f);
		fclose(f);
	}
	buf[len - 1] = '\0';
	return strlen(buf);
}
