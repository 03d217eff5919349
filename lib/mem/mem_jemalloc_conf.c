// SPDX-License-Identifier: BSD-3-Clause
// What jemalloc is told before main. Without its header, which declares the variable as writable.
#include "mem/mem_jemalloc_conf.h"

#define TEXT(n)  #n
#define VALUE(n) TEXT(n)

extern const char *const malloc_conf;
const char *const malloc_conf = "tcache_nslots_small_max:" VALUE(JEMALLOC_BIN_SLOTS);

const char *jemalloc_conf(void)
{
	return malloc_conf;
}
