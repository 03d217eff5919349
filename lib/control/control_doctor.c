// SPDX-License-Identifier: BSD-3-Clause
// /lcached/memory/doctor: what stands out in the figures, in words. Thresholds are Redis' where
// Redis has the case; each counts only above 10 MB, so that small servers have nothing to say.

#include <stdarg.h>

#include "control/control_internal.h"

#define MB           (UINT64_C(1) << 20)
#define EMPTY_BYTES  (5 * MB)
#define LEAST_BYTES  (10 * MB)
#define PEAK_RATIO   1.5
#define FRAG_RATIO   1.4
#define PART_RATIO   1.1
#define EVICTING_US  (10 * 1000 * 1000) // an eviction so recent counts as going on
#define FULL_PERCENT 95
#define IDLE_PART    4  // an arena with a quarter of its pages free and idle
#define CLIENTS_PART 10 // client buffers above a tenth of used_memory
#define ADVICE_BYTES 400

struct doctor {
	struct control *c;
	struct control_sums s;
	struct rte_tel_data *d; // NULL: into text
	char *text;
	size_t text_len, text_size;
	unsigned found;
};

// A line that does not fit whole is left out.
static void advice_put(struct doctor *x, const char *name, const char *text)
{
	int n;

	if (x->d != NULL) {
		control_text_reply(x->d, name, text);
		return;
	}
	n = snprintf(
		x->text + x->text_len, x->text_size - x->text_len, "STAT %s %s\r\n", name, text);
	if (n > 0 && (size_t)n < x->text_size - x->text_len)
		x->text_len += (size_t)n;
}

