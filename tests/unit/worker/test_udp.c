// SPDX-License-Identifier: BSD-3-Clause
// Requests over UDP: whole numbered messages or nothing, whatever runs out.

#include "lab.h"

// The next n bytes received over UDP are one message of one datagram.
static void udp_expect(uint16_t id, const char *want)
{
	char head[8];

	for (int i = 0; i < 1000 && lab->udp_len < 8 + strlen(want); i++)
		lab_run(100);
	proto_udp_write(head, id, 0, 1);
	assert_int_equal(lab->udp_len, 8 + strlen(want));
	assert_memory_equal(lab->udp, head, 8);
	assert_memory_equal(lab->udp + 8, want, strlen(want));
	lab->udp_len = 0;
}

static void udp_talk(uint16_t id, const char *request, const char *want)
{
	udp_send(request, strlen(request), id);
	udp_expect(id, want);
}

static void nothing_comes(void)
{
	lab_run(5000);
	assert_int_equal(lab->udp_len, 0);
}

static uint64_t udp_dropped(void)
{
	struct worker_counters sum = {0}, n;

	for (unsigned i = 0; i < lab->workers; i++) {
		worker_counters_collect(lab->w[i], &n);
		worker_counters_add(&sum, &n);
	}
	return sum.udp_dropped;
}

// A key that worker `owner` has.
static const char *key_of(unsigned owner, unsigned number, char *buf)
{
	for (unsigned i = 0;; i++) {
		int n = sprintf(buf, "k%u_%u", number, i);

		if (worker_of_hash(base_hash(buf, (size_t)n), lab->workers) == owner)
			return buf;
	}
}

// The worker that datagrams of our one client port come to.
static unsigned udp_home(void)
{
	const struct base_ip client_ip = base_ip4(LAB_CLIENT_IP);
	const struct base_ip server_ip = base_ip4(LAB_SERVER_IP);

	return port_flow_hash(&client_ip, &server_ip, 4000, 11211, true) % lab->workers;
}

static unsigned udp_pieces_home(unsigned workers)
{
	const struct base_ip client_ip = base_ip4(LAB_CLIENT_IP);
	const struct base_ip server_ip = base_ip4(LAB_SERVER_IP);

	return port_flow_hash(&client_ip, &server_ip, 0, 0, false) % workers;
}

static void answers_come_in_one_numbered_message(void **state)
{
	char want[64];

	lab_open(&(struct lab_options){.workers = 3});
	for (int i = 0; i < 6; i++) {
		char request[1100];
		int n = sprintf(request, "set u%d 0 0 1000\r\n", i);

		memset(request + n, 'a' + i, 1000);
		memcpy(request + n + 1000, "\r\n", 3);
		udp_talk((uint16_t)i, request, "STORED\r\n");
	}
	udp_send("get u0 u1 u2 u3 u4 u5\r\n", 23, 77);
	lab_run(5000);
	// 6 values of 1,000 bytes and their heads: five datagrams, numbered, all but the last full
	assert_int_equal(lab->udp_len, 6 * (17 + 1002) + 5 + 5 * 8);
	for (int i = 0; i < 5; i++) {
		proto_udp_write(want, 77, (uint16_t)i, 5);
		assert_memory_equal(lab->udp + i * 1400, want, 8);
	}
	lab->udp_len = 0;
	lab_close();
}

static void truncated_set_does_not_wait(void **state)
{
	char key[32], request[128];

	lab_open(&(struct lab_options){.workers = 3});
	for (unsigned k = 0; k < 3; k++) {
		sprintf(request, "set %s 0 0 1000\r\nshort\r\n", key_of(k, 0, key));
		udp_talk(5, request, "CLIENT_ERROR bad data chunk\r\n");
		sprintf(request, "set %s 0 0 1000 noreply\r\nshort\r\n", key);
		udp_send(request, strlen(request), 6);
		nothing_comes();
		sprintf(request, "set %s 0 0 2\r\nok\r\n", key);
		udp_talk(7, request, "STORED\r\n");
	}
	lab_close();
}

static void datagram_may_hold_several_requests(void **state)
{
	char a[32], b[32], request[512], want[512];

	lab_open(&(struct lab_options){.workers = 3});
	key_of(udp_home(), 1, a);
	key_of((udp_home() + 1) % 3, 2, b);
	sprintf(request, "set %s 0 0 1\r\n1\r\nset %s 0 0 1\r\n2\r\nget %s %s\r\nmn\r\nget %s\r\n",
		a, b, a, b, b);
	sprintf(want,
		"STORED\r\nSTORED\r\nVALUE %s 0 1\r\n1\r\nVALUE %s 0 1\r\n2\r\nEND\r\nMN\r\n"
		"VALUE %s 0 1\r\n2\r\nEND\r\n",
		a, b, b);
	udp_talk(9, request, want);
	sprintf(request, "quit\r\nget %s\r\n", a);
	sprintf(want, "VALUE %s 0 1\r\n1\r\nEND\r\n", a);
	udp_talk(10, request, want);
	lab_close();
}

