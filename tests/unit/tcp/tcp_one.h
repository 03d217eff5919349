// SPDX-License-Identifier: BSD-3-Clause
// One stack and a wire in the test's hands: segments are made and looked at in one line each, so
// that a test reads like a packet trace. The stack's first sequence number is ISS, the peer's IRS.
#pragma once

#include "tcp_sim.h"

#define ISS   1000u
#define IRS   5000u
#define PORT  11211
#define PEER  40000
#define OUTS  256
#define MBUFS 4095

#define SYN   RTE_TCP_SYN_FLAG
#define ACK   RTE_TCP_ACK_FLAG
#define FIN   RTE_TCP_FIN_FLAG
#define RST   RTE_TCP_RST_FLAG

struct one {
	struct mem_domain *mem;
	struct rte_mempool *pool;
	struct net *net;
	struct net_tx tx;
	struct tcp *tcp;
	struct tcp_conn *c; // the one the test is about
	unsigned events;    // of c, gathered
	uint64_t now_us, next_us;
	bool hold; // the device keeps what it is given
	struct tcp_seg out[OUTS];
	struct rte_mbuf *held[OUTS];
	unsigned outs, seen, helds;
	// the peer
	struct base_ip peer_ip;
	uint16_t peer_port;
	uint32_t seq, ack, tsval; // what its next segment says; tsval 0: no timestamps
	uint16_t wnd;
	uint8_t ecn; // of its IP header
};

static inline void one_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct one *o = arg;

	for (uint16_t i = 0; i < n; i++) {
		uint8_t frame[2048];
		const struct rte_tcp_hdr *th = (const void *)(frame + 34);
		struct tcp_seg *s = &o->out[o->outs % OUTS];
		struct rte_mbuf *flat = m[i];

		assert_true(flat->pkt_len <= sizeof(frame));
		for (uint32_t at = 0; flat != NULL; flat = flat->next) {
			memcpy(frame + at, rte_pktmbuf_mtod(flat, void *), flat->data_len);
			at += flat->data_len;
		}
		*s = (struct tcp_seg){.seq = rte_be_to_cpu_32(th->sent_seq),
			.ack = rte_be_to_cpu_32(th->recv_ack),
			.wnd = rte_be_to_cpu_16(th->rx_win),
			.flags = th->tcp_flags,
			.ecn = frame[15] & 3,
			.len = m[i]->pkt_len - 34 - (th->data_off >> 4) * 4};
		assert_true(tcp_options_parse(
			s, (const uint8_t *)(th + 1), (th->data_off >> 4) * 4 - sizeof(*th)));
		assert_int_equal(
			rte_be_to_cpu_16(((struct rte_ipv4_hdr *)(frame + 14))->total_length),
			m[i]->pkt_len - 14);
		if (getenv("SIM_VERBOSE"))
			printf("%lu: flags %x seq %u ack %u len %u wnd %u\n",
				(unsigned long)o->now_us, s->flags, s->seq, s->ack, s->len, s->wnd);
		o->outs++;
		if (o->hold && o->helds < OUTS)
			o->held[o->helds++] = m[i];
		else
			rte_pktmbuf_free(m[i]);
	}
}

static inline void one_let_go(struct one *o)
{
	while (o->helds > 0)
		rte_pktmbuf_free(o->held[--o->helds]);
	o->hold = false;
}

static inline struct one *one_open_with(struct tcp_options to)
{
	static const struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 1}}, peer = {{2, 0, 0, 0, 0, 2}};
	struct one *o = calloc(1, sizeof(*o));
	struct net_options no = {.tx = &o->tx,
		.mac = mac,
		.own = {{base_ip4(RTE_BE32(0x0a000001)), 24}},
		.owns = 1,
		.mtu = 1500,
		.socket_id = -1};

	o->now_us = 5000000;
	o->pool = sim_pool("one", 0, MBUFS);
	assert_int_equal(
		mem_domain_open(&o->mem, &(struct mem_options){.name = "one", .numa_node = -1}), 0);
	o->tx = (struct net_tx){.flush = one_tx, .arg = o};
	no.mem = to.mem = o->mem;
	no.pool = to.pool = o->pool;
	assert_int_equal(net_open(&o->net, &no), 0);
	to.net = o->net;
	to.seed = 3;
	assert_int_equal(tcp_open(&o->tcp, &to), 0);
	o->tcp->iss_fixed = true;
	o->tcp->iss_next = ISS;
	o->peer_ip = base_ip4(RTE_BE32(0x0a000002));
	o->peer_port = PEER;
	o->wnd = 65535;
	net_neigh_learn(o->net, o->peer_ip, &peer, o->now_us);
	assert_int_equal(tcp_listen(o->tcp, PORT), 0);
	return o;
}

static inline struct one *one_open(void)
{
	return one_open_with((struct tcp_options){.rcv_buf_bytes = 65535});
}

static inline void one_close(struct one *o)
{
	one_let_go(o);
	tcp_close(o->tcp);
	net_tx_flush(&o->tx);
	one_let_go(o);
	net_close(o->net);
	assert_int_equal(rte_mempool_in_use_count(o->pool), 0);
	assert_int_equal(mem_used_class(o->mem, MEM_CONNS), 0);
	mem_domain_close(o->mem);
	rte_mempool_free(o->pool);
	free(o);
}

