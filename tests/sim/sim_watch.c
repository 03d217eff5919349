// SPDX-License-Identifier: BSD-3-Clause
// An observer on the wire, who knows of each TCP connection what either side sent, and what reached
// it. What a side says must follow from what reached it: no byte beyond the window that it was
// given (RFC 9293 3.8), no acknowledgement of what it cannot have (3.4), no SACK block over bytes
// that never came (RFC 2018 3), no hole that stays unrepaired (RFC 6675 5), and so on. Frames count
// as arrived when the device has them, which is never later than when the stack sees them.

#include "sim.h"

#define WATCH_FLOWS  2048 // a power of two
#define WATCH_RANGES 128
#define WATCH_STREAM (64u << 10) // bytes of a stream that are kept for comparison
#define REPAIR_US    150000      // a hole that three segments tell of is filled by then
// Unanswered data goes again by then. Twice as long each time that it did: a timeout stays as long
// as no round trip is measured beyond doubt (RFC 6298 section 5). Where an acknowledgement was
// lost, the round trip that the next one measured was a long one, and the first timeout is three
// times that.
#define SILENT_US 3500000

struct watch_range {
	uint64_t from, to;
};

struct watch_side {
	uint64_t sent_to;  // what it sent: offset behind the last byte; the SYN takes 0
	uint64_t fin;      // offset of its FIN; 0: none
	uint64_t ack_sent; // highest acknowledgement that it sent, and the window's right edge
	uint64_t edge_sent;
	uint64_t acked, edge; // the same of the other side's, as far as they reached it
	uint32_t iss, ts_sent, ts_got;
	uint16_t mss;
	uint8_t scale;
	bool syn, scale_ok, ts_ok, sack_ok;
	unsigned ranges; // of the other side's stream, that reached it: sorted, apart
	struct watch_range got[WATCH_RANGES];
	// loss repair
	uint64_t hole;            // the offset that is missing, when three segments told of it
	uint64_t hole_us, una_us; // since when; when it was sent last, or made progress
	unsigned again;           // times that acked was sent again without progress
	uint64_t resent_from, resent_to; // what was sent again lies in between
	uint64_t last_sent_us;
	uint64_t waits_us, slow_us; // since when something is unanswered; the longest that it was
	uint8_t *stream;
};

struct watch_flow {
	rte_be32_t ip;
	rte_be16_t port;
	bool used, blind;          // blind: something happened that ends what is known
	struct watch_side side[2]; // 0: the server
};

struct sim_watch {
	struct watch_flow *flow[WATCH_FLOWS];
	unsigned flows;
};

struct watch_seg { // one segment, parsed
	struct watch_flow *flow;
	unsigned from; // 0: the server sent it
	const struct rte_tcp_hdr *th;
	const uint8_t *data;
	uint32_t len, seq, ack;
	uint8_t flags;
	uint16_t wnd, mss;
	uint8_t scale;
	bool scale_ok, sack_ok, ts_ok;
	uint32_t ts, ts_echo;
	unsigned blocks;
	uint32_t block[8];
};

// ---- flows -------------------------------------------------------------------------------------
struct sim_watch *sim_watch_open(struct sim *s)
{
	struct sim_watch *w = sim_alloc(s, sizeof(*w));

	memset(w, 0, sizeof(*w));
	return w;
}

static void side_free(struct sim *s, struct watch_side *d)
{
	if (d->stream != NULL)
		sim_free(s, d->stream, WATCH_STREAM);
	d->stream = NULL;
}

void sim_watch_close(struct sim *s)
{
	struct sim_watch *w = s->watch;

	for (unsigned i = 0; i < WATCH_FLOWS; i++) {
		if (w->flow[i] == NULL)
			continue;
		side_free(s, &w->flow[i]->side[0]);
		side_free(s, &w->flow[i]->side[1]);
		sim_free(s, w->flow[i], sizeof(*w->flow[i]));
	}
	sim_free(s, w, sizeof(*w));
}

static struct watch_flow *flow_find(struct sim *s, rte_be32_t ip, rte_be16_t port, bool make)
{
	struct sim_watch *w = s->watch;
	unsigned i = (unsigned)(((uint64_t)ip << 16 | port) * 0x9e3779b97f4a7c15u >> 53);

	for (;; i = (i + 1) % WATCH_FLOWS) {
		struct watch_flow *f = w->flow[i];

		if (f != NULL && f->ip == ip && f->port == port)
			return f;
		if (f == NULL)
			break;
	}
	if (!make || w->flows > WATCH_FLOWS / 2)
		return NULL;
	w->flow[i] = sim_alloc(s, sizeof(struct watch_flow));
	memset(w->flow[i], 0, sizeof(struct watch_flow));
	w->flow[i]->ip = ip;
	w->flow[i]->port = port;
	w->flows++;
	return w->flow[i];
}

