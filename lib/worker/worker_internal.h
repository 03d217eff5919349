// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/worker share. See docs/modules/worker.md.
#pragma once

#include "base/base.h"
#include "worker/worker.h"
#include "worker/worker_pack.h"
#include "worker/worker_ring.h"

#define WORKER_BURST           32
#define WORKER_SLOTS           4096   // of a worker
#define WORKER_SINK_SLOTS      256    // replies that one connection may have waiting
#define WORKER_GATHER_BYTES    16384  // sets up to this travel whole to another shard
#define WORKER_AHEAD_MAX       128    // requests parsed and not yet executed
#define WORKER_AHEAD_EACH      32     // of one connection or datagram, at a time
#define WORKER_CONN_BATCHES    32     // of these, one connection, one turn
#define WORKER_BULK_BYTES      131072 // of replies to connections: the turn ends then
#define WORKER_STALLED_BATCH   64
#define WORKER_INBOX_BATCH     256
#define WORKER_TX_WAIT         4096 // frames that the device has no room for; a power of two
#define WORKER_DGRAMS          1024
#define WORKER_UDP_REPLY_BYTES (4u << 20)
#define WORKER_UDP_NO_BUDGET   UINT32_MAX
#define WORKER_UDP_KNOWN       256 // a power of two
#define WORKER_CONNS_SPARE     16  // beyond the limit: told that it is reached
#define WORKER_SCRATCH_BYTES   (2 * PROTO_LINE_MAX)
#define WORKER_REPORT_US       1000
#define WORKER_TURN_LONG_US    1000 // a turn that the flight recorder tells of, and what it did:
#define WORKER_UPKEEP_MEMORY   0x80000000u // beside a bit for each of WORKER_WORKS
#define WORKER_SLICE_US        50          // until orders come
#define WORKER_SHARE_US        250

// ---- sinks: who gets replies -------------------------------------------------------------------
struct worker_sink {
	struct base_list slots; // replies not yet written, in request order
	uint64_t pinned_bytes; // of values in finished slots: one item counts as often as asked for
	uint32_t since_us;     // when its input began to wait for us; 0: it does not
	uint16_t slot_count;
	bool udp;
	bool multi; // the present retrieval line has a second key
};
static_assert(WORKER_SLOTS <= UINT16_MAX, "slots of a sink");
static_assert(sizeof(struct worker_sink) == 32, "every connection has one");

enum worker_conn_state {
	WORKER_CONN_COMMAND, // at a command line
	WORKER_CONN_FILL,    // receiving a value
	WORKER_CONN_RESERVE, // another shard is asked for an item: nothing is parsed meanwhile
	WORKER_CONN_SWALLOW, // dropping the body of a refused set
	WORKER_CONN_QUIT,    // parses no more; FIN once the replies are out
	WORKER_CONN_SHUT,    // FIN is queued
	WORKER_CONN_DUMP,    // receives a list of the items: nothing is parsed meanwhile
	WORKER_CONN_WATCH,   // receives what happens, for ever
};

enum worker_close { // memcached's reasons
	WORKER_CLOSE_ERROR,
	WORKER_CLOSE_NORMAL,
	WORKER_CLOSE_IDLE,
	WORKER_CLOSE_SHUTDOWN,
};

struct worker_conn {
	struct worker_sink sink; // first: a sink is a connection or a datagram by its flag
	struct base_list node;   // of worker.conns
	struct base_list stalled_node;
	struct tcp_conn *tcp;
	struct worker_slot *fill_slot; // FILL, RESERVE: request and destination
	uint64_t swallow_bytes;
	struct proto_parser parser;
	uint32_t fill_done; // value bytes and those behind them, received so far
	uint32_t heard_s;   // worker_now_s(), when the client last sent something
	uint8_t state;      // enum worker_conn_state
	bool peer_fin;
	bool counted;  // by its source
	uint8_t close; // enum worker_close: why it is QUIT or SHUT
	char fill_end[2];
};

struct worker_dgram {
	struct worker_sink sink; // first
	struct base_list node;   // free list
	struct net_packet from;
	struct rte_mbuf *early, *early_last; // replies composed before the first one had to wait
	uint32_t early_bytes;
	uint32_t budget; // bytes that the answer may take, or WORKER_UDP_NO_BUDGET
	uint16_t early_mbufs;
	uint16_t request_id;
};