// ---- the peer speaks ---------------------------------------------------------------------------
static inline void one_in_raw(struct one *o, uint8_t flags, const uint8_t *opts, unsigned opts_len,
	const void *data, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(o->pool);
	struct net_packet pkt = {.src = o->peer_ip,
		.ecn = o->ecn,
		.l4_off = 34,
		.l4_len = (uint16_t)(20 + opts_len + len)};
	uint8_t *p;
	struct rte_tcp_hdr *th;

	assert_non_null(m);
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(34 + 20 + opts_len + len));
	assert_non_null(p);
	th = (void *)(p + 34);
	*th = (struct rte_tcp_hdr){.src_port = rte_cpu_to_be_16(o->peer_port),
		.dst_port = rte_cpu_to_be_16(PORT),
		.sent_seq = rte_cpu_to_be_32(o->seq),
		.recv_ack = rte_cpu_to_be_32(flags & ACK ? o->ack : 0),
		.data_off = (uint8_t)((20 + opts_len) / 4 << 4),
		.tcp_flags = flags,
		.rx_win = rte_cpu_to_be_16(o->wnd)};
	if (opts_len)
		memcpy(th + 1, opts, opts_len);
	if (len)
		memcpy(p + 54 + opts_len, data, len);
	th->cksum = net_l4_checksum(m, 34, &pkt.src, net_ip(o->net, 0), IPPROTO_TCP);
	tcp_input(o->tcp, m, &pkt, o->now_us);
}

static inline void one_in(struct one *o, uint8_t flags, const void *data, uint32_t len)
{
	uint8_t opts[40];
	uint32_t n = 0;

	if (flags & SYN)
		n = tcp_options_syn(opts, 1460, true, o->tsval != 0, true, 0, o->tsval, 0);
	else if (o->tsval)
		n = tcp_options_ts(opts, o->tsval, 0);
	one_in_raw(o, flags, opts, n, data, len);
}

// At an offset from what comes next in order.
static inline void one_in_at(
	struct one *o, int32_t offset, uint8_t flags, const void *data, uint32_t len)
{
	uint32_t seq = o->seq;

	o->seq += (uint32_t)offset;
	one_in(o, flags, data, len);
	o->seq = seq;
}

static inline void one_in_data(struct one *o, uint32_t len)
{
	uint8_t data[2000];

	memset(data, 'd', sizeof(data));
	one_in(o, ACK, data, len);
	o->seq += len;
}

static inline void one_in_sack(struct one *o, uint32_t start, uint32_t end)
{
	struct tcp_ooo b = {.blocks = 1, .sack = {{start, end}}};
	uint8_t opts[40];
	uint32_t n = 0;

	if (o->tsval)
		n = tcp_options_ts(opts, o->tsval, 0);
	n += tcp_options_sack(opts + n, NULL, &b, 1);
	one_in_raw(o, ACK, opts, n, NULL, 0);
}

// ---- the stack answers -------------------------------------------------------------------------
static inline void one_events(struct one *o)
{
	struct tcp_conn *c;
	unsigned events;

	while ((c = tcp_event_next(o->tcp, &events)) != NULL) {
		if (o->c == NULL)
			o->c = c;
		if (c == o->c)
			o->events |= events;
	}
}

static inline void one_turn(struct one *o)
{
	one_events(o);
	tcp_timers(o->tcp, o->now_us);
	one_events(o);
	tcp_flush(o->tcp, o->now_us);
	net_tx_flush(&o->tx);
	o->next_us = tcp_deadline(o->tcp);
}

static inline void one_wait_us(struct one *o, uint64_t us)
{
	uint64_t end = o->now_us + us;

	one_turn(o);
	while (o->next_us <= end) {
		o->now_us = base_max_u64(o->next_us, o->now_us + 1);
		one_turn(o);
	}
	o->now_us = end;
	one_turn(o);
}

// Has one more segment left than were looked at?
static inline const struct tcp_seg *one_out(struct one *o)
{
	one_turn(o);
	if (o->seen == o->outs)
		fail_msg("nothing was sent");
	return &o->out[o->seen++ % OUTS];
}

static inline void one_expect(
	struct one *o, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	const struct tcp_seg *s = one_out(o);

	assert_int_equal(s->flags & ~RTE_TCP_PSH_FLAG, flags);
	assert_int_equal(s->seq, seq);
	if (flags & ACK)
		assert_int_equal(s->ack, ack);
	assert_int_equal(s->len, len);
}

static inline void one_expect_silence(struct one *o)
{
	one_turn(o);
	if (o->seen != o->outs) {
		const struct tcp_seg *s = &o->out[o->seen % OUTS];

		fail_msg("not silent: flags %x seq %u ack %u len %u", s->flags, s->seq, s->ack,
			s->len);
	}
}

static inline void one_expect_event(struct one *o, unsigned event)
{
	one_turn(o);
	assert_true(o->events & event);
	o->events &= ~event;
}

static inline void one_establish(struct one *o)
{
	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	one_expect_silence(o);
}

static inline void one_send(struct one *o, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(o->pool);

	assert_non_null(m);
	assert_non_null(rte_pktmbuf_append(m, (uint16_t)len));
	memset(rte_pktmbuf_mtod(m, void *), 's', len);
	tcp_send(o->tcp, o->c, m);
}

static inline void one_release(struct one *o)
{
	one_expect_event(o, TCP_EV_CLOSED);
	tcp_release(o->tcp, o->c);
	o->c = NULL;
	o->events = 0;
}

// No quick ACKs are left.
static inline void one_settle(struct one *o)
{
	o->c->quick_acks = 0;
}
