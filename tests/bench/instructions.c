// SPDX-License-Identifier: BSD-3-Clause
// Instructions that a get of 32 B over UDP takes: a worker whose device is virtio-user, with vhost
// at the other end of it in the same thread, answers bursts of 32 gets. Its turns are executed one
// instruction at a time by a second process (ptrace), so that exactly what this processor executes
// is counted: all of the worker's way, the driver's part of it included, and nothing of the
// client's.
//
//	bench_instructions BURSTS SOCKET [WORD ...]
//
// and of these words: `run`: counts nothing, to be looked at by
// valgrind --tool=callgrind --toggle-collect=turn_counted; a number: of items beside those that are
// asked for; `due`: all items have a deadline, far ahead; `sampled`: expire-index no. Counted
// apart, as `look`, is an idle turn a tenth of a second later, in which upkeep looks at what it has
// to do.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "proto/proto.h"
#include "worker/worker_admin.h"

#define BURST       32
#define KEYS        1024
#define KEY_BYTES   32
#define VALUE_BYTES 32
#define DESCRIPTORS 1024
#define TURNS_MAX   1000 // that a burst may take
#define WAIT_MS     10000
#define LOOK_US     100000 // between looks at the deadlines of a sample: hz 10
#define DEADLINE_S  1800000000u
#define ITEM_MOST   256 // bytes that an item and its part of the index take at most
#define CLIENT_IP   RTE_BE32(RTE_IPV4(198u, 18, 211, 1))
#define SERVER_IP   RTE_BE32(RTE_IPV4(198u, 18, 211, 2))

static const struct rte_ether_addr client_mac = {{2, 0, 0, 0, 0, 1}};
static const struct rte_ether_addr server_mac = {{2, 0, 0, 0, 0, 2}};

struct frame {
	struct rte_ether_hdr eth;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	char data[256];
};
static_assert(offsetof(struct frame, data) == 42, "as on the wire");

struct bench {
	uint16_t client; // vhost
	struct rte_mempool *client_pool;
	struct port port; // virtio-user
	struct port_config config;
	struct worker_settings settings;
	struct mem_domain *mem;
	struct worker_group *group;
	struct worker *worker;
	struct base_now now;
	bool traced, due, sampled;
	uint32_t items;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_instructions: %s\n", what);
	exit(1);
}

static void device_start(uint16_t id, struct rte_mempool *pool, uint64_t tx_offloads)
{
	const struct rte_eth_conf conf = {.txmode.offloads = tx_offloads};
	const int socket = rte_eth_dev_socket_id(id);

	if (rte_eth_dev_configure(id, 1, 1, &conf) ||
		rte_eth_rx_queue_setup(id, 0, DESCRIPTORS, (unsigned)socket, NULL, pool) ||
		rte_eth_tx_queue_setup(id, 0, DESCRIPTORS, (unsigned)socket, NULL) ||
		rte_eth_dev_start(id))
		die("a device does not start");
}

static struct rte_mempool *pool_new(const char *name)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		name, 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (!pool)
		die("no packet buffers");
	return pool;
}

static void link_wait(uint16_t id)
{
	struct rte_eth_link link = {0};

	for (unsigned ms = 0; ms < WAIT_MS; ms++) {
		if (!rte_eth_link_get_nowait(id, &link) && link.link_status)
			return;
		rte_delay_us_sleep(1000);
	}
	die("no link");
}

// vhost listens from its configuration on; only then may virtio-user connect.
static void devices_open(struct bench *b, const char *socket)
{
	static const char link[] = "packed_vq=1,mrg_rxbuf=0,in_order=1,vectorized=1";
	struct port_queue *q = &b->port.queue[0];
	char args[512];

	snprintf(args, sizeof(args), "iface=%s,queues=1", socket);
	if (rte_eal_hotplug_add("vdev", "net_vhost0", args) ||
		rte_eth_dev_get_port_by_name("net_vhost0", &b->client))
		die("no vhost");
	b->client_pool = pool_new("client");
	device_start(b->client, b->client_pool, 0);
	snprintf(args, sizeof(args), "path=%s,queues=1,queue_size=%u,mac=02:00:00:00:00:02,%s",
		socket, DESCRIPTORS, link);
	if (rte_eal_hotplug_add("vdev", "net_virtio_user0", args) ||
		rte_eth_dev_get_port_by_name("net_virtio_user0", &b->port.port_id))
		die("no virtio-user");
	b->port = (struct port){.port_id = b->port.port_id,
		.workers = 1,
		.queues = 1,
		.numa_node = -1,
		.mac = server_mac,
		.mtu = 1500,
		.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS};
	*q = (struct port_queue){.port_id = b->port.port_id,
		.has_rx = true,
		.has_tx = true,
		.pool = pool_new("server")};
	device_start(b->port.port_id, q->pool, b->port.tx_offloads);
	link_wait(b->client);
}

