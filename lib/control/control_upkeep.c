// SPDX-License-Identifier: BSD-3-Clause
// The scheduler's place in the tick, and /lcached/upkeep: what was asked of each worker, what it
// did, and how long its turns and slices took. A turn is what a request waits for at most.

#include "control/control_internal.h"

#define WORKERS_SHOWN 4      // in one reply of 16 KB
#define HELD_NS       100000 // no slice is to keep a worker longer

// ---- each tick ---------------------------------------------------------------------------------
uint64_t control_shard_bytes(const struct worker_counters *n)
{
	uint64_t held = n->mem_used[MEM_ITEMS] + n->mem_used[MEM_INDEX];

	return held - base_min_u64(held, n->store.pinned_bytes);
}

static struct control_pace_settings pace_settings(const struct control_config *cfg)
{
	return (struct control_pace_settings){
		.slice_us = (unsigned)cfg->upkeep_slice_us,
		.expire_effort = (unsigned)cfg->expire_effort,
	};
}

void control_upkeep_init(struct control *c)
{
	struct control_pace_settings set = pace_settings(c->cfg);

	for (unsigned i = 0; i < c->workers; i++) {
		control_pace_init(&c->upkeep[i].pace, &set);
		control_defrag_init(&c->upkeep[i].defrag);
	}
}

// ---- defrag ------------------------------------------------------------------------------------
static struct control_defrag_settings defrag_settings(const struct control *c)
{
	const struct control_config *cfg = c->cfg;

	return (struct control_defrag_settings){
		.on = cfg->defrag && c->orders.phase == WORKER_PHASE_RUN,
		.ignore_bytes = cfg->defrag_ignore_bytes / c->workers,
		.lower = (unsigned)cfg->defrag_lower,
		.upper = (unsigned)cfg->defrag_upper,
		.cycle_min = (unsigned)cfg->defrag_cycle_min,
		.cycle_max = (unsigned)cfg->defrag_cycle_max,
	};
}

// The bins are as old as the allocator's figures: up to a second.
static struct control_defrag_figures defrag_figures(
	const struct control *c, unsigned i, const struct control_defrag_settings *set)
{
	const struct worker_counters *n = &c->report[i].n;
	struct control_defrag_figures f = {
		.passes = n->store.defrag_passes, .running = n->store.defrag_running};
	struct mem_domain_stats st;
	struct mem_bin bin[MEM_BINS];
	unsigned bins;

	if (!set->on || c->domain[i] == NULL)
		return f;
	bins = mem_bins_read(c->domain[i], bin);
	for (unsigned b = 0; b < bins; b++)
		f.sparse[b] = mem_bin_sparse(&bin[b]);
	mem_domain_stats_read(c->domain[i], &st);
	f.allocated_bytes = st.allocated_bytes;
	f.waste_bytes = st.small_frag_bytes;
	f.scatter_bytes = st.scatter_bytes;
	return f;
}

static void defrag_time_note(struct control *c)
{
	bool running = false;

	for (unsigned i = 0; i < c->workers; i++)
		running |= c->upkeep[i].defrag.percent > 0;
	if (running && c->defrag_begun_us == 0)
		c->defrag_begun_us = c->now.mono_us;
	if (!running && c->defrag_begun_us != 0) {
		c->defrag_spent_us += c->now.mono_us - c->defrag_begun_us;
		c->defrag_begun_us = 0;
	}
}

// When the allocator's figures are new. True when an order has changed.
static bool defrag_tick(struct control *c)
{
	struct control_defrag_settings set = defrag_settings(c);
	bool changed = false;

	if (c->defrag_us == c->memory.process_us)
		return false;
	c->defrag_us = c->memory.process_us;
	for (unsigned i = 0; i < c->workers; i++) {
		struct control_defrag_figures f = defrag_figures(c, i, &set);

		changed |= control_defrag_turn(&c->upkeep[i].defrag, &set, &f, c->now.mono_us);
	}
	defrag_time_note(c);
	return changed;
}

void control_defrag_metrics(const struct control *c, struct control_metrics *m)
{
	const struct store_counters *n = &c->total.sum.store;
	uint64_t now_us = c->defrag_begun_us == 0 ? 0 : c->now.mono_us - c->defrag_begun_us;
	unsigned percent = 0;

	for (unsigned i = 0; i < c->workers; i++)
		percent = (unsigned)base_max_u64(percent, c->upkeep[i].defrag.percent);
	control_metric_add(m, "active_defrag_running", percent);
	control_metric_add(m, "active_defrag_hits", n->defrag_hits);
	control_metric_add(m, "active_defrag_misses", n->defrag_misses);
	control_metric_add(m, "active_defrag_key_hits", n->defrag_key_hits);
	control_metric_add(m, "active_defrag_key_misses", n->defrag_key_misses);
	control_metric_add(m, "active_defrag_bytes", n->defrag_bytes);
	control_metric_add(m, "active_defrag_passes", n->defrag_passes);
	control_metric_add(m, "total_active_defrag_time", (c->defrag_spent_us + now_us) / 1000);
	control_metric_add(m, "current_active_defrag_time", now_us / 1000);
}

