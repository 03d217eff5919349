// SPDX-License-Identifier: BSD-3-Clause
// Segments to frames and back, by code of its own: what the stack's has wrong must show.
#include <rte_ether.h>
#include <rte_ip.h>

#include "pkt.h"

#define HEADERS (RTE_ETHER_HDR_LEN + 20)

static const uint8_t ours[6] = {2, 0, 0, 0, 0, 1}, theirs[6] = {2, 0, 0, 0, 0, 2};

uint8_t pkt_byte(uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) * 3 + 1);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static uint16_t sum16(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t pseudo(const uint8_t *ip, uint32_t tcp_len)
{
	return get16(ip + 12) + get16(ip + 14) + get16(ip + 16) + get16(ip + 18) + 6 + tcp_len;
}

static uint32_t options_build(const struct pkt_seg *s, uint8_t *p)
{
	uint32_t n = 0;

	if (s->mss) {
		memcpy(p + n, (uint8_t[]){2, 4, (uint8_t)(s->mss >> 8), (uint8_t)s->mss}, 4);
		n += 4;
	}
	if (s->wscale >= 0) {
		memcpy(p + n, (uint8_t[]){1, 3, 3, (uint8_t)s->wscale}, 4);
		n += 4;
	}
	if (s->sack_ok) {
		memcpy(p + n, (uint8_t[]){1, 1, 4, 2}, 4);
		n += 4;
	}
	if (s->ts) {
		memcpy(p + n, (uint8_t[]){1, 1, 8, 10}, 4);
		put32(p + n + 4, s->tsval);
		put32(p + n + 8, s->tsecr);
		n += 12;
	}
	if (s->blocks) {
		memcpy(p + n, (uint8_t[]){1, 1, 5, (uint8_t)(2 + 8 * s->blocks)}, 4);
		n += 4;
		for (unsigned i = 0; i < s->blocks; i++, n += 8) {
			put32(p + n, s->block[i][0]);
			put32(p + n + 4, s->block[i][1]);
		}
	}
	return n;
}

uint32_t pkt_segment_build(const struct pkt_seg *s, const struct pkt_spoil *spoil,
	const struct pkt_lab *lab, uint8_t *frame)
{
	uint8_t *ip = frame + RTE_ETHER_HDR_LEN, *t = frame + HEADERS;
	uint8_t opts[80] = {0};
	uint32_t n = options_build(s, opts), len, at = s->seq - lab->at->irs - 1;

	memcpy(opts + n, spoil->option, spoil->option_len);
	n = (n + spoil->option_len + 3) & ~3u;
	memcpy(frame, ours, 6);
	memcpy(frame + 6, theirs, 6);
	put16(frame + 12, RTE_ETHER_TYPE_IPV4);
	len = 20 + n + s->len;
	len -= RTE_MIN((uint32_t)spoil->cut, len);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[1] = s->ip_ecn;
	put16(ip + 2, 20 + len);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, (uint8_t[]){10, 0, 0, 2, 10, 0, 0, 1}, 8);
	put16(ip + 10, sum16(ip, 20, 0));
	memset(t, 0, 20);
	put16(t, s->peer_port);
	put16(t + 2, PKT_PORT);
	put32(t + 4, s->seq);
	put32(t + 8, s->ack);
	t[12] = (uint8_t)((spoil->data_off >= 0 ? spoil->data_off : (int)(20 + n) / 4) << 4);
	t[13] = s->flags;
	put16(t + 14, s->wnd);
	put16(t + 18, s->urgent);
	memcpy(t + 20, opts, n);
	for (uint32_t i = 0; i < s->len; i++)
		t[20 + n + i] = pkt_byte(at + (s->flags & RTE_TCP_SYN_FLAG ? i + 1 : i));
	put16(t + 16, sum16(t, len, pseudo(ip, len)) ^ (spoil->checksum ? 0x100 : 0));
	return HEADERS + len;
}

