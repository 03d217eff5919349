// SPDX-License-Identifier: BSD-3-Clause
// Routes: the on-link prefix, static routes, the default gateway. Looked at when a path is made.
#include "net/net_internal.h"

#include <errno.h>
#include <inttypes.h>

#define LPM_ON_LINK 0 // next hop number of the on-link prefix; n > 0 is via[n - 1]

static int lpm_open(struct net *net)
{
	const struct rte_lpm_config config = {
		.max_rules = NET_ROUTES_MAX + 1,
		.number_tbl8s = NET_ROUTES_MAX + 1, // a prefix longer than /24 takes one
	};
	char name[RTE_LPM_NAMESIZE];
	int rc;

	snprintf(name, sizeof(name), "net_%" PRIxPTR, (uintptr_t)net);
	net->lpm = rte_lpm_create(name, net->opt.socket_id, &config);
	if (net->lpm == NULL) {
		base_error("net: no memory for a routing table");
		return -ENOMEM;
	}
	if (net->opt.prefix_len == 0)
		return 0;
	rc = rte_lpm_add(net->lpm, rte_be_to_cpu_32(net->opt.ip), net->opt.prefix_len, LPM_ON_LINK);
	if (rc < 0) {
		base_error("net: the on-link prefix does not fit the routing table: %d", rc);
		rte_lpm_free(net->lpm);
		net->lpm = NULL;
	}
	return rc;
}

int net_route_add(struct net *net, rte_be32_t prefix, uint8_t len, rte_be32_t via)
{
	int rc;

	if (len > 32 || !net_on_link(net, via) || via == net->opt.ip) {
		base_error("net: route with a prefix over 32 or a gateway that is not on-link");
		return -EINVAL;
	}
	if (len == 0) {
		net->opt.gateway = via;
		return 0;
	}
	if (net->routes == NET_ROUTES_MAX) {
		base_error("net: more than %d routes", NET_ROUTES_MAX);
		return -ENOSPC;
	}
	if (net->lpm == NULL && (rc = lpm_open(net)) < 0)
		return rc;
	rc = rte_lpm_add(net->lpm, rte_be_to_cpu_32(prefix), len, net->routes + 1);
	if (rc < 0) {
		base_error("net: cannot add route: %d", rc);
		return rc;
	}
	net->via[net->routes++] = via;
	return 0;
}

rte_be32_t net_route_lookup(const struct net *net, rte_be32_t dst)
{
	uint32_t hop;

	if (net->lpm != NULL && rte_lpm_lookup(net->lpm, rte_be_to_cpu_32(dst), &hop) == 0)
		return hop == LPM_ON_LINK ? dst : net->via[hop - 1];
	return net_on_link(net, dst) ? dst : net->opt.gateway;
}
