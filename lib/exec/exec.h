// SPDX-License-Identifier: BSD-3-Clause
// exec: the meaning of every command that touches keys: a parsed request applied to one shard.
//
// Owner thread: the shard's. The reply is written by proto_compose; items that it shows are held by
// a reference that the caller gives back with store_unref once the bytes are sent.
//
//	struct exec_result res;
//	exec_apply(&ex, &req, hash, &res);
//	proto_compose(&req, &res.proto, head, &reply);
//	if (reply.value) { send what store_value_spans(res.item) says }
//	if (res.item) store_unref(ex.store, res.item);
#pragma once

#include "proto/proto.h"
#include "store/store.h"

// Writer: the owner; names as in memcached's `stats`. get_flushed stays 0: a flush takes the items
// out of sight at once, so no lookup ends at one.
struct exec_counters {
	uint64_t cmd_get, cmd_set, cmd_flush, cmd_touch, cmd_meta;
	uint64_t get_hits, get_misses, get_expired, get_flushed;
	uint64_t delete_hits, delete_misses, incr_hits, incr_misses, decr_hits, decr_misses;
	uint64_t cas_hits, cas_misses, cas_badval, touch_hits, touch_misses;
	uint64_t store_too_large, store_no_memory;
};

// What somebody who watches is told: the key was read, stored or deleted, or it was tried.
struct exec_told {
	const char *key;
	uint8_t key_len;
	uint8_t op;     // PROTO_OP_GET (whoever looked it up), SET or DELETE
	uint8_t status; // enum proto_status
	uint8_t mode;   // enum proto_mode, of a SET
	bool meta;
	bool look_up; // of a GET: by a command that reads nothing, as a set or the text touch
	uint32_t value_bytes;
	int64_t ttl_s; // of a SET; 0: none
};

struct exec {
	struct store *store; // borrowed
	// NULL: nobody watches. The short ways (exec_get_small and so on) tell nothing: they are
	// not for the caller who wants to be told.
	void (*tell)(void *arg, const struct exec_told *told);
	void *tell_arg;
	struct exec_counters n;
};

struct exec_result {
	struct proto_result proto;
	struct store_item *item; // with a reference of the caller's when proto.has_value, else NULL
};

// Runs every op but PROTO_OP_SET (see exec_reserve), STATS, QUIT, REPLY and CLOSE, which are the
// connection's affair. FLUSH_ALL flushes this shard alone; `exptime` is its delay.
void exec_apply(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out);

// `get` of one key whose value the caller copies at once, so that no reference is taken: the item,
// or NULL for a miss. False: the value has more than most_bytes, and nothing has happened yet.
bool exec_get_small(struct exec *ex, const char *key, uint8_t key_len,
	const struct store_look *look, uint32_t most_bytes, struct store_item **item);
// The same for `mg` with v and flags that only show figures. False also for an item of which there
// is more to tell (stale, or being recached).
bool exec_meta_get_small(struct exec *ex, const char *key, uint8_t key_len,
	const struct store_look *look, uint32_t most_bytes, struct store_item **item);

// A plain `set` whose value is at hand, written over the key's present one: where nobody reads that
// and its memory has the room, so that nothing is allocated and the index stays as it is. False: an
// item must be reserved, and nothing has been written.
bool exec_set_over(struct exec *ex, const struct proto_plain *l, const struct store_look *look);

// A storage command, in two steps. exec_reserve gives an item whose value bytes the caller fills
// (store_value_write), then exec_commit decides by the mode and the key's present item, or the
// caller gives it up with store_abort. When the reserve is refused, out->proto.status says why, the
// old value is deleted as memcached does, and *item is NULL.
void exec_reserve(struct exec *ex, const struct proto_request *r, uint64_t hash,
	struct store_item **item, struct exec_result *out);
// Takes the item. `r` may be a copy whose key points anywhere: the item has the key.
void exec_commit(struct exec *ex, const struct proto_request *r, uint64_t hash,
	struct store_item *item, struct exec_result *out);

// memcached's rule: 0 never, negative expired, up to 30 days relative, else absolute. The result is
// a deadline in the seconds of base_now.wall_s (0 = never).
uint32_t exec_deadline(int64_t exptime, struct base_now now);
