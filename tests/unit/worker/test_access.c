// SPDX-License-Identifier: BSD-3-Clause
// What answers over UDP cost on narrow links.

#include "lab.h"

static struct worker_counters sum(void)
{
	struct worker_counters all = {0}, n;

	for (unsigned i = 0; i < lab->workers; i++) {
		worker_counters_collect(lab->w[i], &n);
		worker_counters_add(&all, &n);
	}
	return all;
}

// A request of many short ones and its answer are equally long; where the answer leaves in three
// packets it would be more than came in.
static void packets_of_a_narrow_link_count(void **state)
{
	char request[4 * 300];

	for (unsigned i = 0; i < sizeof(request); i += 4)
		memcpy(request + i, "mn\r\n", 4);
	for (unsigned narrow = 0; narrow < 2; narrow++) {
		lab_open(&(struct lab_options){.workers = 1, .mtu = narrow ? 600 : 1500});
		lab->orders.access.udp_allow = NULL;
		lab->orders.access_seq++;
		lab_orders_push();
		udp_send(request, sizeof(request), 1);
		lab_run(20000);
		assert_int_equal(sum().udp_requests, 1);
		assert_int_equal(lab->udp_len, narrow ? 0 : sizeof(request) + 8);
		assert_int_equal(sum().udp_amplified, narrow);
		lab->udp_len = 0;
		udp_send(request, 40, 1);
		lab_run(20000);
		assert_int_equal(lab->udp_len, 48);
		lab_close();
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(packets_of_a_narrow_link_count),
};

LAB_MAIN("access", tests)
