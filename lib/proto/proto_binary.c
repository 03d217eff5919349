// SPDX-License-Identifier: BSD-3-Clause
// Binary packets to requests (memcached's binary protocol). A request of 24 bytes of header,
// extras, a key and a value:
//
//	0     1       2        4       5     6     8       12      16   24
//	+-----+-------+--------+-------+-----+-----+-------+-------+----+--------+-----+-------+
//	| 80  | opcode| key len| extras| -   | -   | body  | opaque| cas| extras | key | value |
//	+-----+-------+--------+-------+-----+-----+-------+-------+----+--------+-----+-------+
//
// What the header alone decides is decided when the header is there.
#include "proto/proto_internal.h"

#define OPCODES  0x25
#define EXTRAS   4 // most of FLUSH_ALL
#define ARITH_NO UINT32_C(0xffffffff)
#define MECH_MAX 32                  // bytes of a SASL mechanism's name that memcached reads
#define BODY_MAX (UINT32_C(1) << 30) // of any packet; an item is no larger

enum {
	TAKES_KEY = 1,   // and must have it; without this there must be none
	TAKES_VALUE = 2, // behind the key
	IS_QUIET = 4,
	IS_DECR = 8,
	IS_TOUCH = 16,
	IS_SASL = 32,
	IS_OPEN = 64, // may be asked before who asks is known
	IS_KNOWN = 128,
};

static const struct binary_command {
	uint8_t op, mode, extras, is;
} commands[OPCODES] = {
#define COMMAND(opcode, op, mode, extras, is) [opcode] = {op, mode, extras, (is) | IS_KNOWN}
	COMMAND(0x00, PROTO_OP_GET, 0, 0, TAKES_KEY),
	COMMAND(0x01, PROTO_OP_SET, PROTO_MODE_SET, 8, TAKES_KEY | TAKES_VALUE),
	COMMAND(0x02, PROTO_OP_SET, PROTO_MODE_ADD, 8, TAKES_KEY | TAKES_VALUE),
	COMMAND(0x03, PROTO_OP_SET, PROTO_MODE_REPLACE, 8, TAKES_KEY | TAKES_VALUE),
	COMMAND(0x04, PROTO_OP_DELETE, 0, 0, TAKES_KEY),
	COMMAND(0x05, PROTO_OP_ARITH, 0, 20, TAKES_KEY),
	COMMAND(0x06, PROTO_OP_ARITH, 0, 20, TAKES_KEY | IS_DECR),
	COMMAND(0x07, PROTO_OP_QUIT, 0, 0, 0),
	COMMAND(0x08, PROTO_OP_FLUSH_ALL, 0, EXTRAS, 0), // or none
	COMMAND(0x09, PROTO_OP_GET, 0, 0, TAKES_KEY | IS_QUIET),
	COMMAND(0x0a, PROTO_OP_META_NOOP, 0, 0, 0),
	COMMAND(0x0b, PROTO_OP_VERSION, 0, 0, IS_OPEN),
	COMMAND(0x0c, PROTO_OP_GET, 0, 0, TAKES_KEY),
	COMMAND(0x0d, PROTO_OP_GET, 0, 0, TAKES_KEY | IS_QUIET),
	COMMAND(0x0e, PROTO_OP_SET, PROTO_MODE_APPEND, 0, TAKES_KEY | TAKES_VALUE),
	COMMAND(0x0f, PROTO_OP_SET, PROTO_MODE_PREPEND, 0, TAKES_KEY | TAKES_VALUE),
	COMMAND(0x10, PROTO_OP_STATS, 0, 0, 0), // its key is what is asked for
	COMMAND(0x11, PROTO_OP_SET, PROTO_MODE_SET, 8, TAKES_KEY | TAKES_VALUE | IS_QUIET),
	COMMAND(0x12, PROTO_OP_SET, PROTO_MODE_ADD, 8, TAKES_KEY | TAKES_VALUE | IS_QUIET),
	COMMAND(0x13, PROTO_OP_SET, PROTO_MODE_REPLACE, 8, TAKES_KEY | TAKES_VALUE | IS_QUIET),
	COMMAND(0x14, PROTO_OP_DELETE, 0, 0, TAKES_KEY | IS_QUIET),
	COMMAND(0x15, PROTO_OP_ARITH, 0, 20, TAKES_KEY | IS_QUIET),
	COMMAND(0x16, PROTO_OP_ARITH, 0, 20, TAKES_KEY | IS_DECR | IS_QUIET),
	COMMAND(0x17, PROTO_OP_QUIT, 0, 0, IS_QUIET),
	COMMAND(0x18, PROTO_OP_FLUSH_ALL, 0, EXTRAS, IS_QUIET),
	COMMAND(0x19, PROTO_OP_SET, PROTO_MODE_APPEND, 0, TAKES_KEY | TAKES_VALUE | IS_QUIET),
	COMMAND(0x1a, PROTO_OP_SET, PROTO_MODE_PREPEND, 0, TAKES_KEY | TAKES_VALUE | IS_QUIET),
	COMMAND(0x1c, PROTO_OP_TOUCH, 0, 4, TAKES_KEY | IS_TOUCH),
	COMMAND(0x1d, PROTO_OP_GET, 0, 4, TAKES_KEY | IS_TOUCH),
	COMMAND(0x1e, PROTO_OP_GET, 0, 4, TAKES_KEY | IS_TOUCH | IS_QUIET),
	COMMAND(0x20, PROTO_OP_REPLY, 0, 0, IS_SASL | IS_OPEN),
	COMMAND(0x21, PROTO_OP_AUTH, 0, 0, TAKES_KEY | TAKES_VALUE | IS_SASL | IS_OPEN),
	COMMAND(0x22, PROTO_OP_AUTH, 0, 0, TAKES_KEY | TAKES_VALUE | IS_SASL | IS_OPEN),
	COMMAND(0x23, PROTO_OP_GET, 0, 4, TAKES_KEY | IS_TOUCH),
	COMMAND(0x24, PROTO_OP_GET, 0, 4, TAKES_KEY | IS_TOUCH | IS_QUIET),
#undef COMMAND
};
#define OPCODE_SASL_AUTH 0x21

