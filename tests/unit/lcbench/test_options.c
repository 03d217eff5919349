// SPDX-License-Identifier: BSD-3-Clause
// The command line: what is understood, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "options.h"

#define PARSE(o, ...) parse(o, (char *[]){"lcbench", __VA_ARGS__, NULL})

static int parse(struct bench_options *o, char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return bench_options_parse(o, argc, argv);
}

static void nothing_said_means_gets_that_are_checked(void **state)
{
	struct bench_options o;

	assert_int_equal(parse(&o, (char *[]){"lcbench", NULL}), 0);
	assert_true(o.get_ratio == 1.0);
	assert_int_equal(o.value_sizes.min, 32);
	assert_int_equal(o.value_sizes.max, 32);
	assert_int_equal(o.preload, PRELOAD_CHECK);
	assert_int_equal(o.verify, VERIFY_SAMPLE);
	assert_int_equal(o.rate, 0);
	assert_false(o.udp);
}

static void the_mix_has_three_names(void **state)
{
	struct bench_options o;

	assert_int_equal(PARSE(&o, "--get-ratio", "0.9"), 0);
	assert_true(o.get_ratio == 0.9);
	assert_int_equal(PARSE(&o, "--mode", "set"), 0);
	assert_true(o.get_ratio == 0.0);
	assert_int_equal(PARSE(&o, "--sets", "25"), 0);
	assert_true(o.get_ratio == 0.75);
	assert_int_not_equal(PARSE(&o, "--sets", "25", "--get-ratio", "0.5"), 0);
	assert_int_not_equal(PARSE(&o, "--get-ratio", "1.1"), 0);
}

static void choices_are_words(void **state)
{
	struct bench_options o;

	assert_int_equal(PARSE(&o, "--preload", "none", "--verify", "all", "--proto", "udp",
				 "--commands", "meta", "--lost", "count"),
		0);
	assert_int_equal(o.preload, PRELOAD_NONE);
	assert_int_equal(o.verify, VERIFY_ALL);
	assert_true(o.udp && o.commands == COMMANDS_META && o.lost_counted);
	assert_int_not_equal(PARSE(&o, "--preload", "fil"), 0);
	assert_int_not_equal(PARSE(&o, "--preload", "fill|check"), 0);
	assert_int_not_equal(PARSE(&o, "--verify", ""), 0);
}

static void sizes_are_one_a_range_or_a_list(void **state)
{
	static const char *const bad[] = {
		"", "x", "1-", "-1", "5-4", "1:", ":1", "1:0", "1:1,", "1:1,2", "1073741825"};
	struct bench_options o;

	assert_int_equal(PARSE(&o, "--value-size", "100-200"), 0);
	assert_int_equal(o.value_sizes.min, 100);
	assert_int_equal(o.value_sizes.max, 200);
	assert_int_equal(PARSE(&o, "--value-size", "32:9,1024:1"), 0);
	assert_int_equal(o.value_sizes.choices, 2);
	assert_int_equal(o.value_sizes.max, 1024);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(bad); i++)
		assert_int_not_equal(PARSE(&o, "--value-size", (char *)bad[i]), 0);
}

static void what_does_not_exist_or_go_together_is_refused(void **state)
{
	struct bench_options o;

	assert_int_not_equal(PARSE(&o, "--nonsense"), 0);
	assert_int_not_equal(PARSE(&o, "keys"), 0);
	assert_int_not_equal(PARSE(&o, "--keys"), 0);
	assert_int_not_equal(PARSE(&o, "--keys", "0"), 0);
	assert_int_not_equal(PARSE(&o, "--keys", "10x"), 0);
	assert_int_not_equal(PARSE(&o, "--key-size", "7"), 0);
	assert_int_not_equal(PARSE(&o, "--zipf", "nan"), 0);
	assert_int_not_equal(PARSE(&o, "--lost", "count"), 0);
	assert_int_not_equal(PARSE(&o, "--shard-ports", "3"), 0);
	assert_int_not_equal(PARSE(&o, "--keys", "10", "--multi", "11"), 0);
	assert_int_not_equal(PARSE(&o, "--proto", "udp", "--value-size", "1-1400"), 0);
	assert_int_not_equal(PARSE(&o, "--proto", "udp", "--multi", "100"), 0);
	assert_int_equal(PARSE(&o, "--proto", "udp", "--multi", "30"), 0);
}

static void prepared_segments_are_for_small_requests_over_tcp(void **state)
{
	struct bench_options o;

	assert_int_equal(PARSE(&o, "--prepared", "--pipeline", "16"), 0);
	assert_true(o.prepared);
	assert_int_equal(PARSE(&o, "--prepared", "--value-size", "100000"), 0);
	assert_int_not_equal(PARSE(&o, "--prepared", "--value-size", "1400", "--sets", "1"), 0);
	assert_int_not_equal(PARSE(&o, "--prepared", "--multi", "100"), 0);
	assert_int_not_equal(PARSE(&o, "--prepared", "--pipeline", "1024"), 0);
	assert_int_not_equal(PARSE(&o, "--prepared", "--proto", "udp"), 0);
	assert_int_not_equal(PARSE(&o, "--prepared", "--sockets"), 0);
	assert_int_not_equal(PARSE(&o, "--prepared", "--churn", "1"), 0);
	assert_int_not_equal(PARSE(&o, "--prepared", "--server", "fd00::1"), 0);
}

static void an_answerer_has_a_driver_and_values_of_one_size(void **state)
{
	struct bench_options o;

	assert_int_equal(PARSE(&o, "--answer", "--value-size", "100"), 0);
	assert_true(o.answer);
	assert_int_not_equal(PARSE(&o, "--answer", "--value-size", "1-2"), 0);
	assert_int_not_equal(PARSE(&o, "--answer", "--sockets"), 0);
}

static void what_follows_two_dashes_is_not_ours(void **state)
{
	struct bench_options o;

	assert_int_equal(PARSE(&o, "--keys", "7", "--", "--no-huge"), 0);
	assert_int_equal(o.eal_argc, 1);
	assert_string_equal(o.eal_argv[0], "--no-huge");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_said_means_gets_that_are_checked),
		cmocka_unit_test(the_mix_has_three_names),
		cmocka_unit_test(choices_are_words),
		cmocka_unit_test(sizes_are_one_a_range_or_a_list),
		cmocka_unit_test(what_does_not_exist_or_go_together_is_refused),
		cmocka_unit_test(prepared_segments_are_for_small_requests_over_tcp),
		cmocka_unit_test(an_answerer_has_a_driver_and_values_of_one_size),
		cmocka_unit_test(what_follows_two_dashes_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
