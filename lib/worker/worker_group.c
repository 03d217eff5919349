// SPDX-License-Identifier: BSD-3-Clause
// What workers of one server share: rings between each two of them, orders, reports, news.
// Everything here has one writer.

#include <errno.h>
#include <stdlib.h>

#include "worker/worker_admin.h"
#include "worker/worker_udp.h"
#include "worker/worker_versioned.h"

#define GROUP_CREDITS 1024
#define GROUP_FRAMES  2048
#define GROUP_CONNS   1024
#define GROUP_NEWS    16 // a reader further behind than this does without
#define NEWS_WORDS    4

struct group_orders { // writer: control core
	_Alignas(BASE_CACHE_LINE) uint64_t version;
	uint64_t word[WORKER_VERSIONED_WORDS(struct worker_orders)];
};

struct group_report { // writer: the worker
	_Alignas(BASE_CACHE_LINE) uint64_t version;
	uint64_t word[WORKER_VERSIONED_WORDS(struct worker_report)];
};

struct group_probe { // writer: control core
	_Alignas(BASE_CACHE_LINE) uint64_t version;
	uint64_t word[WORKER_VERSIONED_WORDS(struct worker_probe)];
};

struct group_answer { // writer: the worker
	_Alignas(BASE_CACHE_LINE) uint64_t version;
	uint64_t word[WORKER_VERSIONED_WORDS(struct worker_probe_answer)];
};

struct group_text { // writer: control core
	_Alignas(BASE_CACHE_LINE) uint64_t version;
	uint64_t word[WORKER_VERSIONED_WORDS(struct worker_memory_text)];
};

struct group_news {                               // writer: the worker
	_Alignas(BASE_CACHE_LINE) uint32_t begun; // entries whose writing has begun
	uint32_t head;                            // entries that are whole
	uint64_t word[GROUP_NEWS][NEWS_WORDS];
};

// The rings from one worker to another.
struct group_link {
	struct worker_ring *messages, *answers, *frames, *tx;
};

struct group_users {
	uint64_t version;
	uint64_t word[WORKER_VERSIONED_WORDS(struct worker_users)];
};

struct worker_group {
	unsigned workers;
	struct group_users users;
	struct group_orders orders[WORKER_MAX];
	struct group_report report[WORKER_MAX];
	struct group_probe probe[WORKER_MAX];
	struct group_answer answer[WORKER_MAX];
	struct group_text memory_text, alarm_text, doctor_text;
	struct group_news news[WORKER_MAX];
	struct group_link link[WORKER_MAX][WORKER_MAX]; // [from][to]
	struct flight *flight[WORKER_MAX];
	struct worker_times *times[WORKER_MAX];
	struct worker_latency *latency[WORKER_MAX];
	struct access_sources *sources;
	struct worker_tell *tell[WORKER_MAX];
	uint32_t dump;   // bool: somebody has the one dump. Atomic: any worker, once a command
	uint64_t detail; // the latest order. Atomic: any thread, once a command
};

static struct worker_ring *ring_open(uint32_t capacity)
{
	size_t bytes = (worker_ring_bytes(capacity) + 63) & ~(size_t)63;
	struct worker_ring *r = aligned_alloc(BASE_CACHE_LINE, bytes);

	if (r != NULL)
		worker_ring_init(r, capacity);
	return r;
}

static int link_open(struct group_link *l, const struct worker_group_options *opt)
{
	uint32_t credits = opt->credits ? opt->credits : GROUP_CREDITS;
	uint32_t frames = opt->frames ? opt->frames : GROUP_FRAMES;

	l->messages = ring_open(credits);
	l->answers = ring_open(credits);
	l->frames = ring_open(frames);
	l->tx = ring_open(frames);
	return l->messages && l->answers && l->frames && l->tx ? 0 : -ENOMEM;
}

