// SPDX-License-Identifier: BSD-3-Clause
// What the tests of mem share.
#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "mem/mem.h"

static inline struct mem_domain *test_domain_open(void)
{
	struct mem_domain *d = NULL;

	assert_int_equal(
		mem_domain_open(&d, &(struct mem_options){.name = "test", .numa_node = -1}), 0);
	assert_non_null(d);
	return d;
}

// Bytes of hugepages that this process holds: other tests take and return theirs meanwhile.
static inline uint64_t test_huge_held(void)
{
	uint64_t rss_bytes, huge_bytes;

	assert_int_equal(mem_resident_read(&rss_bytes, &huge_bytes), 0);
	return huge_bytes;
}

// True if f, in a child of its own, is stopped by a broken invariant (or a refusal to go on).
static inline bool test_aborts(void (*f)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		f();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
