// SPDX-License-Identifier: BSD-3-Clause
// When the live index grows and narrows, by a bucket at a time, and where the memory is had from.
#include "store/store_group.h"
#include "store/store_internal.h"

// ---- growth -------------------------------------------------------------------------------------

// Halves of an item a bucket. The mark for growth is 13: with the nodes the index then takes 10.5
// bytes a key. Below 3 it narrows.
#define LOAD_MERGE  6
#define LOAD_SPLIT  26
#define LOAD_EVICTS 32

// Of the limit, a growth for what is expected may take this part, with so many bytes an item.
#define EXPECT_SHARE 4
#define EXPECT_ITEM  11

// By the items that there are, or that are expected.
static inline bool index_loaded(const struct store *s, unsigned halves)
{
	return base_max_u64(s->n.items, s->expected) * 2 > s->n.buckets * halves;
}

static bool growth_refused(struct store *s)
{
	s->grow_wait = STORE_GROW_WAIT;
	s->n.splits_deferred++;
	return false;
}

// Below the limit, with what the deadline index may take for it.
static bool growth_fits(const struct store *s, uint64_t bytes)
{
	return !s->limit_bytes || store_charged_bytes(s) + bytes + STORE_DUE_ROOM <= s->limit_bytes;
}

// Gets the segment of the next bucket. Below a limit there must be room for it first. When buckets
// have become long for want of it, that much is held back from items, unless it is out of
// proportion; the distance of the two marks keeps this from swinging.
static bool segment_get(struct store *s)
{
	uint64_t want = store_index_growth_bytes(&s->live);

	if (want == 0)
		return true;
	if (!growth_fits(s, want)) {
		if (!s->expected && index_loaded(s, LOAD_EVICTS) && want <= s->limit_bytes / 8)
			s->headroom_bytes = want + STORE_DUE_ROOM;
		s->n.splits_deferred++;
		return false;
	}
	if (s->grow_wait > 0)
		return false;
	if (store_index_extend(&s->live, s->mem) != 0)
		return growth_refused(s);
	s->headroom_bytes = 0;
	return true;
}

// The group that grows next has some commits to come into the caches.
static void group_prefetch(const struct store_index *ix)
{
	for (unsigned i = 0; i < ix->wide; i++)
		store_bucket_lines_prefetch(
			store_index_bucket(ix, i * (ix->group_mask + 1) + ix->next));
	if (store_index_growth_bytes(ix) == 0)
		store_bucket_lines_prefetch(store_index_bucket(ix, ix->buckets));
}

static bool group_grow(struct store *s)
{
	struct store_index *ix = &s->live;
	struct store_regroup r;
	uint32_t lacking;

	store_group_begin(&r, ix, true);
	store_group_read(&r);
	lacking = store_group_lacking(&r);
	if (lacking > 0 && !growth_fits(s, lacking * sizeof(struct store_node))) {
		s->n.splits_deferred++;
		return false;
	}
	if (lacking > 0 && s->grow_wait > 0)
		return false;
	if (lacking > 0 && !store_spare_ensure(s, lacking - 1))
		return growth_refused(s);
	store_group_change(s, &r);
	ix->buckets++;
	if (++ix->next > ix->group_mask) {
		ix->next = 0;
		ix->wide++;
	}
	if (ix->wide == STORE_GROUP_MAX) {
		ix->wide = STORE_GROUP_MIN;
		ix->group_mask = ix->group_mask * 2 + 1;
		ix->group_bits++;
	}
	s->epoch++;
	s->n.splits++;
	s->n.buckets = ix->buckets;
	group_prefetch(ix);
	return true;
}

static bool growth_due(const struct store *s)
{
	return index_loaded(s, LOAD_SPLIT) && s->live.buckets < STORE_BUCKETS_MAX;
}

bool store_grow(struct store *s, unsigned splits_max)
{
	bool loaded = growth_due(s);

	for (; loaded && splits_max > 0; splits_max--) {
		if (!segment_get(s) || !group_grow(s))
			return false;
		loaded = growth_due(s);
	}
	if (!loaded)
		s->headroom_bytes = 0;
	return loaded;
}

bool store_expect(struct store *s, uint64_t items, unsigned splits_max)
{
	uint64_t most = s->limit_bytes ? s->limit_bytes / EXPECT_SHARE / EXPECT_ITEM : items;

	s->expected = base_min_u64(items, most);
	return items > 0 && store_grow(s, splits_max);
}

// ---- merges -------------------------------------------------------------------------------------

// A segment without a bucket in use: the last has left it, or the growth that it was had for lacked
// nodes.
static void segment_unused_cut(struct store *s)
{
	if (store_index_place(s->live.buckets).segment < s->live.segments &&
		store_index_place(s->live.buckets).at == 0)
		store_index_cut(&s->live, s->mem);
}

// Undoes the last growth. False: there is no memory, or too many items would share a bucket.
static bool group_narrow(struct store *s)
{
	struct store_index *ix = &s->live, was;
	struct store_regroup r;
	uint32_t lacking;

	segment_unused_cut(s);
	was = *ix;
	if (was.next == 0 && was.wide == STORE_GROUP_MIN) {
		was.group_mask >>= 1;
		was.group_bits--;
		was.wide = STORE_GROUP_MAX;
	}
	if (was.next == 0) {
		was.wide--;
		was.next = was.group_mask + 1;
	}
	was.next--;
	was.buckets--;
	store_group_begin(&r, &was, false);
	store_group_read(&r);
	lacking = store_group_lacking(&r);
	if (!store_group_fits(&r) || (lacking > 0 && !store_spare_ensure(s, lacking - 1)))
		return false;
	store_group_change(s, &r);
	*ix = was;
	s->epoch++;
	s->n.merges++;
	s->n.buckets = ix->buckets;
	segment_unused_cut(s);
	return true;
}

bool store_shrink(struct store *s, unsigned merges_max)
{
	unsigned i = 0;

	while (i < merges_max && s->live.buckets > STORE_BUCKETS_FIRST &&
		!index_loaded(s, LOAD_MERGE) && group_narrow(s))
		i++;
	return i > 0 && i == merges_max;
}
