// SPDX-License-Identifier: BSD-3-Clause
// Trains: plain requests of one connection whose keys are other shards', and those behind them. A
// train is one slot of the connection, in its place in the order; its requests lie in packs, one a
// shard, this one's own among them, and it remembers which request went where. When all packs are
// home, their texts are written in the order of the requests.

#include "worker/worker_admin.h"

static_assert(WORKER_TRAIN_REQUESTS == WORKER_AHEAD_EACH, "a range fits one train");

struct train_run { // what worker_train_run puts together
	struct worker *w;
	struct worker_conn *c;
	struct worker_out *o;
	struct worker_slot *slot; // NULL: none is open
	uint32_t used;
};

// Of those of a part that its pack holds.
static uint64_t part_held_bytes(const struct worker_train *t, unsigned i)
{
	const struct worker_train_part *part = &t->part[i];
	const struct worker_pack *k = part->pack;
	unsigned end = part->request;
	uint64_t bytes = 0;

	if (base_likely(part->held == k->helds))
		return 0;
	for (unsigned r = 0; r < t->requests; r++)
		end += t->order[r] == i;
	for (unsigned h = part->held; h < k->helds && k->held[h].request < end; h++)
		bytes += (uint64_t)k->held[h].value[0].bytes + k->held[h].value[1].bytes;
	return bytes;
}

static void train_ready(struct worker *w, struct worker_slot *s)
{
	struct worker_train *t = &s->train;
	uint64_t held_bytes = 0;

	for (unsigned i = 0; i < t->parts; i++) {
		struct worker_train_part *part = &t->part[i];
		const struct worker_pack *k = part->pack;

		part->at = part->request > 0 ? k->end[part->request - 1] : 0;
		while (part->held < k->helds && k->held[part->held].request < part->request)
			part->held++;
		held_bytes += part_held_bytes(t, i);
	}
	s->value_bytes = (uint32_t)base_min_u64(held_bytes, UINT32_MAX);
	s->state = WORKER_SLOT_READY;
	if (s->sink == NULL)
		worker_slot_done(w, s);
	else
		s->sink->pinned_bytes += s->value_bytes;
}

void worker_train_part_home(struct worker *w, struct worker_slot *s)
{
	struct worker_sink *sink = s->sink;

	base_assert(s->is_train && s->train.missing > 0);
	if (--s->train.missing > 0)
		return;
	worker_stamp_mark(w, s, WORKER_PART_SHARD);
	train_ready(w, s);
	if (sink != NULL)
		worker_sink_wake(w, sink);
}

void worker_train_done(struct worker *w, struct worker_slot *s)
{
	struct worker_train *t = &s->train;

	for (unsigned i = 0; i < t->parts; i++)
		worker_pack_unref(w, t->part[i].pack);
	s->is_train = false;
}

// ---- output ------------------------------------------------------------------------------------
// An answer whose value is not in the text.
static bool held_write(struct worker *w, struct worker_out *o, struct worker_slot *s,
	struct worker_train_part *part)
{
	struct worker_pack *k = part->pack;
	const struct worker_held *h = &k->held[part->held];
	const struct store_span span[] = {
		{k->text + part->at, h->at - part->at},
		h->value[0],
		h->value[1],
		{k->text + h->at, k->end[part->request] - h->at},
	};

	if (!worker_out_spans(w, o, span, BASE_ARRAY_LEN(span), &s->train.held_done)) {
		s->emitted |= s->train.held_done;
		return false;
	}
	s->train.held_done = 0;
	part->at = k->end[part->request++];
	part->held++;
	s->train.next++;
	return true;
}

// Those that lie one behind the other, and are to be written so.
static bool texts_write(struct worker *w, struct worker_out *o, struct worker_slot *s,
	struct worker_train_part *part)
{
	struct worker_train *t = &s->train;
	const struct worker_pack *k = part->pack;
	unsigned stop = part->held < k->helds ? k->held[part->held].request : k->requests;
	unsigned n = 1;
	uint32_t end, done;

	while (t->next + n < t->requests && t->order[t->next + n] == t->order[t->next] &&
		part->request + n < stop)
		n++;
	end = k->end[part->request + n - 1];
	done = worker_out_append(w, o, k->text + part->at, end - part->at);
	s->emitted |= done;
	part->at += done;
	if (part->at < end)
		return false;
	part->request = (uint16_t)(part->request + n);
	t->next = (uint8_t)(t->next + n);
	return true;
}

bool worker_train_write(struct worker *w, struct worker_out *o, struct worker_slot *s)
{
	struct worker_train *t = &s->train;
	bool on = true;

	while (on && t->next < t->requests) {
		struct worker_train_part *part = &t->part[t->order[t->next]];
		const struct worker_pack *k = part->pack;

		if (base_unlikely(
			    part->held < k->helds && k->held[part->held].request == part->request))
			on = held_write(w, o, s, part);
		else
			on = texts_write(w, o, s, part);
	}
	return on;
}

// ---- input -------------------------------------------------------------------------------------
static void train_open(struct train_run *run, const struct proto_plain *l)
{
	struct worker_slot *s = worker_slot_take(run->w, &run->c->sink);

	base_assert(s != NULL);
	run->slot = s;
	s->is_train = true;
	memset(&s->train, 0, offsetof(struct worker_train, order));
	s->train.missing = 1;
	// what a rollback looks at: a line that has not ended is the last train's alone
	s->req.op = l->op == PROTO_OP_GET ? PROTO_OP_GET : PROTO_OP_END;
	s->req.meta = false;
	s->req.first_key = l->op == PROTO_OP_GET && l->first;
	memcpy(s->req.key_decoded, l->key, RTE_MIN(l->key_len, WORKER_SLOW_KEY_MAX));
	s->req.key = s->req.key_decoded;
	s->req.key_len = l->key_len;
	s->req.value_bytes = l->op == PROTO_OP_SET ? l->value_bytes : 0;
}

