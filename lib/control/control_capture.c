// SPDX-License-Identifier: BSD-3-Clause
// /lcached/capture: frames of the workers to a file. Workers learn of a capture by their orders; a
// thread writes, as a disk may stand still for seconds. It is taken apart when each worker has
// reported that it does without, or is gone, and the file is whole.
#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "control/control_internal.h"

#define SIZE_DEFAULT    (UINT64_C(64) << 20)
#define SIZE_MAX_BYTES  (UINT64_C(1) << 30)
#define SECONDS_DEFAULT 600
#define SECONDS_MAX     86400
#define PARAMS_MAX      1024
#define KEYS            "file, filter, snaplen, size, packets, seconds"

// ---- what is asked for -------------------------------------------------------------------------
struct capture_want {
	struct capture_options o;
	uint64_t seconds;
};

static int number_read(const char *key, const char *value, uint64_t min, uint64_t max,
	uint64_t *out, char *err, size_t err_len)
{
	bool size = strcmp(key, "size") == 0;
	int rc = size ? base_bytes_parse(value, out) : base_u64_parse(value, strlen(value), out);

	if (rc == 0 && *out >= min && *out <= max)
		return 0;
	snprintf(err, err_len, "%s: '%.64s' is not %s from %llu to %llu", key, value,
		size ? "a size (a number, with k, kb, m, mb, g or gb)" : "a number",
		(unsigned long long)min, (unsigned long long)max);
	return -EINVAL;
}

static int key_read(
	struct capture_want *w, const char *key, const char *value, char *err, size_t err_len)
{
	uint64_t n;
	int rc = 0;

	if (strcmp(key, "file") == 0) {
		w->o.name = value;
	} else if (strcmp(key, "filter") == 0) {
		w->o.filter = *value != '\0' ? value : NULL;
	} else if (strcmp(key, "snaplen") == 0) {
		rc = number_read(key, value, CAPTURE_SNAP_MIN, CAPTURE_SNAP_MAX, &n, err, err_len);
		w->o.snap_bytes = rc == 0 ? (uint32_t)n : 0;
	} else if (strcmp(key, "size") == 0) {
		rc = number_read(key, value, CAPTURE_SIZE_MIN, SIZE_MAX_BYTES, &w->o.size_bytes,
			err, err_len);
	} else if (strcmp(key, "packets") == 0) {
		rc = number_read(key, value, 1, UINT64_C(1) << 40, &w->o.packets_max, err, err_len);
	} else if (strcmp(key, "seconds") == 0) {
		rc = number_read(key, value, 1, SECONDS_MAX, &w->seconds, err, err_len);
	} else {
		snprintf(err, err_len, "'%.64s' is none of " KEYS, key);
		rc = -EINVAL;
	}
	return rc;
}

// KEY=VALUE,... cut in place; the values stay where they are.
static int params_read(struct capture_want *w, char *params, char *err, size_t err_len)
{
	char *save, *one;

	for (one = strtok_r(params, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(one, '=');

		if (eq == NULL) {
			snprintf(err, err_len, "'%.64s': wanted is KEY=VALUE, of " KEYS, one);
			return -EINVAL;
		}
		*eq = '\0';
		if (key_read(w, one, eq + 1, err, err_len) < 0)
			return -EINVAL;
	}
	if (w->o.name == NULL) {
		snprintf(err, err_len, "file=NAME is wanted; it is made in capture-dir");
		return -EINVAL;
	}
	return 0;
}

// ---- the writer --------------------------------------------------------------------------------
#define IDLE_NS 1000000 // between looks of the writer that had taken all there was

// Nothing but the file. It runs where DPDK puts threads that are no lcores.
static void *writer_run(void *arg)
{
	const struct timespec nap = {.tv_nsec = IDLE_NS};
	struct control_capture *s = arg;

	while (!__atomic_load_n(&s->left, __ATOMIC_ACQUIRE)) {
		if (capture_drain(s->now, base_now_read().mono_us))
			nanosleep(&nap, NULL);
	}
	capture_write_end(s->now);
	return NULL;
}

// ---- start and end -----------------------------------------------------------------------------
// Unix time when the workers' clock was 0.
static uint64_t epoch_ns(void)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return ((uint64_t)wall.tv_sec - (uint64_t)mono.tv_sec) * 1000000000 +
		(uint64_t)wall.tv_nsec - (uint64_t)mono.tv_nsec;
}

