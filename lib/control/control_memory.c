// SPDX-License-Identifier: BSD-3-Clause
// Figures of memory: sampled, summed, shown, and the options that act on lib/mem.

#include <errno.h>

#include "control/control_internal.h"

#define RSS_US           (100 * 1000)       // resident set and used_memory, together
#define PROCESS_US       (1000 * 1000)      // the allocator's own figures
#define DECAY_US         (1000 * 1000)      // between steps of arenas that are no worker's
#define PRIVATE_DIRTY_US (10 * 1000 * 1000) // the kernel walks every page for it
#define HELP_ROUNDS      2
#define WORKERS_SHOWN    8 // in one reply of 16 KB

// ---- samples -----------------------------------------------------------------------------------
static void rss_sample(struct control *c)
{
	struct control_memory *m = &c->memory;
	uint64_t rss, huge;

	if (mem_resident_read(&rss, &huge) < 0)
		rss = c->total.used_bytes; // as Redis does where the system does not tell
	m->rss_bytes = rss + huge;
	m->process.rss_bytes = rss;
	m->process.hugetlb_bytes = huge;
	m->rss_used_bytes = c->total.used_bytes;
	m->rss_us = c->now.mono_us;
}

void control_memory_refresh(struct control *c)
{
	mem_process_read(&c->memory.process);
	c->memory.process_us = c->now.mono_us;
	rss_sample(c);
}

static void text_publish(struct control *c)
{
	struct control_metrics m = {0};
	char text[WORKER_MEMORY_TEXT_MAX];

	control_memory_metrics(c, &m);
	worker_memory_text_set(c->group, text, control_metrics_stat(&m, text, sizeof(text)));
}

bool control_pages_help(struct control *c)
{
	bool made = false;

	for (unsigned i = 0; i < c->workers; i++)
		made |= c->domain[i] != NULL && mem_domain_help(c->domain[i]);
	return made;
}

void control_memory_tick(struct control *c)
{
	struct control_memory *m = &c->memory;
	uint64_t now_us = c->now.mono_us, evicted = c->total.sum.store.evicted;

	if (evicted != m->evicted_before) {
		m->evicted_before = evicted;
		m->evicting_us = now_us;
	}
	// bounded, because a tick has other things to do
	for (unsigned round = 0; round < HELP_ROUNDS; round++)
		control_pages_help(c);
	if (c->cfg->background_thread && now_us - m->decay_us >= DECAY_US) {
		m->decay_us = now_us;
		mem_decay_step();
	}
	if (now_us - m->process_us >= PROCESS_US) {
		control_memory_refresh(c);
		text_publish(c);
	} else if (now_us - m->rss_us >= RSS_US) {
		rss_sample(c);
	}
}

static uint64_t overhead_classes(const struct control *c)
{
	const uint64_t *used = c->total.sum.mem_used;

	return used[MEM_INDEX] + used[MEM_CONNS] + used[MEM_INPUT] + used[MEM_OUTPUT];
}

void control_memory_ready(struct control *c)
{
	struct mem_machine machine;

	if (mem_machine_read(&machine, "") == 0)
		c->memory.system_bytes = machine.total_bytes;
	c->memory.startup_overhead_bytes = overhead_classes(c);
	control_memory_refresh(c);
	text_publish(c);
}

static void private_dirty_sample(struct control *c)
{
	struct control_memory *m = &c->memory;

	if (m->private_dirty_us != 0 && c->now.mono_us - m->private_dirty_us < PRIVATE_DIRTY_US)
		return;
	if (mem_private_dirty_read(&m->private_dirty_bytes) < 0)
		m->private_dirty_bytes = 0;
	m->private_dirty_us = c->now.mono_us;
}

// ---- options -----------------------------------------------------------------------------------
// Idempotent: any change of an option comes here.
void control_memory_apply(struct control *c)
{
	const struct control_config *cfg = c->cfg;
	int rc;

	rc = mem_decay_set(cfg->dirty_decay_ms, cfg->muzzy_decay_ms);
	if (rc < 0 && rc != -ENOTSUP)
		base_warn("jemalloc decay: %s", strerror(-rc));
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->domain[i] != NULL)
			mem_domain_decay_set(c->domain[i], cfg->dirty_decay_ms);
	}
}

