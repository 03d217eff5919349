// SPDX-License-Identifier: BSD-3-Clause
// How long requests took, and which took longest.
//
// No clock is read for it. A request that is answered in the turn in which it came has waited for
// that turn, no more and no less than all others of it: they are counted by kind, and the next
// turn's time ends theirs. What waits (for another shard, for its value, for the client to read,
// for a slot) has a stamp of the turn in which it began, and its age is known in the turn that
// ends it.
#include "worker/worker_internal.h"
#include "worker/worker_versioned.h"

#define SLOW_OLD_S 3600 // an entry of that age goes first

static const char *const kind_names[WORKER_KINDS] = {
	[WORKER_KIND_NONE] = "none",
	[WORKER_KIND_GET] = "get",
	[WORKER_KIND_MULTIGET] = "multiget",
	[WORKER_KIND_SET] = "set",
	[WORKER_KIND_DELETE] = "delete",
	[WORKER_KIND_ARITH] = "arith",
	[WORKER_KIND_TOUCH] = "touch",
	[WORKER_KIND_OTHER] = "other",
};

static const char *const part_names[WORKER_PARTS] = {
	[WORKER_PART_QUEUE] = "queue",
	[WORKER_PART_RECEIVE] = "receive",
	[WORKER_PART_SHARD] = "shard",
	[WORKER_PART_OUTPUT] = "output",
	[WORKER_PART_TURN] = "execute",
};

const char *worker_kind_name(enum worker_kind kind)
{
	base_assert(kind < WORKER_KINDS);
	return kind_names[kind];
}

const char *worker_part_name(enum worker_part part)
{
	base_assert(part < WORKER_PARTS);
	return part_names[part];
}

// ---- the slowest -------------------------------------------------------------------------------
static_assert(sizeof(((struct worker_slow_row *)0)->word) ==
		WORKER_VERSIONED_WORDS(struct worker_slow) * 8,
	"a row holds one");
static_assert(WORKER_KINDS % 2 == 0, "looked at by twos");

bool worker_slow_read(const struct worker_latency *l, unsigned i, struct worker_slow *out)
{
	const struct worker_slow_row *row = &l->slow[i];

	base_assert(i < WORKER_SLOW_MAX);
	// Torn is as good as empty: there are others.
	return worker_versioned_read(&row->version, row->word, out, sizeof(*out)) != 0 &&
		out->kind != WORKER_KIND_NONE;
}

// The place of a new one: an empty one, that of an old one, or of the fastest.
static struct worker_slow_row *slow_place(struct worker *w, uint64_t total_ns)
{
	struct worker_slow_row *least = NULL;
	uint64_t least_ns = total_ns;

	for (unsigned i = 0; i < WORKER_SLOW_MAX; i++) {
		struct worker_slow_row *row = &w->latency->slow[i];
		struct worker_slow has;

		memcpy(&has, row->word, sizeof(has));
		if (has.kind == WORKER_KIND_NONE || has.wall_s + SLOW_OLD_S < w->now.wall_s)
			return row;
		if (has.total_ns < least_ns) {
			least_ns = has.total_ns;
			least = row;
		}
	}
	return least;
}

static void slow_put(struct worker *w, struct worker_slow *e)
{
	struct worker_slow_row *row = slow_place(w, e->total_ns);

	w->n.slow_requests++;
	if (row == NULL)
		return;
	e->wall_s = w->now.wall_s;
	worker_versioned_write(&row->version, row->word, e, sizeof(*e));
}

static void slow_key_set(struct worker_slow *e, const char *key, unsigned len)
{
	e->key_len = (uint8_t)len;
	if (len > 0)
		memcpy(e->key, key, RTE_MIN(len, (unsigned)sizeof(e->key)));
}

static void slow_client_set(struct worker_slow *e, const struct worker_sink *sink)
{
	const struct worker_conn *c = (const void *)sink;
	const struct worker_dgram *d = (const void *)sink;

	e->udp = sink->udp;
	if (!sink->udp) {
		tcp_peer(c->tcp, &e->ip, &e->port);
		return;
	}
	e->ip = d->from.src;
	e->port = d->from.src_port;
}

