// SPDX-License-Identifier: BSD-3-Clause
// Runs a fuzz target without a fuzzer: over the files and folders named, then over a fixed number
// of damaged copies of each, so that every build and compiler looks at more than the corpus.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/base.h"

#define INPUT_MAX  (1 << 16)
#define DAMAGED    200 // copies of each input
#define WOUNDS_MAX 4   // changes in each copy

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void target_run(const uint8_t *bytes, size_t len)
{
	// its own allocation, so that a sanitizer sees a step beyond the end
	uint8_t *copy = malloc(len + (len == 0));

	memcpy(copy, bytes, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

// Cuts out, doubles, or changes bytes at one place.
static size_t wound(struct base_rng *rng, uint8_t *bytes, size_t len)
{
	static const uint8_t telling[] = " \r\n0\xffq";
	size_t at = base_rng_below(rng, len), n = 1 + base_rng_below(rng, len - at);

	switch (base_rng_below(rng, 4)) {
	case 0:
		memmove(bytes + at, bytes + at + n, len - at - n);
		return len - n;
	case 1:
		if (len + n > INPUT_MAX)
			return len;
		memmove(bytes + at + n, bytes + at, len - at);
		return len + n;
	case 2:
		bytes[at] = telling[base_rng_below(rng, sizeof(telling))];
		return len;
	default:
		bytes[at] = (uint8_t)base_rng_next(rng);
		return len;
	}
}

static int replay_file(const char *path)
{
	static uint8_t bytes[INPUT_MAX], damaged[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	struct base_rng rng;
	size_t len;

	if (file == NULL) {
		perror(path);
		return -1;
	}
	len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	target_run(bytes, len);
	base_rng_seed(&rng, base_hash(bytes, len));
	for (int copy = 0; copy < DAMAGED; copy++) {
		size_t damaged_len = len;

		memcpy(damaged, bytes, len);
		for (uint64_t w = 1 + base_rng_below(&rng, WOUNDS_MAX); w > 0 && damaged_len; w--)
			damaged_len = wound(&rng, damaged, damaged_len);
		target_run(damaged, damaged_len);
	}
	return 0;
}

static int replay(const char *path, int *files)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[4096];
	int rc = 0;

	if (dir == NULL) {
		(*files)++;
		return replay_file(path);
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		rc = replay(name, files);
	}
	closedir(dir);
	return rc;
}

int main(int argc, char **argv)
{
	int files = 0;

	for (int i = 1; i < argc; i++) {
		if (replay(argv[i], &files) < 0)
			return 1;
	}
	if (files == 0) {
		fprintf(stderr, "usage: %s FILE|FOLDER...: no inputs\n", argv[0]);
		return 1;
	}
	printf("%d inputs, each with %d damaged copies\n", files, DAMAGED);
	return 0;
}
