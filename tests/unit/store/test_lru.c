// SPDX-License-Identifier: BSD-3-Clause
// How close sampled LRU comes to exact LRU. The store decides its own capacity (bytes), so exact
// LRU gets as many items as the store held in the mean.
#include "store_test.h"

#define KEYS     50000u
#define REQUESTS 1000000u
#define WARM     200000u

// ---- requests: Zipf 1.0, in an order of keys that has nothing to do with the rank --------------

static uint32_t *zipf_trace(uint64_t seed)
{
	double *sum = malloc(KEYS * sizeof(*sum)), total = 0;
	uint32_t *trace = malloc(REQUESTS * sizeof(*trace));
	struct base_rng rng;

	for (uint32_t i = 0; i < KEYS; i++)
		sum[i] = total += 1.0 / (i + 1);
	base_rng_seed(&rng, seed);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		double u = (double)(base_rng_next(&rng) >> 11) / 9007199254740992.0 * total;
		uint32_t low = 0, high = KEYS - 1;

		while (low < high) {
			uint32_t mid = (low + high) / 2;

			if (sum[mid] < u)
				low = mid + 1;
			else
				high = mid;
		}
		trace[i] = low;
	}
	free(sum);
	return trace;
}

// ---- exact LRU over an array-linked list -------------------------------------------------------

struct exact {
	uint32_t next[KEYS + 1], prev[KEYS + 1]; // KEYS: the head
	bool in[KEYS];
	uint32_t count;
};

static void exact_unlink(struct exact *x, uint32_t k)
{
	x->next[x->prev[k]] = x->next[k];
	x->prev[x->next[k]] = x->prev[k];
}

static void exact_push(struct exact *x, uint32_t k)
{
	x->next[k] = x->next[KEYS];
	x->prev[k] = KEYS;
	x->prev[x->next[KEYS]] = k;
	x->next[KEYS] = k;
}

static bool exact_request(struct exact *x, uint32_t k, uint32_t capacity)
{
	bool hit = x->in[k];

	if (hit) {
		exact_unlink(x, k);
	} else if (x->count == capacity) {
		uint32_t last = x->prev[KEYS];

		exact_unlink(x, last);
		x->in[last] = false;
	} else {
		x->count++;
	}
	x->in[k] = true;
	exact_push(x, k);
	return hit;
}

static double exact_ratio(const uint32_t *trace, uint32_t capacity)
{
	struct exact *x = calloc(1, sizeof(*x));
	uint32_t hits = 0;

	x->next[KEYS] = x->prev[KEYS] = KEYS;
	for (uint32_t i = 0; i < REQUESTS; i++)
		hits += exact_request(x, trace[i], capacity) && i >= WARM;
	free(x);
	return (double)hits / (REQUESTS - WARM);
}

static double store_ratio(const uint32_t *trace, uint8_t samples, uint32_t *capacity)
{
	struct shard t;
	uint64_t hits = 0, items = 0;

	shard_open(&t,
		(struct store_options){
			.limit_bytes = 640 << 10, .policy = STORE_ALLKEYS_LRU, .samples = samples});
	for (uint32_t i = 0; i < REQUESTS; i++) {
		struct store_item *it;

		t.now.mono_us += 100; // 10,000 requests a second: 164 a unit of the access clock
		store_turn(t.s, t.now);
		it = shard_find_number(&t, trace[i]);
		if (it)
			store_touch_access(t.s, it);
		else
			assert_true(shard_set_number(&t, trace[i], 64));
		hits += it && i >= WARM;
		if (i >= WARM)
			items += shard_n(&t)->items;
	}
	*capacity = (uint32_t)(items / (REQUESTS - WARM));
	shard_close(&t);
	return (double)hits / (REQUESTS - WARM);
}

static void test_hit_ratio_is_within_a_point_of_exact_lru(void **state)
{
	uint32_t *trace = zipf_trace(11), capacity;
	double sampled = store_ratio(trace, 5, &capacity), exact = exact_ratio(trace, capacity);

	print_message("zipf 1.0, %u of %u keys: sampled LRU %.4f, exact LRU %.4f\n", capacity, KEYS,
		sampled, exact);
	assert_in_range(capacity, KEYS / 20, KEYS / 5);
	assert_true(sampled > exact - 0.01);
	free(trace);
}

static void test_more_samples_come_nearer(void **state)
{
	uint32_t *trace = zipf_trace(12), capacity;
	double one = store_ratio(trace, 1, &capacity);
	double ten = store_ratio(trace, 10, &capacity), exact = exact_ratio(trace, capacity);

	print_message("samples 1: %.4f, 10: %.4f, exact %.4f\n", one, ten, exact);
	assert_true(ten > one);
	assert_true(ten > exact - 0.005);
	free(trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hit_ratio_is_within_a_point_of_exact_lru),
		cmocka_unit_test(test_more_samples_come_nearer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
