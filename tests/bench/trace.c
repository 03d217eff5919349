// SPDX-License-Identifier: BSD-3-Clause
// Reads or makes a trace, and numbers its keys densely.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "trace.h"

#define COUNT_LIMIT (UINT64_C(1) << 30)

// ---- keys to dense numbers ----------------------------------------------------------------------

struct numbering { // open addressing; slots hold number + 1
	uint64_t *key;
	uint32_t *number;
	uint64_t mask;
	uint32_t count;
};

static void numbering_grow(struct numbering *nb)
{
	struct numbering old = *nb;

	nb->mask = old.mask ? old.mask * 2 + 1 : 0xffff;
	nb->key = calloc(nb->mask + 1, sizeof(*nb->key));
	nb->number = calloc(nb->mask + 1, sizeof(*nb->number));
	base_assert(nb->key && nb->number);
	for (uint64_t i = 0; old.mask && i <= old.mask; i++) {
		uint64_t at = base_hash(&old.key[i], sizeof(old.key[i])) & nb->mask;

		if (!old.number[i])
			continue;
		while (nb->number[at])
			at = (at + 1) & nb->mask;
		nb->key[at] = old.key[i];
		nb->number[at] = old.number[i];
	}
	free(old.key);
	free(old.number);
}

static uint32_t numbering_get(struct numbering *nb, uint64_t key)
{
	uint64_t at;

	if (nb->count * UINT64_C(2) >= nb->mask)
		numbering_grow(nb);
	at = base_hash(&key, sizeof(key)) & nb->mask;
	while (nb->number[at] && nb->key[at] != key)
		at = (at + 1) & nb->mask;
	if (!nb->number[at]) {
		nb->key[at] = key;
		nb->number[at] = ++nb->count;
	}
	return nb->number[at] - 1;
}

static void trace_append(struct trace *t, size_t *cap, uint32_t key)
{
	if (t->count == *cap) {
		*cap = *cap ? *cap * 2 : 1 << 20;
		t->key = realloc(t->key, *cap * sizeof(*t->key));
		base_assert(t->key);
	}
	t->key[t->count++] = key;
}

// ---- files --------------------------------------------------------------------------------------

static FILE *zstd_open(const char *path, pid_t *child)
{
	int fd[2];

	if (pipe(fd) != 0)
		return NULL;
	*child = fork();
	if (*child == 0) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		close(fd[1]);
		execlp("zstd", "zstd", "-dcq", "--", path, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	if (*child < 0) {
		close(fd[0]);
		return NULL;
	}
	return fdopen(fd[0], "r");
}

static int file_read(struct trace *t, const char *path, size_t count_max)
{
	struct numbering nb = {0};
	size_t cap = 0;
	unsigned long long first, blocks;
	pid_t child;
	FILE *f = zstd_open(path, &child);

	if (!f)
		return -errno;
	while (t->count < count_max && fscanf(f, "%llu %llu %*s %*s", &first, &blocks) == 2)
		for (uint64_t i = 0; i < blocks && t->count < count_max; i++)
			trace_append(t, &cap, numbering_get(&nb, first + i));
	fclose(f); // a reader that stops early ends zstd by SIGPIPE
	waitpid(child, NULL, 0);
	t->distinct = nb.count;
	free(nb.key);
	free(nb.number);
	return t->count ? 0 : -ENODATA;
}

// ---- Zipf ---------------------------------------------------------------------------------------

static uint32_t zipf_pick(const double *sum, uint32_t keys, double u)
{
	uint32_t low = 0, high = keys - 1;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (sum[mid] < u)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int zipf_make(struct trace *t, const char *spec, size_t count_max)
{
	unsigned long long keys, requests, seed;
	struct numbering nb = {0};
	struct base_rng rng;
	double exponent, total = 0, *sum;
	size_t cap = 0;

	if (sscanf(spec, "zipf:%llu:%llu:%lf:%llu", &keys, &requests, &exponent, &seed) != 4 ||
		keys == 0 || keys > UINT32_MAX / 2 || requests > COUNT_LIMIT)
		return -EINVAL;
	sum = malloc(keys * sizeof(*sum));
	base_assert(sum);
	for (uint64_t i = 0; i < keys; i++)
		sum[i] = total += 1.0 / pow((double)(i + 1), exponent);
	base_rng_seed(&rng, seed);
	for (uint64_t i = 0; i < requests && i < count_max; i++) {
		double u = (double)(base_rng_next(&rng) >> 11) / 9007199254740992.0 * total;

		trace_append(t, &cap, numbering_get(&nb, zipf_pick(sum, (uint32_t)keys, u)));
	}
	t->distinct = nb.count;
	free(nb.key);
	free(nb.number);
	free(sum);
	return t->count ? 0 : -EINVAL;
}

int trace_open(struct trace *t, const char *source, size_t count_max)
{
	int rc;

	*t = (struct trace){0};
	rc = strncmp(source, "zipf:", 5) ? file_read(t, source, count_max)
					 : zipf_make(t, source, count_max);
	if (rc != 0)
		fprintf(stderr, "trace %s: %s\n", source, strerror(-rc));
	return rc;
}

void trace_close(struct trace *t)
{
	free(t->key);
	*t = (struct trace){0};
}
