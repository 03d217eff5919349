// SPDX-License-Identifier: BSD-3-Clause
// What an acknowledgement does: it empties the sent queue, samples the round trip, moves the
// windows and drives recovery (RFC 9293 3.10.7.4, RFC 5681, 6582, 8985).
#include "tcp/tcp_internal.h"

#define DUP_THRESH 3

// The part of a segment that is acknowledged leaves the sums; its payload is found from the end.
static void segment_trim(struct tcp_conn *c, struct tcp_meta *s, uint32_t n)
{
	base_assert(n <= s->len);
	if (s->flags & TCP_M_SACKED)
		c->sacked_bytes -= n;
	if (s->flags & TCP_M_LOST)
		c->lost_bytes -= n;
	if (s->flags & TCP_M_RETRANS)
		c->retrans_bytes -= n;
	s->seq += n;
	s->len -= n;
}

static void sample_note(struct tcp_acked *a, const struct tcp_meta *s)
{
	if (s->flags & TCP_M_EVER) {
		a->again_us = a->again ? seq_max(a->again_us, s->sent_us) : s->sent_us;
		a->again = true;
	} else if (!a->sampled && !(s->flags & TCP_M_SACKED)) {
		a->sampled = true;
		a->sent_us = s->sent_us;
	}
}

// The first segment is acknowledged.
static void sent_pop(struct tcp *tcp, struct tcp_conn *c, struct tcp_acked *a)
{
	struct rte_mbuf *m = c->sent_head;
	struct tcp_meta *s = tcp_meta(tcp, m);

	sample_note(a, s);
	if (!(s->flags & TCP_M_SACKED)) {
		a->delivered += meta_space(s);
		if (c->bulk != NULL)
			tcp_rack_delivered(tcp, c, s, a);
	}
	if (s->len >= c->mss)
		c->flags |= TCP_F_FULL_OK;
	a->fin |= !!(s->flags & TCP_M_FIN);
	tcp_meta_unmark(c, s);
	c->sent_head = s->next;
	c->sent_segs--;
	tcp_sent_one_free(tcp, m);
}

static void sent_release(struct tcp *tcp, struct tcp_conn *c, struct tcp_acked *a)
{
	uint32_t ack = a->seg->ack;

	a->bytes = ack - c->snd_una;
	while (c->sent_head != NULL) {
		struct tcp_meta *s = tcp_meta(tcp, c->sent_head);

		if (seq_lt(ack, s->seq + meta_space(s))) {
			if (seq_lt(s->seq, ack)) {
				a->delivered += s->flags & TCP_M_SACKED ? 0 : ack - s->seq;
				segment_trim(c, s, ack - s->seq);
			}
			break;
		}
		sent_pop(tcp, c, a);
	}
	if (c->sent_head == NULL)
		c->sent_tail = NULL;
	base_assert((c->sent_head == NULL) == (c->sent_segs == 0));
	c->snd_una = ack;
}

// What was sent twice gives no sample by itself (Karn), but with timestamps (RFC 7323 section 4.1).
// The echo is the first copy's when only the acknowledgement of that was lost, and would take the
// timeout for a round trip: an answer that may be one to the second copy is taken for that. Before
// the first sample nobody can tell: then the timeout stays as far backed off as it is (RFC 6298
// section 5).
static void rtt_take_again(
	struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s, uint32_t again_us)
{
	uint32_t ms = tcp->now_ms + c->node.ts_offset - s->tsecr;
	uint32_t since_us = (uint32_t)tcp->now_us - again_us;
	uint32_t likely_us = RTE_MAX(2 * c->srtt_us, c->srtt_us + 4 * c->rttvar_us);

	if (!(c->flags & TCP_F_TS) || !(s->opts & TCP_O_TS) || s->tsecr == 0 ||
		ms >= TCP_RTO_MAX_US / 1000)
		return;
	if (ms * 1000 <= since_us + 1000)
		tcp_rtt_sample(tcp, c, since_us); // the second copy's echo
	else if (c->srtt_us == 0)
		c->rto_us = tcp_rto_us(c);
	else if (since_us >= c->rtt_min_us / 2 && since_us <= likely_us)
		tcp_rtt_sample(tcp, c, since_us);
	else if (since_us > likely_us || ms <= likely_us / 1000)
		tcp_rtt_sample(tcp, c, ms * 1000 + 500);
}

