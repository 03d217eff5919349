// SPDX-License-Identifier: BSD-3-Clause
// S3-FIFO in the store beside S3-FIFO as published, and what it keeps beside items.
#include "store_test.h"

#define KEYS     30000u
#define REQUESTS 600000u
#define LIMIT    (2u << 20)

// Zipf 1.0 with a scan of new keys every so often, which is what S3-FIFO stands and LRU does not.
static uint32_t *trace_make(uint64_t seed)
{
	double *sum = malloc(KEYS * sizeof(*sum)), total = 0;
	uint32_t *trace = malloc(REQUESTS * sizeof(*trace)), scan = KEYS;
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
		trace[i] = i / 10000 % 4 == 3 ? scan++ : low;
	}
	free(sum);
	return trace;
}

static uint32_t uniform_bytes(uint32_t key)
{
	return 64;
}

// 16 to 4,000 bytes, most of them small.
static uint32_t mixed_bytes(uint32_t key)
{
	return 16u << (base_hash((const char *)&key, sizeof(key)) % 9);
}

// `held`: the objects held in the mean once something was evicted.
static double ratio(enum store_policy policy, const uint32_t *trace, uint32_t (*bytes)(uint32_t),
	uint32_t *held)
{
	uint64_t held_sum = 0, held_n = 0;
	uint64_t hits = 0;
	struct shard t;

	shard_open(&t, (struct store_options){.limit_bytes = LIMIT / 4, .policy = policy});
	for (uint32_t i = 0; i < REQUESTS; i++) {
		struct store_item *it = shard_find_number(&t, trace[i]);

		t.now.mono_us += 10;
		store_turn(t.s, t.now);
		if (it)
			store_touch_access(t.s, it);
		else
			assert_true(shard_set_number(&t, trace[i], bytes(trace[i])));
		hits += it != NULL;
		if (i % 16 == 0)
			store_step(t.s, 32);
		assert_true(shard_used(&t) <= LIMIT / 4);
		if (shard_n(&t)->evicted > 0) {
			held_sum += shard_n(&t)->items;
			held_n++;
		}
	}
	*held = (uint32_t)(held_sum / held_n);
	shard_close(&t);
	return (double)hits / REQUESTS;
}

// ---- as published, with arrays for queues -------------------------------------------------------

struct queue {
	uint32_t *key;
	uint32_t head, count, cap;
};

static void queue_push(struct queue *q, uint32_t key)
{
	q->key[(q->head + q->count++) % q->cap] = key;
	assert_true(q->count <= q->cap);
}

static uint32_t queue_pop(struct queue *q)
{
	uint32_t key = q->key[q->head];

	q->head = (q->head + 1) % q->cap;
	q->count--;
	return key;
}

enum where { NOWHERE, SMALL, MAIN, GHOST };

struct published {
	struct queue small, main, ghost;
	uint8_t *where, *freq;
	uint32_t capacity;
};

static void main_shrink(struct published *p)
{
	for (;;) {
		uint32_t key = queue_pop(&p->main);

		if (p->freq[key] == 0) {
			p->where[key] = NOWHERE;
			return;
		}
		p->freq[key]--;
		queue_push(&p->main, key);
	}
}

static void ghost_add(struct published *p, uint32_t key)
{
	if (p->ghost.count == p->capacity * 9 / 10) {
		uint32_t old = queue_pop(&p->ghost);

		if (p->where[old] == GHOST)
			p->where[old] = NOWHERE;
	}
	queue_push(&p->ghost, key);
	p->where[key] = GHOST;
}

static void room_make(struct published *p)
{
	while (p->small.count + p->main.count >= p->capacity) {
		if (p->small.count * 10 < p->capacity || p->small.count == 0) {
			main_shrink(p);
			continue;
		}
		uint32_t key = queue_pop(&p->small);

		if (p->freq[key] > 1) {
			p->freq[key] = 0;
			p->where[key] = MAIN;
			queue_push(&p->main, key);
		} else {
			ghost_add(p, key);
		}
	}
}

