// SPDX-License-Identifier: BSD-3-Clause
// Many connections, bounded queues, and the clockwork below.
#include <errno.h>

#include "tcp_one.h"

static void test_the_half_open_queue_is_bounded(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.syn_max = 10});

	o->seq = IRS;
	for (unsigned i = 0; i < 30; i++) {
		o->peer_port = (uint16_t)(PEER + i);
		one_in(o, SYN, NULL, 0);
	}
	one_turn(o);
	assert_int_equal(o->tcp->n.half_open_now, 10);
	assert_int_equal(o->tcp->n.cookies_out, 20); // answered without state
	assert_int_equal(o->outs, 30);
	one_wait_us(o, 64000000);
	assert_int_equal(o->tcp->n.half_open_now, 0);
	one_close(o);
}

static void test_connections_beyond_the_limit_are_refused(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.conns_max = 2});

	one_establish(o);
	o->c = NULL;
	o->peer_port++;
	one_establish(o);
	o->peer_port++;
	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect(o, RST | ACK, 0, IRS + 1, 0);
	assert_int_equal(o->tcp->n.conns_refused, 1);
	assert_int_equal(tcp_conns(o->tcp), 2);
	one_close(o);
}

static void test_ten_thousand_connections_come_and_go(void **state)
{
	enum { N = 10000, AT_ONCE = 500 };
	struct sim *sim = sim_open(&(struct sim_options){.seed = 8, .delay_us = 100});
	struct sim_app *app = calloc(N, sizeof(*app));
	unsigned done = 0;

	assert_int_equal(tcp_listen(sim->host[1].tcp, 11211), 0);
	for (unsigned i = 0; i < N; i++) {
		struct sim_host *h = &sim->host[0];

		app[i] = (struct sim_app){.salt = 0x40, .to_send = 100};
		app[i].c =
			tcp_connect(h->tcp, &sim->host[1].ip, 11211, TCP_LOCAL_ANY, 0, sim->now_us);
		assert_non_null(app[i].c);
		tcp_user_set(app[i].c, &app[i]);
		if (i % AT_ONCE == AT_ONCE - 1)
			sim_run_us(sim, 2000);
	}
	sim_run_us(sim, 100000);
	assert_int_equal(tcp_conns(sim->host[0].tcp), N);
	assert_int_equal(tcp_conns(sim->host[1].tcp), N);
	assert_int_equal(sim->host[1].accepted, N);
	assert_true(sim->host[1].tcp->table.buckets >= N - TCP_BUCKETS);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(app[i].sent, 100);
		tcp_shutdown(sim->host[0].tcp, app[i].c);
		app[i].shut = true;
		if (i % AT_ONCE == AT_ONCE - 1)
			sim_run_us(sim, 2000);
	}
	sim_run_us(sim, 100000);
	for (unsigned i = 0; i < N; i++)
		done += app[i].closed;
	assert_int_equal(done, N);
	assert_int_equal(tcp_conns(sim->host[1].tcp), 0);
	assert_int_equal(sim->host[1].tcp->table.buckets, TCP_BUCKETS);
	assert_int_equal(sim->host[0].tcp->tw_count, N);
	sim_run_us(sim, 11000000);
	assert_int_equal(sim->host[0].tcp->tw_count, 0);
	assert_int_equal(sim->host[0].tcp->table.buckets, TCP_BUCKETS);
	free(app);
	sim_close(sim);
}

static bool always(void *arg)
{
	return true;
}

static void test_no_memory_for_a_connection_drops_the_syn(void **state)
{
	struct one *o = one_open();

	mem_fault_set(o->mem, always, NULL);
	o->seq = IRS;
	one_in(o, SYN, NULL, 0);
	one_expect_silence(o);
	assert_true(o->tcp->n.no_memory > 0);
	assert_null(tcp_connect(o->tcp, &o->peer_ip, 1, TCP_LOCAL_ANY, 0, o->now_us));
	mem_fault_set(o->mem, NULL, NULL);
	one_establish(o);
	mem_fault_set(o->mem, always, NULL); // no out-of-order queue, no TIME-WAIT record
	one_in_at(o, 10, ACK, "abc", 3);
	one_expect(o, ACK, ISS + 1, IRS + 1, 0);
	tcp_shutdown(o->tcp, o->c);
	one_turn(o);
	o->ack = ISS + 2;
	one_in(o, FIN | ACK, NULL, 0);
	mem_fault_set(o->mem, NULL, NULL);
	one_release(o);
	assert_int_equal(o->tcp->tw_count, 0);
	one_close(o);
}

