// SPDX-License-Identifier: BSD-3-Clause
// /lcached/upkeep: how long a worker's turns took, and of them the slices of upkeep, by cause. A
// turn is what a request waits for at most.

#include "control/control_internal.h"

#define WORKERS_SHOWN 12 // in one reply of 16 KB

struct time_names {
	const char *count, *p50, *p99, *p999, *max;
};

#define NAMES(what, unit) \
	{ \
		what "s", what "_p50_" unit, what "_p99_" unit, what "_p999_" unit, \
			what "_max_" unit \
	}

static const struct time_names turn_names = NAMES("turn", "us");
static const struct time_names store_names = NAMES("store_slice", "ns");
static const struct time_names work_names[MEM_WORKS] = {
	[MEM_WORK_PURGE] = NAMES("purge_slice", "ns"),
	[MEM_WORK_RETURN] = NAMES("return_slice", "ns"),
	[MEM_WORK_READY] = NAMES("ready_slice", "ns"),
};

static void times_add(
	const struct base_hist *h, const struct time_names *names, struct control_metrics *m)
{
	control_metric_add(m, names->count, h->count);
	control_metric_add(m, names->p50, base_hist_quantile(h, 0.5));
	control_metric_add(m, names->p99, base_hist_quantile(h, 0.99));
	control_metric_add(m, names->p999, base_hist_quantile(h, 0.999));
	control_metric_add(m, names->max, h->max);
}

static void worker_reply(struct control *c, unsigned i, struct rte_tel_data *d)
{
	const struct worker_times *t = worker_times_get(c->group, i);
	struct control_metrics m = {0};
	struct base_hist hist;

	times_add(&t->turn_us, &turn_names, &m);
	times_add(&t->store_ns, &store_names, &m);
	for (unsigned work = 0; work < MEM_WORKS && c->domain[i] != NULL; work++) {
		mem_work_times_read(c->domain[i], (enum mem_work)work, &hist);
		times_add(&hist, &work_names[work], &m);
	}
	control_metrics_reply(&m, d);
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
