// SPDX-License-Identifier: BSD-3-Clause
// What concerns every shard: stats gathers counters, flush_all and debugtime wait for all
// acknowledgements. One message to each other worker; the reply is written when the last one is
// home.

#include "worker/worker_admin.h"

#define GATHERS_MAX 64

static const char no_memory[] = "SERVER_ERROR out of memory writing stats\r\n";

static size_t gather_bytes(const struct worker *w)
{
	return sizeof(struct worker_gather) + w->count * sizeof(struct worker_gather_part);
}

static uint32_t gather_text_bytes(const struct worker *w, const struct worker_gather *g)
{
	return w->count * g->text_each + PROTO_TAIL_MAX;
}

// Those that may take several rounds; one of a worker at a time.
static bool gather_rounds(enum worker_msg msg)
{
	return msg == WORKER_MSG_PREFIXES || msg == WORKER_MSG_SIZES;
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

static void gather_text_set(struct worker_slot *s, char *text, uint32_t room, uint32_t len)
{
	s->payload = text;
	s->payload_bytes = room;
	s->payload_class = MEM_OUTPUT;
	s->value[0] = (struct store_span){text, len};
	s->value_bytes = len;
}

static void gather_constant_set(struct worker_slot *s, const char *text)
{
	size_t len = strlen(text);

	base_assert(len <= sizeof(s->head));
	memcpy(s->head, text, len);
	s->reply.head_len = (uint16_t)len;
}

// The packets of a binary reply are in it.
static void gather_detail_reply(struct worker *w, struct worker_gather *g, struct worker_slot *s)
{
	struct worker_detail_text *t = &g->detail;

	if (worker_detail_end(w, g)) {
		gather_text_set(s, t->text, t->room, t->len);
		t->text = NULL;
	} else if (proto_is_binary(&s->req)) {
		s->reply.head_len = (uint16_t)proto_stats_binary(
			&s->req, no_memory, sizeof(no_memory) - 1, s->head);
	} else {
		gather_constant_set(s, no_memory);
	}
}

static void gather_sizes_reply(struct worker *w, struct worker_gather *g, struct worker_slot *s)
{
	uint32_t room, len;
	char *text = worker_sizes_write(w, (void *)g->text, w->count, &room, &len);

	if (text != NULL)
		gather_text_set(s, text, room, len);
	else
		gather_constant_set(s, no_memory);
}

// The text of a stats reply travels in the slot's payload.
static void gather_stats_reply(struct worker *w, struct worker_gather *g, struct worker_slot *s)
{
	char *text = mem_try_alloc(w->mem, MEM_OUTPUT, WORKER_STATS_MAX, NULL);
	struct worker_counters sum = {0};

	if (text == NULL) {
		gather_constant_set(s, no_memory);
		return;
	}
	for (unsigned i = 0; i < w->count; i++)
		worker_counters_add(&sum, &g->part[i].n);
	gather_text_set(s, text, WORKER_STATS_MAX,
		(uint32_t)worker_stats_write(w, &sum, g->word, text, WORKER_STATS_MAX));
}

// How much of a shard's text stays within the limit of lines.
static uint32_t lines_within(const char *text, uint32_t len, uint32_t *lines)
{
	uint32_t at = 0;

	while (*lines > 0 && at < len) {
		const char *end = memchr(text + at, '\n', len - at);

		if (end == NULL)
			break;
		at = (uint32_t)(end - text) + 1;
		--*lines;
	}
	return at;
}

// Moves the shards' texts together.
static void gather_lines_reply(struct worker *w, struct worker_gather *g, struct worker_slot *s)
{
	uint32_t len = 0, lines = g->limit > 0 ? g->limit : UINT32_MAX;

	for (unsigned i = 0; i < w->count; i++) {
		const char *text = g->text + (size_t)i * g->text_each;
		uint32_t n = lines_within(text, g->part[i].text_len, &lines);

		memmove(g->text + len, text, n);
		len += n;
	}
	memcpy(g->text + len, "END\r\n", 5);
	gather_text_set(s, g->text, gather_text_bytes(w, g), len + 5);
	g->text = NULL;
}

// What is written for text becomes the packets of a binary reply.
static void gather_binary_set(struct worker *w, struct worker_slot *s)
{
	const char *text = s->payload != NULL ? s->payload : s->head;
	size_t len = s->payload != NULL ? s->value_bytes : s->reply.head_len;
	uint32_t room = (uint32_t)PROTO_STATS_BINARY_MAX(len);
	char *packets = mem_try_alloc(w->mem, MEM_OUTPUT, room, NULL);
	size_t bytes = 0;

	if (packets != NULL)
		bytes = proto_stats_binary(&s->req, text, len, packets);
	if (s->payload != NULL)
		mem_free(w->mem, MEM_OUTPUT, s->payload, s->payload_bytes);
	s->payload = NULL;
	s->value_bytes = s->value[0].bytes = 0;
	s->reply.head_len = 0;
	if (packets != NULL)
		gather_text_set(s, packets, room, (uint32_t)bytes);
	else
		s->reply.head_len = (uint16_t)proto_stats_binary(
			&s->req, no_memory, sizeof(no_memory) - 1, s->head);
}

static void gather_reply(struct worker *w, struct worker_gather *g, struct worker_slot *s)
{
	struct proto_result ok = {.status = PROTO_OK};

	switch (g->msg) {
	case WORKER_MSG_COUNT:
		gather_stats_reply(w, g, s);
		break;
	case WORKER_MSG_CONNS:
	case WORKER_MSG_CACHEDUMP:
		gather_lines_reply(w, g, s);
		break;
	case WORKER_MSG_PREFIXES:
		gather_detail_reply(w, g, s);
		break;
	case WORKER_MSG_SIZES:
		gather_sizes_reply(w, g, s);
		break;
	case WORKER_MSG_RESET:
		gather_constant_set(s, "RESET\r\n");
		break;
	case WORKER_MSG_CLOCK:
		gather_constant_set(s, s->req.noreply ? "" : "OK\r\n");
		break;
	case WORKER_MSG_DETAIL:
		gather_constant_set(s, "OK\r\n");
		break;
	default:
		proto_compose(&s->req, &ok, s->head, &s->reply);
		break;
	}
	if (g->msg != WORKER_MSG_FLUSH && g->msg != WORKER_MSG_PREFIXES && proto_is_binary(&s->req))
		gather_binary_set(w, s);
	s->sink->pinned_bytes += s->value_bytes;
}

static void gather_free(struct worker *w, struct worker_gather *g)
{
	if (g->text != NULL)
		mem_free(w->mem, MEM_OUTPUT, g->text, gather_text_bytes(w, g));
	if (g->detail.text != NULL)
		mem_free(w->mem, MEM_OUTPUT, g->detail.text, g->detail.room);
	mem_free(w->mem, MEM_OUTPUT, g, gather_bytes(w));
}

// Composes the reply into its slot; the gather is over.
static void gather_finish(struct worker *w, struct worker_gather *g)
{
	struct worker_slot *s = g->slot;

	s->state = WORKER_SLOT_READY;
	worker_stamp_mark(w, s, WORKER_PART_SHARD);
	if (s->sink != NULL)
		gather_reply(w, g, s);
	if (gather_rounds(g->msg)) {
		w->rounds = NULL;
		w->chores--;
	}
	w->gathers_out--;
	gather_free(w, g);
}

// What is due is found out when a request is executed: the next one sees the new time.
static void clock_shift(struct worker *w, int64_t by_s)
{
	int64_t to_s = w->clock_shift_s + by_s;

	if (to_s > PROTO_CLOCK_MAX_S)
		to_s = PROTO_CLOCK_MAX_S;
	if (to_s < -PROTO_CLOCK_MAX_S)
		to_s = -PROTO_CLOCK_MAX_S;
	w->now.wall_s += (uint64_t)(to_s - w->clock_shift_s);
	w->clock_shift_s = to_s;
	store_turn(w->store, w->now);
}

// Whether some shard's walk has not come to its end.
static bool gather_walks(const struct worker *w, const struct worker_gather *g)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (!g->part[i].cursor.ended)
			return true;
	}
	return false;
}