// ---- stamps ------------------------------------------------------------------------------------
uint64_t worker_latency_since(const struct worker *w, const struct worker_sink *sink)
{
	uint32_t us = (uint32_t)w->now.mono_us - sink->since_us; // it wraps after an hour

	return sink->since_us == 0 ? w->turn_ns : w->turn_ns - (uint64_t)us * 1000;
}

void worker_latency_wait(struct worker *w, struct worker_sink *sink, bool waits, bool done_some)
{
	if (!waits)
		sink->since_us = 0;
	else if (sink->since_us == 0 || done_some)
		sink->since_us = (uint32_t)w->now.mono_us | 1;
}

static void late_add(struct worker *w, enum worker_kind kind, uint64_t age_ns, uint16_t count)
{
	struct worker_late *l = &w->late;

	if (l->n == WORKER_LATE_MAX) { // this turn's own time is left out
		base_hist_add_many(&w->latency->ns[kind], age_ns, count);
		return;
	}
	l->kind[l->n] = (uint8_t)kind;
	l->count[l->n] = count;
	l->age_ns[l->n++] = age_ns;
}

static bool slow_enough(const struct worker *w, uint64_t ns)
{
	return ns / 1000 >= w->orders.slow_us; // WORKER_SLOW_NEVER is more than there can be
}

void worker_latency_late(struct worker *w, const struct worker_sink *sink, enum worker_kind kind,
	const char *key, unsigned key_len, uint32_t bytes)
{
	uint64_t age_ns = w->turn_ns - worker_latency_since(w, sink);
	struct worker_slow e = {.total_ns = age_ns, .kind = (uint8_t)kind, .bytes = bytes};

	if (kind == WORKER_KIND_NONE)
		return;
	late_add(w, kind, age_ns, 1);
	if (base_likely(!slow_enough(w, age_ns)))
		return;
	e.part_ns[WORKER_PART_QUEUE] = age_ns;
	slow_key_set(&e, key, key_len);
	slow_client_set(&e, sink);
	slow_put(w, &e);
}

// The end of a retrieval line has no key, and waits for those that have.
static void slow_key_carry(struct worker *w, const struct worker_slot *s)
{
	if (s->req.op != PROTO_OP_GET || s->req.key_len == 0)
		return;
	slow_key_set(&w->carried, s->req.key, s->req.key_len);
	w->carried.total_ns = w->turn_ns;
	w->carried.bytes = s->value_bytes;
	w->carried.part_ns[WORKER_PART_SHARD] = s->stamp.part_ns[WORKER_PART_SHARD];
}

static void slow_slot_put(
	struct worker *w, const struct worker_sink *sink, const struct worker_slot *s, uint64_t ns)
{
	struct worker_slow e = {.total_ns = ns, .kind = s->stamp.kind};
	uint64_t known_ns = 0;

	e.bytes = s->req.op == PROTO_OP_SET ? s->req.value_bytes : s->value_bytes;
	memcpy(e.part_ns, s->stamp.part_ns, sizeof(s->stamp.part_ns));
	if (s->req.key_len > 0) {
		slow_key_set(&e, s->req.key, s->req.key_len);
	} else if (s->req.op == PROTO_OP_END && w->carried.total_ns == w->turn_ns) {
		slow_key_set(&e, w->carried.key, w->carried.key_len);
		e.bytes = w->carried.bytes;
		e.part_ns[WORKER_PART_SHARD] =
			base_min_u64(w->carried.part_ns[WORKER_PART_SHARD], ns);
	}
	for (unsigned i = 0; i < WORKER_PARTS; i++)
		known_ns += e.part_ns[i];
	e.part_ns[WORKER_PART_OUTPUT] = ns - base_min_u64(known_ns, ns);
	slow_client_set(&e, sink);
	slow_put(w, &e);
}

