// SPDX-License-Identifier: BSD-3-Clause
// A connection's life: made, announced, ended, freed.
#include "tcp/tcp_internal.h"

#define QUICK_ACKS   16  // data segments acknowledged at once at the start
#define RCV_MSS_INIT 536 // RFC 9293 3.7.1

struct tcp_conn *tcp_conn_new(struct tcp *tcp, const struct tcp_key *key)
{
	struct tcp_conn *c =
		mem_try_alloc_aligned(tcp->opt.mem, MEM_CONNS, BASE_CACHE_LINE, sizeof(*c), NULL);

	if (c == NULL) {
		tcp->n.no_memory++;
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->node.key = *key;
	c->node.hash = tcp_table_hash(tcp, key);
	c->node.kind = TCP_NODE_CONN;
	base_list_init(&c->event);
	base_list_init(&c->dirty);
	base_list_init(&c->timer);
	c->quick_acks = QUICK_ACKS;
	c->rcv_mss = RCV_MSS_INIT;
	c->node.ts_offset = tcp_ts_offset(tcp, key);
	c->oow_ms = tcp->now_ms - UINT16_MAX;
	c->pseudo_sum =
		net_pseudo_sum(net_ip(tcp->opt.net, key->local), &key->peer, IPPROTO_TCP, 0);
	c->last_rx_ms = tcp->now_ms;
	tcp_rtt_init(tcp, c);
	tcp_table_add(tcp, &c->node);
	return c;
}

void tcp_conn_free(struct tcp *tcp, struct tcp_conn *c)
{
	base_assert(c->node.state == TCP_CLOSED);
	base_assert(c->sent_head == NULL && c->unsent_head == NULL && c->ooo == NULL);
	base_assert(c->bulk == NULL);
	tcp_rcv_free(c);
	base_list_remove(&c->event);
	base_list_remove(&c->timer);
	mem_free_aligned(tcp->opt.mem, MEM_CONNS, c, BASE_CACHE_LINE, sizeof(*c));
}

void tcp_conn_event(struct tcp *tcp, struct tcp_conn *c, unsigned events)
{
	c->flags |= TCP_F_KNOWN;
	c->events |= (uint8_t)events;
	base_list_remove(&c->event); // it may stand on the list for the next turn
	base_list_append(&tcp->events, &c->event);
}

void tcp_conn_dirty(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->flags & TCP_F_DIRTY)
		return;
	c->flags |= TCP_F_DIRTY;
	base_list_append(&tcp->dirty, &c->dirty);
}

static void queues_free(struct tcp *tcp, struct tcp_conn *c)
{
	tcp_sent_free(tcp, c);
	tcp_unsent_free(c);
	tcp_ooo_free(tcp, c);
}

void tcp_conn_end(struct tcp *tcp, struct tcp_conn *c)
{
	base_assert(c->node.state != TCP_CLOSED);
	if (c->node.state == TCP_SYN_RCVD && !(c->flags & TCP_F_ACTIVE))
		tcp->n.half_open_now--;
	tcp_table_remove(tcp, &c->node);
	tcp_timer_remove(c);
	base_list_remove(&c->dirty);
	queues_free(tcp, c);
	tcp_bulk_free(tcp, c);
	if (tcp->dsack_conn == c)
		tcp->dsack_conn = NULL;
	if (c->flags & TCP_F_COUNTED)
		tcp->conns--;
	c->flags &= ~(TCP_F_COUNTED | TCP_F_DIRTY);
	c->timers = 0;
	if (c->flags & TCP_F_KNOWN)
		tcp_note(tcp, FLIGHT_TCP_CLOSE, c->node.state, c, 0);
	c->node.state = TCP_CLOSED;
	tcp->n.closed++;
	if (!(c->flags & TCP_F_KNOWN)) {
		tcp_conn_free(tcp, c);
		return;
	}
	base_list_append(&tcp->closed, &c->timer);
	tcp_conn_event(tcp, c, TCP_EV_CLOSED);
}

void tcp_conn_reset(struct tcp *tcp, struct tcp_conn *c)
{
	queues_free(tcp, c); // the RST may need one of their mbufs
	tcp_xmit_reset(tcp, c);
	tcp_conn_end(tcp, c);
}

static void open_note(struct tcp *tcp, const struct tcp_conn *c)
{
	uint32_t tail;

	memcpy(&tail, (const char *)(&c->node.key.peer + 1) - sizeof(tail), sizeof(tail));
	tcp_note(tcp, FLIGHT_TCP_OPEN, !!(c->flags & TCP_F_ACTIVE), c, tcp_key_ports(&c->node.key));
	tcp_note(tcp, FLIGHT_TCP_PEER, 0, c, rte_be_to_cpu_32(tail));
}

bool tcp_conn_establish(struct tcp *tcp, struct tcp_conn *c)
{
	if (tcp->conns >= tcp->opt.conns_max) {
		tcp->n.conns_refused++;
		tcp_conn_reset(tcp, c);
		return false;
	}
	if (c->node.state == TCP_SYN_RCVD && !(c->flags & TCP_F_ACTIVE))
		tcp->n.half_open_now--;
	c->node.state = TCP_ESTABLISHED;
	c->flags |= TCP_F_COUNTED;
	tcp->conns++;
	tcp->n.established++;
	open_note(tcp, c);
	c->retries = c->backoff = 0;
	tcp_timer_stop(c, TCP_T_RTX);
	if (c->srtt_us == 0 && !(c->flags & (TCP_F_SYN_LOST | TCP_F_COOKIE)))
		tcp_rtt_sample(tcp, c, (uint32_t)tcp->now_us - c->last_tx_us);
	if (c->flags & TCP_F_SYN_LOST && c->srtt_us == 0)
		c->rto_us = TCP_RTO_SYN_US; // RFC 6298 section 5.7
	tcp_cc_init(c);
	if (tcp->opt.keepalive_us)
		tcp_timer_arm(tcp, c, TCP_T_KEEP, tcp_keep_delay_us(tcp, c));
	tcp_conn_event(tcp, c, c->flags & TCP_F_ACTIVE ? TCP_EV_ESTABLISHED : TCP_EV_ACCEPTED);
	tcp_conn_dirty(tcp, c);
	return true;
}
