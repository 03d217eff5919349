// SPDX-License-Identifier: BSD-3-Clause
// Neighbour discovery (RFC 4861) and the duplicate address check (RFC 4862 section 5.4).
#include "net/net_internal.h"

#define HOP_LIMIT      255 // proves that a message comes from this link
#define FLAG_SOLICITED UINT32_C(0x40000000)
#define FLAG_OVERRIDE  UINT32_C(0x20000000)
#define OPTION_SOURCE  1
#define OPTION_TARGET  2
#define OPTION_BYTES   8 // of either, on Ethernet
#define OPTIONS_MAX    16

struct nd_message {
	uint8_t type, code;
	uint16_t checksum;
	rte_be32_t flags; // of advertisements
	uint8_t target[16];
	// the option, where there is one
	uint8_t option, option_len; // in units of 8 bytes
	uint8_t mac[RTE_ETHER_ADDR_LEN];
} __rte_packed;
#define HEAD_BYTES offsetof(struct nd_message, option)

static const struct base_ip all_nodes = {.b = {[0] = 0xff, [1] = 0x02, [15] = 1}};

struct base_ip net_solicited_node(const struct base_ip *ip)
{
	struct base_ip group = {.b = {[0] = 0xff, [1] = 0x02, [11] = 1, [12] = 0xff}};

	memcpy(group.b + 13, ip->b + 13, 3);
	return group;
}

struct rte_ether_addr net_group_mac(const struct base_ip *group) // RFC 2464 section 7
{
	struct rte_ether_addr mac = {{0x33, 0x33}};

	memcpy(mac.addr_bytes + 2, group->b + 12, 4);
	return mac;
}

// mac NULL: dst is a group.
static void nd_send(struct net *net, const struct nd_message *nd, uint16_t len,
	const struct base_ip *src, const struct base_ip *dst, const struct rte_ether_addr *mac)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net->opt.pool);
	struct rte_ether_addr group;
	char *at;

	if (m == NULL) {
		net->n.no_mbuf++;
		return;
	}
	at = rte_pktmbuf_append(m, len);
	base_assert(at != NULL);
	memcpy(at, nd, len);
	net_icmp6_checksum(m, src, dst);
	net_ip6_prepend(m, src, dst, IPPROTO_ICMPV6, HOP_LIMIT, 0);
	net->n.nd_tx++;
	if (mac == NULL) {
		group = net_group_mac(dst);
		mac = &group;
	}
	net_packet_output(net, m, mac, RTE_ETHER_TYPE_IPV6);
}

void net_nd_solicit(struct net *net, unsigned local, const struct base_ip *target,
	const struct rte_ether_addr *mac)
{
	struct base_ip group = net_solicited_node(target);
	struct nd_message nd = {
		.type = NET_ND_SOLICIT, .option = OPTION_SOURCE, .option_len = OPTION_BYTES / 8};

	memcpy(nd.mac, &net->opt.mac, sizeof(nd.mac));
	memcpy(nd.target, target, sizeof(nd.target));
	nd_send(net, &nd, sizeof(nd), &net->opt.own[local].ip, mac ? target : &group, mac);
}

static void advertise(struct net *net, unsigned local, uint32_t flags, const struct base_ip *dst,
	const struct rte_ether_addr *mac)
{
	const struct base_ip *own = &net->opt.own[local].ip;
	struct nd_message nd = {.type = NET_ND_ADVERT,
		.flags = rte_cpu_to_be_32(flags),
		.option = OPTION_TARGET,
		.option_len = OPTION_BYTES / 8};

	memcpy(nd.mac, &net->opt.mac, sizeof(nd.mac));
	memcpy(nd.target, own, sizeof(nd.target));
	nd_send(net, &nd, sizeof(nd), own, dst, mac);
}

void net_nd_announce(struct net *net)
{
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (!base_ip_is4(&net->opt.own[i].ip) && net->own_state[i] == NET_OWN_VALID)
			advertise(net, i, FLAG_OVERRIDE, &all_nodes, NULL);
	}
}

