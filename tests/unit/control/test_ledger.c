// SPDX-License-Identifier: BSD-3-Clause
// The ledger over shards that fill, idle, evict and obey late: the sum never passes the whole, who
// lacks gets what others spare, and eviction ages come together.

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "control/control_ledger.h"

#define SHARDS 4
#define MIB    (UINT64_C(1) << 20)

struct model { // a shard: writes at a rate, obeys an order some ticks later
	uint64_t used, limit, rate, evicted;
	uint64_t pending[4], pending_seq[4]; // limits under way, and which orders they came with
	uint64_t seq;
	uint64_t age_scale; // eviction age = limit x this / rate
};

struct fixture {
	struct control_ledger ledger;
	struct model m[SHARDS];
	struct base_rng rng;
	uint64_t total;
};

static void fixture_init(struct fixture *f, uint64_t total)
{
	memset(f, 0, sizeof(*f));
	base_rng_seed(&f->rng, 7);
	f->total = total;
	control_ledger_init(&f->ledger, SHARDS, total);
	for (unsigned i = 0; i < SHARDS; i++) {
		f->m[i].limit = f->ledger.row[i].order_bytes;
		for (unsigned k = 0; k < 4; k++)
			f->m[i].pending[k] = f->m[i].limit;
		f->m[i].age_scale = 1000;
	}
}

static void model_run(struct model *m, uint64_t rate)
{
	m->used += rate;
	if (m->used > m->limit) {
		m->evicted += (m->used - m->limit) / 100 + 1;
		m->used = m->limit;
	}
}

// One tick; orders arrive `late` ticks after they are given.
static void tick(struct fixture *f, unsigned late)
{
	struct control_shard view[SHARDS];
	uint64_t used = 0;

	for (unsigned i = 0; i < SHARDS; i++) {
		struct model *m = &f->m[i];
		uint64_t rate = m->rate ? m->rate / 2 + base_rng_next(&f->rng) % m->rate : 0;

		m->limit = m->pending[0];
		m->seq = m->pending_seq[0];
		for (unsigned k = 0; k + 1 < late; k++) {
			m->pending[k] = m->pending[k + 1];
			m->pending_seq[k] = m->pending_seq[k + 1];
		}
		model_run(m, rate);
		used += m->used;
		view[i] = (struct control_shard){
			.used_bytes = m->used,
			.limit_bytes = m->limit,
			.orders_seq = m->seq,
			.pressed = m->evicted,
			.cold = m->rate && m->evicted ? m->limit * m->age_scale / m->rate : 0,
		};
	}
	assert_true(used <= f->total);
	control_ledger_turn(&f->ledger, f->total, view);
	for (unsigned i = 0; i < SHARDS; i++) {
		f->m[i].pending[late - 1] = f->ledger.row[i].order_bytes;
		f->m[i].pending_seq[late - 1] = f->ledger.seq;
	}
}

static void test_equal_shards_keep_equal_parts(void **state)
{
	struct fixture f;

	fixture_init(&f, 256 * MIB);
	for (unsigned i = 0; i < SHARDS; i++)
		f.m[i].rate = 100 << 10;
	for (unsigned n = 0; n < 20000; n++)
		tick(&f, 1);
	for (unsigned i = 0; i < SHARDS; i++) {
		assert_true(f.m[i].limit > 256 * MIB / SHARDS * 8 / 10);
		assert_true(f.m[i].limit < 256 * MIB / SHARDS * 12 / 10);
	}
}

static void test_a_lone_busy_shard_gets_what_the_others_spare(void **state)
{
	struct fixture f;

	fixture_init(&f, 256 * MIB);
	f.m[2].rate = 200 << 10;
	for (unsigned n = 0; n < 5000; n++)
		tick(&f, 2);
	assert_true(f.m[2].used > 256 * MIB * 9 / 10);
}

static void test_eviction_ages_come_together(void **state)
{
	struct fixture f;
	uint64_t least = UINT64_MAX, most = 0;

	fixture_init(&f, 256 * MIB);
	for (unsigned i = 0; i < SHARDS; i++)
		f.m[i].rate = (i + 1) * (50 << 10);
	for (unsigned n = 0; n < 60000; n++)
		tick(&f, 2);
	for (unsigned i = 0; i < SHARDS; i++) {
		uint64_t age = f.m[i].limit * 1000 / f.m[i].rate;

		least = base_min_u64(least, age);
		most = base_max_u64(most, age);
	}
	assert_true(most < least + least / 4);
}

