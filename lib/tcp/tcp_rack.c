// SPDX-License-Identifier: BSD-3-Clause
// RACK (RFC 8985): a segment is lost when one that was sent later has arrived, and the time for its
// having been overtaken on the way is over. Where segments arrive out of order that time adapts: it
// grows with every round in which the peer reports duplicates (RFC 2883).
#include "tcp/tcp_internal.h"

#define DUP_THRESH  3
#define REO_PERSIST 16 // recoveries for which a longer time for reordering holds

// By age: the clock of 32 bits wraps in 71 minutes.
static bool sent_after(
	const struct tcp *tcp, uint32_t us, uint32_t end, uint32_t us2, uint32_t end2)
{
	uint32_t now_us = (uint32_t)tcp->now_us;

	return now_us - us < now_us - us2 || (us == us2 && seq_lt(end2, end));
}

static uint32_t meta_end(const struct tcp_meta *s)
{
	return s->seq + meta_space(s);
}

// What was sent twice may have arrived by its first copy (section 6.2, step 2).
static bool first_copy(const struct tcp *tcp, const struct tcp_conn *c, const struct tcp_meta *s,
	const struct tcp_seg *seg, uint32_t age_us)
{
	uint32_t sent_ms = tcp->now_ms - age_us / 1000;

	if ((c->flags & TCP_F_TS) && (seg->opts & TCP_O_TS) &&
		seq_lt(seg->tsecr - c->node.ts_offset + 1, sent_ms))
		return true;
	return age_us < c->rtt_min_us;
}

void tcp_rack_delivered(
	struct tcp *tcp, struct tcp_conn *c, const struct tcp_meta *s, struct tcp_acked *a)
{
	uint32_t end = meta_end(s), age_us = (uint32_t)tcp->now_us - s->sent_us;
	struct tcp_rack *r = &c->bulk->rack;

	if (seq_lt(r->fack, end))
		r->fack = end;
	else if (seq_lt(end, a->prior_fack) && !(s->flags & TCP_M_EVER))
		r->reordering = true;
	if ((s->flags & TCP_M_EVER) && first_copy(tcp, c, s, a->seg, age_us))
		return;
	if (r->valid && !sent_after(tcp, s->sent_us, end, r->sent_us, r->end_seq))
		return;
	r->sent_us = s->sent_us;
	r->end_seq = end;
	r->rtt_us = age_us;
	r->valid = true;
}

void tcp_rack_dsack(struct tcp_conn *c)
{
	struct tcp_rack *r = &c->bulk->rack;

	if (r->in_round && seq_lt(c->snd_una, r->round_end))
		return;
	r->in_round = true;
	r->round_end = c->snd_nxt;
	r->reo_persist = REO_PERSIST;
	if (r->reo_mult < UINT8_MAX)
		r->reo_mult++;
}

// Section 6.2, step 4.
static uint32_t reo_window_us(const struct tcp_conn *c)
{
	const struct tcp_rack *r = &c->bulk->rack;

	if (!r->reordering && (c->recovery != TCP_R_OPEN || c->sacked_segs >= DUP_THRESH))
		return 0;
	return RTE_MIN(r->reo_mult * (c->rtt_min_us / 4), c->srtt_us);
}

bool tcp_rack_overdue(const struct tcp *tcp, const struct tcp_conn *c, const struct tcp_meta *s)
{
	const struct tcp_rack *r = &c->bulk->rack;

	return (uint32_t)tcp->now_us - s->sent_us >= r->rtt_us + reo_window_us(c);
}

// From now on the timer runs for what may have been overtaken, or again for the retransmission.
static void reo_arm(struct tcp *tcp, struct tcp_conn *c, uint32_t wait_us)
{
	if (wait_us > 0) {
		tcp->n.reorder_waits += !(c->flags & TCP_F_REO);
		c->flags = (c->flags | TCP_F_REO) & ~TCP_F_PTO;
		tcp_timer_arm(tcp, c, TCP_T_RTX, wait_us);
	} else if (c->flags & TCP_F_REO) {
		c->flags &= ~TCP_F_REO;
		tcp_timer_stop(c, TCP_T_RTX);
		if (c->sent_head != NULL)
			tcp_rtx_arm(tcp, c);
	}
}

// A retransmission is taken for lost again. True: it went after the window was last cut.
static bool lost_again(const struct tcp *tcp, struct tcp_conn *c, struct tcp_meta *s)
{
	uint32_t now_us = (uint32_t)tcp->now_us;

	s->flags &= ~TCP_M_RETRANS;
	c->retrans_bytes -= meta_space(s);
	return now_us - s->sent_us <= now_us - c->bulk->cut_us;
}

// One walk over what was sent before the segment that has arrived; what was sent again may stand
// anywhere, the rest is in the order in which it was sent.
bool tcp_rack_detect(struct tcp *tcp, struct tcp_conn *c)
{
	const struct tcp_rack *r = &c->bulk->rack;
	uint32_t retrans = c->retrans_bytes, wait_us = 0, deadline_us, age_us;
	bool again = false, in_order = true;

	if (!r->valid)
		return false;
	deadline_us = r->rtt_us + reo_window_us(c);
	for (struct rte_mbuf *m = c->sent_head; m != NULL && (in_order || retrans);
		m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);

		if (s->flags & TCP_M_RETRANS)
			retrans -= meta_space(s);
		else if (s->flags & (TCP_M_SACKED | TCP_M_LOST))
			continue;
		if (!sent_after(tcp, r->sent_us, r->end_seq, s->sent_us, meta_end(s))) {
			in_order &= (s->flags & TCP_M_EVER) != 0;
			continue;
		}
		age_us = (uint32_t)tcp->now_us - s->sent_us;
		if (age_us < deadline_us)
			wait_us = RTE_MAX(wait_us, deadline_us - age_us);
		else if (s->flags & TCP_M_RETRANS)
			again |= lost_again(tcp, c, s);
		else
			tcp_loss_mark(c, s);
	}
	reo_arm(tcp, c, wait_us);
	return again;
}
