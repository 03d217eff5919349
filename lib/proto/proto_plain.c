// SPDX-License-Identifier: BSD-3-Clause
// The lines that nearly all traffic is made of, read in one pass: `get` with its keys, `mg` for a
// value, and `set` with its value behind it, spelt as every client spells them. Anything else is
// left to proto_parse, which reads the same bytes to the same requests.
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "proto/proto_internal.h"

#define DIGITS_MAX 9 // a number that cannot overflow 32 bits

#ifdef __SSE2__
#define WORD_BYTES sizeof(__m128i)

// A bit for each byte below '!' of the WORD_BYTES at p.
static inline unsigned word_low(const char *p)
{
	__m128i v = _mm_loadu_si128((const void *)p);

	return (unsigned)_mm_movemask_epi8(
		_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8('!' - 1)), v));
}
#else
#define WORD_BYTES sizeof(uint64_t)

static inline unsigned word_low(const char *p)
{
	unsigned low = 0;

	for (unsigned i = 0; i < WORD_BYTES; i++)
		low |= (unsigned)((unsigned char)p[i] < '!') << i;
	return low;
}
#endif

// Where the first byte below '!' of data[0..len) is; len: nowhere. Bytes of 128 and more are not
// below.
static inline size_t word_end(const char *data, size_t len)
{
	size_t at = 0;

	for (; at + WORD_BYTES <= len; at += WORD_BYTES) {
		unsigned low = word_low(data + at);

		if (low != 0)
			return at + (unsigned)__builtin_ctz(low);
	}
	if (base_likely(at < len && len >= WORD_BYTES)) { // the last ones once more
		unsigned low = word_low(data + len - WORD_BYTES);

		return low != 0 ? len - WORD_BYTES + (unsigned)__builtin_ctz(low) : len;
	}
	while (at < len && (unsigned char)data[at] >= '!')
		at++;
	return at;
}

// A decimal number and the byte that ends it. Returns what it took; 0: not that.
static inline size_t number_take(const char *data, size_t len, char end, uint32_t *out)
{
	uint32_t v = 0;
	size_t at = 0;

	for (; at < len && at < DIGITS_MAX && data[at] >= '0' && data[at] <= '9'; at++)
		v = v * 10 + (uint32_t)(data[at] - '0');
	if (at == 0 || at == len || data[at] != end)
		return 0;
	*out = v;
	return at + 1;
}

static bool plain_key(const char *data, size_t len, bool first, struct proto_plain *out)
{
	size_t skip = first ? 4 : data[0] == ' ', at;
	size_t n = word_end(data + skip, base_min_u64(len - skip, PROTO_KEY_MAX + 1));

	at = skip + n;
	if (n == 0 || n > PROTO_KEY_MAX || at == len)
		return false;
	out->end = data[at] == '\r' && at + 1 < len && data[at + 1] == '\n';
	if (!out->end && data[at] != ' ')
		return false;
	out->op = PROTO_OP_GET;
	out->first = first;
	out->key = data + skip;
	out->key_len = (uint8_t)n;
	out->consumed = (uint32_t)at + (out->end ? 2 : 0);
	return true;
}

// mg KEY v, and c, f and s in any order, once each.
static bool plain_meta_get(const char *data, size_t len, struct proto_plain *out)
{
	size_t n = word_end(data + 3, base_min_u64(len - 3, PROTO_KEY_MAX + 1)), at = 3 + n;
	uint64_t given = 0;

	if (n == 0 || n > PROTO_KEY_MAX)
		return false;
	out->return_count = 0;
	for (; at + 2 < len && data[at] == ' '; at += 2) {
		char letter = data[at + 1];

		if (letter != 'v' && letter != 'f' && letter != 'c' && letter != 's')
			return false;
		if (given & PROTO_FLAG(letter))
			return false;
		given |= PROTO_FLAG(letter);
		if (letter != 'v')
			out->returns[out->return_count++] = letter;
	}
	if (!(given & PROTO_FLAG('v')) || at + 1 >= len || data[at] != '\r' || data[at + 1] != '\n')
		return false;
	out->op = PROTO_OP_META_GET;
	out->first = out->end = true;
	out->key = data + 3;
	out->key_len = (uint8_t)n;
	out->consumed = (uint32_t)at + 2;
	return true;
}

