// SPDX-License-Identifier: BSD-3-Clause
// Who may talk to the server: the lists that workers read. A change makes new ones; those before it
// are taken apart when every worker has reported that it does without.

#include <errno.h>

#include "control/control_internal.h"

static int list_open(
	struct control *c, const char *text, struct access_list **list, char *err, size_t err_len)
{
	struct access_prefix prefix[ACCESS_PREFIXES_MAX];
	unsigned n;
	int rc;

	if (access_prefixes_parse(text, prefix, &n, err, err_len) < 0)
		return -EINVAL;
	rc = access_list_open(list, c->mem, prefix, n);
	if (rc < 0)
		snprintf(err, err_len, "no list of %u prefixes: %s", n, strerror(-rc));
	return rc;
}

int control_access_open(struct control *c)
{
	struct control_access *a = &c->access;
	char err[256];

	a->conns_max = c->cfg->conns_max;
	a->seq = 1; // workers begin at 0: the first orders are news
	if (list_open(c, c->cfg->allow, &a->allow, err, sizeof(err)) == 0 &&
		list_open(c, c->cfg->udp_allow, &a->udp_allow, err, sizeof(err)) == 0)
		return 0;
	base_error("%s", err);
	control_access_close(c);
	return -ENOMEM;
}

void control_access_close(struct control *c)
{
	struct control_access *a = &c->access;

	access_list_close(a->allow);
	access_list_close(a->udp_allow);
	access_list_close(a->old[0]);
	access_list_close(a->old[1]);
	a->allow = a->udp_allow = a->old[0] = a->old[1] = NULL;
}

void control_access_tick(struct control *c)
{
	struct control_access *a = &c->access;

	if (base_likely(a->old[0] == NULL))
		return;
	for (unsigned i = 0; i < c->workers; i++) {
		if (c->report[i].access_seq != a->seq)
			return;
	}
	access_list_close(a->old[0]);
	access_list_close(a->old[1]);
	a->old[0] = a->old[1] = NULL;
}

static bool access_same(const struct control_config *a, const struct control_config *b)
{
	return strcmp(a->allow, b->allow) == 0 && strcmp(a->udp_allow, b->udp_allow) == 0 &&
		a->udp_factor == b->udp_factor && a->udp_rate == b->udp_rate &&
		a->conns_max == b->conns_max && a->conns_source == b->conns_source &&
		a->idle_timeout_s == b->idle_timeout_s;
}

int control_access_change(
	struct control *c, const struct control_config *wanted, char *err, size_t err_len)
{
	struct control_access *a = &c->access;
	struct access_list *allow = NULL, *udp_allow = NULL;

	if (access_same(c->cfg, wanted))
		return 0;
	if (wanted->conns_max > a->conns_max) {
		snprintf(err, err_len, "maxconns: tables were made for %llu at start, no more",
			(unsigned long long)a->conns_max);
		return -EINVAL;
	}
	if (a->old[0] != NULL)
		return CONTROL_AGAIN; // the change before it is still on its way
	if (list_open(c, wanted->allow, &allow, err, err_len) < 0 ||
		list_open(c, wanted->udp_allow, &udp_allow, err, err_len) < 0) {
		access_list_close(allow);
		return -EINVAL;
	}
	a->old[0] = a->allow;
	a->old[1] = a->udp_allow;
	a->allow = allow;
	a->udp_allow = udp_allow;
	a->seq++;
	return 0;
}

struct worker_access control_access_orders(const struct control *c)
{
	const struct control_config *cfg = c->cfg;

	return (struct worker_access){
		.allow = c->access.allow,
		.udp_allow = c->access.udp_allow,
		.udp_factor = (uint32_t)cfg->udp_factor,
		.udp_rate = (cfg->udp_rate + c->workers - 1) / c->workers, // 0 stays no limit
		.conns_max = (uint32_t)cfg->conns_max,
		.conns_source = (uint32_t)cfg->conns_source,
		.idle_s = (uint32_t)cfg->idle_timeout_s,
	};
}
