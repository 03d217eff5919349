// SPDX-License-Identifier: BSD-3-Clause
// Results to bytes: classic replies, and those that have no key.
#include "proto/proto_internal.h"

static_assert(PROTO_HEAD_MAX >=
		sizeof("VALUE  4294967295 4294967295 18446744073709551615\r\n") + PROTO_KEY_MAX,
	"the longest classic head fits");

const char *proto_status_text(const struct proto_request *r, const struct proto_result *res)
{
	switch ((enum proto_status)res->status) {
	case PROTO_NON_NUMERIC:
		return "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
	case PROTO_NO_MEMORY:
		return r->op == PROTO_OP_SET ? "SERVER_ERROR out of memory storing object\r\n"
					     : "SERVER_ERROR out of memory\r\n";
	case PROTO_TOO_LARGE:
		return PROTO_TEXT_TOO_LARGE;
	case PROTO_BAD_CHUNK:
		return "CLIENT_ERROR bad data chunk\r\n";
	case PROTO_DENIED:
		return PROTO_TEXT_DENIED;
	default:
		return NULL;
	}
}

// VALUE KEY FLAGS BYTES [CAS]
static char *compose_value(const struct proto_request *r, const struct proto_result *res, char *p,
	struct proto_reply *out)
{
	p = proto_put_text(p, "VALUE ");
	p = proto_put(p, r->key, r->key_len);
	*p++ = ' ';
	p = proto_put_u64(p, res->client_flags);
	*p++ = ' ';
	p = proto_put_u64(p, res->value_bytes);
	if (r->with_cas) {
		*p++ = ' ';
		p = proto_put_u64(p, res->cas);
	}
	out->value = true;
	out->tail_len = 2;
	memcpy(out->tail, "\r\n", 2);
	return proto_put_text(p, "\r\n");
}

static const char *done_text(const struct proto_request *r)
{
	switch ((enum proto_op)r->op) {
	case PROTO_OP_SET:
	case PROTO_OP_AUTH:
		return "STORED\r\n";
	case PROTO_OP_DELETE:
		return "DELETED\r\n";
	case PROTO_OP_TOUCH:
		return "TOUCHED\r\n";
	default:
		return "OK\r\n";
	}
}

// A command on one key: its status in words, or the number that it made.
static char *compose_status(const struct proto_request *r, const struct proto_result *res, char *p)
{
	const char *text;

	switch ((enum proto_status)res->status) {
	case PROTO_OK:
		if (r->op == PROTO_OP_ARITH) {
			p = proto_put_u64(p, res->number);
			return proto_put_text(p, "\r\n");
		}
		text = done_text(r);
		break;
	case PROTO_MISS:
		text = "NOT_FOUND\r\n";
		break;
	case PROTO_NOT_STORED:
		text = "NOT_STORED\r\n";
		break;
	case PROTO_EXISTS:
		text = "EXISTS\r\n";
		break;
	default:
		text = proto_status_text(r, res);
	}
	return proto_put(p, text, strlen(text));
}

static char *compose_keyed(const struct proto_request *r, const struct proto_result *res, char *p,
	struct proto_reply *out)
{
	base_assert(res != NULL);
	if (r->meta)
		return proto_compose_meta(r, res, p, out);
	if (r->noreply)
		return p;
	if (r->op != PROTO_OP_GET)
		return compose_status(r, res, p);
	if (res->status == PROTO_OK)
		return compose_value(r, res, p, out);
	if (res->status == PROTO_MISS)
		return p;
	return compose_status(r, res, p);
}

void proto_compose(const struct proto_request *r, const struct proto_result *res, char *head,
	struct proto_reply *out)
{
	char *p = head;

	out->value = false;
	out->tail_len = 0;
	if (base_unlikely(proto_is_binary(r))) {
		p = proto_compose_binary(r, res, p, out);
		base_assert(p - head <= PROTO_HEAD_MAX);
		out->head_len = (uint16_t)(p - head);
		return;
	}
	switch ((enum proto_op)r->op) {
	case PROTO_OP_END:
		p = proto_put_text(p, "END\r\n");
		break;
	case PROTO_OP_META_NOOP:
		p = proto_put_text(p, "MN\r\n");
		break;
	case PROTO_OP_FLUSH_ALL:
	case PROTO_OP_VERBOSITY:
		if (!r->noreply)
			p = proto_put_text(p, "OK\r\n");
		break;
	case PROTO_OP_VERSION:
		p = proto_put_text(p, "VERSION " PROTO_VERSION_TEXT "\r\n");
		break;
	case PROTO_OP_REPLY:
	case PROTO_OP_CLOSE:
		if (r->reply_text != NULL)
			p = proto_put(p, r->reply_text, strlen(r->reply_text));
		break;
	case PROTO_OP_STATS:
	case PROTO_OP_QUIT:
	case PROTO_OP_ADMIN:
		break;
	default:
		p = compose_keyed(r, res, p, out);
	}
	base_assert(p - head <= PROTO_HEAD_MAX);
	out->head_len = (uint16_t)(p - head);
}
