// SPDX-License-Identifier: BSD-3-Clause
// F-RTO (RFC 5682): was the timeout needless? For peers without timestamps; with them the first
// acknowledgement tells (tcp_recovery.c). The first segment alone goes again. When that is
// acknowledged, up to two new segments go in place of what is taken for lost; then an
// acknowledgement of what was sent before the timeout, and not again, tells that it had only been
// late.
//
//	timeout ─ HEAD ─ acknowledged ──▸ NEW ─ two have left ──▸ JUDGE ─ older data came ──▸ undo
//	            └────── no new data, all acknowledged, new data first: slow start ──────┘
#include "tcp/tcp_internal.h"

#define LOST_SEGS 3 // the window once a timeout was found to be needed (section 3.1, step 3a)

void tcp_frto_start(const struct tcp *tcp, struct tcp_conn *c)
{
	const struct tcp_meta *head = tcp_meta(tcp, c->sent_head);

	if (!(c->flags & TCP_F_TS) && !(head->flags & TCP_M_SACKED))
		c->bulk->undo.frto = TCP_FRTO_HEAD;
}

static bool head_again_is_left(const struct tcp *tcp, const struct tcp_conn *c)
{
	return c->sent_head != NULL && (tcp_meta(tcp, c->sent_head)->flags & TCP_M_RETRANS);
}

// Step 2 of sections 2.1 and 3.1.
static void head_judge(const struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a)
{
	struct tcp_undo *u = &c->bulk->undo;

	if (a->bytes == 0 && (c->flags & TCP_F_SACK))
		return; // the marks are taken; what was sent again is still waited for
	if (a->bytes == 0 || !seq_lt(a->seg->ack, c->bulk->recover) || head_again_is_left(tcp, c))
		u->frto = TCP_FRTO_OFF;
	else
		u->frto = TCP_FRTO_NEW;
}

void tcp_frto_judge(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a)
{
	struct tcp_undo *u = &c->bulk->undo;
	uint32_t recover = c->bulk->recover;
	bool newer = seq_lt(recover, a->seg->ack) || seq_lt(recover, a->sack_top);

	if (!u->valid) // another sign of congestion came
		u->frto = TCP_FRTO_OFF;
	if (u->frto == TCP_FRTO_OFF)
		return;
	tcp_conn_dirty(tcp, c);
	if (u->frto == TCP_FRTO_HEAD) {
		head_judge(tcp, c, a);
	} else if (!newer && (a->bytes > 0 || a->delivered > 0)) {
		tcp_undo(tcp, c);
	} else if (newer || !(c->flags & TCP_F_SACK)) { // without SACK, a duplicate
		u->frto = TCP_FRTO_OFF;
		c->cwnd = (uint32_t)LOST_SEGS * c->mss;
	}
}

bool tcp_frto_holds(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_undo *u = &c->bulk->undo;
	bool sent = false;

	switch (u->frto) {
	case TCP_FRTO_HEAD:
		return head_again_is_left(tcp, c);
	case TCP_FRTO_NEW:
		for (unsigned i = 0; i < 2 && tcp_output_one(tcp, c); i++)
			sent = true;
		u->frto = sent ? TCP_FRTO_JUDGE : TCP_FRTO_OFF;
		return sent;
	case TCP_FRTO_JUDGE:
		return true;
	default:
		return false;
	}
}