static bool options_parse(struct pkt_seg *s, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n && p[i] != 0;) {
		uint32_t len = p[i] == 1 ? 1 : i + 1 < n ? p[i + 1] : 0;

		if (len == 0 || i + len > n || (p[i] != 1 && len < 2))
			return false;
		if (p[i] == 2 && len == 4)
			s->mss = (uint16_t)get16(p + i + 2);
		else if (p[i] == 3 && len == 3)
			s->wscale = (int8_t)p[i + 2];
		else if (p[i] == 4)
			s->sack_ok = 1;
		else if (p[i] == 8 && len == 10) {
			s->ts = true;
			s->tsval = get32(p + i + 2);
			s->tsecr = get32(p + i + 6);
		} else if (p[i] == 5) {
			s->blocks = (uint8_t)RTE_MIN((len - 2) / 8, (uint32_t)PKT_BLOCKS);
			for (unsigned k = 0; k < s->blocks; k++) {
				s->block[k][0] = get32(p + i + 2 + 8 * k);
				s->block[k][1] = get32(p + i + 6 + 8 * k);
			}
		}
		i += len;
	}
	return true;
}

bool pkt_segment_parse(const uint8_t *frame, uint32_t len, struct pkt_seg *s)
{
	const uint8_t *ip = frame + RTE_ETHER_HDR_LEN, *t = frame + HEADERS;
	uint32_t head, tcp_len;

	if (len < HEADERS + 20 || get16(frame + 12) != RTE_ETHER_TYPE_IPV4 || ip[9] != 6)
		return false;
	tcp_len = get16(ip + 2) - 20;
	head = (t[12] >> 4) * 4u;
	if (ip[0] != 0x45 || len < HEADERS + tcp_len || head < 20 || head > tcp_len)
		return false;
	*s = (struct pkt_seg){.peer_port = (uint16_t)get16(t + 2),
		.flags = t[13],
		.ip_ecn = ip[1] & 3,
		.seq = get32(t + 4),
		.ack = get32(t + 8),
		.len = tcp_len - head,
		.wnd = (uint16_t)get16(t + 14),
		.urgent = (uint16_t)get16(t + 18),
		.wscale = -1};
	s->bad_sum = sum16(ip, 20, 0) != 0 || sum16(t, tcp_len, pseudo(ip, tcp_len)) != 0;
	s->syn_cut = !options_parse(s, t + 20, head - 20);
	return true;
}

void pkt_segment_print(char *text, size_t size, const struct pkt_lab *lab, const struct pkt_seg *s)
{
	const struct pkt_peer *p = &lab->peer[(s->peer_port - PKT_PEER_PORT) % PKT_PEERS];
	int n = snprintf(text, size, "%+.1fms > ", (double)(s->at_us - lab->step_us) / 1e3);

	for (unsigned i = 0; i < 8; i++)
		if (s->flags & 1 << i)
			n += snprintf(text + n, size - (size_t)n, "%c", "FSRP.UEW"[i]);
	n += snprintf(text + n, size - (size_t)n, " seq %d ack %d len %u win %u",
		(int)(s->seq - p->iss), s->flags & RTE_TCP_ACK_FLAG ? (int)(s->ack - p->irs) : 0,
		s->len, s->wnd);
	if (s->mss)
		n += snprintf(text + n, size - (size_t)n, " mss %u", s->mss);
	if (s->wscale >= 0)
		n += snprintf(text + n, size - (size_t)n, " ws %d", s->wscale);
	if (s->sack_ok)
		n += snprintf(text + n, size - (size_t)n, " sackok");
	if (s->ts)
		n += snprintf(text + n, size - (size_t)n, " ts %d:%u",
			(int)(s->tsval - p->ts_first), s->tsecr);
	for (unsigned i = 0; i < s->blocks; i++)
		n += snprintf(text + n, size - (size_t)n, "%s%d:%d", i ? "," : " sack ",
			(int)(s->block[i][0] - p->irs), (int)(s->block[i][1] - p->irs));
	if (s->ip_ecn)
		n += snprintf(text + n, size - (size_t)n, " %s",
			s->ip_ecn == 3           ? "ce"
				: s->ip_ecn == 2 ? "ect0"
						 : "ect1");
	snprintf(text + n, size - (size_t)n, "%s%s%s", s->bad_sum ? " BAD CHECKSUM" : "",
		s->bad_data ? " WRONG BYTES" : "", s->syn_cut ? " BAD OPTIONS" : "");
}
