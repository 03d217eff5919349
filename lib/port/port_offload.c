// SPDX-License-Identifier: BSD-3-Clause
// What the device is asked to do for us: the part of our wishes that it offers.
#include <string.h>

#include <rte_ethdev.h>

#include "base/base.h"
#include "port/port_internal.h"

#define RX_CHECKSUMS \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | \
		RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define TX_CHECKSUMS \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | \
		RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define TSO_NEEDS (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define TSO_MBUFS 64 // a frame of 64 KiB in segments of 1,000 bytes or more

// What it cuts it must be given in one chain, and sum up.
static void tso_ask(const struct port_config *cfg, const struct rte_eth_dev_info *info,
	struct rte_eth_txmode *tx)
{
	if (cfg->offload_tso && (tx->offloads & TSO_NEEDS) == TSO_NEEDS)
		tx->offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_TCP_TSO;
}

// Segments that the device has put together come as chains, their sums checked.
static void lro_ask(const struct port_config *cfg, const struct rte_eth_dev_info *info,
	struct rte_eth_rxmode *rx)
{
	if (!cfg->offload_lro || !(info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO) ||
		!(rx->offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM))
		return;
	rx->offloads |= RTE_ETH_RX_OFFLOAD_TCP_LRO;
	rx->offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	rx->max_lro_pkt_size = info->max_lro_pkt_size;
}

// net_tap of DPDK 22.11 sums a frame piece by piece, without a thought for those that start at an
// odd byte (RFC 1071 section 2.B): what it sends is dropped by whoever checks, each time that it is
// sent.
static bool sums_trusted(const struct port_config *cfg, const struct rte_eth_dev_info *info)
{
	if (!cfg->offload_checksum)
		return false;
	if (!strcmp(info->driver_name, "net_tap")) {
		base_warn("port: net_tap miscounts checksums: they, and what rests on them, stay "
			  "ours");
		return false;
	}
	return true;
}

// MBUF_FAST_FREE never: it forbids external buffers and mbufs of several pools.
void port_offloads_ask(const struct port_config *cfg, const struct rte_eth_dev_info *info,
	struct rte_eth_conf *conf)
{
	if (sums_trusted(cfg, info)) {
		conf->rxmode.offloads |= info->rx_offload_capa & RX_CHECKSUMS;
		conf->txmode.offloads |= info->tx_offload_capa & TX_CHECKSUMS;
	}
	if (cfg->offload_multi_segs)
		conf->txmode.offloads |= info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	tso_ask(cfg, info, &conf->txmode);
	lro_ask(cfg, info, &conf->rxmode);
}

void port_offloads_take(
	struct port *port, const struct rte_eth_dev_info *info, const struct rte_eth_conf *conf)
{
	const struct {
		bool on;
		const char *name;
	} kind[] = {
		{conf->txmode.offloads & TX_CHECKSUMS, " checksum"},
		{conf->rxmode.offloads & RX_CHECKSUMS, " rx-checksum"},
		{conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS, " multi-segs"},
		{conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO, " tso"},
		{conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO, " lro"},
	};
	uint16_t most = info->tx_desc_lim.nb_seg_max;
	char text[sizeof(port->offloads) + 1] = "";

	port->rx_offloads = conf->rxmode.offloads;
	port->tx_offloads = conf->txmode.offloads;
	if (port->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO)
		port->tso_mbufs = most && most < TSO_MBUFS ? most : TSO_MBUFS;
	for (unsigned i = 0; i < BASE_ARRAY_LEN(kind); i++)
		if (kind[i].on)
			strcat(text, kind[i].name);
	strcpy(port->offloads, text[0] ? text + 1 : "none");
}
