// SPDX-License-Identifier: BSD-3-Clause
#include "hist.h"

#include "base/base.h"

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < HIST_SUB)
		return (unsigned)value;
	if (value >> HIST_BITS)
		return HIST_BUCKETS - 1;
	shift = 63 - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
	return shift * HIST_SUB + (unsigned)(value >> shift);
}

// The largest value that counts in the bucket.
static uint64_t bucket_last(unsigned index)
{
	unsigned shift = index < HIST_SUB ? 0 : index / HIST_SUB - 1;

	return ((uint64_t)(index - shift * HIST_SUB + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t value)
{
	h->bucket[bucket_of(value)]++;
	h->count++;
	h->sum += value;
	h->max = base_max_u64(h->max, value);
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	double wanted = q * (double)h->count;
	uint64_t below = 0;

	base_assert(q >= 0 && q <= 1);
	for (unsigned i = 0; i < HIST_BUCKETS - 1; i++) {
		below += h->bucket[i];
		if (below > 0 && (double)below >= wanted)
			return base_min_u64(bucket_last(i), h->max);
	}
	return h->max; // empty, or in the last bucket, which has no upper end
}

void hist_merge(struct hist *into, const struct hist *from)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
	into->count += from->count;
	into->sum += from->sum;
	into->max = base_max_u64(into->max, from->max);
}

void hist_since(struct hist *out, const struct hist *now, const struct hist *before)
{
	base_assert(now->count >= before->count);
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		out->bucket[i] = now->bucket[i] - before->bucket[i];
	out->count = now->count - before->count;
	out->sum = now->sum - before->sum;
	out->max = now->max;
}
