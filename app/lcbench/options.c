// SPDX-License-Identifier: BSD-3-Clause
// The command line: one table of options.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "options.h"
#include "words.h"

enum kind { FLAG, TEXT, NUMBER, REAL, ADDRESS, CLUSTER, CHOICE };

struct option_row {
	const char *name;
	enum kind kind;
	size_t at; // offset in struct bench_options
	double min, max;
	const char
		*help; // CHOICE: begins with "first|second", or "first|second|third", and a colon
};

#define ROW(name, kind, field, min, max, help) \
	{ \
		name, kind, offsetof(struct bench_options, field), min, max, help \
	}

static const struct option_row rows[] = {
	ROW("driver", TEXT, driver, 0, 0, "driver configuration, name or file (vhost-user)"),
	ROW("address", TEXT, address, 0, 0, "our address with --driver (198.18.211.1/24)"),
	ROW("sockets", FLAG, sockets, 0, 0, "the kernel's sockets instead of our own stack"),
	ROW("server", ADDRESS, server, 0, 0, "server's address (198.18.211.2)"),
	ROW("port", NUMBER, port, 1, 65535, "and port (11211)"),
	ROW("proto", CHOICE, udp, 0, 0, "tcp|udp"),
	ROW("shard-ports", NUMBER, shard_ports, 1, BENCH_SHARDS_MAX,
		"UDP: shards of the server, each with a port of its own from --port on (1)"),
	ROW("sources", NUMBER, sources, 1, BENCH_SOURCES_MAX,
		"addresses of ours with --driver, from --address on (1)"),
	ROW("lost", CHOICE, lost_counted, 0, 0,
		"resend|count: UDP requests without an answer: sent again, or given up"),
	ROW("timeout-ms", NUMBER, timeout_ms, 1, 60000, "... after so long (200)"),

	ROW("commands", CHOICE, commands, 0, 0,
		"text|meta|binary: get and set, mg and ms, or binary packets"),
	ROW("cluster", CLUSTER, cluster_value_size, 0, 0,
		"FILE:N: sizes, mix, TTL, Zipf of a row; options after it go before it"),
	ROW("get-ratio", REAL, get_ratio, 0, 1, "share of gets, 0 to 1; the rest are sets (1)"),
	ROW("mode", CHOICE, set, 0, 0, "get|set: --get-ratio 1 or 0"),
	ROW("sets", NUMBER, sets, 0, 100, "percent of sets: --get-ratio by another name"),
	ROW("keys", NUMBER, keys, 1, BENCH_KEYS_MAX, "number of keys (100000)"),
	ROW("zipf", REAL, zipf, 0, 10, "exponent of the keys' frequencies, say 0.99 (0: uniform)"),
	ROW("multi", NUMBER, multi, 1, BENCH_MULTI_MAX, "keys of a get (1)"),
	ROW("key-size", NUMBER, key_size, WORDS_KEY_MIN, WORDS_KEY_MAX, "bytes (32)"),
	ROW("value-size", TEXT, value_size, 0, 0,
		"bytes: N, MIN-MAX, or BYTES:WEIGHT,BYTES:WEIGHT,... (32)"),
	ROW("versions", NUMBER, versions, 1, UINT32_MAX,
		"values that sets choose among, a key (1)"),
	ROW("ttl", NUMBER, ttl_s, 0, 2592000, "seconds that a set asks for (0: no end)"),
	ROW("due-keys", NUMBER, due_keys, 0, BENCH_KEYS_MAX,
		"keys beside --keys that --preload sets and nobody asks for (0)"),
	ROW("due-at", NUMBER, due_at, 0, UINT32_MAX, "... and the Unix time when they expire (0)"),
	ROW("seed", NUMBER, seed, 0, 1e15, "of all choices (1)"),

	ROW("connections", NUMBER, connections, 1, BENCH_CONNS_MAX,
		"connections, or source ports with UDP (50)"),
	ROW("pipeline", NUMBER, pipeline, 1, BENCH_PIPELINE_MAX, "requests in flight on each (1)"),
	ROW("rate", NUMBER, rate, 1, 1e9,
		"requests a second, on a schedule: latency counts from when one was due"),
	ROW("churn", NUMBER, churn, 0, BENCH_CONNS_MAX,
		"connections that are closed and opened after each answer (0)"),
	ROW("hold", FLAG, hold, 0, 0, "when all are connected, wait for SIGUSR1"),
	ROW("once", FLAG, once, 0, 0, "measure one request on each connection"),
	ROW("prepared", FLAG, prepared, 0, 0,
		"with --driver: requests in TCP segments prepared once, nothing sent again"),
	ROW("answer", FLAG, answer, 0, 0,
		"be the server: every key has the same value (with --driver and --address)"),
	ROW("syn-flood", NUMBER, flood, 1, 1e8, "SYNs a second from nobody's addresses"),

	ROW("preload", CHOICE, preload, 0, 0,
		"none|fill|check: set every key first, and read them all (check)"),
	ROW("verify", CHOICE, verify, 0, 0,
		"off|sample|all: values measured that are compared (sample: every 64th request's)"),
	ROW("evicting", FLAG, evicting, 0, 0, "keys may be gone: --preload fill at most"),
	ROW("seconds", REAL, seconds, 0.01, 86400, "to measure (5)"),
	ROW("warmup", REAL, warmup_s, 0, 86400, "seconds before that (1)"),
	ROW("core", NUMBER, core, 0, 1023, "CPU to run on"),
	ROW("segments", NUMBER, segments, 1, BENCH_SEGMENTS,
		"parts of the measurement with latencies of their own (1)"),
	ROW("watch", NUMBER, watch, 1, INT32_MAX,
		"the server's process: segments are calm when nobody else had its core, or ours"),
	ROW("progress", FLAG, progress, 0, 0, "a line a second on stderr, as on a terminal"),
	ROW("json", TEXT, json, 0, 0, "file for the result; - for stdout, without the table"),
};

