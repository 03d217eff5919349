// SPDX-License-Identifier: BSD-3-Clause
// /lcached/latency: how long requests took, by kind, from the histograms that the workers write;
// and the slowest of them.

#include <inttypes.h>
#include <stdlib.h>

#include "control/control_internal.h"

#define WINDOW_US  (5 * 1000 * 1000) // "recent" is between one and two of them
#define SLOW_SHOWN 32                // in one reply of 16 KB
#define KEY_TEXT   (3 * WORKER_SLOW_KEY_MAX + 4)

// A worker that has not yet seen the order to forget is taken for one that has.
static bool worker_counts(const struct control *c, unsigned worker)
{
	return c->report[worker].latency_seq == c->orders.latency_seq;
}

static void kind_merge(
	const struct control *c, unsigned from, unsigned to, unsigned kind, struct base_hist *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = from; i < to; i++) {
		if (worker_counts(c, i))
			base_hist_merge(out, &worker_latency_get(c->group, i)->ns[kind]);
	}
}

void control_latency_tick(struct control *c)
{
	struct control_latency *l = &c->latency;

	if (c->now.mono_us - l->rolled_us < WINDOW_US)
		return;
	l->rolled_us = c->now.mono_us;
	memcpy(l->older, l->newer, sizeof(l->older));
	for (unsigned k = 0; k < WORKER_KINDS; k++)
		kind_merge(c, 0, c->workers, k, &l->newer[k]);
}

static int hist_reply(const char *name, const struct base_hist *h, struct rte_tel_data *d)
{
	struct rte_tel_data *one = rte_tel_data_alloc();

	if (one == NULL)
		return -1;
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_u64(one, "count", h->count);
	rte_tel_data_add_dict_u64(one, "p50_ns", base_hist_quantile(h, 0.5));
	rte_tel_data_add_dict_u64(one, "p90_ns", base_hist_quantile(h, 0.9));
	rte_tel_data_add_dict_u64(one, "p99_ns", base_hist_quantile(h, 0.99));
	rte_tel_data_add_dict_u64(one, "p999_ns", base_hist_quantile(h, 0.999));
	rte_tel_data_add_dict_u64(one, "max_ns", h->max);
	if (rte_tel_data_add_dict_container(d, name, one, 0) < 0) {
		rte_tel_data_free(one);
		return -1;
	}
	return 0;
}

// Of the workers [from, to); `before`: what is not to be counted any more, or NULL.
static int kinds_reply(struct control *c, unsigned from, unsigned to,
	const struct base_hist *before, struct rte_tel_data *d)
{
	struct base_hist h, all = {0};
	int rc = 0;

	for (unsigned k = WORKER_KIND_NONE + 1; k < WORKER_KINDS && rc == 0; k++) {
		kind_merge(c, from, to, k, &h);
		if (before != NULL)
			base_hist_subtract(&h, &before[k]);
		base_hist_merge(&all, &h);
		rc = hist_reply(worker_kind_name((enum worker_kind)k), &h, d);
	}
	return rc == 0 ? hist_reply("all", &all, d) : rc;
}

int control_latency_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	unsigned worker;

	rte_tel_data_start_dict(d);
	if (params == NULL)
		return kinds_reply(c, 0, c->workers, NULL, d);
	if (control_worker_named(c, "/lcached/latency", params, &worker, d))
		return kinds_reply(c, worker, worker + 1, NULL, d);
	return 0;
}

int control_latency_recent_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	return kinds_reply(c, 0, c->workers, c->latency.older, d);
}

int control_latency_reset_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	c->orders.latency_seq++;
	control_orders_push(c);
	memset(&c->latency, 0, sizeof(c->latency));
	c->latency.rolled_us = c->now.mono_us;
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "status", "ok");
	return 0;
}

// ---- /lcached/latency/slow ---------------------------------------------------------------------
struct slow_found {
	unsigned worker;
	struct worker_slow e;
};

static int slower(const void *a, const void *b)
{
	const struct slow_found *x = a, *y = b;

	return (x->e.total_ns < y->e.total_ns) - (x->e.total_ns > y->e.total_ns);
}

