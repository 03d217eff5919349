// SPDX-License-Identifier: BSD-3-Clause
// Meta command lines: mg ms md ma mn me, a key, and flags of one letter with an argument behind it.
#include "proto/proto_internal.h"

#define TEXT_DUPLICATE   "CLIENT_ERROR duplicate flag\r\n"
#define TEXT_INVALID     "CLIENT_ERROR invalid flag\r\n"
#define TEXT_EITHER      "CLIENT_ERROR invalid or duplicate flag\r\n" // ma, for any of them
#define TEXT_BAD_TOKEN   "CLIENT_ERROR bad token in command line format\r\n"
#define TEXT_BAD_KEY     "CLIENT_ERROR error decoding key\r\n"
#define TEXT_BAD_DELTA   "CLIENT_ERROR invalid numeric delta value\r\n"
#define TEXT_BAD_INITIAL "CLIENT_ERROR invalid numeric initial value\r\n"
#define TEXT_OPAQUE      "CLIENT_ERROR opaque token too long\r\n"
#define TEXT_MODE_SET    "CLIENT_ERROR invalid mode for ms M token\r\n"
#define TEXT_MODE_ARITH  "CLIENT_ERROR invalid mode for ma M token\r\n"
#define TEXT_MANY        "CLIENT_ERROR options flags are too long\r\n"

// Any meta command takes any known flag, and ignores those that mean nothing to it.
#define FLAGS_KNOWN \
	(PROTO_FLAG('b') | PROTO_FLAG('c') | PROTO_FLAG('f') | PROTO_FLAG('h') | PROTO_FLAG('k') | \
		PROTO_FLAG('l') | PROTO_FLAG('q') | PROTO_FLAG('s') | PROTO_FLAG('t') | \
		PROTO_FLAG('u') | PROTO_FLAG('v') | PROTO_FLAG('x') | PROTO_FLAG('C') | \
		PROTO_FLAG('D') | PROTO_FLAG('E') | PROTO_FLAG('F') | PROTO_FLAG('I') | \
		PROTO_FLAG('J') | PROTO_FLAG('L') | PROTO_FLAG('M') | PROTO_FLAG('N') | \
		PROTO_FLAG('O') | PROTO_FLAG('P') | PROTO_FLAG('R') | PROTO_FLAG('T'))

#define RETURNS_KEY   (PROTO_FLAG('k') | PROTO_FLAG('O'))
#define RETURNS_TIMES (PROTO_FLAG('t') | PROTO_FLAG('T') | PROTO_FLAG('N') | PROTO_FLAG('R'))
#define RETURNS_GET \
	(RETURNS_KEY | RETURNS_TIMES | PROTO_FLAG('c') | PROTO_FLAG('f') | PROTO_FLAG('h') | \
		PROTO_FLAG('l') | PROTO_FLAG('s'))
#define RETURNS_SET    (RETURNS_KEY | PROTO_FLAG('c') | PROTO_FLAG('s'))
#define RETURNS_DELETE RETURNS_KEY
#define RETURNS_ARITH  (RETURNS_KEY | RETURNS_TIMES | PROTO_FLAG('c'))

struct meta_line {
	const char *error; // the text that stands for the whole line, NULL while it is good
	bool opaque_long;  // found later than the errors of the other flags
	char mode;         // M's first letter, 0: no M
	uint64_t returned; // letters that the command returns
};

// Decodes b's key. The key is known by then: it stands before the flags.
static bool meta_key_decode(struct proto_request *r)
{
	size_t len = proto_base64_decode(r->key, r->key_len, r->key_decoded);

	base_assert(len <= PROTO_KEY_MAX);
	if (len == 0)
		return false;
	r->key = r->key_decoded;
	r->key_len = (uint8_t)len;
	r->key_base64 = true;
	return true;
}

static void meta_opaque(struct meta_line *m, struct proto_request *r, const char *s, size_t len)
{
	if (len + 1 > PROTO_OPAQUE_MAX) {
		m->opaque_long = true;
		return;
	}
	memcpy(r->opaque, s, len);
	r->opaque_len = (uint8_t)len;
}

