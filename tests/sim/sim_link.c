// SPDX-License-Identifier: BSD-3-Clause
// The link: every frame has a time at which it arrives; a heap gives them in that order. What is
// sent may be lost, come twice, late or much later, with a bit turned, or in fragments.

#include "sim.h"

#define OUTAGES    4       // a run
#define OLD_US     3000000 // how late an old duplicate may come
#define QUEUE_US   200000  // what a slow link holds back, then it drops
#define CUT_HEADER (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr))

// ---- heap --------------------------------------------------------------------------------------
static bool earlier(const struct sim_frame *a, const struct sim_frame *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_frame_push(struct sim *s, struct sim_frame *f, uint64_t at_us)
{
	struct sim_link *l = &s->link;
	unsigned i = l->count++;

	base_assert(l->count <= SIM_FRAMES);
	f->at_us = at_us;
	f->order = l->order++;
	while (i > 0 && earlier(f, l->heap[(i - 1) / 2])) {
		l->heap[i] = l->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	l->heap[i] = f;
}

static struct sim_frame *frame_pop(struct sim_link *l)
{
	struct sim_frame *first = l->heap[0], *last = l->heap[--l->count];
	unsigned i = 0;

	for (;;) {
		unsigned k = 2 * i + 1;

		if (k >= l->count)
			break;
		if (k + 1 < l->count && earlier(l->heap[k + 1], l->heap[k]))
			k++;
		if (!earlier(l->heap[k], last))
			break;
		l->heap[i] = l->heap[k];
		i = k;
	}
	l->heap[i] = last;
	return first;
}

struct sim_frame *sim_frame_new(struct sim *s, unsigned to, const uint8_t *data, uint16_t len)
{
	struct sim_link *l = &s->link;
	struct sim_frame *f;

	base_assert(len <= SIM_FRAME_BYTES);
	if (l->spares == 0)
		return NULL;
	f = l->spare[--l->spares];
	f->to = (uint8_t)to;
	f->len = len;
	f->forged = f->part = false;
	memcpy(f->data, data, len);
	return f;
}

void sim_link_open(struct sim *s)
{
	struct sim_link *l = &s->link;

	base_rng_seed(&l->rng, s->cfg.seed ^ 0x6c696e6bull);
	l->frame = sim_alloc(s, SIM_FRAMES * sizeof(*l->frame));
	l->spares = SIM_FRAMES;
	for (unsigned i = 0; i < SIM_FRAMES; i++)
		l->spare[i] = &l->frame[i];
	l->outage_from_us = s->now.mono_us + s->cfg.link.outage_every_us;
}

void sim_link_close(struct sim *s)
{
	sim_free(s, s->link.frame, SIM_FRAMES * sizeof(*s->link.frame));
}

// ---- sending -----------------------------------------------------------------------------------
static bool is_ip(const uint8_t *data, uint16_t len)
{
	return len > CUT_HEADER && data[12] == 0x08 && data[13] == 0x00;
}

static bool outage(struct sim *s)
{
	const struct sim_link_config *c = &s->cfg.link;
	struct sim_link *l = &s->link;

	if (c->outage_us == 0 || l->calm ||
		(l->outages == OUTAGES && s->now.mono_us >= l->outage_until_us))
		return false;
	if (s->now.mono_us >= l->outage_from_us) {
		l->outage_until_us = s->now.mono_us + sim_pick(&l->rng, c->outage_us);
		l->outage_from_us = l->outage_until_us + sim_pick(&l->rng, c->outage_every_us);
		l->outages++;
	}
	return s->now.mono_us < l->outage_until_us;
}

// When a copy arrives; 0: the queue before the link is full.
static uint64_t arrival(struct sim *s, unsigned from, uint16_t len)
{
	const struct sim_link_config *c = &s->cfg.link;
	struct sim_link *l = &s->link;
	uint64_t at = s->now.mono_us, *free_us = &l->free_us[from];

	if (c->bytes_ms > 0) {
		at = base_max_u64(at, *free_us);
		if (at > s->now.mono_us + QUEUE_US)
			return 0;
		at += 1 + (uint64_t)len * 1000 / c->bytes_ms;
		*free_us = at;
	}
	at += 1 + c->delay_us;
	if (l->calm)
		return at;
	if (c->jitter_us > 0)
		at += sim_pick(&l->rng, c->jitter_us);
	if (sim_chance(&l->rng, c->reorder))
		at += sim_pick(&l->rng, c->reorder_us);
	return at;
}

static bool is_fragment(const uint8_t *data)
{
	if (data[12] == 0x86) // IPv6
		return data[20] == IPPROTO_FRAGMENT;
	return (data[20] & 0x3f) != 0 || data[21] != 0;
}

// One bit of what checksums cover. (A flipped address of the link would be the wire's own CRC's
// affair.) Of fragments bits are only set: one sum is over all of them, and would not see a bit
// that is set in one and cleared in another. False: it was set.
static bool corrupt(struct sim *s, struct sim_frame *f)
{
	unsigned bits = (unsigned)(f->len - RTE_ETHER_HDR_LEN) * 8;
	unsigned bit = (unsigned)sim_pick(&s->link.rng, bits);
	uint8_t *byte = &f->data[RTE_ETHER_HDR_LEN + bit / 8], mask = (uint8_t)(1 << bit % 8);

	if (is_fragment(f->data) && (*byte & mask))
		return false;
	*byte ^= mask;
	s->link.corrupted++;
	return true;
}

// A router on the way passes at most cut_bytes of payload at a time.
static void cut_push(struct sim *s, const struct sim_frame *whole, uint64_t at_us)
{
	uint16_t bytes = (uint16_t)(whole->len - CUT_HEADER), part = s->cfg.link.cut_bytes;

	for (uint16_t at = 0; at < bytes; at = (uint16_t)(at + part)) {
		uint16_t n = (uint16_t)RTE_MIN(part, (uint16_t)(bytes - at));
		struct sim_frame *f =
			sim_frame_new(s, whole->to, whole->data, (uint16_t)(CUT_HEADER + n));
		struct rte_ipv4_hdr *ip;

		if (f == NULL)
			return;
		ip = (struct rte_ipv4_hdr *)(void *)(f->data + RTE_ETHER_HDR_LEN);
		memcpy(f->data + CUT_HEADER, whole->data + CUT_HEADER + at, n);
		ip->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + n));
		ip->fragment_offset = rte_cpu_to_be_16(
			(uint16_t)(at / 8 | (at + n < bytes ? RTE_IPV4_HDR_MF_FLAG : 0)));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		f->part = true;
		sim_frame_push(s, f, at_us + sim_pick(&s->link.rng, 20));
	}
}

