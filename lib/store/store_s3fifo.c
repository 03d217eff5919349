// SPDX-License-Identifier: BSD-3-Clause
// S3-FIFO (J. Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023) within the
// same item header and index.
//
//	new key --> [ small: an 11th, a queue of entries ] --> read twice since: [ main ]
//	                         |  else                           |  ^ read since: once more
//	                         v                                 v  |
//	                  ghosts: as many as main <------ the oldest
//	new key among the ghosts --> main
//
// The small queue is a real one, of 8 bytes an item. Main's order is the stamp of insertion in each
// item, and its oldest is found by sampling: a queue of its own would not fit the header's bytes.
// As published main's oldest is not remembered; that it is brings more hits than sampling costs.
#include "store/store_internal.h"

#define SMALL_PARTS  11  // the small queue is one of them
#define POPS_MAX     256 // entries taken from the small queue for one eviction
#define ROUNDS_MAX   64  // rounds of sampling in main for one eviction
#define GAP_WEIGHT   512 // evictions over which the time between them is smoothed
#define STALE_KEPT   1024
#define ROTATE_STEPS 4

static inline uint64_t entry_make(uint64_t hash, uint32_t stamp)
{
	return hash << 16 | (stamp & UINT16_MAX);
}

static inline bool is_of_entry(struct store_item *it, const void *entry)
{
	return store_item_small(it) &&
		(uint16_t)store_item_access(it) == (uint16_t) * (const uint64_t *)entry;
}

// The small item of an entry, or NULL when it has gone.
static uint64_t *entry_slot(struct store *s, uint64_t entry)
{
	struct store_spot at = store_index_spot(&s->live, entry >> 16);

	return store_bucket_seek(
		store_index_bucket(&s->live, at.bucket), at.tag, is_of_entry, &entry);
}

// Stale entries must not pile up: while they are more than the live ones, each push takes some from
// the front, and puts the live ones of them behind.
static void small_rotate(struct store *s)
{
	uint64_t entry, *slot;

	for (unsigned i = 0; i < ROTATE_STEPS; i++) {
		if (s->small.count <= s->n.small_items * 2 + STALE_KEPT ||
			!store_fifo_pop(s, &s->small, &entry))
			return;
		slot = entry_slot(s, entry);
		if (slot && !store_fifo_push(s, &s->small, entry))
			store_access_main(s, store_slot_item(*slot)); // no page to be had
	}
}

// Those that the policy is about.
static inline uint64_t items_all(const struct store *s)
{
	return s->traits->is_volatile ? s->due.items : s->n.items;
}

static uint64_t main_items(const struct store *s)
{
	uint64_t all = items_all(s);

	return all > s->n.small_items ? all - s->n.small_items : 0;
}

static bool small_is_over(const struct store *s)
{
	if (s->traits->is_volatile) // their bytes are not known apart
		return s->n.small_items * SMALL_PARTS > s->due.items;
	return s->n.small_bytes * SMALL_PARTS > s->n.item_bytes;
}

bool store_s3fifo_enter(struct store *s, const struct store_item *it, uint64_t hash, uint32_t stamp)
{
	if (s->traits->is_volatile && it->deadline_s == 0)
		return false; // never goes
	if (store_ghost_take(&s->ghost, hash)) {
		s->n.ghost_hits++;
		return false;
	}
	small_rotate(s);
	return store_fifo_push(s, &s->small, entry_make(hash, stamp));
}

// ---- evicting -----------------------------------------------------------------------------------

// Remembered: as many as main is to hold, whatever it holds now.
static void fifo_slot_evict(struct store *s, uint64_t *slot, uint32_t bucket, uint64_t hash)
{
	double gap_us = (double)(s->now.mono_us - s->evicted_us);

	s->gap_us += (gap_us - s->gap_us) / GAP_WEIGHT;
	s->evicted_us = s->now.mono_us;
	store_ghost_put(s, &s->ghost, hash, items_all(s) - items_all(s) / SMALL_PARTS);
	store_bucket_evict(s, bucket, slot);
}

// Takes an item from the front of the small queue. True: it was evicted, or had expired.
static bool small_evict(struct store *s)
{
	uint64_t entry, *slot, hash;
	struct store_item *it;
	uint32_t bucket;

	if (!store_fifo_pop(s, &s->small, &entry))
		return false;
	slot = entry_slot(s, entry);
	if (!slot)
		return false;
	it = store_slot_item(*slot);
	hash = entry >> 16;
	bucket = store_index_number(&s->live, hash);
	if (store_item_expired(s, it)) {
		store_bucket_clear(s, store_index_bucket(&s->live, bucket), bucket, slot);
		store_item_expire(s, it);
		s->n.reclaimed++;
		return true;
	}
	if (it->refs > 1 || store_access_freq(it) > 1 ||
		(s->traits->is_volatile && !(it->bits & STORE_ITEM_DUE))) {
		store_access_main(s, it);
		return false;
	}
	fifo_slot_evict(s, slot, bucket, hash);
	return true;
}

// The oldest of main that the pool knows of goes, or to the back if it was read.
static bool main_evict(struct store *s, bool must)
{
	struct store_sample sample;
	struct store_item *it;
	uint64_t *slot, score;

	if (store_pool_fill(s))
		return true;
	if (s->pool.count == 0)
		return false;
	score = store_pool_take(&s->pool, &sample);
	slot = store_sample_slot(s, &sample);
	it = store_slot_item(sample.slot);
	if (!slot || it->refs > 1 || store_item_small(it) ||
		(s->traits->is_volatile && !(it->bits & STORE_ITEM_DUE)))
		return false;
	store_access_convert(s, it);
	if (store_item_score(s, it) < score)
		return false; // it has been to the back since
	if (store_access_freq(it) > 0 && !must) {
		store_access_main(s, it);
		return false;
	}
	store_cold_note(s, it);
	fifo_slot_evict(s, slot, sample.bucket, store_item_hash(it));
	return true;
}

bool store_s3fifo_evict(struct store *s)
{
	unsigned pops = POPS_MAX, rounds = ROUNDS_MAX;

	while (s->n.items > 0 && pops > 0 && rounds > 0) {
		uint64_t in_main = main_items(s);

		if (s->small.count > 0 && (small_is_over(s) || in_main == 0)) {
			pops--;
			if (small_evict(s))
				return true;
		} else if (in_main > 0) {
			rounds--;
			if (main_evict(s, rounds == 0))
				return true;
		} else {
			return false;
		}
	}
	// A great many entries were stale, or all that was met is held.
	return s->n.items > 0 && store_random_evict(s);
}
