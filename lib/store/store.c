// SPDX-License-Identifier: BSD-3-Clause
// A shard as a whole: opened, closed, stepped, counted.
#include <errno.h>

#include "store/store_internal.h"

#define ITEM_BYTES_DEFAULT (1u << 20)
#define SAMPLES_MOST       64
#define TENACITY_MOST      100

int store_open(struct store **out, const struct store_options *opt)
{
	struct store *s;
	int rc;

	*out = NULL;
	if (!opt->mem)
		return -EINVAL;
	s = mem_try_calloc(opt->mem, MEM_INDEX, sizeof(*s), NULL);
	if (!s)
		return -ENOMEM;
	s->mem = opt->mem;
	s->limit_bytes = opt->limit_bytes;
	s->item_bytes_max = opt->item_bytes_max ? opt->item_bytes_max : ITEM_BYTES_DEFAULT;
	s->cas_next = opt->cas_first ? opt->cas_first : 1;
	s->cas_step = opt->cas_step ? opt->cas_step : 1;
	base_rng_seed(&s->rng, opt->seed);
	rc = store_policy_set(s, opt->policy, opt->samples ? opt->samples : STORE_SAMPLES_DEFAULT,
		STORE_LFU_LOG_DEFAULT, STORE_LFU_DECAY_DEFAULT, STORE_TENACITY_DEFAULT);
	if (rc != 0)
		goto free_store;
	rc = store_index_open(&s->live, s->mem);
	if (rc != 0)
		goto free_store;
	// From the start, so that an emptied shard is as small as a new one.
	if (!store_spare_ensure(s)) {
		rc = -ENOMEM;
		goto close_index;
	}
	s->n.buckets = s->live.buckets;
	*out = s;
	return 0;

close_index:
	store_index_close(&s->live, s->mem);
free_store:
	mem_free(opt->mem, MEM_INDEX, s, sizeof(*s));
	return rc;
}

void store_close(struct store *s)
{
	struct mem_domain *mem = s->mem;

	base_assert(s->reserved == 0);
	store_live_empty(s);
	while (s->dead)
		store_dead_reclaim(s, UINT32_MAX);
	base_assert(s->n.pinned_bytes == 0);
	store_index_close(&s->live, mem);
	while (s->spare) {
		struct store_line *line = s->spare;

		s->spare = line->next;
		mem_free_aligned(mem, MEM_INDEX, line, BASE_CACHE_LINE, sizeof(*line));
	}
	mem_free(mem, MEM_INDEX, s, sizeof(*s));
}

struct base_now store_now(const struct store *s)
{
	return s->now;
}

void store_limit_set(struct store *s, uint64_t limit_bytes)
{
	s->limit_bytes = limit_bytes;
	s->headroom_bytes = 0;
}

int store_policy_set(struct store *s, enum store_policy policy, unsigned samples,
	unsigned lfu_log_factor, unsigned lfu_decay_min, unsigned tenacity)
{
	if ((unsigned)policy >= STORE_POLICIES || samples == 0 || samples > SAMPLES_MOST ||
		tenacity > TENACITY_MOST)
		return -EINVAL;
	s->policy = policy;
	s->samples = (uint8_t)samples;
	s->tenacity = (uint8_t)tenacity;
	s->lfu_log_factor = lfu_log_factor;
	s->lfu_decay_min = lfu_decay_min;
	return 0;
}

const struct store_counters *store_counters_get(const struct store *s)
{
	return &s->n;
}

// Evicts down to the limit less headroom. True: it is not reached, and another slice gets nearer.
static bool limit_step(struct store *s, unsigned *budget)
{
	unsigned cost = s->samples + 1u;

	if (!s->limit_bytes || !store_evicts(s))
		return false;
	while (store_charged_bytes(s) > s->limit_bytes - s->headroom_bytes) {
		if (*budget == 0)
			return true;
		if (!store_evict_one(s))
			return false;
		*budget -= base_min_u64(cost, *budget);
	}
	return false;
}

bool store_step(struct store *s, unsigned items_max)
{
	unsigned budget = store_dead_reclaim(s, items_max);
	bool over, loaded = false, wide = false;

	if (budget > 0)
		wide = store_shrink(s, budget / STORE_SLOTS + 1);
	over = limit_step(s, &budget);
	s->grow_wait = 0;
	if (budget > 0)
		loaded = store_grow(s, budget / STORE_SLOTS + 1);
	return s->dead || wide || over || loaded;
}
