// SPDX-License-Identifier: BSD-3-Clause
// maxmemory over whole workers and the control core: three shards are filled with four times the
// limit under every policy, and at no tick is more in use than the limit and an item a worker.

#include "../worker/lab.h"
#include "control/control_internal.h"

#define WORKERS    3
#define TICK_US    1000
#define ROOM_BYTES (UINT64_C(12) << 20) // of the limit, for items and index
#define FILL_BYTES (4 * ROOM_BYTES)
#define VALUE_MAX  4000u
#define ITEM_MAX   5120u // a size class that holds the largest item
#define PIPELINE   32
#define LARGE      (ROOM_BYTES / 2) // a third of the limit is a shard's part
#define LARGE_MAX  (2 * ROOM_BYTES)
#define REFUSED    "SERVER_ERROR out of memory storing object\r\n"

struct site {
	struct control_config cfg;
	struct control *control;
	struct mem_domain *mem;
	struct client *client[WORKERS];
	struct base_rng rng;
	uint64_t tick_us, ticks, used_most, keys;
	uint64_t stored, refused;
};

// Client buffers have limits of their own, and what readers hold cannot be evicted.
static uint64_t counted_bytes(const struct site *s)
{
	uint64_t used = mem_used(s->mem);

	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker_counters n;

		worker_counters_collect(lab->w[i], &n);
		used += mem_used(lab->mem[i]) - n.mem_used[MEM_INPUT] - n.mem_used[MEM_OUTPUT] -
			n.store.pinned_bytes;
	}
	return used;
}

// A tick of the control core, and the bytes in use checked.
static void site_run(struct site *s, uint64_t us)
{
	for (uint64_t until = lab->now.mono_us + us; lab->now.mono_us < until;) {
		lab_turn();
		if (lab->now.mono_us < s->tick_us)
			continue;
		s->tick_us = lab->now.mono_us + TICK_US;
		s->ticks++;
		control_tick(s->control, lab->now);
		s->used_most = base_max_u64(s->used_most, counted_bytes(s));
		assert_true(s->used_most <= s->cfg.maxmemory_bytes + WORKERS * ITEM_MAX);
	}
}

static void site_open(struct site *s, enum store_policy policy)
{
	struct mem_options mo = {.name = "control", .numa_node = -1};

	*s = (struct site){0};
	base_rng_seed(&s->rng, 11 + policy);
	lab_open(&(struct lab_options){
		.workers = WORKERS,
		.conns_max = 16,
		.limit_bytes = ROOM_BYTES / 2,
		.item_bytes_max = LARGE_MAX,
		.lends = true,
	});
	assert_int_equal(mem_domain_open(&s->mem, &mo), 0);
	control_config_init(&s->cfg);
	s->cfg.workers = WORKERS;
	s->cfg.policy = policy;
	for (unsigned i = 0; i < WORKERS; i++)
		s->client[i] = client_connect();
	s->cfg.maxmemory_bytes = counted_bytes(s) + ROOM_BYTES;
	assert_int_equal(control_open(&s->control, &s->cfg, lab->group, s->mem, "lab", "none"), 0);
	control_ready(s->control, lab->now);
	site_run(s, 10 * TICK_US);
}

static void site_close(struct site *s)
{
	control_close(s->control);
	lab_close();
	mem_domain_close(s->mem);
}

static void replies_count(struct site *s, struct client *c)
{
	char *at = c->in, *end = c->in + c->in_len;

	while (at < end) {
		if (end - at >= 8 && memcmp(at, "STORED\r\n", 8) == 0) {
			s->stored++;
			at += 8;
		} else {
			assert_true((size_t)(end - at) >= strlen(REFUSED));
			assert_memory_equal(at, REFUSED, strlen(REFUSED));
			s->refused++;
			at += strlen(REFUSED);
		}
	}
	c->in_len = 0;
}

