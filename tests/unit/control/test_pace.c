// SPDX-License-Identifier: BSD-3-Clause
// The upkeep scheduler: shares of a worker's time by load, pressure and what waits to be done.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "control/control_pace.h"

#define MS        1000
#define ALL_WORKS ((UINT64_C(1) << WORKER_WORKS) - 1)
#define BIT(work) (UINT64_C(1) << (work))

static const struct control_pace_settings usual = {.slice_us = 50, .expire_effort = 1};

// Ticks of the same load, until the smoothed figures stand.
static struct control_pace settled(
	const struct control_pace_settings *set, const struct control_pace_load *load)
{
	struct control_pace p;

	control_pace_init(&p, set);
	for (unsigned i = 0; i < 200; i++)
		control_pace_turn(&p, set, load);
	return p;
}

static unsigned sum_us(const struct worker_pace *order, uint64_t works)
{
	unsigned sum = 0;

	for (unsigned work = 0; work < WORKER_WORKS; work++)
		sum += works & BIT(work) ? order->us_a_ms[work] : 0;
	return sum;
}

static void a_busy_worker_expires_for_a_tenth_of_its_time(void **state)
{
	struct control_pace_load busy = {
		.passed_us = MS, .requests_us = MS, .pending = BIT(STORE_WORK_EXPIRE)};
	struct control_pace_settings most = {.slice_us = 50, .expire_effort = 10};
	struct control_pace p = settled(&usual, &busy);

	assert_int_equal(p.idle, 0);
	assert_int_equal(p.order.us_a_ms[STORE_WORK_EXPIRE], 100);
	assert_int_equal(p.order.slice_us, 50);
	p = settled(&most, &busy); // 43 %, as Redis has it at effort 10
	assert_in_range(p.order.us_a_ms[STORE_WORK_EXPIRE], 425, 435);
}

static void an_idle_worker_gives_most_of_its_time(void **state)
{
	struct control_pace_load idle = {.passed_us = MS, .pending = BIT(STORE_WORK_FREE)};
	struct control_pace_load busy = {
		.passed_us = MS, .requests_us = MS, .pending = BIT(STORE_WORK_FREE)};
	struct control_pace p = settled(&usual, &idle), b = settled(&usual, &busy);

	assert_true(p.idle > 980);
	assert_in_range(p.order.us_a_ms[STORE_WORK_FREE], 600, 700);
	assert_int_equal(b.order.us_a_ms[STORE_WORK_FREE], 100);
}

static void a_shard_at_its_limit_frees_faster(void **state)
{
	struct control_pace_load load = {.passed_us = MS,
		.requests_us = MS,
		.limit_bytes = 1 << 20,
		.used_bytes = 1 << 19,
		.pending = BIT(STORE_WORK_FREE)};
	struct control_pace p = settled(&usual, &load);

	assert_false(p.pressed);
	load.used_bytes = 1 << 20;
	control_pace_turn(&p, &usual, &load);
	assert_true(p.pressed);
	assert_int_equal(p.order.us_a_ms[STORE_WORK_FREE], 300);
	load.limit_bytes = 0; // no limit: never
	control_pace_turn(&p, &usual, &load);
	assert_false(p.pressed);
}

static void all_together_leave_half_to_the_requests(void **state)
{
	struct control_pace_load load = {.passed_us = MS,
		.requests_us = MS,
		.limit_bytes = 1 << 20,
		.used_bytes = 2 << 20,
		.defrag_percent = 25,
		.pending = ALL_WORKS};
	struct control_pace p = settled(&usual, &load);

	assert_true(sum_us(&p.order, ALL_WORKS) <= 500);
	for (unsigned work = 0; work < WORKER_WORKS; work++)
		assert_true(p.order.us_a_ms[work] > 0);
	// Of an idle worker's time nine tenths.
	load.requests_us = 0;
	p = settled(&usual, &load);
	assert_in_range(sum_us(&p.order, ALL_WORKS), 750, 900);
	// Alone, each has its own.
	load.requests_us = MS;
	load.pending = BIT(STORE_WORK_ROOM);
	p = settled(&usual, &load);
	assert_int_equal(p.order.us_a_ms[STORE_WORK_ROOM], 500);
}

