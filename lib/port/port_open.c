// SPDX-License-Identifier: BSD-3-Clause
// The device itself: configured, started, stopped, with a pool a worker.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include "base/base.h"
#include "port/port_internal.h"

#define LINK_WAIT_MS 2000
#define RSS_KEY_LEN  40

// The same key as port_flow.c's, in the order of bytes that devices take.
static const uint8_t rss_key[RSS_KEY_LEN] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41,
	0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
	0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01,
	0xfa};

int port_rss_parse(const char *text, uint64_t *hf)
{
	static const struct {
		const char *name;
		uint64_t hf;
	} kinds[] = {{"ip",
			     RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 |
				     RTE_ETH_RSS_NONFRAG_IPV4_OTHER | RTE_ETH_RSS_IPV6 |
				     RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER},
		{"tcp", RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP},
		{"udp", RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP}};
	size_t len;

	*hf = 0;
	for (const char *p = text; *p; p += len + (p[len] == ',')) {
		uint64_t before = *hf;

		len = strcspn(p, ",");
		for (unsigned i = 0; i < BASE_ARRAY_LEN(kinds); i++)
			if (len == strlen(kinds[i].name) && !strncmp(p, kinds[i].name, len))
				*hf |= kinds[i].hf;
		if (*hf == before)
			return -EINVAL;
	}
	return *hf ? 0 : -EINVAL;
}

static void conf_fill(struct port *port, const struct port_config *cfg,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint64_t hf = 0;

	memset(conf, 0, sizeof(*conf));
	conf->rxmode.mtu = cfg->mtu;
	// virtio-user notices a peer that goes or comes again in its link interrupt; and without
	// it, its own handlers stay registered on file descriptors that closing the device closes
	if (!strcmp(port->driver, "net_virtio_user"))
		conf->intr_conf.lsc = !!(*info->dev_flags & RTE_ETH_DEV_INTR_LSC);
	port_offloads_ask(cfg, info, conf);
	if (cfg->rss && port->queues > 1 && !port_rss_parse(cfg->rss_hash, &hf))
		hf &= info->flow_type_rss_offloads;
	if (!hf)
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = hf;
	if (info->hash_key_size == RSS_KEY_LEN) {
		conf->rx_adv_conf.rss_conf.rss_key = (uint8_t *)(uintptr_t)rss_key; // only read
		conf->rx_adv_conf.rss_conf.rss_key_len = RSS_KEY_LEN;
	}
	port->rss = true;
}

static unsigned queues_pick(
	const struct port_config *cfg, const struct rte_eth_dev_info *info, unsigned workers)
{
	unsigned n = workers < cfg->queues_max ? workers : cfg->queues_max;

	n = n < info->max_rx_queues ? n : info->max_rx_queues;
	return n < info->max_tx_queues ? n : info->max_tx_queues;
}

static int device_find(struct port *port, struct rte_eth_dev_info *info)
{
	uint16_t id = (uint16_t)rte_eth_find_next(0);
	int rc;

	if (id >= RTE_MAX_ETHPORTS) {
		base_error("port: no device came up (the drivers' own messages say why)");
		return -ENODEV;
	}
	if (rte_eth_dev_count_avail() > 1)
		base_warn("port: %u devices came up; the first one is used",
			(unsigned)rte_eth_dev_count_avail());
	rc = rte_eth_dev_info_get(id, info);
	if (rc) {
		base_error("port %u: device cannot be asked: %s", id, rte_strerror(-rc));
		return rc;
	}
	port->port_id = id;
	port->numa_node = rte_eth_dev_socket_id(id);
	snprintf(port->driver, sizeof(port->driver), "%s", info->driver_name);
	return 0;
}

// Ethdev holds a device to its longest frame as well; the difference between the two limits is what
// it takes for the link header then, as long as the device states both (TAP states 1522 bytes, and
// 65535).
static uint32_t mtu_max(const struct rte_eth_dev_info *info)
{
	uint32_t header = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	if (info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu)
		header = info->max_rx_pktlen - info->max_mtu;
	return RTE_MIN((uint32_t)info->max_mtu, info->max_rx_pktlen - header);
}

