// SPDX-License-Identifier: BSD-3-Clause
// The upkeep scheduler: how much of its time each worker spends on each kind of upkeep. Pure: what
// the reports said goes in, orders come out.
//
// Owner thread: the control core, each tick, a control_pace for each worker.
//
//	control_pace_init(&p, &settings);
//	if (control_pace_turn(&p, &settings, &load)) { ...p.order is another one: send it }
#pragma once

#include "worker/worker.h"

struct control_pace_settings {
	unsigned slice_us;      // upkeep-slice-us
	unsigned expire_effort; // active-expire-effort, 1 to 10
};

struct control_pace_load { // of one worker, since the tick before
	uint64_t passed_us;
	uint64_t requests_us; // of those, turns that had requests to answer
	uint64_t used_bytes, limit_bytes;
	uint64_t pending;        // worker_report.upkeep_pending
	unsigned defrag_percent; // of its time, that defrag takes (control_defrag.h)
};

struct control_pace {
	unsigned idle; // time without requests, of a thousand: smoothed
	bool pressed;  // the shard is at its limit, so that what could go is in the way
	struct worker_pace order;
};

void control_pace_init(struct control_pace *p, const struct control_pace_settings *set);
// True when the order has changed.
bool control_pace_turn(struct control_pace *p, const struct control_pace_settings *set,
	const struct control_pace_load *load);