static void a_steady_load_sends_no_new_orders(void **state)
{
	struct control_pace_load load = {.passed_us = MS, .requests_us = 400};
	struct control_pace p = settled(&usual, &load);

	for (unsigned i = 0; i < 100; i++)
		assert_false(control_pace_turn(&p, &usual, &load));
	load.pending = ALL_WORKS;
	load.requests_us = MS;
	assert_true(control_pace_turn(&p, &usual, &load));
}

static void a_report_that_did_not_move_says_nothing_of_the_load(void **state)
{
	struct control_pace_load load = {.passed_us = MS, .requests_us = MS};
	struct control_pace p = settled(&usual, &load);
	struct control_pace_load none = {0};

	for (unsigned i = 0; i < 100; i++)
		assert_false(control_pace_turn(&p, &usual, &none));
	assert_int_equal(p.idle, 0);
}

// Whatever comes in: no share of nothing, none above the whole.
static void shares_stay_within_bounds(void **state)
{
	struct base_rng rng;
	struct control_pace p;

	base_rng_seed(&rng, 11);
	control_pace_init(&p, &usual);
	for (unsigned i = 0; i < 100000; i++) {
		struct control_pace_settings set = {
			.slice_us = 5 + (unsigned)base_rng_below(&rng, 995),
			.expire_effort = 1 + (unsigned)base_rng_below(&rng, 10)};
		struct control_pace_load load = {.passed_us = base_rng_below(&rng, 100000),
			.requests_us = base_rng_below(&rng, 200000),
			.used_bytes = base_rng_next(&rng) >> base_rng_below(&rng, 64),
			.limit_bytes = base_rng_next(&rng) >> (1 + base_rng_below(&rng, 63)),
			.defrag_percent = 1 + (unsigned)base_rng_below(&rng, 99),
			.pending = base_rng_next(&rng)};

		control_pace_turn(&p, &set, &load);
		assert_true(p.idle <= 1000);
		assert_int_equal(p.order.slice_us, set.slice_us);
		for (unsigned work = 0; work < WORKER_WORKS; work++)
			assert_in_range(p.order.us_a_ms[work], 1, 1000);
	}
}

static void defrag_has_what_it_is_told_to_have_and_no_more(void **state)
{
	struct control_pace_load load = {.passed_us = MS};
	struct control_pace p = settled(&usual, &load);

	assert_int_equal(p.order.us_a_ms[STORE_WORK_DEFRAG], 0); // however idle
	load.defrag_percent = 1;
	load.pending = BIT(STORE_WORK_DEFRAG);
	p = settled(&usual, &load);
	assert_int_equal(p.order.us_a_ms[STORE_WORK_DEFRAG], 10);
	load.defrag_percent = 25;
	load.requests_us = MS;
	p = settled(&usual, &load);
	assert_int_equal(p.order.us_a_ms[STORE_WORK_DEFRAG], 250);
	load.pending = ALL_WORKS; // its part of what upkeep may have
	p = settled(&usual, &load);
	assert_in_range(p.order.us_a_ms[STORE_WORK_DEFRAG], 50, 249);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_busy_worker_expires_for_a_tenth_of_its_time),
		cmocka_unit_test(an_idle_worker_gives_most_of_its_time),
		cmocka_unit_test(a_shard_at_its_limit_frees_faster),
		cmocka_unit_test(all_together_leave_half_to_the_requests),
		cmocka_unit_test(a_steady_load_sends_no_new_orders),
		cmocka_unit_test(a_report_that_did_not_move_says_nothing_of_the_load),
		cmocka_unit_test(shares_stay_within_bounds),
		cmocka_unit_test(defrag_has_what_it_is_told_to_have_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