void control_domains_set(struct control *c, struct mem_domain *const *domain)
{
	for (unsigned i = 0; i < c->workers; i++)
		c->domain[i] = domain != NULL ? domain[i] : NULL;
	control_memory_apply(c);
}

void control_packet_bytes_set(struct control *c, uint64_t bytes, bool hugepages)
{
	c->memory.packet_bytes = bytes;
	c->memory.packets_huge = hugepages;
}

enum mem_verdict control_memory_check(const struct control *c, const struct control_config *cfg,
	uint64_t packet_bytes, bool packets_huge, char *msg, size_t len)
{
	struct mem_machine machine;
	struct mem_budget b = {
		.maxmemory_bytes = cfg->maxmemory_bytes,
		.mbuf_bytes = packet_bytes,
		.mbuf_huge = packets_huge,
		.region_bytes = cfg->region_bytes,
	};

	if (mem_machine_read(&machine, "") < 0)
		return MEM_FITS;
	if (c != NULL) {
		b.held_bytes = c->memory.process.rss_bytes;
		b.held_huge_bytes = c->memory.process.hugetlb_bytes;
	}
	return mem_budget_check(&machine, &b, msg, len);
}

// ---- sums --------------------------------------------------------------------------------------
struct control_sums control_memory_sums(const struct control *c)
{
	const struct control_totals *t = &c->total;
	const uint64_t *used = t->sum.mem_used;
	struct control_sums s = {
		.used = t->used_bytes,
		.rss = c->memory.rss_bytes,
		.slack = mem_slack(c->mem) + t->sum.mem_slack,
		.pinned = t->sum.store.pinned_bytes,
		.clients = used[MEM_CONNS] + t->sum.clients_bytes,
	};
	uint64_t grown = overhead_classes(c);

	// what index and connections held at ready is part of the start already
	grown -= base_min_u64(grown, c->memory.startup_overhead_bytes);
	s.overhead = base_min_u64(t->used_startup_bytes + grown, s.used);
	s.dataset = s.used - s.overhead;
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->domain[i] != NULL)
			s.held_huge += mem_domain_huge_bytes(c->domain[i]);
	}
	return s;
}

static uint64_t percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : part * 100 / whole;
}

static double ratio(uint64_t a, uint64_t b)
{
	return b == 0 ? 0.0 : (double)a / (double)b;
}

// ---- the server's metrics ----------------------------------------------------------------------
static void used_metrics(
	const struct control *c, const struct control_sums *s, struct control_metrics *m)
{
	const struct control_totals *t = &c->total;
	uint64_t started = base_min_u64(t->used_startup_bytes, s->used);

	control_metric_add(m, "used_memory", s->used);
	control_metric_add(m, "used_memory_rss", s->rss);
	control_metric_add(m, "used_memory_peak", t->used_peak_bytes);
	control_metric_add(m, "used_memory_peak_time", t->peak_wall_s);
	control_metric_add(m, "used_memory_peak_perc", percent(s->used, t->used_peak_bytes));
	control_metric_add(m, "used_memory_startup", t->used_startup_bytes);
	control_metric_add(m, "used_memory_overhead", s->overhead);
	control_metric_add(m, "used_memory_dataset", s->dataset);
	control_metric_add(m, "used_memory_dataset_perc", percent(s->dataset, s->used - started));
	control_metric_add(m, "used_memory_items", t->sum.mem_used[MEM_ITEMS]);
	control_metric_add(m, "used_memory_index", t->sum.mem_used[MEM_INDEX]);
	control_metric_add(m, "used_memory_connections", t->sum.mem_used[MEM_CONNS]);
	control_metric_add(m, "used_memory_input_buffers", t->sum.mem_used[MEM_INPUT]);
	control_metric_add(m, "used_memory_output_buffers", t->sum.mem_used[MEM_OUTPUT]);
	control_metric_add(m, "used_memory_control_core", mem_used(c->mem));
	control_metric_add(m, "total_system_memory", c->memory.system_bytes);
	control_metric_add(m, "maxmemory", c->cfg->maxmemory_bytes);
	control_metric_add_text(m, "maxmemory_policy", store_policy_name((unsigned)c->cfg->policy));
}

