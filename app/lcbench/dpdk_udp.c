// SPDX-License-Identifier: BSD-3-Clause
// UDP over our own stack: connection i is source port DPDK_UDP_PORT + i.
#include <string.h>

#include "dpdk.h"

static void request_output(struct dpdk *d, struct bench_client *c, const struct bench_request *r)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(d->queue->pool);

	if (m == NULL) {
		bench_fail(d->b, "out of packet buffers");
		return;
	}
	base_assert(rte_pktmbuf_tailroom(m) >= BENCH_UDP_MAX + 8);
	m->data_len = (uint16_t)bench_udp_write(d->b, c, r, rte_pktmbuf_mtod(m, char *));
	m->pkt_len = m->data_len;
	net_udp_output(d->net, m, &d->path, (uint16_t)(DPDK_UDP_PORT + c->conn_index),
		(uint16_t)(d->b->o->port + r->shard), dpdk_now_us(d));
}

static void client_send(struct dpdk *d, struct bench_client *c)
{
	struct bench_request r;

	if (bench_client_next(d->b, c, &r))
		request_output(d, c, &r);
}

static void client_resend(void *arg, struct bench_client *c)
{
	struct dpdk *d = arg;
	struct bench_request r;

	bench_client_again(d->b, c, &r);
	request_output(d, c, &r);
}

static void client_next(void *arg, struct bench_client *c)
{
	client_send(arg, c);
}

void dpdk_udp_input(struct dpdk *d, struct rte_mbuf *m, const struct net_packet *pkt)
{
	char together[UINT16_MAX];
	const char *data;
	struct bench_client *c;

	if (!base_ip_same(&pkt->src, &d->b->o->server) || pkt->src_port < d->b->o->port ||
		pkt->src_port - d->b->o->port >= (int)d->b->o->shard_ports)
		return;
	data = rte_pktmbuf_read(m, pkt->data_off, pkt->data_len, together);
	c = bench_udp_feed(d->b, (unsigned)pkt->dst_port - DPDK_UDP_PORT, data, pkt->data_len);
	if (c != NULL)
		client_send(d, c);
}

void dpdk_udp_turn(struct dpdk *d)
{
	struct bench *b = d->b;
	unsigned left = RTE_MIN(BENCH_KICK, b->clients);
	struct bench_client *c;

	while ((c = bench_kick_next(b, &left)) != NULL)
		client_send(d, c);
	bench_udp_timeouts(b, &d->look_ns, client_resend, client_next, d);
}
