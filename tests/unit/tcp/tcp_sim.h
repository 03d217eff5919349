// SPDX-License-Identifier: BSD-3-Clause
// Two hosts, each with its own net and tcp, joined by a link that loses, repeats, reorders and
// delays by seed, in virtual time. A stream of each direction is checked byte for byte.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "../../any_cpu.h"
#include "../../nic_cut.h"
#include "../../nic_join.h"
#include "tcp/tcp_internal.h"

#define SIM_FRAMES 16383
#define SIM_MBUFS  8191

struct sim;

struct sim_frame {
	uint64_t at_us;
	struct rte_mbuf *m;
	struct rte_mbuf *held; // the sender's, until delivery: a device that frees late
	uint8_t to;
};

// What the test does with one side of a connection.
struct sim_app {
	struct tcp_conn *c;
	uint64_t to_send, sent, received;
	uint32_t read_max; // bytes a turn; 0: all
	uint32_t piece;    // largest mbuf to send; 0: random up to one MSS
	uint8_t salt;      // of the stream it sends; the peer's is salt ^ 1
	bool external;     // sends external mbufs
	bool fin_after;    // shuts down once all is sent
	bool fin_on_fin;   // shuts down when the peer has
	bool established, fin, closed, shut, paused;
};

struct sim_host {
	struct sim *sim;
	struct rte_mempool *pool;
	struct net *net;
	struct net_tx tx;
	struct tcp *tcp;
	struct base_ip ip;
	struct rte_ether_addr mac;
	uint8_t index;
	struct rte_mbuf *first; // what came last, still in the ring: segments may be joined to it
	struct sim_app *app;    // taken by the next connection that is accepted
	unsigned accepted, closed;
	bool discard; // many connections: read and drop, shut down on FIN
};

struct sim_options {
	uint64_t seed;
	double loss, dup, reorder; // 0..1
	uint32_t delay_us;
	uint32_t reorder_us; // at most so late; 0: four times delay_us
	bool ecn;
	bool hold;       // sent mbufs come back at delivery only
	bool multi_segs; // the devices take chains
	uint16_t tso;    // the devices cut frames of so many mbufs; 0: they do not
	bool lro;        // the devices join segments that come together
	bool ip6;
	uint32_t rcv_buf, snd_buf;
	uint64_t keepalive_us;
	uint32_t conns_max, syn_max;
	uint32_t offer; // options of both SYNs; 0: all
	uint32_t iss;   // 0: as they come
	bool (*drop)(struct sim *sim, const struct rte_mbuf *m, unsigned to); // true: this frame
};

struct sim {
	struct sim_options opt;
	struct mem_domain *mem;
	struct base_rng rng;
	uint64_t now_us;
	struct rte_mempool *link_pool;
	struct sim_host host[2];
	struct sim_frame *frame;
	unsigned frames;
	unsigned lost, lost_data, delivered, joined;
	void *user;
};

static inline int sim_eal(void **state)
{
	static char name[64];
	char *argv[] = {name, (char *)"--no-huge", (char *)"--no-pci", (char *)"--no-shconf",
		(char *)"-m", (char *)"256", (char *)"--no-telemetry", (char *)"--lcores",
		any_cpu(), (char *)"--iova-mode=va", (char *)"--log-level=lib.*:error",
		(char *)"--log-level=user1:error", NULL};

	snprintf(name, sizeof(name), "unit_tcp_%d", (int)getpid());
	return rte_eal_init(BASE_ARRAY_LEN(argv) - 1, argv) < 0;
}

static inline struct rte_mempool *sim_pool(const char *what, unsigned i, unsigned n)
{
	static unsigned serial;
	struct rte_mempool *p;
	char name[32];

	snprintf(name, sizeof(name), "%s%u_%u", what, i, serial++);
	p = rte_pktmbuf_pool_create(name, n, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(p);
	return p;
}

static inline bool sim_has_data(const struct rte_mbuf *m)
{
	bool ip6 = rte_pktmbuf_mtod(m, const uint8_t *)[12] == 0x86;
	uint32_t at = ip6 ? 54 : 34;
	const struct rte_tcp_hdr *th = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, at);

	return m->pkt_len > at + (th->data_off >> 4) * 4 || (th->tcp_flags & RTE_TCP_FIN_FLAG);
}

