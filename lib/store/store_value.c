// SPDX-License-Identifier: BSD-3-Clause
// Values: in one block with their header, or with their end in a second one.
#include "store/store_internal.h"

// ---- blocks ------------------------------------------------------------------------------------

struct store_item *store_pieces_alloc(struct store *s, struct store_layout l, char **tail)
{
	struct store_item *it = mem_try_alloc(s->mem, MEM_ITEMS, l.head_bytes, NULL);

	*tail = NULL;
	if (base_likely(!l.tail_bytes) || !it)
		return it;
	*tail = mem_try_alloc(s->mem, MEM_ITEMS, l.tail_bytes, NULL);
	if (base_likely(*tail))
		return it;
	mem_free(s->mem, MEM_ITEMS, it, l.head_bytes);
	return NULL;
}

void store_pieces_free(struct store *s, void *head, char *tail, struct store_layout l)
{
	base_assert(!tail == !l.tail_bytes);
	if (tail)
		mem_free(s->mem, MEM_ITEMS, tail, l.tail_bytes);
	mem_free(s->mem, MEM_ITEMS, head, l.head_bytes);
}

void store_item_free(struct store *s, struct store_item *it)
{
	uint64_t bytes = store_item_bytes(it);

	if (base_likely(!(it->bits & STORE_ITEM_SPLIT)))
		mem_free(s->mem, MEM_ITEMS, it, bytes);
	else
		store_pieces_free(s, it, store_tail(it), store_layout_of(bytes));
}

struct store_memory store_item_memory(const struct store *s, const struct store_item *it)
{
	return (struct store_memory){
		.asked_bytes = store_item_bytes(it) +
			(it->bits & STORE_ITEM_SPLIT ? STORE_TAIL_ADDRESS : 0),
		.held_bytes = store_item_usable(s, it),
	};
}

// ---- bytes -------------------------------------------------------------------------------------

void store_split_spans(struct store_item *it, struct store_span out[2])
{
	char *value = store_tail_place(it) + STORE_TAIL_ADDRESS;
	char *end = (char *)it + store_split_head(store_item_bytes(it));

	base_assert(end > value && (uint64_t)(end - value) < it->value_bytes);
	out[0] = (struct store_span){value, (uint32_t)(end - value)};
	out[1] = (struct store_span){store_tail(it), it->value_bytes - out[0].bytes};
}

void store_value_fill(struct store_item *it, uint32_t from, char byte, uint32_t n)
{
	base_assert(from + (uint64_t)n <= it->value_bytes);
	while (n > 0) {
		uint32_t room;
		char *to = store_value_at(it, from, &room);

		room = (uint32_t)base_min_u64(room, n);
		memset(to, byte, room);
		from += room;
		n -= room;
	}
}

void store_value_copy(struct store_item *it, uint32_t at, struct store_item *source)
{
	struct store_span span[2];

	store_value_spans(source, span);
	store_value_write(it, at, span[0].at, span[0].bytes);
	store_value_write(it, at + span[0].bytes, span[1].at, span[1].bytes);
}

// How many of the value's bytes [0, end) lie together before `end`; *p gets the first of them.
static uint32_t run_before(struct store_item *it, uint32_t end, char **p)
{
	uint32_t first;

	*p = store_value_at(it, 0, &first);
	if (end <= first)
		return end;
	*p = store_value_at(it, first, &(uint32_t){0});
	return end - first;
}

// From the end on, in runs: at most three.
void store_value_shift(struct store_item *it, uint32_t to, uint32_t n)
{
	base_assert(to + (uint64_t)n <= it->value_bytes);
	while (n > 0) {
		char *source, *target;
		uint32_t have = run_before(it, n, &source);
		uint32_t room = run_before(it, to + n, &target);
		uint32_t run = (uint32_t)base_min_u64(have, room);

		memmove(target + (room - run), source + (have - run), run);
		n -= run;
	}
}

// ---- another length ----------------------------------------------------------------------------

// The tail into a block of another size; others may be evicted for it.
static bool tail_move(struct store *s, struct store_item *it, uint64_t bytes, uint64_t new_bytes)
{
	uint64_t had = mem_usable(s->mem, bytes), wants = mem_usable(s->mem, new_bytes);
	char *tail;
	bool room;

	if (store_item_expired(s, it))
		return false;
	it->refs++; // not this one
	room = wants <= had || store_room_make(s, wants - had);
	it->refs--;
	base_assert(store_writable(it));
	if (!room)
		return false;
	tail = mem_try_realloc(s->mem, MEM_ITEMS, store_tail(it), bytes, new_bytes, NULL);
	if (!tail)
		return false;
	memcpy(store_tail_place(it), &tail, sizeof(tail));
	s->n.item_bytes += wants - had;
	if (store_item_small(it))
		s->n.small_bytes += wants - had;
	return true;
}

bool store_value_resize(struct store *s, struct store_item *it, uint64_t value_bytes)
{
	uint64_t bytes = store_item_bytes(it), new_bytes = bytes - it->value_bytes + value_bytes;
	struct store_layout had, l = store_layout_of(new_bytes);

	if (!store_writable(it) || new_bytes > s->item_bytes_max || value_bytes > UINT32_MAX)
		return false;
	if (base_unlikely(it->bits & STORE_ITEM_SPLIT)) {
		had = store_layout_of(bytes);
		if (!l.tail_bytes || l.head_bytes != had.head_bytes)
			return false;
		if (mem_usable(s->mem, l.tail_bytes) == mem_usable(s->mem, had.tail_bytes))
			mem_size_note(s->mem, had.tail_bytes, l.tail_bytes);
		else if (!tail_move(s, it, had.tail_bytes, l.tail_bytes))
			return false;
	} else {
		if (l.tail_bytes || mem_usable(s->mem, new_bytes) != mem_usable(s->mem, bytes))
			return false;
		mem_size_note(s->mem, bytes, new_bytes);
	}
	it->value_bytes = (uint32_t)value_bytes;
	return true;
}

void store_value_changed(struct store *s, struct store_item *it, uint64_t cas)
{
	base_assert(store_writable(it));
	store_touch_access(s, it);
	it->bits &= (uint16_t) ~(STORE_ITEM_FETCHED | STORE_ITEM_STALE | STORE_ITEM_WON |
		STORE_ITEM_BASE64 | STORE_ITEM_NUMBER);
	it->cas = cas ? cas : store_cas_next(s);
	s->n.items_total++;
}
