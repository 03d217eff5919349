// SPDX-License-Identifier: BSD-3-Clause
// Defrag: blocks move out of sparse slabs, so that these empty; in hugepage mode out of high pages.
//
// A pass walks the buckets. What lies in a few of them is gathered, the allocator is asked for the
// slabs of all of it at once, and what lies in sparse ones is moved: the last first, so that a
// slot, a tail's address or a link is still where it was gathered when its block moves.
#include "store/store_internal.h"

#define BATCH_GATHER  64 // blocks from which on a batch is full
#define BATCH_BUCKETS 8
// Items, their tails and nodes of a bucket; a full one may get one item more for each filter bit.
#define BUCKET_BLOCKS (3 * (STORE_BUCKET_ITEMS_MAX + 2 * STORE_FILTER_MAX))
#define BATCH_MOST    (BATCH_GATHER + BUCKET_BLOCKS)
#define BUCKET_UNITS  13           // of a step's budget, as many items as a bucket has
#define MOVE_UNITS    4            // of a block that was moved,
#define MOVE_BYTES    512          // ... and one for so many bytes of it
#define MOVE_MOST     (256u << 10) // larger ones stay: a copy takes 25 us

enum block_kind { BLOCK_ITEM, BLOCK_TAIL, BLOCK_NODE };

struct batch {
	unsigned n;
	void *block[BATCH_MOST];
	uint64_t *slot[BATCH_MOST]; // that has its address; a tail's: that of its item
	uint8_t kind[BATCH_MOST];
	struct mem_slab slab[BATCH_MOST];
};

// ---- gathering ----------------------------------------------------------------------------------
static inline void block_add(struct batch *g, enum block_kind kind, void *block, uint64_t *slot)
{
	base_assert(g->n < BATCH_MOST);
	g->block[g->n] = block;
	g->slot[g->n] = slot;
	g->kind[g->n] = (uint8_t)kind;
	g->n++;
}

// False: somebody reads it.
static inline bool item_gather(struct batch *g, uint64_t *slot)
{
	struct store_item *it = store_slot_item(*slot);

	base_assert((it->bits & STORE_ITEM_LINKED) && it->refs > 0);
	if (it->refs > 1)
		return false;
	block_add(g, BLOCK_ITEM, it, slot);
	if (base_unlikely(it->bits & STORE_ITEM_SPLIT))
		block_add(g, BLOCK_TAIL, store_tail(it), slot);
	return true;
}

static bool bucket_gather(struct store *s, struct batch *g, struct store_bucket *b)
{
	uint64_t *slot = b->slot, *end = b->slot + STORE_BUCKET_SLOTS;
	bool all = true;

	while (slot < end) {
		if (base_unlikely(*slot & STORE_SLOT_LINK)) {
			struct store_node *node = store_slot_node(*slot);

			block_add(g, BLOCK_NODE, node, slot);
			slot = node->slot;
			end = node->slot + STORE_NODE_SLOTS;
			continue;
		}
		if (store_slot_item(*slot) && !item_gather(g, slot)) {
			s->n.defrag_key_misses++;
			all = false;
		}
		slot++;
	}
	return all;
}

static void ahead_fetch(const struct store *s, unsigned buckets)
{
	uint32_t first = s->defrag.bucket;
	uint32_t end = (uint32_t)base_min_u64(first + (uint64_t)buckets, s->live.buckets);

	for (uint32_t b = first; b < end; b++)
		store_bucket_lines_prefetch(store_index_bucket(&s->live, b));
	for (uint32_t b = first; b < end; b++)
		store_bucket_items_prefetch(store_index_bucket(&s->live, b));
}

static void batch_gather(struct store *s, struct batch *g, unsigned units)
{
	struct store_defrag *f = &s->defrag;
	unsigned buckets = (unsigned)base_min_u64(units / BUCKET_UNITS + 1, BATCH_BUCKETS);

	ahead_fetch(s, buckets);
	for (; buckets > 0 && g->n < BATCH_GATHER && f->bucket < s->live.buckets; buckets--) {
		uint32_t number = f->bucket++;

		if (!bucket_gather(s, g, store_index_bucket(&s->live, number)) &&
			f->agains < STORE_DEFRAG_AGAIN)
			f->again[f->agains++] = number;
	}
}

// ---- moving -------------------------------------------------------------------------------------
static bool in_window(const struct store_defrag *f, const void *block)
{
	return (uintptr_t)block >= f->from && (uintptr_t)block < f->top;
}

static bool block_wanted(const struct store *s, const struct batch *g, unsigned i)
{
	const struct store_defrag *f = &s->defrag;

	if (f->walk == STORE_DEFRAG_PAGES)
		return in_window(f, g->block[i]) && g->slab[i].bytes <= MOVE_MOST;
	return f->plan.all || mem_slab_is_sparse(&g->slab[i], f->plan.sparse);
}

