// SPDX-License-Identifier: BSD-3-Clause
// Path MTU discovery: what routers say, what is believed, and what is done with it.
#include "net6_helper.h"

static struct frame from_router(uint16_t mtu, struct base_ip src, struct base_ip dst, uint8_t proto)
{
	uint8_t b[8 + 40 + 20] = {2, 0, 0, 0, 0, 0, (uint8_t)(mtu >> 8), (uint8_t)mtu};
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(b + 8);

	*ip = (struct rte_ipv6_hdr){.vtc_flow = RTE_BE32(0x60000000), .proto = proto};
	memcpy(ip->src_addr, &src, 16);
	memcpy(ip->dst_addr, &dst, 16);
	memcpy(b + 48, (uint8_t[8]){0x2b, 0xcb, 0x13, 0x88, 1, 2, 3, 4}, 8); // 11211 to 5000
	return frame_icmp6((struct ip6_fields){.src = ip6("fd00::99"), .dst = OUR6}, b, sizeof(b));
}

static struct frame from_router4(uint16_t mtu, rte_be32_t src, uint8_t proto, uint8_t code)
{
	uint8_t b[8 + 20 + 8] = {3, code, 0, 0, 0, 0, (uint8_t)(mtu >> 8), (uint8_t)mtu};
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.total_length = RTE_BE16(1500),
		.next_proto_id = proto,
		.src_addr = src,
		.dst_addr = FAR_IP};
	uint16_t sum;

	memcpy(b + 8, &ip, sizeof(ip));
	memcpy(b + 28, (uint8_t[8]){0x2b, 0xcb, 0x13, 0x88, 1, 2, 3, 4}, 8);
	sum = (uint16_t)~rte_raw_cksum(b, sizeof(b));
	memcpy(b + 2, &sum, 2);
	return frame_ip((struct ip_fields){.src = GATEWAY_IP, .dst = OUR_IP, .proto = IPPROTO_ICMP},
		b, sizeof(b));
}

static void flow_check(const struct rig *r, struct base_ip peer, uint16_t mtu)
{
	assert_true(base_ip_same(&r->pkt.src, &peer));
	assert_int_equal(r->pkt.src_port, 5000);
	assert_int_equal(r->pkt.dst_port, 11211);
	assert_int_equal(r->pkt.seq, 0x01020304);
	assert_int_equal(r->pkt.mtu, mtu);
}

static void a_segment_that_was_too_big_is_told_to_tcp(void **state)
{
	struct rig r;

	rig6_open(&r);
	assert_int_equal(rig_in(&r, from_router(1300, OUR6, FAR6, IPPROTO_TCP)), NET_TOO_BIG);
	flow_check(&r, FAR6, 1300);
	assert_int_equal(rig_in(&r, from_router4(1300, OUR_IP, IPPROTO_TCP, 4)), NET_TOO_BIG);
	flow_check(&r, base_ip4(FAR_IP), 1300);
	assert_int_equal(rig_in(&r, from_router4(0, OUR_IP, IPPROTO_TCP, 4)), NET_TOO_BIG);
	flow_check(&r, base_ip4(FAR_IP), 1492); // the next plateau
	// believed by nobody yet
	assert_int_equal(net_path_mtu(r.net, &r.pkt.src, r.now_us), 1500);
	rig_close(&r);
}

static void what_says_nothing_is_ignored(void **state)
{
	struct frame f;
	struct rig r;

	rig6_open(&r);
	f = from_router(1300, OUR6, FAR6, IPPROTO_TCP);
	rig_in(&r, from_router(1279, OUR6, FAR6, IPPROTO_TCP));  // less than every link has
	rig_in(&r, from_router(1500, OUR6, FAR6, IPPROTO_TCP));  // as much as ours
	rig_in(&r, from_router(1300, PEER6, FAR6, IPPROTO_TCP)); // not from us
	rig_in(&r, from_router4(1300, PEER_IP, IPPROTO_TCP, 4));
	rig_in(&r, from_router4(1300, OUR_IP, IPPROTO_UDP, 4)); // went without DF
	rig_in(&r, from_router4(60, OUR_IP, IPPROTO_TCP, 4));
	assert_int_equal(counted(&r)->too_big_ignored, 6);
	rig_in(&r, from_router4(1300, OUR_IP, IPPROTO_TCP, 1)); // another error
	for (uint32_t cut = 8; cut < 8 + 40 + 8; cut++) {
		uint8_t b[56];

		memcpy(b, f.b + 54, cut);
		assert_int_equal(rig_in(&r,
					 frame_icmp6((struct ip6_fields){.src = ip6("fd00::99"),
							     .dst = OUR6},
						 b, cut)),
			NET_DONE);
	}
	assert_int_equal(counted(&r)->too_big_ignored, 6 + 48);
	rig_expect_none(&r);
	rig_close(&r);
}

