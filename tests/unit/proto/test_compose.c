// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "proto/proto.h"

// Reads a line, composes the reply to it, and puts "value" where the item's bytes go.
static void compose(const char *line, const struct proto_result *res, char *text)
{
	char head[PROTO_HEAD_MAX + 1];
	struct proto_parser p;
	struct proto_reply out;
	struct proto_request r;

	proto_parser_init(&p, UINT64_C(1) << 20);
	assert_int_equal(proto_parse(&p, line, strlen(line), &r), PROTO_REQUEST);
	head[PROTO_HEAD_MAX] = 0x5a;
	proto_compose(&r, res, head, &out);
	assert_int_equal(head[PROTO_HEAD_MAX], 0x5a);
	assert_true(out.head_len <= PROTO_HEAD_MAX && out.tail_len <= PROTO_TAIL_MAX);
	memcpy(text, head, out.head_len);
	text += out.head_len;
	if (out.value) {
		memcpy(text, "value", 5);
		text += 5;
	} else {
		assert_int_equal(out.tail_len, 0);
	}
	memcpy(text, out.tail, out.tail_len);
	text[out.tail_len] = '\0';
}

static void check(const char *line, const struct proto_result *res, const char *wanted)
{
	char text[2048];

	compose(line, res, text);
	if (strcmp(text, wanted) != 0)
		fail_msg("%s\nwanted: %s\ngot: %s", line, wanted, text);
}

#define CHECK(line, wanted, ...) check(line, &(struct proto_result){__VA_ARGS__}, wanted)

static const struct proto_result hit = {.status = PROTO_OK,
	.has_value = true,
	.client_flags = 7,
	.value_bytes = 5,
	.ttl_s = 30,
	.idle_s = 4,
	.cas = 12,
	.fetched = true};

static void retrievals(void **state)
{
	check("get a\r\n", &hit, "VALUE a 7 5\r\nvalue\r\n");
	check("gets a\r\n", &hit, "VALUE a 7 5 12\r\nvalue\r\n");
	check("gat 0 abc\r\n", &hit, "VALUE abc 7 5\r\nvalue\r\n");
	check("gats 0 a\r\n", &hit, "VALUE a 7 5 12\r\nvalue\r\n");
	CHECK("get a\r\n", "", .status = PROTO_MISS);
	CHECK("gets a\r\n", "VALUE a 4294967295 4294967295 18446744073709551615\r\nvalue\r\n",
		.has_value = true, .client_flags = UINT32_MAX, .value_bytes = UINT32_MAX,
		.cas = UINT64_MAX);
}

static void classic_statuses(void **state)
{
	CHECK("set a 0 0 1\r\n", "STORED\r\n", .status = PROTO_OK);
	CHECK("add a 0 0 1\r\n", "NOT_STORED\r\n", .status = PROTO_NOT_STORED);
	CHECK("cas a 0 0 1 1\r\n", "EXISTS\r\n", .status = PROTO_EXISTS);
	CHECK("cas a 0 0 1 1\r\n", "NOT_FOUND\r\n", .status = PROTO_MISS);
	CHECK("set a 0 0 1\r\n", "CLIENT_ERROR bad data chunk\r\n", .status = PROTO_BAD_CHUNK);
	CHECK("set a 0 0 1\r\n", "SERVER_ERROR object too large for cache\r\n",
		.status = PROTO_TOO_LARGE);
	CHECK("set a 0 0 1\r\n", "SERVER_ERROR out of memory storing object\r\n",
		.status = PROTO_NO_MEMORY);
	CHECK("delete a\r\n", "DELETED\r\n", .status = PROTO_OK);
	CHECK("delete a\r\n", "NOT_FOUND\r\n", .status = PROTO_MISS);
	CHECK("touch a 0\r\n", "TOUCHED\r\n", .status = PROTO_OK);
	CHECK("touch a 0\r\n", "NOT_FOUND\r\n", .status = PROTO_MISS);
	CHECK("incr a 1\r\n", "18446744073709551615\r\n", .status = PROTO_OK, .has_number = true,
		.number = UINT64_MAX);
	CHECK("decr a 1\r\n", "0\r\n", .status = PROTO_OK, .has_number = true);
	CHECK("incr a 1\r\n", "NOT_FOUND\r\n", .status = PROTO_MISS);
	CHECK("incr a 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
		.status = PROTO_NON_NUMERIC);
	CHECK("incr a 1\r\n", "SERVER_ERROR out of memory\r\n", .status = PROTO_NO_MEMORY);
}