// What found no room below the mark, as the holes there are too small, goes to the lowest that will
// do: where others of its kind have gone.
static uintptr_t lower_than(const struct store_defrag *f, const void *block)
{
	return f->gather ? mem_page_of(block) : f->mark;
}

static void move_count(struct store *s, uint64_t bytes)
{
	s->defrag.spent += (unsigned)(bytes / MOVE_BYTES);
	s->n.defrag_hits++;
	s->n.defrag_bytes += bytes;
}

// Its new address, or NULL: it stays.
static void *block_move(
	struct store *s, const struct batch *g, unsigned i, enum mem_class c, uint64_t bytes)
{
	struct store_defrag *f = &s->defrag;
	void *moved;

	f->spent += MOVE_UNITS;
	if (f->walk == STORE_DEFRAG_PAGES)
		moved = mem_try_lower(s->mem, c, g->block[i], 0, bytes, lower_than(f, g->block[i]));
	else
		moved = mem_try_move(
			s->mem, c, g->block[i], bytes, f->plan.all ? NULL : &g->slab[i]);
	if (!moved)
		return NULL;
	base_assert(((uintptr_t)moved & ~STORE_POINTER_MASK) == 0);
	move_count(s, bytes);
	return moved;
}

static inline void slot_point(uint64_t *slot, const void *to)
{
	*slot = (*slot & ~STORE_POINTER_MASK) | (uint64_t)(uintptr_t)to;
}

static bool tail_move(struct store *s, const struct batch *g, unsigned i)
{
	struct store_item *it = store_slot_item(*g->slot[i]);
	char *tail =
		block_move(s, g, i, MEM_ITEMS, store_layout_of(store_item_bytes(it)).tail_bytes);

	if (tail)
		memcpy(store_tail_place(it), &tail, sizeof(tail));
	return tail;
}

static bool item_move(struct store *s, const struct batch *g, unsigned i)
{
	struct store_item *it = g->block[i];
	struct store_item *moved =
		block_move(s, g, i, MEM_ITEMS, store_layout_of(store_item_bytes(it)).head_bytes);

	if (moved)
		slot_point(g->slot[i], moved);
	return moved;
}

static bool node_move(struct store *s, const struct batch *g, unsigned i)
{
	void *moved = block_move(s, g, i, MEM_INDEX, sizeof(struct store_node));

	if (moved)
		slot_point(g->slot[i], moved);
	return moved;
}

static void batch_move(struct store *s, const struct batch *g)
{
	bool tail_moved = false;

	for (unsigned i = g->n; i-- > 0;) {
		bool wanted = block_wanted(s, g, i), moved = false;

		switch (g->kind[i]) {
		case BLOCK_TAIL: // its item comes next
			moved = wanted && tail_move(s, g, i);
			tail_moved = moved;
			break;
		case BLOCK_ITEM:
			moved = wanted && item_move(s, g, i);
			s->n.defrag_key_hits += moved || tail_moved;
			s->n.defrag_key_misses += !(moved || tail_moved);
			tail_moved = false;
			break;
		case BLOCK_NODE:
			moved = wanted && node_move(s, g, i);
			break;
		}
		s->n.defrag_misses += !moved;
	}
}

// ---- walks --------------------------------------------------------------------------------------
static void batch_run(struct store *s, struct batch *g)
{
	s->defrag.spent += g->n + 1;
	if (mem_slabs_query(s->mem, g->block, g->n, g->slab) < 0)
		memset(g->slab, 0, g->n * sizeof(g->slab[0]));
	batch_move(s, g);
}

// False: it is at its end.
static bool buckets_step(struct store *s, unsigned units)
{
	struct batch g;

	if (s->defrag.bucket >= s->live.buckets)
		return false;
	g.n = 0;
	batch_gather(s, &g, units);
	batch_run(s, &g);
	return true;
}

// A bucket whose items somebody read when the walk came by.
static bool again_step(struct store *s)
{
	struct store_defrag *f = &s->defrag;
	struct batch g;
	uint32_t number;

	if (f->again_at == f->agains)
		return false;
	g.n = 0;
	number = f->again[f->again_at++];
	if (number < s->live.buckets)
		bucket_gather(s, &g, store_index_bucket(&s->live, number));
	batch_run(s, &g);
	return true;
}

