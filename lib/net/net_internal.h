// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/net share. See docs/modules/net.md for the picture.
#pragma once

#include <rte_arp.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_ip_frag.h>
#include <rte_udp.h>

#include "net/net.h"

#define NET_L2_MAX          18 // Ethernet and one 802.1Q tag
#define NET_NEIGH_MAX       1024
#define NET_NEIGH_BUCKETS   2048
#define NET_NEIGH_OPEN_MAX  256 // unresolved at once: what a spoofed flood can take
#define NET_NEIGH_QUEUE     64  // packets that wait for one neighbour
#define NET_WAIT_MAX        512 // and for all of them
#define NET_NEIGH_TRIES     3
#define NET_NEIGH_RETRY_US  UINT64_C(1000000) // RFC 1122 2.3.2.1, RFC 4861 10: one request a second
#define NET_NEIGH_FRESH_US  UINT64_C(60000000) // RFC 1122 2.3.2.1: "on the order of a minute"
#define NET_NEIGH_STALE_US  UINT64_C(60000000)
#define NET_ANNOUNCE_GAP_US UINT64_C(2000000)  // RFC 5227: ANNOUNCE_NUM 2, ANNOUNCE_INTERVAL 2 s
#define NET_DEFEND_US       UINT64_C(10000000) // RFC 5227: DEFEND_INTERVAL
#define NET_DAD_US          UINT64_C(1000000)  // RFC 4862 5.1, RFC 4861 10: RETRANS_TIMER
#define NET_PMTU_SETS       64
#define NET_PMTU_WAYS       4
#define NET_PMTU_US         UINT64_C(600000000) // RFC 1191 6.3, RFC 8201 5.3: ten minutes
#define NET_FRAG_ENTRIES    64                  // datagrams in reassembly
#define NET_FRAG_TIMEOUT_US UINT64_C(2000000)
#define NET_FRAGS_OUT       128             // 65,535 bytes at the smallest MTU make 119
#define NET_ICMP_GAP_US     UINT64_C(10000) // 100 errors a second ...
#define NET_ICMP_BURST      50              // ... and this many at once
// 255.255.255.255. DPDK 22.11 has 224.0.0.0 for RTE_IPV4_BROADCAST.
#define NET_LIMITED_BROADCAST RTE_BE32(UINT32_MAX)
#define NET_MULTICAST_FIRST   UINT32_C(0xe0000000) // 224.0.0.0, host order; no host from there on
#define NET_NONE              UINT16_MAX           // no index
#define NET_TTL               64

enum net_neigh_state {
	NET_NEIGH_FREE,
	NET_NEIGH_INCOMPLETE, // asked, not answered; packets wait
	NET_NEIGH_FRESH,
	NET_NEIGH_STALE, // usable; the next use asks
	NET_NEIGH_PROBE, // usable; asked, not answered
};

struct net_neigh {
	struct base_ip ip;
	struct rte_ether_addr mac;
	uint8_t state; // enum net_neigh_state
	uint8_t tries;
	uint16_t next;                 // in its bucket or in the free list
	uint16_t wait_head, wait_tail; // slots of waiting packets, oldest first
	uint16_t waiting;
	uint64_t due_us; // when its state ends
};

struct net_wait {
	struct rte_mbuf *m; // starts with its IP header
	uint16_t next;
};

struct net_neigh_table {
	uint64_t key[2];     // of the hash: strangers choose the addresses
	uint32_t generation; // never 0; moves when a path may have become wrong
	uint16_t used, open; // entries; of them INCOMPLETE
	uint16_t free_entry, free_wait;
	uint64_t due_us; // no entry is due before
	uint16_t bucket[NET_NEIGH_BUCKETS];
	struct net_neigh entry[NET_NEIGH_MAX];
	struct net_wait wait[NET_WAIT_MAX];
};

enum net_own_state {
	NET_OWN_VALID,
	NET_OWN_TENTATIVE, // RFC 4862: the duplicate address check is under way
	NET_OWN_TAKEN,     // it failed
};

struct net_mld {                            // UINT64_MAX: never
	uint64_t due_us;                    // the earliest of the next three
	uint64_t change_due_us;             // our groups are told once more, unasked
	uint64_t all_due_us;                // an answer about all of them
	uint64_t group_due_us[NET_OWN_MAX]; // an answer about the group of this own address
	uint64_t v1_until_us;               // a querier of version 1 has been heard
	uint64_t told_us;                   // the latest report
	unsigned changes;                   // tellings that are left
};

