// SPDX-License-Identifier: BSD-3-Clause
// The histogram says what sorted data say, within 1/128.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "hist.h"

static const double quantiles[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};

static int values_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

// The least value that has q of the values at or below it.
static uint64_t sorted_quantile(const uint64_t *sorted, size_t n, double q)
{
	size_t rank = (size_t)(q * (double)n);

	if ((double)rank < q * (double)n)
		rank++;
	return sorted[rank ? rank - 1 : 0];
}

static void quantiles_are_those_of_sorted_data(void **state)
{
	enum { N = 20000 };
	static uint64_t value[N];
	static struct hist h;
	struct base_rng rng;

	base_rng_seed(&rng, 3);
	for (unsigned shape = 0; shape < 38; shape++) {
		memset(&h, 0, sizeof(h));
		for (unsigned i = 0; i < N; i++) {
			// uniform over 2^shape, with a long tail
			value[i] = base_rng_next(&rng) >> (63 - shape);
			if (i % 50 == 0)
				value[i] *= 1 + i % 7;
			hist_add(&h, value[i]);
		}
		qsort(value, N, sizeof(value[0]), values_compare);
		for (unsigned i = 0; i < BASE_ARRAY_LEN(quantiles); i++) {
			uint64_t want = sorted_quantile(value, N, quantiles[i]);

			assert_in_range(hist_quantile(&h, quantiles[i]), want, want + want / 128);
		}
		assert_int_equal(h.max, value[N - 1]);
		assert_int_equal(hist_quantile(&h, 1), value[N - 1]);
	}
}

static void every_value_is_at_most_a_128th_below_what_is_said_of_it(void **state)
{
	static struct hist h;
	struct base_rng rng;

	base_rng_seed(&rng, 4);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t value = i < 1000 ? i : base_rng_next(&rng) >> (22 + i % 40);

		memset(&h, 0, sizeof(h));
		hist_add(&h, value);
		hist_add(&h, UINT64_MAX); // so that the median is not the maximum
		assert_in_range(hist_quantile(&h, 0.5), value, value + value / 128);
	}
}

static void huge_values_are_their_maximum(void **state)
{
	static struct hist h;

	memset(&h, 0, sizeof(h));
	hist_add(&h, UINT64_MAX);
	assert_true(hist_quantile(&h, 0.5) == UINT64_MAX);
}

static void an_empty_one_says_nothing(void **state)
{
	static struct hist h;

	memset(&h, 0, sizeof(h));
	assert_int_equal(hist_quantile(&h, 0.99), 0);
}

static void a_stretch_is_told_from_what_was_before(void **state)
{
	static struct hist h, before, out, both;

	memset(&h, 0, sizeof(h));
	for (unsigned i = 0; i < 100; i++)
		hist_add(&h, 1000000);
	before = h;
	for (unsigned i = 0; i < 100; i++)
		hist_add(&h, 50);
	hist_since(&out, &h, &before);
	assert_int_equal(out.count, 100);
	assert_int_equal(hist_quantile(&out, 0.99), 50);
	memset(&both, 0, sizeof(both));
	hist_merge(&both, &before);
	hist_merge(&both, &out);
	assert_int_equal(both.count, 200);
	assert_int_equal(both.sum, h.sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_those_of_sorted_data),
		cmocka_unit_test(every_value_is_at_most_a_128th_below_what_is_said_of_it),
		cmocka_unit_test(huge_values_are_their_maximum),
		cmocka_unit_test(an_empty_one_says_nothing),
		cmocka_unit_test(a_stretch_is_told_from_what_was_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
