// SPDX-License-Identifier: BSD-3-Clause
// The server's device, behind the seam of struct port_queue: receive rings that take mbufs of the
// worker's pool, spread over the queues; checksums made and checked where it is asked to; sent
// mbufs given back at once or late.

#include "../nic_cut.h"
#include "../nic_join.h"
#include "sim.h"

// ---- receiving ---------------------------------------------------------------------------------
static uint16_t nic_rx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct sim_queue *q = arg;
	uint16_t k = 0;

	while (k < n && q->tail != q->head)
		m[k++] = q->in[q->tail++ % SIM_RX_RING];
	return k;
}

// Over a whole packet with its checksum in place.
static bool l4_good(const struct rte_ipv4_hdr *ip, const void *l4)
{
	uint16_t sum = rte_ipv4_udptcp_cksum(ip, l4);

	return sum == 0 || (ip->next_proto_id == IPPROTO_UDP && sum == UINT16_MAX);
}

// What a device that checks would say: good, bad, or nothing.
static void checks_note(struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
	const uint8_t *l4;
	uint16_t head, bytes;

	if (m->data_len < RTE_ETHER_HDR_LEN + sizeof(*ip) ||
		rte_pktmbuf_mtod(m, const uint8_t *)[12] != 0x08 ||
		rte_pktmbuf_mtod(m, const uint8_t *)[13] != 0x00)
		return;
	head = rte_ipv4_hdr_len(ip);
	bytes = rte_be_to_cpu_16(ip->total_length);
	if (head < sizeof(*ip) || bytes < head || RTE_ETHER_HDR_LEN + bytes != m->data_len)
		return;
	if (rte_raw_cksum(ip, head) != 0xffff) {
		m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
		return;
	}
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	if ((rte_be_to_cpu_16(ip->fragment_offset) & 0x3fff) != 0)
		return;
	l4 = (const uint8_t *)ip + head;
	if (ip->next_proto_id == IPPROTO_UDP && (bytes < head + 8 || (l4[6] | l4[7]) == 0))
		return; // without a checksum
	if (ip->next_proto_id == IPPROTO_TCP || ip->next_proto_id == IPPROTO_UDP)
		m->ol_flags |=
			l4_good(ip, l4) ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

static unsigned queue_of(struct sim *s, const struct sim_frame *f)
{
	struct sim_server *v = &s->server;

	if (v->port.spread == PORT_SPREAD_TOEPLITZ) // any: the workers sort them out
		return (unsigned)sim_pick(&s->link.rng, v->port.queues);
	rte_pktmbuf_reset(v->scratch);
	memcpy(rte_pktmbuf_append(v->scratch, f->len), f->data, f->len);
	return port_flow_worker(&v->port, v->scratch) % v->port.queues;
}

// Joins a segment to the one that came last and still waits. False: it stays the caller's.
static bool lro_join(struct sim_queue *q, struct rte_mbuf *m)
{
	if (q->head == q->tail || !nic_join(q->in[(q->head - 1) % SIM_RX_RING], m))
		return false;
	q->sim->link.joined++;
	return true;
}

void sim_nic_deliver(struct sim *s, const struct sim_frame *f)
{
	struct sim_queue *q = &s->server.queue[queue_of(s, f)];
	struct rte_mbuf *m = NULL;

	if (q->head - q->tail < SIM_RX_RING)
		m = rte_pktmbuf_alloc(q->pool);
	if (m == NULL) {
		s->link.missed++;
		sim_trace(s, SIM_MISSED, SIM_TO_SERVER, f->data, f->len);
		return;
	}
	sim_trace(s, f->forged ? SIM_FORGED : SIM_DELIVERED, SIM_TO_SERVER, f->data, f->len);
	if (!f->forged && !f->part)
		sim_watch_delivered(s, SIM_TO_SERVER, f->data, f->len);
	memcpy(rte_pktmbuf_append(m, f->len), f->data, f->len);
	if (s->cfg.rx_checksums)
		checks_note(m);
	if (s->cfg.lro && lro_join(q, m))
		return;
	q->in[q->head++ % SIM_RX_RING] = m;
}

// ---- sending -----------------------------------------------------------------------------------
// What the device makes of a frame: checksums, segments.
static void frame_send(struct sim_queue *q, const struct rte_mbuf *m)
{
	const struct sim_config *c = &q->sim->cfg;
	uint8_t data[NIC_FRAME_MAX];
	uint32_t len;

	base_assert(m->nb_segs == 1 || c->multi_segs);
	base_assert(nic_cuts(m) == 1 || m->nb_segs <= c->tso_mbufs);
	q->sim->link.cut += nic_cuts(m) > 1;
	for (unsigned i = 0; (len = nic_cut(m, i, data)) > 0; i++)
		sim_link_send(q->sim, SIM_TO_SERVER, data, (uint16_t)len);
}

static void sent_keep(struct sim_queue *q, struct rte_mbuf *m)
{
	struct rte_mbuf **place = &q->sent[q->sent_at++ % SIM_TX_RING];

	rte_pktmbuf_free(*place);
	*place = m;
}

static uint16_t nic_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct sim_queue *q = arg;

	if (q->sim->cfg.tx_short && n > 0) // a ring that is nearly full
		n = (uint16_t)sim_pick(&q->sim->link.rng, n + 1u);
	for (uint16_t i = 0; i < n; i++) {
		frame_send(q, m[i]);
		if (q->sim->cfg.tx_keeps)
			sent_keep(q, m[i]);
		else
			rte_pktmbuf_free(m[i]);
	}
	return n;
}

