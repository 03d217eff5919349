// SPDX-License-Identifier: BSD-3-Clause
// What jemalloc is told before main; $MALLOC_CONF goes before it.
#pragma once

// Half of a full tcache bin is flushed at once, and near the end of a flush_all each of these
// blocks may be the last of its slab: with jemalloc's 200 slots moving the slabs on took 90 to 135
// us, in one turn.
#define JEMALLOC_BIN_SLOTS 64

// The text that it gets.
const char *jemalloc_conf(void);
