// SPDX-License-Identifier: BSD-3-Clause
// The request that a cache over UDP exists for, on a path of its own: `get` of one key of this
// shard, in a plain datagram, whose value fits one. It is answered in the buffer it came in. What
// is not that simple goes the common way (worker_frame_input), with the same answer.
//
// A burst is looked at three times, so that its cache misses overlap: buckets are fetched while the
// frames are checked, then the items, then they are answered.

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <rte_udp.h>

#include "net/net_sum.h"
#include "worker/worker_udp.h"

#define QUICK_VERB    4                     // "get "
#define QUICK_AROUND  64                    // most bytes of an answer besides key and value
#define QUICK_THIRD   (2 * BASE_CACHE_LINE) // of a frame; the first two are fetched as it comes in

#define QUICK_NUMBERS 32 // bytes: " 4294967295 4294967295\r\n", and then some
static_assert(QUICK_AROUND >=
		PROTO_UDP_HEADER + sizeof("VALUE  4294967295 4294967295\r\n\r\nEND\r\n") + 7,
	"flags and length take ten digits at most, and a word is written whole");

// One datagram, and "get ": two bytes behind the client's number and that of the datagram; what is
// reserved may be anything.
static inline bool quick_begins(const char *data)
{
	static const unsigned char want[8] = {0, 1, 0, 0, 'g', 'e', 't', ' '};
	static const unsigned char mask[8] = {255, 255, 0, 0, 255, 255, 255, 255};

	static_assert(PROTO_UDP_HEADER == sizeof(want), "");
	return ((net_sum_word(data + 4) ^ net_sum_word(want)) & net_sum_word(mask)) == 0;
}

static inline bool quick_ends(const char *end)
{
	uint16_t last;

	memcpy(&last, end - sizeof(last), sizeof(last));
	return last == ('\r' | '\n' << 8);
}

// Nothing below '!' in the key: no second key, no end of the line. Bytes of 128 and
// more are not below.
static inline bool quick_key_plain(const char *key, unsigned len)
{
#ifdef __SSE2__
	const __m128i most = _mm_set1_epi8('!' - 1);
	__m128i low = _mm_setzero_si128(), v;
	unsigned at = 0, end;

	for (; at + sizeof(v) < len; at += sizeof(v)) {
		v = _mm_loadu_si128((const void *)(key + at));
		low = _mm_or_si128(low, _mm_cmpeq_epi8(_mm_min_epu8(v, most), v));
	}
	// the last ones of them, behind the frame's headers when the key is shorter than that
	v = _mm_loadu_si128((const void *)(key + len - sizeof(v)));
	end = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, most), v));
	if (len < sizeof(v))
		end >>= sizeof(v) - len;
	return ((unsigned)_mm_movemask_epi8(low) | end) == 0;
#else
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t low = 0, v;
	unsigned at = 0;

	for (; at + 8 <= len; at += 8) {
		memcpy(&v, key + at, sizeof(v));
		low |= (v - ones * '!') & ~v;
	}
	for (; at < len; at++)
		low |= (uint64_t)((unsigned char)key[at] < '!') << 7;
	return (low & high) == 0;
#endif
}

// The owner answers the client itself: the frame goes there whole, with what has been found out
// about it. False: no room on the way.
static inline bool quick_pass(struct worker *w, struct rte_mbuf *m, unsigned owner, uint64_t hash)
{
	if (!worker_ring_push(w->peer[owner].frames_send, worker_frame_mark(m)))
		return false;
	memcpy(&m->hash, &hash, sizeof(hash));
	w->n.requests_remote++;
	return true;
}

// The port that the datagram must be for: the one that it is for where every shard has its own.
static inline rte_be16_t quick_port(const struct worker *w, const struct rte_mbuf *m)
{
	const unsigned off = NET_PLAIN_HEAD - sizeof(struct rte_udp_hdr);
	const struct rte_udp_hdr *udp;

	if (base_unlikely(w->settings->udp_shard_ports) && m->data_len > NET_PLAIN_HEAD) {
		udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, off);
		if (worker_udp_port_own(w, rte_be_to_cpu_16(udp->dst_port)))
			return udp->dst_port;
	}
	return rte_cpu_to_be_16(w->settings->udp_port);
}