// ---- segments ----------------------------------------------------------------------------------
static void option_read(struct watch_seg *g, const uint8_t *p)
{
	switch (*p) {
	case 2:
		g->mss = (uint16_t)(p[2] << 8 | p[3]);
		break;
	case 3:
		g->scale = p[2];
		g->scale_ok = true;
		break;
	case 4:
		g->sack_ok = true;
		break;
	case 5:
		g->blocks = (p[1] - 2u) / 8;
		for (unsigned i = 0; i < 2 * g->blocks; i++) {
			memcpy(&g->block[i], p + 2 + 4 * i, 4);
			g->block[i] = rte_be_to_cpu_32(g->block[i]);
		}
		break;
	case 8:
		memcpy(&g->ts, p + 2, 4);
		memcpy(&g->ts_echo, p + 6, 4);
		g->ts = rte_be_to_cpu_32(g->ts);
		g->ts_echo = rte_be_to_cpu_32(g->ts_echo);
		g->ts_ok = true;
		break;
	default:
		break;
	}
}

// False: no whole TCP segment.
static bool seg_parse(struct sim *s, const uint8_t *data, uint16_t len, struct watch_seg *g)
{
	const struct rte_ipv4_hdr *ip = (const void *)(data + RTE_ETHER_HDR_LEN);
	const struct rte_tcp_hdr *th = (const void *)(ip + 1);
	unsigned head, bytes;
	const uint8_t *p, *end;

	if (len < RTE_ETHER_HDR_LEN + 40 || data[12] != 0x08 || data[13] != 0x00 ||
		ip->version_ihl != 0x45 || ip->next_proto_id != IPPROTO_TCP ||
		(rte_be_to_cpu_16(ip->fragment_offset) & 0x3fff) != 0)
		return false;
	memset(g, 0, sizeof(*g));
	bytes = rte_be_to_cpu_16(ip->total_length) - 20u;
	head = (th->data_off >> 4) * 4u;
	g->from = ip->src_addr != SIM_SERVER_IP;
	g->th = th;
	g->data = (const uint8_t *)th + head;
	g->len = bytes - head;
	g->seq = rte_be_to_cpu_32(th->sent_seq);
	g->ack = rte_be_to_cpu_32(th->recv_ack);
	g->flags = th->tcp_flags;
	g->wnd = rte_be_to_cpu_16(th->rx_win);
	end = g->data;
	for (p = (const uint8_t *)(th + 1); p < end && *p != 0; p += *p == 1 ? 1 : p[1]) {
		if (*p != 1)
			option_read(g, p);
	}
	g->flow = flow_find(s, g->from ? ip->src_addr : ip->dst_addr,
		g->from ? th->src_port : th->dst_port, g->from && (g->flags & RTE_TCP_SYN_FLAG));
	return g->flow != NULL;
}

// The offset in a side's stream that a sequence number stands for, next to what it sent last.
static uint64_t offset_of(const struct watch_side *d, uint32_t seq)
{
	return d->sent_to + (uint64_t)(int64_t)(int32_t)(seq - (uint32_t)(d->iss + d->sent_to));
}

// The same for what a side was told, or tells, of the other's stream. Wrapped: far beyond.
static bool offset_sane(const struct watch_side *d, uint64_t offset)
{
	return offset <= d->sent_to + 1; // a FIN may not have been seen leaving
}

static _Noreturn void wrong(
	struct sim *s, const struct watch_seg *g, const char *what, uint64_t is, uint64_t should)
{
	sim_fail(s, "wire: %s of port %u: %s: %llu, not %llu (seq +%llu, ack +%llu, %u bytes)",
		g->from ? "client" : "server", rte_be_to_cpu_16(g->flow->port), what,
		(unsigned long long)is, (unsigned long long)should,
		(unsigned long long)offset_of(&g->flow->side[g->from], g->seq),
		(unsigned long long)offset_of(&g->flow->side[!g->from], g->ack), g->len);
}

