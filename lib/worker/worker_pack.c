// SPDX-License-Identifier: BSD-3-Clause
// Packs: plain requests to one shard travel as they would be spelt by a machine, one behind the
// other, and their answers come back as the text that the client gets. So a request costs the lines
// of its bytes, not those of a slot; short values leave nothing to be given back.

#include <errno.h>

#include <rte_malloc.h>

#include "worker/worker_admin.h"
#include "worker/worker_compose.h"

struct packed { // before a request's key and, of a set, its numbers and value
	uint64_t hash;
	uint8_t op, key_len, return_count;
	bool first, end;
	char returns[PROTO_PLAIN_RETURNS];
};
static_assert(sizeof(struct packed) == 16, "of every request");

struct packed_set {
	uint32_t client_flags, exptime, value_bytes;
};

int worker_packs_open(struct worker *w)
{
	base_list_init(&w->packs_free);
	w->packs = rte_malloc_socket("worker packs", WORKER_PACKS * sizeof(*w->packs),
		BASE_CACHE_LINE, w->port->numa_node);
	if (w->packs == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < WORKER_PACKS; i++)
		base_list_append(&w->packs_free, &w->packs[i].node);
	w->packs_out = 0;
	return 0;
}

void worker_packs_close(struct worker *w)
{
	base_assert(w->packs_out == 0);
	rte_free(w->packs);
	w->packs = NULL;
}

// ---- requester's side --------------------------------------------------------------------------
static uint32_t packed_bytes(const struct proto_plain *l)
{
	uint32_t n = sizeof(struct packed) + l->key_len;

	return l->op == PROTO_OP_SET ? n + sizeof(struct packed_set) + l->value_bytes : n;
}

static inline uint32_t answer_around(const struct proto_plain *l)
{
	return WORKER_PACK_AROUND + l->key_len;
}

static bool pack_fits(const struct worker_pack *k, const struct proto_plain *l)
{
	return k->requests < WORKER_PACK_REQUESTS &&
		k->bytes + packed_bytes(l) <= WORKER_PACK_ROOM &&
		k->text_bytes + (k->reserved - k->reserved_served) + answer_around(l) <=
		WORKER_PACK_TEXT;
}

static struct worker_pack *pack_take(struct worker *w, unsigned owner)
{
	// The one freed last, as with slots.
	struct base_list *node = w->packs_free.prev;
	struct worker_pack *k;

	if (node == &w->packs_free)
		return NULL;
	base_list_remove(node);
	k = base_container_of(node, struct worker_pack, node);
	k->owner = (uint16_t)owner;
	k->users = 1;
	k->trains = 0;
	k->requests = k->served = k->helds = 0;
	k->release = false;
	k->bytes = k->bytes_served = 0;
	k->reserved = k->reserved_served = 0;
	k->text_bytes = 0;
	w->packs_out++;
	return k;
}

struct worker_pack *worker_pack_for(struct worker *w, unsigned owner, const struct proto_plain *l)
{
	struct worker_peer *p = &w->peer[owner];

	if (base_unlikely(l->op == PROTO_OP_SET && l->value_bytes > WORKER_PACK_VALUE))
		return NULL;
	if (base_likely(p->open != NULL)) {
		if (base_likely(pack_fits(p->open, l)))
			return p->open;
		worker_pack_leave(w, p);
	}
	if (owner != w->id && !worker_credit(w, owner))
		return NULL;
	p->open = pack_take(w, owner);
	if (p->open != NULL && owner != w->id)
		p->in_flight++; // its place in the ring
	return p->open;
}

void worker_pack_add(struct worker_pack *k, const struct proto_plain *l, uint64_t hash)
{
	struct packed head = {.hash = hash,
		.op = l->op,
		.key_len = l->key_len,
		.return_count = l->return_count,
		.first = l->first,
		.end = l->end};
	char *at = k->room + k->bytes;

	if (l->op == PROTO_OP_META_GET)
		memcpy(head.returns, l->returns, sizeof(head.returns));
	else
		head.return_count = 0;
	at = worker_put(at, &head, sizeof(head));
	if (l->op == PROTO_OP_SET) {
		struct packed_set set = {l->client_flags, l->exptime, l->value_bytes};

		at = worker_put(at, &set, sizeof(set));
	}
	at = worker_put(at, l->key, l->key_len);
	if (l->op == PROTO_OP_SET)
		at = worker_put(at, l->value, l->value_bytes);
	k->bytes = (uint32_t)(at - k->room);
	k->reserved += answer_around(l);
	k->requests++;
}

