// SPDX-License-Identifier: BSD-3-Clause
// Log-linear histogram: values 0..7 have a bucket each; above that every power of two is cut into
// 8 buckets of equal width, so that a bucket is at most an eighth of its value wide.
//
//	bucket   0 1 .. 7 | 8 9 .. 15 | 16 17 .. 23 | ... | 312 .. 319
//	values   0 1 .. 7 | 8 9 .. 15 | 16 18 .. 30 | ... | up to 2^42 - 1 and all above
#include "base/base.h"

#define SUB_BITS 3
#define SUB      (1u << SUB_BITS)

static unsigned int bucket_of(uint64_t value)
{
	unsigned int msb, index;

	if (value < SUB)
		return (unsigned int)value;
	msb = 63 - (unsigned int)__builtin_clzll(value);
	index = (msb - SUB_BITS + 1) * SUB + (unsigned int)(value >> (msb - SUB_BITS) & (SUB - 1));
	return index < BASE_HIST_BUCKETS ? index : BASE_HIST_BUCKETS - 1;
}

// The largest value that counts in the bucket.
static uint64_t bucket_last(unsigned int index)
{
	unsigned int shift;

	if (index < SUB)
		return index;
	shift = index / SUB - 1;
	return ((uint64_t)(SUB + index % SUB + 1) << shift) - 1;
}

// Keeps the shape when a bucket's 32 bits are full: every bucket gives up half.
static void buckets_halve(struct base_hist *h)
{
	for (unsigned int i = 0; i < BASE_HIST_BUCKETS; i++)
		h->bucket[i] /= 2;
}

void base_hist_add_many(struct base_hist *h, uint64_t value, uint32_t count)
{
	unsigned int index = bucket_of(value);

	while (base_unlikely(h->bucket[index] > UINT32_MAX - count))
		buckets_halve(h);
	h->bucket[index] += count;
	h->count += count;
	h->sum += value * count;
	h->max = base_max_u64(h->max, value);
}

void base_hist_add(struct base_hist *h, uint64_t value)
{
	base_hist_add_many(h, value, 1);
}

uint64_t base_hist_quantile(const struct base_hist *h, double q)
{
	uint64_t total = 0, below = 0;
	double wanted;

	base_assert(q >= 0 && q <= 1);
	for (unsigned int i = 0; i < BASE_HIST_BUCKETS; i++)
		total += h->bucket[i];
	wanted = q * (double)total;
	for (unsigned int i = 0; i < BASE_HIST_BUCKETS - 1; i++) {
		below += h->bucket[i];
		if (below > 0 && (double)below >= wanted)
			return base_min_u64(bucket_last(i), h->max);
	}
	return h->max; // empty, or in the last bucket, which has no upper end
}

uint64_t base_hist_from(const struct base_hist *h, uint64_t value)
{
	uint64_t n = 0;

	for (unsigned int i = bucket_of(value); i < BASE_HIST_BUCKETS; i++)
		n += h->bucket[i];
	return n;
}

void base_hist_merge(struct base_hist *into, const struct base_hist *from)
{
	for (unsigned int i = 0; i < BASE_HIST_BUCKETS; i++) {
		uint64_t sum = (uint64_t)into->bucket[i] + from->bucket[i];

		into->bucket[i] = (uint32_t)base_min_u64(sum, UINT32_MAX);
	}
	into->count += from->count;
	into->sum += from->sum;
	into->max = base_max_u64(into->max, from->max);
}

void base_hist_subtract(struct base_hist *h, const struct base_hist *from)
{
	uint64_t largest = 0;

	h->count = 0;
	for (unsigned int i = 0; i < BASE_HIST_BUCKETS; i++) {
		h->bucket[i] -= (uint32_t)base_min_u64(h->bucket[i], from->bucket[i]);
		h->count += h->bucket[i];
		if (h->bucket[i] > 0)
			largest = i < BASE_HIST_BUCKETS - 1 ? bucket_last(i) : UINT64_MAX;
	}
	h->sum -= base_min_u64(h->sum, from->sum);
	h->max = base_min_u64(h->max, largest);
}
