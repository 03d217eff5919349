// SPDX-License-Identifier: BSD-3-Clause
// A segment comes in: header, checksum, whose it is, and the order of checks that RFC 9293 3.10.7.4
// sets, with RFC 5961's answers to what may be forged.
#include "tcp/tcp_internal.h"

#define ANSWER_MS    500u        // one answer to empty unacceptable segments in this time
#define PAWS_IDLE_MS 2073600000u // 24 days: then timestamps may have wrapped (RFC 7323 5.5)
#define DUP_OWED_MAX 8
#define HOLE_ACKS    255u // in-order segments after one that was not, or came twice

// An ACK that a forger, or a peer that answers ACKs with ACKs, could ask for without end.
void tcp_answer_limited(struct tcp *tcp, struct tcp_conn *c)
{
	if (tcp->now_ms - c->oow_ms < ANSWER_MS) {
		tcp->n.answers_held++;
		return;
	}
	tcp->n.challenges++;
	c->oow_ms = tcp->now_ms;
	c->flags |= TCP_F_ACK_NOW;
	tcp_conn_dirty(tcp, c);
}

static void ack_now(struct tcp *tcp, struct tcp_conn *c)
{
	c->flags |= TCP_F_ACK_NOW;
	tcp_conn_dirty(tcp, c);
}

static bool paws_rejects(const struct tcp *tcp, const struct tcp_conn *c, const struct tcp_seg *s)
{
	if (!(s->opts & TCP_O_TS))
		return true; // RFC 7323 section 3.2: every segment carries it once agreed
	return seq_lt(s->tsval, c->ts_recent) && tcp->now_ms - c->last_rx_ms < PAWS_IDLE_MS;
}

// RFC 9293 table 6, but that an empty segment may stand at the right edge: a peer that has filled
// our window sends its ACKs from there.
static bool in_window(const struct tcp_conn *c, const struct tcp_seg *s)
{
	uint32_t space = seg_space(s), edge = seq_max(c->rcv_adv, c->node.rcv_nxt);

	if (space == 0)
		return seq_le(c->node.rcv_nxt, s->seq) && seq_le(s->seq, edge);
	if (s->seq == c->node.rcv_nxt)
		return true; // even into a closed window: its ACK counts, its data does not
	return seq_lt(s->seq, edge) && seq_lt(c->node.rcv_nxt, s->seq + space);
}

static void unacceptable(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	if (s->flags & RTE_TCP_RST_FLAG) {
		tcp->n.outside_window++;
		return;
	}
	if (s->len && seq_le(s->seq + s->len, c->node.rcv_nxt)) {
		tcp->n.duplicates++;
		tcp_dsack_note(tcp, c, s->seq, s->seq + s->len);
		c->quick_acks = HOLE_ACKS;
	} else {
		tcp->n.outside_window++;
	}
	if (seg_space(s) && !(s->flags & RTE_TCP_SYN_FLAG) && c->node.state != TCP_SYN_RCVD)
		ack_now(tcp, c);
	else
		tcp_answer_limited(tcp, c);
}

// RFC 5961 section 3.2: exactly the next number, or a challenge. False always: c is gone, or the
// segment is done with.
static bool reset_input(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	if (s->seq != c->node.rcv_nxt) {
		tcp_answer_limited(tcp, c);
		return false;
	}
	tcp->n.resets_in++;
	tcp_note(tcp, FLIGHT_TCP_RST_IN, 0, c, 0);
	tcp_conn_end(tcp, c);
	return false;
}

