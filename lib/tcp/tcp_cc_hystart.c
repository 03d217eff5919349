// SPDX-License-Identifier: BSD-3-Clause
// HyStart++ (RFC 9406): the first slow start ends where the round trip grows, not where the queue
// overflows. Windows grow by all that was acknowledged (as its section 4.3 has it for paced
// senders): peers that acknowledge large bursts at once would be held back otherwise.
#include "tcp/tcp_internal.h"

#define THRESH_MIN_US 4000u
#define THRESH_MAX_US 16000u
#define SAMPLES       8
#define CSS_DIVISOR   4
#define CSS_ROUNDS    5

// What was sent after the acknowledgement that ended the last round, until the next one came, is
// the flight of this round.
static bool round_over(struct tcp_conn *c, struct tcp_hystart *h)
{
	if (!h->in_round) {
		h->round_end = c->snd_nxt;
		h->in_round = true;
	}
	if (seq_lt(c->snd_una, h->round_end))
		return false;
	h->in_round = false;
	h->last_us = h->us;
	h->us = 0;
	h->samples = 0;
	return true;
}

static bool round_trip_grew(const struct tcp_hystart *h)
{
	uint32_t thresh = RTE_MIN(RTE_MAX(h->last_us / 8, THRESH_MIN_US), THRESH_MAX_US);

	return h->samples >= SAMPLES && h->last_us && h->us >= h->last_us + thresh;
}

uint32_t tcp_hystart_grow(struct tcp_conn *c, struct tcp_bulk *b, uint32_t bytes, uint32_t rtt_us)
{
	struct tcp_hystart *h = &b->hystart;

	if (rtt_us) {
		h->us = h->us ? RTE_MIN(h->us, rtt_us) : rtt_us;
		if (h->samples < SAMPLES)
			h->samples++;
	}
	if (h->css_us == 0) {
		if (round_trip_grew(h)) {
			h->css_us = h->us;
			h->rounds = 0;
		}
	} else if (h->samples >= SAMPLES && h->us < h->css_us) {
		h->css_us = 0; // it was not the queue
	}
	if (h->css_us)
		bytes /= CSS_DIVISOR;
	if (round_over(c, h) && h->css_us && ++h->rounds >= CSS_ROUNDS)
		c->ssthresh = c->cwnd + bytes; // congestion avoidance from here
	return bytes;
}
