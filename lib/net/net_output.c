// SPDX-License-Identifier: BSD-3-Clause
// The way out: checksums the device does not make, IPv4 and Ethernet headers, the batch.
#include "net/net_internal.h"

#define NET_TTL 64

void net_l2_write(
	const struct net *net, uint8_t *l2, const struct rte_ether_addr *mac, uint16_t ether_type)
{
	memcpy(l2, net->l2, net->l2_len);
	memcpy(l2, mac, RTE_ETHER_ADDR_LEN);
	l2[net->l2_len - 2] = (uint8_t)(ether_type >> 8);
	l2[net->l2_len - 1] = (uint8_t)ether_type;
}

void net_frame_output(struct net *net, struct rte_mbuf *m)
{
	struct net_tx *tx = net->opt.tx;

	if (base_unlikely(m->nb_segs > 1) && !(net->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS)) {
		struct rte_mbuf *flat = net_mbuf_flatten(net, m);

		rte_pktmbuf_free(m);
		if (flat == NULL) {
			net->n.tx_dropped++;
			return;
		}
		net->n.tx_copied++;
		m = flat;
	}
	base_assert(tx->count < NET_TX_BATCH);
	net->n.tx_frames++;
	net->n.tx_bytes += m->pkt_len;
	tx->m[tx->count++] = m;
	if (tx->count == NET_TX_BATCH)
		net_tx_flush(tx);
}

void net_packet_output(
	struct net *net, struct rte_mbuf *m, const struct rte_ether_addr *mac, uint16_t ether_type)
{
	void *l2 = rte_pktmbuf_prepend(m, net->l2_len);

	base_assert(l2 != NULL); // NET_HEADROOM is the caller's duty
	net_l2_write(net, l2, mac, ether_type);
	m->l2_len = net->l2_len;
	net_frame_output(net, m);
}

// m starts with its L4 header, whose checksum field holds the pseudo-header sum when ol_flags asks
// for a checksum. `soft`: the device must not be asked, whatever it can.
static void l4_finish(const struct net *net, struct rte_mbuf *m, bool soft)
{
	uint64_t kind = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	bool udp = kind == RTE_MBUF_F_TX_UDP_CKSUM;
	uint64_t offload = udp ? RTE_ETH_TX_OFFLOAD_UDP_CKSUM : RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	uint8_t *field;
	uint16_t sum;

	if (kind == 0)
		return;
	if (!soft && (net->tx_offloads & offload)) {
		m->ol_flags |= RTE_MBUF_F_TX_IPV4;
		return;
	}
	m->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
	base_assert(m->data_len >= (udp ? 8 : 20));
	sum = (uint16_t)~net_sum(m, 0);
	if (udp && sum == 0)
		sum = UINT16_MAX; // 0 means "none" (RFC 768)
	field = rte_pktmbuf_mtod_offset(m, uint8_t *, udp ? 6 : 16);
	memcpy(field, &sum, sizeof(sum));
}

static void ip_checksum_set(const struct net *net, struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	m->l3_len = sizeof(*ip);
	ip->hdr_checksum = 0;
	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	else
		ip->hdr_checksum = rte_ipv4_cksum(ip);
}

// DF stays clear: nothing here would act on "fragmentation needed".
static void ip4_prepend(struct net *net, struct rte_mbuf *m, const struct net_to *to)
{
	void *head = rte_pktmbuf_prepend(m, sizeof(struct rte_ipv4_hdr));
	struct rte_ipv4_hdr *ip = head;

	base_assert(head != NULL); // NET_HEADROOM is the caller's duty
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = to->tos,
		.total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len),
		.packet_id = rte_cpu_to_be_16(net->ip_id++),
		.time_to_live = NET_TTL,
		.next_proto_id = to->proto,
		.src_addr = net->own4[to->local],
		.dst_addr = base_ip_as4(to->dst),
	};
}

static bool is_broadcast(const struct net *net, const struct net_to *to)
{
	rte_be32_t dst = base_ip_as4(to->dst);

	return dst == net->broadcast[to->local] || dst == NET_LIMITED_BROADCAST;
}

static bool is_host(const struct net *net, const struct base_ip *ip)
{
	return rte_be_to_cpu_32(base_ip_as4(ip)) < NET_MULTICAST_FIRST &&
		net_own4_find(net, base_ip_as4(ip)) == NET_OWN_MAX;
}

// m starts with its IP header; mac: the next hop's where it is known.
static void packet_send(struct net *net, struct rte_mbuf *m, const struct net_to *to,
	const struct rte_ether_addr *mac, uint64_t now_us)
{
	static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	const struct base_ip *next;

	if (mac == NULL && base_unlikely(to->hop->generation != net->neigh.generation)) {
		next = net_route_lookup(net, to->dst);
		if (is_broadcast(net, to)) {
			mac = &everybody;
		} else if (next == NULL || !is_host(net, next) || !is_host(net, to->dst)) {
			net->n.no_route++;
			rte_pktmbuf_free(m);
			return;
		} else if (!net_neigh_resolve(net, next, to->hop, m, now_us)) {
			return; // it waits, or is gone
		}
	}
	if (mac == NULL)
		mac = &net->neigh.entry[to->hop->neigh].mac;
	net_packet_output(net, m, mac, net_ether_type(to->dst));
}

static void fragments_output(struct net *net, struct rte_mbuf *m, const struct net_to *to,
	const struct rte_ether_addr *mac, uint64_t now_us)
{
	struct rte_mbuf *piece[NET_FRAGS_OUT];
	unsigned n;

	if (m->pkt_len > UINT16_MAX - sizeof(struct rte_ipv4_hdr)) {
		net->n.tx_dropped++;
		rte_pktmbuf_free(m);
		return;
	}
	l4_finish(net, m, true);
	ip4_prepend(net, m, to);
	n = net_frag_output(net, m, piece);
	for (unsigned i = 0; i < n; i++) {
		ip_checksum_set(net, piece[i]);
		packet_send(net, piece[i], to, mac, now_us);
	}
}

static void packet_output(struct net *net, struct rte_mbuf *m, const struct net_to *to,
	const struct rte_ether_addr *mac, uint64_t now_us)
{
	if (base_unlikely(m->pkt_len > net_mtu(net, to->dst))) {
		fragments_output(net, m, to, mac, now_us);
		return;
	}
	l4_finish(net, m, false);
	ip4_prepend(net, m, to);
	ip_checksum_set(net, m);
	packet_send(net, m, to, mac, now_us);
}

void net_ip_output(struct net *net, struct rte_mbuf *m, const struct net_to *to, uint64_t now_us)
{
	packet_output(net, m, to, NULL, now_us);
}

void net_reply_output(struct net *net, struct rte_mbuf *m, const struct net_packet *pkt,
	uint8_t proto, uint64_t now_us)
{
	struct net_hop hop = {.generation = 0};
	const struct net_to to = {
		.dst = &pkt->src, .hop = &hop, .local = pkt->local, .proto = proto};
	bool on_link = net_on_link(net, &pkt->src) < NET_OWN_MAX;

	packet_output(net, m, &to, on_link ? &pkt->src_mac : NULL, now_us);
}
