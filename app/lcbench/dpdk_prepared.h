// SPDX-License-Identifier: BSD-3-Clause
// --prepared: TCP requests in segments whose headers are made once, so that the client spends less
// on a request than the server. lib/tcp opens the connections and sets the keys; then each
// connection's last segment becomes its pattern, and what follows is sent and taken without
// lib/tcp:
//
//	pattern   Ethernet | IPv4 | TCP, options         from the last frame sent
//	patched              len,   seq, ack, flags,     snd_nxt, rcv_nxt as they were seen going by
//	                     sum    timestamp echo, sum
//
// No retransmission, no window: for a link that loses nothing, and requests that fit into the
// peer's receive buffer. A request without an answer for two seconds ends the run.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bench_client;
struct dpdk;
struct prepared;
struct rte_mbuf;

// 0 or -ENOMEM.
int prepared_open(struct prepared **p, struct dpdk *d);
void prepared_close(struct prepared *p); // NULL is fine
// A connection that lib/tcp has begun to open.
void prepared_add(struct prepared *p, const struct bench_client *c);
// Frames of lib/tcp's that go by.
void prepared_note_tx(struct prepared *p, const struct rte_mbuf *m);
void prepared_note_rx(struct prepared *p, const struct rte_mbuf *m);
// From now on, lib/tcp has no part in it.
void prepared_begin(struct prepared *p);
// Fetches what prepared_input will look at: frames whose headers are on their way already.
void prepared_fetch(struct prepared *p, struct rte_mbuf *const m[], unsigned n);
// A frame. False: none of these connections', and not taken.
bool prepared_input(struct prepared *p, struct rte_mbuf *m);
// After a burst: requests to those that were answered, acknowledgements to the others; and what the
// phase or the rate allows.
void prepared_turn(struct prepared *p);
// Resets the connections.
void prepared_end(struct prepared *p);
