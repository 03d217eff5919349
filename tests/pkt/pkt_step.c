// SPDX-License-Identifier: BSD-3-Clause
// The lines of a case, one at a time.
#include <stddef.h>

#include "pkt.h"

#define WORDS_MAX 48

static const struct {
	const char *name;
	unsigned event;
} events[] = {
	{"accepted", TCP_EV_ACCEPTED},
	{"established", TCP_EV_ESTABLISHED},
	{"readable", TCP_EV_READABLE},
	{"writable", TCP_EV_WRITABLE},
	{"fin", TCP_EV_FIN},
	{"closed", TCP_EV_CLOSED},
};

static const struct {
	const char *name;
	size_t at;
} counters[] = {
#define COUNTER(name) \
	{ \
#name, offsetof(struct tcp_counters, name) \
	}
	COUNTER(established),
	COUNTER(resets_in),
	COUNTER(resets_out),
	COUNTER(retransmits),
	COUNTER(fast_retransmits),
	COUNTER(rto_fires),
	COUNTER(dup_acks_in),
	COUNTER(probes),
	COUNTER(loss_probes),
	COUNTER(out_of_order),
	COUNTER(duplicates),
	COUNTER(keepalive_drops),
	COUNTER(time_wait),
	COUNTER(bad_header),
	COUNTER(bad_flags),
	COUNTER(cookies_out),
	COUNTER(cookies_in),
	COUNTER(cookies_bad),
	COUNTER(ecn_cuts),
	COUNTER(ecn_marks_in),
	COUNTER(reorder_waits),
	COUNTER(reneged),
	COUNTER(undone),
	COUNTER(dsacks_in),
	COUNTER(dsacks_out),
	COUNTER(old_timestamp),
	COUNTER(bad_ack),
	COUNTER(bad_sack),
	COUNTER(bad_fin),
	COUNTER(answers_held),
	COUNTER(rcv_pruned),
	COUNTER(no_memory),
	COUNTER(challenges),
	COUNTER(bad_checksum),
	COUNTER(bad_option),
	COUNTER(no_conn),
	COUNTER(outside_window),
	COUNTER(syn_dropped),
	COUNTER(conns_refused),
	COUNTER(ooo_dropped),
#undef COUNTER
};

static const struct {
	const char *name;
	size_t at;
	bool time;
} options[] = {
	{"rcv_buf", offsetof(struct tcp_options, rcv_buf_bytes), false},
	{"snd_buf", offsetof(struct tcp_options, snd_buf_bytes), false},
	{"conns_max", offsetof(struct tcp_options, conns_max), false},
	{"syn_max", offsetof(struct tcp_options, syn_max), false},
	{"rto_min", offsetof(struct tcp_options, rto_min_us), true},
	{"delack", offsetof(struct tcp_options, delack_us), true},
	{"time_wait", offsetof(struct tcp_options, time_wait_us), true},
};

static bool fail(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return false;
}

// ---- before the first segment -------------------------------------------------------------------
static bool set_special(struct pkt_lab *lab, const char *name, const char *value)
{
	int64_t v = 0;
	uint64_t low, high;

	if (strcmp(name, "keepalive") == 0 && pkt_time(value, &low, &high))
		lab->options.keepalive_us = low;
	else if (strcmp(name, "user_timeout") == 0 && pkt_time(value, &low, &high))
		lab->options.user_timeout_us = low;
	else if (strcmp(name, "cc") == 0)
		lab->options.cc = strcmp(value, "newreno") == 0 ? "newreno" : "cubic";
	else if (!pkt_number(value, &v))
		return false;
	else if (strcmp(name, "ecn") == 0)
		lab->options.ecn = v != 0;
	else if (strcmp(name, "ip6") == 0)
		lab->has_ip6 = v != 0;
	else if (strcmp(name, "mtu") == 0)
		lab->mtu = (uint16_t)v;
	else if (strcmp(name, "irs") == 0)
		lab->irs = (uint32_t)v;
	else if (strcmp(name, "iss") == 0) {
		lab->iss_set = true;
		lab->iss = (uint32_t)v;
	} else
		return false;
	return true;
}

static bool step_set(
	struct pkt_lab *lab, const char *name, const char *value, char *why, size_t size)
{
	if (lab->open)
		return fail(why, size, "set stands before the first segment");
	for (unsigned i = 0; i < BASE_ARRAY_LEN(options); i++) {
		uint32_t *to = (uint32_t *)(void *)((char *)&lab->options + options[i].at);
		uint64_t low, high;
		int64_t v;

		if (strcmp(options[i].name, name) != 0)
			continue;
		if (options[i].time && pkt_time(value, &low, &high))
			*to = (uint32_t)low;
		else if (!options[i].time && pkt_number(value, &v))
			*to = (uint32_t)v;
		else
			return fail(why, size, "bad value \"%s\"", value);
		return true;
	}
	return set_special(lab, name, value) || fail(why, size, "set %s: unknown, or bad", name);
}

