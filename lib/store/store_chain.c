// SPDX-License-Identifier: BSD-3-Clause
// What is in a bucket: nodes taken and given back, items put in and taken out.
#include "store/store_internal.h"

// ---- spare nodes --------------------------------------------------------------------------------

static void node_push(struct store_node **list, struct store_node *node)
{
	node->slot[0] = (uint64_t)(uintptr_t)*list;
	*list = node;
}

static struct store_node *node_pop(struct store_node **list)
{
	struct store_node *node = *list;

	base_assert(node);
	*list = (struct store_node *)(uintptr_t)node->slot[0];
	return node;
}

bool store_spare_ensure(struct store *s, uint32_t extra)
{
	while (s->spares <= s->reserved + extra) {
		struct store_node *node =
			mem_try_alloc(s->mem, MEM_INDEX, sizeof(struct store_node), NULL);

		if (!node)
			return false;
		node_push(&s->spare, node);
		s->spares++;
	}
	return true;
}

// One more than there are reservations is kept, so that a run of sets does not allocate each time.
void store_spare_trim(struct store *s)
{
	while (s->spares > s->reserved + 1) {
		s->spares--;
		mem_free(s->mem, MEM_INDEX, node_pop(&s->spare), sizeof(struct store_node));
	}
}

void store_spare_close(struct store *s)
{
	base_assert(s->reserved == 0);
	while (s->spare)
		mem_free(s->mem, MEM_INDEX, node_pop(&s->spare), sizeof(struct store_node));
	s->spares = 0;
}

void store_node_free(struct store *s, struct store_node *node)
{
	if (s->spares <= s->reserved) {
		node_push(&s->spare, node);
		s->spares++;
	} else {
		mem_free(s->mem, MEM_INDEX, node, sizeof(*node));
	}
}

void store_nodes_free(struct store *s, struct store_node **list)
{
	while (*list)
		store_node_free(s, node_pop(list));
}

void store_nodes_give(struct store *s, struct store_node **list, struct store_node *node)
{
	node_push(list, node);
	s->n.overflow_buckets--;
}

static struct store_node *node_take(struct store *s, struct store_node **list)
{
	s->n.overflow_buckets++;
	if (*list)
		return node_pop(list);
	base_assert(s->spares > 0);
	s->spares--;
	return node_pop(&s->spare);
}

// ---- putting in ---------------------------------------------------------------------------------

static uint64_t *line_append(uint64_t *line, uint64_t value)
{
	uint32_t free = store_slots_free(line, STORE_LINE_SLOTS);
	uint64_t *slot = &line[free ? store_match_first(free) : 0];

	if (!free)
		return NULL;
	store_slot_set(slot, value);
	return slot;
}

// Both lines are full. Only the first node may have gaps, so that no other is looked at.
static uint64_t *overflow_append(
	struct store *s, struct store_bucket *b, uint64_t value, struct store_node **nodes)
{
	uint64_t *last = &b->slot[STORE_BUCKET_SLOTS - 1], moved = store_slot_value(last);
	struct store_node *node;

	if (moved & STORE_SLOT_LINK) {
		node = store_slot_node(moved);
		for (unsigned i = 1; i < STORE_NODE_SLOTS; i++)
			if (!node->slot[i]) {
				node->slot[i] = value;
				return &node->slot[i];
			}
		node = node_take(s, nodes);
		*node = (struct store_node){{value, 0, 0, moved}};
		store_slot_set(last, store_slot_make(node, 0) | STORE_SLOT_LINK);
		return &node->slot[0];
	}
	store_line_filter(store_bucket_line(b, store_slot_tag(moved)), store_slot_tag(moved));
	node = node_take(s, nodes);
	*node = (struct store_node){{moved, value}};
	store_slot_set(last, store_slot_make(node, 0) | STORE_SLOT_LINK);
	return &node->slot[1];
}

