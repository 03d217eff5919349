// SPDX-License-Identifier: BSD-3-Clause
// The queue of new keys and the memory of old ones: containers, which know no policy.
#include "store/store_internal.h"

// A page below the limit. Where there is none, room is asked of the reserves that follow.
static void *page_alloc(struct store *s)
{
	void *p;

	if (s->limit_bytes && store_charged_bytes(s) + STORE_SIDE_PAGE > s->limit_bytes) {
		if (s->limit_bytes >= STORE_SIDE_PAGE * STORE_SIDE_SHARE)
			s->side_headroom_bytes = STORE_SIDE_PAGE;
		s->n.side_deferred++;
		return NULL;
	}
	p = mem_try_calloc(s->mem, MEM_INDEX, STORE_SIDE_PAGE, NULL);
	if (p) {
		s->side_headroom_bytes = 0;
		s->n.side_bytes += STORE_SIDE_PAGE;
	}
	return p;
}

static void page_free(struct store *s, void *p)
{
	mem_free(s->mem, MEM_INDEX, p, STORE_SIDE_PAGE);
	s->n.side_bytes -= STORE_SIDE_PAGE;
}

// ---- the queue ----------------------------------------------------------------------------------

bool store_fifo_push(struct store *s, struct store_fifo *f, uint64_t entry)
{
	if (!f->tail || f->tail_at == STORE_FIFO_ENTRIES) {
		struct store_fifo_block *b = page_alloc(s);

		if (!b)
			return false;
		if (f->tail)
			f->tail->next = b;
		else
			f->head = b;
		f->tail = b;
		f->tail_at = 0;
	}
	f->tail->entry[f->tail_at++] = entry;
	f->count++;
	return true;
}

bool store_fifo_pop(struct store *s, struct store_fifo *f, uint64_t *entry)
{
	struct store_fifo_block *b = f->head;

	if (f->count == 0)
		return false;
	*entry = b->entry[f->head_at++];
	f->count--;
	if (f->count == 0) { // the page stays for the next
		base_assert(b == f->tail);
		f->head_at = f->tail_at = 0;
	} else if (f->head_at == STORE_FIFO_ENTRIES) {
		f->head = b->next;
		f->head_at = 0;
		page_free(s, b);
	}
	return true;
}

void store_fifo_behead(struct store *s, struct store_fifo *f)
{
	struct store_fifo_block *b = f->head;

	f->head = b->next;
	page_free(s, b);
}

void store_fifo_close(struct store *s, struct store_fifo *f)
{
	while (f->head)
		store_fifo_behead(s, f);
	*f = (struct store_fifo){0};
}

// ---- ghosts -------------------------------------------------------------------------------------

// Bits that neither the bucket, the shard nor the print uses.
static inline struct store_ghost_line *ghost_line(const struct store_ghost *g, uint64_t hash)
{
	uint64_t at = (hash & UINT32_MAX) * g->lines >> 32;
	struct store_ghost_line *page = g->page[at / STORE_GHOST_LINES];

	return page ? &page[at % STORE_GHOST_LINES] : NULL;
}

static inline uint16_t ghost_print(uint64_t hash)
{
	uint16_t print = (uint16_t)(hash >> 32);

	return print ? print : 1; // 0: nothing
}

// A line takes 28 keys of those wanted, so that chance seldom overfills one. The number follows when
// it is a quarter off; keys then lie in other lines, and what was remembered is forgotten.
static bool ghost_fit(struct store *s, struct store_ghost *g, uint64_t capacity)
{
	uint64_t lines = base_min_u64(capacity / 28 + 1, UINT32_MAX);
	uint32_t pages = (uint32_t)((lines + STORE_GHOST_LINES - 1) / STORE_GHOST_LINES);

	if (g->lines && lines * 4 < g->lines * 5 && lines * 4 > g->lines * 3)
		return true;
	if (pages > g->pages) {
		uint32_t cap = pages + pages / 2;
		void *p = mem_try_calloc(s->mem, MEM_INDEX, cap * sizeof(*g->page), NULL);

		if (!p)
			return g->lines > 0;
		if (g->page) {
			memcpy(p, g->page, g->pages * sizeof(*g->page));
			mem_free(s->mem, MEM_INDEX, g->page, g->pages * sizeof(*g->page));
		}
		g->page = p;
		g->pages = cap;
	}
	g->lines = lines;
	return true;
}

// Pages behind the last that is in use go one at a time.
static void ghost_trim(struct store *s, struct store_ghost *g)
{
	uint32_t used = (uint32_t)((g->lines + STORE_GHOST_LINES - 1) / STORE_GHOST_LINES);

	if (g->trim < used || g->trim >= g->pages)
		g->trim = used;
	if (g->trim < g->pages && g->page[g->trim]) {
		page_free(s, g->page[g->trim]);
		g->page[g->trim] = NULL;
	}
	g->trim++;
}

void store_ghost_put(struct store *s, struct store_ghost *g, uint64_t hash, uint64_t capacity)
{
	struct store_ghost_line *line;
	uint64_t at;

	if (!ghost_fit(s, g, capacity))
		return;
	ghost_trim(s, g);
	line = ghost_line(g, hash);
	if (!line) {
		at = (hash & UINT32_MAX) * g->lines >> 32;
		line = g->page[at / STORE_GHOST_LINES] = page_alloc(s);
		if (!line)
			return;
		line = ghost_line(g, hash);
	}
	line->print[line->cursor] = ghost_print(hash);
	line->cursor = (uint16_t)((line->cursor + 1) % STORE_GHOST_WAYS);
}

bool store_ghost_take(struct store_ghost *g, uint64_t hash)
{
	struct store_ghost_line *line = g->lines ? ghost_line(g, hash) : NULL;
	uint16_t print = ghost_print(hash);

	if (!line)
		return false;
	for (unsigned i = 0; i < STORE_GHOST_WAYS; i++) {
		if (line->print[i] != print)
			continue;
		line->print[i] = 0;
		return true;
	}
	return false;
}

void store_ghost_close(struct store *s, struct store_ghost *g)
{
	for (uint32_t i = 0; i < g->pages; i++)
		if (g->page[i])
			page_free(s, g->page[i]);
	if (g->page)
		mem_free(s->mem, MEM_INDEX, g->page, g->pages * sizeof(*g->page));
	*g = (struct store_ghost){0};
}
