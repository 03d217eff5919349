// SPDX-License-Identifier: BSD-3-Clause
// Classic command lines, retrievals aside (doc/protocol.txt of memcached).
#include "proto/proto_internal.h"

bool proto_line_noreply(const struct proto_tokens *t)
{
	return t->n > 0 && proto_token_is(&t->t[t->n - 1], "noreply");
}

// True when the line has at least `min` tokens, more are ignored; otherwise r is its error, which
// noreply does not hide.
static bool line_count(const struct proto_tokens *t, unsigned min, struct proto_request *r)
{
	if (t->n < min)
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
	else
		r->noreply = proto_line_noreply(t);
	return t->n >= min;
}

// The key stands second. False: r is the error.
static bool line_key(const struct proto_tokens *t, struct proto_request *r)
{
	if (t->t[1].len > PROTO_KEY_MAX) {
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
		return false;
	}
	r->key = t->t[1].s;
	r->key_len = (uint8_t)t->t[1].len;
	return true;
}

// The words of a storage command between its key and its end, the length aside.
static bool storage_words(
	const struct proto_tokens *t, enum proto_mode mode, struct proto_request *r)
{
	const struct proto_token *w = t->t;

	return proto_loose_flags_parse(w[2].s, w[2].len, &r->client_flags) &&
		proto_loose_i64_parse(w[3].s, w[3].len, &r->exptime) &&
		(mode != PROTO_MODE_CAS ||
			(t->n > 5 && proto_u64_parse(w[5].s, w[5].len, &r->cas_compare)));
}

// set KEY FLAGS EXPTIME BYTES [noreply]; cas KEY FLAGS EXPTIME BYTES UNIQUE [noreply]. Once the
// length is known, what is wrong with the line drops the value with it.
static void storage_parse(const struct proto_parser *p, const struct proto_tokens *t,
	enum proto_mode mode, struct proto_request *r)
{
	if (t->n < 5 || !proto_value_bytes_parse(t->t[4].s, t->t[4].len, &r->value_bytes)) {
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
		return;
	}
	r->noreply = proto_line_noreply(t);
	if (!line_key(t, r) || !storage_words(t, mode, r)) {
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
		r->swallow_bytes = (uint64_t)r->value_bytes + 2;
		return;
	}
	r->op = PROTO_OP_SET;
	r->mode = (uint8_t)mode;
	if (r->value_bytes > p->item_bytes_max && mode != PROTO_MODE_SET) {
		proto_refuse(r, PROTO_TEXT_TOO_LARGE);
		r->swallow_bytes = (uint64_t)r->value_bytes + 2;
	}
}

// delete KEY [anything] [noreply]
static void delete_parse(const struct proto_tokens *t, struct proto_request *r)
{
	if (line_count(t, 2, r) && line_key(t, r))
		r->op = PROTO_OP_DELETE;
}

// incr KEY DELTA [noreply]
static void arith_parse(const struct proto_tokens *t, bool decr, struct proto_request *r)
{
	if (!line_count(t, 3, r) || !line_key(t, r))
		return;
	r->op = PROTO_OP_ARITH;
	r->decr = decr;
	if (!proto_u64_parse(t->t[2].s, t->t[2].len, &r->delta))
		proto_refuse(r, PROTO_TEXT_BAD_DELTA);
}

// touch KEY EXPTIME [noreply]
static void touch_parse(const struct proto_tokens *t, struct proto_request *r)
{
	if (!line_count(t, 3, r) || !line_key(t, r))
		return;
	r->op = PROTO_OP_TOUCH;
	r->touch = true;
	if (!proto_i64_parse(t->t[2].s, t->t[2].len, &r->exptime))
		proto_refuse(r, PROTO_TEXT_BAD_EXPTIME);
}

// flush_all [DELAY] [noreply]
static void flush_parse(const struct proto_tokens *t, struct proto_request *r)
{
	r->noreply = proto_line_noreply(t);
	r->op = PROTO_OP_FLUSH_ALL;
	if (t->n == 1 + (unsigned)r->noreply)
		return;
	if (!proto_i64_parse(t->t[1].s, t->t[1].len, &r->exptime))
		proto_refuse(r, PROTO_TEXT_BAD_EXPTIME);
}

