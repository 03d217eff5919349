// SPDX-License-Identifier: BSD-3-Clause
// One thread a worker, on its lcore.

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "lcached.h"

#define IDLE_SPIN_TURNS 2000 // turns without work before the first sleep
#define START_WAIT_S    30

void lcached_sleep_us(uint64_t us)
{
	struct timespec ts = {
		.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};

	nanosleep(&ts, NULL);
}

// Polls without work: pause first, then sleeps that double up to the limit. On lcores that share a
// core with others, the first sleep comes at once.
static void back_off(const struct lcached *s, unsigned idle_turns, unsigned spin_turns)
{
	uint64_t limit_us = __atomic_load_n(&s->cfg.idle_sleep_us, __ATOMIC_RELAXED);
	unsigned beyond;

	if (limit_us == 0 || idle_turns < spin_turns) {
		rte_pause();
		return;
	}
	beyond = (idle_turns - spin_turns) / 4;
	lcached_sleep_us(base_min_u64(limit_us, UINT64_C(1) << (beyond < 16 ? beyond : 16)));
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int worker_thread_open(struct lcached_thread *t, struct mem_domain **mem, struct worker **w)
{
	struct lcached *s = t->server;
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "worker %u", t->id);
	rc = mem_domain_open(mem,
		&(struct mem_options){
			.name = name,
			.numa_node = s->port.numa_node,
			.source = s->cfg.region_bytes > 0 ? MEM_SOURCE_HUGE : MEM_SOURCE_PAGES,
			.thp = !s->cfg.disable_thp,
			.region_bytes = s->cfg.region_bytes / s->cfg.workers,
			.dirty_decay_ms = s->cfg.dirty_decay_ms,
			.now_ns = clock_ns,
		});
	if (rc < 0)
		return rc;
	rc = mem_domain_bind(*mem);
	if (rc < 0)
		goto err_bind;
	rc = worker_open(w, s->group,
		&(struct worker_options){
			.id = t->id,
			.mem = *mem,
			.port = &s->port,
			.net = &s->port_cfg,
			.settings = &s->settings,
			.limit_bytes = s->cfg.maxmemory_bytes / s->cfg.workers,
			.store = control_store_settings(&s->cfg),
			.conns_max = (uint32_t)s->cfg.conns_max,
			.now_ns = clock_ns,
			.seed = s->seed + t->id,
		});
	if (rc < 0)
		goto err_open;
	return 0;

err_open:
	mem_domain_unbind(*mem);
err_bind:
	mem_domain_close(*mem);
	return rc;
}

static int worker_thread(void *arg)
{
	struct lcached_thread *t = arg;
	struct mem_domain *mem;
	struct worker *w;
	unsigned work, idle = 0, spin = IDLE_SPIN_TURNS;

	if (worker_thread_open(t, &mem, &w) < 0) {
		__atomic_store_n(&t->state, LCACHED_THREAD_FAILED, __ATOMIC_RELEASE);
		return -1;
	}
	if ((long)rte_lcore_count() > sysconf(_SC_NPROCESSORS_ONLN))
		spin = 0;
	mem_thread_mark(mem); // nothing past the domain from here on
	t->mem = mem;
	__atomic_store_n(&t->state, LCACHED_THREAD_READY, __ATOMIC_RELEASE);
	if (t->server->restores) {
		lcached_load(t, w);
		mem_thread_mark(mem); // the reader's buffers came and went
	}
	while (worker_turn(w, base_now_read(), &work) == WORKER_RUNNING) {
		idle = work > 0 ? 0 : idle + 1;
		if (idle > 0)
			back_off(t->server, idle, spin);
	}
	worker_close(w);
	mem_domain_unbind(mem);
	mem_domain_close(mem);
	__atomic_store_n(&t->state, LCACHED_THREAD_GONE, __ATOMIC_RELEASE);
	return 0;
}

static int thread_wait_ready(struct lcached_thread *t)
{
	for (unsigned ms = 0; ms < START_WAIT_S * 1000; ms++) {
		uint32_t state = __atomic_load_n(&t->state, __ATOMIC_ACQUIRE);

		if (state == LCACHED_THREAD_READY)
			return 0;
		if (state == LCACHED_THREAD_FAILED)
			return -ENOMEM;
		lcached_sleep_us(1000);
	}
	base_error("worker %u did not start within %d s", t->id, START_WAIT_S);
	return -ETIMEDOUT;
}

int lcached_threads_start(struct lcached *s)
{
	unsigned id = 0, lcore;
	int rc;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		struct lcached_thread *t = &s->thread[id];

		if (id == s->cfg.workers)
			break;
		t->server = s;
		t->id = id++;
		rc = rte_eal_remote_launch(worker_thread, t, lcore);
		if (rc < 0) {
			base_error("worker %u on lcore %u: %s", t->id, lcore, strerror(-rc));
			return rc;
		}
	}
	if (id < s->cfg.workers) {
		base_error("%u workers need %u lcores besides the main one, EAL has %u",
			(unsigned)s->cfg.workers, (unsigned)s->cfg.workers, id);
		return -EINVAL;
	}
	for (id = 0; id < s->cfg.workers; id++) {
		rc = thread_wait_ready(&s->thread[id]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void lcached_threads_join(struct lcached *s)
{
	rte_eal_mp_wait_lcore();
}
