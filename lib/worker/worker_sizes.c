// SPDX-License-Identifier: BSD-3-Clause
// stats sizes: how many items there are of each size. Nothing is counted when items come and go:
// each worker walks over its shard when somebody asks, a slice a round, and the asker sums at the
// end.

#include "worker/worker_admin.h"

#define SIZES_ITEMS 256 // of a slice, about
#define SIZES_WANT  32  // of a step of the walk
#define SIZES_STEPS 128 // of a slice: parts of the index may be empty
#define SMALL_BYTES 32  // sizes are rounded up to that, and beyond SMALL_MAX
#define LARGE_BYTES (1u << 20)
#define SMALL_MAX   LARGE_BYTES
#define SMALLS      (SMALL_MAX / SMALL_BYTES + 1)
#define LINE_BYTES  (5 + 20 + 1 + 20 + 2)

static_assert(SMALLS <= WORKER_SIZES, "room for the small ones");
static_assert(SIZES_WANT <= STORE_CURSOR_ITEMS, "a step's");

static unsigned size_index(uint64_t bytes)
{
	if (bytes <= SMALL_MAX)
		return (unsigned)((bytes + SMALL_BYTES - 1) / SMALL_BYTES);
	return (unsigned)base_min_u64(
		SMALLS + (bytes - SMALL_MAX - 1) / LARGE_BYTES, WORKER_SIZES - 1);
}

static uint64_t size_bytes(unsigned i)
{
	if (i < SMALLS)
		return (uint64_t)i * SMALL_BYTES;
	return SMALL_MAX + (uint64_t)(i - SMALLS + 1) * LARGE_BYTES;
}

void worker_sizes_serve(struct worker *w, struct store_cursor *c, uint32_t count[WORKER_SIZES])
{
	struct store_item *it[STORE_CURSOR_ITEMS];
	unsigned items = 0;

	for (unsigned step = 0; step < SIZES_STEPS && items < SIZES_ITEMS && !c->ended; step++) {
		unsigned n = store_cursor_next(w->store, c, it, SIZES_WANT);

		for (unsigned i = 0; i < n; i++)
			count[size_index(store_item_memory(w->store, it[i]).asked_bytes)]++;
		items += n;
	}
}

char *worker_sizes_write(struct worker *w, uint32_t (*count)[WORKER_SIZES], unsigned counts,
	uint32_t *room, uint32_t *len)
{
	uint32_t lines = 0;
	char *text, *p;

	for (unsigned k = 1; k < counts; k++) {
		for (unsigned i = 0; i < WORKER_SIZES; i++)
			count[0][i] += count[k][i];
	}
	for (unsigned i = 0; i < WORKER_SIZES; i++)
		lines += count[0][i] != 0;
	*room = lines * LINE_BYTES + 5;
	text = p = mem_try_alloc(w->mem, MEM_OUTPUT, *room, NULL);
	if (text == NULL)
		return NULL;
	for (unsigned i = 0; i < WORKER_SIZES; i++) {
		if (count[0][i] == 0)
			continue;
		memcpy(p, "STAT ", 5);
		p += 5;
		p += base_u64_format(p, size_bytes(i));
		*p++ = ' ';
		p += base_u64_format(p, count[0][i]);
		memcpy(p, "\r\n", 2);
		p += 2;
	}
	memcpy(p, "END\r\n", 5);
	*len = (uint32_t)(p + 5 - text);
	return text;
}