static int records_open(struct worker_group *g)
{
	for (unsigned i = 0; i < g->workers; i++) {
		char name[32];

		g->flight[i] = aligned_alloc(BASE_CACHE_LINE, sizeof(*g->flight[i]));
		if (g->flight[i] == NULL)
			return -ENOMEM;
		snprintf(name, sizeof(name), "worker %u", i);
		flight_init(g->flight[i], name);
		g->times[i] = aligned_alloc(BASE_CACHE_LINE, sizeof(*g->times[i]));
		if (g->times[i] == NULL)
			return -ENOMEM;
		memset(g->times[i], 0, sizeof(*g->times[i]));
		g->latency[i] = aligned_alloc(BASE_CACHE_LINE, sizeof(*g->latency[i]));
		if (g->latency[i] == NULL)
			return -ENOMEM;
		memset(g->latency[i], 0, sizeof(*g->latency[i]));
		g->tell[i] = worker_tell_open();
		if (g->tell[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

int worker_group_open(struct worker_group **out, const struct worker_group_options *opt)
{
	struct worker_group *g;

	if (opt->workers == 0 || opt->workers > WORKER_MAX)
		return -EINVAL;
	g = aligned_alloc(BASE_CACHE_LINE, sizeof(*g));
	if (g == NULL)
		return -ENOMEM;
	memset(g, 0, sizeof(*g));
	g->workers = opt->workers;
	g->detail = opt->detail;
	for (unsigned a = 0; a < g->workers; a++) {
		for (unsigned b = 0; b < g->workers; b++) {
			if (a != b && link_open(&g->link[a][b], opt) < 0) {
				base_error(
					"no memory for the rings between %u workers", g->workers);
				worker_group_close(g);
				return -ENOMEM;
			}
		}
	}
	g->sources = access_sources_open(opt->conns_max ? opt->conns_max : GROUP_CONNS, opt->seed);
	if (g->sources == NULL || records_open(g) < 0) {
		base_error("no memory for what %u workers record", g->workers);
		worker_group_close(g);
		return -ENOMEM;
	}
	*out = g;
	return 0;
}

// Frames that a worker sent while their receiver was closing already go with the ring.
static void frames_free(struct worker_ring *r)
{
	void *frame;

	if (r == NULL)
		return;
	worker_ring_publish(r);
	while ((frame = worker_ring_pop(r)) != NULL)
		rte_pktmbuf_free(worker_frame_bare(frame));
	free(r);
}

void worker_group_close(struct worker_group *g)
{
	for (unsigned a = 0; a < g->workers; a++) {
		for (unsigned b = 0; b < g->workers; b++) {
			free(g->link[a][b].messages);
			free(g->link[a][b].answers);
			frames_free(g->link[a][b].frames);
			frames_free(g->link[a][b].tx);
		}
	}
	for (unsigned i = 0; i < WORKER_MAX; i++) {
		free(g->flight[i]);
		free(g->times[i]);
		free(g->latency[i]);
		free(g->tell[i]);
	}
	access_sources_close(g->sources);
	free(g);
}

struct access_sources *worker_sources(struct worker_group *g)
{
	return g->sources;
}

struct flight *worker_group_flight(struct worker_group *g, unsigned id)
{
	base_assert(id < g->workers);
	return g->flight[id];
}

const struct worker_times *worker_times_get(const struct worker_group *g, unsigned id)
{
	base_assert(id < g->workers);
	return g->times[id];
}

struct worker_times *worker_times_own(struct worker_group *g, unsigned id)
{
	base_assert(id < g->workers);
	return g->times[id];
}

const struct worker_latency *worker_latency_get(const struct worker_group *g, unsigned id)
{
	base_assert(id < g->workers);
	return g->latency[id];
}

struct worker_latency *worker_latency_own(struct worker_group *g, unsigned id)
{
	base_assert(id < g->workers);
	return g->latency[id];
}

struct worker_tell *worker_tell_own(struct worker_group *g, unsigned id)
{
	base_assert(id < g->workers);
	return g->tell[id];
}

uint64_t worker_detail_order(struct worker_group *g, bool on)
{
	uint64_t latest = worker_detail_latest(g), order;

	do
		order = (latest | 1) + 1 + on;
	while (!__atomic_compare_exchange_n(
		&g->detail, &latest, order, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return order;
}

uint64_t worker_detail_latest(struct worker_group *g)
{
	return __atomic_load_n(&g->detail, __ATOMIC_RELAXED);
}

bool worker_dump_take(struct worker_group *g)
{
	return __atomic_exchange_n(&g->dump, 1, __ATOMIC_RELAXED) == 0;
}

void worker_dump_give(struct worker_group *g)
{
	__atomic_store_n(&g->dump, 0, __ATOMIC_RELAXED);
}

void worker_group_peers_set(struct worker_group *g, struct worker *w)
{
	w->count = g->workers;
	for (unsigned i = 0; i < g->workers; i++) {
		struct worker_peer *p = &w->peer[i];

		base_list_init(&p->waiting);
		base_list_init(&p->packs_waiting);
		p->open = NULL;
		p->in_flight = 0;
		p->kept = NULL;
		p->send = g->link[w->id][i].messages;
		p->recv = g->link[i][w->id].messages;
		p->answer_send = g->link[w->id][i].answers;
		p->answer_recv = g->link[i][w->id].answers;
		p->frames_send = g->link[w->id][i].frames;
		p->frames_recv = g->link[i][w->id].frames;
		p->tx_send = g->link[w->id][i].tx;
		p->tx_recv = g->link[i][w->id].tx;
	}
}

void worker_orders_set(struct worker_group *g, unsigned id, const struct worker_orders *orders)
{
	struct group_orders *o = &g->orders[id];

	base_assert(id < g->workers);
	worker_versioned_write(&o->version, o->word, orders, sizeof(*orders));
}

void worker_report_get(struct worker_group *g, unsigned id, struct worker_report *out)
{
	struct group_report *r = &g->report[id];

	base_assert(id < g->workers);
	// A write takes under a microsecond and happens once a millisecond: 1,000 tries are ample.
	for (int i = 0; i < 1000; i++) {
		if (worker_versioned_read(&r->version, r->word, out, sizeof(*out)) > 0 ||
			__atomic_load_n(&r->version, __ATOMIC_RELAXED) == 0)
			return;
	}
}

void worker_report_publish(struct worker *w)
{
	struct group_report *r = &w->group->report[w->id];
	struct worker_report rep = {
		.heartbeat_us = w->now.mono_us,
		.drained = w->drained,
		.taken = net_taken(w->net),
		.flush_seq = w->flush_seq,
		.latency_seq = w->latency_seq,
		.ledger_seq = w->orders.ledger_seq,
		.capture_seq = w->orders.capture_seq,
		.snapshot_seq = w->orders.snapshot_seq,
		.access_seq = w->orders.access_seq,
		.loan_seq = w->loan.seq,
		.loan_limit_bytes = w->loan.limit_bytes,
		.cold = store_cold(w->store),
		.upkeep_pending = w->upkeep.pending,
		.memlimit_seq = w->admin.memlimit_seq,
		.memlimit_bytes = w->admin.memlimit_bytes,
		.verbosity_seq = w->admin.verbosity_seq,
		.verbosity = w->admin.verbosity,
		.shutdown = w->admin.shutdown,
		.watch = w->admin.watch,
		.watch_seq = w->admin.watch_seq,
		.watch_change = w->orders.watch_change,
	};

	worker_counters_collect(w, &rep.n);
	worker_versioned_write(&r->version, r->word, &rep, sizeof(rep));
}

void worker_orders_read(struct worker *w)
{
	struct group_orders *o = &w->group->orders[w->id];
	struct worker_orders orders;
	uint64_t version;

	if (__atomic_load_n(&o->version, __ATOMIC_RELAXED) == w->orders_version)
		return;
	version = worker_versioned_read(&o->version, o->word, &orders, sizeof(orders));
	if (version == 0)
		return; // next turn
	w->orders_version = version;
	w->orders = orders;
}

// ---- memory: lines for `stats memory`, questions about keys ------------------------------------
#define GROUP_TRIES 10 // of a snapshot that is written once a second

static void text_set(struct group_text *to, const char *text, size_t len)
{
	struct worker_memory_text t = {.len = base_min_u64(len, sizeof(t.text))};

	memcpy(t.text, text, t.len);
	worker_versioned_write(&to->version, to->word, &t, sizeof(t));
}

static bool text_get(const struct group_text *from, struct worker_memory_text *out)
{
	if (__atomic_load_n(&from->version, __ATOMIC_RELAXED) == 0)
		return false;
	for (int i = 0; i < GROUP_TRIES; i++) {
		if (worker_versioned_read(&from->version, from->word, out, sizeof(*out)) > 0)
			return true;
	}
	return false;
}

void worker_memory_text_set(struct worker_group *g, const char *text, size_t len)
{
	text_set(&g->memory_text, text, len);
}

bool worker_memory_text_get(struct worker_group *g, struct worker_memory_text *out)
{
	return text_get(&g->memory_text, out);
}

void worker_alarm_text_set(struct worker_group *g, const char *text, size_t len)
{
	text_set(&g->alarm_text, text, len);
}

bool worker_alarm_text_get(struct worker_group *g, struct worker_memory_text *out)
{
	return text_get(&g->alarm_text, out);
}

void worker_doctor_text_set(struct worker_group *g, const char *text, size_t len)
{
	text_set(&g->doctor_text, text, len);
}

bool worker_doctor_text_get(struct worker_group *g, struct worker_memory_text *out)
{
	return text_get(&g->doctor_text, out);
}

void worker_users_set(struct worker_group *g, const struct worker_users *users)
{
	worker_versioned_write(&g->users.version, g->users.word, users, sizeof(*users));
}

bool worker_users_get(struct worker_group *g, struct worker_users *out)
{
	for (unsigned tries = 0; tries < 64; tries++) {
		if (worker_versioned_read(&g->users.version, g->users.word, out, sizeof(*out)) > 0)
			return true;
	}
	return false;
}

void worker_probe_ask(struct worker_group *g, unsigned id, const struct worker_probe *probe)
{
	base_assert(id < g->workers && probe->key_len <= sizeof(probe->key));
	worker_versioned_write(&g->probe[id].version, g->probe[id].word, probe, sizeof(*probe));
}

bool worker_probe_answer_get(
	struct worker_group *g, unsigned id, uint64_t seq, struct worker_probe_answer *out)
{
	base_assert(id < g->workers);
	return worker_versioned_read(
		       &g->answer[id].version, g->answer[id].word, out, sizeof(*out)) > 0 &&
		out->seq == seq;
}

bool worker_probe_next(struct worker *w, struct worker_probe *out)
{
	struct group_probe *p = &w->group->probe[w->id];
	uint64_t version;

	if (base_likely(__atomic_load_n(&p->version, __ATOMIC_RELAXED) == w->probe_version))
		return false;
	version = worker_versioned_read(&p->version, p->word, out, sizeof(*out));
	if (version == 0)
		return false; // next time
	w->probe_version = version;
	return true;
}

void worker_probe_reply(struct worker *w, const struct worker_probe_answer *answer)
{
	struct group_answer *a = &w->group->answer[w->id];

	worker_versioned_write(&a->version, a->word, answer, sizeof(*answer));
}

// ---- news: neighbours, ICMP errors -------------------------------------------------------------
// Four words: address, what about it, sequence number. A reader whose entry was begun anew
// meanwhile drops what it read.
#define NEWS_TOO_BIG  (UINT64_C(1) << 63)
#define NEWS_DATAGRAM (UINT64_C(1) << 62)

static uint64_t news_pack(const struct worker_news *n)
{
	uint64_t mac = 0;

	if (n->too_big)
		return NEWS_TOO_BIG | (n->datagram ? NEWS_DATAGRAM : 0) | (uint64_t)n->local << 48 |
			(uint64_t)n->mtu << 32 | (uint64_t)n->src_port << 16 | n->dst_port;
	memcpy(&mac, &n->mac, sizeof(n->mac));
	return mac;
}

static void news_unpack(uint64_t word, struct worker_news *n)
{
	n->too_big = word & NEWS_TOO_BIG;
	n->datagram = word & NEWS_DATAGRAM;
	n->local = (uint8_t)(word >> 48);
	n->mtu = (uint16_t)(word >> 32);
	n->src_port = (uint16_t)(word >> 16);
	n->dst_port = (uint16_t)word;
	memcpy(&n->mac, &word, sizeof(n->mac));
}

void worker_news_post(struct worker *w, const struct worker_news *n)
{
	struct group_news *g = &w->group->news[w->id];
	uint32_t at = g->head % GROUP_NEWS;
	uint64_t word[NEWS_WORDS] = {n->ip.w64[0], n->ip.w64[1], news_pack(n), n->seq};

	__atomic_store_n(&g->begun, g->head + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < NEWS_WORDS; i++)
		__atomic_store_n(&g->word[at][i], word[i], __ATOMIC_RELAXED);
	__atomic_store_n(&g->head, g->head + 1, __ATOMIC_RELEASE);
}

bool worker_news_next(struct worker *w, unsigned from, struct worker_news *out)
{
	struct group_news *g = &w->group->news[from];
	uint32_t head = __atomic_load_n(&g->head, __ATOMIC_ACQUIRE);
	uint32_t seen = w->neigh_seen[from];
	uint64_t word[NEWS_WORDS];

	if (seen == head)
		return false;
	if (head - seen > GROUP_NEWS / 2)
		seen = head - GROUP_NEWS / 2;
	for (unsigned i = 0; i < NEWS_WORDS; i++)
		word[i] = __atomic_load_n(&g->word[seen % GROUP_NEWS][i], __ATOMIC_RELAXED);
	out->ip = (struct base_ip){.w64 = {word[0], word[1]}};
	news_unpack(word[2], out);
	out->seq = (uint32_t)word[3];
	w->neigh_seen[from] = seen + 1;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&g->begun, __ATOMIC_RELAXED) - seen <= GROUP_NEWS;
}
