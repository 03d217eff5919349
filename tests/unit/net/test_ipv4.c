// SPDX-License-Identifier: BSD-3-Clause
// What is accepted as IPv4 for us, VLANs, echo, reassembly.
#include "net_helper.h"

static const struct ip_fields echo_to_us = {.src = PEER_IP, .dst = OUR_IP, .id = 7};

static void an_echo_is_answered(void **state)
{
	struct rig r;

	rig_open(&r);
	assert_int_equal(rig_in(&r, frame_echo(echo_to_us, 8, "abcdefgh")), NET_DONE);
	rig_expect(&r, frame_echo(from_us(PEER_IP, &peer_mac, 0), 0, "abcdefgh"));
	rig_expect_none(&r);
	rig_close(&r);
}

static void an_echo_with_options_in_pieces_is_answered_without_them(void **state)
{
	struct rig r;

	for (uint32_t step = 1; step < 90; step += 7) {
		struct ip_fields ip = echo_to_us;

		rig_open(&r);
		r.segment_bytes = step;
		ip.option_bytes = 40;
		rig_in(&r, frame_echo(ip, 8, "a payload of odd length"));
		rig_expect(&r,
			frame_echo(from_us(PEER_IP, &peer_mac, 0), 0, "a payload of odd length"));
		rig_close(&r);
	}
}

static void an_echo_that_somebody_else_holds_is_not_written(void **state)
{
	struct frame f = frame_echo(echo_to_us, 8, "abcdefgh");
	struct rte_mbuf *m;
	struct rig r;

	rig_open(&r);
	m = rig_mbuf(&r, f.b, f.len);
	rte_mbuf_refcnt_update(m, 1);
	rig_in_mbuf(&r, m);
	rig_expect(&r, frame_echo(from_us(PEER_IP, &peer_mac, 0), 0, "abcdefgh"));
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), f.b, f.len);
	rte_pktmbuf_free(m);
	rig_close(&r);
}

static void an_echo_from_afar_goes_by_the_gateway(void **state)
{
	struct ip_fields ip = {.src = FAR_IP, .dst = OUR_IP, .smac = &gateway_mac};
	struct rig r;

	rig_open(&r);
	rig_in(&r, frame_echo(ip, 8, "far"));
	rig_expect(&r, our_request(&all_mac, GATEWAY_IP));
	rig_in(&r, their_reply(&gateway_mac, GATEWAY_IP));
	rig_expect(&r, frame_echo(from_us(FAR_IP, &gateway_mac, 0), 0, "far"));
	rig_close(&r);
}

static void broken_icmp_is_dropped(void **state)
{
	struct frame f = frame_echo(echo_to_us, 8, "abc");
	struct ip_fields icmp = echo_to_us;
	struct rig r;

	rig_open(&r);
	f.b[f.len - 1] ^= 1;
	rig_in(&r, f);
	icmp.proto = IPPROTO_ICMP;
	rig_in(&r, frame_ip(icmp, "1234567", 7));
	assert_int_equal(net_counters_get(r.net)->bad_icmp, 2);
	rig_in(&r, frame_echo(echo_to_us, 0, "an answer nobody asked for"));
	rig_expect_none(&r);
	rig_close(&r);
}

// Changes one byte of a good header and repairs the checksum when asked.
static struct frame spoiled(uint32_t at, uint8_t value, bool repair)
{
	struct frame f = frame_udp(from_peer, 5000, 11211, "x", 1);
	uint16_t sum = 0;

	f.b[14 + at] = value;
	if (repair) {
		memcpy(f.b + 24, &sum, 2);
		sum = (uint16_t)~rte_raw_cksum(f.b + 14, 20);
		memcpy(f.b + 24, &sum, 2);
	}
	return f;
}

