// SPDX-License-Identifier: BSD-3-Clause
// Dispatch, and what every command needs: lookup with its counters, deadlines, descriptions.
#include "exec/exec_internal.h"

// memcached's REALTIME_MAXDELTA: a larger exptime is a Unix time.
#define EXEC_RELATIVE_MAX_S (60 * 60 * 24 * 30)
// A deadline that has always passed; 0 would mean never.
#define EXEC_DEADLINE_PAST 1

uint32_t exec_deadline(int64_t exptime, struct base_now now)
{
	uint64_t at;

	if (exptime == 0)
		return 0;
	if (exptime < 0)
		return EXEC_DEADLINE_PAST;
	at = (uint64_t)exptime;
	if (exptime <= EXEC_RELATIVE_MAX_S)
		at += now.wall_s;
	return (uint32_t)base_min_u64(at, UINT32_MAX);
}

uint32_t exec_deadline_of(const struct exec *ex, int64_t exptime)
{
	return exec_deadline(exptime, store_now(ex->store));
}

struct store_item *exec_find(struct exec *ex, const char *key, uint8_t key_len, uint64_t hash)
{
	const struct store_counters *c = store_counters_get(ex->store);
	uint64_t expired = c->expired;
	struct store_item *it = store_find(ex->store, key, key_len, hash);

	if (!it)
		ex->n.get_expired += c->expired - expired;
	return it;
}

struct store_item *exec_look_find(
	struct exec *ex, const struct store_look *look, const char *key, uint8_t key_len)
{
	const struct store_counters *c = store_counters_get(ex->store);
	uint64_t expired = c->expired;
	struct store_item *it = store_look_find(ex->store, look, key, key_len);

	if (base_unlikely(it == NULL))
		ex->n.get_expired += c->expired - expired;
	return it;
}

int64_t exec_ttl(const struct exec *ex, const struct store_item *it)
{
	uint64_t now_s = store_now(ex->store).wall_s;

	if (it->deadline_s == 0)
		return -1;
	return it->deadline_s > now_s ? (int64_t)(it->deadline_s - now_s) : 0;
}

void exec_bump(struct exec *ex, struct store_item *it)
{
	bool fetched = it->bits & STORE_ITEM_FETCHED;

	store_touch_access(ex->store, it);
	if (!fetched)
		it->bits &= (uint16_t)~STORE_ITEM_FETCHED;
}

void exec_describe(const struct exec *ex, const struct store_item *it, struct exec_result *out)
{
	struct proto_result *p = &out->proto;

	p->client_flags = store_item_client_flags(it);
	p->value_bytes = it->value_bytes;
	p->cas = it->cas;
	p->ttl_s = exec_ttl(ex, it);
	p->fetched = it->bits & STORE_ITEM_FETCHED;
	p->key_base64 = it->bits & STORE_ITEM_BASE64;
}

void exec_link(struct exec *ex, const struct proto_request *r, uint64_t hash,
	struct store_item *item, struct exec_result *out)
{
	bool explicit_cas = r->meta && exec_has(r, 'E');

	if (item->bits & STORE_ITEM_LINKED) // changed in place
		store_value_changed(ex->store, item, explicit_cas ? r->cas_set : 0);
	else
		store_commit(ex->store, item, hash, explicit_cas ? r->cas_set : 0);
	base_assert(item->bits & STORE_ITEM_LINKED);
	exec_describe(ex, item, out);
}

// flush_all: a delay of none, or one that is over, acts now.
static void exec_flush(struct exec *ex, const struct proto_request *r)
{
	struct base_now now = store_now(ex->store);
	uint64_t at_s = exec_deadline(r->exptime, now);

	ex->n.cmd_flush++;
	store_flush(ex->store, at_s > now.wall_s ? at_s : 0);
}

static void exec_tell_get(
	const struct exec *ex, const struct proto_request *r, const struct exec_result *out)
{
	struct exec_told told = {
		.key = r->key,
		.key_len = r->key_len,
		.op = PROTO_OP_GET,
		.status = out->proto.status,
		.meta = r->meta,
		.look_up = r->op == PROTO_OP_TOUCH && !proto_is_binary(r),
		.value_bytes = out->proto.value_bytes,
	};

	ex->tell(ex->tell_arg, &told);
}

void exec_tell_found(
	const struct exec *ex, const char *key, uint8_t key_len, const struct store_item *it)
{
	struct exec_told told = {
		.key = key,
		.key_len = key_len,
		.op = PROTO_OP_GET,
		.status = it != NULL ? PROTO_OK : PROTO_MISS,
		.look_up = true,
		.value_bytes = it != NULL ? it->value_bytes : 0,
	};

	ex->tell(ex->tell_arg, &told);
}

void exec_tell_set(const struct exec *ex, const struct proto_request *r, const char *key,
	uint8_t key_len, const struct exec_result *out)
{
	uint32_t deadline_s = exec_deadline_of(ex, r->exptime);
	struct exec_told told = {
		.key = key,
		.key_len = key_len,
		.op = PROTO_OP_SET,
		.status = out->proto.status,
		.mode = r->mode,
		.meta = r->meta,
		.value_bytes = r->value_bytes,
		.ttl_s =
			deadline_s ? (int64_t)deadline_s - (int64_t)store_now(ex->store).wall_s : 0,
	};

	ex->tell(ex->tell_arg, &told);
}

void exec_apply(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out)
{
	memset(out, 0, sizeof(*out));
	switch (r->op) {
	case PROTO_OP_GET:
		exec_get(ex, r, hash, out);
		break;
	case PROTO_OP_META_GET:
		exec_meta_get(ex, r, hash, out);
		break;
	case PROTO_OP_META_DEBUG:
		exec_meta_debug(ex, r, hash, out);
		break;
	case PROTO_OP_DELETE:
		exec_delete(ex, r, hash, out);
		break;
	case PROTO_OP_TOUCH:
		exec_touch(ex, r, hash, out);
		break;
	case PROTO_OP_ARITH:
		exec_arith(ex, r, hash, out);
		break;
	case PROTO_OP_FLUSH_ALL:
		exec_flush(ex, r);
		break;
	case PROTO_OP_END:
	case PROTO_OP_META_NOOP:
	case PROTO_OP_VERSION:
	case PROTO_OP_VERBOSITY:
		break; // the same answer always: PROTO_OK
	default:
		base_assert(!"an operation of the connection, not of a shard");
	}
	base_assert(out->proto.has_value == (out->item != NULL));
	if (base_unlikely(ex->tell != NULL) &&
		(r->op == PROTO_OP_GET || r->op == PROTO_OP_META_GET || r->op == PROTO_OP_TOUCH))
		exec_tell_get(ex, r, out);
}