// One frame on the wire. *held, where the device frees late, goes with it.
static inline void sim_wire(struct sim_host *h, const struct rte_mbuf *m, struct rte_mbuf **held)
{
	struct sim *sim = h->sim;
	unsigned copies = 1, to = !h->index;

	if (base_rng_below(&sim->rng, 1000000) < sim->opt.loss * 1e6 ||
		(sim->opt.drop && sim->opt.drop(sim, m, to))) {
		sim->lost++;
		sim->lost_data += sim_has_data(m);
		copies = 0;
	} else if (base_rng_below(&sim->rng, 1000000) < sim->opt.dup * 1e6) {
		copies = 2;
	}
	for (unsigned k = 0; k < copies; k++) {
		struct sim_frame *f;

		assert_true(sim->frames < SIM_FRAMES);
		f = &sim->frame[sim->frames++];
		f->to = (uint8_t)to;
		f->m = rte_pktmbuf_copy(m, sim->link_pool, 0, UINT32_MAX);
		assert_non_null(f->m);
		f->m->ol_flags = 0;
		f->held = NULL;
		f->at_us = sim->now_us + sim->opt.delay_us;
		if (base_rng_below(&sim->rng, 1000000) < sim->opt.reorder * 1e6)
			f->at_us += base_rng_below(&sim->rng,
				(sim->opt.reorder_us ? sim->opt.reorder_us
						     : 4 * sim->opt.delay_us) +
					1);
		if (sim->opt.hold && k == copies - 1) {
			f->held = *held;
			*held = NULL;
		}
	}
}

static inline void sim_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct sim_host *h = arg;
	uint8_t frame[NIC_FRAME_MAX];
	uint32_t len;

	for (uint16_t i = 0; i < n; i++) {
		assert_true(m[i]->nb_segs <= RTE_MAX(h->sim->opt.tso, 8));
		for (unsigned k = 0; (len = nic_cut(m[i], k, frame)) > 0; k++) {
			struct rte_mbuf *one = rte_pktmbuf_alloc(h->sim->link_pool), *none = NULL;
			bool last = k + 1 == nic_cuts(m[i]);

			assert_non_null(one);
			memcpy(rte_pktmbuf_append(one, (uint16_t)len), frame, len);
			sim_wire(h, one, last ? &m[i] : &none);
			rte_pktmbuf_free(one);
			if (m[i] == NULL)
				break;
		}
		rte_pktmbuf_free(m[i]);
	}
}

static inline void sim_host_open(struct sim *sim, unsigned i)
{
	struct sim_host *h = &sim->host[i];
	const struct sim_options *o = &sim->opt;
	struct net_options no = {.mem = sim->mem, .tx = &h->tx, .mtu = 1500, .socket_id = -1};
	struct tcp_options to = {.mem = sim->mem, .time_wait_us = 10000000};

	h->sim = sim;
	h->index = (uint8_t)i;
	h->ip = base_ip4(rte_cpu_to_be_32(0x0a000001 + i));
	if (o->ip6)
		h->ip = (struct base_ip){.b = {[0] = 0xfd, [15] = (uint8_t)(1 + i)}};
	h->mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, (uint8_t)(1 + i)}};
	h->pool = sim_pool("host", i, SIM_MBUFS);
	h->tx = (struct net_tx){.flush = sim_tx, .arg = h};
	no.pool = to.pool = h->pool;
	no.mac = h->mac;
	no.own[0] = (struct net_own){h->ip, o->ip6 ? 64 : 24};
	no.owns = 1;
	no.seed = to.seed = o->seed * 2 + i;
	no.tx_offloads = o->multi_segs || o->tso ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0;
	if (o->tso)
		no.tx_offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	if (o->lro)
		no.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	to.tso_mbufs = o->tso;
	assert_int_equal(net_open(&h->net, &no), 0);
	to.net = h->net;
	to.rcv_buf_bytes = o->rcv_buf;
	to.snd_buf_bytes = o->snd_buf;
	to.keepalive_us = o->keepalive_us;
	to.conns_max = o->conns_max;
	to.syn_max = o->syn_max;
	to.ecn = o->ecn;
	assert_int_equal(tcp_open(&h->tcp, &to), 0);
	if (o->offer)
		h->tcp->offer = o->offer & (TCP_F_SACK | TCP_F_TS | TCP_F_WSCALE);
	if (o->iss) {
		h->tcp->iss_fixed = true;
		h->tcp->iss_next = o->iss + i * 12345;
	}
}

static inline struct sim *sim_open(const struct sim_options *opt)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	sim->opt = *opt;
	sim->frame = calloc(SIM_FRAMES, sizeof(sim->frame[0]));
	sim->now_us = 1000000;
	base_rng_seed(&sim->rng, opt->seed + 1);
	assert_int_equal(
		mem_domain_open(&sim->mem, &(struct mem_options){.name = "sim", .numa_node = -1}),
		0);
	sim->link_pool = sim_pool("link", 0, SIM_FRAMES);
	for (unsigned i = 0; i < 2; i++)
		sim_host_open(sim, i);
	for (unsigned i = 0; i < 2; i++)
		net_neigh_learn(
			sim->host[i].net, sim->host[!i].ip, &sim->host[!i].mac, sim->now_us);
	return sim;
}

