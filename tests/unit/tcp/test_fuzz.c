// SPDX-License-Identifier: BSD-3-Clause
// Random segments, from plain noise to nearly right ones, into every state: nothing breaks, nothing
// leaks, and a healthy connection still works where only strangers spoke.
#include "tcp_one.h"

static uint32_t near(struct base_rng *rng, uint32_t v)
{
	switch (base_rng_below(rng, 6)) {
	case 0:
		return (uint32_t)base_rng_next(rng);
	case 1:
		return v + (uint32_t)base_rng_below(rng, 70000);
	case 2:
		return v - (uint32_t)base_rng_below(rng, 3000);
	default:
		return v + (uint32_t)base_rng_below(rng, 8);
	}
}

static uint32_t options_random(struct one *o, struct base_rng *rng, uint8_t *opts)
{
	uint32_t n = 0;

	switch (base_rng_below(rng, 5)) {
	case 0:
		n = 4 * (uint32_t)base_rng_below(rng, 11);
		for (uint32_t i = 0; i < n; i++)
			opts[i] = (uint8_t)base_rng_below(rng, base_rng_below(rng, 2) ? 11 : 256);
		return n;
	case 1:
		return tcp_options_syn(opts, (uint16_t)base_rng_next(rng), true, true, true,
			(uint8_t)base_rng_next(rng), near(rng, 1000), 0);
	case 2: {
		struct tcp_ooo b = {.blocks = 1 + (uint8_t)base_rng_below(rng, 4)};
		uint32_t una = o->c ? o->c->snd_una : ISS;

		for (unsigned i = 0; i < b.blocks; i++)
			b.sack[i] = (struct tcp_range){near(rng, una), near(rng, una + 1460)};
		return tcp_options_sack(opts, NULL, &b, 4);
	}
	case 3:
		return tcp_options_ts(opts, near(rng, 1000), 0);
	default:
		return 0;
	}
}

static void segment_random(struct one *o, struct base_rng *rng, bool aim)
{
	uint8_t opts[64], data[1500];
	uint8_t flags = base_rng_below(rng, 3) ? ACK : (uint8_t)base_rng_next(rng);
	uint32_t len = base_rng_below(rng, 2) ? 0 : (uint32_t)base_rng_below(rng, 1400);

	if (base_rng_below(rng, 50) != 0)
		flags &= ~(RST | SYN);
	if (base_rng_below(rng, 50) != 0)
		flags &= ~FIN;
	memset(data, (int)base_rng_next(rng), sizeof(data));
	o->seq = near(rng, aim && o->c ? o->c->node.rcv_nxt : IRS);
	o->ack = near(rng, aim && o->c ? o->c->snd_una : ISS);
	o->wnd = (uint16_t)base_rng_next(rng);
	one_in_raw(o, flags, opts, options_random(o, rng, opts), data, len);
}

static void owner_acts(struct one *o, struct base_rng *rng)
{
	if (o->events & TCP_EV_CLOSED) {
		tcp_release(o->tcp, o->c);
		o->c = NULL;
		o->events = 0;
		return;
	}
	if (o->c == NULL || o->c->node.state < TCP_ESTABLISHED)
		return;
	if (base_rng_below(rng, 3) == 0)
		tcp_rx_consume(o->tcp, o->c, (uint32_t)base_rng_below(rng, tcp_rx_bytes(o->c) + 1));
	if (base_rng_below(rng, 4) == 0 && tcp_send_room(o->tcp, o->c) > 0 &&
		rte_mempool_avail_count(o->pool) > MBUFS / 2)
		one_send(o, 1 + (uint32_t)base_rng_below(rng, 1460));
	if (base_rng_below(rng, 400) == 0)
		tcp_shutdown(o->tcp, o->c);
	if (base_rng_below(rng, 2000) == 0)
		tcp_abort(o->tcp, o->c);
}

