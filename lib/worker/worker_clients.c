// SPDX-License-Identifier: BSD-3-Clause
// What clients hold: bytes received and not yet executed, replies not yet acknowledged, values
// pinned for them. The largest client is dropped when all together pass their limit
// (maxmemory-clients), or when they leave too little of what all share for a while.

#include "worker/worker_udp.h"

#define LOOK_US    1000         // between looks,
#define LOOK_CONNS 256          // at so many connections each
#define SCARCE_US  (500 * 1000) // of packet buffers or slots, before somebody is dropped

static uint64_t conn_bytes(const struct worker_conn *c)
{
	return (uint64_t)tcp_rx_bytes(c->tcp) + tcp_send_pending(c->tcp) + c->sink.pinned_bytes;
}

void worker_clients_forget(struct worker *w, const struct worker_conn *c)
{
	if (w->clients.largest == c)
		w->clients.largest = NULL;
}

static bool clients_scarce(struct worker *w)
{
	struct worker_clients *k = &w->clients;

	if (!tcp_scarce(w->tcp) && w->slots_out < WORKER_SLOTS) {
		k->scarce_us = 0;
		return false;
	}
	if (k->scarce_us == 0)
		k->scarce_us = w->now.mono_us;
	return w->now.mono_us - k->scarce_us >= SCARCE_US;
}

static void largest_drop(struct worker *w, struct worker_conn *c)
{
	struct tcp_conn *t = c->tcp;

	w->n.evicted_clients++;
	flight_event(w->flight, FLIGHT_CONN_EVICTED, 0, worker_conn_mark(c),
		tcp_rx_bytes(c->tcp) + tcp_send_pending(c->tcp));
	worker_conn_close(w, c);
	tcp_abort(w->tcp, t);
}

// All have been looked at.
static void pass_end(struct worker *w)
{
	struct worker_clients *k = &w->clients;
	uint64_t limit = w->orders.clients_bytes_max;
	bool scarce = clients_scarce(w);

	w->n.clients_bytes = k->bytes;
	if (k->largest != NULL && (scarce || (limit != 0 && k->bytes > limit)))
		largest_drop(w, k->largest);
	k->left = (uint32_t)w->n.conns;
	k->bytes = k->largest_bytes = 0;
	k->largest = NULL;
}

void worker_clients_turn(struct worker *w)
{
	struct worker_clients *k = &w->clients;

	if (w->now.mono_us - k->look_us < LOOK_US)
		return;
	k->look_us = w->now.mono_us;
	for (unsigned i = 0; i < LOOK_CONNS && k->left > 0; i++, k->left--) {
		struct worker_conn *c;
		uint64_t bytes;

		if (base_list_empty(&w->conns))
			break;
		c = base_container_of(base_list_pop(&w->conns), struct worker_conn, node);
		base_list_append(&w->conns, &c->node);
		if (!worker_access_check(w, c))
			continue;
		bytes = conn_bytes(c);
		k->bytes += bytes;
		if (bytes > k->largest_bytes) {
			k->largest_bytes = bytes;
			k->largest = c;
		}
	}
	if (k->left == 0 || base_list_empty(&w->conns))
		pass_end(w);
}
