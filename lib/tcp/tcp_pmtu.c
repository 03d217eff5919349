// SPDX-License-Identifier: BSD-3-Clause
// Path MTU discovery (RFC 1191, RFC 8201): routers are believed when they quote a segment that is
// in flight (RFC 5927 section 4.1); a path that swallows large segments without a word is found by
// timeouts (RFC 4821 section 7.7). Ten minutes later the full size is tried again.
#include "tcp/tcp_internal.h"

#define TS_BYTES         12
#define RAISE_MS         600000u // RFC 8201 section 5.3
#define HOLE_RETRIES     3    // timeouts in a row for one segment before the path is suspected ...
#define HOLE_IP6         1280 // ... and what fits most paths; IPv6: all
#define HOLE_IP4         1024
#define HOLE_RETRIES_IP4 5 // and if not even that got through
#define HOLE_IP4_LEAST   576

// Payload of a segment in an IP packet of `mtu` bytes.
static uint16_t mss_of(const struct tcp_conn *c, uint16_t mtu)
{
	uint32_t head = sizeof(struct rte_tcp_hdr) + (c->flags & TCP_F_TS ? TS_BYTES : 0);

	head += base_ip_is4(&c->node.key.peer) ? sizeof(struct rte_ipv4_hdr)
					       : sizeof(struct rte_ipv6_hdr);
	base_assert(mtu > head);
	return (uint16_t)(mtu - head);
}

// Segments that are too big for the path: lost, though not by congestion.
static void oversize_lose(struct tcp *tcp, struct tcp_conn *c)
{
	for (struct rte_mbuf *m = c->sent_head; m != NULL; m = tcp_meta(tcp, m)->next) {
		struct tcp_meta *s = tcp_meta(tcp, m);

		if (s->len <= c->mss || (s->flags & TCP_M_SACKED))
			continue;
		tcp_meta_unmark(c, s);
		tcp_loss_mark(c, s);
	}
}

static void mss_lower(struct tcp *tcp, struct tcp_conn *c, uint16_t mss)
{
	struct tcp_bulk *b = tcp_bulk_get(tcp, c);

	if (b != NULL) { // else it stays low
		if (b->mss_full == 0)
			b->mss_full = c->mss;
		b->mss_ms = tcp->now_ms;
	}
	c->mss = mss;
	c->flags &= ~TCP_F_FULL_OK;
}

void tcp_pmtu_raise(const struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_bulk *b = c->bulk;

	if (b->mss_full == 0 || tcp->now_ms - b->mss_ms < RAISE_MS)
		return;
	c->mss = b->mss_full;
	c->flags &= ~TCP_F_FULL_OK;
	b->mss_full = 0;
}

uint32_t tcp_pmtu_mss(struct tcp *tcp, const struct tcp_conn *c)
{
	const struct base_ip *peer = &c->node.key.peer;
	uint32_t link = net_mtu(tcp->opt.net, peer);
	uint32_t path = net_path_mtu(tcp->opt.net, peer, tcp->now_us);

	path -= base_ip_is4(peer) ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	return RTE_MIN(link, path) - sizeof(struct rte_tcp_hdr);
}

void tcp_pmtu_hole(struct tcp *tcp, struct tcp_conn *c)
{
	bool ip4 = base_ip_is4(&c->node.key.peer);
	uint16_t mss;

	if (c->retries == HOLE_RETRIES)
		mss = mss_of(c, ip4 ? HOLE_IP4 : HOLE_IP6);
	else if (ip4 && c->retries == HOLE_RETRIES_IP4)
		mss = mss_of(c, HOLE_IP4_LEAST);
	else
		return;
	// full segments have got through before, or a window that was closed is reason enough
	if ((c->flags & TCP_F_FULL_OK) || tcp_flight(c) > c->snd_wnd)
		return;
	if (c->sent_head == NULL || tcp_meta(tcp, c->sent_head)->len <= mss || c->mss <= mss)
		return;
	tcp->n.black_holes++;
	mss_lower(tcp, c, mss);
}

static void too_big(struct tcp *tcp, struct tcp_conn *c, const struct net_packet *pkt)
{
	const struct base_ip *peer = &c->node.key.peer;
	uint16_t mss;

	if (c->node.state < TCP_ESTABLISHED || seq_lt(pkt->seq, c->snd_una) ||
		!seq_lt(pkt->seq, c->snd_nxt)) {
		tcp->n.too_big_ignored++;
		return;
	}
	net_path_mtu_set(tcp->opt.net, peer, pkt->mtu, tcp->now_us);
	mss = mss_of(c, net_path_mtu(tcp->opt.net, peer, tcp->now_us));
	if (mss < c->mss) {
		tcp->n.too_big++;
		mss_lower(tcp, c, mss);
	}
	oversize_lose(tcp, c);
	if (c->lost_bytes > c->retrans_bytes) {
		c->flags |= TCP_F_RTX_FORCE;
		tcp_conn_dirty(tcp, c);
	}
}

bool tcp_too_big(struct tcp *tcp, const struct net_packet *pkt, uint64_t now_us)
{
	struct tcp_key key = {.peer = pkt->src,
		.local = pkt->local,
		.local_port = rte_cpu_to_be_16(pkt->dst_port),
		.peer_port = rte_cpu_to_be_16(pkt->src_port)};
	struct tcp_node *n;

	tcp_time_set(tcp, now_us);
	n = tcp_table_find(tcp, &key, tcp_table_hash(tcp, &key));
	if (n == NULL || n->kind != TCP_NODE_CONN)
		return false;
	too_big(tcp, base_container_of(n, struct tcp_conn, node), pkt);
	return true;
}

// One half of a segment: `len` bytes of its payload from `off` on.
static struct rte_mbuf *half_copy(struct tcp *tcp, struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint32_t head = tcp_sent_one_bytes(tcp, m) - tcp_meta(tcp, m)->len;
	struct rte_mbuf *half = rte_pktmbuf_copy(m, tcp->opt.pool, head + off, len);

	if (half == NULL)
		return NULL;
	half->ol_flags = 0;
	*tcp_meta(tcp, half) = *tcp_meta(tcp, m);
	tcp_meta(tcp, half)->seq += off;
	tcp_meta(tcp, half)->len = (uint16_t)len;
	tcp_meta(tcp, half)->mbufs = (uint8_t)half->nb_segs;
	return half;
}

// Always copies: the frame that was too big may still be the driver's.
struct rte_mbuf *tcp_sent_split(
	struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *before, struct rte_mbuf *m)
{
	uint32_t len = tcp_meta(tcp, m)->len, part = c->mss;
	struct rte_mbuf *first = half_copy(tcp, m, 0, part), *second;

	base_assert(part > 0 && part < len);
	second = first ? half_copy(tcp, m, part, len - part) : NULL;
	if (second == NULL) {
		rte_pktmbuf_free(first);
		tcp->n.no_memory++;
		return NULL;
	}
	tcp_meta(tcp, first)->next = second;
	tcp_meta(tcp, first)->flags &= ~TCP_M_FIN;
	if (before != NULL)
		tcp_meta(tcp, before)->next = first;
	else
		c->sent_head = first;
	if (c->sent_tail == m)
		c->sent_tail = second;
	c->sent_segs++;
	tcp_sent_one_free(tcp, m);
	return first;
}
