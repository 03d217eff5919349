// SPDX-License-Identifier: BSD-3-Clause
// ARP (RFC 826), address announcement and defence (RFC 5227).
#include "net/net_internal.h"

static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static void arp_send(struct net *net, uint16_t opcode, unsigned local,
	const struct rte_ether_addr *to, const struct rte_ether_addr *target_mac,
	rte_be32_t target_ip)
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
	arp->arp_data.arp_sip = net->own4[local];
	arp->arp_data.arp_tha = *target_mac;
	arp->arp_data.arp_tip = target_ip;
	net->n.arp_tx++;
	net_frame_output(net, m);
}

void net_arp_request(
	struct net *net, unsigned local, rte_be32_t ip, const struct rte_ether_addr *mac)
{
	static const struct rte_ether_addr unknown = {{0}};

	arp_send(net, RTE_ARP_OP_REQUEST, local, mac ? mac : &everybody, &unknown, ip);
}

void net_arp_announce(struct net *net)
{
	for (unsigned i = 0; i < net->opt.owns; i++) {
		if (net->own4[i] != 0)
			net_arp_request(net, i, net->own4[i], NULL);
	}
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
static void conflict_handle(struct net *net, unsigned local, uint64_t now_us)
{
	net->n.arp_conflicts++;
	if (now_us < net->defend_after_us)
		return;
	net->defend_after_us = now_us + NET_DEFEND_US;
	net_arp_request(net, local, net->own4[local], NULL);
}

// Whether a stranger may say that it has `ip`.
static bool sender_valid(const struct net *net, const struct base_ip *ip)
{
	unsigned local = net_on_link(net, ip);

	return local < NET_OWN_MAX && base_ip_as4(ip) != net->broadcast[local];
}

// Returns whether the neighbours changed.
static bool arp_handle(
	struct net *net, const struct rte_arp_hdr *arp, uint64_t now_us, struct net_packet *pkt)
{
	const struct rte_arp_ipv4 *d = &arp->arp_data;
	unsigned target = net_own4_find(net, d->arp_tip), claimed = net_own4_find(net, d->arp_sip);
	bool learned = false;

	if (claimed < NET_OWN_MAX) {
		if (!rte_is_same_ether_addr(&d->arp_sha, &net->opt.mac))
			conflict_handle(net, claimed, now_us);
		return false;
	}
	// a sender of 0 probes whether the address is free: answered, not learned (RFC 5227 2.1.1)
	if (d->arp_sip != 0) {
		pkt->src = base_ip4(d->arp_sip);
		pkt->src_mac = d->arp_sha;
		if (!sender_valid(net, &pkt->src)) {
			net->n.bad_arp++;
			return false;
		}
		learned =
			net_neigh_update(net, &pkt->src, &d->arp_sha, target < NET_OWN_MAX, now_us);
	}
	if (target < NET_OWN_MAX && arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST))
		arp_send(net, RTE_ARP_OP_REPLY, target, &d->arp_sha, &d->arp_sha, d->arp_sip);
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
