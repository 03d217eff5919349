// SPDX-License-Identifier: BSD-3-Clause
// raw_shell: proto, exec and one store behind a plain loopback socket of the kernel, one thread, no
// DPDK. It is what the byte-for-byte comparison with memcached runs against when the network stack
// is not wanted, and a way to try the three modules by hand:
//
//	raw_shell [-p PORT] [-I ITEM_BYTES] [-m LIMIT_BYTES]
//
// prints "ready PORT" and serves 127.0.0.1 until SIGTERM.
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "exec/exec.h"
#include "mem/mem.h"
#include "proto/proto.h"
#include "store/store.h"

#define SHELL_CONNS      256
#define SHELL_IN_BYTES   (64 * 1024)
#define SHELL_OUT_STOP   (8 * 1024 * 1024) // a connection that does not read is not read
#define SHELL_STEP_ITEMS 64

struct shell_conn {
	int fd;
	bool closing; // once the output is out
	struct proto_parser parser;
	// a storage command whose value is arriving
	struct store_item *item;
	struct proto_request set;
	uint64_t hash;
	uint32_t filled;
	uint8_t end_len;
	char end[2];
	char set_key[PROTO_KEY_MAX];
	uint64_t swallow;
	// bytes
	size_t in_len, out_len, out_sent, out_cap, line_start;
	char *out;
	char in[SHELL_IN_BYTES];
};

struct shell {
	struct mem_domain *mem;
	struct store *store;
	struct exec ex;
	uint64_t item_bytes_max, limit_bytes;
	int listen_fd;
	struct shell_conn *conn[SHELL_CONNS];
};

static volatile sig_atomic_t shell_stop;

static void shell_on_signal(int sig)
{
	(void)sig;
	shell_stop = 1;
}

static void conn_put(struct shell_conn *c, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (c->out_len + len > c->out_cap) {
		c->out_cap = (c->out_len + len) * 2;
		c->out = realloc(c->out, c->out_cap);
		base_assert(c->out != NULL);
	}
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
}

static void conn_put_text(struct shell_conn *c, const char *text)
{
	conn_put(c, text, strlen(text));
}

static void conn_put_value(struct shell_conn *c, struct store_item *it)
{
	struct store_span span[2];

	store_value_spans(it, span);
	conn_put(c, span[0].at, span[0].bytes);
	conn_put(c, span[1].at, span[1].bytes);
}

static void conn_answer(struct shell *s, struct shell_conn *c, const struct proto_request *r,
	struct exec_result *res)
{
	char head[PROTO_HEAD_MAX];
	struct proto_reply reply;

	proto_compose(r, &res->proto, head, &reply);
	base_assert(reply.head_len <= PROTO_HEAD_MAX && reply.tail_len <= PROTO_TAIL_MAX);
	conn_put(c, head, reply.head_len);
	if (reply.value)
		conn_put_value(c, res->item);
	conn_put(c, reply.tail, reply.tail_len);
	if (res->item)
		store_unref(s->store, res->item);
}

static void conn_stat(struct shell_conn *c, const char *name, uint64_t value)
{
	char line[96];

	snprintf(line, sizeof(line), "STAT %s %llu\r\n", name, (unsigned long long)value);
	conn_put_text(c, line);
}

static void conn_stats(struct shell *s, struct shell_conn *c)
{
	const struct exec_counters *n = &s->ex.n;
#define STAT(name) conn_stat(c, #name, n->name)
	STAT(cmd_get);
	STAT(cmd_set);
	STAT(cmd_flush);
	STAT(cmd_touch);
	STAT(cmd_meta);
	STAT(get_hits);
	STAT(get_misses);
	STAT(get_expired);
	STAT(get_flushed);
	STAT(delete_misses);
	STAT(delete_hits);
	STAT(incr_misses);
	STAT(incr_hits);
	STAT(decr_misses);
	STAT(decr_hits);
	STAT(cas_misses);
	STAT(cas_hits);
	STAT(cas_badval);
	STAT(touch_hits);
	STAT(touch_misses);
	STAT(store_too_large);
	STAT(store_no_memory);
#undef STAT
	conn_put_text(c, "END\r\n");
}

