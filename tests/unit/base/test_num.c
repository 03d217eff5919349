// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#define UNTOUCHED 77

struct u64_case {
	const char *text;
	int rc;
	uint64_t value;
};

static void unsigned_numbers_are_parsed_strictly(void **state)
{
	static const struct u64_case cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"0000000000000000000000018446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, UNTOUCHED},
		{"18446744073709551620", -ERANGE, UNTOUCHED},
		{"99999999999999999999999999999999", -ERANGE, UNTOUCHED},
		{"99999999999999999999999999999999x", -EINVAL, UNTOUCHED},
		{"", -EINVAL, UNTOUCHED},
		{"-1", -EINVAL, UNTOUCHED},
		{"+1", -EINVAL, UNTOUCHED},
		{" 1", -EINVAL, UNTOUCHED},
		{"1 ", -EINVAL, UNTOUCHED},
		{"1.5", -EINVAL, UNTOUCHED},
		{"0x10", -EINVAL, UNTOUCHED},
	};

	for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
		uint64_t v = UNTOUCHED;

		assert_int_equal(
			base_u64_parse(cases[i].text, strlen(cases[i].text), &v), cases[i].rc);
		assert_int_equal(v, cases[i].value);
	}
}

static void only_the_given_length_is_read(void **state)
{
	const char text[] = {'1', '2', '3'};
	uint64_t v;

	assert_int_equal(base_u64_parse(text, 2, &v), 0);
	assert_int_equal(v, 12);
	assert_int_equal(base_u64_parse(text, 0, &v), -EINVAL);
}

static void signed_numbers_take_one_sign_and_both_limits(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"+5", 0, 5},
		{"-5", 0, -5},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775808", -ERANGE, UNTOUCHED},
		{"-9223372036854775809", -ERANGE, UNTOUCHED},
		{"-99999999999999999999", -ERANGE, UNTOUCHED},
		{"", -EINVAL, UNTOUCHED},
		{"-", -EINVAL, UNTOUCHED},
		{"+", -EINVAL, UNTOUCHED},
		{"--1", -EINVAL, UNTOUCHED},
		{"+-1", -EINVAL, UNTOUCHED},
		{"- 1", -EINVAL, UNTOUCHED},
	};

	for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
		int64_t v = UNTOUCHED;

		assert_int_equal(
			base_i64_parse(cases[i].text, strlen(cases[i].text), &v), cases[i].rc);
		assert_int_equal(v, cases[i].value);
	}
}

static void byte_sizes_take_redis_units(void **state)
{
	static const struct u64_case cases[] = {
		{"0", 0, 0},
		{"123", 0, 123},
		{"1b", 0, 1},
		{"1B", 0, 1},
		{"2k", 0, 2000},
		{"2kb", 0, 2048},
		{"2KB", 0, 2048},
		{"2Kb", 0, 2048},
		{"3m", 0, 3000000},
		{"3MB", 0, 3145728},
		{"4g", 0, 4000000000},
		{"4gb", 0, 4294967296},
		{"17179869183gb", 0, UINT64_C(17179869183) << 30},
		{"17179869184gb", -ERANGE, UNTOUCHED},
		{"18446744073709551616", -ERANGE, UNTOUCHED},
		{"", -EINVAL, UNTOUCHED},
		{"mb", -EINVAL, UNTOUCHED},
		{"-1mb", -EINVAL, UNTOUCHED},
		{"1 mb", -EINVAL, UNTOUCHED},
		{"1.5mb", -EINVAL, UNTOUCHED},
		{"1t", -EINVAL, UNTOUCHED},
		{"1mbb", -EINVAL, UNTOUCHED},
		{"1bm", -EINVAL, UNTOUCHED},
		{"1%", -EINVAL, UNTOUCHED},
	};

	for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
		uint64_t v = UNTOUCHED;

		assert_int_equal(base_bytes_parse(cases[i].text, &v), cases[i].rc);
		assert_int_equal(v, cases[i].value);
	}
}

static void format_agrees_with_printf_and_parses_back(void **state)
{
	uint64_t v = 0;

	for (int i = 0; i < 200; i++) {
		char got[20], want[21];
		size_t len = base_u64_format(got, v);
		uint64_t back;

		snprintf(want, sizeof(want), "%" PRIu64, v);
		assert_int_equal(len, strlen(want));
		assert_memory_equal(got, want, len);
		assert_int_equal(base_u64_parse(got, len, &back), 0);
		assert_int_equal(back, v);
		v = i < 100 ? v * 3 + (uint64_t)(i & 1) + (v == 0) : UINT64_MAX - v / 7;
	}
	assert_int_equal(base_u64_format((char[20]){0}, UINT64_MAX), 20);
	for (v = 1; v <= UINT64_MAX / 10; v *= 10) { // where the length changes
		char got[20] = "", want[21];

		for (uint64_t near = v * 10 - 2; near <= v * 10 + 1; near++) {
			size_t len = base_u64_format(got, near);

			snprintf(want, sizeof(want), "%" PRIu64, near);
			assert_int_equal(len, strlen(want));
			assert_memory_equal(got, want, len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_numbers_are_parsed_strictly),
		cmocka_unit_test(only_the_given_length_is_read),
		cmocka_unit_test(signed_numbers_take_one_sign_and_both_limits),
		cmocka_unit_test(byte_sizes_take_redis_units),
		cmocka_unit_test(format_agrees_with_printf_and_parses_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