struct packet {
	const char *extras, *key, *value;
	uint16_t key_len;
	uint8_t extras_len;
	uint32_t body_len, value_len;
	uint64_t cas;
};

static uint32_t get_u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static uint64_t get_u64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the wire has the highest byte first");

// Reads the header; what lies behind it may not be there yet. False: its lengths are impossible.
static bool packet_read(const char *data, struct packet *k)
{
	k->key_len = (uint16_t)((unsigned char)data[2] << 8 | (unsigned char)data[3]);
	k->extras_len = (uint8_t)data[4];
	k->body_len = get_u32(data + 8);
	k->cas = get_u64(data + 16);
	k->value_len = k->body_len - k->key_len - k->extras_len;
	return (uint32_t)k->key_len + k->extras_len <= k->body_len;
}

// Once all that comes before the value is there.
static void packet_point(const char *data, struct packet *k)
{
	k->extras = data + PROTO_BINARY_HEADER;
	k->key = k->extras + k->extras_len;
	k->value = k->key + k->key_len;
}

// Answers without execution; `swallow` bytes behind `consumed` are nobody's.
static enum proto_verdict refuse(
	struct proto_request *r, enum proto_binary_status status, size_t consumed, uint64_t swallow)
{
	r->mode = (uint8_t)status;
	r->reply_text = "";
	r->swallow_bytes = swallow;
	return proto_requested(r, PROTO_OP_REPLY, consumed);
}

static enum proto_verdict refuse_and_close(struct proto_request *r, enum proto_binary_status status)
{
	r->mode = (uint8_t)status;
	r->reply_text = "";
	return proto_requested(r, PROTO_OP_CLOSE, PROTO_BINARY_HEADER);
}

