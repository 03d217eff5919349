// SPDX-License-Identifier: BSD-3-Clause
// Routes of both families in one list: on-link prefixes, static routes, default gateways. Looked at
// when a path is made, so a list of at most 130 will do.
#include "net/net_internal.h"

#include <errno.h>

static unsigned mask_bits(const struct base_ip *mask)
{
	return (unsigned)(__builtin_popcountll(mask->w64[0]) + __builtin_popcountll(mask->w64[1]));
}

static struct net_route *route_find(struct net *net, const struct net_route *like)
{
	for (unsigned i = 0; i < net->routes; i++) {
		struct net_route *r = &net->route[i];

		if (base_ip_same(&r->mask, &like->mask) && !base_ip_none(&r->via) &&
			base_ip_masked_same(&r->prefix, &like->prefix, &r->mask))
			return r;
	}
	return NULL;
}

// Behind those that are as long: what came first counts.
static void route_insert(struct net *net, const struct net_route *r)
{
	unsigned i = net->routes++;

	base_assert(net->routes <= RTE_DIM(net->route));
	for (; i > 0 && mask_bits(&net->route[i - 1].mask) < mask_bits(&r->mask); i--)
		net->route[i] = net->route[i - 1];
	net->route[i] = *r;
}

static bool via_valid(const struct net *net, const struct base_ip *via)
{
	unsigned local = net_on_link(net, via);

	return local < NET_OWN_MAX && !base_ip_same(via, &net->opt.own[local].ip);
}

void net_routes_init(struct net *net)
{
	static const struct base_ip any6;
	const struct base_ip any[NET_FAMILIES] = {[NET_IP4] = base_ip4(0), [NET_IP6] = any6};

	for (unsigned i = 0; i < net->opt.owns; i++)
		route_insert(net,
			&(struct net_route){.prefix = net->opt.own[i].ip, .mask = net->mask[i]});
	for (unsigned f = 0; f < NET_FAMILIES; f++) {
		const struct base_ip *via = &net->opt.gateway[f];

		if (base_ip_none(via))
			continue;
		base_assert(net_family(via) == f);
		route_insert(net,
			&(struct net_route){
				.prefix = any[f], .mask = base_ip_mask(&any[f], 0), .via = *via});
	}
}

int net_route_add(
	struct net *net, const struct base_ip *prefix, uint8_t len, const struct base_ip *via)
{
	struct net_route r = {.prefix = *prefix, .via = *via};
	struct net_route *old;

	if (len > (base_ip_is4(prefix) ? 32 : 128) || !via_valid(net, via) ||
		net_family(via) != net_family(prefix)) {
		base_error("net: route with too long a prefix or a gateway that is not on-link");
		return -EINVAL;
	}
	r.mask = base_ip_mask(prefix, len);
	old = route_find(net, &r);
	if (old != NULL) {
		*old = r;
		return 0;
	}
	if (net->routes_static == NET_ROUTES_MAX) {
		base_error("net: more than %d routes", NET_ROUTES_MAX);
		return -ENOSPC;
	}
	net->routes_static++;
	route_insert(net, &r);
	return 0;
}

const struct base_ip *net_route_lookup(const struct net *net, const struct base_ip *dst)
{
	for (unsigned i = 0; i < net->routes; i++) {
		const struct net_route *r = &net->route[i];

		if (base_ip_masked_same(dst, &r->prefix, &r->mask))
			return base_ip_none(&r->via) ? dst : &r->via;
	}
	return NULL;
}

unsigned net_on_link(const struct net *net, const struct base_ip *ip)
{
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (base_ip_masked_same(ip, &net->opt.own[i].ip, &net->mask[i]))
			return i;
	}
	return NET_OWN_MAX;
}
