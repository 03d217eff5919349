// SPDX-License-Identifier: BSD-3-Clause
#include "constant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define LINE_MAX_BYTES (512u << 10) // a get of a thousand of the longest keys
#define HEAD_MAX       32           // of a value
#define VERB           4            // "get "; meta's have one byte less

int constant_open(struct constant *k, bool meta, uint32_t value_bytes)
{
	int head;

	*k = (struct constant){.meta = meta, .value_bytes = value_bytes};
	k->tail = malloc(HEAD_MAX + (size_t)value_bytes + 2);
	if (k->tail == NULL)
		return -ENOMEM;
	head = snprintf(k->tail, HEAD_MAX, meta ? "VA %u f0\r\n" : " 0 %u\r\n", value_bytes);
	memset(k->tail + head, 'c', value_bytes);
	memcpy(k->tail + head + value_bytes, "\r\n", 2);
	k->tail_len = (size_t)head + value_bytes + 2;
	return 0;
}

void constant_close(struct constant *k)
{
	free(k->tail);
}

void constant_conn_close(struct constant_conn *c)
{
	free(c->line);
	*c = (struct constant_conn){0};
}

static void keys_answer(
	const struct constant *k, const char *at, const char *end, constant_put put, void *arg)
{
	while (at < end) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		const char *key_end = space ? space : end;

		put(arg, "VALUE ", 6);
		put(arg, at, (size_t)(key_end - at));
		put(arg, k->tail, k->tail_len);
		at = key_end + 1;
	}
	put(arg, "END\r\n", 5);
}

// A whole line, its "\r\n" included.
static bool line_answer(const struct constant *k, struct constant_conn *c, const char *line,
	size_t len, constant_put put, void *arg)
{
	if (len <= VERB + 2)
		return false;
	if (!k->meta && !memcmp(line, "get ", 4)) {
		keys_answer(k, line + VERB, line + len - 2, put, arg);
	} else if (k->meta && !memcmp(line, "mg ", 3)) {
		put(arg, k->tail, k->tail_len);
	} else if (!memcmp(line, k->meta ? "ms " : "set ", k->meta ? 3 : 4)) {
		c->skip = k->value_bytes + (size_t)2;
		put(arg, k->meta ? "HD\r\n" : "STORED\r\n", k->meta ? 4 : 8);
	} else {
		return false;
	}
	return true;
}

static bool line_keep(struct constant_conn *c, const char *data, size_t len)
{
	char *line;

	if (c->line_len + len > LINE_MAX_BYTES)
		return false;
	line = realloc(c->line, c->line_len + len);
	if (line == NULL)
		return false;
	memcpy(line + c->line_len, data, len);
	c->line = line;
	c->line_len += len;
	return true;
}

bool constant_feed(const struct constant *k, struct constant_conn *c, const char *data, size_t len,
	constant_put put, void *arg)
{
	while (len) {
		size_t n = base_min_u64(len, c->skip);
		const char *end;
		bool good;

		if (n) {
			c->skip -= n;
			data += n;
			len -= n;
			continue;
		}
		end = memchr(data, '\n', len);
		n = end ? (size_t)(end - data) + 1 : len;
		if (end && c->line_len == 0) {
			good = line_answer(k, c, data, n, put, arg);
		} else {
			good = line_keep(c, data, n);
			if (good && end) {
				good = line_answer(k, c, c->line, c->line_len, put, arg);
				c->line_len = 0;
			}
		}
		if (!good)
			return false;
		data += n;
		len -= n;
	}
	return true;
}
