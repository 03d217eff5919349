// SPDX-License-Identifier: BSD-3-Clause
// Clients over UDP: gets and sets of shared keys, one datagram at a time. It may be lost, or done
// twice; the reply comes in any order of its parts.

#include "sim.h"

#define WAIT_US 400000 // then the datagram was lost
#define PORT    40000

void sim_dgrams_open(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.dgram_users; i++) {
		struct sim_dgram_user *u = &s->dgram[i];

		*u = (struct sim_dgram_user){.sim = s,
			.id = i,
			.host = &s->host[i % s->cfg.hosts],
			.port = (uint16_t)(PORT + i),
			.requests = s->cfg.requests};
		base_rng_seed(&u->rng, s->cfg.seed * 128 + i);
	}
}

static void parts_free(struct sim_dgram_user *u)
{
	for (unsigned i = 0; i < SIM_DGRAM_PARTS; i++) {
		if (u->part[i] != NULL)
			sim_free(u->sim, u->part[i], u->part_len[i] + 1);
		u->part[i] = NULL;
	}
	u->parts = u->have = 0;
}

void sim_dgrams_close(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.dgram_users; i++)
		parts_free(&s->dgram[i]);
}

// ---- requests ----------------------------------------------------------------------------------
static void dgram_send(struct sim_dgram_user *u, const char *p, uint32_t len)
{
	struct net_path path = {.dst = base_ip4(SIM_SERVER_IP)};
	struct rte_mbuf *m = rte_pktmbuf_alloc(u->host->pool);
	char *to;

	u->request_id++;
	u->waiting = true;
	u->sent = u->sim->stamp;
	u->act_us = u->sim->now.mono_us + WAIT_US;
	if (m == NULL)
		return;
	to = rte_pktmbuf_append(m, (uint16_t)(len + PROTO_UDP_HEADER));
	proto_udp_write(to, u->request_id, 0, 1);
	memcpy(to + PROTO_UDP_HEADER, p, len);
	net_udp_output(u->host->net, m, &path, u->port, SIM_PORT, u->sim->now.mono_us);
}

static void set_send(struct sim_dgram_user *u)
{
	uint32_t len = SIM_SHARED_HEAD + (uint32_t)sim_pick(&u->rng, 200);
	char text[512];
	int n;

	u->key = (unsigned)sim_pick(&u->rng, SIM_SHARED);
	u->write = true;
	u->write_id = u->sim->shared[u->key].writes;
	if (u->write_id == SIM_SHARED_LOG)
		return;
	n = sprintf(text, "set shared.%u %u 0 %u\r\n", u->key, u->write_id, len);
	sim_shared_write(u->sim, u->key, len, text + n);
	memcpy(text + n + len, "\r\n", 2);
	dgram_send(u, text, (uint32_t)n + len + 2);
}

static void get_send(struct sim_dgram_user *u)
{
	char text[512];
	int n = sprintf(text, "get");

	u->write = false;
	u->key = (unsigned)sim_pick(&u->rng, SIM_SHARED);
	u->keys = 1 + (unsigned)sim_pick(&u->rng, 3);
	for (unsigned i = 0; i < u->keys; i++)
		n += sprintf(text + n, " shared.%u", (u->key + i) % SIM_SHARED);
	n += sprintf(text + n, "\r\n");
	dgram_send(u, text, (uint32_t)n);
}

void sim_dgrams_turn(struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.dgram_users; i++) {
		struct sim_dgram_user *u = &s->dgram[i];

		if (u->requests == 0 && !u->waiting)
			continue;
		if (s->now.mono_us < u->act_us)
			continue;
		if (u->waiting) {
			u->silent++;
			u->waiting = false;
			parts_free(u);
		}
		if (u->requests == 0 || s->settling) {
			u->requests = 0;
			continue;
		}
		u->requests--;
		if (sim_pick(&u->rng, 3) == 0)
			set_send(u);
		else
			get_send(u);
	}
}

