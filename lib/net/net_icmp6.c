// SPDX-License-Identifier: BSD-3-Clause
// ICMPv6 (RFC 4443): echo, errors both ways; neighbour discovery goes to net_nd.c.
#include "net/net_internal.h"

#define TYPE_TOO_BIG    2
#define TYPE_ERROR_LAST 127
#define TYPE_ECHO       128
#define TYPE_ECHO_REPLY 129

struct icmp6_head {
	uint8_t type, code;
	uint16_t checksum;
	rte_be32_t word; // MTU, pointer, or unused
} __rte_packed;

struct base_ip net_packet_dst(const struct rte_mbuf *m, const struct net_packet *pkt)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->l3_off);
	struct base_ip dst;
	rte_be32_t dst4;

	if (!base_ip_is4(&pkt->src)) {
		memcpy(&dst, ip + offsetof(struct rte_ipv6_hdr, dst_addr), sizeof(dst));
		return dst;
	}
	memcpy(&dst4, ip + offsetof(struct rte_ipv4_hdr, dst_addr), sizeof(dst4));
	return base_ip4(dst4);
}

void net_icmp6_checksum(struct rte_mbuf *m, const struct base_ip *src, const struct base_ip *dst)
{
	struct icmp6_head *icmp = rte_pktmbuf_mtod(m, struct icmp6_head *);

	icmp->checksum = 0;
	icmp->checksum = net_l4_checksum(m, 0, src, dst, IPPROTO_ICMPV6);
}

static void reply_send(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	net->n.icmp_tx++;
	net_icmp6_checksum(m, &net->opt.own[pkt->local].ip, &pkt->src);
	net_reply_output(net, m, pkt, IPPROTO_ICMPV6, now_us);
}

// RFC 4443 section 2.4 (e): not about errors, groups, or what has no one sender. m is the packet at
// fault, from its Ethernet header on; not taken.
void net_icmp6_error(struct net *net, struct rte_mbuf *m, const struct net_packet *pkt,
	uint8_t type, uint8_t code, uint32_t word, uint64_t now_us)
{
	uint32_t quote = RTE_MIN(m->pkt_len - pkt->l3_off,
		(uint32_t)(RTE_IPV6_MIN_MTU - sizeof(struct rte_ipv6_hdr) -
			sizeof(struct icmp6_head)));
	struct icmp6_head *icmp;
	struct rte_mbuf *answer;

	if (pkt->group || base_ip_none(&pkt->src) || !net_icmp_error_allowed(net, now_us))
		return;
	answer = rte_pktmbuf_copy(m, net->opt.pool, pkt->l3_off, quote);
	if (answer == NULL) {
		net->n.no_mbuf++;
		return;
	}
	icmp = (struct icmp6_head *)rte_pktmbuf_prepend(answer, sizeof(*icmp));
	base_assert(icmp != NULL);
	answer->ol_flags = 0;
	*icmp = (struct icmp6_head){.type = type, .code = code, .word = rte_cpu_to_be_32(word)};
	reply_send(net, answer, pkt, now_us);
}

static enum net_verdict echo_answer(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	if (pkt->group || base_ip_none(&pkt->src)) {
		rte_pktmbuf_free(m);
		return NET_DONE;
	}
	m = net_icmp_body(net, m, pkt->l4_off);
	if (m == NULL)
		return NET_DONE;
	rte_pktmbuf_mtod(m, struct icmp6_head *)->type = TYPE_ECHO_REPLY;
	reply_send(net, m, pkt, now_us);
	return NET_DONE;
}

// The flow that a quoted packet of ours belonged to. False: none of ours, or not told.
static bool quote_read(const struct net *net, const struct rte_mbuf *m, uint32_t at,
	struct net_packet *pkt, uint8_t *proto)
{
	struct rte_ipv6_fragment_ext frag_buf;
	const struct rte_ipv6_fragment_ext *frag;
	struct rte_ipv6_hdr buf;
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_read(m, at, sizeof(buf), &buf);
	struct base_ip src;
	unsigned local;

