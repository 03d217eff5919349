// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

static void sequence_is_xoroshiro128plus(void **state)
{
	static const uint64_t expected[] = {3, 412333834243, 2360170716294286339};
	struct base_rng rng = {.s = {1, 2}};

	for (size_t i = 0; i < BASE_ARRAY_LEN(expected); i++)
		assert_int_equal(base_rng_next(&rng), expected[i]);
}

static void same_seed_gives_the_same_run(void **state)
{
	struct base_rng a, b, other;
	int equal = 0;

	base_rng_seed(&a, 7);
	base_rng_seed(&b, 7);
	base_rng_seed(&other, 8);
	for (int i = 0; i < 1000; i++) {
		uint64_t v = base_rng_next(&a);

		assert_int_equal(v, base_rng_next(&b));
		equal += v == base_rng_next(&other);
	}
	assert_int_equal(equal, 0);
}

static void seed_zero_is_usable(void **state)
{
	struct base_rng rng;

	base_rng_seed(&rng, 0);
	assert_int_not_equal(base_rng_next(&rng) | base_rng_next(&rng), 0);
}

static void below_is_uniform_and_within_its_bound(void **state)
{
	unsigned int seen[7] = {0};
	struct base_rng rng;

	base_rng_seed(&rng, 1);
	for (int i = 0; i < 70000; i++) {
		uint64_t v = base_rng_below(&rng, 7);

		assert_true(v < 7);
		seen[v]++;
	}
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 9450, 10550);
}

// A bound just over half the range is where a plain modulo or product is most unfair: it would
// give the lower third of the results twice as often.
static void below_is_fair_for_a_bound_that_does_not_divide_the_range(void **state)
{
	uint64_t bound = (UINT64_C(1) << 63) + (UINT64_C(1) << 62);
	unsigned int lower = 0;
	struct base_rng rng;

	base_rng_seed(&rng, 2);
	for (int i = 0; i < 30000; i++)
		lower += base_rng_below(&rng, bound) % 3 == 0;
	assert_in_range(lower, 9500, 10500);
}

static void below_one_is_zero_and_the_full_range_is_reached(void **state)
{
	struct base_rng rng;
	uint64_t all = 0;

	base_rng_seed(&rng, 3);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(base_rng_below(&rng, 1), 0);
		all |= base_rng_below(&rng, UINT64_MAX);
	}
	assert_int_equal(all, UINT64_MAX);
}

static void secrets_differ(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	assert_int_equal(base_secret_fill(a, sizeof(a)), 0);
	assert_int_equal(base_secret_fill(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(base_secret_fill(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequence_is_xoroshiro128plus),
		cmocka_unit_test(same_seed_gives_the_same_run),
		cmocka_unit_test(seed_zero_is_usable),
		cmocka_unit_test(below_is_uniform_and_within_its_bound),
		cmocka_unit_test(below_is_fair_for_a_bound_that_does_not_divide_the_range),
		cmocka_unit_test(below_one_is_zero_and_the_full_range_is_reached),
		cmocka_unit_test(secrets_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
