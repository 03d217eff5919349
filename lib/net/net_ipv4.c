// SPDX-License-Identifier: BSD-3-Clause
// IPv4 input (RFC 791, RFC 1122 3.2): header checks, whose it is, and on to the protocol.
#include "net/net_internal.h"

static enum net_verdict drop(struct rte_mbuf *m, uint64_t *reason)
{
	++*reason;
	rte_pktmbuf_free(m);
	return NET_DONE;
}

// The address of ours on whose prefix `ip` is the broadcast address; NET_OWN_MAX: none.
static unsigned broadcast_find(const struct net *net, rte_be32_t ip)
{
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (net->own4[i] != 0 && (ip == net->broadcast[i] || ip == NET_LIMITED_BROADCAST))
			return i;
	}
	return NET_OWN_MAX;
}

static bool host_class(rte_be32_t ip)
{
	uint32_t host = rte_be_to_cpu_32(ip);

	return (host >> 24) != 0 && (host >> 24) != 127 && host < NET_MULTICAST_FIRST;
}

bool net_ipv4_alone(const struct net *net, unsigned local)
{
	const rte_be32_t mask = base_ip_as4(&net->mask[local]), own = net->own4[local];

	if ((mask & RTE_BE32(0xff000000)) != RTE_BE32(0xff000000) || !host_class(own))
		return false;
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (i != local && net->own4[i] != 0 &&
			(((net->own4[i] ^ own) & mask) == 0 ||
				((net->broadcast[i] ^ own) & mask) == 0))
			return false;
	}
	return true;
}

// RFC 1122 3.2.1.3: a source must be one host's address.
bool net_ipv4_source_valid(const struct net *net, rte_be32_t ip)
{
	if (!host_class(ip))
		return false;
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (ip == net->own4[i] || ip == net->broadcast[i])
			return false;
	}
	return true;
}

// Checks the header and cuts off padding. Returns the header's length, or 0 with the reason
// counted.
static uint16_t header_check(
	struct net *net, struct rte_mbuf *m, uint16_t off, const struct rte_ipv4_hdr *ip)
{
	uint16_t ihl = rte_ipv4_hdr_len(ip);
	uint16_t total = rte_be_to_cpu_16(ip->total_length);

	if ((ip->version_ihl >> 4) != 4 || ihl < sizeof(*ip)) {
		net->n.bad_ip_header++;
		return 0;
	}
	if (total < ihl || (uint32_t)off + total > m->pkt_len || off + ihl > m->data_len) {
		net->n.bad_ip_length++;
		return 0;
	}
	if (!net_ipv4_sum_told(net, m) && rte_raw_cksum(ip, ihl) != UINT16_MAX) {
		net->n.bad_ip_checksum++;
		return 0;
	}
	net_mbuf_trim(m, (uint32_t)off + total);
	return ihl;
}

// m is a whole datagram for us, its headers up to L4 contiguous.
static enum net_verdict datagram_input(struct net *net, struct rte_mbuf **packet, uint16_t ihl,
	uint8_t proto, uint64_t now_us, struct net_packet *pkt)
{
	struct rte_mbuf *m = *packet;
	uint16_t l4_len, head;

	pkt->l4_off = (uint16_t)(pkt->l3_off + ihl);
	l4_len = (uint16_t)(m->pkt_len - pkt->l4_off);
	pkt->l4_len = l4_len;
	pkt->l4_checked = net_l4_checked(net, m, proto);
	head = proto == IPPROTO_TCP ? 60 : 8; // what the protocols read
	m = *packet = net_mbuf_pull(net, m, (uint16_t)(pkt->l4_off + RTE_MIN(l4_len, head)));
	if (m == NULL)
		return NET_DONE;
	switch (proto) {
	case IPPROTO_TCP:
		if (pkt->group) // RFC 9293 3.10.7: broadcasts are not for TCP
			return drop(m, &net->n.not_ours);
		return NET_TCP;
	case IPPROTO_UDP:
		return net_udp_input(net, m, pkt);
	case IPPROTO_ICMP:
		return net_icmp_input(net, m, pkt, now_us);
	default:
		return drop(m, &net->n.unknown_proto);
	}
}

enum net_verdict net_ipv4_input(struct net *net, struct rte_mbuf **packet, uint16_t off, bool group,
	uint64_t now_us, struct net_packet *pkt)
{
	struct rte_mbuf *m = *packet;
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, off);
	unsigned local;
	uint16_t ihl;
	uint8_t proto;

	if (base_unlikely(m->data_len < off + sizeof(*ip)))
		return drop(m, &net->n.bad_ip_length);
	ihl = header_check(net, m, off, ip);
	if (base_unlikely(ihl == 0)) {
		rte_pktmbuf_free(m);
		return NET_DONE;
	}
	local = net_own4_find(net, ip->dst_addr);
	if (base_unlikely(local == NET_OWN_MAX)) {
		local = broadcast_find(net, ip->dst_addr);
		if (local == NET_OWN_MAX)
			return drop(m, &net->n.not_ours);
		pkt->group = true;
	} else if (base_unlikely(group)) {
		// RFC 1122 3.3.6: what came by link-layer broadcast must be addressed to one
		return drop(m, &net->n.not_ours);
	}
	if (!net_ipv4_source_valid(net, ip->src_addr))
		return drop(m, &net->n.bad_source);
	pkt->src = base_ip4(ip->src_addr);
	pkt->local = (uint8_t)local;
	pkt->ecn = ip->type_of_service & 3;
	pkt->l3_off = off;
	proto = ip->next_proto_id;
	if (base_unlikely(rte_ipv4_frag_pkt_is_fragmented(ip))) {
		m = net_frag_input(net, m, off, ihl, now_us);
		if (m == NULL)
			return NET_DONE;
		pkt->l3_off = m->l2_len; // of the first fragment, as all that is looked at
		ihl = m->l3_len;
		pkt->reassembled = true;
		*packet = m;
	}
	return datagram_input(net, packet, ihl, proto, now_us, pkt);
}

bool net_flow_peek(const struct net *net, const struct rte_mbuf *m, struct net_flow *flow)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(eth + 1);
	const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(ip + 1);

	if (m->data_len < sizeof(*eth) + sizeof(*ip) + sizeof(*tcp) ||
		eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		ip->version_ihl != RTE_IPV4_VHL_DEF || ip->next_proto_id != IPPROTO_TCP)
		return false;
	*flow = (struct net_flow){.src = ip->src_addr,
		.src_port = tcp->src_port,
		.dst_port = tcp->dst_port,
		.local = (uint8_t)net_own4_find(net, ip->dst_addr)};
	return flow->local != NET_OWN_MAX;
}
