// SPDX-License-Identifier: BSD-3-Clause
// Neighbour discovery and the duplicate address check.
#include "net6_helper.h"

static const struct rte_ether_addr other_mac = {{0x02, 0, 0, 0, 0, 9}};
static const struct ip6_fields asking = {.dmac = &our6_node_mac};

static struct frame their_solicit(
	struct base_ip src, struct base_ip target, const struct rte_ether_addr *mac)
{
	struct ip6_fields ip = asking;

	ip.src = src;
	ip.dst = OUR6_NODE;
	return frame_nd(ip, 135, 0, target, mac);
}

static void send_hello(struct rig *r, struct net_path *path)
{
	net_udp_output(r->net, payload(r, "hello", 5), path, 11211, 5000, r->now_us);
}

static struct net_path path_to(struct rig *r, struct base_ip dst)
{
	struct net_path path;

	assert_true(net_path_open(r->net, &dst, &path));
	return path;
}

static struct frame hello(struct base_ip dst, const struct rte_ether_addr *mac)
{
	return frame_udp6(
		(struct ip6_fields){.src = OUR6, .dst = dst, .smac = &our_mac, .dmac = mac}, 11211,
		5000, "hello", 5);
}

static void a_packet_waits_for_the_advertisement(void **state)
{
	struct net_path path;
	struct rig r;

	rig6_open(&r);
	path = path_to(&r, PEER6);
	send_hello(&r, &path);
	rig_expect(&r, our_solicit(PEER6, NULL));
	send_hello(&r, &path);
	rig_expect_none(&r);
	assert_int_equal(rig_in(&r, their_advert(PEER6, &peer_mac, ND_SOLICITED)), NET_NEIGH);
	assert_memory_equal(&r.pkt.src_mac, &peer_mac, 6);
	rig_expect(&r, hello(PEER6, &peer_mac));
	rig_expect(&r, hello(PEER6, &peer_mac));
	send_hello(&r, &path);
	rig_expect(&r, hello(PEER6, &peer_mac));
	rig_expect_none(&r);
	rig_close(&r);
}

static void nobody_answers_three_times(void **state)
{
	struct net_path path;
	struct rig r;

	rig6_open(&r);
	path = path_to(&r, PEER6);
	send_hello(&r, &path);
	for (int i = 0; i < 3; i++) {
		rig_expect(&r, our_solicit(PEER6, NULL));
		rig_wait(&r, SECOND_US);
	}
	rig_expect_none(&r);
	assert_int_equal(counted(&r)->neigh_dropped, 1);
	rig_close(&r);
}

static void a_solicitation_is_answered_and_its_sender_remembered(void **state)
{
	struct net_path path;
	struct rig r;

	rig6_open(&r);
	assert_int_equal(rig_in(&r, their_solicit(PEER6, OUR6, &peer_mac)), NET_NEIGH);
	rig_expect(&r, our_advert(OUR6, ND_SOLICITED | ND_OVERRIDE, PEER6, &peer_mac));
	// hearsay: used, and asked about
	path = path_to(&r, PEER6);
	send_hello(&r, &path);
	rig_expect(&r, our_solicit(PEER6, &peer_mac));
	rig_expect(&r, hello(PEER6, &peer_mac));
	rig_in(&r, their_advert(PEER6, &peer_mac, ND_SOLICITED));
	rig_wait(&r, 10 * SECOND_US);
	send_hello(&r, &path);
	rig_expect(&r, hello(PEER6, &peer_mac));
	rig_expect_none(&r);
	rig_close(&r);
}

