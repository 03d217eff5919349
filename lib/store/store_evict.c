// SPDX-License-Identifier: BSD-3-Clause
// The byte limit: sampled LRU with a pool of candidates, as Redis has it.
#include "store/store_internal.h"

#define SAMPLES_MAX    64
#define EVICT_TRIES    16   // rounds of sampling for one eviction
#define PROBES_FIRST   2    // buckets looked at for one round of samples, fetched together,
#define PROBES_BATCH   16   // and then so many at a time,
#define PROBES_MIN     18   // up to this, or more where the index has emptied
#define ROOM_TRIES     64   // steps of a reserve beside those that its bytes call for
#define ITEM_BYTES_MIN 32   // what an eviction frees at least
#define OVER_SLACK     4096 // above the limit: freed by a reserve beyond twice its need
#define MERGES_STEP    64   // buckets merged when nothing is left to evict
#define DEAD_BUDGET    64   // lines and items of flushed generations a step

// ---- the pool -----------------------------------------------------------------------------------

static void pool_remove(struct store *s, unsigned k)
{
	s->pool_count--;
	memmove(&s->pool[k], &s->pool[k + 1], (s->pool_count - k) * sizeof(s->pool[0]));
}

// Ascending by idle time. A full pool drops its least idle entry; one that is no idler than all of
// a full pool is not taken.
static void pool_insert(struct store *s, const struct store_candidate *c)
{
	unsigned k = 0;

	for (unsigned i = 0; i < s->pool_count; i++) {
		if (s->pool[i].it == c->it) {
			pool_remove(s, i);
			break;
		}
	}
	while (k < s->pool_count && s->pool[k].idle < c->idle)
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

// ---- sampling -----------------------------------------------------------------------------------

// Takes up to `want` items of a chain, going round from a random one.
static unsigned chain_sample(
	const struct store_line *chain, uint32_t random, struct store_item **out, unsigned want)
{
	unsigned count = 0, start, at = 0, n = 0;

	for (const struct store_line *l = chain; l; l = l->next)
		count += store_line_count(l);
	start = (unsigned)((uint64_t)random * count >> 32);
	for (const struct store_line *l = chain; l; l = l->next) {
		for (unsigned i = 0; i < STORE_SLOTS && l->slot[i]; i++, at++) {
			if ((at >= start ? at - start : at + count - start) >= want)
				continue;
			out[n] = store_slot_item(l->slot[i]);
			__builtin_prefetch(out[n]);
			n++;
		}
	}
	return n;
}

// Random hashes rather than random buckets: a bucket that is not split yet holds twice as many
// items, and is met twice as often. Never onward from one bucket to the next: that takes what
// stands behind gaps, and leaves clusters that are hardly ever met.
static unsigned items_sample(struct store *s, struct store_item **out, unsigned want)
{
	const struct store_line *line[PROBES_BATCH];
	uint32_t random[PROBES_BATCH];
	uint64_t probes = PROBES_MIN, done = 0;
	unsigned n = 0, batch = PROBES_FIRST;

	if (s->n.items < s->n.buckets)
		probes += s->n.buckets / s->n.items * 2 * want;
	for (; done < probes && n < want; done += batch, batch = PROBES_BATCH) {
		for (unsigned i = 0; i < batch; i++) {
			uint64_t r = base_rng_next(&s->rng);

			line[i] = store_index_chain(&s->live, r);
			random[i] = (uint32_t)(r >> 32);
			__builtin_prefetch(line[i]);
		}
		for (unsigned i = 0; i < batch && n < want; i++)
			n += chain_sample(line[i], random[i], out + n, want - n);
	}
	return n;
}

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
static bool pool_fill(struct store *s)
{
	struct store_item *sample[SAMPLES_MAX];
	unsigned n = items_sample(s, sample, s->samples);
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
		c.idle = store_item_idle(s, it);
		if (s->pool_count == STORE_POOL_MAX && c.idle <= s->pool[0].idle)
			continue;
		c.hash = store_item_hash(it);
		pool_insert(s, &c);
	}
	return reclaimed;
}