// Returns the sample if it is beyond doubt, else 0.
static uint32_t rtt_take(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a)
{
	const struct tcp_seg *s = a->seg;
	uint32_t rtt_us = (uint32_t)tcp->now_us - a->sent_us;

	if (a->again)
		rtt_take_again(tcp, c, s, a->again_us);
	else if (a->sampled)
		tcp_rtt_sample(tcp, c, rtt_us);
	return a->again || !a->sampled ? 0 : rtt_us;
}

// RFC 9293 3.10.7.4, and whatever acknowledges more is newer, too: a segment that fills a hole has
// an old sequence number. Its window kept out, the edge would move with the acknowledgement, beyond
// what the peer has offered.
void tcp_window_update(struct tcp_conn *c, const struct tcp_seg *s)
{
	bool fresh = seq_lt(c->snd_wl1, s->seq) || seq_lt(c->snd_wl2, s->ack) ||
		(c->snd_wl1 == s->seq && c->snd_wl2 == s->ack);

	if (!fresh)
		return;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	c->snd_wnd = (uint32_t)s->wnd << c->node.snd_wscale;
	if (c->snd_wnd > c->snd_wnd_max)
		c->snd_wnd_max = c->snd_wnd;
}

// Without SACK every duplicate stands for one segment that arrived; a partial acknowledgement
// takes back what it covers, the retransmission aside.
static void reno_sacked_reduce(struct tcp_conn *c, uint32_t acked)
{
	uint32_t n = acked - RTE_MIN(acked, (uint32_t)c->mss);

	c->sacked_bytes -= RTE_MIN(c->sacked_bytes, n);
}

static void recovery_advance(
	struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a, uint32_t rtt_us)
{
	bool sack = c->flags & TCP_F_SACK;
	struct tcp_bulk *b = c->bulk;

	base_assert(c->recovery == TCP_R_OPEN || b != NULL);
	c->dup_acks = 0;
	if (c->recovery != TCP_R_OPEN && !seq_lt(c->snd_una, b->recover))
		tcp_recovery_leave(c);
	if (c->recovery == TCP_R_OPEN && b && seq_lt(b->recover, c->snd_una))
		b->recover = c->snd_una - 1; // or it lies ahead 2 GiB later
	if (b && b->ecn_cut && !seq_lt(c->snd_una, b->ecn_end))
		b->ecn_cut = false;
	if (!sack && c->recovery != TCP_R_FAST)
		c->sacked_bytes = 0;
	if (c->recovery != TCP_R_FAST) {
		if ((c->flags & TCP_F_CWND_BOUND) || c->recovery == TCP_R_LOSS)
			tcp_cc_acked(tcp, c, a->bytes, rtt_us);
		return;
	}
	if (sack)
		return;
	reno_sacked_reduce(c, a->bytes);
	tcp_loss_mark_head(tcp, c); // a partial acknowledgement: the next hole
}

// RFC 5681 section 2, for peers without SACK.
static void dup_ack(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a)
{
	tcp->n.dup_acks_in++;
	tcp_conn_dirty(tcp, c);
	if (c->bulk != NULL)
		tcp_frto_judge(tcp, c, a);
	if (c->recovery == TCP_R_LOSS)
		return;
	c->sacked_bytes = RTE_MIN(c->sacked_bytes + c->mss, tcp_flight(c));
	if (c->dup_acks < UINT8_MAX)
		c->dup_acks++;
	// RFC 6582 section 3.2 step 1: not for what a timeout has sent again already.
	if (c->recovery == TCP_R_OPEN && c->dup_acks == DUP_THRESH &&
		(c->bulk == NULL || seq_lt(c->bulk->recover, c->snd_una)) &&
		tcp_recovery_enter(tcp, c))
		tcp_loss_mark_head(tcp, c);
}

static void timer_restart(struct tcp *tcp, struct tcp_conn *c)
{
	c->backoff = c->retries = 0;
	c->flags &= ~TCP_F_PERSIST;
	tcp_timer_stop(c, TCP_T_RTX);
	if (c->sent_head != NULL)
		tcp_rtx_arm(tcp, c);
}

