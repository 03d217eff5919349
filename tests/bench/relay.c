// SPDX-License-Identifier: BSD-3-Clause
// bench_relay A B [--loss PERCENT] [--dup PERCENT] [--reorder PERCENT] [--delay US] [--seed N]
//
// Carries frames between two interfaces, and loses, repeats, reorders and delays them on the way,
// as netem would in kernels that have it. A frame that is reordered comes up to a millisecond
// later.
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "base/base.h"

#define FRAMES     65536
#define FRAME_MAX  2048
#define BURST      64
#define SOCK_BYTES (16 << 20)
#define REORDER_NS 1000000

struct frame {
	uint64_t due_ns, number; // frames due at once keep their order
	uint32_t len;
	uint8_t to;
	uint8_t bytes[FRAME_MAX];
};

struct relay {
	int fd[2];
	double loss, dup, reorder; // 0..1
	uint64_t delay_ns, number;
	struct base_rng rng;
	struct frame *frame;
	uint32_t *heap, *spare; // indices of frames: those under way by due time, and the free ones
	uint32_t heaped, spares;
	uint64_t carried, lost, repeated, reordered, full;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// ---- the frames under way: a binary heap --------------------------------------------------------
static bool before(const struct relay *r, uint32_t a, uint32_t b)
{
	const struct frame *x = &r->frame[a], *y = &r->frame[b];

	return x->due_ns != y->due_ns ? x->due_ns < y->due_ns : x->number < y->number;
}

static void heap_push(struct relay *r, uint32_t f)
{
	uint32_t i = r->heaped++;

	for (; i > 0 && before(r, f, r->heap[(i - 1) / 2]); i = (i - 1) / 2)
		r->heap[i] = r->heap[(i - 1) / 2];
	r->heap[i] = f;
}

static uint32_t heap_pop(struct relay *r)
{
	uint32_t first = r->heap[0], last = r->heap[--r->heaped], i = 0;

	for (uint32_t child; (child = 2 * i + 1) < r->heaped; i = child) {
		if (child + 1 < r->heaped && before(r, r->heap[child + 1], r->heap[child]))
			child++;
		if (!before(r, r->heap[child], last))
			break;
		r->heap[i] = r->heap[child];
	}
	r->heap[i] = last;
	return first;
}

// ---- in and out ---------------------------------------------------------------------------------
static bool chance(struct relay *r, double share)
{
	return share > 0 && (double)base_rng_below(&r->rng, 1u << 30) < share * (1u << 30);
}

static void frame_enter(struct relay *r, const uint8_t *bytes, uint32_t len, unsigned to)
{
	struct frame *f;
	uint32_t at;

	if (r->spares == 0) {
		r->full++;
		return;
	}
	at = r->spare[--r->spares];
	f = &r->frame[at];
	f->due_ns = now_ns() + r->delay_ns;
	if (chance(r, r->reorder)) {
		f->due_ns += base_rng_below(&r->rng, REORDER_NS);
		r->reordered++;
	}
	f->number = r->number++;
	f->len = len;
	f->to = (uint8_t)to;
	memcpy(f->bytes, bytes, len);
	heap_push(r, at);
}

static void receive(struct relay *r, unsigned from)
{
	static uint8_t bytes[FRAME_MAX];

	for (unsigned i = 0; i < BURST; i++) {
		ssize_t len = recv(r->fd[from], bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

		if (len <= 0)
			return;
		if (len > FRAME_MAX || chance(r, r->loss)) {
			r->lost++;
			continue;
		}
		frame_enter(r, bytes, (uint32_t)len, !from);
		if (chance(r, r->dup)) {
			r->repeated++;
			frame_enter(r, bytes, (uint32_t)len, !from);
		}
	}
}

static void send_due(struct relay *r)
{
	uint64_t now = now_ns();

	while (r->heaped > 0 && r->frame[r->heap[0]].due_ns <= now) {
		uint32_t at = heap_pop(r);
		const struct frame *f = &r->frame[at];

		if (send(r->fd[f->to], f->bytes, f->len, 0) < 0)
			r->full++;
		r->carried++;
		r->spare[r->spares++] = at;
	}
}

static void carry(struct relay *r)
{
	struct pollfd p[2] = {
		{.fd = r->fd[0], .events = POLLIN}, {.fd = r->fd[1], .events = POLLIN}};

	while (!stop) {
		uint64_t now = now_ns();
		uint64_t due = r->heaped ? r->frame[r->heap[0]].due_ns : now + 100000000;
		uint64_t wait = due > now ? due - now : 0;
		struct timespec t = {0, (long)base_min_u64(wait, 100000000)};

		if (ppoll(p, 2, &t, NULL) < 0 && errno != EINTR)
			break;
		receive(r, 0);
		receive(r, 1);
		send_due(r);
	}
}

// ---- set-up -------------------------------------------------------------------------------------
static int iface_open(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), one = 1;
	int bytes = SOCK_BYTES;
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name)};
	struct packet_mreq all = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};

	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
		setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all))) {
		perror(name);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	return fd;
}

static bool option_take(struct relay *r, const char *name, const char *value)
{
	double v = atof(value);

	if (!strcmp(name, "--loss"))
		r->loss = v / 100;
	else if (!strcmp(name, "--dup"))
		r->dup = v / 100;
	else if (!strcmp(name, "--reorder"))
		r->reorder = v / 100;
	else if (!strcmp(name, "--delay"))
		r->delay_ns = (uint64_t)(v * 1e3);
	else if (!strcmp(name, "--seed"))
		base_rng_seed(&r->rng, (uint64_t)v);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	static struct relay r;
	struct sigaction action = {.sa_handler = on_signal};

	base_rng_seed(&r.rng, 1);
	for (int i = 3; i < argc; i += 2)
		if (i + 1 == argc || !option_take(&r, argv[i], argv[i + 1])) {
			fprintf(stderr, "bench_relay: bad option %s\n", argv[i]);
			return 2;
		}
	if (argc < 3 || (r.fd[0] = iface_open(argv[1])) < 0 || (r.fd[1] = iface_open(argv[2])) < 0)
		return 2;
	r.frame = calloc(FRAMES, sizeof(*r.frame));
	r.heap = calloc(FRAMES, sizeof(*r.heap));
	r.spare = calloc(FRAMES, sizeof(*r.spare));
	if (!r.frame || !r.heap || !r.spare)
		return 2;
	while (r.spares < FRAMES) {
		r.spare[r.spares] = r.spares;
		r.spares++;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	printf("carrying\n");
	fflush(stdout);
	carry(&r);
	printf("carried %lu lost %lu repeated %lu reordered %lu full %lu\n",
		(unsigned long)r.carried, (unsigned long)r.lost, (unsigned long)r.repeated,
		(unsigned long)r.reordered, (unsigned long)r.full);
	return 0;
}
