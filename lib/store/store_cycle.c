// SPDX-License-Identifier: BSD-3-Clause
// Redis' formulas of active expiry (docs/modules/store.md), with e = effort - 1.
#include "store/store_cycle.h"

#define KEYS_FIRST    20
#define KEYS_EACH     5 // of e
#define FAST_US       1000
#define FAST_US_EACH  250
#define SLOW_PERCENT  25
#define SLOW_EACH     2
#define STALE_PERCENT 10
#define STALE_NEW     0.05
#define TTL_KEPT      0.98
#define SECOND_US     1000000

struct store_cycle_pace store_cycle_pace_of(unsigned effort, unsigned hz)
{
	unsigned e = effort - 1;

	base_assert(effort >= 1 && effort <= STORE_EFFORT_MOST);
	base_assert(hz >= 1 && hz <= STORE_HZ_MOST);
	return (struct store_cycle_pace){
		.keys = KEYS_FIRST + KEYS_EACH * e,
		.stale_percent = STALE_PERCENT - e,
		.fast_us = FAST_US + FAST_US_EACH * e,
		.slow_us = (uint64_t)SECOND_US * (SLOW_PERCENT + SLOW_EACH * e) / 100 / hz,
		.slow_between_us = SECOND_US / hz,
	};
}

// Percent is compared with percent.
static bool fast_wanted(const struct store_cycle *c, const struct store_cycle_pace *pace)
{
	return c->capped || c->stale * 100 >= pace->stale_percent;
}

uint64_t store_cycle_next_us(const struct store_cycle *c, const struct store_cycle_pace *pace,
	enum store_cycle_kind *kind)
{
	uint64_t fast_us = c->fast_began_us + 2 * pace->fast_us;

	*kind = STORE_CYCLE_SLOW;
	if (!fast_wanted(c, pace) || fast_us >= c->slow_next_us)
		return c->slow_next_us;
	*kind = STORE_CYCLE_FAST;
	return fast_us;
}

bool store_cycle_again(const struct store_cycle_pace *pace, uint64_t keys, uint64_t expired)
{
	return keys == 0 || expired * 100 / keys > pace->stale_percent;
}

double store_cycle_stale(double stale, uint64_t keys, uint64_t expired)
{
	double now = keys > 0 ? (double)expired / (double)keys : 0;

	return now * STALE_NEW + stale * (1 - STALE_NEW);
}

double store_cycle_ttl(double mean_ms, double ttl_ms, unsigned loops)
{
	double kept = 1;

	base_assert(loops <= STORE_CYCLE_TTL_MOST);
	if (mean_ms == 0)
		return ttl_ms;
	while (loops-- > 0)
		kept *= TTL_KEPT;
	return ttl_ms + (mean_ms - ttl_ms) * kept;
}