// "Does anybody have this?", from no address.
static void dad_ask(struct net *net, unsigned local)
{
	static const struct base_ip none;
	const struct base_ip *own = &net->opt.own[local].ip;
	struct base_ip group = net_solicited_node(own);
	struct nd_message nd = {.type = NET_ND_SOLICIT};

	memcpy(nd.target, own, sizeof(nd.target));
	nd_send(net, &nd, HEAD_BYTES, &none, &group, NULL);
}

static void dad_end(struct net *net, uint64_t now_us)
{
	net->dad_due_us = UINT64_MAX;
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (net->own_state[i] == NET_OWN_TENTATIVE)
			net->own_state[i] = NET_OWN_VALID;
	}
	// RFC 3590: once more, from the link-local address that is ours now
	if (!net->opt.silent)
		net_mld_join(net, now_us);
}

static bool dad_ask_all(struct net *net)
{
	bool any = false;

	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (net->own_state[i] != NET_OWN_TENTATIVE)
			continue;
		any = true;
		if (!net->opt.silent)
			dad_ask(net, i);
	}
	return any;
}

// Asked twice: a link that has only just come up may lose the first.
void net_dad_start(struct net *net, uint64_t now_us)
{
	// RFC 4862 5.4.2: who asks listens where the answer goes, and has said so to the switches
	if (!net->opt.silent)
		net_mld_join(net, now_us);
	net->dad_due_us = dad_ask_all(net) ? now_us + NET_DAD_US / 2 : UINT64_MAX;
	net->dad_again = true;
}

void net_dad_turn(struct net *net, uint64_t now_us)
{
	if (net->dad_again && dad_ask_all(net)) {
		net->dad_again = false;
		net->dad_due_us = now_us + NET_DAD_US / 2;
		return;
	}
	dad_end(net, now_us);
	if (!net->opt.silent)
		net_nd_announce(net);
}

// Somebody else has, or wants, our address. From our own MAC it is our own word, come back by a
// mirror (or the kernel's on its side of a TAP).
static void conflict(
	struct net *net, unsigned local, const struct rte_ether_addr *from, uint64_t now_us)
{
	if (rte_is_same_ether_addr(from, &net->opt.mac))
		return;
	if (net->own_state[local] == NET_OWN_TENTATIVE) {
		net->own_state[local] = NET_OWN_TAKEN;
		net->n.dad_taken++;
		return;
	}
	net->n.arp_conflicts++;
	if (net->own_state[local] != NET_OWN_VALID || now_us < net->defend_after_us)
		return;
	net->defend_after_us = now_us + NET_DEFEND_US;
	advertise(net, local, FLAG_OVERRIDE, &all_nodes, NULL);
}

// The link-layer address in the options; *mac stays as it is when there is none. False: malformed.
static bool options_read(const struct rte_mbuf *m, uint16_t at, uint16_t len, uint8_t wanted,
	const struct rte_ether_addr **mac)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);

	for (unsigned n = 0; len > 0; n++) {
		uint16_t bytes;

		if (len < 8 || p[1] == 0 || n == OPTIONS_MAX)
			return false;
		bytes = (uint16_t)(p[1] * 8);
		if (bytes > len)
			return false;
		if (p[0] == wanted && *mac == NULL) {
			*mac = (const struct rte_ether_addr *)(p + 2);
			if (bytes != OPTION_BYTES || !rte_is_unicast_ether_addr(*mac))
				return false;
		}
		p += bytes;
		len = (uint16_t)(len - bytes);
	}
	return true;
}

