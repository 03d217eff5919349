// SPDX-License-Identifier: BSD-3-Clause
// One segment out: header, options, checksum, and the way to net.
#include "tcp/tcp_internal.h"

// What net needs to finish the checksum; m starts with the TCP header.
static void checksum_ask(const struct tcp *tcp, struct rte_mbuf *m, struct rte_tcp_hdr *th,
	const struct tcp_key *key)
{
	m->ol_flags = (m->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) |
		RTE_MBUF_F_TX_TCP_CKSUM;
	m->l4_len = (th->data_off >> 4) * 4;
	th->cksum = net_pseudo_sum(
		net_ip(tcp->opt.net, key->local), &key->peer, IPPROTO_TCP, m->pkt_len);
}

// The same, of a connection.
static void conn_checksum_ask(const struct tcp_conn *c, struct rte_mbuf *m, struct rte_tcp_hdr *th)
{
	uint32_t sum = (uint32_t)c->pseudo_sum + rte_cpu_to_be_16((uint16_t)m->pkt_len);

	m->ol_flags = (m->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) |
		RTE_MBUF_F_TX_TCP_CKSUM;
	m->l4_len = (th->data_off >> 4) * 4;
	th->cksum = (rte_be16_t)(sum + (sum >> 16));
}

#define TS_BYTES 12 // of most segments' options

// More than one segment: the device cuts them. The length is left out of the sum, as each has its
// own.
static void cut_ask(const struct tcp *tcp, struct rte_mbuf *m, struct rte_tcp_hdr *th,
	const struct tcp_key *key, uint16_t mss)
{
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = mss;
	th->cksum = net_pseudo_sum(net_ip(tcp->opt.net, key->local), &key->peer, IPPROTO_TCP, 0);
}

static void out(struct tcp *tcp, struct rte_mbuf *m, const struct tcp_key *key, struct net_hop *hop,
	uint8_t tos)
{
	const struct net_to to = {.dst = &key->peer,
		.hop = hop,
		.local = key->local,
		.proto = IPPROTO_TCP,
		.tos = tos};

	tcp->n.tx_segments++;
	net_ip_output(tcp->opt.net, m, &to, tcp->now_us);
}

// A header of 20 + opts_len bytes before what m holds.
static struct rte_tcp_hdr *header_push(struct rte_mbuf *m, const struct tcp_key *key, uint32_t seq,
	uint32_t ack, uint8_t flags, uint16_t window, uint32_t opts_len)
{
	void *at = rte_pktmbuf_prepend(m, (uint16_t)(sizeof(struct rte_tcp_hdr) + opts_len));
	struct rte_tcp_hdr *th = at;

	base_assert(at != NULL);
	*th = (struct rte_tcp_hdr){
		.src_port = key->local_port,
		.dst_port = key->peer_port,
		.sent_seq = rte_cpu_to_be_32(seq),
		.recv_ack = rte_cpu_to_be_32(ack),
		.data_off = (uint8_t)((sizeof(*th) + opts_len) / 4 << 4),
		.tcp_flags = flags,
		.rx_win = rte_cpu_to_be_16(window),
	};
	return th;
}

static uint32_t ts_now(const struct tcp *tcp, const struct tcp_conn *c)
{
	return tcp->now_ms + c->node.ts_offset;
}

// SACK blocks ride where they do not make the segment longer than a full one.
static uint32_t options_write(struct tcp *tcp, struct tcp_conn *c, uint8_t *opts, uint32_t len)
{
	bool dsack = tcp->dsack_conn == c;
	uint32_t n = 0, room, blocks;

	if (c->flags & TCP_F_TS)
		n = tcp_options_ts(opts, ts_now(tcp, c), c->ts_recent);
	if ((c->ooo == NULL && !dsack) || !(c->flags & TCP_F_SACK))
		return n;
	room = len == 0 ? 40 - n : RTE_MIN(40 - n, (uint32_t)c->mss - RTE_MIN(len, c->mss));
	blocks = room < 12 ? 0 : (room - 4) / 8;
	tcp_ooo_told(c, blocks - (blocks && dsack));
	if (dsack && blocks) {
		tcp->dsack_conn = NULL;
		tcp->n.dsacks_out++;
	}
	return n + tcp_options_sack(opts + n, dsack ? &tcp->dsack : NULL, c->ooo, blocks);
}

// An ACK is still owed when this segment did not tell of new holes: it had no room for the blocks,
// or carries data, which a peer without SACK does not take for a duplicate (RFC 5681 section 2).
static bool ack_settled(const struct tcp_conn *c, uint32_t len)
{
	if (c->ooo == NULL || !(c->flags & TCP_F_ACK_NOW))
		return true;
	return c->flags & TCP_F_SACK ? c->ooo->untold == 0 : len == 0;
}

#define IP_ECT 2 // ECT(0) of RFC 3168

