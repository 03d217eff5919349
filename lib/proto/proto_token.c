// SPDX-License-Identifier: BSD-3-Clause
// Tokens and numbers of a command line.
#include "proto/proto_internal.h"

void proto_tokens_cut(struct proto_tokens *t, const char *line, size_t len)
{
	const char *end = line + len, *s = line;
	unsigned n = 0;

	base_assert(len <= PROTO_LINE_MAX);
	while (s < end) {
		const char *from = s;

		while (s < end && *s != ' ')
			s++;
		if (s > from) {
			n = n < PROTO_TOKENS_MAX ? n + 1 : n;
			t->t[n - 1] = (struct proto_token){from, (uint16_t)(s - from)};
		}
		s++;
	}
	t->n = n;
}

bool proto_token_is(const struct proto_token *t, const char *word)
{
	return t->len == strlen(word) && memcmp(t->s, word, t->len) == 0;
}

static bool number_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

// The sign and the magnitude of a number; false when there is none or it needs more than 64 bits.
static bool number_scan(const char *s, size_t len, bool *negative, uint64_t *magnitude)
{
	const char *end = s + len, *first;
	uint64_t v = 0;

	while (s < end && number_space(*s))
		s++;
	*negative = s < end && *s == '-';
	if (s < end && (*s == '-' || *s == '+'))
		s++;
	for (first = s; s < end; s++) {
		unsigned digit = (unsigned)(unsigned char)*s - '0';

		if (digit > 9)
			break;
		if (base_unlikely(s - first >= 19) &&
			(__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v)))
			return false;
		if (base_likely(s - first < 19))
			v = v * 10 + digit;
	}
	*magnitude = v;
	return s > first && (s == end || number_space(*s));
}

bool proto_i64_parse(const char *s, size_t len, int64_t *out)
{
	bool negative;
	uint64_t v;

	if (!number_scan(s, len, &negative, &v) || v > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (int64_t)(negative ? 0 - v : v);
	return true;
}

bool proto_u64_parse(const char *s, size_t len, uint64_t *out)
{
	bool negative;
	uint64_t v;

	if (!number_scan(s, len, &negative, &v))
		return false;
	// strtoull wraps a negative number round; memcached refuses it where the result shows it.
	if (negative) {
		v = 0 - v;
		if (v > INT64_MAX)
			return false;
	}
	*out = v;
	return true;
}

bool proto_client_flags_parse(const char *s, size_t len, uint32_t *out)
{
	uint64_t v;

	if (!proto_u64_parse(s, len, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool proto_value_bytes_parse(const char *s, size_t len, uint32_t *out)
{
	int64_t v;

	if (!proto_i64_parse(s, len, &v) || v < 0 || v > PROTO_VALUE_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}