// Closes both hosts and shows that every mbuf and every byte came back.
static inline void sim_close(struct sim *sim)
{
	for (unsigned i = 0; i < 2; i++) {
		tcp_close(sim->host[i].tcp);
		net_tx_flush(&sim->host[i].tx);
		net_close(sim->host[i].net);
	}
	for (unsigned i = 0; i < sim->frames; i++) {
		rte_pktmbuf_free(sim->frame[i].m);
		rte_pktmbuf_free(sim->frame[i].held);
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rte_mempool_in_use_count(sim->host[i].pool), 0);
		rte_mempool_free(sim->host[i].pool);
	}
	assert_int_equal(rte_mempool_in_use_count(sim->link_pool), 0);
	rte_mempool_free(sim->link_pool);
	assert_int_equal(mem_used_class(sim->mem, MEM_CONNS), 0);
	mem_domain_close(sim->mem);
	free(sim->frame);
	free(sim);
}

// ---- the streams ------------------------------------------------------------------------------
static inline uint8_t sim_byte(uint64_t pos, uint8_t salt)
{
	return (uint8_t)((pos * 2654435761u >> 11) ^ (pos >> 3) ^ salt);
}

static inline void sim_ext_free(void *addr, void *opaque)
{
	free(opaque);
}

static inline struct rte_mbuf *sim_payload(
	struct sim_host *h, struct sim_app *a, uint32_t len, bool external)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(h->pool);
	uint8_t *p;

	if (m == NULL)
		return NULL;
	if (external) {
		uint16_t size = (uint16_t)(len + sizeof(struct rte_mbuf_ext_shared_info) + 16);
		uint8_t *buf = malloc(size);
		struct rte_mbuf_ext_shared_info *info =
			rte_pktmbuf_ext_shinfo_init_helper(buf, &size, sim_ext_free, buf);

		rte_pktmbuf_attach_extbuf(m, buf, 0, size, info);
	}
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	assert_non_null(p);
	for (uint32_t i = 0; i < len; i++)
		p[i] = sim_byte(a->sent + i, a->salt);
	return m;
}

static inline void sim_app_send(struct sim_host *h, struct sim_app *a)
{
	if (a->c == NULL || a->closed || !a->established)
		return;
	while (a->sent < a->to_send && tcp_send_room(h->tcp, a->c) > 0 &&
		rte_mempool_avail_count(h->pool) > SIM_MBUFS / 4) {
		uint32_t max = a->piece ? a->piece : tcp_mss(a->c);
		uint32_t n = a->piece ? max : 1 + (uint32_t)base_rng_below(&h->sim->rng, max);
		struct rte_mbuf *m;

		n = RTE_MIN(n, (uint32_t)(a->to_send - a->sent));
		m = sim_payload(h, a, n, a->external);
		if (m == NULL)
			return;
		a->sent += n;
		tcp_send(h->tcp, a->c, m);
	}
	if (a->fin_after && a->sent == a->to_send && !a->shut) {
		a->shut = true;
		tcp_shutdown(h->tcp, a->c);
	}
}

static inline void sim_app_read(struct sim_host *h, struct sim_app *a)
{
	uint32_t left = tcp_rx_bytes(a->c), n = 0;
	struct rte_mbuf *m = tcp_rx_peek(a->c);

	if (a->paused)
		return;
	if (a->read_max && left > a->read_max)
		left = a->read_max;
	for (; m != NULL && n < left; m = m->next) {
		const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

		for (uint32_t i = 0; i < m->data_len && n < left; i++, n++) {
			if (p[i] != sim_byte(a->received + n, a->salt ^ 1))
				fail_msg("wrong byte at %lu", (unsigned long)(a->received + n));
		}
	}
	assert_int_equal(n, left);
	a->received += n;
	tcp_rx_consume(h->tcp, a->c, n);
}

static inline void sim_app_event(struct sim_host *h, struct tcp_conn *c, unsigned events)
{
	struct sim_app *a;

	if (events & TCP_EV_ACCEPTED) {
		h->accepted++;
		tcp_user_set(c, h->app);
		if (h->app != NULL) {
			h->app->c = c;
			h->app->established = true;
			h->app = NULL;
		}
	}
	a = tcp_user(c);
	if (a == NULL) {
		if (events & TCP_EV_READABLE)
			tcp_rx_consume(h->tcp, c, tcp_rx_bytes(c));
		if (events & TCP_EV_FIN)
			tcp_shutdown(h->tcp, c);
	} else {
		a->established |= !!(events & TCP_EV_ESTABLISHED);
		if (events & TCP_EV_READABLE)
			sim_app_read(h, a);
		a->fin |= !!(events & TCP_EV_FIN);
		if (a->fin && a->fin_on_fin && !a->fin_after)
			a->fin_after = true;
		sim_app_send(h, a);
	}
	if (events & TCP_EV_CLOSED) {
		h->closed++;
		if (a != NULL) {
			while (!a->paused && tcp_rx_bytes(c) > 0)
				sim_app_read(h, a);
			a->closed = true;
			a->c = NULL;
		}
		tcp_release(h->tcp, c);
	}
}

