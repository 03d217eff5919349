// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "cross_tcp.h"

#define MSS        1460
#define FIRST_PORT 5000
#define ISS        1000
#define WINDOW     65535
#define CHECK_EACH 64

#define MG_TAIL    " v\r\n"
#define SET_TAIL   " 0 0 32\r\n"
#define VALUE_TEXT (6 + CROSS_KEY_BYTES + 7 + CROSS_VALUE_BYTES + 2) // "VALUE k 0 32", its value

struct segment {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_tcp_hdr tcp;
	char text[];
} __attribute__((packed, aligned(2)));

_Noreturn void cross_die(const char *what)
{
	fprintf(stderr, "bench_cross_shard: %s\n", what);
	exit(1);
}

uint64_t cross_letters(uint64_t n)
{
	n = (n | n << 16) & UINT64_C(0x0000ffff0000ffff);
	n = (n | n << 8) & UINT64_C(0x00ff00ff00ff00ff);
	n = (n | n << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return n + UINT64_C(0x6161616161616161);
}

static void word_write(char *to, char fill, uint32_t number)
{
	uint64_t word = cross_letters(number);

	memset(to, fill, CROSS_KEY_BYTES);
	memcpy(to, &word, sizeof(word));
}

void cross_key_write(char to[CROSS_KEY_BYTES], uint32_t number)
{
	word_write(to, 'k', number);
}

void cross_value_write(char to[CROSS_VALUE_BYTES], uint32_t number)
{
	word_write(to, 'v', ~number);
}

// ---- texts -------------------------------------------------------------------------------------
static char *put(char *p, const void *from, size_t n)
{
	memcpy(p, from, n);
	return p + n;
}

static char *question_write(enum cross_load load, char *p)
{
	switch (load) {
	case CROSS_MG:
		p = put(p, "mg ", 3);
		break;
	case CROSS_GET:
		p = put(p, "get ", 4);
		break;
	case CROSS_SET:
		p = put(p, "set ", 4);
		break;
	default:
		p = put(p, " ", 1);
	}
	cross_key_write(p, 0);
	p += CROSS_KEY_BYTES;
	if (load == CROSS_MG)
		return put(p, MG_TAIL, sizeof(MG_TAIL) - 1);
	if (load == CROSS_GET)
		return put(p, "\r\n", 2);
	if (load == CROSS_MULTIGET)
		return p;
	p = put(p, SET_TAIL, sizeof(SET_TAIL) - 1);
	cross_value_write(p, 0);
	return put(p + CROSS_VALUE_BYTES, "\r\n", 2);
}

static char *answer_write(const struct cross_tcp *t, char *p, uint32_t number)
{
	if (t->load == CROSS_SET)
		return put(p, "STORED\r\n", 8);
	if (t->load == CROSS_MG) {
		p = put(p, "VA 32\r\n", 7);
	} else {
		p = put(p, "VALUE ", 6);
		cross_key_write(p, number);
		p = put(p + CROSS_KEY_BYTES, " 0 32\r\n", 7);
	}
	cross_value_write(p, number);
	p = put(p + CROSS_VALUE_BYTES, "\r\n", 2);
	return t->load == CROSS_GET ? put(p, "END\r\n", 5) : p;
}

void cross_tcp_open(struct cross_tcp *t, enum cross_load load)
{
	static const unsigned answers[] = {[CROSS_MG] = 7 + CROSS_VALUE_BYTES + 2,
		[CROSS_GET] = VALUE_TEXT + 5,
		[CROSS_MULTIGET] = VALUE_TEXT,
		[CROSS_SET] = 8};
	char text[CROSS_TEXT_MAX], *p = text;

	t->load = load;
	t->questions = load == CROSS_MULTIGET ? CROSS_LINE_KEYS : CROSS_PIPELINE;
	if (load == CROSS_MULTIGET)
		p = put(p, "get", 3);
	t->letters_at = (unsigned)(p - text) +
		(load == CROSS_MULTIGET            ? 1
				: load == CROSS_MG ? 3
						   : 4);
	for (unsigned i = 0; i < t->questions; i++) {
		char *end = question_write(load, p);

		t->question_bytes = (unsigned)(end - p);
		p = end;
	}
	if (load == CROSS_MULTIGET)
		p = put(p, "\r\n", 2);
	t->text_bytes = (uint16_t)(p - text);
	t->answer_bytes = t->questions * answers[load] + (load == CROSS_MULTIGET ? 5 : 0);
	base_assert(t->text_bytes <= CROSS_TEXT_MAX && t->answer_bytes <= CROSS_ANSWER_MAX);
	for (unsigned i = 0; i < CROSS_CONNS; i++) {
		struct cross_conn *c = &t->conn[i];

		memcpy(c->text, text, t->text_bytes);
		c->sent = t->text_bytes;
		c->snd_next = ISS;
	}
	t->connecting = CROSS_CONNS;
}

// Other keys into the questions, which are otherwise always the same.
static void questions_renew(struct cross_tcp *t, struct cross_conn *c)
{
	bool check = t->check == NULL && t->rounds++ % CHECK_EACH == 0;
	char *at = c->text + t->letters_at, *want = t->want;

	for (unsigned i = 0; i < t->questions; i++, at += t->question_bytes) {
		uint32_t number = t->keys[base_rng_below(&t->rng, t->key_count)];
		uint64_t word = cross_letters(number);

		memcpy(at, &word, sizeof(word));
		if (t->load == CROSS_SET) {
			word = cross_letters(~number);
			memcpy(at + CROSS_KEY_BYTES + sizeof(SET_TAIL) - 1, &word, sizeof(word));
		}
		if (check)
			want = answer_write(t, want, number);
	}
	if (check) {
		if (t->load == CROSS_MULTIGET)
			want = put(want, "END\r\n", 5);
		base_assert(want == t->want + t->answer_bytes);
		t->check = c;
		t->check_at = 0;
	}
	c->sent = 0;
	c->missing = t->answer_bytes;
}

// ---- segments ----------------------------------------------------------------------------------
static struct segment *segment_begin(struct cross_tcp *t, const struct cross_conn *c,
	struct rte_mbuf *m, uint8_t flags, unsigned option_bytes, unsigned bytes)
{
	const uint16_t tcp_bytes = (uint16_t)(sizeof(struct rte_tcp_hdr) + option_bytes + bytes);
	struct segment *f;

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	m->packet_type = 0;
	m->data_len = (uint16_t)(sizeof(f->eth) + sizeof(f->ip) + tcp_bytes);
	m->pkt_len = m->data_len;
	f = rte_pktmbuf_mtod(m, struct segment *);
	f->eth = (struct rte_ether_hdr){.dst_addr = t->server_mac,
		.src_addr = {{2, 0, 0, 0, 1, (uint8_t)t->id}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	f->ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(f->ip) + tcp_bytes)),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = t->own_ip,
		.dst_addr = t->server_ip};
	f->tcp = (struct rte_tcp_hdr){
		.src_port = rte_cpu_to_be_16((uint16_t)(FIRST_PORT + (c - t->conn))),
		.dst_port = t->server_port,
		.sent_seq = rte_cpu_to_be_32(c->snd_next),
		.recv_ack = rte_cpu_to_be_32(c->rcv_next),
		.data_off = (uint8_t)((sizeof(f->tcp) + option_bytes) / 4 << 4),
		.tcp_flags = flags,
		.rx_win = RTE_BE16(WINDOW)};
	return f;
}

