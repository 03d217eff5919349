// SPDX-License-Identifier: BSD-3-Clause
// Selective acknowledgements on the sender's side: the marks on the sent queue are the scoreboard
// (RFC 6675).
#include "tcp/tcp_internal.h"

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

void tcp_loss_mark(struct tcp_conn *c, struct tcp_meta *s)
{
	base_assert(!(s->flags & (TCP_M_SACKED | TCP_M_LOST)));
	s->flags |= TCP_M_LOST;
	c->lost_bytes += meta_space(s);
}

// Below the acknowledgement it is a report of a duplicate (RFC 2883).
static bool block_counts(
	const struct tcp_conn *c, const struct tcp_seg *s, const struct tcp_range *b)
{
	return seq_lt(b->start, b->end) && seq_lt(s->ack, b->end) && seq_le(c->snd_una, b->start) &&
		seq_le(b->end, c->snd_nxt);
}

// No receiver that was sent our data would tell so.
static bool block_bad(const struct tcp_conn *c, const struct tcp_range *b)
{
	return !seq_lt(b->start, b->end) || seq_lt(c->snd_nxt, b->end);
}

static bool blocks_cover(const struct tcp_range *b, unsigned blocks, uint32_t start, uint32_t end)
{
	for (unsigned i = 0; i < blocks; i++) {
		if (seq_le(b[i].start, start) && seq_le(end, b[i].end))
			return true;
	}
	return false;
}

// The first block tells of a duplicate when it lies below the acknowledgement, or in the second one
// (RFC 2883 section 4).
static bool dsack_is(const struct tcp_conn *c, const struct tcp_seg *s)
{
	const struct tcp_range *b = s->sack;

	if (!seq_lt(b[0].start, b[0].end) || seq_lt(c->snd_nxt, b[0].end))
		return false;
	if (seq_le(b[0].end, s->ack))
		return !seq_lt(b[0].start, c->snd_una - c->snd_wnd_max);
	return s->sacks > 1 && seq_le(b[1].start, b[0].start) && seq_le(b[0].end, b[1].end);
}

static void sacked_mark(
	struct tcp *tcp, struct tcp_conn *c, struct tcp_meta *s, struct tcp_acked *a)
{
	tcp_rack_delivered(tcp, c, s, a);
	tcp_meta_unmark(c, s);
	s->flags |= TCP_M_SACKED;
	c->sacked_bytes += meta_space(s);
	c->sacked_segs++;
}

static void blocks_mark(struct tcp *tcp, struct tcp_conn *c, struct tcp_acked *a,
	const struct tcp_range *block, unsigned n, uint32_t top)
{
	for (struct rte_mbuf *m = c->sent_head; m != NULL; m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *t = tcp_meta(tcp, m);

		if (!seq_lt(t->seq, top))
			break;
		if (!(t->flags & TCP_M_SACKED) &&
			blocks_cover(block, n, t->seq, t->seq + meta_space(t)))
			sacked_mark(tcp, c, t, a);
	}
}

// One walk of at most tcp.sent_max segments for all blocks.
uint32_t tcp_sack_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_acked *a)
{
	const struct tcp_seg *s = a->seg;
	uint32_t before = c->sacked_bytes, top = c->snd_una;
	struct tcp_range block[TCP_SACK_BLOCKS];
	unsigned n = 0;

	tcp->n.sack_blocks_in += s->sacks;
	a->dsack = dsack_is(c, s);
	tcp->n.dsacks_in += a->dsack;
	for (unsigned i = 0; i < s->sacks; i++) {
		tcp->n.bad_sack += block_bad(c, &s->sack[i]);
		if (!block_counts(c, s, &s->sack[i]))
			continue;
		block[n++] = s->sack[i];
		top = seq_max(top, s->sack[i].end);
	}
	a->sack_top = top;
	if ((n == 0 && !a->dsack) || tcp_bulk_get(tcp, c) == NULL)
		return 0;
	a->prior_fack = c->bulk->rack.fack;
	if (a->dsack)
		tcp_rack_dsack(c);
	if (n > 0)
		blocks_mark(tcp, c, a, block, n, top);
	return c->sacked_bytes - before;
}

void tcp_loss_mark_head(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_meta *s;

	if (c->sent_head == NULL)
		return;
	s = tcp_meta(tcp, c->sent_head);
	if (!(s->flags & (TCP_M_SACKED | TCP_M_LOST)))
		tcp_loss_mark(c, s);
}

// Everything not reported as received is lost, but for what was sent too late to have been reported
// (RFC 8985 section 6.3). A first segment that was reported, yet is not acknowledged, means that
// the peer took its reports back (RFC 2018 section 8): they all go.
void tcp_loss_mark_all(struct tcp *tcp, struct tcp_conn *c)
{
	bool renege = c->sent_head != NULL && (tcp_meta(tcp, c->sent_head)->flags & TCP_M_SACKED);
	bool by_time = (c->flags & TCP_F_SACK) && c->bulk != NULL && c->bulk->rack.valid && !renege;

	for (struct rte_mbuf *m = c->sent_head; m != NULL; m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);

		if ((s->flags & TCP_M_SACKED) && !renege)
			continue;
		if (by_time && m != c->sent_head && !tcp_rack_overdue(tcp, c, s))
			continue;
		tcp_meta_unmark(c, s);
		tcp_loss_mark(c, s);
	}
	if (!(c->flags & TCP_F_SACK))
		c->sacked_bytes = 0; // an estimate by duplicate acknowledgements
}

void tcp_loss_unmark_all(struct tcp *tcp, struct tcp_conn *c)
{
	for (struct rte_mbuf *m = c->sent_head; m != NULL && c->lost_bytes > 0;
		m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);

		if (s->flags & TCP_M_LOST)
			tcp_meta_unmark(c, s);
	}
	base_assert(c->lost_bytes == 0 && c->retrans_bytes == 0);
}
