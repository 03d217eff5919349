// SPDX-License-Identifier: BSD-3-Clause
// A worker's ring of frames: one writer, one reader, records of whole words that never wrap.
#include <errno.h>
#include <sys/mman.h>

#include "capture/capture_internal.h"

#define WORD 8

// With its pages: a worker never meets a page fault.
int capture_tap_open(struct capture_tap *t, uint32_t bytes, uint32_t snap_bytes,
	const struct capture_filter *filter)
{
	base_assert((bytes & (bytes - 1)) == 0 && bytes >= 2 * CAPTURE_SNAP_MAX);
	memset(t, 0, sizeof(*t));
	t->word = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t->word == MAP_FAILED) {
		t->word = NULL;
		return -ENOMEM;
	}
	t->mask = bytes / WORD - 1;
	t->snap_bytes = snap_bytes;
	t->filter = filter;
	return 0;
}

void capture_tap_close(struct capture_tap *t)
{
	if (t->word != NULL)
		munmap(t->word, (t->mask + 1) * WORD);
	t->word = NULL;
}

// ---- the worker's side -------------------------------------------------------------------------
// Room for a record of so many words in one piece; a skip fills the end of the ring where it does
// not fit there. NULL: there is none. *head: where the record begins.
static struct capture_record *room_get(struct capture_tap *t, uint64_t words, uint64_t *head)
{
	uint64_t at = t->head & t->mask, end = t->mask + 1 - at;
	uint64_t skip = end < words ? end : 0;

	if (t->head + skip + words - t->tail_seen > t->mask + 1) {
		t->tail_seen = __atomic_load_n(&t->tail, __ATOMIC_ACQUIRE);
		if (t->head + skip + words - t->tail_seen > t->mask + 1)
			return NULL;
	}
	if (skip > 0) // one word says it: more may not be left
		t->word[at] = 0;
	*head = t->head + skip;
	return (void *)&t->word[*head & t->mask];
}

static void frame_copy(char *to, const struct rte_mbuf *m, uint32_t bytes)
{
	for (; bytes > 0; m = m->next) {
		uint32_t part = (uint32_t)base_min_u64(bytes, m->data_len);

		memcpy(to, rte_pktmbuf_mtod(m, const char *), part);
		to += part;
		bytes -= part;
	}
}

static bool record_add(
	struct capture_tap *t, const struct rte_mbuf *m, uint8_t way, uint64_t now_us)
{
	uint32_t kept = (uint32_t)base_min_u64(m->pkt_len, t->snap_bytes);
	uint64_t words = (sizeof(struct capture_record) + kept + WORD - 1) / WORD, head;
	struct capture_record *r = room_get(t, words, &head);

	if (r == NULL)
		return false;
	r->words = (uint16_t)words;
	r->kept = (uint16_t)kept;
	r->wire = (uint16_t)base_min_u64(m->pkt_len, UINT16_MAX);
	r->way = way;
	r->time_us = now_us;
	frame_copy(r->frame, m, kept);
	__atomic_store_n(&t->head, head + words, __ATOMIC_RELEASE);
	return true;
}

void capture_burst(struct capture_tap *t, struct rte_mbuf *const *m, unsigned n,
	enum capture_way way, uint64_t now_us)
{
	uint64_t dropped = t->dropped;

	for (unsigned i = 0; i < n; i++) {
		if (capture_filter_match(t->filter, m[i]) &&
			!record_add(t, m[i], (uint8_t)way, now_us))
			dropped++;
	}
	__atomic_store_n(&t->seen, t->seen + n, __ATOMIC_RELAXED);
	__atomic_store_n(&t->dropped, dropped, __ATOMIC_RELAXED);
}

// ---- the control core's side -------------------------------------------------------------------
const struct capture_record *capture_tap_peek(struct capture_tap *t)
{
	uint64_t head = __atomic_load_n(&t->head, __ATOMIC_ACQUIRE);
	const struct capture_record *r = (const void *)&t->word[t->tail & t->mask];

	if (t->tail == head)
		return NULL;
	if (r->words != 0)
		return r;
	// a skip, with a record behind it: it was published with that
	__atomic_store_n(&t->tail, t->tail + t->mask + 1 - (t->tail & t->mask), __ATOMIC_RELEASE);
	base_assert(t->tail < head);
	return (const void *)t->word;
}

void capture_tap_pass(struct capture_tap *t, const struct capture_record *r)
{
	__atomic_store_n(&t->tail, t->tail + r->words, __ATOMIC_RELEASE);
}
