// SPDX-License-Identifier: BSD-3-Clause
// Replies into mbufs: one mbuf for each segment or datagram.

#include "worker/worker_internal.h"

#define OUT_MBUFS_MAX 8192
#define OUT_BULK      16u

void worker_out_init(
	struct worker *w, struct worker_out *o, uint32_t room, uint16_t chunk, uint16_t prefix)
{
	uint16_t most = (uint16_t)(rte_pktmbuf_data_room_size(w->queue->pool) -
		RTE_PKTMBUF_HEADROOM - prefix);

	memset(o, 0, sizeof(*o));
	o->room = room;
	o->chunk = RTE_MIN(chunk, most); // jumbo frames, common buffers: shorter segments
	o->prefix = prefix;
}

static void out_mbuf_add(struct worker_out *o, struct rte_mbuf *m)
{
	base_assert(rte_pktmbuf_tailroom(m) >= o->prefix + o->chunk);
	m->data_len = o->prefix;
	m->pkt_len = o->prefix;
	if (o->last != NULL)
		o->last->next = m;
	else
		o->first = m;
	o->last = m;
	o->mbufs++;
}

static struct rte_mbuf *out_mbuf_next(struct worker *w, struct worker_out *o)
{
	struct rte_mbuf *m;

	if (o->mbufs == OUT_MBUFS_MAX)
		return NULL;
	m = rte_pktmbuf_alloc(w->queue->pool);
	if (base_likely(m != NULL))
		out_mbuf_add(o, m);
	return m;
}

// Fills whole mbufs, taken together: what is not in the cache of one is fetched with the others'.
static uint32_t out_append_long(struct worker *w, struct worker_out *o, const char *p, uint32_t n)
{
	struct rte_mbuf *m[OUT_BULK];
	uint32_t done = 0;

	while (n - done >= o->chunk) {
		unsigned count = RTE_MIN((n - done) / o->chunk, OUT_BULK);

		if (o->mbufs + count > OUT_MBUFS_MAX ||
			rte_pktmbuf_alloc_bulk(w->queue->pool, m, count))
			break;
		for (unsigned i = 0; i < count; i++) {
			out_mbuf_add(o, m[i]);
			memcpy(rte_pktmbuf_mtod_offset(m[i], char *, o->prefix), p + done,
				o->chunk);
			m[i]->data_len = (uint16_t)(o->prefix + o->chunk);
			m[i]->pkt_len = m[i]->data_len;
			done += o->chunk;
		}
	}
	return done;
}

uint32_t worker_out_append(struct worker *w, struct worker_out *o, const char *p, uint32_t n)
{
	uint32_t done = 0;

	n = (uint32_t)base_min_u64(n, o->room - o->bytes);
	while (done < n) {
		struct rte_mbuf *m = o->last;
		uint32_t part;

		if (m == NULL || m->data_len == o->prefix + o->chunk) {
			done += out_append_long(w, o, p + done, n - done);
			if (done == n)
				break;
			m = out_mbuf_next(w, o);
			if (m == NULL)
				break;
		}
		part = (uint32_t)base_min_u64(n - done, o->prefix + o->chunk - m->data_len);
		memcpy(rte_pktmbuf_mtod_offset(m, char *, m->data_len), p + done, part);
		m->data_len = (uint16_t)(m->data_len + part);
		m->pkt_len = m->data_len;
		done += part;
	}
	o->bytes += done;
	return done;
}

char *worker_out_place(struct worker *w, struct worker_out *o, uint32_t n, uint32_t *room)
{
	struct rte_mbuf *m = o->last;
	uint32_t most = o->room - o->bytes;

	if (m == NULL || m->data_len == o->prefix + o->chunk) {
		if (n > o->chunk || n > most)
			return NULL;
		m = out_mbuf_next(w, o);
		if (base_unlikely(m == NULL))
			return NULL;
	}
	*room = RTE_MIN(most, (uint32_t)(o->prefix + o->chunk - m->data_len));
	if (n > *room)
		return NULL;
	return rte_pktmbuf_mtod_offset(m, char *, m->data_len);
}

void worker_out_mark(struct worker_out *o)
{
	o->marked = true;
	o->mark_last = o->last;
	o->mark_bytes = o->bytes;
	o->mark_len = o->last != NULL ? o->last->data_len : 0;
	o->mark_mbufs = o->mbufs;
}

void worker_out_rollback(struct worker_out *o)
{
	struct rte_mbuf *rest;

	if (!o->marked)
		return;
	rest = o->mark_last != NULL ? o->mark_last->next : o->first;
	for (struct rte_mbuf *next; rest != NULL; rest = next) {
		next = rest->next;
		rest->next = NULL;
		rte_pktmbuf_free_seg(rest);
	}
	o->last = o->mark_last;
	o->bytes = o->mark_bytes;
	o->mbufs = o->mark_mbufs;
	if (o->last != NULL) {
		o->last->next = NULL;
		o->last->data_len = o->mark_len;
		o->last->pkt_len = o->mark_len;
	} else {
		o->first = NULL;
	}
}

bool worker_out_spans(struct worker *w, struct worker_out *o, const struct store_span *span,
	unsigned n, uint32_t *emitted)
{
	uint32_t at = *emitted, done;

	for (unsigned i = 0; i < n; i++) {
		if (at >= span[i].bytes) {
			at -= span[i].bytes;
			continue;
		}
		done = worker_out_append(w, o, span[i].at + at, span[i].bytes - at);
		*emitted += done;
		if (done < span[i].bytes - at)
			return false;
		at = 0;
	}
	return true;
}

bool worker_out_slot(struct worker *w, struct worker_out *o, struct worker_slot *s)
{
	const struct store_span part[] = {
		{s->head, s->reply.head_len},
		s->value[0],
		s->value[1],
		{s->reply.tail, s->reply.tail_len},
	};

	if (s->drop)
		return true;
	if (s->is_train)
		return worker_train_write(w, o, s);
	return worker_out_spans(w, o, part, BASE_ARRAY_LEN(part), &s->emitted);
}

bool worker_out_sink(struct worker *w, struct worker_out *o, struct worker_sink *sink)
{
	while (!base_list_empty(&sink->slots)) {
		struct worker_slot *s =
			base_container_of(sink->slots.next, struct worker_slot, node);

		if (s->state != WORKER_SLOT_READY || !worker_out_slot(w, o, s))
			return false;
		base_assert(sink->pinned_bytes >= s->value_bytes);
		sink->pinned_bytes -= s->value_bytes;
		worker_latency_slot(w, sink, s);
		worker_slot_done(w, s);
	}
	return true;
}