// The peer did not get our SYN-ACK.
static bool syn_again(const struct tcp_conn *c, const struct tcp_seg *s)
{
	return c->node.state == TCP_SYN_RCVD && s->seq + 1 == c->node.rcv_nxt &&
		(s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
}

// Sequence, RST and SYN. False: nothing more to do with the segment, and c may be gone.
static bool sequence_check(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	bool rst = s->flags & RTE_TCP_RST_FLAG;

	if (syn_again(c, s)) {
		if (tcp->now_ms - c->oow_ms >= ANSWER_MS)
			tcp_xmit_syn(tcp, c);
		c->oow_ms = tcp->now_ms;
		return false;
	}
	if ((c->flags & TCP_F_TS) && !rst && paws_rejects(tcp, c, s)) {
		if (s->opts & TCP_O_TS) {
			tcp->n.old_timestamp++;
			unacceptable(tcp, c, s);
		} else {
			tcp->n.bad_option++;
		}
		return false;
	}
	if (!in_window(c, s)) {
		unacceptable(tcp, c, s);
		return false;
	}
	if (rst)
		return reset_input(tcp, c, s);
	if (s->flags & RTE_TCP_SYN_FLAG) { // RFC 5961 section 4.2
		tcp_answer_limited(tcp, c);
		return false;
	}
	if ((c->flags & TCP_F_TS) && seq_le(s->seq, c->last_ack_sent))
		c->ts_recent = s->tsval;
	return s->flags & RTE_TCP_ACK_FLAG;
}

// Cuts what was received before, what lies beyond the window and what lies beyond the FIN.
static void text_trim(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	uint32_t edge = seq_max(c->rcv_adv, c->node.rcv_nxt), end = s->seq + s->len;

	if ((c->flags & TCP_F_FIN_SEEN) && seq_lt(c->fin_seq, edge))
		edge = c->fin_seq;
	if (seq_lt(edge, end)) {
		tcp->n.outside_window++;
		s->len -= RTE_MIN(s->len, end - edge);
		s->flags &= ~RTE_TCP_FIN_FLAG;
	}
	if (seq_lt(s->seq, c->node.rcv_nxt)) {
		uint32_t n = RTE_MIN(s->len, c->node.rcv_nxt - s->seq);

		if (n)
			tcp_dsack_note(tcp, c, s->seq, s->seq + n);
		s->seq += n;
		s->data_off += n;
		s->len -= n;
	}
}

// RFC 9293 3.8.6.3: every second full segment, but one ACK is enough for a burst. At the start
// every segment; and neither there nor where segments get lost does one ACK stand for many: the
// peer would send as many at once for it, and when it is lost nothing before the loss probe.
static void ack_decide(struct tcp *tcp, struct tcp_conn *c)
{
	bool two = c->node.rcv_nxt - c->last_ack_sent >= 2u * c->rcv_mss;

	tcp_conn_dirty(tcp, c);
	if (two || c->quick_acks)
		c->flags |= TCP_F_ACK_NOW;
	if (two && c->quick_acks)
		tcp_xmit_ack(tcp, c); // without an mbuf it is owed
	c->quick_acks -= c->quick_acks > 0;
}

static void text_in_order(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	if (!tcp_rcv_fits(tcp, c, tcp_mbuf_count(s->m))) {
		c->flags |= TCP_F_PRUNED;
		tcp->n.rcv_pruned++;
		return;
	}
	if (s->len > c->rcv_mss)
		c->rcv_mss = (uint16_t)RTE_MIN(s->len, (uint32_t)RTE_MAX(c->mss, 536));
	c->node.rcv_nxt += s->len;
	tcp->n.rx_bytes += s->len;
	tcp_rcv_append(tcp, c, tcp_mbuf_slice(s->m, s->data_off, s->len));
	s->m = NULL;
	if (c->ooo != NULL) {
		tcp_ooo_drain(tcp, c);
		c->flags |= TCP_F_ACK_NOW; // RFC 5681 section 4.2: a gap (partly) filled
	}
	ack_decide(tcp, c);
	tcp_conn_event(tcp, c, TCP_EV_READABLE);
}

static void text_out_of_order(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	tcp_ooo_add(tcp, c, s);
	c->quick_acks = HOLE_ACKS;
	if (!(c->flags & TCP_F_SACK) && c->dup_owed < DUP_OWED_MAX)
		c->dup_owed++;
	ack_now(tcp, c);
}

// The peer's FIN is next. False: c is gone.
static bool fin_input(struct tcp *tcp, struct tcp_conn *c)
{
	c->node.rcv_nxt++;
	c->flags |= TCP_F_FIN_RCVD;
	tcp_conn_event(tcp, c, TCP_EV_FIN);
	ack_now(tcp, c);
	switch (c->node.state) {
	case TCP_ESTABLISHED:
		c->node.state = TCP_CLOSE_WAIT;
		return true;
	case TCP_FIN_WAIT_1:
		c->node.state = TCP_CLOSING;
		return true;
	default:
		base_assert(c->node.state == TCP_FIN_WAIT_2);
		tcp_xmit_ack(tcp, c);
		tcp_timewait_enter(tcp, c);
		return false;
	}
}

// The first one counts, and none that received data follows: else its place would never come.
static void fin_note(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	const struct tcp_meta *last = c->ooo ? tcp_meta(tcp, c->ooo->tail) : NULL;
	uint32_t at = s->seq + s->len;

	base_assert(c->ooo == NULL || c->ooo->tail != NULL);
	base_assert(seq_le(c->node.rcv_nxt, at));
	if ((c->flags & TCP_F_FIN_SEEN) || (last && seq_lt(at, last->seq + last->len))) {
		tcp->n.bad_fin += !(c->flags & TCP_F_FIN_SEEN) || at != c->fin_seq;
		return;
	}
	c->fin_seq = at;
	c->flags |= TCP_F_FIN_SEEN;
}

bool tcp_text_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	uint32_t sent = seg_space(s);

	if (sent == 0)
		return true;
	if (c->flags & TCP_F_FIN_RCVD) { // there is nothing behind the end
		tcp->n.outside_window++;
		ack_now(tcp, c);
		return true;
	}
	text_trim(tcp, c, s);
	if (s->flags & RTE_TCP_FIN_FLAG)
		fin_note(tcp, c, s);
	if (s->len && s->seq == c->node.rcv_nxt)
		text_in_order(tcp, c, s);
	else if (s->len)
		text_out_of_order(tcp, c, s);
	else
		ack_now(tcp, c); // a FIN alone, or nothing that the window takes
	if ((c->flags & TCP_F_FIN_SEEN) && c->node.rcv_nxt == c->fin_seq)
		return fin_input(tcp, c);
	return true;
}

