// SPDX-License-Identifier: BSD-3-Clause
// snapshot: every item of a server in a file, written by a thread of its own from what the workers
// hand over in slices; and a file's items back into the shards. See docs/modules/snapshot.md.
//
// Owner thread: the control core's for a snapshot, but for its taps, each of which is a worker's,
// and snapshot_turn, which is the writer's.
//
//	snapshot_open(&sn, &(struct snapshot_options){...}, err, sizeof(err));
//	// a thread: while (snapshot_turn(sn)) nap;
//	// each worker, in slices: snapshot_tap_slice(snapshot_tap(sn, id), store, 512);
//	if (snapshot_finished(sn)) { ...all workers leave their taps...; snapshot_close(sn); }
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "store/store.h"

#define SNAPSHOT_WORKERS_MAX 64
#define SNAPSHOT_NAME_MAX    128
#define SNAPSHOT_PATH_MAX    512
#define SNAPSHOT_BLOCK_BYTES (256u << 10) // of payload; a file may say less
#define SNAPSHOT_BLOCK_MIN   1024u

struct snapshot;
struct snapshot_tap;

// ---- an item, in and out -----------------------------------------------------------------------
#define SNAPSHOT_BITS (STORE_ITEM_FETCHED | STORE_ITEM_STALE | STORE_ITEM_WON | STORE_ITEM_BASE64)
static_assert(SNAPSHOT_BITS == 0x4e, "files rely on it");

struct snapshot_item {
	uint64_t cas;
	uint32_t deadline_s; // Unix time; 0: none
	uint32_t value_bytes;
	uint32_t client_flags;
	uint16_t bits; // of SNAPSHOT_BITS
	uint8_t key_len;
	const char *key;
};

// ---- writing -----------------------------------------------------------------------------------
struct snapshot_options {
	const char *dir, *name; // a name alone: letters, digits, '.', '_', '-', no '.' first
	unsigned workers;
	uint64_t wall_s;
	uint32_t ring_bytes; // a worker's, a power of two; 0: 4 MiB over all
};

// 0, or -EINVAL for the name with one line in err.
int snapshot_name_check(const char *name, char *err, size_t err_len);
// Makes the temporary file and the rings. 0 or -errno with one line in err.
int snapshot_open(
	struct snapshot **sn, const struct snapshot_options *opt, char *err, size_t err_len);
struct snapshot_tap *snapshot_tap(struct snapshot *sn, unsigned worker);
const char *snapshot_path(const struct snapshot *sn);

enum snapshot_go { SNAPSHOT_GO_ON, SNAPSHOT_GO_IDLE, SNAPSHOT_GO_END };
// The writer's: takes what the rings have, and writes. IDLE: that was all for now. END: the file
// stands under its name, or is gone for an error; never call it again.
enum snapshot_go snapshot_turn(struct snapshot *sn, uint64_t wall_s);
// Any thread: gives it up.
void snapshot_cancel(struct snapshot *sn);
// Any thread: the writer has come to the end.
bool snapshot_finished(const struct snapshot *sn);

struct snapshot_state {
	bool finished;
	int error;             // of the result; 0: none
	const char *what;      // ... in words, or NULL
	uint64_t items, bytes; // in the file
	uint64_t extra_bytes;  // memory: rings, block, and the most that was pinned
};
// Any thread.
void snapshot_state_get(const struct snapshot *sn, struct snapshot_state *out);
// Finished, and no worker has a tap any more.
void snapshot_close(struct snapshot *sn);
// Never begun: no worker and no writer has seen it.
void snapshot_drop(struct snapshot *sn);

// ---- a worker's end ----------------------------------------------------------------------------
// One slice of the walk, of about `units` (some 50 ns each; an item is two and one more for each
// 256 bytes that are copied). What is left of them: above 0 there is nothing to be done now, since
// all has been handed over or the ring is full.
unsigned snapshot_tap_slice(struct snapshot_tap *t, struct store *s, unsigned units);
// The worker leaves a snapshot that has finished: every reference it took has come back.
void snapshot_tap_leave(struct snapshot_tap *t, struct store *s);
// The same for one that has not: waits for the writer to give the references back.
void snapshot_tap_abandon(struct snapshot_tap *t, struct store *s);

