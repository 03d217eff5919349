// SPDX-License-Identifier: BSD-3-Clause
// A copy with a version: one writer, any reader. The version is odd while it is written. Copied by
// words, so that a torn read is detected and never undefined.
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/base.h"

#define WORKER_VERSIONED_WORDS(type) ((sizeof(type) + 7) / 8)

static inline void worker_versioned_write(
	uint64_t *version, uint64_t *to, const void *from, size_t bytes)
{
	uint64_t v = __atomic_load_n(version, __ATOMIC_RELAXED);
	const char *p = from;

	__atomic_store_n(version, v + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word = 0;

		memcpy(&word, p + i, base_min_u64(8, bytes - i));
		__atomic_store_n(&to[i / 8], word, __ATOMIC_RELAXED);
	}
	__atomic_store_n(version, v + 2, __ATOMIC_RELEASE);
}

// The version that was read; 0 when a writer was at work: try again.
static inline uint64_t worker_versioned_read(
	const uint64_t *version, const uint64_t *from, void *to, size_t bytes)
{
	uint64_t v = __atomic_load_n(version, __ATOMIC_ACQUIRE);
	char *p = to;

	if (v & 1)
		return 0;
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word = __atomic_load_n(&from[i / 8], __ATOMIC_RELAXED);

		memcpy(p + i, &word, base_min_u64(8, bytes - i));
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(version, __ATOMIC_RELAXED) == v ? v : 0;
}
