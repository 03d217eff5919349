// SPDX-License-Identifier: BSD-3-Clause
// Requests over UDP: one message in, one message of numbered datagrams out. A datagram that has to
// wait for other shards is kept as a small object; one that does not never leaves the stack.

#include <errno.h>

#include <rte_malloc.h>

#include "worker/worker_admin.h"
#include "worker/worker_udp.h"

int worker_dgrams_open(struct worker *w)
{
	base_list_init(&w->dgrams_free);
	w->dgrams = rte_malloc_socket("worker datagrams", WORKER_DGRAMS * sizeof(*w->dgrams),
		BASE_CACHE_LINE, w->port->numa_node);
	if (w->dgrams == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < WORKER_DGRAMS; i++)
		base_list_append(&w->dgrams_free, &w->dgrams[i].node);
	return 0;
}

void worker_dgrams_close(struct worker *w)
{
	rte_free(w->dgrams);
	w->dgrams = NULL;
}

// Numbers the datagrams of a reply and sends them in order.
static void dgram_send(struct worker *w, const struct worker_dgram *d, struct worker_out *o)
{
	uint16_t sequence = 0;

	for (struct rte_mbuf *m = o->first, *next; m != NULL; m = next) {
		next = m->next;
		m->next = NULL;
		proto_udp_write(rte_pktmbuf_mtod(m, char *), d->request_id, sequence++, o->mbufs);
		net_udp_reply(w->net, m, &d->from, w->now.mono_us);
	}
	w->n.bytes_written += o->bytes;
}

static void out_free(struct worker_out *o)
{
	for (struct rte_mbuf *m = o->first, *next; m != NULL; m = next) {
		next = m->next;
		rte_pktmbuf_free_seg(m);
	}
	o->first = o->last = NULL;
}

// What is larger than the budget is not even put together.
static void dgram_out_init(struct worker *w, struct worker_out *o, uint32_t budget)
{
	worker_out_init(w, o, (uint32_t)base_min_u64(WORKER_UDP_REPLY_BYTES, budget),
		PROTO_UDP_PAYLOAD, PROTO_UDP_HEADER);
}

// The value of a set must lie in the datagram whole: a short one never waits for more.
static bool dgram_set(struct worker *w, struct worker_dgram *d, struct worker_out *o,
	const struct worker_request *q, const char *rest, size_t rest_bytes)
{
	const struct proto_request *r = &q->r;
	struct worker_slot *s;
	struct store_item *it;

	if (!worker_dispatch_ready(w, q->owner))
		return false;
	w->n.requests++;
	if (worker_watched(w) && worker_detail_on(w))
		worker_detail_set(w, r);
	if (rest_bytes < (size_t)r->value_bytes + proto_value_end(r) ||
		(proto_value_end(r) > 0 && !proto_data_end_valid(rest + r->value_bytes))) {
		w->result = (struct exec_result){.proto.status = PROTO_BAD_CHUNK};
		worker_reply_local(w, &d->sink, o, r, &w->result);
		return true;
	}
	if (q->owner == w->id) {
		exec_reserve(&w->exec, r, q->hash, &it, &w->result);
		if (it != NULL) {
			store_value_write(it, 0, rest, r->value_bytes);
			exec_commit(&w->exec, r, q->hash, it, &w->result);
		}
		worker_reply_local(w, &d->sink, o, r, &w->result);
		return true;
	}
	s = worker_slot_take(w, &d->sink);
	base_assert(s != NULL);
	s->payload = mem_try_alloc(w->mem, MEM_INPUT, r->value_bytes + 1, NULL);
	if (s->payload == NULL) {
		worker_slot_free(w, s);
		return false;
	}
	s->payload_bytes = r->value_bytes + 1;
	memcpy(s->payload, rest, r->value_bytes);
	worker_slot_request_set(s, r, q->hash);
	s->owner = (uint16_t)q->owner;
	s->stamp.kind = WORKER_KIND_SET;
	w->n.requests_remote++;
	worker_msg_send(w, s, WORKER_MSG_SET);
	return true;
}

