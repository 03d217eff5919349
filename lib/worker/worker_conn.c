// SPDX-License-Identifier: BSD-3-Clause
// A TCP connection of a client: bytes in, requests out, replies back in order.

#include "worker/worker_admin.h"
#include "worker/worker_udp.h"

static struct worker_conn *conn_open(struct worker *w, struct tcp_conn *t, bool counted)
{
	struct worker_conn *c = mem_try_alloc(w->mem, MEM_CONNS, sizeof(*c), NULL);

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	worker_sink_init(&c->sink, false);
	base_list_init(&c->stalled_node);
	base_list_append(&w->conns, &c->node);
	c->tcp = t;
	c->counted = counted;
	c->state = WORKER_CONN_COMMAND;
	proto_parser_init(&c->parser, w->settings->item_bytes_max);
	proto_parser_restrict(
		&c->parser, (enum proto_language)w->settings->language, w->settings->locked);
	tcp_user_set(t, c);
	w->n.conns++;
	w->n.conns_total++;
	if (worker_watched(w) && w->orders.watch & PROTO_WATCH_CONNEVENTS)
		worker_watch_conn(w, c, NULL);
	return c;
}

// Who watches is told when we close, whatever the client does after that.
static void conn_close_tell(struct worker *w, const struct worker_conn *c)
{
	static const char *const reason[] = {[WORKER_CLOSE_ERROR] = "error",
		[WORKER_CLOSE_NORMAL] = "normal",
		[WORKER_CLOSE_IDLE] = "idle_timeout",
		[WORKER_CLOSE_SHUTDOWN] = "shutdown"};
	enum worker_close why = w->stopping ? WORKER_CLOSE_SHUTDOWN
		: c->peer_fin               ? WORKER_CLOSE_NORMAL
					    : (enum worker_close)c->close;

	if (worker_watched(w) && w->orders.watch & PROTO_WATCH_CONNEVENTS)
		worker_watch_conn(w, c, reason[why]);
}

void worker_conn_close(struct worker *w, struct worker_conn *c)
{
	if (c->state != WORKER_CONN_SHUT)
		conn_close_tell(w, c);
	if (c->state == WORKER_CONN_DUMP)
		worker_dump_forget(w, c);
	else if (c->state == WORKER_CONN_WATCH)
		worker_watch_forget(w, c);
	worker_fill_abandon(w, c);
	worker_sink_orphan(w, &c->sink);
	worker_clients_forget(w, c);
	worker_access_conn_gone(w, c->tcp, c->counted);
	base_list_remove(&c->stalled_node);
	base_list_remove(&c->node);
	tcp_user_set(c->tcp, NULL);
	w->n.conns--;
	mem_free(w->mem, MEM_CONNS, c, sizeof(*c));
}

void worker_conn_stall(struct worker *w, struct worker_conn *c)
{
	base_list_remove(&c->stalled_node);
	base_list_append(&w->stalled, &c->stalled_node);
	w->n.stalls++;
	flight_event(w->flight, FLIGHT_STALL, 0, worker_conn_mark(c), 0);
}

bool worker_conn_may_parse(const struct worker *w, const struct worker_conn *c)
{
	const struct worker_slot *s;

	if (base_list_empty(&c->sink.slots))
		return true;
	s = base_container_of(c->sink.slots.next, struct worker_slot, node);
	return s->state != WORKER_SLOT_READY && c->sink.slot_count < worker_sink_slots_max(w) &&
		c->sink.pinned_bytes < w->settings->client_output_bytes;
}

static void conn_consume(struct worker *w, struct worker_conn *c, uint64_t n)
{
	w->n.bytes_read += n;
	tcp_rx_consume(w->tcp, c->tcp, (uint32_t)n);
}

static bool conn_swallow(struct worker *w, struct worker_conn *c)
{
	uint64_t n = base_min_u64(c->swallow_bytes, tcp_rx_bytes(c->tcp));

	conn_consume(w, c, n);
	c->swallow_bytes -= n;
	if (c->swallow_bytes > 0)
		return false;
	c->state = WORKER_CONN_COMMAND;
	return true;
}

static void conn_swallow_begin(struct worker_conn *c, const struct proto_request *r)
{
	if (r->swallow_bytes == 0)
		return;
	c->swallow_bytes = r->swallow_bytes;
	c->state = WORKER_CONN_SWALLOW;
}

