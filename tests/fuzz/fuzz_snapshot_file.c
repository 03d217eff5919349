// SPDX-License-Identifier: BSD-3-Clause
// A snapshot from anywhere, read as it is, and again with its sums put right: so that what stands
// behind them is looked at, too.
#include <stdlib.h>

#include "snapshot/snapshot_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	const char *at;
	size_t left;
};

static int64_t input_read(void *arg, void *to, uint64_t n)
{
	struct input *in = arg;

	n = base_min_u64(n, in->left);
	if (n > 0)
		memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
	return (int64_t)n;
}

static void file_read(const char *at, size_t len)
{
	struct input in = {at, len};
	uint64_t items = 0, all = 0;
	struct snapshot_reader *r;
	struct snapshot_item it;
	enum snapshot_got got;
	const char *piece;
	uint32_t bytes;
	char line[200];

	if (snapshot_reader_open(&r, &(struct snapshot_source){input_read, &in}) != 0)
		return;
	while ((got = snapshot_reader_next(r, &it)) == SNAPSHOT_GOT_ITEM) {
		uint64_t value = 0;
		int more = 0;

		base_assert(it.key_len > 0 && (it.bits & ~SNAPSHOT_BITS) == 0);
		all += base_hash(it.key, it.key_len);
		items++;
		while (items % 3 > 0 && (more = snapshot_reader_value(r, &piece, &bytes)) > 0) {
			all += base_hash(piece, bytes);
			value += bytes;
		}
		base_assert(items % 3 == 0 || more < 0 || value == it.value_bytes);
	}
	if (got == SNAPSHOT_GOT_FAULT) {
		snapshot_fault_format(snapshot_reader_fault(r), line, sizeof(line));
		base_assert(snapshot_reader_fault(r)->byte <= len);
	} else {
		base_assert(
			items == snapshot_reader_info(r)->items && snapshot_reader_bytes(r) == len);
	}
	base_assert(all != 1); // used
	snapshot_reader_close(r);
}

// Every part whose length can be told gets the sum that its bytes have.
static void sums_mend(char *at, size_t len)
{
	size_t from = SNAPSHOT_HEADER;
	struct snapshot_block b;

	if (len < SNAPSHOT_HEADER)
		return;
	snapshot_sum_put(at + 8, at + 16, SNAPSHOT_HEADER - 16);
	while (len - from >= SNAPSHOT_BLOCK_HEAD) {
		if (snapshot_is_trailer(at + from)) {
			if (len - from >= SNAPSHOT_TRAILER)
				snapshot_sum_put(at + from, at + from + 8, SNAPSHOT_TRAILER - 8);
			return;
		}
		if (snapshot_block_get(at + from, &b) != NULL ||
			b.bytes > len - from - SNAPSHOT_BLOCK_HEAD)
			return;
		snapshot_sum_put(at + from, at + from + 8, SNAPSHOT_BLOCK_HEAD - 8 + b.bytes);
		from += SNAPSHOT_BLOCK_HEAD + b.bytes;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *copy = malloc(len + (len == 0));

	file_read((const char *)data, len);
	if (copy == NULL)
		return 0;
	if (len > 0)
		memcpy(copy, data, len);
	sums_mend(copy, len);
	file_read(copy, len);
	free(copy);
	return 0;
}
