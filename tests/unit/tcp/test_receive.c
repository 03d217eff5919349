// SPDX-License-Identifier: BSD-3-Clause
// Receiving: order, SACK blocks, acknowledgements, the window, timestamps.
#include "tcp_one.h"

static void expect_block(const struct tcp_seg *s, unsigned i, uint32_t start, uint32_t end)
{
	assert_true(i < s->sacks);
	assert_int_equal(s->sack[i].start - IRS - 1, start);
	assert_int_equal(s->sack[i].end - IRS - 1, end);
}

static void test_a_hole_is_told_by_sack_blocks_latest_first(void **state)
{
	struct one *o = one_open();
	uint8_t d[100] = {0};
	const struct tcp_seg *s;

	one_establish(o);
	one_in_at(o, 100, ACK, d, 100);
	s = one_out(o);
	assert_int_equal(s->ack, IRS + 1);
	assert_int_equal(s->sacks, 1);
	expect_block(s, 0, 100, 200);
	one_in_at(o, 500, ACK, d, 100);
	one_in_at(o, 300, ACK, d, 100);
	s = one_out(o); // one ACK a turn
	expect_block(s, 0, 300, 400);
	expect_block(s, 1, 500, 600);
	expect_block(s, 2, 100, 200);
	one_in_at(o, 200, ACK, d, 100);
	s = one_out(o);
	assert_int_equal(s->sacks, 2);
	expect_block(s, 0, 100, 400);
	expect_block(s, 1, 500, 600);
	one_in_at(o, 0, ACK, d, 100); // fills the first hole
	s = one_out(o);
	assert_int_equal(s->ack, IRS + 1 + 400);
	assert_int_equal(s->sacks, 1);
	expect_block(s, 0, 500, 600);
	one_in_at(o, 350, ACK, d, 100); // overlaps what is there
	one_in_at(o, 420, ACK, d, 100);
	s = one_out(o); // each duplicate is told of (RFC 2883)
	assert_int_equal(s->ack, IRS + 1 + 450);
	expect_block(s, 0, 350, 400);
	expect_block(s, 1, 500, 600);
	s = one_out(o);
	assert_int_equal(s->ack, IRS + 1 + 600);
	assert_int_equal(s->sacks, 1);
	expect_block(s, 0, 420, 450);
	assert_null(o->c->ooo);
	assert_int_equal(tcp_rx_bytes(o->c), 600);
	one_close(o);
}

// Every way that segments can overlap, against a plain byte map.
// RFC 2018 section 4: what no ACK tells of is sent again. A burst is read before any ACK leaves.
static void holes_of_a_burst_are_all_told(bool ts)
{
	enum { HOLES = 11 };
	struct one *o = one_open();
	bool told[HOLES] = {false};

	o->tsval = ts ? 9 : 0;
	one_establish(o);
	for (unsigned i = 0; i < HOLES; i++) {
		one_in_at(o, (int32_t)(100 + i * 100), ACK, "ten bytes", 10);
		one_in_at(o, (int32_t)(110 + i * 100), ACK, "ten bytes", 10);
	}
	one_turn(o);
	assert_int_equal(o->outs - o->seen, ts ? 4 : 3);
	for (; o->seen < o->outs; o->seen++) {
		const struct tcp_seg *s = &o->out[o->seen % OUTS];

		for (unsigned k = 0; k < s->sacks; k++) {
			unsigned i = (s->sack[k].start - o->seq - 100) / 100;

			assert_int_equal(s->sack[k].end - s->sack[k].start, 20);
			assert_true(i < HOLES);
			told[i] = true;
		}
	}
	for (unsigned i = 0; i < HOLES; i++)
		assert_true(told[i]);
	one_close(o);
}

static unsigned acks_of_a_burst(struct one *o, unsigned segments)
{
	for (unsigned i = 0; i < segments; i++)
		one_in_data(o, 1000);
	one_turn(o);
	tcp_rx_consume(o->tcp, o->c, tcp_rx_bytes(o->c));
	return o->outs - o->seen;
}

