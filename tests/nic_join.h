// SPDX-License-Identifier: BSD-3-Clause
// Large receive offload as devices do it: a segment that continues the one before, in sequence and
// with the same options, is chained to it while that still waits in the ring.
#pragma once

#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "base/base.h"

#define NIC_CHECKED (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD)

struct nic_piece {
	struct rte_ipv4_hdr *ip4; // of one family
	struct rte_ipv6_hdr *ip6;
	struct rte_tcp_hdr *th;
	uint32_t head, len; // bytes before the payload; of it
};

// The bytes before TCP's; 0: what a device leaves alone.
static inline uint32_t nic_piece_ip(struct rte_mbuf *m, struct nic_piece *p)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	void *ip = rte_pktmbuf_mtod_offset(m, void *, RTE_ETHER_HDR_LEN);

	*p = (struct nic_piece){.head = 0};
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
		p->ip4 = ip;
		if (p->ip4->version_ihl != RTE_IPV4_VHL_DEF ||
			p->ip4->next_proto_id != IPPROTO_TCP ||
			(rte_be_to_cpu_16(p->ip4->fragment_offset) & 0x3fff) != 0)
			return 0;
		return RTE_ETHER_HDR_LEN + (uint32_t)sizeof(*p->ip4);
	}
	p->ip6 = ip;
	if (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV6) || p->ip6->proto != IPPROTO_TCP)
		return 0;
	return RTE_ETHER_HDR_LEN + (uint32_t)sizeof(*p->ip6);
}

// A good segment with payload and nothing out of the ordinary.
static inline bool nic_piece_of(struct rte_mbuf *m, struct nic_piece *p)
{
	uint32_t at;

	if ((m->ol_flags & NIC_CHECKED) != NIC_CHECKED)
		return false;
	at = nic_piece_ip(m, p);
	if (at == 0)
		return false;
	p->th = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, at);
	p->head = at + (p->th->data_off >> 4) * 4u;
	if (p->head >= m->data_len)
		return false;
	p->len = m->pkt_len - p->head;
	return (p->th->tcp_flags & ~RTE_TCP_PSH_FLAG) == RTE_TCP_ACK_FLAG;
}

static inline bool nic_same_hosts(const struct nic_piece *a, const struct nic_piece *b)
{
	if (!a->ip4 != !b->ip4)
		return false;
	if (a->ip4 != NULL)
		return a->ip4->src_addr == b->ip4->src_addr &&
			a->ip4->dst_addr == b->ip4->dst_addr &&
			a->ip4->type_of_service == b->ip4->type_of_service;
	return a->ip6->vtc_flow == b->ip6->vtc_flow &&
		memcmp(a->ip6->src_addr, b->ip6->src_addr, 16) == 0 &&
		memcmp(a->ip6->dst_addr, b->ip6->dst_addr, 16) == 0;
}

static inline bool nic_follows(const struct nic_piece *a, const struct nic_piece *b)
{
	const struct rte_tcp_hdr *x = a->th, *y = b->th;

	return a->head == b->head && !(x->tcp_flags & RTE_TCP_PSH_FLAG) && nic_same_hosts(a, b) &&
		x->src_port == y->src_port && x->dst_port == y->dst_port &&
		x->recv_ack == y->recv_ack && x->rx_win == y->rx_win &&
		rte_be_to_cpu_32(x->sent_seq) + a->len == rte_be_to_cpu_32(y->sent_seq) &&
		a->head + a->len + b->len - RTE_ETHER_HDR_LEN <= UINT16_MAX &&
		memcmp(x + 1, y + 1, (x->data_off >> 4) * 4u - sizeof(*x)) == 0;
}

// Chains m to `first` where it continues that.
static inline bool nic_join(struct rte_mbuf *first, struct rte_mbuf *m)
{
	struct nic_piece a, b;

	if (!nic_piece_of(first, &a) || !nic_piece_of(m, &b) || !nic_follows(&a, &b))
		return false;
	rte_pktmbuf_adj(m, (uint16_t)b.head);
	if (rte_pktmbuf_chain(first, m) != 0)
		base_assert(!"as many as a mbuf can count");
	first->ol_flags |= RTE_MBUF_F_RX_LRO;
	a.th->tcp_flags |= b.th->tcp_flags;
	if (a.ip4 == NULL) {
		a.ip6->payload_len =
			rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(a.ip6->payload_len) + b.len));
		return true;
	}
	a.ip4->total_length =
		rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(a.ip4->total_length) + b.len));
	a.ip4->hdr_checksum = 0;
	a.ip4->hdr_checksum = rte_ipv4_cksum(a.ip4);
	return true;
}