// A shard that is full and at rest has evicted nothing to go by.
static void test_a_shard_of_which_nothing_is_known_stops_nobody(void **state)
{
	struct fixture f;
	uint64_t least = UINT64_MAX, most = 0;

	fixture_init(&f, 256 * MIB);
	f.m[0].used = f.m[0].limit - (128 << 10);
	for (unsigned n = 0; n < 80000; n++) {
		for (unsigned i = 1; i < SHARDS; i++)
			f.m[i].rate = n < 20000 ? 50 << 10 : i * (50 << 10);
		tick(&f, 1);
	}
	assert_int_equal(f.m[0].evicted, 0);
	for (unsigned i = 1; i < SHARDS; i++) {
		uint64_t age = f.m[i].limit * 1000 / f.m[i].rate;

		least = base_min_u64(least, age);
		most = base_max_u64(most, age);
	}
	assert_true(most < least + least / 4);
}

static void test_the_sum_holds_while_orders_come_late_and_the_whole_changes(void **state)
{
	for (unsigned late = 1; late <= 4; late++) {
		struct fixture f;

		fixture_init(&f, 256 * MIB);
		for (unsigned n = 0; n < 20000; n++) {
			if (n % 97 == 0)
				f.m[base_rng_next(&f.rng) % SHARDS].rate =
					base_rng_next(&f.rng) % (1 << 20);
			if (n % 5000 == 4999)
				f.total += 64 * MIB;
			tick(&f, late);
		}
	}
}

static void test_a_cut_reaches_every_shard_in_proportion(void **state)
{
	struct control_shard view[SHARDS];
	struct control_ledger l;
	uint64_t dealt = 0;

	control_ledger_init(&l, SHARDS, 256 * MIB);
	l.row[0].order_bytes = 128 * MIB;
	l.row[1].order_bytes = l.row[2].order_bytes = 48 * MIB;
	l.row[3].order_bytes = 32 * MIB;
	for (unsigned i = 0; i < SHARDS; i++)
		view[i] = (struct control_shard){.used_bytes = l.row[i].order_bytes,
			.limit_bytes = l.row[i].order_bytes,
			.orders_seq = UINT64_MAX};
	assert_true(control_ledger_turn(&l, 64 * MIB, view));
	for (unsigned i = 0; i < SHARDS; i++)
		dealt += l.row[i].order_bytes;
	assert_true(dealt <= 64 * MIB);
	assert_int_equal(l.row[0].order_bytes, 32 * MIB);
	assert_int_equal(l.row[3].order_bytes, 8 * MIB);
	// While the old bytes are still held, nobody gets more.
	assert_false(control_ledger_turn(&l, 64 * MIB, view));
}

static void test_what_is_taken_is_given_only_when_the_report_shows_it(void **state)
{
	struct control_shard view[SHARDS];
	struct control_ledger l;
	uint64_t order;

	control_ledger_init(&l, SHARDS, 256 * MIB);
	for (unsigned i = 0; i < SHARDS; i++)
		view[i] = (struct control_shard){.used_bytes = i == 0 ? 64 * MIB : MIB,
			.limit_bytes = 64 * MIB,
			.orders_seq = UINT64_MAX, // whatever it reports is of the last orders
			.pressed = i == 0};
	order = l.row[0].order_bytes;
	assert_true(control_ledger_turn(&l, 256 * MIB, view)); // takes
	for (unsigned n = 0; n < 100; n++) {
		view[0].pressed++;
		control_ledger_turn(&l, 256 * MIB, view);
		assert_int_equal(l.row[0].order_bytes, order);
	}
	for (unsigned i = 1; i < SHARDS; i++)
		view[i].limit_bytes = l.row[i].order_bytes;
	assert_true(control_ledger_turn(&l, 256 * MIB, view)); // gives
	assert_true(l.row[0].order_bytes > order);
}

