// SPDX-License-Identifier: BSD-3-Clause
// For EAL's --lcores: lcore 0 on any CPU that we may use. `-l 0` would pin every test to the same
// CPU, however many run side by side.
#pragma once

#include <sched.h>
#include <stdio.h>

#define ANY_CPU_MOST 32

static inline char *any_cpu(void)
{
	static char text[16 + ANY_CPU_MOST * 5];
	unsigned seen = 0;
	int at = snprintf(text, sizeof(text), "0@(");
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		CPU_SET(0, &set);
	for (int cpu = 0; cpu < CPU_SETSIZE && seen < ANY_CPU_MOST; cpu++) {
		if (CPU_ISSET(cpu, &set))
			at += snprintf(text + at, sizeof(text) - (size_t)at, "%s%d",
				seen++ ? "," : "", cpu);
	}
	snprintf(text + at, sizeof(text) - (size_t)at, ")");
	return text;
}
