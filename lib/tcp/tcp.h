// SPDX-License-Identifier: BSD-3-Clause
// tcp: TCP for one worker, server and client side (RFC 9293). Segments and the time come in,
// segments go out through net, and the next deadline comes back. No sockets, no callbacks: what
// happened to a connection is told by events that the owner fetches after a burst.
//
// Owner thread: the worker.
//
//	tcp_input(tcp, m, &pkt, now);                       // for each segment of the burst
//	while ((c = tcp_event_next(tcp, &events))) {        // then what came of it
//		if (events & TCP_EV_READABLE) { m = tcp_rx_peek(c); ...; tcp_rx_consume(tcp, c, n);
//} 		tcp_send(tcp, c, reply); 		if (events & TCP_EV_CLOSED) tcp_release(tcp,
//c);
//	}
//	next = tcp_timers(tcp, now);
//	tcp_flush(tcp, now);                                // data and ACKs of this turn leave
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "base/base.h"
#include "flight/flight.h"
#include "mem/mem.h"
#include "net/net.h"

struct tcp;
struct tcp_conn;

enum tcp_admission {
	TCP_ADMIT_YES,
	TCP_ADMIT_RESET,  // no connection
	TCP_ADMIT_SILENT, // nor any answer to what belongs to none
};

struct tcp_options {
	struct mem_domain *mem;   // borrowed: connections, tables
	struct net *net;          // borrowed
	struct flight *flight;    // borrowed; NULL: nothing is recorded
	struct rte_mempool *pool; // headers and ACKs; borrowed
	uint64_t seed;            // ISN and hash keys come from it
	uint32_t conns_max;       // limit of connections, TIME-WAIT aside
	uint32_t rcv_buf_bytes;   // largest receive window, default 256 KiB
	uint32_t snd_buf_bytes;   // bytes tcp_send may hold unacknowledged and unsent, 256 KiB
	uint32_t rto_min_us;      // default 200,000
	uint32_t delack_us;       // default 40,000
	uint32_t time_wait_us;    // default 60,000,000 (server side rarely gets there)
	uint64_t keepalive_us;    // idle time before the first probe, usually 7,200 s; 0: off
	uint32_t syn_max;         // half-open connections, default 4,096
	uint64_t
		user_timeout_us; // a peer silent for so long while it owes an answer is dropped; 0:
				 // after the retransmissions of RFC 9293 3.8.3
	uint16_t tso_mbufs; // most mbufs of a frame that the device cuts into segments, where net's
			    // offloads have TSO; 0: none
	bool ecn;           // ask for and agree to ECN (RFC 3168)
	// Whether there may be a connection from there, asked when a segment has none; NULL: any.
	enum tcp_admission (*admit)(void *arg, const struct base_ip *src);
	void *admit_arg;
	const char *cc; // congestion control: "cubic" (default), "newreno"
};

struct tcp_counters { // writer: the worker
	uint64_t rx_segments, rx_bytes, tx_segments, tx_bytes, tx_pure_acks;
	uint64_t tx_big; // frames that the device cuts; their segments count in tx_segments
	uint64_t active_opens, passive_opens, established, resets_in, resets_out, closed;
	uint64_t retransmits, fast_retransmits, rto_fires, dup_acks_in, sack_blocks_in, probes;
	uint64_t ecn_cuts, ecn_marks_in;
	uint64_t reneged; // acknowledgements that stop before what had been reported
	uint64_t loss_probes, reorder_waits, undone, dsacks_in, dsacks_out;
	uint64_t out_of_order, duplicates, keepalive_drops, time_wait;
	// drops, by reason
	uint64_t bad_header, bad_flags, bad_checksum, bad_option, no_conn, outside_window,
		syn_dropped, no_memory;
	uint64_t old_timestamp;            // PAWS
	uint64_t bad_ack;                  // of what was never sent, or older than any window
	uint64_t bad_sack;                 // blocks upside down, or of what was never sent
	uint64_t bad_fin;                  // a second end, or one before received data
	uint64_t challenges, answers_held; // ACKs to what may be forged; left out by the limit
	uint64_t not_admitted;             // segments of no connection, of who gets no answer
	uint64_t conns_refused, ooo_dropped, rcv_pruned;
	uint64_t too_big, black_holes; // segments made smaller: a router said so; nobody did
	uint64_t too_big_ignored;      // about nothing in flight
	uint64_t cookies_out, cookies_in, cookies_bad;
	// gauges: records kept for finished connections; handshakes that are not
	uint64_t time_wait_now, half_open_now;
};

// The algorithms that options.cc names; NULL at the end. The first is the default.
const char *tcp_congestion_name(unsigned i);

int tcp_open(struct tcp **tcp, const struct tcp_options *opt); // 0 or -errno
// Resets every connection, frees all. Every mbuf goes back.
void tcp_close(struct tcp *tcp);

// Accepts connections to `port` from now on (several ports may be open, at most 8). 0 or -errno.
int tcp_listen(struct tcp *tcp, uint16_t port);
void tcp_unlisten(struct tcp *tcp, uint16_t port);
// Active open. TCP_EV_ESTABLISHED or TCP_EV_CLOSED follows. local: our address
// (its place in net_options.own), TCP_LOCAL_ANY: the one that suits; src_port 0: a free ephemeral
// port. NULL: no memory, no port left, or no address of the destination's family.
#define TCP_LOCAL_ANY NET_OWN_MAX
struct tcp_conn *tcp_connect(struct tcp *tcp, const struct base_ip *dst, uint16_t dst_port,
	unsigned local, uint16_t src_port, uint64_t now_us);

