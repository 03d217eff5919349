// SPDX-License-Identifier: BSD-3-Clause
// Multicast listener discovery: who is told that we listen, when, and what queries are answered.
#include "net6_helper.h"

#define ROUTER6 ip6("fe80::1")

static void groups_get(struct base_ip group[2])
{
	group[0] = OUR6_NODE;
	group[1] = node_group(OUR6_LINK);
}

// All addresses are valid from the start. Nothing has been said yet.
static void listener_open(struct rig *r)
{
	rig6_open(r);
	rig_expect_none(r);
}

// A query for a group or, with none, for all of them; len 24: version 1.
static struct frame query(struct base_ip group, uint16_t code, uint32_t len)
{
	uint8_t b[64] = {MLD_QUERY, 0, 0, 0, (uint8_t)(code >> 8), (uint8_t)code};
	bool all = base_ip_none(&group);
	struct rte_ether_addr mac = {{0x33, 0x33, 0xff}};

	memcpy(b + 8, &group, 16);
	memcpy(mac.addr_bytes + 3, group.b + 13, 3);
	return frame_mld(
		(struct ip6_fields){
			.src = ROUTER6, .dst = all ? ALL6 : group, .dmac = all ? &all6_mac : &mac},
		b, len);
}

// Steps of a millisecond until something is sent; how many milliseconds. most: the limit.
static unsigned wait_for_output(struct rig *r, unsigned most)
{
	for (unsigned ms = 0; ms <= most; ms++) {
		if (rig_out_count(r) > 0)
			return ms;
		rig_wait(r, 1000);
	}
	fail_msg("nothing in %u ms", most);
	return 0;
}

static void groups_are_told_twice(void **state)
{
	struct base_ip group[2];
	struct rig r;
	unsigned ms;

	groups_get(group);
	rig_make(&r);
	{
		struct net_options opt = rig6_options(&r);

		assert_int_equal(net_open(&r.net, &opt), 0);
	}
	net_announce(r.net, r.now_us); // without a check: the link-local address is ours already
	rig_expect(&r, our_report(OUR6_LINK, MLD_TO_EXCLUDE, 2, group));
	rig_out_clear(&r);
	ms = wait_for_output(&r, 1001);
	assert_in_range(ms, 1, 1001);
	rig_expect(&r, our_report(OUR6_LINK, MLD_TO_EXCLUDE, 2, group));
	rig_out_clear(&r);
	for (unsigned i = 0; i < 10; i++)
		rig_wait(&r, SECOND_US);
	assert_int_equal(reports_take(&r), 0);
	assert_int_equal(counted(&r)->mld_tx, 2);
	rig_close(&r);
}

// RFC 3590: while the link-local address is checked reports come from nobody; afterwards once more.
static void they_are_told_again_from_our_address(void **state)
{
	struct base_ip group[2];
	struct net_options opt;
	unsigned n;
	struct rig r;

	groups_get(group);
	rig_make(&r);
	opt = rig6_options(&r);
	opt.dad = true;
	assert_int_equal(net_open(&r.net, &opt), 0);
	net_announce(r.net, r.now_us);
	rig_expect(&r, our_report(NOBODY6, MLD_TO_EXCLUDE, 2, group));
	for (unsigned i = 0; i < 999; i++)
		rig_wait(&r, 1000);
	n = reports_take(&r);
	assert_in_range(n, 0, 1);
	rig_out_clear(&r);
	rig_wait(&r, 1000);
	rig_expect(&r, our_report(OUR6_LINK, MLD_TO_EXCLUDE, 2, group));
	for (unsigned i = 0; i < 1001; i++)
		rig_wait(&r, 1000);
	assert_int_equal(reports_take(&r), 1);
	rig_close(&r);
}

static void a_silent_worker_says_nothing_unasked(void **state)
{
	struct base_ip group[2];
	struct net_options opt;
	struct rig r;

	groups_get(group);
	rig_make(&r);
	opt = rig6_options(&r);
	opt.silent = true;
	assert_int_equal(net_open(&r.net, &opt), 0);
	net_announce(r.net, r.now_us);
	for (unsigned i = 0; i < 5; i++)
		rig_wait(&r, SECOND_US);
	rig_expect_none(&r);
	// but a query may come to any of them
	rig_in(&r, query(NOBODY6, 0, 28));
	rig_wait(&r, 1000);
	rig_expect(&r, our_report(OUR6_LINK, MLD_IS_EXCLUDE, 2, group));
	rig_close(&r);
}

