// SPDX-License-Identifier: BSD-3-Clause
// Plain gets and sets over TCP have the answers that they would have by the common way: whatever
// the values' sizes, however the input is cut, and when the reader is slow.

#include "lab.h"

#define KEYS  32
#define LINES 400
#define ROOM  (2 << 20)

struct talk {
	struct client *c;
	struct base_rng rng;
	unsigned bytes[KEYS]; // of the values; odd ones have flags
	bool there[KEYS];
	char fill[KEYS]; // what a value is made of
	char *want;
	size_t want_len;
};

__attribute__((format(printf, 2, 3))) static void want_add(struct talk *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	t->want_len += (size_t)vsnprintf(t->want + t->want_len, 512, fmt, args);
	va_end(args);
	assert_true(t->want_len < ROOM - 8192);
}

static void want_value(struct talk *t, unsigned k)
{
	if (!t->there[k])
		return;
	want_add(t, "VALUE k%u %u %u\r\n", k, k % 2 ? k : 0, t->bytes[k]);
	memset(t->want + t->want_len, t->fill[k], t->bytes[k]);
	t->want_len += t->bytes[k];
	want_add(t, "\r\n");
}

static unsigned any(struct talk *t, unsigned below)
{
	return (unsigned)base_rng_below(&t->rng, below);
}

static void set_send(struct talk *t)
{
	static const unsigned most[] = {1, 40, 40, 300, 1300, 1500, 6000};
	unsigned k = any(t, KEYS);
	bool quiet = any(t, 8) == 0;
	char value[6000];

	t->bytes[k] = any(t, most[any(t, BASE_ARRAY_LEN(most))]);
	t->fill[k] = (char)('a' + any(t, 26));
	t->there[k] = true;
	memset(value, t->fill[k], t->bytes[k]);
	client_sendf(t->c, "set k%u %u 0 %u%s\r\n", k, k % 2 ? k : 0, t->bytes[k],
		quiet ? " noreply" : "");
	client_send(t->c, value, t->bytes[k]);
	client_send(t->c, "\r\n", 2);
	if (!quiet)
		want_add(t, "STORED\r\n");
}

static void get_send(struct talk *t)
{
	unsigned keys = any(t, 3) ? 1 : 1 + any(t, 40);

	client_sendf(t->c, any(t, 20) ? "get" : "get ");
	for (unsigned i = 0; i < keys; i++) {
		unsigned k = any(t, KEYS);

		client_sendf(t->c, " k%u", k);
		want_value(t, k);
	}
	client_sendf(t->c, any(t, 20) ? "\r\n" : " \r\n");
	want_add(t, "END\r\n");
}

static void meta_get_send(struct talk *t)
{
	static const char *const flags[] = {
		" v", " v f", " s v", " f v s", " v s f", " k v", " v q"};
	const char *chosen = flags[any(t, BASE_ARRAY_LEN(flags))];
	unsigned k = any(t, KEYS);

	client_sendf(t->c, "mg k%u%s\r\n", k, chosen);
	if (!t->there[k]) {
		want_add(t, "%s", strchr(chosen, 'q') ? "" : "EN");
		if (strchr(chosen, 'k'))
			want_add(t, " kk%u", k);
		want_add(t, "%s", strchr(chosen, 'q') ? "" : "\r\n");
		return;
	}
	want_add(t, "VA %u", t->bytes[k]);
	for (const char *p = chosen; *p; p++) {
		if (*p == 'f')
			want_add(t, " f%u", k % 2 ? k : 0);
		if (*p == 's')
			want_add(t, " s%u", t->bytes[k]);
		if (*p == 'k')
			want_add(t, " kk%u", k);
	}
	want_add(t, "\r\n");
	memset(t->want + t->want_len, t->fill[k], t->bytes[k]);
	t->want_len += t->bytes[k];
	want_add(t, "\r\n");
}

static void line_send(struct talk *t)
{
	unsigned k = any(t, KEYS);

	switch (any(t, 12)) {
	case 0:
		client_sendf(t->c, "mn\r\n");
		want_add(t, "MN\r\n");
		break;
	case 1:
		client_sendf(t->c, "delete k%u\r\n", k);
		want_add(t, t->there[k] ? "DELETED\r\n" : "NOT_FOUND\r\n");
		t->there[k] = false;
		break;
	case 2:
		client_sendf(t->c, "set k%u 0 0 3\r\nlonger\r\n", k);
		want_add(t,
			"CLIENT_ERROR bad data chunk\r\n"
			"CLIENT_ERROR bad command line format\r\n"); // of "r"
		break;
	case 3:
	case 4:
	case 5:
		set_send(t);
		break;
	case 6:
	case 7:
		meta_get_send(t);
		break;
	default:
		get_send(t);
	}
}

static void conversation(uint64_t seed, unsigned workers, unsigned piece_max, bool slow)
{
	struct talk t = {.want = malloc(ROOM)};

	base_rng_seed(&t.rng, seed);
	lab_open(&(struct lab_options){.workers = workers, .piece_max = piece_max});
	t.c = client_connect();
	t.c->stop_reading = slow;
	for (unsigned i = 0; i < LINES; i++) {
		line_send(&t);
		if (any(&t, 4) == 0)
			lab_run(any(&t, 20) * LAB_STEP_US);
	}
	lab_run(100000);
	client_read_on(t.c);
	expect(t.c, t.want, t.want_len);
	client_abort(t.c);
	lab_close();
	free(t.want);
}

