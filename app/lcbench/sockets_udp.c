// SPDX-License-Identifier: BSD-3-Clause
// UDP by the kernel: connected sockets, datagrams in batches (recvmmsg, sendmmsg).
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockets.h"

#define BATCH     64
#define IN_BYTES  2048
#define OUT_BYTES (BENCH_UDP_MAX + 8)

struct sockets_udp {
	struct sockets *s;
	unsigned shards; // of the server, each with its port: a socket a connection and shard
	int *fd;         // place: connection * shards + shard
	uint64_t look_ns;
	unsigned out_place, out_count; // datagrams of one socket that wait for sendmmsg
	struct mmsghdr in_msg[BATCH], out_msg[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	char in[BATCH][IN_BYTES], out[BATCH][OUT_BYTES];
};

// What the socket does not take is lost, and sent again by the timeout, as on any network.
static void out_flush(struct sockets_udp *u)
{
	if (u->out_count)
		sendmmsg(u->fd[u->out_place], u->out_msg, u->out_count, 0);
	u->out_count = 0;
}

static void request_add(
	struct sockets_udp *u, struct bench_client *c, const struct bench_request *r)
{
	unsigned place = c->conn_index * u->shards + r->shard;

	if (u->out_count == BATCH || u->out_place != place)
		out_flush(u);
	u->out_place = place;
	u->out_iov[u->out_count].iov_len = bench_udp_write(u->s->b, c, r, u->out[u->out_count]);
	u->out_count++;
}

static void client_send(struct sockets_udp *u, struct bench_client *c)
{
	struct bench_request r;

	if (bench_client_next(u->s->b, c, &r))
		request_add(u, c, &r);
}

static void client_resend(void *arg, struct bench_client *c)
{
	struct sockets_udp *u = arg;
	struct bench_request r;

	bench_client_again(u->s->b, c, &r);
	request_add(u, c, &r);
}

static void client_next(void *arg, struct bench_client *c)
{
	client_send(arg, c);
}

static void place_read(struct sockets_udp *u, unsigned place)
{
	int n = recvmmsg(u->fd[place], u->in_msg, BATCH, 0, NULL);

	for (int i = 0; i < n; i++) {
		struct bench_client *c =
			bench_udp_feed(u->s->b, place / u->shards, u->in[i], u->in_msg[i].msg_len);

		if (c != NULL)
			client_send(u, c);
	}
	out_flush(u);
}

bool sockets_udp_turn(struct sockets *s, struct sockets_udp *u)
{
	struct epoll_event events[SOCKETS_EVENTS];
	struct bench *b = s->b;
	unsigned left = b->clients < BENCH_KICK ? b->clients : BENCH_KICK;
	struct bench_client *c;
	int n;

	while ((c = bench_kick_next(b, &left)) != NULL)
		client_send(u, c);
	bench_udp_timeouts(b, &u->look_ns, client_resend, client_next, u);
	out_flush(u);
	n = epoll_wait(s->epoll, events, SOCKETS_EVENTS, 0);
	for (int i = 0; i < n; i++)
		place_read(u, events[i].data.u32);
	return n > 0;
}

static void messages_init(struct sockets_udp *u)
{
	for (unsigned i = 0; i < BATCH; i++) {
		u->in_iov[i] = (struct iovec){.iov_base = u->in[i], .iov_len = IN_BYTES};
		u->out_iov[i].iov_base = u->out[i];
		u->in_msg[i].msg_hdr = (struct msghdr){.msg_iov = &u->in_iov[i], .msg_iovlen = 1};
		u->out_msg[i].msg_hdr = (struct msghdr){.msg_iov = &u->out_iov[i], .msg_iovlen = 1};
	}
}

int sockets_udp_open(struct sockets *s, struct sockets_udp **out)
{
	unsigned shards = s->b->o->shard_ports, places = s->b->o->connections * shards;
	struct sockets_udp *u = calloc(1, sizeof(*u));
	int rc = 0;

	if (u == NULL)
		return -ENOMEM;
	u->s = s;
	u->shards = shards;
	u->fd = calloc(places, sizeof(*u->fd));
	if (u->fd == NULL) {
		free(u);
		return -ENOMEM;
	}
	messages_init(u);
	for (unsigned i = 0; i < places; i++) {
		u->fd[i] = rc
			? -1
			: sockets_connect(s, SOCK_DGRAM, (uint16_t)(s->b->o->port + i % shards), i);
		if (u->fd[i] < 0 && !rc)
			rc = u->fd[i];
	}
	if (rc)
		sockets_udp_close(s, u);
	else
		*out = u;
	return rc;
}

void sockets_udp_close(struct sockets *s, struct sockets_udp *u)
{
	for (unsigned i = 0; i < s->b->o->connections * u->shards; i++)
		if (u->fd[i] >= 0)
			close(u->fd[i]);
	free(u->fd);
	free(u);
}