static int device_configure(
	struct port *port, const struct port_config *cfg, const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf;
	int rc;

	if (cfg->mtu < info->min_mtu || cfg->mtu > mtu_max(info)) {
		base_error("port: mtu %u: %s takes %u to %u", cfg->mtu, port->driver, info->min_mtu,
			mtu_max(info));
		return -EINVAL;
	}
	conf_fill(port, cfg, info, &conf);
	rc = rte_eth_dev_configure(
		port->port_id, (uint16_t)port->queues, (uint16_t)port->queues, &conf);
	if (rc) {
		base_error("port: %s refuses %u queues: %s", port->driver, port->queues,
			rte_strerror(-rc));
		return rc;
	}
	rc = rte_eth_dev_set_mtu(port->port_id, (uint16_t)cfg->mtu);
	if (rc && rc != -ENOTSUP)
		base_warn("port: %s does not set the mtu %u: %s", port->driver, cfg->mtu,
			rte_strerror(-rc));
	port->mtu = (uint16_t)cfg->mtu;
	port_offloads_take(port, info, &conf);
	return rte_eth_macaddr_get(port->port_id, &port->mac);
}

// Node of worker i's lcore (lcores are numbered with main first), SOCKET_ID_ANY where there is
// none.
static int worker_node(unsigned worker)
{
	unsigned lcore, i = 0;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (i++ == worker)
			return (int)rte_lcore_to_socket_id(lcore);
	}
	return SOCKET_ID_ANY;
}

static int pools_create(struct port *port, const struct port_config *cfg, unsigned conns)
{
	unsigned n = port_pool_size(cfg, port->workers, conns);
	bool far = false;

	for (unsigned i = 0; i < port->workers; i++) {
		int own = worker_node(i), node = port->numa_node >= 0 ? port->numa_node : own;
		char name[RTE_MEMPOOL_NAMESIZE];

		snprintf(name, sizeof(name), "port_worker%u", i);
		port->queue[i].pool = port_pool_create(name, n, port_mbuf_room(cfg), node);
		if (!port->queue[i].pool) {
			base_error("port: no memory for %u packet buffers of worker %u (%" PRIu64
				   " MB): %s; fewer workers or connections, or mbufs N",
				n, i, port_pool_bytes(cfg, n) >> 20, rte_strerror(rte_errno));
			return -ENOMEM;
		}
		far |= own >= 0 && port->numa_node >= 0 && own != port->numa_node;
	}
	base_info("port: %u packet buffers a worker, %" PRIu64 " MB in all", n,
		port_pool_bytes(cfg, n) * port->workers >> 20);
	if (far)
		base_warn("port: workers on another NUMA node than the device (node %d): slower",
			port->numa_node);
	return 0;
}

static int queues_setup(struct port *port, const struct port_config *cfg)
{
	uint16_t rx = (uint16_t)cfg->rx_desc, tx = (uint16_t)cfg->tx_desc, id = port->port_id;
	unsigned socket =
		port->numa_node >= 0 ? (unsigned)port->numa_node : (unsigned)SOCKET_ID_ANY;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx);

	if (!rc && (rx != cfg->rx_desc || tx != cfg->tx_desc))
		base_warn("port: %s takes %u receive and %u transmit descriptors", port->driver, rx,
			tx);
	for (uint16_t q = 0; !rc && q < port->queues; q++) {
		rc = rte_eth_rx_queue_setup(id, q, rx, socket, NULL, port->queue[q].pool);
		if (!rc)
			rc = rte_eth_tx_queue_setup(id, q, tx, socket, NULL);
	}
	if (rc)
		base_error("port: queues of %s: %s", port->driver, rte_strerror(-rc));
	return rc;
}

static bool driver_copies(const char *driver)
{
	static const char *const copying[] = {"net_tap", "net_af_packet", "net_memif", "net_vhost"};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(copying); i++)
		if (!strcmp(driver, copying[i]))
			return true;
	return false;
}

static bool vdev_zero_copy(const struct port_config *cfg)
{
	char value[8];

	for (unsigned i = 0; i < cfg->vdevs; i++)
		if (port_vdev_value(cfg->vdev[i], "zero-copy", value, sizeof(value)) &&
			!strcmp(value, "yes"))
			return true;
	return false;
}

