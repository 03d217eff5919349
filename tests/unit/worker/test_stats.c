// SPDX-License-Identifier: BSD-3-Clause
// What operators read: figures of all shards, live, from 0 again after a reset.

#include "lab.h"

// The value of a key in the reply to `request`; -1: there is none.
static long long stat_of(struct client *c, const char *request, const char *name)
{
	char want[64], *at;
	long long v = -1;

	client_sendf(c, "%s\r\n", request);
	for (int i = 0; i < 1000 && (c->in_len < 5 || memcmp(c->in + c->in_len - 5, "END\r\n", 5));
		i++)
		lab_run(100);
	assert_true(c->in_len >= 5);
	snprintf(want, sizeof(want), "STAT %s ", name);
	at = strstr(c->in, want);
	if (at != NULL)
		v = atoll(at + strlen(want));
	c->in_len = 0;
	return v;
}

static void keys_set(struct client *c, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		client_sendf(c, "set s%u 0 0 1\r\nx\r\nget s%u\r\n", i, i);
		lab_run(100);
	}
	lab_run(5000);
	assert_int_equal(c->in_len, count * (8 + 22) + (count > 10 ? count - 10 : 0));
	c->in_len = 0;
}

static void reset_reaches_every_shard(void **state)
{
	static const char *const zeroed[] = {
		"cmd_get", "cmd_set", "get_hits", "total_items", "total_connections"};
	struct client *c, *d;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	d = client_connect();
	keys_set(c, 30);
	assert_int_equal(stat_of(c, "stats", "cmd_set"), 30);
	assert_int_equal(stat_of(d, "stats", "total_connections"), 2);
	talk(d, "stats reset\r\n", "RESET\r\n");
	for (unsigned i = 0; i < BASE_ARRAY_LEN(zeroed); i++)
		assert_int_equal(stat_of(c, "stats", zeroed[i]), 0);
	// what is there stays
	assert_int_equal(stat_of(c, "stats", "curr_items"), 30);
	assert_int_equal(stat_of(c, "stats", "curr_connections"), 2);
	keys_set(c, 5);
	assert_int_equal(stat_of(d, "stats", "cmd_set"), 5);
	client_abort(c);
	assert_int_equal(stat_of(d, "stats", "curr_connections"), 1);
	client_abort(d);
	lab_close();
}

static void a_flush_of_all_shards_counts_once(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	talk(c, "flush_all\r\nflush_all 100\r\n", "OK\r\nOK\r\n");
	assert_int_equal(stat_of(c, "stats", "cmd_flush"), 2);
	client_abort(c);
	lab_close();
}

static void limits_are_the_live_ones(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	assert_int_equal(stat_of(c, "stats", "limit_maxbytes"), 64 << 20);
	lab->orders.limit_bytes = 10 << 20;
	lab->orders.maxmemory_bytes = 32 << 20;
	lab->orders.verbosity = 2;
	lab_orders_push();
	lab_run(100);
	assert_int_equal(stat_of(c, "stats", "limit_maxbytes"), 32 << 20);
	assert_int_equal(stat_of(c, "stats settings", "maxbytes"), 32 << 20);
	assert_int_equal(stat_of(c, "stats settings", "verbosity"), 2);
	assert_int_equal(stat_of(c, "stats settings more words", "num_threads"), 3);
	client_abort(c);
	lab_close();
}

static void words_are_answered_as_memcached_does(void **state)
{
	static const char *const said[][2] = {
		{"stats detail on\r\n", "OK\r\n"},
		{"stats detail  dump\r\n", "END\r\n"},
		{"stats detail off\r\n", "OK\r\n"},
		{"stats detail\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
		{"stats detail maybe\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
		{"stats cachedump 1 1\r\n", "END\r\n"},
		{"stats cachedump 1\r\n", "CLIENT_ERROR bad command line\r\n"},
		{"stats cachedump 64 1\r\n", "CLIENT_ERROR Illegal slab id\r\n"},
		{"stats items of mine\r\n", "END\r\n"},
		{"stats reset now\r\n", "RESET\r\n"},
		{"stats noreply\r\n", "ERROR\r\n"},
		{"stats detailed\r\n", "ERROR\r\n"},
		{"stats resets\r\n", "ERROR\r\n"},
		{"stats sizes\r\n", "STAT sizes_status disabled\r\nEND\r\n"},
	};
	struct client *c;

	lab_open(&(struct lab_options){.workers = 3});
	c = client_connect();
	for (unsigned i = 0; i < BASE_ARRAY_LEN(said); i++)
		talk(c, said[i][0], said[i][1]);
	client_abort(c);
	lab_close();
}

static unsigned lines_with(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static void connections_of_all_workers_are_listed(void **state)
{
	struct client *c[20];

	lab_open(&(struct lab_options){.workers = 3});
	for (unsigned i = 0; i < 20; i++)
		c[i] = client_connect();
	lab_run(3000000);
	client_sendf(c[1], "set half 0 0 100\r\n1");
	lab_run(1000);
	client_sendf(c[0], "stats conns\r\n");
	lab_run(5000);
	assert_int_equal(lines_with(c[0]->in, ":addr tcp:198.18.211.1:"), 20);
	assert_int_equal(lines_with(c[0]->in, ":listen_addr tcp:198.18.211.2:11211\r\n"), 20);
	assert_int_equal(lines_with(c[0]->in, ":state conn_read\r\n"), 18 + 1);
	assert_int_equal(lines_with(c[0]->in, ":state conn_nread\r\n"), 1);
	assert_int_equal(lines_with(c[0]->in, ":secs_since_last_cmd 3\r\n"), 18);
	assert_int_equal(lines_with(c[0]->in, ":secs_since_last_cmd 0\r\n"), 2);
	assert_int_equal(lines_with(c[0]->in, "STAT 0:state conn_listening\r\n"), 1);
	assert_memory_equal(c[0]->in + c[0]->in_len - 5, "END\r\n", 5);
	lab_close();
}

// More than one reply holds: as many as there is room for.
static void long_lists_are_cut(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	for (unsigned i = 0; i < 400; i++)
		c = client_connect();
	client_sendf(c, "stats conns\r\nmn\r\n");
	lab_run(10000);
	// it ends where the longest lines of a connection (384 bytes) might not fit
	assert_in_range(c->in_len, WORKER_CONNS_TEXT - 384 + 9, WORKER_CONNS_TEXT + 9);
	assert_memory_equal(c->in + c->in_len - 9, "END\r\nMN\r\n", 9);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(reset_reaches_every_shard),
	cmocka_unit_test(a_flush_of_all_shards_counts_once),
	cmocka_unit_test(limits_are_the_live_ones),
	cmocka_unit_test(words_are_answered_as_memcached_does),
	cmocka_unit_test(connections_of_all_workers_are_listed),
	cmocka_unit_test(long_lists_are_cut),
};

LAB_MAIN("stats", tests)