__attribute__((format(printf, 3, 4))) static void advise(
	struct doctor *x, const char *name, const char *fmt, ...)
{
	char text[ADVICE_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	advice_put(x, name, text);
	x->found++;
}

static double ratio(uint64_t a, uint64_t b)
{
	return b == 0 ? 0.0 : (double)a / (double)b;
}

static bool above(uint64_t a, uint64_t b, double limit)
{
	return ratio(a, b) > limit && a - b > LEAST_BYTES;
}

static unsigned long long mb(uint64_t bytes)
{
	return bytes / MB;
}

static void peak_check(struct doctor *x)
{
	uint64_t peak = x->c->total.used_peak_bytes;

	if (above(peak, x->s.used, PEAK_RATIO))
		advise(x, "peak",
			"Memory in use was %.1f times what it is now. The allocator may still hold "
			"pages of that time: they are reused first, and go back with "
			"/lcached/memory/purge.",
			ratio(peak, x->s.used));
}

// Packet buffers are memory of the process that no item will ever have.
static void fragmentation_check(struct doctor *x)
{
	uint64_t packets = x->c->memory.packet_bytes;
	uint64_t rss = x->s.rss - base_min_u64(x->s.rss, packets);
	uint64_t used = x->c->memory.rss_used_bytes;

	if (above(rss, used, FRAG_RATIO))
		advise(x, "fragmentation",
			"The process holds %.2f times what is in use (%llu MB more, packet buffers "
			"aside). Look at the three ratios below it: allocator_frag, allocator_rss, "
			"rss_overhead say which part it is.",
			ratio(rss, used), mb(rss - used));
	if (x->s.rss < used && used - x->s.rss > LEAST_BYTES)
		advise(x, "swapped",
			"Less is resident than in use: part of the memory is swapped out, and "
			"requests "
			"wait for the disk. Lower maxmemory or turn swap off.");
}

static void allocator_check(struct doctor *x)
{
	const struct mem_process *p = &x->c->memory.process;
	uint64_t packets = x->c->memory.packet_bytes;
	uint64_t rss = x->s.rss - base_min_u64(x->s.rss, packets);

	if (mem_frag_ratio(p->small_frag_bytes, p->allocated_bytes) > PART_RATIO &&
		p->small_frag_bytes > LEAST_BYTES)
		advise(x, "allocator_frag",
			"%llu MB lie free in slabs that hold other items too: sizes changed, or "
			"many "
			"keys went. Defragmentation wins them back; /lcached/memory/bins shows the "
			"sizes.",
			mb(p->small_frag_bytes));
	if (above(p->resident_bytes, p->active_bytes, PART_RATIO))
		advise(x, "allocator_rss",
			"The allocator keeps %llu MB of free pages. They go back after "
			"jemalloc-dirty-decay-ms, or at once with /lcached/memory/purge.",
			mb(p->resident_bytes - p->active_bytes));
	if (above(rss, p->resident_bytes, PART_RATIO))
		advise(x, "rss_overhead",
			"%llu MB of the process are neither the allocator's nor packet buffers: "
			"pages "
			"kept ready, EAL, libraries.",
			mb(rss - p->resident_bytes));
}

static void limit_check(struct doctor *x)
{
	const struct control *c = x->c;
	uint64_t limit = c->cfg->maxmemory_bytes;
	bool recent =
		c->memory.evicting_us != 0 && c->now.mono_us - c->memory.evicting_us < EVICTING_US;

	if (recent && x->s.used > limit / 100 * FULL_PERCENT)
		advise(x, "limit",
			"The cache is at maxmemory (%llu MB) and evicts all the time. Where hits "
			"matter, "
			"raise maxmemory; hit ratio and evicted_keys say what it costs.",
			mb(limit));
}

static void thp_check(struct doctor *x)
{
	struct mem_machine m;

	if (mem_machine_read(&m, "") == 0 && m.thp == MEM_THP_ALWAYS && !x->c->cfg->disable_thp)
		advise(x, "thp",
			"Transparent hugepages are set to always: free pages stay with whole 2 MB "
			"ones, "
			"and making them stalls. Set disable-thp yes, or madvise in "
			"/sys/kernel/mm/transparent_hugepage/enabled.");
}

static void arenas_check(struct doctor *x)
{
	for (unsigned i = 0; i < x->c->workers; i++) {
		struct mem_domain_stats st;
		uint64_t idle;

		if (x->c->domain[i] == NULL)
			continue;
		mem_domain_stats_read(x->c->domain[i], &st);
		idle = st.held_bytes - base_min_u64(st.held_bytes, st.active_bytes);
		if (idle > LEAST_BYTES && idle > st.held_bytes / IDLE_PART)
			advise(x, "idle_pages",
				"Worker %u holds %llu MB of free pages, of %llu. Its keys went, or "
				"its "
				"share of maxmemory. /lcached/memory/purge gives them back.",
				i, mb(idle), mb(st.held_bytes));
	}
}

static void clients_check(struct doctor *x)
{
	if (x->s.clients > LEAST_BYTES && x->s.clients > x->s.used / CLIENTS_PART)
		advise(x, "clients",
			"Connections and their buffers take %llu MB, more than a tenth of what is "
			"in "
			"use: clients that do not read their replies, or very many of them.",
			mb(x->s.clients));
}

static void look(struct doctor *x)
{
	x->s = control_memory_sums(x->c);
	if (x->s.used - base_min_u64(x->s.used, x->c->total.used_startup_bytes) < EMPTY_BYTES) {
		advise(x, "empty",
			"The cache is all but empty: ratios mean nothing yet. Ask again when it "
			"has "
			"data.");
		thp_check(x);
		return;
	}
	peak_check(x);
	fragmentation_check(x);
	allocator_check(x);
	limit_check(x);
	thp_check(x);
	arenas_check(x);
	clients_check(x);
	if (x->found == 0)
		advice_put(x, "healthy", "Nothing stands out.");
}

int control_doctor_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	struct doctor x = {.c = c, .d = d};

	rte_tel_data_start_dict(d);
	control_memory_refresh(c);
	look(&x);
	return 0;
}

void control_doctor_publish(struct control *c)
{
	char text[WORKER_MEMORY_TEXT_MAX];
	struct doctor x = {.c = c, .text = text, .text_size = sizeof(text)};

	look(&x);
	worker_doctor_text_set(c->group, text, x.text_len);
}
