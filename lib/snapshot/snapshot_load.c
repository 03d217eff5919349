// SPDX-License-Identifier: BSD-3-Clause
// A file's items into one shard, on the thread of its worker.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshot/snapshot_internal.h"

#define SPLITS_STEP 4096                // buckets a step, before the first item
#define CAS_MAX     (UINT64_C(1) << 62) // beyond it a client made them up: counters do not follow

struct snapshot_load {
	struct snapshot_reader *reader;
	struct snapshot_feed *feed;
	struct store *store;
	unsigned shard, shards;
	unsigned (*owner)(uint64_t hash, unsigned shards);
	uint64_t expected; // items of the shard, about; 0: the index has been made for them
	uint64_t cas_most;
	struct snapshot_loaded n;
};

static int64_t feed_read(void *arg, void *to, uint64_t n)
{
	struct snapshot_load *l = arg;

	return snapshot_feed_read(l->feed, l->shard, to, n);
}

int snapshot_path_open(const char *path, uint64_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct stat st = {.st_size = 0};

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*bytes = (uint64_t)st.st_size;
	return fd;
}

int snapshot_load_open(struct snapshot_load **out, const struct snapshot_load_options *opt)
{
	struct snapshot_load *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return -ENOMEM;
	l->feed = opt->feed;
	l->store = opt->store;
	l->shard = opt->shard;
	l->shards = opt->shards;
	l->owner = opt->owner;
	l->expected = opt->items / opt->shards;
	l->n.total_bytes = snapshot_feed_bytes(opt->feed);
	rc = snapshot_reader_open(&l->reader, &(struct snapshot_source){feed_read, l});
	if (rc < 0) {
		free(l);
		return rc;
	}
	*out = l;
	return 0;
}

void snapshot_load_close(struct snapshot_load *l)
{
	snapshot_feed_leave(l->feed, l->shard);
	snapshot_reader_close(l->reader);
	free(l);
}

// The value into a reserved item. False: a fault.
static bool value_fill(struct snapshot_load *l, struct store_item *item)
{
	const char *piece;
	uint32_t at = 0, bytes;
	int got;

	while ((got = snapshot_reader_value(l->reader, &piece, &bytes)) > 0) {
		store_value_write(item, at, piece, bytes);
		at += bytes;
	}
	return got == 0;
}

// A newer record than what the key has, which there is no room for: better nothing than the older.
static void item_leave_out(struct snapshot_load *l, const struct store_key *key)
{
	struct store_item *old = store_find(l->store, key->key, key->len, key->hash);

	if (old != NULL)
		store_delete(l->store, old, key->hash);
	l->n.left_out++;
}

// As a set would, but for the CAS number and the bits. Of two of one key the later replaces the
// earlier.
static void item_load(struct snapshot_load *l, const struct snapshot_item *it, uint64_t hash)
{
	struct store_key key = {it->key, it->key_len, hash};
	struct store_item *item;

	if (it->deadline_s != 0 && it->deadline_s <= store_now(l->store).wall_s) {
		l->n.expired++;
		return;
	}
	if (store_reserve(l->store, &key, it->client_flags, it->deadline_s, it->value_bytes,
		    &item) != STORE_OK) {
		item_leave_out(l, &key);
		return;
	}
	if (!value_fill(l, item)) {
		store_abort(l->store, item);
		return;
	}
	item->bits |= it->bits;
	store_commit(l->store, item, hash, it->cas);
	if (it->cas < CAS_MAX)
		l->cas_most = base_max_u64(l->cas_most, it->cas);
	l->n.items++;
}

enum snapshot_got snapshot_load_step(struct snapshot_load *l, uint64_t bytes)
{
	uint64_t end = snapshot_reader_bytes(l->reader) + bytes;
	enum snapshot_got got = SNAPSHOT_GOT_ITEM;
	struct snapshot_item it;

	if (l->expected > 0) {
		if (!store_expect(l->store, l->expected, SPLITS_STEP))
			l->expected = 0;
		return got;
	}
	while (got == SNAPSHOT_GOT_ITEM && snapshot_reader_bytes(l->reader) < end) {
		uint64_t hash;

		got = snapshot_reader_next(l->reader, &it);
		if (got != SNAPSHOT_GOT_ITEM)
			break;
		hash = base_hash(it.key, it.key_len);
		if (l->owner(hash, l->shards) == l->shard)
			item_load(l, &it, hash);
	}
	if (got == SNAPSHOT_GOT_END) {
		uint64_t next = snapshot_reader_info(l->reader)->cas_next;

		if (next > 0 && next < CAS_MAX)
			l->cas_most = base_max_u64(l->cas_most, next - 1);
		store_cas_raise(l->store, l->cas_most);
	}
	if (got != SNAPSHOT_GOT_ITEM)
		store_expect(l->store, 0, 0);
	l->n.file_bytes = snapshot_reader_bytes(l->reader);
	return got;
}

void snapshot_load_get(const struct snapshot_load *l, struct snapshot_loaded *out)
{
	*out = l->n;
}

void snapshot_load_fault(const struct snapshot_load *l, char *buf, size_t len)
{
	snapshot_fault_format(snapshot_reader_fault(l->reader), buf, len);
}

// ---- before anything else -----------------------------------------------------------------------
static int part_read(int fd, char *to, size_t n, uint64_t at)
{
	ssize_t got = pread(fd, to, n, (off_t)at);

	return got < 0 ? -errno : (size_t)got < n ? -EIO : 0;
}

// 0, or -errno; *what, where it is the file's fault.
static int ends_check(
	int fd, uint64_t bytes, struct snapshot_info *info, struct snapshot_fault *fault)
{
	struct snapshot_trailer t;
	char buf[SNAPSHOT_HEADER];
	int rc;

	*fault = (struct snapshot_fault){.byte = bytes, .block = UINT64_MAX};
	if (bytes < SNAPSHOT_HEADER + SNAPSHOT_TRAILER) {
		fault->what = "the file ends here: it is torn";
		return -EINVAL;
	}
	rc = part_read(fd, buf, SNAPSHOT_HEADER, 0);
	if (rc < 0)
		return rc;
	fault->byte = 0;
	fault->what = snapshot_header_get(buf, info);
	if (fault->what != NULL)
		return -EINVAL;
	fault->byte = bytes - SNAPSHOT_TRAILER;
	rc = part_read(fd, buf, SNAPSHOT_TRAILER, fault->byte);
	if (rc < 0)
		return rc;
	fault->what = snapshot_trailer_get(buf, &t);
	if (fault->what == NULL && t.file != info->file)
		fault->what = "the trailer is another file's";
	if (fault->what != NULL)
		return -EINVAL;
	info->items = t.items;
	info->bytes = t.bytes;
	info->cas_next = t.cas_next;
	return 0;
}

int snapshot_file_check(const char *path, struct snapshot_info *out, char *err, size_t err_len)
{
	struct snapshot_fault fault = {.what = NULL};
	char where[160];
	uint64_t bytes;
	int fd = snapshot_path_open(path, &bytes), rc = fd;

	if (fd >= 0) {
		rc = ends_check(fd, bytes, out, &fault);
		close(fd);
	}
	if (rc == 0)
		return 0;
	if (fault.what != NULL) {
		snapshot_fault_format(&fault, where, sizeof(where));
		snprintf(err, err_len, "%s: %s", path, where);
	} else {
		snprintf(err, err_len, "%s: %s", path, strerror(-rc));
	}
	return rc;
}
