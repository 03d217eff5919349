// SPDX-License-Identifier: BSD-3-Clause
// lcached, the program: what its files share.
//
//	main.c       options, order of start and stop
//	launch.c     one thread a worker: open, turn, back off, close
//	telemetry.c  the one global: DPDK's callbacks get no argument
//	signal.c     SIGTERM and SIGINT
//	crash.c      a crash leaves the flight recorders behind
//	users.c      who may speak
//	notify.c     systemd is told
//	privilege.c  root no more
//	warm.c       items out of a file at the start, and into one at the end
#pragma once

#include <pthread.h>

#include <sys/types.h>

#include "control/control.h"
#include "port/port.h"
#include "worker/worker.h"

enum lcached_thread_state {
	LCACHED_THREAD_NEW,
	LCACHED_THREAD_READY,
	LCACHED_THREAD_FAILED,
	LCACHED_THREAD_GONE,
};

enum lcached_load {       // of a restore
	LCACHED_LOAD_NOT, // not done
	LCACHED_LOAD_DONE,
	LCACHED_LOAD_FAILED,
};

struct lcached;

struct lcached_thread { // one a worker
	struct lcached *server;
	unsigned id;
	uint32_t state;         // enum lcached_thread_state; writer: the worker's thread, atomic
	struct mem_domain *mem; // while READY
	// writer: the worker's thread, atomic
	uint32_t load; // enum lcached_load
	struct snapshot_loaded loaded;
	char load_fault[SNAPSHOT_PATH_MAX + 256]; // before FAILED
};

struct lcached_notify {       // of main
	int fd;               // -1: nobody wants to know
	uint64_t watchdog_us; // between signs of life; 0: none is wanted
	uint64_t alive_us;    // when the last was given
	uint64_t busy_us;     // when more time was asked for
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
	char restore_path[SNAPSHOT_PATH_MAX];
	uint64_t restore_items;     // in that file
	bool restores;              // there is one, and it can be read
	struct snapshot_feed *feed; // while it is read, by feed_thread
	pthread_t feed_thread;
	bool served;               // it has been ready
	const char *users_path;    // NULL: everybody may speak
	struct worker_users users; // between reading and lcached_users_set
	struct lcached_notify notify;
	uid_t uid; // to become; -1: stay who we are
	gid_t gid;
	gid_t telemetry_gid; // of the telemetry socket; -1: as it is
	struct lcached_thread thread[WORKER_MAX];
};

// ---- launch.c: 0 or -errno, logged
int lcached_threads_start(struct lcached *s);
void lcached_threads_join(struct lcached *s);
void lcached_sleep_us(uint64_t us);

// ---- signal.c
// Until lcached_signals_serving(), a signal ends the process at once with status 0 (EAL may be
// blocked waiting for a peer); afterwards it only asks.
void lcached_signals_install(void);
void lcached_signals_serving(void);
bool lcached_stop_asked(void);
// True once for each SIGHUP, or several.
bool lcached_reload_asked(void);

// ---- crash.c
// A crash writes the workers' recorders to DIR/lcached-PID-crash.flight before it ends the process.
void lcached_crash_install(struct worker_group *group, unsigned workers, const char *dir);
// Before the group is closed.
void lcached_crash_remove(void);

// ---- users.c
// Before a device is touched: reads the file of users, if there is to be one. 0, or -EINVAL with
// one line in err.
int lcached_users_check(struct lcached *s, char *err, size_t err_len);
// Tells the workers what was read.
void lcached_users_set(struct lcached *s);
// Reads them again; where that fails they stay as they are, which is logged.
void lcached_users_reload(struct lcached *s);

// ---- warm.c
// Before a device is touched: whether the file to be restored can be one. 0, or -EINVAL with one
// line in err. restores: it can, and will be.
int lcached_restore_check(struct lcached *s, char *err, size_t err_len);
// Before the workers start: begins to read it. 0 or -errno, logged.
int lcached_restore_begin(struct lcached *s);
// A worker's thread: its shard's items.
void lcached_load(struct lcached_thread *t, struct worker *w);
// Waits for all of them; the workers serve from then on. 0, or -EBADMSG: the file is refused.
int lcached_restore(struct lcached *s);
// Where lcached_restore did not come to its end: workers stop waiting for the file; and, when they
// are gone, it is closed.
void lcached_restore_cancel(struct lcached *s);
void lcached_restore_end(struct lcached *s);
// The workers are drained: what snapshot-on-exit asks for. 0 or -errno, logged.
int lcached_snapshot_last(struct lcached *s);

// ---- notify.c
void lcached_notify_open(struct lcached_notify *n);
void lcached_notify_close(struct lcached_notify *n);
void lcached_notify_send(const struct lcached_notify *n, const char *state);
// A sign of life, when one is due. By who knows that all workers make progress.
void lcached_notify_alive(struct lcached_notify *n, uint64_t now_us);
// A start or an end that takes long, and goes on.
void lcached_notify_busy(struct lcached_notify *n, uint64_t now_us);

// ---- privilege.c
// Before a device is touched: who user and telemetry-group are. 0, or -EINVAL with one line in err.
int lcached_user_find(struct lcached *s, char *err, size_t err_len);
// The device is open, and the workers have what they need. 0 or -errno, logged.
int lcached_privileges_drop(struct lcached *s);

// ---- telemetry.c
// Before the privileges are dropped: owner and mode of DPDK's socket, as options want them. 0 or
// -errno, logged.
int lcached_telemetry_permit(const struct lcached *s);
int lcached_telemetry_open(struct control *control);
void lcached_telemetry_close(void);
