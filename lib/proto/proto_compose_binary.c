// SPDX-License-Identifier: BSD-3-Clause
// Results to bytes: binary replies. Every one has a header; what fails has a text as its body.
//
//	0     1       2        4       5     6       8       12      16   24
//	+-----+-------+--------+-------+-----+-------+-------+-------+----+--------+-----+-------+
//	| 81  | opcode| key len| extras| 0   | status| body  | opaque| cas| extras | key | value |
//	+-----+-------+--------+-------+-----+-------+-------+-------+----+--------+-----+-------+
#include "proto/proto_internal.h"

#define FLAGS_BYTES 4 // extras of a reply that shows an item

static_assert(PROTO_HEAD_MAX >= PROTO_BINARY_HEADER + FLAGS_BYTES + PROTO_KEY_MAX,
	"the longest binary head fits");

static char *put_u32(char *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	return proto_put(p, (const char *)&v, sizeof(v));
}

static char *put_u64(char *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	return proto_put(p, (const char *)&v, sizeof(v));
}

static char *put_header(char *p, const struct proto_request *r, enum proto_binary_status status,
	uint8_t extras_len, uint16_t key_len, uint32_t body_len, uint64_t cas)
{
	*p++ = (char)PROTO_BINARY_REPLY;
	*p++ = (char)r->opcode;
	*p++ = (char)(key_len >> 8);
	*p++ = (char)key_len;
	*p++ = (char)extras_len;
	*p++ = 0;
	*p++ = 0;
	*p++ = (char)status;
	p = put_u32(p, body_len);
	p = proto_put(p, r->opaque, 4);
	return put_u64(p, cas);
}

static const char *status_text(enum proto_binary_status status)
{
	switch (status) {
	case PROTO_BINARY_NOT_FOUND:
		return "Not found";
	case PROTO_BINARY_EXISTS:
		return "Data exists for key.";
	case PROTO_BINARY_TOO_LARGE:
		return "Too large.";
	case PROTO_BINARY_INVALID:
		return "Invalid arguments";
	case PROTO_BINARY_NOT_STORED:
		return "Not stored.";
	case PROTO_BINARY_NON_NUMERIC:
		return "Non-numeric server-side value for incr or decr";
	case PROTO_BINARY_AUTH_ERROR:
		return "Auth failure.";
	case PROTO_BINARY_UNKNOWN:
		return "Unknown command";
	case PROTO_BINARY_NO_MEMORY:
		return "Out of memory allocating item";
	case PROTO_BINARY_OK:
	case PROTO_BINARY_AUTH_CONTINUE:
		break;
	}
	return "";
}

static char *put_body(
	char *p, const struct proto_request *r, enum proto_binary_status status, const char *body)
{
	size_t len = strlen(body);

	p = put_header(p, r, status, 0, 0, (uint32_t)len, 0);
	return proto_put(p, body, len);
}

static char *put_status(char *p, const struct proto_request *r, enum proto_binary_status status)
{
	return put_body(p, r, status, status_text(status));
}

// The commands whose replies to a hit or a miss show the key.
static bool key_shown(const struct proto_request *r)
{
	return r->opcode == 0x0c || r->opcode == 0x0d || r->opcode == 0x23 || r->opcode == 0x24;
}

static enum proto_binary_status status_of(
	const struct proto_request *r, const struct proto_result *res)
{
	switch ((enum proto_status)res->status) {
	case PROTO_OK:
		return PROTO_BINARY_OK;
	case PROTO_MISS:
		return PROTO_BINARY_NOT_FOUND;
	case PROTO_EXISTS:
		return PROTO_BINARY_EXISTS;
	case PROTO_NOT_STORED:
		return r->mode == PROTO_MODE_ADD        ? PROTO_BINARY_EXISTS
			: r->mode == PROTO_MODE_REPLACE ? PROTO_BINARY_NOT_FOUND
							: PROTO_BINARY_NOT_STORED;
	case PROTO_NON_NUMERIC:
		return PROTO_BINARY_NON_NUMERIC;
	case PROTO_NO_MEMORY:
		return PROTO_BINARY_NO_MEMORY;
	case PROTO_TOO_LARGE:
		return PROTO_BINARY_TOO_LARGE;
	case PROTO_BAD_CHUNK:
		return PROTO_BINARY_INVALID;
	case PROTO_DENIED:
		return PROTO_BINARY_AUTH_ERROR;
	}
	return PROTO_BINARY_INVALID;
}

// get, gat, touch: flags as extras, then the key, then the value.
static char *put_item(char *p, const struct proto_request *r, const struct proto_result *res,
	struct proto_reply *out)
{
	uint16_t key_len = key_shown(r) ? r->key_len : 0;
	uint32_t value_bytes = res->has_value ? res->value_bytes : 0;