#define UNEXPECTED \
	(TCP_F_ECN | TCP_F_PERSIST | TCP_F_PROBED | TCP_F_REO | TCP_F_FIN_QUEUED | \
		TCP_F_FIN_SEEN | TCP_F_FIN_RCVD | TCP_F_PRUNED | TCP_F_CWND_BOUND)

// Header prediction: the segment that comes next on a connection where nothing is missing, neither
// way, and no window changes. None of the checks that it is spared can fail, nor can any of them do
// anything.
static bool is_expected(const struct tcp *tcp, const struct tcp_conn *c, const struct tcp_seg *s)
{
	uint8_t opts = c->flags & TCP_F_TS ? TCP_O_TS : 0;

	return c->node.state == TCP_ESTABLISHED &&
		(s->flags & (uint8_t)~RTE_TCP_PSH_FLAG) == RTE_TCP_ACK_FLAG &&
		s->seq == c->node.rcv_nxt && seq_le(s->seq + s->len, c->rcv_adv) &&
		s->ack - c->snd_una <= tcp_flight(c) && (s->len || s->ack != c->snd_una) &&
		(uint32_t)s->wnd << c->node.snd_wscale == c->snd_wnd && c->snd_wnd > 0 &&
		s->opts == opts && s->sacks == 0 && (!opts || seq_le(c->ts_recent, s->tsval)) &&
		!(c->flags & UNEXPECTED) && c->ooo == NULL && c->bulk == NULL &&
		c->recovery == TCP_R_OPEN && (c->lost_bytes | c->sacked_bytes) == 0;
}

static void expected_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	if ((c->flags & TCP_F_TS) && seq_le(s->seq, c->last_ack_sent))
		c->ts_recent = s->tsval;
	c->last_rx_ms = tcp->now_ms;
	tcp_ack_expected(tcp, c, s);
	if (s->len)
		text_in_order(tcp, c, s);
}

