// SPDX-License-Identifier: BSD-3-Clause
// capture: frames in and out of the device, to a pcapng file. Workers copy what matches into rings
// of their own; one thread, the writer, writes them, as a disk may be slow. See
// docs/modules/capture.md.
//
// Owner thread: the control core, but for capture_burst, which each worker calls for its own tap,
// and what is the writer's.
//
//	capture_open(&c, &options, err, sizeof(err));
//	capture_burst(capture_tap(c, id), m, n, CAPTURE_IN, now_us);  // the workers
//	capture_drain(c, now_us);                                     // the writer, again and again
//	... capture_over(c): the workers are told to leave, and have left ...
//	capture_write_end(c);                                         // the writer, at last
//	... capture_written(c) ...
//	capture_close(c, &state);
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "base/base.h"

#define CAPTURE_SNAP_MIN     64
#define CAPTURE_SNAP_MAX     16384
#define CAPTURE_SIZE_MIN     4096
#define CAPTURE_WORKERS_MAX  64
#define CAPTURE_NAME_MAX     128
#define CAPTURE_PATH_MAX     512
#define CAPTURE_DRAIN_FRAMES 2048 // of one capture_drain

enum capture_way { CAPTURE_IN, CAPTURE_OUT };

// What it matched, what became of it, why it ended.
enum capture_end {
	CAPTURE_RUNS,
	CAPTURE_STOPPED,
	CAPTURE_END_PACKETS,
	CAPTURE_END_SIZE,
	CAPTURE_END_TIME,
	CAPTURE_END_ERROR, // of the file: capture_state.error
};

struct capture_state {
	enum capture_end end;
	int error;        // -errno
	uint64_t packets; // in the file
	uint64_t bytes;   // of the file
	uint64_t seen;    // frames that the filter was asked about
	uint64_t dropped; // that it matched and no room was left for
};

struct capture_options {
	const char *dir, *name; // name: see capture_name_check
	const char *filter;     // NULL: every frame
	uint32_t snap_bytes;
	uint64_t size_bytes;  // most of the file
	uint64_t packets_max; // 0: no limit
	uint64_t end_us;      // of the monotonic clock; 0: no limit
	uint64_t epoch_ns;    // Unix time when the monotonic clock was 0
	unsigned workers;
	uint32_t ring_bytes; // of each worker; 0: the default. A power of two
};

struct capture;
struct capture_tap;

// DPDK memory of a capture that runs.
size_t capture_dpdk_bytes(void);
// 0 or -EINVAL with the reason in err.
int capture_name_check(const char *name, char *err, size_t err_len);
// 0, or -errno with one line in err; then nothing is left behind.
int capture_open(struct capture **c, const struct capture_options *opt, char *err, size_t err_len);
// A worker's end of it, until capture_close.
struct capture_tap *capture_tap(struct capture *c, unsigned worker);
// The writer's: writes some of what the rings hold. True when they are empty.
bool capture_drain(struct capture *c, uint64_t now_us);
// The writer's, when no worker uses it any more: writes what is left and the statistics, closes the
// file.
void capture_write_end(struct capture *c);
// Whether the writer is through with that.
bool capture_written(const struct capture *c);
// Whether a limit was reached, the file has failed, or somebody asked for its end.
bool capture_over(const struct capture *c);
// Somebody asked for its end; what the rings hold is still written.
void capture_stop(struct capture *c);
void capture_state_get(const struct capture *c, struct capture_state *out);
const char *capture_path(const struct capture *c);
// Neither workers nor writer use it any more. Frees all, after capture_write_end where that has not
// been.
void capture_close(struct capture *c, struct capture_state *out);

// A worker's: copies the frames that match. Neither keeps nor changes them.
void capture_burst(struct capture_tap *t, struct rte_mbuf *const *m, unsigned n,
	enum capture_way way, uint64_t now_us);
