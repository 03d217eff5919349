// SPDX-License-Identifier: BSD-3-Clause
// Sending: segments from mbufs, acknowledgements, retransmission, recovery, windows.
#include "tcp_one.h"

static void ack_to(struct one *o, uint32_t ack)
{
	o->ack = ack;
	one_in(o, ACK, NULL, 0);
}

static void test_a_reply_leaves_in_its_own_mbuf(void **state)
{
	struct one *o = one_open();
	struct rte_mbuf *m;

	one_establish(o);
	one_turn(o);
	m = rte_pktmbuf_alloc(o->pool);
	rte_pktmbuf_append(m, 1000);
	o->hold = true;
	tcp_send(o->tcp, o->c, m);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1000);
	assert_ptr_equal(o->held[0], m);
	assert_int_equal(rte_mbuf_refcnt_read(m), 2);
	assert_int_equal(rte_mempool_in_use_count(o->pool), 1);
	ack_to(o, ISS + 1001); // before the device gives it back
	one_turn(o);
	assert_int_equal(rte_mempool_in_use_count(o->pool), 1);
	one_let_go(o);
	assert_int_equal(rte_mempool_in_use_count(o->pool), 0);
	one_close(o);
}

static void test_a_retransmission_uses_the_same_mbuf_or_a_copy(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	o->hold = true;
	one_send(o, 500);
	one_expect(o, ACK, ISS + 1, IRS + 1, 500);
	one_wait_us(o, 250000); // no RTT but the handshake's, which was none: the minimum
	one_expect(o, ACK, ISS + 1, IRS + 1, 500);
	assert_int_equal(
		rte_mempool_in_use_count(o->pool), 2); // a copy: the device holds the first
	o->seen = o->outs;
	one_let_go(o);
	o->hold = true;
	one_wait_us(o, 400000);
	assert_true(o->outs > o->seen);
	assert_int_equal(rte_mempool_in_use_count(o->pool), 1); // in place
	one_close(o);
}

static void test_a_partial_acknowledgement_sends_only_the_rest_again(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 1000);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1000);
	ack_to(o, ISS + 1 + 300);
	one_turn(o);
	assert_int_equal(tcp_send_pending(o->c), 700);
	one_wait_us(o, 1100000);
	one_expect(o, ACK, ISS + 301, IRS + 1, 700);
	ack_to(o, ISS + 1001);
	one_turn(o);
	assert_int_equal(tcp_send_pending(o->c), 0);
	one_close(o);
}

static void test_small_replies_of_a_turn_share_a_segment(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	for (unsigned i = 0; i < 100; i++)
		one_send(o, 20);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	one_expect(o, ACK, ISS + 1461, IRS + 1, 540);
	one_expect_silence(o);
	assert_true(rte_mempool_in_use_count(o->pool) <= 3);
	one_close(o);
}

static void test_the_timeout_backs_off_and_gives_up(void **state)
{
	struct one *o = one_open();
	uint64_t start, rto = 200000;

	one_establish(o);
	one_send(o, 100);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	ack_to(o, ISS + 101); // an RTT of 0: the minimum holds
	one_turn(o);
	one_send(o, 100);
	one_expect(o, ACK, ISS + 101, IRS + 1, 100);
	for (unsigned i = 0; i < 15; i++) {
		start = o->now_us;
		while (o->seen == o->outs) {
			o->now_us = o->next_us;
			one_turn(o);
		}
		assert_true(o->now_us - start >= rto - 1000 && o->now_us - start <= rto + 2000);
		rto = RTE_MIN(rto * 2, 60000000u);
		one_expect(o, ACK, ISS + 101, IRS + 1, 100);
	}
	one_wait_us(o, 61000000);
	one_expect(o, RST | ACK, ISS + 201, IRS + 1, 0);
	one_release(o);
	one_close(o);
}

static void send_ten(struct one *o)
{
	one_establish(o);
	tcp_rtt_init(o->tcp, o->c);
	tcp_rtt_sample(o->tcp, o->c, 1000);
	for (unsigned i = 0; i < 10; i++)
		one_send(o, 1460);
	for (unsigned i = 0; i < 10; i++)
		one_expect(o, ACK, ISS + 1 + i * 1460, IRS + 1, 1460);
	one_expect_silence(o);
}

