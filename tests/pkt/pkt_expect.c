// SPDX-License-Identifier: BSD-3-Clause
// What a segment of ours must be, field by field; what a line does not name may be anything.
#include "pkt.h"

static bool number_check(const char *what, const char *want, int64_t have, char *why, size_t size)
{
	if (want != NULL && pkt_within(want, have))
		return true;
	snprintf(why, size, "%s is %lld, not %s", what, (long long)have, want ? want : "(nothing)");
	return false;
}

static bool blocks_check(
	const struct pkt_peer *p, const struct pkt_seg *s, const char *want, char *why, size_t size)
{
	char have[128] = "";
	size_t n = 0;

	for (unsigned i = 0; i < s->blocks; i++)
		n += (size_t)snprintf(have + n, sizeof(have) - n, "%s%d:%d", i ? "," : "",
			(int)(s->block[i][0] - p->irs), (int)(s->block[i][1] - p->irs));
	if (want != NULL && strcmp(have, want) == 0)
		return true;
	snprintf(why, size, "SACK blocks are \"%s\", not %s", have, want ? want : "(nothing)");
	return false;
}

// "VAL:ECR", each as pkt_within has it; our values from our first one.
static bool ts_check(
	const struct pkt_peer *p, const struct pkt_seg *s, const char *want, char *why, size_t size)
{
	char copy[64];
	char *colon;

	if (!s->ts) {
		snprintf(why, size, "no timestamp");
		return false;
	}
	snprintf(copy, sizeof(copy), "%s", want ? want : "");
	colon = strchr(copy, ':');
	if (colon == NULL) {
		snprintf(why, size, "ts wants VALUE:ECHO");
		return false;
	}
	*colon = '\0';
	return number_check("TSval", copy, (int32_t)(s->tsval - p->ts_first), why, size) &&
		number_check("TSecr", colon + 1, s->tsecr, why, size);
}

static bool word_check(const struct pkt_seg *s, const char *word, bool *known)
{
	*known = true;
	if (strcmp(word, "sackok") == 0)
		return s->sack_ok;
	if (strcmp(word, "nosackok") == 0)
		return !s->sack_ok;
	if (strcmp(word, "nots") == 0)
		return !s->ts;
	if (strcmp(word, "nosack") == 0)
		return s->blocks == 0;
	if (strcmp(word, "nows") == 0)
		return s->wscale < 0;
	if (strcmp(word, "ect0") == 0)
		return s->ip_ecn == 2;
	if (strcmp(word, "noect") == 0)
		return s->ip_ecn == 0;
	*known = false;
	return false;
}

static bool field_check(struct pkt_lab *lab, const struct pkt_seg *s, const char *word,
	const char *want, char *why, size_t size)
{
	const struct pkt_peer *p = lab->at;

	if (strcmp(word, "seq") == 0)
		return number_check(word, want, (int32_t)(s->seq - p->iss), why, size);
	if (strcmp(word, "ack") == 0)
		return number_check(word, want, (int32_t)(s->ack - p->irs), why, size);
	if (strcmp(word, "len") == 0)
		return number_check(word, want, s->len, why, size);
	if (strcmp(word, "win") == 0)
		return number_check(word, want, s->wnd, why, size);
	if (strcmp(word, "mss") == 0)
		return number_check(word, want, s->mss, why, size);
	if (strcmp(word, "ws") == 0)
		return number_check(word, want, s->wscale, why, size);
	if (strcmp(word, "ts") == 0)
		return ts_check(p, s, want, why, size);
	if (strcmp(word, "sack") == 0)
		return blocks_check(p, s, want, why, size);
	snprintf(why, size, "\"%s\" is no field", word);
	return false;
}

static bool flags_check(const struct pkt_seg *s, const char *want, char *why, size_t size)
{
	uint8_t flags;

	if (!pkt_flags(want, &flags)) {
		snprintf(why, size, "\"%s\" are no flags", want);
		return false;
	}
	// PSH says nothing that a receiver must know (RFC 9293 section 3.9.1.2)
	if ((s->flags & ~RTE_TCP_PSH_FLAG) == (flags & ~RTE_TCP_PSH_FLAG))
		return true;
	snprintf(why, size, "flags differ");
	return false;
}

bool pkt_expect_compare(struct pkt_lab *lab, const struct pkt_seg *s, char **words, unsigned n,
	char *why, size_t size)
{
	if (s->bad_sum || s->bad_data || s->syn_cut) {
		snprintf(why, size, "a broken segment");
		return false;
	}
	if (s->peer_port != lab->at->port) {
		snprintf(why, size, "a segment to another peer (port %u)", s->peer_port);
		return false;
	}
	if (n == 0 || !flags_check(s, words[0], why, size))
		return false;
	for (unsigned i = 1; i < n; i++) {
		bool known, good = word_check(s, words[i], &known);

		if (known && !good) {
			snprintf(why, size, "not %s", words[i]);
			return false;
		}
		if (known)
			continue;
		if (!field_check(lab, s, words[i], i + 1 < n ? words[i + 1] : NULL, why, size))
			return false;
		i++;
	}
	return true;
}
