// SPDX-License-Identifier: BSD-3-Clause
// Whole workers in one thread with virtual time: a client stack of our own talks to one or three
// workers over a wire in memory. Replies in order over shards, large values, dying connections,
// slow readers, UDP, and nothing lost at the end.

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_ip.h>

#include "worker/worker_internal.h"

#define POOL_MBUFS 16383
#define WIRE       8192
#define REPLY_MAX  (8u << 20)
#define STEP_US    20

struct wire { // frames on their way to one receiver
	struct rte_mbuf *m[WIRE];
	unsigned head, tail;
	struct rte_mempool *pool; // copies are made from it, as a NIC would
};

struct host { // the client
	struct net_tx tx;
	struct net *net;
	struct tcp *tcp;
	struct mem_domain *mem;
	struct wire in;
};

struct lab {
	unsigned workers;
	struct worker_group *group;
	struct worker *w[WORKER_MAX];
	struct mem_domain *mem[WORKER_MAX];
	struct port port;
	struct port_config net;
	struct worker_settings settings;
	struct wire in[WORKER_MAX]; // to each worker's queue
	struct host host;
	struct base_now now;
	char *reply;
	uint32_t reply_len;
	bool closed, stop_reading;
};

static struct rte_mempool *pool_server, *pool_client;
static struct lab *lab;

static void wire_put(struct wire *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);

	assert_non_null(copy);
	assert_true(w->head - w->tail < WIRE);
	w->m[w->head++ % WIRE] = copy;
	rte_pktmbuf_free(m);
}

static uint16_t wire_rx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct wire *w = arg;
	uint16_t k = 0;

	while (k < n && w->tail != w->head)
		m[k++] = w->m[w->tail++ % WIRE];
	return k;
}

static uint16_t server_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		wire_put(&lab->host.in, m[i]);
	return n;
}

// The device spreads flows over queues; frames of no flow go to the first.
static void client_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		wire_put(&lab->in[port_flow_worker(&lab->port, m[i])], m[i]);
}

static void host_open(struct host *h)
{
	struct net_options no = {.pool = pool_client,
		.tx = &h->tx,
		.mac = {{2, 0, 0, 0, 0, 1}},
		.ip = rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 1)),
		.prefix_len = 24,
		.mtu = 1500,
		.socket_id = SOCKET_ID_ANY};
	struct tcp_options to = {.pool = pool_client,
		.conns_max = 1024,
		.rcv_buf_bytes = 256 << 10,
		.snd_buf_bytes = 256 << 10,
		.rto_min_us = 200000,
		.delack_us = 40000,
		.time_wait_us = 1000,
		.syn_max = 128,
		.cc = "newreno"};

	h->tx.flush = client_tx;
	h->in.pool = pool_client;
	assert_int_equal(
		mem_domain_open(&h->mem, &(struct mem_options){.name = "client", .numa_node = -1}),
		0);
	no.mem = to.mem = h->mem;
	assert_int_equal(net_open(&h->net, &no), 0);
	to.net = h->net;
	assert_int_equal(tcp_open(&h->tcp, &to), 0);
}

static void port_fill(void)
{
	lab->port = (struct port){.workers = lab->workers,
		.queues = lab->workers,
		.numa_node = -1,
		.mac = {{2, 0, 0, 0, 0, 2}},
		.mtu = 1500,
		.spread = PORT_SPREAD_DEVICE};
	lab->net = (struct port_config){
		.ip = rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 2)), .prefix_len = 24};
	for (unsigned i = 0; i < lab->workers; i++) {
		lab->in[i].pool = pool_server;
		lab->port.queue[i] = (struct port_queue){.queue_id = (uint16_t)i,
			.has_rx = true,
			.has_tx = true,
			.rx = wire_rx,
			.tx = server_tx,
			.arg = &lab->in[i],
			.pool = pool_server};
	}
}

