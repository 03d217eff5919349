// SPDX-License-Identifier: BSD-3-Clause
// A connection that is already established, driven by the input: each operation is a byte and what
// it takes. Segments are nearly right (numbers near the next one, good checksums), so that they get
// past the first look. Checked: what comes out is well-formed and has the right bytes, what is read
// is what was sent, and everything is given back at the end.
#include "../pkt/pkt.h"
#include "tcp/tcp_internal.h"

#define OPS_MAX 400
#define PEERS   3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	const uint8_t *at, *end;
};

static uint32_t byte_take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint32_t word_take(struct input *in)
{
	uint32_t high = byte_take(in);

	return high << 8 | byte_take(in);
}

// Near: -128..127; far: anything within 2^24 either way.
static uint32_t offset_take(struct input *in)
{
	uint32_t b = byte_take(in);

	if (b == 0x80)
		return (word_take(in) << 9) - (1u << 24);
	return (uint32_t)(int8_t)b * (b & 1 ? 1u : 1448u / 2);
}

static void segment_check(const struct pkt_seg *s)
{
	base_assert(!s->bad_sum);
	base_assert(!s->syn_cut);
	base_assert(!s->bad_data || s->flags & RTE_TCP_SYN_FLAG);
}

static void seg_in(struct pkt_lab *lab, struct input *in)
{
	static const uint8_t usual[] = {RTE_TCP_ACK_FLAG, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG,
		RTE_TCP_ACK_FLAG | RTE_TCP_FIN_FLAG, RTE_TCP_SYN_FLAG};
	struct pkt_peer *p = lab->at;
	struct pkt_spoil spoil = {.data_off = -1};
	uint32_t how = byte_take(in);
	struct pkt_seg s = {.peer_port = p->port,
		.flags = usual[how & 3],
		.seq = p->sent_high + offset_take(in),
		.ack = p->ack_high + offset_take(in),
		.len = how & 4 ? word_take(in) % 1461 : 0,
		.wnd = how & 8 ? (uint16_t)word_take(in) : 60000,
		.wscale = -1,
		.ts = how & 16,
		.tsval = 1000 + (uint32_t)((lab->now_us - lab->start_us) / 1000),
		.tsecr = p->tsval_in};

	if (how & 32)
		s.flags = (uint8_t)byte_take(in);
	if (s.flags & RTE_TCP_SYN_FLAG) {
		s.mss = (uint16_t)word_take(in);
		s.sack_ok = how & 64 ? 1 : 0;
		s.wscale = (int8_t)(byte_take(in) & 15);
	} else if (how & 64) {
		s.blocks = (uint8_t)(byte_take(in) % (s.ts ? 4 : 5));
		for (unsigned i = 0; i < s.blocks; i++) {
			s.block[i][0] = p->ack_high + offset_take(in);
			s.block[i][1] = s.block[i][0] + offset_take(in);
		}
	}
	if (how & 128)
		s.tsval += offset_take(in), s.ip_ecn = byte_take(in) & 3;
	if ((int32_t)(s.seq + s.len - p->sent_high) > 0 && (int32_t)(s.seq - p->sent_high) <= 0)
		p->sent_high = s.seq + s.len;
	pkt_segment_in(lab, &s, &spoil);
}

static void app_read(struct pkt_lab *lab, uint32_t bytes)
{
	struct tcp_conn *c = lab->at->conn;
	struct rte_mbuf *m;

	while (bytes > 0 && (m = tcp_rx_peek(c)) != NULL) {
		uint32_t n = RTE_MIN((uint32_t)m->data_len, bytes);
		uint32_t fin = c->flags & TCP_F_FIN_RCVD ? 1 : 0;
		uint32_t at = c->node.rcv_nxt - fin - tcp_rx_bytes(c) - lab->at->irs - 1;
		const uint8_t *have = rte_pktmbuf_mtod(m, const uint8_t *);

		for (uint32_t i = 0; i < n; i++)
			base_assert(have[i] == pkt_byte(at + i));
		tcp_rx_consume(lab->tcp, c, n);
		bytes -= n;
	}
}