static void broken_headers_are_counted_by_reason(void **state)
{
	const struct net_counters *n;
	struct rig r;

	rig_open(&r);
	n = net_counters_get(r.net);
	assert_int_equal(rig_in(&r, spoiled(0, 0x45, true)), NET_UDP);
	assert_int_equal(rig_in(&r, spoiled(0, 0x65, true)), NET_DONE);
	assert_int_equal(rig_in(&r, spoiled(0, 0x44, true)), NET_DONE);
	assert_int_equal(n->bad_ip_header, 2);
	assert_int_equal(rig_in(&r, spoiled(0, 0x4f, true)), NET_DONE);
	assert_int_equal(rig_in(&r, spoiled(2, 0xff, true)), NET_DONE);
	assert_int_equal(rig_in(&r, spoiled(3, 19, true)), NET_DONE);
	assert_int_equal(n->bad_ip_length, 3);
	assert_int_equal(rig_in(&r, spoiled(8, 63, false)), NET_DONE);
	assert_int_equal(n->bad_ip_checksum, 1);
	assert_int_equal(rig_in(&r, spoiled(8, 1, true)), NET_UDP);
	assert_int_equal(rig_in(&r, spoiled(9, 99, true)), NET_DONE);
	assert_int_equal(n->unknown_proto, 1);
	rig_expect_none(&r);
	rig_close(&r);
}

static void a_frame_cut_anywhere_is_dropped(void **state)
{
	struct frame f = frame_udp(from_peer, 5000, 11211, "hello", 5);
	struct rig r;

	rig_open(&r);
	for (; f.len; f.len--) {
		if (f.len < 14 + 20 + 8 + 5)
			assert_int_equal(rig_in(&r, f), NET_DONE);
		else
			assert_int_equal(rig_in(&r, f), NET_UDP);
	}
	rig_expect_none(&r);
	rig_close(&r);
}

static void padding_is_cut_off(void **state)
{
	struct frame f = frame_udp(from_peer, 5000, 11211, "hello", 5);
	struct rig r;

	rig_open(&r);
	for (r.segment_bytes = 60; r.segment_bytes > 10; r.segment_bytes -= 10) {
		f.len = 60;
		assert_int_equal(rig_in(&r, f), NET_UDP);
		assert_int_equal(r.taken->pkt_len, 14 + 20 + 8 + 5);
		assert_int_equal(r.pkt.data_len, 5);
	}
	rig_close(&r);
}

static void only_our_addresses_are_taken(void **state)
{
	static const struct rte_ether_addr group = {{0x01, 0, 0x5e, 0, 0, 1}};
	const struct {
		rte_be32_t dst;
		const struct rte_ether_addr *mac;
		enum net_verdict want;
	} cases[] = {
		{OUR_IP, &our_mac, NET_UDP},
		{IP(10, 0, 0, 255), &all_mac, NET_UDP},
		{IP(255, 255, 255, 255), &all_mac, NET_UDP},
		{IP(10, 0, 0, 3), &our_mac, NET_DONE},
		{OUR_IP, &all_mac, NET_DONE}, // RFC 1122 3.3.6
		{OUR_IP, &peer_mac, NET_DONE},
		{IP(224, 0, 0, 1), &group, NET_DONE},
		{OUR_IP, &group, NET_DONE},
	};
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct ip_fields ip = {.src = PEER_IP, .dst = cases[i].dst, .dmac = cases[i].mac};

		assert_int_equal(rig_in(&r, frame_udp(ip, 1, 2, "x", 1)), cases[i].want);
	}
	assert_int_equal(net_counters_get(r.net)->not_ours, 5);
	rig_close(&r);
}

static void sources_that_are_no_host_are_dropped(void **state)
{
	const rte_be32_t sources[] = {0, IP(127, 0, 0, 1), IP(224, 0, 0, 1), IP(240, 0, 0, 1),
		IP(255, 255, 255, 255), IP(10, 0, 0, 255), OUR_IP};
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < RTE_DIM(sources); i++) {
		struct ip_fields ip = {.src = sources[i], .dst = OUR_IP};

		assert_int_equal(rig_in(&r, frame_udp(ip, 1, 2, "x", 1)), NET_DONE);
	}
	assert_int_equal(net_counters_get(r.net)->bad_source, RTE_DIM(sources));
	rig_close(&r);
}

