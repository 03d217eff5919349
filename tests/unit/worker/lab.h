// SPDX-License-Identifier: BSD-3-Clause
// A laboratory: whole workers in one thread with virtual time, and clients with a stack of our own
// on the other end of wires in memory. Workers may be paused, allocations failed, wires cut; at
// the end everything must be home.
//
//	lab_open(&(struct lab_options){.workers = 3});
//	struct client *c = client_connect();
//	talk(c, "get a\r\n", "END\r\n");
//	lab_close();
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>

#include "../../any_cpu.h"
#include "worker/worker_admin.h"

#define LAB_WORKERS     4
#define LAB_WIRE        8192
#define LAB_STEP_US     20
#define LAB_TX_RING     512
#define LAB_POOL_MBUFS  8191
#define LAB_CLIENT_POOL 16383
#define LAB_WALL_S      1700000000
#define LAB_CLIENT_IP   rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 1))
#define LAB_SERVER_IP   rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 2))

struct wire { // frames on their way to one receiver
	struct rte_mbuf *m[LAB_WIRE];
	unsigned head, tail;
	struct rte_mempool *pool;           // copies are made from it, as a NIC would
	unsigned lost;                      // for want of a buffer or of room
	struct rte_mbuf *sent[LAB_TX_RING]; // the other way: sent, not yet given back
	unsigned sent_at;
};

struct client { // one connection
	struct base_list node;
	struct tcp_conn *tcp; // NULL once closed
	char *in, *out;       // received; to be sent
	size_t in_len, in_room, out_at, out_len, out_room;
	bool established, fin, closed, stop_reading, finish;
};

struct lab_options {             // 0: the default behind it
	unsigned workers;        // 1
	unsigned queues;         // as many
	enum port_spread spread; // by the device
	unsigned credits;        // 64
	unsigned conns_max;      // 1,000 over all workers
	unsigned pool_mbufs;     // LAB_POOL_MBUFS a worker
	uint16_t room;           // an mbuf's: 2,176
	uint16_t host_room;      // of the clients' mbufs: 2,176
	uint16_t mtu;            // 1,500
	uint64_t limit_bytes;    // 64 MiB in all
	uint64_t item_bytes_max; // 2 MiB
	unsigned keepalive_s;    // of the server's connections; none
	bool lends;              // the test answers loans; else each is refused
	unsigned piece_max;      // the most that one TCP segment of a client holds: its MSS
};

struct lab {
	struct lab_options opt;
	unsigned workers;
	struct worker_group *group;
	struct worker *w[LAB_WORKERS];
	struct mem_domain *mem[LAB_WORKERS];
	struct worker_orders orders;
	struct port port;
	struct port_config net;
	struct worker_settings settings;
	struct wire in[LAB_WORKERS];  // to each queue
	unsigned paused[LAB_WORKERS]; // turns that a worker misses from now on
	// the clients' host
	struct net_tx host_tx;
	struct net *host_net;
	struct tcp *host_tcp;
	struct mem_domain *host_mem;
	struct wire host_in;
	struct base_list clients;
	bool host_paused;
	bool tx_keeps;
	bool tx_slow; // the device takes tx_room frames a turn
	unsigned tx_room;
	unsigned tx_left;   // of this turn
	unsigned cut_bytes; // clients' packets come in fragments; 0: whole
	char udp[1 << 20];  // payloads of datagrams, one behind the other
	uint32_t udp_len;
	struct base_now now;
	uint64_t step_us;
};

static struct lab *lab;

// ---- packet pools: made once, by size
static __attribute__((unused)) struct rte_mempool *lab_pool(
	unsigned mbufs, uint16_t room, unsigned k)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *p;

	snprintf(name, sizeof(name), "lab_%u_%u_%u", mbufs, room, k);
	p = rte_mempool_lookup(name);
	if (p == NULL)
		p = rte_pktmbuf_pool_create(name, mbufs, 0, 0, room, SOCKET_ID_ANY);
	assert_non_null(p);
	return p;
}

