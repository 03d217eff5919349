// SPDX-License-Identifier: BSD-3-Clause
// Dealing maxmemory to the shards. See docs/modules/control.md.

#include <string.h>

#include "base/base.h"
#include "control/control_ledger.h"

#define SHARD_MIN      (64 << 10)
#define STEP_MIN       (16 << 10) // less is not worth an order
#define STEPS_DEMAND   64         // at most this part of all moves in a tick, to who lacks it
#define STEPS_COLD     1024       // ... and from the coldest shard to the hottest
#define COLD_TICKS     8          // between such moves
#define COLD_RATIO     8          // an eighth colder is no difference
#define FAIR_LEAST     8          // of an equal part: what the coldest keeps
#define HEADROOM_TICKS 2
#define LOAN_TICKS     2000 // a loan that is not had by then is refused

void control_ledger_init(struct control_ledger *l, unsigned shards, uint64_t total_bytes)
{
	base_assert(shards > 0 && shards <= WORKER_MAX);
	memset(l, 0, sizeof(*l));
	l->shards = shards;
	for (unsigned i = 0; i < shards; i++) {
		struct control_ledger_row *r = &l->row[i];

		r->order_bytes = base_max_u64(total_bytes / shards, SHARD_MIN);
		r->order_before = r->lent_bytes = r->order_bytes;
	}
}

static uint64_t part(uint64_t total_bytes, uint64_t parts)
{
	return base_max_u64(total_bytes / parts, STEP_MIN);
}

// What the shard may be working under, whatever its last report shows: an order can be read and
// replaced between two reports.
static void row_lent_observe(
	const struct control_ledger *l, struct control_ledger_row *r, const struct control_shard *s)
{
	if (r->order_bytes != r->order_before) {
		r->order_before = r->order_bytes;
		r->order_seq = l->seq;
	}
	r->lent_bytes = s->orders_seq >= r->order_seq ? r->order_bytes
						      : base_max_u64(r->lent_bytes, r->order_bytes);
}

static void row_observe(
	const struct control_ledger *l, struct control_ledger_row *r, const struct control_shard *s)
{
	uint64_t grown = s->used_bytes > r->used_before ? s->used_bytes - r->used_before : 0;

	r->growth_bytes = base_max_u64(grown, r->growth_bytes - r->growth_bytes / 8);
	r->hungry = s->pressed != r->pressed_before ||
		s->used_bytes + HEADROOM_TICKS * r->growth_bytes > r->order_bytes;
	row_lent_observe(l, r, s);
	r->exposed_bytes = base_max_u64(base_max_u64(r->lent_bytes, s->limit_bytes), s->used_bytes);
	if (s->cold == 0)
		r->cold = 0;
	else
		r->cold = r->cold == 0 ? s->cold : r->cold - r->cold / 16 + s->cold / 16;
	r->used_before = s->used_bytes;
	r->pressed_before = s->pressed;
}

// The whole became smaller: everybody's part does.
static bool orders_shrink(struct control_ledger *l, uint64_t total_bytes)
{
	uint64_t dealt = 0;

	for (unsigned i = 0; i < l->shards; i++)
		dealt += l->row[i].order_bytes;
	if (dealt <= total_bytes)
		return false;
	for (unsigned i = 0; i < l->shards; i++) {
		struct control_ledger_row *r = &l->row[i];

		// In KiB: the product stays within 64 bits up to 4 TiB.
		r->order_bytes = base_max_u64(
			((r->order_bytes >> 10) * (total_bytes >> 10) / (dealt >> 10)) << 10,
			SHARD_MIN);
	}
	return true;
}

static struct control_ledger_row *hottest(struct control_ledger *l)
{
	struct control_ledger_row *hot = NULL;

	for (unsigned i = 0; i < l->shards; i++) {
		struct control_ledger_row *r = &l->row[i];

		if (r->hungry && (hot == NULL || r->cold < hot->cold))
			hot = r;
	}
	return hot;
}

// Deals what is exposed to nobody: a step to the hottest of the hungry, the rest to all of them
// alike, or to everybody when nobody is.
static bool free_give(struct control_ledger *l, uint64_t total_bytes)
{
	uint64_t exposed = 0, spare, gift;
	struct control_ledger_row *hot = hottest(l);
	unsigned takers = 0;

	for (unsigned i = 0; i < l->shards; i++) {
		exposed += l->row[i].exposed_bytes;
		takers += l->row[i].hungry;
	}
	if (exposed + STEP_MIN > total_bytes)
		return false;
	spare = total_bytes - exposed;
	if (hot != NULL) {
		gift = base_min_u64(spare, part(total_bytes, STEPS_DEMAND));
		hot->order_bytes += gift;
		spare -= gift;
	} else {
		takers = l->shards;
	}
	for (unsigned i = 0; i < l->shards; i++) {
		if (hot == NULL || l->row[i].hungry)
			l->row[i].order_bytes += spare / takers;
	}
	return true;
}

