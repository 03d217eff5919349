// SPDX-License-Identifier: BSD-3-Clause
// Lines of words that are plain, nearly plain and not plain at all, in any order and cut anywhere:
// the same requests, whether proto_plain_parse is asked first or not. (So do all other cases.)
#include "proto_cases.h"

static const char *const words[] = {"get ", "get ", "get ", "set ", "set ", "gets ", "gat 1 ",
	"add ", "mg ", "mg a v f\r\n", " v", " f", " c", " s", " k", " vv", " v\r\n", "mn\r\n", "a",
	"bb", "key0001", "0123456789abcdef0123456789abcdef", K250, K251, " ", " ", " ", "  ",
	"\r\n", "\r\n", "\r\n", "\n", "\r", "\t", "\x7f", "\x80\xff", "0", "1", "3", "12",
	"0 0 3\r\nabc\r\n", "7 60 0\r\n\r\n", "4294967295 0 2\r\nxy\r\n",
	"999999999 999999999 1\r\nv\r\n", "0 -1 3\r\nabc\r\n", "0 0 3\r\nabcd\r\n",
	"0 0 3 noreply\r\nabc\r\n", "0 0 003\r\nabc\r\n", "0 0 9999999999\r\n", "+1 0 1\r\nv\r\n"};

static void feed_random(struct feed *f, const char *in, size_t len, uint64_t seed, bool plain)
{
	struct base_rng rng;
	size_t at = 0;

	base_rng_seed(&rng, seed);
	feed_open(f, ITEM_MAX);
	f->plain = plain;
	for (size_t have = 0; have < len;) {
		have = base_min_u64(len, have + 1 + base_rng_next(&rng) % 200);
		feed_some(f, in, &at, have);
	}
}

static void plain_lines_mean_the_same(void **state)
{
	static char in[1 << 16];
	struct base_rng rng;

	base_rng_seed(&rng, 5);
	for (uint64_t seed = 0; seed < 3000; seed++) {
		unsigned n = 1 + base_rng_next(&rng) % 60;
		struct feed one, two;
		size_t len = 0;

		for (unsigned i = 0; i < n; i++) {
			const char *word = words[base_rng_next(&rng) % BASE_ARRAY_LEN(words)];

			memcpy(in + len, word, strlen(word));
			len += strlen(word);
		}
		feed_random(&one, in, len, seed, false);
		feed_random(&two, in, len, seed + 1, true);
		assert_string_equal(one.text, two.text);
		feed_close(&one);
		feed_close(&two);
	}
}

static bool taken(const char *in)
{
	struct proto_parser p;
	struct proto_plain l;

	proto_parser_init(&p, ITEM_MAX);
	return proto_plain_parse(&p, in, strlen(in), &l) && l.consumed == strlen(in);
}

static void what_clients_send_is_plain(void **state)
{
	assert_true(taken("get k\r\n"));
	assert_true(taken("get " K250 "\r\n"));
	assert_true(taken("set k 0 0 3\r\nabc\r\n"));
	assert_true(taken("set " K250 " 123456789 123456789 0\r\n\r\n"));
	assert_true(taken("mg k v\r\n"));
	assert_true(taken("mg " K250 " s v c f\r\n"));
	assert_false(taken("mg k\r\n"));
	assert_false(taken("mg k f\r\n"));
	assert_false(taken("mg k v k\r\n"));
	assert_false(taken("mg k v v\r\n"));
	assert_false(taken("mg k v  f\r\n"));
	assert_false(taken("mg k vf\r\n"));
	assert_false(taken("mg k v\n"));
	assert_false(taken("mg k v\r"));
	assert_false(taken("mg " K251 " v\r\n"));
	assert_false(taken("get " K251 "\r\n"));
	assert_false(taken("get  k\r\n"));
	assert_false(taken("set k 0 0 3\r\nabcde"));
	assert_false(taken("set k 0 0 3 noreply\r\nabc\r\n"));
	assert_false(taken("set k 1234567890 0 3\r\nabc\r\n"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lines_mean_the_same),
		cmocka_unit_test(what_clients_send_is_plain),
	};

	return cmocka_run_group_tests_name("proto_plain", tests, NULL, NULL);
}
