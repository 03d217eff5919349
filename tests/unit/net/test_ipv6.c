// SPDX-License-Identifier: BSD-3-Clause
// IPv6 packets in and out: headers, addresses, extension headers, fragments, echo, errors.
#include "net6_helper.h"

static void a_datagram_is_taken_and_answered(void **state)
{
	struct ip6_fields back = {.src = OUR6, .dst = PEER6, .smac = &our_mac, .dmac = &peer_mac};
	struct rig r;

	rig6_open(&r);
	assert_int_equal(rig_in(&r, frame_udp6(from_peer6, 5000, 11211, "hello", 5)), NET_UDP);
	assert_true(base_ip_same(&r.pkt.src, &(struct base_ip){.b = {0xfd, [15] = 1}}));
	assert_int_equal(r.pkt.src_port, 5000);
	assert_int_equal(r.pkt.data_len, 5);
	assert_int_equal(r.pkt.l4_off, 14 + 40);
	net_udp_reply(r.net, payload(&r, "world!", 6), &r.pkt, r.now_us);
	rig_expect(&r, frame_udp6(back, 11211, 5000, "world!", 6)); // along the way it came
	rig_expect_none(&r);
	rig_close(&r);
}

static void a_far_peer_is_answered_through_the_gateway(void **state)
{
	struct ip6_fields from = {.src = FAR6, .dst = OUR6, .smac = &gateway_mac};
	struct ip6_fields back = {.src = OUR6, .dst = FAR6, .smac = &our_mac, .dmac = &gateway_mac};
	struct rig r;

	rig6_open(&r);
	assert_int_equal(rig_in(&r, frame_udp6(from, 1, 2, "x", 1)), NET_UDP);
	net_udp_reply(r.net, payload(&r, "y", 1), &r.pkt, r.now_us);
	rig_expect(&r, our_solicit(GATEWAY6, NULL));
	rig_expect_none(&r);
	assert_int_equal(
		rig_in(&r, their_advert(GATEWAY6, &gateway_mac, ND_SOLICITED | ND_OVERRIDE)),
		NET_NEIGH);
	rig_expect(&r, frame_udp6(back, 2, 1, "y", 1));
	rig_close(&r);
}

static void only_our_addresses_are_taken(void **state)
{
	const struct {
		const char *dst;
		const struct rte_ether_addr *mac;
		enum net_verdict want;
	} cases[] = {
		{"fd00::2", &our_mac, NET_UDP},
		{"fd00::3", &our_mac, NET_DONE},
		{"fd00::2", &peer_mac, NET_DONE},
		{"fd00::2", &all6_mac, NET_DONE},
		{"ff02::1", &all6_mac, NET_DONE},
		{"ff02::1:ff00:2", &our6_node_mac, NET_DONE},
		{"ff02::1:ff00:3", &our6_node_mac, NET_DONE},
		{"::1", &our_mac, NET_DONE},
	};
	struct frame mapped;
	struct rig r;

	rig6_open(&r);
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		struct ip6_fields ip = {
			.src = PEER6, .dst = ip6(cases[i].dst), .dmac = cases[i].mac};

		assert_int_equal(rig_in(&r, frame_udp6(ip, 1, 2, "x", 1)), cases[i].want);
	}
	assert_int_equal(rig_in(&r,
				 frame_udp6((struct ip6_fields){.src = GATEWAY6, .dst = OUR6_LINK},
					 1, 2, "x", 1)),
		NET_UDP);
	assert_int_equal(counted(&r)->not_ours, 7);
	// our IPv4 address as IPv6 writes it is not to be had by IPv6, nor a sender that looks so
	mapped = frame_udp6(
		(struct ip6_fields){.src = PEER6, .dst = base_ip4(OUR_IP)}, 1, 2, "x", 1);
	assert_int_equal(rig_in(&r, mapped), NET_DONE);
	assert_int_equal(counted(&r)->not_ours, 8);
	mapped = frame_udp6(
		(struct ip6_fields){.src = base_ip4(PEER_IP), .dst = OUR6}, 1, 2, "x", 1);
	assert_int_equal(rig_in(&r, mapped), NET_DONE);
	assert_int_equal(counted(&r)->bad_source, 1);
	rig_close(&r);
}

