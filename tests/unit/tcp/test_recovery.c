// SPDX-License-Identifier: BSD-3-Clause
// Loss recovery by time (RFC 8985), at the pace of what arrives (RFC 6937), told of duplicates
// (RFC 2883), and undone where nothing was lost (RFC 4015).
#include "tcp_one.h"

#define MSS  1448u
#define RTT  20000u
#define BASE (ISS + 1)

// A block of segments `from` to `to` of the flight.
static struct tcp_range segs(unsigned from, unsigned to)
{
	return (struct tcp_range){BASE + from * MSS, BASE + to * MSS};
}

// An acknowledgement of the first `acked` segments that echoes `tsecr`, with `n` blocks.
static void ack_blocks(
	struct one *o, unsigned acked, uint32_t tsecr, const struct tcp_range *block, unsigned n)
{
	struct tcp_ooo b = {.blocks = (uint8_t)n};
	uint8_t opts[40];
	uint32_t len = tcp_options_ts(opts, o->tsval, tsecr);

	if (n)
		memcpy(b.sack, block, n * sizeof(*block));
	len += tcp_options_sack(opts + len, NULL, &b, n);
	o->ack = BASE + acked * MSS;
	one_in_raw(o, ACK, opts, len, NULL, 0);
	one_turn(o);
}

static void ack_sack(struct one *o, unsigned acked, unsigned from, unsigned to)
{
	struct tcp_range block = segs(from, to);

	ack_blocks(o, acked, 0, &block, 1);
}

// `n` full segments go out, one each microsecond; the round trip is known.
static struct one *one_flight(unsigned n)
{
	struct one *o = one_open_with((struct tcp_options){.rcv_buf_bytes = 65535});

	o->tsval = 7;
	one_establish(o);
	tcp_rtt_init(o->tcp, o->c);
	tcp_rtt_sample(o->tcp, o->c, RTT);
	o->c->cwnd = n * MSS;
	for (unsigned i = 0; i < n; i++) {
		o->now_us++;
		one_send(o, MSS);
		one_expect(o, ACK, BASE + i * MSS, IRS + 1, MSS);
	}
	one_expect_silence(o);
	o->now_us += RTT;
	return o;
}

static void expect_again(struct one *o, unsigned i)
{
	one_expect(o, ACK, BASE + i * MSS, IRS + 1, MSS);
}

static void test_a_hole_is_lost_a_quarter_of_a_round_trip_after_it_was_overtaken(void **state)
{
	struct one *o = one_flight(4);

	ack_sack(o, 0, 1, 2); // RFC 8985 section 6.2: reo_wnd = min_RTT / 4
	one_wait_us(o, RTT / 4 - 2000);
	one_expect_silence(o);
	assert_int_equal(o->tcp->n.reorder_waits, 1);
	one_wait_us(o, 4000);
	expect_again(o, 0);
	assert_int_equal(o->tcp->n.fast_retransmits, 1);
	one_close(o);
}

static void test_what_arrives_late_is_not_sent_again(void **state)
{
	struct one *o = one_flight(4);

	ack_sack(o, 0, 1, 3);
	one_wait_us(o, 2000);
	ack_blocks(o, 3, 0, NULL, 0); // the first was only slow
	one_wait_us(o, RTT / 4);
	one_expect_silence(o);
	ack_blocks(o, 4, 0, NULL, 0);
	one_wait_us(o, 1000000);
	assert_int_equal(o->tcp->n.retransmits, 0);
	assert_true(o->c->bulk->rack.reordering);
	one_close(o);
}

static void test_three_reports_do_not_count_once_segments_were_seen_out_of_order(void **state)
{
	struct one *o = one_flight(10);

	o->c->cwnd = 10 * MSS;
	ack_sack(o, 0, 1, 2);
	ack_blocks(o, 2, 0, NULL, 0);
	ack_sack(o, 2, 3, 8);
	one_expect_silence(o);
	one_wait_us(o, RTT / 4 + 2000);
	expect_again(o, 2);
	one_close(o);
}

