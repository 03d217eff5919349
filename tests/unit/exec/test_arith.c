// SPDX-License-Identifier: BSD-3-Clause
// incr, decr and ma: what is a number, how it changes, where it is written.
#include "exec_rig.h"

#include "exec/exec_internal.h"

// Of a value that lies in two places, `cut` bytes in the first.
static bool number_parse(const char *s, size_t len, size_t cut, uint64_t *out)
{
	char text[64];
	struct store_span value[2] = {{text, (uint32_t)cut}, {text + cut, (uint32_t)(len - cut)}};

	memcpy(text, s, len);
	return exec_number_parse(value, out);
}

static void numbers_are_what_strtoull_reads(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{"0", 0},
		{"42", 42},
		{"0042", 42},
		{" \t\n42", 42},
		{"42 ", 42},
		{"42 apples", 42},
		{"+42", 42},
		{"-0", 0},
		{"-18446744073709551615", 1},
		{"9223372036854775808", UINT64_C(9223372036854775808)},
		{"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {"", " ", "x", "42x", "4.2", "0x10", "-1", "-", "+", "+-1",
		"18446744073709551616", "99999999999999999999", "184467440737095516150"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < BASE_ARRAY_LEN(good); i++) {
		for (size_t cut = 0; cut <= strlen(good[i].text); cut++) {
			assert_true(number_parse(good[i].text, strlen(good[i].text), cut, &v));
			assert_int_equal(v, good[i].value);
		}
	}
	for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++)
		for (size_t cut = 0; cut <= strlen(bad[i]); cut++)
			assert_false(number_parse(bad[i], strlen(bad[i]), cut, &v));
	assert_true(number_parse("42\0x", 4, 4, &v));
	assert_true(number_parse("4299", 2, 2, &v)); // the value ends where it ends
	assert_int_equal(v, 42);
}

static void incr_wraps_and_decr_stops(void **state)
{
	CHECK(*state, "set a 0 0 20\n18446744073709551615\nincr a 2\ndecr a 5\n", "STORED\n1\n0\n");
}

static void decr_keeps_the_width(void **state)
{
	CHECK(*state, "set a 3 0 4\n1000\ndecr a 1\nget a\nincr a 1\nget a\n",
		"STORED\n999\nVALUE a 3 4\n999 \nEND\n1000\nVALUE a 3 4\n1000\nEND\n");
}

static void a_longer_number_takes_a_new_item_with_flags_and_time(void **state)
{
	CHECK(*state, "set a 3 60 2\n99\nincr a 1\nmg a v f t c\n",
		"STORED\n100\nVA 3 f3 t60 c2\n100\n");
}

static void every_change_has_its_number(void **state)
{
	CHECK(*state, "set a 0 0 1\n1\nincr a 1\ngets a\nincr a 100\ngets a\n",
		"STORED\n2\nVALUE a 0 1 2\n2\nEND\n102\nVALUE a 0 3 3\n102\nEND\n");
}

static void in_place_unless_somebody_reads(void **state)
{
	struct rig *g = *state;
	struct store_item *it, *held;

	CHECK(g, "set a 0 0 2\n10\n", "STORED\n");
	it = rig_item(g, "a");
	CHECK(g, "decr a 1\n", "9\n");
	assert_ptr_equal(rig_item(g, "a"), it);

	held = it;
	assert_true(store_ref(g->ex.store, held));
	CHECK(g, "incr a 1\nget a\n", "10\nVALUE a 0 2\n10\nEND\n");
	assert_ptr_not_equal(rig_item(g, "a"), held);
	assert_value_at(held, 0, "9 ");
	store_unref(g->ex.store, held);
}

static void what_is_no_number_stays(void **state)
{
	CHECK(*state, "set a 0 0 1\nx\nincr a 1\nset b 0 0 0\n\nma b\nget a b\n",
		"STORED\nCLIENT_ERROR cannot increment or decrement non-numeric value\n"
		"STORED\nCLIENT_ERROR cannot increment or decrement non-numeric value\n"
		"VALUE a 0 1\nx\nVALUE b 0 0\n\nEND\n");
}

static void ma_makes_what_it_misses(void **state)
{
	struct rig *g = *state;

	CHECK(g, "ma a v\nma a N30 J7 v t\nma a N30 J7 v MD D3\nma a T60 t v\n",
		"NF\nVA 1 t30\n7\nVA 1\n4\nVA 1 t60\n5\n");
	assert_int_equal(g->ex.n.incr_misses, 1);
	assert_int_equal(g->ex.n.incr_hits, 1);
	assert_int_equal(g->ex.n.decr_hits, 1);
	CHECK(g, "decr z 1\n", "NOT_FOUND\n");
	assert_int_equal(g->ex.n.decr_misses, 1);
}

static void ma_compares_before_it_reads_the_number(void **state)
{
	CHECK(*state, "set a 0 0 1\nx\nma a C9\nma a C0\n",
		"STORED\nEX\nCLIENT_ERROR cannot increment or decrement non-numeric value\n");
}