static void test_three_sacked_segments_bring_the_lost_one_back(void **state)
{
	struct one *o = one_open();

	send_ten(o);
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 2 * 1460);
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 3 * 1460);
	one_expect_silence(o);
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 4 * 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	one_expect_silence(o);
	assert_int_equal(o->tcp->n.fast_retransmits, 1);
	ack_to(o, ISS + 1 + 10 * 1460);
	one_turn(o);
	assert_int_equal(tcp_send_pending(o->c), 0);
	assert_int_equal(o->c->recovery, TCP_R_OPEN);
	assert_int_equal(o->c->sacked_bytes | o->c->lost_bytes | o->c->retrans_bytes, 0);
	one_close(o);
}

static void test_two_holes_are_sent_in_one_recovery(void **state)
{
	struct one *o = one_open();
	struct tcp_ooo b = {.blocks = 2,
		.sack = {{ISS + 1 + 5 * 1460, ISS + 1 + 10 * 1460},
			{ISS + 1 + 1460, ISS + 1 + 4 * 1460}}};
	uint8_t opts[40];

	send_ten(o);
	one_in_raw(o, ACK, opts, tcp_options_sack(opts, NULL, &b, 2), NULL, 0);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	one_expect(o, ACK, ISS + 1 + 4 * 1460, IRS + 1, 1460);
	one_expect_silence(o);
	assert_int_equal(o->tcp->n.fast_retransmits, 1);
	one_close(o);
}

static void test_three_duplicates_bring_it_back_without_sack(void **state)
{
	struct one *o = one_open();

	o->tcp->offer = 0;
	send_ten(o);
	for (unsigned i = 0; i < 2; i++) {
		one_in(o, ACK, NULL, 0);
		one_expect_silence(o);
	}
	one_in(o, ACK, NULL, 0);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	ack_to(o, ISS + 1 + 5 * 1460); // partial: the next hole (RFC 6582)
	one_expect(o, ACK, ISS + 1 + 5 * 1460, IRS + 1, 1460);
	ack_to(o, ISS + 1 + 10 * 1460);
	one_turn(o);
	assert_int_equal(o->c->recovery, TCP_R_OPEN);
	assert_int_equal(o->c->sacked_bytes | o->c->lost_bytes | o->c->retrans_bytes, 0);
	one_close(o);
}

// RFC 6582 section 3.2 step 1 compares with where the last recovery ended, modulo 2^32.
static void test_fast_retransmit_works_after_2_gib_without_a_loss(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.snd_buf_bytes = 8 << 20});
	uint32_t step = 5000 * 1460u, sent = 0;

	o->tcp->offer = TCP_F_WSCALE;
	one_establish(o);
	o->c->snd_wnd = o->c->snd_wnd_max = 8 << 20;
	while (sent < 0x80000000u + step) { // as if it had been sent
		o->c->snd_nxt += step;
		sent += step;
		ack_to(o, ISS + 1 + sent);
		o->c->snd_wnd = o->c->snd_wnd_max = 8 << 20;
		one_expect_silence(o);
	}
	for (unsigned i = 0; i < 5; i++)
		one_send(o, 1460);
	one_turn(o);
	o->seen = o->outs;
	o->wnd = 65534;
	for (unsigned i = 0; i < 4; i++) // the first updates the window
		one_in(o, ACK, NULL, 0);
	one_expect(o, ACK, ISS + 1 + sent, IRS + 1, 1460);
	assert_int_equal(o->tcp->n.fast_retransmits, 1);
	one_close(o);
}

static void test_limited_transmit_sends_new_data_on_the_first_duplicates(void **state)
{
	struct one *o = one_open();

	send_ten(o);
	for (unsigned i = 0; i < 4; i++)
		one_send(o, 1460);
	one_expect_silence(o); // the initial window is used up
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 2 * 1460);
	one_expect(o, ACK, ISS + 1 + 10 * 1460, IRS + 1, 1460); // RFC 3042
	one_expect_silence(o);
	one_close(o);
}

