// SPDX-License-Identifier: BSD-3-Clause
// The two send queues: unsent mbufs as tcp_send got them, and sent segments waiting for their
// acknowledgement; and how the first become the second.
//
//	unsent:  [ 40 ][ 1200 external      ][ 2 ][ 3000 external                 ]
//	sent:    [hdr|40]+[1200]+[2][copy 206] ⇢ [hdr]+[clone 1448] ⇢ ...      (MSS 1448)
#include "tcp/tcp_internal.h"

#define COPY_MAX 256 // shorter pieces are copied: cheaper than a descriptor of their own
#define SEGS_MAX 8   // mbufs a segment; every device takes that many

// May tcp write headers before, and data behind, what m holds?
static bool mbuf_writable(const struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1;
}

static bool mbuf_in_place(const struct rte_mbuf *m)
{
	return mbuf_writable(m) && rte_pktmbuf_headroom(m) >= NET_HEADROOM + TCP_HEADER_MAX;
}

void tcp_unsent_append(struct tcp_conn *c, struct rte_mbuf *chain)
{
	struct rte_mbuf *m, *next;

	for (m = chain; m != NULL; m = next) {
		next = m->next;
		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
		if (m->data_len == 0) {
			rte_pktmbuf_free_seg(m);
			continue;
		}
		if (c->unsent_tail == NULL)
			c->unsent_head = m;
		else
			c->unsent_tail->next = m;
		c->unsent_tail = m;
		c->unsent_bytes += m->data_len;
	}
}

// Unlinks the first mbuf.
static struct rte_mbuf *unsent_pop(struct tcp_conn *c)
{
	struct rte_mbuf *m = c->unsent_head;

	c->unsent_head = m->next;
	if (c->unsent_head == NULL)
		c->unsent_tail = NULL;
	m->next = NULL;
	base_assert(c->unsent_bytes >= m->data_len);
	c->unsent_bytes -= m->data_len;
	return m;
}

// Drops n bytes of the first mbuf, and the mbuf when they were all.
static void unsent_skip(struct tcp_conn *c, uint32_t n)
{
	struct rte_mbuf *m = c->unsent_head;

	base_assert(n <= m->data_len);
	if (n == m->data_len) {
		rte_pktmbuf_free_seg(unsent_pop(c));
		return;
	}
	m->data_off += n;
	m->data_len -= n;
	m->pkt_len -= n;
	c->unsent_bytes -= n;
}

void tcp_unsent_free(struct tcp_conn *c)
{
	while (c->unsent_head != NULL)
		rte_pktmbuf_free_seg(unsent_pop(c));
	base_assert(c->unsent_bytes == 0);
}

// Copies up to n bytes behind `tail`. Returns how many fitted.
static uint32_t piece_copy(struct tcp_conn *c, struct rte_mbuf *tail, uint32_t n)
{
	uint32_t room = mbuf_writable(tail) ? rte_pktmbuf_tailroom(tail) : 0;

	n = RTE_MIN(n, room);
	if (n == 0)
		return 0;
	rte_memcpy(rte_pktmbuf_mtod_offset(tail, void *, tail->data_len),
		rte_pktmbuf_mtod(c->unsent_head, void *), n);
	tail->data_len += n;
	unsent_skip(c, n);
	return n;
}

// The first n bytes of the unsent queue, all in its first mbuf, as an mbuf of their own.
static struct rte_mbuf *piece_detach(struct tcp *tcp, struct tcp_conn *c, uint32_t n)
{
	struct rte_mbuf *m = c->unsent_head, *clone;

	if (n == m->data_len && (mbuf_writable(m) || !RTE_MBUF_DIRECT(m)))
		return unsent_pop(c);
	clone = rte_pktmbuf_alloc(tcp->opt.pool);
	if (clone == NULL)
		return NULL;
	rte_pktmbuf_attach(clone, m);
	clone->data_len = n;
	clone->pkt_len = n;
	unsent_skip(c, n);
	return clone;
}

// Adds up to n bytes of the first unsent mbuf. False: the segment ends here.
static bool piece_add(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *head,
	struct rte_mbuf **tail, uint32_t n)
{
	struct rte_mbuf *m = c->unsent_head, *piece;
	bool cut = n < m->data_len;