static void datagrams_follow_the_path_for_ten_minutes(void **state)
{
	static uint8_t data[1400];
	struct base_ip far = FAR6;
	struct net_path path;
	struct rig r;

	rig6_open(&r);
	net_neigh_learn(r.net, GATEWAY6, &gateway_mac, r.now_us);
	assert_true(net_path_open(r.net, &far, &path));
	net_udp_output(r.net, payload(&r, data, sizeof(data)), &path, 11211, 5000, r.now_us);
	assert_int_equal(rig_out_count(&r), 1);
	rig_out_clear(&r);
	assert_int_equal(rig_in(&r, from_router(1280, OUR6, FAR6, IPPROTO_UDP)), NET_TOO_BIG);
	assert_true(r.pkt.datagram);
	assert_int_equal(counted(&r)->too_big, 1);
	assert_int_equal(net_path_mtu(r.net, &far, r.now_us), 1280);
	net_udp_output(r.net, payload(&r, data, sizeof(data)), &path, 11211, 5000, r.now_us);
	assert_int_equal(rig_out_count(&r), 2);
	assert_true(rig_out(&r)->pkt_len <= 14 + 1280);
	rig_out_clear(&r);
	net_udp_output(r.net, payload(&r, data, 1232), &path, 11211, 5000, r.now_us);
	assert_int_equal(rig_out_count(&r), 1);
	rig_out_clear(&r);
	r.now_us += 600 * SECOND_US;
	assert_int_equal(net_path_mtu(r.net, &far, r.now_us), 1500);
	rig_close(&r);
}

static void the_cache_is_bounded_and_keeps_the_latest(void **state)
{
	struct base_ip ip = FAR6, first = FAR6;
	unsigned known = 0;
	struct rig r;

	rig6_open(&r);
	for (uint32_t i = 0; i < 2000; i++) {
		ip.w32[3] = i;
		r.now_us++;
		net_path_mtu_set(r.net, &ip, 1300, r.now_us);
		assert_int_equal(net_path_mtu(r.net, &ip, r.now_us), 1300);
	}
	for (uint32_t i = 0; i < 2000; i++) {
		ip.w32[3] = i;
		known += net_path_mtu(r.net, &ip, r.now_us) == 1300;
	}
	assert_int_equal(known, 256);
	net_path_mtu_set(r.net, &first, 9, r.now_us);
	assert_int_equal(net_path_mtu(r.net, &first, r.now_us), 1280);
	ip = base_ip4(FAR_IP);
	net_path_mtu_set(r.net, &ip, 9, r.now_us);
	assert_int_equal(net_path_mtu(r.net, &ip, r.now_us), NET_PMTU4_MIN);
	rig_close(&r);
}

// DF on what can be made smaller, and on nothing else.
static void segments_are_not_to_be_cut_on_the_way(void **state)
{
	static uint8_t bytes[1480];
	const struct base_ip peer = base_ip4(PEER_IP);
	struct net_hop hop = {.generation = 0};
	struct net_to to = {.dst = &peer, .hop = &hop, .proto = IPPROTO_TCP};
	struct rig r;

	rig6_open(&r);
	net_neigh_learn(r.net, peer, &peer_mac, r.now_us);
	for (uint32_t len = 20; len <= sizeof(bytes); len += 20) {
		struct frame f;

		net_ip_output(r.net, payload(&r, bytes, len), &to, r.now_us);
		f = frame_of(rig_out(&r));
		assert_int_equal(f.b[20] & 0x40, len > NET_PMTU4_MIN - 20 ? 0x40 : 0);
		rig_out_clear(&r);
	}
	to.proto = IPPROTO_UDP;
	net_ip_output(r.net, payload(&r, bytes, sizeof(bytes)), &to, r.now_us);
	assert_int_equal(frame_of(rig_out(&r)).b[20] & 0x40, 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_segment_that_was_too_big_is_told_to_tcp),
		cmocka_unit_test(what_says_nothing_is_ignored),
		cmocka_unit_test(datagrams_follow_the_path_for_ten_minutes),
		cmocka_unit_test(the_cache_is_bounded_and_keeps_the_latest),
		cmocka_unit_test(segments_are_not_to_be_cut_on_the_way),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
