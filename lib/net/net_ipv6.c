// SPDX-License-Identifier: BSD-3-Clause
// IPv6 input (RFC 8200): header checks, whose it is, extension headers, and on to the protocol.
#include "net/net_internal.h"

#define EXT_HEADERS_MAX 8   // in one packet
#define EXT_BYTES_MAX   512 // of them all
#define OPTION_PAD1     0
#define OPTION_PADN     1
#define OPTION_ALERT    5 // router alert (RFC 2711)

// What the walk over the extension headers has come to.
struct ext_walk {
	uint16_t at; // offset in the mbuf of what is next
	uint8_t next;
	uint8_t headers;
	uint16_t named_at; // offset of the field that named it, for errors
};

static enum net_verdict drop(struct rte_mbuf *m, uint64_t *reason)
{
	++*reason;
	rte_pktmbuf_free(m);
	return NET_DONE;
}

static bool ip_multicast(const uint8_t *ip)
{
	return ip[0] == 0xff;
}

// A source must be one host's address. None at all may ask for neighbours (RFC 4862 5.4.2), and who
// else has an address of ours says so from it; what stands for IPv4 addresses inside of programs
// never comes from a wire.
static bool source_valid(const struct net *net, const struct base_ip *ip, uint8_t proto)
{
	static const struct base_ip loopback = {.b[15] = 1};

	if (base_ip_none(ip))
		return proto == IPPROTO_ICMPV6;
	return !ip_multicast(ip->b) && !base_ip_is4(ip) && !base_ip_same(ip, &loopback) &&
		(proto == IPPROTO_ICMPV6 || net_own_find(net, ip) == NET_OWN_MAX);
}

// The groups every node is in: all nodes, and the solicited-node addresses of its own (RFC 4291
// 2.7.1). Returns one of our addresses for which it is taken; NET_OWN_MAX: not ours.
static unsigned group_find(const struct net *net, const uint8_t *dst)
{
	static const uint8_t all_nodes[16] = {[0] = 0xff, [1] = 0x02, [15] = 1};
	static const uint8_t solicited[13] = {
		[0] = 0xff, [1] = 0x02, [11] = 1, [12] = 0xff}; // ff02::1:ff00:0/104
	bool all = memcmp(dst, all_nodes, 16) == 0;

	if (!all && memcmp(dst, solicited, sizeof(solicited)) != 0)
		return NET_OWN_MAX;
	for (unsigned i = 0; i < net->opt.owns; i++) {
		const struct base_ip *own = &net->opt.own[i].ip;

		if (!base_ip_is4(own) && (all || memcmp(dst + 13, own->b + 13, 3) == 0))
			return i;
	}
	return NET_OWN_MAX;
}

// Whose the packet is. False: nobody's here.
static bool destination_check(
	const struct net *net, const struct rte_ipv6_hdr *ip, bool group, struct net_packet *pkt)
{
	struct base_ip dst;
	unsigned local;

	memcpy(&dst, ip->dst_addr, sizeof(dst));
	if (ip_multicast(dst.b)) {
		local = group_find(net, dst.b);
		pkt->group = true;
	} else {
		local = base_ip_is4(&dst) || group ? NET_OWN_MAX : net_own_find(net, &dst);
		// RFC 4862 5.4: an address that is still being checked takes nothing
		if (local < NET_OWN_MAX && net->own_state[local] != NET_OWN_VALID)
			local = NET_OWN_MAX;
	}
	pkt->local = (uint8_t)local;
	return local < NET_OWN_MAX;
}

// A problem that the sender is told of (RFC 8200 section 4): `code` of a parameter problem, at
// `at`.
static enum net_verdict problem(struct net *net, struct rte_mbuf *m, const struct net_packet *pkt,
	uint8_t code, uint16_t at, uint64_t *reason, uint64_t now_us)
{
	net_icmp6_error(net, m, pkt, NET_ICMP6_PROBLEM, code, (uint32_t)(at - pkt->l3_off), now_us);
	return drop(m, reason);
}

