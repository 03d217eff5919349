// SPDX-License-Identifier: BSD-3-Clause
// What may leave now: lost segments, new data by window and congestion window, FIN, and at the end
// an ACK if nothing carried it.
#include "tcp/tcp_internal.h"

enum sent { SENT_ALL, SENT_WINDOW, SENT_CWND, SENT_NO_MBUF };

static void recovery_count(struct tcp_conn *c, uint32_t len)
{
	if (c->recovery == TCP_R_FAST)
		c->bulk->prr.out += len;
}

// Lost segments in order, as the congestion window allows; the first of a recovery at once.
static enum sent lost_send(struct tcp *tcp, struct tcp_conn *c)
{
	struct rte_mbuf *m = c->sent_head, *before = NULL;

	for (; m != NULL && c->lost_bytes > c->retrans_bytes;
		before = m, m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);
		uint32_t pipe = tcp_pipe(c);

		if ((s->flags & (TCP_M_LOST | TCP_M_RETRANS)) != TCP_M_LOST)
			continue;
		if (base_unlikely(s->len > c->mss)) { // the path has become narrower
			m = tcp_sent_split(tcp, c, before, m);
			if (m == NULL)
				return SENT_NO_MBUF;
			s = tcp_meta(tcp, m);
		}
		if (!(c->flags & TCP_F_RTX_FORCE) && pipe && pipe + s->len > c->cwnd)
			return SENT_CWND;
		if (!tcp_xmit_again(tcp, c, m))
			return SENT_NO_MBUF;
		s->flags |= TCP_M_RETRANS;
		c->retrans_bytes += meta_space(s);
		recovery_count(c, s->len);
		c->flags &= ~TCP_F_RTX_FORCE;
		if (c->bulk != NULL && c->bulk->undo.frto == TCP_FRTO_HEAD)
			return SENT_CWND;
	}
	return SENT_ALL;
}

static uint32_t window_left(const struct tcp_conn *c)
{
	uint32_t edge = c->snd_una + c->snd_wnd;

	return seq_lt(c->snd_nxt, edge) ? edge - c->snd_nxt : 0;
}

static bool fin_due(const struct tcp_conn *c)
{
	return (c->flags & (TCP_F_FIN_QUEUED | TCP_F_FIN_SENT)) == TCP_F_FIN_QUEUED;
}

static void fin_mark(struct tcp_conn *c, struct tcp_meta *s)
{
	s->flags |= TCP_M_FIN;
	c->flags |= TCP_F_FIN_SENT;
	base_assert(c->node.state == TCP_ESTABLISHED || c->node.state == TCP_CLOSE_WAIT);
	c->node.state = c->node.state == TCP_ESTABLISHED ? TCP_FIN_WAIT_1 : TCP_LAST_ACK;
}

// RFC 9293 3.8.6.2.1: a full segment, all there is, half the largest window, or `override`.
static uint32_t segment_size(const struct tcp *tcp, const struct tcp_conn *c, bool override)
{
	uint32_t want = RTE_MIN(c->unsent_bytes, (uint32_t)c->mss), left = window_left(c);

	if (!tcp->multi_segs)
		want = RTE_MIN(want, tcp->seg_room);
	if (want <= left)
		return want;
	return override || left >= RTE_MAX(c->snd_wnd_max / 2, 1u) ? left : 0;
}

// Full segments, and one that is not at the end, which leave in one frame for the device to cut.
// They are the last of the sent queue, and do not wait beyond this output.
struct train {
	struct rte_mbuf *first; // NULL: none waits
	uint32_t bytes;
	uint32_t mbufs;
};

static void train_leave(struct tcp *tcp, struct tcp_conn *c, struct train *t)
{
	if (t->first != NULL)
		tcp_xmit_first(tcp, c, t->first);
	*t = (struct train){.first = NULL};
}

static void segment_send(struct tcp *tcp, struct tcp_conn *c, struct train *t, struct rte_mbuf *m)
{
	struct tcp_meta *s = tcp_meta(tcp, m);

	if (t->bytes + m->pkt_len > TCP_TSO_BYTES || t->mbufs + m->nb_segs > tcp->tso_mbufs)
		train_leave(tcp, c, t);
	*s = (struct tcp_meta){.seq = c->snd_nxt, .len = (uint16_t)m->pkt_len};
	if (c->unsent_bytes == 0 && fin_due(c))
		fin_mark(c, s);
	tcp_sent_append(tcp, c, m);
	c->snd_nxt += meta_space(s);
	recovery_count(c, s->len);
	if (t->first == NULL)
		t->first = m;
	t->bytes += m->pkt_len;
	t->mbufs += m->nb_segs;
	// CWR marks one segment (RFC 3168 section 6.1.2); a device would set it on any of them
	if (s->len != c->mss || tcp->tso_mbufs == 0 || (c->flags & TCP_F_CWR))
		train_leave(tcp, c, t);
}

// A window that nothing has tested for a while is not to be trusted: after a minute (RFC 7661),
// when struct tcp_bulk goes; at once where there was no memory for that (RFC 5681 section 4.1).
static void idle_restart(const struct tcp *tcp, struct tcp_conn *c)
{
	if (c->bulk == NULL && c->snd_nxt == c->snd_una &&
		(uint32_t)tcp->now_us - c->last_tx_us > c->rto_us)
		c->cwnd = RTE_MIN(c->cwnd, tcp_cc_initial_window(c));
}

