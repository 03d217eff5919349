// SPDX-License-Identifier: BSD-3-Clause
// Replies: where one ends, whose it is, what it says; text commands.

#include <ctype.h>

#include "sim.h"

bool sim_reply_is(const char *p, uint32_t len, const char *text)
{
	size_t n = strlen(text);

	return len >= n && memcmp(p, text, n) == 0;
}

void sim_reply_fail(
	const struct sim_client *c, const struct sim_op *op, const char *p, uint32_t len)
{
	char text[200];
	uint32_t n = (uint32_t)base_min_u64(len, sizeof(text) - 1);

	for (uint32_t i = 0; i < n; i++)
		text[i] = isprint((unsigned char)p[i]) ? p[i] : '.';
	text[n] = '\0';
	sim_fail(c->sim, "client %u: request %u (kind %d, mode %c, key %u): %u bytes: %s", c->id,
		op->id, (int)op->kind, op->mode ? op->mode : '-', op->key[0], len, text);
}

struct sim_when sim_op_when(const struct sim_client *c, const struct sim_op *op)
{
	return (struct sim_when){.sent = op->sent,
		.replied = c->sim->stamp,
		.sent_s = op->sent_s,
		.replied_s = c->sim->now.wall_s};
}

// ---- framing -----------------------------------------------------------------------------------
static uint32_t line_len(const char *p, uint32_t len)
{
	const char *end = len > 0 ? memchr(p, '\n', len) : NULL;

	return end != NULL ? (uint32_t)(end + 1 - p) : 0;
}

// Bytes of a value that a line announces, and its end; 0 when it announces none.
static uint32_t announced(const char *p, uint32_t len)
{
	char head[320];
	unsigned bytes;

	if (!sim_reply_is(p, len, "VA"))
		return 0;
	snprintf(head, sizeof(head), "%.*s", (int)len, p); // the line alone, with an end
	if (sscanf(head, "VALUE %*s %*u %u", &bytes) == 1 || sscanf(head, "VA %u", &bytes) == 1)
		return bytes + 2;
	return 0;
}

// The whole reply at p; 0: not all of it is there.
static uint32_t reply_len(const char *p, uint32_t len)
{
	uint32_t at = 0;

	for (;;) {
		uint32_t line = line_len(p + at, len - at);
		bool more = sim_reply_is(p + at, len - at, "VALUE ") ||
			sim_reply_is(p + at, len - at, "STAT ");
		uint64_t end;

		if (line == 0)
			return 0;
		end = (uint64_t)at + line + announced(p + at, line);
		if (end > len)
			return 0;
		at = (uint32_t)end;
		if (!more)
			return at;
	}
}

static bool opaque_is(const char *p, uint32_t len, uint32_t id)
{
	char want[24];
	uint32_t line = line_len(p, len);
	size_t n = (size_t)sprintf(want, " O%u", id);
	const char *at = memmem(p, line, want, n);

	return at != NULL && !isdigit((unsigned char)at[n]);
}

static void op_pop(struct sim_client *c)
{
	sim_op_free(c, &c->op[c->op_first]);
	c->op_first = (c->op_first + 1) % SIM_PIPELINE;
	c->ops--;
}

