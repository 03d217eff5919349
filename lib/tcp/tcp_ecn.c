// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification (RFC 3168), both sides: what the SYNs agree on, the echo of
// marks that came with data, and one cut a window for echoes that come back.
#include "tcp/tcp_internal.h"

#define IP_CE   3
#define ECE_CWR (RTE_TCP_ECE_FLAG | RTE_TCP_CWR_FLAG)

uint8_t tcp_ecn_syn_flags(const struct tcp_conn *c)
{
	if (!(c->flags & TCP_F_ECN))
		return 0;
	return c->node.state == TCP_SYN_RCVD ? RTE_TCP_ECE_FLAG : ECE_CWR;
}

// Section 6.1.1: both bits ask, ECE alone agrees. A SYN that crosses ours agrees to nothing.
void tcp_ecn_agree(struct tcp_conn *c, const struct tcp_seg *s)
{
	bool answer = s->flags & RTE_TCP_ACK_FLAG;
	uint8_t want = answer ? RTE_TCP_ECE_FLAG : ECE_CWR;

	if ((s->flags & ECE_CWR) != want || answer != !!(c->flags & TCP_F_ACTIVE))
		c->flags &= ~TCP_F_ECN;
}

// Section 6.1.2: as for a loss, once for a window; recovery has cut it already.
void tcp_ecn_echo(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_bulk *b = c->sent_head != NULL ? tcp_bulk_get(tcp, c) : NULL;

	if (b == NULL || b->ecn_cut)
		return;
	b->ecn_cut = true;
	b->ecn_end = c->snd_nxt;
	c->flags |= TCP_F_CWR;
	if (c->recovery != TCP_R_OPEN)
		return;
	tcp->n.ecn_cuts++;
	tcp_cc_cut(tcp, c, tcp_cc_tested(c), false);
	c->cwnd = RTE_MIN(c->cwnd, c->ssthresh);
	b->undo.valid = false; // it was for something
}

void tcp_ecn_mark(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s)
{
	if (s->len == 0)
		return;
	if (s->flags & RTE_TCP_CWR_FLAG)
		c->flags &= ~TCP_F_ECE;
	if (s->ecn == IP_CE) {
		tcp->n.ecn_marks_in++;
		c->flags |= TCP_F_ECE | TCP_F_ACK_NOW;
		tcp_conn_dirty(tcp, c);
	}
}
