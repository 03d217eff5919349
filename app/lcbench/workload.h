// SPDX-License-Identifier: BSD-3-Clause
// What is asked for, whatever the protocol and the transport: gets or sets, of which keys, with
// which values. Keys are numbers here. A value belongs to its key and version: an answer can be
// compared by whoever knows both. Sets choose among --versions of them, and say which one it is
// in the item's flags, so that a value mixed of two is found out.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "sizes.h"
#include "zipf.h"

struct bench_options;

struct bench_workload {
	uint32_t keys, key_step; // the key of rank r is r * key_step modulo keys
	uint32_t versions;
	uint32_t get_below; // a request is a get if 32 random bits are below this ...
	bool gets_only;     // ... or always
	bool zipfian;
	struct zipf zipf;
	struct sizes sizes;
	char *values; // one random text; every value is a stretch of it
	struct base_rng rng;
};

int bench_workload_open(struct bench_workload *w, const struct bench_options *o);
void bench_workload_close(struct bench_workload *w);

// The next request: whether it is a set, a key of it, and the version that a set writes.
bool bench_set_next(struct bench_workload *w);
uint32_t bench_key_next(struct bench_workload *w);
uint32_t bench_version_next(struct bench_workload *w);

uint32_t bench_value_size(const struct bench_workload *w, uint32_t key);
const char *bench_value(const struct bench_workload *w, uint32_t key, uint32_t version);
