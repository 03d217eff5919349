// SPDX-License-Identifier: BSD-3-Clause
// The command line.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>

#include "base/base.h"
#include "sizes.h"

#define BENCH_CONNS_MAX      (1 << 20)
#define BENCH_SOURCES_MAX    60
#define BENCH_PIPELINE_MAX   1024
#define BENCH_MULTI_MAX      1000
#define BENCH_KEYS_MAX       100000000 // 8 digits of the key
#define BENCH_VALUE_MAX      (1 << 30)
#define BENCH_UDP_MAX        1400 // bytes of a request over UDP, frame header aside
#define BENCH_SEGMENTS       256
#define BENCH_PREPARED_MAX   16384 // bytes in flight of a connection of --prepared
#define BENCH_SHARDS_MAX     64
#define BENCH_UDP_FLIGHT_MAX 65536 // request ids

enum bench_preload { PRELOAD_NONE, PRELOAD_FILL, PRELOAD_CHECK };
enum bench_commands { COMMANDS_TEXT, COMMANDS_META, COMMANDS_BINARY };
enum bench_verify { VERIFY_OFF, VERIFY_SAMPLE, VERIFY_ALL };

struct bench_options {
	// the way to the server
	bool sockets;        // the kernel's stack; else our own over `driver`
	const char *driver;  // name or file
	const char *address; // ours, A.B.C.D/LEN
	struct base_ip server;
	uint16_t port;
	bool udp;
	uint32_t shard_ports; // UDP: ports from `port` on, one a shard of the server
	unsigned sources;     // addresses of ours that connections come from, in turn
	uint32_t timeout_ms;  // UDP: without an answer
	bool lost_counted;    // ... which is counted and given up, not sent again
	// the workload
	double get_ratio; // share of gets; below 0: as `sets` or `set` say
	bool set;         // --mode
	unsigned sets;    // percent of sets; above 100: as `set` says
	uint32_t keys, key_size, multi, versions, ttl_s;
	uint32_t due_keys, due_at; // set as well, to be gone at that Unix time; never asked for
	double zipf;               // exponent; 0: uniform
	const char *value_size;
	struct sizes value_sizes;    // what that says
	char cluster_value_size[16]; // of --cluster
	uint8_t commands;            // enum bench_commands
	uint64_t seed;
	// the load
	unsigned connections, pipeline;
	uint32_t rate;  // requests a second, on a schedule; 0: the next when an answer has come
	unsigned churn; // so many of the connections are closed and opened anew after each answer
	bool hold;      // between connecting and the load, wait for SIGUSR1
	bool prepared;  // TCP segments from patterns, past lib/tcp
	bool answer;    // serve, without a store
	bool once;      // measured is one request on each connection
	uint32_t flood; // TCP SYNs a second from addresses that nobody has, while measuring
	// the run
	uint8_t preload; // enum bench_preload
	uint8_t verify;  // enum bench_verify
	bool evicting;   // keys may be gone: they are not checked, and misses are no fault
	double seconds, warmup_s;
	int core; // to pin to, or -1
	bool progress;
	unsigned segments; // that the measurement is cut into, beside SIGUSR1's
	uint32_t watch;    // the server's process, when it is on this machine: see measure.c
	const char *json;
	int eal_argc;
	char **eal_argv;
};

// 0, 1 when there is nothing more to do (--help), or -EINVAL, said on stderr.
int bench_options_parse(struct bench_options *o, int argc, char **argv);
// Resolves what options say together, and refuses what does not go together. 0 or -EINVAL, said on
// stderr.
int bench_options_check(struct bench_options *o);
