// SPDX-License-Identifier: BSD-3-Clause
// A warm restart: items out of a file before the server is ready, and into one when it ends.

#include <errno.h>
#include <stdlib.h>

#include <rte_lcore.h>

#include "lcached.h"

#define PROGRESS_US     2000000
#define STUCK_US        30000000 // without an item more, a snapshot at the end is given up
#define CANCEL_US       2000000
#define LOAD_STEP_BYTES (256u << 10) // between turns, in which a worker asks for pages
#define HELP_US         1000
#define HELP_NAP_US     100

// A name lies in snapshot-dir, if there is one; a path is a path.
static void path_make(const struct lcached *s, char *path, size_t len)
{
	const char *name = s->cfg.restore, *dir = s->cfg.snapshot_dir;

	if (strchr(name, '/') != NULL || dir[0] == '\0')
		snprintf(path, len, "%s", name);
	else
		snprintf(path, len, "%s/%s", dir, name);
}

int lcached_restore_check(struct lcached *s, char *err, size_t err_len)
{
	char why[SNAPSHOT_PATH_MAX + 256];
	struct snapshot_info info;
	int rc;

	if (s->cfg.restore[0] == '\0')
		return 0;
	path_make(s, s->restore_path, sizeof(s->restore_path));
	rc = snapshot_file_check(s->restore_path, &info, why, sizeof(why));
	if (rc == 0) {
		s->restore_items = info.items;
		s->restores = true;
		return 0;
	}
	if (rc == -ENOENT && strcmp(s->cfg.restore, s->cfg.snapshot_on_exit) == 0) {
		base_info("restore: %s: not there yet: the server starts empty", s->restore_path);
		return 0;
	}
	if (s->cfg.restore_or_empty) {
		base_warn("restore: %s: the server starts empty", why);
		return 0;
	}
	snprintf(err, err_len, "restore: %s", why);
	return -EINVAL;
}

// ---- the thread that reads ----------------------------------------------------------------------
static void *feed_run(void *feed)
{
	while (snapshot_feed_turn(feed))
		;
	return NULL;
}

int lcached_restore_begin(struct lcached *s)
{
	char err[SNAPSHOT_PATH_MAX + 256];
	int rc;

	if (!s->restores)
		return 0;
	rc = snapshot_feed_open(
		&s->feed, s->restore_path, (unsigned)s->cfg.workers, err, sizeof(err));
	if (rc < 0) {
		base_error("restore: %s", err);
		return rc;
	}
	rc = rte_ctrl_thread_create(&s->feed_thread, "lc-restore", NULL, feed_run, s->feed);
	if (rc != 0) {
		base_error("restore: no thread: %s", strerror(abs(rc)));
		snapshot_feed_close(s->feed);
		s->feed = NULL;
		return -EAGAIN;
	}
	return 0;
}

void lcached_restore_cancel(struct lcached *s)
{
	if (s->feed != NULL)
		snapshot_feed_cancel(s->feed);
}

void lcached_restore_end(struct lcached *s)
{
	if (s->feed == NULL)
		return;
	snapshot_feed_cancel(s->feed);
	pthread_join(s->feed_thread, NULL);
	snapshot_feed_close(s->feed);
	s->feed = NULL;
}

// ---- on the worker's thread --------------------------------------------------------------------
static void progress_tell(struct lcached_thread *t, const struct snapshot_load *l)
{
	struct snapshot_loaded n;

	snapshot_load_get(l, &n);
	__atomic_store_n(&t->loaded.items, n.items, __ATOMIC_RELAXED);
	__atomic_store_n(&t->loaded.expired, n.expired, __ATOMIC_RELAXED);
	__atomic_store_n(&t->loaded.left_out, n.left_out, __ATOMIC_RELAXED);
	__atomic_store_n(&t->loaded.total_bytes, n.total_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&t->loaded.file_bytes, n.file_bytes, __ATOMIC_RELAXED);
}

static bool load_run(struct lcached_thread *t, struct worker *w, struct snapshot_load *l)
{
	enum snapshot_got got = SNAPSHOT_GOT_ITEM;
	char place[192];
	unsigned work;

	while (got == SNAPSHOT_GOT_ITEM) {
		if (worker_turn(w, base_now_read(), &work) == WORKER_DONE)
			return false;
		got = snapshot_load_step(l, LOAD_STEP_BYTES);
		progress_tell(t, l);
	}
	if (got == SNAPSHOT_GOT_END)
		return true;
	snapshot_load_fault(l, place, sizeof(place));
	snprintf(t->load_fault, sizeof(t->load_fault), "%s: %s", t->server->restore_path, place);
	return false;
}

void lcached_load(struct lcached_thread *t, struct worker *w)
{
	struct lcached *s = t->server;
	struct snapshot_load_options opt = {
		.feed = s->feed,
		.store = worker_store(w),
		.shard = t->id,
		.shards = (unsigned)s->cfg.workers,
		.owner = worker_of_hash,
		.items = s->restore_items,
	};
	struct snapshot_load *l;
	bool right = false;

	if (snapshot_load_open(&l, &opt) == 0) {
		right = load_run(t, w, l);
		snapshot_load_close(l);
	} else {
		snprintf(t->load_fault, sizeof(t->load_fault), "%s: no memory to read it",
			s->restore_path);
	}
	__atomic_store_n(
		&t->load, right ? LCACHED_LOAD_DONE : LCACHED_LOAD_FAILED, __ATOMIC_RELEASE);
}

