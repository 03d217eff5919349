// SPDX-License-Identifier: BSD-3-Clause
// Our own stack as the client, polling, on the main lcore alone.
#include "dpdk.h"
#include "dpdk_prepared.h"

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#define TX_WAIT_US     20000
#define TX_PREPARED_US 2000000     // nothing is sent again
#define BUF_BYTES      (256 << 10) // TCP's send and receive buffers
#define SEGMENT_BYTES  1400
#define POOL_MBUFS_MIN 8192
#define POOL_MBUFS_MAX 262144
#define LEAVE_US       50000

// Takes what has come in, so that a peer that waits for room for it can take what we send: two that
// only send would wait for each other.
static void rx_hold(struct dpdk *d)
{
	if (DPDK_HELD - d->held_end >= DPDK_BURST)
		d->held_end += port_rx(d->queue, d->held + d->held_end, DPDK_BURST);
}

uint16_t dpdk_rx(struct dpdk *d, struct rte_mbuf **m)
{
	unsigned n = RTE_MIN(d->held_end - d->held_at, (unsigned)DPDK_BURST);

	if (base_likely(d->held_end == 0))
		return port_rx(d->queue, m, DPDK_BURST);
	memcpy(m, d->held + d->held_at, n * sizeof(*m));
	d->held_at += n;
	if (d->held_at == d->held_end)
		d->held_at = d->held_end = 0;
	return (uint16_t)n;
}

static void tx_flush(void *arg, struct rte_mbuf **m, uint16_t count)
{
	struct dpdk *d = arg;
	uint64_t end_tsc;
	uint16_t sent;

	for (uint16_t i = 0; d->prepared && !d->prepared_on && i < count; i++)
		prepared_note_tx(d->prepared, m[i]);
	sent = port_tx(d->queue, m, count);

	if (base_likely(sent == count))
		return;
	end_tsc = rte_rdtsc() +
		rte_get_tsc_hz() / 1000000 * (d->prepared_on ? TX_PREPARED_US : TX_WAIT_US);
	while (sent < count && rte_rdtsc() < end_tsc) {
		rx_hold(d);
		sent += port_tx(d->queue, m + sent, count - sent);
	}
	d->tx_dropped += count - sent;
	rte_pktmbuf_free_bulk(m + sent, count - sent);
}

void dpdk_frame_input(struct dpdk *d, struct rte_mbuf *m)
{
	struct net_packet pkt;

	switch (net_input(d->net, &m, dpdk_now_us(d), &pkt)) {
	case NET_UDP:
		dpdk_udp_input(d, m, &pkt);
		rte_pktmbuf_free(m);
		break;
	case NET_TCP:
		if (d->tcp)
			tcp_input(d->tcp, m, &pkt, dpdk_now_us(d));
		else
			rte_pktmbuf_free(m);
		break;
	case NET_TOO_BIG:
	case NET_NEIGH:
	case NET_DONE:
		break;
	}
}

// As dpdk_turn, without lib/tcp.
static bool prepared_on_turn(struct dpdk *d)
{
	struct rte_mbuf *m[DPDK_BURST];
	uint16_t n = dpdk_rx(d, m);

	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	prepared_fetch(d->prepared, m, n);
	for (uint16_t i = 0; i < n; i++)
		if (!prepared_input(d->prepared, m[i]))
			dpdk_frame_input(d, m[i]);
	prepared_turn(d->prepared);
	net_timers(d->net, dpdk_now_us(d));
	net_tx_flush(&d->tx);
	return n > 0;
}

// The keys are set, and no request is in flight: the moment to take over from lib/tcp.
static void prepared_start(struct dpdk *d)
{
	if (d->b->phase != BENCH_WARMUP && d->b->phase != BENCH_MEASURE)
		return;
	prepared_begin(d->prepared);
	d->prepared_on = true;
}