// Collects the front of the input into the scratch buffer, for a line that spans mbufs.
static uint32_t conn_gather(struct worker *w, const struct worker_conn *c)
{
	uint32_t done = 0;

	for (const struct rte_mbuf *m = tcp_rx_peek(c->tcp);
		m != NULL && done < WORKER_SCRATCH_BYTES; m = m->next) {
		uint32_t n = (uint32_t)base_min_u64(m->data_len, WORKER_SCRATCH_BYTES - done);

		memcpy(w->scratch + done, rte_pktmbuf_mtod(m, const char *), n);
		done += n;
	}
	return done;
}

// Does what a parsed request asks for. False: a slot or a credit is missing, try again later.
static bool conn_request(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct worker_request *q, const char *rest, uint32_t rest_bytes)
{
	const struct proto_request *r = &q->r;
	uint32_t taken = 0;
	bool known = false;

	switch ((enum proto_op)r->op) {
	case PROTO_OP_SET:
		if (!worker_fill_begin(w, c, o, q, rest, rest_bytes, &taken))
			return false;
		break;
	case PROTO_OP_STATS:
	case PROTO_OP_FLUSH_ALL:
		if (!worker_gather_begin(w, &c->sink, o, r))
			return false;
		break;
	case PROTO_OP_ADMIN:
		if (!worker_admin_begin(w, c, o, r))
			return false;
		break;
	case PROTO_OP_QUIT:
	case PROTO_OP_CLOSE:
		if (base_list_empty(&w->slots_free))
			return false;
		worker_reply_constant(w, &c->sink, o, r);
		c->close = r->op == PROTO_OP_QUIT ? WORKER_CLOSE_NORMAL : WORKER_CLOSE_ERROR;
		c->state = WORKER_CONN_QUIT;
		break;
	case PROTO_OP_AUTH:
		if (base_list_empty(&w->slots_free))
			return false;
		known = worker_auth_run(w, &c->sink, o, r);
		conn_swallow_begin(c, r);
		break;
	default:
		if (!worker_dispatch_ready(w, q->owner))
			return false;
		if (r->op == PROTO_OP_GET && r->first_key)
			worker_out_mark(o);
		if (r->rollback)
			worker_rollback(w, &c->sink, o);
		worker_dispatch(w, &c->sink, o, q);
		conn_swallow_begin(c, r);
	}
	conn_consume(w, c, r->consumed + taken);
	c->parser = q->after;
	if (base_unlikely(known))
		proto_parser_unlock(&c->parser);
	return true;
}

// Requests that lie one behind the other at the front of the input.
static enum worker_step conn_requests(
	struct worker *w, struct worker_conn *c, struct worker_out *o, struct worker_range range)
{
	for (unsigned i = range.at; i < range.end; i++) {
		const struct worker_request *q = &w->ahead.request[i];
		const struct rte_mbuf *m = tcp_rx_peek(c->tcp);
		const char *data = rte_pktmbuf_mtod(m, const char *);

		if (!worker_conn_may_parse(w, c))
			return WORKER_STEP_WAIT;
		if (!conn_request(w, c, o, q, data + q->r.consumed,
			    m->data_len - (uint32_t)q->r.consumed))
			return WORKER_STEP_STALL;
	}
	return WORKER_STEP_ON;
}

// A request that the first mbuf does not hold whole.
static enum worker_step conn_line(struct worker *w, struct worker_conn *c, struct worker_out *o)
{
	struct rte_mbuf *m = tcp_rx_peek(c->tcp);
	const char *data = rte_pktmbuf_mtod(m, const char *);
	uint32_t len = m->data_len;
	struct proto_parser parser = c->parser;
	struct worker_request q;
	enum proto_verdict v = proto_parse(&parser, data, len, &q.r);

	if (v == PROTO_MORE && q.r.consumed == 0 && m->next != NULL) {
		data = w->scratch;
		len = conn_gather(w, c);
		parser = c->parser;
		v = proto_parse(&parser, data, len, &q.r);
	}
	if (v == PROTO_MORE) {
		c->parser = parser;
		conn_consume(w, c, q.r.consumed);
		return q.r.consumed > 0 && tcp_rx_bytes(c->tcp) > 0 ? WORKER_STEP_ON
								    : WORKER_STEP_WAIT;
	}
	worker_request_complete(w, &q, &parser);
	if (!conn_request(w, c, o, &q, data + q.r.consumed, len - (uint32_t)q.r.consumed))
		return WORKER_STEP_STALL;
	return WORKER_STEP_ON;
}