// Fetches what the connections of a burst's segments are kept in, stage by stage for all of them
// together, before tcp_input takes the first: with many connections no cache holds it, and each
// segment would wait for one line after the other. The owner's pointer is taken for the address of
// something of 64 bytes at least, or NULL. Costs time only; IPv4 alone is served.
#define TCP_FETCH_MAX 64
void tcp_fetch(const struct tcp *tcp, struct rte_mbuf *const m[], unsigned n);
// Takes m.
void tcp_input(struct tcp *tcp, struct rte_mbuf *m, const struct net_packet *pkt, uint64_t now_us);

// What net's NET_TOO_BIG says. False: no such connection here.
bool tcp_too_big(struct tcp *tcp, const struct net_packet *pkt, uint64_t now_us);

#define TCP_EV_ACCEPTED    0x01 // a new connection of a listening port: give it a user pointer
#define TCP_EV_ESTABLISHED 0x02 // our tcp_connect got through
#define TCP_EV_READABLE    0x04 // bytes wait in the receive queue
#define TCP_EV_WRITABLE    0x08 // acknowledgements made room in the send buffer, which had none
#define TCP_EV_FIN         0x10 // the peer will send no more; what it sent is readable first
#define TCP_EV_CLOSED      0x20 // over, for whatever reason: tcp_release() it now

// The next connection with events, which are cleared by this; NULL when there is none. A connection
// that got new events meanwhile comes again. Bounded by the number of connections.
struct tcp_conn *tcp_event_next(struct tcp *tcp, unsigned *events);
// Puts events back on the list (a reader that stopped early comes back next turn).
void tcp_event_again(struct tcp *tcp, struct tcp_conn *c, unsigned events);

// The head of the in-order receive queue: a chain by `next`, its data starts at the first unread
// byte. NULL: empty. Stays tcp's.
struct rte_mbuf *tcp_rx_peek(const struct tcp_conn *c);
uint32_t tcp_rx_bytes(const struct tcp_conn *c);
// Drops n bytes from the front and opens the window (silly-window rules apply).
void tcp_rx_consume(struct tcp *tcp, struct tcp_conn *c, uint32_t n);

// Whether fewer mbufs are free than a quarter of the reserve that queues are to leave.
bool tcp_scarce(const struct tcp *tcp);

// Appends a chain of payload mbufs (each with NET_HEADROOM + TCP_HEADER_MAX headroom or external)
// to the send queue; takes it. mbufs of at most tcp_mss() bytes with refcnt 1 leave without a copy,
// one a segment. Sent by tcp_flush.
#define TCP_HEADER_MAX 60
void tcp_send(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *chain);
// Room in the send buffer now, in bytes (may be exceeded by the last tcp_send): what is free of
// snd_buf_bytes, or of a share of the free mbufs when that is less. TCP_EV_WRITABLE follows once
// there is room again after none was left.
uint32_t tcp_send_room(struct tcp *tcp, struct tcp_conn *c);
uint32_t tcp_send_pending(const struct tcp_conn *c); // bytes not yet acknowledged
uint16_t tcp_mss(const struct tcp_conn *c);          // payload bytes a full segment carries

// Sends FIN after what is queued. Input goes on until the peer's FIN; TCP_EV_CLOSED follows.
void tcp_shutdown(struct tcp *tcp, struct tcp_conn *c);
// RST now; TCP_EV_CLOSED follows in the next tcp_event_next.
void tcp_abort(struct tcp *tcp, struct tcp_conn *c);
// Ends the owner's interest: frees it, or leaves a TIME-WAIT record. The pointer is dead.
void tcp_release(struct tcp *tcp, struct tcp_conn *c);

void tcp_user_set(struct tcp_conn *c, void *user);
void *tcp_user(const struct tcp_conn *c);
void tcp_peer(const struct tcp_conn *c, struct base_ip *ip, uint16_t *port);
uint16_t tcp_local_port(const struct tcp_conn *c);
// What the flight recorder calls it: unique among those that are open.
static inline uint32_t tcp_conn_mark(const struct tcp_conn *c)
{
	return (uint32_t)((uintptr_t)c >> 6);
}
unsigned tcp_local(const struct tcp_conn *c); // our address, as for net_ip()

// Runs what is due, at most `TCP_TIMERS_MAX` a call. Returns the next deadline (us), UINT64_MAX:
// none.
#define TCP_TIMERS_MAX 1024
uint64_t tcp_timers(struct tcp *tcp, uint64_t now_us);
// The next deadline as it stands: tcp_flush may have set an earlier one than tcp_timers returned.
// For whoever sleeps after a turn.
uint64_t tcp_deadline(const struct tcp *tcp);
// Sends what this turn made: data, window updates, ACKs (never more than one ACK a connection).
void tcp_flush(struct tcp *tcp, uint64_t now_us);

uint32_t tcp_conns(const struct tcp *tcp); // open ones, half-open and TIME-WAIT aside
const struct tcp_counters *tcp_counters_get(const struct tcp *tcp);