static int capture_begin(struct control *c, const char *params, char *err, size_t err_len)
{
	struct capture_want w = {
		.o = {.dir = c->cfg->capture_dir,
			.snap_bytes = CAPTURE_SNAP_MAX,
			.size_bytes = SIZE_DEFAULT,
			.epoch_ns = epoch_ns(),
			.workers = c->workers},
		.seconds = SECONDS_DEFAULT,
	};
	char text[PARAMS_MAX];
	struct capture_state none;
	int rc;

	if (c->capture.now != NULL) {
		snprintf(err, err_len, "a capture is running: %s", capture_path(c->capture.now));
		return -EBUSY;
	}
	if (c->orders.phase != WORKER_PHASE_RUN) {
		snprintf(err, err_len, "the server ends");
		return -EBUSY;
	}
	if (snprintf(text, sizeof(text), "%s", params != NULL ? params : "") >= PARAMS_MAX) {
		snprintf(err, err_len, "too long");
		return -EINVAL;
	}
	if (params_read(&w, text, err, err_len) < 0)
		return -EINVAL;
	w.o.end_us = c->now.mono_us + w.seconds * 1000000;
	if (capture_open(&c->capture.now, &w.o, err, err_len) < 0)
		return -EINVAL;
	c->capture.ending = c->capture.left = false;
	rc = rte_ctrl_thread_create(
		&c->capture.writer, "lc-capture", NULL, writer_run, &c->capture);
	if (rc != 0) {
		snprintf(err, err_len, "no thread: %s", strerror(abs(rc)));
		unlink(capture_path(c->capture.now));
		capture_close(c->capture.now, &none);
		c->capture.now = NULL;
		return -EAGAIN;
	}
	return 0;
}

static void workers_tell(struct control *c)
{
	c->orders.capture_seq++;
	control_orders_push(c);
}

struct capture_tap *control_capture_tap(struct control *c, unsigned worker)
{
	if (c->capture.now == NULL || c->capture.ending)
		return NULL;
	return capture_tap(c->capture.now, worker);
}

static void capture_finish(struct control *c)
{
	const struct capture_state *s = &c->capture.last;

	pthread_join(c->capture.writer, NULL);
	snprintf(c->capture.path, sizeof(c->capture.path), "%s", capture_path(c->capture.now));
	capture_close(c->capture.now, &c->capture.last);
	c->capture.now = NULL;
	base_log(s->error ? BASE_LOG_WARN : BASE_LOG_INFO, "capture: %s: %llu packets%s%s",
		c->capture.path, (unsigned long long)s->packets, s->error ? ", " : "",
		s->error ? strerror(-s->error) : "");
}

static void writer_tell(struct control *c)
{
	__atomic_store_n(&c->capture.left, true, __ATOMIC_RELEASE);
}

static bool workers_left(const struct control *c)
{
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->report[i].capture_seq != c->orders.capture_seq)
			return false;
	}
	return true;
}

void control_capture_tick(struct control *c)
{
	struct control_capture *s = &c->capture;

	if (base_likely(s->now == NULL))
		return;
	if (!s->ending && capture_over(s->now)) {
		s->ending = true;
		workers_tell(c);
	} else if (s->ending && !s->left && workers_left(c)) {
		writer_tell(c);
	} else if (capture_written(s->now)) {
		capture_finish(c);
	}
}

void control_workers_gone(struct control *c)
{
	if (c->capture.now != NULL) {
		writer_tell(c);
		capture_finish(c);
	}
	control_snapshot_workers_gone(c);
	control_access_close(c);
}

// ---- commands ----------------------------------------------------------------------------------
static void state_reply(const struct control *c, struct rte_tel_data *d)
{
	static const char *const word[] = {[CAPTURE_RUNS] = "none",
		[CAPTURE_STOPPED] = "stopped",
		[CAPTURE_END_PACKETS] = "packet limit",
		[CAPTURE_END_SIZE] = "size limit",
		[CAPTURE_END_TIME] = "time limit",
		[CAPTURE_END_ERROR] = "failed"};
	struct capture_state s = c->capture.last;
	const char *path = c->capture.path, *state = word[s.end];

	if (c->capture.now != NULL) {
		capture_state_get(c->capture.now, &s);
		path = capture_path(c->capture.now);
		state = c->capture.ending ? "ending" : "running";
	}
	rte_tel_data_add_dict_string(d, "state", state);
	if (*path == '\0')
		return;
	if (s.error != 0)
		rte_tel_data_add_dict_string(d, "reason", strerror(-s.error));
	control_text_reply(d, "file", path);
	rte_tel_data_add_dict_u64(d, "packets", s.packets);
	rte_tel_data_add_dict_u64(d, "bytes", s.bytes);
	rte_tel_data_add_dict_u64(d, "seen", s.seen);
	rte_tel_data_add_dict_u64(d, "dropped", s.dropped);
}

int control_capture_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	state_reply(c, d);
	return 0;
}

int control_capture_start_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	char err[CAPTURE_PATH_MAX + 128];

	rte_tel_data_start_dict(d);
	if (capture_begin(c, params, err, sizeof(err)) < 0) {
		control_text_reply(d, "error", err);
		return 0;
	}
	workers_tell(c);
	control_text_reply(d, "file", capture_path(c->capture.now));
	return 0;
}

// Answered when the file is whole.
int control_capture_stop_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	if (c->capture.now != NULL) {
		c->capture.waiter = base_max_u64(c->capture.waiter, c->serving);
		capture_stop(c->capture.now);
		return CONTROL_AGAIN;
	}
	rte_tel_data_start_dict(d);
	if (c->serving > c->capture.waiter)
		rte_tel_data_add_dict_string(d, "error", "no capture is running");
	else
		state_reply(c, d);
	return 0;
}
