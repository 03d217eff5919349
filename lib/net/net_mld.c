// SPDX-License-Identifier: BSD-3-Clause
// Multicast listener discovery, the listener's side (RFC 3810, RFC 9777; RFC 2710 where an old
// querier is heard): switches that snoop forward a solicited-node group only to where somebody
// reports it, and neighbours ask for us there. All groups are wanted from any source, and none is
// ever left.
#include "net/net_internal.h"

#define REPORT_V1      131
#define REPORT_V2      143
#define HEAD_BYTES     24 // of a query, or of a whole message of version 1
#define QUERY_V2_BYTES 28
#define HOP_LIMIT      1
#define IS_EXCLUDE     2                   // record types (RFC 3810 5.2.5): the present state, ...
#define TO_EXCLUDE     4                   // ... and a change to it
#define RECORDS_MAX    61                  // of a report: they fit the least MTU, 1,280
#define ROBUSTNESS     2                   // RFC 3810 9.1: how often a change is told
#define UNSOLICITED_US UINT64_C(1000000)   // 9.11: at most between two of them
#define OLD_QUERIER_US UINT64_C(260000000) // 9.12: 2 * 125 s + 10 s
#define REPORT_GAP_US  UINT64_C(100000)    // queries that want more are answered so late

struct mld_head {
	uint8_t type, code;
	uint16_t checksum;
	rte_be16_t max_response; // of queries
	rte_be16_t records;      // of reports
	uint8_t group[16];       // of queries, and of version 1
} __rte_packed;

struct mld_record {
	uint8_t type, aux_words;
	rte_be16_t sources;
	uint8_t group[16];
} __rte_packed;

// Hop-by-hop options: a router alert (RFC 2711; value 0: MLD) and two bytes of padding.
struct mld_hop {
	uint8_t next, words, alert[4], pad[2];
} __rte_packed;

static const struct base_ip all_mld_routers = {.b = {[0] = 0xff, [1] = 0x02, [15] = 0x16}};

// The group of our address i; false: it has none, or an earlier address has the same.
static bool group_get(const struct net *net, unsigned i, struct base_ip *group)
{
	if (base_ip_is4(&net->opt.own[i].ip) || net->own_state[i] == NET_OWN_TAKEN)
		return false;
	*group = net_solicited_node(&net->opt.own[i].ip);
	for (unsigned k = 0; k < i; k++) {
		const struct base_ip *own = &net->opt.own[k].ip;

		if (!base_ip_is4(own) && net->own_state[k] != NET_OWN_TAKEN &&
			memcmp(own->b + 13, group->b + 13, 3) == 0)
			return false;
	}
	return true;
}

// RFC 3810 5.2.13: the link-local address, or none while it is not ours yet.
static struct base_ip source_get(const struct net *net)
{
	for (unsigned i = 0; i < net->opt.owns; i++) {
		const struct base_ip *own = &net->opt.own[i].ip;

		if (own->b[0] == 0xfe && (own->b[1] & 0xc0) == 0x80 &&
			net->own_state[i] == NET_OWN_VALID)
			return *own;
	}
	return (struct base_ip){.w64 = {0, 0}};
}

static void message_send(
	struct net *net, const void *message, uint16_t len, const struct base_ip *dst)
{
	static const struct mld_hop hop = {IPPROTO_ICMPV6, 0, {5, 2, 0, 0}, {1, 0}};
	struct base_ip src = source_get(net);
	struct rte_ether_addr mac = net_group_mac(dst);
	struct rte_mbuf *m = rte_pktmbuf_alloc(net->opt.pool);
	void *at = m != NULL ? rte_pktmbuf_append(m, len) : NULL;

