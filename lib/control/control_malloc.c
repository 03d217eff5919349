// SPDX-License-Identifier: BSD-3-Clause
// What the allocator tells of itself, by telemetry: its small size classes, its own report.

#include "control/control_internal.h"

#define REPORT_BYTES (256 << 10)
#define PAGE_LINES   100 // of the report, in one reply
#define PAGE_BYTES   12000
#define LINE_BYTES   120

// ---- /lcached/memory/bins ----------------------------------------------------------------------
static int bin_add(const struct mem_bin *b, struct rte_tel_data *d)
{
	struct rte_tel_data *one = rte_tel_data_alloc();
	char name[32];

	if (one == NULL)
		return -1;
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_u64(one, "regions", b->regions);
	rte_tel_data_add_dict_u64(one, "slabs", b->slabs);
	rte_tel_data_add_dict_u64(one, "nonfull_slabs", b->nonfull_slabs);
	rte_tel_data_add_dict_u64(one, "slab_regions", b->slab_regions);
	rte_tel_data_add_dict_u64(one, "slab_bytes", b->slab_bytes);
	rte_tel_data_add_dict_u64(one, "frag_bytes", b->frag_bytes);
	snprintf(name, sizeof(name), "bin_%u", b->region_bytes);
	return rte_tel_data_add_dict_container(d, name, one, 0) < 0 ? -1 : 0;
}

static void slack_add(
	const struct control *c, const struct mem_domain *only, struct rte_tel_data *d)
{
	for (unsigned k = 0; k < MEM_SIZE_CLASSES; k++) {
		uint64_t slack =
			only != NULL ? mem_slack_class(only, k) : mem_slack_class(c->mem, k);
		char name[48];

		for (unsigned i = 0; only == NULL && i < c->workers; i++) {
			if (c->domain[i] != NULL)
				slack += mem_slack_class(c->domain[i], k);
		}
		if (slack == 0)
			continue;
		snprintf(name, sizeof(name), "internal_frag_%zu", mem_size_class_bytes(k));
		rte_tel_data_add_dict_u64(d, name, slack);
	}
}

int control_bins_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	struct mem_domain *domain = NULL;
	struct mem_bin bin[MEM_BINS];
	unsigned worker, n;

	rte_tel_data_start_dict(d);
	if (params != NULL) {
		if (!control_worker_named(c, "/lcached/memory/bins", params, &worker, d))
			return 0;
		domain = c->domain[worker];
		if (domain == NULL) // before it is ready
			return 0;
	}
	control_memory_refresh(c);
	n = mem_bins_read(domain, bin);
	if (n == 0)
		rte_tel_data_add_dict_string(
			d, "error", "this allocator tells nothing of its bins");
	for (unsigned i = 0; i < n; i++) {
		if (bin[i].slabs > 0 && bin_add(&bin[i], d) < 0)
			return -1;
	}
	slack_add(c, domain, d);
	return 0;
}

// ---- /lcached/memory/malloc_stats --------------------------------------------------------------
// Adds the lines of one page to an array; true when there are more pages.
static bool page_add(const char *text, uint64_t page, struct rte_tel_data *d)
{
	uint64_t line = 0, bytes = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		char one[LINE_BYTES + 1];

		if (line / PAGE_LINES > page || bytes > PAGE_BYTES)
			return true;
		snprintf(one, sizeof(one), "%.*s", (int)base_min_u64(n, LINE_BYTES), text);
		if (line / PAGE_LINES == page) {
			rte_tel_data_add_array_string(d, one);
			bytes += strlen(one);
		}
		line++;
		text += n + (text[n] == '\n');
	}
	return false;
}

int control_malloc_stats_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	uint64_t page = 0;
	char *text, next[64];

	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	if (params != NULL && base_u64_parse(params, strlen(params), &page) < 0) {
		rte_tel_data_add_array_string(d, "error: /lcached/memory/malloc_stats,PAGE");
		return 0;
	}
	text = mem_try_alloc(c->mem, MEM_OTHER, REPORT_BYTES, NULL);
	if (text == NULL)
		return -1;
	mem_stats_text(text, REPORT_BYTES);
	if (page_add(text, page, d)) {
		snprintf(next, sizeof(next), "more: /lcached/memory/malloc_stats,%llu",
			(unsigned long long)page + 1);
		rte_tel_data_add_array_string(d, next);
	}
	mem_free(c->mem, MEM_OTHER, text, REPORT_BYTES);
	return 0;
}