// Our FIN is acknowledged. False: c is gone.
static bool fin_acked(struct tcp *tcp, struct tcp_conn *c)
{
	switch (c->node.state) {
	case TCP_FIN_WAIT_1:
		c->node.state = TCP_FIN_WAIT_2;
		tcp_timer_arm(tcp, c, TCP_T_KEEP, tcp_keep_delay_us(tcp, c));
		return true;
	case TCP_CLOSING:
		tcp_timewait_enter(tcp, c);
		return false;
	case TCP_LAST_ACK:
		tcp_conn_end(tcp, c);
		return false;
	default:
		return true;
	}
}

// Not for every segment's worth: once a quarter of what the queue may hold is free.
static void writable_tell(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t limit = RTE_MIN(tcp->opt.snd_buf_bytes, tcp_queue_max(tcp, c));

	if (!(c->flags & TCP_F_FULL) || tcp_send_pending(c) > limit - limit / 4)
		return;
	c->flags &= ~TCP_F_FULL;
	tcp_conn_event(tcp, c, TCP_EV_WRITABLE);
}

// A loss probe that was what was missing has repaired a loss in silence: that counts as any other
// (RFC 8985 section 7.4.2), unless it is reported as a duplicate, or the echo is older.
static void probe_judge(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a)
{
	const struct tcp_seg *s = a->seg;
	const struct tcp_bulk *b = c->bulk;

	if (!(c->flags & TCP_F_PROBED) || seq_lt(s->ack, b->probe_end))
		return;
	c->flags &= ~TCP_F_PROBED;
	if (!b->probe_again || a->dsack ||
		((c->flags & TCP_F_TS) && seq_lt(s->tsecr - c->node.ts_offset, b->probe_ms)))
		return;
	tcp_recovery_deepen(tcp, c);
}

static bool new_ack(struct tcp *tcp, struct tcp_conn *c, struct tcp_acked *a)
{
	probe_judge(tcp, c, a);
	sent_release(tcp, c, a);
	if (c->bulk != NULL) {
		tcp_undo_try(tcp, c, a);
		tcp_frto_judge(tcp, c, a);
	}
	recovery_advance(tcp, c, a, rtt_take(tcp, c, a));
	timer_restart(tcp, c);
	writable_tell(tcp, c);
	if (c->unsent_bytes || c->lost_bytes || (c->flags & TCP_F_FIN_QUEUED))
		tcp_conn_dirty(tcp, c);
	return !a->fin || fin_acked(tcp, c);
}

static bool ack_is_duplicate(
	const struct tcp_conn *c, const struct tcp_seg *s, uint32_t window_before)
{
	return s->ack == c->snd_una && s->len == 0 && !(s->flags & RTE_TCP_FIN_FLAG) &&
		c->sent_head != NULL && c->snd_wnd == window_before;
}

// RFC 5961 section 5.2: neither beyond what was sent nor older than the largest window.
static bool ack_in_range(const struct tcp_conn *c, uint32_t ack)
{
	return seq_le(ack, c->snd_nxt) && !seq_lt(ack, c->snd_una - c->snd_wnd_max);
}

// A reader that was short of mbufs dropped what came, and reads on now, as its window or an ACK
// tells that nothing of ours has caused: the timeout has grown for nothing. Once the first segment
// has waited for as long as one without backoff, all goes again.
static void reader_is_back(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->recovery != TCP_R_LOSS || c->backoff < 2 || c->sent_head == NULL ||
		(uint32_t)tcp->now_us - tcp_meta(tcp, c->sent_head)->sent_us <= c->rto_us)
		return;
	c->backoff = 0;
	tcp_loss_mark_all(tcp, c);
	tcp_timer_stop(c, TCP_T_RTX);
	tcp_conn_dirty(tcp, c);
}

// A window that is too small for a segment is used after a first timeout (RFC 9293 3.8.6.2.1),
// however long the probes of the shut one took.
static void probe_hasten(struct tcp *tcp, struct tcp_conn *c)
{
	int32_t left_ms = (int32_t)(c->timer_at[TCP_T_RTX] - tcp->now_ms);

	c->backoff = 0;
	if (left_ms > (int32_t)(tcp_rto_us(c) / 1000))
		tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
}