struct net_pmtu { // what a router said
	struct base_ip dst;
	uint64_t until_us;
	uint16_t mtu; // IP bytes
};

struct net_route {
	struct base_ip prefix, mask;
	struct base_ip via; // none: on-link
};

struct net_plain {                 // what a datagram that is answered in place looks like
	uint64_t want[4], mask[4]; // its frame's first bytes
	bool alone[NET_OWN_MAX];   // net_ipv4_alone of each own address
};

struct net {
	struct net_options opt;
	struct net_plain plain;
	rte_be32_t own4[NET_OWN_MAX];      // own addresses once more; IPv6 ones: 0
	rte_be32_t broadcast[NET_OWN_MAX]; // of their prefixes; 0: it has none
	struct base_ip mask[NET_OWN_MAX];
	uint8_t own_state[NET_OWN_MAX]; // enum net_own_state
	bool ip6;                       // some of them are IPv6
	uint64_t tx_offloads, rx_offloads;
	uint8_t l2_len;         // 14 or 18
	uint8_t l2[NET_L2_MAX]; // our Ethernet header, destination and type unset
	uint16_t ip_id;
	uint32_t frag6_id;
	struct base_rng rng;
	struct net_counters n;
	uint64_t icmp_credit_us, icmp_last_us; // token bucket, in microseconds
	uint64_t announce_due_us;              // UINT64_MAX: none
	uint64_t defend_after_us;
	uint64_t dad_due_us;    // UINT64_MAX: no check under way
	bool dad_again;         // the second question is to come
	uint64_t pmtu_until_us; // every entry is older from then on
	struct net_pmtu pmtu[NET_PMTU_SETS * NET_PMTU_WAYS];
	struct net_route route[NET_OWN_MAX + NET_ROUTES_MAX + NET_FAMILIES]; // longest prefix first
	unsigned routes, routes_static;
	struct rte_ip_frag_tbl *frags;
	uint64_t frag_due_us, frag_last_us; // UINT64_MAX: table empty
	struct rte_ip_frag_death_row death;
	struct net_mld mld;
	struct net_neigh_table neigh;
};

static inline uint16_t net_ether_type(const struct base_ip *ip)
{
	return base_ip_is4(ip) ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
}

// ---- net_neigh.c
void net_neigh_init(struct net *net);
// Gives back every waiting packet.
void net_neigh_fini(struct net *net);
// Makes `hop` good and returns true, or queues m (which starts with its IP header) until `ip`
// answers, or drops it; false: m is gone.
bool net_neigh_resolve(struct net *net, const struct base_ip *ip, struct net_hop *hop,
	struct rte_mbuf *m, uint64_t now_us);
// What a neighbour said. `create`: also when the address is new. True when the table has it now.
bool net_neigh_update(struct net *net, const struct base_ip *ip, const struct rte_ether_addr *mac,
	bool create, uint64_t now_us);
// What a solicitation's sender says about itself: hearsay (RFC 4861 7.2.3). True: something new.
bool net_neigh_heard(struct net *net, const struct base_ip *ip, const struct rte_ether_addr *mac,
	uint64_t now_us);
bool net_neigh_known(struct net *net, const struct base_ip *ip);
// An advertisement (RFC 4861 7.2.5); mac NULL: it says none. True: there is something to tell.
bool net_neigh_advertised(struct net *net, const struct base_ip *ip,
	const struct rte_ether_addr *mac, bool solicited, bool override, uint64_t now_us);
uint64_t net_neigh_timers(struct net *net, uint64_t now_us);

// ---- net_arp.c
// m's ARP packet starts at `off`. Takes m.
enum net_verdict net_arp_input(
	struct net *net, struct rte_mbuf *m, uint16_t off, uint64_t now_us, struct net_packet *pkt);
// Asks who has `ip`, in the name of our address `local`: of everybody, or of `mac` alone (unicast
// poll).
void net_arp_request(
	struct net *net, unsigned local, rte_be32_t ip, const struct rte_ether_addr *mac);
// Says that our IPv4 addresses are ours.
void net_arp_announce(struct net *net);

// ---- net_ipv4.c
// Our address `ip`; NET_OWN_MAX: it is none, or 0.
static inline unsigned net_own4_find(const struct net *net, rte_be32_t ip)
{
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (net->own4[i] == ip && ip != 0)
			return i;
	}
	return NET_OWN_MAX;
}
// The packet's IP header starts at `off`. `group`: came by link-layer broadcast.
enum net_verdict net_ipv4_input(struct net *net, struct rte_mbuf **packet, uint16_t off, bool group,
	uint64_t now_us, struct net_packet *pkt);

