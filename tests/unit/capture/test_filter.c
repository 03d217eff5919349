// SPDX-License-Identifier: BSD-3-Clause
// tcpdump's filters: what they match, and what is refused in one line.
#include <pcap/pcap.h>

#include <rte_bpf.h>

#include "capture_test.h"

static bool matches(const char *text, struct rte_mbuf *m)
{
	struct capture_filter f;
	char err[256] = "";
	bool yes, interpreted;

	if (capture_filter_open(&f, text, err, sizeof(err)) != 0)
		fail_msg("%s: %s", text, err);
	yes = capture_filter_match(&f, m);
	f.match = NULL;
	interpreted = capture_filter_match(&f, m);
	capture_filter_close(&f);
	assert_int_equal(yes, interpreted);
	return yes;
}

static void it_matches_what_tcpdump_would(void **state)
{
	struct rte_mbuf *m = frame_udp(4000, 100);

	assert_true(matches(NULL, m));
	assert_true(matches("udp", m));
	assert_true(matches("udp port 11211 and src host 10.0.0.1", m));
	assert_true(matches("ip[8] == 0x40 && net 10.0.0.0/8 and portrange 3999-4001", m));
	assert_true(matches("len >= 142 and not (tcp or ip6 or arp)", m));
	assert_true(matches("udp[8:2] = 0xa0a1", m));
	assert_false(matches("tcp", m));
	assert_false(matches("tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", m));
	assert_false(matches("host fd00::1 or ether src 02:00:00:00:00:01", m));
	assert_false(matches("src port 11211", m));
	rte_pktmbuf_free(m);
}

// libpcap's own interpreter is the judge.
static bool pcap_matches(const char *text, const struct rte_mbuf *m)
{
	struct pcap_pkthdr head = {.caplen = m->pkt_len, .len = m->pkt_len};
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, CAPTURE_SNAP_MAX);
	struct bpf_program program;
	bool yes;

	assert_int_equal(pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN), 0);
	yes = pcap_offline_filter(&program, &head, rte_pktmbuf_mtod(m, const u_char *)) != 0;
	pcap_freecode(&program);
	pcap_close(pcap);
	return yes;
}

// Loads of every size, at fixed places and behind headers of any length, sums, shifts, jumps.
static const char *const filters[] = {"tcp[13] = 2", "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn",
	"tcp[4:4] = 1", "tcp[4:4] > 0x80000000", "tcp[2:2] = 11211", "tcp[12] >> 4 > 5",
	"ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0", "udp[8] = udp[9] - 1",
	"udp[8:4] & 0xff00ff00 != 0", "udp[4:2] * 2 > 40", "udp[udp[4:2] - 9] > 100",
	"ip[6:2] & 0x1fff = 0", "ip[8] % 3 = 1 or ip[9] / 2 = 3", "src net 10.0.0.0/31 and not tcp",
	"portrange 1-2000", "len > 80", "ether[(ether[14] & 0xf) * 4 + 14] = 0", "ip[0] != 0x45",
	"tcp src port 1 or udp src port 1", "host 10.0.0.2 and (udp or tcp[13] & 18 = 18)", "vlan",
	"vlan and udp", "ip6", "icmp[0] = 8", "tcp[0] ^ tcp[1] = 1", "greater 60 and less 90"};

// A frame of either protocol, with IP options or without, and anything in it.
static struct rte_mbuf *frame_any(struct base_rng *rng)
{
	uint16_t bytes = (uint16_t)(34 + base_rng_below(rng, 80));
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	unsigned char *p = (unsigned char *)rte_pktmbuf_append(m, bytes);

	for (unsigned i = 0; i < bytes; i++)
		p[i] = (unsigned char)(base_rng_below(rng, 3) ? base_rng_below(rng, 4)
							      : base_rng_next(rng));
	memcpy(p + 12, "\x08\x00", 2);
	p[14] = base_rng_below(rng, 3) ? 0x45 : 0x47;
	if (base_rng_below(rng, 3))
		memcpy(p + 20, "\x40\x00", 2);
	p[23] = base_rng_below(rng, 2) ? IPPROTO_TCP : IPPROTO_UDP;
	if (base_rng_below(rng, 2))
		memcpy(p + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	return m;
}

static void it_agrees_with_libpcap(void **state)
{
	struct base_rng rng;

	base_rng_seed(&rng, 1);
	for (unsigned f = 0; f < BASE_ARRAY_LEN(filters); f++) {
		struct capture_filter filter;
		char err[256];

		if (capture_filter_open(&filter, filters[f], err, sizeof(err)) != 0)
			fail_msg("%s: %s", filters[f], err);
		for (unsigned i = 0; i < 1000; i++) {
			struct rte_mbuf *m = frame_any(&rng);
			bool wanted = pcap_matches(filters[f], m);
			bool machine = capture_filter_match(&filter, m);

			if (machine != wanted || (rte_bpf_exec(filter.program, m) != 0) != wanted)
				fail_msg("%s: %d, libpcap says %d", filters[f], machine, wanted);
			rte_pktmbuf_free(m);
		}
		capture_filter_close(&filter);
	}
}

static void a_chain_is_one_frame(void **state)
{
	struct rte_mbuf *m = frame_udp(4000, 0), *more = frame_udp(4000, 100);

	rte_pktmbuf_adj(more, 42);
	assert_int_equal(rte_pktmbuf_chain(m, more), 0);
	assert_true(matches("udp[8:2] = 0xa0a1 and len = 142", m));
	rte_pktmbuf_free(m);
}

static void a_frame_too_short_for_it_does_not_match(void **state)
{
	struct rte_mbuf *m = frame_udp(4000, 100);

	rte_pktmbuf_trim(m, m->pkt_len - 20);
	assert_false(matches("udp port 11211", m));
	rte_pktmbuf_free(m);
}

static void wrong_ones_are_refused(void **state)
{
	static const char *const wrong[][2] = {
		{"tcp prt 11211", "filter: 'prt' is no keyword (nearest: port)"},
		{"host cache.example.com",
			"filter: 'cache.example.com' is no keyword (names are "
			"not looked up: give addresses and numbers)"},
		{"port memcache", NULL},
		{"host 1and1.com", NULL},
		{"host \\tcp", "filter: no quotes or backslashes, please"},
		{"tcp and", "filter: can't parse filter expression: syntax error"},
		{"host 10.0.0.256", NULL},
		{"port 70000", NULL},
		{"inbound", NULL}, // no such thing in a frame
		{"((udp)", NULL},
	};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(wrong); i++) {
		struct capture_filter f;
		char err[256] = "";

		if (capture_filter_open(&f, wrong[i][0], err, sizeof(err)) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i][0]);
		assert_null(f.program);
		assert_true(strncmp(err, "filter: ", 8) == 0 && strchr(err, '\n') == NULL);
		if (wrong[i][1] != NULL)
			assert_string_equal(err, wrong[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_matches_what_tcpdump_would),
		cmocka_unit_test(it_agrees_with_libpcap),
		cmocka_unit_test(a_chain_is_one_frame),
		cmocka_unit_test(a_frame_too_short_for_it_does_not_match),
		cmocka_unit_test(wrong_ones_are_refused),
	};

	return cmocka_run_group_tests(tests, eal_open, eal_close);
}