static void test_a_burst_gets_one_ack(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_settle(o);
	assert_int_equal(acks_of_a_burst(o, 11), 1);
	assert_int_equal(o->out[o->seen++ % OUTS].ack, o->seq);
	one_close(o);
}

// RFC 5681 section 4.2: an ACK that is lost may not stand for a whole window.
static void test_where_segments_get_lost_a_burst_gets_an_ack_for_every_second(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_settle(o);
	one_in_at(o, 1000, ACK, "ten bytes", 10);
	one_turn(o);
	o->seen = o->outs;
	assert_int_equal(acks_of_a_burst(o, 11), 6);
	assert_int_equal(o->out[o->seen % OUTS].ack, o->seq - 9000);
	assert_int_equal(o->out[(o->outs - 1) % OUTS].ack, o->seq);
	o->seen = o->outs;
	for (unsigned i = 0; i < 64; i++) // in order for long
		acks_of_a_burst(o, 4);
	o->seen = o->outs;
	assert_int_equal(acks_of_a_burst(o, 11), 1);
	o->seen = o->outs;
	one_close(o);
}

static void test_holes_of_a_burst_are_all_told(void **state)
{
	holes_of_a_burst_are_all_told(false);
	holes_of_a_burst_are_all_told(true);
}

// RFC 5681 section 4.2: a full segment has no room for the news of a hole, and is no duplicate ACK.
static void test_data_does_not_replace_the_news_of_a_hole(void **state)
{
	static const uint32_t offer[] = {TCP_F_SACK, 0};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(offer); i++) {
		struct one *o = one_open();

		o->tcp->offer = offer[i];
		one_establish(o);
		one_in_at(o, 100, ACK, "ten bytes", 10);
		one_send(o, 1460);
		one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
		one_expect(o, ACK, ISS + 1461, IRS + 1, 0);
		assert_int_equal(o->out[(o->seen - 1) % OUTS].sacks, offer[i] != 0);
		one_send(o, 100);
		one_expect(o, ACK, ISS + 1461, IRS + 1, 100);
		one_expect_silence(o);
		one_close(o);
	}
}

static void test_overlapping_segments_give_the_right_bytes(void **state)
{
	for (unsigned seed = 0; seed < 40; seed++) {
		struct one *o = one_open();
		struct base_rng rng;
		uint8_t data[4000], got[4000];
		uint32_t n = 0, base;

		base_rng_seed(&rng, seed);
		for (unsigned i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)base_rng_next(&rng);
		one_establish(o);
		base = o->seq;
		for (unsigned k = 0; k < 600; k++) {
			uint32_t at = (uint32_t)base_rng_below(&rng, sizeof(data));
			uint32_t len = 1 + (uint32_t)base_rng_below(&rng, seed & 1 ? 20 : 700);

			len = RTE_MIN(len, (uint32_t)sizeof(data) - at);
			o->seq = base + at;
			one_in(o, ACK, data + at, len);
			one_turn(o);
		}
		for (uint32_t at = 0; at < sizeof(data); at += 100) {
			o->seq = base + at;
			one_in(o, ACK, data + at, 100);
		}
		assert_int_equal(tcp_rx_bytes(o->c), sizeof(data));
		for (struct rte_mbuf *m = tcp_rx_peek(o->c); m != NULL; m = m->next) {
			memcpy(got + n, rte_pktmbuf_mtod(m, void *), m->data_len);
			n += m->data_len;
		}
		assert_int_equal(n, sizeof(got));
		assert_memory_equal(got, data, sizeof(data));
		assert_null(o->c->ooo);
		one_close(o);
	}
}

static void test_a_reply_carries_the_ack(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	for (unsigned i = 0; i < 50; i++) {
		one_in_data(o, 20);
		one_events(o);
		tcp_rx_consume(o->tcp, o->c, tcp_rx_bytes(o->c));
		one_send(o, 30);
		one_expect(o, ACK, o->ack, o->seq, 30);
		one_expect_silence(o);
		o->ack += 30;
	}
	assert_int_equal(o->tcp->n.tx_pure_acks, 0);
	one_close(o);
}

