// SPDX-License-Identifier: BSD-3-Clause
// Defrag's decisions (control_defrag.h).
//
//	fragmented: free room in slabs, and in hugepage mode in pages, of what is allocated
//	   < lower, or < ignore-bytes: nothing
//	   else a pass; its percentage may rise, and never falls, before it ends
//	a pass that brought less than a 16th: effort * 0.9, and a rest of 1, 2, 4 ... 256 s; as
//	before when an eighth more is fragmented
#include "control/control_defrag.h"

#define EFFORT_WHOLE  100
#define EFFORT_LESS   90 // percent of what it was, after a pass that brought nothing
#define GAIN_PART     16 // a pass that brings less than this part brought nothing
#define GROWTH_PART   8  // so much more is fragmented: all over again
#define FRUITLESS_MAX 8  // a rest is at most 2^8 s
#define REST_US       UINT64_C(1000000)
#define PAGES_WASTE   4 // with more than this part of waste in slabs, pages wait

unsigned control_defrag_percent(
	const struct control_defrag_settings *set, uint64_t frag_bytes, uint64_t allocated_bytes)
{
	uint64_t span = set->upper > set->lower ? set->upper - set->lower : 0, frag, percent;

	if (allocated_bytes == 0 || frag_bytes < set->ignore_bytes || frag_bytes == 0)
		return 0;
	frag = base_min_u64(frag_bytes, UINT64_MAX / 100) * 100 / allocated_bytes;
	if (frag < set->lower)
		return 0;
	if (set->cycle_max <= set->cycle_min)
		return set->cycle_min;
	if (frag >= set->upper || span == 0)
		return set->cycle_max;
	percent = (frag - set->lower) * (set->cycle_max - set->cycle_min) / span;
	return set->cycle_min + (unsigned)percent;
}

void control_defrag_init(struct control_defrag *d)
{
	*d = (struct control_defrag){.effort = EFFORT_WHOLE};
}

static uint64_t frag_of(const struct control_defrag_figures *f)
{
	return f->waste_bytes + f->scatter_bytes;
}

static void pass_begin(struct control_defrag *d, const struct control_defrag_figures *f)
{
	d->begun = true;
	d->passes = f->passes;
	d->frag_bytes = frag_of(f);
	if (++d->seq == 0)
		d->seq = 1;
	d->plan.seq = d->seq;
	d->plan.pages = f->scatter_bytes > 0 && f->waste_bytes <= f->allocated_bytes / PAGES_WASTE;
}

static void pass_judge(
	struct control_defrag *d, const struct control_defrag_figures *f, uint64_t now_us)
{
	uint64_t now = frag_of(f);

	d->begun = false;
	if (now + d->frag_bytes / GAIN_PART < d->frag_bytes) {
		d->fruitless = 0;
		d->effort = EFFORT_WHOLE;
		return;
	}
	d->frag_bytes = now;
	d->effort = d->effort * EFFORT_LESS / 100;
	d->rest_until_us = now_us + (REST_US << d->fruitless);
	if (d->fruitless < FRUITLESS_MAX)
		d->fruitless++;
}

static void growth_note(struct control_defrag *d, const struct control_defrag_figures *f)
{
	if (d->fruitless == 0 || frag_of(f) <= d->frag_bytes + d->frag_bytes / GROWTH_PART)
		return;
	d->fruitless = 0;
	d->effort = EFFORT_WHOLE;
	d->rest_until_us = 0;
}

static unsigned percent_of(const struct control_defrag *d,
	const struct control_defrag_settings *set, const struct control_defrag_figures *f)
{
	unsigned percent = control_defrag_percent(set, frag_of(f), f->allocated_bytes);

	return percent == 0
		? 0
		: (unsigned)base_max_u64(percent * d->effort / EFFORT_WHOLE, set->cycle_min);
}

// A worker that is told to stop gives back what it has kept first.
static void stop(struct control_defrag *d, const struct control_defrag_settings *set,
	const struct control_defrag_figures *f)
{
	*d = (struct control_defrag){
		.seq = d->seq,
		.effort = EFFORT_WHOLE,
		.percent = f->running ? set->cycle_max : 0,
	};
}

static void everything(struct control_defrag *d, const struct control_defrag_settings *set,
	const struct control_defrag_figures *f)
{
	if (!d->begun || (f->passes != d->passes && !f->running))
		pass_begin(d, f);
	d->plan.all = d->plan.pages = 1;
	d->percent = set->cycle_max;
}

static void fragmented(struct control_defrag *d, const struct control_defrag_settings *set,
	const struct control_defrag_figures *f, uint64_t now_us)
{
	unsigned percent;

	memcpy(d->plan.sparse, f->sparse, sizeof(d->plan.sparse));
	if (d->begun && f->passes != d->passes && !f->running) {
		pass_judge(d, f, now_us);
		d->percent = 0;
	}
	growth_note(d, f);
	percent = percent_of(d, set, f);
	if (d->begun) {
		d->percent = (unsigned)base_max_u64(d->percent, percent);
	} else if (percent > 0 && now_us >= d->rest_until_us) {
		pass_begin(d, f);
		d->percent = percent;
	}
}

bool control_defrag_turn(struct control_defrag *d, const struct control_defrag_settings *set,
	const struct control_defrag_figures *f, uint64_t now_us)
{
	struct control_defrag before = *d;

	if (d->all)
		everything(d, set, f);
	else if (set->on)
		fragmented(d, set, f, now_us);
	else
		stop(d, set, f);
	return before.percent != d->percent || memcmp(&before.plan, &d->plan, sizeof(d->plan)) != 0;
}
