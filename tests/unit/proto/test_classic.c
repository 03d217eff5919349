// SPDX-License-Identifier: BSD-3-Clause
#include "proto_cases.h"

static void retrievals_come_out_key_by_key(void **state)
{
	CASES_CHECK({"get a\r\n", "get a first\nend\n"},
		{"get a bb ccc\r\n", "get a first\nget bb\nget ccc\nend\n"},
		{"get  a   b  \r\n", "get a first\nget b\nend\n"},
		{"gets a b\n", "get a first with_cas\nget b with_cas\nend\n"},
		{"gat 60 a b\r\n", "get a first touch exptime=60\nget b touch exptime=60\nend\n"},
		{"gats -1 a\r\n", "get a first with_cas touch exptime=-1\nend\n"},
		{"gat  5  a\n", "get a first touch exptime=5\nend\n"},
		{"get noreply\r\n", "get noreply first\nend\n"},
		{"get " K250 "\r\n", "get k*250 first\nend\n"},
		{"get a\r\nget b\r\n", "get a first\nend\nget b first\nend\n"});
}

static void a_retrieval_without_key_is_an_error(void **state)
{
	CASES_CHECK({"get\r\nmn\r\n", BAD_FORMAT "mn\n"}, {"get \r\nmn\r\n", BAD_FORMAT "mn\n"},
		{"gets  \nmn\n", BAD_FORMAT "mn\n"}, {"gat\r\n", BAD_FORMAT},
		{"gat \r\n", BAD_FORMAT}, {"gat 0\r\n", BAD_FORMAT}, {"gat 0 \r\n", BAD_FORMAT},
		{"gat x\r\n", BAD_FORMAT}, {"gats\n", BAD_FORMAT});
}

static void a_key_too_long_rolls_its_line_back(void **state)
{
#define ROLLED "reply 'CLIENT_ERROR bad command line format' rollback\n"
	CASES_CHECK({"get " K251 "\r\nmn\r\n", BAD_FORMAT "mn\n"},
		{"get " K251 " a b\nmn\r\n", BAD_FORMAT "mn\n"},
		{"get a " K251 "\r\nmn\r\n", "get a first\n" ROLLED "mn\n"},
		{"get a " K251 " b\r\nmn\r\n", "get a first\n" ROLLED "mn\n"},
		{"get a " K251 K251 "xyz b\nmn\n", "get a first\n" ROLLED "mn\n"},
		{"gat 0 a " K251 "\r\n", "get a first touch\n" ROLLED},
		{"get " K250 "\r\r\nmn\r\n", BAD_FORMAT "mn\n"},
		{"get a\n" K251 "\n", "get a first\nend\n" ERROR});
}

static void an_exptime_that_is_none_fails_the_line(void **state)
{
	CASES_CHECK({"gat x a\r\nmn\r\n", BAD_EXPTIME "mn\n"}, {"gat \t5 a\r\n", BAD_EXPTIME},
		{"gat +5 a\r\n", BAD_EXPTIME}, {"touch a +5\r\n", BAD_EXPTIME},
		{"gat 1x a b c\nmn\n", BAD_EXPTIME "mn\n"},
		{"gat 99999999999999999999 a\r\n", BAD_EXPTIME},
		{"gat x " K251 "\r\n", BAD_EXPTIME},
		{"gat 99999999999 a\r\n", "get a first touch exptime=99999999999\nend\n"},
		{"touch a x\r\n", BAD_EXPTIME}, {"touch a x noreply\r\n", SILENT},
		{"touch a noreply\r\n", SILENT}, {"flush_all x\r\n", BAD_EXPTIME},
		{"flush_all x noreply\r\n", SILENT}, {"touch a 000000000005\r\n", BAD_EXPTIME},
		{"gat 000000000005 a\r\n", BAD_EXPTIME},
		{"flush_all 100000000000\r\n", BAD_EXPTIME});
}

