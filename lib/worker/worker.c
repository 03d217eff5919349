// SPDX-License-Identifier: BSD-3-Clause
// A worker: opening, one turn, closing.

#include <errno.h>

#include <rte_ethdev.h>

#include "worker/worker_admin.h"
#include "worker/worker_udp.h"

#define SND_BUF_BYTES (256 << 10)
// Whoever sends noreply sets under Nagle's algorithm keeps the next request until the set is
// acknowledged. Answers take microseconds here: one that is not there after a millisecond will not
// come (RFC 9293, 3.8.6.3 asks for less than 500).
#define DELACK_US 1000

static int worker_shard_open(struct worker *w, const struct worker_options *opt)
{
	struct store_options so = {
		.mem = opt->mem,
		.seed = opt->seed ^ 0x5348415244ull,
		.limit_bytes = opt->limit_bytes,
		.item_bytes_max = opt->settings->item_bytes_max,
		.cas_first = opt->id + 1,
		.cas_step = w->count,
	};
	int rc = store_open(&w->store, &so);

	if (rc < 0)
		return rc;
	w->exec.store = w->store;
	rc = store_settings_set(w->store, &opt->store);
	if (rc < 0) {
		store_close(w->store);
		w->store = NULL;
	}
	return rc;
}

static int worker_net_open(struct worker *w, const struct worker_options *opt)
{
	const struct port_config *cfg = opt->net;
	struct net_options no = {
		.mem = opt->mem,
		.pool = w->queue->pool,
		.tx = &w->tx,
		.mac = opt->port->mac,
		.gateway = {[NET_IP4] = cfg->gateway[PORT_IP4], [NET_IP6] = cfg->gateway[PORT_IP6]},
		.vlan = cfg->vlan,
		.dad = true,
		.silent = opt->id != 0,
		.mtu = opt->port->mtu,
		.tx_offloads = opt->port->tx_offloads,
		.rx_offloads = opt->port->rx_offloads,
		.socket_id = opt->port->numa_node,
		.seed = opt->seed ^ 0x4e4554ull,
	};
	int rc;

	for (unsigned i = 0; i < cfg->addresses; i++)
		no.own[no.owns++] =
			(struct net_own){cfg->address[i].ip, cfg->address[i].prefix_len};
	w->tx.flush = worker_tx_flush;
	w->tx.arg = w;
	rc = net_open(&w->net, &no);
	for (unsigned i = 0; rc == 0 && i < cfg->routes; i++) {
		const struct port_route *r = &cfg->route[i];

		rc = net_route_add(w->net, &r->prefix, r->len, &r->via);
		if (rc < 0)
			net_close(w->net);
	}
	return rc;
}

static int worker_tcp_open(struct worker *w, const struct worker_options *opt)
{
	struct tcp_options to = {
		.flight = w->flight,
		.mem = opt->mem,
		.net = w->net,
		.pool = w->queue->pool,
		.seed = opt->seed ^ 0x544350ull,
		.conns_max = opt->conns_max + WORKER_CONNS_SPARE,
		.admit = worker_access_admit,
		.admit_arg = w,
		.rcv_buf_bytes = opt->settings->client_query_bytes,
		.snd_buf_bytes =
			(uint32_t)base_min_u64(opt->settings->client_output_bytes, SND_BUF_BYTES),
		.rto_min_us = 200 * 1000,
		.delack_us = DELACK_US,
		.time_wait_us = 60 * 1000 * 1000,
		.keepalive_us = opt->settings->tcp_keepalive_s * 1000000,
		.user_timeout_us = opt->settings->tcp_user_timeout_s * 1000000,
		.tso_mbufs = opt->port->tso_mbufs,
		.ecn = opt->settings->tcp_ecn,
		.syn_max = 4096,
		.cc = opt->settings->tcp_congestion,
	};
	int rc = tcp_open(&w->tcp, &to);

	if (rc == 0 && opt->settings->tcp_port != 0) {
		rc = tcp_listen(w->tcp, opt->settings->tcp_port);
		if (rc < 0)
			tcp_close(w->tcp);
	}
	return rc;
}

