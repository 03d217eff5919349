// SPDX-License-Identifier: BSD-3-Clause
// Telemetry's threads post commands here; the control core answers them between two ticks. The only
// lock of the server, and no worker ever meets it.

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "control/control_internal.h"

#define CALL_WAIT_S 5 // a control core whose CPU others have is late by seconds
// Whoever floods the socket gets a fifth of the control core, which may be a worker's too.
#define PAUSE_LEAST_US 1000
#define PAUSE_MOST_US  20000
#define PAUSE_TIMES    4    // as long as the last answers took
#define SERVE_US       5000 // spent on answers in one tick; the others' come with the next

struct call { // on the stack of the thread that waits
	struct base_list node;
	const char *command, *params;
	struct rte_tel_data *reply;
	uint64_t id; // never 0, never used again: addresses are
	int rc;
	bool done;
};

struct control_calls {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	pthread_cond_t asked;    // the control core waits for it between two ticks
	bool news;               // posted since the last tick
	uint64_t answer_us;      // not before that
	struct base_list posted; // of struct call
	uint64_t last_id;
	bool refused; // nobody serves any more
};

int control_calls_open(struct control *c)
{
	pthread_condattr_t attr;
	struct control_calls *q = mem_alloc(c->mem, MEM_OTHER, sizeof(*q));

	memset(q, 0, sizeof(*q));
	base_list_init(&q->posted);
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->answered, &attr);
	pthread_cond_init(&q->asked, &attr);
	pthread_condattr_destroy(&attr);
	c->calls = q;
	c->call_wait_s = CALL_WAIT_S;
	return 0;
}

// After the last caller is gone.
void control_calls_close(struct control *c)
{
	struct control_calls *q = c->calls;

	pthread_mutex_lock(&q->lock);
	base_assert(base_list_empty(&q->posted));
	pthread_mutex_unlock(&q->lock);
	pthread_cond_destroy(&q->answered);
	pthread_cond_destroy(&q->asked);
	pthread_mutex_destroy(&q->lock);
	mem_free(c->mem, MEM_OTHER, q, sizeof(*q));
}

static uint64_t time_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct timespec time_at(uint64_t us)
{
	return (struct timespec){
		.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
}

void control_calls_serve(struct control *c)
{
	struct control_calls *q = c->calls;
	uint64_t began_us = time_us(), ended_us;

	if (began_us < q->answer_us)
		return;
	pthread_mutex_lock(&q->lock);
	q->news = false;
	if (!base_list_empty(&q->posted))
		c->active_us = c->now.mono_us;
	base_list_for_each_safe (node, next, &q->posted) {
		struct call *call = base_container_of(node, struct call, node);
		int rc;

		if (time_us() - began_us > SERVE_US) {
			q->news = true;
			break;
		}
		c->serving = call->id;
		rc = control_command_run(c, call->command, call->params, call->reply);
		if (rc == CONTROL_AGAIN)
			continue; // a worker is asked; the caller's patience is the bound
		base_list_remove(node);
		call->rc = rc;
		call->done = true;
	}
	pthread_cond_broadcast(&q->answered);
	pthread_mutex_unlock(&q->lock);
	ended_us = time_us();
	q->answer_us = ended_us +
		base_min_u64(base_max_u64(PAUSE_TIMES * (ended_us - began_us), PAUSE_LEAST_US),
			PAUSE_MOST_US);
}

void control_wait(struct control *c)
{
	struct control_calls *q = c->calls;
	uint64_t due_us = time_us() + (uint64_t)control_tick_us(c);
	struct timespec until = time_at(due_us);
	bool news;

	pthread_mutex_lock(&q->lock);
	while (!q->news && pthread_cond_timedwait(&q->asked, &q->lock, &until) == 0)
		;
	news = q->news;
	pthread_mutex_unlock(&q->lock);
	// Too soon after the last answers: who else asks meanwhile does not end this sleep.
	until = time_at(base_min_u64(due_us, q->answer_us));
	if (news)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

void control_calls_refuse(struct control *c)
{
	struct control_calls *q = c->calls;

	pthread_mutex_lock(&q->lock);
	q->refused = true;
	pthread_cond_broadcast(&q->answered);
	pthread_mutex_unlock(&q->lock);
}

// What was asked of a worker for it is nobody's.
static void call_take_back(struct control *c, struct call *call)
{
	base_list_remove(&call->node);
	if (c->asker == call->id)
		c->asker = 0;
}

int control_call(
	struct control *c, const char *command, const char *params, struct rte_tel_data *reply)
{
	struct control_calls *q = c->calls;
	struct call call = {.command = command, .params = params, .reply = reply, .rc = -1};
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += c->call_wait_s;
	pthread_mutex_lock(&q->lock);
	call.id = ++q->last_id;
	base_list_append(&q->posted, &call.node);
	q->news = true;
	pthread_cond_signal(&q->asked);
	while (!call.done && !q->refused &&
		pthread_cond_timedwait(&q->answered, &q->lock, &until) == 0)
		;
	if (!call.done)
		call_take_back(c, &call);
	pthread_mutex_unlock(&q->lock);
	return call.done ? call.rc : -1;
}