static void test_a_lone_segment_is_acknowledged_late_two_full_ones_at_once(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_data(o, 1460); // quick at the start
	one_expect(o, ACK, ISS + 1, o->seq, 0);
	one_settle(o);
	one_in_data(o, 1460);
	one_expect_silence(o);
	one_wait_us(o, 38000);
	one_expect_silence(o);
	one_wait_us(o, 4000);
	one_expect(o, ACK, ISS + 1, o->seq, 0);
	one_in_data(o, 1460);
	one_expect_silence(o);
	one_in_data(o, 1460);
	one_expect(o, ACK, ISS + 1, o->seq, 0);
	one_wait_us(o, 100000);
	one_expect_silence(o);
	one_close(o);
}

static void test_a_peer_without_sack_gets_its_duplicate_acks(void **state)
{
	struct one *o = one_open();
	uint8_t d[100] = {0};
	static const uint8_t mss[4] = {2, 4, 5, 180};

	o->seq = IRS;
	one_in_raw(o, SYN, mss, 4, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	for (int i = 1; i <= 4; i++)
		one_in_at(o, i * 100, ACK, d, 100);
	for (int i = 1; i <= 4; i++)
		one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	one_expect_silence(o);
	one_close(o);
}

static void test_the_window_closes_never_shrinks_and_opens_in_steps(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.rcv_buf_bytes = 10000});
	uint32_t edge, last;

	one_establish(o);
	last = o->c->rcv_adv;
	for (unsigned i = 0; i < 10; i++) {
		const struct tcp_seg *s;

		one_in_data(o, 1000);
		s = one_out(o);
		edge = s->ack + s->wnd;
		assert_true(seq_le(last, edge));
		last = edge;
	}
	assert_int_equal(last, IRS + 1 + 10000); // closed
	one_in_at(o, 0, ACK, "x", 1);            // a probe
	one_expect(o, ACK, ISS + 1, o->seq, 0);
	assert_int_equal(tcp_rx_bytes(o->c), 10000);
	tcp_rx_consume(o->tcp, o->c, 500);
	one_expect_silence(o); // too little to tell
	tcp_rx_consume(o->tcp, o->c, 2600);
	one_expect(o, ACK, ISS + 1, o->seq, 0);
	assert_int_equal(o->out[(o->seen - 1) % OUTS].wnd, 3100);
	one_in_at(o, 3100, ACK, "beyond", 6);
	one_turn(o);
	assert_int_equal(tcp_rx_bytes(o->c), 6900);
	assert_null(o->c->ooo);
	one_close(o);
}

static void test_data_beyond_the_window_is_cut(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.rcv_buf_bytes = 1000});

	one_establish(o);
	one_in_data(o, 1400);
	one_turn(o);
	assert_int_equal(tcp_rx_bytes(o->c), 1000);
	one_close(o);
}

static void test_one_byte_segments_share_mbufs(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	for (unsigned i = 0; i < 1400; i++)
		one_in_data(o, 1);
	assert_int_equal(tcp_rx_bytes(o->c), 1400);
	assert_true(o->c->rx_mbufs <= 2);
	assert_true(rte_mempool_in_use_count(o->pool) < 10);
	one_close(o);
}

static void test_scattered_bytes_pin_a_bounded_number_of_mbufs(void **state)
{
	struct one *o = one_open();
	unsigned max = 65535 / 512 + 16;

	one_establish(o);
	for (int i = 1; i < 3000; i++)
		one_in_at(o, 2 * i, ACK, "x", 1);
	assert_true(o->c->ooo->mbufs <= max);
	assert_true(o->tcp->n.ooo_dropped > 0);
	one_turn(o);
	assert_true(rte_mempool_in_use_count(o->pool) <= max + 1);
	one_close(o);
}

