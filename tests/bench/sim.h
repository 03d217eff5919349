// SPDX-License-Identifier: BSD-3-Clause
// What policies hit that keep whole objects and count them: the references for hit ratios.
#pragma once

#include "trace.h"

// Requests of the trace that hit, from an empty cache of `capacity` objects.
uint64_t sim_lru_hits(const struct trace *t, uint32_t capacity);
// S3-FIFO as published (J. Yang et al., "FIFO queues are all you need for cache eviction", SOSP
// 2023): a small queue of a tenth, a main queue of the rest, a ghost queue as long as the main one.
uint64_t sim_s3fifo_hits(const struct trace *t, uint32_t capacity);
