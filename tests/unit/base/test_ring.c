// SPDX-License-Identifier: BSD-3-Clause
// Records of one thread for another: in order, in one piece wherever the end comes, none lost where
// there is no room.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base_ring.h"

#define BYTES 4096u
#define WORDS (BYTES / BASE_RING_WORD)

// A record: its words, then numbers that follow its own.
static bool put(struct base_ring *r, uint64_t words, uint64_t number)
{
	uint64_t *at = base_ring_room(r, words);

	if (at == NULL)
		return false;
	at[0] = words;
	for (uint64_t i = 1; i < words; i++)
		at[i] = number + i;
	base_ring_publish(r, words);
	return true;
}

static bool take(struct base_ring *r, uint64_t words, uint64_t number)
{
	const uint64_t *at = base_ring_peek(r);

	if (at == NULL)
		return false;
	assert_true(at >= r->word && at + words <= r->word + WORDS); // in one piece
	assert_int_equal(at[0], words);
	for (uint64_t i = 1; i < words; i++)
		assert_int_equal(at[i], number + i);
	base_ring_pass(r, words);
	return true;
}

// All lengths, so that the end comes at every place of a record, and a skip is as short as a word.
static void records_of_all_lengths_come_out_in_order(void **state)
{
	struct base_ring r;

	assert_int_equal(base_ring_open(&r, BYTES), 0);
	assert_int_equal(base_ring_words(&r), WORDS);
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t words = 1 + i % (WORDS / 4), next = 1 + (i * 7) % (WORDS / 4);

		assert_true(put(&r, words, i));
		assert_true(put(&r, next, i + 1));
		assert_true(take(&r, words, i));
		assert_true(take(&r, next, i + 1));
		assert_null(base_ring_peek(&r));
		assert_int_equal(base_ring_used(&r), 0);
	}
	base_ring_close(&r);
}

static void a_full_ring_keeps_what_it_has(void **state)
{
	const uint64_t words = 60; // eight of them and a rest of 32
	struct base_ring r;
	uint64_t in = 0, out = 0;

	assert_int_equal(base_ring_open(&r, BYTES), 0);
	for (; put(&r, words, in); in++)
		;
	assert_int_equal(in, WORDS / words);
	assert_int_equal(base_ring_used(&r), in * words);
	assert_false(put(&r, words, in)); // nor the second time
	assert_true(take(&r, words, out++));
	assert_true(put(&r, words, in++)); // behind the skip, in the place of the first
	assert_false(put(&r, words, in));
	while (out < in)
		assert_true(take(&r, words, out++));
	assert_null(base_ring_peek(&r));
	base_ring_close(&r);
}

static void what_is_not_published_is_not_there(void **state)
{
	struct base_ring r;

	assert_int_equal(base_ring_open(&r, BYTES), 0);
	assert_true(put(&r, WORDS / 2, 1));
	assert_true(take(&r, WORDS / 2, 1));
	assert_true(put(&r, WORDS / 2 - 1, 2));
	assert_non_null(base_ring_room(&r, 2)); // past a skip of one word
	assert_true(take(&r, WORDS / 2 - 1, 2));
	assert_null(base_ring_peek(&r));
	assert_true(put(&r, 1, 3)); // another that is as long as what is left
	assert_true(take(&r, 1, 3));
	assert_int_equal(r.tail % WORDS, 0);
	base_ring_close(&r);
	base_ring_close(&r); // harmless
}

static void several_records_are_published_at_once(void **state)
{
	struct base_ring r;
	uint64_t *at;

	assert_int_equal(base_ring_open(&r, BYTES), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		at = base_ring_room(&r, 7);
		assert_non_null(at);
		memcpy(at, (uint64_t[]){3, i + 1, i + 2, 4, i + 1, i + 2, i + 3}, 7 * sizeof(*at));
		assert_null(base_ring_peek(&r));
		base_ring_publish(&r, 7);
		assert_true(take(&r, 3, i));
		assert_true(take(&r, 4, i));
		assert_null(base_ring_peek(&r));
	}
	base_ring_close(&r);
}

#define CROSSED 200000u

static void *writer_run(void *ring)
{
	for (uint64_t i = 0; i < CROSSED;)
		i += put(ring, 1 + i % 90, i);
	return NULL;
}

static void two_threads_lose_nothing(void **state)
{
	struct base_ring r;
	pthread_t writer;

	assert_int_equal(base_ring_open(&r, BYTES), 0);
	assert_int_equal(pthread_create(&writer, NULL, writer_run, &r), 0);
	for (uint64_t i = 0; i < CROSSED;)
		i += take(&r, 1 + i % 90, i);
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_null(base_ring_peek(&r));
	base_ring_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_of_all_lengths_come_out_in_order),
		cmocka_unit_test(a_full_ring_keeps_what_it_has),
		cmocka_unit_test(what_is_not_published_is_not_there),
		cmocka_unit_test(several_records_are_published_at_once),
		cmocka_unit_test(two_threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
