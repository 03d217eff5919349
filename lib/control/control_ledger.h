// SPDX-License-Identifier: BSD-3-Clause
// The memory ledger: deals bytes to the shards and moves them by demand and by coldness. Figures
// in, limits out; it reads no clock and no report itself.
//
// Bytes are taken before they are given: what a shard may still use (its order, the limit that it
// works under, what it holds) is never dealt a second time.
#pragma once

#include "worker/worker.h"

struct control_shard {        // what a shard's last report says
	uint64_t used_bytes;  // items and index
	uint64_t limit_bytes; // that it works under
	uint64_t orders_seq;  // of the orders that this limit came with
	uint64_t pressed;     // evictions and refusals since its start
	uint64_t loan_seq;    // the last loan it asked for ...
	uint64_t loan_bytes;  // ... the limit that would do
	uint64_t cold;        // how long unused what it evicts is, or the policy's like; 0: unknown
};

struct control_ledger_row {
	uint64_t order_bytes;
	uint64_t order_before, order_seq; // the order last seen, and which orders it went out with
	uint64_t lent_bytes; // the most that it was since the last order that a report has shown
	uint64_t used_before, pressed_before;
	uint64_t growth_bytes; // a tick's, of late
	uint64_t cold;         // smoothed
	uint64_t exposed_bytes;
	uint64_t loan_seq;      // the last that was seen
	uint64_t loan_answered; // the last that was granted or refused
	uint32_t loan_ticks;    // that the open one has taken
	bool hungry;
};

struct control_ledger {
	unsigned shards;
	uint64_t ticks;
	uint64_t seq; // goes out with the orders; raised when one changes
	bool evicts;  // shards can make room: a loan may cost others their items
	struct control_ledger_row row[WORKER_MAX];
};

// Equal parts to begin with.
void control_ledger_init(struct control_ledger *l, unsigned shards, uint64_t total_bytes);
// One tick: total_bytes is what may be dealt now. True when an order changed.
bool control_ledger_turn(
	struct control_ledger *l, uint64_t total_bytes, const struct control_shard *shard);
