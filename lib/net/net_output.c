// SPDX-License-Identifier: BSD-3-Clause
// The way out: checksums the device does not make, IPv4 and Ethernet headers, the batch.
#include "net/net_internal.h"

#define IP4_HEAD sizeof(struct rte_ipv4_hdr)
#define IP6_HEAD sizeof(struct rte_ipv6_hdr)

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
	net_frame_queue(net, m);
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
static void l4_finish(const struct net *net, struct rte_mbuf *m, bool ip4, bool soft)
{
	uint64_t kind = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;
	bool udp = kind == RTE_MBUF_F_TX_UDP_CKSUM;
	uint64_t offload = udp ? RTE_ETH_TX_OFFLOAD_UDP_CKSUM : RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	uint8_t *field;
	uint16_t sum;

	if (kind == 0)
		return;
	if (!soft && (net->tx_offloads & offload)) {
		m->ol_flags |= ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
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

// DF is set on segments that path MTU discovery can make smaller. TCP never makes them smaller than
// NET_PMTU4_MIN; those, and datagrams, may be cut on the way.
static void ip4_prepend(struct net *net, struct rte_mbuf *m, const struct net_to *to)
{
	bool cut = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
	bool whole = to->proto == IPPROTO_TCP && m->pkt_len > NET_PMTU4_MIN - IP4_HEAD &&
		(m->pkt_len <= net->opt.mtu - IP4_HEAD || cut);
	void *head = rte_pktmbuf_prepend(m, IP4_HEAD);
	struct rte_ipv4_hdr *ip = head;

	base_assert(head != NULL); // NET_HEADROOM is the caller's duty
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = to->tos,
		.total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len),
		.packet_id = rte_cpu_to_be_16(net->ip_id++),
		.fragment_offset = whole ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0,
		.time_to_live = NET_TTL,
		.next_proto_id = to->proto,
		.src_addr = net->own4[to->local],
		.dst_addr = base_ip_as4(to->dst),
	};
	if (base_unlikely(cut)) // each segment has a number of its own
		net->ip_id += m->pkt_len / m->tso_segsz;
	ip_checksum_set(net, m);
}

void net_ip6_prepend(struct rte_mbuf *m, const struct base_ip *src, const struct base_ip *dst,
	uint8_t proto, uint8_t hop_limit, uint8_t tos)
{
	uint16_t payload_len = (uint16_t)m->pkt_len;
	void *head = rte_pktmbuf_prepend(m, IP6_HEAD);
	struct rte_ipv6_hdr *ip = head;

	base_assert(head != NULL); // NET_HEADROOM is the caller's duty
	ip->vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | (uint32_t)tos << RTE_IPV6_HDR_TC_SHIFT);
	ip->payload_len = rte_cpu_to_be_16(payload_len);
	ip->proto = proto;
	ip->hop_limits = hop_limit;
	memcpy(ip->src_addr, src, sizeof(*src));
	memcpy(ip->dst_addr, dst, sizeof(*dst));
	m->l3_len = IP6_HEAD;
}

static void ip_prepend(struct net *net, struct rte_mbuf *m, const struct net_to *to, bool ip4)
{
	if (base_likely(ip4))
		ip4_prepend(net, m, to);
	else
		net_ip6_prepend(
			m, &net->opt.own[to->local].ip, to->dst, to->proto, NET_TTL, to->tos);
}

static bool is_broadcast(const struct net *net, const struct net_to *to)
{
	rte_be32_t dst = base_ip_as4(to->dst);

	if (!base_ip_is4(to->dst))
		return false;
	return dst == net->broadcast[to->local] || dst == NET_LIMITED_BROADCAST;
}

static bool is_host(const struct net *net, const struct base_ip *ip)
{
	bool group = base_ip_is4(ip) ? rte_be_to_cpu_32(base_ip_as4(ip)) >= NET_MULTICAST_FIRST
				     : ip->b[0] == 0xff;

	return !group && net_own_find(net, ip) == NET_OWN_MAX;
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
		} else if (net->own_state[to->local] != NET_OWN_VALID || next == NULL ||
			!is_host(net, next) || !is_host(net, to->dst)) {
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
	const struct rte_ether_addr *mac, uint16_t mtu, uint64_t now_us)
{
	struct rte_mbuf *piece[NET_FRAGS_OUT];
	bool ip4 = base_ip_is4(to->dst);
	unsigned n;

	if (m->pkt_len > UINT16_MAX - (ip4 ? IP4_HEAD : 0)) {
		net->n.tx_dropped++;
		rte_pktmbuf_free(m);
		return;
	}
	l4_finish(net, m, ip4, true);
	ip_prepend(net, m, to, ip4);
	n = net_frag_output(net, m, ip4, mtu, piece);
	for (unsigned i = 0; i < n; i++) {
		if (ip4)
			ip_checksum_set(net, piece[i]);
		packet_send(net, piece[i], to, mac, now_us);
	}
}

