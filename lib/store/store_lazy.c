// SPDX-License-Identifier: BSD-3-Clause
// Lazy free: large items that nobody holds any more wait in a queue, and go a few at a time.
//
// Three ways, after how much it matters: over the limit everything goes that a step may do; while
// the worker's polls are mostly empty the queue is drained; else a few go each step. Reserves that
// need room take from the queue before they evict.
#include "store/store_internal.h"

#define LAZY_BYTES  (64u << 10) // smaller ones are freed at once
#define LAZY_STEP   2           // items a step while there is other work
#define LAZY_DRAIN  16          // ... and while there is none
#define IDLE_WEIGHT 64          // turns over which empty polls are counted

// An item in the queue is no item any more: its first bytes are the link.
struct lazy_entry {
	struct lazy_entry *next;
	char *tail;
	struct store_layout layout;
	uint64_t usable;
};
static_assert(sizeof(struct lazy_entry) <= sizeof(struct store_item) + LAZY_BYTES / 2, "fits");

void store_lazy_free(struct store *s, struct store_item *it, enum store_lazy mode)
{
	uint64_t bytes = store_item_bytes(it), usable;
	struct store_layout layout;
	struct lazy_entry *e;
	char *tail;

	if (base_likely(bytes < LAZY_BYTES) || !(s->set.lazyfree & mode)) {
		store_item_free(s, it);
		return;
	}
	usable = store_item_usable(s, it);
	layout = store_layout_of(bytes);
	tail = layout.tail_bytes ? store_tail(it) : NULL;
	e = (struct lazy_entry *)(void *)it;
	*e = (struct lazy_entry){.tail = tail, .layout = layout, .usable = usable};
	if (s->lazy_tail)
		s->lazy_tail->next = e;
	else
		s->lazy_head = e;
	s->lazy_tail = e;
	s->n.lazyfree_pending_objects++;
	s->n.lazyfree_pending_bytes += usable;
	switch (mode) {
	case STORE_LAZY_EVICTION:
		s->n.lazyfreed_eviction++;
		break;
	case STORE_LAZY_EXPIRE:
		s->n.lazyfreed_expire++;
		break;
	case STORE_LAZY_SERVER_DEL:
		s->n.lazyfreed_server_del++;
		break;
	case STORE_LAZY_USER_DEL:
		s->n.lazyfreed_user_del++;
		break;
	case STORE_LAZY_USER_FLUSH:
		s->n.lazyfreed_user_flush++;
		break;
	case STORE_LAZY_RELEASE:
		s->n.lazyfreed_release++;
		break;
	}
}

bool store_lazy_reclaim(struct store *s)
{
	struct lazy_entry *e = s->lazy_head;

	if (!e)
		return false;
	s->lazy_head = e->next;
	if (!s->lazy_head)
		s->lazy_tail = NULL;
	base_assert(s->n.lazyfree_pending_objects > 0);
	s->n.lazyfree_pending_objects--;
	s->n.lazyfree_pending_bytes -= e->usable;
	s->n.lazyfreed_objects++;
	store_pieces_free(s, e, e->tail, e->layout);
	return true;
}

void store_idle_note(struct store *s, bool idle)
{
	// of 2^16
	s->idle = (uint32_t)((int32_t)s->idle +
		((idle ? 65536 : 0) - (int32_t)s->idle) / IDLE_WEIGHT);
}

static bool mostly_idle(const struct store *s)
{
	return (uint64_t)s->idle * 100 >= (uint64_t)s->set.lazyfree_idle_percent * 65000;
}

unsigned store_lazy_step(struct store *s, unsigned budget)
{
	bool over = s->limit_bytes && store_charged_bytes(s) > store_limit_kept(s);
	unsigned want = over ? budget : mostly_idle(s) ? LAZY_DRAIN : LAZY_STEP;

	want = (unsigned)base_min_u64(want, budget);
	while (want > 0 && store_lazy_reclaim(s)) {
		want--;
		budget--;
	}
	return budget;
}
