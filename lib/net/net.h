// SPDX-License-Identifier: BSD-3-Clause
// net: Ethernet, VLAN, ARP, IPv4 and IPv6 with reassembly, neighbour discovery, ICMP and UDP for
// one worker, over rte_mbuf.
// Packets and the time come in, packets go out into a batch; no device, no clock.
//
// Owner thread: the worker. One struct net a worker; neighbours are told to the other workers by
// the worker module (NET_NEIGH).
//
//	switch (net_input(net, &m, now, &pkt)) {
//	case NET_UDP: ... reply with net_udp_output(net, reply, &pkt) ...
//	case NET_TCP: tcp_input(tcp, m, &pkt); break;
//	case NET_TOO_BIG: tcp_too_big(tcp, &pkt, now); break;
//	case NET_NEIGH: tell the others pkt.neigh; break;
//	case NET_DONE: break;
//	}
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>
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

static inline void net_tx_flush(struct net_tx *tx)
{
	if (tx->count)
		tx->flush(tx->arg, tx->m, tx->count);
	tx->count = 0;
}

enum net_family { NET_IP4, NET_IP6, NET_FAMILIES };

static inline enum net_family net_family(const struct base_ip *ip)
{
	return base_ip_is4(ip) ? NET_IP4 : NET_IP6;
}

struct net_own { // an address of ours
	struct base_ip ip;
	uint8_t prefix_len; // of its on-link prefix, 0..32 or 0..128
};
// The place in the list of own addresses stands for an address where one of ours is meant.
#define NET_OWN_MAX        64
#define NET_OWNS_GIVEN_MAX (NET_OWN_MAX - 1) // IPv6 brings a link-local one with it

struct net_options {
	struct mem_domain *mem;   // borrowed
	struct rte_mempool *pool; // mbufs for replies; borrowed
	struct net_tx *tx;        // borrowed
	struct rte_ether_addr mac;
	struct net_own own[NET_OWN_MAX]; // own addresses, one at least
	unsigned owns;
	struct base_ip gateway[NET_FAMILIES]; // default gateways; none: zero
	uint16_t vlan;                        // 0: untagged
	bool dad;     // IPv6 addresses are checked for duplicates from net_announce on
	bool silent;  // another worker speaks for our addresses: announces, checks
	uint16_t mtu; // IP bytes, 576..9216; with IPv6 1280 at least
	// RTE_ETH_TX_OFFLOAD_{IPV4,UDP,TCP}_CKSUM, MULTI_SEGS, TCP_TSO that hold
	uint64_t tx_offloads;
	uint64_t rx_offloads; // RTE_ETH_RX_OFFLOAD_*_CKSUM that hold: their mbuf flags count
	int socket_id;
	uint64_t seed;
};

// Static routes beyond the default gateways, the longest prefix first. `via` must be on an on-link
// prefix of the same family. 0, -EINVAL or -ENOSPC.
#define NET_ROUTES_MAX 64
int net_route_add(
	struct net *net, const struct base_ip *prefix, uint8_t len, const struct base_ip *via);

struct net_counters { // writer: the worker
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t arp_rx, arp_tx, icmp_rx, icmp_tx, icmp_limited, fragments, reassembled;
	uint64_t nd_rx, nd_tx;   // of icmp_rx; beside icmp_tx
	uint64_t mld_rx, mld_tx; // the same: queries, reports
	uint64_t too_big;        // path MTUs lowered
	// drops, by reason
	uint64_t bad_ether, bad_vlan, bad_arp, bad_ip_header, bad_ip_checksum, bad_ip_length;
	uint64_t not_ours, unknown_proto, bad_udp, bad_udp_checksum, bad_icmp, frag_dropped;
	uint64_t neigh_dropped, neigh_full, no_mbuf, no_route;
	uint64_t bad_ext, bad_nd, bad_mld; // IPv6: extension headers; neighbour discovery; MLD
	uint64_t too_big_ignored;          // not about anything of ours, or saying nothing
	uint64_t dad_taken;     // an address of ours was found to be another's at the start
	uint64_t bad_source;    // a source that cannot be one host: multicast, ours, 0
	uint64_t arp_conflicts; // somebody else uses our address
	uint64_t tx_copied,
		tx_dropped; // chains without MULTI_SEGS: made one mbuf; too long for one
	uint64_t tx_fragments;
};

