// SPDX-License-Identifier: BSD-3-Clause
// incr, decr, ma: 64-bit counters kept as decimal text.
#include "exec/exec_internal.h"

static uint64_t exec_arith_apply(const struct proto_request *r, uint64_t v)
{
	if (!r->decr)
		return v + r->delta;
	return r->delta > v ? 0 : v - r->delta;
}

// The new number in an item of its own: the old one is too short, or being read.
static struct store_item *exec_arith_replace(
	struct exec *ex, struct store_item *old, uint64_t hash, const char *text, uint32_t len)
{
	char key_copy[PROTO_KEY_MAX];
	struct store_key key = {key_copy, store_item_key_len(old), hash};
	uint32_t client_flags = store_item_client_flags(old), deadline_s = old->deadline_s;
	struct store_item *it;

	base_assert(key.len <= sizeof(key_copy));
	memcpy(key_copy, store_item_key(old), key.len); // the reserve may evict `old`
	if (store_reserve(ex->store, &key, client_flags, deadline_s, len, &it) != STORE_OK)
		return NULL;
	store_value_write(it, 0, text, len);
	store_commit(ex->store, it, hash, 0);
	return it;
}

static struct store_item *exec_arith_write(
	struct exec *ex, struct store_item *it, uint64_t hash, const char *text, uint32_t len)
{
	bool grown = len > it->value_bytes;

	if (!store_writable(it) || (grown && !store_value_resize(ex->store, it, len)))
		return exec_arith_replace(ex, it, hash, text, len);
	store_value_write(it, 0, text, len);
	if (grown) { // memcached makes a new item of it, neither stale nor fetched
		store_value_changed(ex->store, it, 0);
		return it;
	}
	store_value_fill(it, len, ' ', it->value_bytes - len); // memcached keeps the width
	it->cas = store_cas_next(ex->store);
	exec_bump(ex, it);
	return it;
}

// ma N on a miss: the item starts at J.
static struct store_item *exec_arith_vivify(
	struct exec *ex, const struct proto_request *r, uint64_t hash)
{
	struct store_key key = {r->key, r->key_len, hash};
	char text[EXEC_NUMBER_DIGITS];
	uint32_t len = (uint32_t)base_u64_format(text, r->initial);
	struct store_item *it;

	if (store_reserve(ex->store, &key, 0, 0, len, &it) != STORE_OK)
		return NULL;
	store_value_write(it, 0, text, len);
	store_commit(ex->store, it, hash, 0);
	return it;
}

// As in mg: flags about time act in the order in which they were written.
static void exec_arith_times(struct exec *ex, const struct proto_request *r, struct store_item *it,
	bool created, struct exec_result *out)
{
	for (unsigned i = 0; i < r->return_count; i++) {
		if (r->returns[i] == 'T')
			store_deadline_set(ex->store, it, exec_deadline_of(ex, r->exptime));
		else if (r->returns[i] == 'N' && created)
			store_deadline_set(ex->store, it, exec_deadline_of(ex, r->vivify_ttl));
		else if (r->returns[i] == 't')
			out->proto.ttl_s = exec_ttl(ex, it);
	}
}

static void exec_arith_finish(struct exec *ex, const struct proto_request *r, struct store_item *it,
	bool created, uint64_t number, struct exec_result *out)
{
	exec_number_mark(it); // the digits were just written
	if (exec_has(r, 'E'))
		it->cas = r->cas_set;
	exec_describe(ex, it, out);
	exec_arith_times(ex, r, it, created, out);
	out->proto.key_base64 = r->key_base64;
	out->proto.has_number = true;
	out->proto.number = number;
}

static void exec_arith_miss(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it;

	if (!exec_has(r, 'N')) {
		ex->n.incr_misses += !r->decr;
		ex->n.decr_misses += r->decr;
		out->proto.status = PROTO_MISS;
		return;
	}
	it = exec_arith_vivify(ex, r, hash);
	if (!it) {
		out->proto.status = PROTO_NO_MEMORY;
		return;
	}
	exec_arith_finish(ex, r, it, true, r->initial, out);
}

void exec_arith(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it = exec_find(ex, r->key, r->key_len, hash);
	char text[EXEC_NUMBER_DIGITS];
	uint64_t number;

	if (base_unlikely(ex->tell != NULL))
		exec_tell_found(ex, r->key, r->key_len, it);
	out->proto.key_base64 = r->key_base64;
	if (!it) {
		exec_arith_miss(ex, r, hash, out);
		return;
	}
	if (it->value_bytes == 0) {
		out->proto.status = PROTO_NON_NUMERIC;
		return;
	}
	// C0 compares nothing, as in memcached
	if (exec_has(r, 'C') && r->cas_compare != 0 && r->cas_compare != it->cas) {
		out->proto.status = PROTO_EXISTS;
		return;
	}
	if (!exec_number_of(it, &number)) {
		out->proto.status = PROTO_NON_NUMERIC;
		return;
	}
	number = exec_arith_apply(r, number);
	ex->n.incr_hits += !r->decr;
	ex->n.decr_hits += r->decr;
	it = exec_arith_write(ex, it, hash, text, (uint32_t)base_u64_format(text, number));
	if (!it) {
		out->proto.status = PROTO_NO_MEMORY;
		return;
	}
	exec_arith_finish(ex, r, it, false, number, out);
}