static void worker_start(struct bench *b)
{
	struct worker_options wo = {.port = &b->port,
		.net = &b->config,
		.settings = &b->settings,
		.limit_bytes = (64u << 20) + (uint64_t)b->items * ITEM_MOST,
		.store = store_settings_default(),
		.conns_max = 1000,
		.access = {.udp_allow = access_list_everybody()},
		.seed = 7};

	b->config = (struct port_config){.address = {{base_ip4(SERVER_IP), 24}}, .addresses = 1};
	b->settings = (struct worker_settings){.maxmemory_bytes = 64 << 20,
		.item_bytes_max = 1 << 20,
		.conns_max = 1000,
		.client_query_bytes = 256 << 10,
		.client_output_bytes = 4 << 20,
		.tcp_port = 11211,
		.udp_port = 11211};
	b->now = (struct base_now){.mono_us = 1000000, .wall_s = 1700000000};
	if (mem_domain_open(&b->mem, &(struct mem_options){.name = "worker", .numa_node = -1}) ||
		worker_group_open(&b->group, &(struct worker_group_options){.workers = 1}))
		die("no memory");
	wo.mem = b->mem;
	wo.store.expire_index = !b->sampled;
	if (worker_open(&b->worker, b->group, &wo))
		die("the worker does not open");
}

// ---- the client ---------------------------------------------------------------------------------
static void key_write(char *to, unsigned key)
{
	char digits[KEY_BYTES + 1];

	snprintf(digits, sizeof(digits), "%0*u", KEY_BYTES, key);
	memcpy(to, digits, KEY_BYTES);
}

static void frame_send(struct bench *b, const char *text, size_t text_bytes, uint16_t request)
{
	const uint16_t udp_bytes = (uint16_t)(8 + PROTO_UDP_HEADER + text_bytes);
	struct rte_mbuf *m = rte_pktmbuf_alloc(b->client_pool);
	struct frame *f;

	if (!m)
		die("no packet buffer");
	f = (struct frame *)rte_pktmbuf_append(m, (uint16_t)(34 + udp_bytes));
	f->eth = (struct rte_ether_hdr){
		.dst_addr = server_mac, .src_addr = client_mac, .ether_type = RTE_BE16(0x0800)};
	f->ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + udp_bytes)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = CLIENT_IP,
		.dst_addr = SERVER_IP};
	f->ip.hdr_checksum = rte_ipv4_cksum(&f->ip);
	f->udp = (struct rte_udp_hdr){.src_port = RTE_BE16(4000),
		.dst_port = RTE_BE16(11211),
		.dgram_len = rte_cpu_to_be_16(udp_bytes)};
	proto_udp_write(f->data, request, 0, 1);
	memcpy(f->data + PROTO_UDP_HEADER, text, text_bytes);
	f->udp.dgram_cksum = rte_ipv4_udptcp_cksum(&f->ip, &f->udp);
	if (rte_eth_tx_burst(b->client, 0, &m, 1) != 1)
		die("vhost takes no frame");
}

static void answer_check(const struct rte_mbuf *m, const char *want, size_t want_bytes)
{
	const struct frame *f = rte_pktmbuf_mtod(m, const struct frame *);

	if (m->pkt_len < 34 + 8 + PROTO_UDP_HEADER + want_bytes || rte_ipv4_cksum(&f->ip) ||
		rte_ipv4_udptcp_cksum(&f->ip, &f->udp) != UINT16_MAX ||
		memcmp(f->data + PROTO_UDP_HEADER, want, want_bytes))
		die("a wrong answer");
}

