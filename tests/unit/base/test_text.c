// SPDX-License-Identifier: BSD-3-Clause
// Which name a mistyped word meant.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

static const char *name(unsigned i)
{
	static const char *const names[] = {"maxmemory", "maxmemory-policy", "port", "udp-port",
		"workers", "a-name-far-longer-than-any-option-or-setting-may-be"};

	return i < BASE_ARRAY_LEN(names) ? names[i] : NULL;
}

static void one_slip_finds_the_name(void **state)
{
	assert_string_equal(base_name_nearest("maxmemroy", name), "maxmemory");
	assert_string_equal(base_name_nearest("maxmemory", name), "maxmemory");
	assert_string_equal(base_name_nearest("worker", name), "workers");
	assert_string_equal(base_name_nearest("prot", name), "port");
	assert_string_equal(base_name_nearest("udpport", name), "udp-port");
	assert_string_equal(base_name_nearest("max-memory-policy", name), "maxmemory-policy");
}

static void a_word_of_its_own_is_not_guessed_at(void **state)
{
	char word[100];

	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(base_name_nearest(word, name));
	assert_null(base_name_nearest("", name));
	assert_null(base_name_nearest("p", name));
	assert_null(base_name_nearest("nonsense", name));
	assert_null(base_name_nearest("part-time", name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_slip_finds_the_name),
		cmocka_unit_test(a_word_of_its_own_is_not_guessed_at),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
