// SPDX-License-Identifier: BSD-3-Clause
// tcp_internal: the structures that the files of lib/tcp share. See docs/modules/tcp.md for the
// picture. Sequence numbers are host order and compared modulo 2^32.
#pragma once

#include <netinet/in.h>

#include <rte_ip.h>
#include <rte_mbuf_dyn.h>
#include <rte_tcp.h>

#include "tcp/tcp.h"
#include "tcp/tcp_bulk.h"

enum tcp_state {
	TCP_CLOSED, // unhashed; waits for tcp_release
	TCP_SYN_SENT,
	TCP_SYN_RCVD,
	TCP_ESTABLISHED,
	TCP_CLOSE_WAIT,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSING,
	TCP_LAST_ACK,
};

// ---- sequence arithmetic ------------------------------------------------------------------------
static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

// ---- what an mbuf on the sent or out-of-order queue carries (a dynamic field) ------------------
#define TCP_M_SACKED  0x01 // the peer has it, above a hole
#define TCP_M_LOST    0x02 // taken for lost: no longer in the network
#define TCP_M_RETRANS 0x04 // sent again since it was taken for lost
#define TCP_M_EVER    0x08 // was ever sent again: no RTT sample (Karn)
#define TCP_M_FIN     0x10 // a FIN follows the payload

struct tcp_meta {
	struct rte_mbuf *next;
	uint32_t seq;     // of the first payload byte not yet acknowledged
	uint32_t sent_us; // last transmission
	uint16_t len;     // payload: the last `len` bytes of the chain
	uint8_t flags;
	uint8_t mbufs; // its own: the next segment's may hang behind, when both left in one frame
};

// ---- connection table --------------------------------------------------------------------------
struct tcp_key { // hashed as bytes: no padding
	struct base_ip peer;
	rte_be16_t local_port, peer_port;
	uint8_t local; // our address, by its place in net's list
	uint8_t zero[3];
};
static_assert(sizeof(struct tcp_key) == 24, "no padding");

#define TCP_NODE_CONN 0
#define TCP_NODE_TW   1

// First member of whatever stands in the table.
struct tcp_node {
	struct tcp_node *next;
	uint32_t hash;
	uint32_t rcv_nxt;
	struct tcp_key key;
	uint8_t kind;
	uint8_t state; // enum tcp_state; TIME-WAIT records: TCP_CLOSED
	uint8_t snd_wscale, rcv_wscale;
	uint32_t ts_offset;
};
static_assert(sizeof(struct tcp_node) == 48, "leaves a quarter of the cache line");

#define TCP_BUCKETS 1024 // of a table segment

struct tcp_table { // linear hashing: `base <= buckets < 2 * base`
	struct tcp_node ***segment;
	uint32_t segments_max, buckets, base, count;
};

// ---- timing wheel ------------------------------------------------------------------------------
#define TCP_WHEEL_LEVELS 4
#define TCP_WHEEL_SLOTS  64
#define TCP_WHEEL_SPAN   (1u << 24) // ticks of 1 ms: 64^4

struct tcp_wheel {
	uint64_t tick; // the next one to be run
	bool running;  // its slot is being emptied: nothing may be added there
	uint64_t busy[TCP_WHEEL_LEVELS];
	struct base_list slot[TCP_WHEEL_LEVELS][TCP_WHEEL_SLOTS];
};

enum tcp_timer { TCP_T_RTX, TCP_T_DELACK, TCP_T_KEEP, TCP_TIMERS };

// ---- out-of-order queue: exists only while there is a hole -------------------------------------
#define TCP_SACK_BLOCKS 4

struct tcp_range {
	uint32_t start, end;
};

struct tcp_ooo {
	struct base_list node; // of tcp.ooo: longest-standing first
	struct tcp_conn *conn;
	struct rte_mbuf *head, *tail; // by tcp_meta.next; sorted, disjoint
	uint32_t bytes;
	uint16_t mbufs;
	uint8_t blocks;
	uint8_t untold; // the first so many blocks: changed since the last ACK
	struct tcp_range sack[TCP_SACK_BLOCKS]; // most recently changed first (RFC 2018 section 4)
};

