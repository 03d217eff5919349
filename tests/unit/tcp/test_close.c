// SPDX-License-Identifier: BSD-3-Clause
// Closing both ways, resets, TIME-WAIT and keep-alive.
#include "tcp_one.h"

static void test_the_peer_closes_first(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in(o, FIN | ACK, "bye", 3);
	o->seq += 4;
	one_expect_event(o, TCP_EV_READABLE | TCP_EV_FIN);
	one_expect(o, ACK, ISS + 1, o->seq, 0);
	assert_int_equal(tcp_rx_bytes(o->c), 3);
	one_send(o, 10); // half-closed: we still may speak
	one_expect(o, ACK, ISS + 1, o->seq, 10);
	tcp_shutdown(o->tcp, o->c);
	one_expect(o, FIN | ACK, ISS + 11, o->seq, 0);
	o->ack = ISS + 12;
	one_in(o, ACK, NULL, 0);
	assert_int_equal(tcp_rx_bytes(o->c), 3); // still there to be read
	one_release(o);
	assert_int_equal(o->tcp->tw_count, 0);
	one_close(o);
}

static void test_the_fin_rides_on_the_last_data(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 10);
	tcp_shutdown(o->tcp, o->c);
	one_expect(o, FIN | ACK, ISS + 1, o->seq, 10);
	one_close(o);
}

static void we_close_first(struct one *o)
{
	one_establish(o);
	tcp_shutdown(o->tcp, o->c);
	one_expect(o, FIN | ACK, ISS + 1, IRS + 1, 0);
	o->ack = ISS + 2;
	one_in(o, ACK, NULL, 0);
	one_in_data(o, 100); // FIN-WAIT-2: input goes on
	one_expect_event(o, TCP_EV_READABLE);
	one_expect(o, ACK, ISS + 2, o->seq, 0);
	one_in(o, FIN | ACK, NULL, 0);
	o->seq++;
	one_expect(o, ACK, ISS + 2, o->seq, 0);
	one_expect_event(o, TCP_EV_FIN);
	one_release(o);
}

static void test_time_wait_answers_and_expires(void **state)
{
	struct one *o = one_open();

	we_close_first(o);
	assert_int_equal(o->tcp->tw_count, 1);
	assert_int_equal(tcp_counters_get(o->tcp)->time_wait_now, 1);
	one_wait_us(o, 59000000);
	one_in_at(o, -1, FIN | ACK, NULL, 0); // our last ACK was lost
	one_expect(o, ACK, ISS + 2, o->seq, 0);
	one_in(o, RST | ACK, NULL, 0); // RFC 1337
	one_wait_us(o, 59000000);      // the FIN began the wait anew
	assert_int_equal(o->tcp->tw_count, 1);
	one_wait_us(o, 2000000);
	assert_int_equal(o->tcp->tw_count, 0);
	assert_int_equal(tcp_counters_get(o->tcp)->time_wait_now, 0);
	one_expect_silence(o);
	one_close(o);
}

static void test_a_new_syn_takes_over_a_time_wait(void **state)
{
	struct one *o = one_open();
	const struct tcp_seg *s;

	we_close_first(o);
	o->seq = IRS - 1000; // an old duplicate
	one_in(o, SYN, NULL, 0);
	s = one_out(o);
	assert_int_equal(s->flags, ACK);
	o->seq = IRS + 100000;
	one_in(o, SYN, NULL, 0);
	s = one_out(o);
	assert_int_equal(s->flags, SYN | ACK);
	assert_true(seq_lt(ISS + 65536, s->seq)); // beyond the old connection
	assert_int_equal(o->tcp->tw_count, 0);
	one_close(o);
}

// RFC 6191 section 2: the timestamp decides where it differs, then the sequence number.
static void test_a_timestamp_tells_an_old_syn_from_a_new_one(void **state)
{
	struct one *o = one_open();

	o->tsval = 500;
	we_close_first(o);
	o->tsval = 499;
	o->seq = IRS + 100000;
	one_in(o, SYN, NULL, 0);
	assert_int_equal(one_out(o)->flags, ACK);
	o->tsval = 500;
	o->seq = IRS - 1000;
	one_in(o, SYN, NULL, 0);
	one_expect_silence(o); // answered just now
	o->tsval = 501;
	one_in(o, SYN, NULL, 0);
	assert_int_equal(one_out(o)->flags, SYN | ACK);
	one_close(o);
}

