// SPDX-License-Identifier: BSD-3-Clause
// Multicast listener discovery: queries of a router at fe80::2, reports of ours. A parser of its
// own.
#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "pkt.h"

#define QUERY       130
#define REPORT_V1   131
#define REPORT_V2   143
#define IP_AT       14
#define HOP_AT      (IP_AT + 40)
#define MLD_AT      (HOP_AT + 8)
#define MESSAGE_MAX 256

struct pkt_mld_record {
	uint8_t type, aux;
	rte_be16_t sources;
	uint8_t group[16];
};

static bool fail(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return false;
}

// ---- what we send -------------------------------------------------------------------------------
static struct base_ip group_of(const struct base_ip *own)
{
	struct base_ip group = {.b = {[0] = 0xff, [1] = 0x02, [11] = 1, [12] = 0xff}};

	memcpy(group.b + 13, own->b + 13, 3);
	return group;
}

static bool is_ours(const struct pkt_lab *lab, const uint8_t *group)
{
	struct base_ip link = base_ip_link_local(lab->mac.addr_bytes);
	struct base_ip own = group_of(&lab->ip6), own_link = group_of(&link);

	return memcmp(group, &own, 16) == 0 || memcmp(group, &own_link, 16) == 0;
}

// What every report must have (RFC 3810 5, 5.2.13 to 5.2.14); NULL, or what is wrong.
static const char *frame_fault(const uint8_t *f, uint32_t len, const uint8_t *dst)
{
	static const uint8_t alert[] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
	uint8_t message[MESSAGE_MAX];
	struct rte_ipv6_hdr ip;
	uint16_t have, want;

	if (len - MLD_AT > sizeof(message))
		return "too long";
	memcpy(&ip, f + IP_AT, sizeof(ip));
	if (ip.hop_limits != 1)
		return "hop limit is not 1";
	if (memcmp(f + HOP_AT, alert, sizeof(alert)) != 0)
		return "no router alert";
	if (memcmp(ip.dst_addr, dst, 16) != 0)
		return "wrong destination";
	if (f[0] != 0x33 || f[1] != 0x33 || memcmp(f + 2, dst + 12, 4) != 0)
		return "wrong Ethernet destination";
	ip.proto = IPPROTO_ICMPV6;
	ip.payload_len = rte_cpu_to_be_16((uint16_t)(len - MLD_AT));
	memcpy(message, f + MLD_AT, len - MLD_AT);
	memcpy(&have, message + 2, 2);
	memset(message + 2, 0, 2);
	want = rte_ipv6_udptcp_cksum(&ip, message);
	return have != want ? "bad checksum" : NULL;
}

static const char *records_read(
	struct pkt_lab *lab, const uint8_t *f, uint32_t len, struct pkt_mld *out)
{
	unsigned n = (unsigned)(f[MLD_AT + 6] << 8 | f[MLD_AT + 7]);

	if (len != MLD_AT + 8 + n * sizeof(struct pkt_mld_record))
		return "wrong length";
	for (unsigned i = 0; i < n; i++) {
		struct pkt_mld_record r;

		memcpy(&r, f + MLD_AT + 8 + i * sizeof(r), sizeof(r));
		if (r.aux != 0 || r.sources != 0 || (i > 0 && r.type != out->record))
			return "a record of another kind";
		if (!is_ours(lab, r.group))
			return "not our group";
		out->record = r.type;
	}
	out->groups = n;
	return NULL;
}

bool pkt_mld_note(struct pkt_lab *lab, const uint8_t *f, uint32_t len)
{
	static const uint8_t routers[16] = {[0] = 0xff, [1] = 0x02, [15] = 0x16};
	struct pkt_mld out = {.at_us = lab->now_us};

	if (!lab->has_ip6 || len < MLD_AT + 8 || f[12] != 0x86 || f[13] != 0xdd ||
		f[IP_AT + 6] != 0 || (f[MLD_AT] != REPORT_V1 && f[MLD_AT] != REPORT_V2))
		return false;
	out.v1 = f[MLD_AT] == REPORT_V1;
	out.from_nobody = f[IP_AT + 8] == 0;
	if (out.v1) {
		out.groups = 1;
		out.fault = len != MLD_AT + 24 || !is_ours(lab, f + MLD_AT + 8)
			? "not our group"
			: frame_fault(f, len, f + MLD_AT + 8);
	} else {
		out.fault = records_read(lab, f, len, &out);
		if (out.fault == NULL)
			out.fault = frame_fault(f, len, routers);
	}
	base_assert(lab->mld_outs - lab->mld_seen < PKT_MLDS);
	lab->mld_out[lab->mld_outs++ % PKT_MLDS] = out;
	return true;
}