static void sources_that_are_no_host_are_dropped(void **state)
{
	static const char *const bad[] = {"::", "::1", "ff02::1", "fd00::2"};
	struct rig r;

	rig6_open(&r);
	for (unsigned i = 0; i < RTE_DIM(bad); i++)
		rig_in(&r,
			frame_udp6((struct ip6_fields){.src = ip6(bad[i]), .dst = OUR6}, 1, 2, "x",
				1));
	assert_int_equal(counted(&r)->bad_source, RTE_DIM(bad));
	rig_close(&r);
}

static void without_an_ipv6_address_ipv6_is_unknown(void **state)
{
	struct rig r;

	rig_open(&r);
	assert_int_equal(rig_in(&r, frame_udp6(from_peer6, 1, 2, "x", 1)), NET_DONE);
	assert_int_equal(counted(&r)->unknown_proto, 1);
	rig_close(&r);
}

static void broken_headers_are_counted_by_reason(void **state)
{
	struct frame good, f;
	struct rig r;

	rig6_open(&r);
	good = frame_udp6(from_peer6, 5000, 11211, "hello", 5);
	for (uint32_t len = 14; len < good.len; len++) { // cut anywhere
		f = good;
		f.len = len;
		assert_int_equal(rig_in(&r, f), NET_DONE);
	}
	assert_int_equal(counted(&r)->bad_ip_length, good.len - 14);
	f = good;
	f.b[14] = 0x40;
	rig_in(&r, f);
	assert_int_equal(counted(&r)->bad_ip_header, 1);
	f = good;
	f.b[18] = f.b[19] = 0; // payload of 0 bytes: none, or a jumbogram
	rig_in(&r, f);
	assert_int_equal(counted(&r)->bad_ip_length, good.len - 13);
	f = good;
	f.b[14 + 40 + 8] ^= 1;
	rig_in(&r, f);
	assert_int_equal(counted(&r)->bad_udp_checksum, 1);
	f = good;
	memset(f.b + 14 + 40 + 6, 0, 2); // a checksum is no choice here
	rig_in(&r, f);
	assert_int_equal(counted(&r)->bad_udp_checksum, 2);
	f = good;
	frame_add(&f, "padding", 7);
	assert_int_equal(rig_in(&r, f), NET_UDP);
	assert_int_equal(r.taken->pkt_len, good.len);
	rig_close(&r);
}

// ---- extension headers --------------------------------------------------------------------------
struct packet {
	uint8_t b[FRAME_MAX];
	uint32_t len;
};

static void add(struct packet *p, const void *bytes, uint32_t len)
{
	memcpy(p->b + p->len, bytes, len);
	p->len += len;
}

static struct frame with_headers(
	uint8_t first, const void *headers, uint32_t len, const char *payload)
{
	struct packet p = {.len = 0};
	uint8_t udp[100];
	uint32_t n = udp6_bytes(udp, PEER6, OUR6, 5000, 11211, payload, (uint32_t)strlen(payload));
	struct ip6_fields ip = from_peer6;

	add(&p, headers, len);
	add(&p, udp, n);
	ip.proto = first;
	return frame_ip6(ip, p.b, p.len);
}