static void test_duplicates_reported_lengthen_the_time_once_a_round(void **state)
{
	struct one *o = one_flight(10);
	struct tcp_range dup = segs(0, 1);
	struct tcp_rack *r;

	ack_sack(o, 0, 1, 9);
	expect_again(o, 0);
	r = &o->c->bulk->rack;
	assert_int_equal(r->reo_mult, 1);
	ack_blocks(o, 9, 0, NULL, 0);
	ack_blocks(o, 9, 0, &dup, 1);
	assert_int_equal(r->reo_mult, 2);
	ack_blocks(o, 9, 0, &dup, 1); // in the same round
	assert_int_equal(r->reo_mult, 2);
	assert_int_equal(o->tcp->n.dsacks_in, 2);
	ack_blocks(o, 10, 0, NULL, 0);
	ack_blocks(o, 10, 0, &dup, 1);
	assert_int_equal(r->reo_mult, 3);
	assert_int_equal(r->reo_persist, 16);
	one_close(o);
}

// ---- how much leaves in recovery ---------------------------------------------------------------
static void test_recovery_sends_in_proportion_to_what_arrives(void **state)
{
	struct one *o = one_flight(20);
	unsigned before;

	o->now_us += 10;
	for (unsigned i = 0; i < 40; i++)
		one_send(o, MSS);
	ack_sack(o, 0, 1, 4);
	assert_int_equal(o->c->recovery, TCP_R_FAST);
	before = o->outs;
	for (unsigned i = 5; i <= 20; i++) // CUBIC: seven tenths
		ack_sack(o, 0, 1, i);
	assert_in_range(o->outs - before, 10, 12);
	assert_in_range(tcp_pipe(o->c), 13 * MSS, 14 * MSS);
	one_close(o);
}

// ---- undo --------------------------------------------------------------------------------------
static void test_a_cut_is_undone_when_the_echo_is_older_than_the_retransmission(void **state)
{
	struct one *o = one_flight(10);
	uint32_t ts = o->out[0].tsval, cwnd = o->c->cwnd, ssthresh = o->c->ssthresh;

	ack_sack(o, 0, 1, 5);
	expect_again(o, 0);
	one_wait_us(o, 3000);
	assert_true(o->c->ssthresh < ssthresh);
	ack_blocks(o, 5, ts, NULL, 0); // the first copy was late
	assert_int_equal(o->c->recovery, TCP_R_OPEN);
	assert_true(o->c->cwnd >= cwnd);
	assert_int_equal(o->c->ssthresh, ssthresh);
	assert_int_equal(o->tcp->n.undone, 1);
	assert_int_equal(o->c->lost_bytes | o->c->retrans_bytes, 0);
	one_close(o);
}

static void test_a_cut_stands_when_the_echo_is_the_retransmission_s(void **state)
{
	struct one *o = one_flight(10);
	uint32_t ssthresh = o->c->ssthresh;

	ack_sack(o, 0, 1, 5);
	one_wait_us(o, 3000);
	ack_blocks(o, 5, o->out[(o->outs - 1) % OUTS].tsval, NULL, 0);
	ack_blocks(o, 10, o->out[(o->outs - 1) % OUTS].tsval, NULL, 0);
	assert_int_equal(o->tcp->n.undone, 0);
	assert_true(o->c->ssthresh < ssthresh);
	one_close(o);
}

static void test_a_cut_is_undone_when_all_retransmissions_came_twice(void **state)
{
	struct one *o = one_flight(10);
	struct tcp_range dup = segs(0, 1);
	uint32_t cwnd = o->c->cwnd;

	ack_sack(o, 0, 1, 5);
	expect_again(o, 0);
	ack_blocks(o, 10, 0, NULL, 0);
	assert_true(o->c->cwnd < cwnd);
	ack_blocks(o, 10, 0, &dup, 1);
	assert_int_equal(o->tcp->n.undone, 1);
	assert_true(o->c->cwnd >= cwnd);
	one_close(o);
}

static void test_a_timeout_for_nothing_is_undone(void **state)
{
	struct one *o = one_flight(10);
	uint32_t cwnd = o->c->cwnd, ts = o->out[0].tsval;

	o->c->flags |= TCP_F_PROBED; // no loss probe before it
	o->c->flags &= ~TCP_F_PTO;
	tcp_bulk_get(o->tcp, o->c)->probe_end = BASE + 100 * MSS;
	while (o->c->recovery != TCP_R_LOSS)
		one_wait_us(o, 10000);
	expect_again(o, 0);
	assert_int_equal(o->c->cwnd, MSS);
	ack_blocks(o, 2, ts, NULL, 0); // all of it was slow
	assert_int_equal(o->c->recovery, TCP_R_OPEN);
	assert_in_range(o->c->cwnd, cwnd, cwnd + 2 * MSS);
	assert_int_equal(o->c->lost_bytes, 0);
	one_expect_silence(o);
	one_close(o);
}

