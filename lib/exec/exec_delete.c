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

// `it` is what is deleted; NULL: nothing is.
static void exec_tell_delete(const struct exec *ex, const struct proto_request *r,
	const struct store_item *it, unsigned status)
{
	struct exec_told told = {
		.key = r->key,
		.key_len = r->key_len,
		.op = PROTO_OP_DELETE,
		.status = (uint8_t)status,
		.meta = r->meta,
		.value_bytes = it != NULL ? it->value_bytes : 0,
	};

	ex->tell(ex->tell_arg, &told);
}

static void exec_delete_refuse(struct exec *ex, const struct proto_request *r,
	enum proto_status status, struct exec_result *out)
{
	ex->n.delete_misses++;
	out->proto.status = (uint8_t)status;
	if (base_unlikely(ex->tell != NULL))
		exec_tell_delete(ex, r, NULL, status);
}

void exec_delete(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it = exec_find(ex, r->key, r->key_len, hash);

	if (base_unlikely(ex->tell != NULL))
		exec_tell_found(ex, r->key, r->key_len, it);
	out->proto.key_base64 = r->key_base64;
	if (!it) {
		exec_delete_refuse(ex, r, PROTO_MISS, out);
		return;
	}
	if (exec_has(r, 'C') && it->cas != r->cas_compare) {
		exec_delete_refuse(ex, r, PROTO_EXISTS, out);
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
		exec_tell_delete(ex, r, it, PROTO_OK);
	if (!exec_has(r, 'x'))
		store_delete(ex->store, it, hash);
}
