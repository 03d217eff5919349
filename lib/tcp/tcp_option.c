// SPDX-License-Identifier: BSD-3-Clause
// Options: parsing what came and writing what goes (RFC 9293 section 3.2, RFC 7323, RFC 2018).
#include "tcp/tcp_internal.h"

#define OPT_END    0
#define OPT_NOP    1
#define OPT_MSS    2
#define OPT_WSCALE 3
#define OPT_SACKOK 4
#define OPT_SACK   5
#define OPT_TS     8

#define WSCALE_MAX 14 // RFC 7323 section 2.3

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_32(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
}

// Most segments carry nothing but NOP NOP timestamp.
static bool parse_ts_alone(struct tcp_seg *s, const uint8_t *p, uint32_t len)
{
	static const uint8_t head[4] = {OPT_NOP, OPT_NOP, OPT_TS, 10};

	if (len != 12 || memcmp(p, head, sizeof(head)) != 0)
		return false;
	s->opts |= TCP_O_TS;
	s->tsval = get32(p + 4);
	s->tsecr = get32(p + 8);
	return true;
}

static bool parse_sack(struct tcp_seg *s, const uint8_t *p, uint32_t len)
{
	if (len < 10 || (len - 2) % 8 != 0)
		return false;
	s->sacks = 0;
	for (uint32_t i = 2; i < len && s->sacks < TCP_SACK_BLOCKS; i += 8) {
		s->sack[s->sacks].start = get32(p + i);
		s->sack[s->sacks].end = get32(p + i + 4);
		s->sacks++;
	}
	return true;
}

// One option with a length byte. False: its length does not fit its kind. Options that belong to a
// SYN are ignored elsewhere.
static bool parse_one(struct tcp_seg *s, const uint8_t *p, uint32_t len)
{
	bool syn = s->flags & RTE_TCP_SYN_FLAG;

	switch (p[0]) {
	case OPT_MSS:
		if (len != 4)
			return false;
		s->mss = (uint16_t)(p[2] << 8 | p[3]);
		s->opts |= syn ? TCP_O_MSS : 0;
		return true;
	case OPT_WSCALE:
		if (len != 3)
			return false;
		s->wscale = p[2] > WSCALE_MAX ? WSCALE_MAX : p[2];
		s->opts |= syn ? TCP_O_WSCALE : 0;
		return true;
	case OPT_SACKOK:
		s->opts |= syn ? TCP_O_SACKOK : 0;
		return len == 2;
	case OPT_SACK:
		return parse_sack(s, p, len);
	case OPT_TS:
		if (len != 10)
			return false;
		s->opts |= TCP_O_TS;
		s->tsval = get32(p + 2);
		s->tsecr = get32(p + 6);
		return true;
	default:
		return true;
	}
}

// False: an option runs over the header or has a length that its kind cannot have.
bool tcp_options_parse(struct tcp_seg *s, const uint8_t *p, uint32_t len)
{
	if (parse_ts_alone(s, p, len))
		return true;
	while (len > 0) {
		if (p[0] == OPT_END)
			return true;
		if (p[0] == OPT_NOP) {
			p++;
			len--;
			continue;
		}
		if (len < 2 || p[1] < 2 || p[1] > len)
			return false;
		if (!parse_one(s, p, p[1]))
			return false;
		len -= p[1];
		p += p[1];
	}
	return true;
}

// NOP NOP timestamp: 12 bytes.
uint32_t tcp_options_ts(uint8_t *p, uint32_t tsval, uint32_t tsecr)
{
	p[0] = p[1] = OPT_NOP;
	p[2] = OPT_TS;
	p[3] = 10;
	put32(p + 4, tsval);
	put32(p + 8, tsecr);
	return 12;
}

// The options of a SYN or SYN-ACK, a multiple of 4 bytes, at most 20.
uint32_t tcp_options_syn(uint8_t *p, uint16_t mss, bool sack, bool ts, bool wscale, uint8_t shift,
	uint32_t tsval, uint32_t tsecr)
{
	uint32_t n = 4;

	p[0] = OPT_MSS;
	p[1] = 4;
	p[2] = (uint8_t)(mss >> 8);
	p[3] = (uint8_t)mss;
	if (sack || ts) {
		uint32_t at = n;

		n += ts ? tcp_options_ts(p + n, tsval, tsecr) : 4;
		p[at] = sack ? OPT_SACKOK : OPT_NOP; // in the place of the padding
		p[at + 1] = sack ? 2 : OPT_NOP;
		if (!ts)
			p[at + 2] = p[at + 3] = OPT_NOP;
	}
	if (wscale) {
		p[n] = OPT_NOP;
		p[n + 1] = OPT_WSCALE;
		p[n + 2] = 3;
		p[n + 3] = shift;
		n += 4;
	}
	return n;
}

static uint8_t *put_block(uint8_t *p, const struct tcp_range *r)
{
	put32(p, r->start);
	put32(p + 4, r->end);
	return p + 8;
}

// NOP NOP SACK with at most `max` blocks; 0 bytes when there is none.
uint32_t tcp_options_sack(
	uint8_t *p, const struct tcp_range *dsack, const struct tcp_ooo *ooo, unsigned max)
{
	unsigned held = ooo == NULL ? 0 : ooo->blocks, n = held + (dsack != NULL);
	uint8_t *at = p + 4;

	if (n > max)
		n = max;
	if (n == 0)
		return 0;
	p[0] = p[1] = OPT_NOP;
	p[2] = OPT_SACK;
	p[3] = (uint8_t)(2 + 8 * n);
	if (dsack != NULL)
		at = put_block(at, dsack);
	for (unsigned i = 0; i < n - (dsack != NULL); i++)
		at = put_block(at, &ooo->sack[i]);
	return 4 + 8 * n;
}
