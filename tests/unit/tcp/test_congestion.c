// SPDX-License-Identifier: BSD-3-Clause
// Congestion control against the formulas of RFC 9438 (CUBIC), RFC 5681 (NewReno) and RFC 9406
// (HyStart++), in virtual time.
#include "tcp_one.h"

#define MSS 1460u

// A connection whose window has been cut from `before` segments, in congestion avoidance.
static struct one *one_cut(const char *cc, uint32_t before, uint32_t rtt_us)
{
	struct one *o = one_open_with((struct tcp_options){.cc = cc});

	one_establish(o);
	o->c->srtt_us = rtt_us;
	o->c->rto_us = rtt_us + 200000;
	o->c->cwnd = before * MSS;
	tcp_cc_cut(o->tcp, o->c, o->c->cwnd, false);
	o->c->cwnd = o->c->ssthresh;
	return o;
}

// A window is acknowledged, a segment at a time, over one round trip.
static void round_trip(struct one *o, uint32_t rtt_us)
{
	uint32_t segs = o->c->cwnd / MSS;

	for (uint32_t i = 0; i < segs; i++) {
		o->now_us += rtt_us / segs;
		tcp_time_set(o->tcp, o->now_us);
		tcp_cc_acked(o->tcp, o->c, MSS, 0);
	}
}

static double w_cubic(double t, double k, double w_max) // RFC 9438 figure 1
{
	return 0.4 * (t - k) * (t - k) * (t - k) + w_max;
}

static void test_cubic_is_the_default_and_cuts_to_seven_tenths(void **state)
{
	struct one *o = one_cut(NULL, 100, 100000);

	assert_string_equal(o->tcp->cc->name, "cubic");
	assert_int_equal(o->c->ssthresh, 70 * MSS);
	tcp_cc_cut(o->tcp, o->c, 2 * MSS, false);
	assert_int_equal(o->c->ssthresh, 2 * MSS);
	one_close(o);
}

static void test_cubic_grows_by_the_cube_of_time(void **state)
{
	struct one *o = one_cut("cubic", 1000, 100000);
	double k = 9.0856, t = 0; // cbrt(1000 * 0.3 / 0.4)

	tcp_cc_acked(o->tcp, o->c, MSS, 0); // the epoch begins
	for (unsigned i = 0; i < 180; i++) {
		uint64_t start = o->now_us;
		double w;

		round_trip(o, 100000);
		t += (double)(o->now_us - start) / 1e6;
		w = w_cubic(t, k, 1000) * MSS; // the target of a round trip ago
		if (o->c->cwnd < w * 0.98 || o->c->cwnd > w * 1.02)
			fail_msg("after %.1f s: %u, not %.0f", t, o->c->cwnd, w);
	}
	assert_true(t > 2 * k - 2 && o->c->cwnd > 1150 * MSS);
	one_close(o);
}

static void test_cubic_returns_to_the_old_window_after_k(void **state)
{
	struct one *o = one_cut("cubic", 500, 50000);

	tcp_cc_acked(o->tcp, o->c, MSS, 0);
	assert_in_range(o->c->bulk->cc.cubic.k_ms, 7209, 7212); // cbrt(150 / 0.4) s
	assert_int_equal(o->c->bulk->cc.cubic.w_max, 500 * MSS);
	one_close(o);
}

static void test_cubic_grows_like_reno_where_that_is_faster(void **state)
{
	struct one *o = one_cut("cubic", 20, 1000);
	uint32_t start = o->c->cwnd, at;

	for (unsigned i = 0; i < 10; i++)
		round_trip(o, 1000);
	// alpha = 9/17 a round trip; one once the old window is reached.
	assert_in_range(o->c->cwnd, start + 9 * MSS * 10 / 17 - MSS, start + 9 * MSS * 10 / 17);
	while (o->c->cwnd < 21 * MSS)
		round_trip(o, 1000);
	at = o->c->cwnd;
	for (unsigned i = 0; i < 10; i++)
		round_trip(o, 1000);
	assert_in_range(o->c->cwnd, at + 9 * MSS, at + 11 * MSS);
	one_close(o);
}

