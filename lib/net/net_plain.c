// SPDX-License-Identifier: BSD-3-Clause
// The plainest datagrams of all, answered in the buffer they came in: one mbuf, no VLAN tag, IPv4
// without options or fragments, from a host on the link. Whatever is not that plain is for
// net_input, which also counts what is wrong with it.
#include "net/net_internal.h"
#include "net/net_sum.h"

struct plain_head {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
};
static_assert(sizeof(struct plain_head) == NET_PLAIN_HEAD, "callers find the payload behind it");

// The first 26 bytes of such a frame, in two pieces that overlap.
#define PLAIN_SECOND 10
struct plain_bytes {
	uint64_t first[2], second[2];
};
static_assert(PLAIN_SECOND + sizeof(uint64_t[2]) == offsetof(struct plain_head, ip.src_addr),
	"up to the addresses");

static inline struct plain_bytes plain_bytes_read(const void *frame)
{
	struct plain_bytes b;

	memcpy(b.first, frame, sizeof(b.first));
	memcpy(b.second, (const char *)frame + PLAIN_SECOND, sizeof(b.second));
	return b;
}

static void plain_pattern_write(
	struct net_plain *plain, const struct plain_head *want, const struct plain_head *mask)
{
	struct plain_bytes w = plain_bytes_read(want), m = plain_bytes_read(mask);

	memcpy(plain->want, &w, sizeof(w));
	memcpy(plain->mask, &m, sizeof(m));
}
static_assert(sizeof(struct plain_bytes) == sizeof(((struct net_plain *)0)->want), "all of it");

void net_plain_init(struct net *net)
{
	struct plain_head want = {
		.eth = {.dst_addr = net->opt.mac, .ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)},
		.ip = {.version_ihl = RTE_IPV4_VHL_DEF, .next_proto_id = IPPROTO_UDP}};
	struct plain_head mask = {.eth = {.ether_type = UINT16_MAX},
		.ip = {.version_ihl = UINT8_MAX,
			.fragment_offset = RTE_BE16((uint16_t)~RTE_IPV4_HDR_DF_FLAG),
			.next_proto_id = UINT8_MAX}};

	memset(&mask.eth.dst_addr, UINT8_MAX, sizeof(mask.eth.dst_addr));
	mask.eth.src_addr.addr_bytes[0] = RTE_ETHER_GROUP_ADDR;
	plain_pattern_write(&net->plain, &want, &mask);
	for (unsigned i = 0; i < net->opt.owns; i++)
		net->plain.alone[i] = net->own4[i] != 0 && net_ipv4_alone(net, i);
}

// The buffer can be sent again as it is: nobody else holds it, and it is one of `pool`.
static inline bool mbuf_own(const struct rte_mbuf *m, const struct rte_mempool *pool)
{
	const uint64_t other =
		RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_VLAN_STRIPPED;

	return ((m->nb_segs ^ 1) | (rte_mbuf_refcnt_read(m) ^ 1)) == 0 &&
		(m->ol_flags & other) == 0 && m->pool == pool;
}

// What a plain datagram has in these fields; `port` is ours.
static inline bool head_plain(const struct net *net, const struct plain_head *h, rte_be16_t port)
{
	const struct plain_bytes b = plain_bytes_read(h);
	const uint64_t *want = net->plain.want, *mask = net->plain.mask;
	uint64_t other;

	other = (b.first[0] ^ want[0]) & mask[0];
	other |= (b.first[1] ^ want[1]) & mask[1];
	other |= (b.second[0] ^ want[2]) & mask[2];
	other |= (b.second[1] ^ want[3]) & mask[3];
	other |= (unsigned)(h->udp.dst_port ^ port) | net->opt.vlan;
	return other == 0 && h->udp.src_port != 0;
}

// Addressed to one of our addresses, by a host of the same prefix.
static inline bool hosts_valid(const struct net *net, const struct rte_ipv4_hdr *ip)
{
	const rte_be32_t from = ip->src_addr, to = ip->dst_addr;
	unsigned local = net_own4_find(net, to);

	if (base_unlikely(local == NET_OWN_MAX) ||
		((from ^ to) & base_ip_as4(&net->mask[local])) != 0)
		return false;
	if (base_likely(net->plain.alone[local]))
		return from != to && from != net->broadcast[local];
	return net_ipv4_source_valid(net, from);
}

static inline bool ip_good(
	const struct net *net, const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip)
{
	const char *p = (const char *)ip;
	uint64_t sum;

	if (net_ipv4_sum_told(net, m))
		return true;
	sum = net_sum_add(net_sum_word(p), net_sum_word(p + 8));
	return net_sum_fold(net_sum_add(sum, ip->dst_addr)) == UINT16_MAX;
}

// The addresses lie before the UDP header: with protocol and length they are the pseudo header.
static inline bool udp_good(const struct net *net, const struct rte_mbuf *m,
	const struct plain_head *h, uint16_t udp_bytes)
{
	const unsigned addresses = sizeof(h->ip.src_addr) + sizeof(h->ip.dst_addr);
	uint64_t sum;

	if (h->udp.dgram_cksum == 0 || net_l4_checked(net, m, IPPROTO_UDP))
		return true;
	sum = net_sum_bytes((const char *)&h->udp - addresses, addresses + udp_bytes);
	sum = net_sum_add(sum, RTE_BE16(IPPROTO_UDP) + (uint64_t)h->udp.dgram_len);
	return net_sum_fold(sum) == UINT16_MAX;
}

