// SPDX-License-Identifier: BSD-3-Clause
// What the timers of a connection do: retransmission with backoff (RFC 6298 section 5), window
// probes (RFC 9293 3.8.6.1), delayed ACK, keep-alive (RFC 9293 3.8.4).
#include "tcp/tcp_internal.h"

#define RETRIES_MAX        15 // R2 of RFC 9293 3.8.3: some eight minutes
#define RETRIES_SYN        6
#define RETRIES_SYNACK     5
#define KEEP_PROBES        9
#define KEEP_INTERVAL_US   75000000u
#define PROBE_SLACK_US     4000u
#define FIN_WAIT_2_IDLE_US 60000000u // an idle half-closed peer is asked whether it lives

// Two round trips, and what a peer and our own clock may be late.
static uint64_t pto_us_of(const struct tcp_conn *c)
{
	return 2ull * c->srtt_us + PROBE_SLACK_US;
}

// A lone segment's acknowledgement may be delayed for as long as the retransmission timeout: no
// probe then.
void tcp_rtx_arm(struct tcp *tcp, struct tcp_conn *c)
{
	uint64_t rto_us = tcp_rto_us(c), pto_us = pto_us_of(c);
	bool probe = (c->flags & (TCP_F_SACK | TCP_F_PROBED)) == TCP_F_SACK &&
		c->recovery != TCP_R_LOSS && c->sent_head != c->sent_tail && c->srtt_us &&
		pto_us < rto_us && tcp_flight(c) <= c->snd_wnd;

	base_assert(c->sent_head != NULL);
	if (!probe && tcp_timer_armed(c, TCP_T_RTX))
		return; // new data does not put a retransmission off (RFC 6298 section 5.1)
	c->flags &= ~(TCP_F_PTO | TCP_F_REO);
	if (probe)
		c->flags |= TCP_F_PTO;
	tcp_timer_arm(tcp, c, TCP_T_RTX, probe ? pto_us : rto_us);
}

static bool give_up(struct tcp *tcp, struct tcp_conn *c)
{
	tcp_conn_reset(tcp, c);
	return false;
}

// Nothing was heard for as long as the user wants to wait (RFC 9293 3.8.3, RFC 5482).
static bool user_timed_out(const struct tcp *tcp, const struct tcp_conn *c)
{
	uint64_t silent_ms = tcp->now_ms - c->last_rx_ms, limit_us = tcp->opt.user_timeout_us;

	return limit_us && c->retries > 0 && silent_ms * 1000 >= limit_us;
}

static bool syn_again(struct tcp *tcp, struct tcp_conn *c)
{
	unsigned max = c->flags & TCP_F_ACTIVE ? RETRIES_SYN : RETRIES_SYNACK;

	if (c->retries >= max) {
		tcp_conn_end(tcp, c);
		return false;
	}
	c->retries++;
	c->backoff++;
	c->flags |= TCP_F_SYN_LOST;
	if (c->node.state == TCP_SYN_SENT)
		c->flags &=
			~TCP_F_ECN; // something on the way may drop SYNs that ask (section 6.1.1.1)
	tcp->n.retransmits++;
	tcp_xmit_syn(tcp, c);
	tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
	return true;
}

static bool persist(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->retries >= RETRIES_MAX || user_timed_out(tcp, c))
		return give_up(tcp, c);
	c->retries++;
	c->backoff = (uint8_t)RTE_MIN(c->backoff + 1, 16);
	c->flags &= ~TCP_F_PERSIST;
	if (c->snd_wnd == 0)
		tcp_xmit_probe(tcp, c);
	tcp_output_override(tcp, c); // sends what a small window takes, or arms the next probe
	return true;
}

static bool retransmit(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_bulk *b = tcp_bulk_get(tcp, c);

	tcp->n.rto_fires++;
	tcp_note(tcp, FLIGHT_TCP_RTO, c->retries, c, tcp_rto_us(c));
	if (c->retries >= RETRIES_MAX || user_timed_out(tcp, c))
		return give_up(tcp, c);
	if (b && c->recovery == TCP_R_OPEN) {
		tcp_undo_save(c);
		tcp_frto_start(tcp, c);
	} else if (b) {
		b->undo.frto = TCP_FRTO_OFF;
	}
	if (c->retries == 0 && c->recovery != TCP_R_FAST) // RFC 5681 section 3.1: once for a flight
		tcp_cc_cut(tcp, c, tcp_cc_tested(c), true);
	c->retries++;
	tcp_pmtu_hole(tcp, c);
	c->backoff = (uint8_t)RTE_MIN(c->backoff + 1, 16);
	c->recovery = b ? TCP_R_LOSS : TCP_R_OPEN;
	if (b)
		b->recover = c->snd_nxt;
	c->cwnd = c->mss;
	c->flags &= ~TCP_F_PROBED;
	c->dup_acks = 0;
	tcp_loss_mark_all(tcp, c);
	tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
	tcp_conn_dirty(tcp, c);
	return true;
}

