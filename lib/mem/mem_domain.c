// SPDX-License-Identifier: BSD-3-Clause
// The life of a domain: open, bind to a thread, unbind, close.
#include <errno.h>
#include <numa.h>
#include <stdio.h>

#include "mem/mem_internal.h"

int mem_domain_open(struct mem_domain **d, const struct mem_options *opt)
{
	struct mem_domain *made = mem_backend_domain_new();
	int rc;

	if (made == NULL)
		return -ENOMEM;
	memset(made, 0, sizeof(*made));
	snprintf(made->name, sizeof(made->name), "%s", opt->name != NULL ? opt->name : "memory");
	made->numa_node = opt->numa_node;
	rc = mem_backend_open(made);
	if (rc < 0) {
		base_error("%s: no allocator arena: %s", made->name, strerror(-rc));
		mem_backend_domain_free(made);
		return rc;
	}
	*d = made;
	return 0;
}

void mem_domain_close(struct mem_domain *d)
{
	for (int c = 0; c < MEM_CLASSES; c++)
		base_assert(c == MEM_OTHER || d->used[c] == 0);
	if (d->bound)
		mem_domain_unbind(d);
	mem_backend_close(d);
	mem_backend_domain_free(d);
}

// Pages come from the node of the thread that first touches them, which is the owner: so the
// thread's policy is enough. A preference, not a demand: a full node must not fail allocations.
static void node_prefer(const struct mem_domain *d)
{
	if (d->numa_node < 0 || numa_available() < 0)
		return;
	if (d->numa_node > numa_max_node())
		base_warn("%s: no memory node %d", d->name, d->numa_node);
	else
		numa_set_preferred(d->numa_node);
}

int mem_domain_bind(struct mem_domain *d)
{
	int rc;

	base_assert(!d->bound);
	rc = mem_backend_bind(d);
	if (rc < 0) {
		base_error("%s: arena not bound: %s", d->name, strerror(-rc));
		return rc;
	}
	d->owner = pthread_self();
	d->bound = true;
	node_prefer(d);
	return 0;
}

void mem_domain_unbind(struct mem_domain *d)
{
	base_assert(d->bound);
	mem_backend_unbind(d);
	if (d->numa_node >= 0 && numa_available() >= 0 && pthread_equal(d->owner, pthread_self()))
		numa_set_localalloc();
	d->bound = false;
}

void mem_fault_set(struct mem_domain *d, bool (*fail)(void *arg), void *arg)
{
	d->fail = fail;
	d->fail_arg = arg;
}
