// SPDX-License-Identifier: BSD-3-Clause
// Lines of great length, and bytes of no sense.
#include "proto_cases.h"

static char *run_of(const char *before, char c, size_t n, const char *after)
{
	size_t head = strlen(before), tail = strlen(after);
	char *s = malloc(head + n + tail + 1);

	memcpy(s, before, head);
	memset(s + head, c, n);
	memcpy(s + head + n, after, tail + 1);
	return s;
}

static void check_run(const char *before, size_t n, const char *after, const char *out)
{
	char *in = run_of(before, 'x', n, after);

	case_check(&(struct proto_case){in, out});
	free(in);
}

static void a_line_that_does_not_end_within_2048_bytes_closes(void **state)
{
	check_run("", PROTO_LINE_MAX - 1, "\nmn\r\n", ERROR "mn\n");
	check_run("", PROTO_LINE_MAX, "\nmn\r\n", "close ''\n");
	check_run("", PROTO_LINE_MAX, "", "close ''\n");
	check_run("", PROTO_LINE_MAX - 1, "", "");
	check_run("gat ", PROTO_LINE_MAX, " a\r\n", "close ''\n");
	check_run("mg ", PROTO_LINE_MAX, "\r\n", "close ''\n");
}

static void a_retrieval_may_be_longer(void **state)
{
	char in[6 + 2 * 1500 + 3] = "gat 7 ", *out = malloc(1500 * 32 + 100), *p = out;
	struct proto_case c = {in, out};

	for (int i = 0; i < 1500; i++) {
		memcpy(in + 6 + 2 * i, "a ", 2);
		p += sprintf(p, "get a%s touch exptime=7\n", i == 0 ? " first" : "");
	}
	memcpy(in + 6 + 2 * 1500, "\r\n", 3);
	strcpy(p, "end\n");
	case_check(&c);
	free(out);
	check_run("get a ", 3000, " b\r\nmn\r\n",
		"get a first\nreply 'CLIENT_ERROR bad command line format' rollback\nmn\n");
}

// 10 MiB without a newline: nothing of it is held, and each byte is looked at once.
static void an_endless_key_is_dropped_as_it_comes(void **state)
{
	static char bytes[4096];
	struct proto_parser p;
	struct proto_request r;
	size_t held = 0;

	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "get ", 4);
	proto_parser_init(&p, ITEM_MAX);
	assert_int_equal(proto_parse(&p, bytes, sizeof(bytes), &r), PROTO_REQUEST);
	assert_int_equal(r.op, PROTO_OP_REPLY);
	memcpy(bytes, "xxxx", 4);
	for (size_t sent = 0; sent < 10 << 20; sent += sizeof(bytes)) {
		assert_int_equal(proto_parse(&p, bytes, sizeof(bytes), &r), PROTO_MORE);
		held += sizeof(bytes) - r.consumed;
	}
	assert_int_equal(held, 0);
	assert_int_equal(proto_parse(&p, "xx\nmn\r\n", 7, &r), PROTO_REQUEST);
	assert_int_equal(r.op, PROTO_OP_META_NOOP);
	assert_int_equal(r.consumed, 7);
}

// Lines put together from pieces that mean something, cut at random: one reading of them.
static void random_lines_are_read_alike_however_cut(void **state)
{
	static const char *const pieces[] = {"get ", "gets ", "gat ", "set ", "a", " ", "  ", "0",
		"1 ", "\r\n", "\n", "\r", "ms ", "mg ", "ma ", " b", " q", " O1", " T0", " 3",
		"noreply", "YQ==", K251, "\xff", "cas ", "delete ", "-1", "stats", " HTTP/1.1"};
	struct base_rng rng;

	base_rng_seed(&rng, 20);
	for (int round = 0; round < 4000; round++) {
		char in[16 * 252] = "";
		struct feed whole, cut;
		size_t len, at = 0;

		for (uint64_t n = 1 + base_rng_below(&rng, 15); n > 0; n--)
			strcat(in, pieces[base_rng_below(&rng, BASE_ARRAY_LEN(pieces))]);
		len = strlen(in);
		feed_open(&whole, ITEM_MAX);
		feed_open(&cut, ITEM_MAX);
		feed_split(&whole, in, len, 0);
		for (size_t have = 0; have < len;) {
			have += 1 + base_rng_below(&rng, len - have);
			feed_some(&cut, in, &at, have);
		}
		assert_string_equal(cut.text, whole.text);
		feed_close(&whole);
		feed_close(&cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_does_not_end_within_2048_bytes_closes),
		cmocka_unit_test(a_retrieval_may_be_longer),
		cmocka_unit_test(an_endless_key_is_dropped_as_it_comes),
		cmocka_unit_test(random_lines_are_read_alike_however_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
