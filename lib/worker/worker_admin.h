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
// While this is so, requests go the common way, where watchers are told of them.
static inline bool worker_watched(const struct worker *w)
{
	return base_unlikely(w->orders.watch != 0);
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
