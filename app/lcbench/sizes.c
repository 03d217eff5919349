// SPDX-License-Identifier: BSD-3-Clause
#include "sizes.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

#define WEIGHT_MAX 1000000

static int number_parse(const char *text, size_t len, uint64_t max, uint64_t *v)
{
	return base_u64_parse(text, len, v) || *v > max ? -EINVAL : 0;
}

static int range_parse(struct sizes *s, const char *text, const char *dash, uint32_t most)
{
	uint64_t min, max;

	if (number_parse(text, (size_t)(dash - text), most, &min) ||
		number_parse(dash + 1, strlen(dash + 1), most, &max) || min > max)
		return -EINVAL;
	s->min = (uint32_t)min;
	s->max = (uint32_t)max;
	return 0;
}

static int choice_add(struct sizes *s, const char *text, size_t len, uint32_t most)
{
	const char *colon = memchr(text, ':', len);
	uint64_t bytes, weight;

	if (colon == NULL || s->choices == SIZES_CHOICES ||
		number_parse(text, (size_t)(colon - text), most, &bytes) ||
		number_parse(colon + 1, len - (size_t)(colon - text) - 1, WEIGHT_MAX, &weight) ||
		weight == 0)
		return -EINVAL;
	s->below[s->choices] = weight + (s->choices ? s->below[s->choices - 1] : 0);
	s->bytes[s->choices++] = (uint32_t)bytes;
	s->min = (uint32_t)base_min_u64(s->min, bytes);
	s->max = (uint32_t)base_max_u64(s->max, bytes);
	return 0;
}

int sizes_parse(struct sizes *s, const char *text, uint32_t max)
{
	const char *dash = strchr(text, '-');
	uint64_t only;

	*s = (struct sizes){.min = UINT32_MAX};
	if (dash)
		return range_parse(s, text, dash, max);
	if (strchr(text, ':') == NULL) {
		if (number_parse(text, strlen(text), max, &only))
			return -EINVAL;
		s->min = s->max = (uint32_t)only;
		return 0;
	}
	for (;;) {
		size_t len = strcspn(text, ",");

		if (choice_add(s, text, len, max))
			return -EINVAL;
		if (text[len] == '\0')
			return 0;
		text += len + 1;
	}
}

// 32 bits that look like nothing else about the key.
static uint32_t spread(uint32_t key)
{
	uint64_t x = (key + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(x >> 32);
}

uint32_t sizes_of(const struct sizes *s, uint32_t key)
{
	unsigned i = 0;
	uint64_t at;

	if (s->min == s->max)
		return s->min;
	if (s->choices == 0)
		return s->min +
			(uint32_t)((uint64_t)spread(key) * (s->max - s->min + UINT64_C(1)) >> 32);
	// the sum of the weights is far below the 2^32 that spread() gives
	at = (uint64_t)spread(key) % s->below[s->choices - 1];
	while (at >= s->below[i])
		i++;
	return s->bytes[i];
}
