// SPDX-License-Identifier: BSD-3-Clause
// Opening a connection, and what is refused (RFC 9293 3.5, RFC 5961).
#include "tcp_one.h"

static void test_a_syn_gets_a_syn_ack_with_options(void **state)
{
	struct one *o = one_open();
	const struct tcp_seg *s;

	o->seq = IRS;
	o->tsval = 77;
	one_in(o, SYN, NULL, 0);
	s = one_out(o);
	assert_int_equal(s->flags, SYN | ACK);
	assert_int_equal(s->opts, TCP_O_MSS | TCP_O_TS | TCP_O_SACKOK | TCP_O_WSCALE);
	assert_int_equal(s->mss, 1460);
	assert_int_equal(s->tsecr, 77);
	assert_int_equal(tcp_conns(o->tcp), 0);
	one_close(o);
}

static void test_the_third_ack_makes_the_connection(void **state)
{
	struct one *o = one_open();
	struct base_ip ip;
	uint16_t port;

	one_establish(o);
	assert_int_equal(tcp_conns(o->tcp), 1);
	assert_int_equal(o->tcp->n.half_open_now, 0);
	assert_int_equal(tcp_local_port(o->c), PORT);
	tcp_peer(o->c, &ip, &port);
	assert_true(base_ip_same(&ip, &o->peer_ip));
	assert_int_equal(port, PEER);
	assert_int_equal(tcp_mss(o->c), 1460);
	one_close(o);
}

static void test_a_lost_syn_ack_is_sent_again_with_backoff_and_given_up(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	one_wait_us(o, 990000);
	one_expect_silence(o);
	for (unsigned i = 0; i < 5; i++) {
		one_wait_us(o, 20000);
		one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
		one_wait_us(o, (2000000u << i) - 20000);
	}
	one_wait_us(o, 64000000);
	one_expect_silence(o);
	assert_int_equal(o->tcp->n.half_open_now, 0);
	assert_int_equal(o->tcp->table.count, 0);
	one_close(o);
}

static void test_a_repeated_syn_gets_the_syn_ack_again(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	assert_int_equal(o->tcp->n.half_open_now, 1);
	one_close(o);
}

static void test_what_belongs_to_no_connection_is_reset(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	o->ack = 99;
	one_in(o, ACK, NULL, 0); // to a listening port
	one_expect(o, RST, 99, 0, 0);
	one_in(o, RST, NULL, 0);
	one_expect_silence(o);
	tcp_unlisten(o->tcp, PORT);
	one_in(o, SYN, NULL, 0); // to a closed port
	one_expect(o, RST | ACK, 0, IRS + 1, 0);
	one_in(o, ACK, "abc", 3);
	one_expect(o, RST, 99, 0, 0);
	one_in(o, RST | ACK, NULL, 0);
	one_expect_silence(o);
	one_close(o);
}

static void test_a_wrong_ack_in_syn_received_is_reset(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	o->ack = ISS + 2;
	one_in(o, ACK, NULL, 0);
	one_expect(o, RST, ISS + 2, 0, 0);
	assert_int_equal(o->tcp->n.half_open_now, 1);
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	one_close(o);
}

static void test_a_reset_ends_a_half_open_connection_unseen(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	one_in(o, RST, NULL, 0);
	one_turn(o);
	assert_null(o->c);
	assert_int_equal(o->tcp->table.count, 0);
	one_close(o);
}

static void test_data_with_the_third_ack_is_taken(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, "get a\r\n", 7);
	one_expect_event(o, TCP_EV_ACCEPTED | TCP_EV_READABLE);
	assert_int_equal(tcp_rx_bytes(o->c), 7);
	assert_memory_equal(rte_pktmbuf_mtod(tcp_rx_peek(o->c), char *), "get a\r\n", 7);
	one_close(o);
}

static struct one *one_connecting(void)
{
	struct one *o = one_open();

	o->c = tcp_connect(o->tcp, &o->peer_ip, PEER, TCP_LOCAL_ANY, PORT, o->now_us);
	assert_non_null(o->c);
	one_expect(o, SYN, ISS, 0, 0);
	o->seq = IRS;
	o->ack = ISS + 1;
	return o;
}

static void test_connect_gets_through(void **state)
{
	struct one *o = one_connecting();

	one_in(o, SYN | ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ESTABLISHED);
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	assert_null(tcp_connect(
		o->tcp, &o->peer_ip, PEER, TCP_LOCAL_ANY, PORT, o->now_us)); // the pair is taken
	one_close(o);
}

static void test_connect_is_refused(void **state)
{
	struct one *o = one_connecting();

	one_in(o, RST, NULL, 0); // blind: no acknowledgement of the SYN
	one_turn(o);
	assert_int_equal(o->events, 0);
	o->ack = ISS + 7;
	one_in(o, RST | ACK, NULL, 0);
	one_turn(o);
	assert_int_equal(o->events, 0);
	o->ack = ISS + 1;
	one_in(o, RST | ACK, NULL, 0);
	one_release(o);
	one_close(o);
}

static void test_connect_gives_up(void **state)
{
	struct one *o = one_connecting();

	one_wait_us(o, 130000000);
	assert_int_equal(o->outs, 1 + 6);
	one_release(o);
	one_close(o);
}

