// SPDX-License-Identifier: BSD-3-Clause
// ICMP (RFC 792, RFC 1122 3.2.2): answers to echo, port unreachable.
#include "net/net_internal.h"

#include <rte_icmp.h>

#define ICMP_UNREACHABLE      3
#define ICMP_UNREACHABLE_PORT 3
#define ICMP_QUOTE            8 // bytes of the datagram quoted behind its IP header

struct icmp_error {
	uint8_t type, code;
	uint16_t checksum;
	uint32_t unused;
};

// Makes the request its own answer. NULL: no memory, counted.
static struct rte_mbuf *echo_turn(struct net *net, struct rte_mbuf *m, uint16_t l4_off)
{
	struct rte_icmp_hdr *icmp;
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
	icmp = rte_pktmbuf_mtod(m, struct rte_icmp_hdr *);
	icmp->icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = (uint16_t)~net_sum(m, 0);
	return m;
}

enum net_verdict net_icmp_input(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	const struct rte_icmp_hdr *icmp =
		rte_pktmbuf_mtod_offset(m, const struct rte_icmp_hdr *, pkt->l4_off);

	net->n.icmp_rx++;
	if (pkt->l4_len < sizeof(*icmp) || net_sum(m, pkt->l4_off) != UINT16_MAX) {
		net->n.bad_icmp++;
		rte_pktmbuf_free(m);
		return NET_DONE;
	}
	// RFC 1122 3.2.2.6: an echo to a broadcast may be left unanswered
	if (icmp->icmp_type != RTE_IP_ICMP_ECHO_REQUEST || icmp->icmp_code != 0 || pkt->group) {
		rte_pktmbuf_free(m);
		return NET_DONE;
	}
	m = echo_turn(net, m, pkt->l4_off);
	if (m != NULL) {
		net->n.icmp_tx++;
		net_reply_output(net, m, pkt, IPPROTO_ICMP, now_us);
	}
	return NET_DONE;
}

// Token bucket whose tokens are microseconds: one error costs NET_ICMP_GAP_US.
static bool error_allowed(struct net *net, uint64_t now_us)
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

void net_icmp_unreachable(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	uint16_t quote =
		(uint16_t)(pkt->l4_off - pkt->l3_off + RTE_MIN(pkt->l4_len, (uint16_t)ICMP_QUOTE));
	struct icmp_error *error;
	struct rte_mbuf *answer;

	// RFC 1122 3.2.2: no errors about broadcasts
	if (pkt->group || !error_allowed(net, now_us))
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