static bool segment_step(struct store *s)
{
	struct store_defrag *f = &s->defrag;
	uint32_t i = store_index_place(f->bucket).segment;
	uint64_t bytes = store_index_segment_buckets(f->bucket) * sizeof(struct store_bucket);
	void *moved;

	if (i >= s->live.segments)
		return false;
	f->bucket += store_index_segment_buckets(f->bucket);
	f->spent++;
	if (!in_window(f, s->live.segment[i]) || bytes > f->segment_most)
		return true;
	mem_moves_begin(s->mem);
	moved = mem_try_lower(s->mem, MEM_INDEX, s->live.segment[i], sizeof(struct store_bucket),
		bytes, lower_than(f, s->live.segment[i]));
	if (moved) {
		s->live.segment[i] = moved;
		s->epoch++; // look-ups under way know buckets
		move_count(s, bytes);
	} else if (!f->gather) {
		f->segment_most = bytes - 1; // below the mark holes only become smaller
	}
	return true;
}

static bool kept_step(struct store *s, bool all, unsigned units)
{
	unsigned left = mem_moves_end(s->mem, all, units);

	s->defrag.spent += units - left;
	return left == 0;
}

static bool walk_step(struct store *s, unsigned units)
{
	switch (s->defrag.walk) {
	case STORE_DEFRAG_PAGES:
		mem_moves_begin(s->mem);
		return buckets_step(s, units);
	case STORE_DEFRAG_SLABS:
		return buckets_step(s, units);
	case STORE_DEFRAG_SLABS_AGAIN:
		return again_step(s);
	case STORE_DEFRAG_SEGMENTS:
		return segment_step(s);
	case STORE_DEFRAG_WINDOW:
		return kept_step(s, false, units);
	case STORE_DEFRAG_END:
		return kept_step(s, true, units);
	case STORE_DEFRAG_REST:
		break;
	}
	return false;
}

// ---- a pass -------------------------------------------------------------------------------------
static void pass_begin(struct store *s)
{
	struct store_defrag *f = &s->defrag;

	mem_cache_flush(s->mem); // else what it holds keeps slabs from emptying
	f->begun = f->plan.seq;
	f->walk = STORE_DEFRAG_SLABS;
	f->bucket = 0;
	f->agains = f->again_at = 0;
	s->n.defrag_running = 1;
}

static bool windows_begin(struct store *s)
{
	struct store_defrag *f = &s->defrag;

	f->mark = f->plan.pages ? mem_watermark(s->mem) : 0;
	f->from = UINTPTR_MAX;
	f->gather = false;
	f->segment_most = MOVE_MOST;
	return f->mark != 0;
}

// From the highest pages down to the watermark; then once more all above it, which is gathered.
// False: that is done.
static bool window_next(struct store *s)
{
	struct store_defrag *f = &s->defrag;

	if (f->gather)
		return false;
	if (f->from > f->mark) {
		f->top = f->from;
		f->from = mem_window(s->mem, f->mark, f->top);
	} else {
		f->gather = true;
		f->top = UINTPTR_MAX;
		f->segment_most = MOVE_MOST;
	}
	f->walk = STORE_DEFRAG_SEGMENTS;
	f->bucket = 0;
	return true;
}

static void walk_end(struct store *s)
{
	s->n.defrag_passes++;
	s->defrag.walk = STORE_DEFRAG_END;
}

// The walk has come to its end: what comes next.
static void walk_next(struct store *s)
{
	struct store_defrag *f = &s->defrag;

	switch (f->walk) {
	case STORE_DEFRAG_SLABS:
		f->walk = STORE_DEFRAG_SLABS_AGAIN;
		break;
	case STORE_DEFRAG_SLABS_AGAIN:
		if (!windows_begin(s) || !window_next(s))
			walk_end(s);
		break;
	case STORE_DEFRAG_SEGMENTS:
		f->walk = STORE_DEFRAG_PAGES;
		f->bucket = 0;
		break;
	case STORE_DEFRAG_PAGES:
		f->walk = STORE_DEFRAG_WINDOW;
		break;
	case STORE_DEFRAG_WINDOW:
		if (!window_next(s))
			walk_end(s);
		break;
	case STORE_DEFRAG_END:
		s->n.defrag_running = 0;
		f->walk = STORE_DEFRAG_REST;
		break;
	case STORE_DEFRAG_REST:
		break;
	}
}

void store_defrag_set(struct store *s, const struct store_defrag_plan *plan)
{
	struct store_defrag *f = &s->defrag;

	f->plan = *plan;
	if (plan->seq == 0 && f->walk != STORE_DEFRAG_REST)
		f->walk = STORE_DEFRAG_END;
}

unsigned store_defrag_step(struct store *s, unsigned units)
{
	struct store_defrag *f = &s->defrag;

	if (f->walk == STORE_DEFRAG_REST) {
		if (base_likely(f->plan.seq == f->begun || f->plan.seq == 0))
			return units;
		pass_begin(s);
	}
	while (units > 0 && f->walk != STORE_DEFRAG_REST) {
		f->spent = 0;
		if (!walk_step(s, units))
			walk_next(s);
		units -= (unsigned)base_min_u64(f->spent, units);
	}
	return units;
}
