// SPDX-License-Identifier: BSD-3-Clause
// What nearly all clients send over TCP, on a path of its own: plain gets, mgs and sets of this
// shard's keys. A get whose reply fits the segment at hand is composed there, without a reference
// on the item; a set whose value fits where the old one lies is written over that; many requests
// of one segment are answered in one. Anything else takes the common way, in its place.

#include "worker/worker_compose.h"
#include "worker/worker_internal.h"

#define PLAIN_AROUND 64 // most bytes of a reply besides key and value

static_assert(PLAIN_AROUND >= sizeof("VALUE  4294967295 4294967295\r\n\r\nEND\r\n"),
	"flags and length take ten digits at most");
static_assert(PLAIN_AROUND >= sizeof("VA 4294967295 f4294967295 s4294967295 c") - 1 + 20 + 4,
	"a CAS takes twenty, a head and a value end with two bytes each");

bool worker_plain_room(const struct worker *w)
{
	return w->plains.n <= WORKER_AHEAD_MAX - 2 * WORKER_AHEAD_EACH;
}

struct worker_range worker_plain_parse(
	struct worker *w, const struct proto_parser *from, const char *data, size_t len)
{
	struct proto_parser parser = *from;
	struct worker_range range = {.at = w->plains.n, .end = w->plains.n};
	unsigned end = w->plains.n + WORKER_AHEAD_EACH;

	base_assert(end <= WORKER_AHEAD_MAX);
	while (len > 0 && range.end < end) {
		struct worker_plain *q = &w->plains.request[range.end];
		uint64_t hash;

		if (!proto_plain_parse(&parser, data, len, &q->line))
			break;
		hash = base_hash(q->line.key, q->line.key_len);
		q->owner = (uint16_t)worker_of_hash(hash, w->count);
		if (base_likely(q->owner == w->id)) {
			store_look_begin(w->store, hash, &w->plains.look[range.end]);
		} else {
			w->plains.look[range.end].hash = hash;
			range.foreign = w->plains.foreign = true;
		}
		data += q->line.consumed;
		len -= q->line.consumed;
		range.end++;
	}
	w->plains.n = range.end;
	return range;
}

void worker_plain_fetch(struct worker *w, struct worker_range range)
{
	if (base_likely(!w->plains.foreign)) {
		store_looks_fetch(w->store, &w->plains.look[range.at], range.end - range.at);
		return;
	}
	for (unsigned i = range.at; i < range.end; i++) {
		if (w->plains.request[i].owner == w->id)
			store_looks_fetch(w->store, &w->plains.look[i], 1);
	}
}

static inline const struct store_look *look_of(const struct worker *w, const struct worker_plain *q)
{
	return &w->plains.look[q - w->plains.request];
}

// The rest of the segment at hand. What is written there is taken when somebody else goes on.
struct place {
	char *from, *at;
	uint32_t room; // behind `at`
};

static void place_leave(struct worker_out *o, struct place *p)
{
	if (p->at != p->from)
		worker_out_take(o, (uint32_t)(p->at - p->from));
	*p = (struct place){.room = 0};
}

static inline bool place_has(
	struct worker *w, struct worker_out *o, struct place *p, uint32_t bytes)
{
	if (base_likely(bytes <= p->room))
		return true;
	place_leave(o, p);
	p->from = p->at = worker_out_place(w, o, bytes, &p->room);
	if (base_unlikely(p->at == NULL))
		p->room = 0;
	return p->at != NULL;
}

static inline void request_note(struct worker *w, const struct worker_conn *c,
	const struct proto_plain *l, enum proto_status status, enum worker_kind kind,
	uint32_t value_bytes)
{
	w->n.requests++;
	worker_latency_done(w, &c->sink, kind, l->key, l->key_len, value_bytes);
	flight_request(
		w->flight, l->op, status, worker_conn_mark(c), worker_key_end(l->key, l->key_len));
}

// False: its reply does not fit the segment at hand, and nothing was done.
static bool get_quick(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct place *p, const struct worker_plain *q)
{
	const struct proto_plain *l = &q->line;
	uint32_t around = PLAIN_AROUND + l->key_len;
	struct store_item *it;
	char *at;

	if (l->first && !l->end) {
		place_leave(o, p);
		worker_out_mark(o);
	}
	if (!place_has(w, o, p, around) ||
		!exec_get_small(&w->exec, l->key, l->key_len, look_of(w, q), p->room - around, &it))
		return false;
	if (!l->end)
		c->sink.multi = !l->first;
	request_note(w, c, l, it != NULL ? PROTO_OK : PROTO_MISS,
		!l->end            ? WORKER_KIND_NONE
			: l->first ? WORKER_KIND_GET
				   : WORKER_KIND_MULTIGET,
		it != NULL ? it->value_bytes : 0);
	at = p->at;
	if (base_likely(it != NULL))
		at = worker_value_compose(at, it);
	if (l->end)
		at = worker_put(at, "END\r\n", 5);
	p->room -= (uint32_t)(at - p->at);
	p->at = at;
	return true;
}