static void test_a_peer_that_takes_sack_back_gets_everything(void **state)
{
	struct one *o = one_open();

	send_ten(o);
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 10 * 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	ack_to(o, ISS + 1 + 1460); // the rest was dropped by the peer
	one_turn(o);
	o->seen = o->outs;
	for (unsigned i = 1; i < 10; i++) {
		unsigned tries = 0;

		while (o->seen == o->outs && tries++ < 100)
			one_wait_us(o, 100000);
		one_expect(o, ACK, ISS + 1 + i * 1460, IRS + 1, 1460);
		o->seen = o->outs;
		ack_to(o, ISS + 1 + (i + 1) * 1460);
		o->seen = o->outs;
		one_turn(o);
		if (o->outs > o->seen)
			break; // slow start goes on from here
	}
	one_close(o);
}

static void test_the_window_grows_only_where_it_limits(void **state)
{
	struct one *o = one_open();
	uint32_t before;

	one_establish(o);
	before = o->c->cwnd;
	for (unsigned i = 0; i < 100; i++) {
		one_send(o, 100);
		one_turn(o);
		ack_to(o, o->ack + 100);
		one_turn(o);
	}
	assert_int_equal(o->c->cwnd, before);
	o->seen = o->outs;
	for (unsigned i = 0; i < 20; i++)
		one_send(o, 1460);
	one_turn(o);
	assert_int_equal(o->outs - o->seen, 10); // RFC 6928
	ack_to(o, o->ack + 10 * 1460);
	one_turn(o);
	assert_true(o->c->cwnd > before);
	one_close(o);
}

static void test_a_closed_window_is_probed_and_data_flows_when_it_opens(void **state)
{
	struct one *o = one_open();
	uint64_t last = 0;

	one_establish(o);
	o->wnd = 0;
	one_in(o, ACK, NULL, 0);
	one_send(o, 100);
	one_expect_silence(o);
	for (unsigned i = 0; i < 40; i++) { // longer than any retry limit: it answers every time
		uint64_t start = o->now_us;

		while (o->seen == o->outs) {
			o->now_us = o->next_us;
			one_turn(o);
		}
		assert_true(o->now_us - start + 2000 >= last);
		last = o->now_us - start;
		one_expect(o, ACK, ISS, IRS + 1, 0);
		one_in(o, ACK, NULL, 0);
	}
	assert_true(last > 50000000 && last < 61000000);
	o->wnd = 1000;
	one_in(o, ACK, NULL, 0);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	one_close(o);
}

static void test_a_silly_window_is_not_used_until_the_override(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	o->wnd = 100;
	one_in(o, ACK, NULL, 0);
	one_send(o, 1460);
	one_expect_silence(o);
	one_wait_us(o, 1100000);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	one_close(o);
}

static void test_data_in_flight_when_the_window_closes_is_not_given_up(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 1000);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1000);
	o->wnd = 0; // it had no room after all
	one_in(o, ACK, NULL, 0);
	for (unsigned i = 0; i < 30; i++) {
		one_wait_us(o, 61000000);
		one_in(o, ACK, NULL, 0);
	}
	assert_int_equal(tcp_conns(o->tcp), 1);
	o->wnd = 65535;
	one_in(o, ACK, NULL, 0);
	o->seen = o->outs;
	one_wait_us(o, 61000000);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1000);
	one_close(o);
}

// The peer was short of mbufs, dropped what it had offered room for, and reads on after a while.
static void test_a_window_that_opens_ends_the_wait_for_a_timeout(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	o->wnd = 100;
	one_in(o, ACK, NULL, 0);
	one_send(o, 1000);
	one_wait_us(o, 20000000); // the override's 100 bytes, time and again
	assert_true(o->outs > o->seen + 3);
	o->seen = o->outs;
	o->wnd = 65535;
	one_in(o, ACK, NULL, 0);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	one_expect(o, ACK, ISS + 101, IRS + 1, 900);
	o->wnd--;
	one_in(o, ACK, NULL, 0);
	o->wnd++;
	one_in(o, ACK, NULL, 0);
	one_expect_silence(o); // once a timeout
	one_close(o);
}

