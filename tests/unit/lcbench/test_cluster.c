// SPDX-License-Identifier: BSD-3-Clause
// A row of the table of clusters is a workload, or is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster.h"
#include "options.h"

static void a_row_is_a_workload(void **state)
{
	struct cluster c;

	assert_int_equal(cluster_parse("cluster4,0.11,20,2439,1,2,3,"
				       "\"60s:0.39, 300s:0.24\",get:0.93 set:0.07,1.1004\n",
				 &c),
		0);
	assert_int_equal(c.key_bytes, 20);
	assert_int_equal(c.value_bytes, 2439);
	assert_int_equal(c.ttl_s, 60);
	assert_true(c.get_ratio > 0.929 && c.get_ratio < 0.931);
	assert_true(c.zipf > 1.1 && c.zipf < 1.101);
	assert_int_equal(
		cluster_parse("cluster5,0,30,1,1,2,3,92.6d:1.00,add:0.50 gets:0.50,NA\n", &c), 0);
	assert_int_equal(c.ttl_s, 2592000);
	assert_true(c.get_ratio == 0.5 && c.zipf == 0);
}

static void what_is_no_row_is_refused(void **state)
{
	static const char *const wrong[] = {"", "cluster1,0,20", "c,0,x,1,1,2,3,1d:1,get:1,0",
		"c,0,1,0,1,2,3,1d:1,get:1,0", "c,0,1,1,1,2,3,1y:1,get:1,0",
		"c,0,1,1,1,2,3,1d:1,get,0", "c,0,1,1,1,2,3,1d:1,get:2,0", "c,0,1,1,1,2,3,1d:1,,0",
		"c,0,1,1,1,2,3,1d:1,get:1,-1"};
	struct cluster c;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_not_equal(cluster_parse(wrong[i], &c), 0);
}

static void options_behind_a_row_replace_what_it_says(void **state)
{
	char path[] = "/tmp/lcbench-cluster-XXXXXX", row7[64], row8[64];
	struct bench_options o;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	assert_non_null(f);
	fputs("cluster,...\ncluster7,0,20,100,1,2,3,1h:1.00,get:0.50 set:0.50,0.5\n", f);
	fclose(f);
	snprintf(row7, sizeof(row7), "%s:7", path);
	snprintf(row8, sizeof(row8), "%s:8", path);
	assert_int_equal(bench_options_parse(&o, 5,
				 (char *[]){"lcbench", "--cluster", row7, "--zipf", "1", NULL}),
		0);
	assert_int_equal(o.key_size, 20);
	assert_int_equal(o.value_sizes.max, 100);
	assert_int_equal(o.ttl_s, 3600);
	assert_true(o.get_ratio == 0.5 && o.zipf == 1);
	assert_int_not_equal(
		bench_options_parse(&o, 3, (char *[]){"lcbench", "--cluster", row8, NULL}), 0);
	remove(path);
	assert_int_not_equal(
		bench_options_parse(&o, 3, (char *[]){"lcbench", "--cluster", row7, NULL}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_a_workload),
		cmocka_unit_test(what_is_no_row_is_refused),
		cmocka_unit_test(options_behind_a_row_replace_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
