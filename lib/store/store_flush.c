// SPDX-License-Identifier: BSD-3-Clause
// Flush: the index is taken away whole, and its items are freed by and by.
#include "store/store_internal.h"

#define FRESH_ABOVE 1024 // buckets from which on the next flush's index is made ahead
#define FRESH_ROOM  8192 // below the limit for that

// Drops the items of a bucket and its nodes. Returns lines and items met. The bucket itself keeps
// what it held: the caller clears or frees it.
static unsigned bucket_drop(struct store *s, struct store_bucket *b)
{
	struct store_walk w = store_bucket_walk(b);
	uint64_t link = b->slot[STORE_BUCKET_SLOTS - 1];
	const uint64_t *slot;
	unsigned met = 2;

	store_bucket_items_prefetch(b);
	while ((slot = store_walk_next(&w))) {
		store_item_drop(s, store_slot_item(*slot), STORE_LAZY_USER_FLUSH);
		met++;
	}
	while (link & STORE_SLOT_LINK) {
		struct store_node *node = store_slot_node(link);

		link = node->slot[STORE_NODE_SLOTS - 1];
		store_node_free(s, node);
	}
	return met;
}

void store_live_empty(struct store *s)
{
	s->n.items = 0;
	s->n.item_bytes = 0;
	s->n.small_items = s->n.small_bytes = 0;
	s->n.overflow_buckets = 0;
	s->n.deadlines = 0;
	s->due_settling = false;
	store_pool_clear(&s->pool);
	for (uint32_t b = 0; b < s->live.buckets; b++) {
		struct store_bucket *bucket = store_index_bucket(&s->live, b);

		bucket_drop(s, bucket);
		memset(bucket, 0, sizeof(*bucket));
	}
	store_due_close(s, &s->due);
	store_fifo_close(s, &s->small);
}

// A bucket of the newest generation, or a page of its queue. Returns lines and items met; 0: the
// generation has gone.
static unsigned dead_unit(struct store *s)
{
	struct store_generation *g = s->dead;
	unsigned met;

	if (g->small.head) {
		store_fifo_behead(s, &g->small);
		return 1;
	}
	if (g->cursor == g->ix.buckets) {
		s->dead = g->next;
		store_index_close(&g->ix, s->mem);
		store_due_close(s, &g->due);
		mem_free(s->mem, MEM_INDEX, g, sizeof(*g));
		return 0;
	}
	met = bucket_drop(s, store_index_bucket(&g->ix, g->cursor));
	store_due_drop(s, &g->due, g->cursor);
	g->cursor++;
	if (store_index_place(g->cursor).at == 0)
		store_index_segment_free(&g->ix, s->mem, g->cursor - 1);
	return met;
}

unsigned store_dead_reclaim(struct store *s, unsigned budget)
{
	while (budget > 0 && s->dead)
		budget -= (unsigned)base_min_u64(dead_unit(s), budget);
	return budget;
}

unsigned store_dead_step(struct store *s, unsigned budget)
{
	while (budget > 0 && s->dead && !mem_purge_ask(s->mem))
		budget -= (unsigned)base_min_u64(dead_unit(s), budget);
	return budget;
}

// ---- what the next flush puts in the live index's place -----------------------------------------

static bool fresh_open(struct store *s)
{
	struct store_generation *g = mem_try_alloc(s->mem, MEM_INDEX, sizeof(*g), NULL);

	if (!g)
		return false;
	*g = (struct store_generation){0};
	if (store_index_open(&g->ix, s->mem) != 0) {
		mem_free(s->mem, MEM_INDEX, g, sizeof(*g));
		return false;
	}
	s->fresh = g;
	return true;
}

void store_fresh_close(struct store *s)
{
	if (!s->fresh)
		return;
	store_index_close(&s->fresh->ix, s->mem);
	mem_free(s->mem, MEM_INDEX, s->fresh, sizeof(*s->fresh));
	s->fresh = NULL;
}

// Not for an index that is as small as the fresh one.
void store_fresh_ready(struct store *s)
{
	bool wanted = s->live.buckets > FRESH_ABOVE;

	if (wanted == (s->fresh != NULL))
		return;
	if (!wanted)
		store_fresh_close(s);
	else if (!s->limit_bytes || store_charged_bytes(s) + FRESH_ROOM <= s->limit_bytes)
		fresh_open(s);
}

static void flush_now(struct store *s)
{
	struct store_generation *g;
	struct store_index empty;

	s->n.flushed += s->n.items;
	if (s->n.items == 0)
		return;
	if (!s->fresh && !fresh_open(s)) { // no memory for another index: slower, and as right
		store_live_empty(s);
		return;
	}
	g = s->fresh;
	s->fresh = NULL;
	empty = g->ix;
	*g = (struct store_generation){
		.ix = s->live, .due = s->due, .small = s->small, .next = s->dead};
	s->dead = g;
	s->live = empty;
	s->epoch++;
	s->due = (struct store_due){0};
	s->small = (struct store_fifo){0};
	s->n.items = 0;
	s->n.item_bytes = 0;
	s->n.small_items = s->n.small_bytes = 0;
	s->n.deadlines = 0;
	s->due_settling = false;
	s->n.buckets = empty.buckets;
	s->n.overflow_buckets = 0;
	s->headroom_bytes = 0;
	store_pool_clear(&s->pool);
	// Flushes that follow each other faster than slices of upkeep must not queue up indexes.
	if (g->next)
		store_dead_reclaim(s, STORE_FLUSH_LINES);
	while (s->dead && !(s->set.lazyfree & STORE_LAZY_USER_FLUSH))
		store_dead_reclaim(s, UINT32_MAX);
}

void store_flush(struct store *s, uint64_t at_s)
{
	s->flush_at_s = at_s > s->now.wall_s ? at_s : 0;
	if (!s->flush_at_s)
		flush_now(s);
}

void store_turn(struct store *s, struct base_now now)
{
	s->now = now;
	s->excess_left = s->excess_max;
	store_clock_turn(s);
	if (base_unlikely(s->n.items == 0))
		s->cold_us = now.mono_us;
	if (base_unlikely(s->flush_at_s && s->flush_at_s <= now.wall_s)) {
		s->flush_at_s = 0;
		flush_now(s);
	}
}