static void train_add(struct worker *w, const struct worker_train *t, uint64_t age_ns)
{
	for (unsigned kind = WORKER_KIND_NONE + 1; kind < WORKER_KINDS; kind++) {
		if (t->count[kind] > 0)
			late_add(w, (enum worker_kind)kind, age_ns, t->count[kind]);
	}
}

void worker_latency_slot(
	struct worker *w, const struct worker_sink *sink, const struct worker_slot *s)
{
	uint64_t age_ns = w->turn_ns - s->stamp.since_ns;

	if (s->drop)
		return;
	if (s->is_train)
		train_add(w, &s->train, age_ns);
	else if (s->stamp.kind != WORKER_KIND_NONE)
		late_add(w, (enum worker_kind)s->stamp.kind, age_ns, 1);
	if (base_likely(!slow_enough(w, age_ns)))
		return;
	if (s->stamp.kind == WORKER_KIND_NONE)
		slow_key_carry(w, s);
	else
		slow_slot_put(w, sink, s, age_ns);
}

// ---- turns -------------------------------------------------------------------------------------
void worker_latency_note(struct worker *w, const struct worker_sink *sink, enum worker_kind kind,
	const char *key, unsigned key_len, uint32_t bytes)
{
	struct worker_slow *e = &w->noted;

	w->noted_least = bytes == UINT32_MAX ? bytes : bytes + 1;
	e->kind = (uint8_t)(kind == WORKER_KIND_NONE ? WORKER_KIND_GET : kind);
	e->bytes = bytes;
	slow_key_set(e, key, key_len);
	slow_client_set(e, sink);
}

static void slow_turn_put(struct worker *w, uint64_t ns, uint64_t requests)
{
	struct worker_slow e = w->noted;

	if (w->noted_least == 0 || w->noted_least == UINT32_MAX)
		return; // nobody asked for anything; nothing was noted when the turn began
	base_assert(e.kind != WORKER_KIND_NONE);
	e.total_ns = ns;
	memset(e.part_ns, 0, sizeof(e.part_ns));
	e.part_ns[WORKER_PART_TURN] = ns;
	e.turn_requests = (uint32_t)base_min_u64(requests, UINT32_MAX);
	slow_put(w, &e);
}

// What waited, and what was slow.
static void turn_rest(struct worker *w, uint64_t took_ns, uint64_t requests)
{
	for (unsigned i = 0; i < w->late.n; i++)
		base_hist_add_many(&w->latency->ns[w->late.kind[i]], w->late.age_ns[i] + took_ns,
			w->late.count[i]);
	w->late.n = 0;
	if (slow_enough(w, took_ns))
		slow_turn_put(w, took_ns, requests);
}

void worker_latency_turn(struct worker *w, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - w->turn_ns, requests = 0;

	w->turn_requests[WORKER_KIND_NONE] = 0;
	for (unsigned k = 0; k < WORKER_KINDS; k += 2) {
		uint32_t *n = &w->turn_requests[k];
		uint64_t both;

		memcpy(&both, n, sizeof(both));
		if (base_likely(both == 0))
			continue;
		for (unsigned i = 0; i < 2; i++) {
			if (n[i] > 0)
				base_hist_add_many(&w->latency->ns[k + i], took_ns, n[i]);
			requests += n[i];
			n[i] = 0;
		}
	}
	if (base_unlikely(w->late.n > 0 || slow_enough(w, took_ns)))
		turn_rest(w, took_ns, requests);
	w->noted_least = w->orders.slow_us == WORKER_SLOW_NEVER ? UINT32_MAX : 0;
}

void worker_latency_reset(struct worker *w)
{
	static const struct worker_slow none = {.kind = WORKER_KIND_NONE};

	memset(w->latency->ns, 0, sizeof(w->latency->ns));
	for (unsigned i = 0; i < WORKER_SLOW_MAX; i++) {
		struct worker_slow_row *row = &w->latency->slow[i];

		worker_versioned_write(&row->version, row->word, &none, sizeof(none));
	}
}