	if (ip == NULL || rte_be_to_cpu_32(ip->vtc_flow) >> 28 != 6)
		return false;
	memcpy(&src, ip->src_addr, sizeof(src));
	memcpy(&pkt->src, ip->dst_addr, sizeof(pkt->src));
	local = net_own_find(net, &src);
	if (local == NET_OWN_MAX || base_ip_is4(&src) || base_ip_is4(&pkt->src))
		return false;
	pkt->local = (uint8_t)local;
	*proto = ip->proto;
	at += sizeof(*ip);
	if (*proto == IPPROTO_FRAGMENT) {
		frag = rte_pktmbuf_read(m, at, sizeof(frag_buf), &frag_buf);
		if (frag == NULL || (frag->frag_data & RTE_BE16(RTE_IPV6_EHDR_FO_MASK)))
			return false;
		*proto = frag->next_header;
		at += sizeof(*frag);
	}
	return net_quote_ports(m, at, pkt);
}

// RFC 8201: TCP is asked whether the quoted segment is one of its own; for the rest the path's MTU
// is noted as told, which an attacker gains nothing from: datagrams go in pieces of 1,280 bytes.
static enum net_verdict too_big_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, struct net_packet *pkt)
{
	uint32_t quote_at = pkt->l4_off + sizeof(struct icmp6_head);
	struct icmp6_head buf;
	const struct icmp6_head *icmp = rte_pktmbuf_read(m, pkt->l4_off, sizeof(buf), &buf);
	uint32_t mtu = rte_be_to_cpu_32(icmp->word);
	bool known;
	uint8_t proto = 0;

	known = quote_read(net, m, quote_at, pkt, &proto);
	rte_pktmbuf_free(m);
	// nobody may say less than the least that every link has (RFC 8201 section 4)
	if (!known || mtu < RTE_IPV6_MIN_MTU || mtu >= net->opt.mtu) {
		net->n.too_big_ignored++;
		return NET_DONE;
	}
	pkt->mtu = (uint16_t)mtu;
	if (proto == IPPROTO_TCP)
		return NET_TOO_BIG;
	net->n.too_big++;
	net_path_mtu_set(net, &pkt->src, pkt->mtu, now_us);
	pkt->datagram = true;
	return NET_TOO_BIG;
}

enum net_verdict net_icmp6_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, struct net_packet *pkt)
{
	const struct icmp6_head *icmp =
		rte_pktmbuf_mtod_offset(m, const struct icmp6_head *, pkt->l4_off);
	struct base_ip dst = net_packet_dst(m, pkt);

	net->n.icmp_rx++;
	if (pkt->l4_len < sizeof(*icmp) ||
		net_l4_checksum(m, pkt->l4_off, &pkt->src, &dst, IPPROTO_ICMPV6) != 0) {
		net->n.bad_icmp++;
		rte_pktmbuf_free(m);
		return NET_DONE;
	}
	if (icmp->type != NET_ND_ADVERT && net_own_find(net, &pkt->src) < NET_OWN_MAX) {
		net->n.bad_source++;
		rte_pktmbuf_free(m);
		return NET_DONE;
	}
	switch (icmp->type) {
	case TYPE_ECHO:
		return echo_answer(net, m, pkt, now_us);
	case TYPE_TOO_BIG:
		return too_big_input(net, m, now_us, pkt);
	case NET_ND_SOLICIT:
	case NET_ND_ADVERT:
		return net_nd_input(net, m, now_us, pkt);
	case NET_MLD_QUERY:
		return net_mld_input(net, m, now_us, pkt);
	default: // other errors are soft (RFC 5927 section 5.2); nothing else is for a host like us
		rte_pktmbuf_free(m);
		return NET_DONE;
	}
}
