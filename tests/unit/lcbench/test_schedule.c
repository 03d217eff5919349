// SPDX-License-Identifier: BSD-3-Clause
// The open loop: nothing that is due is left out, whatever the rate and whenever somebody looks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "schedule.h"

#define SECOND_NS UINT64_C(1000000000)

static void requests_are_due_at_even_times(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 1000, 999983, 3000000, 1000000000};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(rates); i++) {
		uint64_t due_ns, count = base_min_u64(rates[i] * 2, 100000);
		struct schedule s;

		schedule_start(&s, rates[i], 5);
		for (uint64_t n = 0; n < count; n++) {
			assert_true(schedule_take(&s, UINT64_MAX, &due_ns));
			assert_int_equal(due_ns, 5 + n * SECOND_NS / rates[i]);
		}
	}
}

static void nothing_is_due_before_its_time(void **state)
{
	struct schedule s;
	uint64_t due_ns;

	schedule_start(&s, 1000, 0);
	assert_true(schedule_take(&s, 0, &due_ns));
	assert_false(schedule_take(&s, 999999, &due_ns));
	assert_int_equal(schedule_backlog(&s, 999999), 0);
	assert_true(schedule_take(&s, 1000000, &due_ns));
}

static void a_long_pause_leaves_nothing_out(void **state)
{
	struct schedule s;
	uint64_t due_ns, taken = 0, late_ns = 0;

	schedule_start(&s, 1000, 0);
	assert_int_equal(schedule_backlog(&s, SECOND_NS), 1001);
	while (schedule_take(&s, SECOND_NS, &due_ns)) {
		taken++;
		late_ns += SECOND_NS - due_ns;
	}
	assert_int_equal(taken, 1001);
	assert_int_equal(late_ns, 1000 * UINT64_C(1001) / 2 * 1000000);
	assert_int_equal(schedule_backlog(&s, SECOND_NS), 0);
	assert_int_equal(s.backlog_max, 1001);
}

static void looking_seldom_or_often_gives_the_same_number(void **state)
{
	for (uint64_t look_ns = 10; look_ns < SECOND_NS / 10; look_ns *= 7) {
		uint64_t due_ns, taken = 0;
		struct schedule s;

		schedule_start(&s, 123457, 0);
		for (uint64_t now_ns = 0; now_ns < SECOND_NS / 100; now_ns += look_ns)
			while (schedule_take(&s, now_ns, &due_ns))
				taken++;
		while (schedule_take(&s, SECOND_NS / 100, &due_ns))
			taken++;
		assert_int_equal(taken, 1235);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_due_at_even_times),
		cmocka_unit_test(nothing_is_due_before_its_time),
		cmocka_unit_test(a_long_pause_leaves_nothing_out),
		cmocka_unit_test(looking_seldom_or_often_gives_the_same_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