static void copy_send(struct sim *s, unsigned from, unsigned to, const uint8_t *data, uint16_t len,
	uint64_t late_us)
{
	const struct sim_link_config *c = &s->cfg.link;
	struct sim_link *l = &s->link;
	struct sim_frame *f = sim_frame_new(s, to, data, len);
	uint64_t at = arrival(s, from, len);
	bool whole;

	if (f == NULL || at == 0) {
		if (f != NULL)
			l->spare[l->spares++] = f;
		l->lost++;
		return;
	}
	at += late_us;
	whole = to != SIM_TO_SERVER || c->cut_bytes == 0 || !is_ip(data, len) ||
		len <= CUT_HEADER + c->cut_bytes || (data[20] & 0x3f) != 0 || data[21] != 0;
	if (!whole) {
		sim_watch_delivered(s, to, data, len); // its parts are not followed
		cut_push(s, f, at);
		l->spare[l->spares++] = f;
		return;
	}
	if (!l->calm && is_ip(data, len) && sim_chance(&l->rng, c->corrupt))
		f->forged = corrupt(s, f); // nothing of it counts
	sim_frame_push(s, f, at);
}

static void link_copies(
	struct sim *s, unsigned from, unsigned to, const uint8_t *data, uint16_t len)
{
	const struct sim_link_config *c = &s->cfg.link;
	struct sim_link *l = &s->link;

	if (outage(s) || (!l->calm && sim_chance(&l->rng, c->loss))) {
		l->lost++;
		sim_trace(s, SIM_LOST, from, data, len);
		return;
	}
	copy_send(s, from, to, data, len, 0);
	if (!l->calm && sim_chance(&l->rng, c->dup)) {
		l->repeated++;
		copy_send(s, from, to, data, len, sim_pick(&l->rng, c->delay_us + 20));
	}
	if (!l->calm && sim_chance(&l->rng, c->old)) {
		l->repeated++;
		copy_send(s, from, to, data, len, sim_pick(&l->rng, OLD_US));
	}
}

void sim_link_send(struct sim *s, unsigned from, const uint8_t *data, uint16_t len)
{
	s->link.sent++;
	sim_trace(s, SIM_SENT, from, data, len);
	sim_watch_sent(s, from, data, len);
	if (from != SIM_TO_SERVER) {
		link_copies(s, from, SIM_TO_SERVER, data, len);
		return;
	}
	for (unsigned i = 0; i < s->cfg.hosts; i++) {
		if ((data[0] & 1) || memcmp(data, &s->host[i].mac, RTE_ETHER_ADDR_LEN) == 0)
			link_copies(s, from, i + 1, data, len);
	}
}

// ---- arriving ----------------------------------------------------------------------------------
void sim_link_deliver(struct sim *s)
{
	struct sim_link *l = &s->link;

	while (l->count > 0 && l->heap[0]->at_us <= s->now.mono_us) {
		struct sim_frame *f = frame_pop(l);

		l->delivered++;
		if (f->to == SIM_TO_SERVER)
			sim_nic_deliver(s, f);
		else
			sim_host_deliver(s, f);
		if (s->cfg.forged && !f->forged && !f->part && !l->calm)
			sim_forge(s, f);
		l->spare[l->spares++] = f;
	}
}

uint64_t sim_link_next_us(const struct sim *s)
{
	return s->link.count > 0 ? s->link.heap[0]->at_us : UINT64_MAX;
}

uint64_t sim_link_delay_max_us(const struct sim *s)
{
	const struct sim_link_config *c = &s->cfg.link;

	return c->delay_us + c->jitter_us + c->reorder_us + (c->bytes_ms > 0 ? QUEUE_US : 0);
}
