// SPDX-License-Identifier: BSD-3-Clause
// stats detail: requests counted by the prefix of their keys. Each worker counts what it sees in a
// table of its own, which is bounded; a dump (worker_detail_dump.c) sums them. While it is off this
// costs nothing: it is asked about where watchers are (worker_watched).
//
//	bucket[hash of the prefix] --> record --> record    records lie one behind the other
//	                                                    in blocks, and go all at once

#include "worker/worker_admin.h"

#define BLOCKS_MAX  64
#define BLOCK_BYTES 65536
#define BLOCK_ROOM  (BLOCK_BYTES - sizeof(struct worker_prefix_block))

struct worker_prefix_block {
	struct worker_prefix_block *before;
	uint64_t used;
	char data[];
};

static_assert(WORKER_PREFIX_MAX <= BLOCK_ROOM, "each fits into a block");
static_assert(sizeof(struct worker_prefix_block) % _Alignof(struct worker_prefix) == 0, "aligned");

// ---- the table ---------------------------------------------------------------------------------
static void *block_take(struct worker *w, size_t bytes)
{
	struct worker_detail *d = &w->detail;
	struct worker_prefix_block *b = d->block;

	if (b == NULL || b->used + bytes > BLOCK_ROOM) {
		if (d->blocks == BLOCKS_MAX)
			return NULL;
		b = mem_try_alloc(w->mem, MEM_OTHER, BLOCK_BYTES, NULL);
		if (b == NULL)
			return NULL;
		b->before = d->block;
		b->used = 0;
		d->block = b;
		d->blocks++;
	}
	b->used += bytes;
	return b->data + b->used - bytes;
}

static bool buckets_open(struct worker *w)
{
	struct worker_detail *d = &w->detail;

	if (d->bucket == NULL)
		d->bucket = mem_try_calloc(w->mem, MEM_OTHER,
			WORKER_PREFIX_BUCKETS * sizeof(struct worker_prefix *), NULL);
	return d->bucket != NULL;
}

void worker_detail_clear(struct worker *w)
{
	struct worker_detail *d = &w->detail;

	while (d->block != NULL) {
		struct worker_prefix_block *b = d->block;

		d->block = b->before;
		mem_free(w->mem, MEM_OTHER, b, BLOCK_BYTES);
	}
	if (d->bucket != NULL)
		mem_free(w->mem, MEM_OTHER, d->bucket,
			WORKER_PREFIX_BUCKETS * sizeof(struct worker_prefix *));
	d->bucket = NULL;
	d->blocks = 0;
	w->n.detail_prefixes = 0;
}

// The record of a prefix; NULL: there is no room for one more.
static struct worker_prefix *prefix_of(struct worker *w, const char *text, uint8_t len)
{
	uint32_t hash = (uint32_t)base_hash(text, len);
	struct worker_prefix **at, *p;
	unsigned n = 0;

	if (!buckets_open(w))
		return NULL;
	for (at = &w->detail.bucket[worker_prefix_bucket(hash)]; *at != NULL; at = &(*at)->next) {
		if (worker_prefix_is(*at, hash, text, len))
			return *at;
		n++;
	}
	if (n == WORKER_PREFIX_CHAIN || w->n.detail_prefixes == WORKER_PREFIXES_MAX)
		return NULL;
	p = block_take(w, worker_prefix_bytes(len));
	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->hash = hash;
	p->len = len;
	memcpy(p->text, text, len);
	*at = p;
	w->n.detail_prefixes++;
	return p;
}

// What stands before the first delimiter; without one, or with a 0 byte before it, a key has no
// prefix, as in memcached.
static struct worker_prefix *prefix_of_key(struct worker *w, const char *key, uint8_t key_len)
{
	const char *end = memchr(key, worker_prefix_delimiter(w), key_len);
	struct worker_prefix *p;

	if (end == NULL || memchr(key, '\0', (size_t)(end - key)) != NULL)
		return NULL;
	p = prefix_of(w, key, (uint8_t)(end - key));
	w->n.detail_left_out += p == NULL;
	return p;
}

// ---- what is counted: as in memcached, nothing of the meta commands ----------------------------
void worker_detail_told(struct worker *w, const struct exec_told *e)
{
	struct worker_prefix *p;

	if (e->meta || e->look_up || e->op == PROTO_OP_SET) // sets: when their line came
		return;
	p = prefix_of_key(w, e->key, e->key_len);
	if (p == NULL)
		return;
	if (e->op == PROTO_OP_DELETE) {
		p->deletes++;
		return;
	}
	p->gets++;
	p->hits += e->status != PROTO_MISS;
}

void worker_detail_set(struct worker *w, const struct proto_request *r)
{
	struct worker_prefix *p = r->meta ? NULL : prefix_of_key(w, r->key, r->key_len);

	if (p != NULL)
		p->sets++;
}

// ---- on and off --------------------------------------------------------------------------------
void worker_detail_take(struct worker *w, uint64_t order)
{
	if (order <= w->detail.order)
		return; // a later one is known
	w->detail.order = order;
	worker_watch_orders(w);
}

enum worker_detail_word worker_detail_word(const char *args, size_t args_len)
{
	if (worker_words_begin(args, args_len, "detail on"))
		return WORKER_DETAIL_ON;
	if (worker_words_begin(args, args_len, "detail off"))
		return WORKER_DETAIL_OFF;
	return worker_words_begin(args, args_len, "detail dump") ? WORKER_DETAIL_DUMP
								 : WORKER_DETAIL_NONE;
}

// ---- this worker's part of a dump --------------------------------------------------------------
static uint32_t chain_bytes(const struct worker_prefix *p)
{
	uint32_t bytes = 0;

	for (; p != NULL; p = p->next)
		bytes += (uint32_t)worker_prefix_bytes(p->len);
	return bytes;
}

uint32_t worker_detail_slice(
	const struct worker *w, uint32_t from, char *buf, uint32_t size, uint32_t *len)
{
	*len = 0;
	if (w->detail.bucket == NULL)
		return WORKER_PREFIX_BUCKETS;
	for (uint32_t i = from; i < WORKER_PREFIX_BUCKETS; i++) {
		const struct worker_prefix *p = w->detail.bucket[i];

		if (*len + chain_bytes(p) > size)
			return i;
		for (; p != NULL; p = p->next) {
			memcpy(buf + *len, p, worker_prefix_bytes(p->len));
			*len += (uint32_t)worker_prefix_bytes(p->len);
		}
	}
	return WORKER_PREFIX_BUCKETS;
}
