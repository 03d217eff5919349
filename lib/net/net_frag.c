// SPDX-License-Identifier: BSD-3-Clause
// IPv4 fragments, both ways, on rte_ip_frag.
#define ALLOW_EXPERIMENTAL_API // rte_ip_frag_table_del_expired_entries
#include "net/net_internal.h"

// What the library takes on trust: the pieces but the last have multiples of 8 bytes, and none
// reaches beyond the largest datagram.
static bool fragment_valid(const struct rte_ipv4_hdr *ip, uint16_t data_len)
{
	uint16_t field = rte_be_to_cpu_16(ip->fragment_offset);
	uint32_t end = (uint32_t)(field & RTE_IPV4_HDR_OFFSET_MASK) * 8 + data_len;
	bool more = field & RTE_IPV4_HDR_MF_FLAG;

	return data_len > 0 && (!more || data_len % 8 == 0) && end <= UINT16_MAX - 60;
}

static void death_row_free(struct net *net)
{
	net->n.frag_dropped += net->death.cnt;
	rte_ip_frag_free_death_row(&net->death, 0);
}

// Into one mbuf when the first has room behind its data for the rest and is ours alone.
static void chain_join(struct rte_mbuf *m)
{
	uint32_t rest = m->pkt_len - m->data_len;

	if (m->nb_segs > 1 && net_mbuf_private(m) && rest <= rte_pktmbuf_tailroom(m))
		rte_pktmbuf_linearize(m);
}

struct rte_mbuf *net_frag_input(
	struct net *net, struct rte_mbuf *m, uint16_t off, uint16_t ihl, uint64_t now_us)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, off);

	net->n.fragments++;
	if (!fragment_valid(ip, (uint16_t)(m->pkt_len - off - ihl))) {
		net->n.frag_dropped++;
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->l2_len = off;
	m->l3_len = ihl;
	m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK); // said of the piece, not of the datagram
	m = rte_ipv4_frag_reassemble_packet(net->frags, &net->death, m, now_us, ip);
	death_row_free(net);
	net->frag_last_us = now_us;
	if (net->frag_due_us == UINT64_MAX)
		net->frag_due_us = now_us + NET_FRAG_TIMEOUT_US + 1;
	if (m == NULL)
		return NULL;
	net->n.reassembled++;
	ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, m->l2_len);
	ip->hdr_checksum = 0; // the header is a new one
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, m->l3_len);
	chain_join(m);
	return m;
}

uint64_t net_frag_timers(struct net *net, uint64_t now_us)
{
	uint64_t last_due_us = net->frag_last_us + NET_FRAG_TIMEOUT_US + 1;

	if (base_likely(now_us < net->frag_due_us))
		return net->frag_due_us;
	rte_ip_frag_table_del_expired_entries(net->frags, &net->death, now_us);
	death_row_free(net);
	net->frag_due_us = last_due_us > now_us ? last_due_us : UINT64_MAX;
	return net->frag_due_us;
}

unsigned net_frag_output(struct net *net, struct rte_mbuf *m, struct rte_mbuf **pieces)
{
	struct rte_mempool *pool = net->opt.pool;
	int32_t n = rte_ipv4_fragment_packet(m, pieces, NET_FRAGS_OUT, net->opt.mtu, pool, pool);

	rte_pktmbuf_free(m); // the pieces hold what they need of it
	if (n <= 0) {
		net->n.no_mbuf++;
		return 0;
	}
	net->n.tx_fragments += (unsigned)n;
	return (unsigned)n;
}
