// SPDX-License-Identifier: BSD-3-Clause
// Congestion control: the table of algorithms and what they share: initial window, slow start, the
// window after an idle time.
#include "tcp/tcp_internal.h"

#define TESTED_MS 1000u

static const struct tcp_cc_ops *const all[] = {&tcp_cc_cubic, &tcp_cc_newreno};

const char *tcp_congestion_name(unsigned i)
{
	return i < BASE_ARRAY_LEN(all) ? all[i]->name : NULL;
}

const struct tcp_cc_ops *tcp_cc_find(const char *name)
{
	for (unsigned i = 0; i < BASE_ARRAY_LEN(all); i++) {
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
}

// RFC 6928 section 2; one segment after a lost SYN (RFC 5681 section 3.1).
uint32_t tcp_cc_initial_window(const struct tcp_conn *c)
{
	uint32_t mss = c->mss;

	if (c->flags & TCP_F_SYN_LOST)
		return mss;
	return RTE_MIN(10 * mss, RTE_MAX(2 * mss, 14600u));
}

void tcp_cc_init(struct tcp_conn *c)
{
	c->cwnd = tcp_cc_initial_window(c);
	c->ssthresh = TCP_CWND_MAX;
}

// Slow start by the bytes acknowledged: peers that acknowledge a whole burst at once would hold it
// back otherwise. What goes beyond the threshold counts for congestion avoidance.
void tcp_cc_acked(struct tcp *tcp, struct tcp_conn *c, uint32_t bytes, uint32_t rtt_us)
{
	struct tcp_bulk *b = tcp_bulk_get(tcp, c);

	if (c->cwnd < c->ssthresh) {
		uint32_t room = c->ssthresh - c->cwnd, grow = RTE_MIN(bytes, room);

		bytes -= grow;
		if (b != NULL && c->ssthresh == TCP_CWND_MAX)
			grow = tcp_hystart_grow(c, b, grow, rtt_us);
		c->cwnd = RTE_MIN(c->cwnd + grow, TCP_CWND_MAX);
		if (c->cwnd < c->ssthresh)
			return;
	}
	if (b != NULL && bytes > 0)
		tcp->cc->avoid(tcp, c, bytes);
}

void tcp_cc_flight_note(const struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_bulk *b = c->bulk;

	if (tcp->now_ms - b->flight_ms >= TESTED_MS) {
		b->flight_last = b->flight_max;
		b->flight_max = 0;
		b->flight_ms = tcp->now_ms;
	}
	b->flight_max = RTE_MAX(b->flight_max, tcp_flight(c));
}

// What is out at the end of a reply says little of the window that its middle had filled.
uint32_t tcp_cc_tested(const struct tcp_conn *c)
{
	uint32_t most = tcp_flight(c);

	if (c->bulk != NULL)
		most = RTE_MAX(most, RTE_MAX(c->bulk->flight_max, c->bulk->flight_last));
	return RTE_MIN(most, c->cwnd);
}

void tcp_cc_cut(struct tcp *tcp, struct tcp_conn *c, uint32_t window, bool timeout)
{
	struct tcp_bulk *b = tcp_bulk_get(tcp, c);

	if (c->flags & TCP_F_ECN)
		c->flags |= TCP_F_CWR;
	if (b == NULL) { // as Reno would
		c->ssthresh = RTE_MAX(window / 2, 2u * c->mss);
		return;
	}
	c->ssthresh = tcp->cc->cut(tcp, c, window, timeout);
	b->cut_us = (uint32_t)tcp->now_us;
}
