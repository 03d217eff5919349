// SPDX-License-Identifier: BSD-3-Clause
// Requests: which, to which keys, and how they are written.

#include <stdarg.h>

#include "sim.h"

#define COUNTERS    2 // of a client's keys hold numbers
#define LONG_KEY    7 // this one has a long name
#define FLUSH_DELAY 3 // seconds at most

void sim_bytes_fill(struct base_rng *rng, char *p, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += 8) {
		uint64_t word = base_rng_next(rng);

		memcpy(p + at, &word, base_min_u64(8, len - at));
	}
	if (len > 0)
		p[0] = 'v'; // no number, whatever follows
}

size_t sim_key_name(const struct sim_client *c, const struct sim_op *op, unsigned i, char *buf)
{
	size_t len;

	if (op->shared)
		return (size_t)sprintf(buf, "shared.%u", op->key[i]);
	len = (size_t)sprintf(buf, "c%u.%u.%u", c->id, c->generation, op->key[i]);
	if (op->key[i] == LONG_KEY) {
		memset(buf + len, 'x', 240 - len);
		buf[240] = '\0';
		len = 240;
	}
	return len;
}

struct sim_op *sim_op_new(struct sim_client *c, enum sim_op_kind kind)
{
	struct sim_op *op = &c->op[(c->op_first + c->ops) % SIM_PIPELINE];

	base_assert(c->ops < SIM_PIPELINE);
	c->ops++;
	*op = (struct sim_op){.kind = kind,
		.id = c->op_id++,
		.flush = -1,
		.sent = c->sim->stamp,
		.sent_s = c->sim->now.wall_s};
	return op;
}

void sim_op_free(struct sim_client *c, struct sim_op *op)
{
	if (op->value != NULL)
		sim_free(c->sim, op->value, op->len + 1);
	op->value = NULL;
}

// ---- writing -----------------------------------------------------------------------------------
void sim_client_write(struct sim_client *c, const void *p, uint32_t n)
{
	if (c->out_len + n > c->out_room) {
		uint32_t room = (c->out_len + n) * 2;

		c->out = sim_grow(c->sim, c->out, c->out_room, room);
		c->out_room = room;
	}
	memcpy(c->out + c->out_len, p, n);
	c->out_len += n;
}

void sim_client_printf(struct sim_client *c, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	base_assert(n >= 0 && (size_t)n < sizeof(text));
	sim_client_write(c, text, (uint32_t)n);
}

// ---- choices -----------------------------------------------------------------------------------
int64_t sim_exptime_pick(struct sim_client *c)
{
	switch (sim_pick(&c->rng, 16)) {
	case 0:
		return -1;
	case 1:
	case 2:
		return 1 + (int64_t)sim_pick(&c->rng, 4);
	case 3:
		return (int64_t)(c->sim->now.wall_s + sim_pick(&c->rng, 5));
	case 4:
	case 5:
		return 10000;
	default:
		return 0;
	}
}

static uint32_t value_len_pick(struct sim_client *c)
{
	uint32_t max = c->sim->cfg.value_max;

	switch (sim_pick(&c->rng, 12)) {
	case 0:
		return 0;
	case 1:
		return (uint32_t)sim_pick(&c->rng, max + 1);
	case 2:
		return max > 16384 ? 16380 + (uint32_t)sim_pick(&c->rng, 10)
				   : (uint32_t)sim_pick(&c->rng, max + 1);
	case 3:
		return max > 2000 ? 1300 + (uint32_t)sim_pick(&c->rng, 300)
				  : (uint32_t)sim_pick(&c->rng, max + 1);
	default:
		return (uint32_t)sim_pick(&c->rng, base_min_u64(max, 400));
	}
}

// A value that an item of the largest size surely takes, or now and then one that it surely does
// not.
static void value_make(struct sim_client *c, struct sim_op *op)
{
	uint64_t most = c->sim->cfg.item_bytes_max - 400;

	op->len = (uint32_t)base_min_u64(value_len_pick(c), most);
	if (op->mode == 's' && !op->quiet && c->sim->cfg.item_bytes_max <= 8192 &&
		sim_pick(&c->rng, 20) == 0)
		op->len = (uint32_t)c->sim->cfg.item_bytes_max + (uint32_t)sim_pick(&c->rng, 2000);
	op->value = sim_alloc(c->sim, op->len + 1);
	sim_bytes_fill(&c->rng, op->value, op->len);
}

static void number_make(struct sim_client *c, struct sim_op *op)
{
	char text[24];

	op->delta = sim_pick(&c->rng, 3) == 0 ? base_rng_next(&c->rng) : sim_pick(&c->rng, 1000);
	op->len = (uint32_t)sprintf(text, "%llu", (unsigned long long)op->delta);
	op->value = sim_alloc(c->sim, op->len + 1);
	memcpy(op->value, text, op->len);
}

