// SPDX-License-Identifier: BSD-3-Clause
// Reserving the range under a page source, and giving it up.
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/mem_source.h"

#define HUGE_2MB      (21 << MAP_HUGE_SHIFT)
#define MACHINE_TIMES 4 // address space of kernel pages: so often the machine's memory
#define MACHINE_LEAST ((uint64_t)16 << 30)
#define MIB(bytes)    ((unsigned long long)(bytes) >> 20)

static uint64_t address_space_default(void)
{
	uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	return base_max_u64(MACHINE_TIMES * machine, MACHINE_LEAST);
}

// A preference for kernel pages, a demand for hugepages: those were reserved on that node.
static void node_bind(const struct mem_source *s, int mode)
{
	unsigned long mask[16] = {0};
	unsigned bit = (unsigned)s->numa_node;

	if (s->numa_node < 0 || numa_available() < 0 || s->numa_node > numa_max_node() ||
		bit >= sizeof(mask) * 8)
		return;
	mask[bit / 64] = 1UL << (bit % 64);
	if (mbind(s->base, s->bytes, mode, mask, sizeof(mask) * 8, 0) < 0)
		base_warn("%s: memory not bound to node %d: %s", s->name, s->numa_node,
			strerror(errno));
}

static int pages_reserve(struct mem_source *s, bool thp)
{
	size_t extra = s->bytes + SOURCE_CHUNK, lead;
	char *p = mmap(NULL, extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		base_error("%s: no %llu MiB of addresses: %s (ulimit -v?)", s->name, MIB(extra),
			strerror(errno));
		return -ENOMEM;
	}
	lead = (SOURCE_CHUNK - (uintptr_t)p % SOURCE_CHUNK) % SOURCE_CHUNK;
	if (lead > 0)
		munmap(p, lead);
	munmap(p + lead + s->bytes, SOURCE_CHUNK - lead);
	s->base = p + lead;
	s->large = thp;
	madvise(s->base, s->bytes, thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	node_bind(s, MPOL_PREFERRED);
	return 0;
}

static void huge_refuse(const struct mem_source *s)
{
	uint64_t pages = s->bytes / SOURCE_CHUNK, total = 0, free_pages = 0;
	struct mem_machine m;
	char how[128], where[32] = "";

	if (mem_machine_read(&m, "") < 0) {
		base_error("%s: no %llu hugepages of 2 MiB", s->name, (unsigned long long)pages);
		return;
	}
	for (unsigned n = 0; n < m.nodes; n++) {
		if (s->numa_node >= 0 && (unsigned)s->numa_node != n)
			continue;
		total += m.huge_total[n];
		free_pages += m.huge_free[n];
	}
	if (s->numa_node >= 0)
		snprintf(where, sizeof(where), " on node %d", s->numa_node);
	mem_huge_advice(
		&m, s->numa_node, pages - base_min_u64(pages, free_pages), how, sizeof(how));
	base_error("%s: %llu hugepages of 2 MiB asked for%s, %llu are free of %llu: %s", s->name,
		(unsigned long long)pages, where, (unsigned long long)free_pages,
		(unsigned long long)total, how);
}

// mmap reserves from all nodes' pages together; whether the node has them must be asked first.
static bool node_lacks(const struct mem_source *s)
{
	struct mem_machine m;

	if (s->numa_node < 0 || mem_machine_read(&m, "") < 0 || (unsigned)s->numa_node >= m.nodes)
		return false;
	return m.huge_free[s->numa_node] < s->bytes / SOURCE_CHUNK;
}

static int huge_reserve(struct mem_source *s)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | HUGE_2MB;
	char *p = node_lacks(s) ? MAP_FAILED
				: mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (p == MAP_FAILED) {
		huge_refuse(s);
		return -ENOMEM;
	}
	s->base = p;
	s->writable = s->bytes;
	s->large = true;
	node_bind(s, MPOL_BIND);
	return 0;
}

// The pages may hold anything: they count as stale until cleared.
static int given_take(struct mem_source *s)
{
	if (s->device.region == NULL || s->device.region_free == NULL)
		return -EINVAL;
	s->given = s->device.region(s->device.arg, s->bytes, s->numa_node);
	if (s->given == NULL) {
		base_error("%s: the device's side has no %llu MiB", s->name, MIB(s->bytes));
		return -ENOMEM;
	}
	base_assert((uintptr_t)s->given % SOURCE_CHUNK == 0);
	s->base = s->given;
	s->writable = s->bytes;
	s->large = true;
	s->keeps = true;
	return 0;
}

