// SPDX-License-Identifier: BSD-3-Clause
// The multicast frames that IPv6 needs: neighbours ask for an address by its group (RFC 4291
// 2.7.1).
#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>

#include "base/base.h"
#include "port/port_internal.h"

#define GROUPS_MAX (PORT_ADDRESSES_MAX + 2) // and all nodes, and our link-local address

static void group_add(struct rte_ether_addr *group, unsigned *n, const uint8_t last[3])
{
	const struct rte_ether_addr mac = {{0x33, 0x33, 0xff, last[0], last[1], last[2]}};

	for (unsigned i = 0; i < *n; i++) {
		if (rte_is_same_ether_addr(&group[i], &mac))
			return;
	}
	group[(*n)++] = mac;
}

void port_groups_join(const struct port *port, const struct port_config *cfg)
{
	struct rte_ether_addr group[GROUPS_MAX] = {{{0x33, 0x33, 0, 0, 0, 1}}}; // all nodes
	struct base_ip link_local = base_ip_link_local(port->mac.addr_bytes);
	unsigned n = 1;
	int rc;

	group_add(group, &n, link_local.b + 13);
	for (unsigned i = 0; i < cfg->addresses; i++) {
		if (!base_ip_is4(&cfg->address[i].ip))
			group_add(group, &n, cfg->address[i].ip.b + 13);
	}
	rc = rte_eth_dev_set_mc_addr_list(port->port_id, group, n);
	if (rc)
		rc = rte_eth_allmulticast_enable(port->port_id);
	if (rc && rte_eth_promiscuous_get(port->port_id) != 1)
		rc = rte_eth_promiscuous_enable(port->port_id);
	if (rc && rc != -ENOTSUP) // without filters of any kind it has nothing to turn off
		base_warn("port: %s does not take multicast frames (%s): IPv6 neighbours may not "
			  "find us",
			port->driver, rte_strerror(-rc));
}
