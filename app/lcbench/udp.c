// SPDX-License-Identifier: BSD-3-Clause
// memcached over UDP: the frame header, answers in several datagrams, losses.
#include <string.h>

#include "lcbench.h"

#define FRAME_BYTES 8
#define LOOK_NS     UINT64_C(10000000) // between looks for timeouts

static unsigned get16(const char *p)
{
	return (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
}

// Ids of a client: its slot, then that plus the number of slots, and so on, so that an answer to an
// earlier request is told from one to the last.
static uint16_t id_next(const struct bench *b, const struct bench_client *c)
{
	unsigned slots = b->o->pipeline;
	unsigned id = c->request_id + slots;

	return (uint16_t)(id <= UINT16_MAX ? id : (unsigned)(c - b->client) % slots);
}

unsigned bench_udp_write(
	struct bench *b, struct bench_client *c, const struct bench_request *r, char *to)
{
	char *p = to + FRAME_BYTES;

	base_assert(r->head_len + r->value_len + r->end_len <= BENCH_UDP_MAX);
	c->request_id = id_next(b, c);
	c->sequence = 0;
	c->tried_ns = b->now_ns;
	memcpy(to,
		(const char[]){(char)(c->request_id >> 8), (char)c->request_id, 0, 0, 0, 1, 0, 0},
		FRAME_BYTES);
	memcpy(p, r->head, r->head_len);
	p += r->head_len;
	if (r->set) {
		memcpy(p, r->value, r->value_len);
		p += r->value_len;
		memcpy(p, r->end, r->end_len);
		p += r->end_len;
	}
	return (unsigned)(p - to);
}

// Whether the datagram is the answer's next one. memcached answers a get of several keys with a
// datagram for each of them, all numbered as the first and only one.
static bool follows(const struct bench_client *c, const char *data)
{
	unsigned sequence = get16(data + 2), datagrams = get16(data + 4);

	if (sequence == c->sequence)
		return true;
	return sequence == 0 && datagrams == 1 && c->expect == BENCH_HEAD && c->part_len == 0;
}

struct bench_client *bench_udp_feed(struct bench *b, unsigned conn, const char *data, size_t len)
{
	unsigned slots = b->o->pipeline;
	struct bench_client *c;

	if (len <= FRAME_BYTES || conn >= b->o->connections)
		return NULL;
	c = &b->client[conn * slots + get16(data) % slots];
	if (c->dead || !c->inflight || get16(data) != c->request_id || !follows(c, data))
		return NULL; // late, or behind a lost one: the timeout sends again
	c->sequence++;
	if (!bench_client_feed(b, c, data + FRAME_BYTES, len - FRAME_BYTES))
		return NULL;
	return c->inflight ? NULL : c;
}

void bench_udp_timeouts(struct bench *b, uint64_t *look_ns,
	void (*resend)(void *arg, struct bench_client *c),
	void (*next)(void *arg, struct bench_client *c), void *arg)
{
	bool filling = b->phase == BENCH_FILL || b->phase == BENCH_CHECK;
	uint64_t timeout_ns = b->o->timeout_ms * UINT64_C(1000000);

	if (b->now_ns < *look_ns)
		return;
	*look_ns = b->now_ns + base_min_u64(LOOK_NS, timeout_ns);
	for (unsigned i = 0; i < b->clients; i++) {
		struct bench_client *c = &b->client[i];

		if (!c->inflight || b->now_ns - c->tried_ns < timeout_ns)
			continue;
		b->n.timeouts++;
		if (b->o->lost_counted && !filling) {
			bench_client_give_up(b, c);
			next(arg, c);
		} else {
			resend(arg, c);
		}
	}
}
