// SPDX-License-Identifier: BSD-3-Clause
// Out-of-order payload: sorted, disjoint, and the SACK blocks that tell of it (RFC 2018). All of it
// may be dropped again when mbufs are scarce: SACK is advice, not a promise (section 8).
#include "tcp/tcp_internal.h"

#define PRUNE_CONNS 64 // a call

static uint32_t meta_end(const struct tcp_meta *s)
{
	return s->seq + s->len;
}

static struct tcp_ooo *ooo_get(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_ooo *o = c->ooo;

	if (o != NULL)
		return o;
	o = mem_try_calloc(tcp->opt.mem, MEM_CONNS, sizeof(*o), NULL);
	if (o == NULL) {
		tcp->n.no_memory++;
		return NULL;
	}
	o->conn = c;
	base_list_append(&tcp->ooo, &o->node);
	c->ooo = o;
	return o;
}

static struct rte_mbuf *ooo_pop(struct tcp *tcp, struct tcp_ooo *o)
{
	struct rte_mbuf *m = o->head;
	struct tcp_meta *s = tcp_meta(tcp, m);

	o->head = s->next;
	if (o->head == NULL)
		o->tail = NULL;
	o->bytes -= s->len;
	o->mbufs -= tcp_mbuf_count(m);
	return m;
}

void tcp_ooo_free(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_ooo *o = c->ooo;

	if (o == NULL)
		return;
	while (o->head != NULL)
		rte_pktmbuf_free(ooo_pop(tcp, o));
	base_assert(o->bytes == 0 && o->mbufs == 0);
	base_list_remove(&o->node);
	c->ooo = NULL;
	mem_free(tcp->opt.mem, MEM_CONNS, o, sizeof(*o));
}

void tcp_ooo_prune(struct tcp *tcp)
{
	for (unsigned i = 0; i < PRUNE_CONNS && !base_list_empty(&tcp->ooo); i++) {
		struct tcp_ooo *o = base_container_of(tcp->ooo.next, struct tcp_ooo, node);

		tcp->n.rcv_pruned += o->mbufs;
		tcp_ooo_free(tcp, o->conn);
	}
}

static bool block_touches(const struct tcp_range *b, uint32_t start, uint32_t end)
{
	return !seq_lt(end, b->start) && !seq_lt(b->end, start);
}

// The block of the latest segment comes first, merged with those it touches; the others keep their
// order, so that a lost ACK's news is repeated (RFC 2018 section 4).
static void sack_add(struct tcp_ooo *o, uint32_t start, uint32_t end)
{
	struct tcp_range block[TCP_SACK_BLOCKS + 1];
	unsigned n = 1, untold = o->untold + 1u;

	for (unsigned i = 0; i < o->blocks; i++) {
		struct tcp_range *b = &o->sack[i];

		if (!block_touches(b, start, end)) {
			block[n++] = *b;
			continue;
		}
		untold -= i < o->untold;
		start = seq_lt(b->start, start) ? b->start : start;
		end = seq_max(b->end, end);
	}
	block[0] = (struct tcp_range){start, end};
	o->blocks = (uint8_t)RTE_MIN(n, (unsigned)TCP_SACK_BLOCKS);
	o->untold = (uint8_t)RTE_MIN(untold, (unsigned)o->blocks);
	memcpy(o->sack, block, o->blocks * sizeof(block[0]));
}

void tcp_ooo_told(struct tcp_conn *c, unsigned blocks)
{
	// The fourth of them, untold for want of an mbuf, is not waited for.
	if (c->ooo != NULL && (blocks >= c->ooo->untold || blocks >= TCP_SACK_BLOCKS - 1))
		c->ooo->untold = 0;
}

// A burst with more holes than an ACK has blocks for is told of by several: what the sender never
// hears of it would send again. Before [start, end) pushes an untold block out.
static void sack_tell(struct tcp *tcp, struct tcp_conn *c, uint32_t start, uint32_t end)
{
	const struct tcp_ooo *o = c->ooo;
	unsigned carried = c->flags & TCP_F_TS ? TCP_SACK_BLOCKS - 1 : TCP_SACK_BLOCKS;

	if (!(c->flags & TCP_F_SACK) || o->untold < carried)
		return;
	for (unsigned i = 0; i < o->untold; i++) {
		if (block_touches(&o->sack[i], start, end))
			return;
	}
	tcp_xmit_ack(tcp, c);
}

void tcp_dsack_note(struct tcp *tcp, struct tcp_conn *c, uint32_t start, uint32_t end)
{
	if (!(c->flags & TCP_F_SACK) || c->node.state < TCP_ESTABLISHED)
		return;
	if (tcp->dsack_conn != NULL) // one a turn waits for its ACK
		tcp_xmit_ack(tcp, tcp->dsack_conn);
	tcp->dsack_conn = c;
	tcp->dsack = (struct tcp_range){start, end};
}

static void sack_trim(struct tcp_ooo *o, uint32_t rcv_nxt)
{
	unsigned n = 0, untold = 0;

	for (unsigned i = 0; i < o->blocks; i++) {
		if (!seq_lt(rcv_nxt, o->sack[i].start))
			continue;
		untold += i < o->untold;
		o->sack[n++] = o->sack[i];
	}
	o->blocks = (uint8_t)n;
	o->untold = (uint8_t)untold;
}

