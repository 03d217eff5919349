// SPDX-License-Identifier: BSD-3-Clause
// The request that a cache over UDP exists for, on a path of its own: `get` of one key of this
// shard, in a plain datagram, whose value fits one. It is answered in the buffer it came in. What
// is not that simple goes the common way (worker_frame_input), with the same answer.
//
// A burst is looked at three times, so that its cache misses overlap: buckets are fetched while the
// frames are checked, then the items, then they are answered.

#include "worker/worker_internal.h"

#define QUICK_VERB   4                     // "get "
#define QUICK_AROUND 64                    // most bytes of an answer besides key and value
#define QUICK_THIRD  (2 * BASE_CACHE_LINE) // of a frame; the first two are fetched as it comes in

static_assert(
	QUICK_AROUND >= PROTO_UDP_HEADER + sizeof("VALUE  4294967295 4294967295\r\n\r\nEND\r\n"),
	"flags and length take ten digits at most");

static inline uint32_t quick_u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

// Nothing below '!' in the key: no second key, no end of the line. Bytes of 128 and
// more are not below.
static inline bool quick_key_plain(const char *key, unsigned len)
{
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
}

bool worker_quick_input(struct worker *w, struct rte_mbuf *m)
{
	struct worker_quick *q = &w->quick[w->quicks];
	const char *data;
	unsigned len, room;

	// the datagrams that came before must be answered before
	if (w->arrivals > 0 || w->settings->udp_port == 0)
		return false;
	room = net_plain_input(w->net, m, rte_cpu_to_be_16(w->settings->udp_port));
	if (room == 0)
		return false;
	data = rte_pktmbuf_mtod_offset(m, const char *, NET_PLAIN_HEAD);
	len = net_plain_bytes(m);
	if (len < PROTO_UDP_HEADER + QUICK_VERB + 1 + 2 ||
		len > PROTO_UDP_HEADER + QUICK_VERB + PROTO_KEY_MAX + 2 || data[4] != 0 ||
		data[5] != 1 || quick_u32(data + PROTO_UDP_HEADER) != quick_u32("get ") ||
		data[len - 2] != '\r' || data[len - 1] != '\n')
		return false;
	q->key = data + PROTO_UDP_HEADER + QUICK_VERB;
	q->key_len = (uint8_t)(len - PROTO_UDP_HEADER - QUICK_VERB - 2);
	if (!quick_key_plain(q->key, q->key_len))
		return false;
	q->hash = base_hash(q->key, q->key_len);
	if (worker_of_hash(q->hash, w->count) != w->id)
		return false;
	store_bucket_prefetch(w->store, q->hash);
	base_prefetch_write(rte_pktmbuf_mtod_offset(m, const char *, QUICK_THIRD));
	q->m = m;
	q->room = (uint16_t)RTE_MIN(room, PROTO_UDP_HEADER + PROTO_UDP_PAYLOAD);
	w->quicks++;
	return true;
}

// "VALUE ..." and "END" behind the frame header. Returns the bytes of text.
static uint32_t quick_compose(char *text, struct store_item *it)
{
	struct store_span span[2];
	unsigned key_len = store_item_key_len(it);
	char *p = text;

	store_value_spans(it, span);
	memcpy(p, "VALUE ", 6);
	p += 6;
	memcpy(p, store_item_key(it), key_len);
	p += key_len;
	*p++ = ' ';
	p += base_u64_format(p, store_item_client_flags(it));
	*p++ = ' ';
	p += base_u64_format(p, it->value_bytes);
	*p++ = '\r';
	*p++ = '\n';
	memcpy(p, span[0].at, span[0].bytes);
	p += span[0].bytes;
	if (base_unlikely(span[1].bytes > 0)) {
		memcpy(p, span[1].at, span[1].bytes);
		p += span[1].bytes;
	}
	memcpy(p, "\r\nEND\r\n", 7);
	return (uint32_t)(p + 7 - text);
}

static void quick_answer(struct worker *w, const struct worker_quick *q)
{
	static const char rest[] = {0, 0, 0, 1, 0, 0}; // the first of one datagram
	char *data = rte_pktmbuf_mtod_offset(q->m, char *, NET_PLAIN_HEAD);
	unsigned around = QUICK_AROUND + q->key_len;
	uint32_t asked = net_plain_bytes(q->m), text_bytes = 5;
	struct store_item *it;

	if (base_unlikely(q->room < around ||
		    !exec_get_small(
			    &w->exec, q->key, q->key_len, q->hash, q->room - around, &it))) {
		worker_frame_input(w, q->m);
		return;
	}
	w->n.requests++;
	w->n.udp_requests++;
	w->n.udp_quick++;
	w->n.bytes_read += asked;
	flight_request(w->flight, PROTO_OP_GET, it != NULL ? PROTO_OK : PROTO_MISS, 0,
		worker_key_end(q->key, q->key_len));
	memcpy(data + 2, rest, sizeof(rest));
	if (base_likely(it != NULL))
		text_bytes = quick_compose(data + PROTO_UDP_HEADER, it);
	else
		memcpy(data + PROTO_UDP_HEADER, "END\r\n", 5);
	w->n.bytes_written += text_bytes;
	net_plain_reply(w->net, q->m, (uint16_t)(PROTO_UDP_HEADER + text_bytes));
}

void worker_quick_run(struct worker *w)
{
	unsigned n = w->quicks;

	w->quicks = 0; // an answer that takes the common way comes back here
	for (unsigned i = 0; i < n; i++)
		store_item_prefetch(w->store, w->quick[i].hash);
	for (unsigned i = 0; i < n; i++)
		quick_answer(w, &w->quick[i]);
}
