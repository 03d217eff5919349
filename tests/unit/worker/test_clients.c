// SPDX-License-Identifier: BSD-3-Clause
// Client buffers: counted, and the largest client goes when all together pass their limit.

#include "lab.h"

#define CLIENTS 8

static void hoard(struct client *c, unsigned gets)
{
	c->stop_reading = true;
	for (unsigned i = 0; i < gets; i++)
		client_sendf(c, "get v\r\n");
}

static void store_value(size_t bytes)
{
	struct client *c = client_connect();
	char *value = malloc(bytes + 3);

	memset(value, 'v', bytes);
	memcpy(value + bytes, "\r\n", 3);
	client_sendf(c, "set v 0 0 %zu\r\n", bytes);
	talk(c, value, "STORED\r\n");
	client_abort(c);
	free(value);
}

static void the_largest_client_goes_first(void **state)
{
	struct client *c[CLIENTS];

	lab_open(&(struct lab_options){0});
	store_value(10000);
	for (unsigned i = 0; i < CLIENTS; i++) {
		c[i] = client_connect();
		hoard(c[i], i == 3 ? 60 : 4);
	}
	lab_run(100000);
	assert_true(lab->w[0]->n.clients_bytes > 0);
	assert_int_equal(lab->w[0]->n.evicted_clients, 0); // no limit is set
	lab->orders.clients_bytes_max = lab->w[0]->n.clients_bytes - 1;
	lab->orders.limit_bytes = lab->opt.limit_bytes;
	lab->orders.store = store_settings_default();
	lab_orders_push();
	lab_run(100000);
	assert_int_equal(lab->w[0]->n.evicted_clients, 1);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(c[i]->closed, i == 3);
	lab_close();
}

static void clients_within_the_limit_stay(void **state)
{
	struct client *c[CLIENTS];

	lab_open(&(struct lab_options){0});
	lab->orders.clients_bytes_max = 64 << 20;
	lab->orders.limit_bytes = lab->opt.limit_bytes;
	lab->orders.store = store_settings_default();
	lab_orders_push();
	store_value(10000);
	for (unsigned i = 0; i < CLIENTS; i++) {
		c[i] = client_connect();
		hoard(c[i], 60);
	}
	lab_run(1000000);
	assert_int_equal(lab->w[0]->n.evicted_clients, 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_free(c[i]);
	lab_run(100000);
	assert_int_equal(lab->w[0]->n.clients_bytes, 0);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_largest_client_goes_first),
	cmocka_unit_test(clients_within_the_limit_stay),
};

LAB_MAIN("clients", tests)