// ---- time -------------------------------------------------------------------------------------
// The host reads what it finds in the ring.
static inline void sim_input(struct sim_host *h)
{
	struct sim *sim = h->sim;
	struct rte_mbuf *m = h->first;
	struct net_packet pkt = {.reassembled = false};

	h->first = NULL;
	if (m != NULL)
		tcp_fetch(h->tcp, &m, 1);
	if (m != NULL && net_input(h->net, &m, sim->now_us, &pkt) == NET_TCP)
		tcp_input(h->tcp, m, &pkt, sim->now_us);
}

static inline void sim_deliver(struct sim *sim, struct sim_frame *f)
{
	struct sim_host *h = &sim->host[f->to];
	struct rte_mbuf *m = rte_pktmbuf_copy(f->m, h->pool, 0, UINT32_MAX);

	rte_pktmbuf_free(f->m);
	rte_pktmbuf_free(f->held);
	sim->delivered++;
	if (m == NULL)
		return; // a device without a descriptor to fill
	if (sim->opt.lro) {
		m->ol_flags |= NIC_CHECKED;
		if (h->first != NULL && nic_join(h->first, m)) {
			sim->joined++;
			return;
		}
	}
	sim_input(h);
	h->first = m;
	if (!sim->opt.lro)
		sim_input(h);
}

// Delivers what is due, in order of time; equal times keep their order.
static inline void sim_deliver_due(struct sim *sim)
{
	for (;;) {
		unsigned best = UINT32_MAX;
		struct sim_frame f;

		for (unsigned i = 0; i < sim->frames; i++) {
			if (sim->frame[i].at_us <= sim->now_us &&
				(best == UINT32_MAX ||
					sim->frame[i].at_us < sim->frame[best].at_us))
				best = i;
		}
		if (best == UINT32_MAX)
			break;
		f = sim->frame[best];
		sim->frames--;
		memmove(&sim->frame[best], &sim->frame[best + 1], (sim->frames - best) * sizeof(f));
		sim_deliver(sim, &f);
	}
	for (unsigned i = 0; i < 2; i++)
		sim_input(&sim->host[i]);
}

static inline void sim_host_turn(struct sim_host *h)
{
	struct sim *sim = h->sim;
	struct tcp_conn *c;
	unsigned events;

	while ((c = tcp_event_next(h->tcp, &events)) != NULL)
		sim_app_event(h, c, events);
	tcp_timers(h->tcp, sim->now_us);
	net_timers(h->net, sim->now_us);
	while ((c = tcp_event_next(h->tcp, &events)) != NULL)
		sim_app_event(h, c, events);
	tcp_flush(h->tcp, sim->now_us);
	net_tx_flush(&h->tx);
}

// One turn of both hosts, then on to the next event, at most `max_us` from now.
static inline void sim_step(struct sim *sim, uint64_t max_us)
{
	uint64_t next = sim->now_us + max_us;

	sim_deliver_due(sim);
	for (unsigned i = 0; i < 2; i++)
		sim_host_turn(&sim->host[i]);
	for (unsigned i = 0; i < 2; i++)
		next = base_min_u64(
			next, base_max_u64(tcp_deadline(sim->host[i].tcp), sim->now_us + 1));
	for (unsigned i = 0; i < sim->frames; i++)
		next = base_min_u64(next, base_max_u64(sim->frame[i].at_us, sim->now_us));
	sim->now_us = next;
}

static inline void sim_run_us(struct sim *sim, uint64_t us)
{
	uint64_t end = sim->now_us + us;

	while (sim->now_us < end)
		sim_step(sim, end - sim->now_us);
	sim_step(sim, 0);
}

// A connection from host 0 to host 1, with an app at both ends.
static inline void sim_connect(struct sim *sim, struct sim_app *client, struct sim_app *server)
{
	struct sim_host *h = sim->host;

	client->salt = 0x40;
	server->salt = 0x41;
	if (!tcp_listening(h[1].tcp, rte_cpu_to_be_16(11211)))
		assert_int_equal(tcp_listen(h[1].tcp, 11211), 0);
	h[1].app = server;
	client->c = tcp_connect(h[0].tcp, &h[1].ip, 11211, TCP_LOCAL_ANY, 0, sim->now_us);
	assert_non_null(client->c);
	tcp_user_set(client->c, client);
}

static inline bool sim_app_done(const struct sim_app *a, const struct sim_app *peer)
{
	return a->received == peer->to_send;
}
