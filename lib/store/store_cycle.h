// SPDX-License-Identifier: BSD-3-Clause
// Cycles of sampled expiry: when one begins, how long it may take, when it goes on. Functions of
// numbers alone; what they decide about is done by store_expire.c. Internal to lib/store.
#pragma once

#include "store/store.h"

#define STORE_EFFORT_MOST    10
#define STORE_HZ_MOST        500
#define STORE_CYCLE_TTL_MOST 16 // loops between two looks at the mean time to live
#define STORE_CYCLE_SPARSE   20 // buckets looked into for a wanted key at most

// What effort and hz come to.
struct store_cycle_pace {
	unsigned keys;            // sampled a loop
	unsigned stale_percent;   // of the keys sampled that may be past their deadline
	uint64_t fast_us;         // a fast cycle's time; half of its distance to the next
	uint64_t slow_us;         // a slow cycle's time
	uint64_t slow_between_us; // from the beginning of one slow cycle to that of the next
};

enum store_cycle_kind { STORE_CYCLE_NONE, STORE_CYCLE_SLOW, STORE_CYCLE_FAST };

struct store_cycle {
	enum store_cycle_kind kind; // that is under way
	bool capped;                // the last one had no time left
	uint64_t look_us;           // nothing begins before; 0: something is under way
	uint64_t slow_next_us, fast_began_us;
	uint64_t spent_ns;     // by the one under way
	uint32_t bucket;       // where the next look goes
	uint32_t covered;      // buckets that it has looked into
	uint64_t all, expired; // keys with a deadline it has met; of those, past it
	// of the loop under way
	uint32_t loop_buckets, loop_keys, loop_expired;
	// since the mean time to live was last taken
	uint32_t ttl_loops, ttl_keys;
	uint64_t ttl_sum_s;
	double stale;  // share of keys with a deadline that are past it, smoothed
	double ttl_ms; // the mean time to live, smoothed; 0: unknown
};

struct store_cycle_pace store_cycle_pace_of(unsigned effort, unsigned hz);
// When the next cycle may begin, and which of the two it is.
uint64_t store_cycle_next_us(const struct store_cycle *c, const struct store_cycle_pace *pace,
	enum store_cycle_kind *kind);
// Whether another loop follows one that found so many keys past their deadline.
bool store_cycle_again(const struct store_cycle_pace *pace, uint64_t keys, uint64_t expired);
// A cycle's share of keys past their deadline, mixed into the estimate: a twentieth of it is new.
double store_cycle_stale(double stale, uint64_t keys, uint64_t expired);
// The mean time to live after `loops` whose keys had `ttl_ms` in the mean; 0: unknown.
double store_cycle_ttl(double mean_ms, double ttl_ms, unsigned loops);