// From who has the most to spare, for those who lack.
static bool slack_take(struct control_ledger *l, uint64_t total_bytes)
{
	struct control_ledger_row *from = NULL;
	uint64_t most = STEP_MIN;

	for (unsigned i = 0; i < l->shards; i++) {
		struct control_ledger_row *r = &l->row[i];
		uint64_t keep = r->used_before + HEADROOM_TICKS * r->growth_bytes + SHARD_MIN;

		if (!r->hungry && r->order_bytes > keep && r->order_bytes - keep > most) {
			most = r->order_bytes - keep;
			from = r;
		}
	}
	if (from == NULL)
		return false;
	from->order_bytes -= base_min_u64(most, part(total_bytes, STEPS_DEMAND));
	return true;
}

// All are full: from the shard whose victims are unused the longest, of those that have more than
// the least. It evicts down to its new limit, and the hottest gets that as soon as its report shows
// it. A shard of which nothing is known neither gives nor takes.
static bool cold_take(struct control_ledger *l, uint64_t total_bytes)
{
	struct control_ledger_row *cold = NULL, *hot = hottest(l);
	uint64_t step = part(total_bytes, STEPS_COLD);
	uint64_t least = total_bytes / l->shards / FAIR_LEAST + SHARD_MIN;

	for (unsigned i = 0; i < l->shards; i++) {
		struct control_ledger_row *r = &l->row[i];

		if (r->cold != 0 && r->order_bytes >= least + step &&
			(cold == NULL || r->cold > cold->cold))
			cold = r;
	}
	if (hot == NULL || hot->cold == 0 || cold == NULL ||
		cold->cold <= hot->cold + hot->cold / COLD_RATIO)
		return false;
	cold->order_bytes -= step;
	return true;
}

// ---- loans --------------------------------------------------------------------------------------

// What the others cannot give up.
static uint64_t row_keep(const struct control_ledger *l, const struct control_ledger_row *r)
{
	return l->evicts ? SHARD_MIN
			 : r->used_before + HEADROOM_TICKS * r->growth_bytes + SHARD_MIN;
}

// Takes from all others, in proportion to what they can give, until want_bytes are left for it.
static bool loan_take(struct control_ledger *l, const struct control_ledger_row *to, uint64_t rest)
{
	uint64_t others = 0, can = 0, need;

	for (unsigned i = 0; i < l->shards; i++) {
		const struct control_ledger_row *r = &l->row[i];
		uint64_t keep = row_keep(l, r);

		if (r == to)
			continue;
		others += r->order_bytes;
		can += r->order_bytes > keep ? r->order_bytes - keep : 0;
	}
	if (others <= rest)
		return true;
	need = others - rest;
	if (need > can)
		return false;
	for (unsigned i = 0; i < l->shards; i++) {
		struct control_ledger_row *r = &l->row[i];
		uint64_t keep = row_keep(l, r);

		// In KiB, rounded up: the sum is at least what is needed.
		if (r != to && r->order_bytes > keep)
			r->order_bytes -= base_min_u64(r->order_bytes - keep,
				(((r->order_bytes - keep) >> 10) * (need >> 10) / (can >> 10) + 2)
					<< 10);
	}
	return true;
}

// One step of an open loan. True: it is granted, or cannot be.
static bool loan_step(struct control_ledger *l, struct control_ledger_row *r, uint64_t total_bytes,
	uint64_t want_bytes)
{
	uint64_t exposed = 0;

	if (r->order_bytes >= want_bytes || want_bytes > total_bytes ||
		r->loan_ticks++ >= LOAN_TICKS || !loan_take(l, r, total_bytes - want_bytes))
		return true;
	for (unsigned i = 0; i < l->shards; i++)
		exposed += &l->row[i] == r ? 0 : l->row[i].exposed_bytes;
	if (exposed + want_bytes > total_bytes)
		return false; // what was taken is still in use
	r->order_bytes = want_bytes;
	return true;
}

// The first open loan is served, and nothing else is dealt meanwhile. False: none is open.
static bool loans_turn(
	struct control_ledger *l, uint64_t total_bytes, const struct control_shard *shard)
{
	for (unsigned i = 0; i < l->shards; i++) {
		struct control_ledger_row *r = &l->row[i];

		if (r->loan_seq != shard[i].loan_seq) {
			r->loan_seq = shard[i].loan_seq;
			r->loan_ticks = 0;
		}
		if (r->loan_answered == r->loan_seq)
			continue;
		if (loan_step(l, r, total_bytes, shard[i].loan_bytes))
			r->loan_answered = r->loan_seq;
		return true;
	}
	return false;
}

static bool ledger_move(
	struct control_ledger *l, uint64_t total_bytes, const struct control_shard *shard)
{
	bool hungry = false;

	for (unsigned i = 0; i < l->shards; i++) {
		row_observe(l, &l->row[i], &shard[i]);
		hungry |= l->row[i].hungry;
	}
	l->ticks++;
	if (orders_shrink(l, total_bytes) || loans_turn(l, total_bytes, shard) ||
		free_give(l, total_bytes))
		return true;
	if (!hungry || l->shards == 1)
		return false;
	if (slack_take(l, total_bytes))
		return true;
	return l->ticks % COLD_TICKS == 0 && cold_take(l, total_bytes);
}

bool control_ledger_turn(
	struct control_ledger *l, uint64_t total_bytes, const struct control_shard *shard)
{
	bool moved = ledger_move(l, total_bytes, shard);

	l->seq += moved;
	return moved;
}
