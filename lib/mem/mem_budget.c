// SPDX-License-Identifier: BSD-3-Clause
// A configuration's sum against what the machine and its control group have.
#include <errno.h>
#include <stdio.h>

#include "mem/mem_internal.h"

#define MIB(bytes)    ((unsigned long long)((bytes) >> 20))
#define TIGHT_PERCENT 90 // of what there is: above that, warn

struct sum {
	uint64_t whole;        // in kernel pages, with what the process holds
	uint64_t normal, huge; // still to be got, in kernel pages and in hugepages
};

static uint64_t less(uint64_t a, uint64_t b)
{
	return a - base_min_u64(a, b);
}

// With a region, items and index lie in it; what does not fit there is not had at all.
static struct sum budget_sum(const struct mem_budget *b)
{
	struct sum s = {0};

	s.huge = b->region_bytes + (b->mbuf_huge ? b->mbuf_bytes : 0);
	s.normal = (b->mbuf_huge ? 0 : b->mbuf_bytes) +
		(b->region_bytes > 0 ? 0 : b->maxmemory_bytes + b->index_bytes);
	s.whole = s.normal;
	s.huge = less(s.huge, b->held_huge_bytes);
	s.normal = less(s.normal, b->held_bytes);
	return s;
}

static uint64_t huge_free_bytes(const struct mem_machine *m)
{
	uint64_t pages = 0;

	for (unsigned int n = 0; n < m->nodes; n++)
		pages += m->huge_free[n];
	return pages << 21;
}

static void parts_write(const struct mem_budget *b, char *buf, size_t len)
{
	snprintf(buf, len,
		"maxmemory %llu + packet buffers %llu + index growth %llu + region %llu MiB",
		MIB(b->maxmemory_bytes), MIB(b->mbuf_bytes), MIB(b->index_bytes),
		MIB(b->region_bytes));
}

static enum mem_verdict normal_check(
	const struct mem_machine *m, const struct sum *s, const char *parts, char *msg, size_t len)
{
	uint64_t group = less(m->cgroup_limit_bytes, m->cgroup_used_bytes);
	bool by_group = group < m->available_bytes;
	uint64_t most = by_group ? m->cgroup_limit_bytes : m->total_bytes;
	uint64_t now = by_group ? group : m->available_bytes;
	const char *who = by_group ? "the control group" : "the machine";

	if (s->whole > most) {
		snprintf(msg, len, "%s: %llu MiB are wanted, %s has %llu", parts, MIB(s->whole),
			who, MIB(most));
		return MEM_TOO_MUCH;
	}
	if (s->normal > now / 100 * TIGHT_PERCENT) {
		snprintf(msg, len, "%s: %llu MiB are still wanted, %s has %llu free of %llu", parts,
			MIB(s->normal), who, MIB(now), MIB(most));
		return MEM_TIGHT;
	}
	return MEM_FITS;
}

enum mem_verdict mem_budget_check(
	const struct mem_machine *m, const struct mem_budget *b, char *msg, size_t len)
{
	struct sum s = budget_sum(b);
	uint64_t huge = huge_free_bytes(m);
	char parts[192], how[128];

	parts_write(b, parts, sizeof(parts));
	if (s.huge > huge) {
		mem_huge_advice(m, -1, (s.huge - huge + (2 << 20) - 1) >> 21, how, sizeof(how));
		snprintf(msg, len, "%s: %llu MiB of hugepages are wanted, %llu are free: %s", parts,
			MIB(s.huge), MIB(huge), how);
		return MEM_TOO_MUCH;
	}
	if (b->region_bytes > 0 && b->maxmemory_bytes + b->index_bytes > b->region_bytes) {
		snprintf(msg, len,
			"%s: items and index do not fit the region; the cache fills it, then "
			"evicts",
			parts);
		return MEM_TIGHT;
	}
	return normal_check(m, &s, parts, msg, len);
}

int mem_bytes_parse(const char *s, uint64_t whole, uint64_t *bytes)
{
	size_t n = strlen(s);
	uint64_t percent;
	int rc;

	if (n == 0 || s[n - 1] != '%')
		return base_bytes_parse(s, bytes);
	rc = base_u64_parse(s, n - 1, &percent);
	if (rc < 0)
		return rc;
	if (percent > 100)
		return -ERANGE;
	*bytes = whole / 100 * percent;
	return 0;
}
