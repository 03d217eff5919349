// SPDX-License-Identifier: BSD-3-Clause
// Buckets from within: where items lie, what the filters say, nodes, groups that grow and narrow.
#include "store/store_internal.h"
#include "store_test.h"

static bool in_line(const uint64_t *line, const uint64_t *slot)
{
	return slot >= line && slot < line + STORE_LINE_SLOTS;
}

static unsigned gaps(const uint64_t *line)
{
	unsigned n = 0;

	for (unsigned i = 0; i < STORE_LINE_SLOTS; i++)
		n += !store_slot_item(line[i]);
	return n;
}

// Nodes are full but for the first, which is filled from the left and has what another needs it
// for.
static unsigned nodes_check(struct store_bucket *b)
{
	uint64_t link = b->slot[STORE_BUCKET_SLOTS - 1];
	unsigned n = 0;

	for (; link & STORE_SLOT_LINK; n++) {
		struct store_node *node = store_slot_node(link);

		link = node->slot[STORE_NODE_SLOTS - 1];
		for (unsigned i = 0; i < STORE_NODE_SLOTS; i++) {
			assert_int_equal(node->slot[i] & STORE_SLOT_FILTER, 0);
			assert_true(node->slot[i] || n == 0);
		}
		assert_true(node->slot[0]);
		assert_true(node->slot[1] || link & STORE_SLOT_LINK);
		assert_true(node->slot[1] || !node->slot[2]);
		assert_true(node->slot[2] || !link || link & STORE_SLOT_LINK);
	}
	return n;
}

struct found {
	unsigned items, outside, nodes, due, bits, stale;
};

static void item_check(
	struct store *s, struct store_bucket *b, const uint64_t *slot, struct found *f)
{
	struct store_item *it = store_slot_item(*slot);
	struct store_spot at = store_index_spot(&s->live, store_item_hash(it));
	uint64_t *home = store_bucket_line(b, at.tag);

	assert_ptr_equal(store_index_bucket(&s->live, at.bucket), b);
	assert_int_equal(at.tag, store_slot_tag(*slot));
	assert_int_equal((*slot & STORE_SLOT_DUE) != 0, (it->bits & STORE_ITEM_DUE) != 0);
	f->items++;
	f->due += (*slot & STORE_SLOT_DUE) != 0;
	if (in_line(home, slot))
		return;
	f->outside++;
	assert_true(store_line_filtered(home, at.tag));
	if (!in_line(store_bucket_line(b, ~at.tag), slot))
		assert_true(store_bucket_overflows(b));
}

static unsigned filter_bits(const struct store_bucket *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < STORE_BUCKET_SLOTS; i++)
		n += (unsigned)__builtin_popcountll(b->slot[i] & STORE_SLOT_FILTER);
	return n;
}

// Bits that no item accounts for are left where a bucket has, or had, several nodes, and nowhere
// else.
static void filters_check(struct store_bucket *b, struct found *f)
{
	struct store_bucket copy = *b;
	uint64_t *slot;

	for (unsigned i = 0; i < STORE_BUCKET_SLOTS; i++)
		copy.slot[i] &= ~STORE_SLOT_FILTER;
	for (struct store_walk w = store_bucket_walk(b); (slot = store_walk_next(&w));) {
		unsigned tag = store_slot_tag(*slot);

		if (!in_line(store_bucket_line(b, tag), slot))
			store_line_filter(store_bucket_line(&copy, tag), tag);
	}
	f->bits += filter_bits(b);
	f->stale += filter_bits(b) - filter_bits(&copy);
}

static struct found index_check(struct store *s)
{
	struct found f = {0};
	uint32_t due = 0;

	assert_int_equal(s->live.buckets, s->live.wide * (s->live.group_mask + 1) + s->live.next);
	assert_in_range(s->live.wide, STORE_GROUP_MIN, STORE_GROUP_MAX - 1);
	assert_true(s->live.next <= s->live.group_mask);
	for (uint32_t i = 0; i < s->live.buckets; i++) {
		struct store_bucket *b = store_index_bucket(&s->live, i);
		struct store_walk w = store_bucket_walk(b);
		unsigned before = f.items, nodes = nodes_check(b);
		const uint64_t *slot;

		while ((slot = store_walk_next(&w)))
			item_check(s, b, slot, &f);
		filters_check(b, &f);
		assert_int_equal(nodes, store_nodes_of(f.items - before));
		if (nodes > 0)
			assert_int_equal(gaps(b->slot) + gaps(b->slot + STORE_LINE_SLOTS), 0);
		f.nodes += nodes;
	}
	assert_int_equal(f.items, s->n.items);
	assert_int_equal(f.nodes, s->n.overflow_buckets);
	due = (uint32_t)s->due.items;
	assert_int_equal(f.due, due);
	assert_true(f.stale <= f.bits / 4);
	return f;
}

