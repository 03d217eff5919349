// SPDX-License-Identifier: BSD-3-Clause
// What it costs that a key belongs to another worker. Two workers, each on a core of its own, get
// bursts of `get` over UDP from a source inside the process, which stands where a device's queue
// does: it writes whole frames into the worker's packet buffers and takes back the answers. No
// generator takes a core. The keys are the worker's own, or all the other one's, in turn.
//
//	bench_cross_shard CASE KEYS IN_FLIGHT MS ROUNDS
//
// CASE: udp-get; or over TCP tcp-mg, tcp-get, tcp-set (16 in flight on each of 32 connections) or
// tcp-multiget (100 keys a line, likewise). Keys and values of 32 B, KEYS of each worker, drawn
// evenly; IN_FLIGHT questions of each source are open over UDP. Every answer's length is looked at,
// of every 64th checksums, key, value and number; over TCP every 64th is compared whole, and the
// device is one that makes and checks sums.
// One JSON object a line: what was measured, and of both workers the answers a second to their
// source and the share of the core that they had.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <rte_udp.h>

#include "cross_tcp.h"
#include "net/net_sum.h"
#include "proto/proto.h"
#include "worker/worker.h"

#define WORKERS      2
#define KEY_BYTES    CROSS_KEY_BYTES
#define VALUE_BYTES  CROSS_VALUE_BYTES
#define LETTERS      8 // of a key or value, that differ; they stand first
#define ROOM_LEAST   32
#define CHECK_EACH   64
#define MBUFS        16383
#define WARMUP_MS    500
#define SILENCE_S    5
#define SERVER_PORT  11211
#define CLIENT_PORT  4000 // of source 0
#define MEMORY_BYTES (UINT64_C(256) << 20)
#define SERVER_IP    RTE_BE32(RTE_IPV4(198u, 18, 211, 2))

struct frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	char head[PROTO_UDP_HEADER];
	char text[110];
};
static_assert(offsetof(struct frame, text) == 50, "as on the wire");

#define GET_HEAD   "get "
#define SET_HEAD   "set "
#define GET_TEXT   (sizeof(GET_HEAD) - 1 + KEY_BYTES + 2)
#define SET_TAIL   " 0 0 32\r\n"
#define SET_TEXT   (sizeof(SET_HEAD) - 1 + KEY_BYTES + sizeof(SET_TAIL) - 1 + VALUE_BYTES + 2)
#define VALUE_HEAD "VALUE "
#define VALUE_MID  " 0 32\r\n"
#define VALUE_END  "\r\nEND\r\n"
#define VALUE_TEXT (6 + KEY_BYTES + 7 + VALUE_BYTES + 7)
#define STORED     "STORED\r\n"

enum kind { OFF, LOAD, LOCAL, CROSSING };

// Stands for worker `id`'s queue of the device. Only its thread uses it; `answered` and `sent` are
// read by the other one.
struct source {
	struct bench *b;
	unsigned id;
	enum kind kind;
	uint32_t at; // LOAD: the next key
	uint64_t checked, other_answered;
	struct base_rng rng;
	struct frame ask; // the question, for all but its key
	uint64_t ask_sum; // of what its UDP checksum covers, for all but its key and number
	struct cross_tcp tcp;
	_Alignas(2 * BASE_CACHE_LINE) uint64_t answered[WORKERS]; // that left here, by who asked
	_Alignas(2 * BASE_CACHE_LINE) uint64_t sent;
};

struct bench {
	enum cross_load tcp; // CROSS_NONE: over UDP
	uint32_t keys;       // of each worker
	uint32_t in_flight;
	uint64_t measured_ms, rounds;
	struct source source[WORKERS];
	uint32_t *owned[WORKERS]; // numbers of the keys that a worker owns
	struct port port;
	struct port_config config;
	struct worker_settings settings;
	struct worker_group *group;
	unsigned arrived; // at the present meeting, and at those before it
	double rate[WORKERS], share[WORKERS];
};

// ---- keys --------------------------------------------------------------------------------------
static uint32_t letters_number(const char *text)
{
	uint32_t n = 0;

	for (unsigned i = LETTERS; i-- > 0;)
		n = n << 4 | (uint32_t)((text[i] - 'a') & 15);
	return n;
}

