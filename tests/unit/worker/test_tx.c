// SPDX-License-Identifier: BSD-3-Clause
// A device without room for what is sent: it waits in order, and is not lost.

#include "lab.h"

#define VALUE   200000
#define CLIENTS 8

static char request[VALUE + 100], answer[VALUE + 100]; // a set of "k"; what a get answers
static size_t answer_len;

static void value_set(struct client *c)
{
	size_t head = (size_t)sprintf(request, "set k 0 0 %u\r\n", VALUE);

	for (unsigned i = 0; i < VALUE; i++)
		request[head + i] = (char)('a' + (i * 7 >> 4) % 26);
	memcpy(request + head + VALUE, "\r\n", 3);
	answer_len = (size_t)sprintf(answer, "VALUE k 0 %u\r\n", VALUE);
	memcpy(answer + answer_len, request + head, VALUE);
	memcpy(answer + answer_len + VALUE, "\r\nEND\r\n", 8);
	answer_len += VALUE + 7;
	talk(c, request, "STORED\r\n");
}

static void clients_open(struct client **c)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		c[i] = client_connect();
	value_set(c[0]);
	for (unsigned i = 0; i < CLIENTS; i++) // their windows grow
		for (unsigned k = 0; k < 4; k++)
			talk(c[i], "get k\r\n", answer);
	for (unsigned i = 0; i < lab->workers; i++) {
		assert_int_equal(lab->w[i]->n.tx_waited, 0);
		assert_int_equal(lab->w[i]->n.tx_dropped, 0);
	}
}

static uint64_t sum_dropped(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += lab->w[i]->n.tx_dropped;
	return n;
}

static uint64_t sum_waited(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += lab->w[i]->n.tx_waited;
	return n;
}

static uint64_t sum_again(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += tcp_counters_get(lab->w[i]->tcp)->retransmits;
	return n;
}

// Windows of many connections in one turn, which is far more than the device takes in one.
static void what_the_device_has_no_room_for_waits(void **state)
{
	for (unsigned queues = 1; queues <= 2; queues++) {
		struct client *c[CLIENTS];
		uint64_t again;

		lab_open(&(struct lab_options){.workers = 2,
			.queues = queues,
			.spread = queues == 1 ? PORT_SPREAD_TOEPLITZ : PORT_SPREAD_DEVICE});
		clients_open(c);
		again = sum_again();
		lab->tx_slow = true;
		lab->tx_room = 10; // all of it in 3 ms: no probe is due
		for (unsigned i = 0; i < CLIENTS; i++)
			client_sendf(c[i], "get k\r\n");
		for (unsigned i = 0; i < CLIENTS; i++)
			expect(c[i], answer, answer_len);
		assert_true(sum_waited() > 100);
		assert_int_equal(sum_dropped(), 0);
		assert_int_equal(sum_again(), again);
		lab_close();
	}
}

// It takes nothing at all: what waits is bounded, what is more is dropped, and both are made good
// when it works again.
static void a_device_that_stands_still_costs_a_bounded_number_of_mbufs(void **state)
{
	struct client *c[CLIENTS];
	struct worker_tx_wait *t;

	lab_open(&(struct lab_options){.pool_mbufs = 16383});
	clients_open(c);
	t = &lab->w[0]->tx_wait;
	lab->tx_slow = true;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_sendf(c[i], "get k\r\n");
	lab_run(100000);
	assert_true(t->head - t->tail > CLIENTS);
	for (unsigned i = 0; sum_dropped() == 0; i++) {
		assert_true(i < 2 * WORKER_TX_WAIT);
		udp_send("get nothing\r\n", 13, (uint16_t)i);
		lab_turn();
	}
	assert_int_equal(t->head - t->tail, WORKER_TX_WAIT);
	lab->tx_slow = false;
	lab_run(1000);
	lab->udp_len = 0;
	for (unsigned i = 0; i < CLIENTS; i++)
		expect(c[i], answer, answer_len);
	assert_int_equal(t->head, t->tail);
	lab_close();
}

static void what_waits_at_the_end_is_given_back(void **state)
{
	struct client *c[CLIENTS];

	lab_open(&(struct lab_options){.workers = 2});
	clients_open(c);
	lab->tx_slow = true;
	lab->tx_room = 1;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_sendf(c[i], "get k\r\n");
	lab_run(1000);
	assert_true(sum_waited() > 0);
	lab->tx_room = 0;
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_the_device_has_no_room_for_waits),
	cmocka_unit_test(a_device_that_stands_still_costs_a_bounded_number_of_mbufs),
	cmocka_unit_test(what_waits_at_the_end_is_given_back),
};

LAB_MAIN("tx", tests)
