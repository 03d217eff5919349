// SPDX-License-Identifier: BSD-3-Clause
// gperftools' tcmalloc: no arenas, so a domain is its counters.
#include <gperftools/malloc_extension_c.h>
#include <gperftools/tcmalloc.h>

#include "mem/mem_internal.h"

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

const char *mem_backend_name(void)
{
	return "tcmalloc-" TEXT(TC_VERSION_MAJOR) "." TEXT(TC_VERSION_MINOR);
}

int mem_backend_probe(void)
{
	base_info("tcmalloc has no arenas: no defragmentation, no hugepage regions, no decay, no "
		  "bins");
	return 0;
}

struct mem_domain *mem_backend_domain_new(void)
{
	return tc_memalign(BASE_CACHE_LINE, sizeof(struct mem_domain));
}

void mem_backend_domain_free(struct mem_domain *d)
{
	tc_free(d);
}

static uint64_t property(const char *name)
{
	size_t value = 0;

	return MallocExtension_GetNumericProperty(name, &value) ? value : 0;
}

void mem_backend_process_read(struct mem_process *out)
{
	uint64_t heap = property("generic.heap_size");
	uint64_t free_bytes = property("tcmalloc.pageheap_free_bytes");
	uint64_t unmapped = property("tcmalloc.pageheap_unmapped_bytes");

	out->allocated_bytes = property("generic.current_allocated_bytes");
	out->active_bytes = heap - base_min_u64(free_bytes + unmapped, heap);
	out->resident_bytes = heap - base_min_u64(unmapped, heap);
	out->mapped_bytes = out->resident_bytes;
	out->retained_bytes = unmapped;
}

void mem_purge(void)
{
	MallocExtension_ReleaseFreeMemory();
}

size_t mem_stats_text(char *buf, size_t len)
{
	base_assert(len > 0);
	MallocExtension_GetStats(buf, (int)base_min_u64(len, INT32_MAX));
	buf[len - 1] = '\0';
	return strlen(buf);
}
