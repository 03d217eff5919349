// SPDX-License-Identifier: BSD-3-Clause
// A hierarchical timing wheel of four levels of 64 slots, 1 ms a tick. A connection stands in it
// once, for its earliest deadline. Deadlines that move later leave it where it is: when its slot
// comes it is put where it belongs then (so acknowledgements never touch the wheel).
//
//	level 0: 64 slots of 1 ms | 1: 64 of 64 ms | 2: 64 of 4 s | 3: 64 of 262 s
#include "tcp/tcp_internal.h"

void tcp_wheel_open(struct tcp_wheel *w)
{
	for (unsigned l = 0; l < TCP_WHEEL_LEVELS; l++) {
		for (unsigned i = 0; i < TCP_WHEEL_SLOTS; i++)
			base_list_init(&w->slot[l][i]);
	}
}

void tcp_time_set(struct tcp *tcp, uint64_t now_us)
{
	if (tcp->wheel.tick == 0)
		tcp->wheel.tick = now_us / 1000 + 1;
	tcp->now_us = now_us;
	tcp->now_ms = (uint32_t)(now_us / 1000);
}

static void wheel_add(struct tcp *tcp, struct tcp_conn *c, uint32_t at_ms)
{
	struct tcp_wheel *w = &tcp->wheel;
	int32_t left = (int32_t)(at_ms - (uint32_t)w->tick);
	uint64_t delta = left < w->running ? w->running : (uint64_t)left, at;
	unsigned level = 0, slot;

	if (delta >= TCP_WHEEL_SPAN)
		delta = TCP_WHEEL_SPAN - 1; // comes early and is put off again
	at = w->tick + delta;
	while (delta >= TCP_WHEEL_SLOTS) {
		delta /= TCP_WHEEL_SLOTS;
		level++;
	}
	base_assert(level < TCP_WHEEL_LEVELS);
	slot = (at >> (6 * level)) % TCP_WHEEL_SLOTS;
	base_list_append(&w->slot[level][slot], &c->timer);
	w->busy[level] |= 1ull << slot;
	c->wheel_at = at_ms;
	c->in_wheel = true;
}

void tcp_timer_remove(struct tcp_conn *c)
{
	if (c->in_wheel)
		base_list_remove(&c->timer);
	c->in_wheel = false;
}

static uint32_t *timer_at(struct tcp_conn *c, enum tcp_timer t)
{
	return t == TCP_T_KEEP ? &c->keep_at : &c->timer_at[t];
}

void tcp_timer_arm(struct tcp *tcp, struct tcp_conn *c, enum tcp_timer t, uint64_t delay_us)
{
	uint32_t at = (uint32_t)((tcp->now_us + delay_us + 999) / 1000);

	base_assert(c->node.state != TCP_CLOSED);
	*timer_at(c, t) = at;
	c->timers |= (uint8_t)(1u << t);
	if (c->in_wheel && !seq_lt(at, c->wheel_at))
		return;
	tcp_timer_remove(c);
	wheel_add(tcp, c, at);
}

void tcp_timer_stop(struct tcp_conn *c, enum tcp_timer t)
{
	c->timers &= (uint8_t) ~(1u << t);
}

// The earliest that is armed. False: none is.
static bool deadline_next(struct tcp_conn *c, uint32_t *at)
{
	bool any = false;

	for (unsigned t = 0; t < TCP_TIMERS; t++) {
		if (!tcp_timer_armed(c, t))
			continue;
		if (!any || seq_lt(*timer_at(c, t), *at))
			*at = *timer_at(c, t);
		any = true;
	}
	return any;
}

// The slot of c came: runs what is due and puts c back for what is left.
static void timer_fire(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t at = 0;

	c->in_wheel = false;
	for (unsigned t = 0; t < TCP_TIMERS; t++) {
		if (!tcp_timer_armed(c, t) || seq_lt(tcp->now_ms, *timer_at(c, t)))
			continue;
		tcp_timer_stop(c, t);
		if (!tcp_timeout(tcp, c, t))
			return;
	}
	tcp_timer_remove(c); // a handler may have armed one
	if (deadline_next(c, &at))
		wheel_add(tcp, c, at);
}

