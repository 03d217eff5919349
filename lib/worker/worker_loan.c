// SPDX-License-Identifier: BSD-3-Clause
// Loans: a set that the shard's allowance cannot hold waits while the control core is asked for
// more. A connection of our own stalls. A request from another worker is kept, and what that worker
// sent behind it stays in the ring: a get must not overtake the set before it.

#include "worker/worker_internal.h"

#define LOAN_WAIT_US (3 * 1000 * 1000) // the control core answers in time, or does not answer
#define LOAN_NO_US   (10 * 1000)       // after a refusal nobody else waits for so long

bool worker_loan_wait(struct worker *w, const struct proto_request *r)
{
	struct worker_loan *l = &w->loan;
	uint64_t limit_bytes = store_limit_wanted(w->store, r->key_len, r->value_bytes);

	if (base_likely(limit_bytes == 0))
		return false;
	if (limit_bytes > w->orders.maxmemory_bytes || w->stopping ||
		r->value_bytes > w->settings->item_bytes_max || w->now.mono_us < l->no_until_us)
		return false;
	if (l->asked_us == 0) {
		l->seq++;
		l->limit_bytes = limit_bytes;
		l->asked_us = w->now.mono_us;
		w->n.loans++;
	}
	return true;
}

void worker_loan_turn(struct worker *w)
{
	struct worker_loan *l = &w->loan;
	bool answered = w->orders.loan_seq == l->seq;

	if (base_likely(l->asked_us == 0))
		return;
	if (!answered && !w->stopping && w->now.mono_us - l->asked_us < LOAN_WAIT_US)
		return;
	if (w->orders.limit_bytes < l->limit_bytes) {
		l->no_until_us = w->now.mono_us + LOAN_NO_US;
		w->n.loans_refused++;
	}
	l->asked_us = 0;
	for (unsigned i = 0; i < w->count; i++) {
		struct worker_peer *p = &w->peer[i];
		void *msg = p->kept;

		// One peer's set may have taken what was lent: the next one asks again.
		p->kept = NULL;
		if (msg != NULL)
			worker_msg_serve(w, p, msg);
	}
}