static void extension_headers_are_skipped(void **state)
{
	const uint8_t all[] = {
		NEXT_OPTIONS,
		0,
		5,
		2,
		0,
		0,
		1,
		0, // hop-by-hop: router alert, padding
		NEXT_ROUTING,
		1,
		0,
		0,
		0,
		0x1e,
		4,
		1,
		2,
		3,
		4,
		0,
		0,
		0,
		0,
		0, // unknown, to be skipped
		NEXT_FRAGMENT,
		0,
		0,
		0,
		0,
		0,
		0,
		0, // routing, no segments left
		NEXT_OPTIONS,
		0,
		0,
		0,
		1,
		2,
		3,
		4, // a fragment that is all
		IPPROTO_UDP,
		0,
		1,
		4,
		0,
		0,
		0,
		0,
	};
	struct rig r;

	rig6_open(&r);
	for (unsigned k = 0; k < 2; k++) {
		r.segment_bytes = k ? 20 : 0;
		assert_int_equal(
			rig_in(&r, with_headers(NEXT_HOP_BY_HOP, all, sizeof(all), "hello")),
			NET_UDP);
		assert_int_equal(r.pkt.l4_off, 14 + 40 + sizeof(all));
		assert_int_equal(r.pkt.data_len, 5);
	}
	assert_int_equal(counted(&r)->bad_ext, 0);
	rig_expect_none(&r);
	rig_close(&r);
}

static void broken_extension_headers_are_counted(void **state)
{
	const struct {
		uint8_t first;
		uint8_t b[16];
		uint8_t len;
		bool told; // the sender gets a parameter problem
	} cases[] = {
		{NEXT_OPTIONS, {IPPROTO_UDP, 0, 1, 200, 0, 0, 0, 0}, 8, false}, // option too long
		{NEXT_OPTIONS, {IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 5}, 8, false},   // cut option
		{NEXT_OPTIONS, {IPPROTO_UDP, 40, 1, 4, 0, 0, 0, 0}, 8, false},  // header too long
		{NEXT_OPTIONS, {IPPROTO_UDP, 255, 1, 4, 0, 0, 0, 0}, 8, false},
		{NEXT_OPTIONS, {IPPROTO_UDP, 0, 0x41, 4, 0, 0, 0, 0}, 8, false}, // discard
		{NEXT_OPTIONS, {IPPROTO_UDP, 0, 0x81, 4, 0, 0, 0, 0}, 8, true},  // ... and tell
		{NEXT_OPTIONS, {IPPROTO_UDP, 0, 0xc1, 4, 0, 0, 0, 0}, 8, true},
		{NEXT_ROUTING, {IPPROTO_UDP, 0, 0, 1, 0, 0, 0, 0}, 8, true}, // segments left
		{NEXT_OPTIONS, {NEXT_HOP_BY_HOP, 0, 1, 4, 0, 0, 0, 0, IPPROTO_UDP, 0, 1, 4}, 16,
			false}, // hop-by-hop not first
	};
	struct rig r;

	rig6_open(&r);
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		assert_int_equal(
			rig_in(&r, with_headers(cases[i].first, cases[i].b, cases[i].len, "hello")),
			NET_DONE);
		assert_int_equal(counted(&r)->bad_ext, i + 1);
		assert_int_equal(rig_out_count(&r), cases[i].told);
		rig_out_clear(&r);
	}
	rig_close(&r);
}

static void headers_without_end_are_dropped(void **state)
{
	uint8_t many[100 * 8];
	struct rig r;

	rig6_open(&r);
	for (unsigned i = 0; i < 100; i++)
		memcpy(many + 8 * i, (uint8_t[8]){NEXT_OPTIONS, 0, 1, 4}, 8);
	for (unsigned n = 1; n <= 100; n++) {
		many[8 * (n - 1)] = IPPROTO_UDP;
		assert_int_equal(rig_in(&r, with_headers(NEXT_OPTIONS, many, 8 * n, "x")),
			n <= 8 ? NET_UDP : NET_DONE);
		many[8 * (n - 1)] = NEXT_OPTIONS;
	}
	assert_int_equal(counted(&r)->bad_ext, 92);
	rig_close(&r);
}

