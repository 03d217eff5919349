// SPDX-License-Identifier: BSD-3-Clause
// Request traces: files of block ranges, and Zipf.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct trace {
	uint32_t *key; // 0 .. distinct - 1, in the order of first appearance
	size_t count;
	uint32_t distinct;
};

// "zipf:KEYS:REQUESTS:EXPONENT:SEED", or a file of lines "first-block block-count ignored number"
// as zstd packs it. At most count_max requests. 0 or -errno with the reason on stderr.
int trace_open(struct trace *t, const char *source, size_t count_max);
void trace_close(struct trace *t);
