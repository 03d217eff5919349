// SPDX-License-Identifier: BSD-3-Clause
// References that results carry, and what is answered when there is no memory.
#include "exec_rig.h"

#define ALL 1000000

static void get_one(struct rig *g, const char *key, struct exec_result *res)
{
	struct proto_request r = {.op = PROTO_OP_GET, .key = key, .key_len = (uint8_t)strlen(key)};

	exec_apply(&g->ex, &r, base_hash(r.key, r.key_len), res);
}

static void a_shown_value_outlives_its_item(void **state)
{
	struct rig *g = *state;
	struct exec_result res;

	CHECK(g, "set a 0 0 5\nfirst\n", "STORED\n");
	get_one(g, "a", &res);
	assert_true(res.proto.has_value);
	assert_int_equal(res.item->refs, 2);
	CHECK(g, "set a 0 0 3\nnew\nappend a 0 0 1\n!\ndelete a\nflush_all\n",
		"STORED\nSTORED\nDELETED\nOK\n");
	assert_value_at(res.item, 0, "first");
	assert_int_equal(res.item->refs, 1);
	store_unref(g->ex.store, res.item);
}

// Within the memory that the item has, and only while nobody reads it.
static void slack_is_used_in_place(void **state)
{
	struct rig *g = *state;
	struct store_item *it;
	struct exec_result res;

	CHECK(g,
		"set a 3 0 68\n" /* 24 + 4 + 1 + 68 = 97 bytes of 112 */
		"12345678901234567890123456789012345678901234567890123456789012345678\n",
		"STORED\n");
	it = rig_item(g, "a");
	CHECK(g, "append a 0 0 2\n>>\nprepend a 0 0 2\n<<\nmg a f c s\n",
		"STORED\nSTORED\nHD f3 c3 s72\n");
	if (mem_usable(g->mem, 97) > 101) // libc's blocks may have no slack
		assert_ptr_equal(rig_item(g, "a"), it);
	it = rig_item(g, "a");
	assert_value_at(it, 0, "<<12");
	assert_value_at(it, 68, "78>>");
	get_one(g, "a", &res);
	CHECK(g, "append a 0 0 1\n!\n", "STORED\n");
	assert_ptr_not_equal(rig_item(g, "a"), res.item);
	assert_int_equal(res.item->value_bytes, 72);
	store_unref(g->ex.store, res.item);
	CHECK(g, "set n 0 0 1\n9\nincr n 1\nget n\nincr n 90\ndecr n 95\nget n\n",
		"STORED\n10\nVALUE n 0 2\n10\nEND\n100\n5\nVALUE n 0 3\n5  \nEND\n");
}

static void a_miss_carries_no_reference(void **state)
{
	struct rig *g = *state;
	struct exec_result res;

	get_one(g, "a", &res);
	assert_int_equal(res.proto.status, PROTO_MISS);
	assert_null(res.item);
	assert_false(res.proto.has_value);
}

static void no_value_asked_for_no_reference(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\nmg a t c\n", "STORED\nHD t-1 c1\n");
	assert_int_equal(rig_item(g, "a")->refs, 1);
}

static void a_full_reference_count_is_answered_with_a_copy(void **state)
{
	struct rig *g = *state;
	struct exec_result res;
	struct store_item *it;
	unsigned held = 0;

	CHECK(g, "set a 3 0 5\nvalue\n", "STORED\n");
	it = rig_item(g, "a");
	while (store_ref(g->ex.store, it))
		held++;
	assert_int_equal(held, UINT16_MAX - 1);
	get_one(g, "a", &res);
	assert_int_equal(res.proto.status, PROTO_OK);
	assert_int_equal(res.proto.client_flags, 3);
	assert_ptr_not_equal(res.item, it);
	assert_value_at(res.item, 0, "value");
	store_unref(g->ex.store, res.item);

	rig_fail(g, 0, ALL);
	CHECK(g, "get a\nmg a v\nmg a t\n", "END\nEN\nHD t-1\n");
	CHECK(g, "append a 0 0 1\n!\n", "SERVER_ERROR out of memory storing object\n");
	while (held-- > 0)
		store_unref(g->ex.store, it);
}

