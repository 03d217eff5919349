// SPDX-License-Identifier: BSD-3-Clause
#include "words.h"

#include <string.h>

#include "base/base.h"
#include "options.h"

#define DIGITS     8
#define HALF       10000 // 4 digits
#define NUMBER_MAX 10    // digits of 32 bits
#define WORD_MAX   64    // bytes of a line besides the key

void words_open(struct words *w, const struct bench_options *o)
{
	*w = (struct words){.meta = o->meta,
		.key_size = o->key_size,
		.ttl_s = o->ttl_s,
		.due_from = o->due_keys ? o->keys : UINT32_MAX,
		.due_at = o->due_at};
	memset(w->key, 'k', o->key_size);
	static_assert(WORDS_KEY_MAX + WORD_MAX <= WORDS_LINE_MAX, "a line has room");
}

// ---- requests -----------------------------------------------------------------------------------

static char *put(char *to, const char *text)
{
	size_t len = strlen(text);

	memcpy(to, text, len);
	return to + len;
}

static char *key_put(const struct words *w, char *to, uint32_t key)
{
	char *digits = to + w->key_size - DIGITS;
	// two halves side by side: a division waits for the one before it
	uint32_t high = key / HALF, low = key % HALF;

	memcpy(to, w->key, w->key_size - DIGITS);
	for (int i = DIGITS / 2 - 1; i >= 0; i--, high /= 10, low /= 10) {
		digits[i] = (char)('0' + high % 10);
		digits[i + DIGITS / 2] = (char)('0' + low % 10);
	}
	return to + w->key_size;
}

static char *number_put(char *to, uint32_t v)
{
	char digits[NUMBER_MAX];
	unsigned n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*to++ = digits[--n];
	return to;
}

size_t words_get_max(const struct words *w, uint32_t keys)
{
	return keys * (w->key_size + sizeof("mg  v f k q\r\n")) + sizeof("get mn\r\n");
}

size_t words_set_max(const struct words *w)
{
	return w->key_size + WORD_MAX;
}

static size_t meta_get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to)
{
	char *p = to;

	for (uint32_t i = 0; i < keys; i++) {
		p = put(p, "mg ");
		p = key_put(w, p, key[i]);
		p = put(p, keys > 1 ? " v f k q\r\n" : " v f\r\n");
	}
	if (keys > 1)
		p = put(p, "mn\r\n");
	return (size_t)(p - to);
}

size_t words_get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to)
{
	char *p = to;

	base_assert(keys > 0);
	if (w->meta)
		return meta_get_write(w, key, keys, to);
	p = put(p, "get");
	for (uint32_t i = 0; i < keys; i++) {
		*p++ = ' ';
		p = key_put(w, p, key[i]);
	}
	p = put(p, "\r\n");
	return (size_t)(p - to);
}

size_t words_set_write(
	const struct words *w, uint32_t key, uint32_t version, uint32_t size, char *to)
{
	uint32_t ttl_s = base_likely(key < w->due_from) ? w->ttl_s : w->due_at;
	char *p = put(to, w->meta ? "ms " : "set ");

	p = key_put(w, p, key);
	*p++ = ' ';
	if (w->meta) {
		p = put(number_put(p, size), " F");
		p = number_put(p, version);
		if (ttl_s)
			p = number_put(put(p, " T"), ttl_s);
	} else {
		p = put(number_put(p, version), " ");
		p = put(number_put(p, ttl_s), " ");
		p = number_put(p, size);
	}
	p = put(p, "\r\n");
	return (size_t)(p - to);
}

void words_key_write(const struct words *w, uint32_t key, char *to)
{
	*key_put(w, to, key) = '\0';
}

// ---- answers ------------------------------------------------------------------------------------

struct cursor {
	const char *at, *end;
};

static bool take(struct cursor *c, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0)
		return false;
	c->at += len;
	return true;
}

static bool number_take(struct cursor *c, uint32_t *v)
{
	const char *start = c->at;
	uint64_t n = 0;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - start < NUMBER_MAX)
		n = n * 10 + (uint64_t)(*c->at++ - '0');
	*v = (uint32_t)n;
	return c->at > start && n <= UINT32_MAX;
}

static bool key_take(struct cursor *c, const struct words *w, uint32_t *key)
{
	uint32_t ks = w->key_size - DIGITS;

	if ((size_t)(c->end - c->at) < w->key_size || memcmp(c->at, w->key, ks) != 0)
		return false;
	c->at += ks;
	*key = 0;
	for (int i = 0; i < DIGITS; i++, c->at++) {
		if (*c->at < '0' || *c->at > '9')
			return false;
		*key = *key * 10 + (uint32_t)(*c->at - '0');
	}
	return true;
}

static bool text_value_read(const struct words *w, struct cursor c, struct words_line *line)
{
	return take(&c, "VALUE ") && key_take(&c, w, &line->key) && take(&c, " ") &&
		number_take(&c, &line->version) && take(&c, " ") && number_take(&c, &line->size) &&
		take(&c, "\r\n") && c.at == c.end;
}

static bool meta_value_read(const struct words *w, struct cursor c, struct words_line *line)
{
	line->key = WORDS_NO_KEY;
	if (!take(&c, "VA ") || !number_take(&c, &line->size) || !take(&c, " f") ||
		!number_take(&c, &line->version))
		return false;
	if (take(&c, " k") && !key_take(&c, w, &line->key))
		return false;
	return take(&c, "\r\n") && c.at == c.end;
}

static bool is(struct cursor c, const char *text)
{
	return take(&c, text) && c.at == c.end;
}

struct words_line words_line_read(const struct words *w, const char *line, size_t len)
{
	struct cursor c = {line, line + len};
	struct words_line out = {.kind = WORDS_WRONG};

	if (w->meta ? meta_value_read(w, c, &out) : text_value_read(w, c, &out))
		out.kind = WORDS_VALUE;
	else if (is(c, w->meta ? "HD\r\n" : "STORED\r\n"))
		out.kind = WORDS_STORED;
	else if (w->meta ? is(c, "EN\r\n") || is(c, "MN\r\n") : is(c, "END\r\n"))
		out.kind = WORDS_END;
	return out;
}

size_t words_tail_match(const struct words *w, const char *data, size_t len)
{
	static const char tail[] = "\r\nEND\r\n";
	size_t tail_len = sizeof(tail) - 1;

	return !w->meta && len >= tail_len && !memcmp(data, tail, tail_len) ? tail_len : 0;
}

bool words_end_follows(const struct words *w, uint32_t keys)
{
	return !w->meta || keys > 1;
}