// The names are Redis': frag is what small slabs have free, rss what the allocator keeps beyond its
// active pages, overhead what the process has beside the allocator.
static void allocator_metrics(
	const struct control *c, const struct control_sums *s, struct control_metrics *m)
{
	const struct mem_process *p = &c->memory.process;

	control_metric_add(m, "allocator_allocated", p->allocated_bytes);
	control_metric_add(m, "allocator_active", p->active_bytes);
	control_metric_add(m, "allocator_resident", p->resident_bytes);
	control_metric_add(m, "allocator_retained", p->retained_bytes);
	control_metric_add(m, "allocator_muzzy", p->muzzy_bytes);
	control_metric_add(m, "allocator_mapped", p->mapped_bytes);
	control_metric_add(m, "allocator_metadata", p->metadata_bytes);
	control_metric_add_ratio(
		m, "allocator_frag_ratio", mem_frag_ratio(p->small_frag_bytes, p->allocated_bytes));
	control_metric_add(m, "allocator_frag_bytes", p->small_frag_bytes);
	control_metric_add_ratio(
		m, "allocator_rss_ratio", ratio(p->resident_bytes, p->active_bytes));
	control_metric_add_diff(m, "allocator_rss_bytes", p->resident_bytes, p->active_bytes);
	control_metric_add_ratio(m, "rss_overhead_ratio", ratio(s->rss, p->resident_bytes));
	control_metric_add_diff(m, "rss_overhead_bytes", s->rss, p->resident_bytes);
	control_metric_add_ratio(
		m, "mem_fragmentation_ratio", ratio(s->rss, c->memory.rss_used_bytes));
	control_metric_add_diff(m, "mem_fragmentation_bytes", s->rss, c->memory.rss_used_bytes);
	control_metric_add(m, "mem_internal_frag_bytes", s->slack);
	control_metric_add_text(m, "mem_allocator", mem_backend_name());
}

// Estimates of the shards, each for as many keys as it has deadlines.
static void expiry_metrics(const struct store_counters *n, struct control_metrics *m)
{
	uint64_t keys = base_max_u64(n->deadlines, 1);

	control_metric_add(m, "expired_keys", n->expired);
	control_metric_add_ratio(
		m, "expired_stale_perc", (double)n->deadlines_stale_milli / 10 / (double)keys);
	control_metric_add(m, "expired_time_cap_reached_count", n->expire_capped);
	control_metric_add(m, "expire_cycle_cpu_milliseconds", n->expire_ns / 1000000);
	control_metric_add(m, "avg_ttl", n->deadlines_ttl_ms / keys);
}

static void other_metrics(
	const struct control *c, const struct control_sums *s, struct control_metrics *m)
{
	const struct worker_counters *n = &c->total.sum;

	control_metric_add(m, "mem_private_dirty", c->memory.private_dirty_bytes);
	control_metric_add(m, "mem_not_counted_for_evict",
		s->pinned + n->mem_used[MEM_INPUT] + n->mem_used[MEM_OUTPUT]);
	control_metric_add(m, "mem_clients_normal", s->clients);
	control_metric_add(m, "mem_pinned", s->pinned);
	control_metric_add(m, "mem_packet_buffers", c->memory.packet_bytes);
	control_metric_add(m, "mem_hugepages", c->memory.process.hugetlb_bytes);
	control_metric_add(m, "mem_region", c->cfg->region_bytes);
	control_metric_add(m, "mem_region_held", s->held_huge);
	control_metric_add(m, "evicted_keys", n->store.evicted);
	control_metric_add(m, "evicted_clients", n->evicted_clients);
	expiry_metrics(&n->store, m);
	control_defrag_metrics(c, m);
}

void control_memory_metrics(struct control *c, struct control_metrics *m)
{
	struct control_sums s = control_memory_sums(c);

	used_metrics(c, &s, m);
	allocator_metrics(c, &s, m);
	other_metrics(c, &s, m);
}