// ---- wires
static void wire_put(struct wire *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = NULL;

	if (w->head - w->tail < LAB_WIRE)
		copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);
	if (copy != NULL)
		w->m[w->head++ % LAB_WIRE] = copy;
	else
		w->lost++;
	rte_pktmbuf_free(m);
}

static uint16_t wire_rx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct wire *w = arg;
	uint16_t k = 0;

	while (k < n && w->tail != w->head)
		m[k++] = w->m[w->tail++ % LAB_WIRE];
	return k;
}

static void wire_empty(struct wire *w)
{
	struct rte_mbuf *m;

	while (wire_rx(w, &m, 1) == 1)
		rte_pktmbuf_free(m);
}

static uint16_t server_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct wire *w = arg;

	if (lab->tx_slow) {
		n = (uint16_t)RTE_MIN(n, lab->tx_left);
		lab->tx_left -= n;
	}
	for (uint16_t i = 0; i < n; i++) {
		if (lab->tx_keeps) { // as a device that frees what it sent when asked, or at need
			if (w->sent[w->sent_at % LAB_TX_RING] != NULL)
				rte_pktmbuf_free(w->sent[w->sent_at % LAB_TX_RING]);
			rte_mbuf_refcnt_update(m[i], 1);
			w->sent[w->sent_at++ % LAB_TX_RING] = m[i];
		}
		wire_put(&lab->host_in, m[i]);
	}
	return n;
}

static void server_tx_reclaim(void *arg)
{
	struct wire *w = arg;

	for (unsigned i = 0; i < LAB_TX_RING; i++) {
		rte_pktmbuf_free(w->sent[i]);
		w->sent[i] = NULL;
	}
}

// The device spreads flows over its queues; frames of no flow go to the first.
static void server_rx_put(struct rte_mbuf *m)
{
	wire_put(&lab->in[port_flow_worker(&lab->port, m) % lab->port.queues], m);
}

// A router on the way cuts the packet into fragments of cut_bytes, a multiple of 8.
static void router_cut(struct rte_mbuf *m)
{
	const uint16_t head = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr);
	uint16_t bytes = (uint16_t)(m->pkt_len - head);

	rte_pktmbuf_linearize(m);
	for (uint16_t at = 0; at < bytes; at = (uint16_t)(at + lab->cut_bytes)) {
		uint16_t part = (uint16_t)RTE_MIN(bytes - at, (int)lab->cut_bytes);
		struct rte_mbuf *p = rte_pktmbuf_alloc(lab->host_in.pool);
		char *to = rte_pktmbuf_append(p, (uint16_t)(head + part));
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(to + RTE_ETHER_HDR_LEN);

		memcpy(to, rte_pktmbuf_mtod(m, char *), head);
		memcpy(to + head, rte_pktmbuf_mtod_offset(m, char *, head + at), part);
		ip->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + part));
		ip->fragment_offset = rte_cpu_to_be_16(
			(uint16_t)(at / 8 | (at + part < bytes ? RTE_IPV4_HDR_MF_FLAG : 0)));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		server_rx_put(p);
	}
	rte_pktmbuf_free(m);
}

static void client_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		if (lab->cut_bytes > 0 && m[i]->pkt_len > lab->cut_bytes + 34)
			router_cut(m[i]);
		else
			server_rx_put(m[i]);
	}
}

