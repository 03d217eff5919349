// SPDX-License-Identifier: BSD-3-Clause
// Calls of telemetry's threads: answered in a tick, taken back by who has waited long enough,
// refused at the end; and an answer is never another call's.

#include <pthread.h>

#include "../worker/lab.h"
#include "control/control_internal.h"

#define USAGE "/lcached/memory/usage"

struct caller {
	struct control *control;
	const char *command, *params;
	struct rte_tel_data *reply; // the same for several calls: a thread's stack is, too
	pthread_t thread;
	int rc, done;
};

struct site {
	struct control_config cfg;
	struct control *control;
	struct mem_domain *mem;
	struct client *client;
	struct rte_tel_data *reply;
};

static void site_open(struct site *s)
{
	struct mem_options mo = {.name = "control", .numa_node = -1};

	*s = (struct site){0};
	lab_open(&(struct lab_options){.workers = 1, .conns_max = 4, .limit_bytes = 8 << 20});
	assert_int_equal(mem_domain_open(&s->mem, &mo), 0);
	control_config_init(&s->cfg);
	s->client = client_connect();
	assert_int_equal(control_open(&s->control, &s->cfg, lab->group, s->mem, "lab", "none"), 0);
	control_ready(s->control, lab->now);
	s->reply = rte_tel_data_alloc();
	assert_non_null(s->reply);
}

static void site_close(struct site *s)
{
	rte_tel_data_free(s->reply);
	control_close(s->control);
	lab_close();
	mem_domain_close(s->mem);
}

static void *call_run(void *arg)
{
	struct caller *c = arg;

	c->rc = control_call(c->control, c->command, c->params, c->reply);
	__atomic_store_n(&c->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void call_start(struct caller *c, struct site *s, const char *command, const char *params)
{
	*c = (struct caller){
		.control = s->control, .command = command, .params = params, .reply = s->reply};
	assert_int_equal(pthread_create(&c->thread, NULL, call_run, c), 0);
}

static bool call_done(const struct caller *c)
{
	return __atomic_load_n(&c->done, __ATOMIC_ACQUIRE);
}

static int call_end(struct caller *c)
{
	pthread_join(c->thread, NULL);
	return c->rc;
}

static void a_call_is_answered_in_a_tick(void **state)
{
	struct site s;
	struct caller c;

	site_open(&s);
	call_start(&c, &s, "/lcached/worker", "0");
	while (!call_done(&c))
		control_tick(s.control, lab->now);
	assert_int_equal(call_end(&c), 0);
	call_start(&c, &s, "/lcached/nonsense", NULL);
	while (!call_done(&c))
		control_tick(s.control, lab->now);
	assert_int_equal(call_end(&c), -1);
	site_close(&s);
}

// The worker is late: its answer comes when somebody else asks, about another key.
static void an_answer_is_not_the_next_callers(void **state)
{
	struct site s;
	struct caller c;
	unsigned wait_s;

	site_open(&s);
	wait_s = s.control->call_wait_s;
	talk(s.client, "set first 0 0 1\r\nx\r\nset second 0 0 2\r\nxx\r\n",
		"STORED\r\nSTORED\r\n");
	s.control->call_wait_s = 1;
	call_start(&c, &s, USAGE, "first");
	while (!call_done(&c))
		control_tick(s.control, lab->now); // and no turn of the worker
	assert_int_equal(call_end(&c), -1);
	assert_int_equal(s.control->probe.seq, 1);
	s.control->call_wait_s = wait_s;
	for (int i = 0; i < 100; i++)
		lab_turn();
	call_start(&c, &s, USAGE, "second");
	while (!call_done(&c)) {
		control_tick(s.control, lab->now);
		lab_turn();
	}
	assert_int_equal(call_end(&c), 0);
	assert_int_equal(s.control->probe.seq, 2);
	assert_memory_equal(s.control->probe.key, "second", 6);
	site_close(&s);
}

static void nobody_waits_at_the_end(void **state)
{
	struct site s;
	struct caller waiting, late;

	site_open(&s);
	s.control->call_wait_s = 1000;
	call_start(&waiting, &s, USAGE, "nobody");
	while (s.control->probe.seq == 0) // it is posted, and a worker is asked
		control_tick(s.control, lab->now);
	assert_false(call_done(&waiting));
	control_calls_refuse(s.control);
	assert_int_equal(call_end(&waiting), -1);
	call_start(&late, &s, "/lcached/worker", "0");
	assert_int_equal(call_end(&late), -1);
	site_close(&s);
}

// Each takes a core that may be a worker's.
static void ticks_are_rare_while_nothing_wants_them(void **state)
{
	struct site s;
	struct caller c;
	long soon, late;

	site_open(&s);
	lab->now.mono_us += 1000000;
	control_tick(s.control, lab->now);
	late = control_tick_us(s.control);
	call_start(&c, &s, "/lcached/worker", "0");
	control_wait(s.control); // ends with the call, if not before
	while (!call_done(&c))
		control_tick(s.control, lab->now);
	assert_int_equal(call_end(&c), 0);
	soon = control_tick_us(s.control);
	assert_true(soon < late);
	lab->now.mono_us += 1000000;
	control_tick(s.control, lab->now);
	assert_int_equal(control_tick_us(s.control), late);
	s.control->used_before += 1 << 20; // as if as much had been freed since
	control_tick(s.control, lab->now);
	assert_int_equal(control_tick_us(s.control), soon);
	site_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_answered_in_a_tick),
		cmocka_unit_test(an_answer_is_not_the_next_callers),
		cmocka_unit_test(nobody_waits_at_the_end),
		cmocka_unit_test(ticks_are_rare_while_nothing_wants_them),
	};

	return lab_eal_init("control_call") < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
