// SPDX-License-Identifier: BSD-3-Clause
// Slots: a request and its reply, waiting in order or travelling to another worker.

#include <errno.h>

#include <rte_malloc.h>

#include "worker/worker_internal.h"

size_t worker_dpdk_bytes(void)
{
	return WORKER_SLOTS * sizeof(struct worker_slot) +
		WORKER_DGRAMS * sizeof(struct worker_dgram) +
		WORKER_PACKS * sizeof(struct worker_pack) + 3 * BASE_CACHE_LINE;
}

unsigned worker_slots_count(void)
{
	return WORKER_SLOTS;
}

int worker_slots_open(struct worker *w)
{
	base_list_init(&w->slots_free);
	// Like packet buffers: fixed at start, and no part of what maxmemory limits.
	w->slots = rte_malloc_socket("worker slots", WORKER_SLOTS * sizeof(*w->slots),
		BASE_CACHE_LINE, w->port->numa_node);
	if (w->slots == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < WORKER_SLOTS; i++) {
		w->slots[i].state = WORKER_SLOT_FREE;
		base_list_init(&w->slots[i].node);
		base_list_init(&w->slots[i].waiting);
		base_list_append(&w->slots_free, &w->slots[i].node);
	}
	w->slots_out = 0;
	return 0;
}

void worker_slots_close(struct worker *w)
{
	base_assert(w->slots_out == 0);
	rte_free(w->slots);
	w->slots = NULL;
}

void worker_sink_init(struct worker_sink *sink, bool udp)
{
	base_list_init(&sink->slots);
	sink->slot_count = 0;
	sink->pinned_bytes = 0;
	sink->udp = udp;
	sink->multi = false;
	sink->since_us = 0;
}

struct worker_slot *worker_slot_take(struct worker *w, struct worker_sink *sink)
{
	// The slot freed last is the one whose lines are still in the cache.
	struct base_list *node = w->slots_free.prev;
	struct worker_slot *s;

	if (node == &w->slots_free)
		return NULL;
	base_list_remove(node);
	s = base_container_of(node, struct worker_slot, node);
	base_assert(s->state == WORKER_SLOT_FREE);
	s->state = WORKER_SLOT_AWAY;
	s->sink = sink;
	s->gather = NULL;
	s->item = NULL;
	s->payload = NULL;
	s->payload_class = MEM_INPUT;
	s->payload_bytes = s->value_bytes = s->emitted = 0;
	s->value[0].bytes = s->value[1].bytes = 0;
	s->drop = s->item_held = s->is_train = false;
	s->refused = 0;
	s->owner = (uint16_t)w->id;
	s->req.key_len = 0;
	memset(&s->reply, 0, sizeof(s->reply));
	worker_stamp_set(w, sink, s);
	w->slots_out++;
	w->n.slots_used++;
	if (sink != NULL) {
		base_list_append(&sink->slots, &s->node);
		sink->slot_count++;
	}
	return s;
}

void worker_slot_free(struct worker *w, struct worker_slot *s)
{
	base_assert(s->state != WORKER_SLOT_FREE && !s->item_held && s->payload == NULL);
	if (s->sink != NULL)
		s->sink->slot_count--;
	base_list_remove(&s->node);
	s->sink = NULL;
	s->state = WORKER_SLOT_FREE;
	base_list_append(&w->slots_free, &s->node);
	w->slots_out--;
}

static void payload_free(struct worker *w, struct worker_slot *s)
{
	if (s->payload == NULL)
		return;
	mem_free(w->mem, (enum mem_class)s->payload_class, s->payload, s->payload_bytes);
	s->payload = NULL;
}

void worker_slot_done(struct worker *w, struct worker_slot *s)
{
	payload_free(w, s);
	if (s->is_train)
		worker_train_done(w, s);
	if (s->item_held && s->owner != w->id) {
		// The owner alone counts references: the slot itself carries the release.
		if (s->sink != NULL) {
			s->sink->slot_count--;
			s->sink = NULL;
		}
		base_list_remove(&s->node);
		worker_msg_send(w, s, WORKER_MSG_RELEASE);
		return;
	}
	if (s->item_held) {
		store_unref(w->store, s->item);
		s->item_held = false;
	}
	worker_slot_free(w, s);
}

void worker_slot_request_set(struct worker_slot *s, const struct proto_request *r, uint64_t hash)
{
	memcpy(&s->req, r, offsetof(struct proto_request, key_decoded));
	if (r->key_len > 0 && r->key != NULL) {
		memcpy(s->req.key_decoded, r->key, r->key_len);
		s->req.key = s->req.key_decoded;
	}
	s->hash = hash;
}

void worker_slot_result_set(struct worker_slot *s, const char *head,
	const struct proto_reply *reply, struct exec_result *res, uint32_t emitted)
{
	memcpy(s->head, head, reply->head_len);
	s->reply = *reply;
	s->emitted = emitted;
	s->item = res->item;
	s->item_held = res->item != NULL;
	if (reply->value) {
		store_value_spans(res->item, s->value);
		s->value_bytes = res->proto.value_bytes;
		s->sink->pinned_bytes += s->value_bytes;
	}
	s->state = WORKER_SLOT_READY;
}

void worker_sink_orphan(struct worker *w, struct worker_sink *sink)
{
	base_list_for_each_safe (node, tmp, &sink->slots) {
		struct worker_slot *s = base_container_of(node, struct worker_slot, node);

		base_list_remove(&s->node);
		s->sink = NULL;
		// A slot that is away comes home by itself and finds nobody.
		if (s->state == WORKER_SLOT_READY)
			worker_slot_done(w, s);
	}
	sink->slot_count = 0;
	sink->pinned_bytes = 0;
}