// ---- opening
static void host_open(void)
{
	struct rte_mempool *pool =
		lab_pool(lab->opt.host_room > 2176 ? 2047 : LAB_CLIENT_POOL, lab->opt.host_room, 9);
	struct net_options no = {.pool = pool,
		.tx = &lab->host_tx,
		.mac = {{2, 0, 0, 0, 0, 1}},
		.own = {{base_ip4(LAB_CLIENT_IP), 24}},
		.owns = 1,
		.mtu = lab->opt.mtu,
		.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
		.socket_id = SOCKET_ID_ANY};
	struct tcp_options to = {.pool = pool,
		.conns_max = 4096,
		.rto_min_us = 200000,
		.delack_us = 40000,
		.time_wait_us = 1000,
		.syn_max = 128};

	lab->host_tx.flush = client_tx;
	lab->host_in.pool = pool;
	base_list_init(&lab->clients);
	assert_int_equal(mem_domain_open(&lab->host_mem,
				 &(struct mem_options){.name = "client", .numa_node = -1}),
		0);
	no.mem = to.mem = lab->host_mem;
	assert_int_equal(net_open(&lab->host_net, &no), 0);
	to.net = lab->host_net;
	assert_int_equal(tcp_open(&lab->host_tcp, &to), 0);
}

static void port_fill(void)
{
	lab->port = (struct port){.workers = lab->workers,
		.queues = lab->opt.queues,
		.numa_node = -1,
		.mac = {{2, 0, 0, 0, 0, 2}},
		.mtu = lab->opt.mtu,
		.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
		.spread = lab->opt.spread};
	lab->net = (struct port_config){.address = {{base_ip4(LAB_SERVER_IP), 24}}, .addresses = 1};
	for (unsigned i = 0; i < lab->workers; i++) {
		lab->in[i].pool = lab_pool(lab->opt.pool_mbufs, lab->opt.room, i);
		lab->port.queue[i] = (struct port_queue){.queue_id = (uint16_t)i,
			.has_rx = i < lab->opt.queues,
			.has_tx = i < lab->opt.queues,
			.rx = wire_rx,
			.tx = server_tx,
			.has_tx_reclaim = true,
			.tx_reclaim = server_tx_reclaim,
			.arg = &lab->in[i],
			.pool = lab->in[i].pool};
	}
}

static void lab_worker_open(unsigned i)
{
	struct worker_options wo = {.id = i,
		.port = &lab->port,
		.net = &lab->net,
		.settings = &lab->settings,
		.limit_bytes = lab->opt.limit_bytes / lab->workers,
		.store = store_settings_default(),
		.conns_max = lab->opt.conns_max,
		.access = lab->orders.access,
		.seed = 7 + i};

	assert_int_equal(
		mem_domain_open(&lab->mem[i], &(struct mem_options){.name = "w", .numa_node = -1}),
		0);
	wo.mem = lab->mem[i];
	assert_int_equal(worker_open(&lab->w[i], lab->group, &wo), 0);
}

static void lab_orders_push(void)
{
	for (unsigned i = 0; i < lab->workers; i++)
		worker_orders_set(lab->group, i, &lab->orders);
}

#define LAB_DEFAULT(field, value) (lab->opt.field = lab->opt.field != 0 ? lab->opt.field : (value))

static void lab_open(const struct lab_options *opt)
{
	lab = calloc(1, sizeof(*lab));
	lab->opt = *opt;
	lab->workers = LAB_DEFAULT(workers, 1);
	LAB_DEFAULT(queues, lab->workers);
	LAB_DEFAULT(credits, 64);
	LAB_DEFAULT(conns_max, 1000);
	LAB_DEFAULT(pool_mbufs, LAB_POOL_MBUFS);
	LAB_DEFAULT(room, 2176);
	LAB_DEFAULT(host_room, 2176);
	LAB_DEFAULT(mtu, 1500);
	LAB_DEFAULT(limit_bytes, 64u << 20);
	LAB_DEFAULT(item_bytes_max, 2u << 20);
	LAB_DEFAULT(piece_max, UINT16_MAX);
	lab->step_us = LAB_STEP_US;
	lab->orders.pace = worker_pace_default();
	lab->orders.access = (struct worker_access){.udp_allow = access_list_everybody(),
		.udp_factor = 1,
		.conns_max = lab->opt.conns_max};
	lab->now = (struct base_now){.mono_us = 1000000, .wall_s = LAB_WALL_S};
	port_fill();
	lab->settings = (struct worker_settings){
		.maxmemory_bytes = lab->opt.limit_bytes,
		.item_bytes_max = lab->opt.item_bytes_max,
		.conns_max = lab->opt.conns_max,
		.client_query_bytes = 256 << 10,
		.client_output_bytes = 4 << 20,
		.tcp_keepalive_s = lab->opt.keepalive_s,
		.tcp_port = 11211,
		.udp_port = 11211,
		.address = "198.18.211.2",
		.addresses = 1,
		.start_wall_s = LAB_WALL_S,
	};
	assert_int_equal(worker_group_open(&lab->group,
				 &(struct worker_group_options){
					 .workers = lab->workers, .credits = lab->opt.credits}),
		0);
	for (unsigned i = 0; i < lab->workers; i++)
		lab_worker_open(i);
	host_open();
}

