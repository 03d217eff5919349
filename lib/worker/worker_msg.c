// SPDX-License-Identifier: BSD-3-Clause
// Messages between workers. A message is a slot; every slot comes home, so the way back has room by
// construction and neither side ever waits.

#include "worker/worker_admin.h"
#include "worker/worker_udp.h"

#define MSG_AHEAD 4 // messages whose lines are fetched before they are looked at
#define MSG_LINES 6 // of a slot

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
	if (p->open != NULL)
		worker_pack_leave(w, p); // what came before goes before
	s->state = WORKER_SLOT_AWAY;
	s->msg = (uint8_t)msg;
	if (worker_credit(w, s->owner))
		msg_push(p, s);
	else
		base_list_append(&p->waiting, &s->waiting);
}

// ---- owner's side ------------------------------------------------------------------------------
// A value that has room behind the head travels there: nothing has to be given back.
static void msg_value_copy(struct worker *w, struct worker_slot *s)
{
	uint32_t all_bytes = s->reply.head_len + s->value_bytes;

	if (all_bytes > sizeof(s->head))
		return;
	for (unsigned i = 0; i < BASE_ARRAY_LEN(s->value) && s->value[i].bytes > 0; i++) {
		memcpy(s->head + s->reply.head_len, s->value[i].at, s->value[i].bytes);
		s->reply.head_len = (uint16_t)(s->reply.head_len + s->value[i].bytes);
		s->value[i].bytes = 0;
	}
	store_unref(w->store, s->item);
	s->item = NULL;
	s->item_held = false;
}

