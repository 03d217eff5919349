// SPDX-License-Identifier: BSD-3-Clause
// Opening and closing, listening and connecting, and what the owner calls on a connection.
#include <errno.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "tcp/tcp_internal.h"

#define EPHEMERAL_FIRST 32768u
#define EPHEMERAL_PORTS 28232u // to 60,999
#define TW_MIN          1024u
#define SENT_MIN        512u // segments in flight; small replies share segments beyond
#define TW_MAX          65536u
#define TSO_OFFLOADS \
	(RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)

static uint32_t or_default(uint32_t v, uint32_t dflt)
{
	return v ? v : dflt;
}

static void options_take(struct tcp *tcp, const struct tcp_options *opt)
{
	struct tcp_options *o = &tcp->opt;

	*o = *opt;
	o->conns_max = or_default(o->conns_max, 65536);
	o->rcv_buf_bytes = or_default(o->rcv_buf_bytes, 256 << 10);
	o->snd_buf_bytes = or_default(o->snd_buf_bytes, 256 << 10);
	o->rto_min_us = or_default(o->rto_min_us, 200000);
	o->delack_us = or_default(o->delack_us, 40000);
	o->time_wait_us = or_default(o->time_wait_us, 60000000);
	o->syn_max = or_default(o->syn_max, 4096);
	o->cc = o->cc ? o->cc : tcp_congestion_name(0);
}

static void keys_make(struct tcp *tcp)
{
	struct base_rng rng;

	base_rng_seed(&rng, tcp->opt.seed);
	for (unsigned i = 0; i < RTE_DIM(tcp->isn_key); i++)
		tcp->isn_key[i] = base_rng_next(&rng);
	for (unsigned i = 0; i < RTE_DIM(tcp->hash_key); i++)
		tcp->hash_key[i] = base_rng_next(&rng);
	for (unsigned i = 0; i < RTE_DIM(tcp->cookie_key); i++)
		tcp->cookie_key[i] = base_rng_next(&rng);
	tcp->port_next = (uint32_t)base_rng_next(&rng);
}

static int meta_register(struct tcp *tcp)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "lcached_tcp_meta",
		.size = sizeof(struct tcp_meta),
		.align = __alignof__(struct tcp_meta),
	};

	tcp->meta_off = rte_mbuf_dynfield_register(&field);
	if (tcp->meta_off < 0) {
		base_error("tcp: no room for a dynamic field of %zu bytes in mbufs: %s", field.size,
			rte_strerror(rte_errno));
		return -rte_errno;
	}
	return 0;
}

static void lists_init(struct tcp *tcp)
{
	base_list_init(&tcp->events);
	base_list_init(&tcp->events_later);
	base_list_init(&tcp->dirty);
	base_list_init(&tcp->closed);
	base_list_init(&tcp->ooo);
	base_list_init(&tcp->bulks);
	base_list_init(&tcp->tw);
	tcp_wheel_open(&tcp->wheel);
}

int tcp_open(struct tcp **out, const struct tcp_options *opt)
{
	struct tcp *tcp = mem_try_calloc(opt->mem, MEM_CONNS, sizeof(*tcp), NULL);
	uint64_t nodes;
	int ret = -EINVAL;

	if (tcp == NULL)
		return -ENOMEM;
	options_take(tcp, opt);
	tcp->cc = tcp_cc_find(tcp->opt.cc);
	if (tcp->cc == NULL) {
		base_error("tcp: unknown congestion control '%s'", tcp->opt.cc);
		goto err;
	}
	ret = meta_register(tcp);
	if (ret < 0)
		goto err;
	lists_init(tcp);
	keys_make(tcp);
	tcp->offer = TCP_F_SACK | TCP_F_TS | TCP_F_WSCALE | (tcp->opt.ecn ? TCP_F_ECN : 0);
	tcp->multi_segs = net_tx_offloads(opt->net) & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if ((net_tx_offloads(opt->net) & TSO_OFFLOADS) == TSO_OFFLOADS)
		tcp->tso_mbufs = opt->tso_mbufs;
	tcp->seg_room = rte_pktmbuf_data_room_size(opt->pool) - RTE_PKTMBUF_HEADROOM;
	while (tcp->opt.rcv_buf_bytes >> tcp->rcv_wscale > UINT16_MAX && tcp->rcv_wscale < 14)
		tcp->rcv_wscale++;
	tcp->rx_mbufs_max = RTE_MIN(tcp->opt.rcv_buf_bytes / 512 + 16, (uint32_t)UINT16_MAX);
	tcp->sent_max = RTE_MAX(tcp->opt.snd_buf_bytes / 512, SENT_MIN);
	tcp->tw_max = RTE_MIN(RTE_MAX(tcp->opt.conns_max, TW_MIN), TW_MAX);
	nodes = (uint64_t)tcp->opt.conns_max + tcp->opt.syn_max + tcp->tw_max;
	ret = tcp_table_open(tcp, (uint32_t)base_min_u64(nodes, UINT32_MAX / 2));
	if (ret < 0)
		goto err;
	*out = tcp;
	return 0;
err:
	mem_free(opt->mem, MEM_CONNS, tcp, sizeof(*tcp));
	return ret;
}

