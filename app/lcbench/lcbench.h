// SPDX-License-Identifier: BSD-3-Clause
// lcbench: a load generator for memcached's protocol. A closed loop: every client keeps a fixed
// number of requests in flight and sends the next when an answer has come.
//
//	options.c    the command line
//	workload.c   keys, values, the bytes of requests and the answers they must get
//	client.c     one client: its requests in flight, its answers as they come, byte by byte
//	bench.c      phases: fill, check, warm up, measure
//	udp.c        memcached's UDP frame, losses
//	report.c     progress, the final lines, JSON
//	dpdk.c       our own stack over any driver file; dpdk_tcp.c, dpdk_udp.c, dpdk_flood.c
//	sockets.c    the kernel's stack; sockets_tcp.c, sockets_udp.c
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_byteorder.h>

#include "base/base.h"

#define BENCH_CONNS_MAX      (1 << 20)
#define BENCH_SOURCES_MAX    60
#define BENCH_PIPELINE_MAX   1024
#define BENCH_KEY_MIN        8
#define BENCH_KEY_MAX        250
#define BENCH_KEYS_MAX       100000000 // 8 digits of the key
#define BENCH_HEAD_MAX       320       // a command line, or the line before a value
#define BENCH_SET_REST       24 // bytes of a set besides key and value, while its length has 4 digits
#define BENCH_UDP_MAX        1400 // bytes of a request over UDP, frame header aside
#define BENCH_SEGMENTS       64
#define BENCH_UDP_TIMEOUT_NS UINT64_C(200000000)

// ---- options.c
struct bench_options {
	bool sockets;        // the kernel's stack; else our own over `driver`
	const char *driver;  // name or file
	const char *address; // ours, A.B.C.D/LEN
	struct base_ip server;
	uint16_t port;
	bool udp;
	bool set;      // what is measured: sets, or gets
	unsigned sets; // percent of sets among what is measured; above 100: as `set` says
	bool evicting; // keys may be gone: they are not checked, and misses are no fault
	unsigned connections, pipeline;
	unsigned sources; // addresses of ours that connections come from, in turn
	unsigned churn;   // so many of the connections are closed and opened anew after each answer
	bool hold;        // between connecting and the load, wait for SIGUSR1
	bool once;        // measured is one request on each connection
	uint32_t rate;    // of requests a second, evenly; 0: as fast as answers come
	uint32_t flood;   // TCP SYNs a second from addresses that nobody has, while measuring
	uint32_t keys, key_size, value_size;
	double seconds, warmup_s;
	int core; // to pin to, or -1
	const char *json;
	uint64_t seed;
	int eal_argc;
	char **eal_argv;
};

// 0, 1 when there is nothing more to do (--help), or -EINVAL, said on stderr.
int bench_options_parse(struct bench_options *o, int argc, char **argv);

// ---- workload.c
struct bench_workload {
	uint32_t key_size, value_size;
	char *values;                         // value i starts at bench_value(); the values overlap
	uint16_t get_len, set_len, value_len; // lengths of the templates
	uint16_t get_at, set_at, value_at;    // where the key's 8 digits stand in them
	char get[BENCH_HEAD_MAX];             // "get KEY\r\n"
	char set[BENCH_HEAD_MAX];             // "set KEY 0 0 N\r\n"
	char value[BENCH_HEAD_MAX];           // "VALUE KEY 0 N\r\n"
};

int bench_workload_open(struct bench_workload *w, const struct bench_options *o);
void bench_workload_close(struct bench_workload *w);
// The bytes of a key's value.
const char *bench_value(const struct bench_workload *w, uint32_t key);
// Writes the command line (BENCH_HEAD_MAX is enough), returns its length. A set's value and "\r\n"
// follow it.
unsigned bench_get_write(const struct bench_workload *w, uint32_t key, char *to);
unsigned bench_set_write(const struct bench_workload *w, uint32_t key, char *to);
// The line before a key's value in an answer.
unsigned bench_value_line_write(const struct bench_workload *w, uint32_t key, char *to);

// ---- client.c
struct bench;

enum bench_expect { // what the next byte of an answer belongs to
	BENCH_LINE,
	BENCH_VALUE,
	BENCH_VALUE_END, // "\r\nEND\r\n"
};

struct bench_flight { // a request in flight
	uint64_t sent_ns;
	uint32_t key;
	bool set, verify;
};