// ---- connection --------------------------------------------------------------------------------
#define TCP_F_ACTIVE     0x0001 // opened by tcp_connect
#define TCP_F_KNOWN      0x0002 // the owner has (or gets) a pointer to it
#define TCP_F_COUNTED    0x0004 // counts in tcp.conns
#define TCP_F_SACK       0x0008
#define TCP_F_TS         0x0010
#define TCP_F_WSCALE     0x0020
#define TCP_F_ACK_NOW    0x0040 // tcp_flush owes an ACK
#define TCP_F_FIN_QUEUED 0x0080 // tcp_shutdown was called
#define TCP_F_FIN_SENT   0x0100
#define TCP_F_FIN_SEEN   0x0200   // fin_seq holds
#define TCP_F_FIN_RCVD   0x0400   // in order
#define TCP_F_CWND_BOUND 0x0800   // the congestion window is what holds us back
#define TCP_F_RTX_FORCE  0x1000   // the first retransmission of a recovery goes whatever the pipe
#define TCP_F_PERSIST    0x2000   // TCP_T_RTX runs for a window probe
#define TCP_F_SYN_LOST   0x4000   // a SYN of ours was sent again
#define TCP_F_DIRTY      0x8000   // on tcp.dirty
#define TCP_F_FULL       0x10000  // the owner was told of no room: TCP_EV_WRITABLE is owed
#define TCP_F_PTO        0x20000  // TCP_T_RTX runs for a loss probe (RFC 8985 section 7)
#define TCP_F_PROBED     0x40000  // a loss probe is out: probe_end, probe_ms
#define TCP_F_REO        0x80000  // TCP_T_RTX runs for segments that may have been overtaken
#define TCP_F_ECN        0x100000 // both sides know ECN
#define TCP_F_ECE        0x200000 // a mark is echoed until the peer has cut its window
#define TCP_F_CWR        0x400000 // ours was cut: the next data says so

#define TCP_F_COOKIE     0x800000  // made of a SYN cookie: its round trip is unknown
#define TCP_F_FULL_OK    0x1000000 // a segment of the present mss was acknowledged
#define TCP_F_PRUNED     0x2000000 // data in order was dropped: the end of the shortage is told

enum tcp_recovery { TCP_R_OPEN, TCP_R_FAST, TCP_R_LOSS };

struct tcp_conn {
	// line 0: look-up, receive
	struct tcp_node node;
	uint32_t flags;
	uint32_t rcv_adv; // right edge of the largest window ever offered
	uint32_t snd_una, snd_nxt;
	// line 1: receive queue, lists, owner
	struct rte_mbuf *rx_head, *rx_tail;
	uint32_t rx_bytes;
	uint16_t rx_mbufs;
	uint16_t rcv_mss; // largest payload seen
	struct base_list event, dirty;
	struct tcp_ooo *ooo;
	// line 2: send queue
	struct rte_mbuf *sent_head, *sent_tail;
	struct rte_mbuf *unsent_head, *unsent_tail;
	uint32_t unsent_bytes;
	uint32_t cwnd, ssthresh;
	uint32_t sacked_bytes;
	uint16_t mss; // payload of a full segment
	uint8_t events;
	uint8_t recovery;
	uint8_t dup_acks;
	uint8_t quick_acks; // left of those at the start, or after a hole
	uint8_t dup_owed;   // duplicate ACKs for a peer without SACK
	uint8_t backoff;
	uint32_t timer_at[2]; // TCP_T_RTX, TCP_T_DELACK; ms
	// line 3: timers, RTT, path
	struct base_list timer; // wheel slot; tcp.closed once closed
	uint32_t keep_at;
	uint32_t wheel_at;
	uint8_t timers; // armed, by 1 << enum tcp_timer
	bool in_wheel;
	uint8_t retries;
	uint8_t keep_probes;
	struct net_hop hop;
	uint32_t snd_wnd; // scaled
	uint32_t ts_recent;
	uint32_t last_ack_sent; // RFC 7323's Last.ACK.sent
	uint32_t last_rx_ms;
	uint32_t srtt_us, rttvar_us, rto_us;
	// line 4: loss recovery, windows
	uint32_t rtt_min_us; // of all samples
	uint32_t snd_wl1, snd_wl2, snd_wnd_max;
	uint32_t lost_bytes, retrans_bytes;
	uint32_t sacked_segs, sent_segs;
	uint32_t last_tx_us; // of data or SYN
	uint32_t fin_seq;
	uint32_t oow_ms;       // last answer to an unacceptable segment
	uint16_t pseudo_sum;   // of the pseudo header, its length aside
	struct tcp_bulk *bulk; // NULL: neither filled its window nor lost anything of late
	void *user;
};
static_assert(sizeof(struct tcp_conn) <= 320, "a million connections at 600 bytes each");
static_assert(offsetof(struct tcp_conn, rx_head) == 64, "line 1");
static_assert(offsetof(struct tcp_conn, sent_head) == 128, "line 2");
static_assert(offsetof(struct tcp_conn, timer) == 192, "line 3");
static_assert(offsetof(struct tcp_conn, rtt_min_us) == 256, "line 4");