static void worker_state_init(
	struct worker *w, struct worker_group *g, const struct worker_options *opt)
{
	memset(w, 0, sizeof(*w));
	w->id = opt->id;
	w->group = g;
	w->flight = worker_group_flight(g, opt->id);
	w->times = worker_times_own(g, opt->id);
	w->latency = worker_latency_own(g, opt->id);
	w->now_ns = opt->now_ns;
	w->mem = opt->mem;
	w->port = opt->port;
	w->queue = &opt->port->queue[opt->id];
	w->settings = opt->settings;
	w->orders.limit_bytes = opt->limit_bytes;
	w->orders.store = opt->store;
	w->orders.maxmemory_bytes = opt->settings->maxmemory_bytes;
	w->orders.verbosity = opt->settings->verbosity;
	w->orders.track_sizes = opt->settings->track_sizes;
	w->detail.order = worker_detail_latest(g);
	w->orders.slow_us = WORKER_SLOW_US;
	w->orders.access = opt->access;
	if (w->orders.access.conns_max == 0)
		w->orders.access.conns_max = opt->conns_max;
	w->tx_owner = opt->id % opt->port->queues;
	worker_upkeep_open(w);
	base_list_init(&w->conns);
	base_list_init(&w->stalled);
	base_list_init(&w->woken_conns);
	base_list_init(&w->woken_dgrams);
	base_list_init(&w->watch_list);
	w->conn_batch = WORKER_BURST;
}

int worker_open(struct worker **out, struct worker_group *g, const struct worker_options *opt)
{
	uint16_t room = rte_pktmbuf_data_room_size(opt->port->queue[opt->id].pool);
	struct worker *w;
	int rc;

	if (room < RTE_PKTMBUF_HEADROOM + PROTO_UDP_HEADER + PROTO_UDP_PAYLOAD) {
		base_error("worker %u: packet buffers of %u bytes do not hold a datagram", opt->id,
			room);
		return -EINVAL;
	}
	w = mem_alloc(opt->mem, MEM_OTHER, sizeof(*w));
	worker_state_init(w, g, opt);
	w->peer = mem_alloc(opt->mem, MEM_OTHER, WORKER_MAX * sizeof(*w->peer));
	worker_group_peers_set(g, w);
	w->steer = w->count > 1 && opt->port->spread == PORT_SPREAD_TOEPLITZ;
	rc = worker_slots_open(w);
	if (rc < 0)
		goto err_slots;
	rc = worker_packs_open(w);
	if (rc < 0)
		goto err_packs;
	rc = worker_dgrams_open(w);
	if (rc < 0)
		goto err_dgrams;
	rc = worker_shard_open(w, opt);
	if (rc < 0)
		goto err_shard;
	rc = worker_net_open(w, opt);
	if (rc < 0)
		goto err_net;
	rc = worker_tcp_open(w, opt);
	if (rc < 0)
		goto err_tcp;
	worker_access_open(w, opt->seed ^ 0x616363657373ull);
	worker_access_apply(w);
	worker_watch_orders(w);
	*out = w;
	return 0;

err_tcp:
	net_close(w->net);
err_net:
	store_close(w->store);
err_shard:
	worker_dgrams_close(w);
err_dgrams:
	worker_packs_close(w);
err_packs:
	worker_slots_close(w);
err_slots:
	base_error("worker %u: %s", opt->id, strerror(-rc));
	mem_free(opt->mem, MEM_OTHER, w->peer, WORKER_MAX * sizeof(*w->peer));
	mem_free(opt->mem, MEM_OTHER, w, sizeof(*w));
	return rc;
}

void worker_close(struct worker *w)
{
	struct mem_domain *mem = w->mem;

	worker_conns_reset(w);
	worker_detail_clear(w);
	if (w->orders.snapshot != NULL)
		snapshot_tap_abandon(w->orders.snapshot, w->store);
	tcp_close(w->tcp);
	worker_access_close(w);
	net_close(w->net);
	worker_steer_close(w);
	if (w->tx.count > 0) {
		w->tx.flush(w->tx.arg, w->tx.m, w->tx.count);
		w->tx.count = 0;
	}
	worker_tx_close(w);
	store_close(w->store);
	worker_dgrams_close(w);
	worker_packs_close(w);
	worker_slots_close(w);
	mem_free(mem, MEM_OTHER, w->peer, WORKER_MAX * sizeof(*w->peer));
	mem_free(mem, MEM_OTHER, w, sizeof(*w));
}