// Sets new keys of all sizes, one in eight without a deadline, on every connection. Returns the
// bytes of the values.
static uint64_t batch_set(struct site *s)
{
	static char value[VALUE_MAX + 2];
	uint64_t bytes = 0, wanted = s->stored + s->refused + WORKERS * PIPELINE;

	memset(value, 'v', sizeof(value));
	for (unsigned i = 0; i < WORKERS * PIPELINE; i++) {
		struct client *c = s->client[i % WORKERS];
		unsigned n = (unsigned)base_rng_below(&s->rng, VALUE_MAX);

		client_sendf(c, "set key%llu 0 %u %u\r\n", (unsigned long long)s->keys,
			s->keys % 8 ? 100000u : 0, n);
		client_send(c, value, n);
		client_send(c, "\r\n", 2);
		s->keys++;
		bytes += n;
	}
	for (int k = 0; k < 1000 && s->stored + s->refused < wanted; k++) {
		site_run(s, TICK_US / 2);
		for (unsigned i = 0; i < WORKERS; i++)
			if (s->client[i]->in_len > 0 &&
				s->client[i]->in[s->client[i]->in_len - 1] == '\n')
				replies_count(s, s->client[i]);
	}
	assert_int_equal(s->stored + s->refused, wanted);
	return bytes;
}

static void fill(struct site *s)
{
	for (uint64_t bytes = 0; bytes < FILL_BYTES;)
		bytes += batch_set(s);
	assert_true(s->ticks > 100);
	assert_true(s->used_most > s->cfg.maxmemory_bytes - ROOM_BYTES / 8); // it was full
}

static void limit_holds(enum store_policy policy)
{
	struct site s;
	uint64_t evicted;

	site_open(&s, policy);
	fill(&s);
	evicted = s.control->total.sum.store.evicted;
	assert_true(evicted > s.keys / 2);
	assert_int_equal(s.refused, 0);
	talk(s.client[0], "set last 0 100 1\r\nx\r\nget last\r\n",
		"STORED\r\nVALUE last 0 1\r\nx\r\nEND\r\n");
	site_close(&s);
}

static void the_limit_holds_under_every_policy(void **state)
{
	for (unsigned p = 0; p < STORE_POLICIES; p++) {
		if (p == STORE_NOEVICTION)
			continue;
		print_message("%s\n", store_policy_name(p));
		limit_holds((enum store_policy)p);
	}
}

// Every key, by whichever worker: a value or a miss, never an error.
static void noeviction_refuses_and_reads_go_on(void **state)
{
	struct site s;
	uint64_t found = 0;

	site_open(&s, STORE_NOEVICTION);
	fill(&s);
	assert_int_equal(s.control->total.sum.store.evicted, 0);
	assert_true(s.refused > s.keys / 2);
	assert_true(s.stored > 0);
	for (uint64_t k = 0; k < s.keys; k++) {
		struct client *c = s.client[k % WORKERS];

		client_sendf(c, "mg key%llu\r\n", (unsigned long long)k);
		for (int i = 0; i < 1000 && c->in_len < 4; i++)
			lab_turn();
		assert_int_equal(c->in_len, 4);
		assert_true(memcmp(c->in, "HD\r\n", 4) == 0 || memcmp(c->in, "EN\r\n", 4) == 0);
		found += c->in[0] == 'H';
		c->in_len = 0;
	}
	assert_int_equal(found, s.stored);
	talk(s.client[1], "delete key0\r\ntouch key1 100\r\nflush_all\r\nset a 0 0 1\r\nx\r\n",
		"DELETED\r\nTOUCHED\r\nOK\r\nSTORED\r\n");
	site_close(&s);
}

// Asks for a large item to be stored and returns the first letter of the answer.
static char large_set(struct site *s, struct client *c, const char *key, size_t bytes)
{
	char *value = malloc(bytes + 2);
	char answer;

	memset(value, 'v', bytes);
	memcpy(value + bytes, "\r\n", 2);
	client_sendf(c, "set %s 0 0 %zu\r\n", key, bytes);
	client_send(c, value, bytes + 2);
	free(value);
	for (int k = 0; k < 5000 && (c->in_len == 0 || c->in[c->in_len - 1] != '\n'); k++)
		site_run(s, TICK_US);
	assert_true(c->in_len > 0);
	answer = c->in[1];
	c->in_len = 0;
	return answer;
}

