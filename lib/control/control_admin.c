// SPDX-License-Identifier: BSD-3-Clause
// What clients ask of the control core by the text protocol: cache_memlimit, verbosity, shutdown,
// watch. The workers' reports bring it, the orders bring the answer.

#include "control/control_internal.h"

#define DOCTOR_US (5 * 1000 * 1000)

// detail-enabled is what was last ordered, by a client or by its own change. A client's order comes
// to the workers as its own message, in its place among that client's requests: not from here.
static void detail_tick(struct control *c)
{
	if (c->cfg->detail != c->admin.detail) {
		c->orders.detail = worker_detail_order(c->group, c->cfg->detail);
		control_orders_push(c);
	}
	c->cfg->detail = c->admin.detail = worker_detail_latest(c->group) & 1;
}

int control_config_change(struct control *c, const char *name, const char *value,
	enum mem_verdict *fits, char *lines, size_t len)
{
	struct control_config wanted;
	char err[256];
	int rc;

	detail_tick(c); // before it is changed
	wanted = *c->cfg;
	*fits = MEM_TOO_MUCH;
	if (control_config_set(&wanted, name, value, lines, len) < 0 ||
		control_config_check(&wanted, lines, len) < 0)
		return 0;
	*fits = MEM_FITS;
	if (wanted.maxmemory_bytes > c->cfg->maxmemory_bytes)
		*fits = control_memory_check(
			c, &wanted, c->memory.packet_bytes, c->memory.packets_huge, lines, len);
	if (*fits != MEM_FITS)
		base_warn("%s: %s", name, lines);
	if (*fits == MEM_TOO_MUCH)
		return 0;
	rc = control_access_change(c, &wanted, lines, len);
	if (rc < 0)
		*fits = MEM_TOO_MUCH;
	if (rc != 0)
		return rc < 0 ? 0 : rc;
	control_config_set(c->cfg, name, value, err, sizeof(err)); // no more than that field
	detail_tick(c);
	control_memory_apply(c);
	control_orders_push(c);
	return 0;
}

static void memlimit_answer(struct control *c, unsigned i)
{
	const struct worker_report *r = &c->report[i];
	uint64_t before = c->cfg->maxmemory_bytes;
	enum mem_verdict fits;
	char value[32], lines[512] = "";

	if (r->memlimit_seq == c->admin.memlimit_seq[i])
		return;
	snprintf(value, sizeof(value), "%llu", (unsigned long long)r->memlimit_bytes);
	control_config_change(c, "maxmemory", value, &fits, lines, sizeof(lines));
	c->admin.memlimit_refused[i] = fits == MEM_TOO_MUCH;
	c->admin.memlimit_seq[i] = r->memlimit_seq;
	if (c->admin.memlimit_refused[i])
		base_warn("cache_memlimit of a client: %s", lines);
	else if (before != c->cfg->maxmemory_bytes)
		base_info("cache_memlimit of a client: maxmemory is %s", value);
	control_orders_push(c);
}

// Levels above ours are the last of ours.
static void verbosity_take(struct control *c, unsigned i)
{
	const struct worker_report *r = &c->report[i];
	char value[16], lines[256];
	enum mem_verdict fits;

	if (r->verbosity_seq == c->admin.verbosity_seq[i])
		return;
	c->admin.verbosity_seq[i] = r->verbosity_seq;
	snprintf(value, sizeof(value), "%u", (unsigned)base_min_u64(r->verbosity, 2));
	control_config_change(c, "verbosity", value, &fits, lines, sizeof(lines));
}

// What all workers together are to tell; and what each of them tells already.
static void watch_order(struct control *c)
{
	bool known = true, news = false;
	uint32_t watch = 0, ready;

	for (unsigned i = 0; i < c->workers; i++) {
		watch |= c->report[i].watch;
		known &= c->report[i].watch_change == c->orders.watch_change;
		news |= c->report[i].watch_seq != c->admin.watch_seq[i];
		c->admin.watch_seq[i] = c->report[i].watch_seq;
	}
	ready = known && watch == c->orders.watch ? watch : 0;
	if (watch == c->orders.watch && ready == c->orders.watch_ready && !news)
		return;
	c->active_us = c->now.mono_us;
	c->orders.watch_change += watch != c->orders.watch;
	c->orders.watch = watch;
	c->orders.watch_ready = ready;
	control_orders_push(c);
}

void control_admin_tick(struct control *c)
{
	for (unsigned i = 0; i < c->workers; i++) {
		memlimit_answer(c, i);
		verbosity_take(c, i);
		if (c->report[i].shutdown && !c->admin.shutdown) {
			base_info("shutdown: a client asks for it");
			c->admin.shutdown = true;
		}
	}
	watch_order(c);
	detail_tick(c);
	if (c->admin.verbosity != c->cfg->verbosity) {
		c->admin.verbosity = c->cfg->verbosity;
		base_log_level_set(c->cfg->verbosity == 0 ? BASE_LOG_INFO : BASE_LOG_DEBUG);
	}
	if (c->now.mono_us - c->admin.doctor_us >= DOCTOR_US) {
		c->admin.doctor_us = c->now.mono_us;
		control_doctor_publish(c);
	}
}

bool control_shutdown_asked(const struct control *c)
{
	return c->admin.shutdown;
}
