// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk_prepared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>

#include "dpdk.h"

#define L4_OFF         (RTE_ETHER_HDR_LEN + (unsigned)sizeof(struct rte_ipv4_hdr))
#define HEAD_MAX       (L4_OFF + TCP_HEADER_MAX)
#define TS_HEAD_LEN    32 // of a TCP header with NOP NOP timestamp and nothing else
#define TS_ECHO_OFF    28
#define ROWS           64 // of source addresses, which follow one another
#define PORTS          65536
#define CLIENTS_CACHED 1024
#define LINK_FRAMES    2048 // in flight: less than its queues hold
#define LOOK_NS        UINT64_C(1000000000)
#define LOST_NS        UINT64_C(2000000000)

struct prepared_conn {
	struct bench_client *client;
	uint32_t snd_nxt, rcv_nxt;
	rte_be32_t ts_recent;
	uint16_t mss;
	uint8_t head_len; // 0: no segment has been seen
	bool ts, heard, due;
	uint32_t ip_sum, tcp_sum; // of the pattern, but for what is patched
	uint8_t head[HEAD_MAX];
};

struct prepared {
	struct dpdk *d;
	struct prepared_conn *conn; // one a client
	uint32_t *place; // ROWS x PORTS: the connection of a local address and port, plus 1
	uint32_t *due;   // a ring: connections that got data, and have sent nothing since
	unsigned due_at, dues;
	uint64_t look_ns;
};

int prepared_open(struct prepared **out, struct dpdk *d)
{
	struct prepared *p = calloc(1, sizeof(*p));

	*out = p;
	if (p == NULL)
		return -ENOMEM;
	p->d = d;
	p->conn = calloc(d->b->clients, sizeof(*p->conn));
	p->place = calloc((size_t)ROWS * PORTS, sizeof(*p->place));
	p->due = calloc(d->b->clients, sizeof(*p->due));
	return p->conn && p->place && p->due ? 0 : -ENOMEM;
}

void prepared_close(struct prepared *p)
{
	if (p == NULL)
		return;
	free(p->conn);
	free(p->place);
	free(p->due);
	free(p);
}

// Of an address and a port of ours, as they are in headers.
static uint32_t *place_of(const struct prepared *p, rte_be32_t ip, rte_be16_t port)
{
	return &p->place[(rte_be_to_cpu_32(ip) % ROWS) * PORTS + rte_be_to_cpu_16(port)];
}

void prepared_add(struct prepared *p, const struct bench_client *c)
{
	const struct base_ip *own = net_ip(p->d->net, tcp_local(c->conn));
	uint32_t i = (uint32_t)(c - p->d->b->client);

	*place_of(p, own->w32[3], rte_cpu_to_be_16(tcp_local_port(c->conn))) = i + 1;
	p->conn[i] = (struct prepared_conn){.client = &p->d->b->client[i]};
}

// ---- frames that go by, or come in ------------------------------------------------------------

struct frame {
	struct prepared_conn *conn;
	const struct rte_ipv4_hdr *ip;
	const struct rte_tcp_hdr *tcp;
	unsigned tcp_len; // of the header
	uint32_t data_len;
};

// Whether it is a TCP segment of a connection of ours. `out`: on its way to the server.
static bool frame_read(
	const struct prepared *p, const struct rte_mbuf *m, bool out, struct frame *f)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	rte_be32_t server = p->d->b->o->server.w32[3], own;
	unsigned total;
	uint32_t place;

	f->ip = (const struct rte_ipv4_hdr *)(eth + 1);
	f->tcp = (const struct rte_tcp_hdr *)(f->ip + 1);
	if (m->data_len < L4_OFF + sizeof(*f->tcp) ||
		eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		f->ip->version_ihl != RTE_IPV4_VHL_DEF || f->ip->next_proto_id != IPPROTO_TCP ||
		(out ? f->ip->dst_addr : f->ip->src_addr) != server)
		return false;
	own = out ? f->ip->src_addr : f->ip->dst_addr;
	place = *place_of(p, own, out ? f->tcp->src_port : f->tcp->dst_port);
	f->tcp_len = (unsigned)(f->tcp->data_off >> 4) * 4;
	total = rte_be_to_cpu_16(f->ip->total_length);
	if (place == 0 || f->tcp_len < sizeof(*f->tcp) || L4_OFF + f->tcp_len > m->data_len ||
		total < sizeof(*f->ip) + f->tcp_len || RTE_ETHER_HDR_LEN + total > m->pkt_len)
		return false;
	f->conn = &p->conn[place - 1];
	f->data_len = total - (unsigned)sizeof(*f->ip) - f->tcp_len;
	return true;
}