__attribute__((noipa)) static void count_end(void)
{
	__asm__ volatile("");
}

// The tracer, if there is one, counts from the trap to count_end.
__attribute__((noipa)) static void turn_counted(struct bench *b)
{
	unsigned work;

	if (b->traced)
		__asm__ volatile("int3");
	worker_turn(b->worker, b->now, &work);
	count_end();
}

static void turn(struct bench *b, bool counted)
{
	unsigned work;

	b->now.mono_us += 5;
	if (counted)
		turn_counted(b);
	else
		worker_turn(b->worker, b->now, &work);
}

// All answers to one burst; what is not IPv4 is none.
static void answers_take(
	struct bench *b, unsigned wanted, bool counted, const char *want, size_t want_bytes)
{
	struct rte_mbuf *m[BURST];

	for (unsigned turns = 0; wanted > 0; turns++) {
		if (turns == TURNS_MAX)
			die("no answer");
		turn(b, counted);
		for (unsigned n = rte_eth_rx_burst(b->client, 0, m, BURST); n-- > 0;) {
			if (rte_pktmbuf_mtod(m[n], struct frame *)->eth.ether_type ==
				RTE_BE16(0x0800)) {
				answer_check(m[n], want, want_bytes);
				wanted--;
			}
			rte_pktmbuf_free(m[n]);
		}
	}
}

// Straight into the shard: a million a second.
static void items_set(struct bench *b)
{
	char text[KEY_BYTES + 1];

	turn(b, false);
	for (uint32_t i = 0; i < b->items; i++) {
		struct store_key key = {.key = text, .len = KEY_BYTES};
		struct store_item *it;

		key_write(text, KEYS + i);
		key.hash = base_hash(text, KEY_BYTES);
		if (store_reserve(b->worker->store, &key, 0, b->due ? DEADLINE_S : 0, VALUE_BYTES,
			    &it) != STORE_OK)
			die("an item is refused");
		store_commit(b->worker->store, it, key.hash, 0);
	}
	while (store_step(b->worker->store, 1000))
		;
	if (store_counters_get(b->worker->store)->deadlines != (b->due ? b->items : 0))
		die("deadlines are missing");
}

static void keys_set(struct bench *b)
{
	char text[128];

	for (unsigned k = 0; k < KEYS; k++) {
		int n = snprintf(text, sizeof(text), "set %0*u 0 %u %u\r\n%0*u\r\n", KEY_BYTES, k,
			b->due ? DEADLINE_S : 0, VALUE_BYTES, VALUE_BYTES, k);

		frame_send(b, text, (size_t)n, (uint16_t)k);
		answers_take(b, 1, false, "STORED\r\n", 8);
	}
}

static void bursts_ask(struct bench *b, unsigned bursts, bool counted)
{
	char text[4 + KEY_BYTES + 2] = "get ";
	unsigned key = 0;

	memcpy(text + 4 + KEY_BYTES, "\r\n", 2);
	for (unsigned i = 0; i < bursts; i++) {
		for (unsigned k = 0; k < BURST; k++) {
			key = (key * 5 + 1) % KEYS;
			key_write(text + 4, key);
			frame_send(b, text, sizeof(text), (uint16_t)key);
		}
		answers_take(b, BURST, counted, "VALUE ", 6);
	}
}

static void served(struct bench *b, long bursts, const char *socket)
{
	char *eal[] = {"bench_instructions", "--no-huge", "--no-pci", "--no-shconf",
		"--no-telemetry", "--force-max-simd-bitwidth=512", "-m", "192", "--iova-mode=va",
		"--log-level=*:error", "--file-prefix=bench_instructions"};

	if (rte_eal_init(BASE_ARRAY_LEN(eal), eal) < 0)
		die("EAL does not start");
	devices_open(b, socket);
	worker_start(b);
	items_set(b);
	keys_set(b);
	bursts_ask(b, 100, false); // pools and rings as they are in the long run
	bursts_ask(b, (unsigned)bursts, true);
	b->now.mono_us += LOOK_US;
	turn(b, true);
	_exit(0); // all of it goes with the process
}

// ---- the tracer ---------------------------------------------------------------------------------
enum part { SERVER, DRIVER, LIBRARIES, PARTS };