struct tcp_tw { // TIME-WAIT
	struct tcp_node node;
	struct base_list list; // tcp.tw
	uint32_t snd_nxt, ts_recent, expire_ms, oow_ms;
	uint16_t window;
	bool ts;
};
static_assert(sizeof(struct tcp_tw) <= 96, "small record");

// ---- one worker's TCP --------------------------------------------------------------------------
#define TCP_LISTEN_MAX 8

struct tcp {
	struct tcp_options opt;
	const struct tcp_cc_ops *cc;
	int meta_off;
	bool multi_segs;
	uint16_t tso_mbufs; // of a frame that the device cuts; 0: it cuts none
	bool pool_low;      // fewer than 1/16 of the mbufs are free
	bool iss_fixed;     // test hook: the next sequence numbers start at iss_next
	uint32_t iss_next;
	uint32_t offer; // options our SYNs carry: TCP_F_SACK, _TS, _WSCALE (tests take some away)
	uint32_t seg_room; // payload that fits a fresh mbuf
	uint64_t now_us;
	uint32_t now_ms; // low bits of now_us / 1000
	uint32_t drop_noted_ms;
	uint32_t pool_ms;                  // when pool_low was looked at
	uint64_t cookie_key[2], cookie_us; // when the last SYN cookie left; 0: never
	uint64_t isn_key[2], hash_key[4];
	struct tcp_table table;
	struct tcp_wheel wheel;
	struct base_list events, events_later, dirty, closed, ooo, bulks, tw;
	uint32_t conns, tw_count, tw_max;
	uint32_t mbufs_free;      // caches aside
	uint32_t queue_bytes_max; // share of the free mbufs that one queue may fill
	uint32_t queue_segs_min;  // so many segments it may hold in any case
	uint32_t sent_max;        // segments that may be in flight: what an acknowledgement walks
	uint32_t rx_mbufs_max;    // a connection, in order; out of order only what that leaves
	uint32_t port_next;
	uint8_t rcv_wscale;
	unsigned listens;
	uint16_t listen[TCP_LISTEN_MAX];
	struct tcp_conn *dsack_conn; // owes a report of a duplicate; NULL: nobody does
	struct tcp_range dsack;
	struct tcp_counters n;
};

static inline struct tcp_meta *tcp_meta(const struct tcp *tcp, struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD(m, tcp->meta_off, struct tcp_meta *);
}

// ---- one received segment ----------------------------------------------------------------------
#define TCP_O_MSS    0x01
#define TCP_O_WSCALE 0x02
#define TCP_O_SACKOK 0x04
#define TCP_O_TS     0x08

struct tcp_seg {
	struct rte_mbuf *m; // NULL once a queue has taken it
	struct tcp_key key;
	uint32_t seq, ack;
	uint32_t len;      // payload
	uint32_t data_off; // of the payload in m
	uint16_t wnd;      // as it came
	uint8_t flags;
	uint8_t opts;
	uint8_t ecn; // of the IP header
	uint16_t mss;
	uint8_t wscale;
	uint8_t sacks;
	uint32_t tsval, tsecr;
	struct tcp_range sack[TCP_SACK_BLOCKS];
};

static inline uint32_t tcp_key_ports(const struct tcp_key *key)
{
	return (uint32_t)rte_be_to_cpu_16(key->peer_port) << 16 | rte_be_to_cpu_16(key->local_port);
}

// For the flight recorder; c may be NULL.
static inline void tcp_note(struct tcp *tcp, enum flight_type type, unsigned a,
	const struct tcp_conn *c, uint32_t value)
{
	flight_event(tcp->opt.flight, type, a, c ? tcp_conn_mark(c) : 0, value);
}

