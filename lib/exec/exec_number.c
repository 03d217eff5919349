// SPDX-License-Identifier: BSD-3-Clause
// A value as a number: parsed when it may hold anything, read when the item says that it is one.
//
// STORE_ITEM_NUMBER: the value is 1 to 20 digits of a number below 2^64, blanks behind them, in one
// piece, and at most EXEC_NUMBER_WIDTH bytes. The digits themselves are the encoding, eight to a
// word, so who reads the value needs to know nothing of it.
#include "exec/exec_internal.h"

static bool exec_space(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

// The next character of a value, or -1 behind its last.
static int exec_char_next(struct store_span span[2])
{
	if (span[0].bytes == 0) {
		span[0] = span[1];
		span[1].bytes = 0;
	}
	if (span[0].bytes == 0)
		return -1;
	span[0].bytes--;
	return (unsigned char)*span[0].at++;
}

bool exec_number_parse(const struct store_span value[2], uint64_t *out)
{
	struct store_span rest[2] = {value[0], value[1]};
	int c = exec_char_next(rest);
	bool negative, digits = false;
	uint64_t v = 0;

	while (exec_space(c))
		c = exec_char_next(rest);
	negative = c == '-';
	if (c == '-' || c == '+')
		c = exec_char_next(rest);
	for (; c >= '0' && c <= '9'; c = exec_char_next(rest)) {
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(c - '0'), &v))
			return false;
		digits = true;
	}
	if (!digits || (c > 0 && !exec_space(c)))
		return false;
	if (negative) {
		v = -v;
		if ((int64_t)v < 0)
			return false;
	}
	*out = v;
	return true;
}

// The number that the n (1 to 8) digits before `end` make. The 8 bytes before it are read: there is
// at least an item's header before any value. Digits, pairs, fours, all eight side by side.
static uint64_t exec_digits_read(const char *end, uint32_t n)
{
	uint64_t v;

	memcpy(&v, end - 8, sizeof(v)); // the first digit is the lowest byte
	v &= UINT64_C(0x0f0f0f0f0f0f0f0f) & (~UINT64_C(0) << (8 * (8 - n)));
	v = v * 10 + (v >> 8);
	v = (v & UINT64_C(0x00ff00ff00ff00ff)) * 100 + ((v >> 16) & UINT64_C(0x00ff00ff00ff00ff));
	return (v & 0xffff) * 10000 + ((v >> 32) & 0xffff);
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first digit is the lowest byte");
static_assert(sizeof(struct store_item) >= 8, "8 bytes before a value are the item's");

static uint64_t exec_number_read(const char *value, uint32_t width)
{
	const char *end = value + width;
	uint64_t v = 0, scale = 1;
	uint32_t n;

	while (end[-1] == ' ') // after a decr that needs fewer digits
		end--;
	for (n = (uint32_t)(end - value); n > 8; n -= 8) {
		v += exec_digits_read(end, 8) * scale;
		scale *= 100000000;
		end -= 8;
	}
	return v + exec_digits_read(end, n) * scale;
}

bool exec_number_of(struct store_item *it, uint64_t *out)
{
	struct store_span value[2];
	uint32_t bytes;
	const char *at;

	if (it->bits & STORE_ITEM_NUMBER) {
		at = store_value_at(it, 0, &bytes);
		base_assert(bytes == it->value_bytes && bytes <= EXEC_NUMBER_WIDTH);
		*out = exec_number_read(at, bytes);
		return true;
	}
	store_value_spans(it, value);
	return exec_number_parse(value, out);
}

void exec_number_mark(struct store_item *it)
{
	uint32_t bytes;

	store_value_at(it, 0, &bytes);
	if (bytes == it->value_bytes && bytes <= EXEC_NUMBER_WIDTH)
		it->bits |= STORE_ITEM_NUMBER;
}
