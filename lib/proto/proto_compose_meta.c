// SPDX-License-Identifier: BSD-3-Clause
// Results to bytes: meta replies. A code of two letters, then what the flags asked for in the order
// in which they asked, then W, X and Z.
#include "proto/proto_internal.h"

// What memcached counts for an item beside key and value: header 48, CAS 8, the key's NUL and the
// value's \r\n. `me` shows its figure, so that a client's sums stay what they were.
#define ITEM_HEADER_BYTES (48 + 8 + 1 + 2)

// Longest: VA and its length, the key in base64, the opaque, and every number at its longest.
static_assert(PROTO_HEAD_MAX >= 13 + 3 + (PROTO_KEY_MAX + 2) / 3 * 4 + 2 + 1 + PROTO_OPAQUE_MAX +
			3 * 22 + 3 * 12 + 3 + 6 + 24,
	"the longest meta head fits");

// An item is shown under its key as its writer gave it; a command that found none shows its own.
static bool key_encoded(const struct proto_request *r, const struct proto_result *res)
{
	bool found = res->status == PROTO_OK &&
		(r->op == PROTO_OP_META_GET || r->op == PROTO_OP_META_DEBUG);

	return found ? res->key_base64 : r->key_base64;
}

static char *put_key(char *p, const struct proto_request *r, bool encoded)
{
	if (encoded)
		return p + proto_base64_encode(r->key, r->key_len, p);
	return proto_put(p, r->key, r->key_len);
}

static char *put_ttl(char *p, int64_t ttl_s)
{
	if (ttl_s < 0)
		return proto_put_text(p, "-1");
	return proto_put_u64(p, (uint64_t)ttl_s);
}

static char *put_flag(char *p, char letter, uint64_t v)
{
	*p++ = ' ';
	*p++ = letter;
	return proto_put_u64(p, v);
}

// k and O: all that a reply without an item shows.
static char *put_identity(
	char *p, const struct proto_request *r, const struct proto_result *res, char letter)
{
	*p++ = ' ';
	*p++ = letter;
	if (letter == 'O')
		return proto_put(p, r->opaque, r->opaque_len);
	p = put_key(p, r, key_encoded(r, res));
	return key_encoded(r, res) ? proto_put_text(p, " b") : p;
}

static char *put_return(
	char *p, const struct proto_request *r, const struct proto_result *res, char letter)
{
	switch (letter) {
	case 'k':
	case 'O':
		return put_identity(p, r, res, letter);
	case 's':
		return put_flag(p, 's', res->value_bytes);
	case 't':
		p = proto_put_text(p, " t");
		return put_ttl(p, res->ttl_s);
	case 'c':
		return put_flag(p, 'c', res->cas);
	case 'f':
		return put_flag(p, 'f', res->client_flags);
	case 'l':
		return put_flag(p, 'l', res->idle_s);
	case 'h':
		return put_flag(p, 'h', res->fetched);
	default: // N, R, T: read by the executor
		return p;
	}
}

// The flags asked for. Of ms all are shown whatever came of it (c0 when nothing was stored); of the
// others a reply without an item shows k and O.
static char *put_returns(char *p, const struct proto_request *r, const struct proto_result *res)
{
	bool all = res->status == PROTO_OK || r->op == PROTO_OP_SET;

	for (unsigned i = 0; i < r->return_count; i++) {
		char letter = r->returns[i];

		if (all || letter == 'k' || letter == 'O')
			p = put_return(p, r, res, letter);
	}
	return p;
}

static const char *code(const struct proto_request *r, const struct proto_result *res)
{
	switch ((enum proto_status)res->status) {
	case PROTO_OK:
		return "HD";
	case PROTO_MISS:
		return r->op == PROTO_OP_META_GET ? "EN" : "NF";
	case PROTO_NOT_STORED:
		return "NS";
	case PROTO_EXISTS:
		return "EX";
	default:
		return NULL;
	}
}

// ME KEY exp=.. la=.. cas=.. fetch=.. cls=.. size=..
static char *put_debug(char *p, const struct proto_request *r, const struct proto_result *res)
{
	uint64_t flags_bytes = res->client_flags != 0 ? 4 : 0;

	if (res->status != PROTO_OK)
		return proto_put_text(p, "EN\r\n");
	p = proto_put_text(p, "ME ");
	p = put_key(p, r, key_encoded(r, res));
	p = proto_put_text(p, " exp=");
	p = put_ttl(p, res->ttl_s);
	p = proto_put_text(p, " la=");
	p = proto_put_u64(p, res->idle_s);
	p = proto_put_text(p, " cas=");
	p = proto_put_u64(p, res->cas);
	p = res->fetched ? proto_put_text(p, " fetch=yes") : proto_put_text(p, " fetch=no");
	p = proto_put_text(p, " cls=1 size=");
	p = proto_put_u64(p, ITEM_HEADER_BYTES + flags_bytes + r->key_len + res->value_bytes);
	return proto_put_text(p, "\r\n");
}

// The number of an ma with v stands in the head: it is nobody's memory.
static char *put_number(char *p, const struct proto_request *r, const struct proto_result *res)
{
	char digits[20];
	size_t len = base_u64_format(digits, res->number);

	p = proto_put_text(p, "VA ");
	p = proto_put_u64(p, len);
	p = put_returns(p, r, res);
	p = proto_put_text(p, "\r\n");
	p = proto_put(p, digits, len);
	return proto_put_text(p, "\r\n");
}

// q hides what goes without saying: a miss of mg, the success of the others.
static bool hidden(const struct proto_request *r, const struct proto_result *res)
{
	if (!r->quiet)
		return false;
	if (r->op == PROTO_OP_META_GET)
		return res->status == PROTO_MISS;
	return res->status == PROTO_OK;
}

char *proto_compose_meta(const struct proto_request *r, const struct proto_result *res, char *p,
	struct proto_reply *out)
{
	const char *text = proto_status_text(r, res);

	if (text != NULL)
		return proto_put(p, text, strlen(text));
	if (r->op == PROTO_OP_META_DEBUG)
		return put_debug(p, r, res);
	if (hidden(r, res))
		return p;
	if (r->op == PROTO_OP_ARITH && res->status == PROTO_OK && r->flags & PROTO_FLAG('v'))
		return put_number(p, r, res);
	if (res->has_value) {
		p = proto_put_text(p, "VA ");
		p = proto_put_u64(p, res->value_bytes);
		out->value = true;
		out->tail_len = 2;
		memcpy(out->tail, "\r\n", 2);
	} else {
		p = proto_put(p, code(r, res), 2);
	}
	p = put_returns(p, r, res);
	if (res->recaching)
		p = proto_put_text(p, " Z");
	if (res->stale)
		p = proto_put_text(p, " X");
	if (res->won)
		p = proto_put_text(p, " W");
	return proto_put_text(p, "\r\n");
}
