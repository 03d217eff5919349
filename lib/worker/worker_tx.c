// SPDX-License-Identifier: BSD-3-Clause
// Output: to the device's queue, or over a ring to the worker that has one. What the device has no
// room for waits here in order and is offered anew each turn: dropped, it would cost its connection
// a loss probe or a timeout.

#include "worker/worker_internal.h"

#define TX_TRIES 2 // offers in a row: a driver may take back what it has sent in the first

static uint16_t tx_offer(struct worker *w, struct rte_mbuf **m, uint16_t count)
{
	uint16_t done = 0;

	for (unsigned tries = 0; done < count && tries < TX_TRIES; tries++)
		done = (uint16_t)(done + port_tx(w->queue, m + done, (uint16_t)(count - done)));
	w->n.tx_packets += done;
	return done;
}

static bool tx_waits(const struct worker *w)
{
	return w->tx_wait.head != w->tx_wait.tail;
}

static void tx_keep(struct worker *w, struct rte_mbuf *m)
{
	struct worker_tx_wait *t = &w->tx_wait;

	if (t->head - t->tail < WORKER_TX_WAIT) {
		t->m[t->head++ % WORKER_TX_WAIT] = m;
		w->n.tx_waited++;
	} else {
		w->n.tx_dropped++;
		rte_pktmbuf_free(m);
	}
}

void worker_tx_device(struct worker *w, struct rte_mbuf **m, uint16_t count)
{
	uint16_t done = 0;

	if (base_unlikely(w->orders.capture != NULL))
		capture_burst(w->orders.capture, m, count, CAPTURE_OUT, worker_capture_us(w));
	if (base_likely(!tx_waits(w)))
		done = tx_offer(w, m, count);
	for (; base_unlikely(done < count); done++)
		tx_keep(w, m[done]);
}

void worker_tx_flush(void *arg, struct rte_mbuf **m, uint16_t count)
{
	struct worker *w = arg;
	struct worker_ring *r;

	if (w->queue->has_tx) {
		worker_tx_device(w, m, count);
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

unsigned worker_tx_turn(struct worker *w)
{
	struct worker_tx_wait *t = &w->tx_wait;
	unsigned sent = 0;

	while (tx_waits(w)) {
		uint32_t at = t->tail % WORKER_TX_WAIT;
		uint32_t n = RTE_MIN(t->head - t->tail, WORKER_TX_WAIT - at);
		uint16_t done;

		n = RTE_MIN(n, (uint32_t)NET_TX_BATCH);
		done = tx_offer(w, &t->m[at], (uint16_t)n);
		t->tail += done;
		sent += done;
		if (done < n)
			break;
	}
	return sent;
}

void worker_tx_close(struct worker *w)
{
	struct worker_tx_wait *t = &w->tx_wait;

	worker_tx_turn(w);
	for (; tx_waits(w); t->tail++) {
		rte_pktmbuf_free(t->m[t->tail % WORKER_TX_WAIT]);
		w->n.tx_dropped++;
	}
}