static void views_fill(struct port *port, const struct port_config *cfg)
{
	bool memif_zero_copy = !strcmp(port->driver, "net_memif") && vdev_zero_copy(cfg);

	// memif's zero copy finds a packet by its mbuf's place in the pool: no external buffers
	// then
	port->multi_segs = (port->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) && !memif_zero_copy;
	port->tx_any_memory = driver_copies(port->driver) && !memif_zero_copy;
	port->spread = port->queues < port->workers ? PORT_SPREAD_TOEPLITZ : cfg->spread;
	for (unsigned i = 0; i < port->workers; i++) {
		struct port_queue *q = &port->queue[i];

		q->port_id = port->port_id;
		q->queue_id = (uint16_t)i;
		q->has_rx = q->has_tx = i < port->queues;
		q->has_tx_prepare = q->has_tx && port->tso_mbufs > 0;
		q->has_tx_reclaim =
			q->has_tx && rte_eth_tx_done_cleanup(q->port_id, q->queue_id, 0) >= 0;
	}
}

bool port_link_up(const struct port *port)
{
	struct rte_eth_link link = {0};

	return !rte_eth_link_get_nowait(port->port_id, &link) && link.link_status;
}

static void link_wait(const struct port *port)
{
	for (unsigned ms = 0; ms < LINK_WAIT_MS; ms += 10) {
		if (port_link_up(port))
			return;
		rte_delay_us_sleep(10000);
	}
	base_warn("port: no link on %s after %d s; going on without", port->driver,
		LINK_WAIT_MS / 1000);
}

// What a driver holds for good, a queue: af_xdp's never gives back what it has put into the
// kernel's fill ring, which has twice the descriptors.
static unsigned driver_keeps(const struct port *port, unsigned rx_desc)
{
	return strcmp(port->driver, "net_af_xdp") ? 0 : 2 * rx_desc;
}

// Frees the pools that have all their mbufs; returns how many mbufs the others lack. Those pools
// stay: whoever holds the mbufs may still look at them.
static unsigned pools_free(struct port *port)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < port->workers; i++) {
		struct rte_mempool *pool = port->queue[i].pool;
		unsigned out = pool ? rte_mempool_in_use_count(pool) : 0;

		if (out && out <= port->driver_keeps) {
			base_info("port: %u packet buffers of worker %u stay with %s", out, i,
				port->driver);
			continue;
		}
		missing += out;
		if (out)
			base_warn("port: %u packet buffers of worker %u never came back", out, i);
		else
			rte_mempool_free(pool);
		port->queue[i].pool = NULL;
	}
	return missing;
}

static int device_start(struct port *port, const struct port_config *cfg,
	const struct rte_eth_dev_info *info, unsigned conns)
{
	int rc = device_configure(port, cfg, info);

	if (rc)
		return rc;
	rc = pools_create(port, cfg, conns);
	if (rc)
		goto err_close;
	rc = queues_setup(port, cfg);
	if (rc)
		goto err_close;
	rc = rte_eth_dev_start(port->port_id);
	if (rc) {
		base_error("port: %s does not start: %s", port->driver, rte_strerror(-rc));
		goto err_close;
	}
	return 0;

err_close:
	rte_eth_dev_close(port->port_id); // gives the queues' mbufs back
	pools_free(port);
	return rc;
}

int port_open(struct port *port, const struct port_config *cfg, unsigned workers, unsigned conns)
{
	struct rte_eth_dev_info info;
	struct port_signals signals;
	int rc;

	base_assert(workers > 0 && workers <= PORT_WORKERS_MAX);
	memset(port, 0, sizeof(*port));
	port->workers = workers;
	rc = device_find(port, &info);
	if (rc)
		return rc;
	port->queues = queues_pick(cfg, &info, workers);
	base_assert(port->queues > 0);
	port_signals_hold(&signals);
	rc = device_start(port, cfg, &info, conns);
	port_signals_release(&signals);
	if (rc)
		return rc;
	if (port_config_has_ip6(cfg))
		port_groups_join(port, cfg);
	views_fill(port, cfg);
	port->driver_keeps = driver_keeps(port, cfg->rx_desc);
	link_wait(port);
	base_info("port: %s, workers %u, queues %u, flows spread by %s, offloads: %s", port->driver,
		workers, port->queues,
		port->spread == PORT_SPREAD_TOEPLITZ ? "software" : "the device", port->offloads);
	return 0;
}

unsigned port_close(struct port *port)
{
	int rc;

	port_udp_unsteer(port);
	rc = rte_eth_dev_stop(port->port_id);

	if (rc)
		base_warn("port: %s does not stop: %s", port->driver, rte_strerror(-rc));
	rc = rte_eth_dev_close(port->port_id);
	if (rc)
		base_warn("port: %s does not close: %s", port->driver, rte_strerror(-rc));
	return pools_free(port);
}