// RFC 4861 4.4: the answer to a question that was asked of one need not say where that one is.
static void an_answer_without_an_address_confirms_the_known_one(void **state)
{
	struct ip6_fields tell = {.src = PEER6, .dst = OUR6};
	struct net_path path;
	struct rig r;

	rig6_open(&r);
	rig_in(&r, their_solicit(PEER6, OUR6, &peer_mac));
	rig_out_clear(&r);
	path = path_to(&r, PEER6);
	send_hello(&r, &path);
	rig_expect(&r, our_solicit(PEER6, &peer_mac));
	rig_expect(&r, hello(PEER6, &peer_mac));
	assert_int_equal(rig_in(&r, frame_nd(tell, 136, ND_SOLICITED, PEER6, NULL)), NET_DONE);
	rig_wait(&r, 10 * SECOND_US); // it is not asked about again
	send_hello(&r, &path);
	rig_expect(&r, hello(PEER6, &peer_mac));
	rig_expect_none(&r);
	// of one that is not known it is worth nothing
	path = path_to(&r, ip6("fd00::5"));
	send_hello(&r, &path);
	rig_out_clear(&r);
	assert_int_equal(
		rig_in(&r, frame_nd(tell, 136, ND_SOLICITED, ip6("fd00::5"), NULL)), NET_DONE);
	rig_expect_none(&r);
	rig_close(&r);
}

static void a_solicitation_for_another_is_left_alone(void **state)
{
	struct rig r;

	rig6_open(&r);
	assert_int_equal(rig_in(&r, their_solicit(PEER6, ip6("fd00::9:2"), &peer_mac)), NET_DONE);
	rig_expect_none(&r);
	assert_int_equal(counted(&r)->bad_nd, 0);
	rig_close(&r);
}

static void a_moved_neighbour_is_followed(void **state)
{
	struct net_path path;
	struct rig r;

	rig6_open(&r);
	net_neigh_learn(r.net, PEER6, &peer_mac, r.now_us);
	path = path_to(&r, PEER6);
	send_hello(&r, &path);
	rig_expect(&r, hello(PEER6, &peer_mac));
	// without the override flag a known address stays, and is asked about
	rig_in(&r, their_advert(PEER6, &other_mac, ND_SOLICITED));
	send_hello(&r, &path);
	rig_expect(&r, our_solicit(PEER6, &peer_mac));
	rig_expect(&r, hello(PEER6, &peer_mac));
	rig_in(&r, their_advert(PEER6, &other_mac, ND_OVERRIDE));
	send_hello(&r, &path);
	rig_expect(&r, our_solicit(PEER6, &other_mac));
	rig_expect(&r, hello(PEER6, &other_mac));
	rig_expect_none(&r);
	rig_close(&r);
}

// But an answer is told to the other workers: one of them may have asked.
static void what_nobody_asked_makes_no_entry(void **state)
{
	struct rig r;

	rig6_open(&r);
	assert_int_equal(
		rig_in(&r, their_advert(PEER6, &peer_mac, ND_SOLICITED | ND_OVERRIDE)), NET_NEIGH);
	assert_true(base_ip_same(&r.pkt.src, &(struct base_ip){.b = {0xfd, [15] = 1}}));
	assert_memory_equal(&r.pkt.src_mac, &peer_mac, 6);
	assert_int_equal(rig_in(&r, their_advert(PEER6, &peer_mac, ND_OVERRIDE)), NET_DONE);
	assert_int_equal(rig_in(&r, their_advert(FAR6, &peer_mac, ND_SOLICITED)), NET_DONE);
	send_hello(&r, &(struct net_path){.dst = PEER6, .local = 1});
	rig_expect(&r, our_solicit(PEER6, NULL));
	rig_close(&r);
}

