// SPDX-License-Identifier: BSD-3-Clause
// What options say together.
#include <errno.h>
#include <stdio.h>

#include "options.h"
#include "words.h"

static int refuse(const char *why)
{
	fprintf(stderr, "lcbench: %s\n", why);
	return -EINVAL;
}

static int mix_check(struct bench_options *o)
{
	if (o->get_ratio >= 0 && o->sets <= 100)
		return refuse("--get-ratio and --sets say the same: give one of them");
	if (o->get_ratio < 0)
		o->get_ratio = o->sets <= 100 ? 1 - o->sets / 100.0 : o->set ? 0 : 1;
	return 0;
}

// Over UDP a request is one datagram.
static int datagram_check(const struct bench_options *o)
{
	struct words words;

	words_open(&words, o);
	if ((o->preload || o->get_ratio < 1) &&
		words_set_max(&words) + o->value_sizes.max > BENCH_UDP_MAX) {
		fprintf(stderr, "lcbench: over UDP a set has at most %d bytes: smaller values\n",
			BENCH_UDP_MAX);
		return -EINVAL;
	}
	if (words_get_max(&words, o->multi) > BENCH_UDP_MAX) {
		fprintf(stderr, "lcbench: over UDP a get has at most %d bytes: smaller --multi\n",
			BENCH_UDP_MAX);
		return -EINVAL;
	}
	return 0;
}

static int prepared_check(const struct bench_options *o)
{
	struct words words;
	size_t most;

	words_open(&words, o);
	most = base_max_u64(words_get_max(&words, o->multi),
		o->get_ratio < 1 ? words_set_max(&words) + o->value_sizes.max : 0);
	if (o->sockets || o->udp || o->churn || !base_ip_is4(&o->server))
		return refuse("--prepared is for TCP over IPv4 and --driver, without --churn");
	if (most > BENCH_UDP_MAX || most * o->pipeline > BENCH_PREPARED_MAX)
		return refuse(
			"--prepared: a request has at most 1400 bytes, and 16384 are in flight");
	return 0;
}

static int udp_check(const struct bench_options *o)
{
	if (o->churn || o->hold || o->once || o->flood)
		return refuse("--churn, --hold, --once and --syn-flood are TCP's");
	if ((uint64_t)o->connections * o->pipeline > BENCH_UDP_FLIGHT_MAX)
		return refuse("over UDP at most 65536 requests may be in flight");
	if (o->port + o->shard_ports - 1 > UINT16_MAX)
		return refuse("--shard-ports: they end beyond port 65535");
	if (o->shard_ports > 1 && o->answer)
		return refuse("--shard-ports is the client's");
	return datagram_check(o);
}

int bench_options_check(struct bench_options *o)
{
	if (sizes_parse(&o->value_sizes, o->value_size, BENCH_VALUE_MAX))
		return refuse("--value-size: N, MIN-MAX or BYTES:WEIGHT,BYTES:WEIGHT,...");
	if (mix_check(o))
		return -EINVAL;
	if (o->evicting && o->preload == PRELOAD_CHECK)
		o->preload = PRELOAD_FILL;
	if (o->sockets && (o->sources > 1 || o->flood))
		return refuse("--sources and --syn-flood need --driver");
	if (o->churn > o->connections || (o->churn && o->pipeline > 1))
		return refuse("--churn is at most --connections, one request in flight");
	if (o->keys + o->due_keys > BENCH_KEYS_MAX || (o->due_keys && !o->preload))
		return refuse("--due-keys and --keys are 100 million at most, and need --preload");
	if (o->multi > o->keys)
		return refuse("--multi is at most --keys");
	if (o->answer && (o->sockets || o->value_sizes.min != o->value_sizes.max))
		return refuse("--answer needs --driver, and values of one size");
	if (!o->udp && o->shard_ports > 1)
		return refuse("--shard-ports is UDP's");
	if (!o->udp && o->lost_counted)
		return refuse("--lost is UDP's");
	if (o->prepared && prepared_check(o))
		return -EINVAL;
	return o->udp ? udp_check(o) : 0;
}
