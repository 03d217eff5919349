// SPDX-License-Identifier: BSD-3-Clause
// Items at random, of all or of those with a deadline.
#include "store/store_internal.h"

#define PROBES_MIN  32 // buckets looked into for a round, or more where the index has emptied
#define CHAIN_ITEMS (STORE_CHAIN_LINES_MAX * 4 * STORE_SLOTS) // merges join chains

// ---- of all -------------------------------------------------------------------------------------

// Buckets come one after the other, in blocks, and memory is fetched ahead of them a block at a time:
// fetches side by side share the time that finding their pages takes.
//
//	block in hand    its items are being taken, bucket after bucket
//	next             items fetched
//	second next      overflow lines fetched
//	third next       buckets drawn and fetched
#define BLOCK STORE_DRAWN_BLOCK

static inline uint64_t drawn(const struct store *s, unsigned ahead)
{
	return s->sampler.drawn[(s->sampler.head + ahead) % STORE_DRAWN];
}

static void block_draw(struct store *s, unsigned ahead)
{
	for (unsigned i = ahead; i < ahead + BLOCK; i++) {
		uint64_t *hash = &s->sampler.drawn[(s->sampler.head + i) % STORE_DRAWN];

		*hash = base_rng_next(&s->rng);
		base_prefetch(store_index_chain(&s->live, *hash));
	}
}

static void block_overflow_prefetch(const struct store *s, unsigned ahead)
{
	for (unsigned i = ahead; i < ahead + BLOCK; i++) {
		const struct store_line *line = store_index_chain(&s->live, drawn(s, i));

		base_prefetch(line->next ? line->next : line);
	}
}

static void block_items_prefetch(const struct store *s, unsigned ahead)
{
	for (unsigned i = ahead; i < ahead + BLOCK; i++) {
		const struct store_line *line = store_index_chain(&s->live, drawn(s, i));

		for (; line; line = line->next)
			store_line_prefetch(line);
	}
}

static void sampler_advance(struct store *s)
{
	struct store_sampler *p = &s->sampler;

	p->at = 0;
	if (++p->head % BLOCK != 0)
		return;
	block_draw(s, 3 * BLOCK);
	block_overflow_prefetch(s, 2 * BLOCK);
	block_items_prefetch(s, BLOCK);
}

void store_sampler_open(struct store *s)
{
	for (unsigned i = 0; i < STORE_DRAWN; i++)
		s->sampler.drawn[i] = base_rng_next(&s->rng);
}

// Takes up to `want` items of the bucket in hand, behind those that were taken. Fewer: there are no
// more of them.
static unsigned bucket_take(struct store *s, struct store_sample *out, unsigned want)
{
	uint64_t hash = drawn(s, 0);
	unsigned n = 0, i = s->sampler.at;

	for (const struct store_line *l = store_index_chain(&s->live, hash); l; l = l->next) {
		for (; i < STORE_SLOTS && l->slot[i] && n < want; i++)
			out[n++] = (struct store_sample){l->slot[i], hash};
		i = i > STORE_SLOTS ? i - STORE_SLOTS : 0;
	}
	s->sampler.at += n;
	return n;
}

// One of a bucket, each as likely.
static unsigned bucket_pick(const struct store *s, struct store_sample *out)
{
	uint64_t hash = drawn(s, 0);
	const struct store_line *line = store_index_chain(&s->live, hash);
	unsigned count = 0, at;

	for (const struct store_line *l = line; l; l = l->next)
		count += store_line_count(l);
	if (count == 0)
		return 0;
	for (at = (unsigned)((hash >> 32) * count >> 32); at >= STORE_SLOTS; at -= STORE_SLOTS)
		line = line->next;
	*out = (struct store_sample){line->slot[at], hash};
	return 1;
}

// Random hashes rather than random buckets: a bucket that is not split yet holds twice as many
// items, and is met twice as often. Never onward from one bucket to the next: that takes what
// stands behind gaps, and leaves clusters that are hardly ever met. All of a bucket are taken,
// over several rounds if need be, so that each item is as likely as any other.
static unsigned all_sample(struct store *s, struct store_sample *out, unsigned want)
{
	uint64_t probes = PROBES_MIN;
	unsigned n = 0;

	if (s->n.items < s->n.buckets)
		probes += s->n.buckets / s->n.items * 2 * want;
	for (; probes > 0; probes--) {
		n += want == 1 ? bucket_pick(s, out) : bucket_take(s, out + n, want - n);
		if (n == want && want > 1)
			break;
		sampler_advance(s);
		if (n == want)
			break;
	}
	return n;
}

// ---- of those with a deadline -------------------------------------------------------------------

// Of a chain: those that have a deadline, from a random one on.
static unsigned volatile_sample(
	struct store *s, uint32_t bucket, uint32_t random, struct store_sample *out, unsigned want)
{
	uint64_t all[CHAIN_ITEMS];
	unsigned count = 0, n = 0, start;

	for (const struct store_line *l = store_index_bucket(&s->live, bucket); l; l = l->next) {
		store_line_prefetch(l);
		for (unsigned i = 0; i < STORE_SLOTS && l->slot[i] && count < CHAIN_ITEMS; i++)
			all[count++] = l->slot[i];
	}
	start = (unsigned)((uint64_t)random * count >> 32);
	for (unsigned i = 0; i < count && n < want; i++) {
		uint64_t slot = all[(start + i) % count];

		if (store_slot_item(slot)->bits & STORE_ITEM_DUE)
			out[n++] = (struct store_sample){slot, bucket}; // its number is hash enough
	}
	return n;
}

// The deadline index knows which buckets to look into, so that it makes no difference how rare
// deadlines are. Buckets are drawn alike, and all of one's items are taken: each item is as likely.
static unsigned due_sample(struct store *s, struct store_sample *out, unsigned want)
{
	unsigned n = 0;

	for (unsigned i = 0; i < want && n < want && s->due.items > 0; i++) {
		uint64_t r = base_rng_next(&s->rng);
		uint32_t bucket = store_due_pick(&s->due, r);

		n += volatile_sample(s, bucket, (uint32_t)r, out + n, want - n);
	}
	return n;
}

unsigned store_items_sample(struct store *s, struct store_sample *out, unsigned want)
{
	if (s->traits->is_volatile)
		return due_sample(s, out, want);
	return s->n.items > 0 ? all_sample(s, out, want) : 0;
}