static void without_ipv6_there_is_nothing_to_tell(void **state)
{
	struct rig r;

	rig_open(&r);
	net_announce(r.net, r.now_us);
	for (unsigned i = 0; i < 5; i++)
		rig_wait(&r, SECOND_US);
	assert_int_equal(reports_take(&r), 0);
	rig_close(&r);
}

// Delays are spread over the whole time that the querier gives, and no longer.
static void a_general_query_is_answered_in_its_time(void **state)
{
	struct base_ip group[2];
	unsigned least = UINT_MAX, most = 0;
	struct rig r;

	groups_get(group);
	listener_open(&r);
	for (unsigned i = 0; i < 40; i++) {
		unsigned ms;

		rig_wait(&r, SECOND_US);
		rig_in(&r, query(NOBODY6, 2000, 28));
		ms = wait_for_output(&r, 2001);
		least = RTE_MIN(least, ms);
		most = RTE_MAX(most, ms);
		rig_expect(&r, our_report(OUR6_LINK, MLD_IS_EXCLUDE, 2, group));
		rig_wait(&r, 3 * SECOND_US);
		rig_expect_none(&r);
		rig_out_clear(&r);
	}
	assert_true(least < 400 && most > 1600);
	assert_int_equal(counted(&r)->mld_rx, 40);
	rig_close(&r);
}

static void a_long_time_has_an_exponent(void **state)
{
	unsigned most = 0;
	struct rig r;

	listener_open(&r);
	for (unsigned i = 0; i < 10; i++) {
		unsigned s = 0;

		rig_wait(&r, SECOND_US);
		rig_in(&r, query(NOBODY6, 0x9388, 28)); // 0x1388 << (1 + 3): 80,000 ms
		while (rig_out_count(&r) == 0 && s++ < 81)
			rig_wait(&r, SECOND_US);
		assert_in_range(s, 0, 81);
		most = RTE_MAX(most, s);
		rig_out_clear(&r);
	}
	assert_true(most > 40);
	rig_close(&r);
}

static void a_query_for_one_group_is_answered_for_it(void **state)
{
	struct base_ip group[2];
	struct rig r;

	groups_get(group);
	listener_open(&r);
	rig_in(&r, query(group[0], 1000, 28));
	wait_for_output(&r, 1001);
	rig_expect(&r, our_report(OUR6_LINK, MLD_IS_EXCLUDE, 1, &group[0]));
	rig_wait(&r, 2 * SECOND_US);
	rig_expect_none(&r);
	// for sources of it: as for the group
	{
		struct frame f = query(group[1], 0, 28 + 16);

		rig_in(&r, f);
	}
	rig_wait(&r, SECOND_US);
	rig_expect(&r, our_report(OUR6_LINK, MLD_IS_EXCLUDE, 1, &group[1]));
	// another's group with our link-layer group: none of ours
	rig_in(&r, query(ip6("ff05::1:ff00:2"), 0, 28));
	rig_wait(&r, SECOND_US);
	rig_expect_none(&r);
	rig_close(&r);
}

static void queries_in_plenty_get_few_answers(void **state)
{
	struct rig r;

	listener_open(&r);
	for (unsigned i = 0; i < 1000; i++) {
		rig_in(&r, query(NOBODY6, 0, 28));
		rig_in(&r, query(OUR6_NODE, 0, 28));
		rig_wait(&r, 1000);
	}
	assert_in_range(reports_take(&r), 9, 12);
	rig_close(&r);
}

// RFC 3810 8.2.1: an old querier gets old reports, each to its own group, for 260 seconds.
static void an_old_querier_is_answered_as_it_wants(void **state)
{
	struct rte_ether_addr mac = our6_node_mac;
	struct base_ip group[2];
	struct rig r;

	groups_get(group);
	listener_open(&r);
	for (unsigned round = 0; round < 2; round++) {
		rig_in(&r, query(NOBODY6, 0, round ? 28 : 24));
		rig_wait(&r, SECOND_US);
		for (unsigned i = 0; i < 2; i++) {
			uint8_t b[24] = {MLD_REPORT_V1};

			memcpy(b + 8, &group[i], 16);
			memcpy(mac.addr_bytes + 3, group[i].b + 13, 3);
			rig_expect(&r,
				frame_mld((struct ip6_fields){.src = OUR6_LINK,
						  .dst = group[i],
						  .smac = &our_mac,
						  .dmac = &mac},
					b, 24));
		}
		rig_expect_none(&r);
	}
	rig_wait(&r, 260 * SECOND_US);
	rig_in(&r, query(NOBODY6, 0, 28));
	rig_wait(&r, SECOND_US);
	rig_expect(&r, our_report(OUR6_LINK, MLD_IS_EXCLUDE, 2, group));
	rig_close(&r);
}

