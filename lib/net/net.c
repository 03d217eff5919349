// SPDX-License-Identifier: BSD-3-Clause
// One worker's network: opening, closing, frames in, timers.
#include "net/net.h"

#include <errno.h>

#include "net/net_internal.h"

#define MTU_MIN 576
#define MTU_MAX 9216
// Ethernet and tag, the longest IPv4 header and the longest TCP header: what must be contiguous.
#define HEADERS_MAX (NET_L2_MAX + 60 + 60)

static bool own_valid(const struct net_own *own)
{
	if (base_ip_is4(&own->ip))
		return base_ip_as4(&own->ip) != 0 && own->prefix_len <= 32;
	return !base_ip_none(&own->ip) && own->ip.b[0] != 0xff && own->prefix_len <= 128;
}

static bool options_valid(const struct net_options *opt)
{
	if (opt->owns == 0 || opt->owns > NET_OWNS_GIVEN_MAX)
		return false;
	for (unsigned i = 0; i < opt->owns; i++) {
		if (!own_valid(&opt->own[i]) ||
			(!base_ip_is4(&opt->own[i].ip) && opt->mtu < RTE_IPV6_MIN_MTU))
			return false;
	}
	return opt->mem && opt->pool && opt->tx && opt->tx->flush &&
		opt->vlan < RTE_ETHER_MAX_VLAN_ID + 1 && opt->mtu >= MTU_MIN &&
		opt->mtu <= MTU_MAX && rte_is_valid_assigned_ether_addr(&opt->mac);
}

// Neighbour discovery needs one.
static void link_local_add(struct net *net)
{
	struct net_own own = {.ip = base_ip_link_local(net->opt.mac.addr_bytes), .prefix_len = 64};

	if (net_own_find(net, &own.ip) == NET_OWN_MAX)
		net->opt.own[net->opt.owns++] = own;
}

static void own_init(struct net *net)
{
	for (unsigned i = 0; i < net->opt.owns; i++)
		net->ip6 |= !base_ip_is4(&net->opt.own[i].ip);
	if (net->ip6)
		link_local_add(net);
	for (unsigned i = 0; i < net->opt.owns; i++) {
		const struct net_own *own = &net->opt.own[i];

		net->mask[i] = base_ip_mask(&own->ip, own->prefix_len);
		if (!base_ip_is4(&own->ip)) {
			net->own_state[i] = net->opt.dad ? NET_OWN_TENTATIVE : NET_OWN_VALID;
			continue;
		}
		net->own4[i] = base_ip_as4(&own->ip);
		// /31 and /32 have no broadcast address (RFC 3021)
		net->broadcast[i] = own->prefix_len <= 30
			? net->own4[i] | ~base_ip_as4(&net->mask[i])
			: NET_LIMITED_BROADCAST;
	}
}

static void l2_init(struct net *net)
{
	const struct net_options *opt = &net->opt;

	memcpy(net->l2 + RTE_ETHER_ADDR_LEN, &opt->mac, RTE_ETHER_ADDR_LEN);
	net->l2_len = RTE_ETHER_HDR_LEN;
	if (opt->vlan == 0)
		return;
	net->l2_len += sizeof(struct rte_vlan_hdr);
	net->l2[12] = RTE_ETHER_TYPE_VLAN >> 8;
	net->l2[13] = RTE_ETHER_TYPE_VLAN & 0xff;
	net->l2[14] = (uint8_t)(opt->vlan >> 8);
	net->l2[15] = (uint8_t)opt->vlan;
}

int net_open(struct net **out, const struct net_options *opt)
{
	struct net *net;

	*out = NULL;
	if (!options_valid(opt)) {
		base_error("net: bad options");
		return -EINVAL;
	}
	net = mem_try_calloc(opt->mem, MEM_OTHER, sizeof(*net), NULL);
	if (net == NULL)
		goto no_memory;
	net->opt = *opt;
	net->tx_offloads = opt->tx_offloads;
	net->rx_offloads = opt->rx_offloads;
	own_init(net);
	net_plain_init(net);
	net_routes_init(net);
	net->ip_id = (uint16_t)opt->seed;
	base_rng_seed(&net->rng, opt->seed ^ UINT64_C(0x495076));
	net->frag6_id = (uint32_t)base_rng_next(&net->rng);
	net->dad_due_us = UINT64_MAX;
	net_mld_init(net);
	net->icmp_credit_us = NET_ICMP_BURST * NET_ICMP_GAP_US;
	net->announce_due_us = UINT64_MAX;
	net->frag_due_us = UINT64_MAX;
	l2_init(net);
	net_neigh_init(net);
	// one entry a bucket set of 4; times are microseconds, whatever the parameter's name
	net->frags = rte_ip_frag_table_create(
		NET_FRAG_ENTRIES, 4, NET_FRAG_ENTRIES, NET_FRAG_TIMEOUT_US, opt->socket_id);
	if (net->frags == NULL)
		goto no_memory;
	*out = net;
	return 0;

no_memory:
	base_error("net: no memory");
	if (net != NULL)
		mem_free(opt->mem, MEM_OTHER, net, sizeof(*net));
	return -ENOMEM;
}

void net_close(struct net *net)
{
	net_neigh_fini(net);
	rte_ip_frag_table_destroy(net->frags);
	mem_free(net->opt.mem, MEM_OTHER, net, sizeof(*net));
}

