// SPDX-License-Identifier: BSD-3-Clause
// Alarms: raised once, cleared once, and not by what goes to and fro.

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "control/control_alarm.h"

#define SECOND UINT64_C(1000000)
#define WALL   1700000000

static struct control_alarms alarms;
static uint64_t now_us;

static int reset(void **state)
{
	memset(&alarms, 0, sizeof(alarms));
	now_us = SECOND;
	return 0;
}

// One look that sees one figure; whether it changed that alarm's state.
static bool look(enum control_alarm_id id, uint64_t value, uint64_t later_us)
{
	struct control_alarm_figures f = {0};
	uint32_t changed;

	now_us += later_us;
	f.known[id] = true;
	f.value[id] = value;
	changed = control_alarms_turn(&alarms, &f, now_us, WALL + now_us / SECOND);
	assert_int_equal(changed & ~(UINT32_C(1) << id), 0);
	return changed != 0;
}

static void a_link_that_goes_is_told_once(void **state)
{
	const struct control_alarm *a = &alarms.alarm[CONTROL_ALARM_LINK_DOWN];

	assert_false(look(CONTROL_ALARM_LINK_DOWN, 0, SECOND));
	assert_true(look(CONTROL_ALARM_LINK_DOWN, 1, SECOND));
	assert_true(a->active);
	assert_int_equal(a->since_wall_s, WALL + now_us / SECOND);
	for (int i = 0; i < 100; i++)
		assert_false(look(CONTROL_ALARM_LINK_DOWN, 1, SECOND));
	assert_int_equal(a->raised, 1);
	assert_false(look(CONTROL_ALARM_LINK_DOWN, 0, SECOND)); // it may flap
	assert_false(look(CONTROL_ALARM_LINK_DOWN, 1, SECOND / 2));
	assert_false(look(CONTROL_ALARM_LINK_DOWN, 0, SECOND / 2));
	assert_true(look(CONTROL_ALARM_LINK_DOWN, 0, SECOND));
	assert_false(a->active);
	assert_int_equal(a->raised, 1);
}

static void nothing_is_said_of_what_is_not_known(void **state)
{
	struct control_alarm_figures f = {.value[CONTROL_ALARM_LINK_DOWN] = 1};

	assert_int_equal(control_alarms_turn(&alarms, &f, now_us, WALL), 0);
	assert_false(alarms.alarm[CONTROL_ALARM_LINK_DOWN].known);
	assert_int_equal(control_alarms_active(&alarms), 0);
}

static void a_level_has_to_last(void **state)
{
	assert_false(look(CONTROL_ALARM_PACKET_BUFFERS_LOW, 100, SECOND));
	assert_false(look(CONTROL_ALARM_PACKET_BUFFERS_LOW, 10, SECOND / 2)); // a burst
	assert_false(look(CONTROL_ALARM_PACKET_BUFFERS_LOW, 100, SECOND));
	assert_false(look(CONTROL_ALARM_PACKET_BUFFERS_LOW, 100, SECOND / 2));
	assert_true(look(CONTROL_ALARM_PACKET_BUFFERS_LOW, 95, SECOND));
}

static void between_its_limits_a_level_stays_as_it_is(void **state)
{
	for (int i = 0; i < 100; i++)
		assert_false(look(CONTROL_ALARM_MEMORY_FULL, 94, SECOND));
	look(CONTROL_ALARM_MEMORY_FULL, 96, SECOND);
	assert_true(look(CONTROL_ALARM_MEMORY_FULL, 96, SECOND));
	for (int i = 0; i < 100; i++)
		assert_false(look(CONTROL_ALARM_MEMORY_FULL, 94, SECOND));
	assert_false(look(CONTROL_ALARM_MEMORY_FULL, 92, SECOND));
	assert_true(look(CONTROL_ALARM_MEMORY_FULL, 92, 5 * SECOND));
}

static void a_counter_that_grows_raises_until_it_is_quiet(void **state)
{
	const struct control_alarm *a = &alarms.alarm[CONTROL_ALARM_TX_DROPPED];

	assert_false(look(CONTROL_ALARM_TX_DROPPED, 0, SECOND));
	assert_true(look(CONTROL_ALARM_TX_DROPPED, 3, SECOND / 10));
	for (uint64_t i = 0; i < 100; i++) // it goes on: no second line in the log
		assert_false(look(CONTROL_ALARM_TX_DROPPED, 4 + i, 9 * SECOND));
	assert_false(look(CONTROL_ALARM_TX_DROPPED, a->value, 9 * SECOND));
	assert_true(look(CONTROL_ALARM_TX_DROPPED, a->value, SECOND));
	assert_false(a->active);
	assert_int_equal(a->raised, 1);
	assert_true(look(CONTROL_ALARM_TX_DROPPED, a->value + 1, SECOND));
	assert_int_equal(a->raised, 2);
}

static void what_was_counted_before_is_no_news(void **state)
{
	assert_false(look(CONTROL_ALARM_DEVICE_RX_MISSED, 1000, SECOND));
	assert_false(look(CONTROL_ALARM_DEVICE_RX_MISSED, 1000, SECOND));
	assert_true(look(CONTROL_ALARM_DEVICE_RX_MISSED, 1001, SECOND));
}

static void every_alarm_has_a_name_of_its_own(void **state)
{
	for (unsigned i = 0; i < CONTROL_ALARMS; i++) {
		const char *name = control_alarm_name((enum control_alarm_id)i);

		assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
		assert_true(strlen(control_alarm_text((enum control_alarm_id)i)) < 120);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(name, control_alarm_name((enum control_alarm_id)k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_link_that_goes_is_told_once, reset),
		cmocka_unit_test_setup(nothing_is_said_of_what_is_not_known, reset),
		cmocka_unit_test_setup(a_level_has_to_last, reset),
		cmocka_unit_test_setup(between_its_limits_a_level_stays_as_it_is, reset),
		cmocka_unit_test_setup(a_counter_that_grows_raises_until_it_is_quiet, reset),
		cmocka_unit_test_setup(what_was_counted_before_is_no_news, reset),
		cmocka_unit_test(every_alarm_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