// ... and its window had been open all the time.
static void test_an_ack_after_silence_ends_the_wait_for_a_timeout(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 400);
	one_wait_us(o, 20000000);
	assert_true(o->outs > o->seen + 3);
	o->seen = o->outs;
	one_wait_us(o, 1000000);
	one_expect_silence(o);
	one_in(o, ACK, NULL, 0);
	one_expect(o, ACK, ISS + 1, IRS + 1, 400);
	one_in(o, ACK, NULL, 0);
	one_expect_silence(o); // once a timeout
	one_close(o);
}

static void test_acks_of_nothing_sent_are_answered_and_ignored(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 100);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	ack_to(o, ISS + 102);
	one_expect(o, ACK, ISS + 101, IRS + 1, 0);
	ack_to(o, ISS - 70000); // older than any window
	one_turn(o);
	assert_int_equal(tcp_send_pending(o->c), 100);
	one_close(o);
}

static void test_room_comes_back_as_an_event(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.snd_buf_bytes = 3000});

	one_establish(o);
	assert_int_equal(tcp_send_room(o->tcp, o->c), 3000);
	one_send(o, 1460);
	one_send(o, 1460);
	one_send(o, 1460);
	assert_int_equal(tcp_send_room(o->tcp, o->c), 0);
	one_turn(o);
	assert_false(o->events & TCP_EV_WRITABLE);
	ack_to(o, ISS + 1 + 2 * 1460);
	one_expect_event(o, TCP_EV_WRITABLE);
	assert_int_equal(tcp_send_room(o->tcp, o->c), 3000 - 1460);
	one_close(o);
}

static void test_without_mbufs_sending_waits_for_them(void **state)
{
	struct one *o = one_open();
	struct rte_mbuf *hog[MBUFS];
	unsigned n = 0;
	uint8_t *buf = malloc(2000);
	uint16_t size = 2000;
	struct rte_mbuf *m;

	one_establish(o);
	m = rte_pktmbuf_alloc(o->pool);
	rte_pktmbuf_attach_extbuf(
		m, buf, 0, size, rte_pktmbuf_ext_shinfo_init_helper(buf, &size, sim_ext_free, buf));
	rte_pktmbuf_append(m, 1000);
	while ((hog[n] = rte_pktmbuf_alloc(o->pool)) != NULL)
		n++;
	tcp_send(o->tcp, o->c, m); // needs a header mbuf
	one_expect_silence(o);
	assert_true(o->tcp->n.no_memory > 0);
	rte_pktmbuf_free_bulk(hog, n);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1000);
	one_close(o);
}

static void test_the_first_rtt_sample_comes_from_the_handshake(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	one_wait_us(o, 80000);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	assert_int_equal(o->c->srtt_us, 80000);
	assert_int_equal(o->c->rto_us, 240000);
	one_close(o);
}

// Later data arrives, the retransmission does not: no timeout is needed to see it.
static void test_a_lost_retransmission_is_sent_again(void **state)
{
	struct one *o = one_open();
	uint32_t ssthresh;

	send_ten(o);
	one_wait_us(o, 1000);
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 4 * 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	ssthresh = o->c->ssthresh;
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 10 * 1460); // sent before it
	one_expect_silence(o);
	one_wait_us(o, 1000);
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1 + 10 * 1460, IRS + 1, 1460);
	one_wait_us(o, 1000);
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 11 * 1460); // sent after it
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	assert_int_equal(o->c->ssthresh, ssthresh * 7 / 10); // RFC 5681 section 4.3
	one_in_sack(o, ISS + 1 + 1460, ISS + 1 + 11 * 1460);
	one_expect_silence(o);
	assert_int_equal(o->tcp->n.rto_fires, 0);
	one_close(o);
}

// An acknowledgement to `ack` that echoes `tsecr`.
static void ack_echo(struct one *o, uint32_t ack, uint32_t tsecr)
{
	uint8_t opts[12];

	o->ack = ack;
	one_in_raw(o, ACK, opts, tcp_options_ts(opts, o->tsval, tsecr), NULL, 0);
	one_turn(o);
}

