// SPDX-License-Identifier: BSD-3-Clause
// The way out: routes, checksums by the device and by us, chains, fragments.
#include "net_helper.h"

#include <errno.h>

static void open_with(struct rig *r, uint64_t tx_offloads, uint16_t mtu)
{
	struct net_options opt;

	rig_make(r);
	opt = rig_options(r);
	opt.tx_offloads = tx_offloads;
	opt.mtu = mtu;
	assert_int_equal(net_open(&r->net, &opt), 0);
	net_neigh_learn(r->net, base_ip4(PEER_IP), &peer_mac, r->now_us);
}

static const struct base_ip our_ip = {.w32 = {0, 0, BASE_IP4_MARK, OUR_IP}};
static const struct base_ip peer_ip = {.w32 = {0, 0, BASE_IP4_MARK, PEER_IP}};
static const struct base_ip far_ip = {.w32 = {0, 0, BASE_IP4_MARK, FAR_IP}};

#define tcp_to(path) \
	((struct net_to){.dst = &(path)->dst, .hop = &(path)->hop, .proto = IPPROTO_TCP})

static void send_to(struct rig *r, rte_be32_t dst, const void *bytes, uint32_t len)
{
	struct net_path path = {.dst = base_ip4(dst)};

	net_udp_output(r->net, payload(r, bytes, len), &path, 11211, 5000, r->now_us);
}

// A TCP segment as the tcp module makes it: header, the pseudo-header sum, the flag; one mbuf each
// for the header and the data.
static struct rte_mbuf *segment(struct rig *r, uint8_t bytes[20], const void *data, uint32_t len)
{
	struct rte_mbuf *head, *body;
	uint16_t sum = net_pseudo_sum(&our_ip, &peer_ip, IPPROTO_TCP, 20 + len);

	memset(bytes, 0x11, 20);
	memcpy(bytes + 16, &sum, 2);
	head = payload(r, bytes, 20);
	head->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	if (len) {
		body = payload(r, data, len);
		assert_int_equal(rte_pktmbuf_chain(head, body), 0);
	}
	return head;
}

static void tcp_checksums_are_made_where_the_device_does_not(void **state)
{
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.total_length = RTE_BE16(20 + 20 + 7),
		.next_proto_id = IPPROTO_TCP,
		.src_addr = OUR_IP,
		.dst_addr = PEER_IP};
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	struct ip_fields fields = from_us(PEER_IP, &peer_mac, 0);
	uint8_t b[27];
	uint16_t sum = 0;
	struct rig r;

	open_with(&r, RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 1500);
	net_ip_output(r.net, segment(&r, b, "payload", 7), &tcp_to(&path), r.now_us);
	memcpy(b + 20, "payload", 7);
	memcpy(b + 16, &sum, 2);
	sum = rte_ipv4_udptcp_cksum(&ip, b);
	memcpy(b + 16, &sum, 2);
	fields.proto = IPPROTO_TCP;
	rig_expect(&r, frame_ip(fields, b, 27));
	assert_int_equal(r.out[0]->ol_flags & RTE_MBUF_F_TX_L4_MASK, 0);
	assert_int_equal(r.out[0]->nb_segs, 2);
	rig_close(&r);
}

static void checksums_are_left_to_the_device_that_makes_them(void **state)
{
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	uint16_t sum = net_pseudo_sum(&our_ip, &peer_ip, IPPROTO_TCP, 20);
	const struct rte_ipv4_hdr *ip;
	uint8_t b[20];
	struct rig r;

	open_with(&r,
		RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
		1500);
	net_ip_output(r.net, segment(&r, b, NULL, 0), &tcp_to(&path), r.now_us);
	send_to(&r, PEER_IP, "x", 1);
	struct rte_mbuf *m = rig_out(&r);
	assert_int_equal(
		m->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM);
	assert_int_equal(m->l2_len, 14);
	assert_int_equal(m->l3_len, 20);
	ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 14);
	assert_int_equal(ip->hdr_checksum, 0);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 34 + 16), &sum, 2);
	m = rig_out(&r);
	assert_int_equal(
		m->ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM);
	sum = net_pseudo_sum(&our_ip, &peer_ip, IPPROTO_UDP, 9);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, 34 + 6), &sum, 2);
	rig_close(&r);
}