// ---- slots -------------------------------------------------------------------------------------
enum worker_msg {
	WORKER_MSG_APPLY,   // run req; its reply comes back
	WORKER_MSG_SET,     // reserve, copy payload, commit
	WORKER_MSG_RESERVE, // -> item to fill, or a refusal composed
	WORKER_MSG_COMMIT,  // item is filled
	WORKER_MSG_ABORT,   // item is given up; composes res.status as the reply
	WORKER_MSG_RELEASE, // a reference on item is given back
	WORKER_MSG_DUMP,    // a slice of a list of the shard's items; `payload` is a worker_dump
	// the gather's: to every shard
	WORKER_MSG_COUNT,     // copy counters
	WORKER_MSG_RESET,     // count from 0 on
	WORKER_MSG_CONNS,     // list connections
	WORKER_MSG_CACHEDUMP, // list some items
	WORKER_MSG_CLOCK,     // move the clock
	WORKER_MSG_DETAIL,    // count by prefix, or do not
	WORKER_MSG_PREFIXES,  // a slice of what was counted by prefix
	WORKER_MSG_SIZES,     // count the items of a slice by their sizes
	WORKER_MSG_FLUSH,     // flush the shard
};

enum worker_slot_state {
	WORKER_SLOT_FREE,
	WORKER_SLOT_AWAY,  // at another worker, or waiting for credit
	WORKER_SLOT_FILL,  // its value is being received
	WORKER_SLOT_READY, // the reply can be written
};

struct worker_stamp {      // worker_latency.c
	uint64_t since_ns; // when it came
	uint64_t mark_ns;  // when the last part ended
	uint64_t part_ns[WORKER_PART_OUTPUT];
	uint8_t kind; // enum worker_kind
};

struct worker_gather; // one stats or flush_all over all shards

struct worker_slot {
	// -- requester alone
	struct base_list node;    // sink.slots, a free list
	struct base_list waiting; // worker_peer.waiting
	struct worker_sink *sink; // NULL: nobody waits any more
	struct worker_gather *gather;
	uint32_t emitted;      // bytes of the reply already written
	uint16_t owner;        // shard of the key
	uint8_t state;         // enum worker_slot_state
	uint8_t payload_class; // enum mem_class
	bool drop;             // rolled back: emit nothing
	bool item_held;        // `item` holds a reference (or a reservation) to give back
	bool is_train;         // `train` has the replies, in the place of `head`
	// -- message part: the holder's
	_Alignas(BASE_CACHE_LINE) uint64_t hash;
	struct store_item *item;
	char *payload; // of a small set: value_bytes; of a gather: its text. Requester's memory
	uint32_t payload_bytes;
	uint32_t value_bytes;       // of the reply, or of a gather's text,
	struct store_span value[2]; // ... which lies there; asked by the owner
	uint8_t msg;                // enum worker_msg
	uint8_t refused;            // RESERVE: no item, the reply is composed
	struct worker_stamp stamp;  // the requester's
	struct proto_reply reply;
	struct proto_request req;
	union {
		char head[PROTO_HEAD_MAX];
		struct worker_train train;
	};
};

struct worker_gather_part { // of one shard, written by it while it holds the slot
	struct worker_counters n;
	uint32_t text_len;          // of its part of the text
	uint32_t next;              // of a PREFIXES: the first bucket that is not in it
	struct store_cursor cursor; // of a SIZES
};

struct worker_detail_text { // what a dump of prefixes has come to; with room in front for the head
	char *text;         // ... of a binary reply
	uint32_t len, room;
	uint32_t from; // bucket
	bool failed;   // no memory
};

struct worker_gather {
	struct worker_slot *slot; // the reply's place in its sink
	unsigned missing;         // shards that have not answered
	enum worker_msg msg;
	char word[16]; // of a COUNT: what stats are asked for
	char *text;    // of a CONNS, CACHEDUMP, PREFIXES or SIZES: text_each bytes a shard
	uint32_t text_each;
	uint32_t limit;                   // of a CACHEDUMP: lines in all; 0: any number
	uint64_t detail_order;            // of a DETAIL
	struct worker_detail_text detail; // of a PREFIXES
	struct worker_gather_part part[];
};