static void keys_are_any_bytes_but_space_and_newline(void **state)
{
	CASES_CHECK({"get \x01\x7f\xff\t\r\n", "get \\x01\\x7f\\xff\\x09 first\nend\n"},
		{"get \ra\r\n", "get \\x0da first\nend\n"},
		{"get a\r \r\n", "get a\\x0d first\nend\n"},
		{"get a\r\r\n", "get a\\x0d first\nend\n"},
		{"delete \xc3\xa9\r\n", "delete \\xc3\\xa9\n"});
}

static void storage_commands_announce_their_value(void **state)
{
	CASES_CHECK({"set a 1 2 3\r\nabc\r\nmn\r\n", "set a flags=1 bytes=3 exptime=2\nmn\n"},
		{"set a 0 0 0 noreply\n\r\nmn\n", "set a flags=0 bytes=0 noreply\nmn\n"},
		{"set a 0 0 0 noreply \n\r\nmn\n", "set a flags=0 bytes=0 noreply\nmn\n"},
		{"set a 0 0 1 noreplx\r\nx\r\n", "set a flags=0 bytes=1\n"},
		{"add a 4294967295 -1 1\r\nx\r\n", "add a flags=4294967295 bytes=1 exptime=-1\n"},
		{"replace a 0 0 1\r\nx\r\n", "replace a flags=0 bytes=1\n"},
		{"append a 0 0 1\r\nx\r\n", "append a flags=0 bytes=1\n"},
		{"prepend a 0 0 1\r\nx\r\n", "prepend a flags=0 bytes=1\n"},
		{"cas a 0 0 1 18446744073709551615\r\nx\r\n",
			"cas a flags=0 bytes=1 cas=18446744073709551615\n"},
		{"set a 0 0 1 2 3 4\r\nx\r\n", "set a flags=0 bytes=1\n"},
		{"set a 0 0 1 2 noreply\r\nx\r\n", "set a flags=0 bytes=1 noreply\n"},
		{"cas a 0 0 1 2 3\r\nx\r\n", "cas a flags=0 bytes=1 cas=2\n"},
		{"cas a 0 0 1 5 noreply\r\nx\r\n", "cas a flags=0 bytes=1 cas=5 noreply\n"},
		{"set " K250 " 0 0 1\r\nx\r\n", "set k*250 flags=0 bytes=1\n"},
		{"set a 0 0 9\r\nget b\r\nmn\r\nmn\r\n", "set a flags=0 bytes=9\nmn\n"});
}

static void a_bad_storage_line_takes_its_value_along(void **state)
{
#define BAD_3    "reply 'CLIENT_ERROR bad command line format' swallow=3\n"
#define SILENT_3 "reply '' swallow=3\n"
	CASES_CHECK({"set " K251 " 0 0 1\r\nx\r\nmn\r\n", BAD_3 "mn\n"},
		{"set " K251 " 0 0 1 noreply\r\nx\r\nmn\r\n", SILENT_3 "mn\n"},
		{"set a x 0 1\r\nx\r\nmn\r\n", BAD_3 "mn\n"}, {"set a -1 0 1\r\nx\r\n", BAD_3},
		{"set a 0 x 1\r\nx\r\n", BAD_3}, {"cas a 0 0 1 x\r\nx\r\n", BAD_3},
		{"cas a 0 0 1 -1\r\nx\r\n", BAD_3}, {"cas a 0 0 1 +1\r\nx\r\n", BAD_3},
		{"cas a 0 0 1\r\nx\r\nmn\r\n", BAD_3 "mn\n"},
		{"cas a 0 0 1 18446744073709551616\r\nx\r\n", BAD_3},
		{"cas a 0 0 1 x noreply\r\nx\r\n", SILENT_3},
		{"cas a 0 0 1 noreply\r\nx\r\n", SILENT_3});
}

static void a_length_that_is_none_takes_nothing(void **state)
{
	CASES_CHECK({"set a 0 0 -1\r\nxy\r\n", BAD_FORMAT ERROR},
		{"set a 0 0 -1 noreply\r\nxy\r\n", BAD_FORMAT ERROR},
		{"set a 0 0 x\r\nxy\r\n", BAD_FORMAT ERROR}, {"set a 0 0 +1\r\n", BAD_FORMAT},
		{"set a 0 0 2147483646\r\n", BAD_FORMAT}, {"set a 0 0 4294967296\r\n", BAD_FORMAT},
		{"set a 0 0 noreply\r\n", BAD_FORMAT});
}

