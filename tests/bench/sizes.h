// SPDX-License-Identifier: BSD-3-Clause
// Sizes of values.
#pragma once

#include <math.h>
#include <stdint.h>

#define SIZES_MAX 100000u

// Generalized Pareto, as measured at Facebook, cut at SIZES_MAX.
struct sizes {
	const char *name;
	double scale, shape;
};

// ETC: a general memcached pool, 325 B in the mean (B. Atikoglu et al., "Workload analysis of a
// large-scale key-value store", SIGMETRICS 2012).
static const struct sizes sizes_etc = {"etc", 214.476, 0.348238};
// ZippyDB: a distributed key-value store's objects, 34 B in the mean (Z. Cao et al.,
// "Characterizing, modeling, and benchmarking RocksDB key-value workloads at Facebook", FAST 2020).
static const struct sizes sizes_zippydb = {"zippydb", 25.45, 0.2615};

// The i-th of a sequence that fills the distribution evenly.
static inline uint32_t sizes_of(const struct sizes *d, uint32_t i)
{
	double u = ((double)(i * UINT32_C(2654435761)) + 0.5) / 4294967296.0;
	double bytes = d->scale / d->shape * (pow(1 - u, -d->shape) - 1);

	return bytes < 1 ? 1 : bytes > SIZES_MAX ? SIZES_MAX : (uint32_t)bytes;
}
