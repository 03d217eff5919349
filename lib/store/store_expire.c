// SPDX-License-Identifier: BSD-3-Clause
// Active expiry: the deadline index says which buckets hold what is due.
#include "store/store_internal.h"

// The first of a bucket that is due, or NULL; then `min` is the nearest deadline of all.
static uint64_t *bucket_due_find(
	const struct store *s, struct store_bucket *b, uint32_t *min, unsigned *looked)
{
	uint64_t *slot;

	*min = STORE_DUE_NEVER;
	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));) {
		const struct store_item *it = store_slot_item(*slot);

		++*looked;
		if (store_item_expired(s, it))
			return slot;
		if ((it->bits & STORE_ITEM_DUE) && it->deadline_s < *min)
			*min = it->deadline_s;
	}
	return NULL;
}

// Expires what is due of a bucket and puts its minimum right. Returns lines and items looked at.
// Each removal may move others of the bucket, so that it is looked through again.
static unsigned bucket_expire(struct store *s, uint32_t bucket)
{
	struct store_bucket *b = store_index_bucket(&s->live, bucket);
	unsigned looked = 2;
	uint64_t *slot;
	uint32_t min;

	store_bucket_items_prefetch(b);
	while ((slot = bucket_due_find(s, b, &min, &looked))) {
		struct store_item *it = store_slot_item(*slot);

		store_bucket_clear(s, b, bucket, slot);
		store_item_expire(s, it);
	}
	store_due_min_set(&s->due, bucket, min);
	return looked;
}

unsigned store_expire_step(struct store *s, unsigned budget)
{
	uint32_t now_s = (uint32_t)s->now.wall_s, bucket;

	while (budget > 0 && store_due_first(&s->due, now_s, &bucket))
		budget -= base_min_u64(bucket_expire(s, bucket), budget);
	return budget;
}