// A parameter problem (4), code and pointer, about a frame of the peer's.
static struct frame problem(uint8_t type, uint8_t code, uint8_t pointer, const struct frame *f)
{
	uint8_t b[1300] = {type, code, 0, 0, 0, 0, 0, pointer};
	uint32_t quote = RTE_MIN(f->len - 14, 1232u);

	memcpy(b + 8, f->b + 14, quote);
	return frame_icmp6(
		(struct ip6_fields){.src = OUR6, .dst = PEER6, .smac = &our_mac, .dmac = &peer_mac},
		b, 8 + quote);
}

static void a_protocol_nobody_knows_is_a_problem(void **state)
{
	struct ip6_fields ip = {.src = PEER6, .dst = OUR6, .proto = 50};
	struct frame f = frame_ip6(ip, "0123456789", 10);
	struct rig r;

	rig6_open(&r);
	rig_in(&r, f);
	rig_expect(&r, problem(4, 1, 6, &f));
	ip.proto = NEXT_NONE;
	rig_in(&r, frame_ip6(ip, "0123456789", 10));
	rig_expect_none(&r);
	assert_int_equal(counted(&r)->unknown_proto, 2);
	rig_close(&r);
}

static void a_port_nobody_listens_on_is_unreachable(void **state)
{
	static uint8_t bytes[1400];
	struct frame f = frame_udp6(from_peer6, 5000, 9, bytes, sizeof(bytes));
	struct rig r;

	rig6_open(&r);
	assert_int_equal(rig_in(&r, f), NET_UDP);
	net_icmp_unreachable(r.net, r.taken, &r.pkt, r.now_us);
	rig_expect(&r, problem(1, 4, 0, &f)); // as much of it as fits 1,280 bytes
	for (unsigned i = 0; i < 60; i++)
		net_icmp_unreachable(r.net, r.taken, &r.pkt, r.now_us);
	assert_int_equal(rig_out_count(&r), 49);
	assert_int_equal(counted(&r)->icmp_limited, 11);
	rig_close(&r);
}

// ---- fragments ----------------------------------------------------------------------------------
static struct frame piece(const void *bytes, uint32_t at, uint32_t len, bool more, uint32_t id)
{
	struct packet p = {.len = 0};
	struct ip6_fields ip = from_peer6;
	rte_be16_t field = rte_cpu_to_be_16((uint16_t)(at | more));
	rte_be32_t be_id = rte_cpu_to_be_32(id);

	add(&p, (uint8_t[2]){IPPROTO_UDP, 0}, 2);
	add(&p, &field, 2);
	add(&p, &be_id, 4);
	add(&p, (const uint8_t *)bytes + at, len);
	ip.proto = NEXT_FRAGMENT;
	return frame_ip6(ip, p.b, p.len);
}

static void fragments_are_put_together_in_any_order(void **state)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {2, 0, 1}};
	uint8_t data[3000], udp[3100];
	uint32_t n;
	struct rig r;

	rig6_open(&r);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	n = udp6_bytes(udp, PEER6, OUR6, 5000, 11211, data, sizeof(data));
	for (unsigned k = 0; k < RTE_DIM(orders); k++) {
		for (unsigned i = 0; i < 3; i++) {
			unsigned at = orders[k][i] * 1200;
			uint32_t len = RTE_MIN(1200u, n - at);
			enum net_verdict v = rig_in(&r, piece(udp, at, len, at + len < n, k));

			assert_int_equal(v, i == 2 ? NET_UDP : NET_DONE);
		}
		assert_int_equal(r.pkt.data_len, sizeof(data));
		assert_true(r.pkt.reassembled);
		struct frame f = frame_of(r.taken);
		assert_memory_equal(f.b + r.pkt.data_off, data, sizeof(data));
	}
	assert_int_equal(counted(&r)->reassembled, RTE_DIM(orders));
	rig_close(&r);
}

