// SPDX-License-Identifier: BSD-3-Clause
// The real clocks. Everything below app takes a struct base_now from its caller instead.
#include <time.h>

#include "base/base.h"

struct base_now base_now_read(void)
{
	struct timespec mono, wall;
	struct base_now now;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	now.mono_us = (uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000;
	now.mono_us = base_max_u64(now.mono_us, 1); // 0 means "never" to the callers
	now.mono_ns = (uint32_t)(mono.tv_nsec % 1000);
	now.wall_s = (uint64_t)wall.tv_sec;
	now.wall_us = (uint32_t)(wall.tv_nsec / 1000);
	return now;
}
