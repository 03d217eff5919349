// SPDX-License-Identifier: BSD-3-Clause
// What concerns every shard: stats gathers counters, flush_all waits for all acknowledgements. One
// message to each other worker; the reply is written when the last one is home.

#include "worker/worker_internal.h"

#define GATHERS_MAX 64

static size_t gather_bytes(const struct worker *w)
{
	return sizeof(struct worker_gather) + w->count * sizeof(struct worker_counters);
}

// Slots for the reply and for a message to each other worker, and a credit towards each.
static bool gather_ready(const struct worker *w)
{
	if (w->gathers_out == GATHERS_MAX || WORKER_SLOTS - w->slots_out < w->count)
		return false;
	for (unsigned i = 0; i < w->count; i++) {
		if (i != w->id && !worker_credit(w, i))
			return false;
	}
	return true;
}

// The text of a stats reply travels in the slot's payload.
static void gather_stats_reply(struct worker *w, struct worker_gather *g, struct worker_slot *s)
{
	static const char no_memory[] = "SERVER_ERROR out of memory writing stats\r\n";
	char *text = mem_try_alloc(w->mem, MEM_OUTPUT, WORKER_STATS_MAX, NULL);

	if (text == NULL) {
		memcpy(s->head, no_memory, sizeof(no_memory) - 1);
		s->reply.head_len = sizeof(no_memory) - 1;
		return;
	}
	s->payload = text;
	s->payload_bytes = WORKER_STATS_MAX;
	s->payload_class = MEM_OUTPUT;
	s->value = text;
	s->value_bytes = (uint32_t)worker_stats_write(
		w, &g->sum, g->args, g->args_len, text, WORKER_STATS_MAX);
}

// Composes the reply into its slot; the gather is over.
static void gather_finish(struct worker *w, struct worker_gather *g)
{
	struct worker_slot *s = g->slot;

	s->state = WORKER_SLOT_READY;
	if (s->sink != NULL) {
		if (g->stats) {
			gather_stats_reply(w, g, s);
		} else {
			struct proto_result ok = {.status = PROTO_OK};

			proto_compose(&s->req, &ok, s->head, &s->reply);
		}
		s->sink->pinned_bytes += s->value_bytes;
	}
	w->gathers_out--;
	mem_free(w->mem, MEM_OUTPUT, g, gather_bytes(w));
}

static void gather_send(struct worker *w, struct worker_gather *g, unsigned owner)
{
	struct worker_slot *s = worker_slot_take(w, NULL);

	base_assert(s != NULL);
	s->gather = g;
	s->owner = (uint16_t)owner;
	s->req = g->slot->req;
	s->hash = 0;
	worker_msg_send(w, s, g->stats ? WORKER_MSG_COUNT : WORKER_MSG_FLUSH);
}

bool worker_gather_begin(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r)
{
	struct worker_gather *g;

	if (!gather_ready(w))
		return false;
	g = mem_try_alloc(w->mem, MEM_OUTPUT, gather_bytes(w), NULL);
	if (g == NULL)
		return false;
	memset(g, 0, sizeof(*g));
	w->n.requests++;
	w->gathers_out++;
	g->stats = r->op == PROTO_OP_STATS;
	g->args_len = (uint16_t)base_min_u64(r->args_len, sizeof(g->args));
	if (r->args_len > 0)
		memcpy(g->args, r->args, g->args_len);
	g->slot = worker_slot_take(w, sink);
	base_assert(g->slot != NULL);
	worker_slot_request_set(g->slot, r, 0);
	g->missing = w->count - 1;
	for (unsigned i = 0; i < w->count; i++) {
		if (i != w->id)
			gather_send(w, g, i);
	}
	if (g->stats)
		worker_counters_collect(w, &g->sum);
	else
		exec_apply(&w->exec, r, 0, &w->result);
	if (g->missing == 0) {
		gather_finish(w, g);
		worker_out_sink(w, o, sink);
	}
	return true;
}

void worker_gather_home(struct worker *w, struct worker_slot *s)
{
	struct worker_gather *g = s->gather;
	struct worker_slot *reply = g->slot;
	struct worker_sink *sink;

	base_assert(g->missing > 0);
	if (g->stats)
		worker_counters_add(&g->sum, &g->part[s->owner]);
	s->gather = NULL;
	worker_slot_free(w, s);
	if (--g->missing > 0)
		return;
	gather_finish(w, g);
	sink = reply->sink;
	if (sink == NULL)
		worker_slot_done(w, reply);
	else
		worker_sink_resume(w, sink);
}
