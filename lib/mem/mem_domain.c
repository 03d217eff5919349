// SPDX-License-Identifier: BSD-3-Clause
// The life of a domain: open, bind to a thread, unbind, close.
#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <stdio.h>

#include "mem/mem_internal.h"
#include "mem/mem_source.h"

#define DECAY_MS 10000

static int source_open(struct mem_domain *d, const struct mem_options *opt)
{
	if (opt->source == MEM_SOURCE_SYSTEM)
		return 0;
	if (mem_backend_has_arenas())
		return mem_source_open(&d->source, opt);
	if (opt->source == MEM_SOURCE_PAGES)
		return 0; // the back end maps for itself
	base_error("%s: %s has no arenas: no hugepage region", d->name, mem_backend_name());
	return -ENOTSUP;
}

static void domain_init(struct mem_domain *d, const struct mem_options *opt)
{
	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", opt->name != NULL ? opt->name : "memory");
	d->numa_node = opt->numa_node;
	d->dirty_decay_ms = opt->dirty_decay_ms != 0 ? opt->dirty_decay_ms : DECAY_MS;
	d->oom = opt->oom;
	d->oom_arg = opt->oom_arg;
}

int mem_domain_open(struct mem_domain **d, const struct mem_options *opt)
{
	struct mem_domain *made = mem_backend_domain_new();
	int rc;

	if (made == NULL)
		return -ENOMEM;
	domain_init(made, opt);
	rc = source_open(made, opt);
	if (rc < 0)
		goto err_source;
	mem_purge_init(made);
	rc = mem_backend_open(made);
	if (rc < 0)
		goto err_backend;
	*d = made;
	return 0;

err_backend:
	base_error("%s: no allocator arena: %s", made->name, strerror(-rc));
	if (made->source != NULL)
		mem_source_close(made->source);
err_source:
	mem_backend_domain_free(made);
	return rc;
}

void mem_domain_close(struct mem_domain *d)
{
	mem_moves_end(d, true, UINT_MAX);
	for (int c = 0; c < MEM_CLASSES; c++)
		base_assert(c == MEM_OTHER || d->used[c] == 0);
	if (d->bound)
		mem_domain_unbind(d);
	if (mem_backend_close(d) && d->source != NULL)
		mem_source_close(d->source);
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
	d->owner = pthread_self();
	rc = mem_backend_bind(d);
	if (rc < 0) {
		base_error("%s: arena not bound: %s", d->name, strerror(-rc));
		return rc;
	}
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

// ---- the check against the thread's own counters -----------------------------------------------
static uint64_t thread_balance(const struct mem_domain *d)
{
	return *d->thread_in - *d->thread_out;
}

void mem_thread_mark(struct mem_domain *d)
{
	if (d->thread_in != NULL)
		d->thread_offset = mem_used(d) - thread_balance(d);
}

uint64_t mem_held_by_thread(const struct mem_domain *d)
{
	return d->thread_in != NULL ? thread_balance(d) + d->thread_offset : mem_used(d);
}
