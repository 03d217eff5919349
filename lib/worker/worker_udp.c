// SPDX-License-Identifier: BSD-3-Clause
// Requests over UDP: one message in, one message of numbered datagrams out. A datagram that has to
// wait for other shards is kept as a small object; one that does not never leaves the stack.

#include <errno.h>

#include <rte_malloc.h>

#include "worker/worker_internal.h"

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

static void dgram_out_init(struct worker *w, struct worker_out *o)
{
	worker_out_init(w, o, WORKER_UDP_REPLY_BYTES, PROTO_UDP_PAYLOAD, PROTO_UDP_HEADER);
}

// The value of a set must lie in the datagram whole: a short one never waits for more.
static bool dgram_set(struct worker *w, struct worker_dgram *d, struct worker_out *o,
	const struct proto_request *r, const char *rest, size_t rest_bytes)
{
	struct worker_slot *s;
	struct store_item *it;
	uint64_t hash;
	unsigned owner = worker_request_owner(w, r, &hash);

	if (!worker_dispatch_ready(w, owner))
		return false;
	w->n.requests++;
	if (rest_bytes < (size_t)r->value_bytes + 2 ||
		!proto_data_end_valid(rest + r->value_bytes)) {
		w->result = (struct exec_result){.proto.status = PROTO_BAD_CHUNK};
		worker_reply_local(w, &d->sink, o, r, &w->result);
		return true;
	}
	if (owner == w->id) {
		exec_reserve(&w->exec, r, hash, &it, &w->result);
		if (it != NULL) {
			memcpy(store_item_value(it), rest, r->value_bytes);
			exec_commit(&w->exec, r, hash, it, &w->result);
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
	worker_slot_request_set(s, r, hash);
	s->owner = (uint16_t)owner;
	w->n.requests_remote++;
	worker_msg_send(w, s, WORKER_MSG_SET);
	return true;
}

// One request of the datagram; *skip gets the bytes behind it that belong to it. False: dropped for
// want of a slot or a credit.
static bool dgram_request(struct worker *w, struct worker_dgram *d, struct worker_out *o,
	const struct proto_request *r, const char *rest, size_t rest_bytes, size_t *skip)
{
	uint64_t hash;

	*skip = 0;
	switch ((enum proto_op)r->op) {
	case PROTO_OP_SET:
		*skip = (size_t)r->value_bytes + 2;
		return dgram_set(w, d, o, r, rest, rest_bytes);
	case PROTO_OP_STATS:
	case PROTO_OP_FLUSH_ALL:
		return worker_gather_begin(w, &d->sink, o, r);
	case PROTO_OP_QUIT:
		return true; // no connection to close, nothing to say
	case PROTO_OP_CLOSE:
		*skip = rest_bytes;
		if (base_list_empty(&w->slots_free))
			return false;
		if (r->reply_text != NULL)
			worker_reply_text(w, &d->sink, o, r->reply_text);
		return true;
	default:
		if (!worker_dispatch_ready(w, worker_request_owner(w, r, &hash)))
			return false;
		if (r->op == PROTO_OP_GET && r->first_key)
			worker_out_mark(o);
		if (r->rollback)
			worker_rollback(w, &d->sink, o);
		*skip = (size_t)base_min_u64(r->swallow_bytes, rest_bytes);
		worker_dispatch(w, &d->sink, o, r);
		return true;
	}
}

static bool dgram_parse(struct worker *w, struct worker_dgram *d, struct worker_out *o,
	const char *data, size_t len)
{
	struct proto_parser parser;
	struct proto_request r;
	size_t skip;

	proto_parser_init(&parser, w->settings->item_bytes_max);
	while (len > 0) {
		enum proto_verdict v = proto_parse(&parser, data, len, &r);

		if (d->sink.slot_count == WORKER_SLOTS / 4)
			return false;
		base_assert(r.consumed <= len);
		data += r.consumed;
		len -= r.consumed;
		if (v == PROTO_MORE)
			break; // a datagram's last line without its end: not a request
		if (!dgram_request(w, d, o, &r, data, len, &skip))
			return false;
		skip = (size_t)base_min_u64(skip, len);
		data += skip;
		len -= skip;
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
		w->n.udp_dropped++;
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

void worker_udp_input(struct worker *w, struct rte_mbuf *m, const struct net_packet *pkt)
{
	struct worker_dgram d = {.from = *pkt};
	struct worker_out o;
	struct proto_udp frame;
	const char *data;

	w->n.udp_requests++;
	data = rte_pktmbuf_read(m, pkt->data_off, pkt->data_len, w->datagram);
	if (data == NULL || !proto_udp_parse(data, pkt->data_len, &frame)) {
		w->n.udp_malformed++;
		rte_pktmbuf_free(m);
		return;
	}
	w->n.bytes_read += pkt->data_len;
	d.request_id = frame.request_id;
	worker_sink_init(&d.sink, true);
	dgram_out_init(w, &o);
	if (!dgram_parse(
		    w, &d, &o, data + PROTO_UDP_HEADER, (size_t)pkt->data_len - PROTO_UDP_HEADER)) {
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
	rte_pktmbuf_free(m);
}

void worker_dgram_resume(struct worker *w, struct worker_dgram *d)
{
	struct worker_out o;

	if (!sink_ready(&d->sink))
		return;
	dgram_out_init(w, &o);
	o.first = d->early;
	o.last = d->early_last;
	o.bytes = d->early_bytes;
	o.mbufs = d->early_mbufs;
	worker_out_sink(w, &o, &d->sink);
	dgram_finish(w, d, &o);
	base_list_append(&w->dgrams_free, &d->node);
}
