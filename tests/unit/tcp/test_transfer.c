// SPDX-License-Identifier: BSD-3-Clause
// Streams arrive byte for byte, whatever the link does, whatever options the peers have.
#include "tcp_sim.h"

#define MIB 1048576u

// Sent again beyond what was lost and what probed a silent flight.
static unsigned needless(const struct sim *sim)
{
	unsigned again = 0, meant = sim->lost_data;

	for (unsigned i = 0; i < 2; i++) {
		const struct tcp_counters *n = tcp_counters_get(sim->host[i].tcp);

		again += (unsigned)n->retransmits;
		meant += (unsigned)n->loss_probes;
	}
	return again > meant ? again - meant : 0;
}

static void report(const struct sim *sim)
{
	const struct tcp_counters *a = tcp_counters_get(sim->host[0].tcp);
	const struct tcp_counters *b = tcp_counters_get(sim->host[1].tcp);

	if (getenv("SIM_VERBOSE"))
		printf("loss %g seed %lu: %.3f s, lost %u (%u with data) of %u, again %lu, "
		       "needless %u, fast %lu, probes %lu, timeouts %lu\n",
			sim->opt.loss, (unsigned long)sim->opt.seed, (sim->now_us - 1e6) / 1e6,
			sim->lost, sim->lost_data, sim->lost + sim->delivered,
			(unsigned long)(a->retransmits + b->retransmits), needless(sim),
			(unsigned long)(a->fast_retransmits + b->fast_retransmits),
			(unsigned long)(a->loss_probes + b->loss_probes),
			(unsigned long)(a->rto_fires + b->rto_fires));
}

// The loss of an acknowledgement is none of data. What was overtaken on the way may be taken for
// lost until the stack knows how late that can be.
static void needless_check(const struct sim *sim)
{
	const struct sim_options *o = &sim->opt;

	if (o->loss <= 0.01 && o->reorder == 0)
		assert_in_range(needless(sim), 0, 1);
	else if (o->reorder_us > 0)
		assert_in_range(needless(sim), 0, sim->delivered / (o->loss > 0 ? 100 : 500));
}

// Transfers both ways until both sides have everything; both close; nothing is left.
static void transfer(struct sim_options o, struct sim_app client, struct sim_app server)
{
	struct sim *sim = sim_open(&o);
	uint64_t limit = sim->now_us + 600ull * 1000000;

	client.fin_after = true;
	server.fin_after = server.fin_on_fin = true;
	sim_connect(sim, &client, &server);
	while (!client.closed || !server.closed) {
		sim_step(sim, 1000);
		for (unsigned i = 0; i < 2; i++) {
			struct sim_app *a = i ? &server : &client;

			if (a->read_max && a->c && tcp_rx_bytes(a->c))
				sim_app_read(&sim->host[i], a);
			sim_app_send(&sim->host[i], a);
		}
		if (sim->now_us > limit)
			fail_msg("stuck: seed %lu loss %g: %lu of %lu, %lu of %lu",
				(unsigned long)o.seed, o.loss, (unsigned long)server.received,
				(unsigned long)client.to_send, (unsigned long)client.received,
				(unsigned long)server.to_send);
	}
	assert_int_equal(server.received, client.to_send);
	assert_int_equal(client.received, server.to_send);
	assert_true(client.fin && server.fin);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(tcp_counters_get(sim->host[i].tcp)->tx_big > 0, o.tso > 0);
	assert_int_equal(sim->joined > 0, o.lro);
	report(sim);
	if (!client.read_max && !server.read_max)
		needless_check(sim);
	sim_run_us(sim, 70000000); // TIME-WAIT passes
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(tcp_conns(sim->host[i].tcp), 0);
		assert_int_equal(sim->host[i].tcp->table.count, 0);
	}
	sim_close(sim);
}

// SIM_SEEDS multiplies the runs.
static unsigned seeds(unsigned n)
{
	const char *more = getenv("SIM_SEEDS");

	return more ? n * (unsigned)strtoul(more, NULL, 10) : n;
}

static struct sim_app sends(uint64_t bytes)
{
	return (struct sim_app){.to_send = bytes};
}

