// SPDX-License-Identifier: BSD-3-Clause
// Randomness: xoroshiro128+ for choices that need speed, the system's generator for secrets.
#include <errno.h>
#include <sys/random.h>

#include "base/base.h"

__extension__ typedef unsigned __int128 base_u128;

static uint64_t rotl(uint64_t x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

// splitmix64: spreads a small seed over the whole state, which must not be all zero.
static uint64_t seed_next(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void base_rng_seed(struct base_rng *rng, uint64_t seed)
{
	rng->s[0] = seed_next(&seed);
	rng->s[1] = seed_next(&seed);
	base_assert(rng->s[0] | rng->s[1]);
}

uint64_t base_rng_next(struct base_rng *rng)
{
	uint64_t a = rng->s[0], b = rng->s[1], sum = a + b;

	b ^= a;
	rng->s[0] = rotl(a, 24) ^ b ^ b << 16;
	rng->s[1] = rotl(b, 37);
	return sum;
}

// The high half of a 128-bit product is in [0, bound); the few products whose low half would make
// some results likelier than others are drawn again. Fewer than two draws on average.
uint64_t base_rng_below(struct base_rng *rng, uint64_t bound)
{
	uint64_t unfair;
	base_u128 product;

	base_assert(bound > 0);
	unfair = -bound % bound; // 2^64 mod bound
	do {
		product = (base_u128)base_rng_next(rng) * bound;
	} while ((uint64_t)product < unfair);
	return (uint64_t)(product >> 64);
}

int base_secret_fill(void *buf, size_t len)
{
	char *at = buf;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		base_assert((size_t)n <= len);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}