static void test_cubic_makes_room_when_it_did_not_get_back(void **state)
{
	struct one *o = one_cut("cubic", 100, 100000);

	tcp_cc_cut(o->tcp, o->c, 70 * MSS, false); // section 4.7
	assert_int_equal(o->c->bulk->cc.cubic.w_max, 70 * MSS * 17 / 20);
	o->c->cwnd = 80 * MSS;
	tcp_cc_cut(o->tcp, o->c, 80 * MSS, false);
	assert_int_equal(o->c->bulk->cc.cubic.w_max, 80 * MSS);
	one_close(o);
}

static void test_cubic_starts_convex_after_a_timeout(void **state)
{
	struct one *o = one_cut("cubic", 1000, 100000);

	tcp_cc_cut(o->tcp, o->c, 1000 * MSS, true);
	o->c->cwnd = o->c->ssthresh; // where slow start ends
	tcp_cc_acked(o->tcp, o->c, MSS, 0);
	assert_int_equal(o->c->bulk->cc.cubic.k_ms, 0);
	assert_int_equal(o->c->bulk->cc.cubic.w_max, 700 * MSS);
	one_close(o);
}

static void test_cubic_grows_by_half_a_round_trip_at_most(void **state)
{
	struct one *o = one_cut("cubic", 10, 10000000);
	uint32_t before = o->c->cwnd;

	o->c->rto_us = 60000000;
	tcp_cc_acked(o->tcp, o->c, MSS, 0);
	o->now_us += 50000000;
	tcp_time_set(o->tcp, o->now_us);
	tcp_cc_acked(o->tcp, o->c, before, 0);
	assert_in_range(o->c->cwnd, before, before + before / 2 + MSS);
	one_close(o);
}

static void test_time_without_use_of_the_window_does_not_count(void **state)
{
	struct one *o = one_cut("cubic", 1000, 100000);
	uint32_t before;

	round_trip(o, 100000);
	round_trip(o, 100000);
	before = o->c->cwnd;
	o->now_us += 20000000; // nobody sent
	tcp_time_set(o->tcp, o->now_us);
	round_trip(o, 100000);
	assert_true(o->c->cwnd < before + before / 10);
	one_close(o);
}

static void test_newreno_grows_a_segment_a_window_and_halves(void **state)
{
	struct one *o = one_cut("newreno", 100, 100000);

	assert_int_equal(o->c->ssthresh, 50 * MSS);
	for (unsigned i = 0; i < 10; i++)
		round_trip(o, 100000);
	assert_in_range(o->c->cwnd, 59 * MSS, 60 * MSS);
	one_close(o);
}

static void test_slow_start_stops_at_the_threshold(void **state)
{
	struct one *o = one_cut("newreno", 100, 100000);

	o->c->cwnd = 10 * MSS;
	tcp_cc_acked(o->tcp, o->c, 45 * MSS, 0); // one acknowledgement of much
	assert_in_range(o->c->cwnd, 50 * MSS, 51 * MSS);
	one_close(o);
}

// ---- HyStart++ ---------------------------------------------------------------------------------
// One round of slow start: `acks` acknowledgements of a segment with that round trip.
static void slow_round(struct one *o, unsigned acks, uint32_t rtt_us)
{
	struct tcp_conn *c = o->c;

	o->now_us += rtt_us;
	tcp_time_set(o->tcp, o->now_us);
	c->snd_nxt = c->snd_una + acks * MSS; // as if it had been sent
	for (unsigned i = 0; i < acks; i++) {
		c->snd_una += MSS;
		tcp_cc_acked(o->tcp, c, MSS, rtt_us);
	}
}

static struct one *one_in_slow_start(void)
{
	struct one *o = one_open();

	one_establish(o);
	for (unsigned i = 0; i < 3; i++)
		slow_round(o, 10, 20000);
	assert_int_equal(o->c->cwnd, 40 * MSS);
	assert_int_equal(o->c->ssthresh, TCP_CWND_MAX);
	return o;
}

static void test_slow_start_ends_five_rounds_after_the_round_trip_grew(void **state)
{
	struct one *o = one_in_slow_start();
	uint32_t before;
	unsigned rounds = 0;

	slow_round(o, 10, 26000); // by 4 ms and more: conservative from its eighth sample on
	before = o->c->cwnd;
	slow_round(o, 16, 26000);
	assert_int_equal(o->c->cwnd, before + 4 * MSS); // a quarter
	while (o->c->ssthresh == TCP_CWND_MAX) {
		slow_round(o, 16, 26000);
		assert_true(++rounds < 5);
	}
	assert_in_range(o->c->ssthresh, o->c->cwnd - MSS, o->c->cwnd);
	one_close(o);
}

