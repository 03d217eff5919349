// SPDX-License-Identifier: BSD-3-Clause
// CUBIC (RFC 9438), in bytes and milliseconds. C = 0.4 segments/s^3, beta = 0.7, alpha = 9/17.
//
//	W_cubic(t) = C (t - K)^3 + W_max        K = cbrt((W_max - cwnd at the epoch) / C)
//
//	          K: the window is W_max again
//	 ____.---'          '---.____     concave, then convex
#include "tcp/tcp_internal.h"

#define SPAN_MS   100000 // (t - K)^3 and a window of 2^30 bytes fit 64 bits
#define ALPHA_NUM 9      // 3 (1 - beta) / (1 + beta)
#define ALPHA_DEN 17

// The largest r with r^3 <= v, bit by bit.
static uint32_t cube_root(uint64_t v)
{
	uint64_t r = 0;

	for (int bit = 20; bit >= 0; bit--) {
		uint64_t t = r | 1ull << bit;

		if (t * t * t <= v)
			r = t;
	}
	return (uint32_t)r;
}

static uint32_t w_cubic(const struct tcp_conn *c, const struct tcp_cubic *cb, uint64_t t_us)
{
	int64_t ms = (int64_t)base_min_u64(t_us / 1000, 2 * SPAN_MS) - cb->k_ms, w;

	ms = RTE_MAX(RTE_MIN(ms, (int64_t)SPAN_MS), (int64_t)-SPAN_MS);
	// 0.4 MSS / s^3 are 4 MSS / 10^10 ms^3.
	w = (int64_t)cb->w_max + ms * ms * ms / 1000000 * 4 * c->mss / 10000;
	return (uint32_t)RTE_MAX(RTE_MIN(w, (int64_t)TCP_CWND_MAX), (int64_t)0);
}

// Section 4.2; after a timeout, or with nothing to return to, the convex part at once (4.8).
static void epoch_start(struct tcp_conn *c, struct tcp_cubic *cb, uint64_t now_us)
{
	cb->epoch_us = cb->grown_us = now_us;
	cb->part = 0;
	cb->est_part = 0;
	cb->w_est = c->cwnd;
	cb->k_ms = 0;
	if (cb->timed_out || cb->w_max <= c->cwnd)
		cb->w_max = c->cwnd;
	else
		cb->k_ms = cube_root((uint64_t)(cb->w_max - c->cwnd) * 2500000000ull / c->mss);
	cb->timed_out = false;
}

// Section 4.3: alpha MSS a window, one once the window from before the cut is reached.
static void reno_grow(const struct tcp_conn *c, struct tcp_cubic *cb, uint32_t bytes)
{
	uint64_t num = cb->w_est < cb->w_prior ? ALPHA_NUM : ALPHA_DEN;
	uint64_t window = (uint64_t)ALPHA_DEN * c->cwnd;

	cb->est_part += num * bytes * c->mss;
	cb->w_est += (uint32_t)(cb->est_part / window);
	cb->est_part %= window;
	cb->w_est = RTE_MIN(cb->w_est, TCP_CWND_MAX);
}

static void cubic_avoid(struct tcp *tcp, struct tcp_conn *c, uint32_t bytes)
{
	struct tcp_cubic *cb = &c->bulk->cc.cubic;
	uint64_t now_us = tcp->now_us, part;
	uint32_t target;

	if (cb->epoch_us == 0)
		epoch_start(c, cb, now_us);
	else if (now_us - cb->grown_us > c->rto_us)
		cb->epoch_us += now_us - cb->grown_us; // the window did not limit meanwhile (4.2)
	cb->grown_us = now_us;
	reno_grow(c, cb, bytes);
	if (w_cubic(c, cb, now_us - cb->epoch_us) < cb->w_est) {
		c->cwnd = RTE_MAX(c->cwnd, cb->w_est);
		return;
	}
	target = w_cubic(c, cb, now_us - cb->epoch_us + c->srtt_us);
	target = RTE_MIN(RTE_MAX(target, c->cwnd), c->cwnd + c->cwnd / 2);
	part = cb->part + (uint64_t)(target - c->cwnd) * bytes;
	cb->part = (uint32_t)(part % c->cwnd);
	c->cwnd = RTE_MIN(c->cwnd + (uint32_t)(part / c->cwnd), TCP_CWND_MAX);
}

// Sections 4.6 and 4.7: a flow whose window shrinks makes room for others.
static uint32_t cubic_cut(struct tcp *tcp, struct tcp_conn *c, uint32_t window, bool timeout)
{
	struct tcp_cubic *cb = &c->bulk->cc.cubic;

	cb->w_max = window < cb->w_max ? (uint32_t)((uint64_t)window * 17 / 20) : window;
	cb->w_prior = window;
	cb->epoch_us = 0;
	cb->timed_out = timeout;
	return RTE_MAX((uint32_t)((uint64_t)window * 7 / 10), 2u * c->mss);
}

const struct tcp_cc_ops tcp_cc_cubic = {
	.name = "cubic",
	.avoid = cubic_avoid,
	.cut = cubic_cut,
};
