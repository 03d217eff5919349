// SPDX-License-Identifier: BSD-3-Clause
// A file being written: items packed into blocks, blocks summed and written.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "snapshot/snapshot_internal.h"

#define SYNC_BYTES (32u << 20) // go to the disk together, and out of the page cache

static void file_write(struct snapshot_file *f, const char *from, uint64_t n)
{
	while (n > 0 && f->error == 0) {
		ssize_t done = write(f->fd, from, n);

		if (done > 0) {
			from += done;
			n -= (uint64_t)done;
			f->written += (uint64_t)done;
		} else if (done == 0 || errno != EINTR) {
			f->error = done == 0 ? -EIO : -errno;
		}
	}
}

// So that gigabytes of written pages neither gather nor push others out: who restores reads a file
// that is on the disk.
static void file_settle(struct snapshot_file *f)
{
	if (f->error != 0 || f->written - f->synced < SYNC_BYTES)
		return;
	if (fdatasync(f->fd) < 0) {
		f->error = -errno;
		return;
	}
	posix_fadvise(
		f->fd, (off_t)f->synced, (off_t)(f->written - f->synced), POSIX_FADV_DONTNEED);
	f->synced = f->written;
}

int snapshot_file_open(struct snapshot_file *f, int fd, const struct snapshot_info *info)
{
	char header[SNAPSHOT_HEADER];

	base_assert(info->block_bytes >= SNAPSHOT_BLOCK_MIN &&
		info->block_bytes <= SNAPSHOT_BLOCK_BYTES);
	*f = (struct snapshot_file){.fd = fd, .file = info->file, .block_bytes = info->block_bytes};
	f->block = malloc(SNAPSHOT_BLOCK_HEAD + info->block_bytes);
	if (f->block == NULL)
		return -ENOMEM;
	// its pages now: later they would be missed while the machine is short
	memset(f->block, 0, SNAPSHOT_BLOCK_HEAD + info->block_bytes);
	snapshot_header_put(header, info);
	file_write(f, header, sizeof(header));
	return f->error;
}

static void block_write(struct snapshot_file *f)
{
	if (f->used == 0)
		return;
	snapshot_block_put(f->block,
		&(struct snapshot_block){.file = f->file,
			.number = f->blocks,
			.bytes = f->used,
			.items = f->block_items,
			.rest = f->rest});
	file_write(f, f->block, SNAPSHOT_BLOCK_HEAD + f->used);
	f->blocks++;
	f->items_all += f->block_items;
	f->bytes_all += f->used;
	__atomic_store_n(&f->items, f->items_all, __ATOMIC_RELAXED);
	__atomic_store_n(&f->bytes, f->written, __ATOMIC_RELAXED);
	f->used = f->block_items = f->rest = 0;
	file_settle(f);
}

// n bytes of a value; `begun`: some have gone into an earlier block.
static void value_put(struct snapshot_file *f, const char *from, uint32_t n, bool *begun)
{
	while (n > 0) {
		uint32_t room = f->block_bytes - f->used, part;

		if (room == 0) {
			block_write(f);
			*begun = true;
			continue;
		}
		part = n < room ? n : room;
		memcpy(f->block + SNAPSHOT_BLOCK_HEAD + f->used, from, part);
		f->used += part;
		f->rest += *begun ? part : 0;
		from += part;
		n -= part;
	}
}

void snapshot_file_item(
	struct snapshot_file *f, const struct snapshot_item *it, const struct store_span value[2])
{
	uint32_t head = SNAPSHOT_ITEM_HEAD + it->key_len;
	bool begun = false;

	base_assert(value[0].bytes + (uint64_t)value[1].bytes == it->value_bytes);
	if (f->error != 0)
		return;
	if (f->used + head > f->block_bytes)
		block_write(f);
	snapshot_item_put(f->block + SNAPSHOT_BLOCK_HEAD + f->used, it);
	f->used += head;
	f->block_items++;
	value_put(f, value[0].at, value[0].bytes, &begun);
	value_put(f, value[1].at, value[1].bytes, &begun);
}

void snapshot_file_end(struct snapshot_file *f, uint64_t cas_next, uint64_t wall_s)
{
	char trailer[SNAPSHOT_TRAILER];

	block_write(f);
	snapshot_trailer_put(trailer,
		&(struct snapshot_trailer){.file = f->file,
			.blocks = f->blocks,
			.items = f->items_all,
			.bytes = f->bytes_all,
			.cas_next = cas_next,
			.wall_s = wall_s});
	file_write(f, trailer, sizeof(trailer));
	__atomic_store_n(&f->bytes, f->written, __ATOMIC_RELAXED);
	if (f->error == 0 && fsync(f->fd) < 0)
		f->error = -errno;
}

void snapshot_file_close(struct snapshot_file *f)
{
	if (f->fd >= 0 && close(f->fd) < 0 && f->error == 0)
		f->error = -errno;
	f->fd = -1;
	free(f->block);
	f->block = NULL;
}
