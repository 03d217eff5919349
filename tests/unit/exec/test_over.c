// SPDX-License-Identifier: BSD-3-Clause
// exec_set_over: a set that writes over the present value leaves what a set in two steps leaves,
// and touches nothing where it cannot.
#include "exec_rig.h"

static bool over(
	struct rig *g, const char *key, uint32_t flags, uint32_t exptime, const char *value)
{
	struct proto_plain l = {
		.key = key,
		.value = value,
		.value_bytes = (uint32_t)strlen(value),
		.client_flags = flags,
		.exptime = exptime,
		.op = PROTO_OP_SET,
		.key_len = (uint8_t)strlen(key),
		.first = true,
		.end = true,
	};
	struct store_look look;

	store_look_begin(g->ex.store, base_hash(key, strlen(key)), &look);
	store_looks_fetch(g->ex.store, &look, 1);
	return exec_set_over(&g->ex, &l, &look);
}

static void the_new_value_is_where_the_old_one_was(void **state)
{
	struct rig *g = *state;
	struct store_item *it;
	uint64_t used, cas;

	CHECK(g, "set k 0 0 5\nfirst\n", "STORED\n");
	it = rig_item(g, "k");
	cas = it->cas;
	used = mem_used_class(g->mem, MEM_ITEMS);
	rig_fail(g, 0, 1); // nothing is allocated
	assert_true(over(g, "k", 0, 0, "again"));
	rig_fail(g, 0, 0);
	assert_ptr_equal(rig_item(g, "k"), it);
	assert_int_equal(mem_used_class(g->mem, MEM_ITEMS), used);
	assert_true(it->cas > cas);
	CHECK(g, "get k\n", "VALUE k 0 5\nagain\nEND\n");
	assert_int_equal(g->ex.n.cmd_set, 2);
	assert_int_equal(store_counters_get(g->ex.store)->items_total, 2);
	assert_int_equal(store_counters_get(g->ex.store)->items, 1);
}

static void another_length_of_the_same_class_fits(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set k 7 0 5\nfirst\n" /* 24 + 4 + 1 + 5 = 34 bytes of 48 */, "STORED\n");
	if (mem_usable(g->mem, 34) < 35)
		return; // the sanitizer's blocks have no slack
	assert_true(over(g, "k", 9, 0, "sixth."));
	CHECK(g, "get k\n", "VALUE k 9 6\nsixth.\nEND\n");
	assert_true(over(g, "k", 9, 0, "four"));
	CHECK(g, "get k\n", "VALUE k 9 4\nfour\nEND\n");
}

static void what_does_not_fit_is_left_alone(void **state)
{
	static const char big[] = "as long as no block of the small one's class can be, and longer";
	struct rig *g = *state;
	struct store_item *it;

	assert_false(over(g, "k", 0, 0, "first"));
	assert_null(rig_item(g, "k"));
	CHECK(g, "set k 0 0 5\nfirst\n", "STORED\n");
	assert_false(over(g, "k", 0, 0, big));     // another size class
	assert_false(over(g, "k", 1, 0, "flags")); // no place for flags
	it = rig_item(g, "k");
	assert_true(store_ref(g->ex.store, it)); // a reader
	assert_false(over(g, "k", 0, 0, "third"));
	store_unref(g->ex.store, it);
	CHECK(g, "get k\n", "VALUE k 0 5\nfirst\nEND\n");
	assert_true(over(g, "k", 0, 0, "third"));
	assert_int_equal(g->ex.n.cmd_set, 2);
}

static void the_new_deadline_holds(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set k 0 0 5\nfirst\n", "STORED\n");
	assert_true(over(g, "k", 0, 10, "again"));
	assert_true(rig_item(g, "k")->bits & STORE_ITEM_DUE);
	rig_pass(g, 5);
	assert_true(over(g, "k", 0, 10, "third"));
	rig_pass(g, 9);
	CHECK(g, "get k\n", "VALUE k 0 5\nthird\nEND\n");
	rig_pass(g, 1);
	assert_false(over(g, "k", 0, 0, "later")); // it has expired
	CHECK(g, "get k\n", "END\n");
	CHECK(g, "set k 0 10 5\nfirst\n", "STORED\n");
	assert_true(over(g, "k", 0, 0, "again"));
	assert_false(rig_item(g, "k")->bits & STORE_ITEM_DUE);
	rig_pass(g, 100);
	CHECK(g, "get k\n", "VALUE k 0 5\nagain\nEND\n");
}

// A set ends what had been said of the old value.
static void marks_go(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set k 0 0 2\n10\n", "STORED\n");
	CHECK(g, "incr k 1\n", "11\n");
	CHECK(g, "md k I\n", "HD\n"); // stale
	assert_true(rig_item(g, "k")->bits & STORE_ITEM_STALE);
	assert_true(over(g, "k", 0, 0, "no"));
	assert_int_equal(rig_item(g, "k")->bits &
			(STORE_ITEM_STALE | STORE_ITEM_WON | STORE_ITEM_NUMBER |
				STORE_ITEM_FETCHED),
		0);
	CHECK(g, "incr k 1\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\n");
}

// Its end lies in a block of its own.
static void a_value_in_two_pieces_is_written_whole(void **state)
{
	struct rig *g = *state;
	char value[2000], want[2100];
	struct store_item *it = NULL;

	for (unsigned n = 400; n < sizeof(value) - 1; n++) {
		memset(value, 'a', n);
		value[n] = '\0';
		snprintf(want, sizeof(want), "set k 0 0 %u\n%s\n", n, value);
		CHECK(g, want, "STORED\n");
		it = rig_item(g, "k");
		if (it->bits & STORE_ITEM_SPLIT)
			break;
	}
	assert_true(it->bits & STORE_ITEM_SPLIT);
	memset(value, 'b', strlen(value));
	assert_true(over(g, "k", 0, 0, value));
	snprintf(want, sizeof(want), "VALUE k 0 %zu\n%s\nEND\n", strlen(value), value);
	CHECK(g, "get k\n", want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_new_value_is_where_the_old_one_was),
		RIG_TEST(another_length_of_the_same_class_fits),
		RIG_TEST(what_does_not_fit_is_left_alone),
		RIG_TEST(the_new_deadline_holds),
		RIG_TEST(marks_go),
		RIG_TEST(a_value_in_two_pieces_is_written_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
