// SPDX-License-Identifier: BSD-3-Clause
// Raises and clears alarms.

#include "control/control_alarm.h"

#include "base/base.h"

#define SECOND_US UINT64_C(1000000)
#define QUIET_US  (10 * SECOND_US) // a counter that has not grown for so long

struct rule {
	const char *name, *text;
	bool counts;
	uint64_t raise_from, clear_below; // of levels
	uint64_t raise_us, clear_us;      // how long
};

static const struct rule rules[CONTROL_ALARMS] = {
	[CONTROL_ALARM_LINK_DOWN] = {"link_down", "the device has no link", false, 1, 1, 0,
		SECOND_US},
	[CONTROL_ALARM_WORKER_STALLED] = {"worker_stalled", "workers without a heartbeat for 1 s",
		false, 1, 1, 0, 0},
	[CONTROL_ALARM_PACKET_BUFFERS_LOW] = {"packet_buffers_low",
		"percent of a worker's packet buffers in use", false, 95, 90, SECOND_US,
		5 * SECOND_US},
	[CONTROL_ALARM_REPLY_SLOTS_LOW] = {"reply_slots_low",
		"percent of a worker's reply slots in use", false, 95, 90, SECOND_US,
		5 * SECOND_US},
	[CONTROL_ALARM_MEMORY_FULL] = {"memory_full",
		"percent of maxmemory in use, and nothing may be evicted", false, 95, 93, SECOND_US,
		5 * SECOND_US},
	[CONTROL_ALARM_DEVICE_RX_MISSED] = {"device_rx_missed",
		"frames lost: the device had no room for them", true, 0, 0, 0, QUIET_US},
	[CONTROL_ALARM_DEVICE_RX_NO_BUFFER] = {"device_rx_no_buffer",
		"frames lost: the driver had no packet buffer", true, 0, 0, 0, QUIET_US},
	[CONTROL_ALARM_DEVICE_RX_ERRORS] = {"device_rx_errors",
		"frames that the device received broken", true, 0, 0, 0, QUIET_US},
	[CONTROL_ALARM_DEVICE_TX_ERRORS] = {"device_tx_errors",
		"frames that the device could not send", true, 0, 0, 0, QUIET_US},
	[CONTROL_ALARM_TX_DROPPED] = {"tx_dropped",
		"frames dropped: the device had no room to send them", true, 0, 0, 0, QUIET_US},
	[CONTROL_ALARM_STEER_DROPPED] = {"steer_dropped",
		"frames dropped: their worker's ring was full", true, 0, 0, 0, QUIET_US},
	[CONTROL_ALARM_UDP_DROPPED] = {"udp_dropped",
		"datagrams dropped: no reply slot or packet buffer for them", true, 0, 0, 0,
		QUIET_US},
	[CONTROL_ALARM_NO_BUFFER] = {"no_packet_buffer",
		"times that something could not be sent for want of a packet buffer", true, 0, 0, 0,
		QUIET_US},
	[CONTROL_ALARM_TCP_NO_MEMORY] = {"tcp_no_memory", "times that a connection found no memory",
		true, 0, 0, 0, QUIET_US},
	[CONTROL_ALARM_CLIENTS_EVICTED] = {"clients_evicted",
		"connections dropped: their buffers were too large", true, 0, 0, 0, QUIET_US},
};

// What the figures alone say; the present state where they say nothing.
static bool level_wants(const struct control_alarm *a, const struct rule *r, uint64_t value)
{
	return a->active ? value >= r->clear_below : value >= r->raise_from;
}

static bool counter_wants(struct control_alarm *a, uint64_t value, uint64_t now_us)
{
	// the first look finds what was there before anybody could know
	bool grown = a->known && value > a->value;

	if (grown)
		a->changed_us = now_us;
	return grown || (a->active && now_us - a->changed_us < QUIET_US);
}

static bool alarm_turn(struct control_alarm *a, const struct rule *r, uint64_t value,
	uint64_t now_us, uint64_t wall_s)
{
	bool wants = r->counts ? counter_wants(a, value, now_us) : level_wants(a, r, value);
	uint64_t hold_us = r->counts ? 0 : wants ? r->raise_us : r->clear_us;

	a->known = true;
	a->value = value;
	if (wants == a->active) {
		a->turning = false;
		return false;
	}
	if (!a->turning) {
		a->turning = true;
		a->turning_us = now_us;
	}
	if (now_us - a->turning_us < hold_us)
		return false;
	a->turning = false;
	a->active = wants;
	a->raised += wants;
	a->since_wall_s = wall_s;
	return true;
}

uint32_t control_alarms_turn(struct control_alarms *a, const struct control_alarm_figures *f,
	uint64_t now_us, uint64_t wall_s)
{
	uint32_t changed = 0;

	static_assert(CONTROL_ALARMS <= 32, "a bit each");
	for (unsigned i = 0; i < CONTROL_ALARMS; i++) {
		if (f->known[i] && alarm_turn(&a->alarm[i], &rules[i], f->value[i], now_us, wall_s))
			changed |= UINT32_C(1) << i;
	}
	return changed;
}

unsigned control_alarms_active(const struct control_alarms *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CONTROL_ALARMS; i++)
		n += a->alarm[i].active;
	return n;
}

const char *control_alarm_name(enum control_alarm_id id)
{
	base_assert(id < CONTROL_ALARMS);
	return rules[id].name;
}

const char *control_alarm_text(enum control_alarm_id id)
{
	base_assert(id < CONTROL_ALARMS);
	return rules[id].text;
}

bool control_alarm_counts(enum control_alarm_id id)
{
	base_assert(id < CONTROL_ALARMS);
	return rules[id].counts;
}