void prepared_note_tx(struct prepared *p, const struct rte_mbuf *m)
{
	struct prepared_conn *c;
	struct frame f;

	if (!frame_read(p, m, true, &f))
		return;
	c = f.conn;
	c->head_len = (uint8_t)(L4_OFF + f.tcp_len);
	memcpy(c->head, rte_pktmbuf_mtod(m, const void *), c->head_len);
	c->snd_nxt = rte_be_to_cpu_32(f.tcp->sent_seq) + f.data_len +
		!!(f.tcp->tcp_flags & RTE_TCP_SYN_FLAG);
}

static bool ts_alone(const struct rte_tcp_hdr *tcp, unsigned tcp_len)
{
	static const uint8_t head[4] = {1, 1, 8, 10}; // RFC 7323, appendix A

	return tcp_len == TS_HEAD_LEN && !memcmp(tcp + 1, head, sizeof(head));
}

static void ts_take(struct prepared_conn *c, const struct frame *f)
{
	if (ts_alone(f->tcp, f->tcp_len))
		memcpy(&c->ts_recent, (const uint8_t *)f->tcp + sizeof(*f->tcp) + 4,
			sizeof(c->ts_recent));
}

// The timestamp of a segment with any options: a SYN's stands among others. Without it, the echo
// would tell the server of a round trip as long as its clock has run.
static void ts_find(struct prepared_conn *c, const struct frame *f)
{
	const uint8_t *option = (const uint8_t *)(f->tcp + 1);
	unsigned len = f->tcp_len - (unsigned)sizeof(*f->tcp);

	for (unsigned at = 0; at < len && option[at] != 0;) {
		if (option[at] == 1) {
			at++;
			continue;
		}
		if (at + 2 > len || option[at + 1] < 2)
			return;
		if (option[at] == 8 && at + 10 <= len)
			memcpy(&c->ts_recent, option + at + 2, sizeof(c->ts_recent));
		at += option[at + 1];
	}
}

void prepared_note_rx(struct prepared *p, const struct rte_mbuf *m)
{
	struct prepared_conn *c;
	struct frame f;
	uint32_t end;

	if (!frame_read(p, m, false, &f))
		return;
	c = f.conn;
	end = rte_be_to_cpu_32(f.tcp->sent_seq) + f.data_len +
		!!(f.tcp->tcp_flags & RTE_TCP_SYN_FLAG);
	if (c->heard && (int32_t)(end - c->rcv_nxt) < 0)
		return;
	c->heard = true;
	c->rcv_nxt = end;
	ts_find(c, &f);
}

// ---- patterns -----------------------------------------------------------------------------------

static void pattern_make(struct prepared_conn *c)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(c->head + RTE_ETHER_HDR_LEN);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);
	unsigned tcp_len = c->head_len - L4_OFF;

	c->ts = ts_alone(tcp, tcp_len);
	c->mss = tcp_mss(c->client->conn);
	ip->total_length = 0;
	ip->hdr_checksum = 0;
	tcp->cksum = 0;
	tcp->sent_seq = tcp->recv_ack = 0;
	tcp->tcp_flags = 0;
	if (c->ts)
		memset((uint8_t *)tcp + TS_ECHO_OFF, 0, 4);
	c->ip_sum = rte_raw_cksum(ip, sizeof(*ip));
	// the pseudo header is summed with a length of 0
	c->tcp_sum = (uint32_t)rte_raw_cksum(tcp, tcp_len) + rte_raw_cksum(&ip->src_addr, 8) +
		RTE_BE16(IPPROTO_TCP);
}

void prepared_begin(struct prepared *p)
{
	for (unsigned i = 0; i < p->d->b->clients; i++) {
		if (p->conn[i].head_len && p->conn[i].heard)
			pattern_make(&p->conn[i]);
		else
			bench_fail(p->d->b, "--prepared needs untagged IPv4 frames");
	}
	p->look_ns = p->d->b->now_ns + LOOK_NS;
}

static uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

// Puts the pattern before the payload, which may be empty, and queues the segment.
static void segment_send(
	struct prepared *p, struct prepared_conn *c, struct rte_mbuf *m, uint8_t flags)
{
	char *data = rte_pktmbuf_mtod_offset(m, char *, c->head_len);
	unsigned tcp_len = c->head_len - L4_OFF, len = m->data_len - c->head_len;
	struct rte_ipv4_hdr *ip;
	struct rte_tcp_hdr *tcp;
	struct net_tx *tx = &p->d->tx;
	uint64_t sum;

