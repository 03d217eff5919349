// SPDX-License-Identifier: BSD-3-Clause
// The plainest datagrams of all, answered in the buffer they came in: one mbuf, no VLAN tag, IPv4
// without options or fragments, from a host on the link. Whatever is not that plain is for
// net_input, which also counts what is wrong with it.
#include "net/net_internal.h"
#include "net/net_sum.h"

struct plain_head {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
};
static_assert(sizeof(struct plain_head) == NET_PLAIN_HEAD, "callers find the payload behind it");

// The buffer can be sent again as it is: nobody else holds it, and it is one of `pool`.
static inline bool mbuf_own(const struct rte_mbuf *m, const struct rte_mempool *pool)
{
	const uint64_t other =
		RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_VLAN_STRIPPED;

	return ((m->nb_segs ^ 1) | (rte_mbuf_refcnt_read(m) ^ 1)) == 0 &&
		(m->ol_flags & other) == 0 && m->pool == pool;
}

// What a plain datagram has in these fields; `port` is ours.
static inline bool head_plain(const struct net *net, const struct plain_head *h, rte_be16_t port)
{
	unsigned other = h->eth.ether_type ^ RTE_BE16(RTE_ETHER_TYPE_IPV4);

	other |= h->ip.version_ihl ^ RTE_IPV4_VHL_DEF;
	other |= h->ip.next_proto_id ^ IPPROTO_UDP;
	other |= h->ip.fragment_offset & RTE_BE16((uint16_t)~RTE_IPV4_HDR_DF_FLAG);
	other |= h->udp.dst_port ^ port;
	other |= net->opt.vlan;
	return other == 0 && h->udp.src_port != 0;
}

// Addressed to one of our addresses, by a host of the same prefix.
static inline bool hosts_valid(const struct net *net, const struct rte_ipv4_hdr *ip)
{
	unsigned local = net_own4_find(net, ip->dst_addr);
	rte_be32_t mask;

	if (local == NET_OWN_MAX || net->own_state[local] != NET_OWN_VALID)
		return false;
	mask = base_ip_as4(&net->mask[local]);
	return ((ip->src_addr ^ ip->dst_addr) & mask) == 0 &&
		net_ipv4_source_valid(net, ip->src_addr);
}

static inline bool ip_good(
	const struct net *net, const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip)
{
	const char *p = (const char *)ip;
	uint64_t sum;

	if (net_ipv4_sum_told(net, m))
		return true;
	sum = net_sum_add(net_sum_word(p), net_sum_word(p + 8));
	return net_sum_fold(net_sum_add(sum, ip->dst_addr)) == UINT16_MAX;
}

// The addresses lie before the UDP header: with protocol and length they are the pseudo header.
static inline bool udp_good(const struct net *net, const struct rte_mbuf *m,
	const struct plain_head *h, uint16_t udp_bytes)
{
	const unsigned addresses = sizeof(h->ip.src_addr) + sizeof(h->ip.dst_addr);
	uint64_t sum;

	if (h->udp.dgram_cksum == 0 || net_l4_checked(net, m, IPPROTO_UDP))
		return true;
	sum = net_sum_bytes((const char *)&h->udp - addresses, addresses + udp_bytes);
	sum = net_sum_add(sum, RTE_BE16(IPPROTO_UDP) + (uint64_t)h->udp.dgram_len);
	return net_sum_fold(sum) == UINT16_MAX;
}

uint16_t net_plain_input(const struct net *net, const struct rte_mbuf *m, rte_be16_t port)
{
	const struct plain_head *h = rte_pktmbuf_mtod(m, const struct plain_head *);
	uint16_t total, udp_bytes, room;

	if (m->data_len <= sizeof(*h) || !mbuf_own(m, net->opt.pool) || !head_plain(net, h, port))
		return 0;
	total = rte_be_to_cpu_16(h->ip.total_length);
	udp_bytes = rte_be_to_cpu_16(h->udp.dgram_len);
	if (RTE_ETHER_HDR_LEN + total > m->data_len || udp_bytes <= sizeof(h->udp) ||
		total != sizeof(h->ip) + udp_bytes)
		return 0;
	if (!rte_is_same_ether_addr(&h->eth.dst_addr, &net->opt.mac) ||
		!rte_is_unicast_ether_addr(&h->eth.src_addr) || !hosts_valid(net, &h->ip) ||
		!ip_good(net, m, &h->ip) || !udp_good(net, m, h, udp_bytes))
		return 0;
	room = (uint16_t)(m->buf_len - m->data_off - sizeof(*h));
	return RTE_MIN(room, (uint16_t)(net->opt.mtu - sizeof(h->ip) - sizeof(h->udp)));
}