void tcp_close(struct tcp *tcp)
{
	struct mem_domain *mem = tcp->opt.mem;
	struct tcp_node *n;
	struct base_list *l;
	uint32_t below = UINT32_MAX;

	while ((n = tcp_table_any(tcp, &below)) != NULL) {
		if (n->kind == TCP_NODE_TW) {
			tcp_timewait_remove(tcp, base_container_of(n, struct tcp_tw, node));
			continue;
		}
		tcp_abort(tcp, base_container_of(n, struct tcp_conn, node));
	}
	while ((l = tcp->closed.next) != &tcp->closed)
		tcp_conn_free(tcp, base_container_of(l, struct tcp_conn, timer));
	base_assert(tcp->conns == 0 && tcp->n.half_open_now == 0 && tcp->tw_count == 0);
	tcp_table_close(tcp);
	mem_free(mem, MEM_CONNS, tcp, sizeof(*tcp));
}

int tcp_listen(struct tcp *tcp, uint16_t port)
{
	if (port == 0)
		return -EINVAL;
	if (tcp_listening(tcp, rte_cpu_to_be_16(port)))
		return -EADDRINUSE;
	if (tcp->listens == TCP_LISTEN_MAX)
		return -ENOSPC;
	tcp->listen[tcp->listens++] = port;
	return 0;
}

void tcp_unlisten(struct tcp *tcp, uint16_t port)
{
	for (unsigned i = 0; i < tcp->listens; i++) {
		if (tcp->listen[i] == port) {
			tcp->listen[i] = tcp->listen[--tcp->listens];
			return;
		}
	}
}

// RFC 6056 algorithm 3 in spirit: a keyed offset by destination, then the next free one.
static bool port_choose(struct tcp *tcp, struct tcp_key *key)
{
	uint32_t offset = (uint32_t)base_siphash(tcp->isn_key, key, sizeof(*key));

	for (uint32_t i = 0; i < EPHEMERAL_PORTS; i++) {
		uint32_t port = EPHEMERAL_FIRST + (offset + tcp->port_next++) % EPHEMERAL_PORTS;

		key->local_port = rte_cpu_to_be_16((uint16_t)port);
		if (!tcp_listening(tcp, key->local_port) &&
			tcp_table_find(tcp, key, tcp_table_hash(tcp, key)) == NULL)
			return true;
	}
	return false;
}

struct tcp_conn *tcp_connect(struct tcp *tcp, const struct base_ip *dst, uint16_t dst_port,
	unsigned local, uint16_t src_port, uint64_t now_us)
{
	struct tcp_key key = {
		.peer = *dst,
		.local = (uint8_t)(local == TCP_LOCAL_ANY ? net_local_for(tcp->opt.net, dst)
							  : local),
		.local_port = rte_cpu_to_be_16(src_port),
		.peer_port = rte_cpu_to_be_16(dst_port),
	};
	struct tcp_conn *c;

	tcp_time_set(tcp, now_us);
	if (tcp->conns >= tcp->opt.conns_max || key.local == NET_OWN_MAX)
		return NULL;
	if (src_port == 0 && !port_choose(tcp, &key))
		return NULL;
	if (src_port && tcp_table_find(tcp, &key, tcp_table_hash(tcp, &key)) != NULL)
		return NULL;
	c = tcp_conn_new(tcp, &key);
	if (c == NULL)
		return NULL;
	tcp->n.active_opens++;
	c->node.state = TCP_SYN_SENT;
	c->flags |= TCP_F_ACTIVE | TCP_F_KNOWN | tcp->offer;
	c->node.rcv_wscale = tcp->rcv_wscale;
	c->snd_una = tcp_iss(tcp, &key);
	c->snd_nxt = c->snd_una + 1;
	c->last_tx_us = (uint32_t)now_us;
	tcp_xmit_syn(tcp, c); // without an mbuf the timer sends it
	tcp_timer_arm(tcp, c, TCP_T_RTX, tcp_rto_us(c));
	return c;
}