// Whether the device has found the header's checksum to be good.
static inline bool net_ipv4_sum_told(const struct net *net, const struct rte_mbuf *m)
{
	return (net->rx_offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) &&
		(m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}
// RFC 1122 3.2.1.3: a source must be one host's address, and none of ours.
bool net_ipv4_source_valid(const struct net *net, rte_be32_t ip);
// Whether on the prefix of our address `local` all but that and the broadcast address are valid.
bool net_ipv4_alone(const struct net *net, unsigned local);

// Whether the device has found the checksum to be good.
static inline bool net_l4_checked(const struct net *net, const struct rte_mbuf *m, uint8_t proto)
{
	uint64_t offload =
		proto == IPPROTO_TCP ? RTE_ETH_RX_OFFLOAD_TCP_CKSUM : RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	uint64_t kind = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	// NONE: not filled in, but never left the machine, so its bytes are good
	return (net->rx_offloads & offload) &&
		(kind == RTE_MBUF_F_RX_L4_CKSUM_GOOD || kind == RTE_MBUF_F_RX_L4_CKSUM_NONE);
}

// ---- net_ipv6.c
// As net_ipv4_input. `group`: came by link-layer multicast or broadcast.
enum net_verdict net_ipv6_input(struct net *net, struct rte_mbuf **packet, uint16_t off, bool group,
	uint64_t now_us, struct net_packet *pkt);
// Our address `ip` of either family, whatever its state; NET_OWN_MAX: it is none.
static inline unsigned net_own_find(const struct net *net, const struct base_ip *ip)
{
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (base_ip_same(&net->opt.own[i].ip, ip))
			return i;
	}
	return NET_OWN_MAX;
}

// ---- net_nd.c
#define NET_ND_SOLICIT   135
#define NET_ND_ADVERT    136
#define NET_ND_BYTES_MAX 512
// A solicitation or advertisement with a good checksum. Takes m.
enum net_verdict net_nd_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, struct net_packet *pkt);
// Asks for `target` in the name of our address `local`: everybody, or `mac` alone.
void net_nd_solicit(struct net *net, unsigned local, const struct base_ip *target,
	const struct rte_ether_addr *mac);
// Says that our IPv6 addresses are ours.
void net_nd_announce(struct net *net);
// Begins the duplicate address check of tentative addresses; what nobody has claimed at its end is
// valid.
void net_dad_start(struct net *net, uint64_t now_us);
void net_dad_turn(struct net *net, uint64_t now_us); // when dad_due_us is reached

// The group that neighbours ask for `ip` in (RFC 4291 2.7.1), and a group's Ethernet address.
struct base_ip net_solicited_node(const struct base_ip *ip);
struct rte_ether_addr net_group_mac(const struct base_ip *group);

// ---- net_mld.c
#define NET_MLD_QUERY 130
void net_mld_init(struct net *net);
// Tells that we listen to the groups of our addresses; twice.
void net_mld_join(struct net *net, uint64_t now_us);
uint64_t net_mld_timers(struct net *net, uint64_t now_us);
// A query with a good checksum. Takes m.
enum net_verdict net_mld_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, const struct net_packet *pkt);

// ---- net_icmp6.c
#define NET_ICMP6_UNREACHABLE 1
#define NET_ICMP6_PROBLEM     4
// Takes m.
enum net_verdict net_icmp6_input(
	struct net *net, struct rte_mbuf *m, uint64_t now_us, struct net_packet *pkt);
// Tells the sender of m, rate-limited; does not take m.
void net_icmp6_error(struct net *net, struct rte_mbuf *m, const struct net_packet *pkt,
	uint8_t type, uint8_t code, uint32_t word, uint64_t now_us);
void net_icmp6_checksum(struct rte_mbuf *m, const struct base_ip *src, const struct base_ip *dst);
// The address that a received packet was sent to.
struct base_ip net_packet_dst(const struct rte_mbuf *m, const struct net_packet *pkt);

// ---- net_frag.c
// Takes a fragment; returns the whole datagram, its L2 and L3 lengths unchanged, or NULL.
struct rte_mbuf *net_frag_input(
	struct net *net, struct rte_mbuf *m, uint16_t off, uint16_t ihl, uint64_t now_us);
