// SPDX-License-Identifier: BSD-3-Clause
// One client: requests in flight, and their answers taken apart as they come, in any pieces.
#include <string.h>

#include "lcbench.h"

#define VERIFY_EVERY   64 // of the values measured; all are when they are checked
#define COMPLAINTS_MAX 5
#define RATE_SLACK_NS  UINT64_C(1000000)

static const char value_end[] = "\r\nEND\r\n";

static void request_write(struct bench *b, const struct bench_flight *f, struct bench_request *r)
{
	r->set = f->set;
	r->value = NULL;
	r->value_len = 0;
	if (!f->set) {
		r->head_len = bench_get_write(&b->workload, f->key, r->head);
		return;
	}
	r->head_len = bench_set_write(&b->workload, f->key, r->head);
	r->value = bench_value(&b->workload, f->key);
	r->value_len = b->workload.value_size;
}

static bool set_is_next(struct bench *b)
{
	return b->o->sets > 100 ? b->o->set : base_rng_below(&b->rng, 100) < b->o->sets;
}

// What --once and --rate have to say. A generator that fell behind its rate by more than a
// millisecond does not catch up in one burst.
static bool may_send(struct bench *b, struct bench_client *c)
{
	if (b->o->once && (c->once_sent || b->phase != BENCH_MEASURE))
		return false;
	c->once_sent = b->o->once;
	if (b->o->rate == 0)
		return true;
	if (b->credit_ns > b->now_ns)
		return false;
	b->credit_ns = base_max_u64(b->credit_ns, b->now_ns - RATE_SLACK_NS) +
		UINT64_C(1000000000) / b->o->rate;
	return true;
}

bool bench_client_next(struct bench *b, struct bench_client *c, struct bench_request *r)
{
	bool all = b->phase == BENCH_FILL || b->phase == BENCH_CHECK; // every key once, in order
	struct bench_flight *f;
	uint32_t slot;

	if (c->dead || c->inflight == b->per_client || b->phase == BENCH_DONE ||
		b->phase == BENCH_CONNECT)
		return false;
	if (all && b->next_key == b->o->keys)
		return false;
	if (!all && !may_send(b, c))
		return false;
	slot = c->head + c->inflight;
	f = &c->flight[slot < b->per_client ? slot : slot - b->per_client];
	f->sent_ns = b->now_ns;
	f->key = all ? b->next_key++ : (uint32_t)base_rng_below(&b->rng, b->o->keys);
	f->set = all ? b->phase == BENCH_FILL : set_is_next(b);
	f->verify = b->phase == BENCH_CHECK || f->key % VERIFY_EVERY == 0;
	c->inflight++;
	b->inflight++;
	request_write(b, f, r);
	return true;
}

void bench_client_again(struct bench *b, struct bench_client *c, struct bench_request *r)
{
	base_assert(c->inflight > 0);
	c->expect = BENCH_LINE;
	c->line_len = 0;
	request_write(b, &c->flight[c->head], r);
}

static void complete(struct bench *b, struct bench_client *c, bool miss, bool ok)
{
	struct bench_flight f = c->flight[c->head];

	if (++c->head == b->per_client)
		c->head = 0;
	c->inflight--;
	b->inflight--;
	bench_complete(b, &f, miss, ok);
}

static void complain(struct bench *b, const struct bench_flight *f, const char *line, size_t len)
{
	if (b->complaints++ >= COMPLAINTS_MAX)
		return;
	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	fprintf(stderr, "lcbench: wrong answer to %s of key %u: \"%.*s\"\n", f->set ? "set" : "get",
		f->key, (int)(len < 100 ? len : 100), line);
}

static bool is(const char *line, size_t len, const char *want)
{
	return len == strlen(want) && !memcmp(line, want, len);
}

// A whole line, its "\n" included.
static void line_take(struct bench *b, struct bench_client *c, const char *line, size_t len)
{
	const struct bench_flight *f = &c->flight[c->head];
	char want[BENCH_HEAD_MAX];

	if (f->set) {
		bool stored = is(line, len, "STORED\r\n");

		if (!stored)
			complain(b, f, line, len);
		complete(b, c, false, stored);
		return;
	}
	if (len == bench_value_line_write(&b->workload, f->key, want) && !memcmp(line, want, len)) {
		c->expect = BENCH_VALUE;
		c->value_left = b->workload.value_size;
		return;
	}
	if (is(line, len, "END\r\n")) {
		complete(b, c, true, true);
		return;
	}
	complain(b, f, line, len);
	complete(b, c, false, false);
}

// Takes a line's bytes; returns how many. 0: a line longer than any answer's.
static size_t line_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);
	size_t n = end ? (size_t)(end - data) + 1 : len;

	if (end && c->line_len == 0) {
		line_take(b, c, data, n);
		return n;
	}
	if (c->line_len + n > sizeof(c->line))
		return 0;
	memcpy(c->line + c->line_len, data, n);
	c->line_len += (uint16_t)n;
	if (end) {
		size_t all = c->line_len;

		c->line_len = 0;
		line_take(b, c, c->line, all);
	}
	return n;
}

static size_t value_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	struct bench_flight *f = &c->flight[c->head];
	size_t n = base_min_u64(len, c->value_left);
	uint32_t at = b->workload.value_size - c->value_left;

	if (f->verify && memcmp(data, bench_value(&b->workload, f->key) + at, n)) {
		complain(b, f, "(a value that was not stored)", 29);
		b->n.errors++;
		f->verify = false; // counted once
	}
	c->value_left -= (uint32_t)n;
	if (c->value_left == 0) {
		c->expect = BENCH_VALUE_END;
		b->n.verified += f->verify;
	}
	return n;
}

static size_t value_end_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	size_t n = base_min_u64(len, sizeof(value_end) - 1 - c->line_len);

	if (memcmp(data, value_end + c->line_len, n))
		return 0;
	c->line_len += (uint16_t)n;
	if (c->line_len == sizeof(value_end) - 1) {
		c->line_len = 0;
		c->expect = BENCH_LINE;
		complete(b, c, false, true);
	}
	return n;
}

bool bench_client_feed(struct bench *b, struct bench_client *c, const char *data, size_t len)
{
	while (len) {
		size_t n = 0;

		if (c->inflight == 0) {
			bench_client_lose(b, c, "an answer that nobody asked for");
			return false;
		}
		if (c->expect == BENCH_VALUE && c->value_left)
			n = value_feed(b, c, data, len);
		else if (c->expect == BENCH_LINE)
			n = line_feed(b, c, data, len);
		else
			n = value_end_feed(b, c, data, len);
		if (n == 0) {
			bench_client_lose(b, c, "an answer that cannot be understood");
			return false;
		}
		data += n;
		len -= n;
	}
	return true;
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
	if (b->complaints++ < COMPLAINTS_MAX)
		fprintf(stderr, "lcbench: connection %u lost: %s\n", c->conn_index, why);
	if (b->phase == BENCH_FILL || b->phase == BENCH_CHECK || b->dead == b->clients)
		bench_fail(b, why);
}
