// SPDX-License-Identifier: BSD-3-Clause
// Classic and meta text: any bytes, cut in any way, give the same requests and never a crash, by
// the way of plain lines, too. The first two bytes choose how the rest is cut.
#include "../unit/proto/proto_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct feed whole, cut;
	struct base_rng rng;
	const char *in;
	size_t at = 0;

	if (len < 2)
		return 0;
	base_rng_seed(&rng, (uint64_t)data[0] << 8 | data[1]);
	in = (const char *)data + 2;
	len -= 2;
	feed_open(&whole, 1 << 10);
	feed_open(&cut, 1 << 10);
	cut.plain = true;
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
