// SPDX-License-Identifier: BSD-3-Clause
// Base64 of meta's binary keys (RFC 4648 section 4). Decoding is as lenient as memcached's: bytes
// outside the alphabet are passed over, and what follows the first padded group is ignored.
#include "proto/proto_internal.h"

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// 0..63, or -1. The pad counts as 0.
static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return c == '=' ? 0 : -1;
}

size_t proto_base64_decode(const char *in, size_t in_len, char *out)
{
	size_t symbols = 0, written = 0;
	unsigned group = 0, in_group = 0, pads = 0;

	for (size_t i = 0; i < in_len; i++)
		symbols += base64_value(in[i]) >= 0;
	if (symbols == 0 || symbols % 4 != 0)
		return 0;
	for (size_t i = 0; i < in_len; i++) {
		int v = base64_value(in[i]);

		if (v < 0)
			continue;
		group = group << 6 | (unsigned)v;
		pads += in[i] == '=';
		if (++in_group < 4)
			continue;
		if (pads > 2)
			return 0;
		for (unsigned b = 0; b < 3 - pads; b++)
			out[written++] = (char)(group >> (16 - 8 * b));
		if (pads > 0)
			break;
		group = in_group = 0;
	}
	return written;
}

size_t proto_base64_encode(const char *in, size_t in_len, char *out)
{
	char *p = out;

	for (size_t i = 0; i < in_len; i += 3) {
		size_t n = in_len - i < 3 ? in_len - i : 3;
		unsigned group = 0;

		for (size_t b = 0; b < 3; b++)
			group = group << 8 | (b < n ? (unsigned char)in[i + b] : 0);
		for (size_t c = 0; c < 4; c++)
			*p++ = c <= n ? base64_alphabet[group >> (18 - 6 * c) & 63] : '=';
	}
	return (size_t)(p - out);
}

size_t proto_uri_encode(const char *in, size_t in_len, char *out)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = out;

	for (size_t i = 0; i < in_len; i++) {
		unsigned char c = (unsigned char)in[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '-' || c == '.' || c == '_' || c == '~') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	return (size_t)(p - out);
}
