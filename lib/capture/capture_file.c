// SPDX-License-Identifier: BSD-3-Clause
// The file: sections, interfaces, frames and statistics by rte_pcapng. Its mbufs are the writer's
// own, one segment each, filled from a worker's record.
#define ALLOW_EXPERIMENTAL_API // rte_pcapng
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_pcapng.h>

#include "capture/capture_internal.h"

#define MBUFS      (CAPTURE_BATCH + 2) // and the one that a record is filled into, and its copy
#define MBUF_ROOM  (RTE_PKTMBUF_HEADROOM + CAPTURE_SNAP_MAX + 128) // options behind it
#define STAT_BYTES 512                                             // kept for the last block

// Blocks as the format has them (draft-ietf-opsawg-pcapng sections 4.3 and 4.6), where we set what
// rte_pcapng does not know.
#define BLOCK_FRAME      6
#define BLOCK_STATISTICS 5

struct block_frame {
	uint32_t type, bytes, interface, time_high, time_low, kept, wire;
};

size_t capture_dpdk_bytes(void)
{
	return MBUFS * (sizeof(struct rte_mbuf) + MBUF_ROOM + 256) + (64 << 10);
}

static uint64_t file_length(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int pool_open(struct capture_file *f, char *err, size_t err_len)
{
	f->pool = rte_pktmbuf_pool_create("lc_capture", MBUFS, 0, 0, MBUF_ROOM, SOCKET_ID_ANY);
	if (f->pool == NULL) {
		snprintf(err, err_len, "packet buffers: %s", rte_strerror(rte_errno));
		return -ENOMEM;
	}
	return 0;
}

static int png_open(struct capture_file *f, const char *path, char *err, size_t err_len)
{
	int rc;

	f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0) {
		rc = -errno;
		snprintf(err, err_len, "%s: %s", path, strerror(-rc));
		return rc;
	}
	errno = 0;
	f->png = rte_pcapng_fdopen(f->fd, NULL, NULL, "lcached " LC_VERSION, NULL);
	if (f->png == NULL) {
		rc = errno != 0 ? -errno : -EIO;
		snprintf(err, err_len, "%s: %s", path, strerror(-rc));
		close(f->fd);
		unlink(path);
		return rc;
	}
	f->bytes = file_length(f->fd);
	return 0;
}

int capture_file_open(struct capture_file *f, const char *path, uint64_t size_bytes,
	uint64_t epoch_ns, char *err, size_t err_len)
{
	int rc;

	*f = (struct capture_file){.fd = -1, .epoch_ns = epoch_ns, .size_bytes = size_bytes};
	f->port = (uint16_t)rte_eth_find_next(0);
	if (f->port >= RTE_MAX_ETHPORTS) {
		snprintf(err, err_len, "there is no device");
		return -ENODEV;
	}
	rc = pool_open(f, err, err_len);
	if (rc < 0)
		return rc;
	rc = png_open(f, path, err, err_len);
	if (rc < 0)
		rte_mempool_free(f->pool);
	return rc;
}

static uint64_t wall_ns(const struct capture_file *f, uint64_t mono_us)
{
	return f->epoch_ns + mono_us * 1000;
}

static struct rte_mbuf *frame_make(
	struct capture_file *f, unsigned worker, const struct capture_record *r)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(f->pool), *out;
	uint64_t ns = wall_ns(f, r->time_us);
	struct block_frame *b;

	if (m == NULL)
		return NULL;
	memcpy(rte_pktmbuf_append(m, r->kept), r->frame, r->kept);
	out = rte_pcapng_copy(f->port, worker, m, f->pool, CAPTURE_SNAP_MAX, 0,
		r->way == CAPTURE_IN ? RTE_PCAPNG_DIRECTION_IN : RTE_PCAPNG_DIRECTION_OUT);
	rte_pktmbuf_free(m);
	if (out == NULL)
		return NULL;
	b = rte_pktmbuf_mtod(out, struct block_frame *);
	base_assert(b->type == BLOCK_FRAME && b->kept == r->kept);
	b->time_high = (uint32_t)(ns >> 32);
	b->time_low = (uint32_t)ns;
	b->wire = r->wire;
	return out;
}

enum capture_put capture_file_put(
	struct capture_file *f, unsigned worker, const struct capture_record *r)
{
	struct rte_mbuf *m;

	base_assert(f->batched < CAPTURE_BATCH);
	m = frame_make(f, worker, r);
	if (m == NULL)
		return CAPTURE_PUT_FAILED;
	if (f->bytes + f->batch_bytes + m->pkt_len + STAT_BYTES > f->size_bytes) {
		rte_pktmbuf_free(m);
		return CAPTURE_PUT_FULL;
	}
	f->batch_bytes += m->pkt_len;
	f->batch[f->batched++] = m;
	return CAPTURE_PUT_OK;
}

// The writer's alone to change; others look at it meanwhile.
static void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

int capture_file_flush(struct capture_file *f)
{
	ssize_t n;
	int rc = 0;

	if (f->batched == 0)
		return 0;
	errno = 0;
	n = rte_pcapng_write_packets(f->png, f->batch, (uint16_t)f->batched);
	if (n >= 0 && (uint64_t)n == f->batch_bytes) {
		counter_add(&f->bytes, f->batch_bytes);
		counter_add(&f->packets, f->batched);
	} else { // a disk that fills up takes a part and says nothing
		rc = errno != 0 ? -errno : -ENOSPC;
		if (ftruncate(f->fd, (off_t)f->bytes) < 0 ||
			lseek(f->fd, (off_t)f->bytes, SEEK_SET) < 0)
			rc = -errno;
	}
	rte_pktmbuf_free_bulk(f->batch, f->batched);
	f->batched = 0;
	f->batch_bytes = 0;
	return rc;
}

// The library's clock has another beginning than ours: the block's time is set afterwards.
static void statistics_write(struct capture_file *f, const struct capture_state *s, uint64_t now_us)
{
	uint64_t ns = wall_ns(f, now_us);
	const uint32_t time[2] = {(uint32_t)(ns >> 32), (uint32_t)ns};
	ssize_t n = rte_pcapng_write_stats(f->png, f->port, NULL, 0, 0, s->seen, s->dropped);
	bool whole = n > 0 && file_length(f->fd) == f->bytes + (uint64_t)n;

	if (whole &&
		pwrite(f->fd, time, sizeof(time),
			(off_t)(f->bytes + offsetof(struct block_frame, time_high))) ==
			(ssize_t)sizeof(time))
		counter_add(&f->bytes, (uint64_t)n);
	else if (ftruncate(f->fd, (off_t)f->bytes) < 0)
		base_warn("capture: the file's end is no whole block: %s", strerror(errno));
}

void capture_file_end(struct capture_file *f, const struct capture_state *s, uint64_t now_us)
{
	base_assert(f->batched == 0);
	statistics_write(f, s, now_us);
	rte_pcapng_close(f->png); // and f->fd
}

void capture_file_close(struct capture_file *f)
{
	rte_mempool_free(f->pool);
}