// The 802.1Q tag of a frame whose Ethernet header is contiguous, or 0. Priority tags (VLAN 0) count
// as none. *l2_len gets the length of the headers, *type what follows.
static uint16_t vlan_read(const struct rte_mbuf *m, uint16_t *l2_len, rte_be16_t *type)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_vlan_hdr *tag = (const struct rte_vlan_hdr *)(eth + 1);

	*l2_len = sizeof(*eth);
	*type = eth->ether_type;
	if (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
		return m->vlan_tci & RTE_ETHER_MAX_VLAN_ID;
	if (*type != RTE_BE16(RTE_ETHER_TYPE_VLAN) || m->data_len < sizeof(*eth) + sizeof(*tag))
		return 0;
	*l2_len += sizeof(*tag);
	*type = tag->eth_proto;
	return rte_be_to_cpu_16(tag->vlan_tci) & RTE_ETHER_MAX_VLAN_ID;
}

static bool ip6_group(const struct rte_ether_addr *mac) // RFC 2464 section 7
{
	return mac->addr_bytes[0] == 0x33 && mac->addr_bytes[1] == 0x33;
}

enum net_verdict net_input(
	struct net *net, struct rte_mbuf **packet, uint64_t now_us, struct net_packet *pkt)
{
	struct rte_mbuf *m = *packet;
	const struct rte_ether_hdr *eth;
	uint16_t l2_len, vlan;
	rte_be16_t type;
	bool group;

	net->n.rx_frames++;
	net->n.rx_bytes += m->pkt_len;
	if (base_unlikely(m->nb_segs > 1)) {
		m = net_mbuf_pull(net, m, (uint16_t)RTE_MIN(m->pkt_len, (uint32_t)HEADERS_MAX));
		if (m == NULL)
			return NET_DONE;
		*packet = m;
	}
	if (base_unlikely(m->data_len < sizeof(*eth))) {
		net->n.bad_ether++;
		goto drop;
	}
	eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	group = rte_is_broadcast_ether_addr(&eth->dst_addr) ||
		(net->ip6 && ip6_group(&eth->dst_addr));
	if (!group && !rte_is_same_ether_addr(&eth->dst_addr, &net->opt.mac)) {
		net->n.not_ours++;
		goto drop;
	}
	if (!rte_is_unicast_ether_addr(&eth->src_addr)) {
		net->n.bad_ether++;
		goto drop;
	}
	vlan = vlan_read(m, &l2_len, &type);
	if (vlan != net->opt.vlan) {
		net->n.bad_vlan++;
		goto drop;
	}
	memset(pkt, 0, sizeof(*pkt));
	rte_ether_addr_copy(&eth->src_addr, &pkt->src_mac);
	if (base_likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV4)))
		return net_ipv4_input(net, packet, l2_len, group, now_us, pkt);
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && net->ip6)
		return net_ipv6_input(net, packet, l2_len, group, now_us, pkt);
	if (type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		return net_arp_input(net, m, l2_len, now_us, pkt);
	net->n.unknown_proto++;
drop:
	rte_pktmbuf_free(m);
	return NET_DONE;
}

void net_neigh_learn(
	struct net *net, struct base_ip ip, const struct rte_ether_addr *mac, uint64_t now_us)
{
	net_neigh_update(net, &ip, mac, true, now_us);
}

static void announce(struct net *net)
{
	net_arp_announce(net);
	net_nd_announce(net);
}

uint64_t net_timers(struct net *net, uint64_t now_us)
{
	uint64_t due_us = net_neigh_timers(net, now_us);

	if (base_unlikely(now_us >= net->dad_due_us))
		net_dad_turn(net, now_us);
	if (base_unlikely(now_us >= net->announce_due_us)) {
		announce(net);
		net->announce_due_us = UINT64_MAX;
	}
	due_us = base_min_u64(due_us, net_frag_timers(net, now_us));
	due_us = base_min_u64(due_us, net_mld_timers(net, now_us));
	due_us = base_min_u64(due_us, net->dad_due_us);
	return base_min_u64(due_us, net->announce_due_us);
}

void net_announce(struct net *net, uint64_t now_us)
{
	net_dad_start(net, now_us);
	if (net->opt.silent)
		return;
	announce(net);
	net->announce_due_us = now_us + NET_ANNOUNCE_GAP_US;
}

uint64_t net_taken(const struct net *net)
{
	uint64_t taken = 0;

	for (unsigned i = 0; i < NET_OWN_MAX; i++)
		taken |= (uint64_t)(net->own_state[i] == NET_OWN_TAKEN) << i;
	return taken;
}

uint16_t net_mtu(const struct net *net, const struct base_ip *dst)
{
	return (uint16_t)(net->opt.mtu -
		(base_ip_is4(dst) ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr)));
}

const struct base_ip *net_ip(const struct net *net, unsigned local)
{
	base_assert(local < net->opt.owns);
	return &net->opt.own[local].ip;
}

// On whose prefix it lies, else the first of its family.
unsigned net_local_for(const struct net *net, const struct base_ip *dst)
{
	unsigned local = net_on_link(net, dst);

	for (unsigned i = 0; local == NET_OWN_MAX && i < net->opt.owns; i++) {
		if (net_family(&net->opt.own[i].ip) == net_family(dst))
			local = i;
	}
	return local;
}

bool net_path_open(const struct net *net, const struct base_ip *dst, struct net_path *path)
{
	unsigned local = net_local_for(net, dst);

	*path = (struct net_path){.dst = *dst, .local = (uint8_t)local};
	return local < NET_OWN_MAX;
}

uint64_t net_tx_offloads(const struct net *net)
{
	return net->tx_offloads;
}

const struct net_counters *net_counters_get(const struct net *net)
{
	return &net->n;
}
