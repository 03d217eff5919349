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
#define FILL_FLIGHTS      32
#define FILL_VALUE_MAX    256
#define FILL_CONNS_MAX    1024
#define ONCE_INFLIGHT_MAX 4096 // of --once: a million requests at once are no test of the server

volatile bool bench_stop;
volatile unsigned bench_marks;
volatile bool bench_enough;

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

uint64_t bench_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int clients_open(struct bench *b)
{
	size_t flights = (size_t)b->clients * b->per_client;
	const struct bench_options *o = b->o;
	struct bench_flight *flight;

	b->client = calloc(b->clients, sizeof(*b->client));
	b->flight = flight = calloc(flights, sizeof(*flight));
	b->key = calloc(flights * o->multi, sizeof(*b->key));
	if (b->client == NULL || b->flight == NULL || b->key == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < flights; i++)
		flight[i].key = b->key + i * o->multi;
	for (unsigned i = 0; i < b->clients; i++) {
		b->client[i].flight = flight + (size_t)i * b->per_client;
		b->client[i].conn_index = o->udp ? i / o->pipeline : i;
		b->client[i].fd = -1;
		b->client[i].request_id = (uint16_t)(i % o->pipeline);
	}
	return 0;
}

// Of a connection. Keys are set and read sooner than they are asked for when they are small.
static unsigned flights_most(const struct bench_options *o)
{
	bool small = o->value_sizes.max <= FILL_VALUE_MAX && o->multi == 1 &&
		o->connections <= FILL_CONNS_MAX;

	return small && o->preload ? (unsigned)base_max_u64(o->pipeline, FILL_FLIGHTS)
				   : o->pipeline;
}

int bench_open(struct bench *b, const struct bench_options *o)
{
	int rc;

	memset(b, 0, sizeof(*b));
	b->o = o;
	words_open(&b->words, o);
	// over UDP every request in flight is a client of its own: answers come in any order
	b->clients = o->udp ? o->connections * o->pipeline : o->connections;
	b->per_client = o->udp ? 1 : flights_most(o);
	b->now_ns = bench_now_ns();
	rc = bench_workload_open(&b->workload, o);
	if (rc < 0)
		return rc;
	b->head = malloc(base_max_u64(WORDS_HEAD_MAX, words_get_max(&b->words, o->multi)));
	if (b->head == NULL || clients_open(b)) {
		bench_close(b);
		return -ENOMEM;
	}
	return 0;
}

void bench_close(struct bench *b)
{
	free(b->key);
	free(b->flight);
	free(b->client);
	free(b->head);
	bench_workload_close(&b->workload);
}

void bench_fail(struct bench *b, const char *why)
{
	if (b->failed == NULL)
		b->failed = why;
	b->phase = BENCH_DONE;
}

static void phase_enter(struct bench *b, enum bench_phase phase)
{
	b->phase = phase;
	b->phase_start_ns = b->now_ns;
	b->next_key = 0;
	b->kick = true;
	b->kicked = 0;
	if (phase == BENCH_MEASURE)
		bench_measure_begin(b);
	// the schedule runs on from the warm-up into what is measured: what was late then is late
	// now
	if (b->o->rate && phase == (b->o->once ? BENCH_MEASURE : BENCH_WARMUP))
		schedule_start(&b->schedule, b->o->rate, b->now_ns);
}

void bench_start(struct bench *b)
{
	b->now_ns = bench_now_ns();
	b->report_ns = b->answer_ns = b->now_ns;
	phase_enter(b, b->o->preload ? BENCH_FILL : BENCH_WARMUP);
}

uint32_t bench_keys_ordered(const struct bench *b)
{
	return b->o->keys + (b->phase == BENCH_FILL ? b->o->due_keys : 0);
}

static void phase_step(struct bench *b)
{
	double in_s = (double)(b->now_ns - b->phase_start_ns) / SECOND_NS;

	switch (b->phase) {
	case BENCH_FILL:
	case BENCH_CHECK:
		if (b->next_key < bench_keys_ordered(b) || b->inflight)
			break;
		if (b->phase == BENCH_CHECK && (b->n.misses || b->n.errors))
			bench_fail(b, "keys are missing or wrong after they were set");
		else if (b->phase == BENCH_FILL && b->n.errors)
			bench_fail(b, "keys could not be set");
		else
			phase_enter(b,
				b->phase == BENCH_FILL && b->o->preload == PRELOAD_CHECK
					? BENCH_CHECK
					: BENCH_WARMUP);
		break;
	case BENCH_WARMUP:
		if (in_s >= b->o->warmup_s)
			phase_enter(b, BENCH_MEASURE);
		break;
	case BENCH_MEASURE:
		bench_measure_mark(b);
		if (bench_enough ||
			(b->o->once ? b->n.requests >= b->clients - b->dead
				    : in_s >= b->o->seconds)) {
			bench_measure_end(b);
			b->phase = BENCH_DONE;
		}
		break;
	case BENCH_CONNECT:
	case BENCH_DONE:
		break;
	}
}

struct bench_client *bench_kick_next(struct bench *b, unsigned *left)
{
	bool paced = b->o->rate && (b->phase == BENCH_WARMUP || b->phase == BENCH_MEASURE);
	bool more = paced ? schedule_backlog(&b->schedule, b->now_ns) > 0 : b->kick;

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
	if (b->inflight == 0)
		b->answer_ns = now_ns; // none is waited for
	if (base_unlikely(now_ns - b->answer_ns >= STALL_NS))
		bench_fail(b, "no answers");
	if (base_unlikely(bench_stop))
		bench_fail(b, "interrupted");
	return b->phase != BENCH_DONE;
}
