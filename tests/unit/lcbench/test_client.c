// SPDX-License-Identifier: BSD-3-Clause
// The load generator does not believe what it gets: answers in any pieces are understood, wrong
// ones are counted.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "binary.h"
#include "lcbench.h"

static const struct bench_options options = {.connections = 1,
	.pipeline = 4,
	.keys = 100,
	.key_size = 16,
	.value_sizes = {.min = 50, .max = 50},
	.get_ratio = 1,
	.multi = 1,
	.versions = 1,
	.preload = PRELOAD_CHECK,
	.verify = VERIFY_SAMPLE,
	.timeout_ms = 200,
	.seed = 1};

// Opens a bench in the phase BENCH_CHECK: keys 0, 1, 2 ... are read and compared whole.
static void check_open(struct bench *b, const struct bench_options *o)
{
	assert_int_equal(bench_open(b, o), 0);
	bench_start(b);
	b->phase = BENCH_CHECK;
	b->complaints = 100; // silent
}

static size_t value_write(const struct bench *b, uint32_t key, uint32_t version, char *to)
{
	uint32_t size = bench_value_size(&b->workload, key);
	int n = sprintf(to, "VALUE kkkkkkkk%08u %u %u\r\n", key, version, size);

	memcpy(to + n, bench_value(&b->workload, key, version), size);
	memcpy(to + n + size, "\r\n", 2);
	return (size_t)n + size + 2;
}

static size_t hit_write(const struct bench *b, uint32_t key, char *to)
{
	size_t n = value_write(b, key, 0, to);

	memcpy(to + n, "END\r\n", 5);
	return n + 5;
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
	b.phase = BENCH_MEASURE;
	for (int i = 0; i < 4; i++)
		assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_next(&b, b.client, &r));
	bench_close(&b);
}

static void keys_are_set_and_checked_with_more_in_flight_than_is_measured(void **state)
{
	struct bench_options o = options;
	char answers[4000];
	struct bench_request r;
	struct bench b;
	size_t len = 0;

	o.pipeline = 1;
	check_open(&b, &o);
	for (uint32_t key = 0; key < 32; key++) {
		assert_true(bench_client_next(&b, b.client, &r));
		len += hit_write(&b, key, answers + len);
	}
	assert_false(bench_client_next(&b, b.client, &r));
	assert_true(bench_client_feed(&b, b.client, answers, len));
	assert_int_equal(b.n.verified, 32);
	b.phase = BENCH_MEASURE;
	assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_next(&b, b.client, &r));
	bench_close(&b);
}

