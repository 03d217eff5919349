// SPDX-License-Identifier: BSD-3-Clause
// Meters of bytes a prefix: what a second brings, and that nobody gets more by being many.

#include "access_test.h"

#define S UINT64_C(1000000)

static struct mem_domain *mem;

static uint64_t bytes_taken(struct access_meters *m, struct base_ip ip, uint64_t from_us,
	uint64_t seconds, uint32_t each)
{
	uint64_t taken = 0;

	for (uint64_t us = from_us; us < from_us + seconds * S; us += 100)
		taken += access_meters_take(m, &ip, each, us) ? each : 0;
	return taken;
}

static void test_no_limit(void **state)
{
	struct access_meters *m = access_meters_open(mem, 1);

	assert_int_equal(bytes_taken(m, ip_of("10.0.0.1"), 5, 2, 1400), 2 * 10000 * 1400);
	access_meters_close(m);
}

static void test_rate_holds_and_comes_back(void **state)
{
	struct access_meters *m = access_meters_open(mem, 1);
	uint64_t taken;

	access_meters_rate_set(m, 100000, 7 * S);
	// a second's bytes at once, and those of ten seconds
	taken = bytes_taken(m, ip_of("10.0.0.1"), 7 * S, 10, 1000);
	assert_in_range(taken, 1080000, 1100000);
	// after a pause, no more than a second's
	taken = bytes_taken(m, ip_of("10.0.0.1"), 100 * S, 1, 1000);
	assert_in_range(taken, 190000, 200000);
	access_meters_close(m);
}

static void test_hosts_of_a_prefix_share(void **state)
{
	struct access_meters *m = access_meters_open(mem, 1);
	struct base_ip one = ip_of("10.0.0.1"), two = ip_of("10.0.0.2");
	struct base_ip six = ip_of("2001:db8::1"), seven = ip_of("2001:db8::ffff:7");

	access_meters_rate_set(m, 1000, S);
	assert_true(access_meters_take(m, &one, 1000, S));
	assert_false(access_meters_take(m, &two, 1000, S));
	assert_true(access_meters_take(m, &six, 1000, S));
	assert_false(access_meters_take(m, &seven, 1000, S));
	access_meters_close(m);
}

// However many prefixes there are, together they get what all meters have.
static void test_many_prefixes(void **state)
{
	struct access_meters *m = access_meters_open(mem, 1);
	uint64_t held = mem_used(mem), taken = 0;

	access_meters_rate_set(m, 1000, S);
	for (uint32_t i = 0; i < 20 * ACCESS_METERS; i++) {
		struct base_ip ip = base_ip4(i * 0x01000193u);

		taken += access_meters_take(m, &ip, 1000, S);
	}
	assert_in_range(taken, ACCESS_METERS * 9 / 10, ACCESS_METERS);
	assert_int_equal(mem_used(mem), held);
	access_meters_close(m);
}

static void test_rate_changes(void **state)
{
	struct access_meters *m = access_meters_open(mem, 1);
	struct base_ip ip = ip_of("10.0.0.1");

	access_meters_rate_set(m, 1, S);
	assert_true(access_meters_take(m, &ip, 1, S));
	assert_false(access_meters_take(m, &ip, 1, S + S / 2));
	assert_true(access_meters_take(m, &ip, 1, 3 * S));
	access_meters_rate_set(m, 0, 3 * S);
	assert_true(access_meters_take(m, &ip, 1 << 20, 3 * S));
	access_meters_rate_set(m, UINT64_C(10) << 30, 3 * S);
	assert_true(access_meters_take(m, &ip, 1 << 30, 3 * S));
	access_meters_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_rate_holds_and_comes_back),
		cmocka_unit_test(test_hosts_of_a_prefix_share),
		cmocka_unit_test(test_many_prefixes),
		cmocka_unit_test(test_rate_changes),
	};
	int failed;

	eal_start();
	mem = domain_open();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	mem_domain_close(mem);
	return failed;
}
