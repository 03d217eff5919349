// SPDX-License-Identifier: BSD-3-Clause
// IPv6 frames, one line to build each, and a rig that has addresses of both families.
#pragma once

#include "net_helper.h"

#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING    43
#define NEXT_FRAGMENT   44
#define NEXT_ICMP6      58
#define NEXT_NONE       59
#define NEXT_OPTIONS    60

static inline struct base_ip ip6(const char *text)
{
	struct base_ip ip;

	assert_int_equal(base_ip_parse(text, &ip), 0);
	return ip;
}

#define OUR6      ip6("fd00::2")
#define OUR6_LINK base_ip_link_local(our_mac.addr_bytes)
#define PEER6     ip6("fd00::1")
#define FAR6      ip6("2001:db8::7")
#define GATEWAY6  ip6("fe80::fe")
#define NOBODY6   ip6("::")
#define ALL6      ip6("ff02::1")
#define OUR6_NODE ip6("ff02::1:ff00:2") // of OUR6

static const struct rte_ether_addr all6_mac = {{0x33, 0x33, 0, 0, 0, 1}};
static const struct rte_ether_addr our6_node_mac = {{0x33, 0x33, 0xff, 0, 0, 2}};

static inline struct net_options rig6_options(struct rig *r)
{
	struct net_options opt = rig_options(r);

	opt.own[opt.owns++] = (struct net_own){OUR6, 64};
	opt.gateway[NET_IP6] = GATEWAY6;
	return opt;
}

static inline void rig6_open(struct rig *r)
{
	struct net_options opt;

	rig_make(r);
	opt = rig6_options(r);
	assert_int_equal(net_open(&r->net, &opt), 0);
}

struct ip6_fields {
	struct base_ip src, dst;
	uint8_t proto, hops; // hops 0: 64
	const struct rte_ether_addr *smac, *dmac;
};

static inline struct frame frame_ip6(struct ip6_fields ip, const void *payload, uint32_t len)
{
	struct frame f = {.len = 0};
	struct rte_ipv6_hdr h = {
		.vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16((uint16_t)len),
		.proto = ip.proto,
		.hop_limits = ip.hops ? ip.hops : 64,
	};

	memcpy(h.src_addr, &ip.src, 16);
	memcpy(h.dst_addr, &ip.dst, 16);
	frame_eth(&f, ip.dmac ? ip.dmac : &our_mac, ip.smac ? ip.smac : &peer_mac, 0x86dd);
	frame_add(&f, &h, sizeof(h));
	frame_add(&f, payload, len);
	return f;
}

// By DPDK's code, not ours.
static inline uint16_t l4_sum6(
	struct base_ip src, struct base_ip dst, uint8_t proto, const void *l4, uint32_t len)
{
	struct rte_ipv6_hdr h = {.payload_len = rte_cpu_to_be_16((uint16_t)len), .proto = proto};

	memcpy(h.src_addr, &src, 16);
	memcpy(h.dst_addr, &dst, 16);
	return rte_ipv6_udptcp_cksum(&h, l4);
}

static inline uint32_t udp6_bytes(uint8_t *buf, struct base_ip src, struct base_ip dst,
	uint16_t sport, uint16_t dport, const void *payload, uint32_t len)
{
	struct rte_udp_hdr udp = {
		.src_port = rte_cpu_to_be_16(sport),
		.dst_port = rte_cpu_to_be_16(dport),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(8 + len)),
	};

	memcpy(buf, &udp, sizeof(udp));
	memcpy(buf + 8, payload, len);
	udp.dgram_cksum = l4_sum6(src, dst, IPPROTO_UDP, buf, 8 + len);
	memcpy(buf, &udp, sizeof(udp));
	return 8 + len;
}

static inline struct frame frame_udp6(
	struct ip6_fields ip, uint16_t sport, uint16_t dport, const void *payload, uint32_t len)
{
	uint8_t buf[FRAME_MAX];
	uint32_t n = udp6_bytes(buf, ip.src, ip.dst, sport, dport, payload, len);

	ip.proto = IPPROTO_UDP;
	return frame_ip6(ip, buf, n);
}

// An ICMPv6 message; its checksum field is set.
static inline struct frame frame_icmp6(struct ip6_fields ip, const void *body, uint32_t len)
{
	uint8_t b[FRAME_MAX];
	uint16_t sum;

	memcpy(b, body, len);
	memset(b + 2, 0, 2);
	sum = l4_sum6(ip.src, ip.dst, NEXT_ICMP6, b, len);
	memcpy(b + 2, &sum, 2);
	ip.proto = NEXT_ICMP6;
	return frame_ip6(ip, b, len);
}