// ---- replies -----------------------------------------------------------------------------------
static void get_reply(struct sim_dgram_user *u, const char *p, uint32_t len)
{
	uint32_t at = 0;
	unsigned i = 0;

	while (len - at < 5 || memcmp(p + at, "END\r\n", 5) != 0) {
		const char *end = memchr(p + at, '\n', len - at);
		unsigned key, flags, bytes;
		uint32_t value;

		if (len - at > 12 && memcmp(p + at, "SERVER_ERROR", 12) == 0) {
			sim_refused(u->sim, "get");
			return;
		}
		if (end == NULL ||
			sscanf(p + at, "VALUE shared.%u %u %u", &key, &flags, &bytes) != 3 ||
			(uint64_t)(end + 1 - p) + bytes + 2 > len)
			sim_fail(u->sim, "datagram user %u: reply %.*s", u->id, (int)(len - at),
				p + at);
		while (i < u->keys && (u->key + i) % SIM_SHARED != key)
			sim_shared_missed(u->sim, (u->key + i++) % SIM_SHARED, u->sent);
		if (i++ >= u->keys)
			sim_fail(u->sim, "datagram user %u: key %u was not asked for", u->id, key);
		value = (uint32_t)(end + 1 - p);
		sim_shared_read(u->sim, key, u->sent, p + value, bytes, flags);
		at = value + bytes + 2;
	}
	if (at + 5 != len)
		sim_fail(
			u->sim, "datagram user %u: %u bytes behind the reply", u->id, len - at - 5);
}

static void answered(struct sim_dgram_user *u)
{
	u->replies++;
	u->waiting = false;
	u->act_us = u->sim->now.mono_us + sim_pick(&u->rng, 3000);
	parts_free(u);
}

static void reply_check(struct sim_dgram_user *u)
{
	uint32_t len = 0, at = 0;
	char *p;

	for (unsigned i = 0; i < u->parts; i++)
		len += u->part_len[i];
	p = sim_alloc(u->sim, len + 1);
	for (unsigned i = 0; i < u->parts; i++) {
		memcpy(p + at, u->part[i], u->part_len[i]);
		at += u->part_len[i];
	}
	p[len] = '\0';
	if (!u->write)
		get_reply(u, p, len);
	else if (len > 12 && memcmp(p, "SERVER_ERROR", 12) == 0)
		sim_refused(u->sim, "set");
	else if (strcmp(p, "STORED\r\n") != 0)
		sim_fail(u->sim, "datagram user %u: reply to a set: %s", u->id, p);
	sim_free(u->sim, p, len + 1);
	answered(u);
}

static void part_take(struct sim_dgram_user *u, const uint8_t *p, uint32_t len)
{
	unsigned id, seq, total;

	if (len <= PROTO_UDP_HEADER)
		sim_fail(u->sim, "datagram user %u: %u bytes", u->id, len);
	id = (unsigned)p[0] << 8 | p[1];
	seq = (unsigned)p[2] << 8 | p[3];
	total = (unsigned)p[4] << 8 | p[5];
	if (p[6] != 0 || p[7] != 0 || total == 0 || seq >= total || len > 1400)
		sim_fail(u->sim, "datagram user %u: part %u of %u, %u bytes", u->id, seq, total,
			len);
	if (!u->waiting || id != u->request_id || total > SIM_DGRAM_PARTS || u->part[seq] != NULL)
		return; // late, or twice
	if (total > 1 && u->sim->cfg.link.dup + u->sim->cfg.link.old > 0) {
		answered(u); // perhaps of two replies: the request may have come twice
		return;
	}
	if (u->parts != 0 && u->parts != total)
		sim_fail(u->sim, "datagram user %u: %u parts, then %u", u->id, u->parts, total);
	u->parts = total;
	u->part_len[seq] = len - PROTO_UDP_HEADER;
	u->part[seq] = sim_alloc(u->sim, u->part_len[seq] + 1);
	memcpy(u->part[seq], p + PROTO_UDP_HEADER, u->part_len[seq]);
	if (++u->have == total)
		reply_check(u);
}

void sim_dgram_input(
	struct sim *s, struct sim_host *h, struct rte_mbuf *m, const struct net_packet *pkt)
{
	uint8_t data[SIM_FRAME_BYTES];
	const uint8_t *p = rte_pktmbuf_read(m, pkt->data_off, pkt->data_len, data);

	for (unsigned i = 0; i < s->cfg.dgram_users; i++) {
		struct sim_dgram_user *u = &s->dgram[i];

		if (u->host == h && u->port == pkt->dst_port)
			part_take(u, p, pkt->data_len);
	}
	rte_pktmbuf_free(m);
}

uint64_t sim_dgrams_next_us(const struct sim *s)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < s->cfg.dgram_users; i++) {
		if (s->dgram[i].requests > 0 || s->dgram[i].waiting)
			next = base_min_u64(next, s->dgram[i].act_us);
	}
	return next;
}

bool sim_dgrams_done(const struct sim *s)
{
	for (unsigned i = 0; i < s->cfg.dgram_users; i++) {
		if (s->dgram[i].requests > 0 || s->dgram[i].waiting)
			return false;
	}
	return true;
}
