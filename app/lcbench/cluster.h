// SPDX-License-Identifier: BSD-3-Clause
// A row of a table of clusters (--cluster FILE:N): what one of Twitter's caches was asked for in
// 2020, as sizes, shares and frequencies. Columns, after a line with their names:
//
//	cluster,miss_ratio,key_bytes,value_bytes,kqps,
//		mean_freq,one_hit_pct,ttl_mix,operations,zipf_alpha
#pragma once

#include <stdint.h>

struct cluster {
	uint32_t key_bytes, value_bytes; // means
	uint32_t ttl_s;                  // the most frequent one; 0: none
	double get_ratio;                // get and gets; what else there was is taken for sets
	double zipf;
};

// Row `clusterN` of a file. 0, -ENOENT without such a row, -EINVAL when it says something else, or
// what opening the file gave.
int cluster_read(const char *path, uint64_t number, struct cluster *out);
// A line of the table. 0 or -EINVAL.
int cluster_parse(const char *line, struct cluster *out);
