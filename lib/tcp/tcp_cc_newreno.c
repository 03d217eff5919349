// SPDX-License-Identifier: BSD-3-Clause
// Congestion control: the table of algorithms, and NewReno (RFC 5681, counting bytes).
#include "tcp/tcp_internal.h"

#define CWND_MAX (1u << 30)

// RFC 6928 section 2; one segment after a lost SYN (RFC 5681 section 3.1).
uint32_t tcp_cc_initial_window(const struct tcp_conn *c)
{
	uint32_t mss = c->mss;

	if (c->flags & TCP_F_SYN_LOST)
		return mss;
	return RTE_MIN(10 * mss, RTE_MAX(2 * mss, 14600u));
}

static void newreno_init(struct tcp_conn *c)
{
	c->cwnd = tcp_cc_initial_window(c);
	c->ssthresh = CWND_MAX;
	c->cc_acked = 0;
}

// Slow start by the bytes acknowledged: peers that acknowledge a whole burst at once would hold it
// back otherwise. Then one MSS a window.
static void newreno_acked(struct tcp_conn *c, uint32_t bytes, uint64_t now_us)
{
	if (c->cwnd < c->ssthresh) {
		c->cwnd = RTE_MIN(c->cwnd + bytes, CWND_MAX);
		return;
	}
	c->cc_acked += bytes;
	if (c->cc_acked >= c->cwnd) {
		c->cc_acked -= c->cwnd;
		c->cwnd = RTE_MIN(c->cwnd + c->mss, CWND_MAX);
	}
}

static uint32_t newreno_ssthresh(const struct tcp_conn *c, uint32_t flight)
{
	return RTE_MAX(flight / 2, 2u * c->mss);
}

const struct tcp_cc_ops tcp_cc_newreno = {
	.name = "newreno",
	.init = newreno_init,
	.acked = newreno_acked,
	.ssthresh = newreno_ssthresh,
};

const struct tcp_cc_ops *tcp_cc_find(const char *name)
{
	static const struct tcp_cc_ops *const all[] = {&tcp_cc_newreno};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(all); i++) {
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
}
