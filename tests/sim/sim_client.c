// SPDX-License-Identifier: BSD-3-Clause
// A client over TCP: connects, makes requests, reads replies, and comes and goes.

#include "sim.h"

#define SILENCE_US 120000000 // without a word that is due, nothing works any more
// With all answered, closing alone is left. A forged SYN may have taken the place of the server's
// end in TIME-WAIT: it is given up after a minute, and FINs that are lost come a minute apart by
// then.
#define CLOSING_US 300000000
#define RETRY_US   50000
#define OUT_MAX    (256u << 10) // bytes that it writes ahead

void sim_clients_open(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.clients; i++) {
		struct sim_client *c = &s->client[i];

		*c = (struct sim_client){.sim = s,
			.id = i,
			.host = &s->host[i % s->cfg.hosts],
			.requests = s->cfg.requests};
		base_rng_seed(&c->rng, s->cfg.seed * 64 + i);
		c->act_us = s->now.mono_us + sim_pick(&c->rng, 10000);
	}
}

static void ops_drop(struct sim_client *c)
{
	while (c->ops > 0) {
		sim_op_free(c, &c->op[c->op_first]);
		c->op_first = (c->op_first + 1) % SIM_PIPELINE;
		c->ops--;
	}
}

void sim_clients_close(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.clients; i++) {
		struct sim_client *c = &s->client[i];

		ops_drop(c);
		for (unsigned k = 0; k < SIM_KEYS; k++)
			sim_key_reset(s, &c->key[k]);
		if (c->in != NULL)
			sim_free(s, c->in, c->in_room);
		if (c->out != NULL)
			sim_free(s, c->out, c->out_room);
	}
}

// ---- the connection ----------------------------------------------------------------------------
// Requests went down with it. What they did, or may yet do, is not known: new names from here on.
static void keys_anew(struct sim_client *c)
{
	for (unsigned i = 0; i < c->ops; i++) {
		const struct sim_op *op = &c->op[(c->op_first + i) % SIM_PIPELINE];

		if (op->flush >= 0) // may yet come
			c->sim->model.flush[op->flush].until_s = UINT64_MAX;
	}
	ops_drop(c);
	for (unsigned k = 0; k < SIM_KEYS; k++)
		sim_key_reset(c->sim, &c->key[k]);
	c->generation++;
}

static void client_out(struct sim_client *c)
{
	c->state = SIM_CLIENT_OUT;
	c->tcp = NULL;
	c->in_len = c->out_len = c->out_at = 0;
	c->deaf = c->quits = c->fin_seen = false;
	c->act_us = c->sim->now.mono_us + sim_pick(&c->rng, RETRY_US);
}

static void client_connect(struct sim_client *c)
{
	struct base_ip server = base_ip4(SIM_SERVER_IP);

	c->tcp =
		tcp_connect(c->host->tcp, &server, SIM_PORT, TCP_LOCAL_ANY, 0, c->sim->now.mono_us);
	c->act_us = c->sim->now.mono_us + RETRY_US;
	if (c->tcp == NULL)
		return;
	tcp_user_set(c->tcp, c);
	c->state = SIM_CLIENT_CONNECTING;
	c->progress_us = c->sim->now.mono_us;
}

// Drops the connection with what is under way.
static void client_reset(struct sim_client *c)
{
	sim_trace_note(c->sim, "client %u resets", c->id);
	tcp_user_set(c->tcp, NULL);
	tcp_abort(c->host->tcp, c->tcp);
	c->resets++;
	keys_anew(c);
	client_out(c);
}

// Why the server may have ended a connection by itself.
static bool end_excused(struct sim_client *c)
{
	struct worker_counters n = sim_server_counters(c->sim);

	return n.evicted_clients > 0 || n.tcp.conns_refused > 0 || n.tcp.no_memory > 0 ||
		c->sim->cfg.link.loss >= 100000 || c->sim->cfg.fault_memory > 0;
}