// ---- a worker's --------------------------------------------------------------------------------
static void worker_counted(const struct worker_counters *n, struct control_metrics *m)
{
	uint64_t used = 0;

	for (int k = 0; k < MEM_CLASSES; k++)
		used += n->mem_used[k];
	// from one report: the two are of the same moment, and equal
	control_metric_add(m, "used_memory", used);
	control_metric_add(m, "used_memory_by_allocator", n->mem_held);
	control_metric_add(m, "used_memory_items", n->mem_used[MEM_ITEMS]);
	control_metric_add(m, "used_memory_index", n->mem_used[MEM_INDEX]);
	control_metric_add(m, "used_memory_connections", n->mem_used[MEM_CONNS]);
	control_metric_add(m, "used_memory_input_buffers", n->mem_used[MEM_INPUT]);
	control_metric_add(m, "used_memory_output_buffers", n->mem_used[MEM_OUTPUT]);
	control_metric_add(m, "used_memory_other", n->mem_used[MEM_OTHER]);
	control_metric_add(m, "tcp_time_wait", n->tcp.time_wait_now);
	control_metric_add(m, "limit_bytes", n->limit_bytes);
	control_metric_add(m, "mem_internal_frag_bytes", n->mem_slack);
	control_metric_add(m, "mem_pinned", n->store.pinned_bytes);
}

static void worker_arena(const struct mem_domain_stats *st, struct control_metrics *m)
{
	control_metric_add(m, "allocator_allocated", st->allocated_bytes);
	control_metric_add(m, "allocator_active", st->active_bytes);
	control_metric_add(m, "allocator_resident", st->resident_bytes);
	control_metric_add(m, "allocator_retained", st->retained_bytes);
	control_metric_add(m, "allocator_muzzy", st->muzzy_bytes);
	control_metric_add(m, "allocator_dirty", st->dirty_bytes);
	control_metric_add_ratio(m, "allocator_frag_ratio",
		mem_frag_ratio(st->small_frag_bytes, st->allocated_bytes));
	control_metric_add(m, "allocator_frag_bytes", st->small_frag_bytes);
	control_metric_add_ratio(
		m, "allocator_rss_ratio", ratio(st->resident_bytes, st->active_bytes));
}

static void worker_pages(
	const struct mem_domain *d, const struct mem_domain_stats *st, struct control_metrics *m)
{
	struct base_hist hist;

	mem_hook_times_read(d, &hist);
	control_metric_add(m, "pages_committed", st->committed_bytes);
	control_metric_add(m, "pages_held", st->held_bytes);
	control_metric_add(m, "pages_huge", st->huge_bytes);
	control_metric_add(m, "pages_ready", st->ready_bytes);
	control_metric_add(m, "pages_stale", st->stale_bytes);
	control_metric_add(m, "pages_scattered", st->scatter_bytes);
	control_metric_add(m, "pages_returned", st->returned_bytes);
	control_metric_add(m, "pages_late", st->late_commits);
	control_metric_add(m, "pages_late_bytes", st->late_bytes);
	control_metric_add(m, "pages_failed", st->failed_commits);
	control_metric_add(m, "pages_calls", hist.count);
	control_metric_add(m, "pages_call_p50_ns", base_hist_quantile(&hist, 0.5));
	control_metric_add(m, "pages_call_p99_ns", base_hist_quantile(&hist, 0.99));
	control_metric_add(m, "pages_call_max_ns", hist.max);
}

void control_memory_worker_metrics(struct control *c, unsigned i, struct control_metrics *m)
{
	struct mem_domain_stats st;

	worker_counted(&c->report[i].n, m);
	if (c->domain[i] == NULL)
		return;
	mem_domain_stats_read(c->domain[i], &st);
	worker_arena(&st, m);
	worker_pages(c->domain[i], &st, m);
}

// ---- /lcached/memory ---------------------------------------------------------------------------
static void worker_reply(struct control *c, unsigned i, struct rte_tel_data *d)
{
	struct control_metrics m = {0};

	control_memory_worker_metrics(c, i, &m);
	control_metrics_reply(&m, d);
}

int control_memory_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	static const char command[] = "/lcached/memory";
	struct control_metrics m = {0};
	unsigned worker;

	rte_tel_data_start_dict(d);
	control_memory_refresh(c);
	if (params != NULL) {
		if (control_worker_named(c, command, params, &worker, d))
			worker_reply(c, worker, d);
		return 0;
	}
	private_dirty_sample(c);
	// Workers first: a reader that flattens the reply ends up with the server's figures.
	if (control_workers_reply(c, command, WORKERS_SHOWN, worker_reply, d) < 0)
		return -1;
	control_memory_metrics(c, &m);
	control_metrics_reply(&m, d);
	return 0;
}
