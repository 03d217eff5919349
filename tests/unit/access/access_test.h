// SPDX-License-Identifier: BSD-3-Clause
// What the tests of lib/access share.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eal.h>

#include "../../any_cpu.h"
#include "access/access.h"

static inline struct base_ip ip_of(const char *text)
{
	struct base_ip ip;

	assert_int_equal(base_ip_parse(text, &ip), 0);
	return ip;
}

static inline void eal_start(void)
{
	static char prefix[64];
	char *argv[] = {"test", "--no-huge", "--no-pci", "--no-shconf", "-m", "64",
		"--no-telemetry", "--lcores", any_cpu(), "--iova-mode=va", "--log-level=critical",
		"--file-prefix", prefix};

	snprintf(prefix, sizeof(prefix), "accesstest%d", (int)getpid());
	if (rte_eal_init((int)BASE_ARRAY_LEN(argv), argv) < 0) {
		fprintf(stderr, "rte_eal_init failed\n");
		exit(1);
	}
}

static inline struct mem_domain *domain_open(void)
{
	struct mem_domain *mem;

	assert_int_equal(
		mem_domain_open(&mem, &(struct mem_options){.name = "t", .numa_node = -1}), 0);
	return mem;
}
