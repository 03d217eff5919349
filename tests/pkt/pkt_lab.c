// SPDX-License-Identifier: BSD-3-Clause
// The stack under test, its time, its application, and the wire.
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "../any_cpu.h"
#include "pkt.h"
#include "tcp/tcp_internal.h"

#define LAB_MBUFS 8191
#define LAB_START 5000000u // us
#define FRAME_MAX 2048
#define MBUF_ROOM 2048
#define INPUT_MAX (UINT16_MAX + RTE_ETHER_HDR_LEN) // segments that the device has joined

// As many mbufs as the frame needs, each filled before the next.
static struct rte_mbuf *frame_mbufs(struct pkt_lab *lab, const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *first = NULL;

	do {
		uint16_t n = (uint16_t)RTE_MIN(len, (uint32_t)MBUF_ROOM);
		struct rte_mbuf *m = rte_pktmbuf_alloc(lab->pool);
		char *at = m ? rte_pktmbuf_append(m, n) : NULL;
		int rc = 0;

		base_assert(at != NULL);
		memcpy(at, frame, n);
		frame += n;
		len -= n;
		if (first == NULL)
			first = m;
		else
			rc = rte_pktmbuf_chain(first, m);
		base_assert(rc == 0);
	} while (len > 0);
	return first;
}

void pkt_frame_in(struct pkt_lab *lab, const uint8_t *frame, uint32_t len)
{
	struct net_packet pkt;
	struct rte_mbuf *m = frame_mbufs(lab, frame, len);

	switch (net_input(lab->net, &m, lab->now_us, &pkt)) {
	case NET_TCP:
		tcp_input(lab->tcp, m, &pkt, lab->now_us);
		break;
	case NET_TOO_BIG:
		tcp_too_big(lab->tcp, &pkt, lab->now_us);
		break;
	case NET_UDP:
		net_icmp_unreachable(lab->net, m, &pkt, lab->now_us);
		rte_pktmbuf_free(m);
		break;
	default:
		break;
	}
}

static void payload_check(struct pkt_lab *lab, struct pkt_seg *s, const uint8_t *data)
{
	const struct pkt_peer *p = &lab->peer[(s->peer_port - PKT_PEER_PORT) % PKT_PEERS];

	for (uint32_t i = 0; i < s->len; i++)
		if (data[i] != pkt_byte(s->seq - p->iss - 1 + i))
			s->bad_data = true;
}

static void segment_note(struct pkt_lab *lab, const struct pkt_seg *s)
{
	struct pkt_peer *p = &lab->peer[(s->peer_port - PKT_PEER_PORT) % PKT_PEERS];
	uint32_t end = s->seq + s->len + !!(s->flags & (RTE_TCP_FIN_FLAG | RTE_TCP_SYN_FLAG));

	if (s->flags & RTE_TCP_SYN_FLAG && !(s->flags & RTE_TCP_RST_FLAG)) {
		p->iss = s->seq;
		p->ack_high = end;
		p->ts_on = p->offered_ts && s->ts;
		if (s->ts && !p->iss_known)
			p->ts_first = s->tsval;
		p->iss_known = true;
	} else if (p->iss_known && seq_lt(p->ack_high, end) && !(s->flags & RTE_TCP_RST_FLAG)) {
		p->ack_high = end;
	}
	if (s->ts)
		p->tsval_in = s->tsval;
}

static void frame_out(struct pkt_lab *lab, const uint8_t *frame, uint32_t len)
{
	struct pkt_seg s;

	if (pkt_mld_note(lab, frame, len) || !pkt_segment_parse(frame, len, &s))
		return; // the latter: ARP, ICMP, neighbour discovery
	s.at_us = lab->now_us;
	segment_note(lab, &s);
	payload_check(lab, &s, frame + len - s.len);
	if (lab->verbose) {
		char text[256];

		pkt_segment_print(text, sizeof(text), lab, &s);
		printf("#   %s\n", text);
	}
	base_assert(lab->outs - lab->seen < PKT_SEGS);
	lab->out[lab->outs++ % PKT_SEGS] = s;
	lab->last = s;
	if (lab->look != NULL) {
		lab->look(&s);
		lab->seen++;
	}
}

static void lab_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct pkt_lab *lab = arg;

	for (uint16_t i = 0; i < n; i++) {
		uint8_t frame[FRAME_MAX];
		uint32_t len = m[i]->pkt_len;
		const uint8_t *p;

		base_assert(len <= sizeof(frame));
		p = rte_pktmbuf_read(m[i], 0, len, frame);
		frame_out(lab, p, len);
		rte_pktmbuf_free(m[i]);
	}
}

// The stack knows its only neighbour from an ARP request of it.
static void neighbour_in(struct pkt_lab *lab)
{
	static const uint8_t request[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6,
		4, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1};

	pkt_frame_in(lab, request, sizeof(request));
	net_tx_flush(&lab->tx);
}

