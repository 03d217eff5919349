// SPDX-License-Identifier: BSD-3-Clause
// Retrieval: get, gets, gat, gats; mg with its vivify, recache and stale marks; me.
#include "exec/exec_internal.h"

// Makes out show the value: a reference, or a copy of the item when its references are used up. No
// memory for that: false.
static bool exec_value_show(
	struct exec *ex, struct store_item *it, uint64_t hash, struct exec_result *out)
{
	struct store_key key = {store_item_key(it), store_item_key_len(it), hash};
	struct store_item *copy;

	store_value_prefetch(it);
	if (base_likely(store_ref(ex->store, it))) {
		out->item = it;
	} else {
		// the reserve cannot evict `it`: it has references
		if (store_reserve(ex->store, &key, 0, 0, it->value_bytes, &copy) != STORE_OK)
			return false;
		store_value_copy(copy, 0, it);
		out->item = copy;
	}
	out->proto.has_value = true;
	return true;
}

static void exec_get_count(struct exec *ex, bool touch, bool hit)
{
	if (touch) {
		ex->n.cmd_touch++;
		ex->n.touch_hits += hit;
		ex->n.touch_misses += !hit;
	} else {
		ex->n.cmd_get++;
		ex->n.get_hits += hit;
		ex->n.get_misses += !hit;
	}
}

void exec_get(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it = exec_find(ex, r->key, r->key_len, hash);

	if (!it || !exec_value_show(ex, it, hash, out)) {
		exec_get_count(ex, r->touch, false);
		out->proto.status = PROTO_MISS;
		return;
	}
	exec_get_count(ex, r->touch, true);
	if (r->touch)
		store_deadline_set(ex->store, it, exec_deadline_of(ex, r->exptime));
	exec_describe(ex, it, out);
	store_touch_access(ex->store, it);
}

static inline bool get_small(struct exec *ex, const char *key, uint8_t key_len,
	const struct store_look *look, uint32_t most_bytes, unsigned not_with,
	struct store_item **item)
{
	struct store_item *it = exec_look_find(ex, look, key, key_len);

	*item = it;
	if (base_unlikely(it != NULL && (it->value_bytes > most_bytes || it->bits & not_with)))
		return false;
	exec_get_count(ex, false, it != NULL);
	if (it != NULL)
		store_touch_access(ex->store, it);
	return true;
}

bool exec_get_small(struct exec *ex, const char *key, uint8_t key_len,
	const struct store_look *look, uint32_t most_bytes, struct store_item **item)
{
	return get_small(ex, key, key_len, look, most_bytes, 0, item);
}

bool exec_meta_get_small(struct exec *ex, const char *key, uint8_t key_len,
	const struct store_look *look, uint32_t most_bytes, struct store_item **item)
{
	return get_small(
		ex, key, key_len, look, most_bytes, STORE_ITEM_STALE | STORE_ITEM_WON, item);
}

// mg N on a miss: an empty item takes the key. NULL: no memory.
static struct store_item *exec_vivify(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_key key = {r->key, r->key_len, hash};
	struct store_item *it;

	if (store_reserve(ex->store, &key, 0, 0, 0, &it) != STORE_OK)
		return NULL;
	exec_link(ex, r, hash, it, out);
	return it;
}

// The flags that change or show time act in the order in which they were written.
static void exec_meta_get_times(struct exec *ex, const struct proto_request *r,
	struct store_item *it, bool created, struct exec_result *out)
{
	for (unsigned i = 0; i < r->return_count; i++) {
		switch (r->returns[i]) {
		case 'T':
			store_deadline_set(ex->store, it, exec_deadline_of(ex, r->exptime));
			break;
		case 'N':
			if (created) {
				store_deadline_set(
					ex->store, it, exec_deadline_of(ex, r->vivify_ttl));
				out->proto.won = true;
			}
			break;
		case 'R':
			if (!created && it->deadline_s != 0 &&
				it->deadline_s < exec_deadline_of(ex, r->recache_ttl))
				out->proto.won = true;
			break;
		case 't':
			out->proto.ttl_s = exec_ttl(ex, it);
			break;
		default:
			break;
		}
	}
}

// Who is told to recache: one client only, until a set or an invalidation takes the mark away.
static void exec_meta_get_marks(struct store_item *it, struct exec_result *out)
{
	out->proto.recaching = it->bits & STORE_ITEM_WON;
	out->proto.stale = it->bits & STORE_ITEM_STALE;
	if (out->proto.recaching)
		out->proto.won = false;
	else if (out->proto.stale)
		out->proto.won = true;
	if (out->proto.won)
		it->bits |= STORE_ITEM_WON;
}

void exec_meta_get(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it = exec_find(ex, r->key, r->key_len, hash);
	bool created = false, value = exec_has(r, 'v');

	if (!it && exec_has(r, 'N')) {
		it = exec_vivify(ex, r, hash, out);
		created = it != NULL;
	}
	if (it && exec_has(r, 'C') && it->cas == r->cas_compare)
		value = false; // the client has it
	if (!it || (value && !exec_value_show(ex, it, hash, out))) {
		exec_get_count(ex, false, false);
		out->proto.status = PROTO_MISS;
		out->proto.key_base64 = r->key_base64;
		return;
	}
	exec_get_count(ex, exec_has(r, 'T'), true);
	exec_describe(ex, it, out);
	out->proto.idle_s = store_item_idle_s(ex->store, it);
	exec_meta_get_times(ex, r, it, created, out);
	exec_meta_get_marks(it, out);
	if (!exec_has(r, 'u'))
		store_touch_access(ex->store, it);
}

void exec_meta_debug(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	struct store_item *it = exec_find(ex, r->key, r->key_len, hash);

	ex->n.cmd_meta++;
	if (!it) {
		out->proto.status = PROTO_MISS;
		return;
	}
	exec_describe(ex, it, out);
	out->proto.idle_s = store_item_idle_s(ex->store, it);
}
