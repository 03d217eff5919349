// SPDX-License-Identifier: BSD-3-Clause
// Internet checksums of short pieces, summed up while they are looked at or copied.
//
// A sum here is that of the 64-bit words in memory order, with the carry coming round (RFC 1071
// section 2 (A), wider). It may be added to others, and folds to what 16-bit words sum up to. A
// piece that starts at an odd byte is turned by a byte (section 2 (B)).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t net_sum_add(uint64_t a, uint64_t b)
{
#ifdef __x86_64__
	__asm__("addq %1, %0; adcq $0, %0" : "+r"(a) : "r"(b) : "cc");
	return a;
#else
	a += b;
	return a + (a < b);
#endif
}

// `sum` of a piece, which starts at an odd byte of the whole or does not.
static inline uint64_t net_sum_turn(uint64_t sum, unsigned odd)
{
	unsigned by = (odd & 1) * 8;

	return sum << by | sum >> (-by & 63);
}

// Not inverted.
static inline uint16_t net_sum_fold(uint64_t sum)
{
	uint32_t half;

	// the halves added the other way round: the lower one's carry comes into the upper one
	half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);
	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

static inline uint64_t net_sum_word(const void *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

#define NET_SUM_BLOCK 32u

// `sum` and that of a block. Compilers make comparisons and jumps of four carries.
static inline uint64_t net_sum_block(uint64_t sum, const void *p)
{
#ifdef __x86_64__
	const struct __attribute__((packed, may_alias)) block {
		uint64_t word[4];
	} *b = p;

	__asm__("addq %1, %0; adcq %2, %0; adcq %3, %0; adcq %4, %0; adcq $0, %0"
		: "+&r"(sum)
		: "m"(b->word[0]), "m"(b->word[1]), "m"(b->word[2]), "m"(b->word[3])
		: "cc");
#else
	for (unsigned i = 0; i < NET_SUM_BLOCK; i += sizeof(sum))
		sum = net_sum_add(sum, net_sum_word((const char *)p + i));
#endif
	return sum;
}

// Copies n bytes, fewer than eight, and returns them as a word: the rest of it is 0.
static inline uint64_t net_sum_copy_few(char *to, const char *from, unsigned n)
{
	uint32_t low4, high4;
	uint16_t low2, high2;

	if (n >= 4) { // twice where the halves overlap, which changes nothing
		memcpy(&low4, from, 4);
		memcpy(&high4, from + n - 4, 4);
		memcpy(to, &low4, 4);
		memcpy(to + n - 4, &high4, 4);
		return low4 | (uint64_t)high4 << (n - 4) * 8;
	}
	if (n >= 2) {
		memcpy(&low2, from, 2);
		memcpy(&high2, from + n - 2, 2);
		memcpy(to, &low2, 2);
		memcpy(to + n - 2, &high2, 2);
		return low2 | (uint64_t)high2 << (n - 2) * 8;
	}
	if (n == 0)
		return 0;
	*to = *from;
	return (uint8_t)*from;
}

// Those of the last eight bytes at p that are the n last ones of a piece, in their place.
static inline uint64_t net_sum_last(uint64_t word, unsigned n)
{
	return word >> (sizeof(word) - n) * 8;
}

// Copies n bytes and returns their sum. What has just been written is not read again: a load that
// takes from several stores waits until they have left the core.
static inline uint64_t net_sum_copy(char *to, const char *from, unsigned n)
{
	const char *end = from + n;
	uint64_t sum = 0, word[2];

	if (n < sizeof(*word))
		return net_sum_copy_few(to, from, n);
	for (; n >= NET_SUM_BLOCK; n -= NET_SUM_BLOCK) {
		memcpy(to, from, NET_SUM_BLOCK);
		sum = net_sum_block(sum, from);
		to += NET_SUM_BLOCK;
		from += NET_SUM_BLOCK;
	}
	if (n >= sizeof(word)) {
		memcpy(word, from, sizeof(word));
		memcpy(to, word, sizeof(word));
		sum = net_sum_add(net_sum_add(sum, word[0]), word[1]);
		to += sizeof(word);
		from += sizeof(word);
		n -= sizeof(word);
	}
	if (n >= sizeof(*word)) {
		memcpy(word, from, sizeof(*word));
		memcpy(to, word, sizeof(*word));
		sum = net_sum_add(sum, word[0]);
		to += sizeof(*word);
		n -= sizeof(*word);
	}
	if (n == 0)
		return sum;
	word[0] = net_sum_word(end - sizeof(*word)); // the last eight once more
	memcpy(to + n - sizeof(*word), word, sizeof(*word));
	return net_sum_add(sum, net_sum_last(word[0], n));
}

// The sum of n bytes: in two chains of carries, since additions of one
// wait for each other.
static inline uint64_t net_sum_bytes(const char *p, unsigned n)
{
	uint64_t sum = 0, other = 0, word = 0;

	if (n < sizeof(word)) {
		memcpy(&word, p, n);
		return word;
	}
	for (; n >= 2 * NET_SUM_BLOCK; n -= 2 * NET_SUM_BLOCK) {
		sum = net_sum_block(sum, p);
		other = net_sum_block(other, p + NET_SUM_BLOCK);
		p += 2 * NET_SUM_BLOCK;
	}
	sum = net_sum_add(sum, other);
	if (n >= NET_SUM_BLOCK) {
		sum = net_sum_block(sum, p);
		p += NET_SUM_BLOCK;
		n -= NET_SUM_BLOCK;
	}
	if (n >= 2 * sizeof(word)) {
		sum = net_sum_add(sum, net_sum_word(p));
		sum = net_sum_add(sum, net_sum_word(p + sizeof(word)));
		p += 2 * sizeof(word);
		n -= 2 * sizeof(word);
	}
	if (n >= sizeof(word)) {
		sum = net_sum_add(sum, net_sum_word(p));
		p += sizeof(word);
		n -= sizeof(word);
	}
	if (n == 0)
		return sum;
	return net_sum_add(sum, net_sum_last(net_sum_word(p + n - sizeof(word)), n));
}
