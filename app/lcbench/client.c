// SPDX-License-Identifier: BSD-3-Clause
// One client: its requests in flight.
#include <string.h>

#include "lcbench.h"
#include "worker/worker.h"

#define VERIFY_EVERY   64 // of the requests measured
#define COMPLAINTS_MAX 5

// Every key is asked for once, in order.
static bool in_order(const struct bench *b)
{
	return b->phase == BENCH_FILL || b->phase == BENCH_CHECK;
}

// What a client may have in flight.
static unsigned flights_now(const struct bench *b)
{
	return b->o->udp || in_order(b) ? b->per_client : b->o->pipeline;
}

size_t bench_request_max(const struct bench *b)
{
	size_t set = words_set_max(&b->words) + b->workload.sizes.max;

	return base_max_u64(set, words_get_max(&b->words, b->o->multi));
}

// Where the server has a key: it is asked there.
static uint16_t key_shard(const struct bench *b, uint32_t key)
{
	char text[WORDS_KEY_MAX + 1];

	if (b->o->shard_ports == 1)
		return 0;
	words_key_write(&b->words, key, text);
	return (uint16_t)worker_of_hash(base_hash(text, b->o->key_size), b->o->shard_ports);
}

static void request_write(struct bench *b, const struct bench_flight *f, struct bench_request *r)
{
	*r = (struct bench_request){
		.head = b->head, .set = f->set, .shard = key_shard(b, f->key[0])};
	if (!f->set) {
		r->head_len = words_get_write(&b->words, f->key, f->keys, b->head);
		return;
	}
	r->value_len = bench_value_size(&b->workload, f->key[0]);
	r->value = bench_value(&b->workload, f->key[0], f->version);
	r->end = words_value_end(&b->words);
	r->end_len = (uint32_t)strlen(r->end);
	r->head_len = words_set_write(&b->words, f->key[0], f->version, r->value_len, b->head);
}

static bool verify_choose(struct bench *b)
{
	if (b->phase == BENCH_CHECK || b->o->verify == VERIFY_ALL)
		return true;
	if (b->o->verify == VERIFY_OFF || ++b->unverified < VERIFY_EVERY)
		return false;
	b->unverified = 0;
	return true;
}

// What --once and --rate have to say.
static bool may_send(struct bench *b, struct bench_client *c, uint64_t *due_ns)
{
	if (b->o->once && (c->once_sent || b->phase != BENCH_MEASURE))
		return false;
	if (b->o->rate && !schedule_take(&b->schedule, b->now_ns, due_ns))
		return false;
	c->once_sent = b->o->once;
	return true;
}

static void flight_fill(struct bench *b, struct bench_flight *f, uint64_t due_ns)
{
	struct bench_workload *w = &b->workload;
	bool all = in_order(b);

	f->due_ns = due_ns;
	f->sent_ns = b->now_ns;
	f->set = all ? b->phase == BENCH_FILL : bench_set_next(w);
	f->keys = f->set ? 1 : b->o->multi;
	if (all)
		f->keys = (uint32_t)base_min_u64(f->keys, bench_keys_ordered(b) - b->next_key);
	for (uint32_t i = 0; i < f->keys; i++)
		f->key[i] = all ? b->next_key++ : bench_key_next(w);
	f->version = f->set && !all ? bench_version_next(w) : 0;
	f->verify = !f->set && verify_choose(b);
}

bool bench_client_next(struct bench *b, struct bench_client *c, struct bench_request *r)
{
	uint64_t due_ns = b->now_ns;
	struct bench_flight *f;
	uint32_t slot;

	if (c->dead || c->inflight >= flights_now(b) || b->phase == BENCH_DONE ||
		b->phase == BENCH_CONNECT)
		return false;
	if (in_order(b) ? b->next_key == bench_keys_ordered(b) : !may_send(b, c, &due_ns))
		return false;
	slot = c->head + c->inflight;
	f = &c->flight[slot < b->per_client ? slot : slot - b->per_client];
	flight_fill(b, f, due_ns);
	c->inflight++;
	b->inflight++;
	request_write(b, f, r);
	return true;
}

static void answer_begin(struct bench_client *c)
{
	c->expect = BENCH_HEAD;
	c->part_len = 0;
	c->key_at = c->hits = 0;
}

void bench_client_again(struct bench *b, struct bench_client *c, struct bench_request *r)
{
	base_assert(c->inflight > 0);
	answer_begin(c);
	request_write(b, &c->flight[c->head], r);
}

static const struct bench_flight *oldest_remove(struct bench *b, struct bench_client *c)
{
	const struct bench_flight *f = &c->flight[c->head];

	base_assert(c->inflight > 0);
	if (++c->head == b->per_client)
		c->head = 0;
	c->inflight--;
	b->inflight--;
	return f;
}

void bench_client_complete(struct bench *b, struct bench_client *c, bool ok)
{
	const struct bench_flight *f = oldest_remove(b, c);

	if (!f->set && ok) {
		b->n.keys_read += f->keys;
		b->n.misses += f->keys - c->hits;
	}
	answer_begin(c);
	bench_complete(b, f, ok);
}

void bench_client_give_up(struct bench *b, struct bench_client *c)
{
	oldest_remove(b, c);
	answer_begin(c);
}

bool bench_may_complain(struct bench *b)
{
	return b->complaints++ < COMPLAINTS_MAX;
}

void bench_client_lose(struct bench *b, struct bench_client *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	b->dead++;
	b->n.errors += c->inflight;
	b->inflight -= c->inflight;
	c->inflight = 0;
	if (bench_may_complain(b))
		fprintf(stderr, "lcbench: connection %u lost: %s\n", c->conn_index, why);
	if (in_order(b) || b->dead == b->clients)
		bench_fail(b, why);
}