// Every segment of a synchronized connection. Whatever it is, it acknowledges.
static void conn_out(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m, uint32_t seq,
	uint8_t flags, uint32_t len, uint8_t tos)
{
	uint8_t opts[40];
	uint32_t opts_len = options_write(tcp, c, opts, len);
	uint16_t window = tcp_rcv_window(tcp, c);
	struct rte_tcp_hdr *th;

	if (c->flags & TCP_F_ECE)
		flags |= RTE_TCP_ECE_FLAG;
	th = header_push(
		m, &c->node.key, seq, c->node.rcv_nxt, flags | RTE_TCP_ACK_FLAG, window, opts_len);
	if (base_likely(opts_len == TS_BYTES))
		memcpy(th + 1, opts, TS_BYTES);
	else
		memcpy(th + 1, opts, opts_len);
	conn_checksum_ask(c, m, th);
	if (base_unlikely(tcp->tso_mbufs && len > c->mss)) {
		cut_ask(tcp, m, th, &c->node.key, c->mss);
		tcp->n.tx_big++;
		tcp->n.tx_segments += (len - 1) / c->mss; // and one as for any frame
	}
	c->last_ack_sent = c->node.rcv_nxt;
	if (ack_settled(c, len)) {
		c->flags &= ~TCP_F_ACK_NOW;
		c->dup_owed = 0;
	}
	tcp_timer_stop(c, TCP_T_DELACK);
	tcp->n.tx_bytes += len;
	out(tcp, m, &c->node.key, &c->hop, tos);
}

static uint8_t meta_tcp_flags(const struct tcp_conn *c, const struct tcp_meta *s)
{
	uint8_t flags = s->flags & TCP_M_FIN ? RTE_TCP_FIN_FLAG : 0;

	if (s->len && c->unsent_bytes == 0)
		flags |= RTE_TCP_PSH_FLAG;
	return flags;
}

void tcp_xmit_first(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m)
{
	const struct tcp_meta *s = tcp_meta(tcp, m), *last = tcp_meta(tcp, c->sent_tail);
	uint32_t len = last->seq + last->len - s->seq;
	uint8_t flags = meta_tcp_flags(c, last), tos = 0;

	c->last_tx_us = (uint32_t)tcp->now_us;
	for (struct rte_mbuf *p = m; p != NULL; p = tcp_meta(tcp, p)->next)
		tcp_meta(tcp, p)->sent_us = c->last_tx_us;
	if (m != c->sent_tail)
		tcp_sent_join(tcp, m);
	base_assert(m->pkt_len == len);
	rte_pktmbuf_refcnt_update(m, 1);     // the queue's stays when the device frees it
	if ((c->flags & TCP_F_ECN) && len) { // new data alone (RFC 3168 sections 6.1.4, 6.1.5)
		tos = IP_ECT;
		flags |= c->flags & TCP_F_CWR ? RTE_TCP_CWR_FLAG : 0;
		c->flags &= ~TCP_F_CWR;
	}
	conn_out(tcp, c, m, s->seq, flags, len, tos);
}

// Is the queue's reference the only one, and does the payload to send start in the first mbuf?
static bool again_in_place(
	const struct tcp *tcp, const struct rte_mbuf *m, const struct tcp_meta *s)
{
	const struct rte_mbuf *p = m;

	if (tcp_sent_one_bytes(tcp, m) - s->len > m->data_len)
		return false; // acknowledged into the second mbuf
	for (unsigned n = s->mbufs; n > 0; n--, p = p->next) {
		if (rte_mbuf_refcnt_read(p) != 1)
			return false;
	}
	return true;
}

// Net or the device still holds the frame: the bytes go in other mbufs.
static struct rte_mbuf *again_copy(struct tcp *tcp, struct rte_mbuf *m, const struct tcp_meta *s)
{
	struct rte_mbuf *copy;

	if (s->len > tcp->seg_room && !tcp->multi_segs)
		return NULL;
	if (s->len == 0)
		return rte_pktmbuf_alloc(tcp->opt.pool);
	copy = rte_pktmbuf_copy(m, tcp->opt.pool, tcp_sent_one_bytes(tcp, m) - s->len, s->len);
	if (copy != NULL)
		copy->ol_flags = 0;
	return copy;
}

bool tcp_xmit_again(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m)
{
	struct tcp_meta *s = tcp_meta(tcp, m);

	if (again_in_place(tcp, m, s)) {
		tcp_sent_one_part(tcp, m);
		rte_pktmbuf_adj(m, (uint16_t)(m->pkt_len - s->len));
		rte_pktmbuf_refcnt_update(m, 1);
	} else {
		m = again_copy(tcp, m, s);
		if (m == NULL) {
			tcp->n.no_memory++;
			return false;
		}
	}
	s->sent_us = c->last_tx_us = (uint32_t)tcp->now_us;
	s->flags |= TCP_M_EVER;
	tcp->n.retransmits++;
	tcp_undo_again(tcp, c);
	conn_out(tcp, c, m, s->seq, meta_tcp_flags(c, s), s->len, 0);
	return true;
}