struct store *worker_store(struct worker *w)
{
	return w->store;
}

void worker_frame_input(struct worker *w, struct rte_mbuf *m)
{
	struct net_packet pkt = {.reassembled = false};
	enum net_verdict verdict = net_input(w->net, &m, w->now.mono_us, &pkt);

	// Fragments go by their addresses; only now it is seen whose they are.
	if (base_unlikely(pkt.reassembled) && w->steer &&
		(verdict == NET_TCP || verdict == NET_UDP) && worker_steer(w, m))
		return;
	switch (verdict) {
	case NET_TCP:
		tcp_input(w->tcp, m, &pkt, w->now.mono_us);
		break;
	case NET_UDP:
		if (worker_udp_port_own(w, pkt.dst_port)) {
			worker_udp_input(w, m, &pkt);
		} else {
			if (worker_udp_may_talk(w, &pkt.src))
				net_icmp_unreachable(w->net, m, &pkt, w->now.mono_us);
			rte_pktmbuf_free(m);
		}
		break;
	case NET_TOO_BIG:
		worker_too_big_input(w, &pkt);
		break;
	case NET_NEIGH:
		worker_neigh_tell(w, &pkt.src, &pkt.src_mac);
		break;
	case NET_DONE:
		break;
	}
}

// Nobody is served yet, or any more. Before the start the network is looked after, so that another
// host with our address is found.
static void frame_refuse(struct worker *w, struct rte_mbuf *m)
{
	struct net_packet pkt = {.reassembled = false};

	if (w->stopping) {
		rte_pktmbuf_free(m);
		return;
	}
	switch (net_input(w->net, &m, w->now.mono_us, &pkt)) {
	case NET_TCP:
	case NET_UDP:
		rte_pktmbuf_free(m);
		break;
	case NET_NEIGH:
		worker_neigh_tell(w, &pkt.src, &pkt.src_mac);
		break;
	case NET_TOO_BIG:
	case NET_DONE:
		break;
	}
}

// The lines of a short request. They are written, too: an answer over UDP goes where its request
// was, and a sum over what has just been written waits until the line is ours.
static void frame_fetch(const struct rte_mbuf *m)
{
	const char *data = rte_pktmbuf_mtod(m, const char *);

	base_prefetch_write(data);
	base_prefetch_write(data + BASE_CACHE_LINE);
}

static unsigned worker_rx(struct worker *w)
{
	bool refused = w->stopping || w->orders.phase == WORKER_PHASE_LOAD;
	struct rte_mbuf *m[WORKER_BURST];
	uint16_t n;

	if (!w->queue->has_rx)
		return 0;
	n = port_rx(w->queue, m, WORKER_BURST);
	if (base_unlikely(w->orders.capture != NULL))
		capture_burst(w->orders.capture, m, n, CAPTURE_IN, worker_capture_us(w));
	for (uint16_t i = 0; i < n; i++)
		frame_fetch(m[i]);
	tcp_fetch(w->tcp, m, n);
	for (uint16_t i = 0; i < n; i++) {
		if (base_unlikely(refused))
			frame_refuse(w, m[i]);
		else if (!worker_quick_input(w, m[i]) && (!w->steer || !worker_steer(w, m[i])))
			worker_frame_input(w, m[i]); // plain gets need no worker of their flow's
	}
	worker_quick_run(w);
	w->n.rx_packets += n;
	return n;
}

static void worker_timers(struct worker *w)
{
	uint64_t now_us = w->now.mono_us;

	w->tcp_deadline_us = tcp_timers(w->tcp, now_us);
	w->net_deadline_us = net_timers(w->net, now_us);
}

static void worker_output(struct worker *w, bool idle)
{
	tcp_flush(w->tcp, w->now.mono_us);
	if (w->tx.count > 0) {
		w->tx.flush(w->tx.arg, w->tx.m, w->tx.count);
		w->tx.count = 0;
	}
	worker_msg_publish(w);
	if (w->count > 1)
		worker_steer_publish(w);
	if (w->now.mono_us - w->report_us >= WORKER_REPORT_US) {
		w->report_us = w->now.mono_us;
		worker_probe_turn(w);
		// Without traffic nothing else takes sent packets out of the device's ring, and
		// without mbufs there is none.
		if (idle || tcp_scarce(w->tcp))
			port_tx_reclaim(w->queue);
		worker_report_publish(w);
	}
}

