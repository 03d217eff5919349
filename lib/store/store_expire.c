// SPDX-License-Identifier: BSD-3-Clause
// Active expiry: the deadline index says which buckets hold what is due.
#include "store/store_internal.h"

// Expires what is due of a bucket and puts its minimum right. Returns lines and items looked at.
static unsigned bucket_expire(struct store *s, uint32_t bucket)
{
	struct store_line *line = store_index_bucket(&s->live, bucket);
	uint32_t min = STORE_DUE_NEVER;
	unsigned looked = 1;

	for (struct store_line *l = line; l; l = l->next, looked++)
		store_line_prefetch(l);
	// A removal moves the last slot of the chain into the gap, so that one stays where it is and
	// looks again; the last line may go, but never the one in hand before its slots are empty.
	while (line) {
		unsigned i = 0;

		while (i < STORE_SLOTS && line->slot[i]) {
			struct store_item *it = store_slot_item(line->slot[i]);
			bool last = !line->next && (i + 1 == STORE_SLOTS || !line->slot[i + 1]);

			looked++;
			if (!store_item_expired(s, it)) {
				if ((it->bits & STORE_ITEM_DUE) && it->deadline_s < min)
					min = it->deadline_s;
				i++;
				continue;
			}
			store_slot_clear(s, &line->slot[i], bucket); // its number is hash enough
			store_item_expire(s, it);
			if (last)
				goto done;
		}
		line = line->next;
	}
done:
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
