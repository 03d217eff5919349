// SPDX-License-Identifier: BSD-3-Clause
// Any request with any result gives a reply within its bounds. The first bytes are the result, the
// rest is a line.
#include <stdlib.h>

#include "base/base.h"
#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void result_make(struct proto_result *res, const uint8_t *b)
{
	uint64_t wide = b[4] * UINT64_C(0x0101010101010101);

	*res = (struct proto_result){.status = b[0] % (PROTO_BAD_CHUNK + 1),
		.has_value = b[1] & 1,
		.won = b[1] & 2,
		.stale = b[1] & 4,
		.recaching = b[1] & 8,
		.has_number = b[1] & 16,
		.fetched = b[1] & 32,
		.key_base64 = b[1] & 64,
		.client_flags = (uint32_t)wide >> (b[2] & 31),
		.value_bytes = (uint32_t)wide >> (b[2] >> 3 & 31),
		.ttl_s = (int64_t)(wide >> (b[3] & 63)) - 1,
		.idle_s = wide >> (b[3] >> 2 & 63),
		.cas = wide >> (b[2] & 63),
		.number = wide >> (b[3] & 63)};
}

static void compose_check(const struct proto_request *r, const struct proto_result *res)
{
	char *head = malloc(PROTO_HEAD_MAX);
	struct proto_reply out;

	proto_compose(r, res, head, &out);
	base_assert(out.head_len <= PROTO_HEAD_MAX && out.tail_len <= PROTO_TAIL_MAX);
	base_assert(!out.value || (res->has_value && out.head_len > 0 && out.tail_len > 0) ||
		r->op == PROTO_OP_GET);
	base_assert(
		out.head_len == 0 || out.value || memcmp(head + out.head_len - 2, "\r\n", 2) == 0);
	free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct proto_result res;
	struct proto_request r;
	struct proto_parser p;
	const char *in;

	if (len < 5)
		return 0;
	result_make(&res, data);
	in = (const char *)data + 5;
	len -= 5;
	proto_parser_init(&p, 1 << 20);
	while (len > 0 && proto_parse(&p, in, len, &r) == PROTO_REQUEST) {
		compose_check(&r, &res);
		in += r.consumed;
		len -= r.consumed;
		if (r.op == PROTO_OP_CLOSE)
			break;
	}
	return 0;
}
