// SPDX-License-Identifier: BSD-3-Clause
#include "proto_cases.h"

#define OK "reply 'OK'\n"

static void lists_of_items_are_of_classes(void **state)
{
	// enum proto_admin, enum proto_class
	CASES_CHECK({"lru_crawler metadump all\r\n", "admin 0 1\n"},
		{"lru_crawler metadump hash\n", "admin 0 1\n"},
		{"lru_crawler mgdump  1\r\n", "admin 1 1\n"},
		{"lru_crawler mgdump 2\r\n", "admin 1 0\n"},
		{"lru_crawler mgdump 63\r\n", "admin 1 0\n"},
		{"lru_crawler metadump 2,1,,3\r\n", "admin 0 1\n"},
		{"lru_crawler metadump ,\r\n", "admin 0 0\n"},
		{"lru_crawler metadump 0\r\n", "admin 0 2\n"},
		{"lru_crawler metadump 1,64\r\n", "admin 0 2\n"},
		{"lru_crawler metadump 1x\r\n", "admin 0 2\n"},
		{"lru_crawler metadump 4294967297\r\n", "admin 0 2\n"},
		{"lru_crawler metadump alll\r\n", "admin 0 2\n"},
		{"lru_crawler metadump\r\n", ERROR}, {"lru_crawler metadump 1 2\r\n", ERROR},
		{"lru_crawler meta 1\r\n", ERROR});
}

static void knobs_of_the_crawler_are_checked(void **state)
{
	CASES_CHECK({"lru_crawler enable\r\n", OK}, {"lru_crawler disable\r\n", OK},
		{"lru_crawler enable 1\r\n", ERROR}, {"lru_crawler sleep 1000000\r\n", OK},
		{"lru_crawler sleep 1000001\r\n",
			"reply 'CLIENT_ERROR sleep must be one second or less'\n"},
		{"lru_crawler sleep x\r\n", BAD_FORMAT}, {"lru_crawler tocrawl 4294967295\r\n", OK},
		{"lru_crawler tocrawl 4294967296\r\n", BAD_FORMAT},
		{"lru_crawler crawl all\r\n", OK},
		{"lru_crawler crawl 64\r\n", "reply 'BADCLASS invalid class id'\n"});
}

static void the_memory_limit_is_in_megabytes(void **state)
{
#define SMALL "reply 'MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m'\n"
	CASES_CHECK({"cache_memlimit 8\r\n", "admin 2 8\n"},
		{"cache_memlimit 1000000000 noreply\r\n", "admin 2 1000000000 noreply\n"},
		{"cache_memlimit 7\r\n", SMALL}, {"cache_memlimit 7 noreply\r\n", SILENT},
		{"cache_memlimit 1000000001\r\n",
			"reply 'MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes'\n"},
		{"cache_memlimit\r\n", ERROR}, {"cache_memlimit x\r\n", ERROR},
		{"cache_memlimit -8\r\n", ERROR}, {"cache_memlimit 4294967296\r\n", ERROR});
#undef SMALL
}

static void a_shutdown_has_two_modes(void **state)
{
	CASES_CHECK({"shutdown\r\n", "admin 3 1\n"}, {"shutdown graceful\r\n", "admin 3 1\n"},
		{"shutdown now\r\n", "admin 3 0\n"}, {"shutdown graceful now\r\n", "admin 3 0\n"},
		{"shutdowns\r\n", ERROR});
}

static void the_clock_is_moved_by_seconds(void **state)
{
	CASES_CHECK({"debugtime 5\r\n", "admin 5 5\n"}, {"debugtime 0\r\n", "admin 5 0\n"},
		{"debugtime -3\r\n", "admin 5 18446744073709551613\n"},
		{"debugtime 1000000000\r\n", "admin 5 1000000000\n"},
		{"debugtime 1000000001\r\n", ERROR}, {"debugtime -1000000001\r\n", ERROR},
		{"debugtime\r\n", ERROR}, {"debugtime x\r\n", ERROR},
		{"debugtime 9223372036854775808\r\n", ERROR});
}

static void watchers_say_what_they_want(void **state)
{
	CASES_CHECK({"watch\r\n", "admin 4 1\n"}, {"watch fetchers mutations\r\n", "admin 4 3\n"},
		{"watch evictions connevents deletions\r\n", "admin 4 28\n"},
		{"watch rawcmds sysevents\r\n", "admin 4 32\n"}, {"watch fetcher\r\n", ERROR},
		{"watch fetchers x\r\n", ERROR}, {"watch noreply\r\n", ERROR});
}

#define WINDOW "reply 'CLIENT_ERROR automove window too low or too high'\n"

static void knobs_without_a_counterpart_are_checked(void **state)
{
	CASES_CHECK({"lru tune 40 40 0.1 2.0\r\n", OK},
		{"lru tune 41 40 0.1 2.0\r\n",
			"reply 'ERROR hot and warm pcts must not exceed 80'\n"},
		{"lru tune 1 1 0 1\r\n",
			"reply 'ERROR hot/warm age factors must be greater than 0'\n"},
		{"lru tune 1 1 nan 1\r\n",
			"reply 'ERROR hot/warm age factors must be greater than 0'\n"},
		{"lru tune 1 1 1\r\n", ERROR}, {"lru tune 1 1 1 x\r\n", ERROR},
		{"lru tune 1 1 1 " K50 "\r\n", ERROR}, {"lru mode flat\r\n", OK},
		{"lru mode segmented\r\n", OK}, {"lru mode\r\n", ERROR},
		{"lru temp_ttl -1\r\n", OK}, {"lru temp_ttl x\r\n", ERROR}, {"lru\r\n", ERROR},
		{"slabs reassign 1 2\r\n", "reply 'CLIENT_ERROR slab reassignment disabled'\n"},
		{"slabs reassign 1\r\n", ERROR}, {"slabs automove 2\r\n", OK},
		{"slabs automove 3\r\n", ERROR}, {"slabs automove x\r\n", BAD_FORMAT},
		{"slabs automove window\r\n", BAD_FORMAT}, {"slabs automove window 3\r\n", OK},
		{"slabs automove window 1800\r\n", OK}, {"slabs automove window 2\r\n", WINDOW},
		{"slabs automove window 1801\r\n", WINDOW}, {"slabs automove ratio x\r\n", ERROR},
		{"slabs automove freeratio 0.1\r\n", OK}, {"slabs automove\r\n", ERROR},
		{"slabs\r\n", ERROR}, {"refresh_certs\r\n", ERROR});
}

static void keys_in_lists_are_encoded(void **state)
{
	char out[3 * 8];

	assert_int_equal(proto_uri_encode("a-Z.0_~", 7, out), 7);
	assert_memory_equal(out, "a-Z.0_~", 7);
	assert_int_equal(proto_uri_encode("%/\xc3 ", 4, out), 12);
	assert_memory_equal(out, "%25%2F%C3%20", 12);
	assert_int_equal(proto_uri_encode("", 0, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_items_are_of_classes),
		cmocka_unit_test(knobs_of_the_crawler_are_checked),
		cmocka_unit_test(the_memory_limit_is_in_megabytes),
		cmocka_unit_test(a_shutdown_has_two_modes),
		cmocka_unit_test(the_clock_is_moved_by_seconds),
		cmocka_unit_test(watchers_say_what_they_want),
		cmocka_unit_test(knobs_without_a_counterpart_are_checked),
		cmocka_unit_test(keys_in_lists_are_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