static void noreply_hides_errors_too(void **state)
{
	static const char *const lines[] = {"set a 0 0 1 noreply\r\n", "cas a 0 0 1 1 noreply\r\n",
		"delete a noreply\r\n", "incr a 1 noreply\r\n", "touch a 1 noreply\r\n"};

	for (size_t i = 0; i < BASE_ARRAY_LEN(lines); i++) {
		for (int status = PROTO_OK; status <= PROTO_BAD_CHUNK; status++)
			CHECK(lines[i], "", .status = (uint8_t)status);
	}
	check("flush_all noreply\r\n", NULL, "");
	check("verbosity 1 noreply\r\n", NULL, "");
	check("touch a x noreply\r\n", NULL, "");
}

static void replies_without_a_result(void **state)
{
	check("flush_all\r\n", NULL, "OK\r\n");
	check("verbosity 1\r\n", NULL, "OK\r\n");
	check("mn\r\n", NULL, "MN\r\n");
	check("version\r\n", NULL, "VERSION 1.6.45-lcached-" LC_VERSION "\r\n");
	check("bogus\r\n", NULL, "ERROR\r\n");
}

static void the_end_of_a_retrieval_line(void **state)
{
	struct proto_request r = {.op = PROTO_OP_END};
	char head[PROTO_HEAD_MAX];
	struct proto_reply out;

	proto_compose(&r, NULL, head, &out);
	assert_int_equal(out.head_len, 5);
	assert_memory_equal(head, "END\r\n", 5);
}

static void mg_shows_flags_in_the_order_asked(void **state)
{
	struct proto_result no_value = hit, forever = hit;

	no_value.has_value = false;
	forever.ttl_s = -1;
	check("mg a v\r\n", &hit, "VA 5\r\nvalue\r\n");
	check("mg a s t c f l h k Oqq v\r\n", &hit, "VA 5 s5 t30 c12 f7 l4 h1 ka Oqq\r\nvalue\r\n");
	check("mg a v k T0 s N0 Ozz R0 t\r\n", &forever, "VA 5 ka s5 Ozz t-1\r\nvalue\r\n");
	check("mg a\r\n", &no_value, "HD\r\n");
	check("mg a q k O\r\n", &no_value, "HD ka O\r\n");
	CHECK("mg a s k t O1 v\r\n",
		"EN k"
		"a O1\r\n",
		.status = PROTO_MISS);
	CHECK("mg a q k\r\n", "", .status = PROTO_MISS);
}

static void z_x_and_w_stand_last(void **state)
{
	CHECK("mg a k\r\n", "HD ka W\r\n", .won = true);
	CHECK("mg a s k\r\n", "HD s0 ka X W\r\n", .won = true, .stale = true);
	CHECK("mg a t\r\n", "HD t9 Z X\r\n", .ttl_s = 9, .recaching = true, .stale = true);
	CHECK("mg a v\r\n", "VA 0 Z\r\nvalue\r\n", .has_value = true, .recaching = true);
}

static void a_key_is_shown_as_its_writer_gave_it(void **state)
{
	CHECK("mg YQ== b k\r\n", "HD ka\r\n", .status = PROTO_OK);
	CHECK("mg YQ== b k\r\n", "HD kYQ== b\r\n", .key_base64 = true);
	CHECK("mg a k\r\n", "HD kYQ== b\r\n", .key_base64 = true);
	CHECK("mg YQ== b k O1\r\n", "EN kYQ== b O1\r\n", .status = PROTO_MISS);
	CHECK("md YWI= b k\r\n", "NF kYWI= b\r\n", .status = PROTO_MISS);
	CHECK("md YWJj b k\r\n", "HD kYWJj b\r\n", .status = PROTO_OK);
	CHECK("ms YQ== 1 b k\r\n", "HD kYQ== b\r\n", .status = PROTO_OK);
	CHECK("md YQ== b\r\n", "HD\r\n", .status = PROTO_OK);
}

static void meta_statuses(void **state)
{
	CHECK("ms a 1 k c O1 s\r\n", "HD ka c9 O1 s1\r\n", .cas = 9, .value_bytes = 1);
	CHECK("ms a 1 k c\r\n", "NS ka c0\r\n", .status = PROTO_NOT_STORED);
	CHECK("ms a 1 q C1\r\n", "EX\r\n", .status = PROTO_EXISTS);
	CHECK("ms a 1 q C1\r\n", "NF\r\n", .status = PROTO_MISS);
	CHECK("ms a 1 q k\r\n", "", .status = PROTO_OK);
	CHECK("ms a 1 q k\r\n", "CLIENT_ERROR bad data chunk\r\n", .status = PROTO_BAD_CHUNK);
	CHECK("ms a 1 q\r\n", "SERVER_ERROR object too large for cache\r\n",
		.status = PROTO_TOO_LARGE);
	CHECK("ms a 1 q\r\n", "SERVER_ERROR out of memory storing object\r\n",
		.status = PROTO_NO_MEMORY);
	CHECK("md a q k\r\n", "", .status = PROTO_OK);
	CHECK("md a q k O1\r\n", "NF ka O1\r\n", .status = PROTO_MISS);
	CHECK("md a q k\r\n", "EX ka\r\n", .status = PROTO_EXISTS);
}

