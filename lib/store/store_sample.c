// SPDX-License-Identifier: BSD-3-Clause
// Items at random, of all or of those with a deadline.
#include "store/store_internal.h"

#define PROBES_BATCH 16 // buckets looked at together when a draw has too few items
#define PROBES_MIN   16 // up to this, or more where the index has emptied
#define CHAIN_ITEMS  (STORE_CHAIN_LINES_MAX * 4 * STORE_SLOTS) // merges join chains

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

// Two rounds are under way before the one that is due: the items of the next are being fetched, and
// the buckets of the one behind it. Eviction waits for memory once, if at all.
static void rounds_advance(struct store *s, unsigned want)
{
	struct store_item *item[STORE_SAMPLES_MAX];
	unsigned n = 0;

	memcpy(s->drawn[0], s->drawn[1], sizeof(s->drawn[0]));
	for (unsigned i = 0; i < STORE_DRAW; i++) {
		uint64_t r = s->drawn[0][i];

		n += chain_sample(
			store_index_chain(&s->live, r), (uint32_t)(r >> 32), item + n, want - n);
		s->drawn[1][i] = base_rng_next(&s->rng);
		__builtin_prefetch(store_index_chain(&s->live, s->drawn[1][i]));
	}
}

// Random hashes rather than random buckets: a bucket that is not split yet holds twice as many
// items, and is met twice as often. Never onward from one bucket to the next: that takes what
// stands behind gaps, and leaves clusters that are hardly ever met.
static unsigned all_sample(struct store *s, struct store_item **out, unsigned want)
{
	const struct store_line *line[PROBES_BATCH];
	uint32_t random[PROBES_BATCH];
	uint64_t probes = PROBES_MIN;
	unsigned n = 0;

	for (unsigned i = 0; i < STORE_DRAW && n < want; i++) {
		uint64_t r = s->drawn[0][i];

		n += chain_sample(
			store_index_chain(&s->live, r), (uint32_t)(r >> 32), out + n, want - n);
	}
	rounds_advance(s, want);
	if (base_likely(n == want))
		return n;
	if (s->n.items < s->n.buckets)
		probes += s->n.buckets / s->n.items * 2 * want;
	for (uint64_t done = 0; done < probes && n < want; done += PROBES_BATCH) {
		for (unsigned i = 0; i < PROBES_BATCH; i++) {
			uint64_t r = base_rng_next(&s->rng);

			line[i] = store_index_chain(&s->live, r);
			random[i] = (uint32_t)(r >> 32);
			__builtin_prefetch(line[i]);
		}
		for (unsigned i = 0; i < PROBES_BATCH && n < want; i++)
			n += chain_sample(line[i], random[i], out + n, want - n);
	}
	return n;
}

// Of a chain: those that have a deadline, from a random one on.
static unsigned volatile_sample(
	const struct store_line *chain, uint32_t random, struct store_item **out, unsigned want)
{
	struct store_item *all[CHAIN_ITEMS];
	unsigned count = chain_sample(chain, 0, all, CHAIN_ITEMS), n = 0, start;

	start = (unsigned)((uint64_t)random * count >> 32);
	for (unsigned i = 0; i < count && n < want; i++) {
		struct store_item *it = all[(start + i) % count];

		if (it->bits & STORE_ITEM_DUE)
			out[n++] = it;
	}
	return n;
}

// The deadline index knows which buckets to look into, so that it makes no difference how rare
// deadlines are. Buckets are drawn alike, and all of one's items are taken: each item is as likely.
static unsigned due_sample(struct store *s, struct store_item **out, unsigned want)
{
	unsigned n = 0;

	for (unsigned i = 0; i < want && n < want && s->due.items > 0; i++) {
		uint64_t r = base_rng_next(&s->rng);
		uint32_t bucket = store_due_pick(&s->due, r);

		n += volatile_sample(
			store_index_bucket(&s->live, bucket), (uint32_t)r, out + n, want - n);
	}
	return n;
}

unsigned store_items_sample(struct store *s, struct store_item **out, unsigned want)
{
	if (s->traits->is_volatile)
		return due_sample(s, out, want);
	return s->n.items > 0 ? all_sample(s, out, want) : 0;
}