// Sends 100 bytes. Returns their timestamp.
static uint32_t send_stamped(struct one *o)
{
	one_send(o, 100);
	return one_out(o)->tsval;
}

static struct one *one_with_rtt_10_ms(void)
{
	struct one *o = one_open();

	o->tsval = 7;
	one_establish(o);
	tcp_rtt_init(o->tcp, o->c);
	for (unsigned i = 0; i < 20; i++) {
		uint32_t ts = send_stamped(o);

		one_wait_us(o, 10000);
		ack_echo(o, o->ack + 100, ts);
	}
	assert_in_range(o->c->srtt_us, 9000, 11000);
	return o;
}

// The first copy arrived, its acknowledgement was lost, the second copy was answered.
static void test_a_lost_acknowledgement_does_not_stretch_the_timeout(void **state)
{
	struct one *o = one_with_rtt_10_ms();

	for (unsigned i = 0; i < 10; i++) {
		uint32_t ts = send_stamped(o);

		one_wait_us(o, 201000);
		one_out(o);
		one_wait_us(o, 10000);
		ack_echo(o, o->ack + 100, ts);
		one_expect_silence(o);
	}
	assert_int_equal(o->tcp->n.rto_fires, 10);
	assert_in_range(o->c->srtt_us, 8000, 12000);
	one_close(o);
}

// The path became slow: the echo tells that the second copy was not needed.
static void test_a_needless_timeout_stretches_the_next(void **state)
{
	struct one *o = one_with_rtt_10_ms();
	uint32_t ts = send_stamped(o);

	one_wait_us(o, 300000);
	one_out(o);
	ack_echo(o, o->ack + 100, ts);
	assert_in_range(o->c->srtt_us, 10000 * 7 / 8 + 300000 / 8 - 2000, 50000);
	assert_true(o->c->rto_us > 300000);
	one_close(o);
}

// Before any sample nobody can tell which copy is answered (RFC 6298 section 5: the backoff stays).
static void test_a_doubtful_first_sample_is_not_taken(void **state)
{
	struct one *o = one_open();
	uint32_t ts;

	o->tsval = 7;
	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_out(o);
	one_wait_us(o, 1100000); // the SYN-ACK was sent twice, too
	one_out(o);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	ts = send_stamped(o);
	one_wait_us(o, 3100000);
	one_out(o);
	one_wait_us(o, 1000);
	ack_echo(o, o->ack + 100, ts);
	assert_int_equal(o->c->srtt_us, 0);
	assert_int_equal(o->c->rto_us, 6000000);
	ts = send_stamped(o);
	one_wait_us(o, 1000);
	ack_echo(o, o->ack + 100, ts);
	assert_in_range(o->c->srtt_us, 900, 1100);
	one_close(o);
}

// The one second that a lost acknowledgement took is forgotten soon.
static void test_a_wrong_sample_does_not_last(void **state)
{
	struct one *o = one_with_rtt_10_ms();

	tcp_rtt_init(o->tcp, o->c);
	tcp_rtt_sample(o->tcp, o->c, 1000000);
	for (unsigned i = 0; i < 8; i++)
		tcp_rtt_sample(o->tcp, o->c, 1000);
	assert_int_equal(tcp_rto_us(o->c), 200000);
	one_close(o);
}

// RFC 6298 section 5.7: data after a lost SYN waits for three seconds.
static void test_a_lost_syn_stretches_the_first_timeout(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_out(o);
	one_wait_us(o, 1100000);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	one_send(o, 100);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	one_wait_us(o, 2900000);
	one_expect_silence(o);
	one_wait_us(o, 200000);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	one_close(o);
}

// What an acknowledgement walks is bounded, however small the replies are.
static void test_the_segments_in_flight_are_bounded(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	o->c->cwnd = 1 << 20;
	for (unsigned i = 0; i < 2000; i++) {
		one_send(o, 10);
		one_turn(o);
	}
	assert_int_equal(o->outs - o->seen, 512);
	o->seen = o->outs;
	ack_to(o, ISS + 1 + 10);
	one_expect(o, ACK, ISS + 1 + 5120, IRS + 1, 1460); // the small ones share segments
	one_expect_silence(o);
	ack_to(o, ISS + 1 + 5120 + 1460);
	for (uint32_t at = 6580; at < 20000; at += 1460)
		one_expect(o, ACK, ISS + 1 + at, IRS + 1, RTE_MIN(20000 - at, 1460u));
	one_expect_silence(o);
	one_close(o);
}