// ---- reading -----------------------------------------------------------------------------------
struct snapshot_fault { // why a file is refused, and where
	uint64_t byte;  // of the file
	uint64_t block; // UINT64_MAX: none
	const char *what;
};
// One line.
void snapshot_fault_format(const struct snapshot_fault *f, char *buf, size_t len);

struct snapshot_info { // header and trailer
	uint64_t wall_s;
	uint32_t shards, file, block_bytes;
	uint64_t items, bytes, cas_next; // of the trailer, when that has been read
};

// Where bytes come from: up to n of them, 0 at the end, or -errno.
struct snapshot_source {
	int64_t (*read)(void *arg, void *to, uint64_t n);
	void *arg;
};

enum snapshot_got { SNAPSHOT_GOT_ITEM, SNAPSHOT_GOT_END, SNAPSHOT_GOT_FAULT };

struct snapshot_reader;
// 0, or -ENOMEM. The header is read with the first item.
int snapshot_reader_open(struct snapshot_reader **r, const struct snapshot_source *src);
void snapshot_reader_close(struct snapshot_reader *r);
// The next item; its key is good until the next call of either. END: the trailer was right.
enum snapshot_got snapshot_reader_next(struct snapshot_reader *r, struct snapshot_item *it);
// The present item's value from where it was read to. 1: a piece; 0: there is no more; -1: a fault.
// What is not read is passed over by snapshot_reader_next.
int snapshot_reader_value(struct snapshot_reader *r, const char **piece, uint32_t *bytes);
const struct snapshot_fault *snapshot_reader_fault(const struct snapshot_reader *r);
const struct snapshot_info *snapshot_reader_info(const struct snapshot_reader *r);
// Of the file.
uint64_t snapshot_reader_bytes(const struct snapshot_reader *r);

// ---- a file for all shards ---------------------------------------------------------------------
struct snapshot_feed;
// readers: the shards, each of which is to get all of it. 0 or -errno with one line in err.
int snapshot_feed_open(
	struct snapshot_feed **f, const char *path, unsigned readers, char *err, size_t err_len);
// A thread of its own calls it until it returns false: all is read, or nobody wants more. It sleeps
// where the readers are behind, as they do where it is.
bool snapshot_feed_turn(struct snapshot_feed *f);
// Any thread: readers that still want something get -ECANCELED.
void snapshot_feed_cancel(struct snapshot_feed *f);
// After its thread and its readers.
void snapshot_feed_close(struct snapshot_feed *f);

// ---- into a shard ------------------------------------------------------------------------------
struct snapshot_load_options {
	struct snapshot_feed *feed; // has `shards` readers
	struct store *store;
	unsigned shard, shards;
	unsigned (*owner)(uint64_t hash, unsigned shards); // which shard has a key
	uint64_t items; // of the whole file (snapshot_file_check)
};

struct snapshot_loaded {
	uint64_t items;       // stored
	uint64_t expired;     // dropped: due already
	uint64_t left_out;    // no room, or too large
	uint64_t file_bytes;  // read so far
	uint64_t total_bytes; // the file's size
};

struct snapshot_load;
// 0 or -ENOMEM.
int snapshot_load_open(struct snapshot_load **l, const struct snapshot_load_options *opt);
// Some items, about `bytes` of the file. The shard's worker calls it, between turns.
enum snapshot_got snapshot_load_step(struct snapshot_load *l, uint64_t bytes);
void snapshot_load_get(const struct snapshot_load *l, struct snapshot_loaded *out);
// After a fault: one line.
void snapshot_load_fault(const struct snapshot_load *l, char *buf, size_t len);
void snapshot_load_close(struct snapshot_load *l);
// Header and trailer alone, before anything else is done. 0, -ENOENT, or -errno with one line in
// err.
int snapshot_file_check(const char *path, struct snapshot_info *out, char *err, size_t err_len);