// ---- the application ----------------------------------------------------------------------------
static bool step_read(struct pkt_lab *lab, const char *what, char *why, size_t size)
{
	int64_t want = UINT32_MAX, have;

	if (strcmp(what, "all") != 0 && !pkt_number(what, &want))
		return fail(why, size, "app read BYTES|all");
	have = pkt_app_read(lab, (uint32_t)want);
	if (have < 0)
		return fail(why, size, "wrong bytes after %u", lab->at->read);
	if (want != UINT32_MAX && have != want)
		return fail(why, size, "only %lld bytes to read", (long long)have);
	return true;
}

static bool step_app(struct pkt_lab *lab, char **w, unsigned n, char *why, size_t size)
{
	struct pkt_peer *p = lab->at;
	int64_t v;

	if (n == 0 || p->conn == NULL)
		return fail(why, size, "no connection, or app does what?");
	if (strcmp(w[0], "send") == 0 && n == 2 && pkt_number(w[1], &v)) {
		if (!pkt_app_send(lab, (uint32_t)v))
			return fail(why, size, "no mbufs");
	} else if (strcmp(w[0], "read") == 0 && n == 2) {
		return step_read(lab, w[1], why, size);
	} else if (strcmp(w[0], "shutdown") == 0) {
		tcp_shutdown(lab->tcp, p->conn);
	} else if (strcmp(w[0], "abort") == 0) {
		tcp_abort(lab->tcp, p->conn);
	} else if (strcmp(w[0], "release") == 0) {
		tcp_release(lab->tcp, p->conn);
		p->conn = NULL;
	} else {
		return fail(why, size, "app send|read|shutdown|abort|release");
	}
	return true;
}

static bool step_event(struct pkt_lab *lab, const char *name, bool wanted, char *why, size_t size)
{
	pkt_lab_turn(lab);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(events); i++) {
		if (strcmp(events[i].name, name) != 0)
			continue;
		if (!(lab->at->events & events[i].event) == wanted)
			return fail(why, size, wanted ? "no event %s" : "event %s", name);
		lab->at->events &= ~events[i].event;
		return true;
	}
	return fail(why, size, "\"%s\" is no event", name);
}

// ---- figures ------------------------------------------------------------------------------------
static bool step_count(
	struct pkt_lab *lab, const char *name, const char *want, char *why, size_t size)
{
	const char *n = (const char *)tcp_counters_get(lab->tcp);

	for (unsigned i = 0; i < BASE_ARRAY_LEN(counters); i++) {
		uint64_t v;

		if (strcmp(counters[i].name, name) != 0)
			continue;
		memcpy(&v, n + counters[i].at, sizeof(v));
		return pkt_within(want, (int64_t)v) ||
			fail(why, size, "%s is %llu, not %s", name, (unsigned long long)v, want);
	}
	return fail(why, size, "\"%s\" is no counter", name);
}

static bool step_conns(struct pkt_lab *lab, const char *want, char *why, size_t size)
{
	return pkt_within(want, tcp_conns(lab->tcp)) ||
		fail(why, size, "%u connections, not %s", tcp_conns(lab->tcp), want);
}

// ---- segments -----------------------------------------------------------------------------------
static bool none_left(struct pkt_lab *lab, char *why, size_t size)
{
	char text[256];

	pkt_lab_turn(lab);
	if (lab->mld_seen != lab->mld_outs)
		return fail(why, size, "an MLD report that is not expected");
	if (pkt_next(lab) == NULL)
		return true;
	pkt_segment_print(text, sizeof(text), lab, pkt_next(lab));
	return fail(why, size, "not expected: %s", text);
}

static bool step_silence(struct pkt_lab *lab, uint64_t us, char *why, size_t size)
{
	if (!none_left(lab, why, size))
		return false;
	pkt_lab_advance(lab, lab->now_us + us, true);
	if (!none_left(lab, why, size))
		return false;
	lab->step_us = lab->now_us;
	return true;
}

static bool step_expect(struct pkt_lab *lab, bool timed, uint64_t low_us, uint64_t high_us,
	char **words, unsigned n, char *why, size_t size)
{
	const struct pkt_seg *s;
	char reason[128], text[256];

	pkt_lab_turn(lab);
	if (timed)
		pkt_lab_advance(lab, lab->step_us + high_us, true);
	s = pkt_next(lab);
	if (s == NULL)
		return fail(why, size, "nothing was sent");
	pkt_segment_print(text, sizeof(text), lab, s);
	lab->seen++;
	if (timed && s->at_us < lab->step_us + low_us)
		return fail(why, size, "too early: %s", text);
	if (!pkt_expect_compare(lab, s, words, n, reason, sizeof(reason)))
		return fail(why, size, "%s: %s", reason, text);
	lab->step_us = s->at_us;
	return true;
}

