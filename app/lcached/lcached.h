// SPDX-License-Identifier: BSD-3-Clause
// lcached, the program: what its files share.
//
//	main.c       options, order of start and stop
//	launch.c     one thread a worker: open, turn, back off, close
//	telemetry.c  the one global: DPDK's callbacks get no argument
//	signal.c     SIGTERM and SIGINT
//	crash.c      a crash leaves the flight recorders behind
#pragma once

#include "control/control.h"
#include "port/port.h"
#include "worker/worker.h"

enum lcached_thread_state {
	LCACHED_THREAD_NEW,
	LCACHED_THREAD_READY,
	LCACHED_THREAD_FAILED,
	LCACHED_THREAD_GONE,
};

struct lcached;

struct lcached_thread { // one a worker
	struct lcached *server;
	unsigned id;
	uint32_t state;         // enum lcached_thread_state; writer: the worker's thread, atomic
	struct mem_domain *mem; // while READY
};

struct lcached {
	struct control_config cfg;
	struct port_config port_cfg;
	struct port_eal eal;
	struct port port;
	struct worker_group *group;
	struct worker_settings settings;
	struct mem_domain *mem; // of the control core
	struct control *control;
	uint64_t seed;
	struct lcached_thread thread[WORKER_MAX];
};

// ---- launch.c: 0 or -errno, logged
int lcached_threads_start(struct lcached *s);
void lcached_threads_join(struct lcached *s);

// ---- signal.c
// Until lcached_signals_serving(), a signal ends the process at once with status 0 (EAL may be
// blocked waiting for a peer); afterwards it only asks.
void lcached_signals_install(void);
void lcached_signals_serving(void);
bool lcached_stop_asked(void);

// ---- crash.c
// A crash writes the workers' recorders to DIR/lcached-PID-crash.flight before it ends the process.
void lcached_crash_install(struct worker_group *group, unsigned workers, const char *dir);
// Before the group is closed.
void lcached_crash_remove(void);

// ---- telemetry.c
int lcached_telemetry_open(struct control *control);
void lcached_telemetry_close(void);