static void app_op(struct pkt_lab *lab, uint32_t op, struct input *in)
{
	struct tcp_conn *c = lab->at->conn;

	if (c == NULL)
		return;
	switch (op) {
	case 0: {
		uint32_t n = word_take(in) % 8192;

		if (tcp_send_room(lab->tcp, c) >= n && !(c->flags & TCP_F_FIN_QUEUED))
			pkt_app_send(lab, n);
		break;
	}
	case 1:
		app_read(lab, word_take(in));
		break;
	case 2:
		tcp_shutdown(lab->tcp, c);
		break;
	case 3:
		tcp_abort(lab->tcp, c);
		break;
	}
}

static void op_run(struct pkt_lab *lab, struct input *in)
{
	static const uint32_t ms[] = {1, 5, 40, 200, 1000, 10000, 60000, 1000000};
	uint32_t op = byte_take(in);

	switch (op % 8) {
	case 0:
	case 1:
	case 2:
		seg_in(lab, in);
		break;
	case 3: {
		uint64_t until = lab->now_us + ms[op / 8 % 8] * UINT64_C(1000);

		for (unsigned i = 0; i < 64 && lab->now_us < until; i++) {
			pkt_lab_advance(lab, until, true);
			pkt_lab_turn(lab);
		}
		break;
	}
	case 4:
		app_op(lab, op / 8 % 2, in);
		break;
	case 5:
		app_op(lab, op / 8 % 4, in);
		break;
	case 6:
		lab->at = &lab->peer[op / 8 % PEERS];
		break;
	default:
		if (lab->outs > 0)
			pkt_icmp_in(lab, (uint16_t)word_take(in), offset_take(in));
	}
	if (op < 128)
		pkt_lab_turn(lab);
}

static void establish(struct pkt_lab *lab, uint32_t how)
{
	struct pkt_spoil spoil = {.data_off = -1};
	struct pkt_peer *p = lab->at;
	struct pkt_seg s = {.peer_port = p->port,
		.flags = RTE_TCP_SYN_FLAG,
		.seq = p->irs,
		.wnd = 60000,
		.mss = 1460,
		.wscale = how & 1 ? 7 : -1,
		.sack_ok = how & 2 ? 1 : 0,
		.ts = how & 4,
		.tsval = 1000};

	p->offered_ts = s.ts;
	pkt_segment_in(lab, &s, &spoil);
	pkt_lab_turn(lab);
	p->sent_high = p->irs + 1;
	s = (struct pkt_seg){.peer_port = p->port,
		.flags = RTE_TCP_ACK_FLAG,
		.seq = p->sent_high,
		.ack = p->ack_high,
		.wnd = 60000,
		.wscale = -1,
		.ts = how & 4,
		.tsval = 1000,
		.tsecr = p->tsval_in};
	pkt_segment_in(lab, &s, &spoil);
	pkt_lab_turn(lab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct pkt_lab lab;
	static bool started;
	struct input in = {data, data + len};
	uint32_t how = byte_take(&in);

	if (!started && pkt_eal_start("fuzz_tcp") < 0)
		return 0;
	started = true;
	lab = (struct pkt_lab){.mtu = 1500,
		.irs = how & 8 ? UINT32_MAX - 5 : 5000,
		.pool = lab.pool,
		.release = true,
		.look = segment_check};
	lab.options = (struct tcp_options){
		.rcv_buf_bytes = how & 16 ? 8000 : 100000, .keepalive_us = how & 32 ? 10000000 : 0};
	pkt_lab_open(&lab);
	lab.tcp->iss_fixed = how & 64;
	lab.tcp->iss_next = UINT32_MAX - 5;
	establish(&lab, how);
	for (unsigned i = 0; i < OPS_MAX && in.at < in.end; i++)
		op_run(&lab, &in);
	base_assert(pkt_lab_close(&lab) == NULL);
	return 0;
}
