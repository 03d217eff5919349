// SPDX-License-Identifier: BSD-3-Clause
// Frames from anybody, several of one input: [how][length, 2 bytes][bytes]. `how` says what is made
// right about a frame that may be wrong in all else: addresses, IP's and TCP's or UDP's checksum.
// Checked: the stack survives, and every mbuf and byte is given back.
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "../pkt/pkt.h"

#define FRAMES_MAX 64
#define FRAME_MAX  1900

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void mend_l4(uint8_t *l4, uint32_t len, struct rte_ipv4_hdr *ip)
{
	if (ip->next_proto_id == IPPROTO_TCP && len >= sizeof(struct rte_tcp_hdr)) {
		struct rte_tcp_hdr *th = (void *)l4;

		th->dst_port = RTE_BE16(PKT_PORT);
		th->cksum = 0;
		th->cksum = rte_ipv4_udptcp_cksum(ip, l4);
	} else if (ip->next_proto_id == IPPROTO_UDP && len >= sizeof(struct rte_udp_hdr)) {
		struct rte_udp_hdr *uh = (void *)l4;

		uh->dgram_len = rte_cpu_to_be_16((uint16_t)len);
		uh->dgram_cksum = 0;
		uh->dgram_cksum = rte_ipv4_udptcp_cksum(ip, l4);
	} else if (ip->next_proto_id == IPPROTO_ICMP && len >= 8) {
		l4[2] = l4[3] = 0;
		*(uint16_t *)(void *)(l4 + 2) = (uint16_t)~rte_raw_cksum(l4, len);
	}
}

static void frame_mend(uint8_t *f, uint32_t len, uint8_t how)
{
	static const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	struct rte_ipv4_hdr *ip = (void *)(f + RTE_ETHER_HDR_LEN);

	if (how & 1 && len >= sizeof(macs))
		memcpy(f, macs, sizeof(macs));
	if (!(how & 2) || len < RTE_ETHER_HDR_LEN + sizeof(*ip))
		return;
	memcpy(f + 12, (uint8_t[]){8, 0, 0x45}, 3);
	ip->total_length = rte_cpu_to_be_16((uint16_t)(len - RTE_ETHER_HDR_LEN));
	ip->src_addr = RTE_BE32(0x0a000002);
	ip->dst_addr = RTE_BE32(0x0a000001);
	if (how & 4)
		ip->fragment_offset = 0;
	if (how & 8)
		mend_l4((uint8_t *)(ip + 1), len - RTE_ETHER_HDR_LEN - 20, ip);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct pkt_lab lab;
	static bool started;

	if (!started && pkt_eal_start("fuzz_frame") < 0)
		return 0;
	started = true;
	lab = (struct pkt_lab){.mtu = 1500, .irs = 5000, .pool = lab.pool, .release = true};
	pkt_lab_open(&lab);
	for (unsigned i = 0; i < FRAMES_MAX && len >= 3; i++) {
		uint8_t frame[FRAME_MAX], how = data[0];
		uint32_t n = ((uint32_t)data[1] << 8 | data[2]) % FRAME_MAX;

		data += 3;
		len -= 3;
		n = (uint32_t)RTE_MIN((size_t)n, len);
		memcpy(frame, data, n);
		data += n;
		len -= n;
		if (n == 0)
			continue;
		frame_mend(frame, n, how);
		pkt_frame_in(&lab, frame, n);
		pkt_lab_turn(&lab);
		if (how & 128)
			pkt_lab_advance(&lab, lab.now_us + 500000, false);
		lab.seen = lab.outs;
	}
	base_assert(pkt_lab_close(&lab) == NULL);
	return 0;
}
