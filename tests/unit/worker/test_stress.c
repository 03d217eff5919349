// SPDX-License-Identifier: BSD-3-Clause
// Random traffic against three workers, checked against a model: pipelined commands over TCP and
// UDP, values up to 1 MiB, clients that stop reading or die, workers that pause, packet buffers and
// memory that run out. One seed is one run; LCACHED_STRESS_SEEDS asks for more of them,
// LCACHED_STRESS_FIRST for others.

#include "lab.h"

#define CLIENTS 12
#define KEYS    12
#define BATCH   16
#define STEPS   3000

enum op_kind { OP_SET, OP_GET, OP_DELETE, OP_INCR, OP_FLUSH, OP_STATS };
enum presence { ABSENT, PRESENT, MAYBE }; // MAYBE: there, or evicted or flushed

struct key {
	enum presence is;
	unsigned len;
	char fill; // of the value; 0: a number
	uint64_t number;
};

struct op {
	enum op_kind kind;
	unsigned keys, key[BATCH];
	unsigned len;
	char fill;
	unsigned flushes; // begun when this was sent; UINT32_MAX: one was under way
};

struct stress_client {
	struct client *c;
	unsigned id, generation;
	struct key key[KEYS];
	struct op op[BATCH];
	unsigned ops, done;
	uint64_t read_again_us;
};

struct stress {
	struct base_rng rng;
	struct stress_client client[CLIENTS];
	unsigned flushes, flushes_open;
	bool tight;    // evictions are to be expected: also when an allocation fails
	bool faults;   // have been on: refusals are to be expected
	bool fault_on; // now
	struct rte_mbuf *held[LAB_POOL_MBUFS];
	unsigned held_count;
	uint64_t replies, refusals, misses;
};

static struct stress *st;

static unsigned pick(unsigned n)
{
	return (unsigned)(base_rng_next(&st->rng) % n);
}

static bool alloc_fails(void *arg)
{
	return st->fault_on && pick(8) == 0;
}

static size_t key_name(const struct stress_client *s, unsigned key, char *buf)
{
	return (size_t)sprintf(buf, "c%u_%u_%u", s->id, s->generation, key);
}

static void maybe_all(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		for (unsigned k = 0; k < KEYS; k++) {
			if (st->client[i].key[k].is == PRESENT)
				st->client[i].key[k].is = MAYBE;
		}
	}
}

// ---- sending
static unsigned value_len(void)
{
	switch (pick(16)) {
	case 0:
		return pick(1 << 20);
	case 1:
	case 2:
		return 16380 + pick(10);
	case 3:
	case 4:
		return pick(60000);
	case 5:
		return 0;
	default:
		return pick(300);
	}
}

static void set_send(struct stress_client *s, struct op *op)
{
	char name[32];
	char *value;

	key_name(s, op->key[0], name);
	op->len = value_len();
	op->fill = (char)('a' + pick(26));
	if (pick(4) == 0) { // for incr
		op->fill = 0;
		op->len = 1;
	}
	value = malloc(op->len + 3);
	memset(value, op->fill != 0 ? op->fill : '7', op->len);
	memcpy(value + op->len, "\r\n", 2);
	client_sendf(s->c, "set %s 5 0 %u\r\n", name, op->len);
	client_send(s->c, value, op->len + 2);
	free(value);
}

static void op_send(struct stress_client *s, struct op *op)
{
	static const char *const verb[] = {"set", "get", "delete", "incr", "flush_all", "stats"};
	unsigned k = pick(100);
	char name[32];

	op->kind = k < 35 ? OP_SET
		: k < 75  ? OP_GET
		: k < 83  ? OP_DELETE
		: k < 97  ? OP_INCR
		: k < 98  ? OP_FLUSH
			  : OP_STATS;
	op->flushes = st->flushes_open > 0 ? UINT32_MAX : st->flushes;
	op->keys = op->kind == OP_GET ? 1 + pick(BATCH) : op->kind < OP_FLUSH;
	for (unsigned i = 0; i < op->keys; i++)
		op->key[i] = pick(KEYS);
	if (op->kind == OP_SET) {
		set_send(s, op);
		return;
	}
	if (op->kind == OP_FLUSH) {
		st->flushes++;
		st->flushes_open++;
		maybe_all();
	}
	client_sendf(s->c, "%s", verb[op->kind]);
	for (unsigned i = 0; i < op->keys; i++) {
		key_name(s, op->key[i], name);
		client_sendf(s->c, " %s", name);
	}
	client_sendf(s->c, op->kind == OP_INCR ? " 3\r\n" : "\r\n");
}

