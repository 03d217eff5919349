// SPDX-License-Identifier: BSD-3-Clause
// pkt_run [-v] FILE...: runs packet scripts, prints TAP. -v: every step, and every segment of ours.
#include <unistd.h>

#include <rte_eal.h>

#include "pkt.h"

static int eal_start(void)
{
	static char name[64];
	char *argv[] = {name, (char *)"--no-huge", (char *)"--no-pci", (char *)"--no-shconf",
		(char *)"-m", (char *)"256", (char *)"--no-telemetry", (char *)"-l", (char *)"0",
		(char *)"--iova-mode=va", (char *)"--log-level=lib.*:error",
		(char *)"--log-level=user1:error", NULL};

	snprintf(name, sizeof(name), "pkt_%d", (int)getpid());
	return rte_eal_init(BASE_ARRAY_LEN(argv) - 1, argv);
}

int main(int argc, char **argv)
{
	struct pkt_lab *lab = calloc(1, sizeof(*lab));
	unsigned failed = 0, cases = 0;
	int first = 1;

	if (lab == NULL || eal_start() < 0)
		return 2;
	if (first < argc && strcmp(argv[first], "-v") == 0) {
		lab->verbose = true;
		first++;
	}
	for (int i = first; i < argc; i++) {
		struct pkt_script sc;

		if (pkt_script_read(&sc, argv[i]))
			failed += pkt_script_run(&sc, lab, &cases);
		else
			failed++;
		pkt_script_free(&sc);
	}
	printf("1..%u\n", cases);
	free(lab);
	rte_eal_cleanup();
	return failed != 0;
}
