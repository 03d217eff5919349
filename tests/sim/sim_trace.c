// SPDX-License-Identifier: BSD-3-Clause
// What happened on the wire: a hash of it all, a line a frame, a pcap file.

#include <stdarg.h>

#include <arpa/inet.h>

#include "sim.h"

static const char *const event_words[] = {
	[SIM_SENT] = "sent     ",
	[SIM_LOST] = "lost     ",
	[SIM_DELIVERED] = "arrives  ",
	[SIM_MISSED] = "no buffer",
	[SIM_FORGED] = "broken   ",
};

FILE *sim_pcap_open(const char *path)
{
	const uint32_t head[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
	FILE *f = fopen(path, "wb");

	if (f != NULL)
		fwrite(head, sizeof(head), 1, f);
	return f;
}

static void pcap_write(struct sim *s, const uint8_t *data, uint16_t len)
{
	const uint32_t head[4] = {(uint32_t)(s->now.mono_us / 1000000),
		(uint32_t)(s->now.mono_us % 1000000), len, len};

	fwrite(head, sizeof(head), 1, s->trace.pcap);
	fwrite(data, len, 1, s->trace.pcap);
}

static void tcp_print(FILE *to, const struct rte_tcp_hdr *t, unsigned bytes)
{
	static const char letters[] = "FSRPAUEC";
	char flags[9];
	unsigned n = 0, head = (t->data_off >> 4) * 4u;

	for (unsigned i = 0; i < 8; i++) {
		if (t->tcp_flags & 1 << i)
			flags[n++] = letters[i];
	}
	flags[n] = '\0';
	fprintf(to, "tcp %u > %u %-3s seq %u ack %u win %u len %u", rte_be_to_cpu_16(t->src_port),
		rte_be_to_cpu_16(t->dst_port), flags, rte_be_to_cpu_32(t->sent_seq),
		rte_be_to_cpu_32(t->recv_ack), rte_be_to_cpu_16(t->rx_win),
		bytes > head ? bytes - head : 0);
	for (const uint8_t *p = (const uint8_t *)t + 20;
		p < (const uint8_t *)t + head && head <= bytes;) {
		if (*p == 5 && p[1] >= 2) {
			for (unsigned i = 2; i + 8 <= p[1]; i += 8) {
				uint32_t edge[2];

				memcpy(edge, p + i, 8);
				fprintf(to, " sack %u-%u", ntohl(edge[0]), ntohl(edge[1]));
			}
		}
		if (*p == 0 || (*p != 1 && p[1] < 2))
			break;
		p += *p == 1 ? 1 : p[1];
	}
}

static void frame_print(FILE *to, const uint8_t *data, uint16_t len)
{
	const struct rte_ipv4_hdr *ip = (const void *)(data + RTE_ETHER_HDR_LEN);
	const uint8_t *l4 = data + RTE_ETHER_HDR_LEN + sizeof(*ip);

	if (data[12] != 0x08 || data[13] != 0x00 || len < RTE_ETHER_HDR_LEN + sizeof(*ip) + 8) {
		fprintf(to, "%02x%02x %u bytes\n", data[12], data[13], len);
		return;
	}
	fprintf(to, "%u>%u ", ((const uint8_t *)&ip->src_addr)[3],
		((const uint8_t *)&ip->dst_addr)[3]);
	if ((rte_be_to_cpu_16(ip->fragment_offset) & 0x3fff) != 0)
		fprintf(to, "fragment %u ", rte_be_to_cpu_16(ip->fragment_offset) & 0x1fff);
	else if (ip->next_proto_id == IPPROTO_TCP && len >= RTE_ETHER_HDR_LEN + 40)
		tcp_print(to, (const void *)l4, len - (unsigned)(l4 - data));
	else
		fprintf(to, "proto %u %u bytes", ip->next_proto_id, len);
	fputc('\n', to);
}

static void hash_add(struct sim_trace *t, const void *p, size_t len)
{
	t->hash = base_hash(p, len) ^ (t->hash << 7 | t->hash >> 57) * 0x9e3779b97f4a7c15u;
}

void sim_trace(
	struct sim *s, enum sim_event what, unsigned party, const uint8_t *data, uint16_t len)
{
	struct sim_trace *t = &s->trace;
	uint64_t head[2] = {s->now.mono_us, (uint64_t)what << 32 | party << 16 | len};

	hash_add(t, head, sizeof(head));
	hash_add(t, data, len);
	if (t->pcap != NULL && (what == SIM_SENT || what == SIM_FORGED))
		pcap_write(s, data, len);
	if (t->text == NULL)
		return;
	fprintf(t->text, "%10llu.%03llu %s ", (unsigned long long)(s->now.mono_us / 1000),
		(unsigned long long)(s->now.mono_us % 1000), event_words[what]);
	frame_print(t->text, data, len);
}

void sim_trace_note(struct sim *s, const char *fmt, ...)
{
	va_list args;

	if (s->trace.text == NULL)
		return;
	fprintf(s->trace.text, "%10llu.%03llu -- ", (unsigned long long)(s->now.mono_us / 1000),
		(unsigned long long)(s->now.mono_us % 1000));
	va_start(args, fmt);
	vfprintf(s->trace.text, fmt, args);
	va_end(args);
	fputc('\n', s->trace.text);
}
