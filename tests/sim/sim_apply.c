// SPDX-License-Identifier: BSD-3-Clause
// What a reply means for the model: which outcomes a key's state allows, and what it is then.

#include <ctype.h>

#include "sim.h"

static uint64_t arith_of(const struct sim_op *op, uint64_t v)
{
	if (!op->decr)
		return v + op->delta;
	return op->delta > v ? 0 : v - op->delta;
}

// ---- values ------------------------------------------------------------------------------------
// A number may have blanks behind it: a shorter one keeps the width of the one before.
static void number_check(struct sim_client *c, const struct sim_op *op, const struct sim_key *k,
	const char *p, uint32_t len)
{
	char want[24];
	uint32_t n = (uint32_t)sprintf(want, "%llu", (unsigned long long)k->number), i = n;

	while (i < len && p[i] == ' ')
		i++;
	if (len < n || len > 20 || memcmp(p, want, n) != 0 || i != len)
		sim_reply_fail(c, op, p, len);
}

void sim_value_check(struct sim_client *c, const struct sim_op *op, unsigned i, const char *p,
	uint32_t len, uint32_t flags)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim_key *k = &c->key[op->key[i]];

	if (op->shared) {
		sim_shared_read(c->sim, op->key[i], op->sent, p, len, flags);
		return;
	}
	sim_key_met(c->sim, k, &t, "get");
	if (flags != k->flags)
		sim_fail(c->sim, "client %u: key %u has flags %u, not %u", c->id, op->key[i], flags,
			k->flags);
	if (k->counter) {
		number_check(c, op, k, p, len);
	} else if (len != k->len || (len > 0 && memcmp(p, k->value, len) != 0)) {
		uint32_t at = 0;

		while (at < len && at < k->len && p[at] == k->value[at])
			at++;
		sim_fail(c->sim, "client %u: key %u has %u bytes that differ at %u, not %u", c->id,
			op->key[i], len, at, k->len);
	}
	if (op->touch)
		sim_key_expire_set(k, &t, op->exptime);
}

void sim_value_missed(struct sim_client *c, const struct sim_op *op, unsigned i)
{
	struct sim_when t = sim_op_when(c, op);

	if (op->shared)
		sim_shared_missed(c->sim, op->key[i], op->sent);
	else
		sim_key_missed(c->sim, &c->key[op->key[i]], &t, "get");
}

// ---- stores ------------------------------------------------------------------------------------
static void store_done(struct sim_client *c, struct sim_op *op, struct sim_key *k)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim *s = c->sim;

	switch (op->mode) {
	case 'a':
		if (!sim_key_may_miss(s, k, &t))
			sim_fail(s, "add to a key that has to be there");
		break;
	case 'r':
		sim_key_met(s, k, &t, "replace");
		break;
	case 'c':
		sim_key_met(s, k, &t, "cas");
		if (k->cas_known && k->cas != op->cas_value)
			sim_fail(s, "cas with %llu of a key with %llu",
				(unsigned long long)op->cas_value, (unsigned long long)k->cas);
		break;
	case 'A':
	case 'P':
		sim_key_met(s, k, &t, "append");
		sim_key_join(s, k, op->value, op->len, op->mode == 'A');
		sim_key_written(s, k, &t);
		return;
	default:
		break;
	}
	sim_key_value_set(s, k, op->value, op->len);
	k->counter = op->key[0] < 2;
	k->number = op->delta;
	k->flags = op->flags;
	sim_key_written(s, k, &t);
	sim_key_expire_set(k, &t, op->exptime);
}

static void store_refused(struct sim_client *c, struct sim_op *op, struct sim_key *k)
{
	bool join = op->mode == 'A' || op->mode == 'P';

	if (op->mode == 's' || op->kind == SIM_OP_META_STORE)
		k->is = SIM_ABSENT; // nobody shall take the old value for the new one
	else if (k->is == SIM_PRESENT && join)
		k->is = SIM_MAYBE;
}

static void not_stored(struct sim_client *c, struct sim_op *op, struct sim_key *k)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim *s = c->sim;
	bool join = op->mode == 'A' || op->mode == 'P';

	if (op->mode == 'a') {
		sim_key_met(s, k, &t, "add");
		return;
	}
	// A value too long to be joined, or no memory for that.
	if (join &&
		(sim_refusal_possible(s) ||
			(uint64_t)k->len + op->len + 400 > s->cfg.item_bytes_max)) {
		k->is = k->is == SIM_ABSENT ? SIM_ABSENT : SIM_MAYBE;
		return;
	}
	sim_key_missed(s, k, &t, "not stored");
}

