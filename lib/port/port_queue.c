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
	if (q->has_tx_prepare) {
		uint16_t ready = rte_eth_tx_prepare(q->port_id, q->queue_id, m, n);

		if (base_unlikely(
			    ready == 0 && n > 0)) { // no device would take it: lost, as on the wire
			rte_pktmbuf_free(m[0]);
			return 1;
		}
		n = ready;
	}
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
