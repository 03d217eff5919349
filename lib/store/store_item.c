// SPDX-License-Identifier: BSD-3-Clause
// Items: found, reserved, committed, referenced, dropped.
#include "store/store_internal.h"

// ---- leaving -----------------------------------------------------------------------------------

void store_item_drop(struct store *s, struct store_item *it, enum store_lazy mode)
{
	base_assert((it->bits & STORE_ITEM_LINKED) && it->refs > 0);
	it->bits &= (uint16_t)~STORE_ITEM_LINKED;
	if (--it->refs == 0)
		store_lazy_free(s, it, mode);
	else
		s->n.pinned_bytes += store_item_usable(s, it);
}

void store_item_leave(struct store *s, struct store_item *it, enum store_lazy mode)
{
	base_assert(s->n.items > 0);
	s->n.items--;
	s->n.item_bytes -= store_item_usable(s, it);
	store_small_leave(s, it);
	store_item_drop(s, it, mode);
}

void store_item_expire(struct store *s, struct store_item *it)
{
	s->n.expired++;
	s->n.expired_unfetched += !(it->bits & STORE_ITEM_FETCHED);
	store_item_leave(s, it, STORE_LAZY_EXPIRE);
}

void store_delete(struct store *s, struct store_item *it, uint64_t hash)
{
	struct store_spot at = store_index_spot(&s->live, hash);
	struct store_bucket *b = store_index_bucket(&s->live, at.bucket);
	uint64_t *slot = store_bucket_slot(b, store_slot_make(it, at.tag));

	base_assert(slot);
	store_bucket_clear(s, b, at.bucket, slot);
	store_item_leave(s, it, STORE_LAZY_USER_DEL);
}

// ---- finding -----------------------------------------------------------------------------------

void store_bucket_prefetch(const struct store *s, uint64_t hash)
{
	store_bucket_lines_prefetch(
		store_index_bucket(&s->live, store_index_number(&s->live, hash)));
}

// An item in a node is not fetched, but the node: also for who puts an item in or takes one out.
void store_item_prefetch(const struct store *s, uint64_t hash)
{
	struct store_spot at = store_index_spot(&s->live, hash);
	struct store_bucket *b = store_index_bucket(&s->live, at.bucket);
	const uint64_t *line = store_bucket_line(b, at.tag);
	uint32_t match = store_slots_match(line, STORE_LINE_SLOTS, at.tag);
	const char *it;

	store_bucket_node_prefetch(b);
	if (!match && store_line_filtered(line, at.tag)) {
		line = store_bucket_line(b, ~at.tag);
		match = store_slots_match(line, STORE_LINE_SLOTS, at.tag);
	}
	if (!match)
		return;
	it = (const char *)store_slot_item(line[store_match_first(match)]);
	base_prefetch(it);
	base_prefetch(it + BASE_CACHE_LINE);
}

struct store_item *store_find(struct store *s, const char *key, uint8_t key_len, uint64_t hash)
{
	struct store_spot at = store_index_spot(&s->live, hash);
	struct store_bucket *b = store_index_bucket(&s->live, at.bucket);
	uint64_t *slot = store_bucket_find(b, at.tag, key, key_len);
	struct store_item *it;

	if (!slot)
		return NULL;
	it = store_slot_item(*slot);
	if (base_unlikely(store_item_expired(s, it))) {
		store_bucket_clear(s, b, at.bucket, slot);
		store_item_expire(s, it);
		return NULL;
	}
	return it;
}

// ---- references --------------------------------------------------------------------------------

bool store_ref(struct store *s, struct store_item *it)
{
	base_assert(it->refs > 0);
	if (base_unlikely(it->refs == UINT16_MAX)) {
		s->n.refs_refused++;
		return false;
	}
	it->refs++;
	return true;
}

static void private_free(struct store *s, struct store_item *it)
{
	base_assert(s->reserved > 0);
	store_item_free(s, it);
	s->reserved--;
	store_spare_trim(s);
}

void store_unref(struct store *s, struct store_item *it)
{
	uint64_t usable;

	base_assert(it->refs > 0);
	if (base_likely(--it->refs > 0))
		return;
	if (it->bits & STORE_ITEM_PRIVATE) {
		private_free(s, it);
		return;
	}
	usable = store_item_usable(s, it);
	base_assert(!(it->bits & STORE_ITEM_LINKED) && s->n.pinned_bytes >= usable);
	s->n.pinned_bytes -= usable;
	store_lazy_free(s, it, STORE_LAZY_RELEASE);
}

bool store_writable(const struct store_item *it)
{
	return (it->bits & STORE_ITEM_LINKED) && it->refs == 1;
}

void store_deadline_set(struct store *s, struct store_item *it, uint32_t deadline_s)
{
	uint64_t hash;
	uint64_t *slot;

	if (it->deadline_s == deadline_s)
		return;
	if (!(it->bits & STORE_ITEM_LINKED)) {
		it->deadline_s = deadline_s;
		return;
	}
	hash = store_item_hash(it);
	slot = store_index_locate(&s->live, it, hash);
	base_assert(slot);
	*slot &= ~STORE_SLOT_DUE;
	store_due_leave(s, it, store_index_number(&s->live, hash));
	it->deadline_s = deadline_s;
	store_due_enter(s, it, hash);
}

