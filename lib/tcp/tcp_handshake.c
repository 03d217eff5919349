// SPDX-License-Identifier: BSD-3-Clause
// Opening: a listening port, SYN-SENT and SYN-RECEIVED (RFC 9293 3.10.7.2 to 3.10.7.4), and the
// numbers a connection starts with (RFC 6528).
#include "tcp/tcp_internal.h"

#define MSS_DEFAULT 536 // RFC 9293 3.7.1: the peer did not say
#define MSS_MIN     64  // payload; smaller ones are an attack on the sender
#define TS_BYTES    12

bool tcp_listening(const struct tcp *tcp, rte_be16_t port)
{
	for (unsigned i = 0; i < tcp->listens; i++) {
		if (tcp->listen[i] == rte_be_to_cpu_16(port))
			return true;
	}
	return false;
}

// A 4 us clock plus a keyed hash of the connection.
uint32_t tcp_iss(struct tcp *tcp, const struct tcp_key *key)
{
	if (tcp->iss_fixed)
		return tcp->iss_next;
	return (uint32_t)base_siphash(tcp->isn_key, key, sizeof(*key)) +
		(uint32_t)(tcp->now_us >> 2);
}

uint32_t tcp_ts_offset(const struct tcp *tcp, const struct tcp_key *key)
{
	return (uint32_t)(base_siphash(tcp->isn_key, key, sizeof(*key)) >> 32);
}

// What both sides' SYNs allow. c->flags holds what ours offers (or would).
static void options_agree(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	uint32_t ours = tcp_pmtu_mss(tcp, c);
	uint32_t mss = s->opts & TCP_O_MSS ? s->mss : MSS_DEFAULT;

	tcp_ecn_agree(c, s);
	if (!(s->opts & TCP_O_SACKOK))
		c->flags &= ~TCP_F_SACK;
	if (!(s->opts & TCP_O_TS))
		c->flags &= ~TCP_F_TS;
	if (!(s->opts & TCP_O_WSCALE))
		c->flags &= ~TCP_F_WSCALE;
	c->node.snd_wscale = c->flags & TCP_F_WSCALE ? s->wscale : 0;
	c->node.rcv_wscale = c->flags & TCP_F_WSCALE ? tcp->rcv_wscale : 0;
	mss = RTE_MIN(mss, ours);
	if (c->flags & TCP_F_TS) {
		mss = mss > TS_BYTES ? mss - TS_BYTES : 0;
		c->ts_recent = s->tsval;
	}
	c->mss = (uint16_t)RTE_MAX(mss, (uint32_t)MSS_MIN);
}

void tcp_syn_take(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	options_agree(tcp, c, s);
	c->node.rcv_nxt = c->last_ack_sent = s->seq + 1;
	c->rcv_adv = c->node.rcv_nxt + RTE_MIN(tcp->opt.rcv_buf_bytes, (uint32_t)UINT16_MAX);
	c->snd_wnd = c->snd_wnd_max = s->wnd; // never scaled in a SYN
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	c->last_rx_ms = tcp->now_ms;
}

struct tcp_conn *tcp_passive_open(struct tcp *tcp, const struct tcp_seg *syn, uint32_t iss)
{
	struct tcp_conn *c = tcp_conn_new(tcp, &syn->key);

	if (c == NULL)
		return NULL;
	tcp->n.passive_opens++;
	tcp->n.half_open_now++;
	c->node.state = TCP_SYN_RCVD;
	c->flags = tcp->offer;
	tcp_syn_take(tcp, c, syn);
	c->snd_una = iss;
	c->snd_nxt = iss + 1;
	c->last_tx_us = (uint32_t)tcp->now_us;
	return c;
}

// To who gets no answer, and may be a forged source, nothing is sent: counted.
static enum tcp_admission admission(struct tcp *tcp, const struct tcp_seg *s)
{
	enum tcp_admission may = TCP_ADMIT_YES;

	if (tcp->opt.admit != NULL)
		may = tcp->opt.admit(tcp->opt.admit_arg, &s->key.peer);
	tcp->n.not_admitted += may == TCP_ADMIT_SILENT;
	return may;
}