static void tcp_is_handed_on_with_its_header_contiguous(void **state)
{
	uint8_t segment[100] = {0};
	struct ip_fields ip = {.src = PEER_IP, .dst = OUR_IP, .proto = IPPROTO_TCP, .tos = 3};
	struct rig r;

	for (uint32_t step = 1; step < 120; step += 9) {
		rig_open(&r);
		r.segment_bytes = step;
		assert_int_equal(rig_in(&r, frame_ip(ip, segment, sizeof(segment))), NET_TCP);
		assert_int_equal(r.pkt.l4_off, 34);
		assert_int_equal(r.pkt.l4_len, 100);
		assert_int_equal(r.pkt.ecn, 3);
		assert_false(r.pkt.l4_checked);
		assert_true(r.taken->data_len >= 34 + 60);
		rig_close(&r);
	}
}

static bool flow_peek(struct rig *r, struct frame f, struct net_flow *flow)
{
	struct rte_mbuf *m = rig_mbuf(r, f.b, f.len);
	bool found = net_flow_peek(r->net, m, flow);

	rte_pktmbuf_free(m);
	return found;
}

static void the_flow_of_a_segment_is_told_before_it_is_taken(void **state)
{
	struct ip_fields ip = {.src = PEER_IP, .dst = OUR_IP, .proto = IPPROTO_TCP}, other = ip;
	uint8_t segment[20] = {0x12, 0x34, 0x2b, 0xcb, [12] = 0x50};
	struct net_flow flow;
	struct rig r;

	rig_open(&r);
	assert_true(flow_peek(&r, frame_ip(ip, segment, sizeof(segment)), &flow));
	assert_int_equal(flow.src, PEER_IP);
	assert_int_equal(flow.src_port, RTE_BE16(0x1234));
	assert_int_equal(flow.dst_port, RTE_BE16(11211));
	assert_int_equal(flow.local, 0);
	assert_false(flow_peek(&r, frame_ip(ip, segment, sizeof(segment) - 1), &flow));
	other.dst = FAR_IP;
	assert_false(flow_peek(&r, frame_ip(other, segment, sizeof(segment)), &flow));
	other = ip;
	other.option_bytes = 4;
	assert_false(flow_peek(&r, frame_ip(other, segment, sizeof(segment)), &flow));
	other = ip;
	other.proto = IPPROTO_UDP;
	assert_false(flow_peek(&r, frame_ip(other, segment, sizeof(segment)), &flow));
	assert_false(flow_peek(&r, frame_tag(frame_ip(ip, segment, sizeof(segment)), 5), &flow));
	rig_close(&r);
}

static void tcp_to_a_broadcast_is_dropped(void **state)
{
	uint8_t segment[20] = {0};
	struct ip_fields ip = {
		.src = PEER_IP, .dst = IP(10, 0, 0, 255), .dmac = &all_mac, .proto = IPPROTO_TCP};
	struct rig r;

	rig_open(&r);
	assert_int_equal(rig_in(&r, frame_ip(ip, segment, sizeof(segment))), NET_DONE);
	rig_close(&r);
}

static void only_our_vlan_is_taken(void **state)
{
	struct frame f = frame_echo(echo_to_us, 8, "x");
	struct rte_mbuf *m;
	struct rig r;

	rig_make(&r);
	struct net_options opt = rig_options(&r);
	opt.vlan = 42;
	assert_int_equal(net_open(&r.net, &opt), 0);
	rig_in(&r, f);
	rig_in(&r, frame_tag(f, 43));
	rig_in(&r, frame_tag(frame_tag(f, 42), 42));
	rig_expect_none(&r);
	assert_int_equal(net_counters_get(r.net)->bad_vlan, 2);
	assert_int_equal(net_counters_get(r.net)->unknown_proto, 1);
	rig_in(&r, frame_tag(f, 42 | 0xe000)); // any priority
	rig_expect(&r, frame_tag(frame_echo(from_us(PEER_IP, &peer_mac, 0), 0, "x"), 42));
	m = rig_mbuf(&r, f.b, f.len); // the device took the tag off
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 42;
	rig_in_mbuf(&r, m);
	rig_expect(&r, frame_tag(frame_echo(from_us(PEER_IP, &peer_mac, 1), 0, "x"), 42));
	rig_in(&r, frame_tag(frame_arp(&all_mac, 1, &peer_mac, PEER_IP, &no_mac, OUR_IP), 42));
	rig_expect(
		&r, frame_tag(frame_arp(&peer_mac, 2, &our_mac, OUR_IP, &peer_mac, PEER_IP), 42));
	rig_close(&r);
}