static void msg_result_compose(struct worker *w, struct worker_slot *s, struct exec_result *res)
{
	proto_compose(&s->req, &res->proto, s->head, &s->reply);
	s->item = res->item;
	s->item_held = res->item != NULL;
	if (s->reply.value) {
		store_value_spans(res->item, s->value);
		s->value_bytes = res->proto.value_bytes;
		msg_value_copy(w, s);
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
	msg_result_compose(w, s, &w->result);
}

static void msg_reserve(struct worker *w, struct worker_slot *s)
{
	exec_reserve(&w->exec, &s->req, s->hash, &s->item, &w->result);
	s->refused = s->item == NULL;
	if (s->refused) {
		msg_result_compose(w, s, &w->result);
	} else {
		s->item_held = true;
	}
}

static void msg_serve(struct worker *w, struct worker_slot *s)
{
	switch ((enum worker_msg)s->msg) {
	case WORKER_MSG_APPLY:
		exec_apply(&w->exec, &s->req, s->hash, &w->result);
		msg_result_compose(w, s, &w->result);
		break;
	case WORKER_MSG_SET:
		msg_set(w, s);
		break;
	case WORKER_MSG_RESERVE:
		msg_reserve(w, s);
		break;
	case WORKER_MSG_COMMIT:
		exec_commit(&w->exec, &s->req, s->hash, s->item, &w->result);
		msg_result_compose(w, s, &w->result);
		break;
	case WORKER_MSG_ABORT:
		store_abort(w->store, s->item);
		w->result = (struct exec_result){.proto.status = PROTO_BAD_CHUNK};
		msg_result_compose(w, s, &w->result);
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
	case WORKER_MSG_CLOCK:
	case WORKER_MSG_DETAIL:
	case WORKER_MSG_PREFIXES:
	case WORKER_MSG_SIZES:
		worker_gather_serve(w, s->gather);
		break;
	case WORKER_MSG_FLUSH:
		worker_gather_serve(w, s->gather);
		w->exec.n.cmd_flush--; // one command is counted once, by the worker it came to
		break;
	}
}

// False: it waits for a loan.
static bool slot_serve(struct worker *w, struct worker_slot *s)
{
	if ((s->msg == WORKER_MSG_SET || s->msg == WORKER_MSG_RESERVE) &&
		worker_loan_wait(w, &s->req))
		return false;
	msg_serve(w, s);
	return true;
}

void worker_msg_serve(struct worker *w, struct worker_peer *p, void *msg)
{
	bool pushed;

	w->watch_cfd = 0; // another worker's
	base_assert(p->kept == NULL);
	if (!(worker_pack_marked(msg) ? worker_pack_serve(w, worker_pack_bare(msg))
				      : slot_serve(w, msg))) {
		p->kept = msg;
		return;
	}
	pushed = worker_ring_push(p->answer_send, msg);
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

void worker_sink_wake(struct worker *w, struct worker_sink *sink)
{
	struct worker_conn *c = (void *)sink;
	struct worker_dgram *d = (void *)sink;
	struct base_list *node = sink->udp ? &d->node : &c->stalled_node;

	base_list_remove(node);
	base_list_append(sink->udp ? &w->woken_dgrams : &w->woken_conns, node);
}

static void sinks_resume(struct worker *w)
{
	struct base_list *node;

	while ((node = base_list_pop(&w->woken_conns)) != NULL)
		worker_conn_resume(w, base_container_of(node, struct worker_conn, stalled_node));
	while ((node = base_list_pop(&w->woken_dgrams)) != NULL)
		worker_dgram_resume(w, base_container_of(node, struct worker_dgram, node));
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
	worker_sink_wake(w, sink);
}

// The lines of a message that another core has written, most of which will be written here.
static inline bool msg_fetch(struct worker_ring *r, unsigned ahead)
{
	char *msg = worker_ring_peek(r, ahead);

	if (msg == NULL)
		return false;
	if (worker_pack_marked(msg)) {
		const struct worker_pack *k = worker_pack_bare(msg);

		base_prefetch_write(&k->requests);
		base_prefetch_write(k->end);
		for (unsigned i = 0; i < MSG_LINES; i++)
			base_prefetch(k->room + i * BASE_CACHE_LINE);
		return true;
	}
	msg += offsetof(struct worker_slot, hash);
	for (unsigned i = 0; i < MSG_LINES; i++)
		base_prefetch_write(msg + i * BASE_CACHE_LINE);
	return true;
}

static void msgs_fetch(struct worker_ring *r)
{
	for (unsigned i = 0; i < MSG_AHEAD && msg_fetch(r, i); i++)
		;
}

static unsigned msg_requests(struct worker *w, struct worker_peer *p)
{
	unsigned n = 0;
	void *msg;

	msgs_fetch(p->recv);
	// A batch is bounded so that a turn is.
	while (n < WORKER_INBOX_BATCH && p->kept == NULL &&
		(msg = worker_ring_pop(p->recv)) != NULL) {
		msg_fetch(p->recv, MSG_AHEAD - 1);
		worker_msg_serve(w, p, msg);
		n += worker_pack_marked(msg) ? worker_pack_bare(msg)->requests : 1;
	}
	worker_ring_retire(p->recv);
	return n;
}

static unsigned msg_answers(struct worker *w, struct worker_peer *p)
{
	unsigned n = 0;
	void *msg;

	msgs_fetch(p->answer_recv);
	while (n < WORKER_INBOX_BATCH && (msg = worker_ring_pop(p->answer_recv)) != NULL) {
		msg_fetch(p->answer_recv, MSG_AHEAD - 1);
		if (worker_pack_marked(msg)) {
			n += worker_pack_bare(msg)->requests;
			worker_pack_home(w, p, worker_pack_bare(msg));
			continue;
		}
		base_assert(p->in_flight > 0);
		p->in_flight--;
		msg_home(w, msg);
		n++;
	}
	worker_ring_retire(p->answer_recv);
	return n;
}

static unsigned msg_peer_turn(struct worker *w, struct worker_peer *p)
{
	unsigned n = msg_requests(w, p);

	n += msg_answers(w, p);
	while (!base_list_empty(&p->waiting) && p->in_flight <= p->send->mask) {
		struct base_list *node = base_list_pop(&p->waiting);

		msg_push(p, base_container_of(node, struct worker_slot, waiting));
		n++;
	}
	worker_packs_waiting_send(p);
	return n;
}

unsigned worker_msg_turn(struct worker *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->count; i++) {
		if (i != w->id)
			n += msg_peer_turn(w, &w->peer[i]);
	}
	sinks_resume(w);
	return n;
}

void worker_msg_publish(struct worker *w)
{
	worker_packs_leave(w);
	for (unsigned i = 0; i < w->count; i++) {
		if (i == w->id)
			continue;
		worker_ring_publish(w->peer[i].send);
		worker_ring_publish(w->peer[i].answer_send);
	}
}