void sim_store_make(struct sim_client *c, struct sim_op *op)
{
	static const char modes[] = "ssssssarAPc";

	op->keys = 1;
	op->key[0] = (uint8_t)sim_pick(&c->rng, SIM_KEYS);
	op->mode = (uint8_t)modes[sim_pick(&c->rng, sizeof(modes) - 1)];
	op->exptime = sim_exptime_pick(c);
	op->flags = sim_pick(&c->rng, 3) == 0 ? (uint32_t)base_rng_next(&c->rng) : 0;
	if (op->key[0] < COUNTERS) {
		op->mode = op->mode == 'A' || op->mode == 'P' ? 's' : op->mode;
		number_make(c, op);
	} else {
		value_make(c, op);
	}
	if (op->mode == 'c') { // with the number that it has, or another
		const struct sim_key *k = &c->key[op->key[0]];

		op->cas_value = k->cas + (sim_pick(&c->rng, 3) == 0);
		op->cas_value += op->cas_value == 0;
	}
}

// What a reply is not needed for to know the outcome.
static bool quiet_pick(struct sim_client *c, const struct sim_op *op)
{
	if (sim_pick(&c->rng, 6) != 0)
		return false;
	switch (op->kind) {
	case SIM_OP_STORE:
		return op->mode == 's' && op->len < 8000;
	case SIM_OP_DELETE:
		return true;
	case SIM_OP_TOUCH:
	case SIM_OP_ARITH:
		return !sim_refusal_possible(c->sim) && op->key[0] < COUNTERS;
	default:
		return false;
	}
}

// ---- text --------------------------------------------------------------------------------------
static void get_send(struct sim_client *c, struct sim_op *op)
{
	static const char *const verbs[2][2] = {{"get", "gets"}, {"gat", "gats"}};
	char name[256];

	sim_client_printf(c, "%s", verbs[op->touch][op->cas]);
	if (op->touch)
		sim_client_printf(c, " %lld", (long long)op->exptime);
	for (unsigned i = 0; i < op->keys; i++) {
		sim_key_name(c, op, i, name);
		sim_client_printf(c, " %s", name);
	}
	sim_client_write(c, "\r\n", 2);
}

static void get_make(struct sim_client *c)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_GET);

	op->cas = sim_pick(&c->rng, 2) == 0;
	op->shared = sim_pick(&c->rng, 3) == 0;
	op->touch = !op->shared && sim_pick(&c->rng, 8) == 0;
	op->exptime = op->touch ? sim_exptime_pick(c) : 0;
	op->keys = 1 + (sim_pick(&c->rng, 3) == 0 ? (unsigned)sim_pick(&c->rng, SIM_MULTI) : 0);
	for (unsigned i = 0; i < op->keys; i++)
		op->key[i] = (uint8_t)sim_pick(&c->rng, op->shared ? SIM_SHARED : SIM_KEYS);
	get_send(c, op);
}

static void store_send(struct sim_client *c, struct sim_op *op)
{
	static const char *const verbs[128] = {['s'] = "set",
		['a'] = "add",
		['r'] = "replace",
		['A'] = "append",
		['P'] = "prepend",
		['c'] = "cas"};
	char name[256];

	sim_key_name(c, op, 0, name);
	sim_client_printf(c, "%s %s %u %lld %u", verbs[op->mode], name, op->flags,
		(long long)op->exptime, op->len);
	if (op->mode == 'c')
		sim_client_printf(c, " %llu", (unsigned long long)op->cas_value);
	sim_client_printf(c, "%s\r\n", op->noreply ? " noreply" : "");
	sim_client_write(c, op->value, op->len);
	sim_client_write(c, "\r\n", 2);
}

static void store_make(struct sim_client *c)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_STORE);

	sim_store_make(c, op);
	op->noreply = quiet_pick(c, op);
	store_send(c, op);
}

static void shared_make(struct sim_client *c)
{
	uint64_t most = base_min_u64(c->sim->cfg.value_max, c->sim->cfg.item_bytes_max - 400);
	unsigned key = (unsigned)sim_pick(&c->rng, SIM_SHARED);
	struct sim_op *op = sim_op_new(c, SIM_OP_STORE);

	op->mode = 's';
	op->shared = true;
	op->keys = 1;
	op->key[0] = (uint8_t)key;
	op->len = SIM_SHARED_HEAD + (uint32_t)sim_pick(&c->rng, most - SIM_SHARED_HEAD);
	op->value = sim_alloc(c->sim, op->len + 1);
	op->write = op->flags = sim_shared_write(c->sim, key, op->len, op->value);
	if (op->write == SIM_SHARED_NONE) { // enough of them
		sim_op_free(c, op);
		c->ops--;
		return;
	}
	store_send(c, op);
}

