// SPDX-License-Identifier: BSD-3-Clause
#include "constant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "binary.h"
#include "options.h"

#define PART_MAX_BYTES (512u << 10) // a get of a thousand of the longest keys
#define HEAD_MAX       32           // of a value
#define VERB           4            // "get "; meta's have one byte less

int constant_open(struct constant *k, uint8_t commands, uint32_t value_bytes)
{
	bool lines = commands != COMMANDS_BINARY;
	int head = 0;

	*k = (struct constant){.commands = commands, .value_bytes = value_bytes};
	k->tail = malloc(HEAD_MAX + (size_t)value_bytes + 2);
	if (k->tail == NULL)
		return -ENOMEM;
	if (lines)
		head = snprintf(k->tail, HEAD_MAX,
			commands == COMMANDS_META ? "VA %u f0\r\n" : " 0 %u\r\n", value_bytes);
	memset(k->tail + head, 'c', value_bytes);
	memcpy(k->tail + head + value_bytes, "\r\n", 2);
	k->tail_len = (size_t)head + value_bytes + (lines ? 2 : 0);
	return 0;
}

void constant_close(struct constant *k)
{
	free(k->tail);
}

void constant_conn_close(struct constant_conn *c)
{
	free(c->part);
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
	bool meta = k->commands == COMMANDS_META;

	if (len <= VERB + 2)
		return false;
	if (!meta && !memcmp(line, "get ", 4)) {
		keys_answer(k, line + VERB, line + len - 2, put, arg);
	} else if (meta && !memcmp(line, "mg ", 3)) {
		put(arg, k->tail, k->tail_len);
	} else if (!memcmp(line, meta ? "ms " : "set ", meta ? 3 : 4)) {
		c->skip = k->value_bytes + (size_t)2;
		put(arg, meta ? "HD\r\n" : "STORED\r\n", meta ? 4 : 8);
	} else {
		return false;
	}
	return true;
}

// A whole head: header, extras, key.
static bool packet_answer(const struct constant *k, struct constant_conn *c, const char *head,
	constant_put put, void *arg)
{
	struct binary_header h = binary_header_read(head), out = {.magic = BINARY_REPLY};
	const char *key = head + BINARY_HEADER + h.extras_len;
	char reply[BINARY_HEADER + BINARY_GET_EXTRAS];
	bool get = h.opcode == BINARY_GET || h.opcode == BINARY_GETKQ;

	if (h.status || (!get && h.opcode != BINARY_SET && h.opcode != BINARY_NOOP))
		return false;
	out.opcode = h.opcode;
	out.opaque = h.opaque;
	out.extras_len = get ? BINARY_GET_EXTRAS : 0;
	out.key_len = h.opcode == BINARY_GETKQ ? h.key_len : 0;
	out.body_len = get ? BINARY_GET_EXTRAS + out.key_len + k->value_bytes : 0;
	binary_u32_put(binary_header_put(reply, &out), 0); // flags
	put(arg, reply, BINARY_HEADER + (size_t)out.extras_len);
	put(arg, key, out.key_len);
	if (get)
		put(arg, k->tail, k->tail_len);
	c->skip = h.body_len - h.extras_len - h.key_len;
	return true;
}

static bool part_keep(struct constant_conn *c, const char *data, size_t len)
{
	char *part;

	if (c->part_len + len > PART_MAX_BYTES)
		return false;
	part = realloc(c->part, c->part_len + len);
	if (part == NULL)
		return false;
	memcpy(part + c->part_len, data, len);
	c->part = part;
	c->part_len += len;
	return true;
}

// How many bytes of data belong to the line or head of which a part has come; `whole`: it ends with
// them. 0: none.
static size_t part_take(const struct constant *k, const struct constant_conn *c, const char *data,
	size_t len, bool *whole)
{
	const char *end;

	if (k->commands == COMMANDS_BINARY)
		return binary_head_take(BINARY_REQUEST, c->part, c->part_len, data, len, whole);
	end = memchr(data, '\n', len);
	*whole = end != NULL;
	return end ? (size_t)(end - data) + 1 : len;
}

static bool answer(const struct constant *k, struct constant_conn *c, const char *data, size_t len,
	constant_put put, void *arg)
{
	return k->commands == COMMANDS_BINARY ? packet_answer(k, c, data, put, arg)
					      : line_answer(k, c, data, len, put, arg);
}

bool constant_feed(const struct constant *k, struct constant_conn *c, const char *data, size_t len,
	constant_put put, void *arg)
{
	while (len) {
		size_t n = base_min_u64(len, c->skip);
		bool good, whole;

		if (n) {
			c->skip -= n;
			data += n;
			len -= n;
			continue;
		}
		n = part_take(k, c, data, len, &whole);
		if (n == 0)
			return false;
		if (whole && c->part_len == 0) {
			good = answer(k, c, data, n, put, arg);
		} else {
			good = part_keep(c, data, n);
			if (good && whole) {
				good = answer(k, c, c->part, c->part_len, put, arg);
				c->part_len = 0;
			}
		}
		if (!good)
			return false;
		data += n;
		len -= n;
	}
	return true;
}
