// SPDX-License-Identifier: BSD-3-Clause
// Prefix lists: what is read, what is refused, and who is on them.

#include "access_test.h"

static struct mem_domain *mem;
static char err[200];

static struct access_list *list_of(const char *text)
{
	struct access_prefix prefix[ACCESS_PREFIXES_MAX];
	struct access_list *list;
	unsigned n;

	assert_int_equal(access_prefixes_parse(text, prefix, &n, err, sizeof(err)), 0);
	assert_int_equal(access_list_open(&list, mem, prefix, n), 0);
	return list;
}

static bool has(const struct access_list *list, const char *text)
{
	struct base_ip ip = ip_of(text);

	return access_list_has(list, &ip);
}

static void test_prefixes_are_read(void **state)
{
	struct access_prefix p[ACCESS_PREFIXES_MAX];
	unsigned n;

	assert_int_equal(
		access_prefixes_parse("10.0.0.0/8,fd00::/8,192.0.2.7,::1", p, &n, err, sizeof(err)),
		0);
	assert_int_equal(n, 4);
	assert_int_equal(p[0].len, 8);
	assert_int_equal(p[1].len, 8);
	assert_int_equal(p[2].len, 32);
	assert_int_equal(p[3].len, 128);
	assert_int_equal(access_prefixes_parse("none", p, &n, err, sizeof(err)), 0);
	assert_int_equal(n, 0);
}

static void test_broken_prefixes_are_refused(void **state)
{
	static const char *const bad[] = {"", ",", "10.0.0.0/8,", "10.0.0.0/33", "fd00::/129",
		"10.0.0.1/8", "fd00::1/64", "10.0.0.0/", "/8", "10.0.0.0/8 ", "all,10.0.0.0/8",
		"nobody", "10.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.0/-1",
		"fd00:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/64"};
	struct access_prefix p[ACCESS_PREFIXES_MAX];
	char many[ACCESS_PREFIXES_MAX * 10 + 20] = "10.0.0.0";
	unsigned n;

	for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++) {
		err[0] = '\0';
		if (access_prefixes_parse(bad[i], p, &n, err, sizeof(err)) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_string_not_equal(err, "");
	}
	for (int i = 1; i < ACCESS_PREFIXES_MAX; i++)
		strcat(many, ",10.0.0.0");
	assert_int_equal(access_prefixes_parse(many, p, &n, err, sizeof(err)), 0);
	assert_int_equal(n, ACCESS_PREFIXES_MAX);
	strcat(many, ",10.0.0.0");
	assert_int_not_equal(access_prefixes_parse(many, p, &n, err, sizeof(err)), 0);
}

static void test_who_is_on_a_list(void **state)
{
	struct access_list *l =
		list_of("10.0.0.0/8,192.0.2.7,198.18.211.128/25,fd00::/8,2001:db8::1");

	assert_true(has(l, "10.0.0.0"));
	assert_true(has(l, "10.255.255.255"));
	assert_false(has(l, "11.0.0.0"));
	assert_false(has(l, "9.255.255.255"));
	assert_true(has(l, "192.0.2.7"));
	assert_false(has(l, "192.0.2.6"));
	assert_true(has(l, "198.18.211.200"));
	assert_false(has(l, "198.18.211.127"));
	assert_true(has(l, "fd12:3456::1"));
	assert_false(has(l, "fe80::1"));
	assert_true(has(l, "2001:db8::1"));
	assert_false(has(l, "2001:db8::2"));
	access_list_close(l);
}

static void test_families_are_apart(void **state)
{
	struct access_list *four = list_of("0.0.0.0/0"), *six = list_of("::/0,10.0.0.0/8");

	assert_true(has(four, "1.2.3.4"));
	assert_false(has(four, "::1"));
	assert_true(access_list_has_all(four, true));
	assert_false(access_list_has_all(four, false));
	assert_true(has(six, "::1"));
	assert_false(has(six, "1.2.3.4")); // though it is ::ffff:1.2.3.4 within
	assert_true(has(six, "10.2.3.4"));
	access_list_close(four);
	access_list_close(six);
}

static void test_all_and_none(void **state)
{
	struct access_list *all = list_of("all"), *none = list_of("none");

	assert_true(has(all, "1.2.3.4"));
	assert_true(has(all, "2001:db8::1"));
	assert_false(has(none, "1.2.3.4"));
	assert_false(has(none, "2001:db8::1"));
	access_list_close(all);
	access_list_close(none);
}

// A change of the list makes a new one before the old one goes.
static void test_many_lists_at_a_time(void **state)
{
	struct access_list *l[8];
	char text[64];

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 8; i++) {
			snprintf(text, sizeof(text), "10.%d.0.0/16,fd%02x::/16", i, i);
			l[i] = list_of(text);
		}
		for (int i = 0; i < 8; i++) {
			snprintf(text, sizeof(text), "10.%d.1.1", i);
			assert_true(has(l[i], text));
			assert_false(has(l[(i + 1) % 8], text));
		}
		for (int i = 0; i < 8; i++)
			access_list_close(l[i]);
	}
	assert_int_equal(mem_used(mem), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes_are_read),
		cmocka_unit_test(test_broken_prefixes_are_refused),
		cmocka_unit_test(test_who_is_on_a_list),
		cmocka_unit_test(test_families_are_apart),
		cmocka_unit_test(test_all_and_none),
		cmocka_unit_test(test_many_lists_at_a_time),
	};
	int failed;

	eal_start();
	mem = domain_open();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	mem_domain_close(mem);
	return failed;
}