void sim_replies_take(struct sim_client *c)
{
	uint32_t at = 0, n;

	while ((n = reply_len(c->in + at, c->in_len - at)) > 0) {
		const char *p = c->in + at;
		struct sim_op *op = &c->op[c->op_first];

		// Those before it that said nothing.
		while (c->ops > 0 && (op->noreply || (op->quiet && !opaque_is(p, n, op->id)))) {
			sim_reply_none(c, op);
			op_pop(c);
			op = &c->op[c->op_first];
		}
		if (c->ops == 0)
			sim_fail(c->sim, "client %u: a reply to nothing: %.*s", c->id, (int)n, p);
		if (op->kind >= SIM_OP_META_GET)
			sim_reply_meta(c, op, p, n);
		else
			sim_reply_text(c, op, p, n);
		op_pop(c);
		c->replies++;
		at += n;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
}

// ---- text --------------------------------------------------------------------------------------
// VALUE blocks for some of the keys, in their order, then END.
static void get_reply(struct sim_client *c, struct sim_op *op, const char *p, uint32_t len)
{
	uint32_t at = 0;
	unsigned i = 0;

	while (!sim_reply_is(p + at, len - at, "END\r\n")) {
		unsigned long long cas = 0;
		char name[256], want[256], head[320];
		unsigned flags, bytes;
		uint32_t line = line_len(p + at, len - at);
		int got;

		// A line of its own: a number of the value is no CAS number.
		snprintf(head, sizeof(head), "%.*s", (int)line, p + at);
		got = sscanf(head, "VALUE %255s %u %u %llu", name, &flags, &bytes, &cas);

		// A value that cannot be shown for want of memory ends the line.
		if (sim_reply_is(p + at, len - at, "SERVER_ERROR out of memory")) {
			sim_refused(c->sim, "get");
			return;
		}
		if (line == 0 || got != (op->cas ? 4 : 3))
			sim_reply_fail(c, op, p + at, len - at);
		for (; i < op->keys; i++) {
			sim_key_name(c, op, i, want);
			if (strcmp(want, name) == 0)
				break;
			sim_value_missed(c, op, i);
		}
		if (i == op->keys || memcmp(p + at + line + bytes, "\r\n", 2) != 0)
			sim_reply_fail(c, op, p + at, len - at);
		sim_value_check(c, op, i, p + at + line, bytes, flags);
		if (op->cas && !op->shared)
			sim_key_cas_check(c->sim, &c->key[op->key[i]], cas);
		at += line + bytes + 2;
		i++;
	}
	for (; i < op->keys; i++)
		sim_value_missed(c, op, i);
}

static enum sim_outcome outcome_of(
	struct sim_client *c, const struct sim_op *op, const char *p, uint32_t len)
{
	static const struct {
		const char *text;
		enum sim_outcome what;
	} known[] = {{"STORED\r\n", SIM_DONE}, {"DELETED\r\n", SIM_DONE}, {"TOUCHED\r\n", SIM_DONE},
		{"NOT_STORED\r\n", SIM_NOT_STORED}, {"EXISTS\r\n", SIM_EXISTS},
		{"NOT_FOUND\r\n", SIM_MISS},
		{"SERVER_ERROR object too large for cache\r\n", SIM_TOO_LARGE},
		{"SERVER_ERROR out of memory", SIM_NO_MEMORY},
		{"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
			SIM_NON_NUMERIC}};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(known); i++) {
		if (sim_reply_is(p, len, known[i].text))
			return known[i].what;
	}
	if (op->kind == SIM_OP_ARITH && isdigit((unsigned char)*p))
		return SIM_DONE;
	sim_reply_fail(c, op, p, len);
}

static void flush_done(struct sim_client *c, const struct sim_op *op)
{
	struct sim_flush *f = &c->sim->model.flush[op->flush];

	f->to = c->sim->stamp;
	if (op->delta > 0)
		f->until_s = c->sim->now.wall_s + op->delta + 1;
}

void sim_reply_text(struct sim_client *c, struct sim_op *op, const char *p, uint32_t len)
{
	switch (op->kind) {
	case SIM_OP_GET:
		get_reply(c, op, p, len);
		break;
	case SIM_OP_STORE:
		sim_store_apply(c, op, outcome_of(c, op, p, len));
		break;
	case SIM_OP_ARITH:
		sim_arith_apply(c, op, outcome_of(c, op, p, len), strtoull(p, NULL, 10));
		break;
	case SIM_OP_DELETE:
		sim_delete_apply(c, op, outcome_of(c, op, p, len));
		break;
	case SIM_OP_TOUCH:
		sim_touch_apply(c, op, outcome_of(c, op, p, len));
		break;
	case SIM_OP_FLUSH:
		if (!sim_reply_is(p, len, "OK\r\n"))
			sim_reply_fail(c, op, p, len);
		flush_done(c, op);
		break;
	case SIM_OP_STATS:
		if (!sim_reply_is(p, len, "STAT ") && !sim_refusal_possible(c->sim))
			sim_reply_fail(c, op, p, len);
		break;
	default:
		if (len != strlen(op->text) || memcmp(p, op->text, len) != 0)
			sim_reply_fail(c, op, p, len);
		break;
	}
}
