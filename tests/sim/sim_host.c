// SPDX-License-Identifier: BSD-3-Clause
// The clients' hosts: our own net and tcp once more, in instances of their own.

#include "sim.h"

static void host_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct sim_host *h = arg;
	uint8_t data[SIM_FRAME_BYTES];

	for (uint16_t i = 0; i < n; i++) {
		uint16_t len = (uint16_t)m[i]->pkt_len;
		const uint8_t *p;

		base_assert(len <= sizeof(data));
		p = rte_pktmbuf_read(m[i], 0, len, data);
		sim_link_send(h->sim, h->id + 1, p, len);
		rte_pktmbuf_free(m[i]);
	}
}

static void host_open(struct sim *s, unsigned i)
{
	static const uint32_t buffers[] = {4096, 16384, 65536, 262144};
	struct sim_host *h = &s->host[i];
	struct base_rng rng;
	struct net_options no = {.mem = s->mem, .tx = &h->tx, .owns = 1, .socket_id = -1};
	struct tcp_options to = {.mem = s->mem,
		.conns_max = 1024,
		.rto_min_us = 200000,
		.delack_us = 40000,
		.time_wait_us = 1000000,
		.keepalive_us = 60000000, // what else tells a client that waits of a lost RST?
		.syn_max = 128};
	int rc;

	base_rng_seed(&rng, s->cfg.seed * 4 + i);
	h->sim = s;
	h->id = i;
	h->pool = s->pools->host[i];
	h->ip = rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 10 + i));
	h->mac = (struct rte_ether_addr){{2, 0, 0, 0, 1, (uint8_t)i}};
	h->tx = (struct net_tx){.flush = host_tx, .arg = h};
	no.pool = to.pool = h->pool;
	no.mac = h->mac;
	no.own[0] = (struct net_own){base_ip4(h->ip), 24};
	no.mtu = sim_pick(&rng, 4) == 0 ? 576 : s->cfg.mtu;
	no.seed = to.seed = base_rng_next(&rng);
	no.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	to.rcv_buf_bytes = buffers[sim_pick(&rng, BASE_ARRAY_LEN(buffers))];
	to.snd_buf_bytes = buffers[sim_pick(&rng, BASE_ARRAY_LEN(buffers))];
	rc = net_open(&h->net, &no);
	to.net = h->net;
	if (rc == 0)
		rc = tcp_open(&h->tcp, &to);
	if (rc < 0)
		sim_fail(s, "host %u does not start: %d", i, rc);
}

void sim_hosts_open(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.hosts; i++)
		host_open(s, i);
}

void sim_hosts_close(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.hosts; i++) {
		struct sim_host *h = &s->host[i];

		tcp_close(h->tcp);
		net_close(h->net);
		for (uint16_t k = 0; k < h->tx.count; k++)
			rte_pktmbuf_free(h->tx.m[k]);
	}
}

void sim_host_deliver(struct sim *s, const struct sim_frame *f)
{
	struct sim_host *h = &s->host[f->to - 1];
	struct rte_mbuf *m = rte_pktmbuf_alloc(h->pool);
	struct net_packet pkt;

	if (m == NULL) {
		sim_trace(s, SIM_MISSED, f->to, f->data, f->len);
		return;
	}
	sim_trace(s, f->forged ? SIM_FORGED : SIM_DELIVERED, f->to, f->data, f->len);
	if (!f->forged)
		sim_watch_delivered(s, f->to, f->data, f->len);
	memcpy(rte_pktmbuf_append(m, f->len), f->data, f->len);
	switch (net_input(h->net, &m, s->now.mono_us, &pkt)) {
	case NET_TCP:
		tcp_input(h->tcp, m, &pkt, s->now.mono_us);
		break;
	case NET_UDP:
		sim_dgram_input(s, h, m, &pkt);
		break;
	case NET_TOO_BIG:
	case NET_NEIGH:
	case NET_DONE:
		break;
	}
}

static void host_events(struct sim_host *h)
{
	struct tcp_conn *t;
	unsigned events;

	while ((t = tcp_event_next(h->tcp, &events)) != NULL) {
		struct sim_client *c = tcp_user(t);

		if (c != NULL)
			sim_client_event(c, events);
		if (events & TCP_EV_CLOSED)
			tcp_release(h->tcp, t);
	}
}

void sim_hosts_turn(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.hosts; i++)
		host_events(&s->host[i]);
	sim_clients_turn(s);
	sim_dgrams_turn(s);
	for (unsigned i = 0; i < s->cfg.hosts; i++) {
		struct sim_host *h = &s->host[i];

		tcp_timers(h->tcp, s->now.mono_us);
		h->net_deadline_us = net_timers(h->net, s->now.mono_us);
		host_events(h);
		tcp_flush(h->tcp, s->now.mono_us);
		net_tx_flush(&h->tx);
	}
}

uint64_t sim_hosts_next_us(const struct sim *s)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < s->cfg.hosts; i++) {
		next = base_min_u64(next, tcp_deadline(s->host[i].tcp));
		next = base_min_u64(next, s->host[i].net_deadline_us);
	}
	return next;
}