// ---- the clients' side of a turn
static void *lab_grow(char **p, size_t *room, size_t want)
{
	if (want > *room) {
		*room = want * 2;
		*p = realloc(*p, *room);
		assert_non_null(*p);
	}
	return *p;
}

static void client_read(struct client *c)
{
	struct rte_mbuf *m;

	while (!c->stop_reading && c->tcp != NULL && (m = tcp_rx_peek(c->tcp)) != NULL) {
		lab_grow(&c->in, &c->in_room, c->in_len + m->data_len + 1);
		memcpy(c->in + c->in_len, rte_pktmbuf_mtod(m, char *), m->data_len);
		c->in_len += m->data_len;
		c->in[c->in_len] = '\0';
		tcp_rx_consume(lab->host_tcp, c->tcp, m->data_len);
	}
}

static void client_write(struct client *c)
{
	while (c->tcp != NULL && c->out_at < c->out_len &&
		tcp_send_room(lab->host_tcp, c->tcp) > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(lab->host_in.pool);
		uint16_t part = (uint16_t)base_min_u64(
			c->out_len - c->out_at, base_min_u64(tcp_mss(c->tcp), lab->opt.piece_max));

		if (m == NULL)
			return;
		memcpy(rte_pktmbuf_append(m, part), c->out + c->out_at, part);
		tcp_send(lab->host_tcp, c->tcp, m);
		c->out_at += part;
		if (part == lab->opt.piece_max)
			break; // one piece a turn, or TCP joins them again
	}
	if (c->out_at == c->out_len) {
		c->out_at = c->out_len = 0;
		if (c->finish && c->tcp != NULL)
			tcp_shutdown(lab->host_tcp, c->tcp);
	}
}

static void client_gone(struct client *c, struct tcp_conn *t)
{
	if (c != NULL) {
		client_read(c);
		c->closed = true;
		c->tcp = NULL;
	}
	tcp_release(lab->host_tcp, t);
}

static void udp_read(struct rte_mbuf *m, const struct net_packet *pkt)
{
	assert_true(lab->udp_len + pkt->data_len < sizeof(lab->udp));
	memcpy(lab->udp + lab->udp_len, rte_pktmbuf_mtod_offset(m, char *, pkt->data_off),
		pkt->data_len);
	lab->udp_len += pkt->data_len;
	rte_pktmbuf_free(m);
}

static void host_frames(void)
{
	struct rte_mbuf *m;
	struct net_packet pkt;

	while (wire_rx(&lab->host_in, &m, 1) == 1) {
		switch (net_input(lab->host_net, &m, lab->now.mono_us, &pkt)) {
		case NET_TCP:
			tcp_input(lab->host_tcp, m, &pkt, lab->now.mono_us);
			break;
		case NET_UDP:
			udp_read(m, &pkt);
			break;
		default:
			break;
		}
	}
}