static void a_udp_checksum_is_never_zero(void **state)
{
	uint8_t payload_bytes[2];
	struct rig r;

	open_with(&r, 0, 1500);
	for (uint32_t v = 0; v < 65536; v += 5) {
		memcpy(payload_bytes, &v, 2);
		send_to(&r, PEER_IP, payload_bytes, 2);
		struct frame f = frame_of(rig_out(&r));
		assert_true(f.b[40] || f.b[41]);
		rig_out_clear(&r);
	}
	rig_close(&r);
}

static void the_sum_over_any_chain_is_the_sum_over_its_bytes(void **state)
{
	struct base_rng rng;
	struct rig r;

	base_rng_seed(&rng, 1);
	rig_open(&r);
	for (int i = 0; i < 2000; i++) {
		uint8_t bytes[600];
		uint32_t len = (uint32_t)base_rng_below(&rng, sizeof(bytes) - 1) + 1;
		uint32_t off = (uint32_t)base_rng_below(&rng, len);
		struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(20 + len - off)),
			.next_proto_id = IPPROTO_TCP,
			.src_addr = FAR_IP,
			.dst_addr = OUR_IP};

		for (uint32_t k = 0; k < len; k++)
			bytes[k] = i % 3 ? (uint8_t)base_rng_next(&rng) : 0xff;
		r.segment_bytes = (uint32_t)base_rng_below(&rng, 200) + 10;
		struct rte_mbuf *m = rig_mbuf(&r, bytes, len);
		assert_int_equal(net_l4_checksum(m, off, &far_ip, &our_ip, IPPROTO_TCP),
			rte_ipv4_udptcp_cksum(&ip, bytes + off));
		rte_pktmbuf_free(m);
	}
	rig_close(&r);
}

static void chains_are_copied_for_a_device_that_takes_none(void **state)
{
	uint8_t bytes[1400];
	struct rig r;

	open_with(&r, 0, 1500);
	memset(bytes, 7, sizeof(bytes));
	r.segment_bytes = 100;
	send_to(&r, PEER_IP, bytes, sizeof(bytes));
	rig_expect(
		&r, frame_udp(from_us(PEER_IP, &peer_mac, 0), 11211, 5000, bytes, sizeof(bytes)));
	assert_int_equal(r.out[0]->nb_segs, 1);
	assert_int_equal(net_counters_get(r.net)->tx_copied, 1);
	rig_close(&r);
}

static void a_chain_too_long_for_one_mbuf_is_dropped_and_counted(void **state)
{
	static uint8_t bytes[4000];
	struct rig r;

	open_with(&r, 0, 9000);
	r.segment_bytes = 1000;
	send_to(&r, PEER_IP, bytes, sizeof(bytes));
	rig_expect_none(&r);
	assert_int_equal(net_counters_get(r.net)->tx_dropped, 1);
	rig_close(&r);
}

static void a_held_mbuf_goes_out_and_its_payload_stays(void **state)
{
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	struct rte_mbuf *m;
	struct rig r;

	open_with(&r, 0, 1500);
	m = payload(&r, "value", 5);
	char *data = rte_pktmbuf_mtod(m, char *);
	rte_mbuf_refcnt_update(m, 1); // as TCP holds it until it is acknowledged
	net_udp_output(r.net, m, &path, 11211, 5000, r.now_us);
	rig_expect(&r, frame_udp(from_us(PEER_IP, &peer_mac, 0), 11211, 5000, "value", 5));
	rig_out_clear(&r);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	assert_memory_equal(data, "value", 5);
	rte_pktmbuf_free(m);
	rig_close(&r);
}

// ---- fragments ----------------------------------------------------------------------------------