static void test_a_clean_link_carries_4_mib_both_ways(void **state)
{
	transfer((struct sim_options){.seed = 1, .delay_us = 500}, sends(4 * MIB), sends(4 * MIB));
}

static void test_one_percent_loss(void **state)
{
	for (unsigned seed = 1; seed <= seeds(6); seed++)
		transfer(
			(struct sim_options){
				.seed = seed, .delay_us = 500, .loss = 0.01, .hold = seed & 1},
			sends(2 * MIB), sends(2 * MIB));
}

static void test_five_percent_loss_with_reordering_and_repeats(void **state)
{
	for (unsigned seed = 1; seed <= seeds(12); seed++)
		transfer((struct sim_options){.seed = seed,
				 .delay_us = 500,
				 .loss = 0.05,
				 .reorder = 0.05,
				 .dup = 0.02,
				 .hold = seed & 1},
			sends(MIB / 2), sends(MIB / 2));
}

static void test_reordering_alone_is_not_taken_for_loss(void **state)
{
	for (unsigned seed = 1; seed <= seeds(6); seed++)
		transfer((struct sim_options){.seed = seed,
				 .delay_us = 5000,
				 .reorder = 0.05,
				 .reorder_us = 5000},
			sends(4 * MIB), sends(4 * MIB));
}

// Late by up to half a round trip, and every twentieth lost: what is sent again was lost, mostly.
static void test_five_percent_loss_with_some_reordering(void **state)
{
	for (unsigned seed = 1; seed <= seeds(6); seed++)
		transfer((struct sim_options){.seed = seed,
				 .delay_us = 5000,
				 .loss = 0.05,
				 .reorder = 0.05,
				 .reorder_us = 5000},
			sends(2 * MIB), sends(2 * MIB));
}

static void test_twenty_percent_loss(void **state)
{
	for (unsigned seed = 1; seed <= seeds(12); seed++)
		transfer(
			(struct sim_options){
				.seed = seed, .delay_us = 500, .loss = 0.2, .hold = seed & 1},
			sends(100000), sends(100000));
}

static void test_peers_without_sack_timestamps_or_scaling(void **state)
{
	// The highest bit only says that the set is meant, also when it is empty.
	static const uint32_t offer[] = {1u << 31, 1u << 31 | TCP_F_TS, 1u << 31 | TCP_F_SACK,
		1u << 31 | TCP_F_WSCALE | TCP_F_TS};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(offer); i++) {
		for (unsigned seed = 1; seed <= seeds(4); seed++)
			transfer((struct sim_options){.seed = seed,
					 .delay_us = 500,
					 .loss = 0.03,
					 .offer = offer[i]},
				sends(MIB / 2), sends(MIB / 2));
	}
}

static void test_sequence_numbers_wrap(void **state)
{
	for (unsigned seed = 1; seed <= seeds(4); seed++)
		transfer((struct sim_options){.seed = seed,
				 .delay_us = 500,
				 .loss = 0.02,
				 .iss = UINT32_MAX - 100000},
			sends(MIB), sends(MIB));
}

static void test_slow_reader_closes_and_opens_the_window(void **state)
{
	for (unsigned seed = 1; seed <= seeds(3); seed++) {
		struct sim_app slow = {.read_max = 3000};

		transfer((struct sim_options){.seed = seed,
				 .delay_us = 200,
				 .loss = 0.01 * (seed % 3),
				 .rcv_buf = 20000},
			sends(MIB / 2), slow);
	}
}

static void test_external_mbufs_with_and_without_multi_segs(void **state)
{
	for (unsigned multi = 0; multi < 2; multi++) {
		for (unsigned piece = 100; piece <= 20000; piece = piece * 3 + 1) {
			struct sim_app ext = {.to_send = MIB / 2, .external = true, .piece = piece};

			transfer((struct sim_options){.seed = piece,
					 .delay_us = 300,
					 .loss = 0.02,
					 .multi_segs = multi,
					 .hold = true},
				ext, ext);
		}
	}
}