static void client_closed(struct sim_client *c)
{
	bool whole = c->state == SIM_CLIENT_LEAVING && c->fin_seen;

	if (whole && c->out_at == c->out_len) {
		// What nobody had to answer was done before the end.
		while (c->ops > 0 && (c->op[c->op_first].noreply || c->op[c->op_first].quiet)) {
			sim_reply_none(c, &c->op[c->op_first]);
			sim_op_free(c, &c->op[c->op_first]);
			c->op_first = (c->op_first + 1) % SIM_PIPELINE;
			c->ops--;
		}
	}
	if (c->state == SIM_CLIENT_CONNECTING) {
		c->refused_conns++;
	} else if (!whole || c->ops > 0 || c->in_len > 0) {
		if (!end_excused(c))
			sim_fail(c->sim,
				"client %u: the connection ended, %u replies are due, "
				"%u bytes are left",
				c->id, c->ops, c->in_len);
		keys_anew(c);
	}
	if (c->verifying && whole)
		c->verified = true;
	client_out(c);
}

static void client_read(struct sim_client *c)
{
	struct rte_mbuf *m;

	while (!c->deaf && (m = tcp_rx_peek(c->tcp)) != NULL) {
		if (c->in_len + m->data_len >=
			c->in_room) { // a 0 follows: numbers are read as text
			uint32_t room = (c->in_len + m->data_len) * 2 + 1;

			c->in = sim_grow(c->sim, c->in, c->in_room, room);
			c->in_room = room;
		}
		memcpy(c->in + c->in_len, rte_pktmbuf_mtod(m, char *), m->data_len);
		c->in_len += m->data_len;
		c->in[c->in_len] = '\0';
		c->progress_us = c->sim->now.mono_us;
		tcp_rx_consume(c->host->tcp, c->tcp, m->data_len);
	}
}

void sim_client_event(struct sim_client *c, unsigned events)
{
	if (events & TCP_EV_ESTABLISHED) {
		c->state = SIM_CLIENT_IN;
		c->progress_us = c->act_us = c->sim->now.mono_us;
	}
	if (events & (TCP_EV_READABLE | TCP_EV_FIN | TCP_EV_CLOSED)) {
		if (events & TCP_EV_CLOSED)
			c->deaf = false;
		client_read(c);
		if (c->in_len > 0)
			sim_replies_take(c);
	}
	if (events & TCP_EV_FIN) {
		c->fin_seen = true;
		tcp_shutdown(c->host->tcp, c->tcp);
	}
	if (events & TCP_EV_CLOSED)
		client_closed(c);
}

// ---- what it does ------------------------------------------------------------------------------
static void client_flush(struct sim_client *c)
{
	while (c->out_at < c->out_len && tcp_send_room(c->host->tcp, c->tcp) > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(c->host->pool);
		uint16_t part;

		if (m == NULL)
			return;
		part = (uint16_t)base_min_u64(c->out_len - c->out_at, tcp_mss(c->tcp));
		if (sim_pick(&c->rng, 8) == 0)
			part = (uint16_t)(1 + sim_pick(&c->rng, part));
		memcpy(rte_pktmbuf_append(m, part), c->out + c->out_at, part);
		tcp_send(c->host->tcp, c->tcp, m);
		c->out_at += part;
	}
	if (c->out_at < c->out_len)
		return;
	c->out_at = c->out_len = 0;
	if (c->state == SIM_CLIENT_LEAVING && !c->quits)
		tcp_shutdown(c->host->tcp, c->tcp);
}

static void client_leave(struct sim_client *c)
{
	c->quits = sim_pick(&c->rng, 2) == 0;
	c->state = SIM_CLIENT_LEAVING;
	c->deaf = false;
	if (c->quits)
		sim_client_printf(c, "quit\r\n");
	sim_trace_note(c->sim, "client %u leaves by %s", c->id, c->quits ? "quit" : "FIN");
}

