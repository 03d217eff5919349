// SPDX-License-Identifier: BSD-3-Clause
// UDP (RFC 768).
#include "net/net_internal.h"

static bool checksum_good(struct rte_mbuf *m, const struct net_packet *pkt)
{
	struct base_ip dst = net_packet_dst(m, pkt); // which may be a broadcast address

	return net_l4_checksum(m, pkt->l4_off, &pkt->src, &dst, IPPROTO_UDP) == 0;
}

enum net_verdict net_udp_input(struct net *net, struct rte_mbuf *m, struct net_packet *pkt)
{
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, pkt->l4_off);
	uint16_t len;
	bool none;

	if (pkt->l4_len < sizeof(*udp))
		goto bad;
	len = rte_be_to_cpu_16(udp->dgram_len);
	if (len < sizeof(*udp) || len > pkt->l4_len || udp->src_port == 0 || udp->dst_port == 0)
		goto bad;
	net_mbuf_trim(m, (uint32_t)pkt->l4_off + len);
	pkt->l4_len = len;
	// none at all is an IPv4 sender's choice (RFC 768), and an IPv6 sender's fault (RFC 8200
	// 8.1)
	none = udp->dgram_cksum == 0;
	if (none ? !base_ip_is4(&pkt->src) : !pkt->l4_checked && !checksum_good(m, pkt)) {
		net->n.bad_udp_checksum++;
		goto drop;
	}
	pkt->l4_checked = true;
	pkt->src_port = rte_be_to_cpu_16(udp->src_port);
	pkt->dst_port = rte_be_to_cpu_16(udp->dst_port);
	pkt->data_off = (uint16_t)(pkt->l4_off + sizeof(*udp));
	pkt->data_len = (uint16_t)(len - sizeof(*udp));
	return NET_UDP;

bad:
	net->n.bad_udp++;
drop:
	rte_pktmbuf_free(m);
	return NET_DONE;
}

static void header_push(const struct net *net, struct rte_mbuf *m, unsigned local,
	const struct base_ip *dst, uint16_t src_port, uint16_t dst_port)
{
	void *head = rte_pktmbuf_prepend(m, sizeof(struct rte_udp_hdr));
	struct rte_udp_hdr *udp = head;

	base_assert(head != NULL); // headroom is the caller's duty
	udp->src_port = rte_cpu_to_be_16(src_port);
	udp->dst_port = rte_cpu_to_be_16(dst_port);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)m->pkt_len);
	udp->dgram_cksum = net_pseudo_sum(&net->opt.own[local].ip, dst, IPPROTO_UDP, m->pkt_len);
	m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
}

void net_udp_output(struct net *net, struct rte_mbuf *m, struct net_path *path, uint16_t src_port,
	uint16_t dst_port, uint64_t now_us)
{
	const struct net_to to = {
		.dst = &path->dst, .hop = &path->hop, .local = path->local, .proto = IPPROTO_UDP};

	header_push(net, m, path->local, &path->dst, src_port, dst_port);
	net_ip_output(net, m, &to, now_us);
}

void net_udp_reply(
	struct net *net, struct rte_mbuf *m, const struct net_packet *to, uint64_t now_us)
{
	header_push(net, m, to->local, &to->src, to->dst_port, to->src_port);
	net_reply_output(net, m, to, IPPROTO_UDP, now_us);
}