static bool marked(struct rig *g, const char *key)
{
	return rig_item(g, key)->bits & STORE_ITEM_NUMBER;
}

static void a_number_is_parsed_once(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 3\n 41\n", "STORED\n");
	assert_false(marked(g, "a")); // not yet: nobody has asked whether it is one
	CHECK(g, "incr a 1\n", "42\n");
	assert_true(marked(g, "a"));
	CHECK(g, "get a\nincr a 99999999\ndecr a 99999999\nget a\n",
		"VALUE a 0 3\n42 \nEND\n100000041\n42\nVALUE a 0 9\n42       \nEND\n");
	assert_true(marked(g, "a"));
	CHECK(g, "ma b N0 J7\nma b D5\nmg b v\n", "HD\nHD\nVA 2\n12\n");
	assert_true(marked(g, "b"));
}

static void another_value_is_no_number_until_it_is_parsed(void **state)
{
	static const char *const change[][2] = {
		{"append a 0 0 1\nx\n", "STORED\n"},
		{"prepend a 0 0 1\nx\n", "STORED\n"},
		{"set a 0 0 2\nx1\n", "STORED\n"},
		{"replace a 0 0 2\n1x\n", "STORED\n"},
		{"ms a 1 MA\nx\n", "HD\n"},
	};
	struct rig *g = *state;

	for (size_t i = 0; i < BASE_ARRAY_LEN(change); i++) {
		CHECK(g, "set a 0 0 2\n41\nincr a 1\n", "STORED\n42\n");
		assert_true(marked(g, "a"));
		CHECK(g, change[i][0], change[i][1]);
		assert_false(marked(g, "a"));
		CHECK(g, "incr a 1\n",
			"CLIENT_ERROR cannot increment or decrement non-numeric value\n");
	}
	// digits behind a marked number, and behind its blanks
	CHECK(g, "set a 0 0 2\n41\nincr a 1\nappend a 0 0 1\n7\nincr a 1\n",
		"STORED\n42\nSTORED\n428\n");
	CHECK(g, "set a 0 0 2\n10\ndecr a 1\nappend a 0 0 1\n7\nincr a 1\nget a\n",
		"STORED\n9\nSTORED\n10\nVALUE a 0 3\n10 \nEND\n");
}

static void wide_numbers_are_parsed_each_time(void **state)
{
	struct rig *g = *state;

	CHECK(g, "set a 0 0 24\n100                     \nincr a 1\nincr a 1\n",
		"STORED\n101\n102\n");
	assert_true(marked(g, "a"));
	CHECK(g, "set a 0 0 25\n100                      \nincr a 1\nincr a 1\nget a\n",
		"STORED\n101\n102\nVALUE a 0 25\n102                      \nEND\n");
	assert_false(marked(g, "a"));
	CHECK(g, "set a 0 0 26\n00000000000000000000000099\nincr a 1\nincr a 1\n",
		"STORED\n100\n101\n");
}

// Numbers of every length, up and down, by small and large steps, against plain arithmetic.
static void marked_numbers_count_as_numbers_do(void **state)
{
	struct rig *g = *state;
	struct base_rng rng;
	char ask[128], want[64];

	base_rng_seed(&rng, 5);
	for (unsigned bits = 0; bits <= 64; bits++) {
		uint64_t v = bits == 0 ? 0 : base_rng_next(&rng) >> (64 - bits);

		snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
		snprintf(ask, sizeof(ask), "set a 0 0 %zu\n%s\n", strlen(want), want);
		CHECK(g, ask, "STORED\n");
		for (int i = 0; i < 300; i++) {
			uint64_t by = base_rng_next(&rng) >> base_rng_below(&rng, 64);
			bool up = base_rng_below(&rng, 2) != 0;

			v = up ? v + by : by > v ? 0 : v - by;
			snprintf(ask, sizeof(ask), "%s a %llu\n", up ? "incr" : "decr",
				(unsigned long long)by);
			snprintf(want, sizeof(want), "%llu\n", (unsigned long long)v);
			CHECK(g, ask, want);
			assert_true(marked(g, "a"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_what_strtoull_reads),
		RIG_TEST(a_number_is_parsed_once),
		RIG_TEST(another_value_is_no_number_until_it_is_parsed),
		RIG_TEST(wide_numbers_are_parsed_each_time),
		RIG_TEST(marked_numbers_count_as_numbers_do),
		RIG_TEST(incr_wraps_and_decr_stops),
		RIG_TEST(decr_keeps_the_width),
		RIG_TEST(a_longer_number_takes_a_new_item_with_flags_and_time),
		RIG_TEST(every_change_has_its_number),
		RIG_TEST(in_place_unless_somebody_reads),
		RIG_TEST(what_is_no_number_stays),
		RIG_TEST(ma_makes_what_it_misses),
		RIG_TEST(ma_compares_before_it_reads_the_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
