// SPDX-License-Identifier: BSD-3-Clause
// Storage: set, add, replace, append, prepend, cas and ms, in two steps around the value's arrival.
#include "exec/exec_internal.h"

static bool exec_mode_joins(const struct proto_request *r)
{
	return r->mode == PROTO_MODE_APPEND || r->mode == PROTO_MODE_PREPEND;
}

// C (of ms, or of a binary command) turns set and replace into cas.
static bool exec_mode_cas(const struct proto_request *r)
{
	if (r->mode == PROTO_MODE_CAS)
		return true;
	return exec_has(r, 'C') && (r->mode == PROTO_MODE_SET || r->mode == PROTO_MODE_REPLACE);
}

void exec_reserve(struct exec *ex, const struct proto_request *r, uint64_t hash,
	struct store_item **item, struct exec_result *out)
{
	struct store_key key = {r->key, r->key_len, hash};
	bool vivify = r->meta && exec_mode_joins(r) && exec_has(r, 'N');
	uint32_t deadline_s = exec_deadline_of(ex, vivify ? r->vivify_ttl : r->exptime);
	enum store_verdict v;

	base_assert(r->op == PROTO_OP_SET);
	memset(out, 0, sizeof(*out));
	*item = NULL;
	v = store_reserve(ex->store, &key, r->client_flags, deadline_s, r->value_bytes, item);
	if (base_likely(v == STORE_OK)) {
		base_assert(*item != NULL);
		if (r->key_base64)
			(*item)->bits |= STORE_ITEM_BASE64;
		ex->n.cmd_set++;
		return;
	}
	*item = NULL;
	ex->n.store_too_large += v == STORE_TOO_LARGE;
	ex->n.store_no_memory += v == STORE_NO_MEMORY;
	out->proto.status = v == STORE_TOO_LARGE ? PROTO_TOO_LARGE : PROTO_NO_MEMORY;
	// nobody shall read the old value in the belief that it is the new one
	if (r->meta || r->mode == PROTO_MODE_SET) {
		struct store_item *old = exec_find(ex, r->key, r->key_len, hash);

		if (old)
			store_delete(ex->store, old, hash);
	}
	if (base_unlikely(ex->tell != NULL))
		exec_tell_set(ex, r, r->key, r->key_len, out);
}

// Joined within the old item, when nobody reads it and its memory has room. The item stays linked.
static bool exec_join_in_place(
	struct exec *ex, bool append, struct store_item *old, struct store_item *add)
{
	uint32_t had = old->value_bytes;

	if (!store_value_resize(ex->store, old, (uint64_t)had + add->value_bytes))
		return false;
	if (append) {
		store_value_copy(old, had, add);
	} else {
		store_value_shift(old, add->value_bytes, had);
		store_value_copy(old, 0, add);
	}
	return true;
}

// The new value joined to the old one, in an item of its own with the old one's flags and deadline.
// NULL: too large, or no memory. `old` and `add` stay as they are.
static struct store_item *exec_join(
	struct exec *ex, bool append, struct store_item *old, struct store_item *add, uint64_t hash)
{
	struct store_key key = {store_item_key(add), store_item_key_len(add), hash};
	uint64_t bytes = (uint64_t)old->value_bytes + add->value_bytes;
	struct store_item *first = append ? old : add, *second = append ? add : old;
	struct store_item *it = NULL;

	if (bytes > UINT32_MAX || !store_ref(ex->store, old))
		return NULL;
	// the reference keeps `old` readable should the reserve evict it
	if (store_reserve(ex->store, &key, store_item_client_flags(old), old->deadline_s,
		    (uint32_t)bytes, &it) == STORE_OK) {
		store_value_copy(it, 0, first);
		store_value_copy(it, first->value_bytes, second);
	} else {
		it = NULL;
	}
	store_unref(ex->store, old);
	return it;
}

// ms I with an older CAS number: stored, but served as stale; time and win mark stay.
static void exec_mark_stale(struct store_item *item, const struct store_item *old)
{
	item->deadline_s = old->deadline_s;
	item->bits |= STORE_ITEM_STALE | (old->bits & STORE_ITEM_WON);
}