// ---- reserve, commit, abort --------------------------------------------------------------------

uint64_t store_cas_next(struct store *s)
{
	uint64_t cas = s->cas_next;

	s->cas_next += s->cas_step;
	return cas;
}

uint64_t store_cas_peek(const struct store *s)
{
	return s->cas_next;
}

void store_cas_raise(struct store *s, uint64_t cas)
{
	if (cas >= s->cas_next)
		s->cas_next += ((cas - s->cas_next) / s->cas_step + 1) * s->cas_step;
}

// Room below the limit for the item and, should this reservation need one, its spare node; for what
// its commit may take; and for what the queue's memory lacks.
static struct store_item *item_alloc(
	struct store *s, uint64_t hash, struct store_layout l, bool deadline, char **tail)
{
	uint64_t room = store_layout_usable(s, l) + sizeof(struct store_node);
	uint64_t ghosts = s->traits->queues ? store_ghost_room(&s->ghost) : 0;
	struct store_item *it = NULL;

	if ((deadline && s->due_keep) || s->due.items > 0)
		room += STORE_DUE_ROOM;
	if (s->traits->queues)
		room += store_fifo_room(&s->small) + ghosts;
	if (!store_chain_room_make(s, hash) || !store_room_make(s, room))
		return NULL;
	if (ghosts)
		store_ghost_extend(s, &s->ghost);
	if (store_spare_ensure(s, 0))
		it = store_pieces_alloc(s, l, tail);
	if (base_unlikely(!it) && store_room_force(s, room) && store_spare_ensure(s, 0))
		it = store_pieces_alloc(s, l, tail);
	return it;
}

enum store_verdict store_reserve(struct store *s, const struct store_key *key,
	uint32_t client_flags, uint32_t deadline_s, uint32_t value_bytes, struct store_item **out)
{
	uint64_t bytes = sizeof(struct store_item) + (client_flags ? 4 : 0) + key->len +
		(uint64_t)value_bytes;
	struct store_layout layout = store_layout_of(bytes);
	struct store_item *it;
	char *tail;

	*out = NULL;
	if (bytes > s->item_bytes_max) {
		s->n.too_large++;
		return STORE_TOO_LARGE;
	}
	it = item_alloc(s, key->hash, layout, deadline_s != 0, &tail);
	if (!it) {
		s->n.no_memory++;
		return STORE_NO_MEMORY;
	}
	*it = (struct store_item){
		.deadline_s = deadline_s,
		.access_key_len = key->len,
		.value_bytes = value_bytes,
		.refs = 1,
		.bits = STORE_ITEM_PRIVATE | (client_flags ? STORE_ITEM_CFLAGS : 0),
	};
	if (client_flags)
		memcpy(it->data, &client_flags, sizeof(client_flags));
	memcpy(store_item_key(it), key->key, key->len);
	if (layout.tail_bytes) {
		it->bits |= STORE_ITEM_SPLIT;
		memcpy(store_tail_place(it), &tail, sizeof(tail));
	}
	s->reserved++;
	*out = it;
	return STORE_OK;
}

void store_commit(struct store *s, struct store_item *it, uint64_t hash, uint64_t cas)
{
	struct store_spot at;
	struct store_bucket *b;
	uint64_t *slot;

	base_assert((it->bits & STORE_ITEM_PRIVATE) && it->refs == 1 && s->reserved > 0);
	if (base_unlikely(s->grow_wait > 0))
		s->grow_wait--;
	store_grow(s, STORE_SPLITS_COMMIT); // before linking: a split may drop what has expired
	at = store_index_spot(&s->live, hash);
	b = store_index_bucket(&s->live, at.bucket);
	slot = store_bucket_find(b, at.tag, store_item_key(it), store_item_key_len(it));
	if (slot) {
		struct store_item *old = store_slot_item(*slot);

		store_access_begin(s, it, old, hash);
		store_due_leave(s, old, at.bucket);
		store_slot_set(slot, store_slot_make(it, at.tag));
		store_item_leave(s, old, STORE_LAZY_SERVER_DEL);
	} else {
		store_access_begin(s, it, NULL, hash);
		store_link(s, it, b, at.tag);
	}
	it->bits ^= STORE_ITEM_PRIVATE | STORE_ITEM_LINKED;
	store_due_enter(s, it, hash);
	it->cas = cas ? cas : store_cas_next(s);
	s->n.items++;
	s->n.items_total++;
	s->n.item_bytes += store_item_usable(s, it);
	s->reserved--;
	store_spare_trim(s);
}

void store_abort(struct store *s, struct store_item *it)
{
	base_assert((it->bits & STORE_ITEM_PRIVATE) && it->refs == 1);
	private_free(s, it);
}
