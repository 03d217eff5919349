// SPDX-License-Identifier: BSD-3-Clause
// Alarms: what an operator must know of. Figures in, states out: nothing here reads a clock, a
// device or a report, and nothing is logged.
//
// A level raises its alarm when it has been at or above a limit for a while, and clears it when it
// has been below a lower one for a while. A counter of things that must not happen raises its alarm
// when it grows, and clears it when it has not grown for a while.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum control_alarm_id {
	CONTROL_ALARM_LINK_DOWN,
	CONTROL_ALARM_WORKER_STALLED,      // workers without a heartbeat
	CONTROL_ALARM_PACKET_BUFFERS_LOW,  // percent in use, of the worker that has the fewest
	CONTROL_ALARM_REPLY_SLOTS_LOW,     // the same
	CONTROL_ALARM_MEMORY_FULL,         // percent in use, where nothing may be evicted
	CONTROL_ALARM_DEVICE_RX_MISSED,    // frames: the device had no room
	CONTROL_ALARM_DEVICE_RX_NO_BUFFER, // ... the driver found no packet buffer
	CONTROL_ALARM_DEVICE_RX_ERRORS,
	CONTROL_ALARM_DEVICE_TX_ERRORS,
	CONTROL_ALARM_TX_DROPPED,    // the device took nothing for too long
	CONTROL_ALARM_STEER_DROPPED, // the ring to another worker was full
	CONTROL_ALARM_UDP_DROPPED,   // no slot, credit or buffer for a datagram's requests
	CONTROL_ALARM_NO_BUFFER,     // no packet buffer for something to be sent
	CONTROL_ALARM_TCP_NO_MEMORY, // for a connection, or what it received
	CONTROL_ALARM_CLIENTS_EVICTED,
	CONTROL_ALARMS
};

struct control_alarm {
	bool active;
	bool known;            // there is such a figure
	bool turning;          // on its way to the other state, since turning_us
	uint64_t value;        // of the last look
	uint64_t raised;       // times
	uint64_t since_wall_s; // of the present state; 0: since the start
	uint64_t changed_us;   // when a counter last grew
	uint64_t turning_us;
};

struct control_alarms {
	struct control_alarm alarm[CONTROL_ALARMS];
};

struct control_alarm_figures {
	bool known[CONTROL_ALARMS];
	uint64_t value[CONTROL_ALARMS];
};

// Takes a look. Returns a bit for each alarm that was raised or cleared by it. What is not known
// stays as it is.
uint32_t control_alarms_turn(struct control_alarms *a, const struct control_alarm_figures *f,
	uint64_t now_us, uint64_t wall_s);
unsigned control_alarms_active(const struct control_alarms *a);
const char *control_alarm_name(enum control_alarm_id id);
// What it means, in a few words.
const char *control_alarm_text(enum control_alarm_id id);
// Whether it counts events; else it is a level.
bool control_alarm_counts(enum control_alarm_id id);
