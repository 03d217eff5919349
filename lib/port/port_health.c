// SPDX-License-Identifier: BSD-3-Clause
// How the device is: asked by the control core now and then.

#include <string.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include "port/port.h"

static bool device_virtual(const struct port *port)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(port->port_id, &info) || info.device == NULL ||
		strcmp(rte_bus_name(rte_dev_bus(info.device)), "vdev") == 0;
}

// virtio-user takes the question for the moment to accept its peer anew, in this thread, while a
// worker polls its queues.
static enum port_link link_read(const struct port *port)
{
	struct rte_eth_link link = {0};

	if (strcmp(port->driver, "net_virtio_user") == 0 ||
		rte_eth_link_get_nowait(port->port_id, &link))
		return PORT_LINK_UNKNOWN;
	return link.link_status ? PORT_LINK_UP : PORT_LINK_DOWN;
}

void port_health_read(const struct port *port, struct port_health *out)
{
	struct rte_eth_stats s = {0};

	*out = (struct port_health){
		.link = link_read(port), .virtual_device = device_virtual(port)};
	out->counted = rte_eth_stats_get(port->port_id, &s) == 0;
	out->rx_missed = s.imissed;
	out->rx_errors = s.ierrors;
	out->rx_no_buffer = s.rx_nombuf;
	out->tx_errors = s.oerrors;
}

unsigned port_pool_percent(const struct port *port, unsigned worker)
{
	const struct rte_mempool *pool = port->queue[worker].pool;

	base_assert(worker < port->workers && pool->size > 0);
	return (unsigned)((uint64_t)rte_mempool_in_use_count(pool) * 100 / pool->size);
}
