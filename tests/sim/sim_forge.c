// SPDX-License-Identifier: BSD-3-Clause
// Frames that nobody of ours sent: resets, SYNs and acknowledgements of somebody who sees the
// addresses but not the sequence numbers (RFC 5961), and plain garbage. None may do harm.

#include "sim.h"

#define FORGE_IN 40 // frames, then one is forged

static struct rte_ipv4_hdr *ip_of(struct sim_frame *f)
{
	return (struct rte_ipv4_hdr *)(void *)(f->data + RTE_ETHER_HDR_LEN);
}

static struct rte_tcp_hdr *tcp_of(struct sim_frame *f)
{
	return (struct rte_tcp_hdr *)(void *)(ip_of(f) + 1);
}

// Only the headers go, with fields changed and sums made anew.
static void headers_only(struct sim_frame *f)
{
	struct rte_ipv4_hdr *ip = ip_of(f);
	struct rte_tcp_hdr *t = tcp_of(f);

	f->len = RTE_ETHER_HDR_LEN + sizeof(*ip) + sizeof(*t);
	ip->total_length = rte_cpu_to_be_16(sizeof(*ip) + sizeof(*t));
	t->data_off = 0x50;
	ip->hdr_checksum = t->cksum = 0;
	t->cksum = rte_ipv4_udptcp_cksum(ip, t);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

// A sequence number that is not the one that is waited for: near it, or anywhere.
static uint32_t seq_wrong(struct sim *s, uint32_t next)
{
	struct base_rng *rng = &s->link.rng;

	if (sim_pick(rng, 2) == 0)
		return next + 40000 + (uint32_t)sim_pick(rng, 60000);
	return next + (1u << 20) + (uint32_t)sim_pick(rng, 0xfff00000 - (2u << 20));
}

static bool tcp_forge(struct sim *s, struct sim_frame *f)
{
	struct base_rng *rng = &s->link.rng;
	struct rte_tcp_hdr *t = tcp_of(f);
	uint32_t next;

	if (f->to != SIM_TO_SERVER || !sim_watch_next_seq(s, f->data, f->len, &next))
		return false;
	switch (sim_pick(rng, 3)) {
	case 0:
		t->tcp_flags = RTE_TCP_RST_FLAG;
		t->sent_seq = rte_cpu_to_be_32(seq_wrong(s, next));
		break;
	case 1:
		t->tcp_flags = RTE_TCP_SYN_FLAG;
		t->sent_seq = rte_cpu_to_be_32((uint32_t)base_rng_next(rng));
		break;
	default: // acknowledges what was never sent, or long ago
		t->tcp_flags = RTE_TCP_ACK_FLAG;
		t->recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(t->recv_ack) + 0x10000000 +
			(uint32_t)sim_pick(rng, 0xe0000000));
		break;
	}
	headers_only(f);
	return true;
}

static void garbage(struct sim *s, struct sim_frame *f)
{
	struct base_rng *rng = &s->link.rng;

	f->len = (uint16_t)(RTE_ETHER_HDR_LEN + sim_pick(rng, f->len - RTE_ETHER_HDR_LEN + 1));
	for (unsigned i = 0; i < 4 && f->len > RTE_ETHER_HDR_LEN; i++)
		f->data[RTE_ETHER_HDR_LEN + sim_pick(rng, f->len - RTE_ETHER_HDR_LEN)] =
			(uint8_t)base_rng_next(rng);
	if (f->len > RTE_ETHER_HDR_LEN) // whatever the sums say, it is no IPv4
		f->data[RTE_ETHER_HDR_LEN] = (uint8_t)(0x50 | (f->data[RTE_ETHER_HDR_LEN] & 0x0f));
}

void sim_forge(struct sim *s, const struct sim_frame *f)
{
	const struct rte_ipv4_hdr *ip = (const void *)(f->data + RTE_ETHER_HDR_LEN);
	struct sim_frame *g;

	if (sim_pick(&s->link.rng, FORGE_IN) != 0 || f->data[12] != 0x08 || f->data[13] != 0x00)
		return;
	g = sim_frame_new(s, f->to, f->data, f->len);
	if (g == NULL)
		return;
	g->forged = true;
	if (sim_pick(&s->link.rng, 3) == 0)
		garbage(s, g);
	else if (ip->next_proto_id != IPPROTO_TCP || !tcp_forge(s, g)) {
		s->link.spare[s->link.spares++] = g;
		return;
	}
	s->link.forged++;
	sim_frame_push(s, g, s->now.mono_us);
}
