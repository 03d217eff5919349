// SPDX-License-Identifier: BSD-3-Clause
// Selective acknowledgements on the sender's side: the marks on the sent queue are the scoreboard
// (RFC 6675).
#include "tcp/tcp_internal.h"

#define DUP_THRESH 3

static uint32_t meta_space(const struct tcp_meta *s)
{
	return s->len + !!(s->flags & TCP_M_FIN);
}

// Takes the marks off, and off the sums.
void tcp_meta_unmark(struct tcp_conn *c, struct tcp_meta *s)
{
	uint32_t n = meta_space(s);

	if (s->flags & TCP_M_SACKED) {
		base_assert(c->sacked_bytes >= n && c->sacked_segs > 0);
		c->sacked_bytes -= n;
		c->sacked_segs--;
	}
	if (s->flags & TCP_M_LOST) {
		base_assert(c->lost_bytes >= n);
		c->lost_bytes -= n;
	}
	if (s->flags & TCP_M_RETRANS) {
		base_assert(c->retrans_bytes >= n);
		c->retrans_bytes -= n;
	}
	s->flags &= ~(TCP_M_SACKED | TCP_M_LOST | TCP_M_RETRANS);
}

static void mark_lost(struct tcp_conn *c, struct tcp_meta *s)
{
	s->flags |= TCP_M_LOST;
	c->lost_bytes += meta_space(s);
}

// What was sent twice may have arrived by its first copy: it counts only if the second had the time.
void tcp_delivered_note(const struct tcp *tcp, struct tcp_conn *c, const struct tcp_meta *s)
{
	uint32_t now_us = (uint32_t)tcp->now_us, age_us = now_us - s->sent_us;

	if ((s->flags & TCP_M_EVER) && age_us < c->srtt_us / 2)
		return;
	if (age_us < now_us - c->delivered_us) // by age: the clock wraps in an idle hour
		c->delivered_us = s->sent_us;
}

// Below the acknowledgement it is a report of a duplicate (RFC 2883).
static bool block_counts(
	const struct tcp_conn *c, const struct tcp_seg *s, const struct tcp_range *b)
{
	return seq_lt(b->start, b->end) && seq_lt(s->ack, b->end) && seq_le(c->snd_una, b->start) &&
		seq_le(b->end, c->snd_nxt);
}

static bool blocks_cover(const struct tcp_range *b, unsigned blocks, uint32_t start, uint32_t end)
{
	for (unsigned i = 0; i < blocks; i++) {
		if (seq_le(b[i].start, start) && seq_le(end, b[i].end))
			return true;
	}
	return false;
}

static void sacked_mark(struct tcp *tcp, struct tcp_conn *c, struct tcp_meta *s)
{
	tcp_delivered_note(tcp, c, s);
	tcp_meta_unmark(c, s);
	s->flags |= TCP_M_SACKED;
	c->sacked_bytes += meta_space(s);
	c->sacked_segs++;
}

// One walk of at most tcp.sent_max segments for all blocks.
uint32_t tcp_sack_input(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	uint32_t before = c->sacked_bytes, top = c->snd_una;
	struct tcp_range block[TCP_SACK_BLOCKS];
	unsigned n = 0;

	tcp->n.sack_blocks_in += s->sacks;
	for (unsigned i = 0; i < s->sacks; i++) {
		if (!block_counts(c, s, &s->sack[i]))
			continue;
		block[n++] = s->sack[i];
		top = seq_max(top, s->sack[i].end);
	}
	if (n == 0 || tcp_bulk_get(tcp, c) == NULL)
		return 0;
	for (struct rte_mbuf *m = c->sent_head; m != NULL; m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *t = tcp_meta(tcp, m);

		if (!seq_lt(t->seq, top))
			break;
		if (!(t->flags & TCP_M_SACKED) &&
			blocks_cover(block, n, t->seq, t->seq + meta_space(t)))
			sacked_mark(tcp, c, t);
	}
	return c->sacked_bytes - before;
}

// A retransmission is lost, too, when what was sent a quarter of a round trip later has arrived
// (RFC 8985's rule). So is everything else in recovery, or once that was a loss probe: with a whole
// flight gone there is nothing above that could be reported.
static bool lost_by_time(const struct tcp *tcp, const struct tcp_conn *c, const struct tcp_meta *s)
{
	uint32_t now_us = (uint32_t)tcp->now_us;

	return ((s->flags & TCP_M_RETRANS) || (c->flags & TCP_F_PROBED) ||
		       c->recovery == TCP_R_FAST) &&
		now_us - s->sent_us > now_us - c->delivered_us + c->srtt_us / 4;
}

// A segment is lost when three that follow it have arrived.
bool tcp_loss_mark(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t above = c->sacked_segs;
	bool again = false, in_time_order = c->recovery == TCP_R_FAST;

	for (struct rte_mbuf *m = c->sent_head;
		m != NULL && (above || c->retrans_bytes || in_time_order);
		m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);

		if (s->flags & TCP_M_SACKED) {
			above--;
		} else if (s->flags & TCP_M_RETRANS) {
			if (!lost_by_time(tcp, c, s))
				continue;
			s->flags &= ~TCP_M_RETRANS;
			c->retrans_bytes -= meta_space(s);
			again |= seq_le(c->bulk->cut_us, s->sent_us);
		} else if (!(s->flags & TCP_M_LOST) &&
			(above >= DUP_THRESH || lost_by_time(tcp, c, s))) {
			mark_lost(c, s);
		} else if (!(s->flags & TCP_M_LOST)) {
			in_time_order = false; // what follows was sent later still
		}
	}
	return again;
}

void tcp_loss_mark_holes(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t above = c->sacked_segs;

	for (struct rte_mbuf *m = c->sent_head; m != NULL && above > 0;
		m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);

		if (s->flags & TCP_M_SACKED)
			above--;
		else if (!(s->flags & TCP_M_LOST))
			mark_lost(c, s);
	}
}

void tcp_loss_mark_head(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_meta *s;

	if (c->sent_head == NULL)
		return;
	s = tcp_meta(tcp, c->sent_head);
	if (!(s->flags & (TCP_M_SACKED | TCP_M_LOST)))
		mark_lost(c, s);
}

// Everything not reported as received is lost. A first segment that was reported, yet is not
// acknowledged, means that the peer took its reports back (RFC 2018 section 8): they all go.
void tcp_loss_mark_all(struct tcp *tcp, struct tcp_conn *c)
{
	bool renege = c->sent_head != NULL && (tcp_meta(tcp, c->sent_head)->flags & TCP_M_SACKED);

	for (struct rte_mbuf *m = c->sent_head; m != NULL; m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);

		if ((s->flags & TCP_M_SACKED) && !renege)
			continue;
		tcp_meta_unmark(c, s);
		mark_lost(c, s);
	}
	if (!(c->flags & TCP_F_SACK))
		c->sacked_bytes = 0; // an estimate by duplicate acknowledgements
}
