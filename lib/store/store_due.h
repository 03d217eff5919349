// SPDX-License-Identifier: BSD-3-Clause
// The deadline index: for each bucket the nearest deadline of its items and how many have one.
// Internal to lib/store.
#pragma once

#include "store/store.h"

//   node   min[16]  buckets[16]  child[16]     256 B, 16 children
//    ...
//   leaf   min[16]  items[16]                   80 B, 16 buckets
//
// A leaf's 5 bytes a bucket and its share of the nodes above are 6.1 bytes a bucket: half a byte a
// key at 13 keys a bucket. A bucket without deadlines has min UINT32_MAX, and a node without any
// does not exist. Minima are lower bounds: an item that leaves before its time does not raise them.
#define STORE_DUE_FANOUT 16u
#define STORE_DUE_LEVELS 8u // 16^8 buckets are more than STORE_BUCKETS_MAX
#define STORE_DUE_NEVER  UINT32_MAX

struct store_due {
	void *root;      // NULL, or a leaf (one level), or a node
	uint32_t levels; // of the tree below root; it covers 16^levels buckets
	uint32_t min;    // none is due before
	uint64_t items;
};

// Counts n items of a bucket in, the nearest of whose deadlines is `min`. False: no memory, or too
// many for one bucket, and nothing was counted.
bool store_due_add(struct store *s, struct store_due *d, uint32_t bucket, uint32_t min, uint32_t n);
void store_due_remove(struct store *s, struct store_due *d, uint32_t bucket, uint32_t n);
// Takes all of a bucket's items out. Returns what was held for their nearest deadline.
uint32_t store_due_drop(struct store *s, struct store_due *d, uint32_t bucket);
// After all of a bucket's items were looked at: their nearest deadline.
void store_due_min_set(struct store_due *d, uint32_t bucket, uint32_t min);
// A bucket whose bound is not after `now_s`. False: there is none.
bool store_due_search(struct store_due *d, uint32_t now_s, uint32_t *bucket);
static inline bool store_due_first(struct store_due *d, uint32_t now_s, uint32_t *bucket)
{
	return base_unlikely(d->min <= now_s) && store_due_search(d, now_s, bucket);
}
// One of the buckets that have items, each as likely as the others. Not of an empty index.
uint32_t store_due_pick(const struct store_due *d, uint64_t random);
void store_due_close(struct store *s, struct store_due *d);