static double published_ratio(const uint32_t *trace, uint32_t capacity)
{
	uint32_t keys = KEYS + REQUESTS, hits = 0;
	struct published p = {.capacity = capacity};
	struct queue *q[] = {&p.small, &p.main, &p.ghost};

	for (unsigned i = 0; i < 3; i++) {
		q[i]->cap = capacity * 2;
		q[i]->key = malloc(q[i]->cap * sizeof(uint32_t));
	}
	p.where = calloc(keys, 1);
	p.freq = calloc(keys, 1);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		uint32_t key = trace[i];
		bool known = p.where[key] == GHOST;

		if (p.where[key] == SMALL || p.where[key] == MAIN) {
			hits++;
			p.freq[key] += p.freq[key] < 3;
			continue;
		}
		room_make(&p);
		p.freq[key] = 0;
		p.where[key] = known ? MAIN : SMALL;
		queue_push(known ? &p.main : &p.small, key);
	}
	for (unsigned i = 0; i < 3; i++)
		free(q[i]->key);
	free(p.where);
	free(p.freq);
	return (double)hits / REQUESTS;
}

static void test_hit_ratio_is_at_least_that_of_the_published_algorithm(void **state)
{
	for (uint64_t seed = 5; seed < 8; seed++) {
		uint32_t *trace = trace_make(seed), held, other;
		double lru = ratio(STORE_ALLKEYS_LRU, trace, uniform_bytes, &other);
		double got = ratio(STORE_ALLKEYS_S3FIFO, trace, uniform_bytes, &held);
		double want = published_ratio(trace, held);

		print_message(
			"%u objects: allkeys-s3fifo %.4f, as published %.4f, allkeys-lru %.4f\n",
			held, got, want, lru);
		assert_true(got >= want);
		assert_true(got > lru + 0.01);
		free(trace);
	}
}

static void test_by_size_hits_more_where_sizes_differ(void **state)
{
	uint32_t *trace = trace_make(6), held;
	double plain = ratio(STORE_ALLKEYS_S3FIFO, trace, mixed_bytes, &held);
	double sized = ratio(STORE_ALLKEYS_S3FIFO_SIZE, trace, mixed_bytes, &held);

	print_message("mixed sizes: allkeys-s3fifo %.4f, -size %.4f\n", plain, sized);
	assert_true(sized > plain + 0.02);
	free(trace);
}

static bool set_for(struct shard *t, uint64_t number, uint32_t seconds)
{
	char buf[32];

	shard_key_number(buf, number);
	return shard_set_for(t, buf, NULL, 64, seconds ? (uint32_t)t->now.wall_s + seconds : 0) !=
		NULL;
}

// An eleventh of the items is in the small queue, at 8 bytes each; ghosts take 2 of each of the
// rest.
static void test_what_is_kept_beside_items_is_small(void **state)
{
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_S3FIFO});
	for (uint64_t i = 0; i < 200000; i++) {
		struct store_item *it;

		assert_true(set_for(&t, i, 0));
		it = shard_find_number(&t, i);
		for (unsigned k = 0; k < 2 && i % 2; k++)
			store_touch_access(t.s, it);
	}
	assert_in_range(shard_n(&t)->small_items, shard_n(&t)->items / 12, shard_n(&t)->items / 8);
	print_message("beside items: %.1f bytes a key\n",
		(double)shard_n(&t)->side_bytes / (double)shard_n(&t)->items);
	assert_true(shard_n(&t)->side_bytes < shard_n(&t)->items * 6);
	shard_close(&t);
}

// Keys that come and are deleted leave entries behind; they do not pile up.
static void test_stale_entries_are_dropped(void **state)
{
	struct shard t;
	char buf[32];

	shard_open(&t, (struct store_options){.policy = STORE_ALLKEYS_S3FIFO});
	for (uint64_t i = 0; i < 300000; i++) {
		assert_true(set_for(&t, i, 0));
		if (i >= 1000)
			store_delete(t.s, shard_find_number(&t, i - 1000),
				shard_key_number(buf, i - 1000).hash);
	}
	assert_true(shard_n(&t)->side_bytes <= 64 << 10);
	for (uint64_t i = 300000 - 1000; i < 300000; i++)
		assert_non_null(shard_find_number(&t, i));
	shard_close(&t);
}

static void test_volatile_s3fifo_takes_what_has_a_deadline(void **state)
{
	uint64_t n = 0, found = 0;
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_VOLATILE_S3FIFO});
	for (; n < 60000; n++)
		set_for(&t, n, n % 4 ? 1000 : 0);
	for (uint64_t i = 0; i < n; i += 4)
		found += shard_find_number(&t, i) != NULL;
	assert_true(shard_n(&t)->evicted > 10000);
	assert_true(shard_n(&t)->items >= found);
	while (set_for(&t, n, 0))
		n++;
	assert_int_equal(shard_n(&t)->items, shard_n(&t)->items_total - shard_n(&t)->evicted);
	for (uint64_t i = 0; i < 60000; i++) // none with a deadline is left
		assert_true(shard_find_number(&t, i) == NULL || i % 4 == 0);
	shard_close(&t);
}

