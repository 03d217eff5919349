// SPDX-License-Identifier: BSD-3-Clause
// When memory is defragmented, and for how much of the time: Redis' formula, and an end to passes
// that bring nothing.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "control/control_defrag.h"

#define MIB    (UINT64_C(1) << 20)
#define SECOND UINT64_C(1000000)

static const struct control_defrag_settings usual = {.on = true,
	.ignore_bytes = 100 * MIB,
	.lower = 10,
	.upper = 100,
	.cycle_min = 1,
	.cycle_max = 25};

static void the_time_follows_what_is_fragmented(void **state)
{
	const uint64_t all = 2048 * MIB;

	assert_int_equal(control_defrag_percent(&usual, 0, all), 0);
	assert_int_equal(control_defrag_percent(&usual, 99 * MIB, 200 * MIB), 0); // too little
	assert_int_equal(control_defrag_percent(&usual, all * 9 / 100, all), 0);  // below 10 %
	assert_int_equal(control_defrag_percent(&usual, all / 10 + 1, all), 1);
	assert_int_equal(control_defrag_percent(&usual, all * 55 / 100 + 1, all), 13);
	assert_int_equal(control_defrag_percent(&usual, all, all), 25);
	assert_int_equal(control_defrag_percent(&usual, all * 9, all), 25);
	assert_int_equal(control_defrag_percent(&usual, all, 0), 0);
}

static void settings_that_make_no_slope_divide_by_nothing(void **state)
{
	struct control_defrag_settings set = usual;

	set.upper = set.lower;
	assert_int_equal(control_defrag_percent(&set, 1024 * MIB, 2048 * MIB), 25);
	set.upper = 5; // below the lower one
	assert_int_equal(control_defrag_percent(&set, 1024 * MIB, 2048 * MIB), 25);
	set.cycle_min = set.cycle_max = 10;
	assert_int_equal(control_defrag_percent(&set, 1024 * MIB, 2048 * MIB), 10);
	set.cycle_min = 30; // above the greatest
	assert_int_equal(control_defrag_percent(&set, 1024 * MIB, 2048 * MIB), 30);
}

static struct control_defrag_figures figures(uint64_t waste_mib)
{
	return (struct control_defrag_figures){
		.allocated_bytes = 1000 * MIB, .waste_bytes = waste_mib * MIB};
}

static void off_it_does_nothing_and_on_it_begins(void **state)
{
	struct control_defrag_settings off = usual;
	struct control_defrag_figures f = figures(500);
	struct control_defrag d;

	off.on = false;
	control_defrag_init(&d);
	assert_false(control_defrag_turn(&d, &off, &f, SECOND));
	assert_int_equal(d.plan.seq, 0);
	f.sparse[7] = 99;
	assert_true(control_defrag_turn(&d, &usual, &f, SECOND));
	assert_int_equal(d.plan.seq, 1);
	assert_int_equal(d.plan.sparse[7], 99);
	assert_int_equal(d.percent, 11);
	assert_false(d.plan.pages);
	// Off again: what has been begun must be put away first.
	f.running = 1;
	assert_true(control_defrag_turn(&d, &off, &f, SECOND));
	assert_int_equal(d.plan.seq, 0);
	assert_true(d.percent > 0);
	f.running = 0;
	control_defrag_turn(&d, &off, &f, SECOND);
	assert_int_equal(d.percent, 0);
	control_defrag_turn(&d, &usual, &f, SECOND);
	assert_int_equal(d.plan.seq, 2); // another number
}

static void within_a_pass_the_time_only_rises(void **state)
{
	struct control_defrag_figures f = figures(500);
	struct control_defrag d;

	control_defrag_init(&d);
	control_defrag_turn(&d, &usual, &f, SECOND);
	f.running = 1;
	f.waste_bytes = 200 * MIB;
	assert_false(control_defrag_turn(&d, &usual, &f, 2 * SECOND));
	assert_int_equal(d.percent, 11);
	f.waste_bytes = 900 * MIB;
	assert_true(control_defrag_turn(&d, &usual, &f, 3 * SECOND));
	assert_int_equal(d.percent, 22);
	assert_int_equal(d.plan.seq, 1);
	// At its end the next one begins, or none.
	f.running = 0;
	f.passes = 1;
	f.waste_bytes = 200 * MIB;
	control_defrag_turn(&d, &usual, &f, 4 * SECOND);
	assert_int_equal(d.plan.seq, 2);
	assert_int_equal(d.percent, 3);
	f.passes = 2;
	f.waste_bytes = 50 * MIB;
	control_defrag_turn(&d, &usual, &f, 5 * SECOND);
	assert_int_equal(d.plan.seq, 2);
	assert_int_equal(d.percent, 0);
}

// Passes of which none brings anything: an hour of them.
static void passes_that_bring_nothing_become_few(void **state)
{
	struct control_defrag_figures f = figures(500);
	struct control_defrag d;
	uint64_t busy = 0;

	control_defrag_init(&d);
	for (uint64_t s = 1; s <= 3600; s++) {
		control_defrag_turn(&d, &usual, &f, s * SECOND);
		busy += d.percent > 0;
		f.passes = d.seq; // it is over within a second
	}
	assert_in_range(d.seq, 10, 30);
	assert_true(busy < 60);
	assert_in_range(d.effort, 1, 45);
	// More is fragmented: at once, and in earnest.
	f.waste_bytes = 700 * MIB;
	control_defrag_turn(&d, &usual, &f, 3601 * SECOND);
	assert_int_equal(d.effort, 100);
	assert_int_equal(d.percent, 17);
}

static void pages_are_emptied_when_slabs_are_full(void **state)
{
	struct control_defrag_figures f = figures(400);
	struct control_defrag d;

	f.scatter_bytes = 600 * MIB;
	control_defrag_init(&d);
	control_defrag_turn(&d, &usual, &f, SECOND);
	assert_int_equal(d.plan.seq, 1);
	assert_false(d.plan.pages);
	f.passes = 1;
	f.waste_bytes = 100 * MIB;
	control_defrag_turn(&d, &usual, &f, 2 * SECOND);
	assert_int_equal(d.plan.seq, 2);
	assert_true(d.plan.pages);
	assert_int_equal(d.percent, 17); // of 70 %
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_follows_what_is_fragmented),
		cmocka_unit_test(settings_that_make_no_slope_divide_by_nothing),
		cmocka_unit_test(off_it_does_nothing_and_on_it_begins),
		cmocka_unit_test(within_a_pass_the_time_only_rises),
		cmocka_unit_test(passes_that_bring_nothing_become_few),
		cmocka_unit_test(pages_are_emptied_when_slabs_are_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
