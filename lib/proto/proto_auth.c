// SPDX-License-Identifier: BSD-3-Clause
// Text authentication: the first command of a connection says who it is,
//
//	set ANYTHING FLAGS EXPTIME BYTES\r\n
//	USER PASSWORD\r\n
//
// and until a user is known nothing else is read. Follows memcached 1.6.45.
#include "proto/proto_internal.h"

#define WORDS         5 // of the line; what follows them is not looked at
#define LINE_MIN      6 // bytes before the newline; who sends less is hung up on
#define TOKEN_MAX     16384
#define TEXT_TOO_LONG "CLIENT_ERROR auth token too long\r\n"

static enum proto_verdict answer(
	struct proto_request *r, const char *text, size_t consumed, uint64_t swallow)
{
	r->reply_text = text;
	r->swallow_bytes = swallow;
	return proto_requested(r, PROTO_OP_REPLY, consumed);
}

// The length that the line announces. False: it is no such line.
static bool line_read(const char *line, size_t len, uint32_t *value_bytes)
{
	struct proto_tokens t;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	proto_tokens_cut(&t, line, len);
	return t.n >= WORDS && memcmp(line, "set", 3) == 0 &&
		proto_u32_parse(t.t[4].s, t.t[4].len, value_bytes);
}

// USER PASSWORD: the first space ends the user, all else is the password.
static enum proto_verdict token_read(
	const char *token, uint32_t len, size_t consumed, struct proto_request *r)
{
	const char *space = memchr(token, ' ', len);
	size_t user_len;

	if (space == NULL)
		return answer(r, PROTO_TEXT_BAD_TOKEN, consumed, 0);
	user_len = (size_t)(space - token);
	if (user_len > 0 && user_len <= PROTO_KEY_MAX) {
		r->key = token;
		r->key_len = (uint8_t)user_len;
		r->args = space + 1;
		r->args_len = (uint16_t)(len - user_len - 1);
	}
	return proto_requested(r, PROTO_OP_AUTH, consumed);
}

enum proto_verdict proto_auth_parse(const char *data, size_t len, struct proto_request *r)
{
	const char *newline = memchr(data, '\n', base_min_u64(len, PROTO_LINE_MAX));
	uint32_t value_bytes;
	size_t line_bytes, all;

	if (newline == NULL)
		return len < PROTO_LINE_MAX ? proto_more(r, 0)
					    : proto_requested(r, PROTO_OP_CLOSE, len);
	if (newline - data < LINE_MIN)
		return proto_requested(r, PROTO_OP_CLOSE, len);
	line_bytes = (size_t)(newline - data) + 1;
	if (!line_read(data, line_bytes - 1, &value_bytes))
		return answer(r, PROTO_TEXT_NOBODY, line_bytes, 0);
	if (value_bytes > TOKEN_MAX)
		return answer(r, TEXT_TOO_LONG, line_bytes, 0);
	all = line_bytes + value_bytes + 2;
	if (all > PROTO_LINE_MAX) { // longer than any user and password
		r->swallow_bytes = (uint64_t)value_bytes + 2;
		return proto_requested(r, PROTO_OP_AUTH, line_bytes);
	}
	if (len < all)
		return proto_more(r, 0);
	if (!proto_data_end_valid(data + all - 2))
		return answer(r, PROTO_TEXT_BAD_END, all, 0);
	return token_read(data + line_bytes, value_bytes, all, r);
}