// The first keys of each worker.
static void keys_choose(struct bench *b)
{
	uint32_t n[WORKERS] = {0};
	char key[KEY_BYTES];

	for (unsigned i = 0; i < WORKERS; i++) {
		b->owned[i] = calloc(b->keys, sizeof(uint32_t));
		base_assert(b->owned[i] != NULL);
	}
	for (uint32_t number = 0; n[0] < b->keys || n[1] < b->keys; number++) {
		unsigned owner;

		cross_key_write(key, number);
		owner = worker_of_hash(base_hash(key, KEY_BYTES), WORKERS);
		if (n[owner] < b->keys)
			b->owned[owner][n[owner]++] = number;
	}
}

// ---- the source --------------------------------------------------------------------------------
static uint16_t udp_checksum(const struct frame *f)
{
	return rte_ipv4_udptcp_cksum(&f->ip, &f->udp);
}

static void ask_prepare(struct source *s, unsigned text_bytes)
{
	const uint16_t udp_bytes = (uint16_t)(sizeof(s->ask.udp) + PROTO_UDP_HEADER + text_bytes);
	struct frame *f = &s->ask;

	memset(f, 0, sizeof(*f));
	f->eth = (struct rte_ether_hdr){.dst_addr = s->b->port.mac,
		.src_addr = {{2, 0, 0, 0, 1, (uint8_t)s->id}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	f->ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(f->ip) + udp_bytes)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 10 + s->id)),
		.dst_addr = SERVER_IP};
	f->ip.hdr_checksum = rte_ipv4_cksum(&f->ip);
	f->udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16((uint16_t)(CLIENT_PORT + s->id)),
		.dst_port = RTE_BE16(SERVER_PORT),
		.dgram_len = rte_cpu_to_be_16(udp_bytes)};
	proto_udp_write(f->head, 0, 0, 1);
	memcpy(f->text, GET_HEAD, sizeof(GET_HEAD) - 1);
	memset(f->text + sizeof(GET_HEAD) - 1, 'k', KEY_BYTES);
	memset(f->text + sizeof(GET_HEAD) - 1, 0, LETTERS);
	memcpy(f->text + sizeof(GET_HEAD) - 1 + KEY_BYTES, "\r\n", 2);
	s->ask_sum = (uint16_t)~udp_checksum(f);
}

// Everything but the key and the number is copied, and the checksum made from the difference.
static void get_write(struct source *s, struct rte_mbuf *m, uint32_t number)
{
	struct frame *f = rte_pktmbuf_mtod(m, struct frame *);
	uint64_t word = cross_letters(number);
	rte_be16_t id = rte_cpu_to_be_16((uint16_t)number);

	memcpy(f, &s->ask, 96);
	memcpy(f->text + sizeof(GET_HEAD) - 1, &word, LETTERS);
	memcpy(f->head, &id, sizeof(id));
	f->udp.dgram_cksum = (uint16_t)~net_sum_fold(net_sum_add(s->ask_sum, word) + id);
}

static void set_write(struct source *s, struct rte_mbuf *m, uint32_t number)
{
	struct frame *f = rte_pktmbuf_mtod(m, struct frame *);
	char *at = f->text + sizeof(SET_HEAD) - 1;

	memcpy(f, &s->ask, offsetof(struct frame, text));
	memcpy(f->text, SET_HEAD, sizeof(SET_HEAD) - 1);
	cross_key_write(at, number);
	memcpy(at + KEY_BYTES, SET_TAIL, sizeof(SET_TAIL) - 1);
	at += KEY_BYTES + sizeof(SET_TAIL) - 1;
	cross_value_write(at, number);
	memcpy(at + VALUE_BYTES, "\r\n", 2);
	proto_udp_write(f->head, (uint16_t)number, 0, 1);
	f->udp.dgram_cksum = 0;
	f->udp.dgram_cksum = udp_checksum(f);
}

// A device's writes hold up no core: the lines are there when ours come.
static void buffer_fetch(struct rte_mbuf *m, struct rte_mempool *pool)
{
	const char *data = rte_mbuf_buf_addr(m, pool);

	base_prefetch_write(m);
	base_prefetch_write(data + RTE_PKTMBUF_HEADROOM);
	base_prefetch_write(data + RTE_PKTMBUF_HEADROOM + BASE_CACHE_LINE);
}

// The fields that drivers write; the others are as rte_pktmbuf_free has left them.
static void buffer_init(struct rte_mbuf *m, unsigned bytes)
{
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->ol_flags = 0;
	m->packet_type = 0;
	m->data_len = (uint16_t)bytes;
	m->pkt_len = bytes;
}

