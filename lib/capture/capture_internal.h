// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/capture share: a filter, a worker's ring, the file.
#pragma once

#include "base/base_ring.h"
#include "capture/capture.h"

// ---- capture_filter.c --------------------------------------------------------------------------
struct rte_bpf;

struct capture_filter {
	struct rte_bpf *program;    // NULL: everything matches
	uint64_t (*match)(void *m); // machine code; NULL: interpreted
};

// 0 or -EINVAL with one line in err.
int capture_filter_open(struct capture_filter *f, const char *text, char *err, size_t err_len);
void capture_filter_close(struct capture_filter *f);
bool capture_filter_match(const struct capture_filter *f, struct rte_mbuf *m);

// ---- capture_tap.c -----------------------------------------------------------------------------
//   0       16      32      48    56    64          128
//   +-------+-------+-------+-----+-----+-----------+-------------+
//   | words | kept  | wire  | way | -   | time_us   | frame, pad  |   in bits
//   +-------+-------+-------+-----+-----+-----------+-------------+
// words: of 8 bytes, head and pad included; never 0.
struct capture_record {
	uint16_t words, kept;
	uint16_t wire; // of a frame longer than that: 65,535
	uint8_t way, unused;
	uint64_t time_us;
	char frame[];
};
static_assert(sizeof(struct capture_record) == 16, "whole words");

struct capture_tap {
	struct base_ring ring; // the worker writes, the capture's writer reads
	// the worker's
	_Alignas(BASE_CACHE_LINE) uint64_t seen, dropped;
	// read-only
	_Alignas(BASE_CACHE_LINE) uint32_t snap_bytes;
	const struct capture_filter *filter;
};

// bytes: a power of two. 0 or -ENOMEM.
int capture_tap_open(struct capture_tap *t, uint32_t bytes, uint32_t snap_bytes,
	const struct capture_filter *filter);
void capture_tap_close(struct capture_tap *t);
// The reader's: the oldest record, or NULL; it stays until it is passed.
const struct capture_record *capture_tap_peek(struct capture_tap *t);
void capture_tap_pass(struct capture_tap *t, const struct capture_record *r);

// ---- capture_file.c ----------------------------------------------------------------------------
#define CAPTURE_BATCH 32 // frames of one write

struct capture_file {
	int fd;
	void *png; // rte_pcapng_t
	struct rte_mempool *pool;
	uint16_t port;
	uint64_t epoch_ns, size_bytes;
	uint64_t bytes;   // written, whole blocks
	uint64_t packets; // written
	uint64_t batch_bytes;
	unsigned batched;
	struct rte_mbuf *batch[CAPTURE_BATCH];
};

enum capture_put { CAPTURE_PUT_OK, CAPTURE_PUT_FULL, CAPTURE_PUT_FAILED };

// Makes the file. 0 or -errno with one line in err; the file is gone then.
int capture_file_open(struct capture_file *f, const char *path, uint64_t size_bytes,
	uint64_t epoch_ns, char *err, size_t err_len);
// FULL: it would be longer than size_bytes. FAILED: an mbuf is missing.
enum capture_put capture_file_put(
	struct capture_file *f, unsigned worker, const struct capture_record *r);
// Writes what was put. 0 or -errno, the file cut behind its last whole block.
int capture_file_flush(struct capture_file *f);
// Writes the statistics and closes the file.
void capture_file_end(struct capture_file *f, const struct capture_state *s, uint64_t now_us);
// Frees the rest, after that.
void capture_file_close(struct capture_file *f);
