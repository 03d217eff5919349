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
	struct bench_options o = {.key_size = 8, .commands = COMMANDS_META};
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

static struct words_head line_read(const struct words *w, const char *line)
{
	return words_head_read(w, line, strlen(line));
}

static void lines_of_answers(void **state)
{
	struct bench_options o = {.key_size = 10};
	struct words_head line;
	struct words w;

	words_open(&w, &o);
	line = line_read(&w, "VALUE kk00000123 7 32\r\n");
	assert_int_equal(line.kind, WORDS_VALUE);
	assert_int_equal(line.key, 123);
	assert_int_equal(line.version, 7);
	assert_int_equal(line.size, 32);
	assert_int_equal(line_read(&w, "STORED\r\n").kind, WORDS_STORED);
	assert_int_equal(line_read(&w, "END\r\n").kind, WORDS_END);
	o.commands = COMMANDS_META;
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
	o.commands = COMMANDS_META;
	words_open(&w, &o);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(meta); i++)
		assert_int_equal(line_read(&w, meta[i]).kind, WORDS_WRONG);
}

static void binary_requests(void **state)
{
	static const char get[] = "\x80\x00\0\x08\0\0\0\0\0\0\0\x08\0\0\0\x0c\0\0\0\0\0\0\0\0"
				  "00000012";
	static const char two[] = "\x80\x0d\0\x08\0\0\0\0\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0\0\0"
				  "00000001"
				  "\x80\x0d\0\x08\0\0\0\0\0\0\0\x08\0\0\0\x02\0\0\0\0\0\0\0\0"
				  "00000002"
				  "\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0";
	static const char set[] = "\x80\x01\0\x08\x08\0\0\0\0\0\0\x15\0\0\0\x0c\0\0\0\0\0\0\0\0"
				  "\0\0\0\3\0\0\0\x3c"
				  "00000012";
	struct bench_options o = {.key_size = 8, .ttl_s = 60, .commands = COMMANDS_BINARY};
	char to[1000];
	struct words w;

	words_open(&w, &o);
	assert_int_equal(words_get_write(&w, (uint32_t[]){12}, 1, to), sizeof(get) - 1);
	assert_memory_equal(to, get, sizeof(get) - 1);
	assert_int_equal(words_get_write(&w, (uint32_t[]){1, 2}, 2, to), sizeof(two) - 1);
	assert_memory_equal(to, two, sizeof(two) - 1);
	assert_true(sizeof(two) - 1 <= words_get_max(&w, 2));
	assert_int_equal(words_set_write(&w, 12, 3, 5, to), sizeof(set) - 1);
	assert_memory_equal(to, set, sizeof(set) - 1);
	assert_true(sizeof(set) - 1 <= words_set_max(&w));
	assert_string_equal(words_value_end(&w), "");
	assert_false(words_end_follows(&w, 1));
	assert_true(words_end_follows(&w, 2));
}

#define ZEROS8 "\0\0\0\0\0\0\0\0"

static void packets_of_answers(void **state)
{
	// of key 7: a hit, with its key, a miss, a set, a noop
	static const char hit[] = "\x81\x00\0\0\4\0\0\0\0\0\0\x24\0\0\0\7" ZEROS8 "\0\0\0\2";
	static const char key[] = "\x81\x0d\0\x08\4\0\0\0\0\0\0\x2c\0\0\0\7" ZEROS8 "\0\0\0\2"
				  "00000007";
	static const char miss[] = "\x81\x00\0\0\0\0\0\1\0\0\0\x09\0\0\0\7" ZEROS8 "Not found";
	static const char set[] = "\x81\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\7" ZEROS8;
	static const char noop[] = "\x81\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\7" ZEROS8;
	struct {
		const char *head;
		size_t len;
		enum words_kind kind;
	} of[] = {{hit, sizeof(hit) - 1, WORDS_VALUE}, {key, sizeof(key) - 1, WORDS_VALUE},
		{miss, sizeof(miss) - 1, WORDS_END}, {set, sizeof(set) - 1, WORDS_STORED},
		{noop, sizeof(noop) - 1, WORDS_END}};
	struct bench_options o = {.key_size = 8, .commands = COMMANDS_BINARY};
	struct words_head head;
	struct words w;

	words_open(&w, &o);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(of); i++) {
		bool whole;

		// whole wherever it is cut, and no more is taken than its own
		for (size_t cut = 0; cut < of[i].len; cut++) {
			if (cut)
				assert_int_equal(
					words_head_take(&w, NULL, 0, of[i].head, cut, &whole), cut);
			if (cut)
				assert_false(whole);
			char more[100] = {0};
			memcpy(more, of[i].head + cut, of[i].len - cut);
			assert_int_equal(
				words_head_take(&w, of[i].head, cut, more, sizeof(more), &whole),
				of[i].len - cut);
			assert_true(whole);
		}
		head = words_head_read(&w, of[i].head, of[i].len);
		assert_int_equal(head.kind, of[i].kind);
		assert_int_equal(head.key, 7);
		if (head.kind == WORDS_VALUE) {
			assert_int_equal(head.version, 2);
			assert_int_equal(head.size, 32);
		}
	}
}

static void other_packets_are_wrong(void **state)
{
	static const char *const wrong[] = {
		// a get's with a key, without flags; a getkq's whose key is not the opaque's
		"\x81\x00\0\x08\4\0\0\0\0\0\0\x0c\0\0\0\7" ZEROS8 "\0\0\0\0"
		"00000007",
		"\x81\x00\0\0\0\0\0\0\0\0\0\0\0\0\0\7" ZEROS8 ZEROS8 ZEROS8,
		"\x81\x0d\0\x08\4\0\0\0\0\0\0\x0c\0\0\0\7" ZEROS8 "\0\0\0\0"
		"00000008",
		// a set that failed, a getkq's miss, another command
		"\x81\x01\0\0\0\0\0\5\0\0\0\0\0\0\0\7" ZEROS8 ZEROS8 ZEROS8,
		"\x81\x0d\0\0\0\0\0\1\0\0\0\0\0\0\0\7" ZEROS8 ZEROS8 ZEROS8,
		"\x81\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\7" ZEROS8 ZEROS8 ZEROS8};
	struct bench_options o = {.key_size = 8, .commands = COMMANDS_BINARY};
	struct words w;
	bool whole;

	words_open(&w, &o);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(wrong); i++) {
		size_t len = words_head_take(&w, NULL, 0, wrong[i], 36, &whole);

		assert_true(whole);
		assert_int_equal(words_head_read(&w, wrong[i], len).kind, WORDS_WRONG);
	}
	assert_int_equal(words_head_take(&w, NULL, 0, "END\r\n", 5, &whole), 0);
	// extras and key beyond the body
	assert_int_equal(words_head_take(&w, NULL, 0,
				 "\x81\x0d\0\x08\4\0\0\0\0\0\0\x0b\0\0\0\7" ZEROS8, 24, &whole),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_requests),
		cmocka_unit_test(meta_requests),
		cmocka_unit_test(lines_of_answers),
		cmocka_unit_test(other_lines_are_wrong),
		cmocka_unit_test(binary_requests),
		cmocka_unit_test(packets_of_answers),
		cmocka_unit_test(other_packets_are_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