// One flag with its argument s[0..len). A later error takes the place of an earlier one.
static void meta_flag(
	struct meta_line *m, struct proto_request *r, char letter, const char *s, size_t len)
{
	bool good = true;
	const char *error = TEXT_BAD_TOKEN;

	switch (letter) {
	case 'b':
		good = meta_key_decode(r);
		error = TEXT_BAD_KEY;
		break;
	case 'q':
		r->quiet = true;
		break;
	case 'O':
		meta_opaque(m, r, s, len);
		break;
	case 'M':
		m->mode = len > 0 ? *s : ' ';
		break;
	case 'T':
		r->touch = true;
		good = proto_i64_parse(s, len, &r->exptime);
		break;
	case 'N':
		good = proto_i64_parse(s, len, &r->vivify_ttl);
		break;
	case 'R':
		good = proto_i64_parse(s, len, &r->recache_ttl);
		break;
	case 'C':
		good = proto_u64_parse(s, len, &r->cas_compare);
		break;
	case 'E':
		good = proto_u64_parse(s, len, &r->cas_set);
		break;
	case 'F':
		good = proto_u32_parse(s, len, &r->client_flags);
		error = m->error != NULL ? m->error : PROTO_TEXT_BAD_FORMAT;
		break;
	case 'D':
		good = proto_u64_parse(s, len, &r->delta);
		error = TEXT_BAD_DELTA;
		break;
	case 'J':
		good = proto_u64_parse(s, len, &r->initial);
		error = TEXT_BAD_INITIAL;
		break;
	default: // a bit in `flags` says it all
		break;
	}
	if (!good)
		m->error = error;
}

static bool letter_known(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && (FLAGS_KNOWN & PROTO_FLAG(c));
}

// The flags from the token `first` on.
static void meta_flags(
	struct meta_line *m, const struct proto_tokens *t, unsigned first, struct proto_request *r)
{
	for (unsigned i = first; i < t->n; i++) {
		char letter = t->t[i].s[0];

		if (!letter_known(letter)) {
			m->error = TEXT_INVALID;
			return;
		}
		if (r->flags & PROTO_FLAG(letter)) {
			m->error = TEXT_DUPLICATE;
			return;
		}
		r->flags |= PROTO_FLAG(letter);
		meta_flag(m, r, letter, t->t[i].s + 1, t->t[i].len - 1u);
		if (m->returned & PROTO_FLAG(letter)) {
			base_assert(r->return_count < PROTO_FLAGS_MAX);
			r->returns[r->return_count++] = letter;
		}
	}
}

// What can be a flag at all, known or not.
static bool flag_like(char c)
{
	return (c >= 'A' && c <= 'z') || (c >= '0' && c <= '9');
}

// Whether the line has its words, and nothing but flags behind them.
static bool meta_shape(const struct proto_tokens *t, unsigned first, struct proto_request *r)
{
	bool good = t->n >= first;

	for (unsigned i = first; good && i < t->n; i++)
		good = flag_like(t->t[i].s[0]);
	if (!good)
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
	return good;
}

// Key and flags of a line of the right shape; the error is in m.
static void meta_line_parse(
	struct meta_line *m, const struct proto_tokens *t, unsigned first, struct proto_request *r)
{
	r->meta = true;
	r->delta = 1;
	r->vivify_ttl = r->recache_ttl = 0;
	r->cas_set = r->initial = 0;
	if (t->t[1].len > PROTO_KEY_MAX) {
		m->error = PROTO_TEXT_BAD_FORMAT;
		return;
	}
	if (t->n > PROTO_FLAGS_MAX) {
		m->error = TEXT_MANY;
		return;
	}
	r->key = t->t[1].s;
	r->key_len = (uint8_t)t->t[1].len;
	meta_flags(m, t, first, r);
}

static void meta_get_parse(const struct proto_tokens *t, struct proto_request *r)
{
	struct meta_line m = {.returned = RETURNS_GET};

	if (!meta_shape(t, 2, r))
		return;
	meta_line_parse(&m, t, 2, r);
	r->op = PROTO_OP_META_GET;
	if (m.error != NULL || m.opaque_long)
		proto_refuse(r, m.error != NULL ? m.error : TEXT_OPAQUE);
}