static void lab_open(unsigned workers, uint64_t limit_bytes)
{
	lab = calloc(1, sizeof(*lab));
	lab->reply = malloc(REPLY_MAX);
	lab->workers = workers;
	lab->now = (struct base_now){.mono_us = 1000000, .wall_s = 1700000000};
	port_fill();
	lab->settings = (struct worker_settings){.maxmemory_bytes = limit_bytes,
		.item_bytes_max = 2 << 20,
		.conns_max = 100,
		.tcp_port = 11211,
		.udp_port = 11211};
	assert_int_equal(worker_group_open(&lab->group,
				 &(struct worker_group_options){.workers = workers, .credits = 64}),
		0);
	for (unsigned i = 0; i < workers; i++) {
		assert_int_equal(mem_domain_open(&lab->mem[i],
					 &(struct mem_options){.name = "w", .numa_node = -1}),
			0);
		assert_int_equal(worker_open(&lab->w[i], lab->group,
					 &(struct worker_options){.id = i,
						 .mem = lab->mem[i],
						 .port = &lab->port,
						 .net = &lab->net,
						 .settings = &lab->settings,
						 .limit_bytes = limit_bytes / workers,
						 .store = store_settings_default(),
						 .conns_max = 100,
						 .seed = 7 + i}),
			0);
	}
	host_open(&lab->host);
}

static void client_read(struct tcp_conn *c)
{
	struct rte_mbuf *m;

	while (!lab->stop_reading && (m = tcp_rx_peek(c)) != NULL) {
		assert_true(lab->reply_len + m->data_len <= REPLY_MAX);
		memcpy(lab->reply + lab->reply_len, rte_pktmbuf_mtod(m, char *), m->data_len);
		lab->reply_len += m->data_len;
		tcp_rx_consume(lab->host.tcp, c, m->data_len);
	}
}

static void udp_read(struct rte_mbuf *m, const struct net_packet *pkt)
{
	memcpy(lab->reply + lab->reply_len, rte_pktmbuf_mtod_offset(m, char *, pkt->data_off),
		pkt->data_len);
	lab->reply_len += pkt->data_len;
	rte_pktmbuf_free(m);
}

static void host_turn(struct host *h)
{
	struct rte_mbuf *m;
	struct net_packet pkt;
	struct tcp_conn *c;
	unsigned events;

	while (wire_rx(&h->in, &m, 1) == 1) {
		switch (net_input(h->net, &m, lab->now.mono_us, &pkt)) {
		case NET_TCP:
			tcp_input(h->tcp, m, &pkt, lab->now.mono_us);
			break;
		case NET_UDP:
			udp_read(m, &pkt);
			break;
		default:
			break;
		}
	}
	while ((c = tcp_event_next(h->tcp, &events)) != NULL) {
		client_read(c);
		if (events & TCP_EV_FIN) {
			lab->closed = true;
			tcp_shutdown(h->tcp, c);
		}
		if (events & TCP_EV_CLOSED) {
			lab->closed = true;
			tcp_release(h->tcp, c);
		}
	}
	tcp_timers(h->tcp, lab->now.mono_us);
	net_timers(h->net, lab->now.mono_us);
	tcp_flush(h->tcp, lab->now.mono_us);
	if (h->tx.count > 0)
		h->tx.flush(h->tx.arg, h->tx.m, h->tx.count);
	h->tx.count = 0;
}

static void lab_run(uint64_t us)
{
	unsigned work;

	for (uint64_t until = lab->now.mono_us + us; lab->now.mono_us < until;) {
		lab->now.mono_us += STEP_US;
		lab->now.wall_s = 1700000000 + lab->now.mono_us / 1000000;
		for (unsigned i = 0; i < lab->workers; i++)
			worker_turn(lab->w[i], lab->now, &work);
		host_turn(&lab->host);
	}
}

static struct tcp_conn *client_connect(void)
{
	struct tcp_conn *c = tcp_connect(lab->host.tcp, lab->net.ip, 11211, 0, 0, lab->now.mono_us);

	assert_non_null(c);
	lab_run(2000);
	return c;
}

static void client_send(struct tcp_conn *c, const char *p, size_t n)
{
	while (n > 0) {
		struct rte_mbuf *m;
		uint16_t part = (uint16_t)base_min_u64(n, tcp_mss(c));

		for (int i = 0; tcp_send_room(c) == 0; i++) {
			assert_true(i < 100000);
			lab_run(STEP_US);
		}
		m = rte_pktmbuf_alloc(pool_client);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, part), p, part);
		tcp_send(lab->host.tcp, c, m);
		p += part;
		n -= part;
	}
}

static void client_abort(struct tcp_conn *c)
{
	tcp_abort(lab->host.tcp, c);
	lab_run(20000);
}

static void expect(const char *want, size_t len)
{
	for (int i = 0; i < 5000 && lab->reply_len < len; i++)
		lab_run(1000);
	assert_int_equal(lab->reply_len, len);
	assert_memory_equal(lab->reply, want, len);
	lab->reply_len = 0;
}

