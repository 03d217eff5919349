// SPDX-License-Identifier: BSD-3-Clause
// A worker's end of a snapshot: its walk, and a ring of items to the writer. Small values are
// copied; long ones are pinned, and their pins come back when they are written.
#include <time.h>

#include "snapshot/snapshot_internal.h"

#define WORD       BASE_RING_WORD
#define CELL_ITEMS 16u  // taken from the walk at once
#define COPY_UNIT  256u // bytes
#define NAP_NS     1000000

int snapshot_tap_open(struct snapshot_tap *t, uint32_t bytes)
{
	base_assert(bytes >= SNAPSHOT_RING_MIN);
	memset(t, 0, sizeof(*t));
	return base_ring_open(&t->ring, bytes);
}

void snapshot_tap_close(struct snapshot_tap *t)
{
	base_ring_close(&t->ring);
}

// ---- records ------------------------------------------------------------------------------------
static uint64_t words_of(uint64_t bytes)
{
	return (bytes + WORD - 1) / WORD;
}

static uint64_t record_words(const struct store_item *it, uint32_t copy_max)
{
	uint64_t words = sizeof(struct snapshot_record) / WORD;

	if (it->value_bytes <= copy_max)
		return words + words_of(store_item_key_len(it) + (uint64_t)it->value_bytes);
	return words + words_of(store_item_key_len(it)) + sizeof(struct snapshot_pinned) / WORD;
}

struct snapshot_pinned *snapshot_record_pinned(const struct snapshot_record *r)
{
	uintptr_t at = (uintptr_t)r->data + words_of(r->key_len) * WORD;

	base_assert(r->pinned);
	return (struct snapshot_pinned *)at;
}

// Words of it.
static uint64_t record_fill(struct snapshot_tap *t, struct store *s, struct snapshot_record *r,
	struct store_item *it, uint32_t copy_max)
{
	uint64_t words = record_words(it, copy_max);
	struct store_span span[2];
	bool pinned;

	*r = (struct snapshot_record){
		.words = (uint32_t)words,
		.value_bytes = it->value_bytes,
		.cas = it->cas,
		.deadline_s = it->deadline_s,
		.client_flags = store_item_client_flags(it),
		.bits = it->bits & SNAPSHOT_BITS,
		.key_len = store_item_key_len(it),
	};
	memcpy(r->data, store_item_key(it), r->key_len);
	store_value_spans(it, span);
	if (it->value_bytes <= copy_max) {
		memcpy(r->data + r->key_len, span[0].at, span[0].bytes);
		if (span[1].bytes > 0)
			memcpy(r->data + r->key_len + span[0].bytes, span[1].at, span[1].bytes);
		return words;
	}
	r->pinned = true;
	*snapshot_record_pinned(r) = (struct snapshot_pinned){it, {span[0], span[1]}};
	pinned = store_ref(s, it);
	base_assert(pinned);
	t->pins++;
	t->pinned_bytes += it->value_bytes;
	return words;
}

// ---- the worker's side --------------------------------------------------------------------------
static void pins_take(struct snapshot_tap *t, struct store *s)
{
	uint32_t head = __atomic_load_n(&t->back_head, __ATOMIC_ACQUIRE);

	for (; t->back_tail != head; t->back_tail++) {
		struct store_item *it = t->back[t->back_tail & (SNAPSHOT_PINS - 1)];

		t->pins--;
		t->pinned_bytes -= it->value_bytes;
		store_unref(s, it);
	}
}

// What items take of the ring and of the pins.
struct want {
	uint64_t words, pinned_bytes;
	uint32_t pins;
	bool possible; // each can be pinned
};

static struct want items_want(struct store_item *const *it, unsigned n, uint32_t copy_max)
{
	struct want w = {.possible = true};

	for (unsigned i = 0; i < n; i++) {
		w.words += record_words(it[i], copy_max);
		if (it[i]->value_bytes <= copy_max)
			continue;
		w.pins++;
		w.pinned_bytes += it[i]->value_bytes;
		w.possible &= it[i]->refs < UINT16_MAX;
	}
	return w;
}

static bool pins_fit(const struct snapshot_tap *t, const struct want *w)
{
	return w->possible && t->pins + w->pins <= SNAPSHOT_PINS &&
		(t->pins == 0 || t->pinned_bytes + w->pinned_bytes <= SNAPSHOT_PIN_BYTES);
}

