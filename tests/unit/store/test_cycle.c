// SPDX-License-Identifier: BSD-3-Clause
// The formulas of sampled expiry, by numbers worked out by hand.
#include "store/store_cycle.h"
#include "store_test.h"

static void test_effort_and_hz_give_the_pace(void **state)
{
	static const struct {
		unsigned effort, hz, keys, stale;
		uint64_t fast_us, slow_us, between_us;
	} want[] = {
		{1, 10, 20, 10, 1000, 25000, 100000},
		{10, 10, 65, 1, 3250, 43000, 100000},
		{5, 100, 40, 6, 2000, 3300, 10000},
		{1, 1, 20, 10, 1000, 250000, 1000000},
		{10, 500, 65, 1, 3250, 860, 2000},
	};

	for (size_t i = 0; i < BASE_ARRAY_LEN(want); i++) {
		struct store_cycle_pace pace = store_cycle_pace_of(want[i].effort, want[i].hz);

		assert_int_equal(pace.keys, want[i].keys);
		assert_int_equal(pace.stale_percent, want[i].stale);
		assert_int_equal(pace.fast_us, want[i].fast_us);
		assert_int_equal(pace.slow_us, want[i].slow_us);
		assert_int_equal(pace.slow_between_us, want[i].between_us);
	}
}

static uint64_t next_us(const struct store_cycle *c, enum store_cycle_kind want)
{
	struct store_cycle_pace pace = store_cycle_pace_of(1, 10);
	enum store_cycle_kind kind;
	uint64_t us = store_cycle_next_us(c, &pace, &kind);

	assert_int_equal(kind, want);
	return us;
}

// 0.1 of the keys are 10 percent of them: it is the percentages that are compared.
static void test_fast_cycles_need_a_reason(void **state)
{
	struct store_cycle c = {.slow_next_us = 100000, .fast_began_us = 50000};

	assert_int_equal(next_us(&c, STORE_CYCLE_SLOW), 100000);
	c.stale = 0.0999;
	assert_int_equal(next_us(&c, STORE_CYCLE_SLOW), 100000);
	c.stale = 0.1;
	assert_int_equal(next_us(&c, STORE_CYCLE_FAST), 52000);
	c.stale = 0;
	c.capped = true;
	assert_int_equal(next_us(&c, STORE_CYCLE_FAST), 52000);
	c.fast_began_us = 98000; // two of its durations on it is the slow one's turn
	assert_int_equal(next_us(&c, STORE_CYCLE_SLOW), 100000);
}

static void test_a_loop_follows_while_too_many_are_past(void **state)
{
	struct store_cycle_pace pace = store_cycle_pace_of(1, 10);

	assert_true(store_cycle_again(&pace, 0, 0));
	assert_true(store_cycle_again(&pace, 20, 3));
	assert_false(store_cycle_again(&pace, 20, 2));
	assert_false(store_cycle_again(&pace, 20, 0));
	pace = store_cycle_pace_of(10, 10);
	assert_true(store_cycle_again(&pace, 65, 2));
	assert_false(store_cycle_again(&pace, 65, 1)); // 1.5 percent, rounded down
}

static void assert_near(double a, double b)
{
	assert_true(a > b - 1e-6 && a < b + 1e-6);
}

static void test_estimates_follow_slowly(void **state)
{
	assert_near(store_cycle_stale(0, 20, 10), 0.025);
	assert_near(store_cycle_stale(0.5, 20, 10), 0.5);
	assert_near(store_cycle_stale(0.5, 0, 0), 0.475);
	assert_near(store_cycle_ttl(0, 5000, 1), 5000); // the first is taken as it is
	assert_near(store_cycle_ttl(1000, 2000, 1), 2000 - 1000 * 0.98);
	assert_near(store_cycle_ttl(1000, 2000, 2), 2000 - 1000 * 0.98 * 0.98);
	assert_near(store_cycle_ttl(1000, 2000, STORE_CYCLE_TTL_MOST), 1276.2022794075044);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_effort_and_hz_give_the_pace),
		cmocka_unit_test(test_fast_cycles_need_a_reason),
		cmocka_unit_test(test_a_loop_follows_while_too_many_are_past),
		cmocka_unit_test(test_estimates_follow_slowly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
