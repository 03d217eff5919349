// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum (RFC 1071) over mbuf chains.
#include "net/net_internal.h"
#include "net/net_sum.h"

static inline uint32_t fold32(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	return (uint32_t)sum;
}

static inline uint16_t fold16(uint64_t sum)
{
	uint32_t s = fold32(sum);

	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)((s & 0xffff) + (s >> 16));
}

uint16_t net_sum(const struct rte_mbuf *m, uint32_t off)
{
	uint64_t sum = 0;
	bool odd = false; // bytes summed so far

	for (; m != NULL; m = m->next) {
		if (off >= m->data_len) {
			off -= m->data_len;
			continue;
		}
		uint32_t len = m->data_len - off;
		uint16_t s = net_sum_fold(
			net_sum_bytes(rte_pktmbuf_mtod_offset(m, const char *, off), len));

		// a segment that starts at an odd byte has its halves swapped (RFC 1071 2.B)
		sum += odd ? __builtin_bswap16(s) : s;
		odd ^= len & 1;
		off = 0;
	}
	return fold16(sum);
}

uint16_t net_l4_checksum(const struct rte_mbuf *m, uint32_t l4_off, const struct base_ip *src,
	const struct base_ip *dst, uint8_t proto)
{
	uint32_t len = m->pkt_len - l4_off;

	base_assert(l4_off <= m->pkt_len);
	return (uint16_t)~fold16(
		(uint64_t)net_sum(m, l4_off) + net_pseudo_sum(src, dst, proto, len));
}
