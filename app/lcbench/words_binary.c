// SPDX-License-Identifier: BSD-3-Clause
// Binary: requests and answers are packets (binary.h).
#include <stdio.h>

#include "base/base.h"
#include "binary.h"
#include "words_form.h"

static_assert(BINARY_HEADER + BINARY_SET_EXTRAS + WORDS_KEY_MAX <= WORDS_HEAD_MAX,
	"a packet with one key has room");

// ---- requests -----------------------------------------------------------------------------------

static size_t get_max(const struct words *w, uint32_t keys)
{
	return keys * (BINARY_HEADER + (size_t)w->key_size) + BINARY_HEADER;
}

static size_t set_max(const struct words *w)
{
	return BINARY_HEADER + BINARY_SET_EXTRAS + (size_t)w->key_size;
}

static char *get_put(const struct words *w, char *to, enum binary_opcode opcode, uint32_t key)
{
	to = binary_header_put(to,
		&(struct binary_header){.magic = BINARY_REQUEST,
			.opcode = (uint8_t)opcode,
			.key_len = (uint16_t)w->key_size,
			.body_len = w->key_size,
			.opaque = key});
	return words_key_put(w, to, key);
}

static size_t get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to)
{
	char *p = to;

	if (keys == 1)
		return (size_t)(get_put(w, p, BINARY_GET, key[0]) - to);
	for (uint32_t i = 0; i < keys; i++)
		p = get_put(w, p, BINARY_GETKQ, key[i]);
	p = binary_header_put(p,
		&(struct binary_header){
			.magic = BINARY_REQUEST, .opcode = BINARY_NOOP, .opaque = key[0]});
	return (size_t)(p - to);
}

static size_t set_write(const struct words *w, uint32_t key, uint32_t version, uint32_t size,
	uint32_t ttl_s, char *to)
{
	char *p = binary_header_put(to,
		&(struct binary_header){.magic = BINARY_REQUEST,
			.opcode = BINARY_SET,
			.extras_len = BINARY_SET_EXTRAS,
			.key_len = (uint16_t)w->key_size,
			.body_len = BINARY_SET_EXTRAS + w->key_size + size,
			.opaque = key});

	p = binary_u32_put(p, version);
	p = binary_u32_put(p, ttl_s);
	return (size_t)(words_key_put(w, p, key) - to);
}

static bool end_follows(uint32_t keys)
{
	return keys > 1;
}

// ---- answers ------------------------------------------------------------------------------------

static size_t head_take(
	const char *have, size_t have_len, const char *data, size_t len, bool *whole)
{
	return binary_head_take(BINARY_REPLY, have, have_len, data, len, whole);
}

// A hit: flags, and the key if it was asked for, which is the opaque's. A value follows.
static struct words_head value_read(
	const struct words *w, const struct binary_header *h, const char *extras)
{
	struct words_head out = {.kind = WORDS_WRONG, .key = h->opaque};
	bool key_told = h->opcode == BINARY_GETKQ;
	uint32_t key = h->opaque;

	if (h->extras_len != BINARY_GET_EXTRAS || h->key_len != (key_told ? w->key_size : 0))
		return out;
	if (key_told && (!words_key_take(w, extras + BINARY_GET_EXTRAS, &key) || key != h->opaque))
		return out;
	out.kind = WORDS_VALUE;
	out.version = binary_u32_read(extras);
	out.size = h->body_len - h->extras_len - h->key_len;
	return out;
}

static struct words_head head_read(const struct words *w, const char *head, size_t len)
{
	struct binary_header h = binary_header_read(head);
	struct words_head out = {.kind = WORDS_WRONG, .key = h.opaque};
	bool bare = h.status == BINARY_OK && h.body_len == 0;

	if (h.status == BINARY_OK && (h.opcode == BINARY_GET || h.opcode == BINARY_GETKQ))
		return value_read(w, &h, head + BINARY_HEADER);
	if (bare && h.opcode == BINARY_SET)
		out.kind = WORDS_STORED;
	else if (bare && h.opcode == BINARY_NOOP)
		out.kind = WORDS_END;
	else if (h.status == BINARY_NOT_FOUND && h.opcode == BINARY_GET)
		out.kind = WORDS_END;
	return out;
}

static void head_show(const char *head, size_t len, char *to)
{
	struct binary_header h = binary_header_read(head);
	int text_len = h.status ? (int)(len - BINARY_HEADER) : 0;

	snprintf(to, WORDS_SHOW_MAX, "opcode 0x%02x, opaque %u, status 0x%02x \"%.*s\"", h.opcode,
		h.opaque, h.status, text_len < 100 ? text_len : 100, head + BINARY_HEADER);
}

const struct words_form words_binary = {.value_end = "",
	.get_max = get_max,
	.set_max = set_max,
	.get_write = get_write,
	.set_write = set_write,
	.end_follows = end_follows,
	.head_take = head_take,
	.head_read = head_read,
	.head_show = head_show};