void tcp_send(struct tcp *tcp, struct tcp_conn *c, struct rte_mbuf *chain)
{
	if (c->node.state == TCP_CLOSED || (c->flags & TCP_F_FIN_QUEUED)) {
		rte_pktmbuf_free(chain);
		return;
	}
	tcp_unsent_append(c, chain);
	(void)tcp_send_room(tcp, c); // marks a full queue
	if (c->node.state >= TCP_ESTABLISHED)
		tcp_conn_dirty(tcp, c);
}

uint32_t tcp_send_pending(const struct tcp_conn *c)
{
	if (c->node.state < TCP_ESTABLISHED)
		return c->unsent_bytes;
	return tcp_flight(c) + c->unsent_bytes;
}

uint32_t tcp_send_room(struct tcp *tcp, struct tcp_conn *c)
{
	uint32_t used = tcp_send_pending(c), limit;

	if (c->node.state == TCP_CLOSED || (c->flags & TCP_F_FIN_QUEUED))
		return 0;
	tcp_pool_look(tcp);
	limit = RTE_MIN(tcp->opt.snd_buf_bytes, tcp_queue_max(tcp, c));
	if (used < limit)
		return limit - used;
	c->flags |= TCP_F_FULL;
	return 0;
}

uint16_t tcp_mss(const struct tcp_conn *c)
{
	return c->mss;
}

// In SYN-SENT there is nothing to finish (RFC 9293 3.10.4); in SYN-RECEIVED the FIN waits.
void tcp_shutdown(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->node.state == TCP_CLOSED || (c->flags & TCP_F_FIN_QUEUED))
		return;
	if (c->node.state == TCP_SYN_SENT) {
		tcp_conn_end(tcp, c);
		return;
	}
	c->flags |= TCP_F_FIN_QUEUED;
	if (c->node.state >= TCP_ESTABLISHED)
		tcp_conn_dirty(tcp, c);
}

void tcp_abort(struct tcp *tcp, struct tcp_conn *c)
{
	if (c->node.state == TCP_CLOSED)
		return;
	if (c->node.state == TCP_SYN_SENT)
		tcp_conn_end(tcp, c);
	else
		tcp_conn_reset(tcp, c);
}

void tcp_release(struct tcp *tcp, struct tcp_conn *c)
{
	tcp_abort(tcp, c);
	tcp_conn_free(tcp, c);
}

struct tcp_conn *tcp_event_next(struct tcp *tcp, unsigned *events)
{
	struct base_list *l = base_list_pop(&tcp->events);
	struct tcp_conn *c;

	if (l == NULL)
		return NULL;
	c = base_container_of(l, struct tcp_conn, event);
	*events = c->events;
	c->events = 0;
	return c;
}

void tcp_event_again(struct tcp *tcp, struct tcp_conn *c, unsigned events)
{
	c->events |= (uint8_t)events;
	if (base_list_empty(&c->event)) // else it comes anyway
		base_list_append(&tcp->events_later, &c->event);
}

void tcp_user_set(struct tcp_conn *c, void *user)
{
	c->user = user;
}

void *tcp_user(const struct tcp_conn *c)
{
	return c->user;
}

void tcp_peer(const struct tcp_conn *c, struct base_ip *ip, uint16_t *port)
{
	*ip = c->node.key.peer;
	*port = rte_be_to_cpu_16(c->node.key.peer_port);
}

uint16_t tcp_local_port(const struct tcp_conn *c)
{
	return rte_be_to_cpu_16(c->node.key.local_port);
}

unsigned tcp_local(const struct tcp_conn *c)
{
	return c->node.key.local;
}

uint32_t tcp_conns(const struct tcp *tcp)
{
	return tcp->conns;
}

const struct tcp_counters *tcp_counters_get(const struct tcp *tcp)
{
	return &tcp->n;
}