static void nic_tx_reclaim(void *arg)
{
	struct sim_queue *q = arg;

	for (unsigned i = 0; i < SIM_TX_RING; i++) {
		rte_pktmbuf_free(q->sent[i]);
		q->sent[i] = NULL;
	}
}

// ---- opening, closing --------------------------------------------------------------------------
static uint64_t tx_offloads(const struct sim_config *c)
{
	uint64_t o = c->multi_segs ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0;

	if (c->tx_checksums)
		o |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	if (c->tso_mbufs > 0)
		o |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
	return o;
}

void sim_nic_open(struct sim *s)
{
	const struct sim_config *c = &s->cfg;
	struct sim_server *v = &s->server;

	v->port = (struct port){.workers = c->workers,
		.queues = c->queues,
		.numa_node = -1,
		.mac = {{2, 0, 0, 0, 0, 1}},
		.mtu = c->mtu,
		.tx_offloads = tx_offloads(c),
		.rx_offloads = c->rx_checksums ? RTE_ETH_RX_OFFLOAD_CHECKSUM : 0,
		.tso_mbufs = c->tso_mbufs,
		.multi_segs = c->multi_segs,
		.spread = c->spread};
	for (unsigned i = 0; i < c->workers; i++) {
		struct sim_queue *q = &v->queue[i];

		*q = (struct sim_queue){.sim = s, .pool = s->pools->server[c->pool][i]};
		v->port.queue[i] = (struct port_queue){.queue_id = (uint16_t)i,
			.has_rx = i < c->queues,
			.has_tx = i < c->queues,
			.has_tx_reclaim = true,
			.rx = nic_rx,
			.tx = nic_tx,
			.tx_reclaim = nic_tx_reclaim,
			.arg = q,
			.pool = q->pool};
	}
	v->scratch = rte_pktmbuf_alloc(s->pools->scratch);
	base_assert(v->scratch != NULL);
}

// Gives back all that the device holds.
void sim_nic_empty(struct sim *s)
{
	struct sim_server *v = &s->server;
	struct rte_mbuf *m;

	for (unsigned i = 0; i < s->cfg.workers; i++) {
		while (nic_rx(&v->queue[i], &m, 1) == 1)
			rte_pktmbuf_free(m);
		nic_tx_reclaim(&v->queue[i]);
	}
	rte_pktmbuf_free(v->scratch);
	v->scratch = NULL;
}
