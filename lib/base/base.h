// SPDX-License-Identifier: BSD-3-Clause
// base: what every module stands on: time and randomness handed in by the caller, hashing,
// intrusive lists, a fixed-size histogram, number parsing, logging, assertions.
//
// Owner thread: none. Every object belongs to the caller; nothing here keeps global state but the
// log level (written once at start).
//
//	struct base_rng rng;
//	base_rng_seed(&rng, 42);
//	uint64_t pick = base_rng_below(&rng, 16);
//	uint64_t h = base_hash(key, key_len);
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BASE_CACHE_LINE  64

#define base_likely(x)   __builtin_expect(!!(x), 1)
#define base_unlikely(x) __builtin_expect(!!(x), 0)

// States an invariant. Stays in release builds: a broken invariant stops the process with the
// place and the expression rather than corrupt data.
#define base_assert(cond) \
	(base_likely(cond) ? (void)0 : base_assert_fail(#cond, __FILE__, __LINE__, __func__))
_Noreturn void base_assert_fail(const char *expr, const char *file, int line, const char *func);

// Member to container. Used with a pointer that is known to lie inside `type`.
#define base_container_of(ptr, type, member) \
	((type *)(void *)((uintptr_t)(ptr)-offsetof(type, member)))

#define BASE_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t base_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t base_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

// Fetches the line at p, which need not be valid. GCC takes a function that does nothing but
// __builtin_prefetch for one without effect, and drops the calls of it: the statement forbids that.
static inline void base_prefetch(const void *p)
{
	__asm__ volatile("" : : "r"(p));
	__builtin_prefetch(p);
}

// ... to be written: takes it from the core that wrote it last. (GCC knows the instruction for
// newer machines alone; the older ones take it for nothing.)
static inline void base_prefetch_write(const void *p)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw (%0)" : : "r"(p));
#else
	__asm__ volatile("" : : "r"(p));
	__builtin_prefetch(p, 1);
#endif
}

// ---- time -------------------------------------------------------------------------------------
// Read once per turn by whoever drives a worker (app or simulator), and passed down.
struct base_now {
	uint64_t mono_us; // monotonic, microseconds; never 0
	uint64_t wall_s;  // Unix time, seconds
	uint32_t mono_ns; // what mono_us leaves out: 0..999
	uint32_t wall_us; // what wall_s leaves out, where somebody is told the time
};

// The real clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). Called by app and benchmarks alone.
struct base_now base_now_read(void);

// ---- randomness (xoroshiro128+; not for secrets) ----------------------------------------------
struct base_rng {
	uint64_t s[2];
};

void base_rng_seed(struct base_rng *rng, uint64_t seed);
uint64_t base_rng_next(struct base_rng *rng);
// Uniform in [0, bound). bound > 0.
uint64_t base_rng_below(struct base_rng *rng, uint64_t bound);
// Fills buf from the system's generator (getrandom); for keys made at start-up. 0 or -errno.
int base_secret_fill(void *buf, size_t len);

// ---- hash -------------------------------------------------------------------------------------
// XXH3-64 of a key. Shards take the high bits, the index the low ones.
uint64_t base_hash(const void *data, size_t len);
// Keyed (SipHash-2-4): for sequence numbers and tables that strangers choose the keys of.
uint64_t base_siphash(const uint64_t key[2], const void *data, size_t len);

// ---- intrusive doubly linked list (circular, with a head) -------------------------------------
struct base_list {
	struct base_list *next, *prev;
};

static inline void base_list_init(struct base_list *head)
{
	head->next = head->prev = head;
}

static inline bool base_list_empty(const struct base_list *head)
{
	return head->next == head;
}

static inline void base_list_append(struct base_list *head, struct base_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

// Unlinks node and leaves it self-linked, so that removing twice is harmless.
static inline void base_list_remove(struct base_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = node;
}

// Removes and returns the first node, or NULL.
static inline struct base_list *base_list_pop(struct base_list *head)
{
	struct base_list *n = head->next;

	if (n == head)
		return NULL;
	base_list_remove(n);
	return n;
}

#define base_list_for_each(it, head) \
	for (struct base_list *it = (head)->next; it != (head); it = it->next)
#define base_list_for_each_safe(it, tmp, head) \
	for (struct base_list *it = (head)->next, *tmp = it->next; it != (head); \
		it = tmp, tmp = it->next)

// ---- histogram: log-linear, 8 sub-buckets a power of two, fixed memory ------------------------
#define BASE_HIST_BUCKETS 320 // up to 2^42 - 1; larger values count in the last bucket

struct base_hist {
	uint64_t count, sum, max;
	uint32_t bucket[BASE_HIST_BUCKETS];
};

void base_hist_add(struct base_hist *h, uint64_t value);
void base_hist_add_many(struct base_hist *h, uint64_t value, uint32_t count); // the same one
// The value at or below which `q` (0..1) of the values lie, at most 12.5 % above the true one; 0
// when empty. Scans all buckets: for reports.
uint64_t base_hist_quantile(const struct base_hist *h, double q);
// How many values were as large as `value`, or lie in its bucket: it begins at most 12.5 % below.
uint64_t base_hist_from(const struct base_hist *h, uint64_t value);
void base_hist_merge(struct base_hist *into, const struct base_hist *from);
// Takes away what `from` counts too: an earlier copy of the same histogram, so that what came since
// is left. max: not above the largest bucket that has something.
void base_hist_subtract(struct base_hist *h, const struct base_hist *from);

// ---- numbers from outside ---------------------------------------------------------------------
// Decimal, whole string, no sign, no white space. 0, -EINVAL or -ERANGE.
int base_u64_parse(const char *s, size_t len, uint64_t *out);
int base_i64_parse(const char *s, size_t len, int64_t *out); // one leading '-' or '+' allowed
// Redis' units, no matter the case: b, k = 1000, kb = 1024, m, mb, g, gb. 0, -EINVAL or -ERANGE.
int base_bytes_parse(const char *s, uint64_t *bytes);
// Writes v in decimal without a terminator; returns the length (1..20). buf holds 20.
size_t base_u64_format(char *buf, uint64_t v);
// The name that a mistyped word most likely meant: the one with the fewest letters changed, added,
// left out or swapped, at most a third of the word's; NULL: none is so near. name(i) lists the
// names, NULL at their end. For error messages.
const char *base_name_nearest(const char *word, const char *(*name)(unsigned i));

// ---- internet addresses ------------------------------------------------------------------------
// Of either family, in network byte order: IPv6, or IPv4 as ::ffff:A.B.C.D (RFC 4291 section
// 2.5.5.2). All zero: none.
struct base_ip {
	union {
		uint8_t b[16];
		uint32_t w32[4];
		uint64_t w64[2];
	};
};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BASE_IP4_MARK UINT32_C(0xffff0000)
#else
#define BASE_IP4_MARK UINT32_C(0x0000ffff)
#endif

static inline struct base_ip base_ip4(uint32_t be)
{
	return (struct base_ip){.w32 = {0, 0, BASE_IP4_MARK, be}};
}

static inline bool base_ip_is4(const struct base_ip *ip)
{
	return ip->w64[0] == 0 && ip->w32[2] == BASE_IP4_MARK;
}

static inline uint32_t base_ip_as4(const struct base_ip *ip)
{
	return ip->w32[3];
}

static inline bool base_ip_same(const struct base_ip *a, const struct base_ip *b)
{
	return ((a->w64[0] ^ b->w64[0]) | (a->w64[1] ^ b->w64[1])) == 0;
}

static inline bool base_ip_none(const struct base_ip *ip)
{
	return (ip->w64[0] | ip->w64[1]) == 0;
}

// Whether a and b agree where the mask has ones.
static inline bool base_ip_masked_same(
	const struct base_ip *a, const struct base_ip *b, const struct base_ip *mask)
{
	return (((a->w64[0] ^ b->w64[0]) & mask->w64[0]) |
		       ((a->w64[1] ^ b->w64[1]) & mask->w64[1])) == 0;
}

// The mask of a prefix of `len` bits (0 to 32, or to 128) of ip's family. An IPv4 mask has the 96
// bits before it, too: only IPv4 addresses match.
struct base_ip base_ip_mask(const struct base_ip *ip, unsigned len);
// The link-local IPv6 address of an interface, by a hash of its MAC in the manner of RFC 7217:
// stable, and another one than the kernel makes on its side of a TAP, which has the same MAC.
struct base_ip base_ip_link_local(const uint8_t mac[6]);
// Whole strings: "10.0.0.1", "fd00::1" (zone names and mapped addresses are refused). 0 or -EINVAL.
int base_ip_parse(const char *text, struct base_ip *ip);
int base_ip_prefix_parse(const char *text, struct base_ip *ip, uint8_t *len); // ADDR/LEN
#define BASE_IP_TEXT 46
// Writes ip and a terminator into buf (BASE_IP_TEXT bytes); returns buf. IPv6 as RFC 5952.
const char *base_ip_format(const struct base_ip *ip, char *buf);

// ---- log --------------------------------------------------------------------------------------
// To stderr, one line a call (cut at 1,023 bytes), prefixed with the level. Never called on the
// data path.
enum base_log_level { BASE_LOG_ERROR, BASE_LOG_WARN, BASE_LOG_INFO, BASE_LOG_DEBUG };

void base_log_level_set(enum base_log_level level);
void base_log(enum base_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define base_error(...) base_log(BASE_LOG_ERROR, __VA_ARGS__)
#define base_warn(...)  base_log(BASE_LOG_WARN, __VA_ARGS__)
#define base_info(...)  base_log(BASE_LOG_INFO, __VA_ARGS__)
#define base_debug(...) base_log(BASE_LOG_DEBUG, __VA_ARGS__)