// What one net cuts, the other puts together.
static void round_trip(uint64_t offloads, uint32_t segment_bytes, uint32_t len, uint16_t mtu)
{
	static uint8_t bytes[10000];
	struct rig a, b;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 13);
	open_with(&a, offloads, mtu);
	a.segment_bytes = segment_bytes;
	rig_make(&b);
	struct net_options opt = rig_options(&b);
	opt.mac = peer_mac;
	opt.own[0].ip = base_ip4(PEER_IP);
	assert_int_equal(net_open(&b.net, &opt), 0);

	send_to(&a, PEER_IP, bytes, len);
	unsigned n = rig_out_count(&a);
	assert_int_equal(n, (8 + len + (mtu - 20) / 8 * 8 - 1) / ((mtu - 20u) / 8 * 8));
	while (n) {
		struct rte_mbuf *m = rig_out(&a);

		assert_true(m->pkt_len <= mtu + 14u);
		assert_true((offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) || m->nb_segs == 1);
		assert_int_equal(rig_in(&b, frame_of(m)), --n ? NET_DONE : NET_UDP);
	}
	assert_int_equal(b.pkt.data_len, len);
	assert_memory_equal(frame_of(b.taken).b + b.pkt.data_off, bytes, len);
	rig_close(&a);
	rig_close(&b);
}

static void a_long_datagram_is_fragmented_and_put_together(void **state)
{
	round_trip(RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0, 1473, 1500);
	round_trip(RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 0, 9000, 1500);
	round_trip(RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 77, 4000, 577);
	round_trip(0, 0, 9000, 1500);
	round_trip(RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_UDP_CKSUM, 333, 5001, 1500);
}

static void fragments_wait_for_arp_like_any_packet(void **state)
{
	static uint8_t bytes[4000];
	struct net_path path = {.dst = base_ip4(IP(10, 0, 0, 9))};
	struct rig r;

	open_with(&r, RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 1500);
	net_udp_output(r.net, payload(&r, bytes, 4000), &path, 1, 2, r.now_us);
	rig_expect(&r, our_request(&all_mac, base_ip_as4(&path.dst)));
	rig_expect_none(&r);
	rig_in(&r, their_reply(&peer_mac, base_ip_as4(&path.dst)));
	assert_int_equal(rig_out_count(&r), 3);
	rig_close(&r);
}

static void a_datagram_beyond_65535_bytes_is_dropped(void **state)
{
	static uint8_t bytes[65508];
	struct rig r;

	open_with(&r, RTE_ETH_TX_OFFLOAD_MULTI_SEGS, 1500);
	send_to(&r, PEER_IP, bytes, 65508);
	rig_expect_none(&r);
	assert_int_equal(net_counters_get(r.net)->tx_dropped, 1);
	send_to(&r, PEER_IP, bytes, 65507);
	assert_int_equal(rig_out_count(&r), 45);
	rig_close(&r);
}

// ---- routes -------------------------------------------------------------------------------------

static int route_add(struct rig *r, rte_be32_t prefix, uint8_t len, rte_be32_t via)
{
	struct base_ip p = base_ip4(prefix), v = base_ip4(via);

	return net_route_add(r->net, &p, len, &v);
}

static void hop_expect(struct rig *r, rte_be32_t dst, rte_be32_t hop)
{
	send_to(r, dst, "x", 1);
	rig_expect(r, our_request(&all_mac, hop));
	rig_expect_none(r);
	rig_wait(r, SECOND_US);
	rig_wait(r, SECOND_US);
	rig_wait(r, SECOND_US);
	rig_out_clear(r);
}