// A segment that is dropped, one a millisecond at most: a flood does not push out all else.
static inline void tcp_drop_note(struct tcp *tcp, enum flight_drop why, const struct tcp_seg *s)
{
	if (tcp->drop_noted_ms == tcp->now_ms)
		return;
	tcp->drop_noted_ms = tcp->now_ms;
	tcp_note(tcp, FLIGHT_TCP_DROP, why, NULL, tcp_key_ports(&s->key));
}

static inline uint32_t meta_space(const struct tcp_meta *s)
{
	return s->len + !!(s->flags & TCP_M_FIN);
}

static inline uint32_t seg_space(const struct tcp_seg *s) // sequence numbers it takes
{
	return s->len + !!(s->flags & RTE_TCP_SYN_FLAG) + !!(s->flags & RTE_TCP_FIN_FLAG);
}

// ---- tcp_option.c ------------------------------------------------------------------------------
bool tcp_options_parse(struct tcp_seg *s, const uint8_t *p, uint32_t len);
uint32_t tcp_options_syn(uint8_t *p, uint16_t mss, bool sack, bool ts, bool wscale, uint8_t shift,
	uint32_t tsval, uint32_t tsecr);
uint32_t tcp_options_ts(uint8_t *p, uint32_t tsval, uint32_t tsecr);
// dsack: a duplicate to report first (RFC 2883), or NULL.
uint32_t tcp_options_sack(
	uint8_t *p, const struct tcp_range *dsack, const struct tcp_ooo *ooo, unsigned max);

// ---- tcp_table.c -------------------------------------------------------------------------------
int tcp_table_open(struct tcp *tcp, uint32_t nodes_max);
void tcp_table_close(struct tcp *tcp);
uint32_t tcp_table_hash(const struct tcp *tcp, const struct tcp_key *key);
struct tcp_node **tcp_table_bucket(const struct tcp_table *t, uint32_t hash);
struct tcp_node *tcp_table_find(const struct tcp *tcp, const struct tcp_key *key, uint32_t hash);
void tcp_table_add(struct tcp *tcp, struct tcp_node *n); // n->hash and n->key are set
void tcp_table_remove(struct tcp *tcp, struct tcp_node *n);
// A node in the buckets below that, the last of them first, or NULL: walks while all are removed,
// which moves nodes to lower buckets alone.
struct tcp_node *tcp_table_any(const struct tcp *tcp, uint32_t *below);

// ---- tcp_conn.c --------------------------------------------------------------------------------
struct tcp_conn *tcp_conn_new(struct tcp *tcp, const struct tcp_key *key);
// Out of the table, timers and lists; send and out-of-order queues freed; TCP_EV_CLOSED for the
// owner, or the end of c when the owner never saw it. c must not be used after.
void tcp_conn_end(struct tcp *tcp, struct tcp_conn *c);
void tcp_conn_reset(struct tcp *tcp, struct tcp_conn *c); // tells the peer, and ends it
void tcp_conn_free(struct tcp *tcp, struct tcp_conn *c);
void tcp_conn_event(struct tcp *tcp, struct tcp_conn *c, unsigned events);
void tcp_conn_dirty(struct tcp *tcp, struct tcp_conn *c);
// SYN-SENT or SYN-RECEIVED to ESTABLISHED. False: no room for it; reset and gone.
bool tcp_conn_establish(struct tcp *tcp, struct tcp_conn *c);

// ---- tcp_timer.c -------------------------------------------------------------------------------
void tcp_wheel_open(struct tcp_wheel *w);
void tcp_time_set(struct tcp *tcp, uint64_t now_us);
void tcp_timer_arm(struct tcp *tcp, struct tcp_conn *c, enum tcp_timer t, uint64_t delay_us);
void tcp_timer_stop(struct tcp_conn *c, enum tcp_timer t);
void tcp_timer_remove(struct tcp_conn *c); // off the wheel
static inline bool tcp_timer_armed(const struct tcp_conn *c, enum tcp_timer t)
{
	return c->timers & (1u << t);
}

// ---- tcp_timeout.c: what a timer does. False: c is gone ----------------------------------------
bool tcp_timeout(struct tcp *tcp, struct tcp_conn *c, enum tcp_timer t);
// For what is in flight: the loss probe from now on, or the retransmission unless that is armed.
void tcp_rtx_arm(struct tcp *tcp, struct tcp_conn *c);
uint64_t tcp_keep_delay_us(const struct tcp *tcp, const struct tcp_conn *c);