	// A full reply behind half a segment leaves on its own: no clone, no copy.
	if (cut && n > COPY_MAX && mbuf_in_place(m) && head->pkt_len >= c->mss / 2)
		return false;
	if (n <= COPY_MAX || !tcp->multi_segs) {
		uint32_t copied = piece_copy(c, *tail, n);

		head->pkt_len += copied;
		if (copied)
			return true;
	}
	if (!tcp->multi_segs || head->nb_segs == SEGS_MAX)
		return false;
	piece = piece_detach(tcp, c, n);
	if (piece == NULL)
		return false;
	(*tail)->next = piece;
	*tail = piece;
	head->nb_segs++;
	head->pkt_len += piece->data_len;
	return true;
}

struct rte_mbuf *tcp_segment_cut(struct tcp *tcp, struct tcp_conn *c, uint32_t want)
{
	struct rte_mbuf *head = c->unsent_head, *tail;

	if (head != NULL && head->data_len <= want && mbuf_in_place(head)) {
		unsent_pop(c);
	} else {
		head = rte_pktmbuf_alloc(tcp->opt.pool);
		if (head == NULL) {
			tcp->n.no_memory++;
			return NULL;
		}
	}
	tail = head;
	while (head->pkt_len < want && c->unsent_head != NULL) {
		uint32_t n = RTE_MIN(want - head->pkt_len, (uint32_t)c->unsent_head->data_len);

		if (!piece_add(tcp, c, head, &tail, n))
			break;
	}
	if (want > 0 && head->pkt_len == 0) { // no mbuf for a clone
		tcp->n.no_memory++;
		rte_pktmbuf_free(head);
		return NULL;
	}
	return head;
}

void tcp_sent_append(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *m)
{
	base_assert(m->nb_segs <= SEGS_MAX);
	tcp_meta(tcp, m)->next = NULL;
	tcp_meta(tcp, m)->mbufs = (uint8_t)m->nb_segs;
	if (c->sent_tail == NULL)
		c->sent_head = m;
	else
		tcp_meta(tcp, c->sent_tail)->next = m;
	c->sent_tail = m;
	c->sent_segs++;
}

void tcp_sent_one_free(const struct tcp *tcp, struct rte_mbuf *m)
{
	struct rte_mbuf *next;

	for (unsigned n = tcp_meta(tcp, m)->mbufs; n > 0; n--, m = next) {
		next = m->next;
		rte_pktmbuf_free_seg(m);
	}
}

uint32_t tcp_sent_one_bytes(const struct tcp *tcp, const struct rte_mbuf *m)
{
	const struct rte_mbuf *p = m;
	uint32_t bytes = 0;

	for (unsigned n = RTE_MBUF_DYNFIELD(m, tcp->meta_off, struct tcp_meta *)->mbufs; n > 0;
		n--, p = p->next)
		bytes += p->data_len;
	return bytes;
}

static struct rte_mbuf *one_last(const struct tcp *tcp, struct rte_mbuf *m)
{
	for (unsigned n = tcp_meta(tcp, m)->mbufs; n > 1; n--)
		m = m->next;
	return m;
}

void tcp_sent_one_part(const struct tcp *tcp, struct rte_mbuf *m)
{
	m->pkt_len = tcp_sent_one_bytes(tcp, m);
	m->nb_segs = tcp_meta(tcp, m)->mbufs;
	one_last(tcp, m)->next = NULL;
}

// The first mbuf of a segment may be empty, for headers alone: only the frame's first gets any.
void tcp_sent_join(const struct tcp *tcp, struct rte_mbuf *first)
{
	struct rte_mbuf *m = tcp_meta(tcp, first)->next, *tail = one_last(tcp, first);

	for (; m != NULL; m = tcp_meta(tcp, m)->next) {
		bool empty = m->data_len == 0;

		base_assert(!empty || m->next != NULL);
		tail->next = empty ? m->next : m;
		first->nb_segs += tcp_meta(tcp, m)->mbufs - empty;
		first->pkt_len += tcp_meta(tcp, m)->len;
		tail = one_last(tcp, m);
	}
}

void tcp_sent_free(struct tcp *tcp, struct tcp_conn *c)
{
	struct rte_mbuf *m, *next;

	for (m = c->sent_head; m != NULL; m = next) {
		next = tcp_meta(tcp, m)->next;
		tcp_sent_one_free(tcp, m);
	}
	c->sent_head = c->sent_tail = NULL;
	c->sent_segs = 0;
}
