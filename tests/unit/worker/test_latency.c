// SPDX-License-Identifier: BSD-3-Clause
// How long requests took, by kind: those of one turn, those that wait, and the slowest with their
// parts.

#include "lab.h"

static const struct base_hist *hist(enum worker_kind kind)
{
	return &worker_latency_get(lab->group, 0)->ns[kind];
}

static uint64_t count_of(enum worker_kind kind)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += worker_latency_get(lab->group, i)->ns[kind].count;
	return n;
}

static void slow_from(uint64_t us)
{
	lab->orders.slow_us = us;
	for (unsigned i = 0; i < lab->workers; i++)
		worker_orders_set(lab->group, i, &lab->orders);
	lab_turn();
}

// The slowest of all workers.
static struct worker_slow slowest(void)
{
	struct worker_slow best = {0}, e;

	for (unsigned w = 0; w < lab->workers; w++) {
		for (unsigned i = 0; i < WORKER_SLOW_MAX; i++) {
			if (worker_slow_read(worker_latency_get(lab->group, w), i, &e) &&
				e.total_ns >= best.total_ns)
				best = e;
		}
	}
	return best;
}

static unsigned slow_count(void)
{
	struct worker_slow e;
	unsigned n = 0;

	for (unsigned i = 0; i < WORKER_SLOW_MAX; i++)
		n += worker_slow_read(worker_latency_get(lab->group, 0), i, &e);
	return n;
}

static const char *key_of(unsigned owner)
{
	static char key[16];

	for (unsigned i = 0;; i++) {
		int n = sprintf(key, "key%u", i);

		if (worker_of_hash(base_hash(key, (size_t)n), lab->workers) == owner)
			return key;
	}
}

static void every_kind_is_counted_once(void **state)
{
	static const struct {
		const char *request, *answer;
		enum worker_kind kind;
	} step[] = {
		{"set a 0 0 1\r\n1\r\n", "STORED\r\n", WORKER_KIND_SET},
		{"set a 0 0 1\r\n1\r\n", "STORED\r\n", WORKER_KIND_SET}, // written over
		{"add b 0 0 1\r\n1\r\n", "STORED\r\n", WORKER_KIND_SET},
		{"ms a 1\r\n1\r\n", "HD\r\n", WORKER_KIND_SET},
		{"get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n", WORKER_KIND_GET},
		{"get  a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n", WORKER_KIND_GET},
		{"get nobody\r\n", "END\r\n", WORKER_KIND_GET},
		{"mg a v\r\n", "VA 1\r\n1\r\n", WORKER_KIND_GET},
		{"mg a s v\r\n", "VA 1 s1\r\n1\r\n", WORKER_KIND_GET},
		{"get x y z\r\n", "END\r\n", WORKER_KIND_MULTIGET},
		{"get  x y z\r\n", "END\r\n", WORKER_KIND_MULTIGET},
		{"gat 0 a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n", WORKER_KIND_GET},
		{"incr a 1\r\n", "2\r\n", WORKER_KIND_ARITH},
		{"ma a\r\n", "HD\r\n", WORKER_KIND_ARITH},
		{"touch a 0\r\n", "TOUCHED\r\n", WORKER_KIND_TOUCH},
		{"delete b\r\n", "DELETED\r\n", WORKER_KIND_DELETE},
		{"md b\r\n", "NF\r\n", WORKER_KIND_DELETE},
		{"mn\r\n", "MN\r\n", WORKER_KIND_OTHER},
		{"flush_all\r\n", "OK\r\n", WORKER_KIND_OTHER},
		{"nonsense\r\n", "ERROR\r\n", WORKER_KIND_OTHER},
	};

	for (unsigned workers = 1; workers <= 3; workers += 2) {
		struct client *c;

		lab_open(&(struct lab_options){.workers = workers});
		c = client_connect();
		for (size_t i = 0; i < BASE_ARRAY_LEN(step); i++) {
			uint64_t before[WORKER_KINDS];

			for (unsigned k = 0; k < WORKER_KINDS; k++)
				before[k] = count_of((enum worker_kind)k);
			talk(c, step[i].request, step[i].answer);
			lab_run(1000);
			for (unsigned k = 0; k < WORKER_KINDS; k++) {
				uint64_t more = count_of((enum worker_kind)k) - before[k];

				if (more != (k == step[i].kind))
					fail_msg("%s: %s counted %u times", step[i].request,
						worker_kind_name((enum worker_kind)k),
						(unsigned)more);
			}
		}
		lab_close();
	}
}

static void a_request_takes_as_long_as_its_turn(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	lab->step_us = 70; // all clocks go on by that between two turns
	talk(c, "get a\r\n", "END\r\n");
	lab_run(1000);
	assert_int_equal(hist(WORKER_KIND_GET)->count, 1);
	assert_int_equal(hist(WORKER_KIND_GET)->max, 70 * 1000);
	lab_close();
}

static void udp_is_counted_too(void **state)
{
	lab_open(&(struct lab_options){.workers = 1});
	udp_send("get a\r\n", 7, 1);
	udp_send("get  a\r\n", 8, 2);
	udp_send("set a 0 0 1\r\nx\r\n", 16, 3);
	lab_run(5000);
	assert_int_equal(hist(WORKER_KIND_GET)->count, 2);
	assert_int_equal(hist(WORKER_KIND_SET)->count, 1);
	lab_close();
}