static void a_set_without_memory_takes_the_old_value_along(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\nset b 0 0 1\nx\nset c 0 0 1\nx\n", "STORED\nSTORED\nSTORED\n");
	rig_fail(g, 0, ALL);
	CHECK(g, "set a 0 0 1\ny\nget a\n", "SERVER_ERROR out of memory storing object\nEND\n");
	CHECK(g, "replace b 0 0 1\ny\nget b\n",
		"SERVER_ERROR out of memory storing object\nVALUE b 0 1\nx\nEND\n");
	CHECK(g, "ms c 1 MR\ny\nget c\n", "SERVER_ERROR out of memory storing object\nEND\n");
	CHECK(g, "set a 0 0 1 noreply\ny\n", "");
	assert_int_equal(g->ex.n.store_no_memory, 4);
	assert_int_equal(g->ex.n.cmd_set, 3);
}

static void an_append_without_memory_is_not_stored(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\n", "STORED\n");
	for (int skip = 1; skip < 4; skip++) { // the payload's own item succeeds
		const char *reply;

		rig_fail(g, skip, ALL);
		reply = rig_run(g, "append a 0 0 1\ny\n");
		rig_fail(g, 0, 0);
		if (strcmp(reply, "STORED\n") == 0)
			break;
		assert_string_equal(reply, "NOT_STORED\n");
		CHECK(g, "get a\n", "VALUE a 0 1\nx\nEND\n");
	}
}

static void arithmetic_without_memory_leaves_the_number(void **state)
{
	struct rig *g = *state;

	// 24 + 7 + 1 bytes leave no slack for a digit more, where blocks are of 16 bytes
	CHECK(g, "set seven77 0 0 1\n9\n", "STORED\n");
	if (mem_usable(g->mem, 32) > 32)
		skip();
	rig_fail(g, 0, ALL);
	CHECK(g, "incr seven77 1\nget seven77\ndecr seven77 1\n",
		"SERVER_ERROR out of memory\nVALUE seven77 0 1\n9\nEND\n8\n");
}

static void meta_without_memory(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 1\nx\n", "STORED\n");
	rig_fail(g, 0, ALL);
	CHECK(g, "mg n N30 v\nmd a x\nmg a v\n", "EN\nSERVER_ERROR out of memory\nVA 1\nx\n");
	assert_string_not_equal(rig_run(g, "ma n N30 v\n"), "VA 1\n0\n");
	rig_fail(g, 0, 0);
	CHECK(g, "mg n v\n", "EN\n");
}

#define LONG_MAX 20000u

// One of set, append, prepend, incr with a value of `n` bytes; `value` becomes what it must be
// then.
static void long_value_change(struct rig *g, unsigned how, uint32_t n, char *value)
{
	static const char *const command[] = {"set", "append", "prepend"};
	char *text = malloc(LONG_MAX + 100), *more = text + LONG_MAX / 2;
	uint32_t had = (uint32_t)strlen(value);

	for (uint32_t i = 0; i < n; i++)
		more[i] = (char)('a' + (i * 7 + n) % 26);
	if (how == 0) {
		memcpy(value, more, n);
		value[n] = '\0';
	} else if (how == 1) {
		memcpy(value + had, more, n);
		value[had + n] = '\0';
	} else {
		memmove(value + n, value, had + 1);
		memcpy(value, more, n);
	}
	snprintf(text, LONG_MAX / 2, "%s a 5 0 %u\n", command[how], n);
	memmove(text + strlen(text), more, n);
	strcpy(strchr(text, '\n') + 1 + n, "\n");
	CHECK(g, text, "STORED\n");
	free(text);
}