// Options of a hop-by-hop or destination header of len bytes at `at`. 0; the offset of one that
// must be understood and is not; or UINT16_MAX: malformed. *silent: the sender is not to be told.
// *alert: there is a router alert for MLD.
static uint16_t options_check(
	const struct rte_mbuf *m, uint16_t at, uint16_t len, bool group, bool *silent, bool *alert)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	uint16_t i = 2; // behind next header and length

	while (i < len) {
		uint8_t type = p[i], kind = p[i] >> 6;

		if (type == OPTION_PAD1) {
			i++;
			continue;
		}
		if (i + 2 > len || i + 2 + p[i + 1] > len)
			return UINT16_MAX;
		if (type != OPTION_PADN && type != OPTION_ALERT && kind != 0) {
			*silent = kind == 1 || (kind == 3 && group);
			return (uint16_t)(at + i);
		}
		*alert |= type == OPTION_ALERT && p[i + 1] == 2 && p[i + 2] == 0 && p[i + 3] == 0;
		i = (uint16_t)(i + 2 + p[i + 1]);
	}
	return 0;
}

// RFC 8200 4.5 and RFC 6946: a fragment that is the whole packet needs no others.
static bool fragment_alone(const struct rte_mbuf *m, uint16_t at)
{
	const struct rte_ipv6_fragment_ext *f =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_fragment_ext *, at);

	return (f->frag_data & RTE_BE16(RTE_IPV6_FRAG_USED_MASK)) == 0;
}

// Makes the first `len` bytes contiguous, within bounds. False: m is gone, counted.
static bool header_pull(
	struct net *net, struct rte_mbuf **packet, const struct net_packet *pkt, uint32_t len)
{
	struct rte_mbuf *m = *packet;

	if (len > m->pkt_len || len > pkt->l3_off + sizeof(struct rte_ipv6_hdr) + EXT_BYTES_MAX) {
		drop(m, &net->n.bad_ext);
		return false;
	}
	*packet = net_mbuf_pull(net, m, (uint16_t)len);
	return *packet != NULL;
}

// A fragment header at w->at: false when m is gone; else *packet is the datagram, w goes on in it.
static bool fragment_take(struct net *net, struct rte_mbuf **packet, struct ext_walk *w,
	uint64_t now_us, struct net_packet *pkt)
{
	struct rte_mbuf *m = *packet;

	if (fragment_alone(m, w->at)) {
		w->named_at = w->at;
		w->next = *rte_pktmbuf_mtod_offset(m, const uint8_t *, w->at);
		w->at += sizeof(struct rte_ipv6_fragment_ext);
		return true;
	}
	m = net_frag6_input(net, m, pkt->l3_off, w->at, now_us);
	if (m == NULL)
		return false;
	*packet = m;
	pkt->reassembled = true;
	pkt->l3_off = m->l2_len;
	w->at = (uint16_t)(pkt->l3_off + sizeof(struct rte_ipv6_hdr));
	w->named_at = (uint16_t)(pkt->l3_off + offsetof(struct rte_ipv6_hdr, proto));
	w->next = *rte_pktmbuf_mtod_offset(m, const uint8_t *, w->named_at);
	return true;
}

// One extension header. False: m is gone.
static bool ext_step(struct net *net, struct rte_mbuf **packet, struct ext_walk *w, uint64_t now_us,
	struct net_packet *pkt)
{
	const uint8_t *h;
	bool silent = false, alert = false;
	uint16_t len, bad;

