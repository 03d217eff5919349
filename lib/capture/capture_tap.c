// SPDX-License-Identifier: BSD-3-Clause
// A worker's ring of frames.
#include "capture/capture_internal.h"

int capture_tap_open(struct capture_tap *t, uint32_t bytes, uint32_t snap_bytes,
	const struct capture_filter *filter)
{
	base_assert(bytes >= 2 * CAPTURE_SNAP_MAX);
	memset(t, 0, sizeof(*t));
	t->snap_bytes = snap_bytes;
	t->filter = filter;
	return base_ring_open(&t->ring, bytes);
}

void capture_tap_close(struct capture_tap *t)
{
	base_ring_close(&t->ring);
}

// ---- the worker's side -------------------------------------------------------------------------
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
	uint64_t words =
		(sizeof(struct capture_record) + kept + BASE_RING_WORD - 1) / BASE_RING_WORD;
	struct capture_record *r = base_ring_room(&t->ring, words);

	if (r == NULL)
		return false;
	r->words = (uint16_t)words;
	r->kept = (uint16_t)kept;
	r->wire = (uint16_t)base_min_u64(m->pkt_len, UINT16_MAX);
	r->way = way;
	r->time_us = now_us;
	frame_copy(r->frame, m, kept);
	base_ring_publish(&t->ring, words);
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

// ---- the writer's side --------------------------------------------------------------------------
const struct capture_record *capture_tap_peek(struct capture_tap *t)
{
	return base_ring_peek(&t->ring);
}

void capture_tap_pass(struct capture_tap *t, const struct capture_record *r)
{
	base_ring_pass(&t->ring, r->words);
}