// ---- tcp_handshake.c ---------------------------------------------------------------------------
void tcp_listen_input(struct tcp *tcp, struct tcp_seg *s, const uint32_t *iss_after);
// A segment of no connection, to a port where nobody listens.
void tcp_stray_input(struct tcp *tcp, const struct tcp_seg *s);
void tcp_syn_sent_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s);
// A half-open connection for a SYN, whose answer is yet to leave. NULL: no memory.
struct tcp_conn *tcp_passive_open(struct tcp *tcp, const struct tcp_seg *syn, uint32_t iss);
void tcp_syn_take(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s); // the peer's SYN
bool tcp_syn_rcvd_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s);
uint32_t tcp_iss(struct tcp *tcp, const struct tcp_key *key);
uint32_t tcp_ts_offset(const struct tcp *tcp, const struct tcp_key *key);
bool tcp_listening(const struct tcp *tcp, rte_be16_t port);

// ---- tcp_cookie.c ------------------------------------------------------------------------------
void tcp_cookie_answer(struct tcp *tcp, const struct tcp_seg *s); // a SYN, without keeping state
// An ACK of no connection. Not NULL: it answers a cookie, and belongs to this half-open connection.
struct tcp_conn *tcp_cookie_input(struct tcp *tcp, const struct tcp_seg *s);

// ---- tcp_rcv.c: what a queue may hold ----------------------------------------------------------
void tcp_pool_look(struct tcp *tcp);
static inline uint32_t tcp_queue_max(const struct tcp *tcp, const struct tcp_conn *c)
{
	return RTE_MAX(tcp->queue_bytes_max, tcp->queue_segs_min * RTE_MAX(c->mss, c->rcv_mss));
}
bool tcp_sent_fits(struct tcp *tcp, const struct tcp_conn *c); // one more segment in flight

// ---- tcp_input.c -------------------------------------------------------------------------------
void tcp_conn_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s);
void tcp_answer_limited(struct tcp *tcp, struct tcp_conn *c); // an ACK, at most one in 500 ms
// Data and FIN of an acceptable segment. False: c is gone.
bool tcp_text_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s);

// ---- tcp_ack.c ---------------------------------------------------------------------------------
enum tcp_ack_result { TCP_ACK_OK, TCP_ACK_BAD, TCP_ACK_GONE };
enum tcp_ack_result tcp_ack_input(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s);
// The same for the next segment of a connection that lost nothing of late and whose window stays.
void tcp_ack_expected(struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s);
void tcp_window_update(struct tcp_conn *c, const struct tcp_seg *s);

// What one acknowledgement did.
struct tcp_acked {
	const struct tcp_seg *seg;
	uint32_t bytes;      // beyond snd_una
	uint32_t delivered;  // newly known to have arrived, by SACK too
	uint32_t sent_us;    // of the first that was sent once
	uint32_t again_us;   // of the last that was sent again
	uint32_t prior_fack; // rack.fack before it
	uint32_t sack_top;   // end of the highest SACK block
	bool sampled, again, fin;
	bool dsack; // it reports a duplicate
};

// ---- tcp_sack.c: the sender's side -------------------------------------------------------------
// Marks what the blocks cover. Returns the bytes newly marked.
uint32_t tcp_sack_input(struct tcp *tcp, struct tcp_conn *c, struct tcp_acked *a);
void tcp_loss_mark(struct tcp_conn *c, struct tcp_meta *s);
void tcp_loss_mark_head(struct tcp *tcp, struct tcp_conn *c);  // the first segment
void tcp_loss_mark_all(struct tcp *tcp, struct tcp_conn *c);   // a timeout, or the peer reneged
void tcp_loss_unmark_all(struct tcp *tcp, struct tcp_conn *c); // it was for nothing
void tcp_meta_unmark(struct tcp_conn *c, struct tcp_meta *s);

// ---- tcp_ecn.c ---------------------------------------------------------------------------------
uint8_t tcp_ecn_syn_flags(const struct tcp_conn *c); // what our SYN or SYN-ACK asks or agrees to
void tcp_ecn_agree(struct tcp_conn *c, const struct tcp_seg *s);
void tcp_ecn_echo(struct tcp *tcp, struct tcp_conn *c); // an ACK tells of marks on what we sent
void tcp_ecn_mark(
	struct tcp *tcp, struct tcp_conn *c, const struct tcp_seg *s); // marks on the peer's

