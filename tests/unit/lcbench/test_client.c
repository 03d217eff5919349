// SPDX-License-Identifier: BSD-3-Clause
// The load generator does not believe what it gets: answers in any pieces are understood, wrong
// ones are counted.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lcbench.h"

volatile bool bench_stop;
volatile unsigned bench_marks;
volatile bool bench_enough;

static const struct bench_options options = {
	.connections = 1, .pipeline = 4, .keys = 100, .key_size = 16, .value_size = 50, .seed = 1};

// Opens a bench in the phase BENCH_CHECK: keys 0, 1, 2 ... are read and compared whole.
static void check_open(struct bench *b, const struct bench_options *o)
{
	assert_int_equal(bench_open(b, o), 0);
	bench_start(b);
	b->phase = BENCH_CHECK;
	b->complaints = 100; // silent
}

static size_t hit_write(const struct bench *b, uint32_t key, char *to)
{
	size_t n = bench_value_line_write(&b->workload, key, to);

	memcpy(to + n, bench_value(&b->workload, key), b->workload.value_size);
	n += b->workload.value_size;
	memcpy(to + n, "\r\nEND\r\n", 7);
	return n + 7;
}

static void requests_are_what_memcached_reads(void **state)
{
	struct bench_request r;
	struct bench b;

	assert_int_equal(bench_open(&b, &options), 0);
	bench_start(&b);
	assert_true(bench_client_next(&b, b.client, &r));
	assert_int_equal(r.head_len, strlen("set kkkkkkkk00000000 0 0 50\r\n"));
	assert_memory_equal(r.head, "set kkkkkkkk00000000 0 0 50\r\n", r.head_len);
	assert_int_equal(r.value_len, 50);
	b.phase = BENCH_CHECK;
	assert_true(bench_client_next(&b, b.client, &r));
	assert_int_equal(r.head_len, strlen("get kkkkkkkk00000001\r\n"));
	assert_memory_equal(r.head, "get kkkkkkkk00000001\r\n", r.head_len);
	bench_close(&b);
}

static void no_more_than_the_pipeline_is_in_flight(void **state)
{
	struct bench_request r;
	struct bench b;

	check_open(&b, &options);
	for (int i = 0; i < 4; i++)
		assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_next(&b, b.client, &r));
	bench_close(&b);
}

static void answers_in_any_pieces_are_understood(void **state)
{
	char answers[2000];

	for (size_t step = 1; step < 200; step++) {
		struct bench_request r;
		struct bench b;
		size_t len = 0;

		check_open(&b, &options);
		for (uint32_t key = 0; key < 4; key++) {
			assert_true(bench_client_next(&b, b.client, &r));
			if (key == 2) {
				memcpy(answers + len, "END\r\n", 5);
				len += 5;
			} else {
				len += hit_write(&b, key, answers + len);
			}
		}
		for (size_t at = 0; at < len; at += step)
			assert_true(bench_client_feed(
				&b, b.client, answers + at, base_min_u64(step, len - at)));
		assert_int_equal(b.n.requests, 4);
		assert_int_equal(b.n.misses, 1);
		assert_int_equal(b.n.verified, 3);
		assert_int_equal(b.n.errors, 0);
		assert_int_equal(b.inflight, 0);
		bench_close(&b);
	}
}

static void a_changed_byte_of_a_value_is_an_error(void **state)
{
	for (size_t at = 0; at < 50; at++) {
		struct bench_request r;
		char answer[400];
		struct bench b;

		check_open(&b, &options);
		assert_true(bench_client_next(&b, b.client, &r));
		size_t len = hit_write(&b, 0, answer);
		answer[len - 7 - 50 + at] ^= 1;
		bench_client_feed(&b, b.client, answer, len);
		assert_int_equal(b.n.errors, 1);
		assert_int_equal(b.n.verified, 0);
		bench_close(&b);
	}
}

static void error_lines_and_other_keys_are_errors(void **state)
{
	static const char *const wrong[] = {
		"SERVER_ERROR out of memory\r\n", "STORED\r\n", "ERROR\r\n", "END \r\n"};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(wrong); i++) {
		struct bench_request r;
		struct bench b;

		check_open(&b, &options);
		assert_true(bench_client_next(&b, b.client, &r));
		bench_client_feed(&b, b.client, wrong[i], strlen(wrong[i]));
		assert_int_equal(b.n.errors, 1);
		assert_int_equal(b.n.requests, 1);
		bench_close(&b);
	}
}

static void an_answer_nobody_asked_for_ends_the_connection(void **state)
{
	struct bench b;

	check_open(&b, &options);
	assert_false(bench_client_feed(&b, b.client, "END\r\n", 5));
	assert_int_equal(b.dead, 1);
	assert_non_null(b.failed);
	bench_close(&b);
}

static void a_line_without_end_ends_the_connection(void **state)
{
	struct bench_request r;
	char line[1000];
	struct bench b;

	check_open(&b, &options);
	memset(line, 'x', sizeof(line));
	assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_feed(&b, b.client, line, sizeof(line)));
	assert_int_equal(b.n.errors, 1);
	bench_close(&b);
}