// ---- output builder ----------------------------------------------------------------------------
// Collects reply
// bytes into mbufs of at most `chunk` bytes each, with `prefix` bytes left in front of each for a
// UDP frame.
struct worker_out {
	struct rte_mbuf *first, *last;
	uint32_t bytes; // payload bytes, prefixes aside
	uint32_t room;  // most payload bytes to take
	uint16_t chunk, prefix;
	uint16_t mbufs;
	// where the present retrieval line began, for a rollback
	struct rte_mbuf *mark_last;
	uint32_t mark_bytes;
	uint16_t mark_len, mark_mbufs;
	bool marked;
};

// ---- requests parsed ahead ---------------------------------------------------------------------
struct worker_request {
	uint64_t hash;
	unsigned owner;            // shard of the key; own id without one
	struct proto_parser after; // the parser's state behind it
	struct proto_request r;
};

struct worker_ahead {
	unsigned n;
	struct worker_request request[WORKER_AHEAD_MAX];
};

struct worker_range { // of worker_ahead.request or worker_plains.request
	unsigned at, end;
	bool foreign; // plain: some keys are other shards'
};

enum worker_step { // a connection's input
	WORKER_STEP_ON,
	WORKER_STEP_WAIT,  // for input, for room, for another shard
	WORKER_STEP_STALL, // a slot or a credit is missing: again in the next turn
};

struct worker_plain { // a plain get's key, or a plain set
	struct proto_plain line;
	uint16_t owner;
};

struct worker_plains {
	unsigned n;
	bool foreign; // some of them are other shards'
	struct worker_plain request[WORKER_AHEAD_MAX];
	struct store_look look[WORKER_AHEAD_MAX]; // of each
};

struct worker_arrival { // a datagram that came in this turn
	struct rte_mbuf *m;
	const char *data; // behind the frame header
	size_t len;
	struct worker_range ahead;
	uint16_t request_id;
	uint32_t budget; // as worker_dgram's
	struct net_packet from;
};

struct worker_quick { // a plain `get` of one key of ours
	struct rte_mbuf *m;
	const char *key; // in m
	uint16_t room;   // bytes that the answer may have
	uint8_t key_len;
};

// ---- peers -------------------------------------------------------------------------------------
struct worker_peer {                     // one a worker and other worker
	struct worker_ring *send, *recv; // slots, packs: ours going out; theirs coming in
	struct worker_ring *answer_send, *answer_recv; // theirs going home; ours coming home
	struct worker_ring *frames_send, *frames_recv; // steered frames
	struct worker_ring *tx_send, *tx_recv;         // frames for a queue that the peer owns
	struct base_list waiting;                      // our slots without credit
	struct base_list packs_waiting;                // our releases without credit
	uint32_t in_flight;                            // slots and packs, the open one too
	struct worker_pack *open;                      // ours; the own shard's entry has one, too
	void *kept; // theirs that waits for a loan: nothing behind it is taken out
};

struct worker_clients { // a pass over all connections, some a millisecond
	uint64_t look_us;
	uint32_t left;  // to be looked at in this pass
	uint64_t bytes; // of those seen
	uint64_t largest_bytes;
	struct worker_conn *largest;
	uint32_t unchecked; // that may be of sources that may not talk any more
	uint64_t scarce_us; // since when packet buffers or slots have been short; 0: they are not
};

#define WORKER_LATE_MAX 64
struct worker_late { // requests of earlier turns that ended in this one
	unsigned n;
	uint8_t kind[WORKER_LATE_MAX];
	uint16_t count[WORKER_LATE_MAX];
	uint64_t age_ns[WORKER_LATE_MAX]; // at the turn's begin
};

struct worker_loan {
	uint64_t seq;         // the last that was asked for
	uint64_t limit_bytes; // ... the limit that would do
	uint64_t asked_us;    // when; 0: none is open
	uint64_t no_until_us; // refused: sets are answered at once until then
};

// Told to all workers: a neighbour, or an ICMP error about a segment that none of ours has sent
// (devices spread errors by their sender).
struct worker_news {
	struct base_ip ip;
	bool too_big, datagram;
	struct rte_ether_addr mac; // of the neighbour
	uint16_t src_port, dst_port, mtu;
	uint8_t local;
	uint32_t seq;
};

struct worker_purse { // of one kind of upkeep
	int64_t credit_ns;
	uint64_t unit_ns; // that a unit of it has lately taken
};

struct worker_upkeep {
	uint64_t filled_us; // the turn up to which the credit is
	uint32_t pending;   // a bit a kind: there was more to do
	uint32_t ran;       // ... a slice of it ran in the last turn; WORKER_UPKEEP_MEMORY
	uint32_t first;     // the kind whose turn it is to come first
	struct worker_purse purse[WORKER_WORKS];
};

