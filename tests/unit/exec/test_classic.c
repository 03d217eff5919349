// SPDX-License-Identifier: BSD-3-Clause
// The classic commands: what each mode does to a present and to an absent key, and what is counted.
#include "exec_rig.h"

static void set_stores_over_anything(void **state)
{
	CHECK(*state, "set a 1 0 3\none\nget a\n", "STORED\nVALUE a 1 3\none\nEND\n");
	CHECK(*state, "set a 2 0 3\ntwo\nget a\n", "STORED\nVALUE a 2 3\ntwo\nEND\n");
	CHECK(*state, "set a 0 0 0\n\nget a\n", "STORED\nVALUE a 0 0\n\nEND\n");
}

static void add_stores_only_where_nothing_is(void **state)
{
	CHECK(*state, "add a 0 0 1\nx\nadd a 0 0 1\ny\nget a\n",
		"STORED\nNOT_STORED\nVALUE a 0 1\nx\nEND\n");
}

static void replace_stores_only_where_something_is(void **state)
{
	CHECK(*state, "replace a 0 0 1\nx\nget a\n", "NOT_STORED\nEND\n");
	CHECK(*state, "set a 0 0 1\nx\nreplace a 5 0 1\ny\nget a\n",
		"STORED\nSTORED\nVALUE a 5 1\ny\nEND\n");
}

static void append_and_prepend_keep_flags_and_time(void **state)
{
	CHECK(*state, "append a 0 0 1\nx\nprepend a 0 0 1\nx\n", "NOT_STORED\nNOT_STORED\n");
	CHECK(*state, "set a 7 500 2\nbc\nappend a 8 900 1\nd\nprepend a 9 0 1\na\nmg a v f t\n",
		"STORED\nSTORED\nSTORED\nVA 4 f7 t500\nabcd\n");
}

static void cas_needs_the_number_of_the_present_item(void **state)
{
	struct rig *g = *state;

	CHECK(g, "cas a 0 0 1 1\nx\n", "NOT_FOUND\n");
	CHECK(g, "set a 0 0 1\n1\ngets a\n", "STORED\nVALUE a 0 1 1\n1\nEND\n");
	CHECK(g, "cas a 0 0 1 9\n2\ncas a 0 0 1 0\n2\ngets a\n",
		"EXISTS\nEXISTS\nVALUE a 0 1 1\n1\nEND\n");
	CHECK(g, "cas a 3 0 1 1\n2\ngets a\ncas a 0 0 1 1\n3\n",
		"STORED\nVALUE a 3 1 2\n2\nEND\nEXISTS\n");
	assert_int_equal(g->ex.n.cas_misses, 1);
	assert_int_equal(g->ex.n.cas_badval, 3);
	assert_int_equal(g->ex.n.cas_hits, 1);
}

static void refused_storage_uses_no_number(void **state)
{
	CHECK(*state,
		"set a 0 0 1\nx\nadd a 0 0 1\ny\nreplace b 0 0 1\ny\nset b 0 0 1\nz\ngets b\n",
		"STORED\nNOT_STORED\nNOT_STORED\nSTORED\nVALUE b 0 1 2\nz\nEND\n");
}

static void delete_and_touch_find_or_miss(void **state)
{
	struct rig *g = *state;

	CHECK(g, "delete a\ntouch a 9\n", "NOT_FOUND\nNOT_FOUND\n");
	CHECK(g, "set a 0 0 1\nx\ntouch a 9\nmg a t c\ndelete a\nget a\n",
		"STORED\nTOUCHED\nHD t9 c1\nDELETED\nEND\n");
	assert_int_equal(g->ex.n.delete_hits, 1);
	assert_int_equal(g->ex.n.delete_misses, 1);
	assert_int_equal(g->ex.n.touch_hits, 1);
	assert_int_equal(g->ex.n.touch_misses, 1);
	assert_int_equal(g->ex.n.cmd_touch, 2);
}