// The owner of the key sleeps for 30 ms.
static void a_wait_for_another_shard_is_seen(void **state)
{
	struct worker_slow e;
	struct client *c;
	char request[64];
	unsigned own;

	lab_open(&(struct lab_options){.workers = 2});
	slow_from(10000);
	c = client_connect();
	talk(c, "mn\r\n", "MN\r\n");
	own = base_list_empty(&lab->w[0]->conns) ? 1 : 0;
	lab->paused[1 - own] = 30000 / LAB_STEP_US;
	sprintf(request, "get %s\r\n", key_of(1 - own));
	talk(c, request, "END\r\n");
	lab_run(1000);
	e = slowest();
	assert_int_equal(e.kind, WORKER_KIND_GET);
	assert_in_range(e.total_ns / 1000, 25000, 35000);
	assert_in_range(e.part_ns[WORKER_PART_SHARD] / 1000, 25000, 35000);
	assert_int_equal(e.part_ns[WORKER_PART_QUEUE], 0);
	assert_int_equal(e.key_len, strlen(key_of(1 - own)));
	assert_memory_equal(e.key, key_of(1 - own), e.key_len);
	assert_false(e.udp);
	assert_int_equal(base_ip_as4(&e.ip), LAB_CLIENT_IP);
	assert_true(worker_latency_get(lab->group, own)->ns[WORKER_KIND_GET].max > 25000000);
	lab_close();
}

static void a_value_that_comes_slowly_is_seen(void **state)
{
	struct worker_slow e;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	slow_from(10000);
	c = client_connect();
	client_send(c, "set slow 0 0 10\r\n01234", 22);
	lab_run(20000);
	talk(c, "56789\r\n", "STORED\r\n");
	lab_run(1000);
	e = slowest();
	assert_int_equal(e.kind, WORKER_KIND_SET);
	assert_int_equal(e.bytes, 10);
	assert_int_equal(e.key_len, 4);
	assert_memory_equal(e.key, "slow", 4);
	assert_in_range(e.part_ns[WORKER_PART_RECEIVE] / 1000, 15000, 25000);
	lab_close();
}

static void a_long_turn_names_its_largest_request(void **state)
{
	struct worker_slow e;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	slow_from(10000);
	c = client_connect();
	talk(c, "set large 0 0 20\r\n01234567890123456789\r\nset s 0 0 1\r\nx\r\n",
		"STORED\r\nSTORED\r\n");
	lab_run(1000);
	assert_int_equal(slow_count(), 0);
	lab->step_us = 12000;
	talk(c, "get s\r\nget large\r\nget s\r\n",
		"VALUE s 0 1\r\nx\r\nEND\r\n"
		"VALUE large 0 20\r\n01234567890123456789\r\nEND\r\n"
		"VALUE s 0 1\r\nx\r\nEND\r\n");
	lab_turn(); // its begin is the end of the one before
	lab->step_us = LAB_STEP_US;
	e = slowest();
	assert_int_equal(e.kind, WORKER_KIND_GET);
	assert_int_equal(e.part_ns[WORKER_PART_TURN], 12000000);
	assert_int_equal(e.turn_requests, 3);
	assert_int_equal(e.bytes, 20);
	assert_memory_equal(e.key, "large", 5);
	lab_close();
}

static void the_slowest_are_kept_and_forgotten(void **state)
{
	struct worker_slow e;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	slow_from(1000);
	c = client_connect();
	for (unsigned i = 0; i < 3 * WORKER_SLOW_MAX; i++) {
		lab->step_us = 1000 + i * 7 % 97;
		talk(c, "get a\r\n", "END\r\n");
		lab_turn();
		lab->step_us = LAB_STEP_US;
	}
	assert_int_equal(slow_count(), WORKER_SLOW_MAX);
	for (unsigned i = 0; i < WORKER_SLOW_MAX; i++) {
		assert_true(worker_slow_read(worker_latency_get(lab->group, 0), i, &e));
		assert_true(e.total_ns >= (1000 + 97 - 2 * WORKER_SLOW_MAX) * 1000);
	}
	lab->orders.latency_seq++;
	worker_orders_set(lab->group, 0, &lab->orders);
	lab_run(100);
	assert_int_equal(slow_count(), 0);
	assert_int_equal(hist(WORKER_KIND_GET)->count, 0);
	slow_from(WORKER_SLOW_NEVER);
	lab->step_us = 20000;
	talk(c, "get a\r\n", "END\r\n");
	lab_turn();
	assert_int_equal(slow_count(), 0);
	assert_int_equal(hist(WORKER_KIND_GET)->count, 1);
	assert_int_equal(hist(WORKER_KIND_GET)->max, 20000 * 1000);
	lab_close();
}

// Nothing was noted of the turn in which the order came: who was asked is not known.
static void a_log_that_is_turned_on_begins_with_the_next_turn(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	slow_from(WORKER_SLOW_NEVER);
	c = client_connect();
	lab->orders.slow_us = 0;
	worker_orders_set(lab->group, 0, &lab->orders);
	talk(c, "get a\r\n", "END\r\n");
	lab_run(1000);
	talk(c, "get a\r\n", "END\r\n");
	lab_run(1000);
	assert_true(slow_count() > 0);
	assert_int_equal(slowest().kind, WORKER_KIND_GET);
	client_abort(c);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_kind_is_counted_once),
	cmocka_unit_test(a_request_takes_as_long_as_its_turn),
	cmocka_unit_test(udp_is_counted_too),
	cmocka_unit_test(a_wait_for_another_shard_is_seen),
	cmocka_unit_test(a_value_that_comes_slowly_is_seen),
	cmocka_unit_test(a_long_turn_names_its_largest_request),
	cmocka_unit_test(the_slowest_are_kept_and_forgotten),
	cmocka_unit_test(a_log_that_is_turned_on_begins_with_the_next_turn),
};

LAB_MAIN("latency", tests)