// ---- what a router asks -------------------------------------------------------------------------
// query all|own [v1] response MS [hops N] [noalert] [global] [sources N]
static bool query_in(struct pkt_lab *lab, char **w, unsigned n, char *why, size_t size)
{
	struct base_ip src = {.b = {[0] = 0xfe, [1] = 0x80, [15] = 2}}, group = {.w64 = {0, 0}};
	struct base_ip dst = {.b = {[0] = 0xff, [1] = 0x02, [15] = 1}};
	int64_t response = 0, hops = 1, sources = 0;
	uint8_t f[256] = {0x33, 0x33, [6] = 2, [11] = 2, [12] = 0x86, [13] = 0xdd};
	struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(0x60000000), .proto = IPPROTO_ICMPV6};
	bool v1 = false, alert = true;
	uint32_t len;
	uint16_t sum;

	for (unsigned i = 0; i < n; i++) {
		int64_t *to = strcmp(w[i], "response") == 0 ? &response
			: strcmp(w[i], "hops") == 0         ? &hops
			: strcmp(w[i], "sources") == 0      ? &sources
							    : NULL;

		if (to != NULL && (++i == n || !pkt_number(w[i], to)))
			return fail(why, size, "%s wants a number", w[i - 1]);
		if (to != NULL)
			continue;
		if (strcmp(w[i], "own") == 0)
			dst = group = group_of(&lab->ip6);
		else if (strcmp(w[i], "v1") == 0)
			v1 = true;
		else if (strcmp(w[i], "noalert") == 0)
			alert = false;
		else if (strcmp(w[i], "global") == 0)
			src.b[0] = 0xfd;
		else if (strcmp(w[i], "all") != 0)
			return fail(why, size, "query: \"%s\"?", w[i]);
	}
	len = v1 ? 24 : (uint32_t)(28 + 16 * sources);
	f[MLD_AT] = QUERY;
	f[MLD_AT + 4] = (uint8_t)(response >> 8);
	f[MLD_AT + 5] = (uint8_t)response;
	memcpy(f + MLD_AT + 8, &group, 16);
	f[MLD_AT + 27] = (uint8_t)sources;
	memcpy(f + 2, dst.b + 12, 4);
	memcpy(ip.src_addr, &src, 16);
	memcpy(ip.dst_addr, &dst, 16);
	ip.hop_limits = (uint8_t)hops;
	ip.payload_len = rte_cpu_to_be_16((uint16_t)len);
	sum = rte_ipv6_udptcp_cksum(&ip, f + MLD_AT);
	memcpy(f + MLD_AT + 2, &sum, 2);
	ip.payload_len = rte_cpu_to_be_16((uint16_t)(len + 8));
	ip.proto = 0;
	memcpy(f + IP_AT, &ip, sizeof(ip));
	// without the alert: eight bytes of padding
	memcpy(f + HOP_AT, alert ? "\x3a\0\5\2\0\0\1" : "\x3a\0\1\4\0\0\0", 8);
	pkt_frame_in(lab, f, MLD_AT + len);
	pkt_lab_turn(lab);
	return true;
}

// ---- steps --------------------------------------------------------------------------------------
static bool nothing_left(struct pkt_lab *lab, char *why, size_t size)
{
	pkt_lab_turn(lab);
	return lab->mld_seen == lab->mld_outs || fail(why, size, "a report that is not expected");
}

// change|state|v1 GROUPS [nobody]
static bool report_compare(const struct pkt_mld *m, char **w, unsigned n, char *why, size_t size)
{
	const char *kind = m->v1 ? "v1"
		: m->record == 4 ? "change"
		: m->record == 2 ? "state"
				 : "?";
	bool nobody = n == 3 && strcmp(w[2], "nobody") == 0;
	int64_t groups;

	if (n < 2 || !pkt_number(w[1], &groups) || (n == 3 && !nobody))
		return fail(why, size, "report change|state|v1 GROUPS [nobody]");
	if (m->fault != NULL)
		return fail(why, size, "report: %s", m->fault);
	if (strcmp(kind, w[0]) != 0 || groups != m->groups || nobody != m->from_nobody)
		return fail(why, size, "report %s %u%s", kind, m->groups,
			m->from_nobody ? " nobody" : "");
	return true;
}

bool pkt_mld_step(struct pkt_lab *lab, bool timed, uint64_t low_us, uint64_t high_us, char **w,
	unsigned n, char *why, size_t size)
{
	const struct pkt_mld *m;

	if (!lab->has_ip6 || n < 2)
		return fail(why, size, "mld query|report, after set ip6 1");
	if (strcmp(w[1], "query") == 0) {
		if (timed)
			pkt_lab_advance(lab, lab->step_us + low_us, true);
		if (!nothing_left(lab, why, size) || !query_in(lab, w + 2, n - 2, why, size))
			return false;
		lab->step_us = lab->now_us;
		return true;
	}
	if (strcmp(w[1], "report") != 0)
		return fail(why, size, "mld query|report");
	pkt_lab_turn(lab);
	if (timed)
		pkt_lab_advance(lab, lab->step_us + high_us, true);
	if (lab->mld_seen == lab->mld_outs)
		return fail(why, size, "no report");
	m = &lab->mld_out[lab->mld_seen++ % PKT_MLDS];
	if (timed && m->at_us < lab->step_us + low_us)
		return fail(why, size, "too early");
	lab->step_us = m->at_us;
	return report_compare(m, w + 2, n - 2, why, size);
}
