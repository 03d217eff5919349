// SPDX-License-Identifier: BSD-3-Clause
// The workers' side: bursts in and out of their own queue.
#include <rte_ethdev.h>

#include "base/base.h"
#include "port/port_internal.h"

uint16_t port_rx(const struct port_queue *q, struct rte_mbuf **m, uint16_t n)
{
	if (base_unlikely(!q->has_rx))
		return 0;
	if (base_unlikely(q->rx != NULL))
		return q->rx(q->arg, m, n);
	return rte_eth_rx_burst(q->port_id, q->queue_id, m, n);
}

uint16_t port_tx(const struct port_queue *q, struct rte_mbuf **m, uint16_t n)
{
	if (base_unlikely(!q->has_tx))
		return 0;
	if (base_unlikely(q->tx != NULL))
		return q->tx(q->arg, m, n);
	return rte_eth_tx_burst(q->port_id, q->queue_id, m, n);
}

void port_tx_reclaim(const struct port_queue *q)
{
	if (!q->has_tx_reclaim)
		return;
	if (base_unlikely(q->tx_reclaim != NULL))
		q->tx_reclaim(q->arg);
	else
		rte_eth_tx_done_cleanup(q->port_id, q->queue_id, 0);
}