void sim_store_apply(struct sim_client *c, struct sim_op *op, enum sim_outcome what)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim_key *k = &c->key[op->key[0]];

	if (op->shared) {
		if (what != SIM_DONE)
			sim_refused(c->sim, "set of a shared key");
		sim_shared_written(c->sim, op->key[0], op->write, what == SIM_DONE);
		return;
	}
	switch (what) {
	case SIM_DONE:
		if ((uint64_t)op->len + 24 > c->sim->cfg.item_bytes_max)
			sim_fail(c->sim, "a value of %u bytes is stored", op->len);
		store_done(c, op, k);
		break;
	case SIM_NOT_STORED:
		not_stored(c, op, k);
		break;
	case SIM_EXISTS:
		sim_key_met(c->sim, k, &t, "cas");
		if (k->cas_known && k->cas == op->cas_value)
			sim_fail(c->sim, "cas with the right number: EXISTS");
		break;
	case SIM_MISS:
		sim_key_missed(c->sim, k, &t, "cas");
		break;
	case SIM_TOO_LARGE:
		if ((uint64_t)op->len + 300 < c->sim->cfg.item_bytes_max)
			sim_fail(c->sim, "a value of %u bytes is too large", op->len);
		k->is = SIM_ABSENT;
		break;
	default:
		sim_refused(c->sim, "store");
		store_refused(c, op, k);
		break;
	}
}

// ---- arithmetic --------------------------------------------------------------------------------
void sim_arith_apply(
	struct sim_client *c, struct sim_op *op, enum sim_outcome what, uint64_t number)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim_key *k = &c->key[op->key[0]];

	switch (what) {
	case SIM_DONE:
		sim_key_met(c->sim, k, &t, "incr");
		if (!k->counter || number != arith_of(op, k->number))
			sim_fail(c->sim, "client %u: key %u was %llu, is %llu", c->id, op->key[0],
				(unsigned long long)k->number, (unsigned long long)number);
		k->number = number;
		sim_key_written(c->sim, k, &t);
		break;
	case SIM_MISS:
		sim_key_missed(c->sim, k, &t, "incr");
		break;
	case SIM_NON_NUMERIC:
		sim_key_met(c->sim, k, &t, "incr");
		if (k->counter)
			sim_fail(c->sim, "client %u: key %u is a number", c->id, op->key[0]);
		break;
	default:
		sim_refused(c->sim, "incr");
		k->is = k->is == SIM_ABSENT ? SIM_ABSENT : SIM_MAYBE;
		break;
	}
}

// ---- removal, renewal --------------------------------------------------------------------------
void sim_delete_apply(struct sim_client *c, struct sim_op *op, enum sim_outcome what)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim_key *k = &c->key[op->key[0]];

	switch (what) {
	case SIM_DONE:
		sim_key_met(c->sim, k, &t, "delete");
		if (op->compare && k->cas_known && k->cas != op->cas_value)
			sim_fail(c->sim, "deleted with another CAS number");
		k->is = SIM_ABSENT;
		break;
	case SIM_EXISTS:
		sim_key_met(c->sim, k, &t, "delete");
		if (!op->compare || (k->cas_known && k->cas == op->cas_value))
			sim_fail(c->sim, "not deleted with the right CAS number");
		break;
	default:
		sim_key_missed(c->sim, k, &t, "delete");
		break;
	}
}

void sim_touch_apply(struct sim_client *c, struct sim_op *op, enum sim_outcome what)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim_key *k = &c->key[op->key[0]];

	if (what != SIM_DONE) {
		sim_key_missed(c->sim, k, &t, "touch");
		return;
	}
	sim_key_met(c->sim, k, &t, "touch");
	sim_key_expire_set(k, &t, op->exptime);
}

// ---- nothing was said --------------------------------------------------------------------------
// The key may have been there; if it was, the operation took effect.
static void change_silently(struct sim_client *c, struct sim_op *op, struct sim_key *k)
{
	struct sim_when t = sim_op_when(c, op);

	if (sim_key_must_miss(c->sim, k, &t)) {
		k->is = SIM_ABSENT;
		return;
	}
	if (sim_key_may_miss(c->sim, k, &t))
		k->is = SIM_MAYBE;
	if (op->kind == SIM_OP_TOUCH) {
		sim_key_expire_set(k, &t, op->exptime);
	} else if (k->counter) {
		enum sim_is is = k->is;

		k->number = arith_of(op, k->number);
		sim_key_written(c->sim, k, &t);
		k->is = is;
	}
}

void sim_reply_none(struct sim_client *c, struct sim_op *op)
{
	struct sim_when t = sim_op_when(c, op);
	struct sim_key *k = &c->key[op->key[0]];

	switch (op->kind) {
	case SIM_OP_STORE: // noreply
		store_done(c, op, k);
		if (sim_refusal_possible(c->sim))
			k->is = SIM_MAYBE;
		break;
	case SIM_OP_META_STORE: // quiet: it was done
		sim_store_apply(c, op, SIM_DONE);
		break;
	case SIM_OP_DELETE:
		k->is = SIM_ABSENT;
		break;
	case SIM_OP_META_DELETE:
		sim_delete_apply(c, op, SIM_DONE);
		break;
	case SIM_OP_META_GET:
		sim_value_missed(c, op, 0);
		break;
	case SIM_OP_META_ARITH:
		sim_key_met(c->sim, k, &t, "ma");
		sim_arith_apply(c, op, SIM_DONE, arith_of(op, k->number));
		break;
	case SIM_OP_TOUCH:
	case SIM_OP_ARITH:
		change_silently(c, op, k);
		break;
	default:
		sim_fail(c->sim, "client %u: no reply to request %u of kind %d", c->id, op->id,
			(int)op->kind);
	}
}
