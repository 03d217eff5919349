// SPDX-License-Identifier: BSD-3-Clause
// worker: the polling loop of one core. Joins net, tcp, proto, exec and store; keeps replies in
// request order; passes requests for other shards to their owners.
//
// Owner thread: worker_open, worker_turn and worker_close belong to the worker's own thread. A
// group is opened before and closed after all its workers, by main. Orders are written by the
// control core, reports are read by it.
//
//	worker_group_open(&g, &(struct worker_group_options){.workers = 2});
//	// on each lcore:
//	worker_open(&w, g, &opt);
//	while (worker_turn(w, base_now_read(), &work) == WORKER_RUNNING)
//		;
//	worker_close(w);
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "access/access.h"
#include "capture/capture.h"
#include "exec/exec.h"
#include "flight/flight.h"
#include "net/net.h"
#include "port/port.h"
#include "snapshot/snapshot.h"
#include "tcp/tcp.h"

#define WORKER_MAX PORT_WORKERS_MAX

struct worker;
struct worker_group;

// What an operator set, for `stats settings`; read-only while workers run.
struct worker_settings {
	uint64_t maxmemory_bytes;
	uint64_t item_bytes_max;
	uint32_t conns_max;
	uint32_t client_query_bytes;  // most that a connection receives ahead of execution
	uint32_t client_output_bytes; // replies waiting, from which on it is not read any more
	uint16_t tcp_port, udp_port;  // 0: off
	bool udp_shard_ports;         // one UDP port a worker, from udp_port on; any takes any key
	char address[256];            // the addresses, with commas
	unsigned addresses;           // their number: the first ones of net's
	const char *tcp_congestion;   // NULL: tcp's default
	uint64_t tcp_keepalive_s, tcp_user_timeout_s; // 0: off
	bool tcp_ecn;
	uint8_t language;      // enum proto_language
	bool locked;           // TCP clients must say who they are (worker_users_set)
	const char *auth_file; // where they are from; shown, NULL: not
	unsigned verbosity;
	bool shutdown_enabled; // the command
	bool flush_disabled, dump_disabled, watch_disabled;
	bool track_sizes;      // until orders come
	bool debug_enabled;    // debugtime
	char prefix_delimiter; // ends the part of a key that `stats detail` counts by; 0: a colon
	uint64_t start_wall_s;
	uint64_t pid;
};

// Who may talk to a worker, and how much. The lists are the control core's.
struct worker_access {
	const struct access_list *allow;     // of TCP and UDP; NULL: everybody
	const struct access_list *udp_allow; // whose answers over UDP have no limit; NULL: nobody's
	uint64_t udp_rate;     // bytes a second that go to a prefix outside of it; 0: no limit
	uint32_t udp_factor;   // how many times its request an answer there is, at most
	uint32_t conns_max;    // over all workers; at most options.conns_max
	uint32_t conns_source; // of a source, over all workers; 0: no limit
	uint32_t idle_s;       // after which a silent client is sent away; 0: never
};

struct worker_options {
	unsigned id;
	struct mem_domain *mem;                 // borrowed, bound to this thread or unbound
	const struct port *port;                // borrowed
	const struct port_config *net;          // address, routes; borrowed
	const struct worker_settings *settings; // borrowed
	uint64_t limit_bytes;                   // this shard's allowance
	struct store_settings store;            // until orders come
	uint32_t conns_max;                     // over all workers, at most
	struct worker_access access;            // until orders come
	uint64_t (*now_ns)(void);               // times slices of the store's upkeep; NULL: nobody
	uint64_t seed;
};

// The kinds of upkeep: those of the store, and handing a snapshot over.
#define WORKER_WORK_SNAPSHOT STORE_WORKS
#define WORKER_WORKS         (STORE_WORKS + 1)