uint64_t net_frag_timers(struct net *net, uint64_t now_us);
// The same for IPv6: IP header at off, fragment header at `frag_at`. Headers between the two are
// gone from the datagram.
struct rte_mbuf *net_frag6_input(
	struct net *net, struct rte_mbuf *m, uint16_t off, uint16_t frag_at, uint64_t now_us);
// Cuts m, an IP packet over `mtu`, into pieces[NET_FRAGS_OUT]. Returns their number; 0: dropped and
// counted. Takes m.
unsigned net_frag_output(
	struct net *net, struct rte_mbuf *m, bool ip4, uint16_t mtu, struct rte_mbuf **pieces);

// ---- net_icmp.c
enum net_verdict net_icmp_input(
	struct net *net, struct rte_mbuf *m, struct net_packet *pkt, uint64_t now_us);
// Whether one more error may be sent now (RFC 1812 4.3.2.8, RFC 4443 2.4 (f)).
bool net_icmp_error_allowed(struct net *net, uint64_t now_us);
// A request's ICMP message as an mbuf of our own, to be made its answer. Takes m. NULL: no memory.
struct rte_mbuf *net_icmp_body(struct net *net, struct rte_mbuf *m, uint16_t l4_off);
// Ports and sequence number of a quoted segment or datagram of ours, at `at`, into pkt, as of the
// flow that comes in. False: cut off.
bool net_quote_ports(const struct rte_mbuf *m, uint32_t at, struct net_packet *pkt);

// ---- net_plain.c
void net_plain_init(struct net *net);

// ---- net_udp.c
enum net_verdict net_udp_input(struct net *net, struct rte_mbuf *m, struct net_packet *pkt);

// ---- net_route.c
// On-link prefixes and default gateways of the options.
void net_routes_init(struct net *net);
// The neighbour that packets for `dst` go to; NULL: none. May be dst itself.
const struct base_ip *net_route_lookup(const struct net *net, const struct base_ip *dst);
// Our address on whose prefix `ip` lies; NET_OWN_MAX: none.
unsigned net_on_link(const struct net *net, const struct base_ip *ip);

// ---- net_output.c
// An IPv6 header before m.
void net_ip6_prepend(struct rte_mbuf *m, const struct base_ip *src, const struct base_ip *dst,
	uint8_t proto, uint8_t hop_limit, uint8_t tos);
// Queues a finished frame; copies or drops what the device cannot send. Takes m.
void net_frame_output(struct net *net, struct rte_mbuf *m);
// The same of a frame that any device can send.
static inline void net_frame_queue(struct net *net, struct rte_mbuf *m)
{
	struct net_tx *tx = net->opt.tx;

	base_assert(tx->count < NET_TX_BATCH);
	net->n.tx_frames++;
	net->n.tx_bytes += m->pkt_len;
	tx->m[tx->count++] = m;
	if (base_unlikely(tx->count == NET_TX_BATCH))
		net_tx_flush(tx);
}
// Puts the Ethernet header of an IPv4 or IPv6 packet to `mac` before m and queues it.
void net_packet_output(
	struct net *net, struct rte_mbuf *m, const struct rte_ether_addr *mac, uint16_t ether_type);
// Back to where pkt came from: without a look-up when that is on-link. As net_ip_output.
void net_reply_output(struct net *net, struct rte_mbuf *m, const struct net_packet *pkt,
	uint8_t proto, uint64_t now_us);
// The Ethernet header towards `mac`, l2_len bytes.
void net_l2_write(
	const struct net *net, uint8_t *l2, const struct rte_ether_addr *mac, uint16_t ether_type);

// ---- net_mbuf.c
// The same chain with its first `len` bytes in the first segment (len <= pkt_len, and small), or
// NULL: counted and freed.
struct rte_mbuf *net_mbuf_pull(struct net *net, struct rte_mbuf *m, uint16_t len);
// Cuts the chain to `len` bytes (len <= pkt_len, not 0).
void net_mbuf_trim(struct rte_mbuf *m, uint32_t len);
// One mbuf with everything, from the pool, or NULL (m is left alone).
struct rte_mbuf *net_mbuf_flatten(struct net *net, const struct rte_mbuf *m);
// May its first segment be written without anybody noticing?
static inline bool net_mbuf_private(const struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1;
}

// ---- net_checksum.c
// The folded, not inverted ones' complement sum of the chain from `off` to its end.
uint16_t net_sum(const struct rte_mbuf *m, uint32_t off);