static void ask_write(struct source *s, struct rte_mbuf *m)
{
	const struct bench *b = s->b;
	unsigned owner = s->kind == CROSSING ? s->id ^ 1 : s->id;
	unsigned text_bytes = s->kind == LOAD ? SET_TEXT : GET_TEXT;

	buffer_init(m, offsetof(struct frame, text) + text_bytes);
	if (s->kind == LOAD)
		set_write(s, m, b->owned[owner][s->at++]);
	else
		get_write(s, m, b->owned[owner][base_rng_below(&s->rng, b->keys)]);
}

static uint32_t source_open(struct source *s)
{
	const struct source *other = &s->b->source[s->id ^ 1];
	uint64_t done = s->answered[s->id] + s->other_answered;

	if (s->b->in_flight - (s->sent - done) < ROOM_LEAST || s->kind == OFF) {
		s->other_answered = __atomic_load_n(&other->answered[s->id], __ATOMIC_RELAXED);
		done = s->answered[s->id] + s->other_answered;
	}
	return (uint32_t)(s->sent - done);
}

static uint16_t tcp_rx(struct source *s, struct rte_mbuf **m, uint16_t n)
{
	struct rte_mempool *pool = s->b->port.queue[s->id].pool;
	uint16_t used;

	if (!cross_tcp_wants(&s->tcp))
		return 0;
	if (rte_mempool_get_bulk(pool, (void **)m, n))
		cross_die("no packet buffers");
	for (uint16_t i = 0; i < n; i++)
		buffer_fetch(m[i], pool);
	used = cross_tcp_rx(&s->tcp, m, n);
	rte_mempool_put_bulk(pool, (void **)&m[used], n - used);
	return used;
}

static uint16_t source_rx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct source *s = arg;
	struct rte_mempool *pool = s->b->port.queue[s->id].pool;
	uint32_t room;

	if (s->b->tcp != CROSS_NONE && s->kind != LOAD)
		return tcp_rx(s, m, n);
	if (s->kind == OFF)
		return 0;
	room = s->b->in_flight - source_open(s);
	if (s->kind == LOAD)
		room = RTE_MIN(room, s->b->keys - s->at);
	n = (uint16_t)RTE_MIN(room, n);
	if (n == 0)
		return 0;
	if (rte_mempool_get_bulk(pool, (void **)m, n))
		cross_die("no packet buffers");
	for (uint16_t i = 0; i < n; i++)
		buffer_fetch(m[i], pool);
	for (uint16_t i = 0; i < n; i++)
		ask_write(s, m[i]);
	s->sent += n;
	return n;
}

static void answer_check(const struct rte_mbuf *m)
{
	const struct frame *f = rte_pktmbuf_mtod(m, const struct frame *);
	const char *key = f->text + sizeof(VALUE_HEAD) - 1;
	uint32_t number = letters_number(key);
	char want[VALUE_TEXT], *at = want, head[PROTO_UDP_HEADER];

	memcpy(at, VALUE_HEAD, 6);
	cross_key_write(at + 6, number);
	memcpy(at + 6 + KEY_BYTES, VALUE_MID, 7);
	cross_value_write(at + 6 + KEY_BYTES + 7, number);
	memcpy(at + 6 + KEY_BYTES + 7 + VALUE_BYTES, VALUE_END, 7);
	proto_udp_write(head, (uint16_t)number, 0, 1);
	if (rte_ipv4_cksum(&f->ip) || udp_checksum(f) != UINT16_MAX ||
		memcmp(f->head, head, sizeof(head)) || memcmp(f->text, want, sizeof(want)))
		cross_die("a wrong answer");
}

static void answer_take(struct source *s, const struct rte_mbuf *m)
{
	const struct frame *f = rte_pktmbuf_mtod(m, const struct frame *);
	unsigned asker;

	if (s->b->tcp != CROSS_NONE && cross_tcp_take(&s->tcp, m))
		return;
	asker = (unsigned)rte_be_to_cpu_16(f->udp.dst_port) - CLIENT_PORT;
	if (f->eth.ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) || asker >= WORKERS)
		return; // not an answer: ARP, from the start
	if (s->kind == LOAD) {
		if (memcmp(f->text, STORED, sizeof(STORED) - 1))
			cross_die("a key was not stored");
	} else if (m->pkt_len != offsetof(struct frame, text) + VALUE_TEXT) {
		cross_die("an answer of a wrong length");
	} else if (s->answered[asker] % CHECK_EACH == 0) {
		answer_check(m);
		s->checked++;
	}
	__atomic_store_n(&s->answered[asker], s->answered[asker] + 1, __ATOMIC_RELAXED);
}

static uint16_t source_tx(void *arg, struct rte_mbuf **m, uint16_t n)
{
	struct source *s = arg;

	for (uint16_t i = 0; i < n; i++)
		answer_take(s, m[i]);
	rte_pktmbuf_free_bulk(m, n);
	return n;
}

