// SPDX-License-Identifier: BSD-3-Clause
// A group of buckets that is dealt out to one more, or to one less. Internal to lib/store.
#pragma once

#include "store/store_index.h"

enum store_retag {
	STORE_RETAG_NOT,
	STORE_RETAG_KEYS, // the first bucket since the groups were doubled: a level from the keys
	STORE_RETAG_BACK, // before they are halved: the level is what told the halves apart
};

#define STORE_GROUP_LINES (2 * STORE_GROUP_MAX)
#define STORE_GROUP_SLOTS (STORE_GROUP_MAX * STORE_BUCKET_SLOTS)

// `from` buckets of the group become `to`: one more or one less. Each item goes to the bucket of
// its old number or to a neighbour of that.
struct store_regroup {
	uint32_t group, groups;
	unsigned from, to;
	enum store_retag retag;
	struct store_bucket *bucket[STORE_GROUP_MAX];
	uint64_t link[STORE_GROUP_MAX]; // to the nodes there were, or 0
	uint32_t nodes;                 // that hold items now
	// What lay in lines, as it will be, and in which line: twice the bucket's place, and line.
	uint64_t value[STORE_GROUP_SLOTS];
	uint8_t home[STORE_GROUP_SLOTS];
	unsigned values;
	unsigned count[STORE_GROUP_LINES];  // items by home to be
	unsigned filled[STORE_GROUP_LINES]; // slots of a line that has been begun
	uint32_t min[STORE_GROUP_MAX];      // nearest deadline by bucket that was
};

// Of the index `at`, whose group `next` has `wide` buckets before it grows and after it narrows.
void store_group_begin(struct store_regroup *r, const struct store_index *at, bool grows);
// Reads the group and counts. Nothing of the index changes.
void store_group_read(struct store_regroup *r);
// Nodes that are wanted beyond those that the group gives up.
uint32_t store_group_lacking(const struct store_regroup *r);
// Whether no bucket would get more items than it may have.
bool store_group_fits(const struct store_regroup *r);
// Deals it out. The spares have the nodes that it lacks.
void store_group_change(struct store *s, struct store_regroup *r);
