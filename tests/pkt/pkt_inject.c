// SPDX-License-Identifier: BSD-3-Clause
// A line of the script becomes a segment of the peer's. What it does not name is what a
// well-behaved peer would say: the next sequence number, an acknowledgement of all that came, a
// timestamp when they are in use.
#include "pkt.h"

#define PEER_TS_FIRST 1000u // a peer's TSval when the case begins; one a millisecond

static bool hex_parse(const char *word, struct pkt_spoil *spoil)
{
	unsigned n = 0, byte;

	for (; sscanf(word + 2 * n, "%2x", &byte) == 1 && n < sizeof(spoil->option); n++)
		spoil->option[n] = (uint8_t)byte;
	spoil->option_len = (uint8_t)n;
	return n > 0 && word[2 * n] == '\0';
}

static bool blocks_parse(const struct pkt_peer *p, char *word, struct pkt_seg *s)
{
	char *save = NULL;

	for (char *w = strtok_r(word, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		char *colon;
		long start = strtol(w, &colon, 0);

		if (*colon != ':' || s->blocks == PKT_BLOCKS)
			return false;
		s->block[s->blocks][0] = p->iss + (uint32_t)start;
		s->block[s->blocks++][1] = p->iss + (uint32_t)strtol(colon + 1, NULL, 0);
	}
	return true;
}

static bool ts_parse(const struct pkt_peer *p, const char *word, struct pkt_seg *s)
{
	char *colon;
	long val = strtol(word, &colon, 0);

	if (*colon != ':')
		return false;
	s->ts = true;
	s->tsval = (uint32_t)val;
	s->tsecr = strcmp(colon + 1, "raw0") == 0
		? 0
		: p->ts_first + (uint32_t)strtol(colon + 1, NULL, 0);
	return true;
}

static bool flag_word(const char *word, struct pkt_seg *s, struct pkt_spoil *spoil)
{
	if (strcmp(word, "sackok") == 0)
		s->sack_ok = 1;
	else if (strcmp(word, "nots") == 0)
		s->ts = false;
	else if (strcmp(word, "ect0") == 0)
		s->ip_ecn = 2;
	else if (strcmp(word, "ce") == 0)
		s->ip_ecn = 3;
	else if (strcmp(word, "badsum") == 0)
		spoil->checksum = true;
	else
		return false;
	return true;
}

static bool number_word(const struct pkt_lab *lab, const char *word, int64_t v, struct pkt_seg *s,
	struct pkt_spoil *spoil)
{
	if (strcmp(word, "seq") == 0)
		s->seq = lab->at->irs + (uint32_t)v;
	else if (strcmp(word, "ack") == 0)
		s->ack = lab->at->iss + (uint32_t)v;
	else if (strcmp(word, "len") == 0)
		s->len = (uint32_t)v;
	else if (strcmp(word, "win") == 0)
		s->wnd = (uint16_t)v;
	else if (strcmp(word, "urg") == 0)
		s->urgent = (uint16_t)v;
	else if (strcmp(word, "mss") == 0)
		s->mss = (uint16_t)v;
	else if (strcmp(word, "ws") == 0)
		s->wscale = (int8_t)v;
	else if (strcmp(word, "doff") == 0)
		spoil->data_off = (int)v;
	else if (strcmp(word, "cut") == 0)
		spoil->cut = (int)v;
	else
		return false;
	return true;
}

static bool pair_parse(const struct pkt_lab *lab, const char *word, char *value, struct pkt_seg *s,
	struct pkt_spoil *spoil)
{
	int64_t v;

	if (value == NULL)
		return false;
	if (strcmp(word, "ts") == 0)
		return ts_parse(lab->at, value, s);
	if (strcmp(word, "sack") == 0)
		return blocks_parse(lab->at, value, s);
	if (strcmp(word, "opt") == 0)
		return hex_parse(value, spoil);
	return pkt_number(value, &v) && number_word(lab, word, v, s, spoil);
}

static uint32_t ts_now(const struct pkt_lab *lab)
{
	return PEER_TS_FIRST + (uint32_t)((lab->now_us - lab->start_us) / 1000);
}

bool pkt_inject(struct pkt_lab *lab, char **words, unsigned n, char *why, size_t size)
{
	struct pkt_peer *p = lab->at;
	struct pkt_spoil spoil = {.data_off = -1};
	struct pkt_seg s = {.peer_port = p->port,
		.seq = p->sent_high,
		.ack = p->ack_high,
		.wnd = 65535,
		.wscale = -1};
	uint32_t end;

	if (n == 0 || !pkt_flags(words[0], &s.flags)) {
		snprintf(why, size, "flags are missing");
		return false;
	}
	s.ts = p->ts_on;
	s.tsval = ts_now(lab);
	s.tsecr = p->tsval_in;
	if (!(s.flags & RTE_TCP_ACK_FLAG))
		s.ack = s.tsecr = 0;
	for (unsigned i = 1; i < n; i++) {
		if (flag_word(words[i], &s, &spoil))
			continue;
		if (!pair_parse(lab, words[i], i + 1 < n ? words[i + 1] : NULL, &s, &spoil)) {
			snprintf(why, size, "\"%s\": no such field, or its value is bad", words[i]);
			return false;
		}
		i++;
	}
	if (s.flags & RTE_TCP_SYN_FLAG && s.ts)
		p->offered_ts = true;
	end = s.seq + s.len + !!(s.flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG));
	if ((int32_t)(end - p->sent_high) > 0)
		p->sent_high = end;
	pkt_segment_in(lab, &s, &spoil);
	return true;
}
