// SPDX-License-Identifier: BSD-3-Clause
// The file's parts as bytes. docs/modules/snapshot.md draws them.
#include <endian.h>

#include "snapshot/snapshot_internal.h"

#define SUM_BYTES 8u

static void put16(char *to, uint16_t v)
{
	v = htole16(v);
	memcpy(to, &v, sizeof(v));
}

static void put32(char *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

static uint16_t get16(const char *from)
{
	uint16_t v;

	memcpy(&v, from, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(const char *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const char *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return le64toh(v);
}

void snapshot_sum_put(char *to, const char *from, uint64_t n)
{
	put64(to, base_hash(from, n));
}

// ---- header -------------------------------------------------------------------------------------
void snapshot_header_put(char *to, const struct snapshot_info *info)
{
	memset(to, 0, SNAPSHOT_HEADER);
	memcpy(to, SNAPSHOT_MAGIC, 8);
	put32(to + 16, SNAPSHOT_VERSION);
	put32(to + 20, SNAPSHOT_HEADER);
	put64(to + 24, info->wall_s);
	put32(to + 32, info->shards);
	put32(to + 36, info->file);
	put32(to + 40, info->block_bytes);
	snapshot_sum_put(to + 8, to + 16, SNAPSHOT_HEADER - 16);
}

const char *snapshot_header_get(const char *from, struct snapshot_info *info)
{
	if (memcmp(from, SNAPSHOT_MAGIC, 8) != 0)
		return "this is no snapshot";
	if (get64(from + 8) != base_hash(from + 16, SNAPSHOT_HEADER - 16))
		return "the header's sum is wrong";
	if (get32(from + 16) != SNAPSHOT_VERSION || get32(from + 20) != SNAPSHOT_HEADER)
		return "a version of the format that is not known here";
	*info = (struct snapshot_info){
		.wall_s = get64(from + 24),
		.shards = get32(from + 32),
		.file = get32(from + 36),
		.block_bytes = get32(from + 40),
	};
	if (info->block_bytes < SNAPSHOT_BLOCK_MIN || info->block_bytes > SNAPSHOT_BLOCK_BYTES)
		return "the header's block size is out of range";
	return NULL;
}

// ---- blocks -------------------------------------------------------------------------------------
void snapshot_block_put(char *to, const struct snapshot_block *b)
{
	put32(to + 8, SNAPSHOT_BLOCK_MAGIC);
	put32(to + 12, b->file);
	put32(to + 16, b->number);
	put32(to + 20, b->bytes);
	put32(to + 24, b->items);
	put32(to + 28, b->rest);
	snapshot_sum_put(to, to + SUM_BYTES, SNAPSHOT_BLOCK_HEAD - SUM_BYTES + b->bytes);
}

const char *snapshot_block_get(const char *from, struct snapshot_block *b)
{
	if (get32(from + 8) != SNAPSHOT_BLOCK_MAGIC)
		return "neither a block nor the file's end";
	*b = (struct snapshot_block){
		.file = get32(from + 12),
		.number = get32(from + 16),
		.bytes = get32(from + 20),
		.items = get32(from + 24),
		.rest = get32(from + 28),
	};
	return NULL;
}

bool snapshot_block_sound(const char *from, uint32_t bytes)
{
	return get64(from) == base_hash(from + SUM_BYTES, SNAPSHOT_BLOCK_HEAD - SUM_BYTES + bytes);
}

// ---- items --------------------------------------------------------------------------------------
void snapshot_item_put(char *to, const struct snapshot_item *it)
{
	put64(to, it->cas);
	put32(to + 8, it->deadline_s);
	put32(to + 12, it->value_bytes);
	put32(to + 16, it->client_flags);
	put16(to + 20, it->bits);
	to[22] = (char)it->key_len;
	to[23] = 0;
	memcpy(to + SNAPSHOT_ITEM_HEAD, it->key, it->key_len);
}

void snapshot_item_get(const char *from, struct snapshot_item *it)
{
	*it = (struct snapshot_item){
		.cas = get64(from),
		.deadline_s = get32(from + 8),
		.value_bytes = get32(from + 12),
		.client_flags = get32(from + 16),
		.bits = get16(from + 20),
		.key_len = (uint8_t)from[22],
		.key = from + SNAPSHOT_ITEM_HEAD,
	};
}

// ---- trailer ------------------------------------------------------------------------------------
void snapshot_trailer_put(char *to, const struct snapshot_trailer *t)
{
	put32(to + 8, SNAPSHOT_END_MAGIC);
	put32(to + 12, t->file);
	put32(to + 16, t->blocks);
	put32(to + 20, 0);
	put64(to + 24, t->items);
	put64(to + 32, t->bytes);
	put64(to + 40, t->cas_next);
	put64(to + 48, t->wall_s);
	snapshot_sum_put(to, to + SUM_BYTES, SNAPSHOT_TRAILER - SUM_BYTES);
}

bool snapshot_is_trailer(const char *from)
{
	return get32(from + 8) == SNAPSHOT_END_MAGIC;
}

const char *snapshot_trailer_get(const char *from, struct snapshot_trailer *t)
{
	if (!snapshot_is_trailer(from))
		return "the file does not end as a snapshot does: it is torn";
	if (get64(from) != base_hash(from + SUM_BYTES, SNAPSHOT_TRAILER - SUM_BYTES))
		return "the trailer's sum is wrong";
	*t = (struct snapshot_trailer){
		.file = get32(from + 12),
		.blocks = get32(from + 16),
		.items = get64(from + 24),
		.bytes = get64(from + 32),
		.cas_next = get64(from + 40),
		.wall_s = get64(from + 48),
	};
	return NULL;
}
