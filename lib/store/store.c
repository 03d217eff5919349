// SPDX-License-Identifier: BSD-3-Clause
// A shard as a whole: opened, closed, stepped, counted.
#include <errno.h>

#include "store/store_internal.h"

#define ITEM_BYTES_DEFAULT (1u << 20)

// Items of a step's budget that a bucket looked at counts for, a group dealt to one more bucket,
// and one that is nearly empty dealt to one less.
#define STEP_BUCKET 13
#define STEP_GROW   64
#define STEP_NARROW 16

int store_open(struct store **out, const struct store_options *opt)
{
	struct store_settings set = store_settings_default();
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
	store_sampler_open(s);
	set.policy = (uint8_t)opt->policy;
	if (opt->samples)
		set.samples = opt->samples;
	rc = store_policy_apply(s, &set);
	if (rc != 0)
		goto free_store;
	rc = store_index_open(&s->live, s->mem);
	if (rc != 0)
		goto free_store;
	// From the start, so that an emptied shard is as small as a new one.
	if (!store_spare_ensure(s, 0)) {
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
	store_fresh_close(s);
	while (store_lazy_reclaim(s))
		;
	base_assert(s->due.items == 0);
	store_due_close(s, &s->due);
	store_fifo_close(s, &s->small);
	store_ghost_close(s, &s->ghost);
	store_index_close(&s->live, mem);
	store_spare_close(s);
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

int store_settings_set(struct store *s, const struct store_settings *set)
{
	return store_policy_apply(s, set);
}

const struct store_counters *store_counters_get(const struct store *s)
{
	return &s->n;
}

// Redis' slow cycle takes 25 % of the time at effort 1 and 43 % at 10; here it is items of a step.
// True: there is more that is due.
static bool expire_share(struct store *s, unsigned *budget)
{
	unsigned share = *budget * (23 + 2u * s->set.expire_effort) / 100 + 1;
	uint64_t expired = s->n.expired;
	unsigned left = store_expire_step(s, share);

	s->n.expired_active += s->n.expired - expired;
	s->n.deadlines = s->due.items;
	*budget -= (unsigned)base_min_u64(share - left, *budget);
	return left == 0;
}

bool store_step(struct store *s, unsigned items_max)
{
	unsigned budget = store_dead_step(s, store_lazy_step(s, items_max));
	bool due = expire_share(s, &budget);
	bool over, swept, loaded = false, wide = false;

	if (budget > 0)
		wide = store_shrink(s, budget / STEP_NARROW + 1);
	over = store_room_step(s, &budget);
	swept = store_clock_sweep(s, budget / STEP_BUCKET);
	store_fresh_ready(s);
	s->grow_wait = 0;
	if (budget > 0)
		loaded = store_grow(s, budget / STEP_GROW + 1);
	return s->dead || s->lazy_head || due || wide || over || swept || loaded;
}
