// SPDX-License-Identifier: BSD-3-Clause
// The pool of the best candidates for eviction, as Redis has it: 16, in the order of their scores.
//
//	order  | .. free | place of the highest | .. | of the second | of the lowest | 4 bits each
//
// Candidates do not move. Positions and places are found without a branch that depends on scores.
#include "store/store_internal.h"

#define PLACE_BITS  4
#define ORDER_FIRST UINT64_C(0xfedcba9876543210)

static_assert(STORE_POOL_MAX == 1 << PLACE_BITS, "a place takes 4 bits, all of them 64");

static inline unsigned place_at(const struct store_pool *p, unsigned position)
{
	return p->order >> position * PLACE_BITS & (STORE_POOL_MAX - 1);
}

// Bits of the positions below `position`, which may be one behind the last.
static inline uint64_t order_below(unsigned position)
{
	return position < STORE_POOL_MAX ? (UINT64_C(1) << position * PLACE_BITS) - 1 : UINT64_MAX;
}

// Takes the place at `from` out of the order and puts it back in at `to`.
static void place_move(struct store_pool *p, unsigned from, unsigned to)
{
	uint64_t place = place_at(p, from);
	uint64_t rest =
		(p->order & order_below(from)) | (p->order >> PLACE_BITS & ~order_below(from));

	p->order = (rest & order_below(to)) | place << to * PLACE_BITS |
		(rest & ~order_below(to)) << PLACE_BITS;
}

static inline void place_free(struct store_pool *p, unsigned place)
{
	p->score[place] = UINT64_MAX;
	p->sample[place].slot = 0;
}

void store_pool_clear(struct store_pool *p)
{
	p->order = ORDER_FIRST;
	p->count = 0;
	for (unsigned i = 0; i < STORE_POOL_MAX; i++)
		place_free(p, i);
}

static inline bool pool_has(const struct store_pool *p, uint64_t slot)
{
	unsigned n = 0;

#pragma GCC unroll 16
	for (unsigned i = 0; i < STORE_POOL_MAX; i++)
		n |= p->sample[i].slot == slot;
	return n != 0;
}

static inline unsigned pool_below(const struct store_pool *p, uint64_t score)
{
	unsigned n = 0;

#pragma GCC unroll 16
	for (unsigned i = 0; i < STORE_POOL_MAX; i++)
		n += p->score[i] < score;
	return n;
}

static void pool_remove(struct store_pool *p, unsigned position)
{
	unsigned place = place_at(p, position);

	p->count--;
	place_move(p, position, p->count);
	place_free(p, place);
}

static void slot_remove(struct store_pool *p, uint64_t slot)
{
	unsigned position = 0;

	while (p->sample[place_at(p, position)].slot != slot)
		position++;
	base_assert(position < p->count);
	pool_remove(p, position);
}

void store_pool_offer(struct store_pool *p, const struct store_sample *sample, uint64_t score)
{
	unsigned position, place;

	base_assert(sample->slot != 0);
	if (base_unlikely(pool_has(p, sample->slot)))
		slot_remove(p, sample->slot);
	if (p->count == STORE_POOL_MAX) {
		if (!store_pool_wants(p, score))
			return;
		pool_remove(p, 0);
	}
	position = pool_below(p, score);
	place = place_at(p, p->count);
	place_move(p, p->count, position);
	p->score[place] = score;
	p->sample[place] = *sample;
	p->count++;
}

uint64_t store_pool_take(struct store_pool *p, struct store_sample *sample)
{
	unsigned place;
	uint64_t score;

	base_assert(p->count > 0);
	place = place_at(p, p->count - 1);
	score = p->score[place];
	*sample = p->sample[place];
	p->count--;
	place_free(p, place);
	return score;
}
