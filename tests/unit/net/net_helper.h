// SPDX-License-Identifier: BSD-3-Clause
// A struct net on a bench: frames go in as bytes, what comes out is kept as bytes and compared.
// Every frame is one line to build; rig_close() checks that no mbuf was lost.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_arp.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_log.h>
#include <rte_udp.h>

#include "../../any_cpu.h"
#include "net/net.h"

#define HOST_IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define IP(a, b, c, d)      RTE_BE32(HOST_IP(a, b, c, d))
#define OUR_IP              IP(10, 0, 0, 2)
#define PEER_IP             IP(10, 0, 0, 1)
#define GATEWAY_IP          IP(10, 0, 0, 254)
#define FAR_IP              IP(192, 0, 2, 7)
#define SECOND_US           UINT64_C(1000000)
#define FRAME_MAX           10000
#define RIG_OUT_MAX         1024
#define FIRST_IP_ID         100

static const struct rte_ether_addr our_mac = {{0x02, 0, 0, 0, 0, 2}};
static const struct rte_ether_addr peer_mac = {{0x02, 0, 0, 0, 0, 1}};
static const struct rte_ether_addr gateway_mac = {{0x02, 0, 0, 0, 0, 0xfe}};
static const struct rte_ether_addr all_mac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const struct rte_ether_addr no_mac = {{0}};

struct frame {
	uint8_t b[FRAME_MAX];
	uint32_t len;
};

struct rig {
	struct net *net;
	struct net_tx tx;
	struct mem_domain *mem;
	struct rte_mempool *pool;
	uint64_t now_us;
	struct net_packet pkt;
	struct rte_mbuf *taken; // of the last NET_UDP or NET_TCP
	struct rte_mbuf *out[RIG_OUT_MAX];
	unsigned outs, read;
	unsigned segment_bytes; // cut frames that go in into segments of this size; 0: one
};

// ---- frames -------------------------------------------------------------------------------------
static inline void frame_add(struct frame *f, const void *bytes, uint32_t len)
{
	assert_true(f->len + len <= FRAME_MAX);
	memcpy(f->b + f->len, bytes, len);
	f->len += len;
}

static inline void frame_eth(struct frame *f, const struct rte_ether_addr *dst,
	const struct rte_ether_addr *src, uint16_t type)
{
	rte_be16_t be = rte_cpu_to_be_16(type);

	frame_add(f, dst, 6);
	frame_add(f, src, 6);
	frame_add(f, &be, 2);
}

static inline struct frame frame_arp(const struct rte_ether_addr *dst, uint16_t op,
	const struct rte_ether_addr *sha, rte_be32_t sip, const struct rte_ether_addr *tha,
	rte_be32_t tip)
{
	struct frame f = {.len = 0};
	struct rte_arp_hdr arp = {
		.arp_hardware = RTE_BE16(1),
		.arp_protocol = RTE_BE16(0x0800),
		.arp_hlen = 6,
		.arp_plen = 4,
		.arp_opcode = rte_cpu_to_be_16(op),
		.arp_data = {*sha, sip, *tha, tip},
	};

	frame_eth(&f, dst, sha, 0x0806);
	frame_add(&f, &arp, sizeof(arp));
	return f;
}

struct ip_fields {
	rte_be32_t src, dst;
	uint8_t proto, tos, ttl;
	uint16_t id;
	uint16_t fragment; // offset in bytes | 1 when more follow
	uint8_t option_bytes;
	const struct rte_ether_addr *smac, *dmac;
};

static inline struct frame frame_ip(struct ip_fields ip, const void *payload, uint32_t len)
{
	struct frame f = {.len = 0};
	uint8_t options[40];
	uint32_t ihl = 20u + ip.option_bytes;
	struct rte_ipv4_hdr h = {
		.version_ihl = (uint8_t)(0x40 | ihl / 4),
		.type_of_service = ip.tos,
		.total_length = rte_cpu_to_be_16((uint16_t)(ihl + len)),
		.packet_id = rte_cpu_to_be_16(ip.id),
		.fragment_offset = rte_cpu_to_be_16((uint16_t)((ip.fragment >> 3) |
			(ip.fragment & 1 ? RTE_IPV4_HDR_MF_FLAG : 0))),
		.time_to_live = ip.ttl ? ip.ttl : 64,
		.next_proto_id = ip.proto,
		.src_addr = ip.src,
		.dst_addr = ip.dst,
	};

	memset(options, 1, sizeof(options)); // no-operation
	frame_eth(&f, ip.dmac ? ip.dmac : &our_mac, ip.smac ? ip.smac : &peer_mac, 0x0800);
	frame_add(&f, &h, sizeof(h));
	frame_add(&f, options, ip.option_bytes);
	h.hdr_checksum = (uint16_t)~rte_raw_cksum(f.b + 14, ihl);
	memcpy(f.b + 14, &h, sizeof(h));
	frame_add(&f, payload, len);
	return f;
}

