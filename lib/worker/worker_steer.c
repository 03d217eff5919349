// SPDX-License-Identifier: BSD-3-Clause
// Frames between workers: foreign flows to their owner, output of those without a queue, news to
// everybody.

#include "worker/worker_internal.h"

#define STEER_BATCH 64
#define NEWS_A_TURN 16

bool worker_steer(struct worker *w, struct rte_mbuf *m)
{
	unsigned to = port_flow_worker(w->port, m);

	if (to == w->id)
		return false;
	base_assert(to < w->count);
	if (worker_ring_push(w->peer[to].frames_send, m)) {
		w->n.steered++;
	} else {
		w->n.steer_dropped++;
		rte_pktmbuf_free(m);
	}
	return true;
}

static unsigned steer_peer_turn(struct worker *w, struct worker_peer *p)
{
	struct rte_mbuf *m[STEER_BATCH];
	unsigned frames = 0;
	uint16_t n = 0;

	while (frames < STEER_BATCH && (m[0] = worker_ring_pop(p->frames_recv)) != NULL) {
		worker_frame_input(w, m[0]);
		frames++;
	}
	worker_ring_retire(p->frames_recv);
	while (n < STEER_BATCH && (m[n] = worker_ring_pop(p->tx_recv)) != NULL)
		n++;
	worker_ring_retire(p->tx_recv);
	if (n > 0)
		worker_tx_device(w, m, n);
	return frames + n;
}

unsigned worker_steer_turn(struct worker *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->count; i++) {
		if (i != w->id)
			n += steer_peer_turn(w, &w->peer[i]);
	}
	return n;
}

void worker_steer_publish(struct worker *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (i != w->id)
			worker_ring_publish(w->peer[i].frames_send);
	}
}

// What the peers had sent and nobody will look at any more.
void worker_steer_close(struct worker *w)
{
	struct rte_mbuf *m;

	for (unsigned i = 0; i < w->count; i++) {
		if (i == w->id)
			continue;
		while ((m = worker_ring_pop(w->peer[i].frames_recv)) != NULL)
			rte_pktmbuf_free(m);
		while ((m = worker_ring_pop(w->peer[i].tx_recv)) != NULL)
			rte_pktmbuf_free(m);
		worker_ring_retire(w->peer[i].frames_recv);
		worker_ring_retire(w->peer[i].tx_recv);
	}
}

void worker_neigh_tell(struct worker *w, const struct base_ip *ip, const struct rte_ether_addr *mac)
{
	if (w->count > 1)
		worker_news_post(w, &(struct worker_news){.ip = *ip, .mac = *mac});
}

void worker_too_big_input(struct worker *w, const struct net_packet *pkt)
{
	if (!pkt->datagram && tcp_too_big(w->tcp, pkt, w->now.mono_us))
		return;
	if (w->count == 1)
		return;
	worker_news_post(w,
		&(struct worker_news){.ip = pkt->src,
			.too_big = true,
			.datagram = pkt->datagram,
			.src_port = pkt->src_port,
			.dst_port = pkt->dst_port,
			.mtu = pkt->mtu,
			.local = pkt->local,
			.seq = pkt->seq});
}

static void news_take(struct worker *w, const struct worker_news *n)
{
	const struct net_packet pkt = {.src = n->ip,
		.local = n->local,
		.src_port = n->src_port,
		.dst_port = n->dst_port,
		.mtu = n->mtu,
		.seq = n->seq};

	if (n->datagram)
		net_path_mtu_set(w->net, &n->ip, n->mtu, w->now.mono_us);
	else if (n->too_big)
		tcp_too_big(w->tcp, &pkt, w->now.mono_us);
	else
		net_neigh_learn(w->net, n->ip, &n->mac, w->now.mono_us);
}

unsigned worker_news_turn(struct worker *w)
{
	struct worker_news news;
	unsigned n = 0;

	for (unsigned i = 0; i < w->count; i++) {
		while (i != w->id && n < NEWS_A_TURN && worker_news_next(w, i, &news)) {
			news_take(w, &news);
			n++;
		}
	}
	return n;
}