static void a_priority_tag_is_no_vlan(void **state)
{
	struct rig r;

	rig_open(&r);
	rig_in(&r, frame_tag(frame_echo(echo_to_us, 8, "x"), 0xe000));
	rig_expect(&r, frame_echo(from_us(PEER_IP, &peer_mac, 0), 0, "x"));
	rig_in(&r, frame_tag(frame_echo(echo_to_us, 8, "x"), 5));
	rig_expect_none(&r);
	rig_close(&r);
}

// ---- fragments ----------------------------------------------------------------------------------

// A datagram of `data` payload bytes, cut into pieces of 1,000 bytes of IP payload.
struct datagram {
	uint8_t data[6000], bytes[6008];
	uint32_t len;
	uint16_t id;
};

static void datagram_make(struct datagram *d, uint32_t data_len, uint16_t id)
{
	for (uint32_t i = 0; i < data_len; i++)
		d->data[i] = (uint8_t)(i * 7 + id);
	d->len = udp_bytes(d->bytes, PEER_IP, 5000, OUR_IP, 11211, d->data, data_len);
	d->id = id;
}

static enum net_verdict piece_in(
	struct rig *r, const struct datagram *d, uint32_t from, uint32_t to)
{
	struct ip_fields ip = {.src = PEER_IP,
		.dst = OUR_IP,
		.proto = IPPROTO_UDP,
		.id = d->id,
		.fragment = (uint16_t)(from | (to < d->len ? 1 : 0))};

	return rig_in(r, frame_ip(ip, d->bytes + from, to - from));
}

static void whole_expect(struct rig *r, const struct datagram *d)
{
	struct frame f = frame_of(r->taken);

	assert_int_equal(r->pkt.src_port, 5000);
	assert_int_equal(r->pkt.data_len, d->len - 8);
	assert_memory_equal(f.b + r->pkt.data_off, d->data, d->len - 8);
}

static void fragments_in_any_order_make_the_datagram(void **state)
{
	static const uint8_t order[][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct datagram d;
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < RTE_DIM(order); i++) {
		datagram_make(&d, 2692, (uint16_t)i);
		for (unsigned k = 0; k < 3; k++) {
			uint32_t from = order[i][k] * 1000u;

			assert_int_equal(piece_in(&r, &d, from, RTE_MIN(from + 1000, d.len)),
				k == 2 ? NET_UDP : NET_DONE);
		}
		whole_expect(&r, &d);
		assert_true(r.taken->nb_segs > 1); // does not fit one
	}
	assert_int_equal(net_counters_get(r.net)->reassembled, RTE_DIM(order));
	rig_close(&r);
}

static void a_datagram_that_fits_becomes_one_mbuf(void **state)
{
	struct datagram d;
	struct rig r;

	rig_open(&r);
	datagram_make(&d, 1600, 1);
	piece_in(&r, &d, 800, d.len);
	assert_int_equal(piece_in(&r, &d, 0, 800), NET_UDP);
	assert_int_equal(r.taken->nb_segs, 1);
	whole_expect(&r, &d);
	rig_close(&r);
}

static void a_header_cut_by_fragments_is_put_together(void **state)
{
	uint8_t segment[80] = {0};
	struct ip_fields ip = {.src = PEER_IP, .dst = OUR_IP, .proto = IPPROTO_TCP};
	struct rig r;

	rig_open(&r);
	ip.fragment = 8;
	rig_in(&r, frame_ip(ip, segment + 8, 72));
	ip.fragment = 1;
	assert_int_equal(rig_in(&r, frame_ip(ip, segment, 8)), NET_TCP);
	assert_int_equal(r.pkt.l4_len, 80);
	assert_true(r.taken->data_len >= 34 + 60);
	rig_close(&r);
}