// What had room when the window was told, and none when it came: the sender learns when it may send
// again, though the window has no news.
static void test_the_end_of_a_shortage_is_told(void **state)
{
	struct one *o = one_open();
	struct rte_mbuf *hog[MBUFS];
	unsigned n = 0;

	one_establish(o);
	one_settle(o);
	while (rte_mempool_avail_count(o->pool) > MBUFS / 20)
		hog[n++] = rte_pktmbuf_alloc(o->pool);
	one_wait_us(o, 1000);
	for (unsigned i = 0; i < 8 && o->tcp->n.rcv_pruned == 0; i++)
		one_in_data(o, 1000);
	assert_int_equal(o->tcp->n.rcv_pruned, 1);
	one_wait_us(o, 100000);
	o->seen = o->outs;
	tcp_rx_consume(o->tcp, o->c, tcp_rx_bytes(o->c));
	one_expect(o, ACK, ISS + 1, o->seq - 1000, 0);
	one_expect_silence(o);
	while (n > 0)
		rte_pktmbuf_free(hog[--n]);
	one_close(o);
}

static void test_scarce_mbufs_drop_out_of_order_data_first(void **state)
{
	struct one *o = one_open();
	struct rte_mbuf *hog[MBUFS];
	unsigned n = 0;

	one_establish(o);
	one_in_data(o, 100);
	one_in_at(o, 100, ACK, "abc", 3);
	one_turn(o);
	assert_non_null(o->c->ooo);
	while (rte_mempool_avail_count(o->pool) > MBUFS / 20)
		hog[n++] = rte_pktmbuf_alloc(o->pool);
	o->now_us += 1000;
	one_turn(o);
	assert_null(o->c->ooo);
	one_in_at(o, 100, ACK, "abc", 3);
	assert_null(o->c->ooo);
	assert_true(o->tcp->n.rcv_pruned >= 2);
	assert_int_equal(tcp_rx_bytes(o->c), 100); // what was acknowledged stays
	rte_pktmbuf_free_bulk(hog, n);
	one_close(o);
}

static struct one *one_with_timestamps(void)
{
	struct one *o = one_open();

	o->tsval = 1000;
	one_establish(o);
	return o;
}

// Leaves `free` mbufs. Returns how many it took.
static unsigned mbufs_take(struct one *o, struct rte_mbuf **hog, unsigned free)
{
	unsigned n = 0;

	while (rte_mempool_avail_count(o->pool) > free)
		hog[n++] = rte_pktmbuf_alloc(o->pool);
	one_turn(o);
	return n;
}

// RFC 9293 3.8.6.2.2: a reader that keeps up leaves no peer waiting for a delayed ACK, however
// small its window is.
static void small_window_opens_as_soon_as_it_is_read(unsigned free, unsigned segs)
{
	struct one *o = one_open();
	struct rte_mbuf *hog[MBUFS];
	uint32_t edge;
	unsigned n;

	one_establish(o);
	one_settle(o);
	n = mbufs_take(o, hog, free);
	while (o->c->rcv_adv - o->seq > segs * 1460) { // what was offered in better times
		one_in_data(o, 1460);
		tcp_rx_consume(o->tcp, o->c, 1460);
		one_turn(o);
	}
	one_wait_us(o, 100000);
	o->seen = o->outs;
	edge = o->c->rcv_adv;
	while (edge - o->seq >= 1460) // until the next full segment does not fit
		one_in_data(o, RTE_MIN(edge - o->seq - 1000, 1460u));
	tcp_rx_consume(o->tcp, o->c, tcp_rx_bytes(o->c));
	one_turn(o);
	assert_true(o->outs > o->seen);
	assert_int_equal(o->c->rcv_adv - o->seq, segs * 1460);
	rte_pktmbuf_free_bulk(hog, n);
	one_close(o);
}