static void requests_make(struct sim_client *c)
{
	unsigned n = 1 + (unsigned)sim_pick(&c->rng, c->sim->cfg.pipeline);
	const struct sim_op *last;

	// One place is kept for what ends a row of silent requests.
	while (n-- > 0 && c->requests > 0 && c->ops + 2 < SIM_PIPELINE &&
		c->out_len - c->out_at < OUT_MAX) {
		sim_request_make(c);
		c->requests--;
	}
	if (c->ops == 0)
		return;
	last = &c->op[(c->op_first + c->ops - 1) % SIM_PIPELINE];
	if (last->noreply || last->quiet) {
		sim_op_new(c, SIM_OP_NOOP);
		sim_client_printf(c, "mn\r\n");
	}
}

// Now and then something else than requests.
static bool client_whim(struct sim_client *c)
{
	const struct sim_config *k = &c->sim->cfg;

	if (c->deaf) {
		c->deaf = false;
		client_read(c);
		if (c->in_len > 0)
			sim_replies_take(c);
		return false;
	}
	if (k->resets && sim_pick(&c->rng, 60) == 0) {
		client_reset(c);
		return true;
	}
	if (k->churn && sim_pick(&c->rng, 10) == 0) {
		client_leave(c);
		return true;
	}
	if (k->stalls_reading && sim_pick(&c->rng, 15) == 0)
		c->deaf = true;
	return false;
}

static void client_act(struct sim_client *c)
{
	uint64_t now_us = c->sim->now.mono_us;

	c->act_us = now_us + (c->deaf ? sim_pick(&c->rng, 500000) : sim_pick(&c->rng, 3000));
	if (sim_pick(&c->rng, 20) == 0)
		c->act_us += sim_pick(&c->rng, 400000);
	if (c->ops == 0) // what it waits for begins here, however long it had nothing to ask
		c->progress_us = now_us;
	if (client_whim(c))
		return;
	if (c->verifying && c->ops == 0) {
		sim_request_verify(c);
		client_leave(c);
		return;
	}
	if (c->ops < c->sim->cfg.pipeline)
		requests_make(c);
}

static void silence_check(const struct sim_client *c)
{
	uint64_t since = base_max_u64(c->progress_us, c->sim->fault.last_us);
	uint64_t limit_us = c->state == SIM_CLIENT_LEAVING && c->ops == 0 ? CLOSING_US : SILENCE_US;

	if (c->state == SIM_CLIENT_OUT || (c->state == SIM_CLIENT_IN && c->ops == 0) || c->deaf)
		return;
	if (c->sim->now.mono_us > since + limit_us)
		sim_fail(c->sim, "client %u: nothing for %llu s, %u replies are due (state %d)",
			c->id, (unsigned long long)limit_us / 1000000, c->ops, (int)c->state);
}

void sim_clients_turn(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.clients; i++) {
		struct sim_client *c = &s->client[i];
		bool due = s->now.mono_us >= c->act_us;

		silence_check(c);
		if (c->state == SIM_CLIENT_OUT && due && !c->verified &&
			(c->requests > 0 || c->verifying))
			client_connect(c);
		if (c->state == SIM_CLIENT_IN && due)
			client_act(c);
		if (c->state == SIM_CLIENT_IN || c->state == SIM_CLIENT_LEAVING)
			client_flush(c);
	}
}

uint64_t sim_clients_next_us(const struct sim *s)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < s->cfg.clients; i++) {
		const struct sim_client *c = &s->client[i];
		bool wants = c->requests > 0 || c->verifying;

		if ((c->state == SIM_CLIENT_IN && (wants || c->deaf)) ||
			(c->state == SIM_CLIENT_OUT && wants && !c->verified))
			next = base_min_u64(next, c->act_us);
	}
	return next;
}

bool sim_clients_done(const struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.clients; i++) {
		const struct sim_client *c = &s->client[i];

		if (c->requests > 0 || c->ops > 0 || c->state == SIM_CLIENT_CONNECTING ||
			c->state == SIM_CLIENT_LEAVING)
			return false;
	}
	return true;
}

void sim_clients_verify(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.clients; i++) {
		s->client[i].verifying = true;
		s->client[i].act_us = s->now.mono_us;
	}
}

bool sim_clients_verified(const struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.clients; i++) {
		if (!s->client[i].verified)
			return false;
	}
	return true;
}