// The command line of a storage command is complete: make room for the value, or refuse it.
static void conn_set_begin(struct shell *s, struct shell_conn *c, const struct proto_request *r)
{
	struct exec_result res;

	c->hash = base_hash(r->key, r->key_len);
	exec_reserve(&s->ex, r, c->hash, &c->item, &res);
	if (!c->item) {
		conn_answer(s, c, r, &res);
		c->swallow = (uint64_t)r->value_bytes + 2;
		return;
	}
	c->set = *r;
	memcpy(c->set_key, r->key, r->key_len);
	c->set.key = c->set_key;
	c->filled = 0;
	c->end_len = 0;
}

// Bytes of the value and its \r\n. Returns how many it took.
static size_t conn_set_fill(struct shell *s, struct shell_conn *c, const char *data, size_t len)
{
	struct exec_result res = {0};
	size_t n = base_min_u64(len, c->set.value_bytes - c->filled), taken = n;

	store_value_write(c->item, c->filled, data, (uint32_t)n);
	c->filled += (uint32_t)n;
	while (taken < len && c->end_len < 2)
		c->end[c->end_len++] = data[taken++];
	if (c->end_len < 2)
		return taken;
	if (proto_data_end_valid(c->end)) {
		exec_commit(&s->ex, &c->set, c->hash, c->item, &res);
	} else {
		store_abort(s->store, c->item);
		res.proto.status = PROTO_BAD_CHUNK;
	}
	c->item = NULL;
	conn_answer(s, c, &c->set, &res);
	return taken;
}

static void conn_execute(struct shell *s, struct shell_conn *c, const struct proto_request *r)
{
	struct exec_result res;

	if (r->rollback)
		c->out_len = base_max_u64(c->line_start, c->out_sent);
	if (r->first_key || r->op != PROTO_OP_GET)
		c->line_start = c->out_len;
	c->swallow = r->swallow_bytes;
	switch (r->op) {
	case PROTO_OP_SET:
		conn_set_begin(s, c, r);
		break;
	case PROTO_OP_STATS:
		conn_stats(s, c);
		break;
	case PROTO_OP_CLOSE:
	case PROTO_OP_QUIT:
		c->closing = true;
		__attribute__((fallthrough));
	case PROTO_OP_REPLY:
		if (r->reply_text)
			conn_put_text(c, r->reply_text);
		break;
	case PROTO_OP_ADMIN: // for a server
		conn_put_text(c, "ERROR\r\n");
		break;
	default:
		exec_apply(&s->ex, r, base_hash(r->key, r->key ? r->key_len : 0), &res);
		conn_answer(s, c, r, &res);
	}
}

