// SPDX-License-Identifier: BSD-3-Clause
// A group of buckets: read, counted, dealt out anew.
#include "store/store_group.h"

#include "store/store_internal.h"

static uint32_t bucket_number(const struct store_regroup *r, unsigned i)
{
	return i * r->groups + r->group;
}

static uint64_t *home_line(const struct store_regroup *r, unsigned home)
{
	return &r->bucket[home >> 1]->slot[(home & 1) * STORE_LINE_SLOTS];
}

static inline unsigned value_home(const struct store_regroup *r, uint64_t value)
{
	unsigned tag = store_slot_tag(value);

	return (tag * r->to >> 16) << 1 | (tag & STORE_TAG_LINE);
}

static uint64_t value_retag(const struct store_regroup *r, uint64_t value)
{
	const uint64_t level = (uint64_t)STORE_TAG_LEVEL << STORE_POINTER_BITS;
	bool set;

	if (r->retag == STORE_RETAG_NOT)
		return value;
	set = r->retag == STORE_RETAG_KEYS ? store_item_hash(store_slot_item(value)) & r->groups
					   : r->group & r->groups >> 1;
	return set ? value | level : value & ~level;
}

void store_group_begin(struct store_regroup *r, const struct store_index *at, bool grows)
{
	const unsigned most = at->wide + 1;

	r->group = at->next;
	r->groups = at->group_mask + 1;
	r->from = at->wide + !grows;
	r->to = at->wide + grows;
	r->retag = STORE_RETAG_NOT;
	if (at->wide == STORE_GROUP_MIN)
		r->retag = grows ? STORE_RETAG_KEYS : STORE_RETAG_BACK;
	for (unsigned i = 0; i < most; i++)
		r->bucket[i] = store_index_bucket(at, bucket_number(r, i));
	memset(r->count, 0, sizeof(r->count));
	memset(r->filled, 0, sizeof(r->filled));
	r->nodes = 0;
	r->values = 0;
}

// Without a branch to guess: an empty slot, or the link, is written over by what comes next.
static void lines_read(struct store_regroup *r, unsigned i)
{
	const uint64_t *slot = r->bucket[i]->slot, last = slot[STORE_BUCKET_SLOTS - 1];
	unsigned n = r->values;

	for (unsigned k = 0; k < STORE_BUCKET_SLOTS - 1; k++) {
		r->value[n] = slot[k] & ~STORE_SLOT_FILTER;
		n += store_slot_item(slot[k]) != NULL;
	}
	r->link[i] = last & STORE_SLOT_LINK ? last : 0;
	if (store_slot_item(last) && !r->link[i])
		r->value[n++] = last & ~STORE_SLOT_FILTER;
	r->values = n;
}

static void nodes_read(struct store_regroup *r, unsigned i)
{
	struct store_walk w = store_nodes_walk(r->bucket[i]);
	uint64_t *slot;

	if (!r->link[i])
		return;
	while ((slot = store_walk_next(&w))) {
		r->count[value_home(r, value_retag(r, *slot))]++;
		r->nodes += slot == w.end - STORE_NODE_SLOTS;
	}
}

void store_group_read(struct store_regroup *r)
{
	for (unsigned i = 0; r->retag == STORE_RETAG_KEYS && i < r->from; i++)
		store_bucket_items_prefetch(r->bucket[i]);
	for (unsigned i = 0; i < r->from; i++) {
		lines_read(r, i);
		nodes_read(r, i);
	}
	for (unsigned k = 0; r->retag != STORE_RETAG_NOT && k < r->values; k++)
		r->value[k] = value_retag(r, r->value[k]);
	for (unsigned k = 0; k < r->values; k++) {
		unsigned home = value_home(r, r->value[k]);

		r->home[k] = (uint8_t)home;
		r->count[home]++;
	}
}

uint32_t store_group_lacking(const struct store_regroup *r)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < r->to; i++)
		n += store_nodes_of(r->count[2 * i] + r->count[2 * i + 1]);
	return n > r->nodes ? n - r->nodes : 0;
}

// The first new bucket of a group: its keys have been read, so that what has expired is known.
static bool value_expires(struct store *s, const struct store_regroup *r, uint64_t value)
{
	struct store_item *it = store_slot_item(value);

	if (r->retag != STORE_RETAG_KEYS || base_likely(!store_item_expired(s, it)))
		return false;
	s->n.deadlines--;
	store_item_expire(s, it);
	return true;
}

static void values_expire(struct store *s, struct store_regroup *r)
{
	unsigned n = 0;

	for (unsigned k = 0; k < r->values; k++) {
		if (value_expires(s, r, r->value[k]))
			continue;
		r->home[n] = r->home[k];
		r->value[n++] = r->value[k];
	}
	r->values = n;
}