bool dpdk_turn(struct dpdk *d)
{
	struct rte_mbuf *m[DPDK_BURST];
	uint64_t now_us = dpdk_now_us(d);
	uint16_t n;

	if (d->prepared && !d->prepared_on)
		prepared_start(d);
	if (d->prepared_on)
		return prepared_on_turn(d);
	n = dpdk_rx(d, m);

	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	if (n && d->b->o->flood)
		rte_ether_addr_copy(
			&rte_pktmbuf_mtod(m[0], struct rte_ether_hdr *)->src_addr, &d->server_mac);
	for (uint16_t i = 0; d->prepared && i < n; i++)
		prepared_note_rx(d->prepared, m[i]);
	if (d->tcp)
		tcp_fetch(d->tcp, m, n);
	for (uint16_t i = 0; i < n; i++)
		dpdk_frame_input(d, m[i]);
	net_timers(d->net, now_us);
	if (d->tcp) {
		dpdk_tcp_turn(d);
		if (d->b->o->flood && d->b->phase == BENCH_MEASURE)
			dpdk_flood_turn(d);
		tcp_timers(d->tcp, now_us);
		tcp_flush(d->tcp, now_us);
	} else {
		dpdk_udp_turn(d);
	}
	net_tx_flush(&d->tx);
	return n > 0;
}

// --sources: the addresses that follow ours; the server's is left out.
static void sources_add(struct net_options *net, const struct bench_options *o)
{
	struct net_own next = net->own[0];

	while (net->owns < o->sources) {
		next.ip.w32[3] = rte_cpu_to_be_32(rte_be_to_cpu_32(next.ip.w32[3]) + 1);
		if (!base_ip_same(&next.ip, &o->server))
			net->own[net->owns++] = next;
	}
}

static int stack_open(struct dpdk *d, const struct port_config *cfg)
{
	const struct bench_options *o = d->b->o;
	struct net_options net = {
		.mem = d->mem,
		.pool = d->queue->pool,
		.tx = &d->tx,
		.mac = d->port.mac,
		.own = {{cfg->address[0].ip, cfg->address[0].prefix_len}},
		.owns = 1,
		.vlan = cfg->vlan,
		.mtu = d->port.mtu,
		.tx_offloads = d->port.tx_offloads,
		.rx_offloads = d->port.rx_offloads,
		.socket_id = d->port.numa_node,
		.seed = bench_now_ns(),
	};
	struct tcp_options tcp = {
		.mem = d->mem,
		.pool = d->queue->pool,
		.seed = bench_now_ns() * UINT64_C(0x9e3779b97f4a7c15),
		.conns_max = o->connections,
		.rcv_buf_bytes = BUF_BYTES,
		.snd_buf_bytes = BUF_BYTES,
		.rto_min_us = 200000,
		.delack_us = 40000,
		.time_wait_us = 1000000,
		.tso_mbufs = d->port.tso_mbufs,
		.syn_max = 4096,
	};
	int rc;

	net.gateway[NET_IP4] = cfg->gateway[PORT_IP4];
	net.gateway[NET_IP6] = cfg->gateway[PORT_IP6];
	sources_add(&net, o);
	rc = net_open(&d->net, &net);
	for (unsigned i = 0; !rc && i < cfg->routes; i++) {
		const struct port_route *r = &cfg->route[i];

		rc = net_route_add(d->net, &r->prefix, r->len, &r->via);
	}
	if (rc || (o->udp && !o->answer))
		return rc;
	tcp.net = d->net;
	return tcp_open(&d->tcp, &tcp);
}

static void stack_close(struct dpdk *d)
{
	if (d->tcp)
		tcp_close(d->tcp);
	net_tx_flush(&d->tx);
	// The far end of shared memory reads what we sent last, and answers it: memif's driver
	// would unmap the memory below a worker that is at it.
	rte_delay_us_sleep(LEAVE_US);
	prepared_close(d->prepared);
	d->prepared = NULL;
	rte_pktmbuf_free_bulk(d->held + d->held_at, d->held_end - d->held_at);
	if (d->net)
		net_close(d->net);
	if (d->tx_dropped)
		fprintf(stderr, "lcbench: %lu frames not taken by the device\n",
			(unsigned long)d->tx_dropped);
}

