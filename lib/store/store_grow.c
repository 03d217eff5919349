// SPDX-License-Identifier: BSD-3-Clause
// Chains of the live index: lines taken and given back, items linked and unlinked, buckets split
// and merged.
#include "store/store_internal.h"

// ---- spare lines --------------------------------------------------------------------------------

static void spare_put(struct store *s, struct store_line *line)
{
	line->next = s->spare;
	s->spare = line;
	s->spares++;
}

static struct store_line *spare_take(struct store *s)
{
	struct store_line *line = s->spare;

	base_assert(line);
	s->spare = line->next;
	s->spares--;
	memset(line, 0, sizeof(*line));
	return line;
}

bool store_spare_ensure(struct store *s)
{
	struct store_line *line;

	if (base_likely(s->spares > s->reserved))
		return true;
	line = mem_try_alloc_aligned(s->mem, MEM_INDEX, BASE_CACHE_LINE, sizeof(*line), NULL);
	if (!line)
		return false;
	spare_put(s, line);
	return true;
}

// One more than there are reservations is kept, so that a run of sets does not allocate each time.
void store_spare_trim(struct store *s)
{
	while (s->spares > s->reserved + 1) {
		struct store_line *line = s->spare;

		s->spare = line->next;
		s->spares--;
		mem_free_aligned(s->mem, MEM_INDEX, line, BASE_CACHE_LINE, sizeof(*line));
	}
}

void store_line_free(struct store *s, struct store_line *line)
{
	if (s->spares <= s->reserved)
		spare_put(s, line);
	else
		mem_free_aligned(s->mem, MEM_INDEX, line, BASE_CACHE_LINE, sizeof(*line));
}

// ---- slots --------------------------------------------------------------------------------------

static void slot_append(struct store *s, struct store_line *line, uint64_t slot)
{
	unsigned n;

	while (line->next)
		line = line->next;
	n = store_line_count(line);
	if (base_unlikely(n == STORE_SLOTS)) {
		line->next = spare_take(s);
		line = line->next;
		n = 0;
		s->n.overflow_buckets++;
	}
	line->slot[n] = slot;
}

void store_link(struct store *s, struct store_item *it, uint64_t hash)
{
	base_assert(((uintptr_t)it & ~STORE_POINTER_MASK) == 0);
	slot_append(s, store_index_chain(&s->live, hash), store_slot_make(it, hash));
}

void store_slot_clear(struct store *s, uint64_t *slot, uint64_t hash)
{
	struct store_line *last = store_index_chain(&s->live, hash);
	struct store_line *before = NULL;
	unsigned n;

	while (last->next) {
		before = last;
		last = last->next;
	}
	n = store_line_count(last);
	base_assert(n > 0 && *slot != 0);
	store_due_leave(s, store_slot_item(*slot), hash);
	*slot = last->slot[n - 1];
	last->slot[n - 1] = 0;
	if (n == 1 && before) {
		before->next = NULL;
		s->n.overflow_buckets--;
		store_line_free(s, last);
	}
}

// ---- splits -------------------------------------------------------------------------------------

struct chain_out { // a chain being written
	struct store_line *line;
	unsigned n; // slots filled of that line
};

// Lines come from those that the old chain has given up: after j lines read there are j - 1 of them
// beside the two buckets, and 7 j slots fill at most j + 1 lines.
static void chain_put(
	struct store *s, struct chain_out *out, uint64_t slot, struct store_line **given_up)
{
	if (out->n == STORE_SLOTS) {
		struct store_line *line = *given_up;

		base_assert(line);
		*given_up = line->next;
		memset(line, 0, sizeof(*line));
		out->line->next = line;
		out->line = line;
		out->n = 0;
		s->n.overflow_buckets++;
	}
	out->line->slot[out->n++] = slot;
}

// Deals the chain of `from` out to `from` and `to`. `bit` of the hash decides. Deadlines are counted
// anew: the bucket's are out of the deadline index already.
static void chain_split(
	struct store *s, struct store_line *from, struct store_line *to, uint64_t bit)
{
	struct store_line line = *from, *given_up = NULL, *next;
	struct chain_out out[2] = {{.line = from}, {.line = to}};
	uint64_t hash;