static void a_reassembled_checksum_is_verified_whatever_the_device_says(void **state)
{
	struct datagram d;
	struct rig r;

	rig_make(&r);
	struct net_options opt = rig_options(&r);
	opt.rx_offloads = RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	assert_int_equal(net_open(&r.net, &opt), 0);
	datagram_make(&d, 1600, 1);
	d.bytes[1000] ^= 1;
	for (uint32_t from = 0; from < 1600; from += 800) {
		uint32_t to = from ? d.len : 800;
		struct ip_fields ip = {.src = PEER_IP,
			.dst = OUR_IP,
			.proto = IPPROTO_UDP,
			.fragment = (uint16_t)(from | (from ? 0 : 1))};
		struct frame f = frame_ip(ip, d.bytes + from, to - from);
		struct rte_mbuf *m = rig_mbuf(&r, f.b, f.len);

		m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		assert_int_equal(rig_in_mbuf(&r, m), NET_DONE);
	}
	assert_int_equal(net_counters_get(r.net)->bad_udp_checksum, 1);
	rig_close(&r);
}

static void a_fragmented_echo_gets_a_fragmented_answer(void **state)
{
	uint8_t b[2000] = {8};
	uint16_t sum = (uint16_t)~rte_raw_cksum(b, sizeof(b));
	struct ip_fields ip = {.src = PEER_IP, .dst = OUR_IP, .proto = IPPROTO_ICMP};
	struct rig r;

	rig_open(&r);
	memcpy(b + 2, &sum, 2);
	ip.fragment = 1000;
	rig_in(&r, frame_ip(ip, b + 1000, 1000));
	ip.fragment = 1;
	rig_in(&r, frame_ip(ip, b, 1000));
	b[0] = 0;
	memset(b + 2, 0, 2);
	sum = (uint16_t)~rte_raw_cksum(b, sizeof(b));
	memcpy(b + 2, &sum, 2);
	ip = from_us(PEER_IP, &peer_mac, 0);
	ip.proto = IPPROTO_ICMP;
	ip.fragment = 1;
	rig_expect(&r, frame_ip(ip, b, 1480));
	ip.fragment = 1480;
	rig_expect(&r, frame_ip(ip, b + 1480, 520));
	rig_close(&r);
}

static void overlaps_holes_and_repeats_never_deliver(void **state)
{
	struct datagram d;
	struct rig r;

	rig_open(&r);
	datagram_make(&d, 2992, 1);
	piece_in(&r, &d, 0, 1000);
	assert_int_equal(piece_in(&r, &d, 0, 1000), NET_DONE); // first twice
	datagram_make(&d, 2992, 2);
	piece_in(&r, &d, 0, 1000);
	piece_in(&r, &d, 992, 2000);
	assert_int_equal(piece_in(&r, &d, 2000, d.len), NET_DONE);
	datagram_make(&d, 2992, 3);
	piece_in(&r, &d, 1000, 2000);
	piece_in(&r, &d, 1000, 2000);
	piece_in(&r, &d, 2000, d.len);
	assert_int_equal(piece_in(&r, &d, 0, 1000), NET_DONE);
	rig_wait(&r, 5 * SECOND_US);
	assert_int_equal(net_counters_get(r.net)->reassembled, 0);
	assert_int_equal(rte_mempool_in_use_count(r.pool), 0);
	rig_close(&r);
}

static void more_than_eight_fragments_are_refused(void **state)
{
	struct datagram d;
	struct rig r;

	rig_open(&r);
	datagram_make(&d, 4992, 1);
	for (uint32_t from = 0; from < d.len; from += 200)
		assert_int_equal(piece_in(&r, &d, from, RTE_MIN(from + 200, d.len)), NET_DONE);
	rig_wait(&r, 5 * SECOND_US);
	assert_int_equal(net_counters_get(r.net)->frag_dropped, d.len / 200);
	assert_int_equal(rte_mempool_in_use_count(r.pool), 0);
	rig_close(&r);
}