void tcp_conn_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	if (base_likely(is_expected(tcp, c, s))) {
		expected_input(tcp, c, s);
		return;
	}
	if (c->node.state == TCP_SYN_SENT) {
		tcp_syn_sent_input(tcp, c, s);
		return;
	}
	if (!sequence_check(tcp, c, s))
		return;
	c->last_rx_ms = tcp->now_ms;
	if (c->node.state == TCP_SYN_RCVD && !tcp_syn_rcvd_input(tcp, c, s))
		return;
	if (tcp_ack_input(tcp, c, s) != TCP_ACK_OK)
		return;
	if (c->flags & TCP_F_ECN)
		tcp_ecn_mark(tcp, c, s);
	tcp_text_input(tcp, c, s);
}

static bool header_parse(struct tcp_seg *s, const struct net_packet *pkt)
{
	const struct rte_mbuf *m = s->m;
	const struct rte_tcp_hdr *th;
	uint32_t len;

	if (pkt->l4_len < sizeof(*th) || m->data_len < pkt->l4_off + sizeof(*th))
		return false;
	th = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, pkt->l4_off);
	len = (th->data_off >> 4) * 4u;
	if (len < sizeof(*th) || len > pkt->l4_len || m->data_len < pkt->l4_off + len)
		return false;
	s->key = (struct tcp_key){.peer = pkt->src,
		.local = pkt->local,
		.local_port = th->dst_port,
		.peer_port = th->src_port};
	s->seq = rte_be_to_cpu_32(th->sent_seq);
	s->ack = rte_be_to_cpu_32(th->recv_ack);
	s->wnd = rte_be_to_cpu_16(th->rx_win);
	s->flags = th->tcp_flags;
	s->data_off = pkt->l4_off + len;
	s->len = pkt->l4_len - len;
	s->ecn = pkt->ecn;
	s->opts = s->sacks = 0;
	return s->key.local_port && s->key.peer_port;
}

// Combinations that no TCP sends.
static bool flags_bad(uint8_t flags)
{
	if (flags & RTE_TCP_SYN_FLAG)
		return flags & (RTE_TCP_RST_FLAG | RTE_TCP_FIN_FLAG);
	return !(flags & (RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG));
}

static bool checksum_good(
	const struct tcp *tcp, const struct rte_mbuf *m, const struct net_packet *pkt)
{
	return net_l4_checksum(m, pkt->l4_off, &pkt->src, net_ip(tcp->opt.net, pkt->local),
		       IPPROTO_TCP) == 0;
}

static bool segment_parse(struct tcp *tcp, struct tcp_seg *s, const struct net_packet *pkt)
{
	uint32_t opts = pkt->l4_off + sizeof(struct rte_tcp_hdr);

	if (!header_parse(s, pkt)) {
		tcp->n.bad_header++;
		return false;
	}
	if (flags_bad(s->flags)) {
		tcp->n.bad_flags++;
		tcp_drop_note(tcp, FLIGHT_DROP_FLAGS, s);
		return false;
	}
	if (!pkt->l4_checked && !checksum_good(tcp, s->m, pkt)) {
		tcp->n.bad_checksum++;
		tcp_drop_note(tcp, FLIGHT_DROP_CHECKSUM, s);
		return false;
	}
	if (s->data_off > opts &&
		!tcp_options_parse(s, rte_pktmbuf_mtod_offset(s->m, const uint8_t *, opts),
			s->data_off - opts)) {
		tcp->n.bad_option++;
		tcp_drop_note(tcp, FLIGHT_DROP_OPTION, s);
		return false;
	}
	return true;
}

void tcp_input(struct tcp *tcp, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us)
{
	struct tcp_seg s;
	struct tcp_node *n;

	s.m = m;
	tcp_time_set(tcp, now_us);
	tcp->n.rx_segments++;
	if (!segment_parse(tcp, &s, pkt))
		goto out;
	n = tcp_table_find(tcp, &s.key, tcp_table_hash(tcp, &s.key));
	if (n == NULL) {
		if (tcp_listening(tcp, s.key.local_port))
			tcp_listen_input(tcp, &s, NULL);
		else
			tcp_stray_input(tcp, &s);
	} else if (n->kind == TCP_NODE_TW) {
		tcp_timewait_input(tcp, base_container_of(n, struct tcp_tw, node), &s);
	} else {
		tcp_conn_input(tcp, base_container_of(n, struct tcp_conn, node), &s);
	}
out:
	rte_pktmbuf_free(s.m);
}