static void window_grown(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->flags & TCP_F_PERSIST)
		probe_hasten(tcp, c);
	else
		reader_is_back(tcp, c);
	if (c->unsent_bytes)
		tcp_conn_dirty(tcp, c);
}

// What is missing, with SACK: whatever was reported now, or is to be found out in recovery.
static void loss_look(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a)
{
	if (tcp_rack_detect(tcp, c))
		tcp_recovery_deepen(tcp, c);
	if (c->recovery == TCP_R_OPEN && c->lost_bytes)
		tcp_recovery_enter(tcp, c);
	if (c->recovery == TCP_R_FAST)
		tcp_recovery_pace(c, a);
	tcp_conn_dirty(tcp, c);
}

// An acknowledgement that stops before what was reported: the peer has dropped it (RFC 2018 section
// 8). To wait for the timeout would be in vain, since what the peer takes puts it off.
static bool reneging_look(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->sent_head == NULL || !(tcp_meta(tcp, c->sent_head)->flags & TCP_M_SACKED))
		return false;
	tcp->n.reneged++;
	tcp_loss_mark_all(tcp, c);
	base_assert(c->sacked_segs == 0 && c->lost_bytes > 0);
	return true;
}

// It acknowledges nothing new.
static void repeated_ack(
	struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a, uint32_t window_before)
{
	if (a->seg->len == 0 && !a->dsack && a->delivered == 0)
		reader_is_back(tcp, c);
	if (!(c->flags & TCP_F_SACK)) {
		if (ack_is_duplicate(c, a->seg, window_before))
			dup_ack(tcp, c, a);
	} else if ((a->dsack || a->delivered) && c->bulk != NULL) {
		tcp_undo_try(tcp, c, a);
		tcp_frto_judge(tcp, c, a);
	}
}

// What tcp_ack_input and new_ack come down to for a segment that was expected.
void tcp_ack_expected(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	struct tcp_acked a = {.seg = s, .sack_top = c->snd_una};

	base_assert(c->bulk == NULL && c->recovery == TCP_R_OPEN && c->sacked_bytes == 0);
	tcp_window_update(c, s);
	if (s->ack == c->snd_una)
		return;
	sent_release(tcp, c, &a);
	rtt_take(tcp, c, &a);
	c->dup_acks = 0;
	timer_restart(tcp, c);
	writable_tell(tcp, c);
	if (c->unsent_bytes)
		tcp_conn_dirty(tcp, c);
}

enum tcp_ack_result tcp_ack_input(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	struct tcp_acked a = {.seg = s, .sack_top = c->snd_una};
	uint32_t window = c->snd_wnd;
	bool reneged = false;

	if (!ack_in_range(c, s->ack)) {
		tcp->n.bad_ack++;
		tcp_answer_limited(tcp, c);
		return TCP_ACK_BAD;
	}
	if (seq_lt(s->ack, c->snd_una))
		return TCP_ACK_OK; // old news; its data may be new
	tcp_window_update(c, s);
	if (c->snd_wnd == 0)
		c->retries = 0; // it lives (RFC 9293 3.8.6.1)
	if (c->snd_wnd > window)
		window_grown(tcp, c);
	if ((c->flags & TCP_F_ECN) && (s->flags & RTE_TCP_ECE_FLAG))
		tcp_ecn_echo(tcp, c);
	if (c->bulk != NULL) {
		a.prior_fack = c->bulk->rack.fack;
		tcp_cc_flight_note(tcp, c);
	}
	if (s->sacks && (c->flags & TCP_F_SACK)) {
		a.delivered = tcp_sack_input(tcp, c, &a);
		tcp->n.dup_acks_in += a.delivered != 0;
	}
	if (seq_lt(c->snd_una, s->ack)) {
		if (!new_ack(tcp, c, &a))
			return TCP_ACK_GONE;
		reneged = reneging_look(tcp, c);
	} else {
		repeated_ack(tcp, c, &a, window);
	}
	if (c->bulk != NULL && (c->flags & TCP_F_SACK) &&
		(c->sacked_segs > 0 || reneged || c->recovery != TCP_R_OPEN))
		loss_look(tcp, c, &a);
	return TCP_ACK_OK;
}
