// SPDX-License-Identifier: BSD-3-Clause
// Explicit congestion notification (RFC 3168).
#include "tcp_one.h"

#define ECE RTE_TCP_ECE_FLAG
#define CWR RTE_TCP_CWR_FLAG
#define ECT 2
#define CE  3
#define MSS 1460u

static struct one *one_with_ecn(void)
{
	struct one *o = one_open_with((struct tcp_options){.rcv_buf_bytes = 65535, .ecn = true});

	o->seq = IRS;
	one_in(o, SYN | ECE | CWR, NULL, 0);
	one_expect(o, SYN | ACK | ECE, ISS, IRS + 1, 0);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in(o, ACK, NULL, 0);
	one_expect_event(o, TCP_EV_ACCEPTED);
	one_expect_silence(o);
	return o;
}

static void ack_to(struct one *o, uint32_t ack, uint8_t flags)
{
	o->ack = ack;
	one_in(o, ACK | flags, NULL, 0);
}

static void test_it_is_off_by_default(void **state)
{
	struct one *o = one_open();

	o->seq = IRS;
	one_in(o, SYN | ECE | CWR, NULL, 0);
	one_expect(o, SYN | ACK, ISS, IRS + 1, 0);
	one_close(o);
}

static void test_a_syn_that_does_not_ask_gets_none(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.ecn = true});

	one_establish(o);
	one_send(o, 100);
	assert_int_equal(one_out(o)->ecn, 0);
	one_close(o);
}

static void test_our_syn_asks_once(void **state)
{
	struct one *o = one_open_with((struct tcp_options){.ecn = true});

	o->c = tcp_connect(o->tcp, &o->peer_ip, 80, TCP_LOCAL_ANY, 0, o->now_us);
	assert_int_equal(one_out(o)->flags, SYN | ECE | CWR);
	one_wait_us(o, 1100000);
	assert_int_equal(one_out(o)->flags, SYN); // something may have dropped the first for it
	one_close(o);
}

// Section 6.1.4 and 6.1.5: neither ACKs nor retransmissions.
static void test_new_data_alone_may_be_marked(void **state)
{
	struct one *o = one_with_ecn();

	one_send(o, 100);
	assert_int_equal(one_out(o)->ecn, ECT);
	one_wait_us(o, 300000);
	assert_int_equal(one_out(o)->ecn, 0);
	ack_to(o, ISS + 101, 0);
	one_in_data(o, 10);
	assert_int_equal(one_out(o)->ecn, 0);
	one_close(o);
}

static void test_a_mark_is_echoed_until_the_peer_has_cut_its_window(void **state)
{
	struct one *o = one_with_ecn();

	o->ecn = CE;
	one_in_data(o, 100);
	one_expect(o, ACK | ECE, ISS + 1, IRS + 101, 0);
	o->ecn = ECT;
	one_in_data(o, 100);
	one_expect(o, ACK | ECE, ISS + 1, IRS + 201, 0);
	one_send(o, 100);
	one_expect(o, ACK | ECE, ISS + 1, IRS + 201, 100);
	one_in(o, ACK | CWR, "x", 1);
	one_expect(o, ACK, ISS + 101, IRS + 202, 0);
	assert_int_equal(o->tcp->n.ecn_marks_in, 1);
	one_close(o);
}

static void test_echoes_cut_the_window_once_a_window(void **state)
{
	struct one *o = one_with_ecn();
	uint32_t cut;

	for (unsigned i = 0; i < 10; i++)
		one_send(o, MSS);
	one_turn(o);
	assert_int_equal(o->outs - o->seen, 10);
	o->seen = o->outs;
	ack_to(o, ISS + 1 + MSS, ECE);
	one_turn(o);
	cut = o->c->cwnd;
	assert_in_range(cut, 6 * MSS, 8 * MSS); // CUBIC: seven tenths
	ack_to(o, ISS + 1 + 5 * MSS, ECE);
	one_turn(o);
	assert_true(o->c->cwnd >= cut);
	assert_int_equal(o->tcp->n.ecn_cuts, 1);
	assert_int_equal(o->c->recovery, TCP_R_OPEN);
	o->seen = o->outs;
	one_send(o, 100);
	one_expect(o, ACK | CWR, ISS + 1 + 10 * MSS, IRS + 1, 100);
	one_send(o, 100);
	one_expect(o, ACK, ISS + 1 + 10 * MSS + 100, IRS + 1, 100);
	ack_to(o, ISS + 1 + 10 * MSS + 100, 0);
	ack_to(o, ISS + 1 + 10 * MSS + 200, 0);
	for (unsigned i = 0; i < 4; i++)
		one_send(o, MSS);
	one_turn(o);
	ack_to(o, ISS + 1 + 11 * MSS + 200, ECE); // a window later
	assert_int_equal(o->tcp->n.ecn_cuts, 2);
	one_close(o);
}

// Both sides are ours, the link marks a tenth.
static bool mark_some(struct sim *sim, const struct rte_mbuf *m, unsigned to)
{
	struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset((struct rte_mbuf *)(uintptr_t)m, struct rte_ipv4_hdr *, 14);

	if ((ip->type_of_service & 3) == ECT && base_rng_below(&sim->rng, 10) == 0) {
		ip->type_of_service |= CE;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
	return false;
}

static void test_a_marking_link_needs_no_loss(void **state)
{
	struct sim *sim = sim_open(
		&(struct sim_options){.seed = 4, .delay_us = 1000, .ecn = true, .drop = mark_some});
	struct sim_app client = {.to_send = 1 << 20}, server = {.to_send = 1 << 20};

	sim_connect(sim, &client, &server);
	while (!sim_app_done(&client, &server) || !sim_app_done(&server, &client)) {
		sim_step(sim, 1000);
		sim_app_send(&sim->host[0], &client);
		sim_app_send(&sim->host[1], &server);
		assert_true(sim->now_us < 60000000);
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_true(sim->host[i].tcp->n.ecn_cuts > 10);
		assert_true(sim->host[i].tcp->n.ecn_marks_in > 10);
		assert_int_equal(sim->host[i].tcp->n.retransmits, 0);
	}
	sim_close(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_off_by_default),
		cmocka_unit_test(test_a_syn_that_does_not_ask_gets_none),
		cmocka_unit_test(test_our_syn_asks_once),
		cmocka_unit_test(test_new_data_alone_may_be_marked),
		cmocka_unit_test(test_a_mark_is_echoed_until_the_peer_has_cut_its_window),
		cmocka_unit_test(test_echoes_cut_the_window_once_a_window),
		cmocka_unit_test(test_a_marking_link_needs_no_loss),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
