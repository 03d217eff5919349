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

uint32_t port_flow_hash(const struct base_ip *src, const struct base_ip *dst, uint16_t src_port,
	uint16_t dst_port, bool with_ports)
{
	unsigned words = base_ip_is4(src) ? 1 : 4, n = 0;
	uint32_t tuple[9];

	for (unsigned i = 4 - words; i < 4; i++)
		tuple[n++] = rte_be_to_cpu_32(src->w32[i]);
	for (unsigned i = 4 - words; i < 4; i++)
		tuple[n++] = rte_be_to_cpu_32(dst->w32[i]);
	if (with_ports)
		tuple[n++] = (uint32_t)src_port << 16 | dst_port;
	return rte_softrss_be(tuple, n, (const uint8_t *)flow_key);
}

// Offset of the IP header behind Ethernet and up to two VLAN tags, 0: not IP. *ip4: its version.
static uint32_t ip_offset(const struct rte_mbuf *m, bool *ip4)
{
	uint32_t off = 2 * RTE_ETHER_ADDR_LEN;

	for (int tags = 0; tags <= 2; tags++) {
		uint16_t type;
		const void *at = rte_pktmbuf_read(m, off, sizeof(type), &type);

		if (!at)
			return 0;
		memcpy(&type, at, sizeof(type)); // frames may start at odd addresses
		*ip4 = type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
		if (*ip4 || type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6))
			return off + 2;
		if (type != rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN) &&
			type != rte_cpu_to_be_16(RTE_ETHER_TYPE_QINQ))
			return 0;
		off += 4;
	}
	return 0;
}

static bool icmp_quotes(uint8_t type, bool ip4)
{
	if (!ip4)
		return type < 128;                                              // RFC 4443
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12; // RFC 792
}

struct flow {
	struct base_ip src, dst;
	uint16_t src_port, dst_port;
	bool ports, known;
	uint8_t proto; // 0: a fragment, or not known
	uint32_t l4;   // where the payload starts
};

static bool ip4_read(const struct rte_mbuf *m, uint32_t off, struct flow *f)
{
	struct rte_ipv4_hdr buf;
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_read(m, off, sizeof(buf), &buf);

	if (!ip || (ip->version_ihl >> 4) != 4 || (ip->version_ihl & 15) < 5)
		return false;
	f->l4 = off + (ip->version_ihl & 15) * 4u;
	f->src = base_ip4(ip->src_addr);
	f->dst = base_ip4(ip->dst_addr);
	f->known = ip->fragment_offset &
		rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
	f->proto = f->known ? 0 : ip->next_proto_id;
	return true;
}

// Extension headers that may stand before TCP and UDP are passed over: what carries them belongs to
// the same flow as what does not. A device would hash such packets by their addresses.
#define EXT_HEADERS_MAX 8

static bool ip6_read(const struct rte_mbuf *m, uint32_t off, struct flow *f)
{
	struct rte_ipv6_hdr buf;
	const struct rte_ipv6_hdr *ip = rte_pktmbuf_read(m, off, sizeof(buf), &buf);

	if (!ip || rte_be_to_cpu_32(ip->vtc_flow) >> 28 != 6)
		return false;
	memcpy(&f->src, ip->src_addr, sizeof(f->src));
	memcpy(&f->dst, ip->dst_addr, sizeof(f->dst));
	f->proto = ip->proto;
	f->l4 = off + sizeof(buf);
	for (unsigned i = 0; i < EXT_HEADERS_MAX; i++) {
		uint8_t head_buf[4];
		const uint8_t *head;

		if (f->proto != IPPROTO_HOPOPTS && f->proto != IPPROTO_DSTOPTS &&
			f->proto != IPPROTO_ROUTING && f->proto != IPPROTO_FRAGMENT)
			return true;
		head = rte_pktmbuf_read(m, f->l4, sizeof(head_buf), head_buf);
		if (!head)
			return false;
		if (f->proto == IPPROTO_FRAGMENT && ((head[2] << 8 | head[3]) & ~6) != 0) {
			f->known = true;
			f->proto = 0;
			return true;
		}
		f->l4 += f->proto == IPPROTO_FRAGMENT ? 8 : 8 + 8u * head[1];
		f->proto = head[0];
	}
	return false;
}

// The flow of the IP packet at off.
static struct flow flow_read(const struct rte_mbuf *m, uint32_t off, bool ip4)
{
	struct flow f = {.known = false};
	rte_be16_t ports[2];
	const void *at;

	if (!(ip4 ? ip4_read(m, off, &f) : ip6_read(m, off, &f)))
		f.proto = 0;
	if (f.proto != IPPROTO_TCP && f.proto != IPPROTO_UDP)
		return f;
	at = rte_pktmbuf_read(m, f.l4, sizeof(ports), ports);
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
	bool ip4 = false;
	uint32_t off = ip_offset(m, &ip4);
	struct flow f;

	if (port->workers <= 1 || !off)
		return 0;
	f = flow_read(m, off, ip4);
	if (f.proto == (ip4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		uint8_t buf;
		const uint8_t *type = rte_pktmbuf_read(m, f.l4, 1, &buf);

		if (!type || !icmp_quotes(*type, ip4))
			return 0;
		// the quoted packet is one of ours: the flow comes in the other way round
		f = flow_read(m, f.l4 + sizeof(struct rte_icmp_hdr), ip4);
		if (!f.known)
			return 0;
		return port_flow_hash(&f.dst, &f.src, f.dst_port, f.src_port, f.ports) %
			port->workers;
	}
	if (!f.known)
		return 0;
	return port_flow_hash(&f.src, &f.dst, f.src_port, f.dst_port, f.ports) % port->workers;
}
