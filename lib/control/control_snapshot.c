// SPDX-License-Identifier: BSD-3-Clause
// /lcached/snapshot: all items to a file in snapshot-dir. Workers learn of it by their orders and
// hand over; a thread writes. It is taken apart when each worker has reported that it does without.
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <rte_lcore.h>

#include "control/control_internal.h"

// Between looks of the writer that had taken all there was. A worker under load hands over item by
// item: a writer that looked for each would take a core of its own.
#define IDLE_NS 1000000

// The writer: nothing but the file. It runs where DPDK puts threads that are no lcores.
static void *writer_run(void *arg)
{
	const struct timespec nap = {.tv_nsec = IDLE_NS};
	struct snapshot *sn = arg;
	enum snapshot_go go;
	struct timespec wall;

	do {
		clock_gettime(CLOCK_REALTIME, &wall);
		go = snapshot_turn(sn, (uint64_t)wall.tv_sec);
		if (go == SNAPSHOT_GO_IDLE)
			nanosleep(&nap, NULL);
	} while (go != SNAPSHOT_GO_END);
	return NULL;
}

// ---- start and end -----------------------------------------------------------------------------
int control_snapshot_start(struct control *c, const char *name, char *err, size_t err_len)
{
	struct control_snapshot *s = &c->snapshot;
	struct snapshot_options opt = {.dir = c->cfg->snapshot_dir,
		.name = name,
		.workers = c->workers,
		.wall_s = c->now.wall_s};
	int rc;

	if (c->cfg->snapshot_dir[0] == '\0') {
		snprintf(err, err_len, "snapshot-dir is empty: no snapshots are written");
		return -EPERM;
	}
	if (s->now != NULL) {
		snprintf(err, err_len, "a snapshot is running: %s", snapshot_path(s->now));
		return -EBUSY;
	}
	rc = snapshot_open(&s->now, &opt, err, err_len);
	if (rc < 0)
		return rc;
	rc = rte_ctrl_thread_create(&s->writer, "lc-snapshot", NULL, writer_run, s->now);
	if (rc != 0) {
		snprintf(err, err_len, "no thread: %s", strerror(abs(rc)));
		snapshot_drop(s->now);
		s->now = NULL;
		return -EAGAIN;
	}
	s->leaving = false;
	s->began_us = c->now.mono_us;
	snprintf(s->path, sizeof(s->path), "%s", snapshot_path(s->now));
	c->orders.snapshot_seq++;
	control_orders_push(c);
	base_info("snapshot: %s: begun", s->path);
	return 0;
}

struct snapshot_tap *control_snapshot_tap(struct control *c, unsigned worker)
{
	if (c->snapshot.now == NULL || c->snapshot.leaving)
		return NULL;
	return snapshot_tap(c->snapshot.now, worker);
}

// No worker has a tap any more.
static void snapshot_over(struct control *c)
{
	struct control_snapshot *s = &c->snapshot;

	snapshot_state_get(s->now, &s->last);
	s->took_us = c->now.mono_us - s->began_us;
	snapshot_close(s->now);
	s->now = NULL;
	if (s->last.error != 0)
		base_warn("snapshot: %s: %s: %s", s->path, s->last.what, strerror(-s->last.error));
	else
		base_info("snapshot: %s: %llu items, %llu bytes in %llu ms", s->path,
			(unsigned long long)s->last.items, (unsigned long long)s->last.bytes,
			(unsigned long long)s->took_us / 1000);
}

static bool workers_left(const struct control *c)
{
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->report[i].snapshot_seq != c->orders.snapshot_seq)
			return false;
	}
	return true;
}

void control_snapshot_tick(struct control *c)
{
	struct control_snapshot *s = &c->snapshot;

	if (base_likely(s->now == NULL))
		return;
	if (!s->leaving && snapshot_finished(s->now)) {
		pthread_join(s->writer, NULL);
		s->leaving = true;
		c->orders.snapshot_seq++;
		control_orders_push(c);
	} else if (s->leaving && workers_left(c)) {
		snapshot_over(c);
	}
}

void control_snapshot_workers_gone(struct control *c)
{
	struct control_snapshot *s = &c->snapshot;

	if (s->now == NULL)
		return;
	if (!s->leaving) { // they have ended their walks, so that the writer comes to its end
		snapshot_cancel(s->now);
		pthread_join(s->writer, NULL);
	}
	snapshot_over(c);
}

void control_snapshot_cancel(struct control *c)
{
	if (c->snapshot.now != NULL)
		snapshot_cancel(c->snapshot.now);
}

bool control_snapshot_get(const struct control *c, struct snapshot_state *out)
{
	const struct control_snapshot *s = &c->snapshot;

	if (s->now != NULL)
		snapshot_state_get(s->now, out);
	else
		*out = s->last;
	return s->now != NULL;
}

// ---- command -----------------------------------------------------------------------------------
static void state_reply(const struct control *c, struct rte_tel_data *d)
{
	const struct control_snapshot *s = &c->snapshot;
	struct snapshot_state st;
	bool runs = control_snapshot_get(c, &st);
	uint64_t took_us = runs ? c->now.mono_us - s->began_us : s->took_us;

	rte_tel_data_add_dict_string(d, "state",
		runs                      ? "running"
			: s->path[0] == 0 ? "none"
			: st.error != 0   ? "failed"
					  : "done");
	if (s->path[0] == '\0')
		return;
	control_text_reply(d, "file", s->path);
	if (!runs && st.error != 0) {
		control_text_reply(d, "what", st.what);
		rte_tel_data_add_dict_string(d, "reason", strerror(-st.error));
	}
	rte_tel_data_add_dict_u64(d, "items", st.items);
	rte_tel_data_add_dict_u64(d, "bytes", st.bytes);
	rte_tel_data_add_dict_u64(d, "milliseconds", took_us / 1000);
	rte_tel_data_add_dict_u64(d, "extra_bytes", st.extra_bytes);
}

int control_snapshot_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	char err[SNAPSHOT_PATH_MAX + 128];

	rte_tel_data_start_dict(d);
	if (params == NULL) {
		state_reply(c, d);
		return 0;
	}
	if (c->orders.phase != WORKER_PHASE_RUN) {
		control_text_reply(d, "error", "the server ends");
		return 0;
	}
	if (control_snapshot_start(c, params, err, sizeof(err)) < 0) {
		control_text_reply(d, "error", err);
		return 0;
	}
	rte_tel_data_add_dict_string(d, "status", "started");
	control_text_reply(d, "file", snapshot_path(c->snapshot.now));
	return 0;
}
