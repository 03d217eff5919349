// SPDX-License-Identifier: BSD-3-Clause
// ARP and the neighbour table: answers, learning, ageing, retries, the waiting queue.
#include "net_helper.h"

static void send_hello(struct rig *r, struct net_path *path)
{
	net_udp_output(r->net, payload(r, "hello", 5), path, 11211, 5000, r->now_us);
}

static struct frame hello(unsigned nth)
{
	return frame_udp(from_us(PEER_IP, &peer_mac, nth), 11211, 5000, "hello", 5);
}

static void a_request_for_us_is_answered_and_learned(void **state)
{
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	struct rig r;

	rig_open(&r);
	assert_int_equal(
		rig_in(&r, frame_arp(&all_mac, 1, &peer_mac, PEER_IP, &no_mac, OUR_IP)), NET_NEIGH);
	assert_int_equal(base_ip_as4(&r.pkt.src), PEER_IP);
	assert_memory_equal(&r.pkt.src_mac, &peer_mac, 6);
	rig_expect(&r, frame_arp(&peer_mac, 2, &our_mac, OUR_IP, &peer_mac, PEER_IP));
	send_hello(&r, &path);
	rig_expect(&r, hello(0));
	rig_close(&r);
}

static void a_request_for_another_is_neither_answered_nor_learned(void **state)
{
	struct rig r;

	rig_open(&r);
	assert_int_equal(
		rig_in(&r, frame_arp(&all_mac, 1, &peer_mac, PEER_IP, &no_mac, IP(10, 0, 0, 77))),
		NET_DONE);
	rig_expect_none(&r);
	send_hello(&r, &(struct net_path){.dst = base_ip4(PEER_IP)});
	rig_expect(&r, our_request(&all_mac, PEER_IP));
	rig_close(&r);
}

static void an_address_probe_is_answered_but_not_learned(void **state)
{
	struct rig r;

	rig_open(&r);
	assert_int_equal(
		rig_in(&r, frame_arp(&all_mac, 1, &peer_mac, 0, &no_mac, OUR_IP)), NET_DONE);
	rig_expect(&r, frame_arp(&peer_mac, 2, &our_mac, OUR_IP, &peer_mac, 0));
	rig_close(&r);
}

static void the_address_is_announced_twice(void **state)
{
	struct rig r;

	rig_open(&r);
	net_announce(r.net, r.now_us);
	rig_expect(&r, our_request(&all_mac, OUR_IP));
	rig_wait(&r, 1 * SECOND_US);
	rig_expect_none(&r);
	rig_wait(&r, 1 * SECOND_US);
	rig_expect(&r, our_request(&all_mac, OUR_IP));
	rig_wait(&r, 10 * SECOND_US);
	rig_expect_none(&r);
	rig_close(&r);
}

static void a_claim_on_our_address_is_answered_once_in_ten_seconds(void **state)
{
	struct frame claim = frame_arp(&all_mac, 1, &peer_mac, OUR_IP, &no_mac, OUR_IP);
	struct rig r;

	rig_open(&r);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_in(&r, claim), NET_DONE);
	rig_expect(&r, our_request(&all_mac, OUR_IP));
	rig_expect_none(&r);
	r.now_us += 10 * SECOND_US;
	rig_in(&r, claim);
	rig_expect(&r, our_request(&all_mac, OUR_IP));
	assert_int_equal(net_counters_get(r.net)->arp_conflicts, 6);
	rig_close(&r);
}

static void packets_wait_for_the_answer_in_order(void **state)
{
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	struct rig r;

	rig_open(&r);
	for (int i = 0; i < 3; i++)
		send_hello(&r, &path);
	rig_expect(&r, our_request(&all_mac, PEER_IP));
	rig_expect_none(&r);
	assert_int_equal(rig_in(&r, their_reply(&peer_mac, PEER_IP)), NET_NEIGH);
	for (unsigned i = 0; i < 3; i++)
		rig_expect(&r, hello(i));
	send_hello(&r, &path);
	rig_expect(&r, hello(3));
	rig_close(&r);
}