static void test_time_wait_records_are_bounded(void **state)
{
	struct one *o = one_open();

	o->tcp->tw_max = 4;
	for (unsigned i = 0; i < 6; i++) {
		o->peer_port = (uint16_t)(PEER + i);
		we_close_first(o);
		assert_int_equal(o->tcp->tw_count, RTE_MIN(i + 1, 4u));
	}
	assert_int_equal(o->tcp->n.time_wait, 6);
	one_close(o);
}

static void test_both_close_at_once(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	tcp_shutdown(o->tcp, o->c);
	one_expect(o, FIN | ACK, ISS + 1, IRS + 1, 0);
	one_in(o, FIN | ACK, NULL, 0); // does not acknowledge ours
	o->seq++;
	one_expect(o, ACK, ISS + 2, o->seq, 0);
	assert_int_equal(o->c->node.state, TCP_CLOSING);
	o->ack = ISS + 2;
	one_in(o, ACK, NULL, 0);
	one_release(o);
	assert_int_equal(o->tcp->tw_count, 1);
	one_close(o);
}

static void test_a_lost_fin_is_sent_again(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	tcp_shutdown(o->tcp, o->c);
	one_expect(o, FIN | ACK, ISS + 1, IRS + 1, 0);
	one_wait_us(o, 300000);
	one_expect(o, FIN | ACK, ISS + 1, IRS + 1, 0);
	one_close(o);
}

static void test_only_the_exact_reset_counts(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_at(o, 70000, RST, NULL, 0); // outside the window
	one_expect_silence(o);
	one_in_at(o, -1, RST, NULL, 0);
	one_expect_silence(o);
	one_in_at(o, 100, RST, NULL, 0); // inside: a challenge (RFC 5961)
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	one_in_at(o, 100, RST, NULL, 0); // limited
	one_expect_silence(o);
	one_in(o, RST, NULL, 0);
	one_release(o);
	one_expect_silence(o);
	one_close(o);
}

static void test_a_syn_in_a_connection_is_challenged(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_at(o, 10, SYN, NULL, 0);
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	one_wait_us(o, 600000);
	one_in_at(o, 1000000, SYN, NULL, 0); // outside as well
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	one_in_at(o, 2000000, SYN, NULL, 0);
	one_expect_silence(o); // limited
	assert_int_equal(o->tcp->n.answers_held, 1);
	assert_int_equal(tcp_conns(o->tcp), 1);
	one_close(o);
}

static void test_abort_resets_at_once(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 100);
	tcp_abort(o->tcp, o->c);
	one_expect(o, RST | ACK, ISS + 1, IRS + 1, 0);
	one_release(o);
	assert_int_equal(tcp_conns(o->tcp), 0);
	one_close(o);
}

static void test_release_of_an_open_connection_resets(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_data(o, 50);
	one_turn(o);
	o->seen = o->outs;
	tcp_release(o->tcp, o->c);
	one_expect(o, RST | ACK, ISS + 1, IRS + 51, 0);
	one_expect_silence(o);
	one_close(o);
}

static void test_half_close_lets_the_other_side_finish(void **state)
{
	struct sim *sim = sim_open(&(struct sim_options){.seed = 5, .delay_us = 400, .loss = 0.05});
	struct sim_app a = {.to_send = 1000, .fin_after = true};
	struct sim_app b = {.to_send = 300000, .fin_on_fin = true, .paused = false};

	sim_connect(sim, &a, &b);
	for (unsigned i = 0; i < 60000 && !(a.closed && b.closed); i++) {
		sim_step(sim, 1000);
		sim_app_send(&sim->host[0], &a);
		sim_app_send(&sim->host[1], &b);
	}
	assert_true(a.closed && b.closed);
	assert_int_equal(a.received, 300000);
	assert_int_equal(b.received, 1000);
	sim_close(sim);
}