static bool empty_out(struct tcp *tcp, struct tcp_conn *c, uint32_t seq)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(tcp->opt.pool);

	if (m == NULL) {
		tcp->n.no_memory++;
		return false;
	}
	conn_out(tcp, c, m, seq, 0, 0, 0);
	return true;
}

bool tcp_xmit_ack(struct tcp *tcp, struct tcp_conn *c)
{
	tcp->n.tx_pure_acks++;
	return empty_out(tcp, c, c->snd_nxt);
}

bool tcp_xmit_probe(struct tcp *tcp, struct tcp_conn *c)
{
	tcp->n.probes++;
	tcp_note(tcp, FLIGHT_TCP_PROBE, 0, c, 0);
	return empty_out(tcp, c, c->snd_una - 1);
}

// The window of a SYN is never scaled (RFC 7323 section 2.2).
static uint16_t syn_window(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t window = RTE_MIN(tcp->opt.rcv_buf_bytes, (uint32_t)UINT16_MAX);

	c->rcv_adv = c->node.rcv_nxt + window;
	return (uint16_t)window;
}

bool tcp_xmit_syn(struct tcp *tcp, struct tcp_conn *c)
{
	bool ack = c->node.state == TCP_SYN_RCVD;
	struct rte_mbuf *m = rte_pktmbuf_alloc(tcp->opt.pool);
	struct rte_tcp_hdr *th;
	uint8_t opts[40];
	uint32_t n;

	if (m == NULL) {
		tcp->n.no_memory++;
		return false;
	}
	n = tcp_options_syn(opts, net_mtu(tcp->opt.net, &c->node.key.peer) - sizeof(*th),
		c->flags & TCP_F_SACK, c->flags & TCP_F_TS, c->flags & TCP_F_WSCALE,
		tcp->rcv_wscale, ts_now(tcp, c), ack ? c->ts_recent : 0);
	th = header_push(m, &c->node.key, c->snd_una, ack ? c->node.rcv_nxt : 0,
		RTE_TCP_SYN_FLAG | (ack ? RTE_TCP_ACK_FLAG : 0) | tcp_ecn_syn_flags(c),
		syn_window(tcp, c), n);
	memcpy(th + 1, opts, n);
	checksum_ask(tcp, m, th, &c->node.key);
	c->last_ack_sent = c->node.rcv_nxt;
	out(tcp, m, &c->node.key, &c->hop, 0);
	return true;
}

static void reset_out(struct tcp *tcp, const struct tcp_key *key, struct net_hop *hop, uint32_t seq,
	uint32_t ack, uint8_t flags)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(tcp->opt.pool);

	if (m == NULL) {
		tcp->n.no_memory++;
		return;
	}
	checksum_ask(tcp, m, header_push(m, key, seq, ack, flags | RTE_TCP_RST_FLAG, 0, 0), key);
	tcp->n.resets_out++;
	tcp_note(tcp, FLIGHT_TCP_RST_OUT, 0, NULL, tcp_key_ports(key));
	out(tcp, m, key, hop, 0);
}

// With an ACK, so that peers which check it (RFC 5961) take it.
void tcp_xmit_reset(struct tcp *tcp, struct tcp_conn *c)
{
	reset_out(tcp, &c->node.key, &c->hop, c->snd_nxt, c->node.rcv_nxt, RTE_TCP_ACK_FLAG);
}

void tcp_xmit_reset_reply(struct tcp *tcp, const struct tcp_seg *s)
{
	struct net_hop hop = {.generation = 0};

	if (s->flags & RTE_TCP_RST_FLAG)
		return;
	if (s->flags & RTE_TCP_ACK_FLAG)
		reset_out(tcp, &s->key, &hop, s->ack, 0, 0);
	else
		reset_out(tcp, &s->key, &hop, 0, s->seq + seg_space(s), RTE_TCP_ACK_FLAG);
}

void tcp_xmit_tw_ack(struct tcp *tcp, const struct tcp_tw *tw)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(tcp->opt.pool);
	struct net_hop hop = {.generation = 0};
	struct rte_tcp_hdr *th;
	uint8_t opts[12];
	uint32_t n = 0;

	if (m == NULL) {
		tcp->n.no_memory++;
		return;
	}
	if (tw->ts)
		n = tcp_options_ts(opts, tcp->now_ms + tw->node.ts_offset, tw->ts_recent);
	th = header_push(
		m, &tw->node.key, tw->snd_nxt, tw->node.rcv_nxt, RTE_TCP_ACK_FLAG, tw->window, n);
	memcpy(th + 1, opts, n);
	checksum_ask(tcp, m, th, &tw->node.key);
	tcp->n.tx_pure_acks++;
	out(tcp, m, &tw->node.key, &hop, 0);
}