// The mode that M names, made stricter by C. False: no such mode.
static bool meta_set_mode(const struct meta_line *m, struct proto_request *r)
{
	switch (m->mode) {
	case 0:
	case 'S':
		r->mode = PROTO_MODE_SET;
		break;
	case 'E':
		r->mode = PROTO_MODE_ADD;
		break;
	case 'R':
		r->mode = PROTO_MODE_REPLACE;
		break;
	case 'A':
		r->mode = PROTO_MODE_APPEND;
		break;
	case 'P':
		r->mode = PROTO_MODE_PREPEND;
		break;
	default:
		return false;
	}
	if (r->flags & PROTO_FLAG('C') &&
		(r->mode == PROTO_MODE_SET || r->mode == PROTO_MODE_REPLACE))
		r->mode = PROTO_MODE_CAS;
	return true;
}

// ms KEY BYTES FLAGS*. An error after the length was read drops the value with the line.
static void meta_set_parse(const struct proto_tokens *t, struct proto_request *r)
{
	struct meta_line m = {.returned = RETURNS_SET};

	if (!meta_shape(t, 3, r))
		return;
	if (!proto_value_bytes_parse(t->t[2].s, t->t[2].len, &r->value_bytes)) {
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
		return;
	}
	meta_line_parse(&m, t, 3, r);
	if (m.error == NULL && !meta_set_mode(&m, r))
		m.error = TEXT_MODE_SET;
	if (m.error == NULL && m.opaque_long)
		m.error = TEXT_OPAQUE;
	r->op = PROTO_OP_SET;
	if (m.error != NULL) {
		proto_refuse(r, m.error);
		r->swallow_bytes = (uint64_t)r->value_bytes + 2;
	}
}

static void meta_delete_parse(const struct proto_tokens *t, struct proto_request *r)
{
	struct meta_line m = {.returned = RETURNS_DELETE};

	if (!meta_shape(t, 2, r))
		return;
	meta_line_parse(&m, t, 2, r);
	r->op = PROTO_OP_DELETE;
	if (m.error != NULL || m.opaque_long)
		proto_refuse(r, m.error != NULL ? m.error : TEXT_OPAQUE);
}

static void meta_arith_parse(const struct proto_tokens *t, struct proto_request *r)
{
	struct meta_line m = {.returned = RETURNS_ARITH};

	if (!meta_shape(t, 2, r))
		return;
	meta_line_parse(&m, t, 2, r);
	r->op = PROTO_OP_ARITH;
	r->decr = m.mode == 'D' || m.mode == '-';
	if (m.error != NULL)
		proto_refuse(r, TEXT_EITHER);
	else if (m.mode != 0 && m.mode != 'I' && m.mode != '+' && !r->decr)
		proto_refuse(r, TEXT_MODE_ARITH);
	else if (m.opaque_long)
		proto_refuse(r, TEXT_OPAQUE);
}

// me KEY [b]: everything else behind the key is ignored.
static void meta_debug_parse(const struct proto_tokens *t, struct proto_request *r)
{
	struct proto_tokens key = {.n = base_min_u64(t->n, 2)};
	struct meta_line m = {0};

	memcpy(key.t, t->t, sizeof(t->t[0]) * key.n);
	if (!meta_shape(t, 2, r))
		return;
	meta_line_parse(&m, &key, 2, r);
	r->op = PROTO_OP_META_DEBUG;
	if (m.error != NULL)
		proto_refuse(r, m.error);
	else if (t->n > 2 && proto_token_is(&t->t[2], "b") && !meta_key_decode(r))
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
}

bool proto_meta_parse(const struct proto_tokens *t, struct proto_request *r)
{
	base_assert(t->n > 0 && t->t[0].len == 2);
	if (t->t[0].s[0] != 'm')
		return false;
	switch (t->t[0].s[1]) {
	case 'g':
		meta_get_parse(t, r);
		return true;
	case 's':
		meta_set_parse(t, r);
		return true;
	case 'd':
		meta_delete_parse(t, r);
		return true;
	case 'a':
		meta_arith_parse(t, r);
		return true;
	case 'n':
		r->meta = true;
		r->op = PROTO_OP_META_NOOP;
		return true;
	case 'e':
		meta_debug_parse(t, r);
		return true;
	default:
		return false;
	}
}