static void forged_queries_are_counted_and_dropped(void **state)
{
	uint8_t b[28] = {MLD_QUERY};
	struct ip6_fields good = {.src = ROUTER6, .dst = ALL6, .dmac = &all6_mac}, bad;
	struct frame f;
	struct rig r;
	unsigned n = 0;

	listener_open(&r);
	bad = good;
	bad.hops = 2; // from beyond
	rig_in(&r, frame_mld(bad, b, 28));
	assert_int_equal(counted(&r)->bad_mld, ++n);
	bad = good;
	bad.src = PEER6; // no router's link-local address
	rig_in(&r, frame_mld(bad, b, 28));
	assert_int_equal(counted(&r)->bad_mld, ++n);
	bad = good;
	bad.hops = 1;
	rig_in(&r, frame_icmp6(bad, b, 28)); // no router alert
	assert_int_equal(counted(&r)->bad_mld, ++n);
	f = frame_mld(good, b, 28);
	f.b[14 + 40 + 5] = 1; // an alert, but not MLD's
	rig_in(&r, f);
	assert_int_equal(counted(&r)->bad_mld, ++n);
	rig_in(&r, frame_mld(good, b, 27)); // of no version
	assert_int_equal(counted(&r)->bad_mld, ++n);
	rig_in(&r, frame_mld(good, b, 20));
	assert_int_equal(counted(&r)->bad_mld, ++n);
	f = frame_mld(good, b, 28);
	f.b[14 + 40 + 8 + 2] ^= 1;
	rig_in(&r, f);
	assert_int_equal(counted(&r)->bad_icmp, 1);
	rig_wait(&r, SECOND_US);
	rig_expect_none(&r);
	rig_in(&r, frame_mld(good, b, 28));
	rig_wait(&r, SECOND_US);
	assert_int_equal(reports_take(&r), 1);
	rig_close(&r);
}

// 63 addresses in 62 groups: two share one, and two reports are needed.
static void many_groups_take_several_reports(void **state)
{
	struct net_options opt;
	struct frame f;
	struct rig r;

	rig_make(&r);
	opt = rig_options(&r);
	opt.owns = 0;
	for (unsigned i = 0; i < NET_OWNS_GIVEN_MAX; i++) {
		struct base_ip ip = i == 1 ? ip6("fd00:1::64") : ip6("fd00::");

		ip.b[15] = i == 1 ? 100 : (uint8_t)(100 + i);
		opt.own[opt.owns++] = (struct net_own){ip, 64};
	}
	assert_int_equal(net_open(&r.net, &opt), 0);
	rig_in(&r, query(NOBODY6, 0, 28));
	rig_wait(&r, SECOND_US);
	assert_int_equal(rig_out_count(&r), 2);
	f = frame_of(rig_out(&r));
	assert_int_equal(f.len, 14 + 40 + 8 + 8 + 61 * 20);
	assert_true(f.len - 14 <= 1280);
	assert_int_equal(f.b[14 + 40 + 8 + 7], 61);
	f = frame_of(rig_out(&r));
	assert_int_equal(f.b[14 + 40 + 8 + 7], 2); // the last address, and the link-local one
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_told_twice),
		cmocka_unit_test(they_are_told_again_from_our_address),
		cmocka_unit_test(a_silent_worker_says_nothing_unasked),
		cmocka_unit_test(without_ipv6_there_is_nothing_to_tell),
		cmocka_unit_test(a_general_query_is_answered_in_its_time),
		cmocka_unit_test(a_long_time_has_an_exponent),
		cmocka_unit_test(a_query_for_one_group_is_answered_for_it),
		cmocka_unit_test(queries_in_plenty_get_few_answers),
		cmocka_unit_test(an_old_querier_is_answered_as_it_wants),
		cmocka_unit_test(forged_queries_are_counted_and_dropped),
		cmocka_unit_test(many_groups_take_several_reports),
	};

	eal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
