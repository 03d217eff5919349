// SPDX-License-Identifier: BSD-3-Clause
// What a client sees: replies in order over shards, values of all sizes, dying connections, slow
// readers.

#include "lab.h"

static void shards_answer_each(unsigned workers)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = workers});
	c = client_connect();
	for (int i = 0; i < 50; i++) {
		char request[128], want[128];

		snprintf(request, sizeof(request), "set key%d 5 0 3\r\nv%02d\r\nget key%d\r\n", i,
			i, i);
		snprintf(want, sizeof(want), "STORED\r\nVALUE key%d 5 3\r\nv%02d\r\nEND\r\n", i, i);
		talk(c, request, want);
	}
	talk(c, "delete key7\r\nget key7\r\nincr key8 1\r\n",
		"DELETED\r\nEND\r\n"
		"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	talk(c, "mn\r\nversion\r\nbogus\r\n",
		"MN\r\nVERSION 1.6.45-lcached-" LC_VERSION "\r\nERROR\r\n");
	client_abort(c);
	lab_close();
}

static void one_worker_serves(void **state)
{
	shards_answer_each(1);
}

static void three_workers_serve_each_other_s_keys(void **state)
{
	shards_answer_each(3);
}

static void multi_get_over_shards_is_in_order(void **state)
{
	char *request = malloc(1 << 20), *want = malloc(1 << 20);
	size_t r, n = 0;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	for (int i = 0; i < 1000; i++) {
		r = (size_t)sprintf(request, "set k%d 0 0 4 noreply\r\n%04d\r\n", i, i);
		client_send(c, request, r);
	}
	r = (size_t)sprintf(request, "get");
	for (int i = 0; i < 1000; i++) {
		r += (size_t)sprintf(request + r, " k%d", i);
		n += (size_t)sprintf(want + n, "VALUE k%d 0 4\r\n%04d\r\n", i, i);
	}
	r += (size_t)sprintf(request + r, "\r\n");
	n += (size_t)sprintf(want + n, "END\r\n");
	client_send(c, request, r);
	expect(c, want, n);
	client_abort(c);
	lab_close();
	free(request);
	free(want);
}

// Values of all sizes to keys of every shard: gathered, reserved, local.
static void values_of_all_sizes_cross_shards(void **state)
{
	static const unsigned sizes[] = {0, 1, 1024, 16384, 16385, 100000, (1 << 20) - 512};
	char *value = malloc(2 << 20), *want = malloc(2 << 20), head[64];
	struct client *c;

	for (size_t i = 0; i < 2 << 20; i++)
		value[i] = (char)(i * 131 + i / 251);
	lab_open(&(struct lab_options){.workers = 3, .limit_bytes = 256 << 20});
	c = client_connect();
	for (unsigned s = 0; s < BASE_ARRAY_LEN(sizes); s++) {
		for (int k = 0; k < 6; k++) {
			size_t n = (size_t)sprintf(head, "set big%d 0 0 %u\r\n", k, sizes[s]);

			client_send(c, head, n);
			client_send(c, value, sizes[s]);
			talk(c, "\r\n", "STORED\r\n");
			n = (size_t)sprintf(want, "VALUE big%d 0 %u\r\n", k, sizes[s]);
			memcpy(want + n, value, sizes[s]);
			memcpy(want + n + sizes[s], "\r\nEND\r\n", 7);
			n = n + sizes[s] + 7;
			client_send(c, head, (size_t)sprintf(head, "get big%d\r\n", k));
			expect(c, want, n);
		}
	}
	client_abort(c);
	lab_close();
	free(value);
	free(want);
}

static void broken_value_of_any_size_is_refused(void **state)
{
	static const unsigned sizes[] = {3, 20000};
	char *value = calloc(1, 20002), head[64];
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	for (unsigned s = 0; s < BASE_ARRAY_LEN(sizes); s++) {
		for (int k = 0; k < 6; k++) {
			client_send(c, head,
				(size_t)sprintf(head, "set bad%d 0 0 %u\r\n", k, sizes[s]));
			client_send(c, value, sizes[s] + 2);
			expect(c, "CLIENT_ERROR bad data chunk\r\n", 29);
			client_send(c, head, (size_t)sprintf(head, "get bad%d\r\n", k));
			expect(c, "END\r\n", 5);
		}
	}
	client_abort(c);
	lab_close();
	free(value);
}

static void connection_dies_while_a_value_is_filled(void **state)
{
	static const unsigned sizes[] = {100, 100000};
	char head[64], part[40] = {0};

	lab_open(&(struct lab_options){.workers = 3});
	for (unsigned s = 0; s < BASE_ARRAY_LEN(sizes); s++) {
		for (int k = 0; k < 12; k++) {
			struct client *c = client_connect();

			client_send(c, head,
				(size_t)sprintf(head, "set gone%d 0 0 %u\r\n", k, sizes[s]));
			client_send(c, part, sizeof(part));
			lab_run(k < 6 ? 200
				      : LAB_STEP_US * 2); // also while the reserve is under way
			client_abort(c);
		}
	}
	lab_close();
}