// One received UDP datagram or TCP segment. Host byte order but for addresses.
struct net_packet {
	struct base_ip src;          // one host's address; NET_NEIGH: the neighbour's
	uint8_t local;               // our address that it was sent to, or that answers
	bool group;                  // it was sent to a broadcast address
	uint16_t src_port, dst_port; // NET_UDP, NET_TOO_BIG only
	uint16_t l3_off;             // offset of the IP header in the mbuf
	uint16_t l4_off;             // offset of the UDP or TCP header in the mbuf
	uint16_t l4_len;             // bytes from there on; the mbuf ends there (padding removed)
	uint16_t data_off, data_len; // UDP only: the payload
	uint8_t ecn;                 // of the IP header
	bool l4_checked;             // checksum known to be good
	bool alert;                  // IPv6: a router alert for MLD came with it
	bool reassembled; // from fragments; the frame is whole, and good to go in elsewhere
	bool datagram;    // NET_TOO_BIG: it was one, not a segment
	uint16_t mtu;     // NET_TOO_BIG: IP bytes that the path takes
	uint32_t seq;     // NET_TOO_BIG: of the segment that was too big
	struct rte_ether_addr src_mac;
};

enum net_verdict {
	NET_DONE, // taken: answered, queued or dropped and counted; m is gone
	NET_UDP,  // m is the caller's; headers are contiguous, the checksum is good
	NET_TCP,  // m is the caller's; IP is good; l4_len may be anything, but the first
	// min(l4_len, 60) bytes are contiguous; unless l4_checked the checksum is tcp's to
	// verify (net_l4_checksum() == 0)
	NET_TOO_BIG, // m is gone; a router says that a packet of ours does not fit the path: src
		     // and the ports are the flow's, as it comes in. A segment's is not to be
		     // believed unseen, a datagram's is noted and for the other workers to know
	NET_NEIGH,   // m is gone; a neighbour was learned (src, src_mac): tell the other workers
};

int net_open(struct net **net, const struct net_options *opt); // 0 or -errno
void net_close(struct net *net);

// Takes the frame *m (which may be a chain). For NET_UDP and NET_TCP *m is the packet, which need
// not be the mbuf that came in: fragments are put together, split headers too.
enum net_verdict net_input(
	struct net *net, struct rte_mbuf **m, uint64_t now_us, struct net_packet *pkt);
// Whose a TCP segment over IPv4 is that comes with neither VLAN tag, options nor fragments: src and
// local, which other hosts may have made up. The frame's first 64 bytes are read, and nothing is
// counted. False: it is another, or too short. Advice about what to fetch: net_input decides.
struct net_flow {
	rte_be32_t src;
	rte_be16_t src_port, dst_port;
	uint8_t local;
};
bool net_flow_peek(const struct net *net, const struct rte_mbuf *m, struct net_flow *flow);
// Announces our addresses (gratuitous ARP, RFC 5227 section 3; unsolicited advertisements, RFC 4861
// 7.2.6), after the duplicate address check of IPv6, which takes a second (RFC 4862 5.4) in which
// those addresses take nothing. At start.
void net_announce(struct net *net, uint64_t now_us);
// One bit an own address: what that check has found with others. Such an address stays silent.
uint64_t net_taken(const struct net *net);
// A neighbour that another worker has learned.
void net_neigh_learn(
	struct net *net, struct base_ip ip, const struct rte_ether_addr *mac, uint64_t now_us);
// Ages neighbours, sends ARP retries, drops stale fragments. Returns the next deadline in us, to
// sleep by; what is sent or received meanwhile may bring it nearer, so call this every turn (two
// comparisons).
uint64_t net_timers(struct net *net, uint64_t now_us);

// The next hop to a peer, kept by whoever sends there again: looked up anew when neighbours change.
// Zero it before the first use.
struct net_hop {
	uint32_t generation; // of the neighbour table when it was looked up; 0: never
	uint16_t neigh;      // place in it
};

struct net_to { // where a packet goes, and as what
	const struct base_ip *dst;
	struct net_hop *hop;
	uint8_t local; // our address
	uint8_t proto, tos;
};

// Puts the IP and Ethernet headers before the L4 bytes at the head of m (headroom needed:
// NET_HEADROOM, in the first mbuf) and queues the frame; waits for the neighbour in a bounded queue
// if need be. Takes m. The length is m->pkt_len. A TCP segment always has RTE_MBUF_F_TX_TCP_CKSUM
// in ol_flags and the pseudo-header sum (net_pseudo_sum) in its checksum field: net sums the rest
// where the device cannot, so it must be able to write that field. With RTE_MBUF_F_TX_TCP_SEG,
// tso_segsz and l4_len the device cuts it, when its offloads have that: the pseudo header's sum is
// then without the length. ol_flags holds nothing else but
// RTE_MBUF_F_INDIRECT or _EXTERNAL. net sets l2_len and l3_len. Others may
// hold references to m, if they leave data_off, data_len, pkt_len, ol_flags and the headroom of the
// first mbuf alone until theirs is the only one. Packets over the MTU are
// fragmented, those over an IPv6 path's MTU, too.
#define NET_HEADROOM (18 + 40)
void net_ip_output(struct net *net, struct rte_mbuf *m, const struct net_to *to, uint64_t now_us);