// All that a worker counts; plain sums over workers are meaningful for every field.
struct worker_counters {
	struct store_counters store;
	struct exec_counters exec;
	struct net_counters net;
	struct tcp_counters tcp;
	uint64_t conns, conns_total;
	uint64_t conns_refused, conns_source_refused; // beyond a limit; of these, that of a source
	uint64_t conns_disallowed;     // closed, since the list of who may talk has changed
	uint64_t idle_kicks;           // closed, for they said nothing
	uint64_t loans, loans_refused; // asked for beyond the allowance
	uint64_t clients_bytes, evicted_clients; // held by connections; dropped for it
	uint64_t rx_packets, tx_packets, tx_dropped, turns, turns_idle;
	uint64_t tx_waited; // frames that the device had no room for at first
	uint64_t bytes_read, bytes_written;
	uint64_t requests, requests_remote, udp_requests;
	uint64_t udp_quick;                  // of those, answered in place (worker_quick.c)
	uint64_t udp_malformed, udp_dropped; // broken frame; no slot, credit or mbuf
	uint64_t udp_refused;                // of those who may not talk
	uint64_t udp_amplified,
		udp_limited; // answers not sent: larger than allowed; too many bytes
	uint64_t steered, steer_dropped, stalls, slots_used, slots_out, protocol_errors;
	uint64_t busy_us; // time of turns that found work
	uint64_t upkeep_slices[WORKER_WORKS], upkeep_ns[WORKER_WORKS]; // and how long they took
	uint64_t slow_requests;
	uint64_t auth_cmds, auth_errors; // who clients said they were; and were not
	uint64_t dumps, dumps_now;       // lru_crawler metadump, mgdump: begun; a gauge
	// watch: a gauge; lines made here; lines sent, and those that came too fast to be sent
	uint64_t watchers, watch_written, watch_sent, watch_skipped;
	// stats detail: a gauge; requests not counted, and lines not shown, for want of room
	uint64_t detail_prefixes, detail_left_out;
	uint64_t mem_used[MEM_CLASSES];
	uint64_t mem_held;    // by jemalloc's own count of the thread: the sum of mem_used
	uint64_t mem_slack;   // of mem_used, not asked for
	uint64_t limit_bytes; // sum: what has been dealt out
};

// ---- orders and reports ------------------------------------------------------------------------
enum worker_phase {
	WORKER_PHASE_RUN,
	WORKER_PHASE_LOAD,  // before RUN: frames are dropped, the shard is being filled
	WORKER_PHASE_DRAIN, // take no input, reset connections, bring every slot home
	WORKER_PHASE_EXIT,  // all workers are drained: leave the loop
};

// How much of its time a worker spends on each kind of upkeep, while there is something to do.
struct worker_pace {
	uint16_t us_a_ms[WORKER_WORKS]; // 0: none of it
	uint16_t slice_us;              // all slices of a turn together
};

struct worker_orders { // writer: control core; reader: the worker, a copy a turn
	struct worker_pace pace;
	struct store_defrag_plan defrag;
	uint64_t limit_bytes;
	uint64_t ledger_seq;        // of the ledger's changes: told back by the report
	uint64_t loan_seq;          // the last loan that was answered
	uint64_t clients_bytes_max; // of all connections; the largest goes beyond it; 0: no limit
	uint64_t maxmemory_bytes;   // of the server, to be shown
	uint32_t phase;
	uint32_t verbosity;
	uint64_t flush_seq;            // raised by one: flush this shard
	struct capture_tap *capture;   // frames are copied there; NULL: no capture
	uint64_t capture_seq;          // of its changes: told back by the report
	struct snapshot_tap *snapshot; // items are handed over there; NULL: no snapshot
	uint64_t snapshot_seq;         // as capture_seq
	struct worker_access access;
	uint64_t access_seq;       // of its changes: told back by the report
	uint64_t latency_seq;      // raised by one: forget how long requests took
	uint64_t slow_us;          // from which on a request is slow; or WORKER_SLOW_NEVER
	uint64_t memlimit_seq;     // the last cache_memlimit that was answered
	uint32_t memlimit_refused; // bool
	uint32_t watch;            // PROTO_WATCH_ bits: what somebody watches
	uint32_t watch_ready;      // ... which all workers know
	uint32_t track_sizes;      // bool: stats sizes is answered
	uint32_t watch_change;     // how often `watch` has changed: told back by the report
	uint32_t watch_seq;        // the last wish of this worker's clients that is in `watch`
	uint64_t detail;           // worker_detail_order: the latest of the control core itself
	struct store_settings store;
};

