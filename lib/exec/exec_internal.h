// SPDX-License-Identifier: BSD-3-Clause
// exec, inside: what its files share. Same owner thread as exec.h.
#pragma once

#include "exec/exec.h"

static inline bool exec_has(const struct proto_request *r, char letter)
{
	return (r->flags & PROTO_FLAG(letter)) != 0;
}

// store_find, and counts lookups that ended at an item which had expired.
struct store_item *exec_find(struct exec *ex, const char *key, uint8_t key_len, uint64_t hash);
// The same with store_look_find.
struct store_item *exec_look_find(
	struct exec *ex, const struct store_look *look, const char *key, uint8_t key_len);
// Seconds left: -1 never expires, 0 at or past the deadline.
int64_t exec_ttl(const struct exec *ex, const struct store_item *it);
// The deadline that a time of the request means, now.
uint32_t exec_deadline_of(const struct exec *ex, int64_t exptime);
// Moves the access time without marking the item as read.
void exec_bump(struct exec *ex, struct store_item *it);
// Copies what every reply may show: flags, size, cas, time left, marks.
void exec_describe(const struct exec *ex, const struct store_item *it, struct exec_result *out);
// Links a reserved item and describes it; a CAS number given by the client (E) wins.
void exec_link(struct exec *ex, const struct proto_request *r, uint64_t hash,
	struct store_item *item, struct exec_result *out);
// Tells who watches (exec.tell is there) of a look-up that another command than a retrieval makes:
// memcached calls every one a fetch. NULL: there was nothing.
void exec_tell_found(
	const struct exec *ex, const char *key, uint8_t key_len, const struct store_item *it);
// Tells who watches (exec.tell is there) of a storage command that has come to its end.
void exec_tell_set(const struct exec *ex, const struct proto_request *r, const char *key,
	uint8_t key_len, const struct exec_result *out);
#define EXEC_NUMBER_DIGITS 20 // of 2^64 - 1
#define EXEC_NUMBER_WIDTH  24 // of a value marked as a number, with the blanks that decr leaves

// The number that memcached reads from a value: false for what it calls non-numeric.
bool exec_number_parse(const struct store_span value[2], uint64_t *out);
bool exec_number_of(struct store_item *it, uint64_t *out);
// The value is digits and blanks, as incr and decr write them: the next one need not parse it.
void exec_number_mark(struct store_item *it);

void exec_get(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out);
void exec_meta_get(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out);
void exec_meta_debug(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out);
void exec_delete(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out);
void exec_touch(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out);
void exec_arith(
	struct exec *ex, const struct proto_request *r, uint64_t hash, struct exec_result *out);