static void talk(struct tcp_conn *c, const char *request, const char *want)
{
	client_send(c, request, strlen(request));
	expect(want, strlen(want));
}

// Everything must come home: slots, items, mbufs.
static void lab_close(void)
{
	struct worker_orders orders = {.phase = WORKER_PHASE_DRAIN, .limit_bytes = 1 << 20};
	struct worker_report rep;

	for (unsigned i = 0; i < lab->workers; i++)
		worker_orders_set(lab->group, i, &orders);
	lab_run(50000);
	for (unsigned i = 0; i < lab->workers; i++) {
		worker_report_get(lab->group, i, &rep);
		assert_true(rep.drained);
		assert_int_equal(rep.n.mem_used[MEM_INPUT], 0);
		assert_int_equal(rep.n.mem_used[MEM_OUTPUT], 0);
		assert_int_equal(rep.n.store.pinned_bytes, 0);
	}
	tcp_close(lab->host.tcp);
	net_close(lab->host.net);
	for (unsigned i = 0; i < lab->host.tx.count; i++)
		rte_pktmbuf_free(lab->host.tx.m[i]);
	mem_domain_close(lab->host.mem);
	for (unsigned i = 0; i < lab->workers; i++) {
		struct rte_mbuf *m;

		worker_close(lab->w[i]);
		mem_domain_close(lab->mem[i]);
		while (wire_rx(&lab->in[i], &m, 1) == 1)
			rte_pktmbuf_free(m);
	}
	for (struct rte_mbuf *m; wire_rx(&lab->host.in, &m, 1) == 1;)
		rte_pktmbuf_free(m);
	worker_group_close(lab->group);
	free(lab->reply);
	free(lab);
	assert_int_equal(rte_mempool_in_use_count(pool_server), 0);
	assert_int_equal(rte_mempool_in_use_count(pool_client), 0);
}

static void shards_answer_each(unsigned workers)
{
	struct tcp_conn *c;

	lab_open(workers, 64 << 20);
	c = client_connect();
	for (int i = 0; i < 50; i++) {
		char request[128], want[128];

		snprintf(request, sizeof(request), "set key%d 5 0 3\r\nv%02d\r\nget key%d\r\n", i,
			i, i);
		snprintf(want, sizeof(want), "STORED\r\nVALUE key%d 5 3\r\nv%02d\r\nEND\r\n", i, i);
		talk(c, request, want);
	}
	talk(c, "delete key7\r\nget key7\r\nincr key8 1\r\n",
		"DELETED\r\nEND\r\n"
		"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	talk(c, "mn\r\nversion\r\nbogus\r\n",
		"MN\r\nVERSION 1.6.45-lcached-" LC_VERSION "\r\nERROR\r\n");
	client_abort(c);
	lab_close();
}

static void one_worker_serves(void **state)
{
	shards_answer_each(1);
}

static void three_workers_serve_each_other_s_keys(void **state)
{
	shards_answer_each(3);
}

static void multi_get_over_shards_is_in_order(void **state)
{
	char *request = malloc(1 << 20), *want = malloc(1 << 20);
	size_t r, n = 0;
	struct tcp_conn *c;

	lab_open(3, 64 << 20);
	c = client_connect();
	for (int i = 0; i < 1000; i++) {
		r = (size_t)sprintf(request, "set k%d 0 0 4 noreply\r\n%04d\r\n", i, i);
		client_send(c, request, r);
	}
	r = (size_t)sprintf(request, "get");
	for (int i = 0; i < 1000; i++) {
		r += (size_t)sprintf(request + r, " k%d", i);
		n += (size_t)sprintf(want + n, "VALUE k%d 0 4\r\n%04d\r\n", i, i);
	}
	r += (size_t)sprintf(request + r, "\r\n");
	n += (size_t)sprintf(want + n, "END\r\n");
	client_send(c, request, r);
	expect(want, n);
	client_abort(c);
	lab_close();
	free(request);
	free(want);
}

