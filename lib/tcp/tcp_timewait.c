// SPDX-License-Identifier: BSD-3-Clause
// TIME-WAIT: a small record that answers for a finished connection. All wait equally long, so the
// list is in order of expiry, and the oldest goes when the table is full.
#include "tcp/tcp_internal.h"

#define ISS_GAP   65537u // beyond what the old connection may have sent (RFC 9293 3.4.2)
#define ANSWER_MS 500u

void tcp_timewait_remove(struct tcp *tcp, struct tcp_tw *tw)
{
	tcp_table_remove(tcp, &tw->node);
	base_list_remove(&tw->list);
	tcp->tw_count--;
	tcp->n.time_wait_now--;
	mem_free(tcp->opt.mem, MEM_CONNS, tw, sizeof(*tw));
}

static struct tcp_tw *tw_oldest(struct tcp *tcp)
{
	if (base_list_empty(&tcp->tw))
		return NULL;
	return base_container_of(tcp->tw.next, struct tcp_tw, list);
}

static void tw_start(struct tcp *tcp, struct tcp_tw *tw)
{
	tw->expire_ms = tcp->now_ms + tcp->opt.time_wait_us / 1000;
	base_list_remove(&tw->list);
	base_list_append(&tcp->tw, &tw->list);
}

unsigned tcp_timewait_expire(struct tcp *tcp, unsigned max)
{
	struct tcp_tw *tw;
	unsigned n = 0;

	while (n < max && (tw = tw_oldest(tcp)) != NULL && seq_le(tw->expire_ms, tcp->now_ms)) {
		tcp_timewait_remove(tcp, tw);
		n++;
	}
	return n;
}

void tcp_timewait_enter(struct tcp *tcp, struct tcp_conn *c)
{
	struct tcp_tw *tw;

	if (tcp->tw_count >= tcp->tw_max)
		tcp_timewait_remove(tcp, tw_oldest(tcp));
	tw = mem_try_calloc(tcp->opt.mem, MEM_CONNS, sizeof(*tw), NULL);
	if (tw != NULL) {
		tw->node = c->node;
		tw->node.kind = TCP_NODE_TW;
		tw->node.state = TCP_CLOSED;
		tw->snd_nxt = c->snd_nxt;
		tw->ts = c->flags & TCP_F_TS;
		tw->ts_recent = c->ts_recent;
		tw->window = tcp_rcv_window(tcp, c);
		tw->oow_ms = tcp->now_ms - ANSWER_MS;
		base_list_init(&tw->list);
	} else {
		tcp->n.no_memory++;
	}
	tcp_conn_end(tcp, c); // frees the place in the table
	if (tw == NULL)
		return;
	tcp_table_add(tcp, &tw->node);
	tcp->tw_count++;
	tcp->n.time_wait++;
	tcp->n.time_wait_now++;
	tw_start(tcp, tw);
}

// A SYN that cannot be of the old connection opens a new one (RFC 6191 section 2): by the
// timestamps where both have them and they differ, else by the sequence number.
static bool syn_is_new(const struct tcp_tw *tw, const struct tcp_seg *s)
{
	if ((s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG)) !=
		RTE_TCP_SYN_FLAG)
		return false;
	if (tw->ts && (s->opts & TCP_O_TS) && tw->ts_recent != s->tsval)
		return seq_lt(tw->ts_recent, s->tsval);
	return seq_lt(tw->node.rcv_nxt, s->seq);
}

void tcp_timewait_input(struct tcp *tcp, struct tcp_tw *tw, struct tcp_seg *s)
{
	uint32_t iss = tw->snd_nxt + ISS_GAP;

	if (s->flags & RTE_TCP_RST_FLAG) { // assassination (RFC 1337)
		tcp->n.outside_window++;
		return;
	}
	if (syn_is_new(tw, s) && tcp_listening(tcp, s->key.local_port)) {
		tcp_timewait_remove(tcp, tw);
		tcp_listen_input(tcp, s, &iss);
		return;
	}
	if (seg_space(s) == 0 && s->seq == tw->node.rcv_nxt)
		return; // the last ACK again
	if ((s->flags & RTE_TCP_FIN_FLAG) && s->seq + seg_space(s) == tw->node.rcv_nxt)
		tw_start(tcp, tw);
	else if (tcp->now_ms - tw->oow_ms < ANSWER_MS) {
		tcp->n.answers_held++;
		return;
	}
	tw->oow_ms = tcp->now_ms;
	tcp_xmit_tw_ack(tcp, tw);
}
