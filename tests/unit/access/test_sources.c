// SPDX-License-Identifier: BSD-3-Clause
// Connections a source: counted over workers, limited, forgotten when the last one is gone.

#include <pthread.h>

#include "access_test.h"

static void test_limit(void **state)
{
	struct access_sources *s = access_sources_open(100, 1);
	struct base_ip a = ip_of("10.0.0.1"), b = ip_of("10.0.0.2");

	for (int i = 0; i < 3; i++)
		assert_int_equal(access_sources_add(s, &a, 3), ACCESS_COUNTED);
	assert_int_equal(access_sources_add(s, &a, 3), ACCESS_FULL);
	assert_int_equal(access_sources_add(s, &b, 3), ACCESS_COUNTED);
	assert_int_equal(access_sources_add(s, &a, 0), ACCESS_COUNTED);
	assert_int_equal(access_sources_count(s, &a), 4);
	access_sources_remove(s, &a);
	access_sources_remove(s, &a);
	assert_int_equal(access_sources_add(s, &a, 3), ACCESS_COUNTED);
	assert_int_equal(access_sources_add(s, &a, 3), ACCESS_FULL);
	access_sources_close(s);
}

static void test_limit_in_all(void **state)
{
	struct access_sources *s = access_sources_open(100, 1);

	assert_true(access_sources_enter(s, 2));
	assert_true(access_sources_enter(s, 2));
	assert_false(access_sources_enter(s, 2));
	assert_true(access_sources_enter(s, 3));
	access_sources_leave(s);
	assert_false(access_sources_enter(s, 1)); // it was lowered meanwhile
	access_sources_leave(s);
	access_sources_leave(s);
	assert_int_equal(access_sources_total(s), 0);
	assert_true(access_sources_enter(s, 1));
	access_sources_close(s);
}

static void test_64_bits_of_ipv6_are_a_source(void **state)
{
	struct access_sources *s = access_sources_open(100, 1);
	struct base_ip a = ip_of("2001:db8::1"), b = ip_of("2001:db8::2"),
		       c = ip_of("2001:db8:0:1::1");

	assert_int_equal(access_sources_add(s, &a, 1), ACCESS_COUNTED);
	assert_int_equal(access_sources_add(s, &b, 1), ACCESS_FULL);
	assert_int_equal(access_sources_add(s, &c, 1), ACCESS_COUNTED);
	access_sources_remove(s, &b);
	assert_int_equal(access_sources_count(s, &a), 0);
	access_sources_close(s);
}

// More sources than there is room for: those without a word are not limited, and all words are free
// at the end.
static void test_full_table(void **state)
{
	enum { MANY = 4000 };
	struct access_sources *s = access_sources_open(100, 1);
	bool counted[MANY];
	unsigned sum = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		struct base_ip ip = base_ip4(i);
		enum access_verdict v = access_sources_add(s, &ip, 1);

		assert_int_not_equal(v, ACCESS_FULL);
		counted[i] = v == ACCESS_COUNTED;
		sum += counted[i];
	}
	assert_in_range(sum, 400, 512);
	for (uint32_t i = 0; i < MANY; i++) {
		struct base_ip ip = base_ip4(i);

		if (counted[i])
			access_sources_remove(s, &ip);
		assert_int_equal(access_sources_count(s, &ip), 0);
	}
	access_sources_remove(s, &(struct base_ip){.w64 = {1, 2}}); // none of ours
	access_sources_close(s);
}

static struct access_sources *shared;

static void *storm(void *arg)
{
	struct base_ip ip = base_ip4(7);
	unsigned long most = 0;

	for (int i = 0; i < 200000; i++) {
		if (access_sources_add(shared, &ip, 3) != ACCESS_COUNTED)
			continue;
		if (access_sources_count(shared, &ip) > most)
			most = access_sources_count(shared, &ip);
		access_sources_remove(shared, &ip);
	}
	return (void *)most;
}

// Workers at one word: nothing is lost. Two that begin together may have a word each.
static void test_threads(void **state)
{
	struct base_ip ip = base_ip4(7);
	pthread_t t[4];
	unsigned long highest = 0;
	void *most;

	shared = access_sources_open(100, 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, storm, NULL), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &most);
		highest = base_max_u64(highest, (unsigned long)most);
	}
	// of all: one of them may meet the others asleep with all three
	assert_in_range(highest, 1, 4);
	assert_int_equal(access_sources_count(shared, &ip), 0);
	access_sources_close(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_in_all),
		cmocka_unit_test(test_64_bits_of_ipv6_are_a_source),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
