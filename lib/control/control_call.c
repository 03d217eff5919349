// SPDX-License-Identifier: BSD-3-Clause
// Telemetry's threads post commands here; the control core answers them between two ticks. The only
// lock of the server, and no worker ever meets it.

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "control/control_internal.h"

#define CALL_WAIT_S 1

struct call { // on the stack of the thread that waits
	struct base_list node;
	const char *command, *params;
	struct rte_tel_data *reply;
	int rc;
	bool done;
};

struct control_calls {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct base_list posted; // of struct call
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
	pthread_condattr_destroy(&attr);
	c->calls = q;
	return 0;
}

// After the last caller is gone (telemetry is cleaned up first).
void control_calls_close(struct control *c)
{
	struct control_calls *q = c->calls;

	pthread_mutex_lock(&q->lock);
	base_assert(base_list_empty(&q->posted));
	pthread_mutex_unlock(&q->lock);
	pthread_cond_destroy(&q->answered);
	pthread_mutex_destroy(&q->lock);
	mem_free(c->mem, MEM_OTHER, q, sizeof(*q));
}

void control_calls_serve(struct control *c)
{
	struct control_calls *q = c->calls;

	pthread_mutex_lock(&q->lock);
	base_list_for_each_safe (node, next, &q->posted) {
		struct call *call = base_container_of(node, struct call, node);
		int rc = control_command_run(c, call->command, call->params, call->reply);

		if (rc == CONTROL_AGAIN)
			continue; // a worker is asked; the caller's patience is the bound
		base_list_remove(node);
		call->rc = rc;
		call->done = true;
	}
	pthread_cond_broadcast(&q->answered);
	pthread_mutex_unlock(&q->lock);
}

int control_call(
	struct control *c, const char *command, const char *params, struct rte_tel_data *reply)
{
	struct control_calls *q = c->calls;
	struct call call = {.command = command, .params = params, .reply = reply, .rc = -1};
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += CALL_WAIT_S;
	pthread_mutex_lock(&q->lock);
	base_list_append(&q->posted, &call.node);
	while (!call.done && pthread_cond_timedwait(&q->answered, &q->lock, &until) == 0)
		;
	if (!call.done)
		base_list_remove(&call.node);
	pthread_mutex_unlock(&q->lock);
	return call.done ? call.rc : -1;
}