	if (++w->headers > EXT_HEADERS_MAX || (w->next == IPPROTO_HOPOPTS && w->headers > 1)) {
		drop(*packet, &net->n.bad_ext);
		return false;
	}
	if (!header_pull(net, packet, pkt, w->at + 8u))
		return false;
	if (w->next == IPPROTO_FRAGMENT)
		return fragment_take(net, packet, w, now_us, pkt);
	h = rte_pktmbuf_mtod_offset(*packet, const uint8_t *, w->at);
	len = (uint16_t)(8 + 8 * h[1]);
	if (!header_pull(net, packet, pkt, (uint32_t)w->at + len))
		return false;
	h = rte_pktmbuf_mtod_offset(*packet, const uint8_t *, w->at);
	if (w->next == IPPROTO_ROUTING) {
		if (h[3] != 0) { // segments left: none of the types is for us (RFC 5095)
			problem(net, *packet, pkt, 0, (uint16_t)(w->at + 2), &net->n.bad_ext,
				now_us);
			return false;
		}
	} else {
		bad = options_check(*packet, w->at, len, pkt->group, &silent, &alert);
		if (bad == UINT16_MAX || (bad != 0 && silent)) {
			drop(*packet, &net->n.bad_ext);
			return false;
		}
		if (bad != 0) {
			problem(net, *packet, pkt, 2, bad, &net->n.bad_ext, now_us);
			return false;
		}
	}
	pkt->alert |= alert && w->next == IPPROTO_HOPOPTS;
	w->named_at = w->at;
	w->next = h[0];
	w->at = (uint16_t)(w->at + len);
	return true;
}

static bool is_ext(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
		next == IPPROTO_DSTOPTS;
}

// The packet is ours and well-formed up to its extension headers.
static enum net_verdict datagram_input(
	struct net *net, struct rte_mbuf **packet, uint64_t now_us, struct net_packet *pkt)
{
	struct ext_walk w = {.at = (uint16_t)(pkt->l3_off + sizeof(struct rte_ipv6_hdr)),
		.named_at = (uint16_t)(pkt->l3_off + offsetof(struct rte_ipv6_hdr, proto))};
	struct rte_mbuf *m;
	uint16_t head;

	w.next = *rte_pktmbuf_mtod_offset(*packet, const uint8_t *, w.named_at);
	while (base_unlikely(is_ext(w.next))) {
		if (!ext_step(net, packet, &w, now_us, pkt))
			return NET_DONE;
	}
	pkt->l4_off = w.at;
	pkt->l4_len = (uint16_t)((*packet)->pkt_len - w.at);
	pkt->l4_checked = net_l4_checked(net, *packet, w.next);
	head = w.next == IPPROTO_TCP ? 60 : 8; // what the protocols read
	m = *packet =
		net_mbuf_pull(net, *packet, (uint16_t)(pkt->l4_off + RTE_MIN(pkt->l4_len, head)));
	if (m == NULL)
		return NET_DONE;
	switch (w.next) {
	case IPPROTO_TCP:
		return pkt->group ? drop(m, &net->n.not_ours) : NET_TCP;
	case IPPROTO_UDP:
		return pkt->group ? drop(m, &net->n.not_ours) : net_udp_input(net, m, pkt);
	case IPPROTO_ICMPV6:
		return net_icmp6_input(net, m, now_us, pkt);
	case IPPROTO_NONE:
		return drop(m, &net->n.unknown_proto);
	default:
		return problem(net, m, pkt, 1, w.named_at, &net->n.unknown_proto, now_us);
	}
}

enum net_verdict net_ipv6_input(struct net *net, struct rte_mbuf **packet, uint16_t off, bool group,
	uint64_t now_us, struct net_packet *pkt)
{
	struct rte_mbuf *m = *packet;
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, off);
	uint32_t vtc_flow, total;

	if (base_unlikely(m->data_len < off + sizeof(*ip)))
		return drop(m, &net->n.bad_ip_length);
	vtc_flow = rte_be_to_cpu_32(ip->vtc_flow);
	if (vtc_flow >> 28 != 6)
		return drop(m, &net->n.bad_ip_header);
	total = (uint32_t)off + sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);
	if (total > m->pkt_len || ip->payload_len == 0) // jumbograms (RFC 2675) do not fit a frame
		return drop(m, &net->n.bad_ip_length);
	net_mbuf_trim(m, total);
	if (!destination_check(net, ip, group, pkt))
		return drop(m, &net->n.not_ours);
	memcpy(&pkt->src, ip->src_addr, sizeof(pkt->src));
	if (!source_valid(net, &pkt->src, ip->proto))
		return drop(m, &net->n.bad_source);
	pkt->ecn = vtc_flow >> RTE_IPV6_HDR_TC_SHIFT & 3;
	pkt->l3_off = off;
	return datagram_input(net, packet, now_us, pkt);
}
