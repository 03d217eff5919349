// SPDX-License-Identifier: BSD-3-Clause
// What a device with checksum offload and TSO makes of a frame, and what it demands of one.
#pragma once

#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "base/base.h"

#define NIC_FRAME_MAX 9300

static inline uint32_t nic_head(const struct rte_mbuf *m)
{
	return (uint32_t)(m->l2_len + m->l3_len + m->l4_len);
}

// How many frames it becomes.
static inline unsigned nic_cuts(const struct rte_mbuf *m)
{
	if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
		return 1;
	return (m->pkt_len - nic_head(m) + m->tso_segsz - 1) / m->tso_segsz;
}

static inline void nic_ip_fill(
	const struct rte_mbuf *m, uint8_t *frame, uint32_t len, unsigned i, bool ip4)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(frame + m->l2_len);
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)(void *)(frame + m->l2_len);

	if (!ip4) {
		ip6->payload_len = rte_cpu_to_be_16((uint16_t)(len - m->l2_len - sizeof(*ip6)));
		return;
	}
	ip->total_length = rte_cpu_to_be_16((uint16_t)(len - m->l2_len));
	ip->packet_id = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + i));
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static inline void nic_tcp_fill(const struct rte_mbuf *m, uint8_t *frame, unsigned i, bool ip4)
{
	const void *ip = frame + m->l2_len;
	struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)(void *)(frame + m->l2_len + m->l3_len);
	uint16_t pseudo =
		ip4 ? rte_ipv4_phdr_cksum(ip, m->ol_flags) : rte_ipv6_phdr_cksum(ip, m->ol_flags);

	base_assert(th->cksum == pseudo);
	th->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(th->sent_seq) + i * m->tso_segsz);
	if (i + 1 < nic_cuts(m))
		th->tcp_flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	th->cksum = 0;
}

// The checksums that were left to the device.
static inline void nic_sums_make(const struct rte_mbuf *m, uint8_t *frame, uint32_t len, bool ip4)
{
	uint64_t l4 = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	uint8_t *ip = frame + m->l2_len, *at = ip + m->l3_len;
	uint16_t sum;

	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)(void *)ip;

		h->hdr_checksum = 0;
		h->hdr_checksum = rte_ipv4_cksum(h);
	}
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		sum = ip4 ? rte_ipv4_udptcp_cksum((void *)ip, at)
			  : rte_ipv6_udptcp_cksum((void *)ip, at);
		memcpy(at + 16, &sum, sizeof(sum));
		return;
	}
	if (l4 != RTE_MBUF_F_TX_TCP_CKSUM && l4 != RTE_MBUF_F_TX_UDP_CKSUM)
		return;
	sum = (uint16_t)~rte_raw_cksum(at, (size_t)(frame + len - at));
	if (l4 == RTE_MBUF_F_TX_UDP_CKSUM && sum == 0)
		sum = UINT16_MAX;
	memcpy(at + (l4 == RTE_MBUF_F_TX_TCP_CKSUM ? 16 : 6), &sum, sizeof(sum));
}

// The i-th frame that m becomes, into `frame` of NIC_FRAME_MAX bytes. Its length; 0: there is none.
static inline uint32_t nic_cut(const struct rte_mbuf *m, unsigned i, uint8_t *frame)
{
	bool ip4 = m->ol_flags & RTE_MBUF_F_TX_IPV4, big = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	uint32_t head = big ? nic_head(m) : 0, at = head, len = m->pkt_len - head;
	uint32_t segs = 0, bytes = 0;
	const void *p;

	if (i >= nic_cuts(m))
		return 0;
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, segs++) {
		base_assert(s->data_len > 0 && rte_mbuf_refcnt_read(s) > 0);
		bytes += s->data_len;
	}
	base_assert(segs == m->nb_segs && bytes == m->pkt_len);
	if (big) {
		base_assert(m->pkt_len - m->l2_len <= UINT16_MAX && head <= m->data_len);
		at += i * m->tso_segsz;
		len = RTE_MIN((uint32_t)m->tso_segsz, m->pkt_len - at);
		memcpy(frame, rte_pktmbuf_mtod(m, const void *), head);
		nic_tcp_fill(m, frame, i, ip4); // looks at the header as it came
		nic_ip_fill(m, frame, head + len, i, ip4);
	}
	base_assert(head + len <= NIC_FRAME_MAX);
	p = rte_pktmbuf_read(m, at, len, frame + head);
	if (p != frame + head)
		memcpy(frame + head, p, len);
	nic_sums_make(m, frame, head + len, ip4);
	return head + len;
}
