// SPDX-License-Identifier: BSD-3-Clause
// What answers without a store: lcbench believes it, whatever pieces requests come in.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "constant.h"

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
	t->bytes[t->len] = '\0';
}

static void pieces_answered(bool meta, const char *request, const char *wanted)
{
	struct constant k;

	assert_int_equal(constant_open(&k, meta, 5), 0);
	for (size_t step = 1; step <= strlen(request); step++) {
		struct constant_conn c = {0};
		struct text out = {.len = 0};

		for (size_t at = 0; at < strlen(request); at += step) {
			size_t rest = strlen(request) - at;

			assert_true(constant_feed(
				&k, &c, request + at, rest < step ? rest : step, text_put, &out));
		}
		assert_string_equal(out.bytes, wanted);
		constant_conn_close(&c);
	}
	constant_close(&k);
}

static void requests_in_any_pieces_are_answered(void **state)
{
	pieces_answered(false, "get one\r\nset two 0 0 5\r\n12\n45\r\nget three four\r\n",
		"VALUE one 0 5\r\nccccc\r\nEND\r\nSTORED\r\n"
		"VALUE three 0 5\r\nccccc\r\nVALUE four 0 5\r\nccccc\r\nEND\r\n");
	pieces_answered(true, "mg one v f\r\nms two 5 F0\r\n12\n45\r\nmg two v f\r\n",
		"VA 5 f0\r\nccccc\r\nHD\r\nVA 5 f0\r\nccccc\r\n");
}

static void what_is_no_request_is_refused(void **state)
{
	static const char *const wrong[] = {"\r\n", "get \r\n", "delete one\r\n", "mg one v f\r\n"};
	struct constant k;

	assert_int_equal(constant_open(&k, false, 5), 0);
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

	assert_int_equal(constant_open(&k, false, 5), 0);
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
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(a_line_without_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
