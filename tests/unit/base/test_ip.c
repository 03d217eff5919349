// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static struct base_ip ip(const char *text)
{
	struct base_ip a;

	assert_int_equal(base_ip_parse(text, &a), 0);
	return a;
}

static void texts_of_both_families_come_back(void **state)
{
	static const char *const texts[] = {"0.0.0.0", "198.18.211.2", "255.255.255.255", "::1",
		"fd00::1", "fe80::2:ff:fe00:1", "2001:db8:1:2:3:4:5:6"};
	char buf[BASE_IP_TEXT];

	(void)state;
	for (unsigned i = 0; i < BASE_ARRAY_LEN(texts); i++) {
		struct base_ip a = ip(texts[i]);

		assert_string_equal(base_ip_format(&a, buf), texts[i]);
		assert_int_equal(base_ip_is4(&a), strchr(texts[i], '.') != NULL);
	}
}

static void bad_texts_are_refused(void **state)
{
	static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "fd00:::1", "fd00",
		"fe80::1%eth0", "::ffff:1.2.3.4", " 1.2.3.4", "1.2.3.4/8", "12345::"};
	struct base_ip a;

	(void)state;
	for (unsigned i = 0; i < BASE_ARRAY_LEN(bad); i++)
		assert_int_equal(base_ip_parse(bad[i], &a), -EINVAL);
}

static void prefixes_are_bounded_by_their_family(void **state)
{
	static const char *const bad[] = {"1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "fd00::1/129",
		"fd00::1/-1", "fd00::1/64x", "/64", "fd00::1//64",
		"fd00:fd00:fd00:fd00:fd00:fd00:fd00:fd00:fd00:fd00/64"};
	struct base_ip a;
	uint8_t len;

	(void)state;
	assert_int_equal(base_ip_prefix_parse("10.0.0.1/32", &a, &len), 0);
	assert_true(base_ip_is4(&a) && len == 32);
	assert_int_equal(base_ip_prefix_parse("fd00::1/128", &a, &len), 0);
	assert_true(!base_ip_is4(&a) && len == 128);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(bad); i++)
		assert_int_equal(base_ip_prefix_parse(bad[i], &a, &len), -EINVAL);
}

static bool within(const char *prefix, const char *address)
{
	struct base_ip p, mask, a = ip(address);
	uint8_t len;

	assert_int_equal(base_ip_prefix_parse(prefix, &p, &len), 0);
	mask = base_ip_mask(&p, len);
	return base_ip_masked_same(&p, &a, &mask);
}

static void a_mask_matches_its_prefix_in_its_family(void **state)
{
	(void)state;
	assert_true(within("10.1.2.3/8", "10.255.0.1"));
	assert_false(within("10.1.2.3/9", "10.128.0.1"));
	assert_true(within("10.1.2.3/32", "10.1.2.3"));
	assert_true(within("0.0.0.0/0", "203.0.113.9"));
	assert_false(within("0.0.0.0/0", "fd00::1")); // IPv4 only
	assert_true(within("::/0", "fd00::1"));
	assert_true(within("fd00:1::/33", "fd00:1:7fff::9"));
	assert_false(within("fd00:1::/33", "fd00:1:8000::9"));
	assert_true(within("fd00::5/127", "fd00::4"));
	assert_false(within("fd00::5/127", "fd00::6"));
}

static void link_local_addresses_are_stable_and_not_made_of_the_mac(void **state)
{
	const uint8_t one[6] = {2, 0, 0, 0, 0, 1}, two[6] = {2, 0, 0, 0, 0, 2};
	struct base_ip a = base_ip_link_local(one), b = base_ip_link_local(two);
	struct base_ip again = base_ip_link_local(one), eui = ip("fe80::ff:fe00:1");

	(void)state;
	assert_true(within("fe80::/64", "fe80::1"));
	assert_true(a.b[0] == 0xfe && a.b[1] == 0x80 && a.w32[1] == 0);
	assert_true(base_ip_same(&a, &again));
	assert_false(base_ip_same(&a, &b));
	assert_false(base_ip_same(&a, &eui));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_both_families_come_back),
		cmocka_unit_test(bad_texts_are_refused),
		cmocka_unit_test(prefixes_are_bounded_by_their_family),
		cmocka_unit_test(a_mask_matches_its_prefix_in_its_family),
		cmocka_unit_test(link_local_addresses_are_stable_and_not_made_of_the_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
