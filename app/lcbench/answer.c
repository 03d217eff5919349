// SPDX-License-Identifier: BSD-3-Clause
// Answers taken apart as they come, in any pieces, and compared with what they should be.
#include <string.h>

#include "lcbench.h"

#define SHOWN_BYTES 32 // of a value that is wrong

static void head_complain(struct bench *b, const struct bench_flight *f, uint32_t key_at,
	const char *head, size_t len)
{
	char key[WORDS_KEY_MAX + 1], shown[WORDS_SHOW_MAX];

	if (!bench_may_complain(b))
		return;
	words_key_write(&b->words, f->key[key_at < f->keys ? key_at : 0], key);
	words_head_show(&b->words, head, len, shown);
	fprintf(stderr, "lcbench: wrong answer to %s of key %s: %s\n", f->set ? "set" : "get", key,
		shown);
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

// A value is over, its end included.
static void value_done(struct bench *b, struct bench_client *c)
{
	c->part_len = 0;
	c->expect = BENCH_HEAD;
	c->key_at++;
	c->hits++;
	if (!words_end_follows(&b->words, c->flight[c->head].keys))
		bench_client_complete(b, c, true);
}

// The value's last byte has come.
static void value_whole(struct bench *b, struct bench_client *c)
{
	b->n.verified += c->flight[c->head].verify;
	c->expect = BENCH_VALUE_END;
	if (*words_value_end(&b->words) == '\0')
		value_done(b, c);
}

// A value's head: of the next key of the request that is not missing, with the size that belongs
// to it and a version that was set. Values come in the order of the keys.
static bool value_begin(struct bench *b, struct bench_client *c, const struct words_head *head)
{
	const struct bench_flight *f = &c->flight[c->head];

	while (head->key != WORDS_NO_KEY && c->key_at < f->keys && f->key[c->key_at] != head->key)
		c->key_at++;
	if (c->key_at == f->keys || head->version >= b->workload.versions ||
		head->size != bench_value_size(&b->workload, f->key[c->key_at]))
		return false;
	c->value_version = head->version;
	c->value_size = c->value_left = head->size;
	c->expect = BENCH_VALUE;
	if (head->size == 0)
		value_whole(b, c);
	return true;
}

static void head_handle(struct bench *b, struct bench_client *c, const char *bytes, size_t len)
{
	const struct bench_flight *f = &c->flight[c->head];
	struct words_head head = words_head_read(&b->words, bytes, len);
	uint32_t key_at = c->key_at;

	if (head.kind == (f->set ? WORDS_STORED : WORDS_END) &&
		(head.key == WORDS_NO_KEY || head.key == f->key[0])) {
		bench_client_complete(b, c, true);
		return;
	}
	if (!f->set && head.kind == WORDS_VALUE && value_begin(b, c, &head))
		return;
	head_complain(b, f, key_at, bytes, len);
	bench_client_complete(b, c, false);
}

// Takes a head's bytes; returns how many. 0: no head, or longer than any answer's.
static size_t head_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	bool whole;
	size_t all, n = words_head_take(&b->words, c->part, c->part_len, data, len, &whole);

	if (whole && c->part_len == 0) {
		head_handle(b, c, data, n);
		return n;
	}
	if (c->part_len + n > sizeof(c->part))
		return 0;
	memcpy(c->part + c->part_len, data, n);
	c->part_len += (uint16_t)n;
	if (whole) {
		all = c->part_len;
		c->part_len = 0;
		head_handle(b, c, c->part, all);
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
	if (c->value_left == 0)
		value_whole(b, c);
	return n;
}

static size_t value_end_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	size_t n = c->part_len ? 0 : words_tail_match(&b->words, data, len);
	const char *end = words_value_end(&b->words);
	size_t end_len = strlen(end);

	if (n) { // mostly it comes in one piece
		c->hits++;
		bench_client_complete(b, c, true);
		return n;
	}
	n = base_min_u64(len, end_len - c->part_len);
	if (memcmp(data, end + c->part_len, n) != 0)
		return 0;
	c->part_len += (uint16_t)n;
	if (c->part_len == end_len)
		value_done(b, c);
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
		if (c->expect == BENCH_VALUE)
			n = value_feed(b, c, data, len);
		else if (c->expect == BENCH_HEAD)
			n = head_feed(b, c, data, len);
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