static void retrievals_are_counted_by_their_kind(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\nget a b\ngat 5 a b\nmg a T9\nmg a\n",
		"STORED\nVALUE a 0 1\nx\nEND\nVALUE a 0 1\nx\nEND\nHD\nHD\n");
	assert_int_equal(g->ex.n.cmd_get, 3);
	assert_int_equal(g->ex.n.get_hits, 2);
	assert_int_equal(g->ex.n.get_misses, 1);
	assert_int_equal(g->ex.n.cmd_touch, 3);
	assert_int_equal(g->ex.n.touch_hits, 2);
	assert_int_equal(g->ex.n.cmd_set, 1);
}

static void too_large_a_set_takes_the_old_value_along(void **state)
{
	struct rig *g = rig_open(200);
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text), "set a 0 0 300\n%0300d\nget a\n", 0);
	CHECK(g, "set a 0 0 1\nx\nset b 0 0 1\nx\nset c 0 0 1\nx\n", "STORED\nSTORED\nSTORED\n");
	CHECK(g, text, "SERVER_ERROR object too large for cache\nEND\n");
	snprintf(text, sizeof(text), "add b 0 0 300\n%0300d\nget b\n", 0);
	CHECK(g, text, "SERVER_ERROR object too large for cache\nVALUE b 0 1\nx\nEND\n");
	snprintf(text, sizeof(text), "ms c 300 MA\n%0300d\nget c\n", 0);
	CHECK(g, text, "SERVER_ERROR object too large for cache\nEND\n");
	assert_int_equal(g->ex.n.store_too_large, 3);
	rig_close(g);
}

static void append_beyond_the_limit_leaves_the_value(void **state)
{
	struct rig *g = rig_open(200);
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), "set a 0 0 100\n%0100d\nappend a 0 0 100\n%0100d\nmg a s\n", 0,
		0);
	CHECK(g, text, "STORED\nNOT_STORED\nHD s100\n");
	rig_close(g);
}

static void a_given_up_reservation_changes_nothing(void **state)
{
	struct rig *g = *state;
	struct proto_request r = {.op = PROTO_OP_SET, .key = "a", .key_len = 1, .value_bytes = 100};
	struct store_item *item;
	struct exec_result res;

	CHECK(g, "set a 0 0 1\nx\n", "STORED\n");
	exec_reserve(&g->ex, &r, base_hash("a", 1), &item, &res);
	assert_non_null(item);
	CHECK(g, "get a\n", "VALUE a 0 1\nx\nEND\n");
	store_abort(g->ex.store, item);
	CHECK(g, "get a\n", "VALUE a 0 1\nx\nEND\n");
}

// Between reserve and commit the key may change hands: the mode looks at what is there at commit.
static void the_decision_falls_at_commit(void **state)
{
	struct rig *g = *state;
	struct proto_request r = {
		.op = PROTO_OP_SET, .mode = PROTO_MODE_ADD, .key = "a", .key_len = 1};
	struct store_item *item;
	struct exec_result res;

	exec_reserve(&g->ex, &r, base_hash("a", 1), &item, &res);
	CHECK(g, "set a 0 0 1\nx\n", "STORED\n");
	r.key = NULL; // the input has moved on
	exec_commit(&g->ex, &r, base_hash("a", 1), item, &res);
	assert_int_equal(res.proto.status, PROTO_NOT_STORED);
	CHECK(g, "get a\n", "VALUE a 0 1\nx\nEND\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(set_stores_over_anything),
		RIG_TEST(add_stores_only_where_nothing_is),
		RIG_TEST(replace_stores_only_where_something_is),
		RIG_TEST(append_and_prepend_keep_flags_and_time),
		RIG_TEST(cas_needs_the_number_of_the_present_item),
		RIG_TEST(refused_storage_uses_no_number),
		RIG_TEST(delete_and_touch_find_or_miss),
		RIG_TEST(retrievals_are_counted_by_their_kind),
		cmocka_unit_test(too_large_a_set_takes_the_old_value_along),
		cmocka_unit_test(append_beyond_the_limit_leaves_the_value),
		RIG_TEST(a_given_up_reservation_changes_nothing),
		RIG_TEST(the_decision_falls_at_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
