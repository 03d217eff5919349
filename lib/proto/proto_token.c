// SPDX-License-Identifier: BSD-3-Clause
// Tokens and numbers of a command line.
#include "proto/proto_internal.h"

#define U32_CHARS_MAX 11
#define U64_CHARS_MAX 22

void proto_tokens_cut(struct proto_tokens *t, const char *line, size_t len)
{
	const char *end = line + len, *s = line;
	unsigned n = 0;

	base_assert(len <= PROTO_LINE_MAX);
	while (s < end && n < PROTO_TOKENS_MAX) {
		const char *from = s;

		while (s < end && *s != ' ')
			s++;
		if (s > from)
			t->t[n++] = (struct proto_token){from, (uint16_t)(s - from)};
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

// The number whose digits begin at s. Returns where they end; NULL: none, or more than 64 bits.
static const char *digits_scan(const char *s, const char *end, uint64_t *magnitude)
{
	const char *first = s;
	uint64_t v = 0;

	for (; s < end; s++) {
		unsigned digit = (unsigned)(unsigned char)*s - '0';

		if (digit > 9)
			break;
		if (base_unlikely(s - first >= 19) &&
			(__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v)))
			return NULL;
		if (base_likely(s - first < 19))
			v = v * 10 + digit;
	}
	*magnitude = v;
	return s > first ? s : NULL;
}

// As the C library's strtol family: white space and a sign may precede, white space (a tab, say) or
// a NUL ends.
static bool number_scan(const char *s, size_t len, bool *negative, uint64_t *magnitude)
{
	const char *end = s + len;

	while (s < end && number_space(*s))
		s++;
	*negative = s < end && *s == '-';
	if (s < end && (*s == '-' || *s == '+'))
		s++;
	s = digits_scan(s, end, magnitude);
	return s != NULL && (s == end || *s == '\0' || number_space(*s));
}

static bool number_signed(bool negative, uint64_t magnitude, int64_t *out)
{
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (int64_t)(negative ? 0 - magnitude : magnitude);
	return true;
}

bool proto_loose_i64_parse(const char *s, size_t len, int64_t *out)
{
	bool negative;
	uint64_t v;

	return number_scan(s, len, &negative, &v) && number_signed(negative, v, out);
}

bool proto_loose_flags_parse(const char *s, size_t len, uint32_t *out)
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
	*out = (uint32_t)v;
	return true;
}

bool proto_u64_parse(const char *s, size_t len, uint64_t *out)
{
	return len <= U64_CHARS_MAX && digits_scan(s, s + len, out) == s + len;
}

bool proto_i64_parse(const char *s, size_t len, int64_t *out)
{
	bool negative = len > 0 && s[0] == '-';
	uint64_t v;

	if (len > U32_CHARS_MAX)
		return false;
	if (negative && len == 1) {
		*out = 0;
		return true;
	}
	return proto_u64_parse(s + negative, len - negative, &v) && number_signed(negative, v, out);
}

bool proto_u32_parse(const char *s, size_t len, uint32_t *out)
{
	uint64_t v;

	if (len > U32_CHARS_MAX || !proto_u64_parse(s, len, &v) || v > UINT32_MAX)
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