static bool step_syns(struct pkt_lab *lab, char **w, unsigned n, char *why, size_t size)
{
	static char flags[] = "S", mss[] = "mss", bytes[] = "1460";
	char *words[] = {flags, mss, bytes};
	struct pkt_peer *at = lab->at;
	int64_t first, count;
	bool good = true;

	if (n != 2 || !pkt_number(w[0], &first) || !pkt_number(w[1], &count) || first < 0 ||
		count < 1 || first + count > PKT_PEERS)
		return fail(why, size, "syns FIRST COUNT");
	for (int64_t i = first; i < first + count && good; i++) {
		lab->at = &lab->peer[i];
		good = pkt_inject(lab, words, BASE_ARRAY_LEN(words), why, size);
		pkt_lab_turn(lab);
	}
	lab->at = at;
	lab->seen = lab->outs;
	return good;
}

static bool step_peer(struct pkt_lab *lab, const char *which, char *why, size_t size)
{
	int64_t i;

	if (!pkt_number(which, &i) || i < 0 || i >= PKT_PEERS)
		return fail(why, size, "peer 0..%d", PKT_PEERS - 1);
	lab->at = &lab->peer[i];
	return true;
}

static bool step_icmp(struct pkt_lab *lab, char **w, unsigned n, char *why, size_t size)
{
	int64_t mtu, seq;

	if (n != 4 || strcmp(w[0], "toobig") != 0 || !pkt_number(w[1], &mtu) ||
		!pkt_number(w[3], &seq))
		return fail(why, size, "icmp toobig MTU seq N");
	pkt_icmp_in(lab, (uint16_t)mtu, (uint32_t)seq);
	pkt_lab_turn(lab);
	return true;
}

static bool step_word(struct pkt_lab *lab, char **w, unsigned n, char *why, size_t size)
{
	uint64_t low, high;

	if (strcmp(w[0], "silence") == 0 && (n == 1 || pkt_time(w[1], &low, &high)))
		return step_silence(lab, n == 1 ? 0 : low, why, size);
	if (strcmp(w[0], "ignore") == 0) {
		pkt_lab_turn(lab);
		lab->seen = lab->outs;
		lab->mld_seen = lab->mld_outs;
		return true;
	}
	if (strcmp(w[0], "pass") == 0 && n == 2 && pkt_time(w[1], &low, &high)) {
		pkt_lab_pass(lab, lab->now_us + low);
		return true;
	}
	if (strcmp(w[0], "app") == 0)
		return step_app(lab, w + 1, n - 1, why, size);
	if (strcmp(w[0], "event") == 0 && n == 2)
		return step_event(lab, w[1], true, why, size);
	if (strcmp(w[0], "noevent") == 0 && n == 2)
		return step_event(lab, w[1], false, why, size);
	if (strcmp(w[0], "count") == 0 && n == 3)
		return step_count(lab, w[1], w[2], why, size);
	if (strcmp(w[0], "conns") == 0 && n == 2)
		return step_conns(lab, w[1], why, size);
	if (strcmp(w[0], "peer") == 0 && n == 2)
		return step_peer(lab, w[1], why, size);
	if (strcmp(w[0], "syns") == 0)
		return step_syns(lab, w + 1, n - 1, why, size);
	if (strcmp(w[0], "icmp") == 0)
		return step_icmp(lab, w + 1, n - 1, why, size);
	return fail(why, size, "\"%s\": no such step", w[0]);
}

static bool step_inject(
	struct pkt_lab *lab, bool timed, uint64_t us, char **w, unsigned n, char *why, size_t size)
{
	if (!none_left(lab, why, size))
		return false;
	if (timed)
		pkt_lab_advance(lab, lab->step_us + us, true);
	if (!none_left(lab, why, size) || !pkt_inject(lab, w, n, why, size))
		return false;
	lab->step_us = lab->now_us;
	return true;
}

bool pkt_step(struct pkt_lab *lab, char *line, char *why, size_t size)
{
	char *w[WORDS_MAX];
	unsigned n = pkt_words(line, w, WORDS_MAX), timed;
	uint64_t low = 0, high = 0;

	if (n == 0)
		return true;
	if (strcmp(w[0], "set") == 0)
		return n == 3 ? step_set(lab, w[1], w[2], why, size)
			      : fail(why, size, "set NAME VALUE");
	if (!lab->open)
		pkt_lab_open(lab);
	timed = w[0][0] == '+';
	if (timed && (n < 2 || !pkt_time(w[0] + 1, &low, &high)))
		return fail(why, size, "\"%s\" is no time", w[0]);
	if (strcmp(w[timed], "<") == 0)
		return step_inject(lab, timed, low, w + timed + 1, n - timed - 1, why, size);
	if (strcmp(w[timed], ">") == 0)
		return step_expect(lab, timed, low, high, w + timed + 1, n - timed - 1, why, size);
	if (strcmp(w[timed], "mld") == 0)
		return pkt_mld_step(lab, timed, low, high, w + timed, n - timed, why, size);
	if (timed)
		return fail(why, size, "a time stands before <, > or mld");
	return step_word(lab, w, n, why, size);
}