// A UDP datagram (header and payload) into buf; returns its length.
static inline uint32_t udp_bytes(uint8_t *buf, rte_be32_t src, uint16_t sport, rte_be32_t dst,
	uint16_t dport, const void *payload, uint32_t len)
{
	struct rte_ipv4_hdr ip = {
		.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + 8 + len)),
		.next_proto_id = IPPROTO_UDP,
		.src_addr = src,
		.dst_addr = dst,
	};
	struct rte_udp_hdr udp = {
		.src_port = rte_cpu_to_be_16(sport),
		.dst_port = rte_cpu_to_be_16(dport),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(8 + len)),
	};

	memcpy(buf, &udp, sizeof(udp));
	memcpy(buf + 8, payload, len);
	udp.dgram_cksum = rte_ipv4_udptcp_cksum(&ip, buf);
	memcpy(buf, &udp, sizeof(udp));
	return 8 + len;
}

static inline struct frame frame_udp(
	struct ip_fields ip, uint16_t sport, uint16_t dport, const void *payload, uint32_t len)
{
	uint8_t buf[FRAME_MAX];
	uint32_t n = udp_bytes(buf, ip.src, sport, ip.dst, dport, payload, len);

	ip.proto = IPPROTO_UDP;
	return frame_ip(ip, buf, n);
}

// Echo request (type 8) or reply (type 0).
static inline struct frame frame_echo(struct ip_fields ip, uint8_t type, const char *payload)
{
	uint8_t b[1500] = {type, 0, 0, 0, 0x12, 0x34, 0, 1};
	uint32_t n = (uint32_t)(8 + strlen(payload));
	uint16_t sum;

	memcpy(b + 8, payload, n - 8);
	sum = (uint16_t)~rte_raw_cksum(b, n);
	memcpy(b + 2, &sum, 2);
	ip.proto = IPPROTO_ICMP;
	return frame_ip(ip, b, n);
}

// The same frame behind an 802.1Q tag.
static inline struct frame frame_tag(struct frame f, uint16_t tci)
{
	uint8_t tag[4] = {0x81, 0x00, (uint8_t)(tci >> 8), (uint8_t)tci};

	memmove(f.b + 16, f.b + 12, f.len - 12);
	memcpy(f.b + 12, tag, 4);
	f.len += 4;
	return f;
}

// ---- the rig ------------------------------------------------------------------------------------
static inline void eal_start(void)
{
	static char prefix[64];
	char *argv[] = {"test", "--no-huge", "--no-pci", "--no-shconf", "-m", "256",
		"--no-telemetry", "--lcores", any_cpu(), "--iova-mode=va", "--log-level=critical",
		"--file-prefix", prefix};

	snprintf(prefix, sizeof(prefix), "nettest%d", (int)getpid());
	if (rte_eal_init((int)RTE_DIM(argv), argv) < 0) {
		fprintf(stderr, "EAL does not start: %s\n", rte_strerror(rte_errno));
		exit(1);
	}
	base_log_level_set(BASE_LOG_ERROR);
}

static inline void rig_flush(void *arg, struct rte_mbuf **m, uint16_t count)
{
	struct rig *r = arg;

	for (uint16_t i = 0; i < count; i++) {
		if (r->outs < RIG_OUT_MAX)
			r->out[r->outs++] = m[i];
		else
			rte_pktmbuf_free(m[i]);
	}
}

static inline struct net_options rig_options(struct rig *r)
{
	return (struct net_options){
		.mem = r->mem,
		.pool = r->pool,
		.tx = &r->tx,
		.mac = our_mac,
		.own = {{base_ip4(OUR_IP), 24}},
		.owns = 1,
		.gateway = {[NET_IP4] = base_ip4(GATEWAY_IP)},
		.mtu = 1500,
		.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
		.seed = FIRST_IP_ID,
	};
}