struct worker_tx_wait { // in order
	uint32_t head, tail;
	struct rte_mbuf *m[WORKER_TX_WAIT];
};

struct worker_admin {                      // for the control core
	struct worker_slot *memlimit_slot; // whose answer is open; NULL: none
	uint64_t memlimit_seq, memlimit_bytes;
	uint32_t verbosity_seq, verbosity;
	uint32_t watch;     // PROTO_WATCH_ bits that clients here want
	uint32_t watch_seq; // of its changes
	bool shutdown;
};

#define WORKER_PREFIXES_MAX   65536 // of a worker; memcached: of the server
#define WORKER_PREFIX_BUCKETS 16384 // a power of two
#define WORKER_PREFIX_CHAIN   16    // records of a bucket

struct worker_prefix {              // a record of worker_detail.c
	struct worker_prefix *next; // of its bucket
	uint64_t gets, hits, sets, deletes;
	uint32_t hash;
	uint8_t len;
	char text[];
};

struct worker_detail {                 // worker_detail.c
	uint64_t order;                // the latest that is known (worker_detail_order)
	struct worker_prefix **bucket; // NULL: nothing is counted yet
	struct worker_prefix_block *block;
	unsigned blocks;
};

struct worker {
	unsigned id, count;
	struct worker_group *group;
	const struct port_queue *queue;
	const struct port *port;
	const struct worker_settings *settings;
	struct mem_domain *mem;
	struct flight *flight;
	struct worker_times *times; // the group's
	uint64_t (*now_ns)(void);
	struct worker_upkeep upkeep;
	struct store *store;
	struct net *net;
	struct tcp *tcp;
	struct exec exec;
	struct base_now now;
	uint64_t turn_ns;                     // the same
	uint32_t turn_requests[WORKER_KINDS]; // that came and were answered in this turn
	uint32_t noted_least;                 // bytes from which on a request replaces `noted`
	struct worker_latency *latency;       // the group's
	uint64_t net_deadline_us, tcp_deadline_us, report_us;
	bool steer;     // frames are hashed in software
	bool quick_off; // nobody is served by worker_quick.c: so it is set, or somebody watches
	bool stopping, drained, busy;
	unsigned tx_owner; // the worker whose queue sends for us
	uint32_t neigh_seen[WORKER_MAX];
	struct net_tx tx;

	struct base_list conns;
	struct worker_clients clients;
	struct worker_loan loan;
	struct base_list stalled;
	unsigned conn_batch; // 1..WORKER_BURST
	struct base_list slots_free, dgrams_free;
	unsigned slots_out; // not in slots_free
	struct base_list packs_free;
	unsigned packs_out; // not in packs_free
	struct worker_pack *packs;
	struct base_list woken_conns, woken_dgrams; // slots of theirs have come home
	unsigned gathers_out;
	struct worker_gather *rounds; // the one that takes several; NULL: none
	bool rounds_due;              // its next round is to begin
	struct worker_slot *slots;
	struct worker_dgram *dgrams;
	struct worker_peer *peer; // [count]; own entry unused

	struct worker_ahead ahead;
	struct worker_plains plains;
	struct worker_arrival arrival[WORKER_BURST];
	unsigned arrivals;
	struct worker_quick quick[WORKER_BURST];
	struct store_look quick_look[WORKER_BURST]; // of each
	unsigned quicks;
	bool udp_open;                        // no source of IPv4 has to be looked up
	uint32_t udp_known[WORKER_UDP_KNOWN]; // sources found to be trusted lately
	uint64_t udp_rate;
	struct access_meters *meters; // NULL: UDP is off

	int64_t clock_shift_s; // of the wall clock, by debugtime
	unsigned chores;       // that want a look every turn: an open answer, a dump, watchers
	struct worker_admin admin;
	struct worker_dump *dump; // NULL: none
	struct base_list watch_list;
	unsigned watches; // in it
	bool watched;     // somebody watches, or counts by prefix
	struct worker_detail detail;
	uint32_t watch_cfd; // the connection whose requests are being executed
	uint64_t told;      // lines

