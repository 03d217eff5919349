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
	mem_moves_end(mem, true, UINT32_MAX);
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

static bool expire_step(struct store *s, unsigned *units)
{
	uint64_t expired = s->n.expired;

	*units = store_expire_step(s, *units);
	s->n.expired_active += s->n.expired - expired;
	return *units == 0;
}

// The clock's sweep goes by buckets, growth and narrowing by groups of them.
static bool index_step(struct store *s, unsigned *units)
{
	uint64_t changed = s->n.splits + s->n.merges;
	bool wide = store_shrink(s, *units / STEP_NARROW + 1);
	unsigned buckets = *units / STEP_BUCKET;
	bool swept = store_clock_sweep(s, &buckets), loaded;

	store_fresh_ready(s);
	s->grow_wait = 0;
	loaded = store_grow(s, *units / STEP_GROW + 1);
	changed = (s->n.splits + s->n.merges - changed) * STEP_NARROW +
		(uint64_t)(*units / STEP_BUCKET - buckets) * STEP_BUCKET;
	*units -= (unsigned)base_min_u64(changed, *units);
	return wide || swept || loaded;
}

bool store_work_step(struct store *s, enum store_work work, unsigned *units)
{
	switch (work) {
	case STORE_WORK_FREE:
		*units = store_dead_step(s, store_lazy_step(s, *units));
		return s->dead || s->lazy_head;
	case STORE_WORK_EXPIRE:
		return expire_step(s, units);
	case STORE_WORK_ROOM:
		return store_room_step(s, units);
	case STORE_WORK_INDEX:
		return index_step(s, units);
	case STORE_WORK_DEFRAG:
		*units = store_defrag_step(s, *units);
		return s->n.defrag_running != 0;
	case STORE_WORKS:
		break;
	}
	base_assert(false);
	return false;
}

const char *store_work_name(enum store_work work)
{
	static const char *const name[STORE_WORKS] = {
		[STORE_WORK_FREE] = "free",
		[STORE_WORK_EXPIRE] = "expire",
		[STORE_WORK_ROOM] = "evict",
		[STORE_WORK_INDEX] = "index",
		[STORE_WORK_DEFRAG] = "defrag",
	};

	base_assert(work < STORE_WORKS);
	return name[work];
}

bool store_step(struct store *s, unsigned units)
{
	bool more = false;

	for (unsigned work = 0; work < STORE_WORKS; work++) {
		unsigned left = units;

		more |= store_work_step(s, (enum store_work)work, &left);
	}
	return more;
}