// ---- the probe ---------------------------------------------------------------------------------
static void test_the_probe_is_new_data_where_there_is_some(void **state)
{
	struct one *o = one_flight(5);

	o->c->cwnd = 5 * MSS;
	one_send(o, MSS);
	one_expect_silence(o); // the window is used up
	one_wait_us(o, 2 * RTT);
	one_expect(o, ACK, BASE + 5 * MSS, IRS + 1, MSS);
	assert_int_equal(o->tcp->n.loss_probes, 1);
	assert_int_equal(o->tcp->n.retransmits, 0);
	one_close(o);
}

static void test_a_probe_reported_as_a_duplicate_does_not_cut_the_window(void **state)
{
	struct one *o = one_flight(5);
	struct tcp_range dup = segs(4, 5);
	uint32_t cwnd = o->c->cwnd, ssthresh = o->c->ssthresh;

	one_wait_us(o, 2 * RTT);
	expect_again(o, 4);
	ack_blocks(o, 5, o->out[(o->outs - 1) % OUTS].tsval, &dup, 1);
	assert_true(o->c->cwnd >= cwnd);
	assert_int_equal(o->c->ssthresh, ssthresh);
	one_close(o);
}

// ---- the receiver's side: RFC 2883 -------------------------------------------------------------
static void expect_first_block(struct one *o, uint32_t start, uint32_t end, unsigned blocks)
{
	const struct tcp_seg *s = one_out(o);

	assert_int_equal(s->sacks, blocks);
	assert_int_equal(s->sack[0].start, IRS + 1 + start);
	assert_int_equal(s->sack[0].end, IRS + 1 + end);
}

static void test_a_duplicate_below_the_acknowledgement_is_reported_once(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_data(o, 500);
	one_out(o);
	one_in_at(o, -500, ACK, "abcde", 5);
	expect_first_block(o, 0, 5, 1);
	one_in_data(o, 500);
	assert_int_equal(one_out(o)->sacks, 0);
	one_close(o);
}

static void test_a_duplicate_above_a_hole_is_followed_by_the_block_it_lies_in(void **state)
{
	struct one *o = one_open();
	uint8_t d[100] = {0};
	const struct tcp_seg *s;

	one_establish(o);
	one_in_at(o, 100, ACK, d, 100);
	one_in_at(o, 200, ACK, d, 100);
	one_out(o);
	one_in_at(o, 200, ACK, d, 100);
	one_turn(o);
	s = &o->out[o->seen % OUTS];
	expect_first_block(o, 200, 300, 2);
	assert_int_equal(s->sack[1].start, IRS + 1 + 100);
	assert_int_equal(s->sack[1].end, IRS + 1 + 300);
	one_close(o);
}

static void test_every_duplicate_of_a_turn_is_reported(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_data(o, 500);
	one_out(o);
	one_in_at(o, -500, ACK, "abc", 3);
	one_in_at(o, -400, ACK, "abc", 3);
	expect_first_block(o, 0, 3, 1);
	expect_first_block(o, 100, 103, 1);
	assert_int_equal(o->tcp->n.dsacks_out, 2);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_hole_is_lost_a_quarter_of_a_round_trip_after_it_was_overtaken),
		cmocka_unit_test(test_what_arrives_late_is_not_sent_again),
		cmocka_unit_test(
			test_three_reports_do_not_count_once_segments_were_seen_out_of_order),
		cmocka_unit_test(test_duplicates_reported_lengthen_the_time_once_a_round),
		cmocka_unit_test(test_recovery_sends_in_proportion_to_what_arrives),
		cmocka_unit_test(
			test_a_cut_is_undone_when_the_echo_is_older_than_the_retransmission),
		cmocka_unit_test(test_a_cut_stands_when_the_echo_is_the_retransmission_s),
		cmocka_unit_test(test_a_cut_is_undone_when_all_retransmissions_came_twice),
		cmocka_unit_test(test_a_timeout_for_nothing_is_undone),
		cmocka_unit_test(test_the_probe_is_new_data_where_there_is_some),
		cmocka_unit_test(test_a_probe_reported_as_a_duplicate_does_not_cut_the_window),
		cmocka_unit_test(test_a_duplicate_below_the_acknowledgement_is_reported_once),
		cmocka_unit_test(test_a_duplicate_above_a_hole_is_followed_by_the_block_it_lies_in),
		cmocka_unit_test(test_every_duplicate_of_a_turn_is_reported),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