// Consumes what has arrived as far as it makes whole requests.
static void conn_consume(struct shell *s, struct shell_conn *c)
{
	size_t at = 0;

	while (at < c->in_len && !c->closing) {
		struct proto_request r;
		size_t n;

		if (c->item) {
			at += conn_set_fill(s, c, c->in + at, c->in_len - at);
			continue;
		}
		if (c->swallow > 0) {
			n = base_min_u64(c->swallow, c->in_len - at);
			c->swallow -= n;
			at += n;
			continue;
		}
		if (proto_parse(&c->parser, c->in + at, c->in_len - at, &r) == PROTO_MORE) {
			at += r.consumed;
			break;
		}
		base_assert(r.consumed > 0 && r.consumed <= c->in_len - at);
		at += r.consumed;
		conn_execute(s, c, &r);
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
}

static void conn_close(struct shell *s, unsigned i)
{
	struct shell_conn *c = s->conn[i];

	if (c->item)
		store_abort(s->store, c->item);
	close(c->fd);
	free(c->out);
	free(c);
	s->conn[i] = NULL;
}

// False: the connection is over.
static bool conn_read(struct shell *s, struct shell_conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	if (n > 0) {
		c->in_len += (size_t)n;
		conn_consume(s, c);
	}
	return true;
}

// False: the connection is over.
static bool conn_write(struct shell_conn *c)
{
	ssize_t n;

	if (c->out_len == c->out_sent)
		return !c->closing;
	n = send(
		c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->out_sent += (size_t)n;
	if (c->out_sent < c->out_len)
		return true;
	c->out_len = c->out_sent = c->line_start = 0;
	return !c->closing;
}

static void shell_accept(struct shell *s)
{
	int fd = accept(s->listen_fd, NULL, NULL), one = 1;

	if (fd < 0)
		return;
	for (unsigned i = 0; i < SHELL_CONNS; i++) {
		if (s->conn[i])
			continue;
		s->conn[i] = calloc(1, sizeof(*s->conn[i]));
		base_assert(s->conn[i] != NULL);
		s->conn[i]->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		// the store refuses what is too large: a set then also deletes the old value
		proto_parser_init(&s->conn[i]->parser, UINT32_MAX);
		proto_parser_restrict(&s->conn[i]->parser, PROTO_ASCII, false);
		return;
	}
	close(fd);
}

static void shell_serve(struct shell *s, unsigned i, short events)
{
	struct shell_conn *c = s->conn[i];
	bool alive = true;

	if (events & (POLLIN | POLLHUP | POLLERR))
		alive = conn_read(s, c);
	if (!alive || !conn_write(c))
		conn_close(s, i);
}

static void shell_turn(struct shell *s)
{
	struct pollfd p[SHELL_CONNS + 1];
	unsigned which[SHELL_CONNS + 1], n = 1;

	p[0] = (struct pollfd){.fd = s->listen_fd, .events = POLLIN};
	for (unsigned i = 0; i < SHELL_CONNS; i++) {
		struct shell_conn *c = s->conn[i];

		if (!c)
			continue;
		p[n] = (struct pollfd){.fd = c->fd};
		if (c->out_len < SHELL_OUT_STOP)
			p[n].events |= POLLIN;
		if (c->out_len > c->out_sent)
			p[n].events |= POLLOUT;
		which[n++] = i;
	}
	if (poll(p, n, 500) < 0)
		return;
	store_turn(s->store, base_now_read());
	for (unsigned i = 1; i < n; i++)
		if (p[i].revents)
			shell_serve(s, which[i], p[i].revents);
	if (p[0].revents)
		shell_accept(s);
	store_step(s->store, SHELL_STEP_ITEMS);
}

static int shell_listen(struct shell *s, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(a);
	int one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (s->listen_fd < 0)
		return -errno;
	setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		listen(s->listen_fd, 128) < 0 ||
		getsockname(s->listen_fd, (struct sockaddr *)&a, &len) < 0)
		return -errno;
	printf("ready %u\n", ntohs(a.sin_port));
	fflush(stdout);
	return 0;
}

static int shell_open(struct shell *s)
{
	struct store_options so = {
		.seed = 1,
		.limit_bytes = s->limit_bytes,
		.item_bytes_max = s->item_bytes_max,
		.cas_first = 1,
		.cas_step = 1,
		.policy = STORE_ALLKEYS_LRU,
		.samples = 5,
	};
	int rc = mem_domain_open(
		&s->mem, &(struct mem_options){.name = "raw_shell", .numa_node = -1});

	if (rc)
		return rc;
	mem_domain_bind(s->mem);
	so.mem = s->mem;
	rc = store_open(&s->store, &so);
	if (rc)
		return rc;
	s->ex.store = s->store;
	store_turn(s->store, base_now_read());
	return 0;
}

static void shell_close(struct shell *s)
{
	for (unsigned i = 0; i < SHELL_CONNS; i++)
		if (s->conn[i])
			conn_close(s, i);
	close(s->listen_fd);
	store_close(s->store);
	mem_domain_unbind(s->mem);
	mem_domain_close(s->mem);
}

int main(int argc, char **argv)
{
	struct shell s = {.item_bytes_max = 1024 * 1024, .limit_bytes = 64 * 1024 * 1024};
	uint16_t port = 0;
	int opt, rc;

	while ((opt = getopt(argc, argv, "p:I:m:")) != -1) {
		if (opt == 'p')
			port = (uint16_t)atoi(optarg);
		else if (opt == 'I')
			s.item_bytes_max = strtoull(optarg, NULL, 10);
		else if (opt == 'm')
			s.limit_bytes = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	signal(SIGTERM, shell_on_signal);
	signal(SIGINT, shell_on_signal);
	rc = shell_open(&s);
	if (rc == 0)
		rc = shell_listen(&s, port);
	if (rc) {
		fprintf(stderr, "raw_shell: %s\n", strerror(-rc));
		return 1;
	}
	while (!shell_stop)
		shell_turn(&s);
	shell_close(&s);
	return 0;
}
