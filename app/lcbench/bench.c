// SPDX-License-Identifier: BSD-3-Clause
// Phases: every key is set, every key is read and compared, then the load runs to warm up, then it
// is measured.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lcbench.h"

#define REPORT_NS         UINT64_C(1000000000)
#define STALL_NS          UINT64_C(5000000000) // without one answer: nobody is there
#define SECOND_NS         1e9
#define ONCE_INFLIGHT_MAX 4096 // of --once: a million requests at once are no test of the server

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int bench_open(struct bench *b, const struct bench_options *o)
{
	struct bench_flight *flights;
	int rc;

	memset(b, 0, sizeof(*b));
	b->o = o;
	base_rng_seed(&b->rng, o->seed);
	// over UDP every request in flight is a client of its own: answers come in any order
	b->clients = o->udp ? o->connections * o->pipeline : o->connections;
	b->per_client = o->udp ? 1 : o->pipeline;
	b->now_ns = bench_now_ns();
	rc = bench_workload_open(&b->workload, o);
	if (rc < 0)
		return rc;
	b->client = calloc(b->clients, sizeof(*b->client));
	flights = calloc((size_t)b->clients * b->per_client, sizeof(*flights));
	if (b->client == NULL || flights == NULL) {
		free(flights);
		bench_close(b);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < b->clients; i++) {
		b->client[i].flight = flights + (size_t)i * b->per_client;
		b->client[i].conn_index = o->udp ? i / o->pipeline : i;
		b->client[i].fd = -1;
		b->client[i].request_id = (uint16_t)(i % o->pipeline);
	}
	return 0;
}

void bench_close(struct bench *b)
{
	if (b->client != NULL)
		free(b->client[0].flight);
	free(b->client);
	bench_workload_close(&b->workload);
}

void bench_fail(struct bench *b, const char *why)
{
	if (b->failed == NULL)
		b->failed = why;
	b->phase = BENCH_DONE;
}

static void segment_begin(struct bench *b)
{
	b->segment_start_ns = b->now_ns;
	b->segment_requests = b->n.requests;
	memset(&b->segment_ns, 0, sizeof(b->segment_ns));
}

static void segment_end(struct bench *b)
{
	const struct base_hist *h = &b->segment_ns;

	if (b->segments == BENCH_SEGMENTS)
		return;
	b->segment[b->segments++] = (struct bench_segment){
		.start_s = (double)(b->segment_start_ns - b->phase_start_ns) / SECOND_NS,
		.seconds = (double)(b->now_ns - b->segment_start_ns) / SECOND_NS,
		.requests = b->n.requests - b->segment_requests,
		.gets = h->count,
		.get_p50_us = (double)base_hist_quantile(h, 0.5) / 1e3,
		.get_p99_us = (double)base_hist_quantile(h, 0.99) / 1e3,
		.get_p999_us = (double)base_hist_quantile(h, 0.999) / 1e3,
		.get_max_us = (double)h->max / 1e3,
	};
}

static void phase_enter(struct bench *b, enum bench_phase phase)
{
	b->phase = phase;
	b->phase_start_ns = b->now_ns;
	b->next_key = 0;
	b->kick = true;
	b->kicked = 0;
	b->credit_ns = b->now_ns;
	if (phase != BENCH_MEASURE)
		return;
	// what went wrong before spoils the run as much as what goes wrong now
	b->n = (struct bench_counters){.errors = b->n.errors, .verified = b->n.verified};
	memset(&b->latency_ns, 0, sizeof(b->latency_ns));
	memset(&b->get_latency_ns, 0, sizeof(b->get_latency_ns));
	b->marks = bench_marks;
	segment_begin(b);
	b->report_requests = 0;
	b->report_ns = b->now_ns;
	b->cpu_start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_start(struct bench *b)
{
	b->now_ns = bench_now_ns();
	b->report_ns = b->answer_ns = b->now_ns;
	phase_enter(b, BENCH_FILL);
}

static void measure_end(struct bench *b)
{
	segment_end(b);
	b->measured_ns = b->now_ns - b->phase_start_ns;
	b->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - b->cpu_start_ns;
	b->phase = BENCH_DONE;
}

static void phase_step(struct bench *b)
{
	double in_s = (double)(b->now_ns - b->phase_start_ns) / SECOND_NS;

	switch (b->phase) {
	case BENCH_FILL:
	case BENCH_CHECK:
		if (b->next_key < b->o->keys || b->inflight)
			break;
		if (b->phase == BENCH_CHECK && (b->n.misses || b->n.errors))
			bench_fail(b, "keys are missing or wrong after they were set");
		else if (b->phase == BENCH_FILL && b->n.errors)
			bench_fail(b, "keys could not be set");
		else
			phase_enter(b, b->o->evicting ? BENCH_WARMUP : b->phase + 1);
		break;
	case BENCH_WARMUP:
		if (in_s >= b->o->warmup_s)
			phase_enter(b, BENCH_MEASURE);
		break;
	case BENCH_MEASURE:
		if (b->marks != bench_marks) {
			b->marks = bench_marks;
			segment_end(b);
			segment_begin(b);
		}
		if (bench_enough ||
			(b->o->once ? b->n.requests >= b->clients - b->dead
				    : in_s >= b->o->seconds))
			measure_end(b);
		break;
	case BENCH_CONNECT:
	case BENCH_DONE:
		break;
	}
}

struct bench_client *bench_kick_next(struct bench *b, unsigned *left)
{
	bool more = b->kick || (b->o->rate && b->credit_ns < b->now_ns);

	if (!more || *left == 0 || (b->o->once && b->inflight >= ONCE_INFLIGHT_MAX))
		return NULL;
	--*left;
	if (b->kicked == b->clients) {
		b->kicked = 0;
		b->kick = false;
	}
	return &b->client[b->kicked++];
}

bool bench_client_done(const struct bench *b, const struct bench_client *c)
{
	return (b->phase == BENCH_WARMUP || b->phase == BENCH_MEASURE) &&
		c->conn_index < b->o->churn && c->inflight == 0 && !c->dead;
}

bool bench_turn(struct bench *b, bool busy)
{
	uint64_t now_ns = bench_now_ns();

	if (busy)
		b->n.busy_ns += now_ns - b->now_ns;
	b->now_ns = now_ns;
	phase_step(b);
	if (base_unlikely(now_ns - b->report_ns >= REPORT_NS))
		bench_progress(b);
	if (base_unlikely(now_ns - b->answer_ns >= STALL_NS))
		bench_fail(b, "no answers");
	if (base_unlikely(bench_stop))
		bench_fail(b, "interrupted");
	return b->phase != BENCH_DONE;
}

void bench_complete(struct bench *b, const struct bench_flight *f, bool miss, bool ok)
{
	b->answer_ns = b->now_ns;
	b->n.requests++;
	b->n.misses += miss;
	b->n.errors += !ok;
	if (b->phase != BENCH_MEASURE)
		return;
	base_hist_add(&b->latency_ns, b->now_ns - f->sent_ns);
	if (!f->set) {
		base_hist_add(&b->get_latency_ns, b->now_ns - f->sent_ns);
		base_hist_add(&b->segment_ns, b->now_ns - f->sent_ns);
	}
}
