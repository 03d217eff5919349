// SPDX-License-Identifier: BSD-3-Clause
// Fragments of both families, both ways, on rte_ip_frag.
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

static bool fragment6_valid(const struct rte_ipv6_fragment_ext *frag, uint32_t data_len)
{
	uint16_t field = rte_be_to_cpu_16(frag->frag_data);
	uint32_t end = (uint32_t)(field & RTE_IPV6_EHDR_FO_MASK) + data_len;
	bool more = field & RTE_IPV6_EHDR_MF_MASK;

	return data_len > 0 && (!more || data_len % 8 == 0) && end <= UINT16_MAX - 60;
}

// Into one mbuf when the first has room behind its data for the rest and is ours alone.
static void chain_join(struct rte_mbuf *m)
{
	uint32_t rest = m->pkt_len - m->data_len;

	if (m->nb_segs > 1 && net_mbuf_private(m) && rest <= rte_pktmbuf_tailroom(m))
		rte_pktmbuf_linearize(m);
}

static void fragment_taken(struct net *net, uint64_t now_us)
{
	death_row_free(net);
	net->frag_last_us = now_us;
	if (net->frag_due_us == UINT64_MAX)
		net->frag_due_us = now_us + NET_FRAG_TIMEOUT_US + 1;
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
	fragment_taken(net, now_us);
	if (m == NULL)
		return NULL;
	net->n.reassembled++;
	ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, m->l2_len);
	ip->hdr_checksum = 0; // the header is a new one
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, m->l3_len);
	chain_join(m);
	return m;
}

// The library wants the fragment header right behind the IPv6 header. What stands between has been
// looked at and is not needed any more.
static struct rte_mbuf *headers_close_up(struct rte_mbuf *m, uint16_t off, uint16_t frag_at)
{
	uint16_t head = (uint16_t)(off + sizeof(struct rte_ipv6_hdr));
	uint16_t gap = (uint16_t)(frag_at - head);
	struct rte_ipv6_hdr *ip;
	char *start = rte_pktmbuf_mtod(m, char *);

	base_assert(frag_at >= head);
	memmove(start + gap, start, head);
	rte_pktmbuf_adj(m, gap);
	ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, off);
	ip->proto = IPPROTO_FRAGMENT;
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(m->pkt_len - head));
	return m;
}

struct rte_mbuf *net_frag6_input(
	struct net *net, struct rte_mbuf *m, uint16_t off, uint16_t frag_at, uint64_t now_us)
{
	struct rte_ipv6_fragment_ext *frag;
	struct rte_ipv6_hdr *ip;

	net->n.fragments++;
	m = headers_close_up(m, off, frag_at);
	ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, off);
	frag = (struct rte_ipv6_fragment_ext *)(ip + 1);
	m->l2_len = off;
	m->l3_len = sizeof(*ip) + sizeof(*frag);
	if (!fragment6_valid(frag, m->pkt_len - off - m->l3_len)) {
		net->n.frag_dropped++;
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK);
	m = rte_ipv6_frag_reassemble_packet(net->frags, &net->death, m, now_us, ip, frag);
	fragment_taken(net, now_us);
	if (m == NULL)
		return NULL;
	net->n.reassembled++;
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

// The library leaves the identification 0; RFC 7739: not to be guessed from the last one alone.
static void frag6_id_set(struct net *net, struct rte_mbuf **pieces, int32_t n)
{
	net->frag6_id += 1 + (uint32_t)base_rng_below(&net->rng, 256);
	for (int32_t i = 0; i < n; i++) {
		struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(pieces[i], struct rte_ipv6_hdr *);

		((struct rte_ipv6_fragment_ext *)(ip + 1))->id = rte_cpu_to_be_32(net->frag6_id);
		pieces[i]->l3_len = sizeof(*ip) + sizeof(struct rte_ipv6_fragment_ext);
	}
}

unsigned net_frag_output(
	struct net *net, struct rte_mbuf *m, bool ip4, uint16_t mtu, struct rte_mbuf **pieces)
{
	struct rte_mempool *pool = net->opt.pool;
	int32_t n = ip4 ? rte_ipv4_fragment_packet(m, pieces, NET_FRAGS_OUT, mtu, pool, pool)
			: rte_ipv6_fragment_packet(m, pieces, NET_FRAGS_OUT, mtu, pool, pool);

	rte_pktmbuf_free(m); // the pieces hold what they need of it
	if (n <= 0) {
		net->n.no_mbuf++;
		return 0;
	}
	if (!ip4)
		frag6_id_set(net, pieces, n);
	net->n.tx_fragments += (unsigned)n;
	return (unsigned)n;
}