static struct one *one_with_ten_out(void)
{
	struct one *o = one_with_rtt_10_ms();

	for (unsigned i = 0; i < 10; i++)
		one_send(o, 1448);
	for (unsigned i = 0; i < 10; i++)
		one_expect(o, ACK, o->ack + i * 1448, IRS + 1, 1448);
	one_expect_silence(o);
	return o;
}

// The acknowledgement of a whole flight was lost.
static void test_a_silent_flight_is_probed_with_its_last_segment(void **state)
{
	struct one *o = one_with_ten_out();
	uint32_t cwnd = o->c->cwnd, ts = o->out[(o->seen - 1) % OUTS].tsval;

	one_wait_us(o, 30000);
	one_expect(o, ACK, o->ack + 9 * 1448, IRS + 1, 1448);
	one_wait_us(o, 100000);
	one_expect_silence(o); // one only; then the timeout
	ack_echo(o, o->ack + 10 * 1448, ts);
	assert_int_equal(o->tcp->n.loss_probes, 1);
	assert_int_equal(o->tcp->n.rto_fires, 0);
	assert_true(o->c->cwnd >= cwnd); // nothing was lost
	assert_int_equal(tcp_send_pending(o->c), 0);
	one_close(o);
}

static void test_a_probe_that_repairs_a_loss_cuts_the_window(void **state)
{
	struct one *o = one_with_ten_out();
	uint32_t una = o->ack, cwnd = o->c->cwnd;

	one_wait_us(o, 10000);
	ack_echo(o, una + 8 * 1448, o->out[(o->seen - 1) % OUTS].tsval);
	one_wait_us(o, 30000);
	one_expect(o, ACK, una + 9 * 1448, IRS + 1, 1448);
	ack_echo(o, una + 10 * 1448, o->out[(o->seen - 1) % OUTS].tsval);
	assert_true(o->c->cwnd < cwnd);
	one_close(o);
}

static void test_the_report_of_a_probe_brings_the_lost_tail_back(void **state)
{
	struct one *o = one_with_ten_out();
	uint32_t una = o->ack;

	one_wait_us(o, 10000);
	ack_echo(o, una + 6 * 1448, o->out[(o->seen - 1) % OUTS].tsval);
	one_wait_us(o, 30000);
	one_expect(o, ACK, una + 9 * 1448, IRS + 1, 1448);
	one_wait_us(o, 10000);
	one_in_sack(o, una + 9 * 1448, una + 10 * 1448);
	one_expect(o, ACK, una + 6 * 1448, IRS + 1, 1448);
	one_expect_silence(o); // as much as has arrived (RFC 6937)
	one_wait_us(o, 10000);
	o->ack = una + 7 * 1448;
	one_in_sack(o, una + 9 * 1448, una + 10 * 1448);
	one_expect(o, ACK, una + 7 * 1448, IRS + 1, 1448);
	one_expect(o, ACK, una + 8 * 1448, IRS + 1, 1448);
	assert_int_equal(o->c->recovery, TCP_R_FAST);
	assert_int_equal(o->tcp->n.rto_fires, 0);
	one_close(o);
}

// Too few came after it for three reports.
static void test_a_hole_near_the_end_waits_for_reordering_only(void **state)
{
	struct one *o = one_with_ten_out();
	uint32_t una = o->ack;

	one_wait_us(o, 10000);
	ack_echo(o, una + 8 * 1448, o->out[(o->seen - 1) % OUTS].tsval);
	one_in_sack(o, una + 9 * 1448, una + 10 * 1448);
	one_expect_silence(o);
	one_wait_us(o, 4000);
	one_expect(o, ACK, una + 8 * 1448, IRS + 1, 1448);
	one_expect_silence(o);
	assert_int_equal(o->c->recovery, TCP_R_FAST);
	one_close(o);
}

