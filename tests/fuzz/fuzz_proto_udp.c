// SPDX-License-Identifier: BSD-3-Clause
// A datagram from anybody: the frame is read or refused, and its payload is parsed as a worker
// does, with nothing to follow.
#include "../unit/proto/proto_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *in = (const char *)data;
	char header[PROTO_UDP_HEADER];
	struct proto_udp udp, again;
	char frame[PROTO_UDP_HEADER + 1] = {0};
	struct feed f;

	if (!proto_udp_parse(in, len, &udp))
		return 0;
	proto_udp_write(header, udp.request_id, 0, 1);
	memcpy(frame, header, sizeof(header));
	base_assert(proto_udp_parse(frame, sizeof(frame), &again));
	base_assert(again.request_id == udp.request_id);
	feed_open(&f, 1 << 20);
	feed_split(&f, in + PROTO_UDP_HEADER, len - PROTO_UDP_HEADER, 0);
	feed_close(&f);
	return 0;
}