static void ma_shows_its_number(void **state)
{
	CHECK("ma a\r\n", "HD\r\n", .has_number = true, .number = 6);
	CHECK("ma a v\r\n", "VA 2\r\n16\r\n", .has_number = true, .number = 16);
	CHECK("ma a v k O1 t c N0\r\n", "VA 20 ka O1 t-1 c5\r\n18446744073709551615\r\n",
		.has_number = true, .number = UINT64_MAX, .ttl_s = -1, .cas = 5);
	CHECK("ma a v q\r\n", "", .has_number = true, .number = 6);
	CHECK("ma a q N30\r\n", "", .has_number = true);
	CHECK("ma a q k t\r\n", "NF ka\r\n", .status = PROTO_MISS);
	CHECK("ma a v C1 k\r\n", "EX ka\r\n", .status = PROTO_EXISTS);
	CHECK("ma a q\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
		.status = PROTO_NON_NUMERIC);
}

static void me_tells_of_an_item(void **state)
{
	CHECK("me a\r\n", "ME a exp=-1 la=0 cas=631 fetch=no cls=1 size=61\r\n", .ttl_s = -1,
		.cas = 631, .value_bytes = 1);
	CHECK("me YQ== b\r\n", "ME YQ== exp=100 la=3 cas=1 fetch=yes cls=1 size=65\r\n",
		.ttl_s = 100, .cas = 1, .idle_s = 3, .value_bytes = 1, .client_flags = 9,
		.fetched = true, .key_base64 = true);
	CHECK("me a\r\n", "EN\r\n", .status = PROTO_MISS);
}

static void the_longest_reply_fits(void **state)
{
	struct proto_result res = {.has_value = true,
		.won = true,
		.stale = true,
		.recaching = true,
		.key_base64 = true,
		.client_flags = UINT32_MAX,
		.value_bytes = UINT32_MAX,
		.ttl_s = INT64_MAX,
		.idle_s = UINT64_MAX,
		.cas = UINT64_MAX};
	char line[400] = "mg ", text[2048];

	memset(line + 3, 'k', PROTO_KEY_MAX);
	strcpy(line + 3 + PROTO_KEY_MAX, " k s t c f l h v Oooooooooooooooooooooooooooooooo\r\n");
	compose(line, &res, text);
	assert_true(strlen(text) > 450);
}

static void udp_frames(void **state)
{
	static const char request[] = "\x12\x34\x00\x09\x00\x01\xff\xff"
				      "mn\r\n";
	static const char many[] = "\x12\x34\x00\x00\x00\x02\x00\x00"
				   "mn\r\n";
	static const char echo[] = "\x12\x34\x00\x00\x00\x01\x00\x00"
				   "ERROR\r\nmn\r\n";
	char header[PROTO_UDP_HEADER];
	struct proto_udp udp;

	assert_true(proto_udp_parse(request, sizeof(request) - 1, &udp));
	assert_int_equal(udp.request_id, 0x1234);
	assert_true(proto_udp_parse(request, 9, &udp));
	assert_false(proto_udp_parse(request, 8, &udp));
	assert_false(proto_udp_parse(request, 0, &udp));
	assert_false(proto_udp_parse(many, sizeof(many) - 1, &udp));
	assert_false(proto_udp_parse(echo, sizeof(echo) - 1, &udp)); // of another server
	assert_false(proto_udp_parse(echo, 8 + 7, &udp));
	assert_true(proto_udp_parse(echo, 8 + 6, &udp));
	proto_udp_write(header, 0x1234, 1, 0x0203);
	assert_memory_equal(header, "\x12\x34\x00\x01\x02\x03\x00\x00", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retrievals),
		cmocka_unit_test(classic_statuses),
		cmocka_unit_test(noreply_hides_errors_too),
		cmocka_unit_test(replies_without_a_result),
		cmocka_unit_test(the_end_of_a_retrieval_line),
		cmocka_unit_test(mg_shows_flags_in_the_order_asked),
		cmocka_unit_test(z_x_and_w_stand_last),
		cmocka_unit_test(a_key_is_shown_as_its_writer_gave_it),
		cmocka_unit_test(meta_statuses),
		cmocka_unit_test(ma_shows_its_number),
		cmocka_unit_test(me_tells_of_an_item),
		cmocka_unit_test(the_longest_reply_fits),
		cmocka_unit_test(udp_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
