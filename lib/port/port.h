// SPDX-License-Identifier: BSD-3-Clause
// port: NICs. Driver configuration files, the EAL arguments that follow from them, device set-up,
// queues, RSS, offloads and packet pools on the device's NUMA node.
//
// Owner thread: main, at start and stop. Workers only use the queue they were given (port_queue).
//
//	struct port_config cfg;
//	port_config_load(&cfg, "tap", err, sizeof(err));
//	port_eal_args(&cfg, ...); rte_eal_init(...);
//	port_open(&port, &cfg, workers);
//	n = port_rx(&port->queue[i], m, 32);
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#define PORT_WORKERS_MAX 64
#define PORT_VDEVS_MAX   8
#define PORT_ROUTES_MAX  64

enum port_spread { // how flows reach their worker
	PORT_SPREAD_DEVICE,  // the device or the kernel keeps a flow on one queue
	PORT_SPREAD_TOEPLITZ // software: the worker that polls a frame passes it to the flow's worker
};

struct port_route {
	rte_be32_t prefix, via;
	uint8_t len;
};

// One line `name value` each in drivers-config/*.conf; see drivers-config/README.md.
struct port_config {
	char name[32];                      // of the file, without .conf: the ready line's "driver"
	char vdev[PORT_VDEVS_MAX][256];     // `vdev`: EAL --vdev arguments; %q becomes the queue count
	unsigned vdevs;
	char pci[PORT_VDEVS_MAX][32];       // `pci`: EAL --allow arguments
	unsigned pcis;
	char eal[PORT_VDEVS_MAX][128];      // `eal`: more EAL arguments, one a line
	unsigned eals;
	unsigned queues_max;                // `queues`: most rx/tx queue pairs to ask for
	unsigned rx_desc, tx_desc;          // `rx-descriptors`, `tx-descriptors`
	unsigned mtu;                       // `mtu`
	enum port_spread spread;            // `spread device|toeplitz`
	bool rss;                           // `rss on|off`: ask for RSS where the device has it
	char rss_hash[64];                  // `rss-hash ip,tcp,udp`
	bool offload_checksum;              // `offload-checksum on|off` used when the device has it
	bool offload_multi_segs;            // `offload-multi-segs on|off`
	rte_be32_t ip;                      // `address A.B.C.D/LEN`
	uint8_t prefix_len;
	rte_be32_t gateway;                 // `gateway`
	struct port_route route[PORT_ROUTES_MAX]; // `route PREFIX/LEN GATEWAY`
	unsigned routes;
	uint16_t vlan;                      // `vlan`
	unsigned pool_mbufs;                // `mbufs`: a worker, 0 = by queues, descriptors, connections
	char host_iface[16];                // `host-interface`: set up by scripts/run (TAP side)
	char host_address[32];              // `host-address A.B.C.D/LEN`
};

// Reads NAME (looked up in ./drivers-config, the source tree's and the installed directory) or a
// file's path. 0, or -errno with one clear line in err (file, line, value).
int port_config_load(struct port_config *cfg, const char *name_or_file, char *err, size_t err_len);
// One setting, as in a file's line (--address and friends on the command line). 0 or -EINVAL.
int port_config_set(
	struct port_config *cfg, const char *name, const char *value, char *err, size_t err_len);

// Appends the device's EAL arguments to argv (strings live in cfg or are constants; `%q` replaced for
// `queues`). Returns the new argc, or -ENOSPC.
int port_eal_args(struct port_config *cfg, unsigned queues, char **argv, int argc, int argv_max);

struct port_queue { // one worker's view of the port; filled by port_open, read-only afterwards
	uint16_t port_id, queue_id;
	bool has_rx, has_tx; // false: no queue of its own (fewer queues than workers)
	uint16_t (*rx)(void *arg, struct rte_mbuf **m, uint16_t n); // the simulator's seam; NULL: ethdev
	uint16_t (*tx)(void *arg, struct rte_mbuf **m, uint16_t n);
	void *arg;
	struct rte_mempool *pool; // of this worker
};

struct port {
	uint16_t port_id;
	unsigned workers, queues; // queues <= workers
	int numa_node;            // -1: unknown
	struct rte_ether_addr mac;
	uint16_t mtu;
	uint64_t tx_offloads, rx_offloads; // what the device accepted
	bool rss;                          // the device spreads by itself
	enum port_spread spread;           // in force
	bool multi_segs;
	char driver[32];
	struct port_queue queue[PORT_WORKERS_MAX];
};

// Sets up and starts the first port that EAL has. `mbufs` a worker: 0 = the configuration's. 0 or
// -errno with the reason logged once.
int port_open(struct port *port, const struct port_config *cfg, unsigned workers, unsigned conns);
// Stops and closes the device, frees the pools; logs what never came back. 0, or the number of mbufs
// missing.
unsigned port_close(struct port *port);
bool port_link_up(const struct port *port);
// Which worker owns a TCP or UDP flow under PORT_SPREAD_TOEPLITZ (RSS hash by rte_thash with the
// symmetric-free Microsoft key). Fragments and non-IP frames: worker 0.
unsigned port_flow_worker(const struct port *port, const struct rte_mbuf *m);

// At most n packets; 0 when there is none.
uint16_t port_rx(const struct port_queue *q, struct rte_mbuf **m, uint16_t n);
// Returns how many were taken.
uint16_t port_tx(const struct port_queue *q, struct rte_mbuf **m, uint16_t n);
