// SPDX-License-Identifier: BSD-3-Clause
// port: NICs. Driver configuration files, the EAL arguments that follow from them, device set-up,
// queues, RSS, offloads and packet pools on the device's NUMA node.
//
// Owner thread: main, at start and stop. Workers only use the queue they were given (port_queue).
//
//	struct port_config cfg;
//	struct port_eal eal;
//	struct port port;
//	port_config_load(&cfg, "tap", err, sizeof(err));
//	port_config_set(&cfg, "mtu", "1400", err, sizeof(err)); // the command line's overrides
//	port_eal_build(&eal, &cfg, &eal_options);               // no device touched yet
//	port_eal_init(&eal);                                    // rte_eal_init, logs to stderr
//	port_open(&port, &cfg, workers, conns);
//	n = port_rx(&port.queue[i], m, 32);                     // the workers
//	missing = port_close(&port);                            // after the workers have stopped
//	port_eal_cleanup(&eal);
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "base/base.h"

#define PORT_WORKERS_MAX   64
#define PORT_VDEVS_MAX     8
#define PORT_ROUTES_MAX    64
#define PORT_ADDRESSES_MAX 32
#define PORT_EAL_ARGS_MAX  64

enum port_spread { // how flows reach their worker
	// the device or the kernel keeps a flow on one queue
	PORT_SPREAD_DEVICE,
	// software: the worker that polls a frame passes it to the flow's worker
	PORT_SPREAD_TOEPLITZ
};

enum port_memory {       // where DPDK's memory comes from
	PORT_MEMORY_ANY, // hugepages where enough are free, else ordinary pages (--no-huge)
	PORT_MEMORY_HUGE // hugepages or a clear error
};

enum port_family { PORT_IP4, PORT_IP6, PORT_FAMILIES };

struct port_address {
	struct base_ip ip;
	uint8_t prefix_len;
};

struct port_route {
	struct base_ip prefix, via;
	uint8_t len;
};

// One line `name value` each in drivers-config/*.conf; see drivers-config/README.md.
struct port_config {
	char name[32];                  // of the file, without .conf: the ready line's "driver"
	char vdev[PORT_VDEVS_MAX][256]; // `vdev`: EAL --vdev arguments; %q is the queue count, %h
					// the host-interface
	unsigned vdevs;
	char pci[PORT_VDEVS_MAX][32]; // `pci`: EAL --allow arguments
	unsigned pcis;
	char eal[PORT_VDEVS_MAX][128]; // `eal`: more EAL arguments, one a line
	unsigned eals;
	enum port_memory memory;   // `memory any|hugepages`
	unsigned queues_max;       // `queues`: most rx/tx queue pairs to ask for
	unsigned rx_desc, tx_desc; // `rx-descriptors`, `tx-descriptors`
	unsigned mtu;              // `mtu`
	enum port_spread spread;   // `spread device|toeplitz`
	bool rss;                  // `rss on|off`: ask for RSS where the device has it
	char rss_hash[64];         // `rss-hash ip,tcp,udp`
	bool offload_checksum;     // `offload-checksum on|off`: when the device has it
	bool offload_multi_segs;   // `offload-multi-segs on|off`
	bool offload_tso;          // `offload-tso on|off`: needs the two above
	bool offload_lro;          // `offload-lro on|off`: needs offload-checksum
	struct port_address address[PORT_ADDRESSES_MAX]; // `address ADDR/LEN`, of either family
	unsigned addresses;
	struct base_ip gateway[PORT_FAMILIES];    // `gateway ADDR`, one a family; zero: none
	struct port_route route[PORT_ROUTES_MAX]; // `route PREFIX/LEN GATEWAY`
	unsigned routes;
	uint16_t vlan;         // `vlan`, 0: untagged
	unsigned pool_mbufs;   // `mbufs`: a worker, 0 = by queues, descriptors, connections
	char host_iface[16];   // `host-interface`: set up by scripts/run (TAP side)
	char host_address[64]; // `host-address ADDR/LEN`, the last one
};

