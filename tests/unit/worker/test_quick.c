// SPDX-License-Identifier: BSD-3-Clause
// Plain gets over UDP, which have a path of their own, are answered as all the others: each is
// asked
// once as "get KEY", and once as "get  KEY", which takes the common way.

#include "lab.h"

static char plain[65536], common[65536];
static size_t plain_len, common_len;

static void udp_send_text(const char *request, size_t n, uint16_t id)
{
	lab->udp_len = 0;
	udp_send(request, n, id);
	lab_run(5000);
}

static uint64_t quick_count(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += lab->w[i]->n.udp_quick;
	return n;
}

static struct exec_counters counts(void)
{
	struct exec_counters sum = {0};

	for (unsigned i = 0; i < lab->workers; i++) {
		const struct exec_counters *n = &lab->w[i]->exec.n;

		sum.cmd_get += n->cmd_get;
		sum.get_hits += n->get_hits;
		sum.get_misses += n->get_misses;
		sum.get_expired += n->get_expired;
	}
	return sum;
}

// Asks both ways; true when the first went the quick one.
static bool both_ways_same(const char *key, size_t len)
{
	struct exec_counters before = counts(), between, after;
	uint64_t quick = quick_count();
	char request[600];
	int n;

	n = sprintf(request, "get %.*s\r\n", (int)len, key);
	udp_send_text(request, (size_t)n, 77);
	memcpy(plain, lab->udp, lab->udp_len);
	plain_len = lab->udp_len;
	between = counts();
	quick = quick_count() - quick;
	n = sprintf(request, "get  %.*s\r\n", (int)len, key);
	udp_send_text(request, (size_t)n, 77);
	memcpy(common, lab->udp, lab->udp_len);
	common_len = lab->udp_len;
	after = counts();
	assert_true(plain_len > 8);
	assert_int_equal(plain_len, common_len);
	assert_memory_equal(plain, common, plain_len);
	assert_int_equal(between.cmd_get - before.cmd_get, after.cmd_get - between.cmd_get);
	assert_int_equal(between.get_hits - before.get_hits, after.get_hits - between.get_hits);
	assert_int_equal(
		between.get_misses - before.get_misses, after.get_misses - between.get_misses);
	assert_true(quick <= 1);
	return quick == 1;
}

static void value_set(const char *key, uint32_t flags, size_t n)
{
	char request[20000];
	struct client *c = client_connect();
	int head = sprintf(request, "set %s %u 0 %zu\r\n", key, flags, n);

	for (size_t i = 0; i < n; i++)
		request[(size_t)head + i] = (char)(i * 7);
	memcpy(request + head + n, "\r\n", 2);
	client_send(c, request, (size_t)head + n + 2);
	expect(c, "STORED\r\n", 8);
	client_abort(c);
}

static void answers_are_those_of_the_common_way(void **state)
{
	char key[251];

	lab_open(&(struct lab_options){.workers = 1});
	memset(key, 'k', 250);
	key[250] = 0;
	for (size_t len = 1; len <= 250; len += len < 20 ? 1 : 23) {
		value_set(key + 250 - len, (uint32_t)(len * 17179869), len * 4);
		assert_true(both_ways_same(key + 250 - len, len));
	}
	assert_true(both_ways_same("nothing", 7));
	value_set("empty", UINT32_MAX, 0);
	assert_true(both_ways_same("empty", 5));
	assert_true(both_ways_same("\xff\x80!", 3)); // bytes that are no ASCII
	lab_close();
}

static void what_is_not_plain_goes_the_common_way(void **state)
{
	char key[252];

	lab_open(&(struct lab_options){.workers = 1});
	memset(key, 'k', sizeof(key));
	assert_false(both_ways_same(key, 251)); // too long
	assert_false(both_ways_same("a b", 3));
	assert_false(both_ways_same("a\tb", 3));
	assert_false(both_ways_same("a ", 2));
	lab_close();
}

// Around the size at which an answer takes a second datagram.
static void values_of_every_size(void **state)
{
	char key[32];
	unsigned quick = 0, common_way = 0;

	lab_open(&(struct lab_options){.workers = 1});
	for (size_t n = 0; n<1500; n += n> 1250 && n < 1420 ? 1 : 50) {
		sprintf(key, "sized%zu", n);
		value_set(key, 0, n);
		if (both_ways_same(key, strlen(key)))
			quick++;
		else
			common_way++;
	}
	assert_true(quick > 20 && common_way > 20);
	value_set("large", 5, 9000);
	assert_false(both_ways_same("large", 5));
	lab_close();
}

