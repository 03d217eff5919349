// SPDX-License-Identifier: BSD-3-Clause
// The ring between two workers: order, bounds, publication in batches, two threads.

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/worker_ring.h"

static struct worker_ring *ring_new(uint32_t capacity)
{
	struct worker_ring *r = aligned_alloc(64, (worker_ring_bytes(capacity) + 63) & ~(size_t)63);

	worker_ring_init(r, capacity);
	return r;
}

static void nothing_is_seen_before_publication(void **state)
{
	struct worker_ring *r = ring_new(4);
	int x;

	assert_true(worker_ring_push(r, &x));
	assert_null(worker_ring_pop(r));
	worker_ring_publish(r);
	assert_ptr_equal(worker_ring_pop(r), &x);
	assert_null(worker_ring_pop(r));
	free(r);
}

static void full_ring_takes_no_more_until_the_consumer_retires(void **state)
{
	struct worker_ring *r = ring_new(4);
	int x[5];

	for (int i = 0; i < 4; i++)
		assert_true(worker_ring_push(r, &x[i]));
	assert_false(worker_ring_push(r, &x[4]));
	worker_ring_publish(r);
	assert_ptr_equal(worker_ring_pop(r), &x[0]);
	assert_false(worker_ring_push(r, &x[4]));
	worker_ring_retire(r);
	assert_true(worker_ring_push(r, &x[4]));
	worker_ring_publish(r);
	for (int i = 1; i < 5; i++)
		assert_ptr_equal(worker_ring_pop(r), &x[i]);
	free(r);
}

#define MESSAGES 200000

static void *produce(void *arg)
{
	struct worker_ring *r = arg;

	for (uintptr_t i = 1; i <= MESSAGES;) {
		if (worker_ring_push(r, (void *)i))
			i++;
		worker_ring_publish(r);
	}
	return NULL;
}

static void two_threads_keep_order(void **state)
{
	struct worker_ring *r = ring_new(64);
	pthread_t t;

	pthread_create(&t, NULL, produce, r);
	for (uintptr_t want = 1; want <= MESSAGES;) {
		void *p = worker_ring_pop(r);

		if (p != NULL)
			assert_int_equal((uintptr_t)p, want++);
		worker_ring_retire(r);
	}
	pthread_join(t, NULL);
	assert_null(worker_ring_pop(r));
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_seen_before_publication),
		cmocka_unit_test(full_ring_takes_no_more_until_the_consumer_retires),
		cmocka_unit_test(two_threads_keep_order),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