// Whether extras, key and value are such as the command has them.
static bool shape_valid(const struct binary_command *c, const struct packet *k)
{
	bool extras = k->extras_len == c->extras;

	if (c->op == PROTO_OP_FLUSH_ALL)
		extras = extras || k->extras_len == 0;
	if (!extras || (k->value_len > 0 && !(c->is & TAKES_VALUE)))
		return false;
	return c->op == PROTO_OP_STATS || (k->key_len > 0) == !!(c->is & TAKES_KEY);
}

static void extras_read(const struct packet *k, struct proto_request *r)
{
	switch ((enum proto_op)r->op) {
	case PROTO_OP_SET:
		if (k->extras_len > 0) {
			r->client_flags = get_u32(k->extras);
			r->exptime = get_u32(k->extras + 4);
		}
		r->value_bytes = k->value_len;
		break;
	case PROTO_OP_ARITH:
		r->delta = get_u64(k->extras);
		r->initial = get_u64(k->extras + 8);
		if (get_u32(k->extras + 16) != ARITH_NO) {
			r->flags |= PROTO_FLAG('N');
			r->vivify_ttl = get_u32(k->extras + 16);
			r->returns[r->return_count++] = 'N'; // acts
		}
		break;
	default:
		if (k->extras_len > 0)
			r->exptime = get_u32(k->extras);
	}
}

static void cas_read(const struct packet *k, struct proto_request *r)
{
	if (k->cas == 0)
		return;
	r->flags |= PROTO_FLAG('C');
	r->cas_compare = k->cas;
	if (r->op == PROTO_OP_SET && r->mode == PROTO_MODE_ADD)
		r->mode = PROTO_MODE_CAS;
}

// ---- SASL --------------------------------------------------------------------------------------
// PLAIN (RFC 4616): on whose behalf, who, and the password, with NULs between. Whoever acts for
// somebody else is refused.
static void plain_read(const char *message, uint32_t len, struct proto_request *r)
{
	const char *user = memchr(message, '\0', len), *password, *end = message + len;
	size_t for_len, user_len;

	if (user == NULL)
		return;
	for_len = (size_t)(user - message);
	user++;
	password = memchr(user, '\0', (size_t)(end - user));
	if (password == NULL)
		return;
	user_len = (size_t)(password - user);
	password++;
	if (user_len == 0 || user_len > PROTO_KEY_MAX ||
		memchr(password, '\0', (size_t)(end - password)) != NULL ||
		(for_len > 0 && (for_len != user_len || memcmp(message, user, user_len) != 0)))
		return;
	r->key = user;
	r->key_len = (uint8_t)user_len;
	r->args = password;
	r->args_len = (uint16_t)(end - password);
}

static bool mech_is_plain(const struct packet *k)
{
	static const char name[] = "plain";

	if (k->key_len != sizeof(name) - 1)
		return false;
	for (size_t i = 0; i < sizeof(name) - 1; i++) {
		if ((k->key[i] | 0x20) != name[i])
			return false;
	}
	return true;
}

// An attempt, or its first half. The whole packet is at hand.
static enum proto_verdict sasl_attempt(
	struct proto_parser *p, const struct packet *k, struct proto_request *r)
{
	size_t all = PROTO_BINARY_HEADER + (size_t)k->body_len;
	bool first = r->opcode == OPCODE_SASL_AUTH, plain = mech_is_plain(k);
	bool read = first ? plain : p->sasl == PROTO_SASL_STARTED;

	p->sasl = PROTO_SASL_LOCKED;
	if (first && plain && k->value_len == 0) {
		p->sasl = PROTO_SASL_STARTED;
		return refuse(r, PROTO_BINARY_AUTH_CONTINUE, all, 0);
	}
	if (read)
		plain_read(k->value, k->value_len, r);
	return proto_requested(r, PROTO_OP_AUTH, all);
}

static enum proto_verdict sasl_parse(struct proto_parser *p, const struct binary_command *c,
	struct packet *k, const char *data, size_t len, struct proto_request *r)
{
	size_t all = PROTO_BINARY_HEADER + (size_t)k->body_len;

