// SPDX-License-Identifier: BSD-3-Clause
// The kernel's stack: what sockets_tcp.c and sockets_udp.c share.
#pragma once

#include "lcbench.h"

#define SOCKETS_EVENTS   256
#define SOCKETS_BUF      (256 << 10)
#define SOCKETS_SOURCES  32         // addresses on loopback
#define SOCKETS_OUT_MARK (64 << 10) // no new request while this much waits to be written

struct sockets {
	struct bench *b;
	int epoll;
	char *in;        // SOCKETS_BUF bytes
	unsigned source; // next address on loopback
};

// A socket of `type`, connected to the server's port and in the epoll set with `tag`. fd or -errno.
int sockets_connect(struct sockets *s, int type, uint16_t port, uint32_t tag);

// Handle one turn's events; true when there were any. Never sleep: a generator that sleeps makes
// the server pay for waking it.
bool sockets_tcp_turn(struct sockets *s);
int sockets_tcp_open(struct sockets *s);
void sockets_tcp_close(struct sockets *s);

struct sockets_udp;
int sockets_udp_open(struct sockets *s, struct sockets_udp **u);
bool sockets_udp_turn(struct sockets *s, struct sockets_udp *u);
void sockets_udp_close(struct sockets *s, struct sockets_udp *u);