static void a_value_too_large_is_refused_with_its_bytes(void **state)
{
#define TOO_LARGE "reply 'SERVER_ERROR object too large for cache' swallow=1048579\n"
	CASES_CHECK({"add a 0 0 1048577\r\nx", TOO_LARGE}, {"append a 0 0 1048577\r\n", TOO_LARGE},
		{"cas a 0 0 1048577 1 noreply\r\n", "reply '' swallow=1048579\n"},
		{"add a 0 0 1048576\r\n", "add a flags=0 bytes=1048576\n"},
		{"set a 0 0 2147483645\r\nx", "set a flags=0 bytes=2147483645\n"});
}

static void flags_and_exptime_of_set_are_read_as_strtol_reads_them(void **state)
{
	CASES_CHECK({"set a +1 +2 3\r\nabc\r\n", "set a flags=1 bytes=3 exptime=2\n"},
		{"set a 01 \t7 03\r\nabc\r\n", "set a flags=1 bytes=3 exptime=7\n"},
		{"set a -0 0\t 3\r\nabc\r\n", "set a flags=0 bytes=3\n"},
		{"set a 4294967296 0 1\r\nx\r\n", "set a flags=0 bytes=1\n"},
		{"set a 000000000000000000000000001 000000000000000000000000002 1\r\nx\r\n",
			"set a flags=1 bytes=1 exptime=2\n"},
		{"set a 1x 0 1\r\nx\r\n", BAD_3}, {"set a 0x1 0 1\r\nx\r\n", BAD_3},
		{"set a + 0 1\r\nx\r\n", BAD_3},
		{"set a 0 -9223372036854775808 0\r\n\r\n",
			"set a flags=0 bytes=0 exptime=-9223372036854775808\n"},
		{"set a 0 9223372036854775808 1\r\nx\r\n", BAD_3});
}

static void other_numbers_are_digits_alone(void **state)
{
	CASES_CHECK({"set a 0 0 1x\r\n", BAD_FORMAT}, {"set a 0 0 3\t\r\n", BAD_FORMAT},
		{"incr a 18446744073709551615\r\n", "incr a delta=18446744073709551615\n"},
		{"incr a 0000000000000000000018\r\n", "incr a delta=18\n"},
		{"incr a 00000000000000000000018\r\n", BAD_DELTA},
		{"cas a 0 0 1 0000000000000000000005\r\nx\r\n", "cas a flags=0 bytes=1 cas=5\n"},
		{"cas a 0 0 1 00000000000000000000005\r\nx\r\n", BAD_3},
		{"set a 0 0 00000000001\r\nx\r\n", "set a flags=0 bytes=1\n"},
		{"set a 0 0 000000000001\r\n", BAD_FORMAT},
		{"verbosity 00000000001\r\n", "verbosity\n"},
		{"verbosity 000000000001\r\n", BAD_FORMAT},
		{"incr a 18446744073709551616\r\n", BAD_DELTA},
		{"incr a 99999999999999999999\r\n", BAD_DELTA}, {"incr a -1\r\n", BAD_DELTA},
		{"incr a -18446744073709551615\r\n", BAD_DELTA}, {"incr a +1\r\n", BAD_DELTA},
		{"incr a \t1\r\n", BAD_DELTA}, {"incr a 1\t\r\n", BAD_DELTA});
}

static void a_minus_alone_is_0(void **state)
{
	CASES_CHECK({"touch a -\r\n", "touch a touch\n"},
		{"gat - a\r\n", "get a first touch\nend\n"}, {"flush_all -\r\n", "flush_all\n"},
		{"set a 0 0 -\r\n\r\n", "set a flags=0 bytes=0\n"}, {"incr a -\r\n", BAD_DELTA},
		{"set a 0 - 1\r\nx\r\n", BAD_3}, {"verbosity -\r\n", BAD_FORMAT});
}