uint16_t net_plain_bytes(const struct rte_mbuf *m)
{
	const struct plain_head *h = rte_pktmbuf_mtod(m, const struct plain_head *);

	return (uint16_t)(rte_be_to_cpu_16(h->udp.dgram_len) - sizeof(h->udp));
}

// Checksums from what the fields are made of: reading them back would wait for the stores.
static inline void plain_head_turn(struct net *net, struct plain_head *h, uint16_t udp_bytes,
	uint64_t payload_sum, uint64_t offload)
{
	const rte_be16_t total = rte_cpu_to_be_16((uint16_t)(sizeof(h->ip) + udp_bytes));
	const rte_be16_t udp_len = rte_cpu_to_be_16(udp_bytes), id = rte_cpu_to_be_16(net->ip_id++);
	const rte_be32_t client = h->ip.src_addr, own = h->ip.dst_addr;
	const rte_be16_t client_port = h->udp.src_port, own_port = h->udp.dst_port;
	const uint64_t pseudo = (uint64_t)client + own + RTE_BE16(IPPROTO_UDP) + udp_len;
	uint64_t ip_sum = (uint64_t)client + own + total + id;
	uint16_t udp_sum;

	ip_sum += RTE_BE16(RTE_IPV4_VHL_DEF << 8) + RTE_BE16(NET_TTL << 8 | IPPROTO_UDP);
	h->ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = total,
		.packet_id = id,
		.time_to_live = NET_TTL,
		.next_proto_id = IPPROTO_UDP,
		.hdr_checksum =
			offload & RTE_MBUF_F_TX_IP_CKSUM ? 0 : (rte_be16_t)~net_sum_fold(ip_sum),
		.src_addr = own,
		.dst_addr = client,
	};
	if (offload & RTE_MBUF_F_TX_UDP_CKSUM) {
		udp_sum = net_sum_fold(pseudo);
	} else {
		payload_sum = net_sum_add(payload_sum, pseudo + client_port + own_port + udp_len);
		udp_sum = (uint16_t)~net_sum_fold(payload_sum);
		udp_sum = udp_sum == 0 ? UINT16_MAX : udp_sum; // 0 means "none" (RFC 768)
	}
	h->udp = (struct rte_udp_hdr){
		.src_port = own_port,
		.dst_port = client_port,
		.dgram_len = udp_len,
		.dgram_cksum = udp_sum,
	};
}

void net_plain_reply_summed(
	struct net *net, struct rte_mbuf *m, uint16_t bytes, uint64_t payload_sum)
{
	struct plain_head *h = rte_pktmbuf_mtod(m, struct plain_head *);
	uint64_t offload = 0;

	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		offload = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
		offload |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
	net->n.rx_frames++;
	net->n.rx_bytes += m->pkt_len;
	rte_ether_addr_copy(&h->eth.src_addr, &h->eth.dst_addr);
	rte_ether_addr_copy(&net->opt.mac, &h->eth.src_addr);
	plain_head_turn(net, h, (uint16_t)(sizeof(h->udp) + bytes), payload_sum, offload);
	m->data_len = (uint16_t)(sizeof(*h) + bytes);
	m->pkt_len = m->data_len;
	m->ol_flags = offload;
	m->tx_offload = rte_mbuf_tx_offload(sizeof(h->eth), sizeof(h->ip), 0, 0, 0, 0, 0);
	net_frame_queue(net, m);
}

void net_plain_reply(struct net *net, struct rte_mbuf *m, uint16_t bytes)
{
	const char *payload = rte_pktmbuf_mtod_offset(m, const char *, NET_PLAIN_HEAD);

	net_plain_reply_summed(net, m, bytes, net_sum_bytes(payload, bytes));
}
