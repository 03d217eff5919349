// SPDX-License-Identifier: BSD-3-Clause
// Requests are parsed before the first of them is executed, so that the memory they need is fetched
// side by side: their buckets while the others are parsed, then their items.

#include "worker/worker_internal.h"

// Whether the requests behind r can be parsed before r has been executed.
static bool request_plain(const struct proto_request *r)
{
	switch ((enum proto_op)r->op) {
	case PROTO_OP_GET:
	case PROTO_OP_END:
	case PROTO_OP_META_GET:
	case PROTO_OP_META_NOOP:
	case PROTO_OP_META_DEBUG:
	case PROTO_OP_DELETE:
	case PROTO_OP_ARITH:
	case PROTO_OP_TOUCH:
		return r->swallow_bytes == 0;
	default:
		return false; // its value, or the end of the connection, may follow
	}
}

bool worker_ahead_room(const struct worker *w)
{
	return w->ahead.n <= WORKER_AHEAD_MAX - 2 * WORKER_AHEAD_EACH;
}

struct worker_range worker_ahead_parse(
	struct worker *w, const struct proto_parser *from, const char *data, size_t len)
{
	struct worker_ahead *a = &w->ahead;
	struct proto_parser parser = *from;
	struct worker_range range = {.at = a->n, .end = a->n};
	unsigned end = a->n + WORKER_AHEAD_EACH;
	bool plain = true;

	base_assert(end <= WORKER_AHEAD_MAX);
	while (plain && len > 0 && range.end < end) {
		struct worker_request *q = &a->request[range.end];

		if (proto_parse(&parser, data, len, &q->r) == PROTO_MORE)
			break;
		base_assert(q->r.consumed <= len);
		data += q->r.consumed;
		len -= q->r.consumed;
		worker_request_complete(w, q, &parser);
		if (q->r.key_len > 0 && q->owner == w->id)
			store_bucket_prefetch(w->store, q->hash);
		plain = request_plain(&q->r);
		range.end++;
	}
	a->n = range.end;
	return range;
}

void worker_ahead_fetch(const struct worker *w, struct worker_range range)
{
	for (unsigned i = range.at; i < range.end; i++) {
		const struct worker_request *q = &w->ahead.request[i];

		if (q->r.key_len > 0 && q->owner == w->id)
			store_item_prefetch(w->store, q->hash);
	}
}