static void the_measurement_is_cut_into_segments(void **state)
{
	struct bench_options o = options;
	struct bench b;

	o.segments = 3;
	o.seconds = 3;
	check_open(&b, &o);
	bench_measure_begin(&b);
	for (unsigned i = 0; i < 2; i++) {
		b.now_ns += UINT64_C(500000000);
		bench_measure_mark(&b);
		assert_int_equal(b.segments, i);
		b.now_ns += UINT64_C(600000000);
		bench_measure_mark(&b);
		assert_int_equal(b.segments, i + 1);
	}
	bench_measure_end(&b);
	assert_int_equal(b.segments, 3);
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

static void a_changed_byte_of_a_value_ends_the_run(void **state)
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
		assert_non_null(b.failed);
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

// The client's next request, as a datagram.
static void udp_ask(struct bench *b, struct bench_client *c)
{
	char to[BENCH_UDP_MAX + 8];
	struct bench_request r;

	assert_true(bench_client_next(b, c, &r));
	bench_udp_write(b, c, &r, to);
}

static void udp_answers_are_matched_by_id_and_sequence(void **state)
{
	struct bench_options o = options;
	char answer[400] = {0};
	struct bench b;

	o.udp = true;
	check_open(&b, &o);
	for (unsigned i = 0; i < 4; i++) {
		udp_ask(&b, &b.client[i]);
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

// As memcached does it: every datagram is the first of one.
static void a_datagram_for_each_key_is_one_answer(void **state)
{
	struct bench_options o = options;
	char answer[400] = {0};
	struct bench b;

	o.udp = true;
	o.multi = 3;
	check_open(&b, &o);
	udp_ask(&b, b.client);
	answer[0] = (char)(b.client->request_id >> 8);
	answer[1] = (char)b.client->request_id;
	answer[5] = 1;
	for (uint32_t key = 0; key < 3; key++) {
		size_t len = 8 + value_write(&b, key, 0, answer + 8);

		if (key == 2) {
			memcpy(answer + len, "END\r\n", 5);
			len += 5;
		}
		assert_ptr_equal(bench_udp_feed(&b, 0, answer, len), key == 2 ? b.client : NULL);
	}
	assert_int_equal(b.n.verified, 3);
	assert_int_equal(b.n.misses, 0);
	bench_close(&b);
}

static void next_none(void *arg, struct bench_client *c)
{
	fail();
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
	uint64_t look_ns = 0;
	struct bench b;

	o.udp = true;
	check_open(&b, &o);
	udp_ask(&b, &b.client[0]);
	uint16_t id = b.client[0].request_id;
	bench_udp_timeouts(&b, &look_ns, resend, next_none, &b);
	assert_int_equal(b.n.timeouts, 0);
	b.now_ns += UINT64_C(200000000);
	bench_udp_timeouts(&b, &look_ns, resend, next_none, &b);
	assert_int_equal(b.n.timeouts, 1);
	assert_int_equal(b.client[0].request_id, id + 4);
	assert_int_equal(b.inflight, 1);
	bench_close(&b);
}

static void next_count(void *arg, struct bench_client *c)
{
	assert_int_equal(c->inflight, 0);
	++*(unsigned *)arg;
}

static void a_lost_datagram_can_be_counted_and_given_up(void **state)
{
	struct bench_options o = options;
	uint64_t look_ns = 0;
	unsigned given_up = 0;
	struct bench b;

	o.udp = o.lost_counted = true;
	check_open(&b, &o);
	b.phase = BENCH_MEASURE;
	udp_ask(&b, &b.client[0]);
	b.now_ns += UINT64_C(200000000);
	bench_udp_timeouts(&b, &look_ns, resend, next_count, &given_up);
	assert_int_equal(given_up, 1);
	assert_int_equal(b.n.timeouts, 1);
	assert_int_equal(b.n.requests, 0);
	assert_int_equal(b.inflight, 0);
	bench_close(&b);
}

static void latency_counts_from_when_a_request_was_due(void **state)
{
	struct bench_options o = options;
	struct bench_request r;
	struct bench b;
	unsigned left = 100, sent = 0;

	o.rate = 1000; // one a millisecond
	o.pipeline = 1;
	o.preload = PRELOAD_NONE;
	assert_int_equal(bench_open(&b, &o), 0);
	bench_start(&b);
	assert_int_equal(b.phase, BENCH_WARMUP);
	b.phase = BENCH_MEASURE;
	assert_ptr_equal(bench_kick_next(&b, &left), b.client);
	assert_true(bench_client_next(&b, b.client, &r));
	assert_null(bench_kick_next(&b, &left)); // nothing is due
	b.now_ns += UINT64_C(100000000);         // the server stands still for 100 ms
	assert_false(bench_client_next(&b, b.client, &r));
	for (;;) {
		assert_true(bench_client_feed(&b, b.client, "END\r\n", 5));
		if (!bench_client_next(&b, b.client, &r))
			break;
		sent++;
	}
	assert_int_equal(sent, 100); // all that fell due meanwhile, each with its own lateness
	assert_int_equal(b.get_ns.count, 101);
	assert_in_range(hist_quantile(&b.get_ns, 0.5), 49000000, 51000000);
	assert_in_range(b.get_ns.max, 100000000, 100000000);
	bench_close(&b);
}

static void keys_of_a_get_may_be_missing_anywhere(void **state)
{
	struct bench_options o = options;
	char answer[2000];

	o.multi = 4;
	for (unsigned present = 0; present < 16; present++) {
		struct bench_request r;
		struct bench b;
		size_t len = 0;

		check_open(&b, &o);
		assert_true(bench_client_next(&b, b.client, &r)); // keys 0 to 3
		for (uint32_t key = 0; key < 4; key++)
			if (present >> key & 1)
				len += value_write(&b, key, 0, answer + len);
		memcpy(answer + len, "END\r\n", 5);
		assert_true(bench_client_feed(&b, b.client, answer, len + 5));
		assert_int_equal(b.n.requests, 1);
		assert_int_equal(b.n.keys_read, 4);
		assert_int_equal(b.n.misses, 4 - __builtin_popcount(present));
		assert_int_equal(b.n.verified, __builtin_popcount(present));
		assert_int_equal(b.n.errors, 0);
		bench_close(&b);
	}
}

static void keys_out_of_order_or_twice_are_errors(void **state)
{
	static const uint32_t wrong[][2] = {{1, 0}, {1, 1}, {0, 7}};
	struct bench_options o = options;
	char answer[2000];

	o.multi = 2;
	for (unsigned i = 0; i < BASE_ARRAY_LEN(wrong); i++) {
		struct bench_request r;
		struct bench b;
		size_t len;

		check_open(&b, &o);
		assert_true(bench_client_next(&b, b.client, &r));
		len = value_write(&b, wrong[i][0], 0, answer);
		len += value_write(&b, wrong[i][1], 0, answer + len);
		bench_client_feed(&b, b.client, answer, len);
		assert_true(b.n.errors > 0);
		bench_close(&b);
	}
}

static void a_value_of_another_version_or_mixed_of_two_is_found_out(void **state)
{
	struct bench_options o = options;
	char answer[400];
	size_t len;

	o.versions = 3;
	for (unsigned version = 0; version < 5; version++) {
		struct bench_request r;
		struct bench b;

		check_open(&b, &o);
		assert_true(bench_client_next(&b, b.client, &r));
		len = value_write(&b, 0, version < 3 ? version : 2, answer);
		if (version == 3) // the second half is an older value's
			memcpy(answer + len - 2 - 25, bench_value(&b.workload, 0, 1) + 25, 25);
		if (version == 4)
			answer[strlen("VALUE kkkkkkkk00000000 ")] = '3'; // nobody sets that
		memcpy(answer + len, "END\r\n", 5);
		bench_client_feed(&b, b.client, answer, len + 5);
		assert_int_equal(b.n.errors > 0, version >= 3);
		bench_close(&b);
	}
}

static void meta_answers_in_any_pieces_are_understood(void **state)
{
	struct bench_options o = options;
	char answers[1000];

	o.commands = COMMANDS_META;
	for (size_t step = 1; step < 100; step++) {
		struct bench_request r;
		struct bench b;
		size_t len = 0;

		check_open(&b, &o);
		for (uint32_t key = 0; key < 3; key++)
			assert_true(bench_client_next(&b, b.client, &r));
		for (uint32_t key = 0; key < 3; key += 2) {
			len += (size_t)sprintf(answers + len, "VA 50 f0\r\n%.50s\r\n",
				bench_value(&b.workload, key, 0));
			if (key == 0)
				len += (size_t)sprintf(answers + len, "EN\r\n");
		}
		for (size_t at = 0; at < len; at += step)
			assert_true(bench_client_feed(
				&b, b.client, answers + at, base_min_u64(step, len - at)));
		assert_int_equal(b.n.requests, 3);
		assert_int_equal(b.n.misses, 1);
		assert_int_equal(b.n.verified, 2);
		assert_int_equal(b.n.errors, 0);
		bench_close(&b);
	}
}

// A binary answer: `text` behind the header is extras, key and value, or what an error says.
static size_t packet_write(const struct binary_header *h, const char *text, char *to)
{
	char *p = binary_header_put(to, h);

	memcpy(p, text, h->body_len);
	return BINARY_HEADER + (size_t)h->body_len;
}

static size_t binary_hit_write(const struct bench *b, uint32_t key, bool key_told, char *to)
{
	uint32_t size = bench_value_size(&b->workload, key), key_len = key_told ? 16 : 0;
	struct binary_header h = {.magic = BINARY_REPLY,
		.opcode = key_told ? BINARY_GETKQ : BINARY_GET,
		.extras_len = BINARY_GET_EXTRAS,
		.key_len = (uint16_t)key_len,
		.body_len = BINARY_GET_EXTRAS + key_len + size,
		.opaque = key};
	char body[500] = {0};

	words_key_write(&b->words, key, body + BINARY_GET_EXTRAS);
	memcpy(body + BINARY_GET_EXTRAS + key_len, bench_value(&b->workload, key, 0), size);
	return packet_write(&h, body, to);
}

static size_t binary_bare_write(uint8_t opcode, uint16_t status, uint32_t opaque, char *to)
{
	struct binary_header h = {.magic = BINARY_REPLY,
		.opcode = opcode,
		.status = status,
		.body_len = status ? 9 : 0,
		.opaque = opaque};

	return packet_write(&h, "Not found", to);
}

static void binary_answers_in_any_pieces_are_understood(void **state)
{
	struct bench_options o = options;
	char answers[1000];

	o.commands = COMMANDS_BINARY;
	for (unsigned size = 0; size <= 50; size += 50) {
		o.value_sizes = (struct sizes){.min = size, .max = size};
		for (size_t step = 1; step < 100; step++) {
			struct bench_request r;
			struct bench b;
			size_t len = 0;

			check_open(&b, &o);
			for (uint32_t key = 0; key < 3; key++)
				assert_true(bench_client_next(&b, b.client, &r));
			len += binary_hit_write(&b, 0, false, answers + len);
			len += binary_bare_write(BINARY_GET, BINARY_NOT_FOUND, 1, answers + len);
			len += binary_hit_write(&b, 2, false, answers + len);
			for (size_t at = 0; at < len; at += step)
				assert_true(bench_client_feed(
					&b, b.client, answers + at, base_min_u64(step, len - at)));
			assert_int_equal(b.n.requests, 3);
			assert_int_equal(b.n.misses, 1);
			assert_int_equal(b.n.verified, 2);
			assert_int_equal(b.n.errors, 0);
			bench_close(&b);
		}
	}
}

static void binary_keys_of_a_get_may_be_missing_anywhere(void **state)
{
	struct bench_options o = options;
	char answer[2000];

	o.commands = COMMANDS_BINARY;
	o.multi = 4;
	for (unsigned present = 0; present < 16; present++) {
		struct bench_request r;
		struct bench b;
		size_t len = 0;

		check_open(&b, &o);
		assert_true(bench_client_next(&b, b.client, &r)); // keys 0 to 3
		for (uint32_t key = 0; key < 4; key++)
			if (present >> key & 1)
				len += binary_hit_write(&b, key, true, answer + len);
		len += binary_bare_write(BINARY_NOOP, BINARY_OK, 0, answer + len);
		assert_true(bench_client_feed(&b, b.client, answer, len));
		assert_int_equal(b.n.requests, 1);
		assert_int_equal(b.n.keys_read, 4);
		assert_int_equal(b.n.misses, 4 - __builtin_popcount(present));
		assert_int_equal(b.n.verified, __builtin_popcount(present));
		assert_int_equal(b.n.errors, 0);
		bench_close(&b);
	}
}

static void binary_answers_to_another_request_are_errors(void **state)
{
	static const struct {
		uint16_t status;
		uint8_t opcode, opaque;
		bool set;
	} wrong[] = {{BINARY_NOT_FOUND, BINARY_GET, 1, false}, {BINARY_OK, BINARY_SET, 0, false},
		{0x82, BINARY_GET, 0, false}, {BINARY_OK, BINARY_SET, 1, true},
		{0x82, BINARY_SET, 0, true}, {BINARY_OK, BINARY_NOOP, 0, true}};
	struct bench_options o = options;
	char answer[100];

	o.commands = COMMANDS_BINARY;
	for (unsigned i = 0; i < BASE_ARRAY_LEN(wrong); i++) {
		struct bench_request r;
		struct bench b;
		size_t len;

		check_open(&b, &o);
		b.phase = wrong[i].set ? BENCH_FILL : BENCH_CHECK;
		assert_true(bench_client_next(&b, b.client, &r));
		len = binary_bare_write(wrong[i].opcode, wrong[i].status, wrong[i].opaque, answer);
		bench_client_feed(&b, b.client, answer, len);
		assert_int_equal(b.n.errors, 1);
		assert_int_equal(b.n.requests, 1);
		bench_close(&b);
	}
}

static void a_line_is_no_binary_answer(void **state)
{
	struct bench_options o = options;
	struct bench_request r;
	struct bench b;

	o.commands = COMMANDS_BINARY;
	check_open(&b, &o);
	assert_true(bench_client_next(&b, b.client, &r));
	assert_false(bench_client_feed(&b, b.client, "END\r\n", 5));
	assert_int_equal(b.dead, 1);
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
		cmocka_unit_test(keys_are_set_and_checked_with_more_in_flight_than_is_measured),
		cmocka_unit_test(the_measurement_is_cut_into_segments),
		cmocka_unit_test(answers_in_any_pieces_are_understood),
		cmocka_unit_test(a_changed_byte_of_a_value_ends_the_run),
		cmocka_unit_test(error_lines_and_other_keys_are_errors),
		cmocka_unit_test(an_answer_nobody_asked_for_ends_the_connection),
		cmocka_unit_test(a_line_without_end_ends_the_connection),
		cmocka_unit_test(udp_answers_are_matched_by_id_and_sequence),
		cmocka_unit_test(a_lost_datagram_is_sent_again_under_a_new_id),
		cmocka_unit_test(a_datagram_for_each_key_is_one_answer),
		cmocka_unit_test(a_lost_datagram_can_be_counted_and_given_up),
		cmocka_unit_test(latency_counts_from_when_a_request_was_due),
		cmocka_unit_test(keys_of_a_get_may_be_missing_anywhere),
		cmocka_unit_test(keys_out_of_order_or_twice_are_errors),
		cmocka_unit_test(a_value_of_another_version_or_mixed_of_two_is_found_out),
		cmocka_unit_test(meta_answers_in_any_pieces_are_understood),
		cmocka_unit_test(binary_answers_in_any_pieces_are_understood),
		cmocka_unit_test(binary_keys_of_a_get_may_be_missing_anywhere),
		cmocka_unit_test(binary_answers_to_another_request_are_errors),
		cmocka_unit_test(a_line_is_no_binary_answer),
		cmocka_unit_test(once_means_once),
		cmocka_unit_test(connections_that_come_and_go_are_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
