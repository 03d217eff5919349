// SPDX-License-Identifier: BSD-3-Clause
// The front of the parser: command lines by their end, retrievals key by key.
#include "proto/proto_internal.h"

// A key, the \r that may follow it, and the byte that ends it.
#define KEY_WINDOW (PROTO_KEY_MAX + 2)

// A line has four bytes at least, its end among them, as in memcached.
#define LINE_BYTES_MIN 4

static_assert(offsetof(struct proto_request, vivify_ttl) == 96,
	"what every request clears stays within two cache lines");
static_assert(sizeof(struct proto_parser) == 24, "one in every connection");

void proto_parser_init(struct proto_parser *p, uint64_t item_bytes_max)
{
	*p = (struct proto_parser){.state = PROTO_STATE_BEGIN, .item_bytes_max = item_bytes_max};
}

void proto_parser_restrict(struct proto_parser *p, enum proto_language language, bool locked)
{
	base_assert(!locked || language != PROTO_AUTO);
	if (language == PROTO_ASCII)
		p->state = locked ? PROTO_STATE_AUTH : PROTO_STATE_COMMAND;
	else if (language == PROTO_BINARY_ONLY)
		p->state = PROTO_STATE_BINARY;
	p->sasl = locked && language == PROTO_BINARY_ONLY ? PROTO_SASL_LOCKED : PROTO_SASL_OFF;
}

void proto_parser_unlock(struct proto_parser *p)
{
	if (p->state == PROTO_STATE_AUTH)
		p->state = PROTO_STATE_COMMAND;
	else
		p->sasl = PROTO_SASL_UNLOCKED;
}

// The line failed at byte `at`: answers, and drops the rest of it.
static enum proto_verdict keys_refuse(struct proto_parser *p, struct proto_request *r, size_t at)
{
	p->state = PROTO_STATE_SKIP;
	r->reply_text = p->bad_exptime ? PROTO_TEXT_BAD_EXPTIME : PROTO_TEXT_BAD_FORMAT;
	r->rollback = !p->first_key;
	return proto_requested(r, PROTO_OP_REPLY, at);
}

static enum proto_verdict keys_end(struct proto_parser *p, struct proto_request *r, size_t consumed)
{
	p->state = PROTO_STATE_COMMAND;
	if (!p->first_key)
		return proto_requested(r, PROTO_OP_END, consumed);
	r->reply_text = PROTO_TEXT_BAD_FORMAT; // a line without a key
	return proto_requested(r, PROTO_OP_REPLY, consumed);
}

static enum proto_verdict keys_key(struct proto_parser *p, struct proto_request *r, const char *key,
	size_t key_len, size_t consumed)
{
	if (base_unlikely(key_len > PROTO_KEY_MAX || p->bad_exptime))
		return keys_refuse(p, r, consumed);
	r->key = key;
	r->key_len = (uint8_t)key_len;
	r->with_cas = p->with_cas;
	r->touch = p->touch;
	r->exptime = p->exptime;
	r->first_key = p->first_key;
	p->first_key = false;
	return proto_requested(r, PROTO_OP_GET, consumed);
}

// The next key of a retrieval, or its end, from data[at..len).
static enum proto_verdict keys_next(
	struct proto_parser *p, const char *data, size_t len, size_t at, struct proto_request *r)
{
	const char *key, *space, *newline;
	size_t window, key_len;

	while (at < len && data[at] == ' ')
		at++;
	key = data + at;
	window = base_min_u64(len - at, KEY_WINDOW);
	space = memchr(key, ' ', window);
	newline = memchr(key, '\n', space != NULL ? (size_t)(space - key) : window);
	if (newline == NULL) {
		if (space != NULL)
			return keys_key(p, r, key, (size_t)(space - key), (size_t)(space - data));
		if (window == KEY_WINDOW)
			return keys_refuse(p, r, at + window);
		return proto_more(r, at);
	}
	key_len = (size_t)(newline - key);
	if (key_len > 0 && key[key_len - 1] == '\r')
		key_len--;
	if (key_len == 0)
		return keys_end(p, r, (size_t)(newline - data) + 1);
	return keys_key(
		p, r, key, key_len, at + key_len); // the line's end is left for the next call
}