// ---- tcp_rack.c: what is lost, by time (RFC 8985) ----------------------------------------------
// A segment arrived, for the first time that we hear of.
void tcp_rack_delivered(
	struct tcp *tcp, struct tcp_conn *c, const struct tcp_meta *s, struct tcp_acked *a);
// A duplicate was reported.
void tcp_rack_dsack(struct tcp_conn *c);
// Marks what is lost, and arms the timer for what may be soon. True: so is a retransmission that
// went after the window was cut.
bool tcp_rack_detect(struct tcp *tcp, struct tcp_conn *c);
// Whether the time for its arrival, and for its being overtaken, is over.
bool tcp_rack_overdue(const struct tcp *tcp, const struct tcp_conn *c, const struct tcp_meta *s);

// ---- tcp_recovery.c ----------------------------------------------------------------------------
bool tcp_recovery_enter(struct tcp *tcp, struct tcp_conn *c); // false: no memory
void tcp_recovery_leave(struct tcp_conn *c);
void tcp_recovery_deepen(struct tcp *tcp, struct tcp_conn *c); // another sign of congestion
// How much may be sent for what has arrived (RFC 6937).
void tcp_recovery_pace(struct tcp_conn *c, const struct tcp_acked *a);
// What a cut is from is kept, and goes back there when it was for nothing.
void tcp_undo_save(struct tcp_conn *c);
void tcp_undo_again(struct tcp *tcp, struct tcp_conn *c); // a retransmission leaves
void tcp_undo_try(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a);
void tcp_undo(struct tcp *tcp, struct tcp_conn *c); // the last cut was for nothing

// ---- tcp_frto.c: needless timeouts (RFC 5682) --------------------------------------------------
// A first timeout; c->bulk is there, for these three.
void tcp_frto_start(const struct tcp *tcp, struct tcp_conn *c);
// After an acknowledgement has emptied the sent queue and marked it.
void tcp_frto_judge(struct tcp *tcp, struct tcp_conn *c, const struct tcp_acked *a);
// Before output: sends the new segments when they are due. True: nothing else may leave yet.
bool tcp_frto_holds(struct tcp *tcp, struct tcp_conn *c);

static inline uint32_t tcp_flight(const struct tcp_conn *c)
{
	return c->snd_nxt - c->snd_una;
}

static inline uint32_t tcp_pipe(const struct tcp_conn *c) // RFC 6675 section 4
{
	uint32_t out = tcp_flight(c) + c->retrans_bytes;
	uint32_t gone = c->sacked_bytes + c->lost_bytes;

	return out > gone ? out - gone : 0;
}

// ---- tcp_rtt.c ---------------------------------------------------------------------------------
void tcp_rtt_init(struct tcp *tcp, struct tcp_conn *c);
void tcp_rtt_sample(struct tcp *tcp, struct tcp_conn *c, uint32_t rtt_us);
uint32_t tcp_rto_us(const struct tcp_conn *c); // with backoff
#define TCP_RTO_INIT_US 1000000u
#define TCP_RTO_SYN_US  3000000u // once a SYN was lost
#define TCP_RTO_MAX_US  60000000u

// ---- tcp_rcv.c ---------------------------------------------------------------------------------
void tcp_rcv_append(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m);
bool tcp_rcv_merge(struct rte_mbuf *tail, const struct rte_mbuf *m); // copies into tail's tailroom
void tcp_rcv_free(struct tcp_conn *c);
bool tcp_rcv_fits(const struct tcp *tcp, const struct tcp_conn *c, unsigned mbufs); // in order
uint16_t tcp_rcv_window(struct tcp *tcp, struct tcp_conn *c); // the field of the next segment
// Keeps `len` bytes from `off` on: frees the rest of the chain. Returns its head; len > 0.
struct rte_mbuf *tcp_mbuf_slice(struct rte_mbuf *m, uint32_t off, uint32_t len);
unsigned tcp_mbuf_count(const struct rte_mbuf *m);

