// SPDX-License-Identifier: BSD-3-Clause
// The model of memcached: what a key of one owner is. Only one connection writes such a key, in
// order, so its state follows from the replies alone; what others do to it is a flush, a deadline
// or an eviction, and these make a miss possible, or certain, but never another value.

#include "sim.h"

// ---- flushes -----------------------------------------------------------------------------------
// Might one have come between the time that the key is known to be there and the reply?
static bool flush_maybe(const struct sim *s, const struct sim_key *k, const struct sim_when *t)
{
	for (unsigned i = 0; i < s->model.flushes; i++) {
		const struct sim_flush *f = &s->model.flush[i];
		bool over = f->to < k->alive_from && f->until_s == 0;

		if (!over && f->from <= t->replied)
			return true;
	}
	return false;
}

static bool flush_surely(const struct sim *s, const struct sim_key *k, const struct sim_when *t)
{
	for (unsigned i = 0; i < s->model.flushes; i++) {
		const struct sim_flush *f = &s->model.flush[i];

		if (f->until_s == 0 && f->from > k->wrote_by && f->to < t->sent)
			return true;
	}
	return false;
}

// ---- evictions, deadlines ----------------------------------------------------------------------
static bool policy_takes(const struct sim *s, const struct sim_key *k)
{
	// When the allocator refuses, a shard makes room whatever its limit.
	if (s->cfg.roomy && !sim_fault_possible(s))
		return false;
	switch (s->cfg.policy) {
	case STORE_NOEVICTION:
		return false;
	case STORE_VOLATILE_LRU:
	case STORE_VOLATILE_LFU:
	case STORE_VOLATILE_RANDOM:
	case STORE_VOLATILE_TTL:
	case STORE_VOLATILE_S3FIFO:
		return k->until_hi != 0;
	default:
		return true;
	}
}

bool sim_refusal_possible(const struct sim *s)
{
	return sim_fault_possible(s) || !s->cfg.roomy;
}

bool sim_key_may_miss(struct sim *s, const struct sim_key *k, const struct sim_when *t)
{
	return k->is != SIM_PRESENT || policy_takes(s, k) || flush_maybe(s, k, t) ||
		(k->until_lo != 0 && t->replied_s >= k->until_lo);
}

bool sim_key_must_miss(struct sim *s, const struct sim_key *k, const struct sim_when *t)
{
	return k->is == SIM_ABSENT || flush_surely(s, k, t) ||
		(k->until_hi != 0 && t->sent_s >= k->until_hi);
}

void sim_key_missed(struct sim *s, struct sim_key *k, const struct sim_when *t, const char *what)
{
	s->model.checks++;
	if (!sim_key_may_miss(s, k, t))
		sim_fail(s, "%s: a key is gone that has to be there (%u bytes, policy %s)", what,
			k->len, store_policy_name(s->cfg.policy));
	s->model.evictable_misses += k->is == SIM_PRESENT;
	k->is = SIM_ABSENT;
}

void sim_key_met(struct sim *s, struct sim_key *k, const struct sim_when *t, const char *what)
{
	s->model.checks++;
	if (sim_key_must_miss(s, k, t))
		sim_fail(s, "%s: a key is there that has to be gone", what);
	k->is = SIM_PRESENT;
	k->alive_from = base_max_u64(k->alive_from, t->sent);
}

// ---- writes ------------------------------------------------------------------------------------
void sim_key_written(struct sim *s, struct sim_key *k, const struct sim_when *t)
{
	k->is = SIM_PRESENT;
	k->alive_from = t->sent;
	k->wrote_by = t->replied;
	if (k->cas_known)
		k->cas_floor = k->cas;
	k->cas_known = false;
}

void sim_key_expire_set(struct sim_key *k, const struct sim_when *t, int64_t exptime)
{
	if (exptime == 0) {
		k->until_lo = k->until_hi = 0;
	} else if (exptime < 0) {
		k->until_lo = k->until_hi = 1;
	} else if (exptime > 60 * 60 * 24 * 30) { // a Unix time
		k->until_lo = k->until_hi = (uint64_t)exptime;
	} else {
		k->until_lo = t->sent_s + (uint64_t)exptime;
		k->until_hi = t->replied_s + (uint64_t)exptime;
	}
}

static void key_room(struct sim *s, struct sim_key *k, uint32_t len)
{
	if (len <= k->room)
		return;
	k->value = sim_grow(s, k->value, k->room, len + len / 4);
	k->room = len + len / 4;
}

void sim_key_value_set(struct sim *s, struct sim_key *k, const char *p, uint32_t len)
{
	key_room(s, k, len);
	if (len > 0)
		memcpy(k->value, p, len);
	k->len = len;
}

void sim_key_join(struct sim *s, struct sim_key *k, const char *p, uint32_t len, bool append)
{
	key_room(s, k, k->len + len);
	if (len == 0)
		return;
	if (!append)
		memmove(k->value + len, k->value, k->len);
	memcpy(append ? k->value + k->len : k->value, p, len);
	k->len += len;
}

void sim_key_reset(struct sim *s, struct sim_key *k)
{
	if (k->value != NULL)
		sim_free(s, k->value, k->room);
	*k = (struct sim_key){.is = SIM_ABSENT};
}

void sim_key_cas_check(struct sim *s, struct sim_key *k, uint64_t cas)
{
	if (k->cas_known && cas != k->cas)
		sim_fail(s, "CAS number %llu of an unchanged key that had %llu",
			(unsigned long long)cas, (unsigned long long)k->cas);
	if (!k->cas_known && cas <= k->cas_floor)
		sim_fail(s, "CAS number %llu of a changed key, not above %llu",
			(unsigned long long)cas, (unsigned long long)k->cas_floor);
	k->cas = cas;
	k->cas_known = true;
}

void sim_refused(struct sim *s, const char *what)
{
	s->model.refusals++;
	if (!sim_refusal_possible(s))
		sim_fail(s, "%s: refused, with memory for everything", what);
}
