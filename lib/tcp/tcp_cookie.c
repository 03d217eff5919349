// SPDX-License-Identifier: BSD-3-Clause
// SYN cookies (RFC 4987 section 3.6): when the half-open queue is full, a SYN is answered without
// state. Our first sequence number holds the peer's MSS and a code that only we can make, the
// timestamp the other options:
//
//	sequence number  [ code 28 ][ slot 1 ][ MSS 3 ]     a slot is 64 s, the last two count
//	timestamp        [ time  26 ][ ECN 1 ][ SACK 1 ][ window scale 4, 15: none ]
//
// A peer without timestamps gets neither SACK nor window scaling.
#include "tcp/tcp_internal.h"

#define SLOT_US     64000000u
#define OPTION_BITS 63u
#define NO_WSCALE   15u
#define OPTION_SACK 16u
#define OPTION_ECN  32u
#define ECE_CWR     (RTE_TCP_ECE_FLAG | RTE_TCP_CWR_FLAG)

// Ethernet's, tunnels', and what IPv4 and IPv6 guarantee; the largest not above the peer's.
static const uint16_t mss_table[8] = {216, 536, 1220, 1360, 1400, 1440, 1460, 8940};

static unsigned mss_index(const struct tcp_seg *s)
{
	uint16_t mss = s->opts & TCP_O_MSS ? s->mss : 536;
	unsigned i = BASE_ARRAY_LEN(mss_table) - 1;

	while (i > 0 && mss_table[i] > mss)
		i--;
	return i;
}

// The keys change with the slot, so that what an observer learns of one is of no use in the next.
static uint32_t code_make(
	const struct tcp *tcp, const struct tcp_key *key, uint32_t irs, unsigned mss, uint64_t slot)
{
	const uint64_t seed[2][2] = {{slot, 0}, {slot, 1}};
	const uint64_t k[2] = {base_siphash(tcp->cookie_key, seed[0], sizeof(seed[0])),
		base_siphash(tcp->cookie_key, seed[1], sizeof(seed[1]))};
	struct {
		struct tcp_key key;
		uint32_t irs, mss;
	} of = {.key = *key, .irs = irs, .mss = mss};

	return (uint32_t)(base_siphash(k, &of, sizeof(of)) >> 36);
}

static uint32_t cookie_make(const struct tcp *tcp, const struct tcp_seg *s)
{
	uint64_t slot = tcp->now_us / SLOT_US;
	unsigned mss = mss_index(s);

	return code_make(tcp, &s->key, s->seq, mss, slot) << 4 | (uint32_t)(slot & 1) << 3 | mss;
}

// The time now or up to 64 ms ago, with the options in its low bits.
static uint32_t stamp_make(const struct tcp *tcp, const struct tcp_conn *c, const struct tcp_seg *s)
{
	uint32_t now = tcp->now_ms + tcp_ts_offset(tcp, &s->key), stamp = now & ~OPTION_BITS;

	stamp |= c->flags & TCP_F_WSCALE ? s->wscale : NO_WSCALE;
	stamp |= c->flags & TCP_F_SACK ? OPTION_SACK : 0;
	stamp |= c->flags & TCP_F_ECN ? OPTION_ECN : 0;
	return seq_lt(now, stamp) ? stamp - OPTION_BITS - 1 : stamp;
}

void tcp_cookie_answer(struct tcp *tcp, const struct tcp_seg *s)
{
	struct tcp_conn c; // as it would be; not kept

	memset(&c, 0, sizeof(c));
	c.node.key = s->key;
	c.node.state = TCP_SYN_RCVD;
	c.flags = tcp->offer;
	if (!(s->opts & TCP_O_TS) || !(tcp->offer & TCP_F_TS))
		c.flags = 0;
	tcp_syn_take(tcp, &c, s);
	c.snd_una = cookie_make(tcp, s);
	c.node.ts_offset = stamp_make(tcp, &c, s) - tcp->now_ms;
	tcp->cookie_us = tcp->now_us;
	tcp->n.cookies_out++;
	tcp_xmit_syn(tcp, &c);
}

// The SYN that the cookie was the answer to. False: it was none of ours.
static bool cookie_open(const struct tcp *tcp, const struct tcp_seg *s, struct tcp_seg *syn)
{
	uint32_t cookie = s->ack - 1, bits = s->tsecr & OPTION_BITS;
	uint64_t slot = tcp->now_us / SLOT_US;
	unsigned mss = cookie & 7;

	if ((slot & 1) != (cookie >> 3 & 1))
		slot--;
	if (code_make(tcp, &s->key, s->seq - 1, mss, slot) != cookie >> 4)
		return false;
	*syn = (struct tcp_seg){.key = s->key,
		.seq = s->seq - 1,
		.wnd = s->wnd,
		.flags = RTE_TCP_SYN_FLAG,
		.opts = TCP_O_MSS,
		.mss = mss_table[mss]};
	if (!(s->opts & TCP_O_TS))
		return true;
	syn->tsval = s->tsval;
	syn->wscale = bits & NO_WSCALE;
	syn->opts |= TCP_O_TS | (syn->wscale != NO_WSCALE ? TCP_O_WSCALE : 0) |
		(bits & OPTION_SACK ? TCP_O_SACKOK : 0);
	syn->flags |= bits & OPTION_ECN ? ECE_CWR : 0;
	return true;
}

struct tcp_conn *tcp_cookie_input(struct tcp *tcp, const struct tcp_seg *s)
{
	struct tcp_conn *c;
	struct tcp_seg syn;

	if (tcp->cookie_us == 0 || tcp->now_us - tcp->cookie_us > 2ull * SLOT_US)
		return NULL; // none is out
	if (!cookie_open(tcp, s, &syn)) {
		tcp->n.cookies_bad++;
		return NULL;
	}
	c = tcp_passive_open(tcp, &syn, s->ack - 1);
	if (c == NULL)
		return NULL;
	c->flags |= TCP_F_COOKIE;
	tcp->n.cookies_in++;
	return c;
}