// The first evictions need memory to remember what goes. It is had, but not from under the sets.
static void test_no_set_is_refused_for_what_is_remembered(void **state)
{
	for (uint32_t seconds = 0; seconds <= 1000; seconds += 1000) {
		for (uint32_t bytes = 0; bytes < 400; bytes += 9) {
			struct shard t;
			char buf[32];

			shard_open(&t,
				(struct store_options){.limit_bytes = LIMIT / 2,
					.policy = seconds ? STORE_VOLATILE_S3FIFO
							  : STORE_ALLKEYS_S3FIFO});
			for (uint64_t n = 0; shard_n(&t)->evicted < 3000; n++) {
				shard_key_number(buf, n);
				assert_non_null(shard_set_for(&t, buf, NULL, bytes,
					seconds ? (uint32_t)t.now.wall_s + seconds : 0));
				assert_true(shard_used(&t) <= LIMIT / 2);
			}
			shard_close(&t);
		}
	}
}

// A key that main gave up goes there again when it comes back, as one that the small queue gave up.
static void test_what_main_gave_up_is_remembered(void **state)
{
	uint64_t gone = 0, ghosts;
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_S3FIFO});
	// What is to be remembered is not lost for want of the first pages: those have come by
	// then.
	for (uint64_t i = 1000000; shard_n(&t)->evicted < 5000; i++)
		assert_true(set_for(&t, i, 0));
	for (uint64_t i = 0; i < 2000; i++) { // into main: read twice while they are new
		assert_true(set_for(&t, i, 0));
		for (unsigned k = 0; k < 2; k++)
			store_touch_access(t.s, shard_find_number(&t, i));
	}
	for (uint64_t i = 10000; gone < 100; i++) { // others, read as often, push them out
		assert_true(set_for(&t, i, 0));
		for (unsigned k = 0; k < 2; k++)
			store_touch_access(t.s, shard_find_number(&t, i));
		if (i % 1000 == 0) {
			gone = 0;
			for (uint64_t k = 0; k < 2000; k++)
				gone += shard_find_number(&t, k) == NULL;
		}
	}
	ghosts = shard_n(&t)->ghost_hits;
	for (uint64_t i = 0; i < 2000; i++)
		if (!shard_find_number(&t, i))
			assert_true(set_for(&t, i, 0));
	assert_true(shard_n(&t)->ghost_hits >= ghosts + gone * 9 / 10);
	shard_close(&t);
}

static void policy_switch(struct shard *t, enum store_policy policy)
{
	struct store_settings set = store_settings_get(t->s);

	set.policy = (uint8_t)policy;
	assert_int_equal(store_settings_set(t->s, &set), 0);
}

// The second switch comes before the first is through.
static void test_two_switches_away_give_the_memory_back_too(void **state)
{
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_S3FIFO});
	for (uint64_t i = 0; i < 100000; i++)
		assert_true(set_for(&t, i, 0));
	policy_switch(&t, STORE_ALLKEYS_LRU);
	store_step(t.s, 64);
	assert_true(shard_n(&t)->side_bytes > 0);
	policy_switch(&t, STORE_ALLKEYS_RANDOM);
	while (store_step(t.s, 64))
		;
	assert_int_equal(shard_n(&t)->side_bytes, 0);
	assert_int_equal(shard_n(&t)->small_items, 0);
	shard_close(&t);
}

// Buckets that merge while items are turned over: none is left behind as one of a queue that is
// gone.
static void test_a_switch_while_the_index_narrows_turns_over_all(void **state)
{
	struct shard t;
	char buf[32];

	shard_open(&t, (struct store_options){.policy = STORE_ALLKEYS_S3FIFO});
	for (uint64_t i = 0; i < 100000; i++)
		assert_true(set_for(&t, i, 0));
	for (uint64_t i = 0; i < 100000; i++)
		if (i % 50)
			store_delete(t.s, shard_find_number(&t, i), shard_key_number(buf, i).hash);
	policy_switch(&t, STORE_ALLKEYS_LRU);
	while (store_step(t.s, 64))
		;
	assert_int_equal(shard_n(&t)->items, 2000);
	assert_int_equal(shard_n(&t)->side_bytes, 0);
	assert_int_equal(shard_n(&t)->small_items, 0);
	shard_close(&t);
}

