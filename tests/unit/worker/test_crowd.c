// SPDX-License-Identifier: BSD-3-Clause
// What some clients do must not cost the others: those that never read, and floods of datagrams.

#include "lab.h"

#define DEAF   200
#define VALUE  100000
#define ANSWER (21 + VALUE + 7)

static void value_set(struct client *c, const char *key)
{
	char *value = malloc(VALUE + 3);

	memset(value, 'v', VALUE);
	memcpy(value + VALUE, "\r\n", 3);
	client_sendf(c, "set %s 0 0 %u\r\n", key, VALUE);
	talk(c, value, "STORED\r\n");
	free(value);
}

static uint64_t used_by_replies(void)
{
	struct worker_counters n;
	uint64_t sum = 0;

	for (unsigned i = 0; i < lab->workers; i++) {
		worker_counters_collect(lab->w[i], &n);
		sum += n.mem_used[MEM_INPUT] + n.mem_used[MEM_OUTPUT];
	}
	return sum;
}

// Each asks for 4 MB and reads nothing; a client that reads is served as if they were not there.
static void deaf_clients_cost_the_others_nothing(void **state)
{
	struct client *c, *deaf[DEAF];
	uint64_t began_us;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	for (int k = 0; k < 3; k++) {
		char key[8];

		sprintf(key, "big%d", k);
		value_set(c, key);
	}
	for (unsigned i = 0; i < DEAF; i++) {
		deaf[i] = client_connect();
		deaf[i]->stop_reading = true;
		for (int k = 0; k < 40; k++)
			client_sendf(deaf[i], "get big%d\r\n", k % 3);
	}
	lab_run(2000000);
	for (unsigned i = 0; i < 3; i++)
		assert_true(rte_mempool_avail_count(lab->in[i].pool) > LAB_POOL_MBUFS / 16);
	assert_true(used_by_replies() < 1 << 20);
	for (int k = 0; k < 30; k++) {
		began_us = lab->now.mono_us;
		client_sendf(c, "get big%d\r\n", k % 3);
		client_wait(c, ANSWER);
		assert_int_equal(c->in_len, ANSWER);
		c->in_len = 0;
		assert_true(lab->now.mono_us - began_us < 10000);
	}
	for (unsigned i = 0; i < DEAF; i++) {
		client_read_on(deaf[i]);
		client_wait(deaf[i], 40 * ANSWER);
		assert_int_equal(deaf[i]->in_len, 40 * ANSWER);
		client_free(deaf[i]);
	}
	lab_close();
}

// More datagrams than a turn takes, all for other shards: TCP goes on, nothing is kept.
static void flood_of_datagrams_leaves_room_for_tcp(void **state)
{
	char request[64];
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 60; i++) {
			int n = sprintf(request, "get f%d g%d h%d\r\n", i, i, i);

			udp_send(request, (size_t)n, (uint16_t)i);
		}
		lab_run(LAB_STEP_US * 2);
		lab->udp_len = 0;
		if (round % 10 == 0) {
			client_sendf(c, "set t%d 0 0 1\r\nx\r\n", round);
			client_wait(c, 8);
			lab->udp_len = 0;
			assert_int_equal(c->in_len, 8);
			c->in_len = 0;
		}
	}
	lab_run(20000);
	lab->udp_len = 0;
	assert_int_equal(used_by_replies(), 0);
	client_abort(c);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(deaf_clients_cost_the_others_nothing),
	cmocka_unit_test(flood_of_datagrams_leaves_room_for_tcp),
};

LAB_MAIN("crowd", tests)
