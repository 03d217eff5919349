// SPDX-License-Identifier: BSD-3-Clause
// SYN cookies: connections get through while the half-open queue is full, with their options.
#include "tcp_one.h"

#define FLOOD 4
#define ECE   RTE_TCP_ECE_FLAG
#define CWR   RTE_TCP_CWR_FLAG

// The half-open queue is full.
static struct one *one_flooded(bool ecn)
{
	struct one *o = one_open_with(
		(struct tcp_options){.rcv_buf_bytes = 262144, .syn_max = FLOOD, .ecn = ecn});

	o->seq = IRS;
	for (unsigned i = 0; i < FLOOD; i++) {
		o->peer_port = (uint16_t)(PEER + 1 + i);
		one_in(o, SYN, NULL, 0);
	}
	one_turn(o);
	o->seen = o->outs;
	o->peer_port = PEER;
	return o;
}

// The answer to a SYN with these options; what the peer says next fits it.
static const struct tcp_seg *syn_answer(
	struct one *o, uint8_t flags, uint16_t mss, bool sack, bool wscale, uint8_t shift)
{
	uint8_t opts[40];
	uint32_t n = tcp_options_syn(opts, mss, sack, o->tsval != 0, wscale, shift, o->tsval, 0);
	const struct tcp_seg *s;

	o->seq = IRS;
	one_in_raw(o, SYN | flags, opts, n, NULL, 0);
	s = one_out(o);
	assert_int_equal(s->flags & ~ECE, SYN | ACK);
	assert_int_equal(s->ack, IRS + 1);
	o->seq = IRS + 1;
	o->ack = s->seq + 1;
	return s;
}

static void ack_echo(struct one *o, uint32_t tsecr, const void *data, uint32_t len)
{
	uint8_t opts[12];

	one_in_raw(o, ACK, opts, o->tsval ? tcp_options_ts(opts, o->tsval, tsecr) : 0, data, len);
}

static void test_a_cookie_becomes_a_connection_with_its_options(void **state)
{
	for (unsigned sack = 0; sack < 2; sack++) {
		for (unsigned shift = 0; shift <= 15; shift++) {
			struct one *o = one_flooded(false);
			const struct tcp_seg *s;

			o->tsval = 77;
			s = syn_answer(o, 0, 1400, sack, shift < 15, (uint8_t)shift);
			assert_int_equal(!!(s->opts & TCP_O_SACKOK), sack);
			assert_int_equal(!!(s->opts & TCP_O_WSCALE), shift < 15);
			assert_int_equal(o->tcp->n.half_open_now, FLOOD);
			o->now_us += 20000;
			ack_echo(o, s->tsval, NULL, 0);
			one_expect_event(o, TCP_EV_ACCEPTED);
			assert_int_equal(o->tcp->n.half_open_now, FLOOD);
			assert_int_equal(tcp_mss(o->c), 1400 - 12);
			assert_int_equal(!!(o->c->flags & TCP_F_SACK), sack);
			assert_int_equal(o->c->node.snd_wscale, shift < 15 ? shift : 0);
			assert_int_equal(o->c->node.rcv_wscale, shift < 15 ? 3 : 0);
			assert_int_equal(o->c->ts_recent, 77);
			one_send(o, 10);
			one_expect(o, ACK, o->ack, IRS + 1, 10);
			assert_true(seq_le(s->tsval, o->out[(o->outs - 1) % OUTS].tsval));
			assert_int_equal(o->tcp->n.cookies_in, 1);
			one_close(o);
		}
	}
}

