// SPDX-License-Identifier: BSD-3-Clause
// A file being read: a block at a time, nothing of which is believed before its sum is right.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/snapshot_internal.h"

#define NO_BLOCK UINT64_MAX

struct snapshot_reader {
	struct snapshot_source src;
	struct snapshot_info info;
	struct snapshot_fault fault;
	bool begun, ended, faulty;
	uint64_t byte;       // of the file, behind what was read
	uint64_t block_byte; // where the present block begins
	uint32_t blocks;     // whole ones read
	struct snapshot_block block;
	uint32_t at;    // of its payload
	uint32_t items; // of it, so far
	uint32_t rest;  // of the present value, unread
	uint64_t items_all, bytes_all;
	char *buf; // a block with its head
};

int snapshot_reader_open(struct snapshot_reader **out, const struct snapshot_source *src)
{
	struct snapshot_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->buf = malloc(SNAPSHOT_BLOCK_HEAD + SNAPSHOT_BLOCK_BYTES);
	if (r->buf == NULL) {
		free(r);
		return -ENOMEM;
	}
	r->src = *src;
	*out = r;
	return 0;
}

void snapshot_reader_close(struct snapshot_reader *r)
{
	free(r->buf);
	free(r);
}

static bool fault_at(struct snapshot_reader *r, uint64_t byte, uint64_t block, const char *what)
{
	if (!r->faulty)
		r->fault = (struct snapshot_fault){.byte = byte, .block = block, .what = what};
	r->faulty = true;
	return false;
}

// All n bytes. False: a fault.
static bool bytes_read(struct snapshot_reader *r, char *to, uint64_t n, uint64_t block)
{
	while (n > 0) {
		int64_t got = r->src.read(r->src.arg, to, n);

		if (got < 0)
			return fault_at(r, r->byte, block, strerror((int)-got));
		if (got == 0)
			return fault_at(r, r->byte, block, "the file ends here: it is torn");
		base_assert((uint64_t)got <= n);
		to += got;
		n -= (uint64_t)got;
		r->byte += (uint64_t)got;
	}
	return true;
}

static bool header_read(struct snapshot_reader *r)
{
	const char *what;

	r->begun = true;
	if (!bytes_read(r, r->buf, SNAPSHOT_HEADER, NO_BLOCK))
		return false;
	what = snapshot_header_get(r->buf, &r->info);
	return what == NULL || fault_at(r, 0, NO_BLOCK, what);
}

// ---- parts --------------------------------------------------------------------------------------
// Its head has been read. All is over then, one way or the other.
static bool trailer_read(struct snapshot_reader *r)
{
	uint64_t at = r->byte - SNAPSHOT_BLOCK_HEAD;
	struct snapshot_trailer t;
	const char *what;
	int64_t more;
	char one;

	if (!bytes_read(r, r->buf + SNAPSHOT_BLOCK_HEAD, SNAPSHOT_TRAILER - SNAPSHOT_BLOCK_HEAD,
		    NO_BLOCK))
		return false;
	what = snapshot_trailer_get(r->buf, &t);
	if (what == NULL && t.file != r->info.file)
		what = "the trailer is another file's";
	if (what == NULL && t.blocks != r->blocks)
		what = "blocks are missing before the trailer";
	if (what == NULL && (t.items != r->items_all || t.bytes != r->bytes_all))
		what = "the trailer counts other items or bytes than there were";
	if (what == NULL && r->rest > 0)
		what = "the last value is not whole";
	if (what != NULL)
		return fault_at(r, at, NO_BLOCK, what);
	more = r->src.read(r->src.arg, &one, 1);
	if (more != 0)
		return fault_at(r, r->byte, NO_BLOCK,
			more < 0 ? strerror((int)-more) : "something follows the trailer");
	r->info.items = t.items;
	r->info.bytes = t.bytes;
	r->info.cas_next = t.cas_next;
	r->ended = true;
	return true;
}

static const char *block_check(const struct snapshot_reader *r)
{
	const struct snapshot_block *b = &r->block;
	uint32_t rest = r->rest < b->bytes ? r->rest : b->bytes;

	if (!snapshot_block_sound(r->buf, b->bytes))
		return "its sum is wrong";
	if (b->file != r->info.file)
		return "it is another file's";
	if (b->number != r->blocks)
		return "it is not the next one";
	if (b->rest != rest)
		return "it does not go on with the value before it";
	return NULL;
}

