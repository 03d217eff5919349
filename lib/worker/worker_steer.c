// SPDX-License-Identifier: BSD-3-Clause
// Frames between workers: foreign flows to their owner, output of those without a queue, news to
// everybody.

#include "worker/worker_udp.h"

#define STEER_BATCH   64
#define FRAMES_A_TURN 64 // of a peer
#define FRAME_LINES   3
#define NEWS_A_TURN   16

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

// The lines of a buffer that another core has written: its head, and a short request where it lies
// when the device has put it there. Most will be written here.
static inline void frame_fetch(const struct worker *w, struct rte_mbuf *m)
{
	const char *head = (const char *)m, *data = rte_mbuf_buf_addr(m, w->queue->pool);

	base_prefetch_write(head);
	base_prefetch(head + BASE_CACHE_LINE); // where it ends, for who frees it
	for (unsigned i = 0; i < FRAME_LINES; i++)
		base_prefetch_write(data + RTE_PKTMBUF_HEADROOM + i * BASE_CACHE_LINE);
}

// All of a batch are fetched before the first of them is looked at.
static unsigned frames_batch(struct worker *w, struct worker_ring *from)
{
	void *frame[WORKER_BURST], *next;
	unsigned n = 0;

	while (n < WORKER_BURST && (frame[n] = worker_ring_pop(from)) != NULL)
		n++;
	for (unsigned i = 0; i < WORKER_BURST && (next = worker_ring_peek(from, i)) != NULL; i++)
		frame_fetch(w, worker_frame_bare(next));
	for (unsigned i = 0; i < n; i++) {
		if (worker_frame_marked(frame[i]))
			worker_quick_passed(w, worker_frame_bare(frame[i]));
		else
			worker_frame_input(w, frame[i]);
	}
	worker_quick_run(w);
	return n;
}

static unsigned steer_peer_turn(struct worker *w, struct worker_peer *p)
{
	struct rte_mbuf *m[STEER_BATCH];
	unsigned frames = 0, more;
	uint16_t n = 0;

	do {
		more = frames_batch(w, p->frames_recv);
		frames += more;
	} while (more == WORKER_BURST && frames < FRAMES_A_TURN);
	worker_ring_retire(p->frames_recv);
	while (n < STEER_BATCH && (m[n] = worker_ring_pop(p->tx_recv)) != NULL)
		n++;
	worker_ring_retire(p->tx_recv);
	if (n > 0)
		worker_tx_device(w, m, n);
	return frames + n;
}

void worker_steer_fetch(struct worker *w)
{
	void *frame;

	for (unsigned i = 0; i < w->count; i++) {
		if (i == w->id)
			continue;
		for (unsigned k = 0; k < WORKER_BURST &&
			(frame = worker_ring_peek(w->peer[i].frames_recv, k)) != NULL;
			k++)
			frame_fetch(w, worker_frame_bare(frame));
	}
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
	void *frame;

	for (unsigned i = 0; i < w->count; i++) {
		if (i == w->id)
			continue;
		while ((frame = worker_ring_pop(w->peer[i].frames_recv)) != NULL)
			rte_pktmbuf_free(worker_frame_bare(frame));
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