static void test_slow_start_goes_on_when_the_round_trip_falls_again(void **state)
{
	struct one *o = one_in_slow_start();
	uint32_t before;

	slow_round(o, 10, 26000);
	slow_round(o, 10, 21000);
	before = o->c->cwnd;
	slow_round(o, 10, 21000);
	assert_int_equal(o->c->cwnd, before + 10 * MSS);
	assert_int_equal(o->c->ssthresh, TCP_CWND_MAX);
	one_close(o);
}

static void test_a_little_jitter_does_not_end_slow_start(void **state)
{
	struct one *o = one_in_slow_start();

	for (unsigned i = 0; i < 20; i++)
		slow_round(o, 10, 20000 + 3000 * (i & 1));
	assert_int_equal(o->c->cwnd, 240 * MSS);
	one_close(o);
}

// ---- the state behind it -----------------------------------------------------------------------
static void request_and_reply(struct one *o)
{
	one_in_data(o, 30);
	one_turn(o);
	tcp_rx_consume(o->tcp, o->c, 30);
	one_send(o, 1000);
	one_turn(o);
	o->ack += 1000;
	one_in(o, ACK, NULL, 0);
	one_turn(o);
}

static void test_requests_and_replies_need_no_state(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	for (unsigned i = 0; i < 50; i++)
		request_and_reply(o);
	assert_null(o->c->bulk);
	one_close(o);
}

static void test_the_state_goes_after_a_minute_and_the_window_with_it(void **state)
{
	struct one *o = one_in_slow_start();

	assert_non_null(o->c->bulk);
	o->c->ssthresh = 30 * MSS;
	o->ack = o->c->snd_una;
	one_wait_us(o, 59000000);
	assert_non_null(o->c->bulk);
	one_wait_us(o, 2000000);
	assert_null(o->c->bulk);
	assert_int_equal(o->c->cwnd, 10 * MSS);
	assert_int_equal(o->c->ssthresh, 30 * MSS);
	request_and_reply(o);
	one_close(o);
}

static bool always(void *arg)
{
	return true;
}

static void test_without_memory_for_it_the_timeout_repairs_a_loss(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	for (unsigned i = 0; i < 20; i++)
		one_send(o, MSS);
	one_turn(o);
	o->seen = o->outs;
	mem_fault_set(o->mem, always, NULL);
	one_in_sack(o, ISS + 1 + MSS, ISS + 1 + 10 * MSS);
	one_expect_silence(o);
	for (unsigned i = 0; i < 30 && tcp_send_pending(o->c) > 0; i++) {
		one_wait_us(o, 1100000);
		if (o->seen == o->outs)
			continue;
		o->seen = o->outs;
		o->ack = o->out[(o->outs - 1) % OUTS].seq + o->out[(o->outs - 1) % OUTS].len;
		one_in(o, ACK, NULL, 0);
		one_turn(o);
	}
	assert_int_equal(tcp_send_pending(o->c), 0);
	assert_null(o->c->bulk);
	mem_fault_set(o->mem, NULL, NULL);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cubic_is_the_default_and_cuts_to_seven_tenths),
		cmocka_unit_test(test_cubic_grows_by_the_cube_of_time),
		cmocka_unit_test(test_cubic_returns_to_the_old_window_after_k),
		cmocka_unit_test(test_cubic_grows_like_reno_where_that_is_faster),
		cmocka_unit_test(test_cubic_makes_room_when_it_did_not_get_back),
		cmocka_unit_test(test_cubic_starts_convex_after_a_timeout),
		cmocka_unit_test(test_cubic_grows_by_half_a_round_trip_at_most),
		cmocka_unit_test(test_time_without_use_of_the_window_does_not_count),
		cmocka_unit_test(test_newreno_grows_a_segment_a_window_and_halves),
		cmocka_unit_test(test_slow_start_stops_at_the_threshold),
		cmocka_unit_test(test_slow_start_ends_five_rounds_after_the_round_trip_grew),
		cmocka_unit_test(test_slow_start_goes_on_when_the_round_trip_falls_again),
		cmocka_unit_test(test_a_little_jitter_does_not_end_slow_start),
		cmocka_unit_test(test_requests_and_replies_need_no_state),
		cmocka_unit_test(test_the_state_goes_after_a_minute_and_the_window_with_it),
		cmocka_unit_test(test_without_memory_for_it_the_timeout_repairs_a_loss),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
