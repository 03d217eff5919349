// SPDX-License-Identifier: BSD-3-Clause
// Fast recovery: the cut of the window, the pace at which what was lost and new data leave (RFC
// 6937; RFC 6582 without SACK), and the way back when nothing was lost.
#include "tcp/tcp_internal.h"

bool tcp_recovery_enter(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_bulk *b = tcp_bulk_get(tcp, c);

	if (b == NULL)
		return false; // the timeout repairs it
	tcp->n.fast_retransmits++;
	tcp_note(tcp, FLIGHT_TCP_RECOVERY, 0, c, c->cwnd);
	tcp_undo_save(c);
	c->recovery = TCP_R_FAST;
	b->recover = c->snd_nxt;
	b->prr = (struct tcp_prr){.flight = tcp_flight(c)};
	tcp_cc_cut(tcp, c, tcp_cc_tested(c), false);
	if (!(c->flags & TCP_F_SACK))
		c->cwnd = c->ssthresh;
	c->flags |= TCP_F_RTX_FORCE;
	c->flags &= ~TCP_F_PROBED;
	if (c->flags & TCP_F_PTO) {
		tcp_timer_stop(c, TCP_T_RTX);
		tcp_rtx_arm(tcp, c);
	}
	return true;
}

void tcp_recovery_deepen(struct tcp *tcp, struct tcp_conn *c)
{
	tcp_cc_cut(tcp, c, c->recovery == TCP_R_OPEN ? tcp_cc_tested(c) : c->ssthresh, false);
	c->cwnd = RTE_MIN(c->cwnd, c->ssthresh);
	if (c->bulk != NULL)
		c->bulk->undo.valid = false;
}

void tcp_recovery_leave(struct tcp_conn *c)
{
	struct tcp_rack *r = &c->bulk->rack;

	if (c->recovery == TCP_R_FAST) // RFC 6582 section 3.2 step 3: no burst
		c->cwnd = RTE_MIN(c->ssthresh, RTE_MAX(tcp_flight(c), (uint32_t)c->mss) + c->mss);
	c->recovery = TCP_R_OPEN;
	c->bulk->undo.frto = TCP_FRTO_OFF;
	c->flags &= ~TCP_F_RTX_FORCE;
	if (r->reo_persist > 0 && --r->reo_persist == 0) // RFC 8985 section 6.2 step 4
		r->reo_mult = 1;
}

// In proportion while more is out than the threshold, then as much as arrives, and a segment more
// while every acknowledgement fills a hole.
void tcp_recovery_pace(struct tcp_conn *c, const struct tcp_acked *a)
{
	struct tcp_prr *p = &c->bulk->prr;
	uint32_t pipe = tcp_pipe(c), due, room = 0;

	p->delivered += a->delivered;
	if (pipe > c->ssthresh) {
		due = (uint32_t)(((uint64_t)p->delivered * c->ssthresh + p->flight - 1) /
			p->flight);
		room = due > p->out ? due - p->out : 0;
	} else {
		room = p->delivered > p->out ? p->delivered - p->out : 0;
		if (a->bytes > 0)
			room = RTE_MAX(room, a->delivered) + c->mss;
		room = RTE_MIN(room, c->ssthresh - pipe);
	}
	if (p->out == 0)
		room = RTE_MAX(room, (uint32_t)c->mss);
	c->cwnd = pipe + room;
}

// ---- cuts that were for nothing ----------------------------------------------------------------
void tcp_undo_save(struct tcp_conn *c)
{
	struct tcp_undo *u = &c->bulk->undo;

	*u = (struct tcp_undo){.cwnd = c->cwnd,
		.ssthresh = c->ssthresh,
		.una = c->snd_una,
		.cc = c->bulk->cc,
		.valid = true};
}

void tcp_undo_again(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_undo *u;

	if (c->bulk == NULL || !c->bulk->undo.valid)
		return;
	u = &c->bulk->undo;
	if (!u->any)
		u->first_ms = tcp->now_ms;
	u->any = true;
	u->again++;
}

// RFC 4015's (Eifel) sign: what acknowledges the segments that were sent again was sent before.
static bool echo_is_older(const struct tcp_conn *c, const struct tcp_acked *a)
{
	const struct tcp_undo *u = &c->bulk->undo;

	return c->recovery != TCP_R_OPEN && a->bytes > 0 && (c->flags & TCP_F_TS) &&
		(a->seg->opts & TCP_O_TS) && a->seg->tsecr != 0 &&
		seq_lt(a->seg->tsecr - c->node.ts_offset, u->first_ms);
}

void tcp_undo_try(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a)
{
	struct tcp_undo *u = &c->bulk->undo;

	if (!u->valid || !u->any)
		return;
	if (a->dsack && u->again > 0 && seq_le(u->una, a->seg->sack[0].start)) {
		u->again--;
		c->bulk->rack.reordering = true; // what was overtaken arrived after all
	}
	if (u->again > 0 && !echo_is_older(c, a)) // all of them came twice, or the echo tells
		return;
	c->bulk->rack.reordering |= c->recovery == TCP_R_FAST;
	tcp_undo(tcp, c);
}

void tcp_undo(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_undo *u = &c->bulk->undo;

	base_assert(u->valid);
	tcp->n.undone++;
	u->valid = false;
	u->frto = TCP_FRTO_OFF;
	c->cwnd = RTE_MAX(c->cwnd, u->cwnd);
	c->ssthresh = RTE_MAX(c->ssthresh, u->ssthresh);
	c->bulk->cc = u->cc;
	if (c->recovery == TCP_R_OPEN)
		return;
	c->recovery = TCP_R_OPEN;
	c->flags &= ~TCP_F_RTX_FORCE;
	tcp_loss_unmark_all(tcp, c);
	tcp_conn_dirty(tcp, c);
}
