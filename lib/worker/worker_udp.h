// SPDX-License-Identifier: BSD-3-Clause
// Inside worker: datagrams, plain gets over UDP on a path of their own, and who may talk to this
// worker, over UDP and TCP.
#pragma once

#include "worker/worker_internal.h"

// ---- worker_udp.c ------------------------------------------------------------------------------
int worker_dgrams_open(struct worker *w);
void worker_dgrams_close(struct worker *w);
// Takes m and parses its requests; they are executed by worker_udp_run, in the same turn.
void worker_udp_input(struct worker *w, struct rte_mbuf *m, const struct net_packet *pkt);
void worker_udp_run(struct worker *w);

// Whether UDP is served on this port.
static inline bool worker_udp_port_own(const struct worker *w, uint16_t port)
{
	const struct worker_settings *s = w->settings;

	if (base_likely(!s->udp_shard_ports))
		return s->udp_port != 0 && port == s->udp_port;
	return port >= s->udp_port && port - s->udp_port < (int)w->count;
}

// ---- worker_access.c ---------------------------------------------------------------------------
void worker_access_open(struct worker *w, uint64_t seed);
void worker_access_close(struct worker *w);
// The orders have changed.
void worker_access_apply(struct worker *w);
// As tcp_options.admit.
enum tcp_admission worker_access_admit(void *arg, const struct base_ip *src);
enum worker_entry {
	WORKER_ENTRY_OPEN,
	WORKER_ENTRY_TELL,  // refused, and told so
	WORKER_ENTRY_RESET, // refused
};
// Whether a client may have one more connection; *counted: for its source.
enum worker_entry worker_access_conn(struct worker *w, const struct tcp_conn *t, bool *counted);
// One that was WORKER_ENTRY_OPEN is no more.
void worker_access_conn_gone(struct worker *w, const struct tcp_conn *t, bool counted);
// A look at a connection, now and then. False: it is gone.
bool worker_access_check(struct worker *w, struct worker_conn *c);
// Whether a source of UDP gets any answer; one that does not is counted.
bool worker_udp_may_talk(struct worker *w, const struct base_ip *src);
// Bytes that the answer to a datagram may take. False: there is to be none (counted).
bool worker_udp_budget(struct worker *w, const struct net_packet *pkt, uint32_t *budget);
// False: it may not, which is counted.
bool worker_udp_may_send(
	struct worker *w, const struct worker_dgram *d, const struct worker_out *o);
bool worker_udp_trusts_4(struct worker *w, uint32_t src);

static inline uint32_t *worker_udp_known_at(struct worker *w, uint32_t src)
{
	return &w->udp_known[(src * UINT32_C(0x9e3779b1)) >> 24 & (WORKER_UDP_KNOWN - 1)];
}

// Whether answers to a source of IPv4 have no limit. 0 is none's.
static inline bool worker_udp_trusts(struct worker *w, uint32_t src)
{
	return w->udp_open || *worker_udp_known_at(w, src) == src || worker_udp_trusts_4(w, src);
}

// ---- worker_quick.c: plain gets of this shard's keys over UDP ----------------------------------
// Takes m when it is one; answered by worker_quick_run, in the same turn.
bool worker_quick_input(struct worker *w, struct rte_mbuf *m);
// Takes what another worker's worker_quick_input has passed on.
void worker_quick_passed(struct worker *w, struct rte_mbuf *m);
// What it has looked at is marked on its way. Buffers are aligned.
#define WORKER_FRAME_QUICK UINT64_C(1)
static inline void *worker_frame_mark(struct rte_mbuf *m)
{
	return (char *)m + WORKER_FRAME_QUICK;
}
static inline bool worker_frame_marked(const void *p)
{
	return (uintptr_t)p & WORKER_FRAME_QUICK;
}
static inline struct rte_mbuf *worker_frame_bare(void *p)
{
	return (struct rte_mbuf *)((uintptr_t)p & ~(uintptr_t)WORKER_FRAME_QUICK);
}
void worker_quick_run(struct worker *w);
void worker_dgram_resume(struct worker *w, struct worker_dgram *d);