	struct worker_orders orders; // the last copy
	uint64_t orders_version;
	uint64_t probe_version; // of the last question answered
	uint64_t flush_seq, latency_seq;
	struct worker_late late;
	struct worker_slow noted;   // the largest request of the turn
	struct worker_slow carried; // total_ns: the turn of which its key is
	struct worker_counters
		n; // own fields; the modules' are joined in by worker_counters_collect
	struct worker_counters reset; // as they were at the last `stats reset`
	struct exec_result result;
	char head[PROTO_HEAD_MAX];
	char scratch[WORKER_SCRATCH_BYTES];
	char datagram[65536];
	struct worker_tx_wait tx_wait;
};

// ---- the flight recorder
static inline uint32_t worker_conn_mark(const struct worker_conn *c)
{
	return tcp_conn_mark(c->tcp);
}

// The end of a key tells more about it than its beginning.
static inline uint32_t worker_key_end(const char *key, unsigned len)
{
	uint32_t end = 0;

	if (base_likely(len >= sizeof(end)))
		memcpy(&end, key + len - sizeof(end), sizeof(end));
	else
		memcpy((char *)&end + sizeof(end) - len, key, len);
	return rte_be_to_cpu_32(end);
}

#define WORKER_OPS_KEYED \
	(1u << PROTO_OP_GET | 1u << PROTO_OP_SET | 1u << PROTO_OP_DELETE | 1u << PROTO_OP_ARITH | \
		1u << PROTO_OP_TOUCH | 1u << PROTO_OP_META_GET | 1u << PROTO_OP_META_DEBUG)

static inline void worker_request_note(struct worker *w, const struct worker_sink *sink,
	const struct proto_request *r, unsigned status)
{
	const struct worker_conn *c = (const void *)sink;
	bool keyed = WORKER_OPS_KEYED >> r->op & 1;

	if (r->op != PROTO_OP_END)
		flight_request(w->flight, r->op, status, sink->udp ? 0 : worker_conn_mark(c),
			keyed ? worker_key_end(r->key, r->key_len) : 0);
}

// Seconds that no change of the wall clock moves.
static inline uint32_t worker_now_s(const struct worker *w)
{
	return (uint32_t)(w->now.mono_us / 1000000);
}

// ---- worker_slot.c: pool and queue -------------------------------------------------------------
int worker_slots_open(struct worker *w);
void worker_slots_close(struct worker *w);
// NULL when all are in use. Appended to the sink's queue when sink is not NULL.
struct worker_slot *worker_slot_take(struct worker *w, struct worker_sink *sink);
void worker_slot_free(struct worker *w, struct worker_slot *s);
// Gives back what a finished slot holds (payload, item) and the slot, now or by a release.
void worker_slot_done(struct worker *w, struct worker_slot *s);
// Copies what of a request a slot needs; key and opaque included.
void worker_slot_request_set(struct worker_slot *s, const struct proto_request *r, uint64_t hash);
// Puts a local result into a slot, `emitted` bytes of which are already written.
void worker_slot_result_set(struct worker_slot *s, const char *head,
	const struct proto_reply *reply, struct exec_result *res, uint32_t emitted);
// How many slots one connection may hold now: an eighth of those that are free, and one in any
// case. So connections that do not read their replies never take them all.
static inline uint32_t worker_sink_slots_max(const struct worker *w)
{
	uint32_t share = (WORKER_SLOTS - w->slots_out) / 8;

	return share > WORKER_SINK_SLOTS ? WORKER_SINK_SLOTS : share > 0 ? share : 1;
}
// Takes every slot from a sink that goes away.
void worker_sink_orphan(struct worker *w, struct worker_sink *sink);
void worker_sink_init(struct worker_sink *sink, bool udp);

// ---- worker_out.c ------------------------------------------------------------------------------
void worker_out_init(
	struct worker *w, struct worker_out *o, uint32_t room, uint16_t chunk, uint16_t prefix);
// Copies at most n bytes, bounded by room and mbufs; returns how many were taken.
uint32_t worker_out_append(struct worker *w, struct worker_out *o, const char *p, uint32_t n);
// `n` bytes in one place to be written, at most *room of them: nothing has been taken yet. NULL:
// they would be cut in two, or there is no room.
char *worker_out_place(struct worker *w, struct worker_out *o, uint32_t n, uint32_t *room);
static inline void worker_out_take(struct worker_out *o, uint32_t n)
{
	o->last->data_len = (uint16_t)(o->last->data_len + n);
	o->last->pkt_len = o->last->data_len;
	o->bytes += n;
}
void worker_out_mark(struct worker_out *o);
void worker_out_rollback(struct worker_out *o);
// Writes spans, one behind the other, on from *emitted; true when all is written.
bool worker_out_spans(struct worker *w, struct worker_out *o, const struct store_span *span,
	unsigned n, uint32_t *emitted);
