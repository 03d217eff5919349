// SPDX-License-Identifier: BSD-3-Clause
// Who may talk to this worker: sources of UDP and how much goes back to them, connections in all
// and of one source, clients that say nothing.

#include <rte_ip.h>
#include <rte_udp.h>

#include "worker/worker_udp.h"

// A packet is wrapped in Ethernet's header, a VLAN tag, IPv6's header and UDP's or a fragment's,
// the first fragment in both: so much of each but the first counts as sent, that many small ones
// are no way around the factor.
#define PACKET_HEADERS (18 + 40 + 8 + 8)
#define SHUT_S         10 // that a client has to close after it was sent away

void worker_access_open(struct worker *w, uint64_t seed)
{
	if (w->settings->udp_port != 0)
		w->meters = access_meters_open(w->mem, seed);
}

void worker_access_close(struct worker *w)
{
	access_meters_close(w->meters);
	w->meters = NULL;
}

static bool may_talk(const struct worker_access *a, const struct base_ip *ip)
{
	return a->allow == NULL || access_list_has(a->allow, ip);
}

void worker_access_apply(struct worker *w)
{
	const struct worker_access *a = &w->orders.access;

	w->udp_open = (a->allow == NULL || access_list_has_all(a->allow, true)) &&
		a->udp_allow != NULL && access_list_has_all(a->udp_allow, true);
	memset(w->udp_known, 0, sizeof(w->udp_known));
	if (w->meters != NULL && w->udp_rate != a->udp_rate) {
		w->udp_rate = a->udp_rate;
		access_meters_rate_set(w->meters, a->udp_rate, w->now.mono_us);
	}
	w->clients.unchecked = (uint32_t)w->n.conns;
}

// Connections that were refused, and do not close. (Those that have come in this turn are among
// them for a moment.)
static bool crowded(const struct worker *w)
{
	return tcp_conns(w->tcp) > w->n.conns + WORKER_CONNS_SPARE;
}

enum tcp_admission worker_access_admit(void *arg, const struct base_ip *src)
{
	const struct worker *w = arg;
	const struct worker_access *a = &w->orders.access;

	if (!may_talk(a, src))
		return TCP_ADMIT_SILENT;
	if (tcp_conns(w->tcp) >= w->n.conns + WORKER_CONNS_SPARE &&
		access_sources_total(worker_sources(w->group)) >= a->conns_max)
		return TCP_ADMIT_RESET;
	return TCP_ADMIT_YES;
}

// ---- UDP ---------------------------------------------------------------------------------------
bool worker_udp_may_talk(struct worker *w, const struct base_ip *src)
{
	bool may = may_talk(&w->orders.access, src);

	w->n.udp_refused += !may;
	return may;
}

bool worker_udp_trusts_4(struct worker *w, uint32_t src)
{
	const struct worker_access *a = &w->orders.access;
	struct base_ip ip = base_ip4(src);

	if (a->udp_allow == NULL || !access_list_has(a->udp_allow, &ip) || !may_talk(a, &ip))
		return false;
	*worker_udp_known_at(w, src) = src;
	return true;
}

bool worker_udp_budget(struct worker *w, const struct net_packet *pkt, uint32_t *budget)
{
	const struct worker_access *a = &w->orders.access;
	uint64_t most = (uint64_t)pkt->data_len * a->udp_factor;

	*budget = WORKER_UDP_NO_BUDGET;
	if (base_ip_is4(&pkt->src) && worker_udp_trusts(w, base_ip_as4(&pkt->src)))
		return true;
	if (!worker_udp_may_talk(w, &pkt->src))
		return false;
	if (a->udp_allow != NULL && access_list_has(a->udp_allow, &pkt->src))
		return true;
	if (pkt->group) { // the answers of all servers would be more than the one request
		w->n.udp_amplified++;
		return false;
	}
	*budget = (uint32_t)base_min_u64(most, WORKER_UDP_NO_BUDGET - 1);
	return true;
}

// Packets that a datagram of so many bytes takes at most: an IPv6 path may take 1,280 bytes only.
static uint32_t packets(const struct worker *w, const struct base_ip *dst, uint32_t bytes)
{
	uint32_t most = net_mtu(w->net, dst);

	if (!base_ip_is4(dst))
		most = RTE_MIN(most, (uint32_t)(RTE_IPV6_MIN_MTU - sizeof(struct rte_ipv6_hdr)));
	bytes += sizeof(struct rte_udp_hdr);
	if (bytes <= most)
		return 1;
	most = (most - sizeof(struct rte_ipv6_fragment_ext)) & ~7u;
	return (bytes + most - 1) / most;
}

