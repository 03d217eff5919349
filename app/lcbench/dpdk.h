// SPDX-License-Identifier: BSD-3-Clause
// Our own stack as the client: what dpdk.c, dpdk_tcp.c and dpdk_udp.c share.
#pragma once

#include "lcbench.h"
#include "net/net.h"
#include "port/port.h"
#include "tcp/tcp.h"

#define DPDK_BURST         64
#define DPDK_HELD          4096
#define DPDK_UDP_PORT      40000 // source port of connection 0
#define DPDK_CONNECT_S     30    // for all connections to be there, and a second for each
#define DPDK_CONNECT_PER_S 10000 // ... so many

struct dpdk {
	struct bench *b;
	struct mem_domain *mem;
	struct port port;
	const struct port_queue *queue;
	struct net *net;
	struct tcp *tcp; // NULL with UDP
	struct net_tx tx;
	struct net_path path;           // UDP: to the server
	uint64_t look_ns;               // UDP: next look for timeouts
	unsigned connecting, connected; // TCP
	struct prepared *prepared;      // --prepared, or NULL
	bool prepared_on;
	uint64_t tx_dropped;
	// what came while the device had no room for what we send
	struct rte_mbuf *held[DPDK_HELD];
	unsigned held_at, held_end;
	struct rte_ether_addr server_mac; // of the last frame that came
	unsigned next_source;             // of the next connection
	uint64_t flood_ns;                // when the next SYN of the flood is due
	struct base_rng flood_rng;
};

// Bytes written one behind the other into mbufs of at most a segment each. Zeroed but for the pool
// and the segment's size; `head` is the caller's.
struct dpdk_writer {
	struct rte_mempool *pool;
	uint16_t mss, room; // room of the tail
	bool failed;        // no packet buffer was left: what is written is not whole
	struct rte_mbuf *head, *tail;
};

void dpdk_writer_put(struct dpdk_writer *w, const char *bytes, size_t len);

static inline uint64_t dpdk_now_us(const struct dpdk *d)
{
	return d->b->now_ns / 1000;
}

// One turn of the link: frames in, to the protocol; timers; frames out. True when frames came.
bool dpdk_turn(struct dpdk *d);

// At most DPDK_BURST frames.
uint16_t dpdk_rx(struct dpdk *d, struct rte_mbuf **m);
// A frame to the protocol that it is of. Takes m.
void dpdk_frame_input(struct dpdk *d, struct rte_mbuf *m);

// Connects every client. 0, -ECONNREFUSED, -ETIMEDOUT or -ENOBUFS.
int dpdk_tcp_connect(struct dpdk *d);
// What came of the turn's segments: answers read, requests sent.
void dpdk_tcp_turn(struct dpdk *d);

// --answer: serves until bench_stop. 0 or -errno.
int dpdk_answer_run(struct dpdk *d);

// The SYNs that are due by now, a burst at most.
void dpdk_flood_turn(struct dpdk *d);

void dpdk_udp_input(struct dpdk *d, struct rte_mbuf *m, const struct net_packet *pkt);
// First requests of a phase, and timeouts.
void dpdk_udp_turn(struct dpdk *d);