// Writes on from s->emitted; true when the slot's reply is complete.
bool worker_out_slot(struct worker *w, struct worker_out *o, struct worker_slot *s);
// Writes every ready slot at the front of the queue. True when the queue is empty.
bool worker_out_sink(struct worker *w, struct worker_out *o, struct worker_sink *sink);

// ---- worker_dispatch.c: one request to its shard -----------------------------------------------
// Runs or sends r; the reply goes to
// o, or to a slot of the sink. A slot must be free and, for another shard, a credit
// (worker_dispatch_ready).
void worker_dispatch(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct worker_request *q);
// Finds the shard of q->r's key, and keeps the state of the parser.
void worker_request_complete(
	const struct worker *w, struct worker_request *q, const struct proto_parser *after);
// Whether worker_dispatch (or a set) can go on now: slots, and a credit towards that owner.
bool worker_dispatch_ready(const struct worker *w, unsigned owner);
// Writes a finished local result in order.
void worker_reply_local(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r, struct exec_result *res);
// A reply that is at hand whole, of PROTO_HEAD_MAX bytes at most.
void worker_reply_bytes(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const char *bytes, uint32_t len);
// The reply to what nothing executes (PROTO_OP_REPLY, _CLOSE, _QUIT), if there is one.
void worker_reply_constant(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r);
void worker_rollback(struct worker *w, struct worker_sink *sink, struct worker_out *o);

// ---- worker_ahead.c ----------------------------------------------------------------------------
// Whether one more connection or datagram may be parsed ahead of the others.
bool worker_ahead_room(const struct worker *w);
// Parses from data[0..len) and fetches buckets; stops behind the first request that must be
// executed before more can be parsed. Empty: there is no whole request. The data stays where it is
// until the range has been executed; who is done with a range puts ahead.n back.
struct worker_range worker_ahead_parse(
	struct worker *w, const struct proto_parser *from, const char *data, size_t len);
// Fetches the items, once the buckets had time to come.
void worker_ahead_fetch(const struct worker *w, struct worker_range range);

// ---- worker_plain.c: plain gets and sets over TCP -----------------------------------------------
bool worker_plain_room(const struct worker *w);
// As worker_ahead_parse, of what proto_plain_parse takes.
struct worker_range worker_plain_parse(
	struct worker *w, const struct proto_parser *from, const char *data, size_t len);
void worker_plain_fetch(struct worker *w, struct worker_range range);
// Executes them, whose keys are all this shard's, and moves the connection's parser; *used gets the
// bytes of the input that are done with.
enum worker_step worker_plain_run(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct worker_range range, uint32_t *used);
// As worker_plain_run, where keys may be other shards', and replies may wait (worker_train.c).
enum worker_step worker_train_run(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct worker_range range, uint32_t *used);
// One of them by the common way, whoever has its key.
enum worker_step worker_plain_commonly(struct worker *w, struct worker_conn *c,
	struct worker_out *o, const struct worker_plain *q, uint32_t *used);

// The time of a burst in a capture: not the turn's, since turns overlap, and a request that another
// worker took in may be answered in one that began before.
static inline uint64_t worker_capture_us(const struct worker *w)
{
	return w->now_ns ? w->now_ns() / 1000 : w->now.mono_us;
}

// ---- worker_latency.c --------------------------------------------------------------------------
void worker_latency_turn(struct worker *w, uint64_t now_ns); // the last one ends
void worker_latency_reset(struct worker *w);
// The turn's largest request, in case it was long.
void worker_latency_note(struct worker *w, const struct worker_sink *sink, enum worker_kind kind,
	const char *key, unsigned key_len, uint32_t bytes);
void worker_latency_late(struct worker *w, const struct worker_sink *sink, enum worker_kind kind,
	const char *key, unsigned key_len, uint32_t bytes);
// The turn from which a request of the sink is counted: this one, or that since which its input
// waits.
uint64_t worker_latency_since(const struct worker *w, const struct worker_sink *sink);
// At the end of a look at the input: whether some of it waits for us.
void worker_latency_wait(struct worker *w, struct worker_sink *sink, bool waits, bool done_some);
// The slot's reply is written.
void worker_latency_slot(
	struct worker *w, const struct worker_sink *sink, const struct worker_slot *s);

