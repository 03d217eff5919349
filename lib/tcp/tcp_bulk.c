// SPDX-License-Identifier: BSD-3-Clause
// The state of connections at work: made when needed, given back when a connection has been quiet
// for as long as its congestion window may be believed.
#include "tcp/tcp_internal.h"

#define IDLE_MS    60000u
#define EXPIRE_MAX 64 // a call

struct tcp_bulk *tcp_bulk_get(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_bulk *b = c->bulk;

	if (b == NULL) {
		b = mem_try_calloc(tcp->opt.mem, MEM_CONNS, sizeof(*b), NULL);
		if (b == NULL) {
			tcp->n.no_memory++;
			return NULL;
		}
		b->conn = c;
		b->recover = c->snd_una - 1;
		b->rack.fack = c->snd_una;
		b->rack.reo_mult = 1;
		b->cut_us = (uint32_t)tcp->now_us;
		c->bulk = b;
	} else if (b->used_ms == tcp->now_ms) {
		return b;
	} else {
		base_list_remove(&b->node);
	}
	b->used_ms = tcp->now_ms;
	base_list_append(&tcp->bulks, &b->node);
	return b;
}

void tcp_bulk_free(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->bulk == NULL)
		return;
	base_list_remove(&c->bulk->node);
	mem_free(tcp->opt.mem, MEM_CONNS, c->bulk, sizeof(*c->bulk));
	c->bulk = NULL;
}

// Nothing has tested the window for a minute. RFC 7661 section 4.4.3: it halves, and slow start may
// find it again up to three quarters of what it was; of an idle connection it starts anew.
static void window_forget(struct tcp_conn *c, bool idle)
{
	uint32_t start = tcp_cc_initial_window(c);

	if (c->cwnd <= start)
		return;
	if (c->ssthresh < TCP_CWND_MAX)
		c->ssthresh = RTE_MAX(c->ssthresh, c->cwnd / 4 * 3);
	c->cwnd = idle ? start : RTE_MAX(c->cwnd / 2, start);
}

void tcp_bulk_expire(struct tcp *tcp)
{
	for (unsigned i = 0; i < EXPIRE_MAX && !base_list_empty(&tcp->bulks); i++) {
		struct tcp_bulk *b = base_container_of(tcp->bulks.next, struct tcp_bulk, node);
		struct tcp_conn *c = b->conn;

		if (tcp->now_ms - b->used_ms < IDLE_MS)
			return;
		if (c->recovery == TCP_R_OPEN)
			window_forget(c, c->sent_head == NULL);
		tcp_pmtu_raise(tcp, c);
		if (c->sent_head == NULL && c->recovery == TCP_R_OPEN && b->mss_full == 0)
			tcp_bulk_free(tcp, c);
		else
			(void)tcp_bulk_get(tcp, c);
	}
}