// Wherever the value breaks, before and after, with readers and without.
static void long_values_are_joined_and_counted_in(void **state)
{
	struct rig *g = *state;
	char *value = calloc(1, LONG_MAX), *reply = malloc(LONG_MAX + 100);
	struct exec_result res = {0};
	struct base_rng rng;
	unsigned split = 0;

	base_rng_seed(&rng, 11);
	for (unsigned i = 0; i < 6000; i++) {
		uint32_t had = (uint32_t)strlen(value);
		bool anew = i % 20 == 0 || had > LONG_MAX / 2;

		long_value_change(g, anew ? 0 : 1 + (unsigned)base_rng_below(&rng, 2),
			(uint32_t)base_rng_below(&rng, anew ? 6000 : had / 12 + 30), value);
		split += (rig_item(g, "a")->bits & STORE_ITEM_SPLIT) != 0;
		if (res.item)
			store_unref(g->ex.store, res.item);
		res.item = NULL;
		if (base_rng_below(&rng, 4) == 0)
			get_one(g, "a", &res);
		snprintf(reply, LONG_MAX + 100, "VALUE a 5 %zu\n%s\nEND\n", strlen(value), value);
		CHECK(g, "get a\n", reply);
	}
	if (res.item)
		store_unref(g->ex.store, res.item);
	assert_true(split > 2000);
	memset(value, ' ', 1000);
	memcpy(value + 980, "41\n", 4);
	snprintf(reply, LONG_MAX, "set a 0 0 982\n%s", value);
	CHECK(g, reply, "STORED\n");
	snprintf(reply, LONG_MAX, "42\nVA 982 s982\n42%980s\n", "");
	CHECK(g, "incr a 1\nmg a s v\n", reply);
	free(value);
	free(reply);
}

// Any allocation may fail at any time: every request is answered, nothing is lost, and what was
// answered with success is there.
static void random_failures_lose_nothing(void **state)
{
	static const char *const request[] = {"set %c 0 0 3\nabc\n", "add %c 0 0 2\n12\n",
		"append %c 0 0 4\nwxyz\n", "prepend %c 0 0 1\n1\n", "incr %c 999\n", "decr %c 1\n",
		"get %c\n", "mg %c N60 v t\n", "md %c I\n", "md %c x\n", "delete %c\n",
		"ma %c N0 v\n", "ms %c 2 I C5\nxy\n", "replace %c 0 0 12\n%c00000000000\n",
		"touch %c 100\n"};
	struct rig *g = *state;
	struct base_rng rng;
	char text[64];

	base_rng_seed(&rng, 42);
	for (int i = 0; i < 20000; i++) {
		char key = (char)('a' + base_rng_below(&rng, 20));
		size_t which = base_rng_below(&rng, BASE_ARRAY_LEN(request));

		snprintf(text, sizeof(text), request[which], key, '1');
		rig_fail(g, (int)base_rng_below(&rng, 4), (int)base_rng_below(&rng, 3));
		assert_true(strlen(rig_run(g, text)) > 0);
		if (which == 0) {
			bool stored = strcmp(g->out, "STORED\n") == 0;

			rig_fail(g, 0, 0);
			snprintf(text, sizeof(text), "mg %c v\n", key);
			CHECK(g, text, stored ? "VA 3\nabc\n" : "EN\n");
		}
	}
	rig_fail(g, 0, 0);
	assert_true(g->ex.n.store_no_memory > 100);
	assert_int_equal(store_counters_get(g->ex.store)->pinned_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_shown_value_outlives_its_item),
		RIG_TEST(slack_is_used_in_place),
		RIG_TEST(a_miss_carries_no_reference),
		RIG_TEST(no_value_asked_for_no_reference),
		RIG_TEST(a_full_reference_count_is_answered_with_a_copy),
		RIG_TEST(a_set_without_memory_takes_the_old_value_along),
		RIG_TEST(an_append_without_memory_is_not_stored),
		RIG_TEST(arithmetic_without_memory_leaves_the_number),
		RIG_TEST(meta_without_memory),
		RIG_TEST(long_values_are_joined_and_counted_in),
		RIG_TEST(random_failures_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
