// SPDX-License-Identifier: BSD-3-Clause
// Eviction by sampling.
#include "store/store_internal.h"

#define EVICT_TRIES  16  // rounds of sampling for one eviction
#define WALK_BUCKETS 256 // looked at when they all failed

// ---- rounds of samples --------------------------------------------------------------------------

uint64_t *store_sample_slot(const struct store *s, const struct store_sample *sample)
{
	if (base_unlikely(sample->bucket >= s->live.buckets))
		return NULL;
	return store_bucket_slot(store_index_bucket(&s->live, sample->bucket), sample->slot);
}

static void sample_reclaim(struct store *s, struct store_sample *sample, unsigned i, unsigned n)
{
	struct store_sample gone = sample[i];

	for (unsigned k = i; k < n; k++) // it may have been met twice
		if (sample[k].slot == gone.slot)
			sample[k].slot = 0;
	store_bucket_clear(s, store_index_bucket(&s->live, gone.bucket), gone.bucket,
		store_sample_slot(s, &gone));
	store_item_expire(s, store_slot_item(gone.slot));
	s->n.reclaimed++;
}

// Offers a round of samples to the pool. True when expired ones were among them, which are gone.
bool store_pool_fill(struct store *s)
{
	struct store_sample sample[STORE_SAMPLES_MAX];
	// Main's order is in its items alone; it takes more of them to come near the queue.
	unsigned want = s->set.samples * (s->traits->queues ? 2 : 1);
	unsigned n = store_items_sample(s, sample, base_min_u64(want, STORE_SAMPLES_MAX));
	bool reclaimed = false;

	for (unsigned i = 0; i < n; i++) {
		struct store_item *it = store_slot_item(sample[i].slot);
		uint64_t score;

		if (!it || it->refs > 1)
			continue;
		if (store_item_expired(s, it)) {
			sample_reclaim(s, sample, i, n);
			reclaimed = true;
			continue;
		}
		store_access_convert(s, it);
		if (store_item_small(it))
			continue; // goes by its queue
		score = store_item_score(s, it);
		if (store_pool_wants(&s->pool, score))
			store_pool_offer(&s->pool, &sample[i], score);
	}
	return reclaimed;
}

// ---- evicting -----------------------------------------------------------------------------------

void store_evict_tell(
	struct store *s, void (*tell)(void *arg, struct store_item *it), void *tell_arg)
{
	s->evict_tell = tell;
	s->evict_tell_arg = tell_arg;
}

void store_bucket_evict(struct store *s, uint32_t bucket, uint64_t *slot)
{
	struct store_item *it = store_slot_item(*slot);

	if (base_unlikely(s->evict_tell != NULL))
		s->evict_tell(s->evict_tell_arg, it);
	s->n.evicted++;
	s->n.evicted_unfetched += !(it->bits & STORE_ITEM_FETCHED);
	store_bucket_clear(s, store_index_bucket(&s->live, bucket), bucket, slot);
	store_item_leave(s, it, STORE_LAZY_EVICTION);
}

// A candidate that has gone, is held, was used since it was sampled, or lost its deadline is passed
// over.
static bool candidate_evict(struct store *s)
{
	struct store_sample c;
	uint64_t score = store_pool_take(&s->pool, &c);
	uint64_t *slot = store_sample_slot(s, &c);
	struct store_item *it = store_slot_item(c.slot);

	if (!slot || it->refs > 1 || (s->traits->is_volatile && !(it->bits & STORE_ITEM_DUE)))
		return false;
	store_access_convert(s, it);
	if (store_item_score(s, it) < score)
		return false;
	store_cold_note(s, it);
	store_bucket_evict(s, c.bucket, slot);
	return true;
}

// The best that is left is the next victim, likely, and the next item to be stored gets its memory.
// Its bucket may have merged away since it was sampled.
static void victim_prefetch(const struct store *s)
{
	const struct store_sample *next = store_pool_best(&s->pool);
	const char *it;

	if (!next || next->bucket >= s->live.buckets)
		return;
	it = (const char *)store_slot_item(next->slot);
	store_bucket_lines_prefetch(store_index_bucket(&s->live, next->bucket));
	base_prefetch(it);
	base_prefetch(it + BASE_CACHE_LINE);
	base_prefetch(it + 2 * BASE_CACHE_LINE);
}

bool store_random_evict(struct store *s)
{
	struct store_sample sample;
	struct store_item *it;

	if (store_items_sample(s, &sample, 1) == 0)
		return false;
	it = store_slot_item(sample.slot);
	if (store_item_expired(s, it)) {
		sample_reclaim(s, &sample, 0, 1);
		return true;
	}
	if (it->refs > 1)
		return false;
	store_bucket_evict(s, sample.bucket, store_sample_slot(s, &sample));
	return true;
}

// Nearly all are held by readers, so that samples meet nobody else: bucket after bucket, then.
static bool walk_evict(struct store *s)
{
	if (s->traits->is_volatile && s->due.items == 0)
		return false;
	for (unsigned n = 0; n < WALK_BUCKETS && n < s->live.buckets; n++) {
		struct store_walk w;
		uint64_t *slot;

		s->walk_bucket = (s->walk_bucket + 1) % s->live.buckets;
		w = store_bucket_walk(store_index_bucket(&s->live, s->walk_bucket));
		while ((slot = store_walk_next(&w))) {
			const struct store_item *it = store_slot_item(*slot);

			if (it->refs > 1 ||
				(s->traits->is_volatile && !(it->bits & STORE_ITEM_DUE)))
				continue;
			store_bucket_evict(s, s->walk_bucket, slot);
			return true;
		}
	}
	return false;
}

bool store_evict_one(struct store *s)
{
	if (s->traits->queues)
		return store_s3fifo_evict(s);
	for (unsigned i = 0; i < EVICT_TRIES && s->n.items > 0; i++) {
		if (s->traits->random) {
			if (store_random_evict(s))
				return true;
			continue;
		}
		if (store_pool_fill(s))
			return true;
		while (s->pool.count > 0)
			if (candidate_evict(s)) {
				victim_prefetch(s);
				return true;
			}
	}
	return s->n.items > 0 && walk_evict(s);
}
