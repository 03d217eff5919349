// SPDX-License-Identifier: BSD-3-Clause
// What is left to the device: frames of several segments that it cuts (TSO), and what it has joined
// (LRO), of either family.
#include "net6_helper.h"

#define MSS   1428
#define BIG   (20 * MSS + 700) // bytes of payload
#define CUTS  (RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_TSO)
#define SUMS4 (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define HEAD  32 // TCP's header with timestamps

static void open_with(struct rig *r, uint64_t tx_offloads, uint64_t rx_offloads, uint16_t vlan)
{
	struct net_options opt;

	rig_make(r);
	opt = rig6_options(r);
	opt.tx_offloads = tx_offloads;
	opt.rx_offloads = rx_offloads;
	opt.vlan = vlan;
	assert_int_equal(net_open(&r->net, &opt), 0);
	net_neigh_learn(r->net, base_ip4(PEER_IP), &peer_mac, r->now_us);
	net_neigh_learn(r->net, PEER6, &peer_mac, r->now_us);
}

// As tcp makes it: one mbuf with header and payload, one for each segment more; the pseudo-header's
// sum without the length, as each segment has its own.
static struct rte_mbuf *big(struct rig *r, uint8_t local, const struct base_ip *dst)
{
	static uint8_t bytes[HEAD + BIG];
	uint16_t sum = net_pseudo_sum(net_ip(r->net, local), dst, IPPROTO_TCP, 0);
	struct rte_mbuf *m, *more;

	memset(bytes, 0x11, sizeof(bytes));
	bytes[12] = HEAD / 4 << 4;
	memcpy(bytes + 16, &sum, sizeof(sum));
	m = rig_mbuf(r, bytes, HEAD + MSS);
	r->segment_bytes = MSS;
	more = rig_mbuf(r, bytes + HEAD + MSS, BIG - MSS);
	r->segment_bytes = 0;
	assert_int_equal(rte_pktmbuf_chain(m, more), 0);
	m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG;
	m->l4_len = HEAD;
	m->tso_segsz = MSS;
	return m;
}

static struct rte_mbuf *big_sent(struct rig *r, uint8_t local, struct base_ip dst)
{
	struct net_path path = {.dst = dst};
	const struct net_to to = {
		.dst = &path.dst, .hop = &path.hop, .local = local, .proto = IPPROTO_TCP};
	struct rte_mbuf *m;

	net_ip_output(r->net, big(r, local, &dst), &to, r->now_us);
	m = rig_out(r);
	assert_int_equal(rig_out_count(r), 0); // in one piece
	assert_int_equal(m->nb_segs, 21);
	assert_int_equal(m->l4_len, HEAD);
	assert_int_equal(m->tso_segsz, MSS);
	return m;
}

static void an_ipv6_frame_to_cut_tells_the_device_what_it_needs(void **state)
{
	for (unsigned vlan = 0; vlan <= 5; vlan += 5) {
		unsigned l2 = vlan ? 18 : 14;
		const struct base_ip peer = PEER6;
		const struct rte_ipv6_hdr *ip;
		const struct rte_tcp_hdr *th;
		struct rte_mbuf *m;
		struct rig r;

		// no IPv4 checksums: IPv6 has none, and must not be asked for what is not offered
		open_with(&r, CUTS | RTE_ETH_TX_OFFLOAD_TCP_CKSUM, 0, (uint16_t)vlan);
		m = big_sent(&r, 1, peer);
		assert_int_equal(m->ol_flags,
			RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG);
		assert_int_equal(m->l2_len, l2);
		assert_int_equal(m->l3_len, 40);
		assert_int_equal(m->pkt_len, l2 + 40 + HEAD + BIG);
		ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, l2);
		assert_int_equal(rte_be_to_cpu_16(ip->payload_len), HEAD + BIG);
		assert_int_equal(ip->proto, IPPROTO_TCP);
		assert_memory_equal(ip->src_addr, net_ip(r.net, 1), 16);
		assert_memory_equal(ip->dst_addr, &peer, 16);
		th = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, l2 + 40);
		assert_int_equal(th->cksum, rte_ipv6_phdr_cksum(ip, m->ol_flags));
		rig_close(&r);
	}
}