// ---- what arrived ------------------------------------------------------------------------------
static void range_add(struct watch_side *d, uint64_t from, uint64_t to)
{
	unsigned i = 0, k;

	while (i < d->ranges && d->got[i].to < from)
		i++;
	for (k = i; k < d->ranges && d->got[k].from <= to; k++) {
		from = base_min_u64(from, d->got[k].from);
		to = base_max_u64(to, d->got[k].to);
	}
	if (k == i && d->ranges == WATCH_RANGES) { // the next takes what is between, too
		i = i < d->ranges ? i : d->ranges - 1;
		d->got[i].from = base_min_u64(d->got[i].from, from);
		d->got[i].to = base_max_u64(d->got[i].to, to);
		return;
	}
	memmove(&d->got[i + 1], &d->got[k], (d->ranges - k) * sizeof(d->got[0]));
	d->ranges = d->ranges - (k - i) + 1;
	d->got[i] = (struct watch_range){from, to};
}

static bool range_has(const struct watch_side *d, uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < d->ranges; i++) {
		if (d->got[i].from <= from && to <= d->got[i].to)
			return true;
	}
	return false;
}

// An acknowledgement reached a side: what it may send, and what it must send again.
static void ack_arrived(struct sim *s, const struct watch_seg *g)
{
	struct watch_side *from = &g->flow->side[g->from], *to = &g->flow->side[!g->from];
	uint64_t ack = offset_of(to, g->ack), sacked = 0;
	unsigned shift =
		(g->flags & RTE_TCP_SYN_FLAG) || !to->scale_ok || !from->scale_ok ? 0 : from->scale;

	if (!offset_sane(to, ack))
		return;
	to->edge = base_max_u64(to->edge, ack + ((uint64_t)g->wnd << shift));
	if (ack > to->acked) {
		to->acked = ack;
		to->una_us = s->now.mono_us;
		to->slow_us = base_max_u64(to->slow_us, s->now.mono_us - to->waits_us);
		to->waits_us = s->now.mono_us;
		to->hole = 0;
	}
	for (unsigned i = 0; i < g->blocks; i++) {
		uint64_t l = offset_of(to, g->block[2 * i]), r = offset_of(to, g->block[2 * i + 1]);

		if (l > to->acked && r > l && offset_sane(to, r))
			sacked += r - l;
	}
	// Three full segments above: what is missing is lost (RFC 6675 section 4, IsLost).
	if (ack == to->acked && sacked > 3u * from->mss && to->hole == 0 &&
		(to->acked < to->resent_from || to->acked >= to->resent_to)) {
		to->hole = to->acked;
		to->hole_us = s->now.mono_us;
	}
}

void sim_watch_delivered(struct sim *s, unsigned to, const uint8_t *data, uint16_t len)
{
	struct watch_side *d;
	struct watch_seg g;
	uint64_t at, n;

	if (!seg_parse(s, data, len, &g) || g.flow->blind || !g.flow->side[g.from].syn)
		return;
	at = offset_of(&g.flow->side[g.from], g.seq);
	n = g.len + !!(g.flags & RTE_TCP_SYN_FLAG) + !!(g.flags & RTE_TCP_FIN_FLAG);
	if (at + n > g.flow->side[g.from].sent_to || (g.flags & RTE_TCP_RST_FLAG))
		return; // of an earlier connection
	d = &g.flow->side[!g.from];
	if (n > 0)
		range_add(d, at, at + n);
	if (g.ts_ok && (int32_t)(g.ts - d->ts_got) > 0)
		d->ts_got = g.ts;
	if ((g.flags & RTE_TCP_ACK_FLAG) && d->syn)
		ack_arrived(s, &g);
}

// ---- what is sent ------------------------------------------------------------------------------
static void syn_check(struct sim *s, struct watch_seg *g)
{
	struct watch_side *d = &g->flow->side[g->from];

	if (d->syn && d->iss == g->seq)
		return; // again
	if (d->syn) {   // the same ports once more
		g->flow->blind = true;
		return;
	}
	d->syn = true;
	d->iss = g->seq;
	d->sent_to = 1;
	d->mss = g->mss != 0 ? g->mss : 536;
	d->scale = g->scale;
	d->scale_ok = g->scale_ok;
	d->sack_ok = g->sack_ok;
	d->ts_ok = g->ts_ok;
	d->ts_sent = g->ts;
	d->una_us = s->now.mono_us;
	if (g->scale > 14)
		wrong(s, g, "window scale", g->scale, 14);
	if (d->stream == NULL)
		d->stream = sim_alloc(s, WATCH_STREAM);
	if (!g->from && !(g->flags & RTE_TCP_ACK_FLAG))
		wrong(s, g, "a SYN of the server", 0, 0);
}

