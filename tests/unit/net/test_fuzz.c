// SPDX-License-Identifier: BSD-3-Clause
// Random damage to good frames, in random pieces: nothing is read out of bounds (the sanitizer
// build looks), every packet that is handed on lies inside its mbuf, and every mbuf comes back.
#include "net6_helper.h"

#define ROUNDS 80000

static const uint8_t header_chain[] = {
	NEXT_OPTIONS,
	0,
	5,
	2,
	0,
	0,
	1,
	0, //
	NEXT_ROUTING,
	0,
	1,
	4,
	0,
	0,
	0,
	0, //
	IPPROTO_UDP,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
};

static struct frame good_frame6(struct base_rng *rng, const uint8_t *bytes, uint32_t len)
{
	struct ip6_fields ip = {.src = base_rng_below(rng, 4) ? PEER6 : FAR6, .dst = OUR6};
	struct ip6_fields ask = {.src = PEER6, .dst = OUR6_NODE, .dmac = &our6_node_mac};
	uint8_t b[1500] = {IPPROTO_UDP};
	uint32_t n;

	switch (base_rng_below(rng, 6)) {
	case 0:
		return frame_nd(ask, 135, 0, OUR6, &peer_mac);
	case 1:
		return their_advert(GATEWAY6, &gateway_mac, ND_SOLICITED | ND_OVERRIDE);
	case 2:
		b[0] = base_rng_below(rng, 2) ? 128 : 2;
		memcpy(b + 8, bytes, 100);
		return frame_icmp6(ip, b, 108);
	case 3: // the first or second of two fragments
		b[3] = base_rng_below(rng, 2) ? 1 : 0;
		b[2] = b[3] ? 0 : 2;
		b[7] = (uint8_t)base_rng_below(rng, 2);
		memcpy(b + 8, bytes, 512);
		ip.proto = NEXT_FRAGMENT;
		return frame_ip6(ip, b, 520);
	case 4:
		memcpy(b, header_chain, sizeof(header_chain));
		n = udp6_bytes(b + sizeof(header_chain), ip.src, ip.dst, 5000, 11211, bytes, len);
		ip.proto = NEXT_HOP_BY_HOP;
		return frame_ip6(ip, b, (uint32_t)sizeof(header_chain) + n);
	default:
		return frame_udp6(ip, 5000, 11211, bytes, len);
	}
}

static struct frame good_frame(struct base_rng *rng)
{
	static uint8_t bytes[1400];
	struct ip_fields ip = {
		.src = base_rng_below(rng, 4) ? PEER_IP : FAR_IP, .dst = OUR_IP, .proto = 17};
	uint32_t len = (uint32_t)base_rng_below(rng, sizeof(bytes));

	ip.option_bytes = (uint8_t)(base_rng_below(rng, 4) ? 0 : 4 * base_rng_below(rng, 11));
	ip.id = (uint16_t)base_rng_below(rng, 2);
	switch (base_rng_below(rng, 14)) {
	case 0:
		return frame_arp(&all_mac, 1, &peer_mac, PEER_IP, &no_mac, OUR_IP);
	case 1:
		return their_reply(&gateway_mac, GATEWAY_IP);
	case 2:
		return frame_echo(ip, 8, "0123456789");
	case 3:
		ip.proto = IPPROTO_TCP;
		return frame_ip(ip, bytes, len);
	case 4:
	case 5:
		ip.fragment = (uint16_t)(base_rng_below(rng, 3) * 512);
		ip.fragment |= ip.fragment < 1024; // more follow the first two of three
		return frame_ip(ip, bytes, 512);
	case 6:
		return frame_udp(ip, 5000, 11211, bytes, len);
	default:
		return good_frame6(rng, bytes, len);
	}
}

static void frame_damage(struct frame *f, struct base_rng *rng)
{
	uint64_t changes = base_rng_below(rng, 4);

	while (changes--) {
		// mostly in the headers
		uint32_t at = (uint32_t)base_rng_below(rng, RTE_MIN(f->len, 60u));

		f->b[at] = (uint8_t)base_rng_next(rng);
	}
	if (base_rng_below(rng, 4) == 0) { // repair the header checksum, so that more gets through
		uint16_t sum = 0;
		uint32_t ihl = (f->b[14] & 15u) * 4;

		memcpy(f->b + 24, &sum, 2);
		sum = (uint16_t)~rte_raw_cksum(f->b + 14, ihl);
		memcpy(f->b + 24, &sum, 2);
	}
	if (base_rng_below(rng, 4) == 0)
		f->len = (uint32_t)base_rng_below(rng, f->len) + 1;
	else if (base_rng_below(rng, 4) == 0)
		f->len += (uint32_t)base_rng_below(rng, 100);
}

