// SPDX-License-Identifier: BSD-3-Clause
// Packs: plain requests for one shard, many in one message, with their answers as text. Trains:
// what one connection asked for at a time, of any shards, in one slot. See docs/modules/worker.md.
#pragma once

#include "proto/proto.h"
#include "store/store.h"
#include "worker/worker.h"

#define WORKER_PACKS          128 // of a worker
#define WORKER_PACK_REQUESTS  64
#define WORKER_PACK_ROOM      6144 // bytes of requests
#define WORKER_PACK_TEXT      16384
#define WORKER_PACK_VALUE     1024 // the longest that travels as text; of a set, at all
#define WORKER_PACK_AROUND    80   // most bytes of an answer besides key and value
#define WORKER_TRAIN_PARTS    8
#define WORKER_TRAIN_REQUESTS 32

struct worker;
struct worker_conn;
struct worker_out;
struct worker_peer;
struct worker_slot;

struct worker_held { // a value that the text leaves out
	struct store_item *item;
	struct store_span value[2];
	uint32_t at; // in the text: where it belongs
	uint16_t request;
};

struct worker_pack {
	// -- requester alone
	struct base_list node; // worker.packs_free, worker_peer.packs_waiting
	uint16_t owner;
	uint16_t users;  // trains, and one while it is open or away
	uint16_t trains; // that wait for it
	struct worker_slot *train[WORKER_PACK_REQUESTS];
	// -- message part: the holder's
	_Alignas(BASE_CACHE_LINE) uint16_t requests;
	uint16_t served, helds;
	bool release;                       // it only gives references back
	uint32_t bytes, bytes_served;       // of `room`
	uint32_t reserved, reserved_served; // that the answers' heads and tails may take
	uint32_t text_bytes;
	uint16_t end[WORKER_PACK_REQUESTS]; // of each answer, in the text
	_Alignas(BASE_CACHE_LINE) char room[WORKER_PACK_ROOM];
	_Alignas(BASE_CACHE_LINE) char text[WORKER_PACK_TEXT];
	struct worker_held held[WORKER_PACK_REQUESTS]; // by request
};
static_assert(WORKER_PACK_TEXT < UINT16_MAX, "ends of answers");

struct worker_train_part { // requests of a train, one behind the other in a pack
	struct worker_pack *pack;
	uint32_t at;      // of the text: what was written
	uint16_t request; // the next answer to be written
	uint16_t held;    // ... the next held value
};

struct worker_train {
	uint8_t requests, parts;
	uint8_t next;                 // to be written
	uint8_t missing;              // parts that are away, and one while it is being put together
	uint32_t held_done;           // bytes written of an answer that has a held value
	uint16_t count[WORKER_KINDS]; // requests that end here
	uint8_t order[WORKER_TRAIN_REQUESTS]; // part of each request
	struct worker_train_part part[WORKER_TRAIN_PARTS];
};

// ---- worker_pack.c -----------------------------------------------------------------------------
int worker_packs_open(struct worker *w);
void worker_packs_close(struct worker *w);
// The pack that the next request to `owner` goes into; NULL: it does not fit any, or there is none.
struct worker_pack *worker_pack_for(struct worker *w, unsigned owner, const struct proto_plain *l);
void worker_pack_add(struct worker_pack *k, const struct proto_plain *l, uint64_t hash);
// A request of this shard: added, and executed at once. False: it waits for a loan, and nothing has
// happened.
bool worker_pack_run(struct worker *w, struct worker_pack *k, const struct proto_plain *l,
	const struct store_look *look);
// The owner's side: executes the rest. False: it waits for a loan.
bool worker_pack_serve(struct worker *w, struct worker_pack *k);
// Nothing more is added.
void worker_pack_leave(struct worker *w, struct worker_peer *p);
void worker_packs_leave(struct worker *w);
void worker_pack_home(struct worker *w, struct worker_peer *p, struct worker_pack *k);
void worker_pack_unref(struct worker *w, struct worker_pack *k);
void worker_packs_waiting_send(struct worker_peer *p);

// Messages are slots and packs, which are told apart by a mark. Both are aligned.
#define WORKER_MSG_PACK UINT64_C(1)
static inline void *worker_pack_mark(struct worker_pack *k)
{
	return (char *)k + WORKER_MSG_PACK;
}
static inline bool worker_pack_marked(const void *p)
{
	return (uintptr_t)p & WORKER_MSG_PACK;
}
static inline struct worker_pack *worker_pack_bare(void *p)
{
	return (struct worker_pack *)((uintptr_t)p & ~(uintptr_t)WORKER_MSG_PACK);
}

// ---- worker_train.c ----------------------------------------------------------------------------
// A part came home.
void worker_train_part_home(struct worker *w, struct worker_slot *s);
// Writes on; true when all is written.
bool worker_train_write(struct worker *w, struct worker_out *o, struct worker_slot *s);
// Gives its packs back.
void worker_train_done(struct worker *w, struct worker_slot *s);
