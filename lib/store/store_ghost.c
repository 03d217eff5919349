// SPDX-License-Identifier: BSD-3-Clause
// The memory of keys that have gone: a container, which knows no policy.
//
//	top ---> directory of 512 pages ---> page of 64 lines
//	    ---> directory ...          ---> page ...
//
// Keys are put while room is made, which must not take any: a page that is missing is asked of the
// reserves that follow.
#include "store/store_internal.h"

// Keys of a line that are wanted, so that chance seldom overfills one.
#define LINE_KEYS 28

static inline uint64_t line_at(const struct store_ghost *g, uint64_t hash)
{
	// Bits that neither the bucket, the shard nor the print uses.
	return (hash & UINT32_MAX) * g->lines >> 32;
}

static inline uint32_t pages_of(uint64_t lines)
{
	return (uint32_t)((lines + STORE_GHOST_LINES - 1) / STORE_GHOST_LINES);
}

static inline uint32_t directories_of(uint32_t pages)
{
	return (pages + STORE_GHOST_PAGES - 1) / STORE_GHOST_PAGES;
}

static struct store_ghost_line *ghost_page(const struct store_ghost *g, uint32_t page)
{
	const struct store_ghost_directory *d = g->directory[page / STORE_GHOST_PAGES];

	return d ? d->page[page % STORE_GHOST_PAGES] : NULL;
}

static inline struct store_ghost_line *ghost_line(const struct store_ghost *g, uint64_t hash)
{
	uint64_t at = line_at(g, hash);
	struct store_ghost_line *page = ghost_page(g, (uint32_t)(at / STORE_GHOST_LINES));

	return page ? &page[at % STORE_GHOST_LINES] : NULL;
}

static inline uint16_t ghost_print(uint64_t hash)
{
	uint16_t print = (uint16_t)(hash >> 32);

	return print ? print : 1; // 0: nothing
}

// The number of lines follows when it is a quarter off; keys then lie in other lines, and what was
// remembered is forgotten.
static bool ghost_fit(struct store *s, struct store_ghost *g, uint64_t capacity)
{
	uint64_t lines = base_min_u64(capacity / LINE_KEYS + 1, UINT32_MAX);
	uint32_t want = directories_of(pages_of(lines));

	if (g->lines && lines * 4 < g->lines * 5 && lines * 4 > g->lines * 3)
		return true;
	if (want > g->directories) { // 8 bytes for a million keys
		void *p = mem_try_calloc(s->mem, MEM_INDEX, want * sizeof(*g->directory), NULL);

		if (!p)
			return g->lines > 0;
		if (g->directory) {
			memcpy(p, g->directory, g->directories * sizeof(*g->directory));
			mem_free(s->mem, MEM_INDEX, g->directory,
				g->directories * sizeof(*g->directory));
		}
		g->directory = p;
		g->directories = want;
	}
	g->lines = lines;
	return true;
}

// Pages behind the last that is in use go one at a time, a directory after its last.
static void ghost_trim(struct store *s, struct store_ghost *g)
{
	uint32_t used = pages_of(g->lines), end = g->directories * STORE_GHOST_PAGES;
	struct store_ghost_directory **d;

	if (g->trim < used || g->trim >= end)
		g->trim = used;
	if (g->trim >= end)
		return;
	d = &g->directory[g->trim / STORE_GHOST_PAGES];
	if (!*d) {
		g->trim = (g->trim / STORE_GHOST_PAGES + 1) * STORE_GHOST_PAGES;
		return;
	}
	if ((*d)->page[g->trim % STORE_GHOST_PAGES]) {
		store_side_free(s, (*d)->page[g->trim % STORE_GHOST_PAGES]);
		(*d)->page[g->trim % STORE_GHOST_PAGES] = NULL;
	}
	if (++g->trim % STORE_GHOST_PAGES == 0 && g->trim - STORE_GHOST_PAGES >= used) {
		for (uint32_t i = 0; i < STORE_GHOST_PAGES; i++)
			if ((*d)->page[i])
				return; // from a time when more were in use; the next pass
		store_side_free(s, *d);
		*d = NULL;
	}
}

void store_ghost_put(struct store *s, struct store_ghost *g, uint64_t hash, uint64_t capacity)
{
	struct store_ghost_line *line;

	if (!ghost_fit(s, g, capacity))
		return;
	ghost_trim(s, g);
	line = ghost_line(g, hash);
	if (!line) {
		g->wanted = store_side_affordable(s);
		g->want = (uint32_t)(line_at(g, hash) / STORE_GHOST_LINES);
		return;
	}
	memmove(line->print + 1, line->print, sizeof(line->print) - sizeof(line->print[0]));
	line->print[0] = ghost_print(hash);
}

void store_ghost_extend(struct store *s, struct store_ghost *g)
{
	struct store_ghost_directory **d;

	if (base_likely(!g->wanted))
		return;
	g->wanted = false;
	if (g->want >= g->directories * STORE_GHOST_PAGES || ghost_page(g, g->want))
		return;
	d = &g->directory[g->want / STORE_GHOST_PAGES];
	if (!*d)
		*d = store_side_alloc(s);
	else
		(*d)->page[g->want % STORE_GHOST_PAGES] = store_side_alloc(s);
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
		memmove(line->print + i, line->print + i + 1,
			(STORE_GHOST_WAYS - 1 - i) * sizeof(line->print[0]));
		line->print[STORE_GHOST_WAYS - 1] = 0;
		return true;
	}
	return false;
}

void store_ghost_close(struct store *s, struct store_ghost *g)
{
	for (uint32_t i = 0; i < g->directories; i++) {
		if (!g->directory[i])
			continue;
		for (uint32_t k = 0; k < STORE_GHOST_PAGES; k++)
			if (g->directory[i]->page[k])
				store_side_free(s, g->directory[i]->page[k]);
		store_side_free(s, g->directory[i]);
	}
	if (g->directory)
		mem_free(s->mem, MEM_INDEX, g->directory, g->directories * sizeof(*g->directory));
	*g = (struct store_ghost){0};
}
