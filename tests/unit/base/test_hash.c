// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

// The key 00 01 .. 0f and messages 00 01 .. of the SipHash paper's appendix and reference vectors.
static void siphash_gives_the_papers_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} vectors[] = {
		{0, 0x726fdb47dd0e0e31},
		{1, 0x74f839c593dc67fd},
		{8, 0x93f5f5799a932462},
		{15, 0xa129ca6149be45e5},
		{63, 0x958a324ceb064572},
	};
	uint8_t message[64];
	uint64_t key[2];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	memcpy(key, message, sizeof(key));
	for (size_t i = 0; i < BASE_ARRAY_LEN(vectors); i++)
		assert_int_equal(base_siphash(key, message, vectors[i].len), vectors[i].hash);
}

static void siphash_depends_on_each_key_half(void **state)
{
	uint64_t h = base_siphash((uint64_t[]){1, 2}, "abc", 3);

	assert_int_not_equal(h, base_siphash((uint64_t[]){0, 2}, "abc", 3));
	assert_int_not_equal(h, base_siphash((uint64_t[]){1, 0}, "abc", 3));
}

static void hash_is_xxh3_64(void **state)
{
	assert_int_equal(base_hash("", 0), 0x2d06800538d394c2); // published for the empty input
	assert_int_equal(base_hash("key", 3), base_hash("keyX", 3));
	assert_int_not_equal(base_hash("key", 3), base_hash("keyX", 4));
}

// Shards take the high bits and the index the low ones: both must spread near-equal keys.
static void hash_spreads_counting_keys_over_high_and_low_bits(void **state)
{
	unsigned int high[64] = {0}, low[64] = {0};

	for (unsigned int i = 0; i < 64 * 1000; i++) {
		char key[20];
		uint64_t h = base_hash(key, base_u64_format(key, i));

		high[h >> 58]++;
		low[h & 63]++;
	}
	for (int i = 0; i < 64; i++) { // mean 1,000, standard deviation 31: six of them
		assert_in_range(high[i], 810, 1190);
		assert_in_range(low[i], 810, 1190);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_gives_the_papers_vectors),
		cmocka_unit_test(siphash_depends_on_each_key_half),
		cmocka_unit_test(hash_is_xxh3_64),
		cmocka_unit_test(hash_spreads_counting_keys_over_high_and_low_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