static void test_a_small_window_opens_as_soon_as_it_is_read(void **state)
{
	small_window_opens_as_soon_as_it_is_read(MBUFS / 8 - 50, 8);
	small_window_opens_as_soon_as_it_is_read(MBUFS / 16 - 50, 2);
}

// The window that was offered before does not let a deaf reader take the last mbufs.
static void test_a_deaf_reader_gets_a_few_segments_when_mbufs_are_scarce(void **state)
{
	static const unsigned free[] = {MBUFS / 8 - 50, MBUFS / 16 - 50}, kept[] = {8, 2};

	for (unsigned i = 0; i < 2; i++) {
		struct one *o = one_open();
		struct rte_mbuf *hog[MBUFS];
		unsigned n;

		one_establish(o);
		n = mbufs_take(o, hog, free[i]);
		for (unsigned k = 0; k < 20; k++) {
			one_in_data(o, 1460);
			one_turn(o);
		}
		assert_int_equal(tcp_rx_bytes(o->c), kept[i] * 1460);
		rte_pktmbuf_free_bulk(hog, n);
		one_close(o);
	}
}

static void test_an_old_timestamp_is_rejected(void **state)
{
	struct one *o = one_with_timestamps();

	o->tsval = 2000;
	one_in_data(o, 10);
	one_expect(o, ACK, ISS + 1, IRS + 11, 0);
	assert_int_equal(o->out[(o->seen - 1) % OUTS].tsecr, 2000);
	o->tsval = 1500;
	one_in_at(o, 0, ACK, "old", 3);
	one_expect(o, ACK, ISS + 1, IRS + 11, 0);
	assert_int_equal(tcp_rx_bytes(o->c), 10);
	o->tsval = 0; // none at all
	one_in_at(o, 0, ACK, "none", 4);
	one_expect_silence(o);
	assert_int_equal(tcp_rx_bytes(o->c), 10);
	assert_int_equal(o->tcp->n.bad_option, 1);
	o->tsval = 2001;
	one_in_data(o, 7);
	one_expect(o, ACK, ISS + 1, IRS + 18, 0);
	one_close(o);
}

static void test_timestamps_wrap_and_age(void **state)
{
	struct one *o = one_open();

	o->tsval = UINT32_MAX - 5;
	one_establish(o);
	o->tsval = 5; // wrapped
	one_in_data(o, 10);
	one_expect(o, ACK, ISS + 1, IRS + 11, 0);
	one_wait_us(o, 25ull * 86400 * 1000000); // 24 days idle: anything goes
	o->seen = o->outs;
	o->tsval = 5 - 1000000;
	one_in_data(o, 10);
	one_turn(o);
	assert_int_equal(tcp_rx_bytes(o->c), 20);
	one_close(o);
}

static void test_the_echoed_timestamp_is_that_of_the_segment_that_was_acknowledged(void **state)
{
	struct one *o = one_with_timestamps();
	uint8_t d[10] = {0};

	one_settle(o);
	o->tsval = 1001;
	one_in_data(o, 10); // not acknowledged yet
	one_expect_silence(o);
	o->tsval = 1009;
	one_in_at(o, 10, ACK, d, 10); // a hole (RFC 7323 section 4.3 case B)
	assert_int_equal(one_out(o)->tsecr, 1001);
	one_close(o);
}

static void test_an_ack_from_the_right_edge_of_a_full_window_counts(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.rcv_buf_bytes = 2000});

	one_establish(o);
	one_send(o, 100);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	o->ack += 100;
	one_in_at(o, 2000, ACK, NULL, 0); // its data is all lost or late
	one_turn(o);
	assert_int_equal(tcp_send_pending(o->c), 0);
	one_close(o);
}

// RFC 6093: the pointer is not looked at, the data stays where it is.
static void test_urgent_data_stays_in_line(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in(o, ACK | RTE_TCP_URG_FLAG, "ab!cd", 5);
	one_turn(o);
	assert_int_equal(tcp_rx_bytes(o->c), 5);
	assert_memory_equal(rte_pktmbuf_mtod(tcp_rx_peek(o->c), char *), "ab!cd", 5);
	one_close(o);
}

