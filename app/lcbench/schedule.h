// SPDX-License-Identifier: BSD-3-Clause
// The open loop: request n is due at start + n / rate, whatever became of those before. A request
// that leaves late is late by that much: its latency counts from when it was due, so that a server
// that stands still for a second is seen as the clients of that second would have seen it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct schedule {
	uint64_t next_ns;     // when the next request is due
	uint64_t rate;        // a second
	uint64_t gap_ns;      // 1 s / rate, and
	uint64_t gap_rest;    // ... the rest, in 1/rate ns, that ...
	uint64_t rest;        // ... is saved here until it is a nanosecond
	uint64_t backlog_max; // the most that were due and had not left
};

void schedule_start(struct schedule *s, uint64_t rate, uint64_t now_ns);
// Whether a request is due. If so *due_ns says since when, and the next one is scheduled.
bool schedule_take(struct schedule *s, uint64_t now_ns, uint64_t *due_ns);
// How many are due and have not been taken; remembers the most.
uint64_t schedule_backlog(struct schedule *s, uint64_t now_ns);
