// SPDX-License-Identifier: BSD-3-Clause
// Replies of meta commands.

#include "sim.h"

// The argument of a returned flag; NULL: it is not there.
static const char *flag_of(const char *p, uint32_t len, char letter)
{
	const char *end = memchr(p, '\r', len);

	for (const char *at = p; end != NULL && at + 1 < end; at++) {
		if (*at == ' ' && at[1] == letter)
			return at + 2;
	}
	return NULL;
}

// What is left of the time to live, or -1.
static void ttl_check(struct sim_client *c, const struct sim_op *op, const char *text)
{
	struct sim_when t = sim_op_when(c, op);
	const struct sim_key *k = &c->key[op->key[0]];
	long long ttl = strtoll(text, NULL, 10);

	if (k->until_hi == 0 && ttl == -1)
		return;
	if (k->until_hi == 0 || ttl < 0 || t.replied_s + (uint64_t)ttl < k->until_lo ||
		t.sent_s + (uint64_t)ttl > k->until_hi)
		sim_fail(c->sim,
			"client %u: key %u has %lld s left at %llu to %llu, until %llu to %llu",
			c->id, op->key[0], ttl, (unsigned long long)t.sent_s,
			(unsigned long long)t.replied_s, (unsigned long long)k->until_lo,
			(unsigned long long)k->until_hi);
}

static void get_reply(struct sim_client *c, struct sim_op *op, const char *p, uint32_t len)
{
	const char *line = memchr(p, '\n', len), *cas, *flags, *ttl;
	uint32_t bytes = 0;

	if (sim_reply_is(p, len, "EN")) {
		sim_value_missed(c, op, 0);
		return;
	}
	if (line == NULL || sscanf(p, "VA %u", &bytes) != 1)
		sim_reply_fail(c, op, p, len);
	cas = flag_of(p, len, 'c');
	flags = flag_of(p, len, 'f');
	ttl = flag_of(p, len, 't');
	if (flags == NULL || ttl == NULL || flag_of(p, len, 's') == NULL ||
		strtoul(flag_of(p, len, 's'), NULL, 10) != bytes)
		sim_reply_fail(c, op, p, len);
	if (!op->shared && !op->touch)
		ttl_check(c, op, ttl);
	sim_value_check(c, op, 0, line + 1, bytes, (uint32_t)strtoul(flags, NULL, 10));
	if (cas != NULL && !op->shared)
		sim_key_cas_check(c->sim, &c->key[op->key[0]], strtoull(cas, NULL, 10));
}

static enum sim_outcome outcome_of(
	struct sim_client *c, const struct sim_op *op, const char *p, uint32_t len)
{
	static const struct {
		const char *text;
		enum sim_outcome what;
	} known[] = {{"HD ", SIM_DONE}, {"NS ", SIM_NOT_STORED}, {"EX ", SIM_EXISTS},
		{"NF ", SIM_MISS}, {"SERVER_ERROR object too large for cache\r\n", SIM_TOO_LARGE},
		{"SERVER_ERROR out of memory", SIM_NO_MEMORY},
		{"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
			SIM_NON_NUMERIC}};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(known); i++) {
		if (sim_reply_is(p, len, known[i].text))
			return known[i].what;
	}
	sim_reply_fail(c, op, p, len);
}

static void arith_reply(struct sim_client *c, struct sim_op *op, const char *p, uint32_t len)
{
	const char *line = memchr(p, '\n', len);

	if (sim_reply_is(p, len, "VA ") && line != NULL)
		sim_arith_apply(c, op, SIM_DONE, strtoull(line + 1, NULL, 10));
	else
		sim_arith_apply(c, op, outcome_of(c, op, p, len), 0);
}

// A change tells its new CAS number, where it was asked for.
static void cas_note(struct sim_client *c, const struct sim_op *op, const char *p, uint32_t len)
{
	const char *cas = flag_of(p, len, 'c');

	if (cas != NULL && c->key[op->key[0]].is == SIM_PRESENT)
		sim_key_cas_check(c->sim, &c->key[op->key[0]], strtoull(cas, NULL, 10));
}

void sim_reply_meta(struct sim_client *c, struct sim_op *op, const char *p, uint32_t len)
{
	switch (op->kind) {
	case SIM_OP_META_GET:
		get_reply(c, op, p, len);
		break;
	case SIM_OP_META_STORE:
		sim_store_apply(c, op, outcome_of(c, op, p, len));
		if (sim_reply_is(p, len, "HD "))
			cas_note(c, op, p, len);
		break;
	case SIM_OP_META_DELETE:
		sim_delete_apply(c, op, outcome_of(c, op, p, len));
		break;
	case SIM_OP_META_ARITH:
		arith_reply(c, op, p, len);
		if (sim_reply_is(p, len, "VA "))
			cas_note(c, op, p, len);
		break;
	default:
		if (!sim_reply_is(p, len, "MN\r\n"))
			sim_reply_fail(c, op, p, len);
		break;
	}
}
