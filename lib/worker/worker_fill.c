// SPDX-License-Identifier: BSD-3-Clause
// Receiving a value: straight from the mbufs into the item (own shard, or reserved on the owner),
// or into a buffer that travels to the owner with the request (small values).

#include "worker/worker_admin.h"

// Of the value, and of what must stand behind it.
static inline uint64_t fill_bytes(const struct proto_request *r)
{
	return (uint64_t)r->value_bytes + proto_value_end(r);
}

static inline bool fill_end_valid(const struct proto_request *r, const char *end)
{
	return proto_value_end(r) == 0 || proto_data_end_valid(end);
}

// The whole value lies in the bytes at hand: reserve, copy, commit, without a slot.
static void fill_at_once(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r, uint64_t hash, const char *value)
{
	struct store_item *it;

	exec_reserve(&w->exec, r, hash, &it, &w->result);
	if (it != NULL && fill_end_valid(r, value + r->value_bytes)) {
		store_value_write(it, 0, value, r->value_bytes);
		exec_commit(&w->exec, r, hash, it, &w->result);
	} else if (it != NULL) {
		store_abort(w->store, it);
		w->result = (struct exec_result){.proto.status = PROTO_BAD_CHUNK};
	}
	worker_reply_local(w, &c->sink, o, r, &w->result);
}

// The reply is an error; the value, which is on its way, is dropped.
static void fill_refuse(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r, struct exec_result *res)
{
	c->swallow_bytes = fill_bytes(r);
	c->state = WORKER_CONN_SWALLOW;
	worker_reply_local(w, &c->sink, o, r, res);
}

static bool fill_local(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r, uint64_t hash)
{
	struct worker_slot *s;
	struct store_item *it;

	exec_reserve(&w->exec, r, hash, &it, &w->result);
	if (it == NULL) {
		fill_refuse(w, c, o, r, &w->result);
		return true;
	}
	s = worker_slot_take(w, &c->sink);
	base_assert(s != NULL);
	worker_slot_request_set(s, r, hash);
	s->stamp.kind = WORKER_KIND_SET;
	s->state = WORKER_SLOT_FILL;
	s->item = it;
	c->fill_slot = s;
	c->fill_done = 0;
	c->state = WORKER_CONN_FILL;
	return true;
}

static bool fill_remote(struct worker *w, struct worker_conn *c, const struct proto_request *r,
	uint64_t hash, unsigned owner)
{
	struct worker_slot *s;
	char *payload = NULL;

	// Without memory for it the owner is asked, who also decides about the old value.
	if (r->value_bytes <= WORKER_GATHER_BYTES)
		payload = mem_try_alloc(w->mem, MEM_INPUT, r->value_bytes + 1, NULL);
	s = worker_slot_take(w, &c->sink);
	base_assert(s != NULL);
	worker_slot_request_set(s, r, hash);
	s->owner = (uint16_t)owner;
	s->stamp.kind = WORKER_KIND_SET;
	c->fill_slot = s;
	c->fill_done = 0;
	w->n.requests_remote++;
	if (payload != NULL) {
		s->state = WORKER_SLOT_FILL;
		s->payload = payload;
		s->payload_bytes = r->value_bytes + 1;
		c->state = WORKER_CONN_FILL;
	} else {
		c->state = WORKER_CONN_RESERVE;
		worker_msg_send(w, s, WORKER_MSG_RESERVE);
	}
	return true;
}

bool worker_fill_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct worker_request *q, const char *rest, uint32_t rest_bytes, uint32_t *taken)
{
	const struct proto_request *r = &q->r;

	*taken = 0;
	if (!worker_dispatch_ready(w, q->owner))
		return false;
	if (q->owner == w->id && worker_loan_wait(w, r))
		return false;
	w->n.requests++;
	if (worker_watched(w) && worker_detail_on(w))
		worker_detail_set(w, r);
	if (q->owner != w->id)
		return fill_remote(w, c, r, q->hash, q->owner);
	if (rest_bytes >= fill_bytes(r)) {
		fill_at_once(w, c, o, r, q->hash, rest);
		*taken = (uint32_t)fill_bytes(r);
		return true;
	}
	return fill_local(w, c, o, r, q->hash);
}

static void fill_finish_local(
	struct worker *w, struct worker_conn *c, struct worker_slot *s, bool valid)
{
	struct proto_reply reply;