static void udp_answers_are_matched_by_id_and_sequence(void **state)
{
	struct bench_options o = options;
	char to[BENCH_UDP_MAX + 8], answer[400] = {0};
	struct bench_request r;
	struct bench b;

	o.udp = true;
	check_open(&b, &o);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(bench_client_next(&b, &b.client[i], &r));
		bench_udp_write(&b, &b.client[i], &r, to);
		assert_int_equal(b.client[i].request_id % 4, i);
	}
	size_t len = 8 + hit_write(&b, 2, answer + 8);
	answer[1] = (char)(b.client[2].request_id + 4); // of a later request
	assert_null(bench_udp_feed(&b, 0, answer, len));
	answer[1] = (char)b.client[2].request_id;
	assert_null(bench_udp_feed(&b, 1, answer, len)); // of another port
	assert_null(bench_udp_feed(&b, 0, answer, 8));
	assert_null(bench_udp_feed(&b, 0, answer, 30)); // its first part
	answer[3] = 1;
	memmove(answer + 8, answer + 30, len - 30);
	assert_ptr_equal(bench_udp_feed(&b, 0, answer, len - 22), &b.client[2]);
	assert_int_equal(b.n.requests, 1);
	assert_int_equal(b.n.errors, 0);
	bench_close(&b);
}

static void resend(void *arg, struct bench_client *c)
{
	struct bench_request r;
	struct bench *b = arg;
	char to[BENCH_UDP_MAX + 8];

	bench_client_again(b, c, &r);
	bench_udp_write(b, c, &r, to);
}

static void a_lost_datagram_is_sent_again_under_a_new_id(void **state)
{
	struct bench_options o = options;
	char to[BENCH_UDP_MAX + 8];
	struct bench_request r;
	uint64_t look_ns = 0;
	struct bench b;

	o.udp = true;
	check_open(&b, &o);
	assert_true(bench_client_next(&b, &b.client[0], &r));
	bench_udp_write(&b, &b.client[0], &r, to);
	uint16_t id = b.client[0].request_id;
	bench_udp_timeouts(&b, &look_ns, resend, &b);
	assert_int_equal(b.n.timeouts, 0);
	b.now_ns += BENCH_UDP_TIMEOUT_NS;
	bench_udp_timeouts(&b, &look_ns, resend, &b);
	assert_int_equal(b.n.timeouts, 1);
	assert_int_equal(b.client[0].request_id, id + 4);
	assert_int_equal(b.inflight, 1);
	bench_close(&b);
}

static void a_rate_spaces_requests(void **state)
{
	struct bench_options o = options;
	struct bench_request r;
	struct bench b;
	unsigned left = 10;

	o.rate = 1000; // one a millisecond
	assert_int_equal(bench_open(&b, &o), 0);
	bench_start(&b);
	b.phase = BENCH_MEASURE;
	b.kick = false;
	b.credit_ns = b.now_ns;
	assert_null(bench_kick_next(&b, &left));
	b.now_ns += 1;
	assert_ptr_equal(bench_kick_next(&b, &left), b.client);
	assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_next(&b, b.client, &r));
	b.now_ns += 1000000;
	assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_next(&b, b.client, &r));
	b.now_ns += UINT64_C(1000000000); // a second lost is not made up for in one burst
	assert_true(bench_client_next(&b, b.client, &r));
	assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_next(&b, b.client, &r));
	bench_close(&b);
}

static void once_means_once(void **state)
{
	struct bench_options o = options;
	struct bench_request r;
	struct bench b;

	o.once = true;
	assert_int_equal(bench_open(&b, &o), 0);
	bench_start(&b);
	b.phase = BENCH_WARMUP;
	assert_false(bench_client_next(&b, b.client, &r));
	b.phase = BENCH_MEASURE;
	assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_next(&b, b.client, &r));
	bench_close(&b);
}

static void connections_that_come_and_go_are_the_first(void **state)
{
	struct bench_options o = options;
	struct bench b;

	o.connections = 3;
	o.churn = 2;
	assert_int_equal(bench_open(&b, &o), 0);
	bench_start(&b);
	assert_false(bench_client_done(&b, &b.client[0])); // keys are being set
	b.phase = BENCH_MEASURE;
	assert_true(bench_client_done(&b, &b.client[0]));
	assert_true(bench_client_done(&b, &b.client[1]));
	assert_false(bench_client_done(&b, &b.client[2]));
	b.client[0].inflight = 1;
	assert_false(bench_client_done(&b, &b.client[0]));
	b.client[0].inflight = 0;
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_what_memcached_reads),
		cmocka_unit_test(no_more_than_the_pipeline_is_in_flight),
		cmocka_unit_test(answers_in_any_pieces_are_understood),
		cmocka_unit_test(a_changed_byte_of_a_value_is_an_error),
		cmocka_unit_test(error_lines_and_other_keys_are_errors),
		cmocka_unit_test(an_answer_nobody_asked_for_ends_the_connection),
		cmocka_unit_test(a_line_without_end_ends_the_connection),
		cmocka_unit_test(udp_answers_are_matched_by_id_and_sequence),
		cmocka_unit_test(a_lost_datagram_is_sent_again_under_a_new_id),
		cmocka_unit_test(a_rate_spaces_requests),
		cmocka_unit_test(once_means_once),
		cmocka_unit_test(connections_that_come_and_go_are_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
