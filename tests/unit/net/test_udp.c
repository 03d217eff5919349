// SPDX-License-Identifier: BSD-3-Clause
// UDP in and back, ICMP port unreachable.
#include "net_helper.h"

static void a_datagram_comes_in_and_its_reply_goes_back(void **state)
{
	struct rig r;

	rig_open(&r);
	assert_int_equal(rig_in(&r, frame_udp(from_peer, 5000, 11211, "get a", 5)), NET_UDP);
	assert_int_equal(base_ip_as4(&r.pkt.src), PEER_IP);
	assert_int_equal(r.pkt.src_port, 5000);
	assert_int_equal(r.pkt.dst_port, 11211);
	assert_int_equal(r.pkt.data_len, 5);
	assert_memory_equal(rte_pktmbuf_mtod_offset(r.taken, char *, r.pkt.data_off), "get a", 5);
	net_udp_reply(r.net, payload(&r, "value", 5), &r.pkt, r.now_us);
	rig_expect(&r, frame_udp(from_us(PEER_IP, &peer_mac, 0), 11211, 5000, "value", 5));
	rig_expect_none(&r);
	rig_close(&r);
}

static void a_datagram_in_pieces_is_the_same(void **state)
{
	struct rig r;

	for (uint32_t step = 1; step < 60; step++) {
		rig_open(&r);
		r.segment_bytes = step;
		assert_int_equal(
			rig_in(&r, frame_udp(from_peer, 5000, 11211, "some odd length", 15)),
			NET_UDP);
		assert_memory_equal(frame_of(r.taken).b + r.pkt.data_off, "some odd length", 15);
		rig_close(&r);
	}
}

static void a_reply_to_far_away_goes_by_the_gateway(void **state)
{
	struct ip_fields ip = {.src = FAR_IP, .dst = OUR_IP, .smac = &peer_mac};
	struct rig r;

	rig_open(&r);
	net_neigh_learn(r.net, base_ip4(GATEWAY_IP), &gateway_mac, r.now_us);
	rig_in(&r, frame_udp(ip, 5000, 11211, "x", 1));
	net_udp_reply(r.net, payload(&r, "y", 1), &r.pkt, r.now_us);
	rig_expect(&r, frame_udp(from_us(FAR_IP, &gateway_mac, 0), 11211, 5000, "y", 1));
	rig_close(&r);
}

static void wrong_lengths_and_ports_are_refused(void **state)
{
	static const struct {
		uint32_t at;
		uint16_t value;
		enum net_verdict want;
	} cases[] = {
		{4, 8 + 5, NET_UDP},
		{4, 8 + 6, NET_DONE}, // longer than the packet
		{4, 7, NET_DONE},
		{4, 0, NET_DONE},
		{0, 0, NET_DONE}, // from port 0: could not be answered
		{2, 0, NET_DONE},
	};
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct frame f = frame_udp(from_peer, 5000, 11211, "hello", 5);
		rte_be16_t v = rte_cpu_to_be_16(cases[i].value);

		memcpy(f.b + 34 + cases[i].at, &v, 2);
		memset(f.b + 34 + 6, 0, 2); // no checksum
		assert_int_equal(rig_in(&r, f), cases[i].want);
	}
	assert_int_equal(net_counters_get(r.net)->bad_udp, 5);
	rig_close(&r);
}

static void bytes_behind_the_datagram_are_cut_off(void **state)
{
	struct ip_fields ip = from_peer;
	uint8_t b[64];
	uint32_t n = udp_bytes(b, PEER_IP, 1, OUR_IP, 2, "ab", 2);
	struct rig r;

	rig_open(&r);
	ip.proto = IPPROTO_UDP;
	assert_int_equal(rig_in(&r, frame_ip(ip, b, n + 20)), NET_UDP);
	assert_int_equal(r.pkt.data_len, 2);
	assert_int_equal(r.taken->pkt_len, 14 + 20 + n);
	rig_close(&r);
}