// The next block, or the end. False: a fault.
static bool block_read(struct snapshot_reader *r)
{
	const char *what;

	r->block_byte = r->byte;
	if (!bytes_read(r, r->buf, SNAPSHOT_BLOCK_HEAD, r->blocks))
		return false;
	if (snapshot_is_trailer(r->buf))
		return trailer_read(r);
	what = snapshot_block_get(r->buf, &r->block);
	if (what == NULL && (r->block.bytes == 0 || r->block.bytes > r->info.block_bytes))
		what = "its length is out of range";
	if (what != NULL)
		return fault_at(r, r->block_byte, r->blocks, what);
	if (!bytes_read(r, r->buf + SNAPSHOT_BLOCK_HEAD, r->block.bytes, r->blocks))
		return false;
	what = block_check(r);
	if (what != NULL)
		return fault_at(r, r->block_byte, r->blocks, what);
	r->at = 0;
	r->items = 0;
	r->blocks++;
	r->bytes_all += r->block.bytes;
	return true;
}

static bool block_over(const struct snapshot_reader *r)
{
	return r->at == r->block.bytes;
}

// All items of the present block have been met: as many as it says.
static bool block_end(struct snapshot_reader *r)
{
	return r->items == r->block.items ||
		fault_at(r, r->block_byte, r->blocks - 1, "it counts other items than there are");
}

// ---- items --------------------------------------------------------------------------------------
static bool item_read(struct snapshot_reader *r, struct snapshot_item *it)
{
	const char *at = r->buf + SNAPSHOT_BLOCK_HEAD + r->at;
	uint32_t left = r->block.bytes - r->at;
	uint64_t byte = r->block_byte + SNAPSHOT_BLOCK_HEAD + r->at;

	if (left < SNAPSHOT_ITEM_HEAD)
		return fault_at(r, byte, r->blocks - 1, "an item's head is cut");
	snapshot_item_get(at, it);
	if (it->key_len == 0 || at[23] != 0 || (it->bits & ~SNAPSHOT_BITS) != 0)
		return fault_at(r, byte, r->blocks - 1, "an item's head is none");
	if (left < SNAPSHOT_ITEM_HEAD + it->key_len)
		return fault_at(r, byte, r->blocks - 1, "an item's key is cut");
	r->at += SNAPSHOT_ITEM_HEAD + it->key_len;
	r->rest = it->value_bytes;
	r->items++;
	r->items_all++;
	return true;
}

int snapshot_reader_value(struct snapshot_reader *r, const char **piece, uint32_t *bytes)
{
	if (r->faulty)
		return -1;
	if (r->rest == 0)
		return 0;
	if (block_over(r) && (!block_end(r) || !block_read(r)))
		return -1;
	base_assert(!r->ended); // a trailer in the middle of a value is a fault
	*piece = r->buf + SNAPSHOT_BLOCK_HEAD + r->at;
	*bytes = r->block.bytes - r->at;
	*bytes = *bytes < r->rest ? *bytes : r->rest;
	r->at += *bytes;
	r->rest -= *bytes;
	return 1;
}

enum snapshot_got snapshot_reader_next(struct snapshot_reader *r, struct snapshot_item *it)
{
	const char *piece;
	uint32_t bytes;

	if (!r->begun && !header_read(r))
		return SNAPSHOT_GOT_FAULT;
	while (!r->faulty && snapshot_reader_value(r, &piece, &bytes) > 0)
		;
	while (!r->faulty && !r->ended && block_over(r)) {
		if (block_end(r))
			block_read(r);
	}
	if (r->faulty)
		return SNAPSHOT_GOT_FAULT;
	if (r->ended)
		return SNAPSHOT_GOT_END;
	return item_read(r, it) ? SNAPSHOT_GOT_ITEM : SNAPSHOT_GOT_FAULT;
}

// ---- what is known ------------------------------------------------------------------------------
const struct snapshot_fault *snapshot_reader_fault(const struct snapshot_reader *r)
{
	return r->faulty ? &r->fault : NULL;
}

const struct snapshot_info *snapshot_reader_info(const struct snapshot_reader *r)
{
	return &r->info;
}

uint64_t snapshot_reader_bytes(const struct snapshot_reader *r)
{
	return r->byte;
}

void snapshot_fault_format(const struct snapshot_fault *f, char *buf, size_t len)
{
	if (f->block == NO_BLOCK)
		snprintf(buf, len, "at byte %llu: %s", (unsigned long long)f->byte, f->what);
	else
		snprintf(buf, len, "block %llu at byte %llu: %s", (unsigned long long)f->block,
			(unsigned long long)f->byte, f->what);
}
