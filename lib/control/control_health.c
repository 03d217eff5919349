// SPDX-License-Identifier: BSD-3-Clause
// What the alarms are raised by: figures of the device, the pools and the reports, looked at now
// and then. /lcached/alarms and `stats alarms`; the log says once that an alarm is raised, and once
// that it is over.

#include <inttypes.h>

#include "control/control_internal.h"

#define DEVICE_US (1000 * 1000) // a device may have to be asked over its bus
#define LOOK_US   (100 * 1000)

static uint64_t percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : part * 100 / whole;
}

static void figure(struct control_alarm_figures *f, enum control_alarm_id id, uint64_t value)
{
	f->known[id] = true;
	f->value[id] = value;
}

static void device_figures(struct control *c, struct control_alarm_figures *f)
{
	struct port_health h;

	if (c->port == NULL || c->now.mono_us - c->health.device_us < DEVICE_US)
		return;
	c->health.device_us = c->now.mono_us;
	port_health_read(c->port, &h);
	if (h.link == PORT_LINK_UP)
		c->health.link_seen = true;
	// one that never had a link may be of the kind that never tells
	if (h.link == PORT_LINK_UP ||
		(h.link == PORT_LINK_DOWN && (c->health.link_seen || !h.virtual_device)))
		figure(f, CONTROL_ALARM_LINK_DOWN, h.link == PORT_LINK_DOWN);
	if (!h.counted)
		return;
	figure(f, CONTROL_ALARM_DEVICE_RX_MISSED, h.rx_missed);
	figure(f, CONTROL_ALARM_DEVICE_RX_NO_BUFFER, h.rx_no_buffer);
	figure(f, CONTROL_ALARM_DEVICE_RX_ERRORS, h.rx_errors);
	figure(f, CONTROL_ALARM_DEVICE_TX_ERRORS, h.tx_errors);
}

static void pool_figures(const struct control *c, struct control_alarm_figures *f)
{
	uint64_t buffers = 0, slots = 0;

	for (unsigned i = 0; i < c->workers; i++) {
		slots = base_max_u64(
			slots, percent(c->report[i].n.slots_out, worker_slots_count()));
		if (c->port != NULL)
			buffers = base_max_u64(buffers, port_pool_percent(c->port, i));
	}
	figure(f, CONTROL_ALARM_REPLY_SLOTS_LOW, slots);
	if (c->port != NULL)
		figure(f, CONTROL_ALARM_PACKET_BUFFERS_LOW, buffers);
}

static void server_figures(const struct control *c, struct control_alarm_figures *f)
{
	const struct worker_counters *n = &c->total.sum;
	bool evicts = c->cfg->policy != STORE_NOEVICTION;

	figure(f, CONTROL_ALARM_WORKER_STALLED, c->total.stalled);
	figure(f, CONTROL_ALARM_MEMORY_FULL,
		evicts ? 0 : percent(c->total.used_bytes, c->cfg->maxmemory_bytes));
	figure(f, CONTROL_ALARM_TX_DROPPED, n->tx_dropped);
	figure(f, CONTROL_ALARM_STEER_DROPPED, n->steer_dropped);
	figure(f, CONTROL_ALARM_UDP_DROPPED, n->udp_dropped);
	figure(f, CONTROL_ALARM_NO_BUFFER, n->net.no_mbuf);
	figure(f, CONTROL_ALARM_TCP_NO_MEMORY, n->tcp.no_memory);
	figure(f, CONTROL_ALARM_CLIENTS_EVICTED, n->evicted_clients);
}

static void change_log(const struct control *c, enum control_alarm_id id)
{
	const struct control_alarm *a = &c->health.alarms.alarm[id];

	if (id == CONTROL_ALARM_WORKER_STALLED)
		return; // each worker has lines of its own
	if (!a->active)
		base_warn("alarm %s is over", control_alarm_name(id));
	else if (id == CONTROL_ALARM_LINK_DOWN)
		base_warn("alarm %s: %s", control_alarm_name(id), control_alarm_text(id));
	else
		base_warn("alarm %s: %" PRIu64 " %s", control_alarm_name(id), a->value,
			control_alarm_text(id));
}

static void text_publish(struct control *c)
{
	char text[WORKER_MEMORY_TEXT_MAX];
	size_t at = 0;

	for (unsigned i = 0; i < CONTROL_ALARMS; i++) {
		const struct control_alarm *a = &c->health.alarms.alarm[i];
		const char *name = control_alarm_name((enum control_alarm_id)i);

		at += (size_t)snprintf(text + at, sizeof(text) - at,
			"STAT %s:active %u\r\nSTAT %s:raised %" PRIu64 "\r\nSTAT %s:since %" PRIu64
			"\r\nSTAT %s:value %" PRIu64 "\r\n",
			name, a->active, name, a->raised, name, a->since_wall_s, name, a->value);
		base_assert(at < sizeof(text));
	}
	worker_alarm_text_set(c->group, text, at);
}

void control_health_tick(struct control *c)
{
	struct control_alarm_figures f = {0};
	uint32_t changed;
	uint64_t device_us = c->health.device_us;

	if (c->now.mono_us - c->health.look_us < LOOK_US)
		return;
	c->health.look_us = c->now.mono_us;
	device_figures(c, &f);
	pool_figures(c, &f);
	server_figures(c, &f);
	changed = control_alarms_turn(&c->health.alarms, &f, c->now.mono_us, c->now.wall_s);
	for (unsigned i = 0; i < CONTROL_ALARMS; i++) {
		if (changed >> i & 1)
			change_log(c, (enum control_alarm_id)i);
	}
	if (changed != 0 || c->health.device_us != device_us || c->port == NULL)
		text_publish(c);
}

void control_port_set(struct control *c, const struct port *port)
{
	c->port = port;
}

// ---- /lcached/alarms ---------------------------------------------------------------------------
static int alarm_reply(
	const struct control_alarm *a, enum control_alarm_id id, struct rte_tel_data *d)
{
	struct rte_tel_data *one = rte_tel_data_alloc();

	if (one == NULL)
		return -1;
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_u64(one, "active", a->active);
	rte_tel_data_add_dict_u64(one, "since", a->since_wall_s);
	rte_tel_data_add_dict_u64(one, "count", a->raised);
	rte_tel_data_add_dict_u64(one, "value", a->value);
	rte_tel_data_add_dict_string(one, "text", control_alarm_text(id));
	if (rte_tel_data_add_dict_container(d, control_alarm_name(id), one, 0) < 0) {
		rte_tel_data_free(one);
		return -1;
	}
	return 0;
}

int control_alarms_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	int rc = 0;

	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "active", control_alarms_active(&c->health.alarms));
	for (unsigned i = 0; i < CONTROL_ALARMS && rc == 0; i++) {
		const struct control_alarm *a = &c->health.alarms.alarm[i];

		if (a->known)
			rc = alarm_reply(a, (enum control_alarm_id)i, d);
	}
	return rc;
}