	p = put_header(p, r, PROTO_BINARY_OK, FLAGS_BYTES, key_len,
		FLAGS_BYTES + key_len + value_bytes, res->cas);
	p = put_u32(p, res->client_flags);
	out->value = res->has_value;
	return proto_put(p, r->key, key_len);
}

static char *put_miss(char *p, const struct proto_request *r)
{
	if (!key_shown(r))
		return put_status(p, r, PROTO_BINARY_NOT_FOUND);
	p = put_header(p, r, PROTO_BINARY_NOT_FOUND, 0, r->key_len, r->key_len, 0);
	return proto_put(p, r->key, r->key_len);
}

// A quiet retrieval hides its misses, all others their success. Errors are never hidden.
static char *put_keyed(char *p, const struct proto_request *r, const struct proto_result *res,
	struct proto_reply *out)
{
	bool ok = res->status == PROTO_OK;

	if (r->op == PROTO_OP_GET && res->status == PROTO_MISS)
		return r->quiet ? p : put_miss(p, r);
	if (r->op == PROTO_OP_GET && ok)
		return put_item(p, r, res, out);
	if (ok && r->quiet)
		return p;
	if (ok && r->op == PROTO_OP_TOUCH)
		return put_item(p, r, res, out);
	if (ok && r->op == PROTO_OP_ARITH) {
		p = put_header(p, r, PROTO_BINARY_OK, 0, 0, sizeof(res->number), res->cas);
		return put_u64(p, res->number);
	}
	if (ok && r->op == PROTO_OP_AUTH)
		return put_body(p, r, PROTO_BINARY_OK, "Authenticated");
	if (!ok)
		return put_status(p, r, status_of(r, res));
	return put_header(p, r, PROTO_BINARY_OK, 0, 0, 0, r->op == PROTO_OP_SET ? res->cas : 0);
}

char *proto_compose_binary(const struct proto_request *r, const struct proto_result *res, char *p,
	struct proto_reply *out)
{
	switch ((enum proto_op)r->op) {
	case PROTO_OP_REPLY:
	case PROTO_OP_CLOSE:
		if (r->reply_text[0] != '\0')
			return put_body(p, r, (enum proto_binary_status)r->mode, r->reply_text);
		return put_status(p, r, (enum proto_binary_status)r->mode);
	case PROTO_OP_VERSION:
		return put_body(p, r, PROTO_BINARY_OK, PROTO_VERSION_TEXT);
	case PROTO_OP_META_NOOP:
	case PROTO_OP_FLUSH_ALL:
	case PROTO_OP_QUIT:
		return r->quiet ? p : put_status(p, r, PROTO_BINARY_OK);
	default:
		base_assert(res != NULL);
		return put_keyed(p, r, res, out);
	}
}

// "STAT NAME VALUE\r\n" as a packet. Returns the end of what was written.
static char *put_stat(char *p, const struct proto_request *r, const char *line, size_t len)
{
	const char *name = line + sizeof("STAT ") - 1, *end = line + len;
	const char *space = memchr(name, ' ', (size_t)(end - name));
	size_t name_len = (size_t)((space != NULL ? space : end) - name);
	size_t value_len = space != NULL ? (size_t)(end - space) - 1 : 0;

	p = put_header(
		p, r, PROTO_BINARY_OK, 0, (uint16_t)name_len, (uint32_t)(name_len + value_len), 0);
	p = proto_put(p, name, name_len);
	return value_len > 0 ? proto_put(p, space + 1, value_len) : p;
}

static bool text_begins(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && memcmp(text, word, n) == 0;
}

size_t proto_stats_binary(const struct proto_request *r, const char *text, size_t len, char *out)
{
	const char *end = text + len, *newline;
	char *p = out;

	for (; text_begins(text, (size_t)(end - text), "STAT "); text = newline + 1) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (newline == NULL)
			break;
		p = put_stat(p, r, text, (size_t)(newline - text) - (newline[-1] == '\r'));
	}
	if (p > out || text_begins(text, (size_t)(end - text), "END") ||
		text_begins(text, (size_t)(end - text), "OK") ||
		text_begins(text, (size_t)(end - text), "RESET"))
		p = put_header(p, r, PROTO_BINARY_OK, 0, 0, 0, 0);
	else if (text_begins(text, (size_t)(end - text), "SERVER_ERROR"))
		p = put_status(p, r, PROTO_BINARY_NO_MEMORY);
	else
		p = put_status(p, r, PROTO_BINARY_NOT_FOUND);
	base_assert((size_t)(p - out) <= PROTO_STATS_BINARY_MAX(len));
	return (size_t)(p - out);
}

size_t proto_stats_binary_head(
	const struct proto_request *r, const char *name, uint32_t value_bytes, char *out)
{
	size_t len = strlen(name);
	char *p = put_header(
		out, r, PROTO_BINARY_OK, 0, (uint16_t)len, (uint32_t)len + value_bytes, 0);

	return (size_t)(proto_put(p, name, len) - out);
}