// Reads NAME (looked up in ./drivers-config, the source tree's, the installed directory, and
// ../share/lcached/drivers-config from the program's own) or a
// file's path (anything with a '/' or ending in .conf). 0, or -errno with one clear line in err
// (file:line: name value: what is wrong, what is allowed).
int port_config_load(struct port_config *cfg, const char *name_or_file, char *err, size_t err_len);
// One setting, as in a file's line (--address and friends on the command line). Settings that may
// stand several times (vdev, pci, eal, address, route) are added to. 0 or -EINVAL, cfg unchanged.
int port_config_set(
	struct port_config *cfg, const char *name, const char *value, char *err, size_t err_len);
// Forgets the addresses, those of the command line are meant instead; and the gateways, too.
void port_config_addresses_clear(struct port_config *cfg, bool gateways);
// What must hold between settings (a device and an address named, gateways on the link, ...). Done
// by port_config_load; again after the last port_config_set. 0 or -EINVAL.
int port_config_check(const struct port_config *cfg, char *err, size_t err_len);
bool port_config_has_ip6(const struct port_config *cfg); // an IPv6 address
// True when `name` is a setting: for command lines that share their name space with others.
bool port_config_has(const char *name);

// ---- EAL ---------------------------------------------------------------------------------------
struct port_eal_options {
	const char *program;     // argv[0]; NULL: "lcached"
	unsigned workers, conns; // as port_open gets them
	const char *file_prefix; // NULL: EAL's own, "rte", where dpdk-telemetry.py looks
	uint64_t memory_bytes;   // DPDK memory beyond the packet pools: rings, values in memzones
	bool verbose;            // EAL's and the drivers' notices too
	int extra_argc;          // the operator's own EAL arguments: they replace ours
	char *const *extra_argv;
};

// EAL's command line and what must stay claimed while the devices are used. Owned by the caller;
// must outlive EAL.
struct port_eal {
	char *argv[PORT_EAL_ARGS_MAX + 1]; // NULL-terminated
	int argc;
	bool hugepages;
	uint64_t memory_bytes;        // that DPDK will hold, about
	int claim_fd[PORT_VDEVS_MAX]; // one a device that nothing else guards; -1: none
	size_t text_used;
	char text[8192];
};

// Checks the devices (there, not in use), removes stale sockets, decides on hugepages (one line in
// the log), places lcores, and writes the whole command line: base arguments, device arguments, the
// operator's. 0 or -errno with the reason logged.
int port_eal_build(
	struct port_eal *eal, struct port_config *cfg, const struct port_eal_options *opt);
// The first of port_eal_build's parts: program name, lcores, memory, logging; no devices.
int port_eal_base_args(
	struct port_eal *eal, const struct port_config *cfg, const struct port_eal_options *opt);
// Appends the device's EAL arguments to argv (strings live in cfg or are constants; `%q` and `%h`
// are replaced in cfg). Returns the new argc, or -ENOSPC.
int port_eal_args(struct port_config *cfg, unsigned queues, char **argv, int argc, int argv_max);
// rte_eal_init with its log on stderr (its default is stdout). Blocks while a virtio-user device
// with server=1 waits for its peer, and accept is restarted after a signal: a handler that must end
// the process then has to do so itself. Ignores SIGPIPE from here on (virtio-user writes to a peer
// that may be gone). 0 or -errno, logged.
int port_eal_init(struct port_eal *eal);
// rte_eal_cleanup, and gives the claims back.
void port_eal_cleanup(struct port_eal *eal);
// Releases the claims alone (after port_eal_build, when EAL was never started).
void port_eal_release(struct port_eal *eal);
// Worker i's and the main lcore's placement as port_eal_base_args makes it: lcore 0 is main, lcore
// i + 1 is worker i. cpus: what the process may use, ascending; node_cpus: how many of them, after
// port_eal_base_args' reordering, are on the device's node. Writes EAL's --lcores argument. 0 or
// -ENOSPC.
int port_lcores_format(char *buf, size_t len, const unsigned *cpus, const int *nodes,
	unsigned count, int node, unsigned workers);

