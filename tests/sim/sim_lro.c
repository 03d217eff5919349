// SPDX-License-Identifier: BSD-3-Clause
// Large receive offload as devices do it: a segment that continues the one before, in sequence and
// with the same options, is chained to it while that still waits in the ring.

#include "sim.h"

#define CHECKED (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD)

struct piece {
	struct rte_ipv4_hdr *ip;
	struct rte_tcp_hdr *th;
	uint32_t head, len; // bytes before the payload; of it
};

// A good segment with payload and nothing out of the ordinary.
static bool piece_of(struct rte_mbuf *m, struct piece *p)
{
	if ((m->ol_flags & CHECKED) != CHECKED)
		return false;
	p->ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
	if (p->ip->version_ihl != RTE_IPV4_VHL_DEF || p->ip->next_proto_id != IPPROTO_TCP ||
		(rte_be_to_cpu_16(p->ip->fragment_offset) & 0x3fff) != 0)
		return false;
	p->th = (struct rte_tcp_hdr *)(p->ip + 1);
	p->head = RTE_ETHER_HDR_LEN + (uint32_t)sizeof(*p->ip) + (p->th->data_off >> 4) * 4u;
	if (p->head >= m->data_len)
		return false;
	p->len = m->pkt_len - p->head;
	return (p->th->tcp_flags & ~RTE_TCP_PSH_FLAG) == RTE_TCP_ACK_FLAG;
}

static bool follows(const struct piece *a, const struct piece *b)
{
	const struct rte_tcp_hdr *x = a->th, *y = b->th;

	return a->head == b->head && !(x->tcp_flags & RTE_TCP_PSH_FLAG) &&
		a->ip->src_addr == b->ip->src_addr && a->ip->dst_addr == b->ip->dst_addr &&
		a->ip->type_of_service == b->ip->type_of_service && x->src_port == y->src_port &&
		x->dst_port == y->dst_port && x->recv_ack == y->recv_ack &&
		x->rx_win == y->rx_win &&
		rte_be_to_cpu_32(x->sent_seq) + a->len == rte_be_to_cpu_32(y->sent_seq) &&
		a->head + a->len + b->len - RTE_ETHER_HDR_LEN <= UINT16_MAX &&
		memcmp(x + 1, y + 1, a->head - RTE_ETHER_HDR_LEN - sizeof(*a->ip) - sizeof(*x)) ==
		0;
}

bool sim_lro_join(struct sim_queue *q, struct rte_mbuf *m)
{
	struct rte_mbuf *first;
	struct piece a, b;

	if (q->head == q->tail)
		return false;
	first = q->in[(q->head - 1) % SIM_RX_RING];
	if (!piece_of(first, &a) || !piece_of(m, &b) || !follows(&a, &b))
		return false;
	a.th->tcp_flags |= b.th->tcp_flags;
	a.ip->total_length =
		rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(a.ip->total_length) + b.len));
	a.ip->hdr_checksum = 0;
	a.ip->hdr_checksum = rte_ipv4_cksum(a.ip);
	first->ol_flags |= RTE_MBUF_F_RX_LRO;
	rte_pktmbuf_adj(m, (uint16_t)b.head);
	q->sim->link.joined++;
	return rte_pktmbuf_chain(first, m) == 0;
}
