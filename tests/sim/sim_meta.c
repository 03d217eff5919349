// SPDX-License-Identifier: BSD-3-Clause
// Meta commands: mg, ms, md, ma with random flags, and mn behind quiet ones.

#include "sim.h"

#define COUNTERS 2

static void meta_begin(struct sim_client *c, struct sim_op *op, const char *verb)
{
	char name[256];

	op->keys = 1;
	sim_key_name(c, op, 0, name);
	sim_client_printf(c, "%s %s", verb, name);
}

// Every reply tells its opaque, so that those of quiet requests are known apart.
static void meta_end(struct sim_client *c, const struct sim_op *op)
{
	sim_client_printf(c, " O%u%s\r\n", op->id, op->quiet ? " q" : "");
}

static void get_make(struct sim_client *c, bool quiet)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_META_GET);

	op->quiet = quiet;
	op->shared = sim_pick(&c->rng, 4) == 0;
	op->key[0] = (uint8_t)sim_pick(&c->rng, op->shared ? SIM_SHARED : SIM_KEYS);
	op->touch = !op->shared && sim_pick(&c->rng, 8) == 0;
	op->exptime = op->touch ? sim_exptime_pick(c) : 0;
	meta_begin(c, op, "mg");
	sim_client_printf(c, " s v f%s t", sim_pick(&c->rng, 2) == 0 ? " c" : "");
	if (op->touch)
		sim_client_printf(c, " T%lld", (long long)op->exptime);
	meta_end(c, op);
}

static void store_make(struct sim_client *c, bool quiet)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_META_STORE);
	char name[256];

	op->quiet = quiet;
	sim_store_make(c, op);
	sim_key_name(c, op, 0, name);
	sim_client_printf(
		c, "ms %s %u F%u T%lld", name, op->len, op->flags, (long long)op->exptime);
	if (op->mode == 'a' || op->mode == 'r' || op->mode == 'A' || op->mode == 'P')
		sim_client_printf(c, " M%c",
			op->mode == 'a'           ? 'E'
				: op->mode == 'r' ? 'R'
						  : op->mode);
	if (op->mode == 'c')
		sim_client_printf(c, " C%llu", (unsigned long long)op->cas_value);
	if (sim_pick(&c->rng, 2) == 0)
		sim_client_printf(c, " c");
	meta_end(c, op);
	sim_client_write(c, op->value, op->len);
	sim_client_write(c, "\r\n", 2);
}

static void delete_make(struct sim_client *c, bool quiet)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_META_DELETE);

	op->quiet = quiet;
	op->key[0] = (uint8_t)sim_pick(&c->rng, SIM_KEYS);
	meta_begin(c, op, "md");
	op->compare = c->key[op->key[0]].cas != 0 && sim_pick(&c->rng, 3) == 0;
	op->cas_value = c->key[op->key[0]].cas + sim_pick(&c->rng, 2);
	if (op->compare)
		sim_client_printf(c, " C%llu", (unsigned long long)op->cas_value);
	meta_end(c, op);
}

static void arith_make(struct sim_client *c, bool quiet)
{
	struct sim_op *op = sim_op_new(c, SIM_OP_META_ARITH);

	op->quiet = quiet;
	op->key[0] = (uint8_t)sim_pick(&c->rng, COUNTERS);
	op->decr = sim_pick(&c->rng, 2) == 0;
	op->delta = sim_pick(&c->rng, 4) == 0 ? base_rng_next(&c->rng) : sim_pick(&c->rng, 500);
	meta_begin(c, op, "ma");
	sim_client_printf(c, " M%c D%llu v%s", op->decr ? 'D' : 'I', (unsigned long long)op->delta,
		sim_pick(&c->rng, 2) == 0 ? " c" : "");
	meta_end(c, op);
}

static void one_make(struct sim_client *c, bool quiet)
{
	// What a quiet request did must be known from its silence.
	unsigned k = (unsigned)sim_pick(&c->rng, quiet && sim_refusal_possible(c->sim) ? 60 : 100);

	if (k < 50)
		get_make(c, quiet);
	else if (k < 60)
		delete_make(c, quiet);
	else if (k < 90)
		store_make(c, quiet);
	else
		arith_make(c, quiet && sim_pick(&c->rng, 2) == 0);
}

void sim_meta_make(struct sim_client *c)
{
	unsigned quiet = sim_pick(&c->rng, 5) == 0 ? 1 + (unsigned)sim_pick(&c->rng, 8) : 0;

	if (quiet == 0) {
		one_make(c, false);
		return;
	}
	while (quiet-- > 0 && c->ops + 1 < SIM_PIPELINE)
		one_make(c, true);
	if (c->ops < SIM_PIPELINE) {
		sim_op_new(c, SIM_OP_NOOP);
		sim_client_printf(c, "mn\r\n");
	}
}