// ---- workers -----------------------------------------------------------------------------------
struct thread {
	struct bench *b;
	unsigned id, meetings;
	bool loaded;
	struct source *source;
	struct mem_domain *mem;
	struct worker *worker;
};

static void turn(struct thread *t)
{
	unsigned work;

	worker_turn(t->worker, base_now_read(), &work);
	if (work == 0)
		rte_pause();
}

// Until the other one is here, too; meanwhile its questions are answered.
static void meet(struct thread *t)
{
	unsigned all = ++t->meetings * WORKERS;

	__atomic_add_fetch(&t->b->arrived, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&t->b->arrived, __ATOMIC_ACQUIRE) < all)
		turn(t);
}

// All that was asked is answered.
static void drain(struct thread *t)
{
	uint64_t end = rte_get_tsc_cycles() + SILENCE_S * rte_get_tsc_hz();

	t->source->kind = OFF;
	t->source->tcp.stop = true;
	while (source_open(t->source) > 0 ||
		(t->b->tcp != CROSS_NONE && t->loaded && cross_tcp_busy(&t->source->tcp) > 0)) {
		if (rte_get_tsc_cycles() > end)
			cross_die("questions were not answered");
		turn(t);
	}
	meet(t);
}

static double thread_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static uint64_t answers_to(const struct source *s)
{
	if (s->b->tcp != CROSS_NONE)
		return s->tcp.answered;
	return s->answered[s->id] +
		__atomic_load_n(&s->b->source[s->id ^ 1].answered[s->id], __ATOMIC_RELAXED);
}

static void turns_for(struct thread *t, uint64_t ms)
{
	uint64_t end = rte_get_tsc_cycles() + ms * rte_get_tsc_hz() / 1000;

	while (rte_get_tsc_cycles() < end)
		turn(t);
}

static void kind_measure(struct thread *t, enum kind kind)
{
	struct bench *b = t->b;
	uint64_t answers, start;
	double used_s, all_s;

	t->source->tcp.keys = b->owned[kind == CROSSING ? t->id ^ 1 : t->id];
	meet(t);
	t->source->kind = kind;
	t->source->tcp.stop = false;
	turns_for(t, WARMUP_MS);
	start = rte_get_tsc_cycles();
	answers = answers_to(t->source);
	used_s = thread_s();
	turns_for(t, b->measured_ms);
	all_s = (double)(rte_get_tsc_cycles() - start) / (double)rte_get_tsc_hz();
	b->rate[t->id] = (double)(answers_to(t->source) - answers) / all_s;
	b->share[t->id] = (thread_s() - used_s) / all_s;
	drain(t);
	if (t->id == 0) {
		printf("{\"case\": \"%s\", \"rate\": [%.0f, %.0f], \"share\": [%.4f, %.4f], "
		       "\"checked\": %lu, \"tsc_hz\": %lu}\n",
			kind == LOCAL ? "local" : "crossing", b->rate[0], b->rate[1], b->share[0],
			b->share[1],
			b->source[0].checked + b->source[1].checked + b->source[0].tcp.checked +
				b->source[1].tcp.checked,
			rte_get_tsc_hz());
		fflush(stdout);
	}
	meet(t);
}

static void load(struct thread *t)
{
	struct source *s = t->source;

	ask_prepare(s, SET_TEXT);
	s->kind = LOAD;
	meet(t);
	while (s->at < t->b->keys)
		turn(t);
	drain(t);
	ask_prepare(s, GET_TEXT);
	t->loaded = true;
	if (t->b->tcp != CROSS_NONE) {
		cross_tcp_open(&s->tcp, t->b->tcp);
		drain(t); // the handshakes
	}
	meet(t);
}

static void thread_open(struct thread *t)
{
	struct bench *b = t->b;
	struct worker_options wo = {.id = t->id,
		.port = &b->port,
		.net = &b->config,
		.settings = &b->settings,
		.limit_bytes = MEMORY_BYTES,
		.store = store_settings_default(),
		.conns_max = 1000,
		.access = {.udp_allow = access_list_everybody()},
		.seed = 7 + t->id};
	struct mem_options mo = {.name = "worker", .numa_node = -1, .thp = true};

	if (mem_domain_open(&t->mem, &mo) || mem_domain_bind(t->mem))
		cross_die("no memory");
	wo.mem = t->mem;
	if (worker_open(&t->worker, b->group, &wo))
		cross_die("a worker does not open");
}