// Values of all sizes to keys of every shard: gathered, reserved, local.
static void values_of_all_sizes_cross_shards(void **state)
{
	static const unsigned sizes[] = {0, 1, 1024, 16384, 16385, 100000, (1 << 20) - 512};
	char *value = malloc(2 << 20), *want = malloc(2 << 20), head[64];
	struct tcp_conn *c;

	for (size_t i = 0; i < 2 << 20; i++)
		value[i] = (char)(i * 131 + i / 251);
	lab_open(3, 256 << 20);
	c = client_connect();
	for (unsigned s = 0; s < BASE_ARRAY_LEN(sizes); s++) {
		for (int k = 0; k < 6; k++) {
			size_t n = (size_t)sprintf(head, "set big%d 0 0 %u\r\n", k, sizes[s]);

			client_send(c, head, n);
			client_send(c, value, sizes[s]);
			talk(c, "\r\n", "STORED\r\n");
			n = (size_t)sprintf(want, "VALUE big%d 0 %u\r\n", k, sizes[s]);
			memcpy(want + n, value, sizes[s]);
			memcpy(want + n + sizes[s], "\r\nEND\r\n", 7);
			n = n + sizes[s] + 7;
			client_send(c, head, (size_t)sprintf(head, "get big%d\r\n", k));
			expect(want, n);
		}
	}
	client_abort(c);
	lab_close();
	free(value);
	free(want);
}

static void broken_value_of_any_size_is_refused(void **state)
{
	static const unsigned sizes[] = {3, 20000};
	char *value = calloc(1, 20002), head[64];
	struct tcp_conn *c;

	lab_open(3, 64 << 20);
	c = client_connect();
	for (unsigned s = 0; s < BASE_ARRAY_LEN(sizes); s++) {
		for (int k = 0; k < 6; k++) {
			client_send(c, head,
				(size_t)sprintf(head, "set bad%d 0 0 %u\r\n", k, sizes[s]));
			client_send(c, value, sizes[s] + 2);
			expect("CLIENT_ERROR bad data chunk\r\n", 29);
			client_send(c, head, (size_t)sprintf(head, "get bad%d\r\n", k));
			expect("END\r\n", 5);
		}
	}
	client_abort(c);
	lab_close();
	free(value);
}

static void connection_dies_while_a_value_is_filled(void **state)
{
	static const unsigned sizes[] = {100, 100000};
	char head[64], part[40] = {0};

	lab_open(3, 64 << 20);
	for (unsigned s = 0; s < BASE_ARRAY_LEN(sizes); s++) {
		for (int k = 0; k < 12; k++) {
			struct tcp_conn *c = client_connect();

			client_send(c, head,
				(size_t)sprintf(head, "set gone%d 0 0 %u\r\n", k, sizes[s]));
			client_send(c, part, sizeof(part));
			lab_run(k < 6 ? 200 : STEP_US * 2); // also while the reserve is under way
			client_abort(c);
		}
	}
	lab_close();
}

static void reader_that_does_not_read_gets_everything_later(void **state)
{
	char *value = malloc(100001), *want = malloc(8 << 20);
	char head[64];
	size_t n = 0, tail;
	struct tcp_conn *c;

	memset(value, 'x', 100000);
	lab_open(3, 64 << 20);
	c = client_connect();
	for (int k = 0; k < 5; k++) {
		client_send(c, head, (size_t)sprintf(head, "set slow%d 0 0 100000\r\n", k));
		client_send(c, value, 100000);
		talk(c, "\r\n", "STORED\r\n");
	}
	lab->stop_reading = true;
	for (int i = 0; i < 60; i++) {
		client_send(c, head, (size_t)sprintf(head, "get slow%d\r\n", i % 5));
		n += (size_t)sprintf(want + n, "VALUE slow%d 0 100000\r\n", i % 5);
		memcpy(want + n, value, 100000);
		tail = n + 100000;
		memcpy(want + tail, "\r\nEND\r\n", 7);
		n = tail + 7;
	}
	lab_run(500000);
	for (unsigned i = 0; i < 3; i++)
		assert_true(lab->w[i]->slots_out <= WORKER_SINK_SLOTS);
	lab->stop_reading = false;
	tcp_event_again(lab->host.tcp, c, TCP_EV_READABLE);
	expect(want, n);
	client_abort(c);
	lab_close();
	free(value);
	free(want);
}