void pkt_lab_open(struct pkt_lab *lab)
{
	struct net_options no = {.tx = &lab->tx,
		.mac = {{2, 0, 0, 0, 0, 1}},
		.own = {{base_ip4(RTE_BE32(0x0a000001)), 24}},
		.owns = 1,
		.mtu = lab->mtu,
		.socket_id = -1};
	int rc;

	lab->mac = no.mac;
	if (lab->has_ip6) {
		lab->ip6 = (struct base_ip){.b = {[0] = 0xfd, [15] = 1}};
		no.own[no.owns++] = (struct net_own){lab->ip6, 64};
		no.dad = true;
	}
	lab->now_us = lab->start_us = lab->step_us = LAB_START;
	if (lab->pool == NULL)
		lab->pool = rte_pktmbuf_pool_create(
			"pkt", LAB_MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	base_assert(lab->pool != NULL);
	rc = mem_domain_open(&lab->mem, &(struct mem_options){.name = "pkt", .numa_node = -1});
	base_assert(rc == 0);
	lab->tx = (struct net_tx){.flush = lab_tx, .arg = lab};
	no.mem = lab->options.mem = lab->mem;
	no.pool = lab->options.pool = lab->pool;
	rc = net_open(&lab->net, &no);
	base_assert(rc == 0);
	lab->options.net = lab->net;
	lab->options.seed = 3;
	rc = tcp_open(&lab->tcp, &lab->options);
	base_assert(rc == 0);
	lab->tcp->iss_fixed = lab->iss_set;
	lab->tcp->iss_next = lab->iss;
	for (unsigned i = 0; i < PKT_PEERS; i++)
		lab->peer[i] = (struct pkt_peer){.port = (uint16_t)(PKT_PEER_PORT + i),
			.irs = lab->irs + i * 100000,
			.sent_high = lab->irs + i * 100000};
	lab->at = &lab->peer[0];
	neighbour_in(lab);
	if (lab->has_ip6)
		net_announce(lab->net, lab->now_us);
	rc = tcp_listen(lab->tcp, PKT_PORT);
	base_assert(rc == 0);
	lab->open = true;
}

const char *pkt_lab_close(struct pkt_lab *lab)
{
	const char *why = NULL;

	if (!lab->open)
		return NULL;
	tcp_close(lab->tcp);
	net_tx_flush(&lab->tx);
	net_close(lab->net);
	if (rte_mempool_in_use_count(lab->pool) != 0)
		why = "mbufs are missing at the end";
	else if (mem_used_class(lab->mem, MEM_CONNS) != 0)
		why = "memory of connections is missing at the end";
	mem_domain_close(lab->mem);
	lab->open = false;
	return why;
}

int pkt_eal_start(const char *what)
{
	static char name[64];
	char *argv[] = {name, (char *)"--no-huge", (char *)"--no-pci", (char *)"--no-shconf",
		(char *)"-m", (char *)"256", (char *)"--no-telemetry", (char *)"--lcores",
		any_cpu(), (char *)"--iova-mode=va", (char *)"--log-level=lib.*:error",
		(char *)"--log-level=user1:error", NULL};

	snprintf(name, sizeof(name), "%s_%d", what, (int)getpid());
	return rte_eal_init(BASE_ARRAY_LEN(argv) - 1, argv);
}

// A new connection belongs to the peer whose port it has.
static struct pkt_peer *peer_of(struct pkt_lab *lab, struct tcp_conn *c)
{
	struct pkt_peer *p = tcp_user(c);
	struct base_ip ip;
	uint16_t port;

	if (p != NULL)
		return p;
	tcp_peer(c, &ip, &port);
	p = &lab->peer[(port - PKT_PEER_PORT) % PKT_PEERS];
	p->conn = c;
	p->written = p->read = 0;
	tcp_user_set(c, p);
	return p;
}

static void events_fetch(struct pkt_lab *lab)
{
	struct tcp_conn *c;
	unsigned events;

	while ((c = tcp_event_next(lab->tcp, &events)) != NULL) {
		struct pkt_peer *p = peer_of(lab, c);

		p->events |= events;
		if (!(events & TCP_EV_CLOSED) || !lab->release)
			continue;
		tcp_release(lab->tcp, c);
		if (p->conn == c)
			p->conn = NULL;
	}
}

void pkt_lab_turn(struct pkt_lab *lab)
{
	uint64_t net_due_us;

	events_fetch(lab);
	net_due_us = net_timers(lab->net, lab->now_us);
	tcp_timers(lab->tcp, lab->now_us);
	events_fetch(lab);
	tcp_flush(lab->tcp, lab->now_us);
	net_tx_flush(&lab->tx);
	lab->next_us = tcp_deadline(lab->tcp);
	if (lab->has_ip6)
		lab->next_us = base_min_u64(lab->next_us, net_due_us);
}

// Something was sent that has not been looked at.
static bool waits(const struct pkt_lab *lab)
{
	return lab->seen != lab->outs || lab->mld_seen != lab->mld_outs;
}

void pkt_lab_advance(struct pkt_lab *lab, uint64_t until_us, bool stop_at_segment)
{
	pkt_lab_turn(lab);
	while (lab->next_us <= until_us && !(stop_at_segment && waits(lab))) {
		lab->now_us = base_max_u64(lab->next_us, lab->now_us + 1);
		pkt_lab_turn(lab);
	}
	if (stop_at_segment && waits(lab))
		return;
	lab->now_us = base_max_u64(lab->now_us, until_us);
	pkt_lab_turn(lab);
}

void pkt_lab_pass(struct pkt_lab *lab, uint64_t until_us)
{
	do {
		lab->seen = lab->outs;
		lab->mld_seen = lab->mld_outs;
		pkt_lab_advance(lab, until_us, true);
	} while (waits(lab));
	lab->step_us = lab->now_us;
}

const struct pkt_seg *pkt_next(struct pkt_lab *lab)
{
	return lab->seen == lab->outs ? NULL : &lab->out[lab->seen % PKT_SEGS];
}

void pkt_segment_in(struct pkt_lab *lab, const struct pkt_seg *s, const struct pkt_spoil *spoil)
{
	uint8_t frame[INPUT_MAX];

	base_assert(s->len <= UINT16_MAX - 100);
	pkt_frame_in(lab, frame, pkt_segment_build(s, spoil, lab, frame));
}

void pkt_icmp_in(struct pkt_lab *lab, uint16_t mtu, uint32_t seq)
{
	uint8_t f[RTE_ETHER_HDR_LEN + 20 + 8 + 40] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
	struct rte_ipv4_hdr *ip = (void *)(f + RTE_ETHER_HDR_LEN), *quoted = (void *)(f + 14 + 28);
	struct rte_tcp_hdr *th = (void *)(quoted + 1);
	uint8_t *icmp = f + 14 + 20;

	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = RTE_BE16(56),
		.time_to_live = 64,
		.next_proto_id = 1,
		.src_addr = RTE_BE32(0x0a000002),
		.dst_addr = RTE_BE32(0x0a000001)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*quoted = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(40 + lab->last.len)),
		.time_to_live = 60,
		.next_proto_id = 6,
		.src_addr = RTE_BE32(0x0a000001),
		.dst_addr = RTE_BE32(0x0a000002)};
	quoted->hdr_checksum = rte_ipv4_cksum(quoted);
	th->src_port = RTE_BE16(PKT_PORT);
	th->dst_port = rte_cpu_to_be_16(lab->at->port);
	th->sent_seq = rte_cpu_to_be_32(lab->at->iss + seq);
	icmp[0] = 3;
	icmp[1] = 4;
	icmp[6] = (uint8_t)(mtu >> 8);
	icmp[7] = (uint8_t)mtu;
	*(rte_be16_t *)(void *)(icmp + 2) = (rte_be16_t)~rte_raw_cksum(icmp, 36);
	pkt_frame_in(lab, f, sizeof(f) - 12); // of TCP, the first eight bytes
}

