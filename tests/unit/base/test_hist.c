// SPDX-License-Identifier: BSD-3-Clause
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#define VALUES 5000

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

// The smallest of the sorted values that q of them lie at or below.
static uint64_t true_quantile(const uint64_t *sorted, size_t n, double q)
{
	double wanted = q * (double)n;
	size_t rank = (size_t)wanted;

	if ((double)rank < wanted)
		rank++;
	return sorted[rank == 0 ? 0 : rank - 1];
}

static void check_quantiles(uint64_t *values, size_t n)
{
	static const double qs[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
	struct base_hist h = {0};

	for (size_t i = 0; i < n; i++)
		base_hist_add(&h, values[i]);
	qsort(values, n, sizeof(values[0]), compare);
	for (size_t i = 0; i < BASE_ARRAY_LEN(qs); i++) {
		uint64_t want = true_quantile(values, n, qs[i]);
		uint64_t got = base_hist_quantile(&h, qs[i]);

		assert_true(got >= want);
		assert_true(got - want <= want / 8);
	}
	assert_int_equal(base_hist_quantile(&h, 1), values[n - 1]);
}

static void quantiles_lie_within_an_eighth_of_the_sorted_truth(void **state)
{
	uint64_t values[VALUES];
	struct base_rng rng;

	base_rng_seed(&rng, 11);
	for (int round = 0; round < 30; round++) { // ranges from 0..1 to 0..2^41, skewed
		for (size_t i = 0; i < VALUES; i++) {
			uint64_t top = UINT64_C(2) << base_rng_below(&rng, 1 + 41 * round / 30);

			values[i] = base_rng_below(&rng, top);
		}
		check_quantiles(values, VALUES);
	}
}

// Every boundary: a value alone in the histogram is its own quantile (capped by max), and next to
// a much larger one it is answered by its bucket's end.
static void each_power_of_two_boundary_lands_in_a_bucket_of_its_own(void **state)
{
	for (unsigned int bit = 3; bit < 42; bit++) {
		for (int off = -1; off <= 1; off++) {
			uint64_t v = (UINT64_C(1) << bit) + (uint64_t)off;
			struct base_hist h = {0};

			base_hist_add(&h, v);
			assert_int_equal(base_hist_quantile(&h, 0.5), v);
			base_hist_add(&h, UINT64_C(1) << 60);
			assert_in_range(base_hist_quantile(&h, 0.5), v, v + v / 8);
		}
	}
}

static void small_values_are_exact(void **state)
{
	struct base_hist h = {0};

	for (uint64_t v = 0; v < 16; v++)
		base_hist_add(&h, v);
	for (uint64_t v = 0; v < 16; v++)
		assert_int_equal(base_hist_quantile(&h, (double)(v + 1) / 16), v);
}

static void values_beyond_the_range_count_in_the_last_bucket(void **state)
{
	struct base_hist h = {0};

	base_hist_add(&h, UINT64_MAX);
	base_hist_add(&h, UINT64_C(1) << 42);
	assert_int_equal(h.bucket[BASE_HIST_BUCKETS - 1], 2);
	assert_int_equal(base_hist_quantile(&h, 0.5), UINT64_MAX);
	assert_int_equal(h.count, 2);
}

static void empty_histogram_answers_zero(void **state)
{
	struct base_hist h = {0};

	assert_int_equal(base_hist_quantile(&h, 0), 0);
	assert_int_equal(base_hist_quantile(&h, 0.99), 0);
}

static void merge_equals_adding_to_one(void **state)
{
	struct base_hist a = {0}, b = {0}, all = {0};
	struct base_rng rng;

	base_rng_seed(&rng, 5);
	for (int i = 0; i < 10000; i++) {
		uint64_t v = base_rng_below(&rng, 1 << 20);

		base_hist_add(i % 3 == 0 ? &a : &b, v);
		base_hist_add(&all, v);
	}
	base_hist_merge(&a, &b);
	assert_memory_equal(&a, &all, sizeof(a));
}

static void full_buckets_keep_the_shape(void **state)
{
	struct base_hist h = {0};

	h.bucket[1] = UINT32_MAX;
	h.bucket[5] = UINT32_MAX / 2;
	h.count = (uint64_t)h.bucket[1] + h.bucket[5];
	base_hist_add(&h, 1);
	assert_int_equal(h.bucket[1], UINT32_MAX / 2 + 1);
	assert_int_equal(h.bucket[5], UINT32_MAX / 4);
	assert_int_equal(h.count, (uint64_t)UINT32_MAX + UINT32_MAX / 2 + 1);
	assert_int_equal(base_hist_quantile(&h, 0.6), 1);
}

static void many_at_once_are_one_by_one(void **state)
{
	struct base_hist a = {0}, b = {0};

	for (int i = 0; i < 1000; i++)
		base_hist_add(&a, 12345);
	base_hist_add_many(&b, 12345, 1000);
	assert_memory_equal(&a, &b, sizeof(a));
	base_hist_add_many(&b, 12345, UINT32_MAX);
	base_hist_add_many(&b, 12345, UINT32_MAX - 5);
	assert_int_equal(b.count, 1000 + UINT64_C(2) * UINT32_MAX - 5);
	assert_int_equal(base_hist_quantile(&b, 0.5), 12345);
}

static void what_came_since_a_copy_is_left(void **state)
{
	struct base_hist h = {0}, before;

	base_hist_add_many(&h, 100000, 10);
	base_hist_add_many(&h, 50, 10);
	before = h;
	base_hist_add_many(&h, 60, 5);
	base_hist_subtract(&h, &before);
	assert_int_equal(h.count, 5);
	assert_int_equal(h.sum, 300);
	assert_in_range(h.max, 60, 64);
	assert_in_range(base_hist_quantile(&h, 0.99), 60, 64);
	base_hist_subtract(&h, &h);
	assert_int_equal(h.count, 0);
	assert_int_equal(h.max, 0);
}

static void counts_what_is_as_large_or_in_its_bucket(void **state)
{
	struct base_hist h = {0};

	assert_int_equal(base_hist_from(&h, 0), 0);
	base_hist_add_many(&h, 5, 3);
	base_hist_add_many(&h, 90000, 2);
	base_hist_add_many(&h, 99000, 1); // its bucket, 98,304 to 106,495, has 100,000, too
	base_hist_add_many(&h, 100001, 4);
	base_hist_add(&h, UINT64_C(1) << 60);
	assert_int_equal(base_hist_from(&h, 0), 11);
	assert_int_equal(base_hist_from(&h, 6), 8);
	assert_int_equal(base_hist_from(&h, 100000), 6);
	assert_int_equal(base_hist_from(&h, UINT64_MAX), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_lie_within_an_eighth_of_the_sorted_truth),
		cmocka_unit_test(each_power_of_two_boundary_lands_in_a_bucket_of_its_own),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(values_beyond_the_range_count_in_the_last_bucket),
		cmocka_unit_test(empty_histogram_answers_zero),
		cmocka_unit_test(merge_equals_adding_to_one),
		cmocka_unit_test(full_buckets_keep_the_shape),
		cmocka_unit_test(many_at_once_are_one_by_one),
		cmocka_unit_test(what_came_since_a_copy_is_left),
		cmocka_unit_test(counts_what_is_as_large_or_in_its_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
