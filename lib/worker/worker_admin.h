// SPDX-License-Identifier: BSD-3-Clause
// Commands that are about the server rather than about one item: stats, flush_all, lists of items,
// watchers, the memory limit.
#pragma once

#include "worker/worker_internal.h"

// ---- worker_gather.c, worker_stats.c -----------------------------------------------------------
// stats, flush_all, debugtime: false when a slot or credit is missing (nothing was done).
bool worker_gather_begin(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r);
void worker_gather_home(struct worker *w, struct worker_slot *s);
// This shard's part of it.
void worker_gather_serve(struct worker *w, struct worker_gather *g);
void worker_counters_collect(struct worker *w, struct worker_counters *out);
// What `stats` shows: the same since the last worker_counters_reset. Telemetry counts on.
void worker_counters_shown(struct worker *w, struct worker_counters *out);
void worker_counters_reset(struct worker *w);
// Writes the reply of `stats ARGS`; returns its length, at most `size`.
#define WORKER_STATS_MAX 16384
size_t worker_stats_write(const struct worker *w, const struct worker_counters *sum,
	const char *word, char *buf, size_t size);
// The whole answer where no figure is in it; NULL: the shards have to be asked. limit: of items,
// for a cachedump.
const char *worker_stats_constant(
	const struct worker *w, const char *args, size_t args_len, uint32_t *limit);
// This worker's connections, as many as there is room for; returns the length.
#define WORKER_CONNS_TEXT 16384
size_t worker_conns_write(const struct worker *w, char *buf, size_t size);
// Items of this shard, at most `limit` (0: any number) and as many as there is room for.
#define WORKER_CACHEDUMP_TEXT 65536
size_t worker_cachedump_write(struct worker *w, uint32_t limit, char *buf, size_t size);

// Goes on with what takes several rounds. Returns 1 when there was something to do.
unsigned worker_gather_turn(struct worker *w);
// Whether these are the first words; those after them do not count, nor how many spaces there are.
bool worker_words_begin(const char *args, size_t len, const char *words);

// ---- worker_detail.c, worker_detail_dump.c: stats detail ---------------------------------------
enum worker_detail_word {
	WORKER_DETAIL_NONE,
	WORKER_DETAIL_ON,
	WORKER_DETAIL_OFF,
	WORKER_DETAIL_DUMP
};
// Which of them the arguments of `stats` ask for.
enum worker_detail_word worker_detail_word(const char *args, size_t args_len);
// As worker_detail_order gave it; an older one than is known says nothing.
void worker_detail_take(struct worker *w, uint64_t order);
void worker_detail_told(struct worker *w, const struct exec_told *e);
// The line of a storage command came.
void worker_detail_set(struct worker *w, const struct proto_request *r);
// Forgets what was counted, and frees its memory.
void worker_detail_clear(struct worker *w);
static inline bool worker_detail_on(const struct worker *w)
{
	return w->detail.order & 1;
}
static inline char worker_prefix_delimiter(const struct worker *w)
{
	return w->settings->prefix_delimiter != '\0' ? w->settings->prefix_delimiter : ':';
}
static inline uint32_t worker_prefix_bucket(uint32_t hash)
{
	return hash & (WORKER_PREFIX_BUCKETS - 1);
}
static inline bool worker_prefix_is(
	const struct worker_prefix *p, uint32_t hash, const char *text, uint8_t len)
{
	return p->hash == hash && p->len == len && memcmp(p->text, text, len) == 0;
}
// Of a record with a prefix of so many bytes.
static inline size_t worker_prefix_bytes(uint8_t len)
{
	return (offsetof(struct worker_prefix, text) + len + 7u) & ~(size_t)7;
}
#define WORKER_PREFIX_MAX ((offsetof(struct worker_prefix, text) + PROTO_KEY_MAX + 7u) & ~(size_t)7)
// Copies whole buckets of records from bucket `from` on, *len bytes. Returns the first bucket that
// is not among them.
uint32_t worker_detail_slice(
	const struct worker *w, uint32_t from, char *buf, uint32_t size, uint32_t *len);
#define WORKER_DETAIL_TEXT     12288 // of all workers' slices of a round, about
#define WORKER_DETAIL_TEXT_MIN 5120  // of one
// Sums what all have handed over and writes it behind the text. True: another round is wanted.
bool worker_detail_merge(struct worker *w, struct worker_gather *g);
// The reply is g->detail's text, whole. False: there was no memory for it.
bool worker_detail_end(struct worker *w, struct worker_gather *g);

// ---- worker_sizes.c: stats sizes ---------------------------------------------------------------
#define WORKER_SIZES 33792 // counts: by 32 bytes up to 1 MiB, then by 1 MiB
// Adds a slice of the shard's items.
void worker_sizes_serve(struct worker *w, struct store_cursor *c, uint32_t count[WORKER_SIZES]);
// The text of the reply, of MEM_OUTPUT, from the counts of so many shards, which are added up in
// the first of them. NULL: no memory.
char *worker_sizes_write(struct worker *w, uint32_t (*count)[WORKER_SIZES], unsigned counts,
	uint32_t *room, uint32_t *len);

// ---- worker_admin.c: commands for operators ----------------------------------------------------
// False: a slot is missing, or what came before is not answered yet; nothing was done.
bool worker_admin_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r);
// The same for a datagram: most of them are refused.
bool worker_admin_dgram(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r);
// While there are chores. Returns how many have come on.
unsigned worker_admin_turn(struct worker *w);
void worker_verbosity_set(struct worker *w, uint64_t level);

// ---- worker_dump.c -----------------------------------------------------------------------------
bool worker_dump_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r);
unsigned worker_dump_turn(struct worker *w);
// The owner's side: a slice.
void worker_dump_serve(struct worker *w, struct worker_dump *d);
void worker_dump_home(struct worker *w, struct worker_slot *s);
// True when the dump is over and the connection is back at a command line.
bool worker_dump_write(struct worker *w, struct worker_conn *c, struct worker_out *o);
// The connection goes away.
void worker_dump_forget(struct worker *w, const struct worker_conn *c);

// ---- worker_watch.c, worker_tell.c -------------------------------------------------------------
bool worker_watch_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r);
unsigned worker_watch_turn(struct worker *w);
void worker_watch_write(struct worker *w, struct worker_conn *c, struct worker_out *o);
void worker_watch_forget(struct worker *w, const struct worker_conn *c);
// Orders have changed.
void worker_watch_orders(struct worker *w);
// A connection came (NULL), or goes for that reason.
void worker_watch_conn(struct worker *w, const struct worker_conn *c, const char *reason);
// While this is so, requests go the common way, where watchers are told of them, and where they are
// counted by prefix.
static inline bool worker_watched(const struct worker *w)
{
	return base_unlikely(w->watched);
}

#define WORKER_TELL_MAX 1024 // bytes of a line
struct worker_tell;
struct worker_tell_place { // of a reader in a worker's ring
	uint64_t at, number;
	bool numbered;
};
// NULL: no memory. Freed with free().
struct worker_tell *worker_tell_open(void);
void worker_tell_write(struct worker *w, unsigned kind, const char *text, unsigned len);
// Behind the last line of now.
void worker_tell_place(struct worker_group *g, unsigned from, struct worker_tell_place *out);
// The next line: its length, or 0. Lines that the reader was too slow for are added to *missed.
unsigned worker_tell_read(struct worker_group *g, unsigned from, struct worker_tell_place *p,
	char *text, unsigned *kind, uint64_t *missed);