bool pkt_app_send(struct pkt_lab *lab, uint32_t bytes)
{
	struct pkt_peer *p = lab->at;

	for (uint32_t n; bytes > 0; bytes -= n) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(lab->pool);
		char *to;

		n = RTE_MIN(bytes, (uint32_t)tcp_mss(p->conn));
		n = RTE_MIN(n, 1900u);
		to = m ? rte_pktmbuf_append(m, (uint16_t)n) : NULL;
		if (to == NULL) {
			rte_pktmbuf_free(m);
			return false;
		}
		for (uint32_t i = 0; i < n; i++)
			to[i] = (char)pkt_byte(p->written + i);
		p->written += n;
		tcp_send(lab->tcp, p->conn, m);
	}
	return true;
}

int64_t pkt_app_read(struct pkt_lab *lab, uint32_t bytes)
{
	struct pkt_peer *p = lab->at;
	uint32_t done = 0;
	struct rte_mbuf *m;

	while (done < bytes && (m = tcp_rx_peek(p->conn)) != NULL) {
		uint32_t n = RTE_MIN((uint32_t)m->data_len, bytes - done);
		const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

		for (uint32_t i = 0; i < n; i++)
			if (at[i] != pkt_byte(p->read + i))
				return -1;
		p->read += n;
		done += n;
		tcp_rx_consume(lab->tcp, p->conn, n);
	}
	return done;
}