static void test_an_ack_of_an_old_connection_in_syn_sent_is_reset(void **state)
{
	struct one *o = one_connecting(); // RFC 9293 figure 9

	o->ack = 42;
	one_in(o, ACK, NULL, 0);
	one_expect(o, RST, 42, 0, 0);
	assert_int_equal(o->events, 0);
	one_close(o);
}

static void test_both_open_at_once(void **state)
{
	struct one *o = one_connecting(); // RFC 9293 figure 7

	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	one_in(o, SYN | ACK, NULL, 0); // theirs crosses: not acceptable, answered
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	o->seq = IRS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ESTABLISHED);
	one_in_data(o, 5);
	one_expect_event(o, TCP_EV_READABLE);
	one_close(o);
}

static void test_two_stacks_open_towards_each_other(void **state)
{
	struct sim *sim = sim_open(&(struct sim_options){.seed = 4, .delay_us = 400});
	struct sim_app a = {.salt = 0x40, .to_send = 10000, .fin_after = true};
	struct sim_app b = {.salt = 0x41, .to_send = 20000, .fin_after = true};

	a.c = tcp_connect(
		sim->host[0].tcp, &sim->host[1].ip, 2000, TCP_LOCAL_ANY, 1000, sim->now_us);
	b.c = tcp_connect(
		sim->host[1].tcp, &sim->host[0].ip, 1000, TCP_LOCAL_ANY, 2000, sim->now_us);
	tcp_user_set(a.c, &a);
	tcp_user_set(b.c, &b);
	sim_run_us(sim, 3000000);
	assert_true(a.established && b.established && a.closed && b.closed);
	assert_int_equal(a.received, 20000);
	assert_int_equal(b.received, 10000);
	sim_close(sim);
}

static bool drop_first_of_each(struct sim *sim, const struct rte_mbuf *m, unsigned to)
{
	static const unsigned pattern =
		0x2d; // of the first frames: lost, kept, lost, lost, kept, lost
	unsigned i = sim->lost + sim->delivered + sim->frames;

	return i < 6 && (pattern >> i & 1);
}

static void test_the_handshake_survives_losses(void **state)
{
	for (unsigned seed = 0; seed < 8; seed++) {
		struct sim *sim = sim_open(&(struct sim_options){.seed = seed,
			.delay_us = 400,
			.loss = seed * 0.05,
			.drop = seed == 0 ? drop_first_of_each : NULL});
		struct sim_app a = {.to_send = 100, .fin_after = true};
		struct sim_app b = {.to_send = 100, .fin_on_fin = true};

		sim_connect(sim, &a, &b);
		sim_run_us(sim, 120000000);
		assert_true(a.closed && b.closed);
		assert_int_equal(a.received, 100);
		assert_int_equal(b.received, 100);
		sim_close(sim);
	}
}

static void test_broken_segments_are_counted_and_dropped(void **state)
{
	struct one *o = one_open();
	const struct tcp_counters *n = tcp_counters_get(o->tcp);
	static const uint8_t long_mss[4] = {2, 8, 5, 180}, short_len[4] = {2, 1, 0, 0};
	static const uint8_t odd_sack[4] = {1, 5, 3, 0};

	o->seq = IRS;
	one_in_raw(o, SYN | FIN, NULL, 0, NULL, 0);
	one_in_raw(o, SYN | RST, NULL, 0, NULL, 0);
	one_in_raw(o, 0, NULL, 0, NULL, 0);
	assert_int_equal(n->bad_flags, 3);
	one_in_raw(o, SYN, long_mss, 4, NULL, 0);
	one_in_raw(o, SYN, short_len, 4, NULL, 0);
	one_in_raw(o, SYN, odd_sack, 4, NULL, 0);
	assert_int_equal(n->bad_option, 3);
	o->peer_port = 0;
	one_in(o, SYN, NULL, 0);
	assert_int_equal(n->bad_header, 1);
	one_expect_silence(o);
	one_close(o);
}

static void test_a_mad_mss_is_raised(void **state)
{
	struct one *o = one_open();
	static const uint8_t mss1[4] = {2, 4, 0, 1};

	o->seq = IRS;
	one_in_raw(o, SYN, mss1, 4, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	assert_true(tcp_mss(o->c) >= 64);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_syn_gets_a_syn_ack_with_options),
		cmocka_unit_test(test_the_third_ack_makes_the_connection),
		cmocka_unit_test(test_a_lost_syn_ack_is_sent_again_with_backoff_and_given_up),
		cmocka_unit_test(test_a_repeated_syn_gets_the_syn_ack_again),
		cmocka_unit_test(test_what_belongs_to_no_connection_is_reset),
		cmocka_unit_test(test_a_wrong_ack_in_syn_received_is_reset),
		cmocka_unit_test(test_a_reset_ends_a_half_open_connection_unseen),
		cmocka_unit_test(test_data_with_the_third_ack_is_taken),
		cmocka_unit_test(test_connect_gets_through),
		cmocka_unit_test(test_connect_is_refused),
		cmocka_unit_test(test_connect_gives_up),
		cmocka_unit_test(test_an_ack_of_an_old_connection_in_syn_sent_is_reset),
		cmocka_unit_test(test_both_open_at_once),
		cmocka_unit_test(test_two_stacks_open_towards_each_other),
		cmocka_unit_test(test_the_handshake_survives_losses),
		cmocka_unit_test(test_broken_segments_are_counted_and_dropped),
		cmocka_unit_test(test_a_mad_mss_is_raised),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
