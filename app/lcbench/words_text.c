// SPDX-License-Identifier: BSD-3-Clause
// Text and meta: requests and answers of lines.
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "words_form.h"

#define NUMBER_MAX 10 // digits of 32 bits
#define WORD_MAX   64 // bytes of a line besides the key, and of a value's end

static_assert(WORDS_KEY_MAX + WORD_MAX <= WORDS_HEAD_MAX, "a line has room");

// ---- requests -----------------------------------------------------------------------------------

static char *put(char *to, const char *text)
{
	size_t len = strlen(text);

	memcpy(to, text, len);
	return to + len;
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

static size_t get_max(const struct words *w, uint32_t keys)
{
	return keys * (w->key_size + sizeof("mg  v f k q\r\n")) + sizeof("get mn\r\n");
}

static size_t set_max(const struct words *w)
{
	return w->key_size + WORD_MAX;
}

static size_t meta_get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to)
{
	char *p = to;

	for (uint32_t i = 0; i < keys; i++) {
		p = put(p, "mg ");
		p = words_key_put(w, p, key[i]);
		p = put(p, keys > 1 ? " v f k q\r\n" : " v f\r\n");
	}
	if (keys > 1)
		p = put(p, "mn\r\n");
	return (size_t)(p - to);
}

static size_t text_get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to)
{
	char *p = put(to, "get");

	for (uint32_t i = 0; i < keys; i++) {
		*p++ = ' ';
		p = words_key_put(w, p, key[i]);
	}
	p = put(p, "\r\n");
	return (size_t)(p - to);
}

static size_t meta_set_write(const struct words *w, uint32_t key, uint32_t version, uint32_t size,
	uint32_t ttl_s, char *to)
{
	char *p = words_key_put(w, put(to, "ms "), key);

	*p++ = ' ';
	p = put(number_put(p, size), " F");
	p = number_put(p, version);
	if (ttl_s)
		p = number_put(put(p, " T"), ttl_s);
	p = put(p, "\r\n");
	return (size_t)(p - to);
}

static size_t text_set_write(const struct words *w, uint32_t key, uint32_t version, uint32_t size,
	uint32_t ttl_s, char *to)
{
	char *p = words_key_put(w, put(to, "set "), key);

	*p++ = ' ';
	p = put(number_put(p, version), " ");
	p = put(number_put(p, ttl_s), " ");
	p = put(number_put(p, size), "\r\n");
	return (size_t)(p - to);
}

static bool text_end_follows(uint32_t keys)
{
	return true;
}

static bool meta_end_follows(uint32_t keys)
{
	return keys > 1;
}

// ---- answers ------------------------------------------------------------------------------------

static size_t line_take(
	const char *have, size_t have_len, const char *data, size_t len, bool *whole)
{
	const char *end = memchr(data, '\n', len);

	*whole = end != NULL;
	return end ? (size_t)(end - data) + 1 : len;
}

static void line_show(const char *line, size_t len, char *to)
{
	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	snprintf(to, WORDS_SHOW_MAX, "\"%.*s\"", (int)(len < 100 ? len : 100), line);
}

static size_t text_tail_match(const char *data, size_t len)
{
	static const char tail[] = "\r\nEND\r\n";
	size_t tail_len = sizeof(tail) - 1;

	return len >= tail_len && !memcmp(data, tail, tail_len) ? tail_len : 0;
}

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
	if ((size_t)(c->end - c->at) < w->key_size || !words_key_take(w, c->at, key))
		return false;
	c->at += w->key_size;
	return true;
}

static bool text_value_read(const struct words *w, struct cursor c, struct words_head *head)
{
	return take(&c, "VALUE ") && key_take(&c, w, &head->key) && take(&c, " ") &&
		number_take(&c, &head->version) && take(&c, " ") && number_take(&c, &head->size) &&
		take(&c, "\r\n") && c.at == c.end;
}

static bool meta_value_read(const struct words *w, struct cursor c, struct words_head *head)
{
	head->key = WORDS_NO_KEY;
	if (!take(&c, "VA ") || !number_take(&c, &head->size) || !take(&c, " f") ||
		!number_take(&c, &head->version))
		return false;
	if (take(&c, " k") && !key_take(&c, w, &head->key))
		return false;
	return take(&c, "\r\n") && c.at == c.end;
}

static bool is(struct cursor c, const char *text)
{
	return take(&c, text) && c.at == c.end;
}

static struct words_head text_read(const struct words *w, const char *line, size_t len)
{
	struct cursor c = {line, line + len};
	struct words_head out = {.kind = WORDS_VALUE};

	if (text_value_read(w, c, &out))
		return out;
	out = (struct words_head){.kind = WORDS_WRONG, .key = WORDS_NO_KEY};
	if (is(c, "STORED\r\n"))
		out.kind = WORDS_STORED;
	else if (is(c, "END\r\n"))
		out.kind = WORDS_END;
	return out;
}

static struct words_head meta_read(const struct words *w, const char *line, size_t len)
{
	struct cursor c = {line, line + len};
	struct words_head out = {.kind = WORDS_VALUE};

	if (meta_value_read(w, c, &out))
		return out;
	out = (struct words_head){.kind = WORDS_WRONG, .key = WORDS_NO_KEY};
	if (is(c, "HD\r\n"))
		out.kind = WORDS_STORED;
	else if (is(c, "EN\r\n") || is(c, "MN\r\n"))
		out.kind = WORDS_END;
	return out;
}

const struct words_form words_text = {.value_end = "\r\n",
	.get_max = get_max,
	.set_max = set_max,
	.get_write = text_get_write,
	.set_write = text_set_write,
	.end_follows = text_end_follows,
	.tail_match = text_tail_match,
	.head_take = line_take,
	.head_read = text_read,
	.head_show = line_show};

const struct words_form words_meta = {.value_end = "\r\n",
	.get_max = get_max,
	.set_max = set_max,
	.get_write = meta_get_write,
	.set_write = meta_set_write,
	.end_follows = meta_end_follows,
	.head_take = line_take,
	.head_read = meta_read,
	.head_show = line_show};