static void an_answer_told_by_another_worker_counts(void **state)
{
	struct rig r;

	rig_open(&r);
	send_hello(&r, &(struct net_path){.dst = base_ip4(PEER_IP)});
	rig_expect(&r, our_request(&all_mac, PEER_IP));
	net_neigh_learn(r.net, base_ip4(PEER_IP), &peer_mac, r.now_us);
	rig_expect(&r, hello(0));
	rig_close(&r);
}

static void the_queue_keeps_the_latest_64(void **state)
{
	struct rig r;

	rig_open(&r);
	for (int i = 0; i < 70; i++)
		send_hello(&r, &(struct net_path){.dst = base_ip4(PEER_IP)});
	rig_expect(&r, our_request(&all_mac, PEER_IP));
	assert_int_equal(net_counters_get(r.net)->neigh_dropped, 6);
	rig_in(&r, their_reply(&peer_mac, PEER_IP));
	assert_int_equal(rig_out_count(&r), 64);
	rig_expect(&r, hello(6));
	rig_close(&r);
}

static void three_requests_without_answer_drop_the_queue(void **state)
{
	struct rig r;

	rig_open(&r);
	send_hello(&r, &(struct net_path){.dst = base_ip4(PEER_IP)});
	for (int i = 0; i < 3; i++) {
		rig_expect(&r, our_request(&all_mac, PEER_IP));
		rig_wait(&r, SECOND_US - 1);
		rig_expect_none(&r);
		rig_wait(&r, 1);
	}
	rig_expect_none(&r);
	assert_int_equal(net_counters_get(r.net)->neigh_dropped, 1);
	assert_true(net_timers(r.net, r.now_us) == UINT64_MAX);
	rig_close(&r);
}

static void a_neighbour_in_use_is_polled_after_a_minute(void **state)
{
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	struct rig r;

	rig_open(&r);
	net_neigh_learn(r.net, base_ip4(PEER_IP), &peer_mac, r.now_us);
	rig_wait(&r, 60 * SECOND_US);
	rig_expect_none(&r);
	send_hello(&r, &path);
	rig_expect(&r, our_request(&peer_mac, PEER_IP)); // unicast, and the packet does not wait
	rig_expect(&r, hello(0));
	rig_in(&r, their_reply(&peer_mac, PEER_IP));
	rig_wait(&r, 59 * SECOND_US);
	send_hello(&r, &path);
	rig_expect(&r, hello(1));
	rig_expect_none(&r);
	rig_close(&r);
}

static void a_neighbour_that_stopped_answering_is_asked_for_anew(void **state)
{
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	struct rig r;

	rig_open(&r);
	net_neigh_learn(r.net, base_ip4(PEER_IP), &peer_mac, r.now_us);
	rig_wait(&r, 60 * SECOND_US);
	send_hello(&r, &path);
	for (int i = 0; i < 3; i++)
		rig_wait(&r, SECOND_US);
	rig_out_clear(&r);
	send_hello(&r, &path); // the path's header is no longer good
	rig_expect(&r, our_request(&all_mac, PEER_IP));
	rig_expect_none(&r);
	rig_close(&r);
}

static void an_unused_neighbour_is_forgotten(void **state)
{
	struct rig r;

	rig_open(&r);
	net_neigh_learn(r.net, base_ip4(PEER_IP), &peer_mac, r.now_us);
	rig_wait(&r, 60 * SECOND_US);
	rig_wait(&r, 60 * SECOND_US);
	rig_expect_none(&r);
	assert_true(net_timers(r.net, r.now_us) == UINT64_MAX);
	rig_close(&r);
}

static void a_moved_address_changes_paths_in_use(void **state)
{
	struct net_path path = {.dst = base_ip4(PEER_IP)};
	struct frame moved = frame_udp(from_us(PEER_IP, &gateway_mac, 1), 11211, 5000, "hello", 5);
	struct rig r;

	rig_open(&r);
	net_neigh_learn(r.net, base_ip4(PEER_IP), &peer_mac, r.now_us);
	send_hello(&r, &path);
	rig_expect(&r, hello(0));
	// gratuitous: not addressed to us, but about somebody we know
	rig_in(&r, frame_arp(&all_mac, 1, &gateway_mac, PEER_IP, &no_mac, PEER_IP));
	send_hello(&r, &path);
	rig_expect(&r, moved);
	rig_close(&r);
}