struct bench_client {
	struct bench_flight *flight; // ring of options.pipeline (UDP: one)
	uint32_t head, inflight;
	uint8_t expect; // enum bench_expect
	bool dead;
	uint16_t line_len;
	uint32_t value_left;
	char line[BENCH_HEAD_MAX]; // the beginning of a line whose end has not come
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

struct bench_request { // what is to be sent
	unsigned head_len;
	uint32_t value_len; // 0: a get
	const char *value;  // followed by "\r\n" on the wire when value_len or set
	bool set;
	char head[BENCH_HEAD_MAX];
};

// The next request of a client, entered as in flight. False: none now.
bool bench_client_next(struct bench *b, struct bench_client *c, struct bench_request *r);
// The oldest request in flight once more (UDP, after a loss).
void bench_client_again(struct bench *b, struct bench_client *c, struct bench_request *r);
// Bytes of answers. False: they cannot be understood, the client is dead.
bool bench_client_feed(struct bench *b, struct bench_client *c, const char *data, size_t len);
// The client's connection is gone: its requests count as errors.
void bench_client_lose(struct bench *b, struct bench_client *c, const char *why);

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
	uint64_t requests, misses, errors, timeouts, verified;
	uint64_t opens;   // connections made anew (churn)
	uint64_t syns;    // of the flood
	uint64_t busy_ns; // turns that found something to do
};

// A stretch of what is measured: SIGUSR1 ends one and begins the next.
struct bench_segment {
	double start_s, seconds;
	uint64_t requests, gets;
	double get_p50_us, get_p99_us, get_p999_us, get_max_us;
};

struct bench {
	const struct bench_options *o;
	struct bench_workload workload;
	struct bench_client *client;
	unsigned clients;    // connections, or with UDP connections x pipeline
	unsigned per_client; // requests a client has in flight
	unsigned dead;
	struct base_rng rng;
	enum bench_phase phase;
	bool kick;          // the phase changed: every client may send; the transport clears it
	unsigned kicked;    // of them, those that were told (bench_kick_next)
	uint64_t credit_ns; // options.rate: the time that the requests sent so far have used
	const char *failed; // why the run is void, or NULL
	uint32_t next_key;  // BENCH_FILL, BENCH_CHECK
	uint64_t inflight;
	uint64_t now_ns, phase_start_ns, report_ns, answer_ns;
	uint64_t report_requests;
	uint64_t cpu_start_ns, cpu_ns, measured_ns;
	unsigned complaints; // lines on stderr about wrong answers
	struct bench_counters n;
	struct base_hist latency_ns, get_latency_ns;
	unsigned marks; // of bench_marks, seen
	unsigned segments;
	struct bench_segment segment[BENCH_SEGMENTS];
	uint64_t segment_start_ns, segment_requests;
	struct base_hist segment_ns; // of gets
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
// Once a turn: time, phases, progress. `busy`: the last turn had something to do. False: over.
bool bench_turn(struct bench *b, bool busy);
void bench_fail(struct bench *b, const char *why);
// A request has been answered. `ok`: as it should be.
void bench_complete(struct bench *b, const struct bench_flight *f, bool miss, bool ok);

// ---- udp.c: memcached's UDP frame; the request id names the client among those of its connection
// Writes the request with its frame header under a new id; `to` has BENCH_UDP_MAX + 8 bytes.
unsigned bench_udp_write(
	struct bench *b, struct bench_client *c, const struct bench_request *r, char *to);
// A datagram of connection `conn`. Returns its client when that may send now, else NULL.
struct bench_client *bench_udp_feed(struct bench *b, unsigned conn, const char *data, size_t len);
// Calls `resend` for every client that has waited too long, if it is time to look.
void bench_udp_timeouts(struct bench *b, uint64_t *next_ns,
	void (*resend)(void *arg, struct bench_client *c), void *arg);

// ---- report.c
void bench_progress(struct bench *b);
// 0, or -errno when the JSON file cannot be written.
int bench_report(const struct bench *b);

// ---- transports: run the whole thing. 0 or -errno, said on stderr.
int bench_dpdk_run(struct bench *b);
int bench_sockets_run(struct bench *b);

// Set by SIGINT and SIGTERM: the run ends at once.
extern volatile bool bench_stop;
// Raised by SIGUSR1.
extern volatile unsigned bench_marks;
// Set by SIGUSR2: what is measured ends now.
extern volatile bool bench_enough;