static void usage(FILE *f)
{
	fprintf(f, "usage: lcbench [options] [-- EAL arguments]\n");
	for (unsigned i = 0; i < BASE_ARRAY_LEN(rows); i++)
		fprintf(f, "  --%-12s %s\n", rows[i].name, rows[i].help);
}

static int number_set(const struct option_row *row, void *field, const char *value)
{
	uint64_t v;

	if (base_u64_parse(value, strlen(value), &v) || (double)v < row->min ||
		(double)v > row->max)
		return -EINVAL;
	if (row->at == offsetof(struct bench_options, port))
		*(uint16_t *)field = (uint16_t)v;
	else if (row->at == offsetof(struct bench_options, seed))
		*(uint64_t *)field = v;
	else
		*(uint32_t *)field = (uint32_t)v;
	return 0;
}

// The field becomes the place of the value among the words.
static int choice_set(const struct option_row *row, uint8_t *field, const char *value)
{
	const char *word = row->help;

	for (uint8_t i = 0;; i++) {
		size_t len = strcspn(word, "|:");

		if (strlen(value) == len && !memcmp(value, word, len)) {
			*field = i;
			return 0;
		}
		if (word[len] != '|')
			return -EINVAL;
		word += len + 1;
	}
}

// FILE:N. What the row says is as if its options stood here.
static int cluster_set(struct bench_options *o, const char *value)
{
	const char *colon = strrchr(value, ':');
	char path[PATH_MAX];
	struct cluster c;
	uint64_t number;

	if (colon == NULL || (size_t)(colon - value) >= sizeof(path) ||
		base_u64_parse(colon + 1, strlen(colon + 1), &number))
		return -EINVAL;
	memcpy(path, value, (size_t)(colon - value));
	path[colon - value] = '\0';
	if (cluster_read(path, number, &c))
		return -EINVAL;
	o->key_size = (uint32_t)base_max_u64(c.key_bytes, WORDS_KEY_MIN);
	snprintf(o->cluster_value_size, sizeof(o->cluster_value_size), "%u", c.value_bytes);
	o->value_size = o->cluster_value_size;
	o->ttl_s = c.ttl_s;
	o->get_ratio = c.get_ratio;
	o->zipf = c.zipf;
	return o->key_size <= WORDS_KEY_MAX ? 0 : -EINVAL;
}

static int value_set(const struct option_row *row, void *field, const char *value)
{
	double real;
	char *end;

	switch (row->kind) {
	case TEXT:
		*(const char **)field = value;
		return 0;
	case NUMBER:
		return number_set(row, field, value);
	case REAL:
		real = strtod(value, &end);
		if (end == value || *end || !(real >= row->min && real <= row->max))
			return -EINVAL;
		*(double *)field = real;
		return 0;
	case ADDRESS:
		return base_ip_parse(value, field);
	case CLUSTER:
		return cluster_set((struct bench_options *)((char *)field - row->at), value);
	default: // CHOICE
		return choice_set(row, field, value);
	}
}

static const struct option_row *row_find(const char *name)
{
	for (unsigned i = 0; i < BASE_ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

int bench_options_parse(struct bench_options *o, int argc, char **argv)
{
	*o = (struct bench_options){.driver = "vhost-user",
		.address = "198.18.211.1/24",
		.server = base_ip4(RTE_BE32(UINT32_C(0xc612d302))), // 198.18.211.2
		.port = 11211,
		.shard_ports = 1,
		.sets = UINT_MAX,
		.connections = 50,
		.pipeline = 1,
		.sources = 1,
		.keys = 100000,
		.key_size = 32,
		.value_size = "32",
		.multi = 1,
		.versions = 1,
		.get_ratio = -1,
		.timeout_ms = 200,
		.preload = PRELOAD_CHECK,
		.verify = VERIFY_SAMPLE,
		.seconds = 5,
		.warmup_s = 1,
		.core = -1,
		.segments = 1,
		.seed = 1};
	for (int i = 1; i < argc; i++) {
		const struct option_row *row;

		if (!strcmp(argv[i], "--")) {
			o->eal_argc = argc - i - 1;
			o->eal_argv = argv + i + 1;
			break;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage(stdout);
			return 1;
		}
		row = strncmp(argv[i], "--", 2) ? NULL : row_find(argv[i] + 2);
		if (row == NULL) {
			fprintf(stderr, "lcbench: unknown option %s (--help lists them)\n",
				argv[i]);
			return -EINVAL;
		}
		if (row->kind == FLAG) {
			*(bool *)((char *)o + row->at) = true;
			continue;
		}
		if (++i == argc || value_set(row, (char *)o + row->at, argv[i])) {
			fprintf(stderr, "lcbench: --%s %s: bad or missing value (%s)\n", row->name,
				i < argc ? argv[i] : "", row->help);
			return -EINVAL;
		}
	}
	return bench_options_check(o);
}
