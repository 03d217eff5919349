// SPDX-License-Identifier: BSD-3-Clause
#include "schedule.h"

#include "base/base.h"

#define SECOND_NS UINT64_C(1000000000)

void schedule_start(struct schedule *s, uint64_t rate, uint64_t now_ns)
{
	base_assert(rate > 0);
	*s = (struct schedule){.next_ns = now_ns,
		.rate = rate,
		.gap_ns = SECOND_NS / rate,
		.gap_rest = SECOND_NS % rate};
}

bool schedule_take(struct schedule *s, uint64_t now_ns, uint64_t *due_ns)
{
	if (s->next_ns > now_ns)
		return false;
	*due_ns = s->next_ns;
	s->next_ns += s->gap_ns;
	s->rest += s->gap_rest;
	if (s->rest >= s->rate) {
		s->rest -= s->rate;
		s->next_ns++;
	}
	return true;
}

uint64_t schedule_backlog(struct schedule *s, uint64_t now_ns)
{
	uint64_t backlog = 0;

	if (s->next_ns <= now_ns)
		backlog = (uint64_t)((double)(now_ns - s->next_ns) * (double)s->rate / 1e9) + 1;
	s->backlog_max = base_max_u64(s->backlog_max, backlog);
	return backlog;
}
