// SPDX-License-Identifier: BSD-3-Clause
// Reference policies over lists linked through arrays: an object is in at most one list.
#include <stdlib.h>

#include "base/base.h"
#include "sim.h"

// ---- lists --------------------------------------------------------------------------------------

#define QUEUES 3

struct lists {
	uint32_t *next, *prev; // by object; the heads stand behind the objects
	uint8_t *in;           // by object: 0, or its list + 1
	uint32_t objects, count[QUEUES];
};

static void lists_open(struct lists *l, uint32_t objects)
{
	*l = (struct lists){.objects = objects};
	l->next = calloc(objects + QUEUES, sizeof(*l->next));
	l->prev = calloc(objects + QUEUES, sizeof(*l->prev));
	l->in = calloc(objects, sizeof(*l->in));
	base_assert(l->next && l->prev && l->in);
	for (uint32_t q = 0; q < QUEUES; q++)
		l->next[objects + q] = l->prev[objects + q] = objects + q;
}

static void lists_close(struct lists *l)
{
	free(l->next);
	free(l->prev);
	free(l->in);
}

static void list_push(struct lists *l, unsigned q, uint32_t k)
{
	uint32_t head = l->objects + q;

	base_assert(!l->in[k]);
	l->next[k] = l->next[head];
	l->prev[k] = head;
	l->prev[l->next[head]] = k;
	l->next[head] = k;
	l->in[k] = (uint8_t)(q + 1);
	l->count[q]++;
}

static void list_unlink(struct lists *l, uint32_t k)
{
	base_assert(l->in[k]);
	l->next[l->prev[k]] = l->next[k];
	l->prev[l->next[k]] = l->prev[k];
	l->count[l->in[k] - 1]--;
	l->in[k] = 0;
}

static uint32_t list_pop(struct lists *l, unsigned q)
{
	uint32_t k = l->prev[l->objects + q];

	base_assert(l->count[q] > 0);
	list_unlink(l, k);
	return k;
}

// ---- exact LRU ----------------------------------------------------------------------------------

uint64_t sim_lru_hits(const struct trace *t, uint32_t capacity)
{
	struct lists l;
	uint64_t hits = 0;

	lists_open(&l, t->distinct);
	for (size_t i = 0; i < t->count; i++) {
		uint32_t k = t->key[i];

		if (l.in[k]) {
			hits++;
			list_unlink(&l, k);
		} else if (l.count[0] == capacity) {
			list_pop(&l, 0);
		}
		list_push(&l, 0, k);
	}
	lists_close(&l);
	return hits;
}

// ---- S3-FIFO ------------------------------------------------------------------------------------

enum { SMALL, MAIN, GHOST };

#define FREQ_MAX  3 // two bits
#define FREQ_MAIN 2 // hits in the small queue that take an object to the main one

struct s3fifo {
	struct lists l;
	uint8_t *freq;
	uint32_t small_max, main_max, ghost_max;
};

static void s3fifo_ghost_push(struct s3fifo *c, uint32_t k)
{
	if (c->ghost_max == 0)
		return;
	if (c->l.count[GHOST] == c->ghost_max)
		list_pop(&c->l, GHOST);
	list_push(&c->l, GHOST, k);
}

static void s3fifo_main_evict(struct s3fifo *c)
{
	while (c->l.count[MAIN] > 0) {
		uint32_t k = list_pop(&c->l, MAIN);

		if (c->freq[k] == 0)
			return;
		c->freq[k]--;
		list_push(&c->l, MAIN, k);
	}
}

static void s3fifo_small_evict(struct s3fifo *c)
{
	while (c->l.count[SMALL] > 0) {
		uint32_t k = list_pop(&c->l, SMALL);

		if (c->freq[k] < FREQ_MAIN) {
			s3fifo_ghost_push(c, k);
			return;
		}
		c->freq[k] = 0;
		list_push(&c->l, MAIN, k);
		if (c->l.count[MAIN] > c->main_max)
			s3fifo_main_evict(c);
	}
}

static void s3fifo_insert(struct s3fifo *c, uint32_t k)
{
	bool ghost = c->l.in[k] == GHOST + 1;

	if (ghost)
		list_unlink(&c->l, k);
	while (c->l.count[SMALL] + c->l.count[MAIN] >= c->small_max + c->main_max) {
		if (c->l.count[SMALL] >= c->small_max)
			s3fifo_small_evict(c);
		else
			s3fifo_main_evict(c);
	}
	c->freq[k] = 0;
	list_push(&c->l, ghost ? MAIN : SMALL, k);
}

uint64_t sim_s3fifo_hits(const struct trace *t, uint32_t capacity)
{
	struct s3fifo c = {.small_max = capacity >= 10 ? capacity / 10 : 1};
	uint64_t hits = 0;

	c.main_max = capacity - c.small_max;
	c.ghost_max = c.main_max;
	c.freq = calloc(t->distinct, sizeof(*c.freq));
	base_assert(c.freq);
	lists_open(&c.l, t->distinct);
	for (size_t i = 0; i < t->count; i++) {
		uint32_t k = t->key[i];

		if (c.l.in[k] == SMALL + 1 || c.l.in[k] == MAIN + 1) {
			hits++;
			if (c.freq[k] < FREQ_MAX)
				c.freq[k]++;
		} else {
			s3fifo_insert(&c, k);
		}
	}
	lists_close(&c.l);
	free(c.freq);
	return hits;
}