// ---- replies
static bool reply_is(const char *line, const char *text)
{
	return strncmp(line, text, strlen(text)) == 0;
}

static bool refused(const char *line)
{
	if (!reply_is(line, "SERVER_ERROR out of memory"))
		return false;
	assert_true(st->faults || st->tight);
	st->refusals++;
	return true;
}

static void key_missed(struct key *k)
{
	if (k->is == PRESENT)
		print_error("a present key of %u bytes is missing\n", k->len);
	assert_true(k->is != PRESENT);
	k->is = ABSENT;
	st->misses++;
}

// The VALUE blocks and END; returns their length, 0: not all here yet.
static size_t get_check(struct stress_client *s, const struct op *op, const char *p, size_t len)
{
	bool found[BATCH] = {false};
	size_t at = 0;

	// Two passes: nothing of the model changes before all is here.
	for (int pass = 0; pass < 2; pass++) {
		unsigned i = 0;

		at = 0;
		while (true) {
			const char *end = memchr(p + at, '\n', len - at);
			char name[32], want[32];
			unsigned flags, bytes;

			if (end == NULL)
				return 0;
			if (reply_is(p + at, "END\r\n")) {
				at += 5;
				break;
			}
			if (reply_is(p + at, "SERVER_ERROR out of memory")) {
				assert_true(st->faults || st->tight);
				return (size_t)(end + 1 - p);
			}
			assert_int_equal(
				sscanf(p + at, "VALUE %31s %u %u\r\n", name, &flags, &bytes), 3);
			at = (size_t)(end + 1 - p);
			if (at + bytes + 2 > len)
				return 0;
			for (; i < op->keys; i++) {
				key_name(s, op->key[i], want);
				if (strcmp(want, name) == 0)
					break;
			}
			assert_true(i < op->keys);
			if (pass == 1) {
				struct key *k = &s->key[op->key[i]];

				found[i] = true;
				assert_true(k->is != ABSENT);
				assert_int_equal(flags, 5);
				if (k->fill == 0) {
					assert_int_equal(strtoull(p + at, NULL, 10), k->number);
				} else {
					assert_int_equal(bytes, k->len);
					for (unsigned b = 0; b < bytes; b++)
						assert_true(p[at + b] == k->fill);
				}
			}
			assert_memory_equal(p + at + bytes, "\r\n", 2);
			at += bytes + 2;
			i++;
		}
	}
	for (unsigned i = 0; i < op->keys; i++) {
		if (!found[i] && s->key[op->key[i]].is == PRESENT)
			key_missed(&s->key[op->key[i]]);
	}
	return at;
}

static void set_check(struct key *k, const struct op *op, const char *line)
{
	if (refused(line)) {
		k->is = MAYBE == k->is || PRESENT == k->is ? ABSENT : k->is;
		return;
	}
	assert_true(reply_is(line, "STORED\r\n"));
	k->len = op->len;
	k->fill = op->fill;
	k->number = 7;
	k->is = st->tight || st->flushes_open > 0 || st->flushes != op->flushes ? MAYBE : PRESENT;
}

static void incr_check(struct key *k, const char *line)
{
	if (refused(line))
		return;
	if (reply_is(line, "NOT_FOUND\r\n")) {
		key_missed(k);
	} else if (k->fill != 0) {
		assert_true(k->is != ABSENT);
		assert_true(reply_is(line, "CLIENT_ERROR cannot increment"));
	} else {
		assert_true(k->is != ABSENT);
		assert_int_equal(strtoull(line, NULL, 10), ++k->number + 2);
		k->number += 2;
	}
}