// The largest IP packet that goes to dst in one piece. Routers cut IPv4 packets on the way, and
// IPv6 ones of up to 1,280 bytes fit any path.
static uint16_t mtu_for(
	struct net *net, const struct net_to *to, bool ip4, uint32_t len, uint64_t now_us)
{
	if (ip4 || len <= RTE_IPV6_MIN_MTU - IP6_HEAD)
		return net->opt.mtu;
	return net_path_mtu(net, to->dst, now_us);
}

static void packet_output(struct net *net, struct rte_mbuf *m, const struct net_to *to,
	const struct rte_ether_addr *mac, uint64_t now_us)
{
	bool ip4 = base_ip_is4(to->dst);
	uint16_t mtu = mtu_for(net, to, ip4, m->pkt_len, now_us);

	if (base_unlikely(m->pkt_len + (ip4 ? IP4_HEAD : IP6_HEAD) > mtu) &&
		!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)) {
		fragments_output(net, m, to, mac, mtu, now_us);
		return;
	}
	l4_finish(net, m, ip4, false);
	ip_prepend(net, m, to, ip4);
	packet_send(net, m, to, mac, now_us);
}

// An IPv4 packet that fits the link, to a neighbour that is known.
static bool is_plain(const struct net *net, const struct rte_mbuf *m, const struct net_to *to)
{
	return to->hop->generation == net->neigh.generation && base_ip_is4(to->dst) &&
		m->pkt_len + IP4_HEAD <= net->opt.mtu && net->l2_len == RTE_ETHER_HDR_LEN &&
		!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
}

// The header's checksum, without the header having to be read again.
static inline uint16_t ip4_sum(const uint32_t word[5])
{
	uint64_t sum = (uint64_t)word[0] + word[1] + word[2] + word[3] + word[4];

	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

// What packet_output does, for nearly all packets, in one go.
static void plain_output(struct net *net, struct rte_mbuf *m, const struct net_to *to)
{
	bool whole = to->proto == IPPROTO_TCP && m->pkt_len > NET_PMTU4_MIN - IP4_HEAD;
	uint16_t total = (uint16_t)(m->pkt_len + IP4_HEAD);
	uint32_t word[5];
	uint16_t sum = 0;
	uint8_t *head;

	l4_finish(net, m, true, false);
	head = (uint8_t *)rte_pktmbuf_prepend(m, RTE_ETHER_HDR_LEN + IP4_HEAD);
	base_assert(head != NULL); // NET_HEADROOM is the caller's duty
	memcpy(head, &net->neigh.entry[to->hop->neigh].mac, RTE_ETHER_ADDR_LEN);
	memcpy(head + RTE_ETHER_ADDR_LEN, net->l2 + RTE_ETHER_ADDR_LEN, RTE_ETHER_ADDR_LEN);
	head[12] = RTE_ETHER_TYPE_IPV4 >> 8;
	head[13] = RTE_ETHER_TYPE_IPV4 & 0xff;
	word[0] = rte_cpu_to_be_32(
		(uint32_t)RTE_IPV4_VHL_DEF << 24 | (uint32_t)to->tos << 16 | total);
	word[1] =
		rte_cpu_to_be_32((uint32_t)net->ip_id++ << 16 | (whole ? RTE_IPV4_HDR_DF_FLAG : 0));
	word[2] = rte_cpu_to_be_32((uint32_t)NET_TTL << 24 | (uint32_t)to->proto << 16);
	word[3] = net->own4[to->local];
	word[4] = base_ip_as4(to->dst);
	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	else
		sum = ip4_sum(word);
	memcpy(head + RTE_ETHER_HDR_LEN, word, sizeof(word));
	memcpy(head + RTE_ETHER_HDR_LEN + offsetof(struct rte_ipv4_hdr, hdr_checksum), &sum,
		sizeof(sum));
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len = IP4_HEAD;
	net_frame_output(net, m);
}

void net_ip_output(struct net *net, struct rte_mbuf *m, const struct net_to *to, uint64_t now_us)
{
	if (base_likely(is_plain(net, m, to)))
		plain_output(net, m, to);
	else
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