static int thread_main(void *arg)
{
	struct bench *b = arg;
	struct thread t = {.b = b, .id = rte_lcore_index((int)rte_lcore_id()) > 0};

	t.source = &b->source[t.id];
	thread_open(&t);
	meet(&t);
	load(&t);
	for (uint64_t i = 0; i < b->rounds; i++) {
		kind_measure(&t, LOCAL);
		kind_measure(&t, CROSSING);
	}
	return 0;
}

// ---- set-up ------------------------------------------------------------------------------------
#define TCP_TX (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define TCP_RX (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

static void port_make(struct bench *b)
{
	char name[16];

	b->port = (struct port){.workers = WORKERS,
		.queues = WORKERS,
		.numa_node = -1,
		.mac = {{2, 0, 0, 0, 0, 2}},
		.mtu = 1500,
		.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | (b->tcp != CROSS_NONE ? TCP_TX : 0),
		.rx_offloads = b->tcp != CROSS_NONE ? TCP_RX : 0,
		.spread = PORT_SPREAD_DEVICE};
	for (unsigned i = 0; i < WORKERS; i++) {
		struct source *s = &b->source[i];

		snprintf(name, sizeof(name), "worker %u", i);
		s->b = b;
		s->id = i;
		base_rng_seed(&s->rng, 5 + i);
		base_rng_seed(&s->tcp.rng, 9 + i);
		s->tcp.id = i;
		s->tcp.server_mac = b->port.mac;
		s->tcp.server_ip = SERVER_IP;
		s->tcp.own_ip = rte_cpu_to_be_32(RTE_IPV4(198u, 18, 211, 10 + i));
		s->tcp.server_port = RTE_BE16(SERVER_PORT);
		s->tcp.key_count = b->keys;
		b->port.queue[i] = (struct port_queue){.queue_id = (uint16_t)i,
			.has_rx = true,
			.has_tx = true,
			.rx = source_rx,
			.tx = source_tx,
			.arg = s,
			.pool = rte_pktmbuf_pool_create(
				name, MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY)};
		if (b->port.queue[i].pool == NULL)
			cross_die("no packet buffers");
	}
}

static void set_up(struct bench *b)
{
	port_make(b);
	keys_choose(b);
	b->config = (struct port_config){.address = {{base_ip4(SERVER_IP), 24}}, .addresses = 1};
	b->settings = (struct worker_settings){.maxmemory_bytes = WORKERS * MEMORY_BYTES,
		.item_bytes_max = 1 << 20,
		.conns_max = 1000,
		.client_query_bytes = 256 << 10,
		.client_output_bytes = 4 << 20,
		.tcp_port = SERVER_PORT,
		.udp_port = SERVER_PORT};
	if (worker_group_open(&b->group, &(struct worker_group_options){.workers = WORKERS}))
		cross_die("no memory");
}

static enum cross_load case_find(const char *name)
{
	static const char *const names[] = {
		"udp-get", "tcp-mg", "tcp-get", "tcp-multiget", "tcp-set"};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(names); i++) {
		if (!strcmp(name, names[i]))
			return (enum cross_load)i;
	}
	cross_die("there is no such case");
}

int main(int argc, char **argv)
{
	char *eal[] = {"bench_cross_shard", "--in-memory", "--no-pci", "--no-telemetry", "-m",
		"256", "--iova-mode=va", "--lcores", "0@0,1@1", "--log-level=*:error"};
	static struct bench b;

	if (argc != 6) {
		fprintf(stderr, "usage: bench_cross_shard CASE KEYS IN_FLIGHT MS ROUNDS\n");
		return 2;
	}
	b.tcp = case_find(*++argv);
	b.keys = (uint32_t)strtoul(argv[1], NULL, 10);
	b.in_flight = (uint32_t)strtoul(argv[2], NULL, 10);
	b.measured_ms = strtoull(argv[3], NULL, 10);
	b.rounds = strtoull(argv[4], NULL, 10);
	if (b.keys == 0 || b.keys > 1 << 20 || b.in_flight < ROOM_LEAST || b.in_flight > 512)
		cross_die("1 to 1,048,576 keys, 32 to 512 questions in flight");
	if (rte_eal_init(BASE_ARRAY_LEN(eal), eal) < 0)
		cross_die("EAL does not start");
	set_up(&b);
	if (rte_eal_remote_launch(thread_main, &b, rte_get_next_lcore(-1, 1, 0)))
		cross_die("no second thread");
	thread_main(&b);
	rte_eal_mp_wait_lcore();
	fflush(NULL);
	_Exit(0); // the system takes it all back
}
