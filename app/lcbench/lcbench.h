// SPDX-License-Identifier: BSD-3-Clause
// lcbench: a load generator for memcached's protocol. A closed loop: every client keeps a fixed
// number of requests in flight and sends the next when an answer has come. Or an open one (--rate).
//
//	options.c       the command line; options_check.c: what options say together
//	workload.c      what is asked for: gets or sets, which keys (zipf.c), which values (sizes.c)
//	cluster.c       --cluster
//	words.c         bytes of requests and heads of answers: words_text.c (text and meta) and
//	                words_binary.c (binary.c), behind words_form.h
//	client.c        one client: its requests in flight; answer.c: its answers, byte by byte
//	schedule.c      the open loop
//	bench.c         phases: fill, check, warm up, measure
//	measure.c       what is counted; hist.c: latencies; waited.c: cores that others had
//	udp.c           memcached's UDP frame, losses
//	report.c        progress, the result; report_json.c
//	dpdk.c          our own stack over any driver file; dpdk_tcp.c, dpdk_udp.c, dpdk_flood.c,
//	                dpdk_writer.c; dpdk_prepared.c: TCP requests past lib/tcp
//	dpdk_answer.c   the other end without a store (constant.c), to find lcbench's ceiling
//	sockets.c       the kernel's stack; sockets_tcp.c, sockets_udp.c
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_byteorder.h>

#include "base/base.h"
#include "hist.h"
#include "options.h"
#include "schedule.h"
#include "waited.h"
#include "words.h"
#include "workload.h"

// ---- client.c, answer.c
struct bench;

enum bench_expect { // what the next byte of an answer belongs to
	BENCH_HEAD,
	BENCH_VALUE,
	BENCH_VALUE_END, // words_value_end
};

struct bench_flight {    // a request in flight
	uint64_t due_ns; // closed loop: when it was made; open loop: when it should have been
	uint64_t sent_ns;
	uint32_t *key;    // ring memory of options.multi keys
	uint32_t keys;    // a set has one
	uint32_t version; // of a set
	bool set, verify;
};

struct bench_client {
	struct bench_flight *flight; // ring of bench.per_client
	uint32_t head, inflight;
	uint8_t expect; // enum bench_expect
	bool dead;
	uint16_t part_len; // of what is in part[]; BENCH_VALUE_END: bytes that have come
	// the answer so far, to the oldest request
	uint32_t key_at; // keys before this one have been answered, or are missing
	uint32_t hits;
	uint32_t value_version, value_size, value_left; // of key_at
	char part[WORDS_HEAD_MAX]; // the beginning of a head whose end has not come
	// transport
	void *conn; // struct tcp_conn
	int fd;
	uint32_t conn_index;
	bool once_sent;
	bool leaving;        // churn: closing, or connecting anew
	uint16_t request_id; // UDP: of the request in flight
	uint16_t sequence;   // UDP: of the next datagram of the answer
	uint64_t tried_ns;   // UDP: when the request was sent last
	char *out;           // sockets: bytes not yet written
	uint32_t out_len, out_at;
};

struct bench_request { // what is to be sent; its bytes are the bench's, until the next request
	size_t head_len;
	const char *head;
	uint32_t value_len;
	const char *value; // of a set
	const char *end;   // what follows that on the wire
	uint32_t end_len;
	bool set;
	uint16_t shard; // of the server, that has its first key; 0 without --shard-ports
};

// The next request of a client, entered as in flight. False: none now.
bool bench_client_next(struct bench *b, struct bench_client *c, struct bench_request *r);
// The oldest request in flight once more (UDP, after a loss).
void bench_client_again(struct bench *b, struct bench_client *c, struct bench_request *r);
// The oldest request in flight is not waited for any more (UDP, after a loss).
void bench_client_give_up(struct bench *b, struct bench_client *c);
// The client's connection is gone: its requests count as errors.
void bench_client_lose(struct bench *b, struct bench_client *c, const char *why);
// The oldest request in flight is answered.
void bench_client_complete(struct bench *b, struct bench_client *c, bool ok);
// Whether one more complaint may be written to stderr.
bool bench_may_complain(struct bench *b);
// Bytes of answers. False: they cannot be understood, the client is dead.
bool bench_client_feed(struct bench *b, struct bench_client *c, const char *data, size_t len);
// Bytes that a request may have, value and all.
size_t bench_request_max(const struct bench *b);

// ---- bench.c
enum bench_phase {
	BENCH_CONNECT,
	BENCH_FILL,
	BENCH_CHECK,
	BENCH_WARMUP,
	BENCH_MEASURE,
	BENCH_DONE
};

struct bench_counters {
	uint64_t requests, errors, timeouts;
	uint64_t keys_read, misses, verified; // keys, not requests
	uint64_t opens;                       // connections made anew (churn)
	uint64_t syns;                        // of the flood
	uint64_t busy_ns;                     // turns that found something to do
};