// What the answer takes on the wire beyond the headers of one packet.
static uint64_t answer_cost(
	const struct worker *w, const struct base_ip *dst, const struct worker_out *o)
{
	uint32_t last = rte_pktmbuf_data_len(o->last), full = PROTO_UDP_HEADER + o->chunk;
	uint64_t n = packets(w, dst, last) + (uint64_t)(o->mbufs - 1u) * packets(w, dst, full);

	return o->bytes + (uint64_t)o->mbufs * PROTO_UDP_HEADER + (n - 1) * PACKET_HEADERS;
}

bool worker_udp_may_send(struct worker *w, const struct worker_dgram *d, const struct worker_out *o)
{
	uint64_t cost;

	if (base_likely(d->budget == WORKER_UDP_NO_BUDGET || o->mbufs == 0))
		return true;
	cost = answer_cost(w, &d->from.src, o);
	if (cost > d->budget) {
		w->n.udp_amplified++;
		return false;
	}
	if (!access_meters_take(w->meters, &d->from.src, (uint32_t)cost, w->now.mono_us)) {
		w->n.udp_limited++;
		return false;
	}
	return true;
}

// ---- connections -------------------------------------------------------------------------------
enum worker_entry worker_access_conn(struct worker *w, const struct tcp_conn *t, bool *counted)
{
	const struct worker_access *a = &w->orders.access;
	struct access_sources *sources = worker_sources(w->group);
	struct base_ip ip;
	uint16_t port;

	*counted = false;
	tcp_peer(t, &ip, &port);
	if (!may_talk(a, &ip)) { // it might when it began to connect
		w->n.conns_disallowed++;
		return WORKER_ENTRY_RESET;
	}
	if (!access_sources_enter(sources, a->conns_max))
		goto refused;
	switch (access_sources_add(sources, &ip, a->conns_source)) {
	case ACCESS_COUNTED:
		*counted = true;
		break;
	case ACCESS_FULL:
		access_sources_leave(sources);
		w->n.conns_source_refused++;
		goto refused;
	case ACCESS_UNCOUNTED:
		break;
	}
	return WORKER_ENTRY_OPEN;

refused:
	w->n.conns_refused++;
	return crowded(w) ? WORKER_ENTRY_RESET : WORKER_ENTRY_TELL;
}

void worker_access_conn_gone(struct worker *w, const struct tcp_conn *t, bool counted)
{
	struct access_sources *sources = worker_sources(w->group);
	struct base_ip ip;
	uint16_t port;

	access_sources_leave(sources);
	if (!counted)
		return;
	tcp_peer(t, &ip, &port);
	access_sources_remove(sources, &ip);
}

// Nothing of it is under way but, perhaps, a value that does not come.
static bool conn_silent(const struct worker_conn *c)
{
	bool asked = c->state == WORKER_CONN_COMMAND || c->state == WORKER_CONN_SWALLOW
		? !base_list_empty(&c->sink.slots)
		: c->state != WORKER_CONN_FILL || c->sink.slot_count > 1;

	return !asked && tcp_send_pending(c->tcp) == 0;
}

static void conn_drop(struct worker *w, struct worker_conn *c)
{
	struct tcp_conn *t = c->tcp;

	worker_conn_close(w, c);
	tcp_abort(w->tcp, t);
}

static uint32_t conn_idle_s(const struct worker *w, const struct worker_conn *c)
{
	return worker_now_s(w) - c->heard_s;
}

static void conn_idle(struct worker *w, struct worker_conn *c)
{
	if (conn_idle_s(w, c) < w->orders.access.idle_s || !conn_silent(c))
		return;
	w->n.idle_kicks++;
	worker_fill_abandon(w, c);
	c->heard_s = worker_now_s(w); // so long it has to close, whatever the limit is then
	c->close = WORKER_CLOSE_IDLE;
	c->state = WORKER_CONN_QUIT;
	worker_conn_resume(w, c);
}

// We have closed, and the client, which has got all, does not; nor does one that is too slow for
// the time that it may be silent.
static bool shut_late(const struct worker *w, const struct worker_conn *c)
{
	uint32_t limit_s = w->orders.access.idle_s, idle_s = conn_idle_s(w, c);

	if (limit_s != 0 && idle_s >= limit_s + SHUT_S)
		return true;
	return idle_s >= SHUT_S && tcp_send_pending(c->tcp) == 0;
}

bool worker_access_check(struct worker *w, struct worker_conn *c)
{
	struct base_ip ip;
	uint16_t port;

	if (base_unlikely(w->clients.unchecked > 0)) {
		w->clients.unchecked--;
		tcp_peer(c->tcp, &ip, &port);
		if (!may_talk(&w->orders.access, &ip)) {
			w->n.conns_disallowed++;
			conn_drop(w, c);
			return false;
		}
	}
	if (c->state == WORKER_CONN_SHUT) {
		if (!shut_late(w, c))
			return true;
		conn_drop(w, c);
		return false;
	}
	if (w->orders.access.idle_s != 0)
		conn_idle(w, c);
	return true;
}