	memset(from, 0, sizeof(*from));
	memset(to, 0, sizeof(*to));
	for (;;) {
		store_line_prefetch(&line);
		for (unsigned i = 0; i < STORE_SLOTS && line.slot[i]; i++) {
			struct store_item *it = store_slot_item(line.slot[i]);

			if (base_unlikely(store_item_expired(s, it))) {
				store_item_expire(s, it);
				continue;
			}
			hash = store_item_hash(it);
			chain_put(s, &out[(hash & bit) != 0], line.slot[i], &given_up);
			if (it->bits & STORE_ITEM_DUE) {
				it->bits &= (uint16_t)~STORE_ITEM_DUE;
				store_due_enter(s, it, hash);
			}
		}
		next = line.next;
		if (!next)
			break;
		line = *next;
		next->next = given_up;
		given_up = next;
		s->n.overflow_buckets--;
	}
	while ((next = given_up)) {
		given_up = next->next;
		store_line_free(s, next);
	}
}

static void bucket_split(struct store *s)
{
	struct store_index *ix = &s->live;
	uint32_t to = ix->buckets;
	uint32_t from = to & ix->low_mask;

	ix->buckets++;
	store_due_drop(s, &s->due, from);
	chain_split(s, store_index_bucket(ix, from), store_index_bucket(ix, to),
		(uint64_t)ix->low_mask + 1);
	if (ix->buckets == (ix->low_mask + 1) * 2)
		ix->low_mask = ix->low_mask * 2 + 1;
	s->n.splits++;
	s->n.buckets = ix->buckets;
}

// Items above `halves` / 2 a line. The mark for growth is 4.5: the index then takes at most
// 64 / 4.5 = 14.2 bytes a key. Below 1.5 it narrows.
#define LOAD_MERGE  3
#define LOAD_SPLIT  9
#define LOAD_EVICTS 11

static inline bool index_loaded(const struct store *s, unsigned halves)
{
	return s->n.items * 2 > (s->n.buckets + s->n.overflow_buckets) * halves &&
		s->live.buckets < STORE_BUCKETS_MAX;
}

// Gets the segment of the next bucket. Below a limit there must be room for it first. When chains
// have become long for want of it, that much is held back from items, unless it is out of
// proportion; the distance of the two marks keeps this from swinging.
static bool segment_get(struct store *s)
{
	uint64_t want = store_index_growth_bytes(&s->live);

	if (want == 0)
		return true;
	if (s->limit_bytes && store_charged_bytes(s) + want > s->limit_bytes) {
		if (index_loaded(s, LOAD_EVICTS) && want <= s->limit_bytes / 8)
			s->headroom_bytes = want;
		s->n.splits_deferred++;
		return false;
	}
	if (s->grow_wait > 0)
		return false;
	if (store_index_extend(&s->live, s->mem) != 0) {
		s->grow_wait = STORE_GROW_WAIT;
		s->n.splits_deferred++;
		return false;
	}
	s->headroom_bytes = 0;
	return true;
}

bool store_grow(struct store *s, unsigned splits_max)
{
	bool loaded = index_loaded(s, LOAD_SPLIT);

	for (; loaded && splits_max > 0; splits_max--) {
		if (!segment_get(s))
			return false;
		bucket_split(s);
		loaded = index_loaded(s, LOAD_SPLIT);
	}
	if (!loaded)
		s->headroom_bytes = 0;
	return loaded;
}

// ---- merges -------------------------------------------------------------------------------------

// Undoes the last split. Each line read from the chain that goes needs at most one line of the
// chain that stays; there is a spare for the first, and each further one was given up just before.
// False: there is no memory to count the deadlines where they go, or they are too many for one.
static bool bucket_merge(struct store *s)
{
	struct store_index *ix = &s->live;
	uint32_t from = ix->buckets - 1;
	const struct store_line *line = store_index_bucket(ix, from);
	uint32_t mask = ix->buckets == ix->low_mask + 1 ? ix->low_mask >> 1 : ix->low_mask;
	struct store_line *to = store_index_bucket(ix, from & mask);

	if (!store_due_move(s, &s->due, from, from & mask))
		return false;
	ix->low_mask = mask;
	for (bool overflow = false; line; overflow = true) {
		struct store_line copy = *line;

		if (overflow) {
			s->n.overflow_buckets--;
			store_line_free(s, (struct store_line *)(uintptr_t)line);
		}
		for (unsigned i = 0; i < STORE_SLOTS && copy.slot[i]; i++)
			slot_append(s, to, copy.slot[i]);
		line = copy.next;
	}
	ix->buckets--;
	s->n.merges++;
	s->n.buckets = ix->buckets;
	if (store_index_place(from).line == 0)
		store_index_cut(ix, s->mem);
	return true;
}

bool store_shrink(struct store *s, unsigned merges_max)
{
	unsigned i = 0;

	while (i < merges_max && s->live.buckets > STORE_BUCKETS_FIRST &&
		!index_loaded(s, LOAD_MERGE) && store_spare_ensure(s) && bucket_merge(s))
		i++;
	return i > 0 && i == merges_max;
}
