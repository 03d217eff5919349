// SPDX-License-Identifier: BSD-3-Clause
// Commands for operators: what a worker does not do itself it tells the control core in its report,
// which answers, where there is something to answer, in the orders.

#include "worker/worker_admin.h"

// The reply waits for the control core. False: another one of this worker's does, or no slot.
static bool memlimit_begin(
	struct worker *w, struct worker_sink *sink, const struct proto_request *r)
{
	struct worker_slot *s;

	if (w->admin.memlimit_slot != NULL)
		return false;
	s = worker_slot_take(w, sink);
	if (s == NULL)
		return false;
	s->req.op = PROTO_OP_REPLY;
	s->req.noreply = r->noreply;
	s->req.meta = false;
	s->stamp.kind = WORKER_KIND_OTHER;
	w->admin.memlimit_slot = s;
	w->admin.memlimit_seq++;
	w->admin.memlimit_bytes = r->delta << 20;
	w->report_us = 0; // at the end of this turn
	w->chores++;
	w->n.requests++;
	return true;
}

static unsigned memlimit_turn(struct worker *w)
{
	static const char ok[] = "OK\r\n";
	static const char refused[] =
		"MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";
	struct worker_slot *s = w->admin.memlimit_slot;
	const char *text = w->orders.memlimit_refused ? refused : ok;

	if (w->orders.memlimit_seq != w->admin.memlimit_seq)
		return 0;
	w->admin.memlimit_slot = NULL;
	w->chores--;
	s->state = WORKER_SLOT_READY;
	worker_stamp_mark(w, s, WORKER_PART_SHARD);
	if (!s->req.noreply) {
		s->reply.head_len = (uint16_t)strlen(text);
		memcpy(s->head, text, s->reply.head_len);
	}
	if (s->sink == NULL)
		worker_slot_done(w, s);
	else
		worker_sink_resume(w, s->sink);
	return 1;
}

void worker_verbosity_set(struct worker *w, uint64_t level)
{
	w->admin.verbosity_seq++;
	w->admin.verbosity = (uint32_t)base_min_u64(level, UINT32_MAX);
	w->report_us = 0;
}

// Without a word the connection ends, as in memcached, and the server with it.
static const char *shutdown_begin(struct worker *w, const struct proto_request *r)
{
	if (!w->settings->shutdown_enabled)
		return "SERVER_ERROR: shutdown not enabled\r\n";
	if (r->delta == 0)
		return "CLIENT_ERROR invalid shutdown mode\r\n";
	w->admin.shutdown = true;
	w->report_us = 0;
	return NULL;
}

bool worker_admin_dgram(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r)
{
	const char *text = NULL;

	if (base_list_empty(&w->slots_free))
		return false;
	if (r->mode == PROTO_ADMIN_MEMLIMIT)
		return memlimit_begin(w, sink, r);
	if (r->mode == PROTO_ADMIN_CLOCK)
		return worker_gather_begin(w, sink, o, r);
	w->n.requests++;
	if (r->mode == PROTO_ADMIN_SHUTDOWN)
		text = shutdown_begin(w, r);
	else
		text = "ERROR this command needs TCP\r\n";
	if (text != NULL && !r->noreply)
		worker_reply_bytes(w, sink, o, text, (uint32_t)strlen(text));
	return true;
}

bool worker_admin_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r)
{
	switch ((enum proto_admin)r->mode) {
	case PROTO_ADMIN_METADUMP:
	case PROTO_ADMIN_MGDUMP:
		return worker_dump_begin(w, c, o, r);
	case PROTO_ADMIN_WATCH:
		return worker_watch_begin(w, c, o, r);
	case PROTO_ADMIN_MEMLIMIT:
	case PROTO_ADMIN_SHUTDOWN:
	case PROTO_ADMIN_CLOCK:
		break;
	}
	if (!worker_admin_dgram(w, &c->sink, o, r))
		return false;
	if (w->admin.shutdown && r->mode == PROTO_ADMIN_SHUTDOWN) {
		c->close = WORKER_CLOSE_SHUTDOWN;
		c->state = WORKER_CONN_QUIT;
	}
	return true;
}

unsigned worker_admin_turn(struct worker *w)
{
	unsigned n = 0;

	if (w->admin.memlimit_slot != NULL)
		n += memlimit_turn(w);
	if (w->dump != NULL)
		n += worker_dump_turn(w);
	if (w->watches > 0)
		n += worker_watch_turn(w);
	if (w->rounds != NULL)
		n += worker_gather_turn(w);
	return n;
}
