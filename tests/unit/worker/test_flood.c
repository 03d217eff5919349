// SPDX-License-Identifier: BSD-3-Clause
// A flood of datagrams must not cost the others.

#include "lab.h"

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
	cmocka_unit_test(flood_of_datagrams_leaves_room_for_tcp),
};

LAB_MAIN("flood", tests)