// Hop-by-hop options before the fragment header, destination options behind it.
static void fragments_with_other_headers_are_put_together(void **state)
{
	uint8_t whole[600] = {IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0}, data[500] = {1, 2, 3};
	uint32_t n = 8 + udp6_bytes(whole + 8, PEER6, OUR6, 5000, 11211, data, sizeof(data));
	struct rig r;

	rig6_open(&r);
	for (unsigned i = 0; i < 2; i++) {
		struct packet p = {.len = 0};
		uint32_t at = i * 256, len = i ? n - 256 : 256;
		struct ip6_fields ip = from_peer6;

		add(&p, (uint8_t[8]){NEXT_FRAGMENT, 0, 1, 4}, 8);
		add(&p, (uint8_t[8]){NEXT_OPTIONS, 0, (uint8_t)(at >> 8), (uint8_t)(at | !i), 9},
			8);
		add(&p, whole + at, len);
		ip.proto = NEXT_HOP_BY_HOP;
		assert_int_equal(rig_in(&r, frame_ip6(ip, p.b, p.len)), i ? NET_UDP : NET_DONE);
	}
	assert_int_equal(r.pkt.data_len, sizeof(data));
	assert_int_equal(counted(&r)->bad_ext, 0);
	rig_close(&r);
}

static void impossible_fragments_are_dropped(void **state)
{
	uint8_t bytes[3000] = {0};
	struct rig r;

	rig6_open(&r);
	rig_in(&r, piece(bytes, 0, 1001, true, 1)); // not a multiple of 8
	rig_in(&r, piece(bytes, 0, 0, true, 2));    // nothing
	struct frame f = piece(bytes, 0, 1000, false, 3);
	f.b[14 + 40 + 2] = f.b[14 + 40 + 3] = 0xff; // beyond 65,535
	f.b[14 + 40 + 3] = 0xf8;
	rig_in(&r, f);
	assert_int_equal(counted(&r)->frag_dropped, 3);
	rig_in(&r, piece(bytes, 0, 800, true, 4));
	rig_in(&r, piece(bytes, 400, 800, true, 4)); // overlaps
	rig_in(&r, piece(bytes, 1200, 80, false, 4));
	assert_int_equal(counted(&r)->reassembled, 0);
	rig_wait(&r, 3 * SECOND_US);
	rig_wait(&r, 3 * SECOND_US);
	assert_true(counted(&r)->frag_dropped > 3);
	rig_close(&r);
}

static void what_does_not_fit_is_sent_in_fragments(void **state)
{
	static uint8_t data[3000];
	struct net_path path;
	uint8_t udp[3100], got[3100];
	uint32_t n = udp6_bytes(udp, OUR6, PEER6, 11211, 5000, data, sizeof(data)), at = 0;
	uint32_t id = 0;
	struct rig r;

	rig6_open(&r);
	r.segment_bytes = 1000;
	net_neigh_learn(r.net, PEER6, &peer_mac, r.now_us);
	assert_true(net_path_open(r.net, &(struct base_ip){.b = {0xfd, [15] = 1}}, &path));
	net_udp_output(r.net, payload(&r, data, sizeof(data)), &path, 11211, 5000, r.now_us);
	assert_int_equal(rig_out_count(&r), 3);
	for (unsigned i = 0; i < 3; i++) {
		struct frame f = frame_of(rig_out(&r));
		uint32_t this_id, len = f.len - 14 - 40 - 8;

		assert_true(f.len <= 14 + 1500);
		assert_int_equal(f.b[14 + 6], NEXT_FRAGMENT);
		assert_int_equal(f.b[14 + 40], IPPROTO_UDP);
		assert_int_equal((f.b[14 + 40 + 2] << 8 | f.b[14 + 40 + 3]), at | (i < 2));
		memcpy(&this_id, f.b + 14 + 40 + 4, 4);
		assert_true(i == 0 || this_id == id);
		id = this_id;
		memcpy(got + at, f.b + 14 + 40 + 8, len);
		at += len;
	}
	assert_int_equal(at, n);
	assert_true(id != 0);
	assert_memory_equal(got, udp, n);
	rig_close(&r);
}