// All parts are in. True: another round is wanted, in a turn to come.
static bool gather_goes_on(struct worker *w, struct worker_gather *g)
{
	if (!gather_rounds(g->msg) || g->slot->sink == NULL)
		return false;
	if (g->msg == WORKER_MSG_PREFIXES)
		w->rounds_due = worker_detail_merge(w, g);
	else
		w->rounds_due = gather_walks(w, g);
	return w->rounds_due;
}

static void gather_whole(struct worker *w, struct worker_gather *g)
{
	struct worker_slot *reply = g->slot;
	struct worker_sink *sink;

	if (gather_goes_on(w, g))
		return;
	gather_finish(w, g);
	sink = reply->sink;
	if (sink == NULL)
		worker_slot_done(w, reply);
	else
		worker_sink_resume(w, sink);
}

void worker_gather_serve(struct worker *w, struct worker_gather *g)
{
	struct worker_gather_part *part = &g->part[w->id];

	switch (g->msg) {
	case WORKER_MSG_COUNT:
		worker_counters_shown(w, &part->n);
		break;
	case WORKER_MSG_RESET:
		worker_counters_reset(w);
		worker_detail_clear(w);
		break;
	case WORKER_MSG_DETAIL:
		worker_detail_take(w, g->detail_order);
		break;
	case WORKER_MSG_PREFIXES:
		part->next = worker_detail_slice(w, g->detail.from,
			g->text + (size_t)w->id * g->text_each, g->text_each, &part->text_len);
		break;
	case WORKER_MSG_SIZES:
		worker_sizes_serve(
			w, &part->cursor, (void *)(g->text + (size_t)w->id * g->text_each));
		break;
	case WORKER_MSG_CONNS:
		part->text_len = (uint32_t)worker_conns_write(
			w, g->text + (size_t)w->id * g->text_each, g->text_each);
		break;
	case WORKER_MSG_CACHEDUMP:
		part->text_len = (uint32_t)worker_cachedump_write(
			w, g->limit, g->text + (size_t)w->id * g->text_each, g->text_each);
		break;
	case WORKER_MSG_CLOCK:
		clock_shift(w, (int64_t)g->slot->req.delta);
		break;
	default:
		exec_apply(&w->exec, &g->slot->req, 0, &w->result);
		break;
	}
}

