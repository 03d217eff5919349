// SPDX-License-Identifier: BSD-3-Clause
// sim: whole servers, workers and control core, in one thread and virtual time; a link that loses,
// repeats, reorders, corrupts, cuts and delays; clients with a stack of their own that are checked
// against a model of memcached. One seed is one run. See docs/modules/sim.md.
#pragma once

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "control/control_internal.h"
#include "worker/worker_admin.h"

#define SIM_WORKERS     4
#define SIM_HOSTS       3
#define SIM_CLIENTS     10
#define SIM_DGRAM_USERS 3
#define SIM_FRAME_BYTES 1600
#define SIM_RX_RING     1024
#define SIM_TX_RING     256
#define SIM_POOLS       2 // sizes of packet pools that a seed may choose
#define SIM_PORT        11211
#define SIM_WALL_S      1700000000
#define SIM_SERVER_IP   rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 1))

struct sim;

// ---- configuration: all of it follows from the seed (sim_config.c) -----------------------------
struct sim_link_config { // parts of a million, and microseconds
	uint32_t loss, dup, reorder, corrupt, old;
	uint64_t delay_us, jitter_us, reorder_us;
	uint64_t outage_every_us, outage_us; // nothing passes for so long; 0: never
	uint32_t bytes_ms;                   // of each direction; 0: no limit
	uint16_t cut_bytes;                  // IP payload that a router on the way passes whole
};

struct sim_config {
	uint64_t seed;
	unsigned workers, queues;
	enum port_spread spread;
	unsigned credits, frames, pool;
	uint64_t maxmemory_bytes, item_bytes_max;
	unsigned policy, lazyfree, hz;
	bool expire_index;
	bool defrag; // every item is moved, again and again
	bool roomy;  // nothing has to be evicted, ever
	uint32_t query_bytes, output_bytes;
	uint16_t mtu;
	bool tx_checksums, rx_checksums, multi_segs, tx_keeps, tx_short;
	uint16_t tso_mbufs; // of a frame that the device cuts; 0: none
	bool lro;           // it joins segments that come together
	uint64_t step_us;
	struct sim_link_config link;
	unsigned hosts, clients, dgram_users;
	unsigned requests; // a client
	unsigned pipeline; // most requests under way
	uint32_t value_max;
	bool churn, resets, flushes, stalls_reading, forged, live_config;
	uint32_t fault_memory, fault_pool,
		fault_stall; // parts of a million of virtual milliseconds
};

void sim_config_make(struct sim_config *c, uint64_t seed);
void sim_config_print(const struct sim_config *c);

// ---- frames on their way (sim_link.c) ----------------------------------------------------------
#define SIM_TO_SERVER 0 // host i is i + 1

struct sim_frame {
	uint64_t at_us, order;
	uint16_t len;
	uint8_t to;
	bool forged; // not sent by anybody
	bool part;   // of a packet that was cut
	uint8_t data[SIM_FRAME_BYTES];
};

#define SIM_FRAMES 8192

struct sim_link {
	struct base_rng rng;
	struct sim_frame *frame;                                // all of them
	struct sim_frame *heap[SIM_FRAMES], *spare[SIM_FRAMES]; // on their way; free
	unsigned count, spares;
	uint64_t order;
	uint64_t free_us[SIM_HOSTS + 1]; // when the way out of a party is free again
	uint64_t outage_from_us, outage_until_us;
	unsigned outages;
	bool calm; // no loss and no delay beyond the least: the end of a run
	uint64_t sent, lost, repeated, corrupted, delivered, forged, missed, joined, cut;
};

void sim_link_open(struct sim *s);
void sim_link_close(struct sim *s);
// A party sends a frame; the bytes are copied.
void sim_link_send(struct sim *s, unsigned from, const uint8_t *data, uint16_t len);
// Everything that is due.
void sim_link_deliver(struct sim *s);
uint64_t sim_link_next_us(const struct sim *s); // UINT64_MAX: the link is empty
uint64_t sim_link_delay_max_us(const struct sim *s);
struct sim_frame *sim_frame_new(struct sim *s, unsigned to, const uint8_t *data, uint16_t len);
void sim_frame_push(struct sim *s, struct sim_frame *f, uint64_t at_us);
// Frames that nobody sent, made from one that passes (sim_forge.c).
void sim_forge(struct sim *s, const struct sim_frame *f);

