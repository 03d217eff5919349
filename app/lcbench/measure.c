// SPDX-License-Identifier: BSD-3-Clause
// What is measured: counters, latencies, and the segments that SIGUSR1 or --segments cuts the
// measurement into.
//
// With --watch a segment is calm when other processes kept the generator's thread and the server's
// from their cores for at most 0.5% of it, and of the segment before, whose backlog it would
// inherit.
// What a machine's other work does to latencies is so kept apart from what the server does.
#include <string.h>

#include "lcbench.h"

#define SECOND_NS   1e9
#define CALM_SHARE  0.005
#define SCALE_TO_US 1e-3

static uint64_t both_waited_ns(struct bench *b)
{
	return waited_ns(&b->own) + waited_ns(&b->watched);
}

static void segment_begin(struct bench *b)
{
	b->segment_start_ns = b->now_ns;
	b->segment_requests = b->n.requests;
	b->segment_max_ns = 0;
	b->segment_before = b->get_ns;
}

// What --watch says about the segment that ends.
static void segment_judge(struct bench *b, struct bench_segment *s, const struct hist *h)
{
	bool still;

	s->waited_us = (double)both_waited_ns(b) * SCALE_TO_US;
	still = s->waited_us <= s->seconds * 1e6 * CALM_SHARE;
	s->calm = still && !b->segment_spoiled;
	b->segment_spoiled = !still;
	if (s->calm) {
		hist_merge(&b->calm_ns, h);
		b->calm++;
	}
}

static void segment_end(struct bench *b)
{
	struct hist *h = &b->scratch;

	if (b->segments == BENCH_SEGMENTS)
		return;
	hist_since(h, &b->get_ns, &b->segment_before);
	h->max = b->segment_max_ns;
	b->segment[b->segments++] = (struct bench_segment){
		.start_s = (double)(b->segment_start_ns - b->phase_start_ns) / SECOND_NS,
		.seconds = (double)(b->now_ns - b->segment_start_ns) / SECOND_NS,
		.requests = b->n.requests - b->segment_requests,
		.gets = h->count,
		.get_p50_us = (double)hist_quantile(h, 0.5) / 1e3,
		.get_p99_us = (double)hist_quantile(h, 0.99) / 1e3,
		.get_p999_us = (double)hist_quantile(h, 0.999) / 1e3,
		.get_max_us = (double)h->max / 1e3,
	};
	if (b->o->watch)
		segment_judge(b, &b->segment[b->segments - 1], h);
}

void bench_measure_begin(struct bench *b)
{
	// what went wrong before spoils the run as much as what goes wrong now
	b->n = (struct bench_counters){.errors = b->n.errors, .verified = b->n.verified};
	memset(&b->get_ns, 0, sizeof(b->get_ns));
	memset(&b->set_ns, 0, sizeof(b->set_ns));
	b->schedule.backlog_max = 0;
	b->marks = bench_marks;
	if (b->o->watch &&
		(waited_open(&b->own, 0) || waited_open(&b->watched, (pid_t)b->o->watch)))
		bench_fail(b, "--watch: the kernel does not say who waits for a core");
	segment_begin(b);
	b->report_requests = 0;
	b->report_ns = b->now_ns;
	b->cpu_start_ns = bench_cpu_ns();
	if (b->o->progress) // whoever watches the server meanwhile waits for this
		fprintf(stderr, "lcbench: measuring\n");
}

void bench_measure_mark(struct bench *b)
{
	double segment_s = (double)(b->now_ns - b->segment_start_ns) / SECOND_NS;
	bool over = b->o->segments > 1 && segment_s >= b->o->seconds / b->o->segments;

	if (b->marks == bench_marks && !over)
		return;
	b->marks = bench_marks;
	segment_end(b);
	segment_begin(b);
}

void bench_measure_end(struct bench *b)
{
	segment_end(b);
	b->measured_ns = b->now_ns - b->phase_start_ns;
	b->cpu_ns = bench_cpu_ns() - b->cpu_start_ns;
	waited_close(&b->own);
	waited_close(&b->watched);
	if (b->o->rate)
		b->backlog = schedule_backlog(&b->schedule, b->now_ns);
}

void bench_complete(struct bench *b, const struct bench_flight *f, bool ok)
{
	uint64_t took_ns = b->now_ns - f->due_ns;

	b->answer_ns = b->now_ns;
	b->n.requests++;
	b->n.errors += !ok;
	if (b->phase != BENCH_MEASURE)
		return;
	if (f->set) {
		hist_add(&b->set_ns, took_ns);
		return;
	}
	hist_add(&b->get_ns, took_ns);
	b->segment_max_ns = base_max_u64(b->segment_max_ns, took_ns);
}
