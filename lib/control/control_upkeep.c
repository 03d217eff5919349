// SPDX-License-Identifier: BSD-3-Clause
// /lcached/upkeep: how long a worker's turns took, and of them the slices of upkeep, by cause. A turn is
// what a request waits for at most.

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

static int worker_add(struct control *c, unsigned i, struct rte_tel_data *d)
{
	struct rte_tel_data *one = rte_tel_data_alloc();
	char name[32];

	if (one == NULL)
		return -1;
	rte_tel_data_start_dict(one);
	worker_reply(c, i, one);
	snprintf(name, sizeof(name), "worker_%u", i);
	return rte_tel_data_add_dict_container(d, name, one, 0) < 0 ? -1 : 0;
}

int control_upkeep_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	uint64_t worker;

	rte_tel_data_start_dict(d);
	if (params != NULL) {
		if (base_u64_parse(params, strlen(params), &worker) < 0 || worker >= c->workers)
			rte_tel_data_add_dict_string(
				d, "error", "/lcached/upkeep,N: no such worker");
		else
			worker_reply(c, (unsigned)worker, d);
		return 0;
	}
	for (unsigned i = 0; i < c->workers && i < WORKERS_SHOWN; i++) {
		if (worker_add(c, i, d) < 0)
			return -1;
	}
	if (c->workers > WORKERS_SHOWN)
		rte_tel_data_add_dict_string(d, "more", "/lcached/upkeep,N for the other workers");
	return 0;
}