	if (at == NULL) {
		net->n.no_mbuf++;
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(at, message, len);
	net_icmp6_checksum(m, &src, dst);
	at = rte_pktmbuf_prepend(m, sizeof(hop));
	base_assert(at != NULL);
	memcpy(at, &hop, sizeof(hop));
	net_ip6_prepend(m, &src, dst, IPPROTO_HOPOPTS, HOP_LIMIT, 0);
	net->n.mld_tx++;
	net_packet_output(net, m, &mac, RTE_ETHER_TYPE_IPV6);
}

static void report_v1(struct net *net, const struct base_ip *group)
{
	struct mld_head report = {.type = REPORT_V1};

	memcpy(report.group, group, sizeof(report.group));
	message_send(net, &report, HEAD_BYTES, group);
}

// One record for each of our groups that is asked for: `only` one address's, or all (NET_OWN_MAX).
static void report_v2(struct net *net, unsigned only, uint8_t type)
{
	struct {
		uint8_t type, code;
		uint16_t checksum, reserved;
		rte_be16_t records;
		struct mld_record record[RECORDS_MAX];
	} __rte_packed report = {.type = REPORT_V2};
	unsigned n = 0;

	for (unsigned i = 0; i < net->opt.owns; i++) {
		struct base_ip group;

		if ((only != NET_OWN_MAX && only != i) || !group_get(net, i, &group))
			continue;
		report.record[n] = (struct mld_record){.type = type};
		memcpy(report.record[n++].group, &group, sizeof(group));
		report.records = rte_cpu_to_be_16((uint16_t)n);
		if (n == RECORDS_MAX) {
			message_send(net, &report, sizeof(report), &all_mld_routers);
			n = 0;
		}
	}
	if (n > 0)
		message_send(net, &report, (uint16_t)(8 + n * sizeof(struct mld_record)),
			&all_mld_routers);
}

static void report(struct net *net, unsigned only, uint8_t type, uint64_t now_us)
{
	net->mld.told_us = now_us;
	if (now_us >= net->mld.v1_until_us) {
		report_v2(net, only, type);
		return;
	}
	for (unsigned i = 0; i < net->opt.owns; i++) {
		struct base_ip group;

		if ((only == NET_OWN_MAX || only == i) && group_get(net, i, &group))
			report_v1(net, &group);
	}
}

// ---- timers
static void due_note(struct net *net)
{
	struct net_mld *t = &net->mld;

	t->due_us = base_min_u64(t->change_due_us, t->all_due_us);
	for (unsigned i = 0; i < net->opt.owns; i++)
		t->due_us = base_min_u64(t->due_us, t->group_due_us[i]);
}

void net_mld_init(struct net *net)
{
	struct net_mld *t = &net->mld;

	t->change_due_us = t->all_due_us = t->due_us = UINT64_MAX;
	for (unsigned i = 0; i < NET_OWN_MAX; i++)
		t->group_due_us[i] = UINT64_MAX;
}

static void change_tell(struct net *net, uint64_t now_us)
{
	struct net_mld *t = &net->mld;

	report(net, NET_OWN_MAX, TO_EXCLUDE, now_us);
	t->change_due_us = --t->changes > 0 ? now_us + 1 + base_rng_below(&net->rng, UNSOLICITED_US)
					    : UINT64_MAX;
}

void net_mld_join(struct net *net, uint64_t now_us)
{
	if (!net->ip6)
		return;
	net->mld.changes = ROBUSTNESS;
	change_tell(net, now_us);
	due_note(net);
}

static void timers_fire(struct net *net, uint64_t now_us)
{
	struct net_mld *t = &net->mld;

	if (now_us >= t->change_due_us)
		change_tell(net, now_us);
	if (now_us >= t->all_due_us) {
		t->all_due_us = UINT64_MAX;
		report(net, NET_OWN_MAX, IS_EXCLUDE, now_us);
		for (unsigned i = 0; i < net->opt.owns; i++)
			t->group_due_us[i] = UINT64_MAX;
	}
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (now_us >= t->group_due_us[i]) {
			t->group_due_us[i] = UINT64_MAX;
			report(net, i, IS_EXCLUDE, now_us);
		}
	}
	due_note(net);
}

uint64_t net_mld_timers(struct net *net, uint64_t now_us)
{
	if (base_unlikely(now_us >= net->mld.due_us))
		timers_fire(net, now_us);
	return net->mld.due_us;
}

// ---- queries
// RFC 3810 5.1.3: milliseconds, from 32,768 on with an exponent.
static uint64_t response_us(uint16_t code, bool v1)
{
	uint64_t ms = code;

	if (!v1 && code >= 0x8000)
		ms = (uint64_t)((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3);
	return ms * 1000;
}

// RFC 3810 6.2. A query for sources of a group is answered as one for the group, which tells the
// router more than it asked.
static void answer_plan(
	struct net *net, const struct base_ip *group, uint64_t most_us, uint64_t now_us)
{
	struct net_mld *t = &net->mld;
	uint64_t at = now_us + base_rng_below(&net->rng, most_us + 1);

	at = base_max_u64(at, t->told_us + REPORT_GAP_US);
	if (t->all_due_us <= at)
		return; // all will be told before
	if (base_ip_none(group)) {
		t->all_due_us = at;
	} else {
		for (unsigned i = 0; i < net->opt.owns; i++) {
			struct base_ip own;

			if (group_get(net, i, &own) && base_ip_same(&own, group))
				t->group_due_us[i] = base_min_u64(t->group_due_us[i], at);
		}
	}
	due_note(net);
}

// RFC 3810 6.2: from a router of this link, which no router has passed on.
static bool query_valid(const struct rte_mbuf *m, const struct net_packet *pkt)
{
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, pkt->l3_off);

	return ip->hop_limits == HOP_LIMIT && pkt->alert && pkt->src.b[0] == 0xfe &&
		(pkt->src.b[1] & 0xc0) == 0x80 &&
		(pkt->l4_len == HEAD_BYTES || pkt->l4_len >= QUERY_V2_BYTES);
}

enum net_verdict net_mld_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, const struct net_packet *pkt)
{
	bool v1 = pkt->l4_len == HEAD_BYTES;
	const struct mld_head *q;
	struct mld_head buf;
	struct base_ip group;

	net->n.mld_rx++;
	q = query_valid(m, pkt) ? rte_pktmbuf_read(m, pkt->l4_off, HEAD_BYTES, &buf) : NULL;
	if (q == NULL) {
		net->n.bad_mld++;
	} else {
		memcpy(&group, q->group, sizeof(group));
		if (v1) // RFC 3810 8.2.1
			net->mld.v1_until_us = now_us + OLD_QUERIER_US;
		answer_plan(
			net, &group, response_us(rte_be_to_cpu_16(q->max_response), v1), now_us);
	}
	rte_pktmbuf_free(m);
	return NET_DONE;
}