// Parsed side by side, executed one behind the other, with more requests than are parsed ahead.
static void burst_of_datagrams_is_answered_in_order(void **state)
{
	char request[512], want[64 * 1024], *end = want;

	lab_open(&(struct lab_options){.workers = 1});
	for (int i = 0; i < 50; i++) {
		int n = sprintf(request, "set k 0 0 2\r\n%d\r\nget", i + 10);

		for (int k = 0; k < 40; k++)
			n += sprintf(request + n, " k");
		sprintf(request + n, "\r\ndelete k\r\nget k\r\n");
		udp_send(request, strlen(request), (uint16_t)i);
		proto_udp_write(end, (uint16_t)i, 0, 1);
		end += 8 + sprintf(end + 8, "STORED\r\n");
		for (int k = 0; k < 40; k++)
			end += sprintf(end, "VALUE k 0 2\r\n%d\r\n", i + 10);
		end += sprintf(end, "END\r\nDELETED\r\nEND\r\n");
	}
	lab_run(5000);
	assert_int_equal(lab->udp_len, end - want);
	assert_memory_equal(lab->udp, want, lab->udp_len);
	lab->udp_len = 0;
	lab_close();
}

static void noreply_sends_nothing(void **state)
{
	char key[32], request[128];

	lab_open(&(struct lab_options){.workers = 3});
	for (unsigned k = 0; k < 3; k++) {
		sprintf(request, "set %s 0 0 1 noreply\r\nx\r\n", key_of(k, 0, key));
		udp_send(request, strlen(request), 1);
		udp_send("flush_all 1000 noreply\r\n", 24, 2);
		udp_send("get unfinished", 14, 3);
		udp_send("quit\r\n", 6, 4);
		nothing_comes();
	}
	udp_talk(5, "flush_all\r\n", "OK\r\n");
	lab_close();
}

// More requests for other shards than a datagram may have slots: no answer rather than half of one.
static void message_with_too_many_requests_is_dropped_whole(void **state)
{
	char *request = malloc(60000), key[32];
	unsigned home;
	size_t n = 0;

	lab_open(&(struct lab_options){.workers = 2, .credits = 4096});
	n += (size_t)sprintf(request, "get");
	// pieces are spread by their addresses
	home = udp_pieces_home(2);
	key_of(1 - home, 0, key);
	for (int i = 0; i < 2000; i++)
		n += (size_t)sprintf(request + n, " %s", key);
	n += (size_t)sprintf(request + n, "\r\n");
	udp_talk(1, "mn\r\n", "MN\r\n"); // neighbours know each other
	for (int i = 0; i < 3; i++) {
		udp_send(request, n, 3);
		nothing_comes();
	}
	assert_int_equal(udp_dropped(), 3);
	lab_close();
	free(request);
}

// All of the waiting datagrams' places are taken while a peer does not answer: two spaces, since a
// plain get would not wait here.
static void peer_that_sleeps_costs_datagrams_but_nothing_else(void **state)
{
	char key[32], request[64];
	unsigned home, peer;
	size_t n;

	lab_open(&(struct lab_options){.workers = 2, .credits = 4096});
	home = udp_home();
	peer = 1 - home;
	udp_talk(1, "mn\r\n", "MN\r\n"); // neighbours know each other
	n = (size_t)sprintf(request, "get  %s\r\n", key_of(peer, 0, key));
	lab->paused[peer] = 1000000;
	for (int i = 0; i < WORKER_DGRAMS + 100; i++) {
		udp_send(request, n, (uint16_t)i);
		if (i % 16 == 0)
			lab_run(LAB_STEP_US * 2);
	}
	lab_run(2000);
	assert_int_equal(lab->udp_len, 0);
	assert_int_equal(udp_dropped(), 100);
	lab->paused[peer] = 0;
	lab_run(2000);
	assert_int_equal(lab->udp_len, WORKER_DGRAMS * (8 + 5));
	lab->udp_len = 0;
	udp_talk(1, "mn\r\n", "MN\r\n");
	lab_close();
}