// A NUL as white space does.
static void a_nul_ends_the_flags_and_exptime_of_set(void **state)
{
	static const char in[] = "set a 1\0x 2\0 1\r\nx\r\nincr a 1\0\r\n";
	struct feed f;

	feed_open(&f, ITEM_MAX);
	feed_split(&f, in, sizeof(in) - 1, 0);
	assert_string_equal(f.text, "set a flags=1 bytes=1 exptime=2\n" BAD_DELTA);
	feed_close(&f);
}

static void words_behind_the_23rd_are_not_there(void **state)
{
#define W18 " w w w w w w w w w w w w w w w w w w"
	CASES_CHECK({"delete a" W18 " 21 22 noreply\r\n", "delete a noreply\n"},
		{"delete a" W18 " 21 22 23 noreply\r\n", "delete a\n"},
		{"delete a" W18 " 21 22 noreply 24 25\r\n", "delete a noreply\n"},
		{"foo a" W18 " 21 22 23 HTTP/1.1\r\n", ERROR},
		{"set a 0 0 1" W18 " 24\r\nx\r\n", "set a flags=0 bytes=1\n"});
}

static void commands_on_a_key(void **state)
{
	CASES_CHECK({"delete a\r\n", "delete a\n"}, {"delete a noreply\n", "delete a noreply\n"},
		{"delete noreply\n", "delete noreply noreply\n"}, {"delete a 1\r\n", "delete a\n"},
		{"delete a 0 1 2 3\r\n", "delete a\n"}, {"delete " K251 "\r\n", BAD_FORMAT},
		{"delete " K251 " noreply\r\n", SILENT}, {"incr a 1\r\n", "incr a delta=1\n"},
		{"decr a 5\r\n", "decr a delta=5\n"},
		{"incr a 1 noreply\r\n", "incr a delta=1 noreply\n"}, {"incr a x\r\n", BAD_DELTA},
		{"incr a x noreply\r\n", SILENT}, {"incr a noreply\r\n", SILENT},
		{"incr " K251 " 1\r\n", BAD_FORMAT},
		{"touch a 60\r\n", "touch a touch exptime=60\n"},
		{"touch a 0 noreply\r\n", "touch a touch noreply\n"},
		{"touch " K251 " 0\r\n", BAD_FORMAT});
}

static void a_line_of_too_few_words_is_a_client_error(void **state)
{
	CASES_CHECK({"set\r\n", BAD_FORMAT}, {"set a 0 0\r\n", BAD_FORMAT},
		{"cas a 0 0\r\n", BAD_FORMAT}, {"delete\r\n", BAD_FORMAT},
		{"incr a\r\n", BAD_FORMAT}, {"decr\r\n", BAD_FORMAT}, {"touch a\r\n", BAD_FORMAT},
		{"touch\r\n", BAD_FORMAT}, {"verbosity\r\n", BAD_FORMAT});
}

static void words_that_nobody_needs_are_ignored(void **state)
{
	CASES_CHECK({"incr a 1 2 3\r\n", "incr a delta=1\n"},
		{"incr a 1 2 noreply\r\n", "incr a delta=1 noreply\n"},
		{"touch a 1 2 3\r\n", "touch a touch exptime=1\n"},
		{"flush_all 0 0 0\r\n", "flush_all\n"}, {"flush_all 0 0\r\n", "flush_all\n"},
		{"verbosity 1 2 noreply\r\n", "verbosity noreply\n"});
}

static void commands_without_a_key(void **state)
{
	CASES_CHECK({"version\r\n", "version\n"}, {"version 1 2\r\n", "version\n"},
		{"quit\r\nmn\r\n", "quit\n"}, {"quit 1\r\n", "quit\n"},
		{"flush_all\r\n", "flush_all\n"}, {"flush_all noreply\n", "flush_all noreply\n"},
		{"flush_all 10\r\n", "flush_all exptime=10\n"},
		{"flush_all -1 noreply\r\n", "flush_all exptime=-1 noreply\n"},
		{"verbosity 1\r\n", "verbosity\n"}, {"verbosity 1 2\r\n", "verbosity\n"},
		{"verbosity x\r\n", BAD_FORMAT}, {"verbosity 4294967296\r\n", BAD_FORMAT},
		{"verbosity noreply\r\n", SILENT}, {"stats\r\n", "stats args=''\n"},
		{"stats \r\n", "stats args=''\n"}, {"stats items\r\n", "stats args='items'\n"},
		{"stats  detail  on \r\n", "stats args='detail  on'\n"});
}