// A key that is read while it is new, so that it goes to main.
static bool set_and_read(struct shard *t, uint64_t number, uint32_t seconds)
{
	if (!set_for(t, number, seconds))
		return false;
	for (unsigned k = 0; k < 2; k++)
		store_touch_access(t->s, shard_find_number(t, number));
	return true;
}

// Under load; the slices are those of store_step. Afterwards none of the old ones stays for ever.
static void switches_run(enum store_policy here, enum store_policy there, uint32_t seconds)
{
	struct base_rng rng;
	struct shard t;
	uint64_t n = 0;

	base_rng_seed(&rng, 9);
	shard_open(&t, (struct store_options){.limit_bytes = LIMIT, .policy = here});
	for (; n < 400000; n++) {
		struct store_item *it = shard_find_number(&t, n - base_rng_below(&rng, 20000));

		if (it)
			store_touch_access(t.s, it);
		assert_true(set_for(&t, n, seconds) || (there == STORE_NOEVICTION && n > 50000));
		assert_true(shard_used(&t) <= LIMIT);
		if (n % 16 == 0)
			store_step(t.s, 32);
		if (n > 50000 && n % 7001 == 0)
			policy_switch(&t, n / 7001 % 2 ? there : here);
	}
	policy_switch(&t, here);
	for (; n < 600000; n++) {
		assert_true(set_and_read(&t, n, seconds));
		if (n % 16 == 0)
			store_step(t.s, 32);
	}
	for (uint64_t i = 0; i < 400000; i++)
		assert_null(shard_find_number(&t, i));
	shard_close(&t);
}

static void test_switches_to_and_fro_under_load(void **state)
{
	switches_run(STORE_ALLKEYS_S3FIFO, STORE_ALLKEYS_LRU, 0);
	switches_run(STORE_ALLKEYS_S3FIFO, STORE_ALLKEYS_LFU, 0);
	switches_run(STORE_VOLATILE_S3FIFO, STORE_VOLATILE_LRU, 1000);
	switches_run(STORE_VOLATILE_S3FIFO, STORE_ALLKEYS_S3FIFO, 1000);
	switches_run(STORE_VOLATILE_S3FIFO, STORE_NOEVICTION, 1000);
}

static void test_a_switch_away_gives_the_memory_back(void **state)
{
	struct store_settings set = store_settings_default();
	struct shard t;

	shard_open(
		&t, (struct store_options){.limit_bytes = LIMIT, .policy = STORE_ALLKEYS_S3FIFO});
	for (uint64_t i = 0; i < 100000; i++)
		assert_true(set_for(&t, i, 0));
	assert_true(shard_n(&t)->side_bytes > 0);
	set.policy = STORE_ALLKEYS_LRU;
	assert_int_equal(store_settings_set(t.s, &set), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(set_for(&t, i, 0));
	while (store_step(t.s, 64))
		;
	assert_int_equal(shard_n(&t)->side_bytes, 0);
	assert_int_equal(shard_n(&t)->small_items, 0);
	assert_int_equal(shard_n(&t)->small_bytes, 0);
	set.policy = STORE_ALLKEYS_S3FIFO;
	assert_int_equal(store_settings_set(t.s, &set), 0);
	for (unsigned i = 0; i < 50000; i++)
		assert_true(set_for(&t, 200000 + i, 0));
	store_flush(t.s, 0);
	assert_int_equal(shard_n(&t)->small_items, 0);
	for (unsigned i = 0; i < 50000; i++)
		assert_true(set_for(&t, i, 0));
	shard_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hit_ratio_is_at_least_that_of_the_published_algorithm),
		cmocka_unit_test(test_by_size_hits_more_where_sizes_differ),
		cmocka_unit_test(test_what_is_kept_beside_items_is_small),
		cmocka_unit_test(test_stale_entries_are_dropped),
		cmocka_unit_test(test_volatile_s3fifo_takes_what_has_a_deadline),
		cmocka_unit_test(test_no_set_is_refused_for_what_is_remembered),
		cmocka_unit_test(test_what_main_gave_up_is_remembered),
		cmocka_unit_test(test_two_switches_away_give_the_memory_back_too),
		cmocka_unit_test(test_a_switch_while_the_index_narrows_turns_over_all),
		cmocka_unit_test(test_switches_to_and_fro_under_load),
		cmocka_unit_test(test_a_switch_away_gives_the_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
