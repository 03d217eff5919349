// SPDX-License-Identifier: BSD-3-Clause
// The bytes of requests, and the lines of answers, as memcached has them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "options.h"
#include "words.h"

static void request_is(const struct words *w, const uint32_t *key, uint32_t keys, const char *want)
{
	char to[1000];

	assert_int_equal(words_get_write(w, key, keys, to), strlen(want));
	assert_memory_equal(to, want, strlen(want));
	assert_true(strlen(want) <= words_get_max(w, keys));
}

static void set_is(const struct words *w, uint32_t version, uint32_t size, const char *want)
{
	char to[1000];

	assert_int_equal(words_set_write(w, 12, version, size, to), strlen(want));
	assert_memory_equal(to, want, strlen(want));
	assert_true(strlen(want) <= words_set_max(w));
}

static void text_requests(void **state)
{
	struct bench_options o = {.key_size = 10};
	struct words w;

	words_open(&w, &o);
	request_is(&w, (uint32_t[]){12}, 1, "get kk00000012\r\n");
	request_is(&w, (uint32_t[]){1, 99999999}, 2, "get kk00000001 kk99999999\r\n");
	set_is(&w, 0, 0, "set kk00000012 0 0 0\r\n");
	o.ttl_s = 60;
	words_open(&w, &o);
	set_is(&w, UINT32_MAX, 1000, "set kk00000012 4294967295 60 1000\r\n");
	o.keys = 12; // those behind them have a time of their own
	o.due_keys = 1;
	o.due_at = 1700000000;
	words_open(&w, &o);
	set_is(&w, 0, 5, "set kk00000012 0 1700000000 5\r\n");
	o.keys = 13;
	words_open(&w, &o);
	set_is(&w, 0, 5, "set kk00000012 0 60 5\r\n");
	assert_true(words_end_follows(&w, 1));
}

static void meta_requests(void **state)
{
	struct bench_options o = {.key_size = 8, .meta = true};
	struct words w;

	words_open(&w, &o);
	request_is(&w, (uint32_t[]){12}, 1, "mg 00000012 v f\r\n");
	request_is(
		&w, (uint32_t[]){1, 2}, 2, "mg 00000001 v f k q\r\nmg 00000002 v f k q\r\nmn\r\n");
	set_is(&w, 3, 5, "ms 00000012 5 F3\r\n");
	o.ttl_s = 60;
	words_open(&w, &o);
	set_is(&w, 3, 5, "ms 00000012 5 F3 T60\r\n");
	assert_false(words_end_follows(&w, 1));
	assert_true(words_end_follows(&w, 2));
}

static struct words_line line_read(const struct words *w, const char *line)
{
	return words_line_read(w, line, strlen(line));
}

static void lines_of_answers(void **state)
{
	struct bench_options o = {.key_size = 10};
	struct words_line line;
	struct words w;

	words_open(&w, &o);
	line = line_read(&w, "VALUE kk00000123 7 32\r\n");
	assert_int_equal(line.kind, WORDS_VALUE);
	assert_int_equal(line.key, 123);
	assert_int_equal(line.version, 7);
	assert_int_equal(line.size, 32);
	assert_int_equal(line_read(&w, "STORED\r\n").kind, WORDS_STORED);
	assert_int_equal(line_read(&w, "END\r\n").kind, WORDS_END);
	o.meta = true;
	words_open(&w, &o);
	line = line_read(&w, "VA 32 f7 kkk00000123\r\n");
	assert_int_equal(line.kind, WORDS_VALUE);
	assert_int_equal(line.key, 123);
	assert_int_equal(line.version, 7);
	line = line_read(&w, "VA 0 f4294967295\r\n");
	assert_int_equal(line.kind, WORDS_VALUE);
	assert_int_equal(line.key, WORDS_NO_KEY);
	assert_true(line.version == UINT32_MAX);
	assert_int_equal(line_read(&w, "HD\r\n").kind, WORDS_STORED);
	assert_int_equal(line_read(&w, "EN\r\n").kind, WORDS_END);
	assert_int_equal(line_read(&w, "MN\r\n").kind, WORDS_END);
}

static void other_lines_are_wrong(void **state)
{
	static const char *const text[] = {"", "\r\n", "END\n", "END \r\n", "HD\r\n", "STORED",
		"VALUE kk00000123 7 \r\n", "VALUE kk00000123 7 32\n", "VALUE kk00000123 7 32 1\r\n",
		"VALUE kj00000123 7 32\r\n", "VALUE kk0000012 7 32\r\n",
		"VALUE kk0000012x 7 32\r\n", "VALUE kk00000123 4294967296 32\r\n",
		"VALUE kk00000123 99999999999 32\r\n", "VALUE"};
	static const char *const meta[] = {"END\r\n", "STORED\r\n", "VA 3\r\n", "VA f3\r\n",
		"VA 3 f1 k\r\n", "VA 3 f1 kkk0000012\r\n", "VA 3 f1 \r\n", "NS\r\n"};
	struct bench_options o = {.key_size = 10};
	struct words w;

	words_open(&w, &o);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(text); i++)
		assert_int_equal(line_read(&w, text[i]).kind, WORDS_WRONG);
	o.meta = true;
	words_open(&w, &o);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(meta); i++)
		assert_int_equal(line_read(&w, meta[i]).kind, WORDS_WRONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_requests),
		cmocka_unit_test(meta_requests),
		cmocka_unit_test(lines_of_answers),
		cmocka_unit_test(other_lines_are_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