static void host_turn(void)
{
	struct tcp_conn *t;
	unsigned events;

	host_frames();
	while ((t = tcp_event_next(lab->host_tcp, &events)) != NULL) {
		struct client *c = tcp_user(t);

		if (c != NULL) {
			c->established |= (events & TCP_EV_ESTABLISHED) != 0;
			client_read(c);
			if (events & TCP_EV_FIN) {
				c->fin = true;
				tcp_shutdown(lab->host_tcp, t);
			}
		}
		if (events & TCP_EV_CLOSED)
			client_gone(c, t);
	}
	base_list_for_each (n, &lab->clients)
		client_write(base_container_of(n, struct client, node));
	tcp_timers(lab->host_tcp, lab->now.mono_us);
	net_timers(lab->host_net, lab->now.mono_us);
	tcp_flush(lab->host_tcp, lab->now.mono_us);
	net_tx_flush(&lab->host_tx);
}

static void lab_turn(void)
{
	unsigned work;

	lab->now.mono_us += lab->step_us;
	lab->tx_left = lab->tx_room;
	lab->now.wall_s = LAB_WALL_S + lab->now.mono_us / 1000000;
	for (unsigned i = 0; i < lab->workers; i++) {
		if (lab->paused[i] > 0)
			lab->paused[i]--;
		else
			worker_turn(lab->w[i], lab->now, &work);
		if (!lab->opt.lends)
			lab->w[i]->orders.loan_seq = lab->w[i]->loan.seq;
	}
	if (!lab->host_paused)
		host_turn();
}

static void lab_run(uint64_t us)
{
	for (uint64_t until = lab->now.mono_us + us; lab->now.mono_us < until;)
		lab_turn();
}

// ---- clients
static struct client *client_new(uint16_t port)
{
	struct client *c = calloc(1, sizeof(*c));
	struct base_ip server = lab->net.address[0].ip;

	c->tcp = tcp_connect(lab->host_tcp, &server, 11211, TCP_LOCAL_ANY, port, lab->now.mono_us);
	assert_non_null(c->tcp);
	tcp_user_set(c->tcp, c);
	base_list_append(&lab->clients, &c->node);
	return c;
}

static __attribute__((unused)) struct client *client_connect(void)
{
	struct client *c = client_new(0);

	for (int i = 0; i < 1000 && !c->established; i++)
		lab_turn();
	assert_true(c->established);
	return c;
}

static void client_free(struct client *c)
{
	if (c->tcp != NULL) {
		tcp_user_set(c->tcp, NULL);
		tcp_abort(lab->host_tcp, c->tcp);
	}
	base_list_remove(&c->node);
	free(c->in);
	free(c->out);
	free(c);
}

static __attribute__((unused)) void client_abort(struct client *c)
{
	client_free(c);
	lab_run(20000);
}

static void client_send(struct client *c, const void *p, size_t n)
{
	lab_grow(&c->out, &c->out_room, c->out_len + n);
	memcpy(c->out + c->out_len, p, n);
	c->out_len += n;
}

static __attribute__((unused, format(printf, 2, 3))) void client_sendf(
	struct client *c, const char *fmt, ...)
{
	char text[8192];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < sizeof(text));
	client_send(c, text, (size_t)n);
}

static __attribute__((unused)) void client_read_on(struct client *c)
{
	c->stop_reading = false;
	client_read(c);
}

// Waits for at least n bytes, five virtual seconds at most.
static __attribute__((unused)) void client_wait(struct client *c, size_t n)
{
	for (int i = 0; i < 5000 && c->in_len < n; i++)
		lab_run(1000);
}

static __attribute__((unused)) void expect(struct client *c, const char *want, size_t len)
{
	client_wait(c, len);
	if (c->in_len != len || memcmp(c->in, want, len) != 0)
		print_error("got %zu bytes, wanted %zu: \"%.*s\"\n", c->in_len, len,
			(int)base_min_u64(c->in_len, 200), c->in);
	assert_int_equal(c->in_len, len);
	assert_memory_equal(c->in, want, len);
	c->in_len = 0;
}

static __attribute__((unused)) void talk(struct client *c, const char *request, const char *want)
{
	client_send(c, request, strlen(request));
	expect(c, want, strlen(want));
}

