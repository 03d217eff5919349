// SPDX-License-Identifier: BSD-3-Clause
// Feeds bytes to a parser as a connection would, cut as the test likes, and writes down in words
// what came out. Shared by the unit tests and the fuzzer.
#pragma once

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "proto/proto.h"

struct feed {
	struct proto_parser parser;
	uint64_t drop_bytes; // of the stream: a value, or what a request said to swallow
	bool closed;
	bool plain; // proto_plain_parse is asked first
	size_t text_len, text_max;
	char *text; // one line a request; grows
};

static inline void feed_open(struct feed *f, uint64_t item_bytes_max)
{
	*f = (struct feed){.text_max = 4096};
	f->text = calloc(1, f->text_max);
	proto_parser_init(&f->parser, item_bytes_max);
}

static inline void feed_close(struct feed *f)
{
	free(f->text);
}

__attribute__((format(printf, 2, 3))) static inline void feed_say(
	struct feed *f, const char *fmt, ...)
{
	va_list args;

	if (f->text_max - f->text_len < 512) {
		f->text_max *= 2;
		f->text = realloc(f->text, f->text_max);
	}
	va_start(args, fmt);
	f->text_len +=
		(size_t)vsnprintf(f->text + f->text_len, f->text_max - f->text_len, fmt, args);
	va_end(args);
}

// Printable bytes as they are, the others as \xNN; a run of one byte as its count.
static inline void feed_say_bytes(struct feed *f, const char *s, size_t len)
{
	if (len == 0)
		feed_say(f, "(none)");
	for (size_t i = 0, run; i < len; i += run) {
		for (run = 1; i + run < len && s[i + run] == s[i]; run++)
			;
		if (run > 8)
			feed_say(f, "%c*%zu", s[i], run);
		else if (s[i] > ' ' && s[i] < 0x7f)
			feed_say(f, "%c", s[i]), run = 1;
		else
			feed_say(f, "\\x%02x", (unsigned char)s[i]), run = 1;
	}
}

static inline const char *feed_op_name(const struct proto_request *r)
{
	static const char *const modes[] = {"set", "add", "replace", "append", "prepend", "cas"};
	static const char *const ops[] = {[PROTO_OP_GET] = "get",
		[PROTO_OP_END] = "end",
		[PROTO_OP_DELETE] = "delete",
		[PROTO_OP_TOUCH] = "touch",
		[PROTO_OP_META_GET] = "mg",
		[PROTO_OP_META_NOOP] = "mn",
		[PROTO_OP_META_DEBUG] = "me",
		[PROTO_OP_FLUSH_ALL] = "flush_all",
		[PROTO_OP_STATS] = "stats",
		[PROTO_OP_VERSION] = "version",
		[PROTO_OP_VERBOSITY] = "verbosity",
		[PROTO_OP_QUIT] = "quit",
		[PROTO_OP_REPLY] = "reply",
		[PROTO_OP_CLOSE] = "close",
		[PROTO_OP_AUTH] = "auth",
		[PROTO_OP_ADMIN] = "admin"};

	if (r->op == PROTO_OP_SET)
		return modes[r->mode];
	if (r->op == PROTO_OP_ARITH)
		return r->decr ? "decr" : "incr";
	return ops[r->op];
}

static inline void feed_say_meta(struct feed *f, const struct proto_request *r)
{
	feed_say(f, " meta");
	for (unsigned i = 0; i < 52; i++) {
		if (r->flags >> i & 1)
			feed_say(f, "%s%c", r->flags & ((UINT64_C(1) << i) - 1) ? "" : " flags=",
				i < 26 ? 'a' + (int)i : 'A' + (int)i - 26);
	}
	if (r->return_count > 0)
		feed_say(f, " returns=%.*s", r->return_count, r->returns);
	if (r->flags & PROTO_FLAG('O'))
		feed_say(f, " opaque=%.*s", r->opaque_len, r->opaque);
	if (r->flags & PROTO_FLAG('N'))
		feed_say(f, " vivify=%" PRId64, r->vivify_ttl);
	if (r->flags & PROTO_FLAG('R'))
		feed_say(f, " recache=%" PRId64, r->recache_ttl);
	if (r->flags & PROTO_FLAG('E'))
		feed_say(f, " cas_set=%" PRIu64, r->cas_set);
	if (r->flags & PROTO_FLAG('J'))
		feed_say(f, " initial=%" PRIu64, r->initial);
}

