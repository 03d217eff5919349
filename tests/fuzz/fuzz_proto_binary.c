// SPDX-License-Identifier: BSD-3-Clause
// Binary packets and authentication: any bytes, cut in any way, give the same requests and never a
// crash, and replies to them stay within their bounds. The first byte chooses how the input is
// protected, the next two how it is cut.
#include "../unit/proto/proto_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void feed_open_locked(struct feed *f, unsigned how)
{
	feed_open(f, 1 << 10);
	if (how == 1)
		proto_parser_restrict(&f->parser, PROTO_BINARY_ONLY, true);
	else if (how == 2)
		proto_parser_restrict(&f->parser, PROTO_ASCII, true);
}

static void reply_to_the_first(const char *in, size_t len)
{
	struct proto_result res = {.has_value = true, .value_bytes = 5};
	char head[PROTO_HEAD_MAX];
	struct proto_parser p;
	struct proto_request r;
	struct proto_reply reply;

	proto_parser_init(&p, 1 << 10);
	proto_parser_restrict(&p, PROTO_BINARY_ONLY, len & 1);
	if (proto_parse(&p, in, len, &r) == PROTO_REQUEST && r.op != PROTO_OP_STATS)
		proto_compose(&r, &res, head, &reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct feed whole, cut;
	struct base_rng rng;
	const char *in;
	size_t at = 0;

	if (len < 4)
		return 0;
	base_rng_seed(&rng, (uint64_t)data[1] << 8 | data[2]);
	in = (const char *)data + 3;
	len -= 3;
	reply_to_the_first(in, len);
	feed_open_locked(&whole, data[0] % 4);
	feed_open_locked(&cut, data[0] % 4);
	feed_split(&whole, in, len, 0);
	for (size_t have = 0; have < len;) {
		have += 1 + base_rng_below(&rng, base_min_u64(len - have, 64));
		feed_some(&cut, in, &at, have);
	}
	base_assert(strcmp(whole.text, cut.text) == 0);
	feed_close(&whole);
	feed_close(&cut);
	return 0;
}