static void fragments_that_cannot_be_are_refused(void **state)
{
	struct ip_fields ip = {.src = PEER_IP, .dst = OUR_IP, .proto = IPPROTO_UDP};
	uint8_t bytes[1480] = {0};
	struct rig r;

	rig_open(&r);
	ip.fragment = 1;
	rig_in(&r, frame_ip(ip, bytes, 1001)); // not a multiple of 8
	rig_in(&r, frame_ip(ip, bytes, 0));
	ip.fragment = 65528;
	rig_in(&r, frame_ip(ip, bytes, 1480)); // beyond 65,535
	assert_int_equal(net_counters_get(r.net)->frag_dropped, 3);
	assert_int_equal(rte_mempool_in_use_count(r.pool), 0);
	rig_close(&r);
}

static void fragments_wait_two_seconds(void **state)
{
	struct datagram d;
	struct rig r;

	rig_open(&r);
	datagram_make(&d, 2000, 1);
	piece_in(&r, &d, 0, 1000);
	assert_true(net_timers(r.net, r.now_us) == r.now_us + 2 * SECOND_US + 1);
	rig_wait(&r, SECOND_US);
	assert_int_equal(rte_mempool_in_use_count(r.pool), 1);
	rig_wait(&r, SECOND_US + 1);
	assert_int_equal(rte_mempool_in_use_count(r.pool), 0);
	assert_int_equal(piece_in(&r, &d, 1000, d.len), NET_DONE);
	rig_wait(&r, 2 * SECOND_US + 1);
	assert_true(net_timers(r.net, r.now_us) == UINT64_MAX);
	rig_close(&r);
}

static void reassembly_is_bounded(void **state)
{
	struct datagram d;
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < 500; i++) {
		datagram_make(&d, 2000, (uint16_t)i);
		piece_in(&r, &d, 0, 1000);
	}
	assert_in_range(rte_mempool_in_use_count(r.pool), 1, 64);
	rig_wait(&r, 5 * SECOND_US);
	datagram_make(&d, 2000, 1000);
	piece_in(&r, &d, 0, 1000);
	assert_int_equal(piece_in(&r, &d, 1000, d.len), NET_UDP);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_echo_is_answered),
		cmocka_unit_test(an_echo_with_options_in_pieces_is_answered_without_them),
		cmocka_unit_test(an_echo_that_somebody_else_holds_is_not_written),
		cmocka_unit_test(an_echo_from_afar_goes_by_the_gateway),
		cmocka_unit_test(broken_icmp_is_dropped),
		cmocka_unit_test(broken_headers_are_counted_by_reason),
		cmocka_unit_test(a_frame_cut_anywhere_is_dropped),
		cmocka_unit_test(padding_is_cut_off),
		cmocka_unit_test(only_our_addresses_are_taken),
		cmocka_unit_test(sources_that_are_no_host_are_dropped),
		cmocka_unit_test(tcp_is_handed_on_with_its_header_contiguous),
		cmocka_unit_test(the_flow_of_a_segment_is_told_before_it_is_taken),
		cmocka_unit_test(tcp_to_a_broadcast_is_dropped),
		cmocka_unit_test(only_our_vlan_is_taken),
		cmocka_unit_test(a_priority_tag_is_no_vlan),
		cmocka_unit_test(fragments_in_any_order_make_the_datagram),
		cmocka_unit_test(a_datagram_that_fits_becomes_one_mbuf),
		cmocka_unit_test(a_header_cut_by_fragments_is_put_together),
		cmocka_unit_test(a_reassembled_checksum_is_verified_whatever_the_device_says),
		cmocka_unit_test(a_fragmented_echo_gets_a_fragmented_answer),
		cmocka_unit_test(overlaps_holes_and_repeats_never_deliver),
		cmocka_unit_test(more_than_eight_fragments_are_refused),
		cmocka_unit_test(fragments_that_cannot_be_are_refused),
		cmocka_unit_test(fragments_wait_two_seconds),
		cmocka_unit_test(reassembly_is_bounded),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
