// SPDX-License-Identifier: BSD-3-Clause
// NewReno's congestion avoidance (RFC 5681), counting bytes (RFC 3465): one MSS a window.
#include "tcp/tcp_internal.h"

static void newreno_avoid(struct tcp *tcp, struct tcp_conn *c, uint32_t bytes)
{
	struct tcp_newreno *r = &c->bulk->cc.newreno;

	r->acked += bytes;
	if (r->acked >= c->cwnd) {
		r->acked -= c->cwnd;
		c->cwnd = RTE_MIN(c->cwnd + c->mss, TCP_CWND_MAX);
	}
}

static uint32_t newreno_cut(struct tcp *tcp, struct tcp_conn *c, uint32_t window, bool timeout)
{
	c->bulk->cc.newreno.acked = 0;
	return RTE_MAX(window / 2, 2u * c->mss);
}

const struct tcp_cc_ops tcp_cc_newreno = {
	.name = "newreno",
	.avoid = newreno_avoid,
	.cut = newreno_cut,
};
