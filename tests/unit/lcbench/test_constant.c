// SPDX-License-Identifier: BSD-3-Clause
// What answers without a store: lcbench believes it, whatever pieces requests come in.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "constant.h"
#include "options.h"

struct text {
	char bytes[4096];
	size_t len;
};

static void text_put(void *arg, const char *bytes, size_t len)
{
	struct text *t = arg;

	assert_true(t->len + len < sizeof(t->bytes));
	memcpy(t->bytes + t->len, bytes, len);
	t->len += len;
}

static void pieces_answered(
	uint8_t commands, const char *request, size_t len, const char *wanted, size_t wanted_len)
{
	struct constant k;

	assert_int_equal(constant_open(&k, commands, 5), 0);
	for (size_t step = 1; step <= len; step++) {
		struct constant_conn c = {0};
		struct text out = {.len = 0};

		for (size_t at = 0; at < len; at += step) {
			size_t rest = len - at;

			assert_true(constant_feed(
				&k, &c, request + at, rest < step ? rest : step, text_put, &out));
		}
		assert_int_equal(out.len, wanted_len);
		assert_memory_equal(out.bytes, wanted, wanted_len);
		constant_conn_close(&c);
	}
	constant_close(&k);
}

static void lines_answered(uint8_t commands, const char *request, const char *wanted)
{
	pieces_answered(commands, request, strlen(request), wanted, strlen(wanted));
}

static void requests_in_any_pieces_are_answered(void **state)
{
	lines_answered(COMMANDS_TEXT, "get one\r\nset two 0 0 5\r\n12\n45\r\nget three four\r\n",
		"VALUE one 0 5\r\nccccc\r\nEND\r\nSTORED\r\n"
		"VALUE three 0 5\r\nccccc\r\nVALUE four 0 5\r\nccccc\r\nEND\r\n");
	lines_answered(COMMANDS_META, "mg one v f\r\nms two 5 F0\r\n12\n45\r\nmg two v f\r\n",
		"VA 5 f0\r\nccccc\r\nHD\r\nVA 5 f0\r\nccccc\r\n");
}

static void packets_in_any_pieces_are_answered(void **state)
{
	static const char request[] = "\x80\x00\0\3\0\0\0\0\0\0\0\3abcd\0\0\0\0\0\0\0\0one"
				      "\x80\x01\0\3\x08\0\0\0\0\0\0\x10opaq\0\0\0\0\0\0\0\0"
				      "\0\0\0\0\0\0\0\0two12\r\n5"
				      "\x80\x0d\0\3\0\0\0\0\0\0\0\3efgh\0\0\0\0\0\0\0\0six"
				      "\x80\x0a\0\0\0\0\0\0\0\0\0\0ijkl\0\0\0\0\0\0\0\0";
	static const char wanted[] = "\x81\x00\0\0\4\0\0\0\0\0\0\x09\x61\x62\x63\x64"
				     "\0\0\0\0\0\0\0\0\0\0\0\0ccccc"
				     "\x81\x01\0\0\0\0\0\0\0\0\0\0opaq\0\0\0\0\0\0\0\0"
				     "\x81\x0d\0\3\4\0\0\0\0\0\0\x0c\x65\x66\x67\x68"
				     "\0\0\0\0\0\0\0\0\0\0\0\0sixccccc"
				     "\x81\x0a\0\0\0\0\0\0\0\0\0\0ijkl\0\0\0\0\0\0\0\0";

	pieces_answered(COMMANDS_BINARY, request, sizeof(request) - 1, wanted, sizeof(wanted) - 1);
}

static void what_is_no_packet_is_refused(void **state)
{
	// a line, an answer, a delete, lengths that do not go together
	static const char *const wrong[] = {"get one\r\n",
		"\x81\x00\0\3\0\0\0\0\0\0\0\3abcd\0\0\0\0\0\0\0\0one",
		"\x80\x04\0\3\0\0\0\0\0\0\0\3abcd\0\0\0\0\0\0\0\0one",
		"\x80\x00\0\3\0\0\0\0\0\0\0\2abcd\0\0\0\0\0\0\0\0one"};
	struct constant k;

	assert_int_equal(constant_open(&k, COMMANDS_BINARY, 5), 0);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct constant_conn c = {0};
		struct text out = {.len = 0};

		assert_false(constant_feed(&k, &c, wrong[i], i ? 27 : 9, text_put, &out));
		assert_int_equal(out.len, 0);
		constant_conn_close(&c);
	}
	constant_close(&k);
}

static void what_is_no_request_is_refused(void **state)
{
	static const char *const wrong[] = {"\r\n", "get \r\n", "delete one\r\n", "mg one v f\r\n"};
	struct constant k;

	assert_int_equal(constant_open(&k, COMMANDS_TEXT, 5), 0);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct constant_conn c = {0};
		struct text out = {.len = 0};

		assert_false(constant_feed(&k, &c, wrong[i], strlen(wrong[i]), text_put, &out));
		assert_int_equal(out.len, 0);
		constant_conn_close(&c);
	}
	constant_close(&k);
}

static void a_line_without_end_is_refused(void **state)
{
	char piece[4096];
	struct constant_conn c = {0};
	struct text out = {.len = 0};
	struct constant k;
	int taken = 0;

	assert_int_equal(constant_open(&k, COMMANDS_TEXT, 5), 0);
	memset(piece, 'x', sizeof(piece));
	while (taken < 1000 && constant_feed(&k, &c, piece, sizeof(piece), text_put, &out))
		taken++;
	assert_in_range(taken, 1, 999);
	constant_conn_close(&c);
	constant_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_in_any_pieces_are_answered),
		cmocka_unit_test(packets_in_any_pieces_are_answered),
		cmocka_unit_test(what_is_no_packet_is_refused),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(a_line_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