static void fuzz(uint64_t seed, unsigned segments)
{
	struct one *o = one_open_with((struct tcp_options){
		.rcv_buf_bytes = 65536 << (seed % 3), .syn_max = 100, .keepalive_us = 30000000});
	struct base_rng rng;

	base_rng_seed(&rng, seed);
	o->tcp->offer = (uint32_t)base_rng_next(&rng) & (TCP_F_SACK | TCP_F_TS | TCP_F_WSCALE);
	for (unsigned i = 0; i < segments; i++) {
		if (o->c == NULL && base_rng_below(&rng, 4) == 0) {
			o->peer_port = (uint16_t)(1 + base_rng_below(&rng, 65535));
			if (base_rng_below(&rng, 3) == 0) {
				o->c = tcp_connect(o->tcp, &o->peer_ip, o->peer_port, TCP_LOCAL_ANY,
					PORT, o->now_us);
			} else { // gets through as far as noise allows
				o->seq = IRS;
				one_in(o, SYN, NULL, 0);
				o->seq++;
				o->ack = ISS + 1;
				one_in(o, ACK, NULL, 0);
			}
		}
		segment_random(o, &rng, base_rng_below(&rng, 8) != 0);
		if (base_rng_below(&rng, 4) == 0) {
			one_turn(o);
			owner_acts(o, &rng);
		}
		if (base_rng_below(&rng, 100) == 0)
			one_let_go(o);
		else if (base_rng_below(&rng, 100) == 0)
			o->hold = true;
		o->now_us += base_rng_below(&rng, base_rng_below(&rng, 20) ? 3000 : 2000000);
	}
	one_close(o);
}

static void test_random_segments_break_and_leak_nothing(void **state)
{
	const char *from = getenv("FUZZ_SEED"), *count = getenv("FUZZ_SEEDS");
	uint64_t first = from ? strtoull(from, NULL, 10) : 1;
	uint64_t n = count ? strtoull(count, NULL, 10) : 60;

	for (uint64_t seed = first; seed < first + n; seed++)
		fuzz(seed, 4000);
}

// A blind attacker knows the addresses and ports, not the numbers.
static void test_blind_segments_do_no_harm(void **state)
{
	struct one *o = one_open();
	struct base_rng rng;

	base_rng_seed(&rng, 77);
	one_establish(o);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t flags = (uint8_t)base_rng_next(&rng) & (RST | SYN | ACK | FIN);

		do
			o->seq = (uint32_t)base_rng_next(&rng);
		while (o->seq - IRS < 70000);
		o->ack = (uint32_t)base_rng_next(&rng);
		one_in(o, flags, "evil", (uint32_t)base_rng_below(&rng, 5));
		if (i % 100 == 0)
			one_turn(o);
	}
	one_turn(o);
	assert_int_equal(tcp_conns(o->tcp), 1);
	assert_int_equal(tcp_rx_bytes(o->c), 0);
	o->seq = IRS + 1;
	o->ack = ISS + 1;
	one_in_data(o, 10);
	one_turn(o);
	assert_int_equal(tcp_rx_bytes(o->c), 10);
	one_close(o);
}

// Garbage where a TCP header should be, with a checksum that the device called good.
static void test_noise_instead_of_headers(void **state)
{
	struct one *o = one_open();
	struct base_rng rng;

	base_rng_seed(&rng, 9);
	one_establish(o);
	for (unsigned i = 0; i < 50000; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(o->pool);
		uint16_t len = (uint16_t)base_rng_below(&rng, 100);
		struct net_packet pkt = {
			.src = o->peer_ip, .l4_off = 34, .l4_len = len, .l4_checked = true};
		uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, 34 + len);

		for (uint16_t k = 0; k < len; k++)
			p[34 + k] = (uint8_t)base_rng_next(&rng);
		if (len >= 20 && (i & 1)) { // for us at least
			p[34] = PEER >> 8;
			p[35] = PEER & 255;
			p[36] = PORT >> 8;
			p[37] = PORT & 255;
		}
		tcp_input(o->tcp, m, &pkt, o->now_us);
		if (i % 16 == 0)
			one_turn(o);
	}
	one_close(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_segments_break_and_leak_nothing),
		cmocka_unit_test(test_blind_segments_do_no_harm),
		cmocka_unit_test(test_noise_instead_of_headers),
	};

	return cmocka_run_group_tests(tests, sim_eal, NULL);
}