// RFC 4861 7.1.1 and 7.1.2, checksum and length of the ICMP header aside.
static bool message_valid(const struct rte_mbuf *m, const struct net_packet *pkt,
	const struct nd_message *nd, const struct rte_ether_addr **mac)
{
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, pkt->l3_off);
	bool solicit = nd->type == NET_ND_SOLICIT, nobody = base_ip_none(&pkt->src);

	if (ip->hop_limits != HOP_LIMIT || nd->code != 0 || nd->target[0] == 0xff)
		return false;
	if (!options_read(m, (uint16_t)(pkt->l4_off + HEAD_BYTES),
		    (uint16_t)(pkt->l4_len - HEAD_BYTES), solicit ? OPTION_SOURCE : OPTION_TARGET,
		    mac))
		return false;
	if (solicit)
		return !nobody || (*mac == NULL && pkt->group && ip->dst_addr[12] == 0xff);
	return !nobody && !(pkt->group && (nd->flags & rte_cpu_to_be_32(FLAG_SOLICITED)));
}

// Returns whether the neighbours changed.
static bool solicit_input(struct net *net, const struct base_ip *target,
	const struct rte_ether_addr *mac, uint64_t now_us, struct net_packet *pkt)
{
	unsigned local = net_own_find(net, target);
	bool learned = false;

	if (local == NET_OWN_MAX || base_ip_is4(target))
		return false;
	if (base_ip_none(&pkt->src)) {
		if (net->own_state[local] == NET_OWN_TENTATIVE)
			conflict(net, local, &pkt->src_mac, now_us);
		else if (net->own_state[local] == NET_OWN_VALID)
			advertise(net, local, FLAG_OVERRIDE, &all_nodes, NULL);
		return false;
	}
	if (net->own_state[local] != NET_OWN_VALID)
		return false;
	if (mac != NULL && net_on_link(net, &pkt->src) < NET_OWN_MAX)
		learned = net_neigh_heard(net, &pkt->src, mac, now_us);
	pkt->src_mac = mac ? *mac : pkt->src_mac;
	advertise(net, local, FLAG_SOLICITED | FLAG_OVERRIDE, &pkt->src, &pkt->src_mac);
	return learned;
}

// An answer may be for a question that another worker has asked: told to them, and no entry here.
static bool advert_input(struct net *net, const struct base_ip *target, uint32_t flags,
	const struct rte_ether_addr *mac, uint64_t now_us, struct net_packet *pkt)
{
	unsigned local = net_own_find(net, target);
	bool solicited = flags & FLAG_SOLICITED, news;

	if (local < NET_OWN_MAX) {
		conflict(net, local, &pkt->src_mac, now_us);
		return false;
	}
	if (base_ip_is4(target) || net_on_link(net, target) == NET_OWN_MAX)
		return false;
	if (net_neigh_known(net, target))
		news = net_neigh_advertised(
			net, target, mac, solicited, flags & FLAG_OVERRIDE, now_us);
	else
		news = solicited;
	if (!news || mac == NULL)
		return false; // where it is was known before
	pkt->src = *target;
	pkt->src_mac = *mac;
	return true;
}

enum net_verdict net_nd_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, struct net_packet *pkt)
{
	const struct rte_ether_addr *mac = NULL;
	const struct nd_message *nd;
	struct base_ip target;
	bool learned = false;

	net->n.nd_rx++;
	if (pkt->l4_len < HEAD_BYTES || pkt->l4_len > NET_ND_BYTES_MAX)
		goto bad;
	m = net_mbuf_pull(net, m, (uint16_t)(pkt->l4_off + pkt->l4_len));
	if (m == NULL)
		return NET_DONE;
	nd = rte_pktmbuf_mtod_offset(m, const struct nd_message *, pkt->l4_off);
	if (!message_valid(m, pkt, nd, &mac))
		goto bad;
	memcpy(&target, nd->target, sizeof(target));
	if (nd->type == NET_ND_SOLICIT)
		learned = solicit_input(net, &target, mac, now_us, pkt);
	else
		learned = advert_input(net, &target, rte_be_to_cpu_32(nd->flags), mac, now_us, pkt);
out:
	rte_pktmbuf_free(m);
	return learned ? NET_NEIGH : NET_DONE;
bad:
	net->n.bad_nd++;
	goto out;
}
