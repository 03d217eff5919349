// SPDX-License-Identifier: BSD-3-Clause
// ARP (RFC 826), address announcement and defence (RFC 5227).
#include "net/net_internal.h"

static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static void arp_send(struct net *net, uint16_t opcode, const struct rte_ether_addr *to,
	const struct rte_ether_addr *target_mac, rte_be32_t target_ip)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net->opt.pool);
	struct rte_arp_hdr *arp;
	uint8_t *frame;

	if (m == NULL) {
		net->n.no_mbuf++;
		return;
	}
	frame = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(net->l2_len + sizeof(*arp)));
	base_assert(frame != NULL);
	net_l2_write(net, frame, to, RTE_ETHER_TYPE_ARP);
	arp = (struct rte_arp_hdr *)(frame + net->l2_len);
	arp->arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
	arp->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = RTE_ETHER_ADDR_LEN;
	arp->arp_plen = sizeof(rte_be32_t);
	arp->arp_opcode = rte_cpu_to_be_16(opcode);
	arp->arp_data.arp_sha = net->opt.mac;
	arp->arp_data.arp_sip = net->opt.ip;
	arp->arp_data.arp_tha = *target_mac;
	arp->arp_data.arp_tip = target_ip;
	net->n.arp_tx++;
	net_frame_output(net, m);
}

void net_arp_request(struct net *net, rte_be32_t ip, const struct rte_ether_addr *mac)
{
	static const struct rte_ether_addr unknown = {{0}};

	arp_send(net, RTE_ARP_OP_REQUEST, mac ? mac : &everybody, &unknown, ip);
}

void net_announce(struct net *net, uint64_t now_us)
{
	net_arp_request(net, net->opt.ip, NULL);
	net->announce_due_us = now_us + NET_ANNOUNCE_GAP_US;
}

static bool arp_valid(const struct rte_arp_hdr *arp)
{
	uint16_t op = rte_be_to_cpu_16(arp->arp_opcode);

	return arp->arp_hardware == rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) &&
		arp->arp_protocol == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
		arp->arp_hlen == RTE_ETHER_ADDR_LEN && arp->arp_plen == sizeof(rte_be32_t) &&
		(op == RTE_ARP_OP_REQUEST || op == RTE_ARP_OP_REPLY) &&
		rte_is_valid_assigned_ether_addr(&arp->arp_data.arp_sha);
}

// Somebody else claims our address: claim it back, but not in a shouting match (RFC 5227 2.4 b).
static void conflict_handle(struct net *net, uint64_t now_us)
{
	net->n.arp_conflicts++;
	if (now_us < net->defend_after_us)
		return;
	net->defend_after_us = now_us + NET_DEFEND_US;
	net_arp_request(net, net->opt.ip, NULL);
}

// Returns whether the neighbours changed.
static bool arp_handle(
	struct net *net, const struct rte_arp_hdr *arp, uint64_t now_us, struct net_packet *pkt)
{
	const struct rte_arp_ipv4 *d = &arp->arp_data;
	bool for_us = d->arp_tip == net->opt.ip;
	bool learned = false;

	if (d->arp_sip == net->opt.ip) {
		if (!rte_is_same_ether_addr(&d->arp_sha, &net->opt.mac))
			conflict_handle(net, now_us);
		return false;
	}
	// a sender of 0 probes whether the address is free: answered, not learned (RFC 5227 2.1.1)
	if (d->arp_sip != 0) {
		if (!net_on_link(net, d->arp_sip) || d->arp_sip == net->broadcast) {
			net->n.bad_arp++;
			return false;
		}
		learned = net_neigh_update(net, d->arp_sip, &d->arp_sha, for_us, now_us);
		pkt->neigh_ip = d->arp_sip;
		pkt->neigh_mac = d->arp_sha;
	}
	if (for_us && arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST))
		arp_send(net, RTE_ARP_OP_REPLY, &d->arp_sha, &d->arp_sha, d->arp_sip);
	return learned;
}

enum net_verdict net_arp_input(
	struct net *net, struct rte_mbuf *m, uint16_t off, uint64_t now_us, struct net_packet *pkt)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(m, const struct rte_arp_hdr *, off);
	bool learned = false;

	net->n.arp_rx++;
	if (m->data_len < off + sizeof(*arp) || !arp_valid(arp))
		net->n.bad_arp++;
	else
		learned = arp_handle(net, arp, now_us, pkt);
	rte_pktmbuf_free(m);
	return learned ? NET_NEIGH : NET_DONE;
}