static void stray_answer(struct tcp *tcp, const struct tcp_seg *s)
{
	tcp->n.no_conn++;
	tcp_drop_note(tcp, FLIGHT_DROP_NO_CONN, s);
	tcp_xmit_reset_reply(tcp, s);
}

void tcp_stray_input(struct tcp *tcp, const struct tcp_seg *s)
{
	if (admission(tcp, s) != TCP_ADMIT_SILENT)
		stray_answer(tcp, s);
}

// The half-open queue is bounded; when it is full no state is kept. iss_after: our first sequence
// number must lie beyond it (a TIME-WAIT connection used the pair); NULL: any.
static void syn_input(
	struct tcp *tcp, const struct tcp_seg *s, const uint32_t *iss_after, enum tcp_admission may)
{
	uint32_t iss = tcp_iss(tcp, &s->key);
	struct tcp_conn *c;

	if (tcp->conns >= tcp->opt.conns_max || may == TCP_ADMIT_RESET) {
		tcp->n.conns_refused++;
		tcp_xmit_reset_reply(tcp, s);
		return;
	}
	if (tcp->n.half_open_now >= tcp->opt.syn_max) {
		if (iss_after == NULL)
			tcp_cookie_answer(tcp, s);
		else
			tcp->n.syn_dropped++; // a cookie cannot choose its number: tried again
		return;
	}
	c = tcp_passive_open(tcp, s, iss_after && seq_lt(iss, *iss_after) ? *iss_after : iss);
	if (c == NULL)
		return;
	tcp_xmit_syn(tcp, c); // without an mbuf the timer sends it
	tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
}

void tcp_listen_input(struct tcp *tcp, struct tcp_seg *s, const uint32_t *iss_after)
{
	enum tcp_admission may;
	struct tcp_conn *c;

	if (s->flags & RTE_TCP_RST_FLAG) {
		tcp->n.no_conn++;
		return;
	}
	may = admission(tcp, s);
	if (may == TCP_ADMIT_SILENT)
		return;
	if (!(s->flags & RTE_TCP_ACK_FLAG)) {
		syn_input(tcp, s, iss_after, may);
		return;
	}
	c = s->flags & RTE_TCP_SYN_FLAG ? NULL : tcp_cookie_input(tcp, s);
	if (c != NULL) {
		tcp_conn_input(tcp, c, s);
		return;
	}
	stray_answer(tcp, s);
}

// Our SYN is acknowledged by a SYN: the third step of the handshake goes with the next flush.
static void syn_sent_establish(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	c->snd_una = s->ack;
	c->flags |= TCP_F_ACK_NOW;
	tcp_conn_establish(tcp, c);
}

// Both opened at once: their SYN crossed ours (RFC 9293 figure 7).
static void syn_sent_cross(struct tcp *tcp, struct tcp_conn *c)
{
	c->node.state = TCP_SYN_RCVD;
	tcp_xmit_syn(tcp, c);
	tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
}

// Data that comes with the SYN is not taken: the peer sends it again.
void tcp_syn_sent_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	bool ack = s->flags & RTE_TCP_ACK_FLAG;

	if (ack && s->ack != c->snd_nxt) {
		tcp->n.bad_ack++;
		tcp_xmit_reset_reply(tcp, s);
		return;
	}
	if (s->flags & RTE_TCP_RST_FLAG) {
		if (ack) {
			tcp->n.resets_in++;
			tcp_conn_end(tcp, c);
		} else {
			tcp->n.bad_flags++;
		}
		return;
	}
	if (!(s->flags & RTE_TCP_SYN_FLAG)) {
		tcp->n.bad_flags++;
		return;
	}
	tcp_syn_take(tcp, c, s);
	if (ack)
		syn_sent_establish(tcp, c, s);
	else
		syn_sent_cross(tcp, c);
}

// An acceptable segment with ACK in SYN-RECEIVED. False: c stays half-open or is gone.
bool tcp_syn_rcvd_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	if (s->ack != c->snd_nxt) {
		tcp->n.bad_ack++;
		tcp_xmit_reset_reply(tcp, s);
		return false;
	}
	c->snd_una = s->ack;
	c->snd_wnd = c->snd_wnd_max = (uint32_t)s->wnd << c->node.snd_wscale;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	return tcp_conn_establish(tcp, c);
}
