// SPDX-License-Identifier: BSD-3-Clause
// Answers taken apart as they come, in any pieces, and compared with what they should be.
#include <string.h>

#include "lcbench.h"

#define SHOWN_BYTES 32 // of a value that is wrong

static void line_complain(struct bench *b, const struct bench_flight *f, uint32_t key_at,
	const char *line, size_t len)
{
	char key[WORDS_KEY_MAX + 1];

	if (!bench_may_complain(b))
		return;
	words_key_write(&b->words, f->key[key_at < f->keys ? key_at : 0], key);
	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	fprintf(stderr, "lcbench: wrong answer to %s of key %s: \"%.*s\"\n", f->set ? "set" : "get",
		key, (int)(len < 100 ? len : 100), line);
}

static void bytes_print(const char *name, const char *bytes, size_t len)
{
	fprintf(stderr, "%s \"", name);
	for (size_t i = 0; i < len && i < SHOWN_BYTES; i++)
		fprintf(stderr, bytes[i] < 32 || bytes[i] == 127 ? "\\x%02x" : "%c",
			(unsigned char)bytes[i]);
	fprintf(stderr, len > SHOWN_BYTES ? "\"..." : "\"");
}

// What nobody stored has been read: there is nothing left to measure.
static void value_complain(struct bench *b, const struct bench_client *c, uint32_t at,
	const char *got, const char *want, size_t len)
{
	const struct bench_flight *f = &c->flight[c->head];
	char key[WORDS_KEY_MAX + 1];
	size_t same = 0;

	while (same < len && got[same] == want[same])
		same++;
	if (bench_may_complain(b)) {
		words_key_write(&b->words, f->key[c->key_at], key);
		fprintf(stderr,
			"lcbench: wrong value of key %s, version %u, at byte %zu of %u: ", key,
			c->value_version, at + same, c->value_size);
		bytes_print("got", got + same, len - same);
		bytes_print(", expected", want + same, len - same);
		fputc('\n', stderr);
	}
	b->n.errors++;
	bench_fail(b, "a wrong value");
}

// A value's line: of the next key of the request that is not missing, with the size that belongs
// to it and a version that was set. Values come in the order of the keys.
static bool value_begin(struct bench *b, struct bench_client *c, const struct words_line *line)
{
	const struct bench_flight *f = &c->flight[c->head];

	while (line->key != WORDS_NO_KEY && c->key_at < f->keys && f->key[c->key_at] != line->key)
		c->key_at++;
	if (c->key_at == f->keys || line->version >= b->workload.versions ||
		line->size != bench_value_size(&b->workload, f->key[c->key_at]))
		return false;
	c->value_version = line->version;
	c->value_size = c->value_left = line->size;
	c->expect = BENCH_VALUE;
	return true;
}

// A whole line, its "\n" included.
static void line_take(struct bench *b, struct bench_client *c, const char *text, size_t len)
{
	const struct bench_flight *f = &c->flight[c->head];
	struct words_line line = words_line_read(&b->words, text, len);
	uint32_t key_at = c->key_at;

	if (line.kind == (f->set ? WORDS_STORED : WORDS_END)) {
		bench_client_complete(b, c, true);
		return;
	}
	if (!f->set && line.kind == WORDS_VALUE && value_begin(b, c, &line))
		return;
	line_complain(b, f, key_at, text, len);
	bench_client_complete(b, c, false);
}

// Takes a line's bytes; returns how many. 0: a line longer than any answer's.
static size_t line_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);
	size_t n = end ? (size_t)(end - data) + 1 : len;

	if (end && c->line_len == 0) {
		line_take(b, c, data, n);
		return n;
	}
	if (c->line_len + n > sizeof(c->line))
		return 0;
	memcpy(c->line + c->line_len, data, n);
	c->line_len += (uint16_t)n;
	if (end) {
		size_t all = c->line_len;

		c->line_len = 0;
		line_take(b, c, c->line, all);
	}
	return n;
}

static size_t value_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	struct bench_flight *f = &c->flight[c->head];
	size_t n = base_min_u64(len, c->value_left);
	uint32_t at = c->value_size - c->value_left;

	if (f->verify) {
		const char *want = bench_value(&b->workload, f->key[c->key_at], c->value_version);

		if (memcmp(data, want + at, n) != 0) {
			value_complain(b, c, at, data, want + at, n);
			f->verify = false; // counted once
		}
	}
	c->value_left -= (uint32_t)n;
	if (c->value_left == 0) {
		c->expect = BENCH_VALUE_END;
		b->n.verified += f->verify;
	}
	return n;
}

static size_t value_end_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	size_t n = c->line_len ? 0 : words_tail_match(&b->words, data, len);
	uint32_t keys = c->flight[c->head].keys;

	if (n) { // mostly it comes in one piece
		c->hits++;
		bench_client_complete(b, c, true);
		return n;
	}
	n = base_min_u64(len, 2 - c->line_len);
	if (memcmp(data, "\r\n" + c->line_len, n) != 0)
		return 0;
	c->line_len += (uint16_t)n;
	if (c->line_len < 2)
		return n;
	c->line_len = 0;
	c->expect = BENCH_LINE;
	c->key_at++;
	c->hits++;
	if (!words_end_follows(&b->words, keys))
		bench_client_complete(b, c, true);
	return n;
}

bool bench_client_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	while (len) {
		size_t n = 0;

		if (c->inflight == 0) {
			bench_client_lose(b, c, "an answer that nobody asked for");
			return false;
		}
		if (c->expect == BENCH_VALUE && c->value_left)
			n = value_feed(b, c, data, len);
		else if (c->expect == BENCH_LINE)
			n = line_feed(b, c, data, len);
		else
			n = value_end_feed(b, c, data, len);
		if (n == 0) {
			bench_client_lose(b, c, "an answer that cannot be understood");
			return false;
		}
		data += n;
		len -= n;
	}
	return true;
}
