// SPDX-License-Identifier: BSD-3-Clause
#include "workload.h"

#include <errno.h>
#include <stdlib.h>

#include "options.h"

#define VALUE_OFFSETS 4096 // at which values start in the text; more would not stay in the cache
#define VALUE_SEED    7    // the same for every run: one may fill, another check

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

// Frequent keys are not neighbours: they were not all set one after the other.
static uint32_t step_choose(uint32_t keys)
{
	uint32_t step = (uint32_t)(keys * 0.6180339887) | 1;

	while (gcd(step, keys) != 1)
		step += 2;
	return step;
}

int bench_workload_open(struct bench_workload *w, const struct bench_options *o)
{
	size_t len = (size_t)o->value_sizes.max + VALUE_OFFSETS;
	struct base_rng text_rng;

	*w = (struct bench_workload){.keys = o->keys,
		.key_step = step_choose(o->keys),
		.versions = o->versions,
		.get_below = (uint32_t)(o->get_ratio * UINT32_MAX),
		.gets_only = o->get_ratio >= 1,
		.zipfian = o->zipf > 0,
		.sizes = o->value_sizes};
	base_rng_seed(&w->rng, o->seed);
	if (w->zipfian)
		zipf_open(&w->zipf, o->keys, o->zipf);
	w->values = malloc(len);
	if (w->values == NULL)
		return -ENOMEM;
	base_rng_seed(&text_rng, VALUE_SEED);
	for (size_t i = 0; i < len; i++)
		w->values[i] = (char)('a' + base_rng_below(&text_rng, 26));
	return 0;
}

void bench_workload_close(struct bench_workload *w)
{
	free(w->values);
}

bool bench_set_next(struct bench_workload *w)
{
	return !w->gets_only && (uint32_t)(base_rng_next(&w->rng) >> 32) >= w->get_below;
}

uint32_t bench_key_next(struct bench_workload *w)
{
	if (!w->zipfian)
		return (uint32_t)base_rng_below(&w->rng, w->keys);
	return (uint32_t)((uint64_t)zipf_draw(&w->zipf, &w->rng) * w->key_step % w->keys);
}

uint32_t bench_version_next(struct bench_workload *w)
{
	return w->versions > 1 ? (uint32_t)base_rng_below(&w->rng, w->versions) : 0;
}

uint32_t bench_value_size(const struct bench_workload *w, uint32_t key)
{
	return sizes_of(&w->sizes, key);
}

const char *bench_value(const struct bench_workload *w, uint32_t key, uint32_t version)
{
	uint32_t mixed = (key + version * UINT32_C(0x85ebca6b)) * UINT32_C(2654435761);

	return w->values + (mixed >> 20) % VALUE_OFFSETS;
}
