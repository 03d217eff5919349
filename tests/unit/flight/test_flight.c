// SPDX-License-Identifier: BSD-3-Clause
// Records are kept in order, the oldest go first, and a file has all of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "flight/flight.h"

static struct flight *flight_new(void)
{
	struct flight *f = aligned_alloc(BASE_CACHE_LINE, sizeof(*f));

	assert_non_null(f);
	flight_init(f, "worker 0 with a long name");
	return f;
}

static void a_record_has_what_was_given(void **state)
{
	struct flight *f = flight_new();
	const struct flight_record *r = f->events.record;

	flight_turn(f, 123456789012);
	flight_event(f, FLIGHT_TCP_RTO, 3, 0xabcdef, 200000);
	assert_int_equal(f->events.next, 1);
	assert_int_equal(r->head >> 16, 123456789012);
	assert_int_equal(r->head >> 8 & 0xff, FLIGHT_TCP_RTO);
	assert_int_equal(r->head & 0xff, 3);
	assert_int_equal(r->b, 0xabcdef);
	assert_int_equal(r->c, 200000);
	flight_event(NULL, FLIGHT_FLUSH, 0, 0, 0); // nobody records
	free(f);
}

static void requests_do_not_push_out_events(void **state)
{
	struct flight *f = flight_new();

	flight_event(f, FLIGHT_FLUSH, 0, 0, 0);
	for (uint32_t i = 0; i < 3 * FLIGHT_REQUESTS; i++)
		flight_request(f, 2, 0, 7, i);
	assert_int_equal(f->events.next, 1);
	assert_int_equal(f->events.record[0].head >> 8 & 0xff, FLIGHT_FLUSH);
	assert_int_equal(f->requests.next, 3 * FLIGHT_REQUESTS);
	// the ring has the latest
	assert_int_equal(f->requests.record[0].c, 2 * FLIGHT_REQUESTS);
	assert_int_equal(f->requests.record[FLIGHT_REQUESTS - 1].c, 3 * FLIGHT_REQUESTS - 1);
	free(f);
}

static void a_name_is_cut_and_ends(void **state)
{
	struct flight *f = flight_new();

	assert_string_equal(f->name, "worker 0 with a long na");
	free(f);
}

static void a_file_has_all_rings(void **state)
{
	struct flight *f[2] = {flight_new(), flight_new()};
	char path[] = "/tmp/unit-flight-XXXXXX";
	size_t ring = 24 + 4 + 4 + 8 + sizeof(struct flight_record) * FLIGHT_EVENTS + 8;
	int fd = mkstemp(path);
	off_t bytes;

	assert_true(fd >= 0);
	assert_int_equal(flight_write(fd, f, 2, (struct base_now){.mono_us = 5, .wall_s = 7}), 0);
	bytes = lseek(fd, 0, SEEK_END);
	assert_true((size_t)bytes > 4 * ring);
	assert_true((size_t)bytes < 4 * ring + 4096);
	close(fd);
	unlink(path);
	assert_true(flight_write(fd, f, 2, (struct base_now){.mono_us = 5}) < 0);
	free(f[0]);
	free(f[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_has_what_was_given),
		cmocka_unit_test(requests_do_not_push_out_events),
		cmocka_unit_test(a_name_is_cut_and_ends),
		cmocka_unit_test(a_file_has_all_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