static void line_check(struct stress_client *s, const struct op *op, const char *line)
{
	struct key *k = &s->key[op->key[0]];

	switch (op->kind) {
	case OP_SET:
		set_check(k, op, line);
		break;
	case OP_INCR:
		incr_check(k, line);
		break;
	case OP_DELETE:
		if (reply_is(line, "NOT_FOUND\r\n")) {
			key_missed(k);
		} else {
			assert_true(reply_is(line, "DELETED\r\n") && k->is != ABSENT);
			k->is = ABSENT;
		}
		break;
	default:
		assert_true(reply_is(line, "OK\r\n"));
		st->flushes_open--;
		maybe_all();
	}
}

// The bytes that the reply of op takes; 0: not all here yet.
static size_t reply_check(struct stress_client *s, const struct op *op, const char *p, size_t len)
{
	const char *end;

	if (op->kind == OP_GET)
		return get_check(s, op, p, len);
	if (op->kind == OP_STATS) {
		end = strstr(p, "END\r\n");
		return reply_is(p, "SERVER_ERROR") ? (size_t)(strchr(p, '\n') + 1 - p)
			: end == NULL              ? 0
						   : (size_t)(end + 5 - p);
	}
	end = memchr(p, '\n', len);
	if (end == NULL)
		return 0;
	line_check(s, op, p);
	return (size_t)(end + 1 - p);
}

static void replies_check(struct stress_client *s)
{
	struct client *c = s->c;
	size_t at = 0, n;

	while (s->done < s->ops && at < c->in_len) {
		n = reply_check(s, &s->op[s->done], c->in + at, c->in_len - at);
		if (n == 0)
			break;
		at += n;
		s->done++;
		st->replies++;
	}
	assert_true(at == c->in_len || s->done < s->ops); // no reply to nothing
	memmove(c->in, c->in + at, c->in_len - at + 1);
	c->in_len -= at;
}

// ---- what happens
static void client_gone_check(struct stress_client *s)
{
	for (; s->done < s->ops; s->done++) {
		if (s->op[s->done].kind == OP_FLUSH) {
			st->flushes_open--;
			maybe_all();
			st->tight = true; // it may come yet
		}
	}
	client_free(s->c);
	s->c = NULL;
	s->ops = s->done = 0;
	s->generation++;
	memset(s->key, 0, sizeof(s->key));
}

static void client_step(struct stress_client *s)
{
	if (s->c == NULL) {
		s->c = client_new(0);
		return;
	}
	if (s->c->closed) {
		assert_true(st->faults);
		client_gone_check(s);
		return;
	}
	if (!s->c->established)
		return;
	if (s->c->stop_reading && lab->now.mono_us >= s->read_again_us)
		client_read_on(s->c);
	if (s->c->in_len > 0)
		replies_check(s);
	if (s->done == s->ops && s->c->out_len == 0) {
		s->done = 0;
		s->ops = 1 + pick(BATCH);
		for (unsigned i = 0; i < s->ops; i++)
			op_send(s, &s->op[i]);
	}
	if (pick(400) == 0) {
		s->c->stop_reading = true;
		s->read_again_us = lab->now.mono_us + pick(50000);
	}
	if (pick(1500) == 0)
		client_gone_check(s);
}

static void udp_step(void)
{
	char request[1400];
	int n = 0;

	lab->udp_len = 0;
	if (pick(4) != 0)
		return;
	if (pick(2) == 0) {
		n = sprintf(request, "get");
		for (unsigned i = pick(100); i > 0; i--)
			n += sprintf(request + n, " u%u", pick(50));
		n += sprintf(request + n, "\r\n");
	} else {
		unsigned len = pick(1300);

		n = sprintf(request, "set u%u 0 0 %u\r\n", pick(50), len);
		memset(request + n, 'u', len);
		memcpy(request + n + len, "\r\n", 2);
		n += (int)len + (pick(10) != 0 ? 2 : 0);
	}
	udp_send(request, (size_t)n, (uint16_t)pick(65536));
}