// ---- evicting -----------------------------------------------------------------------------------

static void slot_evict(struct store *s, uint64_t *slot, uint64_t hash)
{
	struct store_item *it = store_slot_item(*slot);

	s->n.evicted++;
	s->n.evicted_unfetched += !(it->bits & STORE_ITEM_FETCHED);
	store_slot_clear(s, slot, hash);
	store_item_leave(s, it);
}

// A candidate that has gone, is held, or was used since it was sampled is passed over.
static bool candidate_evict(struct store *s, const struct store_candidate *c)
{
	uint64_t *slot = store_index_locate(&s->live, c->it, c->hash);

	if (!slot || c->it->refs > 1 || store_item_idle(s, c->it) < c->idle)
		return false;
	slot_evict(s, slot, c->hash);
	return true;
}

bool store_evict_one(struct store *s)
{
	for (unsigned i = 0; i < EVICT_TRIES && s->n.items > 0; i++) {
		if (pool_fill(s))
			return true;
		while (s->pool_count > 0)
			if (candidate_evict(s, &s->pool[--s->pool_count]))
				return true;
	}
	return false;
}

// ---- room ---------------------------------------------------------------------------------------

// One step towards more room: what a flush left first, then what lives, then the index itself where
// it has become too wide. False: there is no more.
static bool room_step(struct store *s)
{
	uint64_t before = store_charged_bytes(s);

	if (s->dead) {
		store_dead_reclaim(s, DEAD_BUDGET);
		if (store_charged_bytes(s) < before)
			return true;
	}
	if (store_evicts(s) && store_evict_one(s)) {
		store_shrink(s, 1);
		return true;
	}
	return store_shrink(s, MERGES_STEP) || s->dead;
}

// Steps until `bytes` are freed. Bounded: each eviction frees at least ITEM_BYTES_MIN.
static uint64_t room_free(struct store *s, uint64_t bytes)
{
	uint64_t start = store_charged_bytes(s), now = start;

	for (uint64_t tries = ROOM_TRIES + bytes / ITEM_BYTES_MIN; tries > 0; tries--) {
		if (!room_step(s))
			break;
		now = store_charged_bytes(s);
		if (now + bytes <= start)
			break;
	}
	return now < start ? start - now : 0;
}

bool store_room_make(struct store *s, uint64_t bytes)
{
	uint64_t used, limit, goal;

	if (!s->limit_bytes)
		return true;
	used = store_charged_bytes(s);
	limit = s->limit_bytes - s->headroom_bytes;
	if (base_likely(used + bytes <= limit))
		return true;
	if (bytes > s->limit_bytes)
		return false;
	// Above the limit (it was cut, or room for the index is wanted): not all at once, but each
	// reserve frees more than it takes.
	if (used > limit)
		goal = bytes + base_min_u64(used - limit, bytes + OVER_SLACK);
	else
		goal = used + bytes - limit;
	return room_free(s, goal) >= goal || store_charged_bytes(s) + bytes <= s->limit_bytes;
}

bool store_room_force(struct store *s, uint64_t bytes)
{
	return room_free(s, bytes * 2) > 0;
}

bool store_chain_room_make(struct store *s, uint64_t hash)
{
	struct store_line *line = store_index_chain(&s->live, hash);
	unsigned lines = 1;
	uint64_t *coldest = NULL;

	for (const struct store_line *l = line; l->next; l = l->next)
		lines++;
	if (base_likely(lines < STORE_CHAIN_LINES_MAX))
		return true;
	for (; line; line = line->next) {
		for (unsigned i = 0; i < STORE_SLOTS; i++) {
			struct store_item *it = store_slot_item(line->slot[i]);

			if (!it)
				return true; // the last line has a slot free
			if (it->refs == 1 &&
				(!coldest ||
					store_item_idle(s, it) >
						store_item_idle(s, store_slot_item(*coldest))))
				coldest = &line->slot[i];
		}
	}
	if (!store_evicts(s) || !coldest)
		return false;
	slot_evict(s, coldest, hash); // of the chain, if not of the item: enough to clear it
	return true;
}