	memcpy(rte_pktmbuf_mtod(m, void *), c->head, c->head_len);
	ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
	tcp = (struct rte_tcp_hdr *)(ip + 1);
	ip->total_length = rte_cpu_to_be_16((uint16_t)(m->data_len - RTE_ETHER_HDR_LEN));
	ip->hdr_checksum = (uint16_t)~sum_fold((uint64_t)c->ip_sum + ip->total_length);
	tcp->sent_seq = rte_cpu_to_be_32(c->snd_nxt);
	tcp->recv_ack = rte_cpu_to_be_32(c->rcv_nxt);
	tcp->tcp_flags = flags;
	if (c->ts)
		memcpy((uint8_t *)tcp + TS_ECHO_OFF, &c->ts_recent, 4);
	sum = (uint64_t)c->tcp_sum + tcp->sent_seq + tcp->recv_ack + RTE_BE16((uint16_t)flags) +
		rte_cpu_to_be_16((uint16_t)(tcp_len + len)) + (c->ts ? c->ts_recent : 0) +
		rte_raw_cksum(data, len);
	tcp->cksum = (uint16_t)~sum_fold(sum);
	m->pkt_len = m->data_len;
	c->snd_nxt += len;
	tx->m[tx->count++] = m;
	if (tx->count == NET_TX_BATCH)
		net_tx_flush(tx);
}

static struct rte_mbuf *segment_new(struct prepared *p, const struct prepared_conn *c)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->d->queue->pool);

	if (m == NULL)
		bench_fail(p->d->b, "out of packet buffers");
	else
		m->data_len = c->head_len;
	return m;
}

// What the client may ask, in as few segments as it fits into. False: nothing.
static bool requests_send(struct prepared *p, struct prepared_conn *c)
{
	const struct bench *b = p->d->b;
	// sets of the preload went through lib/tcp
	size_t most =
		b->o->get_ratio < 1 ? bench_request_max(b) : words_get_max(&b->words, b->o->multi);
	struct bench_request r;
	struct rte_mbuf *m = NULL;
	bool sent = false;

	while (bench_client_next(p->d->b, c->client, &r)) {
		char *to;

		if (m && m->data_len - c->head_len + most > c->mss) {
			segment_send(p, c, m, RTE_TCP_ACK_FLAG);
			m = NULL;
		}
		if (m == NULL)
			m = segment_new(p, c);
		if (m == NULL)
			return true;
		to = rte_pktmbuf_mtod_offset(m, char *, m->data_len);
		memcpy(to, r.head, r.head_len);
		if (r.set) {
			memcpy(to + r.head_len, r.value, r.value_len);
			memcpy(to + r.head_len + r.value_len, r.end, r.end_len);
			m->data_len += (uint16_t)(r.value_len + r.end_len);
		}
		m->data_len += (uint16_t)r.head_len;
		sent = true;
	}
	if (m)
		segment_send(p, c, m, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG);
	return sent;
}

// ---- a turn -------------------------------------------------------------------------------------

static void touch(struct prepared *p, struct prepared_conn *c)
{
	unsigned end = p->due_at + p->dues;

	if (c->due)
		return;
	c->due = true;
	base_assert(p->dues < p->d->b->clients);
	p->due[end < p->d->b->clients ? end : end - p->d->b->clients] = (uint32_t)(c - p->conn);
	p->dues++;
}

// The payload, which may lie in several mbufs.
static void data_read(struct prepared *p, struct prepared_conn *c, const struct rte_mbuf *m,
	uint32_t off, uint32_t len)
{
	for (; m && len; m = m->next) {
		uint32_t n = RTE_MIN(len, m->data_len - off);

		if (!bench_client_feed(
			    p->d->b, c->client, rte_pktmbuf_mtod_offset(m, const char *, off), n))
			return;
		len -= n;
		off = 0;
	}
}

static void conn_fetch(const struct prepared_conn *c)
{
	for (unsigned at = 0; at < sizeof(*c); at += BASE_CACHE_LINE)
		rte_prefetch0((const char *)c + at);
}

static void client_fetch(const struct bench_client *c)
{
	rte_prefetch0(c);
	rte_prefetch0(&c->conn);
}

// Connections of answers, and those whose turn it is to ask. Returns how many.
static unsigned conns_find(struct prepared *p, struct rte_mbuf *const m[], unsigned n,
	struct prepared_conn *found[2 * DPDK_BURST])
{
	const uint32_t *place[DPDK_BURST];
	unsigned dues = RTE_MIN(p->dues, (unsigned)DPDK_BURST), end = 0;