void worker_pack_leave(struct worker *w, struct worker_peer *p)
{
	struct worker_pack *k = p->open;
	bool pushed;

	p->open = NULL;
	if (k->owner == w->id) {
		worker_pack_unref(w, k);
		return;
	}
	pushed = worker_ring_push(p->send, worker_pack_mark(k));
	base_assert(pushed); // it has had its place since it was opened
}

void worker_packs_leave(struct worker *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->peer[i].open != NULL)
			worker_pack_leave(w, &w->peer[i]);
	}
}

void worker_pack_home(struct worker *w, struct worker_peer *p, struct worker_pack *k)
{
	base_assert(p->in_flight > 0);
	p->in_flight--;
	for (uint32_t at = 0; at < k->text_bytes; at += BASE_CACHE_LINE)
		base_prefetch(k->text + at); // it is written out when all are home
	for (unsigned i = 0; i < k->trains; i++)
		worker_train_part_home(w, k->train[i]);
	k->trains = 0;
	worker_pack_unref(w, k);
}

static void pack_send(struct worker_peer *p, struct worker_pack *k)
{
	bool pushed = worker_ring_push(p->send, worker_pack_mark(k));

	base_assert(pushed);
	p->in_flight++;
}

void worker_packs_waiting_send(struct worker_peer *p)
{
	while (!base_list_empty(&p->packs_waiting) && p->in_flight <= p->send->mask) {
		struct base_list *node = base_list_pop(&p->packs_waiting);

		pack_send(p, base_container_of(node, struct worker_pack, node));
	}
}

static void helds_unref(struct worker *w, struct worker_pack *k)
{
	for (unsigned i = 0; i < k->helds; i++)
		store_unref(w->store, k->held[i].item);
	k->helds = 0;
}

void worker_pack_unref(struct worker *w, struct worker_pack *k)
{
	struct worker_peer *p = &w->peer[k->owner];

	base_assert(k->users > 0);
	if (--k->users > 0)
		return;
	if (base_unlikely(k->helds > 0) && k->owner != w->id) {
		k->users = 1;
		k->release = true;
		if (p->in_flight <= p->send->mask)
			pack_send(p, k);
		else
			base_list_append(&p->packs_waiting, &k->node);
		return;
	}
	helds_unref(w, k);
	base_list_append(&w->packs_free, &k->node);
	w->packs_out--;
}

// ---- owner's side ------------------------------------------------------------------------------
static uint32_t packed_read(
	const struct worker_pack *k, uint32_t at, struct proto_plain *l, uint64_t *hash)
{
	const char *p = k->room + at;
	struct packed head;

	memcpy(&head, p, sizeof(head));
	p += sizeof(head);
	*hash = head.hash;
	l->op = head.op;
	l->key_len = head.key_len;
	l->return_count = head.return_count;
	memcpy(l->returns, head.returns, sizeof(l->returns));
	l->first = head.first;
	l->end = head.end;
	l->consumed = 2; // a line's end, which proto_plain_request takes off
	if (head.op == PROTO_OP_SET) {
		struct packed_set set;

		memcpy(&set, p, sizeof(set));
		p += sizeof(set);
		l->client_flags = set.client_flags;
		l->exptime = set.exptime;
		l->value_bytes = set.value_bytes;
		l->value = p + l->key_len;
		l->consumed = set.value_bytes + 2;
	}
	l->key = p;
	return at + packed_bytes(l);
}

static void answer_end(struct worker_pack *k, const struct proto_plain *l, const char *end)
{
	k->text_bytes = (uint32_t)(end - k->text);
	k->end[k->served++] = (uint16_t)k->text_bytes;
	k->reserved_served += answer_around(l);
}

// What exec found, in the words of the common way.
static void apply_result(struct worker *w, struct worker_pack *k, const struct proto_plain *l,
	struct proto_request *r)
{
	struct exec_result *res = &w->result;
	char *at = k->text + k->text_bytes;
	struct proto_reply reply;

