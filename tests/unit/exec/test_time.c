// SPDX-License-Identifier: BSD-3-Clause
// Deadlines, expiry and flush_all, with a clock that the test moves.
#include "exec_rig.h"

#define NOW_S 1700000000u

static void deadlines_follow_memcached(void **state)
{
	struct base_now now = {.mono_us = 1, .wall_s = NOW_S};

	(void)state;
	assert_int_equal(exec_deadline(0, now), 0);
	assert_int_equal(exec_deadline(1, now), NOW_S + 1);
	assert_int_equal(exec_deadline(2592000, now), NOW_S + 2592000);
	assert_int_equal(exec_deadline(2592001, now), 2592001);
	assert_int_equal(exec_deadline(NOW_S + 10, now), NOW_S + 10);
	assert_int_equal(exec_deadline(-1, now), 1);
	assert_int_equal(exec_deadline(INT64_MIN, now), 1);
	assert_int_equal(exec_deadline(INT64_MAX, now), UINT32_MAX);
}

static void an_item_is_gone_at_its_deadline(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 10 1\nx\n", "STORED\n");
	rig_pass(g, 9);
	CHECK(g, "mg a v t\n", "VA 1 t1\nx\n");
	rig_pass(g, 1);
	CHECK(g, "get a\nadd a 0 0 1\ny\n", "END\nSTORED\n");
	assert_int_equal(g->ex.n.get_expired, 1);
	assert_int_equal(g->ex.n.get_misses, 1);
}

static void a_past_time_stores_and_hides(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\nset a 0 -1 1\ny\nget a\n", "STORED\nSTORED\nEND\n");
	CHECK(g, "set a 0 2592001 1\ny\nget a\n", "STORED\nEND\n");
	CHECK(g, "set a 0 0 1\nx\ngat -1 a\nget a\n", "STORED\nVALUE a 0 1\nx\nEND\nEND\n");
}

static void every_command_misses_what_has_expired(void **state)
{
	struct rig *g = *state;

	for (char k = 'a'; k <= 'j'; k++) {
		char text[32];

		snprintf(text, sizeof(text), "set %c 0 1 1\n1\n", k);
		CHECK(g, text, "STORED\n");
	}
	rig_pass(g, 1);
	CHECK(g, "get a\ndelete b\ntouch c 0\nincr d 1\nreplace e 0 0 1\nx\nappend f 0 0 1\nx\n",
		"END\nNOT_FOUND\nNOT_FOUND\nNOT_FOUND\nNOT_STORED\nNOT_STORED\n");
	CHECK(g, "cas g 0 0 1 1\nx\nmg h v\nmd i I\nma j N0 J9 v\n",
		"NOT_FOUND\nEN\nNF\nVA 1\n9\n");
	assert_int_equal(g->ex.n.get_expired, 10);
}

static void flush_takes_all_that_is_there(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\nflush_all\nget a\nset a 0 0 1\ny\nget a\n",
		"STORED\nOK\nEND\nSTORED\nVALUE a 0 1\ny\nEND\n");
	CHECK(g, "flush_all -1\nget a\n", "OK\nEND\n");
	CHECK(g, "set a 0 0 1\nx\nflush_all 2592001\nget a\n", "STORED\nOK\nEND\n");
	assert_int_equal(g->ex.n.cmd_flush, 3);
}

static void a_delayed_flush_waits(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\nflush_all 10\nget a\n", "STORED\nOK\nVALUE a 0 1\nx\nEND\n");
	rig_pass(g, 9);
	CHECK(g, "get a\n", "VALUE a 0 1\nx\nEND\n");
	rig_pass(g, 1);
	CHECK(g, "get a\nset a 0 0 1\ny\nget a\n", "END\nSTORED\nVALUE a 0 1\ny\nEND\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlines_follow_memcached),
		RIG_TEST(an_item_is_gone_at_its_deadline),
		RIG_TEST(a_past_time_stores_and_hides),
		RIG_TEST(every_command_misses_what_has_expired),
		RIG_TEST(flush_takes_all_that_is_there),
		RIG_TEST(a_delayed_flush_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
