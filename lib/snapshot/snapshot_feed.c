// SPDX-License-Identifier: BSD-3-Clause
// A file, read once for all shards by a thread of its own: the disk and the copy out of the page
// cache keep no worker.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "snapshot/snapshot_internal.h"

#define FEED_BYTES  (UINT64_C(2) << 20)   // what is read and not taken: near the cores' caches
#define FEED_EACH   (UINT64_C(256) << 10) // read at once
#define AHEAD_BYTES (UINT64_C(16) << 20)  // of the file, on their way from the disk
#define AHEAD_EACH  (UINT64_C(4) << 20)   // asked for at once
#define NAP_NS      50000
#define LEFT        UINT64_MAX

struct feed_reader {
	_Alignas(BASE_CACHE_LINE) uint64_t tail; // writer: the reader; the thread reads it
};

struct snapshot_feed {
	int fd;
	unsigned readers;
	uint64_t total_bytes;
	uint64_t ahead_bytes; // of the file, asked for: the thread's
	char *ring;
	// writer: the thread; every reader reads them
	_Alignas(BASE_CACHE_LINE) uint64_t head;
	bool over; // nothing follows head
	int error; // ... because of it; before `over`
	// writer: anybody
	_Alignas(BASE_CACHE_LINE) bool cancelled;
	struct feed_reader reader[];
};

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
}

int snapshot_feed_open(
	struct snapshot_feed **out, const char *path, unsigned readers, char *err, size_t err_len)
{
	size_t bytes = sizeof(struct snapshot_feed) + readers * sizeof(struct feed_reader);
	struct snapshot_feed *f = aligned_alloc(BASE_CACHE_LINE, bytes);
	int rc = -ENOMEM;

	if (f == NULL)
		goto err_alloc;
	memset(f, 0, bytes);
	f->readers = readers;
	f->ring = malloc(FEED_BYTES);
	if (f->ring == NULL)
		goto err_ring;
	f->fd = rc = snapshot_path_open(path, &f->total_bytes);
	if (rc < 0)
		goto err_file;
	*out = f;
	return 0;

err_file:
	free(f->ring);
err_ring:
	free(f);
err_alloc:
	snprintf(err, err_len, "%s: %s", path, strerror(-rc));
	return rc;
}

void snapshot_feed_close(struct snapshot_feed *f)
{
	close(f->fd);
	free(f->ring);
	free(f);
}

void snapshot_feed_cancel(struct snapshot_feed *f)
{
	__atomic_store_n(&f->cancelled, true, __ATOMIC_RELEASE);
}

// ---- the thread ---------------------------------------------------------------------------------
// How far the slowest reader is; LEFT: nobody reads any more.
static uint64_t tail_least(const struct snapshot_feed *f)
{
	uint64_t least = LEFT;

	for (unsigned i = 0; i < f->readers; i++)
		least = base_min_u64(least, __atomic_load_n(&f->reader[i].tail, __ATOMIC_ACQUIRE));
	return least;
}

// The kernel reads ahead of who reads on and on; this goes on where the ring is full, too.
static void ahead_ask(struct snapshot_feed *f)
{
	while (f->ahead_bytes < f->total_bytes && f->ahead_bytes < f->head + AHEAD_BYTES) {
		posix_fadvise(f->fd, (off_t)f->ahead_bytes, AHEAD_EACH, POSIX_FADV_WILLNEED);
		f->ahead_bytes += AHEAD_EACH;
	}
}

static bool feed_end(struct snapshot_feed *f, int error)
{
	f->error = error;
	__atomic_store_n(&f->over, true, __ATOMIC_RELEASE);
	return false;
}

bool snapshot_feed_turn(struct snapshot_feed *f)
{
	uint64_t least = tail_least(f), at = f->head & (FEED_BYTES - 1);
	ssize_t got;

	if (least == LEFT || __atomic_load_n(&f->cancelled, __ATOMIC_ACQUIRE))
		return feed_end(f, -ECANCELED);
	if (f->head - least > FEED_BYTES - FEED_EACH) {
		nap();
		return true;
	}
	ahead_ask(f);
	got = read(f->fd, f->ring + at, base_min_u64(FEED_EACH, FEED_BYTES - at));
	if (got < 0 && errno == EINTR)
		return true;
	if (got <= 0)
		return feed_end(f, got < 0 ? -errno : 0);
	__atomic_store_n(&f->head, f->head + (uint64_t)got, __ATOMIC_RELEASE);
	return true;
}

// ---- the readers --------------------------------------------------------------------------------
int64_t snapshot_feed_read(struct snapshot_feed *f, unsigned reader, void *to, uint64_t n)
{
	uint64_t tail = f->reader[reader].tail, head, at = tail & (FEED_BYTES - 1);

	while ((head = __atomic_load_n(&f->head, __ATOMIC_ACQUIRE)) == tail) {
		// what came before the end came before `over`
		if (__atomic_load_n(&f->over, __ATOMIC_ACQUIRE) &&
			__atomic_load_n(&f->head, __ATOMIC_ACQUIRE) == tail)
			return f->error;
		nap();
	}
	n = base_min_u64(n, base_min_u64(head - tail, FEED_BYTES - at));
	memcpy(to, f->ring + at, n);
	__atomic_store_n(&f->reader[reader].tail, tail + n, __ATOMIC_RELEASE);
	return (int64_t)n;
}

void snapshot_feed_leave(struct snapshot_feed *f, unsigned reader)
{
	__atomic_store_n(&f->reader[reader].tail, LEFT, __ATOMIC_RELEASE);
}

uint64_t snapshot_feed_bytes(const struct snapshot_feed *f)
{
	return f->total_bytes;
}