// ---- tcp_ooo.c ---------------------------------------------------------------------------------
// A segment told of the first `blocks` SACK blocks.
void tcp_ooo_told(struct tcp_conn *c, unsigned blocks);
void tcp_ooo_add(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s);
void tcp_ooo_drain(struct tcp *tcp, struct tcp_conn *c); // moves what is in order now
void tcp_ooo_free(struct tcp *tcp, struct tcp_conn *c);
void tcp_ooo_prune(struct tcp *tcp); // when mbufs are scarce
// [start, end) came again: the next ACK says so (RFC 2883).
void tcp_dsack_note(struct tcp *tcp, struct tcp_conn *c, uint32_t start, uint32_t end);

// ---- tcp_segment.c -----------------------------------------------------------------------------
// Cuts at most
// `want` bytes off the unsent queue as one chain with headroom. NULL: no mbuf.
struct rte_mbuf *tcp_segment_cut(struct tcp *tcp, struct tcp_conn *c, uint32_t want);
void tcp_unsent_append(struct tcp_conn *c, struct rte_mbuf *chain);
void tcp_unsent_free(struct tcp_conn *c);
void tcp_sent_append(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m);
void tcp_sent_free(struct tcp *tcp, struct tcp_conn *c);
// One segment of the sent queue: frees its own mbufs alone, counts what they hold, takes it out of
// the frame that it left in (every reference but the queue's is back).
void tcp_sent_one_free(const struct tcp *tcp, struct rte_mbuf *m);
uint32_t tcp_sent_one_bytes(const struct tcp *tcp, const struct rte_mbuf *m);
void tcp_sent_one_part(const struct tcp *tcp, struct rte_mbuf *m);
// Makes one frame of the segments from m to the end of the queue, none of them sent before.
void tcp_sent_join(const struct tcp *tcp, struct rte_mbuf *m);

// ---- tcp_xmit.c: one segment out ---------------------------------------------------------------
// From m to the end of the sent queue, in one frame: one segment, or several that the device cuts.
#define TCP_TSO_BYTES (UINT16_MAX - 40 - TCP_HEADER_MAX)
void tcp_xmit_first(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m);
bool tcp_xmit_again(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m); // false: no mbuf
bool tcp_xmit_ack(struct tcp *tcp, struct tcp_conn *c);
bool tcp_xmit_probe(
	struct tcp *tcp, struct tcp_conn *c);           // an old sequence number: must be answered
bool tcp_xmit_syn(struct tcp *tcp, struct tcp_conn *c); // SYN or SYN-ACK by state
void tcp_xmit_reset(struct tcp *tcp, struct tcp_conn *c);
void tcp_xmit_reset_reply(struct tcp *tcp, const struct tcp_seg *s); // RFC 9293 3.10.7.1
void tcp_xmit_tw_ack(struct tcp *tcp, const struct tcp_tw *tw);

// ---- tcp_pmtu.c: path MTU discovery ------------------------------------------------------------
// Payload and options of a segment that fits the path as far as it is known.
uint32_t tcp_pmtu_mss(struct tcp *tcp, const struct tcp_conn *c);
// A timeout, c->retries of them in a row: a path that swallows large segments?
void tcp_pmtu_hole(struct tcp *tcp, struct tcp_conn *c);
// Once what was learned is ten minutes old; c->bulk is there.
void tcp_pmtu_raise(const struct tcp *tcp, struct tcp_conn *c);
// Makes two of m, whose payload is over c->mss; before: its predecessor on the sent queue. Returns
// the first of them; NULL: no mbuf, nothing changed.
struct rte_mbuf *tcp_sent_split(
	struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *before, struct rte_mbuf *m);

// ---- tcp_output.c ------------------------------------------------------------------------------
// One segment of new data whatever the congestion window. False: there is none, or no room at the
// peer.
bool tcp_output_one(struct tcp *tcp, struct tcp_conn *c);
bool tcp_output(struct tcp *tcp, struct tcp_conn *c);          // false: short of mbufs, try again
void tcp_output_override(struct tcp *tcp, struct tcp_conn *c); // persist: whatever the window takes

// ---- tcp_timewait.c ----------------------------------------------------------------------------
void tcp_timewait_enter(struct tcp *tcp, struct tcp_conn *c); // c ends
void tcp_timewait_input(struct tcp *tcp, struct tcp_tw *tw, struct tcp_seg *s);
unsigned tcp_timewait_expire(struct tcp *tcp, unsigned max); // returns how many went
void tcp_timewait_remove(struct tcp *tcp, struct tcp_tw *tw);
