// SPDX-License-Identifier: BSD-3-Clause
// Flush: the index is taken away whole, and its items are freed by and by.
#include "store/store_internal.h"

// Drops the items of a chain and its overflow lines. Returns lines and items met. The bucket itself
// keeps what it held: the caller clears or frees it.
static unsigned chain_drop(struct store *s, const struct store_line *bucket)
{
	const struct store_line *line = bucket;
	unsigned met = 0;

	while (line) {
		struct store_line copy = *line;

		met++;
		store_line_prefetch(&copy);
		for (unsigned i = 0; i < STORE_SLOTS && copy.slot[i]; i++, met++)
			store_item_drop(s, store_slot_item(copy.slot[i]), STORE_LAZY_USER_FLUSH);
		if (line != bucket)
			store_line_free(s, (struct store_line *)(uintptr_t)line);
		line = copy.next;
	}
	return met;
}

void store_live_empty(struct store *s)
{
	s->n.items = 0;
	s->n.item_bytes = 0;
	s->n.small_items = s->n.small_bytes = 0;
	s->n.overflow_buckets = 0;
	store_pool_clear(&s->pool);
	for (uint32_t b = 0; b < s->live.buckets; b++) {
		struct store_line *line = store_index_bucket(&s->live, b);

		chain_drop(s, line);
		memset(line, 0, sizeof(*line));
	}
	store_due_close(s, &s->due);
	store_fifo_close(s, &s->small);
}

// Frees the segment that ends before bucket `end`.
static void segment_drop(struct store *s, struct store_index *ix, uint32_t end)
{
	uint32_t i = store_index_place(end - 1).segment;

	mem_free_aligned(s->mem, MEM_INDEX, ix->segment[i], BASE_CACHE_LINE,
		store_index_segment_buckets(end - 1) * sizeof(struct store_line));
	ix->segment[i] = NULL;
}

unsigned store_dead_reclaim(struct store *s, unsigned budget)
{
	while (budget > 0 && s->dead) {
		struct store_generation *g = s->dead;
		unsigned met;

		if (g->small.head) { // a page of the queue each time
			store_fifo_behead(s, &g->small);
			budget--;
			continue;
		}
		if (g->cursor == g->ix.buckets) {
			s->dead = g->next;
			store_index_close(&g->ix, s->mem);
			store_due_close(s, &g->due);
			mem_free(s->mem, MEM_INDEX, g, sizeof(*g));
			continue;
		}
		met = chain_drop(s, store_index_bucket(&g->ix, g->cursor));
		store_due_drop(s, &g->due, g->cursor);
		g->cursor++;
		if (store_index_place(g->cursor).line == 0)
			segment_drop(s, &g->ix, g->cursor);
		budget -= met < budget ? met : budget;
	}
	return budget;
}

static void flush_now(struct store *s)
{
	struct store_generation *g;
	struct store_index fresh;

	s->n.flushed += s->n.items;
	if (s->n.items == 0)
		return;
	g = mem_try_alloc(s->mem, MEM_INDEX, sizeof(*g), NULL);
	if (!g)
		goto in_place;
	if (store_index_open(&fresh, s->mem) != 0)
		goto free_generation;
	*g = (struct store_generation){
		.ix = s->live, .due = s->due, .small = s->small, .next = s->dead};
	s->dead = g;
	s->live = fresh;
	s->due = (struct store_due){0};
	s->small = (struct store_fifo){0};
	s->n.items = 0;
	s->n.item_bytes = 0;
	s->n.small_items = s->n.small_bytes = 0;
	s->n.buckets = fresh.buckets;
	s->n.overflow_buckets = 0;
	s->headroom_bytes = 0;
	store_pool_clear(&s->pool);
	// Flushes that follow each other faster than slices of upkeep must not queue up indexes.
	if (g->next)
		store_dead_reclaim(s, STORE_FLUSH_LINES);
	while (s->dead && !(s->set.lazyfree & STORE_LAZY_USER_FLUSH))
		store_dead_reclaim(s, UINT32_MAX);
	return;

free_generation:
	mem_free(s->mem, MEM_INDEX, g, sizeof(*g));
in_place: // no memory for another index: slower, and as right
	store_live_empty(s);
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
	if (base_unlikely(s->flush_at_s && s->flush_at_s <= now.wall_s)) {
		s->flush_at_s = 0;
		flush_now(s);
	}
}
