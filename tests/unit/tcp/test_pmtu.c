// SPDX-License-Identifier: BSD-3-Clause
// Paths narrower than the link: what routers say, what they do not say, and both families.
#include "tcp_one.h"

static void router_says(struct one *o, uint16_t mtu, uint32_t seq, bool here)
{
	struct net_packet pkt = {.src = o->peer_ip,
		.src_port = o->peer_port,
		.dst_port = PORT,
		.mtu = mtu,
		.seq = seq};

	assert_int_equal(tcp_too_big(o->tcp, &pkt, o->now_us), here);
}

static const struct tcp_counters *counted(const struct one *o)
{
	return tcp_counters_get(o->tcp);
}

static void a_segment_that_was_too_big_goes_again_in_two(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	router_says(o, 1300, ISS + 1, true);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1260);
	one_expect(o, ACK, ISS + 1 + 1260, IRS + 1, 200);
	one_expect_silence(o);
	assert_int_equal(counted(o)->too_big, 1);
	o->ack = ISS + 1 + 1460;
	one_in(o, ACK, NULL, 0);
	assert_int_equal(tcp_send_pending(o->c), 0);
	one_send(o, 1460); // from now on
	one_expect(o, ACK, ISS + 1 + 1460, IRS + 1, 1260);
	one_close(o);
}

static void pieces_hold_the_same_bytes(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	o->hold = true; // the driver still has the frame
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	router_says(o, 1000, ISS + 1, true);
	one_expect(o, ACK, ISS + 1, IRS + 1, 960);
	one_expect(o, ACK, ISS + 1 + 960, IRS + 1, 500);
	one_wait_us(o, 3000000); // again, by timeout: the pieces
	one_expect(o, ACK, ISS + 1, IRS + 1, 960);
	one_close(o);
}

static void what_is_not_about_a_segment_in_flight_is_ignored(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	router_says(o, 1300, ISS + 1, true); // nothing is in flight
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	router_says(o, 1300, ISS, true);
	router_says(o, 1300, ISS + 1 + 1460, true);
	assert_int_equal(counted(o)->too_big_ignored, 3);
	o->peer_port++;
	router_says(o, 1300, ISS + 1, false);
	o->peer_port--;
	one_expect_silence(o);
	assert_int_equal(counted(o)->too_big, 0);
	one_close(o);
}

static void a_router_may_not_say_less_than_the_least(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	router_says(o, 68, ISS + 1, true);
	one_expect(o, ACK, ISS + 1, IRS + 1, NET_PMTU4_MIN - 40);
	one_close(o);
}

static void the_full_size_is_tried_again_after_ten_minutes(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	router_says(o, 1300, ISS + 1, true);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1260);
	one_expect(o, ACK, ISS + 1 + 1260, IRS + 1, 200);
	o->ack = ISS + 1 + 1460;
	one_in(o, ACK, NULL, 0);
	for (unsigned i = 0; i < 13; i++) { // a little now and then
		one_send(o, 100);
		one_expect(o, ACK, o->ack, IRS + 1, 100);
		o->ack += 100;
		one_in(o, ACK, NULL, 0);
		one_wait_us(o, 50000000);
	}
	one_send(o, 1460);
	one_expect(o, ACK, o->ack, IRS + 1, 1460);
	one_close(o);
}

static void a_path_that_swallows_large_segments_is_found(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	for (unsigned i = 0; i < 2; i++) {
		while (o->seen == o->outs)
			one_wait_us(o, 10000);
		one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	}
	while (o->seen == o->outs)
		one_wait_us(o, 10000);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1024 - 40);
	assert_int_equal(counted(o)->black_holes, 1);
	o->ack = ISS + 1 + 1024 - 40;
	one_in(o, ACK, NULL, 0);
	one_expect(o, ACK, o->ack, IRS + 1, 1460 - 1024 + 40);
	one_close(o);
}

// A peer that is away for a while, or short of memory, is no reason.
static void silence_after_full_segments_is_no_hole(void **state)
{
	struct one *o = one_open();

	one_establish(o);
	one_send(o, 1460);
	one_expect(o, ACK, ISS + 1, IRS + 1, 1460);
	o->ack = ISS + 1 + 1460;
	one_in(o, ACK, NULL, 0);
	one_send(o, 1460);
	one_wait_us(o, 10000000);
	while (o->seen != o->outs)
		one_expect(o, ACK, ISS + 1 + 1460, IRS + 1, 1460);
	assert_int_equal(counted(o)->black_holes, 0);
	assert_true(counted(o)->rto_fires >= 4);
	one_close(o);
}

static void many_segments_in_flight_are_all_cut(void **state)
{
	struct one *o = one_open();
	uint32_t at = ISS + 1;

	o->tsval = 7;
	one_establish(o);
	for (unsigned i = 0; i < 10; i++)
		one_send(o, 1448);
	for (unsigned i = 0; i < 10; i++, at += 1448)
		one_expect(o, ACK, at, IRS + 1, 1448);
	router_says(o, 1300, ISS + 1, true);
	at = ISS + 1;
	for (unsigned i = 0; i < 10; i++) {
		one_expect(o, ACK, at, IRS + 1, 1248);
		one_expect(o, ACK, at + 1248, IRS + 1, 200);
		at += 1448;
		o->ack = at;
		o->tsval++;
		one_in(o, ACK, NULL, 0);
	}
	assert_int_equal(tcp_send_pending(o->c), 0);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_that_was_too_big_goes_again_in_two),
		cmocka_unit_test(pieces_hold_the_same_bytes),
		cmocka_unit_test(what_is_not_about_a_segment_in_flight_is_ignored),
		cmocka_unit_test(a_router_may_not_say_less_than_the_least),
		cmocka_unit_test(the_full_size_is_tried_again_after_ten_minutes),
		cmocka_unit_test(a_path_that_swallows_large_segments_is_found),
		cmocka_unit_test(silence_after_full_segments_is_no_hole),
		cmocka_unit_test(many_segments_in_flight_are_all_cut),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