	if (p->sasl == PROTO_SASL_OFF)
		return refuse(r, PROTO_BINARY_UNKNOWN, PROTO_BINARY_HEADER, k->body_len);
	if (c->op == PROTO_OP_REPLY) { // which mechanisms there are; begins anew
		p->sasl = PROTO_SASL_LOCKED;
		refuse(r, PROTO_BINARY_OK, all, 0);
		r->reply_text = "PLAIN";
		return PROTO_REQUEST;
	}
	if (k->key_len > MECH_MAX)
		return refuse(r, PROTO_BINARY_INVALID, PROTO_BINARY_HEADER, k->body_len);
	if (all > PROTO_LINE_MAX) { // longer than any user and password
		p->sasl = PROTO_SASL_LOCKED;
		r->swallow_bytes = k->body_len;
		return proto_requested(r, PROTO_OP_AUTH, PROTO_BINARY_HEADER);
	}
	if (len < all)
		return proto_more(r, 0);
	packet_point(data, k);
	return sasl_attempt(p, k, r);
}

// ---- packets -----------------------------------------------------------------------------------
static void binary_begin(const char *data, struct proto_request *r)
{
	r->flags = PROTO_BINARY;
	r->opcode = (uint8_t)data[1];
	memcpy(r->opaque, data + 12, 4);
	r->vivify_ttl = r->recache_ttl = 0;
	r->cas_set = r->initial = 0;
}

// A packet of a known command, of the right shape.
static enum proto_verdict command_read(const struct binary_command *c, struct packet *k,
	const char *data, size_t len, struct proto_request *r)
{
	size_t front = PROTO_BINARY_HEADER + (size_t)k->extras_len + k->key_len;

	if (len < front)
		return proto_more(r, 0);
	packet_point(data, k);
	r->op = c->op;
	r->mode = c->mode;
	r->quiet = c->is & IS_QUIET;
	r->decr = c->is & IS_DECR;
	r->touch = c->is & IS_TOUCH;
	r->first_key = c->op == PROTO_OP_GET;
	if (c->op == PROTO_OP_STATS) {
		r->args = k->key;
		r->args_len = k->key_len;
	} else {
		r->key = k->key;
		r->key_len = (uint8_t)k->key_len;
	}
	extras_read(k, r);
	cas_read(k, r);
	r->consumed = front;
	return PROTO_REQUEST;
}

enum proto_verdict proto_binary_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_request *r)
{
	static const struct binary_command unknown;
	const struct binary_command *c;
	struct packet k;
	bool lengths;

	if ((unsigned char)data[0] != PROTO_BINARY_REQUEST)
		return proto_requested(r, PROTO_OP_CLOSE, len); // without a word
	if (len < PROTO_BINARY_HEADER)
		return proto_more(r, 0);
	binary_begin(data, r);
	c = r->opcode < OPCODES ? &commands[r->opcode] : &unknown;
	lengths = packet_read(data, &k);
	if (!lengths)
		return refuse_and_close(r, PROTO_BINARY_UNKNOWN);
	if (k.body_len > BODY_MAX)
		return refuse_and_close(r, PROTO_BINARY_INVALID);
	if ((p->sasl == PROTO_SASL_LOCKED || p->sasl == PROTO_SASL_STARTED) && !(c->is & IS_OPEN))
		return refuse_and_close(r, PROTO_BINARY_AUTH_ERROR);
	if (k.key_len > PROTO_KEY_MAX)
		return refuse_and_close(r, PROTO_BINARY_INVALID);
	if (!(c->is & IS_KNOWN))
		return refuse(r, PROTO_BINARY_UNKNOWN, PROTO_BINARY_HEADER, k.body_len);
	if (!shape_valid(c, &k))
		return refuse_and_close(r, PROTO_BINARY_INVALID);
	if (c->is & IS_SASL)
		return sasl_parse(p, c, &k, data, len, r);
	return command_read(c, &k, data, len, r);
}
