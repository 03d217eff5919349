// SPDX-License-Identifier: BSD-3-Clause
// Shared between the files of lib/port alone.
#pragma once

#include <rte_ethdev.h>

#include "port/port.h"

#define PORT_SETTINGS_MAX 32
#define PORT_CACHE_MBUFS  256 // of a worker's pool, in front of the shared ring

// Defaults, before the first line is read.
void port_config_init(struct port_config *cfg);
// Index of a setting (below PORT_SETTINGS_MAX) or -ENOENT; *list: it may stand several times.
int port_setting_find(const char *name, bool *list);
// `ip,tcp,udp` to RTE_ETH_RSS_* bits. 0 or -EINVAL.
int port_rss_parse(const char *text, uint64_t *hf);

// The value of `key` in a device argument string (name,key=value,...), bounded; false: not there.
bool port_vdev_value(const char *vdev, const char *key, char *buf, size_t len);
// True when vdev's driver is `driver` (net_tap0 is of net_tap).
bool port_vdev_is(const char *vdev, const char *driver);
// Looks at every device before EAL does: there, allowed, not another process'; claims those that
// nothing else guards; removes stale sockets. 0 or -errno, logged.
int port_devices_check(struct port_eal *eal, const struct port_config *cfg);

// Bytes of packet data (headroom included) in an mbuf for this MTU.
uint16_t port_mbuf_room(const struct port_config *cfg);
// mbufs of one worker's pool, and the bytes that they take.
unsigned port_pool_size(const struct port_config *cfg, unsigned workers, unsigned conns);
uint64_t port_pool_bytes(const struct port_config *cfg, unsigned mbufs);
// NULL with rte_errno set.
struct rte_mempool *port_pool_create(const char *name, unsigned mbufs, uint16_t room, int node);

#define PORT_SIGNALS_MAX 65

struct port_signals { // the real-time signals that a driver is kept from
	bool held[PORT_SIGNALS_MAX], ignored[PORT_SIGNALS_MAX];
};

// Around the start of EAL and of the device: takes every real-time signal that is free, and gives
// them back.
void port_signals_hold(struct port_signals *held);
void port_signals_release(const struct port_signals *held);

// The node of the first PCI device as sysfs knows it, -1: none or unknown.
int port_numa_guess(const struct port_config *cfg);

// ---- port_offload.c
void port_offloads_ask(const struct port_config *cfg, const struct rte_eth_dev_info *info,
	struct rte_eth_conf *conf);
// What was accepted, and its names.
void port_offloads_take(
	struct port *port, const struct rte_eth_dev_info *info, const struct rte_eth_conf *conf);

// ---- port_steer.c
// Takes back what port_udp_steer has asked for.
void port_udp_unsteer(struct port *port);

// ---- port_groups.c
// Has the device take the multicast frames of neighbour discovery, or else all, or says that it
// does not. The device is started.
void port_groups_join(const struct port *port, const struct port_config *cfg);