// One request of the datagram; *skip gets the bytes behind it that belong to it. False: dropped for
// want of a slot or a credit.
static bool dgram_request(struct worker *w, struct worker_dgram *d, struct worker_out *o,
	const struct worker_request *q, const char *rest, size_t rest_bytes, size_t *skip)
{
	const struct proto_request *r = &q->r;

	*skip = 0;
	switch ((enum proto_op)r->op) {
	case PROTO_OP_SET:
		*skip = (size_t)r->value_bytes + proto_value_end(r);
		return dgram_set(w, d, o, q, rest, rest_bytes);
	case PROTO_OP_STATS:
	case PROTO_OP_FLUSH_ALL:
		return worker_gather_begin(w, &d->sink, o, r);
	case PROTO_OP_ADMIN:
		return worker_admin_dgram(w, &d->sink, o, r);
	case PROTO_OP_QUIT:
		return true; // no connection to close, nothing to say
	case PROTO_OP_CLOSE:
		*skip = rest_bytes;
		if (base_list_empty(&w->slots_free))
			return false;
		worker_reply_constant(w, &d->sink, o, r);
		return true;
	default:
		if (!worker_dispatch_ready(w, q->owner))
			return false;
		if (r->op == PROTO_OP_GET && r->first_key)
			worker_out_mark(o);
		if (r->rollback)
			worker_rollback(w, &d->sink, o);
		*skip = (size_t)base_min_u64(r->swallow_bytes, rest_bytes);
		worker_dispatch(w, &d->sink, o, q);
		return true;
	}
}

// Executes what was parsed of the datagram, and parses on; false as above.
static bool dgram_requests(struct worker *w, struct worker_dgram *d, struct worker_out *o,
	const struct worker_arrival *in)
{
	unsigned mark = w->ahead.n;
	struct worker_range range = in->ahead;
	const char *data = in->data;
	size_t len = in->len, skip = 0;

	while (range.at < range.end) { // empty: a last line without its end is not a request
		const struct worker_request *q = NULL;

		for (; range.at < range.end; range.at++) {
			q = &w->ahead.request[range.at];
			if (d->sink.slot_count == WORKER_SLOTS / 4)
				return false;
			data += q->r.consumed;
			len -= q->r.consumed;
			if (!dgram_request(w, d, o, q, data, len, &skip))
				return false;
		}
		skip = (size_t)base_min_u64(skip, len);
		data += skip;
		len -= skip;
		if (len == 0)
			break;
		w->ahead.n = mark;
		range = worker_ahead_parse(w, &q->after, data, len);
		worker_ahead_fetch(w, range);
	}
	return true;
}

// All replies are in: send, or give up when they are more than a UDP message can carry.
static void dgram_finish(struct worker *w, struct worker_dgram *d, struct worker_out *o)
{
	if (!base_list_empty(&d->sink.slots)) {
		// mbufs ran out, or the reply is larger than the bound
		worker_sink_orphan(w, &d->sink);
		out_free(o);
		if (d->budget < WORKER_UDP_REPLY_BYTES)
			w->n.udp_amplified++;
		else
			w->n.udp_dropped++;
		return;
	}
	if (!worker_udp_may_send(w, d, o)) {
		out_free(o);
		return;
	}
	dgram_send(w, d, o);
}

static bool sink_ready(const struct worker_sink *sink)
{
	base_list_for_each (node, &sink->slots) {
		if (base_container_of(node, struct worker_slot, node)->state != WORKER_SLOT_READY)
			return false;
	}
	return true;
}

