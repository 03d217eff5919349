// SPDX-License-Identifier: BSD-3-Clause
// Which CPU each lcore runs on. Workers get CPUs of the device's node first and a CPU of their own
// while there are enough; after that they share, the control core's CPU included, as it mostly
// sleeps.
#include <errno.h>
#include <stdio.h>

#include "base/base.h"
#include "port/port_internal.h"

// The control core takes the lowest CPU, but leaves the device's node to the workers where those
// need all of it.
static unsigned main_pick(const int *nodes, unsigned count, int node, unsigned workers)
{
	unsigned local = 0, remote = count;

	if (node < 0)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		if (nodes[i] == node)
			local++;
		else if (remote == count)
			remote = i;
	}
	return local <= workers && remote < count ? remote : 0;
}

// The n-th (from 0) CPU for a worker: local ones, then the others, the control core's last.
static unsigned worker_pick(
	const int *nodes, unsigned count, int node, unsigned main_index, unsigned n)
{
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < count; i++) {
			bool local = node < 0 || nodes[i] == node;

			if (i != main_index && local == (pass == 0) && n-- == 0)
				return i;
		}
	}
	return main_index;
}

int port_lcores_format(char *buf, size_t len, const unsigned *cpus, const int *nodes,
	unsigned count, int node, unsigned workers)
{
	unsigned main_index;
	int used;

	base_assert(count > 0);
	main_index = main_pick(nodes, count, node, workers);
	used = snprintf(buf, len, "0@%u", cpus[main_index]);
	for (unsigned i = 0; i < workers; i++) {
		unsigned at = worker_pick(nodes, count, node, main_index, i % count);

		if (used < 0 || (size_t)used >= len)
			return -ENOSPC;
		used += snprintf(buf + used, len - (size_t)used, ",%u@%u", i + 1, cpus[at]);
	}
	return used < 0 || (size_t)used >= len ? -ENOSPC : 0;
}