static void test_a_fin_out_of_order_waits(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_at(o, 5, FIN | ACK, "world", 5);
	one_turn(o);
	assert_false(o->events & TCP_EV_FIN);
	one_in_at(o, 10, FIN | ACK, NULL, 0);
	one_in_at(o, 0, ACK, "hello", 5);
	one_expect_event(o, TCP_EV_FIN);
	assert_int_equal(tcp_rx_bytes(o->c), 10);
	assert_int_equal(o->c->node.rcv_nxt, IRS + 1 + 11);
	one_in_at(o, 11, ACK, "ghost", 5); // after the FIN there is nothing
	one_turn(o);
	assert_int_equal(tcp_rx_bytes(o->c), 10);
	one_close(o);
}

// RFC 9293 3.10.7.4: nothing follows a FIN. A second one elsewhere does not move it.
static void test_the_first_fin_counts(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_in_at(o, 100, FIN | ACK, NULL, 0);
	one_in_at(o, 50, ACK, "0123456789", 10);
	one_in_at(o, 40, FIN | ACK, NULL, 0);
	one_turn(o);
	one_in_data(o, 50);
	one_in_at(o, 10, ACK, "0123456789012345678901234567890123456789", 40);
	one_expect_event(o, TCP_EV_FIN);
	assert_int_equal(tcp_rx_bytes(o->c), 100);
	one_close(o);
	o = one_open();
	one_establish(o);
	one_in_at(o, 50, ACK, "0123456789", 10);
	one_in_at(o, 40, FIN | ACK, NULL, 0); // below data that is here
	one_in_data(o, 50);
	one_turn(o);
	assert_int_equal(tcp_rx_bytes(o->c), 60);
	o->seq += 10;
	one_in(o, FIN | ACK, NULL, 0);
	one_expect_event(o, TCP_EV_FIN);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_hole_is_told_by_sack_blocks_latest_first),
		cmocka_unit_test(test_a_burst_gets_one_ack),
		cmocka_unit_test(test_where_segments_get_lost_a_burst_gets_an_ack_for_every_second),
		cmocka_unit_test(test_holes_of_a_burst_are_all_told),
		cmocka_unit_test(test_data_does_not_replace_the_news_of_a_hole),
		cmocka_unit_test(test_overlapping_segments_give_the_right_bytes),
		cmocka_unit_test(test_a_reply_carries_the_ack),
		cmocka_unit_test(test_a_lone_segment_is_acknowledged_late_two_full_ones_at_once),
		cmocka_unit_test(test_a_peer_without_sack_gets_its_duplicate_acks),
		cmocka_unit_test(test_the_window_closes_never_shrinks_and_opens_in_steps),
		cmocka_unit_test(test_data_beyond_the_window_is_cut),
		cmocka_unit_test(test_one_byte_segments_share_mbufs),
		cmocka_unit_test(test_scattered_bytes_pin_a_bounded_number_of_mbufs),
		cmocka_unit_test(test_the_end_of_a_shortage_is_told),
		cmocka_unit_test(test_scarce_mbufs_drop_out_of_order_data_first),
		cmocka_unit_test(test_a_small_window_opens_as_soon_as_it_is_read),
		cmocka_unit_test(test_a_deaf_reader_gets_a_few_segments_when_mbufs_are_scarce),
		cmocka_unit_test(test_an_old_timestamp_is_rejected),
		cmocka_unit_test(test_timestamps_wrap_and_age),
		cmocka_unit_test(
			test_the_echoed_timestamp_is_that_of_the_segment_that_was_acknowledged),
		cmocka_unit_test(test_an_ack_from_the_right_edge_of_a_full_window_counts),
		cmocka_unit_test(test_urgent_data_stays_in_line),
		cmocka_unit_test(test_a_fin_out_of_order_waits),
		cmocka_unit_test(test_the_first_fin_counts),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
