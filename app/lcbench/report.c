// SPDX-License-Identifier: BSD-3-Clause
// What is printed: progress on stderr, and the result as a table.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

static const char *const phase_names[] = {"connect", "fill", "check", "warm-up", "measure", "done"};

void bench_progress(struct bench *b)
{
	double s = (double)(b->now_ns - b->report_ns) / 1e9;
	uint64_t n = b->n.requests - b->report_requests;

	b->report_ns = b->now_ns;
	b->report_requests = b->n.requests;
	if (!b->o->progress && !isatty(STDERR_FILENO))
		return;
	fprintf(stderr,
		"lcbench: %s: %.0f requests/s, %" PRIu64 " misses, %" PRIu64 " errors, %" PRIu64
		" timeouts",
		phase_names[b->phase], (double)n / s, b->n.misses, b->n.errors, b->n.timeouts);
	if (b->o->rate && (b->phase == BENCH_WARMUP || b->phase == BENCH_MEASURE))
		fprintf(stderr, ", backlog %" PRIu64, schedule_backlog(&b->schedule, b->now_ns));
	fputc('\n', stderr);
}

double report_us(const struct hist *h, double q)
{
	return (double)hist_quantile(h, q) / 1e3;
}

double report_mean_us(const struct hist *h)
{
	return h->count ? (double)h->sum / (double)h->count / 1e3 : 0;
}

static void row_print(const char *name, const struct hist *h)
{
	if (h->count == 0)
		return;
	printf("%-8s %12" PRIu64 " %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f\n", name, h->count,
		report_mean_us(h), report_us(h, 0.5), report_us(h, 0.9), report_us(h, 0.99),
		report_us(h, 0.999), report_us(h, 0.9999), (double)h->max / 1e3);
}

static void table_print(const struct bench *b, const struct hist *all)
{
	double s = (double)b->measured_ns / 1e9;

	printf("%.0f requests/s, %.0f keys read/s, in %.3f s\n", (double)b->n.requests / s,
		(double)b->n.keys_read / s, s);
	printf("%" PRIu64 " misses, %" PRIu64 " errors, %" PRIu64 " timeouts, %" PRIu64
	       " values verified, %u connections lost\n",
		b->n.misses, b->n.errors, b->n.timeouts, b->n.verified, b->dead);
	if (b->o->rate)
		printf("%u requests/s were due; backlog at most %" PRIu64 ", at the end %" PRIu64
		       "\n",
			b->o->rate, b->schedule.backlog_max, b->backlog);
	printf("generator %.0f%% busy\n", 100.0 * (double)b->n.busy_ns / (double)b->measured_ns);
	printf("\n%-8s %12s %9s %9s %9s %9s %9s %9s %9s\n", "us", "requests", "mean", "p50", "p90",
		"p99", "p99.9", "p99.99", "max");
	row_print("get", &b->get_ns);
	row_print("set", &b->set_ns);
	row_print("all", all);
}

int bench_report(const struct bench *b)
{
	struct hist *all = malloc(sizeof(*all));
	int rc;

	if (all == NULL)
		return -ENOMEM;
	*all = b->get_ns;
	hist_merge(all, &b->set_ns);
	if (b->o->json == NULL || strcmp(b->o->json, "-") != 0)
		table_print(b, all);
	rc = b->o->json ? report_json_write(b, all) : 0;
	free(all);
	return rc;
}