// ---- the device --------------------------------------------------------------------------------
struct port_queue { // one worker's view of the port; filled by port_open, read-only afterwards
	uint16_t port_id, queue_id;
	bool has_rx, has_tx; // false: no queue of its own (fewer queues than workers)
	bool has_tx_reclaim; // port_tx_reclaim does something
	bool has_tx_prepare; // the driver wants to look at frames before they are sent
	uint16_t (*rx)(
		void *arg, struct rte_mbuf **m, uint16_t n); // the simulator's seam; NULL: ethdev
	uint16_t (*tx)(void *arg, struct rte_mbuf **m, uint16_t n);
	void (*tx_reclaim)(void *arg);
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
	uint16_t tso_mbufs;                // most mbufs of a frame that it cuts; 0: it cuts none
	char offloads[64];                 // their names, for people
	bool rss;                          // the device spreads by itself
	enum port_spread spread;           // in force
	bool multi_segs;    // chains may be sent; false: one mbuf a frame, never an external buffer
	bool tx_any_memory; // frames are copied out: external buffers may lie anywhere. false: only
			    // in DPDK's memory
	unsigned driver_keeps; // mbufs a worker that the driver does not give back when closed
	char driver[32];
	struct rte_flow *udp_rule[PORT_FAMILIES][PORT_WORKERS_MAX]; // port_udp_steer
	struct port_queue queue[PORT_WORKERS_MAX];
};

// Sets up and starts the first port that EAL has. 0 or -errno with the reason logged once.
int port_open(struct port *port, const struct port_config *cfg, unsigned workers, unsigned conns);
// Stops and closes the device and frees the pools that are full again; logs what never came back.
// Returns the number of mbufs missing. The workers must have stopped and freed what they hold.
unsigned port_close(struct port *port);
bool port_link_up(const struct port *port);

enum port_link { PORT_LINK_UNKNOWN, PORT_LINK_DOWN, PORT_LINK_UP };

struct port_health {
	enum port_link link;
	bool virtual_device;
	bool counted; // the device counts what follows, since its start
	uint64_t rx_missed, rx_errors, rx_no_buffer, tx_errors;
};

// Asks the device, which may take its time: not for workers.
void port_health_read(const struct port *port, struct port_health *out);
// How much of a worker's packet buffers is in use, in percent.
unsigned port_pool_percent(const struct port *port, unsigned worker);
// Asks the device to put datagrams to UDP port `first` + i into queue i, until port_close, and logs
// once whether it does. False: it does not, and they come as all else does. Before the workers
// start.
bool port_udp_steer(struct port *port, const struct port_config *cfg, uint16_t first);
// Which worker owns a frame under PORT_SPREAD_TOEPLITZ: RSS hash with the Microsoft key over the
// addresses and ports of either family, modulo workers. Fragments: by the addresses alone (their
// reassembled datagram is asked about again); ICMP errors: the flow that they quote; anything else:
// worker 0.
unsigned port_flow_worker(const struct port *port, const struct rte_mbuf *m);
// The hash itself (ports in host byte order), for those who choose ports to reach a worker.
// with_ports false: addresses alone.
uint32_t port_flow_hash(const struct base_ip *src, const struct base_ip *dst, uint16_t src_port,
	uint16_t dst_port, bool with_ports);

// At most n packets; 0 when there is none.
uint16_t port_rx(const struct port_queue *q, struct rte_mbuf **m, uint16_t n);
// Returns how many were taken; the rest stays the caller's.
uint16_t port_tx(const struct port_queue *q, struct rte_mbuf **m, uint16_t n);
// Takes back mbufs whose transmission is complete (external buffers' references with them), where
// the driver offers it; for idle turns.
void port_tx_reclaim(const struct port_queue *q);
