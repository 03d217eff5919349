// SPDX-License-Identifier: BSD-3-Clause
// Upkeep obeys orders: a share of the time for each kind of work, slices that end, none of what is
// not ordered.

#include "lab.h"

#define ITEMS    20000u
#define UNIT_NS  100u // what the worker takes a unit for without a clock
#define TURN_US  20u
#define LOOK_MAX 70u // items that a look may take: a whole bucket, and what it was begun for
#define BUCKET   15u // most that a slice goes on to finish the bucket it has begun

static const struct store_counters *shard(void)
{
	return store_counters_get(lab->w[0]->store);
}

// All due at the next full second of the server.
static void fill_due(struct client *c)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		client_sendf(c, "set k%u 0 1 1 noreply\r\nx\r\n", i);
		if (i % 100 == 99)
			lab_run(1000);
	}
	talk(c, "mn\r\n", "MN\r\n");
	assert_int_equal(shard()->items, ITEMS);
}

static void until_due(void)
{
	uint64_t second = lab->now.mono_us / 1000000 + 2;

	lab->step_us = 1000;
	lab_run(second * 1000000 - lab->now.mono_us - 5000);
}

static void share_set(enum store_work work, unsigned us_a_ms, unsigned slice_us)
{
	lab->orders.limit_bytes = lab->opt.limit_bytes;
	lab->orders.store = store_settings_default();
	lab->orders.pace.us_a_ms[work] = (uint16_t)us_a_ms;
	lab->orders.pace.slice_us = (uint16_t)slice_us;
	lab_orders_push();
}

static void what_is_due_goes_at_the_share_that_was_ordered(void **state)
{
	uint64_t began_us, spent_us;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	fill_due(c);
	share_set(STORE_WORK_EXPIRE, 0, 50);
	until_due();
	lab_run(3000000);
	assert_int_equal(shard()->expired, 0); // nothing is ordered, nobody looks
	share_set(STORE_WORK_EXPIRE, 250, 50);
	lab->step_us = TURN_US;
	began_us = lab->now.mono_us;
	lab_run(1000);
	// 250 us by its own reckoning, the buckets that were begun, and what a look does on top
	assert_in_range(shard()->expired_active, 500,
		250 * 1000 / UNIT_NS + 1000 / TURN_US * BUCKET + LOOK_MAX);
	while (shard()->items > 0 && lab->now.mono_us < began_us + 1000000)
		lab_turn();
	assert_int_equal(shard()->items, 0);
	assert_int_equal(shard()->expired_active, ITEMS);
	spent_us = lab->now.mono_us - began_us;
	assert_in_range(lab->w[0]->n.upkeep_ns[STORE_WORK_EXPIRE], spent_us * 200, spent_us * 260);
	assert_true(lab->w[0]->n.upkeep_slices[STORE_WORK_EXPIRE] > 50);
	client_abort(c);
	lab_close();
}

// However long it has waited: a turn's slice is what was ordered, and no more.
static void a_turn_takes_one_slice(void **state)
{
	uint64_t most = 0;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	fill_due(c);
	share_set(STORE_WORK_EXPIRE, 0, 50);
	until_due();
	lab_run(2000000);
	share_set(STORE_WORK_EXPIRE, 1000, 10);
	lab->step_us = 5000;
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = shard()->expired;

		lab_turn();
		most = base_max_u64(most, shard()->expired - before);
	}
	assert_in_range(most, 20, 10 * 1000 / UNIT_NS + LOOK_MAX);
	client_abort(c);
	lab_close();
}

static uint64_t read_ns, each_ns; // a clock that goes on only when it is read

static uint64_t clock_read(void)
{
	return read_ns += each_ns;
}

// A unit has lately taken nearly nothing, and now each piece takes 30 us: the slice is over with
// the piece that takes it past its time, not when it has done as many units as that promised.
static void a_slice_ends_by_the_clock(void **state)
{
	struct worker_purse *purse;
	struct client *c;
	uint64_t before;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	fill_due(c);
	share_set(STORE_WORK_EXPIRE, 0, 50);
	until_due();
	lab_run(2000000);
	purse = &lab->w[0]->upkeep.purse[STORE_WORK_EXPIRE];
	purse->unit_ns = 1;
	each_ns = 30000;
	lab->w[0]->now_ns = clock_read;
	share_set(STORE_WORK_EXPIRE, 1000, 50);
	lab->step_us = 5000;
	lab_turn(); // looks, and finds that there is work
	before = shard()->expired;
	lab_turn();
	assert_in_range(shard()->expired - before, 256, 2 * (256 + BUCKET) + LOOK_MAX);
	client_abort(c);
	lab_close();
}

// One slice is interrupted for 12 ms: that says nothing about what a unit takes, and what it made
// of it is forgotten soon.
static void an_interrupted_slice_does_not_shrink_the_next_ones_for_good(void **state)
{
	struct worker_purse *purse;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	fill_due(c);
	share_set(STORE_WORK_EXPIRE, 0, 50);
	until_due();
	lab_run(2000000);
	purse = &lab->w[0]->upkeep.purse[STORE_WORK_EXPIRE];
	lab->w[0]->now_ns = clock_read;
	share_set(STORE_WORK_EXPIRE, 500, 50);
	lab->step_us = 5000;
	each_ns = 12000000;
	lab_turn();
	lab_turn();
	assert_in_range(purse->unit_ns, UNIT_NS + 1, UNIT_NS * 2);
	purse->unit_ns = 20000; // as a row of them would leave it
	each_ns = 5000;
	for (unsigned i = 0; i < 100 && purse->unit_ns > UNIT_NS; i++)
		lab_turn();
	assert_in_range(purse->unit_ns, 1, UNIT_NS);
	client_abort(c);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_due_goes_at_the_share_that_was_ordered),
	cmocka_unit_test(a_turn_takes_one_slice),
	cmocka_unit_test(a_slice_ends_by_the_clock),
	cmocka_unit_test(an_interrupted_slice_does_not_shrink_the_next_ones_for_good),
};

LAB_MAIN("upkeep", tests)
