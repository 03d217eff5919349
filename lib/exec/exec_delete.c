// SPDX-License-Identifier: BSD-3-Clause
// Removal and renewal: delete, touch; md with its stale marks and tombstones.
#include "exec/exec_internal.h"

void exec_touch(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it = exec_find(ex, r->key, r->key_len, hash);

	ex->n.cmd_touch++;
	if (!it) {
		ex->n.touch_misses++;
		out->proto.status = PROTO_MISS;
		return;
	}
	ex->n.touch_hits++;
	store_deadline_set(ex->store, it, exec_deadline_of(ex, r->exptime));
	exec_describe(ex, it, out); // a binary reply shows flags and CAS number
	store_touch_access(ex->store, it);
}

// md x: an empty item with the old CAS number takes the key. NULL: no memory.
static struct store_item *exec_tombstone(
	struct exec *ex, const struct proto_request *r, uint64_t hash, uint64_t cas)
{
	struct store_key key = {r->key, r->key_len, hash};
	struct store_item *it;

	if (store_reserve(ex->store, &key, r->client_flags, exec_deadline_of(ex, r->exptime), 0,
		    &it) != STORE_OK)
		return NULL;
	store_commit(ex->store, it, hash, exec_has(r, 'E') ? r->cas_set : cas);
	return it;
}

// md I: still served, marked stale; the next reader wins the recache.
static void exec_invalidate(struct exec *ex, const struct proto_request *r, struct store_item *it)
{
	if (exec_has(r, 'T'))
		store_deadline_set(ex->store, it, exec_deadline_of(ex, r->exptime));
	it->bits |= STORE_ITEM_STALE;
	it->bits &= (uint16_t)~STORE_ITEM_WON;
	it->cas = exec_has(r, 'E') ? r->cas_set : store_cas_next(ex->store);
}

static void exec_tell_delete(
	const struct exec *ex, const struct proto_request *r, const struct store_item *it)
{
	struct exec_told told = {
		.key = r->key,
		.key_len = r->key_len,
		.op = PROTO_OP_DELETE,
		.status = PROTO_OK,
		.meta = r->meta,
		.value_bytes = it->value_bytes,
	};

	ex->tell(ex->tell_arg, &told);
}

void exec_delete(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it = exec_find(ex, r->key, r->key_len, hash);

	out->proto.key_base64 = r->key_base64;
	if (!it) {
		ex->n.delete_misses++;
		out->proto.status = PROTO_MISS;
		return;
	}
	if (exec_has(r, 'C') && it->cas != r->cas_compare) {
		ex->n.delete_misses++;
		out->proto.status = PROTO_EXISTS;
		return;
	}
	if (exec_has(r, 'x')) {
		it = exec_tombstone(ex, r, hash, it->cas);
		if (!it) {
			out->proto.status = PROTO_NO_MEMORY;
			return;
		}
	}
	if (exec_has(r, 'I')) {
		exec_invalidate(ex, r, it);
		return;
	}
	ex->n.delete_hits++;
	if (base_unlikely(ex->tell != NULL))
		exec_tell_delete(ex, r, it);
	if (!exec_has(r, 'x'))
		store_delete(ex->store, it, hash);
}
