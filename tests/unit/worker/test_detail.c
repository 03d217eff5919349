// SPDX-License-Identifier: BSD-3-Clause
// stats detail: what is counted by prefix, the bounds of the tables, a dump in many rounds.

#include "lab.h"

#define MANY 70000 // prefixes, more than one worker's table takes
#define SOME 3000  // ... that take a dump dozens of rounds

static bool ends(const struct client *c, const char *end)
{
	size_t n = strlen(end);

	return c->in_len >= n && memcmp(c->in + c->in_len - n, end, n) == 0;
}

// The lines of a dump, the client's until it reads on; each begins at its own place.
static const char *dump(struct client *c)
{
	c->in_len = 0;
	client_sendf(c, "stats detail dump\r\n");
	for (int i = 0; i < 20000 && !ends(c, "END\r\n"); i++)
		lab_run(100);
	assert_true(ends(c, "END\r\n"));
	c->in[c->in_len] = '\0';
	return c->in;
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strstr(text, "PREFIX ")) != NULL; text++)
		n++;
	return n;
}

static uint64_t sum_of(size_t offset)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += *(uint64_t *)(void *)((char *)&lab->w[i]->n + offset);
	return n;
}

static uint64_t held(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += mem_used_class(lab->w[i]->mem, MEM_OTHER);
	return n;
}

static void request(struct client *c, const char *text)
{
	c->in_len = 0;
	client_sendf(c, "%s\r\nmn\r\n", text);
	for (int i = 0; i < 1000 && !ends(c, "MN\r\n"); i++)
		lab_run(100);
	assert_true(ends(c, "MN\r\n"));
	c->in_len = 0;
}

// Deletes of one key each for prefixes from..to.
static void many(struct client *c, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		client_sendf(c, "delete p%u:x noreply\r\n", i);
		if (i % 500 == 499)
			request(c, "mn");
	}
	request(c, "mn");
}

static void classic_commands_count_and_no_others(void **state)
{
	static const struct {
		const char *request, *counted; // with the prefix a
	} cases[] = {
		{"get a:1", "get 1 hit 0 set 0 del 0"},
		{"set a:1 0 0 1\r\nx", "get 0 hit 0 set 1 del 0"},
		{"get a:1 a:1 a:2", "get 3 hit 2 set 0 del 0"},
		{"gets a:1", "get 1 hit 1 set 0 del 0"},
		{"gat 0 a:1", "get 1 hit 1 set 0 del 0"},
		{"touch a:1 0", NULL},
		{"incr a:1 1", NULL},
		{"add a:1 0 0 1\r\nx", "get 0 hit 0 set 1 del 0"},
		{"replace a:3 0 0 1\r\nx", "get 0 hit 0 set 1 del 0"},
		{"append a:1 0 0 1\r\nx", "get 0 hit 0 set 1 del 0"},
		{"cas a:1 0 0 1 99999\r\nx", "get 0 hit 0 set 1 del 0"},
		{"set a:1 0 0 1\r\nxyz", "get 0 hit 0 set 1 del 0"}, // a bad data chunk
		{"set a:1 x 0 1\r\nx", NULL},
		{"mg a:1 v", NULL},
		{"ms a:1 1\r\nx", NULL},
		{"ma a:1", NULL},
		{"md a:9", NULL},
		{"delete a:9", "get 0 hit 0 set 0 del 1"},
		{"delete a:1", "get 0 hit 0 set 0 del 1"},
	};

	for (unsigned workers = 1; workers <= 3; workers += 2) {
		struct client *c;

		lab_open(&(struct lab_options){.workers = workers});
		c = client_connect();
		talk(c, "stats detail on\r\n", "OK\r\n");
		for (unsigned i = 0; i < BASE_ARRAY_LEN(cases); i++) {
			char want[128] = "END\r\n";

			request(c, cases[i].request);
			if (cases[i].counted != NULL)
				snprintf(want, sizeof(want), "PREFIX a %s\r\nEND\r\n",
					cases[i].counted);
			assert_string_equal(dump(c), want);
			c->in_len = 0;
			talk(c, "stats reset\r\n", "RESET\r\n");
		}
		lab_close();
	}
}

static void a_prefix_ends_at_the_first_delimiter(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	lab->settings.prefix_delimiter = '|';
	c = client_connect();
	request(c, "stats detail on\r\nget none\r\nget |\r\nget x|y|z\r\nget a:b|\r\nget a:c");
	assert_int_equal(lines(dump(c)), 3);
	assert_non_null(strstr(c->in, "PREFIX  get 1 hit 0 set 0 del 0\r\n"));
	assert_non_null(strstr(c->in, "PREFIX x get 1 hit 0 set 0 del 0\r\n"));
	assert_non_null(strstr(c->in, "PREFIX a:b get 1 hit 0 set 0 del 0\r\n"));
	request(c, "stats detail off\r\nget x|2");
	assert_non_null(strstr(dump(c), "PREFIX x get 1 hit 0 set 0 del 0\r\n"));
	request(c, "stats detail on\r\nget x|2");
	assert_non_null(strstr(dump(c), "PREFIX x get 2 hit 0 set 0 del 0\r\n"));
	lab_close();
}

// Requests of one write see what came before them, whoever has their keys.
static void a_pipeline_is_in_order(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	talk(c,
		"delete k:1\r\ndelete k:2\r\nstats detail on\r\ndelete k:1\r\ndelete k:2\r\n"
		"delete k:3\r\nstats detail dump\r\nstats detail off\r\ndelete k:4\r\n"
		"stats detail dump\r\n",
		"NOT_FOUND\r\nNOT_FOUND\r\nOK\r\nNOT_FOUND\r\nNOT_FOUND\r\nNOT_FOUND\r\n"
		"PREFIX k get 0 hit 0 set 0 del 3\r\nEND\r\nOK\r\nNOT_FOUND\r\n"
		"PREFIX k get 0 hit 0 set 0 del 3\r\nEND\r\n");
	lab_close();
}