static void an_item_larger_than_its_part_is_stored(void **state)
{
	struct site s;
	char key[16];

	site_open(&s, STORE_ALLKEYS_LRU);
	fill(&s);
	for (unsigned k = 0; k < 4 * WORKERS; k++) { // on every shard, over every connection
		snprintf(key, sizeof(key), "large%u", k);
		assert_int_equal(large_set(&s, s.client[k % WORKERS], key, LARGE), 'T');
	}
	assert_true(s.control->total.sum.loans > 0);
	assert_int_equal(large_set(&s, s.client[0], "huge", LARGE_MAX - 1000), 'E');
	site_close(&s);
}

static void noeviction_lends_what_others_do_not_use(void **state)
{
	struct site s;
	char key[16], answer[4];

	site_open(&s, STORE_NOEVICTION);
	for (unsigned k = 0; k < 4; k++) {
		snprintf(key, sizeof(key), "large%u", k);
		answer[k] = large_set(&s, s.client[0], key, LARGE * 3 / 4);
	}
	assert_memory_equal(answer, "TTEE", 4); // two of 4.5 MiB have room in 12
	assert_true(s.control->total.sum.loans > 0);
	site_close(&s);
}

// The get of a key must not overtake its set, which waits for a loan on another worker.
static void what_follows_a_set_waits_for_its_loan(void **state)
{
	const unsigned bytes = 8000;
	char *value = malloc(bytes), want[64], have[64];
	struct site s;

	memset(value, 'v', bytes);
	site_open(&s, STORE_NOEVICTION);
	for (unsigned k = 0, n = 0; n < 700; k++) { // more than a shard's part, less than all have
		struct client *c = s.client[n % WORKERS];
		int len = snprintf(have, sizeof(have), "key%u", k);

		if (worker_of_hash(base_hash(have, (size_t)len), WORKERS) != 0)
			continue;
		client_sendf(c, "set %s 0 0 %u\r\n", have, bytes);
		client_send(c, value, bytes);
		client_sendf(c, "\r\nmg %s s\r\n", have);
		len = snprintf(want, sizeof(want), "STORED\r\nHD s%u\r\n", bytes);
		for (int i = 0; i < 20 && c->in_len < (size_t)len; i++)
			lab_turn(); // a tick would deal out more before the shard asks
		for (int i = 0; i < 100 && c->in_len < (size_t)len; i++)
			site_run(&s, TICK_US / 2);
		expect(c, want, (size_t)len);
		n++;
	}
	assert_true(s.control->total.sum.loans > 0);
	free(value);
	site_close(&s);
}

// What no report shows, because it is gone by the worker's next: a tick alone does not see it.
static void the_peak_is_taken_when_allowance_moves(void **state)
{
	const size_t burst = 1 << 20;
	struct site s;
	const struct control_totals *t;
	uint64_t before, seen_s;
	void *p;

	site_open(&s, STORE_ALLKEYS_LRU);
	control_domains_set(s.control, lab->mem);
	site_run(&s, 20 * TICK_US); // the ledger is at rest
	t = &s.control->total;
	before = t->used_peak_bytes;

	p = mem_try_alloc(lab->mem[1], MEM_OTHER, burst, NULL);
	assert_non_null(p);
	control_tick(s.control, lab->now);
	assert_int_equal(t->used_peak_bytes, before);

	s.cfg.maxmemory_bytes += ROOM_BYTES; // dealt out by the next tick
	lab->now.wall_s += 7;
	seen_s = lab->now.wall_s;
	control_tick(s.control, lab->now);
	mem_free(lab->mem[1], MEM_OTHER, p, burst);
	assert_true(t->used_peak_bytes >= before + burst);
	before = t->used_peak_bytes;

	lab->now.wall_s += 5;
	site_run(&s, 20 * TICK_US);
	assert_int_equal(t->used_peak_bytes, before);
	assert_int_equal(t->peak_wall_s, seen_s);
	control_domains_set(s.control, NULL);
	site_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_holds_under_every_policy),
		cmocka_unit_test(noeviction_refuses_and_reads_go_on),
		cmocka_unit_test(an_item_larger_than_its_part_is_stored),
		cmocka_unit_test(noeviction_lends_what_others_do_not_use),
		cmocka_unit_test(what_follows_a_set_waits_for_its_loan),
		cmocka_unit_test(the_peak_is_taken_when_allowance_moves),
	};

	return lab_eal_init("control_limit") < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
