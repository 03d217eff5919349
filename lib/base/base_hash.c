// SPDX-License-Identifier: BSD-3-Clause
// Hashes: XXH3 for keys, SipHash-2-4 for what strangers could otherwise aim at one bucket.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/base.h"

uint64_t base_hash(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

uint64_t base_siphash(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t word, tail = (uint64_t)len << 56;
	struct sip s = {
		.v0 = key[0] ^ 0x736f6d6570736575,
		.v1 = key[1] ^ 0x646f72616e646f6d,
		.v2 = key[0] ^ 0x6c7967656e657261,
		.v3 = key[1] ^ 0x7465646279746573,
	};

	for (size_t left = len; left >= 8; left -= 8, at += 8) {
		memcpy(&word, at, 8); // little-endian machines alone, as DPDK's x86 and Arm are
		sip_word(&s, word);
	}
	for (size_t i = 0; i < len % 8; i++)
		tail |= (uint64_t)at[i] << (8 * i);
	sip_word(&s, tail);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read in memory order");
