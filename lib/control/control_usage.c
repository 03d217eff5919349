// SPDX-License-Identifier: BSD-3-Clause
// /lcached/memory/usage,KEY: the key's owner is asked, and answers within about a millisecond.

#include "control/control_internal.h"

#define KEY_MAX 250

static void question_send(struct control *c, const char *key, size_t len)
{
	struct worker_probe *p = &c->probe;

	p->seq++;
	p->hash = base_hash(key, len);
	p->key_len = len;
	memcpy(p->key, key, len);
	c->probe_worker = worker_of_hash(p->hash, c->workers);
	worker_probe_ask(c->group, c->probe_worker, p);
}

static void answer_reply(
	const struct control *c, const struct worker_probe_answer *a, struct rte_tel_data *d)
{
	struct control_metrics m = {0};

	if (!a->found) {
		rte_tel_data_add_dict_string(d, "error", "no such key");
		return;
	}
	control_metric_add(&m, "usage", a->held_bytes + a->index_bytes);
	control_metric_add(&m, "allocated", a->held_bytes);
	control_metric_add(&m, "internal_frag_bytes", a->held_bytes - a->asked_bytes);
	control_metric_add(&m, "header", a->asked_bytes - a->key_bytes - a->value_bytes);
	control_metric_add(&m, "key", a->key_bytes);
	control_metric_add(&m, "value", a->value_bytes);
	control_metric_add(&m, "index", a->index_bytes);
	control_metric_add(&m, "references", a->references);
	control_metric_add(&m, "idle_seconds", a->idle_s);
	control_metric_add(&m, "deadline", a->deadline_s);
	control_metric_add(&m, "worker", c->probe_worker);
	control_metrics_reply(&m, d);
}

int control_usage_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	size_t len = params != NULL ? strlen(params) : 0;
	struct worker_probe_answer a;

	if (len == 0 || len > KEY_MAX) {
		rte_tel_data_start_dict(d);
		rte_tel_data_add_dict_string(
			d, "error", "/lcached/memory/usage,KEY: a key of 1 to 250 bytes");
		return 0;
	}
	if (c->asker == 0) {
		c->asker = c->serving;
		question_send(c, params, len);
		return CONTROL_AGAIN;
	}
	if (c->asker != c->serving ||
		!worker_probe_answer_get(c->group, c->probe_worker, c->probe.seq, &a))
		return CONTROL_AGAIN;
	c->asker = 0;
	rte_tel_data_start_dict(d);
	answer_reply(c, &a, d);
	return 0;
}