static void syn_write(struct cross_tcp *t, struct rte_mbuf *m)
{
	static const uint8_t mss[4] = {2, 4, MSS >> 8, MSS & 255};
	struct cross_conn *c = &t->conn[CROSS_CONNS - t->connecting--];
	struct segment *f = segment_begin(t, c, m, RTE_TCP_SYN_FLAG, sizeof(mss), 0);

	memcpy(f->text, mss, sizeof(mss));
	c->snd_next++;
}

static void arp_write(struct cross_tcp *t, struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth;
	struct rte_arp_hdr *arp;

	t->arp = false;
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->ol_flags = 0;
	m->packet_type = 0;
	m->data_len = sizeof(*eth) + sizeof(*arp);
	m->pkt_len = m->data_len;
	eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	arp = (struct rte_arp_hdr *)(eth + 1);
	*eth = (struct rte_ether_hdr){.dst_addr = t->server_mac,
		.src_addr = {{2, 0, 0, 0, 1, (uint8_t)t->id}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP)};
	*arp = (struct rte_arp_hdr){.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = RTE_ETHER_ADDR_LEN,
		.arp_plen = sizeof(rte_be32_t),
		.arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY),
		.arp_data = {.arp_sha = eth->src_addr,
			.arp_sip = t->own_ip,
			.arp_tha = t->server_mac,
			.arp_tip = t->server_ip}};
}

static void ack_want(struct cross_tcp *t, struct cross_conn *c, bool want)
{
	t->acks += want;
	t->acks -= c->ack;
	c->ack = want;
}

static void ack_write(struct cross_tcp *t, struct rte_mbuf *m)
{
	struct cross_conn *c = t->conn;

	while (!c->ack)
		c++;
	segment_begin(t, c, m, RTE_TCP_ACK_FLAG, 0, 0);
	ack_want(t, c, false);
}

