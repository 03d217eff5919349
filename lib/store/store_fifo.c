// SPDX-License-Identifier: BSD-3-Clause
// The queue of new keys: a container, which knows no policy.
#include "store/store_internal.h"

void *store_side_alloc(struct store *s)
{
	void *p;

	if (s->limit_bytes && store_charged_bytes(s) + STORE_SIDE_PAGE > s->limit_bytes) {
		if (store_side_affordable(s))
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

void store_side_free(struct store *s, void *p)
{
	mem_free(s->mem, MEM_INDEX, p, STORE_SIDE_PAGE);
	s->n.side_bytes -= STORE_SIDE_PAGE;
}

bool store_fifo_push(struct store *s, struct store_fifo *f, uint64_t entry)
{
	if (!f->tail || f->tail_at == STORE_FIFO_ENTRIES) {
		struct store_fifo_block *b = store_side_alloc(s);

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
		store_side_free(s, b);
	}
	return true;
}

void store_fifo_behead(struct store *s, struct store_fifo *f)
{
	struct store_fifo_block *b = f->head;

	f->head = b->next;
	store_side_free(s, b);
}

void store_fifo_close(struct store *s, struct store_fifo *f)
{
	while (f->head)
		store_fifo_behead(s, f);
	*f = (struct store_fifo){0};
}