static void every_single_bit_error_is_found(void **state)
{
	struct rig r;

	rig_open(&r);
	for (uint32_t bit = 0; bit < 8 * 13; bit++) {
		struct frame f = frame_udp(from_peer, 5000, 11211, "hello", 5);

		f.b[34 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(rig_in(&r, f), NET_DONE);
	}
	rig_close(&r);
}

static enum net_verdict in_with_flags(struct rig *r, struct frame f, uint64_t flags)
{
	struct rte_mbuf *m = rig_mbuf(r, f.b, f.len);

	m->ol_flags = flags;
	return rig_in_mbuf(r, m);
}

static void the_device_is_believed_only_where_the_offload_is_on(void **state)
{
	struct frame f = frame_udp(from_peer, 5000, 11211, "hello", 5);
	uint64_t good = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	struct rig r;

	f.b[f.len - 1] ^= 1;
	f.b[25] ^= 1; // IP header checksum
	rig_open(&r);
	assert_int_equal(in_with_flags(&r, f, good), NET_DONE);
	rig_close(&r);

	rig_make(&r);
	struct net_options opt = rig_options(&r);
	opt.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	assert_int_equal(net_open(&r.net, &opt), 0);
	assert_int_equal(in_with_flags(&r, f, good), NET_UDP);
	assert_int_equal(in_with_flags(&r, f, 0), NET_DONE);
	assert_int_equal(in_with_flags(&r, f, RTE_MBUF_F_RX_IP_CKSUM_GOOD), NET_DONE);
	assert_int_equal(
		in_with_flags(&r, f, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD),
		NET_DONE);
	rig_close(&r);
}

// ---- port unreachable ---------------------------------------------------------------------------

static struct frame unreachable(const struct frame *about, unsigned nth)
{
	uint8_t b[8 + 28] = {3, 3};
	struct ip_fields ip = from_us(PEER_IP, &peer_mac, nth);
	uint16_t sum;

	memcpy(b + 8, about->b + 14, 28);
	sum = (uint16_t)~rte_raw_cksum(b, sizeof(b));
	memcpy(b + 2, &sum, 2);
	ip.proto = IPPROTO_ICMP;
	return frame_ip(ip, b, sizeof(b));
}

static void a_port_nobody_listens_on_is_unreachable(void **state)
{
	struct frame f = frame_udp(from_peer, 5000, 9, "hello", 5);
	struct rig r;

	rig_open(&r);
	rig_in(&r, f);
	net_icmp_unreachable(r.net, r.taken, &r.pkt, r.now_us);
	rig_expect(&r, unreachable(&f, 0));
	rig_expect_none(&r);
	rig_close(&r);
}

static void a_broadcast_gets_no_error(void **state)
{
	struct ip_fields ip = {.src = PEER_IP, .dst = IP(10, 0, 0, 255), .dmac = &all_mac};
	struct rig r;

	rig_open(&r);
	assert_int_equal(rig_in(&r, frame_udp(ip, 5000, 9, "x", 1)), NET_UDP);
	net_icmp_unreachable(r.net, r.taken, &r.pkt, r.now_us);
	rig_expect_none(&r);
	rig_close(&r);
}

static void errors_are_limited_to_fifty_at_once_and_a_hundred_a_second(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_in(&r, frame_udp(from_peer, 5000, 9, "x", 1));
	for (int i = 0; i < 200; i++)
		net_icmp_unreachable(r.net, r.taken, &r.pkt, r.now_us);
	assert_int_equal(rig_out_count(&r), 50);
	assert_int_equal(net_counters_get(r.net)->icmp_limited, 150);
	rig_out_clear(&r);
	for (int i = 0; i < 1000; i++) {
		r.now_us += 1000;
		net_icmp_unreachable(r.net, r.taken, &r.pkt, r.now_us);
	}
	assert_int_equal(rig_out_count(&r), 100);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_comes_in_and_its_reply_goes_back),
		cmocka_unit_test(a_datagram_in_pieces_is_the_same),
		cmocka_unit_test(a_reply_to_far_away_goes_by_the_gateway),
		cmocka_unit_test(wrong_lengths_and_ports_are_refused),
		cmocka_unit_test(bytes_behind_the_datagram_are_cut_off),
		cmocka_unit_test(every_single_bit_error_is_found),
		cmocka_unit_test(the_device_is_believed_only_where_the_offload_is_on),
		cmocka_unit_test(a_port_nobody_listens_on_is_unreachable),
		cmocka_unit_test(a_broadcast_gets_no_error),
		cmocka_unit_test(errors_are_limited_to_fifty_at_once_and_a_hundred_a_second),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