static void ack_check(struct sim *s, const struct watch_seg *g)
{
	struct watch_side *d = &g->flow->side[g->from], *peer = &g->flow->side[!g->from];
	uint64_t ack = offset_of(peer, g->ack), edge;
	bool scaled = d->scale_ok && peer->scale_ok && !(g->flags & RTE_TCP_SYN_FLAG);

	if (ack > 0 && (d->ranges == 0 || d->got[0].from != 0 || ack > d->got[0].to))
		wrong(s, g, "acknowledges what it does not have", ack,
			d->ranges > 0 && d->got[0].from == 0 ? d->got[0].to : 0);
	if (ack < d->ack_sent)
		wrong(s, g, "takes an acknowledgement back", ack, d->ack_sent);
	edge = ack + ((uint64_t)g->wnd << (scaled ? d->scale : 0));
	// RFC 9293 3.8.6: a window should not shrink. The scale rounds it.
	if (scaled && edge + (1u << d->scale) <= d->edge_sent)
		wrong(s, g, "takes its window back", edge, d->edge_sent);
	d->ack_sent = ack;
	if (d->ranges > 0 && d->got[0].to > 1) // not what it told before it knew whom
		d->edge_sent = base_max_u64(d->edge_sent, edge);
}

static void sack_check(struct sim *s, const struct watch_seg *g)
{
	struct watch_side *d = &g->flow->side[g->from], *peer = &g->flow->side[!g->from];
	uint64_t ack = offset_of(peer, g->ack);

	if (g->blocks > 0 && !(d->sack_ok && peer->sack_ok))
		wrong(s, g, "SACK without leave", g->blocks, 0);
	for (unsigned i = 0; i < g->blocks; i++) {
		uint64_t l = offset_of(peer, g->block[2 * i]),
			 r = offset_of(peer, g->block[2 * i + 1]);

		if (r <= l || r > peer->sent_to)
			wrong(s, g, "SACK block ends", r, l);
		if (!range_has(d, l, r))
			wrong(s, g, "SACK block of what it does not have, from", l, ack);
		// The first may tell of a duplicate (RFC 2883); others lie above the
		// acknowledgement.
		if (l <= ack && i > 0)
			wrong(s, g, "SACK block below the acknowledgement", l, ack);
	}
}

// Whether a side dropped frames of its own: a queue was full, or a neighbour not known.
static bool sent_dropped(struct sim *s, unsigned client)
{
	struct worker_counters n;
	uint64_t drops = 0;

	for (unsigned i = 0; client && i < s->cfg.hosts; i++) {
		const struct net_counters *k = net_counters_get(s->host[i].net);

		drops += k->neigh_dropped + k->no_mbuf + k->tx_dropped;
	}
	if (client)
		return drops > 0;
	n = sim_server_counters(s);
	return n.tx_dropped + n.net.neigh_dropped + n.net.no_mbuf + n.net.tx_dropped > 0;
}

static void again_note(struct watch_side *d, uint64_t at, uint64_t end)
{
	bool none = d->resent_to <= d->acked;

	d->resent_from = none ? at : base_min_u64(d->resent_from, at);
	d->resent_to = none ? end : base_max_u64(d->resent_to, end);
	d->again += at <= d->acked;
	if (at <= d->hole && end > d->hole)
		d->hole = 0;
}

static void data_check(struct sim *s, const struct watch_seg *g)
{
	struct watch_side *d = &g->flow->side[g->from], *peer = &g->flow->side[!g->from];
	uint64_t at = offset_of(d, g->seq), end = at + g->len;
	unsigned mss = peer->mss;

	if (at > d->sent_to && sent_dropped(s, g->from)) {
		g->flow->blind = true; // what filled the gap never left
		return;
	}
	if (at > d->sent_to)
		wrong(s, g, "leaves a gap", at, d->sent_to);
	if (g->len > mss)
		wrong(s, g, "more than the MSS", g->len, mss);
	// One byte may ask whether a closed window is open again.
	if (g->len > 0 && end > d->edge && !(g->len == 1 && at == d->edge) &&
		!(g->flags & RTE_TCP_SYN_FLAG))
		wrong(s, g, "beyond the window", end, d->edge);
	if (d->fin != 0 && g->len > 0 && end > d->fin)
		wrong(s, g, "data behind its FIN", end, d->fin);
	for (uint64_t i = at; i < end && d->stream != NULL; i++) {
		uint8_t *was = &d->stream[i % WATCH_STREAM];

		if (i < d->sent_to && i + WATCH_STREAM > d->sent_to && *was != g->data[i - at])
			wrong(s, g, "another byte than before at", i, *was);
		if (i >= d->sent_to)
			*was = g->data[i - at];
	}
	if (g->flags & RTE_TCP_FIN_FLAG) {
		if (d->fin != 0 && d->fin != end)
			wrong(s, g, "another FIN", end, d->fin);
		d->fin = end++;
	}
	if (end > at && at < d->sent_to)
		again_note(d, at, end);
	if (end > at) {
		d->last_sent_us = s->now.mono_us;
		if (d->acked >= d->sent_to)
			d->waits_us = s->now.mono_us;
	}
	d->sent_to = base_max_u64(d->sent_to, end);
}