// In fast recovery the timer was set by what was new; what is probed for may have gone again since,
// and its acknowledgement be on its way.
static bool probe_early(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t age_us = (uint32_t)tcp->now_us - tcp_meta(tcp, c->sent_head)->sent_us;
	uint64_t pto_us = pto_us_of(c);

	base_assert(c->flags & TCP_F_PTO);
	if (age_us >= pto_us)
		return false;
	tcp_timer_arm(tcp, c, TCP_T_RTX, pto_us - age_us);
	return true;
}

// Nothing came back for a flight of several segments: new data goes, or its end again, for an
// acknowledgement to tell what is missing (RFC 8985 section 7). In fast recovery, where one
// acknowledgement of a filled hole may be all that comes, the first goes again.
static void loss_probe(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_bulk *b = tcp_bulk_get(tcp, c);
	bool fast = c->recovery == TCP_R_FAST, fresh;

	if (fast && probe_early(tcp, c))
		return;
	c->flags &= ~TCP_F_PTO;
	if (b == NULL) {
		tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
		return;
	}
	fresh = !fast && tcp_output_one(tcp, c);
	if (fresh || tcp_xmit_again(tcp, c, fast ? c->sent_head : c->sent_tail)) {
		tcp->n.loss_probes++;
		tcp_note(tcp, FLIGHT_TCP_PROBE, 1, c, 0);
		c->flags |= TCP_F_PROBED;
		b->probe_end = fast ? c->snd_una + 1 : c->snd_nxt;
		b->probe_ms = tcp->now_ms;
		b->probe_again = !fresh;
	}
	tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
}

// The time for segments to arrive out of order is over.
static void reorder_wait_over(struct tcp *tcp, struct tcp_conn *c)
{
	c->flags &= ~TCP_F_REO;
	if (tcp_rack_detect(tcp, c))
		tcp_recovery_deepen(tcp, c);
	if (c->recovery == TCP_R_OPEN && c->lost_bytes)
		tcp_recovery_enter(tcp, c);
	if (!tcp_timer_armed(c, TCP_T_RTX))
		tcp_rtx_arm(tcp, c);
	tcp_conn_dirty(tcp, c);
}

uint64_t tcp_keep_delay_us(const struct tcp *tcp, const struct tcp_conn *c)
{
	uint64_t us = tcp->opt.keepalive_us;

	if (c->node.state == TCP_FIN_WAIT_2)
		us = us ? base_min_u64(us, FIN_WAIT_2_IDLE_US) : FIN_WAIT_2_IDLE_US;
	return us;
}

static bool keepalive(struct tcp *tcp, struct tcp_conn *c)
{
	uint64_t delay_us = tcp_keep_delay_us(tcp, c);
	uint64_t interval_us = base_min_u64(KEEP_INTERVAL_US, delay_us);
	uint64_t idle_ms = (uint32_t)(tcp->now_ms - c->last_rx_ms);

	if (c->keep_probes && idle_ms < interval_us / 1000)
		c->keep_probes = 0; // it answered
	if (idle_ms < delay_us / 1000) {
		tcp_timer_arm(tcp, c, TCP_T_KEEP, delay_us - idle_ms * 1000);
		return true;
	}
	if (c->sent_head != NULL || c->unsent_bytes) { // retransmission finds out
		tcp_timer_arm(tcp, c, TCP_T_KEEP, delay_us);
		return true;
	}
	if (c->keep_probes >= KEEP_PROBES) {
		tcp->n.keepalive_drops++;
		return give_up(tcp, c);
	}
	c->keep_probes++;
	tcp_xmit_probe(tcp, c);
	tcp_timer_arm(tcp, c, TCP_T_KEEP, interval_us);
	return true;
}

bool tcp_timeout(struct tcp *tcp, struct tcp_conn *c, enum tcp_timer t)
{
	switch (t) {
	case TCP_T_RTX:
		if (c->node.state < TCP_ESTABLISHED)
			return syn_again(tcp, c);
		if (c->flags & TCP_F_PERSIST)
			return persist(tcp, c);
		if (c->sent_head == NULL)
			return true;
		if (c->flags & TCP_F_REO)
			reorder_wait_over(tcp, c);
		else if (c->flags & TCP_F_PTO)
			loss_probe(tcp, c);
		else
			return retransmit(tcp, c);
		return true;
	case TCP_T_DELACK:
		c->flags |= TCP_F_ACK_NOW;
		tcp_conn_dirty(tcp, c);
		return true;
	default:
		return keepalive(tcp, c);
	}
}