static inline enum worker_kind worker_kind_of(
	const struct worker_sink *sink, const struct proto_request *r)
{
	static const uint8_t kind[] = {
		[PROTO_OP_GET] = WORKER_KIND_NONE, // its line's end counts
		[PROTO_OP_SET] = WORKER_KIND_SET,
		[PROTO_OP_DELETE] = WORKER_KIND_DELETE,
		[PROTO_OP_ARITH] = WORKER_KIND_ARITH,
		[PROTO_OP_TOUCH] = WORKER_KIND_TOUCH,
		[PROTO_OP_META_GET] = WORKER_KIND_GET,
		[PROTO_OP_META_NOOP] = WORKER_KIND_OTHER,
	};

	if (r->op == PROTO_OP_END)
		return sink->multi ? WORKER_KIND_MULTIGET : WORKER_KIND_GET;
	if (r->op == PROTO_OP_GET && proto_is_binary(r))
		return WORKER_KIND_GET;
	return r->op < BASE_ARRAY_LEN(kind) ? (enum worker_kind)kind[r->op] : WORKER_KIND_OTHER;
}

// A request is answered, without a slot.
static inline void worker_latency_done(struct worker *w, const struct worker_sink *sink,
	enum worker_kind kind, const char *key, unsigned key_len, uint32_t bytes)
{
	if (base_likely(sink->since_us == 0))
		w->turn_requests[kind]++;
	else
		worker_latency_late(w, sink, kind, key, key_len, bytes);
	if (base_unlikely(bytes >= w->noted_least))
		worker_latency_note(w, sink, kind, key, key_len, bytes);
}

static inline void worker_stamp_set(
	struct worker *w, const struct worker_sink *sink, struct worker_slot *s)
{
	struct worker_stamp *t = &s->stamp;

	t->kind = WORKER_KIND_NONE;
	t->since_ns = sink != NULL ? worker_latency_since(w, sink) : w->turn_ns;
	t->mark_ns = w->turn_ns;
	t->part_ns[WORKER_PART_QUEUE] = w->turn_ns - t->since_ns;
	t->part_ns[WORKER_PART_RECEIVE] = t->part_ns[WORKER_PART_SHARD] = 0;
}

// What it has waited for since the last mark was this.
static inline void worker_stamp_mark(
	const struct worker *w, struct worker_slot *s, enum worker_part part)
{
	s->stamp.part_ns[part] += w->turn_ns - s->stamp.mark_ns;
	s->stamp.mark_ns = w->turn_ns;
}

// ---- worker_msg.c: between workers -------------------------------------------------------------
bool worker_credit(const struct worker *w, unsigned owner);
// Sends a slot to its owner; without credit it waits in order.
void worker_msg_send(struct worker *w, struct worker_slot *s, enum worker_msg msg);
// Serves the peers' messages and takes our slots home. Returns how many.
unsigned worker_msg_turn(struct worker *w);
// The owner's side: runs a slot or pack, and sends it home; keeps it when it waits for a loan.
void worker_msg_serve(struct worker *w, struct worker_peer *p, void *msg);
void worker_msg_publish(struct worker *w);
void worker_sink_resume(struct worker *w, struct worker_sink *sink);
// The same, once for all that comes home in this turn.
void worker_sink_wake(struct worker *w, struct worker_sink *sink);

// ---- worker_conn.c, worker_fill.c: TCP connections ---------------------------------------------
// Parsing goes on while replies are only waiting for other shards, within bounds; a reply that
// waits for the client stops it.
bool worker_conn_may_parse(const struct worker *w, const struct worker_conn *c);
// Serves all connections at which something has happened. Returns how many.
unsigned worker_conn_events(struct worker *w);
// A slot of it came home, or a resource is back: writes and parses on.
void worker_conn_resume(struct worker *w, struct worker_conn *c);
void worker_conn_stall(struct worker *w, struct worker_conn *c);
unsigned worker_conn_stalled_turn(struct worker *w);
void worker_conn_close(struct worker *w, struct worker_conn *c);
void worker_conns_reset(struct worker *w);
// False: no slot or credit, nothing was done.
bool worker_fill_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct worker_request *q, const char *rest, uint32_t rest_bytes, uint32_t *taken);
// Takes value bytes from the input; true when the connection is back at a command line.
bool worker_fill_continue(struct worker *w, struct worker_conn *c, struct worker_out *o);
// The answer to a reserve came home: an item to fill, or a refusal.
void worker_fill_reserved(struct worker *w, struct worker_slot *s);
void worker_fill_refused(struct worker_slot *s);
void worker_fill_abandon(struct worker *w, struct worker_conn *c);