static void block_free(void *addr, void *shinfo)
{
	free(addr);
	free(shinfo);
}

// An mbuf whose data has a heap block of just its size: the sanitizer sees every byte beyond.
static struct rte_mbuf *tight_segment(struct rig *r, const uint8_t *bytes, uint16_t n)
{
	struct rte_mbuf_ext_shared_info *shared = malloc(sizeof(*shared));
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	void *block = malloc(n);

	assert_true(shared != NULL && block != NULL && m != NULL);
	*shared = (struct rte_mbuf_ext_shared_info){.free_cb = block_free, .fcb_opaque = shared};
	rte_mbuf_ext_refcnt_set(shared, 1);
	rte_pktmbuf_attach_extbuf(m, block, RTE_BAD_IOVA, n, shared);
	m->data_off = 0;
	memcpy(rte_pktmbuf_append(m, n), bytes, n);
	return m;
}

static struct rte_mbuf *tight_mbuf(struct rig *r, const struct frame *f)
{
	uint32_t step = r->segment_bytes ? r->segment_bytes : 2048;
	struct rte_mbuf *head = NULL;

	for (uint32_t at = 0; at < f->len; at += step) {
		struct rte_mbuf *m =
			tight_segment(r, f->b + at, (uint16_t)RTE_MIN(step, f->len - at));

		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

static void taken_check(struct rig *r, enum net_verdict v)
{
	const struct net_packet *p = &r->pkt;

	if (v != NET_UDP && v != NET_TCP)
		return;
	assert_int_equal(rte_mbuf_check(r->taken, 1, &(const char *){NULL}), 0);
	assert_int_equal(p->l4_off + p->l4_len, r->taken->pkt_len);
	assert_true(r->taken->data_len >= p->l4_off + RTE_MIN(p->l4_len, v == NET_TCP ? 60 : 8));
	if (v == NET_UDP) {
		assert_int_equal(p->data_off + p->data_len, r->taken->pkt_len);
		net_udp_reply(r->net, payload(r, "reply", 5), p, r->now_us);
		net_icmp_unreachable(r->net, r->taken, p, r->now_us);
	}
}

static void damaged_frames_do_no_harm(void **state)
{
	struct base_rng rng;
	unsigned handed_on = 0;
	struct rig r;

	base_rng_seed(&rng, 20221122);
	rig_make(&r);
	struct net_options opt = rig6_options(&r);
	opt.tx_offloads = 0;
	assert_int_equal(net_open(&r.net, &opt), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct frame f = good_frame(&rng);

		frame_damage(&f, &rng);
		r.segment_bytes =
			(uint32_t)(base_rng_below(&rng, 3) ? 0 : base_rng_below(&rng, 100) + 1);
		enum net_verdict v = rig_in_mbuf(&r,
			base_rng_below(&rng, 2) ? tight_mbuf(&r, &f) : rig_mbuf(&r, f.b, f.len));
		taken_check(&r, v);
		handed_on += v == NET_UDP || v == NET_TCP;
		rig_out_clear(&r);
		rig_wait(&r, base_rng_below(&rng, 20000));
	}
	assert_in_range(handed_on, ROUNDS / 20, ROUNDS);
	assert_true(net_counters_get(r.net)->reassembled > 0);
	rig_close(&r);
}

static void an_empty_pool_does_no_harm(void **state)
{
	static struct rte_mbuf *hoard[4096];
	struct base_rng rng;
	struct rig r;

	base_rng_seed(&rng, 7);
	rig6_open(&r);
	for (unsigned i = 0; i < 2000; i++) {
		struct frame f = good_frame(&rng);
		r.segment_bytes = (uint32_t)(base_rng_below(&rng, 2) ? 0 : 40);
		struct rte_mbuf *m = rig_mbuf(&r, f.b, f.len);
		unsigned left = (unsigned)base_rng_below(&rng, 2);
		unsigned n = rte_mempool_avail_count(r.pool) - left;
		assert_int_equal(rte_pktmbuf_alloc_bulk(r.pool, hoard, n), 0);
		rig_in_mbuf(&r, m);
		net_tx_flush(&r.tx);
		rte_pktmbuf_free_bulk(hoard, n);
		rig_out_clear(&r);
		rig_wait(&r, 100000);
	}
	assert_true(net_counters_get(r.net)->no_mbuf > 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_frames_do_no_harm),
		cmocka_unit_test(an_empty_pool_does_no_harm),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