static void range_release(struct mem_source *s)
{
	if (s->kind == MEM_SOURCE_GIVEN) {
		s->device.region_free(s->device.arg, s->given, s->bytes);
		return;
	}
	for (size_t i = 0; s->device.page_unmap != NULL && i < s->chunks; i++)
		if (s->chunk[i].held_n > 0)
			s->device.page_unmap(s->device.arg, source_addr(s, i, 0), SOURCE_CHUNK);
	munmap(s->base, s->bytes);
}

static int range_reserve(struct mem_source *s, const struct mem_options *opt)
{
	if (opt->device.page_map != NULL && s->kind != MEM_SOURCE_HUGE) {
		base_error("%s: a device sees no kernel pages: give it hugepages", s->name);
		return -EINVAL;
	}
	switch (s->kind) {
	case MEM_SOURCE_PAGES:
		return pages_reserve(s, opt->thp);
	case MEM_SOURCE_HUGE:
		return huge_reserve(s);
	case MEM_SOURCE_GIVEN:
		return given_take(s);
	default:
		return -EINVAL;
	}
}

static int chunks_map(struct mem_source *s)
{
	s->chunks = s->bytes / SOURCE_CHUNK;
	s->chunk = mmap(NULL, s->chunks * sizeof(*s->chunk), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->chunk == MAP_FAILED)
		return -ENOMEM;
	for (size_t i = 0; s->kind == MEM_SOURCE_GIVEN && i < s->chunks; i++) {
		memset(s->chunk[i].held, 0xff, sizeof(s->chunk[i].held));
		memset(s->chunk[i].stale, 0xff, sizeof(s->chunk[i].stale));
		mem_source_enter(s, &s->chunk[i]);
	}
	return 0;
}

// Touches what is kept ahead, so that the first requests find it, and a system that gives hugepages
// but not on this node is noticed at start.
static int first_ready(struct mem_source *s)
{
	uint64_t steps = s->chunks * SOURCE_PAGES;

	while (steps-- > 0 && mem_source_ready(s, s->now_us) == MEM_SLICE_MORE)
		;
	if (s->held_pages > 0)
		return 0;
	base_error("%s: the system gives no page of the range", s->name);
	return -ENOMEM;
}

// Hugepages come one a tick of the control core: 16 MiB ahead are a write of 2 GiB/s. A small
// region keeps less.
static uint64_t ahead_bytes(const struct mem_options *opt)
{
	if (opt->ahead_bytes > 0)
		return opt->ahead_bytes;
	if (opt->source != MEM_SOURCE_HUGE)
		return SOURCE_AHEAD_BYTES;
	return base_min_u64(SOURCE_AHEAD_HUGE_BYTES,
		base_max_u64(opt->region_bytes / SOURCE_AHEAD_PART, SOURCE_AHEAD_BYTES));
}

int mem_source_open(struct mem_source **out, const struct mem_options *opt)
{
	// Not from the allocator: it must outlive the arena, whose hooks point here.
	struct mem_source *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t bytes = opt->region_bytes;
	int rc;

	if (s == MAP_FAILED)
		return -ENOMEM;
	snprintf(s->name, sizeof(s->name), "%s", opt->name != NULL ? opt->name : "memory");
	s->kind = opt->source;
	s->numa_node = opt->numa_node;
	s->now_ns = opt->now_ns;
	s->device = opt->device;
	s->ahead_pages = ahead_bytes(opt) / SOURCE_PAGE;
	if (bytes == 0 && s->kind == MEM_SOURCE_PAGES)
		bytes = address_space_default();
	s->bytes = (bytes + SOURCE_CHUNK - 1) & ~(SOURCE_CHUNK - 1);
	rc = s->bytes == 0 ? -EINVAL : range_reserve(s, opt);
	if (rc < 0)
		goto err_range;
	if (s->kind != MEM_SOURCE_GIVEN)
		madvise(s->base, s->bytes,
			MADV_DONTFORK); // the server never forks: nothing to copy
	rc = chunks_map(s);
	if (rc < 0)
		goto err_chunks;
	rc = first_ready(s);
	if (rc < 0)
		goto err_ready;
	*out = s;
	return 0;

err_ready:
	munmap(s->chunk, s->chunks * sizeof(*s->chunk));
err_chunks:
	s->chunks = 0;
	range_release(s);
err_range:
	munmap(s, sizeof(*s));
	return rc;
}

void mem_source_close(struct mem_source *s)
{
	range_release(s);
	munmap(s->chunk, s->chunks * sizeof(*s->chunk));
	munmap(s, sizeof(*s));
}
