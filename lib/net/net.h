// SPDX-License-Identifier: BSD-3-Clause
// net: Ethernet, VLAN, ARP, IPv4 with reassembly, ICMP and UDP for one worker, over rte_mbuf.
// Packets and the time come in, packets go out into a batch; no device, no clock.
//
// Owner thread: the worker. One struct net a worker; ARP results are told to the other workers by
// the worker module (NET_NEIGH).
//
//	switch (net_input(net, m, now, &pkt)) {
//	case NET_UDP: ... reply with net_udp_output(net, reply, &pkt) ...
//	case NET_TCP: tcp_input(tcp, m, &pkt); break;
//	case NET_NEIGH: tell the others pkt.neigh; break;
//	case NET_DONE: break;
//	}
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "base/base.h"
#include "mem/mem.h"

struct net;

// Where finished frames go. `flush` must take them all (it frees what it cannot send, and counts).
#define NET_TX_BATCH 64
struct net_tx {
	struct rte_mbuf *m[NET_TX_BATCH];
	uint16_t count;
	void (*flush)(void *arg, struct rte_mbuf **m, uint16_t count);
	void *arg;
};

struct net_options {
	struct mem_domain *mem;        // borrowed
	struct rte_mempool *pool;      // mbufs for replies; borrowed
	struct net_tx *tx;             // borrowed
	struct rte_ether_addr mac;
	rte_be32_t ip;                 // own address
	uint8_t prefix_len;            // of the on-link prefix, 0..32
	rte_be32_t gateway;            // 0: none
	uint16_t vlan;                 // 0: untagged
	uint16_t mtu;                  // IP bytes, 576..9216
	uint64_t tx_offloads;          // RTE_ETH_TX_OFFLOAD_{IPV4,UDP,TCP}_CKSUM, MULTI_SEGS that hold
	uint64_t rx_offloads;          // RTE_ETH_RX_OFFLOAD_*_CKSUM that hold
	int socket_id;
	uint64_t seed;
};

// Static routes beyond the default gateway: prefix/len via gateway (rte_lpm behind). 0 or -errno.
int net_route_add(struct net *net, rte_be32_t prefix, uint8_t len, rte_be32_t via);

struct net_counters { // writer: the worker
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t arp_rx, arp_tx, icmp_rx, icmp_tx, icmp_limited, fragments, reassembled;
	// drops, by reason
	uint64_t bad_ether, bad_vlan, bad_arp, bad_ip_header, bad_ip_checksum, bad_ip_length;
	uint64_t not_ours, unknown_proto, bad_udp, bad_udp_checksum, bad_icmp, frag_dropped;
	uint64_t neigh_dropped, neigh_full, no_mbuf, no_route;
};

// One received UDP datagram or TCP segment. Host byte order but for addresses.
struct net_packet {
	rte_be32_t src_ip, dst_ip;
	uint16_t src_port, dst_port; // UDP only
	uint16_t l4_off;             // offset of the UDP or TCP header in the mbuf
	uint16_t l4_len;             // bytes from there on (padding removed)
	uint16_t data_off, data_len; // UDP only: the payload
	uint8_t ecn;                 // of the IP header
	struct rte_ether_addr src_mac;
	bool l4_checked;             // checksum known to be good
	// NET_NEIGH
	rte_be32_t neigh_ip;
	struct rte_ether_addr neigh_mac;
};

enum net_verdict {
	NET_DONE,  // taken: answered, queued or dropped and counted; m is gone
	NET_UDP,   // m is the caller's; headers are contiguous, the checksum is good
	NET_TCP,   // m is the caller's; IP is good; the TCP checksum is the tcp module's to look at
	NET_NEIGH, // m is gone; a neighbour was learned: pass it on to the other workers
};

int net_open(struct net **net, const struct net_options *opt); // 0 or -errno
void net_close(struct net *net);

enum net_verdict net_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, struct net_packet *pkt);
// Announces our address (gratuitous ARP, RFC 5227 section 3). At start.
void net_announce(struct net *net, uint64_t now_us);
// A neighbour that another worker has learned.
void net_neigh_learn(
	struct net *net, rte_be32_t ip, const struct rte_ether_addr *mac, uint64_t now_us);
// Ages neighbours, sends ARP retries, drops stale fragments. Returns the next deadline in us.
uint64_t net_timers(struct net *net, uint64_t now_us);

// A way to a peer, kept by a connection: the finished Ethernet header, renewed when neighbours
// change. Zero it before the first use.
struct net_path {
	rte_be32_t dst_ip;
	uint32_t generation; // of the neighbour table when it was resolved; 0: never
	uint8_t l2_len;      // 14 or 18
	uint8_t l2[18];
};

// Puts IPv4 and Ethernet before the L4 bytes at the head of m (headroom needed: NET_HEADROOM) and
// queues the frame; waits for ARP in a bounded queue if need be. Takes m. With checksum offload the
// L4 checksum field must hold the pseudo-header sum and m->ol_flags the L4 flag; net sets l2_len and
// l3_len. m->pkt_len is read for the length.
#define NET_HEADROOM (18 + 20)
void net_ip_output(struct net *net, struct rte_mbuf *m, struct net_path *path, uint8_t proto,
	uint8_t tos, uint64_t now_us);

// Sends m (payload only, headroom for NET_HEADROOM + 8) as a UDP datagram from `src_port` of ours.
// Fragments when it does not fit the MTU. Takes m.
void net_udp_output(struct net *net, struct rte_mbuf *m, struct net_path *path, uint16_t src_port,
	uint16_t dst_port, uint64_t now_us);
// Replies to a datagram along the way it came (no neighbour look-up needed when on-link).
void net_udp_reply(
	struct net *net, struct rte_mbuf *m, const struct net_packet *to, uint64_t now_us);
// Port unreachable for a datagram that nobody listens for; rate-limited. Does not take m.
void net_icmp_unreachable(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us);

// TCP and UDP checksum help: the sum over the pseudo header and the L4 bytes of a chain.
uint16_t net_l4_checksum(
	const struct rte_mbuf *m, uint32_t l4_off, rte_be32_t src, rte_be32_t dst, uint8_t proto);
// IP payload bytes that fit the path's MTU (MTU - 20), our address, and the offloads that hold.
uint16_t net_mtu(const struct net *net);
rte_be32_t net_ip(const struct net *net);
uint64_t net_tx_offloads(const struct net *net);
const struct net_counters *net_counters_get(const struct net *net);