// Turns that found work, less the slices of upkeep in them, had requests.
static struct control_pace_load load_take(
	struct control_upkeep *u, const struct worker_report *report)
{
	struct control_pace_load load = {
		.passed_us = report->heartbeat_us - u->beat_us,
		.used_bytes = control_shard_bytes(&report->n),
		.limit_bytes = report->n.limit_bytes,
		.pending = report->upkeep_pending,
		.defrag_percent = u->defrag.percent,
	};
	uint64_t busy_us = report->n.busy_us - u->busy_us, upkeep_ns = 0;

	for (unsigned work = 0; work < WORKER_WORKS; work++)
		upkeep_ns += report->n.upkeep_ns[work];
	load.requests_us = busy_us - base_min_u64(busy_us, (upkeep_ns - u->upkeep_ns) / 1000);
	u->beat_us = report->heartbeat_us;
	u->busy_us = report->n.busy_us;
	u->upkeep_ns = upkeep_ns;
	return load;
}

bool control_upkeep_tick(struct control *c)
{
	struct control_pace_settings set = pace_settings(c->cfg);
	bool changed = defrag_tick(c);

	for (unsigned i = 0; i < c->workers; i++) {
		struct control_upkeep *u = &c->upkeep[i];
		struct control_pace_load load = load_take(u, &c->report[i]);

		changed |= control_pace_turn(&u->pace, &set, &load);
	}
	return changed;
}

// ---- /lcached/upkeep ---------------------------------------------------------------------------
static void one_add(struct rte_tel_data *d, const char *what, const char *which, uint64_t value)
{
	char name[48];

	snprintf(name, sizeof(name), "%s%s", what, which);
	rte_tel_data_add_dict_u64(d, name, value);
}

static void times_add(const struct base_hist *h, const char *what, const char *unit, uint64_t held,
	struct rte_tel_data *d)
{
	static const struct {
		const char *name;
		double at;
	} quantile[] = {{"_p50_", 0.5}, {"_p99_", 0.99}, {"_p999_", 0.999}};
	char which[16];

	one_add(d, what, "s", h->count);
	one_add(d, what, "s_held", base_hist_from(h, held));
	for (unsigned i = 0; i < BASE_ARRAY_LEN(quantile); i++) {
		snprintf(which, sizeof(which), "%s%s", quantile[i].name, unit);
		one_add(d, what, which, base_hist_quantile(h, quantile[i].at));
	}
	snprintf(which, sizeof(which), "_max_%s", unit);
	one_add(d, what, which, h->max);
}

static void work_add(struct control *c, unsigned i, unsigned work, struct rte_tel_data *d)
{
	const struct worker_report *report = &c->report[i];
	const char *name = worker_work_name(work);
	char slice[32];

	one_add(d, name, "_asked_us_a_ms", c->upkeep[i].pace.order.us_a_ms[work]);
	one_add(d, name, "_pending", report->upkeep_pending >> work & 1);
	one_add(d, name, "_done_us", report->n.upkeep_ns[work] / 1000);
	snprintf(slice, sizeof(slice), "%s_slice", name);
	times_add(&worker_times_get(c->group, i)->work_ns[work], slice, "ns", HELD_NS, d);
	one_add(d, slice, "_max_units", worker_times_get(c->group, i)->longest_units[work]);
}

static void worker_reply(struct control *c, unsigned i, struct rte_tel_data *d)
{
	static const char *const name[MEM_WORKS] = {
		[MEM_WORK_PURGE] = "purge_slice",
		[MEM_WORK_RETURN] = "return_slice",
		[MEM_WORK_READY] = "ready_slice",
	};
	const struct control_pace *p = &c->upkeep[i].pace;
	struct base_hist hist;

	one_add(d, "idle", "_of_1000", p->idle);
	one_add(d, "pressed", "", p->pressed);
	one_add(d, "slice", "_us", p->order.slice_us);
	times_add(&worker_times_get(c->group, i)->turn_us, "turn", "us", HELD_NS / 1000, d);
	for (unsigned work = 0; work < WORKER_WORKS; work++)
		work_add(c, i, work, d);
	for (unsigned work = 0; work < MEM_WORKS && c->domain[i] != NULL; work++) {
		mem_work_times_read(c->domain[i], (enum mem_work)work, &hist);
		times_add(&hist, name[work], "ns", HELD_NS, d);
	}
}

int control_upkeep_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	static const char command[] = "/lcached/upkeep";
	unsigned worker;

	rte_tel_data_start_dict(d);
	if (params == NULL)
		return control_workers_reply(c, command, WORKERS_SHOWN, worker_reply, d);
	if (control_worker_named(c, command, params, &worker, d))
		worker_reply(c, worker, d);
	return 0;
}