static enum proto_verdict get_begin(struct proto_parser *p, const char *data, size_t len, size_t at,
	bool with_cas, struct proto_request *r)
{
	p->state = PROTO_STATE_KEYS;
	p->with_cas = with_cas;
	p->touch = p->bad_exptime = false;
	p->first_key = true;
	p->exptime = 0;
	return keys_next(p, data, len, at, r);
}

// gat and gats: the exptime first, which is read once it is there whole.
static enum proto_verdict gat_begin(struct proto_parser *p, const char *data, size_t len, size_t at,
	bool with_cas, struct proto_request *r)
{
	size_t end, line_max = base_min_u64(len, PROTO_LINE_MAX);

	while (at < line_max && data[at] == ' ')
		at++;
	for (end = at; end < line_max && data[end] != ' ' && data[end] != '\n'; end++)
		;
	if (end == line_max)
		return len < PROTO_LINE_MAX ? proto_more(r, 0)
					    : proto_requested(r, PROTO_OP_CLOSE, len);
	p->state = PROTO_STATE_KEYS;
	p->with_cas = with_cas;
	p->touch = p->first_key = true;
	p->bad_exptime = !proto_i64_parse(data + at, end - at, &p->exptime);
	return keys_next(p, data, len, end, r);
}

// Too short for a command; but `mn` before a bare newline is taken for what it is, unlike in
// memcached.
static bool line_is_short(const char *data, size_t bytes)
{
	return bytes < LINE_BYTES_MIN && (bytes < 3 || memcmp(data, "mn\n", 3) != 0);
}

static enum proto_verdict line_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_request *r)
{
	size_t line_max = base_min_u64(len, PROTO_LINE_MAX);
	const char *newline = memchr(data, '\n', line_max);
	struct proto_tokens t;
	size_t line_len;

	if (newline == NULL)
		return len < PROTO_LINE_MAX ? proto_more(r, 0)
					    : proto_requested(r, PROTO_OP_CLOSE, len);
	line_len = (size_t)(newline - data);
	r->consumed = line_len + 1;
	if (line_len > 0 && data[line_len - 1] == '\r')
		line_len--;
	proto_tokens_cut(&t, data, line_len);
	if (line_is_short(data, r->consumed))
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
	else if (data[0] == ' ')
		proto_other_parse(&t, r);
	else if (t.t[0].len != 2 || !proto_meta_parse(&t, r))
		proto_classic_parse(p, &t, r);
	return PROTO_REQUEST;
}

static enum proto_verdict command_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_request *r)
{
	if (len > 4 && data[0] == 'g' && data[2] == 't') {
		bool touch = data[1] == 'a', plural = data[3] == 's' && data[4] == ' ';

		if ((touch || data[1] == 'e') && (plural || data[3] == ' ')) {
			if (touch)
				return gat_begin(p, data, len, 4 + plural, plural, r);
			return get_begin(p, data, len, 4 + plural, plural, r);
		}
	}
	return line_parse(p, data, len, r);
}

enum proto_verdict proto_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_request *r)
{
	enum proto_verdict v;
	size_t skipped = 0;

	base_assert(len > 0);
	memset(r, 0, offsetof(struct proto_request, vivify_ttl));
	if (base_unlikely(p->state == PROTO_STATE_SKIP)) {
		const char *newline = memchr(data, '\n', len);

		if (newline == NULL)
			return proto_more(r, len);
		p->state = PROTO_STATE_COMMAND;
		skipped = (size_t)(newline - data) + 1;
		if (skipped == len)
			return proto_more(r, len);
	}
	if (base_unlikely(p->state == PROTO_STATE_BEGIN))
		p->state = (unsigned char)data[0] == PROTO_BINARY_REQUEST ? PROTO_STATE_BINARY
									  : PROTO_STATE_COMMAND;
	if (p->state == PROTO_STATE_KEYS)
		v = keys_next(p, data, len, 0, r);
	else if (base_unlikely(p->state == PROTO_STATE_BINARY))
		v = proto_binary_parse(p, data, len, r);
	else if (base_unlikely(p->state == PROTO_STATE_AUTH))
		v = proto_auth_parse(data, len, r);
	else
		v = command_parse(p, data + skipped, len - skipped, r);
	r->consumed += skipped;
	return v;
}
