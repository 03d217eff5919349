// SPDX-License-Identifier: BSD-3-Clause
// Connections a source, counted over all workers. A word is
//
//	[ tag of the source 32 ][ its connections 32 ]     0: free
//
// and the bucket of a source is one line of 8 words.

#include <stdlib.h>
#include <string.h>

#include "access/access.h"

#define WAYS        8
#define COUNT_MASK  UINT64_C(0xffffffff)
#define BUCKETS_MIN 64

struct access_sources {
	uint64_t key[2];
	uint32_t mask; // buckets, less one
	uint64_t *word;
	_Alignas(BASE_CACHE_LINE) uint32_t total;
};

struct access_sources *access_sources_open(uint32_t conns_max, uint64_t seed)
{
	struct access_sources *s = aligned_alloc(BASE_CACHE_LINE, sizeof(*s));
	uint32_t buckets = BUCKETS_MIN;
	size_t bytes;

	if (s == NULL)
		return NULL;
	while (buckets < (1u << 20) && (uint64_t)buckets * WAYS / 2 < conns_max)
		buckets *= 2;
	bytes = (size_t)buckets * WAYS * sizeof(uint64_t);
	*s = (struct access_sources){.key = {seed, ~seed}, .mask = buckets - 1};
	s->word = aligned_alloc(BASE_CACHE_LINE, bytes);
	if (s->word == NULL) {
		free(s);
		return NULL;
	}
	memset(s->word, 0, bytes);
	return s;
}

void access_sources_close(struct access_sources *s)
{
	if (s == NULL)
		return;
	free(s->word);
	free(s);
}

bool access_sources_enter(struct access_sources *s, uint32_t most)
{
	uint32_t old = access_sources_total(s);

	do {
		if (old >= most)
			return false;
	} while (!__atomic_compare_exchange_n(
		&s->total, &old, old + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

void access_sources_leave(struct access_sources *s)
{
	uint32_t old = __atomic_fetch_sub(&s->total, 1, __ATOMIC_RELAXED);

	base_assert(old > 0);
}

uint32_t access_sources_total(const struct access_sources *s)
{
	return __atomic_load_n(&s->total, __ATOMIC_RELAXED);
}

// The source's bucket, and its tag in the upper half of a word, which is never 0.
static uint64_t *bucket_of(const struct access_sources *s, const struct base_ip *ip, uint64_t *tag)
{
	struct base_ip source = *ip;
	uint64_t hash;

	if (!base_ip_is4(ip))
		source.w64[1] = 0;
	hash = base_siphash(s->key, &source, sizeof(source));
	*tag = (hash | 1) << 32;
	return &s->word[(size_t)(hash >> 33 & s->mask) * WAYS];
}

static bool is_tagged(uint64_t word, uint64_t tag)
{
	return (word & ~COUNT_MASK) == tag && word != 0;
}

// One step on a word that is the source's: by +1 up to `most`, or by -1. The verdict of it, or
// ACCESS_UNCOUNTED: the word is not the source's any more.
static enum access_verdict word_step(uint64_t *word, uint64_t tag, bool up, uint32_t most)
{
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED), new;

	do {
		uint32_t count = (uint32_t)old;

		if (!is_tagged(old, tag))
			return ACCESS_UNCOUNTED;
		if (up && ((most != 0 && count >= most) || count == UINT32_MAX))
			return ACCESS_FULL;
		new = up ? old + 1 : count > 1 ? old - 1 : 0;
	} while (!__atomic_compare_exchange_n(
		word, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return ACCESS_COUNTED;
}

static enum access_verdict bucket_step(uint64_t *bucket, uint64_t tag, bool up, uint32_t most)
{
	for (unsigned i = 0; i < WAYS; i++) {
		enum access_verdict v = word_step(&bucket[i], tag, up, most);

		if (v != ACCESS_UNCOUNTED)
			return v;
	}
	return ACCESS_UNCOUNTED;
}

// A free word becomes the source's. Where two workers do that for one source at a time it has two,
// and may have a few more connections until one of them is free again.
static bool word_claim(uint64_t *bucket, uint64_t tag)
{
	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(
			    &bucket[i], &none, tag | 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

enum access_verdict access_sources_add(
	struct access_sources *s, const struct base_ip *ip, uint32_t most)
{
	uint64_t tag, *bucket = bucket_of(s, ip, &tag);
	enum access_verdict v = bucket_step(bucket, tag, true, most);

	if (v == ACCESS_UNCOUNTED && word_claim(bucket, tag))
		v = ACCESS_COUNTED;
	return v;
}

void access_sources_remove(struct access_sources *s, const struct base_ip *ip)
{
	uint64_t tag, *bucket = bucket_of(s, ip, &tag);

	bucket_step(bucket, tag, false, 0);
}

uint32_t access_sources_count(const struct access_sources *s, const struct base_ip *ip)
{
	uint64_t tag;
	const uint64_t *bucket = bucket_of(s, ip, &tag);
	uint32_t count = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t word = __atomic_load_n(&bucket[i], __ATOMIC_RELAXED);

		count += is_tagged(word, tag) ? (uint32_t)word : 0;
	}
	return count;
}
