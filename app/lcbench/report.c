// SPDX-License-Identifier: BSD-3-Clause
// What is printed: progress on stderr, the result on stdout and as JSON.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lcbench.h"

static const char *const phase_names[] = {"connect", "fill", "check", "warm-up", "measure", "done"};

void bench_progress(struct bench *b)
{
	double s = (double)(b->now_ns - b->report_ns) / 1e9;
	uint64_t n = b->n.requests - b->report_requests;

	fprintf(stderr, "lcbench: %s: %.0f requests/s, %" PRIu64 " errors, %" PRIu64 " timeouts\n",
		phase_names[b->phase], (double)n / s, b->n.errors, b->n.timeouts);
	b->report_ns = b->now_ns;
	b->report_requests = b->n.requests;
}

static double latency_us(const struct bench *b, double q)
{
	return (double)base_hist_quantile(&b->latency_ns, q) / 1e3;
}

static void segments_write(const struct bench *b, FILE *f)
{
	const struct base_hist *h = &b->get_latency_ns;

	fprintf(f, " \"get_p50_us\": %.2f, \"get_p99_us\": %.2f, \"get_p999_us\": %.2f,\n",
		(double)base_hist_quantile(h, 0.5) / 1e3, (double)base_hist_quantile(h, 0.99) / 1e3,
		(double)base_hist_quantile(h, 0.999) / 1e3);
	fprintf(f, " \"segments\": [");
	for (unsigned i = 0; i < b->segments; i++) {
		const struct bench_segment *s = &b->segment[i];

		fprintf(f,
			"%s\n  {\"start_s\": %.6f, \"seconds\": %.6f, \"requests\": %" PRIu64
			", \"gets\": %" PRIu64 ", \"get_p50_us\": %.2f, \"get_p99_us\": %.2f, "
			"\"get_p999_us\": %.2f, \"get_max_us\": %.2f}",
			i ? "," : "", s->start_s, s->seconds, s->requests, s->gets, s->get_p50_us,
			s->get_p99_us, s->get_p999_us, s->get_max_us);
	}
	fprintf(f, "],\n");
}

static void json_write(const struct bench *b, FILE *f, double rate)
{
	const struct bench_options *o = b->o;
	double measured_ns = (double)b->measured_ns;
	bool ip4 = base_ip_is4(&o->server);
	char server[BASE_IP_TEXT];

	base_ip_format(&o->server, server);
	fprintf(f,
		"{\"transport\": \"%s\", \"proto\": \"%s\", \"mode\": \"%s\", \"server\": "
		"\"%s%s%s:%u\",\n",
		o->sockets ? "sockets" : "dpdk", o->udp ? "udp" : "tcp", o->set ? "set" : "get",
		ip4 ? "" : "[", server, ip4 ? "" : "]", o->port);
	fprintf(f,
		" \"connections\": %u, \"pipeline\": %u, \"keys\": %u, \"key_bytes\": %u, "
		"\"value_bytes\": %u,\n",
		o->connections, o->pipeline, o->keys, o->key_size, o->value_size);
	fprintf(f, " \"seconds\": %.6f, \"requests\": %" PRIu64 ", \"requests_per_s\": %.1f,\n",
		measured_ns / 1e9, b->n.requests, rate);
	fprintf(f,
		" \"opens\": %" PRIu64 ", \"syns\": %" PRIu64 ",\n"
		" \"misses\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"timeouts\": %" PRIu64
		", \"verified\": %" PRIu64 ", \"lost_connections\": %u,\n",
		b->n.opens, b->n.syns, b->n.misses, b->n.errors, b->n.timeouts, b->n.verified,
		b->dead);
	fprintf(f, " \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f,\n",
		latency_us(b, 0.5), latency_us(b, 0.99), latency_us(b, 0.999),
		(double)b->latency_ns.max / 1e3);
	segments_write(b, f);
	fprintf(f, " \"generator_busy\": %.4f, \"generator_core_share\": %.4f}\n",
		(double)b->n.busy_ns / measured_ns, (double)b->cpu_ns / measured_ns);
}

int bench_report(const struct bench *b)
{
	double rate = (double)b->n.requests / ((double)b->measured_ns / 1e9);
	FILE *f;

	printf("%.0f requests/s, %" PRIu64 " misses, %" PRIu64 " errors, %" PRIu64
	       " timeouts, latency us p50 %.1f p99 %.1f p99.9 %.1f max %.1f, generator %.0f%% "
	       "busy\n",
		rate, b->n.misses, b->n.errors, b->n.timeouts, latency_us(b, 0.5),
		latency_us(b, 0.99), latency_us(b, 0.999), (double)b->latency_ns.max / 1e3,
		100.0 * (double)b->n.busy_ns / (double)b->measured_ns);
	if (b->o->json == NULL)
		return 0;
	f = fopen(b->o->json, "we");
	if (f == NULL) {
		fprintf(stderr, "lcbench: %s: %s\n", b->o->json, strerror(errno));
		return -errno;
	}
	json_write(b, f, rate);
	return fclose(f) ? -errno : 0;
}
