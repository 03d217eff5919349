// SPDX-License-Identifier: BSD-3-Clause
// The command line: one table of options.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lcbench.h"

enum kind { FLAG, TEXT, NUMBER, REAL, ADDRESS, CHOICE };

struct option_row {
	const char *name;
	enum kind kind;
	size_t at; // offset in struct bench_options
	double min, max;
	const char *help; // for CHOICE: "no|yes"
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
	ROW("mode", CHOICE, set, 0, 0, "get|set"),
	ROW("sets", NUMBER, sets, 0, 100, "percent of sets, the rest gets, whatever the mode"),
	ROW("evicting", FLAG, evicting, 0, 0, "keys may be gone: not checked, misses are no fault"),
	ROW("connections", NUMBER, connections, 1, BENCH_CONNS_MAX,
		"connections, or source ports with UDP (50)"),
	ROW("sources", NUMBER, sources, 1, BENCH_SOURCES_MAX,
		"addresses of ours with --driver, from --address on (1)"),
	ROW("churn", NUMBER, churn, 0, BENCH_CONNS_MAX,
		"connections that are closed and opened after each answer (0)"),
	ROW("hold", FLAG, hold, 0, 0, "when all are connected, wait for SIGUSR1"),
	ROW("once", FLAG, once, 0, 0, "measure one request on each connection"),
	ROW("rate", NUMBER, rate, 1, 1e9, "requests a second, evenly (as fast as answers come)"),
	ROW("syn-flood", NUMBER, flood, 1, 1e8, "SYNs a second from nobody's addresses"),
	ROW("pipeline", NUMBER, pipeline, 1, BENCH_PIPELINE_MAX, "requests in flight on each (1)"),
	ROW("keys", NUMBER, keys, 1, BENCH_KEYS_MAX, "number of keys (100000)"),
	ROW("key-size", NUMBER, key_size, BENCH_KEY_MIN, BENCH_KEY_MAX, "bytes (32)"),
	ROW("value-size", NUMBER, value_size, 0, 1 << 30, "bytes (32)"),
	ROW("seconds", REAL, seconds, 0.01, 86400, "to measure (5)"),
	ROW("warmup", REAL, warmup_s, 0, 86400, "seconds before that (1)"),
	ROW("core", NUMBER, core, 0, 1023, "CPU to run on"),
	ROW("seed", NUMBER, seed, 0, 1e15, "of the choice of keys (1)"),
	ROW("json", TEXT, json, 0, 0, "file for the result"),
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

static int value_set(const struct option_row *row, void *field, const char *value)
{
	const char *bar;
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
	default: // CHOICE
		bar = strchr(row->help, '|');
		*(bool *)field = !strcmp(value, bar + 1);
		if (*(bool *)field)
			return 0;
		return strlen(value) == (size_t)(bar - row->help) &&
				!strncmp(value, row->help, strlen(value))
			? 0
			: -EINVAL;
	}
}

static const struct option_row *row_find(const char *name)
{
	for (unsigned i = 0; i < BASE_ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static int check(const struct bench_options *o)
{
	if (o->udp && (o->churn || o->hold || o->once || o->rate || o->flood)) {
		fprintf(stderr,
			"lcbench: --churn, --hold, --once, --rate and --syn-flood are TCP's\n");
		return -EINVAL;
	}
	if (o->sockets && (o->sources > 1 || o->flood)) {
		fprintf(stderr, "lcbench: --sources and --syn-flood need --driver\n");
		return -EINVAL;
	}
	if (o->churn > o->connections || (o->churn && o->pipeline > 1)) {
		fprintf(stderr,
			"lcbench: --churn is at most --connections, one request in flight\n");
		return -EINVAL;
	}
	// keys are set over UDP, too, and a request is one datagram
	if (o->udp && o->value_size + o->key_size + BENCH_SET_REST > BENCH_UDP_MAX) {
		fprintf(stderr, "lcbench: over UDP key and value have at most %d bytes\n",
			BENCH_UDP_MAX - BENCH_SET_REST);
		return -EINVAL;
	}
	if (o->udp && (uint64_t)o->connections * o->pipeline > 65536) {
		fprintf(stderr, "lcbench: over UDP at most 65536 requests may be in flight\n");
		return -EINVAL;
	}
	return 0;
}

int bench_options_parse(struct bench_options *o, int argc, char **argv)
{
	*o = (struct bench_options){.driver = "vhost-user",
		.address = "198.18.211.1/24",
		.server = base_ip4(RTE_BE32(UINT32_C(0xc612d302))), // 198.18.211.2
		.port = 11211,
		.sets = UINT_MAX,
		.connections = 50,
		.pipeline = 1,
		.sources = 1,
		.keys = 100000,
		.key_size = 32,
		.value_size = 32,
		.seconds = 5,
		.warmup_s = 1,
		.core = -1,
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
	return check(o);
}