static enum worker_step conn_plains(
	struct worker *w, struct worker_conn *c, struct worker_out *o, struct worker_range range)
{
	uint32_t used;
	enum worker_step step;

	if (base_unlikely(range.foreign || (w->count > 1 && !base_list_empty(&c->sink.slots))))
		step = worker_train_run(w, c, o, range, &used);
	else
		step = worker_plain_run(w, c, o, range, &used);

	conn_consume(w, c, used);
	return step;
}

static struct worker_range conn_plain_ahead(struct worker *w, const struct worker_conn *c)
{
	const struct rte_mbuf *m = tcp_rx_peek(c->tcp);

	if (m == NULL || worker_watched(w))
		return (struct worker_range){.at = 0};
	return worker_plain_parse(w, &c->parser, rte_pktmbuf_mtod(m, const char *), m->data_len);
}

static struct worker_range conn_ahead(struct worker *w, const struct worker_conn *c)
{
	const struct rte_mbuf *m = tcp_rx_peek(c->tcp);

	if (m == NULL)
		return (struct worker_range){.at = 0};
	return worker_ahead_parse(w, &c->parser, rte_pktmbuf_mtod(m, const char *), m->data_len);
}

static enum worker_step conn_commands(struct worker *w, struct worker_conn *c, struct worker_out *o)
{
	unsigned mark = w->ahead.n, plain_mark = w->plains.n;
	struct worker_range range;
	enum worker_step step;

	if (tcp_rx_peek(c->tcp) == NULL)
		return WORKER_STEP_WAIT;
	range = conn_plain_ahead(w, c);
	if (range.at != range.end) {
		worker_plain_fetch(w, range);
		step = conn_plains(w, c, o, range);
		w->plains.n = plain_mark;
		w->plains.foreign = w->plains.n > 0 && w->plains.foreign;
		return step;
	}
	range = conn_ahead(w, c);
	if (range.at == range.end)
		return conn_line(w, c, o);
	worker_ahead_fetch(w, range);
	step = conn_requests(w, c, o, range);
	w->ahead.n = mark;
	return step;
}

static enum worker_step conn_step(struct worker *w, struct worker_conn *c, struct worker_out *o)
{
	switch ((enum worker_conn_state)c->state) {
	case WORKER_CONN_COMMAND:
		return worker_conn_may_parse(w, c) ? conn_commands(w, c, o) : WORKER_STEP_WAIT;
	case WORKER_CONN_FILL:
		return worker_fill_continue(w, c, o) ? WORKER_STEP_ON : WORKER_STEP_WAIT;
	case WORKER_CONN_SWALLOW:
		return conn_swallow(w, c) ? WORKER_STEP_ON : WORKER_STEP_WAIT;
	case WORKER_CONN_DUMP:
		return worker_dump_write(w, c, o) ? WORKER_STEP_ON : WORKER_STEP_WAIT;
	case WORKER_CONN_WATCH:
		worker_watch_write(w, c, o);
		break;
	case WORKER_CONN_RESERVE:
	case WORKER_CONN_QUIT:
	case WORKER_CONN_SHUT:
		break;
	}
	return WORKER_STEP_WAIT;
}

struct conn_ahead { // what has been parsed already: one of them
	struct worker_range plain, common;
};

// All input that there is and may be taken now.
static void conn_input(
	struct worker *w, struct worker_conn *c, struct worker_out *o, struct conn_ahead ahead)
{
	enum worker_step step = ahead.plain.at != ahead.plain.end
		? conn_plains(w, c, o, ahead.plain)
		: conn_requests(w, c, o, ahead.common);

