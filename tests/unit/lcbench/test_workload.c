// SPDX-License-Identifier: BSD-3-Clause
// Which keys, which sizes, gets or sets: as often as asked for, and the same for the same seed.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "options.h"
#include "workload.h"

static const struct bench_options options = {.keys = 1000,
	.value_sizes = {.min = 10, .max = 10},
	.get_ratio = 1,
	.versions = 1,
	.seed = 1};

// Every rank comes as often as r^-exponent says, within five standard deviations.
static void zipf_ranks_come_as_often_as_they_should(void **state)
{
	static const double exponents[] = {0.5, 0.99, 1, 1.2, 2.5};
	enum { N = 100, DRAWS = 400000 };

	for (unsigned e = 0; e < BASE_ARRAY_LEN(exponents); e++) {
		unsigned seen[N + 1] = {0};
		struct base_rng rng;
		struct zipf z;
		double sum = 0;

		base_rng_seed(&rng, 11);
		zipf_open(&z, N, exponents[e]);
		for (unsigned i = 0; i < DRAWS; i++) {
			uint32_t rank = zipf_draw(&z, &rng);

			assert_in_range(rank, 1, N);
			seen[rank]++;
		}
		for (unsigned r = 1; r <= N; r++)
			sum += pow(r, -exponents[e]);
		for (unsigned r = 1; r <= N; r++) {
			double p = pow(r, -exponents[e]) / sum, want = p * DRAWS;

			assert_true(fabs(seen[r] - want) <= 5 * sqrt(want * (1 - p)) + 1);
		}
	}
}

static void zipf_of_a_hundred_million_keys_needs_no_table(void **state)
{
	unsigned first = 0, upper_half = 0, draws = 200000;
	struct base_rng rng;
	struct zipf z;

	base_rng_seed(&rng, 12);
	zipf_open(&z, 100000000, 0.99);
	for (unsigned i = 0; i < draws; i++) {
		uint32_t rank = zipf_draw(&z, &rng);

		assert_in_range(rank, 1, 100000000);
		first += rank == 1;
		upper_half += rank > 50000000;
	}
	// the sum of r^-0.99 is 20.8 over all ranks, 0.83 over the upper half
	assert_true(fabs(first / (double)draws - 1 / 20.80) < 0.002);
	assert_true(fabs(upper_half / (double)draws - 0.83 / 20.80) < 0.002);
}

static void one_key_is_the_only_choice(void **state)
{
	struct base_rng rng;
	struct zipf z;

	base_rng_seed(&rng, 13);
	zipf_open(&z, 1, 0.99);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(zipf_draw(&z, &rng), 1);
}

static void every_rank_has_a_key_of_its_own(void **state)
{
	for (uint32_t keys = 1; keys < 300; keys++) {
		struct bench_options o = options;
		bool seen[300] = {false};
		struct bench_workload w;

		o.keys = keys;
		assert_int_equal(bench_workload_open(&w, &o), 0);
		for (uint32_t rank = 1; rank <= keys; rank++) {
			uint32_t key = (uint32_t)((uint64_t)rank * w.key_step % keys);

			assert_false(seen[key]);
			seen[key] = true;
		}
		bench_workload_close(&w);
	}
}

static void the_same_seed_asks_for_the_same(void **state)
{
	struct bench_options o = options;
	struct bench_workload a, b, c;
	unsigned differ = 0;

	o.zipf = 0.99;
	o.get_ratio = 0.5;
	assert_int_equal(bench_workload_open(&a, &o), 0);
	assert_int_equal(bench_workload_open(&b, &o), 0);
	o.seed = 2;
	assert_int_equal(bench_workload_open(&c, &o), 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t key = bench_key_next(&a);

		assert_int_equal(bench_key_next(&b), key);
		assert_int_equal(bench_set_next(&b), bench_set_next(&a));
		differ += bench_key_next(&c) != key;
		bench_set_next(&c);
	}
	assert_true(differ > 500);
	bench_workload_close(&a);
	bench_workload_close(&b);
	bench_workload_close(&c);
}

static void the_mix_is_as_asked_for(void **state)
{
	static const double ratios[] = {0, 0.1, 0.5, 0.97, 1};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(ratios); i++) {
		struct bench_options o = options;
		struct bench_workload w;
		unsigned gets = 0;

		o.get_ratio = ratios[i];
		assert_int_equal(bench_workload_open(&w, &o), 0);
		for (unsigned n = 0; n < 100000; n++)
			gets += !bench_set_next(&w);
		assert_true(fabs(gets / 100000.0 - ratios[i]) < 0.01);
		if (ratios[i] == 0 || ratios[i] == 1)
			assert_int_equal(gets, ratios[i] == 0 ? 0 : 100000);
		bench_workload_close(&w);
	}
}

static void sizes_come_as_often_as_they_should(void **state)
{
	unsigned small = 0, tenths[10] = {0};
	struct sizes list, range;

	assert_int_equal(sizes_parse(&list, "32:9,1024:1", 1 << 20), 0);
	assert_int_equal(sizes_parse(&range, "100-199", 1 << 20), 0);
	for (uint32_t key = 0; key < 100000; key++) {
		uint32_t size = sizes_of(&list, key);

		assert_true(size == 32 || size == 1024);
		small += size == 32;
		assert_int_equal(sizes_of(&list, key), size);
		size = sizes_of(&range, key);
		assert_in_range(size, 100, 199);
		tenths[(size - 100) / 10]++;
	}
	assert_in_range(small, 89500, 90500);
	for (unsigned i = 0; i < 10; i++)
		assert_in_range(tenths[i], 9500, 10500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zipf_ranks_come_as_often_as_they_should),
		cmocka_unit_test(zipf_of_a_hundred_million_keys_needs_no_table),
		cmocka_unit_test(one_key_is_the_only_choice),
		cmocka_unit_test(every_rank_has_a_key_of_its_own),
		cmocka_unit_test(the_same_seed_asks_for_the_same),
		cmocka_unit_test(the_mix_is_as_asked_for),
		cmocka_unit_test(sizes_come_as_often_as_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
