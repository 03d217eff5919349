// SPDX-License-Identifier: BSD-3-Clause
// stats sizes: items by their sizes, over all shards, in as many rounds as it takes.

#include "lab.h"

static bool ends(const struct client *c, const char *end)
{
	size_t n = strlen(end);

	return c->in_len >= n && memcmp(c->in + c->in_len - n, end, n) == 0;
}

static void sizes_ask(struct client *c)
{
	c->in_len = 0;
	client_sendf(c, "stats sizes\r\n");
	for (int i = 0; i < 20000 && !ends(c, "END\r\n"); i++)
		lab_run(100);
	assert_true(ends(c, "END\r\n"));
	c->in[c->in_len] = '\0';
}

// Lines in order of their sizes; the sum of their counts.
static unsigned sizes_sum(const char *text, unsigned *lines)
{
	unsigned size, count, n = 0, sum = 0, before = 0;

	for (; sscanf(text, "STAT %u %u\r\n", &size, &count) == 2; text = strchr(text, '\n') + 1) {
		assert_true(size > before && count > 0);
		assert_int_equal(size % (size <= 1 << 20 ? 32 : 1 << 20), 0);
		before = size;
		sum += count;
		n++;
	}
	assert_string_equal(text, "END\r\n");
	*lines = n;
	return sum;
}

static void keys_store(struct client *c, unsigned from, unsigned to, unsigned bytes)
{
	for (unsigned i = from; i < to; i++) {
		client_sendf(c, "set key%05u 0 0 %u noreply\r\n%0*u\r\n", i, bytes, (int)bytes, i);
		if (i % 50 == 49)
			lab_run(1000);
	}
	talk(c, "mn\r\n", "MN\r\n");
}

static void lab_tracking(unsigned workers)
{
	lab_open(&(struct lab_options){.workers = workers});
	lab->orders.track_sizes = true;
	lab_orders_push();
	lab_run(100);
}

static void every_item_is_in_a_line(void **state)
{
	for (unsigned workers = 1; workers <= 3; workers += 2) {
		struct client *c;
		unsigned lines;

		lab_tracking(workers);
		c = client_connect();
		sizes_ask(c);
		assert_string_equal(c->in, "END\r\n");
		c->in_len = 0;
		keys_store(c, 0, 5000, 10);
		sizes_ask(c);
		assert_int_equal(sizes_sum(c->in, &lines), 5000);
		assert_int_equal(lines, 1);
		c->in_len = 0;
		keys_store(c, 4000, 6000, 500);
		sizes_ask(c);
		assert_int_equal(sizes_sum(c->in, &lines), 6000);
		assert_int_equal(lines, 2);
		assert_non_null(strstr(c->in, " 4000\r\n"));
		assert_non_null(strstr(c->in, " 2000\r\n"));
		lab_close();
	}
}

static void who_asks_meanwhile_waits_and_who_goes_is_forgotten(void **state)
{
	struct client *c, *d;
	unsigned lines;

	lab_tracking(3);
	c = client_connect();
	keys_store(c, 0, 5000, 10);
	for (unsigned i = 0; i < 20; i++) {
		c = client_connect();
		d = client_connect();
		client_sendf(c, "stats sizes\r\n");
		lab_run(LAB_STEP_US * i);
		sizes_ask(d);
		assert_int_equal(sizes_sum(d->in, &lines), 5000);
		client_abort(c);
		client_sendf(d, "stats sizes\r\n");
		lab_run(LAB_STEP_US * i);
		client_abort(d);
	}
	lab_close();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_item_is_in_a_line),
	cmocka_unit_test(who_asks_meanwhile_waits_and_who_goes_is_forgotten),
};

LAB_MAIN("sizes", tests)
