// SPDX-License-Identifier: BSD-3-Clause
// lcbench: options, signals, one run.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "lcbench.h"

static void on_signal(int number)
{
	if (number == SIGUSR1)
		bench_marks++;
	else if (number == SIGUSR2)
		bench_enough = true;
	else
		bench_stop = true;
}

static int pin(int core)
{
	cpu_set_t set;

	if (core < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((unsigned)core, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		fprintf(stderr, "lcbench: --core %d: %s\n", core, strerror(errno));
		return -errno;
	}
	return 0;
}

void bench_signals_take(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct bench bench;
	int rc = bench_options_parse(&options, argc, argv);

	if (rc)
		return rc > 0 ? 0 : 2;
	if (!options.answer)
		bench_signals_take();
	signal(SIGPIPE, SIG_IGN);
	base_log_level_set(BASE_LOG_WARN);
	if (pin(options.core))
		return 2;
	rc = bench_open(&bench, &options);
	if (rc) {
		fprintf(stderr, "lcbench: %s\n", strerror(-rc));
		return 1;
	}
	rc = options.sockets ? bench_sockets_run(&bench) : bench_dpdk_run(&bench);
	if (rc == 0 && bench.failed)
		fprintf(stderr, "lcbench: failed: %s\n", bench.failed);
	else if (rc == 0 && !options.answer)
		rc = bench_report(&bench);
	rc = rc || bench.failed ? 1 : 0;
	bench_close(&bench);
	return rc;
}
