// SPDX-License-Identifier: BSD-3-Clause
// Free memory given back to the system: on request, and by itself when a flush has left much of it.
// The workers do it in slices; who asked gets an answer at once.

#include "control/control_internal.h"

#define ANSWER_US   40000                // a call is answered after that, done or not
#define FLUSH_BYTES (UINT64_C(16) << 20) // free pages of a shard that make it worth while

static uint64_t resident_bytes(void)
{
	uint64_t rss_bytes = 0, huge_bytes = 0;

	mem_resident_read(&rss_bytes, &huge_bytes);
	return rss_bytes + huge_bytes;
}

static bool workers_purge(const struct control *c)
{
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->domain[i] != NULL && mem_purge_running(c->domain[i]))
			return true;
	}
	return false;
}

static void purge_begin(struct control *c)
{
	struct control_purge *p = &c->purge;

	if (!p->running) {
		p->running = true;
		p->before_bytes = p->after_bytes = resident_bytes();
		p->began_us = c->now.mono_us;
	}
	mem_purge();
}

// A flush has been freed whole, and its pages are the shard's for nothing.
static bool flush_left_pages(struct control *c, unsigned i)
{
	struct control_upkeep *u = &c->upkeep[i];
	const struct worker_report *report = &c->report[i];
	struct mem_domain_stats st;

	if (c->domain[i] == NULL || report->n.store.flushed == u->flushed)
		return false;
	if (report->upkeep_pending & UINT64_C(1) << STORE_WORK_FREE)
		return false;
	u->flushed = report->n.store.flushed;
	mem_domain_stats_read(c->domain[i], &st);
	return st.held_bytes > st.used_bytes + FLUSH_BYTES;
}

void control_purge_tick(struct control *c)
{
	struct control_purge *p = &c->purge;

	for (unsigned i = 0; i < c->workers; i++) {
		if (flush_left_pages(c, i)) {
			purge_begin(c);
			mem_purge_start(c->domain[i]);
			p->automatic++;
		}
	}
	if (!p->running)
		return;
	p->running = workers_purge(c);
	if (!p->running) {
		p->after_bytes = resident_bytes();
		p->took_us = c->now.mono_us - p->began_us;
	}
}

static void state_reply(struct control *c, struct rte_tel_data *d)
{
	const struct control_purge *p = &c->purge;
	uint64_t after_bytes = p->running ? resident_bytes() : p->after_bytes;

	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "status",
		p->running                 ? "started"
			: p->began_us != 0 ? "done"
					   : "never asked for");
	rte_tel_data_add_dict_u64(d, "before_bytes", p->before_bytes);
	rte_tel_data_add_dict_u64(d, "after_bytes", after_bytes);
	rte_tel_data_add_dict_u64(
		d, "freed_bytes", p->before_bytes - base_min_u64(p->before_bytes, after_bytes));
	rte_tel_data_add_dict_u64(d, "us", p->running ? c->now.mono_us - p->began_us : p->took_us);
	rte_tel_data_add_dict_u64(d, "after_flushes", p->automatic);
}

int control_purge_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	struct control_purge *p = &c->purge;

	if (params != NULL && strcmp(params, "state") == 0) {
		state_reply(c, d);
		return 0;
	}
	if (params != NULL) {
		rte_tel_data_start_dict(d);
		rte_tel_data_add_dict_string(
			d, "error", "/lcached/memory/purge, or /lcached/memory/purge,state");
		return 0;
	}
	if (c->serving > p->waiter) { // a call that has not been here before
		p->waiter = c->serving;
		p->asked_us = c->now.mono_us;
		purge_begin(c);
		for (unsigned i = 0; i < c->workers; i++) {
			if (c->domain[i] != NULL)
				mem_purge_start(c->domain[i]);
		}
		return CONTROL_AGAIN;
	}
	if (p->running && c->now.mono_us - p->asked_us < ANSWER_US)
		return CONTROL_AGAIN;
	state_reply(c, d);
	return 0;
}
