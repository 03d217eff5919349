// SPDX-License-Identifier: BSD-3-Clause
// TCP over our own stack.
#include <errno.h>

#include "dpdk.h"

#define CONNECTING_MAX 128 // half-open connections at once

// Requests written one behind the other into mbufs of at most a segment each.
struct writer {
	struct dpdk *d;
	struct rte_mbuf *head, *tail;
	uint16_t mss, room; // of the tail
};

static bool writer_grow(struct writer *w)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->d->queue->pool);

	if (m == NULL) {
		bench_fail(w->d->b, "out of packet buffers");
		return false;
	}
	w->room = RTE_MIN(w->mss, rte_pktmbuf_tailroom(m));
	if (w->head == NULL) {
		w->head = m;
	} else {
		w->tail->next = m;
		w->head->nb_segs++;
	}
	w->tail = m;
	return true;
}

static void writer_put(struct writer *w, const char *bytes, size_t len)
{
	while (len) {
		uint16_t n;

		if (w->room == 0 && !writer_grow(w))
			return;
		n = (uint16_t)RTE_MIN(len, (size_t)w->room);
		memcpy(rte_pktmbuf_mtod_offset(w->tail, char *, w->tail->data_len), bytes, n);
		w->tail->data_len += n;
		w->head->pkt_len += n;
		w->room -= n;
		bytes += n;
		len -= n;
	}
}

static void client_send(struct dpdk *d, struct bench_client *c)
{
	struct tcp_conn *conn = c->conn;
	struct writer w = {.d = d};
	struct bench_request r;
	uint32_t room;

	if (c->dead || c->leaving || conn == NULL)
		return;
	w.mss = tcp_mss(conn);
	room = tcp_send_room(d->tcp, conn);
	while ((w.head ? w.head->pkt_len : 0) < room && bench_client_next(d->b, c, &r)) {
		writer_put(&w, r.head, r.head_len);
		if (r.set) {
			writer_put(&w, r.value, r.value_len);
			writer_put(&w, "\r\n", 2);
		}
	}
	if (w.head)
		tcp_send(d->tcp, conn, w.head);
}

static void client_read(struct dpdk *d, struct bench_client *c)
{
	uint32_t n = 0;

	for (struct rte_mbuf *m = tcp_rx_peek(c->conn); m && !c->dead; m = m->next) {
		n += m->data_len;
		if (!bench_client_feed(d->b, c, rte_pktmbuf_mtod(m, const char *), m->data_len))
			tcp_abort(d->tcp, c->conn);
	}
	if (n && !c->dead)
		tcp_rx_consume(d->tcp, c->conn, n);
}

static bool client_connect(struct dpdk *d, struct bench_client *c)
{
	const struct bench_options *o = d->b->o;
	unsigned local = d->next_source++ % o->sources;

	c->conn = tcp_connect(d->tcp, &o->server, o->port, o->sources > 1 ? local : TCP_LOCAL_ANY,
		0, dpdk_now_us(d));
	if (c->conn == NULL)
		return false;
	tcp_user_set(c->conn, c);
	d->connecting++;
	return true;
}

static void client_event(
	struct dpdk *d, struct tcp_conn *conn, struct bench_client *c, unsigned events)
{
	if (events & TCP_EV_ESTABLISHED) {
		d->connecting--;
		d->connected++;
		if (c->leaving)
			d->b->n.opens++;
		c->leaving = false;
	}
	if (events & TCP_EV_READABLE)
		client_read(d, c);
	if (events & TCP_EV_FIN && !c->dead && !c->leaving) {
		bench_client_lose(d->b, c, "closed by the server");
		tcp_abort(d->tcp, conn);
	}
	if (events & TCP_EV_CLOSED) {
		if (!c->leaving)
			bench_client_lose(d->b, c, "reset or timed out");
		c->conn = NULL;
		tcp_release(d->tcp, conn);
		if (c->leaving && !client_connect(d, c))
			bench_fail(d->b, "no address and port is left to connect from");
		return;
	}
	if (events & TCP_EV_READABLE && bench_client_done(d->b, c) && !c->leaving) {
		c->leaving = true;
		tcp_shutdown(d->tcp, conn);
	}
	if (events & (TCP_EV_READABLE | TCP_EV_WRITABLE | TCP_EV_ESTABLISHED))
		client_send(d, c);
}

void dpdk_tcp_turn(struct dpdk *d)
{
	struct bench *b = d->b;
	struct bench_client *c;
	struct tcp_conn *conn;
	unsigned events, left = RTE_MIN(BENCH_KICK, b->clients);

	while ((conn = tcp_event_next(d->tcp, &events)) != NULL)
		client_event(d, conn, tcp_user(conn), events);
	while ((c = bench_kick_next(b, &left)) != NULL)
		client_send(d, c);
}

int dpdk_tcp_connect(struct dpdk *d)
{
	struct bench *b = d->b;
	uint64_t limit_s = DPDK_CONNECT_S + b->clients / DPDK_CONNECT_PER_S;
	uint64_t end_ns = bench_now_ns() + limit_s * UINT64_C(1000000000);
	unsigned next = 0;

	b->phase = BENCH_CONNECT;
	while (d->connected < b->clients) {
		b->now_ns = bench_now_ns();
		if (b->dead)
			return -ECONNREFUSED;
		if (b->now_ns > end_ns || bench_stop)
			return -ETIMEDOUT;
		while (next < b->clients && d->connecting < CONNECTING_MAX) {
			if (!client_connect(d, &b->client[next]))
				return -ENOBUFS;
			next++;
		}
		dpdk_turn(d);
	}
	return 0;
}