struct worker_report { // writer: the worker, about every millisecond; reader: control core
	uint64_t heartbeat_us;
	uint64_t drained;                      // bool: WORKER_PHASE_DRAIN is done
	uint64_t flush_seq, latency_seq;       // last ones carried out
	uint64_t ledger_seq;                   // of the orders that hold
	uint64_t capture_seq;                  // no other tap than that order's is used any more
	uint64_t snapshot_seq;                 // the same of a snapshot's
	uint64_t access_seq;                   // ... of the lists of who may talk
	uint64_t loan_seq, loan_limit_bytes;   // the limit asked for, beyond the allowance
	uint64_t taken;                        // own addresses found with others (net_taken)
	uint64_t cold;                         // how cold what the shard evicts is (store_cold)
	uint64_t upkeep_pending;               // a bit a kind of upkeep that has more to do
	uint64_t memlimit_seq, memlimit_bytes; // a cache_memlimit that waits for its answer
	uint32_t verbosity_seq, verbosity;     // the last level that a client has set
	uint32_t shutdown;                     // bool: a client wants the server to end
	uint32_t watch, watch_seq; // what clients here watch; how often that has changed
	uint32_t watch_change;     // as the orders that hold have it
	struct worker_counters n;
};

// A quarter of the time for each kind, 50 us a turn: until orders come.
struct worker_pace worker_pace_default(void);
// "free", "expire", ...: below WORKER_WORKS.
const char *worker_work_name(unsigned work);

// ---- group -------------------------------------------------------------------------------------
struct worker_group_options {
	unsigned workers;
	uint32_t conns_max; // over all workers; 0: 1,024
	uint64_t seed;      // for tables that strangers choose the keys of
	unsigned credits;   // slots under way between two workers; 0: 1,024; a power of two
	unsigned frames;    // steered mbufs between two workers; 0: 2,048; a power of two
	bool detail;        // requests are counted by prefix from the start
};

int worker_group_open(struct worker_group **g, const struct worker_group_options *opt);
// After every worker of it has been closed.
void worker_group_close(struct worker_group *g);
// An order to count requests by the prefixes of their keys (`stats detail`), or not to; any thread
// may give one. It says so in its lowest bit, and is a larger number than all before: who learns of
// several in whatever order keeps the largest. It holds at a worker that has been told.
uint64_t worker_detail_order(struct worker_group *g, bool on);
uint64_t worker_detail_latest(struct worker_group *g);
void worker_orders_set(struct worker_group *g, unsigned id, const struct worker_orders *orders);
// The flight recorder of a worker, while the group is open: the worker records, anybody may write
// it to a file.
struct flight *worker_group_flight(struct worker_group *g, unsigned id);

// How long a worker's turns and slices took. Writer: the worker; anybody may read, approximately.
struct worker_times {
	_Alignas(BASE_CACHE_LINE) struct base_hist
		turn_us;                        // turns that found work, by the turn's clock
	struct base_hist work_ns[WORKER_WORKS]; // slices of upkeep, by kind
	uint32_t longest_units[WORKER_WORKS];   // that the longest of them did
};
// While the group is open.
const struct worker_times *worker_times_get(const struct worker_group *g, unsigned id);

// How long requests took, from the turn in which they came to the end of the turn in which their
// answer was handed over. What waited elsewhere for its turn (in the device, in the ring of another
// worker that passed it on) is not seen.
enum worker_kind {
	WORKER_KIND_NONE, // a part of another request: a key of a line
	WORKER_KIND_GET,  // get and its relatives for one key, mg
	WORKER_KIND_MULTIGET,
	WORKER_KIND_SET, // set add replace append prepend cas, ms
	WORKER_KIND_DELETE,
	WORKER_KIND_ARITH, // incr, decr, ma
	WORKER_KIND_TOUCH,
	WORKER_KIND_OTHER,
	WORKER_KINDS
};

enum worker_part {           // of a slow request's time
	WORKER_PART_QUEUE,   // until there was a slot or a credit for it
	WORKER_PART_RECEIVE, // until its value was there
	WORKER_PART_SHARD,   // at another worker
	WORKER_PART_OUTPUT,  // answered: until what came before it was out, and the client read
	WORKER_PART_TURN,    // parsed and executed, with all else that the turn did
	WORKER_PARTS
};

#define WORKER_SLOW_MAX     32
#define WORKER_SLOW_KEY_MAX 48
#define WORKER_SLOW_US      10000 // from which on a request is slow, until orders come
#define WORKER_SLOW_NEVER   UINT64_MAX

struct worker_slow {
	uint64_t wall_s; // when it ended
	uint64_t total_ns, part_ns[WORKER_PARTS];
	uint32_t bytes;         // of its value; 0: there was none, or nobody looked
	uint32_t turn_requests; // that shared the turn, where that was what took long; else 0
	uint16_t port;          // of its client
	uint8_t kind;           // enum worker_kind; NONE: no entry
	uint8_t key_len;        // of the whole key
	bool udp;
	char key[WORKER_SLOW_KEY_MAX]; // its beginning
	struct base_ip ip;
};

