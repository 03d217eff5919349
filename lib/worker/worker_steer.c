// SPDX-License-Identifier: BSD-3-Clause
// Frames between workers: foreign flows to their owner, output to the worker that has a queue,
// news to everybody.

#include "worker/worker_internal.h"

#define STEER_BATCH 64
#define TX_TRIES    64 // polls of a full device queue before the rest is dropped
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

static void tx_device(struct worker *w, struct rte_mbuf **m, uint16_t count)
{
	uint16_t done = 0;

	if (base_unlikely(w->orders.capture != NULL))
		capture_burst(w->orders.capture, m, count, CAPTURE_OUT, w->now.mono_us);
	for (unsigned tries = 0; done < count && tries < TX_TRIES; tries++)
		done = (uint16_t)(done + port_tx(w->queue, m + done, (uint16_t)(count - done)));
	w->n.tx_packets += done;
	w->n.tx_dropped += count - done;
	for (; done < count; done++)
		rte_pktmbuf_free(m[done]);
}

void worker_tx_flush(void *arg, struct rte_mbuf **m, uint16_t count)
{
	struct worker *w = arg;
	struct worker_ring *r;

	if (w->queue->has_tx) {
		tx_device(w, m, count);
		return;
	}
	r = w->peer[w->tx_owner].tx_send;
	for (uint16_t i = 0; i < count; i++) {
		if (worker_ring_push(r, m[i])) {
			w->n.tx_packets++;
		} else {
			w->n.tx_dropped++;
			rte_pktmbuf_free(m[i]);
		}
	}
	worker_ring_publish(r);
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
		tx_device(w, m, n);
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
