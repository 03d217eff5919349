// SPDX-License-Identifier: BSD-3-Clause
// One parsed request to the shard of its key, and its reply into its place in the order.

#include "worker/worker_admin.h"

void worker_request_complete(
	const struct worker *w, struct worker_request *q, const struct proto_parser *after)
{
	q->after = *after;
	switch ((enum proto_op)q->r.op) {
	case PROTO_OP_GET:
	case PROTO_OP_SET:
	case PROTO_OP_DELETE:
	case PROTO_OP_ARITH:
	case PROTO_OP_TOUCH:
	case PROTO_OP_META_GET:
	case PROTO_OP_META_DEBUG:
		q->hash = base_hash(q->r.key, q->r.key_len);
		q->owner = worker_of_hash(q->hash, w->count);
		break;
	default:
		q->hash = 0;
		q->owner = w->id;
		break;
	}
}

bool worker_dispatch_ready(const struct worker *w, unsigned owner)
{
	if (base_list_empty(&w->slots_free))
		return false;
	return owner == w->id || worker_credit(w, owner);
}

// How many of the value's bytes there was room for.
static inline uint32_t dispatch_value_append(
	struct worker *w, struct worker_out *o, struct store_item *it)
{
	struct store_span span[2];
	uint32_t done;

	store_value_spans(it, span);
	done = worker_out_append(w, o, span[0].at, span[0].bytes);
	if (base_unlikely(span[1].bytes > 0) && done == span[0].bytes)
		done += worker_out_append(w, o, span[1].at, span[1].bytes);
	return done;
}

// The beginning of the key, for the list of slow requests.
static void dispatch_key_keep(struct worker_slot *s, const struct proto_request *r)
{
	if (r->key_len == 0 || r->op == PROTO_OP_END)
		return;
	memcpy(s->req.key_decoded, r->key, RTE_MIN(r->key_len, WORKER_SLOW_KEY_MAX));
	s->req.key = s->req.key_decoded;
	s->req.key_len = r->key_len;
}

void worker_reply_local(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r, struct exec_result *res)
{
	struct proto_reply reply;
	uint32_t emitted = 0;
	struct worker_slot *keep;

	enum worker_kind kind = worker_kind_of(sink, r);

	worker_request_note(w, sink, r, res->proto.status);
	proto_compose(r, &res->proto, w->head, &reply);
	if (base_likely(base_list_empty(&sink->slots))) {
		uint32_t value_bytes = reply.value ? res->proto.value_bytes : 0;
		uint32_t total = reply.head_len + value_bytes + reply.tail_len;
		uint32_t done = worker_out_append(w, o, w->head, reply.head_len);

		if (done == reply.head_len && value_bytes > 0)
			done += dispatch_value_append(w, o, res->item);
		if (done == reply.head_len + value_bytes)
			done += worker_out_append(w, o, reply.tail, reply.tail_len);
		if (base_likely(done == total)) {
			if (res->item != NULL)
				store_unref(w->store, res->item);
			worker_latency_done(w, sink, kind, r->key, r->key_len,
				r->op == PROTO_OP_SET ? r->value_bytes : value_bytes);
			return;
		}
		emitted = done;
	}
	keep = worker_slot_take(w, sink);
	base_assert(keep != NULL); // worker_dispatch_ready was asked
	keep->req.op = r->op;      // what a rollback looks at
	keep->req.meta = r->meta;
	keep->req.first_key = r->first_key;
	keep->req.value_bytes = r->value_bytes;
	dispatch_key_keep(keep, r);
	keep->stamp.kind = (uint8_t)kind;
	worker_slot_result_set(keep, w->head, &reply, res, emitted);
}

void worker_reply_bytes(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const char *bytes, uint32_t len)
{
	uint32_t done = 0;
	struct worker_slot *s;

	if (base_list_empty(&sink->slots)) {
		done = worker_out_append(w, o, bytes, len);
		if (done == len) {
			worker_latency_done(w, sink, WORKER_KIND_OTHER, NULL, 0, 0);
			return;
		}
	}
	s = worker_slot_take(w, sink);
	base_assert(s != NULL);
	base_assert(len <= sizeof(s->head));
	memcpy(s->head, bytes, len);
	s->req.op = PROTO_OP_REPLY;
	s->stamp.kind = WORKER_KIND_OTHER;
	s->reply.head_len = (uint16_t)len;
	s->emitted = done;
	s->state = WORKER_SLOT_READY;
}

void worker_reply_constant(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r)
{
	struct proto_reply reply;

	proto_compose(r, NULL, w->head, &reply);
	if (r->op == PROTO_OP_REPLY || reply.head_len > 0)
		worker_reply_bytes(w, sink, o, w->head, reply.head_len);
}

void worker_dispatch(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct worker_request *q)
{
	const struct proto_request *r = &q->r;
	struct worker_slot *s;

	w->n.requests += r->op != PROTO_OP_END; // the end of a `get` line is part of it
	if (r->op == PROTO_OP_REPLY) {
		w->n.protocol_errors += r->reply_text[0] != 'O'; // "OK"
		worker_reply_constant(w, sink, o, r);
		return;
	}
	if (r->op == PROTO_OP_VERBOSITY)
		worker_verbosity_set(w, r->delta);
	if (r->op == PROTO_OP_GET)
		sink->multi = !r->first_key;
	if (base_likely(q->owner == w->id)) {
		exec_apply(&w->exec, r, q->hash, &w->result);
		worker_reply_local(w, sink, o, r, &w->result);
		return;
	}
	w->n.requests_remote++;
	worker_request_note(w, sink, r, FLIGHT_STATUS_AWAY);
	s = worker_slot_take(w, sink);
	base_assert(s != NULL);
	worker_slot_request_set(s, r, q->hash);
	s->owner = (uint16_t)q->owner;
	s->stamp.kind = (uint8_t)worker_kind_of(sink, r);
	worker_msg_send(w, s, WORKER_MSG_APPLY);
}

// A retrieval line failed after some of its keys: memcached answers the error alone. What has left
// for the network stays; the rest is taken back.
void worker_rollback(struct worker *w, struct worker_sink *sink, struct worker_out *o)
{
	worker_out_rollback(o);
	for (struct base_list *n = sink->slots.prev; n != &sink->slots; n = n->prev) {
		struct worker_slot *s = base_container_of(n, struct worker_slot, node);

		if (s->emitted == 0 && s->req.op == PROTO_OP_GET && !s->req.meta)
			s->drop = true;
		else
			break;
		if (s->req.first_key)
			break;
	}
}