// All of them, or none. Short values of very many are pinned, too: else they could never fit.
static bool items_hand_over(
	struct snapshot_tap *t, struct store *s, struct store_item *const *it, unsigned n)
{
	uint32_t copy_max = SNAPSHOT_COPY_BYTES;
	struct want w = items_want(it, n, copy_max);
	uint64_t *at;

	if (base_unlikely(w.words > base_ring_words(&t->ring) / 2)) {
		copy_max = sizeof(struct snapshot_pinned);
		w = items_want(it, n, copy_max);
	}
	at = pins_fit(t, &w) ? base_ring_room(&t->ring, w.words) : NULL;
	if (at == NULL)
		return false;
	for (unsigned i = 0; i < n; i++)
		at += record_fill(t, s, (void *)at, it[i], copy_max);
	if (t->pinned_bytes > t->pinned_most)
		__atomic_store_n(&t->pinned_most, t->pinned_bytes, __ATOMIC_RELAXED);
	base_ring_publish(&t->ring, w.words);
	return true;
}

// The live ones of the walk's next items. Units spent.
static unsigned walk_step(struct snapshot_tap *t, struct store *s)
{
	struct store_item *it[STORE_CURSOR_ITEMS];
	uint64_t wall_s = store_now(s).wall_s;
	struct store_cursor before = t->cursor;
	unsigned n = store_cursor_next(s, &t->cursor, it, CELL_ITEMS), live = 0, units = 4;

	for (unsigned i = 0; i < n; i++) {
		units += 2;
		if (it[i]->deadline_s != 0 && it[i]->deadline_s <= wall_s)
			continue;
		if (it[i]->value_bytes <= SNAPSHOT_COPY_BYTES)
			units += it[i]->value_bytes / COPY_UNIT;
		it[live++] = it[i];
	}
	t->full = !items_hand_over(t, s, it, live);
	if (t->full)
		t->cursor = before;
	return units;
}

static void walk_end(struct snapshot_tap *t, struct store *s)
{
	t->phase = SNAPSHOT_TAP_ENDED;
	t->flushed_since = store_counters_get(s)->flushed != t->flushed;
	t->cas_next = store_cas_peek(s);
	__atomic_store_n(&t->ended, true, __ATOMIC_RELEASE);
}

// After the ring or the pins had no room: half of them have, so that no turn looks in vain.
static bool room_again(struct snapshot_tap *t)
{
	if (!t->full)
		return true;
	t->full = base_ring_used(&t->ring) > base_ring_words(&t->ring) / 2 ||
		t->pins > SNAPSHOT_PINS / 2 || t->pinned_bytes > SNAPSHOT_PIN_BYTES / 2;
	return !t->full;
}

unsigned snapshot_tap_slice(struct snapshot_tap *t, struct store *s, unsigned units)
{
	if (t->pins > 0)
		pins_take(t, s);
	if (t->phase == SNAPSHOT_TAP_ENDED)
		return units;
	if (t->phase == SNAPSHOT_TAP_NEW) {
		t->flushed = store_counters_get(s)->flushed;
		t->phase = SNAPSHOT_TAP_WALK;
	}
	while (units > 0) {
		if (t->cursor.ended || __atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
			walk_end(t, s);
			return units;
		}
		if (!room_again(t))
			return units;
		units -= (unsigned)base_min_u64(walk_step(t, s), units);
	}
	return 0;
}

void snapshot_tap_leave(struct snapshot_tap *t, struct store *s)
{
	pins_take(t, s);
	base_assert(t->pins == 0);
}

void snapshot_tap_abandon(struct snapshot_tap *t, struct store *s)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};

	if (t->phase != SNAPSHOT_TAP_ENDED)
		walk_end(t, s);
	for (pins_take(t, s); t->pins > 0; pins_take(t, s))
		nanosleep(&nap, NULL);
}

// ---- the writer's side --------------------------------------------------------------------------
const struct snapshot_record *snapshot_tap_peek(struct snapshot_tap *t)
{
	return base_ring_peek(&t->ring);
}

void snapshot_tap_pass(struct snapshot_tap *t, const struct snapshot_record *r)
{
	if (r->pinned) {
		t->back[t->back_head & (SNAPSHOT_PINS - 1)] = snapshot_record_pinned(r)->item;
		__atomic_store_n(&t->back_head, t->back_head + 1, __ATOMIC_RELEASE);
	}
	base_ring_pass(&t->ring, r->words);
}