// The client's address lies before ours and the ports.
static inline uint32_t quick_source(const struct rte_mbuf *m)
{
	uint32_t src;

	memcpy(&src, rte_pktmbuf_mtod_offset(m, const char *, NET_PLAIN_HEAD - 16), sizeof(src));
	return src;
}

bool worker_quick_input(struct worker *w, struct rte_mbuf *m)
{
	struct worker_quick *q = &w->quick[w->quicks];
	const char *data;
	unsigned len, room, owner;
	uint64_t hash;

	// the datagrams that came before must be answered before
	if (w->arrivals > 0 || w->quick_off)
		return false;
	room = net_plain_input(w->net, m, quick_port(w, m));
	if (room == 0 || !worker_udp_trusts(w, quick_source(m)))
		return false; // the answer may have to be small
	data = rte_pktmbuf_mtod_offset(m, const char *, NET_PLAIN_HEAD);
	len = net_plain_bytes(m);
	if (len < PROTO_UDP_HEADER + QUICK_VERB + 1 + 2 ||
		len > PROTO_UDP_HEADER + QUICK_VERB + PROTO_KEY_MAX + 2 || !quick_begins(data) ||
		!quick_ends(data + len))
		return false;
	q->key = data + PROTO_UDP_HEADER + QUICK_VERB;
	q->key_len = (uint8_t)(len - PROTO_UDP_HEADER - QUICK_VERB - 2);
	if (!quick_key_plain(q->key, q->key_len))
		return false;
	hash = base_hash(q->key, q->key_len);
	owner = worker_of_hash(hash, w->count);
	if (owner != w->id)
		return quick_pass(w, m, owner, hash);
	store_look_begin(w->store, hash, &w->quick_look[w->quicks]);
	base_prefetch_write(rte_pktmbuf_mtod_offset(m, const char *, QUICK_THIRD));
	q->m = m;
	q->room = (uint16_t)RTE_MIN(room, PROTO_UDP_HEADER + PROTO_UDP_PAYLOAD);
	w->quicks++;
	return true;
}

void worker_quick_passed(struct worker *w, struct rte_mbuf *m)
{
	struct worker_quick *q = &w->quick[w->quicks];
	unsigned room = net_plain_room(w->net, m);
	uint64_t hash;

	memcpy(&hash, &m->hash, sizeof(hash));
	store_look_begin(w->store, hash, &w->quick_look[w->quicks]);
	q->m = m;
	q->key = rte_pktmbuf_mtod_offset(
		m, const char *, NET_PLAIN_HEAD + PROTO_UDP_HEADER + QUICK_VERB);
	q->key_len = (uint8_t)(net_plain_bytes(m) - PROTO_UDP_HEADER - QUICK_VERB - 2);
	q->room = (uint16_t)RTE_MIN(room, PROTO_UDP_HEADER + PROTO_UDP_PAYLOAD);
	if (++w->quicks == WORKER_BURST)
		worker_quick_run(w);
}

// " FLAGS BYTES\r\n" as decimal text; returns its bytes. Those of
// most items fit one word. *sum gets their sum.
static unsigned quick_numbers(char *to, uint32_t flags, uint32_t bytes, uint64_t *sum)
{
	uint64_t word = '\r' | '\n' << 8;
	unsigned n = 2;
	char text[QUICK_NUMBERS];
	char *p = text;

	if (base_likely(flags == 0 && bytes < 1000)) {
		for (; bytes >= 10; n++) {
			word = word << 8 | ('0' + bytes % 10);
			bytes /= 10;
		}
		word = word << 8 | ('0' + bytes);
		n++;
		word = word << 24 | (' ' | '0' << 8 | ' ' << 16);
		memcpy(to, &word, sizeof(word)); // what is too much is written over
		*sum = word;
		return n + 3;
	}
	*p++ = ' ';
	p += base_u64_format(p, flags);
	*p++ = ' ';
	p += base_u64_format(p, bytes);
	*p++ = '\r';
	*p++ = '\n';
	*sum = net_sum_copy(to, text, (unsigned)(p - text));
	return (unsigned)(p - text);
}

