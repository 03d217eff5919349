// SPDX-License-Identifier: BSD-3-Clause
// The frame of memcached's UDP protocol: request id, sequence number, datagrams in the message, and
// 16 reserved bits, each in network order.
#include "proto/proto_internal.h"

static void put_u16(char *p, uint16_t v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

static uint16_t get_u16(const char *p)
{
	return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

// What a server says of words that it does not know, those of another server among them: answered,
// one forged datagram would have two of them talk for ever.
static bool is_echo(const char *text, size_t len)
{
	static const char error[] = "ERROR\r\n";

	return len >= sizeof(error) - 1 && memcmp(text, error, sizeof(error) - 1) == 0;
}

bool proto_udp_parse(const char *data, size_t len, struct proto_udp *out)
{
	// A request is one datagram: its sequence and reserved fields say nothing and are not read.
	if (len <= PROTO_UDP_HEADER || get_u16(data + 4) != 1 ||
		is_echo(data + PROTO_UDP_HEADER, len - PROTO_UDP_HEADER))
		return false;
	out->request_id = get_u16(data);
	return true;
}

void proto_udp_write(
	char header[PROTO_UDP_HEADER], uint16_t request_id, uint16_t sequence, uint16_t total)
{
	base_assert(sequence < total);
	put_u16(header, request_id);
	put_u16(header + 2, sequence);
	put_u16(header + 4, total);
	put_u16(header + 6, 0);
}