static void test_a_silent_recovery_is_probed_with_its_first_segment(void **state)
{
	struct one *o = one_with_ten_out();
	uint32_t una = o->ack;

	one_wait_us(o, 10000);
	one_in_sack(o, una + 1448, una + 10 * 1448);
	one_expect(o, ACK, una, IRS + 1, 1448);
	one_wait_us(o, 30000);
	one_expect(o, ACK, una, IRS + 1, 1448);
	one_wait_us(o, 100000);
	one_expect_silence(o);
	ack_echo(o, una + 10 * 1448, o->out[(o->seen - 2) % OUTS].tsval);
	assert_int_equal(o->c->recovery, TCP_R_OPEN);
	assert_int_equal(o->tcp->n.rto_fires, 0);
	one_close(o);
}

static void test_a_lone_segment_waits_for_the_timeout(void **state)
{
	struct one *o = one_with_rtt_10_ms();

	send_stamped(o);
	one_wait_us(o, 190000);
	one_expect_silence(o);
	one_wait_us(o, 20000);
	one_out(o);
	assert_int_equal(o->tcp->n.loss_probes, 0);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_reply_leaves_in_its_own_mbuf),
		cmocka_unit_test(test_a_retransmission_uses_the_same_mbuf_or_a_copy),
		cmocka_unit_test(test_a_partial_acknowledgement_sends_only_the_rest_again),
		cmocka_unit_test(test_small_replies_of_a_turn_share_a_segment),
		cmocka_unit_test(test_the_timeout_backs_off_and_gives_up),
		cmocka_unit_test(test_three_sacked_segments_bring_the_lost_one_back),
		cmocka_unit_test(test_two_holes_are_sent_in_one_recovery),
		cmocka_unit_test(test_three_duplicates_bring_it_back_without_sack),
		cmocka_unit_test(test_fast_retransmit_works_after_2_gib_without_a_loss),
		cmocka_unit_test(test_limited_transmit_sends_new_data_on_the_first_duplicates),
		cmocka_unit_test(test_a_peer_that_takes_sack_back_gets_everything),
		cmocka_unit_test(test_the_window_grows_only_where_it_limits),
		cmocka_unit_test(test_a_closed_window_is_probed_and_data_flows_when_it_opens),
		cmocka_unit_test(test_a_silly_window_is_not_used_until_the_override),
		cmocka_unit_test(test_data_in_flight_when_the_window_closes_is_not_given_up),
		cmocka_unit_test(test_a_window_that_opens_ends_the_wait_for_a_timeout),
		cmocka_unit_test(test_an_ack_after_silence_ends_the_wait_for_a_timeout),
		cmocka_unit_test(test_acks_of_nothing_sent_are_answered_and_ignored),
		cmocka_unit_test(test_room_comes_back_as_an_event),
		cmocka_unit_test(test_without_mbufs_sending_waits_for_them),
		cmocka_unit_test(test_the_first_rtt_sample_comes_from_the_handshake),
		cmocka_unit_test(test_a_lost_retransmission_is_sent_again),
		cmocka_unit_test(test_a_lost_acknowledgement_does_not_stretch_the_timeout),
		cmocka_unit_test(test_a_needless_timeout_stretches_the_next),
		cmocka_unit_test(test_a_doubtful_first_sample_is_not_taken),
		cmocka_unit_test(test_a_wrong_sample_does_not_last),
		cmocka_unit_test(test_a_lost_syn_stretches_the_first_timeout),
		cmocka_unit_test(test_the_segments_in_flight_are_bounded),
		cmocka_unit_test(test_a_silent_flight_is_probed_with_its_last_segment),
		cmocka_unit_test(test_a_probe_that_repairs_a_loss_cuts_the_window),
		cmocka_unit_test(test_the_report_of_a_probe_brings_the_lost_tail_back),
		cmocka_unit_test(test_a_hole_near_the_end_waits_for_reordering_only),
		cmocka_unit_test(test_a_silent_recovery_is_probed_with_its_first_segment),
		cmocka_unit_test(test_a_lone_segment_waits_for_the_timeout),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
