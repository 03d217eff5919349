// SPDX-License-Identifier: BSD-3-Clause
// flight: the flight recorder. Each worker keeps its latest events in memory, requests in one ring
// and what is rarer in another, always; they are written to a file when somebody asks, or in a
// crash.
//
// Owner thread: the worker records. Anybody may write the rings to a file meanwhile: what was
// overwritten while it was read is left out.
//
//	flight_turn(f, now_us);                                   // once a turn
//	flight_request(f, proto_op, status, conn, key_end);       // each request
//	flight_event(f, FLIGHT_TCP_RTO, attempt, conn, rto_us);   // what happens
//
//	flight_write(fd, flights, count, now);                    // async-signal-safe
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

#define FLIGHT_REQUESTS    4096 // events that a ring keeps: powers of two
#define FLIGHT_EVENTS      4096
#define FLIGHT_NAME_MAX    24

#define FLIGHT_STATUS_AWAY 255 // of a request: sent to the worker that owns the key

// What is recorded; the words that the decoder prints stand in flight.c, in the same order.
enum flight_type {
	FLIGHT_NONE,
	FLIGHT_REQUEST,      // a: operation; b: connection << 8 | status; c: end of the key
	FLIGHT_TURN_LONG,    // a: what it did of upkeep; b: microseconds
	FLIGHT_STALL,        // b: connection, which has to wait for a slot or a credit
	FLIGHT_CONN_EVICTED, // b: connection; c: bytes it held
	FLIGHT_FLUSH,
	FLIGHT_TCP_OPEN,     // a: 1 ours; b: connection; c: peer's port << 16 | local port
	FLIGHT_TCP_PEER,     // b: connection; c: the last four bytes of its address
	FLIGHT_TCP_CLOSE,    // a: state it was in; b: connection
	FLIGHT_TCP_RST_IN,   // b: connection
	FLIGHT_TCP_RST_OUT,  // c: peer's port << 16 | local port
	FLIGHT_TCP_RTO,      // a: attempt; b: connection; c: microseconds waited
	FLIGHT_TCP_RECOVERY, // b: connection, which lost a segment; c: congestion window before
	FLIGHT_TCP_PROBE,    // a: 1 loss probe, 0 window probe; b: connection
	FLIGHT_TCP_DROP,     // a: enum flight_drop; c: the ports; one a millisecond
	FLIGHT_TYPES,
};

enum flight_drop {
	FLIGHT_DROP_FLAGS,
	FLIGHT_DROP_CHECKSUM,
	FLIGHT_DROP_OPTION,
	FLIGHT_DROP_NO_CONN,
	FLIGHT_DROPS,
};

//   0                48     56     64         96        128
//   +----------------+------+------+----------+----------+
//   | microseconds   | type | a    | b        | c        |
//   +----------------+------+------+----------+----------+
struct flight_record {
	uint64_t head;
	uint32_t b, c;
};
static_assert(sizeof(struct flight_record) == 16, "four a cache line");

struct flight_ring {
	uint64_t next; // writer: the owner; a dump reads it
	uint32_t mask;
	struct flight_record *record;
};

struct flight {
	_Alignas(BASE_CACHE_LINE) uint64_t time; // of the turn: microseconds << 16
	struct flight_ring requests, events;
	char name[FLIGHT_NAME_MAX];
	_Alignas(BASE_CACHE_LINE) struct flight_record room[FLIGHT_REQUESTS + FLIGHT_EVENTS];
};

// f is the caller's memory; `name` is cut to fit.
void flight_init(struct flight *f, const char *name);

static inline void flight_turn(struct flight *f, uint64_t now_us)
{
	f->time = now_us << 16;
}

static inline void flight_record_add(struct flight *f, struct flight_ring *r, enum flight_type type,
	unsigned a, uint32_t b, uint32_t c)
{
	struct flight_record *e = &r->record[r->next & r->mask];

	e->head = f->time | (unsigned)type << 8 | (a & 0xff);
	e->b = b;
	e->c = c;
	__atomic_store_n(&r->next, r->next + 1, __ATOMIC_RELEASE);
}

static inline void flight_request(
	struct flight *f, unsigned op, unsigned status, uint32_t conn, uint32_t key_end)
{
	flight_record_add(
		f, &f->requests, FLIGHT_REQUEST, op, conn << 8 | (status & 0xff), key_end);
}

// f may be NULL: nobody records.
static inline void flight_event(
	struct flight *f, enum flight_type type, unsigned a, uint32_t b, uint32_t c)
{
	if (f != NULL)
		flight_record_add(f, &f->events, type, a, b, c);
}

// Writes all of them to a file: a header that says what the numbers mean, then the rings as they
// are. Calls nothing but write(2), so a signal handler may. 0 or -errno.
int flight_write(int fd, struct flight *const *flights, unsigned count, struct base_now now);
