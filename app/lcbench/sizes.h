// SPDX-License-Identifier: BSD-3-Clause
// Sizes of values: "N"; "MIN-MAX", all alike likely; or "BYTES:WEIGHT,BYTES:WEIGHT,...". A size
// belongs to its key: whoever asks gets the same one.
#pragma once

#include <stdint.h>

#define SIZES_CHOICES 32

struct sizes {
	uint32_t min, max;
	unsigned choices; // of a list, else 0
	uint32_t bytes[SIZES_CHOICES];
	uint64_t below[SIZES_CHOICES]; // sums of the weights so far; the last is that of all
};

// 0 or -EINVAL.
int sizes_parse(struct sizes *s, const char *text, uint32_t max);
// The size that belongs to this key.
uint32_t sizes_of(const struct sizes *s, uint32_t key);