static void malformed_messages_are_counted(void **state)
{
	struct ip6_fields ask = {.src = PEER6, .dst = OUR6_NODE, .dmac = &our6_node_mac};
	struct ip6_fields tell = {.src = PEER6, .dst = OUR6};
	uint8_t body[40] = {135};
	struct rig r;
	unsigned n = 0;

	rig6_open(&r);
	memcpy(body + 8, OUR6.b, 16);
	ask.hops = 254; // a router has passed it on
	rig_in(&r, frame_nd(ask, 135, 0, OUR6, &peer_mac));
	assert_int_equal(counted(&r)->bad_nd, ++n);
	ask.hops = tell.hops = 255;
	rig_in(&r, frame_nd(ask, 135, 0, ALL6, &peer_mac)); // target is a group
	assert_int_equal(counted(&r)->bad_nd, ++n);
	rig_in(&r, frame_icmp6(ask, body, 23)); // cut
	assert_int_equal(counted(&r)->bad_nd, ++n);
	rig_in(&r, frame_icmp6(ask, body, 28)); // cut option
	assert_int_equal(counted(&r)->bad_nd, ++n);
	body[24] = 1; // an option of length 0
	rig_in(&r, frame_icmp6(ask, body, 32));
	assert_int_equal(counted(&r)->bad_nd, ++n);
	body[25] = 3; // one that is longer than the message
	rig_in(&r, frame_icmp6(ask, body, 32));
	assert_int_equal(counted(&r)->bad_nd, ++n);
	body[25] = 1;
	body[26] = 0xff; // a group's MAC
	rig_in(&r, frame_icmp6(ask, body, 32));
	assert_int_equal(counted(&r)->bad_nd, ++n);
	rig_in(&r,
		their_solicit(NOBODY6, OUR6, &peer_mac)); // a check that says where it comes from
	assert_int_equal(counted(&r)->bad_nd, ++n);
	tell.dst = ALL6;
	tell.dmac = &all6_mac;
	rig_in(&r, frame_nd(tell, 136, ND_SOLICITED, PEER6, &peer_mac)); // an answer to everybody
	assert_int_equal(counted(&r)->bad_nd, ++n);
	rig_expect_none(&r);
	rig_close(&r);
}

// ---- duplicate address check --------------------------------------------------------------------
static void dad_open(struct rig *r, bool silent)
{
	struct net_options opt;

	rig_make(r);
	opt = rig6_options(r);
	opt.dad = true;
	opt.silent = silent;
	assert_int_equal(net_open(&r->net, &opt), 0);
	net_announce(r->net, r->now_us);
}

static struct frame our_check(struct base_ip own)
{
	struct base_ip group = OUR6_NODE;
	struct rte_ether_addr mac = our6_node_mac;

	memcpy(group.b + 13, own.b + 13, 3);
	memcpy(mac.addr_bytes + 3, own.b + 13, 3);
	return frame_nd(
		(struct ip6_fields){.src = NOBODY6, .dst = group, .smac = &our_mac, .dmac = &mac},
		135, 0, own, NULL);
}

static void addresses_are_checked_before_they_are_used(void **state)
{
	const struct base_ip groups[] = {OUR6_NODE, node_group(OUR6_LINK)};
	struct rig r;

	dad_open(&r, false);
	// switches are told first to let the answers through
	rig_expect(&r, our_report(NOBODY6, MLD_TO_EXCLUDE, 2, groups));
	rig_expect(&r, our_check(OUR6));
	rig_expect(&r, our_check(OUR6_LINK));
	rig_expect(&r, frame_arp(&all_mac, 1, &our_mac, OUR_IP, &no_mac, OUR_IP));
	rig_expect_none(&r);
	// until then they are nobody's
	assert_int_equal(rig_in(&r, frame_udp6(from_peer6, 1, 2, "x", 1)), NET_DONE);
	rig_in(&r, their_solicit(PEER6, OUR6, &peer_mac));
	rig_expect_none(&r);
	assert_int_equal(rig_in(&r, frame_udp(from_peer, 1, 2, "x", 1)), NET_UDP); // IPv4 serves
	rig_wait(&r, SECOND_US / 2);
	reports_take(&r);
	rig_expect(&r, our_check(OUR6));
	rig_expect(&r, our_check(OUR6_LINK));
	rig_wait(&r, SECOND_US / 2);
	assert_in_range(reports_take(&r), 1, 2);
	rig_expect(&r, our_advert(OUR6, ND_OVERRIDE, ALL6, &all6_mac));
	rig_expect(&r, our_advert(OUR6_LINK, ND_OVERRIDE, ALL6, &all6_mac));
	assert_int_equal(rig_in(&r, frame_udp6(from_peer6, 1, 2, "x", 1)), NET_UDP);
	assert_int_equal(net_taken(r.net), 0);
	rig_close(&r);
}

