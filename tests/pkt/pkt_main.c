// SPDX-License-Identifier: BSD-3-Clause
// pkt_run [-v] FILE...: runs packet scripts, prints TAP. -v: every step, and every segment of ours.
#include <rte_eal.h>

#include "pkt.h"

int main(int argc, char **argv)
{
	struct pkt_lab *lab = calloc(1, sizeof(*lab));
	unsigned failed = 0, cases = 0;
	int first = 1;

	if (lab == NULL || pkt_eal_start("pkt") < 0)
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
	rte_mempool_free(lab->pool);
	free(lab);
	rte_eal_cleanup();
	return failed != 0;
}