static void questions_send(struct cross_tcp *t, struct rte_mbuf *m)
{
	struct cross_conn *c = t->present;
	unsigned bytes = RTE_MIN(t->text_bytes - c->sent, MSS);
	struct segment *f = segment_begin(t, c, m, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, 0, bytes);

	ack_want(t, c, false);
	memcpy(f->text, c->text + c->sent, bytes);
	c->sent = (uint16_t)(c->sent + bytes);
	c->snd_next += bytes;
	if (c->sent == t->text_bytes)
		t->present = NULL;
}

bool cross_tcp_wants(const struct cross_tcp *t)
{
	return t->arp || t->connecting > 0 || t->present != NULL || t->acks > 0 ||
		(t->idles > 0 && !t->stop);
}

uint16_t cross_tcp_rx(struct cross_tcp *t, struct rte_mbuf **m, uint16_t n)
{
	uint16_t k = 0;

	for (; k < n && cross_tcp_wants(t); k++) {
		if (t->arp) {
			arp_write(t, m[k]);
		} else if (t->connecting > 0) {
			syn_write(t, m[k]);
		} else if (t->acks > 0 && t->present == NULL) {
			ack_write(t, m[k]);
		} else {
			if (t->present == NULL) {
				t->present = &t->conn[t->idle[--t->idles]];
				questions_renew(t, t->present);
			}
			questions_send(t, m[k]);
		}
	}
	return k;
}

// ---- answers -----------------------------------------------------------------------------------
static void answer_check(struct cross_tcp *t, const struct rte_mbuf *m, unsigned at, unsigned bytes)
{
	char copy[MSS];
	const char *text = rte_pktmbuf_read(m, at, bytes, copy);

	if (text == NULL || memcmp(text, t->want + t->check_at, bytes))
		cross_die("a wrong answer");
	t->check_at += bytes;
	if (t->check_at < t->answer_bytes)
		return;
	t->check = NULL;
	t->checked++;
}

static void segment_take(struct cross_tcp *t, const struct rte_mbuf *m)
{
	const struct segment *f = rte_pktmbuf_mtod(m, const struct segment *);
	unsigned at = sizeof(f->eth) + sizeof(f->ip) + (f->tcp.data_off >> 4) * 4u;
	unsigned bytes = rte_be_to_cpu_16(f->ip.total_length) + sizeof(f->eth) - at;
	unsigned i = (unsigned)rte_be_to_cpu_16(f->tcp.dst_port) - FIRST_PORT;
	struct cross_conn *c = &t->conn[i];

	if (i >= CROSS_CONNS || f->tcp.tcp_flags & (RTE_TCP_RST_FLAG | RTE_TCP_FIN_FLAG))
		cross_die("a connection was not accepted, or has ended");
	if (f->tcp.tcp_flags & RTE_TCP_SYN_FLAG) {
		if (c->open)
			return;
		c->open = true;
		c->rcv_next = rte_be_to_cpu_32(f->tcp.sent_seq) + 1;
		t->idle[t->idles++] = i;
		return;
	}
	if (bytes == 0)
		return;
	// A probe for a lost tail may come before the next question.
	if ((int32_t)(rte_be_to_cpu_32(f->tcp.sent_seq) + bytes - c->rcv_next) <= 0) {
		ack_want(t, c, true);
		return;
	}
	if (rte_be_to_cpu_32(f->tcp.sent_seq) != c->rcv_next || bytes > c->missing || bytes > MSS)
		cross_die("a segment out of order, or more than was asked for");
	if (t->check == c)
		answer_check(t, m, at, bytes);
	c->rcv_next += bytes;
	c->missing -= bytes;
	ack_want(t, c, c->missing > 0 || t->stop);
	if (c->missing > 0)
		return;
	t->answered += t->questions;
	t->idle[t->idles++] = i;
}

bool cross_tcp_take(struct cross_tcp *t, const struct rte_mbuf *m)
{
	const struct segment *f = rte_pktmbuf_mtod(m, const struct segment *);
	const struct rte_arp_hdr *arp = (const void *)(&f->eth + 1);

	if (f->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
		t->arp |= arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) &&
			arp->arp_data.arp_tip == t->own_ip;
		return false;
	}
	if (f->eth.ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		f->ip.next_proto_id != IPPROTO_TCP)
		return false;
	segment_take(t, m);
	return true;
}

unsigned cross_tcp_busy(const struct cross_tcp *t)
{
	return CROSS_CONNS - t->idles;
}
