// SPDX-License-Identifier: BSD-3-Clause
// Messages between workers. A message is a slot; every slot comes home, so the way back has room by
// construction and neither side ever waits.

#include "worker/worker_admin.h"

bool worker_credit(const struct worker *w, unsigned owner)
{
	const struct worker_peer *p = &w->peer[owner];

	return base_list_empty(&p->waiting) && p->in_flight <= p->send->mask;
}

static void msg_push(struct worker_peer *p, struct worker_slot *s)
{
	bool pushed = worker_ring_push(p->send, s);

	base_assert(pushed);
	p->in_flight++;
}

void worker_msg_send(struct worker *w, struct worker_slot *s, enum worker_msg msg)
{
	struct worker_peer *p = &w->peer[s->owner];

	base_assert(s->owner != w->id && s->owner < w->count);
	s->state = WORKER_SLOT_AWAY;
	s->msg = (uint8_t)msg;
	if (worker_credit(w, s->owner))
		msg_push(p, s);
	else
		base_list_append(&p->waiting, &s->waiting);
}

// ---- owner's side ------------------------------------------------------------------------------
static void msg_result_compose(struct worker_slot *s, struct exec_result *res)
{
	proto_compose(&s->req, &res->proto, s->head, &s->reply);
	s->item = res->item;
	s->item_held = res->item != NULL;
	if (s->reply.value) {
		store_value_spans(res->item, s->value);
		s->value_bytes = res->proto.value_bytes;
	}
}

static void msg_set(struct worker *w, struct worker_slot *s)
{
	struct store_item *it;

	exec_reserve(&w->exec, &s->req, s->hash, &it, &w->result);
	if (it != NULL) {
		store_value_write(it, 0, s->payload, s->req.value_bytes);
		exec_commit(&w->exec, &s->req, s->hash, it, &w->result);
	}
	msg_result_compose(s, &w->result);
}

static void msg_reserve(struct worker *w, struct worker_slot *s)
{
	exec_reserve(&w->exec, &s->req, s->hash, &s->item, &w->result);
	s->refused = s->item == NULL;
	if (s->refused) {
		msg_result_compose(s, &w->result);
	} else {
		s->item_held = true;
	}
}

static void msg_serve(struct worker *w, struct worker_slot *s)
{
	switch ((enum worker_msg)s->msg) {
	case WORKER_MSG_APPLY:
		exec_apply(&w->exec, &s->req, s->hash, &w->result);
		msg_result_compose(s, &w->result);
		break;
	case WORKER_MSG_SET:
		msg_set(w, s);
		break;
	case WORKER_MSG_RESERVE:
		msg_reserve(w, s);
		break;
	case WORKER_MSG_COMMIT:
		exec_commit(&w->exec, &s->req, s->hash, s->item, &w->result);
		msg_result_compose(s, &w->result);
		break;
	case WORKER_MSG_ABORT:
		store_abort(w->store, s->item);
		w->result = (struct exec_result){.proto.status = PROTO_BAD_CHUNK};
		msg_result_compose(s, &w->result);
		break;
	case WORKER_MSG_RELEASE:
		store_unref(w->store, s->item);
		s->item = NULL;
		s->item_held = false;
		break;
	case WORKER_MSG_DUMP:
		worker_dump_serve(w, (void *)s->payload);
		break;
	case WORKER_MSG_COUNT:
	case WORKER_MSG_RESET:
	case WORKER_MSG_CONNS:
	case WORKER_MSG_CACHEDUMP:
		worker_gather_serve(w, s->gather);
		break;
	case WORKER_MSG_FLUSH:
		worker_gather_serve(w, s->gather);
		w->exec.n.cmd_flush--; // one command is counted once, by the worker it came to
		break;
	}
}

void worker_msg_serve(struct worker *w, struct worker_peer *p, struct worker_slot *s)
{
	bool pushed;

	w->watch_cfd = 0; // another worker's
	msg_serve(w, s);
	pushed = worker_ring_push(p->answer_send, s);
	base_assert(pushed);
}

// ---- requester's side --------------------------------------------------------------------------
void worker_sink_resume(struct worker *w, struct worker_sink *sink)
{
	if (sink->udp)
		worker_dgram_resume(w, (struct worker_dgram *)(void *)sink);
	else
		worker_conn_resume(w, (struct worker_conn *)(void *)sink);
}

static void msg_home(struct worker *w, struct worker_slot *s)
{
	struct worker_sink *sink = s->sink;

	if (s->gather != NULL) {
		worker_gather_home(w, s);
		return;
	}
	if (s->msg == WORKER_MSG_DUMP) {
		worker_dump_home(w, s);
		return;
	}
	worker_stamp_mark(w, s, WORKER_PART_SHARD);
	if (s->msg == WORKER_MSG_RESERVE && !s->refused) {
		if (sink != NULL)
			worker_fill_reserved(w, s);
		else
			worker_msg_send(w, s, WORKER_MSG_ABORT);
		return;
	}
	s->state = WORKER_SLOT_READY;
	if (sink == NULL) {
		worker_slot_done(w, s);
		return;
	}
	if (s->msg == WORKER_MSG_RESERVE)
		worker_fill_refused(s);
	sink->pinned_bytes += s->value_bytes;
	worker_sink_resume(w, sink);
}

static unsigned msg_peer_turn(struct worker *w, struct worker_peer *p)
{
	struct worker_slot *s;
	unsigned n = 0;

	// Prefetch pays from the second message on; a batch is bounded so that a turn is.
	while (n < WORKER_INBOX_BATCH && p->kept == NULL &&
		(s = worker_ring_pop(p->recv)) != NULL) {
		if (base_likely(!worker_loan_keep(w, p, s)))
			worker_msg_serve(w, p, s);
		n++;
	}
	worker_ring_retire(p->recv);
	for (unsigned k = 0; k < WORKER_INBOX_BATCH; k++) {
		s = worker_ring_pop(p->answer_recv);
		if (s == NULL)
			break;
		base_assert(p->in_flight > 0);
		p->in_flight--;
		msg_home(w, s);
		n++;
	}
	worker_ring_retire(p->answer_recv);
	while (!base_list_empty(&p->waiting) && p->in_flight <= p->send->mask) {
		struct base_list *node = base_list_pop(&p->waiting);

		msg_push(p, base_container_of(node, struct worker_slot, waiting));
		n++;
	}
	return n;
}

unsigned worker_msg_turn(struct worker *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->count; i++) {
		if (i != w->id)
			n += msg_peer_turn(w, &w->peer[i]);
	}
	return n;
}

void worker_msg_publish(struct worker *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (i == w->id)
			continue;
		worker_ring_publish(w->peer[i].send);
		worker_ring_publish(w->peer[i].answer_send);
	}
}