// "VALUE ..." and "END" behind the frame header. Returns the bytes of text; *sum gets theirs. Up to
// seven bytes behind them are written, too.
static uint32_t quick_compose(char *text, struct store_item *it, uint64_t *sum)
{
	static const char first[8] = "VALUE ", last[8] = "\r\nEND\r\n";
	struct store_span span[2];
	unsigned n = 6, key_len = store_item_key_len(it);
	uint64_t part;

	store_value_spans(it, span);
	memcpy(text, first, sizeof(first));
	*sum = net_sum_add(
		net_sum_word(first), net_sum_copy(text + n, store_item_key(it), key_len));
	n += key_len;
	key_len = quick_numbers(text + n, store_item_client_flags(it), it->value_bytes, &part);
	*sum = net_sum_add(*sum, net_sum_turn(part, n));
	n += key_len;
	part = net_sum_copy(text + n, span[0].at, span[0].bytes);
	*sum = net_sum_add(*sum, net_sum_turn(part, n));
	n += span[0].bytes;
	if (base_unlikely(span[1].bytes > 0)) {
		part = net_sum_copy(text + n, span[1].at, span[1].bytes);
		*sum = net_sum_add(*sum, net_sum_turn(part, n));
		n += span[1].bytes;
	}
	memcpy(text + n, last, sizeof(last));
	*sum = net_sum_add(*sum, net_sum_turn(net_sum_word(last), n));
	return n + 7;
}

// False: it has gone the common way.
static bool quick_answer(
	struct worker *w, const struct worker_quick *q, const struct store_look *look)
{
	static const char nothing[8] = "END\r\n";
	char *data = rte_pktmbuf_mtod_offset(q->m, char *, NET_PLAIN_HEAD);
	unsigned around = QUICK_AROUND + q->key_len;
	uint32_t asked = net_plain_bytes(q->m), text_bytes = 5;
	uint64_t frame, sum = net_sum_word(nothing);
	struct store_item *it;

	if (base_unlikely(q->room < around ||
		    !exec_get_small(&w->exec, q->key, q->key_len, look, q->room - around, &it))) {
		worker_frame_input(w, q->m);
		return false;
	}
	w->n.bytes_read += asked;
	flight_request(w->flight, PROTO_OP_GET, it != NULL ? PROTO_OK : PROTO_MISS, 0,
		worker_key_end(q->key, q->key_len));
	// the client's number, and the first of one datagram
	frame = (net_sum_word(data) & UINT16_MAX) | UINT64_C(1) << 40;
	memcpy(data, &frame, sizeof(frame));
	if (base_likely(it != NULL))
		text_bytes = quick_compose(data + PROTO_UDP_HEADER, it, &sum);
	else
		memcpy(data + PROTO_UDP_HEADER, nothing, sizeof(nothing));
	w->n.bytes_written += text_bytes;
	net_plain_reply_summed(
		w->net, q->m, (uint16_t)(PROTO_UDP_HEADER + text_bytes), net_sum_add(sum, frame));
	return true;
}

// One of them stands for all, should the turn be long.
static inline void quick_note(struct worker *w, const struct worker_quick *q)
{
	struct worker_slow *e = &w->noted;
	// the client's address, ours, and the ports
	const char *ip = rte_pktmbuf_mtod_offset(q->m, const char *, NET_PLAIN_HEAD - 16);
	rte_be16_t port;

	memcpy(&port, ip + 8, sizeof(port));
	e->ip = base_ip4(quick_source(q->m));
	e->port = rte_be_to_cpu_16(port);
	e->udp = true;
	e->kind = WORKER_KIND_GET;
	e->bytes = 0;
	e->key_len = q->key_len;
	memcpy(e->key, q->key, sizeof(e->key)); // the buffer has room behind a shorter one
	w->noted_least = 1;
}

void worker_quick_run(struct worker *w)
{
	unsigned n = w->quicks, answered = 0;

	if (n > 0 && w->noted_least == 0)
		quick_note(w, &w->quick[0]);
	w->quicks = 0; // an answer that takes the common way comes back here
	store_looks_fetch(w->store, w->quick_look, n);
	for (unsigned i = 0; i < n; i++)
		answered += quick_answer(w, &w->quick[i], &w->quick_look[i]);
	w->turn_requests[WORKER_KIND_GET] += answered;
	w->n.requests += answered;
	w->n.udp_requests += answered;
	w->n.udp_quick += answered;
}