// Keeps the slowest SLOW_SHOWN of all workers, in order; found holds one worker's more.
static unsigned slow_collect(const struct control *c, struct slow_found *found)
{
	unsigned n = 0;

	for (unsigned w = 0; w < c->workers; w++) {
		for (unsigned i = 0; worker_counts(c, w) && i < WORKER_SLOW_MAX; i++) {
			base_assert(n < SLOW_SHOWN + WORKER_SLOW_MAX);
			found[n].worker = w;
			n += worker_slow_read(worker_latency_get(c->group, w), i, &found[n].e);
		}
		qsort(found, n, sizeof(*found), slower);
		n = (unsigned)base_min_u64(n, SLOW_SHOWN);
	}
	return n;
}

// A key may hold any byte: what is not plain is shown as %XX, what is cut ends in dots.
static void key_format(const struct worker_slow *e, char *buf)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned n = e->key_len < WORKER_SLOW_KEY_MAX ? e->key_len : WORKER_SLOW_KEY_MAX;

	for (unsigned i = 0; i < n; i++) {
		unsigned char c = (unsigned char)e->key[i];

		if (c > ' ' && c < 127 && c != '"' && c != '\\' && c != '%') {
			*buf++ = (char)c;
			continue;
		}
		*buf++ = '%';
		*buf++ = hex[c >> 4];
		*buf++ = hex[c & 15];
	}
	strcpy(buf, e->key_len > n ? "..." : "");
}

static void slow_client_reply(const struct worker_slow *e, struct rte_tel_data *d)
{
	char ip[BASE_IP_TEXT], text[BASE_IP_TEXT + 16];
	bool ip4 = base_ip_is4(&e->ip);

	base_ip_format(&e->ip, ip);
	snprintf(text, sizeof(text), "%s:%s%s%s:%u", e->udp ? "udp" : "tcp", ip4 ? "" : "[", ip,
		ip4 ? "" : "]", e->port);
	rte_tel_data_add_dict_string(d, "client", text);
}

static void slow_fill(const struct slow_found *f, struct rte_tel_data *d)
{
	const struct worker_slow *e = &f->e;
	char key[KEY_TEXT], text[32];

	key_format(e, key);
	rte_tel_data_add_dict_string(d, "kind", worker_kind_name((enum worker_kind)e->kind));
	control_text_reply(d, "key", key);
	rte_tel_data_add_dict_u64(d, "key_bytes", e->key_len);
	rte_tel_data_add_dict_u64(d, "value_bytes", e->bytes);
	slow_client_reply(e, d);
	rte_tel_data_add_dict_u64(d, "worker", f->worker);
	rte_tel_data_add_dict_u64(d, "time", e->wall_s);
	rte_tel_data_add_dict_u64(d, "total_us", e->total_ns / 1000);
	for (unsigned i = 0; i < WORKER_PARTS; i++) {
		snprintf(text, sizeof(text), "%s_us", worker_part_name((enum worker_part)i));
		rte_tel_data_add_dict_u64(d, text, e->part_ns[i] / 1000);
	}
	if (e->turn_requests > 0)
		rte_tel_data_add_dict_u64(d, "turn_requests", e->turn_requests);
}

int control_latency_slow_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	struct slow_found found[SLOW_SHOWN + WORKER_SLOW_MAX]; // a worker's beside the best
	unsigned n = slow_collect(c, found);
	char name[32];

	rte_tel_data_start_dict(d);
	control_config_get(c->cfg, "slowlog-log-slower-than", name, sizeof(name));
	rte_tel_data_add_dict_string(d, "slower_than_us", name);
	rte_tel_data_add_dict_u64(d, "slow_requests", c->total.sum.slow_requests);
	for (unsigned i = 0; i < n; i++) {
		struct rte_tel_data *one = rte_tel_data_alloc();

		if (one == NULL)
			return -1;
		rte_tel_data_start_dict(one);
		slow_fill(&found[i], one);
		snprintf(name, sizeof(name), "slow_%u", i + 1);
		if (rte_tel_data_add_dict_container(d, name, one, 0) < 0) {
			rte_tel_data_free(one);
			return -1;
		}
	}
	return 0;
}