// verbosity LEVEL [noreply]
static void verbosity_parse(const struct proto_tokens *t, struct proto_request *r)
{
	uint32_t level;

	if (!line_count(t, 2, r))
		return;
	r->op = PROTO_OP_VERBOSITY;
	if (proto_u32_parse(t->t[1].s, t->t[1].len, &level))
		r->delta = level;
	else
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
}

static void stats_parse(const struct proto_tokens *t, struct proto_request *r)
{
	const struct proto_token *last = &t->t[t->n - 1];

	r->op = PROTO_OP_STATS;
	r->args = t->n > 1 ? t->t[1].s : "";
	r->args_len = (uint16_t)(t->n > 1 ? last->s + last->len - r->args : 0);
}

// A browser that was led here is hung up on, so that no page can smuggle commands in as a request's
// body.
static bool line_is_http(const struct proto_tokens *t)
{
	const struct proto_token *last = &t->t[t->n - 1];

	return t->n > 1 && last->len >= 5 && memcmp(last->s, "HTTP/", 5) == 0;
}

void proto_other_parse(const struct proto_tokens *t, struct proto_request *r)
{
	if (t->n == 0) {
		proto_refuse(r, PROTO_TEXT_ERROR);
	} else if (proto_token_is(&t->t[0], "flush_all")) {
		flush_parse(t, r);
	} else if (proto_token_is(&t->t[0], "verbosity")) {
		verbosity_parse(t, r);
	} else if (!proto_admin_parse(t, r)) {
		r->noreply = proto_line_noreply(t);
		if (line_is_http(t))
			r->op = PROTO_OP_CLOSE;
		else
			proto_refuse(r, PROTO_TEXT_ERROR);
	}
}

#define NAME_IS(name, literal) (memcmp((name), (literal), sizeof(literal) - 1) == 0)

static void short_parse(
	const struct proto_parser *p, const struct proto_tokens *t, struct proto_request *r)
{
	const char *name = t->t[0].s;

	if (NAME_IS(name, "set"))
		storage_parse(p, t, PROTO_MODE_SET, r);
	else if (NAME_IS(name, "add"))
		storage_parse(p, t, PROTO_MODE_ADD, r);
	else if (NAME_IS(name, "cas"))
		storage_parse(p, t, PROTO_MODE_CAS, r);
	else if (NAME_IS(name, "get") || NAME_IS(name, "gat"))
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT); // with a key it would not come here
	else
		proto_other_parse(t, r);
}

static void four_parse(const struct proto_tokens *t, struct proto_request *r)
{
	const char *name = t->t[0].s;

	if (NAME_IS(name, "incr"))
		arith_parse(t, false, r);
	else if (NAME_IS(name, "decr"))
		arith_parse(t, true, r);
	else if (NAME_IS(name, "quit"))
		r->op = PROTO_OP_QUIT;
	else if (NAME_IS(name, "gets") || NAME_IS(name, "gats"))
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
	else
		proto_other_parse(t, r);
}

static void long_parse(
	const struct proto_parser *p, const struct proto_tokens *t, struct proto_request *r)
{
	const char *name = t->t[0].s;
	size_t len = t->t[0].len;

	if (len == 6 && NAME_IS(name, "delete"))
		delete_parse(t, r);
	else if (len == 5 && NAME_IS(name, "touch"))
		touch_parse(t, r);
	else if (len == 6 && NAME_IS(name, "append"))
		storage_parse(p, t, PROTO_MODE_APPEND, r);
	else if (len == 7 && NAME_IS(name, "prepend"))
		storage_parse(p, t, PROTO_MODE_PREPEND, r);
	else if (len == 7 && NAME_IS(name, "replace"))
		storage_parse(p, t, PROTO_MODE_REPLACE, r);
	else if (len == 5 && NAME_IS(name, "stats"))
		stats_parse(t, r);
	else if (len == 7 && NAME_IS(name, "version"))
		r->op = PROTO_OP_VERSION;
	else if (len == 5 && NAME_IS(name, "watch"))
		proto_watch_parse(t, r);
	else
		proto_other_parse(t, r);
}

void proto_classic_parse(
	const struct proto_parser *p, const struct proto_tokens *t, struct proto_request *r)
{
	base_assert(t->n > 0);
	if (t->t[0].len == 3)
		short_parse(p, t, r);
	else if (t->t[0].len == 4)
		four_parse(t, r);
	else
		long_parse(p, t, r);
}