// The next time to look at the wheel: when it says so, or any time before.
static uint64_t wheel_look(struct one *o, struct base_rng *rng, bool exact, uint64_t due)
{
	if (exact)
		return base_max_u64(o->next_us, o->now_us + 1);
	return o->now_us + 1 +
		base_rng_below(rng, o->now_us + 2000 < due ? (due - o->now_us) / 2 : 500);
}

// Deadlines over the whole range of the wheel fire in their millisecond, whatever the steps.
static void test_the_wheel_fires_on_time(void **state)
{
	struct base_rng rng;

	base_rng_seed(&rng, 5);
	for (unsigned round = 0; round < 300; round++) {
		struct one *o = one_open();
		uint64_t delay = 1000 + base_rng_below(&rng, 1000ull << (round % 26)), due;

		o->now_us += base_rng_below(&rng, 1ull << 40);
		one_establish(o);
		due = o->now_us + delay;
		tcp_timer_arm(o->tcp, o->c, TCP_T_DELACK, delay);
		for (one_turn(o); o->seen == o->outs; one_turn(o)) {
			assert_true(o->now_us < due + 1000);
			o->now_us = wheel_look(o, &rng, round & 1, due);
		}
		assert_true(o->now_us >= due);
		one_close(o);
	}
}

// What is put off before its slot is spread goes straight to where it belongs: nothing of it stands
// on the lowest level at a time that nobody waits for.
static void test_a_deadline_put_off_is_spread_by_what_it_is_now(void **state)
{
	struct one *o = one_open();
	uint64_t due;

	one_establish(o);
	tcp_timer_stop(o->c, TCP_T_KEEP);
	tcp_timer_arm(o->tcp, o->c, TCP_T_DELACK, 200000);
	o->now_us += 100000;
	tcp_timers(o->tcp, o->now_us);
	due = o->now_us + 200000;
	tcp_timer_arm(o->tcp, o->c, TCP_T_DELACK, 200000);
	assert_true(o->c->wheel_at < due / 1000);
	o->now_us += 90000; // the slot of what was first meant has begun
	tcp_timers(o->tcp, o->now_us);
	assert_int_equal(o->c->wheel_at, due / 1000);
	one_turn(o);
	o->seen = o->outs;
	o->now_us = due - 1000;
	one_turn(o);
	one_expect_silence(o);
	o->now_us = due;
	one_turn(o);
	assert_int_equal(o->outs, o->seen + 1);
	one_close(o);
}

static void test_one_call_runs_a_bounded_number_of_timers(void **state)
{
	enum { N = 3000 };
	struct one *o = one_open_with((struct tcp_options){.syn_max = N});
	uint64_t next;

	o->seq = IRS;
	for (unsigned i = 0; i < N; i++) {
		o->peer_port = (uint16_t)(1000 + i);
		one_in(o, SYN, NULL, 0);
	}
	one_turn(o);
	o->now_us += 1000000;
	next = tcp_timers(o->tcp, o->now_us);
	assert_int_equal(next, o->now_us); // more to do
	assert_true(o->tcp->n.retransmits <= TCP_TIMERS_MAX);
	for (unsigned i = 0; i < 10; i++)
		tcp_timers(o->tcp, o->now_us);
	assert_int_equal(o->tcp->n.retransmits, N);
	one_close(o);
}

