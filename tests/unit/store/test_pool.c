// SPDX-License-Identifier: BSD-3-Clause
// The pool of candidates: the order of the scores, whatever is offered, taken and met again.
#include "store/store_internal.h"
#include "store_test.h"

// What the pool is meant to hold: sorted, and moved about.
struct model {
	struct {
		uint64_t slot, score;
	} e[STORE_POOL_MAX + 1];
	unsigned n;
};

static void model_drop(struct model *m, unsigned i)
{
	m->n--;
	memmove(&m->e[i], &m->e[i + 1], (m->n - i) * sizeof(m->e[0]));
}

static void model_offer(struct model *m, uint64_t slot, uint64_t score)
{
	unsigned k = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (m->e[i].slot == slot)
			model_drop(m, i--);
	if (m->n == STORE_POOL_MAX) {
		if (score <= m->e[0].score)
			return;
		model_drop(m, 0);
	}
	while (k < m->n && m->e[k].score < score)
		k++;
	memmove(&m->e[k + 1], &m->e[k], (m->n - k) * sizeof(m->e[0]));
	m->e[k].slot = slot;
	m->e[k].score = score;
	m->n++;
}

static void pool_check(const struct store_pool *p, const struct model *m)
{
	const struct store_sample *best = store_pool_best(p);

	assert_int_equal(p->count, m->n);
	for (unsigned i = 0; i < m->n; i++) {
		unsigned place = p->order >> i * 4 & (STORE_POOL_MAX - 1);

		assert_int_equal(p->sample[place].slot, m->e[i].slot);
		assert_int_equal(p->score[place], m->e[i].score);
	}
	if (m->n == 0)
		assert_null(best);
	else
		assert_int_equal(best->slot, m->e[m->n - 1].slot);
}

static void test_candidates_stand_in_the_order_of_their_scores(void **state)
{
	struct store_pool p;
	struct model m = {.n = 0};
	struct base_rng rng;

	base_rng_seed(&rng, 1);
	store_pool_clear(&p);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t span = i % 1000 < 500 ? 24 : UINT64_C(1) << 40; // some are met again
		uint64_t slot = base_rng_below(&rng, span) + 1;
		// of one score there is one, so that the order is no matter of taste
		uint64_t score = base_rng_below(&rng, 1 << 20) << 32 | i;

		if (base_rng_below(&rng, 3) > 0) {
			store_pool_offer(&p, &(struct store_sample){slot, ~slot}, score);
			model_offer(&m, slot, score);
		} else if (m.n > 0) {
			struct store_sample s;

			m.n--;
			assert_int_equal(store_pool_take(&p, &s), m.e[m.n].score);
			assert_int_equal(s.slot, m.e[m.n].slot);
			assert_int_equal(s.bucket, (uint32_t)~s.slot);
		}
		pool_check(&p, &m);
	}
}

static void test_a_full_pool_wants_only_what_is_above_its_lowest(void **state)
{
	struct store_pool p;
	struct store_sample s;

	store_pool_clear(&p);
	for (unsigned i = 0; i < STORE_POOL_MAX; i++) {
		assert_true(store_pool_wants(&p, 0));
		store_pool_offer(&p, &(struct store_sample){i + 1, 0}, 100 + i);
	}
	assert_false(store_pool_wants(&p, 100));
	assert_true(store_pool_wants(&p, 101));
	store_pool_offer(&p, &(struct store_sample){99, 0}, UINT64_MAX);
	assert_int_equal(p.count, STORE_POOL_MAX);
	assert_int_equal(store_pool_take(&p, &s), UINT64_MAX);
	assert_int_equal(s.slot, 99);
	assert_true(store_pool_wants(&p, 0));
	store_pool_clear(&p);
	assert_null(store_pool_best(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_candidates_stand_in_the_order_of_their_scores),
		cmocka_unit_test(test_a_full_pool_wants_only_what_is_above_its_lowest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
