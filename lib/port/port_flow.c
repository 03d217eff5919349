// SPDX-License-Identifier: BSD-3-Clause
// Software steering: the Toeplitz hash of RSS over the fields that a NIC would take, so that a
// flow's worker is the same whoever computes it.
#include <netinet/in.h>

#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_thash.h>

#include "base/base.h"
#include "port/port_internal.h"

// The key that Microsoft's RSS specification verifies implementations with; in words of host order,
// as rte_softrss_be wants it.
static const uint32_t flow_key[] = {0x6d5a56da, 0x255b0ec2, 0x4167253d, 0x43a38fb0, 0xd0ca2bcb,
	0xae7b30b4, 0x77cb2da3, 0x8030f20c, 0x6a42b73b, 0xbeac01fa};

uint32_t port_flow_hash(
	rte_be32_t src, rte_be32_t dst, uint16_t src_port, uint16_t dst_port, bool with_ports)
{
	uint32_t tuple[3] = {
		rte_be_to_cpu_32(src), rte_be_to_cpu_32(dst), (uint32_t)src_port << 16 | dst_port};

	return rte_softrss_be(tuple, with_ports ? 3 : 2, (const uint8_t *)flow_key);
}

// Offset of the IPv4 header behind Ethernet and up to two VLAN tags, 0: not IPv4.
static uint32_t ipv4_offset(const struct rte_mbuf *m)
{
	uint32_t off = 2 * RTE_ETHER_ADDR_LEN;

	for (int tags = 0; tags <= 2; tags++) {
		uint16_t type;
		const void *at = rte_pktmbuf_read(m, off, sizeof(type), &type);

		if (!at)
			return 0;
		memcpy(&type, at, sizeof(type)); // frames may start at odd addresses
		if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
			return off + 2;
		if (type != rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN) &&
			type != rte_cpu_to_be_16(RTE_ETHER_TYPE_QINQ))
			return 0;
		off += 4;
	}
	return 0;
}

static bool icmp_quotes(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12; // RFC 792
}

struct flow {
	rte_be32_t src, dst;
	uint16_t src_port, dst_port;
	bool ports, known;
};

// The flow of the IPv4 packet at off; *l4: where its payload starts, for ICMP.
static struct flow flow_read(const struct rte_mbuf *m, uint32_t off, uint8_t *proto, uint32_t *l4)
{
	struct flow f = {.known = false};
	struct rte_ipv4_hdr ip_buf;
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_read(m, off, sizeof(ip_buf), &ip_buf);
	rte_be16_t ports[2];
	const void *at;

	*proto = 0;
	if (!ip || (ip->version_ihl >> 4) != 4 || (ip->version_ihl & 15) < 5)
		return f;
	*l4 = off + (ip->version_ihl & 15) * 4u;
	*proto = ip->next_proto_id;
	f.src = ip->src_addr;
	f.dst = ip->dst_addr;
	if (ip->fragment_offset &
		rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) {
		f.known = true;
		*proto = 0;
		return f;
	}
	if (*proto != IPPROTO_TCP && *proto != IPPROTO_UDP)
		return f;
	at = rte_pktmbuf_read(m, *l4, sizeof(ports), ports);
	if (!at)
		return f;
	memcpy(ports, at, sizeof(ports));
	f.src_port = rte_be_to_cpu_16(ports[0]);
	f.dst_port = rte_be_to_cpu_16(ports[1]);
	f.known = f.ports = true;
	return f;
}

unsigned port_flow_worker(const struct port *port, const struct rte_mbuf *m)
{
	uint32_t l4, off = ipv4_offset(m);
	uint8_t proto, quoted_proto;
	struct flow f;

	if (port->workers <= 1 || !off)
		return 0;
	f = flow_read(m, off, &proto, &l4);
	if (proto == IPPROTO_ICMP) {
		uint8_t buf;
		const uint8_t *type = rte_pktmbuf_read(m, l4, 1, &buf);

		if (!type || !icmp_quotes(*type))
			return 0;
		// the quoted packet is one of ours: the flow comes in the other way round
		f = flow_read(m, l4 + sizeof(struct rte_icmp_hdr), &quoted_proto, &l4);
		if (!f.known)
			return 0;
		return port_flow_hash(f.dst, f.src, f.dst_port, f.src_port, f.ports) %
			port->workers;
	}
	if (!f.known)
		return 0;
	return port_flow_hash(f.src, f.dst, f.src_port, f.dst_port, f.ports) % port->workers;
}