static struct one *one_keepalive(void)
{
	struct one *o = one_open_with((struct tcp_options){.keepalive_us = 7200ull * 1000000});

	one_establish(o);
	return o;
}

static void test_a_silent_peer_is_dropped_after_the_user_timeout(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.user_timeout_us = 5000000});

	one_establish(o);
	one_wait_us(o, 20000000); // idle: it owes nothing
	assert_int_equal(tcp_conns(o->tcp), 1);
	one_in(o, ACK, NULL, 0);
	one_send(o, 100);
	one_wait_us(o, 4900000);
	assert_int_equal(tcp_conns(o->tcp), 1);
	one_wait_us(o, 4000000); // at the next retransmission
	assert_int_equal(tcp_conns(o->tcp), 0);
	one_release(o);
	one_close(o);
}

static void test_keepalive_drops_a_dead_peer(void **state)
{
	struct one *o = one_keepalive();

	one_wait_us(o, 7199ull * 1000000);
	one_expect_silence(o);
	one_wait_us(o, 2000000);
	one_expect(o, ACK, ISS, IRS + 1, 0);
	one_wait_us(o, 9 * 76000000ull);
	assert_int_equal(o->tcp->n.probes, 9);
	assert_int_equal(o->tcp->n.keepalive_drops, 1);
	one_release(o);
	one_close(o);
}

static void test_keepalive_leaves_a_living_peer_alone(void **state)
{
	struct one *o = one_keepalive();

	for (unsigned i = 1; i <= 3; i++) {
		one_wait_us(o, 7201ull * 1000000);
		one_expect(o, ACK, ISS, IRS + 1, 0);
		one_in(o, ACK, NULL, 0);
		assert_int_equal(o->tcp->n.probes, i);
	}
	one_wait_us(o, 3600ull * 1000000); // something was heard half-way: the wait begins anew
	one_in(o, ACK, NULL, 0);
	one_wait_us(o, 7100ull * 1000000);
	one_expect_silence(o);
	assert_int_equal(tcp_conns(o->tcp), 1);
	one_close(o);
}

static void test_our_keepalive_is_answered(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_at(o, -1, ACK, NULL, 0);
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	one_in_at(o, -1, ACK, "x", 1);
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	one_close(o);
}

static void test_an_idle_half_closed_peer_is_probed(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	tcp_shutdown(o->tcp, o->c);
	one_expect(o, FIN | ACK, ISS + 1, IRS + 1, 0);
	o->ack = ISS + 2;
	one_in(o, ACK, NULL, 0);
	one_wait_us(o, 61000000);
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	one_wait_us(o, 9 * 61000000ull);
	one_release(o);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_peer_closes_first),
		cmocka_unit_test(test_the_fin_rides_on_the_last_data),
		cmocka_unit_test(test_time_wait_answers_and_expires),
		cmocka_unit_test(test_a_new_syn_takes_over_a_time_wait),
		cmocka_unit_test(test_a_timestamp_tells_an_old_syn_from_a_new_one),
		cmocka_unit_test(test_time_wait_records_are_bounded),
		cmocka_unit_test(test_both_close_at_once),
		cmocka_unit_test(test_a_lost_fin_is_sent_again),
		cmocka_unit_test(test_only_the_exact_reset_counts),
		cmocka_unit_test(test_a_syn_in_a_connection_is_challenged),
		cmocka_unit_test(test_abort_resets_at_once),
		cmocka_unit_test(test_release_of_an_open_connection_resets),
		cmocka_unit_test(test_half_close_lets_the_other_side_finish),
		cmocka_unit_test(test_a_silent_peer_is_dropped_after_the_user_timeout),
		cmocka_unit_test(test_keepalive_drops_a_dead_peer),
		cmocka_unit_test(test_keepalive_leaves_a_living_peer_alone),
		cmocka_unit_test(test_our_keepalive_is_answered),
		cmocka_unit_test(test_an_idle_half_closed_peer_is_probed),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
