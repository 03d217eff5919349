// SPDX-License-Identifier: BSD-3-Clause
// The scheduler's place in the tick, and /lcached/upkeep: what was asked of each worker, what it
// did, and how long its turns and slices took. A turn is what a request waits for at most.

#include "control/control_internal.h"

#define WORKERS_SHOWN 5 // in one reply of 16 KB

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

	for (unsigned i = 0; i < c->workers; i++)
		control_pace_init(&c->upkeep[i].pace, &set);
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
	bool changed = false;

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

static void times_add(
	const struct base_hist *h, const char *what, const char *unit, struct rte_tel_data *d)
{
	static const struct {
		const char *name;
		double at;
	} quantile[] = {{"_p50_", 0.5}, {"_p99_", 0.99}, {"_p999_", 0.999}};
	char which[16];

	one_add(d, what, "s", h->count);
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
	times_add(&worker_times_get(c->group, i)->work_ns[work], slice, "ns", d);
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
	times_add(&worker_times_get(c->group, i)->turn_us, "turn", "us", d);
	for (unsigned work = 0; work < WORKER_WORKS; work++)
		work_add(c, i, work, d);
	for (unsigned work = 0; work < MEM_WORKS && c->domain[i] != NULL; work++) {
		mem_work_times_read(c->domain[i], (enum mem_work)work, &hist);
		times_add(&hist, name[work], "ns", d);
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