// The last element that starts at or before seq; NULL: none does.
static struct rte_mbuf *ooo_before(const struct tcp *tcp, const struct tcp_ooo *o, uint32_t seq)
{
	struct rte_mbuf *prev = NULL;

	if (o->tail != NULL && seq_le(tcp_meta(tcp, o->tail)->seq, seq))
		return o->tail;
	for (struct rte_mbuf *m = o->head; m != NULL; m = tcp_meta(tcp, m)->next) {
		if (seq_lt(seq, tcp_meta(tcp, m)->seq))
			break;
		prev = m;
	}
	return prev;
}

// Frees the elements after `prev` that [.., end) covers. Returns where the next one starts, or end.
static uint32_t ooo_swallow(struct tcp *tcp, struct tcp_ooo *o, struct rte_mbuf *prev, uint32_t end)
{
	struct rte_mbuf *m = prev ? tcp_meta(tcp, prev)->next : o->head;

	while (m != NULL && seq_le(meta_end(tcp_meta(tcp, m)), end)) {
		struct tcp_meta *s = tcp_meta(tcp, m);
		struct rte_mbuf *next = s->next;

		o->bytes -= s->len;
		o->mbufs -= tcp_mbuf_count(m);
		rte_pktmbuf_free(m);
		m = next;
	}
	if (prev)
		tcp_meta(tcp, prev)->next = m;
	else
		o->head = m;
	if (m == NULL) {
		o->tail = prev;
		return end;
	}
	return seq_lt(tcp_meta(tcp, m)->seq, end) ? tcp_meta(tcp, m)->seq : end;
}

static void ooo_link(struct tcp *tcp, struct tcp_ooo *o, struct rte_mbuf *prev, struct rte_mbuf *m,
	uint32_t seq, uint32_t len)
{
	struct tcp_meta *s = tcp_meta(tcp, m);

	o->bytes += len;
	if (prev != NULL && prev->next == NULL && meta_end(tcp_meta(tcp, prev)) == seq &&
		tcp_rcv_merge(prev, m)) {
		tcp_meta(tcp, prev)->len += len;
		rte_pktmbuf_free(m);
		return;
	}
	*s = (struct tcp_meta){.seq = seq, .len = (uint16_t)len};
	s->next = prev ? tcp_meta(tcp, prev)->next : o->head;
	if (prev)
		tcp_meta(tcp, prev)->next = m;
	else
		o->head = m;
	if (s->next == NULL)
		o->tail = m;
	o->mbufs += tcp_mbuf_count(m);
}

static bool ooo_refused(struct tcp *tcp, const struct tcp_conn *c, const struct tcp_seg *s)
{
	if (tcp->pool_low) {
		tcp->n.rcv_pruned++;
		return true;
	}
	if (c->rx_mbufs + (c->ooo ? c->ooo->mbufs : 0) + tcp_mbuf_count(s->m) > tcp->rx_mbufs_max) {
		tcp->n.ooo_dropped++;
		return true;
	}
	return false;
}

// s lies in the window, beyond rcv_nxt, s->len > 0.
void tcp_ooo_add(struct tcp *tcp, struct tcp_conn *c, struct tcp_seg *s)
{
	uint32_t start = s->seq, end = s->seq + s->len;
	struct tcp_ooo *o;
	struct rte_mbuf *prev;

	tcp->n.out_of_order++;
	if (ooo_refused(tcp, c, s))
		return;
	o = ooo_get(tcp, c);
	if (o == NULL)
		return;
	prev = ooo_before(tcp, o, start);
	if (prev != NULL)
		start = seq_max(start, meta_end(tcp_meta(tcp, prev)));
	sack_tell(tcp, c, s->seq, end);
	sack_add(o, s->seq, end);
	if (seq_lt(start, end))
		end = ooo_swallow(tcp, o, prev, end);
	if (seq_le(end, start)) { // all of it is there
		tcp->n.duplicates++;
		tcp_dsack_note(tcp, c, s->seq, s->seq + s->len);
		return;
	}
	s->m = tcp_mbuf_slice(s->m, s->data_off + (start - s->seq), end - start);
	ooo_link(tcp, o, prev, s->m, start, end - start);
	s->m = NULL;
}

void tcp_ooo_drain(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_ooo *o = c->ooo;

	while (o->head != NULL) {
		struct tcp_meta *s = tcp_meta(tcp, o->head);
		uint32_t skip = c->node.rcv_nxt - s->seq, len = s->len;
		struct rte_mbuf *m;

		if (seq_lt(c->node.rcv_nxt, s->seq))
			break;
		m = ooo_pop(tcp, o);
		if (skip >= len) {
			rte_pktmbuf_free(m);
			continue;
		}
		tcp_rcv_append(tcp, c, tcp_mbuf_slice(m, skip, len - skip));
		c->node.rcv_nxt += len - skip;
		tcp->n.rx_bytes += len - skip;
	}
	sack_trim(o, c->node.rcv_nxt);
	if (o->head == NULL)
		tcp_ooo_free(tcp, c);
}
