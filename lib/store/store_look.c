// SPDX-License-Identifier: BSD-3-Clause
// Look-ups in batches: each step for all of a batch before the next, so that their cache misses
// overlap, and each goes on where the one before it has been.
#include "store/store_internal.h"

#define LOOKS_AT_ONCE 64 // bits of a word

void store_look_begin(const struct store *s, uint64_t hash, struct store_look *look)
{
	struct store_spot at = store_index_spot(&s->live, hash);

	look->hash = hash;
	look->bucket = store_index_bucket(&s->live, at.bucket);
	look->tag = (uint16_t)at.tag;
	look->epoch = s->epoch;
	store_bucket_lines_prefetch(look->bucket);
}

static inline void item_fetch(const struct store_item *it)
{
	base_prefetch(it);
	base_prefetch((const char *)it + BASE_CACHE_LINE);
}

// The first with the tag, in the line that is its home or else in the other. False: both lines
// have none, and a node may.
static inline bool look_in_lines(struct store_look *look)
{
	uint64_t *line = store_bucket_line(look->bucket, look->tag);
	uint32_t match = store_slots_match(line, STORE_LINE_SLOTS, look->tag);

	look->slot = line;
	look->seen = 0;
	if (base_unlikely(!match)) {
		store_bucket_node_prefetch(look->bucket); // also for a new key
		if (!store_line_filtered(line, look->tag))
			return true;
		line = store_bucket_line(look->bucket, ~look->tag);
		match = store_slots_match(line, STORE_LINE_SLOTS, look->tag);
		if (!match)
			return false;
	}
	look->slot = &line[store_match_first(match)];
	if (base_likely(!(*look->slot & STORE_SLOT_LINK)))
		look->seen = store_slot_key(*look->slot);
	item_fetch(store_slot_item(look->seen));
	return true;
}

// The first node has been fetched meanwhile. Its slot is not kept: nodes come and go.
static void look_in_node(const struct store_look *look)
{
	uint64_t last = look->bucket->slot[STORE_BUCKET_SLOTS - 1];
	const uint64_t *slot;
	uint32_t match;

	if (!(last & STORE_SLOT_LINK))
		return;
	slot = store_slot_node(last)->slot;
	match = store_slots_match(slot, STORE_NODE_SLOTS, look->tag);
	if (match)
		item_fetch(store_slot_item(slot[store_match_first(match)]));
}

static void looks_fetch(const struct store *s, struct store_look *look, unsigned n)
{
	uint64_t in_nodes = 0;

	for (unsigned i = 0; i < n; i++) {
		if (base_unlikely(look[i].epoch != s->epoch))
			store_look_begin(s, look[i].hash, &look[i]);
		if (base_unlikely(!look_in_lines(&look[i])))
			in_nodes |= UINT64_C(1) << i;
	}
	for (; in_nodes; in_nodes &= in_nodes - 1)
		look_in_node(&look[__builtin_ctzll(in_nodes)]);
}

void store_looks_fetch(const struct store *s, struct store_look *look, unsigned n)
{
	for (; base_unlikely(n > LOOKS_AT_ONCE); n -= LOOKS_AT_ONCE, look += LOOKS_AT_ONCE)
		looks_fetch(s, look, LOOKS_AT_ONCE);
	looks_fetch(s, look, n);
}

struct store_item *store_look_find(
	struct store *s, const struct store_look *look, const char *key, uint8_t key_len)
{
	struct store_item *it = store_slot_item(look->seen);
	uint64_t *slot;

	if (base_unlikely(look->epoch != s->epoch))
		return store_find(s, key, key_len, look->hash);
	// While it is the same, no bucket goes or gives items to another; what still has its slot
	// is in the index.
	if (base_unlikely(it == NULL || store_slot_key(*look->slot) != look->seen ||
		    !store_item_has_key(it, key, key_len))) {
		slot = store_bucket_find(look->bucket, look->tag, key, key_len);
		if (slot == NULL)
			return NULL;
		it = store_slot_item(*slot);
	}
	if (base_unlikely(store_item_expired(s, it)))
		return store_find(s, key, key_len, look->hash); // which unlinks it
	return it;
}
