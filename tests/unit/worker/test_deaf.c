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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(deaf_clients_leave_room_for_others),
	cmocka_unit_test(deaf_clients_of_three_workers_leave_room_for_others),
};

LAB_MAIN("deaf", tests)