// The connections stand, and nothing is asked of them.
static bool hold(struct dpdk *d)
{
	unsigned marks = bench_marks;

	fprintf(stderr, "lcbench: %u connections\n", d->connected);
	while (bench_marks == marks && !bench_stop && d->b->dead == 0) {
		d->b->now_ns = bench_now_ns();
		dpdk_turn(d);
	}
	return !bench_stop;
}

static int run(struct dpdk *d)
{
	struct bench *b = d->b;
	bool busy = true;
	int rc = 0;

	bench_signals_take();
	if (b->o->answer)
		return dpdk_answer_run(d);
	net_announce(d->net, dpdk_now_us(d));
	if (!net_path_open(d->net, &b->o->server, &d->path))
		return -EAFNOSUPPORT;
	if (d->tcp && b->o->prepared)
		rc = prepared_open(&d->prepared, d);
	if (d->tcp && !rc)
		rc = dpdk_tcp_connect(d);
	if (rc)
		return rc;
	if (b->o->hold && !hold(d))
		return -EINTR;
	d->tx_dropped = 0; // what was sent before the peer was there
	bench_start(b);
	while (bench_turn(b, busy))
		busy = dpdk_turn(d);
	if (d->prepared_on)
		prepared_end(d->prepared);
	return 0;
}

static int device_run(struct bench *b, struct port_config *cfg)
{
	struct dpdk d = {.b = b};
	int rc = port_open(&d.port, cfg, 1, b->o->connections);

	if (rc)
		return rc;
	d.queue = &d.port.queue[0];
	d.tx = (struct net_tx){.flush = tx_flush, .arg = &d};
	rc = mem_domain_open(&d.mem, &(struct mem_options){.name = "lcbench", .numa_node = -1});
	if (!rc)
		rc = stack_open(&d, cfg);
	if (!rc)
		rc = run(&d);
	stack_close(&d);
	port_close(&d.port);
	if (d.mem)
		mem_domain_close(d.mem);
	if (rc)
		fprintf(stderr, "lcbench: %s\n", strerror(-rc));
	return rc;
}

// Enough packet buffers for what all connections may have in flight, both ways.
static unsigned pool_size(const struct bench *b)
{
	const struct bench_options *o = b->o;
	// of a request, or of an answer to a get of large values
	uint64_t request = base_max_u64(
		bench_request_max(b), (uint64_t)o->multi * (o->value_sizes.max + WORDS_HEAD_MAX));
	uint64_t each = base_min_u64(b->per_client * request, BUF_BYTES + request) / SEGMENT_BYTES;

	return (unsigned)base_min_u64(
		POOL_MBUFS_MIN + o->connections * (2 * each + 4), POOL_MBUFS_MAX);
}

int bench_dpdk_run(struct bench *b)
{
	const struct bench_options *o = b->o;
	static struct port_config cfg;
	static struct port_eal eal;
	struct port_eal_options eal_options = {
		.program = "lcbench",
		.workers = 1,
		.conns = o->connections,
		.file_prefix = "lcbench",
		.extra_argc = o->eal_argc,
		.extra_argv = o->eal_argv,
	};
	char error[256];
	int rc = port_config_load(&cfg, o->driver, error, sizeof(error));

	port_config_addresses_clear(&cfg, false);
	if (!rc)
		rc = port_config_set(&cfg, "address", o->address, error, sizeof(error));
	if (!rc)
		rc = port_config_check(&cfg, error, sizeof(error));
	if (rc) {
		fprintf(stderr, "lcbench: %s\n", error);
		return rc;
	}
	if (cfg.pool_mbufs == 0)
		cfg.pool_mbufs = pool_size(b);
	rc = port_eal_build(&eal, &cfg, &eal_options);
	if (!rc)
		rc = port_eal_init(&eal);
	if (rc)
		return rc;
	b->now_ns = bench_now_ns();
	b->tsc_hz = rte_get_tsc_hz();
	rc = device_run(b, &cfg);
	port_eal_cleanup(&eal);
	return rc;
}
