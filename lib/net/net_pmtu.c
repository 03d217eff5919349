// SPDX-License-Identifier: BSD-3-Clause
// What routers have said about the MTU of paths (RFC 1191, RFC 8201): a bounded cache by
// destination, forgotten after ten minutes so that a path that has grown is used again.
#include "net/net_internal.h"

static struct net_pmtu *set_of(struct net *net, const struct base_ip *dst)
{
	uint64_t h = base_siphash(net->neigh.key, dst, sizeof(*dst));

	return &net->pmtu[h % NET_PMTU_SETS * NET_PMTU_WAYS];
}

uint16_t net_path_mtu(struct net *net, const struct base_ip *dst, uint64_t now_us)
{
	const struct net_pmtu *p;

	if (base_likely(now_us >= net->pmtu_until_us))
		return net->opt.mtu; // nothing is known
	p = set_of(net, dst);
	for (unsigned i = 0; i < NET_PMTU_WAYS; i++) {
		if (base_ip_same(&p[i].dst, dst) && now_us < p[i].until_us)
			return p[i].mtu;
	}
	return net->opt.mtu;
}

void net_path_mtu_set(struct net *net, const struct base_ip *dst, uint16_t mtu, uint64_t now_us)
{
	uint16_t least = base_ip_is4(dst) ? NET_PMTU4_MIN : RTE_IPV6_MIN_MTU;
	struct net_pmtu *p = set_of(net, dst), *to = p;

	for (unsigned i = 0; i < NET_PMTU_WAYS; i++) {
		if (base_ip_same(&p[i].dst, dst)) {
			to = &p[i];
			break;
		}
		if (p[i].until_us < to->until_us)
			to = &p[i]; // the oldest makes room
	}
	*to = (struct net_pmtu){.dst = *dst,
		.until_us = now_us + NET_PMTU_US,
		.mtu = RTE_MIN(RTE_MAX(mtu, least), net->opt.mtu)};
	net->pmtu_until_us = to->until_us;
}