// Slots are still away: the datagram moves off the stack, with what is composed already.
static bool dgram_keep(struct worker *w, struct worker_dgram *d, struct worker_out *o)
{
	struct base_list *node;
	struct worker_dgram *kept;
	struct worker_slot *s;

	node = base_list_pop(&w->dgrams_free);
	if (node == NULL)
		return false;
	kept = base_container_of(node, struct worker_dgram, node);
	kept->from = d->from;
	kept->request_id = d->request_id;
	kept->budget = d->budget;
	kept->early = o->first;
	kept->early_last = o->last;
	kept->early_bytes = o->bytes;
	kept->early_mbufs = o->mbufs;
	worker_sink_init(&kept->sink, true);
	while ((node = base_list_pop(&d->sink.slots)) != NULL) {
		s = base_container_of(node, struct worker_slot, node);
		base_list_append(&kept->sink.slots, node);
		kept->sink.slot_count++;
		s->sink = &kept->sink;
	}
	kept->sink.pinned_bytes = d->sink.pinned_bytes;
	return true;
}

static void arrival_run(struct worker *w, const struct worker_arrival *in)
{
	struct worker_dgram d = {
		.from = in->from, .request_id = in->request_id, .budget = in->budget};
	unsigned mark = w->ahead.n;
	struct worker_out o;

	worker_sink_init(&d.sink, true);
	dgram_out_init(w, &o, in->budget);
	w->watch_cfd = 0;
	if (!dgram_requests(w, &d, &o, in)) {
		w->n.udp_dropped++;
		worker_sink_orphan(w, &d.sink);
		out_free(&o);
	} else if (sink_ready(&d.sink)) {
		worker_out_sink(w, &o, &d.sink);
		dgram_finish(w, &d, &o);
	} else if (!dgram_keep(w, &d, &o)) {
		w->n.udp_dropped++;
		worker_sink_orphan(w, &d.sink);
		out_free(&o);
	}
	w->ahead.n = mark;
	rte_pktmbuf_free(in->m);
}

void worker_udp_run(struct worker *w)
{
	worker_ahead_fetch(w, (struct worker_range){.end = w->ahead.n});
	for (unsigned i = 0; i < w->arrivals; i++)
		arrival_run(w, &w->arrival[i]);
	w->arrivals = 0;
	w->ahead.n = 0;
}

void worker_udp_input(struct worker *w, struct rte_mbuf *m, const struct net_packet *pkt)
{
	struct worker_arrival *in;
	struct proto_parser parser;
	struct proto_udp frame;
	const char *data;

	worker_quick_run(w); // what came before goes first, and may become an arrival
	in = &w->arrival[w->arrivals];
	w->n.udp_requests++;
	data = rte_pktmbuf_read(m, pkt->data_off, pkt->data_len, w->datagram);
	if (data == NULL || !proto_udp_parse(data, pkt->data_len, &frame)) {
		w->n.udp_malformed++;
		rte_pktmbuf_free(m);
		return;
	}
	if (!worker_udp_budget(w, pkt, &in->budget)) {
		rte_pktmbuf_free(m);
		return;
	}
	w->n.bytes_read += pkt->data_len;
	in->m = m;
	in->data = data + PROTO_UDP_HEADER;
	in->len = (size_t)pkt->data_len - PROTO_UDP_HEADER;
	in->request_id = frame.request_id;
	in->from = *pkt;
	proto_parser_init(&parser, w->settings->item_bytes_max);
	proto_parser_restrict(&parser, (enum proto_language)w->settings->language, false);
	in->ahead = worker_ahead_parse(w, &parser, in->data, in->len);
	w->arrivals++;
	// what had to be put together lies in a buffer that the next one may need
	if (w->arrivals == WORKER_BURST || !worker_ahead_room(w) || data == w->datagram)
		worker_udp_run(w);
}

void worker_dgram_resume(struct worker *w, struct worker_dgram *d)
{
	struct worker_out o;

	if (!sink_ready(&d->sink))
		return;
	dgram_out_init(w, &o, d->budget);
	o.first = d->early;
	o.last = d->early_last;
	o.bytes = d->early_bytes;
	o.mbufs = d->early_mbufs;
	worker_out_sink(w, &o, &d->sink);
	dgram_finish(w, d, &o);
	base_list_remove(&d->node); // it may have been woken, too
	base_list_append(&w->dgrams_free, &d->node);
}
