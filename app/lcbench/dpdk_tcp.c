// SPDX-License-Identifier: BSD-3-Clause
// TCP over our own stack.
#include <errno.h>

#include "dpdk.h"
#include "dpdk_prepared.h"

#define CONNECTING_MAX 128 // half-open connections at once

static void client_send(struct dpdk *d, struct bench_client *c)
{
	struct tcp_conn *conn = c->conn;
	struct dpdk_writer w = {.pool = d->queue->pool};
	struct bench_request r;
	uint32_t room;

	if (c->dead || c->leaving || conn == NULL)
		return;
	w.mss = tcp_mss(conn);
	room = tcp_send_room(d->tcp, conn);
	while ((w.head ? w.head->pkt_len : 0) < room && bench_client_next(d->b, c, &r)) {
		dpdk_writer_put(&w, r.head, r.head_len);
		if (r.set) {
			dpdk_writer_put(&w, r.value, r.value_len);
			dpdk_writer_put(&w, r.end, r.end_len);
		}
	}
	if (w.failed)
		bench_fail(d->b, "out of packet buffers");
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
	if (d->prepared)
		prepared_add(d->prepared, c);
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
