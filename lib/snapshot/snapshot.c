// SPDX-License-Identifier: BSD-3-Clause
// One snapshot: the workers' rings, the file, and its end.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/snapshot_internal.h"

#define RINGS_BYTES  (4u << 20) // of all workers
#define RING_MAX     (1u << 20)
#define TURN_RECORDS 256u // of a ring, before the next one's turn
#define FILES_LOOKED 4096 // of snapshot-dir, for what a killed server left

struct snapshot {
	char dir[SNAPSHOT_PATH_MAX], path[SNAPSHOT_PATH_MAX], part[SNAPSHOT_PATH_MAX];
	unsigned workers;
	uint64_t ring_bytes;
	struct snapshot_file file; // the writer's
	// written by the writer, read by others once `finished` is set
	int error;
	const char *what;
	bool finished, cancelled;
	struct snapshot_tap tap[SNAPSHOT_WORKERS_MAX];
};

int snapshot_name_check(const char *name, char *err, size_t err_len)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
			n = 0;
	}
	if (n > 0 && n < SNAPSHOT_NAME_MAX && name[0] != '.')
		return 0;
	snprintf(err, err_len,
		"a name of 1 to %d letters, digits, '.', '_' and '-' is wanted, and no '.' first: "
		"files lie in snapshot-dir",
		SNAPSHOT_NAME_MAX - 1);
	return -EINVAL;
}

static uint32_t ring_bytes_of(unsigned workers)
{
	uint32_t bytes = RING_MAX;

	while (bytes > SNAPSHOT_RING_MIN && bytes * workers > RINGS_BYTES)
		bytes /= 2;
	return bytes;
}

static void taps_close(struct snapshot *sn)
{
	for (unsigned i = 0; i < sn->workers; i++)
		snapshot_tap_close(&sn->tap[i]);
}