static bool meta_get_quick(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct place *p, const struct worker_plain *q)
{
	const struct proto_plain *l = &q->line;
	struct store_item *it;
	char *at;

	if (!place_has(w, o, p, PLAIN_AROUND) ||
		!exec_meta_get_small(
			&w->exec, l->key, l->key_len, look_of(w, q), p->room - PLAIN_AROUND, &it))
		return false;
	request_note(w, c, l, it != NULL ? PROTO_OK : PROTO_MISS, WORKER_KIND_GET,
		it != NULL ? it->value_bytes : 0);
	at = it != NULL ? worker_meta_compose(p->at, l, it) : worker_put(p->at, "EN\r\n", 4);
	p->room -= (uint32_t)(at - p->at);
	p->at = at;
	return true;
}

// False: it needs memory, or there is no place for its reply; nothing was done.
static bool set_quick(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct place *p, const struct worker_plain *q)
{
	static const char stored[8] = "STORED\r\n";

	if (!place_has(w, o, p, sizeof(stored)) ||
		!exec_set_over(&w->exec, &q->line, look_of(w, q)))
		return false;
	request_note(w, c, &q->line, PROTO_OK, WORKER_KIND_SET, q->line.value_bytes);
	p->at = worker_put(p->at, stored, sizeof(stored));
	p->room -= sizeof(stored);
	return true;
}

static void request_write(
	const struct worker *w, const struct worker_plain *q, struct worker_request *r)
{
	r->hash = look_of(w, q)->hash;
	r->owner = q->owner;
	proto_plain_request(&q->line, &r->r);
}

// By the common way: the key, then the end of the line (mg: both at once).
static enum worker_step get_commonly(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct worker_plain *q, uint32_t *used)
{
	bool meta = q->line.op == PROTO_OP_META_GET;
	struct worker_request r;

	if (!worker_dispatch_ready(w, q->owner))
		return WORKER_STEP_STALL;
	request_write(w, q, &r);
	if (r.r.first_key)
		worker_out_mark(o);
	worker_dispatch(w, &c->sink, o, &r);
	*used += (uint32_t)r.r.consumed;
	proto_plain_after(&c->parser, meta);
	if (meta || !q->line.end)
		return WORKER_STEP_ON;
	if (!worker_conn_may_parse(w, c))
		return WORKER_STEP_WAIT;
	if (!worker_dispatch_ready(w, w->id))
		return WORKER_STEP_STALL;
	r.owner = w->id;
	r.r.op = PROTO_OP_END;
	r.r.key_len = 0;
	worker_dispatch(w, &c->sink, o, &r);
	*used += q->line.consumed - (uint32_t)r.r.consumed;
	proto_plain_after(&c->parser, true);
	return WORKER_STEP_ON;
}

static enum worker_step set_run(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct worker_plain *q, uint32_t *used)
{
	struct worker_request r;
	uint32_t taken;

	request_write(w, q, &r);
	if (!worker_fill_begin(w, c, o, &r, q->line.value, q->line.value_bytes + 2, &taken))
		return WORKER_STEP_STALL;
	// All of the value, or none: it goes to another shard, and is received first.
	base_assert((taken == 0) == (c->state != WORKER_CONN_COMMAND));
	*used += (uint32_t)r.r.consumed + taken;
	proto_plain_after(&c->parser, true);
	return WORKER_STEP_ON;
}

enum worker_step worker_plain_commonly(struct worker *w, struct worker_conn *c,
	struct worker_out *o, const struct worker_plain *q, uint32_t *used)
{
	return q->line.op == PROTO_OP_SET ? set_run(w, c, o, q, used)
					  : get_commonly(w, c, o, q, used);
}

static inline bool request_quick(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct place *p, const struct worker_plain *q)
{
	switch (q->line.op) {
	case PROTO_OP_SET:
		return set_quick(w, c, o, p, q);
	case PROTO_OP_META_GET:
		return meta_get_quick(w, c, o, p, q);
	default:
		return get_quick(w, c, o, p, q);
	}
}

enum worker_step worker_plain_run(struct worker *w, struct worker_conn *c, struct worker_out *o,
	struct worker_range range, uint32_t *used)
{
	enum worker_step step = WORKER_STEP_ON;
	struct place p = {.room = 0};

	*used = 0;
	for (unsigned i = range.at; i < range.end && step == WORKER_STEP_ON; i++) {
		const struct worker_plain *q = &w->plains.request[i];

		if (base_likely(base_list_empty(&c->sink.slots)) && request_quick(w, c, o, &p, q)) {
			*used += q->line.consumed;
			proto_plain_after(&c->parser, q->line.end);
			continue;
		}
		place_leave(o, &p);
		if (!worker_conn_may_parse(w, c))
			step = WORKER_STEP_WAIT;
		else
			step = worker_plain_commonly(w, c, o, q, used);
	}
	place_leave(o, &p);
	return step;
}