// When the next slot that holds something comes; UINT64_MAX: the wheel is empty.
static uint64_t wheel_next(const struct tcp_wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned l = 0; l < TCP_WHEEL_LEVELS; l++) {
		uint64_t cur = w->tick >> (6 * l), at;
		unsigned turn = cur % TCP_WHEEL_SLOTS, ahead;
		uint64_t bits = w->busy[l];

		if (bits == 0)
			continue;
		bits = turn == 0 ? bits : bits >> turn | bits << (TCP_WHEEL_SLOTS - turn);
		ahead = (unsigned)__builtin_ctzll(bits);
		// The slot of the current time has been spread already unless it begins just now.
		if (ahead == 0 && l > 0 && (cur << (6 * l)) != w->tick) {
			bits &= bits - 1;
			ahead = bits == 0 ? TCP_WHEEL_SLOTS : (unsigned)__builtin_ctzll(bits);
		}
		at = (cur + ahead) << (6 * l);
		best = base_min_u64(best, at);
	}
	return best;
}

// Spreads the slots that begin at the current tick over the levels below, by what the deadlines are
// now: most have moved on since, to another slot of the same level. False: budget used up.
static bool wheel_cascade(struct tcp *tcp, unsigned *budget)
{
	struct tcp_wheel *w = &tcp->wheel;

	for (unsigned l = TCP_WHEEL_LEVELS - 1; l > 0; l--) {
		unsigned slot = (w->tick >> (6 * l)) % TCP_WHEEL_SLOTS;
		struct base_list *n;

		if (w->tick & ((1ull << (6 * l)) - 1))
			continue;
		while ((n = w->slot[l][slot].next) != &w->slot[l][slot]) {
			struct tcp_conn *c = base_container_of(n, struct tcp_conn, timer);
			uint32_t at = c->wheel_at;

			if (*budget == 0)
				return false;
			(*budget)--;
			base_list_remove(n);
			c->in_wheel = false;
			if (deadline_next(c, &at))
				wheel_add(tcp, c, at);
		}
		w->busy[l] &= ~(1ull << slot);
	}
	return true;
}

static bool wheel_run_tick(struct tcp *tcp, unsigned *budget)
{
	struct tcp_wheel *w = &tcp->wheel;
	unsigned slot = w->tick % TCP_WHEEL_SLOTS;
	struct base_list *head = &w->slot[0][slot], *n;

	if (!wheel_cascade(tcp, budget))
		return false;
	w->running = true;
	while (*budget > 0 && (n = base_list_pop(head)) != NULL) {
		(*budget)--;
		timer_fire(tcp, base_container_of(n, struct tcp_conn, timer));
	}
	w->running = false;
	if (!base_list_empty(head))
		return false;
	w->busy[0] &= ~(1ull << slot);
	w->tick++;
	return true;
}

// Counting the free mbufs reads a line for every lcore's cache: once a millisecond is enough.
static void pool_watch(struct tcp *tcp)
{
	tcp_pool_look(tcp);
	if (tcp->pool_ms == tcp->now_ms)
		return;
	tcp->pool_ms = tcp->now_ms;
	tcp->pool_low = rte_mempool_avail_count(tcp->opt.pool) < tcp->opt.pool->size / 16;
	if (tcp->pool_low)
		tcp_ooo_prune(tcp);
}

uint64_t tcp_deadline(const struct tcp *tcp)
{
	uint64_t tick = wheel_next(&tcp->wheel);

	if (!base_list_empty(&tcp->tw)) {
		const struct tcp_tw *tw = base_container_of(tcp->tw.next, struct tcp_tw, list);
		int32_t left = (int32_t)(tw->expire_ms - tcp->now_ms);

		tick = base_min_u64(tick, tcp->now_us / 1000 + (left < 0 ? 0 : (uint64_t)left));
	}
	return tick == UINT64_MAX ? UINT64_MAX : tick * 1000;
}

uint64_t tcp_timers(struct tcp *tcp, uint64_t now_us)
{
	struct tcp_wheel *w = &tcp->wheel;
	unsigned budget = TCP_TIMERS_MAX;
	uint64_t now_tick = now_us / 1000, next;

	tcp_time_set(tcp, now_us);
	pool_watch(tcp);
	tcp_bulk_expire(tcp);
	budget -= tcp_timewait_expire(tcp, budget);
	while ((next = wheel_next(w)) <= now_tick) {
		w->tick = base_max_u64(w->tick, next);
		if (!wheel_run_tick(tcp, &budget))
			return now_us;
	}
	w->tick = base_max_u64(w->tick, now_tick + 1);
	return tcp_deadline(tcp);
}
