// SPDX-License-Identifier: BSD-3-Clause
// What share of a worker's time each kind of upkeep may take.
//
// A share is the largest of three: what the kind may always have, what it may have while memory is
// short, and a part of the time in which there is nothing else to do. Together the kinds that have
// work take at most half of a busy worker's time; beyond that each gives up in proportion.

#include "control/control_pace.h"

#define IDLE_WEIGHT   8   // ticks over which idle time is smoothed
#define SHARE_STEP    25  // us a ms: parts of idle time are multiples, so that orders change seldom
#define BUSY_MOST     500 // of a ms, for all kinds together
#define IDLE_MOST     90  // percent of idle time, for the same
#define PRESSED_SHARE 64  // at the limit: less than such a part of it is free
#define MS_US         1000
#define EFFORT_SHARE  37 // of a ms, for each step of active-expire-effort

struct share {
	uint16_t busy_us, pressed_us; // of a ms
	uint16_t idle_percent;        // of idle time
};

// Redis' slow cycle may take 25 % of the time at effort 1, and 43 % at 10. A tenth expires a
// million keys a second beside a full load; with a quarter the slowest of a thousand gets takes
// twice as long meanwhile. At effort 10 the share is Redis'.
static struct share share_of(
	unsigned work, const struct control_pace_settings *set, unsigned defrag_percent)
{
	static const struct share shares[WORKER_WORKS] = {
		[STORE_WORK_FREE] = {100, 300, 70},
		[STORE_WORK_EXPIRE] = {100, 400, 70},
		[STORE_WORK_ROOM] = {300, 500, 90},
		[STORE_WORK_INDEX] = {100, 100, 70},
		[WORKER_WORK_SNAPSHOT] = {15, 15, 10}, // the writer takes more than the walk
	};
	struct share s = shares[work];

	if (work == STORE_WORK_DEFRAG)
		s.busy_us = s.pressed_us = (uint16_t)(defrag_percent * MS_US / 100);
	if (work == STORE_WORK_EXPIRE) {
		s.busy_us = (uint16_t)(s.busy_us + EFFORT_SHARE * (set->expire_effort - 1));
		s.pressed_us = (uint16_t)base_max_u64(s.pressed_us, s.busy_us);
	}
	return s;
}

static unsigned share_us(const struct share *s, bool pressed, unsigned idle)
{
	uint64_t us = pressed ? s->pressed_us : s->busy_us, idle_us = idle * s->idle_percent / 100;

	return (unsigned)base_max_u64(us, idle_us - idle_us % SHARE_STEP);
}

static void load_note(struct control_pace *p, const struct control_pace_load *load)
{
	uint64_t busy;

	if (load->passed_us == 0)
		return;
	busy = base_min_u64(load->requests_us * MS_US / load->passed_us, MS_US);
	p->idle = (unsigned)((p->idle * (IDLE_WEIGHT - 1) + (MS_US - busy)) / IDLE_WEIGHT);
	p->pressed = load->limit_bytes > 0 &&
		load->used_bytes + load->limit_bytes / PRESSED_SHARE >= load->limit_bytes;
}

static struct worker_pace order_make(const struct control_pace *p,
	const struct control_pace_settings *set, uint64_t pending, unsigned defrag_percent)
{
	uint64_t most = base_max_u64(BUSY_MOST, (uint64_t)p->idle * IDLE_MOST / 100), sum = 0;
	struct worker_pace order = {.slice_us = (uint16_t)set->slice_us};
	unsigned us[WORKER_WORKS];

	for (unsigned work = 0; work < WORKER_WORKS; work++) {
		struct share s = share_of(work, set, defrag_percent);

		us[work] = share_us(&s, p->pressed, p->idle);
		sum += pending & UINT64_C(1) << work ? us[work] : 0;
	}
	for (unsigned work = 0; work < WORKER_WORKS; work++) {
		uint64_t share = us[work];

		if (sum > most && (pending & UINT64_C(1) << work))
			share = share * most / sum;
		order.us_a_ms[work] = (uint16_t)share;
	}
	return order;
}

void control_pace_init(struct control_pace *p, const struct control_pace_settings *set)
{
	*p = (struct control_pace){0};
	p->order = order_make(p, set, 0, 0);
}

bool control_pace_turn(struct control_pace *p, const struct control_pace_settings *set,
	const struct control_pace_load *load)
{
	struct worker_pace order;

	load_note(p, load);
	order = order_make(p, set, load->pending, load->defrag_percent);
	if (memcmp(&order, &p->order, sizeof(order)) == 0)
		return false;
	p->order = order;
	return true;
}