struct net_path { // a peer, and the way there
	struct base_ip dst;
	struct net_hop hop;
	uint8_t local;
};

// A path to dst from the own address that suits it; false: there is none of its family.
bool net_path_open(const struct net *net, const struct base_ip *dst, struct net_path *path);

// Sends m (payload only, headroom for NET_HEADROOM + 8) as a UDP datagram from `src_port` of ours.
// Fragments when it does not fit the MTU. Takes m.
void net_udp_output(struct net *net, struct rte_mbuf *m, struct net_path *path, uint16_t src_port,
	uint16_t dst_port, uint64_t now_us);
// Replies to a datagram along the way it came (no neighbour look-up needed when on-link).
void net_udp_reply(
	struct net *net, struct rte_mbuf *m, const struct net_packet *to, uint64_t now_us);
// ---- datagrams answered in the buffer they came in
#define NET_PLAIN_HEAD (14 + 20 + 8) // the payload lies behind it
// A frame just received that is a good datagram to `port` of ours and can be answered in place:
// the most bytes that its answer may have. 0: it is not, and net_input has to look at it. Changes
// nothing.
uint16_t net_plain_input(const struct net *net, const struct rte_mbuf *m, rte_be16_t port);
// The same of a frame that another worker's net_plain_input has found good.
uint16_t net_plain_room(const struct net *net, const struct rte_mbuf *m);
// Bytes of its payload.
uint16_t net_plain_bytes(const struct rte_mbuf *m);
// Sends it back with `bytes` of payload, which the caller has written. Takes m.
void net_plain_reply(struct net *net, struct rte_mbuf *m, uint16_t bytes);
// The same by who has summed the payload up (net_sum.h) while writing it: reading it anew would
// wait for the stores.
void net_plain_reply_summed(
	struct net *net, struct rte_mbuf *m, uint16_t bytes, uint64_t payload_sum);

// Port unreachable for a datagram that nobody listens for; rate-limited. Does not take m, which
// must be as NET_UDP gave it.
void net_icmp_unreachable(
	struct net *net, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us);

// The pseudo header's sum of either family, folded and not inverted, as a checksum field holds it
// before offload. The 96 bits before a mapped IPv4 address sum up to nothing.
static inline uint16_t net_pseudo_sum(
	const struct base_ip *src, const struct base_ip *dst, uint8_t proto, uint32_t l4_len)
{
	uint64_t sum = rte_cpu_to_be_16(proto) + (uint64_t)rte_cpu_to_be_16((uint16_t)l4_len);

	for (int i = 0; i < 4; i++)
		sum += (uint64_t)src->w32[i] + dst->w32[i];
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

// The checksum over the pseudo header and the L4 bytes of a chain from l4_off to its end, as it
// goes into the (zeroed) field. Over a received segment with its field in place: 0 when good.
uint16_t net_l4_checksum(const struct rte_mbuf *m, uint32_t l4_off, const struct base_ip *src,
	const struct base_ip *dst, uint8_t proto);

// The path's MTU in IP bytes as far as routers have told, and such a word of a router's that has
// been found to be true. Forgotten after ten minutes. Not below NET_PMTU4_MIN or 1,280.
#define NET_PMTU4_MIN 576
uint16_t net_path_mtu(struct net *net, const struct base_ip *dst, uint64_t now_us);
void net_path_mtu_set(struct net *net, const struct base_ip *dst, uint16_t mtu, uint64_t now_us);

// IP payload bytes of a packet to dst that fit the link's MTU.
uint16_t net_mtu(const struct net *net, const struct base_ip *dst);
// Our address, and the one that suits a destination; NET_OWN_MAX: none of its family.
const struct base_ip *net_ip(const struct net *net, unsigned local);
unsigned net_local_for(const struct net *net, const struct base_ip *dst);
// The transmit offloads that hold.
uint64_t net_tx_offloads(const struct net *net);
const struct net_counters *net_counters_get(const struct net *net);
