// SPDX-License-Identifier: BSD-3-Clause
// Binary packets to requests, however they are cut, and results to binary replies.
#include "proto_cases.h"

struct wire { // packets one behind the other
	char bytes[64 << 10];
	size_t len;
};

struct packet {
	uint8_t opcode;
	const char *key, *extras, *value;
	uint8_t extras_len;
	uint16_t value_len;
	uint64_t cas;
	int key_len, body_more; // where they are not what the texts say
};

static void put_number(struct wire *w, uint64_t v, unsigned bytes)
{
	while (bytes-- > 0)
		w->bytes[w->len++] = (char)(v >> (8 * bytes));
}

static void put_bytes(struct wire *w, const char *bytes, size_t len)
{
	if (len > 0)
		memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

static void put_packet(struct wire *w, struct packet k)
{
	size_t key_len = k.key_len ? (size_t)k.key_len : k.key ? strlen(k.key) : 0;

	put_number(w, 0x80, 1);
	put_number(w, k.opcode, 1);
	put_number(w, key_len, 2);
	put_number(w, k.extras_len, 1);
	put_number(w, 0, 3);
	put_number(w, (uint64_t)((int64_t)(key_len + k.extras_len + k.value_len) + k.body_more), 4);
	put_number(w, 0x0a0b0c0d, 4);
	put_number(w, k.cas, 8);
	put_bytes(w, k.extras, k.extras_len);
	put_bytes(w, k.key, key_len);
	put_bytes(w, k.value, k.value_len);
}

#define NOOP         ((struct packet){.opcode = 0x0a})
#define NOOP_OUT     "mn 0xa opaque=0a0b0c0d\n"
#define REPLY        "reply "
#define CLOSE        "close "
#define EXTRAS(text) .extras = (text), .extras_len = sizeof(text) - 1
#define VALUE(text)  .value = (text), .value_len = sizeof(text) - 1

enum lock { OPEN, SASL, TEXT };

// In one piece, cut in two at every place, and byte by byte.
static void wire_check(const struct wire *w, enum lock lock, const char *out)
{
	for (size_t cut = 0; cut <= w->len + 1; cut++) {
		struct feed f;

		feed_open(&f, ITEM_MAX);
		if (lock != OPEN)
			proto_parser_restrict(
				&f.parser, lock == SASL ? PROTO_BINARY_ONLY : PROTO_ASCII, true);
		f.plain = cut & 1;
		if (cut <= w->len)
			feed_split(&f, w->bytes, w->len, cut);
		else
			feed_by_byte(&f, w->bytes, w->len);
		if (strcmp(f.text, out) != 0)
			fail_msg("wanted:\n%s\ngot, cut at %zu of %zu:\n%s", out, cut, w->len,
				f.text);
		feed_close(&f);
	}
}

#define CHECK(lock, out, ...) \
	do { \
		const struct packet all[] = {__VA_ARGS__}; \
		struct wire w = {.len = 0}; \
		for (size_t p_ = 0; p_ < BASE_ARRAY_LEN(all); p_++) \
			put_packet(&w, all[p_]); \
		wire_check(&w, lock, out); \
	} while (0)

static void retrievals(void **state)
{
	CHECK(OPEN, "get a 0 opaque=0a0b0c0d first\n" NOOP_OUT, {.opcode = 0x00, .key = "a"}, NOOP);
	CHECK(OPEN, "get a 0x9 opaque=0a0b0c0d first quiet\n", {.opcode = 0x09, .key = "a"});
	CHECK(OPEN, "get a 0xc opaque=0a0b0c0d first\n", {.opcode = 0x0c, .key = "a"});
	CHECK(OPEN, "get k*250 0xd opaque=0a0b0c0d first quiet\n", {.opcode = 0x0d, .key = K250});
	CHECK(OPEN, "get a 0x1d opaque=0a0b0c0d first touch exptime=258\n",
		{.opcode = 0x1d, .key = "a", EXTRAS("\0\0\1\2")});
	CHECK(OPEN, "get a\\x20b 0x24 opaque=0a0b0c0d first touch exptime=4294967295 quiet\n",
		{.opcode = 0x24, .key = "a b", EXTRAS("\xff\xff\xff\xff")});
	CHECK(OPEN, "touch a 0x1c opaque=0a0b0c0d touch exptime=1\n" NOOP_OUT,
		{.opcode = 0x1c, .key = "a", EXTRAS("\0\0\0\1")}, NOOP);
}

#define STORE EXTRAS("\0\0\0\7\0\0\0\11")

static void storage(void **state)
{
	CHECK(OPEN, "set a 0x1 opaque=0a0b0c0d flags=7 bytes=5 exptime=9\n" NOOP_OUT,
		{.opcode = 0x01,
			.key = "a",
			STORE,
			VALUE("\x80"
			      "alue")},
		NOOP);
	CHECK(OPEN, "set a 0x11 opaque=0a0b0c0d flags=7 bytes=0 exptime=9 quiet\n" NOOP_OUT,
		{.opcode = 0x11, .key = "a", STORE}, NOOP);
	CHECK(OPEN, "set a 0x1 opaque=0a0b0c0d flags=7 bytes=1 exptime=9 cas=5\n",
		{.opcode = 0x01, .key = "a", STORE, VALUE("v"), .cas = 5});
	CHECK(OPEN, "add a 0x2 opaque=0a0b0c0d flags=7 bytes=1 exptime=9\n",
		{.opcode = 0x02, .key = "a", STORE, VALUE("v")});
	CHECK(OPEN, "cas a 0x2 opaque=0a0b0c0d flags=7 bytes=1 exptime=9 cas=5\n",
		{.opcode = 0x02, .key = "a", STORE, VALUE("v"), .cas = 5});
	CHECK(OPEN, "replace a 0x13 opaque=0a0b0c0d flags=7 bytes=1 exptime=9 cas=5 quiet\n",
		{.opcode = 0x13, .key = "a", STORE, VALUE("v"), .cas = 5});
	CHECK(OPEN, "append a 0xe opaque=0a0b0c0d flags=0 bytes=2 cas=1\n" NOOP_OUT,
		{.opcode = 0x0e, .key = "a", VALUE("vw"), .cas = 1}, NOOP);
	CHECK(OPEN, "prepend a 0x1a opaque=0a0b0c0d flags=0 bytes=0 quiet\n" NOOP_OUT,
		{.opcode = 0x1a, .key = "a"}, NOOP);
}

#define COUNT(exptime) EXTRAS("\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\7" exptime)

static void the_others(void **state)
{
	CHECK(OPEN, "incr a 0x5 opaque=0a0b0c0d initial=7 vivify=2 delta=3\n",
		{.opcode = 0x05, .key = "a", COUNT("\0\0\0\2")});
	CHECK(OPEN, "decr a 0x16 opaque=0a0b0c0d initial=7 delta=3 cas=4 quiet\n",
		{.opcode = 0x16, .key = "a", COUNT("\xff\xff\xff\xff"), .cas = 4});
	CHECK(OPEN, "delete a 0x4 opaque=0a0b0c0d cas=2\ndelete a 0x14 opaque=0a0b0c0d quiet\n",
		{.opcode = 0x04, .key = "a", .cas = 2}, {.opcode = 0x14, .key = "a"});
	CHECK(OPEN,
		"flush_all 0x8 opaque=0a0b0c0d\nflush_all 0x18 opaque=0a0b0c0d exptime=5 quiet\n",
		{.opcode = 0x08}, {.opcode = 0x18, EXTRAS("\0\0\0\5")});
	CHECK(OPEN, "stats 0x10 opaque=0a0b0c0d args=''\nstats 0x10 opaque=0a0b0c0d args='items'\n",
		{.opcode = 0x10}, {.opcode = 0x10, .key = "items"});
	CHECK(OPEN, "version 0xb opaque=0a0b0c0d\nquit 0x7 opaque=0a0b0c0d\n", {.opcode = 0x0b},
		{.opcode = 0x07});
	CHECK(OPEN, "quit 0x17 opaque=0a0b0c0d quiet\n", {.opcode = 0x17});
}

static void what_is_unknown_is_swallowed(void **state)
{
	CHECK(OPEN, REPLY "0x1b status=0x81 '' swallow=4\n" NOOP_OUT,
		{.opcode = 0x1b, EXTRAS("\0\0\0\1")}, NOOP);
	CHECK(OPEN, REPLY "0x30 status=0x81 '' swallow=8\n" NOOP_OUT,
		{.opcode = 0x30, .key = "key", EXTRAS("12"), VALUE("\x80xy")}, NOOP);
	CHECK(OPEN, REPLY "0xff status=0x81 ''\n" NOOP_OUT, {.opcode = 0xff}, NOOP);
	CHECK(OPEN, REPLY "0x30 status=0x81 '' swallow=1073741824\n",
		{.opcode = 0x30, .body_more = 1 << 30});
	CHECK(OPEN, REPLY "0x20 status=0x81 ''\n" NOOP_OUT, {.opcode = 0x20}, NOOP);
	CHECK(OPEN, REPLY "0x21 status=0x81 '' swallow=6\n" NOOP_OUT,
		{.opcode = 0x21, .key = "PLAIN", VALUE("x")}, NOOP);
}

static void what_is_wrong_closes(void **state)
{
	static const struct packet wrong[] = {
		{.opcode = 0x00, .key = K251},
		{.opcode = 0x55, .key = K251},
		{.opcode = 0x00},
		{.opcode = 0x00, .key = "a", EXTRAS("1")},
		{.opcode = 0x00, .key = "a", VALUE("1")},
		{.opcode = 0x01, .key = "a", VALUE("1")},
		{.opcode = 0x01, STORE, VALUE("1")},
		{.opcode = 0x04, .key = "a", VALUE("1")},
		{.opcode = 0x05, .key = "a", EXTRAS("\0\0\0\1")},
		{.opcode = 0x07, .key = "a"},
		{.opcode = 0x08, EXTRAS("\0\0\1")},
		{.opcode = 0x08, .key = "a"},
		{.opcode = 0x0a, VALUE("1")},
		{.opcode = 0x0b, EXTRAS("1")},
		{.opcode = 0x0e, .key = "a", STORE},
		{.opcode = 0x10, VALUE("1")},
		{.opcode = 0x10, EXTRAS("1")},
		{.opcode = 0x1c, .key = "a"},
		{.opcode = 0x1c, .key = "a", EXTRAS("\0\0\0\1"), VALUE("1")},
		{.opcode = 0x20, .key = "a"},
		{.opcode = 0x21, VALUE("a")},
		{.opcode = 0x01, .key = "a", STORE, .body_more = (1 << 30) - 8},
		{.opcode = 0x55, .body_more = (1 << 30) + 1},
	};
	char out[64];

	for (size_t i = 0; i < BASE_ARRAY_LEN(wrong); i++) {
		snprintf(out, sizeof(out), CLOSE "%#x status=0x4 ''\n", wrong[i].opcode);
		CHECK(OPEN, out, wrong[i], NOOP);
	}
	CHECK(OPEN, CLOSE "0 status=0x81 ''\n", {.opcode = 0x00, .key = "abcd", .body_more = -1},
		NOOP);
	CHECK(OPEN, CLOSE "0x1 status=0x81 ''\n",
		{.opcode = 0x01, .key = "a", STORE, .body_more = -1}, NOOP);
}

static void another_language_in_the_middle_closes(void **state)
{
	struct wire w = {.len = 0};

	put_packet(&w, NOOP);
	put_bytes(&w, "get a\r\n", 7);
	wire_check(&w, OPEN, NOOP_OUT CLOSE "''\n");
}

static void text_at_first_is_text_for_ever(void **state)
{
	struct wire w = {.len = 0};

	put_bytes(&w, "get a\r\n\x80get a\r\nmn\r\n", 19);
	wire_check(&w, OPEN, "get a first\nend\n" ERROR "mn\n");
}

// ---- who is it ---------------------------------------------------------------------------------
#define PLAIN(message) \
	{ \
		.opcode = 0x21, .key = "PLAIN", VALUE(message) \
	}
#define NOBODY "auth password=(none) swallow=0 0x21 opaque=0a0b0c0d\n"

static void sasl_plain(void **state)
{
	CHECK(SASL, "version 0xb opaque=0a0b0c0d\n" REPLY "0x20 status=0 'PLAIN'\n",
		{.opcode = 0x0b}, {.opcode = 0x20});
	CHECK(SASL, "auth u password=pass swallow=0 0x21 opaque=0a0b0c0d\n" NOOP_OUT,
		PLAIN("\0u\0pass"), NOOP);
	CHECK(SASL, "auth u password=pass swallow=0 0x21 opaque=0a0b0c0d\n" NOOP_OUT,
		{.opcode = 0x21, .key = "plain", VALUE("u\0u\0pass")}, NOOP);
	CHECK(SASL,
		REPLY "0x21 status=0x21 ''\n"
		      "auth u password=pass swallow=0 0x22 opaque=0a0b0c0d\n" NOOP_OUT,
		{.opcode = 0x21, .key = "PLAIN"},
		{.opcode = 0x22, .key = "PLAIN", VALUE("\0u\0pass")}, NOOP);
}

static void sasl_that_fails(void **state)
{
	CHECK(SASL, CLOSE "0xa status=0x20 ''\n", NOOP, NOOP);
	CHECK(SASL, CLOSE "0x1 status=0x20 ''\n", {.opcode = 0x01, .key = "a", STORE, VALUE("v")},
		NOOP);
	CHECK(SASL, CLOSE "0x55 status=0x20 ''\n", {.opcode = 0x55}, NOOP);
	CHECK(SASL,
		"auth u password=word swallow=0 0x21 opaque=0a0b0c0d\n" CLOSE
		"0xa status=0x20 ''\n",
		PLAIN("\0u\0word"), NOOP);
	CHECK(SASL, NOBODY, PLAIN("u"));
	CHECK(SASL, NOBODY, PLAIN("\0u"));
	CHECK(SASL, NOBODY, PLAIN("\0\0pass"));
	CHECK(SASL, NOBODY, PLAIN("\0u\0pass\0"));
	CHECK(SASL, NOBODY, PLAIN("v\0u\0pass"));
	CHECK(SASL, NOBODY, {.opcode = 0x21, .key = "LOGIN", VALUE("\0u\0pass")});
	// a step before the first one, and listing mechanisms begins anew
	CHECK(SASL, "auth password=(none) swallow=0 0x22 opaque=0a0b0c0d\n",
		{.opcode = 0x22, .key = "PLAIN", VALUE("\0u\0pass")});
	CHECK(SASL,
		"auth u password=pass swallow=0 0x21 opaque=0a0b0c0d\n" REPLY
		"0x20 status=0 'PLAIN'\n" CLOSE "0xa status=0x20 ''\n",
		PLAIN("\0u\0pass"), {.opcode = 0x20}, NOOP);
	CHECK(SASL, REPLY "0x21 status=0x4 '' swallow=41\n" REPLY "0x20 status=0 'PLAIN'\n",
		{.opcode = 0x21, .key = "0123456789012345678901234567890123456789", VALUE("x")},
		{.opcode = 0x20});
}

static void a_sasl_message_longer_than_any_is_swallowed(void **state)
{
	static const char zeros[4000];
	struct wire w = {.len = 0};
	struct feed f;

	put_packet(&w,
		(struct packet){.opcode = 0x21, .key = "PLAIN", .value = zeros, .value_len = 4000});
	put_packet(&w, (struct packet){.opcode = 0x0b});
	feed_open(&f, ITEM_MAX);
	proto_parser_restrict(&f.parser, PROTO_BINARY_ONLY, true);
	feed_by_byte(&f, w.bytes, w.len);
	assert_string_equal(f.text,
		"auth password=(none) swallow=4005 0x21 opaque=0a0b0c0d\n"
		"version 0xb opaque=0a0b0c0d\n");
	feed_close(&f);
}

static void text_check(const char *in, const char *out)
{
	struct wire w = {.len = 0};

	put_bytes(&w, in, strlen(in));
	wire_check(&w, TEXT, out);
}

#define UNKNOWN  "reply 'CLIENT_ERROR unauthenticated'\n"

#define TOO_LONG "reply 'CLIENT_ERROR auth token too long'\n"

static void text_tokens(void **state)
{
	text_check("set a 0 0 6\r\nu pass\r\nmn\r\n", "auth u password=pass swallow=0\nmn\n");
	text_check(
		"set a b c 6 noreply d\nu pass\r\nmn\r\n", "auth u password=pass swallow=0\nmn\n");
	text_check(
		"set a 0 0 6\r\nu word\r\nget a\r\n", "auth u password=word swallow=0\n" UNKNOWN);
	text_check("set a 0 0 8\r\nu pa ss \r\n", "auth u password=pa\\x20ss\\x20 swallow=0\n");
	text_check("set a 0 0 5\r\n pass\r\n", "auth password=(none) swallow=0\n");
	text_check("get a\r\nversion\r\n", UNKNOWN UNKNOWN);
	text_check("set a 0 0\r\nset a 0 0 -1\r\nadd a 0 0 1\r\n", UNKNOWN UNKNOWN UNKNOWN);
	text_check(" set a 0 0 6\r\nu pass\r\n", UNKNOWN UNKNOWN);
	text_check("set a 0 0 4\r\npass\r\nget a\r\n",
		"reply 'CLIENT_ERROR bad authentication token format'\n" UNKNOWN);
	text_check("set a 0 0 6\r\nu passXXget a\r\n",
		"reply 'CLIENT_ERROR bad command line termination'\n" UNKNOWN);
	text_check("\x80"
		   "mn bc\r\n",
		UNKNOWN);
	text_check("set a 0 0 -\r\nset a 0 0 000000000006\r\n", UNKNOWN UNKNOWN);
	text_check(
		"set a 0 0 16385\r\nset a 0 0 4294967295\r\nget a\r\n", TOO_LONG TOO_LONG UNKNOWN);
}

static void a_line_of_less_than_six_letters_closes(void **state)
{
	text_check("get a\r\nquit\r\n", UNKNOWN "close ''\n");
	text_check("get a\r\n\r\nget a\r\n", UNKNOWN "close ''\n");
	text_check("set a\n", "close ''\n");
	text_check("set a \n", UNKNOWN);
}

static void a_text_token_longer_than_any_is_swallowed(void **state)
{
	char in[4200];
	int n = snprintf(in, sizeof(in), "set a 0 0 4000\r\n%04000d\r\nget a\r\n", 0);
	struct feed f;

	feed_open(&f, ITEM_MAX);
	proto_parser_restrict(&f.parser, PROTO_ASCII, true);
	feed_by_byte(&f, in, (size_t)n);
	assert_string_equal(f.text, "auth password=(none) swallow=4002\n" UNKNOWN);
	feed_close(&f);
	feed_open(&f, ITEM_MAX);
	proto_parser_restrict(&f.parser, PROTO_ASCII, true);
	memset(in, 'x', sizeof(in));
	feed_split(&f, in, PROTO_LINE_MAX, 1);
	assert_string_equal(f.text, "close ''\n");
	feed_close(&f);
}

// ---- replies -----------------------------------------------------------------------------------
struct reply {
	uint16_t status, key_len;
	uint8_t extras_len;
	uint64_t cas;
	const char *body; // the value's place is taken by "value"
	size_t body_len;
};

static void reply_check(struct packet k, struct proto_result res, const struct reply *want)
{
	struct wire in = {.len = 0}, out = {.len = 0};
	char head[PROTO_HEAD_MAX];
	struct proto_parser p;
	struct proto_request r;
	struct proto_reply reply;

	put_packet(&in, k);
	proto_parser_init(&p, ITEM_MAX);
	assert_int_equal(proto_parse(&p, in.bytes, in.len, &r), PROTO_REQUEST);
	proto_compose(&r, &res, head, &reply);
	assert_int_equal(reply.tail_len, 0);
	if (want == NULL) {
		assert_int_equal(reply.head_len, 0);
		assert_false(reply.value);
		return;
	}
	put_number(&out, 0x81, 1);
	put_number(&out, k.opcode, 1);
	put_number(&out, want->key_len, 2);
	put_number(&out, want->extras_len, 1);
	put_number(&out, 0, 1);
	put_number(&out, want->status, 2);
	put_number(&out, want->body_len + (reply.value ? res.value_bytes : 0), 4);
	put_number(&out, 0x0a0b0c0d, 4);
	put_number(&out, want->cas, 8);
	put_bytes(&out, want->body, want->body_len);
	assert_int_equal(reply.head_len, out.len);
	assert_memory_equal(head, out.bytes, out.len);
}

#define BODY(text)           .body = (text), .body_len = sizeof(text) - 1
#define REPLIES(k, res, ...) reply_check(k, res, &(struct reply){__VA_ARGS__})
#define RES(...)             ((struct proto_result){__VA_ARGS__})
#define KEYED(op)            ((struct packet){.opcode = (op), .key = "key"})
#define TOUCH(op)            ((struct packet){.opcode = (op), .key = "key", EXTRAS("\0\0\0\1")})
#define STORED(op)           ((struct packet){.opcode = (op), .key = "key", STORE, VALUE("v")})
#define COUNTED(op)          ((struct packet){.opcode = (op), .key = "key", COUNT("\0\0\0\0")})
#define HIT                  RES(.has_value = true, .client_flags = 7, .value_bytes = 5, .cas = 258)
#define MISS                 RES(.status = PROTO_MISS)

static void replies_to_retrievals(void **state)
{
	REPLIES(KEYED(0x00), HIT, .extras_len = 4, .cas = 258, BODY("\0\0\0\7"));
	REPLIES(KEYED(0x09), HIT, .extras_len = 4, .cas = 258, BODY("\0\0\0\7"));
	REPLIES(KEYED(0x0c), HIT, .extras_len = 4, .key_len = 3, .cas = 258, BODY("\0\0\0\7key"));
	REPLIES(TOUCH(0x24), HIT, .extras_len = 4, .key_len = 3, .cas = 258, BODY("\0\0\0\7key"));
	REPLIES(TOUCH(0x1c), RES(.client_flags = 7, .value_bytes = 5, .cas = 258), .extras_len = 4,
		.cas = 258, BODY("\0\0\0\7"));
	REPLIES(KEYED(0x00), MISS, .status = 1, BODY("Not found"));
	REPLIES(KEYED(0x0c), MISS, .status = 1, .key_len = 3, BODY("key"));
	REPLIES(TOUCH(0x23), MISS, .status = 1, .key_len = 3, BODY("key"));
	REPLIES(TOUCH(0x1c), MISS, .status = 1, BODY("Not found"));
	reply_check(KEYED(0x09), MISS, NULL);
	reply_check(KEYED(0x0d), MISS, NULL);
	reply_check(TOUCH(0x1e), MISS, NULL);
	reply_check(TOUCH(0x24), MISS, NULL);
}

static void replies_to_changes(void **state)
{
	static const struct {
		enum proto_status status;
		uint16_t wire;
		const char *text;
	} errors[] = {
		{PROTO_MISS, 1, "Not found"},
		{PROTO_EXISTS, 2, "Data exists for key."},
		{PROTO_TOO_LARGE, 3, "Too large."},
		{PROTO_BAD_CHUNK, 4, "Invalid arguments"},
		{PROTO_NON_NUMERIC, 6, "Non-numeric server-side value for incr or decr"},
		{PROTO_NO_MEMORY, 0x82, "Out of memory allocating item"},
	};

	REPLIES(STORED(0x01), RES(.cas = 5), .cas = 5);
	reply_check(STORED(0x11), RES(.cas = 5), NULL);
	REPLIES(STORED(0x12), RES(.status = PROTO_NOT_STORED), .status = 2,
		BODY("Data exists for key."));
	REPLIES(STORED(0x03), RES(.status = PROTO_NOT_STORED), .status = 1, BODY("Not found"));
	REPLIES(KEYED(0x19), RES(.status = PROTO_NOT_STORED), .status = 5, BODY("Not stored."));
	REPLIES(KEYED(0x04), RES(.cas = 0), .status = 0);
	REPLIES(COUNTED(0x05), RES(.has_number = true, .number = 259, .cas = 5), .cas = 5,
		BODY("\0\0\0\0\0\0\1\3"));
	reply_check(COUNTED(0x16), RES(.number = 1), NULL);
	for (size_t i = 0; i < BASE_ARRAY_LEN(errors); i++)
		REPLIES(COUNTED(0x16), RES(.status = (uint8_t)errors[i].status),
			.status = errors[i].wire, .body = errors[i].text,
			.body_len = strlen(errors[i].text));
}

static void replies_without_an_item(void **state)
{
	REPLIES(NOOP, RES(.status = 0), .status = 0);
	REPLIES(((struct packet){.opcode = 0x0b}), RES(.status = 0),
		BODY("1.6.45-lcached-" LC_VERSION));
	REPLIES(((struct packet){.opcode = 0x07}), RES(.status = 0), .status = 0);
	reply_check((struct packet){.opcode = 0x17}, RES(.status = 0), NULL);
	reply_check((struct packet){.opcode = 0x18}, RES(.status = 0), NULL);
	REPLIES(((struct packet){.opcode = 0x1b}), RES(.status = 0), .status = 0x81,
		BODY("Unknown command"));
	REPLIES(((struct packet){.opcode = 0x00}), RES(.status = 0), .status = 4,
		BODY("Invalid arguments"));
}

static void stats_check(const char *text, const char *out, size_t out_len)
{
	struct proto_request r = {.flags = PROTO_BINARY, .opcode = 0x10, .opaque = "abcd"};
	char got[256];
	size_t len = strlen(text);

	assert_true(PROTO_STATS_BINARY_MAX(len) <= sizeof(got));
	assert_int_equal(proto_stats_binary(&r, text, len, got), out_len);
	assert_memory_equal(got, out, out_len);
}

#define STATS(text, out) stats_check(text, out, sizeof(out) - 1)
#define STAT_HEAD(status, key_len, body_len) \
	"\x81\x10\0" key_len "\0\0\0" status "\0\0\0" body_len "abcd\0\0\0\0\0\0\0\0"

static void stats_become_packets(void **state)
{
	STATS("STAT a b\r\nSTAT cc d e\r\nEND\r\n",
		STAT_HEAD("\0", "\1", "\2") "ab" STAT_HEAD("\0", "\2", "\5") "ccd e" STAT_HEAD(
			"\0", "\0", "\0"));
	STATS("STAT a \r\nEND\r\n", STAT_HEAD("\0", "\1", "\1") "a" STAT_HEAD("\0", "\0", "\0"));
	STATS("END\r\n", STAT_HEAD("\0", "\0", "\0"));
	STATS("RESET\r\n", STAT_HEAD("\0", "\0", "\0"));
	STATS("ERROR\r\n", STAT_HEAD("\1", "\0", "\x09") "Not found");
	STATS("SERVER_ERROR out of memory writing stats\r\n",
		STAT_HEAD("\x82", "\0", "\x1d") "Out of memory allocating item");
}

static void a_long_value_gets_its_head_in_place(void **state)
{
	struct proto_request r = {.flags = PROTO_BINARY, .opcode = 0x10, .opaque = "abcd"};
	static const char want[] = "\x81\x10\0\2\0\0\0\0\0\1\x11\x72"
				   "abcd\0\0\0\0\0\0\0\0nm";
	char got[sizeof(want) - 1];

	assert_int_equal(proto_stats_binary_head(&r, "nm", 70000, got), sizeof(got));
	assert_memory_equal(got, want, sizeof(got));
}

// Packets put together from fields that mean something, cut at random: one reading of them.
static void random_packets_are_read_alike_however_cut(void **state)
{
	struct base_rng rng;

	base_rng_seed(&rng, 21);
	for (int round = 0; round < 4000; round++) {
		struct wire w = {.len = 0};
		struct feed whole, cut;
		size_t at = 0;
		bool locked = base_rng_below(&rng, 4) == 0;

		for (uint64_t n = 1 + base_rng_below(&rng, 8); n > 0; n--)
			put_packet(&w,
				(struct packet){.opcode = (uint8_t)base_rng_below(&rng, 0x28),
					.key = "key",
					.key_len = (int)base_rng_below(&rng, 3),
					.extras = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1",
					.extras_len = (uint8_t)(4 * base_rng_below(&rng, 6)),
					.value = "\0u\0pass",
					.value_len = (uint16_t)base_rng_below(&rng, 8),
					.cas = base_rng_below(&rng, 2),
					.body_more = base_rng_below(&rng, 40) == 0 ? -3 : 0});
		feed_open(&whole, ITEM_MAX);
		feed_open(&cut, ITEM_MAX);
		if (locked) {
			proto_parser_restrict(&whole.parser, PROTO_BINARY_ONLY, true);
			cut.parser = whole.parser;
		}
		feed_split(&whole, w.bytes, w.len, 0);
		for (size_t have = 0; have < w.len;) {
			have += 1 + base_rng_below(&rng, w.len - have);
			feed_some(&cut, w.bytes, &at, have);
		}
		assert_string_equal(cut.text, whole.text);
		feed_close(&whole);
		feed_close(&cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retrievals),
		cmocka_unit_test(storage),
		cmocka_unit_test(the_others),
		cmocka_unit_test(what_is_unknown_is_swallowed),
		cmocka_unit_test(what_is_wrong_closes),
		cmocka_unit_test(another_language_in_the_middle_closes),
		cmocka_unit_test(text_at_first_is_text_for_ever),
		cmocka_unit_test(sasl_plain),
		cmocka_unit_test(sasl_that_fails),
		cmocka_unit_test(a_sasl_message_longer_than_any_is_swallowed),
		cmocka_unit_test(text_tokens),
		cmocka_unit_test(a_line_of_less_than_six_letters_closes),
		cmocka_unit_test(a_text_token_longer_than_any_is_swallowed),
		cmocka_unit_test(replies_to_retrievals),
		cmocka_unit_test(replies_to_changes),
		cmocka_unit_test(replies_without_an_item),
		cmocka_unit_test(stats_become_packets),
		cmocka_unit_test(a_long_value_gets_its_head_in_place),
		cmocka_unit_test(random_packets_are_read_alike_however_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