static __attribute__((unused)) void udp_send(const char *request, size_t n, uint16_t id)
{
	struct rte_mbuf *m = NULL, *last = NULL;
	struct net_path path = {.dst = lab->net.address[0].ip};
	char head[8];
	size_t at = 0;

	proto_udp_write(head, id, 0, 1);
	while (at < n + 8) {
		struct rte_mbuf *p = rte_pktmbuf_alloc(lab->host_in.pool);
		uint16_t part = (uint16_t)base_min_u64(n + 8 - at, 1472);
		char *to = rte_pktmbuf_append(p, part);

		for (uint16_t i = 0; i < part; i++)
			to[i] = at + i < 8 ? head[at + i] : request[at + i - 8];
		at += part;
		if (m == NULL) {
			m = p;
		} else {
			last->next = p;
			m->nb_segs++;
			m->pkt_len += part;
		}
		last = p;
	}
	net_udp_output(lab->host_net, m, &path, 4000, 11211, lab->now.mono_us);
}

// ---- closing: everything must come home
static void lab_drain(void)
{
	struct worker_report rep;
	bool all = false;

	memset(lab->paused, 0, sizeof(lab->paused));
	lab->orders.phase = WORKER_PHASE_DRAIN;
	lab->orders.limit_bytes = lab->opt.limit_bytes / lab->workers;
	lab_orders_push();
	for (int i = 0; i < 100 && !all; i++) {
		lab_run(2000);
		all = true;
		for (unsigned k = 0; k < lab->workers; k++) {
			worker_report_get(lab->group, k, &rep);
			all = all && rep.drained;
		}
	}
	assert_true(all);
}

static void lab_home_check(void)
{
	for (unsigned i = 0; i < lab->workers; i++) {
		struct worker_counters n;

		worker_counters_collect(lab->w[i], &n);
		assert_int_equal(n.slots_out, 0);
		assert_int_equal(lab->w[i]->packs_out, 0);
		assert_int_equal(n.conns, 0);
		assert_int_equal(n.mem_used[MEM_INPUT], 0);
		assert_int_equal(n.mem_used[MEM_OUTPUT], 0);
		assert_int_equal(n.store.pinned_bytes, 0);
	}
}

static void lab_close(void)
{
	lab->host_paused = false;
	lab_drain();
	lab_home_check();
	while (!base_list_empty(&lab->clients))
		client_free(base_container_of(lab->clients.next, struct client, node));
	tcp_close(lab->host_tcp);
	net_close(lab->host_net);
	for (unsigned i = 0; i < lab->host_tx.count; i++)
		rte_pktmbuf_free(lab->host_tx.m[i]);
	mem_domain_close(lab->host_mem);
	for (unsigned i = 0; i < lab->workers; i++) {
		worker_close(lab->w[i]);
		mem_domain_close(lab->mem[i]);
		wire_empty(&lab->in[i]);
	}
	wire_empty(&lab->host_in);
	worker_group_close(lab->group);
	for (unsigned i = 0; i < lab->workers; i++)
		assert_int_equal(rte_mempool_in_use_count(lab->in[i].pool), 0);
	assert_int_equal(rte_mempool_in_use_count(lab->host_in.pool), 0);
	free(lab);
	lab = NULL;
}

// A failed test leaves its laboratory behind: the next one starts anew, with what pools there are.
static int lab_eal_init(const char *prefix)
{
	char arg[64];
	char *argv[] = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m",
		"512", "--lcores", any_cpu(), "--iova-mode=va", "--log-level=*:error", arg};

	snprintf(arg, sizeof(arg), "--file-prefix=%s", prefix);
	return rte_eal_init(BASE_ARRAY_LEN(argv), argv) < 0 ? -1 : 0;
}

#define LAB_MAIN(name, tests) \
	static int lab_setup(void **state) \
	{ \
		return lab_eal_init("worker_" name); \
	} \
	int main(void) \
	{ \
		return cmocka_run_group_tests_name(name, tests, lab_setup, NULL); \
	}