static void a_silent_worker_checks_by_listening(void **state)
{
	struct rig r;

	dad_open(&r, true);
	rig_expect_none(&r);
	assert_int_equal(rig_in(&r, frame_udp6(from_peer6, 1, 2, "x", 1)), NET_DONE);
	rig_wait(&r, SECOND_US / 2);
	rig_wait(&r, SECOND_US / 2);
	rig_wait(&r, 2 * SECOND_US);
	rig_expect_none(&r);
	assert_int_equal(rig_in(&r, frame_udp6(from_peer6, 1, 2, "x", 1)), NET_UDP);
	rig_close(&r);
}

static void a_taken_address_stays_silent(void **state)
{
	struct ip6_fields tell = {.src = OUR6, .dst = ALL6, .dmac = &all6_mac, .smac = &other_mac};

	for (unsigned k = 0; k < 2; k++) {
		struct rig r;
		struct frame claim = k ? frame_nd((struct ip6_fields){.src = NOBODY6,
							  .dst = OUR6_NODE,
							  .smac = &other_mac,
							  .dmac = &our6_node_mac},
						 135, 0, OUR6, NULL)
				       : frame_nd(tell, 136, ND_OVERRIDE, OUR6, &other_mac);

		dad_open(&r, false);
		rig_in(&r, claim);
		rig_wait(&r, SECOND_US);
		assert_int_equal(net_taken(r.net), 1 << 1);
		assert_int_equal(counted(&r)->dad_taken, 1);
		rig_out_clear(&r);
		assert_int_equal(rig_in(&r, frame_udp6(from_peer6, 1, 2, "x", 1)), NET_DONE);
		rig_in(&r, their_solicit(PEER6, OUR6, &peer_mac));
		rig_expect_none(&r);
		rig_close(&r);
	}
}

static void our_own_check_that_comes_back_is_none(void **state)
{
	struct rig r;

	dad_open(&r, false);
	rig_in(&r, our_check(OUR6));
	rig_wait(&r, SECOND_US);
	assert_int_equal(net_taken(r.net), 0);
	rig_close(&r);
}

static void a_valid_address_is_defended(void **state)
{
	struct ip6_fields tell = {.src = OUR6, .dst = ALL6, .dmac = &all6_mac, .smac = &other_mac};
	struct rig r;

	rig6_open(&r);
	rig_in(&r, our_check(ip6("fd00::9:2"))); // ours, mirrored
	tell.src = PEER6;
	rig_in(&r, frame_nd(tell, 136, ND_OVERRIDE, OUR6, &other_mac));
	rig_expect(&r, our_advert(OUR6, ND_OVERRIDE, ALL6, &all6_mac));
	rig_in(&r, frame_nd(tell, 136, ND_OVERRIDE, OUR6, &other_mac));
	rig_expect_none(&r); // no shouting match
	assert_int_equal(counted(&r)->arp_conflicts, 2);
	// somebody else's check is told
	rig_in(&r,
		frame_nd((struct ip6_fields){.src = NOBODY6,
				 .dst = OUR6_NODE,
				 .smac = &other_mac,
				 .dmac = &our6_node_mac},
			135, 0, OUR6, NULL));
	rig_expect(&r, our_advert(OUR6, ND_OVERRIDE, ALL6, &all6_mac));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_waits_for_the_advertisement),
		cmocka_unit_test(nobody_answers_three_times),
		cmocka_unit_test(a_solicitation_is_answered_and_its_sender_remembered),
		cmocka_unit_test(an_answer_without_an_address_confirms_the_known_one),
		cmocka_unit_test(a_solicitation_for_another_is_left_alone),
		cmocka_unit_test(a_moved_neighbour_is_followed),
		cmocka_unit_test(what_nobody_asked_makes_no_entry),
		cmocka_unit_test(malformed_messages_are_counted),
		cmocka_unit_test(addresses_are_checked_before_they_are_used),
		cmocka_unit_test(a_silent_worker_checks_by_listening),
		cmocka_unit_test(a_taken_address_stays_silent),
		cmocka_unit_test(our_own_check_that_comes_back_is_none),
		cmocka_unit_test(a_valid_address_is_defended),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