// Makes memory and packets; the caller then opens net with options of its choice.
static inline void rig_make(struct rig *r)
{
	static unsigned number;
	char name[32];

	memset(r, 0, sizeof(*r));
	r->now_us = 1000 * SECOND_US;
	r->tx = (struct net_tx){.flush = rig_flush, .arg = r};
	assert_int_equal(
		mem_domain_open(&r->mem, &(struct mem_options){.name = "test", .numa_node = -1}),
		0);
	snprintf(name, sizeof(name), "pool%u", number++);
	r->pool = rte_pktmbuf_pool_create(name, 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	assert_non_null(r->pool);
}

static inline void rig_open(struct rig *r)
{
	struct net_options opt;

	rig_make(r);
	opt = rig_options(r);
	assert_int_equal(net_open(&r->net, &opt), 0);
}

// Forgets what has come out so far.
static inline void rig_out_clear(struct rig *r)
{
	net_tx_flush(&r->tx);
	while (r->outs)
		rte_pktmbuf_free(r->out[--r->outs]);
	r->read = 0;
}

static inline void rig_close(struct rig *r)
{
	rte_pktmbuf_free(r->taken);
	net_close(r->net);
	rig_out_clear(r);
	assert_int_equal(rte_mempool_in_use_count(r->pool), 0);
	rte_mempool_free(r->pool);
	mem_domain_close(r->mem);
}

static inline struct rte_mbuf *rig_mbuf(struct rig *r, const uint8_t *bytes, uint32_t len)
{
	uint32_t step = r->segment_bytes ? r->segment_bytes : 2048;
	struct rte_mbuf *head = NULL;

	do {
		uint16_t n = (uint16_t)RTE_MIN(step, len);
		struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, n), bytes, n);
		bytes += n;
		len -= n;
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	} while (len);
	return head;
}

static inline enum net_verdict rig_in_mbuf(struct rig *r, struct rte_mbuf *m)
{
	enum net_verdict v;

	rte_pktmbuf_free(r->taken);
	r->taken = NULL;
	v = net_input(r->net, &m, r->now_us, &r->pkt);
	if (v == NET_UDP || v == NET_TCP)
		r->taken = m;
	return v;
}

static inline enum net_verdict rig_in(struct rig *r, struct frame f)
{
	return rig_in_mbuf(r, rig_mbuf(r, f.b, f.len));
}

static inline void rig_wait(struct rig *r, uint64_t us)
{
	r->now_us += us;
	net_timers(r->net, r->now_us);
}

// The next frame that came out.
static inline struct rte_mbuf *rig_out(struct rig *r)
{
	net_tx_flush(&r->tx);
	assert_true(r->read < r->outs);
	return r->out[r->read++];
}

static inline unsigned rig_out_count(struct rig *r)
{
	net_tx_flush(&r->tx);
	return r->outs - r->read;
}

static inline struct frame frame_of(const struct rte_mbuf *m)
{
	struct frame f = {.len = 0};

	for (; m != NULL; m = m->next)
		frame_add(&f, rte_pktmbuf_mtod(m, const void *), m->data_len);
	return f;
}

// The next frame that came out is this one, byte by byte.
static inline void rig_expect(struct rig *r, struct frame want)
{
	struct rte_mbuf *m = rig_out(r);
	struct frame got = frame_of(m);

	assert_int_equal(m->pkt_len, got.len);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.b, want.b, want.len);
}

static inline void rig_expect_none(struct rig *r)
{
	assert_int_equal(rig_out_count(r), 0);
}

// Our request for `ip`, to everybody or to one.
static inline struct frame our_request(const struct rte_ether_addr *to, rte_be32_t ip)
{
	return frame_arp(to, 1, &our_mac, OUR_IP, &no_mac, ip);
}

static inline struct frame their_reply(const struct rte_ether_addr *mac, rte_be32_t ip)
{
	return frame_arp(&our_mac, 2, mac, ip, &our_mac, OUR_IP);
}

// A payload mbuf with room for headers.
static inline struct rte_mbuf *payload(struct rig *r, const void *bytes, uint32_t len)
{
	return rig_mbuf(r, bytes, len);
}

// From us, as net writes it: `nth` packet since the start.
static inline struct ip_fields from_us(
	rte_be32_t dst, const struct rte_ether_addr *dmac, unsigned nth)
{
	return (struct ip_fields){.src = OUR_IP,
		.dst = dst,
		.id = (uint16_t)(FIRST_IP_ID + nth),
		.smac = &our_mac,
		.dmac = dmac};
}

static const struct ip_fields from_peer = {.src = PEER_IP, .dst = OUR_IP};
