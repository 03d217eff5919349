// SPDX-License-Identifier: BSD-3-Clause
// The byte limit: room is made for a reserve, or after the allocator refused.
#include "store/store_internal.h"

#define ROOM_TRIES     64   // steps of a reserve beside those that its bytes call for
#define ITEM_BYTES_MIN 32   // what an eviction frees at least
#define OVER_SLACK     4096 // above the limit: freed by a reserve beyond twice its need
#define SETTLE_UNITS   256  // lines and items that the deadline index is made of
#define MERGES_STEP    64   // buckets merged when nothing is left to evict
#define DEAD_BUDGET    64   // lines and items of flushed generations a step
#define FORCE_BACK_MAX (64u << 10)
#define WANTED_OVER    1024 // an item's header and key, and its part of the index
#define WANTED_SHARE   16

// One step towards more room: what a flush left first, then what is due, then what lives, then the
// index itself where it has become too wide. False: there is no more.
static bool room_step(struct store *s)
{
	if (store_lazy_reclaim(s))
		return true;
	if (s->dead) {
		uint64_t before = store_charged_bytes(s);

		store_dead_reclaim(s, DEAD_BUDGET);
		if (store_charged_bytes(s) < before)
			return true;
	}
	if (s->due.items > 0) {
		uint64_t before = store_charged_bytes(s), expired = s->n.expired;

		store_due_expire(s, 1);
		s->n.reclaimed += s->n.expired - expired;
		if (store_charged_bytes(s) < before)
			return true;
	}
	if (store_evicts(s) && store_evict_one(s)) {
		store_shrink(s, 1);
		return true;
	}
	// A volatile policy finds no more than the index knows.
	if (s->due_settling && s->due_keep) {
		store_due_settle(s, SETTLE_UNITS, true);
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

// Above the limit (it was cut, or room for the index is wanted): not all at once, but each reserve
// frees more than it takes, as long as the turn's excess lasts.
static uint64_t excess_free(struct store *s, uint64_t bytes, uint64_t over)
{
	uint64_t evicted = s->n.evicted, freed;
	uint64_t excess = base_min_u64(over, bytes + OVER_SLACK);

	if (s->excess_left == 0)
		excess = 0;
	freed = room_free(s, bytes + excess);
	s->excess_left -= base_min_u64(s->n.evicted - evicted, s->excess_left);
	return freed;
}

bool store_room_make(struct store *s, uint64_t bytes)
{
	uint64_t used, limit;

	if (!s->limit_bytes)
		return true;
	used = store_charged_bytes(s);
	limit = store_limit_kept(s);
	if (base_likely(used + bytes <= limit))
		return true;
	if (bytes > s->limit_bytes)
		return false;
	if (used > limit) {
		if (excess_free(s, bytes, used - limit) >= bytes)
			return true;
	} else if (room_free(s, used + bytes - limit) >= used + bytes - limit) {
		return true;
	}
	return store_charged_bytes(s) + bytes <= s->limit_bytes;
}

uint64_t store_limit_wanted(const struct store *s, uint8_t key_len, uint64_t value_bytes)
{
	uint64_t used = store_charged_bytes(s), bytes;

	if (base_likely(!s->limit_bytes || used + value_bytes + WANTED_OVER <= s->limit_bytes))
		return 0;
	bytes = store_layout_usable(
			s, store_layout_of(sizeof(struct store_item) + 4 + key_len + value_bytes)) +
		WANTED_OVER + s->headroom_bytes;
	if (!store_evicts(s)) // nothing goes
		return used + bytes <= s->limit_bytes ? 0 : used + bytes;
	bytes += bytes / WANTED_SHARE; // for the index, and what cannot be evicted
	return bytes <= s->limit_bytes ? 0 : bytes;
}

// Where the allocator refuses is much the same each time, unless a segment of the index has taken
// what there was since: that much goes as well.
bool store_room_force(struct store *s, uint64_t bytes)
{
	uint64_t used = store_charged_bytes(s), back = 0;

	if (used > s->refused_bytes)
		back = base_min_u64(used - s->refused_bytes, FORCE_BACK_MAX);
	s->refused_bytes = used - back;
	return room_free(s, bytes * 2 + back) > 0;
}

bool store_room_step(struct store *s, unsigned *budget)
{
	unsigned cost = s->set.samples + 1u;

	if (!s->limit_bytes || !store_evicts(s))
		return false;
	while (store_charged_bytes(s) > store_limit_kept(s)) {
		if (*budget == 0)
			return true;
		if (!store_evict_one(s))
			return false;
		*budget -= base_min_u64(cost, *budget);
	}
	return false;
}

// ---- a full chain -------------------------------------------------------------------------------

static bool bucket_full(struct store_bucket *b)
{
	struct store_walk w = store_nodes_walk(b);
	unsigned items = STORE_BUCKET_SLOTS - 1;

	while (store_walk_next(&w))
		items++;
	return items >= STORE_BUCKET_ITEMS_MAX;
}

bool store_chain_room_make(struct store *s, uint64_t hash)
{
	struct store_spot at = store_index_spot(&s->live, hash);
	struct store_bucket *b = store_index_bucket(&s->live, at.bucket);
	uint64_t *worst = NULL, *slot, score = 0;
	unsigned crowded;

	// None like it lies outside its line: the other is not looked at. A full bucket may so get
	// one for each bit of the filters.
	crowded = (unsigned)store_line_filtered(store_bucket_line(b, at.tag), at.tag) &
		(unsigned)store_bucket_overflows(b); // both are read at once
	if (base_likely(!crowded) || base_likely(!bucket_full(b)))
		return true;
	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));) {
		struct store_item *it = store_slot_item(*slot);
		uint64_t its;

		store_access_convert(s, it);
		its = store_item_score(s, it);
		if (it->refs == 1 && (!worst || its > score) &&
			(!s->traits->is_volatile || (it->bits & STORE_ITEM_DUE))) {
			worst = slot;
			score = its;
		}
	}
	if (!store_evicts(s) || !worst)
		return false;
	// of the bucket, if not of the item: enough to clear it
	store_bucket_evict(s, at.bucket, worst);
	return true;
}