// ---- what is seen on the wire (sim_trace.c, sim_watch.c) ---------------------------------------
enum sim_event { SIM_SENT, SIM_LOST, SIM_DELIVERED, SIM_MISSED, SIM_FORGED };

struct sim_trace {
	uint64_t hash; // of every event of the run
	FILE *text, *pcap;
};

void sim_trace(
	struct sim *s, enum sim_event what, unsigned party, const uint8_t *data, uint16_t len);
void sim_trace_note(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
FILE *sim_pcap_open(const char *path);

struct sim_watch;
struct sim_watch *sim_watch_open(struct sim *s);
void sim_watch_close(struct sim *s);
void sim_watch_sent(struct sim *s, unsigned party, const uint8_t *data, uint16_t len);
void sim_watch_delivered(struct sim *s, unsigned to, const uint8_t *data, uint16_t len);
void sim_watch_overdue(struct sim *s); // now and then
// What the server has of a client's stream, as a sequence number behind it. False: unknown.
bool sim_watch_next_seq(struct sim *s, const uint8_t *data, uint16_t len, uint32_t *seq);

// ---- the server (sim_server.c, sim_nic.c, sim_fault.c, sim_ledger.c) ---------------------------
struct sim_queue { // of the server's device
	struct sim *sim;
	struct rte_mempool *pool;
	struct rte_mbuf *in[SIM_RX_RING];
	unsigned head, tail;
	struct rte_mbuf *sent[SIM_TX_RING]; // sent, not yet given back
	unsigned sent_at;
};

struct sim_server {
	struct base_rng rng;
	struct worker_group *group;
	struct worker *w[SIM_WORKERS];
	struct mem_domain *mem[SIM_WORKERS], *control_mem;
	struct control_config config;
	struct control *control;
	struct port port;
	struct port_config net;
	struct worker_settings settings;
	struct sim_queue queue[SIM_WORKERS];
	struct rte_mbuf *scratch; // to look a frame's worker up with
	uint64_t tick_us;
	bool busy; // the last turn found something to do
	bool draining;
	uint64_t start_bytes[MEM_CLASSES]; // of all workers, before the first client
	uint64_t evicted, expired;         // seen at the last look
};

struct sim_fault {
	struct base_rng rng;
	bool on; // may begin new ones
	bool memory[SIM_WORKERS];
	uint64_t memory_until_us[SIM_WORKERS], pool_until_us[SIM_WORKERS],
		stall_until_us[SIM_WORKERS];
	struct rte_mbuf **held[SIM_WORKERS]; // taken out of the pools
	unsigned held_count[SIM_WORKERS];
	uint64_t look_us, last_us; // when one was active last
	uint64_t refusals, pools, stalls;
};

void sim_server_open(struct sim *s);
void sim_server_turn(struct sim *s);
uint64_t sim_server_next_us(const struct sim *s);
void sim_server_drain(struct sim *s);
void sim_server_close(struct sim *s);
struct worker_counters sim_server_counters(struct sim *s); // of all workers, as of now
void sim_nic_open(struct sim *s);
void sim_nic_deliver(struct sim *s, const struct sim_frame *f);
void sim_nic_empty(struct sim *s);

void sim_fault_open(struct sim *s);
void sim_fault_turn(struct sim *s);
void sim_fault_end(struct sim *s); // no more of them
void sim_fault_close(struct sim *s);
bool sim_fault_possible(const struct sim *s); // allocations may fail in this run

void sim_ledger_open(struct sim *s);
void sim_ledger_check(struct sim *s); // between turns, at any time
void sim_ledger_home(struct sim *s);  // nobody is connected, nothing is stored

// ---- the clients' hosts (sim_host.c) -----------------------------------------------------------
struct sim_host {
	struct sim *sim;
	unsigned id;
	struct rte_mempool *pool;
	struct net *net;
	struct tcp *tcp;
	struct net_tx tx;
	rte_be32_t ip;
	struct rte_ether_addr mac;
	uint64_t net_deadline_us;
};

void sim_hosts_open(struct sim *s);
void sim_hosts_close(struct sim *s);
void sim_host_deliver(struct sim *s, const struct sim_frame *f);
void sim_hosts_turn(struct sim *s);
uint64_t sim_hosts_next_us(const struct sim *s);

// ---- the model (sim_model.c): what a key must, may and must not be -----------------------------
// A stamp counts steps of the simulation. What a server did about a request, it did between the
// stamps of its sending and of its reply.
enum sim_is { SIM_ABSENT, SIM_PRESENT, SIM_MAYBE };

struct sim_key {
	enum sim_is is;
	bool counter; // holds a number
	bool cas_known;
	uint32_t len, room, flags;
	char *value;
	uint64_t number;
	uint64_t cas, cas_floor;     // as told; above which the next one lies
	uint64_t until_lo, until_hi; // deadline, seconds: not before, not after; 0: none
	uint64_t alive_from;         // stamp: it was there then or later
	uint64_t wrote_by;           // stamp: the last write was done by then
};

struct sim_flush {         // of the whole cache
	uint64_t from, to; // stamps; to UINT64_MAX: not known to be over
	uint64_t until_s;  // a delayed one may come until then; 0: at once
};

#define SIM_FLUSHES 64

struct sim_model {
	struct sim_flush flush[SIM_FLUSHES];
	unsigned flushes;
	uint64_t refusals, evictable_misses, checks;
};

struct sim_when {                   // a request's time
	uint64_t sent, replied;     // stamps
	uint64_t sent_s, replied_s; // seconds
};

bool sim_key_may_miss(struct sim *s, const struct sim_key *k, const struct sim_when *t);
bool sim_key_must_miss(struct sim *s, const struct sim_key *k, const struct sim_when *t);
// The reply says that it is not there, or is.
void sim_key_missed(struct sim *s, struct sim_key *k, const struct sim_when *t, const char *what);
void sim_key_met(struct sim *s, struct sim_key *k, const struct sim_when *t, const char *what);
// A write was carried out.
void sim_key_written(struct sim *s, struct sim_key *k, const struct sim_when *t);
void sim_key_expire_set(struct sim_key *k, const struct sim_when *t, int64_t exptime);
void sim_key_value_set(struct sim *s, struct sim_key *k, const char *p, uint32_t len);
void sim_key_join(struct sim *s, struct sim_key *k, const char *p, uint32_t len, bool append);
void sim_key_reset(struct sim *s, struct sim_key *k);
void sim_key_cas_check(struct sim *s, struct sim_key *k, uint64_t cas);
bool sim_refusal_possible(const struct sim *s); // of a store, for want of memory
void sim_refused(struct sim *s, const char *what);

// ---- keys that everybody writes (sim_shared.c) -------------------------------------------------
#define SIM_SHARED      8
#define SIM_SHARED_LOG  512
#define SIM_SHARED_HEAD 24

struct sim_write {
	uint64_t sent, replied; // stamps; UINT64_MAX: not known to be over
	uint32_t len;
};

struct sim_shared {
	struct sim_write log[SIM_SHARED_LOG];
	unsigned writes;
	bool lossy; // was deleted, or refused, or may expire: a miss is no fault
};

// A value that tells whose it is. Returns the write's number; NONE: there have been too many.
#define SIM_SHARED_NONE UINT32_MAX
uint32_t sim_shared_write(struct sim *s, unsigned key, uint32_t len, char *buf);
void sim_shared_written(struct sim *s, unsigned key, uint32_t write, bool stored);
void sim_shared_read(struct sim *s, unsigned key, uint64_t sent, const char *value, uint32_t len,
	uint32_t flags);
void sim_shared_missed(struct sim *s, unsigned key, uint64_t sent);

// ---- clients over TCP (sim_client.c, sim_request.c, sim_reply.c) -------------------------------
#define SIM_KEYS     8  // of a client's own
#define SIM_PIPELINE 40 // requests under way
#define SIM_MULTI    24 // keys of one get

enum sim_op_kind {
	SIM_OP_GET, // get, gets, gat, gats: `cas`, `touch`
	SIM_OP_STORE,
	SIM_OP_ARITH,
	SIM_OP_DELETE,
	SIM_OP_TOUCH,
	SIM_OP_FLUSH,
	SIM_OP_TEXT, // a reply that is known
	SIM_OP_STATS,
	SIM_OP_META_GET,
	SIM_OP_META_STORE,
	SIM_OP_META_DELETE,
	SIM_OP_META_ARITH,
	SIM_OP_NOOP,
};

struct sim_op {
	enum sim_op_kind kind;
	uint8_t mode; // 's' set, 'a' add, 'r' replace, 'A' append, 'P' prepend, 'c' cas
	bool noreply, quiet, cas, touch, decr, shared, compare;
	unsigned keys;
	uint8_t key[SIM_MULTI];
	uint32_t id; // its opaque
	uint32_t flags, len, write;
	uint64_t cas_value, delta;
	int64_t exptime;
	char *value; // len bytes; the sender's until the reply
	const char *text;
	int flush; // of the model; -1: none
	uint64_t sent, sent_s;
};

enum sim_client_state {
	SIM_CLIENT_OUT, // not connected
	SIM_CLIENT_CONNECTING,
	SIM_CLIENT_IN,
	SIM_CLIENT_LEAVING, // has sent quit or FIN, reads on
};

struct sim_client {
	struct sim *sim;
	struct sim_host *host;
	unsigned id;
	struct base_rng rng;
	enum sim_client_state state;
	struct tcp_conn *tcp;
	unsigned generation; // of its keys: anew when requests were lost with a connection
	struct sim_key key[SIM_KEYS];
	struct sim_op op[SIM_PIPELINE]; // a ring
	unsigned op_first, ops;
	uint32_t op_id;
	unsigned requests; // still to be made
	bool verifying, verified;
	char *in, *out;
	uint32_t in_len, in_room, out_at, out_len, out_room;
	uint64_t out_base; // bytes of the stream before out[0]
	bool deaf, quits, fin_seen;
	uint64_t act_us;      // when it does something next
	uint64_t progress_us; // when something came last
	uint64_t replies, resets, refused_conns;
};

void sim_clients_open(struct sim *s);
void sim_clients_close(struct sim *s);
void sim_clients_turn(struct sim *s);
uint64_t sim_clients_next_us(const struct sim *s);
bool sim_clients_done(const struct sim *s); // every script is over
void sim_clients_verify(struct sim *s);     // now read all keys, then leave
bool sim_clients_verified(const struct sim *s);
void sim_client_event(struct sim_client *c, unsigned events); // of its connection

// Appends one request to the client's output.
void sim_request_make(struct sim_client *c);
void sim_request_verify(struct sim_client *c);
struct sim_op *sim_op_new(struct sim_client *c, enum sim_op_kind kind);
void sim_op_free(struct sim_client *c, struct sim_op *op);
size_t sim_key_name(const struct sim_client *c, const struct sim_op *op, unsigned i, char *buf);
void sim_client_write(struct sim_client *c, const void *p, uint32_t n);
void sim_client_printf(struct sim_client *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sim_bytes_fill(struct base_rng *rng, char *p, uint32_t len);
void sim_meta_make(struct sim_client *c);
void sim_store_make(struct sim_client *c, struct sim_op *op); // all but how it is written
int64_t sim_exptime_pick(struct sim_client *c);

// Takes what replies are whole from the client's input.
void sim_replies_take(struct sim_client *c);
// One whole reply: checked against the model, which follows it.
void sim_reply_text(struct sim_client *c, struct sim_op *op, const char *p, uint32_t len);
void sim_reply_meta(struct sim_client *c, struct sim_op *op, const char *p, uint32_t len);
// What an operation without a reply did.
void sim_reply_none(struct sim_client *c, struct sim_op *op);
bool sim_reply_is(const char *p, uint32_t len, const char *text);
struct sim_when sim_op_when(const struct sim_client *c, const struct sim_op *op);
// What a store, an arithmetic operation, a removal turned out to be; text and meta alike.
enum sim_outcome {
	SIM_DONE,
	SIM_NOT_STORED,
	SIM_EXISTS,
	SIM_MISS,
	SIM_TOO_LARGE,
	SIM_NO_MEMORY,
	SIM_NON_NUMERIC,
};
void sim_store_apply(struct sim_client *c, struct sim_op *op, enum sim_outcome what);
void sim_arith_apply(
	struct sim_client *c, struct sim_op *op, enum sim_outcome what, uint64_t number);
void sim_delete_apply(struct sim_client *c, struct sim_op *op, enum sim_outcome what);
void sim_touch_apply(struct sim_client *c, struct sim_op *op, enum sim_outcome what);
// A key's value was shown, or not.
void sim_value_check(struct sim_client *c, const struct sim_op *op, unsigned i, const char *p,
	uint32_t len, uint32_t flags);
void sim_value_missed(struct sim_client *c, const struct sim_op *op, unsigned i);
_Noreturn void sim_reply_fail(
	const struct sim_client *c, const struct sim_op *op, const char *p, uint32_t len);

// ---- clients over UDP (sim_dgram.c) ------------------------------------------------------------
#define SIM_DGRAM_PARTS 64

struct sim_dgram_user {
	struct sim *sim;
	struct sim_host *host;
	unsigned id;
	struct base_rng rng;
	uint16_t port, request_id;
	bool waiting, write;
	unsigned key, keys;
	uint32_t write_id;
	uint64_t sent, act_us;
	unsigned requests;
	unsigned parts, have;
	uint32_t part_len[SIM_DGRAM_PARTS];
	char *part[SIM_DGRAM_PARTS];
	uint64_t replies, silent;
};

void sim_dgrams_open(struct sim *s);
void sim_dgrams_close(struct sim *s);
void sim_dgrams_turn(struct sim *s);
uint64_t sim_dgrams_next_us(const struct sim *s);
bool sim_dgrams_done(const struct sim *s);
void sim_dgram_input(
	struct sim *s, struct sim_host *h, struct rte_mbuf *m, const struct net_packet *pkt);

// ---- a run (sim.c) -----------------------------------------------------------------------------
struct sim_pools { // made once; every run borrows them
	struct rte_mempool *server[SIM_POOLS][SIM_WORKERS], *host[SIM_HOSTS], *scratch;
};

struct sim {
	struct sim_config cfg;
	const struct sim_pools *pools;
	struct base_now now;
	uint64_t stamp;         // steps
	struct mem_domain *mem; // hosts and clients
	struct sim_link link;
	struct sim_trace trace;
	struct sim_watch *watch;
	struct sim_server server;
	struct sim_fault fault;
	struct sim_host host[SIM_HOSTS];
	struct sim_model model;
	struct sim_shared shared[SIM_SHARED];
	struct sim_client client[SIM_CLIENTS];
	struct sim_dgram_user dgram[SIM_DGRAM_USERS];
	bool settling; // scripts are over, faults too
	uint64_t ledger_us, overdue_us;
	int64_t allocated_base;
};

struct sim_totals {
	uint64_t seeds, frames, replies, virtual_us;
	uint64_t cut, joined; // frames cut by the device, segments joined by it
};

int sim_pools_open(struct sim_pools *p);
// One run; a failure does not return.
void sim_run(uint64_t seed, const struct sim_pools *pools, FILE *text, FILE *pcap,
	struct sim_totals *sum, uint64_t *hash);
_Noreturn void sim_fail(const struct sim *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
// All that a run allocates comes from here, so that the allocator's count can be compared.
void *sim_alloc(struct sim *s, size_t bytes);
void *sim_grow(struct sim *s, void *p, size_t bytes, size_t new_bytes);
void sim_free(struct sim *s, void *p, size_t bytes);

static inline uint64_t sim_pick(struct base_rng *rng, uint64_t n)
{
	return base_rng_below(rng, n);
}

static inline bool sim_chance(struct base_rng *rng, uint32_t millionth)
{
	return millionth > 0 && base_rng_below(rng, 1000000) < millionth;
}