static void tables_are_bounded_and_freed(void **state)
{
	struct client *c;
	uint64_t before;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	before = held();
	request(c, "stats detail on");
	assert_int_equal(held(), before);
	many(c, 0, MANY);
	assert_in_range(sum_of(offsetof(struct worker_counters, detail_prefixes)),
		WORKER_PREFIXES_MAX - 1000, WORKER_PREFIXES_MAX);
	assert_int_equal(sum_of(offsetof(struct worker_counters, detail_prefixes)) +
			sum_of(offsetof(struct worker_counters, detail_left_out)),
		MANY);
	assert_in_range(held(), before, before + (5 << 20));
	assert_int_equal(lines(dump(c)), sum_of(offsetof(struct worker_counters, detail_prefixes)));
	for (unsigned i = 0; i < 100; i++) {
		char want[64];

		snprintf(want, sizeof(want), "PREFIX p%u get 0 hit 0 set 0 del 1\r\n", i);
		assert_non_null(strstr(c->in, want));
	}
	request(c, "stats reset");
	assert_int_equal(held(), before);
	assert_string_equal(dump(c), "END\r\n");
	lab_close();
}

static void rounds_sum_all_workers(void **state)
{
	struct client *c, *d;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	d = client_connect();
	request(c, "stats detail on");
	for (unsigned i = 0; i < 3; i++) { // one prefix has keys of several workers
		for (unsigned k = 0; k < SOME; k++) {
			client_sendf(i == 2 ? d : c, "delete p%u:%u noreply\r\n", k, i);
			if (k % 500 == 499)
				request(i == 2 ? d : c, "mn");
		}
	}
	for (unsigned k = 0; k < 2; k++) { // the second time into tables that are there
		const char *at = dump(k ? c : d);

		assert_int_equal(lines(at), SOME);
		for (unsigned i = 0; i < SOME; i++) {
			assert_non_null(at = strstr(at, " get 0 hit 0 set 0 del 3\r\n"));
			at++;
		}
	}
	lab_close();
}

// Who goes away ends his dump alone; who asks meanwhile gets his own.
static void a_dump_outlives_nobody(void **state)
{
	struct client *c, *d;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	request(c, "stats detail on");
	many(c, 0, SOME);
	for (unsigned i = 0; i < 40; i += 3) {
		c = client_connect();
		d = client_connect();
		client_sendf(c, "stats detail dump\r\n");
		lab_run(LAB_STEP_US * i);
		client_sendf(d, "stats detail dump\r\n");
		lab_run(LAB_STEP_US * 3);
		client_abort(c);
		for (int k = 0; k < 20000 && !ends(d, "END\r\n"); k++)
			lab_run(100);
		d->in[d->in_len] = '\0';
		assert_int_equal(lines(d->in), SOME);
		client_abort(d);
	}
	client_sendf(client_connect(), "stats detail dump\r\n");
	lab_run(LAB_STEP_US * 10); // under way when the server ends
	lab_close();
}

static void the_latest_order_holds(void **state)
{
	uint64_t on, off, again;

	lab_open(&(struct lab_options){.workers = 2});
	on = worker_detail_order(lab->group, true);
	off = worker_detail_order(lab->group, false);
	again = worker_detail_order(lab->group, true);
	assert_true(on < off && off < again && (on & 1) && !(off & 1) && (again & 1));
	assert_int_equal(worker_detail_latest(lab->group), again);
	worker_detail_take(lab->w[0], again);
	worker_detail_take(lab->w[0], off);
	assert_true(worker_detail_on(lab->w[0]) && worker_watched(lab->w[0]));
	lab->orders.detail = off;
	lab_orders_push();
	lab_run(100);
	assert_true(worker_detail_on(lab->w[0]));
	lab->orders.detail = worker_detail_order(lab->group, false);
	lab_orders_push();
	lab_run(100);
	assert_false(worker_detail_on(lab->w[0]) || worker_detail_on(lab->w[1]));
	assert_false(worker_watched(lab->w[0]) || lab->w[0]->quick_off);
	assert_null(lab->w[0]->exec.tell);
	lab_close();
}

static void datagrams_count_too(void **state)
{
	struct client *c;
	static const char said[] = "set u:1 0 0 1\r\nx\r\nget u:1\r\nget u:2\r\n";

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	request(c, "stats detail on");
	udp_send(said, sizeof(said) - 1, 1);
	udp_send("get u:3\r\n", 9, 2); // else one that is answered in place
	lab_run(10000);
	assert_string_equal(dump(c), "PREFIX u get 3 hit 1 set 1 del 0\r\nEND\r\n");
	lab->udp_len = 0;
	udp_send("stats detail dump\r\n", 19, 3);
	lab_run(10000);
	assert_int_equal(lab->udp_len, 8 + strlen(c->in));
	assert_memory_equal(lab->udp + 8, c->in, strlen(c->in));
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(classic_commands_count_and_no_others),
	cmocka_unit_test(a_prefix_ends_at_the_first_delimiter),
	cmocka_unit_test(a_pipeline_is_in_order),
	cmocka_unit_test(tables_are_bounded_and_freed),
	cmocka_unit_test(rounds_sum_all_workers),
	cmocka_unit_test(a_dump_outlives_nobody),
	cmocka_unit_test(the_latest_order_holds),
	cmocka_unit_test(datagrams_count_too),
};

LAB_MAIN("detail", tests)