	for (unsigned n = 0; step == WORKER_STEP_ON; n++) {
		if (n == WORKER_CONN_BATCHES) {
			worker_conn_stall(w, c); // others' turn
			return;
		}
		step = conn_step(w, c, o);
	}
	if (step == WORKER_STEP_STALL) {
		worker_conn_stall(w, c);
		return;
	}
	// The peer will send no more, and what it sent is used up but for a broken end.
	if (c->peer_fin &&
		(c->state == WORKER_CONN_COMMAND
				? worker_conn_may_parse(w, c)
				: c->state == WORKER_CONN_FILL || c->state == WORKER_CONN_SWALLOW ||
					c->state == WORKER_CONN_WATCH)) {
		worker_fill_abandon(w, c);
		worker_watch_forget(w, c);
		c->state = WORKER_CONN_QUIT;
	}
}

static void conn_finish(struct worker *w, struct worker_conn *c)
{
	if (c->state == WORKER_CONN_QUIT) {
		// Input that nobody will read must not keep the window shut.
		tcp_rx_consume(w->tcp, c->tcp, tcp_rx_bytes(c->tcp));
		if (base_list_empty(&c->sink.slots)) {
			c->state = WORKER_CONN_SHUT;
			conn_close_tell(w, c);
			tcp_shutdown(w->tcp, c->tcp);
		}
	} else if (c->state == WORKER_CONN_SHUT && tcp_rx_bytes(c->tcp) > 0) {
		tcp_rx_consume(w->tcp, c->tcp, tcp_rx_bytes(c->tcp));
		// No reply can be lost, and one that only writes would learn of it too late.
		if (c->close == WORKER_CLOSE_IDLE)
			tcp_abort(w->tcp, c->tcp);
	}
}

// Input that cannot be taken now, though it is there.
static void conn_wait_note(struct worker *w, struct worker_conn *c, uint64_t requests_before)
{
	bool waits = !base_list_empty(&c->stalled_node) ||
		(!base_list_empty(&c->sink.slots) && c->state == WORKER_CONN_COMMAND &&
			tcp_rx_bytes(c->tcp) > 0);

	worker_latency_wait(w, &c->sink, waits, w->n.requests != requests_before);
}

static void conn_run(struct worker *w, struct worker_conn *c, struct conn_ahead ahead)
{
	uint64_t requests_before = w->n.requests;
	struct worker_out o;
	bool blocked;

	if (worker_watched(w))
		w->watch_cfd = worker_conn_mark(c);
	worker_out_init(w, &o, tcp_send_room(w->tcp, c->tcp), tcp_mss(c->tcp), 0);
	worker_out_sink(w, &o, &c->sink);
	conn_input(w, c, &o, ahead);
	w->n.bytes_written += o.bytes;
	if (o.first != NULL)
		tcp_send(w->tcp, c->tcp, o.first);
	// Room is left but a ready reply is not out, and nobody else will wake us: mbufs are short,
	// or input that was used up has given some back, so that there is more room now than at
	// first.
	blocked = !base_list_empty(&c->sink.slots) &&
		base_container_of(c->sink.slots.next, struct worker_slot, node)->state ==
			WORKER_SLOT_READY &&
		(o.bytes < o.room || tcp_send_room(w->tcp, c->tcp) > 0);
	if (blocked)
		worker_conn_stall(w, c);
	conn_wait_note(w, c, requests_before);
	conn_finish(w, c);
}

void worker_conn_resume(struct worker *w, struct worker_conn *c)
{
	conn_run(w, c, (struct conn_ahead){.plain = {.at = 0}});
}

// As memcached does it: the client is told, and the connection ends.
static void conn_refuse(struct worker *w, struct tcp_conn *t)
{
	static const char text[] = "ERROR Too many open connections\r\n";
	struct worker_out o;

	worker_out_init(w, &o, tcp_send_room(w->tcp, t), tcp_mss(t), 0);
	worker_out_append(w, &o, text, sizeof(text) - 1);
	w->n.bytes_written += o.bytes;
	if (o.first != NULL)
		tcp_send(w->tcp, t, o.first);
	tcp_shutdown(w->tcp, t);
}

// NULL: it is refused, and remains tcp's until it is closed.
static struct worker_conn *conn_accept(struct worker *w, struct tcp_conn *t)
{
	struct worker_conn *c;
	bool counted;

	switch (worker_access_conn(w, t, &counted)) {
	case WORKER_ENTRY_TELL:
		conn_refuse(w, t);
		return NULL;
	case WORKER_ENTRY_RESET:
		break;
	case WORKER_ENTRY_OPEN:
		c = conn_open(w, t, counted);
		if (c != NULL)
			return c;
		worker_access_conn_gone(w, t, counted);
	}
	tcp_abort(w->tcp, t);
	return NULL;
}