static void reader_that_does_not_read_gets_everything_later(void **state)
{
	char *value = malloc(100001), *want = malloc(8 << 20);
	char head[64];
	size_t n = 0, tail;
	struct client *c;

	memset(value, 'x', 100000);
	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	for (int k = 0; k < 5; k++) {
		client_send(c, head, (size_t)sprintf(head, "set slow%d 0 0 100000\r\n", k));
		client_send(c, value, 100000);
		talk(c, "\r\n", "STORED\r\n");
	}
	c->stop_reading = true;
	for (int i = 0; i < 60; i++) {
		client_send(c, head, (size_t)sprintf(head, "get slow%d\r\n", i % 5));
		n += (size_t)sprintf(want + n, "VALUE slow%d 0 100000\r\n", i % 5);
		memcpy(want + n, value, 100000);
		tail = n + 100000;
		memcpy(want + tail, "\r\nEND\r\n", 7);
		n = tail + 7;
	}
	lab_run(500000);
	for (unsigned i = 0; i < 3; i++)
		assert_true(lab->w[i]->slots_out <= WORKER_SINK_SLOTS);
	client_read_on(c);
	expect(c, want, n);
	client_abort(c);
	lab_close();
	free(value);
	free(want);
}

static void quit_closes_after_the_replies(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	talk(c, "set q 0 0 1\r\nx\r\nget q\r\nquit\r\nget q\r\n",
		"STORED\r\nVALUE q 0 1\r\nx\r\nEND\r\n");
	lab_run(10000);
	assert_true(c->fin);
	lab_close();
}

// Answers that are still to be written when the client closes its side, and a line without end.
static void closing_client_gets_what_it_asked_for(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	client_sendf(c, "set q 0 0 1\r\nx\r\nget q q q\r\nget unfinished");
	c->finish = true;
	expect(c, "STORED\r\nVALUE q 0 1\r\nx\r\nVALUE q 0 1\r\nx\r\nVALUE q 0 1\r\nx\r\nEND\r\n",
		61);
	lab_run(10000);
	assert_true(c->fin);
	lab_close();
}

// A quit behind more replies than the send buffer holds, to a client that reads late.
static void quit_waits_for_a_slow_reader(void **state)
{
	const size_t bytes = 100000;
	char *value = malloc(bytes + 3);
	struct client *c;

	memset(value, 'v', bytes);
	memcpy(value + bytes, "\r\n", 3);
	lab_open(&(struct lab_options){.workers = 3});
	for (int k = 0; k < 3; k++) { // a key of each shard, likely
		c = client_connect();
		client_sendf(c, "set s%d 0 0 %zu\r\n", k, bytes);
		talk(c, value, "STORED\r\n");
		c->stop_reading = true;
		for (int i = 0; i < 20; i++)
			client_sendf(c, "get s%d\r\n", k);
		client_sendf(c, "quit\r\nget s%d\r\n", k);
		lab_run(300000);
		assert_false(c->fin);
		client_read_on(c);
		for (int i = 0; i < 3000 && !c->fin; i++)
			lab_run(1000);
		assert_true(c->fin);
		assert_int_equal(c->in_len, 20 * (strlen("VALUE s0 0 100000\r\n") + bytes + 7));
	}
	lab_close();
	free(value);
}

// Frames of 9,000 bytes, packet buffers of 2 KiB: shorter segments.
static void large_mtu_with_small_buffers(void **state)
{
	char *value = malloc(100003);
	struct client *c;

	memset(value, 'v', 100000);
	memcpy(value + 100000, "\r\n", 3);
	lab_open(&(struct lab_options){.workers = 3, .mtu = 9000, .host_room = 9728});
	c = client_connect();
	assert_true(tcp_mss(c->tcp) > 8000);
	for (int k = 0; k < 4; k++) {
		client_sendf(c, "set j%d 0 0 100000\r\n", k);
		talk(c, value, "STORED\r\n");
		client_sendf(c, "get j%d\r\n", k);
		client_wait(c, 20 + 100000 + 7);
		assert_int_equal(c->in_len, 20 - 1 + 100000 + 7);
		assert_memory_equal(c->in + 19, value, 100002);
		c->in_len = 0;
	}
	client_abort(c);
	lab_close();
	free(value);
}

// A device gives back what it sent only when it sends more, or is asked.
static void idle_worker_gets_its_packets_back(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	lab->tx_keeps = true;
	c = client_connect();
	for (int k = 0; k < 50; k++)
		talk(c, "mn\r\n", "MN\r\n");
	lab_run(1000000); // delayed ACKs and all
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rte_mempool_in_use_count(lab->in[i].pool), 0);
	client_abort(c);
	lab_run(10000);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(large_mtu_with_small_buffers),
	cmocka_unit_test(idle_worker_gets_its_packets_back),
	cmocka_unit_test(one_worker_serves),
	cmocka_unit_test(three_workers_serve_each_other_s_keys),
	cmocka_unit_test(multi_get_over_shards_is_in_order),
	cmocka_unit_test(values_of_all_sizes_cross_shards),
	cmocka_unit_test(broken_value_of_any_size_is_refused),
	cmocka_unit_test(connection_dies_while_a_value_is_filled),
	cmocka_unit_test(reader_that_does_not_read_gets_everything_later),
	cmocka_unit_test(quit_closes_after_the_replies),
	cmocka_unit_test(closing_client_gets_what_it_asked_for),
	cmocka_unit_test(quit_waits_for_a_slow_reader),
};

LAB_MAIN("server", tests)
