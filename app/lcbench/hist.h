// SPDX-License-Identifier: BSD-3-Clause
// Latencies: a log-linear histogram of nanoseconds. Every power of two is cut into 128 buckets of
// equal width, so that what it says is at most 1/128 (0.8 %) above what was.
//
// base_hist is for counters that stay in the server: 8 buckets a power of two, that is 12.5 %, in
// 1.3 KiB.
// A benchmark has room for more, and is read for differences smaller than that.
//
//	bucket   0 1 .. 127 | 128 129 .. 255 | 256 257 .. 383 | ...
//	values   0 1 .. 127 | 128 129 .. 255 | 256 258 .. 510 | ... | up to 2^42 - 1 (73 minutes)
#pragma once

#include <stdint.h>

#define HIST_SUB_BITS 7
#define HIST_SUB      (1u << HIST_SUB_BITS)
#define HIST_BITS     42 // larger values count in the last bucket
#define HIST_BUCKETS  ((HIST_BITS - HIST_SUB_BITS + 1) * HIST_SUB)

struct hist {
	uint64_t count, sum, max;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t value);
// The value at or below which `q` (0..1) of the values lie; 0 when empty. Scans all buckets.
uint64_t hist_quantile(const struct hist *h, double q);
void hist_merge(struct hist *into, const struct hist *from);
// What `now` has that `before`, a copy of it taken earlier, had not. Its max is that of `now`.
void hist_since(struct hist *out, const struct hist *now, const struct hist *before);