	if (valid) {
		exec_commit(&w->exec, &s->req, s->hash, s->item, &w->result);
	} else {
		store_abort(w->store, s->item);
		w->result = (struct exec_result){.proto.status = PROTO_BAD_CHUNK};
	}
	worker_request_note(w, &c->sink, &s->req, w->result.proto.status);
	proto_compose(&s->req, &w->result.proto, w->head, &reply);
	worker_slot_result_set(s, w->head, &reply, &w->result, 0);
}

static void fill_finish(struct worker *w, struct worker_conn *c)
{
	struct worker_slot *s = c->fill_slot;
	bool valid = fill_end_valid(&s->req, c->fill_end);

	c->fill_slot = NULL;
	c->state = WORKER_CONN_COMMAND;
	worker_stamp_mark(w, s, WORKER_PART_RECEIVE);
	if (s->owner == w->id) {
		fill_finish_local(w, c, s, valid);
	} else if (s->payload == NULL) {
		worker_msg_send(w, s, valid ? WORKER_MSG_COMMIT : WORKER_MSG_ABORT);
	} else if (valid) {
		worker_msg_send(w, s, WORKER_MSG_SET);
	} else {
		w->result = (struct exec_result){.proto.status = PROTO_BAD_CHUNK};
		proto_compose(&s->req, &w->result.proto, s->head, &s->reply);
		s->state = WORKER_SLOT_READY;
	}
}

static inline void fill_put(struct worker_slot *s, uint32_t at, const char *from, uint32_t n)
{
	if (s->payload != NULL)
		memcpy(s->payload + at, from, n);
	else
		store_value_write(s->item, at, from, n);
}

bool worker_fill_continue(struct worker *w, struct worker_conn *c, struct worker_out *o)
{
	struct worker_slot *s = c->fill_slot;
	uint32_t value_bytes = s->req.value_bytes;
	uint64_t all_bytes = fill_bytes(&s->req);
	struct rte_mbuf *m;

	while (c->fill_done < all_bytes && (m = tcp_rx_peek(c->tcp)) != NULL) {
		const char *from = rte_pktmbuf_mtod(m, const char *);
		uint32_t n;

		if (c->fill_done < value_bytes) {
			n = (uint32_t)base_min_u64(m->data_len, value_bytes - c->fill_done);
			fill_put(s, c->fill_done, from, n);
		} else {
			n = 1;
			c->fill_end[c->fill_done - value_bytes] = *from;
		}
		c->fill_done += n;
		w->n.bytes_read += n;
		tcp_rx_consume(w->tcp, c->tcp, n);
	}
	if (c->fill_done < all_bytes)
		return false;
	fill_finish(w, c);
	worker_out_sink(w, o, &c->sink);
	return true;
}

void worker_fill_reserved(struct worker *w, struct worker_slot *s)
{
	struct worker_conn *c = (struct worker_conn *)(void *)s->sink;

	base_assert(c->state == WORKER_CONN_RESERVE && c->fill_slot == s);
	s->state = WORKER_SLOT_FILL;
	c->state = WORKER_CONN_FILL;
	worker_conn_resume(w, c);
}

void worker_fill_refused(struct worker_slot *s)
{
	struct worker_conn *c = (struct worker_conn *)(void *)s->sink;

	base_assert(c->state == WORKER_CONN_RESERVE && c->fill_slot == s);
	c->fill_slot = NULL;
	c->swallow_bytes = fill_bytes(&s->req);
	c->state = WORKER_CONN_SWALLOW;
}

// The connection goes away in the middle of a value. A reserve that is still under way finds its
// sink gone when it comes home, and aborts by itself.
void worker_fill_abandon(struct worker *w, struct worker_conn *c)
{
	struct worker_slot *s = c->fill_slot;

	c->fill_slot = NULL;
	if (s == NULL || s->state != WORKER_SLOT_FILL)
		return;
	if (s->sink != NULL) {
		s->sink->slot_count--;
		s->sink = NULL;
	}
	base_list_remove(&s->node);
	if (s->payload != NULL) {
		worker_slot_done(w, s);
	} else if (s->owner != w->id) {
		worker_msg_send(w, s, WORKER_MSG_ABORT);
	} else {
		store_abort(w->store, s->item);
		s->item = NULL;
		worker_slot_free(w, s);
	}
}