static void gather_send(struct worker *w, struct worker_gather *g, unsigned owner)
{
	struct worker_slot *s = worker_slot_take(w, NULL);

	base_assert(s != NULL);
	s->gather = g;
	s->owner = (uint16_t)owner;
	s->req = g->slot->req;
	s->hash = 0;
	worker_msg_send(w, s, g->msg);
}

// Asks all shards, our own at once.
static void gather_ask(struct worker *w, struct worker_gather *g)
{
	g->missing = w->count - 1;
	for (unsigned i = 0; i < w->count; i++) {
		if (i != w->id)
			gather_send(w, g, i);
	}
	worker_gather_serve(w, g);
}

// What is asked for; memcached looks at the first word alone, but for detail.
static enum worker_msg gather_msg(const struct proto_request *r, char *word, size_t size)
{
	size_t len = 0;

	while (len < r->args_len && len < size - 1 && r->args[len] != ' ') {
		word[len] = r->args[len];
		len++;
	}
	word[len] = '\0';
	if (r->op == PROTO_OP_FLUSH_ALL)
		return WORKER_MSG_FLUSH;
	if (r->op == PROTO_OP_ADMIN)
		return WORKER_MSG_CLOCK;
	if (strcmp(word, "reset") == 0)
		return WORKER_MSG_RESET;
	if (strcmp(word, "cachedump") == 0)
		return WORKER_MSG_CACHEDUMP;
	if (strcmp(word, "sizes") == 0)
		return WORKER_MSG_SIZES;
	if (strcmp(word, "detail") == 0)
		return worker_detail_word(r->args, r->args_len) == WORKER_DETAIL_DUMP
			? WORKER_MSG_PREFIXES
			: WORKER_MSG_DETAIL;
	return strcmp(word, "conns") == 0 ? WORKER_MSG_CONNS : WORKER_MSG_COUNT;
}

static uint32_t gather_text_each(const struct worker *w, enum worker_msg msg)
{
	if (msg == WORKER_MSG_SIZES)
		return WORKER_SIZES * sizeof(uint32_t);
	if (msg == WORKER_MSG_PREFIXES)
		return RTE_MAX((uint32_t)WORKER_DETAIL_TEXT / w->count & ~7u,
			(uint32_t)WORKER_DETAIL_TEXT_MIN);
	if (msg == WORKER_MSG_CACHEDUMP)
		return WORKER_CACHEDUMP_TEXT;
	return msg == WORKER_MSG_CONNS ? WORKER_CONNS_TEXT : 0;
}

static struct worker_gather *gather_open(
	struct worker *w, const struct proto_request *r, uint32_t limit)
{
	struct worker_gather *g = mem_try_calloc(w->mem, MEM_OUTPUT, gather_bytes(w), NULL);