uint16_t net_plain_input(const struct net *net, const struct rte_mbuf *m, rte_be16_t port)
{
	const struct plain_head *h = rte_pktmbuf_mtod(m, const struct plain_head *);
	uint16_t total, udp_bytes;

	if (m->data_len <= sizeof(*h) || !mbuf_own(m, net->opt.pool) || !head_plain(net, h, port))
		return 0;
	total = rte_be_to_cpu_16(h->ip.total_length);
	udp_bytes = rte_be_to_cpu_16(h->udp.dgram_len);
	if (RTE_ETHER_HDR_LEN + total > m->data_len || udp_bytes <= sizeof(h->udp) ||
		total != sizeof(h->ip) + udp_bytes)
		return 0;
	if (!hosts_valid(net, &h->ip) || !ip_good(net, m, &h->ip) ||
		!udp_good(net, m, h, udp_bytes))
		return 0;
	return net_plain_room(net, m);
}

uint16_t net_plain_room(const struct net *net, const struct rte_mbuf *m)
{
	uint16_t room = (uint16_t)(m->buf_len - m->data_off - NET_PLAIN_HEAD);

	return RTE_MIN(room,
		(uint16_t)(net->opt.mtu - sizeof(struct rte_ipv4_hdr) -
			sizeof(struct rte_udp_hdr)));
}

uint16_t net_plain_bytes(const struct rte_mbuf *m)
{
	const struct plain_head *h = rte_pktmbuf_mtod(m, const struct plain_head *);

	return (uint16_t)(rte_be_to_cpu_16(h->udp.dgram_len) - sizeof(h->udp));
}

// What of the headers is written anew, as words: they are composed in registers, and their
// checksums of that. Reading fields back would wait for the stores.
struct plain_words {
	uint64_t version_id; // version, length and number; no fragment
	uint32_t ttl_sum;    // time to live, protocol, checksum
	uint64_t addresses;
	uint32_t ports, length_sum;
} __attribute__((packed));
static_assert(
	sizeof(struct plain_words) == sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr),
	"both headers");

static inline void plain_head_turn(struct net *net, struct plain_head *h, uint16_t udp_bytes,
	uint64_t payload_sum, uint64_t offload)
{
	const rte_be16_t total = rte_cpu_to_be_16((uint16_t)(sizeof(h->ip) + udp_bytes));
	const rte_be16_t udp_len = rte_cpu_to_be_16(udp_bytes), id = rte_cpu_to_be_16(net->ip_id++);
	struct plain_words w;
	uint64_t sum;

	memcpy(&w, &h->ip, sizeof(w));
	w.addresses = w.addresses << 32 | w.addresses >> 32;
	w.ports = w.ports << 16 | w.ports >> 16;
	w.version_id = RTE_IPV4_VHL_DEF | (uint64_t)total << 16 | (uint64_t)id << 32;
	w.ttl_sum = NET_TTL | IPPROTO_UDP << 8;
	w.length_sum = udp_len;
	if (!(offload & RTE_MBUF_F_TX_IP_CKSUM)) {
		sum = net_sum_add(w.addresses, w.version_id + w.ttl_sum);
		w.ttl_sum |= (uint32_t)(uint16_t)~net_sum_fold(sum) << 16;
	}
	sum = net_sum_add(w.addresses, RTE_BE16(IPPROTO_UDP) + udp_len);
	if (offload & RTE_MBUF_F_TX_UDP_CKSUM) {
		w.length_sum |= (uint32_t)net_sum_fold(sum) << 16;
	} else {
		sum = net_sum_add(net_sum_add(sum, payload_sum), (uint64_t)w.ports + udp_len);
		sum = (uint16_t)~net_sum_fold(sum);
		w.length_sum |= (uint32_t)(sum == 0 ? UINT16_MAX : sum) << 16; // 0: none (RFC 768)
	}
	memcpy(&h->ip, &w, sizeof(w));
}
static_assert(RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN, "the first byte of a word is its lowest");

void net_plain_reply_summed(
	struct net *net, struct rte_mbuf *m, uint16_t bytes, uint64_t payload_sum)
{
	struct plain_head *h = rte_pktmbuf_mtod(m, struct plain_head *);
	uint64_t offload = 0;

	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		offload = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	if (net->tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
		offload |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
	net->n.rx_frames++;
	net->n.rx_bytes += m->pkt_len;
	rte_ether_addr_copy(&h->eth.src_addr, &h->eth.dst_addr);
	rte_ether_addr_copy(&net->opt.mac, &h->eth.src_addr);
	plain_head_turn(net, h, (uint16_t)(sizeof(h->udp) + bytes), payload_sum, offload);
	m->data_len = (uint16_t)(sizeof(*h) + bytes);
	m->pkt_len = m->data_len;
	m->ol_flags = offload;
	if (offload != 0) // else nobody reads it, and its line may be another core's
		m->tx_offload = rte_mbuf_tx_offload(sizeof(h->eth), sizeof(h->ip), 0, 0, 0, 0, 0);
	net_frame_queue(net, m);
}

void net_plain_reply(struct net *net, struct rte_mbuf *m, uint16_t bytes)
{
	const char *payload = rte_pktmbuf_mtod_offset(m, const char *, NET_PLAIN_HEAD);

	net_plain_reply_summed(net, m, bytes, net_sum_bytes(payload, bytes));
}
