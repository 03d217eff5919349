// SPDX-License-Identifier: BSD-3-Clause
// Round-trip time and retransmission timeout (RFC 6298).
#include "tcp/tcp_internal.h"

#define CLOCK_US 1000u // G: the timers' granularity

void tcp_rtt_init(struct tcp *tcp, struct tcp_conn *c)
{
	c->srtt_us = c->rttvar_us = 0;
	c->rto_us = TCP_RTO_INIT_US;
}

// Section 2: alpha = 1/8, beta = 1/4, K = 4.
void tcp_rtt_sample(struct tcp *tcp, struct tcp_conn *c, uint32_t rtt_us)
{
	uint32_t var4;

	if (rtt_us == 0)
		rtt_us = 1;
	if (rtt_us > TCP_RTO_MAX_US)
		return; // a clock that jumped or an echo of nonsense
	if (c->srtt_us == 0) {
		c->srtt_us = c->rtt_min_us = rtt_us;
		c->rttvar_us = rtt_us / 2;
	} else if (rtt_us < c->srtt_us / 4) {
		// What was measured before held waits for lost acknowledgements: forgotten by half.
		c->rttvar_us = RTE_MAX(c->rttvar_us / 2, rtt_us / 2);
		c->srtt_us = (c->srtt_us + rtt_us) / 2;
	} else {
		uint32_t err = rtt_us > c->srtt_us ? rtt_us - c->srtt_us : c->srtt_us - rtt_us;

		c->rttvar_us = c->rttvar_us - c->rttvar_us / 4 + err / 4;
		c->srtt_us = c->srtt_us - c->srtt_us / 8 + rtt_us / 8;
		if (c->srtt_us == 0)
			c->srtt_us = 1;
	}
	c->rtt_min_us = RTE_MIN(c->rtt_min_us, rtt_us);
	var4 = RTE_MAX(CLOCK_US, 4 * c->rttvar_us);
	c->rto_us = RTE_MIN(RTE_MAX(c->srtt_us + var4, tcp->opt.rto_min_us), TCP_RTO_MAX_US);
}

uint32_t tcp_rto_us(const struct tcp_conn *c)
{
	uint64_t us = (uint64_t)c->rto_us << RTE_MIN(c->backoff, 16);

	return (uint32_t)base_min_u64(us, TCP_RTO_MAX_US);
}