struct worker_slow_row { // written as snapshots
	uint64_t version;
	uint64_t word[(sizeof(struct worker_slow) + 7) / 8];
};

// Writer: the worker; anybody may read, approximately.
struct worker_latency {
	_Alignas(BASE_CACHE_LINE) struct base_hist ns[WORKER_KINDS]; // [NONE]: unused
	struct worker_slow_row slow[WORKER_SLOW_MAX];                // the slowest of the last hour
};
const char *worker_kind_name(enum worker_kind kind);
const char *worker_part_name(enum worker_part part);
// While the group is open.
const struct worker_latency *worker_latency_get(const struct worker_group *g, unsigned id);
// False: there is none, or it was being written.
bool worker_slow_read(const struct worker_latency *l, unsigned i, struct worker_slow *out);

void worker_report_get(struct worker_group *g, unsigned id, struct worker_report *out);

// The lines of `stats memory`, made by the control core; cut at WORKER_MEMORY_TEXT_MAX bytes.
#define WORKER_MEMORY_TEXT_MAX 6144
void worker_memory_text_set(struct worker_group *g, const char *text, size_t len);
// Those of `stats alarms`, likewise.
void worker_alarm_text_set(struct worker_group *g, const char *text, size_t len);
// Those of `stats doctor`.
void worker_doctor_text_set(struct worker_group *g, const char *text, size_t len);

// Who may speak, where settings say that not everybody may. Writer: one thread; copied.
#define WORKER_USERS_MAX  64
#define WORKER_USER_BYTES 256 // of a line, with a NUL
struct worker_user {
	uint64_t name_len;
	char line[WORKER_USER_BYTES]; // NAME:PASSWORD and zeros; SASL: fields may follow
};

struct worker_users {
	uint64_t count;
	struct worker_user user[WORKER_USERS_MAX];
};

void worker_users_set(struct worker_group *g, const struct worker_users *users);

// What a key takes. One question a worker at a time: the next replaces it.
struct worker_probe { // writer: control core; read by the owner of the key about every millisecond
	uint64_t seq; // raised with every question
	uint64_t hash;
	uint64_t key_len;
	char key[256];
};

struct worker_probe_answer { // writer: the worker
	uint64_t seq;
	uint64_t found;                   // bool; without it the rest is 0
	uint64_t held_bytes, asked_bytes; // of the allocator; what was asked of it
	uint64_t key_bytes, value_bytes, index_bytes;
	uint64_t references, idle_s, deadline_s;
};

void worker_probe_ask(struct worker_group *g, unsigned id, const struct worker_probe *probe);
// False until the answer to `seq` is there.
bool worker_probe_answer_get(
	struct worker_group *g, unsigned id, uint64_t seq, struct worker_probe_answer *out);

// ---- worker ------------------------------------------------------------------------------------
// DPDK memory that one worker takes beside its packet buffers (slots and datagrams), in bytes.
size_t worker_dpdk_bytes(void);
// Replies that may wait at a worker.
unsigned worker_slots_count(void);
// 0 or -errno with the reason logged.
int worker_open(struct worker **w, struct worker_group *g, const struct worker_options *opt);
void worker_close(struct worker *w);

// The shard, for who fills it between the turns of WORKER_PHASE_LOAD; its own thread alone.
struct store *worker_store(struct worker *w);

enum worker_verdict { WORKER_RUNNING, WORKER_DONE };
// One turn. *work gets the number of packets, messages and timers handled (0: idle).
enum worker_verdict worker_turn(struct worker *w, struct base_now now, unsigned *work);

// Which worker owns a key: what clients are told of it (`stats shards`), so that they may ask the
// owner's own port. All of it is fixed: the hash has no seed.
#define WORKER_HASH_NAME  "XXH3-64"
#define WORKER_OWNER_TEXT "((hash>>48)*shards)>>16"
static inline unsigned worker_of_hash(uint64_t hash, unsigned workers)
{
	return (unsigned)(((hash >> 48) * workers) >> 16);
}

// The UDP port for the keys of a shard; 0: UDP is off.
static inline uint16_t worker_shard_udp_port(const struct worker_settings *s, unsigned shard)
{
	return s->udp_shard_ports ? (uint16_t)(s->udp_port + shard) : s->udp_port;
}

void worker_counters_add(struct worker_counters *into, const struct worker_counters *from);
