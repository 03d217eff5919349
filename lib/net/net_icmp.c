// SPDX-License-Identifier: BSD-3-Clause
// ICMP (RFC 792, RFC 1122 3.2.2): answers to echo, port unreachable, path MTU discovery (RFC 1191).
#include "net/net_internal.h"

#include <rte_icmp.h>

#define ICMP_UNREACHABLE       3
#define ICMP_UNREACHABLE_PORT  3
#define ICMP6_UNREACHABLE_PORT 4
#define ICMP_TOO_BIG           4 // of unreachable: fragmentation needed and DF set
#define ICMP_QUOTE             8 // bytes of the datagram quoted behind its IP header

struct icmp_error {
	uint8_t type, code;
	uint16_t checksum;
	uint16_t unused;
	rte_be16_t mtu; // of the next hop
};

struct rte_mbuf *net_icmp_body(struct net *net, struct rte_mbuf *m, uint16_t l4_off)
{
	struct rte_mbuf *own;

	if (!net_mbuf_private(m) || rte_pktmbuf_headroom(m) + l4_off < NET_HEADROOM) {
		own = rte_pktmbuf_copy(m, net->opt.pool, l4_off, UINT32_MAX);
		rte_pktmbuf_free(m);
		if (own == NULL) {
			net->n.no_mbuf++;
			return NULL;
		}
		m = own;
	} else {
		rte_pktmbuf_adj(m, l4_off);
	}
	m->ol_flags = 0;
	return m;
}

static void echo_answer(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	struct rte_icmp_hdr *icmp;

	m = net_icmp_body(net, m, pkt->l4_off);
	if (m == NULL)
		return;
	icmp = rte_pktmbuf_mtod(m, struct rte_icmp_hdr *);
	icmp->icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = (uint16_t)~net_sum(m, 0);
	net->n.icmp_tx++;
	net_reply_output(net, m, pkt, IPPROTO_ICMP, now_us);
}

bool net_quote_ports(const struct rte_mbuf *m, uint32_t at, struct net_packet *pkt)
{
	struct {
		rte_be16_t src_port, dst_port;
		rte_be32_t seq;
	} head;
	const void *p = rte_pktmbuf_read(m, at, sizeof(head), &head);

	if (p == NULL)
		return false;
	if (p != &head)
		memcpy(&head, p, sizeof(head));
	pkt->src_port = rte_be_to_cpu_16(head.dst_port);
	pkt->dst_port = rte_be_to_cpu_16(head.src_port);
	pkt->seq = rte_be_to_cpu_32(head.seq);
	return true;
}

// What routers that name no MTU most likely have: the next of RFC 1191's plateaus.
static uint16_t plateau_below(uint16_t bytes)
{
	static const uint16_t plateaus[] = {8166, 4352, 2002, 1492, 1006, 508, 296, 68};
	unsigned i = 0;

	while (i < RTE_DIM(plateaus) - 1 && plateaus[i] >= bytes)
		i++;
	return plateaus[i];
}

// A segment of ours met a link that is too narrow for it. Datagrams go without DF.
static enum net_verdict too_big_input(struct net *net, struct rte_mbuf *m, struct net_packet *pkt)
{
	uint32_t at = pkt->l4_off + sizeof(struct icmp_error);
	struct icmp_error error_buf;
	const struct icmp_error *error =
		rte_pktmbuf_read(m, pkt->l4_off, sizeof(error_buf), &error_buf);
	struct rte_ipv4_hdr buf;
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_read(m, at, sizeof(buf), &buf);
	unsigned local = ip ? net_own4_find(net, ip->src_addr) : NET_OWN_MAX;
	bool known = false;

	if (local < NET_OWN_MAX && ip->version_ihl == RTE_IPV4_VHL_DEF &&
		ip->next_proto_id == IPPROTO_TCP) {
		pkt->local = (uint8_t)local;
		pkt->src = base_ip4(ip->dst_addr);
		pkt->mtu = rte_be_to_cpu_16(error->mtu);
		if (pkt->mtu == 0)
			pkt->mtu = plateau_below(rte_be_to_cpu_16(ip->total_length));
		known = pkt->mtu >= 68 && pkt->mtu < net->opt.mtu &&
			net_quote_ports(m, at + sizeof(buf), pkt);
	}
	rte_pktmbuf_free(m);
	if (known)
		return NET_TOO_BIG;
	net->n.too_big_ignored++;
	return NET_DONE;
}

enum net_verdict net_icmp_input(
	struct net *net, struct rte_mbuf *m, struct net_packet *pkt, uint64_t now_us)
{
	const struct rte_icmp_hdr *icmp =
		rte_pktmbuf_mtod_offset(m, const struct rte_icmp_hdr *, pkt->l4_off);

	net->n.icmp_rx++;
	if (pkt->l4_len < sizeof(*icmp) || net_sum(m, pkt->l4_off) != UINT16_MAX) {
		net->n.bad_icmp++;
	} else if (pkt->group) {
		// RFC 1122 3.2.2.6: an echo to a broadcast may be left unanswered
	} else if (icmp->icmp_type == RTE_IP_ICMP_ECHO_REQUEST && icmp->icmp_code == 0) {
		echo_answer(net, m, pkt, now_us);
		return NET_DONE;
	} else if (icmp->icmp_type == ICMP_UNREACHABLE && icmp->icmp_code == ICMP_TOO_BIG) {
		return too_big_input(net, m, pkt);
	} // other errors are soft (RFC 5927 section 5.2)
	rte_pktmbuf_free(m);
	return NET_DONE;
}

// Token bucket whose tokens are microseconds: one error costs NET_ICMP_GAP_US.
bool net_icmp_error_allowed(struct net *net, uint64_t now_us)
{
	uint64_t gained_us = now_us - net->icmp_last_us;

	net->icmp_credit_us =
		base_min_u64(net->icmp_credit_us + gained_us, NET_ICMP_BURST * NET_ICMP_GAP_US);
	net->icmp_last_us = now_us;
	if (net->icmp_credit_us < NET_ICMP_GAP_US) {
		net->n.icmp_limited++;
		return false;
	}
	net->icmp_credit_us -= NET_ICMP_GAP_US;
	return true;
}

static void unreachable4(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	uint16_t quote =
		(uint16_t)(pkt->l4_off - pkt->l3_off + RTE_MIN(pkt->l4_len, (uint16_t)ICMP_QUOTE));
	struct icmp_error *error;
	struct rte_mbuf *answer;

	// RFC 1122 3.2.2: no errors about broadcasts
	if (pkt->group || !net_icmp_error_allowed(net, now_us))
		return;
	base_assert(pkt->l3_off + quote <= m->data_len);
	answer = rte_pktmbuf_alloc(net->opt.pool);
	if (answer == NULL) {
		net->n.no_mbuf++;
		return;
	}
	error = (struct icmp_error *)rte_pktmbuf_append(answer, (uint16_t)(sizeof(*error) + quote));
	base_assert(error != NULL);
	*error = (struct icmp_error){.type = ICMP_UNREACHABLE, .code = ICMP_UNREACHABLE_PORT};
	memcpy(error + 1, rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->l3_off), quote);
	error->checksum = (uint16_t)~net_sum(answer, 0);
	net->n.icmp_tx++;
	net_reply_output(net, answer, pkt, IPPROTO_ICMP, now_us);
}

void net_icmp_unreachable(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	if (base_ip_is4(&pkt->src))
		unreachable4(net, m, pkt, now_us);
	else
		net_icmp6_error(
			net, m, pkt, NET_ICMP6_UNREACHABLE, ICMP6_UNREACHABLE_PORT, 0, now_us);
}