	proto_compose(r, &res->proto, w->head, &reply);
	base_assert(reply.head_len + reply.tail_len + 5u <= answer_around(l));
	at = worker_put(at, w->head, reply.head_len);
	if (reply.value) {
		struct worker_held *h = &k->held[k->helds++];

		h->item = res->item;
		h->at = (uint32_t)(at - k->text);
		h->request = k->served;
		store_value_spans(res->item, h->value);
	} else if (res->item != NULL) {
		store_unref(w->store, res->item);
	}
	at = worker_put(at, reply.tail, reply.tail_len);
	if (l->op == PROTO_OP_GET && l->end)
		at = worker_put(at, "END\r\n", 5);
	answer_end(k, l, at);
}

static bool apply_set(struct worker *w, struct worker_pack *k, const struct proto_plain *l,
	const struct store_look *look)
{
	struct proto_request r;
	struct store_item *it;

	if (base_likely(!worker_watched(w)) && exec_set_over(&w->exec, l, look)) {
		answer_end(k, l, worker_put(k->text + k->text_bytes, "STORED\r\n", 8));
		return true;
	}
	proto_plain_request(l, &r);
	if (worker_loan_wait(w, &r))
		return false;
	exec_reserve(&w->exec, &r, look->hash, &it, &w->result);
	if (it != NULL) {
		store_value_write(it, 0, l->value, l->value_bytes);
		exec_commit(&w->exec, &r, look->hash, it, &w->result);
	}
	apply_result(w, k, l, &r);
	return true;
}

static inline bool apply_get(struct worker *w, struct worker_pack *k, const struct proto_plain *l,
	const struct store_look *look)
{
	uint32_t free = WORKER_PACK_TEXT - k->text_bytes - (k->reserved - k->reserved_served);
	uint32_t most = RTE_MIN(free, (uint32_t)WORKER_PACK_VALUE);
	char *at = k->text + k->text_bytes;
	struct store_item *it;

	if (base_unlikely(worker_watched(w)))
		return false;
	if (l->op == PROTO_OP_META_GET) {
		if (!exec_meta_get_small(&w->exec, l->key, l->key_len, look, most, &it))
			return false;
		at = it != NULL ? worker_meta_compose(at, l, it) : worker_put(at, "EN\r\n", 4);
	} else {
		if (!exec_get_small(&w->exec, l->key, l->key_len, look, most, &it))
			return false;
		if (it != NULL)
			at = worker_value_compose(at, it);
		if (l->end)
			at = worker_put(at, "END\r\n", 5);
	}
	answer_end(k, l, at);
	return true;
}

static bool pack_apply(struct worker *w, struct worker_pack *k, const struct proto_plain *l,
	const struct store_look *look)
{
	struct proto_request r;

	if (l->op == PROTO_OP_SET)
		return apply_set(w, k, l, look);
	if (base_likely(apply_get(w, k, l, look)))
		return true;
	proto_plain_request(l, &r);
	exec_apply(&w->exec, &r, look->hash, &w->result);
	apply_result(w, k, l, &r);
	return true;
}

bool worker_pack_run(struct worker *w, struct worker_pack *k, const struct proto_plain *l,
	const struct store_look *look)
{
	k->requests++;
	k->reserved += answer_around(l);
	if (base_likely(pack_apply(w, k, l, look)))
		return true;
	k->requests--;
	k->reserved -= answer_around(l);
	return false;
}

bool worker_pack_serve(struct worker *w, struct worker_pack *k)
{
	unsigned n = k->requests - k->served;
	struct worker_plain *q = w->plains.request;
	struct store_look *look = w->plains.look;
	uint32_t at = k->bytes_served;
	uint64_t hash;

	if (base_unlikely(k->release)) {
		helds_unref(w, k);
		return true;
	}
	base_assert(w->plains.n == 0 && n <= WORKER_AHEAD_MAX);
	for (unsigned i = 0; i < n; i++) {
		// where the answers will lie, in lines that the requester had last
		base_prefetch_write(k->text + k->text_bytes + i * BASE_CACHE_LINE);
		at = packed_read(k, at, &q[i].line, &hash);
		store_look_begin(w->store, hash, &look[i]);
	}
	store_looks_fetch(w->store, look, n);
	for (unsigned i = 0; i < n; i++) {
		if (base_unlikely(!pack_apply(w, k, &q[i].line, &look[i])))
			return false;
		k->bytes_served += packed_bytes(&q[i].line);
	}
	return true;
}
