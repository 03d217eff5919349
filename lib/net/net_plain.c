// SPDX-License-Identifier: BSD-3-Clause
// The plainest datagrams of all, answered in the buffer they came in: one mbuf, no VLAN tag, IPv4
// without options or fragments, from a host on the link. Whatever is not that plain is for
// net_input, which also counts what is wrong with it.
#include "net/net_internal.h"

struct plain_head {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
};
static_assert(sizeof(struct plain_head) == NET_PLAIN_HEAD, "callers find the payload behind it");

// The buffer can be sent again as it is: nobody else holds it, and it is one of `pool`.
static bool mbuf_own(const struct rte_mbuf *m, const struct rte_mempool *pool)
{
	return m->nb_segs == 1 && RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 &&
		m->pool == pool && !(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED);
}

// Addressed to one of our addresses, by a host of the same prefix.
static bool hosts_valid(const struct net *net, const struct rte_ipv4_hdr *ip)
{
	unsigned local = net_own4_find(net, ip->dst_addr);
	rte_be32_t mask;

	if (local == NET_OWN_MAX || net->own_state[local] != NET_OWN_VALID)
		return false;
	mask = base_ip_as4(&net->mask[local]);
	return ((ip->src_addr ^ ip->dst_addr) & mask) == 0 &&
		net_ipv4_source_valid(net, ip->src_addr);
}

static bool udp_good(const struct net *net, const struct rte_mbuf *m, const struct plain_head *h)
{
	uint16_t len = rte_be_to_cpu_16(h->udp.dgram_len);

	if (h->udp.dgram_cksum == 0 || net_l4_checked(net, m, IPPROTO_UDP))
		return true;
	return net_bytes_sum((const uint8_t *)&h->udp, len, rte_ipv4_phdr_cksum(&h->ip, 0)) ==
		UINT16_MAX;
}

uint16_t net_plain_input(const struct net *net, const struct rte_mbuf *m, rte_be16_t port)
{
	const struct plain_head *h = rte_pktmbuf_mtod(m, const struct plain_head *);
	uint16_t total, room;

	if (m->data_len <= sizeof(*h) || !mbuf_own(m, net->opt.pool) ||
		h->eth.ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || net->opt.vlan != 0 ||
		h->ip.version_ihl != RTE_IPV4_VHL_DEF || h->ip.next_proto_id != IPPROTO_UDP ||
		h->udp.dst_port != port)
		return 0;
	total = rte_be_to_cpu_16(h->ip.total_length);
	if (RTE_ETHER_HDR_LEN + total > m->data_len || total <= sizeof(h->ip) + sizeof(h->udp) ||
		rte_be_to_cpu_16(h->udp.dgram_len) != total - sizeof(h->ip) ||
		h->udp.src_port == 0 ||
		(h->ip.fragment_offset & RTE_BE16((uint16_t)~RTE_IPV4_HDR_DF_FLAG)) != 0)
		return 0;
	if (!rte_is_same_ether_addr(&h->eth.dst_addr, &net->opt.mac) ||
		!rte_is_unicast_ether_addr(&h->eth.src_addr) || !hosts_valid(net, &h->ip) ||
		!net_ipv4_sum_good(net, m, &h->ip, sizeof(h->ip)) || !udp_good(net, m, h))
		return 0;
	room = (uint16_t)(m->buf_len - m->data_off - sizeof(*h));
	return RTE_MIN(room, (uint16_t)(net->opt.mtu - sizeof(h->ip) - sizeof(h->udp)));
}

uint16_t net_plain_bytes(const struct rte_mbuf *m)
{
	const struct plain_head *h = rte_pktmbuf_mtod(m, const struct plain_head *);

	return (uint16_t)(rte_be_to_cpu_16(h->udp.dgram_len) - sizeof(h->udp));
}

void net_plain_reply(struct net *net, struct rte_mbuf *m, uint16_t bytes)
{
	struct plain_head *h = rte_pktmbuf_mtod(m, struct plain_head *);
	rte_be32_t client = h->ip.src_addr, own = h->ip.dst_addr;
	uint16_t udp_len = (uint16_t)(sizeof(h->udp) + bytes);

	net->n.rx_frames++;
	net->n.rx_bytes += m->pkt_len;
	rte_ether_addr_copy(&h->eth.src_addr, &h->eth.dst_addr);
	rte_ether_addr_copy(&net->opt.mac, &h->eth.src_addr);
	h->ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(h->ip) + udp_len)),
		.packet_id = rte_cpu_to_be_16(net->ip_id++),
		.time_to_live = NET_TTL,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = own,
		.dst_addr = client,
	};
	h->udp = (struct rte_udp_hdr){
		.src_port = h->udp.dst_port,
		.dst_port = h->udp.src_port,
		.dgram_len = rte_cpu_to_be_16(udp_len),
		.dgram_cksum = rte_ipv4_phdr_cksum(&h->ip, 0),
	};
	m->data_len = (uint16_t)(sizeof(*h) + bytes);
	m->pkt_len = m->data_len;
	m->ol_flags = 0;
	m->tx_offload = 0;
	m->l2_len = sizeof(h->eth);
	m->l3_len = sizeof(h->ip);
	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	else
		h->ip.hdr_checksum = rte_ipv4_cksum(&h->ip);
	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) {
		m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
	} else {
		uint16_t sum = (uint16_t)~net_bytes_sum((const uint8_t *)&h->udp, udp_len, 0);

		h->udp.dgram_cksum = sum == 0 ? UINT16_MAX : sum; // 0 means "none" (RFC 768)
	}
	net_frame_output(net, m);
}
