// SPDX-License-Identifier: BSD-3-Clause
// Datagrams that are answered in the buffer they came in: which they are, and what the answer is.
#include "net_helper.h"

#define PORT 11211

static bool plain(struct rig *r, const struct frame *f)
{
	struct rte_mbuf *m = rig_mbuf(r, f->b, f->len);
	uint16_t room = net_plain_input(r->net, m, RTE_BE16(PORT));

	assert_true(room == 0 || room == 1500 - 28);
	rte_pktmbuf_free(m);
	return room != 0;
}

static bool plain_from(struct rig *r, struct ip_fields ip)
{
	struct frame f = frame_udp(ip, 5000, PORT, "get a\r\n", 7);

	return plain(r, &f);
}

static bool may_differ(unsigned byte, unsigned bit)
{
	return byte >= 6 && byte < 12 && !(byte == 6 && bit == 0); // the sender's MAC
}

static void a_bit_that_is_wrong_makes_it_another(void **state)
{
	char payload[250];
	struct rig r;

	memset(payload, 'x', sizeof(payload));
	rig_open(&r);
	for (unsigned len = 1; len < sizeof(payload); len += 13) {
		struct frame f = frame_udp(from_peer, 5000, PORT, payload, len);

		assert_true(plain(&r, &f));
		for (unsigned i = 0; i < f.len; i++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				f.b[i] ^= (uint8_t)(1u << bit);
				assert_int_equal(plain(&r, &f), may_differ(i, bit));
				f.b[i] ^= (uint8_t)(1u << bit);
			}
		}
	}
	rig_close(&r);
}

static void fields_that_say_nothing_may_be_anything(void **state)
{
	struct ip_fields ip = from_peer;
	struct frame f;
	struct rig r;

	rig_open(&r);
	ip.tos = 0xb8;
	ip.ttl = 1;
	ip.id = 0xabcd;
	assert_true(plain_from(&r, ip));
	f = frame_udp(ip, 1, PORT, "ab", 2);
	frame_add(&f, "padding", 7);
	assert_true(plain(&r, &f));
	f.b[40] = f.b[41] = 0; // no checksum
	assert_true(plain(&r, &f));
	rig_close(&r);
}

static void what_is_not_plain_is_left_alone(void **state)
{
	const struct ip_fields other[] = {
		{.src = PEER_IP, .dst = OUR_IP, .fragment = 1},
		{.src = PEER_IP, .dst = OUR_IP, .fragment = 8},
		{.src = PEER_IP, .dst = OUR_IP, .option_bytes = 4},
		{.src = PEER_IP, .dst = OUR_IP, .dmac = &all_mac},
		{.src = PEER_IP, .dst = OUR_IP, .smac = &all_mac},
		{.src = PEER_IP, .dst = IP(10, 0, 0, 3)},
		{.src = PEER_IP, .dst = IP(10, 0, 0, 255)},
		{.src = FAR_IP, .dst = OUR_IP},
		{.src = OUR_IP, .dst = OUR_IP},
		{.src = IP(10, 0, 0, 255), .dst = OUR_IP},
	};
	struct frame f;
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < RTE_DIM(other); i++)
		assert_false(plain_from(&r, other[i]));
	f = frame_udp(from_peer, 0, PORT, "ab", 2);
	assert_false(plain(&r, &f));
	f = frame_udp(from_peer, 5000, PORT + 1, "ab", 2);
	assert_false(plain(&r, &f));
	r.segment_bytes = 40;
	assert_false(plain_from(&r, from_peer));
	rig_close(&r);
}

// Nobody may speak in the name of another address of ours, whichever it is.
static void several_addresses_of_ours(void **state)
{
	const rte_be32_t second = IP(10, 0, 0, 9), third = IP(10, 7, 0, 9), last = IP(1, 2, 3, 4);
	struct net_options opt;
	struct rig r;

	rig_make(&r);
	opt = rig_options(&r);
	opt.own[1] = (struct net_own){base_ip4(second), 24};
	opt.own[2] = (struct net_own){base_ip4(third), 16};
	opt.own[3] = (struct net_own){base_ip4(last), 0}; // all the world is on its link
	opt.owns = 4;
	assert_int_equal(net_open(&r.net, &opt), 0);
	assert_true(plain_from(&r, from_peer));
	assert_true(plain_from(&r, (struct ip_fields){.src = PEER_IP, .dst = second}));
	assert_false(plain_from(&r, (struct ip_fields){.src = OUR_IP, .dst = second}));
	assert_false(plain_from(&r, (struct ip_fields){.src = second, .dst = OUR_IP}));
	assert_true(plain_from(&r, (struct ip_fields){.src = IP(10, 7, 9, 9), .dst = third}));
	assert_false(plain_from(&r, (struct ip_fields){.src = third, .dst = third}));
	assert_false(plain_from(&r, (struct ip_fields){.src = IP(10, 7, 255, 255), .dst = third}));
	assert_true(plain_from(&r, (struct ip_fields){.src = FAR_IP, .dst = last}));
	assert_false(plain_from(&r, (struct ip_fields){.src = IP(127, 0, 0, 1), .dst = last}));
	assert_false(plain_from(&r, (struct ip_fields){.src = IP(0, 0, 0, 1), .dst = last}));
	assert_false(plain_from(&r, (struct ip_fields){.src = IP(224, 0, 0, 1), .dst = last}));
	assert_false(plain_from(&r, (struct ip_fields){.src = OUR_IP, .dst = last}));
	rig_close(&r);
}

// As it would have been made from nothing, of whatever length.
static void the_answer_goes_back(void **state)
{
	char text[600];
	struct rig r;

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 37);
	rig_open(&r);
	for (uint16_t n = 1; n < sizeof(text); n++) {
		struct frame f = frame_udp(from_peer, (uint16_t)(n * 109), PORT, "get a", 5);
		struct rte_mbuf *m = rig_mbuf(&r, f.b, f.len);

		assert_int_not_equal(net_plain_input(r.net, m, RTE_BE16(PORT)), 0);
		memcpy(rte_pktmbuf_mtod_offset(m, char *, NET_PLAIN_HEAD), text, n);
		net_plain_reply(r.net, m, n);
		m = rig_out(&r);
		f = frame_udp((struct ip_fields){.src = OUR_IP,
				      .dst = PEER_IP,
				      .id = (uint16_t)(FIRST_IP_ID + n - 1),
				      .smac = &our_mac,
				      .dmac = &peer_mac},
			PORT, (uint16_t)(n * 109), text, n);
		assert_int_equal(m->pkt_len, f.len);
		assert_memory_equal(rte_pktmbuf_mtod(m, char *), f.b, f.len);
		if (r.outs == RIG_OUT_MAX / 2)
			rig_out_clear(&r);
	}
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bit_that_is_wrong_makes_it_another),
		cmocka_unit_test(fields_that_say_nothing_may_be_anything),
		cmocka_unit_test(what_is_not_plain_is_left_alone),
		cmocka_unit_test(several_addresses_of_ours),
		cmocka_unit_test(the_answer_goes_back),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