static void expired_key_is_a_miss(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	talk(c, "set brief 0 1 1\r\nx\r\n", "STORED\r\n");
	assert_true(both_ways_same("brief", 5));
	assert_int_equal(counts().get_hits, 2);
	lab_run(2500000);
	assert_true(both_ways_same("brief", 5));
	assert_int_equal(counts().get_hits, 2);
	assert_int_equal(counts().get_misses, 2);
	client_abort(c);
	lab_close();
}

static uint64_t passed_count(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += lab->w[i]->n.requests_remote;
	return n;
}

static uint64_t slots_count(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < lab->workers; i++)
		n += lab->w[i]->n.slots_used;
	return n;
}

// Whichever worker a flow comes to, the owner of the key answers the client itself.
static void keys_of_other_shards_answered_there(enum port_spread spread)
{
	char key[16], request[32];
	uint64_t slots, passed;
	int n;

	lab_open(&(struct lab_options){.workers = 3, .spread = spread});
	for (unsigned i = 0; i < 30; i++) {
		sprintf(key, "shared%u", i);
		value_set(key, i, 40);
		assert_true(both_ways_same(key, strlen(key)));
	}
	slots = slots_count();
	passed = passed_count();
	for (unsigned i = 0; i < 30; i++) {
		n = sprintf(request, "get shared%u\r\n", i);
		udp_send_text(request, (size_t)n, (uint16_t)i);
		assert_int_equal(lab->udp[1], i);
	}
	assert_int_equal(slots_count(), slots);
	assert_in_range(passed_count() - passed, 1, 29);
	for (unsigned i = 0; i < 10; i++) { // more than a datagram: by the common way, there
		sprintf(key, "large%u", i);
		value_set(key, i, 9000);
		assert_false(both_ways_same(key, strlen(key)));
	}
	lab_close();
}

static void keys_of_other_shards_go_there(void **state)
{
	keys_of_other_shards_answered_there(PORT_SPREAD_DEVICE);
	keys_of_other_shards_answered_there(PORT_SPREAD_TOEPLITZ);
}

// lab_close finds every buffer at home.
static void buffers_on_their_way_at_the_end_come_home(void **state)
{
	char request[32];

	lab_open(&(struct lab_options){.workers = 3});
	for (unsigned i = 0; i < 3; i++)
		lab->paused[i] = i == 0 ? 0 : 1000000;
	for (unsigned i = 0; i < 60; i++)
		udp_send(request, (size_t)sprintf(request, "get none%u\r\n", i), (uint16_t)i);
	for (unsigned i = 0; i < 3; i++) { // whichever the flow comes to
		lab->paused[i] = 0;
		lab_turn();
		lab->paused[i] = 1000000;
		if (passed_count() > 0)
			break;
	}
	assert_true(passed_count() > 0);
	lab_close();
}

// A get, a set of the same key, a get, in one burst: as they were sent.
static void order_of_a_burst_is_kept(void **state)
{
	static const char want[] = "VALUE o 0 1\r\n1\r\nEND\r\n";
	static const char then[] = "VALUE o 0 1\r\n2\r\nEND\r\n";

	lab_open(&(struct lab_options){.workers = 1});
	udp_send_text("set o 0 0 1\r\n1\r\n", 16, 1);
	lab->udp_len = 0;
	udp_send("get o\r\n", 7, 1);
	udp_send("set o 0 0 1\r\n2\r\n", 16, 2);
	udp_send("get o\r\n", 7, 3);
	lab_run(5000);
	assert_int_equal(lab->udp_len, 3 * 8 + 2 * strlen(want) + strlen("STORED\r\n"));
	assert_memory_equal(lab->udp + 8, want, strlen(want));
	assert_memory_equal(lab->udp + lab->udp_len - strlen(then), then, strlen(then));
	lab_close();
}

// Whose value is too large for the quick way is found out late, when a common request has arrived.
static void large_value_and_a_set_in_one_burst(void **state)
{
	lab_open(&(struct lab_options){.workers = 1});
	value_set("large", 0, 3000);
	lab->udp_len = 0;
	udp_send("get large\r\n", 11, 1);
	udp_send("set o 0 0 1\r\n2\r\n", 16, 2);
	lab_run(5000);
	assert_int_equal(lab->udp_len,
		3 * 8 + strlen("VALUE large 0 3000\r\n") + 3000 + 7 + 8 + strlen("STORED\r\n"));
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(answers_are_those_of_the_common_way),
	cmocka_unit_test(what_is_not_plain_goes_the_common_way),
	cmocka_unit_test(values_of_every_size),
	cmocka_unit_test(expired_key_is_a_miss),
	cmocka_unit_test(keys_of_other_shards_go_there),
	cmocka_unit_test(buffers_on_their_way_at_the_end_come_home),
	cmocka_unit_test(order_of_a_burst_is_kept),
	cmocka_unit_test(large_value_and_a_set_in_one_burst),
};

LAB_MAIN("quick", tests)
