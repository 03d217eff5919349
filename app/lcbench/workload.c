// SPDX-License-Identifier: BSD-3-Clause
// Keys, values, and the bytes of requests and answers. Key i is 8 digits behind as many 'k' as its
// size asks for; its value is a stretch of one random text, at an offset that i decides.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lcbench.h"

#define DIGITS        8
#define VALUE_OFFSETS 4096

static void digits_write(char *at, uint32_t v)
{
	for (int i = DIGITS - 1; i >= 0; i--) {
		at[i] = (char)('0' + v % 10);
		v /= 10;
	}
}

// `verb` KEY`rest`, with the key's digits left to fill in at *at.
static uint16_t template_write(
	char *to, const char *verb, uint32_t key_size, const char *rest, uint16_t *at)
{
	char key[BENCH_KEY_MAX + 1];
	int n;

	memset(key, 'k', key_size);
	key[key_size] = '\0';
	*at = (uint16_t)(strlen(verb) + 1 + key_size - DIGITS);
	n = snprintf(to, BENCH_HEAD_MAX, "%s %s%s\r\n", verb, key, rest);
	base_assert(n > 0 && n < BENCH_HEAD_MAX);
	return (uint16_t)n;
}

int bench_workload_open(struct bench_workload *w, const struct bench_options *o)
{
	size_t len = (size_t)o->value_size + VALUE_OFFSETS;
	struct base_rng rng;
	char rest[64];

	w->key_size = o->key_size;
	w->value_size = o->value_size;
	w->values = malloc(len);
	if (w->values == NULL)
		return -ENOMEM;
	base_rng_seed(&rng, 7); // the same for every run: one may fill, another check
	for (size_t i = 0; i < len; i++)
		w->values[i] = (char)('a' + base_rng_below(&rng, 26));
	w->get_len = template_write(w->get, "get", o->key_size, "", &w->get_at);
	snprintf(rest, sizeof(rest), " 0 0 %u", o->value_size);
	w->set_len = template_write(w->set, "set", o->key_size, rest, &w->set_at);
	snprintf(rest, sizeof(rest), " 0 %u", o->value_size);
	w->value_len = template_write(w->value, "VALUE", o->key_size, rest, &w->value_at);
	return 0;
}

void bench_workload_close(struct bench_workload *w)
{
	free(w->values);
}

const char *bench_value(const struct bench_workload *w, uint32_t key)
{
	return w->values + (key * UINT32_C(2654435761) >> 20) % VALUE_OFFSETS;
}

unsigned bench_get_write(const struct bench_workload *w, uint32_t key, char *to)
{
	memcpy(to, w->get, w->get_len);
	digits_write(to + w->get_at, key);
	return w->get_len;
}

unsigned bench_set_write(const struct bench_workload *w, uint32_t key, char *to)
{
	memcpy(to, w->set, w->set_len);
	digits_write(to + w->set_at, key);
	return w->set_len;
}

unsigned bench_value_line_write(const struct bench_workload *w, uint32_t key, char *to)
{
	memcpy(to, w->value, w->value_len);
	digits_write(to + w->value_at, key);
	return w->value_len;
}
