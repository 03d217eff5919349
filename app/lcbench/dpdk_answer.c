// SPDX-License-Identifier: BSD-3-Clause
// --answer: the other end of the link, without a store. What lcbench gets from it is its own
// ceiling over this link. Polls until SIGTERM.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "constant.h"
#include "dpdk.h"

#define UDP_FRAME 8

struct answerer {
	struct dpdk *d;
	struct constant constant;
	struct base_list conns;
	uint64_t lost; // answers that found no packet buffer: their connections were reset
};

struct answer_conn {
	struct base_list node; // of the answerer's
	struct constant_conn in;
};

struct datagram { // an answer that is written over its request
	char *text;
	size_t len, room;
};

static void datagram_put(void *arg, const char *bytes, size_t len)
{
	struct datagram *o = arg;

	if (len <= o->room - o->len)
		memcpy(o->text + o->len, bytes, len);
	o->len += RTE_MIN(len, o->room - o->len);
}

// True: m was a request, and is its answer now.
static bool datagram_answer(struct answerer *a, struct rte_mbuf *m)
{
	char request[BENCH_UDP_MAX], *data = rte_pktmbuf_mtod_offset(m, char *, NET_PLAIN_HEAD);
	uint16_t room = net_plain_input(a->d->net, m, rte_cpu_to_be_16(a->d->b->o->port));
	struct datagram out = {.text = data + UDP_FRAME};
	struct constant_conn conn = {0};
	uint16_t len;

	if (room < UDP_FRAME)
		return false;
	out.room = room - UDP_FRAME;
	len = net_plain_bytes(m);
	if (len <= UDP_FRAME || len - UDP_FRAME > (int)sizeof(request))
		return false;
	memcpy(request, out.text, len - UDP_FRAME);
	if (!constant_feed(&a->constant, &conn, request, len - UDP_FRAME, datagram_put, &out)) {
		constant_conn_close(&conn);
		return false;
	}
	constant_conn_close(&conn);
	net_plain_reply(a->d->net, m, (uint16_t)(UDP_FRAME + out.len));
	return true;
}

static void stream_put(void *arg, const char *bytes, size_t len)
{
	dpdk_writer_put(arg, bytes, len);
}

static void stream_answer(struct answerer *a, struct tcp_conn *conn, struct answer_conn *c)
{
	struct dpdk *d = a->d;
	struct dpdk_writer w = {.pool = d->queue->pool, .mss = tcp_mss(conn)};
	bool good = true;
	uint32_t n = 0;

	if (tcp_send_room(d->tcp, conn) == 0)
		return; // TCP_EV_WRITABLE comes
	for (struct rte_mbuf *m = tcp_rx_peek(conn); m && good; m = m->next) {
		n += m->data_len;
		good = constant_feed(&a->constant, &c->in, rte_pktmbuf_mtod(m, const char *),
			m->data_len, stream_put, &w);
	}
	if (n)
		tcp_rx_consume(d->tcp, conn, n);
	if (good && !w.failed) {
		if (w.head)
			tcp_send(d->tcp, conn, w.head);
		return;
	}
	a->lost += w.failed;
	rte_pktmbuf_free(w.head);
	tcp_abort(d->tcp, conn);
}

static struct answer_conn *conn_open(struct answerer *a)
{
	struct answer_conn *c = calloc(1, sizeof(*c));

	if (c)
		base_list_append(&a->conns, &c->node);
	return c;
}

static void conn_close(struct answer_conn *c)
{
	base_list_remove(&c->node);
	constant_conn_close(&c->in);
	free(c);
}

static void conn_event(struct answerer *a, struct tcp_conn *conn, unsigned events)
{
	struct answer_conn *c = tcp_user(conn);

	if (events & TCP_EV_ACCEPTED) {
		c = conn_open(a);
		tcp_user_set(conn, c);
		if (c == NULL)
			tcp_abort(a->d->tcp, conn);
	}
	if (events & TCP_EV_CLOSED) {
		if (c)
			conn_close(c);
		tcp_release(a->d->tcp, conn);
		return;
	}
	if (events & (TCP_EV_READABLE | TCP_EV_WRITABLE) && c)
		stream_answer(a, conn, c);
	if (events & TCP_EV_FIN)
		tcp_shutdown(a->d->tcp, conn);
}

static void answer_turn(struct answerer *a)
{
	struct dpdk *d = a->d;
	struct rte_mbuf *m[DPDK_BURST];
	struct tcp_conn *conn;
	unsigned events;
	uint16_t n = dpdk_rx(d, m);

	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (uint16_t i = 0; i < n; i++)
		if (!datagram_answer(a, m[i]))
			dpdk_frame_input(d, m[i]);
	net_timers(d->net, dpdk_now_us(d));
	while ((conn = tcp_event_next(d->tcp, &events)) != NULL)
		conn_event(a, conn, events);
	tcp_timers(d->tcp, dpdk_now_us(d));
	tcp_flush(d->tcp, dpdk_now_us(d));
	net_tx_flush(&d->tx);
}

int dpdk_answer_run(struct dpdk *d)
{
	const struct bench_options *o = d->b->o;
	struct answerer a = {.d = d};
	int rc;

	base_list_init(&a.conns);
	rc = constant_open(&a.constant, o->commands, o->value_sizes.max);

	if (!rc)
		rc = tcp_listen(d->tcp, o->port);
	if (!rc)
		net_announce(d->net, dpdk_now_us(d));
	while (!rc && !bench_stop) {
		d->b->now_ns = bench_now_ns();
		answer_turn(&a);
	}
	if (a.lost)
		fprintf(stderr, "lcbench: %lu answers found no packet buffer\n",
			(unsigned long)a.lost);
	base_list_for_each_safe (node, next, &a.conns)
		conn_close(base_container_of(node, struct answer_conn, node));
	constant_close(&a.constant);
	return rc;
}