// Drained: nobody of ours is away, so nobody else needs us to take a slot home.
static void worker_drain(struct worker *w)
{
	if (!w->stopping) {
		w->stopping = true;
		if (w->settings->tcp_port != 0)
			tcp_unlisten(w->tcp, w->settings->tcp_port);
		worker_conns_reset(w);
	}
	w->drained = w->slots_out == 0 && w->packs_out == 0;
}

static void worker_orders_apply(struct worker *w)
{
	uint64_t limit_bytes = w->orders.limit_bytes;
	struct snapshot_tap *snapshot = w->orders.snapshot;
	struct store_settings store = w->orders.store;
	uint64_t version = w->orders_version, access_seq = w->orders.access_seq;

	worker_orders_read(w);
	if (base_unlikely(snapshot != NULL && snapshot != w->orders.snapshot))
		snapshot_tap_leave(snapshot, w->store);
	if (base_unlikely(w->orders_version != version)) {
		store_defrag_set(w->store, &w->orders.defrag);
		worker_watch_orders(w);
		worker_detail_take(w, w->orders.detail);
	}
	if (base_unlikely(w->orders.access_seq != access_seq))
		worker_access_apply(w);
	// The control core sends checked settings only.
	if (memcmp(&w->orders.store, &store, sizeof(store)) != 0)
		store_settings_set(w->store, &w->orders.store);
	if (w->orders.limit_bytes != limit_bytes)
		store_limit_set(w->store, w->orders.limit_bytes);
	if (w->orders.flush_seq != w->flush_seq) {
		flight_event(w->flight, FLIGHT_FLUSH, 0, 0, 0);
		w->flush_seq = w->orders.flush_seq;
		store_flush(w->store, 0);
	}
	if (w->orders.latency_seq != w->latency_seq) {
		w->latency_seq = w->orders.latency_seq;
		worker_latency_reset(w);
	}
	if (base_unlikely(w->orders.phase > WORKER_PHASE_LOAD))
		worker_drain(w);
}

static void worker_busy_note(struct worker *w, uint64_t us)
{
	w->n.busy_us += us;
	base_hist_add(&w->times->turn_us, us);
	if (base_unlikely(us >= WORKER_TURN_LONG_US))
		flight_event(w->flight, FLIGHT_TURN_LONG, w->upkeep.ran, (uint32_t)us, 0);
}

enum worker_verdict worker_turn(struct worker *w, struct base_now now, unsigned *work)
{
	uint64_t turn_ns = now.mono_us * 1000 + now.mono_ns;
	unsigned n;

	if (base_unlikely(w->now.mono_us == 0))
		net_announce(w->net, now.mono_us);
	if (w->busy) {
		worker_latency_turn(w, turn_ns);
		worker_busy_note(w, now.mono_us - w->now.mono_us);
	}
	now.wall_s += (uint64_t)w->clock_shift_s;
	w->now = now;
	w->turn_ns = turn_ns;
	flight_turn(w->flight, now.mono_us);
	store_turn(w->store, now);
	worker_orders_apply(w);
	worker_loan_turn(w);
	if (w->count > 1)
		worker_steer_fetch(w);
	n = worker_rx(w);
	if (w->count > 1) {
		n += worker_steer_turn(w);
		worker_news_turn(w);
	}
	worker_udp_run(w);
	n += worker_conn_events(w);
	if (w->count > 1)
		n += worker_msg_turn(w);
	if (base_unlikely(!base_list_empty(&w->stalled)))
		n += worker_conn_stalled_turn(w);
	if (base_unlikely(w->chores > 0))
		n += worker_admin_turn(w);
	worker_timers(w);
	worker_clients_turn(w);
	n += worker_upkeep_turn(w, n == 0);
	n += worker_tx_turn(w);
	worker_output(w, n == 0);
	w->n.turns++;
	w->n.turns_idle += n == 0;
	w->busy = n > 0;
	*work = n;
	return w->orders.phase == WORKER_PHASE_EXIT ? WORKER_DONE : WORKER_RUNNING;
}
