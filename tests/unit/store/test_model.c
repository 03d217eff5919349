// SPDX-License-Identifier: BSD-3-Clause
// Random operations against the simplest thing that could be right: an array by key number.
#include "store_test.h"

#define KEYS      20000u
#define PENDING   8u  // reservations open at a time
#define READERS   32u // references held at a time
#define BYTES_MAX 10000u

struct entry {
	bool present;
	uint32_t seed, bytes, deadline_s;
	uint64_t cas;
};

struct model {
	struct shard t;
	struct base_rng rng;
	struct entry entry[KEYS];
	struct {
		struct store_item *it; // NULL: free
		uint32_t key;
		struct entry e;
	} pending[PENDING];
	struct {
		struct store_item *it;
		struct entry e;
	} reader[READERS];
	uint64_t flush_at_s;
	uint64_t limit_bytes, lost, refused, resized, moved;
	bool may_lose; // a limit or a failing allocator: items may go, but never be wrong
	unsigned fail_permille;
	struct store_defrag_plan plan; // all: it is moved meanwhile
};

static bool model_fail(void *arg)
{
	struct model *m = arg;

	return base_rng_below(&m->rng, 1000) < m->fail_permille;
}

static void value_write(struct store_item *it, uint32_t from, const struct entry *e)
{
	char text[BYTES_MAX];

	for (uint32_t i = 0; i < e->bytes - from; i++)
		text[i] = (char)(e->seed * 31 + from + i);
	store_value_write(it, from, text, e->bytes - from);
}

static void value_check(struct store_item *it, const struct entry *e)
{
	char text[BYTES_MAX];

	assert_int_equal(it->value_bytes, e->bytes);
	for (uint32_t i = 0; i < e->bytes; i++)
		text[i] = (char)(e->seed * 31 + i);
	assert_value_bytes(it, text);
	assert_int_equal(store_item_client_flags(it), e->seed % 3 ? e->seed : 0);
}

static void model_flush(struct model *m)
{
	for (uint32_t k = 0; k < KEYS; k++)
		m->entry[k].present = false;
	m->flush_at_s = 0;
}

static struct store_item *model_get(struct model *m, uint32_t k)
{
	struct entry *e = &m->entry[k];
	struct store_item *it = shard_find_number(&m->t, k);

	if (e->present && e->deadline_s && e->deadline_s <= m->t.now.wall_s)
		e->present = false;
	if (!it) {
		m->lost += e->present;
		assert_true(!e->present || m->may_lose);
		e->present = false;
		return NULL;
	}
	assert_true(e->present);
	assert_int_equal(it->cas, e->cas);
	assert_int_equal(it->deadline_s, e->deadline_s);
	value_check(it, e);
	return it;
}

static void op_reserve(struct model *m, uint32_t k, unsigned slot)
{
	struct entry e = {.present = true, .seed = (uint32_t)base_rng_below(&m->rng, 1 << 20)};
	struct store_item *it;
	char buf[32];
	struct store_key key = shard_key_number(buf, k);

	if (m->pending[slot].it)
		return;
	e.bytes = (uint32_t)base_rng_below(&m->rng, base_rng_below(&m->rng, 20) ? 200 : BYTES_MAX);
	if (base_rng_below(&m->rng, 4) == 0)
		e.deadline_s = (uint32_t)(m->t.now.wall_s + base_rng_below(&m->rng, 20));
	if (store_reserve(m->t.s, &key, e.seed % 3 ? e.seed : 0, e.deadline_s, e.bytes, &it) !=
		STORE_OK) {
		assert_null(it);
		assert_true(m->may_lose);
		m->refused++;
		return;
	}
	value_write(it, 0, &e);
	m->pending[slot].it = it;
	m->pending[slot].key = k;
	m->pending[slot].e = e;
}

static void op_commit(struct model *m, unsigned slot)
{
	struct store_item *it = m->pending[slot].it;
	uint32_t k = m->pending[slot].key;
	char buf[32];

	if (!it)
		return;
	m->pending[slot].it = NULL;
	if (base_rng_below(&m->rng, 10) == 0) {
		store_abort(m->t.s, it);
		return;
	}
	store_commit(m->t.s, it, shard_key_number(buf, k).hash, 0);
	m->entry[k] = m->pending[slot].e;
	m->entry[k].cas = it->cas;
}

static void op_delete(struct model *m, uint32_t k)
{
	struct store_item *it = model_get(m, k);
	char buf[32];

	if (!it)
		return;
	store_delete(m->t.s, it, shard_key_number(buf, k).hash);
	m->entry[k].present = false;
	assert_null(shard_find_number(&m->t, k));
}