struct map { // executable memory of the other process
	uint64_t from, to;
	enum part part;
};

struct tracer {
	pid_t pid;
	struct map map[256];
	unsigned maps;
	uint64_t n[PARTS];
	uint64_t last; // of all, in the turn counted last
};

static void maps_read(struct tracer *t)
{
	char path[64], line[1024], mode[8], self[512];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	FILE *f;

	self[len < 0 ? 0 : len] = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)t->pid);
	f = fopen(path, "r");
	if (!f)
		die("no maps");
	while (fgets(line, sizeof(line), f) && t->maps < BASE_ARRAY_LEN(t->map)) {
		struct map *m = &t->map[t->maps];

		if (sscanf(line, "%lx-%lx %7s", &m->from, &m->to, mode) != 3 || mode[2] != 'x')
			continue;
		m->part = strstr(line, self)                ? SERVER
			: strstr(line, "librte_net_virtio") ? DRIVER
							    : LIBRARIES;
		t->maps++;
	}
	fclose(f);
}

static enum part part_of(const struct tracer *t, uint64_t rip)
{
	for (unsigned i = 0; i < t->maps; i++) {
		if (rip >= t->map[i].from && rip < t->map[i].to)
			return t->map[i].part;
	}
	return LIBRARIES;
}

// Returns the signal that has stopped it, or 0 when it has ended.
static int stop_wait(const struct tracer *t)
{
	int status;

	if (waitpid(t->pid, &status, 0) != t->pid)
		die("nobody to wait for");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (!WIFSTOPPED(status))
		die("it has failed");
	return WSTOPSIG(status);
}

static void turn_count(struct tracer *t)
{
	struct user_regs_struct regs;

	if (t->maps == 0)
		maps_read(t);
	t->last = 0;
	for (;;) {
		if (ptrace(PTRACE_GETREGS, t->pid, NULL, &regs))
			die("no registers");
		if (regs.rip == (uint64_t)(uintptr_t)count_end)
			return;
		t->n[part_of(t, regs.rip)]++;
		t->last++;
		if (ptrace(PTRACE_SINGLESTEP, t->pid, NULL, NULL) || stop_wait(t) != SIGTRAP)
			die("no step");
	}
}

static void counted(struct bench *b, long bursts, const char *socket)
{
	struct tracer t = {.pid = fork()};
	double gets = (double)bursts * BURST;
	int sig;

	if (t.pid < 0)
		die("no process");
	if (t.pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			die("it may not be traced");
		raise(SIGSTOP);
		b->traced = true;
		served(b, bursts, socket);
	}
	stop_wait(&t);
	if (ptrace(PTRACE_SETOPTIONS, t.pid, NULL, PTRACE_O_EXITKILL) ||
		ptrace(PTRACE_CONT, t.pid, NULL, NULL))
		die("it may not be traced");
	while ((sig = stop_wait(&t)) != 0) {
		if (sig == SIGTRAP)
			turn_count(&t);
		if (ptrace(PTRACE_CONT, t.pid, NULL, sig == SIGTRAP ? 0 : sig))
			die("it does not go on");
	}
	// A look has no packets to send: what is not the server's own is next to nothing.
	printf("{\"gets\": %.0f, \"server\": %.1f, \"driver\": %.1f, \"libraries\": %.1f, "
	       "\"look\": %lu}\n",
		gets, (double)(t.n[SERVER] - t.last) / gets, (double)t.n[DRIVER] / gets,
		(double)t.n[LIBRARIES] / gets, (unsigned long)t.last);
}

int main(int argc, char **argv)
{
	static struct bench b;
	bool run = false;
	long bursts;

	if (argc < 3 || (bursts = strtol(argv[1], NULL, 10)) < 1)
		die("usage: bench_instructions BURSTS SOCKET [run] [ITEMS] [due] [sampled]");
	for (int i = 3; i < argc; i++) {
		run |= strcmp(argv[i], "run") == 0;
		b.due |= strcmp(argv[i], "due") == 0;
		b.sampled |= strcmp(argv[i], "sampled") == 0;
		b.items += (uint32_t)strtoul(argv[i], NULL, 10);
	}
	if (run)
		served(&b, bursts, argv[2]);
	counted(&b, bursts, argv[2]);
	return 0;
}