static void test_without_timestamps_it_is_a_plain_connection(void **state)
{
	struct one *o = one_flooded(false);
	const struct tcp_seg *s = syn_answer(o, 0, 1459, true, true, 7);

	assert_int_equal(s->opts, TCP_O_MSS);
	ack_echo(o, 0, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	assert_int_equal(tcp_mss(o->c), 1440);
	assert_int_equal(o->c->flags & (TCP_F_SACK | TCP_F_TS | TCP_F_WSCALE), 0);
	assert_int_equal(o->c->snd_wnd, 65535);
	one_close(o);
}

static void test_ecn_is_kept(void **state)
{
	struct one *o = one_flooded(true);
	const struct tcp_seg *s;

	o->tsval = 5;
	s = syn_answer(o, ECE | CWR, 1460, true, true, 7);
	assert_int_equal(s->flags, SYN | ACK | ECE);
	ack_echo(o, s->tsval, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	assert_true(o->c->flags & TCP_F_ECN);
	one_close(o);
}

static void test_data_may_come_with_the_cookie(void **state)
{
	struct one *o = one_flooded(false);

	syn_answer(o, 0, 1460, true, true, 7);
	ack_echo(o, 0, "get a\r\n", 7); // the ACK alone was lost
	one_expect_event(o, TCP_EV_ACCEPTED);
	assert_int_equal(tcp_rx_bytes(o->c), 7);
	one_close(o);
}

static void test_nothing_is_kept_for_a_syn_of_a_flood(void **state)
{
	struct one *o = one_flooded(false);
	size_t before = mem_used_class(o->mem, MEM_CONNS);

	for (unsigned i = 0; i < 200; i++) {
		o->peer_port = (uint16_t)(50000 + i);
		syn_answer(o, 0, 1460, true, true, 7);
	}
	assert_int_equal(mem_used_class(o->mem, MEM_CONNS), before);
	assert_int_equal(o->tcp->n.cookies_out, 200);
	one_close(o);
}

static void expect_reset(struct one *o)
{
	assert_int_equal(one_out(o)->flags, RST);
	one_expect_silence(o);
	assert_int_equal(o->tcp->n.cookies_in, 0);
}

static void test_what_is_not_ours_is_reset(void **state)
{
	struct one *o = one_flooded(false);

	syn_answer(o, 0, 1460, true, true, 7);
	o->ack += 16; // another code
	ack_echo(o, 0, NULL, 0);
	expect_reset(o);
	o->ack -= 15; // another MSS
	ack_echo(o, 0, NULL, 0);
	expect_reset(o);
	o->ack--;
	o->seq++; // another SYN
	ack_echo(o, 0, NULL, 0);
	expect_reset(o);
	o->seq--;
	o->peer_port += 100; // another peer
	ack_echo(o, 0, NULL, 0);
	expect_reset(o);
	assert_int_equal(o->tcp->n.cookies_bad, 4);
	one_close(o);
}

static void test_a_cookie_is_good_for_a_minute_and_no_longer_than_two(void **state)
{
	struct one *o = one_flooded(false);

	syn_answer(o, 0, 1460, true, true, 7);
	o->now_us += 128000000;
	tcp_time_set(o->tcp, o->now_us);
	o->tcp->cookie_us = o->now_us; // others are out
	ack_echo(o, 0, NULL, 0);
	one_turn(o);
	assert_int_equal(o->tcp->n.cookies_in, 0);
	one_close(o);
	o = one_flooded(false);
	syn_answer(o, 0, 1460, true, true, 7);
	o->now_us += 63000000;
	ack_echo(o, 0, NULL, 0);
	assert_int_equal(o->tcp->n.cookies_in, 1);
	one_close(o);
}

static void test_no_cookie_is_looked_for_where_none_is_out(void **state)
{
	struct one *o = one_open();

	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	expect_reset(o);
	assert_int_equal(o->tcp->n.cookies_bad, 0);
	one_close(o);
}

static void test_the_round_trip_of_a_cookie_is_unknown(void **state)
{
	struct one *o = one_flooded(false);

	syn_answer(o, 0, 1460, true, true, 7);
	o->now_us += 300000;
	ack_echo(o, 0, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	assert_int_equal(o->c->srtt_us, 0);
	assert_int_equal(o->c->rto_us, TCP_RTO_INIT_US);
	assert_int_equal(o->c->cwnd, 14600);
	one_close(o);
}

static void test_the_limit_of_connections_holds_for_cookies(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.syn_max = 1, .conns_max = 1});

	o->seq = IRS;
	o->peer_port++;
	one_in(o, SYN, NULL, 0);
	one_out(o);
	o->peer_port++;
	syn_answer(o, 0, 1460, true, true, 7);
	ack_echo(o, 0, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	o->peer_port -= 1; // the half-open one
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	assert_int_equal(one_out(o)->flags, RST | ACK);
	assert_int_equal(o->tcp->n.conns_refused, 1);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cookie_becomes_a_connection_with_its_options),
		cmocka_unit_test(test_without_timestamps_it_is_a_plain_connection),
		cmocka_unit_test(test_ecn_is_kept),
		cmocka_unit_test(test_data_may_come_with_the_cookie),
		cmocka_unit_test(test_nothing_is_kept_for_a_syn_of_a_flood),
		cmocka_unit_test(test_what_is_not_ours_is_reset),
		cmocka_unit_test(test_a_cookie_is_good_for_a_minute_and_no_longer_than_two),
		cmocka_unit_test(test_no_cookie_is_looked_for_where_none_is_out),
		cmocka_unit_test(test_the_round_trip_of_a_cookie_is_unknown),
		cmocka_unit_test(test_the_limit_of_connections_holds_for_cookies),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