static void op_reader(struct model *m, uint32_t k, unsigned slot)
{
	struct store_item *it;

	if (m->reader[slot].it) {
		value_check(m->reader[slot].it, &m->reader[slot].e);
		store_unref(m->t.s, m->reader[slot].it);
		m->reader[slot].it = NULL;
		return;
	}
	it = model_get(m, k);
	if (!it)
		return;
	store_touch_access(m->t.s, it);
	assert_true(store_ref(m->t.s, it));
	m->reader[slot].it = it;
	m->reader[slot].e = m->entry[k];
}

static void op_write(struct model *m, uint32_t k)
{
	struct store_item *it = model_get(m, k);
	struct entry *e = &m->entry[k];

	if (!it || !store_writable(it))
		return;
	e->deadline_s = (uint32_t)(m->t.now.wall_s + 1 + base_rng_below(&m->rng, 20));
	store_deadline_set(m->t.s, it, e->deadline_s);
	it->cas = e->cas = store_cas_next(m->t.s);
}

// In place, or with another second piece.
static void op_resize(struct model *m, uint32_t k)
{
	struct store_item *it = model_get(m, k);
	struct entry *e = &m->entry[k];
	uint32_t had = e->bytes, bytes;

	if (!it)
		return;
	bytes = (uint32_t)base_min_u64(had + base_rng_below(&m->rng, had / 8 + 8), BYTES_MAX);
	if (base_rng_below(&m->rng, 4) == 0)
		bytes -= (uint32_t)base_rng_below(&m->rng, bytes / 8 + 1);
	if (!store_value_resize(m->t.s, it, bytes))
		return;
	m->resized++;
	m->moved += it->bits & STORE_ITEM_SPLIT && bytes > had + 128;
	e->bytes = bytes;
	if (bytes > had)
		value_write(it, had, e);
	store_value_changed(m->t.s, it, 0);
	e->cas = it->cas;
}

static void op_flush(struct model *m)
{
	uint64_t delay = base_rng_below(&m->rng, 3);

	if (base_rng_below(&m->rng, 3000))
		return;
	store_flush(m->t.s, delay ? m->t.now.wall_s + delay * 3 : 0);
	if (delay)
		m->flush_at_s = m->t.now.wall_s + delay * 3;
	else
		model_flush(m);
}

static void op_time(struct model *m)
{
	m->t.now.mono_us += base_rng_below(&m->rng, 50000);
	if (base_rng_below(&m->rng, 100) == 0)
		m->t.now.wall_s++;
	store_turn(m->t.s, m->t.now);
	if (m->flush_at_s && m->t.now.wall_s >= m->flush_at_s)
		model_flush(m);
}

static void op_limit(struct model *m)
{
	if (!m->limit_bytes || base_rng_below(&m->rng, 2000))
		return;
	m->limit_bytes = (200 + base_rng_below(&m->rng, 800)) << 10;
	store_limit_set(m->t.s, m->limit_bytes);
	while (store_step(m->t.s, 100))
		;
}

// What is due is found by the index or by sampling, and either becomes the other at any time.
static void op_settings(struct model *m)
{
	struct store_settings set = store_settings_get(m->t.s);

	store_expire_spent(m->t.s, base_rng_below(&m->rng, 100000));
	if (base_rng_below(&m->rng, 300))
		return;
	set.expire_index = (uint16_t)base_rng_below(&m->rng, 2);
	set.expire_effort = (uint8_t)(1 + base_rng_below(&m->rng, 10));
	set.hz = (uint16_t)(1 + base_rng_below(&m->rng, 500));
	// A volatile policy could not reach every limit.
	if (!m->limit_bytes)
		set.policy = base_rng_below(&m->rng, 4) ? STORE_ALLKEYS_LRU : STORE_VOLATILE_LRU;
	assert_int_equal(store_settings_set(m->t.s, &set), 0);
}

// Everything is moved, again and again, a slice at a time.
static void op_defrag(struct model *m)
{
	unsigned units;

	if (shard_n(&m->t)->defrag_running == 0) {
		m->plan.seq++;
		store_defrag_set(m->t.s, &m->plan);
	}
	units = (unsigned)base_rng_below(&m->rng, 600);
	store_work_step(m->t.s, STORE_WORK_DEFRAG, &units);
	mem_purge_slice(m->t.mem, m->t.now.mono_us);
}

static void model_step(struct model *m)
{
	uint32_t k = (uint32_t)base_rng_below(&m->rng, KEYS);
	unsigned slot = (unsigned)base_rng_below(&m->rng, READERS);

	switch (base_rng_below(&m->rng, m->plan.all ? 18 : 17)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		op_reserve(m, k, slot % PENDING);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		op_commit(m, slot % PENDING);
		break;
	case 9:
		op_delete(m, k);
		break;
	case 10:
		op_reader(m, k, slot);
		break;
	case 11:
		op_write(m, k);
		break;
	case 12:
		op_time(m);
		op_flush(m);
		op_limit(m);
		op_settings(m);
		break;
	case 13:
		store_step(m->t.s, slot);
		break;
	case 14:
		op_resize(m, k);
		break;
	case 17:
		op_defrag(m);
		break;
	default:
		model_get(m, k);
	}
}