static void unanswered_addresses_take_a_quarter_of_the_table(void **state)
{
	struct rig r;

	rig_make(&r);
	struct net_options opt = rig_options(&r);
	opt.own[0].prefix_len = 16;
	assert_int_equal(net_open(&r.net, &opt), 0);
	for (unsigned i = 0; i < 300; i++) {
		struct net_path path = {
			.dst = base_ip4(rte_cpu_to_be_32(HOST_IP(10, 0, 1, 0) + i))};

		send_hello(&r, &path);
	}
	assert_int_equal(net_counters_get(r.net)->neigh_full, 300 - 256);
	assert_int_equal(rig_out_count(&r), 256);
	rig_close(&r);
}

static void a_full_table_gives_up_stale_entries_only(void **state)
{
	struct rte_ether_addr mac = {{0x02, 1, 0, 0, 0, 0}};
	struct rig r;

	rig_make(&r);
	struct net_options opt = rig_options(&r);
	opt.own[0].prefix_len = 16;
	assert_int_equal(net_open(&r.net, &opt), 0);
	for (unsigned i = 0; i < 1024; i++)
		net_neigh_learn(r.net, base_ip4(rte_cpu_to_be_32(HOST_IP(10, 0, 16, 0) + i)), &mac,
			r.now_us);
	net_neigh_learn(r.net, base_ip4(PEER_IP), &peer_mac, r.now_us);
	assert_int_equal(net_counters_get(r.net)->neigh_full, 1);
	rig_wait(&r, 60 * SECOND_US);
	net_neigh_learn(r.net, base_ip4(PEER_IP), &peer_mac, r.now_us);
	assert_int_equal(net_counters_get(r.net)->neigh_full, 1);
	send_hello(&r, &(struct net_path){.dst = base_ip4(PEER_IP)});
	rig_expect(&r, hello(0));
	rig_close(&r);
}

static void broken_arp_is_counted_and_dropped(void **state)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} broken[] = {{14, 9}, {16, 9}, {18, 5}, {19, 6}, {21, 9}, {22, 0x01}, {28, 11}};
	struct rig r;

	rig_open(&r);
	for (unsigned i = 0; i < RTE_DIM(broken); i++) {
		struct frame f = frame_arp(&all_mac, 1, &peer_mac, PEER_IP, &no_mac, OUR_IP);

		f.b[broken[i].at] = broken[i].value;
		assert_int_equal(rig_in(&r, f), NET_DONE);
		assert_int_equal(net_counters_get(r.net)->bad_arp, i + 1);
	}
	struct frame f = frame_arp(&all_mac, 1, &peer_mac, PEER_IP, &no_mac, OUR_IP);
	f.len--;
	rig_in(&r, f);
	assert_int_equal(net_counters_get(r.net)->bad_arp, RTE_DIM(broken) + 1);
	rig_expect_none(&r);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_for_us_is_answered_and_learned),
		cmocka_unit_test(a_request_for_another_is_neither_answered_nor_learned),
		cmocka_unit_test(an_address_probe_is_answered_but_not_learned),
		cmocka_unit_test(the_address_is_announced_twice),
		cmocka_unit_test(a_claim_on_our_address_is_answered_once_in_ten_seconds),
		cmocka_unit_test(packets_wait_for_the_answer_in_order),
		cmocka_unit_test(an_answer_told_by_another_worker_counts),
		cmocka_unit_test(the_queue_keeps_the_latest_64),
		cmocka_unit_test(three_requests_without_answer_drop_the_queue),
		cmocka_unit_test(a_neighbour_in_use_is_polled_after_a_minute),
		cmocka_unit_test(a_neighbour_that_stopped_answering_is_asked_for_anew),
		cmocka_unit_test(an_unused_neighbour_is_forgotten),
		cmocka_unit_test(a_moved_address_changes_paths_in_use),
		cmocka_unit_test(unanswered_addresses_take_a_quarter_of_the_table),
		cmocka_unit_test(a_full_table_gives_up_stale_entries_only),
		cmocka_unit_test(broken_arp_is_counted_and_dropped),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
