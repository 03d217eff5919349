// SPDX-License-Identifier: BSD-3-Clause
// The kernel's stack: one thread, epoll without sleeping.
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_OF_ADDRESS 20000 // that are surely free
#define FILES_SPARE      64

static int server_connect(int fd, const struct bench_options *o, rte_be16_t port)
{
	struct sockaddr_in to4 = {.sin_family = AF_INET,
		.sin_port = port,
		.sin_addr.s_addr = base_ip_as4(&o->server)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = port};

	if (base_ip_is4(&o->server))
		return connect(fd, (struct sockaddr *)&to4, sizeof(to4));
	memcpy(&to6.sin6_addr, &o->server, sizeof(to6.sin6_addr));
	return connect(fd, (struct sockaddr *)&to6, sizeof(to6));
}

// One address has 28,000 ports, and each rests for a second after its connection: on loopback there
// are more addresses.
static void source_choose(struct sockets *s, int fd)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	rte_be32_t server = base_ip_as4(&s->b->o->server);
	int one = 1;

	if (!base_ip_is4(&s->b->o->server) ||
		(server & RTE_BE32(0xff000000)) != RTE_BE32(0x7f000000))
		return;
	from.sin_addr.s_addr = rte_cpu_to_be_32(0x7f000002 + s->source++ % SOCKETS_SOURCES);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	bind(fd, (struct sockaddr *)&from, sizeof(from)); // if not, the kernel's choice will do
}

int sockets_connect(struct sockets *s, int type, uint16_t port, uint32_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
	int family = base_ip_is4(&s->b->o->server) ? AF_INET : AF_INET6;
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	int one = 1, rc;

	if (fd < 0)
		return -errno;
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s->b->o->churn || s->b->o->connections > PORTS_OF_ADDRESS)
		source_choose(s, fd);
	if (server_connect(fd, s->b->o, rte_cpu_to_be_16(port)) || fcntl(fd, F_SETFL, O_NONBLOCK) ||
		epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

// One descriptor a connection: as many as the system lets us.
static void files_raise(unsigned connections)
{
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	more.rlim_cur = more.rlim_max = base_max_u64(limit.rlim_max, connections + FILES_SPARE);
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(struct sockets *s)
{
	struct bench *b = s->b;
	struct sockets_udp *udp = NULL;
	bool busy = true;
	int rc = b->o->udp ? sockets_udp_open(s, &udp) : sockets_tcp_open(s);

	if (rc)
		return rc;
	bench_start(b);
	while (bench_turn(b, busy))
		busy = udp ? sockets_udp_turn(s, udp) : sockets_tcp_turn(s);
	if (udp)
		sockets_udp_close(s, udp);
	else
		sockets_tcp_close(s);
	return 0;
}

int bench_sockets_run(struct bench *b)
{
	struct sockets s = {.b = b, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	int rc = -ENOMEM;

	files_raise(b->o->connections * b->o->shard_ports);
	s.in = malloc(SOCKETS_BUF);
	if (s.epoll >= 0 && s.in != NULL)
		rc = run(&s);
	if (rc)
		fprintf(stderr, "lcbench: cannot connect: %s\n", strerror(-rc));
	free(s.in);
	if (s.epoll >= 0)
		close(s.epoll);
	return rc;
}