// A reply that takes more packet buffers than there are, local and from another shard.
static void reply_without_buffers_is_dropped_whole(void **state)
{
	char key[32], request[2100], *value = malloc(200003);
	struct client *c;

	lab_open(&(struct lab_options){.workers = 2, .pool_mbufs = 511});
	memset(value, 'v', 200000);
	memcpy(value + 200000, "\r\n", 3);
	for (unsigned k = 0; k < 2; k++) {
		size_t n = (size_t)sprintf(request, "get");

		c = client_connect();
		client_sendf(c, "set %s 0 0 200000\r\n", key_of(k, 0, key));
		talk(c, value, "STORED\r\n");
		client_abort(c);
		for (int i = 0; i < 20; i++)
			n += (size_t)sprintf(request + n, " %s", key);
		n += (size_t)sprintf(request + n, "\r\n");
		udp_send(request, n, 3);
		nothing_comes();
		assert_int_equal(udp_dropped(), k + 1);
		udp_talk(4, "mn\r\n", "MN\r\n");
	}
	lab_close();
	free(value);
}

static bool fail_input(void *arg)
{
	(*(unsigned *)arg)++;
	return true;
}

static void failing_allocations_cost_datagrams_but_nothing_else(void **state)
{
	char key[32], request[64];
	unsigned asked = 0;

	lab_open(&(struct lab_options){.workers = 3});
	udp_talk(1, "mn\r\n", "MN\r\n");
	for (unsigned i = 0; i < 3; i++)
		mem_fault_set(lab->mem[i], fail_input, &asked);
	for (unsigned k = 0; k < 3; k++) {
		sprintf(request, "set %s 0 0 1\r\nx\r\n", key_of(k, 0, key));
		udp_send(request, strlen(request), 1);
		udp_send("stats\r\n", 7, 2);
		udp_send("flush_all\r\n", 11, 3);
		lab_run(3000);
	}
	assert_true(asked > 0);
	lab->udp_len = 0;
	for (unsigned i = 0; i < 3; i++)
		mem_fault_set(lab->mem[i], NULL, NULL);
	sprintf(request, "set %s 0 0 1\r\nx\r\n", key);
	udp_talk(1, request, "STORED\r\n");
	lab_close();
}

// Of eight pieces, the most that are put together.
static void fragmented_request_is_answered(void **state)
{
	char *request = malloc(11100);
	struct lab_options opt = {.workers = 3};

	for (int k = 0; k < 4; k++) {
		int n = sprintf(request, "set big%d 0 0 11000\r\n", k);

		memset(request + n, 'z', 11000);
		memcpy(request + n + 11000, "\r\n", 3);
		opt.queues = k % 2 ? 3 : 1;
		opt.spread = k % 2 ? PORT_SPREAD_DEVICE : PORT_SPREAD_TOEPLITZ;
		lab_open(&opt);
		udp_talk(1, "mn\r\n", "MN\r\n");
		udp_talk(3, request, "STORED\r\n");
		lab_close();
	}
	free(request);
}

// Pieces are passed on by their addresses, what they make by its flow.
static void fragments_reach_the_owner_of_their_flow(void **state)
{
	char request[1200];
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3, .queues = 1, .spread = PORT_SPREAD_TOEPLITZ});
	lab->cut_bytes = 256;
	for (int k = 0; k < 16; k++) {
		int n = sprintf(request, "set cut%d 0 0 1000\r\n", k);

		memset(request + n, 'z', 1000);
		memcpy(request + n + 1000, "\r\n", 3);
		c = client_connect();
		talk(c, request, "STORED\r\n");
		udp_talk(3, request, "STORED\r\n");
		client_abort(c);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(lab->w[i]->n.udp_requests, i == udp_home() ? 16 : 0);
		assert_true(lab->w[i]->n.conns_total > 0);
		assert_int_equal(tcp_counters_get(lab->w[i]->tcp)->resets_out, 0);
		assert_int_equal(tcp_counters_get(lab->w[i]->tcp)->no_conn, 0);
	}
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(fragments_reach_the_owner_of_their_flow),
	cmocka_unit_test(answers_come_in_one_numbered_message),
	cmocka_unit_test(truncated_set_does_not_wait),
	cmocka_unit_test(datagram_may_hold_several_requests),
	cmocka_unit_test(burst_of_datagrams_is_answered_in_order),
	cmocka_unit_test(noreply_sends_nothing),
	cmocka_unit_test(message_with_too_many_requests_is_dropped_whole),
	cmocka_unit_test(peer_that_sleeps_costs_datagrams_but_nothing_else),
	cmocka_unit_test(reply_without_buffers_is_dropped_whole),
	cmocka_unit_test(failing_allocations_cost_datagrams_but_nothing_else),
	cmocka_unit_test(fragmented_request_is_answered),
};

LAB_MAIN("udp", tests)
