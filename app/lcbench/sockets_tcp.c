// SPDX-License-Identifier: BSD-3-Clause
// TCP by the kernel: all the requests that a client may send leave in one write.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockets.h"

static size_t out_bytes(const struct bench *b)
{
	return SOCKETS_OUT_MARK + bench_request_max(b);
}

// Writes what waits. False: the client is lost.
static bool out_write(struct sockets *s, struct bench_client *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, 0);

		if (n < 0 && errno == EAGAIN) {
			struct epoll_event event = {.events = EPOLLIN | EPOLLOUT,
				.data.u32 = (uint32_t)(c - s->b->client)};

			epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event);
			return true;
		}
		if (n < 0) {
			bench_client_lose(s->b, c, strerror(errno));
			return false;
		}
		c->out_at += (uint32_t)n;
	}
	c->out_at = c->out_len = 0;
	return true;
}

static void out_add(struct bench_client *c, const void *bytes, size_t len)
{
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += (uint32_t)len;
}

static void client_send(struct sockets *s, struct bench_client *c)
{
	struct bench_request r;

	if (c->dead || c->out_at) // a write is half done
		return;
	while (c->out_len < SOCKETS_OUT_MARK && bench_client_next(s->b, c, &r)) {
		out_add(c, r.head, r.head_len);
		if (r.set) {
			out_add(c, r.value, r.value_len);
			out_add(c, r.end, r.end_len);
		}
	}
	out_write(s, c);
}

// Closes the connection and makes another. False: the client is lost.
static bool client_again(struct sockets *s, struct bench_client *c)
{
	close(c->fd);
	c->fd = sockets_connect(s, SOCK_STREAM, s->b->o->port, c->conn_index);
	if (c->fd >= 0) {
		s->b->n.opens++;
		return true;
	}
	bench_client_lose(s->b, c, strerror(-c->fd));
	return false;
}

static void client_event(struct sockets *s, struct bench_client *c, uint32_t events)
{
	ssize_t n;

	if (c->dead)
		return;
	if (events & EPOLLOUT) {
		struct epoll_event event = {
			.events = EPOLLIN, .data.u32 = (uint32_t)(c - s->b->client)};

		epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event);
		if (!out_write(s, c))
			return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = recv(c->fd, s->in, SOCKETS_BUF, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			bench_client_lose(s->b, c, n ? strerror(errno) : "closed by the server");
			epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
			return;
		}
		if (n > 0 && !bench_client_feed(s->b, c, s->in, (size_t)n))
			return;
		if (n > 0 && bench_client_done(s->b, c) && !client_again(s, c))
			return;
	}
	client_send(s, c);
}

bool sockets_tcp_turn(struct sockets *s)
{
	struct epoll_event events[SOCKETS_EVENTS];
	struct bench *b = s->b;
	unsigned left = b->clients < BENCH_KICK ? b->clients : BENCH_KICK;
	struct bench_client *c;
	int n;

	while ((c = bench_kick_next(b, &left)) != NULL)
		client_send(s, c);
	n = epoll_wait(s->epoll, events, SOCKETS_EVENTS, 0);
	for (int i = 0; i < n; i++)
		client_event(s, &b->client[events[i].data.u32], events[i].events);
	return n > 0;
}

int sockets_tcp_open(struct sockets *s)
{
	struct bench *b = s->b;

	for (unsigned i = 0; i < b->clients; i++) {
		struct bench_client *c = &b->client[i];

		c->out = malloc(out_bytes(b));
		c->fd = c->out ? sockets_connect(s, SOCK_STREAM, b->o->port, i) : -ENOMEM;
		if (c->fd < 0) {
			int rc = c->fd;

			sockets_tcp_close(s);
			return rc;
		}
	}
	return 0;
}

void sockets_tcp_close(struct sockets *s)
{
	for (unsigned i = 0; i < s->b->clients; i++) {
		if (s->b->client[i].fd >= 0)
			close(s->b->client[i].fd);
		free(s->b->client[i].out);
	}
}