uint64_t *store_bucket_put(
	struct store *s, struct store_bucket *b, uint64_t value, struct store_node **nodes)
{
	unsigned tag = store_slot_tag(value);
	uint64_t *home = store_bucket_line(b, tag), *slot = line_append(home, value);

	if (base_likely(slot))
		return slot;
	store_line_filter(home, tag);
	slot = line_append(store_bucket_line(b, ~tag), value);
	return slot ? slot : overflow_append(s, b, value, nodes);
}

void store_link(struct store *s, struct store_item *it, struct store_bucket *b, unsigned tag)
{
	struct store_node *none = NULL;

	base_assert(((uintptr_t)it & ~STORE_POINTER_MASK) == 0);
	store_bucket_put(s, b, store_slot_make(it, tag), &none);
}

// ---- taking out ---------------------------------------------------------------------------------

// Whether an item outside may account for a filter bit. Of nodes only the first is looked at.
static bool is_outside(const struct store_bucket *b, const uint64_t *other, unsigned tag)
{
	const uint64_t mask = (uint64_t)STORE_TAG_LOW << STORE_POINTER_BITS;
	const uint64_t want = (uint64_t)tag << STORE_POINTER_BITS & mask;
	uint64_t last = b->slot[STORE_BUCKET_SLOTS - 1];
	uint32_t match = store_slots_same(other, STORE_LINE_SLOTS, mask, want);

	if (base_unlikely(want == 0)) // as a slot without an item has it
		match &= ~store_slots_free(other, STORE_LINE_SLOTS);
	if (last & STORE_SLOT_LINK) {
		const uint64_t *slot = store_slot_node(last)->slot;

		match |= store_slots_same(slot, STORE_NODE_SLOTS, mask, want);
		match |= slot[STORE_NODE_SLOTS - 1] & STORE_SLOT_LINK;
	}
	return match;
}

// An item with this tag has left, or has come to its home.
static void filter_settle(struct store_bucket *b, unsigned tag)
{
	uint64_t *home = store_bucket_line(b, tag);
	unsigned bit = store_filter_at(tag);

	if (store_line_filtered(home, tag) && !is_outside(b, store_bucket_line(b, ~tag), tag))
		home[bit >> 1] &= ~(UINT64_C(4) << (bit & 1));
}

// Both lines stay full while there are nodes: the last item of the first node goes into the gap.
// When nothing but a link, or one item, is left of that node it goes.
static void overflowing_clear(struct store *s, struct store_bucket *b, uint64_t *gap)
{
	uint64_t *link = &b->slot[STORE_BUCKET_SLOTS - 1];
	struct store_node *node = store_slot_node(*link);
	bool more = node->slot[STORE_NODE_SLOTS - 1] & STORE_SLOT_LINK;
	unsigned n = STORE_NODE_SLOTS - more;
	uint64_t moved;

	while (!node->slot[n - 1])
		n--;
	base_assert(n + more >= 2);
	moved = node->slot[n - 1];
	store_slot_set(gap, moved);
	node->slot[n - 1] = 0;
	if (n + more == 2) {
		store_slot_set(link, more ? node->slot[STORE_NODE_SLOTS - 1] : node->slot[0]);
		s->n.overflow_buckets--;
		store_node_free(s, node);
		filter_settle(b, store_slot_tag(*link)); // for nothing if it still is a link
	}
	filter_settle(b, store_slot_tag(moved));
}

void store_bucket_clear(struct store *s, struct store_bucket *b, uint32_t number, uint64_t *slot)
{
	unsigned tag = store_slot_tag(*slot);

	base_assert(store_slot_item(*slot) && !(*slot & STORE_SLOT_LINK));
	store_due_leave(s, store_slot_item(*slot), number);
	if (store_bucket_overflows(b))
		overflowing_clear(s, b, slot);
	else
		store_slot_set(slot, 0);
	filter_settle(b, tag);
}