static inline void feed_say_binary(struct feed *f, const struct proto_request *r)
{
	feed_say(f, " %#x opaque=%02x%02x%02x%02x", r->opcode, (unsigned char)r->opaque[0],
		(unsigned char)r->opaque[1], (unsigned char)r->opaque[2],
		(unsigned char)r->opaque[3]);
	if (r->op == PROTO_OP_ARITH)
		feed_say(f, " initial=%" PRIu64, r->initial);
	if (r->flags & PROTO_FLAG('N'))
		feed_say(f, " vivify=%" PRId64, r->vivify_ttl);
}

// One line that says all that the request means. Fields of no meaning to it must not show.
static inline void feed_say_request(struct feed *f, const struct proto_request *r)
{
	feed_say(f, "%s", feed_op_name(r));
	if (r->op == PROTO_OP_REPLY || r->op == PROTO_OP_CLOSE) {
		const char *text = r->reply_text != NULL ? r->reply_text : "";

		if (proto_is_binary(r))
			feed_say(f, " %#x status=%#x", r->opcode, r->mode);
		feed_say(f, " '%.*s'", (int)strcspn(text, "\r"), text);
		if (r->rollback)
			feed_say(f, " rollback");
		if (r->swallow_bytes > 0)
			feed_say(f, " swallow=%" PRIu64, r->swallow_bytes);
		feed_say(f, "\n");
		return;
	}
	if (r->key_len > 0) {
		feed_say(f, " ");
		feed_say_bytes(f, r->key, r->key_len);
	}
	if (r->op == PROTO_OP_AUTH) {
		feed_say(f, " password=");
		feed_say_bytes(f, r->args, r->args != NULL ? r->args_len : 0);
		feed_say(f, " swallow=%" PRIu64, r->swallow_bytes);
	}
	if (proto_is_binary(r))
		feed_say_binary(f, r);
	if (r->meta && r->op != PROTO_OP_META_NOOP)
		feed_say_meta(f, r);
	if (r->first_key)
		feed_say(f, " first");
	if (r->with_cas)
		feed_say(f, " with_cas");
	if (r->touch)
		feed_say(f, " touch");
	if (r->op == PROTO_OP_SET)
		feed_say(f, " flags=%u bytes=%u", r->client_flags, r->value_bytes);
	if (r->exptime != 0)
		feed_say(f, " exptime=%" PRId64, r->exptime);
	if (r->op == PROTO_OP_ARITH)
		feed_say(f, " delta=%" PRIu64, r->delta);
	if (r->cas_compare != 0)
		feed_say(f, " cas=%" PRIu64, r->cas_compare);
	if (r->op == PROTO_OP_ADMIN)
		feed_say(f, " %u %" PRIu64, r->mode, r->delta);
	if (r->op == PROTO_OP_STATS)
		feed_say(f, " args='%.*s'", r->args_len, r->args);
	feed_say(f, "%s%s%s\n", r->key_base64 ? " base64" : "", r->noreply ? " noreply" : "",
		r->quiet ? " quiet" : "");
}