	if (g == NULL)
		return NULL;
	g->msg = gather_msg(r, g->word, sizeof(g->word));
	if (gather_rounds(g->msg) && w->rounds != NULL) {
		gather_free(w, g); // it waits for the one that goes on
		return NULL;
	}
	g->limit = limit;
	g->text_each = gather_text_each(w, g->msg);
	if (g->text_each > 0) {
		g->text = mem_try_alloc(w->mem, MEM_OUTPUT, gather_text_bytes(w, g), NULL);
		if (g->text == NULL) {
			gather_free(w, g);
			return NULL;
		}
	}
	if (g->msg == WORKER_MSG_SIZES)
		memset(g->text, 0, gather_text_bytes(w, g));
	if (g->msg == WORKER_MSG_DETAIL)
		g->detail_order = worker_detail_order(
			w->group, worker_detail_word(r->args, r->args_len) == WORKER_DETAIL_ON);
	return g;
}

// The answer where no shard has to be asked, else NULL.
static const char *gather_constant(
	const struct worker *w, const struct proto_request *r, uint32_t *limit)
{
	static const char conns[] = "conns", cachedump[] = "cachedump"; // no STAT lines

	if (r->op == PROTO_OP_ADMIN && !w->settings->debug_enabled)
		return r->noreply ? "" : "ERROR\r\n"; // as for a command that there is not
	if (r->op != PROTO_OP_STATS)
		return NULL;
	if (proto_is_binary(r) &&
		((r->args_len == sizeof(conns) - 1 &&
			 memcmp(r->args, conns, sizeof(conns) - 1) == 0) ||
			(r->args_len >= sizeof(cachedump) - 1 &&
				memcmp(r->args, cachedump, sizeof(cachedump) - 1) == 0)))
		return "ERROR\r\n";
	return worker_stats_constant(w, r->args, r->args_len, limit);
}

static void gather_constant_reply(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r, const char *text)
{
	size_t len = strlen(text);

	if (!proto_is_binary(r)) {
		worker_reply_bytes(w, sink, o, text, (uint32_t)len);
		return;
	}
	base_assert(PROTO_STATS_BINARY_MAX(len) <= sizeof(w->head));
	len = proto_stats_binary(r, text, len, w->head);
	worker_reply_bytes(w, sink, o, w->head, (uint32_t)len);
}

// flush_all with -F. Counted all the same, as in memcached.
static void flush_refuse(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r)
{
	struct proto_request refused = *r;

	w->exec.n.cmd_flush++;
	refused.op = PROTO_OP_REPLY;
	refused.mode = PROTO_BINARY_AUTH_ERROR;
	refused.reply_text =
		proto_is_binary(r) || r->noreply ? "" : "CLIENT_ERROR flush_all not allowed\r\n";
	worker_reply_constant(w, sink, o, &refused);
}

bool worker_gather_begin(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r)
{
	struct worker_gather *g;
	const char *constant;
	uint32_t limit = 0;

	if (!gather_ready(w))
		return false;
	if (r->op == PROTO_OP_FLUSH_ALL && w->settings->flush_disabled) {
		w->n.requests++;
		flush_refuse(w, sink, o, r);
		return true;
	}
	constant = gather_constant(w, r, &limit);
	if (constant != NULL) {
		w->n.requests++;
		gather_constant_reply(w, sink, o, r, constant);
		return true;
	}
	g = gather_open(w, r, limit);
	if (g == NULL)
		return false;
	if (gather_rounds(g->msg)) {
		w->rounds = g;
		w->chores++;
	}
	w->n.requests++;
	w->gathers_out++;
	g->slot = worker_slot_take(w, sink);
	base_assert(g->slot != NULL);
	worker_slot_request_set(g->slot, r, 0);
	g->slot->stamp.kind = WORKER_KIND_OTHER;
	gather_ask(w, g);
	if (g->missing == 0 && !gather_goes_on(w, g)) {
		gather_finish(w, g);
		worker_out_sink(w, o, sink);
	}
	return true;
}

void worker_gather_home(struct worker *w, struct worker_slot *s)
{
	struct worker_gather *g = s->gather;

	base_assert(g->missing > 0);
	s->gather = NULL;
	worker_slot_free(w, s);
	if (--g->missing == 0)
		gather_whole(w, g);
}

unsigned worker_gather_turn(struct worker *w)
{
	struct worker_gather *g = w->rounds;

	if (g == NULL || !w->rounds_due)
		return 0;
	if (g->slot->sink == NULL) { // nobody waits for it any more
		w->rounds_due = false;
		gather_whole(w, g);
		return 1;
	}
	if (!gather_ready(w))
		return 0;
	w->rounds_due = false;
	gather_ask(w, g);
	if (g->missing == 0)
		gather_whole(w, g);
	return 1;
}
