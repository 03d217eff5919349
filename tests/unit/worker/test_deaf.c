// SPDX-License-Identifier: BSD-3-Clause
// Clients that ask and never read: what their replies wait in (slots, packet buffers) is shared,
// and enough of it is left for those that do read.

#include "lab.h"

#define DEAF 200
#define KEYS 10

static void others_are_served(size_t value_bytes)
{
	char want[64];

	for (unsigned i = 0; i < 3 * KEYS; i++) {
		struct client *c = client_connect();
		int head =
			snprintf(want, sizeof(want), "VALUE k%u 0 %zu\r\n", i % KEYS, value_bytes);

		client_sendf(c, "get k%u\r\n", i % KEYS);
		client_wait(c, (size_t)head + value_bytes + 7);
		assert_int_equal(c->in_len, (size_t)head + value_bytes + 7);
		assert_memory_equal(c->in, want, (size_t)head);
		client_free(c);
	}
}

static void deaf_run(unsigned workers, size_t value_bytes)
{
	static char request[KEYS][8 * 1000];
	struct client *c, *deaf[DEAF];
	char *value = malloc(value_bytes + 3);

	lab_open(&(struct lab_options){.workers = workers, .pool_mbufs = 8191});
	memset(value, 'v', value_bytes);
	memcpy(value + value_bytes, "\r\n", 3);
	c = client_connect();
	for (unsigned k = 0; k < KEYS; k++) {
		client_sendf(c, "set k%u 0 0 %zu\r\n", k, value_bytes);
		talk(c, value, "STORED\r\n");
		for (unsigned i = 0; i < 1000; i++)
			memcpy(request[k] + 8 * i,
				(char[]){'g', 'e', 't', ' ', 'k', (char)('0' + k), '\r', '\n'}, 8);
	}
	for (unsigned i = 0; i < DEAF; i++) {
		deaf[i] = client_connect();
		deaf[i]->stop_reading = true;
	}
	for (unsigned n = 0; n < 5; n++) {
		for (unsigned i = 0; i < DEAF; i++)
			client_send(deaf[i], request[i % KEYS], sizeof(request[0]));
		lab_run(5000);
	}
	lab_run(500000);
	others_are_served(value_bytes);
	for (unsigned i = 0; i < DEAF; i++) // they wake up: nothing was lost
		client_read_on(deaf[i]);
	for (unsigned i = 0; i < DEAF; i++)
		client_wait(deaf[i], 5000 * (strlen("VALUE k0 0 1") + value_bytes));
	for (unsigned i = 0; i < DEAF; i++)
		assert_true(deaf[i]->in_len >= 5000 * (strlen("VALUE k0 0 1") + value_bytes));
	lab_close();
	free(value);
}

static void deaf_clients_leave_room_for_others(void **state)
{
	deaf_run(1, 10);
}

static void deaf_clients_of_three_workers_leave_room_for_others(void **state)
{
	deaf_run(3, 10);
}

// Small values first: their answers are out while all the large ones wait.
#define SMALL      32
#define SMALL_BYTE 32768
#define LARGE      4128
#define LARGE_BYTE 1040194

static_assert((uint64_t)SMALL * SMALL_BYTE + (uint64_t)LARGE * LARGE_BYTE > UINT32_MAX,
	"more than 32 bits count");

static void key_of_other_shard_set(struct client *c, char key[8], size_t value_bytes)
{
	char *value = malloc(value_bytes + 3);

	do {
		key[1]++;
	} while (worker_of_hash(base_hash(key, 2), 2) != 1);
	memset(value, 'v', value_bytes);
	memcpy(value + value_bytes, "\r\n", 3);
	client_sendf(c, "set %s 0 0 %zu\r\n", key, value_bytes);
	talk(c, value, "STORED\r\n");
	free(value);
}

static void answers_of_4_gib_wait_for_one_client(void **state)
{
	char small[8] = "s@", large[8] = "l@";
	struct client *c;
	uint64_t before;

	lab_open(&(struct lab_options){.workers = 2, .queues = 1, .credits = 1024});
	c = client_connect();
	key_of_other_shard_set(c, small, SMALL_BYTE);
	key_of_other_shard_set(c, large, LARGE_BYTE);
	before = lab->w[0]->n.requests;
	lab->paused[1] = 1000;
	c->stop_reading = true;
	for (int i = 0; i < SMALL; i++)
		client_sendf(c, "mg %s v\r\n", small);
	for (int i = 0; i < LARGE; i++)
		client_sendf(c, "mg %s v\r\n", large);
	while (lab->paused[1] > 0 && lab->w[0]->n.requests < before + SMALL + LARGE)
		lab_turn();
	assert_true(lab->paused[1] > 0);
	lab->paused[1] = 0;
	lab_run(50 * LAB_STEP_US); // all that was asked for is here
	client_read_on(c);
	client_wait(c, SMALL * SMALL_BYTE + 2 * LARGE_BYTE);
	assert_true(c->in_len >= SMALL * SMALL_BYTE + 2 * LARGE_BYTE);
	assert_memory_equal(c->in, "VA 32768\r\nvv", 12);
	client_abort(c);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(deaf_clients_leave_room_for_others),
	cmocka_unit_test(deaf_clients_of_three_workers_leave_room_for_others),
	cmocka_unit_test(answers_of_4_gib_wait_for_one_client),
};

LAB_MAIN("deaf", tests)
