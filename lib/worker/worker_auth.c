// SPDX-License-Identifier: BSD-3-Clause
// Whether a client is who it says. How long a comparison takes tells nothing about what it is
// compared with: every user is looked at, over all bytes that a line can have.

#include <string.h>

#include "worker/worker_internal.h"

struct claim { // NAME:PASSWORD, and zeros
	size_t name_len, len;
	bool further; // fields behind the password do not count
	char line[WORKER_USER_BYTES];
};

static_assert(WORKER_USER_BYTES == sizeof(((struct worker_user *)0)->line), "compared whole");

// False: too long for any user.
static bool claim_make(struct claim *c, const struct proto_request *r)
{
	memset(c, 0, sizeof(*c));
	c->name_len = r->key_len;
	c->len = (size_t)r->key_len + 1 + r->args_len;
	c->further = proto_is_binary(r);
	if (c->len >= sizeof(c->line))
		return false;
	memcpy(c->line, r->key, r->key_len);
	c->line[r->key_len] = ':';
	memcpy(c->line + r->key_len + 1, r->args, r->args_len);
	return true;
}

static bool user_is(const struct worker_user *u, const struct claim *c)
{
	unsigned differs = 0;
	bool ends = u->line[c->len] == '\0' || (c->further & (u->line[c->len] == ':'));

	for (size_t i = 0; i < sizeof(u->line); i++) {
		unsigned counts = 0u - (i < c->len);

		differs |= (unsigned)(u->line[i] ^ c->line[i]) & counts;
	}
	return (differs == 0) & (u->name_len == c->name_len) & ends;
}

static bool claim_true(struct worker *w, const struct claim *c)
{
	struct worker_users users;
	bool known = false;

	if (!worker_users_get(w->group, &users))
		return false;
	for (unsigned i = 0; i < users.count; i++)
		known |= user_is(&users.user[i], c);
	explicit_bzero(&users, sizeof(users));
	return known;
}

bool worker_auth_run(struct worker *w, struct worker_sink *sink, struct worker_out *o,
	const struct proto_request *r)
{
	struct proto_result res = {.status = PROTO_DENIED};
	struct proto_reply reply;
	struct claim c;

	w->n.requests++;
	w->n.auth_cmds++;
	if (r->args != NULL && claim_make(&c, r) && claim_true(w, &c))
		res.status = PROTO_OK;
	explicit_bzero(&c, sizeof(c));
	w->n.auth_errors += res.status != PROTO_OK;
	proto_compose(r, &res, w->head, &reply);
	worker_reply_bytes(w, sink, o, w->head, reply.head_len);
	return res.status == PROTO_OK;
}