// Whole windows leave as one frame each; what is lost, late or sent twice is a segment of them.
static void test_frames_that_the_device_cuts(void **state)
{
	static const struct {
		double loss, reorder;
		uint16_t tso;
	} link[] = {{0, 0, 40}, {0.01, 0, 40}, {0.05, 0.05, 40}, {0.05, 0, 3}, {0.01, 0.02, 12}};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(link); i++) {
		for (unsigned seed = 1; seed <= seeds(4); seed++) {
			struct sim_app app = {.to_send = 2 * MIB, .piece = seed & 2 ? 1448 : 0};

			transfer((struct sim_options){.seed = seed,
					 .delay_us = 500,
					 .loss = link[i].loss,
					 .reorder = link[i].reorder,
					 .dup = link[i].reorder / 2,
					 .tso = link[i].tso,
					 .hold = seed & 1},
				app, app);
		}
	}
}

static void test_external_mbufs_in_frames_that_the_device_cuts(void **state)
{
	for (unsigned piece = 100; piece <= 20000; piece = piece * 3 + 1) {
		struct sim_app ext = {.to_send = MIB / 2, .external = true, .piece = piece};

		transfer((struct sim_options){.seed = piece,
				 .delay_us = 300,
				 .loss = 0.02,
				 .tso = 40,
				 .hold = piece & 1},
			ext, ext);
	}
}

static void test_ipv6_frames_that_the_device_cuts(void **state)
{
	for (unsigned seed = 1; seed <= seeds(8); seed++) {
		struct sim_app app = {.to_send = MIB, .piece = seed & 2 ? 1428 : 0};

		transfer((struct sim_options){.seed = seed,
				 .ip6 = true,
				 .delay_us = 500,
				 .loss = 0.01 * (seed % 3),
				 .tso = seed & 4 ? 40 : 5,
				 .hold = seed & 1},
			app, app);
	}
}

// Segments that came together arrive as one of up to 64 KiB, with the options of the first; what is
// lost, late or sent twice leaves holes in front of, behind and within it.
static void test_segments_that_the_device_joins(void **state)
{
	for (unsigned seed = 1; seed <= seeds(12); seed++) {
		struct sim_app app = {.to_send = 2 * MIB};
		struct sim_app slow = {.to_send = MIB / 2, .read_max = 3000};
		bool small = seed % 4 == 0;

		transfer((struct sim_options){.seed = seed,
				 .ip6 = seed & 1,
				 .delay_us = 500,
				 .loss = 0.01 * (seed % 3),
				 .reorder = seed % 5 == 0 ? 0.03 : 0,
				 .dup = seed % 3 == 0 ? 0.02 : 0,
				 .tso = seed & 2 ? 40 : 0,
				 .lro = true,
				 .rcv_buf = small ? 20000 : 0},
			app, small ? slow : app);
	}
}

static void test_one_byte_pieces_are_merged(void **state)
{
	struct sim_app tiny = {.to_send = 50000, .piece = 1};

	transfer((struct sim_options){.seed = 9, .delay_us = 300, .loss = 0.02}, tiny, tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_clean_link_carries_4_mib_both_ways),
		cmocka_unit_test(test_one_percent_loss),
		cmocka_unit_test(test_five_percent_loss_with_reordering_and_repeats),
		cmocka_unit_test(test_reordering_alone_is_not_taken_for_loss),
		cmocka_unit_test(test_five_percent_loss_with_some_reordering),
		cmocka_unit_test(test_twenty_percent_loss),
		cmocka_unit_test(test_peers_without_sack_timestamps_or_scaling),
		cmocka_unit_test(test_sequence_numbers_wrap),
		cmocka_unit_test(test_slow_reader_closes_and_opens_the_window),
		cmocka_unit_test(test_external_mbufs_with_and_without_multi_segs),
		cmocka_unit_test(test_frames_that_the_device_cuts),
		cmocka_unit_test(test_external_mbufs_in_frames_that_the_device_cuts),
		cmocka_unit_test(test_ipv6_frames_that_the_device_cuts),
		cmocka_unit_test(test_segments_that_the_device_joins),
		cmocka_unit_test(test_one_byte_pieces_are_merged),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
