// SPDX-License-Identifier: BSD-3-Clause
// The reply to `stats conns`: memcached's lines, numbers of our own in place of descriptors.

#include <stdio.h>

#include "worker/worker_internal.h"

#define CONN_TEXT_MAX 256 // of one connection

struct conns_out {
	char *buf;
	size_t len, size;
	unsigned id;
};

static void conn_line(struct conns_out *o, const char *name, const char *value)
{
	int n = snprintf(
		o->buf + o->len, o->size - o->len, "STAT %u:%s %s\r\n", o->id, name, value);

	base_assert(n > 0 && o->len + (size_t)n < o->size);
	o->len += (size_t)n;
}

static void conn_lines(struct conns_out *o, const char *proto, const char *address, uint16_t port,
	const char *state, uint64_t idle_s, const char *listen)
{
	char text[96];

	snprintf(text, sizeof(text), "%s:%s:%u", proto, address, port);
	conn_line(o, "addr", text);
	if (listen != NULL)
		conn_line(o, "listen_addr", listen);
	conn_line(o, "state", state);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)idle_s);
	conn_line(o, "secs_since_last_cmd", text);
}

static const char *conn_state(const struct worker_conn *c)
{
	const struct worker_slot *s;

	switch ((enum worker_conn_state)c->state) {
	case WORKER_CONN_FILL:
	case WORKER_CONN_RESERVE:
		return "conn_nread";
	case WORKER_CONN_SWALLOW:
		return "conn_swallow";
	case WORKER_CONN_QUIT:
	case WORKER_CONN_SHUT:
		return "conn_closing";
	case WORKER_CONN_COMMAND:
		break;
	}
	if (base_list_empty(&c->sink.slots))
		return "conn_read";
	s = base_container_of(c->sink.slots.next, struct worker_slot, node);
	return s->state == WORKER_SLOT_READY ? "conn_mwrite" : "conn_io_queue";
}

static void conn_write(struct conns_out *o, const struct worker *w, const struct worker_conn *c,
	const char *listen)
{
	char ip[BASE_IP_TEXT];
	struct base_ip peer;
	uint16_t port;

	tcp_peer(c->tcp, &peer, &port);
	conn_lines(o, "tcp", base_ip_format(&peer, ip), port, conn_state(c),
		(uint32_t)w->now.wall_s - c->heard_s, listen);
}

size_t worker_conns_write(const struct worker *w, char *buf, size_t size)
{
	const struct worker_settings *set = w->settings;
	struct conns_out o = {.buf = buf, .size = size};
	uint64_t up_s = w->now.wall_s - set->start_wall_s;
	char listen[80];

	snprintf(listen, sizeof(listen), "tcp:%s:%u", set->address, set->tcp_port);
	if (w->id == 0 && set->tcp_port != 0)
		conn_lines(&o, "tcp", set->address, set->tcp_port, "conn_listening", up_s, NULL);
	o.id = 1;
	if (w->id == 0 && set->udp_port != 0)
		conn_lines(&o, "udp", set->address, set->udp_port, "conn_read", up_s, NULL);
	o.id = 2 + w->id; // every worker has its own
	base_list_for_each (node, &w->conns) {
		if (o.size - o.len < CONN_TEXT_MAX)
			break;
		conn_write(&o, w, base_container_of(node, struct worker_conn, node), listen);
		o.id += w->count;
	}
	return o.len;
}