static void ts_check(struct sim *s, const struct watch_seg *g)
{
	struct watch_side *d = &g->flow->side[g->from], *peer = &g->flow->side[!g->from];
	bool both = d->ts_ok && (peer->ts_ok || !peer->syn);

	if (g->ts_ok != both)
		wrong(s, g, "timestamps", g->ts_ok, both);
	if (!g->ts_ok)
		return;
	if ((int32_t)(g->ts - d->ts_sent) < 0)
		wrong(s, g, "timestamp goes back", g->ts, d->ts_sent);
	d->ts_sent = g->ts;
	if ((g->flags & RTE_TCP_ACK_FLAG) && (int32_t)(g->ts_echo - d->ts_got) > 0)
		wrong(s, g, "echoes a timestamp that it was not given", g->ts_echo, d->ts_got);
}

static void checksum_check(struct sim *s, const struct watch_seg *g)
{
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(const void *)g->th - 1;

	if (rte_raw_cksum(ip, sizeof(*ip)) != 0xffff || rte_ipv4_udptcp_cksum(ip, g->th) != 0)
		wrong(s, g, "checksum", g->th->cksum, 0);
}

void sim_watch_sent(struct sim *s, unsigned party, const uint8_t *data, uint16_t len)
{
	struct watch_seg g;

	if (!seg_parse(s, data, len, &g))
		return;
	checksum_check(s, &g);
	if (g.flags & RTE_TCP_RST_FLAG) {
		g.flow->blind = true;
		return;
	}
	if (g.flags & RTE_TCP_SYN_FLAG)
		syn_check(s, &g);
	// Answers to a SYN that nobody sent, at a time when the ports were free.
	if (s->cfg.forged && !g.from && (g.flags & RTE_TCP_SYN_FLAG) &&
		g.ack != g.flow->side[1].iss + 1)
		g.flow->blind = true;
	if (g.flow->blind || !g.flow->side[g.from].syn)
		return;
	ts_check(s, &g);
	if ((g.flags & RTE_TCP_ACK_FLAG) && g.flow->side[!g.from].syn) {
		ack_check(s, &g);
		sack_check(s, &g);
		if (!(g.flags & RTE_TCP_SYN_FLAG))
			data_check(s, &g);
	}
}

// ---- what is not sent --------------------------------------------------------------------------
static void side_overdue(struct sim *s, struct watch_flow *f, unsigned i)
{
	struct watch_side *d = &f->side[i];
	uint64_t now_us = s->now.mono_us, wait_us = REPAIR_US + 6 * sim_link_delay_max_us(s);
	struct watch_seg g = {.flow = f, .from = i};

	if (now_us < s->fault.last_us + SILENT_US)
		return;
	if (d->hole != 0 && now_us > d->hole_us + wait_us)
		wrong(s, &g, "does not repair a hole that was told of, at", d->hole, 0);
	if (d->acked < d->sent_to && d->acked < d->edge &&
		now_us > base_max_u64(d->last_sent_us, d->una_us) +
				((SILENT_US + 3 * d->slow_us) << base_min_u64(d->again, 5)))
		wrong(s, &g, "does not send again", d->acked, d->sent_to);
}

void sim_watch_overdue(struct sim *s)
{
	for (unsigned i = 0; i < WATCH_FLOWS; i++) {
		struct watch_flow *f = s->watch->flow[i];

		if (f == NULL || f->blind || !f->side[0].syn || !f->side[1].syn)
			continue;
		side_overdue(s, f, 0);
		side_overdue(s, f, 1);
	}
}

bool sim_watch_next_seq(struct sim *s, const uint8_t *data, uint16_t len, uint32_t *seq)
{
	struct watch_seg g;
	const struct watch_side *d;

	if (!seg_parse(s, data, len, &g) || g.flow->blind || !g.flow->side[1].syn)
		return false;
	d = &g.flow->side[0];
	if (d->ranges == 0 || d->got[0].from != 0)
		return false;
	*seq = (uint32_t)(g.flow->side[1].iss + d->got[0].to);
	return true;
}
