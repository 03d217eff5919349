// SPDX-License-Identifier: BSD-3-Clause
// Eviction by sampling: a pool of the best candidates, as Redis has it.
#include "store/store_internal.h"

#define EVICT_TRIES  16  // rounds of sampling for one eviction
#define WALK_BUCKETS 256 // looked at when they all failed

// ---- the pool -----------------------------------------------------------------------------------

static void pool_remove(struct store *s, unsigned k)
{
	s->pool_count--;
	memmove(&s->pool[k], &s->pool[k + 1], (s->pool_count - k) * sizeof(s->pool[0]));
}

// Ascending by score. A full pool drops its lowest entry; one that is not above the lowest of a full
// pool is not taken.
static void pool_insert(struct store *s, const struct store_candidate *c)
{
	unsigned k = 0;

	for (unsigned i = 0; i < s->pool_count; i++) {
		if (s->pool[i].it == c->it) {
			pool_remove(s, i);
			break;
		}
	}
	while (k < s->pool_count && s->pool[k].score < c->score)
		k++;
	if (s->pool_count == STORE_POOL_MAX) {
		if (k == 0)
			return;
		pool_remove(s, 0);
		k--;
	}
	memmove(&s->pool[k + 1], &s->pool[k], (s->pool_count - k) * sizeof(s->pool[0]));
	s->pool[k] = *c;
	s->pool_count++;
}

// ---- rounds of samples --------------------------------------------------------------------------

static void sample_reclaim(struct store *s, struct store_item **sample, unsigned i, unsigned n)
{
	struct store_item *it = sample[i];
	uint64_t hash = store_item_hash(it);

	for (unsigned k = i; k < n; k++) // it may have been met twice
		if (sample[k] == it)
			sample[k] = NULL;
	store_slot_clear(s, store_index_locate(&s->live, it, hash), hash);
	store_item_expire(s, it);
	s->n.reclaimed++;
}

// Offers a round of samples to the pool. True when expired ones were among them, which are gone.
bool store_pool_fill(struct store *s)
{
	struct store_item *sample[STORE_SAMPLES_MAX];
	// Main's order is in its items alone; it takes more of them to come near the queue.
	unsigned want = s->set.samples * (s->traits->queues ? 2 : 1);
	unsigned n = store_items_sample(s, sample, base_min_u64(want, STORE_SAMPLES_MAX));
	bool reclaimed = false;

	for (unsigned i = 0; i < n; i++) {
		struct store_item *it = sample[i];
		struct store_candidate c = {.it = it};

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
		c.score = store_item_score(s, it);
		if (s->pool_count == STORE_POOL_MAX && c.score <= s->pool[0].score)
			continue;
		c.hash = store_item_hash(it);
		pool_insert(s, &c);
	}
	return reclaimed;
}

// ---- evicting -----------------------------------------------------------------------------------

void store_slot_evict(struct store *s, uint64_t *slot, uint64_t hash)
{
	struct store_item *it = store_slot_item(*slot);

	s->n.evicted++;
	s->n.evicted_unfetched += !(it->bits & STORE_ITEM_FETCHED);
	store_slot_clear(s, slot, hash);
	store_item_leave(s, it, STORE_LAZY_EVICTION);
}

// A candidate that has gone, is held, was used since it was sampled, or lost its deadline is passed
// over.
static bool candidate_evict(struct store *s, const struct store_candidate *c)
{
	uint64_t *slot = store_index_locate(&s->live, c->it, c->hash);

	if (!slot || c->it->refs > 1 || (s->traits->is_volatile && !(c->it->bits & STORE_ITEM_DUE)))
		return false;
	store_access_convert(s, c->it);
	if (store_item_score(s, c->it) < c->score)
		return false;
	store_cold_note(s, c->it);
	store_slot_evict(s, slot, c->hash);
	return true;
}

// The best that is left is the next victim, likely.
static void pool_prefetch(const struct store *s)
{
	if (s->pool_count > 0)
		__builtin_prefetch(store_index_chain(&s->live, s->pool[s->pool_count - 1].hash));
}

bool store_random_evict(struct store *s)
{
	struct store_item *it;
	uint64_t hash;

	if (store_items_sample(s, &it, 1) == 0)
		return false;
	if (store_item_expired(s, it)) {
		sample_reclaim(s, &it, 0, 1);
		return true;
	}
	if (it->refs > 1)
		return false;
	hash = store_item_hash(it);
	store_slot_evict(s, store_index_locate(&s->live, it, hash), hash);
	return true;
}

// Nearly all are held by readers, so that samples meet nobody else: bucket after bucket, then.
static bool walk_evict(struct store *s)
{
	if (s->traits->is_volatile && s->due.items == 0)
		return false;
	for (unsigned n = 0; n < WALK_BUCKETS && n < s->live.buckets; n++) {
		struct store_line *line;

		s->walk_bucket = (s->walk_bucket + 1) % s->live.buckets;
		line = store_index_bucket(&s->live, s->walk_bucket);
		for (; line; line = line->next) {
			for (unsigned i = 0; i < STORE_SLOTS && line->slot[i]; i++) {
				struct store_item *it = store_slot_item(line->slot[i]);

				if (it->refs > 1 ||
					(s->traits->is_volatile && !(it->bits & STORE_ITEM_DUE)))
					continue;
				store_slot_evict(s, &line->slot[i], store_item_hash(it));
				return true;
			}
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
		while (s->pool_count > 0)
			if (candidate_evict(s, &s->pool[--s->pool_count])) {
				pool_prefetch(s);
				return true;
			}
	}
	return s->n.items > 0 && walk_evict(s);
}
