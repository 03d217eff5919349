// SPDX-License-Identifier: BSD-3-Clause
// When a worker's memory is defragmented, what of it, and for how much of the worker's time. Pure:
// figures and reports go in, a plan and a percentage come out.
//
// Owner thread: the control core, a control_defrag for each worker, about every second.
//
//	control_defrag_turn(&d, &set, &figures, now_us);
//	... d.plan goes into the worker's orders, d.percent to the scheduler (control_pace.h)
#pragma once

#include "store/store.h"

struct control_defrag_settings { // Redis' options of these names
	bool on;                 // activedefrag
	uint64_t ignore_bytes;   // active-defrag-ignore-bytes, of this worker
	unsigned lower, upper;   // active-defrag-threshold-lower, -upper: percent
	unsigned cycle_min, cycle_max;
};

struct control_defrag_figures { // of a worker
	uint64_t allocated_bytes;
	uint64_t waste_bytes;   // free room in slabs
	uint64_t scatter_bytes; // free room in 2 MiB pages that are in use; 0 without such
	uint8_t sparse[MEM_BINS];
	uint64_t passes, running; // as its report has them: defrag_passes, defrag_running
};

struct control_defrag {
	struct store_defrag_plan plan;
	unsigned percent; // of the worker's time
	bool all;         // tests: one pass after the other, of every block
	// of the pass under way, or the last one
	bool begun;
	uint64_t passes, frag_bytes;
	// What passes that brought nothing have led to; both back at once when there is more.
	unsigned effort; // percent
	unsigned fruitless;
	uint64_t rest_until_us;
	uint32_t seq;
};

// Redis' formula: the percentage of time, from cycle_min at the lower threshold to cycle_max at the
// upper one; 0 below the lower one, or below ignore_bytes.
unsigned control_defrag_percent(
	const struct control_defrag_settings *set, uint64_t frag_bytes, uint64_t allocated_bytes);
void control_defrag_init(struct control_defrag *d);
// True when plan or percentage have changed.
bool control_defrag_turn(struct control_defrag *d, const struct control_defrag_settings *set,
	const struct control_defrag_figures *f, uint64_t now_us);