static void node_deal(
	struct store *s, struct store_regroup *r, uint64_t value, struct store_node **nodes)
{
	unsigned home = value_home(r, value);
	struct store_bucket *b = r->bucket[home >> 1];
	uint64_t *slot;

	if (value_expires(s, r, value))
		return;
	if (base_likely(r->filled[home] < STORE_LINE_SLOTS)) {
		home_line(r, home)[r->filled[home]++] = value;
		return;
	}
	slot = store_bucket_put(s, b, value, nodes);
	r->filled[home ^ 1] += slot >= b->slot && slot < b->slot + STORE_BUCKET_SLOTS;
}

// What they held fills the lines first, and each is free before another is wanted.
static void nodes_deal(struct store *s, struct store_regroup *r, struct store_node **nodes)
{
	for (unsigned i = 0; i < r->from; i++) {
		uint64_t link = r->link[i];

		while (link & STORE_SLOT_LINK) {
			struct store_node *node = store_slot_node(link), copy = *node;

			store_nodes_give(s, nodes, node);
			link = copy.slot[STORE_NODE_SLOTS - 1];
			for (unsigned k = 0; k < STORE_NODE_SLOTS; k++)
				if (copy.slot[k] && !(copy.slot[k] & STORE_SLOT_LINK))
					node_deal(s, r, value_retag(r, copy.slot[k]), nodes);
		}
	}
}

// Each to its home, while that has room; those that find none are gathered, again without a branch
// to guess, and come last.
static void lines_deal(struct store *s, struct store_regroup *r, struct store_node **nodes)
{
	unsigned over = 0;

	for (unsigned k = 0; k < r->values; k++) {
		uint64_t value = r->value[k], *free, *to;
		unsigned home = r->home[k], full;

		full = r->filled[home] >= STORE_LINE_SLOTS;
		free = home_line(r, home) + r->filled[home];
		to = full ? &r->value[over] : free;
		*to = value;
		r->home[over] = (uint8_t)home;
		over += full;
		r->filled[home] += !full;
	}
	for (unsigned k = 0; k < over; k++)
		store_bucket_put(s, r->bucket[r->home[k] >> 1], r->value[k], nodes);
}

static void group_deal(struct store *s, struct store_regroup *r)
{
	struct store_node *given_up = NULL;

	for (unsigned i = 0; i < base_max_u64(r->from, r->to); i++)
		memset(r->bucket[i], 0, sizeof(struct store_bucket));
	if (r->retag == STORE_RETAG_KEYS)
		values_expire(s, r);
	if (r->nodes > 0)
		nodes_deal(s, r, &given_up);
	lines_deal(s, r, &given_up);
	store_nodes_free(s, &given_up);
}

// The deadline index finds no room: these items expire when they are read.
static void bucket_due_forget(struct store *s, struct store_bucket *b)
{
	uint64_t *slot;

	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));) {
		if (!(*slot & STORE_SLOT_DUE))
			continue;
		*slot &= ~STORE_SLOT_DUE;
		store_slot_item(*slot)->bits &= (uint16_t)~STORE_ITEM_DUE;
		s->n.deadlines_missed++;
	}
}

static uint32_t bucket_due_count(struct store_bucket *b)
{
	uint32_t n = 0;
	const uint64_t *slot;

	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));)
		n += (*slot & STORE_SLOT_DUE) != 0;
	return n;
}

// The nearest deadline of a bucket is not after those of the buckets that its items came from.
static void group_due_enter(struct store *s, const struct store_regroup *r)
{
	for (unsigned i = 0; i < r->to; i++) {
		unsigned first = r->from > r->to ? i : i - (i > 0);
		unsigned last = r->from > r->to ? i + 1 : i - (i == r->from);
		uint32_t min = r->min[first] < r->min[last] ? r->min[first] : r->min[last];
		uint32_t due = bucket_due_count(r->bucket[i]);

		if (due > 0 && !store_due_add(s, &s->due, bucket_number(r, i), min, due))
			bucket_due_forget(s, r->bucket[i]);
	}
}

void store_group_change(struct store *s, struct store_regroup *r)
{
	bool due = s->due.items > 0;

	for (unsigned i = 0; due && i < r->from; i++)
		r->min[i] = store_due_drop(s, &s->due, bucket_number(r, i));
	group_deal(s, r);
	if (base_unlikely(s->due_settling))
		for (unsigned i = 0; i < r->to; i++)
			store_bucket_settle(s, bucket_number(r, i));
	else if (due)
		group_due_enter(s, r);
}

bool store_group_fits(const struct store_regroup *r)
{
	for (unsigned i = 0; i < r->to; i++)
		if (r->count[2 * i] + r->count[2 * i + 1] > STORE_BUCKET_ITEMS_MAX)
			return false;
	return true;
}