static void what_is_no_command_is_an_error(void **state)
{
	CASES_CHECK({"\r\n\n", BAD_FORMAT BAD_FORMAT}, {" \r\n", BAD_FORMAT}, {"    \r\n", ERROR},
		{" get a\r\n", ERROR}, {"  mn\r\n", ERROR}, {"GET a\r\n", ERROR},
		{"getx a\r\n", ERROR}, {"sets a 0 0 1\r\n", ERROR}, {"set\tb\r\n", ERROR},
		{"foo noreply\r\n", SILENT}, {"m\r\n", BAD_FORMAT}, {"xy a\r\n", ERROR},
		{"noreply\r\n", SILENT}, {" get a noreply\r\n", SILENT}, {"xy\n", BAD_FORMAT},
		{"  \n", BAD_FORMAT}, {"mn\n", "mn\n"}, {"  \r\n", ERROR}, {"mx a\r\n", ERROR},
		{"versionx\n", ERROR}, {"\xff\x01\r\n", ERROR});
}

static void spaces_may_precede_what_is_looked_for_last(void **state)
{
	CASES_CHECK({" flush_all\r\n", "flush_all\n"}, {"  verbosity 1\r\n", "verbosity\n"},
		{" cache_memlimit 1 noreply\r\n", SILENT},
		{" slabs automove 1\r\n", "reply 'OK'\n"}, {" version\r\n", ERROR},
		{" stats\r\n", ERROR}, {" watch\r\n", ERROR}, {" set a 0 0 1\r\n", ERROR},
		{" quit\r\n", ERROR}, {" GET / HTTP/1.1\r\n", "close ''\n"});
}

static void a_browser_is_hung_up_on(void **state)
{
	CASES_CHECK({"GET / HTTP/1.1\r\nmn\r\n", "close ''\n"},
		{"POST /x HTTP/1.0\r\n", "close ''\n"}, {"foo HTTP/\n", "close ''\n"},
		{"HTTP/1.1\r\n", ERROR}, {"get / HTTP/1.1\n", "get / first\nget HTTP/1.1\nend\n"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retrievals_come_out_key_by_key),
		cmocka_unit_test(a_retrieval_without_key_is_an_error),
		cmocka_unit_test(a_key_too_long_rolls_its_line_back),
		cmocka_unit_test(an_exptime_that_is_none_fails_the_line),
		cmocka_unit_test(keys_are_any_bytes_but_space_and_newline),
		cmocka_unit_test(storage_commands_announce_their_value),
		cmocka_unit_test(a_bad_storage_line_takes_its_value_along),
		cmocka_unit_test(a_length_that_is_none_takes_nothing),
		cmocka_unit_test(a_value_too_large_is_refused_with_its_bytes),
		cmocka_unit_test(flags_and_exptime_of_set_are_read_as_strtol_reads_them),
		cmocka_unit_test(other_numbers_are_digits_alone),
		cmocka_unit_test(a_minus_alone_is_0),
		cmocka_unit_test(a_nul_ends_the_flags_and_exptime_of_set),
		cmocka_unit_test(words_behind_the_23rd_are_not_there),
		cmocka_unit_test(commands_on_a_key),
		cmocka_unit_test(a_line_of_too_few_words_is_a_client_error),
		cmocka_unit_test(words_that_nobody_needs_are_ignored),
		cmocka_unit_test(commands_without_a_key),
		cmocka_unit_test(what_is_no_command_is_an_error),
		cmocka_unit_test(spaces_may_precede_what_is_looked_for_last),
		cmocka_unit_test(a_browser_is_hung_up_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
