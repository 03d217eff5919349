// SPDX-License-Identifier: BSD-3-Clause
// A SYN flood: first segments from addresses of 10.0.0.0/8, each once, at an even rate. Nobody
// answers what comes back.
#include <rte_ip.h>
#include <rte_tcp.h>

#include "dpdk.h"

#define FLOOD_NET   UINT32_C(0x0a000000)
#define FLOOD_SLACK UINT64_C(1000000) // ns that a late generator makes up for

struct flood_frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_tcp_hdr tcp;
	uint8_t mss[4];
} __attribute__((packed, aligned(2)));

static void frame_write(struct dpdk *d, struct flood_frame *f)
{
	uint64_t r = base_rng_next(&d->flood_rng);

	f->eth = (struct rte_ether_hdr){.dst_addr = d->server_mac,
		.src_addr = d->port.mac,
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	f->ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = RTE_BE16(sizeof(f->ip) + sizeof(f->tcp) + sizeof(f->mss)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = rte_cpu_to_be_32(FLOOD_NET | (uint32_t)(r & 0xffffff)),
		.dst_addr = base_ip_as4(&d->b->o->server)};
	f->ip.hdr_checksum = rte_ipv4_cksum(&f->ip);
	f->tcp = (struct rte_tcp_hdr){.src_port = (rte_be16_t)(r >> 24 | 4),
		.dst_port = rte_cpu_to_be_16(d->b->o->port),
		.sent_seq = (rte_be32_t)(r >> 32),
		.data_off = (sizeof(f->tcp) + sizeof(f->mss)) / 4 << 4,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.rx_win = RTE_BE16(65535)};
	memcpy(f->mss, (uint8_t[]){2, 4, 1460 >> 8, 1460 & 0xff}, sizeof(f->mss));
	f->tcp.cksum = rte_ipv4_udptcp_cksum(&f->ip, &f->tcp);
}

void dpdk_flood_turn(struct dpdk *d)
{
	struct bench *b = d->b;
	uint64_t gap_ns = UINT64_C(1000000000) / b->o->flood;
	struct rte_mbuf *m[DPDK_BURST];
	uint16_t n = 0;

	if (rte_is_zero_ether_addr(&d->server_mac))
		return;
	d->flood_ns = base_max_u64(d->flood_ns, b->now_ns - FLOOD_SLACK);
	for (; n < DPDK_BURST && d->flood_ns < b->now_ns; n++, d->flood_ns += gap_ns) {
		m[n] = rte_pktmbuf_alloc(d->queue->pool);
		if (m[n] == NULL)
			break;
		frame_write(d, (void *)rte_pktmbuf_append(m[n], sizeof(struct flood_frame)));
	}
	b->n.syns += n;
	if (n)
		d->tx.flush(d->tx.arg, m, n);
}