// ---- main --------------------------------------------------------------------------------------
static struct snapshot_loaded loaded_sum(const struct lcached *s)
{
	struct snapshot_loaded sum = {0};

	for (unsigned i = 0; i < s->cfg.workers; i++) {
		const struct snapshot_loaded *n = &s->thread[i].loaded;

		sum.items += __atomic_load_n(&n->items, __ATOMIC_RELAXED);
		sum.expired += __atomic_load_n(&n->expired, __ATOMIC_RELAXED);
		sum.left_out += __atomic_load_n(&n->left_out, __ATOMIC_RELAXED);
		sum.file_bytes += __atomic_load_n(&n->file_bytes, __ATOMIC_RELAXED);
		sum.total_bytes += __atomic_load_n(&n->total_bytes, __ATOMIC_RELAXED);
	}
	return sum;
}

// Whether all have come to the end; *fault: of one that did not like the file.
static bool loads_over(const struct lcached *s, const char **fault)
{
	bool over = true;

	*fault = NULL;
	for (unsigned i = 0; i < s->cfg.workers; i++) {
		uint32_t load = __atomic_load_n(&s->thread[i].load, __ATOMIC_ACQUIRE);

		over &= load != LCACHED_LOAD_NOT;
		if (load == LCACHED_LOAD_FAILED)
			*fault = s->thread[i].load_fault;
	}
	return over;
}

static void loaded_log(const struct lcached *s, uint64_t took_us)
{
	struct snapshot_loaded n = loaded_sum(s);
	uint64_t bytes = n.total_bytes / s->cfg.workers;

	base_info("restore: %s: %llu items in %llu ms (%llu bytes, %llu MB/s), %llu expired, %llu "
		  "left out",
		s->restore_path, (unsigned long long)n.items, (unsigned long long)took_us / 1000,
		(unsigned long long)bytes, (unsigned long long)(bytes / (took_us + 1)),
		(unsigned long long)n.expired, (unsigned long long)n.left_out);
}

// Until the next tick: the pages that the items will need.
static void pages_make(struct lcached *s)
{
	uint64_t start_us = base_now_read().mono_us;

	while (base_now_read().mono_us - start_us < HELP_US) {
		if (!control_pages_help(s->control))
			lcached_sleep_us(HELP_NAP_US);
	}
}

// Ticks go on, so that the ledger deals memory to who needs it.
static bool loads_wait(struct lcached *s, const char **fault)
{
	uint64_t told_us = base_now_read().mono_us;

	while (!loads_over(s, fault)) {
		struct snapshot_loaded n;

		control_tick(s->control, base_now_read());
		pages_make(s);
		lcached_notify_busy(&s->notify, base_now_read().mono_us);
		if (base_now_read().mono_us - told_us < PROGRESS_US)
			continue;
		told_us = base_now_read().mono_us;
		n = loaded_sum(s);
		base_info("restore: %llu%%, %llu items",
			(unsigned long long)(n.total_bytes ? n.file_bytes * 100 / n.total_bytes
							   : 0),
			(unsigned long long)n.items);
	}
	return *fault == NULL;
}

int lcached_restore(struct lcached *s)
{
	uint64_t start_us = base_now_read().mono_us;
	const char *fault;
	bool right;

	if (!s->restores)
		return 0;
	base_info("restore: %s: %llu items", s->restore_path, (unsigned long long)s->restore_items);
	right = loads_wait(s, &fault);
	lcached_restore_end(s);
	if (right) {
		loaded_log(s, base_now_read().mono_us - start_us);
	} else if (!s->cfg.restore_or_empty) {
		base_error("restore: %s", fault);
		return -EBADMSG;
	} else {
		base_warn("restore: %s: the server starts empty", fault);
		control_flush(s->control);
	}
	control_phase_set(s->control, WORKER_PHASE_RUN);
	return 0;
}

// ---- the end -----------------------------------------------------------------------------------
static void running_cancel(struct lcached *s)
{
	uint64_t start_us = base_now_read().mono_us;
	struct snapshot_state st;

	control_snapshot_cancel(s->control);
	while (control_snapshot_get(s->control, &st) &&
		base_now_read().mono_us - start_us < CANCEL_US) {
		control_tick(s->control, base_now_read());
		control_wait(s->control);
	}
}

int lcached_snapshot_last(struct lcached *s)
{
	struct snapshot_state st, before = {0};
	char err[SNAPSHOT_PATH_MAX + 128];
	uint64_t moved_us = base_now_read().mono_us;

	running_cancel(s);
	if (s->cfg.snapshot_on_exit[0] == '\0' || !s->served)
		return 0;
	if (control_snapshot_start(s->control, s->cfg.snapshot_on_exit, err, sizeof(err)) < 0) {
		base_error("snapshot-on-exit: %s", err);
		return -EIO;
	}
	while (control_snapshot_get(s->control, &st)) {
		uint64_t now_us = base_now_read().mono_us;

		if (st.bytes != before.bytes)
			moved_us = now_us;
		before = st;
		if (now_us - moved_us > STUCK_US) {
			base_error("snapshot-on-exit: nothing moves: given up");
			running_cancel(s);
			return -EIO;
		}
		lcached_notify_alive(&s->notify, now_us);
		lcached_notify_busy(&s->notify, now_us);
		control_tick(s->control, base_now_read());
		control_wait(s->control);
	}
	return st.error;
}
