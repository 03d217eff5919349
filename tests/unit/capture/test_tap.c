// SPDX-License-Identifier: BSD-3-Clause
// A worker's ring: frames come out as they went in, whole or cut; a full ring counts and keeps what
// it has.
#include <pthread.h>

#include "capture_test.h"

#define RING (1u << 15)

static const struct capture_filter everything;

static void frame_check(const struct capture_record *r, uint16_t from, uint16_t payload)
{
	struct rte_mbuf *m = frame_udp(from, payload);

	assert_int_equal(r->wire, m->pkt_len);
	assert_memory_equal(r->frame, rte_pktmbuf_mtod(m, void *), r->kept);
	rte_pktmbuf_free(m);
}

static void put(struct capture_tap *t, uint16_t from, uint16_t payload)
{
	struct rte_mbuf *m = frame_udp(from, payload);

	capture_burst(t, &m, 1, from & 1 ? CAPTURE_OUT : CAPTURE_IN, 1000u + from);
	rte_pktmbuf_free(m);
}

static void take(struct capture_tap *t, uint16_t from, uint16_t payload)
{
	const struct capture_record *r = capture_tap_peek(t);

	assert_non_null(r);
	frame_check(r, from, payload);
	assert_int_equal(r->way, from & 1 ? CAPTURE_OUT : CAPTURE_IN);
	assert_int_equal(r->time_us, 1000u + from);
	capture_tap_pass(t, r);
}

// All lengths, so that the ring's end comes at every place of a record.
static void frames_come_out_in_order(void **state)
{
	struct capture_tap t;

	assert_int_equal(capture_tap_open(&t, RING, CAPTURE_SNAP_MAX, &everything), 0);
	for (uint16_t i = 0; i < 5000; i++) {
		put(&t, i, (uint16_t)(i % 1500));
		put(&t, (uint16_t)(i + 1), (uint16_t)(i % 7));
		take(&t, i, (uint16_t)(i % 1500));
		take(&t, (uint16_t)(i + 1), (uint16_t)(i % 7));
		assert_null(capture_tap_peek(&t));
	}
	assert_int_equal(t.seen, 10000);
	assert_int_equal(t.dropped, 0);
	capture_tap_close(&t);
}

static void a_full_ring_keeps_the_oldest(void **state)
{
	struct capture_tap t;
	uint16_t in = 0, out = 0;

	assert_int_equal(capture_tap_open(&t, RING, CAPTURE_SNAP_MAX, &everything), 0);
	while (t.dropped == 0)
		put(&t, in++, 1000);
	assert_in_range(in, 29, 32); // of 1,042 bytes and a head
	in--;
	put(&t, 9999, 1000);
	assert_int_equal(t.dropped, 2);
	take(&t, out++, 1000);
	put(&t, in++, 1000);
	while (out < in)
		take(&t, out++, 1000);
	assert_null(capture_tap_peek(&t));
	assert_int_equal(t.dropped, 2);
	capture_tap_close(&t);
}

static void a_frame_is_cut_and_its_length_kept(void **state)
{
	struct rte_mbuf *m = frame_udp(7, 0), *more = frame_udp(7, 100);
	const struct capture_record *r;
	struct capture_tap t;

	rte_pktmbuf_adj(more, 42);
	assert_int_equal(rte_pktmbuf_chain(m, more), 0);
	assert_int_equal(capture_tap_open(&t, RING, 64, &everything), 0);
	capture_burst(&t, &m, 1, CAPTURE_OUT, 5);
	r = capture_tap_peek(&t);
	assert_non_null(r);
	assert_int_equal(r->kept, 64);
	assert_int_equal(r->wire, 142);
	assert_memory_equal(r->frame, rte_pktmbuf_mtod(m, void *), 42);
	assert_memory_equal(r->frame + 42, rte_pktmbuf_mtod(more, void *), 22);
	rte_pktmbuf_free(m);
	capture_tap_close(&t);
}

static void what_the_filter_leaves_out_takes_no_room(void **state)
{
	struct capture_filter f;
	struct capture_tap t;
	char err[256];

	assert_int_equal(capture_filter_open(&f, "src port 2", err, sizeof(err)), 0);
	assert_int_equal(capture_tap_open(&t, RING, 64, &f), 0);
	for (uint16_t i = 1; i <= 3; i++)
		put(&t, i, 0);
	take(&t, 2, 0);
	assert_null(capture_tap_peek(&t));
	assert_int_equal(t.seen, 3);
	capture_tap_close(&t);
	capture_filter_close(&f);
}

// ---- two threads
#define MANY 300000

static void *writer(void *arg)
{
	struct capture_tap *t = arg;
	struct rte_mbuf *m = frame_udp(1, 1000);

	for (uint64_t i = 1; i <= MANY; i++) {
		uint32_t bytes = 42 + (uint32_t)(i * 7919 % 1000);

		m->pkt_len = bytes;
		m->data_len = (uint16_t)bytes;
		memcpy(rte_pktmbuf_mtod(m, char *), &i, sizeof(i));
		memcpy(rte_pktmbuf_mtod(m, char *) + bytes - sizeof(i), &i, sizeof(i));
		capture_burst(t, &m, 1, CAPTURE_IN, i);
	}
	m->pkt_len = m->data_len = 1042;
	rte_pktmbuf_free(m);
	return NULL;
}

static void a_reader_meanwhile_sees_whole_records(void **state)
{
	struct capture_tap t;
	pthread_t thread;
	uint64_t last = 0, taken = 0;

	assert_int_equal(capture_tap_open(&t, RING, CAPTURE_SNAP_MAX, &everything), 0);
	assert_int_equal(pthread_create(&thread, NULL, writer, &t), 0);
	for (;;) {
		bool ended = __atomic_load_n(&t.seen, __ATOMIC_ACQUIRE) == MANY;
		const struct capture_record *r = capture_tap_peek(&t);

		if (r == NULL && ended)
			break;
		if (r == NULL)
			continue;
		assert_true(r->time_us > last);
		last = r->time_us;
		assert_int_equal(r->kept, 42 + last * 7919 % 1000);
		assert_memory_equal(r->frame, &last, sizeof(last));
		assert_memory_equal(r->frame + r->kept - sizeof(last), &last, sizeof(last));
		capture_tap_pass(&t, r);
		taken++;
	}
	pthread_join(thread, NULL);
	assert_true(taken > 0);
	assert_int_equal(taken + t.dropped, MANY);
	capture_tap_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_out_in_order),
		cmocka_unit_test(a_full_ring_keeps_the_oldest),
		cmocka_unit_test(a_frame_is_cut_and_its_length_kept),
		cmocka_unit_test(what_the_filter_leaves_out_takes_no_room),
		cmocka_unit_test(a_reader_meanwhile_sees_whole_records),
	};

	return cmocka_run_group_tests(tests, eal_open, eal_close);
}