static void train_close(struct train_run *run)
{
	struct worker_slot *s = run->slot;

	run->slot = NULL;
	if (s == NULL || --s->train.missing > 0)
		return;
	if (s->train.requests > 0) {
		train_ready(run->w, s);
		return;
	}
	worker_train_done(run->w, s);
	worker_slot_free(run->w, s);
}

// A part for the next request of `k`; NULL: the train has too many.
static struct worker_train_part *train_part(struct worker_slot *s, struct worker_pack *k, bool own)
{
	struct worker_train *t = &s->train;
	struct worker_train_part *part;

	for (unsigned i = t->parts; i-- > 0;) {
		if (t->part[i].pack == k)
			return &t->part[i];
	}
	if (t->parts == WORKER_TRAIN_PARTS)
		return NULL;
	part = &t->part[t->parts++];
	*part = (struct worker_train_part){.pack = k, .request = k->requests};
	k->users++;
	if (!own) {
		k->train[k->trains++] = s;
		t->missing++;
	}
	return part;
}

static enum worker_kind kind_of(const struct proto_plain *l)
{
	if (l->op == PROTO_OP_SET)
		return WORKER_KIND_SET;
	if (l->op == PROTO_OP_META_GET)
		return WORKER_KIND_GET;
	if (!l->end)
		return WORKER_KIND_NONE;
	return l->first ? WORKER_KIND_GET : WORKER_KIND_MULTIGET;
}

static void request_count(struct train_run *run, const struct worker_plain *q)
{
	const struct proto_plain *l = &q->line;
	enum worker_kind kind = kind_of(l);
	struct worker_slot *s = run->slot;
	struct worker *w = run->w;

	if (!l->end)
		run->c->sink.multi = !l->first;
	if (l->end)
		s->req.op = PROTO_OP_END; // no rollback reaches it any more
	s->train.count[kind]++;
	if (kind != WORKER_KIND_NONE)
		s->stamp.kind = (uint8_t)kind;
	w->n.requests++;
	w->n.requests_remote += q->owner != w->id;
	flight_request(w->flight, l->op, FLIGHT_STATUS_AWAY, worker_conn_mark(run->c),
		worker_key_end(l->key, l->key_len));
	run->used += l->consumed;
	proto_plain_after(&run->c->parser, l->end);
}

enum train_put {
	PUT_DONE,
	PUT_COMMONLY, // it is to go the common way
	PUT_STALL,
};

// Into the open train, or a new one.
static enum train_put train_put(struct train_run *run, const struct worker_plain *q)
{
	struct worker *w = run->w;
	const struct proto_plain *l = &q->line;
	bool own = q->owner == w->id;
	const struct store_look *look = &w->plains.look[q - w->plains.request];
	struct worker_train_part *part = NULL;
	struct worker_pack *k;

	if (l->first && !l->end) {
		worker_out_mark(run->o);
		train_close(run);
	}
	k = worker_pack_for(w, q->owner, l);
	if (k == NULL)
		return PUT_COMMONLY;
	if (run->slot != NULL) {
		part = train_part(run->slot, k, own);
		if (part == NULL)
			train_close(run);
	}
	if (run->slot == NULL) {
		if (base_list_empty(&w->slots_free))
			return PUT_STALL;
		train_open(run, l);
		part = train_part(run->slot, k, own);
	}
	if (!own)
		worker_pack_add(k, l, look->hash);
	else if (!worker_pack_run(w, k, l, look))
		return PUT_STALL;
	run->slot->train.order[run->slot->train.requests++] =
		(uint8_t)(part - run->slot->train.part);
	request_count(run, q);
	return PUT_DONE;
}

// All of the range that can be done now.
static enum worker_step train_requests(struct train_run *run, struct worker_range range)
{
	struct worker *w = run->w;
	enum worker_step step = WORKER_STEP_ON;

	for (unsigned i = range.at; i < range.end && step == WORKER_STEP_ON; i++) {
		const struct worker_plain *q = &w->plains.request[i];

		if ((run->slot == NULL || (q->line.first && !q->line.end)) &&
			!worker_conn_may_parse(w, run->c))
			return WORKER_STEP_WAIT;
		switch (train_put(run, q)) {
		case PUT_DONE:
			break;
		case PUT_STALL:
			step = WORKER_STEP_STALL;
			break;
		case PUT_COMMONLY:
			train_close(run);
			if (!worker_conn_may_parse(w, run->c))
				return WORKER_STEP_WAIT;
			step = worker_plain_commonly(w, run->c, run->o, q, &run->used);
			if (run->c->state != WORKER_CONN_COMMAND)
				return step; // its value comes now
		}
	}
	return step;
}

enum worker_step worker_train_run(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct worker_range range, uint32_t *used)
{
	struct train_run run = {.w = w, .c = c, .o = o};
	unsigned at = range.at;
	enum worker_step step;

	*used = 0;
	if (base_list_empty(&c->sink.slots)) {
		while (at < range.end && w->plains.request[at].owner == w->id)
			at++;
		step = worker_plain_run(
			w, c, o, (struct worker_range){.at = range.at, .end = at}, used);
		if (step != WORKER_STEP_ON)
			return step;
	}
	run.used = *used;
	step = train_requests(&run, (struct worker_range){.at = at, .end = range.end});
	train_close(&run);
	*used = run.used;
	return step;
}
