// SPDX-License-Identifier: BSD-3-Clause
// Items at random, of all or of those with a deadline.
#include "store/store_internal.h"

#define PROBES_MIN   32  // buckets looked into for a round, or more where the index has emptied
#define BUCKET_ITEMS 256 // of a bucket that are looked at

// ---- of all -------------------------------------------------------------------------------------

// Buckets come one after the other, and memory is fetched ahead of them, all items of a bucket at
// once: fetches side by side share the time that finding their pages takes. Several buckets at once
// would be more than the nearest cache keeps until it is their turn.
//
//	bucket in hand    its items are being taken
//	next              items fetched
//	second next       first node fetched
//	third next        drawn and fetched
#define AHEAD_ITEMS 1
#define AHEAD_NODE  2
#define AHEAD_DRAW  3
static_assert(AHEAD_DRAW < STORE_DRAWN, "each has a place");

static inline uint64_t drawn(const struct store *s, unsigned ahead)
{
	return s->sampler.drawn[(s->sampler.head + ahead) % STORE_DRAWN];
}

static inline uint32_t drawn_number(const struct store *s, unsigned ahead)
{
	return store_index_number(&s->live, drawn(s, ahead));
}

static inline struct store_bucket *drawn_bucket(const struct store *s, unsigned ahead)
{
	return store_index_bucket(&s->live, drawn_number(s, ahead));
}

static void sampler_advance(struct store *s)
{
	struct store_sampler *p = &s->sampler;

	p->at = 0;
	p->head++;
	p->drawn[(p->head + AHEAD_DRAW) % STORE_DRAWN] = base_rng_next(&s->rng);
	store_bucket_lines_prefetch(drawn_bucket(s, AHEAD_DRAW));
	store_bucket_node_prefetch(drawn_bucket(s, AHEAD_NODE));
	store_bucket_items_prefetch(drawn_bucket(s, AHEAD_ITEMS));
}

void store_sampler_open(struct store *s)
{
	for (unsigned i = 0; i < STORE_DRAWN; i++)
		s->sampler.drawn[i] = base_rng_next(&s->rng);
}

// Takes up to `want` items of the bucket in hand, from the slots behind those that were looked at.
// Fewer: there are no more of them.
static unsigned bucket_take(struct store *s, struct store_sample *out, unsigned want)
{
	uint32_t number = drawn_number(s, 0);
	struct store_bucket *b = store_index_bucket(&s->live, number);
	uint64_t left = store_bucket_items(b) &
		~UINT64_C(0) << base_min_u64(s->sampler.at, STORE_BUCKET_SLOTS);
	unsigned n = 0;

	for (; left && n < want; left &= left - 1) {
		s->sampler.at = (unsigned)__builtin_ctzll(left) + 1;
		out[n++] =
			(struct store_sample){store_slot_key(b->slot[s->sampler.at - 1]), number};
	}
	if (base_unlikely(n < want && store_bucket_overflows(b))) {
		struct store_walk w = store_nodes_walk(b);
		const uint64_t *slot;
		unsigned at = STORE_BUCKET_SLOTS;

		for (; n < want && (slot = store_walk_next(&w)); at++)
			if (at >= s->sampler.at)
				out[n++] = (struct store_sample){store_slot_key(*slot), number};
		s->sampler.at = at;
	}
	return n;
}

// One of a bucket, each as likely.
static unsigned bucket_pick(struct store *s, struct store_sample *out)
{
	uint32_t number = drawn_number(s, 0);
	struct store_bucket *b = store_index_bucket(&s->live, number);
	struct store_walk w = store_bucket_walk(b);
	const uint64_t *slot;
	unsigned count = 0, at;

	while (store_walk_next(&w))
		count++;
	if (count == 0)
		return 0;
	at = (unsigned)((base_rng_next(&s->rng) >> 32) * count >> 32);
	w = store_bucket_walk(b);
	do
		slot = store_walk_next(&w);
	while (at-- > 0);
	*out = (struct store_sample){store_slot_key(*slot), number};
	return 1;
}

// Random hashes rather than random buckets: a bucket of a group that has not grown yet holds more
// items, and is met as much more often. Never onward from one bucket to the next: that takes what
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

// Of a bucket: those that have a deadline, from a random one on.
static unsigned volatile_sample(
	struct store *s, uint32_t bucket, uint32_t random, struct store_sample *out, unsigned want)
{
	struct store_bucket *b = store_index_bucket(&s->live, bucket);
	struct store_walk w = store_bucket_walk(b);
	uint64_t all[BUCKET_ITEMS];
	unsigned count = 0, n = 0, start;
	const uint64_t *slot;

	while (count < BUCKET_ITEMS && (slot = store_walk_next(&w)))
		if (*slot & STORE_SLOT_DUE)
			all[count++] = store_slot_key(*slot);
	start = (unsigned)((uint64_t)random * count >> 32);
	for (unsigned i = 0; i < count && n < want; i++) {
		out[n] = (struct store_sample){all[(start + i) % count], bucket};
		base_prefetch(store_slot_item(out[n++].slot));
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