// What an acknowledgement walks is bounded; and the last mbufs are to receive acknowledgements
// with.
static bool sent_full(struct tcp *tcp, const struct tcp_conn *c)
{
	return c->sent_segs >= tcp->sent_max || !tcp_sent_fits(tcp, c);
}

static enum sent segments_send(
	struct tcp *tcp, struct tcp_conn *c, struct train *train, bool override)
{
	while (c->unsent_bytes || fin_due(c)) {
		uint32_t want = segment_size(tcp, c, override), pipe = tcp_pipe(c);
		struct rte_mbuf *m;

		if ((want == 0 && c->unsent_bytes) || sent_full(tcp, c))
			return SENT_WINDOW;
		if (pipe && pipe + want > c->cwnd)
			return SENT_CWND;
		m = tcp_segment_cut(tcp, c, want);
		if (m == NULL)
			return SENT_NO_MBUF;
		segment_send(tcp, c, train, m);
	}
	return SENT_ALL;
}

static enum sent new_send(struct tcp *tcp, struct tcp_conn *c, bool override)
{
	struct train train = {.first = NULL};
	enum sent how;

	idle_restart(tcp, c);
	if (c->bulk != NULL)
		tcp_pmtu_raise(tcp, c);
	how = segments_send(tcp, c, &train, override);
	train_leave(tcp, c, &train);
	return how;
}

// In flight: retransmission. Nothing in flight and a closed window: the probe.
static void timers_set(struct tcp *tcp, struct tcp_conn *c, enum sent how, bool sent_new)
{
	if (c->sent_head != NULL) {
		if (c->flags & TCP_F_PERSIST)
			tcp_timer_stop(c, TCP_T_RTX);
		c->flags &= ~TCP_F_PERSIST;
		if (!tcp_timer_armed(c, TCP_T_RTX) || (sent_new && !(c->flags & TCP_F_REO)))
			tcp_rtx_arm(tcp, c);
	} else if (how == SENT_WINDOW && !tcp_timer_armed(c, TCP_T_RTX)) {
		c->flags |= TCP_F_PERSIST;
		tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
	}
}

// Growth only where the window is what limits (RFC 7661's concern).
static void cwnd_bound_note(struct tcp_conn *c, enum sent how)
{
	bool slow_start = c->cwnd < c->ssthresh;

	if (how == SENT_CWND || (slow_start && tcp_flight(c) >= c->cwnd / 2))
		c->flags |= TCP_F_CWND_BOUND;
	else if (how == SENT_ALL)
		c->flags &= ~TCP_F_CWND_BOUND;
}

// A peer without SACK counts duplicates: it gets as many as it would have from an immediate ACKer.
static bool acks_send(struct tcp *tcp, struct tcp_conn *c)
{
	unsigned extra = c->dup_owed > 1 ? c->dup_owed - 1 : 0;

	if (!(c->flags & TCP_F_ACK_NOW)) {
		if (c->node.rcv_nxt != c->last_ack_sent && !tcp_timer_armed(c, TCP_T_DELACK))
			tcp_timer_arm(tcp, c, TCP_T_DELACK, tcp->opt.delack_us);
		return true;
	}
	for (; extra > 0; extra--) {
		if (!tcp_xmit_ack(tcp, c))
			return false;
	}
	return tcp_xmit_ack(tcp, c);
}

static bool output(struct tcp *tcp, struct tcp_conn *c, bool override)
{
	enum sent how = SENT_ALL;
	uint32_t before = c->snd_nxt;
	bool ok;

	base_assert(c->node.state != TCP_CLOSED);
	if (c->node.state >= TCP_ESTABLISHED) {
		if (c->recovery == TCP_R_LOSS && tcp_frto_holds(tcp, c))
			how = SENT_CWND;
		else if (c->lost_bytes > c->retrans_bytes)
			how = lost_send(tcp, c);
		if (how == SENT_ALL)
			how = new_send(tcp, c, override);
		cwnd_bound_note(c, how);
		timers_set(tcp, c, how, c->snd_nxt != before);
	}
	ok = acks_send(tcp, c);
	return ok && how != SENT_NO_MBUF;
}

bool tcp_output_one(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t want = segment_size(tcp, c, false);
	struct train train = {.first = NULL};
	struct rte_mbuf *m;

	if (want == 0 || sent_full(tcp, c))
		return false;
	m = tcp_segment_cut(tcp, c, want);
	if (m == NULL)
		return false;
	segment_send(tcp, c, &train, m);
	train_leave(tcp, c, &train);
	return true;
}

bool tcp_output(struct tcp *tcp, struct tcp_conn *c)
{
	return output(tcp, c, false);
}

void tcp_output_override(struct tcp *tcp, struct tcp_conn *c)
{
	if (!output(tcp, c, true))
		tcp_conn_dirty(tcp, c);
}

void tcp_flush(struct tcp *tcp, uint64_t now_us)
{
	struct base_list again, *l;

	tcp_time_set(tcp, now_us);
	base_list_init(&again);
	while ((l = base_list_pop(&tcp->dirty)) != NULL) {
		struct tcp_conn *c = base_container_of(l, struct tcp_conn, dirty);

		if (tcp_output(tcp, c))
			c->flags &= ~TCP_F_DIRTY;
		else
			base_list_append(&again, l);
	}
	while ((l = base_list_pop(&again)) != NULL) // no mbufs: next turn
		base_list_append(&tcp->dirty, l);
	while ((l = base_list_pop(&tcp->events_later)) != NULL)
		base_list_append(&tcp->events, l);
}
