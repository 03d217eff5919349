// SPDX-License-Identifier: BSD-3-Clause
// tcp_bulk: what a connection needs while it fills its congestion window or loses segments, and an
// idle one does not: congestion control and loss recovery. Made by the first acknowledgement that
// grows the window, or the first sign of a loss; given back after a minute without use.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

struct tcp;
struct tcp_conn;

// ---- slow start (RFC 9406) ---------------------------------------------------------------------
struct tcp_hystart {
	uint32_t round_end;      // acknowledging it ends the round
	uint32_t last_us, us;    // least round trip of the last and of this round; 0: none yet
	uint32_t css_us;         // ... when conservative slow start began; 0: it has not
	uint8_t samples, rounds; // of this round; of conservative slow start
	bool in_round;           // round_end holds
};

// ---- congestion avoidance ----------------------------------------------------------------------
struct tcp_cubic {         // RFC 9438, windows in bytes
	uint64_t epoch_us; // when congestion avoidance began; 0: with the next acknowledgement
	uint64_t grown_us; // the last acknowledgement that counted
	uint64_t est_part; // of w_est, below a byte
	uint32_t part;     // of the congestion window, below a byte
	uint32_t k_ms;     // from the epoch to w_max
	uint32_t w_max;
	uint32_t w_est;   // what Reno would have
	uint32_t w_prior; // before the last cut
	bool timed_out;   // the last cut was a timeout's
};

struct tcp_newreno {
	uint32_t acked; // bytes since the window last grew
};

union tcp_cc_state {
	struct tcp_cubic cubic;
	struct tcp_newreno newreno;
};

struct tcp_cc_ops {
	const char *name;
	// Congestion avoidance: `bytes` were acknowledged while the window was what limits.
	void (*avoid)(struct tcp *tcp, struct tcp_conn *c, uint32_t bytes);
	// A sign of congestion for a window of so many bytes: the slow-start threshold from now on.
	uint32_t (*cut)(struct tcp *tcp, struct tcp_conn *c, uint32_t window, bool timeout);
};

extern const struct tcp_cc_ops tcp_cc_newreno, tcp_cc_cubic;

#define TCP_CWND_MAX (1u << 30)

// ---- loss recovery -----------------------------------------------------------------------------
struct tcp_rack {                  // RFC 8985 section 5
	uint32_t sent_us, end_seq; // the latest-sent segment that is known to have arrived
	uint32_t rtt_us;           // of what arrived last
	uint32_t fack;             // the highest that is known to have arrived
	uint32_t round_end;        // until it is acknowledged, reports of duplicates count once
	uint8_t reo_mult;          // of the reordering window, a quarter of the least round trip
	uint8_t reo_persist;       // recoveries until that is one again
	bool valid;                // something has arrived since this struct was made
	bool reordering;           // seen
	bool in_round;             // round_end holds
};

struct tcp_prr { // RFC 6937: bytes, from the beginning of fast recovery on
	uint32_t delivered, out, flight;
};

enum tcp_frto { // what a timeout waits for, to be judged (RFC 5682)
	TCP_FRTO_OFF,
	TCP_FRTO_HEAD,  // the acknowledgement of the first segment, which went again
	TCP_FRTO_NEW,   // new data, to be sent
	TCP_FRTO_JUDGE, // the next acknowledgement
};

struct tcp_undo { // what a cut was from, to go back there if it was for nothing
	uint32_t cwnd, ssthresh;
	uint32_t una;      // when it was made
	uint32_t first_ms; // the first retransmission
	uint32_t again;    // retransmissions not reported as duplicates
	bool valid, any;   // any: something was sent again
	uint8_t frto;      // enum tcp_frto
	union tcp_cc_state cc;
};

// ---- tcp_bulk.c --------------------------------------------------------------------------------
struct tcp_bulk {
	struct base_list node; // of tcp.bulks: the longest unused first
	struct tcp_conn *conn;
	uint32_t used_ms;
	uint32_t flight_ms;               // since when flight_max has been looked for
	uint32_t flight_max, flight_last; // most that was out in this second and the one before
	uint32_t recover;                 // snd_nxt when recovery began
	uint32_t cut_us;                  // when the congestion window was last cut for a loss
	uint32_t probe_end, probe_ms;     // what acknowledges the loss probe, and when it went
	uint32_t ecn_end;  // until it is acknowledged, echoes of marks tell nothing new
	bool probe_again;  // it was a retransmission
	bool ecn_cut;      // ecn_end holds
	uint16_t mss_full; // before the path was found to be narrower; 0: it was not
	uint32_t mss_ms;   // ... when
	struct tcp_rack rack;
	struct tcp_prr prr;
	struct tcp_undo undo;
	struct tcp_hystart hystart;
	union tcp_cc_state cc;
};

// NULL: no memory. The connection then does without: no growth beyond slow start, no fast recovery.
struct tcp_bulk *tcp_bulk_get(struct tcp *tcp, struct tcp_conn *c);
void tcp_bulk_free(struct tcp *tcp, struct tcp_conn *c);
void tcp_bulk_expire(struct tcp *tcp); // those unused for a minute, some a call

// ---- tcp_cc.c ----------------------------------------------------------------------------------
const struct tcp_cc_ops *tcp_cc_find(const char *name); // NULL: unknown
uint32_t tcp_cc_initial_window(const struct tcp_conn *c);
void tcp_cc_init(struct tcp_conn *c);
// Bytes newly acknowledged outside of fast recovery, while the window is what limits. rtt_us: the
// sample of this acknowledgement, 0: none.
void tcp_cc_acked(struct tcp *tcp, struct tcp_conn *c, uint32_t bytes, uint32_t rtt_us);
// Congestion: cuts ssthresh, from a window of so many bytes; the caller sets the window.
void tcp_cc_cut(struct tcp *tcp, struct tcp_conn *c, uint32_t window, bool timeout);
// The congestion window as far as it was tested within a second or two (RFC 7661's pipeACK).
uint32_t tcp_cc_tested(const struct tcp_conn *c);
void tcp_cc_flight_note(const struct tcp *tcp, struct tcp_conn *c); // before an ACK counts

// ---- tcp_cc_hystart.c --------------------------------------------------------------------------
// How much the window grows for `bytes` in slow start. May end it.
uint32_t tcp_hystart_grow(struct tcp_conn *c, struct tcp_bulk *b, uint32_t bytes, uint32_t rtt_us);
