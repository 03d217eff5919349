// SPDX-License-Identifier: BSD-3-Clause
// A folder for files, and files as bytes, for the snapshot's tests.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "snapshot/snapshot_internal.h"

struct bytes {
	char *at;
	size_t n;
};

static inline char *folder_make(char path[64])
{
	snprintf(path, 64, "/tmp/lcached-snapshot-XXXXXX");
	assert_non_null(mkdtemp(path));
	return path;
}

static inline void file_path(char *to, size_t len, const char *folder, const char *name)
{
	snprintf(to, len, "%s/%s", folder, name);
}

static inline struct bytes file_take(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct bytes b;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	b.n = (size_t)ftell(f);
	rewind(f);
	b.at = malloc(b.n + 1);
	assert_non_null(b.at);
	assert_int_equal(fread(b.at, 1, b.n, f), b.n);
	fclose(f);
	return b;
}

static inline void file_put(const char *path, const char *at, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(at, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}
