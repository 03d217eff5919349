// SPDX-License-Identifier: BSD-3-Clause
// The meta commands: vivify, recache, stale values and tombstones, order of flags.
#include "exec_rig.h"

static void one_client_wins_what_it_misses(void **state)
{
	CHECK(*state, "mg a N30 v t\nmg a N30 v t\nget a\n",
		"VA 0 t30 W\n\nVA 0 t30 Z\n\nVALUE a 0 0\n\nEND\n");
	CHECK(*state, "set a 0 0 1\nx\nmg a N30 v\n", "STORED\nVA 1\nx\n");
}

static void one_client_wins_what_is_about_to_expire(void **state)
{
	CHECK(*state, "set a 0 30 1\nx\nmg a R10\nmg a R60\nmg a R60\nmg a\n",
		"STORED\nHD\nHD W\nHD Z\nHD Z\n");
	CHECK(*state, "set b 0 0 1\nx\nmg b R60\n", "STORED\nHD\n");
}

static void flags_about_time_act_in_their_order(void **state)
{
	CHECK(*state, "set a 0 100 1\nx\nmg a t T50\nmg a T70 t\n", "STORED\nHD t100\nHD t70\n");
	CHECK(*state, "set a 0 100 1\nx\nmg a T50 R80 t\nset a 0 100 1\nx\nmg a R80 T50 t\n",
		"STORED\nHD t50 W\nSTORED\nHD t50\n");
	CHECK(*state, "mg n t N50\nmg o N50 t\n", "HD t-1 W\nHD t50 W\n");
}

static void an_invalidated_value_is_served_stale_until_it_is_set(void **state)
{
	CHECK(*state, "set a 0 0 1\nx\nmd a I T30\n", "STORED\nHD\n");
	CHECK(*state, "mg a v t c\nmg a v t c\n", "VA 1 t30 c2 X W\nx\nVA 1 t30 c2 Z X\nx\n");
	CHECK(*state, "ms a 1 C2\ny\nmg a v t\n", "HD\nVA 1 t-1\ny\n");
}

static void a_late_winner_stores_stale(void **state)
{
	CHECK(*state, "set a 0 100 1\nx\nmd a I\nmg a c\nmd a I T50\nmg a c\n",
		"STORED\nHD\nHD c2 X W\nHD\nHD c3 X W\n");
	CHECK(*state, "ms a 1 C2 I T900\nw\nmg a v t\n", "HD\nVA 1 t50 Z X\nw\n");
	CHECK(*state, "ms a 1 C99 I\nv\n", "EX\n");
}

static void cas_flags_compare_and_set_numbers(void **state)
{
	CHECK(*state, "ms a 1 E50 c\nx\nmg a c\nmd a C49\nma a C50\n",
		"HD c50\nHD c50\nEX\nCLIENT_ERROR cannot increment or decrement non-numeric "
		"value\n");
	CHECK(*state, "mg a C50 v\nmg a C51 v\n", "HD\nVA 1\nx\n");
	CHECK(*state, "ms a 1 C51\ny\nms a 1 C50 E60\ny\nmd a I E61\nmg a c u\n",
		"EX\nHD\nHD\nHD c61 X W\n");
	CHECK(*state, "set z 0 0 1\n1\nma z E0 c\ncas z 0 0 1 0\n2\n", "STORED\nHD c0\nEXISTS\n");
	CHECK(*state, "mg n N0 E70 c\nma m N0 J5 E71 c v\n", "HD c70 W\nVA 1 c71\n5\n");
}

static void modes_of_ms(void **state)
{
	CHECK(*state, "ms a 1 MR\nx\nms a 1 MA\nx\nms a 1 ME\n1\nms a 1 ME\n2\n",
		"NS\nNS\nHD\nNS\n");
	CHECK(*state, "ms a 1 MA s\n2\nms a 1 MP s\n0\nms a 1 MA C1 s\nx\nmg a v\n",
		"HD s2\nHD s3\nEX s1\nVA 3\n012\n");
	CHECK(*state, "ms n 1 MA N60 F7 T900\nx\nms n 1 MA N90 F8\ny\nmg n v f t\n",
		"HD\nHD\nVA 2 f7 t60\nxy\n");
}

static void tombstones_keep_the_number(void **state)
{
	CHECK(*state, "set a 5 0 3\nabc\nmd a x T40\nmg a v f t c\n",
		"STORED\nHD\nVA 0 f0 t40 c1\n\n");
	CHECK(*state, "md a x I T50\nmg a v t c\nmd b x\n", "HD\nVA 0 t50 c2 X W\n\nNF\n");
}

static void keys_are_shown_as_they_were_stored(void **state)
{
	CHECK(*state, "ms Zm9v 1 b k\nx\nmg foo k\nmg Zm9v b k\nget foo\n",
		"HD kZm9v b\nHD kZm9v b\nHD kZm9v b\nVALUE foo 0 1\nx\nEND\n");
	CHECK(*state, "set foo 0 0 1\nx\nmg Zm9v b k\nmd Zm9v b k\nmg Zm9v b k\n",
		"STORED\nHD kfoo\nHD kZm9v b\nEN kZm9v b\n");
}

static void reading_marks_an_item_and_other_access_does_not(void **state)
{
	CHECK(*state, "set a 0 0 1\n1\nincr a 1\nadd a 0 0 1\n9\nmg a h u\nmg a h\nmg a h\n",
		"STORED\n2\nNOT_STORED\nHD h0\nHD h0\nHD h1\n");
	CHECK(*state, "set a 0 0 1\n1\ntouch a 0\nmg a h\n", "STORED\nTOUCHED\nHD h1\n");
}

static void debug_tells_without_touching(void **state)
{
	struct rig *g = *state;

	assert_non_null(strstr(rig_run(g, "set a 0 90 1\n1\nme a\n"), "ME a exp=90 la=0 cas=1"));
	rig_pass(g, 5);
	assert_non_null(strstr(rig_run(g, "me a\n"), "exp=85 la=5 cas=1 fetch=no"));
	CHECK(g, "mg a l h\nme b\n", "HD l5 h0\nEN\n");
	assert_int_equal(g->ex.n.cmd_meta, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(one_client_wins_what_it_misses),
		RIG_TEST(one_client_wins_what_is_about_to_expire),
		RIG_TEST(flags_about_time_act_in_their_order),
		RIG_TEST(an_invalidated_value_is_served_stale_until_it_is_set),
		RIG_TEST(a_late_winner_stores_stale),
		RIG_TEST(cas_flags_compare_and_set_numbers),
		RIG_TEST(modes_of_ms),
		RIG_TEST(tombstones_keep_the_number),
		RIG_TEST(keys_are_shown_as_they_were_stored),
		RIG_TEST(reading_marks_an_item_and_other_access_does_not),
		RIG_TEST(debug_tells_without_touching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