static int taps_open(struct snapshot *sn)
{
	for (unsigned i = 0; i < sn->workers; i++) {
		if (snapshot_tap_open(&sn->tap[i], (uint32_t)sn->ring_bytes) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int paths_make(
	struct snapshot *sn, const struct snapshot_options *opt, char *err, size_t err_len)
{
	int n = snprintf(
		sn->part, sizeof(sn->part), "%s/.%s.%d.tmp", opt->dir, opt->name, (int)getpid());

	if (n < 0 || (size_t)n >= sizeof(sn->part)) {
		snprintf(err, err_len, "snapshot-dir and the name are too long together");
		return -ENAMETOOLONG;
	}
	snprintf(sn->dir, sizeof(sn->dir), "%s", opt->dir);
	snprintf(sn->path, sizeof(sn->path), "%s/%s", opt->dir, opt->name);
	return 0;
}

// ".NAME.PID.tmp"
static bool part_named(const char *file, const char *name)
{
	size_t len = strlen(name);
	const char *rest = file + 1 + len + 1;

	if (strlen(file) <= len + 2 || file[0] != '.' || strncmp(file + 1, name, len) != 0 ||
		rest[-1] != '.')
		return false;
	rest += strspn(rest, "0123456789");
	return strcmp(rest, ".tmp") == 0;
}

// What servers that were killed have left of this name: a part that is being written is locked.
static void parts_left_remove(const struct snapshot_options *opt)
{
	DIR *d = opendir(opt->dir);
	struct dirent *e;

	if (d == NULL)
		return; // part_open says why
	for (unsigned i = 0; i < FILES_LOOKED && (e = readdir(d)) != NULL; i++) {
		int fd;

		if (!part_named(e->d_name, opt->name))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
		close(fd);
	}
	closedir(d);
}

// What it writes under its temporary name, locked (where the file system can) until it is closed.
// 0 or -errno.
static int part_open(struct snapshot *sn, const struct snapshot_options *opt)
{
	struct snapshot_info info = {
		.wall_s = opt->wall_s, .shards = opt->workers, .block_bytes = SNAPSHOT_BLOCK_BYTES};
	int fd, rc = base_secret_fill(&info.file, sizeof(info.file));

	if (rc < 0)
		return rc;
	fd = open(sn->part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)flock(fd, LOCK_EX | LOCK_NB);
	rc = snapshot_file_open(&sn->file, fd, &info);
	if (rc < 0) {
		snapshot_file_close(&sn->file);
		unlink(sn->part);
	}
	return rc;
}

int snapshot_open(
	struct snapshot **out, const struct snapshot_options *opt, char *err, size_t err_len)
{
	struct snapshot *sn;
	int rc;

	base_assert(opt->workers > 0 && opt->workers <= SNAPSHOT_WORKERS_MAX);
	if (snapshot_name_check(opt->name, err, err_len) < 0)
		return -EINVAL;
	sn = aligned_alloc(BASE_CACHE_LINE, sizeof(*sn));
	if (sn == NULL) {
		snprintf(err, err_len, "no memory");
		return -ENOMEM;
	}
	memset(sn, 0, sizeof(*sn));
	sn->workers = opt->workers;
	sn->ring_bytes = opt->ring_bytes ? opt->ring_bytes : ring_bytes_of(opt->workers);
	rc = paths_make(sn, opt, err, err_len);
	if (rc < 0)
		goto err_paths;
	rc = taps_open(sn);
	if (rc < 0) {
		snprintf(err, err_len, "no memory for the rings of %u workers", sn->workers);
		goto err_taps;
	}
	parts_left_remove(opt);
	rc = part_open(sn, opt);
	if (rc < 0) {
		snprintf(err, err_len, "%s: %s", sn->part, strerror(-rc));
		goto err_taps;
	}
	*out = sn;
	return 0;

err_taps:
	taps_close(sn);
err_paths:
	free(sn);
	return rc;
}

struct snapshot_tap *snapshot_tap(struct snapshot *sn, unsigned worker)
{
	base_assert(worker < sn->workers);
	return &sn->tap[worker];
}

const char *snapshot_path(const struct snapshot *sn)
{
	return sn->path;
}

// ---- the writer ---------------------------------------------------------------------------------
static void snapshot_fail(struct snapshot *sn, int error, const char *what)
{
	if (sn->error != 0)
		return;
	sn->error = error;
	sn->what = what;
	for (unsigned i = 0; i < sn->workers; i++)
		__atomic_store_n(&sn->tap[i].stop, true, __ATOMIC_RELAXED);
}

static void record_write(struct snapshot *sn, const struct snapshot_record *r)
{
	struct snapshot_item it = {
		.cas = r->cas,
		.deadline_s = r->deadline_s,
		.value_bytes = r->value_bytes,
		.client_flags = r->client_flags,
		.bits = r->bits,
		.key_len = r->key_len,
		.key = r->data,
	};
	struct store_span copy[2] = {
		{(char *)(uintptr_t)r->data + r->key_len, r->value_bytes}, {NULL, 0}};

	snapshot_file_item(&sn->file, &it, r->pinned ? snapshot_record_pinned(r)->value : copy);
	if (sn->file.error != 0)
		snapshot_fail(sn, sn->file.error, "write");
}

// False: all that there was has been taken. After an error what comes is passed over, so that its
// pins go back.
static bool tap_drain(struct snapshot *sn, struct snapshot_tap *t)
{
	const struct snapshot_record *r;
	unsigned n = 0;

	for (; n < TURN_RECORDS && (r = snapshot_tap_peek(t)) != NULL; n++) {
		if (sn->error == 0)
			record_write(sn, r);
		snapshot_tap_pass(t, r);
	}
	return n == TURN_RECORDS;
}

static bool taps_ended(struct snapshot *sn)
{
	for (unsigned i = 0; i < sn->workers; i++) {
		struct snapshot_tap *t = &sn->tap[i];

		if (!__atomic_load_n(&t->ended, __ATOMIC_ACQUIRE) || snapshot_tap_peek(t) != NULL)
			return false;
		if (t->flushed_since)
			snapshot_fail(sn, -ESTALE, "a flush came in between");
	}
	return true;
}

// The name stands for the file when the folder is on the disk, too.
static int folder_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static uint64_t cas_next_most(const struct snapshot *sn)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < sn->workers; i++)
		most = base_max_u64(most, sn->tap[i].cas_next);
	return most;
}

static void snapshot_end(struct snapshot *sn, uint64_t wall_s)
{
	int rc;

	if (sn->error == 0)
		snapshot_file_end(&sn->file, cas_next_most(sn), wall_s);
	snapshot_file_close(&sn->file);
	if (sn->file.error != 0)
		snapshot_fail(sn, sn->file.error, "write");
	if (sn->error == 0 && rename(sn->part, sn->path) < 0)
		snapshot_fail(sn, -errno, "rename");
	if (sn->error != 0) {
		unlink(sn->part);
	} else {
		rc = folder_sync(sn->dir);
		if (rc < 0)
			snapshot_fail(sn, rc, "fsync of the folder");
	}
	__atomic_store_n(&sn->finished, true, __ATOMIC_RELEASE);
}

enum snapshot_go snapshot_turn(struct snapshot *sn, uint64_t wall_s)
{
	bool more = false;

	base_assert(!sn->finished);
	if (__atomic_load_n(&sn->cancelled, __ATOMIC_RELAXED))
		snapshot_fail(sn, -ECANCELED, "given up");
	for (unsigned i = 0; i < sn->workers; i++)
		more |= tap_drain(sn, &sn->tap[i]);
	if (more)
		return SNAPSHOT_GO_ON;
	if (!taps_ended(sn))
		return SNAPSHOT_GO_IDLE;
	snapshot_end(sn, wall_s);
	return SNAPSHOT_GO_END;
}

// ---- any thread ---------------------------------------------------------------------------------
void snapshot_cancel(struct snapshot *sn)
{
	__atomic_store_n(&sn->cancelled, true, __ATOMIC_RELAXED);
}

bool snapshot_finished(const struct snapshot *sn)
{
	return __atomic_load_n(&sn->finished, __ATOMIC_ACQUIRE);
}

void snapshot_state_get(const struct snapshot *sn, struct snapshot_state *out)
{
	*out = (struct snapshot_state){
		.finished = snapshot_finished(sn),
		.items = __atomic_load_n(&sn->file.items, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&sn->file.bytes, __ATOMIC_RELAXED),
		.extra_bytes = sizeof(*sn) + sn->workers * sn->ring_bytes + SNAPSHOT_BLOCK_HEAD +
			SNAPSHOT_BLOCK_BYTES,
	};
	if (out->finished) {
		out->error = sn->error;
		out->what = sn->what;
	}
	for (unsigned i = 0; i < sn->workers; i++)
		out->extra_bytes += __atomic_load_n(&sn->tap[i].pinned_most, __ATOMIC_RELAXED);
}

void snapshot_close(struct snapshot *sn)
{
	base_assert(snapshot_finished(sn));
	taps_close(sn);
	free(sn);
}

void snapshot_drop(struct snapshot *sn)
{
	snapshot_file_close(&sn->file);
	unlink(sn->part);
	taps_close(sn);
	free(sn);
}