static enum proto_status exec_decide_cas(struct exec *ex, const struct proto_request *r,
	const struct store_item *old, struct store_item *item)
{
	bool older = r->cas_compare < old->cas && exec_has(r, 'I') && r->meta;

	if (r->cas_compare != 0 && (r->cas_compare == old->cas || older)) {
		ex->n.cas_hits++;
		if (older)
			exec_mark_stale(item, old);
		return PROTO_OK;
	}
	ex->n.cas_badval++;
	return PROTO_EXISTS;
}

// Somebody has the key: what the mode says to that. *item may become another one.
static enum proto_status exec_decide_present(struct exec *ex, const struct proto_request *r,
	uint64_t hash, struct store_item *old, struct store_item **item)
{
	struct store_item *joined;

	if (exec_mode_cas(r))
		return exec_decide_cas(ex, r, old, *item);
	if (r->mode == PROTO_MODE_ADD) {
		exec_bump(ex, old);
		return PROTO_NOT_STORED;
	}
	if (!exec_mode_joins(r))
		return PROTO_OK;
	if (exec_has(r, 'C') && r->cas_compare != 0 && r->cas_compare != old->cas)
		return PROTO_EXISTS;
	if (exec_join_in_place(ex, r->mode == PROTO_MODE_APPEND, old, *item))
		joined = old;
	else
		joined = exec_join(ex, r->mode == PROTO_MODE_APPEND, old, *item, hash);
	if (!joined)
		return PROTO_NOT_STORED;
	store_abort(ex->store, *item);
	*item = joined;
	return PROTO_OK;
}

static enum proto_status exec_decide_absent(struct exec *ex, const struct proto_request *r)
{
	if (exec_mode_cas(r)) {
		ex->n.cas_misses++;
		return PROTO_MISS;
	}
	if (r->mode == PROTO_MODE_REPLACE)
		return PROTO_NOT_STORED;
	if (exec_mode_joins(r))
		return r->meta && exec_has(r, 'N') ? PROTO_OK : PROTO_NOT_STORED;
	return PROTO_OK;
}

void exec_commit(struct exec *ex, const struct proto_request *r, uint64_t hash,
	struct store_item *item, struct exec_result *out)
{
	struct store_item *old =
		exec_find(ex, store_item_key(item), store_item_key_len(item), hash);
	char key[PROTO_KEY_MAX];
	uint8_t key_len = store_item_key_len(item);

	base_assert(r->op == PROTO_OP_SET && !(item->bits & STORE_ITEM_LINKED));
	if (base_unlikely(ex->tell != NULL)) {
		memcpy(key, store_item_key(item), key_len); // the request may have lost it
		exec_tell_found(ex, key, key_len, old);
	}
	memset(out, 0, sizeof(*out));
	out->proto.status =
		old ? exec_decide_present(ex, r, hash, old, &item) : exec_decide_absent(ex, r);
	if (out->proto.status == PROTO_OK) {
		exec_link(ex, r, hash, item, out);
	} else {
		out->proto.value_bytes = item->value_bytes; // ms s tells what came
		store_abort(ex->store, item);
	}
	out->proto.key_base64 = r->key_base64;
	if (base_unlikely(ex->tell != NULL))
		exec_tell_set(ex, r, key, key_len, out);
}

bool exec_set_over(struct exec *ex, const struct proto_plain *l, const struct store_look *look)
{
	struct store_item *it = exec_look_find(ex, look, l->key, l->key_len);
	bool flags = l->client_flags != 0;

	base_assert(l->op == PROTO_OP_SET);
	if (it == NULL || !store_writable(it) || flags != !!(it->bits & STORE_ITEM_CFLAGS))
		return false;
	if (it->value_bytes != l->value_bytes && !store_value_resize(ex->store, it, l->value_bytes))
		return false;
	if (flags)
		memcpy(it->data, &l->client_flags, sizeof(l->client_flags));
	store_value_write(it, 0, l->value, l->value_bytes);
	store_deadline_set(ex->store, it, exec_deadline_of(ex, l->exptime));
	store_value_changed(ex->store, it, 0);
	ex->n.cmd_set++;
	return true;
}
