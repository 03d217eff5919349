// SPDX-License-Identifier: BSD-3-Clause
// A shard with a clock of its own, for the store's tests.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/store.h"

struct shard {
	struct mem_domain *mem;
	struct store *s;
	struct base_now now;
	uint64_t used_start; // before the store was opened
};

static inline uint64_t shard_used(const struct shard *t)
{
	return mem_used_class(t->mem, MEM_ITEMS) + mem_used_class(t->mem, MEM_INDEX);
}

static inline void shard_open_over(
	struct shard *t, struct store_options opt, const struct mem_options *mo)
{
	assert_int_equal(mem_domain_open(&t->mem, mo), 0);
	t->used_start = shard_used(t);
	opt.mem = t->mem;
	opt.seed = 7;
	assert_int_equal(store_open(&t->s, &opt), 0);
	t->now = (struct base_now){.mono_us = 1000000, .wall_s = 1700000000};
	store_turn(t->s, t->now);
}

static inline void shard_open(struct shard *t, struct store_options opt)
{
	shard_open_over(t, opt, &(struct mem_options){.name = "test", .numa_node = -1});
}

// Pages of 2 MiB, as far as the page source goes.
static inline void shard_open_large(struct shard *t, struct store_options opt)
{
	shard_open_over(t, opt,
		&(struct mem_options){.name = "test",
			.numa_node = -1,
			.source = MEM_SOURCE_PAGES,
			.thp = true,
			.region_bytes = 512 << 20,
			.ahead_bytes = 2 << 20});
}

// Every byte must have come back.
static inline void shard_close(struct shard *t)
{
	store_close(t->s);
	assert_int_equal(shard_used(t), t->used_start);
	mem_domain_close(t->mem);
}

static inline void shard_sleep(struct shard *t, uint64_t seconds)
{
	t->now.mono_us += seconds * 1000000;
	t->now.wall_s += seconds;
	store_turn(t->s, t->now);
}

static inline const struct store_counters *shard_n(const struct shard *t)
{
	return store_counters_get(t->s);
}

static inline struct store_key shard_key(const char *key)
{
	size_t len = strlen(key);

	return (struct store_key){key, (uint8_t)len, base_hash(key, len)};
}

static inline struct store_item *shard_find(struct shard *t, const char *key)
{
	struct store_key k = shard_key(key);

	return store_find(t->s, k.key, k.len, k.hash);
}

static inline struct store_item *shard_set_for(
	struct shard *t, const char *key, const void *value, uint32_t bytes, uint32_t deadline_s)
{
	struct store_key k = shard_key(key);
	struct store_item *it;

	if (store_reserve(t->s, &k, 0, deadline_s, bytes, &it) != STORE_OK)
		return NULL;
	if (value)
		store_value_write(it, 0, value, bytes);
	store_commit(t->s, it, k.hash, 0);
	return it;
}

static inline struct store_item *shard_set(struct shard *t, const char *key, const char *value)
{
	return shard_set_for(t, key, value, (uint32_t)strlen(value), 0);
}

// Keys by number, for tests with many.
static inline struct store_key shard_key_number(char buf[32], uint64_t number)
{
	snprintf(buf, 32, "key-%lu", (unsigned long)number);
	return shard_key(buf);
}

static inline bool shard_set_number(struct shard *t, uint64_t number, uint32_t bytes)
{
	char buf[32];

	shard_key_number(buf, number);
	return shard_set_for(t, buf, NULL, bytes, 0) != NULL;
}

static inline struct store_item *shard_find_number(struct shard *t, uint64_t number)
{
	char buf[32];
	struct store_key k = shard_key_number(buf, number);

	return store_find(t->s, k.key, k.len, k.hash);
}

static inline void assert_value_bytes(struct store_item *it, const char *value)
{
	struct store_span span[2];

	store_value_spans(it, span);
	assert_int_equal(span[0].bytes + (uint64_t)span[1].bytes, it->value_bytes);
	assert_memory_equal(span[0].at, value, span[0].bytes);
	if (span[1].bytes > 0)
		assert_memory_equal(span[1].at, value + span[0].bytes, span[1].bytes);
}

static inline void assert_value(struct store_item *it, const char *value)
{
	assert_non_null(it);
	assert_int_equal(it->value_bytes, strlen(value));
	assert_value_bytes(it, value);
}
