// SPDX-License-Identifier: BSD-3-Clause
// What the files of the packet-script runner share. A script's language: docs/testing.md.
//
// One stack (lib/net, lib/tcp) in virtual time, and the wire in the script's hands: frames go in
// whole and are looked at whole. Up to PKT_PEERS peers of one host, by port.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "base/base.h"
#include "mem/mem.h"
#include "net/net.h"
#include "tcp/tcp.h"

#define PKT_PEERS     64
#define PKT_PEER_PORT 40000u // of peer 0
#define PKT_PORT      11211u
#define PKT_SEGS      512
#define PKT_BLOCKS    4
#define PKT_LINE      512
#define PKT_LINES     4096
#define PKT_MLDS      64

// One segment as the wire has it; numbers are absolute.
struct pkt_seg {
	uint64_t at_us;
	uint16_t peer_port;
	uint8_t flags, ip_ecn;
	uint32_t seq, ack, len;
	uint16_t wnd, urgent;
	uint16_t mss;    // 0: none
	int8_t wscale;   // -1: none
	uint8_t sack_ok; // 0 or 1
	bool ts;
	uint32_t tsval, tsecr;
	uint8_t blocks;
	uint32_t block[PKT_BLOCKS][2];
	bool bad_sum, bad_data; // of ours: the checksum, or what the payload should be
	bool syn_cut;           // options that cannot be parsed
};

// A report of ours.
struct pkt_mld {
	uint64_t at_us;
	bool v1, from_nobody;
	uint8_t record; // version 2: the type of its records
	unsigned groups;
	const char *fault; // NULL: it is as it should be
};

// How a segment of the script's is spoilt.
struct pkt_spoil {
	bool checksum;
	int data_off; // of the header, in words; -1: right
	int cut;      // bytes missing at its end
	uint8_t option[40];
	uint8_t option_len;
};

struct pkt_peer {
	uint16_t port;
	uint32_t irs, iss; // first sequence numbers: the peer's, and ours towards it
	bool iss_known;
	bool offered_ts, ts_on;
	uint32_t ts_first;  // our first TSval: ours are told from it
	uint32_t tsval_in;  // our latest
	uint32_t sent_high; // peer's sequence: where its next segment begins unless told
	uint32_t ack_high;  // what of ours has been seen, the default acknowledgement
	uint32_t written;   // bytes the application has sent
	uint32_t read;      // ... and taken
	struct tcp_conn *conn;
	unsigned events;
};

struct pkt_lab {
	struct mem_domain *mem;
	struct rte_mempool *pool; // made by the first case, for all
	struct net_tx tx;
	struct net *net;
	struct tcp *tcp;
	struct tcp_options options;
	uint16_t mtu;
	uint32_t irs;
	bool iss_set;
	uint32_t iss;
	uint64_t now_us, next_us, start_us, step_us; // step_us: when the last step ended
	struct pkt_peer peer[PKT_PEERS];
	struct pkt_peer *at; // the one the script speaks of
	struct pkt_seg out[PKT_SEGS];
	unsigned outs, seen;
	void (*look)(const struct pkt_seg *s); // at each as it leaves; NULL: pkt_next tells of them
	struct pkt_seg last;                   // the latest of ours: what an ICMP error quotes
	unsigned icmp_seen;
	bool has_ip6; // fd00::1, and a link-local address; checked from the start
	struct base_ip ip6;
	struct rte_ether_addr mac;
	struct pkt_mld mld_out[PKT_MLDS];
	unsigned mld_outs, mld_seen;
	bool open;
	bool verbose;
	bool release; // what is closed is released at once, without a line of the script's
};

// ---- pkt_lab.c ----
int pkt_eal_start(const char *what); // < 0: it does not start
void pkt_lab_open(struct pkt_lab *lab);
// NULL, or what was not given back.
const char *pkt_lab_close(struct pkt_lab *lab);
void pkt_lab_turn(struct pkt_lab *lab);
// Until `until_us`, or until a segment waits to be looked at.
void pkt_lab_advance(struct pkt_lab *lab, uint64_t until_us, bool stop_at_segment);
// Until then, whatever is sent.
void pkt_lab_pass(struct pkt_lab *lab, uint64_t until_us);
void pkt_frame_in(struct pkt_lab *lab, const uint8_t *frame, uint32_t len);
void pkt_segment_in(struct pkt_lab *lab, const struct pkt_seg *s, const struct pkt_spoil *spoil);
// "Fragmentation needed" about the latest segment of ours, which began at `seq`.
void pkt_icmp_in(struct pkt_lab *lab, uint16_t mtu, uint32_t seq);
bool pkt_app_send(struct pkt_lab *lab, uint32_t bytes);
// Bytes that were there and right, up to `bytes`; -1: wrong ones.
int64_t pkt_app_read(struct pkt_lab *lab, uint32_t bytes);
const struct pkt_seg *pkt_next(struct pkt_lab *lab); // not yet looked at, or NULL

// ---- pkt_segment.c ----
uint32_t pkt_segment_build(const struct pkt_seg *s, const struct pkt_spoil *spoil,
	const struct pkt_lab *lab, uint8_t *frame);
bool pkt_segment_parse(const uint8_t *frame, uint32_t len, struct pkt_seg *s);
void pkt_segment_print(char *text, size_t size, const struct pkt_lab *lab, const struct pkt_seg *s);
uint8_t pkt_byte(uint32_t at); // what a stream has at that place

// ---- pkt_mld.c ----
// Keeps a report of ours; false: the frame is none.
bool pkt_mld_note(struct pkt_lab *lab, const uint8_t *frame, uint32_t len);
// "mld query ..." and "mld report ...": w[1] and on.
bool pkt_mld_step(struct pkt_lab *lab, bool timed, uint64_t low_us, uint64_t high_us, char **w,
	unsigned n, char *why, size_t size);

// ---- pkt_script.c ----
struct pkt_script {
	const char *path;
	char (*line)[PKT_LINE];
	unsigned lines;
};
bool pkt_script_read(struct pkt_script *sc, const char *path);
void pkt_script_free(struct pkt_script *sc);
// Runs all its cases; prints one line of TAP each. The number that failed.
unsigned pkt_script_run(const struct pkt_script *sc, struct pkt_lab *lab, unsigned *cases);

// ---- pkt_step.c ----
// One line of a case. false: `why` says what is wrong.
bool pkt_step(struct pkt_lab *lab, char *line, char *why, size_t size);

// ---- pkt_inject.c ----
bool pkt_inject(struct pkt_lab *lab, char **words, unsigned n, char *why, size_t size);

// ---- pkt_expect.c ----
bool pkt_expect_compare(struct pkt_lab *lab, const struct pkt_seg *s, char **words, unsigned n,
	char *why, size_t size);

// ---- pkt_words.c ----
unsigned pkt_words(char *line, char **words, unsigned max);
bool pkt_flags(const char *word, uint8_t *flags);
bool pkt_number(const char *word, int64_t *v);
bool pkt_within(const char *word, int64_t v); // "N", "A..B" or "*"
// "10ms", "1.5s", "200us", or "190..210ms".
bool pkt_time(const char *word, uint64_t *low_us, uint64_t *high_us);