static void flush_and_stats_cover_every_shard(void **state)
{
	char head[64];
	struct tcp_conn *c;

	lab_open(3, 64 << 20);
	c = client_connect();
	for (int i = 0; i < 30; i++) {
		client_send(c, head, (size_t)sprintf(head, "set f%d 0 0 1\r\nx\r\n", i));
		expect("STORED\r\n", 8);
	}
	client_send(c, "stats\r\n", 7);
	lab_run(5000);
	assert_non_null(strstr(lab->reply, "STAT curr_items 30\r\n"));
	assert_non_null(strstr(lab->reply, "STAT cmd_set 30\r\n"));
	assert_non_null(strstr(lab->reply, "STAT lru_bumps_dropped 0\r\nEND\r\n"));
	lab->reply_len = 0;
	talk(c, "flush_all\r\nget f1 f2 f3 f4 f5 f6 f7 f8\r\n", "OK\r\nEND\r\n");
	client_abort(c);
	lab_close();
}

static void quit_closes_after_the_replies(void **state)
{
	struct tcp_conn *c;

	lab_open(3, 64 << 20);
	c = client_connect();
	talk(c, "set q 0 0 1\r\nx\r\nget q\r\nquit\r\nget q\r\n",
		"STORED\r\nVALUE q 0 1\r\nx\r\nEND\r\n");
	lab_run(10000);
	assert_true(lab->closed);
	lab_close();
}

static void udp_send(const char *request, size_t n, uint16_t id)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool_client);
	struct net_path path = {.dst_ip = lab->net.ip};
	char *p = rte_pktmbuf_append(m, (uint16_t)(8 + n));

	proto_udp_write(p, id, 0, 1);
	memcpy(p + 8, request, n);
	net_udp_output(lab->host.net, m, &path, 4000, 11211, lab->now.mono_us);
}

static void udp_answers_in_one_numbered_message(void **state)
{
	char want[64], *p;

	lab_open(3, 64 << 20);
	for (int i = 0; i < 6; i++) {
		char request[64];
		size_t n = (size_t)sprintf(request, "set u%d 0 0 1000\r\n", i);
		char *all = calloc(1, n + 1002);

		memcpy(all, request, n);
		memset(all + n, 'a' + i, 1000);
		memcpy(all + n + 1000, "\r\n", 2);
		udp_send(all, n + 1002, (uint16_t)i);
		lab_run(2000);
		proto_udp_write(want, (uint16_t)i, 0, 1);
		memcpy(want + 8, "STORED\r\n", 8);
		expect(want, 16);
		free(all);
	}
	udp_send("get u0 u1 u2 u3 u4 u5\r\n", 23, 77);
	lab_run(5000);
	// 6 values of 1,000 bytes and their heads: five datagrams, numbered, all but the last full
	assert_int_equal(lab->reply_len, 6 * (17 + 1002) + 5 + 5 * 8);
	for (int i = 0; i < 5; i++) {
		p = lab->reply + i * 1400;
		proto_udp_write(want, 77, (uint16_t)i, 5);
		assert_memory_equal(p, want, 8);
	}
	lab->reply_len = 0;
	udp_send("set u9 0 0 1000\r\nshort\r\n", 24, 5);
	lab_run(2000);
	proto_udp_write(want, 5, 0, 1);
	memcpy(want + 8, "CLIENT_ERROR bad data chunk\r\n", 29);
	expect(want, 37);
	lab_close();
}

static int group_setup(void **state)
{
	char *argv[] = {"test", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m",
		"256", "-l", "0", "--iova-mode=va", "--log-level=*:error", "--file-prefix=wserver"};

	if (rte_eal_init(BASE_ARRAY_LEN(argv), argv) < 0)
		return -1;
	pool_server = rte_pktmbuf_pool_create("server", POOL_MBUFS, 0, 0, 2176, SOCKET_ID_ANY);
	pool_client = rte_pktmbuf_pool_create("client", POOL_MBUFS, 0, 0, 2176, SOCKET_ID_ANY);
	return pool_server != NULL && pool_client != NULL ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_worker_serves),
		cmocka_unit_test(three_workers_serve_each_other_s_keys),
		cmocka_unit_test(multi_get_over_shards_is_in_order),
		cmocka_unit_test(values_of_all_sizes_cross_shards),
		cmocka_unit_test(broken_value_of_any_size_is_refused),
		cmocka_unit_test(connection_dies_while_a_value_is_filled),
		cmocka_unit_test(reader_that_does_not_read_gets_everything_later),
		cmocka_unit_test(flush_and_stats_cover_every_shard),
		cmocka_unit_test(quit_closes_after_the_replies),
		cmocka_unit_test(udp_answers_in_one_numbered_message),
	};

	return cmocka_run_group_tests_name("server", tests, group_setup, NULL);
}
