// SPDX-License-Identifier: BSD-3-Clause
// How long a thread was ready to run and another process had its core, as the kernel counts it.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define WAITED_THREADS 32

struct waited { // a process, watched for that of its threads that has run the longest
	int fd[WAITED_THREADS];
	unsigned threads, busiest;
	uint64_t ran_ns, waited_ns, times; // when read last: of the others; of the busiest
};

// pid 0: the caller's thread alone. 0, or -errno when the kernel does not say.
int waited_open(struct waited *w, pid_t pid);
// Nanoseconds since the last call, less what the process's own other threads ran meanwhile. 0 for a
// thread that goes to sleep by itself at every turn: how long it takes to come back is its own.
uint64_t waited_ns(struct waited *w);
void waited_close(struct waited *w);