// ---- worker_auth.c -----------------------------------------------------------------------------
// Answers an attempt (PROTO_OP_AUTH). True: the client is who it says. A slot must be free.
bool worker_auth_run(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r);

// ---- worker_clients.c --------------------------------------------------------------------------
void worker_clients_turn(struct worker *w);
// The connection goes away.
void worker_clients_forget(struct worker *w, const struct worker_conn *c);

// ---- worker_loan.c -----------------------------------------------------------------------------
// Whether a set has to wait for its shard's allowance to grow; asks for that.
bool worker_loan_wait(struct worker *w, const struct proto_request *r);
void worker_loan_turn(struct worker *w);

// ---- worker_steer.c: frames between workers ----------------------------------------------------
// True when m was passed on (or
// dropped and counted).
bool worker_steer(struct worker *w, struct rte_mbuf *m);
// Fetches what the first batch of worker_steer_turn will look at.
void worker_steer_fetch(struct worker *w);
unsigned worker_steer_turn(struct worker *w);
void worker_steer_publish(struct worker *w);
void worker_steer_close(struct worker *w);
void worker_neigh_tell(
	struct worker *w, const struct base_ip *ip, const struct rte_ether_addr *mac);
void worker_too_big_input(struct worker *w, const struct net_packet *pkt);
unsigned worker_news_turn(struct worker *w);
// One frame into net, from the device or a peer.
void worker_frame_input(struct worker *w, struct rte_mbuf *m);

// ---- worker_tx.c: output ------------------------------------------------------------------------
// net's batch, whether this worker has a queue of the device or not.
void worker_tx_flush(void *arg, struct rte_mbuf **m, uint16_t count);
// Frames for this worker's queue. Takes all of them: what the device does not take waits, or is
// dropped and counted when WORKER_TX_WAIT do.
void worker_tx_device(struct worker *w, struct rte_mbuf **m, uint16_t count);
// Offers what waits. Returns how many the device took.
unsigned worker_tx_turn(struct worker *w);
// Offers it for the last time, and drops it.
void worker_tx_close(struct worker *w);

// ---- worker_group.c ----------------------------------------------------------------------------
void worker_group_peers_set(struct worker_group *g, struct worker *w);
struct worker_latency *worker_latency_own(struct worker_group *g, unsigned id);
struct access_sources *worker_sources(struct worker_group *g);
struct worker_times *worker_times_own(struct worker_group *g, unsigned id);
void worker_report_publish(struct worker *w);
struct worker_tell *worker_tell_own(struct worker_group *g, unsigned id);
// The one dump of the server: true when it is the caller's from now on.
bool worker_dump_take(struct worker_group *g);
void worker_dump_give(struct worker_group *g);

struct worker_memory_text {
	uint64_t len;
	char text[WORKER_MEMORY_TEXT_MAX];
};

// False when it was being written all the while.
bool worker_memory_text_get(struct worker_group *g, struct worker_memory_text *out);
bool worker_alarm_text_get(struct worker_group *g, struct worker_memory_text *out);
bool worker_doctor_text_get(struct worker_group *g, struct worker_memory_text *out);
// False when they were being written all the while, or never have been.
bool worker_users_get(struct worker_group *g, struct worker_users *out);
// True once for each question.
bool worker_probe_next(struct worker *w, struct worker_probe *out);
void worker_probe_reply(struct worker *w, const struct worker_probe_answer *answer);

// ---- worker_upkeep.c
void worker_upkeep_open(struct worker *w);
// Slices of upkeep. Returns how many there were.
unsigned worker_upkeep_turn(struct worker *w, bool idle);

// ---- worker_memory.c
// Slices of the domain's upkeep. 1 when there is more to do.
unsigned worker_memory_turn(struct worker *w);
void worker_probe_turn(struct worker *w);

void worker_orders_read(struct worker *w);
void worker_news_post(struct worker *w, const struct worker_news *n);
bool worker_news_next(struct worker *w, unsigned from, struct worker_news *out);