static inline void feed_check(const struct proto_request *r, enum proto_verdict v, size_t len)
{
	base_assert(r->consumed <= len);
	base_assert(v == PROTO_MORE || r->consumed > 0);
	if (v == PROTO_MORE)
		return;
	base_assert(r->op <= PROTO_OP_ADMIN);
	base_assert(r->op != PROTO_OP_REPLY || r->reply_text != NULL);
	base_assert(r->op != PROTO_OP_AUTH || r->args == NULL || r->key_len > 0);
	base_assert(r->return_count <= PROTO_FLAGS_MAX && r->opaque_len < PROTO_OPAQUE_MAX);
	base_assert(r->key_len <= PROTO_KEY_MAX);
}

// Who has the password "pass" is known.
static inline bool feed_known(const struct proto_request *r)
{
	return r->args != NULL && r->args_len == 4 && memcmp(r->args, "pass", 4) == 0;
}

static inline bool feed_same(const struct proto_parser *a, const struct proto_parser *b)
{
	return a->state == b->state && a->with_cas == b->with_cas && a->touch == b->touch &&
		a->first_key == b->first_key && a->bad_exptime == b->bad_exptime &&
		a->exptime == b->exptime;
}

// In the words that proto_parse's requests would have been given. Returns what was taken.
static inline size_t feed_plain(struct feed *f, const char *data, size_t len)
{
	struct proto_plain l;
	struct proto_request r;
	struct proto_parser before = f->parser, after = f->parser;

	memset(&l, 0x5a, sizeof(l));
	if (!proto_plain_parse(&f->parser, data, len, &l)) {
		base_assert(feed_same(&before, &f->parser));
		return 0;
	}
	base_assert(l.consumed > 0 && l.consumed <= len);
	proto_plain_request(&l, &r);
	feed_say_request(f, &r);
	if (l.op == PROTO_OP_GET && l.end)
		feed_say(f, "end\n");
	proto_plain_after(&after, l.end);
	base_assert(feed_same(&after, &f->parser));
	return l.consumed;
}

// The bytes [*at, have) of `data` have arrived. Takes what can be taken, and moves *at. Each call
// of the parser sees a copy that ends where the input does, so that a sanitizer sees any step
// beyond.
static inline void feed_some(struct feed *f, const char *data, size_t *at, size_t have)
{
	while (!f->closed && *at < have) {
		size_t len = have - *at;
		struct proto_request r;
		enum proto_verdict v;
		char *copy;

		if (f->drop_bytes > 0) {
			size_t n = len < f->drop_bytes ? len : (size_t)f->drop_bytes;

			f->drop_bytes -= n;
			*at += n;
			continue;
		}
		memset(&r, 0x5a, sizeof(r));
		copy = malloc(len);
		memcpy(copy, data + *at, len);
		if (f->plain) {
			size_t took = feed_plain(f, copy, len);

			*at += took;
			if (took > 0) {
				free(copy);
				continue;
			}
		}
		v = proto_parse(&f->parser, copy, len, &r);
		feed_check(&r, v, len);
		*at += r.consumed;
		if (v == PROTO_REQUEST)
			feed_say_request(f, &r);
		if (v == PROTO_REQUEST && r.op == PROTO_OP_AUTH && feed_known(&r))
			proto_parser_unlock(&f->parser);
		free(copy);
		if (v == PROTO_MORE && *at < have && r.consumed == 0)
			return;
		if (v == PROTO_MORE)
			continue;
		f->closed = r.op == PROTO_OP_CLOSE || r.op == PROTO_OP_QUIT;
		f->drop_bytes = r.swallow_bytes;
		if (r.op == PROTO_OP_SET)
			f->drop_bytes = (uint64_t)r.value_bytes + proto_value_end(&r);
	}
}

// All of the input, arriving in two parts.
static inline void feed_split(struct feed *f, const char *data, size_t len, size_t first)
{
	size_t at = 0;

	feed_some(f, data, &at, first);
	feed_some(f, data, &at, len);
}

static inline void feed_by_byte(struct feed *f, const char *data, size_t len)
{
	size_t at = 0;

	for (size_t have = 1; have <= len; have++)
		feed_some(f, data, &at, have);
}
