// SPDX-License-Identifier: BSD-3-Clause
// The receive queue: in-order payload for the owner to read, and the window that follows from it.
#include "tcp/tcp_internal.h"

#define POOL_SHARE 8
#define SEGS_MIN   8   // a queue's, while a sixteenth of the pool is free
#define SEGS_LAST  2   // everybody's
#define MERGE_MAX  512 // shorter payload is copied behind what is queued: pins no mbuf of its own

unsigned tcp_mbuf_count(const struct rte_mbuf *m)
{
	unsigned n = 0;

	for (; m != NULL; m = m->next)
		n++;
	return n;
}

struct rte_mbuf *tcp_mbuf_slice(struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	struct rte_mbuf *next, *last;

	base_assert(len > 0);
	if (base_likely(m->next == NULL)) {
		base_assert(off + len <= m->data_len);
		m->data_off += off;
		m->data_len = (uint16_t)len;
		m->pkt_len = len;
		m->nb_segs = 1;
		return m;
	}
	while (off >= m->data_len) {
		off -= m->data_len;
		next = m->next;
		rte_pktmbuf_free_seg(m);
		m = next;
		base_assert(m != NULL);
	}
	m->data_off += off;
	m->data_len -= off;
	m->pkt_len = len;
	m->nb_segs = 1;
	for (last = m; len > last->data_len; last = last->next) {
		len -= last->data_len;
		base_assert(last->next != NULL);
		m->nb_segs++;
	}
	last->data_len = (uint16_t)len;
	rte_pktmbuf_free(last->next);
	last->next = NULL;
	return m;
}

bool tcp_rcv_merge(struct rte_mbuf *tail, const struct rte_mbuf *m)
{
	if (m->next != NULL || m->data_len >= MERGE_MAX || !RTE_MBUF_DIRECT(tail) ||
		rte_mbuf_refcnt_read(tail) != 1 || rte_pktmbuf_tailroom(tail) < m->data_len)
		return false;
	rte_memcpy(rte_pktmbuf_mtod_offset(tail, void *, tail->data_len),
		rte_pktmbuf_mtod(m, void *), m->data_len);
	tail->data_len += m->data_len;
	return true;
}

// Takes a chain of in-order payload.
void tcp_rcv_append(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m)
{
	struct rte_mbuf *next;

	if (c->rx_tail != NULL && tcp_rcv_merge(c->rx_tail, m)) {
		c->rx_tail->pkt_len = c->rx_tail->data_len;
		c->rx_bytes += m->data_len;
		rte_pktmbuf_free_seg(m);
		return;
	}
	for (; m != NULL; m = next) {
		next = m->next;
		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
		if (c->rx_tail == NULL)
			c->rx_head = m;
		else
			c->rx_tail->next = m;
		c->rx_tail = m;
		c->rx_bytes += m->data_len;
		c->rx_mbufs++;
	}
}

static void rcv_drop_head(struct tcp_conn *c)
{
	struct rte_mbuf *m = c->rx_head;

	c->rx_head = m->next;
	if (c->rx_head == NULL)
		c->rx_tail = NULL;
	base_assert(c->rx_bytes >= m->data_len && c->rx_mbufs > 0);
	c->rx_bytes -= m->data_len;
	c->rx_mbufs--;
	m->next = NULL;
	rte_pktmbuf_free_seg(m);
}

void tcp_rcv_free(struct tcp_conn *c)
{
	while (c->rx_head != NULL)
		rcv_drop_head(c);
	base_assert(c->rx_bytes == 0 && c->rx_mbufs == 0);
}

struct rte_mbuf *tcp_rx_peek(const struct tcp_conn *c)
{
	return c->rx_head;
}

uint32_t tcp_rx_bytes(const struct tcp_conn *c)
{
	return c->rx_bytes;
}

// The pool is shared by all queues, and by what the device receives. One queue may take an eighth
// of what is free above a reserve of an eighth: however many readers are deaf, some is left for
// those that are not, for ARP, and for ACKs. Half of the reserve serves queues of a few segments:
// those of the deaf, who filled the rest, are longer.
void tcp_pool_look(struct tcp *tcp)
{
	const struct rte_mempool *pool = tcp->opt.pool;
	uint32_t free = rte_mempool_get_ops(pool->ops_index)->get_count(pool); // caches aside
	uint32_t reserve = pool->size / POOL_SHARE;

	tcp->mbufs_free = free;
	tcp->queue_bytes_max = free > reserve ? (free - reserve) / POOL_SHARE * 1024 : 0;
	tcp->queue_segs_min = free > reserve / 2 ? SEGS_MIN : SEGS_LAST;
}

