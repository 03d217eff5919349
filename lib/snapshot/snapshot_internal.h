// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/snapshot share: the format, the file being written, a worker's ring.
#pragma once

#include "base/base_ring.h"
#include "snapshot/snapshot.h"

// ---- snapshot_format.c -------------------------------------------------------------------------
#define SNAPSHOT_VERSION     1
#define SNAPSHOT_MAGIC       "LCSNAP\r\n" // a text transfer would change it
#define SNAPSHOT_HEADER      64u
#define SNAPSHOT_BLOCK_HEAD  32u
#define SNAPSHOT_TRAILER     56u
#define SNAPSHOT_ITEM_HEAD   24u
#define SNAPSHOT_BLOCK_MAGIC UINT32_C(0x4b42434c) // "LCBK"
#define SNAPSHOT_END_MAGIC   UINT32_C(0x444e434c) // "LCND"

struct snapshot_block { // head of one
	uint32_t file, number, bytes, items, rest;
};

struct snapshot_trailer {
	uint32_t file, blocks;
	uint64_t items, bytes, cas_next, wall_s;
};

// Into places of as many bytes as their names say. A block's payload stands behind its head
// already.
void snapshot_header_put(char *to, const struct snapshot_info *info);
void snapshot_block_put(char *to, const struct snapshot_block *b);
void snapshot_trailer_put(char *to, const struct snapshot_trailer *t);
void snapshot_item_put(char *to, const struct snapshot_item *it);
// What is wrong, or NULL. Of a block first the head, by which its bytes are known, then its sum.
const char *snapshot_header_get(const char *from, struct snapshot_info *info);
const char *snapshot_block_get(const char *from, struct snapshot_block *b);
bool snapshot_block_sound(const char *from, uint32_t bytes);
const char *snapshot_trailer_get(const char *from, struct snapshot_trailer *t);
bool snapshot_is_trailer(const char *from); // 12 bytes
void snapshot_item_get(const char *from, struct snapshot_item *it);
// The sum of n bytes, as a part has it.
void snapshot_sum_put(char *to, const char *from, uint64_t n);

// ---- snapshot_file.c: the writer's -------------------------------------------------------------
struct snapshot_file {
	int fd;
	int error;
	char *block; // head and payload
	uint32_t used, block_items, rest;
	uint32_t file, blocks, block_bytes;
	uint64_t items, bytes; // of whole blocks written; other threads read them
	uint64_t items_all, bytes_all;
	uint64_t written, synced; // bytes of the file
};

// fd is taken over, and closed by snapshot_file_close. block_bytes: of payload. 0 or -errno.
int snapshot_file_open(struct snapshot_file *f, int fd, const struct snapshot_info *info);
// An error stays, and nothing is written any more.
void snapshot_file_item(
	struct snapshot_file *f, const struct snapshot_item *it, const struct store_span value[2]);
// The rest, the trailer, and all of it to the disk.
void snapshot_file_end(struct snapshot_file *f, uint64_t cas_next, uint64_t wall_s);
void snapshot_file_close(struct snapshot_file *f);

// ---- snapshot_load.c ---------------------------------------------------------------------------
// The file and its size. A descriptor or -errno.
int snapshot_path_open(const char *path, uint64_t *bytes);

// ---- snapshot_feed.c ---------------------------------------------------------------------------
// As of a snapshot_source: waits for bytes. Its reader's thread.
int64_t snapshot_feed_read(struct snapshot_feed *f, unsigned reader, void *to, uint64_t n);
// This reader wants no more: the others do not wait for it.
void snapshot_feed_leave(struct snapshot_feed *f, unsigned reader);
uint64_t snapshot_feed_bytes(const struct snapshot_feed *f); // the file's size

// ---- snapshot_tap.c ----------------------------------------------------------------------------
#define SNAPSHOT_COPY_BYTES 1024u // longer values are read where they lie
#define SNAPSHOT_PINS       256u  // at once; a power of two
#define SNAPSHOT_PIN_BYTES  (1u << 20)
#define SNAPSHOT_RING_MIN   (128u << 10)

//   words: of 8 bytes, with the head; never 0
struct snapshot_record {
	uint32_t words;
	uint32_t value_bytes;
	uint64_t cas;
	uint32_t deadline_s, client_flags;
	uint16_t bits;
	uint8_t key_len;
	bool pinned;
	uint32_t unused;
	char data[]; // key, and the value; or, from a whole word on, struct snapshot_pinned
};
static_assert(sizeof(struct snapshot_record) == 32, "whole words");

struct snapshot_pinned {
	struct store_item *item;
	struct store_span value[2];
};

enum snapshot_phase { SNAPSHOT_TAP_NEW, SNAPSHOT_TAP_WALK, SNAPSHOT_TAP_ENDED };

struct snapshot_tap {
	struct base_ring ring; // the worker writes, the writer reads
	// the worker's
	_Alignas(BASE_CACHE_LINE) struct store_cursor cursor;
	uint64_t flushed;   // by the store, before
	uint32_t back_tail; // pins taken back
	uint32_t pins;      // ... and not yet
	uint64_t pinned_bytes;
	uint8_t phase; // enum snapshot_phase
	bool full;     // the last items had no room
	// ... read by the writer
	uint64_t pinned_most;
	uint64_t cas_next;
	bool ended, flushed_since; // published with ended
	// the writer's
	_Alignas(BASE_CACHE_LINE) uint32_t back_head;
	bool stop; // the worker may end its walk
	struct store_item *back[SNAPSHOT_PINS];
};

// bytes: a power of two. 0 or -ENOMEM.
int snapshot_tap_open(struct snapshot_tap *t, uint32_t bytes);
void snapshot_tap_close(struct snapshot_tap *t);
// The writer's: the oldest record, or NULL; it stays until it is passed.
const struct snapshot_record *snapshot_tap_peek(struct snapshot_tap *t);
// Gives its pin back, too.
void snapshot_tap_pass(struct snapshot_tap *t, const struct snapshot_record *r);
struct snapshot_pinned *snapshot_record_pinned(const struct snapshot_record *r);