static void mbufs_release(void)
{
	while (st->held_count > 0)
		rte_pktmbuf_free(st->held[--st->held_count]);
}

static void trouble_step(void)
{
	unsigned w = pick(lab->workers);

	if (pick(100) == 0)
		lab->paused[w] = pick(200);
	if (!st->faults)
		return;
	if (pick(300) == 0)
		st->fault_on = !st->fault_on;
	if (st->held_count > 0 && pick(50) == 0) {
		mbufs_release();
	} else if (st->held_count == 0 && pick(300) == 0) {
		while (st->held_count < lab->opt.pool_mbufs &&
			(st->held[st->held_count] = rte_pktmbuf_alloc(lab->in[w].pool)) != NULL)
			st->held_count++;
	}
}

static void stress_end(void)
{
	bool busy = true;

	mbufs_release();
	st->fault_on = false;
	memset(lab->paused, 0, sizeof(lab->paused));
	lab->step_us = 200;
	for (int i = 0; i < 60000 && busy; i++) {
		busy = false;
		lab_turn();
		for (unsigned k = 0; k < CLIENTS; k++) {
			struct stress_client *s = &st->client[k];

			if (s->c == NULL || s->c->closed)
				continue;
			if (s->c->stop_reading)
				client_read_on(s->c);
			if (s->c->in_len > 0)
				replies_check(s);
			busy |= s->done < s->ops;
		}
		lab->udp_len = 0;
	}
	assert_false(busy);
	for (unsigned k = 0; k < CLIENTS; k++) {
		if (st->client[k].c != NULL)
			client_free(st->client[k].c);
	}
	lab->orders.flush_seq = 1;
	lab->orders.limit_bytes = lab->opt.limit_bytes / lab->workers;
	lab_orders_push();
	lab_run(200000);
	lab->step_us = 10000;
	lab_run(3000000);
}

static void stress_run(uint64_t seed)
{
	uint64_t start[LAB_WORKERS];

	st = calloc(1, sizeof(*st));
	base_rng_seed(&st->rng, seed);
	st->faults = seed % 2 == 1;
	st->tight = st->faults || seed % 3 == 1;
	lab_open(&(struct lab_options){.workers = 3,
		.limit_bytes = seed % 3 == 1 ? 12 << 20 : 256 << 20,
		.keepalive_s = 1, // the server may have had no mbuf for the one RST of a client
		.credits = seed % 4 == 0 ? 16 : 64,
		.queues = seed % 5 == 2 ? 1 : 3,
		.spread = seed % 5 == 2 ? PORT_SPREAD_TOEPLITZ : PORT_SPREAD_DEVICE,
		.piece_max = seed % 7 == 3 ? 600 : 0});
	lab_run(1000);
	for (unsigned i = 0; i < 3; i++) {
		start[i] = mem_used(lab->mem[i]);
		if (st->faults)
			mem_fault_set(lab->mem[i], alloc_fails, NULL);
	}
	for (unsigned k = 0; k < CLIENTS; k++)
		st->client[k].id = k;
	for (int i = 0; i < STEPS; i++) {
		lab->step_us = 10 + pick(200);
		lab_turn();
		for (unsigned k = 0; k < CLIENTS; k++)
			client_step(&st->client[k]);
		udp_step();
		trouble_step();
	}
	stress_end();
	assert_true(st->replies > 500);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(mem_used(lab->mem[i]), start[i]);
	lab_close();
	free(st);
}

static unsigned from_env(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)atoi(text) : otherwise;
}

static void random_traffic_matches_the_model(void **state)
{
	unsigned first = from_env("LCACHED_STRESS_FIRST", 0);
	unsigned seeds = from_env("LCACHED_STRESS_SEEDS", 3);

	for (unsigned i = first; i < first + seeds; i++) {
		print_message("seed %u\n", i);
		stress_run(i);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(random_traffic_matches_the_model),
};

LAB_MAIN("stress", tests)