static void arith_make(struct sim_client *c)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_ARITH);
	char name[256];

	op->keys = 1;
	op->key[0] = (uint8_t)sim_pick(&c->rng, sim_pick(&c->rng, 6) == 0 ? SIM_KEYS : COUNTERS);
	op->decr = sim_pick(&c->rng, 2) == 0;
	op->delta = sim_pick(&c->rng, 4) == 0 ? base_rng_next(&c->rng) : sim_pick(&c->rng, 500);
	op->noreply = quiet_pick(c, op);
	sim_key_name(c, op, 0, name);
	sim_client_printf(c, "%s %s %llu%s\r\n", op->decr ? "decr" : "incr", name,
		(unsigned long long)op->delta, op->noreply ? " noreply" : "");
}

static void delete_make(struct sim_client *c)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_DELETE);
	char name[256];

	op->keys = 1;
	op->key[0] = (uint8_t)sim_pick(&c->rng, SIM_KEYS);
	op->noreply = quiet_pick(c, op);
	sim_key_name(c, op, 0, name);
	sim_client_printf(c, "delete %s%s\r\n", name, op->noreply ? " noreply" : "");
}

static void touch_make(struct sim_client *c)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_TOUCH);
	char name[256];

	op->keys = 1;
	op->key[0] = (uint8_t)sim_pick(&c->rng, SIM_KEYS);
	op->exptime = sim_exptime_pick(c);
	op->noreply = quiet_pick(c, op);
	sim_key_name(c, op, 0, name);
	sim_client_printf(c, "touch %s %lld%s\r\n", name, (long long)op->exptime,
		op->noreply ? " noreply" : "");
}

static void flush_make(struct sim_client *c)
{
	struct sim_model *m = &c->sim->model;
	struct sim_op *op;
	unsigned delay = sim_pick(&c->rng, 3) == 0 ? (unsigned)sim_pick(&c->rng, FLUSH_DELAY) : 0;

	if (m->flushes == SIM_FLUSHES)
		return;
	op = sim_op_new(c, SIM_OP_FLUSH);
	op->flush = (int)m->flushes++;
	op->delta = delay;
	m->flush[op->flush] = (struct sim_flush){
		.from = c->sim->stamp, .to = UINT64_MAX, .until_s = delay > 0 ? UINT64_MAX : 0};
	if (delay > 0)
		sim_client_printf(c, "flush_all %u\r\n", delay);
	else
		sim_client_printf(c, "flush_all\r\n");
}

static void known_make(struct sim_client *c)
{
	static const char *const known[][2] = {
		{"version\r\n", "VERSION 1.6.45-lcached-" LC_VERSION "\r\n"},
		{"verbosity 0\r\n", "OK\r\n"}, {"bogus\r\n", "ERROR\r\n"}, {"mn\r\n", "MN\r\n"},
		{"incr one\r\n", "CLIENT_ERROR bad command line format\r\n"},
		{"set k 0 0 -1\r\n", "CLIENT_ERROR bad data chunk\r\n"}};
	unsigned i = (unsigned)sim_pick(&c->rng, BASE_ARRAY_LEN(known) - 1);
	struct sim_op *op = sim_op_new(c, SIM_OP_TEXT);

	op->text = known[i][1];
	sim_client_printf(c, "%s", known[i][0]);
}

void sim_request_make(struct sim_client *c)
{
	unsigned k = (unsigned)sim_pick(&c->rng, 100);

	if (k < 30)
		get_make(c);
	else if (k < 52)
		store_make(c);
	else if (k < 60)
		shared_make(c);
	else if (k < 68)
		arith_make(c);
	else if (k < 73)
		delete_make(c);
	else if (k < 77)
		touch_make(c);
	else if (k < 79)
		known_make(c);
	else if (k < 80 && c->sim->cfg.flushes)
		flush_make(c);
	else if (k < 81)
		sim_client_printf(c, "%s", (sim_op_new(c, SIM_OP_STATS), "stats\r\n"));
	else
		sim_meta_make(c);
}

// All keys of its own and all shared ones, for the last time.
void sim_request_verify(struct sim_client *c)
{
	for (unsigned shared = 0; shared < 2; shared++) {
		struct sim_op *op = sim_op_new(c, SIM_OP_GET);

		op->shared = shared;
		op->cas = true;
		op->keys = shared ? SIM_SHARED : SIM_KEYS;
		for (unsigned i = 0; i < op->keys; i++)
			op->key[i] = (uint8_t)i;
		get_send(c, op);
	}
}