static void answers_are_as_by_the_common_way(void **state)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		conversation(seed, 1, 0, false);
		conversation(seed, 1, 0, true);
		conversation(seed, 1, 700, false);
	}
	conversation(7, 1, 7, false);
}

// The same, where most keys are other shards': in packs, and behind one another in trains.
static void answers_of_other_shards_are_the_same(void **state)
{
	for (uint64_t seed = 8; seed <= 13; seed++) {
		conversation(seed, 2 + seed % 2, 0, false);
		conversation(seed, 2 + seed % 2, 0, true);
		conversation(seed, 2 + seed % 2, 700, false);
	}
	conversation(14, 3, 7, false);
}

// Requests of two clients lie in one pack; one of them goes away while it is under way, and values
// that are too long for the text are held.
static void a_client_leaves_while_its_pack_is_away(void **state)
{
	static char value[5000], request[8192];
	struct client *c, *other;
	size_t n = 0;

	memset(value, 'v', sizeof(value) - 1);
	lab_open(&(struct lab_options){.workers = 2, .queues = 1});
	c = client_connect();
	other = client_connect();
	for (int i = 0; i < 8; i++) {
		n = (size_t)snprintf(request, sizeof(request), "set k%d 0 0 %zu\r\n%s\r\n", i,
			sizeof(value) - 1, value);
		client_send(c, request, n);
		expect(c, "STORED\r\n", 8);
	}
	lab->paused[0] = lab->paused[1] = 3;
	for (int i = 0; i < 8; i++) {
		client_sendf(c, "get k%d\r\nmg n%d v\r\n", i, i);
		client_sendf(other, "mg n%d v\r\n", i);
	}
	lab->paused[1] = 6; // the owner of half of them
	lab_run(5 * LAB_STEP_US);
	client_abort(c);
	expect(other, "EN\r\nEN\r\nEN\r\nEN\r\nEN\r\nEN\r\nEN\r\nEN\r\n", 32);
	client_abort(other);
	lab_close();
}

// A line that turns out to be none is answered with the error alone, as far as its values are still
// here; what was asked for before stays.
static void broken_line(unsigned workers)
{
	struct client *c;
	char bad[PROTO_KEY_MAX + 2] = {0}, request[512];

	memset(bad, 'x', PROTO_KEY_MAX + 1);
	lab_open(&(struct lab_options){.workers = workers});
	c = client_connect();
	talk(c, "set a 0 0 1\r\nA\r\n", "STORED\r\n");
	snprintf(request, sizeof(request), "get a\r\nget b a a %s a\r\nget a\r\n", bad);
	talk(c, request,
		"VALUE a 0 1\r\nA\r\nEND\r\nCLIENT_ERROR bad command line format\r\n"
		"VALUE a 0 1\r\nA\r\nEND\r\n");
	client_abort(c);
	lab_close();
}

static void a_broken_line_takes_its_values_back(void **state)
{
	for (unsigned workers = 1; workers <= 4; workers++)
		broken_line(workers);
}

// What a plain mg cannot tell: that an item is stale, and who is to recache it.
static void an_mg_of_a_stale_item_says_so(void **state)
{
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	talk(c, "set k 5 0 4\r\n1234\r\n", "STORED\r\n");
	talk(c, "mg k v f s\r\nmg n v\r\n", "VA 4 f5 s4\r\n1234\r\nEN\r\n");
	talk(c, "md k I\r\n", "HD\r\n");
	talk(c, "mg k v\r\nmg k v\r\n", "VA 4 X W\r\n1234\r\nVA 4 Z X\r\n1234\r\n");
	talk(c, "set k 0 0 2\r\nab\r\nmg k f v\r\n", "STORED\r\nVA 2 f0\r\nab\r\n");
	client_abort(c);
	lab_close();
}

// Sixteen requests of one segment, sixteen answers in one.
static void a_segment_s_requests_are_answered_in_one(void **state)
{
	char request[512] = "", want[1024] = "";
	struct client *c;
	uint64_t sent;

	lab_open(&(struct lab_options){.workers = 1});
	c = client_connect();
	talk(c, "set k 0 0 4\r\n1234\r\n", "STORED\r\n");
	lab_run(100000);
	for (int i = 0; i < 16; i++) {
		strcat(request, i == 9 ? "set k 0 0 4\r\n5678\r\n" : "get k\r\n");
		strcat(want,
			i == 9          ? "STORED\r\n"
				: i < 9 ? "VALUE k 0 4\r\n1234\r\nEND\r\n"
					: "VALUE k 0 4\r\n5678\r\nEND\r\n");
	}
	sent = tcp_counters_get(lab->w[0]->tcp)->tx_segments;
	talk(c, request, want);
	assert_int_equal(tcp_counters_get(lab->w[0]->tcp)->tx_segments, sent + 1);
	client_abort(c);
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(answers_are_as_by_the_common_way),
	cmocka_unit_test(answers_of_other_shards_are_the_same),
	cmocka_unit_test(a_client_leaves_while_its_pack_is_away),
	cmocka_unit_test(a_broken_line_takes_its_values_back),
	cmocka_unit_test(an_mg_of_a_stale_item_says_so),
	cmocka_unit_test(a_segment_s_requests_are_answered_in_one),
};

LAB_MAIN("plain", tests)