static void an_ipv4_frame_to_cut_has_a_number_for_each_segment(void **state)
{
	const struct rte_ipv4_hdr *ip;
	const struct rte_tcp_hdr *th;
	uint16_t id;
	struct rte_mbuf *m;
	struct rig r;

	open_with(&r, CUTS | SUMS4, 0, 0);
	m = big_sent(&r, 0, base_ip4(PEER_IP));
	assert_int_equal(m->ol_flags,
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM |
			RTE_MBUF_F_TX_TCP_SEG);
	assert_int_equal(m->l2_len, 14);
	assert_int_equal(m->l3_len, 20);
	ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 14);
	assert_int_equal(rte_be_to_cpu_16(ip->total_length), 20 + HEAD + BIG);
	assert_int_equal(ip->fragment_offset, RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
	th = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, 34);
	assert_int_equal(th->cksum, rte_ipv4_phdr_cksum(ip, m->ol_flags));
	id = rte_be_to_cpu_16(ip->packet_id);
	m = big_sent(&r, 0, base_ip4(PEER_IP));
	ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 14);
	assert_true((uint16_t)(rte_be_to_cpu_16(ip->packet_id) - id) >= 21);
	rig_close(&r);
}

// ---- what the device has joined ----------------------------------------------------------------
#define RX_SUMS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define LONG    9000 // of a link of 1,500

static uint8_t joined_bytes[LONG];

// A chain of mbufs, with the sum of its last segment, which is none of the whole.
static struct rte_mbuf *joined(struct rig *r, bool six, uint64_t flags)
{
	struct ip_fields v4 = {.src = PEER_IP, .dst = OUR_IP, .proto = IPPROTO_TCP};
	struct ip6_fields v6 = {.src = PEER6, .dst = OUR6, .proto = IPPROTO_TCP};
	struct frame f;
	struct rte_mbuf *m;

	for (unsigned i = 0; i < LONG; i++)
		joined_bytes[i] = (uint8_t)(i * 7 >> 3);
	joined_bytes[12] = HEAD / 4 << 4;
	f = six ? frame_ip6(v6, joined_bytes, LONG) : frame_ip(v4, joined_bytes, LONG);
	r->segment_bytes = 1500;
	m = rig_mbuf(r, f.b, f.len);
	r->segment_bytes = 0;
	m->ol_flags |= RTE_MBUF_F_RX_LRO | flags;
	return m;
}

static void what_the_device_has_joined_goes_to_tcp_whole(void **state)
{
	for (unsigned six = 0; six < 2; six++) {
		unsigned l4 = six ? 54 : 34;
		uint8_t bytes[LONG];
		struct rig r;

		open_with(&r, 0, RX_SUMS, 0);
		assert_int_equal(
			rig_in_mbuf(&r,
				joined(&r, six,
					RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD)),
			NET_TCP);
		assert_int_equal(r.pkt.l4_off, l4);
		assert_int_equal(r.pkt.l4_len, LONG);
		assert_true(r.pkt.l4_checked);
		assert_int_equal(r.taken->pkt_len, l4 + LONG);
		assert_true(r.taken->nb_segs > 1);
		assert_memory_equal(rte_pktmbuf_read(r.taken, l4, LONG, bytes), joined_bytes, LONG);
		rig_close(&r);
	}
}

static void what_the_device_has_not_checked_is_summed_up_by_tcp(void **state)
{
	for (unsigned six = 0; six < 2; six++) {
		struct rig r;

		open_with(&r, 0, RX_SUMS, 0);
		assert_int_equal(
			rig_in_mbuf(&r, joined(&r, six, RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN)), NET_TCP);
		assert_false(r.pkt.l4_checked);
		rig_close(&r);
	}
}

static void a_joined_frame_without_its_end_is_dropped(void **state)
{
	for (unsigned six = 0; six < 2; six++) {
		struct rte_mbuf *m;
		struct rig r;

		open_with(&r, 0, RX_SUMS, 0);
		m = joined(&r, six, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
		assert_int_equal(rte_pktmbuf_trim(m, 1), 0);
		assert_int_equal(rig_in_mbuf(&r, m), NET_DONE);
		assert_int_equal(net_counters_get(r.net)->bad_ip_length, 1);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv6_frame_to_cut_tells_the_device_what_it_needs),
		cmocka_unit_test(an_ipv4_frame_to_cut_has_a_number_for_each_segment),
		cmocka_unit_test(what_the_device_has_joined_goes_to_tcp_whole),
		cmocka_unit_test(what_the_device_has_not_checked_is_summed_up_by_tcp),
		cmocka_unit_test(a_joined_frame_without_its_end_is_dropped),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
