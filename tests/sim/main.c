// SPDX-License-Identifier: BSD-3-Clause
// Runs seeds; scripts/sim is the way to start it.

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>

#include "../any_cpu.h"
#include "sim.h"

#define SEED_LIMIT_S 120 // of real time

struct options {
	uint64_t seed, count;
	const char *pcap;
	bool trace, verbose;
};

// What is written when the process dies under a seed.
static char last_words[128];

static void dying(void)
{
	if (write(STDOUT_FILENO, last_words, strlen(last_words)) < 0)
		return;
}

static void on_signal(int number)
{
	dying();
	signal(number, SIG_DFL);
	raise(number);
}

// The sanitizers end the process by themselves.
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void signals_install(void)
{
	static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(deadly); i++)
		signal(deadly[i], on_signal);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(dying);
}

static int eal_init(void)
{
	char prefix[64];
	char *argv[] = {"sim", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m",
		"512", "--lcores", any_cpu(), "--iova-mode=va", "--log-level=*:error", prefix};

	snprintf(prefix, sizeof(prefix), "--file-prefix=sim_%d", (int)getpid());
	return rte_eal_init(BASE_ARRAY_LEN(argv), argv);
}

static int options_read(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {{"seed", required_argument, NULL, 's'},
		{"count", required_argument, NULL, 'c'}, {"pcap", required_argument, NULL, 'p'},
		{"trace", no_argument, NULL, 't'}, {"verbose", no_argument, NULL, 'v'}, {0}};
	int opt;

	*o = (struct options){.seed = 1, .count = 1};
	while ((opt = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (opt) {
		case 's':
			o->seed = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			o->count = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			o->pcap = optarg;
			break;
		case 't':
			o->trace = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return optind == argc ? 0 : -EINVAL;
}

static void seed_run(const struct options *o, uint64_t seed, const struct sim_pools *pools,
	FILE *pcap, struct sim_totals *sum)
{
	struct sim_config cfg;
	uint64_t hash;

	snprintf(last_words, sizeof(last_words),
		"seed %llu: FAILED: the process dies\nreplay: scripts/sim --seed %llu\n",
		(unsigned long long)seed, (unsigned long long)seed);
	alarm(SEED_LIMIT_S);
	if (o->verbose || o->trace) {
		sim_config_make(&cfg, seed);
		sim_config_print(&cfg);
		fflush(stdout);
	}
	sim_run(seed, pools, o->trace ? stdout : NULL, pcap, sum, &hash);
	alarm(0);
	if (o->verbose || o->trace)
		printf("seed %llu: passed, trace %016llx\n", (unsigned long long)seed,
			(unsigned long long)hash);
}

int main(int argc, char **argv)
{
	struct sim_totals sum = {0};
	struct sim_pools pools;
	struct options o;
	FILE *pcap = NULL;

	if (options_read(&o, argc, argv) < 0) {
		fprintf(stderr,
			"usage: sim [--seed N] [--count M] [--trace] [--pcap FILE] [--verbose]\n");
		return 2;
	}
	base_log_level_set(BASE_LOG_ERROR);
	if (eal_init() < 0 || sim_pools_open(&pools) < 0)
		return 2;
	if (o.pcap != NULL && (pcap = sim_pcap_open(o.pcap)) == NULL) {
		perror(o.pcap);
		return 2;
	}
	signals_install();
	for (uint64_t i = 0; i < o.count; i++)
		seed_run(&o, o.seed + i, &pools, pcap, &sum);
	if (pcap != NULL)
		fclose(pcap);
	printf("%llu seeds passed: %llu frames, %llu replies, %llu virtual seconds; cut %llu, "
	       "joined %llu\n",
		(unsigned long long)sum.seeds, (unsigned long long)sum.frames,
		(unsigned long long)sum.replies, (unsigned long long)(sum.virtual_us / 1000000),
		(unsigned long long)sum.cut, (unsigned long long)sum.joined);
	signal(SIGABRT, SIG_DFL);
	rte_eal_cleanup();
	return 0;
}