static void the_longest_prefix_decides(void **state)
{
	struct rig r;

	rig_open(&r);
	hop_expect(&r, FAR_IP, GATEWAY_IP);
	assert_int_equal(route_add(&r, IP(192, 0, 2, 0), 24, IP(10, 0, 0, 50)), 0);
	assert_int_equal(route_add(&r, IP(192, 0, 2, 128), 25, IP(10, 0, 0, 51)), 0);
	assert_int_equal(route_add(&r, IP(10, 0, 0, 200), 32, IP(10, 0, 0, 52)), 0);
	assert_int_equal(route_add(&r, IP(10, 0, 0, 0), 8, IP(10, 0, 0, 53)), 0);
	hop_expect(&r, FAR_IP, IP(10, 0, 0, 50));
	hop_expect(&r, IP(192, 0, 2, 200), IP(10, 0, 0, 51));
	hop_expect(&r, IP(10, 0, 0, 200), IP(10, 0, 0, 52));
	hop_expect(&r, IP(10, 0, 0, 201), IP(10, 0, 0, 201));
	hop_expect(&r, IP(10, 1, 0, 1), IP(10, 0, 0, 53));
	hop_expect(&r, IP(203, 0, 113, 1), GATEWAY_IP);
	assert_int_equal(route_add(&r, 0, 0, IP(10, 0, 0, 54)), 0);
	hop_expect(&r, IP(203, 0, 113, 1), IP(10, 0, 0, 54));
	rig_close(&r);
}

static void routes_that_cannot_be_are_refused(void **state)
{
	struct rig r;

	rig_open(&r);
	assert_int_equal(route_add(&r, FAR_IP, 33, GATEWAY_IP), -EINVAL);
	assert_int_equal(route_add(&r, FAR_IP, 24, FAR_IP), -EINVAL);
	assert_int_equal(route_add(&r, FAR_IP, 24, OUR_IP), -EINVAL);
	for (unsigned i = 0; i < NET_ROUTES_MAX; i++)
		assert_int_equal(
			route_add(&r, rte_cpu_to_be_32(HOST_IP(172, 16, i, 0)), 24, GATEWAY_IP), 0);
	assert_int_equal(route_add(&r, FAR_IP, 24, GATEWAY_IP), -ENOSPC);
	rig_close(&r);
}

static void what_has_no_route_is_dropped_and_counted(void **state)
{
	struct rig r;

	rig_make(&r);
	struct net_options opt = rig_options(&r);
	opt.gateway[NET_IP4] = (struct base_ip){.w64 = {0, 0}};
	assert_int_equal(net_open(&r.net, &opt), 0);
	send_to(&r, FAR_IP, "x", 1);
	send_to(&r, OUR_IP, "x", 1);
	send_to(&r, IP(224, 0, 0, 1), "x", 1);
	rig_expect_none(&r);
	assert_int_equal(net_counters_get(r.net)->no_route, 3);
	rig_close(&r);
}

static void a_broadcast_goes_to_everybody(void **state)
{
	struct rig r;

	rig_open(&r);
	send_to(&r, IP(10, 0, 0, 255), "x", 1);
	rig_expect(&r, frame_udp(from_us(IP(10, 0, 0, 255), &all_mac, 0), 11211, 5000, "x", 1));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_checksums_are_made_where_the_device_does_not),
		cmocka_unit_test(checksums_are_left_to_the_device_that_makes_them),
		cmocka_unit_test(a_udp_checksum_is_never_zero),
		cmocka_unit_test(the_sum_over_any_chain_is_the_sum_over_its_bytes),
		cmocka_unit_test(chains_are_copied_for_a_device_that_takes_none),
		cmocka_unit_test(a_chain_too_long_for_one_mbuf_is_dropped_and_counted),
		cmocka_unit_test(a_held_mbuf_goes_out_and_its_payload_stays),
		cmocka_unit_test(a_long_datagram_is_fragmented_and_put_together),
		cmocka_unit_test(fragments_wait_for_arp_like_any_packet),
		cmocka_unit_test(a_datagram_beyond_65535_bytes_is_dropped),
		cmocka_unit_test(the_longest_prefix_decides),
		cmocka_unit_test(routes_that_cannot_be_are_refused),
		cmocka_unit_test(what_has_no_route_is_dropped_and_counted),
		cmocka_unit_test(a_broadcast_goes_to_everybody),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