// A solicitation (135) or advertisement (136); mac NULL: no option.
static inline struct frame frame_nd(struct ip6_fields ip, uint8_t type, uint8_t flags,
	struct base_ip target, const struct rte_ether_addr *mac)
{
	uint8_t b[32] = {type, 0, 0, 0, flags};

	memcpy(b + 8, &target, 16);
	b[24] = type == 135 ? 1 : 2;
	b[25] = 1;
	if (mac)
		memcpy(b + 26, mac, 6);
	ip.hops = ip.hops ? ip.hops : 255;
	return frame_icmp6(ip, b, mac ? 32 : 24);
}

#define ND_SOLICITED 0x40
#define ND_OVERRIDE  0x20

// What we ask: of everybody, or of one.
static inline struct frame our_solicit(struct base_ip target, const struct rte_ether_addr *mac)
{
	struct base_ip group = ip6("ff02::1:ff00:0");
	struct rte_ether_addr group_mac = {{0x33, 0x33, 0xff}};
	bool link = target.b[0] == 0xfe;

	memcpy(group.b + 13, target.b + 13, 3);
	memcpy(group_mac.addr_bytes + 3, target.b + 13, 3);
	return frame_nd((struct ip6_fields){.src = link ? OUR6_LINK : OUR6,
				.dst = mac ? target : group,
				.smac = &our_mac,
				.dmac = mac ? mac : &group_mac},
		135, 0, target, &our_mac);
}

static inline struct frame their_advert(
	struct base_ip target, const struct rte_ether_addr *mac, uint8_t flags)
{
	return frame_nd(
		(struct ip6_fields){
			.src = target, .dst = target.b[0] == 0xfe ? OUR6_LINK : OUR6, .smac = mac},
		136, flags, target, mac);
}

static inline struct frame our_advert(
	struct base_ip own, uint8_t flags, struct base_ip dst, const struct rte_ether_addr *dmac)
{
	return frame_nd((struct ip6_fields){.src = own, .dst = dst, .smac = &our_mac, .dmac = dmac},
		136, flags, own, &our_mac);
}

// ---- multicast listener discovery ---------------------------------------------------------------
#define MLD_QUERY      130
#define MLD_REPORT_V1  131
#define MLD_REPORT_V2  143
#define MLD_IS_EXCLUDE 2
#define MLD_TO_EXCLUDE 4

static const struct rte_ether_addr routers_mac = {{0x33, 0x33, 0, 0, 0, 0x16}}; // of ff02::16

static inline struct base_ip node_group(struct base_ip own)
{
	struct base_ip group = ip6("ff02::1:ff00:0");

	memcpy(group.b + 13, own.b + 13, 3);
	return group;
}

// An ICMPv6 message behind a router alert; hops 0: 1.
static inline struct frame frame_mld(struct ip6_fields ip, const void *body, uint32_t len)
{
	uint8_t b[FRAME_MAX] = {NEXT_ICMP6, 0, 5, 2, 0, 0, 1, 0};
	uint16_t sum;

	memcpy(b + 8, body, len);
	memset(b + 10, 0, 2);
	sum = l4_sum6(ip.src, ip.dst, NEXT_ICMP6, b + 8, len);
	memcpy(b + 10, &sum, 2);
	ip.proto = NEXT_HOP_BY_HOP;
	ip.hops = ip.hops ? ip.hops : 1;
	return frame_ip6(ip, b, 8 + len);
}

// Our report about n groups: EXCLUDE of nothing.
static inline struct frame our_report(
	struct base_ip src, uint8_t record, unsigned n, const struct base_ip *group)
{
	uint8_t b[8 + 64 * 20] = {MLD_REPORT_V2, 0, 0, 0, 0, 0, 0, (uint8_t)n};

	for (unsigned i = 0; i < n; i++) {
		b[8 + 20 * i] = record;
		memcpy(b + 8 + 20 * i + 4, &group[i], 16);
	}
	return frame_mld(
		(struct ip6_fields){
			.src = src, .dst = ip6("ff02::16"), .smac = &our_mac, .dmac = &routers_mac},
		b, 8 + 20 * n);
}

// Takes out what is an MLD report; how many.
static inline unsigned reports_take(struct rig *r)
{
	unsigned kept = r->read, taken = 0;

	net_tx_flush(&r->tx);
	for (unsigned i = r->read; i < r->outs; i++) {
		const uint8_t *b = rte_pktmbuf_mtod(r->out[i], const uint8_t *);

		if (memcmp(b, &routers_mac, 6) == 0) {
			rte_pktmbuf_free(r->out[i]);
			taken++;
		} else {
			r->out[kept++] = r->out[i];
		}
	}
	r->outs = kept;
	return taken;
}

#define from_peer6 ((struct ip6_fields){.src = PEER6, .dst = OUR6})

static inline const struct net_counters *counted(const struct rig *r)
{
	return net_counters_get(r->net);
}
