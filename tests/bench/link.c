// SPDX-License-Identifier: BSD-3-Clause
// The link alone: frames of one size from one end, in as many packet buffers as each needs, as
// fast as its driver takes them, counted at the other end. Their payload is copied from 100 MB, as
// values are from a store; nobody sums it up or reads it.
//
//	bench_link send DRIVER BYTES            until SIGTERM
//	bench_link take DRIVER SECONDS CORE     prints frames and bytes a second, as JSON
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "port/port.h"

#define BURST        64
#define WARMUP_S     0.5
#define HEAD_BYTES   66u // of Ethernet, IPv4, and TCP with a timestamp
#define VALUES_BYTES (100u << 20)
#define FRAME_BYTES  65535

static volatile bool stop;

static void on_signal(int number)
{
	stop = true;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_link: %s\n", what);
	exit(1);
}

static void pin(const char *core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)atoi(core), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("no such core");
}

// Makes a frame of n buffers, of `room` bytes each.
static struct rte_mbuf *frame_make(
	struct rte_mbuf **m, unsigned n, uint16_t room, uint16_t bytes, const char *value)
{
	uint16_t head = HEAD_BYTES;

	m[0]->pkt_len = bytes;
	m[0]->nb_segs = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint16_t part = RTE_MIN(bytes, room);

		memcpy(rte_pktmbuf_mtod_offset(m[i], char *, head), value, (size_t)(part - head));
		m[i]->data_len = part;
		m[i]->next = i + 1 < n ? m[i + 1] : NULL;
		value += part - head;
		bytes = (uint16_t)(bytes - part);
		head = 0;
	}
	return m[0];
}

static void frames_send(const struct port_queue *q, uint16_t bytes)
{
	uint16_t room = (uint16_t)(rte_pktmbuf_data_room_size(q->pool) - RTE_PKTMBUF_HEADROOM);
	unsigned each = (bytes + room - 1u) / room;
	uint16_t frames = (uint16_t)(BURST / each), sent;
	struct rte_mbuf *m[BURST], *frame[BURST];
	char *values = malloc(VALUES_BYTES + UINT16_MAX);
	size_t at = 0;

	if (!values)
		die("no memory");
	memset(values, 'v', VALUES_BYTES + UINT16_MAX);

	while (!stop) {
		if (rte_pktmbuf_alloc_bulk(q->pool, m, frames * each)) {
			port_tx_reclaim(q);
			continue;
		}
		for (unsigned i = 0; i < frames; i++) {
			frame[i] = frame_make(m + i * each, each, room, bytes, values + at);
			at = (at + bytes) % VALUES_BYTES;
		}
		sent = port_tx(q, frame, frames);
		rte_pktmbuf_free_bulk(frame + sent, (unsigned)(frames - sent));
	}
	free(values);
}

static void frames_take(const struct port_queue *q, double seconds)
{
	uint64_t hz = rte_get_tsc_hz(), begin = rte_rdtsc() + (uint64_t)(WARMUP_S * (double)hz);
	uint64_t end = begin + (uint64_t)(seconds * (double)hz), frames = 0, bytes = 0, now;
	struct rte_mbuf *m[BURST];

	while (!stop && (now = rte_rdtsc()) < end) {
		uint16_t n = port_rx(q, m, BURST);

		for (unsigned i = 0; i < n && now >= begin; i++)
			bytes += m[i]->pkt_len;
		frames += now >= begin ? n : 0;
		rte_pktmbuf_free_bulk(m, n);
	}
	printf("{\"frames_per_s\": %.0f, \"bytes_per_s\": %.0f}\n", (double)frames / seconds,
		(double)bytes / seconds);
}

int main(int argc, char **argv)
{
	static struct port_config config;
	static struct port_eal eal;
	struct port_eal_options options = {
		.program = "bench_link", .workers = 1, .conns = 64, .file_prefix = "bench_link"};
	int bytes;
	bool takes = argc == 5 && !strcmp(argv[1], "take");
	struct port port;
	char error[256];

	if (!takes && (argc != 4 || strcmp(argv[1], "send")))
		die("usage: bench_link send DRIVER BYTES | take DRIVER SECONDS CORE");
	if (port_config_load(&config, argv[2], error, sizeof(error)))
		die(error);
	bytes = atoi(argv[3]);
	if (takes)
		pin(argv[4]);
	else if (bytes <= (int)HEAD_BYTES || bytes > FRAME_BYTES)
		die("frames have 67 to 65535 bytes");
	if (port_eal_build(&eal, &config, &options) || port_eal_init(&eal))
		die("EAL does not start");
	signal(SIGTERM, on_signal);
	if (port_open(&port, &config, 1, 64))
		die("the device does not start");
	if (takes)
		frames_take(&port.queue[0], strtod(argv[3], NULL));
	else
		frames_send(&port.queue[0], (uint16_t)bytes);
	port_close(&port);
	port_eal_cleanup(&eal);
	return 0;
}