struct conn_event {
	struct tcp_conn *tcp;
	unsigned events;
	struct conn_ahead ahead;
};

static void conn_event(struct worker *w, const struct conn_event *e)
{
	struct tcp_conn *t = e->tcp;
	struct worker_conn *c = tcp_user(t);
	unsigned events = e->events;

	if (c == NULL && (events & TCP_EV_ACCEPTED))
		c = conn_accept(w, t);
	if (events & TCP_EV_CLOSED) {
		if (c != NULL)
			worker_conn_close(w, c);
		tcp_release(w->tcp, t);
		return;
	}
	if (c == NULL) { // refused: what it says is not read
		tcp_rx_consume(w->tcp, t, tcp_rx_bytes(t));
		return;
	}
	if (events & (TCP_EV_ACCEPTED | TCP_EV_READABLE))
		c->heard_s = worker_now_s(w);
	if (events & TCP_EV_FIN)
		c->peer_fin = true;
	conn_run(w, c, e->ahead);
}

// Nothing that one connection does reaches the input of another, so that may be parsed before.
static void conn_event_ahead(struct worker *w, struct conn_event *e)
{
	const struct worker_conn *c = tcp_user(e->tcp);

	e->ahead = (struct conn_ahead){.plain = {.at = 0}};
	if (c == NULL || c->state != WORKER_CONN_COMMAND || !base_list_empty(&c->sink.slots))
		return;
	e->ahead.plain = conn_plain_ahead(w, c);
	if (e->ahead.plain.at == e->ahead.plain.end)
		e->ahead.common = conn_ahead(w, c);
}

// How many connections are served before the next look at what they were answered.
static void conn_batch_fit(struct worker *w, uint64_t bytes)
{
	if (bytes > WORKER_BULK_BYTES)
		w->conn_batch = RTE_MAX(w->conn_batch / 2, 1u);
	else if (bytes < WORKER_BULK_BYTES / 4)
		w->conn_batch = RTE_MIN(w->conn_batch * 2, (unsigned)WORKER_BURST);
}

// Long replies end the turn: what is copied into frames is to reach the device while a cache has
// it.
unsigned worker_conn_events(struct worker *w)
{
	uint64_t start = w->n.bytes_written, before;
	struct conn_event e[WORKER_BURST];
	unsigned n, all = 0;

	do {
		before = w->n.bytes_written;
		for (n = 0; n < w->conn_batch && worker_ahead_room(w) && worker_plain_room(w);
			n++) {
			e[n].tcp = tcp_event_next(w->tcp, &e[n].events);
			if (e[n].tcp == NULL)
				break;
			conn_event_ahead(w, &e[n]);
		}
		worker_ahead_fetch(w, (struct worker_range){.end = w->ahead.n});
		worker_plain_fetch(w, (struct worker_range){.end = w->plains.n});
		for (unsigned i = 0; i < n; i++)
			conn_event(w, &e[i]);
		w->ahead.n = w->plains.n = 0;
		w->plains.foreign = false;
		all += n;
		conn_batch_fit(w, w->n.bytes_written - before);
	} while (n > 0 && w->n.bytes_written - start < WORKER_BULK_BYTES);
	return all;
}

unsigned worker_conn_stalled_turn(struct worker *w)
{
	struct base_list batch;
	unsigned n = 0;

	// Those that stall again go to the end of the worker's list, not of the batch.
	base_list_init(&batch);
	while (n < WORKER_STALLED_BATCH && !base_list_empty(&w->stalled)) {
		base_list_append(&batch, base_list_pop(&w->stalled));
		n++;
	}
	while (!base_list_empty(&batch)) {
		struct base_list *node = base_list_pop(&batch);

		worker_conn_resume(w, base_container_of(node, struct worker_conn, stalled_node));
	}
	return n;
}

void worker_conns_reset(struct worker *w)
{
	base_list_for_each_safe (node, tmp, &w->conns) {
		struct worker_conn *c = base_container_of(node, struct worker_conn, node);
		struct tcp_conn *t = c->tcp;

		worker_conn_close(w, c);
		tcp_abort(w->tcp, t);
	}
}