// An order that is raised, obeyed and lowered again between two reports: the last report shows the
// lower limit, and the shard works under the higher one.
static void test_what_was_ordered_since_the_report_counts_as_used(void **state)
{
	struct control_shard view[SHARDS];
	struct fixture f;

	fixture_init(&f, 256 * MIB);
	memset(view, 0, sizeof(view));
	for (unsigned n = 0; n < 50000; n++) {
		uint64_t limits = 0;

		for (unsigned i = 0; i < SHARDS; i++) {
			struct model *m = &f.m[i];

			if (base_rng_next(&f.rng) % 50 == 0)
				m->rate = base_rng_next(&f.rng) % (4 << 20);
			if (base_rng_next(&f.rng) % 4 != 0) { // its turn: it reads its orders
				m->limit = f.ledger.row[i].order_bytes;
				m->seq = f.ledger.seq;
			}
			if (base_rng_next(&f.rng) % 300 == 0)
				m->used /= 8;
			model_run(m, m->rate);
			limits += m->limit;
			if (base_rng_next(&f.rng) % 4 == 0) // and now and then it reports
				view[i] = (struct control_shard){.used_bytes = m->used,
					.limit_bytes = m->limit,
					.orders_seq = m->seq,
					.pressed = m->evicted,
					.cold = 1 + i};
		}
		assert_true(limits <= f.total);
		control_ledger_turn(&f.ledger, f.total, view);
	}
}

// Runs a loan to its answer; orders reach the shards, which use what they may, a tick later.
static unsigned loan_run(struct control_ledger *l, struct control_shard *view, uint64_t total)
{
	unsigned ticks = 0;

	view[1].loan_seq++;
	while (l->row[1].loan_answered != view[1].loan_seq) {
		uint64_t used = 0;

		control_ledger_turn(l, total, view);
		for (unsigned i = 0; i < SHARDS; i++) {
			view[i].limit_bytes = l->row[i].order_bytes;
			view[i].used_bytes = base_min_u64(view[i].used_bytes, view[i].limit_bytes);
			used += view[i].limit_bytes;
		}
		assert_true(used <= total);
		assert_true(ticks++ < 3000);
	}
	return ticks;
}

static void test_a_loan_is_had_from_all_others(void **state)
{
	struct control_shard view[SHARDS];
	struct control_ledger l;

	control_ledger_init(&l, SHARDS, 256 * MIB);
	l.evicts = true;
	for (unsigned i = 0; i < SHARDS; i++)
		view[i] = (struct control_shard){.used_bytes = 64 * MIB,
			.limit_bytes = 64 * MIB,
			.orders_seq = UINT64_MAX,
			.loan_bytes = 160 * MIB};
	assert_true(loan_run(&l, view, 256 * MIB) < 10);
	assert_int_equal(l.row[1].order_bytes, 160 * MIB);
	assert_true(l.row[0].order_bytes > 31 * MIB);
}

static void test_a_loan_that_cannot_be_is_refused_at_once(void **state)
{
	struct control_shard view[SHARDS];
	struct control_ledger l;

	control_ledger_init(&l, SHARDS, 256 * MIB);
	for (unsigned i = 0; i < SHARDS; i++)
		view[i] = (struct control_shard){.used_bytes = 60 * MIB,
			.limit_bytes = 64 * MIB,
			.orders_seq = UINT64_MAX,
			.loan_bytes = 160 * MIB};
	assert_true(loan_run(&l, view, 256 * MIB) < 10); // nobody evicts
	assert_true(l.row[1].order_bytes < 160 * MIB);
	l.evicts = true;
	for (unsigned i = 0; i < SHARDS; i++)
		view[i].loan_bytes = 300 * MIB;
	assert_true(loan_run(&l, view, 256 * MIB) < 10); // more than there is
	assert_true(l.row[1].order_bytes < 160 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_shards_keep_equal_parts),
		cmocka_unit_test(test_a_lone_busy_shard_gets_what_the_others_spare),
		cmocka_unit_test(test_eviction_ages_come_together),
		cmocka_unit_test(test_a_shard_of_which_nothing_is_known_stops_nobody),
		cmocka_unit_test(test_the_sum_holds_while_orders_come_late_and_the_whole_changes),
		cmocka_unit_test(test_a_cut_reaches_every_shard_in_proportion),
		cmocka_unit_test(test_a_loan_is_had_from_all_others),
		cmocka_unit_test(test_a_loan_that_cannot_be_is_refused_at_once),
		cmocka_unit_test(test_what_was_ordered_since_the_report_counts_as_used),
		cmocka_unit_test(test_what_is_taken_is_given_only_when_the_report_shows_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