static void number_delete(struct shard *t, uint64_t number)
{
	char buf[32];
	struct store_key k = shard_key_number(buf, number);
	struct store_item *it = store_find(t->s, k.key, k.len, k.hash);

	if (it)
		store_delete(t->s, it, k.hash);
}

static void test_every_item_is_where_the_index_looks_for_it(void **state)
{
	struct shard t;
	struct base_rng rng;

	base_rng_seed(&rng, 1);
	shard_open(&t, (struct store_options){0});
	for (unsigned round = 0; round < 60; round++) {
		uint64_t keys = round % 20 < 10 ? 4000u * (round % 20) + 100 : 100;

		for (unsigned i = 0; i < 8000; i++) {
			uint64_t k = base_rng_below(&rng, 40000);
			char buf[32];

			shard_key_number(buf, k);
			if (k < keys)
				shard_set_for(&t, buf, NULL, 4,
					k % 3 ? 0
					      : (uint32_t)t.now.wall_s + 1 + (uint32_t)(k % 20));
			else
				number_delete(&t, k);
		}
		index_check(t.s);
		shard_sleep(&t, 1);
		while (store_step(t.s, 50))
			;
		index_check(t.s);
	}
	assert_true(shard_n(&t)->merges > 1000);
	shard_close(&t);
}

static bool fail_after(void *arg)
{
	unsigned *granted = arg;

	if (*granted == 0)
		return true;
	--*granted;
	return false;
}

// Commits a new key while the allocator grants the segment and none of the nodes that dealing the
// group out would take. True: that is where growth has stopped.
static bool growth_starve(struct shard *t, uint64_t number)
{
	unsigned granted = 1;
	char buf[32];
	struct store_key k = shard_key_number(buf, number);
	struct store_item *it;
	uint32_t buckets = t->s->live.buckets, segments = t->s->live.segments;

	assert_int_equal(store_reserve(t->s, &k, 0, 0, 4, &it), STORE_OK);
	t->s->grow_wait = 0;
	if (store_index_growth_bytes(&t->s->live) > 0 && segments < t->s->live.segments_cap)
		mem_fault_set(t->mem, fail_after, &granted);
	store_commit(t->s, it, k.hash, 0);
	mem_fault_set(t->mem, NULL, NULL);
	return t->s->live.buckets == buckets && t->s->live.segments > segments;
}

static void test_a_segment_that_was_had_in_vain_goes_when_the_index_narrows(void **state)
{
	struct shard t;
	uint64_t n = 0;

	shard_open(&t, (struct store_options){0});
	while (!growth_starve(&t, n++))
		assert_true(n < 1000000);
	for (uint64_t i = 0; i < n; i++)
		if (i % 100)
			number_delete(&t, i);
	while (store_step(t.s, 50))
		;
	index_check(t.s);
	assert_int_equal(t.s->live.segments, store_index_place(t.s->live.buckets - 1).segment + 1);
	for (uint64_t i = 0; i < n; i++)
		assert_true(shard_set_number(&t, i, 4));
	index_check(t.s);
	shard_close(&t);
}

static void test_growth_that_found_no_memory_is_tried_again_by_commits_alone(void **state)
{
	struct shard t;
	uint64_t n = 0, buckets;

	shard_open(&t, (struct store_options){0});
	while (!growth_starve(&t, n++))
		assert_true(n < 1000000);
	buckets = shard_n(&t)->buckets;
	for (unsigned i = 0; i < STORE_GROW_WAIT; i++)
		assert_true(shard_set_number(&t, n + i, 4));
	assert_true(shard_n(&t)->buckets > buckets);
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_item_is_where_the_index_looks_for_it),
		cmocka_unit_test(test_a_segment_that_was_had_in_vain_goes_when_the_index_narrows),
		cmocka_unit_test(test_growth_that_found_no_memory_is_tried_again_by_commits_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
