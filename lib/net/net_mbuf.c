// SPDX-License-Identifier: BSD-3-Clause
// Chains of mbufs: pulling headers together, trimming, copying into one.
#include "net/net_internal.h"

// Copies `len` bytes of the chain from its start.
static void chain_read(const struct rte_mbuf *m, uint8_t *to, uint32_t len)
{
	for (; len; m = m->next) {
		uint32_t n = RTE_MIN(len, (uint32_t)m->data_len);

		memcpy(to, rte_pktmbuf_mtod(m, const uint8_t *), n);
		to += n;
		len -= n;
	}
}

// Drops `len` bytes from the front, with the segments that become empty. pkt_len is lost.
static struct rte_mbuf *chain_skip(struct rte_mbuf *m, uint32_t len)
{
	while (m != NULL && len >= m->data_len) {
		struct rte_mbuf *next = m->next;

		len -= m->data_len;
		rte_pktmbuf_free_seg(m);
		m = next;
	}
	if (m != NULL && len) {
		m->data_off += len;
		m->data_len -= len;
	}
	return m;
}

struct rte_mbuf *net_mbuf_pull(struct net *net, struct rte_mbuf *m, uint16_t len)
{
	struct rte_mbuf *head;

	base_assert(len <= m->pkt_len);
	if (base_likely(m->data_len >= len))
		return m;
	head = rte_pktmbuf_alloc(net->opt.pool);
	if (head == NULL || rte_pktmbuf_tailroom(head) < len) {
		net->n.no_mbuf++;
		rte_pktmbuf_free(head);
		rte_pktmbuf_free(m);
		return NULL;
	}
	chain_read(m, rte_pktmbuf_mtod(head, uint8_t *), len);
	head->data_len = len;
	head->pkt_len = m->pkt_len;
	head->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	head->vlan_tci = m->vlan_tci;
	head->next = chain_skip(m, len);
	head->nb_segs = 1;
	for (struct rte_mbuf *s = head->next; s != NULL; s = s->next)
		head->nb_segs++;
	return head;
}

void net_mbuf_trim(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *s = m;

	base_assert(len > 0 && len <= m->pkt_len);
	if (m->pkt_len == len)
		return;
	m->pkt_len = len;
	m->nb_segs = 1;
	while (len > s->data_len) {
		len -= s->data_len;
		s = s->next;
		m->nb_segs++;
	}
	s->data_len = (uint16_t)len;
	rte_pktmbuf_free(s->next);
	s->next = NULL;
}

struct rte_mbuf *net_mbuf_flatten(struct net *net, const struct rte_mbuf *m)
{
	struct rte_mbuf *flat = rte_pktmbuf_alloc(net->opt.pool);
	uint32_t room;

	if (flat == NULL) {
		net->n.no_mbuf++;
		return NULL;
	}
	room = rte_pktmbuf_headroom(flat) + rte_pktmbuf_tailroom(flat);
	if (m->pkt_len > room) {
		rte_pktmbuf_free(flat);
		return NULL;
	}
	if (m->pkt_len > rte_pktmbuf_tailroom(flat))
		flat->data_off = (uint16_t)(room - m->pkt_len);
	chain_read(m, rte_pktmbuf_mtod(flat, uint8_t *), m->pkt_len);
	flat->data_len = (uint16_t)m->pkt_len;
	flat->pkt_len = m->pkt_len;
	flat->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	flat->tx_offload = m->tx_offload;
	flat->vlan_tci = m->vlan_tci;
	return flat;
}