static void model_limit_check(struct model *m)
{
	uint64_t used = shard_used(&m->t) - shard_n(&m->t)->pinned_bytes;

	// a flush takes a new index before it gives back the old one; held items cannot be evicted
	if (m->limit_bytes)
		assert_true(used <= m->limit_bytes + 8192 + READERS * 10300);
}

static void model_end(struct model *m)
{
	uint64_t present = 0, bytes = 0, deadlines = 0;

	m->fail_permille = 0;
	for (unsigned i = 0; i < PENDING; i++)
		if (m->pending[i].it)
			store_abort(m->t.s, m->pending[i].it);
	for (unsigned i = 0; i < READERS; i++)
		if (m->reader[i].it)
			op_reader(m, 0, i);
	assert_int_equal(shard_n(&m->t)->pinned_bytes, 0);
	while (store_step(m->t.s, 100))
		;
	for (uint32_t k = 0; k < KEYS; k++) {
		struct store_item *it = model_get(m, k);

		present += it != NULL;
		if (it) {
			bytes += store_item_memory(m->t.s, it).held_bytes;
			deadlines += it->deadline_s != 0;
		}
	}
	assert_int_equal(shard_n(&m->t)->deadlines, deadlines);
	assert_int_equal(shard_n(&m->t)->items, present);
	assert_int_equal(shard_n(&m->t)->item_bytes, bytes);
	assert_int_equal(mem_used_class(m->t.mem, MEM_ITEMS), bytes);
}

static void model_run_policy(uint64_t seed, uint64_t limit_bytes, unsigned fail_permille,
	unsigned steps, bool defrag, enum store_policy policy)
{
	struct model *m = calloc(1, sizeof(*m));

	base_rng_seed(&m->rng, seed);
	shard_open(&m->t, (struct store_options){.limit_bytes = limit_bytes, .policy = policy});
	m->plan.all = defrag;
	m->limit_bytes = limit_bytes;
	m->fail_permille = fail_permille;
	m->may_lose = limit_bytes || fail_permille;
	if (fail_permille)
		mem_fault_set(m->t.mem, model_fail, m);
	for (unsigned i = 0; i < steps; i++) {
		model_step(m);
		model_limit_check(m);
	}
	model_end(m);
	print_message("seed %lu: %lu items, %lu stored, %lu evicted, %lu expired, %lu flushed, "
		      "%lu refused, %lu resized, %lu of them moved, %lu splits, %lu merges, "
		      "%lu blocks moved in %lu passes\n",
		(unsigned long)seed, (unsigned long)shard_n(&m->t)->items,
		(unsigned long)shard_n(&m->t)->items_total, (unsigned long)shard_n(&m->t)->evicted,
		(unsigned long)shard_n(&m->t)->expired, (unsigned long)shard_n(&m->t)->flushed,
		(unsigned long)m->refused, (unsigned long)m->resized, (unsigned long)m->moved,
		(unsigned long)shard_n(&m->t)->splits, (unsigned long)shard_n(&m->t)->merges,
		(unsigned long)shard_n(&m->t)->defrag_hits,
		(unsigned long)shard_n(&m->t)->defrag_passes);
	if (defrag)
		assert_true(shard_n(&m->t)->defrag_passes > 10);
	shard_close(&m->t);
	free(m);
}

static void model_run(uint64_t seed, uint64_t limit_bytes, unsigned fail_permille, unsigned steps)
{
	model_run_policy(seed, limit_bytes, fail_permille, steps, false, STORE_ALLKEYS_LRU);
}

static void test_without_limit_it_is_the_model(void **state)
{
	model_run(1, 0, 0, 1000000);
}

static void test_with_a_small_limit_it_forgets_but_is_never_wrong(void **state)
{
	model_run(2, 512 << 10, 0, 1000000);
	model_run(3, 64 << 10, 0, 200000);
}

static void test_with_a_failing_allocator(void **state)
{
	model_run(4, 0, 20, 300000);
	model_run(5, 512 << 10, 100, 300000);
}

static void test_while_everything_is_moved(void **state)
{
	model_run_policy(6, 0, 0, 500000, true, STORE_ALLKEYS_LRU);
	model_run_policy(7, 512 << 10, 0, 500000, true, STORE_ALLKEYS_S3FIFO);
	model_run_policy(8, 512 << 10, 100, 300000, true, STORE_ALLKEYS_LFU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_limit_it_is_the_model),
		cmocka_unit_test(test_with_a_small_limit_it_forgets_but_is_never_wrong),
		cmocka_unit_test(test_with_a_failing_allocator),
		cmocka_unit_test(test_while_everything_is_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