static void test_events_put_back_come_next_turn(void **state)
{
	struct one *o = one_open();
	struct tcp_conn *c;
	unsigned events, n = 0;

	one_establish(o);
	one_in_data(o, 10);
	while ((c = tcp_event_next(o->tcp, &events)) != NULL) {
		tcp_event_again(o->tcp, c, TCP_EV_READABLE);
		assert_true(++n < 3);
	}
	assert_int_equal(n, 1);
	tcp_flush(o->tcp, o->now_us);
	assert_ptr_equal(tcp_event_next(o->tcp, &events), o->c);
	assert_int_equal(events, TCP_EV_READABLE);
	assert_null(tcp_event_next(o->tcp, &events));
	one_close(o);
}

static void test_ports_are_listened_to_once_and_at_most_eight(void **state)
{
	struct one *o = one_open();

	assert_int_equal(tcp_listen(o->tcp, PORT), -EADDRINUSE);
	assert_int_equal(tcp_listen(o->tcp, 0), -EINVAL);
	for (uint16_t i = 1; i < 8; i++)
		assert_int_equal(tcp_listen(o->tcp, PORT + i), 0);
	assert_int_equal(tcp_listen(o->tcp, 1), -ENOSPC);
	one_close(o);
}

// Leaves `free` mbufs.
static unsigned hog_take(struct one *o, struct rte_mbuf **hog, unsigned free)
{
	unsigned n = 0;

	while (rte_mempool_avail_count(o->pool) > free)
		hog[n++] = rte_pktmbuf_alloc(o->pool);
	return n;
}

static void long_reply_send(struct one *o, uint16_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(o->pool);
	uint8_t *buf = calloc(1, size);

	rte_pktmbuf_attach_extbuf(
		m, buf, 0, size, rte_pktmbuf_ext_shinfo_init_helper(buf, &size, sim_ext_free, buf));
	rte_pktmbuf_append(m, size - 64);
	tcp_send(o->tcp, o->c, m);
}

// However small the segments are into which the windows let it go.
static void test_sending_leaves_mbufs_to_receive_with(void **state)
{
	static const unsigned free[] = {MBUFS / 8 + 40, MBUFS / 8 - 50, MBUFS / 16 - 50},
			      out[] = {32, 8, 2}; // seven of the 40 are too few to share out

	for (unsigned i = 0; i < 3; i++) {
		struct one *o = one_open();
		struct rte_mbuf *hog[MBUFS];
		unsigned n;

		one_establish(o);
		o->c->mss = 524;
		o->c->cwnd = 1 << 20;
		n = hog_take(o, hog, free[i]);
		long_reply_send(o, 60000);
		one_turn(o);
		assert_int_equal(o->outs - o->seen, out[i]);
		o->seen = o->outs;
		o->ack = ISS + 1 + 524; // whoever acknowledges one sends one more
		one_in(o, ACK, NULL, 0);
		one_turn(o);
		assert_int_equal(o->outs - o->seen, 1);
		rte_pktmbuf_free_bulk(hog, n);
		one_close(o);
	}
}

static void test_a_reset_takes_an_mbuf_of_what_waited(void **state)
{
	struct one *o = one_open();
	struct rte_mbuf *hog[MBUFS];
	unsigned n;

	one_establish(o);
	one_send(o, 100);
	one_expect(o, ACK, ISS + 1, IRS + 1, 100);
	n = hog_take(o, hog, 0);
	tcp_abort(o->tcp, o->c);
	one_expect(o, RST | ACK, ISS + 101, IRS + 1, 0);
	rte_pktmbuf_free_bulk(hog, n);
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_half_open_queue_is_bounded),
		cmocka_unit_test(test_connections_beyond_the_limit_are_refused),
		cmocka_unit_test(test_ten_thousand_connections_come_and_go),
		cmocka_unit_test(test_no_memory_for_a_connection_drops_the_syn),
		cmocka_unit_test(test_the_wheel_fires_on_time),
		cmocka_unit_test(test_a_deadline_put_off_is_spread_by_what_it_is_now),
		cmocka_unit_test(test_one_call_runs_a_bounded_number_of_timers),
		cmocka_unit_test(test_events_put_back_come_next_turn),
		cmocka_unit_test(test_ports_are_listened_to_once_and_at_most_eight),
		cmocka_unit_test(test_sending_leaves_mbufs_to_receive_with),
		cmocka_unit_test(test_a_reset_takes_an_mbuf_of_what_waited),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