// set KEY FLAGS EXPTIME BYTES\r\n and all of the value.
static bool plain_set(const char *data, size_t len, struct proto_plain *out)
{
	size_t n = word_end(data + 4, base_min_u64(len - 4, PROTO_KEY_MAX + 1)), at = 4 + n, took;

	if (n == 0 || n > PROTO_KEY_MAX || at == len || data[at] != ' ')
		return false;
	at++;
	took = number_take(data + at, len - at, ' ', &out->client_flags);
	at += took;
	if (took == 0)
		return false;
	took = number_take(data + at, len - at, ' ', &out->exptime);
	at += took;
	if (took == 0)
		return false;
	took = number_take(data + at, len - at, '\r', &out->value_bytes);
	at += took;
	if (took == 0 || at == len || data[at] != '\n' ||
		len - at - 1 < (size_t)out->value_bytes + 2 ||
		!proto_data_end_valid(data + at + 1 + out->value_bytes))
		return false;
	out->op = PROTO_OP_SET;
	out->first = out->end = true;
	out->key = data + 4;
	out->key_len = (uint8_t)n;
	out->value = data + at + 1;
	out->consumed = (uint32_t)at + 1 + out->value_bytes + 2;
	return true;
}

static_assert(PROTO_STATE_COMMAND == 0 && PROTO_STATE_BEGIN == 1,
	"a parser at the start of a command line");

bool proto_plain_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_plain *out)
{
	bool done;

	if (p->state == PROTO_STATE_KEYS) {
		if (p->with_cas || p->touch || p->bad_exptime || p->first_key || len == 0)
			return false;
		done = plain_key(data, len, false, out);
	} else {
		uint32_t verb;

		if (p->state > PROTO_STATE_BEGIN || len < 5) // a verb, and more
			return false;
		memcpy(&verb, data, sizeof(verb));
		if (memcmp(&verb, "get ", sizeof(verb)) == 0)
			done = plain_key(data, len, true, out);
		else if (memcmp(&verb, "set ", sizeof(verb)) == 0)
			done = plain_set(data, len, out);
		else if (memcmp(&verb, "mg ", 3) == 0)
			done = plain_meta_get(data, len, out);
		else
			return false;
	}
	if (done)
		proto_plain_after(p, out->end);
	return done;
}

void proto_plain_after(struct proto_parser *p, bool end)
{
	p->state = end ? PROTO_STATE_COMMAND : PROTO_STATE_KEYS;
	p->with_cas = p->touch = p->bad_exptime = p->first_key = false;
	p->exptime = 0;
}

static void meta_get_request(const struct proto_plain *l, struct proto_request *r)
{
	r->meta = true;
	r->delta = 1;
	r->vivify_ttl = r->recache_ttl = 0;
	r->cas_set = r->initial = 0;
	r->flags = PROTO_FLAG('v');
	r->return_count = l->return_count;
	for (unsigned i = 0; i < l->return_count; i++) {
		r->returns[i] = l->returns[i];
		r->flags |= PROTO_FLAG(l->returns[i]);
	}
	r->consumed = l->consumed;
}

void proto_plain_request(const struct proto_plain *l, struct proto_request *r)
{
	memset(r, 0, offsetof(struct proto_request, vivify_ttl));
	r->op = l->op;
	r->key = l->key;
	r->key_len = l->key_len;
	if (l->op == PROTO_OP_GET) {
		r->first_key = l->first;
		r->consumed = l->consumed - (l->end ? 2 : 0);
		return;
	}
	if (l->op == PROTO_OP_META_GET) {
		meta_get_request(l, r);
		return;
	}
	r->client_flags = l->client_flags;
	r->exptime = l->exptime;
	r->value_bytes = l->value_bytes;
	r->consumed = l->consumed - l->value_bytes - 2;
}
