// SPDX-License-Identifier: BSD-3-Clause
// The deadline index made, or given up, while the shard serves: bucket by bucket. Until all have
// been seen, what is not in it is found by sampling (store_expire.c).
//
//	index kept     slot says due = item says due = counted in the index
//	index not kept slot says due = item has a deadline; no item says due; the index is empty
//	in between     as before or as after; a bucket that was seen, or dealt out anew, as after
#include "store/store_internal.h"

void store_due_mode(struct store *s)
{
	bool keep = s->set.expire_index || s->traits->is_volatile;

	if (keep == s->due_keep)
		return;
	s->due_keep = keep;
	s->due_settling = s->n.deadlines > 0;
	s->due_cursor = 0;
	s->cycle.look_us = 0;
}

// How many of a bucket's items have a deadline, and the nearest.
static uint32_t deadlines_count(struct store_bucket *b, uint32_t *min)
{
	const uint64_t *slot;
	uint32_t n = 0;

	*min = STORE_DUE_NEVER;
	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));) {
		const struct store_item *it = store_slot_item(*slot);

		if (it->deadline_s == 0)
			continue;
		n++;
		*min = it->deadline_s < *min ? it->deadline_s : *min;
	}
	return n;
}

uint32_t store_bucket_settle(struct store *s, uint32_t bucket)
{
	struct store_bucket *b = store_index_bucket(&s->live, bucket);
	uint32_t min, n, looked = 2;
	bool counted, marked;
	uint64_t *slot;

	store_bucket_items_prefetch(b);
	store_due_drop(s, &s->due, bucket);
	n = deadlines_count(b, &min);
	counted = s->due_keep && n > 0 && store_due_add(s, &s->due, bucket, min, n);
	marked = counted || !s->due_keep;
	if (!marked)
		s->n.deadlines_missed += n;
	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w)); looked++) {
		struct store_item *it = store_slot_item(*slot);

		it->bits &= (uint16_t)~STORE_ITEM_DUE;
		*slot &= ~STORE_SLOT_DUE;
		if (it->deadline_s != 0 && counted)
			it->bits |= STORE_ITEM_DUE;
		if (it->deadline_s != 0 && marked)
			*slot |= STORE_SLOT_DUE;
	}
	return looked;
}

unsigned store_due_settle(struct store *s, unsigned units, bool force)
{
	while (units > 0 && s->due_settling) {
		if (s->due_cursor >= s->live.buckets || s->n.deadlines == 0) {
			s->due_settling = false;
			s->cycle.look_us = 0;
			base_assert(s->due_keep || s->due.items == 0);
			break;
		}
		// What the index takes is within the limit, as all of the shard is.
		if (s->due_keep && !force && !store_room_make(s, STORE_DUE_ROOM))
			break;
		units -= base_min_u64(store_bucket_settle(s, s->due_cursor++), units);
	}
	return units;
}
