// SPDX-License-Identifier: BSD-3-Clause
// The reply to `stats conns`: memcached's lines, numbers of our own in place of descriptors.

#include <stdio.h>

#include "worker/worker_admin.h"

#define CONN_TEXT_MAX 384 // of one connection
#define ADDRESS_TEXT  (BASE_IP_TEXT + 16)

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

static void conn_lines(struct conns_out *o, const char *address, const char *state, uint64_t idle_s,
	const char *listen)
{
	char text[24];

	conn_line(o, "addr", address);
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
	case WORKER_CONN_DUMP:
	case WORKER_CONN_WATCH:
		return "conn_watch";
	case WORKER_CONN_COMMAND:
		break;
	}
	if (base_list_empty(&c->sink.slots))
		return "conn_read";
	s = base_container_of(c->sink.slots.next, struct worker_slot, node);
	return s->state == WORKER_SLOT_READY ? "conn_mwrite" : "conn_io_queue";
}

// "tcp:A.B.C.D:PORT", or as memcached has it "tcp6:[A]:PORT"
static const char *address_format(
	char *buf, size_t size, const char *proto, const struct base_ip *ip, uint16_t port)
{
	char text[BASE_IP_TEXT];
	bool ip4 = base_ip_is4(ip);

	base_ip_format(ip, text);
	snprintf(buf, size, "%s%s:%s%s%s:%u", proto, ip4 ? "" : "6", ip4 ? "" : "[", text,
		ip4 ? "" : "]", port);
	return buf;
}

static void conn_write(struct conns_out *o, const struct worker *w, const struct worker_conn *c)
{
	char peer_text[ADDRESS_TEXT], own_text[ADDRESS_TEXT];
	struct base_ip peer;
	uint16_t port;

	o->id = worker_conn_mark(c); // what `watch` calls it, too
	tcp_peer(c->tcp, &peer, &port);
	conn_lines(o, address_format(peer_text, sizeof(peer_text), "tcp", &peer, port),
		conn_state(c), worker_now_s(w) - c->heard_s,
		address_format(own_text, sizeof(own_text), "tcp", net_ip(w->net, tcp_local(c->tcp)),
			w->settings->tcp_port));
}

static void listeners_write(struct conns_out *o, const struct worker *w)
{
	const struct worker_settings *set = w->settings;
	uint64_t up_s = w->now.wall_s - set->start_wall_s;
	char text[ADDRESS_TEXT];

	for (unsigned i = 0; i < set->addresses; i++) {
		const struct base_ip *ip = net_ip(w->net, i);

		if (o->size - o->len < 2 * CONN_TEXT_MAX)
			return;
		o->id = 2 * i;
		if (set->tcp_port != 0)
			conn_lines(o, address_format(text, sizeof(text), "tcp", ip, set->tcp_port),
				"conn_listening", up_s, NULL);
		o->id++;
		if (set->udp_port != 0)
			conn_lines(o, address_format(text, sizeof(text), "udp", ip, set->udp_port),
				"conn_read", up_s, NULL);
	}
}

size_t worker_conns_write(const struct worker *w, char *buf, size_t size)
{
	struct conns_out o = {.buf = buf, .size = size};

	if (w->id == 0)
		listeners_write(&o, w);
	base_list_for_each (node, &w->conns) {
		if (o.size - o.len < CONN_TEXT_MAX)
			break;
		conn_write(&o, w, base_container_of(node, struct worker_conn, node));
	}
	return o.len;
}