// A stretch of what is measured: SIGUSR1 ends one and begins the next, and --segments does.
struct bench_segment {
	double start_s, seconds;
	uint64_t requests, gets;
	double get_p50_us, get_p99_us, get_p999_us, get_max_us;
	double waited_us; // while others had our core, or that of --watch
	bool calm;
};

struct bench {
	const struct bench_options *o;
	struct bench_workload workload;
	struct words words;
	struct schedule schedule; // options.rate
	char *head;               // of the request being made
	struct bench_client *client;
	struct bench_flight *flight; // of all clients
	uint32_t *key;               // of all flights
	unsigned clients;            // connections, or with UDP connections x pipeline
	unsigned per_client;         // requests a client has in flight at most
	unsigned dead;
	enum bench_phase phase;
	bool kick;           // the phase changed: every client may send; the transport clears it
	unsigned kicked;     // of them, those that were told (bench_kick_next)
	const char *failed;  // why the run is void, or NULL
	uint32_t next_key;   // BENCH_FILL, BENCH_CHECK
	uint32_t unverified; // requests since one was chosen to be verified
	uint64_t inflight;
	uint64_t now_ns, phase_start_ns, report_ns, answer_ns;
	uint64_t report_requests;
	uint64_t cpu_start_ns, cpu_ns, measured_ns;
	unsigned complaints; // lines on stderr about wrong answers
	struct bench_counters n;
	struct hist get_ns, set_ns; // latencies
	uint64_t tsc_hz;            // as the stack knows it; 0 with sockets
	uint64_t backlog;           // at the end
	unsigned marks;             // of bench_marks, seen
	unsigned segments;
	struct bench_segment segment[BENCH_SEGMENTS];
	uint64_t segment_start_ns, segment_requests;
	uint64_t segment_max_ns;    // of gets
	struct hist segment_before; // get_ns when the segment began
	struct hist scratch;
	struct waited own, watched; // --watch
	bool segment_spoiled;       // the one before was not calm
	struct hist calm_ns;        // gets of calm segments
	unsigned calm;              // how many
};

// A client that may have something to send though no answer came: a phase has begun, or the rate
// allows another request. NULL: none in this turn. Bounded by BENCH_KICK a turn of `left`.
#define BENCH_KICK 256
struct bench_client *bench_kick_next(struct bench *b, unsigned *left);
// Whether this client's connection is to be made anew now, as its last request has been answered.
bool bench_client_done(const struct bench *b, const struct bench_client *c);

int bench_open(struct bench *b, const struct bench_options *o);
void bench_close(struct bench *b);
uint64_t bench_now_ns(void);
// Starts the phases. Call once the clients are connected.
void bench_start(struct bench *b);
// How many keys the phase goes through in order: BENCH_FILL, BENCH_CHECK.
uint32_t bench_keys_ordered(const struct bench *b);
// Once a turn: time, phases, progress. `busy`: the last turn had something to do. False: over.
bool bench_turn(struct bench *b, bool busy);
void bench_fail(struct bench *b, const char *why);
uint64_t bench_cpu_ns(void);

// ---- measure.c
void bench_measure_begin(struct bench *b);
// Ends a segment if SIGUSR1 came.
void bench_measure_mark(struct bench *b);
void bench_measure_end(struct bench *b);
// A request has been answered. `ok`: as it should be.
void bench_complete(struct bench *b, const struct bench_flight *f, bool ok);

// ---- udp.c: memcached's UDP frame; the request id names the client among those of its connection
// Writes the request with its frame header under a new id; `to` has BENCH_UDP_MAX + 8 bytes.
unsigned bench_udp_write(
	struct bench *b, struct bench_client *c, const struct bench_request *r, char *to);
// A datagram of connection `conn`. Returns its client when that may send now, else NULL.
struct bench_client *bench_udp_feed(struct bench *b, unsigned conn, const char *data, size_t len);
// Calls `resend` for every client that has waited too long, if it is time to look; or `next`, with
// --lost count, as its request has been given up.
void bench_udp_timeouts(struct bench *b, uint64_t *look_ns,
	void (*resend)(void *arg, struct bench_client *c),
	void (*next)(void *arg, struct bench_client *c), void *arg);

// ---- report.c
void bench_progress(struct bench *b);
// 0, or -errno when the JSON file cannot be written.
int bench_report(const struct bench *b);

// ---- transports: run the whole thing. 0 or -errno, said on stderr.
int bench_dpdk_run(struct bench *b);
int bench_sockets_run(struct bench *b);

// From now on signals end what is measured; until then they end the process, which may wait for
// its peer.
void bench_signals_take(void);

// Set by SIGINT and SIGTERM: the run ends at once.
extern volatile bool bench_stop;
// Raised by SIGUSR1.
extern volatile unsigned bench_marks;
// Set by SIGUSR2: what is measured ends now.
extern volatile bool bench_enough;