// ---- echo ---------------------------------------------------------------------------------------
static void echo_is_answered(void **state)
{
	uint8_t b[1008] = {128, 0, 0, 0, 0x12, 0x34, 0, 1, 'a', 'b'};
	struct ip6_fields back = {.src = OUR6, .dst = PEER6, .smac = &our_mac, .dmac = &peer_mac};
	struct frame f = frame_icmp6(from_peer6, b, sizeof(b));
	struct rig r;

	rig6_open(&r);
	for (unsigned k = 0; k < 2; k++) {
		r.segment_bytes = k ? 100 : 0;
		rig_in(&r, f);
		b[0] = 129;
		rig_expect(&r, frame_icmp6(back, b, sizeof(b)));
	}
	f.b[14 + 40 + 20] ^= 1;
	rig_in(&r, f);
	assert_int_equal(counted(&r)->bad_icmp, 1);
	b[0] = 128; // to a group: may be left unanswered
	rig_in(&r,
		frame_icmp6(
			(struct ip6_fields){.src = PEER6, .dst = ALL6, .dmac = &all6_mac}, b, 20));
	rig_expect_none(&r);
	rig_close(&r);
}

static void tcp_is_handed_on(void **state)
{
	uint8_t tcp[40] = {0};
	struct ip6_fields ip = from_peer6;
	struct rig r;

	rig6_open(&r);
	ip.proto = IPPROTO_TCP;
	assert_int_equal(rig_in(&r, frame_ip6(ip, tcp, sizeof(tcp))), NET_TCP);
	assert_int_equal(r.pkt.l4_off, 54);
	assert_int_equal(r.pkt.l4_len, 40);
	ip.dst = ALL6;
	ip.dmac = &all6_mac;
	assert_int_equal(rig_in(&r, frame_ip6(ip, tcp, sizeof(tcp))), NET_DONE);
	rig_close(&r);
}

static void checksums_agree_with_the_library(void **state)
{
	struct base_ip a = ip6("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), b = OUR6;
	struct rig r;

	rig6_open(&r);
	for (uint32_t len = 1; len < 300; len++) {
		uint8_t bytes[300];
		struct rte_mbuf *m;

		memset(bytes, (int)(len % 3 ? 0xff : len), sizeof(bytes));
		m = rig_mbuf(&r, bytes, len);
		assert_int_equal(net_l4_checksum(m, 0, &a, &b, IPPROTO_TCP),
			l4_sum6(a, b, IPPROTO_TCP, bytes, len));
		rte_pktmbuf_free(m);
	}
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_taken_and_answered),
		cmocka_unit_test(a_far_peer_is_answered_through_the_gateway),
		cmocka_unit_test(only_our_addresses_are_taken),
		cmocka_unit_test(sources_that_are_no_host_are_dropped),
		cmocka_unit_test(without_an_ipv6_address_ipv6_is_unknown),
		cmocka_unit_test(broken_headers_are_counted_by_reason),
		cmocka_unit_test(extension_headers_are_skipped),
		cmocka_unit_test(broken_extension_headers_are_counted),
		cmocka_unit_test(headers_without_end_are_dropped),
		cmocka_unit_test(a_protocol_nobody_knows_is_a_problem),
		cmocka_unit_test(a_port_nobody_listens_on_is_unreachable),
		cmocka_unit_test(fragments_are_put_together_in_any_order),
		cmocka_unit_test(fragments_with_other_headers_are_put_together),
		cmocka_unit_test(impossible_fragments_are_dropped),
		cmocka_unit_test(what_does_not_fit_is_sent_in_fragments),
		cmocka_unit_test(echo_is_answered),
		cmocka_unit_test(tcp_is_handed_on),
		cmocka_unit_test(checksums_agree_with_the_library),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
