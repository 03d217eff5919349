// SPDX-License-Identifier: BSD-3-Clause
// A walk over all items in bounded steps, while the index changes.
//
// What is stable of an item is its hash. The walk goes through the hashes in an order in which
// every group of buckets is a range, whatever their number: by the low 32 bits mirrored, and within
// the group by the tag without its level bit.
//
//	at     low bits of the hash, the lowest first   ----> groups of 2^k: its upper k bits
//	part   place: 2 | 12 bits | line: 1             ----> which of the 4 to 8 buckets
//
// A group that grows or narrows by a bucket keeps its items, and their parts. When the groups are
// doubled or halved the walk begins the present one again: items are met twice then, none is
// missed. Removals move items within their bucket alone, and a range is read whole.
#include "store/store_internal.h"

#define PARTS   (1u << 15)
#define QUARTER (PARTS / STORE_GROUP_MIN) // parts that share the tag's place bits

static inline unsigned tag_part(unsigned tag)
{
	return (tag >> 14) << 13 | (tag & (STORE_TAG_LEVEL - 1));
}

static uint32_t mirrored(uint32_t v)
{
	v = (v >> 1 & 0x55555555) | (v & 0x55555555) << 1;
	v = (v >> 2 & 0x33333333) | (v & 0x33333333) << 2;
	v = (v >> 4 & 0x0f0f0f0f) | (v & 0x0f0f0f0f) << 4;
	return __builtin_bswap32(v);
}

// The buckets that have items of a quarter: from, and behind the last.
static void quarter_buckets(const struct store_index *ix, uint32_t group, unsigned quarter,
	unsigned *from, unsigned *end)
{
	uint32_t wide = ix->wide + (group < ix->next);

	*from = (quarter << 14) * wide >> 16;
	*end = ((((quarter + 1) << 14) - 1) * wide >> 16) + 1;
}

// The items of parts [part, end) of a group, all of one quarter. Beyond `max` they are not counted
// any more.
static unsigned range_collect(struct store *s, uint32_t group, unsigned part, unsigned end,
	struct store_item **out, unsigned max)
{
	unsigned from, to, n = 0;
	const uint64_t *slot;

	quarter_buckets(&s->live, group, part / QUARTER, &from, &to);
	for (unsigned i = from; i < to; i++) {
		struct store_walk w = store_bucket_walk(
			store_index_bucket(&s->live, i << s->live.group_bits | group));

		while ((slot = store_walk_next(&w))) {
			unsigned p = tag_part(store_slot_tag(*slot));

			if (p < part || p >= end)
				continue;
			if (n == max)
				return max + 1;
			out[n++] = store_slot_item(*slot);
		}
	}
	return n;
}

// What the next call will read.
static void ahead_prefetch(const struct store *s, const struct store_cursor *c)
{
	uint32_t group = mirrored(c->at) & s->live.group_mask;
	unsigned from, to;

	quarter_buckets(&s->live, group, c->part / QUARTER, &from, &to);
	for (unsigned i = from; i < to; i++)
		store_bucket_lines_prefetch(
			store_index_bucket(&s->live, i << s->live.group_bits | group));
}

static void cursor_advance(struct store_cursor *c, unsigned end)
{
	uint32_t span = UINT32_C(1) << (32 - c->bits);

	c->part = end;
	if (end < PARTS)
		return;
	c->part = 0;
	c->at = (c->at & ~(span - 1)) + span;
	c->ended = c->at == 0;
}

unsigned store_cursor_next(struct store *s, struct store_cursor *c,
	struct store_item *out[STORE_CURSOR_ITEMS], unsigned want)
{
	unsigned end, n, max;
	uint32_t group;

	base_assert(!c->ended && want > 0 && want <= STORE_CURSOR_ITEMS);
	if (c->bits != s->live.group_bits) {
		c->bits = s->live.group_bits;
		c->part = 0;
	}
	group = mirrored(c->at) & s->live.group_mask;
	end = (c->part / QUARTER + 1) * QUARTER;
	for (;; end = c->part + (end - c->part) / 2) {
		max = end - c->part > 1 ? want : STORE_CURSOR_ITEMS;
		n = range_collect(s, group, c->part, end, out, max);
		if (n <= max)
			break;
		base_assert(max < STORE_CURSOR_ITEMS || end - c->part > 1);
	}
	for (unsigned i = 0; i < n; i++) {
		base_prefetch(out[i]);
		base_prefetch((const char *)out[i] + BASE_CACHE_LINE);
	}
	cursor_advance(c, end);
	ahead_prefetch(s, c);
	return n;
}
