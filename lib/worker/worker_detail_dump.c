// SPDX-License-Identifier: BSD-3-Clause
// stats detail dump: the tables of all workers as one text. In each round every worker hands over
// its records of some buckets, the same for all, since all put a prefix into the same bucket; they
// are summed here, and written behind what is there. One round a turn, one dump a worker at a time.

#include "worker/worker_admin.h"

#define LINE_BYTES(len) (29 + 4 * 20 + (size_t)(len)) // of a prefix of so many bytes
#define TEXT_TAIL       (5 + PROTO_BINARY_HEADER)
#define TEXT_NAME       "detailed" // of the one packet with the text
#define TEXT_HEAD       (PROTO_BINARY_HEADER + sizeof(TEXT_NAME) - 1)
#define TEXT_BYTES_MAX  (12u << 20)
#define TEXT_LEFT       65536 // more than that behind the text is given back

static_assert(WORKER_PREFIX_CHAIN * WORKER_PREFIX_MAX <= WORKER_DETAIL_TEXT_MIN,
	"a round brings one bucket at least");
static_assert(LINE_BYTES(0) <= 3 * offsetof(struct worker_prefix, text), "text_room counts on it");

struct worker_run { // records of one worker that are still to be summed
	struct worker_prefix *at, *end;
};

static struct worker_prefix *prefix_behind(struct worker_prefix *p)
{
	return (void *)((char *)p + worker_prefix_bytes(p->len));
}

// ---- the text ----------------------------------------------------------------------------------
// Makes room for the lines of `bytes` of records. What has been written tells how much is to come.
// False: no memory; where the text may not grow any more there is just no room.
static bool text_room(struct worker *w, struct worker_detail_text *t, uint32_t bytes)
{
	uint64_t want = t->len + 3ull * bytes + TEXT_TAIL, all;
	char *text;

	if (want <= t->room || t->room == TEXT_BYTES_MAX)
		return true;
	if (t->from > 0) {
		all = (uint64_t)t->len * WORKER_PREFIX_BUCKETS / t->from;
		want = base_max_u64(want, all + all / 8 + TEXT_TAIL);
	}
	want = base_min_u64(want, TEXT_BYTES_MAX);
	if (t->text == NULL)
		text = mem_try_alloc(w->mem, MEM_OUTPUT, want, NULL);
	else
		text = mem_try_realloc(w->mem, MEM_OUTPUT, t->text, t->room, want, NULL);
	if (text == NULL)
		return false;
	t->text = text;
	t->room = (uint32_t)want;
	return true;
}

static char *put_count(char *p, const char *name, uint64_t v)
{
	memcpy(p, name, 5);
	return p + 5 + base_u64_format(p + 5, v);
}

static void line_put(struct worker *w, struct worker_detail_text *t, const struct worker_prefix *r)
{
	char *p = t->text + t->len;

	if (t->len + LINE_BYTES(r->len) + TEXT_TAIL > t->room) {
		w->n.detail_left_out++;
		return;
	}
	memcpy(p, "PREFIX ", 7);
	memcpy(p + 7, r->text, r->len);
	p = put_count(p + 7 + r->len, " get ", r->gets);
	p = put_count(p, " hit ", r->hits);
	p = put_count(p, " set ", r->sets);
	p = put_count(p, " del ", r->deletes);
	memcpy(p, "\r\n", 2);
	t->len = (uint32_t)(p + 2 - t->text);
}

// ---- summing -----------------------------------------------------------------------------------
// Adds a record to those of its bucket, of which there are n. Returns how many there are now.
static unsigned found_add(struct worker_prefix **found, unsigned n, struct worker_prefix *p)
{
	for (unsigned i = 0; i < n; i++) {
		if (worker_prefix_is(found[i], p->hash, p->text, p->len)) {
			found[i]->gets += p->gets;
			found[i]->hits += p->hits;
			found[i]->sets += p->sets;
			found[i]->deletes += p->deletes;
			return n;
		}
	}
	found[n] = p;
	return n + 1;
}

static void bucket_write(struct worker *w, struct worker_detail_text *t, struct worker_run *run,
	unsigned runs, uint32_t bucket)
{
	struct worker_prefix *found[WORKER_PREFIX_CHAIN * WORKER_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < runs; i++) {
		for (; run[i].at < run[i].end && worker_prefix_bucket(run[i].at->hash) == bucket;
			run[i].at = prefix_behind(run[i].at))
			n = found_add(found, n, run[i].at);
	}
	for (unsigned i = 0; i < n; i++)
		line_put(w, t, found[i]);
}

// The next bucket of which somebody has records.
static uint32_t bucket_next(const struct worker_run *run, unsigned runs)
{
	uint32_t bucket = WORKER_PREFIX_BUCKETS;

	for (unsigned i = 0; i < runs; i++) {
		if (run[i].at < run[i].end)
			bucket = RTE_MIN(bucket, worker_prefix_bucket(run[i].at->hash));
	}
	return bucket;
}

bool worker_detail_merge(struct worker *w, struct worker_gather *g)
{
	struct worker_detail_text *t = &g->detail;
	struct worker_run run[WORKER_MAX];
	uint32_t to = WORKER_PREFIX_BUCKETS, bytes = 0, bucket;

	if (t->text == NULL && proto_is_binary(&g->slot->req))
		t->len = TEXT_HEAD;
	for (unsigned i = 0; i < w->count; i++) {
		char *at = g->text + (size_t)i * g->text_each;

		run[i].at = (void *)at;
		run[i].end = (void *)(at + g->part[i].text_len);
		to = RTE_MIN(to, g->part[i].next);
		bytes += g->part[i].text_len;
	}
	t->failed = !text_room(w, t, bytes);
	if (t->failed)
		return false;
	while ((bucket = bucket_next(run, w->count)) < to)
		bucket_write(w, t, run, w->count, bucket);
	t->from = to;
	return to < WORKER_PREFIX_BUCKETS;
}

bool worker_detail_end(struct worker *w, struct worker_gather *g)
{
	const struct proto_request *r = &g->slot->req;
	struct worker_detail_text *t = &g->detail;
	char *text;

	if (t->failed || t->text == NULL)
		return false;
	memcpy(t->text + t->len, "END\r\n", 5);
	t->len += 5;
	if (proto_is_binary(r)) {
		proto_stats_binary_head(r, TEXT_NAME, (uint32_t)(t->len - TEXT_HEAD), t->text);
		t->len += (uint32_t)proto_stats_binary(r, "END\r\n", 5, t->text + t->len);
	}
	if (t->room - t->len <= TEXT_LEFT)
		return true;
	text = mem_try_realloc(w->mem, MEM_OUTPUT, t->text, t->room, t->len, NULL);
	if (text != NULL) {
		t->text = text;
		t->room = t->len;
	}
	return true;
}