bool tcp_scarce(const struct tcp *tcp)
{
	return tcp->mbufs_free < tcp->opt.pool->size / POOL_SHARE / 4;
}

static uint32_t rcv_limit(const struct tcp *tcp, const struct tcp_conn *c)
{
	return RTE_MIN(tcp->opt.rcv_buf_bytes, tcp_queue_max(tcp, c));
}

static uint32_t rcv_space(const struct tcp *tcp, const struct tcp_conn *c)
{
	uint32_t limit = rcv_limit(tcp, c);

	return limit > c->rx_bytes ? limit - c->rx_bytes : 0;
}

// A window that was offered in better times is not honoured at the others' cost.
bool tcp_rcv_fits(const struct tcp *tcp, const struct tcp_conn *c, unsigned mbufs)
{
	return c->rx_mbufs + mbufs <= tcp->rx_mbufs_max &&
		(tcp->queue_bytes_max > 0 || c->rx_mbufs < tcp->queue_segs_min);
}

// A segment takes several mbufs where values are cut small: what a queue was given room for, in
// bytes, does not say how many. So they are counted again before each segment beyond the first few.
bool tcp_sent_fits(struct tcp *tcp, const struct tcp_conn *c)
{
	if (c->sent_segs < SEGS_LAST)
		return true;
	tcp_pool_look(tcp);
	return tcp->queue_bytes_max > 0 || c->sent_segs < tcp->queue_segs_min;
}

static uint32_t rcv_offered(const struct tcp_conn *c) // what is left of the window
{
	return seq_lt(c->node.rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->node.rcv_nxt : 0;
}

// The right edge moves by a segment or half the buffer at least (RFC 9293 3.8.6.2.2) and never
// back. A scaled window rounds down; what was offered before stays acceptable (RFC 7323
// section 2.4).
uint16_t tcp_rcv_window(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t space = rcv_space(tcp, c), window = rcv_offered(c), field;
	uint32_t step = RTE_MIN(tcp->opt.rcv_buf_bytes / 2, (uint32_t)RTE_MAX(c->mss, c->rcv_mss));

	if (space >= window + step)
		window = space;
	field = RTE_MIN(window >> c->node.rcv_wscale, (uint32_t)UINT16_MAX);
	c->rcv_adv = seq_max(c->rcv_adv, c->node.rcv_nxt + (field << c->node.rcv_wscale));
	return (uint16_t)field;
}

// Tells the peer when what it sent has room again that was dropped for want of it, and when the
// window has room worth telling: half of what the queue may hold, or two
// segments when what it knows of is nearly used up. By the present limit, not the whole buffer: a
// peer with a window of two segments waits after the first and a part of the second.
static bool window_news(const struct tcp *tcp, const struct tcp_conn *c)
{
	uint32_t limit = rcv_limit(tcp, c), space = limit - RTE_MIN(limit, c->rx_bytes);
	uint32_t window = rcv_offered(c);
	uint32_t gain = space > window ? space - window : 0;

	if (gain >= limit / 2 || ((c->flags & TCP_F_PRUNED) && tcp_rcv_fits(tcp, c, 1)))
		return true;
	return window < limit / 4 && gain >= 2u * RTE_MAX(c->mss, c->rcv_mss);
}

void tcp_rx_consume(struct tcp *tcp, struct tcp_conn *c, uint32_t n)
{
	base_assert(n <= c->rx_bytes);
	while (n > 0) {
		struct rte_mbuf *m = c->rx_head;

		if (n < m->data_len) {
			m->data_off += n;
			m->data_len -= n;
			m->pkt_len -= n;
			c->rx_bytes -= n;
			break;
		}
		n -= m->data_len;
		rcv_drop_head(c);
	}
	if (c->node.state >= TCP_ESTABLISHED && !(c->flags & TCP_F_FIN_RCVD) &&
		window_news(tcp, c)) {
		c->flags = (c->flags | TCP_F_ACK_NOW) & ~TCP_F_PRUNED;
		tcp_conn_dirty(tcp, c);
	}
}
