// SPDX-License-Identifier: BSD-3-Clause
// Sums taken in words of eight bytes, and while copying, are those of 16-bit words (RFC 1071).

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/base.h"
#include "net/net_sum.h"

#define BYTES_MAX 200
#define GUARD     8

static char bytes[BYTES_MAX + GUARD], copy[BYTES_MAX + 2 * GUARD];

static void bytes_fill(uint64_t seed)
{
	struct base_rng rng;

	base_rng_seed(&rng, seed);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = seed == 0 ? (char)0xff : (char)base_rng_next(&rng);
}

// One 16-bit word after the other, in memory order.
static uint16_t sum_by_words(const char *p, unsigned n, unsigned odd)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		sum += (uint32_t)(uint8_t)p[i] << ((i + odd) % 2 * 8);
		sum = (sum & UINT16_MAX) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static void sums_are_those_of_words(void **state)
{
	for (unsigned n = 0; n <= BYTES_MAX; n++) {
		for (uint64_t seed = 0; seed < 8; seed++) {
			bytes_fill(seed);
			assert_int_equal(
				net_sum_fold(net_sum_bytes(bytes, n)), sum_by_words(bytes, n, 0));
			assert_int_equal(net_sum_fold(net_sum_turn(net_sum_bytes(bytes, n), 1)),
				sum_by_words(bytes, n, 1));
		}
	}
}

static void a_copy_is_whole_and_nothing_else_is_touched(void **state)
{
	static const char guard[GUARD] = "guarded";

	for (unsigned n = 0; n <= BYTES_MAX; n++) {
		bytes_fill(n);
		memcpy(copy, guard, GUARD);
		memcpy(copy + GUARD + n, guard, GUARD);
		assert_int_equal(net_sum_fold(net_sum_copy(copy + GUARD, bytes, n)),
			sum_by_words(bytes, n, 0));
		assert_memory_equal(copy, guard, GUARD);
		assert_memory_equal(copy + GUARD, bytes, n);
		assert_memory_equal(copy + GUARD + n, guard, GUARD);
	}
}

// As an answer is put together, whose pieces begin at even and odd bytes.
static void pieces_sum_up_to_the_whole(void **state)
{
	bytes_fill(1);
	for (unsigned a = 0; a < 40; a++) {
		for (unsigned b = 0; b < 40; b++) {
			uint64_t sum = net_sum_bytes(bytes, a);

			sum = net_sum_add(sum, net_sum_turn(net_sum_bytes(bytes + a, b), a));
			sum = net_sum_add(
				sum, net_sum_turn(net_sum_bytes(bytes + a + b, 50), a + b));
			assert_int_equal(net_sum_fold(sum), sum_by_words(bytes, a + b + 50, 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_those_of_words),
		cmocka_unit_test(a_copy_is_whole_and_nothing_else_is_touched),
		cmocka_unit_test(pieces_sum_up_to_the_whole),
	};

	return cmocka_run_group_tests_name("sum", tests, NULL, NULL);
}
