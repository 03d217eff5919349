// SPDX-License-Identifier: BSD-3-Clause
// The result as JSON: one object.
#include <inttypes.h>
#include <string.h>

#include "report.h"

static void load_write(const struct bench *b, FILE *f)
{
	static const char *const commands[] = {
		[COMMANDS_TEXT] = "text", [COMMANDS_META] = "meta", [COMMANDS_BINARY] = "binary"};
	const struct bench_options *o = b->o;
	bool ip4 = base_ip_is4(&o->server);
	char server[BASE_IP_TEXT];

	base_ip_format(&o->server, server);
	fprintf(f,
		"{\"transport\": \"%s\", \"proto\": \"%s\", \"commands\": \"%s\", "
		"\"server\": \"%s%s%s:%u\",\n",
		o->sockets ? "sockets" : "dpdk", o->udp ? "udp" : "tcp", commands[o->commands],
		ip4 ? "" : "[", server, ip4 ? "" : "]", o->port);
	fprintf(f,
		" \"get_ratio\": %.4f, \"connections\": %u, \"pipeline\": %u, \"multi\": %u, "
		"\"keys\": %u, \"zipf\": %.3f,\n",
		o->get_ratio, o->connections, o->pipeline, o->multi, o->keys, o->zipf);
	fprintf(f,
		" \"key_bytes\": %u, \"value_bytes\": \"%s\", \"versions\": %u, \"ttl_s\": %u, "
		"\"rate\": %u, \"seed\": %" PRIu64 ",\n",
		o->key_size, o->value_size, o->versions, o->ttl_s, o->rate, o->seed);
}

static void counters_write(const struct bench *b, FILE *f)
{
	double s = (double)b->measured_ns / 1e9;

	fprintf(f,
		" \"seconds\": %.6f, \"requests\": %" PRIu64 ", \"requests_per_s\": %.1f, "
		"\"keys_read_per_s\": %.1f,\n",
		s, b->n.requests, (double)b->n.requests / s, (double)b->n.keys_read / s);
	fprintf(f,
		" \"opens\": %" PRIu64 ", \"syns\": %" PRIu64 ",\n"
		" \"misses\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"timeouts\": %" PRIu64
		", \"verified\": %" PRIu64 ", \"lost_connections\": %u,\n",
		b->n.opens, b->n.syns, b->n.misses, b->n.errors, b->n.timeouts, b->n.verified,
		b->dead);
	fprintf(f, " \"backlog_max\": %" PRIu64 ", \"backlog_end\": %" PRIu64 ",\n",
		b->schedule.backlog_max, b->backlog);
}

static void latency_write(FILE *f, const char *prefix, const struct hist *h)
{
	static const struct {
		const char *name;
		double q;
	} point[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(point); i++)
		fprintf(f, " \"%s%s_us\": %.2f,", prefix, point[i].name, report_us(h, point[i].q));
	fprintf(f, " \"%smean_us\": %.2f, \"%smax_us\": %.2f,\n", prefix, report_mean_us(h), prefix,
		(double)h->max / 1e3);
}

static void segments_write(const struct bench *b, FILE *f)
{
	fprintf(f, " \"segments\": [");
	for (unsigned i = 0; i < b->segments; i++) {
		const struct bench_segment *s = &b->segment[i];

		fprintf(f,
			"%s\n  {\"start_s\": %.6f, \"seconds\": %.6f, \"requests\": %" PRIu64
			", \"gets\": %" PRIu64 ", \"get_p50_us\": %.2f, \"get_p99_us\": %.2f, "
			"\"get_p999_us\": %.2f, \"get_max_us\": %.2f, \"waited_us\": %.1f, "
			"\"calm\": %s}",
			i ? "," : "", s->start_s, s->seconds, s->requests, s->gets, s->get_p50_us,
			s->get_p99_us, s->get_p999_us, s->get_max_us, s->waited_us,
			s->calm ? "true" : "false");
	}
	fprintf(f, "],\n");
}

int report_json_write(const struct bench *b, const struct hist *all)
{
	bool to_stdout = !strcmp(b->o->json, "-");
	double measured_ns = (double)b->measured_ns;
	FILE *f = to_stdout ? stdout : fopen(b->o->json, "we");

	if (f == NULL) {
		fprintf(stderr, "lcbench: %s: %s\n", b->o->json, strerror(errno));
		return -errno;
	}
	load_write(b, f);
	counters_write(b, f);
	latency_write(f, "", all);
	latency_write(f, "get_", &b->get_ns);
	latency_write(f, "set_", &b->set_ns);
	if (b->o->watch)
		latency_write(f, "calm_", &b->calm_ns);
	segments_write(b, f);
	fprintf(f,
		" \"generator_busy\": %.4f, \"generator_core_share\": %.4f, "
		"\"tsc_hz\": %" PRIu64 "}\n",
		(double)b->n.busy_ns / measured_ns, (double)b->cpu_ns / measured_ns, b->tsc_hz);
	return (to_stdout ? fflush(f) : fclose(f)) ? -errno : 0;
}