	base_assert(n <= DPDK_BURST);
	for (unsigned i = 0; i < n; i++) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(
			m[i], const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
		const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(ip + 1);

		place[i] = place_of(p, ip->dst_addr, tcp->dst_port);
		rte_prefetch0(place[i]);
	}
	for (unsigned i = 0; i < dues; i++) {
		unsigned at = p->due_at + i;

		at -= at < p->d->b->clients ? 0 : p->d->b->clients;
		found[end++] = &p->conn[p->due[at]];
	}
	for (unsigned i = 0; i < n; i++) {
		if (*place[i] != 0)
			found[end++] = &p->conn[*place[i] - 1];
	}
	return end;
}

// Stage by stage for all of them: of a hundred thousand connections no cache holds anything.
void prepared_fetch(struct prepared *p, struct rte_mbuf *const m[], unsigned n)
{
	struct prepared_conn *c[2 * DPDK_BURST];
	unsigned conns;

	if (p->d->b->clients <= CLIENTS_CACHED)
		return;
	conns = conns_find(p, m, n, c);
	for (unsigned i = 0; i < conns; i++)
		conn_fetch(c[i]);
	for (unsigned i = 0; i < conns; i++)
		client_fetch(c[i]->client);
	for (unsigned i = 0; i < conns; i++)
		rte_prefetch0(c[i]->client->flight);
}

bool prepared_input(struct prepared *p, struct rte_mbuf *m)
{
	struct prepared_conn *c;
	struct frame f;

	if (!frame_read(p, m, false, &f))
		return false;
	c = f.conn;
	if (c->client->dead) {
		rte_pktmbuf_free(m);
		return true;
	}
	if (f.tcp->tcp_flags & (RTE_TCP_RST_FLAG | RTE_TCP_FIN_FLAG)) {
		bench_client_lose(p->d->b, c->client, "closed by the server");
	} else if (f.data_len) {
		if (rte_be_to_cpu_32(f.tcp->sent_seq) == c->rcv_nxt) {
			ts_take(c, &f);
			c->rcv_nxt += f.data_len;
			data_read(p, c, m, L4_OFF + f.tcp_len, f.data_len);
		}
		touch(p, c); // what is not in order is acknowledged, too
	}
	rte_pktmbuf_free(m);
	return true;
}

static void lost_look(struct prepared *p)
{
	struct bench *b = p->d->b;

	if (b->now_ns < p->look_ns)
		return;
	p->look_ns = b->now_ns + LOOK_NS;
	for (unsigned i = 0; i < b->clients; i++) {
		const struct bench_client *c = &b->client[i];

		if (c->inflight && b->now_ns > c->flight[c->head].sent_ns + LOST_NS)
			bench_fail(b, "no answer for two seconds: --prepared sends nothing again");
	}
}

// In a closed loop, what the link would not hold waits here in order: on the link it would wait as
// long, or be lost. A schedule is kept to, whatever waits.
static bool link_has_room(const struct bench *b)
{
	return b->o->rate > 0 || b->inflight < (uint64_t)LINK_FRAMES * b->o->pipeline;
}

static struct prepared_conn *due_take(struct prepared *p)
{
	struct prepared_conn *c = &p->conn[p->due[p->due_at]];

	base_assert(c->due && p->dues > 0);
	c->due = false;
	p->dues--;
	if (++p->due_at == p->d->b->clients)
		p->due_at = 0;
	return c;
}

void prepared_turn(struct prepared *p)
{
	struct bench *b = p->d->b;
	unsigned left = RTE_MIN(BENCH_KICK, b->clients);
	struct bench_client *client;

	while (p->dues > 0 && link_has_room(b)) {
		struct prepared_conn *c = due_take(p);
		struct rte_mbuf *m;

		if (c->client->dead || requests_send(p, c))
			continue;
		m = segment_new(p, c);
		if (m)
			segment_send(p, c, m, RTE_TCP_ACK_FLAG);
	}
	while (link_has_room(b) && (client = bench_kick_next(b, &left)) != NULL)
		requests_send(p, &p->conn[client - b->client]);
	lost_look(p);
}

void prepared_end(struct prepared *p)
{
	for (unsigned i = 0; i < p->d->b->clients; i++) {
		struct rte_mbuf *m = segment_new(p, &p->conn[i]);

		if (m)
			segment_send(p, &p->conn[i], m, RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG);
	}
	net_tx_flush(&p->d->tx);
}
