// SPDX-License-Identifier: BSD-3-Clause
// Software steering: the hash is the one that NICs compute, and every frame of a flow reaches the
// same worker.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "port/port.h"

#define WORKERS 7

static const struct port port = {.workers = WORKERS};

static struct base_ip ip(const char *text)
{
	struct base_ip a;

	assert_int_equal(base_ip_parse(text, &a), 0);
	return a;
}

// Without ports: by the addresses alone.
static uint32_t hash(const char *src, const char *dst, uint16_t src_port, uint16_t dst_port)
{
	struct base_ip a = ip(src), b = ip(dst);

	return port_flow_hash(&a, &b, src_port, dst_port, src_port != 0);
}

// The verification suite of Microsoft's RSS specification.
static void the_hash_is_microsofts(void **state)
{
	static const struct {
		const char *src, *dst;
		uint16_t src_port, dst_port;
		uint32_t with_ports, without;
	} v[] = {
		{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178, 0x323e8fc2},
		{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0ea, 0xd718262a},
		{"24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394a, 0xd2d0a5de},
		{"38.27.205.30", "209.142.163.6", 48228, 2217, 0xafc7327f, 0x82989176},
		{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x10e828a2, 0x5d1809c5},
		{"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x40207d3d, 0x2cc18cd5},
		{"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0xdde51bbf, 0x0f0c461c},
		{"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024,
			0x02d1feef, 0x4b61e985},
	};

	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(
			hash(v[i].src, v[i].dst, v[i].src_port, v[i].dst_port), v[i].with_ports);
		assert_int_equal(hash(v[i].src, v[i].dst, 0, 0), v[i].without);
	}
}

// One frame in plain memory, shown as an mbuf.
struct frame {
	struct rte_mbuf m;
	uint8_t b[256];
	unsigned len;
};

static void frame_done(struct frame *f)
{
	f->m.buf_addr = f->b;
	f->m.data_off = 0;
	f->m.data_len = (uint16_t)f->len;
	f->m.pkt_len = f->len;
	f->m.nb_segs = 1;
	f->m.next = NULL;
}

static void put(struct frame *f, const void *bytes, unsigned len)
{
	memcpy(f->b + f->len, bytes, len);
	f->len += len;
}

static void put_ip(struct frame *f, const char *src, const char *dst, uint8_t proto, uint16_t frag,
	unsigned option_bytes)
{
	uint8_t h[20] = {(uint8_t)(0x45 + option_bytes / 4), 0, 0, 60, 0, 1, (uint8_t)(frag >> 8),
		(uint8_t)frag, 64, proto};
	uint32_t a = inet_addr(src), b = inet_addr(dst);

	memcpy(h + 12, &a, 4);
	memcpy(h + 16, &b, 4);
	put(f, h, 20);
	for (unsigned i = 0; i < option_bytes; i++)
		put(f, "\x01", 1);
}

static void put_ports(struct frame *f, uint16_t src, uint16_t dst)
{
	uint16_t p[4] = {htons(src), htons(dst), htons(8), 0};

	put(f, p, 8);
}

static void frame_start(struct frame *f, unsigned tags)
{
	memset(f, 0, sizeof(*f));
	put(f, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	for (unsigned i = 0; i < tags; i++)
		put(f, i + 1 < tags ? "\x88\xa8\0\5" : "\x81\0\0\6", 4);
	put(f, "\x08\0", 2);
}

static unsigned worker_of(struct frame *f)
{
	frame_done(f);
	return port_flow_worker(&port, &f->m);
}

static void a_flow_is_found_behind_tags_and_options(void **state)
{
	uint32_t h = hash("10.0.0.1", "10.0.0.2", 4000, 11211);
	struct frame f;

	for (unsigned tags = 0; tags <= 2; tags++) {
		for (unsigned options = 0; options <= 40; options += 20) {
			frame_start(&f, tags);
			put_ip(&f, "10.0.0.1", "10.0.0.2", tags & 1 ? 6 : 17, 0, options);
			put_ports(&f, 4000, 11211);
			assert_int_equal(worker_of(&f), h % WORKERS);
		}
	}
}

static void flows_reach_every_worker(void **state)
{
	unsigned hits[WORKERS] = {0};
	struct frame f;

	for (uint16_t p = 1000; p < 1700; p++) {
		frame_start(&f, 0);
		put_ip(&f, "10.0.0.1", "10.0.0.2", 6, 0, 0);
		put_ports(&f, p, 11211);
		hits[worker_of(&f)]++;
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_in_range(hits[i], 50, 150);
}

static void fragments_of_a_datagram_meet(void **state)
{
	uint32_t h = hash("10.0.0.1", "10.0.0.2", 0, 0);
	struct frame f;

	frame_start(&f, 0);
	put_ip(&f, "10.0.0.1", "10.0.0.2", 17, 0x2000, 0); // the first: more follow
	put_ports(&f, 4000, 11211);
	assert_int_equal(worker_of(&f), h % WORKERS);
	frame_start(&f, 0);
	put_ip(&f, "10.0.0.1", "10.0.0.2", 17, 185, 0); // the last
	put(&f, "xyz", 3);
	assert_int_equal(worker_of(&f), h % WORKERS);
}

static void an_icmp_error_follows_the_flow_that_it_quotes(void **state)
{
	uint32_t h = hash("10.0.0.1", "10.0.0.2", 4000, 11211);
	struct frame f;

	frame_start(&f, 0);
	put_ip(&f, "10.0.0.9", "10.0.0.2", 1, 0, 0);
	put(&f, "\3\4\0\0\0\0\5\xdc", 8); // fragmentation needed
	put_ip(&f, "10.0.0.2", "10.0.0.1", 6, 0, 0);
	put_ports(&f, 11211, 4000);
	assert_int_equal(worker_of(&f), h % WORKERS);
	f.b[34] = 8; // an echo request quotes nothing
	assert_int_equal(worker_of(&f), 0);
}

// ---- IPv6 ---------------------------------------------------------------------------------------
static void put_ip6(struct frame *f, const char *src, const char *dst, uint8_t next)
{
	uint8_t h[40] = {0x60, [7] = 64};
	struct base_ip a = ip(src), b = ip(dst);

	h[6] = next;
	memcpy(h + 8, &a, 16);
	memcpy(h + 24, &b, 16);
	put(f, h, 40);
}

static void frame6_start(struct frame *f)
{
	frame_start(f, 0);
	f->b[12] = 0x86;
	f->b[13] = 0xdd;
}

static void an_ipv6_flow_is_found_behind_its_headers(void **state)
{
	uint32_t h = hash("fd00::1", "fd00::2", 4000, 11211);
	struct frame f;

	frame6_start(&f);
	put_ip6(&f, "fd00::1", "fd00::2", 6);
	put_ports(&f, 4000, 11211);
	assert_int_equal(worker_of(&f), h % WORKERS);
	frame6_start(&f);
	put_ip6(&f, "fd00::1", "fd00::2", 0);
	put(&f, "\x3c\0\1\4\0\0\0\0", 8);                   // hop-by-hop
	put(&f, "\x2c\1\1\14\0\0\0\0\0\0\0\0\0\0\0\0", 16); // destination options
	put(&f, "\x11\0\0\0\1\2\3\4", 8);                   // a fragment that is all
	put_ports(&f, 4000, 11211);
	assert_int_equal(worker_of(&f), h % WORKERS);
}

static void ipv6_fragments_and_errors_find_their_flow(void **state)
{
	struct frame f;

	for (unsigned k = 0; k < 2; k++) {
		frame6_start(&f);
		put_ip6(&f, "fd00::1", "fd00::2", 44);
		put(&f, k ? "\x11\0\4\0\1\2\3\4" : "\x11\0\0\1\1\2\3\4", 8);
		put_ports(&f, 4000, 11211);
		assert_int_equal(worker_of(&f), hash("fd00::1", "fd00::2", 0, 0) % WORKERS);
	}
	frame6_start(&f);
	put_ip6(&f, "fd00::9", "fd00::2", 58);
	put(&f, "\2\0\0\0\0\0\5\0", 8); // packet too big
	put_ip6(&f, "fd00::2", "fd00::1", 6);
	put_ports(&f, 11211, 4000);
	assert_int_equal(worker_of(&f), hash("fd00::1", "fd00::2", 4000, 11211) % WORKERS);
	f.b[54] = (uint8_t)135; // a neighbour asks
	assert_int_equal(worker_of(&f), 0);
	for (unsigned len = f.len; len > 0; len--) { // cut anywhere: harmless
		f.len = len;
		assert_in_range(worker_of(&f), 0, WORKERS - 1);
	}
}

static void what_has_no_flow_goes_to_worker_0(void **state)
{
	struct frame f;

	memset(&f, 0, sizeof(f));
	put(&f, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\6\0\1\2\3", 18); // ARP
	assert_int_equal(worker_of(&f), 0);
	frame_start(&f, 3); // more tags than we look behind
	assert_int_equal(worker_of(&f), 0);
	frame_start(&f, 0);
	put_ip(&f, "10.0.0.1", "10.0.0.2", 47, 0, 0);
	put_ports(&f, 4000, 11211);
	assert_int_equal(worker_of(&f), 0);
}

static void frames_cut_anywhere_are_harmless(void **state)
{
	struct frame f;
	unsigned whole;

	frame_start(&f, 1);
	put_ip(&f, "10.0.0.9", "10.0.0.2", 1, 0, 4);
	put(&f, "\3\4\0\0\0\0\5\xdc", 8);
	put_ip(&f, "10.0.0.2", "10.0.0.1", 6, 0, 8);
	put_ports(&f, 11211, 4000);
	whole = f.len;
	for (unsigned len = 0; len <= whole; len++) {
		f.len = len;
		assert_in_range(worker_of(&f), 0, WORKERS - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_microsofts),
		cmocka_unit_test(a_flow_is_found_behind_tags_and_options),
		cmocka_unit_test(flows_reach_every_worker),
		cmocka_unit_test(fragments_of_a_datagram_meet),
		cmocka_unit_test(an_icmp_error_follows_the_flow_that_it_quotes),
		cmocka_unit_test(an_ipv6_flow_is_found_behind_its_headers),
		cmocka_unit_test(ipv6_fragments_and_errors_find_their_flow),
		cmocka_unit_test(what_has_no_flow_goes_to_worker_0),
		cmocka_unit_test(frames_cut_anywhere_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
